"""A submission's functions with the right output in place of theirs.

A gradient is compared with differences of the *reference*; the submission's own forward pass is
called where the gradient is taken, for its output to be compared and for its cache.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import inspect

import numpy as np
import pytest

from tinygan.gradcheck import CAUSES, Cause, GradientReport, check_gradients
from tinygan.grading import readable
from tinygan.grading.remote import RemoteFunction

__all__ = ["SINGLE", "causes", "graded", "in_float32", "judged", "real"]

SINGLE = 3e-5
"""What is allowed, relative, of a result that was computed in float32."""

SAYS = (
    "computed in float32 although the input is float64: nothing is deducted; to keep the input's "
    "precision, create arrays with dtype=x.dtype, and do not cast"
)


def in_float32(y) -> bool:
    """Whether a result has been through float32, whatever its own type is."""
    try:
        y = np.asarray(y)
        with np.errstate(all="ignore"):
            return y.dtype == np.float32 or bool((y == y.astype(np.float32)).all())
    except (TypeError, ValueError):
        return False


def real(value):
    """Return results as real numbers where their imaginary parts are rounding, as of an FFT."""
    if isinstance(value, (tuple, list)):
        parts = [real(v) for v in value]
        return type(value)(parts) if type(value) in (tuple, list) else value
    if not isinstance(value, (np.ndarray, np.generic, complex)) or not np.iscomplexobj(value):
        return value
    small = np.abs(np.imag(value)).max(initial=0) <= 1e-12 * np.abs(value).max(initial=0)
    if not small:
        raise TypeError("expected real numbers, got complex ones; is .real missing?")
    return np.real(value)


def graded(subject, *arguments, **options) -> tuple[GradientReport, str]:
    """Check gradients, those that are as right as float32 can be too; return a note beside.

    The differences are exact to float64 all the same, since they are the reference's.
    """
    report = check_gradients(subject, *arguments, **options, raises=False)
    if not any(cause.kind == "float32" for cause in report.causes):
        return report, ""
    report = check_gradients(subject, *arguments, **{**options, "rtol": SINGLE}, raises=False)
    causes = [cause for cause in report.causes if cause.kind != "float32"]
    return dataclasses.replace(report, causes=causes), SAYS


def causes(subject, arguments, options, report) -> list[Cause]:
    """Return the causes that are found in the submission's own code, where it runs.

    They are for the student to read: a wrong gradient has lost its points, whatever is said of it.
    """
    functions = subject if isinstance(subject, (tuple, list)) else (subject,)
    try:
        if all(isinstance(function, RemoteFunction) for function in functions):
            names = [function.__name__ for function in functions]
            found = functions[0]._module.ask("causes", names, arguments, options)
        else:
            own = check_gradients(subject, *copy.deepcopy(arguments), **options, raises=False)
            found = [(cause.kind, cause.tensor, cause.text) for cause in own.causes]
        named = [
            Cause(kind, readable(tensor, "")[:200], readable(text, "")[:500])
            for kind, tensor, text in found
            if kind in CAUSES
        ]
    except (Exception, pytest.fail.Exception):  # out of time, or what was returned is no such list
        return report.causes
    return named or report.causes


class _Later:
    """A cache that the submission makes when its backward pass asks for it."""

    def __init__(self, forward, given, more):
        self.call = lambda: forward(*copy.deepcopy(given), **more)[1]


def judged(subject, output, at, compare):
    """Return `subject`, a pair of functions or one, whose outputs are those of `output`.

    Parameters
    ----------
    subject : pair of functions, or function
        ``forward(…) -> (y, cache)`` and ``backward(dy, cache)``, or ``loss(…) -> (y, gradient)``.
    output : function
        The right forward pass.
    at : tuple
        The arguments at which the gradient is checked.
    compare : function
        ``compare(y, due)`` raises if the submission's output is wrong.
    """
    pair = isinstance(subject, (tuple, list))
    forward = subject[0] if pair else subject
    known: dict = {}

    def right(*given, **more):
        due = output(*copy.deepcopy(given), **more)
        if pair and known.get("cached") and not _same(given, at):
            return np.asarray(due, np.float64), _Later(forward, copy.deepcopy(given), more)
        result = real(forward(*given, **more))
        several = isinstance(result, (tuple, list)) and len(result) > 0
        y = result[0] if several else result
        if np.isfinite(due).all():  # else a step of the differences has left the domain
            compare(y, due)
        known["cached"] = several and len(result) == 2
        due = np.asarray(due, np.float64)
        return (due, *result[1:]) if several else due

    def backward(*given, **more):
        return real(subject[1](*(g.call() if isinstance(g, _Later) else g for g in given), **more))

    for mine, its in ((right, forward), (backward, subject[1] if pair else forward)):
        mine.__name__ = getattr(its, "__name__", "function")
        with contextlib.suppress(Exception):  # of a function that is not written in Python
            mine.__signature__ = inspect.signature(its)  # type: ignore[attr-defined]
    return (right, backward) if pair else right


def _same(given, at):
    return len(given) == len(at) and all(
        np.array_equal(a, b) if isinstance(a, np.ndarray) else a is b or bool(np.all(a == b))
        for a, b in zip(given, at, strict=True)
    )
