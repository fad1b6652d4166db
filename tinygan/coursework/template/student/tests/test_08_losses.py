"""Exercise 8: the losses of GANs."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/losses.py"
P = np.random.default_rng(0).uniform(0.1, 0.9, (4, 3))
S = np.random.default_rng(1).uniform(-2, 2, (4, 3))
T = np.array([[1.0, 0, 0.9]] * 4)


@pytest.mark.points(1)
def test_bce(impl, gradcheck, outputcheck):
    """bce: loss and gradient"""
    outputcheck(impl.bce(P.copy(), T)[0], -np.mean(T * np.log(P) + (1 - T) * np.log(1 - P)))
    gradcheck(impl.bce, P, T)


@pytest.mark.points(2)
def test_bce_with_logits(impl, gradcheck, outputcheck):
    """bce_with_logits: loss and gradient"""
    p = 1 / (1 + np.exp(-S))
    due = -np.mean(T * np.log(p) + (1 - T) * np.log(1 - p))
    outputcheck(impl.bce_with_logits(S.copy(), T)[0], due)
    gradcheck(impl.bce_with_logits, S, T)


@pytest.mark.points(2)
def test_least_squares(impl, gradcheck, outputcheck):
    """least squares: loss and gradient"""
    outputcheck(impl.least_squares(S.copy(), T)[0], np.mean((S - T) ** 2))
    gradcheck(impl.least_squares, S, T)
