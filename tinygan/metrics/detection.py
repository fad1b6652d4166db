"""How well scores tell two sets apart: accuracy, the ROC and the area under it, and the C2ST."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinygan.initialize import Seed
from tinygan.machine.arrays import Array
from tinygan.metrics import _check

__all__ = ["Interval", "TwoSample", "accuracy", "area_under_roc", "roc", "two_sample_test"]

_Z = 1.959963984540054  # of 95 %


@dataclass(frozen=True)
class Interval:
    """A measured value and its 95 % confidence interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def accuracy(right: int, count: int) -> Interval:
    r"""Return the share of `right` in `count`, with Wilson's interval.

    Notes
    -----
    The interval holds every p with
    :math:`|\hat p - p| \le z \sqrt{p (1 - p) / n}`; unlike :math:`\hat p \pm z\, \hat\sigma` it has
    a width where all were right.

    References
    ----------
    E. B. Wilson, *Probable inference, the law of succession, and statistical inference*, 1927.
    """
    share, z = right / count, _Z**2 / count
    middle, half = share + z / 2, np.sqrt(z * (share * (1 - share) + z / 4))
    return Interval(share, float((middle - half) / (1 + z)), float((middle + half) / (1 + z)))


def area_under_roc(negative: Array, positive: Array) -> Interval:
    r"""Return the area under the ROC curve of scores, with Newcombe's interval.

    Parameters
    ----------
    negative, positive : ndarray
        Scores of the two sets, ``(m,)`` and ``(n,)``; higher should mean positive.

    Notes
    -----
    The area is the probability that a positive scores higher than a negative, a tie counting one
    half (Mann and Whitney's statistic over mn).  Its variance, if it is θ and scores are
    exponential, is Hanley and McNeil's

    .. math::
        \frac{\theta (1 - \theta)}{mn} \Bigl[1 + (N - 1) \Bigl(
        \frac{1 - \theta}{2 - \theta} + \frac{\theta}{1 + \theta} \Bigr)\Bigr], \qquad
        N = \frac{m + n}{2},

    and the interval holds every θ that is within z such deviations of the area: it has a width
    where the two sets do not overlap at all, as often here.

    References
    ----------
    R. G. Newcombe, *Confidence intervals for an effect size measure based on the Mann–Whitney
    statistic, part 2*, Statistics in Medicine 25, 2006, method 5.

    Examples
    --------
    >>> print(area_under_roc(np.arange(50), np.arange(50) + 25))
    0.875 (0.785 to 0.928)
    """
    negative, positive = (
        _scores(s, n) for s, n in ((negative, "negative"), (positive, "positive"))
    )
    below = [
        np.searchsorted(np.sort(negative), positive, side).mean() for side in ("left", "right")
    ]
    m, n = len(negative), len(positive)
    area = float(sum(below) / (2 * m))

    def beyond(theta: float) -> bool:
        spread = 1 + ((m + n) / 2 - 1) * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return bool((theta - area) ** 2 > _Z**2 * theta * (1 - theta) * spread / (m * n))

    return Interval(area, _edge(beyond, area, 0.0), _edge(beyond, area, 1.0))


