r"""Slopes by differences: how large a step, how far to trust it, and what kinks leave open.

The central difference :math:`d(h) = (y(t + h) - y(t - h)) / 2h` errs by :math:`h^2 y'''/6`, which
shrinks with h, and by the rounding of y over h, which grows.  No step is right for every element,
so steps are tried from large to small: the error of ``d(h) + (d(h) - d(8h)) / 63`` (Richardson) is
estimated by the change that it made, and every output keeps the value whose estimate is smallest.
Where the function is not finite on one side the step shrinks until it is.  Where the slopes of both
sides differ and go on differing there is a kink, and any value between the two is a gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tinygan.gradcheck.subject import NotCheckable

EPS = float(np.finfo(np.float64).eps)
SHRINK = 8
ELEMENT, DIRECTION = 1e-2, 1e-5
"""The first steps for one element and for a direction of many, for numbers of size 1."""

FEW_OUTPUTS = 600
"""Up to which the diagnosis finds the analytic Jacobian, one backward pass for each output."""


class Slope(NamedTuple):
    """How every output changes along one direction.

    Attributes
    ----------
    value : ndarray
        Of the output's shape.
    low, high : ndarray
        What is possible at a kink: the slopes of both sides.  Equal to `value` elsewhere, infinite
        where the function is not finite on both sides however small the step.
    error : ndarray
        The estimated error of `value`.
    """

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    error: np.ndarray


def slope(evaluate, y, noise, start, levels=8, settle=1e-5, nearest=0.0, probes=()) -> Slope:
    """Differentiate ``evaluate(t)`` at t = 0, where its value is `y`, each number off by `noise`.

    Steps shrink from `start` until the estimated errors add up to less than `settle` times the
    slopes, or `levels` are tried.  Where they do not settle, or t + `start` leaves the function's
    domain, steps below `nearest`, the distance to 0, follow.  Outputs that are the same bit for
    bit in all `probes`, outputs at large changes, do not depend on t, and have no rounding.
    """
    if probes:
        with np.errstate(all="ignore"):
            same = evaluate(start) == y
            for other in probes:
                same &= other == y
        noise = np.where(same & ~same.all(), 0.0, noise)
    value, error = np.zeros_like(y), np.full_like(y, np.inf)
    low, high = np.full_like(y, -np.inf), np.full_like(y, np.inf)
    before, gap_before, smooth_before = value, np.full_like(y, np.nan), np.zeros(y.shape, bool)
    ratio = np.float64(SHRINK)
    steps = [start / SHRINK**k for k in range(levels)]
    closer = [nearest / 4 / SHRINK**k for k in range(3) if 0 < nearest / 4 < steps[-1]]
    waiting = steps + closer
    while waiting:
        step = waiting.pop(0)
        with np.errstate(all="ignore"):
            plus, minus = evaluate(step), evaluate(-step)
            right, left = (plus - y) / step, (y - minus) / step
            middle = (plus - minus) / (2 * step)
            finite, rounding = np.isfinite(right) & np.isfinite(left), 2 * noise / step
            gap = np.where(finite, np.abs(right - left), np.inf)
            steep = np.maximum(np.abs(right), np.abs(left))
            smooth = finite & ((gap <= 0.1 * steep + 2 * rounding) | (gap <= 0.3 * gap_before))
            middle = np.where(finite, middle, 0.0)
            better = middle + (middle - before) / (ratio**2 - 1)
            alone = gap + 0.1 * steep + rounding
            once = smooth & (alone < error)
            twice = smooth & smooth_before
            change = np.abs(better - middle) + np.abs(middle - before) * 0.02 + 1.1 * rounding
            twice &= change < np.where(once, alone, error)
        value = np.where(twice, better, np.where(once, middle, value))
        error = np.where(twice, change, np.where(once, alone, error))
        unsettled = finite & np.isinf(error)
        low = np.where(unsettled, np.minimum(left, right), low)
        high = np.where(unsettled, np.maximum(left, right), high)
        settled = np.isfinite(error)
        if settled.all() and step < start:
            enough = settle if step > steps[-1] else max(settle, 1e-4)
            if error.sum() <= enough * np.abs(value).sum() + 4 * rounding.sum():
                break
        before, gap_before, smooth_before = middle, np.where(finite, gap, np.nan), smooth
        if not finite.all() and waiting and 0 < nearest / 4 < waiting[0]:
            waiting = [nearest / 4 / SHRINK**k for k in range(4)]
        if waiting:
            ratio = np.float64(step / waiting[0])
    settled = np.isfinite(error)
    with np.errstate(invalid="ignore"):
        half = np.where(np.isfinite(low) & np.isfinite(high), (low + high) / 2, 0.0)
    return Slope(
        np.where(settled, value, half),
        np.where(settled, value, low),
        np.where(settled, value, high),
        np.where(settled, error, 0.0),
    )


class Numeric:
    """Numeric derivatives of a subject at its tensors' values.

    Parameters
    ----------
    subject : Subject
    y : ndarray
        Its output there.
    noise : ndarray or float
        The rounding error of each output.
    """

    def __init__(self, subject, y, noise=0.0):
        self.subject, self.y = subject, y
        self.noise = np.maximum(noise, EPS * np.abs(y)) + np.zeros_like(y)
        self._jacobians: dict[str, Slope] = {}

    def scale(self, name) -> float:
        """Return the size of the changes that are natural for a tensor: its spread."""
        value = self.subject.tensors[name]
        spread = float(value.std()) if value.size > 1 else 0.0
        size = float(np.abs(value).max(initial=0))
        return spread if spread > 1e-9 * size and spread else size or 1.0

    def evaluator(self, name, direction):
        """Return ``evaluate(t)``: the output where the tensor `name` has moved by t · direction."""
        tensors = dict(self.subject.tensors)
        start = tensors[name]

        def evaluate(t):
            tensors[name] = start + t * direction
            return self.subject.call(tensors).y

        return evaluate

    def along(self, name, direction, fine=False) -> Slope:
        """Return how the output changes along a `direction` of many elements of size 1."""
        scale, evaluate = self.scale(name), self.evaluator(name, direction)
        if fine:
            probes = self._far(name, direction)
            how = {"start": ELEMENT * scale, "levels": 6, "settle": 1e-9, "probes": probes}
        else:
            how = {"start": DIRECTION * scale, "levels": 4}
        return slope(evaluate, self.y, self.noise, **how)

    def element(self, name, i, fine=False) -> Slope:
        """Return the slope along the element of flat index `i`; `fine`: as well as can be."""
        value, scale = self.subject.tensors[name], self.scale(name)
        unit = np.zeros(value.size)
        unit[i] = 1
        unit = unit.reshape(value.shape)
        evaluate = self.evaluator(name, unit)
        nearest = abs(float(value.ravel()[i]))
        settle, probes = (0.0, self._far(name, unit)) if fine else (1e-5, [])
        return slope(evaluate, self.y, self.noise, ELEMENT * scale, 8, settle, nearest, probes)

    def _far(self, name, direction) -> list[np.ndarray]:
        """Return outputs far off: a little further, and beyond the largest and smallest number.

        Where softmax is saturated, only there does its largest output notice a small one's score.
        """
        near, top = 0.37 * self.scale(name), float(np.abs(self.subject.tensors[name]).max())
        found = []
        for step in (near, -near, near + 2.1 * top, -near - 2.1 * top):
            far = np.sign(direction) if abs(step) > near else direction
            try:
                found.append(self.evaluator(name, far)(step))
            except NotCheckable:  # it refuses such numbers: nothing is known
                found.append(np.full_like(self.y, np.nan))
        return [y if y.shape == self.y.shape else np.full_like(self.y, np.nan) for y in found]

    def rows(self, name, indices, fine=False) -> Slope:
        """Return every output's slope along some elements: arrays ``(elements, outputs)``."""
        found = zip(*(self.element(name, i, fine) for i in indices), strict=True)
        return Slope(*(np.array(part).reshape(len(indices), -1) for part in found))

    def jacobian(self, name) -> Slope:
        """Return every output's slope along every element: arrays ``(elements, outputs)``."""
        if name not in self._jacobians:
            self._jacobians[name] = self.rows(name, range(self.subject.tensors[name].size))
        return self._jacobians[name]
