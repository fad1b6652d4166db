"""What is known about a wrong gradient, and the one test that every hypothesis has to pass.

A hypothesis predicts the analytic gradient from the numeric derivatives.  It explains what was
seen if its prediction is right at every element, for every upstream gradient, and differs from the
right gradient: with random numbers, coincidences have no chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from tinygan.gradcheck.numeric import FEW_OUTPUTS, Numeric
from tinygan.gradcheck.subject import BackwardError

LARGEST_JACOBIAN = 2_000_000


def subsets(axes: Iterable[int]) -> Iterator[tuple[int, ...]]:
    """Yield every choice of one or more axes, the smallest first."""
    axes = tuple(axes)
    for count in range(1, len(axes) + 1):
        yield from combinations(axes, count)


def is_diagonal(matrix) -> bool:
    """Whether each element has a slope of its own, and no other's."""
    return matrix.shape[0] == matrix.shape[1] and not np.any(matrix - np.diag(np.diag(matrix)))


@dataclass(frozen=True)
class Guess:
    """A mistake that might have been made; the smaller `rank` the simpler.

    `predict` takes dy and returns the gradient that the mistake would give, or is None where the
    hypothesis has looked at the numbers itself.  `size` is a number that does not depend on the
    input, if the mistake has one.
    """

    kind: str
    text: str
    rank: int
    predict: Callable | None = None
    size: float = 0.0


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
        self.tensors, self.rng = self.subject.tensors, rng
        self.is_loss = self.subject.is_loss
        self.dys = [dy]
        if not self.is_loss:
            self.dys += [rng.standard_normal(dy.shape) for _ in range(count - 1)]
        self.given = [self.walk(dy) for dy in self.dys]
        noise = np.max(numeric.noise, initial=0) / (np.abs(self.y).max(initial=0) or 1.0)
        self.tolerance = 1e-5 if noise < 1e-10 else 3e-2
        self.input_name = next(iter(self.tensors))

    def walk(self, dy, tensors=None):
        """Return the analytic gradients for `dy`."""
        call = self.subject.call(tensors)
        found = self.subject.walk(call, self.subject.upstream(dy))
        return {n: None if g is None else g.astype(np.float64) for n, g in found.items()}

    def found(self, name) -> list[np.ndarray]:
        """Return the analytic gradients, one for each dy."""
        return [given[name] for given in self.given]

    def right(self, name) -> list[np.ndarray]:
        """Return the numeric gradients, one for each dy."""
        return [self.pull(name, dy) for dy in self.dys]

    def jacobian(self, name):
        """Return the numeric Jacobian ``(elements, outputs)``."""
        return self.numeric.jacobian(name).value

    def pull(self, name, dy):
        """Return the numeric gradient for any dy."""
        return (self.jacobian(name) @ dy.ravel()).reshape(self.tensors[name].shape)

    def close(self, a, b) -> bool:
        """Whether two lists of arrays are equal up to rounding."""
        if any(p.shape != q.shape for p, q in zip(a, b, strict=True)):
            return False
        size = max(np.abs(p).max(initial=0) for p in (*a, *b))
        worst = max(np.abs(p - q).max(initial=0) for p, q in zip(a, b, strict=True))
        return bool(np.isfinite(size) and worst <= self.tolerance * size)

    def is_right(self, name) -> bool:
        """Whether the analytic gradients are there, and are the numeric ones."""
        found = self.found(name)
        return all(g is not None for g in found) and self.close(found, self.right(name))

    def explains(self, name, predict) -> bool:
        """Whether ``predict(dy)`` is what was seen for every dy, and not what is right."""
        predicted = []
        for dy, seen in zip(self.dys, self.found(name), strict=True):
            try:
                predicted.append(predict(dy))
            except ValueError:  # with these sizes there is no such gradient
                return False
            if seen is None or not self.close(predicted[-1:], [seen]):
                return False
        return not self.close(predicted, self.right(name))

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
        pairs = [(g, self.given[0][n], self.given[1][n]) for n, g in mixed.items()]
        return all(self.close([g], [p - 2 * q]) for g, p, q in pairs if g is not None)

    def forward_is_linear(self, name) -> bool:
        """Whether the slope along a direction is the same at another place: no mask, no curve."""
        value = self.tensors[name]
        other = self.subject.with_tensors({**self.tensors, name: -value[::-1]})
        v = self.rng.standard_normal(value.shape)
        here = self.numeric.along(name, v).value
        there = Numeric(other, other.call().y).along(name, v).value
        return self.close([here], [there])

    def locally_linear(self, name) -> bool:
        """Whether the slope along a direction is the same close by, as that of masks is."""
        value, size = self.tensors[name], self.numeric.scale(name)
        v = self.rng.standard_normal(value.shape)
        close = self.subject.with_tensors({**self.tensors, name: value + 1e-4 * size * v})
        here = self.numeric.along(name, v, fine=True).value
        there = Numeric(close, close.call().y).along(name, v, fine=True).value
        return bool(np.abs(here - there).max(initial=0) <= 1e-7 * np.abs(here).max(initial=1e-300))

    @cached_property
    def _analytic_jacobians(self):
        units = np.eye(self.y.size).reshape(-1, *self.y.shape)
        rows = [self.walk(unit) for unit in units]
        return {
            name: np.stack([row[name].ravel() for row in rows], axis=1)
            for name in rows[0]
            if rows[0][name] is not None
        }

    def analytic_jacobian(self, name):
        """Return the analytic Jacobian ``(elements, outputs)``, or None where it has none."""
        if self.is_loss:
            return self.found(name)[0].reshape(-1, 1) if self.y.size == 1 else None
        if not self.linear or self.y.size > FEW_OUTPUTS:
            return None
        return self._analytic_jacobians.get(name)
