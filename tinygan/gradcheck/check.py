r"""Analytic gradients against central differences.

For a function y(t) of one tensor t and a random upstream gradient dy, the loss L = Σ dy · y has

.. math::
    \langle dt, v \rangle = \lim_{h \to 0} \frac{L(t + h v) - L(t - h v)}{2 h}

for every direction v.  With v one element's unit vector this checks that element; with v random it
checks all elements at once, for an error anywhere shows in almost every direction.  Small tensors
are checked element by element, large ones along directions; where a direction disagrees, elements
are compared until the worst one can be named.

Everything is computed in float64: float32 has too few digits left after the subtraction.  The
upstream gradient is drawn at random, never ones: the sum over all outputs of a normalisation does
not depend on its input at all, and a broken backward pass would go unseen.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinygan.gradcheck import experiments
from tinygan.gradcheck.adapters import make_subject
from tinygan.gradcheck.compare import Comparison
from tinygan.gradcheck.diagnose import diagnose
from tinygan.gradcheck.numeric import Numeric
from tinygan.gradcheck.report import Cause, GradientError, GradientReport, TensorCheck
from tinygan.gradcheck.subject import BackwardError, NotCheckable
from tinygan.layer import Layer
from tinygan.machine.arrays import asnumpy

__all__ = ["check_gradients"]

ELEMENTS = 256
"""A tensor of at most so many elements is checked element by element."""


def check_gradients(
    layer: Layer | Callable | tuple[Callable, Callable],
    x,
    *arguments,
    dy=None,
    options: dict | None = None,
    directions: int = 3,
    elements: int = ELEMENTS,
    step: float = 1e-5,
    rtol: float = 1e-7,
    seed: int = 0,
    raises: bool = True,
) -> GradientReport:
    """Compare hand-written gradients with central differences, and name the likely mistake.

    Parameters
    ----------
    layer : Layer, pair of functions, or function
        A layer, of which a float64 copy is checked, so that it is left as it was; a pair
        ``foo(x, …) -> (y, cache)`` and ``foo_backward(dy, cache) -> gradients`` (in the order of
        the arguments, or a dictionary); or a function of `x` that returns ``(y, backward)`` or,
        like a loss, ``(loss, gradient)``.
    x : ndarray
        The input, converted to float64.
    *arguments
        What else the functions take.  Of a pair, the arrays of floating-point numbers among them
        are checked too.
    dy : ndarray, optional
        The upstream gradient; standard normal by default.
    options : dict, optional
        Keyword arguments of the function.
    directions : int
        How many random directions a large tensor is checked along.
    elements : int
        A tensor of at most this many elements is checked element by element instead.
    step : float
        h of the central difference.  Where the slopes of both sides differ it is made smaller.
    rtol : float
        The largest difference that passes, relative to the gradient's own size.  The rounding
        error of the difference itself is allowed for on top.
    seed : int
        Of the random directions and the upstream gradient.
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
        A ValueError: the forward pass raises, is random, or returns no numbers.

    Notes
    -----
    An input on a kink of ReLU or L1 has no gradient there: any value between the slopes of both
    sides is accepted, and the report says how many there were.

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
    rng = generator(seed)
    subject = make_subject(layer, x, arguments, options)
    call = subject.call()
    y = call.y
    if not np.isfinite(y).all():
        raise NotCheckable(f"{subject.name}: the output is not finite (NaN or infinity)")
    if not np.array_equal(y, subject.call().y):
        raise NotCheckable(
            f"{subject.name}: the same input gives another output in every call; draw random "
            "numbers from a generator that is given or listed in buffer_names"
        )
    if dy is None:
        dy = rng.standard_normal(y.shape)
    else:
        dy = np.array(asnumpy(dy), np.float64)
    try:
        gradients = subject.walk(call, subject.upstream(dy))
    except BackwardError as error:
        return _finish(_failed(subject, str(error)), raises)
    if getattr(subject, "is_loss", False):
        dy = np.ones(y.shape)
    causes = experiments.overwriting(subject, dy)
    causes += experiments.accumulation(subject, dy, gradients, rng)
    causes += experiments.shared_cache(subject, dy, gradients)
    noise, imprecise = experiments.precision(subject, dy, rng)
    causes += imprecise
    if noise > experiments.NOISE:  # differences of float32 numbers need a wide step
        step, rtol = max(step, 0.5 * noise ** (1 / 3)), max(rtol, 10 * noise ** (2 / 3))
    numeric = Numeric(subject, y, step, threshold=1e-3 if noise <= experiments.NOISE else np.inf)
    compare = Comparison(numeric, dy, rng, directions, elements, rtol, noise)
    checks = [
        compare.tensor(name, gradients[name])
        for name in subject.tensors
        if not (name in subject.optional and gradients[name] is None)
    ]
    if checks and all(check.kinks and check.kinks == check.count for check in checks):
        raise NotCheckable(
            f"{subject.name}: every element of the input lies on a kink, where there is no "
            "gradient to compare with; move the input"
        )
    wrong = [check.name for check in checks if not check.ok]
    if wrong:
        causes += diagnose(numeric, dy, rng, wrong, gradients, noise)
    return _finish(GradientReport(subject.name, checks, causes), raises)


def generator(seed):
    """Return a generator whose numbers are not those of a test's own ``default_rng(seed)``.

    If dy were the very numbers of x, a normalisation's true gradient would be zero.
    """
    return np.random.default_rng([seed, *b"gradcheck"])


def _finish(report, raises):
    if raises and not report.ok:
        raise GradientError(report)
    return report


def _failed(subject, problem):
    """Return the report of a backward pass that gave no gradients at all."""
    name = next(iter(subject.tensors))
    shape = subject.tensors[name].shape
    nan = float("nan")
    check = TensorCheck(name, shape, False, float("inf"), None, nan, nan, 0, "elements", problem)
    return GradientReport(subject.name, [check], [Cause("exception", name, problem)])
