"""Activations, each a single launch."""

from __future__ import annotations

from typing import Any

from tinygan.fast.cuda.module import blocks, launch, usable
from tinygan.fast.dispatch import override
from tinygan.machine.arrays import Array, get_xp


def _run(name: str, *arrays: Array, slope: tuple[float, ...] = ()) -> Array:
    """Launch an elementwise kernel; return its new output."""
    first = arrays[0]
    out = get_xp(first).empty_like(first)
    launch(name, first.dtype, blocks(first.size), *arrays, out, *slope, first.size)
    return out


@override("relu", "cupy", usable)
def relu(x: Array) -> tuple[Array, Any]:
    y = _run("relu", x)
    return y, y


@override("relu_backward", "cupy", usable)
def relu_backward(dy: Array, y: Array) -> Array:
    return _run("relu_backward", dy, y)


@override("leaky_relu", "cupy", usable)
def leaky_relu(x: Array, negative_slope: float) -> tuple[Array, Any]:
    y = _run("leaky_relu", x, slope=(float(negative_slope),))
    return y, (y, negative_slope)


@override("leaky_relu_backward", "cupy", usable)
def leaky_relu_backward(dy: Array, cache: Any) -> Array:
    y, negative_slope = cache
    return _run("leaky_relu_backward", dy, y, slope=(float(negative_slope),))


@override("tanh", "cupy", usable)
def tanh(x: Array) -> tuple[Array, Any]:
    y = _run("tanh_forward", x)
    return y, y


@override("tanh_backward", "cupy", usable)
def tanh_backward(dy: Array, y: Array) -> Array:
    return _run("tanh_backward", dy, y)


@override("sigmoid", "cupy", usable)
def sigmoid(x: Array) -> tuple[Array, Any]:
    y = _run("sigmoid", x)
    return y, y


@override("sigmoid_backward", "cupy", usable)
def sigmoid_backward(dy: Array, y: Array) -> Array:
    return _run("sigmoid_backward", dy, y)


@override("add_channels", "cupy", usable)
def add_channels(y: Array, b: Array) -> Array:
    """Write over `y`."""
    y += b
    return y
