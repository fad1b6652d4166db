r"""Convolution of images with few channels: three colours in, or three colours out.

The matrix product is that of `im2col`, turned on its side: patches are columns and each row,
``(k, l, c)``, is one channel of the image shifted by ``(k, l)``.  Rows of an image are then long
runs of memory where pixels of three channels would be short ones:

.. math:: Y^T = W^T P, \qquad dP = W\,dY^T, \qquad dW = P\,dY,

and ``dx`` is the sum of the rows of ``dP``, each shifted back.

**Few output channels, stride 1.**  Flip the kernel along both axes and exchange its channels: the
adjoint of the convolution with the result, at padding ``KH − 1 − p``, is the convolution itself.
"""

from __future__ import annotations

from typing import Any

from tinygan.convolution.geometry import (
    for_pieces,
    output_size,
    pieces,
    scratch,
    turned,
    turned_padding,
)
from tinygan.convolution.product import multiply
from tinygan.machine.arrays import Array, Size, get_xp
from tinygan.machine.parallel import for_slices

_PATCH_BYTES = 2 << 20  # of one piece of P
_GROUPS = 16  # partial sums of dW


FEW = 4  # channels


def applies(w_shape: tuple[int, ...], stride: Size, padding: Size) -> bool:
    """Say whether one side has few channels and the other has not."""
    kernel, channels, out_channels = w_shape[:2], w_shape[2], w_shape[3]
    if channels <= out_channels:
        return channels <= FEW < out_channels
    few = out_channels <= FEW and tuple(stride) == (1, 1)
    return few and min(k - 1 - p for k, p in zip(kernel, padding, strict=True)) >= 0


