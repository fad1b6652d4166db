r"""Slopes by differences, and the kinks that spoil them.

The central difference :math:`(y(t + h) - y(t - h)) / 2h` is the mean of the slopes on both sides.
For a smooth function these differ by :math:`h\,y''`, which shrinks with h; at a kink they do not,
and no difference says anything there.  So wherever the two sides differ, the step is made smaller
until they agree, or the place is reported as a kink with the slopes of both sides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EPS = float(np.finfo(np.float64).eps)
SHRINK, SHRINKS = 8, 3


@dataclass
class Slope:
    """How every output changes along one direction.

    Attributes
    ----------
    value : ndarray
        Of the output's shape.
    low, high : ndarray
        The slopes of both sides in order; they are `value` itself where there is no kink.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @property
    def kinks(self) -> np.ndarray:
        return self.low != self.high


def slope(evaluate, y, step, threshold=1e-3) -> Slope:
    """Differentiate ``evaluate(t)`` at t = 0, where its value is `y`."""
    value, left, right = _sides(evaluate, y, step)
    noise = 64 * EPS * (1 + np.abs(y).max(initial=0))
    size = max(np.abs(value).max(initial=0), noise / step)
    doubtful = np.abs(right - left) > threshold * size + noise / step
    if not doubtful.any():
        return Slope(value, value, value)
    for _ in range(SHRINKS):
        step /= SHRINK
        new, left, right = _sides(evaluate, y, step)
        agree = doubtful & (np.abs(right - left) <= threshold * size + noise / step)
        value = np.where(agree, new, value)
        doubtful &= ~agree
        if not doubtful.any():
            return Slope(value, value, value)
    low = np.where(doubtful, np.minimum(left, right), value)
    high = np.where(doubtful, np.maximum(left, right), value)
    return Slope(np.where(doubtful, new, value), low, high)


def _sides(evaluate, y, step):
    plus, minus = evaluate(step), evaluate(-step)
    with np.errstate(all="ignore"):
        return (plus - minus) / (2 * step), (y - minus) / step, (plus - y) / step


class Numeric:
    """Numeric derivatives of a subject at its tensors' values.

    Parameters
    ----------
    subject : Subject
    y : ndarray
        Its output there.
    step : float
        h, the first step that is tried, for numbers of size 1.
    """

    def __init__(self, subject, y, step, threshold=1e-3):
        self.subject, self.y, self.step, self.threshold = subject, y, step, threshold
        self._jacobians: dict[str, Slope] = {}

    def step_for(self, name) -> float:
        """Return the first step for a tensor: h times the size of its numbers, within reason."""
        value = self.subject.tensors[name]
        size = float(np.sqrt((value * value).mean())) if value.size else 0.0
        return self.step * (min(max(size, 1e-2), 1e3) if size else 1.0)

    def along(self, name, direction, step=None) -> Slope:
        """Return how the output changes along `direction` of the tensor `name`."""
        tensors = dict(self.subject.tensors)
        start = tensors[name]

        def evaluate(t):
            tensors[name] = start + t * direction
            return self.subject.call(tensors).y

        return slope(evaluate, self.y, step or self.step_for(name), self.threshold)

    def jacobian(self, name) -> Slope:
        """Return every output's slope along every element: arrays ``(elements, outputs)``."""
        if name not in self._jacobians:
            size = self.subject.tensors[name].size
            rows = [self.element(name, i) for i in range(size)]
            shape = (size, self.y.size)
            self._jacobians[name] = Slope(
                *(
                    np.array([getattr(row, part).ravel() for row in rows]).reshape(shape)
                    for part in ("value", "low", "high")
                )
            )
        return self._jacobians[name]

    def element(self, name, i, step=None) -> Slope:
        """Return the slope along the element of flat index `i`."""
        unit = np.zeros(self.subject.tensors[name].size)
        unit[i] = 1
        return self.along(name, unit.reshape(self.subject.tensors[name].shape), step)
