r"""Convolution on a GPU: one kernel gathers, or sums, and cuBLAS multiplies.

The mathematics is that of `im2col`, ``Y = P W`` and its transposes, with the matrix of patches
``P`` whole, or that of as many images as fit `_PATCHES`: a GPU wants few, large launches.

**The mirrored form.**  With stride 1 the roles of the two images can be exchanged,

.. math:: \mathrm{convolve}(x, w, p) = \mathrm{grad\_input}(x, w', K - 1 - p), \qquad
          w'_{k,l,o,c} = w_{K-1-k,\,L-1-l,\,c,\,o},

for turning the kernel by half a turn turns "what reaches this pixel" into "what this pixel
reaches".  ``P`` has a window of C channels for each pixel; the mirrored form has one of O.  Where
O < C it is smaller by that factor: 20 times in the 7×7 convolution from 64 channels to a picture.
"""

from __future__ import annotations

from tinygan.convolution.geometry import output_size, turned, turned_padding
from tinygan.fast import cuda as kernels
from tinygan.machine.arrays import Array, Size, get_xp
from tinygan.machine.parallel import split

_PATCHES = 1 << 26
"""Elements of P at once: 256 MB of float32."""

WORKSPACE_BYTES = 4 * _PATCHES
"""What a convolution holds for a moment, beside its arguments and its result."""


