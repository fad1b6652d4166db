"""Exercise 5, hidden: stride 2, one image, images that lie otherwise in memory, speed."""

import time

import numpy as np
import pytest

from tinygan.convolution.naive import convolve

IMPLEMENTATION = "exercises/conv.py"


def arguments(n, size, kernel, stride, padding, channels=2):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((n, *size, channels))
    w = rng.standard_normal((kernel, kernel, channels, channels))  # square: a transpose would fit
    return x, w, rng.standard_normal(channels), stride, padding


def due(x, w, b, s, p):
    return convolve(x, w, (s, s), (p, p)) + b


@pytest.mark.points(3, visibility="after_published")
def test_other_gradients(impl, gradcheck):
    """convolution: the gradients with stride 2 and for one image"""
    pair = (impl.conv2d, impl.conv2d_backward)
    for given in (arguments(1, (6, 4), 4, 2, 1), arguments(3, (3, 3), 3, 1, 0, channels=3)):
        gradcheck(pair, *given, output=due)


@pytest.mark.points(1, visibility="after_published")
def test_any_memory(impl, outputcheck):
    """convolution: images that lie otherwise in memory, or may not be written to"""
    x, w, b, s, p = arguments(2, (5, 5), 3, 1, 1)
    other = np.asfortranarray(x)
    other.flags.writeable = False
    outputcheck(impl.conv2d(other, w, b, s, p)[0], due(x, w, b, s, p))


@pytest.mark.points(1, visibility="after_published")
def test_speed(impl, outputcheck):
    """convolution: fast enough to train with"""
    x, w, b, s, p = arguments(16, (16, 16), 4, 2, 1, channels=8)
    start = time.perf_counter()
    y, cache = impl.conv2d(x, w, b, s, p)
    impl.conv2d_backward(np.ones_like(y), cache)
    seconds = time.perf_counter() - start
    outputcheck(y[:1], due(x[:1], w, b, s, p))
    assert seconds < 2, f"a small layer took {seconds:.1f} s: loop over the window, not the pixels"
