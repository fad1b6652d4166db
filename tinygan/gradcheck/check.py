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

import copy
from collections.abc import Callable, Iterable

import numpy as np

from tinygan.backend import asnumpy, get_xp
from tinygan.gradcheck.report import GradientError, GradientReport, TensorCheck
from tinygan.layer import Layer, Parameter

__all__ = ["check_gradients", "check_objective"]

ELEMENTS = 256
"""A tensor of at most so many elements is checked element by element."""


def check_gradients(
    layer: Layer | Callable,
    x,
    *,
    dy=None,
    directions: int = 3,
    elements: int = ELEMENTS,
    step: float = 1e-6,
    rtol: float = 1e-6,
    seed: int = 0,
    raises: bool = True,
) -> GradientReport:
    """Compare a layer's (or a loss's) hand-written gradients with central differences.

    Parameters
    ----------
    layer : Layer or callable
        A layer, of which a float64 copy is checked, so that it is left as it was; or a function of
        `x` that returns ``(y, backward)`` or, like a loss, ``(loss, gradient)``.
    x : ndarray
        The input, converted to float64.  Keep it off the kinks of ReLU and L1: a difference across
        a kink is no gradient.
    dy : ndarray, optional
        The upstream gradient; standard normal by default.
    directions : int
        How many random directions a large tensor is checked along.
    elements : int
        A tensor of at most this many elements is checked element by element instead.
    step : float
        h of the central difference.
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
        One verdict a tensor: ``x`` first, then the parameters in definition order.

    Raises
    ------
    GradientError
        If a gradient is wrong.  The message names the tensor, its worst index, the analytic and
        the numeric value there, and their ratio.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygan import Conv2d, bce_with_logits
    >>> x = np.random.default_rng(0).standard_normal((2, 5, 5, 3))
    >>> check_gradients(Conv2d(3, 4, 3), x).ok
    True
    >>> check_gradients(lambda s: bce_with_logits(s, 0.9), x).ok
    True
    """
    rng = _generator(seed)
    if isinstance(layer, Layer):
        layer = copy.deepcopy(layer).to(dtype=np.float64)
        parameters, state = layer.named_parameters(), layer.buffers()
        subject = repr(layer) if "\n" not in repr(layer) else type(layer).__name__
    else:
        parameters, state, subject = {}, {}, getattr(layer, "__name__", repr(layer))
    xp = get_xp(x)
    x = xp.array(x, dtype=xp.float64)
    tensors = {"x": x} | {name: p.data for name, p in parameters.items() if not p.frozen}
    saved = {name: array.copy() for name, array in state.items()}

    def evaluate():
        for name, array in saved.items():
            state[name][...] = array
        return layer(x)

    for parameter in parameters.values():
        parameter.zero_grad()
    y, backward = evaluate()
    if callable(backward):
        dy = rng.standard_normal(y.shape) if dy is None else asnumpy(dy)
        dy = xp.asarray(np.asarray(dy, np.float64))
        dx = backward(dy)
    else:
        dy, dx = xp.ones(y.shape), backward
    gradients = {"x": asnumpy(dx)}
    gradients |= {name: asnumpy(parameters[name].grad) for name in tensors if name != "x"}
    noise = _rounding_error(asnumpy(y) * asnumpy(dy), step)

    def change(tensor, direction):  # L(t + hv) − L(t − hv), subtracted before it is summed
        before = tensor.copy()
        tensor += xp.asarray(step * direction)
        plus = evaluate()[0].copy()  # the output may be a view of the input
        tensor[...] = before - xp.asarray(step * direction)
        minus = evaluate()[0].copy()
        tensor[...] = before
        return float(((plus - minus) * dy).sum())

    checks = []
    for name, tensor in tensors.items():
        gradient = gradients[name]
        if gradient.shape != tensor.shape:
            raise ValueError(
                f"{subject}: the gradient of {name} has shape {gradient.shape}, "
                f"expected {tensor.shape}"
            )

        def slope(direction, tensor=tensor):
            return change(tensor, direction) / (2 * step)

        checks.append(_check_tensor(name, gradient, slope, rng, directions, elements, rtol, noise))
    return _finish(GradientReport(subject, checks), raises)


