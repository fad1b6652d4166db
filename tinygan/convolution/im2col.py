r"""Convolution as one matrix product.

Write the window of ``x`` that output pixel ``(n, i, j)`` sees as a row of ``KH·KW·C`` numbers, and
all the rows below one another: the matrix of *patches* (in the literature "im2col").  With ``w``
reshaped to ``(KH·KW·C, O)`` the triple sum of the definition is a single matrix product, and so
are its two transposes:

.. math::
    Y = P\,W, \qquad dP = dY\,W^T, \qquad dW = P^T\,dY.

``P`` holds each entry of ``x`` up to ``KH·KW`` times, so ``dx`` is the sum of the entries of ``dP``
that are copies of the same pixel ("col2im"); here it is gathered instead of scattered, which makes
it a convolution again.  ``P`` itself is never whole in memory: a piece of the output at a time,
small enough to stay in a core's cache.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tinygan.convolution.geometry import (
    output_size,
    padded,
    pieces,
    scratch,
    windows,
)
from tinygan.convolution.product import multiply
from tinygan.machine.arrays import Array, Size, get_xp
from tinygan.machine.parallel import for_slices, run

_PATCH_BYTES = 1 << 20  # of one piece of P
_LEAST_ROWS = 128  # a product of fewer rows leaves part of the processor idle
_FEW_ROWS = 512  # up to these, reading the weights as they lie is worth more than long products
_LEAST_ROWS_TO_SUM = 512  # in dW: adding up the products costs more than that
_SUMS_BYTES = 1 << 26  # of all partial sums of dW together


def convolve(x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Return ``y`` from ``x`` and ``w``: ``Y = P W``, a piece of the rows at a time."""
    xp = get_xp(x=x, w=w)
    kernel, out_channels = w.shape[:2], w.shape[3]
    rows, columns = (
        output_size(*axis) for axis in zip(x.shape[1:3], kernel, stride, padding, strict=True)
    )
    patch = kernel[0] * kernel[1] * x.shape[3]
    w = xp.ascontiguousarray(w).reshape(patch, out_channels)
    y = xp.empty((len(x), rows, columns, out_channels), xp.result_type(x, w))

    def piece(n0: int, n1: int, h0: int, h1: int) -> None:
        patches = _patches(xp, x, kernel, stride, padding, n0, n1, h0, h1, columns)
        to = y[n0:n1, h0:h1].reshape(-1, out_channels)
        if alone:  # all cores are free for the one product
            for_slices(
                lambda a, b: multiply(xp, patches, w[:, a:b], to[:, a:b]), out_channels, 64, xp
            )
        else:
            multiply(xp, patches, w, to)

    todo = pieces(len(x), rows, _rows_a_piece(columns, patch, x.itemsize), xp)
    alone = len(todo) == 1
    run([partial(piece, *at) for at in todo])
    return y


