"""The kernel distance between two sets of features: an unbiased estimate, of no distribution."""

from __future__ import annotations

from tinygan.machine.arrays import Array
from tinygan.metrics import _check

__all__ = ["kernel_distance"]

_ROWS = 2048  # of the table of kernel values at a time


def kernel_distance(x: Array, y: Array) -> float:
    r"""Return the unbiased squared maximum mean discrepancy with the cubic polynomial kernel.

    With the features of the Inception network this number is known as KID.

    Parameters
    ----------
    x, y : ndarray
        Features ``(N, D)`` and ``(M, D)``.

    Returns
    -------
    float
        0 on average for two sets of one distribution; by chance it comes out a little below zero
        as often as above.  Unlike the Fréchet distance it can be compared between different N.

    Notes
    -----
    With :math:`k(a, b) = (a^T b / D + 1)^3`,

    .. math::
        \frac{1}{N(N-1)} \sum_{i \ne j} k(x_i, x_j) + \frac{1}{M(M-1)} \sum_{i \ne j} k(y_i, y_j)
        - \frac{2}{NM} \sum_{i, j} k(x_i, y_j).

    The table of kernel values is made a few rows at a time.  Its spread over random subsets is
    `over_halves`.

    References
    ----------
    M. Bińkowski et al., *Demystifying MMD GANs*, 2018, section 4; A. Gretton et al., *A Kernel
    Two-Sample Test*, 2012, equation 3.
    """
    x, y = _check.feature_pair(x, y)
    return _within(x) + _within(y) - 2 * _kernel_sum(x, y) / (len(x) * len(y))


def _within(x: Array) -> float:
    own = (((x * x).sum(axis=1) / x.shape[1] + 1) ** 3).sum()
    return (_kernel_sum(x, x) - own) / (len(x) * (len(x) - 1))


def _kernel_sum(x: Array, y: Array) -> float:
    return sum(
        ((x[i : i + _ROWS] @ y.T / x.shape[1] + 1) ** 3).sum() for i in range(0, len(x), _ROWS)
    )
