"""Exercise 8, hidden: large scores, one number as the target."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/losses.py"


def right_bce_with_logits(s, t):
    return np.mean(t * np.logaddexp(0, -s) + (1 - t) * np.logaddexp(0, s))


@pytest.mark.points(2, visibility="after_published")
def test_large_scores(impl, outputcheck, gradcheck):
    """losses: large scores overflow nowhere, a target may be one number"""
    scores = np.array([[1000.0, -1000.0], [0.0, 30.0]])
    loss, gradient = impl.bce_with_logits(scores.copy(), 1.0)
    outputcheck(loss, (1000 + np.log(2) + np.log1p(np.exp(-30))) / 4)
    outputcheck(gradient, [[0, -0.25], [-0.125, -np.exp(-30) / 4]], rtol=1e-6)
    x = np.random.default_rng(0).standard_normal((2, 3, 3, 1))
    gradcheck(impl.bce_with_logits, x, 0.9, output=right_bce_with_logits)
    gradcheck(impl.least_squares, x, 0.0, output=lambda s, t: np.mean((s - t) ** 2))
