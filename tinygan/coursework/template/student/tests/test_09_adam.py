"""Exercise 9: Adam."""

import numpy as np
import pytest

from tinygan import Adam, Parameter

IMPLEMENTATION = "exercises/adam.py"


@pytest.mark.points(1)
def test_the_first_step(impl, outputcheck):
    """Adam: the first step is the learning rate, whatever the gradient's size"""
    g, zero = np.array([5.0, -0.01]), np.zeros(2)
    theta, m, v = impl.adam_step(np.ones(2), g, zero, zero, 1, lr=0.1)
    outputcheck(theta, [0.9, 1.1], rtol=1e-5)
    outputcheck(m, 0.5 * g)
    outputcheck(v, 0.001 * g * g)


@pytest.mark.points(2)
def test_further_steps(impl, outputcheck, seed):
    """Adam: three steps"""
    gradients = np.random.default_rng(seed).standard_normal((3, 2))
    parameter = Parameter(np.zeros(2))
    adam = Adam([parameter], lr=0.1, betas=(0.5, 0.999))
    theta, m, v = np.zeros(2), np.zeros(2), np.zeros(2)
    for t, g in enumerate(gradients, start=1):
        theta, m, v = impl.adam_step(theta, g.copy(), m, v, t, lr=0.1)
        parameter.grad[...] = g
        adam.step()
    outputcheck(theta, parameter.data)
