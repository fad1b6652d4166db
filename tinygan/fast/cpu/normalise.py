"""Normalisation, and the activation behind it, as functions of arrays ``(G, M, C)``.

G groups of M pixels with C channels, each group and channel normalised on its own.  For batch
normalisation the whole batch is one group, for instance normalisation each image is.

On the CPU the work is cut into blocks that fit the cache: all that is done to a block is done
while it is there.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tinygan.fast import cuda as kernels
from tinygan.fast.cpu.slices import SLICE, sum_rows
from tinygan.layers.activation import fill_leaky_relu, fill_leaky_relu_backward
from tinygan.machine.arrays import get_xp
from tinygan.machine.parallel import run, split, workspace

__all__ = ["moments", "normalise", "normalise_backward"]

ROW = 1 << 13
"""Elements a row should have: NumPy's buffer.  Its loops over shorter ones take twice as long."""

_PART = 1 << 10  # rows that one pixel is subtracted from in `moments`


def moments(x):
    r"""Return mean and (biased) variance over the pixels of each group.

    Parameters
    ----------
    x : ndarray
        ``(G, M, C)``.

    Returns
    -------
    mean, var : ndarray
        Both ``(G, C)``.

    Notes
    -----
    The pixels are taken in many small parts.  Before anything of a part is squared, its first
    pixel :math:`x_0` is subtracted; with :math:`c = x - x_0` over the part,

    .. math::
        \mu_p = x_0 + \bar c, \qquad \sigma_p^2 = \overline{c^2} - \bar c^2 .

    Since :math:`x_0` is one of the part's :math:`n_p` pixels, the minuend is at most
    :math:`1 + n_p` times the difference: few digits are lost.  The textbook's
    :math:`E[x^2] - \mu^2` has no such bound: at a mean of a thousand standard deviations nothing
    of the variance is left in float32.  The parts are merged in a fixed order, by

    .. math::
        \mu = \sum_p \tfrac{n_p}{M} \mu_p, \qquad
        \sigma^2 = \sum_p \tfrac{n_p}{M} \big( \sigma_p^2 + (\mu_p - \mu)^2 \big) .

    References
    ----------
    Chan, Golub, LeVeque, *Algorithms for Computing the Sample Variance*, 1983.
    """
    if kernels.usable(x):
        return kernels.moments(x)
    xp = get_xp(x)
    side = _side_by_side(*x.shape)
    wide = _widen(x, side)

    def of_block(groups, rows):
        block = wide[groups, rows]
        first = block[:, 0]
        centred = xp.subtract(block, first[:, None], out=_scratch(block))
        mean = sum_rows(centred, xp) / block.shape[1]
        var = xp.einsum("gmc,gmc->gc", centred, centred) / block.shape[1] - mean * mean
        parts = [value.reshape(-1, side, x.shape[2]) for value in (first + mean, var)]
        return *_merge(*parts, 1 / side), block.shape[1]

    merged = []
    for blocks in _blocks(of_block, wide, most=_PART):
        means, variances, counts = zip(*blocks, strict=True)
        if len(blocks) == 1:
            merged.append((means[0], variances[0]))
        else:
            shares = xp.asarray(counts, x.dtype)[:, None] / sum(counts)
            merged.append(_merge(xp.stack(means, axis=1), xp.stack(variances, axis=1), shares))
    mean, var = (xp.concatenate(groups) for groups in zip(*merged, strict=True))
    return mean, var


def _merge(means, variances, shares):
    """Merge parts ``(G, P, C)`` with their shares of the pixels into ``(G, C)``."""
    first = means[:, :1]
    mean = first + (shares * (means - first)).sum(axis=1, keepdims=True)
    return mean[:, 0], (shares * (variances + (means - mean) ** 2)).sum(axis=1)


def normalise(x, mean, var, gamma, beta, eps, negative_slope=None):
    """Return ``y = a(gamma · (x − mean) / sqrt(var + eps) + beta)`` and what the gradient needs.

    `x` is ``(G, M, C)``, `mean` and `var` ``(G, C)``; `gamma` and `beta` are ``(C,)`` or None.
    The activation a is that of a leaky ReLU of `negative_slope` (0: a ReLU), or, with None, none.
    """
    if kernels.usable(x, mean, var):
        y, rstd, scale = kernels.normalise(x, mean, var, gamma, beta, eps, negative_slope)
        return y, (x, mean, rstd, scale, y if negative_slope is not None else None, negative_slope)
    xp = get_xp(x)
    rstd = 1 / xp.sqrt(var + eps)
    scale = rstd if gamma is None else rstd * gamma
    y = xp.empty(x.shape, x.dtype)
    side = _side_by_side(*x.shape)
    wide, wide_y = _widen(x, side), _widen(y, side)
    wide_mean, wide_scale = _repeat(mean, side), _repeat(scale, side)
    wide_beta = None if beta is None else _repeat(beta[None], side)

    def fill(groups, rows):
        out = wide_y[groups, rows]
        u = out if negative_slope is None else _scratch(out)
        xp.subtract(wide[groups, rows], wide_mean[groups], out=u)
        u *= wide_scale[groups]
        if wide_beta is not None:
            u += wide_beta
        if negative_slope is not None:
            fill_leaky_relu(out, u, negative_slope)

    _blocks(fill, wide)
    return y, (x, mean, rstd, scale, y if negative_slope is not None else None, negative_slope)


