r"""Exercise 6: transposed convolution.

The generator has to make images larger.  A convolution of stride s makes an image about s times
smaller; it is a linear map, y = C x.  Its transpose, Cᵀ, goes the other way: every input pixel
stamps the kernel, scaled by its value, on the output, s pixels apart, and stamps that overlap add
up:

    y[n, h, v, o] = b[o] + Σ of x[n, i, j, c] · w[a, b', o, c] over all i, j, a, b', c
                    with s·i + a − p = h and s·j + b' − p = v.

Here w is (KH, KW, O, C): the very array of the convolution from O to C channels that this is the
transpose of.  The output has H' = (H − 1)·s − 2p + KH rows.

The transpose of the transpose is the convolution itself.  So dx is a convolution of dy with w, and
dw is what it was in exercise 5, with x and dy in each other's roles; db sums dy over all pixels.
You may use your own conv2d: ``from conv import conv2d, conv2d_backward``.
"""

import numpy as np  # noqa: F401


def conv_transpose2d(x, w, b, stride, padding):
    """Return ``(y, cache)`` for x (N, H, W, C), w (KH, KW, O, C), b (O,)."""
    raise NotImplementedError("conv_transpose2d: every pixel stamps the kernel")


def conv_transpose2d_backward(dy, cache):
    """Return ``(dx, dw, db)``."""
    raise NotImplementedError("conv_transpose2d_backward: dx is a convolution of dy")
