r"""The matrices of fast convolution, computed exactly from their points.

**Where they come from.**  Multiply two polynomials :math:`a` (``m`` coefficients) and :math:`b`
(``r`` coefficients) as Toom and Cook do: evaluate both at ``n = m + r − 1`` points, multiply the
values, and interpolate the product, which has ``n`` coefficients and is therefore known exactly:

.. math:: c = W^{-1}\,[(V_m a) \odot (V_r b)]

where row ``i`` of :math:`V_k` is :math:`(1, p_i, p_i^2, …, p_i^{k-1})`, :math:`W = V_n`, and the
point :math:`\infty` stands for the leading coefficient: its row is :math:`(0, …, 0, 1)`.  That is
``n`` multiplications instead of ``m·r``.

**From products to convolutions.**  The coefficients are :math:`c_{i+k} = \sum a_i b_k`.  Fix
:math:`b`: then :math:`a \mapsto c` is a linear map, and its transpose takes ``n`` numbers
:math:`d` to the ``m`` numbers :math:`y_i = \sum_k d_{i+k}\, b_k`: the convolution of a layer.
Transpose the formula factor by factor:

.. math::
    y = A^T[(G\,b) \odot (B^T d)], \qquad A = V_m,\quad G = V_r,\quad B^T = W^{-T}.

This is Winograd's :math:`F(m, r)`: ``m`` outputs of an ``r``-tap filter by ``m + r − 1``
multiplications.  Nothing is approximated; only the rounding of the sums differs.

**Rounding.**  Large powers of the points make large sums that cancel.  The points 0, ±3/4, ±3/2 are
as small and as far apart as a few can be, and their powers are exact in binary.  A position may be
scaled at will, as long as the three matrices together stay the same: rows of :math:`B^T` are made
monic (the last coefficient 1) and the factor is given to :math:`G`.

References
----------
S. Winograd, *Arithmetic Complexity of Computations*, 1980.  A. Lavin and S. Gray, "Fast Algorithms
for Convolutional Neural Networks", CVPR 2016.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

POINTS = (0, Fraction(3, 4), Fraction(-3, 4), Fraction(3, 2), Fraction(-3, 2))  # and infinity, last


@lru_cache
def transforms(m: int, r: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""Return ``A`` (n, m), ``G`` (n, r) and ``B`` (n, n) of :math:`F(m, r)`, in float64.

    Examples
    --------
    >>> A, G, B = transforms(2, 3)
    >>> d, w = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 10.0, 100.0])
    >>> A.T @ ((G @ w) * (B.T @ d))
    array([421., 842.])
    """
    n = m + r - 1
    points = POINTS[: n - 1]
    A = [[Fraction(p) ** i for i in range(m)] for p in points]
    A.append([Fraction(i == m - 1) for i in range(m)])
    G, BT = [], []
    for p in points:
        others = [q for q in points if q != p]
        # the polynomial that is zero at all other points: a row of W⁻ᵀ, up to its value at p
        row = _with_roots(others)
        value = sum(c * p**i for i, c in enumerate(row))
        BT.append([*row, Fraction(0)])
        G.append([Fraction(p) ** k / value for k in range(r)])
    BT.append(_with_roots(points))
    G.append([Fraction(k == r - 1) for k in range(r)])
    B = [list(column) for column in zip(*BT, strict=True)]
    return np.array(A, dtype=float), np.array(G, dtype=float), np.array(B, dtype=float)


def _with_roots(roots: Iterable[Any]) -> list[Fraction]:
    """Return the coefficients, constant first, of the monic polynomial with these `roots`."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [
            a - root * b for a, b in zip(shifted, [*coefficients, Fraction(0)], strict=True)
        ]
    return coefficients
