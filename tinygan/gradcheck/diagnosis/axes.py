"""Parameters that are shared by many pixels: their gradient is a sum, over the right axes."""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Match, subsets


def wrong_axis(evidence: Evidence, name):
    """A sum over other axes, or the right sum of something else."""
    shape = evidence.subject.tensors[name].shape
    if evidence.is_loss or not evidence.y.ndim or np.prod(shape) >= evidence.y.size:
        return []
    right, found = evidence.right(name), evidence.analytic(name)
    summands = _summands(evidence)
    jacobian = evidence.jacobian(name)
    if ((np.abs(jacobian) > 1e-9 * np.abs(jacobian).max()).sum(axis=0) <= 1).all():
        # each output sees one element only: what is summed is dy times that slope
        slope = jacobian.sum(axis=0).reshape(evidence.y.shape)
        summands[f"dy·∂y/∂{name}"] = [dy * slope for dy in evidence.dys]
    correct = None
    for label, values in summands.items():
        for axes in subsets(range(evidence.y.ndim)):
            predicted = [_reduced(v.sum(axis=axes), shape) for v in values]
            if all(p is not None for p in predicted) and evidence.close(predicted, right):
                correct = (label, axes)
                break
        if correct:
            break
    if correct is None:
        return []
    label, axes = correct
    for other in subsets(range(evidence.y.ndim)):
        if other == axes:
            continue
        for what, function in (("summed", np.sum), ("averaged", np.mean)):
            totals = [function(v, axis=other) for v in summands[label]]
            if _same_numbers(evidence, totals, found, shape, right):
                text = f"{label} is {what} over axes {other}; sum over axes {axes}"
                return [Match("wrong axis", text, 1)]
    for other, values in summands.items():
        totals = [v.sum(axis=axes) for v in values]
        if other != label and _same_numbers(evidence, totals, found, shape, right):
            text = f"{other} is summed instead of {label}"
            missing = "missing term" if other == "dy" else "wrong tensor"
            return [Match(missing, text, 1)]
    return []


def _same_numbers(evidence, totals, found, shape, right):
    """Whether `found` holds `totals`, as they are, reshaped or broadcast, and is not right."""
    if found[0].shape == totals[0].shape[::-1] != totals[0].shape:
        totals = [t.T for t in totals]
    if found[0].shape == totals[0].shape:
        equal = evidence.close(totals, found)
    elif found[0].size == totals[0].size:
        equal = evidence.close(
            [t.reshape(f.shape) for t, f in zip(totals, found, strict=True)], found
        )
    else:
        try:
            spread = [np.broadcast_to(t, f.shape) for t, f in zip(totals, found, strict=True)]
        except ValueError:
            return False
        equal = evidence.close(spread, found)
    return equal and not (found[0].shape == tuple(shape) and evidence.close(found, right))


def _summands(evidence):
    """Return what such sums are of: dy alone or times x, y or the normalised x."""
    found = {"dy": evidence.dys}
    x = evidence.subject.tensors[evidence.input_name]
    if x.shape == evidence.y.shape:
        for axes in subsets(range(x.ndim)):
            centred = x - x.mean(axis=axes, keepdims=True)
            std = np.sqrt((centred**2).mean(axis=axes, keepdims=True) + 1e-5)
            found[f"dy·(x normalised over {axes})"] = [dy * centred / std for dy in evidence.dys]
            found[f"dy·(x − mean over {axes})"] = [dy * centred for dy in evidence.dys]
        found["dy·x"] = [dy * x for dy in evidence.dys]
    found["dy·y"] = [dy * evidence.y for dy in evidence.dys]
    return found


def _reduced(total, shape):
    if total.shape == tuple(shape):
        return total
    return total.reshape(shape) if total.size == np.prod(shape) else None
