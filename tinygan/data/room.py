"""How much room there is, so that absurd numbers are refused before they are tried."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

__all__ = ["disk_bytes"]


def disk_bytes(path: str | os.PathLike) -> tuple[int, Path]:
    """Return what is free where `path` is, or would be, and the folder that is there already."""
    place = Path(path).absolute()
    while not place.is_dir() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free, place
