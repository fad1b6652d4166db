"""Smaller and smaller copies of pictures, and what is lost between them."""

from __future__ import annotations

from typing import Any

import numpy as np

_BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def blur(x: np.ndarray, kernel: np.ndarray, mode: str = "reflect") -> np.ndarray:
    """Convolve pictures (N, H, W, C) with a symmetric kernel along both sides.

    `mode` is ``"reflect"`` (the size stays) or ``"valid"`` (a margin is lost).
    """
    half = len(kernel) // 2
    for axis in (1, 2):
        if mode == "reflect":
            widths = [(0, 0)] * 4
            widths[axis] = (half, half)
            x = np.pad(x, widths, mode="reflect")
        size = x.shape[axis] - 2 * half
        part = [slice(None)] * 4
        total: Any = 0
        for k, weight in enumerate(kernel):
            part[axis] = slice(k, k + size)
            total = total + x[tuple(part)] * weight
        x = total
    return x


def laplacian_pyramid(x: np.ndarray, smallest: int) -> list[np.ndarray]:
    """Return the detail of each size, the largest first, and last the smallest picture itself.

    A level is what halving and doubling the picture loses, so that all levels add up to it.
    Halving stops before a side falls below `smallest` or at an odd size.
    """
    levels = []
    while min(x.shape[1:3]) // 2 >= smallest and x.shape[1] % 2 == x.shape[2] % 2 == 0:
        small = blur(x, _BINOMIAL)[:, ::2, ::2]
        levels.append(x - enlarge(small))
        x = small
    return [*levels, x]


def enlarge(x: np.ndarray) -> np.ndarray:
    """Double the sides: zeros between the pixels, then blurred by the same kernel."""
    n, h, w, c = x.shape
    large = np.zeros((n, 2 * h, 2 * w, c), x.dtype)
    large[:, ::2, ::2] = x
    return blur(large, 2 * _BINOMIAL)
