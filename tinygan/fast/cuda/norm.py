"""Normalisation, and the activation behind it, of arrays ``(G, M, C)``; see ``norm.cu``.

How the pixels are divided into parts depends on the sizes alone, and parts are merged in their
order: the same bits every time.  du, the gradient behind the activation, is never written down:
each kernel makes it of dy and y.
"""

from __future__ import annotations

from typing import Any

from tinygan.fast.cuda.module import THREADS, blocks, launch, usable
from tinygan.fast.dispatch import override
from tinygan.machine.arrays import Array, get_xp

_BLOCKS = 1024  # of a reduction's first kernel: several for every multiprocessor of a large GPU
_LEAST_PIXELS = 64  # of a part, for each of a block's rows of threads: fewer are not worth merging


def _parts(groups: int, pixels: int, channels: int) -> Any:
    """Return a block's shape, the grid, and the pixels of a part."""
    across = 32
    while across // 2 >= channels:
        across //= 2
    down = THREADS // across
    columns = -(-channels // across)
    parts = max(1, min(_BLOCKS // (columns * groups), pixels // (down * _LEAST_PIXELS)))
    part = -(-pixels // parts)
    return (across, down), (columns, -(-pixels // part), groups), part


@override("moments", "cupy", usable)
def moments(x: Array) -> tuple[Array, Array]:
    groups, pixels, channels = x.shape
    xp, dtype = get_xp(x), x.dtype
    block, grid, part = _parts(groups, pixels, channels)
    parts = grid[1]
    mean, m2 = (xp.empty((groups, parts, channels), dtype) for _ in range(2))
    launch("moments_of_parts", dtype, grid, x, mean, m2, pixels, channels, part, block=block)
    if parts == 1:
        return mean[:, 0], m2[:, 0]
    means, m2s = mean, m2
    mean, var = (xp.empty((groups, channels), dtype) for _ in range(2))
    launch("moments_of_all", dtype, (grid[0], 1, groups), means, m2s, mean, var, channels, pixels,
           part, parts, block=block)  # fmt: skip
    return mean, var


@override("move_running", "cupy", usable)
def move_running(
    running_mean: Array, running_var: Array, mean: Array, var: Array, count: int, momentum: float
) -> None:
    launch("move_running", mean.dtype, blocks(mean.size), mean, var, running_mean, running_var,
           float(momentum), count / (count - 1), mean.size)  # fmt: skip


@override("normalize", "cupy", usable)
def normalize(
    x: Array,
    mean: Array,
    var: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    negative_slope: float | None = None,
) -> tuple[Array, Any]:
    xp = get_xp(x)
    groups, pixels, channels = x.shape
    y = xp.empty_like(x)
    rstd, scale = (xp.empty((groups, channels), x.dtype) for _ in range(2))
    launch("normalize", x.dtype, blocks(x.size), x, mean, var, gamma, beta, y, rstd, scale,
           float(eps), _slope(negative_slope), pixels, channels, x.size)  # fmt: skip
    return y, (x, mean, rstd, scale, None if negative_slope is None else y, negative_slope)


def _slope(negative_slope: float | None) -> float:
    """Return the slope for a kernel: where there is no activation, 1 changes nothing."""
    return 1.0 if negative_slope is None else float(negative_slope)


def _sums(
    dy: Array,
    x: Array = None,
    mean: Array = None,
    rstd: Array = None,
    y: Array = None,
    negative_slope: float | None = None,
) -> Any:
    xp = get_xp(dy)
    groups, pixels, channels = dy.shape
    block, grid, part = _parts(groups, pixels, channels)
    parts = grid[1]
    sums = xp.empty((groups, parts, channels), dy.dtype)
    products = None if x is None else xp.empty_like(sums)
    launch("sums_of_parts", dy.dtype, grid, dy, y, x, mean, sums, products, _slope(negative_slope),
           pixels, channels, part, block=block)  # fmt: skip
    if parts == 1 and x is None:
        return sums[:, 0], None
    total = xp.empty((groups, channels), dy.dtype)
    product = None if x is None else xp.empty_like(total)
    launch("sums_of_all", dy.dtype, (grid[0], 1, groups), sums, products, rstd, total, product,
           channels, parts, block=block)  # fmt: skip
    return total, product


@override("sum_channels", "cupy", usable)
def sum_channels(dy: Array) -> Array:
    return _sums(dy.reshape(1, -1, dy.shape[-1]))[0][0]


@override("normalize_sums", "cupy", usable)
def normalize_sums(dy: Array, cache: Any, keep: bool = True) -> tuple[Array, Array, Array | None]:
    x, mean, rstd, _, y, negative_slope = cache
    return *_sums(dy, x, mean, rstd, y, negative_slope), None


@override("normalize_backward", "cupy", usable)
def normalize_backward(
    dy: Array, cache: Any, sum_du: Array, sum_du_xhat: Array, du: Array = None
) -> Array:
    x, mean, rstd, scale, y, negative_slope = cache
    _, pixels, channels = x.shape
    dx = get_xp(x).empty_like(x)
    launch("normalize_backward", x.dtype, blocks(x.size), dy, y, x, mean, rstd, scale, sum_du,
           sum_du_xhat, dx, _slope(negative_slope), pixels, channels, x.size)  # fmt: skip
    return dx
