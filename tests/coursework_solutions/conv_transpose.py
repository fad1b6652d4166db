import numpy as np
from conv import conv2d
from matrix import col2im, im2col


def conv_transpose2d(x, w, b, stride, padding):
    n, height, width, channels = x.shape
    size = [(m - 1) * stride - 2 * padding + k for m, k in zip((height, width), w.shape[:2])]  # noqa: B905
    patches = x.reshape(-1, channels) @ w.reshape(-1, channels).T
    y = col2im(patches, (n, *size, w.shape[2]), w.shape[:2], stride, padding)
    return y + b, (x, w, stride, padding)


def conv_transpose2d_backward(dy, cache):
    x, w, stride, padding = cache
    dx, _ = conv2d(dy, w, np.zeros(w.shape[3], w.dtype), stride, padding)
    patches = im2col(dy, w.shape[:2], stride, padding)
    dw = (patches.T @ x.reshape(-1, x.shape[3])).reshape(w.shape)
    return dx, dw, dy.sum(axis=(0, 1, 2))
