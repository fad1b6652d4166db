"""Checks and conversions of what the measures are given."""

from __future__ import annotations

import numpy as np

from tinygan.data import to_float
from tinygan.machine.arrays import Array, asnumpy


def images(x: Array, name: str) -> np.ndarray:
    """Return pictures on the host, uint8 or float; a ValueError says what is wrong with them."""
    x = asnumpy(x)
    if x.ndim != 4 or x.shape[3] not in (1, 3) or not len(x):
        raise ValueError(f"{name}: expected images of shape (N, H, W, 3 or 1), got {x.shape}")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"{name}: expected uint8 or floats in [-1, 1], got {x.dtype}")
    return x


def image_pair(
    x: Array, y: Array, names: tuple[str, str] = ("x", "y")
) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of pictures of one size."""
    x, y = images(x, names[0]), images(y, names[1])
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"{names[0]} and {names[1]}: expected pictures of one size, got (H, W, C) "
            f"{x.shape[1:]} and {y.shape[1:]}"
        )
    return x, y


def as_float(x: np.ndarray) -> np.ndarray:
    """Return pictures as float32 in [−1, 1]."""
    return to_float(x).astype(np.float32, copy=False)


def feature_pair(x: Array, y: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return two sets of features ``(N, D)`` as float64."""
    x, y = (np.asarray(asnumpy(a), np.float64) for a in (x, y))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(
            f"expected two sets of features, (N, D) and (M, D), got {x.shape} and {y.shape}"
        )
    if min(len(x), len(y)) < 2:
        raise ValueError(f"expected at least two pictures on each side, got {len(x)} and {len(y)}")
    return x, y
