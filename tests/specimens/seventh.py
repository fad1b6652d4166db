"""The seventh set: a course's layers and losses, topic by topic, and what is got wrong in them.

Written without looking at the diagnosis, and without measuring.  Each right row was compared with
central differences of its own, and each wrong one seen to be wrong by them, or by what it does to
its surroundings.
"""

# ruff: noqa: E501 (a row a line)
# fmt: off
from math import erf, pi, sqrt

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from specimens.sixth import put, sig, softmax, swap
from specimens.table import ROWS, group, layer, normal
from tinygan import Layer, Parameter

_before = len(ROWS)


def but(backward, i, other):
    """The same backward pass, but for gradient `i`."""
    return lambda dout, cache: put(backward(dout, cache), i, other(dout, cache))


def times(backward, i, factor):
    return lambda dout, cache: put(backward(dout, cache), i, factor * backward(dout, cache)[i])


def exchanged(backward, i, j):
    return lambda dout, cache: swap(backward(dout, cache), i, j)


def written(function):
    """A loss that returns its gradient too, as `layer` wants it."""
    return lambda: function


# linear layer


def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, _b = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T @ dout
    db = dout.sum(axis=0)
    return dx, dw, db


def affine_einsum(dout, cache):
    x, w, _b = cache
    w4 = w.reshape(*x.shape[1:], -1)
    return np.einsum("nm,ijm->nij", dout, w4), np.einsum("nij,nm->ijm", x, dout).reshape(w.shape), np.einsum("nm->m", dout)


def affine_loop(dout, cache):
    x, w, b = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for i in range(len(x)):
        dx[i] = (w @ dout[i]).reshape(x.shape[1:])
        dw += np.outer(x[i], dout[i])
        db += dout[i]
    return dx, dw, db


def affine_loop_without_plus(dout, cache):
    x, w, b = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for i in range(len(x)):
        dx[i] = (w @ dout[i]).reshape(x.shape[1:])
        dw = np.outer(x[i], dout[i])
        db += dout[i]
    return dx, dw, db


def affine_dividing(dout, cache):
    dout /= len(dout)
    return affine_backward(dout, cache)


def flat(x):
    return x.reshape(len(x), -1)


group(
    "linear",
    affine_forward,
    normal((4, 2, 2), (4, 4), (4,)),
    [
        ("as in the course", "", affine_backward),
        ("einsum", "", affine_einsum),
        ("sample by sample", "", affine_loop),
        ("w not transposed", "transposed", but(affine_backward, 0, lambda d, c: (d @ c[1]).reshape(c[0].shape))),
        ("dw the other way round", "transposed", but(affine_backward, 1, lambda d, c: d.T @ flat(c[0]))),
        ("db over axis 1", "wrong axis", but(affine_backward, 2, lambda d, c: d.sum(axis=1))),
        ("dw over the batch size", "constant factor", times(affine_backward, 1, 1 / 4)),
        ("weight decay in dw", "extra term", but(affine_backward, 1, lambda d, c: flat(c[0]).T @ d + 0.1 * c[1])),
        ("loop assigns dw", "assigned|missing term", affine_loop_without_plus),
        ("dx not reshaped", "wrong shape", but(affine_backward, 0, lambda d, c: d @ c[1].T)),
        ("dw without dout", "upstream ignored", but(affine_backward, 1, lambda d, c: flat(c[0]).T @ np.ones_like(d))),
        ("dout divided in place", "upstream overwritten|constant factor", affine_dividing),
    ],
)


class Dense:
    """Time-distributed: x of shape (n, t, d)."""

    def __init__(self):
        rng = np.random.default_rng(7)
        self.W, self.b = rng.standard_normal((3, 4)), rng.standard_normal(4)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW = np.tensordot(self.x, dout, ((0, 1), (0, 1)))
        self.db = dout.sum(axis=(0, 1))
        return dout @ self.W.T


class DenseOneAxis(Dense):
    def backward(self, dout):
        dx = super().backward(dout)
        self.db = dout.sum(axis=0)
        return dx


class DenseLastStep(Dense):
    def backward(self, dout):
        for t in range(dout.shape[1]):
            self.dW = self.x[:, t].T @ dout[:, t]
        self.db = dout.sum(axis=(0, 1))
        return dout @ self.W.T


class DenseUpdating(Dense):
    def backward(self, dout):
        self.dW = np.tensordot(self.x, dout, ((0, 1), (0, 1)))
        self.db = dout.sum(axis=(0, 1))
        self.W -= 0.01 * self.dW
        self.b -= 0.01 * self.db
        return dout @ self.W.T


class DenseBiasless(Dense):
    def backward(self, dout):
        dx = super().backward(dout)
        self.db = np.zeros_like(self.b)
        return dx


layer(
    "linear class",
    normal((2, 3, 3)),
    [
        ("over time", "", Dense),
        ("db over the batch only", "wrong axis|wrong shape", DenseOneAxis),
        ("dW of the last step", "assigned|missing term", DenseLastStep),
        ("weights updated before dx", "input overwritten|wrong tensor|extra term", DenseUpdating),
        ("db stays zero", "missing gradient", DenseBiasless),
    ],
)


def net_forward(x, params):
    z1 = x @ params["W1"] + params["b1"]
    a1 = sig(z1)
    return a1 @ params["W2"] + params["b2"], {"x": x, "z1": z1, "a1": a1, "params": params}


def net_back(slope, left="a1", divide=False, minus=False):
    """The backward pass with this slope of the hidden layer."""

    def backward(dout, cache):
        m = len(dout)
        da1 = dout @ cache["params"]["W2"].T
        dz1 = da1 * slope(cache)
        grads = {"dW1": cache["x"].T @ dz1, "db1": dz1.sum(axis=0), "dW2": cache[left].T @ dout, "db2": dout.sum(axis=0)}
        if divide:
            grads["dW2"] = grads["dW2"] / m
        if minus:
            grads["db1"] = -grads["db1"]
        return dz1 @ cache["params"]["W1"].T, grads

    return backward


def net_slope(cache):
    return cache["a1"] * (1 - cache["a1"])


def net_arguments(rng):
    return rng.standard_normal((5, 3)), {"W1": rng.standard_normal((3, 4)), "b1": rng.standard_normal(4), "W2": rng.standard_normal((4, 2)), "b2": rng.standard_normal(2)}


group(
    "two layers in a dictionary",
    net_forward,
    net_arguments,
    [
        ("as in the course", "", net_back(net_slope)),
        ("slope from z", "", net_back(lambda c: sig(c["z1"]) * sig(-c["z1"]))),
        ("dW2 from z1", "wrong tensor", net_back(net_slope, left="z1")),
        ("slope of the sigmoid forgotten", "missing term", net_back(lambda c: 1)),
        ("sigmoid taken twice", "wrong tensor", net_back(lambda c: sig(c["a1"]) * (1 - sig(c["a1"])))),
        ("slope z (1 − z)", "wrong tensor", net_back(lambda c: c["z1"] * (1 - c["z1"]))),
        ("dW2 alone over m", "constant factor", net_back(net_slope, divide=True)),
        ("tanh's slope", "wrong formula", net_back(lambda c: 1 - c["a1"] ** 2)),
        ("db1 negative", "constant factor", net_back(net_slope, minus=True)),
    ],
)


def linear_relu(x, w, b):
    z = x @ w + b
    return np.maximum(z, 0), (x, w, z)


def linear_relu_back(mask):
    def backward(dout, cache):
        x, w, z = cache
        dz = dout * mask(dout, x, z)
        return dz @ w.T, x.T @ dz, dz.sum(axis=0)

    return backward


group(
    "linear and relu",
    linear_relu,
    normal((5, 4), (4, 4), (4,)),
    [
        ("mask of z", "", linear_relu_back(lambda d, x, z: z > 0)),
        ("mask of x", "wrong mask", linear_relu_back(lambda d, x, z: x > 0)),
        ("mask of dout", "wrong mask", linear_relu_back(lambda d, x, z: d > 0)),
        ("mask forgotten", "wrong mask", linear_relu_back(lambda d, x, z: 1)),
        ("times z in place of the step", "wrong mask|wrong tensor|extra term", linear_relu_back(lambda d, x, z: np.maximum(z, 0))),
    ],
)

def tanh_layer(x, w):
    return np.tanh(x @ w)


def tanh_layer_backward(dy, x, w):
    dz = dy * (1 - np.tanh(x @ w) ** 2)
    return dz @ w.T, x.T @ dz


group(
    "linear and tanh, without a cache",
    tanh_layer,
    normal((4, 3), (3, 2)),
    [
        ("computed again", "", tanh_layer_backward),
        ("slope at z", "wrong tensor", lambda dy, x, w: (dy * (1 - (x @ w) ** 2) @ w.T, x.T @ (dy * (1 - (x @ w) ** 2)))),
        ("slope forgotten", "missing term", lambda dy, x, w: (dy @ w.T, x.T @ dy)),
        ("slope in dx only", "missing term", lambda dy, x, w: (tanh_layer_backward(dy, x, w)[0], x.T @ dy)),
        ("dw and dx exchanged", "wrong tensor|wrong shape", lambda dy, x, w: tanh_layer_backward(dy, x, w)[::-1]),
    ],
)

# softmax and cross entropy


def softmax_forward(x):
    p = softmax(x)
    return p, p


def softmax_backward(dout, p):
    return p * (dout - (dout * p).sum(axis=1, keepdims=True))


def softmax_jacobians(dout, p):
    dx = np.empty_like(p)
    for i, (row, d) in enumerate(zip(p, dout, strict=True)):
        dx[i] = (np.diagflat(row) - np.outer(row, row)) @ d
    return dx


def softmax_in_place(dout, p):
    p *= dout - (dout * p).sum(axis=1, keepdims=True)
    return p


group(
    "softmax",
    softmax_forward,
    normal((4, 4)),
    [
        ("short", "", softmax_backward),
        ("Jacobians", "", softmax_jacobians),
        ("diagonal of the Jacobian only", "missing term", lambda dout, p: dout * p * (1 - p)),
        ("sum over the batch", "wrong axis", lambda dout, p: p * (dout - (dout * p).sum(axis=0))),
        ("p in front forgotten", "missing term", lambda dout, p: dout - (dout * p).sum(axis=1, keepdims=True)),
        ("plus in the bracket", "constant factor", lambda dout, p: p * (dout + (dout * p).sum(axis=1, keepdims=True))),
        ("dout alone in the sum", "missing term", lambda dout, p: p * (dout - dout.sum(axis=1, keepdims=True))),
        ("mean for the sum", "constant factor", lambda dout, p: p * (dout - (dout * p).mean(axis=1, keepdims=True))),
        ("computed in p", "output overwritten", softmax_in_place),
    ],
)


def log_softmax(x):
    z = x - x.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True)), x


def log_softmax_shifting(x):
    x -= x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True)), x


def log_softmax_backward(dy, x):
    return dy - softmax(x) * dy.sum(axis=-1, keepdims=True)


group(
    "log softmax",
    log_softmax,
    normal((5, 4)),
    [
        ("short", "", log_softmax_backward),
        ("sum of dy forgotten", "missing term|upstream ignored", lambda dy, x: dy - softmax(x)),
        ("log p for p", "wrong tensor", lambda dy, x: dy - log_softmax(x)[0] * dy.sum(axis=-1, keepdims=True)),
        ("softmax over the batch", "wrong axis", lambda dy, x: dy - softmax(x, 0) * dy.sum(axis=-1, keepdims=True)),
        ("mean of dy", "constant factor", lambda dy, x: dy - softmax(x) * dy.mean(axis=-1, keepdims=True)),
    ],
)
group("log softmax, shifted", log_softmax_shifting, normal((5, 4)), [("maximum subtracted in place", "input overwritten", log_softmax_backward)])


def scores(rng):
    return rng.standard_normal((5, 4)), np.array([0, 3, 1, 1, 2])


def softmax_loss(scores, y):
    n = len(scores)
    p = softmax(scores)
    loss = -np.log(p[np.arange(n), y]).mean()
    dscores = p.copy()
    dscores[np.arange(n), y] -= 1
    return loss, dscores / n


def softmax_loss_loop(scores, y):
    n, c = scores.shape
    loss, dscores = 0.0, np.zeros_like(scores)
    for i in range(n):
        p = softmax(scores[i])
        loss -= np.log(p[y[i]]) / n
        for j in range(c):
            dscores[i, j] = (p[j] - (j == y[i])) / n
    return loss, dscores


def softmax_loss_but(change):
    """The loss as it is, with the gradient ``change(p, one_hot, y)``."""

    def loss(scores, y):
        return softmax_loss(scores, y)[0], change(softmax(scores), np.eye(scores.shape[1])[y], y)

    return written(loss)


def _every_row(p, t, y):
    d = p.copy()
    d[:, y] -= 1
    return d / len(p)


def _divided_first(p, t, y):
    d = p / len(p)
    d[np.arange(len(y)), y] -= 1
    return d