def convolve(x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Return ``y`` from ``x`` and ``w``."""
    kernel_size, (channels, out_channels) = w.shape[:2], w.shape[2:]
    rows, columns = _output(x.shape[1:3], kernel_size, stride, padding)
    if _mirrors(channels, out_channels, kernel_size, stride, padding):
        mirrored = turned_padding(kernel_size, padding)
        return _grad_input(x, turned(w), stride, mirrored, (rows, columns))
    return _convolve(x, w, stride, padding)


def convolve_grad_input(
    dy: Array, w: Array, stride: Size, padding: Size, input_size: Size
) -> Array:
    """Return ``dx`` from ``dy`` and ``w``."""
    kernel_size, (channels, out_channels) = w.shape[:2], w.shape[2:]
    if _mirrors(channels, out_channels, kernel_size, stride, padding):
        return _convolve(dy, turned(w), stride, turned_padding(kernel_size, padding))
    return _grad_input(dy, w, stride, padding, input_size)


def convolve_grad_weight(
    x: Array, dy: Array, stride: Size, padding: Size, kernel_size: Size
) -> Array:
    """Return ``dw`` from ``x`` and ``dy``."""
    channels, out_channels = x.shape[3], dy.shape[3]
    if _mirrors(channels, out_channels, kernel_size, stride, padding):
        padding = turned_padding(kernel_size, padding)
        return turned(_sum_over_patches(dy, None, x, stride, padding, kernel_size)[1])
    return _sum_over_patches(x, None, dy, stride, padding, kernel_size)[1]


def convolve_backward(
    x: Array, w: Array, dy: Array, stride: Size, padding: Size
) -> tuple[Array, Array]:
    """Return ``dx`` and ``dw``; in the mirrored form, the patches of dy serve both."""
    kernel_size, (channels, out_channels) = w.shape[:2], w.shape[2:]
    if _mirrors(channels, out_channels, kernel_size, stride, padding):
        padding = turned_padding(kernel_size, padding)
        dx, dw = _sum_over_patches(dy, turned(w), x, stride, padding, kernel_size)
        return dx, turned(dw)
    dx = _grad_input(dy, w, stride, padding, x.shape[1:3])
    return dx, _sum_over_patches(x, None, dy, stride, padding, kernel_size)[1]


def convolve_transposed_backward(
    x: Array, w: Array, dy: Array, stride: Size, padding: Size
) -> tuple[Array, Array]:
    """Return ``dx`` and ``dw`` of ``convolve_grad_input(x, w)``.

    Except in the mirrored form, the patches of dy serve both.
    """
    kernel_size, (channels, out_channels) = w.shape[:2], w.shape[2:]
    if _mirrors(channels, out_channels, kernel_size, stride, padding):
        dx = convolve(dy, w, stride, padding)
        return dx, convolve_grad_weight(dy, x, stride, padding, kernel_size)
    return _sum_over_patches(dy, w, x, stride, padding, kernel_size)


def _convolve(x: Array, w: Array, stride: Size, padding: Size) -> Array:
    xp = get_xp(x=x, w=w)
    kernel_size, out_channels = w.shape[:2], w.shape[3]
    rows, columns = _output(x.shape[1:3], kernel_size, stride, padding)
    w = w.reshape(-1, out_channels)
    y = xp.empty((len(x), rows, columns, out_channels), x.dtype)
    for a, b in _chunks(len(x), rows * columns * len(w)):
        patches = _patches(x[a:b], kernel_size, stride, padding, rows, columns)
        xp.matmul(patches, w, out=y[a:b].reshape(-1, out_channels))
    return y


def _grad_input(dy: Array, w: Array, stride: Size, padding: Size, input_size: Size) -> Array:
    xp = get_xp(dy=dy, w=w)
    kernel_size, channels, out_channels = w.shape[:2], w.shape[2], w.shape[3]
    rows, columns = dy.shape[1:3]
    transposed = w.reshape(-1, out_channels).T
    dx = xp.empty((len(dy), *input_size, channels), dy.dtype)
    for a, b in _chunks(len(dy), rows * columns * transposed.shape[1]):
        part = dy[a:b].reshape(-1, out_channels)
        if _patches_are_pixels(input_size, kernel_size, stride, padding):
            xp.matmul(part, transposed, out=dx[a:b].reshape(len(part), -1))
        else:
            copies = xp.matmul(part, transposed)
            kernels.sum_patches(copies, dx[a:b], kernel_size, stride, padding, rows, columns)
    return dx


def _sum_over_patches(
    x: Array, w: Array | None, dy: Array, stride: Size, padding: Size, kernel_size: Size
) -> tuple[Array | None, Array]:
    """Return ``Y = P W``, where `w` is given, and ``dW = Pᵀ dY``."""
    xp = get_xp(x=x, dy=dy)
    channels, out_channels = x.shape[3], dy.shape[3]
    rows, columns = dy.shape[1:3]
    window = kernel_size[0] * kernel_size[1] * channels
    y: Array = None
    dw: Array = None
    if w is not None:
        y, w = xp.empty(dy.shape, x.dtype), w.reshape(window, out_channels)
    for a, b in _chunks(len(x), rows * columns * window):
        patches = _patches(x[a:b], kernel_size, stride, padding, rows, columns)
        if y is not None:
            xp.matmul(patches, w, out=y[a:b].reshape(-1, out_channels))
        part = xp.matmul(patches.T, dy[a:b].reshape(-1, out_channels))
        dw = part if dw is None else dw + part
    return y, dw.reshape(*kernel_size, channels, out_channels)


def _output(input_size: Size, kernel_size: Size, stride: Size, padding: Size) -> Size:
    rows, columns = zip(input_size, kernel_size, stride, padding, strict=True)
    return output_size(*rows), output_size(*columns)


def _chunks(images: int, elements_an_image: int) -> list[tuple[int, int]]:
    return split(images, max(1, _PATCHES // elements_an_image))


def _patches_are_pixels(input_size: Size, kernel_size: Size, stride: Size, padding: Size) -> bool:
    """Say whether P is x itself: windows of one pixel, or of the whole image."""
    if any(padding):
        return False
    return tuple(kernel_size) == tuple(input_size) or (*kernel_size, *stride) == (1, 1, 1, 1)


def _patches(
    x: Array, kernel_size: Size, stride: Size, padding: Size, rows: int, columns: int
) -> Array:
    if _patches_are_pixels(x.shape[1:3], kernel_size, stride, padding):
        return x.reshape(len(x) * rows * columns, -1)
    return kernels.patches(x, kernel_size, stride, padding, rows, columns)


def _mirrors(
    channels: int, out_channels: int, kernel_size: Size, stride: Size, padding: Size
) -> bool:
    """Say whether the mirrored form exists and has the smaller windows."""
    fits = all(k - 1 >= p for k, p in zip(kernel_size, padding, strict=True))
    larger = kernel_size[0] * kernel_size[1] > 1
    return tuple(stride) == (1, 1) and fits and larger and out_channels < channels
