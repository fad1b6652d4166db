"""Flattening, padding, enlarging, pooling: where every number goes."""

import numpy as np

from mutants.specimen import Collection

SPECIMENS = Collection("shape", lambda rng: (rng.standard_normal((2, 4, 4, 3)),))
wrong = right = SPECIMENS.backward


def flatten(x):
    return x.reshape(len(x), -1), x.shape


@right(flatten)
def _(dy, shape):
    """flatten"""
    return dy.reshape(shape)


@wrong(flatten, "transposed")
def _(dy, shape):
    """flatten: Fortran order"""
    n, h, w, c = shape
    return dy.reshape(n, c, h, w).transpose(0, 2, 3, 1)


@wrong(flatten, "wrong shape")
def _(dy, shape):
    """flatten: not undone"""
    return dy


@wrong(flatten, "transposed")
def _(dy, shape):
    """flatten: rows and columns exchanged"""
    return dy.reshape(shape).swapaxes(1, 2)


def reflect(x):
    return np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect"), x.shape


def folded(dy):
    d = dy.copy()
    d[:, 2] += d[:, 0]
    d[:, -3] += d[:, -1]
    d = d[:, 1:-1]
    d[:, :, 2] += d[:, :, 0]
    d[:, :, -3] += d[:, :, -1]
    return d[:, :, 1:-1]


@right(reflect)
def _(dy, shape):
    """reflection folded back"""
    return folded(dy)


@right(reflect)
def _(dy, shape):
    """reflection by add.at"""
    source = np.pad(np.arange(np.prod(shape)).reshape(shape), ((0, 0), (1, 1), (1, 1), (0, 0)),
                    mode="reflect")  # fmt: skip
    dx = np.zeros(np.prod(shape))
    np.add.at(dx, source.ravel(), dy.ravel())
    return dx.reshape(shape)


@wrong(reflect, "missing term")
def _(dy, shape):
    """reflection: border cut off"""
    return dy[:, 1:-1, 1:-1].copy()


@wrong(reflect, "assigned", also=("missing term",))
def _(dy, shape):
    """reflection: repeated indices lost"""
    source = np.pad(np.arange(np.prod(shape)).reshape(shape), ((0, 0), (1, 1), (1, 1), (0, 0)),
                    mode="reflect")  # fmt: skip
    dx = np.zeros(np.prod(shape))
    dx[source.ravel()] += dy.ravel()
    return dx.reshape(shape)


def upsample(x):
    return x.repeat(2, axis=1).repeat(2, axis=2), None


def blocks(dy):
    n, h, w, c = dy.shape
    return dy.reshape(n, h // 2, 2, w // 2, 2, c)


@right(upsample)
def _(dy, cache):
    """enlarging"""
    return blocks(dy).sum(axis=(2, 4))


@wrong(upsample, "constant factor")
def _(dy, cache):
    """enlarging: mean"""
    return blocks(dy).mean(axis=(2, 4))


@wrong(upsample, "missing term")
def _(dy, cache):
    """enlarging: one pixel of four"""
    return dy[:, ::2, ::2].copy()


def max_pool(x):
    b = blocks(x)
    return b.max(axis=(2, 4)), (x, b == b.max(axis=(2, 4), keepdims=True))


@right(max_pool)
def _(dy, cache):
    """max pool"""
    x, mask = cache
    return (mask * dy[:, :, None, :, None]).reshape(x.shape)


def mean_pool(x):
    return blocks(x).mean(axis=(2, 4)), x.shape


@right(mean_pool)
def _(dy, shape):
    """mean pool"""
    return dy.repeat(2, axis=1).repeat(2, axis=2) / 4


@wrong(mean_pool, "constant factor")
def _(dy, shape):
    """mean pool: not divided"""
    return dy.repeat(2, axis=1).repeat(2, axis=2)


def residual(x):
    return x + np.tanh(x), np.tanh(x)


@right(residual)
def _(dy, y):
    """skip connection"""
    return dy + dy * (1 - y * y)


@wrong(residual, "missing term")
def _(dy, y):
    """skip connection forgotten"""
    return dy * (1 - y * y)