layer(
    "softmax loss",
    scores,
    [
        ("vectorised", "", written(softmax_loss)),
        ("loops", "", written(softmax_loss_loop)),
        ("one hot", "", softmax_loss_but(lambda p, t, y: (p - t) / len(p))),
        ("not averaged", "constant factor", softmax_loss_but(lambda p, t, y: p - t)),
        ("over all the scores", "constant factor", softmax_loss_but(lambda p, t, y: (p - t) / p.size)),
        ("one not subtracted", "missing term", softmax_loss_but(lambda p, t, y: p / len(p))),
        ("target minus p", "constant factor", softmax_loss_but(lambda p, t, y: (t - p) / len(p))),
        ("one subtracted in every row", "extra term", softmax_loss_but(_every_row)),
        ("divided before the one is subtracted", "constant factor", softmax_loss_but(_divided_first)),
        ("through the softmax once more", "extra term", softmax_loss_but(lambda p, t, y: softmax_backward((p - t) / len(p), p))),
        ("gradient of p", "missing term", softmax_loss_but(lambda p, t, y: -t / p / len(p))),
    ],
)


def tempered_loss(scores, y):
    """Label smoothing of 0.1 and a temperature of 2."""
    n, c = scores.shape
    t = 0.9 * np.eye(c)[y] + 0.1 / c
    p = softmax(scores / 2)
    return -(t * np.log(p)).sum() / n, (p, t, y, n)


def weighted_loss(scores, y):
    """A weight for each class, and label 3 ignored."""
    n = len(scores)
    weight = np.array([0.5, 2.0, 1.5, 0.0])[y]
    p = softmax(scores)
    return -(weight * np.log(p[np.arange(n), y])).sum() / weight.sum(), (p, weight, y)


def _one_hot(p, y):
    return np.eye(p.shape[1])[y]


group(
    "smoothed cross entropy",
    tempered_loss,
    scores,
    [
        ("derived", "", lambda dloss, c: dloss * (c[0] - c[1]) / (2 * c[3])),
        ("labels not smoothed", "wrong tensor", lambda dloss, c: dloss * (c[0] - _one_hot(c[0], c[2])) / (2 * c[3])),
        ("temperature forgotten", "constant factor", lambda dloss, c: dloss * (c[0] - c[1]) / c[3]),
        ("times the temperature", "constant factor", lambda dloss, c: dloss * 2 * (c[0] - c[1]) / c[3]),
        ("dloss forgotten", "upstream ignored", lambda dloss, c: (c[0] - c[1]) / (2 * c[3])),
    ],
)
group(
    "weighted cross entropy",
    weighted_loss,
    scores,
    [
        ("derived", "", lambda dloss, c: dloss * (c[0] - _one_hot(c[0], c[2])) * c[1][:, None] / c[1].sum()),
        ("weights forgotten", "missing term", lambda dloss, c: dloss * (c[0] - _one_hot(c[0], c[2])) / c[1].sum()),
        ("over the batch size", "constant factor", lambda dloss, c: dloss * (c[0] - _one_hot(c[0], c[2])) * c[1][:, None] / len(c[1])),
        ("weight on the target's term only", "missing term", lambda dloss, c: dloss * (c[0] - _one_hot(c[0], c[2]) * c[1][:, None]) / c[1].sum()),
    ],
)

# hinge and other losses


def svm_loss(scores, y):
    n = len(scores)
    margins = np.maximum(0, scores - scores[np.arange(n), y][:, None] + 1)
    margins[np.arange(n), y] = 0
    counted = (margins > 0).astype(float)
    counted[np.arange(n), y] = -counted.sum(axis=1)
    return margins.sum() / n, counted / n


def svm_loss_loop(scores, y):
    n, c = scores.shape
    loss, ds = 0.0, np.zeros_like(scores)
    for i in range(n):
        for j in range(c):
            margin = scores[i, j] - scores[i, y[i]] + 1
            if j != y[i] and margin > 0:
                loss += margin / n
                ds[i, j] += 1 / n
                ds[i, y[i]] -= 1 / n
    return loss, ds


def svm_loss_assigning(scores, y):
    n, c = scores.shape
    loss, ds = 0.0, np.zeros_like(scores)
    for i in range(n):
        for j in range(c):
            margin = scores[i, j] - scores[i, y[i]] + 1
            if j != y[i] and margin > 0:
                loss += margin / n
                ds[i, j] = 1 / n
                ds[i, y[i]] = -1 / n
    return loss, ds


def svm_loss_but(change):
    def loss(scores, y):
        rows = np.arange(len(scores))
        margins = scores - scores[rows, y][:, None] + 1
        return svm_loss(scores, y)[0], change(margins, rows, y)

    return written(loss)


def _svm_wrong_only(m, rows, y):
    d = (m > 0).astype(float)
    d[rows, y] = 0
    return d / len(m)


def _svm_own_class_counted(m, rows, y):
    d = (m > 0).astype(float)
    d[rows, y] = -d.sum(axis=1)
    return d / len(m)


def _svm_all(m, rows, y):
    d = np.ones_like(m)
    d[rows, y] = 1 - m.shape[1]
    return d / len(m)


def _svm_sum(m, rows, y):
    d = _svm_wrong_only(m, rows, y) * len(m)
    d[rows, y] = -d.sum(axis=1)
    return d


layer(
    "svm loss",
    scores,
    [
        ("vectorised", "", written(svm_loss)),
        ("loops", "", written(svm_loss_loop)),
        ("right class assigned", "assigned|missing term", written(svm_loss_assigning)),
        ("right class forgotten", "missing term", svm_loss_but(_svm_wrong_only)),
        ("own margin counted too", "extra term|wrong mask", svm_loss_but(_svm_own_class_counted)),
        ("every margin counted", "wrong mask", svm_loss_but(_svm_all)),
        ("not averaged", "constant factor", svm_loss_but(_svm_sum)),
    ],
)


def hinge(score, target):
    """Targets of ±1, the mean over the batch."""
    margin = 1 - target * score
    return np.maximum(margin, 0).mean(), (score, target, margin)


def squared_hinge(score, target):
    margin = np.maximum(1 - target * score, 0)
    return (margin**2).mean(), (score, target, margin)


def signs(rng):
    score = np.linspace(-2.3, 2.1, 8)
    return np.append(rng.permutation(score), rng.permutation(score)), np.repeat([1.0, -1.0], 8)


group(
    "hinge",
    hinge,
    signs,
    [
        ("where", "", lambda dout, c: dout * np.where(c[2] > 0, -c[1], 0.0) / len(c[0])),
        ("mask of the score alone", "wrong mask", lambda dout, c: dout * np.where(c[0] < 1, -c[1], 0.0) / len(c[0])),
        ("target forgotten", "missing term", lambda dout, c: dout * np.where(c[2] > 0, -1.0, 0.0) / len(c[0])),
        ("target times score", "wrong tensor|extra term", lambda dout, c: dout * np.where(c[2] > 0, -c[1] * c[0], 0.0) / len(c[0])),
        ("no mask", "wrong mask", lambda dout, c: -dout * c[1] / len(c[0])),
        ("misclassified only", "wrong mask", lambda dout, c: dout * np.where(c[1] * c[0] < 0, -c[1], 0.0) / len(c[0])),
    ],
)
group(
    "squared hinge",
    squared_hinge,
    signs,
    [
        ("derived", "", lambda dout, c: -2 * dout * c[2] * c[1] / len(c[0])),
        ("two forgotten", "constant factor", lambda dout, c: -dout * c[2] * c[1] / len(c[0])),
        ("margin forgotten", "missing term", lambda dout, c: -2 * dout * (c[2] > 0) * c[1] / len(c[0])),
        ("minus forgotten", "constant factor", lambda dout, c: 2 * dout * c[2] * c[1] / len(c[0])),
    ],
)


def mse(pred, target):
    diff = pred - target
    return (diff**2).mean(), (pred, target)


group(
    "mean squared error",
    mse,
    normal((4, 3), (4, 3)),
    [
        ("derived", "", lambda dout, c: dout * 2 * (c[0] - c[1]) / c[0].size),
        ("over the batch alone", "constant factor", lambda dout, c: dout * 2 * (c[0] - c[1]) / len(c[0])),
        ("two forgotten", "constant factor", lambda dout, c: dout * (c[0] - c[1]) / c[0].size),
        ("target minus prediction", "constant factor", lambda dout, c: dout * 2 * (c[1] - c[0]) / c[0].size),
        ("prediction alone", "missing term", lambda dout, c: dout * 2 * c[0] / c[0].size),
        ("one number for all", "wrong shape|wrong axis", lambda dout, c: dout * 2 * (c[0] - c[1]).mean()),
        ("in float32", "float32", lambda dout, c: (dout * 2 * (c[0] - c[1]) / c[0].size).astype(np.float32)),
        ("derivative of the error alone", "missing term", lambda dout, c: dout * 2 * np.ones_like(c[0]) / c[0].size),
    ],
)


def bce(p, target):
    return -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean(), (p, target)


def probabilities(rng):
    return rng.uniform(0.1, 0.9, (6, 2)), rng.integers(0, 2, (6, 2)).astype(float) * 0.8 + 0.1


group(
    "binary cross entropy",
    bce,
    probabilities,
    [
        ("two terms", "", lambda dout, c: dout * (-c[1] / c[0] + (1 - c[1]) / (1 - c[0])) / c[0].size),
        ("one fraction", "", lambda dout, c: dout * (c[0] - c[1]) / (c[0] * (1 - c[0])) / c[0].size),
        ("as if of the logits", "missing term", lambda dout, c: dout * (c[0] - c[1]) / c[0].size),
        ("second term subtracted", "constant factor", lambda dout, c: dout * (-c[1] / c[0] - (1 - c[1]) / (1 - c[0])) / c[0].size),
        ("first term only", "missing term", lambda dout, c: dout * -c[1] / c[0] / c[0].size),
        ("sum", "constant factor", lambda dout, c: dout * (c[0] - c[1]) / (c[0] * (1 - c[0]))),
        ("target's own variance", "wrong tensor", lambda dout, c: dout * (c[0] - c[1]) / (c[1] * (1 - c[1])) / c[0].size),
    ],
)


def bce_logits(x, target):
    """The positives weigh three times as much."""
    weight = 1 + 2 * target
    loss = (1 - target) * x + weight * np.log1p(np.exp(-x))
    return loss.mean(), (x, target, weight)


group(
    "binary cross entropy of logits, weighted",
    bce_logits,
    lambda rng: (rng.standard_normal(9), rng.integers(0, 2, 9).astype(float)),
    [
        ("derived", "", lambda dout, c: dout * (1 - c[1] - c[2] * sig(-c[0])) / len(c[0])),
        ("weight forgotten", "missing term", lambda dout, c: dout * (sig(c[0]) - c[1]) / len(c[0])),
        ("score for probability", "wrong tensor", lambda dout, c: dout * (1 - c[1] - c[2] * (1 - c[0])) / len(c[0])),
        ("times the sigmoid's slope", "extra term", lambda dout, c: dout * (1 - c[1] - c[2] * sig(-c[0])) * sig(c[0]) * sig(-c[0]) / len(c[0])),
        ("negatives' term forgotten", "missing term", lambda dout, c: dout * -c[2] * sig(-c[0]) / len(c[0])),
    ],
)


def l1(pred, target):
    return np.abs(pred - target).sum() / len(pred), (pred, target)


def huber(pred, target, delta=0.7):
    d = pred - target
    small = np.abs(d) <= delta
    return np.where(small, d**2 / 2, delta * (np.abs(d) - delta / 2)).mean(), (d, delta)


group(
    "absolute error",
    l1,
    normal((4, 3), (4, 3)),
    [
        ("sign", "", lambda dout, c: dout * np.sign(c[0] - c[1]) / len(c[0])),
        ("where", "", lambda dout, c: dout * np.where(c[0] > c[1], 1.0, -1.0) / len(c[0])),
        ("zero where below", "wrong mask|missing term", lambda dout, c: dout * np.where(c[0] > c[1], 1.0, 0.0) / len(c[0])),
        ("sign of the prediction", "wrong mask|wrong tensor|missing term", lambda dout, c: dout * np.sign(c[0]) / len(c[0])),
        ("mean over everything", "constant factor", lambda dout, c: dout * np.sign(c[0] - c[1]) / c[0].size),
        ("absolute value", "wrong mask", lambda dout, c: dout * np.abs(c[0] - c[1]) / len(c[0])),
    ],
)
group(
    "huber",
    huber,
    normal((5, 3), (5, 3)),
    [
        ("clipped", "", lambda dout, c: dout * np.clip(c[0], -c[1], c[1]) / c[0].size),
        ("where", "", lambda dout, c: dout * np.where(np.abs(c[0]) <= c[1], c[0], c[1] * np.sign(c[0])) / c[0].size),
        ("delta forgotten outside", "constant factor", lambda dout, c: dout * np.where(np.abs(c[0]) <= c[1], c[0], np.sign(c[0])) / c[0].size),
        ("absolute value forgotten in the condition", "wrong mask", lambda dout, c: dout * np.where(c[0] <= c[1], c[0], c[1] * np.sign(c[0])) / c[0].size),
        ("branches exchanged", "wrong mask", lambda dout, c: dout * np.where(np.abs(c[0]) > c[1], c[0], c[1] * np.sign(c[0])) / c[0].size),
        ("twice inside", "constant factor", lambda dout, c: dout * np.where(np.abs(c[0]) <= c[1], 2 * c[0], c[1] * np.sign(c[0])) / c[0].size),
        ("sign forgotten outside", "wrong mask|missing term", lambda dout, c: dout * np.where(np.abs(c[0]) <= c[1], c[0], c[1]) / c[0].size),
        ("clipped at one", "wrong mask", lambda dout, c: dout * np.clip(c[0], -1, 1) / c[0].size),
    ],
)