def _edge(beyond: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return where, between the two, what is inside ends: by halving."""
    if inside == outside:
        return outside
    for _ in range(50):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if beyond(middle) else (middle, outside)
    return inside


def roc(negative: Array, positive: Array, most: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Return the ROC curve: shares of false alarms and of positives found, from 0 to 1.

    Parameters
    ----------
    negative, positive : ndarray
        Scores, see `area_under_roc`.
    most : int
        Points, about; evenly from all thresholds.
    """
    negative, positive = (
        np.sort(_scores(negative, "negative")),
        np.sort(_scores(positive, "positive")),
    )
    thresholds = np.unique(np.concatenate([negative, positive]))[::-1]
    thresholds = thresholds[:: -(-len(thresholds) // most)]
    alarms, found = (
        1 - np.searchsorted(scores, thresholds, "left") / len(scores)
        for scores in (negative, positive)
    )
    return np.concatenate([[0.0], alarms, [1.0]]), np.concatenate([[0.0], found, [1.0]])


def _scores(scores: Array, name: str) -> np.ndarray:
    scores = np.asarray(scores, np.float64)
    if scores.ndim != 1 or not len(scores) or not np.isfinite(scores).all():
        raise ValueError(f"{name}: expected finite scores of shape (N,), got {scores.shape}")
    return scores


@dataclass(frozen=True)
class TwoSample:
    """What a classifier two-sample test found, on features that the classifier did not see.

    Attributes
    ----------
    accuracy, auc : Interval
        ½ where the two sets cannot be told apart, 1 where they always can.
    p : float
        How often an accuracy as high comes out if both sets are of one distribution.
    """

    accuracy: Interval
    auc: Interval
    p: float


def two_sample_test(x: Array, y: Array, rng: Seed = 0) -> TwoSample:
    r"""Can a classifier tell two sets of features apart?  The classifier two-sample test (C2ST).

    A linear classifier learns on one half of each set and is measured on the others.

    Parameters
    ----------
    x, y : ndarray
        Features ``(N, D)`` and ``(M, D)``, at least four each; the same number of each is best.
    rng : int or numpy.random.Generator
        Of the halves.

    Notes
    -----
    The classifier is ridge regression on targets ∓1.  With the features of its half, centred,
    :math:`X = U S V^T`, the weights are :math:`V S (S^2 + \lambda)^{-1} U^T t`; of some λ that with
    the least generalised cross-validation error is used,
    :math:`\lVert t - \hat t \rVert^2 / (n - \sum_i s_i^2 / (s_i^2 + \lambda))^2`.

    Under the hypothesis of one distribution the accuracy on n others is
    :math:`\mathcal N(\tfrac12, \tfrac1{4n})`.

    References
    ----------
    D. Lopez-Paz, M. Oquab, *Revisiting Classifier Two-Sample Tests*, 2017, section 2; G. Golub,
    M. Heath, G. Wahba, *Generalized Cross-Validation*, 1979.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> a, b = rng.standard_normal((2, 400, 5))
    >>> two_sample_test(a, b).p > 0.05, two_sample_test(a, b + 0.5).p < 0.01
    (True, True)
    """
    x, y = _check.feature_pair(x, y)
    if min(len(x), len(y)) < 4:
        raise ValueError(f"expected at least four pictures on each side, got {len(x)}, {len(y)}")
    rng = np.random.default_rng(rng)
    (x_learn, x_test), (y_learn, y_test) = (
        np.split(each[rng.permutation(len(each))], [len(each) // 2]) for each in (x, y)
    )
    learn = np.concatenate([x_learn, y_learn])
    mean, target = learn.mean(axis=0), np.repeat([-1.0, 1.0], [len(x_learn), len(y_learn)])
    middle = target.mean()
    weights = _ridge(learn - mean, target - middle)
    negative, positive = ((test - mean) @ weights + middle for test in (x_test, y_test))
    count = len(negative) + len(positive)
    right = int((negative <= 0).sum() + (positive > 0).sum())
    z = (right / count - 0.5) * 2 * np.sqrt(count)
    return TwoSample(
        accuracy(right, count), area_under_roc(negative, positive), _upper_tail(float(z))
    )


def _ridge(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return the weights of the ridge whose generalised cross-validation error is least."""
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    along = u.T @ target
    best, weights = np.inf, np.zeros(x.shape[1])
    for ridge in np.mean(s**2) * 10.0 ** np.arange(-4, 3) + 1e-12:
        kept = s**2 / (s**2 + ridge)
        error = ((target - u @ (kept * along)) ** 2).sum() / (len(x) - kept.sum()) ** 2
        if error < best:
            best, weights = error, vt.T @ (s / (s**2 + ridge) * along)
    return weights


def _upper_tail(z: float) -> float:
    """Return the probability that a standard normal number is above z."""
    return math.erfc(z / math.sqrt(2)) / 2
