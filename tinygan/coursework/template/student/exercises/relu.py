r"""Exercise 1: ReLU.

The rectified linear unit keeps what is positive:

    y = max(x, 0), element by element.

Its slope is 1 where x > 0 and 0 elsewhere, so with dy, the gradient of the loss with respect to y,
the chain rule gives

    dx = dy where x > 0, else 0.

Every function pair of this course looks like this one: the forward pass returns its output and
what the backward pass will need (the cache); the backward pass turns dy into dx.  Write into no
array that you were given: the caller still needs x and dy.
"""

import numpy as np  # noqa: F401


def relu(x):
    """Return ``(y, cache)`` for an array x of any shape."""
    raise NotImplementedError("relu: compute y = max(x, 0)")


def relu_backward(dy, cache):
    """Return dx, of the shape of x."""
    raise NotImplementedError("relu_backward: pass dy on where x > 0")
