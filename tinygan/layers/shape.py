"""Layers that move pixels: padding by reflection, upsampling, reshaping."""

from __future__ import annotations

import math

from tinygan.fast import cuda as kernels
from tinygan.layer import Layer
from tinygan.layers import _check
from tinygan.machine.arrays import get_xp

__all__ = [
    "Flatten",
    "ReflectionPad2d",
    "Reshape",
    "Upsample",
    "reflection_pad",
    "reflection_pad_backward",
    "upsample",
    "upsample_backward",
]


def reflection_pad(x, padding):
    """Return `x` with ``padding = (ph, pw)`` mirrored rows and columns on each side."""
    if kernels.usable(x):
        return kernels.reflection_pad(x, padding), padding
    ph, pw = padding
    n, h, w, c = x.shape
    y = get_xp(x).empty((n, h + 2 * ph, w + 2 * pw, c), x.dtype)
    middle = y[:, ph : ph + h]
    middle[:, :, pw : pw + w] = x
    for j in range(pw):  # column pw−1−j mirrors column pw+1+j, the border itself is not repeated
        middle[:, :, pw - 1 - j] = middle[:, :, pw + 1 + j]
        middle[:, :, pw + w + j] = middle[:, :, pw + w - 2 - j]
    for i in range(ph):
        y[:, ph - 1 - i] = y[:, ph + 1 + i]
        y[:, ph + h + i] = y[:, ph + h - 2 - i]
    return y, padding


def reflection_pad_backward(dy, padding):
    """Return ``dx``: each pixel gathers the gradient of all its mirror images."""
    if kernels.usable(dy):
        return kernels.reflection_pad_backward(dy, padding)
    ph, pw = padding
    h, w = dy.shape[1] - 2 * ph, dy.shape[2] - 2 * pw
    rows = dy[:, ph : ph + h].copy()
    for i in range(ph):
        rows[:, 1 + i] += dy[:, ph - 1 - i]
        rows[:, h - 2 - i] += dy[:, ph + h + i]
    dx = rows[:, :, pw : pw + w].copy()
    for j in range(pw):
        dx[:, :, 1 + j] += rows[:, :, pw - 1 - j]
        dx[:, :, w - 2 - j] += rows[:, :, pw + w + j]
    return dx


def upsample(x, scale):
    """Return `x` with every pixel repeated ``scale = (sh, sw)`` times."""
    sh, sw = scale
    n, h, w, c = x.shape
    y = get_xp(x).empty((n, h, sh, w, sw, c), x.dtype)
    y[...] = x[:, :, None, :, None, :]
    return y.reshape(n, h * sh, w * sw, c), scale


def upsample_backward(dy, scale):
    """Return ``dx``: each pixel gathers the gradient of all its copies."""
    sh, sw = scale
    n, h, w, c = dy.shape
    blocks = dy.reshape(n, h // sh, sh, w // sw, sw, c)
    dx = blocks[:, :, 0, :, 0].copy()
    for i in range(sh):
        for j in range(sw):
            if i or j:
                dx += blocks[:, :, i, :, j]
    return dx


class ReflectionPad2d(Layer):
    r"""Pad images by mirroring them at their borders.

    Parameters
    ----------
    padding : int or pair of int
        Rows above and below, columns left and right.  Smaller than the image.

    Notes
    -----
    Every output pixel is a copy of one input pixel, so an input pixel's gradient is the sum of its
    copies' gradients: its own and those of its mirror images.

    References
    ----------
    The translation generator of the published CycleGAN pads so, for zeros would draw a frame.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = ReflectionPad2d((0, 2))(np.arange(3.0).reshape(1, 1, 3, 1))
    >>> y.ravel(), backward(np.ones_like(y)).ravel()
    (array([2., 1., 0., 1., 2., 1., 0.]), array([2., 3., 2.]))
    """

    def __init__(self, padding):
        self.padding = _check.pair(padding, "ReflectionPad2d: padding", 0)

    def forward(self, x):
        _check.images(self, x)
        if x.shape[1] <= self.padding[0] or x.shape[2] <= self.padding[1]:
            raise ValueError(
                f"{self!r}: expected images larger than the padding {self.padding}, "
                f"got x of shape {x.shape}"
            )
        return reflection_pad(x, self.padding)

    def backward(self, dy, cache):
        return reflection_pad_backward(dy, cache)

    def __repr__(self) -> str:
        return f"ReflectionPad2d({_check.pair_text(self.padding)})"


class Upsample(Layer):
    r"""Enlarge images by repeating pixels (nearest neighbour).

    Followed by a convolution of stride 1 it replaces a transposed convolution: all output pixels
    are then made by equally many weights, and no checkerboard appears.

    Parameters
    ----------
    scale : int or pair of int
        How many times each row and column is repeated.

    Notes
    -----
    An input pixel's gradient is the sum of the gradients of its copies.

    References
    ----------
    Odena, Dumoulin, Olah, *Deconvolution and Checkerboard Artifacts*, Distill, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = Upsample(2)(np.array([[[[1.0], [2.0]]]]))
    >>> y[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    >>> backward(np.ones_like(y)).ravel()
    array([4., 4.])
    """

    def __init__(self, scale=2):
        self.scale = _check.pair(scale, "Upsample: scale", 1)

    def forward(self, x):
        _check.images(self, x)
        return upsample(x, self.scale)

    def backward(self, dy, cache):
        return upsample_backward(dy, cache)

    def __repr__(self) -> str:
        return f"Upsample({_check.pair_text(self.scale)})"


class Reshape(Layer):
    """Give each sample of a batch another shape, with the elements in the same order.

    Parameters
    ----------
    *shape : int
        The shape of one sample, without the batch's axis; none for a single number a sample.

    Notes
    -----
    The gradient is the same numbers in the input's shape.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = Reshape(1, 1, 6)(np.zeros((4, 6)))
    >>> y.shape, backward(y).shape
    ((4, 1, 1, 6), (4, 6))
    """

    def __init__(self, *shape: int):
        self.shape = tuple(_check.count(size, "Reshape: shape") for size in shape)

    def forward(self, x):
        if math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ValueError(
                f"{self!r}: expected samples of {math.prod(self.shape)} elements, "
                f"got x of shape {tuple(x.shape)}"
            )
        return x.reshape(x.shape[0], *self.shape), x.shape

    def backward(self, dy, cache):
        return dy.reshape(cache)

    def __repr__(self) -> str:
        return f"Reshape({', '.join(map(str, self.shape))})"


class Flatten(Layer):
    """Make one row of each sample: ``(N, …) -> (N, the product of the rest)``.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = Flatten()(np.zeros((4, 2, 2, 3)))
    >>> y.shape, backward(y).shape
    ((4, 12), (4, 2, 2, 3))
    """

    def forward(self, x):
        return x.reshape(x.shape[0], math.prod(x.shape[1:])), x.shape

    def backward(self, dy, cache):
        return dy.reshape(cache)
