"""Which tensor went bad first, when numbers became NaN or infinite.

When a loss is NaN it is too late: a step later every weight is.  But a step is a function of the
checkpoint and of its number, so the steps since the last checkpoint are taken again, this time
looking at everything that the layers compute, in the order in which they compute it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any, cast

from tinygan.errors import DivergedError
from tinygan.fast import apart
from tinygan.layer import Backward, Layer
from tinygan.machine.arrays import Array, get_xp
from tinygan.systems.system import System

__all__ = ["find_first_bad", "watched"]


def find_first_bad(system: System, start: int, steps: int) -> str | None:
    """Take steps `start` … `steps` − 1 again and name the first tensor that is not finite.

    Parameters
    ----------
    system : System
        As it was after `start` steps.  It is trained further.
    start, steps : int

    Returns
    -------
    str or None
        None if all numbers stayed finite: not everything is computed in the same order on a GPU.
    """
    with closing(system.batches(start)) as batches, watched(system) as check_state:
        for step in range(start, steps):
            try:
                system.step(next(batches), step)
                check_state()
            except DivergedError as error:
                return f"{error} in step {step + 1}"
    return None


@contextmanager
def watched(system: System) -> Iterator[Callable[[], None]]:
    """Look at all outputs and gradients of the layers while entered; raise DivergedError.

    Gives a function that looks at the parameters, the buffers and the optimizers' moments.
    """
    names = {
        id(layer): f"{name}.{dotted} ({layer!r})"
        for name, network in system.networks.items()
        for dotted, layer in network.walk()
        if "\n" not in repr(layer)
    }
    call, walk_back = Layer.__call__, Backward.__call__

    def watched_call(layer: Layer, x: Array) -> tuple[Array, Backward]:
        y, backward = call(layer, x)
        if id(layer) in names:
            _check(y, f"the output of {names[id(layer)]}")
        return y, backward

    def watched_walk_back(backward: Backward, dy: Array, input_gradient: bool = True) -> Array:
        layer = backward._layer
        dx = walk_back(backward, dy, input_gradient)
        if id(layer) in names:
            for name, parameter in layer.named_parameters().items():
                _check(parameter.grad, f"the gradient of {names[id(layer)]}'s {name}")
            if dx is not None:
                _check(dx, f"the gradient of the input of {names[id(layer)]}")
        return dx

    def check_state() -> None:
        for name, network in system.networks.items():
            for key, parameter in network.named_parameters().items():
                _check(parameter.data, f"{name}.{key}")
            for key, buffer in network.buffers().items():
                _check(buffer, f"{name}.{key}")
        for name, optimizer in system.optimizers.items():
            for i, slots in enumerate(optimizer.slots):
                for slot in slots:
                    _check(slot, f"a moment of {name}'s parameter {i}")

    layers, backwards = cast(Any, Layer), cast(Any, Backward)
    layers.__call__, backwards.__call__ = watched_call, watched_walk_back
    try:
        with apart():  # the same bits as two layers that run as one
            yield check_state
    finally:
        layers.__call__, backwards.__call__ = call, walk_back


def _check(array: Array, what: str) -> None:
    xp = get_xp(array)
    if array.dtype.kind == "f" and not bool(xp.isfinite(array).all()):
        kind = "NaN" if bool(xp.isnan(array).any()) else "infinite"
        raise DivergedError(f"{what} became {kind}")
