"""``metrics.jsonl``: one line a step, also across kills and resumes."""

from __future__ import annotations

import json
import math
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.errors import UserError
from tinygan.files import open_to_append

__all__ = ["MetricsFile", "Rows", "curve", "read_metrics"]

_LONGEST = 1 << 16  # bytes; lines have a few hundred
_NUMBERS = {int, float}
_WHOLE = {"step", "epoch"}


class Rows(Sequence):
    """A sequence of dicts of finite numbers by name, held as columns: 8 bytes a number.

    A name may be missing from some rows.  ``step`` and ``epoch`` are whole numbers.
    """

    def __init__(self) -> None:
        self._columns: dict[str, array] = {}
        self._length = 0

    def append(self, row: dict[str, float]) -> None:
        if row.keys() != self._columns.keys():
            for name in row.keys() - self._columns.keys():
                self._columns[name] = array("d", [math.nan]) * self._length
        for name, column in self._columns.items():
            column.append(row.get(name, math.nan))
        self._length += 1

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._length))]
        if not -self._length <= index < self._length:
            raise IndexError(f"expected a row from 0 to {self._length - 1}, got {index}")
        return self._row(column[index] for column in self._columns.values())

    def __iter__(self) -> Iterator[dict[str, float]]:
        return map(self._row, zip(*self._columns.values(), strict=True))

    def _row(self, values: Iterable[float]) -> dict[str, float]:
        row = {n: v for n, v in zip(self._columns, values, strict=True) if v == v}  # no NaN
        for name in _WHOLE & row.keys():
            row[name] = int(row[name])
        return row

    def curve(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps that have this metric, and its values."""
        if name not in self._columns:
            return np.empty(0), np.empty(0)
        steps, values = (np.array(self._columns[key]) for key in ("step", name))
        known = ~np.isnan(values)
        return steps[known], values[known]


def curve(rows: Sequence[dict], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the steps of those `rows` that have this metric, and its values."""
    if isinstance(rows, Rows):
        return rows.curve(name)
    known = [row for row in rows if name in row]
    steps, values = (np.array([row[key] for row in known], float) for key in ("step", name))
    return steps, values


class MetricsFile:
    """The metrics of a run, in its file and in memory.

    Each line is handed to the operating system at once, so a killed process loses none; `sync`
    also brings them onto the disk, which is done before each checkpoint.

    Parameters
    ----------
    path : Path
    keep_steps : int
        How many steps to keep of what the file holds already.  Lines after them, a half-written
        one included, are cut off: they will be written again.
    names : sequence of str
        The metrics that each line holds.

    Attributes
    ----------
    rows : Rows
    """

    def __init__(self, path: Path, keep_steps: int = 0, names: Sequence[str] = ()):
        self.path = path
        self.rows, end = _read(path, keep_steps, names)
        if len(self.rows) != keep_steps:
            raise UserError(
                f"{path}: expected the lines of steps 1 to {keep_steps}, as the checkpoint has "
                f"them, found {len(self.rows)} of them, the next is damaged or missing; "
                "put the file back or start a new run"
            )
        self._file = open_to_append(path)
        self._file.truncate(end)

    def append(self, row: dict) -> None:
        """Write one step's line."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        self.rows.append(row)

    def sync(self) -> None:
        """Bring all lines onto the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        with suppress(OSError):  # what could not be written was said when it was to be
            self._file.close()


def read_metrics(path: Path) -> Rows:
    """Return the rows of a metrics file, up to the first line that is half-written or damaged."""
    return _read(path, None)[0]


def _read(path: Path, steps: int | None, names: Sequence[str] = ()) -> tuple[Rows, int]:
    """Return the rows of steps 1, 2, … up to `steps`, and the byte at which they end."""
    rows = Rows()
    end = 0
    if not path.is_file():
        return rows, end
    due = {"step", "epoch", "seconds", *names} if names else {"step"}
    parse = json.JSONDecoder().raw_decode
    with open(path, "rb") as file:
        while steps is None or len(rows) < steps:
            line = file.readline(_LONGEST)
            row = _row(line, due, len(rows) + 1, parse)
            if row is None:
                break
            rows.append(row)
            end += len(line)
    return rows, end


def _row(line: bytes, due: set[str], step: int, parse: Callable) -> dict | None:
    """Return what a line holds if it is whole: numbers by name, of the step that is due."""
    try:
        text = line.decode()
        row, stop = parse(text)
    except (ValueError, RecursionError):
        return None
    if text[stop:] != "\n" or type(row) is not dict or not due <= row.keys() or row["step"] != step:
        return None
    values = row.values()
    if not _NUMBERS.issuperset(map(type, values)):
        return None
    inside = min(values) > -1e300 and max(values) < 1e300
    return row if inside and not any(map(math.isnan, values)) else None
