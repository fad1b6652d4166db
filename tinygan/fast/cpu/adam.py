"""Adam in slices that stay in the cache; the plain version is `tinygan.optim.Adam.update`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tinygan.fast.adam import is_adam, numbers_of
from tinygan.fast.cpu.slices import SLICE
from tinygan.fast.dispatch import override
from tinygan.machine.arrays import Array
from tinygan.machine.parallel import run, split, workspace


@override("update_all", "numpy", lambda *a: is_adam(*a) and a[0][0].dtype.char in "fd")
def update_all(
    thetas: list[Array], gradients: list[Array], slots: list[tuple[Array, ...]], adam: Any
) -> None:
    tasks, numbers = [], numbers_of(adam)
    for theta, g, (m, v) in zip(thetas, gradients, slots, strict=True):
        arrays = theta, g, m, v
        if all(array.flags.c_contiguous for array in arrays):
            theta, g, m, v = (array.reshape(-1) for array in arrays)
            for a, b in split(theta.size, SLICE):
                tasks.append(partial(_update, theta[a:b], g[a:b], m[a:b], v[a:b], *numbers))
        else:
            adam.update(*arrays)
    run(tasks)


def _update(
    theta: Array, g: Array, m: Array, v: Array, rate: float, beta1: float, beta2: float, eps: float
) -> None:
    new = workspace("adam", g.shape, g.dtype)
    for average, beta in ((m, beta1), (v, beta2)):
        np.multiply(g, 1 - beta, out=new)
        if average is v:
            new *= g
        average *= beta
        average += new
    np.sqrt(v, out=new)
    new += eps
    np.divide(m, new, out=new)
    new *= rate
    theta -= new
