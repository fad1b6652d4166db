"""Moments of parts, merged into those of the whole."""

from __future__ import annotations

from typing import Any

from tinygan.machine.arrays import Array

__all__ = ["merge"]


def merge(means: Array, variances: Array, shares: Any) -> tuple[Array, Array]:
    r"""Merge parts ``(G, P, C)`` with their shares of the values, ``(P, 1)``, into ``(G, C)``.

    .. math::
        \mu = \sum_p w_p \mu_p, \qquad
        \sigma^2 = \sum_p w_p \big( \sigma_p^2 + (\mu_p - \mu)^2 \big) .

    References
    ----------
    Chan, Golub, LeVeque, *Algorithms for Computing the Sample Variance*, 1983.
    """
    first = means[:, :1]
    mean = first + (shares * (means - first)).sum(axis=1, keepdims=True)
    return mean[:, 0], (shares * (variances + (means - mean) ** 2)).sum(axis=1)
