"""The sliced Wasserstein distance between the details of pictures, size after size."""

from __future__ import annotations

import numpy as np

from tinygan.initialize import Seed
from tinygan.machine.arrays import Array
from tinygan.machine.parallel import for_slices
from tinygan.metrics import _check
from tinygan.metrics._pyramid import laplacian_pyramid

__all__ = ["sliced_wasserstein", "sliced_wasserstein_points"]

_PATCH = 7
_SMALLEST = 16


def sliced_wasserstein(
    x: Array, y: Array, patches: int = 32, projections: int = 128, rng: Seed = 0
) -> dict[int, float]:
    """Compare two sets of pictures by the patches of their Laplacian pyramids.

    Small levels hold the layout and the colours, large ones the fine texture, so the distances say
    at which size the pictures differ.

    Parameters
    ----------
    x, y : ndarray
        Pictures ``(N, H, W, C)`` and ``(M, H, W, C)``.  The larger set is cut to the smaller one.
    patches : int
        Patches of 7×7 taken from each picture at each level, the same places in both sets.
    projections : int
        Random directions.
    rng : int or numpy.random.Generator

    Returns
    -------
    dict of int to float
        Height of the level in pixels, from that of the pictures down to 16 or so → the distance,
        in standard deviations.  Not zero between different pictures of one distribution: compare
        with that of another part of the data.

    Notes
    -----
    At each level the patches of all pictures of a set are one cloud of points; each colour is
    brought to mean 0 and deviation 1 *over x's cloud* (the reference), so that a change of
    brightness or contrast is seen; the published form normalises each cloud by itself and does not
    see it.  The distance between two clouds is `sliced_wasserstein_points`.

    References
    ----------
    T. Karras et al., *Progressive Growing of GANs*, 2018, section 5; J. Rabin et al.,
    *Wasserstein barycenter and its application to texture mixing*, 2011.
    """
    x, y = _check.image_pair(x, y)
    if min(x.shape[1:3]) < _PATCH:
        raise ValueError(f"expected pictures of at least 7×7 pixels, got {x.shape[1:3]}")
    rng = np.random.default_rng(rng)
    count = min(len(x), len(y))
    levels = zip(
        laplacian_pyramid(_check.as_float(x[:count]), _SMALLEST),
        laplacian_pyramid(_check.as_float(y[:count]), _SMALLEST),
        strict=True,
    )
    distances = {}
    for level_x, level_y in levels:
        rows = rng.integers(0, level_x.shape[1] - _PATCH + 1, (count, patches))
        columns = rng.integers(0, level_x.shape[2] - _PATCH + 1, (count, patches))
        clouds = [_patches(level, rows, columns) for level in (level_x, level_y)]
        mean = clouds[0].mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32)
        deviation = clouds[0].std(axis=(0, 1, 2), dtype=np.float64).astype(np.float32) + 1e-6
        a, b = (((cloud - mean) / deviation).reshape(len(cloud), -1) for cloud in clouds)
        distances[level_x.shape[1]] = sliced_wasserstein_points(a, b, projections, rng)
    return distances


def sliced_wasserstein_points(x: Array, y: Array, projections: int = 128, rng: Seed = 0) -> float:
    r"""Return the sliced 1-Wasserstein distance between two clouds of equally many points.

    Parameters
    ----------
    x, y : ndarray
        ``(N, D)``.
    projections : int
    rng : int or numpy.random.Generator

    Notes
    -----
    On a line the best transport pairs the sorted points, so along random unit vectors
    :math:`\theta`

    .. math:: E_\theta\, \frac1N \sum_i
        \bigl|\,\mathrm{sort}(x \theta)_i - \mathrm{sort}(y \theta)_i\,\bigr|.
    """
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim != 2 or x.shape != y.shape:
        raise ValueError(f"expected two clouds of one shape (N, D), got {x.shape} and {y.shape}")
    rng = np.random.default_rng(rng)
    directions = rng.standard_normal((projections, x.shape[1]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions.astype(x.dtype)

    def along(start: int, stop: int) -> float:
        a, b = (np.sort(directions[start:stop] @ cloud.T, axis=1) for cloud in (x, y))
        return np.abs(a - b).mean(axis=1, dtype=np.float64).sum()

    return float(sum(for_slices(along, projections, 8)) / projections)


def _patches(level: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return ``(N·patches, 7, 7, C)`` cut out at the given places."""
    i = rows[:, :, None, None] + np.arange(_PATCH)[:, None]
    j = columns[:, :, None, None] + np.arange(_PATCH)
    n = np.arange(len(level))[:, None, None, None]
    return level[n, i, j].reshape(-1, _PATCH, _PATCH, level.shape[3])
