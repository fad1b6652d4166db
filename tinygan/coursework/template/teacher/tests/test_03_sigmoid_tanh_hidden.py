"""Exercise 3, hidden: large numbers."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/sigmoid_tanh.py"
X = np.array([-1000.0, -40.0, 0.0, 40.0, 1000.0])


@pytest.mark.points(2, visibility="after_published")
def test_large_numbers(impl, outputcheck):
    """sigmoid and tanh: large numbers overflow nowhere"""
    small = np.exp(-40.0)
    for function, backward, due, slopes in (
        (impl.sigmoid, impl.sigmoid_backward, [0, 4.248354e-18, 0.5, 1, 1], [0, small, 0.25, 0, 0]),
        (impl.tanh, impl.tanh_backward, [-1, -1, 0, 1, 1], [0, 0, 1, 0, 0]),
    ):
        y, cache = function(X.copy())
        outputcheck(y, due)
        outputcheck(backward(np.ones(5), cache), slopes)
