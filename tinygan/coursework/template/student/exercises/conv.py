r"""Exercise 5: convolution.

Images x are (N, H, W, C), weights w are (KH, KW, C, O), the bias b is (O,).  With stride s and
padding p (x is zero outside the image),

    y[n, i, j, o] = b[o] + Σ_{a, b', c} x[n, s·i + a − p, s·j + b' − p, c] · w[a, b', c, o].

y is linear in x, in w and in b; so each gradient is the same sum, read from another side:

    dx[n, h, v, c]   = Σ of dy[n, i, j, o] · w[a, b', c, o] over all i, j, a, b', o
                       with s·i + a − p = h and s·j + b' − p = v,
    dw[a, b', c, o]  = Σ_{n, i, j} x[n, s·i + a − p, s·j + b' − p, c] · dy[n, i, j, o],
    db[o]            = Σ_{n, i, j} dy[n, i, j, o].

As a matrix product: Y = P W with P the windows of exercise 4 (you may write
``from matrix import im2col, col2im``), hence dP = dY Wᵀ, dW = Pᵀ dY.  Loops over windows are right
too, but the last exercise trains a network with your function: loop over KH·KW at most.
"""

import numpy as np  # noqa: F401


def conv2d(x, w, b, stride, padding):
    """Return ``(y, cache)`` with y of shape (N, OH, OW, O)."""
    raise NotImplementedError("conv2d: the sum over every window")


def conv2d_backward(dy, cache):
    """Return ``(dx, dw, db)``."""
    raise NotImplementedError("conv2d_backward: the three gradients of the same sum")
