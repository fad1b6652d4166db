"""Exercise 8: the losses of GANs."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/losses.py"
T = np.array([[1.0, 0, 0.9]] * 4)


def between(low, high, seed):
    """Return other numbers for each student who is graded."""
    return np.random.default_rng(seed).uniform(low, high, (4, 3))


def right_bce(p, t):
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))


def right_bce_with_logits(s, t):
    return right_bce(1 / (1 + np.exp(-s)), t)


def right_least_squares(s, t):
    return np.mean((s - t) ** 2)


@pytest.mark.points(1)
def test_bce(impl, gradcheck, seed):
    """bce: loss and gradient"""
    gradcheck(impl.bce, between(0.1, 0.9, seed), T, output=right_bce)


@pytest.mark.points(2)
def test_bce_with_logits(impl, gradcheck, seed):
    """bce_with_logits: loss and gradient"""
    gradcheck(impl.bce_with_logits, between(-2, 2, seed), T, output=right_bce_with_logits)


@pytest.mark.points(2)
def test_least_squares(impl, gradcheck, seed):
    """least squares: loss and gradient"""
    gradcheck(impl.least_squares, between(-2, 2, seed), T, output=right_least_squares)
