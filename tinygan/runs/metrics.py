"""``metrics.jsonl``: one line a step, also across kills and resumes."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tinygan.errors import UserError
from tinygan.files import open_to_append

__all__ = ["MetricsFile", "read_metrics"]


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

    Attributes
    ----------
    rows : list of dict
    """

    def __init__(self, path: Path, keep_steps: int = 0):
        self.path = path
        self.rows, end = _read(path, keep_steps) if path.exists() else ([], 0)
        if len(self.rows) != keep_steps:
            raise UserError(
                f"{path}: expected the lines of steps 1 to {keep_steps}, as the checkpoint has "
                f"them, found {len(self.rows)} of them; put the file back or start a new run"
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
        self._file.close()


def read_metrics(path: Path) -> list[dict]:
    """Return the rows of a metrics file; a half-written last line is left out."""
    return _read(path, None)[0]


def _read(path: Path, steps: int | None) -> tuple[list[dict], int]:
    """Return the rows of steps 1, 2, … up to `steps`, and the byte at which they end."""
    rows, end = [], 0
    with open(path, "rb") as file:
        for line in file:
            if steps is not None and len(rows) == steps:
                break
            try:
                row = json.loads(line)
                whole = line.endswith(b"\n") and row["step"] == len(rows) + 1
            except (ValueError, TypeError, KeyError):
                whole = False
            if not whole:
                break
            rows.append(row)
            end += len(line)
    return rows, end
