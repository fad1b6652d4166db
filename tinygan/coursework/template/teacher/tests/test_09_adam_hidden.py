"""Exercise 9, hidden: other settings, and arrays that stay as they are."""

import numpy as np
import pytest

from tinygan import Adam, Parameter

IMPLEMENTATION = "exercises/adam.py"


@pytest.mark.points(2, visibility="after_published")
def test_other_settings(impl, outputcheck):
    """Adam: other settings; the given arrays stay as they are"""
    rng = np.random.default_rng(0)
    parameter = Parameter(rng.standard_normal((3, 2)))
    adam = Adam([parameter], lr=0.01, betas=(0.8, 0.9), eps=1e-3)
    theta, m, v = parameter.data.copy(), np.zeros((3, 2)), np.zeros((3, 2))
    for t in range(1, 6):
        g = rng.standard_normal((3, 2))
        parameter.grad[...] = g
        adam.step()
        given = [array.copy() for array in (theta, g, m, v)]
        result = impl.adam_step(theta, g, m, v, t, lr=0.01, beta1=0.8, beta2=0.9, eps=1e-3)
        for name, array, before in zip(("theta", "g", "m", "v"), (theta, g, m, v), given):  # noqa: B905
            assert np.array_equal(array, before), f"adam_step writes into {name}"
        theta, m, v = result
    outputcheck(theta, parameter.data)
