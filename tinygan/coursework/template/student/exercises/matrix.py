r"""Exercise 4: the linear algebra of convolution.

A *linear* layer maps rows x (N, I) to rows y (N, O):

    y = x W + b,        W is (I, O), b is (O,).

With L the loss, dW = ∂L/∂W and so on, the chain rule gives

    dx = dy Wᵀ,         dW = xᵀ dy,         db = the sum of dy over the rows.

A convolution is the same product, once every window of the image is written as a row.  For images
x of shape (N, H, W, C), a window of kernel_size = (KH, KW), a step (stride) of s pixels and p rows
and columns of zeros (padding) around each image, there are

    OH = (H + 2p − KH) // s + 1,        OW = (W + 2p − KW) // s + 1

windows an image.  `im2col` writes them as rows of KH·KW·C numbers, in the order (kh, kw, c), the
windows in the order (n, oh, ow).  It only copies numbers, so it is a linear map; `col2im` is its
transpose: it adds every number back to the pixel that it was copied from.  Where windows overlap, a
pixel gets several contributions, and they add up.

You need no loop over pixels: loop over the KH·KW places in the window, each of which is a slice
with a step, ``padded[:, kh : kh + s * OH : s, kw : kw + s * OW : s]``.
"""

import numpy as np  # noqa: F401


def linear(x, w, b):
    """Return ``(y, cache)`` for x (N, I), w (I, O), b (O,)."""
    raise NotImplementedError("linear: x W + b")


def linear_backward(dy, cache):
    """Return ``(dx, dw, db)``."""
    raise NotImplementedError("linear_backward: dy Wᵀ, xᵀ dy and the sum of dy over the rows")


def im2col(x, kernel_size, stride, padding):
    """Return the windows of x (N, H, W, C) as rows, ``(N·OH·OW, KH·KW·C)``."""
    raise NotImplementedError("im2col: copy every window into a row")


def col2im(patches, input_shape, kernel_size, stride, padding):
    """Return the transpose of `im2col` applied to `patches`: an array of `input_shape`."""
    raise NotImplementedError("col2im: add every number to the pixel it was copied from")
