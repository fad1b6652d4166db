"""Exercise 5: convolution."""

import numpy as np
import pytest

from tinygan.convolution.naive import convolve

IMPLEMENTATION = "exercises/conv.py"


def arguments(stride, padding, size=(5, 5), seed=0):
    rng = np.random.default_rng(seed)
    x, w = rng.standard_normal((2, *size, 2)), rng.standard_normal((3, 3, 2, 3))
    return x, w, rng.standard_normal(3), stride, padding


def due(x, w, b, s, p):
    return convolve(x, w, (s, s), (p, p)) + b


@pytest.mark.points(4)
def test_forward(impl, outputcheck, seed):
    """convolution: the output"""
    x, w, b, s, p = arguments(1, 0, seed=seed)
    y, _ = impl.conv2d(x.copy(), w.copy(), b.copy(), s, p)
    outputcheck(y, due(x, w, b, s, p))


@pytest.mark.points(3)
def test_forward_strided(impl, outputcheck, seed):
    """convolution: the output with stride 2 and padding 1"""
    x, w, b, s, p = arguments(2, 1, seed=seed)
    y, _ = impl.conv2d(x.copy(), w.copy(), b.copy(), s, p)
    outputcheck(y, due(x, w, b, s, p))


@pytest.mark.points(5)
def test_gradient(impl, gradcheck, seed):
    """convolution: the gradients of x, w and b, with padding and without"""
    for padding in (1, 0):
        given = arguments(1, padding, seed=seed)
        gradcheck((impl.conv2d, impl.conv2d_backward), *given, output=due)
