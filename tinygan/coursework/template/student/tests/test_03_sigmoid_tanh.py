"""Exercise 3: sigmoid and tanh."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/sigmoid_tanh.py"


def numbers(seed):
    """Return other numbers for each student who is graded."""
    return 2 * np.random.default_rng(seed).standard_normal((3, 4))


def right_sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.points(1)
def test_sigmoid(impl, outputcheck, seed):
    """sigmoid: the output"""
    x = numbers(seed)
    outputcheck(impl.sigmoid(x.copy())[0], right_sigmoid(x))


@pytest.mark.points(1)
def test_sigmoid_gradient(impl, gradcheck, seed):
    """sigmoid: the gradient"""
    gradcheck((impl.sigmoid, impl.sigmoid_backward), numbers(seed), output=right_sigmoid)


@pytest.mark.points(1)
def test_tanh(impl, outputcheck, seed):
    """tanh: the output"""
    x = numbers(seed)
    outputcheck(impl.tanh(x.copy())[0], np.tanh(x))


@pytest.mark.points(1)
def test_tanh_gradient(impl, gradcheck, seed):
    """tanh: the gradient"""
    gradcheck((impl.tanh, impl.tanh_backward), numbers(seed), output=np.tanh)