def convolve(x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Return ``y`` from ``x`` and ``w``."""
    if w.shape[2] <= w.shape[3]:
        return _multiply_patches(x, w, stride, padding)
    rows, columns = zip(x.shape[1:3], w.shape[:2], stride, padding, strict=True)
    size = output_size(*rows), output_size(*columns)
    return _add_products(x, turned(w), stride, turned_padding(w.shape, padding), size)


def convolve_grad_input(
    dy: Array, w: Array, stride: Size, padding: Size, input_size: Size
) -> Array:
    """Return ``dx`` from ``dy`` and ``w``."""
    if w.shape[2] <= w.shape[3]:
        return _add_products(dy, w, stride, padding, input_size)
    return _multiply_patches(dy, turned(w), stride, turned_padding(w.shape, padding))


def convolve_grad_weight(
    x: Array, dy: Array, stride: Size, padding: Size, kernel_size: Size
) -> Array:
    """Return ``dw`` from ``x`` and ``dy``."""
    if x.shape[3] <= dy.shape[3]:
        return _sum_of_products(x, None, dy, stride, padding, kernel_size)[1]
    padding = turned_padding(kernel_size, padding)
    return turned(_sum_of_products(dy, None, x, stride, padding, kernel_size)[1])


def convolve_backward(
    x: Array, w: Array, dy: Array, stride: Size, padding: Size
) -> tuple[Array, Array]:
    """Return ``dx`` and ``dw``; with few output channels, the patches of dy serve both."""
    if w.shape[2] <= w.shape[3]:
        dx = _add_products(dy, w, stride, padding, x.shape[1:3])
        return dx, convolve_grad_weight(x, dy, stride, padding, w.shape[:2])
    padding = turned_padding(w.shape, padding)
    dx, dw = _sum_of_products(dy, turned(w), x, stride, padding, w.shape[:2])
    return dx, turned(dw)


def convolve_transposed_backward(
    x: Array, w: Array, dy: Array, stride: Size, padding: Size
) -> tuple[Array, Array]:
    """Return ``dx`` and ``dw`` of ``convolve_grad_input(x, w)``.

    With few channels in its result, the patches of dy serve both.
    """
    if w.shape[2] <= w.shape[3]:
        return _sum_of_products(dy, w, x, stride, padding, w.shape[:2])
    dx = convolve(dy, w, stride, padding)
    return dx, convolve_grad_weight(dy, x, stride, padding, w.shape[:2])


def _multiply_patches(x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Return ``Y = Pᵀ W``."""
    xp = get_xp(x=x, w=w)
    kernel, out_channels = w.shape[:2], w.shape[3]
    rows, columns = (
        output_size(*axis) for axis in zip(x.shape[1:3], kernel, stride, padding, strict=True)
    )
    w = xp.ascontiguousarray(w).reshape(-1, out_channels)
    y = xp.empty((len(x), rows, columns, out_channels), xp.result_type(x, w))

    def piece(n0: int, n1: int, h0: int, h1: int) -> None:
        patches = _patches(xp, x, kernel, stride, padding, n0, n1, h0, h1, columns)
        multiply(xp, patches.T, w, y[n0:n1, h0:h1].reshape(-1, out_channels))

    for_pieces(piece, len(x), rows, _rows_a_piece(columns, len(w), x), xp)
    return y


def _sum_of_products(
    x: Array, w: Array, dy: Array, stride: Size, padding: Size, kernel_size: Size
) -> tuple[Array, Array]:
    """Return ``Y = Pᵀ W``, where `w` is given, and ``dW = P dY``, summed in the pieces' order."""
    xp = get_xp(x=x, dy=dy)
    channels, out_channels = x.shape[3], dy.shape[3]
    rows, columns = dy.shape[1:3]
    patch = kernel_size[0] * kernel_size[1] * channels
    todo = pieces(len(x), rows, _rows_a_piece(columns, patch, x), xp)
    y = None
    if w is not None:
        y = xp.empty(dy.shape, xp.result_type(x, w))
        w = xp.ascontiguousarray(w).reshape(patch, out_channels)

    def group(start: int, stop: int) -> Array:
        total = 0
        for n0, n1, h0, h1 in todo[start:stop]:
            patches = _patches(xp, x, kernel_size, stride, padding, n0, n1, h0, h1, columns)
            if y is not None:
                multiply(xp, patches.T, w, y[n0:n1, h0:h1].reshape(-1, out_channels))
            part = xp.ascontiguousarray(dy[n0:n1, h0:h1]).reshape(-1, out_channels)
            total = total + patches @ part
        return total

    dw = sum(for_slices(group, len(todo), -(-len(todo) // _GROUPS), xp))
    return y, dw.reshape(*kernel_size, channels, out_channels)


def _add_products(dy: Array, w: Array, stride: Size, padding: Size, input_size: Size) -> Array:
    """Return ``dx`` by ``dP = W dYᵀ``; a piece is of the rows of ``dx``, as in `im2col`."""
    xp = get_xp(dy=dy, w=w)
    kernel, channels, out_channels = w.shape[:2], w.shape[2], w.shape[3]
    rows, columns = dy.shape[1:3]
    height, width = input_size
    matrix = xp.ascontiguousarray(w).reshape(-1, out_channels)
    dx = xp.empty((len(dy), height, width, channels), xp.result_type(dy, w))
    # sums are kept apart by the phase of their row and column, so that they are contiguous runs
    s, v = stride
    across = -(-max((columns - 1) * v + kernel[1], width + padding[1]) // v)

    def piece(n0: int, n1: int, h0: int, h1: int) -> None:
        first = max(0, -(-(h0 + padding[0] - kernel[0] + 1) // s))  # row of dy
        last = max(first, min(rows, (h1 - 1 + padding[0]) // s + 1))
        part = xp.ascontiguousarray(dy[n0:n1, first:last]).reshape(-1, out_channels)
        copies = scratch(xp, "patches", (len(matrix), len(part)), dx.dtype)
        multiply(xp, matrix, part.T, copies)
        copies = copies.reshape(*kernel, channels, n1 - n0, last - first, columns)
        top = min(first, (h0 + padding[0]) // s)
        bottom = max(last - 1 + -(-kernel[0] // s), -(-(h1 + padding[0]) // s))
        sums = scratch(xp, "sums", (s, v, channels, n1 - n0, bottom - top, across), dx.dtype)
        sums[...] = 0
        for k in range(0, kernel[0], s):
            at = first - top + k // s
            for l in range(0, kernel[1], v):
                each = copies[k : k + s, l : l + v]  # a tap for each phase
                to = sums[: each.shape[0], : each.shape[1], :, :, at : at + last - first]
                to[..., l // v : l // v + columns] += each
        for p in range(s):
            skip = -(-(h0 + padding[0] - p) // s)  # first row of this phase, and where it goes
            h = s * skip + p - padding[0]
            for q in range(v):
                jump = -(-(padding[1] - q) // v)
                to = dx[n0:n1, h:h1:s, v * jump + q - padding[1] :: v]
                part = sums[p, q, :, :, skip - top :, jump:][..., : to.shape[1], : to.shape[2]]
                for c in range(channels):
                    to[..., c] = part[c]

    least = 5 * kernel[0]  # rows of dy at the ends of a piece are multiplied twice
    rows_a_piece = max(least, s * _rows_a_piece(columns, len(matrix), dy))
    for_pieces(piece, len(dy), height, rows_a_piece, xp)
    return dx


def _rows_a_piece(columns: int, patch: int, x: Array) -> int:
    return max(1, _PATCH_BYTES // (patch * x.itemsize * columns))


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
    """Return ``P[(k, l, c), pixel]`` of output rows `h0` to `h1` of images `n0` to `n1`."""
    height, width, channels = x.shape[1:]
    images, rows = n1 - n0, h1 - h0
    top, left = h0 * stride[0] - padding[0], -padding[1]
    shape = ((rows - 1) * stride[0] + kernel[0], (columns - 1) * stride[1] + kernel[1])
    planes = scratch(xp, "padded", (channels, images, *shape), x.dtype)
    planes[...] = 0
    a, b = max(0, top), max(0, min(top + shape[0], height))
    d = min(left + shape[1], width)
    if b > a and d > 0:
        for c in range(channels):
            planes[c, :, a - top : b - top, -left : d - left] = x[n0:n1, a:b, :d, c]
    plane, image, row, item = planes.strides
    view = xp.lib.stride_tricks.as_strided(
        planes,
        (*kernel, channels, images, rows, columns),
        (row, item, plane, image, stride[0] * row, stride[1] * item),
    )
    patches = scratch(xp, "patches", view.shape, x.dtype)
    patches[...] = view
    return patches.reshape(-1, images * rows * columns)
