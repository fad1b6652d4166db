r"""Exercise 3: sigmoid and tanh.

    sigmoid:  y = 1 / (1 + exp(−x)),     tanh:  y = (exp(x) − exp(−x)) / (exp(x) + exp(−x)).

Both derivatives can be written with the output alone.  Derive them before you write them down:

    sigmoid' = y (1 − y),                tanh' = 1 − y².

The sigmoid turns a discriminator's score into a probability; tanh ends the generator, whose
pictures lie in [−1, 1].  Scores can be large: exp(1000) overflows.  Find a form that does not
(one way: sigmoid(x) = (1 + tanh(x / 2)) / 2).
"""

import numpy as np  # noqa: F401


def sigmoid(x):
    """Return ``(y, cache)``."""
    raise NotImplementedError("sigmoid: compute 1 / (1 + exp(−x))")


def sigmoid_backward(dy, cache):
    """Return dx."""
    raise NotImplementedError("sigmoid_backward: dy · y · (1 − y)")


def tanh(x):
    """Return ``(y, cache)``."""
    raise NotImplementedError("tanh: compute tanh(x)")


def tanh_backward(dy, cache):
    """Return dx."""
    raise NotImplementedError("tanh_backward: dy · (1 − y²)")
