"""From wrong numbers to the likely mistake: every hypothesis is a test against the data."""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.evidence import LARGEST_JACOBIAN, Evidence, Match
from tinygan.gradcheck.hypotheses import FOR_WRONG_SHAPES, HYPOTHESES
from tinygan.gradcheck.report import Cause
from tinygan.gradcheck.subject import BackwardError, NotCheckable


def diagnose(numeric, dy, rng, wrong, gradients, noise) -> list[Cause]:
    """Return the mistakes that the evidence singles out for the tensors named in `wrong`.

    The simplest hypothesis that explains a tensor's gradient is named.  Where two of different
    kinds are equally simple, the evidence does not separate them, and none is.
    """
    try:
        evidence = Evidence(numeric, dy, rng, noise)
    except (BackwardError, NotCheckable):
        return []
    causes: dict[tuple[str, str], list[str]] = {}
    for name in wrong:
        if numeric.subject.tensors[name].size * max(1, numeric.y.size) > LARGEST_JACOBIAN:
            continue
        match = _likeliest(evidence, name)
        if match is not None:
            causes.setdefault((match.kind, match.text), []).append(name)
    return [Cause(kind, ", ".join(names), text) for (kind, text), names in causes.items()]


def _likeliest(evidence, name) -> Match | None:
    matches: list[Match] = []
    hypotheses = HYPOTHESES
    found = evidence.given[0][name]
    if found is not None and found.shape != evidence.subject.tensors[name].shape:
        hypotheses = FOR_WRONG_SHAPES
    with np.errstate(all="ignore"):
        for least_rank, hypothesis in hypotheses:
            if matches and min(match.rank for match in matches) < least_rank:
                continue  # it can give nothing simpler
            if matches and matches[0].rank == 0:
                break
            try:
                matches += hypothesis(evidence, name)
            except (BackwardError, NotCheckable, np.linalg.LinAlgError):
                continue
    if not matches:
        return None
    simplest = min(match.rank for match in matches)
    best = [match for match in matches if match.rank == simplest]
    if len({match.kind for match in best}) > 1:
        return None
    return best[0]
