"""Exercise 2: leaky ReLU."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/leaky_relu.py"
X = np.array([[-2.0, -0.5, 3.0], [0.25, -1.0, 4.0]])


@pytest.mark.points(1)
def test_forward(impl, outputcheck):
    """leaky ReLU: the output"""
    y, _ = impl.leaky_relu(X.copy(), 0.5)
    outputcheck(y, [[-1, -0.25, 3], [0.25, -0.5, 4]])


@pytest.mark.points(2)
def test_gradient(impl, gradcheck):
    """leaky ReLU: the gradient"""
    due = np.where(X > 0, X, 0.2 * X)
    gradcheck((impl.leaky_relu, impl.leaky_relu_backward), X, 0.2, output=due)
