r"""Convolution with fewer multiplications.

One dimension, stride 1: `toom_cook` gives three matrices with

.. math:: y = A^T[(G\,w) \odot (B^T d)],

``m`` outputs of ``r`` taps from the ``n = m + r − 1`` inputs ``d`` they see, by ``n`` products.  In
two dimensions apply it along the height and, inside, along the width: a *tile* of ``n × n`` inputs
gives ``m × m`` outputs by ``n²`` products instead of ``m² r²``.  With channels each product becomes
a matrix product over all the tiles of all images, one for each position ``(i, k)`` of the tile:

.. math::
    V_{ik} = \sum_{ab} B_{ai} B_{bk}\, d_{ab} \;(tiles × C), \quad
    U_{ik} = \sum_{ab} G_{ia} G_{kb}\, w_{ab} \;(C × O), \quad
    M_{ik} = V_{ik} U_{ik}, \quad
    y_{ab} = \sum_{ik} A_{ia} A_{kb}\, M_{ik}.

The two gradients are these lines transposed, read from right to left:

.. math::
    dM = A\,dy\,A^T, \quad dV_{ik} = dM_{ik} U_{ik}^T, \quad dd = B\,dV\,B^T, \qquad
    dU_{ik} = V_{ik}^T dM_{ik}, \quad dw = G^T dU\,G,

where ``dx`` is the sum of the ``dd`` of overlapping tiles.  Both matrices of a transform are
applied one after the other, along the height and along the width.

**Stride 2.**  Even and odd rows of ``x`` (its two *phases*) meet even and odd rows of ``w``: a
4-tap filter with stride 2 is two 2-tap filters with stride 1, added.  Along both axes that is a
stride-1 convolution of 2 × 2 taps over four times the channels ``(phase_h, phase_w, C)``.

The tiles themselves, in and out of the picture, are in `tiles`.
"""

from __future__ import annotations

import itertools
from functools import lru_cache, partial
from typing import Any

import numpy as np

from tinygan.convolution.geometry import output_size, rows_are_contiguous, scratch
from tinygan.convolution.product import multiply
from tinygan.convolution.tiles import (
    OUTPUTS,
    Tasks,
    Tiling,
    taps_of_phase,
    transform_input,
    transform_input_gradient,
    transform_output,
    transform_output_gradient,
    transform_weight,
    transform_weight_gradient,
)
from tinygan.machine.arrays import Array, Size, get_xp
from tinygan.machine.parallel import run, split

LEAST_CHANNELS = 64  # C times O; below, nothing is gained, and sums of small integers stay exact
LEAST_PRODUCT = 1 << 22  # multiplications of one task: some 0.1 ms; below, positions go together


def applies(kernel_size: tuple[int, ...], stride: Size) -> bool:
    """Say whether there is a form for this kernel and stride."""
    square = kernel_size[0] == kernel_size[1] and stride[0] == stride[1]
    return (
        square and kernel_size[0] % stride[0] == 0 and taps_of_phase(kernel_size, stride) in OUTPUTS
    )


@lru_cache
def pays(x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Size, padding: Size) -> bool:
    """Say whether this is expected to be faster than `im2col`.

    Measured, in units of one multiplication or addition of a long matrix product: an entry of ``U``
    costs 70 to make, an entry of ``V`` or ``M`` 110, an entry of im2col's patches 100.
    """
    if not applies(w_shape[:2], stride) or w_shape[2] * w_shape[3] < LEAST_CHANNELS:
        return False
    m = outputs(x_shape, w_shape, stride, padding)
    rows, columns = _output_sizes(x_shape, w_shape, stride, padding)
    patches = x_shape[0] * rows * columns * w_shape[0] * w_shape[1] * w_shape[2]
    return _cost(m, x_shape, w_shape, stride, padding) < patches * (2 * w_shape[3] + 100)


