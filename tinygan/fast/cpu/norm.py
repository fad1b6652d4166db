"""Normalisation, and the activation behind it, of arrays ``(G, M, C)``.

The work is cut into blocks that fit the cache: all that is done to a block is done while it is
there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from tinygan.fast.cpu.activation import fill_leaky_relu, fill_leaky_relu_backward
from tinygan.fast.cpu.slices import SLICE, sum_rows
from tinygan.fast.cpu.slices import usable as of_one_dtype
from tinygan.fast.dispatch import override
from tinygan.fast.merging import merge
from tinygan.machine.arrays import Array
from tinygan.machine.parallel import run, split, workspace

ROW = 1 << 13
"""Elements a row should have: NumPy's buffer.  Its loops over shorter ones take twice as long."""

_PART = 1 << 10  # rows that one pixel is subtracted from in `moments`


def usable(x: Array, *rest: Any, **named: Any) -> bool:
    return x.size > 0 and of_one_dtype(x, *rest)


@override("moments", "numpy", usable)
def moments(x: Array) -> tuple[Array, Array]:
    r"""Take the pixels in many small parts, by one pass over `x`.

    Before anything of a part is squared, its first pixel :math:`x_0` is subtracted; with
    :math:`c = x - x_0` over the part,

    .. math::
        \mu_p = x_0 + \bar c, \qquad \sigma_p^2 = \overline{c^2} - \bar c^2 .

    Since :math:`x_0` is one of the part's :math:`n_p` pixels, the minuend is at most
    :math:`1 + n_p` times the difference: few digits are lost.  :math:`E[x^2] - \mu^2` has no such
    bound: at a mean of a thousand standard deviations nothing of the variance is left in float32.
    The parts are merged in a fixed order (Chan, Golub, LeVeque, 1983), by

    .. math::
        \mu = \sum_p \tfrac{n_p}{M} \mu_p, \qquad
        \sigma^2 = \sum_p \tfrac{n_p}{M} \big( \sigma_p^2 + (\mu_p - \mu)^2 \big) .
    """
    side = _side_by_side(*x.shape)
    wide = _widen(x, side)

    def of_block(groups: slice, rows: slice) -> tuple[Array, Array, int]:
        block = wide[groups, rows]
        first = block[:, 0]
        centred = np.subtract(block, first[:, None], out=_scratch(block))
        mean = sum_rows(centred) / block.shape[1]
        var = np.einsum("gmc,gmc->gc", centred, centred) / block.shape[1] - mean * mean
        means, variances = (v.reshape(-1, side, x.shape[2]) for v in (first + mean, var))
        return *merge(means, variances, 1 / side), block.shape[1]

    merged = []
    for blocks in _blocks(of_block, wide, most=_PART):
        means, variances, counts = zip(*blocks, strict=True)
        if len(blocks) == 1:
            merged.append((means[0], variances[0]))
        else:
            shares = np.asarray(counts, x.dtype)[:, None] / sum(counts)
            merged.append(merge(np.stack(means, axis=1), np.stack(variances, axis=1), shares))
    mean, var = (np.concatenate(groups) for groups in zip(*merged, strict=True))
    return mean, var


@override("normalize", "numpy", usable)
def normalize(
    x: Array,
    mean: Array,
    var: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    negative_slope: float | None = None,
) -> tuple[Array, Any]:
    rstd = 1 / np.sqrt(var + eps)
    scale = rstd if gamma is None else rstd * gamma
    y = np.empty(x.shape, x.dtype)
    side = _side_by_side(*x.shape)
    wide, wide_y = _widen(x, side), _widen(y, side)
    wide_mean, wide_scale = _repeat(mean, side), _repeat(scale, side)
    wide_beta = None if beta is None else _repeat(beta[None], side)

    def fill(groups: slice, rows: slice) -> None:
        out = wide_y[groups, rows]
        u = out if negative_slope is None else _scratch(out)
        np.subtract(wide[groups, rows], wide_mean[groups], out=u)
        u *= wide_scale[groups]
        if wide_beta is not None:
            u += wide_beta
        if negative_slope is not None:
            fill_leaky_relu(out, u, negative_slope)

    _blocks(fill, wide)
    return y, (x, mean, rstd, scale, None if negative_slope is None else y, negative_slope)


