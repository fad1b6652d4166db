"""Products of stacks of matrices, in blocks that OpenBLAS multiplies without copying them.

A matrix product first copies both factors into the order in which its innermost loop reads them.
With a few rows that copy costs as much as the product, more where a factor is transposed.  For
products of at most 10⁶ multiplications OpenBLAS has loops for AVX-512 that read the factors where
they lie.  So a product of thousands of blocks can be faster than the same product in one piece.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan.machine.arrays import Array
from tinygan.machine.parallel import blas_architecture

COLUMNS = 64  # of a block of the result
MOST = 10**6  # multiplications of a block
MANY = 128  # rows, or columns, for which the copies pay
KERNELS = ("SkylakeX", "Cooperlake", "SapphireRapids")  # which have such loops


def multiply(xp: Any, left: Array, right: Array, out: Array) -> Array:
    """Set ``out = left @ right`` and return it, for matrices or stacks of them."""
    rows = _rows_of_a_block(left, right, out) if xp is np else 0
    if not rows:
        return xp.matmul(left, right, out=out)
    whole = out.shape[-2] - out.shape[-2] % rows
    for a, b, size in ((0, whole, rows), (whole, out.shape[-2], out.shape[-2] - whole)):
        if a < b:
            np.matmul(
                _cut(left[..., a:b, :], -2, size)[..., None, :, :],
                _cut(right, -1, COLUMNS).swapaxes(-2, -3)[..., None, :, :, :],
                out=_cut(_cut(out[..., a:b, :], -1, COLUMNS), -3, size).swapaxes(-2, -3),
            )
    return out


def _rows_of_a_block(left: Array, right: Array, out: Array) -> int:
    """Return how many rows a block should have, or 0: in one piece it is faster."""
    (m, n), k = out.shape[-2:], right.shape[-2]
    rows = 16
    if left.strides[-1] != left.itemsize:  # it is transposed
        rows, copies_pay = 32, n > MANY
    elif right.strides[-1] != right.itemsize:
        copies_pay = k < MANY <= m
    else:
        copies_pay = m > 2 * k
    if copies_pay or n % COLUMNS or rows * COLUMNS * k > MOST:
        return 0
    return rows if blas_architecture() in KERNELS else 0


def _cut(array: Array, axis: int, size: int) -> Array:
    """See an axis as two: pieces of `size`, and what is in a piece."""
    axis %= array.ndim
    shape = array.shape
    return array.reshape(*shape[:axis], shape[axis] // size, size, *shape[axis + 1 :])
