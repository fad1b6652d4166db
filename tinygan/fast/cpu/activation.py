"""Activations and dropout, slice by slice."""

from __future__ import annotations

import numpy as np

from tinygan.fast.cpu.slices import elementwise, usable
from tinygan.fast.dispatch import override


@override("relu", "numpy", usable)
def relu(x):
    y = elementwise(lambda out, x: fill_leaky_relu(out, x, 0), x)
    return y, y


@override("relu_backward", "numpy", usable)
def relu_backward(dy, y):
    return elementwise(lambda out, dy, y: fill_leaky_relu_backward(out, dy, y, 0), dy, y)


@override("leaky_relu", "numpy", usable)
def leaky_relu(x, negative_slope):
    y = elementwise(lambda out, x: fill_leaky_relu(out, x, negative_slope), x)
    return y, (y, negative_slope)


@override("leaky_relu_backward", "numpy", usable)
def leaky_relu_backward(dy, cache):
    y, negative_slope = cache
    return elementwise(
        lambda out, dy, y: fill_leaky_relu_backward(out, dy, y, negative_slope), dy, y
    )


def fill_leaky_relu(out, x, negative_slope) -> None:
    """Write the leaky ReLU of a slice `x` to `out`; a slope of 0 makes it a ReLU."""
    if negative_slope:
        np.multiply(x, negative_slope, out=out)
    else:
        out[...] = 0  # NumPy's maximum of an array and a number takes three times as long
    # with a slope of at most 1 the larger of x and slope·x is the one that is wanted
    (np.maximum if negative_slope <= 1 else np.minimum)(x, out, out=out)


def fill_leaky_relu_backward(out, dy, y, negative_slope) -> None:
    """Write the gradient of a slice to `out`: ``y > 0`` exactly where x > 0, with any slope."""
    np.greater(y, 0, out=out)
    if negative_slope:  # 1 or the slope without a branch: np.where takes five times as long
        out *= 1 - negative_slope
        out += negative_slope
    out *= dy


@override("tanh", "numpy", usable)
def tanh(x):
    y = elementwise(lambda out, x: np.tanh(x, out=out), x)
    return y, y


@override("tanh_backward", "numpy", usable)
def tanh_backward(dy, y):
    def fill(out, dy, y):
        np.multiply(y, y, out=out)
        out -= 1
        out *= dy
        np.negative(out, out=out)

    return elementwise(fill, dy, y)


@override("sigmoid", "numpy", usable)
def sigmoid(x):
    def fill(out, x):
        np.multiply(x, 0.5, out=out)
        np.tanh(out, out=out)
        out += 1
        out *= 0.5

    y = elementwise(fill, x)
    return y, y


@override("sigmoid_backward", "numpy", usable)
def sigmoid_backward(dy, y):
    def fill(out, dy, y):
        np.subtract(1, y, out=out)
        out *= y
        out *= dy

    return elementwise(fill, dy, y)


@override("dropout", "numpy", lambda x, mask, scale: usable(x))
def dropout(x, mask, scale):
    return dropout_backward(x, (mask, scale)), (mask, scale)


@override("dropout_backward", "numpy", lambda dy, cache: usable(dy))
def dropout_backward(dy, cache):
    mask, scale = cache

    def fill(out, dy, mask):
        np.multiply(dy, mask, out=out)
        out *= scale

    return elementwise(fill, dy, mask)
