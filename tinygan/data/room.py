"""How much room there is, so that absurd numbers are refused before they are tried."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["disk_bytes", "memory_bytes"]


def memory_bytes() -> float:
    """Return the machine's memory; 64 GB where that is not known."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # Windows
        return 2.0**36


def disk_bytes(path: str | os.PathLike) -> tuple[int, Path]:
    """Return what is free where `path` is, or would be, and the folder that is there already."""
    place = Path(path).absolute()
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free, place
