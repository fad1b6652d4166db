r"""Exercise 2: leaky ReLU.

Where ReLU passes no gradient at all, the leaky unit passes a little:

    y = x where x > 0, else a · x        with a slope a such as 0.2,

    dx = dy where x > 0, else a · dy.

GANs use it in the discriminator, whose gradient is all that the generator learns from.
"""

import numpy as np  # noqa: F401


def leaky_relu(x, negative_slope):
    """Return ``(y, cache)``."""
    raise NotImplementedError("leaky_relu: x where x > 0, else negative_slope · x")


def leaky_relu_backward(dy, cache):
    """Return dx."""
    raise NotImplementedError("leaky_relu_backward: dy where x > 0, else negative_slope · dy")
