"""Exercise 6, hidden: other strides, and the adjoint of convolution."""

import numpy as np
import pytest

from tinygan.convolution.naive import convolve, convolve_grad_input

IMPLEMENTATION = "exercises/conv_transpose.py"


@pytest.mark.points(2, visibility="after_published")
def test_adjoint(impl, outputcheck):
    """transposed convolution: ⟨C x, y⟩ = ⟨x, Cᵀ y⟩"""
    rng = np.random.default_rng(0)
    for kernel, stride, padding, size in ((4, 2, 1, 6), (3, 1, 1, 5), (2, 2, 0, 4)):
        x = rng.standard_normal((2, size, size, 3))
        w = rng.standard_normal((kernel, kernel, 3, 2))
        forward = convolve(x, w, (stride, stride), (padding, padding))
        y = rng.standard_normal(forward.shape)
        back, _ = impl.conv_transpose2d(y.copy(), w.copy(), np.zeros(3), stride, padding)
        outputcheck((back * x).sum(), (forward * y).sum(), rtol=1e-5)


def due(x, w, b, stride, padding):
    return convolve_grad_input(x, w, (1, 1), (1, 1), (4, 3)) + b


@pytest.mark.points(2, visibility="after_published")
def test_other_gradients(impl, gradcheck):
    """transposed convolution: the gradients with stride 1"""
    rng = np.random.default_rng(1)
    x, w, b = rng.standard_normal((1, 4, 3, 3)), rng.standard_normal((3, 3, 3, 3)), np.ones(3)
    pair = (impl.conv_transpose2d, impl.conv_transpose2d_backward)
    gradcheck(pair, x, w, b, 1, 1, output=due)
