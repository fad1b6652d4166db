r"""Sums of terms: which of them is missing, or off by a factor.

A split writes the numeric gradient as a sum, :math:`g = \sum_k a_k p_k`, of parts that are known.
Where the analytic gradient is a sum of the same parts, its coefficients show what is wrong.  For
every element of all upstream gradients they have to fit, so none does by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess, is_diagonal, subsets
from tinygan.gradcheck.diagnosis.factors import spread


def _together(arrays):
    """Return all numbers of an array for each dy as one group ``(1, numbers)``."""
    return np.concatenate([a.ravel() for a in arrays])[None]


class Split(NamedTuple):
    """Parts of a gradient.

    Attributes
    ----------
    labels : tuple of str
    parts : list
        For each label the part: an array for each dy.
    arrange : callable
        Turns an array for each dy into ``(groups, numbers)``; each group has its own coefficients.
    rank : int
        Of the guesses.
    """

    labels: tuple[str, ...]
    parts: list
    arrange: Callable = _together
    rank: int = 2


def wrong_term(evidence: Evidence, name):
    """A term of a sum is missing, or is there with another sign or factor."""
    for splits in SPLITS:
        for split in splits(evidence, name):
            if isinstance(split, Guess):
                yield split
            else:
                yield from _compare(evidence, name, split)


def _compare(evidence, name, split):
    basis = np.stack([split.arrange(part) for part in split.parts], axis=2)
    right, found = split.arrange(evidence.right(name)), split.arrange(evidence.found(name))
    true, got = (fit(basis, target, evidence.tolerance) for target in (right, found))
    if true is None or got is None:
        return
    size = np.abs(true * np.linalg.norm(basis, axis=1)).max(axis=0)
    if not size.min() > 1e-4 * size.max():
        return
    there = np.abs(true) > 1e-6 * np.abs(true).max(axis=0)
    ratios = np.where(there, got / np.where(there, true, 1), np.nan)
    ratio = np.nanmean(ratios, axis=0)
    if np.nanmax(np.abs(ratios - ratio)) > 1e-4 * max(1, np.abs(ratio).max()):
        return
    kept, gone = np.abs(ratio - 1) < 1e-4, np.abs(ratio) < 1e-4
    if kept.all() or not kept.any():
        return
    if (kept | gone).all():
        missing = " and ".join(n for n, away in zip(split.labels, gone, strict=True) if away)
        yield Guess("missing term", f"missing: {missing}", split.rank)
    elif not gone.any():
        off = [f"{n} is {c:.4g} times too large" for n, c, ok in
               zip(split.labels, ratio, kept, strict=True) if not ok]  # fmt: skip
        rank, size = 3 if split.rank > 1 else 1, float(ratio[~kept][0])
        yield Guess("constant factor", "; ".join(off), rank, size=size)


def fit(basis, target, tolerance):
    """Return the coefficients ``(groups, terms)``, or None where they do not fit exactly."""
    size = np.abs(basis).max(axis=(0, 1))
    if not (size > 0).all() or basis.shape[1] <= basis.shape[2]:
        return None
    basis, found = basis / size, []
    for b, t in zip(basis, target, strict=True):
        coefficients, _, rank, _ = np.linalg.lstsq(b, t, rcond=1e-6)
        if rank < len(size):
            return None
        found.append(coefficients)
    rest = np.abs(np.einsum("gnk,gk->gn", basis, np.array(found)) - target).max()
    return np.array(found) / size if rest <= 10 * tolerance * np.abs(target).max() else None


def one_and_the_rest(evidence, name) -> Iterator[Split]:
    """Yield a term that is well known and what stands beside it."""
    x, y, dys, right = evidence.tensors[name], evidence.y, evidence.dys, evidence.right(name)
    if y.shape != x.shape:
        return
    known = {"(y/x)·dy": y / x, "y·dy": y}
    known |= {f"{n}·dy": v for n, v in evidence.tensors.items() if n != name and v.shape == x.shape}
    if not np.any(np.abs(np.diag(evidence.jacobian(name)) - 1) < 1e-4):
        known = {"dy, as of a skip connection,": np.ones_like(x)} | known
    for label, factor in known.items():
        if np.isfinite(factor).all():
            part = [dy * factor for dy in dys]
            rest = [r - p for r, p in zip(right, part, strict=True)]
            yield Split((f"the term {label}", f"what stands beside {label}"), [part, rest])


def direct_and_sum(evidence, name) -> Iterator[Split | Guess]:
    """Yield each element's own slope, and what comes through others: all, or a sum of its group.

    In softmax, J is a diagonal matrix and, in each group, one of rank 1: the sum.
    """
    matrix, shape = evidence.jacobian(name), evidence.tensors[name].shape
    if matrix.shape[0] != matrix.shape[1] or is_diagonal(matrix) or not shape:
        return
    labels = groups(matrix)
    for own in (np.diag(matrix), None if labels is None else _own_slopes(matrix, labels)):
        if own is None or not np.any(own) or not np.isfinite(own).all():
            continue
        direct = [(own * dy.ravel()).reshape(shape) for dy in evidence.dys]
        rest = [r - p for r, p in zip(evidence.right(name), direct, strict=True)]
        yield Split(("each element's own term", "the term through the sum"), [direct, rest])


def _own_slopes(matrix, labels):
    """Return d with J = diag(d) and, in each group, a matrix of rank 1."""
    own = np.full(len(matrix), np.nan)
    for members in (np.flatnonzero(labels == label) for label in np.unique(labels)):
        for i in members if len(members) > 2 else ():
            j = members[members != i]
            k = np.roll(j, 1)
            own[i] = matrix[i, i] - np.median(matrix[i, k] * matrix[j, i] / matrix[j, k])
    return own


def normalisation(evidence, name) -> Iterator[Split | Guess]:
    r"""Yield the ways of a normalisation's gradient.

    .. math:: dx_i = a\,dy_i + b\,\overline{dy} + c\,\hat x_i\,\overline{dy\,\hat x}
    """
    x, tolerance = evidence.tensors[name], evidence.tolerance
    labels = groups(evidence.jacobian(name)) if x.shape == evidence.y.shape else None
    if labels is None:
        return
    counts = np.unique(labels, return_counts=True)[1]
    if np.ptp(counts) or counts[0] < 4:
        return
    places = np.argsort(labels, kind="stable").reshape(-1, counts[0])

    def arrange(arrays):
        return np.concatenate([a.ravel()[places] for a in arrays], axis=1)

    def whole(values):
        array = np.empty(x.size)
        array[places] = values
        return array.reshape(x.shape)

    def mean(array, axes=None):
        if axes is not None:
            return array.mean(axes, keepdims=True) + 0 * array
        return whole(array.ravel()[places].mean(1, keepdims=True) + np.zeros(places.shape))

    def ways(dys, outer, inner, axes=(None, None)):
        return [
            dys,
            [mean(dy, axes[0]) for dy in dys],
            [outer * mean(dy * inner, axes[1]) for dy in dys],
        ]

    def fitted(parts, gradients):
        return fit(np.stack([arrange(p) for p in parts], axis=2), arrange(gradients), tolerance)

    centred, right, found = x - mean(x), evidence.right(name), evidence.found(name)
    weights = [v for n, v in evidence.tensors.items() if n != name and v.ndim]
    for weight in (np.ones(1), *(w for v in weights for w in spread(v, x.shape))):
        dys = [dy * weight for dy in evidence.dys]
        true = fitted(ways(dys, centred, centred), right)
        if true is None or not (np.abs(true[:, 1:]) > 1e-6 * np.abs(true[:, 0]).max()).all():
            continue
        scale = np.sqrt(np.abs(true[:, 2:] / true[:, :1])) + np.zeros(places.shape)
        xhat, sigma = centred * whole(scale), 1 / whole(scale)

        for kind, what, by in (("missing", "is missing", sigma), ("extra", "is twice", 1 / sigma)):
            text = f"in dx, the factor 1/σ {what}"
            yield Guess(f"{kind} term", text, 1, lambda dy, s=by: evidence.pull(name, dy) * s)
        yield Split(WAYS, ways(dys, xhat, xhat), arrange, 1)
        if fitted(ways(dys, xhat, xhat), found) is not None:
            return
        for axes in subsets(range(x.ndim)):
            for choice in ((axes, None), (None, axes), (axes, axes)):
                if fitted(ways(dys, xhat, xhat, choice), found) is not None:
                    text = f"in dx, a mean is over axes {axes}, not over those of the statistics"
                    yield Guess("wrong axis", text, 1)
        for label, plain in (("x", x), ("y", evidence.y), ("x − mean", centred)):
            for outer, inner in ((plain, plain), (plain, xhat), (xhat, plain)):
                if fitted(ways(dys, outer, inner), found) is not None:
                    text = f"in dx, the way through the variance uses {label} where x̂ is due"
                    yield Guess("wrong tensor", text, 1)
        return


WAYS = (
    "dy itself",
    "the way through the mean, −mean(dy)",
    "the way through the variance, −x̂·mean(dy·x̂)",
)
SPLITS = (normalisation, one_and_the_rest, direct_and_sum)


def groups(matrix):
    """Return a group's number for each element of a square matrix, or None: a block is not full."""
    near = np.abs(matrix) > 1e-6 * np.abs(matrix).max()
    near |= np.eye(len(near), dtype=bool)
    labels = np.argmax(near, axis=1)
    for _ in range(3):
        labels = np.array([labels[row].min() for row in near])
    same = labels[:, None] == labels
    full = near[same].mean() > 0.5 and not near[~same].any() and (near == near.T).all()
    return labels if full else None
