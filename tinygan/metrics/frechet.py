"""The Fréchet distance between two sets of features."""

from __future__ import annotations

import numpy as np

from tinygan.machine.arrays import Array
from tinygan.machine.parallel import run
from tinygan.metrics import _check

__all__ = ["frechet_distance", "gaussian_distance"]


def frechet_distance(x: Array, y: Array) -> float:
    """Return the Fréchet distance between two sets of features, each taken for a Gaussian.

    With the features of the Inception network this number is known as FID.  With other features,
    also with `RandomFeatures`, it is another number: compare it with itself alone.

    Parameters
    ----------
    x, y : ndarray
        Features ``(N, D)`` and ``(M, D)``.

    Returns
    -------
    float
        The squared distance, 0 for equal means and covariances.  It is biased upwards for few
        pictures, by about D²/N in whitened features, so compare at equal N, and let another part
        of the data itself show the floor.

    References
    ----------
    M. Heusel et al., *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
    Equilibrium*, 2017.
    """
    x, y = _check.feature_pair(x, y)
    # a task for `run`: on busy cores matrices of this size are slower with a BLAS of many threads
    return run([lambda: gaussian_distance(*_moments(x), *_moments(y))])[0]


def gaussian_distance(
    mean_x: np.ndarray, covariance_x: np.ndarray, mean_y: np.ndarray, covariance_y: np.ndarray
) -> float:
    r"""Return the squared Fréchet (2-Wasserstein) distance between two Gaussians.

    Parameters
    ----------
    mean_x, mean_y : ndarray
        ``(D,)``.
    covariance_x, covariance_y : ndarray
        ``(D, D)``, symmetric and positive semi-definite; they may be singular.

    Notes
    -----
    .. math::
        d^2 = \|\mu_x - \mu_y\|^2
            + \operatorname{tr}\bigl(C_x + C_y - 2\,(C_x C_y)^{1/2}\bigr).

    :math:`C_x C_y` has the eigenvalues of the symmetric :math:`C_x^{1/2} C_y C_x^{1/2}`, and the
    trace of its root is the sum of their roots.  So two symmetric eigenvalue problems do; no root
    of an unsymmetric matrix is needed, which becomes complex where a covariance is singular.

    References
    ----------
    D. C. Dowson, B. V. Landau, *The Fréchet distance between multivariate normal distributions*,
    1982.

    Examples
    --------
    >>> one = np.eye(2)
    >>> gaussian_distance(np.zeros(2), one, np.array([3.0, 4.0]), 4 * one)  # 25 + 2·(2 − 1)²
    27.0
    """
    mean_x, mean_y = np.asarray(mean_x, np.float64), np.asarray(mean_y, np.float64)
    values, vectors = np.linalg.eigh(np.asarray(covariance_x, np.float64))
    root = vectors * np.sqrt(np.clip(values, 0, None))  # root rootᵀ = C_x: as good as C_x^{1/2}
    product = np.linalg.eigvalsh(root.T @ covariance_y @ root)
    cross = np.sqrt(np.clip(product, 0, None)).sum()
    spread = np.trace(covariance_x) + np.trace(covariance_y) - 2 * cross
    return float(((mean_x - mean_y) ** 2).sum() + max(spread, 0.0))


def _moments(x: Array) -> tuple[np.ndarray, np.ndarray]:
    return x.mean(axis=0), np.cov(x, rowvar=False).reshape(x.shape[1], x.shape[1])
