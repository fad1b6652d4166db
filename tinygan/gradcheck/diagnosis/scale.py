"""Nothing at all, dy ignored, a constant factor and what number it is."""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess, subsets
from tinygan.gradcheck.numeric import Numeric
from tinygan.gradcheck.subject import BackwardError, NotCheckable


def nothing(evidence: Evidence, name):
    """The gradient is None or zero everywhere, though the output depends on the tensor."""
    found = evidence.found(name)
    if any(g is None for g in found):
        yield Guess("missing gradient", f"backward returns no gradient of {name}", 0)
    elif not any(np.any(g) for g in found):
        text = f"the gradient of {name} is zero everywhere: backward never computes it"
        yield Guess("missing gradient", text, 0)


def dy_ignored(evidence: Evidence, name):
    """The gradient is the same whatever dy is."""
    found = evidence.found(name)
    if len(found) > 1 and all(evidence.close(found[:1], [other]) for other in found[1:]):
        text = "the gradient is the same whatever dy is: multiply by the upstream gradient"
        yield Guess("upstream ignored", text, 0)


def whole_numbers(evidence: Evidence, name):
    """Fractions are cut off, as by // or an array of integers."""
    found = evidence.found(name)
    whole = all(np.array_equal(g, np.rint(g)) and g.size > 4 for g in found) and len(found) > 1
    if whole and np.abs(found).max() > 1:
        text = "all numbers are whole: fractions are cut off, by // or an array of integers"
        yield Guess("integer arithmetic", text, 1)


def factor_in_words(evidence, name, c) -> str:
    """Say which number c is: a plain one, or a size, told apart by changing the sizes."""
    sizes, axis = _sizes(evidence), 0
    fits = [label for label, value in sizes.items() if abs(c / value - 1) < 1e-4]
    while len(fits) > 1 and axis < evidence.tensors[evidence.input_name].ndim:
        other = _grown(evidence, axis)
        now = None if other is None else _ratio_at(other, name)
        if now is not None:
            grown = _sizes(other)
            fits = [label for label in fits if abs(now / grown[label] - 1) < 1e-3] or fits
        axis += 1
    number = f"the gradient is {c:.6g} times the right one"
    same = {label.replace("OH", "H").replace("OW", "W") for label in fits}
    return number if len(same) != 1 else f"{number}: off by a factor of {fits[0]}"


def _sizes(evidence):
    """Return the numbers that gradients are wrongly multiplied by, simplest first."""
    found = {"−1 (the sign)": -1.0, "2": 2.0, "1/2": 0.5, "−2": -2.0, "−1/2": -0.5}
    x, y = evidence.tensors[evidence.input_name], evidence.y
    shapes = [(["N", "H", "W", "C"] if x.ndim == 4 else ["N", "D", "E", "F"], x.shape)]
    shapes += [(["N", "OH", "OW", "O"] if y.ndim == 4 else ["N", "O", "P", "Q"], y.shape)]
    for letters, shape in shapes:
        for chosen in subsets(range(min(len(shape), 4))):
            size = float(np.prod([shape[i] for i in chosen]))
            label = "·".join(letters[i] for i in chosen)
            label += ", all elements" if shape is x.shape and len(chosen) == len(shape) else ""
            if size > 1:
                found.setdefault(f"{label} (a sum in place of a mean?)", size)
                found.setdefault(f"1/({label}) (a mean in place of a sum?)", 1 / size)
                for text, value in ((f"−{label}", -size), (f"2·({label})", 2 * size)):
                    found.setdefault(text, value)
    for other, value in evidence.subject.extras.items():
        if value.size == 1 and float(value.ravel()[0]):
            found.setdefault(other, float(value.ravel()[0]))
            found.setdefault(f"1/{other}", 1 / float(value.ravel()[0]))
    return found


def _grown(evidence, axis):
    """Return the evidence for an input that is one longer along `axis`, if the code takes it."""
    subject, start = evidence.subject, evidence.tensors[evidence.input_name]
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


def _ratio_at(evidence, name):
    found = evidence.found(name)[0]
    numeric = float((evidence.numeric.along(name, found).value * evidence.dys[0]).sum())
    return float((found * found).sum()) / numeric if numeric else None
