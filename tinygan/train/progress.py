"""How training is going: a bar on a terminal, plain lines anywhere else."""

from __future__ import annotations

import os
import sys
import time
from typing import IO

from tqdm import tqdm

from tinygan.commands import Careful, complain, say
from tinygan.runs.report.words import duration

__all__ = ["Progress"]

_SECONDS_BETWEEN_LINES = 5.0
_SMOOTHING = 0.1  # share of the newest step in the running mean of the seconds a step takes


class Progress:
    """Shows losses, speed, time left and the share of time spent waiting for data.

    Parameters
    ----------
    labels : dict of str to str
        The metrics to show, and what to call them.
    total, start : int
        Steps in all, steps done before.
    batch_size : int
    terminal : bool, optional
        Whether to draw a bar; by default, whether standard error is a terminal.
    quiet : bool
        Show nothing but what `say` is told.
    """

    def __init__(
        self,
        labels: dict[str, str],
        total: int,
        start: int,
        batch_size: int,
        terminal: bool | None = None,
        quiet: bool = False,
    ):
        self.quiet = quiet
        self.labels, self.total, self.batch_size = labels, total, batch_size
        self._seconds: float | None = None
        self._begun = self._last = time.perf_counter()
        self._bar = None
        if not quiet and (sys.stderr.isatty() if terminal is None else terminal):
            known = _columns(sys.stderr) > 0  # some terminals do not say how wide they are
            self._bar = tqdm(
                total=total,
                initial=start,
                file=Careful(sys.stderr),
                dynamic_ncols=known,
                ncols=None if known else 80,
                bar_format="{n_fmt}/{total_fmt} |{bar}| {remaining} left  {desc}",
            )

    def update(self, row: dict, waited: float) -> None:
        """Take note of one more step: its metrics, and the seconds waited for data so far."""
        if self.quiet:
            return
        now, seconds = time.perf_counter(), row["seconds"]
        if self._seconds is None or row["step"] < 5:  # the first steps also warm up
            self._seconds = seconds
        self._seconds += _SMOOTHING * (seconds - self._seconds)
        digits = 2 if self._bar is not None else 3
        parts = [f"{label} {row[name]:.{digits}g}" for name, label in self.labels.items()]
        parts.append(f"{self.batch_size / max(self._seconds, 1e-9):.3g} images/s")
        share = 100 * waited / max(now - self._begun, 1e-9)
        waiting = f"{share:.1f} % waiting for data"
        if self._bar is not None:
            self._bar.set_description_str(" ".join([*parts, waiting]), refresh=False)
            self._bar.update()
            return
        last = row["step"] == self.total
        if last or row["step"] == 1 or now - self._last >= _SECONDS_BETWEEN_LINES:
            self._last = now
            left = duration((self.total - row["step"]) * self._seconds)
            head = f"step {row['step']:>{len(str(self.total))}}/{self.total}"
            line = "  ".join([head, f"epoch {row['epoch']}", *parts, f"{left} left", waiting])
            say(line)

    def say(self, text: str) -> None:
        """Print a line without tearing the bar."""
        if self._bar is not None:
            self._bar.write(text, file=Careful(sys.stderr))
        else:
            complain(text)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _columns(stream: IO[str]) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):  # no terminal after all
        return 0
