"""Exercise 1, hidden: other shapes, and float32 that stays float32."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/relu.py"


@pytest.mark.points(1, visibility="after_published")
def test_other_inputs(impl, gradcheck, outputcheck):
    """ReLU: images, and float32"""
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 2))
    gradcheck((impl.relu, impl.relu_backward), x, output=lambda x: np.maximum(x, 0))
    y, cache = impl.relu(x.astype(np.float32))
    outputcheck(y, np.maximum(x, 0), rtol=1e-5)
    dx = impl.relu_backward(np.ones_like(y), cache)
    dx = dx[0] if isinstance(dx, tuple) else dx
    assert y.dtype == dx.dtype == np.float32, f"float32 became {y.dtype} and {dx.dtype}"