@lru_cache
def outputs(x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Size, padding: Size) -> int:
    """Return how many outputs a tile should have along each axis."""
    sizes = OUTPUTS[taps_of_phase(w_shape, stride)]
    return min(sizes, key=lambda m: _cost(m, x_shape, w_shape, stride, padding))


def _cost(
    m: int, x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Size, padding: Size
) -> int:
    rows, columns = _output_sizes(x_shape, w_shape, stride, padding)
    positions, phases = (m + taps_of_phase(w_shape, stride) - 1) ** 2, stride[0] ** 2
    channels, out = w_shape[2:]
    tiles = x_shape[0] * -(-rows // m) * -(-columns // m)
    product = phases * channels * out * (2 * tiles + 70)
    return positions * (product + tiles * (phases * channels + out) * 110)


def _output_sizes(
    x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Size, padding: Size
) -> Size:
    sizes = zip(x_shape[1:3], w_shape[:2], stride, padding, strict=True)
    rows, columns = (output_size(*axis) for axis in sizes)
    return rows, columns


def convolve(x: Array, w: Array, stride: Size, padding: Size) -> Array:
    """Return ``y`` from ``x`` and ``w``."""
    return _from_input(x, w, None, stride, padding)[0]


def convolve_grad_input(
    dy: Array, w: Array, stride: Size, padding: Size, input_size: Size
) -> Array:
    """Return ``dx`` from ``dy`` and ``w``."""
    x_shape = (len(dy), *input_size, w.shape[2])
    return _from_output_gradient(None, w, dy, stride, padding, x_shape, w.shape)[0]


def convolve_grad_weight(
    x: Array, dy: Array, stride: Size, padding: Size, kernel_size: Size
) -> Array:
    """Return ``dw`` from ``x`` and ``dy``."""
    w_shape = (*kernel_size, x.shape[3], dy.shape[3])
    return _from_output_gradient(x, None, dy, stride, padding, x.shape, w_shape)[1]


def convolve_backward(
    x: Array, w: Array, dy: Array, stride: Size, padding: Size
) -> tuple[Array, Array]:
    """Return ``dx`` and ``dw``; ``dM`` is made once for both."""
    return _from_output_gradient(x, w, dy, stride, padding, x.shape, w.shape)


def convolve_transposed_backward(
    x: Array, w: Array, dy: Array, stride: Size, padding: Size
) -> tuple[Array, Array]:
    """Return ``dx`` and ``dw`` of ``convolve_grad_input(x, w)``; the ``V`` of dy serves both."""
    return _from_input(dy, w, x, stride, padding)


def _from_input(
    x: Array, w: Array, dy: Array | None, stride: Size, padding: Size
) -> tuple[Array, Array | None]:
    """Return what follows from ``V``: ``y`` and, where `dy` is given, ``dw``."""
    xp = get_xp(x=x, w=w)
    x = x if rows_are_contiguous(x) else xp.ascontiguousarray(x)
    t = _tiling(xp, xp.result_type(x, w), x.shape, w.shape, stride, padding)
    chunks = t.chunks()
    U, also = transform_weight(t, w)
    y = xp.empty((t.images, t.OH, t.OW, t.O), t.dtype)
    for number, (n0, n1, t0, t1) in enumerate(chunks):
        V = transform_input(t, x, n0, n1, t0, t1, also)
        also = ()
        M = scratch(xp, "M", (t.n, t.n, V.shape[2], t.O), t.dtype)
        _multiply(t, V, U, M)
        transform_output(t, M, y, n0, n1, t0, t1)
        if dy is not None:
            dM = transform_output_gradient(t, dy, n0, n1, t0, t1)
            dU = _add_to_dU(t, V, dM, number, len(chunks))
    return y, None if dy is None else transform_weight_gradient(t, dU, w.shape)


def _from_output_gradient(
    x: Array | None,
    w: Array | None,
    dy: Array,
    stride: Size,
    padding: Size,
    x_shape: tuple[int, ...],
    w_shape: tuple[int, ...],
) -> tuple[Array | None, Array | None]:
    """Return what follows from ``dM``: ``dx`` where `w` is given, and ``dw`` where `x` is."""
    xp = get_xp(dy=dy, **{name: a for name, a in (("x", x), ("w", w)) if a is not None})
    t = _tiling(xp, xp.result_type(dy, w if x is None else x), x_shape, w_shape, stride, padding)
    chunks, dx = t.chunks(), None
    also: Tasks = ()  # with the first chunk
    if w is not None:
        U, also = transform_weight(t, w)
        U = U.transpose(0, 1, 3, 2)
        seen = t.width - padding[1] >= t.W and t.s * (t.TH * t.m + t.r - 1) - padding[0] >= t.H
        dx = (xp.empty if seen else xp.zeros)(x_shape, t.dtype)
    if x is not None and not rows_are_contiguous(x):
        x = xp.ascontiguousarray(x)
    for number, (n0, n1, t0, t1) in enumerate(chunks):
        # the row of tiles that reaches into the first one of this chunk
        before = t0 if w is None else max(0, t0 - 1)
        dM = transform_output_gradient(t, dy, n0, n1, before, t1, also)
        also = ()
        if w is not None:
            dV = scratch(xp, "V", (t.n, dM.shape[2], t.n, t.K), t.dtype)
            _multiply(t, dM, U, dV.transpose(0, 2, 1, 3))
            transform_input_gradient(t, dV, dx, n0, n1, t0, t1, before)
        if x is not None:
            V = transform_input(t, x, n0, n1, t0, t1)
            dM = dM[:, :, (t0 - before) * t.TW :]  # chunks of a few rows are of one image
            dU = _add_to_dU(t, V, dM, number, len(chunks))
    return dx, None if x is None else transform_weight_gradient(t, dU, w_shape)


def _tiling(xp: Any, dtype: Any, *shapes: Any) -> Tiling:
    return Tiling(xp, dtype, outputs(*shapes), *shapes)


def _add_to_dU(t: Tiling, V: Array, dM: Array, number: int, chunks: int) -> Array:
    """Set ``dU = Vᵀ dM`` or, after the first chunk, add it."""
    name = "U" if chunks == 1 else "dU"  # with a single chunk U has done its work: reuse its memory
    dU = scratch(t.xp, name, (t.n, t.n, t.K, t.O), t.dtype)
    _multiply(t, V.transpose(0, 1, 3, 2), dM, dU, add=number > 0)
    return dU


def _multiply(t: Tiling, left: Array, right: Array, out: Array, add: bool = False) -> None:
    """Set ``out[i, k] = left[i, k] @ right[i, k]``, or add it, for every position of a tile."""

    def product(i: slice, k: slice, rows: slice, columns: slice = slice(None)) -> None:
        to = out[i, k, rows, columns]
        factors = left[i, k, rows], right[i, k, :, columns]
        if add:
            to += multiply(t.xp, *factors, scratch(t.xp, "product", to.shape, t.dtype))
        else:
            multiply(t.xp, *factors, to)

    if t.xp is not np:
        out[...] = t.xp.matmul(left, right) + (out if add else 0)
        return
    rows = out.shape[2]
    work = rows * out.shape[3] * right.shape[2]  # of one position
    columns = min(t.n, -(-LEAST_PRODUCT // work))
    lines = min(t.n, -(-LEAST_PRODUCT // (t.n * work))) if columns == t.n else 1
    parts = split(rows, -(-rows // 2)) if rows >= 256 and columns == 1 else [(0, rows)]
    cuts = [
        [slice(*cut) for cut in cuts] for cuts in (split(t.n, lines), split(t.n, columns), parts)
    ]
    places: list[tuple[slice, ...]] = list(itertools.product(*cuts))
    if len(places) % 2:  # else one of two cores waits for the last product of the other
        last, half = places.pop(), out.shape[3] // 2
        places += [(*last, slice(half)), (*last, slice(half, None))]
    run([partial(product, *at) for at in places])
