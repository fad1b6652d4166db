r"""Convolution as loops: the definition, and the oracle of every faster version.

With strides :math:`s` and paddings :math:`p`, and ``x`` taken as zero outside its borders,

.. math::
    y[n, i, j, o] =
    \sum_{k, l, c} x[n,\; s_h i + k - p_h,\; s_w j + l - p_w,\; c]\; w[k, l, c, o].

Multiply by any ``dy`` and sum: the result is linear in ``x``, in ``w`` and in ``dy``, each taken
alone.  The three functions here are the three ways of leaving one of them out, so each loop body
is the same product of three entries, added to where the missing entry stands.
"""

from __future__ import annotations

from collections.abc import Iterator

from tinygan.convolution.geometry import output_size
from tinygan.machine.arrays import Array, Size, get_xp


def _terms(input_size: Size, kernel_size: Size, stride: Size, padding: Size) -> Iterator[tuple]:
    """Yield every ``(i, j, k, l, h, w)`` of the sum: output, kernel and input positions."""
    rows, columns = (
        output_size(*axis) for axis in zip(input_size, kernel_size, stride, padding, strict=True)
    )
    for i in range(rows):
        for j in range(columns):
            for k in range(kernel_size[0]):
                for l in range(kernel_size[1]):
                    h = stride[0] * i + k - padding[0]
                    w = stride[1] * j + l - padding[1]
                    if 0 <= h < input_size[0] and 0 <= w < input_size[1]:
                        yield i, j, k, l, h, w


def convolve(x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Return ``y`` from ``x`` and ``w``."""
    xp = get_xp(x=x, w=w)
    size, kernel = x.shape[1:3], w.shape[:2]
    rows, columns = (output_size(*a) for a in zip(size, kernel, stride, padding, strict=True))
    y = xp.zeros((len(x), rows, columns, w.shape[3]), xp.result_type(x, w))
    for i, j, k, l, h, v in _terms(size, kernel, stride, padding):
        y[:, i, j] += x[:, h, v] @ w[k, l]
    return y


def convolve_grad_input(
    dy: Array, w: Array, stride: Size, padding: Size, input_size: Size
) -> Array:
    """Return ``dx`` from ``dy`` and ``w``."""
    xp = get_xp(dy=dy, w=w)
    dx = xp.zeros((len(dy), *input_size, w.shape[2]), xp.result_type(dy, w))
    for i, j, k, l, h, v in _terms(input_size, w.shape[:2], stride, padding):
        dx[:, h, v] += dy[:, i, j] @ w[k, l].T
    return dx


def convolve_grad_weight(
    x: Array, dy: Array, stride: Size, padding: Size, kernel_size: Size
) -> Array:
    """Return ``dw`` from ``x`` and ``dy``."""
    xp = get_xp(x=x, dy=dy)
    dw = xp.zeros((*kernel_size, x.shape[3], dy.shape[3]), xp.result_type(x, dy))
    for i, j, k, l, h, v in _terms(x.shape[1:3], kernel_size, stride, padding):
        dw[k, l] += x[:, h, v].T @ dy[:, i, j]
    return dw
