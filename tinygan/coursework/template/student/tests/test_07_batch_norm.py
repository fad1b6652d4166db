"""Exercise 7: batch normalisation."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/batch_norm.py"


def arguments(seed):
    """Return other numbers for each student who is graded."""
    rng = np.random.default_rng(seed)
    return 1 + 2 * rng.standard_normal((3, 3, 2, 4)), rng.uniform(0.5, 2, 4), rng.random(4)


def due(x, gamma, beta):
    mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    return gamma * (x - mean) / np.sqrt(var + 1e-5) + beta


@pytest.mark.points(3)
def test_forward(impl, outputcheck, seed):
    """batch normalisation: the output"""
    given = arguments(seed)
    outputcheck(impl.batch_norm(*(a.copy() for a in given))[0], due(*given))


@pytest.mark.points(6)
def test_gradient(impl, gradcheck, seed):
    """batch normalisation: the gradients of x, γ and β"""
    gradcheck((impl.batch_norm, impl.batch_norm_backward), *arguments(seed), output=due)
