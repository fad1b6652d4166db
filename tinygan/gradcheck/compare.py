"""The verdict on each tensor: its analytic gradient against the numeric one."""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.numeric import EPS, Numeric
from tinygan.gradcheck.report import TensorCheck


class Comparison:
    """How the tensors of one subject are compared.

    Parameters
    ----------
    numeric : Numeric
    dy : ndarray
    rng : numpy.random.Generator
    directions, elements, rtol
        As in `check_gradients`.
    noise : float
        The relative noise of the output.
    """

    def __init__(self, numeric: Numeric, dy, rng, directions, elements, rtol, noise):
        self.numeric, self.dy, self.rng = numeric, dy, rng
        self.directions, self.elements, self.rtol = directions, elements, rtol
        terms = float(np.sqrt(((numeric.y * dy) ** 2).sum()))
        # what all outputs have in common (the rounding of a mean) does not average out in the sum
        terms += float(np.abs(numeric.y).max(initial=0) * abs(dy.sum()))
        self._rounding = 16 * max(EPS, noise) * terms  # of the difference of two sums

    def tensor(self, name, gradient) -> TensorCheck:
        """Compare the gradient of one tensor by elements or along random directions."""
        shape = self.numeric.subject.tensors[name].shape
        problem = _problem(gradient, shape)
        if problem:
            nan = float("nan")
            return TensorCheck(
                name, shape, False, float("inf"), None, nan, nan, 0, "elements", problem
            )
        flat = gradient.astype(np.float64).ravel()
        if flat.size <= self.elements:
            return self._by_elements(name, flat, np.arange(flat.size), whole=True)
        along = [self.rng.standard_normal(shape) for _ in range(self.directions)]
        analytic = np.array([float(flat @ v.ravel()) for v in along])
        low, value, high = self._slopes(self.numeric.along(name, v) for v in along)
        # ⟨g, v⟩ of a standard normal v is of the size of g's norm
        size = max(float(np.sqrt(flat @ flat)), np.abs(value).max())
        check = self._verdict(name, None, analytic, low, value, high, size, along)
        if check.ok:
            return check
        # half of the looked-at elements where the gradient is largest, half anywhere
        looked = min(flat.size, max(64, self.elements))
        largest = np.argsort(-np.abs(flat))[: looked // 2]
        others = self.rng.choice(flat.size, looked, replace=False)
        found = self._by_elements(name, flat, np.unique(np.concatenate([largest, others])))
        return check if found.ok else found

    def _by_elements(self, name, flat, indices, whole=False):
        if whole:
            jacobian = self.numeric.jacobian(name)
            rows = zip(jacobian.low, jacobian.value, jacobian.high, strict=True)
            low, value, high = self._combine(rows)
        else:
            low, value, high = self._slopes(self.numeric.element(name, i) for i in indices)
        analytic = flat[indices]
        size = max(np.abs(analytic).max(initial=0), np.abs(value).max(initial=0))
        return self._verdict(name, indices, analytic, low, value, high, size)

    def _slopes(self, slopes):
        return self._combine((s.low.ravel(), s.value.ravel(), s.high.ravel()) for s in slopes)

    def _combine(self, rows):
        """Turn slopes of all outputs into slopes of L, with the interval that kinks leave open."""
        dy = self.dy.ravel()
        found = [
            (
                (np.minimum(a * dy, c * dy)).sum(),
                b @ dy,
                (np.maximum(a * dy, c * dy)).sum(),
            )
            for a, b, c in rows
        ]
        return np.array(found, np.float64).reshape(-1, 3).T

    def _verdict(self, name, indices, analytic, low, value, high, size, along=None):
        shape = self.numeric.subject.tensors[name].shape
        kinked = high - low > 1e-9 * max(size, 1e-300)
        size = size if np.isfinite(size) else 1.0
        step = self.numeric.step_for(name)
        noise = self._rounding / step + EPS * size
        excess = self._excess(analytic, low, high, kinked, noise)
        if self.numeric.threshold < np.inf:
            # curvature, or a difference that straddles a kink: does a smaller step agree?
            bad = np.flatnonzero(excess > self.rtol * size)
            for k in bad[np.argsort(-excess[bad])]:
                for smaller in (8, 64, 512):
                    if indices is not None:
                        slope = self.numeric.element(name, indices[k], step / smaller)
                    else:
                        slope = self.numeric.along(name, along[k], step / smaller)
                    (a,), (b,), (c,) = self._slopes([slope])
                    again = self._excess(
                        analytic[k : k + 1], a, c, np.array([c > a]), noise * smaller
                    )[0]
                    if again <= self.rtol * size:
                        excess[k], value[k] = again, b
                        break
                if excess[k] > self.rtol * size:
                    break  # one that stays wrong is enough
        ok = bool((excess <= self.rtol * size).all())
        worst = int(excess.argmax()) if excess.size else 0
        if ok and excess.size:
            difference = np.where(kinked, 0, np.abs(analytic - value))
            worst = int(difference.argmax())
            error = float(difference[worst]) / size if size > noise else 0.0
        else:
            error = float(excess[worst] / size) if excess.size and size else 0.0
        index = None
        if indices is not None and len(indices):
            index = tuple(int(i) for i in np.unravel_index(indices[worst], shape))
        whole = indices is not None and len(indices) == int(np.prod(shape))
        return TensorCheck(
            name=name,
            shape=tuple(shape),
            ok=ok,
            error=error,
            index=index,
            analytic=float(analytic[worst]) if len(analytic) else 0.0,
            numeric=float(value[worst]) if len(value) else 0.0,
            count=len(analytic),
            method="elements" if indices is not None else "directions",
            kinks=int(kinked.sum()),
            analytic_gradient=analytic.reshape(shape) if whole else None,
            numeric_gradient=np.array(value).reshape(shape) if whole else None,
        )

    @staticmethod
    def _excess(analytic, low, high, kinked, noise):
        """Return how far each analytic value is outside of what the differences allow."""
        margin = noise + np.where(kinked, 1e-3 * (high - low), 0)
        excess = np.maximum(np.maximum(analytic - high, low - analytic) - margin, 0)
        return np.where(np.isfinite(analytic), excess, np.inf)


def _problem(gradient, shape) -> str:
    if gradient is None:
        return "no gradient was returned"
    if gradient.shape != shape:
        return f"the gradient has shape {gradient.shape}, expected {tuple(shape)}"
    return ""