@override("normalize_sums", "numpy", lambda dy, cache, **_: usable(dy, cache))
def normalize_sums(dy: Array, cache: Any, keep: bool = True) -> tuple[Array, Array, Array | None]:
    """Return du, too, if there is an activation and `keep`: `normalize_backward` uses it up."""
    x, mean, rstd, _, y, negative_slope = cache
    side = _side_by_side(*x.shape)
    kept = np.empty(x.shape, x.dtype) if keep and y is not None else None
    wide, wide_dy, wide_y, wide_kept = (_widen(a, side) for a in (x, dy, y, kept))
    wide_mean = _repeat(mean, side)

    def sums(groups: slice, rows: slice) -> tuple[Array, Array]:  # of du and of du · (x − mean)
        du = wide_dy[groups, rows]
        if y is not None:
            out = _scratch(du, "du") if kept is None else wide_kept[groups, rows]
            fill_leaky_relu_backward(out, du, wide_y[groups, rows], negative_slope)
            du = out
        centred = np.subtract(wide[groups, rows], wide_mean[groups], out=_scratch(du))
        return sum_rows(du), np.einsum("gmc,gmc->gc", du, centred)

    def total(parts: Any) -> Array:  # (G, C)
        return sum(parts).reshape(-1, side, x.shape[2]).sum(axis=1)

    blocks = [zip(*row, strict=True) for row in _blocks(sums, wide)]
    sum_du, sum_du_xhat = (
        np.concatenate([total(parts) for parts in group]) for group in zip(*blocks, strict=True)
    )
    return sum_du, rstd * sum_du_xhat, kept


@override("normalize_backward", "numpy", lambda dy, cache, *sums: usable(dy, cache, *sums))
def normalize_backward(
    dy: Array, cache: Any, sum_du: Array, sum_du_xhat: Array, du: Array = None
) -> Array:
    """Write over `du`, if it is given."""
    x, mean, rstd, scale, y, negative_slope = cache
    side = _side_by_side(*x.shape)
    dx = np.empty(x.shape, x.dtype) if du is None else du
    wide, wide_dy, wide_y, wide_dx = (_widen(a, side) for a in (x, dy, y, dx))
    mean_du = _repeat(sum_du / x.shape[1], side)
    mean_du_xhat = _repeat(sum_du_xhat * rstd / x.shape[1], side)  # the rstd is that of x̂
    wide_mean, wide_scale = _repeat(mean, side), _repeat(scale, side)

    def fill(groups: slice, rows: slice) -> None:  # dx = scale · (du − mean(du) − x̂ · mean(du x̂))
        out = wide_dx[groups, rows]
        part = wide_dy[groups, rows] if du is None else out
        if du is None and y is not None:
            fill_leaky_relu_backward(out, part, wide_y[groups, rows], negative_slope)
            part = out
        taken = np.subtract(wide[groups, rows], wide_mean[groups], out=_scratch(out))
        taken *= mean_du_xhat[groups]
        taken += mean_du[groups]
        np.subtract(part, taken, out=out)
        out *= wide_scale[groups]

    _blocks(fill, wide)
    return dx


@cache
def _side_by_side(groups: int, pixels: int, channels: int) -> int:
    """Return how many pixels to see side by side as one row: a divisor of their number."""
    wanted = -(-ROW // channels)
    most = pixels if groups == 1 else pixels // 8  # of many groups, the channels' values count too
    divisors = [n for n in range(1, min(most, 4 * wanted) + 1) if pixels % n == 0]
    return next((n for n in divisors if n >= wanted), max(divisors, default=1))


def _widen(x: Array, side: int) -> Array:
    """See ``(G, M, C)`` as ``(G, M / side, side · C)``; None stays None."""
    if x is None:
        return None
    g, m, c = x.shape
    return x.reshape(g, m // side, side * c)


def _repeat(values: Array, side: int) -> Array:
    """Repeat the channels' values ``(G, C)`` for each pixel of a row, ``(G, 1, side · C)``."""
    return values[:, None].repeat(side, axis=1).reshape(len(values), 1, -1)


def _scratch(like: Array, name: str = "centred") -> Array:
    """Return an array of the shape and dtype of `like` whose content matters to this block only."""
    return workspace(f"normalize {name}", like.shape, like.dtype)


def _blocks(function: Callable[..., Any], x: Array, most: int = SLICE) -> list:
    """Call ``function(groups, rows)`` with slices that cut ``x`` (G, M, C) into fixed blocks.

    A block has `most` rows at most.  Returns a list for each range of groups: the results of its
    blocks in the order of the rows.
    """
    g, m, c = x.shape
    size = min(most, max(1, SLICE // c))
    group_ranges = split(g, max(1, size // m))
    row_ranges = split(m, size)
    places = [(slice(*a), slice(*b)) for a in group_ranges for b in row_ranges]
    results = run([partial(function, *place) for place in places])
    return [results[i : i + len(row_ranges)] for i in range(0, len(results), len(row_ranges))]
