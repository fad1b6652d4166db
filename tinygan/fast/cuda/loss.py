"""Losses: the value and the gradient in two launches; the plain versions are in `tinygan.losses`.

`target` is a number or an array of the prediction's shape.
"""

from __future__ import annotations

from tinygan.fast.cuda.module import THREADS, launch
from tinygan.machine.arrays import get_xp

_BLOCKS = 256  # at most, of which each adds up as many elements as it must


def _run(name, prediction, target):
    xp, dtype, n = get_xp(prediction), prediction.dtype, prediction.size
    gradient = xp.empty_like(prediction)
    number = isinstance(target, (int, float))
    count = min(_BLOCKS, -(-n // THREADS))
    sums, loss = xp.empty((count,), dtype), xp.empty((), dtype)
    launch(name, dtype, (count,), prediction, None if number else target, gradient, sums,
           float(target) if number else 0.0, 1 / n, n)  # fmt: skip
    launch("sum_of_blocks", dtype, (1,), sums, loss, 1 / n, count)
    return loss, gradient


def bce_with_logits(score, target):
    return _run("bce_with_logits", score, target)


def squared_error(prediction, target):
    return _run("squared_error", prediction, target)


def l1(prediction, target):
    return _run("l1", prediction, target)
