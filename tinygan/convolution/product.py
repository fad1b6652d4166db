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

ROWS, COLUMNS = 16, 64  # of a block of the result
LONGEST = 10**6 // (ROWS * COLUMNS)  # rows of the second factor
MANY = 128  # rows of the first factor for which a copy of a second one with fewer rows pays
KERNELS = ("SkylakeX", "Cooperlake", "SapphireRapids")  # which have such loops


def multiply(xp: Any, left: Array, right: Array, out: Array) -> Array:
    """Set ``out = left @ right`` and return it, for matrices or stacks of them."""
    (rows, columns), length = out.shape[-2:], right.shape[-2]
    if (
        xp is not np
        or columns % COLUMNS
        or length > LONGEST
        or length < MANY <= rows
        or left.strides[-1] != left.itemsize
        or blas_architecture() not in KERNELS
    ):
        return xp.matmul(left, right, out=out)
    last = rows - rows % ROWS
    for a, b, size in ((0, last, ROWS), (last, rows, rows - last)):
        if a < b:
            np.matmul(
                _cut(left[..., a:b, :], -2, size)[..., None, :, :],
                _cut(right, -1, COLUMNS).swapaxes(-2, -3)[..., None, :, :, :],
                out=_cut(_cut(out[..., a:b, :], -1, COLUMNS), -3, size).swapaxes(-2, -3),
            )
    return out


def _cut(array: Array, axis: int, size: int) -> Array:
    """See an axis as two: pieces of `size`, and what is in a piece."""
    axis %= array.ndim
    shape = array.shape
    return array.reshape(*shape[:axis], shape[axis] // size, size, *shape[axis + 1 :])
