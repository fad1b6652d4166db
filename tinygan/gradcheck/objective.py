"""The gradient of a whole objective along random directions of all its parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygan.gradcheck.check import generator
from tinygan.gradcheck.numeric import EPS
from tinygan.gradcheck.report import GradientError, GradientReport, TensorCheck
from tinygan.layer import Layer, Parameter
from tinygan.machine.arrays import asnumpy, get_xp

__all__ = ["check_objective"]


def check_objective(
    objective: Callable[[], Any],
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
    for what, value in (("directions", directions), ("step", step)):
        if not value > 0 or (what == "directions" and value != int(value)):
            raise ValueError(f"check_objective: {what}: expected a number above 0, got {value!r}")
    networks = list(networks)
    parameters: list[Parameter] = [p for network in networks for p in network.parameters()]
    for parameter in parameters:
        if parameter.data.dtype != np.float64:
            raise TypeError(
                f"check_objective: expected float64 parameters, got {parameter.data.dtype}; "
                "use network.to(dtype='float64')"
            )
    saved = [(a, a.copy()) for network in networks for a in network.buffers().values()]
    start = [parameter.data.copy() for parameter in parameters]

    def evaluate():
        for array, value in saved:
            array[...] = value
        for parameter in parameters:
            parameter.zero_grad()
        return float(objective())

    loss = evaluate()
    gradient = np.concatenate([asnumpy(p.grad).ravel() for p in parameters])

    def move(direction, size):
        parts = np.split(direction, np.cumsum([data.size for data in start])[:-1])
        for parameter, data, part in zip(parameters, start, parts, strict=True):
            parameter.data[...] = data + get_xp(data).asarray(size * part.reshape(data.shape))

    def slope(direction):
        ends = []
        for size in (step, -step):
            move(direction, size)
            ends.append(evaluate())
        move(direction, 0.0)
        return (ends[0] - ends[1]) / (2 * step)

    rng = generator(seed)
    along = [rng.standard_normal(gradient.size) for _ in range(directions)]
    analytic = np.array([float(gradient @ direction) for direction in along])
    numeric = np.array([slope(direction) for direction in along])
    evaluate()
    for parameter in parameters:
        parameter.zero_grad()
    difference = np.abs(analytic - numeric)
    difference[~np.isfinite(difference)] = np.inf
    worst = int(difference.argmax())
    # ⟨g, v⟩ of a standard normal v is of the size of g's norm
    size = max(float(np.sqrt(gradient @ gradient)), np.abs(numeric).max())
    rounding = 160 * EPS * abs(loss) / step * np.sqrt(gradient.size)
    ok = bool(difference[worst] - rounding <= rtol * size)
    error = float(difference[worst]) / size if size > rounding else 0.0
    numbers = float(analytic[worst]), float(numeric[worst])
    check = TensorCheck(
        "all parameters", gradient.shape, ok, error, None, *numbers, directions, "directions"
    )
    report = GradientReport(getattr(objective, "__name__", repr(objective)), [check])
    if raises and not report.ok:
        raise GradientError(report)
    return report
