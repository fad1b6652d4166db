"""Exercise 2, hidden: other slopes."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/leaky_relu.py"


@pytest.mark.points(1, visibility="after_published")
def test_other_slopes(impl, gradcheck):
    """leaky ReLU: other slopes"""
    x = np.random.default_rng(0).standard_normal((3, 4))
    pair = (impl.leaky_relu, impl.leaky_relu_backward)
    for slope in (0.0, 0.01, 0.7):
        gradcheck(pair, x, slope, output=lambda x, slope: np.where(x > 0, x, slope * x))
