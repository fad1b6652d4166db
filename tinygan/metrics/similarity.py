"""How alike two pictures are, and whether the pictures of a set differ from one another."""

from __future__ import annotations

import numpy as np

from tinygan.initialize import Seed
from tinygan.machine.arrays import Array
from tinygan.metrics import _check
from tinygan.metrics._pyramid import blur

__all__ = ["diversity", "ms_ssim", "psnr", "ssim"]

_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first (Wang et al.)
_RANGE = 2.0  # of the values, [−1, 1]
_C1, _C2 = (0.01 * _RANGE) ** 2, (0.03 * _RANGE) ** 2


def psnr(x: Array, y: Array) -> np.ndarray:
    r"""Return the peak signal-to-noise ratio of each picture of `x` to the same one of `y`.

    Parameters
    ----------
    x, y : ndarray
        ``(N, H, W, C)``.

    Returns
    -------
    ndarray
        ``(N,)``, in decibels; ∞ for equal pictures.

    Notes
    -----
    .. math:: 10 \log_{10} \frac{L^2}{\mathrm{mean}\,(x - y)^2}

    with the range L = 2 of the values, over all pixels and colours.  It is a squared error and
    nothing else: of all that a pixel could be it prefers the mean, so a blurred picture beats a
    sharp one whose details are a pixel away.

    Examples
    --------
    >>> black, grey = np.full((1, 8, 8, 1), -1.0), np.full((1, 8, 8, 1), -0.8)
    >>> psnr(black, grey).round(2)
    array([20.])
    """
    x, y = _floats(x, y)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(_RANGE**2 / np.square(x - y).mean(axis=(1, 2, 3), dtype=np.float64))


def ssim(x: Array, y: Array) -> np.ndarray:
    r"""Return the structural similarity of each picture of `x` with the same one of `y`.

    Parameters
    ----------
    x, y : ndarray
        ``(N, H, W, C)``.

    Returns
    -------
    ndarray
        ``(N,)``, 1 for equal pictures, around 0 for unrelated ones.

    Notes
    -----
    With means, variances and covariance under a Gaussian window of 11 pixels (fewer where the
    picture is smaller), :math:`\sigma = 1.5`, the mean over all windows and colours of

    .. math:: \frac{2\mu_x\mu_y + C_1}{\mu_x^2 + \mu_y^2 + C_1} \cdot
        \frac{2\sigma_{xy} + C_2}{\sigma_x^2 + \sigma_y^2 + C_2},
        \qquad C_1 = (0.01 L)^2,\; C_2 = (0.03 L)^2,

    where L = 2 is the range of the values.

    References
    ----------
    Z. Wang et al., *Image Quality Assessment: From Error Visibility to Structural Similarity*,
    2004.
    """
    x, y = _floats(x, y)
    luminance, structure = _terms(x, y)
    return (luminance * structure).mean(axis=(1, 2, 3))


def ms_ssim(x: Array, y: Array) -> np.ndarray:
    r"""Return the multi-scale structural similarity of each picture of `x` with that of `y`.

    The contrast–structure terms of up to five scales, each half the size of the one before, and
    the luminance term of the last, each to the power of its published weight.  Small pictures have
    fewer scales (those of 11 pixels or more; 64 pixels: three), with the weights brought to sum 1.

    Parameters
    ----------
    x, y : ndarray
        ``(N, H, W, C)``.

    Returns
    -------
    ndarray
        ``(N,)`` in [0, 1].  A scale of opposite structure counts as 0.

    References
    ----------
    Z. Wang et al., *Multi-scale Structural Similarity for Image Quality Assessment*, 2003.
    """
    x, y = _floats(x, y)
    scales = 1
    while scales < len(_WEIGHTS) and min(x.shape[1:3]) // 2**scales >= 11:
        scales += 1
    weights = np.array(_WEIGHTS[:scales]) / sum(_WEIGHTS[:scales])
    result = np.ones(len(x))
    for i, weight in enumerate(weights):
        luminance, structure = _terms(x, y)
        term = luminance * structure if i == scales - 1 else structure
        result *= np.clip(term.mean(axis=(1, 2, 3)), 0, None) ** weight
        x, y = _half(x), _half(y)
    return result


def diversity(images: Array, pairs: int = 500, rng: Seed = 0) -> float:
    """Return 1 − the mean multi-scale similarity of random pairs from one set of pictures.

    0 means that all pictures are the same: the generator has collapsed.  What a healthy value is
    the data say: compute theirs too.

    Parameters
    ----------
    images : ndarray
        ``(N, H, W, C)``, at least two.
    pairs : int
    rng : int or numpy.random.Generator

    References
    ----------
    A. Odena, C. Olah, J. Shlens, *Conditional Image Synthesis with Auxiliary Classifier GANs*,
    2017, section 4.2, where the similarity itself is reported.
    """
    images = _check.images(images, "images")
    if len(images) < 2:
        raise ValueError(f"images: expected at least two to compare, got {len(images)}")
    rng = np.random.default_rng(rng)
    first = rng.integers(0, len(images), pairs)
    second = (first + rng.integers(1, len(images), pairs)) % len(images)
    total = 0.0
    for i in range(0, pairs, 64):
        total += ms_ssim(images[first[i : i + 64]], images[second[i : i + 64]]).sum()
    return float(1 - total / pairs)


def _floats(x: Array, y: Array) -> tuple[np.ndarray, np.ndarray]:
    x, y = _check.image_pair(x, y)
    if len(x) != len(y):
        raise ValueError(f"expected as many pictures on both sides, got {len(x)} and {len(y)}")
    return _check.as_float(x), _check.as_float(y)


def _terms(x: Array, y: Array) -> tuple[np.ndarray, np.ndarray]:
    """Return the luminance and the contrast–structure term at each window."""
    size = min(11, *x.shape[1:3])
    size -= 1 - size % 2
    offsets = np.arange(size, dtype=np.float32) - size // 2
    window = np.exp(-(offsets**2) / (2 * 1.5**2))
    window /= window.sum()

    def mean(a: np.ndarray) -> np.ndarray:
        return blur(a, window, mode="valid")

    mean_x, mean_y = mean(x), mean(y)
    xx, yy, xy = mean_x * mean_x, mean_y * mean_y, mean_x * mean_y
    # E[x²] − μ² is safe here: the values are of order one and C₂ is far above float32's rounding
    variances = mean(x * x) + mean(y * y) - xx - yy
    covariance = mean(x * y) - xy
    return (2 * xy + _C1) / (xx + yy + _C1), (2 * covariance + _C2) / (variances + _C2)


def _half(x: Array) -> np.ndarray:
    """Return the means of 2×2 pixels; an odd last row or column is left out."""
    h, w = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2
    x = x[:, :h, :w]
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) * 0.25
