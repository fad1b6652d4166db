"""How far to trust a measure: its spread over random halves of the pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinygan.initialize import Seed
from tinygan.machine.parallel import run

__all__ = ["Estimate", "over_halves"]


@dataclass(frozen=True)
class Estimate:
    """A measured value and its standard error.

    Attributes
    ----------
    value : float
        Of all the pictures.
    error : float
        One standard error: another draw of as many pictures gives a value within `error` of this
        one about two times in three, within twice of it nineteen times in twenty.
    """

    value: float
    error: float

    def __str__(self) -> str:
        digits = 1 if self.error >= 1 else min(6, 1 - int(np.floor(np.log10(self.error or 1e-6))))
        return f"{self.value:.{digits}f} ± {self.error:.{digits}f}"


def over_halves(
    measure: Callable[..., float], *sets: np.ndarray, repeats: int = 20, rng: Seed = 0
) -> Estimate:
    r"""Compute ``measure(*sets)`` and its standard error from random halves of every set.

    Parameters
    ----------
    measure : callable
        From one array for each set to a number; it is called from several threads.
    *sets : ndarray
        Pictures or features; the first axis counts them.  At least four in each.
    repeats : int
        How many times all sets are halved.
    rng : int or numpy.random.Generator

    Returns
    -------
    Estimate

    Notes
    -----
    This is the delete-half jackknife.  A statistic of n/2 of n pictures drawn without replacement
    varies around that of all n with the variance
    :math:`\sigma^2/(n/2) - \sigma^2/n = \sigma^2/n`, which is just the variance of the statistic
    of n pictures around the truth; so the halves' spread is the standard error.  It says nothing
    about a *bias*: the Fréchet distance of few pictures is too large in every half and as a whole.
    Compare it at equal numbers only.

    References
    ----------
    J. Shao, C. F. J. Wu, *A general theory for jackknife variance estimation*, Annals of
    Statistics 17, 1989.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal(400)
    >>> estimate = over_halves(np.mean, x, repeats=200)
    >>> bool(abs(estimate.error - 1 / 20) < 0.01)  # the error of a mean of 400 is 1/√400
    True
    """
    if repeats < 2:
        raise ValueError(f"repeats: expected at least 2, got {repeats}")
    for i, each in enumerate(sets):
        if len(each) < 4:
            raise ValueError(f"set {i}: expected at least 4 to halve, got {len(each)}")
    rng = np.random.default_rng(rng)
    halves = [
        [np.sort(rng.permutation(len(each))[: len(each) // 2]) for each in sets]
        for _ in range(repeats)
    ]

    def of(places: list[np.ndarray]) -> float:
        return measure(*(each[where] for each, where in zip(sets, places, strict=True)))

    # all cores, a half on each: small matrix problems run badly when each one is spread over them
    tasks = [lambda: measure(*sets), *(lambda places=places: of(places) for places in halves)]
    value, *others = run(tasks)
    return Estimate(float(value), float(np.std(others, ddof=1)))
