r"""Outputs that depend on all elements of a group, as those of softmax and of normalisations do.

The groups are read off the Jacobian.  A normalisation's gradient is, within each group,

.. math:: dx_i = a\,dy_i + b\,\overline{dy} + c\,\hat x_i\,\overline{dy\,\hat x},

so fitting a, b, c to the numeric gradient shows that the code normalises, and fitting them to the
analytic one shows which of the three ways is missing or weighted wrongly.
"""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess, subsets
from tinygan.gradcheck.diagnosis.factors import library

WAYS = (
    "dy itself",
    "the way through the mean, −mean(dy)",
    "the way through the variance, −x̂·mean(dy·x̂)",
)


def groups(matrix):
    """Return a group's number for each element of a square matrix, or None: a block is not full."""
    near = np.abs(matrix) > 1e-6 * np.abs(matrix).max()
    near = near | near.T | np.eye(len(near), dtype=bool)
    labels = np.argmax(near, axis=1)
    for _ in range(3):
        labels = np.array([labels[row].min() for row in near])
    same = labels[:, None] == labels
    return labels if near[same].mean() > 0.5 and not near[~same].any() else None


def wrong_group(evidence: Evidence, name):
    """What belongs together is not what is summed: over a wrong axis, or not at all."""
    found, right = evidence.analytic_jacobian(name), evidence.jacobian(name)
    if found is None or found.shape != right.shape or right.shape[1] < 4:
        return
    there, seen = (np.abs(m) > 1e-6 * np.abs(right).max() for m in (right, found))
    if right.shape[0] != right.shape[1]:
        everywhere = seen.any(1).all() and (there & ~seen).any(1).all()
        if everywhere and not (seen & ~there).any() and 2 * seen.sum() < there.sum():
            text = "a way through a mean or a sum over many elements is missing"
            yield Guess("missing term", text, 4)
        return
    if len(right) < 4 or (mine := groups(right)) is None or (seen := groups(found)) is None:
        return
    apart = len(np.unique(mine)) == len(mine)
    touched, arrive = (np.abs(np.diag(m)).min() > 1e-6 * np.abs(m).max() for m in (right, found))
    if apart or not touched:
        return
    direct = np.diag(found) / np.diag(right)  # what arrives not through a sum is about right
    alike = 0.5 < np.median(direct) < 2 and (direct > 0).mean() > 0.8
    if len(np.unique(seen)) == len(seen):
        text = "a term through a mean or a sum over many elements is missing"
        if alike:
            yield Guess("missing term", text, 4)
    elif not np.array_equal(mine, seen) and arrive and alike:
        text = "a mean or sum is taken over elements that do not belong together: a wrong axis"
        yield Guess("wrong axis", text, 3)
    elif np.array_equal(mine, seen):
        yield from _share(evidence, name, found, right)


def _share(evidence, name, found, right):
    """The part beside the diagonal, which comes through the sum, is off by a factor."""
    size = np.abs(right).max()
    beside = ~np.eye(len(right), dtype=bool) & (np.abs(right) > 1e-6 * size)
    if (np.abs(found[~beside & ~np.eye(len(right), dtype=bool)]) > 1e-6 * size).any():
        return
    ratio = np.where(beside, found / np.where(beside, right, 1), np.nan)
    size = np.nanmax(np.abs(ratio))
    if np.nanmax(ratio) - np.nanmin(ratio) <= 1e-4 * max(1, size):
        c = np.nanmean(ratio)
        text = f"a term through a mean or a sum over many elements is {c:.4g} times too large"
        kind = "missing term" if abs(c) < 1e-5 else "constant factor"
        if abs(c - 1) > 1e-4:
            yield Guess(kind, text if abs(c) > 1e-5 else "the term through the sum is missing", 4)
        return
    c = np.nanmean(ratio, axis=0)
    if np.nanmax(np.abs(ratio - c)) > 1e-4 * size:
        return
    for label, v in library(evidence, name, evidence.y.shape).items():
        v = np.broadcast_to(v, evidence.y.shape).ravel()
        if np.ptp(v) and np.abs(c * v - 1).max() < 1e-4:
            yield Guess("missing term", f"in the sum, the factor {label} is missing", 4)


