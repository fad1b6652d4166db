"""A submission's functions with the right output in place of theirs.

A gradient is compared with differences of the *reference*; the submission's own forward pass is
called where the gradient is taken, for its output to be compared and for its cache.
"""

from __future__ import annotations

import contextlib
import copy
import inspect

import numpy as np

__all__ = ["judged"]


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
            return np.asarray(due, known["dtype"]), _Later(forward, copy.deepcopy(given), more)
        result = forward(*given, **more)
        several = isinstance(result, (tuple, list)) and len(result) > 0
        y = result[0] if several else result
        compare(y, due)
        known.update(cached=several and len(result) == 2, dtype=getattr(y, "dtype", None))
        due = np.asarray(due, known["dtype"])
        return (due, *result[1:]) if several else due

    def backward(*given, **more):
        return subject[1](*(g.call() if isinstance(g, _Later) else g for g in given), **more)

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
