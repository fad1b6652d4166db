"""What has to be added to the gradient to make it right: something well known?"""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Match, subsets
from tinygan.gradcheck.diagnosis.scale import ratio


def residue(evidence: Evidence, name):
    """The difference to the right gradient is dy itself, or a tensor of the network."""
    right, found = evidence.right(name), evidence.analytic(name)
    if found[0].shape != right[0].shape:
        return []
    rest = [r - f for r, f in zip(right, found, strict=True)]
    for label, values in _candidates(evidence, name).items():
        c = ratio(rest, values, evidence.tolerance)
        if c is not None:
            times = "" if abs(c - 1) < 1e-6 else f"{c:.6g} times "
            text = f"{times}{label} has to be added: a term is missing, or wrong"
            return [Match("missing term", text, 2 if abs(abs(c) - 1) < 1e-6 else 3)]
    for axes in subsets(range(found[0].ndim)):
        for spot, what in ((found, "is missing"), (right, "is there once too often")):
            other = right if spot is found else found
            centred = [g - g.mean(axis=axes, keepdims=True) for g in spot]
            if evidence.close(centred, other):
                text = f"− the mean of the gradient over axes {axes} {what}"
                return [Match("missing term", text, 2)]
    value = evidence.subject.tensors[name]
    if not evidence.is_loss and np.any(value) and all(evidence.close([rest[0]], [r]) for r in rest):
        text = "the gradient has a part that does not depend on dy"
        return [Match("upstream ignored", text, 3)]
    return []


def _candidates(evidence, name):
    """Return what is often forgotten, for every dy."""
    shape, dys = evidence.subject.tensors[name].shape, evidence.dys
    others = {**evidence.subject.tensors, **evidence.subject.extras}
    values = {n: v for n, v in others.items() if v.shape == shape and v.dtype.kind == "f"}
    if evidence.y.size == 1:
        return {n: [v * dy.sum() for dy in dys] for n, v in values.items()}
    if evidence.y.shape != shape:
        return {}
    found = {"dy itself (a second branch, as of a skip connection)": dys}
    found["the mean of dy"] = [np.full(dy.shape, dy.mean()) for dy in dys]
    found |= {f"dy·{n}": [v * dy for dy in dys] for n, v in values.items()}
    found["dy·y"] = [evidence.y * dy for dy in dys]
    return found