def check_objective(
    objective: Callable[[], object],
    networks: Iterable[Layer],
    *,
    directions: int = 4,
    step: float = 1e-6,
    rtol: float = 1e-5,
    seed: int = 0,
    raises: bool = True,
) -> GradientReport:
    """Check the gradient of a whole objective along random directions of all its parameters.

    Parameters
    ----------
    objective : callable
        Takes nothing, adds the gradients into the networks' parameters and returns the loss.  It
        must compute the same loss when it is called again.
    networks : iterable of Layer
        Whose parameters, float64, are all moved at once.  They are put back afterwards; gradients
        are left zero.
    directions, step, rtol, seed, raises
        As in `check_gradients`.

    Returns
    -------
    GradientReport
        With the single entry ``all parameters``.

    Raises
    ------
    GradientError
        If the gradient is wrong.
    """
    networks = list(networks)
    parameters: list[Parameter] = [p for network in networks for p in network.parameters()]
    for parameter in parameters:
        if parameter.data.dtype != np.float64:
            raise TypeError(
                f"check_objective: expected float64 parameters, got {parameter.data.dtype}; "
                "use network.to(dtype='float64')"
            )
    state = {i: network.buffers() for i, network in enumerate(networks)}
    saved = {i: {name: a.copy() for name, a in buffers.items()} for i, buffers in state.items()}
    start = [parameter.data.copy() for parameter in parameters]

    def evaluate():
        for i, buffers in saved.items():
            for name, array in buffers.items():
                state[i][name][...] = array
        for parameter in parameters:
            parameter.zero_grad()
        return float(objective())

    loss = evaluate()
    gradient = np.concatenate([asnumpy(p.grad).ravel() for p in parameters])

    def move(direction, size):
        offset = 0
        for parameter, data in zip(parameters, start, strict=True):
            part = direction[offset : offset + data.size].reshape(data.shape)
            parameter.data[...] = data + get_xp(data).asarray(size * part)
            offset += data.size

    def slope(direction):
        move(direction, step)
        plus = evaluate()
        move(direction, -step)
        minus = evaluate()
        move(direction, 0.0)
        return (plus - minus) / (2 * step)

    rng = _generator(seed)
    noise = _rounding_error(np.full(100, loss), step)
    check = _check_tensor(
        "all parameters", gradient, slope, rng, directions, 0, rtol, noise, locate=False
    )
    evaluate()
    for parameter in parameters:
        parameter.zero_grad()
    name = getattr(objective, "__name__", repr(objective))
    return _finish(GradientReport(name, [check]), raises)


def _generator(seed):
    """Return a generator whose numbers are not those of a test's own ``default_rng(seed)``.

    If dy were the very numbers of x, a normalisation's true gradient would be zero.
    """
    return np.random.default_rng([seed, *b"gradcheck"])


def _finish(report, raises):
    if raises and not report.ok:
        raise GradientError(report)
    return report


def _rounding_error(terms, step):
    """Return how far rounding alone may take the difference quotient of a sum of `terms`."""
    return 16 * np.finfo(np.float64).eps * float(np.sqrt((terms**2).sum())) / step


def _check_tensor(
    name, gradient, slope, rng, directions, elements, rtol, noise, locate=True
) -> TensorCheck:
    """Compare `gradient` with ``slope(direction)``, by elements or along random directions."""
    shape, flat = gradient.shape, gradient.ravel()

    def compare_elements(indices):
        unit = np.zeros(flat.size)
        numeric = np.empty(len(indices))
        for k, i in enumerate(indices):
            unit[i] = 1
            numeric[k] = slope(unit.reshape(shape))
            unit[i] = 0
        analytic = flat[indices]
        size = max(np.abs(analytic).max(initial=0), np.abs(numeric).max(initial=0))
        return analytic, numeric, size

    if flat.size <= elements:
        indices = np.arange(flat.size)
        return _verdict(name, shape, indices, *compare_elements(indices), rtol, noise)
    along, analytic, numeric = [], [], []
    for _ in range(directions):
        along.append(rng.standard_normal(flat.size))
        analytic.append(float(flat @ along[-1]))
        numeric.append(slope(along[-1].reshape(shape)))
    # ⟨g, v⟩ of a standard normal v is of the size of g's norm
    size = max(float(np.sqrt(flat @ flat)), np.abs(numeric).max())
    noise = noise * np.sqrt(flat.size) if not locate else noise * 4
    check = _verdict(name, shape, None, np.array(analytic), np.array(numeric), size, rtol, noise)
    if check.ok or not locate:
        return check
    # half of the looked-at elements where the gradient is largest, half anywhere
    looked = min(flat.size, max(64, elements))
    largest = np.argsort(-np.abs(flat))[: looked // 2]
    others = rng.choice(flat.size, looked, replace=False)
    indices = np.unique(np.concatenate([largest, others]))
    found = _verdict(name, shape, indices, *compare_elements(indices), rtol, noise)
    return check if found.ok else found


def _verdict(name, shape, indices, analytic, numeric, size, rtol, noise) -> TensorCheck:
    difference = np.abs(analytic - numeric)
    difference[~np.isfinite(difference)] = np.inf
    worst = int(difference.argmax()) if difference.size else 0
    size = size if np.isfinite(size) else 1.0
    index = None
    if indices is not None:
        index = tuple(int(i) for i in np.unravel_index(indices[worst], shape))
    # what rounding explains is no error of the gradient's
    excess = max(0.0, float(difference[worst]) - noise)
    return TensorCheck(
        name=name,
        shape=tuple(shape),
        ok=bool(excess <= rtol * size),
        error=float(difference[worst]) / size if size > noise else 0.0,
        index=index,
        analytic=float(analytic[worst]),
        numeric=float(numeric[worst]),
        count=len(analytic),
        method="elements" if indices is not None else "directions",
    )