def cosine_loss(share=1, scale=1, both=True, dout=True):
    """1 minus the mean cosine with a fixed target, with its way back as a closure."""

    def loss(x, target):
        size, n = np.linalg.norm(x, axis=1, keepdims=True), len(x)
        u, v = x / size, target / np.linalg.norm(target, axis=1, keepdims=True)
        cosine = (u * v).sum(axis=1, keepdims=True)

        def backward(dloss):
            dx = -(v - share * cosine * u) / (size if both else 1) / n * scale
            return dloss * dx if dout else dx

        return 1 - cosine.mean(), backward

    return written(loss)


layer(
    "cosine loss, closure",
    normal((4, 3), (4, 3)),
    [
        ("derived", "", cosine_loss()),
        ("norm constant", "missing term", cosine_loss(share=0)),
        ("norm forgotten", "missing term", cosine_loss(both=False)),
        ("minus forgotten", "constant factor", cosine_loss(scale=-1)),
        ("not averaged", "constant factor", cosine_loss(scale=4)),
        ("dloss forgotten", "upstream ignored", cosine_loss(dout=False)),
    ],
)


def kl_div(logq, target):
    return (target * (np.log(target) - logq)).sum() / len(logq), (logq, target)


group(
    "KL divergence",
    kl_div,
    lambda rng: (np.log(softmax(rng.standard_normal((4, 3)))), softmax(rng.standard_normal((4, 3)))),
    [
        ("batch mean", "", lambda dout, c: -dout * c[1] / len(c[1])),
        ("as if of the logits", "extra term", lambda dout, c: dout * (np.exp(c[0]) - c[1]) / len(c[1])),
        ("as if of q", "extra term", lambda dout, c: -dout * c[1] / np.exp(c[0]) / len(c[1])),
        ("mean of all", "constant factor", lambda dout, c: -dout * c[1] / c[1].size),
        ("q for the target", "wrong tensor", lambda dout, c: -dout * np.exp(c[0]) / len(c[1])),
    ],
)


def vae_kl(mu, logvar):
    return -0.5 * (1 + logvar - mu**2 - np.exp(logvar)).sum() / len(mu), (mu, logvar)


def vae_kl_backward(dout, cache):
    mu, logvar = cache
    return dout * mu / len(mu), dout * 0.5 * (np.exp(logvar) - 1) / len(mu)


group(
    "KL divergence of a VAE",
    vae_kl,
    normal((4, 3), (4, 3)),
    [
        ("derived", "", vae_kl_backward),
        ("one forgotten", "missing term", but(vae_kl_backward, 1, lambda d, c: d * 0.5 * np.exp(c[1]) / len(c[0]))),
        ("half forgotten", "constant factor", times(vae_kl_backward, 1, 2)),
        ("exchanged", "wrong tensor", exchanged(vae_kl_backward, 0, 1)),
        ("dmu doubled", "constant factor", times(vae_kl_backward, 0, 2)),
        ("sigma for its square", "wrong tensor", but(vae_kl_backward, 1, lambda d, c: d * 0.5 * (np.exp(c[1] / 2) - 1) / len(c[0]))),
        ("dlogvar without dout", "upstream ignored", but(vae_kl_backward, 1, lambda d, c: 0.5 * (np.exp(c[1]) - 1) / len(c[0]))),
        ("logvar for its exponential", "wrong tensor", but(vae_kl_backward, 1, lambda d, c: d * 0.5 * (c[1] - 1) / len(c[0]))),
    ],
)

# pooling


def maxpool(x, size=2, stride=2):
    win = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    return win.max(axis=(4, 5)), (x, size, stride)


def pool_back(share, add=True, early=0, step=None):
    """Each window's gradient is ``share(window, maximum, dout)``."""

    def backward(dout, cache):
        x, size, stride = cache
        dx = np.zeros_like(x)
        for i in range(dout.shape[2] - early):
            for j in range(dout.shape[3]):
                at = (slice(None), slice(None), *(slice(k * stride, k * stride + size) for k in (i, j)))
                to = at if step is None else (slice(None), slice(None), *(slice(k * step, k * step + size) for k in (i, j)))
                d = dout[:, :, i, j][:, :, None, None]
                part = share(x[at], x[at].max(axis=(2, 3), keepdims=True), d)
                dx[to] = dx[to] + part if add else part
        return dx

    return backward


def maxpool_reshaped(dout, cache):
    x, k, _ = cache
    n, c, h, w = x.shape
    tiles = x.reshape(n, c, h // k, k, w // k, k)
    mask = tiles == tiles.max(axis=(3, 5), keepdims=True)
    return (mask * dout[:, :, :, None, :, None]).reshape(x.shape)


def maxpool_argmax(order):
    def backward(dout, cache):
        x, k, _ = cache
        dx = np.zeros_like(x)
        for n, c, i, j in np.ndindex(dout.shape):
            best = np.argmax(x[n, c, i * k : i * k + k, j * k : j * k + k])
            r, s = order(*np.unravel_index(best, (k, k)))
            dx[n, c, i * k + r, j * k + s] = dout[n, c, i, j]
        return dx

    return backward


def _to_max(w, m, d):
    return (w == m) * d


group(
    "max pooling",
    maxpool,
    normal((2, 2, 4, 4)),
    [
        ("loop", "", pool_back(_to_max)),
        ("reshaped", "", maxpool_reshaped),
        ("argmax", "", maxpool_argmax(lambda r, s: (r, s))),
        ("row and column exchanged", "transposed", maxpool_argmax(lambda r, s: (s, r))),
        ("to the whole window", "wrong mask", pool_back(lambda w, m, d: np.ones_like(w) * d)),
        ("mask without dout", "upstream ignored", pool_back(lambda w, m, d: (w == m) * 1.0)),
        ("times the value", "extra term|wrong tensor", pool_back(lambda w, m, d: (w == m) * w * d)),
        ("loop ends early", "missing term", pool_back(_to_max, early=1)),
        ("everything but the maximum", "wrong mask", pool_back(lambda w, m, d: (w < m) * d)),
        ("averaged over the window", "wrong mask", pool_back(lambda w, m, d: np.ones_like(w) * d / w[0, 0].size)),
        ("windows one apart", "stride or padding", pool_back(_to_max, step=1)),
    ],
)
group(
    "max pooling, overlapping",
    lambda x: maxpool(x, 3, 1),
    normal((2, 1, 5, 5)),
    [
        ("added", "", pool_back(_to_max)),
        ("assigned", "assigned", pool_back(_to_max, add=False)),
        ("mask of positive values", "wrong mask", pool_back(lambda w, m, d: (w > 0) * d)),
    ],
)


def avgpool(x, size=2, stride=2):
    win = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride]
    return win.mean(axis=(4, 5)), (x, size, stride)


def _evenly(w, m, d):
    return np.ones_like(w) * d / w[0, 0].size


group(
    "average pooling",
    avgpool,
    normal((2, 2, 4, 4)),
    [
        ("loop", "", pool_back(_evenly)),
        ("repeated", "", lambda dout, c: dout.repeat(2, axis=2).repeat(2, axis=3) / 4),
        ("kron", "", lambda dout, c: np.kron(dout, np.ones((2, 2))) / 4),
        ("not divided", "constant factor", lambda dout, c: dout.repeat(2, axis=2).repeat(2, axis=3)),
        ("over the side", "constant factor", lambda dout, c: dout.repeat(2, axis=2).repeat(2, axis=3) / 2),
        ("tiled for repeated", "transposed", lambda dout, c: np.tile(dout, (1, 1, 2, 2)) / 4),
        ("to the maximum", "wrong mask", pool_back(_to_max)),
        ("not enlarged", "wrong shape", lambda dout, c: dout / 4),
    ],
)
group(
    "average pooling, overlapping",
    lambda x: avgpool(x, 3, 2),
    normal((1, 2, 7, 7)),
    [
        ("added", "", pool_back(_evenly)),
        ("assigned", "assigned", pool_back(_evenly, add=False)),
        ("windows side by side", "stride or padding", pool_back(_evenly, step=1)),
    ],
)


class MaxPool:
    """In time: windows of 2, side by side, the places of the maxima kept."""

    def forward(self, x):
        self.shape = x.shape
        windows = x.reshape(len(x), -1, 2)
        self.places = windows.argmax(axis=2)
        return windows.max(axis=2)

    def backward(self, dout):
        dx = np.zeros((*dout.shape, 2))
        rows, columns = np.indices(dout.shape)
        dx[rows, columns, self.chosen()] = dout
        return dx.reshape(self.shape)

    def chosen(self):
        return self.places


class MaxPoolNotOffset(MaxPool):
    def backward(self, dout):
        dx = np.zeros(self.shape)
        for j in range(dout.shape[1]):
            dx[np.arange(len(dx)), self.places[:, j]] += dout[:, j]
        return dx


class MaxPoolOther(MaxPool):
    def chosen(self):
        return 1 - self.places


class MaxPoolFirst(MaxPool):
    def chosen(self):
        return 0


class MaxPoolHalved(MaxPool):
    def backward(self, dout):
        return super().backward(dout) / 2


class MaxPoolShort(MaxPool):
    def backward(self, dout):
        return dout * self.places


layer(
    "max pooling class",
    normal((3, 6)),
    [
        ("places kept", "", MaxPool),
        ("window's start forgotten", "stride or padding|wrong formula", MaxPoolNotOffset),
        ("to the other one", "wrong mask", MaxPoolOther),
        ("to the first", "wrong mask", MaxPoolFirst),
        ("divided by the window", "constant factor", MaxPoolHalved),
        ("not enlarged", "wrong shape", MaxPoolShort),
    ],
)


def global_average(x):
    return x.mean(axis=(2, 3)), x.shape


def max_over_time(x):
    return x.max(axis=1), x


def to_largest(of=lambda x: x):
    def backward(dout, x):
        dx = np.zeros_like(x)
        np.put_along_axis(dx, of(x).argmax(axis=1)[:, None], dout[:, None], axis=1)
        return dx

    return backward


group(
    "global average pooling",
    global_average,
    normal((3, 2, 4, 5)),
    [
        ("broadcast", "", lambda dout, s: np.broadcast_to(dout[:, :, None, None] / (s[2] * s[3]), s)),
        ("over the batch too", "constant factor", lambda dout, s: np.ones(s) * dout[:, :, None, None] / (s[0] * s[2] * s[3])),
        ("over the height only", "constant factor", lambda dout, s: np.ones(s) * dout[:, :, None, None] / s[2]),
        ("first pixel only", "missing term", lambda dout, s: dout[:, :, None, None] * (np.arange(s[2] * s[3]).reshape(s[2:]) == 0) / (s[2] * s[3])),
        ("shape of the output", "wrong shape", lambda dout, s: dout / (s[2] * s[3])),
    ],
)
group(
    "max over time",
    max_over_time,
    normal((2, 5, 3)),
    [
        ("argmax", "", to_largest()),
        ("compared", "", lambda dout, x: dout[:, None] * (x == x.max(axis=1, keepdims=True))),
        ("of the absolute values", "wrong mask", to_largest(np.abs)),
        ("maximum of all features", "wrong mask|wrong axis", lambda dout, x: dout[:, None] * (x == x.max(axis=(1, 2), keepdims=True))),
        ("maximum of each step", "wrong axis|wrong mask", lambda dout, x: dout[:, None] * (x == x.max(axis=2, keepdims=True))),
    ],
)

# GELU, softplus, SiLU

_erf = np.vectorize(erf)
K = sqrt(2 / pi)


