"""What has to be added to the gradient to make it right: something well known?"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from tinygan.gradcheck.evidence import Evidence, Match


def residue(evidence: Evidence, name):
    """The difference to the right gradient is dy itself, or a tensor of the network."""
    right, found = evidence.right(name), evidence.analytic(name)
    if found[0].shape != right[0].shape:
        return []
    rest = [r - f for r, f in zip(right, found, strict=True)]
    candidates = {}
    if evidence.y.shape == right[0].shape:
        candidates["dy itself (a second branch, as of a skip connection)"] = evidence.dys
        candidates["mean(dy)"] = [np.full(dy.shape, dy.mean()) for dy in evidence.dys]
    for label, values in candidates.items():
        for c in (1.0, -1.0, 2.0, -2.0):
            if evidence.close([c * v for v in values], rest):
                word = "is missing" if c > 0 else "is there once too often"
                return [Match("missing term", f"{label} {word}", 2)]
    for axes in _subsets(found[0].ndim):
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


def _subsets(ndim):
    for count in range(1, ndim + 1):
        yield from combinations(range(ndim), count)
