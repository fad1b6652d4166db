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
    ph, pw = padding
    h, w = dy.shape[1] - 2 * ph, dy.shape[2] - 2 * pw
    rows = dy[:, ph : ph + h].copy()
    for i in range(ph):
        rows[:, 1 + i] += dy[:, ph - 1 - i]
        rows[:, h - 2 - i] += dy[:, ph + h + i]
    dx = rows[:, :, pw : pw + w].copy()
    for j in range(pw):
        dx[:, :, 1 + j] += rows[:, :, pw - 1 - j]
        dx[:, :, w - 2 - j] += rows[:, :, pw + w + j]
    return dx


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
