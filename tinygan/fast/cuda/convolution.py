"""The matrix of patches and its transpose; between them stand cuBLAS's matrix products."""

from __future__ import annotations

from tinygan.fast.cuda.module import blocks, launch
from tinygan.machine.arrays import Array, Size, get_xp


def patches(
    x: Array, kernel_size: Size, stride: Size, padding: Size, rows: int, columns: int
) -> Array:
    """Return the windows of `x` as rows: ``(N·rows·columns, KH·KW·C)``."""
    n, height, width, channels = x.shape
    shape = (n * rows * columns, kernel_size[0] * kernel_size[1] * channels)
    out = get_xp(x).empty(shape, x.dtype)
    by = _channels_at_once(channels, x, out)
    inner = columns * kernel_size[1] * channels // by
    grid = (n * rows, kernel_size[0], *blocks(inner))
    _launch("patches", by, grid, x, out, (height, width, channels), kernel_size, stride, padding,
            (rows, columns))  # fmt: skip
    return out


def sum_patches(
    copies: Array,
    out: Array,
    kernel_size: Size,
    stride: Size,
    padding: Size,
    rows: int,
    columns: int,
) -> None:
    """Write the sum of each pixel's copies into `out` ``(N, H, W, C)``: the transpose of `patches`.

    `copies` is ``(N·rows·columns, KH·KW·C)``; both are without gaps.
    """
    n, height, width, channels = out.shape
    by = _channels_at_once(channels, copies, out)
    grid = (n * height, 1, *blocks(width * channels // by))
    _launch("sum_patches", by, grid, copies, out, (height, width, channels), kernel_size, stride,
            padding, (rows, columns))  # fmt: skip


def _launch(
    name: str,
    by: int,
    grid: tuple[int, ...],
    source: Array,
    out: Array,
    size: tuple[int, int, int],
    kernel_size: Size,
    stride: Size,
    padding: Size,
    places: Size,
) -> None:
    height, width, channels = size
    launch(f"{name}_by_{by}", out.dtype, grid, source, out, height, width, channels // by,
           *kernel_size, *stride, *padding, *places)  # fmt: skip


def _channels_at_once(channels: int, *arrays: Array) -> int:
    """Return 4 where the memory's alignment allows that, else 1."""
    width = 4 * arrays[0].itemsize
    return 4 if channels % 4 == 0 and all(a.data.ptr % width == 0 for a in arrays) else 1