def normalisation(evidence: Evidence, name):
    """Compare the three coefficients of the analytic gradient with the numeric one's."""
    x, jacobian = evidence.tensors[name], evidence.jacobian(name)
    if x.shape != evidence.y.shape or x.ndim < 2:
        return
    labels = groups(jacobian)
    if labels is None:
        return
    order = np.argsort(labels, kind="stable")
    counts = np.unique(labels, return_counts=True)[1]
    if np.ptp(counts) or counts[0] < 4:
        return
    places = order.reshape(-1, counts[0])

    def split(array):
        return array.ravel()[places]

    weights = [v for n, v in evidence.tensors.items() if n != name and v.ndim]
    weights = [v for v in weights if v.shape == x.shape[x.ndim - v.ndim :]]
    for weight in (np.ones(1), *weights):
        dys = [split(dy * weight) for dy in evidence.dys]
        centred = split(x) - split(x).mean(1, keepdims=True)
        right = [split(g) for g in evidence.right(name)]
        true = _fit(_ways(dys, centred), right, evidence.tolerance)
        a = None if true is None else np.abs(true[:, 0])
        if a is None or not (np.abs(true[:, 1:]) > 1e-6 * a.max()).all():
            continue
        xhat = centred * np.sqrt(np.abs(true[:, 2:] / true[:, :1]))
        true = _fit(_ways(dys, xhat), right, evidence.tolerance)
        found = [split(g) for g in evidence.found(name)]
        got = _fit(_ways(dys, xhat), found, evidence.tolerance)
        if true is not None and got is not None:
            yield from _compare(true, got, counts[0])
            return
        whole = np.empty(x.shape)
        whole.ravel()[places] = xhat
        for axes in subsets(range(x.ndim)):
            dys_whole = [dy * weight for dy in evidence.dys]
            for which in ((1,), (2,), (1, 2)):
                ways = _ways(dys, xhat)
                for way, dy in zip(ways, dys_whole, strict=True):
                    other = (
                        dy.mean(axes, keepdims=True),
                        whole * (dy * whole).mean(axes, keepdims=True),
                    )
                    for i in which:
                        way[i] = split(other[i - 1] + 0 * dy)
                if _fit(ways, found, evidence.tolerance) is not None:
                    text = f"in dx, a mean is over axes {axes}, not over those of the statistics"
                    yield Guess("wrong axis", text, 1)
                    return
        for label, plain in (("x", split(x)), ("y", split(evidence.y)), ("x − mean", centred)):
            for outer, inner in ((plain, plain), (plain, xhat), (xhat, plain)):
                if _fit(_ways(dys, outer, inner), found, evidence.tolerance) is not None:
                    text = f"in dx, the way through the variance uses {label} where x̂ is due"
                    yield Guess("wrong tensor", text, 1)
                    return


def _ways(dys, outer, inner=None):
    inner = outer if inner is None else inner
    return [
        [dy, dy.mean(1, keepdims=True) + 0 * dy, outer * (dy * inner).mean(1, keepdims=True)]
        for dy in dys
    ]


def _fit(ways, gradients, tolerance):
    """Return a, b, c of every group, ``(groups, 3)``, or None if they do not fit exactly."""
    basis = np.stack([np.concatenate([w[i] for w in ways], axis=1) for i in range(3)], axis=2)
    target = np.concatenate(gradients, axis=1)
    result = np.stack(
        [np.linalg.lstsq(b, t, rcond=None)[0] for b, t in zip(basis, target, strict=True)]
    )
    rest = np.abs(np.einsum("gnk,gk->gn", basis, result) - target).max()
    return result if rest <= 10 * tolerance * np.abs(target).max() else None


def _compare(true, got, count):
    ratios = got / true
    steady = np.ptp(ratios, axis=0) <= 2e-5 * np.maximum(1, np.abs(ratios).max(axis=0))
    ratio = ratios.mean(axis=0)
    gone = (np.abs(ratios) < 1e-4).all(axis=0)
    if gone.any() and not gone.all():
        text = " and ".join(way for way, is_gone in zip(WAYS, gone, strict=True) if is_gone)
        yield Guess("missing term", f"in dx, {text} is missing", 1)
    elif steady.all():
        parts = []
        for i in (1, 2):
            c = ratio[i] / ratio[0]
            label = "the sign" if abs(c + 1) < 1e-3 else f"{c:.4g}"
            if abs(c / count - 1) < 1e-3:
                label = f"{count}, the number of values: a sum in place of a mean"
            parts += [f"{WAYS[i]} is off by {label}"] if abs(c - 1) > 1e-3 else []
        if parts:
            yield Guess("constant factor", "in dx, " + "; ".join(parts), 1)
    elif np.allclose(ratios, ratios[:, :1], rtol=1e-3):
        text = "each group is off by a factor of its own: γ or 1/σ is missing or there twice"
        yield Guess("missing term", text, 1)
