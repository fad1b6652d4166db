r"""Slopes: what the analytic Jacobian A is times the numeric one J, row by row, column by column.

Where A = J diag(c), c belongs to the outputs: dy went through a wrong factor or mask.  Where
A = diag(c) J, it belongs to the elements.  c is then one number, or a mask.
"""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess, is_diagonal
from tinygan.gradcheck.diagnosis.scale import factor_in_words


def constant_factor(evidence: Evidence, name):
    """Analytic = c · numeric, with one c for all elements and all dy."""
    f, r = (
        np.concatenate([a.ravel() for a in g]) for g in (evidence.found(name), evidence.right(name))
    )
    c = float(f @ r) / (float(r @ r) or 1.0)
    if c and np.isfinite(c) and abs(c - 1) > 1e-6:
        off, size = np.abs(f - c * r), np.abs(c * r)
        each = size > 1e-11 * size.max()  # small elements tell as much as large ones
        near = (off[each] <= max(1e-3, evidence.tolerance) * size[each]).all()
        if near and off.max() <= evidence.tolerance * size.max():
            yield Guess("constant factor", factor_in_words(evidence, name, c), 1, size=c)


def wrong_factor(evidence: Evidence, name):
    """A mask, a slope or a factor that is wrong, of dy or of the gradient."""
    found, right = evidence.analytic_jacobian(name), evidence.jacobian(name)
    if found is None or found.shape != right.shape or not np.any(right):
        return
    for axis, shape in ((0, evidence.y.shape), (1, evidence.tensors[name].shape)):
        profile = _profile(right, found, axis, evidence.tolerance)
        if profile is None:
            continue
        c, there, extra = profile
        bad, part = there & (np.abs(c - 1) > 1e-5), there & (np.abs(c - 1) <= 1e-5)
        if (len(c) < 4 and evidence.y.size > 1) or not (bad.any() or extra.any()):
            continue
        slopes, used = (np.abs(m).max(axis) * np.sign(m.sum(axis)) for m in (right, found))
        if _is_mask(evidence, name, slopes, used, bad, extra, shape):
            yield Guess("wrong mask", _mask_in_words(used, bad | extra), 2)
        elif part.any() and not extra.any() and _tells(evidence, name, slopes):
            block = not _scattered(bad.reshape(shape)) or _one_side(evidence.tensors[name], bad)
            yield from _in_part(c[bad], "outputs" if axis == 0 else "elements", block)


def _profile(right, found, axis, tolerance):
    """Return c with A = J · c along `axis`, where J is not zero, and where A is but J is not."""
    size = np.abs(right).max()
    square = (right * right).sum(axis)
    there = square > (1e-6 * size) ** 2
    c = np.where(there, (right * found).sum(axis) / np.where(there, square, 1), 0.0)
    rest = np.abs(found - right * (c if axis == 0 else c[:, None]))
    extra = ~there & (np.abs(found).max(axis) > 1e-6 * size)
    far = rest.max(axis)[there] > 10 * tolerance * max(size, np.abs(found).max())
    far &= rest.max(axis)[there] > 10 * tolerance * np.abs(found).max(axis)[there]
    return None if far.any() else (c, there, extra)


def _is_mask(evidence, name, slopes, used, bad, extra, shape):
    """Whether the slopes are those of a mask, and what is used is right elsewhere."""
    x = evidence.tensors[name]
    if x.shape == shape and not extra.any() and not evidence.locally_linear(name):
        # a curve with another slope on each side of zero: the other side's is used
        return _one_side(x, bad) and np.allclose(used[bad], slopes.max(), rtol=1e-4)
    picked = np.abs(evidence.jacobian(name)) > 1e-6 * np.abs(slopes).max()
    if (picked.sum(0) <= 1).all() and (picked.sum(1) > 1).any() and not extra.any():
        return False  # windows that overlap: something is overwritten
    drawn = extra.any() and bad.any() and is_diagonal(evidence.jacobian(name))  # by dropout
    if not drawn and evidence.forward_is_linear(evidence.input_name):
        return False  # which element is picked is a matter of an index
    wrong, size = (bad | extra).reshape(shape), np.abs(slopes).max()
    for axis in (None, *range(len(shape))):  # each channel may have slopes of its own
        s, u, w = ((a.reshape(-1, 1) if axis is None else np.moveaxis(a.reshape(shape), axis, -1))
                   for a in (slopes / size, used / size, wrong))  # fmt: skip
        table = _levels(s)
        if table is not None:
            known = (np.abs(u[..., None] - table) < 1e-4).any(-1)[w].all()
            # all of one slope are lost: a term is, not a mask, if zero is one of the slopes
            lost = axis is None and not extra.any() and _steady(s[w], u[w])
            lost = lost and np.array_equal(w, np.abs(s - s[w][0]) < 1e-4)
            return bool(known and not (lost and (np.abs(table) < 1e-4).any()))
    return not used[bad].any() and bool(extra.any() or _scattered(bad.reshape(shape)))


