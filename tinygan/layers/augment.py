r"""Augmentation that gradients pass through: for all that a discriminator sees.

With few images D learns them by heart.  If it sees each of them changed at random, it cannot; and
if generated images are changed likewise *before* D, in training D as in training G, then G learns
the images as they are, not the changes.  For that the gradient has to pass through: every change
here is a linear map of the image (or one with a constant added), whose gradient is its transpose.

References
----------
Zhao, Liu, Lin, Zhu, Han, *Differentiable Augmentation for Data-Efficient GAN Training*, 2020.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan.checks import number
from tinygan.distributed.shared import drawn
from tinygan.layer import Layer
from tinygan.layers import _check
from tinygan.layers.noise import first_state, pack, unpack
from tinygan.machine.arrays import Array, asarray, backend_of, get_xp

__all__ = ["RandomColor", "RandomCutout", "RandomTranslation"]


class _Augmentation(Layer):
    """Another map for each image of each call, drawn by `draw`; at inference none."""

    buffer_names = ("state",)

    def __init__(self, rng: Any = None):
        self.state = first_state(rng)

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.images(self, x)
        random = np.random.Generator(unpack(self.state))
        numbers = drawn(lambda shape: self.draw(random, *shape), x.shape[:3])
        self.state[...] = pack(random.bit_generator)
        kinds = (x.dtype if array.dtype.kind == "f" else array.dtype for array in numbers)
        cache = tuple(
            asarray(array.astype(kind), backend_of(x))
            for array, kind in zip(numbers, kinds, strict=True)
        )
        return self.change(x, *cache), cache

    def draw(
        self, random: np.random.Generator, n: int, height: int, width: int
    ) -> tuple[np.ndarray, ...]:
        """Return the random numbers of `n` images, on the host."""
        raise NotImplementedError

    def change(self, x: Array, *drawn: Array) -> Array:
        """Return the changed images."""
        raise NotImplementedError

    def predict(self, x: Array) -> Array:
        return x


class RandomColor(_Augmentation):
    r"""Change brightness, saturation and contrast of each image at random.

    Parameters
    ----------
    rng : int, sequence of int, numpy.random.Generator or None
        The seed of the layer's own random numbers; a generator draws one.

    Notes
    -----
    With b in [−½, ½), s in [0, 2) and k in [½, 1½), drawn for each image, P the mean over the
    channels of each pixel and Q the mean over the whole image,

    .. math::
        y_1 = x + b, \qquad
        y_2 = s\, y_1 + (1 - s)\, P y_1, \qquad
        y = k\, y_2 + (1 - k)\, Q y_2.

    P and Q replace numbers by their means, :math:`P_{ij} = 1/C` for two numbers of one pixel, so
    they are symmetric: :math:`P^T = P`, :math:`Q^T = Q`, and

    .. math::
        dy_2 = k\, dy + (1 - k)\, Q\, dy, \qquad
        dx = s\, dy_2 + (1 - s)\, P\, dy_2.

    References
    ----------
    Zhao et al., 2020, section 3.2, "Color".

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = RandomColor(rng=0)(np.zeros((2, 4, 4, 3)))
    >>> bool((y[0] == y[0, 0, 0, 0]).all() and (y[0] != y[1]).all())  # of one colour as before
    True
    """

    def draw(
        self, random: np.random.Generator, n: int, height: int, width: int
    ) -> tuple[np.ndarray, ...]:
        b, s, k = random.random((3, n, 1, 1, 1))
        return b - 0.5, 2 * s, k + 0.5

    def change(self, x: Array, *drawn: Array) -> Array:
        b, s, k = drawn
        y = x + b
        y = s * y + (1 - s) * y.mean(axis=3, keepdims=True)
        return k * y + (1 - k) * y.mean(axis=(1, 2, 3), keepdims=True)

    def backward(self, dy: Array, cache: Any) -> Array:
        _, s, k = cache
        dy = k * dy + (1 - k) * dy.mean(axis=(1, 2, 3), keepdims=True)
        return s * dy + (1 - s) * dy.mean(axis=3, keepdims=True)


class RandomTranslation(_Augmentation):
    r"""Move each image by whole pixels at random; what comes in from outside is 0, grey.

    Parameters
    ----------
    share : float
        In [0, 1]: by at most this share of height and width.
    rng : int, sequence of int, numpy.random.Generator or None
        The seed of the layer's own random numbers; a generator draws one.

    Notes
    -----
    With the shift (u, v), drawn for each image,

    .. math:: y_{ij} = x_{i-u,\,j-v}, \qquad dx_{ij} = dy_{i+u,\,j+v},

    0 where the index is outside: the gradient moves back, and what was pushed out gets none.

    References
    ----------
    Zhao et al., 2020, section 3.2, "Translation", by up to ⅛.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = RandomTranslation(share=0.5, rng=2)(np.ones((1, 4, 4, 1)))
    >>> y[0, :, :, 0]
    array([[0., 0., 0., 0.],
           [0., 0., 0., 0.],
           [1., 1., 1., 0.],
           [1., 1., 1., 0.]])
    """

    def __init__(self, share: float = 1 / 8, rng: Any = None):
        super().__init__(rng)
        self.share = number(share, "RandomTranslation: share", "[0, 1]")

    def draw(
        self, random: np.random.Generator, n: int, height: int, width: int
    ) -> tuple[np.ndarray, ...]:
        u, v = (self._shifts(random, n, size) for size in (height, width))
        return u, v

    def _shifts(self, random: np.random.Generator, n: int, size: int) -> np.ndarray:
        most = int(size * self.share + 0.5)
        return random.integers(-most, most, n, endpoint=True)

    def change(self, x: Array, *drawn: Array) -> Array:
        u, v = drawn
        return _moved(x, u, v)

    def backward(self, dy: Array, cache: Any) -> Array:
        u, v = cache
        return _moved(dy, -u, -v)

    def __repr__(self) -> str:
        return f"RandomTranslation({self.share:g})"


class RandomCutout(_Augmentation):
    r"""Set a rectangle of each image, at a random place, to 0, grey.

    Parameters
    ----------
    share : float
        In [0, 1]: its height and width as shares of the image's.  Its middle lies anywhere in the
        image, so that a part of it may be outside.
    rng : int, sequence of int, numpy.random.Generator or None
        The seed of the layer's own random numbers; a generator draws one.

    Notes
    -----
    With a mask M of zeros in the rectangle and ones elsewhere, :math:`y = M x` number by number,
    and :math:`dx = M\, dy`.

    References
    ----------
    Zhao et al., 2020, section 3.2, "Cutout", of half the size.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = RandomCutout(share=0.5, rng=1)(np.ones((1, 4, 4, 1)))
    >>> y[0, :, :, 0]
    array([[1., 1., 1., 1.],
           [1., 0., 0., 1.],
           [1., 0., 0., 1.],
           [1., 1., 1., 1.]])
    """

    def __init__(self, share: float = 1 / 2, rng: Any = None):
        super().__init__(rng)
        self.share = number(share, "RandomCutout: share", "[0, 1]")

    def draw(
        self, random: np.random.Generator, n: int, height: int, width: int
    ) -> tuple[np.ndarray, ...]:
        rows, columns = (self._outside(random, n, size) for size in (height, width))
        return ((rows[:, :, None] | columns[:, None, :])[..., None].astype(float),)

    def _outside(self, random: np.random.Generator, n: int, size: int) -> np.ndarray:
        """Return which of `size` places are outside of the rectangle, for each image."""
        length = int(size * self.share + 0.5)
        first = random.integers(0, size, (n, 1), endpoint=length % 2 == 0) - length // 2
        places = np.arange(size)
        return (places < first) | (places >= first + length)

    def change(self, x: Array, *drawn: Array) -> Array:
        (mask,) = drawn
        return mask * x

    def backward(self, dy: Array, cache: Any) -> Array:
        (mask,) = cache
        return mask * dy

    def __repr__(self) -> str:
        return f"RandomCutout({self.share:g})"


def _moved(x: Array, u: Array, v: Array) -> Array:
    """Return images moved down by `u` and right by `v`, each ``(N,)``; 0 comes in."""
    xp = get_xp(x)
    n, height, width, _ = x.shape
    rows, columns = xp.arange(height) - u[:, None], xp.arange(width) - v[:, None]
    inside = (((rows >= 0) & (rows < height))[:, :, None]
              & ((columns >= 0) & (columns < width))[:, None, :])  # fmt: skip
    rows, columns = xp.clip(rows, 0, height - 1), xp.clip(columns, 0, width - 1)
    moved = x[xp.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return xp.where(inside[..., None], moved, xp.zeros((), x.dtype))
