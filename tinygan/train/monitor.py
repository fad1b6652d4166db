"""``watch.jsonl``: how varied the samples and how far they were, and what was warned of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from tinygan.files import open_to_append, write_text
from tinygan.runs.watched import read_watch
from tinygan.systems.system import System
from tinygan.train.alarms import Alarms, Variety, Warned, variety

__all__ = ["Monitor"]


class Monitor:
    """Feeds the alarms with what a run does, and writes down what they say.

    Parameters
    ----------
    system : System
        Its `scores` and `real_images` are asked for.
    path : Path
        The file.  What it holds of steps that will be taken again is cut off.
    rows : sequence of dict
        The metrics of the steps that were taken already.
    """

    def __init__(self, system: System, path: Path, rows: Sequence[dict]):
        self.system, self.path = system, path
        self._alarms: Alarms | None = None
        self._take_up(rows)

    def step(self, row: dict) -> Warned | None:
        """Look at the metrics of a step."""
        scores = self.system.scores(row)
        if scores is None:
            return None
        return self._noted(self._watching().observe(row["step"], *scores))

    def samples(self, step: int, pictures: np.ndarray | None) -> Warned | None:
        """Look at a batch of samples, or at None where their variety says nothing."""
        if pictures is None:
            return None
        alarms = self._watching(len(pictures))
        seen = variety(pictures)
        data = {f"data_{name}": value for name, value in asdict(alarms.data).items()}
        self._write({"step": step, **asdict(seen), **data})
        return self._noted(alarms.look(step, seen))

    def scored(self, step: int, score: float | None) -> None:
        """Note the distance to the data, see `System.score`, and what to compare it with."""
        if score is not None:
            self._write({"step": step, "score": score, **self.system.score_references()})

    def _watching(self, count: int = 64) -> Alarms:
        if self._alarms is None:
            real = self.system.real_images(count)
            data = Variety(1.0, 1.0) if real is None else variety(real)
            self._alarms = Alarms(data, self.system.advice, self.system.sure)
        return self._alarms

    def _noted(self, warned: Warned | None) -> Warned | None:
        if warned is not None:
            self._write({"step": warned.step, "warning": warned.kind, "text": warned.text})
        return warned

    def _write(self, line: dict) -> None:
        with open_to_append(self.path) as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _take_up(self, rows: Sequence[dict]) -> None:
        """Bring file and alarms to where they were after the steps of `rows`."""
        lines = [line for line in read_watch(self.path) if line["step"] <= len(rows)]
        if self.path.exists():
            text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            write_text(self.path, text)
        looks = {line["step"]: line for line in lines if "diversity" in line}
        for row in rows:
            if scores := self.system.scores(row):
                self._watching().observe(row["step"], *scores)
            if look := looks.get(row["step"]):
                self._watching().look(row["step"], Variety(look["diversity"], look["nearest"]))
