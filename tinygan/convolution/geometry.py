"""Sizes, zero borders and slices: what every convolution algorithm needs before it multiplies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np

from tinygan.machine.arrays import Array, Size, get_xp
from tinygan.machine.parallel import run, split, workspace


def pair(value: Any, name: str, least: int) -> Size:
    """Return an integer as a pair, check a pair: ``(along the height, along the width)``."""
    values = value if hasattr(value, "__len__") else (value, value)
    if len(values) != 2 or any(
        isinstance(v, bool) or not hasattr(v, "__index__") or v < least for v in values
    ):
        raise ValueError(
            f"{name}: expected an integer of at least {least}, or a pair of them, got {value!r}"
        )
    return int(values[0]), int(values[1])


def output_size(size: int, kernel: int, stride: int, padding: int) -> int:
    """Return the length of one axis after a convolution.

    Examples
    --------
    >>> output_size(64, kernel=4, stride=2, padding=1)
    32
    """
    return (size + 2 * padding - kernel) // stride + 1


def scratch(xp: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an uninitialised array that lives until this thread's next call with this `name`."""
    return workspace(name, shape, dtype) if xp is np else xp.empty(shape, dtype)


def pieces(images: int, rows: int, rows_a_piece: int, xp: Any) -> list[tuple[int, int, int, int]]:
    """Divide ``images × rows`` into pieces ``(n0, n1, h0, h1)``.

    A piece is a few whole images or, where one image has more than `rows_a_piece` rows, a few rows
    of one image: in both cases a contiguous run of memory, and batches of one are divided too.
    The pieces depend on the sizes alone.  On CuPy there is one piece, everything.
    """
    if xp is not np:
        return [(0, images, 0, rows)]
    if rows <= rows_a_piece:
        return [(n0, n1, 0, rows) for n0, n1 in split(images, max(1, rows_a_piece // rows))]
    step = -(-rows // -(-rows // max(1, rows_a_piece)))  # even pieces, not a small last one
    return [(n, n + 1, h0, h1) for n in range(images) for h0, h1 in split(rows, step)]


def for_pieces(
    function: Callable[..., Any],
    images: int,
    rows: int,
    rows_a_piece: int,
    xp: Any,
    also: Iterable[Callable[[], Any]] = (),
) -> None:
    """Call ``function(n0, n1, h0, h1)`` over the `pieces`, and `also` those, on all cores.

    Of a few pieces there are an even number, else one of two cores waits for the last.
    """
    todo = pieces(images, rows, rows_a_piece, xp)
    if xp is np and len(todo) % 2 and len(todo) < 8 and 2 * images * rows > rows_a_piece:
        todo = pieces(images, rows, -(-images * rows // (len(todo) + 1)), xp)
    run([*also, *(partial(function, *piece) for piece in todo)])


def rows_are_contiguous(x: Array) -> bool:
    """Say whether each row of pixels of `x` is one run of memory."""
    return x.strides[2:] == (x.shape[3] * x.itemsize, x.itemsize) and min(x.strides) > 0


def padded(
    xp: Any, x: Array, n0: int, n1: int, top: int, bottom: int, left: int, right: int
) -> Array:
    """Return rows `top` to `bottom` and columns `left` to `right` of images `n0` to `n1` of `x`.

    The range may reach over the borders of `x`, where it holds zeros.  A row of the result is
    contiguous.  Where `x` allows both, the result is a view: do not write into it.
    """
    _, height, width, channels = x.shape
    inside = top >= 0 and bottom <= height and left >= 0 and right <= width
    if inside and rows_are_contiguous(x):
        return x[n0:n1, top:bottom, left:right]
    slab = scratch(xp, "padded", (n1 - n0, bottom - top, right - left, channels), x.dtype)
    if not inside:
        slab[...] = 0
    a, b = max(0, top), max(0, min(bottom, height))
    c, d = max(0, left), max(0, min(right, width))
    if b > a and d > c:
        slab[:, a - top : b - top, c - left : d - left] = x[n0:n1, a:b, c:d]
    return slab


def windows(
    xp: Any, slab: Array, kernel_size: Size, stride: Size, rows: int, columns: int
) -> Array:
    """Return a view ``(N, rows, columns, KH, KW, C)`` of the windows of `slab`, nothing copied."""
    n, h, w, c = slab.strides
    return xp.lib.stride_tricks.as_strided(
        slab,
        (len(slab), rows, columns, *kernel_size, slab.shape[3]),
        (n, h * stride[0], w * stride[1], h, w, c),
    )


def turned(w: Array) -> Array:
    """Return `w` turned by 180° with its channels exchanged, of the mirrored form; no gaps."""
    return get_xp(w).ascontiguousarray(w[::-1, ::-1].transpose(0, 1, 3, 2))


def turned_padding(kernel_size: Size, padding: Size) -> Size:
    """Return the padding of the mirrored form."""
    return kernel_size[0] - 1 - padding[0], kernel_size[1] - 1 - padding[1]
