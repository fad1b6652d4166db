"""Activations, each a single launch; the plain versions are in `tinygan.layers.activation`."""

from __future__ import annotations

from tinygan.fast.cuda.module import blocks, launch
from tinygan.machine.arrays import get_xp


def _run(name, *arguments):
    """Launch an elementwise kernel on arrays and numbers; return its new output."""
    first = arguments[0]
    arrays = [a for a in arguments if not isinstance(a, float)]
    out = get_xp(first).empty_like(first)
    numbers = [a for a in arguments if isinstance(a, float)]
    launch(name, first.dtype, blocks(first.size), *arrays, out, *numbers, first.size)
    return out


def relu(x):
    return _run("relu", x)


def relu_backward(dy, y):
    return _run("relu_backward", dy, y)


def leaky_relu(x, negative_slope):
    return _run("leaky_relu", x, negative_slope)


def leaky_relu_backward(dy, y, negative_slope):
    return _run("leaky_relu_backward", dy, y, negative_slope)


def tanh(x):
    return _run("tanh_forward", x)


def tanh_backward(dy, y):
    return _run("tanh_backward", dy, y)


def sigmoid(x):
    return _run("sigmoid", x)


def sigmoid_backward(dy, y):
    return _run("sigmoid_backward", dy, y)