def gelu_tanh(x):
    t = np.tanh(K * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


def gelu_back(inner=lambda x: K * (1 + 3 * 0.044715 * x**2), half=0.5, first=1, second=1, at=1):
    """0.5 (1 + t) + 0.5 x (1 − t²) u', with `at` the place of t in the cache."""

    def backward(dout, cache):
        x, t = cache
        slope = 1 - cache[at] ** 2
        return dout * (first * half * (1 + t) + second * 0.5 * x * slope * inner(x))

    return backward


def gelu_erf(x):
    phi = 0.5 * (1 + _erf(x / sqrt(2)))
    return x * phi, (x, phi)


def pdf(x):
    return np.exp(-(x**2) / 2) / sqrt(2 * pi)


group(
    "GELU by tanh",
    gelu_tanh,
    normal((3, 4)),
    [
        ("product rule", "", gelu_back()),
        ("with sech", "", lambda dout, c: dout * (0.5 * (1 + c[1]) + 0.5 * c[0] * K * (1 + 0.134145 * c[0] ** 2) / np.cosh(K * (c[0] + 0.044715 * c[0] ** 3)) ** 2)),
        ("cubic's slope forgotten", "missing term", gelu_back(lambda x: K)),
        ("three forgotten", "constant factor", gelu_back(lambda x: K * (1 + 0.044715 * x**2))),
        ("root of 2/π forgotten", "constant factor", gelu_back(lambda x: 1 + 3 * 0.044715 * x**2)),
        ("product rule forgotten", "missing term", gelu_back(second=0)),
        ("1 − x²", "wrong tensor", gelu_back(at=0)),
        ("half forgotten in the first", "constant factor", gelu_back(half=1)),
        ("first term forgotten", "missing term", gelu_back(first=0)),
        ("inner slope forgotten", "missing term", gelu_back(lambda x: 1)),
    ],
)
group(
    "GELU by erf",
    gelu_erf,
    normal((3, 4)),
    [
        ("Φ + x φ", "", lambda dout, c: dout * (c[1] + c[0] * pdf(c[0]))),
        ("x forgotten", "missing term", lambda dout, c: dout * (c[1] + pdf(c[0]))),
        ("root of 2π forgotten", "constant factor", lambda dout, c: dout * (c[1] + c[0] * np.exp(-(c[0] ** 2) / 2))),
        ("half forgotten in the exponent", "wrong formula", lambda dout, c: dout * (c[1] + c[0] * np.exp(-(c[0] ** 2)) / sqrt(2 * pi))),
        ("Φ alone", "missing term", lambda dout, c: dout * c[1]),
        ("slope of the tanh's approximation", "wrong formula", lambda dout, c: gelu_back()(dout, gelu_tanh(c[0])[1])),
        ("minus", "constant factor", lambda dout, c: dout * (c[1] - c[0] * pdf(c[0]))),
    ],
)


def softplus(x, beta=2.0):
    return np.log1p(np.exp(beta * x)) / beta, x


group(
    "softplus",
    softplus,
    normal((3, 4)),
    [
        ("sigmoid", "", lambda dout, x: dout * sig(2 * x)),
        ("exp over one plus exp", "", lambda dout, x: dout * np.exp(2 * x) / (1 + np.exp(2 * x))),
        ("beta once more", "constant factor", lambda dout, x: dout * 2 * sig(2 * x)),
        ("beta forgotten inside", "missing term|wrong formula", lambda dout, x: dout * sig(x)),
        ("sigmoid's slope", "extra term", lambda dout, x: dout * sig(2 * x) * (1 - sig(2 * x))),
        ("1/(1 + exp(x))", "wrong formula", lambda dout, x: dout / (1 + np.exp(2 * x))),
        ("sigmoid of the output", "wrong tensor", lambda dout, x: dout * sig(2 * softplus(x)[0])),
        ("denominator forgotten", "missing term", lambda dout, x: dout * np.exp(2 * x)),
        ("no dout", "upstream ignored", lambda dout, x: sig(2 * x)),
        ("a step", "wrong formula", lambda dout, x: dout * (x > 0)),
    ],
)


def silu(x):
    s = sig(x)
    return x * s, (x, s)


group(
    "SiLU",
    silu,
    normal((3, 4)),
    [
        ("product rule", "", lambda dout, c: dout * (c[1] + c[0] * c[1] * (1 - c[1]))),
        ("with y", "", lambda dout, c: dout * (c[0] * c[1] + c[1] * (1 - c[0] * c[1]))),
        ("x forgotten", "missing term", lambda dout, c: dout * (c[1] + c[1] * (1 - c[1]))),
        ("second term only", "missing term", lambda dout, c: dout * c[0] * c[1] * (1 - c[1])),
        ("x (1 − x)", "wrong tensor", lambda dout, c: dout * (c[1] + c[0] * c[0] * (1 - c[0]))),
    ],
)

# ELU, SELU, PReLU

LAMBDA, ALPHA = 1.0507009873554805, 1.6732632423543772


def elu(x, alpha=1.5):
    y = np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))
    return y, (x, y, alpha)


group(
    "ELU",
    elu,
    normal((3, 4)),
    [
        ("y + alpha", "", lambda dout, c: dout * np.where(c[0] > 0, 1, c[1] + c[2])),
        ("exp", "", lambda dout, c: dout * np.where(c[0] > 0, 1, c[2] * np.exp(c[0]))),
        ("mask of y", "", lambda dout, c: np.where(c[1] > 0, dout, dout * (c[1] + c[2]))),
        ("alpha not added", "missing term", lambda dout, c: dout * np.where(c[0] > 0, 1, c[1])),
        ("alpha forgotten", "constant factor", lambda dout, c: dout * np.where(c[0] > 0, 1, np.exp(c[0]))),
        ("exp of y", "wrong tensor", lambda dout, c: dout * np.where(c[0] > 0, 1, c[2] * np.exp(c[1]))),
        ("mask of dout", "wrong mask", lambda dout, c: dout * np.where(dout > 0, 1, c[1] + c[2])),
        ("as relu", "missing term", lambda dout, c: dout * (c[0] > 0)),
        ("exp on both sides", "wrong mask", lambda dout, c: dout * c[2] * np.exp(c[0])),
        ("as leaky relu", "missing term", lambda dout, c: dout * np.where(c[0] > 0, 1, c[2])),
    ],
)


def selu(x):
    return LAMBDA * np.where(x > 0, x, ALPHA * (np.exp(x) - 1)), x


def elu_negative_in_place(dout, cache):
    x, y, alpha = cache
    dout[x <= 0] *= (y + alpha)[x <= 0]
    return dout


group("ELU", elu, normal((3, 4)), [("dout multiplied in place", "upstream overwritten", elu_negative_in_place)])
group(
    "SELU",
    selu,
    normal((3, 4)),
    [
        ("derived", "", lambda dout, x: dout * LAMBDA * np.where(x > 0, 1, ALPHA * np.exp(x))),
        ("λ forgotten where positive", "constant factor", lambda dout, x: dout * np.where(x > 0, 1, LAMBDA * ALPHA * np.exp(x))),
        ("λ forgotten where negative", "constant factor", lambda dout, x: dout * np.where(x > 0, LAMBDA, ALPHA * np.exp(x))),
        ("λ forgotten", "constant factor", lambda dout, x: dout * np.where(x > 0, 1, ALPHA * np.exp(x))),
        ("α forgotten", "constant factor", lambda dout, x: dout * LAMBDA * np.where(x > 0, 1, np.exp(x))),
        ("one subtracted still", "extra term", lambda dout, x: dout * LAMBDA * np.where(x > 0, 1, ALPHA * (np.exp(x) - 1))),
        ("branches exchanged", "wrong mask", lambda dout, x: dout * LAMBDA * np.where(x < 0, 1, ALPHA * np.exp(x))),
    ],
)


def prelu(x, a):
    """A slope for each channel, channels second."""
    return np.where(x > 0, x, a[:, None] * x), (x, a)


def prelu_backward(dout, cache):
    x, a = cache
    return dout * np.where(x > 0, 1, a[:, None]), (dout * np.minimum(x, 0)).sum(axis=(0, 2))


def prelu_loop(dout, cache):
    x, a = cache
    dx, da = dout.copy(), np.zeros_like(a)
    for c in range(len(a)):
        below = x[:, c] < 0
        da[c] = (dout[:, c] * x[:, c])[below].sum()
        dx[:, c][below] *= a[c]
    return dx, da


group(
    "PReLU",
    prelu,
    normal((4, 3, 4), (3,)),
    [
        ("vectorised", "", prelu_backward),
        ("channel by channel", "", prelu_loop),
        ("da of the positive side", "wrong mask", but(prelu_backward, 1, lambda d, c: (d * np.maximum(c[0], 0)).sum(axis=(0, 2)))),
        ("da without a mask", "wrong mask|extra term", but(prelu_backward, 1, lambda d, c: (d * c[0]).sum(axis=(0, 2)))),
        ("da without x", "missing term", but(prelu_backward, 1, lambda d, c: (d * (c[0] < 0)).sum(axis=(0, 2)))),
        ("da the same for all channels", "wrong axis", but(prelu_backward, 1, lambda d, c: np.full(3, (d * np.minimum(c[0], 0)).sum()))),
        ("da averaged", "constant factor", but(prelu_backward, 1, lambda d, c: (d * np.minimum(c[0], 0)).mean(axis=(0, 2)))),
        ("no da", "missing gradient", but(prelu_backward, 1, lambda d, c: None)),
        ("dx as of relu", "missing term", but(prelu_backward, 0, lambda d, c: d * (c[0] > 0))),
        ("da where dout is negative", "wrong mask", but(prelu_backward, 1, lambda d, c: (np.minimum(d, 0) * c[0]).sum(axis=(0, 2)))),
        ("da times a", "extra term|constant factor", but(prelu_backward, 1, lambda d, c: c[1] * (d * np.minimum(c[0], 0)).sum(axis=(0, 2)))),
        ("absolute value of x", "constant factor", but(prelu_backward, 1, lambda d, c: -(d * np.minimum(c[0], 0)).sum(axis=(0, 2)))),
    ],
)

# gated linear units


def glu(x):
    a, b = np.split(x, 2, axis=-1)
    s = sig(b)
    return a * s, (a, b, s)


def glu_back(da, db):
    return lambda dout, c: np.concatenate([da(dout, *c), db(dout, *c)], axis=-1)


def _glu_a(d, a, b, s):
    return d * s


def _glu_b(d, a, b, s):
    return d * a * s * (1 - s)


def glu_written(dout, cache):
    a, _b, s = cache
    dx = np.zeros((*a.shape[:-1], 2 * a.shape[-1]))
    dx[..., : a.shape[-1]] = dout * s
    dx[..., a.shape[-1] :] = dout * a * s * (1 - s)
    return dx


def glu_interleaved(dout, cache):
    right = glu_written(dout, cache)
    dx = np.empty_like(right)
    h = dout.shape[-1]
    dx[..., ::2], dx[..., 1::2] = right[..., :h], right[..., h:]
    return dx


group(
    "GLU",
    glu,
    normal((3, 6)),
    [
        ("concatenated", "", glu_back(_glu_a, _glu_b)),
        ("written into halves", "", glu_written),
        ("halves exchanged", "transposed|wrong tensor", glu_back(_glu_b, _glu_a)),
        ("sigmoid's slope forgotten", "missing term", glu_back(_glu_a, lambda d, a, b, s: d * a)),
        ("a forgotten in the gate's", "missing term", glu_back(_glu_a, lambda d, a, b, s: d * s * (1 - s))),
        ("1 − s forgotten", "missing term", glu_back(_glu_a, lambda d, a, b, s: d * a * s)),
        ("b for its sigmoid", "wrong tensor", glu_back(lambda d, a, b, s: d * b, _glu_b)),
        ("gate without gradient", "missing term|missing gradient", glu_back(_glu_a, lambda d, a, b, s: np.zeros_like(b))),
        ("interleaved", "transposed", glu_interleaved),
    ],
)


def swiglu(x, w, v):
    g, u = x @ w, x @ v
    return silu(g)[0] * u, (x, w, v, g, u)


def swiglu_backward(dout, cache, slope=lambda g: sig(g) * (1 + g * sig(-g)), up=lambda g: g * sig(g), both=True):
    x, w, v, g, u = cache
    dg, du = dout * u * slope(g), dout * up(g)
    return dg @ w.T + (du @ v.T if both else 0), x.T @ dg, x.T @ du


def swiglu_with(**options):
    return lambda dout, cache: swiglu_backward(dout, cache, **options)


group(
    "SwiGLU",
    swiglu,
    normal((4, 3), (3, 5), (3, 5)),
    [
        ("derived", "", swiglu_with()),
        ("slope of silu is the sigmoid", "missing term", swiglu_with(slope=sig)),
        ("slope of the sigmoid", "wrong formula", swiglu_with(slope=lambda g: sig(g) * sig(-g))),
        ("silu of the gate forgotten", "missing term", swiglu_with(up=lambda g: 1)),
        ("sigmoid of the gate only", "missing term", swiglu_with(up=sig)),
        ("dx through the gate only", "missing term", swiglu_with(both=False)),
        ("dw and dv exchanged", "wrong tensor", exchanged(swiglu_with(), 1, 2)),
    ],
)

# recurrent networks


