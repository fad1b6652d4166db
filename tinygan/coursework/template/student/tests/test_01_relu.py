"""Exercise 1: ReLU."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/relu.py"
X = np.array([[-2.0, -0.5, 3.0], [0.25, -1.0, 4.0]])


def numbers(seed):
    """Return other numbers for each student who is graded."""
    return np.random.default_rng(seed).standard_normal((2, 3))


@pytest.mark.points(1)
def test_forward(impl, outputcheck, seed):
    """ReLU: the output"""
    for x in (X, numbers(seed)):
        outputcheck(impl.relu(x.copy())[0], np.maximum(x, 0))


@pytest.mark.points(2)
def test_gradient(impl, gradcheck, seed):
    """ReLU: the gradient"""
    for x in (X, numbers(seed)):
        gradcheck((impl.relu, impl.relu_backward), x, output=lambda x: np.maximum(x, 0))
