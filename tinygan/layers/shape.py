"""Layers that move pixels: padding by reflection, upsampling, reshaping."""

from __future__ import annotations

import math
from typing import Any

from tinygan.checks import count
from tinygan.convolution import Pair
from tinygan.convolution.geometry import pair
from tinygan.fast import accelerated
from tinygan.layer import Layer
from tinygan.layers import _check
from tinygan.machine.arrays import Array, Size, get_xp

__all__ = [
    "Flatten",
    "PixelShuffle",
    "ReflectionPad2d",
    "Reshape",
    "Upsample",
    "pixel_shuffle",
    "pixel_shuffle_backward",
    "reflection_pad",
    "reflection_pad_backward",
    "upsample",
    "upsample_backward",
]


@accelerated
def reflection_pad(x: Array, padding: Size) -> Array:
    """Return `x` with ``padding = (ph, pw)`` mirrored rows and columns on each side."""
    xp, (_, h, w, _) = get_xp(x), x.shape
    rows, columns = _mirrored(xp, h, padding[0]), _mirrored(xp, w, padding[1])
    return x[:, rows][:, :, columns], padding


@accelerated
def reflection_pad_backward(dy: Array, padding: Size) -> Array:
    """Return ``dx``: each pixel gathers the gradient of all its mirror images.

    Row and column indices are matrices R and C of zeros and ones, y = R x Cᵀ, so dx = Rᵀ dy C.
    """
    xp, (n, height, width, c) = get_xp(dy), dy.shape
    h, w = height - 2 * padding[0], width - 2 * padding[1]
    R = xp.eye(h, dtype=dy.dtype)[_mirrored(xp, h, padding[0])]
    C = xp.eye(w, dtype=dy.dtype)[_mirrored(xp, w, padding[1])]
    rows = xp.matmul(R.T, dy.reshape(n, height, width * c)).reshape(n, h, width, c)
    return xp.matmul(C.T, rows)


def _mirrored(xp: Any, size: int, padding: int) -> Array:
    """Return the index that each place of a padded axis shows: 2 1 | 0 1 2 3 | 2 1."""
    places = abs(xp.arange(-padding, size + padding))
    return size - 1 - abs(size - 1 - places)


@accelerated
def upsample(x: Array, scale: Size) -> Array:
    """Return `x` with every pixel repeated ``scale = (sh, sw)`` times."""
    xp, (sh, sw) = get_xp(x), scale
    return xp.repeat(xp.repeat(x, sh, axis=1), sw, axis=2), scale


@accelerated
def upsample_backward(dy: Array, scale: Size) -> Array:
    """Return ``dx``: each pixel gathers the gradient of all its copies."""
    (sh, sw), (n, h, w, c) = scale, dy.shape
    return dy.reshape(n, h // sh, sh, w // sw, sw, c).sum(axis=(2, 4))


def pixel_shuffle(x: Array, r: int) -> Array:
    """Turn every ``r²`` channels into r × r pixels: ``(N, H, W, r²C) -> (N, rH, rW, C)``."""
    n, h, w, c = x.shape
    blocks = x.reshape(n, h, w, c // r**2, r, r)
    return blocks.transpose(0, 1, 4, 2, 5, 3).reshape(n, h * r, w * r, c // r**2), r


def pixel_shuffle_backward(dy: Array, r: int) -> Array:
    """Return ``dx``, the same numbers where they came from."""
    n, h, w, c = dy.shape
    blocks = dy.reshape(n, h // r, r, w // r, r, c)
    return blocks.transpose(0, 1, 3, 5, 2, 4).reshape(n, h // r, w // r, c * r**2)


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

    def __init__(self, padding: Pair):
        self.padding = pair(padding, "ReflectionPad2d: padding", 0)

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.images(self, x)
        if x.shape[1] <= self.padding[0] or x.shape[2] <= self.padding[1]:
            raise ValueError(
                f"{self!r}: expected images larger than the padding {self.padding}, "
                f"got x of shape {x.shape}"
            )
        return reflection_pad(x, self.padding)

    def backward(self, dy: Array, cache: Any) -> Array:
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

    def __init__(self, scale: Pair = 2):
        self.scale = pair(scale, "Upsample: scale", 1)

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.images(self, x)
        return upsample(x, self.scale)

    def backward(self, dy: Array, cache: Any) -> Array:
        return upsample_backward(dy, cache)

    def __repr__(self) -> str:
        return f"Upsample({_check.pair_text(self.scale)})"


class PixelShuffle(Layer):
    r"""Enlarge images by dealing channels out to pixels: ``(N, H, W, r²C) -> (N, rH, rW, C)``.

    Parameters
    ----------
    scale : int
        r, the factor of height and width.

    Notes
    -----
    :math:`y_{n,\,rh+i,\,rw+j,\,c} = x_{n,h,w,\,cr^2+ir+j}`: each number moves to one place, and
    its gradient moves back.

    References
    ----------
    Shi et al., *Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel
    Convolutional Neural Network*, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = PixelShuffle(2)(np.arange(4.0).reshape(1, 1, 1, 4))
    >>> y[0, :, :, 0]
    array([[0., 1.],
           [2., 3.]])
    """

    def __init__(self, scale: int = 2):
        self.scale = count(scale, "PixelShuffle: scale")

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.images(self, x)
        if x.shape[3] % self.scale**2:
            raise ValueError(
                f"{self!r}: expected channels in multiples of {self.scale**2}, "
                f"got x of shape {tuple(x.shape)}"
            )
        return pixel_shuffle(x, self.scale)

    def backward(self, dy: Array, cache: Any) -> Array:
        return pixel_shuffle_backward(dy, cache)

    def __repr__(self) -> str:
        return f"PixelShuffle({self.scale})"


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
        self.shape = tuple(count(size, "Reshape: shape") for size in shape)

    def forward(self, x: Array) -> tuple[Array, Any]:
        if math.prod(x.shape[1:]) != math.prod(self.shape):
            raise ValueError(
                f"{self!r}: expected samples of {math.prod(self.shape)} elements, "
                f"got x of shape {tuple(x.shape)}"
            )
        return x.reshape(x.shape[0], *self.shape), x.shape

    def backward(self, dy: Array, cache: Any) -> Array:
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

    def forward(self, x: Array) -> tuple[Array, Any]:
        return x.reshape(x.shape[0], math.prod(x.shape[1:])), x.shape

    def backward(self, dy: Array, cache: Any) -> Array:
        return dy.reshape(cache)
