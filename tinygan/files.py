"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["BESIDE", "read_json", "replaced", "write_json"]

BESIDE = ".part"  # what unfinished files end in; a killed process may leave one behind


@contextmanager
def replaced(path: Path):
    """Give a path beside `path` to write to; move it to `path` when all went well.

    The bytes are on the disk before the name is, so that not even a power cut leaves half a file.
    """
    beside = path.with_name(f".{path.name}{BESIDE}")
    try:
        yield beside
        with open(beside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(beside, path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise


def sync_folder(folder: Path) -> None:
    """Make sure that the names of the files in `folder` are on the disk."""
    with suppress(OSError):  # some systems cannot open folders; there the rename must do
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_json(path: Path, value) -> None:
    """Write `value` as indented JSON, in one go."""
    with replaced(path) as beside:
        beside.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path):
    """Return what a JSON file holds; ValueError or OSError where it cannot be read."""
    return json.loads(path.read_text(encoding="utf-8"))