def rnn(x, h0, wx, wh, b):
    h, hs = h0, []
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ wx + h @ wh + b)
        hs.append(h)
    hs = np.stack(hs, axis=1)
    return hs, (x, h0, wx, wh, hs)


def rnn_back(slope=lambda h: 1 - h**2, through=True, before=True, add=True, turn=lambda w: w.T, turn_x=lambda w: w.T, steps=reversed, first=True):
    """Backpropagation through time, with what may be got wrong in it."""

    def backward(dout, cache):
        x, h0, wx, wh, hs = cache
        dx, dwx, dwh, db = np.zeros_like(x), np.zeros_like(wx), np.zeros_like(wh), np.zeros(wh.shape[1])
        dh = np.zeros_like(h0)
        for t in steps(range(x.shape[1])):
            last = hs[:, t - 1] if t else h0
            dz = (dout[:, t] + (dh if through else 0)) * slope(hs[:, t])
            dx[:, t] = dz @ turn_x(wx)
            dwx += x[:, t].T @ dz
            step = (last if before else hs[:, t]).T @ dz
            dwh = dwh + step if add else step
            db += dz.sum(axis=0)
            dh = dz @ turn(wh)
        return dx, dh if first else np.zeros_like(dh), dwx, dwh, db

    return backward


def rnn_unrolled(dout, cache):
    """Every output's own way back, one after the other."""
    x, h0, wx, wh, hs = cache
    total = [np.zeros_like(x), np.zeros_like(h0), np.zeros_like(wx), np.zeros_like(wh), np.zeros(wh.shape[1])]
    for end in range(x.shape[1]):
        dh = dout[:, end]
        for t in range(end, -1, -1):
            dz = dh * (1 - hs[:, t] ** 2)
            total[0][:, t] += dz @ wx.T
            total[2] += x[:, t].T @ dz
            total[3] += (hs[:, t - 1] if t else h0).T @ dz
            total[4] += dz.sum(axis=0)
            dh = dz @ wh.T
        total[1] += dh
    return tuple(total)


group(
    "RNN",
    rnn,
    normal((2, 4, 3), (2, 3), (3, 3), (3, 3), (3,)),
    [
        ("through time", "", rnn_back()),
        ("each output alone", "", rnn_unrolled),
        ("not through time", "missing term", rnn_back(through=False)),
        ("tanh's slope forgotten", "missing term", rnn_back(slope=lambda h: 1)),
        ("1 − h", "wrong formula|missing term", rnn_back(slope=lambda h: 1 - h)),
        ("slope taken of tanh of h", "wrong tensor", rnn_back(slope=lambda h: 1 - np.tanh(h) ** 2)),
        ("dWh with the state after", "wrong tensor", rnn_back(before=False)),
        ("dWh assigned", "assigned|missing term", rnn_back(add=False)),
        ("Wh not transposed", "transposed", rnn_back(turn=lambda w: w)),
        ("Wx not transposed", "transposed", rnn_back(turn_x=lambda w: w)),
        ("time not reversed", "wrong formula", rnn_back(steps=list)),
        ("h0 without gradient", "missing gradient", rnn_back(first=False)),
        ("db over the sequence's length", "constant factor", times(rnn_back(), 4, 1 / 4)),
        ("first step left out", "missing term", rnn_back(steps=lambda r: r[:0:-1])),
        ("sigmoid's slope", "wrong formula", rnn_back(slope=lambda h: h * (1 - h))),
    ],
)


class TimeRNN:
    """Weights and gradients in lists; the first state is zero."""

    def __init__(self):
        rng = np.random.default_rng(11)
        self.params = [rng.standard_normal((2, 3)), rng.standard_normal((3, 3)), rng.standard_normal(3)]
        self.grads = [np.zeros_like(p) for p in self.params]

    def forward(self, xs):
        wx, wh, b = self.params
        self.xs, self.hs = xs, [np.zeros((len(xs), 3))]
        for t in range(xs.shape[1]):
            self.hs.append(np.tanh(xs[:, t] @ wx + self.hs[-1] @ wh + b))
        return np.stack(self.hs[1:], axis=1)

    def backward(self, dhs):
        wx, wh, _b = self.params
        dxs, dh = np.zeros_like(self.xs), 0
        grads = [np.zeros_like(p) for p in self.params]
        for t in reversed(range(dhs.shape[1])):
            dz = self.slope(dhs[:, t] + dh, t)
            dxs[:, t], dh = dz @ wx.T, self.back(dz, wh)
            for grad, step in zip(grads, self.step(dz, t), strict=True):
                grad += step
        self.grads = self.finished(grads)
        return dxs

    def slope(self, dh, t):
        return dh * (1 - self.hs[t + 1] ** 2)

    def back(self, dz, wh):
        return dz @ wh.T

    def step(self, dz, t):
        return self.xs[:, t].T @ dz, self.hs[t].T @ dz, dz.sum(axis=0)

    def finished(self, grads):
        return grads


class TimeRNNEarlier(TimeRNN):
    def slope(self, dh, t):
        return dh * (1 - self.hs[t] ** 2)


class TimeRNNLater(TimeRNN):
    def step(self, dz, t):
        return self.xs[:, t].T @ dz, self.hs[t + 1].T @ dz, dz.sum(axis=0)


class TimeRNNStateless(TimeRNN):
    def back(self, dz, wh):
        return 0


class TimeRNNTurned(TimeRNN):
    def back(self, dz, wh):
        return dz @ wh


class TimeRNNMean(TimeRNN):
    def finished(self, grads):
        return [grad / self.xs.shape[1] for grad in grads]


class TimeRNNZeroed(TimeRNN):
    def finished(self, grads):
        return [np.zeros_like(grads[0]), *grads[1:]]


class TimeRNNClipped(TimeRNN):
    def finished(self, grads):
        return [np.clip(grad, -0.5, 0.5) for grad in grads]


layer(
    "RNN class",
    normal((3, 4, 2)),
    [
        ("lists", "", TimeRNN),
        ("slope at the state before", "wrong tensor", TimeRNNEarlier),
        ("dWh with the state after", "wrong tensor", TimeRNNLater),
        ("state's gradient not passed on", "missing term", TimeRNNStateless),
        ("Wh not transposed", "transposed", TimeRNNTurned),
        ("averaged over time", "constant factor", TimeRNNMean),
        ("dWx never set", "missing gradient", TimeRNNZeroed),
        ("clipped", "wrong formula", TimeRNNClipped),
    ],
)


def gru(x, h, w, u):
    """z, r and n side by side in w and u; h' = z h + (1 − z) n."""
    k = h.shape[1]
    z = sig(x @ w[:, :k] + h @ u[:, :k])
    r = sig(x @ w[:, k : 2 * k] + h @ u[:, k : 2 * k])
    n = np.tanh(x @ w[:, 2 * k :] + (r * h) @ u[:, 2 * k :])
    return z * h + (1 - z) * n, (x, h, w, u, z, r, n)


def gru_back(keep=1, sign=1, by_reset=True, reset=1, gate=lambda s: s * (1 - s), old=lambda h, n: h, state=lambda r, h: r * h):
    def backward(dout, cache):
        x, h, w, u, z, r, n = cache
        k = h.shape[1]
        dn = dout * (1 - z) * (1 - n**2)
        dz = dout * sign * (old(h, n) - n) * gate(z)
        drh = dn @ u[:, 2 * k :].T
        dr = reset * drh * h * gate(r)
        dall = np.concatenate([dz, dr, dn], axis=1)
        dh = keep * dout * z + dz @ u[:, :k].T + dr @ u[:, k : 2 * k].T + (drh * r if by_reset else drh)
        du = np.concatenate([h.T @ dz, h.T @ dr, state(r, h).T @ dn], axis=1)
        return dall @ w.T, dh, x.T @ dall, du

    return backward


group(
    "GRU",
    gru,
    normal((3, 2), (3, 4), (2, 12), (4, 12)),
    [
        ("derived", "", gru_back()),
        ("direct way of h forgotten", "missing term", gru_back(keep=0)),
        ("n − h for h − n", "constant factor", gru_back(sign=-1)),
        ("n forgotten in dz", "missing term", gru_back(old=lambda h, n: h + n)),
        ("reset forgotten in dh", "missing term", gru_back(by_reset=False)),
        ("reset gate without gradient", "missing term", gru_back(reset=0)),
        ("slope of the gates forgotten", "missing term", gru_back(gate=lambda s: 1)),
        ("1 − s forgotten", "missing term", gru_back(gate=lambda s: s)),
        ("tanh's slope for the gates", "wrong formula", gru_back(gate=lambda s: 1 - s**2)),
        ("dU of n with h itself", "missing term|wrong tensor", gru_back(state=lambda r, h: h)),
        ("dU of n with r itself", "missing term|wrong tensor", gru_back(state=lambda r, h: r)),
    ],
)

# normalisations


def layernorm(x, gamma, beta, eps=1e-5):
    inv = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    xhat = (x - x.mean(axis=-1, keepdims=True)) * inv
    return gamma * xhat + beta, (x, xhat, inv, gamma)


def layernorm_backward(dout, cache):
    x, xhat, inv, gamma = cache
    d = x.shape[-1]
    dxhat = dout * gamma
    dx = inv / d * (d * dxhat - dxhat.sum(axis=-1, keepdims=True) - xhat * (dxhat * xhat).sum(axis=-1, keepdims=True))
    return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def layernorm_staged(dout, cache):
    x, xhat, inv, gamma = cache
    d = x.shape[-1]
    dxhat = dout * gamma
    centred = x - x.mean(axis=-1, keepdims=True)
    dvar = (dxhat * centred).sum(axis=-1, keepdims=True) * -0.5 * inv**3
    dmean = -(dxhat * inv).sum(axis=-1, keepdims=True) - 2 * dvar * centred.mean(axis=-1, keepdims=True)
    return dxhat * inv + dvar * 2 * centred / d + dmean / d, (dout * xhat).sum(axis=0), dout.sum(axis=0)


def norm_dx(dxhat=lambda d, c: d * c[3], mean=1, proj=1, axis=-1, average=np.mean, scale=lambda c: c[2], hat=lambda c: c[1]):
    """The gradient of x from its three terms."""

    def dx(d, c):
        g, h = dxhat(d, c), hat(c)
        return scale(c) * (g - mean * average(g, axis=axis, keepdims=True) - proj * h * average(g * h, axis=axis, keepdims=True))

    return dx


def layernorm_with(**options):
    return but(layernorm_backward, 0, norm_dx(**options))


group(
    "layer norm",
    layernorm,
    normal((4, 4), (4,), (4,)),
    [
        ("three terms", "", layernorm_backward),
        ("staged", "", layernorm_staged),
        ("gamma forgotten", "missing term", layernorm_with(dxhat=lambda d, c: d)),
        ("mean constant", "missing term", layernorm_with(mean=0)),
        ("variance constant", "missing term", layernorm_with(proj=0)),
        ("both constant", "missing term", layernorm_with(mean=0, proj=0)),
        ("means over the batch, as in batch norm", "wrong axis", layernorm_with(axis=0)),
        ("sums for means", "constant factor", layernorm_with(average=np.sum)),
        ("deviation forgotten", "missing term", layernorm_with(scale=lambda c: 1)),
        ("deviation squared", "extra term", layernorm_with(scale=lambda c: c[2] ** 2)),
        ("x for xhat in dx", "wrong tensor", layernorm_with(hat=lambda c: c[0])),
        ("dgamma with x", "wrong tensor", but(layernorm_backward, 1, lambda d, c: (d * c[0]).sum(axis=0))),
        ("dgamma without xhat", "missing term", but(layernorm_backward, 1, lambda d, c: d.sum(axis=0))),
        ("dgamma over the features", "wrong axis", but(layernorm_backward, 1, lambda d, c: (d * c[1]).sum(axis=-1))),
        ("gamma after the means", "wrong formula", but(layernorm_backward, 0, lambda d, c: c[3] * norm_dx(dxhat=lambda d, c: d)(d, c))),
        ("dbeta times gamma", "extra term", but(layernorm_backward, 2, lambda d, c: (d * c[3]).sum(axis=0))),
        ("variance's way plus", "constant factor", layernorm_with(proj=-1)),
    ],
)


class RMSNorm(Layer):
    """y = g x / rms(x)."""

    def __init__(self):
        self.gain = Parameter(np.linspace(0.5, 1.5, 4).astype(np.float32))

    def forward(self, x):
        inv = 1 / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-6)
        return x * inv * self.gain.data, (x, inv)

    def backward(self, dy, cache):
        x, inv = cache
        self.gain.grad += (dy * x * inv).sum(axis=0)
        g = dy * self.gain.data
        return inv * (g - self.shared(x, inv) * (g * x).mean(axis=-1, keepdims=True))

    def shared(self, x, inv):
        return x * inv**2


class RMSNormConstant(RMSNorm):
    def shared(self, x, inv):
        return 0


class RMSNormOnce(RMSNorm):
    def shared(self, x, inv):
        return x * inv


