"""Padding by reflection and upsampling: whole rows copied, and added up in place."""

from __future__ import annotations

import numpy as np

from tinygan.fast.cpu.slices import usable
from tinygan.fast.dispatch import override
from tinygan.machine.arrays import Array, Size


@override("reflection_pad", "numpy", usable)
def reflection_pad(x: Array, padding: Size) -> Array:
    ph, pw = padding
    n, h, w, c = x.shape
    y = np.empty((n, h + 2 * ph, w + 2 * pw, c), x.dtype)
    middle = y[:, ph : ph + h]
    middle[:, :, pw : pw + w] = x
    for j in range(pw):  # column pw−1−j mirrors column pw+1+j, the border itself is not repeated
        middle[:, :, pw - 1 - j] = middle[:, :, pw + 1 + j]
        middle[:, :, pw + w + j] = middle[:, :, pw + w - 2 - j]
    for i in range(ph):
        y[:, ph - 1 - i] = y[:, ph + 1 + i]
        y[:, ph + h + i] = y[:, ph + h - 2 - i]
    return y, padding


@override("reflection_pad_backward", "numpy", usable)
def reflection_pad_backward(dy: Array, padding: Size) -> Array:
    """Add to the middle its mirror images: those of rows, of columns, and of both."""
    h, w = (size - 2 * p for size, p in zip(dy.shape[1:3], padding, strict=True))
    rows, columns = _images(h, padding[0]), _images(w, padding[1])
    dx = dy[:, rows[0][1], columns[0][1]].copy()
    for to_rows, from_rows in rows:
        for to_columns, from_columns in columns:
            if (to_rows, to_columns) != (rows[0][0], columns[0][0]):
                dx[:, to_rows, to_columns] += dy[:, from_rows, from_columns]
    return dx


def _images(size: int, p: int) -> list[tuple[slice, slice]]:
    """Return where an axis goes to and comes from: itself, then its mirror images on both sides."""
    every = (slice(0, size), slice(p, p + size))
    before = (slice(1, p + 1), slice(p - 1, None, -1) if p else slice(0, 0))
    after = (slice(size - 1 - p, size - 1), slice(p + size + p - 1, p + size - 1, -1))
    return [every, before, after] if p else [every]


@override("upsample", "numpy", usable)
def upsample(x: Array, scale: Size) -> Array:
    sh, sw = scale
    n, h, w, c = x.shape
    y = np.empty((n, h, sh, w, sw, c), x.dtype)
    y[...] = x[:, :, None, :, None, :]
    return y.reshape(n, h * sh, w * sw, c), scale


@override("upsample_backward", "numpy", usable)
def upsample_backward(dy: Array, scale: Size) -> Array:
    sh, sw = scale
    n, h, w, c = dy.shape
    blocks = dy.reshape(n, h // sh, sh, w // sw, sw, c)
    dx = blocks[:, :, 0, :, 0].copy()
    for i in range(sh):
        for j in range(sw):
            if i or j:
                dx += blocks[:, :, i, :, j]
    return dx
