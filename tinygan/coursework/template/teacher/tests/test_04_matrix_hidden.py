"""Exercise 4, hidden: other kernels, strides and paddings."""

import numpy as np
import pytest

from tinygan.convolution.naive import convolve

IMPLEMENTATION = "exercises/matrix.py"


@pytest.mark.points(3, visibility="after_published")
def test_a_convolution_as_a_product(impl, outputcheck):
    """im2col and col2im: other kernels, strides and paddings"""
    rng = np.random.default_rng(0)
    for kernel, stride, padding, size in (((4, 4), 2, 1, (6, 8)), ((3, 1), 1, 0, (5, 4))):
        x, w = rng.standard_normal((2, *size, 3)), rng.standard_normal((*kernel, 3, 2))
        due = convolve(x, w, (stride, stride), (padding, padding))
        patches = impl.im2col(x.copy(), kernel, stride, padding)
        outputcheck((patches @ w.reshape(-1, 2)).reshape(due.shape), due, rtol=1e-5)
        other = rng.standard_normal(patches.shape)
        back = impl.col2im(other.copy(), x.shape, kernel, stride, padding)
        outputcheck((back * x).sum(), (patches * other).sum(), rtol=1e-5)
