"""Padding by reflection, a launch each way."""

from __future__ import annotations

from tinygan.fast.cuda.module import blocks, launch, usable
from tinygan.fast.dispatch import override
from tinygan.machine.arrays import Array, Size, get_xp


@override("reflection_pad", "cupy", usable)
def reflection_pad(x: Array, padding: Size) -> Array:
    n, height, width, channels = x.shape
    rows, columns = height + 2 * padding[0], width + 2 * padding[1]
    y = get_xp(x).empty((n, rows, columns, channels), x.dtype)
    grid = (n * rows, 1, *blocks(columns * channels))
    launch("reflection_pad", x.dtype, grid, x, y, height, width, channels, *padding)
    return y, padding


@override("reflection_pad_backward", "cupy", usable)
def reflection_pad_backward(dy: Array, padding: Size) -> Array:
    n, rows, columns, channels = dy.shape
    height, width = rows - 2 * padding[0], columns - 2 * padding[1]
    dx = get_xp(dy).empty((n, height, width, channels), dy.dtype)
    grid = (n * height, 1, *blocks(width * channels))
    launch("reflection_pad_backward", dy.dtype, grid, dy, dx, height, width, channels, *padding)
    return dx
