"""Activations: functions of one number, applied to every element.

Each remembers only its output, which the next layer remembers anyway.
"""

from __future__ import annotations

from typing import Any

from tinygan.checks import count, number
from tinygan.fast import accelerated
from tinygan.initialize import normal
from tinygan.layer import Layer, Parameter
from tinygan.layers import _check
from tinygan.machine.arrays import Array, get_xp

__all__ = [
    "LeakyReLU",
    "PReLU",
    "ReLU",
    "Sigmoid",
    "Tanh",
    "leaky_relu",
    "leaky_relu_backward",
    "prelu",
    "prelu_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "tanh",
    "tanh_backward",
]


@accelerated
def relu(x: Array) -> tuple[Array, Any]:
    """Return ``y = max(x, 0)`` and what `relu_backward` needs."""
    y = get_xp(x).maximum(x, 0)
    return y, y


@accelerated
def relu_backward(dy: Array, y: Array) -> Array:
    """Return ``dx``: dy where x > 0, else 0.  ``y > 0`` says where that is."""
    return (y > 0) * dy


@accelerated
def leaky_relu(x: Array, negative_slope: float) -> tuple[Array, Any]:
    """Return x where x > 0, else ``negative_slope · x``, and what the gradient needs."""
    y = get_xp(x).where(x > 0, x, negative_slope * x)
    return y, (y, negative_slope)


@accelerated
def leaky_relu_backward(dy: Array, cache: Any) -> Array:
    """Return ``dx``: dy where x > 0, else ``negative_slope · dy``."""
    y, negative_slope = cache
    return get_xp(dy, y).where(y > 0, dy, negative_slope * dy)


@accelerated
def tanh(x: Array) -> tuple[Array, Any]:
    """Return ``tanh(x)`` and what `tanh_backward` needs."""
    y = get_xp(x).tanh(x)
    return y, y


@accelerated
def tanh_backward(dy: Array, y: Array) -> Array:
    """Return ``dx = (1 − y²) dy``."""
    return (1 - y * y) * dy


@accelerated
def sigmoid(x: Array) -> tuple[Array, Any]:
    """Return ``y = 1 / (1 + exp(−x))``, written so that it overflows nowhere, and the cache."""
    y = (1 + get_xp(x).tanh(x / 2)) / 2
    return y, y


@accelerated
def sigmoid_backward(dy: Array, y: Array) -> Array:
    """Return ``dx = y (1 − y) dy``."""
    return y * (1 - y) * dy


def prelu(x: Array, a: Array) -> tuple[Array, Any]:
    """Return x where x > 0, else ``a · x``, and what the gradient needs."""
    return get_xp(x, a).where(x > 0, x, a * x), (x, a)


def prelu_backward(dy: Array, cache: Any) -> tuple[Array, Array]:
    """Return ``dx``, dy or ``a · dy``, and ``da``, the sum of ``x · dy`` where x ≤ 0."""
    x, a = cache
    xp = get_xp(dy, x)
    da = xp.where(x > 0, 0, x * dy).reshape(-1, x.shape[-1]).sum(axis=0)
    return xp.where(x > 0, dy, a * dy), da if a.size > 1 else da.sum(keepdims=True)


class ReLU(Layer):
    r"""The rectified linear unit, :math:`y = \max(x, 0)`.

    Notes
    -----
    :math:`dx = dy` where :math:`x > 0` and 0 elsewhere; at the kink :math:`x = 0` it is taken as 0.
    Since :math:`y > 0` exactly where :math:`x > 0`, the output is all that is remembered.

    References
    ----------
    "ReLU activation was used after batch normalization layers": DeepFake Generation … DCGAN,
    section III.A, first experiment.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = ReLU()(np.array([-2.0, 3.0]))
    >>> y, backward(np.array([10.0, 10.0]))
    (array([0., 3.]), array([ 0., 10.]))
    """

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.floats(self, x)
        return relu(x)

    def backward(self, dy: Array, cache: Any) -> Array:
        return relu_backward(dy, cache)


