"""Chains: a matrix product with a slope behind it, a factor that dy goes through, a fixed norm."""

# ruff: noqa: E501 (a hypothesis a line)
from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Match


def behind_a_product(evidence: Evidence, name):
    r"""Layers like :math:`y = f(x W + \dots)`: f's slope, W and x, forgotten or exchanged.

    The Jacobian shows the slope: :math:`\partial y_{no}/\partial x_{ni} = W_{io}\, s_{no}`, and 1
    more on the diagonal where x is added to the output.
    """
    found, tensors = evidence.analytic(name), evidence.subject.tensors
    if evidence.is_loss or evidence.y.ndim != 2 or tensors[name].ndim != 2:
        return []
    matches = []
    for image, weight, w, turned, skip, slope in _products(evidence):
        x = tensors[image]
        predicted = []
        if name == image:

            def through(a, s, w=None, skip=skip):
                return [(d * s) @ a + (d if skip else 0) for d in evidence.dys]

            one = np.ones_like(slope)
            predicted += [("missing term", f"the slope of what follows x·{weight} is missing",
                           through(w.T, one))]  # fmt: skip
            if w.shape[0] == w.shape[1]:
                predicted += [("transposed", f"{weight} is used where its transpose is due",
                               through(w, slope))]  # fmt: skip
            if skip:
                predicted += [("missing term", f"only the skip arrives, what goes through {weight} is "
                               "missing", evidence.dys)]  # fmt: skip
            for other, value in tensors.items():
                if other not in (name, weight) and tensors[weight].shape == value.shape:
                    predicted += [("wrong tensor", f"{other} is used where {weight} is due",
                                   through(value if turned else value.T, slope))]  # fmt: skip
        elif name == weight:
            turn = (lambda g: g.T) if turned else (lambda g: g)
            predicted += [("missing term", f"the slope of what follows {image}·{weight} is missing",
                           [turn(x.T @ d) for d in evidence.dys])]  # fmt: skip
            for other, value in tensors.items():
                if other != image and value.shape == x.shape:
                    predicted += [("wrong tensor", f"{other} is used where {image} is due",
                                   [turn(value.T @ (d * slope)) for d in evidence.dys])]  # fmt: skip
        for kind, text, values in predicted:
            if values[0].shape == found[0].shape and evidence.explains(name, values):
                matches.append(Match(kind, text, 1))
    return matches


def _products(evidence):
    if hasattr(evidence, "_product_list"):
        return evidence._product_list
    tensors, (n, o), result = evidence.subject.tensors, evidence.y.shape, []
    for image, x in tensors.items():
        if x.ndim != 2 or len(x) != n:
            continue
        jacobian = evidence.jacobian(image).reshape(n, -1, n, o)
        own = np.stack([jacobian[k, :, k] for k in range(n)])
        if np.abs(jacobian).sum() - np.abs(own).sum() > 1e-6 * np.abs(own).sum():
            continue
        for weight, value in tensors.items():
            for w, turned in ((value, False), (value.T, True)):
                if weight == image or w.shape != own.shape[1:]:
                    continue
                for skip in (False, True) if x.shape == evidence.y.shape else (False,):
                    rest = own - np.eye(o) if skip else own
                    slope = (rest * w).sum(axis=1) / (w * w).sum(axis=0)
                    size = np.abs(own).max()
                    if np.abs(rest - w * slope[:, None]).max() < 1e-6 * size and slope.any():
                        result.append((image, weight, w, turned, skip, slope))
    evidence._product_list = result
    return result


def factor_of_dy(evidence: Evidence, name):
    """The right gradient of a dy that was multiplied by a tensor, or should have been."""
    if evidence.is_loss or not evidence.y.ndim:
        return []
    jacobian, shape = evidence.jacobian(name), evidence.subject.tensors[name].shape
    for other, value in evidence.subject.tensors.items():
        try:
            spread = np.broadcast_to(value, evidence.y.shape)
        except ValueError:
            continue
        for kind, text, factor in (
            ("missing term", f"dy should be multiplied by {other} first", 1 / spread),
            ("extra term", f"dy is multiplied by {other} once too often", spread),
        ):
            predicted = [(jacobian @ (d * factor).ravel()).reshape(shape) for d in evidence.dys]
            if np.isfinite(predicted[0]).all() and evidence.explains(name, predicted):
                return [Match(kind, text, 2)]
    return []


def norm_held_fixed(evidence: Evidence, name):
    """What is missing points along the tensor itself, row by row: a norm was taken for constant."""
    value, found = evidence.subject.tensors[name], evidence.analytic(name)
    if value.ndim < 2 or value.shape[-1] < 3:
        return []
    if evidence.y.shape == value.shape:
        own = evidence.analytic_jacobian(name)
        if own is None or np.any(own - np.diag(np.diag(own))):
            return []
    for right, got in zip(evidence.right(name), found, strict=True):
        rest = right - got
        along = (rest * value).sum(-1, keepdims=True) / (value * value).sum(-1, keepdims=True)
        if np.abs(rest - along * value).max() > 1e-5 * np.abs(right).max() or np.ptp(along) == 0:
            return []
        across = np.abs((right * value).sum(-1)).max()  # a norm's gradient is tangential
        if across > 1e-5 * np.abs(right).max() * np.abs(value).max():
            return []
    text = f"a norm of {name} is taken for a constant: its own gradient, along {name}, is missing"
    return [Match("missing term", text, 2)]


def halves_exchanged(evidence: Evidence, name):
    """The two halves along an axis stand in each other's place."""
    right = evidence.right(name)
    for axis, n in enumerate(right[0].shape):
        moved = [np.roll(r, n // 2, axis) for r in right]
        if n % 2 == 0 and n > 2 and evidence.explains(name, moved):
            return [Match("transposed", f"the two halves along axis {axis} are exchanged", 1)]
    return []
