import numpy as np


def linear(x, w, b):
    return x @ w + b, (x, w)


def linear_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def sizes(shape, kernel_size, stride, padding):
    return [(n + 2 * padding - k) // stride + 1 for n, k in zip(shape[1:3], kernel_size)]  # noqa: B905


def im2col(x, kernel_size, stride, padding):
    kh, kw = kernel_size
    rows, columns = sizes(x.shape, kernel_size, stride, padding)
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    patches = np.empty((len(x), rows, columns, kh, kw, x.shape[3]), x.dtype)
    for a in range(kh):
        for b in range(kw):
            patches[:, :, :, a, b] = padded[
                :, a : a + stride * rows : stride, b : b + stride * columns : stride
            ]
    return patches.reshape(len(x) * rows * columns, -1)


def col2im(patches, input_shape, kernel_size, stride, padding):
    n, height, width, channels = input_shape
    kh, kw = kernel_size
    rows, columns = sizes(input_shape, kernel_size, stride, padding)
    patches = patches.reshape(n, rows, columns, kh, kw, channels)
    padded = np.zeros((n, height + 2 * padding, width + 2 * padding, channels), patches.dtype)
    for a in range(kh):
        for b in range(kw):
            padded[:, a : a + stride * rows : stride, b : b + stride * columns : stride] += patches[
                :, :, :, a, b
            ]
    return padded[:, padding : padding + height, padding : padding + width]