def normalise_backward(dy, cache, input_gradient=True):
    """Return ``(dx, dgamma, dbeta)`` where mean and variance were those of x itself.

    The gradient passes the activation first, ``du = dy · a'(u)``, where ``y > 0`` says on which
    side of its kink u was; then the normalisation.  See `BatchNorm2d` for the derivation.
    """
    x, mean, rstd, scale, y, negative_slope = cache
    if kernels.usable(dy, x):
        dx, sum_du, sum_du_xhat = kernels.normalise_backward(dy, *cache, input_gradient)
        return dx, _sum_groups(sum_du_xhat), _sum_groups(sum_du)
    xp = get_xp(dy, x)
    side = _side_by_side(*x.shape)
    dx = xp.empty(x.shape, x.dtype) if input_gradient else None
    wide, wide_dy, wide_y, wide_dx = (
        None if a is None else _widen(a, side) for a in (x, dy, y, dx)
    )
    wide_mean = _repeat(mean, side)

    def sums(groups, rows):  # of du and of du · (x − mean)
        du = wide_dy[groups, rows]
        if y is not None:  # du waits in dx until the second pass reads it
            out = wide_dx[groups, rows] if input_gradient else _scratch(du, "du")
            fill_leaky_relu_backward(out, du, wide_y[groups, rows], negative_slope)
            du = out
        centred = xp.subtract(wide[groups, rows], wide_mean[groups], out=_scratch(du))
        return sum_rows(du, xp), xp.einsum("gmc,gmc->gc", du, centred)

    def total(parts):  # (G, C)
        return sum(parts).reshape(-1, side, x.shape[2]).sum(axis=1)

    blocks = [zip(*row, strict=True) for row in _blocks(sums, wide)]
    sum_du, sum_du_xhat = (
        xp.concatenate([total(parts) for parts in group]) for group in zip(*blocks, strict=True)
    )
    sum_du_xhat = rstd * sum_du_xhat
    dgamma, dbeta = _sum_groups(sum_du_xhat), _sum_groups(sum_du)
    if not input_gradient:
        return None, dgamma, dbeta
    mean_du = _repeat(sum_du / x.shape[1], side)
    mean_du_xhat = _repeat(sum_du_xhat * rstd / x.shape[1], side)  # the rstd is that of x̂
    wide_scale = _repeat(scale, side)

    def fill(groups, rows):  # dx = scale · (du − mean(du) − x̂ · mean(du x̂))
        out = wide_dx[groups, rows]
        du = out if y is not None else wide_dy[groups, rows]
        taken = xp.subtract(wide[groups, rows], wide_mean[groups], out=_scratch(out))
        taken *= mean_du_xhat[groups]
        taken += mean_du[groups]
        xp.subtract(du, taken, out=out)
        out *= wide_scale[groups]

    _blocks(fill, wide)
    return dx, dgamma, dbeta


def _sum_groups(sums):
    return sums[0] if len(sums) == 1 else sums.sum(axis=0)


@cache
def _side_by_side(groups, pixels, channels) -> int:
    """Return how many pixels to see side by side as one row: a divisor of their number."""
    wanted = -(-ROW // channels)
    most = pixels if groups == 1 else pixels // 8  # of many groups, the channels' values count too
    divisors = [n for n in range(1, min(most, 4 * wanted) + 1) if pixels % n == 0]
    return next((n for n in divisors if n >= wanted), max(divisors, default=1))


def _widen(x, side):
    """See ``(G, M, C)`` as ``(G, M / side, side · C)``."""
    g, m, c = x.shape
    return x.reshape(g, m // side, side * c)


def _repeat(values, side):
    """Repeat the channels' values ``(G, C)`` for each pixel of a row, ``(G, 1, side · C)``."""
    return get_xp(values).tile(values, (1, side))[:, None]


def _scratch(like, name="centred"):
    """Return an array of the shape and dtype of `like` whose content matters to this block only."""
    if isinstance(like, np.ndarray):
        return workspace(f"normalise {name}", like.shape, like.dtype)
    return get_xp(like).empty(like.shape, like.dtype)


def _blocks(function, x, most=SLICE) -> list:
    """Call ``function(groups, rows)`` with slices that cut ``x`` (G, M, C) into fixed blocks.

    A block has `most` rows at most.  Returns a list for each range of groups: the results of its
    blocks in the order of the rows.  On a GPU there is a single block.
    """
    g, m, c = x.shape
    xp = get_xp(x)
    size = min(most, max(1, SLICE // c)) if xp is np else g * m
    group_ranges = split(g, max(1, size // m))
    row_ranges = split(m, size)
    places = [(slice(*a), slice(*b)) for a in group_ranges for b in row_ranges]
    tasks = [lambda p=place: function(*p) for place in places]
    results = run(tasks) if xp is np else [task() for task in tasks]
    return [results[i : i + len(row_ranges)] for i in range(0, len(results), len(row_ranges))]
