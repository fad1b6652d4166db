"""Averages of weights in slices; the plain version is `tinygan.averages.average_all`."""

from __future__ import annotations

import numpy as np

from tinygan.fast.cpu.slices import SLICE
from tinygan.fast.dispatch import override
from tinygan.machine.arrays import Array
from tinygan.machine.parallel import for_slices, workspace


@override("average_all", "numpy", lambda averages, *_: averages[0].dtype.char in "fd")
def average_all(averages: list[Array], thetas: list[Array], decay: float) -> None:
    for average, theta in zip(averages, thetas, strict=True):
        if average.flags.c_contiguous and theta.flags.c_contiguous:
            _average(average.reshape(-1), theta.reshape(-1), decay)
        else:
            average[...] = decay * average + (1 - decay) * theta


def _average(average: Array, theta: Array, decay: float) -> None:
    def update(a: int, b: int) -> None:
        new = workspace("average", (b - a,), theta.dtype)
        np.multiply(theta[a:b], 1 - decay, out=new)
        average[a:b] *= decay
        average[a:b] += new

    for_slices(update, theta.size, SLICE)
