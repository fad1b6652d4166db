"""Exercise 3: sigmoid and tanh."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/sigmoid_tanh.py"
X = np.linspace(-3, 3, 12).reshape(3, 4)


@pytest.mark.points(1)
def test_sigmoid(impl, outputcheck):
    """sigmoid: the output"""
    y, _ = impl.sigmoid(X.copy())
    outputcheck(y, 1 / (1 + np.exp(-X)))


@pytest.mark.points(1)
def test_sigmoid_gradient(impl, gradcheck):
    """sigmoid: the gradient"""
    gradcheck((impl.sigmoid, impl.sigmoid_backward), X, output=1 / (1 + np.exp(-X)))


@pytest.mark.points(1)
def test_tanh(impl, outputcheck):
    """tanh: the output"""
    y, _ = impl.tanh(X.copy())
    outputcheck(y, np.tanh(X))


@pytest.mark.points(1)
def test_tanh_gradient(impl, gradcheck):
    """tanh: the gradient"""
    gradcheck((impl.tanh, impl.tanh_backward), X, output=np.tanh(X))
