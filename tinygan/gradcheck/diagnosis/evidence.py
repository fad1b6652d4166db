"""What is known about a wrong gradient: analytic and numeric values for several upstream gradients.

A hypothesis predicts the analytic gradient from the numeric derivatives.  It explains what was
seen if its prediction is right at every element, for every upstream gradient, and differs from the
right gradient: with random numbers, coincidences have no chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from tinygan.gradcheck.numeric import Numeric
from tinygan.gradcheck.subject import BackwardError

LARGEST_JACOBIAN = 2_000_000
LARGEST_ANALYTIC = 600
"""Outputs up to which the analytic Jacobian is found, one backward pass for each."""


def subsets(axes: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """Yield every choice of one or more axes, the smallest first."""
    axes = tuple(axes)
    for count in range(1, len(axes) + 1):
        yield from combinations(axes, count)


@dataclass(frozen=True)
class Match:
    """A hypothesis that explains the gradient of one tensor; the smaller `rank` the simpler."""

    kind: str
    text: str
    rank: int = 1


class Evidence:
    """The gradients of a subject for a few random upstream gradients.

    Attributes
    ----------
    dys : list of ndarray
    given : list of dict
        For each of them the analytic gradients by name.
    """

    def __init__(self, numeric: Numeric, dy, rng, count=3):
        self.numeric, self.subject, self.y = numeric, numeric.subject, numeric.y
        self.rng = rng
        self.is_loss = self.subject.is_loss
        self.dys = [dy]
        if not self.is_loss:
            self.dys += [rng.standard_normal(dy.shape) for _ in range(count - 1)]
        self.given = [self.walk(dy) for dy in self.dys]
        noise = np.max(numeric.noise, initial=0) / (np.abs(self.y).max(initial=0) or 1.0)
        self.tolerance = 1e-5 if noise < 1e-10 else 3e-2

    def walk(self, dy, tensors=None):
        """Return the analytic gradients for `dy`."""
        call = self.subject.call(tensors)
        found = self.subject.walk(call, self.subject.upstream(dy))
        return {n: None if g is None else g.astype(np.float64) for n, g in found.items()}

    def analytic(self, name) -> list[np.ndarray]:
        return [found[name] for found in self.given]

    def jacobian(self, name):
        """Return the numeric Jacobian ``(elements, outputs)``."""
        return self.numeric.jacobian(name).value

    def right(self, name) -> list[np.ndarray]:
        """Return the numeric gradients, one for each dy."""
        jacobian, shape = self.jacobian(name), self.subject.tensors[name].shape
        return [(jacobian @ dy.ravel()).reshape(shape) for dy in self.dys]

    def close(self, a, b) -> bool:
        """Whether two lists of arrays are equal up to rounding."""
        if any(p.shape != q.shape for p, q in zip(a, b, strict=True)):
            return False
        size = max(np.abs(p).max(initial=0) for p in (*a, *b))
        worst = max(np.abs(p - q).max(initial=0) for p, q in zip(a, b, strict=True))
        return bool(worst <= self.tolerance * size)

    def explains_sorted(self, right, found) -> bool:
        """Whether two lists hold the same numbers, in other places."""
        ordered = [[np.sort(a.ravel()) for a in arrays] for arrays in (right, found)]
        return self.close(*ordered) and not self.close(right, found)

    def explains(self, name, predicted) -> bool:
        """Whether `predicted` (a list, one for each dy) is what was seen and not what is right."""
        return self.close(predicted, self.analytic(name)) and not self.close(
            predicted, self.right(name)
        )

    @property
    def input_name(self) -> str:
        return next(iter(self.subject.tensors))

    @cached_property
    def linear(self) -> bool:
        """Whether the analytic gradients are linear in dy, as every right one is."""
        if len(self.dys) < 2:
            return True
        a, b = self.dys[:2]
        try:
            mixed = self.walk(a - 2 * b)
        except BackwardError:
            return True
        for name, got in mixed.items():
            first, second = self.given[0][name], self.given[1][name]
            if got is None or first is None:
                continue
            if not self.close([got], [first - 2 * second]):
                return False
        return True

    def forward_is_linear(self, name) -> bool:
        """Whether the slope along a direction is the same at another place: no mask, no curve."""
        tensors, value = self.subject.tensors, self.subject.tensors[name]
        other = self.subject.with_tensors({**tensors, name: -value[::-1]})
        v = self.rng.standard_normal(value.shape)
        here = self.numeric.along(name, v).value
        there = Numeric(other, other.call().y).along(name, v).value
        return self.close([here], [there])

    @cached_property
    def _analytic_jacobians(self):
        rows = []
        for j in range(self.y.size):
            unit = np.zeros(self.y.size)
            unit[j] = 1
            rows.append(self.walk(unit.reshape(self.y.shape)))
        return {
            name: np.stack([row[name].ravel() for row in rows], axis=1)
            for name in rows[0]
            if rows[0][name] is not None
        }

    def analytic_jacobian(self, name):
        """Return the analytic Jacobian ``(elements, outputs)``, or None where it has none."""
        if self.is_loss or not self.linear or self.y.size > LARGEST_ANALYTIC:
            return None
        return self._analytic_jacobians.get(name)
