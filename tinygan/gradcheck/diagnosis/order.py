"""Right numbers in wrong places: transposed, flipped, shifted, or read from a transposed tensor."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Match, subsets
from tinygan.gradcheck.numeric import Numeric


def wrong_shape(evidence: Evidence, name):
    """A gradient of another shape: transposed, or the right numbers reshaped."""
    found, right = evidence.analytic(name), evidence.right(name)
    shape = right[0].shape
    if found[0].shape == shape:
        return []
    for order in permutations(range(found[0].ndim)):
        turned = [g.transpose(order) for g in found]
        if turned[0].shape == shape and evidence.close(turned, right):
            text = f"the gradient of {name} is transposed: shape {found[0].shape} for {shape}"
            return [Match("transposed", text, 0)]
    if found[0].size == right[0].size and evidence.close([g.reshape(shape) for g in found], right):
        text = f"right numbers, but of shape {found[0].shape}: reshape to {shape}"
        return [Match("wrong shape", text, 1)]
    text = f"the gradient of {name} has shape {found[0].shape}, expected {shape}"
    return [Match("wrong shape", text, 9)]


def permuted_axes(evidence: Evidence, name):
    """The gradient with its axes exchanged, or written down in another order of axes."""
    right = evidence.right(name)
    shape = right[0].shape
    for order in permutations(range(len(shape))):
        if list(order) == sorted(order):
            continue
        turned = [r.transpose(order) for r in right]
        back = np.argsort(order)
        variants = [
            (turned, "is transposed"),
            ([t.reshape(shape) for t in turned], "is transposed before a reshape"),
            (
                [r.reshape([shape[i] for i in order]).transpose(back) for r in right],
                "is reshaped where it should be transposed",
            ),
        ]
        for predicted, what in variants:
            if predicted[0].shape == shape and evidence.explains(name, predicted):
                return [Match("transposed", f"the gradient of {name} {what}: axes {order}", 1)]
    return []


def jacobian_transposed(evidence: Evidence, name):
    """A square linear map applied itself where its transpose was due."""
    jacobian = evidence.jacobian(name)
    if jacobian.shape[0] != jacobian.shape[1]:
        return []
    shape = evidence.subject.tensors[name].shape
    predicted = [(jacobian.T @ dy.ravel()).reshape(shape) for dy in evidence.dys]
    if evidence.explains(name, predicted):
        text = "dy is multiplied by the forward map instead of by its transpose"
        return [Match("transposed", text, 2)]
    return []


def flipped(evidence: Evidence, name):
    """The gradient reversed along some axes."""
    right = evidence.right(name)
    for axes in _subsets(right[0].shape):
        if evidence.explains(name, [np.flip(r, axes) for r in right]):
            if right[0].ndim == 4:
                text = f"the gradient of {name} is flipped along axes {axes}"
                return [Match("flipped kernel", text, 1)]
            return [Match("transposed", f"the gradient of {name} is reversed along {axes}", 1)]
    return []


def from_another_tensor(evidence: Evidence, name):
    """The right gradient of a forward pass whose other tensor was flipped or transposed."""
    subject, matches = evidence.subject, []
    directions = [evidence.rng.standard_normal(subject.tensors[name].shape) for _ in range(4)]
    found = [[float((g * v).sum()) for v in directions] for g in evidence.analytic(name)]
    for other, value in subject.tensors.items():
        if other == name or value.ndim < 2:
            continue
        for changed, kind, text in _rearrangements(value, other):
            tensors = {**subject.tensors, other: changed}
            if _slopes_agree(evidence, tensors, name, directions, found):
                matches.append(Match(kind, text, 2))
                break
    return matches


def _rearrangements(value, name):
    for i, j in combinations(range(value.ndim), 2):
        if value.shape[i] == value.shape[j] > 1:
            text = f"backward uses {name} with axes {i} and {j} exchanged"
            yield value.swapaxes(i, j), "transposed", text
    spatial = ((0, 1), (2, 3), (1, 2)) if value.ndim == 4 else ()
    for axes in sorted(_subsets(value.shape), key=lambda axes: (axes not in spatial, len(axes))):
        kind = "flipped kernel" if value.ndim == 4 else "transposed"
        yield np.flip(value, axes), kind, f"backward uses {name} flipped along axes {axes}"


def _slopes_agree(evidence, tensors, name, directions, found):
    """Whether ⟨g, v⟩ is the slope along every v of the forward pass at other `tensors`."""
    other = evidence.subject.with_tensors(tensors)
    try:
        numeric = Numeric(other, other.call().y)
    except ValueError:
        return False
    if numeric.y.shape != evidence.y.shape:
        return False
    size = max(np.linalg.norm(g) for g in evidence.analytic(name))
    differs = False
    for d, v in enumerate(directions):
        value = numeric.along(name, v).value
        here = evidence.numeric.along(name, v).value
        for k, dy in enumerate(evidence.dys):
            slope = float((value * dy).sum())
            if abs(slope - found[k][d]) > 10 * evidence.tolerance * size:
                return False
            differs |= bool(abs(slope - float((here * dy).sum())) > 1e-3 * size)
    return differs


def shifted(evidence: Evidence, name):
    """The gradient of an image moved by a pixel or two: the border was cut off wrongly."""
    right, found = evidence.right(name), evidence.analytic(name)
    shape = right[0].shape
    if len(shape) != 4 or found[0].shape != shape:
        return []
    for first in ((1, 2), (2, 3), (0, 1)):
        for i in range(-2, 3):
            for j in range(-2, 3):
                if (i, j) == (0, 0):
                    continue
                to = [slice(None)] * 4
                source = [slice(None)] * 4
                for axis, k in zip(first, (i, j), strict=True):
                    to[axis] = slice(max(0, k), shape[axis] + min(0, k))
                    source[axis] = slice(max(0, -k), shape[axis] + min(0, -k))
                a = [g[tuple(to)] for g in found]
                b = [r[tuple(source)] for r in right]
                c = [r[tuple(to)] for r in right]
                enough = a[0].size >= max(6, right[0].size // 5)
                if enough and evidence.close(a, b) and not evidence.close(a, c):
                    text = (
                        f"the gradient of {name} is shifted by ({i}, {j}) pixels: the padding is "
                        "cut off (or counted) wrongly"
                    )
                    return [Match("stride or padding", text, 2)]
    return []


def _subsets(shape):
    return subsets(i for i, n in enumerate(shape) if n > 1)
