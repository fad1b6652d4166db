r"""Slopes: what the analytic Jacobian A is times the numeric one J, row by row, column by column.

Where A = J diag(c), c belongs to the outputs: dy went through a wrong factor or mask.  Where
A = diag(c) J, it belongs to the elements.  c is then one number, a mask, or a factor of the usual
ones: x, y, 1 − y, σ(x), another tensor.  Where no c fits, the two terms of a product are tried.
"""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess
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
            yield Guess("constant factor", factor_in_words(evidence, name, c), 1)


def wrong_factor(evidence: Evidence, name):
    """A mask, a slope or a factor that is wrong, of dy or of the gradient."""
    found, right = evidence.analytic_jacobian(name), evidence.jacobian(name)
    if found is None or found.shape != right.shape or not np.any(right):
        return
    for axis, shape in ((0, evidence.y.shape), (1, evidence.tensors[name].shape)):
        profile = _profile(right, found, axis, evidence.tolerance)
        if profile is not None:
            yield from _named(evidence, name, axis, shape, *profile)


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


def _named(evidence, name, axis, shape, c, there, extra):
    right, found = evidence.jacobian(name), evidence.analytic_jacobian(name)
    slopes, used = (np.abs(m).max(axis) * np.sign(m.sum(axis)) for m in (right, found))
    bad = there & (np.abs(c - 1) > 1e-5)
    part = bad.sum() < there.sum() or extra.any() or _few(slopes, shape) is not None
    whose = "outputs" if axis == 0 else "elements"
    if not (bad.any() or extra.any()) or (len(c) < 4 and (evidence.y.size > 1)):
        return
    if part:
        yield from _in_part(evidence, name, c, bad, there, extra, slopes, used, shape, whose)
    else:
        yield from _whole(evidence, name, axis, shape, c, bad, used)
    if part and bad.sum() >= 4 and not extra.any():
        yield from _whole(evidence, name, axis, shape, c, bad, used, 3)


def _in_part(evidence, name, c, bad, there, extra, slopes, used, shape, whose):
    """Right for some, wrong for others: a mask, a branch, or a term that only some have."""
    size, few, wrong = np.abs(slopes).max(), _few(slopes, shape), bad | extra
    at, top = np.round(used / size, 4), np.round(slopes.max() / size, 4)
    other_level = few is not None and (at == few).any(0)[wrong].all()
    branch = few is None and bad.any() and not extra.any() and (at[bad] == top).all()
    values = np.unique(np.round(c[bad], 4))
    if extra.any() or other_level or (branch and _whose_branch(evidence, name, bad, shape)):
        if extra.any() and not bad.any() and evidence.forward_is_linear(evidence.input_name):
            return
        picked = extra.any() and not _elementwise(evidence.jacobian(name))
        if picked and evidence.forward_is_linear(evidence.input_name):
            return  # which element is picked is a matter of an index, not of a mask
        if other_level and not branch and not evidence.locally_linear(name):
            return  # slopes behind a mask do not change nearby
        if not extra.any() and not np.any(c[bad]) and not _scattered(bad.reshape(shape)):
            yield Guess("missing term", f"some {whose} are left out", 3)
            return
        text = "the slopes are the right numbers at wrong places: the mask is not that of x"
        if few is not None and np.ptp(used) < 1e-4 * size:
            text = f"the same slope {used[0]:.4g} is used everywhere: no mask is applied"
        elif wrong.all():
            text = "the mask is inverted"
        yield Guess("wrong mask", text, 2)
    elif len(values) == 1 and not values[0]:
        text = f"right for some {whose}, 0 for the others: theirs is forgotten"
        yield Guess("missing term", text, 3)
    elif len(values) == 1 and bad.sum() >= 2:
        text = f"right for some {whose}, {values[0]:.4g} times the right one for the others"
        yield Guess("constant factor", text, 2)


def _elementwise(jacobian):
    return jacobian.shape[0] == jacobian.shape[1] and not np.any(
        jacobian[~np.eye(len(jacobian), dtype=bool)]
    )


