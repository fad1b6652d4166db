"""Adam in slices that stay in the cache; the plain version is `tinygan.optim.Adam.update`."""

from __future__ import annotations

import numpy as np

from tinygan.fast.adam import is_adam, numbers_of
from tinygan.fast.cpu.slices import SLICE
from tinygan.fast.dispatch import override
from tinygan.machine.parallel import for_slices, workspace


@override("update_all", "numpy", lambda *a: is_adam(*a) and a[0][0].dtype.char in "fd")
def update_all(thetas, gradients, slots, adam):
    numbers = numbers_of(adam)
    for theta, g, (m, v) in zip(thetas, gradients, slots, strict=True):
        if all(array.flags.c_contiguous for array in (theta, g, m, v)):
            _update(*(array.reshape(-1) for array in (theta, g, m, v)), *numbers)
        else:
            adam.update(theta, g, m, v)


def _update(theta, g, m, v, rate, beta1, beta2, eps):
    def update(a, b):
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
