"""Where each percent of a training step goes: ``python -m benchmarks.where dcgan|cyclegan``.

Every layer's two methods, the three operations of convolution, the losses and the optimizer are
wrapped by a clock.  What a wrapped function spends in another one is that one's, so that the
shares add up to the whole step.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

import numpy as np

from benchmarks.work_tinygan import Tinygan, step_parser, step_task
from tinygan import layers, losses, objectives, optim
from tinygan.convolution import tiles, winograd
from tinygan.layer import Layer
from tinygan.layers import conv
from tinygan.layers.sequential import Residual
from tinygan.machine import parallel
from tinygan.machine.allocator import keep_freed_memory
from tinygan.models import cyclegan

CONVOLUTION = [name for name in vars(conv) if name.startswith("convolve")]


def _now() -> np.ndarray:
    """By the wall clock, and spent on the cores by all threads."""
    return np.array([time.perf_counter(), time.process_time()])


class Clock:
    """Wall and processor seconds by ``(what, face)``, each without what it spent in others."""

    def __init__(self):
        self.seconds = defaultdict(lambda: np.zeros(2))
        self._inner = [np.zeros(2)]

    def wrap(self, function, name):
        """Return `function`, timed; ``name(*arguments)`` gives its ``(what, face)``."""

        def timed(*arguments, **keywords):
            self._inner.append(np.zeros(2))
            start = _now()
            try:
                return function(*arguments, **keywords)
            finally:
                total = _now() - start
                self.seconds[name(*arguments)] += total - self._inner.pop()
                self._inner[-1] += total

        return timed


STAGES = {
    "_multiply": "products of tiles",
    "transform_weight": "U from w",
    "transform_weight_gradient": "dw from dU",
    "transform_input": "V from x",
    "transform_input_gradient": "dx from dV",
    "transform_output": "y from M",
    "transform_output_gradient": "dM from dy",
}


@contextmanager
def clocked(inside=False, clock=None):
    """Within the scope every layer, loss and optimizer is timed by the `Clock` that is given.

    With `inside`, the stages of the tiled convolutions are parts of their own.
    """
    clock = clock or Clock()
    with ExitStack() as stack:

        def put(owner, name, label):
            stack.enter_context(patch.object(owner, name, clock.wrap(getattr(owner, name), label)))

        kinds = {value for value in vars(layers).values() if isinstance(value, type)}
        for kind in {*kinds, Residual}:
            for face in ("forward", "backward"):
                owner = next(base for base in kind.__mro__ if face in vars(base))
                if owner is not Layer and not hasattr(getattr(owner, face), "_clocked"):
                    put(owner, face, lambda self, *_, face=face: (_label(self), face))
                    getattr(owner, face)._clocked = True
        for name in CONVOLUTION:
            put(conv, name, lambda *_, name=name: ("convolution", name))
        if inside:
            stack.enter_context(patch.object(winograd, "transform_weight", _weight_at_once))
        for name, stage in STAGES.items() if inside else ():
            put(winograd, name, lambda *_, stage=stage, **__: ("tiles", stage))
        for module in (losses, objectives, cyclegan):
            for name in ("bce_with_logits", "hinge", "l1", "mse"):
                if hasattr(module, name):
                    put(module, name, lambda *_, name=name: ("losses", name))
        # a clock is of one thread: what runs side by side is timed in turn
        in_turn = patch.object(cyclegan, "side_by_side", lambda *branches: [b() for b in branches])
        stack.enter_context(in_turn)
        put(optim.Adam, "step", lambda *_: ("Adam", "step"))
        put(optim.Adam, "zero_grad", lambda *_: ("Adam", "zero_grad"))
        yield clock


def _weight_at_once(*arguments):
    """Transform a weight here, not beside the first pictures."""
    U, tasks = tiles.transform_weight(*arguments)
    parallel.run(tasks)
    return U, ()


def _label(layer) -> str:
    name = type(layer).__name__
    return f"{name}, all but the convolution" if name.startswith("Conv") else name


def profile(
    task: dict, steps: int, algorithm: str = "auto", inside: bool = False
) -> dict[tuple[str, str], np.ndarray]:
    """Return wall and processor seconds a step of every part, the rest of the step among them."""
    step = Tinygan("numpy", 0, algorithm).prepare(task)
    step()
    with clocked(inside) as clock:
        start = _now()
        for _ in range(steps):
            step()
        whole = _now() - start
    seconds = {part: total / steps for part, total in clock.seconds.items()}
    seconds["the rest", "step"] = whole / steps - sum(seconds.values())
    return seconds


def main(arguments=None) -> None:
    parser = step_parser("where", __doc__)
    parser.add_argument("--algorithm", default="auto", help="im2col for the matrix products alone")
    parser.add_argument("--inside", action="store_true", help="the stages of tiles, each a part")
    chosen = parser.parse_args(arguments)
    task = step_task(chosen)
    keep_freed_memory()  # as the training commands do
    seconds = profile(task, chosen.steps, chosen.algorithm, chosen.inside)
    whole = sum(seconds.values())
    print(f"{chosen.system}: {whole[0]:.3f} s a step, {whole[1]:.3f} s of processor\n")
    print("|  | | seconds | share | cores busy |\n|---|---|---:|---:|---:|")
    for (what, face), (wall, busy) in sorted(seconds.items(), key=lambda item: -item[1][0]):
        share = wall / whole[0]
        print(f"| {what} | {face} | {wall:.4f} | {share:.1%} | {busy / max(wall, 1e-9):.2f} |")


if __name__ == "__main__":
    main()