def _few(slopes, shape):
    """Return the levels of piecewise linear functions' slopes, as ``(levels, elements)``, or None.

    Each channel, along the last axis, may have its own two or three.
    """
    rounded = np.round(slopes / np.abs(slopes).max(), 4)
    for channels in (1, *shape[-1:]):
        table = rounded.reshape(-1, channels)
        levels = [np.unique(column) for column in table.T]
        if 2 <= max(map(len, levels)) <= min(3, len(table) - 2):
            padded = np.array([np.pad(found, (0, 3 - len(found)), "edge") for found in levels])
            return np.tile(padded.T, (1, len(table)))
    return None


def _whose_branch(evidence, name, bad, shape):
    """Whether the wrong ones are those on one side of zero of the tensor."""
    x = evidence.tensors[name]
    return x.shape == shape and any(np.array_equal(bad, s) for s in (x.ravel() < 0, x.ravel() > 0))


def _scattered(mask):
    """Whether it is no block: some but not all of every axis' slices that have any."""
    for axis in range(mask.ndim):
        counts = mask.sum(axis=tuple(i for i in range(mask.ndim) if i != axis))
        if np.isin(counts, (0, mask.size // mask.shape[axis])).all():
            return False
    return True


def _whole(evidence, name, axis, shape, c, bad, used, rank=2):
    """Say which of the usual factors c is, or 1/c."""
    names = library(evidence, name, shape)
    constant = np.ptp(used[bad]) <= 1e-5 * np.abs(used).max()
    with np.errstate(all="ignore"):
        for label, values in names.items():
            v = np.broadcast_to(values, shape).ravel()[bad]
            if np.ptp(v) == 0 or not np.isfinite(v).all():
                continue
            if _equal(c[bad] * v, 1, evidence.tolerance):
                yield Guess("missing term", f"the factor {label} is missing", rank)
            elif _equal(c[bad] / v, 1, evidence.tolerance):
                reciprocal = {f"{n}(1 − {n})" for n in evidence.tensors} | {f"y/{name}"}
                if label in reciprocal or (constant and label in evidence.tensors):
                    yield Guess("missing term", f"the factor 1/({label}) is missing", rank)
                else:
                    yield Guess("extra term", f"there is a factor {label} too many", rank)


def library(evidence, name, shape):
    """Return the factors that are often forgotten, as arrays that broadcast to `shape`."""
    tensors, y = evidence.tensors, evidence.y
    values = dict(tensors) | {
        n: v for n, v in evidence.subject.extras.items() if v.dtype.kind == "f"
    }
    values |= {"y": y} if y.size > 1 else {}
    found: dict[str, np.ndarray] = {}
    quotients = {}
    for n, v in values.items():
        if not _fits(v, shape):
            continue
        s = 0.5 * (np.tanh(v / 2) + 1)
        found |= {n: v, f"{n}²": v * v, f"(1 − {n})": 1 - v, f"{n}(1 − {n})": v * (1 - v)}
        found |= {f"(1 − {n}²)": 1 - v * v, f"(1 + {n})": 1 + v}
        found |= {f"σ({n})": s, f"(1 − σ({n}))": 1 - s, f"σ'({n})": s * (1 - s)}
        found[f"tanh'({n})"] = 1 - np.tanh(v) ** 2
        if v.ndim and v.shape[-1] % 2 == 0 and n == name:
            found["the other half"] = np.roll(v, v.shape[-1] // 2, -1)
        if n != "y" and y.size > 1 and _fits(y, shape) and np.all(v):
            quotients[f"y/{n}"] = y / v
    return found | quotients


def _fits(value, shape):
    try:
        return np.broadcast_shapes(value.shape, shape) == tuple(shape)
    except ValueError:
        return False


def _equal(a, b, tolerance):
    return bool(np.abs(a - b).max(initial=0) <= 10 * tolerance * np.max(np.abs(b)))


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
    small = np.abs(found[bad]).min() < 0.5 * np.abs(rest[bad]).max()
    if ((found[bad] * right[bad] < 0).all() and small) or not np.any(found[bad]):
        yield Guess("missing term", "a number is not subtracted where it is due, as at a label", 3)
    elif (found[bad] / right[bad] > 1).all():
        yield Guess("extra term", "a number is subtracted twice, as at a label", 3)
