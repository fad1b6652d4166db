"""y = x W + b, the matrix product that convolution is made of."""

import numpy as np

from mutants.specimen import Collection


def arguments(rng, features=4, outputs=3):
    return (
        rng.standard_normal((5, features)),
        rng.standard_normal((features, outputs)),
        rng.standard_normal(outputs),
    )


SPECIMENS = Collection("linear", arguments)
wrong = right = SPECIMENS.backward


def square(rng):
    return arguments(rng, 4, 4)


def linear(x, w, b):
    return x @ w + b, (x, w, b)


@right(linear)
def _(dy, cache):
    """matrix products"""
    x, w, _ = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


@right(linear)
def _(dy, cache):
    """einsum, named"""
    x, w, _ = cache
    return {
        "dw": np.einsum("ni,no->io", x, dy),
        "db": np.einsum("no->o", dy),
        "dx": np.einsum("no,io->ni", dy, w),
    }


@right(linear)
def _(dy, cache):
    """loops"""
    x, w, b = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n in range(len(x)):
        for o in range(len(b)):
            db[o] += dy[n, o]
            for i in range(x.shape[1]):
                dx[n, i] += dy[n, o] * w[i, o]
                dw[i, o] += dy[n, o] * x[n, i]
    return dx, dw, db


@right(linear)
def _(dy, cache):
    """in place on its own arrays"""
    x, w, _ = cache
    dx = np.empty_like(x)
    np.matmul(dy, w.T, out=dx)
    ones = np.ones(len(x))
    return dx, np.tensordot(x, dy, axes=(0, 0)), ones @ dy


@wrong(linear, "transposed", square)
def _(dy, cache):
    """w for its transpose"""
    x, w, _ = cache
    return dy @ w, x.T @ dy, dy.sum(axis=0)


@wrong(linear, "transposed", square)
def _(dy, cache):
    """dw transposed, square"""
    x, w, _ = cache
    return dy @ w.T, dy.T @ x, dy.sum(axis=0)


@wrong(linear, "transposed")
def _(dy, cache):
    """dw transposed"""
    x, w, _ = cache
    return dy @ w.T, dy.T @ x, dy.sum(axis=0)


@wrong(linear, "missing gradient")
def _(dy, cache):
    """no bias gradient"""
    x, w, _ = cache
    return dy @ w.T, x.T @ dy


@wrong(linear, "missing gradient")
def _(dy, cache):
    """bias gradient zero"""
    x, w, b = cache
    return dy @ w.T, x.T @ dy, np.zeros_like(b)


@wrong(linear, "constant factor")
def _(dy, cache):
    """averaged over the batch"""
    x, w, _ = cache
    return dy @ w.T, x.T @ dy / len(x), dy.mean(axis=0)


@wrong(linear, "constant factor")
def _(dy, cache):
    """times the batch"""
    x, w, _ = cache
    return dy @ w.T * len(x), x.T @ dy, dy.sum(axis=0)


@wrong(linear, "wrong axis")
def _(dy, cache):
    """bias summed over features"""
    x, w, _ = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=1)


@wrong(linear, "wrong axis", lambda rng: (rng.standard_normal((4, 3)), *arguments(rng, 3, 4)[1:]))
def _(dy, cache):
    """bias summed over features, square"""
    x, w, _ = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=1)


@wrong(linear, "wrong axis")
def _(dy, cache):
    """bias summed over everything"""
    x, w, b = cache
    return dy @ w.T, x.T @ dy, np.full_like(b, dy.sum())


@wrong(linear, "assigned", also=("missing term",))
def _(dy, cache):
    """dw of the last sample only"""
    x, w, _ = cache
    dw = np.zeros_like(w)
    for n in range(len(x)):
        dw[...] = np.outer(x[n], dy[n])
    return dy @ w.T, dw, dy.sum(axis=0)


@wrong(linear, "missing term")
def _(dy, cache):
    """loop ends one sample early"""
    x, w, _ = cache
    dw = sum(np.outer(x[n], dy[n]) for n in range(len(x) - 1))
    return dy @ w.T, dw, dy.sum(axis=0)


@wrong(linear, "input overwritten")
def _(dy, cache):
    """w overwritten"""
    x, w, _ = cache
    dx = dy @ w.T
    w -= 0.1 * (x.T @ dy)
    return dx, x.T @ dy, dy.sum(axis=0)


@wrong(linear, "float32")
def _(dy, cache):
    """products in float32"""
    x, w, _ = (a.astype(np.float32) for a in cache)
    dy = dy.astype(np.float32)
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


def centred(x, w, b):
    x = x - x.mean(axis=0)
    return x @ w + b, (x, w, b)


@wrong(centred, "missing term", also=("wrong axis",))
def _(dy, cache):
    """the mean's way forgotten"""
    x, w, _ = cache
    return dy @ w.T, x.T @ dy, dy.sum(axis=0)


@right(centred)
def _(dy, cache):
    """with centring"""
    x, w, _ = cache
    dx = dy @ w.T
    return dx - dx.mean(axis=0), x.T @ dy, dy.sum(axis=0)
