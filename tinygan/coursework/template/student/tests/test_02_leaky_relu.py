"""Exercise 2: leaky ReLU."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/leaky_relu.py"
X = np.array([[-2.0, -0.5, 3.0], [0.25, -1.0, 4.0]])


def numbers(seed):
    """Return other numbers for each student who is graded."""
    return np.random.default_rng(seed).standard_normal((2, 3))


def due(x, slope):
    return np.where(x > 0, x, slope * x)


@pytest.mark.points(1)
def test_forward(impl, outputcheck, seed):
    """leaky ReLU: the output"""
    for x in (X, numbers(seed)):
        outputcheck(impl.leaky_relu(x.copy(), 0.5)[0], due(x, 0.5))


@pytest.mark.points(2)
def test_gradient(impl, gradcheck, seed):
    """leaky ReLU: the gradient"""
    for x in (X, numbers(seed)):
        gradcheck((impl.leaky_relu, impl.leaky_relu_backward), x, 0.2, output=due)
