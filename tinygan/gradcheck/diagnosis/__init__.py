"""From wrong numbers to the likely mistake: every hypothesis is a test against the data.

Imported only where a gradient is wrong.
"""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import LARGEST_JACOBIAN, Evidence, Match
from tinygan.gradcheck.diagnosis.table import FOR_WRONG_SHAPES, HYPOTHESES
from tinygan.gradcheck.report import Cause
from tinygan.gradcheck.subject import BackwardError, NotCheckable

CANNOT = (BackwardError, NotCheckable, np.linalg.LinAlgError, ValueError, IndexError, TypeError)


def diagnose(numeric, dy, rng, checks, gradients) -> list[Cause]:
    """Return the mistakes that the evidence singles out for the tensors that are wrong.

    The simplest hypothesis that explains a tensor's gradient is named.  Where two of different
    kinds are equally simple, the evidence does not separate them, and none is.
    """
    wrong = [check.name for check in checks if not check.ok]
    causes: dict[tuple[str, str], list[str]] = {}
    for check in checks:
        cause = None if check.ok else _plain(check, gradients[check.name])
        if cause is not None:
            causes.setdefault(cause, []).append(check.name)
            wrong.remove(check.name)
    if wrong:
        try:
            evidence = Evidence(numeric, dy, rng)
        except CANNOT:
            evidence = None
        for name in wrong if evidence else ():
            size = numeric.subject.tensors[name].size
            if size * max(1, numeric.y.size) > LARGEST_JACOBIAN:
                continue
            match = _likeliest(evidence, name)
            if match is not None:
                causes.setdefault((match.kind, match.text), []).append(name)
    return [Cause(kind, ", ".join(names), text) for (kind, text), names in causes.items()]


def _plain(check, gradient):
    """Return what the numbers alone show: nothing there, not finite, integers."""
    if gradient is None:
        return None
    if gradient.size == 0 and np.prod(check.shape):
        text = (
            f"the gradient has shape {gradient.shape}: a slice is empty; a[p:-p] is empty where p "
            "is 0, write a[p : len(a) - p]"
        )
        return "empty slice", text
    finite = np.isfinite(gradient)
    if not finite.all():
        text = (
            f"{(~finite).sum()} of {gradient.size} numbers are NaN or infinity: a division by 0, a "
            "logarithm or root of a negative number, or an overflow in backward"
        )
        return "not finite", text
    if gradient.dtype.kind in "iu":
        text = (
            "the gradient is an array of integers: its fractions are cut off; allocate it with "
            "zeros_like(x) or dtype=dy.dtype"
        )
        return "integer arithmetic", text
    return None


def _likeliest(evidence, name) -> Match | None:
    matches: list[Match] = []
    hypotheses = HYPOTHESES
    found = evidence.given[0][name]
    if found is not None and found.shape != evidence.subject.tensors[name].shape:
        hypotheses = FOR_WRONG_SHAPES
    elif found is not None and evidence.close(evidence.analytic(name), evidence.right(name)):
        return None  # on the part that is looked at it is right
    with np.errstate(all="ignore"):
        for least_rank, hypothesis in hypotheses:
            if matches and min(match.rank for match in matches) < least_rank:
                continue  # it can give nothing simpler
            if matches and matches[0].rank == 0:
                break
            try:
                matches += hypothesis(evidence, name)
            except CANNOT:
                continue
    if not matches:
        return None
    simplest = min(match.rank for match in matches)
    best = [match for match in matches if match.rank == simplest]
    if len({match.kind for match in best}) > 1:
        return None
    return best[0]
