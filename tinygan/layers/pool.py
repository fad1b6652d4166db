"""Pooling: one number for each window of an image."""

from __future__ import annotations

from typing import Any

from tinygan.convolution import Pair, output_size
from tinygan.convolution.geometry import pair
from tinygan.layer import Layer
from tinygan.layers import _check
from tinygan.machine.arrays import Array, Size, get_xp

__all__ = [
    "AvgPool2d",
    "MaxPool2d",
    "avg_pool",
    "avg_pool_backward",
    "max_pool",
    "max_pool_backward",
]


def max_pool(x: Array, kernel_size: Size, stride: Size, padding: Size) -> tuple[Array, Any]:
    """Return each window's largest number, and what the gradient needs: which of them it was."""
    windows = _windows(_pad(x, padding, float("-inf")), kernel_size, stride)
    windows = get_xp(x).stack(windows)  # (KH·KW, N, OH, OW, C)
    return windows.max(axis=0), (windows.argmax(axis=0), x.shape, kernel_size, stride, padding)


def max_pool_backward(dy: Array, cache: Any) -> Array:
    """Return ``dx``: each window's gradient goes to its (first) largest number."""
    which, shape, *how = cache
    return _gather(lambda k: (which == k) * dy, dy, shape, *how)


def avg_pool(x: Array, kernel_size: Size, stride: Size, padding: Size) -> tuple[Array, Any]:
    """Return each window's mean, zeros outside the image included."""
    windows = _windows(_pad(x, padding, 0), kernel_size, stride)
    return sum(windows) / len(windows), (x.shape, kernel_size, stride, padding)


def avg_pool_backward(dy: Array, cache: Any) -> Array:
    """Return ``dx``: each window's gradient goes to all its numbers in equal shares."""
    share = dy / (cache[1][0] * cache[1][1])
    return _gather(lambda k: share, dy, *cache)


def _pad(x: Array, padding: Size, value: float) -> Array:
    ph, pw = padding
    if not (ph or pw):
        return x
    return get_xp(x).pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)), constant_values=value)


def _windows(x: Array, kernel_size: Size, stride: Size) -> Array:
    """Return views ``(N, OH, OW, C)``, one for each place of the window."""
    (kh, kw), (sh, sw) = kernel_size, stride
    rows, columns = (x.shape[1] - kh) // sh + 1, (x.shape[2] - kw) // sw + 1
    return [
        x[:, i : i + sh * (rows - 1) + 1 : sh, j : j + sw * (columns - 1) + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]


def _gather(
    part: Array, dy: Array, shape: tuple[int, ...], kernel_size: Size, stride: Size, padding: Size
) -> Array:
    """Add ``part(k)`` to the k-th place of all windows of an image of zeros."""
    (ph, pw), (n, h, w, c) = padding, shape
    dx = get_xp(dy).zeros((n, h + 2 * ph, w + 2 * pw, c), dy.dtype)
    for k, place in enumerate(_windows(dx, kernel_size, stride)):
        place += part(k)
    return dx[:, ph : ph + h, pw : pw + w]


class _Pool(Layer):
    def __init__(self, kernel_size: Pair, stride: Pair | None = None, padding: Pair = 0):
        name = type(self).__name__
        self.kernel_size = pair(kernel_size, f"{name}: kernel_size", 1)
        self.stride = pair(kernel_size if stride is None else stride, f"{name}: stride", 1)
        self.padding = pair(padding, f"{name}: padding", 0)
        if any(2 * p > k for p, k in zip(self.padding, self.kernel_size, strict=True)):
            raise ValueError(
                f"{name}: padding: expected at most half of the kernel_size "
                f"{_check.pair_text(self.kernel_size)}, got {_check.pair_text(self.padding)}"
            )

    def _check(self, x: Array) -> None:
        _check.images(self, x)
        sizes = zip(x.shape[1:3], self.kernel_size, self.stride, self.padding, strict=True)
        if min(output_size(*axis) for axis in sizes) < 1:
            raise ValueError(f"{self!r}: the window does not fit into x of shape {tuple(x.shape)}")

    def __repr__(self) -> str:
        text = _check.pair_text(self.kernel_size)
        if self.stride != self.kernel_size:
            text += f", stride={_check.pair_text(self.stride)}"
        if any(self.padding):
            text += f", padding={_check.pair_text(self.padding)}"
        return f"{type(self).__name__}({text})"


class MaxPool2d(_Pool):
    r"""The largest number of each window, channel by channel.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        The window's step; the `kernel_size` if not given.
    padding : int or pair of int
        Rows and columns around the image, which are never the largest.

    Notes
    -----
    The gradient of a window goes to the number that was the largest, the first of several.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = MaxPool2d(2)(np.arange(4.0).reshape(1, 2, 2, 1))
    >>> y.ravel(), backward(np.ones_like(y)).ravel()
    (array([3.]), array([0., 0., 0., 1.]))
    """

    def forward(self, x: Array) -> tuple[Array, Any]:
        self._check(x)
        return max_pool(x, self.kernel_size, self.stride, self.padding)

    def backward(self, dy: Array, cache: Any) -> Array:
        return max_pool_backward(dy, cache)


class AvgPool2d(_Pool):
    r"""The mean of each window, channel by channel.

    Parameters
    ----------
    kernel_size : int or pair of int
    stride : int or pair of int, optional
        The window's step; the `kernel_size` if not given.
    padding : int or pair of int
        Rows and columns of zeros around the image, which count.

    Notes
    -----
    Each of a window's KH·KW numbers gets :math:`dy / (KH \cdot KW)`.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = AvgPool2d(2)(np.arange(4.0).reshape(1, 2, 2, 1))
    >>> y.ravel(), backward(np.ones_like(y)).ravel()
    (array([1.5]), array([0.25, 0.25, 0.25, 0.25]))
    """

    def forward(self, x: Array) -> tuple[Array, Any]:
        self._check(x)
        return avg_pool(x, self.kernel_size, self.stride, self.padding)

    def backward(self, dy: Array, cache: Any) -> Array:
        return avg_pool_backward(dy, cache)
