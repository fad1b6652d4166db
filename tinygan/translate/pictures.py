"""One picture of any size through a generator, and files in and out."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from tinygan.data import DataError, to_uint8
from tinygan.data.images import enlarge
from tinygan.data.mark import metadata
from tinygan.errors import UserError
from tinygan.files import replaced
from tinygan.machine.memory import available_bytes, size_text
from tinygan.systems.translates import Translates, translated

__all__ = [
    "fitted",
    "save_picture",
    "shrink",
    "shrunk",
    "side_by_side",
    "suffix_to_write",
    "translate_picture",
]

_BETWEEN = 4  # pixels
_LOSSY = {"quality": 95}
_MOST = {"WEBP": 16383, "JPEG": 65535}  # pixels a side


def translate_picture(system: Translates, picture: np.ndarray, direction: str) -> np.ndarray:
    """Return what a system makes of a picture, of the same size times ``system.factor``.

    Parameters
    ----------
    system : Translates
    picture : ndarray
        Bytes ``(H, W, C)``, of any size.
    direction : str

    Returns
    -------
    ndarray
        Bytes ``(H, W, C)``.
    """
    return to_uint8(translated(system, picture[None], direction)[0])


def side_by_side(picture: np.ndarray, made: np.ndarray) -> np.ndarray:
    """Return a picture and its translation beside it, bytes ``(H, W, C)``, white between them."""
    times = made.shape[0] // picture.shape[0]
    left = enlarge(picture[None], times)[0]
    between = np.full((len(made), _BETWEEN, made.shape[2]), 255, np.uint8)
    return np.concatenate([left, between, made], axis=1)


def fitted(system: Translates, picture: np.ndarray, size: int | None) -> np.ndarray:
    """Return a picture with its shorter side scaled to `size`; a UserError if memory is short."""
    height, width = picture.shape[:2] if size is None else shrunk(picture, size)
    needed, free = system.translation_bytes(height, width), available_bytes(system.options.backend)
    if free is not None and needed > free:
        raise UserError(
            f"{width} × {height} pixels need about {size_text(needed)}, "
            f"{size_text(free)} are available; give a smaller --size"
        )
    return picture if size is None else shrink(picture, size)


def shrink(picture: np.ndarray, size: int) -> np.ndarray:
    """Return a picture scaled so that its shorter side is `size` pixels."""
    channels = picture.shape[2]
    target = shrunk(picture, size)[::-1]
    image = Image.fromarray(picture if channels == 3 else picture[:, :, 0])
    resized = np.asarray(image.resize(target, Image.Resampling.LANCZOS, reducing_gap=3.0))
    return resized if channels == 3 else resized[:, :, None]


def shrunk(picture: np.ndarray, size: int) -> tuple[int, int]:
    """Return height and width of a picture whose shorter side is scaled to `size` pixels."""
    height, width, _ = picture.shape
    scale = size / min(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def suffix_to_write(suffix: str) -> str:
    """Return a file's ending if pictures can be written with it, else ``.png``."""
    Image.init()
    return (
        suffix if Image.EXTENSION.get(suffix.lower()) in ("JPEG", "PNG", "WEBP", "BMP") else ".png"
    )


def save_picture(pixels: np.ndarray, path: Path, note: str | None = None) -> None:
    """Write bytes ``(H, W, 3 or 1)`` in the format of the path's ending, in one go.

    A note says who made it, see `tinygan.data.mark`.

    Raises
    ------
    OSError, ValueError
        If it cannot be written, or the format has no room for it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    format_ = Image.registered_extensions()[path.suffix.lower()]
    if max(image.size) > _MOST.get(format_, 1 << 31):
        raise DataError(
            f"{image.width} × {image.height} pixels: a {format_} file holds at most "
            f"{_MOST[format_]} a side; give a smaller --size"
        )
    how = {**(_LOSSY if format_ in ("JPEG", "WEBP") else {}), **metadata(format_, note)}
    made = io.BytesIO()  # Pillow writes JPEGs and others past Python and minds no short write
    image.save(made, format_, **how)
    with replaced(path) as beside:
        beside.write_bytes(made.getvalue())
