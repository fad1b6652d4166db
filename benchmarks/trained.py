"""Runs that benchmarks are about: trained once, resumed where interrupted, measured once."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tinygan
from benchmarks.machine import describe
from tinygan.metrics import RandomFeatures, frechet_distance
from tinygan.runs.folder import read_config
from tinygan.runs.run import Run

__all__ = ["Record", "command", "frechet", "tail", "trained"]


def command(system: str, options: dict[str, Any]) -> str:
    """Return the command that trains with these options."""
    words = [f"python -m tinygan.train {system}"]
    for name, value in options.items():
        flag = name.replace("_", "-")
        words.append(f"--{flag} {value}" if value is not True else f"--{flag}")
    return " ".join(words)


def trained(
    system: str, options: dict[str, Any], folder: Path, callbacks: Sequence[Callable] = ()
) -> Run:
    """Train into `folder`; or go on there, or open what is finished.  See `tinygan.fit`."""
    if (folder / "config.json").is_file():
        run = tinygan.fit(resume=str(folder), quiet=True, callbacks=callbacks)
    else:
        run = tinygan.fit(system, out=str(folder), quiet=True, callbacks=callbacks, **options)
    total = read_config(folder)["total_steps"]
    if run.step < total:
        raise SystemExit(f"{folder}: stopped after {run.step} of {total} steps; call again")
    return run


def frechet(run: Run, real: np.ndarray, count: int = 1000) -> float:
    """Return the Fréchet distance of `count` pictures to `real`, in tinygan's own features."""
    features = RandomFeatures(run.options.image_size)
    return frechet_distance(features(real), features(run.generate(count)))


def tail(run: Run, name: str, count: int = 100) -> float:
    """Return the mean of a metric over the last steps."""
    return float(np.mean([row[name] for row in run.history[-count:]]))


class Record:
    """What was measured, row by row, in a JSON file that is written after each."""

    def __init__(self, path: Path):
        self.path = path
        self.rows = self._read()

    def _read(self) -> dict[str, dict]:
        return json.loads(self.path.read_text())["rows"] if self.path.exists() else {}

    def row(self, name: str, measure: Callable[[], dict]) -> dict:
        """Return a row; measure it unless it is there."""
        if name not in self.rows:
            found = measure()
            self.rows = {**self._read(), name: found}  # another process may have added to it
            about = {k: v for k, v in describe("numpy").items() if k != "command"}  # names folders
            text = json.dumps({"about": about, "rows": self.rows}, indent=1, ensure_ascii=False)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text + "\n")
            print(name, self.rows[name], flush=True)
        return self.rows[name]
