"""Layers and losses as plain loops in float64, written from their definitions.

Each function returns the output and a function from dy to (dx, gradients by parameter).  Nothing of
tinygan is used here.
"""

from __future__ import annotations

import math
from itertools import product

import numpy as np


def places(size, kernel, stride, padding):
    """Yield (output, window's element, input) of one axis, for all that lie inside."""
    count = (size + 2 * padding - kernel) // stride + 1
    for out, k in product(range(count), range(kernel)):
        at = out * stride + k - padding
        if 0 <= at < size:
            yield out, k, at


def conv(x, w, b, stride, padding):
    n, h, wide, _ = x.shape
    kh, kw, _, out = w.shape
    shape = [(s + 2 * p - k) // st + 1 for s, p, k, st in zip((h, wide), padding, (kh, kw), stride)]  # noqa: B905
    rows = list(places(h, kh, stride[0], padding[0]))
    columns = list(places(wide, kw, stride[1], padding[1]))
    y = np.zeros((n, *shape, out))
    for (i, k, a), (j, m, c) in product(rows, columns):
        y[:, i, j] += x[:, a, c] @ w[k, m]

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for (i, k, a), (j, m, c) in product(rows, columns):
            dx[:, a, c] += dy[:, i, j] @ w[k, m].T
            dw[k, m] += x[:, a, c].T @ dy[:, i, j]
        return dx, {"weight": dw, "bias": dy.sum((0, 1, 2))}

    return y + (0 if b is None else b), backward


def conv_transpose(x, w, b, stride, padding, extra):
    n, h, wide, _ = x.shape
    kh, kw, out, _ = w.shape
    shape = [
        (s - 1) * st - 2 * p + k + e
        for s, st, p, k, e in zip((h, wide), stride, padding, (kh, kw), extra, strict=True)
    ]
    rows = list(places(shape[0], kh, stride[0], padding[0]))
    columns = list(places(shape[1], kw, stride[1], padding[1]))
    rows, columns = [r for r in rows if r[0] < h], [c for c in columns if c[0] < wide]
    y = np.zeros((n, *shape, out))
    for (i, k, a), (j, m, c) in product(rows, columns):
        y[:, a, c] += x[:, i, j] @ w[k, m].T

    def backward(dy):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for (i, k, a), (j, m, c) in product(rows, columns):
            dx[:, i, j] += dy[:, a, c] @ w[k, m]
            dw[k, m] += dy[:, a, c].T @ x[:, i, j]
        return dx, {"weight": dw, "bias": dy.sum((0, 1, 2))}

    return y + (0 if b is None else b), backward


def linear(x, w, b):
    y = np.zeros((*x.shape[:-1], w.shape[1]))
    for at in np.ndindex(x.shape[:-1]):
        y[at] = x[at] @ w + (0 if b is None else b)

    def backward(dy):
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1])
        for at in np.ndindex(x.shape[:-1]):
            dx[at] = w @ dy[at]
            dw += np.outer(x[at], dy[at])
            db += dy[at]
        return dx, {"weight": dw, "bias": db}

    return y, backward


def norm(x, gamma, beta, eps, groups_of):
    """Normalize over groups of elements: `groups_of(shape)` gives an index array of the shape."""
    groups = groups_of(x.shape)
    gamma = np.ones(x.shape[-1]) if gamma is None else gamma
    beta = np.zeros(x.shape[-1]) if beta is None else beta
    xhat, rstd = np.zeros_like(x), np.zeros_like(x)
    for g in np.unique(groups):
        mine = groups == g
        values = x[mine]
        middle = sum(values) / len(values)
        variance = sum((values - middle) ** 2) / len(values)
        rstd[mine] = 1 / math.sqrt(variance + eps)
        xhat[mine] = (values - middle) * rstd[mine]

    def backward(dy):
        d, dx = dy * gamma, np.zeros_like(x)
        for g in np.unique(groups):
            mine = groups == g
            e, z = d[mine], xhat[mine]
            dx[mine] = rstd[mine] * (e - e.mean() - z * (e * z).mean())
        return dx, {"weight": (dy * xhat).sum((0, 1, 2)), "bias": dy.sum((0, 1, 2))}

    return xhat * gamma + beta, backward


def pool(x, kernel, stride, padding, largest):
    n, h, wide, channels = x.shape
    rows = list(places(h, kernel[0], stride[0], padding[0]))
    columns = list(places(wide, kernel[1], stride[1], padding[1]))
    shape = [1 + max(i for i, _, _ in axis) for axis in (rows, columns)]
    y = np.zeros((n, *shape, channels))
    chosen = {}
    for at in np.ndindex(y.shape):
        window = [
            (at[0], a, c, at[3])
            for (i, _, a), (j, _, c) in product(rows, columns)
            if (i, j) == at[1:3]
        ]
        if largest:
            chosen[at] = [max(window, key=lambda p: x[p])]
            y[at] = x[chosen[at][0]]
        else:
            chosen[at] = window
            y[at] = sum(x[p] for p in window) / (kernel[0] * kernel[1])

    def backward(dy):
        dx = np.zeros_like(x)
        for at, window in chosen.items():
            for p in window:
                dx[p] += dy[at] if largest else dy[at] / (kernel[0] * kernel[1])
        return dx, {}

    return y, backward


def moved(x, shape, source):
    """Copy: output element `at` is input element ``source(at)``."""
    y = np.zeros(shape)
    for at in np.ndindex(*shape):
        y[at] = x[source(at)]

    def backward(dy):
        dx = np.zeros_like(x)
        for at in np.ndindex(*shape):
            dx[source(at)] += dy[at]
        return dx, {}

    return y, backward


def reflected(place, size):
    while not 0 <= place < size:
        place = -place if place < 0 else 2 * (size - 1) - place
    return place


def pointwise(x, function, slope):
    y = np.array([function(float(v)) for v in x.ravel()]).reshape(x.shape)
    d = np.array([slope(float(v)) for v in x.ravel()]).reshape(x.shape)
    return y, lambda dy: (dy * d, {})


def logistic(v):
    return 1 / (1 + math.exp(-v)) if v >= 0 else math.exp(v) / (1 + math.exp(v))


def mean_loss(prediction, target, one):
    """Return the mean of ``one(p, t) = (loss, gradient)`` over all elements, and its gradient."""
    target = np.broadcast_to(np.asarray(target, np.float64), prediction.shape)
    pairs = [one(float(p), float(t)) for p, t in zip(prediction.ravel(), target.ravel())]  # noqa: B905
    count = len(pairs)
    gradient = np.array([g / count for _, g in pairs]).reshape(prediction.shape)
    return math.fsum(loss / count for loss, _ in pairs), gradient


def softplus(v):
    return max(v, 0.0) + math.log1p(math.exp(-abs(v)))


def log(v):
    return math.log(v)


LOSSES = {
    "bce": lambda p, t: (
        -(t * log(p) + (1 - t) * math.log1p(-p)),
        -t / p + (1 - t) / (1 - p),
    ),
    "bce_with_logits": lambda s, t: (softplus(s) - s * t, logistic(s) - t),
    "minimax": lambda s, t: (-softplus(s), -logistic(s)),
    "non_saturating": lambda s, t: (softplus(-s), -logistic(-s)),
    "mse": lambda p, t: ((p - t) ** 2, 2 * (p - t)),
    "l1": lambda p, t: (abs(p - t), float(np.sign(p - t))),
    "hinge": lambda s, t: (max(0.0, 1 - t * s), -t if t * s < 1 else 0.0),
    "hinge_generator": lambda s, t: (-s, -1.0),
}
