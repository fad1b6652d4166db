"""The verdict on each tensor: its analytic gradient against the numeric one.

Every element is judged by its own size, so that a wrong small one does not hide behind a large
one.  A tensor that is too large for that is split into bins of elements whose gradients are of
like size, and each bin is compared along a random direction of its own.
"""

from __future__ import annotations

import time
from itertools import pairwise

import numpy as np

from tinygan.gradcheck.numeric import DIRECTION, EPS, Numeric
from tinygan.gradcheck.report import TensorCheck

BIN = 1e4
"""The largest ratio of gradients within a bin."""

MANY = 20_000
"""With more outputs than this only their weighted sum is differentiated, along directions."""

SEARCH = 3.0
"""Seconds that may be spent on finding which elements of a large tensor are wrong."""


class Comparison:
    """How the tensors of one subject are compared.

    Parameters
    ----------
    numeric : Numeric
    dy : ndarray
    rng : numpy.random.Generator
    directions, elements, rtol
        As in `check_gradients`.
    """

    def __init__(self, numeric: Numeric, dy, rng, directions, elements, rtol):
        self.numeric, self.dy, self.rng = numeric, dy, rng
        self.directions = directions if dy.size <= MANY else 1
        self.elements, self.rtol = elements, rtol
        y = numeric.y
        # roundings are independent, but for what all outputs share (that of a mean)
        shared = float(np.abs(y).max(initial=0) * abs(dy.sum())) * EPS
        self._rounding = 16 * (float(np.sqrt(((numeric.noise * dy) ** 2).sum())) + shared)

    def tensor(self, name, gradient) -> TensorCheck:
        """Compare the gradient of one tensor by elements or along random directions."""
        shape = self.numeric.subject.tensors[name].shape
        problem = _problem(gradient, shape)
        if problem:
            return failed(name, shape, problem)
        flat = gradient.astype(np.float64).ravel()
        if flat.size <= self.elements and self.dy.size <= MANY:
            return self._by_elements(name, flat, np.arange(flat.size))
        return self._by_directions(name, flat)

    def _by_elements(self, name, flat, indices):
        whole = len(indices) == flat.size
        rows = self.numeric.jacobian(name) if whole else self.numeric.rows(name, indices)
        analytic, found = flat[indices], self._combine(rows)
        excess = self._excess(analytic, *found)
        bad = np.flatnonzero(excess > 0)
        # the coarse differences were good enough for those that agree; the others get finer ones
        until = time.monotonic() + SEARCH
        for k in bad[np.argsort(-excess[bad])][:24]:
            if time.monotonic() > until:
                break
            fine = self.numeric.rows(name, [indices[k]], fine=True)
            found[:, k : k + 1] = self._combine(fine)
        low, value, high, error, terms = found
        excess = self._excess(analytic, *found)
        nonzero = np.abs(analytic[np.isfinite(analytic) & (analytic != 0)])
        usual = float(np.median(nonzero)) if nonzero.size else 1.0
        doubt = 3 * error + EPS * (terms + min(usual, 1.0))
        open_ = ~np.isfinite(low) | ~np.isfinite(high)
        undecided = open_ | ((excess > 0) & (excess <= doubt) & np.isfinite(analytic))
        wrong = (excess > doubt) & ~open_
        kinked = (high > low) & ~open_
        return self._verdict(name, indices, analytic, value, wrong, undecided, kinked, whole)

    def _combine(self, slopes):
        """Turn slopes of all outputs into those of L = Σ dy · y: low, value, high, error, terms."""
        used = self.dy.ravel() != 0
        dy = self.dy.ravel()[used]
        value, low, high, error = (a.reshape(-1, len(used))[:, used] for a in slopes)
        with np.errstate(all="ignore"):
            a, b, size = low * dy, high * dy, np.abs(dy)
            ends = np.minimum(a, b).sum(1), np.maximum(a, b).sum(1)
            return np.array([ends[0], value @ dy, ends[1], error @ size, np.abs(value) @ size])

    def _excess(self, analytic, low, value, high, _, terms):
        """Return how far each analytic value is outside of what is allowed around the numeric."""
        size = np.maximum(np.abs(analytic), np.abs(value))
        allowed = self.rtol * np.where(np.isfinite(size), size, 0) + 1e-2 * self.rtol * terms
        with np.errstate(invalid="ignore"):
            margin = np.where(high > low, 1e-3 * (high - low), 0) + allowed
            excess = np.maximum(np.maximum(analytic - high, low - analytic) - margin, 0)
        return np.where(np.isfinite(analytic), np.nan_to_num(excess), np.inf)

    def _by_directions(self, name, flat):
        first, *rest = self._bins(flat)
        bins = [first] * self.directions + rest
        found = [self._over(name, flat, support) for support in bins]
        check = self._verdict(name, None, *map(np.array, zip(*found, strict=True)))
        if check.ok:
            return check
        # which element?  a few at random, then more, until some are wrong; then by halving
        suspects = np.unique(np.concatenate([b for b, f in zip(bins, found, strict=True) if f[2]]))
        order, until, some = self.rng.permutation(suspects), time.monotonic() + SEARCH, 2
        while some < len(order) and time.monotonic() < until:
            if self._over(name, flat, order[:some])[2]:
                order = order[:some]
            some *= 8
        while len(order) > 1 and time.monotonic() < until:
            half, rest = np.array_split(order, 2)
            order = half if self._over(name, flat, half)[2] else rest
        if self.dy.size <= MANY:
            one = self._by_elements(name, flat, order[:1])
        else:
            numbers = self._along(name, flat, np.eye(1, flat.size, order[0])[0])
            one = self._verdict(name, order[:1], *map(np.atleast_1d, numbers))
        return check if one.ok else one

    def _over(self, name, flat, support):
        """Compare along a random direction of these elements."""
        v = np.zeros(flat.size)
        v[support] = self.rng.standard_normal(len(support))
        return self._along(name, flat, v)

    def _bins(self, flat):
        """Return the indices of elements of like size, the largest first, those of size 0 last."""
        size = np.where(np.isfinite(flat), np.abs(flat), np.inf)
        bins, top = [], np.max(size[np.isfinite(size)], initial=0.0)
        bounds = [np.inf, *(top / BIN**k for k in range(1, 9)), 0.0]
        for above, below in pairwise(bounds):
            bins.append(np.flatnonzero((size > below) & ((size <= above) | np.isinf(above))))
        bins.append(np.flatnonzero(size == 0))
        return [b for b in bins if len(b)]

    def _along(self, name, flat, v):
        """Compare along `v`: return both numbers, whether they differ, whether that is open."""
        direction = v.reshape(self.numeric.subject.tensors[name].shape)
        with np.errstate(all="ignore"):
            analytic = float(flat @ v)
            size = float(np.sqrt(((flat * v) ** 2).sum()))
        if not np.isfinite(analytic):
            return analytic, float("nan"), True, False
        if size == 0:  # what should not matter at all, beside what does
            size = 1e-2 * float(np.median(np.abs(flat[flat != 0]), axis=None)) if flat.any() else 0
            size *= np.sqrt(np.count_nonzero(v))
        many, first = self.dy.size > MANY, DIRECTION * self.numeric.scale(name)
        evaluate, dy = self.numeric.evaluator(name, direction), self.dy.ravel()
        for step in (first, first / 32) if many else (first,):
            with np.errstate(all="ignore"):
                value = float(dy @ (evaluate(step) - evaluate(-step)).ravel()) / (2 * step)
            doubt = self._rounding / step
            # a few of very many outputs may lie on kinks
            margin = (100 if many else 1) * self.rtol * max(size, abs(analytic)) + doubt
            if abs(analytic - value) <= margin and not doubt > 0.01 * size > 0:
                return analytic, value, False, False
        if many:
            return analytic, value, bool(abs(analytic - value) > margin), doubt > 0.01 * size
        slope = self.numeric.along(name, direction, fine=True)
        low, value, high, error, _ = self._combine(slope)[:, 0]
        doubt = max(3 * error, EPS * size)
        outside = max(analytic - high, low - analytic) - 1e-3 * (high - low if high > low else 0)
        if not np.isfinite(low) or not np.isfinite(high):
            return analytic, value, False, True
        wrong = not outside <= self.rtol * max(size, abs(value)) + doubt
        return analytic, value, wrong, not wrong and doubt > 0.1 * size

    def _verdict(self, name, indices, analytic, value, wrong, undecided, kinked=None, whole=False):
        shape = self.numeric.subject.tensors[name].shape
        kinked = np.zeros(len(analytic), bool) if kinked is None else kinked
        with np.errstate(all="ignore"):
            difference = np.abs(analytic - value)
            size = np.maximum(np.abs(analytic), np.abs(value))
            if wrong.any():  # among the wrong ones the largest difference is shown
                relative = difference / np.where(size > 0, size, 1)
                relative = np.where(np.isfinite(analytic), relative, np.inf)
                shown = np.where(wrong, np.where(np.isfinite(difference), difference, np.inf), -1)
            else:  # what counts is how far right ones are off beside the largest
                top = np.max(size[np.isfinite(size)], initial=0.0) or 1.0
                relative = np.where(undecided | kinked, 0, difference) / top
                shown = relative = np.where(np.isfinite(analytic), relative, 0)
        worst, index = int(np.argmax(shown)), None
        if indices is not None:
            index = tuple(int(i) for i in np.unravel_index(indices[worst], shape))
        return TensorCheck(
            name=name,
            shape=tuple(shape),
            ok=not wrong.any(),
            error=float(np.nan_to_num(relative[worst], nan=np.inf)),
            index=index,
            analytic=float(analytic[worst]),
            numeric=float(value[worst]),
            count=len(analytic),
            method="elements" if indices is not None else "directions",
            kinks=int(kinked.sum()),
            undecided=int((undecided & ~wrong).sum()),
            analytic_gradient=analytic.reshape(shape) if whole else None,
            numeric_gradient=np.array(value).reshape(shape) if whole else None,
        )


def failed(name, shape, problem) -> TensorCheck:
    """Return the verdict on a gradient that cannot even be compared."""
    nan = float("nan")
    return TensorCheck(
        name, tuple(shape), False, float("inf"), None, nan, nan, 0, "elements", problem
    )


def _problem(gradient, shape) -> str:
    if gradient is None:
        return "no gradient was returned"
    if gradient.shape != shape:
        return f"the gradient has shape {gradient.shape}, expected {tuple(shape)}"
    return ""
