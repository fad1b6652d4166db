"""``metrics.jsonl``: one line a step, also across kills and resumes."""

from __future__ import annotations

import json
import math
import os
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.errors import UserError
from tinygan.files import open_to_append

__all__ = ["MetricsFile", "Rows", "curve", "read_metrics"]

_BLOCK = 1 << 20  # bytes read at once; lines have a few hundred
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

    def extend(self, columns: dict[str, array]) -> bool:
        """Append whole columns, if they are those that are held already; return whether."""
        if self._length and columns.keys() != self._columns.keys():
            return False
        for name, column in columns.items():
            self._columns.setdefault(name, array("d")).extend(column)
            self._length = len(self._columns[name])
        return True

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
    rows, end, rest = Rows(), 0, b""
    if not path.is_file():
        return rows, end
    due = {"step", "epoch", "seconds", *names} if names else {"step"}
    with open(path, "rb") as file:
        while steps is None or len(rows) < steps:
            *lines, rest = (rest + file.read(_BLOCK)).split(b"\n")
            if steps is not None:
                del lines[steps - len(rows) :]
            columns = _columns(lines, due, len(rows) + 1)
            if columns and rows.extend(columns):
                end += sum(map(len, lines)) + len(lines)
                continue
            for line in lines:  # one by one, up to the first that is damaged
                columns = _columns([line], due, len(rows) + 1)
                if columns is None:
                    return rows, end
                rows.append({name: column[0] for name, column in columns.items()})
                end += len(line) + 1
            if not lines:  # the end, or no text file at all
                break
    return rows, end


def _columns(lines: list[bytes], due: set[str], step: int) -> dict[str, array] | None:
    """Return the numbers of `lines` by name, if all are whole and hold the same names."""
    # it may have been through Windows
    lines = [line.removeprefix(b"\xef\xbb\xbf").removesuffix(b"\r") for line in lines]
    if not all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):
        return None
    try:
        rows = json.loads((b"[" + b",".join(lines) + b"]").decode())
        names = rows[0].keys()
        rows = [row for row in rows if row.keys() == names]
        columns = {name: [row[name] for row in rows] for name in names}
        found = {name: array("d", column) for name, column in columns.items()}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError, OverflowError):
        return None
    if not due <= names or columns["step"] != [*range(step, step + len(lines))]:
        return None
    numbers = all(_NUMBERS.issuperset(map(type, column)) for column in columns.values())
    finite = all(abs(np.array(column)).max() < 1e300 for column in found.values())
    return found if numbers and finite else None
