"""What the two Jacobians look like beside each other, where no formula is known."""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Match


def rearranged(evidence: Evidence, name):
    """The right numbers in other places, though the forward pass is linear: no mask chose them."""
    right, found = evidence.right(name), evidence.analytic(name)
    if right[0].size < 4 or not evidence.explains_sorted(right, found):
        return []
    if not evidence.forward_is_linear(name):
        return []
    text = f"the gradient of {name} holds the right numbers in another order of axes"
    return [Match("transposed", text, 3)]


def selection(evidence: Evidence, name):
    """Each output is one of the inputs (a maximum, say), and the gradient goes to others."""
    jacobian = evidence.jacobian(name)
    size = np.abs(jacobian).max()
    there = np.abs(jacobian) > 1e-6 * size
    chosen = jacobian[there]
    if not chosen.size or (there.sum(axis=0) > 1).any() or np.ptp(chosen) > 1e-6 * size:
        return []
    if evidence.forward_is_linear(name) or evidence.analytic_jacobian(name) is None:
        return []
    text = "every output is one of the inputs, but its gradient goes to others: the mask is wrong"
    return [Match("wrong mask", text, 4)]


def coupling(evidence: Evidence, name):
    """What is missing is a few products u vᵀ: ways through means or sums over many elements."""
    found = evidence.analytic_jacobian(name)
    right = evidence.jacobian(name)
    if found is None or found.shape != right.shape or min(right.shape) < 8:
        return []
    rest = right - found
    size = np.abs(right).max()
    touched = np.abs(rest) > 1e-5 * size
    if touched.any(axis=1).mean() < 0.5 or touched.sum() < 2 * len(rest):
        return []
    values = np.linalg.svd(rest, compute_uv=False)
    rank = int((values > 1e-5 * values[0]).sum())
    extra = (np.abs(found) > 1e-5 * size) & (np.abs(right) <= 1e-6 * size)
    if rank > min(right.shape) // (2 if extra.any() else 4):
        return []
    if extra.any():
        text = "a mean or sum is taken over elements that do not belong together: a wrong axis"
        return [Match("wrong axis", text, 4)]
    if len(right) != right.shape[1]:
        return []
    coupled = ~np.eye(len(right), dtype=bool) & (np.abs(right) > 1e-6 * size)
    share = found[coupled] / right[coupled]
    if not share.size or np.ptp(share) > 1e-4 * max(1, np.abs(share).max()):
        return []
    if abs(share[0]) < 1e-5:
        text = "a term through a mean or a sum over many elements is missing"
        return [Match("missing term", text, 4)]
    text = f"a term through a mean or a sum over many elements is {share[0]:.4g} times too large"
    return [Match("constant factor", text, 4)]
