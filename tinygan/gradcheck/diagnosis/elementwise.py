"""Functions of one number at a time: their derivative against the one that was written."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Match


def elementwise(evidence: Evidence, name):
    """A wrong mask, a wrong slope, a missing factor or term, a wrong tensor."""
    derivative = _derivative(evidence, name)
    if derivative is None:
        return []
    right, found = derivative
    levels = _levels(right)
    if levels is not None and len(levels) > 1:
        matches = _piecewise(evidence, right, found, levels)
        if matches:
            return matches
    if not evidence.linear:
        return []
    return _smooth(evidence, name, right, found[0]) or _in_part(right, found[0])


def _derivative(evidence, name):
    """Return the true derivative of every element and, for each dy, the one that was used."""
    shape = evidence.subject.tensors[name].shape
    found = evidence.analytic(name)
    if any(g is None or g.shape != shape for g in found):
        return None
    jacobian = evidence.jacobian(name)
    if evidence.y.size == 1:
        scales = [float(dy.sum()) for dy in evidence.dys]
        return jacobian[:, 0], [g.ravel() / s for g, s in zip(found, scales, strict=True)]
    if jacobian.shape[0] != jacobian.shape[1]:
        return None
    off = jacobian - np.diag(np.diag(jacobian))
    if np.abs(off).max(initial=0) > 1e-6 * np.abs(jacobian).max(initial=0):
        return None
    return np.diag(jacobian), [
        g.ravel() / dy.ravel() for g, dy in zip(found, evidence.dys, strict=True)
    ]


def _levels(values):
    """Return the few values that `values` takes, or None if there are more than three."""
    levels = np.unique(np.round(values / max(np.abs(values).max(), 1e-300), 5))
    return levels * np.abs(values).max() if len(levels) <= 3 else None


def _piecewise(evidence, right, found, levels):
    size = np.abs(right).max()

    def near(a, b):
        return np.abs(a - b) <= 1e-4 * size

    used = np.concatenate(found)
    known = np.any([near(used, level) for level in levels], axis=0)
    if known.all():
        if _levels(used) is not None and len(_levels(used)) == 1:
            text = f"the same slope {used[0]:.4g} is used everywhere: no mask is applied"
            return [Match("wrong mask", text, 2)]
        return [Match("wrong mask", _which_mask(evidence, right, found, levels), 2)]
    # right where the slope is one value, wrong by a constant where it is another
    first = found[0]
    wrong = [level for level in levels if not near(first[near(right, level)], level).all()]
    if len(wrong) == 1 and evidence.linear:
        got = first[near(right, wrong[0])]
        if near(got, got[0]).all():
            text = f"where the slope is {wrong[0]:.4g}, {got[0]:.4g} is used"
            kind = "missing term" if near(got[0], 0) else "constant factor"
            return [Match(kind, text, 2)]
    low, high = levels[0], levels[-1]
    values = _levels(first)
    if values is None or not evidence.linear or len(values) != 2 or len(levels) != 2:
        return []
    got = [first[near(right, level)] for level in (high, low)]
    if all(near(g, g[0]).all() for g in got):
        text = f"wrong slopes: {got[0][0]:.4g} for {high:.4g}, {got[1][0]:.4g} for {low:.4g}"
        return [Match("constant factor", text, 3)]
    return []


def _in_part(right, found):
    """Right for some elements and wrong for others: the wrong case was chosen."""
    agree = np.abs(found - right) <= 1e-5 * np.abs(right).max()
    if right.size < 8 or not 0.15 <= agree.mean() <= 0.9:
        return []
    ratio = found[~agree] / right[~agree]
    if np.isfinite(ratio).all() and np.ptp(ratio) <= 1e-4 * np.abs(ratio).max():
        if abs(ratio[0]) < 1e-6:
            text = "right for some elements, 0 for the others: theirs is forgotten"
            return [Match("missing term", text, 3)]
        text = f"right for some elements, {ratio[0]:.4g} times the right one for the others"
        return [Match("constant factor", text, 3)]
    return []


def _which_mask(evidence, right, found, levels):
    """Say which tensor the mask was taken from, if one fits."""
    high = levels[-1]
    masks = [np.abs(f - high) <= 1e-4 * np.abs(high) for f in found]
    true = np.abs(right - high) <= 1e-4 * np.abs(high)
    if all(np.array_equal(m, ~true) for m in masks):
        return "the mask is inverted"
    if all(np.array_equal(m, dy.ravel() > 0) for m, dy in zip(masks, evidence.dys, strict=True)):
        return "the mask is taken from dy (dy > 0) instead of from x"
    if all(np.array_equal(m, dy.ravel() < 0) for m, dy in zip(masks, evidence.dys, strict=True)):
        return "the mask is taken from dy (dy < 0) instead of from x"
    return "the slopes are the right numbers at wrong places: the mask is not that of x"


def _smooth(evidence, name, right, found):
    """Write both derivatives as sums of a few simple functions of x, y and t, and compare."""
    terms = _terms(evidence, name)
    tolerance = evidence.tolerance
    for label, factor in _factors(evidence, name).items():
        product = found * factor
        if np.isfinite(product).all() and _equal(product, right, tolerance):
            if label in ("1/x", "1/y", "1/t") and not _equal(found, found[:1], tolerance):
                return []  # or a factor too many: nothing tells which
            return [Match("missing term", f"the factor {label} is missing", 2)]
    for label, factor in _factors(evidence, name).items():
        product = right * factor
        if np.isfinite(product).all() and _equal(product, found, tolerance):
            return [Match("extra term", f"there is a factor {label} too many", 2)]
    fit = _fit(right, terms, tolerance)
    if fit is None:
        return []
    names, coefficients = fit
    for old, new in (("y", "x"), ("x", "y"), ("sigmoid(x)", "x"), ("x", "sigmoid(x)")):
        renamed = [n.replace(old, new) for n in names]
        if renamed != list(names) and all(n in terms for n in renamed):
            predicted = sum(c * terms[n] for c, n in zip(coefficients, renamed, strict=True))
            if _equal(predicted, found, tolerance):
                text = f"the derivative is taken at {new} where it should be at {old}"
                return [Match("wrong tensor", text, 2)]
    basis = np.stack([terms[n] for n in names], axis=1)
    got, *_ = np.linalg.lstsq(basis, found, rcond=None)
    if not _equal(basis @ got, found, tolerance):
        return []
    ratio = got / coefficients
    ok = np.abs(ratio - 1) < 1e-3
    if ok.any() and (np.abs(ratio[~ok]) < 1e-6).all():
        text = "missing: " + ", ".join(n for n, fine in zip(names, ok, strict=True) if not fine)
        return [Match("missing term", text, 2)]
    if ok.any():
        wrong = [
            f"{r:.3g} times the term {n}" for n, r, k in zip(names, ratio, ok, strict=True) if not k
        ]
        return [Match("constant factor", f"a term is off: {', '.join(wrong)}", 3)]
    return []


def _values(evidence, name):
    x = evidence.subject.tensors[name].ravel()
    values = {"x": x}
    if evidence.y.size == x.size > 1:
        values["y"] = evidence.y.ravel()
    others = {**evidence.subject.tensors, **evidence.subject.extras}
    for other, value in others.items():
        if other != name and value.size in (x.size, 1):
            values["t"] = np.broadcast_to(np.asarray(value, np.float64).ravel(), x.shape)
            break
    return values


def _terms(evidence, name):
    values = _values(evidence, name)
    terms = {"1": np.ones_like(values["x"])}
    for a, value in values.items():
        terms[a] = value
        terms[f"{a}²"] = value * value
    for a, b in combinations(values, 2):
        terms[f"{a}·{b}"] = values[a] * values[b]
    x = values["x"]
    terms["1/x"], terms["1/(1−x)"] = 1 / x, 1 / (1 - x)
    if "t" in values:
        t = values["t"]
        terms["t/x"], terms["(1−t)/(1−x)"] = t / x, (1 - t) / (1 - x)
        terms["t/(1−x)"], terms["sign(x−t)"] = t / (1 - x), np.sign(x - t)
    sigmoid, tanh = 0.5 * (np.tanh(x / 2) + 1), np.tanh(x)
    terms |= {"sigmoid(x)": sigmoid, "sigmoid(x)²": sigmoid**2}
    terms |= {"x·sigmoid(x)": x * sigmoid, "x·sigmoid'(x)": x * sigmoid * (1 - sigmoid)}
    terms |= {"tanh(x)": tanh, "tanh(x)²": tanh**2, "x·tanh'(x)": x * (1 - tanh**2)}
    terms |= {"exp(x)": np.exp(x), "exp(−x)": np.exp(-x)}
    return {n: t for n, t in terms.items() if np.isfinite(t).all() and np.any(t)}


def _factors(evidence, name):
    found: dict[str, np.ndarray] = {}
    for a, value in _values(evidence, name).items():
        found |= {a: value, f"(1 − {a})": 1 - value, f"(1 + {a})": 1 + value}
        found |= {f"{a}(1 − {a})": value * (1 - value), f"(1 − {a}²)": 1 - value * value}
        found |= {f"1/{a}": 1 / value, f"1/({a}(1 − {a}))": 1 / (value * (1 - value))}
    x = evidence.subject.tensors[name]
    sigmoid, shape = (0.5 * (np.tanh(x / 2) + 1)).ravel(), x.shape
    found |= {"sigmoid(x)": sigmoid, "(1 − sigmoid(x))": 1 - sigmoid}
    for other, value in evidence.subject.tensors.items():
        if other == name or value.size == 1 or not np.all(value):
            continue
        try:
            spread = np.broadcast_to(value, shape).ravel()
        except ValueError:
            continue
        found |= {other: spread, f"1/{other}": 1 / spread}
    return found


def _fit(right, terms, tolerance):
    """Return the fewest terms that add up to `right` exactly, with their coefficients."""
    for count in (1, 2):
        for names in combinations(terms, count):
            basis = np.stack([terms[n] for n in names], axis=1)
            coefficients, *_ = np.linalg.lstsq(basis, right, rcond=None)
            if _equal(basis @ coefficients, right, tolerance) and (coefficients != 0).all():
                return names, coefficients
    return None


def _equal(a, b, tolerance):
    return bool(np.abs(a - b).max(initial=0) <= tolerance * np.abs(b).max(initial=0))
