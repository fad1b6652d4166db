"""Losses: the value and the gradient in two launches; the plain versions are in `tinygan.losses`.

`target` is a number or an array of the prediction's shape.
"""

from __future__ import annotations

import numpy as np

from tinygan.fast.cuda.module import THREADS, launch, usable
from tinygan.fast.dispatch import override
from tinygan.machine.arrays import Array, get_xp

_BLOCKS = 256  # at most, of which each adds up as many elements as it must
_NUMBERS = (int, float, np.integer, np.floating)


def _usable(prediction: Array, target: Array) -> bool:
    if isinstance(target, _NUMBERS):
        return usable(prediction)
    return usable(prediction, target) and target.shape == prediction.shape


def _run(name: str, prediction: Array, target: Array) -> tuple[Array, Array]:
    xp, dtype, n = get_xp(prediction), prediction.dtype, prediction.size
    gradient = xp.empty_like(prediction)
    number = isinstance(target, _NUMBERS)
    count = min(_BLOCKS, -(-n // THREADS))
    sums, loss = xp.empty((count,), dtype), xp.empty((), dtype)
    launch(name, dtype, (count,), prediction, None if number else target, gradient, sums,
           float(target) if number else 0.0, 1 / n, n)  # fmt: skip
    launch("sum_of_blocks", dtype, (1,), sums, loss, 1 / n, count)
    return loss, gradient


@override("bce_with_logits", "cupy", _usable)
def bce_with_logits(score: Array, target: Array) -> tuple[Array, Array]:
    return _run("bce_with_logits", score, target)


@override("mse", "cupy", _usable)
def mse(prediction: Array, target: Array) -> tuple[Array, Array]:
    return _run("mse", prediction, target)


@override("l1", "cupy", _usable)
def l1(prediction: Array, target: Array) -> tuple[Array, Array]:
    return _run("l1", prediction, target)
