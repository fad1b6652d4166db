"""From wrong numbers to the likely mistake: every hypothesis is a test against the data.

Imported only where a gradient is wrong.
"""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.edits import EDITS
from tinygan.gradcheck.diagnosis.evidence import LARGEST_JACOBIAN, Evidence, Guess
from tinygan.gradcheck.diagnosis.table import FOR_WRONG_SHAPES, OTHERS, SIMPLE
from tinygan.gradcheck.diagnosis.trials import Trials
from tinygan.gradcheck.numeric import Numeric
from tinygan.gradcheck.report import CAUSES, Cause
from tinygan.gradcheck.subject import BackwardError, NotCheckable


def diagnose(numeric, dy, rng, checks, gradients) -> tuple[list[Cause], list[str]]:
    """Return the mistakes that the evidence singles out for the tensors that are wrong, and notes.

    The simplest hypothesis that explains a tensor's gradient is named.  Where two of different
    kinds are equally simple, the evidence does not separate them, and none is.
    """
    causes: dict[tuple[str, str], list[str]] = {}
    wrong = []
    for check in (c for c in checks if not c.ok):
        cause = _plain(check, gradients[check.name])
        size = numeric.subject.tensors[check.name].size * max(1, numeric.y.size)
        if cause is not None:
            causes.setdefault(cause, []).append(check.name)
        elif not check.kinks and size <= LARGEST_JACOBIAN:
            wrong.append(check.name)  # on a kink there is more than one right gradient
    looks, notes = _looks(numeric, dy, rng) if wrong else [], []

    def by(hypotheses):
        for name in [*wrong] if looks else ():
            match = _likeliest(looks[0], name, hypotheses)
            if match and all(_holds(look, name, match, hypotheses) for look in looks[1:]):
                causes.setdefault((match.kind, match.text), []).append(name)
                wrong.remove(name)

    by(SIMPLE)
    good = [check.name for check in checks if check.ok and gradients[check.name] is not None]
    repair = _repair(looks, wrong, good) if looks and numeric.subject.readable else None
    if repair and repair.kind:
        names = [n for n in wrong if n in repair.names]
        causes[repair.kind, repair.text] = names
        wrong = [n for n in wrong if n not in names]
    elif repair:
        notes = [f"the gradient of {', '.join(sorted(repair.names))} is right if in {repair.text}"]
    by(OTHERS)
    return [Cause(kind, ", ".join(names), text) for (kind, text), names in causes.items()], notes


def _repair(looks, wrong, good):
    """Return the simplest change of the code that makes most of the wrong gradients right.

    Of those that are equally simple, the more special kind is named: a mask that is off is also an
    array in another's place.
    """
    wrong = [n for n in wrong if not looks[0].is_right(n)]  # on the part that is looked at
    found = Trials(looks, wrong, good).search(EDITS) if wrong else []
    order = {kind: i for i, kind in reversed([*enumerate([*SPECIAL, *CAUSES, ""])])}
    return min(found, key=lambda r: (-len(r.names), r.rank, order[r.kind]), default=None)


SPECIAL = (
    "float32", "integer arithmetic", "assigned", "wrong mask", "flipped kernel", "transposed",
    "wrong axis", "upstream ignored", "constant factor", "missing term", "extra term",
    "stride or padding", "wrong tensor",
)  # fmt: skip


def _looks(numeric, dy, rng) -> list[Evidence]:
    """Return the evidence at the input, and at one with smaller numbers, the first's reordered."""
    subject, looks = numeric.subject, []
    first, *_ = subject.tensors
    smaller = {
        n: v * rng.uniform(0.85, 1, np.shape(v)) if n != first else
        0.9 * rng.permuted(np.atleast_1d(v)).reshape(v.shape)
        for n, v in subject.tensors.items()
    }  # fmt: skip
    other = subject.with_tensors(smaller)
    for where in (subject, other):
        try:
            y = numeric.y if where is subject else where.call().y
            if y.shape == numeric.y.shape and np.isfinite(y).all():
                noise = np.max(numeric.noise, initial=0)
                looks.append(Evidence(Numeric(where, y, noise), dy, rng))
        except (BackwardError, NotCheckable):
            continue
    return looks


def _holds(evidence, name, guess, hypotheses) -> bool:
    """Whether the same mistake is seen here, if any is."""
    if evidence.is_right(name):
        return True
    again = _likeliest(evidence, name, hypotheses)
    return again is not None and again.kind == guess.kind and np.isclose(again.size, guess.size)


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


def _likeliest(evidence, name, hypotheses) -> Guess | None:
    """Return the simplest guess that explains the gradient, unless others are as simple."""
    found = evidence.given[0][name]
    if found is not None and found.shape != evidence.tensors[name].shape:
        hypotheses = FOR_WRONG_SHAPES
    elif found is not None and evidence.close(evidence.found(name), evidence.right(name)):
        return None  # on the part that is looked at it is right
    best: list[Guess] = []
    with np.errstate(all="ignore"):
        for least, hypothesis in hypotheses:
            if best and best[0].rank < least:
                continue  # it can give nothing simpler
            try:
                for guess in hypothesis(evidence, name):
                    if guess.predict is None or evidence.explains(name, guess.predict):
                        best.append(guess)
                        break
            except Exception:  # on numbers that it was not made for, a hypothesis names nothing
                continue
            best = [guess for guess in best if guess.rank == min(g.rank for g in best)]
            if best and best[0].rank == 0:
                break
    return best[0] if len({guess.kind for guess in best}) == 1 else None
