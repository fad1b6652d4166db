"""Nothing at all, a constant factor, or a gradient that does not look at dy."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Match
from tinygan.gradcheck.numeric import Numeric
from tinygan.gradcheck.subject import BackwardError, NotCheckable


def missing(evidence: Evidence, name):
    """The gradient is None or zero everywhere, though the output depends on the tensor."""
    found = evidence.analytic(name)
    if any(g is None for g in found):
        return [Match("missing gradient", f"backward returns no gradient of {name}", 0)]
    if all(not np.any(g) for g in found):
        return [
            Match(
                "missing gradient",
                f"the gradient of {name} is zero everywhere: backward never computes it",
                0,
            )
        ]
    return []


def constant_factor(evidence: Evidence, name):
    """Analytic = c · numeric, with one c for all elements and all dy."""
    c = ratio(evidence.analytic(name), evidence.right(name), evidence.tolerance)
    if c is None or abs(c - 1) < 1e-6:
        return []
    if evidence.y.ndim and _without_dy(evidence, name):
        return []
    return [Match("constant factor", f"the gradient is {_name_factor(evidence, name, c)}", 1)]


def _without_dy(evidence, name):
    found = evidence.analytic(name)
    return len(found) > 1 and evidence.close(found[:1], found[1:2])


def upstream_ignored(evidence: Evidence, name):
    """The gradient is the same whatever dy is."""
    found = evidence.analytic(name)
    if len(found) < 2 or not all(evidence.close(found[:1], [other]) for other in found[1:]):
        return []
    text = "the gradient is the same whatever dy is: multiply by the upstream gradient"
    return [Match("upstream ignored", text, 0)]


def swapped(evidence: Evidence, name):
    """The gradients of two tensors are exchanged."""
    shape = evidence.subject.tensors[name].shape
    for other, value in evidence.subject.tensors.items():
        if (
            other != name
            and value.shape == shape
            and evidence.given[0][other] is not None
            and evidence.explains(name, evidence.right(other))
            and evidence.explains(other, evidence.right(name))
        ):
            text = f"this is the gradient of {other}: are the two exchanged?"
            return [Match("wrong tensor", text, 1)]
    return []


def ratio(found, right, tolerance):
    """Return c with found = c · right everywhere, or None."""
    if any(f is None or f.shape != r.shape for f, r in zip(found, right, strict=True)):
        return None
    f, r = np.concatenate([a.ravel() for a in found]), np.concatenate([a.ravel() for a in right])
    square = float(r @ r)
    if not square or not np.isfinite(f).all():
        return None
    c = float(f @ r) / square
    size = abs(c) * np.abs(r).max()
    if not c or np.abs(f - c * r).max() > tolerance * size:
        return None
    return c


def _name_factor(evidence, name, c) -> str:
    """Say which number c is: a plain one, or a size, told apart by changing the sizes."""
    sizes = _sizes(evidence)
    fits = [label for label, value in sizes.items() if abs(c / value - 1) < 1e-4]
    if len(fits) > 1:
        for axis in range(evidence.subject.tensors[evidence.input_name].ndim):
            other = _grown(evidence, axis)
            if other is None:
                continue
            now = _ratio_at(other, name, evidence)
            if now is None:
                continue
            grown = _sizes(other)
            kept = [label for label in fits if abs(now / grown[label] - 1) < 1e-3]
            fits = kept or fits
            if len(fits) == 1:
                break
    number = f"{c:.6g} times the right one"
    if not fits:
        return number
    return f"{number}: off by a factor of {fits[0]}"


def _sizes(evidence):
    """Return the numbers that gradients are wrongly multiplied by, simplest first."""
    found = {"−1 (the sign)": -1.0, "2": 2.0, "1/2": 0.5, "−2": -2.0, "−1/2": -0.5}
    x = evidence.subject.tensors[evidence.input_name]
    shapes = [(tuple("NHWC" if x.ndim == 4 else "NDEF"), x.shape)]
    if np.ndim(evidence.y):
        letters: tuple[str, ...] = (
            ("N", "OH", "OW", "O") if evidence.y.ndim == 4 else ("N", "O", "P", "Q")
        )
        shapes.append((letters, evidence.y.shape))
    for other, value in evidence.subject.tensors.items():
        if other != evidence.input_name and value.ndim == 4:
            shapes.append((("KH", "KW", "C", "O"), value.shape))
    for letters, shape in shapes:
        axes = list(zip(letters, shape, strict=False))
        for count in range(1, len(axes) + 1):
            for chosen in combinations(axes, count):
                size = float(np.prod([n for _, n in chosen]))
                if size > 1:
                    label = "·".join(letter for letter, _ in chosen)
                    mean = "a sum in place of a mean"
                    if count == len(axes) and shape == shapes[0][1]:
                        label += ", all elements"
                    found.setdefault(f"{label} ({mean}?)", size)
                    found.setdefault(f"1/({label}) (a mean in place of a sum?)", 1 / size)
                    found.setdefault(f"−{label}", -size)
                    found.setdefault(f"2·{label}", 2 * size)
                    found.setdefault(f"{label}/2", size / 2)
                    found.setdefault(f"−1/({label})", -1 / size)
    for other, value in evidence.subject.extras.items():
        if value.size == 1 and float(value.ravel()[0]):
            found.setdefault(other, float(value.ravel()[0]))
            found.setdefault(f"1/{other}", 1 / float(value.ravel()[0]))
    return found


def _grown(evidence, axis):
    """Return the evidence for an input that is one longer along `axis`, if the code takes it."""
    subject, start = evidence.subject, evidence.subject.tensors[evidence.input_name]
    tensors = {
        n: np.concatenate([v, 0.5 * np.take(v, [0], axis)], axis) if v.shape == start.shape else v
        for n, v in subject.tensors.items()
    }
    other = subject.with_tensors(tensors)
    try:
        y = other.call().y
        dy = np.ones(y.shape) if evidence.is_loss else evidence.rng.standard_normal(y.shape)
        return Evidence(Numeric(other, y), dy, evidence.rng, count=1)
    except (NotCheckable, BackwardError, ValueError):
        return None


def _ratio_at(evidence, name, original):
    found = evidence.analytic(name)[0]
    direction = found if np.any(found) else original.rng.standard_normal(found.shape)
    numeric = float((evidence.numeric.along(name, direction).value * evidence.dys[0]).sum())
    return float((found * direction).sum()) / numeric if numeric else None