class RMSNormAssigned(RMSNorm):
    def backward(self, dy, cache):
        dx = super().backward(dy, cache)
        self.gain.grad = (dy * cache[0] * cache[1]).sum(axis=0)
        return dx


class RMSNormRaw(RMSNorm):
    def backward(self, dy, cache):
        before = self.gain.grad.copy()
        dx = super().backward(dy, cache)
        self.gain.grad = before + (dy * cache[0]).sum(axis=0)
        return dx


layer(
    "RMS norm",
    normal((3, 4)),
    [
        ("derived", "", RMSNorm),
        ("rms constant", "missing term", RMSNormConstant),
        ("one power of the rms lost", "missing term", RMSNormOnce),
        ("gain's gradient assigned", "assigned", RMSNormAssigned),
        ("gain's gradient with x itself", "missing term|wrong tensor", RMSNormRaw),
    ],
)


def groupnorm(x, gamma, beta, groups=2, eps=1e-5):
    n, c, h, w = x.shape
    g = x.reshape(n, groups, c // groups, h, w)
    inv = 1 / np.sqrt(g.var(axis=(2, 3, 4), keepdims=True) + eps)
    xhat = ((g - g.mean(axis=(2, 3, 4), keepdims=True)) * inv).reshape(x.shape)
    return gamma[:, None, None] * xhat + beta[:, None, None], (x, xhat, inv, gamma, groups)


def groupnorm_backward(dout, cache, axes=(2, 3, 4), weigh=True, mean=1, proj=1, count=None, late=False):
    x, xhat, inv, gamma, groups = cache
    n, c, h, w = x.shape
    shape = (n, groups, c // groups, h, w)
    g = (dout * gamma[:, None, None] if weigh else dout).reshape(shape)
    hat = xhat.reshape(shape)
    m = count or np.prod([shape[a] for a in axes])
    dg = inv * (g - mean * g.sum(axis=axes, keepdims=True) / m - proj * hat * (g * hat).sum(axis=axes, keepdims=True) / m)
    dx = dg.reshape(x.shape) * (gamma[:, None, None] if late else 1)
    return dx, (dout * xhat).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


def groupnorm_with(**options):
    return lambda dout, cache: groupnorm_backward(dout, cache, **options)


def groupnorm_loop(dout, cache):
    x, xhat, inv, gamma, groups = cache
    dx, k = np.zeros_like(x), x.shape[1] // groups
    for i in range(len(x)):
        for j in range(groups):
            at = slice(j * k, (j + 1) * k)
            g, hat = dout[i, at] * gamma[at, None, None], xhat[i, at]
            dx[i, at] = (g - g.mean() - hat * (g * hat).mean()) * inv[i, j]
    return dx, np.einsum("nchw,nchw->c", dout, xhat), np.einsum("nchw->c", dout)


group(
    "group norm",
    groupnorm,
    normal((3, 4, 2, 3), (4,), (4,)),
    [
        ("reshaped", "", groupnorm_with()),
        ("group by group", "", groupnorm_loop),
        ("gamma forgotten", "missing term", groupnorm_with(weigh=False)),
        ("gamma after the means", "wrong formula", groupnorm_with(weigh=False, late=True)),
        ("means over each channel, as in instance norm", "wrong axis", groupnorm_with(axes=(3, 4))),
        ("means over all groups, as in layer norm", "wrong axis", groupnorm_with(axes=(1, 2, 3, 4))),
        ("over the pixels alone", "constant factor", groupnorm_with(count=6)),
        ("mean constant", "missing term", groupnorm_with(mean=0)),
        ("variance constant", "missing term", groupnorm_with(proj=0)),
        ("dgamma over the batch", "wrong axis|wrong shape", but(groupnorm_backward, 1, lambda d, c: (d * c[1]).sum(axis=0))),
        ("dbeta averaged", "constant factor", but(groupnorm_backward, 2, lambda d, c: d.mean(axis=(0, 2, 3)))),
        ("dgamma and dbeta exchanged", "wrong tensor", exchanged(groupnorm_backward, 1, 2)),
    ],
)


def batchnorm(x, gamma, beta, eps=1e-5):
    mu, var = x.mean(axis=0), x.var(axis=0)
    std = np.sqrt(var + eps)
    xhat = (x - mu) / std
    return gamma * xhat + beta, {"x": x, "mu": mu, "std": std, "xhat": xhat, "gamma": gamma}


def batchnorm_staged(power=-3, sign=-1, two=2, mean=1, spread=1, weigh=1, direct=1):
    """The graph of the course, node by node."""

    def backward(dout, cache):
        n = len(dout)
        gamma, xmu, std = cache["gamma"], cache["x"] - cache["mu"], cache["std"]
        dxhat = dout * gamma if weigh else dout
        dvar = sign * 0.5 * (dxhat * xmu).sum(axis=0) * std**power
        dmu = -(dxhat / std).sum(axis=0)
        dx = direct * dxhat / std + spread * dvar * two * xmu / n + mean * dmu / n
        return dx, (dout * cache["xhat"]).sum(axis=0), dout.sum(axis=0)

    return backward


def batchnorm_compact(dout, cache):
    n, xhat = len(dout), cache["xhat"]
    dgamma, dbeta = (dout * xhat).sum(axis=0), dout.sum(axis=0)
    return cache["gamma"] / (n * cache["std"]) * (n * dout - dbeta - xhat * dgamma), dgamma, dbeta


def batchnorm_named(dout, cache):
    dx, dgamma, dbeta = batchnorm_compact(dout, cache)
    return {"dbeta": dbeta, "dgamma": dgamma, "dx": dx}


def batchnorm_compact_wrong(change):
    def backward(dout, cache):
        right = batchnorm_compact(dout, cache)
        return put(right, 0, change(dout, cache, len(dout), *right[1:]))

    return backward


group(
    "batch norm",
    batchnorm,
    normal((5, 5), (5,), (5,)),
    [
        ("staged", "", batchnorm_staged()),
        ("compact", "", batchnorm_compact),
        ("in a dictionary", "", batchnorm_named),
        ("power −1 for −3", "missing term", batchnorm_staged(power=-1)),
        ("dvar positive", "constant factor", batchnorm_staged(sign=1)),
        ("two forgotten", "constant factor", batchnorm_staged(two=1)),
        ("mean constant", "missing term", batchnorm_staged(mean=0)),
        ("variance constant", "missing term", batchnorm_staged(spread=0)),
        ("as at test time", "missing term", batchnorm_staged(mean=0, spread=0)),
        ("direct way forgotten", "missing term", batchnorm_staged(direct=0)),
        ("gamma forgotten", "missing term", batchnorm_staged(weigh=0)),
        ("n forgotten before dout", "constant factor|missing term", batchnorm_compact_wrong(lambda d, c, n, dg, db: c["gamma"] / (n * c["std"]) * (d - db - c["xhat"] * dg))),
        ("dgamma and dbeta exchanged in dx", "wrong tensor", batchnorm_compact_wrong(lambda d, c, n, dg, db: c["gamma"] / (n * c["std"]) * (n * d - dg - c["xhat"] * db))),
        ("x for xhat in dx", "wrong tensor", batchnorm_compact_wrong(lambda d, c, n, dg, db: c["gamma"] / (n * c["std"]) * (n * d - db - c["x"] * dg))),
        ("n not in front", "constant factor", batchnorm_compact_wrong(lambda d, c, n, dg, db: c["gamma"] / c["std"] * (n * d - db - c["xhat"] * dg))),
        ("sums over the features", "wrong axis", batchnorm_compact_wrong(lambda d, c, n, dg, db: c["gamma"] / (n * c["std"]) * (n * d - d.sum(1, keepdims=True) - c["xhat"] * (d * c["xhat"]).sum(1, keepdims=True)))),
        ("dgamma with x", "wrong tensor", but(batchnorm_compact, 1, lambda d, c: (d * c["x"]).sum(axis=0))),
        ("dgamma over the features", "wrong axis", but(batchnorm_compact, 1, lambda d, c: (d * c["xhat"]).sum(axis=1))),
        ("dbeta averaged", "constant factor", times(batchnorm_compact, 2, 1 / 5)),
        ("dbeta forgotten", "missing gradient", but(batchnorm_compact, 2, lambda d, c: np.zeros(5))),
    ],
)


class BatchNorm(Layer):
    """Keeps its cache where the next call finds it."""

    def __init__(self):
        self.gamma = Parameter(np.ones(3, np.float32))

    def forward(self, x):
        self.std = x.std(axis=0)
        self.xhat = (x - x.mean(axis=0)) / self.std
        return self.xhat * self.gamma.data, None

    def backward(self, dy, cache):
        self.gamma.grad += (dy * self.xhat).sum(axis=0)
        g = dy * self.gamma.data
        return (g - g.mean(axis=0) - self.xhat * (g * self.xhat).mean(axis=0)) / self.std


layer("batch norm layer", normal((6, 3)), [("cache on the layer", "shared cache", BatchNorm)])

class RunningNorm:
    """Weights and gradients in dictionaries, and running statistics."""

    def __init__(self):
        rng = np.random.default_rng(13)
        self.params = {"gamma": rng.standard_normal(3), "beta": rng.standard_normal(3)}
        self.grads = {}
        self.running_var = np.ones(3)

    def forward(self, x):
        self.x, var = x, x.var(axis=0)
        self.std = np.sqrt(var + 1e-5)
        self.xhat = (x - x.mean(axis=0)) / self.std
        self.running_var = 0.9 * self.running_var + 0.1 * var
        return self.params["gamma"] * self.xhat + self.params["beta"]

    def backward(self, dout):
        self.grads["gamma"] = (dout * self.xhat).sum(axis=0)
        self.grads["beta"] = dout.sum(axis=0)
        return self.dx(dout * self.params["gamma"], self.std)

    def dx(self, g, std):
        return (g - g.mean(axis=0) - self.xhat * (g * self.xhat).mean(axis=0)) / std


class RunningNormOfRunning(RunningNorm):
    def dx(self, g, std):
        return super().dx(g, np.sqrt(self.running_var + 1e-5))


class RunningNormConstant(RunningNorm):
    def dx(self, g, std):
        return g / std


class RunningNormMean(RunningNorm):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads["gamma"] = self.grads["gamma"] / len(dout)
        return dx


class RunningNormExchanged(RunningNorm):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads = {"gamma": self.grads["beta"], "beta": self.grads["gamma"]}
        return dx


class RunningNormCentred(RunningNorm):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads["gamma"] = (dout * (self.x - self.x.mean(axis=0))).sum(axis=0)
        return dx


class RunningNormIgnoring(RunningNorm):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads["gamma"] = (self.params["gamma"] * self.xhat + self.params["beta"]).sum(axis=0)
        return dx


layer(
    "batch norm class",
    normal((6, 3)),
    [
        ("dictionaries", "", RunningNorm),
        ("running variance in dx", "wrong tensor", RunningNormOfRunning),
        ("statistics constant", "missing term", RunningNormConstant),
        ("dgamma averaged", "constant factor", RunningNormMean),
        ("gradients exchanged", "wrong tensor", RunningNormExchanged),
        ("dgamma with x − mean", "missing term|wrong tensor", RunningNormCentred),
        ("output for dgamma", "upstream ignored|wrong tensor", RunningNormIgnoring),
    ],
)

# residual blocks


def block(x, w1, w2):
    """x + relu(x w1) w2, and a relu after the sum."""
    z = x @ w1
    a = np.maximum(z, 0)
    s = x + a @ w2
    return np.maximum(s, 0), (x, w1, w2, z, a, s)


def block_backward(dout, cache, outer=lambda s: s > 0, inner=lambda z: z > 0, skip=1, branch=1, skip_d=None, left="a"):
    x, w1, w2, z, a, s = cache
    ds = dout * outer(s)
    dz = (ds @ w2.T) * inner(z)
    dskip = ds if skip_d is None else skip_d(dout, ds)
    lefts = {"a": a, "z": z}
    return skip * dskip + branch * (dz @ w1.T), x.T @ dz, lefts[left].T @ ds


def block_with(**options):
    return lambda dout, cache: block_backward(dout, cache, **options)


group(
    "residual block",
    block,
    normal((4, 3), (3, 3), (3, 3)),
    [
        ("derived", "", block_with()),
        ("mask of the output", "", lambda dout, c: block_backward(dout * (np.maximum(c[5], 0) > 0), c, outer=lambda s: 1)),
        ("skip forgotten", "missing term", block_with(skip=0)),
        ("branch forgotten", "missing term", block_with(branch=0)),
        ("skip twice", "constant factor", block_with(skip=2)),
        ("last relu not in the skip", "wrong mask|missing term", block_with(skip_d=lambda d, ds: d)),
        ("last relu forgotten", "wrong mask", block_with(outer=lambda s: 1)),
        ("inner relu forgotten", "wrong mask", block_with(inner=lambda z: 1)),
        ("dw2 from before the relu", "wrong tensor", block_with(left="z")),
        ("dw1 and dw2 exchanged", "wrong tensor", exchanged(block_backward, 1, 2)),
    ],
)


def scaled_block(x, w, b):
    """x + 0.5 tanh(x w + b)."""
    t = np.tanh(x @ w + b)
    return x + 0.5 * t, (x, w, t)


def scaled_block_backward(dout, cache):
    x, w, t = cache
    dz = 0.5 * dout * (1 - t**2)
    return dout + dz @ w.T, x.T @ dz, dz.sum(axis=0)


def scaled_block_in_place(dout, cache):
    x, w, t = cache
    dz = 0.5 * dout * (1 - t**2)
    dx = dout
    dx += dz @ w.T
    return dx, x.T @ dz, dz.sum(axis=0)


def scaled_block_unscaled(dout, cache):
    x, w, t = cache
    dz = dout * (1 - t**2)
    return dout + dz @ w.T, x.T @ dz, dz.sum(axis=0)


group(
    "scaled residual block",
    scaled_block,
    normal((5, 4), (4, 4), (4,)),
    [
        ("derived", "", scaled_block_backward),
        ("added into dout", "upstream overwritten", scaled_block_in_place),
        ("scale forgotten", "constant factor", scaled_block_unscaled),
        ("scale on the skip too", "constant factor", but(scaled_block_backward, 0, lambda d, c: 0.5 * d + (0.5 * d * (1 - c[2] ** 2)) @ c[1].T)),
        ("skip forgotten", "missing term", but(scaled_block_backward, 0, lambda d, c: (0.5 * d * (1 - c[2] ** 2)) @ c[1].T)),
        ("w not transposed", "transposed", but(scaled_block_backward, 0, lambda d, c: d + (0.5 * d * (1 - c[2] ** 2)) @ c[1])),
        ("skip multiplied", "wrong formula", but(scaled_block_backward, 0, lambda d, c: d * ((0.5 * d * (1 - c[2] ** 2)) @ c[1].T))),
        ("x for dout in the skip", "wrong tensor", but(scaled_block_backward, 0, lambda d, c: c[0] + (0.5 * d * (1 - c[2] ** 2)) @ c[1].T)),
    ],
)

# convolution, channels second


def conv(x, w, b, stride=2, pad=1):
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    win = sliding_window_view(padded, w.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    return np.einsum("nchwij,fcij->nfhw", win, w) + b[:, None, None], (x, w, b, stride, pad)


def conv_back(kernel=lambda w: w, step=None, cut=None, add=True, add_w=True, grow=None, early=0):
    """Position by position."""

    def backward(dout, cache):
        x, w, _b, stride, pad = cache
        k, (rows, columns) = w.shape[2], x.shape[2:]
        to, crop = step or stride, pad if cut is None else cut
        grown = pad if grow is None else grow
        padded = np.pad(x, ((0, 0), (0, 0), (grown, k), (grown, k)))
        wide = np.zeros((*x.shape[:2], rows + 2 * pad + k, columns + 2 * pad + k))
        dw = np.zeros_like(w)
        for i in range(dout.shape[2] - early):
            for j in range(dout.shape[3]):
                d = dout[:, :, i, j]
                part = np.einsum("nf,fcij->ncij", d, kernel(w))
                here = np.s_[:, :, i * to : i * to + k, j * to : j * to + k]
                wide[here] = wide[here] + part if add else part
                here = padded[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
                piece = np.einsum("nf,ncij->fcij", d, here)
                dw = dw + piece if add_w else piece
        return wide[:, :, crop : crop + rows, crop : crop + columns], dw, dout.sum(axis=(0, 2, 3))

    return backward


def conv_columns(dout, cache):
    """im2col and its way back by np.add.at."""
    x, w, _b, stride, pad = cache
    n, c, h, width = x.shape
    f, k = w.shape[0], w.shape[2]
    index = np.pad(np.arange(x[0].size).reshape(c, h, width) + 1, ((0, 0), (pad, pad), (pad, pad)))
    index = sliding_window_view(index, (k, k), axis=(1, 2))[:, ::stride, ::stride].transpose(1, 2, 0, 3, 4).reshape(-1, c * k * k)
    rows = np.concatenate([np.zeros((n, 1)), x.reshape(n, -1)], axis=1)[:, index]
    d = dout.reshape(n, f, -1)
    dx = np.zeros((n, x[0].size + 1))
    np.add.at(dx, (slice(None), index), np.einsum("nfp,fq->npq", d, w.reshape(f, -1)))
    return dx[:, 1:].reshape(x.shape), np.einsum("nfp,npq->fq", d, rows).reshape(w.shape), dout.sum(axis=(0, 2, 3))


def full_dx(turn=True, exchange=True):
    """The gradient of x as a full correlation with the turned kernel, stride 1."""

    def dx(dout, cache):
        _x, w, _b, _stride, pad = cache
        k = w.shape[2]
        padded = np.pad(dout, ((0, 0), (0, 0), (k - 1 - pad,) * 2, (k - 1 - pad,) * 2))
        turned = w[:, :, ::-1, ::-1] if turn else w
        win = sliding_window_view(padded, (k, k), axis=(2, 3))
        return np.einsum("nfhwij,fcij->nchw" if exchange else "nchwij,fcij->nfhw", win, turned)

    return dx


def conv_one(x, w, b):
    return conv(x, w, b, stride=1)


group(
    "strided convolution",
    conv,
    normal((2, 3, 5, 5), (3, 3, 3, 3), (3,)),
    [
        ("position by position", "", conv_back()),
        ("columns", "", conv_columns),
        ("kernel turned in dx", "flipped kernel", conv_back(kernel=lambda w: w[:, :, ::-1, ::-1])),
        ("kernel's rows and columns exchanged in dx", "transposed", conv_back(kernel=lambda w: w.swapaxes(2, 3))),
        ("channels exchanged in dx", "transposed", conv_back(kernel=lambda w: w.swapaxes(0, 1))),
        ("padding not cut off", "stride or padding", conv_back(cut=0)),
        ("stride forgotten in dx", "stride or padding", conv_back(step=1)),
        ("dw from x not padded", "stride or padding", conv_back(grow=0)),
        ("dx assigned", "assigned", conv_back(add=False)),
        ("dw assigned", "assigned|missing term", conv_back(add_w=False)),
        ("last row left out", "missing term", conv_back(early=1)),
        ("dw over the batch size", "constant factor", times(conv_back(), 1, 1 / 2)),
        ("db over the batch alone", "wrong axis|wrong shape", but(conv_back(), 2, lambda d, c: d.sum(axis=0))),
        ("db of the rows", "wrong axis", but(conv_back(), 2, lambda d, c: d.sum(axis=(0, 1, 3)))),
        ("db zero", "missing gradient", but(conv_back(), 2, lambda d, c: np.zeros_like(c[2]))),
        ("dw of the channels exchanged", "transposed", but(conv_back(), 1, lambda d, c: conv_back()(d, c)[1].swapaxes(0, 1))),
    ],
)
group(
    "convolution of stride 1",
    conv_one,
    normal((2, 2, 4, 4), (2, 2, 3, 3), (2,)),
    [
        ("as a correlation with the turned kernel", "", but(conv_back(), 0, full_dx())),
        ("kernel not turned", "flipped kernel", but(conv_back(), 0, full_dx(turn=False))),
        ("channels not exchanged", "transposed", but(conv_back(), 0, full_dx(exchange=False))),
        ("dw turned", "flipped kernel", but(conv_back(), 1, lambda d, c: conv_back()(d, c)[1][:, :, ::-1, ::-1])),
        ("dx negative", "constant factor", times(conv_back(), 0, -1)),
        ("dw of the first image", "missing term", but(conv_back(), 1, lambda d, c: conv_back()(d[:1], (c[0][:1], *c[1:]))[1])),
    ],
)


def causal(x, w, dilation=2):
    """One channel in time: y[t] = Σ w[k] x[t − dilation·k]."""
    y = np.zeros_like(x)
    for k, v in enumerate(w):
        y[:, k * dilation :] += v * x[:, : x.shape[1] - k * dilation]
    return y, (x, w, dilation)


def causal_back(step=None, ahead=True, turn=False):
    def backward(dout, cache):
        x, w, dilation = cache
        s, t = step or dilation, x.shape[1]
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for k, v in enumerate(w[::-1] if turn else w):
            if ahead:
                dx[:, : t - k * s] += v * dout[:, k * s :]
            else:
                dx[:, k * s :] += v * dout[:, : t - k * s]
            dw[k] = (dout[:, k * dilation :] * x[:, : t - k * dilation]).sum()
        return dx, dw

    return backward


group(
    "causal convolution",
    causal,
    normal((2, 7), (3,)),
    [
        ("derived", "", causal_back()),
        ("dilation forgotten in dx", "stride or padding", causal_back(step=1)),
        ("dx causal too", "flipped kernel", causal_back(ahead=False)),
        ("w turned in dx", "flipped kernel", causal_back(turn=True)),
        ("dw averaged over the batch", "constant factor", times(causal_back(), 1, 1 / 2)),
        ("dw not shifted", "stride or padding", but(causal_back(), 1, lambda d, c: np.full_like(c[1], (d * c[0]).sum()))),
    ],
)

class Pointwise:
    """A kernel of 1 × 1, channels second, with weights and gradients in dictionaries."""

    def __init__(self):
        rng = np.random.default_rng(17)
        self.params = {"W": rng.standard_normal((3, 3)), "b": rng.standard_normal(3)}
        self.grads = {}

    def forward(self, x):
        self.x = x
        return np.einsum("fc,nchw->nfhw", self.params["W"], x) + self.params["b"][:, None, None]

    def backward(self, dout, dx="fc,nfhw->nchw", dw="nfhw,nchw->fc", db="nfhw->f"):
        self.grads["W"] = np.einsum(dw, dout, self.x)
        self.grads["b"] = np.einsum(db, dout)
        return np.einsum(dx, self.params["W"], dout)


class PointwiseTurned(Pointwise):
    def backward(self, dout):
        return super().backward(dout, dx="cf,nfhw->nchw")


class PointwiseTurnedWeights(Pointwise):
    def backward(self, dout):
        return super().backward(dout, dw="nfhw,nchw->cf")


class PointwiseRows(Pointwise):
    def backward(self, dout):
        return super().backward(dout, db="nfhw->h")


class PointwiseMean(Pointwise):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads["b"] = dout.mean(axis=(0, 2, 3))
        return dx


class PointwiseLast(Pointwise):
    def backward(self, dout):
        dx = super().backward(dout)
        for image, d in zip(self.x, dout, strict=True):
            self.grads["W"] = np.einsum("fhw,chw->fc", d, image)
        return dx


layer(
    "pointwise convolution class",
    normal((2, 3, 3, 4)),
    [
        ("einsum", "", Pointwise),
        ("W for its transpose", "transposed", PointwiseTurned),
        ("dW the other way round", "transposed", PointwiseTurnedWeights),
        ("db of the rows", "wrong axis", PointwiseRows),
        ("db averaged", "constant factor", PointwiseMean),
        ("dW of the last image", "assigned|missing term", PointwiseLast),
    ],
)

# transposed convolution


def deconv(x, w, b, stride=2, pad=1):
    """w of shape (in, out, k, k)."""
    n, _c, h, width = x.shape
    k = w.shape[2]
    y = np.zeros((n, w.shape[1], (h - 1) * stride + k, (width - 1) * stride + k))
    for i in range(h):
        for j in range(width):
            y[:, :, i * stride : i * stride + k, j * stride : j * stride + k] += np.einsum("nc,cfij->nfij", x[:, :, i, j], w)
    return y[:, :, pad:-pad, pad:-pad] + b[:, None, None], (x, w, b, stride, pad)


def deconv_back(kernel=lambda w: w, stride_x=None, pad_x=None, spec="cfij", add=True, turn=False):
    def backward(dout, cache):
        x, w, _b, stride, pad = cache
        k = w.shape[2]
        s, p = stride_x or stride, pad if pad_x is None else pad_x
        grown = np.pad(dout, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
        other = np.pad(dout, ((0, 0), (0, 0), (p, 2 * pad), (p, 2 * pad)))
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                d = other[:, :, i * s : i * s + k, j * s : j * s + k]
                dx[:, :, i, j] = np.einsum(f"nfij,{spec}->nc", d, kernel(w))
                d = grown[:, :, i * stride : i * stride + k, j * stride : j * stride + k]
                piece = np.einsum("nc,nfij->cfij", x[:, :, i, j], d)
                dw = dw + piece if add else piece
        return dx, dw[:, :, ::-1, ::-1] if turn else dw, dout.sum(axis=(0, 2, 3))

    return backward


group(
    "transposed convolution",
    deconv,
    normal((2, 2, 3, 3), (2, 2, 3, 3), (2,)),
    [
        ("position by position", "", deconv_back()),
        ("as a convolution", "", but(deconv_back(), 0, lambda d, c: conv(d, c[1], np.zeros(2), c[3], c[4])[0])),
        ("kernel turned in dx", "flipped kernel", deconv_back(kernel=lambda w: w[:, :, ::-1, ::-1])),
        ("kernel turned left to right", "flipped kernel", deconv_back(kernel=lambda w: w[:, :, :, ::-1])),
        ("channels exchanged in dx", "transposed", deconv_back(spec="fcij")),
        ("stride forgotten in dx", "stride or padding", deconv_back(stride_x=1)),
        ("padding forgotten in dx", "stride or padding", deconv_back(pad_x=0)),
        ("dw turned", "flipped kernel", deconv_back(turn=True)),
        ("dw assigned", "assigned|missing term", deconv_back(add=False)),
        ("dw's rows and columns exchanged", "transposed", but(deconv_back(), 1, lambda d, c: deconv_back()(d, c)[1].swapaxes(2, 3))),
        ("db averaged over the pixels", "constant factor", but(deconv_back(), 2, lambda d, c: d.mean(axis=(2, 3)).sum(axis=0))),
        ("db of the input's channels", "wrong tensor|upstream ignored", but(deconv_back(), 2, lambda d, c: c[0].sum(axis=(0, 2, 3)))),
        ("dx over the stride squared", "constant factor", times(deconv_back(), 0, 1 / 4)),
    ],
)

# layers by FFT


def fft_filter(x, w):
    """The circular convolution of each row with w."""
    return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(w), n=x.shape[1]), (x, w)


def fft_back(dx_of=np.conj, dw_of=np.conj, gather=lambda g: g.sum(axis=0), scale=1):
    def backward(dout, cache):
        x, w = cache
        d, n = np.fft.rfft(dout), x.shape[1]
        return scale * np.fft.irfft(d * dx_of(np.fft.rfft(w)), n=n), gather(np.fft.irfft(d * dw_of(np.fft.rfft(x)), n=n))

    return backward


def circulant(dout, cache):
    x, w = cache
    n = len(w)
    index = (np.arange(n)[:, None] - np.arange(n)) % n  # y[t] = Σ w[(t − s) mod n] x[s]
    dw = np.zeros_like(w)
    np.add.at(dw, index, dout.T @ x)
    return dout @ w[index], dw


def plain(spectrum):
    return spectrum


group(
    "filter by FFT",
    fft_filter,
    normal((3, 6), (6,)),
    [
        ("conjugates", "", fft_back()),
        ("circulant matrix", "", circulant),
        ("conjugate forgotten in dx", "flipped kernel", fft_back(dx_of=plain)),
        ("conjugate forgotten in dw", "flipped kernel", fft_back(dw_of=plain)),
        ("divided by n", "constant factor", fft_back(scale=1 / 6)),
        ("dw averaged over the batch", "constant factor", fft_back(gather=lambda g: g.mean(axis=0))),
        ("dw of every row", "wrong shape|wrong axis", fft_back(gather=lambda g: g)),
        ("amplitude of the spectrum", "missing term|wrong tensor", fft_back(dx_of=np.abs)),
        ("real part of the spectrum", "missing term", fft_back(dx_of=lambda s: s.real)),
    ],
)


def power(x):
    f = np.fft.rfft(x)
    return f.real**2 + f.imag**2, (f, x.shape[1])


def mixing(x):
    """FNet: the real part of the two-dimensional transform."""
    return np.fft.fft2(x).real, None


def power_backward(dout, cache):
    f, n = cache
    t = np.arange(n)
    angle = 2 * np.pi * np.outer(np.arange(f.shape[1]), t) / n
    return 2 * ((dout * f.real) @ np.cos(angle) - (dout * f.imag) @ np.sin(angle))


def power_fft(dout, cache):
    f, n = cache
    full = np.zeros((len(f), n), complex)
    full[:, : f.shape[1]] = 2 * dout * f
    return n * np.fft.ifft(full).real


def power_half(dout, cache):
    f, n = cache
    return n * np.fft.irfft(2 * dout * f, n=n)


group(
    "power spectrum",
    power,
    normal((2, 6)),
    [
        ("sums", "", power_backward),
        ("by ifft", "", power_fft),
        ("two forgotten", "constant factor", lambda dout, c: power_fft(dout, c) / 2),
        ("n forgotten", "constant factor", lambda dout, c: power_fft(dout, c) / c[1]),
        ("irfft counts inner frequencies twice", "constant factor", power_half),
        ("phase forgotten", "missing term|wrong tensor", lambda dout, c: power_fft(dout, (np.abs(c[0]), c[1]))),
        ("real part only", "missing term", lambda dout, c: power_fft(dout, (c[0].real, c[1]))),
    ],
)
group(
    "mixing by FFT",
    mixing,
    normal((2, 3, 4)),
    [
        ("the same transform", "", lambda dout, c: np.fft.fft2(dout).real),
        ("inverse, times n", "", lambda dout, c: np.fft.ifft2(dout).real * 12),
        ("inverse", "constant factor", lambda dout, c: np.fft.ifft2(dout).real),
        ("unitary", "constant factor", lambda dout, c: np.fft.fft2(dout, norm="ortho").real),
        ("over one axis", "wrong axis", lambda dout, c: np.fft.fft(dout).real),
        ("imaginary part", "wrong formula", lambda dout, c: np.fft.fft2(dout).imag),
        ("plus the imaginary part", "extra term", lambda dout, c: np.fft.fft2(dout).real + np.fft.fft2(dout).imag),
        ("over the batch too", "wrong axis", lambda dout, c: np.fft.fft2(dout, axes=(0, 1)).real),
    ],
)

# embedding and gather


WORDS = np.array([[1, 0, 4, 1], [2, 4, 4, 3]])


def embedding(w):
    return w[WORDS] * sqrt(w.shape[1]), (WORDS, w)


def embedding_backward(dout, cache):
    x, w = cache
    dw = np.zeros_like(w)
    np.add.at(dw, x, dout * sqrt(w.shape[1]))
    return dw


def embedding_loop(dout, cache):
    x, w = cache
    dw = np.zeros_like(w)
    for i, word in np.ndenumerate(x):
        dw[word] += dout[i] * sqrt(w.shape[1])
    return dw


def embedding_buffered(dout, cache):
    x, w = cache
    dw = np.zeros_like(w)
    dw[x] += dout * sqrt(w.shape[1])
    return dw


def embedding_assigned(dout, cache):
    x, w = cache
    dw = np.zeros_like(w)
    for i, word in np.ndenumerate(x):
        dw[word] = dout[i] * sqrt(w.shape[1])
    return dw


def embedding_normal_counts(dout, cache):
    x, w = cache
    return embedding_backward(dout, cache) / np.maximum(np.bincount(x.ravel(), minlength=len(w)), 1)[:, None]


def embedding_padded(dout, cache):
    dw = embedding_backward(dout, cache)
    dw[0] = 0
    return dw


def embedding_shifted(dout, cache):
    return np.roll(embedding_backward(dout, cache), 1, axis=0)


group(
    "embedding, scaled",
    embedding,
    normal((6, 3)),
    [
        ("add.at", "", embedding_backward),
        ("loop", "", embedding_loop),
        ("one hot", "", lambda dout, c: np.einsum("btv,btd->vd", np.eye(6)[c[0]], dout) * sqrt(3)),
        ("buffered +=", "assigned|missing term", embedding_buffered),
        ("assigned in a loop", "assigned|missing term", embedding_assigned),
        ("scale forgotten", "constant factor", lambda dout, c: embedding_backward(dout, c) / sqrt(3)),
        ("divided by the counts", "constant factor|extra term", embedding_normal_counts),
        ("padding word without gradient", "missing term|wrong mask", embedding_padded),
        ("words one off", "wrong formula|transposed|stride or padding", embedding_shifted),
        ("first sentence", "missing term", lambda dout, c: embedding_backward(dout[:1], (c[0][:1], c[1]))),
        ("times the row itself", "extra term", lambda dout, c: embedding_backward(dout * c[1][c[0]], c)),
    ],
)


def bag(w):
    """The mean of each sentence's rows."""
    x = WORDS
    return w[x].mean(axis=1), (x, w.shape)


def bag_backward(dout, cache, share=1 / 4):
    x, shape = cache
    dw = np.zeros(shape)
    np.add.at(dw, x, share * np.repeat(dout[:, None], x.shape[1], axis=1))
    return dw


def bag_once(dout, cache):
    x, shape = cache
    dw = np.zeros(shape)
    for d, sentence in zip(dout, x, strict=True):
        dw[sentence] += d / len(sentence)
    return dw


group(
    "bag of words",
    bag,
    normal((6, 3)),
    [
        ("add.at", "", bag_backward),
        ("matrix of counts", "", lambda dout, c: sum(np.eye(6)[c[0][:, t]].T @ dout for t in range(4)) / 4),
        ("not divided", "constant factor", lambda dout, c: bag_backward(dout, c, 1.0)),
        ("repeated words once", "assigned|missing term", bag_once),
        ("first word only", "missing term", lambda dout, c: np.eye(6)[c[0][:, 0]].T @ dout / 4),
    ],
)

CHOSEN = np.array([[2, 0, 2], [1, 3, 3], [0, 0, 1], [3, 1, 2]])


def gather(x):
    return np.take_along_axis(x, CHOSEN, axis=1), x.shape


def gather_added(dout, shape):
    dx = np.zeros(shape)
    np.add.at(dx, (np.arange(4)[:, None], CHOSEN), dout)
    return dx


def gather_put(dout, shape):
    dx = np.zeros(shape)
    np.put_along_axis(dx, CHOSEN, dout, axis=1)
    return dx


def gather_exchanged(dout, shape):
    dx = np.zeros(shape)
    np.add.at(dx, (CHOSEN, np.arange(4)[:, None]), dout)
    return dx


group(
    "gather",
    gather,
    normal((4, 4)),
    [
        ("add.at", "", gather_added),
        ("one hot", "", lambda dout, s: np.einsum("nk,nkc->nc", dout, np.eye(4)[CHOSEN])),
        ("put_along_axis", "assigned|missing term", gather_put),
        ("rows and columns exchanged", "transposed|wrong axis", gather_exchanged),
        ("into the first columns", "wrong formula|transposed", lambda dout, s: np.pad(dout, ((0, 0), (0, 1)))),
        ("first choice only", "missing term", lambda dout, s: dout[:, :1] * np.eye(4)[CHOSEN[:, 0]]),
    ],
)

# dropout with a fixed mask

KEEP = 0.6
MASK = np.random.default_rng(5).random((4, 5)) < KEEP


def dropout(x):
    return x * MASK / KEEP, x


class Dropout:
    """The mask is drawn from a generator of the same seed in every call."""

    def forward(self, x):
        self.mask = (np.random.default_rng(3).random(x.shape) < KEEP) / KEEP
        return x * self.mask

    def backward(self, dout):
        return dout * self.mask


class DropoutRedrawn(Dropout):
    def backward(self, dout):
        return dout * (np.random.default_rng(4).random(dout.shape) < KEEP) / KEEP


class DropoutBinary(Dropout):
    def backward(self, dout):
        return dout * (self.mask > 0)


class DropoutTwice(Dropout):
    def backward(self, dout):
        return dout * self.mask / KEEP


class DropoutInPlace(Dropout):
    def backward(self, dout):
        dout *= self.mask
        return dout


class DropoutZeroing(Dropout):
    def forward(self, x):
        super().forward(x)
        x *= self.mask
        return x


group(
    "dropout",
    dropout,
    normal((4, 5)),
    [
        ("inverted", "", lambda dout, x: dout * MASK / KEEP),
        ("where", "", lambda dout, x: np.where(MASK, dout, 0) / KEEP),
        ("mask forgotten", "wrong mask", lambda dout, x: dout / KEEP),
        ("scale forgotten", "constant factor", lambda dout, x: dout * MASK),
        ("times the probability", "constant factor", lambda dout, x: dout * MASK * KEEP),
        ("mask inverted", "wrong mask", lambda dout, x: dout * ~MASK / KEEP),
        ("over the probability of dropping", "constant factor", lambda dout, x: dout * MASK / (1 - KEEP)),
        ("dout as it is", "wrong mask|missing term", lambda dout, x: dout),
        ("mask of positive inputs", "wrong mask", lambda dout, x: dout * (x > 0) / KEEP),
        ("output for gradient", "upstream ignored|wrong tensor", lambda dout, x: x * MASK / KEEP),
    ],
)
layer(
    "dropout class",
    normal((4, 5)),
    [
        ("mask kept", "", Dropout),
        ("mask drawn anew", "wrong mask", DropoutRedrawn),
        ("binary mask", "constant factor", DropoutBinary),
        ("scaled twice", "constant factor", DropoutTwice),
        ("dout overwritten", "upstream overwritten", DropoutInPlace),
        ("x overwritten", "input overwritten", DropoutZeroing),
    ],
)

SEVENTH = ROWS[_before:]
del ROWS[_before:]
