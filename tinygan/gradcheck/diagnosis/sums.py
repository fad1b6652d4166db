"""Sums: over which axes, of what, and which contributions of dy arrive."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess, subsets
from tinygan.gradcheck.diagnosis.places import ADD_UP


def summed_wrongly(evidence: Evidence, name):
    """A parameter's gradient: the right summand over other axes, or another one."""
    y, dys, shape = evidence.y, evidence.dys, evidence.tensors[name].shape
    if evidence.is_loss or not y.ndim or np.prod(shape) >= y.size:
        return
    right, found, jacobian = evidence.right(name), evidence.found(name), evidence.jacobian(name)
    if ((np.abs(jacobian) > 1e-9 * np.abs(jacobian).max()).sum(axis=0) > 1).any():
        return
    # each output sees one element only: what is summed is dy times that slope
    slope = jacobian.sum(axis=0).reshape(y.shape)
    summands = {"dy": dys, f"dy·∂y/∂{name}": [dy * slope for dy in dys]}
    choices = list(subsets(range(y.ndim)))

    def holds(totals, others):
        fitted = [_as(t, o.shape) for t, o in zip(totals, others, strict=True)]
        return all(f is not None for f in fitted) and evidence.close(fitted, others)

    plain = np.abs(slope - 1).max() < 1e-6
    label = "dy" if plain else f"dy·∂y/∂{name}"
    correct = [a for a in choices if holds([s.sum(a) for s in summands[label]], right)]
    for axes in correct[:1]:
        for other in (a for a in choices if a != axes):
            for what, f in (("summed", np.sum), ("averaged", np.mean)):
                totals = [f(s, axis=other) for s in summands[label]]
                if holds(totals, found) or holds([t.T for t in totals], found):
                    text = f"{label} is {what} over axes {other}; sum over axes {axes}"
                    few = set(other) < set(axes) and found[0].shape != shape
                    yield Guess("wrong shape" if few else "wrong axis", text, 1)
        masked = len(np.unique(np.round(slope, 6))) <= 2
        if not plain and holds([dy.sum(axes) for dy in dys], found):
            kind = "wrong mask" if masked else "missing term"
            yield Guess(kind, f"dy is summed instead of {label}", 1)
        for n, v in {**evidence.tensors, "y": y}.items():
            if v.shape == y.shape and holds([(dy * v).sum(axes) for dy in dys], found):
                same = np.abs((slope - v)[slope != 0]).max(initial=0) < 1e-6
                kind = "wrong mask" if same else "wrong tensor"
                if not same and n != "y" and np.all(v) and _steady_along_an_axis(slope / v):
                    kind = "missing term"
                yield Guess(kind, f"dy·{n} is summed instead of {label}", 1)
        unsummed = found[0].shape != shape and found[0].size > np.prod(shape)
        if unsummed and evidence.close([f.sum(axes).reshape(shape) if f.shape == y.shape else
                                        f for f in found], right):  # fmt: skip
            yield Guess("wrong shape", f"the gradient is not summed over axes {axes}", 0)


def _steady_along_an_axis(ratio):
    """Whether it is a factor of each row, or of each column: forgotten, not another tensor."""
    return any(
        n > 1 and np.ptp(ratio, axis=a).max() <= 1e-6 * np.abs(ratio).max()
        for a, n in enumerate(ratio.shape)
    )


def _as(total, shape):
    """Return `total` in this shape: as it is, reshaped or broadcast."""
    if total.size == np.prod(shape):
        return total.reshape(shape)
    try:
        return np.broadcast_to(total, shape)
    except ValueError:
        return None


def contributions_lost(evidence: Evidence, name):
    """Everything that arrives is right, but something is left out."""
    found, right = evidence.analytic_jacobian(name), evidence.jacobian(name)
    if found is None or found.shape != right.shape or right.shape[1] < 2:
        return
    size = np.abs(right).max()
    there, seen = np.abs(right) > 1e-6 * size, np.abs(found) > 1e-6 * size
    agree = np.abs(found - right) <= evidence.tolerance * size
    dropped = there & ~seen
    if not dropped.any() or not (agree | dropped).all():
        return
    kept = there & seen
    windows, first, last = (there.sum(axis=0) > 1).any(), there[0].sum(), there[-1].sum()
    backwards = windows and _last_of_a_loop(evidence.y.shape, there, kept, -1, combinations)
    if backwards and first != last:
        return  # as in a recurrence: forgotten, or the last of a loop that runs backwards
    if backwards or _last_of_a_loop(evidence.y.shape, there, kept):
        text = f"where windows overlap only the last one's contribution is left: {ADD_UP}"
        yield Guess("assigned", text, 2)
        return
    text = (
        f"{dropped.sum() / there.sum():.0%} of what should flow into the gradient of {name} is "
        "left out, the rest is right: a term of the sum is missing"
    )
    yield Guess("missing term", text, 3)


def _last_of_a_loop(shape, there, kept, step=1, orders=permutations):
    """Whether of all outputs that touch an element those are left that come last in some loops.

    The loops run over axes of the output in all `orders`, up (`step` 1) or down (−1).
    """
    index = np.indices(shape).reshape(len(shape), -1)
    few = np.flatnonzero((there != kept).any(axis=1))[:8]
    for count in range(1, len(shape) + 1):
        for axes in orders(range(len(shape)), count):
            turn = step * np.ravel_multi_index(index[list(axes)], [shape[a] for a in axes])
            if _last(turn, there[few], kept[few]) and _last(turn, there, kept):
                return True
    return False


def _last(turn, there, kept):
    last = np.where(there, turn, -np.inf).max(axis=1, keepdims=True)
    return np.array_equal(kept, there & (turn == last))
