"""Activations: functions of one number, applied to every element.

Each remembers only its output, which the next layer remembers anyway.
"""

from __future__ import annotations

from tinygan.fast import cuda as kernels
from tinygan.fast.cpu.slices import elementwise
from tinygan.layer import Layer
from tinygan.machine.arrays import get_xp

__all__ = [
    "LeakyReLU",
    "ReLU",
    "Sigmoid",
    "Tanh",
    "leaky_relu",
    "leaky_relu_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "tanh",
    "tanh_backward",
]


def relu(x):
    """Return ``max(x, 0)`` and what `relu_backward` needs."""
    if kernels.usable(x):
        y = kernels.relu(x)
        return y, y
    y = elementwise(lambda out, x: fill_leaky_relu(out, x, 0), x)
    return y, y


def relu_backward(dy, y):
    """Return ``dx``: dy where x > 0, else 0.  ``y > 0`` says where that is."""
    if kernels.usable(dy, y):
        return kernels.relu_backward(dy, y)
    return elementwise(lambda out, dy, y: fill_leaky_relu_backward(out, dy, y, 0), dy, y)


def leaky_relu(x, negative_slope):
    """Return x where x > 0, else ``negative_slope · x``, and what the gradient needs."""
    if kernels.usable(x):
        y = kernels.leaky_relu(x, negative_slope)
        return y, (y, negative_slope)
    y = elementwise(lambda out, x: fill_leaky_relu(out, x, negative_slope), x)
    return y, (y, negative_slope)


def leaky_relu_backward(dy, cache):
    """Return ``dx``: dy where x > 0, else ``negative_slope · dy``."""
    y, negative_slope = cache
    if kernels.usable(dy, y):
        return kernels.leaky_relu_backward(dy, y, negative_slope)
    return elementwise(
        lambda out, dy, y: fill_leaky_relu_backward(out, dy, y, negative_slope), dy, y
    )


def fill_leaky_relu(out, x, negative_slope) -> None:
    """Write the leaky ReLU of a slice `x` to `out`; a slope of 0 makes it a ReLU."""
    xp = get_xp(x)
    if negative_slope:
        xp.multiply(x, negative_slope, out=out)
    else:
        out[...] = 0  # NumPy's maximum of an array and a number takes three times as long
    # with a slope of at most 1 the larger of x and slope·x is the one that is wanted
    (xp.maximum if negative_slope <= 1 else xp.minimum)(x, out, out=out)


def fill_leaky_relu_backward(out, dy, y, negative_slope) -> None:
    """Write the gradient of a slice to `out`: ``y > 0`` exactly where x > 0, with any slope."""
    get_xp(y).greater(y, 0, out=out)
    if negative_slope:  # 1 or the slope without a branch: np.where takes five times as long
        out *= 1 - negative_slope
        out += negative_slope
    out *= dy


def tanh(x):
    """Return ``tanh(x)`` and what `tanh_backward` needs."""
    if kernels.usable(x):
        y = kernels.tanh(x)
        return y, y
    xp = get_xp(x)
    y = elementwise(lambda out, x: xp.tanh(x, out=out), x)
    return y, y


def tanh_backward(dy, y):
    """Return ``dx = (1 − y²) dy``."""
    if kernels.usable(dy, y):
        return kernels.tanh_backward(dy, y)

    def fill(out, dy, y):
        get_xp(y).multiply(y, y, out=out)
        out -= 1
        out *= dy
        get_xp(y).negative(out, out=out)

    return elementwise(fill, dy, y)


def sigmoid(x):
    """Return ``1 / (1 + exp(−x))`` and what `sigmoid_backward` needs.

    Computed as ``(1 + tanh(x/2)) / 2``, the same function, which overflows nowhere.
    """
    if kernels.usable(x):
        y = kernels.sigmoid(x)
        return y, y
    xp = get_xp(x)

    def fill(out, x):
        xp.multiply(x, 0.5, out=out)
        xp.tanh(out, out=out)
        out += 1
        out *= 0.5

    y = elementwise(fill, x)
    return y, y


def sigmoid_backward(dy, y):
    """Return ``dx = y (1 − y) dy``."""
    if kernels.usable(dy, y):
        return kernels.sigmoid_backward(dy, y)

    def fill(out, dy, y):
        get_xp(y).subtract(1, y, out=out)
        out *= y
        out *= dy

    return elementwise(fill, dy, y)


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

    def forward(self, x):
        return relu(x)

    def backward(self, dy, cache):
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
        if not negative_slope >= 0:
            raise ValueError(
                f"LeakyReLU: negative_slope: expected a number of at least 0, got {negative_slope}"
            )
        self.negative_slope = float(negative_slope)

    def forward(self, x):
        return leaky_relu(x, self.negative_slope)

    def backward(self, dy, cache):
        return leaky_relu_backward(dy, cache)

    def __repr__(self) -> str:
        return f"LeakyReLU({self.negative_slope:g})"


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

    def forward(self, x):
        return tanh(x)

    def backward(self, dy, cache):
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

    def forward(self, x):
        return sigmoid(x)

    def backward(self, dy, cache):
        return sigmoid_backward(dy, cache)
