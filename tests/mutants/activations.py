"""ReLU, leaky ReLU, sigmoid, tanh."""

import numpy as np

from mutants.specimen import Collection, off_kinks

SPECIMENS = Collection("activation", lambda rng: (off_kinks(rng, 2, 3, 4, 2),))
wrong = right = SPECIMENS.backward


# --- ReLU ---------------------------------------------------------------------------------------


def relu(x):
    return np.maximum(x, 0), x


@right(relu)
def _(dy, x):
    """relu with a mask"""
    return dy * (x > 0)


@right(relu)
def _(dy, x):
    """relu with where"""
    return np.where(x > 0, dy, 0.0)


@right(relu)
def _(dy, x):
    """relu in place on a copy"""
    dx = dy.copy()
    dx[x <= 0] = 0
    return dx


@right(relu)
def _(dy, x):
    """relu in loops"""
    dx = np.zeros_like(dy)
    for index in np.ndindex(*x.shape):
        if x[index] > 0:
            dx[index] = dy[index]
    return dx


@right(relu)
def _(dy, x):
    """relu with a float32 mask"""
    return dy * (x > 0).astype(np.float32)


@right(relu)
def _(dy, x):
    """relu by signs"""
    return {"dx": dy * (np.sign(x) + 1) / 2}


@wrong(relu, "wrong mask")
def _(dy, x):
    """relu: mask from dy"""
    return dy * (dy > 0)


@wrong(relu, "wrong mask")
def _(dy, x):
    """relu: mask inverted"""
    return dy * (x < 0)


@wrong(relu, "wrong mask")
def _(dy, x):
    """relu: no mask"""
    return dy.copy()


@wrong(relu, "wrong mask")
def _(dy, x):
    """relu: mask of another threshold"""
    return dy * (x > 0.5)


@wrong(relu, "wrong mask")
def _(dy, x):
    """relu: guided, both masks"""
    return dy * (x > 0) * (dy > 0)


@wrong(relu, "upstream ignored")
def _(dy, x):
    """relu: derivative without dy"""
    return (x > 0).astype(x.dtype)


@wrong(relu, "upstream overwritten")
def _(dy, x):
    """relu: dy overwritten"""
    dy[x <= 0] = 0
    return dy


@wrong(relu, "constant factor")
def _(dy, x):
    """relu: minus"""
    return -dy * (x > 0)


@wrong(relu, "float32")
def _(dy, x):
    """relu: float32 gradient"""
    return (dy * (x > 0)).astype(np.float32)


@wrong(relu, "missing gradient")
def _(dy, x):
    """relu: returns nothing"""
    dy * (x > 0)


@wrong(relu, "missing gradient")
def _(dy, x):
    """relu: zeros"""
    return np.zeros_like(x)


def relu_in_place(x):
    x[x < 0] = 0
    return x, x > 0


def relu_other_out(x):
    y = np.empty(x.shape)
    np.maximum(x, 0, out=y)
    return y, y > 0


def relu_float32(x):
    y = np.zeros(x.shape, np.float32)
    y[x > 0] = x[x > 0]
    return y, x > 0


SPECIMENS.pair("relu with out", relu_other_out, lambda dy, mask: np.multiply(dy, mask))
SPECIMENS.pair("relu: x overwritten", relu_in_place, lambda dy, m: dy * m, "input overwritten")
SPECIMENS.pair("relu: float32 output", relu_float32, lambda dy, mask: dy * mask, "float32")


_last = {}


def relu_global(x):
    _last["x"] = x
    return np.maximum(x, 0), None


@wrong(relu_global, "shared cache")
def _(dy, cache):
    """relu: cache in a global"""
    return dy * (_last["x"] > 0)


_buffer = np.empty(1000)


def relu_buffer(x):
    y = _buffer[: x.size].reshape(x.shape)
    np.maximum(x, 0, out=y)
    return y, y


@wrong(relu_buffer, "shared cache")
def _(dy, y):
    """relu: output in a global buffer"""
    return dy * (y > 0)


