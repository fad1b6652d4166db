"""Arrays of several slices: the same bits at any thread count, and sums that stay exact enough."""

import numpy as np
import pytest

from tinygan import Adam, BatchNorm2d, Conv2d, InstanceNorm2d, LeakyReLU, Parameter, Sequential
from tinygan.fast.cpu.slices import SLICE
from tinygan.layers.conv import sum_channels
from tinygan.machine.parallel import get_num_threads, set_num_threads

SHAPE = (3, 64, 64, 96)  # an image alone has more than one slice
assert np.prod(SHAPE[1:]) > SLICE


@pytest.fixture(scope="module")
def arrays():
    rng = np.random.default_rng(0)
    return tuple(rng.standard_normal(SHAPE, np.float32) + np.float32(3) for _ in range(2))


def _at_thread_counts(function):
    before, results = get_num_threads(), []
    try:
        for count in (1, 2, 5):
            set_num_threads(count)
            results.append(function())
    finally:
        set_num_threads(before)
    return results


@pytest.mark.parametrize(
    "make",
    [
        lambda: BatchNorm2d(96),
        lambda: InstanceNorm2d(96, affine=True),
        lambda: Sequential(BatchNorm2d(96), LeakyReLU(0.2)),
        lambda: LeakyReLU(0.2),
        lambda: Conv2d(96, 2, 1, rng=0),
    ],
    ids=["BatchNorm2d", "InstanceNorm2d", "with activation", "LeakyReLU", "Conv2d"],
)
def test_layers_give_the_same_bits(make, arrays):
    x, dy = arrays

    def walk():
        layer = make()
        y, backward = layer(x)
        dx = backward(dy[..., : y.shape[-1]])
        return [y, dx, *(p.grad for p in layer.parameters())]

    first, *others = _at_thread_counts(walk)
    for other in others:
        for a, b in zip(first, other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_adam_takes_the_same_step():
    start = np.random.default_rng(0).standard_normal(3 * SLICE + 5, np.float32)

    def step():
        parameter = Parameter(start.copy())
        parameter.grad += start
        adam = Adam([parameter])
        adam.step()
        adam.step()
        return parameter.data

    first, *others = _at_thread_counts(step)
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_sums_over_many_pixels_are_exact_to_float32(arrays):
    for array in arrays:
        exact = array.astype(np.float64).sum(axis=(0, 1, 2))
        np.testing.assert_allclose(sum_channels(array), exact, rtol=3e-6)


def test_statistics_far_from_zero_are_exact_to_float32(arrays):
    x = arrays[0] * 0.01 + np.float32(10)  # mean / std = 1000
    y, _ = BatchNorm2d(96)(x)
    exact = x.astype(np.float64)
    exact -= exact.mean(axis=(0, 1, 2))
    exact /= np.sqrt(exact.var(axis=(0, 1, 2)) + 1e-5)
    assert abs(y - exact).max() < 1e-4 * abs(exact).max()
