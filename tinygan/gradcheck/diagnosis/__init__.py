"""From wrong numbers to the likely mistake: every hypothesis is a test against the data.

Imported only where a gradient is wrong.
"""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import LARGEST_JACOBIAN, Evidence, Guess
from tinygan.gradcheck.diagnosis.table import FOR_WRONG_SHAPES, HYPOTHESES
from tinygan.gradcheck.numeric import Numeric
from tinygan.gradcheck.report import Cause
from tinygan.gradcheck.subject import BackwardError, NotCheckable


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
    looks = _looks(numeric, dy, rng) if wrong else []
    for name in wrong if looks else ():
        if next(check.kinks for check in checks if check.name == name):
            continue  # on a kink there is more than one right gradient
        size = numeric.subject.tensors[name].size
        if size * max(1, numeric.y.size) > LARGEST_JACOBIAN:
            continue
        match = _likeliest(looks[0], name)
        if match and all(_holds(look, name, match) for look in looks[1:]):
            causes.setdefault((match.kind, match.text), []).append(name)
    return [Cause(kind, ", ".join(names), text) for (kind, text), names in causes.items()]


def _looks(numeric, dy, rng) -> list[Evidence]:
    """Return the evidence at the input, and at one with smaller numbers in another order."""
    subject, looks = numeric.subject, []
    name, value = next(iter(subject.tensors.items()))
    turned = 0.9 * rng.permuted(np.atleast_1d(value)).reshape(value.shape)
    other = subject.with_tensors({**subject.tensors, name: turned})
    for where in (subject, other):
        try:
            y = numeric.y if where is subject else where.call().y
            if y.shape == numeric.y.shape and np.isfinite(y).all():
                noise = np.max(numeric.noise, initial=0)
                looks.append(Evidence(Numeric(where, y, noise), dy, rng))
        except (BackwardError, NotCheckable):
            continue
    return looks


def _holds(evidence, name, guess) -> bool:
    """Whether the same mistake is seen here, if any is."""
    found = evidence.found(name)
    if all(g is not None for g in found) and evidence.close(found, evidence.right(name)):
        return True
    again = _likeliest(evidence, name)
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


def _likeliest(evidence, name) -> Guess | None:
    """Return the simplest guess that explains the gradient, unless others are as simple."""
    found, hypotheses = evidence.given[0][name], HYPOTHESES
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