def convolve_grad_input(
    dy: Array, w: Array, stride: Size, padding: Size, input_size: Size
) -> Array:
    """Return ``dx`` from ``dy`` and ``w``.

    Row ``s·u + p`` of the zero-padded input (its *phase* ``p``) meets only the taps ``s·a + p`` of
    the kernel, each in row ``u − a`` of ``dy``.  So each phase of ``dx`` is a convolution of ``dy``
    with stride 1 and those taps, flipped: patches of ``dy`` times a part of ``w``, nothing wasted.
    """
    xp = get_xp(dy=dy, w=w)
    kernel, channels = w.shape[:2], w.shape[2]
    if kernel == tuple(input_size) and tuple(padding) == (0, 0):  # one window: dP is dx
        return _outer(xp, dy, w)
    if xp is np and len(dy) * dy.shape[1] * dy.shape[2] <= _FEW_ROWS:
        return _stamps(dy, w, stride, padding, input_size)
    dx = xp.empty((len(dy), *input_size, channels), xp.result_type(dy, w))

    def phase(p: int, q: int) -> Array:
        flipped = w[p :: stride[0], q :: stride[1]][::-1, ::-1].transpose(0, 1, 3, 2)
        taps = flipped.shape[:2]
        u, v = -((p - padding[0]) // stride[0]), -((q - padding[1]) // stride[1])
        to = dx[:, stride[0] * u + p - padding[0] :: stride[0]]
        to = to[:, :, stride[1] * v + q - padding[1] :: stride[1]]
        rows, columns = to.shape[1:3]
        if 0 in (*taps, rows, columns):  # a stride past the kernel: pixels that no window sees
            to[...] = 0
            return []
        reach = (taps[0] - 1 - u, taps[1] - 1 - v)
        depth = taps[0] * taps[1] * dy.shape[3]
        flipped = xp.ascontiguousarray(flipped).reshape(depth, channels)

        def piece(n0: int, n1: int, h0: int, h1: int) -> None:
            patches = _patches(xp, dy, taps, (1, 1), reach, n0, n1, h0, h1, columns)
            part = scratch(xp, "product", (len(patches), channels), dx.dtype)
            multiply(xp, patches, flipped, part)
            to[n0:n1, h0:h1] = part.reshape(n1 - n0, h1 - h0, columns, channels)

        todo = pieces(len(dy), rows, _rows_a_piece(columns, depth, dy.itemsize), xp)
        return [partial(piece, *at) for at in todo]

    phases = [partial(phase, p, q) for p in range(stride[0]) for q in range(stride[1])]
    run([task for tasks in run(phases) for task in tasks])
    return dx


def _stamps(dy: Array, w: Array, stride: Size, padding: Size, input_size: Size) -> Array:
    """Return ``dx`` of a few pixels: ``dP = dY Wᵀ``, whose factors are read as they lie, added up.

    Pixel ``(i, j)`` of dy stamps ``KH × KW`` pixels.  Padded ``dx`` is cut into cells of the size
    of the stride; a stamp covers few of them, and the parts of all stamps for the first cell, for
    the second one, … are added at once.
    """
    (n, rows, columns, out_channels), (kh, kw, channels) = dy.shape, w.shape[:3]
    (s, v), flat = stride, np.ascontiguousarray(dy).reshape(-1, out_channels)
    matrix = np.ascontiguousarray(w).reshape(-1, out_channels)
    dP = np.empty((len(flat), len(matrix)), np.result_type(dy, w))
    size = max(512, -(-len(matrix) // 1024) * 256)
    for_slices(lambda a, b: multiply(np, flat, matrix[a:b].T, dP[:, a:b]), len(matrix), size)
    dP = dP.reshape(n, rows, columns, kh, kw, channels)
    down, across = (
        max(count - 1 + -(-kernel // step), -(-(p + length) // step))
        for count, kernel, step, p, length in zip(
            (rows, columns), (kh, kw), stride, padding, input_size, strict=True
        )
    )
    dx = np.zeros((n, down, s, across, v, channels), dP.dtype)
    for k in range(0, kh, s):
        for l in range(0, kw, v):
            part = dP[:, :, :, k : k + s, l : l + v].transpose(0, 1, 3, 2, 4, 5)
            i, j = k // s, l // v
            dx[:, i : i + rows, : part.shape[2], j : j + columns, : part.shape[4]] += part
    dx = dx.reshape(n, s * down, v * across, channels)
    (top, left), (height, width) = padding, input_size
    return np.ascontiguousarray(dx[:, top : top + height, left : left + width])


def _outer(xp: Any, dy: Array, w: Array) -> Array:
    """Return ``dx = dY Wᵀ`` where the only window is the whole image."""
    w = xp.ascontiguousarray(w)
    dx = xp.empty((len(dy), *w.shape[:3]), xp.result_type(dy, w))
    flat, w, dy = dx.reshape(len(dy), -1), w.reshape(-1, w.shape[3]), dy.reshape(len(dy), -1)
    multiply = xp.matmul if dy.shape[1] > 1 else xp.multiply  # a matrix product of depth 1 is slow
    for_slices(lambda a, b: multiply(dy, w[a:b].T, out=flat[:, a:b]), len(w), 1024, xp)
    return dx


def convolve_grad_weight(
    x: Array, dy: Array, stride: Size, padding: Size, kernel_size: Size
) -> Array:
    """Return ``dw`` from ``x`` and ``dy``."""
    return _sum_over_patches(x, None, dy, stride, padding, kernel_size)[1]


def convolve_transposed_backward(
    x: Array, w: Array, dy: Array, stride: Size, padding: Size
) -> tuple[Array, Array]:
    """Return ``dx`` and ``dw`` of ``convolve_grad_input(x, w)``; the patches of dy serve both."""
    return _sum_over_patches(dy, w, x, stride, padding, w.shape[:2])


def _sum_over_patches(
    x: Array, w: Array | None, dy: Array, stride: Size, padding: Size, kernel_size: Size
) -> tuple[Array | None, Array]:
    """Return ``Y = P W``, where `w` is given, and ``dW = Pᵀ dY``, summed in the pieces' order.

    The pieces are dealt into a few groups, each summed in an array of its own.
    """
    xp = get_xp(x=x, dy=dy)
    channels, out_channels = x.shape[3], dy.shape[3]
    rows, columns = dy.shape[1:3]
    patch = kernel_size[0] * kernel_size[1] * channels
    dtype = xp.result_type(x, dy)
    rows_a_piece = _rows_a_piece(columns, patch, x.itemsize, least=_LEAST_ROWS_TO_SUM)
    todo = pieces(len(x), rows, rows_a_piece, xp)
    most = max(2, min(32, _SUMS_BYTES // (patch * out_channels * dtype.itemsize)))
    if xp is np and len(todo) < 4:
        y = None if w is None else convolve(x, w, stride, padding)
        return y, _by_rows_of_taps(x, dy, stride, padding, kernel_size)
    y = None
    if w is not None:
        y = xp.empty(dy.shape, dtype)
        w = xp.ascontiguousarray(w).reshape(patch, out_channels)

    def group(start: int, stop: int) -> Array:
        total = None
        for n0, n1, h0, h1 in todo[start:stop]:
            patches = _patches(xp, x, kernel_size, stride, padding, n0, n1, h0, h1, columns)
            if y is not None:
                multiply(xp, patches, w, y[n0:n1, h0:h1].reshape(-1, out_channels))
            part = xp.ascontiguousarray(dy[n0:n1, h0:h1]).reshape(-1, out_channels)
            if total is None:
                total = xp.matmul(patches.T, part)
            else:
                product = scratch(xp, "product", total.shape, dtype)
                total += xp.matmul(patches.T, part, out=product)
        return total

    totals = for_slices(group, len(todo), -(-len(todo) // most), xp)
    dw = totals[0]
    for total in totals[1:]:
        dw += total
    return y, dw.reshape(*kernel_size, channels, out_channels)


def _by_rows_of_taps(x: Array, dy: Array, stride: Size, padding: Size, kernel_size: Size) -> Array:
    """Return ``dW`` of a few pixels: a task for each row of taps, ``dW[k] = P[k]ᵀ dY``."""
    (kh, kw), channels, (n, rows, columns, out_channels) = kernel_size, x.shape[3], dy.shape
    dw = np.empty((kh, kw, channels, out_channels), np.result_type(x, dy))
    flat = np.ascontiguousarray(dy).reshape(-1, out_channels)

    def row(k: int) -> None:
        at = (padding[0] - k, padding[1])  # the row's own windows begin k rows lower
        patches = _patches(np, x, (1, kw), stride, at, 0, n, 0, rows, columns)
        np.matmul(patches.T, flat, out=dw[k].reshape(kw * channels, out_channels))

    run([partial(row, k) for k in range(kh)])
    return dw


def _rows_a_piece(columns: int, patch: int, itemsize: int, least: int = _LEAST_ROWS) -> int:
    """Return how many rows of the output make a piece whose patches fit the cache."""
    return -(-max(least, _PATCH_BYTES // (patch * itemsize)) // columns)


def _patches(
    xp: Any,
    x: Array,
    kernel: Size,
    stride: Size,
    padding: Size,
    n0: int,
    n1: int,
    h0: int,
    h1: int,
    columns: int,
) -> Array:
    """Return the rows of ``P`` of output rows `h0` to `h1` of images `n0` to `n1`."""
    top, left = h0 * stride[0] - padding[0], -padding[1]
    bottom, right = (h1 - 1) * stride[0] + kernel[0], (columns - 1) * stride[1] + kernel[1]
    slab = padded(xp, x, n0, n1, top, bottom - padding[0], left, right - padding[1])
    view = windows(xp, slab, kernel, stride, h1 - h0, columns)
    shape = ((n1 - n0) * (h1 - h0) * columns, kernel[0] * kernel[1] * x.shape[3])
    if view.flags.c_contiguous:  # 1×1 kernels, and windows as large as the image
        return view.reshape(shape)
    patches = scratch(xp, "patches", shape, x.dtype)
    patches.reshape(view.shape)[...] = view
    return patches
