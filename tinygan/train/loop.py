"""The loop: steps, and what is written down after them."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygan.errors import DivergedError
from tinygan.runs.checkpoint import info, save_checkpoint
from tinygan.runs.folder import RunFolder
from tinygan.runs.header import Best
from tinygan.runs.report import write_report
from tinygan.systems.contract import score_of
from tinygan.systems.system import Panel, System
from tinygan.train.alarms import Warned
from tinygan.train.interrupt import Interrupt
from tinygan.train.monitor import Monitor
from tinygan.train.pending import Pending
from tinygan.train.plots import plot_losses
from tinygan.train.progress import Progress

__all__ = ["Plan", "train"]

_SECONDS_BETWEEN_PLOTS = 20.0


@dataclass(frozen=True)
class Plan:
    """How long to train, and what to keep of it.

    Attributes
    ----------
    steps : int
        In all, those of earlier sessions included.
    sample_every, checkpoint_every : int
        Steps between two sample pictures, two checkpoints.
    keep : int
        How many checkpoints are kept, besides the best.
    """

    steps: int
    sample_every: int
    checkpoint_every: int
    keep: int


def train(
    system: System,
    run: RunFolder,
    plan: Plan,
    interrupt: Interrupt,
    start: int = 0,
    best: Best | None = None,
    *,
    callbacks: Sequence[Callable[[System, dict], Any]] = (),
    shown: Callable[[Path], Any] = lambda path: None,
    quiet: bool = False,
) -> int:
    """Train `system` up to ``plan.steps`` steps, writing into `run`; return the steps done.

    Parameters
    ----------
    system : System
        As it was after `start` steps.
    run : RunFolder
        Its metrics are open and hold the lines of these steps.
    plan : Plan
    interrupt : Interrupt
        When it has noted a signal, the step is finished and a checkpoint is written.
    start : int
    best : Best, optional
        The best checkpoint so far.
    callbacks : sequence of callable
        Called with the system and the metrics of each step.  One that raises ends the run: a
        checkpoint is written, and the exception goes on.
    shown : callable
        Called with the path of each sheet of samples.
    quiet : bool
        Print nothing.

    Raises
    ------
    DivergedError
        If a metric, or a number that should go into a checkpoint, is NaN or infinite.
    OSError
        If something cannot be written.
    """
    keeper = _Keeper(system, run, plan, start, best, quiet)
    with closing(system.batches(start)) as batches:
        try:
            for step in range(start, plan.steps):
                keeper.add(system.train(next(batches), step), step, batches.waited_seconds)
                done = step + 1
                last = interrupt.asked() or done == plan.steps
                if done % plan.checkpoint_every == 0 or last:
                    keeper.measure(done)  # before the report is drawn, which shows it
                if done % plan.sample_every == 0 or last:
                    shown(keeper.draw(done, last))
                if done % plan.checkpoint_every == 0 or last:
                    keeper.save(done)
                keeper.call(callbacks, done)
                if last:
                    return done
        except DivergedError as error:
            keeper.report("stopped", str(error))
            raise
        finally:
            keeper.progress.close()
    return start


class _Keeper:
    """Writes down what the steps give.

    On a GPU a step's metrics are fetched after the next step was started, so that it never idles.
    """

    def __init__(
        self,
        system: System,
        run: RunFolder,
        plan: Plan,
        start: int,
        best: Best | None,
        quiet: bool = False,
    ):
        assert run.metrics is not None  # it was opened
        self.system, self.run, self.plan, self.best = system, run, plan, best
        self.metrics = run.metrics
        options = system.options
        self.progress = Progress(system.labels, plan.steps, start, options.batch_size, quiet=quiet)
        self.lag = 0 if options.backend == "numpy" else 1
        self.fresh: list[dict] = []
        self.pending: deque = deque()
        self.monitor = Monitor(system, run.path / "watch.jsonl", self.metrics.rows)
        self.scored: tuple[int, float | None] = (-1, None)
        self.plotted = -math.inf
        self.clock = time.perf_counter()

    def add(self, metrics: dict, step: int, waited: float) -> None:
        self.pending.append((step, Pending(metrics), waited))
        while len(self.pending) > self.lag:
            self._record()

    def flush(self) -> None:
        """Wait for all metrics that are under way."""
        while self.pending:
            self._record()

    def _record(self) -> None:
        step, pending, waited = self.pending.popleft()
        values = pending.result()
        for name in self.system.metric_names:
            if not math.isfinite(values[name]):
                raise DivergedError(f"{name} is {values[name]} at step {step + 1}", step + 1)
        now = time.perf_counter()
        row = {
            "step": step + 1,
            "epoch": step // self.system.steps_per_epoch + 1,
            **{name: values[name] for name in self.system.metric_names},
            "seconds": round(now - self.clock, 6),
        }
        self.clock = now
        self.metrics.append(row)
        self.progress.update(row, waited)
        self.fresh.append(row)
        self._warn(self.monitor.step(row))

    def _warn(self, warned: Warned | None) -> None:
        if warned is not None:
            self.progress.say(f"warning at step {warned.step}: {warned.text}")

    def call(self, callbacks: Sequence[Callable], done: int) -> None:
        """Call the user's functions with the steps that were recorded since."""
        rows, self.fresh = self.fresh, []
        try:
            for row in rows:
                for callback in callbacks:
                    callback(self.system, row)
        except BaseException as error:
            self.save(done)
            self.report("stopped", f"a callback raised {type(error).__name__}: {error}")
            raise

    def draw(self, done: int, last: bool) -> Path:
        """Draw samples and, if it was not done just now, the curves and the report."""
        self.flush()
        path = self.run.samples / f"step-{done:06d}.png"
        images = self.system.save_samples(path)
        self._warn(self.monitor.samples(done, images))
        if last or time.perf_counter() - self.plotted > _SECONDS_BETWEEN_PLOTS:
            self._try(plot_losses, self.metrics.rows, self._panels(), self.run.path / "losses.png")
            ended = "finished" if done == self.plan.steps else "stopped"
            self.report(ended if last else "training")
            self.plotted = time.perf_counter()
        self.clock = time.perf_counter()
        return path

    def _panels(self) -> tuple[Panel, ...]:
        names = self.system.metric_names
        return self.system.panels or (Panel("Metrics", {name: name for name in names}),)

    def report(self, state: str, error: str = "") -> None:
        """Write ``report.html`` anew."""
        rows, panels = self.metrics.rows, self._panels()
        self._try(write_report, self.run.path, rows, state, error, panels)

    def _try(self, draw: Callable, *arguments: Any) -> None:
        """Draw a plot or the report; what goes wrong there is a warning and stops no training."""
        try:
            draw(*arguments)
        except Exception as error:
            what = draw.__name__.replace("_", " ")
            self.progress.say(f"warning: cannot {what}: {error or type(error).__name__}")

    def measure(self, done: int) -> None:
        """Note how far the pictures are from the data."""
        self.flush()
        self.scored = done, score_of(self.system, self.system.score())
        self.monitor.scored(*self.scored)

    def save(self, done: int) -> None:
        """Write a checkpoint; the metrics' lines are on the disk before it is."""
        if self.scored[0] != done:
            self.measure(done)
        score = self.scored[1]
        if score is not None and (self.best is None or score < self.best.score):
            self.best = Best(done, score)
        self.metrics.sync()
        noted = info(self.system, score, self.best)
        save_checkpoint(self.run.checkpoints, self.system, done, noted)
        self.run.prune(self.plan.keep, self.best.step if self.best else None)
        self.clock = time.perf_counter()
