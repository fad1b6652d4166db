"""What happens to pictures on their way through the world: JPEG, blur, resizing."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from tinygan.data.conversion import to_uint8
from tinygan.errors import DataError

__all__ = ["DEGRADATIONS", "LEVELS", "degrade"]


def _jpeg(picture: Image.Image, quality: float) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=round(quality))
    return Image.open(file)


def _blur(picture: Image.Image, sigma: float) -> Image.Image:
    return picture.filter(ImageFilter.GaussianBlur(sigma))


def _resize(picture: Image.Image, factor: float) -> Image.Image:
    small = max(1, round(picture.width * factor)), max(1, round(picture.height * factor))
    return picture.resize(small, Image.Resampling.BICUBIC).resize(
        picture.size, Image.Resampling.BICUBIC
    )


DEGRADATIONS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    "jpeg": _jpeg,
    "blur": _blur,
    "resize": _resize,
}
LEVELS = {"jpeg": (90, 70, 50, 30), "blur": (0.5, 1.0, 2.0), "resize": (0.75, 0.5, 0.25)}
"""Usual levels, from the weakest on: quality, standard deviation in pixels, factor."""


def degrade(images: np.ndarray, kind: str, level: float) -> np.ndarray:
    """Return pictures as they are after one of `DEGRADATIONS`, of their size.

    Parameters
    ----------
    images : ndarray
        ``(N, H, W, C)``, bytes or in [−1, 1].
    kind : {"jpeg", "blur", "resize"}
    level : float
        JPEG's quality, 1 to 95; the blur's standard deviation in pixels; the factor by which a
        picture is made smaller before it is enlarged again.

    Returns
    -------
    ndarray
        Bytes ``(N, H, W, C)``.

    Examples
    --------
    >>> noise = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8)
    >>> bool(degrade(noise, "blur", 1.0).std() < noise.std() / 2)
    True
    """
    if kind not in DEGRADATIONS:
        raise DataError(f"degrade: expected one of {', '.join(DEGRADATIONS)}, got {kind!r}")
    images = to_uint8(images)
    out = np.empty_like(images)
    for i, image in enumerate(images):
        picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
        out[i] = np.asarray(DEGRADATIONS[kind](picture, level)).reshape(image.shape)
    return out
