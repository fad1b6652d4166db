r"""Analytic gradients against central differences.

For a function y(t) of one tensor t and a random upstream gradient dy, the loss L = Σ dy · y has

.. math::
    \langle dt, v \rangle = \lim_{h \to 0} \frac{L(t + h v) - L(t - h v)}{2 h}

for every direction v.  With v one element's unit vector this checks that element; with v random it
checks all elements at once, for an error anywhere shows in almost every direction.  Small tensors
are checked element by element, each by its own size.  Large ones are checked along directions, one
for each order of magnitude of their gradients; where one disagrees, elements are compared until a
wrong one can be named.

Everything is computed in float64: float32 has too few digits left after the subtraction.  The
upstream gradient is drawn at random, never ones: the sum over all outputs of a normalisation does
not depend on its input at all, and a broken backward pass would go unseen.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from itertools import product
from typing import Any

import numpy as np

from tinygan.gradcheck import protocol
from tinygan.gradcheck.adapters import make_subject
from tinygan.gradcheck.compare import Comparison, failed
from tinygan.gradcheck.limit import limited
from tinygan.gradcheck.numeric import FEW_OUTPUTS, Numeric
from tinygan.gradcheck.report import Cause, GradientError, GradientReport
from tinygan.gradcheck.subject import BackwardError, NotCheckable
from tinygan.layer import Layer
from tinygan.machine.arrays import asnumpy

__all__ = ["check_gradients"]

ELEMENTS = 256
"""A tensor of at most so many elements is checked element by element."""

LARGE = 20_000
"""Beyond so many numbers the rules are checked, and a cause is looked for, on a part."""


def check_gradients(
    layer: Layer | Callable | tuple[Callable, Callable],
    x: Any,
    *arguments: Any,
    dy: Any = None,
    options: dict | None = None,
    directions: int = 3,
    elements: int = ELEMENTS,
    rtol: float = 1e-7,
    seed: int = 0,
    time_limit: float | None = None,
    raises: bool = True,
) -> GradientReport:
    """Compare hand-written gradients with central differences, and name the likely mistake.

    Parameters
    ----------
    layer : Layer, pair of functions, or function
        A layer, of which a float64 copy is checked, so that it is left as it was; an object with
        ``forward(x, …) -> y`` and ``backward(dy) -> dx`` that keeps its cache on itself, and its
        weights in ``params`` and ``grads`` or as ``W`` and ``dW``; a pair
        ``foo(x, …) -> (y, cache)`` and ``foo_backward(dy, cache) -> gradients`` (in the order of
        the arguments, or a dictionary; ``(cache, dy)`` and a forward that returns y alone are
        understood too); or a function of `x` that returns ``(y, backward)`` or, like a loss,
        ``(loss, gradient)``.
    x : ndarray
        The input, converted to float64.
    *arguments
        What else the functions take.  Of a pair, the arrays of floating-point numbers among them
        are checked too, those in dictionaries and lists as well.
    dy : ndarray, optional
        The upstream gradient; standard normal by default.
    options : dict, optional
        Keyword arguments of the function.
    directions : int
        How many random directions a large tensor is checked along.
    elements : int
        A tensor of at most this many elements is checked element by element instead.
    rtol : float
        The largest difference that passes, relative to the element's own size.  The error of the
        difference itself is allowed for on top.
    seed : int
        Of the random directions and the upstream gradient.
    time_limit : float, optional
        Seconds after which the check gives up.  A wrong gradient that is known by then is reported,
        without a cause.
    raises : bool
        Whether a wrong gradient raises; else the report says so.

    Returns
    -------
    GradientReport
        One verdict a tensor: ``x`` first, then the others in definition order; and the causes.

    Raises
    ------
    GradientError
        If a gradient is wrong, or the code writes into what is not its own.  The message names the
        tensor, its worst index, the analytic and the numeric value there, and the likely cause.
    NotCheckable
        A ValueError: the forward pass raises, is random, returns no numbers, or takes too long.

    Notes
    -----
    An input on a kink of ReLU or L1 has no gradient there: any value between the slopes of both
    sides is accepted, and the report says how many there were.  Where no difference can decide, at
    the edge of a function's domain or below its rounding, the element counts as undecided.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygan import Conv2d, bce_with_logits
    >>> x = np.random.default_rng(0).standard_normal((2, 5, 5, 3))
    >>> check_gradients(Conv2d(3, 4, 3), x).ok
    True
    >>> check_gradients(lambda s: bce_with_logits(s, 0.9), x).ok
    True

    A pair of functions, with a mistake:

    >>> def double(x):
    ...     return 2 * x, None
    >>> def double_backward(dy, cache):
    ...     return dy
    >>> report = check_gradients((double, double_backward), x, raises=False)
    >>> report.ok, report.cause.kind
    (False, 'constant factor')
    """
    _validate(directions, elements, rtol, time_limit)
    with _global_generator(), limited(time_limit):
        report = _check(layer, x, arguments, dy, options, directions, elements, rtol, seed)
    if raises and not report.ok:
        raise GradientError(report)
    return report


def _check(layer, x, arguments, dy, options, directions, elements, rtol, seed):
    rng = generator(seed)
    subject = make_subject(layer, x, arguments, options)
    for name, value in subject.tensors.items():
        if not value.size:
            raise NotCheckable(
                f"{subject.name}: {name} is empty (shape {value.shape}): there is nothing to check"
            )
    y = subject.call().y
    if not np.isfinite(y).all():
        raise NotCheckable(f"{subject.name}: the output is not finite (NaN or infinity)")
    dy = rng.standard_normal(y.shape) if dy is None else _upstream(dy, y.shape)
    large = max(y.size, *(value.size for value in subject.tensors.values())) > LARGE
    part, part_y, part_dy = (_part(subject, rng) if large else None) or (subject, y, dy)
    if not np.array_equal(part_y, part.call().y):
        raise NotCheckable(
            f"{subject.name}: the same input gives another output in every call; draw random "
            "numbers from a generator that is given or listed in buffer_names"
        )
    try:
        if part is subject:
            subject.settle(y, dy, rng)
        else:
            subject.adopt(part)
        gradients = subject.walk(subject.call(), subject.upstream(dy))
    except BackwardError as error:
        name, problem = next(iter(subject.tensors)), str(error)
        check = failed(name, subject.tensors[name].shape, problem)
        return GradientReport(subject.name, [check], [Cause("exception", name, problem)])
    if subject.is_loss:
        dy, part_dy = np.ones(y.shape), np.ones(part_y.shape)
    causes, noise = _rules(part, part_dy, rng)
    if part is not subject:
        noise = float(noise.max(initial=0))
    compare = Comparison(Numeric(subject, y, noise), dy, rng, directions, elements, rtol)
    checks = [
        compare.tensor(name, gradients[name])
        for name in subject.tensors
        if not (name in subject.optional and gradients[name] is None)
    ]
    if checks and all(check.count and check.kinks == check.count for check in checks):
        raise NotCheckable(
            f"{subject.name}: every element of the input lies on a kink, where there is no "
            "gradient to compare with; move the input"
        )
    undecided = all(check.count and check.undecided == check.count for check in checks)
    seen = [g for g in gradients.values() if g is not None]
    tiny = all(np.abs(g).max(initial=0) <= 1e-9 * np.abs(dy).max(initial=0) for g in seen)
    if undecided and not causes and not tiny:
        raise NotCheckable(
            f"{subject.name}: no difference can tell what the gradient is here: the function is "
            "not finite beside the input, or its slope drowns in rounding; move the input"
        )
    notes = subject.notes + [
        f"not checked: {name}: backward returned no gradient of it"
        for name in subject.optional & subject.expected
        if gradients[name] is None
    ]
    if not all(check.ok for check in checks):
        from tinygan.gradcheck.diagnosis import diagnose

        numeric = compare.numeric if part is subject else Numeric(part, part_y, noise)
        named, places = diagnose(numeric, part_dy, rng, checks, gradients)
        causes, notes = causes + named, notes + places
        notes += [subject.hint] if subject.hint else []
        if part is not subject and causes:
            shape = next(iter(part.tensors.values())).shape
            notes += [f"the cause was looked for on a part of the input, of shape {shape}"]
    return GradientReport(subject.name, checks, causes, notes)


def _rules(subject, dy, rng):
    """Return which rules of the protocol are broken, and the noise of the outputs."""
    gradients = subject.walk(subject.call(), subject.upstream(dy))
    causes = protocol.overwriting(subject, dy)
    if all(g is None or np.isfinite(g).all() for g in gradients.values()):
        causes += protocol.accumulation(subject, dy, gradients, rng)
        causes += protocol.shared_cache(subject, dy, gradients)
    noise, imprecise = protocol.precision(subject, dy, rng)
    return causes + imprecise, noise


def _part(subject, rng):
    """Return the subject with a small part of its input, its output, dy; None if it takes none.

    Small enough for the cause to be looked for output by output, if that can be had.
    """
    first = next(iter(subject.tensors))
    shape, found = subject.tensors[first].shape, None
    for axes, side in product(([0, 1, 2], [0, 2, 3], [0]), (6, 4)):
        if len(shape) <= max(axes) or (len(axes) > 1 and len(shape) < 4):
            continue
        part = tuple(
            slice(min(n, 2 if a == 0 else side) if a in axes else n) for a, n in enumerate(shape)
        )
        small = subject.cropped(part)
        try:
            y = small.call().y
            dy = rng.standard_normal(y.shape)
            small.settle(y, dy, rng)
            small.walk(small.call(), small.upstream(dy))
        except (NotCheckable, BackwardError):
            continue
        if not np.isfinite(y).all() or not 0 < y.size <= LARGE:
            continue
        found = found or (small, y, dy)
        if y.size <= FEW_OUTPUTS:
            return small, y, dy
    return found


def _validate(directions: Any, elements: Any, rtol: Any, limit: Any) -> None:
    whole, real = (int, np.integer), (int, float, np.number)
    for name, value, types, fits, expected in (
        ("directions", directions, whole, lambda v: v >= 1, "a whole number from 1"),
        ("elements", elements, whole, lambda v: v >= 0, "a whole number from 0"),
        ("rtol", rtol, real, lambda v: 0 < v < 1, "a number between 0 and 1"),
        ("time_limit", limit, (*real, type(None)), lambda v: v is None or v > 0, "seconds above 0"),
    ):
        if not isinstance(value, types) or not fits(value):
            raise ValueError(f"check_gradients: {name}: expected {expected}, got {value!r}")


def _upstream(dy, shape):
    try:
        dy = np.array(asnumpy(dy) if hasattr(dy, "get") else dy, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"check_gradients: dy: expected an array of shape {shape}") from error
    if dy.shape != shape:
        raise ValueError(
            f"check_gradients: dy: expected the output's shape {shape}, got {dy.shape}"
        )
    if not np.isfinite(dy).all():
        raise ValueError("check_gradients: dy: expected finite numbers, got NaN or infinity")
    return dy


@contextmanager
def _global_generator():
    """Leave NumPy's global generator as it was, whatever the code under test draws from it."""
    state = np.random.get_state()  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def generator(seed):
    """Return a generator whose numbers are not those of a test's own ``default_rng(seed)``.

    If dy were the very numbers of x, a normalisation's true gradient would be zero.
    """
    return np.random.default_rng([seed, *b"gradcheck"])
