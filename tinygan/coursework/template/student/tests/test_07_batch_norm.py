"""Exercise 7: batch normalisation."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/batch_norm.py"
RNG = np.random.default_rng(0)
X, GAMMA, BETA = 1 + 2 * RNG.standard_normal((3, 3, 2, 4)), RNG.uniform(0.5, 2, 4), RNG.random(4)
MEAN, VAR = X.mean(axis=(0, 1, 2)), X.var(axis=(0, 1, 2))
DUE = GAMMA * (X - MEAN) / np.sqrt(VAR + 1e-5) + BETA


@pytest.mark.points(3)
def test_forward(impl, outputcheck):
    """batch normalisation: the output"""
    y, _ = impl.batch_norm(X.copy(), GAMMA.copy(), BETA.copy())
    outputcheck(y, DUE)


@pytest.mark.points(6)
def test_gradient(impl, gradcheck):
    """batch normalisation: the gradients of x, γ and β"""
    gradcheck((impl.batch_norm, impl.batch_norm_backward), X, GAMMA, BETA, output=DUE)
