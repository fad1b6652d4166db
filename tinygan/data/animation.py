"""Animated pictures, WebP or GIF."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tinygan.data.mark import metadata
from tinygan.errors import DataError
from tinygan.files import replaced

__all__ = ["ANIMATIONS", "save_animation"]

ANIMATIONS = {".webp": "WEBP", ".gif": "GIF"}
"""Ending of a file's name → its format."""

_QUALITY: dict[str, dict[str, Any]] = {
    "WEBP": {"quality": 90, "method": 4},
    "GIF": {"optimize": False},
}


def save_animation(
    frames: Iterable[np.ndarray], path: Path, milliseconds: int = 100, note: str | None = None
) -> None:
    """Write pictures of one size as an animation that begins again at its end, in one go.

    Parameters
    ----------
    frames : iterable of ndarray
        Bytes ``(H, W, 3 or 1)``.
    path : Path
        Its ending says the format: ``.webp``, of all colours, or ``.gif``, of 256 a frame.
    milliseconds : int
        How long a frame is shown.
    note : str, optional
        Who made it, see ``tinygan/data/mark.py``.
    """
    pictures = [Image.fromarray(f if f.shape[2] == 3 else f[:, :, 0]) for f in frames]
    if not pictures:
        raise DataError("save_animation: expected at least one frame, got none")
    kind = ANIMATIONS[path.suffix.lower()]
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as beside:
        pictures[0].save(
            beside,
            kind,
            save_all=True,
            append_images=pictures[1:],
            duration=milliseconds,
            loop=0,
            **_QUALITY[kind],
            **metadata(kind, note),
        )
