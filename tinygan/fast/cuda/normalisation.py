"""Statistics of normalisation, and what is done with them; see `tinygan.fast.cpu.normalise`.

Arrays are ``(G, M, C)`` as there.  How the pixels are divided into parts depends on the sizes
alone, and parts are merged in their order: the same bits every time.
"""

from __future__ import annotations

from tinygan.fast.cuda.module import THREADS, blocks, launch
from tinygan.machine.arrays import get_xp

_BLOCKS = 1024  # of a reduction's first kernel: several for every multiprocessor of a large GPU
_LEAST_PIXELS = 64  # of a part, for each of a block's rows of threads: fewer are not worth merging


def _parts(groups, pixels, channels):
    """Return a block's shape, the grid, and the pixels of a part."""
    across = 32
    while across // 2 >= channels:
        across //= 2
    down = THREADS // across
    columns = -(-channels // across)
    parts = max(1, min(_BLOCKS // (columns * groups), pixels // (down * _LEAST_PIXELS)))
    part = -(-pixels // parts)
    return (across, down), (columns, -(-pixels // part), groups), part


def moments(x):
    """Return mean and variance ``(G, C)`` by one pass over `x`."""
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


def move_running(running_mean, running_var, mean, var, count, momentum):
    """Move the running statistics towards those of a batch of `count` values, in place."""
    launch("move_running", mean.dtype, blocks(mean.size), mean, var, running_mean, running_var,
           float(momentum), count / (count - 1), mean.size)  # fmt: skip


def normalise(x, mean, var, gamma, beta, eps, negative_slope=None):
    """Return y, rstd and scale."""
    xp = get_xp(x)
    groups, pixels, channels = x.shape
    y = xp.empty_like(x)
    rstd, scale = (xp.empty((groups, channels), x.dtype) for _ in range(2))
    launch("normalise", x.dtype, blocks(x.size), x, mean, var, gamma, beta, y, rstd, scale,
           float(eps), _slope(negative_slope), pixels, channels, x.size)  # fmt: skip
    return y, rstd, scale


def _slope(negative_slope) -> float:
    """Return the slope for a kernel: where there is no activation, 1 changes nothing."""
    return 1.0 if negative_slope is None else float(negative_slope)


def _sums(dy, x=None, mean=None, rstd=None, y=None, negative_slope=None):
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


def column_sums(dy):
    """Return the sum over all axes but the last: a bias's gradient."""
    return _sums(dy.reshape(1, -1, dy.shape[-1]))[0][0]


def normalise_backward(dy, x, mean, rstd, scale, y=None, negative_slope=None, input_gradient=True):
    """Return dx, or None, and the sums of du and of du · x̂, both ``(G, C)``.

    du, the gradient behind the activation, is never written down: each kernel makes it of dy and y.
    """
    _, pixels, channels = x.shape
    sum_du, sum_du_xhat = _sums(dy, x, mean, rstd, y, negative_slope)
    if not input_gradient:
        return None, sum_du, sum_du_xhat
    dx = get_xp(x).empty_like(x)
    launch("normalise_backward", x.dtype, blocks(x.size), dy, y, x, mean, rstd, scale, sum_du,
           sum_du_xhat, dx, _slope(negative_slope), pixels, channels, x.size)  # fmt: skip
    return dx, sum_du, sum_du_xhat
