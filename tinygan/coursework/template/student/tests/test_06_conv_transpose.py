"""Exercise 6: transposed convolution."""

import numpy as np
import pytest

from tinygan.convolution.naive import convolve_grad_input

IMPLEMENTATION = "exercises/conv_transpose.py"


def arguments(stride, padding, kernel=4, seed=0):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, 3, 2, 2)), rng.standard_normal((kernel, kernel, 3, 2))
    return x, w, rng.standard_normal(3), stride, padding


def due(x, w, b, s, p):
    size = tuple((n - 1) * s - 2 * p + k for n, k in zip(x.shape[1:3], w.shape[:2]))  # noqa: B905
    return convolve_grad_input(x, w, (s, s), (p, p), size) + b


@pytest.mark.points(5)
def test_forward(impl, outputcheck, seed):
    """transposed convolution: the output"""
    x, w, b, s, p = arguments(2, 1, seed=seed)
    y, _ = impl.conv_transpose2d(x.copy(), w.copy(), b.copy(), s, p)
    outputcheck(y, due(x, w, b, s, p))


@pytest.mark.points(5)
def test_gradient(impl, gradcheck, seed):
    """transposed convolution: the gradients of x, w and b"""
    given = arguments(2, 1, seed=seed)
    pair = (impl.conv_transpose2d, impl.conv_transpose2d_backward)
    gradcheck(pair, *given, output=due)
