"""Exercise 1: ReLU."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/relu.py"
X = np.array([[-2.0, -0.5, 3.0], [0.25, -1.0, 4.0]])


@pytest.mark.points(1)
def test_forward(impl, outputcheck):
    """ReLU: the output"""
    y, _ = impl.relu(X.copy())
    outputcheck(y, [[0, 0, 3], [0.25, 0, 4]])


@pytest.mark.points(2)
def test_gradient(impl, gradcheck):
    """ReLU: the gradient"""
    gradcheck((impl.relu, impl.relu_backward), X, output=np.maximum(X, 0))