def _steady(*arrays):
    return all(np.ptp(a) < 1e-4 for a in arrays)


def _one_side(x, bad):
    """Whether the wrong ones are those on one side of zero."""
    return x.size == bad.size and any(np.array_equal(bad, s.ravel()) for s in (x < 0, x > 0))


def _scattered(mask):
    """Whether it is no block: some but not all of every axis' slices that have any."""
    for axis, n in enumerate(mask.shape):
        counts = mask.sum(axis=tuple(i for i in range(mask.ndim) if i != axis))
        if 1 < n < mask.size and np.isin(counts, (0, mask.size // n)).all():
            return False
    return True


def _tells(evidence, name, slopes):
    """Whether a factor that all wrong ones share is no matter of course, as with few slopes."""
    return _levels(slopes[:, None] / np.abs(slopes).max()) is None or evidence.locally_linear(name)


def _levels(slopes):
    """Return the two or three slopes of each channel, ``(channels, 3)``, or None for more."""
    table = np.round(slopes, 4).reshape(-1, slopes.shape[-1])
    found = [np.unique(column) for column in table.T]
    if not 2 <= max(map(len, found)) <= min(3, len(table) - 2):
        return None
    return np.array([np.pad(column, (0, 3 - len(column)), "edge") for column in found])


def _mask_in_words(used, wrong):
    if np.ptp(used) < 1e-4 * np.abs(used).max():
        return f"the same slope {used[0]:.4g} is used everywhere: no mask is applied"
    if wrong.all():
        return "the mask is inverted"
    return "the slopes are the right numbers at wrong places: the mask is not that of x"


def _in_part(wrong, whose, block):
    """Right for some, off by one factor for the others."""
    if np.ptp(wrong) > 1e-4 * max(1, np.abs(wrong).max()):
        return
    if abs(wrong[0]) < 1e-5:
        text = f"right for some {whose}, 0 for the others: theirs is forgotten"
        yield Guess("missing term", text, 3)
    elif len(wrong) > 1 and block:
        text = f"right for some {whose}, {wrong[0]:.4g} times the right one for the others"
        yield Guess("constant factor", text, 2)


def spread(value, shape):
    """Yield the value in each way that it broadcasts to `shape`: a vector along any axis."""
    if value.ndim == 1:
        for axis in range(len(shape) - 1, -1, -1):
            if len(value) == shape[axis]:
                yield value.reshape([-1 if i == axis else 1 for i in range(len(shape))])
        return
    with suppress(ValueError):
        if np.broadcast_shapes(value.shape, shape) == tuple(shape):
            yield value


def constant_in_part(evidence: Evidence, name):
    """Of a loss: a number that only some elements have, as −1 at the label, is missing or twice."""
    right, found = evidence.right(name)[0].ravel(), evidence.found(name)[0].ravel()
    rest = right - found
    bad = np.abs(rest) > 1e-5 * np.abs(right).max()
    whole = evidence.y.size == 1 and rest.size > 3 and bad.all()
    if whole and np.ptp(rest) <= 1e-5 * np.abs(rest).max() and 0 < np.mean(found == 0) < 1:
        yield Guess("missing term", f"the term {rest[0]:.4g}, the same everywhere, is missing", 3)
    if evidence.y.size > 1 or not 2 <= bad.sum() <= 0.7 * rest.size:
        return
    if np.ptp(rest[bad]) > 1e-5 * np.abs(rest).max():
        return
    small = np.abs(found[bad]).min() < 0.49 * np.abs(rest[bad]).max()
    if ((found[bad] * right[bad] < 0).all() and small) or not np.any(found[bad]):
        yield Guess("missing term", "a number is not subtracted where it is due, as at a label", 3)
    elif (found[bad] / right[bad] > 1).all():
        yield Guess("extra term", "a number is subtracted twice, as at a label", 3)
