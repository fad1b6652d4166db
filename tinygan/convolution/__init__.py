r"""The one map behind every convolution and transposed convolution, and its two gradients.

`convolve` is linear in ``x`` and in ``w``; with an upstream gradient ``dy`` there is one number,
:math:`\sum y \cdot dy`, that is linear in all three.  Its gradients with respect to ``dy``, ``x``
and ``w`` are `convolve`, `convolve_grad_input` and `convolve_grad_weight`.  A convolution layer
uses them in this order; the transposed convolution is the adjoint map, so its forward pass *is*
`convolve_grad_input` and its input gradient *is* `convolve`.  Training wants two of the three at
once, which share a part of their work: `convolve_backward`, `convolve_transposed_backward`.

The same three functions exist three times, each faster than the one before and checked against it:

- `naive`: the definition, as loops;
- `im2col`: one large matrix product;
- `winograd`: fewer multiplications.

With three colours on one side there is `planar`, the matrix product turned on its side.

On a GPU `gpu` is the matrix product again, with kernels for what stands around it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import TypeAlias

import numpy as np

from tinygan.convolution import gpu, im2col, naive, planar, winograd
from tinygan.convolution.geometry import output_size, pair
from tinygan.convolution.tally import count
from tinygan.fast import cuda as kernels
from tinygan.fast import mode
from tinygan.machine.arrays import Array, Size

__all__ = [
    "convolve",
    "convolve_backward",
    "convolve_grad_input",
    "convolve_grad_weight",
    "convolve_transposed_backward",
    "output_size",
    "using_algorithm",
]

Pair: TypeAlias = int | tuple[int, int]
"""One number for height and width, or one for each."""

ALGORITHMS = ("auto", "naive", "im2col", "winograd")
_default: ContextVar[str] = ContextVar("tinygan.convolution algorithm", default="auto")


def convolve(x: Array, w: Array, stride: Pair = 1, padding: Pair = 0, *,
             algorithm: str = "auto") -> Array:  # fmt: skip
    r"""Slide the kernels `w` over the images `x`.

    Parameters
    ----------
    x : array (N, H, W, C)
        Images, of any strides; zero outside their borders.
    w : array (KH, KW, C, O)
        Kernels.
    stride, padding : int or pair of int
        Step between windows, and how far they reach over the border, along height and width.
    algorithm : {"auto", "naive", "im2col", "winograd"}
        ``"auto"`` is what `tinygan.plain` or `using_algorithm` say, elsewhere the fastest one.
        ``"winograd"`` has no form for some shapes and is then the same as ``"im2col"``.

    Returns
    -------
    y : array (N, OH, OW, O)
        With ``OH = output_size(H, KH, stride, padding)``; of the dtype of the arguments.

    Raises
    ------
    ValueError
        If the shapes do not fit, or `algorithm` is none of the four.

    Notes
    -----
    .. math:: y[n,i,j,o] = \sum_{k,l,c} x[n,\, s_h i + k - p_h,\, s_w j + l - p_w,\, c]\, w[k,l,c,o]

    As in every deep-learning library the kernel is not flipped: in mathematics this is a
    cross-correlation.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.arange(4.0).reshape(1, 1, 4, 1)
    >>> convolve(x, np.array([1.0, 10.0]).reshape(1, 2, 1, 1)).ravel()
    array([10., 21., 32.])
    """
    stride, padding = pair(stride, "stride", 1), pair(padding, "padding", 0)
    _check("convolve", x.shape, w.shape, None, stride, padding)
    return _module(algorithm, x.shape, w.shape, stride, padding, x, w).convolve(
        x, w, stride, padding
    )


def convolve_grad_input(dy: Array, w: Array, stride: Pair, padding: Pair, input_size: Pair, *,
                        algorithm: str = "auto") -> Array:  # fmt: skip
    r"""Return the gradient of `convolve` with respect to its images: the transposed convolution.

    Parameters
    ----------
    dy : array (N, OH, OW, O)
        Gradient of the result of `convolve`.
    w : array (KH, KW, C, O)
        Kernels.
    stride, padding : int or pair of int
        As for `convolve`.
    input_size : pair of int
        ``(H, W)``.  With a stride several sizes have the same ``(OH, OW)``, so it must be given.
    algorithm : {"auto", "naive", "im2col", "winograd"}
        As for `convolve`.

    Returns
    -------
    dx : array (N, H, W, C)

    Raises
    ------
    ValueError
        As `convolve`.

    Notes
    -----
    With :math:`L = \sum y \cdot dy`, the product rule on the sum of `convolve` leaves

    .. math:: dx[n,h,v,c] = \sum_{i,j,k,l,o} dy[n,i,j,o]\, w[k,l,c,o]
              \quad\text{over}\quad s_h i + k - p_h = h,\; s_w j + l - p_w = v.
    """
    stride, padding = pair(stride, "stride", 1), pair(padding, "padding", 0)
    size = pair(input_size, "input_size", 1)
    x_shape = (len(dy), *size, w.shape[2])
    _check("convolve_grad_input", x_shape, w.shape, dy.shape, stride, padding)
    return _module(algorithm, x_shape, w.shape, stride, padding, dy, w).convolve_grad_input(
        dy, w, stride, padding, size
    )


def convolve_grad_weight(x: Array, dy: Array, stride: Pair, padding: Pair, kernel_size: Pair, *,
                         algorithm: str = "auto") -> Array:  # fmt: skip
    r"""Return the gradient of `convolve` with respect to its kernels.

    Parameters
    ----------
    x : array (N, H, W, C)
        The images.
    dy : array (N, OH, OW, O)
        Gradient of the result of `convolve`.
    stride, padding : int or pair of int
        As for `convolve`.
    kernel_size : pair of int
        ``(KH, KW)``.
    algorithm : {"auto", "naive", "im2col", "winograd"}
        As for `convolve`.

    Returns
    -------
    dw : array (KH, KW, C, O)

    Raises
    ------
    ValueError
        As `convolve`.

    Notes
    -----
    .. math:: dw[k,l,c,o] =
              \sum_{n,i,j} x[n,\, s_h i + k - p_h,\, s_w j + l - p_w,\, c]\, dy[n,i,j,o]
    """
    stride, padding = pair(stride, "stride", 1), pair(padding, "padding", 0)
    size = pair(kernel_size, "kernel_size", 1)
    w_shape = (*size, x.shape[3], dy.shape[3])
    _check("convolve_grad_weight", x.shape, w_shape, dy.shape, stride, padding)
    return _module(algorithm, x.shape, w_shape, stride, padding, x, dy).convolve_grad_weight(
        x, dy, stride, padding, size
    )


def convolve_backward(x: Array, w: Array, dy: Array, stride: Pair = 1, padding: Pair = 0, *,
                      algorithm: str = "auto") -> tuple[Array, Array]:  # fmt: skip
    """Return both gradients of ``convolve(x, w, stride, padding)``, which share a part of the work.

    Parameters
    ----------
    x, w : array
        As for `convolve`.
    dy : array (N, OH, OW, O)
        Gradient of its result.
    stride, padding, algorithm
        As for `convolve`.

    Returns
    -------
    dx, dw : array
        `convolve_grad_input` of `dy` and `w`, and `convolve_grad_weight` of `x` and `dy`.

    Raises
    ------
    ValueError
        As `convolve`.
    """
    stride, padding = pair(stride, "stride", 1), pair(padding, "padding", 0)
    _check("convolve_backward", x.shape, w.shape, dy.shape, stride, padding, operations=2)
    module = _module(algorithm, x.shape, w.shape, stride, padding, x, w, dy)
    if hasattr(module, "convolve_backward"):
        return module.convolve_backward(x, w, dy, stride, padding)
    dx = module.convolve_grad_input(dy, w, stride, padding, x.shape[1:3])
    return dx, module.convolve_grad_weight(x, dy, stride, padding, w.shape[:2])


def convolve_transposed_backward(x: Array, w: Array, dy: Array, stride: Pair = 1,
                                 padding: Pair = 0, *, algorithm: str = "auto"
                                 ) -> tuple[Array, Array]:  # fmt: skip
    """Return both gradients of ``y = convolve_grad_input(x, w, stride, padding, input_size)``.

    Parameters
    ----------
    x : array (N, OH, OW, O)
        What the transposed convolution enlarges.
    w : array (KH, KW, C, O)
        Its kernels.
    dy : array (N, H, W, C)
        Gradient of its result.
    stride, padding, algorithm
        As for `convolve`.

    Returns
    -------
    dx, dw : array
        `convolve` of `dy` and `w`, and `convolve_grad_weight` of `dy` and `x`.

    Raises
    ------
    ValueError
        As `convolve`.
    """
    stride, padding = pair(stride, "stride", 1), pair(padding, "padding", 0)
    _check(
        "convolve_transposed_backward", dy.shape, w.shape, x.shape, stride, padding, operations=2
    )
    module = _module(algorithm, dy.shape, w.shape, stride, padding, x, w, dy)
    if hasattr(module, "convolve_transposed_backward"):
        return module.convolve_transposed_backward(x, w, dy, stride, padding)
    dx = module.convolve(dy, w, stride, padding)
    return dx, module.convolve_grad_weight(dy, x, stride, padding, w.shape[:2])


@contextmanager
def using_algorithm(algorithm: str) -> Iterator[None]:
    """Within ``with using_algorithm("im2col"):`` every ``algorithm="auto"`` means this one.

    Examples
    --------
    >>> import numpy as np
    >>> x, w = np.ones((1, 5, 5, 2)), np.ones((3, 3, 2, 4))
    >>> with using_algorithm("naive"):
    ...     y = convolve(x, w)
    >>> bool(np.allclose(y, convolve(x, w)))
    True
    """
    _check_algorithm(algorithm)
    token = _default.set(algorithm)
    try:
        yield
    finally:
        _default.reset(token)


def _module(
    algorithm: str,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    stride: Size,
    padding: Size,
    *arrays: Array,
) -> ModuleType:
    """Return the module that computes all three operations of this convolution."""
    _check_algorithm(algorithm)
    for array in arrays:
        if array.dtype.kind != "f":
            raise TypeError(f"expected arrays of a floating-point dtype, got {array.dtype}")
    if algorithm == "auto":
        algorithm = mode() if mode() != "auto" else _default.get()
    if algorithm == "naive" or x_shape[0] == 0:  # the others cut a batch into slices
        return naive
    if algorithm == "winograd":
        return winograd if winograd.applies(w_shape[:2], stride) else im2col
    if algorithm == "auto":
        if kernels.usable(*arrays):
            return gpu
        one_window = tuple(x_shape[1:3]) == tuple(w_shape[:2]) and padding == (0, 0)
        if planar.applies(w_shape, stride, padding) and not one_window:
            return planar
        on_cpu = isinstance(arrays[0], np.ndarray)  # whose costs `pays` knows
        if on_cpu and winograd.pays(x_shape, w_shape, stride, padding):
            return winograd
    return im2col


def _check_algorithm(algorithm: str) -> None:
    if algorithm not in ALGORITHMS:
        raise ValueError(f"algorithm: expected one of {', '.join(ALGORITHMS)}, got {algorithm!r}")


def _check(
    name: str,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
    dy_shape: tuple[int, ...] | None,
    stride: Size,
    padding: Size,
    operations: int = 1,
) -> None:
    """Raise a ValueError unless the shapes belong to one convolution; count its multiply–adds."""
    if len(x_shape) != 4 or len(w_shape) != 4:
        raise ValueError(
            f"{name}: expected x of shape (N, H, W, C) and w of shape (KH, KW, C, O), "
            f"got x {x_shape} and w {w_shape}"
        )
    if x_shape[3] != w_shape[2]:
        raise ValueError(
            f"{name}: expected w of shape (KH, KW, {x_shape[3]}, O) for x {x_shape}, got {w_shape}"
        )
    sizes = zip(x_shape[1:3], w_shape[:2], stride, padding, strict=True)
    rows, columns = (output_size(*axis) for axis in sizes)
    if rows < 1 or columns < 1:
        raise ValueError(
            f"{name}: expected images no smaller than the {w_shape[0]}×{w_shape[1]} kernel, "
            f"got {x_shape[1]}×{x_shape[2]} with padding {padding}"
        )
    expected = (x_shape[0], rows, columns, w_shape[3])
    if dy_shape is not None and tuple(dy_shape) != expected:
        raise ValueError(f"{name}: expected dy of shape {expected}, got {tuple(dy_shape)}")
    count(operations * math.prod(expected[:3]), math.prod(w_shape))
