"""Pictures inside the page: as data URIs, of bounded number and size."""

from __future__ import annotations

import base64
import io
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["data_uri", "sample_files"]

_NAME = re.compile(r"step-([0-9]{1,15})\.png")
_MOST_BYTES = 400_000  # of a picture that is embedded as it is
_MOST_READ = 64 << 20  # bytes and pixels of one of ours


def sample_files(folder: Path, count: int) -> list[tuple[int, Path]]:
    """Return ``(step, path)`` of at most `count` sample pictures, evenly spaced in time."""
    found = sorted(
        (int(match[1]), path)
        for path in folder.glob("step-*.png")
        if (match := _NAME.fullmatch(path.name)) and path.is_file()
    )
    if len(found) <= count:
        return found
    return [found[i] for i in np.linspace(0, len(found) - 1, count).round().astype(int)]


def data_uri(path: Path, longest: int | None = None) -> tuple[str, int, int] | None:
    """Return a picture as ``(URI, width, height)``, or None if it cannot be read.

    Parameters
    ----------
    path : Path
    longest : int, optional
        Make it a JPEG with no side longer than this.  Without, a file of moderate size stays what
        it is.
    """
    try:
        if not path.is_file() or path.stat().st_size > _MOST_READ:
            return None
        content = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        with picture:
            width, height = picture.size
            if width * height > _MOST_READ:
                return None
            if longest is None and len(content) <= _MOST_BYTES and picture.format == "PNG":
                return _uri("png", content), width, height
            picture = picture.convert("RGB")
            picture.thumbnail((longest or 1600,) * 2, Image.Resampling.LANCZOS)
            file = io.BytesIO()
            picture.save(file, "JPEG", quality=85)
            return _uri("jpeg", file.getvalue()), *picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        # gone, or cut short by a full disk: the page goes on without
        return None


def _uri(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
