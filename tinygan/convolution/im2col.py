r"""Convolution as one matrix product.

Write the window of ``x`` that output pixel ``(n, i, j)`` sees as a row of ``KH·KW·C`` numbers, and
all the rows below one another: the matrix of *patches* (in the literature "im2col").  With ``w``
reshaped to ``(KH·KW·C, O)`` the triple sum of the definition is a single matrix product, and so
are its two transposes:

.. math::
    Y = P\,W, \qquad dP = dY\,W^T, \qquad dW = P^T\,dY.

``P`` holds each entry of ``x`` up to ``KH·KW`` times, so ``dx`` is the sum of the entries of ``dP``
that are copies of the same pixel ("col2im").  ``P`` itself is never whole in memory: a piece of
the output at a time, small enough to stay in a core's cache.
"""

from __future__ import annotations

from tinygan.backend import get_xp
from tinygan.convolution.geometry import (
    for_pieces,
    output_size,
    padded,
    pieces,
    scratch,
    windows,
)
from tinygan.parallel import for_slices

_PATCH_BYTES = 1 << 20  # of one piece of P
_LEAST_ROWS = 128  # a product of fewer rows leaves part of the processor idle
_LEAST_ROWS_TO_SUM = 512  # in dW: adding up the products costs more than that
_SUMS_BYTES = 1 << 26  # of all partial sums of dW together


def convolve(x, w, stride, padding):
    """Return ``y`` from ``x`` and ``w``: ``Y = P W``, a piece of the rows at a time."""
    xp = get_xp(x=x, w=w)
    kernel, out_channels = w.shape[:2], w.shape[3]
    rows, columns = (
        output_size(*axis) for axis in zip(x.shape[1:3], kernel, stride, padding, strict=True)
    )
    patch = kernel[0] * kernel[1] * x.shape[3]
    w = xp.ascontiguousarray(w).reshape(patch, out_channels)
    y = xp.empty((len(x), rows, columns, out_channels), xp.result_type(x, w))

    def piece(n0, n1, h0, h1):
        patches = _patches(xp, x, kernel, stride, padding, n0, n1, h0, h1, columns)
        xp.matmul(patches, w, out=y[n0:n1, h0:h1].reshape(-1, out_channels))

    for_pieces(piece, len(x), rows, _rows_a_piece(columns, patch, x.itemsize), xp)
    return y


def convolve_grad_input(dy, w, stride, padding, input_size):
    """Return ``dx`` from ``dy`` and ``w``: ``dP = dY Wᵀ``, then each pixel's copies summed.

    A piece here is of the rows of ``dx``: it multiplies every row of ``dy`` that reaches into it,
    so no two pieces add to the same pixel, and the order of the sums is fixed.
    """
    xp = get_xp(dy=dy, w=w)
    kernel, channels, out_channels = w.shape[:2], w.shape[2], w.shape[3]
    rows, columns = dy.shape[1:3]
    height, width = input_size
    patch = kernel[0] * kernel[1] * channels
    transposed = xp.ascontiguousarray(w).reshape(patch, out_channels).T
    dx = xp.empty((len(dy), height, width, channels), xp.result_type(dy, w))

    def piece(n0, n1, h0, h1):
        # rows of dy whose windows meet rows h0 to h1 of x
        first = max(0, -(-(h0 + padding[0] - kernel[0] + 1) // stride[0]))
        last = max(first, min(rows, (h1 - 1 + padding[0]) // stride[0] + 1))
        part = xp.ascontiguousarray(dy[n0:n1, first:last]).reshape(-1, out_channels)
        copies = scratch(xp, "patches", (len(part), patch), dx.dtype)
        xp.matmul(part, transposed, out=copies)
        copies = copies.reshape(n1 - n0, last - first, columns, *kernel, channels)
        # the sums, in coordinates of the zero-padded input, from row `top`
        top = min(first * stride[0], h0 + padding[0])
        bottom = max((last - 1) * stride[0] + kernel[0], h1 + padding[0])
        across = max((columns - 1) * stride[1] + kernel[1], width + padding[1])
        slab = scratch(xp, "padded", (n1 - n0, bottom - top, across, channels), dx.dtype)
        slab[...] = 0
        for k in range(kernel[0]):
            start = first * stride[0] + k - top
            for l in range(kernel[1]):
                slab[
                    :,
                    start : start + (last - first - 1) * stride[0] + 1 : stride[0],
                    l : l + (columns - 1) * stride[1] + 1 : stride[1],
                ] += copies[:, :, :, k, l]
        start = h0 + padding[0] - top
        dx[n0:n1, h0:h1] = slab[:, start : start + h1 - h0, padding[1] : padding[1] + width]

    rows_a_piece = stride[0] * _rows_a_piece(columns, patch, dy.itemsize)
    for_pieces(piece, len(dy), height, rows_a_piece, xp)
    return dx


def convolve_grad_weight(x, dy, stride, padding, kernel_size):
    """Return ``dw`` from ``x`` and ``dy``: ``dW = Pᵀ dY``, summed over the pieces in their order.

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

    def group(start, stop):
        total = None
        for n0, n1, h0, h1 in todo[start:stop]:
            patches = _patches(xp, x, kernel_size, stride, padding, n0, n1, h0, h1, columns)
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
    return dw.reshape(*kernel_size, channels, out_channels)


def _rows_a_piece(columns, patch, itemsize, least=_LEAST_ROWS):
    """Return how many rows of the output make a piece whose patches fit the cache."""
    return -(-max(least, _PATCH_BYTES // (patch * itemsize)) // columns)


def _patches(xp, x, kernel, stride, padding, n0, n1, h0, h1, columns):
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
