"""Exercise 7, hidden: vectors, and a mean that is far from zero."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/batch_norm.py"


def due(x, gamma, beta, eps):
    return gamma * (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + eps) + beta


@pytest.mark.points(2, visibility="after_published")
def test_other_gradients(impl, gradcheck):
    """batch normalisation: the gradients of another shape, and with another ε"""
    rng = np.random.default_rng(3)
    x, gamma, beta = rng.standard_normal((6, 1, 1, 3)), rng.uniform(0.5, 2, 3), rng.random(3)
    gradcheck((impl.batch_norm, impl.batch_norm_backward), x, gamma, beta, 0.1, output=due)


@pytest.mark.points(1, visibility="after_published")
def test_far_from_zero(impl, outputcheck):
    """batch normalisation: float32 whose mean is a thousand times its spread"""
    x = np.random.default_rng(0).standard_normal((8, 4, 4, 1))
    y, _ = impl.batch_norm((x + 1000).astype(np.float32), np.ones(1, "f"), np.zeros(1, "f"))
    outputcheck(y, (x - x.mean()) / x.std(), rtol=1e-2)
