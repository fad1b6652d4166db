"""Between bytes 0..255, as images are kept, and float32 in [−1, 1], as networks see them."""

from __future__ import annotations

import numpy as np

from tinygan.errors import DataError

__all__ = ["to_float", "to_uint8"]


def to_float(images: np.ndarray) -> np.ndarray:
    """Return bytes 0..255 as float32 in [−1, 1]; floats stay as they are.

    Examples
    --------
    >>> to_float(np.array([0, 255], np.uint8))
    array([-1.,  1.], dtype=float32)
    """
    images = np.asarray(images)
    if np.issubdtype(images.dtype, np.floating):
        return images
    if images.dtype != np.uint8:
        raise DataError(f"to_float: expected uint8 or floats in [-1, 1], got {images.dtype}")
    y = np.multiply(images, np.float32(1 / 127.5), dtype=np.float32)
    y -= 1
    return y


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Return images of [−1, 1] as bytes 0..255, rounded and clipped; bytes stay as they are.

    Examples
    --------
    >>> to_uint8(np.array([-1.0, 0.0, 1.0, 7.0]))
    array([  0, 128, 255, 255], dtype=uint8)
    """
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise DataError(f"to_uint8: expected floats in [-1, 1] or uint8, got {images.dtype}")
    return np.clip(np.rint((np.nan_to_num(images) + 1) * 127.5), 0, 255).astype(np.uint8)