class LeakyReLU(Layer):
    r"""The leaky rectified linear unit: x where x > 0, else :math:`\alpha x`.

    Parameters
    ----------
    negative_slope : float
        α, at least 0.  The first paper calls it the leak and does not state it; 0.2 is usual.

    Notes
    -----
    :math:`dx = dy` where :math:`x > 0` and :math:`\alpha\,dy` elsewhere: unlike `ReLU` it passes
    some gradient everywhere.

    References
    ----------
    DeepFake Generation … DCGAN, section III.A, second experiment.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = LeakyReLU(0.25)(np.array([-2.0, 3.0]))
    >>> y, backward(np.array([8.0, 8.0]))
    (array([-0.5,  3. ]), array([2., 8.]))
    """

    def __init__(self, negative_slope: float = 0.2):
        self.negative_slope = number(negative_slope, "LeakyReLU: negative_slope", "[0, inf)")

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.floats(self, x)
        return leaky_relu(x, self.negative_slope)

    def backward(self, dy: Array, cache: Any) -> Array:
        return leaky_relu_backward(dy, cache)

    def __repr__(self) -> str:
        return f"LeakyReLU({self.negative_slope:g})"


class PReLU(Layer):
    r"""The leaky ReLU whose slope is learnt: x where x > 0, else :math:`a x`.

    Parameters
    ----------
    channels : int
        One slope for each channel; 1: one for all of them.
    negative_slope : float
        The initial a.

    Attributes
    ----------
    weight : Parameter
        a, of shape ``(channels,)``.

    Notes
    -----
    :math:`dx = dy` where :math:`x > 0` and :math:`a\,dy` elsewhere; :math:`da = \sum x\,dy` over
    the elements of a channel where :math:`x \le 0`.  a may become negative, so the input is
    remembered and not the output.

    References
    ----------
    He, Zhang, Ren, Sun, *Delving Deep into Rectifiers*, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> layer = PReLU()
    >>> y, backward = layer(np.array([[-2.0, 4.0]], np.float32))
    >>> y.tolist(), backward(np.ones_like(y)).tolist(), layer.weight.grad.tolist()
    ([[-0.5, 4.0]], [[0.25, 1.0]], [-2.0])
    """

    def __init__(self, channels: int = 1, negative_slope: float = 0.25):
        self.channels = count(channels, "PReLU: channels")
        slope = number(negative_slope, "PReLU: negative_slope", "(-inf, inf)")
        self.weight = Parameter(normal((channels,), std=0.0, mean=slope))

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.features(self, x, self.channels if self.channels > 1 else None, self.weight.data)
        y, cache = prelu(x, self.weight.data)
        return y, (*cache, self.weight.frozen)

    def backward(self, dy: Array, cache: Any) -> Array:
        x, a, weight_frozen = cache
        dx, da = prelu_backward(dy, (x, a))
        if not weight_frozen:
            self.weight.grad += da
        return dx

    def __repr__(self) -> str:
        return f"PReLU({self.channels})"


class Tanh(Layer):
    r"""The hyperbolic tangent, :math:`y = \tanh x`, which ends both papers' generators.

    Notes
    -----
    From :math:`\tanh' = 1 - \tanh^2`: :math:`dx = (1 - y^2)\,dy`.

    References
    ----------
    "We pass our final image through a tanh activation to squash the pixel range between (−1, 1)":
    DeepFake Generation … DCGAN, section II.A.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = Tanh()(np.zeros(1))
    >>> y, backward(np.ones(1))
    (array([0.]), array([1.]))
    """

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.floats(self, x)
        return tanh(x)

    def backward(self, dy: Array, cache: Any) -> Array:
        return tanh_backward(dy, cache)


class Sigmoid(Layer):
    r"""The logistic function, :math:`y = 1 / (1 + e^{-x})`, which turns a score into a probability.

    Notes
    -----
    From :math:`y' = y (1 - y)`: :math:`dx = y (1 - y)\,dy`.

    References
    ----------
    "We pass the final output through sigmoid activation": DeepFake Generation … DCGAN,
    section II.A.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = Sigmoid()(np.array([0.0, 1000.0, -1000.0]))
    >>> y, backward(np.ones(3))
    (array([0.5, 1. , 0. ]), array([0.25, 0.  , 0.  ]))
    """

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.floats(self, x)
        return sigmoid(x)

    def backward(self, dy: Array, cache: Any) -> Array:
        return sigmoid_backward(dy, cache)
