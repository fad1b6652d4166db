"""Adam in slices that stay in the cache; the plain version is `tinygan.optim.Adam.update`."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan.fast.adam import is_adam, numbers_of
from tinygan.fast.cpu.slices import SLICE
from tinygan.fast.dispatch import override
from tinygan.machine.arrays import Array
from tinygan.machine.parallel import for_slices, workspace


@override("update_all", "numpy", lambda *a: is_adam(*a) and a[0][0].dtype.char in "fd")
def update_all(
    thetas: list[Array], gradients: list[Array], slots: list[tuple[Array, ...]], adam: Any
) -> None:
    numbers = numbers_of(adam)
    for theta, g, (m, v) in zip(thetas, gradients, slots, strict=True):
        whole = theta.flags.c_contiguous and g.flags.c_contiguous
        if whole and m.flags.c_contiguous and v.flags.c_contiguous:
            _update(theta.reshape(-1), g.reshape(-1), m.reshape(-1), v.reshape(-1), *numbers)
        else:
            adam.update(theta, g, m, v)


def _update(
    theta: Array, g: Array, m: Array, v: Array, rate: float, beta1: float, beta2: float, eps: float
) -> None:
    def update(a: int, b: int) -> None:
        new = workspace("adam", (b - a,), g.dtype)
        for average, beta in ((m, beta1), (v, beta2)):
            np.multiply(g[a:b], 1 - beta, out=new)
            if average is v:
                new *= g[a:b]
            average[a:b] *= beta
            average[a:b] += new
        np.sqrt(v[a:b], out=new)
        new += eps
        np.divide(m[a:b], new, out=new)
        new *= rate
        theta[a:b] -= new

    for_slices(update, theta.size, SLICE)