# --- leaky ReLU ---------------------------------------------------------------------------------


def leaky(x, slope=0.2):
    return np.where(x > 0, x, slope * x), (x, slope)


@right(leaky)
def _(dy, cache):
    """leaky with where"""
    x, slope = cache
    return np.where(x > 0, dy, slope * dy)


@right(leaky)
def _(dy, cache):
    """leaky with an array of slopes"""
    x, slope = cache
    slopes = np.ones_like(x)
    slopes[x < 0] = slope
    slopes *= dy
    return slopes


@wrong(leaky, "missing term")
def _(dy, cache):
    """leaky: zero where it leaks"""
    return dy * (cache[0] > 0)


@wrong(leaky, "constant factor")
def _(dy, cache):
    """leaky: slope squared"""
    x, slope = cache
    return dy * np.where(x > 0, 1, slope**2)


@wrong(leaky, "wrong mask")
def _(dy, cache):
    """leaky: mask from dy"""
    return dy * np.where(dy > 0, 1, cache[1])


@wrong(leaky, "wrong mask")
def _(dy, cache):
    """leaky: inverted"""
    return dy * np.where(cache[0] > 0, cache[1], 1)


@wrong(leaky, "upstream overwritten")
def _(dy, cache):
    """leaky: dy overwritten"""
    x, slope = cache
    dy[x < 0] *= slope
    return dy.copy()


# --- sigmoid and tanh ---------------------------------------------------------------------------


def sigmoid(x):
    y = 1 / (1 + np.exp(-x))
    return y, y


def sigmoid_both(x):
    y = 1 / (1 + np.exp(-x))
    return y, (x, y)


@right(sigmoid)
def _(dy, y):
    """sigmoid"""
    return dy * y * (1 - y)


@right(sigmoid_both)
def _(dy, cache):
    """sigmoid from exponentials"""
    e = np.exp(-np.abs(cache[0]))
    return dy * e / (1 + e) ** 2


@wrong(sigmoid, "missing term")
def _(dy, y):
    """sigmoid: without 1 − y"""
    return dy * y


@wrong(sigmoid_both, "wrong tensor")
def _(dy, cache):
    """sigmoid: at x"""
    x, _ = cache
    return dy * x * (1 - x)


@wrong(sigmoid, "constant factor")
def _(dy, y):
    """sigmoid: y (y − 1)"""
    return dy * y * (y - 1)


@wrong(sigmoid, "output overwritten", also=("input overwritten",))
def _(dy, y):
    """sigmoid: output overwritten"""
    y *= 1 - y
    y *= dy
    return y


def tanh(x):
    y = np.tanh(x)
    return y, (x, y)


@right(tanh)
def _(dy, cache):
    """tanh by cosh"""
    return dy / np.cosh(cache[0]) ** 2


@right(tanh)
def _(dy, cache):
    """tanh by einsum"""
    y = cache[1]
    return np.einsum("nhwc,nhwc->nhwc", dy, 1 - y * y)


@right(tanh)
def _(dy, cache):
    """tanh upcast to longdouble and back"""
    y = cache[1].astype(np.longdouble)
    return ((1 - y * y) * dy).astype(dy.dtype)


@wrong(tanh, "wrong tensor")
def _(dy, cache):
    """tanh: 1 − x²"""
    return dy * (1 - cache[0] ** 2)


@wrong(tanh, "missing term")
def _(dy, cache):
    """tanh: without the 1"""
    return -dy * cache[1] ** 2


@wrong(tanh, "constant factor")
def _(dy, cache):
    """tanh: twice"""
    return 2 * dy * (1 - cache[1] ** 2)


@wrong(tanh, "float32")
def _(dy, cache):
    """tanh: cache in float32"""
    y = cache[1].astype(np.float32)
    return dy * (1 - y.astype(np.float64) ** 2)


@wrong(tanh, "upstream overwritten")
def _(dy, cache):
    """tanh: dy overwritten"""
    dy *= 1 - cache[1] ** 2
    return dy
