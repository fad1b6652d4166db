"""The ninth set: exercises, notebooks and small projects, once more by a hand that knows no diagnosis.

Written without looking at the diagnosis, without measuring, and kept back; scored by the rule of
``third.py``.  Each right row was compared with central differences of its own, and each wrong one
seen to be wrong by them, or by what it does to its surroundings.
"""

# ruff: noqa: E501 (a row a line)
# fmt: off
from math import erf, pi, sqrt

import numpy as np
from mutants.specimen import Specimen

from specimens.table import ROWS, group, layer, normal, uniform
from tinygan import Layer, Parameter

_before = len(ROWS)


def losses(prefix, arguments, rows):
    """Add rows ``(name, cause, function)``; the function returns the loss and its gradient."""
    for name, cause, function in rows:
        first, *also = cause.split("|")
        ROWS.append(Specimen(f"{prefix}: {name}", lambda f=function: f, arguments, first, tuple(also)))


def scaled(size, *shapes):
    return lambda rng: tuple(size * a for a in normal(*shapes)(rng))


def other(i, value):
    """The right gradients with the i-th replaced; `value` is called with the gradients, dy, cache."""
    def decorate(back):
        def backward(dy, cache):
            found = list(back(dy, cache))
            found[i] = value(found, dy, cache)
            return tuple(found)

        return backward

    return decorate


def logistic(x):
    return 1.0 / (1.0 + np.exp(-x))


def probabilities(s, axis=-1):
    e = np.exp(s - np.max(s, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


# 1: a linear layer whose weights stand as (out, in)


class FC:
    def __init__(self):
        rng = np.random.default_rng(3)
        self.W = rng.standard_normal((3, 5))
        self.b = rng.standard_normal(3)
        self.dW = np.zeros((3, 5))
        self.db = np.zeros(3)

    def forward(self, x):
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, dy):
        self.dW = dy.T @ self.x
        self.db = dy.sum(0)
        return dy @ self.W


class FCLoops(FC):
    def backward(self, dy):
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)
        dx = np.zeros_like(self.x)
        for n in range(len(dy)):
            for o in range(3):
                self.dW[o] += dy[n, o] * self.x[n]
                self.db[o] += dy[n, o]
                dx[n] += dy[n, o] * self.W[o]
        return dx


class FCAssignedInLoop(FCLoops):
    def backward(self, dy):
        dx = super().backward(dy)
        for n in range(len(dy)):
            self.dW = np.outer(dy[n], self.x[n])
        return dx


class FCTurned(FC):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.x.T @ dy
        return dx


class FCRow(FC):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy.sum(0, keepdims=True)
        return dx


class FCRaises(FC):
    def backward(self, dy):
        super().backward(dy)
        return dy @ self.W.T


class FCLearns(FC):
    """Takes its step first and computes the gradient of the input through the new weights."""

    def backward(self, dy):
        self.dW = dy.T @ self.x
        self.db = dy.sum(0)
        new = self.W - 0.1 * self.dW
        return dy @ new


class FCMean(FC):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.dW / dy.size
        return dx


class FCNoBias(FC):
    def backward(self, dy):
        self.dW = dy.T @ self.x
        return dy @ self.W


class FCFirst(FC):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = dy[0]
        return dx


class FCSingle(FC):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.dW.astype(np.float32)
        return dx


class FCNoDelta(FC):
    def backward(self, dy):
        super().backward(dy)
        return np.ones_like(dy) @ self.W


layer(
    "fully connected, (out, in)",
    normal((6, 5)),
    [
        ("matrices", "", FC),
        ("loops", "", FCLoops),
        ("dW set for each sample", "assigned|missing term", FCAssignedInLoop),
        ("dW as (in, out)", "transposed", FCTurned),
        ("db keeps its axis", "wrong shape", FCRow),
        ("W turned once too often", "exception|transposed", FCRaises),
        ("dx through updated weights", "wrong tensor|extra term", FCLearns),
        ("dW over the number of elements", "constant factor", FCMean),
        ("db never set", "missing gradient", FCNoBias),
        ("db of the first sample", "missing term", FCFirst),
        ("dW in single precision", "float32", FCSingle),
        ("dx of ones", "upstream ignored", FCNoDelta),
    ],
)


# 2: a network of two layers in one function, gradients in a dictionary


def mlp(x, W1, b1, W2, b2):
    z1 = x @ W1 + b1
    a1 = logistic(z1)
    z2 = a1 @ W2 + b2
    return z2, {"x": x, "W1": W1, "W2": W2, "z1": z1, "a1": a1}


def mlp_back(dy, cache, slope=None, hidden="a1", turn=True, m=1):
    x, W1, W2, a1 = (cache[k] for k in ("x", "W1", "W2", "a1"))
    d2 = dy
    d1 = d2 @ (W2.T if turn else W2) * (a1 * (1 - a1) if slope is None else slope(cache))
    return {
        "dx": d1 @ W1.T,
        "dW1": x.T @ d1 / m,
        "db1": d1.sum(axis=0) / m,
        "dW2": cache[hidden].T @ d2 / m,
        "db2": d2.sum(axis=0) / m,
    }


def mlp_less(name):
    def back(dy, cache):
        found = mlp_back(dy, cache)
        found[name] = np.zeros_like(found[name])
        return found

    return back


def mlp_delta_order(dy, cache):
    """The delta of the output layer sent through W1 as well: W1 used for W2."""
    x, W1, a1 = (cache[k] for k in ("x", "W1", "a1"))
    d1 = dy @ W1.T * a1 * (1 - a1)
    return {"dx": d1 @ W1.T, "dW1": x.T @ d1, "db1": d1.sum(0), "dW2": a1.T @ dy, "db2": dy.sum(0)}


group(
    "network of two layers",
    mlp,
    normal((5, 4), (4, 4), (4,), (4, 4), (4,)),
    [
        ("dictionary", "", mlp_back),
        ("slope of z1", "", lambda dy, cache: mlp_back(dy, cache, lambda c: np.exp(-c["z1"]) / (1 + np.exp(-c["z1"])) ** 2)),
        ("no slope", "missing term", lambda dy, cache: mlp_back(dy, cache, lambda c: 1.0)),
        ("sigmoid of a1 again", "wrong tensor|extra term", lambda dy, cache: mlp_back(dy, cache, lambda c: logistic(c["a1"]) * (1 - logistic(c["a1"])))),
        ("z1 (1 − z1)", "wrong tensor", lambda dy, cache: mlp_back(dy, cache, lambda c: c["z1"] * (1 - c["z1"]))),
        ("tanh's slope", "wrong formula", lambda dy, cache: mlp_back(dy, cache, lambda c: 1 - c["a1"] ** 2)),
        ("a1 alone", "missing term", lambda dy, cache: mlp_back(dy, cache, lambda c: c["a1"])),
        ("dW2 from x", "wrong tensor", lambda dy, cache: mlp_back(dy, cache, hidden="x")),
        ("dW2 from z1", "wrong tensor", lambda dy, cache: mlp_back(dy, cache, hidden="z1")),
        ("W2 not transposed", "transposed", lambda dy, cache: mlp_back(dy, cache, turn=False)),
        ("weights averaged over the batch", "constant factor", lambda dy, cache: mlp_back(dy, cache, m=5)),
        ("W1 for W2", "wrong tensor", mlp_delta_order),
        ("db1 zero", "missing gradient", mlp_less("db1")),
    ],
)


# 3: softmax with classes in rows, and of one vector by its Jacobian


class ColumnSoftmax:
    def forward(self, s):
        self.p = probabilities(s, axis=0)
        return self.p

    def backward(self, dout):
        return self.p * (dout - (dout * self.p).sum(axis=0, keepdims=True))


class ColumnSoftmaxJacobians(ColumnSoftmax):
    def jacobian(self, p):
        return np.diag(p) - np.outer(p, p)

    def backward(self, dout):
        dx = np.empty_like(dout)
        for j in range(dout.shape[1]):
            dx[:, j] = self.jacobian(self.p[:, j]) @ dout[:, j]
        return dx


class ColumnSoftmaxPlus(ColumnSoftmaxJacobians):
    def jacobian(self, p):
        return np.diag(p) + np.outer(p, p)


class ColumnSoftmaxOuterOnly(ColumnSoftmaxJacobians):
    def jacobian(self, p):
        return -np.outer(p, p)


class ColumnSoftmaxDot(ColumnSoftmaxJacobians):
    def jacobian(self, p):
        return np.diag(p) - p @ p.T


class ColumnSoftmaxRows(ColumnSoftmax):
    def backward(self, dout):
        return self.p * (dout - (dout * self.p).sum(axis=1, keepdims=True))


class ColumnSoftmaxSigmoid(ColumnSoftmax):
    def backward(self, dout):
        return dout * self.p * (1 - self.p)


class ColumnSoftmaxPassed(ColumnSoftmax):
    """As it stands where cross-entropy is thought to have done everything."""

    def backward(self, dout):
        return dout.copy()


class ColumnSoftmaxNoProduct(ColumnSoftmax):
    def backward(self, dout):
        return self.p * (dout - dout.sum(axis=0, keepdims=True))


class ColumnSoftmaxAlone(ColumnSoftmax):
    def backward(self, dout):
        return self.p * (1 - self.p)


class ColumnSoftmaxLast(ColumnSoftmax):
    def backward(self, dout):
        dout -= (dout * self.p).sum(axis=0, keepdims=True)
        dout *= self.p
        return dout


layer(
    "softmax over rows",
    normal((4, 5)),
    [
        ("projected", "", ColumnSoftmax),
        ("a Jacobian a column", "", ColumnSoftmaxJacobians),
        ("diag + outer", "constant factor", ColumnSoftmaxPlus),
        ("outer alone", "missing term", ColumnSoftmaxOuterOnly),
        ("p @ p.T of a vector", "wrong formula", ColumnSoftmaxDot),
        ("sum over the samples", "wrong axis", ColumnSoftmaxRows),
        ("as a sigmoid", "missing term", ColumnSoftmaxSigmoid),
        ("passed through", "missing term", ColumnSoftmaxPassed),
        ("dout summed without p", "missing term", ColumnSoftmaxNoProduct),
        ("p (1 − p) returned", "upstream ignored|missing term", ColumnSoftmaxAlone),
        ("in the caller's dout", "upstream overwritten", ColumnSoftmaxLast),
    ],
)


# 4: log-softmax


def log_softmax(x):
    m = x.max(-1, keepdims=True)
    return x - m - np.log(np.exp(x - m).sum(-1, keepdims=True))


group(
    "log-softmax, output alone",
    log_softmax,
    normal((3, 2, 6)),
    [
        ("of the output", "", lambda dout, x: dout - np.exp(log_softmax(x)) * dout.sum(-1, keepdims=True)),
        ("einsum", "", lambda dout, x: dout - np.einsum("...i,...j->...i", probabilities(x), dout)),
        ("p dout without a sum", "missing term|wrong axis", lambda dout, x: dout - probabilities(x) * dout),
        ("log p for p", "wrong tensor", lambda dout, x: dout - log_softmax(x) * dout.sum(-1, keepdims=True)),
        ("sum over another axis", "wrong axis", lambda dout, x: dout - probabilities(x) * dout.sum(1, keepdims=True)),
        ("mean for sum", "constant factor", lambda dout, x: dout - probabilities(x) * dout.mean(-1, keepdims=True)),
        ("p forgotten", "missing term", lambda dout, x: dout - dout.sum(-1, keepdims=True)),
        ("as softmax", "wrong formula", lambda dout, x: probabilities(x) * (dout - (dout * probabilities(x)).sum(-1, keepdims=True))),
        ("exp without its sum", "missing term|constant factor", lambda dout, x: dout - np.exp(x) * dout.sum(-1, keepdims=True)),
    ],
)


# 5: cross-entropy: integer labels, smoothed labels, padded tokens

LABELS = np.array([2, 0, 3, 3, 1])


def xent(scores):
    n = len(scores)
    p = probabilities(scores)
    loss = -np.log(p[np.arange(n), LABELS]).mean()
    grad = p.copy()
    grad[np.arange(n), LABELS] -= 1
    return loss, grad / n


def xent_loop(scores):
    n = len(scores)
    loss, grad = 0.0, np.zeros_like(scores)
    for i in range(n):
        e = np.exp(scores[i])
        loss -= np.log(e[LABELS[i]] / e.sum())
        for j in range(scores.shape[1]):
            grad[i, j] = e[j] / e.sum() - (j == LABELS[i])
    return loss / n, grad / n


def xent_columns(scores):
    loss, _ = xent(scores)
    grad = probabilities(scores)
    grad[:, LABELS] -= 1
    return loss, grad / len(scores)


def xent_of_probability(scores):
    """The gradient with respect to the probabilities, not the scores."""
    n = len(scores)
    p = probabilities(scores)
    grad = np.zeros_like(p)
    grad[np.arange(n), LABELS] = -1 / p[np.arange(n), LABELS]
    return xent(scores)[0], grad / n


def xent_aliased(scores):
    """Subtracts in the scores' own array."""
    n = len(scores)
    scores -= scores.max(axis=1, keepdims=True)
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(n), LABELS]).mean()
    p[np.arange(n), LABELS] -= 1
    return loss, p / n


def xent_naive(scores):
    """exp of large scores."""
    n = len(scores)
    e = np.exp(scores)
    p = e / e.sum(axis=1, keepdims=True)
    grad = p.copy()
    grad[np.arange(n), LABELS] -= 1
    return xent(scores)[0], grad / n


def xent_altered(change):
    def loss(scores):
        value, grad = xent(scores)
        return value, change(grad, scores)

    return loss


losses(
    "cross-entropy of integers",
    scaled(2.0, (5, 4)),
    [
        ("fancy indices", "", xent),
        ("loops", "", xent_loop),
        ("all samples' columns", "extra term|wrong mask", xent_columns),
        ("of the probabilities", "wrong formula|missing term", xent_of_probability),
        ("not averaged", "constant factor", xent_altered(lambda g, s: g * 5)),
        ("averaged over classes too", "constant factor", xent_altered(lambda g, s: g / 4)),
        ("label not subtracted", "missing term", xent_altered(lambda g, s: probabilities(s) / 5)),
        ("t − p", "constant factor", xent_altered(lambda g, s: -g)),
        ("scores shifted in place", "input overwritten", xent_aliased),
        ("only the labels' own", "missing term", xent_altered(lambda g, s: g * np.eye(4)[LABELS])),
        ("scores − t", "wrong tensor|missing term", xent_altered(lambda g, s: (s - np.eye(4)[LABELS]) / 5)),
    ],
)

losses(
    "cross-entropy of large scores",
    lambda rng: (500 + 400 * rng.standard_normal((3, 4)),),
    [
        ("shifted", "", lambda s: _large(s, probabilities(s))),
        ("not shifted in the gradient", "not finite", lambda s: _large(s, np.exp(s) / np.exp(s).sum(1, keepdims=True))),
    ],
)


def _large(s, p):
    m = s.max(1, keepdims=True)
    loss = (m[:, 0] + np.log(np.exp(s - m).sum(1)) - s[:, 1]).sum()
    g = p.copy()
    g[:, 1] -= 1
    return loss, g


def smoothed_loss(logits, targets):
    k = logits.shape[-1]
    soft = targets * 0.8 + 0.2 / k
    p = probabilities(logits)
    return -(soft * np.log(p)).sum(-1).mean(), (p, targets, soft)


group(
    "cross-entropy of smoothed labels",
    smoothed_loss,
    lambda rng: (rng.standard_normal((6, 3)), np.eye(3)[rng.integers(0, 3, 6)]),
    [
        ("p − soft", "", lambda dy, c: dy * (c[0] - c[2]) / 6),
        ("by softmax", "", lambda dy, c: dy * (c[0] * c[2].sum(-1, keepdims=True) - c[2]) / len(c[0])),
        ("hard labels", "wrong tensor|missing term", lambda dy, c: dy * (c[0] - c[1]) / 6),
        ("smoothing without its constant", "missing term", lambda dy, c: dy * (c[0] - 0.8 * c[1]) / 6),
        ("a constant of 0.2", "constant factor", lambda dy, c: dy * (c[0] - (0.8 * c[1] + 0.2)) / 6),
        ("dy left out", "", lambda c: (c[0] - c[2]) / 6),
    ],
)

PADDED = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]], dtype=float)
TOKENS = np.array([[1, 0, 2, 0], [2, 2, 0, 0], [1, 0, 0, 0]])


def token_loss(s):
    p = probabilities(s)
    nll = -np.log(np.take_along_axis(p, TOKENS[..., None], 2))[..., 0]
    return (nll * PADDED).sum() / PADDED.sum(), (p, np.eye(3)[TOKENS])


group(
    "cross-entropy of padded tokens",
    token_loss,
    normal((3, 4, 3)),
    [
        ("mask", "", lambda dy, c: dy * (c[0] - c[1]) * PADDED[..., None] / PADDED.sum()),
        ("where", "", lambda dy, c: np.where(PADDED[..., None] > 0, dy * (c[0] - c[1]), 0) / 6),
        ("mask forgotten", "wrong mask|missing term", lambda dy, c: dy * (c[0] - c[1]) / PADDED.sum()),
        ("divided by all tokens", "constant factor", lambda dy, c: dy * (c[0] - c[1]) * PADDED[..., None] / PADDED.size),
        ("padding kept, tokens dropped", "wrong mask", lambda dy, c: dy * (c[0] - c[1]) * (1 - PADDED[..., None]) / PADDED.sum()),
        ("mask by token 0", "wrong mask", lambda dy, c: dy * (c[0] - c[1]) * (TOKENS != 0)[..., None] / PADDED.sum()),
        ("a mean for each row", "wrong formula|constant factor", lambda dy, c: dy * (c[0] - c[1]) * PADDED[..., None] / PADDED.sum(1)[:, None, None] / 3),
    ],
)


# 6: focal loss and weighted binary cross-entropy


def focal(z, target):
    p = logistic(z)
    pt = np.where(target == 1, p, 1 - p)
    return (-((1 - pt) ** 2) * np.log(pt)).sum(), (pt, np.where(target == 1, 1.0, -1.0))


def focal_back(dy, cache, first=2.0, second=1.0, slope=True, sign=True):
    pt, s = cache
    dpt = first * (1 - pt) * np.log(pt) - second * (1 - pt) ** 2 / pt
    return dy * dpt * (pt * (1 - pt) if slope else 1) * (s if sign else 1)


group(
    "focal loss",
    focal,
    lambda rng: (rng.standard_normal((4, 3)), (rng.random((4, 3)) < 0.4).astype(int)),
    [
        ("product rule", "", focal_back),
        ("simplified", "", lambda dy, c: dy * c[1] * (1 - c[0]) ** 2 * (2 * c[0] * np.log(c[0]) - (1 - c[0]))),
        ("weight taken as constant", "missing term", lambda dy, c: focal_back(dy, c, first=0)),
        ("2 forgotten", "constant factor", lambda dy, c: focal_back(dy, c, first=1)),
        ("sign of the weight's slope", "constant factor", lambda dy, c: focal_back(dy, c, first=-2)),
        ("sigmoid forgotten", "missing term", lambda dy, c: focal_back(dy, c, slope=False)),
        ("negatives as positives", "constant factor|missing term", lambda dy, c: focal_back(dy, c, sign=False)),
    ],
)


def weighted_bce(z, target):
    return (np.logaddexp(0, -z) * 4 * target + np.logaddexp(0, z) * (1 - target)).mean(), (z, target)


group(
    "binary cross-entropy, positives weigh 4",
    weighted_bce,
    lambda rng: (3 * rng.standard_normal(7), (rng.random(7) < 0.5).astype(float)),
    [
        ("two parts", "", lambda dy, c: dy * ((1 - c[1]) * logistic(c[0]) - 4 * c[1] * logistic(-c[0])) / 7),
        ("weight and difference", "", lambda dy, c: dy * (1 + 3 * c[1]) * (logistic(c[0]) - c[1]) / c[0].size),
        ("weight forgotten", "constant factor|missing term", lambda dy, c: dy * (logistic(c[0]) - c[1]) / 7),
        ("weight on everything", "constant factor", lambda dy, c: dy * 4 * (logistic(c[0]) - c[1]) / 7),
        ("weight on the negatives", "wrong mask|constant factor", lambda dy, c: dy * (1 + 3 * (1 - c[1])) * (logistic(c[0]) - c[1]) / 7),
        ("thresholded prediction", "wrong formula|wrong tensor", lambda dy, c: dy * (1 + 3 * c[1]) * ((c[0] > 0) - c[1]) / 7),
    ],
)


# 7: squared hinge


def squared_hinge(s, target):
    margin = np.maximum(0, 1 - target * s)
    return 0.5 * np.sum(margin**2), (margin, target, s)


def signs(rng, *shape):
    return np.where(rng.random(shape) < 0.5, -1, 1)


group(
    "squared hinge",
    squared_hinge,
    lambda rng: (1.3 * rng.standard_normal((6, 2)), signs(rng, 6, 2)),
    [
        ("margin", "", lambda dy, c: -dy * c[1] * c[0]),
        ("2 though halved", "constant factor", lambda dy, c: -2 * dy * c[1] * c[0]),
        ("as the plain hinge", "missing term|wrong formula", lambda dy, c: -dy * c[1] * (c[0] > 0)),
        ("label forgotten", "missing term", lambda dy, c: -dy * c[0]),
        ("not clipped", "wrong mask|missing term", lambda dy, c: -dy * c[1] * (1 - c[1] * c[2])),
        ("clipped at zero for one", "wrong mask", lambda dy, c: -dy * c[1] * (1 - c[1] * c[2]) * (c[1] * c[2] < 0)),
        ("sign", "constant factor", lambda dy, c: dy * c[1] * c[0]),
        ("averaged", "constant factor", lambda dy, c: -dy * c[1] * c[0] / len(c[0])),
    ],
)


# 8: max pooling: windows that do not overlap, that do, over time, with recorded places


class MaxPool:
    k = 2

    def forward(self, x):
        n, c, h, w = x.shape
        self.v = x.reshape(n, c, h // self.k, self.k, w // self.k, self.k)
        self.shape = x.shape
        self.out = self.v.max(axis=(3, 5))
        return self.out

    def mask(self):
        return self.v == self.out[:, :, :, None, :, None]

    def backward(self, dout):
        return (self.mask() * dout[:, :, :, None, :, None]).reshape(self.shape)


class MaxPoolEverywhere(MaxPool):
    def mask(self):
        return np.ones(self.v.shape)


class MaxPoolOfWholeMap(MaxPool):
    def mask(self):
        return self.v == self.v.max(axis=(2, 3, 4, 5), keepdims=True)


class MaxPoolOfRows(MaxPool):
    """The largest of each row of a window."""

    def mask(self):
        return self.v == self.v.max(axis=5, keepdims=True)


class MaxPoolPositive(MaxPool):
    def mask(self):
        return self.v > 0


class MaxPoolLosers(MaxPool):
    def mask(self):
        return self.v != self.out[:, :, :, None, :, None]


class MaxPoolTile(MaxPool):
    """dout laid out by tile, where repeat is due."""

    def backward(self, dout):
        return self.mask().reshape(self.shape) * np.tile(dout, (1, 1, self.k, self.k))


class MaxPoolRepeat(MaxPool):
    def backward(self, dout):
        return self.mask().reshape(self.shape) * np.kron(dout, np.ones((self.k, self.k)))


class MaxPoolValue(MaxPool):
    def backward(self, dout):
        return (self.mask() * self.v * dout[:, :, :, None, :, None]).reshape(self.shape)


class MaxPoolOverOut(MaxPool):
    """Writes into what forward returned."""

    def backward(self, dout):
        d = (self.mask() * dout[:, :, :, None, :, None]).reshape(self.shape)
        self.out *= 0
        return d


layer(
    "max pooling, classes",
    normal((2, 3, 4, 6)),
    [
        ("mask", "", MaxPool),
        ("kron", "", MaxPoolRepeat),
        ("mask forgotten", "wrong mask|missing term", MaxPoolEverywhere),
        ("largest of the whole map", "wrong mask", MaxPoolOfWholeMap),
        ("largest of each row", "wrong mask", MaxPoolOfRows),
        ("mask of a ReLU", "wrong mask", MaxPoolPositive),
        ("all but the largest", "wrong mask", MaxPoolLosers),
        ("tiled for repeated", "wrong axis|wrong formula", MaxPoolTile),
        ("times the value", "extra term", MaxPoolValue),
        ("output cleared", "output overwritten", MaxPoolOverOut),
    ],
)


def pool_3_2(x):
    """Windows of three by three, a stride of two, (H, W, C)."""
    h, w, c = x.shape
    y = np.zeros(((h - 3) // 2 + 1, (w - 3) // 2 + 1, c))
    where = {}
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            for k in range(c):
                patch = x[2 * i : 2 * i + 3, 2 * j : 2 * j + 3, k]
                where[i, j, k] = divmod(int(patch.argmax()), 3)
                y[i, j, k] = patch.max()
    return y, (x, where)


def pool_back(dout, cache, place=lambda i, j, a, b: (2 * i + a, 2 * j + b), add=True):
    x, where = cache
    dx = np.zeros_like(x)
    for (i, j, k), (a, b) in where.items():
        p, q = place(i, j, a, b)
        dx[p, q, k] = dout[i, j, k] + (dx[p, q, k] if add else 0)
    return dx


def pool_back_patch(dout, cache, of=np.max, twice=False):
    x, where = cache
    dx = np.zeros_like(x)
    for i, j, k in where:
        at = slice(2 * i, 2 * i + 3), slice(2 * j, 2 * j + 3), k
        dx[at] += (x[at] == of(x[at])) * dout[i, j, k]
    return dx


group(
    "max pooling, windows that overlap",
    pool_3_2,
    scaled(40.0, (7, 7, 2)),
    [
        ("recorded places", "", pool_back),
        ("patches", "", pool_back_patch),
        ("set, not added", "assigned", lambda dout, c: pool_back(dout, c, add=False)),
        ("row and column exchanged", "transposed|wrong axis", lambda dout, c: pool_back(dout, c, lambda i, j, a, b: (2 * i + b, 2 * j + a))),
        ("stride of one", "stride or padding", lambda dout, c: pool_back(dout, c, lambda i, j, a, b: (i + a, j + b))),
        ("window in the corner", "wrong mask|stride or padding", lambda dout, c: pool_back(dout, c, lambda i, j, a, b: (2 * i, 2 * j))),
        ("minimum", "wrong mask", lambda dout, c: pool_back_patch(dout, c, np.min)),
        ("divided by nine", "constant factor", lambda dout, c: pool_back(dout, c) / 9),
    ],
)


def last_max(x, lengths):
    """The largest of the steps that a sequence has."""
    y = np.stack([row[:length].max(axis=0) for row, length in zip(x, lengths, strict=True)])
    return y, (x, lengths)


def last_max_back(dy, cache, whole=False, one=None):
    x, lengths = cache
    dx = np.zeros_like(x)
    for n, length in enumerate(lengths):
        steps = x[n] if whole else x[n, :length]
        best = steps.argmax(0)
        if one is not None:
            best = np.full_like(best, one(steps))
        dx[n, best, np.arange(x.shape[2])] = dy[n]
    return dx


group(
    "max over the steps of a sequence",
    last_max,
    lambda rng: (rng.standard_normal((4, 6, 3)), np.array([6, 2, 1, 3])),
    [
        ("argmax", "", last_max_back),
        ("also padding", "wrong mask", lambda dy, cache: last_max_back(dy, cache, whole=True)),
        ("one place for all channels", "wrong mask|wrong axis", lambda dy, cache: last_max_back(dy, cache, one=lambda s: s.argmax() // 3)),
        ("last step", "wrong mask", lambda dy, cache: last_max_back(dy, cache, one=lambda s: len(s) - 1)),
    ],
)


# 9: average pooling, global pooling


def avg_1d(x, size=3, stride=2, pad=1):
    """Mean over the steps there are: padding is not counted."""
    length = x.shape[1]
    starts = range(-pad, length + pad - size + 1, stride)
    return np.stack([x[:, max(s, 0) : s + size].mean(1) for s in starts], 1), (x.shape, list(starts))


def avg_1d_back(dy, cache, count=None, shift=0, add=True):
    shape, starts = cache
    dx = np.zeros(shape)
    for t, s in enumerate(starts):
        window = dx[:, max(s + shift, 0) : s + shift + 3]
        part = dy[:, t, None] / (count or window.shape[1])
        window[...] = window + part if add else part
    return dx


group(
    "average pooling that does not count padding",
    avg_1d,
    normal((2, 8, 2)),
    [
        ("windows", "", avg_1d_back),
        ("always by three", "constant factor", lambda dy, c: avg_1d_back(dy, c, count=3)),
        ("not divided", "constant factor", lambda dy, c: avg_1d_back(dy, c, count=1)),
        ("padding forgotten", "stride or padding", lambda dy, c: avg_1d_back(dy, c, shift=1)),
        ("windows overwrite", "assigned", lambda dy, c: avg_1d_back(dy, c, add=False)),
    ],
)


def avg_nchw(x):
    return x.reshape(x.shape[0], x.shape[1], x.shape[2] // 3, 3, x.shape[3] // 2, 2).mean(axis=(3, 5)), x.shape


group(
    "average pooling of 3 × 2",
    avg_nchw,
    normal((1, 2, 6, 4)),
    [
        ("repeat", "", lambda dy, shape: dy.repeat(3, 2).repeat(2, 3) / 6),
        ("kron", "", lambda dy, shape: np.kron(dy, np.ones((3, 2))) / 6),
        ("divided by 3 · 3", "constant factor", lambda dy, shape: dy.repeat(3, 2).repeat(2, 3) / 9),
        ("sides exchanged", "wrong shape|transposed|wrong axis", lambda dy, shape: dy.repeat(2, 2).repeat(3, 3) / 6),
        ("tiled", "wrong axis|wrong formula", lambda dy, shape: np.tile(dy, (1, 1, 3, 2)) / 6),
        ("top left only", "missing term", lambda dy, shape: _top_left(dy, shape)),
        ("of the shape of dy", "wrong shape", lambda dy, shape: dy / 6),
    ],
)


def _top_left(dy, shape):
    dx = np.zeros(shape)
    dx[:, :, ::3, ::2] = dy / 6
    return dx


def global_mean_max(x):
    """Mean and maximum of each map, side by side."""
    flat = x.reshape(*x.shape[:2], -1)
    return np.concatenate([flat.mean(-1), flat.max(-1)], axis=1), (x.shape, flat)


def global_back(dy, cache, mean=True, biggest=True, over=None, halves=False):
    shape, flat = cache
    c = shape[1]
    a, b = (dy[:, c:], dy[:, :c]) if halves else (dy[:, :c], dy[:, c:])
    dx = np.zeros(flat.shape)
    if mean:
        dx += a[..., None] / (over or flat.shape[-1])
    if biggest:
        dx += (flat == flat.max(-1, keepdims=True)) * b[..., None]
    return dx.reshape(shape)


group(
    "global mean and maximum",
    global_mean_max,
    normal((3, 2, 3, 5)),
    [
        ("both", "", global_back),
        ("mean forgotten", "missing term", lambda dy, c: global_back(dy, c, mean=False)),
        ("maximum forgotten", "missing term", lambda dy, c: global_back(dy, c, biggest=False)),
        ("halves exchanged", "wrong tensor", lambda dy, c: global_back(dy, c, halves=True)),
        ("mean over the height", "constant factor", lambda dy, c: global_back(dy, c, over=3)),
    ],
)


# 10: activations


class GELU:
    def forward(self, x):
        self.x = x
        return 0.5 * x * (1 + np.vectorize(erf)(x / sqrt(2)))

    def parts(self):
        cdf = 0.5 * (1 + np.vectorize(erf)(self.x / sqrt(2)))
        pdf = np.exp(-self.x**2 / 2) / sqrt(2 * pi)
        return cdf, pdf

    def backward(self, dy):
        cdf, pdf = self.parts()
        return dy * (cdf + self.x * pdf)


class GELUNoProduct(GELU):
    def backward(self, dy):
        return dy * self.parts()[0]


class GELUDensityAlone(GELU):
    def backward(self, dy):
        cdf, pdf = self.parts()
        return dy * (cdf + pdf)


class GELUUnnormalised(GELU):
    def backward(self, dy):
        cdf, pdf = self.parts()
        return dy * (cdf + self.x * pdf * sqrt(2 * pi))


class GELUExponent(GELU):
    def backward(self, dy):
        cdf, _ = self.parts()
        return dy * (cdf + self.x * np.exp(-self.x**2) / sqrt(2 * pi))


class GELUTanhGradient(GELU):
    """The gradient of the sigmoid approximation beside the exact output."""

    def backward(self, dy):
        s = logistic(1.702 * self.x)
        return dy * (s + 1.702 * self.x * s * (1 - s))


layer(
    "exact GELU",
    normal((2, 9)),
    [
        ("cdf + x pdf", "", GELU),
        ("cdf alone", "missing term", GELUNoProduct),
        ("x of the second term forgotten", "missing term", GELUDensityAlone),
        ("density not normalised", "constant factor", GELUUnnormalised),
        ("½ of the exponent forgotten", "constant factor|wrong formula", GELUExponent),
        ("of the approximation", "wrong formula", GELUTanhGradient),
    ],
)


def gelu_tanh(x):
    u = sqrt(2 / pi) * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + np.tanh(u))


def gelu_tanh_back(x, dy, three=3, slope=True, root=True, square=2, half=True):
    u = sqrt(2 / pi) * (x + 0.044715 * x**3)
    t = np.tanh(u)
    du = (sqrt(2 / pi) if root else 1) * (1 + three * 0.044715 * x**2) if slope else 1
    return dy * (0.5 * (1 + t) + (0.5 if half else 1) * x * (1 - t**square) * du)


group(
    "GELU by tanh",
    gelu_tanh,
    normal((4, 3)),
    [
        ("product rule", "", lambda dy, x: gelu_tanh_back(x, dy)),
        ("3 forgotten", "constant factor", lambda dy, x: gelu_tanh_back(x, dy, three=1)),
        ("inner slope forgotten", "missing term|constant factor", lambda dy, x: gelu_tanh_back(x, dy, slope=False)),
        ("√(2/π) forgotten", "constant factor", lambda dy, x: gelu_tanh_back(x, dy, root=False)),
        ("1 − t", "missing term|wrong formula", lambda dy, x: gelu_tanh_back(x, dy, square=1)),
        ("½ forgotten", "constant factor", lambda dy, x: gelu_tanh_back(x, dy, half=False)),
    ],
)


def softplus(x, beta=1.5, threshold=20.0):
    """Linear where the logarithm cannot be told from it."""
    return np.where(beta * x > threshold, x, np.log1p(np.exp(np.minimum(beta * x, threshold))) / beta)


def mish(x):
    return x * np.tanh(np.logaddexp(0, x)), x


def mish_back(dy, x, inner=True, outer=True, square=True):
    t = np.tanh(np.logaddexp(0, x))
    slope = (1 - t * t if square else 1 - t) if outer else 1
    return dy * (t + x * slope * (logistic(x) if inner else 1))


group(
    "mish",
    mish,
    normal((6, 3)),
    [
        ("chain", "", mish_back),
        ("sigmoid forgotten", "missing term", lambda dy, x: mish_back(dy, x, inner=False)),
        ("slope of tanh forgotten", "missing term", lambda dy, x: mish_back(dy, x, outer=False)),
        ("1 − t", "missing term|wrong formula", lambda dy, x: mish_back(dy, x, square=False)),
        ("y for x in the product", "wrong tensor", lambda dy, x: dy * (mish(x)[0] / x + mish(x)[0] * (1 - (mish(x)[0] / x) ** 2) * logistic(x))),
    ],
)

SCALE, SELU_ALPHA = 1.0507, 1.67326


class SELU:
    def forward(self, x):
        self.x = x
        self.y = SCALE * np.where(x > 0, x, SELU_ALPHA * (np.exp(np.minimum(x, 0)) - 1))
        return self.y

    def backward(self, dy):
        return dy * np.where(self.y > 0, SCALE, self.y + SCALE * SELU_ALPHA)


class SELUInPlace(SELU):
    """A copy, changed where it is negative."""

    def backward(self, dy):
        dx = SCALE * dy
        low = self.x < 0
        dx[low] *= SELU_ALPHA * np.exp(self.x[low])
        return dx


class SELUUnscaled(SELU):
    def backward(self, dy):
        return dy * np.where(self.x > 0, 1, SELU_ALPHA * np.exp(self.x))


class SELUOnlyBelow(SELU):
    def backward(self, dy):
        return dy * np.where(self.x > 0, 1, SCALE * SELU_ALPHA * np.exp(self.x))


class SELUElu(SELU):
    """y + α of an ELU, without its scale."""

    def backward(self, dy):
        return dy * np.where(self.x > 0, SCALE, self.y + SELU_ALPHA)


class SELUKeepsNothing(SELU):
    def forward(self, x):
        x[x <= 0] = SELU_ALPHA * np.expm1(x[x <= 0])
        self.y = SCALE * x
        return self.y


class SELUStep(SELU):
    def backward(self, dy):
        return dy * np.where(self.x > 0, SCALE, 0)


layer(
    "SELU",
    normal((3, 7)),
    [
        ("by y", "", SELU),
        ("on a copy", "", SELUInPlace),
        ("λ forgotten", "constant factor", SELUUnscaled),
        ("λ forgotten where positive", "constant factor", SELUOnlyBelow),
        ("y + α", "constant factor|wrong formula", SELUElu),
        ("x changed by forward", "input overwritten", SELUKeepsNothing),
        ("as a ReLU", "missing term|wrong mask", SELUStep),
    ],
)

group(
    "softplus, output alone",
    softplus,
    uniform(-3, 16, (3, 2, 4)),
    [
        ("sigmoid of βx", "", lambda x: logistic(1.5 * x)),
        ("times β", "constant factor", lambda x: 1.5 * logistic(1.5 * x)),
        ("β inside forgotten", "constant factor|wrong formula", lambda x: logistic(x)),
        ("one", "missing term", lambda x: np.ones_like(x)),
        ("sigmoid's slope", "extra term", lambda x: logistic(1.5 * x) * (1 - logistic(1.5 * x))),
    ],
)


def one_slope(x, a):
    """PReLU with one slope for everything, shape (1,)."""
    return np.maximum(x, 0) + a * np.minimum(x, 0), {"x": x, "a": a}


def one_slope_back(dy, cache):
    x, a = cache["x"], cache["a"]
    dx = dy.copy()
    dx[x < 0] *= a
    return dx, np.array([(dy * np.minimum(x, 0)).sum()])


def one_slope_da(value):
    return other(1, value)(one_slope_back)


def one_slope_dx(value):
    return other(0, value)(one_slope_back)


group(
    "PReLU of one slope",
    one_slope,
    lambda rng: (rng.standard_normal((2, 3, 4)), np.array([0.3])),
    [
        ("in place on a copy", "", one_slope_back),
        ("einsum", "", one_slope_da(lambda g, dy, c: np.einsum("abc,abc->", dy, np.minimum(c["x"], 0)).reshape(1))),
        ("da for each channel", "wrong shape|wrong axis", one_slope_da(lambda g, dy, c: (dy * np.minimum(c["x"], 0)).sum((0, 2)))),
        ("da mean", "constant factor", one_slope_da(lambda g, dy, c: g[1] / dy.size)),
        ("da of all x", "wrong mask", one_slope_da(lambda g, dy, c: np.array([(dy * c["x"]).sum()]))),
        ("da counts", "missing term", one_slope_da(lambda g, dy, c: np.array([(dy * (c["x"] < 0)).sum()]))),
        ("da of dy < 0", "wrong mask", one_slope_da(lambda g, dy, c: np.array([(dy * c["x"])[dy < 0].sum()]))),
        ("da ignores dy", "upstream ignored", one_slope_da(lambda g, dy, c: np.array([np.minimum(c["x"], 0).sum()]))),
        ("dx scaled everywhere", "wrong mask", one_slope_dx(lambda g, dy, c: dy * c["a"])),
        ("dx has 1 + a", "extra term", one_slope_dx(lambda g, dy, c: dy + dy * c["a"] * (c["x"] < 0))),
        ("da none", "missing gradient", one_slope_da(lambda g, dy, c: None)),
    ],
)


def elu_y(x):
    return np.where(x > 0, x, 1.5 * np.expm1(np.minimum(x, 0)))


group(
    "ELU of 1.5, by its output",
    elu_y,
    scaled(1.5, (5, 5)),
    [
        ("y + α", "", lambda dy, y: dy * np.where(y > 0, 1, y + 1.5)),
        ("y + 1", "wrong formula|constant factor", lambda dy, y: dy * np.where(y > 0, 1, y + 1)),
        ("y alone", "missing term", lambda dy, y: dy * np.where(y > 0, 1, y)),
        ("exp of y", "wrong tensor", lambda dy, y: dy * np.where(y > 0, 1, 1.5 * np.exp(y))),
        ("branches exchanged", "wrong mask", lambda dy, y: dy * np.where(y < 0, 1, np.minimum(y, 0) + 1.5)),
    ],
)


def swish(x, beta):
    s = logistic(beta * x)
    return x * s, (x, beta, s)


def swish_back(dy, cache):
    x, beta, s = cache
    return dy * (s + beta * x * s * (1 - s)), (dy * x**2 * s * (1 - s)).sum(axis=0)


def swish_dx(value):
    return other(0, lambda g, dy, c: value(dy, *c))(swish_back)


def swish_db(value):
    return other(1, lambda g, dy, c: value(dy, *c))(swish_back)


group(
    "swish with a β a feature",
    swish,
    lambda rng: (rng.standard_normal((6, 4)), rng.uniform(0.5, 2, 4)),
    [
        ("product rule", "", swish_back),
        ("by y", "", swish_dx(lambda dy, x, b, s: dy * (b * x * s + s * (1 - b * x * s)))),
        ("y + s", "missing term|wrong formula", swish_dx(lambda dy, x, b, s: dy * (x * s + s))),
        ("β forgotten", "missing term|constant factor", swish_dx(lambda dy, x, b, s: dy * (s + x * s * (1 - s)))),
        ("s alone", "missing term", swish_dx(lambda dy, x, b, s: dy * s)),
        ("x forgotten", "missing term", swish_dx(lambda dy, x, b, s: dy * (s + b * s * (1 - s)))),
        ("dβ with x once", "missing term", swish_db(lambda dy, x, b, s: (dy * x * s * (1 - s)).sum(0))),
        ("dβ over the features", "wrong shape|wrong axis", swish_db(lambda dy, x, b, s: (dy * x**2 * s * (1 - s)).sum(1))),
        ("dβ not summed", "wrong shape", swish_db(lambda dy, x, b, s: dy * x**2 * s * (1 - s))),
        ("dβ with β", "extra term", swish_db(lambda dy, x, b, s: (dy * b * x**2 * s * (1 - s)).sum(0))),
        ("dβ of all features", "wrong axis", swish_db(lambda dy, x, b, s: np.full(4, (dy * x**2 * s * (1 - s)).sum()))),
    ],
)


# 11: gated linear unit, halves of the channels


class GLU:
    def forward(self, x):
        self.a, gate = np.split(x, 2, axis=1)
        self.g = logistic(gate)
        return self.a * self.g

    def da(self, dy):
        return dy * self.g

    def dgate(self, dy):
        return dy * self.a * self.g * (1 - self.g)

    def backward(self, dy):
        return np.concatenate([self.da(dy), self.dgate(dy)], axis=1)


class GLUFilled(GLU):
    def backward(self, dy):
        dx = np.empty((dy.shape[0], 2 * dy.shape[1], *dy.shape[2:]))
        dx[:, : dy.shape[1]] = self.g * dy
        dx[:, dy.shape[1] :] = self.a * self.g * (1 - self.g) * dy
        return dx


class GLUExchanged(GLU):
    def backward(self, dy):
        return np.concatenate([self.dgate(dy), self.da(dy)], axis=1)


class GLUOtherAxis(GLU):
    def backward(self, dy):
        return np.concatenate([self.da(dy), self.dgate(dy)], axis=2)


class GLUNoSlope(GLU):
    def dgate(self, dy):
        return dy * self.a


class GLUNoValue(GLU):
    def dgate(self, dy):
        return dy * self.g * (1 - self.g)


class GLUGateOfA(GLU):
    def dgate(self, dy):
        return dy * self.g * logistic(self.a) * (1 - logistic(self.a))


class GLUOneHalf(GLU):
    def dgate(self, dy):
        return np.zeros_like(dy)


class GLUNoGate(GLU):
    def da(self, dy):
        return dy


class GLUTanhSlope(GLU):
    def dgate(self, dy):
        return dy * self.a * (1 - self.g**2)


layer(
    "gated linear unit, halves",
    normal((2, 4, 3)),
    [
        ("concatenated", "", GLU),
        ("filled", "", GLUFilled),
        ("halves exchanged", "wrong tensor", GLUExchanged),
        ("concatenated along the steps", "wrong shape|wrong axis", GLUOtherAxis),
        ("slope of the gate forgotten", "missing term", GLUNoSlope),
        ("value forgotten", "missing term", GLUNoValue),
        ("gate's slope of the value", "wrong tensor", GLUGateOfA),
        ("gate has no gradient", "missing gradient|missing term", GLUOneHalf),
        ("gate forgotten", "missing term", GLUNoGate),
        ("slope of tanh", "wrong formula", GLUTanhSlope),
    ],
)


# 12: recurrent cells: a plain one on [x, h], LSTM, GRU, and a sequence of steps


def concat_cell(x, h, W, b):
    z = np.hstack([x, h])
    out = np.tanh(z @ W + b)
    return out, (z, W, out, x.shape[1])


def concat_cell_back(dh, cache):
    z, W, out, d = cache
    da = dh * (1 - out**2)
    dz = da @ W.T
    return dz[:, :d], dz[:, d:], z.T @ da, da.sum(0)


def concat_other(i, value):
    return other(i, lambda g, dh, c: value(dh * (1 - c[2] ** 2), *c))(concat_cell_back)


def concat_swapped(dh, cache):
    _, W, out, d = cache
    dz = (dh * (1 - out**2)) @ W.T
    return (dz[:, d:], dz[:, :d], *concat_cell_back(dh, cache)[2:])


def concat_no_slope(dh, cache):
    z, W, _, d = cache
    dz = dh @ W.T
    return dz[:, :d], dz[:, d:], z.T @ dh, dh.sum(0)


group(
    "cell of [x, h]",
    concat_cell,
    normal((2, 3), (2, 3), (6, 3), (3,)),
    [
        ("split", "", concat_cell_back),
        ("dx and dh exchanged", "wrong tensor", concat_swapped),
        ("no slope", "missing term", concat_no_slope),
        ("tanh of tanh", "wrong tensor|extra term", lambda dh, c: concat_cell_back(dh, (c[0], c[1], np.tanh(c[2]), c[3]))),
        ("dx not split", "wrong shape", concat_other(0, lambda da, z, W, out, d: da @ W.T)),
        ("dW by the state alone", "missing term", concat_other(2, lambda da, z, W, out, d: np.vstack([np.zeros((d, 3)), z[:, d:].T @ da]))),
        ("dW from the new state", "wrong tensor", concat_other(2, lambda da, z, W, out, d: np.hstack([z[:, :d], out]).T @ da)),
        ("db without the slope", "missing term", lambda dh, c: (*concat_cell_back(dh, c)[:3], dh.sum(0))),
        ("db a mean", "constant factor", concat_other(3, lambda da, z, W, out, d: da.mean(0))),
    ],
)


def lstm_cell(x, h, c, W, U, b):
    """One step; the gates stand as input, forget, output, candidate."""
    H = h.shape[1]
    z = x @ W + h @ U + b
    i, f, o = logistic(z[:, :H]), logistic(z[:, H : 2 * H]), logistic(z[:, 2 * H : 3 * H])
    g = np.tanh(z[:, 3 * H :])
    new = f * c + i * g
    return o * np.tanh(new), {"x": x, "h": h, "c": c, "W": W, "U": U, "i": i, "f": f, "o": o, "g": g, "new": new}


class LSTMBack:
    """The backward pass of a step, a method a line that people get wrong."""

    def dnew(self, dh, s):
        return dh * s["o"] * (1 - np.tanh(s["new"]) ** 2)

    def di(self, dn, s):
        return dn * s["g"] * s["i"] * (1 - s["i"])

    def df(self, dn, s):
        return dn * s["c"] * s["f"] * (1 - s["f"])

    def do(self, dh, s):
        return dh * np.tanh(s["new"]) * s["o"] * (1 - s["o"])

    def dg(self, dn, s):
        return dn * s["i"] * (1 - s["g"] ** 2)

    def dc(self, dn, s):
        return dn * s["f"]

    def dz(self, dh, s):
        dn = self.dnew(dh, s)
        return [self.di(dn, s), self.df(dn, s), self.do(dh, s), self.dg(dn, s)]

    def __call__(self, dh, cache):
        dz = np.concatenate(self.dz(dh, cache), axis=1)
        dn = self.dnew(dh, cache)
        return {
            "dx": dz @ cache["W"].T,
            "dh": dz @ cache["U"].T,
            "dc": self.dc(dn, cache),
            "dW": cache["x"].T @ dz,
            "dU": cache["h"].T @ dz,
            "db": dz.sum(axis=0),
        }


def lstm_with(**methods):
    """The backward pass with methods exchanged; they take what comes and the cache."""
    back = LSTMBack()
    for name, method in methods.items():
        setattr(back, name, method)

    def backward(dh, cache):
        return back(dh, cache)

    return backward


def lstm_last(name, value):
    def backward(dh, cache):
        found = LSTMBack()(dh, cache)
        found[name] = value(found, dh, cache)
        return found

    return backward


group(
    "LSTM step",
    lstm_cell,
    normal((3, 2), (3, 2), (3, 2), (2, 8), (2, 8), (8,)),
    [
        ("by gates", "", lstm_with()),
        ("slopes by 1 − tanh²", "", lstm_with(dnew=lambda dh, s: dh * s["o"] / np.cosh(s["new"]) ** 2)),
        ("tanh of the cell forgotten", "missing term", lstm_with(dnew=lambda dh, s: dh * s["o"])),
        ("output gate forgotten", "missing term", lstm_with(dnew=lambda dh, s: dh * (1 - np.tanh(s["new"]) ** 2))),
        ("slope at the old cell", "wrong tensor", lstm_with(dnew=lambda dh, s: dh * s["o"] * (1 - np.tanh(s["c"]) ** 2))),
        ("cell for its tanh in do", "wrong tensor", lstm_with(do=lambda dh, s: dh * s["new"] * s["o"] * (1 - s["o"]))),
        ("forget gate by the new cell", "wrong tensor", lstm_with(df=lambda dn, s: dn * s["new"] * s["f"] * (1 - s["f"]))),
        ("forget gate's slope forgotten", "missing term", lstm_with(df=lambda dn, s: dn * s["c"])),
        ("candidate's slope of a sigmoid", "wrong formula", lstm_with(dg=lambda dn, s: dn * s["i"] * s["g"] * (1 - s["g"]))),
        ("input gate without the candidate", "missing term", lstm_with(di=lambda dn, s: dn * s["i"] * (1 - s["i"]))),
        ("gates in another order", "wrong tensor", lstm_with(dz=lambda dh, s: [LSTMBack().dz(dh, s)[k] for k in (1, 0, 2, 3)])),
        ("dc by the input gate", "wrong tensor", lstm_with(dc=lambda dn, s: dn * s["i"])),
        ("dc without the forget gate", "missing term", lstm_with(dc=lambda dn, s: dn)),
        ("dU from x", "wrong tensor", lstm_last("dU", lambda g, dh, s: g["dW"])),
        ("dc zero", "missing gradient", lstm_last("dc", lambda g, dh, s: 0 * s["c"])),
        ("dh by W", "wrong tensor", lstm_last("dh", lambda g, dh, s: g["dx"])),
    ],
)


class GRU:
    """A step from x with the state kept as a constant of the object."""

    def __init__(self):
        rng = np.random.default_rng(12)
        self.params = {k: rng.standard_normal((3, 3)) for k in ("Wz", "Wr", "Wn", "Uz", "Ur", "Un")}
        self.grads = {k: np.zeros((3, 3)) for k in self.params}
        self.state = rng.standard_normal((4, 3)).tolist()

    def forward(self, x):
        p, h = self.params, np.array(self.state)
        z = logistic(x @ p["Wz"] + h @ p["Uz"])
        r = logistic(x @ p["Wr"] + h @ p["Ur"])
        n = np.tanh(x @ p["Wn"] + (r * h) @ p["Un"])
        self.c = (x, h, z, r, n)
        return (1 - z) * n + z * h

    def deltas(self, dy):
        _, h, z, r, n = self.c
        dn = dy * (1 - z) * (1 - n * n)
        dz = dy * (h - n) * z * (1 - z)
        dr = (dn @ self.params["Un"].T) * h * r * (1 - r)
        return dz, dr, dn

    def gated(self):
        return self.c[3] * self.c[1]

    def backward(self, dy):
        x, h = self.c[:2]
        dx = 0
        for k, d in zip("zrn", self.deltas(dy), strict=True):
            self.grads["W" + k] = x.T @ d
            self.grads["U" + k] = (self.gated() if k == "n" else h).T @ d
            dx = dx + d @ self.params["W" + k].T
        return dx


class GRUNoReset(GRU):
    def deltas(self, dy):
        dz, dr, dn = super().deltas(dy)
        return dz, 0 * dr, dn


class GRUSign(GRU):
    def deltas(self, dy):
        dz, dr, dn = super().deltas(dy)
        return -dz, dr, dn


class GRUGateForItsRest(GRU):
    def deltas(self, dy):
        _, h, z, r, n = self.c
        dn = dy * z * (1 - n * n)
        return dy * (h - n) * z * (1 - z), (dn @ self.params["Un"].T) * h * r * (1 - r), dn


class GRUOnlyH(GRU):
    def deltas(self, dy):
        _, dr, dn = super().deltas(dy)
        _, h, z, _, _ = self.c
        return dy * h * z * (1 - z), dr, dn


class GRUUngated(GRU):
    def gated(self):
        return self.c[1]


class GRUThroughW(GRU):
    def deltas(self, dy):
        _, h, _, r, _ = self.c
        dz, _, dn = super().deltas(dy)
        return dz, (dn @ self.params["Wn"].T) * h * r * (1 - r), dn


class GRUResetSlope(GRU):
    def deltas(self, dy):
        dz, _, dn = super().deltas(dy)
        return dz, (dn @ self.params["Un"].T) * self.c[1], dn


class GRULastOfX(GRU):
    """dx set for each gate."""

    def backward(self, dy):
        super().backward(dy)
        for k, d in zip("zrn", self.deltas(dy), strict=True):
            dx = d @ self.params["W" + k].T
        return dx


layer(
    "GRU step",
    normal((4, 3)),
    [
        ("deltas", "", GRU),
        ("reset gate forgotten", "missing term", GRUNoReset),
        ("n − h", "constant factor", GRUSign),
        ("z for 1 − z", "wrong formula|wrong tensor", GRUGateForItsRest),
        ("dz of h alone", "missing term", GRUOnlyH),
        ("dUn by the state", "wrong tensor|missing term", GRUUngated),
        ("reset gate through Wn", "wrong tensor", GRUThroughW),
        ("reset gate's slope forgotten", "missing term", GRUResetSlope),
        ("dx of the last gate", "assigned|missing term", GRULastOfX),
    ],
)


def rnn(x, Wx, Wh, b):
    """All states of T steps, (T, N, H), from zero."""
    h, hs = np.zeros((x.shape[1], Wh.shape[0])), []
    for step in x:
        h = np.tanh(step @ Wx + h @ Wh + b)
        hs.append(h)
    return np.array(hs), (x, Wx, Wh, np.array(hs))


class RNNBack:
    carry = add = through = True
    previous = 1
    turned = True
    reset = False

    def __call__(self, dhs, cache):
        x, Wx, Wh, hs = cache
        dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
        dnext = np.zeros_like(hs[0])
        for t in reversed(range(len(x))):
            dh = dhs[t] + dnext if self.carry else dhs[t]
            da = dh * (1 - hs[t] ** 2)
            dx[t] = da @ Wx.T
            before = hs[t - self.previous] if t >= self.previous else np.zeros_like(hs[0])
            dWx = dWx + x[t].T @ da if self.add else x[t].T @ da
            dWh += before.T @ da
            db += da.sum(0)
            dnext = (da if self.through else dh) @ (Wh.T if self.turned else Wh)
            if self.reset and t == 2:
                dnext = 0 * dnext
        return dx, dWx, dWh, db


def rnn_with(**options):
    back = RNNBack()
    vars(back).update(options)

    def backward(dhs, cache):
        return back(dhs, cache)

    return backward


def rnn_order(dhs, cache):
    """dhs read from the front while time runs back."""
    return RNNBack()(dhs[::-1], cache)


def rnn_last(dhs, cache):
    """As if only the last state had been returned."""
    only = np.zeros_like(dhs)
    only[-1] = dhs[-1]
    return RNNBack()(only, cache)


group(
    "states of a recurrent network",
    rnn,
    normal((4, 2, 3), (3, 3), (3, 3), (3,)),
    [
        ("through time", "", rnn_with()),
        ("state's gradient not carried", "missing term", rnn_with(carry=False)),
        ("dWx of one step", "assigned|missing term", rnn_with(add=False)),
        ("dWh by the same state", "wrong tensor", rnn_with(previous=0)),
        ("slope left out of what is carried", "missing term", rnn_with(through=False)),
        ("Wh not transposed", "transposed", rnn_with(turned=False)),
        ("truncated after two steps", "missing term", rnn_with(reset=True)),
        ("dhs the other way round", "wrong formula", rnn_order),
        ("last state alone", "missing term", rnn_last),
        ("dWh averaged over the steps", "constant factor", other(2, lambda g, dy, c: g[2] / 4)(rnn_with())),
    ],
)


# 13: normalisations


def normalised(x, axes, eps=1e-5):
    mu = x.mean(axes, keepdims=True)
    inv = (x.var(axes, keepdims=True) + eps) ** -0.5
    return (x - mu) * inv, inv


def gn(x, gamma, beta, groups=2):
    n, c, h, w = x.shape
    xhat, inv = normalised(x.reshape(n, groups, c // groups, h, w), (2, 3, 4))
    return xhat.reshape(x.shape) * gamma[:, None, None] + beta[:, None, None], (xhat, inv, gamma)


def gn_back(dy, cache, axes=(2, 3, 4), mean=1.0, var=1.0, scale=True, power=1):
    xhat, inv, gamma = cache
    g = (dy * gamma[:, None, None] if scale else dy).reshape(xhat.shape)
    dx = inv**power * (g - mean * g.mean(axes, keepdims=True) - var * xhat * (g * xhat).mean(axes, keepdims=True))
    return dx.reshape(dy.shape), (dy * xhat.reshape(dy.shape)).sum((0, 2, 3)), dy.sum((0, 2, 3))


def gn_long(dy, cache):
    """By the variance and the mean, as in the paper of batch norm."""
    xhat, inv, gamma = cache
    dxhat = (dy * gamma.reshape(1, -1, 1, 1)).reshape(xhat.shape)
    ax, m = (2, 3, 4), xhat[0, 0].size
    centred = xhat / inv
    dvar = (dxhat * centred).sum(ax, keepdims=True) * -0.5 * inv**3
    dmu = -(dxhat * inv).sum(ax, keepdims=True) + dvar * (-2 * centred).mean(ax, keepdims=True)
    dx = dxhat * inv + dvar * 2 * centred / m + dmu / m
    return dx.reshape(dy.shape), np.einsum("nchw,nchw->c", dy, xhat.reshape(dy.shape)), np.einsum("nchw->c", dy)


group(
    "group norm, channels first",
    gn,
    normal((2, 4, 2, 3), (4,), (4,)),
    [
        ("projection", "", gn_back),
        ("by mean and variance", "", gn_long),
        ("of each channel", "wrong axis", lambda dy, c: gn_back(dy, c, (3, 4))),
        ("over the batch", "wrong axis", lambda dy, c: gn_back(dy, c, (0, 2, 3, 4))),
        ("mean forgotten", "missing term", lambda dy, c: gn_back(dy, c, mean=0)),
        ("variance forgotten", "missing term", lambda dy, c: gn_back(dy, c, var=0)),
        ("γ forgotten", "missing term", lambda dy, c: gn_back(dy, c, scale=False)),
        ("1/σ²", "extra term", lambda dy, c: gn_back(dy, c, power=2)),
        ("variance's half", "constant factor", lambda dy, c: gn_back(dy, c, var=0.5)),
        ("dγ of dy alone", "missing term", other(1, lambda g, dy, c: g[2])(gn_back)),
        ("dγ and dβ exchanged", "wrong tensor", lambda dy, c: (gn_back(dy, c)[0], gn_back(dy, c)[2], gn_back(dy, c)[1])),
        ("dβ averaged over pixels", "constant factor|wrong axis", other(2, lambda g, dy, c: dy.mean((2, 3)).sum(0))(gn_back)),
        ("dβ of each sample", "wrong shape", other(2, lambda g, dy, c: dy.sum((2, 3)))(gn_back)),
    ],
)


class BatchNorm1d(Layer):
    """Training only, without running statistics."""

    def __init__(self):
        self.gamma = Parameter(np.array([0.5, 1.5, -1.0]))
        self.beta = Parameter(np.array([0.1, 0.0, -0.2]))

    def forward(self, x):
        xhat, inv = normalised(x, 0)
        return xhat * self.gamma.data + self.beta.data, (xhat, inv)

    def through(self, g, xhat, inv):
        n = len(g)
        return inv / n * (n * g - g.sum(0) - xhat * (g * xhat).sum(0))

    def backward(self, dy, cache):
        xhat, inv = cache
        self.gamma.add_grad((dy * xhat).sum(0))
        self.beta.add_grad(dy.sum(0))
        return self.through(dy * self.gamma.data, xhat, inv)


class BN1Plain(BatchNorm1d):
    def backward(self, dy, cache):
        xhat, inv = cache
        self.gamma.grad += np.einsum("nd,nd->d", dy, xhat)
        self.beta.grad += dy.sum(axis=0)
        g = dy * self.gamma.data
        return inv * (g - g.mean(0) - xhat * np.mean(g * xhat, axis=0))


class BN1Set(BatchNorm1d):
    def backward(self, dy, cache):
        dx = super().backward(dy, cache)
        self.gamma.grad = (dy * cache[0]).sum(0)
        self.beta.grad = dy.sum(0)
        return dx


class BN1NoN(BatchNorm1d):
    def through(self, g, xhat, inv):
        return inv * (len(g) * g - g.sum(0) - xhat * (g * xhat).sum(0))


class BN1Inference(BatchNorm1d):
    def through(self, g, xhat, inv):
        return g * inv


class BN1Sums(BatchNorm1d):
    def through(self, g, xhat, inv):
        return inv * (g - g.sum(0) - xhat * (g * xhat).sum(0))


class BN1Features(BatchNorm1d):
    def through(self, g, xhat, inv):
        return inv * (g - g.mean(1, keepdims=True) - xhat * (g * xhat).mean(1, keepdims=True))


class BN1Unbiased(BatchNorm1d):
    def through(self, g, xhat, inv):
        return inv * (g - g.mean(0) - xhat * (g * xhat).sum(0) / (len(g) - 1))


class BN1Self(BatchNorm1d):
    def forward(self, x):
        y, self.kept = super().forward(x)
        return y, None

    def backward(self, dy, cache):
        return super().backward(dy, self.kept)


class BN1NoBeta(BatchNorm1d):
    def backward(self, dy, cache):
        xhat, inv = cache
        self.gamma.add_grad((dy * xhat).sum(0))
        return self.through(dy * self.gamma.data, xhat, inv)


class BN1Overwrites(BatchNorm1d):
    def backward(self, dy, cache):
        xhat, inv = cache
        self.gamma.add_grad((dy * xhat).sum(0))
        self.beta.add_grad(dy.sum(0))
        dy *= self.gamma.data
        return self.through(dy, xhat, inv)


class BN1GammaGrad(BatchNorm1d):
    def backward(self, dy, cache):
        xhat, inv = cache
        super().backward(dy, cache)
        return self.through(dy * self.beta.data, xhat, inv)


layer(
    "batch norm of features",
    normal((6, 3)),
    [
        ("sums", "", BatchNorm1d),
        ("means", "", BN1Plain),
        ("gradients set", "assigned", BN1Set),
        ("1/n forgotten", "constant factor", BN1NoN),
        ("as at inference", "missing term", BN1Inference),
        ("sums for means", "constant factor", BN1Sums),
        ("over the features", "wrong axis", BN1Features),
        ("n − 1 in the variance's term", "constant factor", BN1Unbiased),
        ("cache on the layer", "shared cache", BN1Self),
        ("β without gradient", "missing gradient", BN1NoBeta),
        ("dy scaled in place", "upstream overwritten", BN1Overwrites),
        ("β for γ in dx", "wrong tensor", BN1GammaGrad),
    ],
)


def instance_norm(x):
    xhat, inv = normalised(x, (2, 3), 1e-3)
    return xhat, (xhat, inv)


def in_back(dy, cache, axes=(2, 3), mean=1.0, dot=lambda g, xhat: xhat * (g * xhat).mean((2, 3), keepdims=True)):
    xhat, inv = cache
    return inv * (dy - mean * dy.mean(axes, keepdims=True) - dot(dy, xhat))


group(
    "instance norm, small numbers",
    instance_norm,
    scaled(1e-2, (3, 2, 3, 4)),
    [
        ("projection", "", in_back),
        ("mean over the channels too", "wrong axis", lambda dy, c: in_back(dy, c, (1, 2, 3))),
        ("variance's product of dy alone", "missing term", lambda dy, c: in_back(dy, c, dot=lambda g, xhat: xhat * g.mean((2, 3), keepdims=True))),
        ("x̂ outside forgotten", "missing term", lambda dy, c: in_back(dy, c, dot=lambda g, xhat: (g * xhat).mean((2, 3), keepdims=True))),
        ("signs of both", "constant factor", lambda dy, c: in_back(dy, c, mean=-1, dot=lambda g, xhat: -xhat * (g * xhat).mean((2, 3), keepdims=True))),
        ("pixel by pixel", "wrong axis|missing term", lambda dy, c: in_back(dy, c, dot=lambda g, xhat: xhat * g * xhat)),
    ],
)


def layer_norm(x, g, b):
    xhat, inv = normalised(x, -1)
    return xhat * g + b, (xhat, inv, g)


def layer_norm_back(cache, dout):
    xhat, inv, g = cache
    d = xhat.shape[-1]
    dxhat = dout * g
    dx = inv / d * (d * dxhat - dxhat.sum(-1, keepdims=True) - xhat * (dxhat * xhat).sum(-1, keepdims=True))
    return dx, (dout * xhat).sum((0, 1)), dout.sum((0, 1))


def ln_with(i, value):
    def backward(cache, dout):
        found = list(layer_norm_back(cache, dout))
        found[i] = value(dout, *cache)
        return tuple(found)

    return backward


def ln_jacobian(dout, xhat, inv, g):
    d = xhat.shape[-1]
    dx = np.zeros_like(xhat)
    for n in range(xhat.shape[0]):
        for t in range(xhat.shape[1]):
            J = inv[n, t] * (np.eye(d) - 1 / d - np.outer(xhat[n, t], xhat[n, t]) / d)
            dx[n, t] = J @ (dout[n, t] * g)
    return dx


group(
    "layer norm of tokens, cache first",
    layer_norm,
    normal((2, 3, 5), (5,), (5,)),
    [
        ("sums", "", layer_norm_back),
        ("a Jacobian a token", "", ln_with(0, ln_jacobian)),
        ("x̂ x̂ᵀ forgotten", "missing term", ln_with(0, lambda dout, xhat, inv, g: inv * (dout * g - (dout * g).mean(-1, keepdims=True)))),
        ("γ after the projection", "wrong formula", ln_with(0, lambda dout, xhat, inv, g: g * layer_norm_back((xhat, inv, 1.0), dout)[0])),
        ("over the tokens", "wrong axis", ln_with(0, lambda dout, xhat, inv, g: inv * (dout * g - (dout * g).mean(1, keepdims=True) - xhat * (dout * g * xhat).mean(1, keepdims=True)))),
        ("σ for 1/σ", "wrong tensor|wrong formula", ln_with(0, lambda dout, xhat, inv, g: layer_norm_back((xhat, 1 / inv, g), dout)[0])),
        ("dγ over the tokens", "wrong shape", ln_with(1, lambda dout, xhat, inv, g: (dout * xhat).sum(1))),
        ("dγ of all features", "wrong axis", ln_with(1, lambda dout, xhat, inv, g: np.full(5, (dout * xhat).sum()))),
        ("dγ with γ", "extra term", ln_with(1, lambda dout, xhat, inv, g: (dout * g * xhat).sum((0, 1)))),
        ("dβ with γ", "extra term", ln_with(2, lambda dout, xhat, inv, g: (dout * g).sum((0, 1)))),
        ("dβ of ones", "upstream ignored", ln_with(2, lambda dout, xhat, inv, g: np.full(5, 6.0))),
    ],
)


def rms(x, gain):
    r = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-8)
    return x / r * gain, (x, gain, r)


def rms_back(dy, cache, power=3, over=None, sign=-1, gained=True):
    x, gain, r = cache
    g = dy * gain if gained else dy
    inner = (g * x).sum(-1, keepdims=True) / (over or x.shape[-1])
    return g / r + sign * x * inner / r**power, (dy * x / r).sum(0)


group(
    "RMS norm with a gain",
    rms,
    normal((4, 6), (6,)),
    [
        ("quotient rule", "", rms_back),
        ("r²", "missing term|wrong formula", lambda dy, c: rms_back(dy, c, power=2)),
        ("not averaged", "constant factor", lambda dy, c: rms_back(dy, c, over=1)),
        ("plus", "constant factor", lambda dy, c: rms_back(dy, c, sign=1)),
        ("r kept constant", "missing term", lambda dy, c: rms_back(dy, c, sign=0)),
        ("gain forgotten", "missing term", lambda dy, c: rms_back(dy, c, gained=False)),
        ("dgain without 1/r", "missing term", other(1, lambda g, dy, c: (dy * c[0]).sum(0))(rms_back)),
        ("batch for features", "constant factor", lambda dy, c: rms_back(dy, c, over=4)),
    ],
)


def pixel_norm(x):
    """Each pixel's channels to a mean square of one, channels first."""
    r = np.sqrt(np.mean(x * x, axis=1, keepdims=True) + 1e-8)
    return x / r


group(
    "pixel norm, output alone",
    pixel_norm,
    normal((2, 5, 2, 2)),
    [
        ("projection", "", lambda dy, x: (dy - pixel_norm(x) * (dy * pixel_norm(x)).mean(1, keepdims=True)) / np.sqrt(np.mean(x * x, 1, keepdims=True))),
        ("sum for mean", "constant factor", lambda dy, x: (dy - pixel_norm(x) * (dy * pixel_norm(x)).sum(1, keepdims=True)) / np.sqrt(np.mean(x * x, 1, keepdims=True))),
        ("over the pixels", "wrong axis", lambda dy, x: (dy - pixel_norm(x) * (dy * pixel_norm(x)).mean((2, 3), keepdims=True)) / np.sqrt(np.mean(x * x, 1, keepdims=True))),
        ("x for y", "wrong tensor", lambda dy, x: (dy - x * (dy * x).mean(1, keepdims=True)) / np.sqrt(np.mean(x * x, 1, keepdims=True))),
        ("divided alone", "missing term", lambda dy, x: dy / np.sqrt(np.mean(x * x, 1, keepdims=True))),
        ("not divided", "missing term", lambda dy, x: dy - pixel_norm(x) * (dy * pixel_norm(x)).mean(1, keepdims=True)),
    ],
)


# 14: residual blocks


class PostActivation:
    """relu(x + relu(x W) V)."""

    def __init__(self):
        rng = np.random.default_rng(21)
        self.params = {"W": rng.standard_normal((4, 4)), "V": rng.standard_normal((4, 4))}
        self.grads = {}

    def forward(self, x):
        self.x = x
        self.a = x @ self.params["W"]
        self.h = np.maximum(self.a, 0)
        self.s = x + self.h @ self.params["V"]
        return np.maximum(self.s, 0)

    skip = 1.0

    def outer(self, dy):
        return dy * (self.s > 0)

    def inner(self, dh):
        return dh * (self.a > 0)

    def backward(self, dy):
        ds = self.outer(dy)
        da = self.inner(ds @ self.params["V"].T)
        self.grads["V"] = self.h.T @ ds
        self.grads["W"] = self.x.T @ da
        return self.skip * ds + da @ self.params["W"].T


class PostNoOuter(PostActivation):
    def outer(self, dy):
        return dy


class PostNoInner(PostActivation):
    def inner(self, dh):
        return dh


class PostSameMask(PostActivation):
    def inner(self, dh):
        return dh * (self.s > 0)


class PostNoSkip(PostActivation):
    skip = 0.0


class PostSkipBeforeMask(PostActivation):
    """The skip takes dy as it came, past the last ReLU."""

    def backward(self, dy):
        return super().backward(dy) - self.outer(dy) + dy


class PostSkipTwice(PostActivation):
    skip = 2.0


class PostMaskOfX(PostActivation):
    def outer(self, dy):
        return dy * (self.x > 0)


class PostFromA(PostActivation):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["V"] = self.a.T @ self.outer(dy)
        return dx


class PostOutput(PostActivation):
    """The branch added to x in place: x is the caller's."""

    def forward(self, x):
        self.x = x.copy()
        self.a = x @ self.params["W"]
        self.h = np.maximum(self.a, 0)
        x += self.h @ self.params["V"]
        self.s = x.copy()
        return np.maximum(self.s, 0)


layer(
    "residual block, ReLU after the sum",
    normal((5, 4)),
    [
        ("masks", "", PostActivation),
        ("outer mask forgotten", "wrong mask|missing term", PostNoOuter),
        ("inner mask forgotten", "wrong mask|missing term", PostNoInner),
        ("outer mask for the inner", "wrong mask", PostSameMask),
        ("skip forgotten", "missing term", PostNoSkip),
        ("skip past the mask", "wrong mask|missing term", PostSkipBeforeMask),
        ("skip twice", "extra term|constant factor", PostSkipTwice),
        ("outer mask of x", "wrong mask", PostMaskOfX),
        ("dV from what the ReLU was given", "wrong tensor|wrong mask", PostFromA),
        ("x changed", "input overwritten", PostOutput),
    ],
)


def rezero(x, W, alpha):
    """x + α tanh(x W), α of shape (1,)."""
    f = np.tanh(x @ W)
    return x + alpha * f, (x, W, alpha, f)


def rezero_back(grad_y, cache):
    x, W, alpha, f = cache
    df = alpha * grad_y * (1 - f * f)
    return grad_y + df @ W.T, x.T @ df, np.sum(grad_y * f, keepdims=True).reshape(1)


def rezero_with(i, value):
    return other(i, lambda g, dy, c: value(dy, *c))(rezero_back)


group(
    "residual block with a weight from zero",
    rezero,
    lambda rng: (rng.standard_normal((3, 5)), 0.4 * rng.standard_normal((5, 5)), np.array([0.25])),
    [
        ("as derived", "", rezero_back),
        ("α forgotten in dx", "missing term|constant factor", rezero_with(0, lambda dy, x, W, a, f: dy + (dy * (1 - f * f)) @ W.T)),
        ("α forgotten in dW", "constant factor|missing term", rezero_with(1, lambda dy, x, W, a, f: x.T @ (dy * (1 - f * f)))),
        ("skip weighted too", "constant factor|extra term", rezero_with(0, lambda dy, x, W, a, f: a * (dy + (dy * (1 - f * f)) @ W.T))),
        ("dα without f", "missing term", rezero_with(2, lambda dy, x, W, a, f: dy.sum().reshape(1))),
        ("dα of the whole output", "extra term|wrong tensor", rezero_with(2, lambda dy, x, W, a, f: (dy * (x + a * f)).sum().reshape(1))),
        ("dα a mean", "constant factor", rezero_with(2, lambda dy, x, W, a, f: (dy * f).mean().reshape(1))),
        ("dα a feature", "wrong shape|wrong axis", rezero_with(2, lambda dy, x, W, a, f: (dy * f).sum(0))),
        ("branch subtracted", "constant factor", rezero_with(0, lambda dy, x, W, a, f: dy - (a * dy * (1 - f * f)) @ W.T)),
    ],
)


# 15: convolutions: strided in one dimension, dilated, depthwise, with im2col


def conv1d(x, w, b, stride=2, pad=1):
    """(N, C, L) with (O, C, K)."""
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad)))
    K = w.shape[2]
    steps = (xp.shape[2] - K) // stride + 1
    cols = np.stack([xp[:, :, stride * t : stride * t + K] for t in range(steps)], axis=3)
    return np.einsum("nckt,ock->not", cols, w) + b[:, None], (x, w, cols, stride, pad)


def conv1d_back(dy, cache, flip=False, stride=None, crop=None, add=True, kernel="not,ock->nckt"):
    x, w, cols, s, pad = cache
    s = stride or s
    n, c, length = x.shape
    K = w.shape[2]
    dcols = np.einsum(kernel, dy, w[:, :, ::-1] if flip else w)
    dxp = np.zeros((n, c, length + 2 * pad + 4))
    for t in range(dy.shape[2]):
        part = dxp[:, :, s * t : s * t + K]
        part[...] = part + dcols[..., t] if add else dcols[..., t]
    start = pad if crop is None else crop
    return dxp[:, :, start : start + length], np.einsum("nckt,not->ock", cols, dy), dy.sum((0, 2))


def conv1d_loops(dy, cache):
    x, w, _, s, pad = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(len(w))
    for n, o, t in np.ndindex(*dy.shape):
        db[o] += dy[n, o, t]
        for c, k in np.ndindex(*w.shape[1:]):
            i = s * t + k - pad
            if 0 <= i < x.shape[2]:
                dx[n, c, i] += dy[n, o, t] * w[o, c, k]
                dw[o, c, k] += dy[n, o, t] * x[n, c, i]
    return dx, dw, db


def conv1d_unpadded(dy, cache):
    """dw from x itself, whose windows begin one step late."""
    x, w, _, s, _ = cache
    late = np.pad(x, ((0, 0), (0, 0), (0, 2)))
    dw = np.stack([np.einsum("nct,not->oc", late[:, :, k : k + s * dy.shape[2] : s], dy) for k in range(w.shape[2])], 2)
    return conv1d_back(dy, cache)[0], dw, dy.sum((0, 2))


group(
    "strided convolution in one dimension",
    conv1d,
    normal((2, 2, 7), (2, 2, 3), (2,)),
    [
        ("columns", "", conv1d_back),
        ("loops", "", conv1d_loops),
        ("kernel flipped in dx", "flipped kernel", lambda dy, c: conv1d_back(dy, c, flip=True)),
        ("channels exchanged in dx", "transposed", lambda dy, c: conv1d_back(dy, c, kernel="nct,ock->nokt")),
        ("stride of one in dx", "stride or padding", lambda dy, c: conv1d_back(dy, c, stride=1)),
        ("padding not cut off", "stride or padding", lambda dy, c: conv1d_back(dy, c, crop=0)),
        ("cut two", "stride or padding", lambda dy, c: conv1d_back(dy, c, crop=2)),
        ("columns overwrite", "assigned", lambda dy, c: conv1d_back(dy, c, add=False)),
        ("dw without padding", "stride or padding", conv1d_unpadded),
        ("dw flipped", "flipped kernel", other(1, lambda g, dy, c: g[1][:, :, ::-1])(conv1d_back)),
        ("dw exchanged", "transposed", other(1, lambda g, dy, c: g[1].transpose(1, 0, 2))(conv1d_back)),
        ("dw of the first sample", "missing term", other(1, lambda g, dy, c: np.einsum("ckt,ot->ock", c[2][0], dy[0]))(conv1d_back)),
        ("db over the batch", "wrong shape", other(2, lambda g, dy, c: dy.sum(0))(conv1d_back)),
        ("db averaged over steps", "constant factor|wrong axis", other(2, lambda g, dy, c: dy.mean(2).sum(0))(conv1d_back)),
    ],
)


def unpadded(x, w, pad=0):
    """One image (H, W) with one kernel, padding that may be none."""
    xp = np.pad(x, pad)
    k = w.shape[0]
    windows = np.lib.stride_tricks.sliding_window_view(xp, (k, k))
    return np.einsum("ijab,ab->ij", windows, w), (xp, w, windows, pad)


def unpadded_back(dy, cache, cut=True):
    xp, w, windows, pad = cache
    dxp = np.zeros_like(xp)
    for a, b in np.ndindex(*w.shape):
        dxp[a : a + dy.shape[0], b : b + dy.shape[1]] += w[a, b] * dy
    return dxp[pad:-pad, pad:-pad] if cut else dxp, np.einsum("ijab,ij->ab", windows, dy)


def unpadded_full(dy, cache, flip=True, fill=2):
    xp, w, windows, _ = cache
    wide = np.pad(dy, fill)
    kernel = w[::-1, ::-1] if flip else w
    dx = np.zeros_like(xp)
    for i, j in np.ndindex(*xp.shape):
        dx[i, j] = (wide[i : i + 3, j : j + 3] * kernel).sum()
    return dx, np.einsum("ijab,ij->ab", windows, dy)


def unpadded_dw(value):
    return other(1, lambda g, dy, c: value(g[1]))(lambda dy, c: unpadded_back(dy, c, cut=False))


group(
    "one picture, one kernel",
    unpadded,
    scaled(0.1, (5, 6), (3, 3)),
    [
        ("taps", "", lambda dy, cache: unpadded_back(dy, cache, cut=False)),
        ("full convolution", "", unpadded_full),
        ("a cut of zero", "empty slice", unpadded_back),
        ("full, not flipped", "flipped kernel", lambda dy, cache: unpadded_full(dy, cache, flip=False)),
        ("flipped along rows alone", "flipped kernel", lambda dy, cache: unpadded_full(dy, (cache[0], cache[1][:, ::-1], *cache[2:]))),
        ("kernel transposed in dw", "transposed", unpadded_dw(lambda g: g.T)),
        ("dw over the positions", "constant factor", unpadded_dw(lambda g: g / 12)),
        ("dw turned by 180°", "flipped kernel", unpadded_dw(lambda g: np.rot90(g, 2))),
    ],
)


def dilated(x, w, d=2):
    """(N, L, C), causal, taps d apart, one kernel a channel."""
    K = len(w)
    xp = np.pad(x, ((0, 0), (d * (K - 1), 0), (0, 0)))
    return sum(w[k] * xp[:, d * k : d * k + x.shape[1]] for k in range(K)), (x, xp, w, d)


def dilated_back(dy, cache, apart=None, cut=None, back=False):
    x, xp, w, d = cache
    e = d if apart is None else apart
    K, L = len(w), x.shape[1]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for k in range(K):
        dxp[:, e * k : e * k + L] += (w[K - 1 - k] if back else w[k]) * dy
        dw[k] = (xp[:, d * k : d * k + L] * dy).sum((0, 1))
    c = d * (K - 1) if cut is None else cut
    return dxp[:, c : c + L], dw


group(
    "dilated causal convolution of channels",
    dilated,
    normal((2, 7, 3), (3, 3)),
    [
        ("taps", "", dilated_back),
        ("dilation forgotten in dx", "stride or padding", lambda dy, c: dilated_back(dy, c, apart=1)),
        ("cut at the other end", "stride or padding", lambda dy, c: dilated_back(dy, c, cut=0)),
        ("taps the other way", "flipped kernel", lambda dy, c: dilated_back(dy, c, back=True)),
        ("dw over the channels too", "wrong axis", other(1, lambda g, dy, c: np.repeat(g[1].sum(1, keepdims=True), 3, 1))(dilated_back)),
        ("dw with the taps exchanged", "flipped kernel", other(1, lambda g, dy, c: g[1][::-1])(dilated_back)),
        ("dw of the last sample", "assigned|missing term", other(1, lambda g, dy, c: np.stack([(c[1][-1, 2 * k : 2 * k + 7] * dy[-1]).sum(0) for k in range(3)]))(dilated_back)),
        ("dw transposed", "transposed", other(1, lambda g, dy, c: g[1].T)(dilated_back)),
    ],
)


class Depthwise(Layer):
    """(N, H, W, C), three by three, padding of one."""

    def __init__(self):
        rng = np.random.default_rng(5)
        self.w = Parameter(rng.standard_normal((3, 3, 2)))
        self.b = Parameter(rng.standard_normal(2))

    def forward(self, x):
        xp = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        h, w = x.shape[1:3]
        y = np.zeros(x.shape) + self.b.data
        for i in range(3):
            for j in range(3):
                y += xp[:, i : i + h, j : j + w] * self.w.data[i, j]
        return y, xp

    def kernel(self, i, j):
        return self.w.data[i, j]

    def gather(self, dw, i, j, value):
        dw[i, j] = value

    def finish(self, dxp):
        return dxp[:, 1:-1, 1:-1]

    def backward(self, dy, xp):
        h, w = dy.shape[1:3]
        dxp, dw = np.zeros_like(xp), np.zeros((3, 3, 2))
        for i in range(3):
            for j in range(3):
                dxp[:, i : i + h, j : j + w] += dy * self.kernel(i, j)
                self.gather(dw, i, j, (xp[:, i : i + h, j : j + w] * dy).sum((0, 1, 2)))
        self.w.add_grad(dw)
        self.b.add_grad(dy.sum((0, 1, 2)))
        return self.finish(dxp)


class DepthwiseFlipped(Depthwise):
    def kernel(self, i, j):
        return self.w.data[2 - i, 2 - j]


class DepthwiseRows(Depthwise):
    def kernel(self, i, j):
        return self.w.data[j, i]


class DepthwiseChannel(Depthwise):
    def kernel(self, i, j):
        return self.w.data[i, j].sum()


class DepthwiseShifted(Depthwise):
    def finish(self, dxp):
        return dxp[:, :-2, :-2]


class DepthwiseWhole(Depthwise):
    def finish(self, dxp):
        return dxp


class DepthwiseCentre(Depthwise):
    def gather(self, dw, i, j, value):
        if i == 1 and j == 1:
            dw[i, j] = value


class DepthwiseTurned(Depthwise):
    def gather(self, dw, i, j, value):
        dw[j, i] = value


class DepthwiseMixed(Depthwise):
    def gather(self, dw, i, j, value):
        dw[i, j] = value.sum()


class DepthwiseSet(Depthwise):
    def backward(self, dy, xp):
        dx = super().backward(dy, xp)
        self.b.grad = dy.sum((0, 1, 2))
        return dx


class DepthwiseOneBias(Depthwise):
    def backward(self, dy, xp):
        before = self.b.grad.copy()
        dx = super().backward(dy, xp)
        self.b.grad = before + dy.mean((0, 1, 2))
        return dx


BUFFER = {}


class DepthwiseBuffer(Depthwise):
    """One buffer for every padded input of a shape."""

    def forward(self, x):
        xp = BUFFER.setdefault(x.shape, np.zeros((x.shape[0], x.shape[1] + 2, x.shape[2] + 2, 2)))
        xp[:, 1:-1, 1:-1] = x
        y, _ = super().forward(x)
        return y, xp


layer(
    "depthwise convolution",
    normal((2, 4, 3, 2)),
    [
        ("taps", "", Depthwise),
        ("kernel flipped", "flipped kernel", DepthwiseFlipped),
        ("rows and columns of the kernel exchanged", "transposed", DepthwiseRows),
        ("one channel's kernel for all", "wrong axis", DepthwiseChannel),
        ("cut at one end", "stride or padding", DepthwiseShifted),
        ("not cut", "wrong shape|stride or padding", DepthwiseWhole),
        ("dw of the centre", "missing term", DepthwiseCentre),
        ("dw transposed", "transposed", DepthwiseTurned),
        ("dw summed over channels", "wrong axis", DepthwiseMixed),
        ("db set", "assigned", DepthwiseSet),
        ("db averaged", "constant factor|wrong axis", DepthwiseOneBias),
        ("shared buffer", "shared cache", DepthwiseBuffer),
    ],
)


# 16: transposed convolution in two dimensions, loops over taps


def deconv(x, w, stride=2, pad=1):
    """(N, Ci, H, W) with (Ci, Co, k, k): each pixel stamps its kernel; a rim is cut off."""
    n, _, h, wd = x.shape
    k = w.shape[2]
    full = np.zeros((n, w.shape[1], stride * (h - 1) + k, stride * (wd - 1) + k))
    for i in range(h):
        for j in range(wd):
            full[:, :, stride * i : stride * i + k, stride * j : stride * j + k] += np.einsum("nc,codk->nodk", x[:, :, i, j], w)
    return full[:, :, pad:-pad, pad:-pad], (x, w, stride, pad)


def deconv_back(dy, cache, rim=None, step=None, kernel=lambda w: w, letters="nodk,codk->nc", add=True):
    x, w, s, pad = cache
    r = pad if rim is None else rim
    s = s if step is None else step
    k = w.shape[2]
    full = np.pad(dy, ((0, 0), (0, 0), (r, 2 * pad - r + k), (r, 2 * pad - r + k)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            patch = full[:, :, s * i : s * i + k, s * j : s * j + k]
            dx[:, :, i, j] = np.einsum(letters, patch, kernel(w))
            term = np.einsum("nc,nodk->codk", x[:, :, i, j], patch)
            dw = dw + term if add else term
    return dx, dw


def deconv_dx(**options):
    return other(0, lambda g, dy, c: deconv_back(dy, c, **options)[0])(deconv_back)


def deconv_dw(value):
    return other(1, lambda g, dy, c: value(g[1], dy, c))(deconv_back)


group(
    "transposed convolution by stamps",
    deconv,
    normal((2, 2, 3, 2), (2, 2, 3, 3)),
    [
        ("patches", "", deconv_back),
        ("tensordot", "", deconv_dx(letters="abde,cbde->ac")),
        ("rim forgotten in dx", "stride or padding", deconv_dx(rim=0)),
        ("rim forgotten everywhere", "stride or padding", lambda dy, c: deconv_back(dy, c, rim=0)),
        ("stride of one", "stride or padding", lambda dy, c: deconv_back(dy, c, step=1)),
        ("kernel flipped", "flipped kernel", deconv_dx(kernel=lambda w: w[:, :, ::-1, ::-1])),
        ("kernel's channels exchanged", "transposed", deconv_dx(letters="nodk,ocdk->nc")),
        ("kernel's sides exchanged", "transposed", deconv_dx(kernel=lambda w: w.swapaxes(2, 3))),
        ("dw of the last pixel", "assigned|missing term", other(1, lambda g, dy, c: deconv_back(dy, c, add=False)[1])(deconv_back)),
        ("dw's channels exchanged", "transposed", deconv_dw(lambda g, dy, c: g.swapaxes(0, 1))),
        ("dw averaged over the batch", "constant factor", deconv_dw(lambda g, dy, c: g / 2)),
        ("dw of ones", "upstream ignored", deconv_dw(lambda g, dy, c: deconv_back(np.ones_like(dy), c)[1])),
    ],
)


# 17: Fourier transforms


def power(x):
    """|FFT|² of rows."""
    f = np.fft.fft(x, axis=1)
    return f.real**2 + f.imag**2, f


group(
    "power spectrum",
    power,
    normal((3, 7)),
    [
        ("inverse, times its length", "", lambda dy, f: 2 * 7 * np.fft.ifft(dy * f, axis=1).real),
        ("transform of the conjugate", "", lambda dy, f: 2 * np.fft.fft(dy * f.conj(), axis=1).real),
        ("not times its length", "constant factor", lambda dy, f: 2 * np.fft.ifft(dy * f, axis=1).real),
        ("2 forgotten", "constant factor", lambda dy, f: 7 * np.fft.ifft(dy * f, axis=1).real),
        ("conjugate forgotten", "flipped kernel|wrong formula", lambda dy, f: 2 * np.fft.fft(dy * f, axis=1).real),
        ("real part alone", "missing term", lambda dy, f: 2 * 7 * np.fft.ifft(dy * f.real, axis=1).real),
        ("imaginary part of the result", "wrong formula", lambda dy, f: 14 * np.fft.ifft(dy * f, axis=1).imag),
        ("along the batch", "wrong axis", lambda dy, f: 14 * np.fft.ifft(dy * f, axis=0).real),
        ("complex", "exception|wrong formula", lambda dy, f: 14 * np.fft.ifft(dy * f, axis=1)),
    ],
)


def gains(x, g):
    """Each frequency of (L, C) by a real gain, all L of them, and the real part."""
    f = np.fft.fft(x, axis=0)
    return np.fft.ifft(f * g[:, None], axis=0).real, (x, g, f)


def gains_back(dy, cache):
    x, g, f = cache
    d = np.fft.fft(dy, axis=0)
    return np.fft.ifft(d * g[:, None], axis=0).real, (d.conj() * f).real.sum(1) / len(x)


def gains_dg(value):
    return other(1, lambda g, dy, c: value(np.fft.fft(dy, axis=0), c[2]))(gains_back)


group(
    "spectral gains",
    gains,
    normal((6, 2), (6,)),
    [
        ("conjugates", "", gains_back),
        ("real and imaginary parts", "", gains_dg(lambda d, f: (d.real * f.real + d.imag * f.imag).sum(1) / 6)),
        ("dg not divided", "constant factor", gains_dg(lambda d, f: (d.conj() * f).real.sum(1))),
        ("dg of real parts", "missing term", gains_dg(lambda d, f: (d.real * f.real).sum(1) / 6)),
        ("dg without the conjugate", "wrong formula|constant factor", gains_dg(lambda d, f: (d * f).real.sum(1) / 6)),
        ("dg by magnitudes", "wrong formula", gains_dg(lambda d, f: (abs(d) * abs(f)).sum(1) / 6)),
        ("dg a channel", "wrong shape", gains_dg(lambda d, f: (d.conj() * f).real / 6)),
        ("dx by the inverse gains", "wrong formula", other(0, lambda g, dy, c: np.fft.ifft(np.fft.fft(dy, axis=0) / c[1][:, None], axis=0).real)(gains_back)),
        ("dx without the gains", "missing term", other(0, lambda g, dy, c: dy + 0)(gains_back)),
        ("dx by fft twice", "wrong formula", other(0, lambda g, dy, c: np.fft.fft(np.fft.fft(dy, axis=0) * c[1][:, None], axis=0).real)(gains_back)),
    ],
)


def cosines(n):
    k = np.arange(n)
    return np.cos(pi * (k[None] + 0.5) * k[:, None] / n)


def dct(x):
    return x @ cosines(5).T, None


group(
    "cosine transform, not orthonormal",
    dct,
    normal((4, 5)),
    [
        ("matrix", "", lambda dy, cache: dy @ cosines(5)),
        ("matrix not turned", "transposed", lambda dy, cache: dy @ cosines(5).T),
        ("inverse", "wrong formula", lambda dy, cache: dy @ np.linalg.inv(cosines(5)).T),
        ("as if orthonormal", "constant factor", lambda dy, cache: dy @ cosines(5) * 2 / 5),
    ],
)


# 18: attention


def attention(q, k, v):
    """(T, D) with a causal mask."""
    s = q @ k.T / np.sqrt(q.shape[1])
    s = np.where(np.tril(np.ones(s.shape)) > 0, s, -1e9)
    a = probabilities(s)
    return a @ v, {"q": q, "k": k, "v": v, "a": a}


def attention_back(dout, cache, jacobian=True, scaling=True, axis=-1, turn=False):
    q, k, v, a = (cache[n] for n in "qkva")
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis, keepdims=True)) if jacobian else a * da
    ds = ds / np.sqrt(q.shape[1]) if scaling else ds
    return {"q": ds @ k, "k": (ds if turn else ds.T) @ q, "v": dv}


def attention_with(name, value):
    def back(dout, cache):
        found = attention_back(dout, cache)
        found[name] = value(dout, cache, found)
        return found

    return back


group(
    "causal attention, one head",
    attention,
    normal((4, 3), (4, 3), (4, 3)),
    [
        ("dictionary", "", attention_back),
        ("scale forgotten", "constant factor", lambda dout, c: attention_back(dout, c, scaling=False)),
        ("scale of D", "constant factor", lambda dout, c: {n: g if n == "v" else g / np.sqrt(3) for n, g in attention_back(dout, c).items()}),
        ("softmax's sum forgotten", "missing term", lambda dout, c: attention_back(dout, c, jacobian=False)),
        ("softmax along the queries", "wrong axis", lambda dout, c: attention_back(dout, c, axis=0)),
        ("ds not turned for k", "transposed", lambda dout, c: attention_back(dout, c, turn=True)),
        ("a not turned for v", "transposed", attention_with("v", lambda dout, c, g: c["a"] @ dout)),
        ("dv is dout", "missing term", attention_with("v", lambda dout, c, g: dout.copy())),
        ("dk by k", "wrong tensor", attention_with("k", lambda dout, c, g: attention_back(dout, c | {"q": c["k"]})["k"])),
        ("dq and dk exchanged", "wrong tensor", lambda dout, c: (lambda g: {"q": g["k"], "k": g["q"], "v": g["v"]})(attention_back(dout, c))),
        ("dq zero", "missing gradient", attention_with("q", lambda dout, c, g: np.zeros((4, 3)))),
    ],
)


class Heads:
    """Self-attention of two heads, (N, T, D), projections in one matrix."""

    H = 2

    def __init__(self):
        rng = np.random.default_rng(2)
        self.Wqkv = 0.6 * rng.standard_normal((4, 12))
        self.Wo = 0.6 * rng.standard_normal((4, 4))
        self.dWqkv, self.dWo = np.zeros((4, 12)), np.zeros((4, 4))

    def split(self, z):
        n, t, _ = z.shape
        return z.reshape(n, t, self.H, -1).transpose(0, 2, 1, 3)

    def merge(self, z):
        n, h, t, d = z.shape
        return z.transpose(0, 2, 1, 3).reshape(n, t, h * d)

    def forward(self, x):
        self.x = x
        self.q, self.k, self.v = (self.split(z) for z in np.split(x @ self.Wqkv, 3, axis=-1))
        self.a = probabilities(self.q @ self.k.transpose(0, 1, 3, 2) / sqrt(2))
        self.o = self.merge(self.a @ self.v)
        return self.o @ self.Wo

    def heads(self, do):
        return self.split(do)

    def three(self, dq, dk, dv):
        return np.concatenate([self.merge(z) for z in (dq, dk, dv)], axis=-1)

    def backward(self, dy):
        self.dWo = np.einsum("nti,ntj->ij", self.o, dy)
        do = self.heads(dy @ self.Wo.T)
        dv = self.a.transpose(0, 1, 3, 2) @ do
        da = do @ self.v.transpose(0, 1, 3, 2)
        ds = self.a * (da - np.sum(da * self.a, axis=-1, keepdims=True)) / sqrt(2)
        z = self.three(ds @ self.k, ds.transpose(0, 1, 3, 2) @ self.q, dv)
        self.dWqkv = np.einsum("nti,ntj->ij", self.x, z)
        return z @ self.Wqkv.T


class HeadsReshaped(Heads):
    """Reshaped to heads without the transposition."""

    def heads(self, do):
        n, t, d = do.shape
        return do.reshape(n, self.H, t, d // self.H)


class HeadsOrder(Heads):
    def three(self, dq, dk, dv):
        return super().three(dk, dq, dv)


class HeadsNoValue(Heads):
    def three(self, dq, dk, dv):
        return super().three(dq, dk, 0 * dv)


class HeadsOnlyValue(Heads):
    def three(self, dq, dk, dv):
        return super().three(0 * dq, 0 * dk, dv)


class HeadsNoOutput(Heads):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dWo = np.einsum("nti,ntj->ij", self.x, dy)
        return dx


class HeadsOneSample(Heads):
    def backward(self, dy):
        dx = super().backward(dy)
        for o, d in zip(self.o, dy, strict=True):
            self.dWo = o.T @ d
        return dx


class HeadsResidual(Heads):
    """The skip of the block around it counted here."""

    def backward(self, dy):
        return super().backward(dy) + dy


layer(
    "attention of two heads",
    normal((2, 3, 4)),
    [
        ("reshaped and transposed", "", Heads),
        ("heads reshaped alone", "wrong formula|transposed", HeadsReshaped),
        ("query and key exchanged", "wrong tensor", HeadsOrder),
        ("value's path forgotten", "missing term", HeadsNoValue),
        ("value's path alone", "missing term", HeadsOnlyValue),
        ("dWo from x", "wrong tensor", HeadsNoOutput),
        ("dWo set for each sample", "assigned|missing term", HeadsOneSample),
        ("dy once more", "extra term", HeadsResidual),
    ],
)


# 19: embeddings


def embed(E, ids):
    return E[ids], (ids, E.shape)


def embed_back(dy, cache):
    ids, shape = cache
    dE = np.zeros(shape)
    np.add.at(dE, ids, dy)
    return dE


def embed_plus(dy, cache):
    ids, shape = cache
    dE = np.zeros(shape)
    dE[ids] += dy
    return dE


def embed_loop(dy, cache, add=True, average=False, skip=None):
    ids, shape = cache
    dE, count = np.zeros(shape), np.zeros(shape[0])
    for place in np.ndindex(*ids.shape):
        token = ids[place]
        if token == skip:
            continue
        dE[token] = dE[token] + dy[place] if add else dy[place]
        count[token] += 1
    return dE / np.maximum(count, 1)[:, None] if average else dE


def embed_onehot(dy, cache):
    ids, shape = cache
    return np.eye(shape[0])[ids.ravel()].T @ dy.reshape(-1, shape[1])


IDS = np.array([[2, 0, 2, 5], [5, 2, 3, 0]])

group(
    "embedding",
    embed,
    lambda rng: (rng.standard_normal((6, 3)), IDS),
    [
        ("add.at", "", embed_back),
        ("loop", "", embed_loop),
        ("one-hot", "", embed_onehot),
        ("+= with repeated ids", "assigned|missing term", embed_plus),
        ("set", "assigned", lambda dy, cache: embed_loop(dy, cache, add=False)),
        ("averaged over the times seen", "constant factor", lambda dy, cache: embed_loop(dy, cache, average=True)),
        ("divided by all tokens", "constant factor", lambda dy, cache: embed_back(dy, cache) / cache[0].size),
        ("token 0 as padding", "wrong mask|missing term", lambda dy, cache: embed_loop(dy, cache, skip=0)),
        ("counts alone", "upstream ignored", lambda dy, cache: embed_back(np.ones_like(dy), cache)),
        ("gathered again", "wrong shape", lambda dy, cache: embed_back(dy, cache)[cache[0]]),
        ("off by one", "wrong formula", lambda dy, cache: np.roll(embed_back(dy, cache), 1, axis=0)),
    ],
)


class Positions(Layer):
    """Adds learnt positions to (N, T, D)."""

    def __init__(self):
        self.table = Parameter(np.random.default_rng(8).standard_normal((3, 2)))

    def forward(self, x):
        return 2.0 * x + self.table.data, None

    def backward(self, dy, cache):
        self.table.add_grad(dy.sum(0))
        return 2.0 * dy


class PositionsMean(Positions):
    def backward(self, dy, cache):
        self.table.add_grad(dy.mean(0))
        return 2.0 * dy


class PositionsFirst(Positions):
    def backward(self, dy, cache):
        self.table.add_grad(dy[0].copy())
        return 2.0 * dy


class PositionsTotal(Positions):
    def backward(self, dy, cache):
        self.table.add_grad(np.zeros((3, 2)) + dy.sum((0, 1)))
        return 2.0 * dy


class PositionsBatch(Positions):
    def backward(self, dy, cache):
        self.table.grad = self.table.grad + dy
        return 2.0 * dy


class PositionsScale(Positions):
    def backward(self, dy, cache):
        self.table.add_grad(2.0 * dy.sum(0))
        return 2.0 * dy


class PositionsDy(Positions):
    def backward(self, dy, cache):
        self.table.add_grad(dy.sum(0))
        dy *= 2.0
        return dy


layer(
    "learnt positions",
    normal((4, 3, 2)),
    [
        ("sum", "", Positions),
        ("mean", "constant factor", PositionsMean),
        ("first sample", "missing term", PositionsFirst),
        ("of all steps", "wrong axis", PositionsTotal),
        ("not summed", "wrong shape", PositionsBatch),
        ("2 of x for the table", "constant factor|extra term", PositionsScale),
        ("dy doubled in place", "upstream overwritten", PositionsDy),
    ],
)


# 20: bilinear layers


def bilinear(x, z, W):
    return np.einsum("ni,kij,nj->nk", x, W, z), (x, z, W)


def bilinear_back(dy, cache):
    x, z, W = cache
    return (
        np.einsum("nk,kij,nj->ni", dy, W, z),
        np.einsum("nk,kij,ni->nj", dy, W, x),
        np.einsum("nk,ni,nj->kij", dy, x, z),
    )


def bilinear_loop(dy, cache):
    x, z, W = cache
    dx, dz, dW = np.zeros_like(x), np.zeros_like(z), np.zeros_like(W)
    for n in range(len(x)):
        for k in range(len(W)):
            dx[n] += dy[n, k] * (W[k] @ z[n])
            dz[n] += dy[n, k] * (W[k].T @ x[n])
            dW[k] += dy[n, k] * np.outer(x[n], z[n])
    return dx, dz, dW


def bilinear_with(i, letters, *which):
    return other(i, lambda g, dy, c: np.einsum(letters, *[dy if k == "dy" else c[k] for k in which]))(bilinear_back)


group(
    "bilinear layer",
    bilinear,
    normal((5, 3), (5, 3), (2, 3, 3)),
    [
        ("einsum", "", bilinear_back),
        ("loops", "", bilinear_loop),
        ("W turned in dx", "transposed", bilinear_with(0, "nk,kji,nj->ni", "dy", 2, 1)),
        ("x for z in dx", "wrong tensor", bilinear_with(0, "nk,kij,nj->ni", "dy", 2, 0)),
        ("W not turned in dz", "transposed", bilinear_with(1, "nk,kij,nj->ni", "dy", 2, 0)),
        ("dz as dx", "wrong tensor", other(1, lambda g, dy, c: g[0])(bilinear_back)),
        ("z forgotten in dW", "missing term", bilinear_with(2, "nk,ni,nj->kij", "dy", 0, 0)),
        ("dW turned", "transposed", bilinear_with(2, "nk,nj,ni->kij", "dy", 0, 1)),
        ("dW over the samples by sums", "wrong axis|extra term", other(2, lambda g, dy, c: np.einsum("k,i,j->kij", dy.sum(0), c[0].sum(0), c[1].sum(0)))(bilinear_back)),
        ("dW without dy", "upstream ignored", other(2, lambda g, dy, c: np.stack([c[0].T @ c[1]] * 2))(bilinear_back)),
    ],
)


# 21: upsampling, pixel shuffle, padding


def nearest(x):
    """Three times as high and wide, (N, H, W, C)."""
    return np.repeat(np.repeat(x, 3, axis=1), 3, axis=2)


def blocks(dy):
    n, h, w, c = dy.shape
    return dy.reshape(n, h // 3, 3, w // 3, 3, c)


group(
    "nearest neighbour, three times",
    nearest,
    normal((2, 2, 3, 2)),
    [
        ("blocks summed", "", lambda dy: blocks(dy).sum((2, 4))),
        ("slices", "", lambda dy: sum(dy[:, i::3, j::3] for i in range(3) for j in range(3))),
        ("blocks averaged", "constant factor", lambda dy: blocks(dy).mean((2, 4))),
        ("top left", "missing term", lambda dy: dy[:, ::3, ::3].copy()),
        ("centre", "missing term", lambda dy: dy[:, 1::3, 1::3].copy()),
        ("largest of a block", "wrong formula", lambda dy: blocks(dy).max((2, 4))),
        ("the other axes of the blocks", "wrong axis", lambda dy: dy.reshape(2, 3, 2, 3, 3, 2).sum((1, 3))),
        ("rows alone", "wrong shape", lambda dy: sum(dy[:, i::3] for i in range(3))),
        ("strides of two", "stride or padding", lambda dy: sum(dy[:, i : i + 4 : 2, j : j + 6 : 2] for i in range(3) for j in range(3))),
    ],
)


def linear_up(x):
    """Twice as many steps, the new ones halfway, (N, L); the last is repeated."""
    y = np.repeat(x, 2, axis=1)
    y[:, 1:-1:2] = (x[:, :-1] + x[:, 1:]) / 2
    return y, None


def linear_up_back(dy, _, half=0.5, right=True, left=True, last=True, shift=0):
    even, odd = dy[:, ::2], dy[:, 1::2]
    dx = even.copy()
    if left:
        dx[:, :-1] += half * odd[:, :-1]
    if right:
        dx[:, 1:] += half * np.roll(odd, shift, 1)[:, :-1]
    if last:
        dx[:, -1] += odd[:, -1]
    return dx


group(
    "linear interpolation, twice",
    linear_up,
    normal((3, 5)),
    [
        ("slices", "", lambda dy, cache: linear_up_back(dy, cache)),
        ("by its matrix", "", lambda dy, cache: dy @ linear_up(np.eye(5))[0].T),
        ("½ forgotten", "constant factor", lambda dy, cache: linear_up_back(dy, cache, half=1)),
        ("right neighbour forgotten", "missing term", lambda dy, cache: linear_up_back(dy, cache, right=False)),
        ("old steps alone", "missing term", lambda dy, cache: linear_up_back(dy, cache, left=False, right=False)),
        ("edge forgotten", "missing term", lambda dy, cache: linear_up_back(dy, cache, last=False)),
        ("as nearest neighbour", "wrong formula", lambda dy, cache: dy[:, ::2] + dy[:, 1::2]),
        ("pairs averaged", "wrong formula", lambda dy, cache: (dy[:, ::2] + dy[:, 1::2]) / 2),
    ],
)


def shuffle(x, r=2):
    n, c, h, w = x.shape
    return x.reshape(n, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // r**2, h * r, w * r)


def unshuffle(dy, order=(0, 1, 3, 5, 2, 4), r=2):
    n, c, h, w = dy.shape
    return dy.reshape(n, c, h // r, r, w // r, r).transpose(order).reshape(n, c * r * r, h // r, w // r)


group(
    "pixel shuffle",
    shuffle,
    normal((2, 8, 2, 2)),
    [
        ("transposed back", "", unshuffle),
        ("slices", "", lambda dy: np.stack([dy[:, c, i::2, j::2] for c in range(2) for i in range(2) for j in range(2)], 1)),
        ("sub-pixels exchanged", "transposed", lambda dy: unshuffle(dy, (0, 1, 5, 3, 2, 4))),
        ("channels last of all", "transposed", lambda dy: unshuffle(dy, (0, 3, 5, 1, 2, 4))),
        ("reshaped alone", "transposed|wrong formula", lambda dy: dy.reshape(2, 8, 2, 2).copy()),
        ("the forward order again", "transposed|wrong formula", lambda dy: unshuffle(dy, (0, 1, 4, 2, 5, 3))),
        ("averaged over sub-pixels", "constant factor", lambda dy: unshuffle(dy) / 4),
        ("rows and columns exchanged", "transposed", lambda dy: unshuffle(dy).swapaxes(2, 3).copy()),
    ],
)


class ZeroPad:
    """One row above, two below, none left, three right."""

    def forward(self, x):
        self.shape = x.shape
        return np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)))

    def backward(self, dy):
        h, w = self.shape[1:3]
        return dy[:, 1 : 1 + h, :w]


class ZeroPadNegative(ZeroPad):
    def backward(self, dy):
        return dy[:, 1:-2, :-3].copy()


class ZeroPadExchanged(ZeroPad):
    def backward(self, dy):
        return dy[:, 2:-1, :-3]


class ZeroPadLeft(ZeroPad):
    def backward(self, dy):
        return dy[:, 1:-2, 3:]


class ZeroPadMinusZero(ZeroPad):
    """The crop written for every side: minus zero on one."""

    def backward(self, dy):
        top, bottom, left, right = 1, 2, 3, 0
        return dy[:, top:-bottom, left:-right]


class ZeroPadCentred(ZeroPad):
    def backward(self, dy):
        h, w = self.shape[1:3]
        return dy[:, (dy.shape[1] - h) // 2 + 1 :, (dy.shape[2] - w) // 2 :][:, :h, :w]


class ZeroPadWhole(ZeroPad):
    def backward(self, dy):
        return dy


layer(
    "zero padding, uneven",
    normal((2, 3, 4, 2)),
    [
        ("slices", "", ZeroPad),
        ("negative ends", "", ZeroPadNegative),
        ("top and bottom exchanged", "stride or padding", ZeroPadExchanged),
        ("left and right exchanged", "stride or padding", ZeroPadLeft),
        ("right end of minus zero", "empty slice", ZeroPadMinusZero),
        ("cut around the middle", "stride or padding", ZeroPadCentred),
        ("not cut", "wrong shape|stride or padding", ZeroPadWhole),
    ],
)


def reflect(x, p=2):
    return np.pad(x, ((0, 0), (p, p)), mode="reflect"), (x.shape[1], p)


def reflect_back(dy, cache, left=True, right=True, shift=0, turn=True, add=True):
    n, p = cache
    dx = dy[:, p : p + n].copy()
    lead, trail = dy[:, :p], dy[:, p + n :]
    if turn:
        lead, trail = lead[:, ::-1], trail[:, ::-1]
    if left:
        at = slice(1 - shift, 1 - shift + p)
        dx[:, at] = dx[:, at] + lead if add else lead
    if right:
        at = slice(n - 1 - p + shift, n - 1 + shift)
        dx[:, at] = dx[:, at] + trail if add else trail
    return dx


group(
    "reflected edges",
    reflect,
    scaled(300.0, (3, 6)),
    [
        ("folded", "", reflect_back),
        ("by its matrix", "", lambda dy, cache: dy @ reflect(np.eye(6))[0].T),
        ("cut off", "missing term", lambda dy, cache: reflect_back(dy, cache, left=False, right=False)),
        ("right edge forgotten", "missing term", lambda dy, cache: reflect_back(dy, cache, right=False)),
        ("edge itself mirrored", "stride or padding", lambda dy, cache: reflect_back(dy, cache, shift=1)),
        ("not turned round", "flipped kernel|transposed", lambda dy, cache: reflect_back(dy, cache, turn=False)),
        ("set", "assigned", lambda dy, cache: reflect_back(dy, cache, add=False)),
    ],
)


def edge_pad(x):
    return x[[0, 0, 0, 1, 2, 3, 3]]


def edge_back(dy):
    dx = dy[2:6].copy()
    dx[0] += dy[0] + dy[1]
    dx[3] += dy[6]
    return dx


def edge_plus(dy):
    dx = np.zeros((4, *dy.shape[1:]))
    dx[[0, 0, 0, 1, 2, 3, 3]] += dy
    return dx


def edge_into(dy):
    dx = dy[2:6]
    dx[0] += dy[0] + dy[1]
    dx[3] += dy[6]
    return dx


group(
    "repeated edges",
    edge_pad,
    normal((4, 3)),
    [
        ("slices", "", edge_back),
        ("+= with repeated rows", "assigned|missing term", edge_plus),
        ("into a view of dy", "upstream overwritten", edge_into),
        ("cut off", "missing term", lambda dy: dy[2:6].copy()),
        ("averaged", "constant factor", lambda dy: edge_back(dy) / np.array([[3], [1], [1], [2]])),
    ],
)


# 22: cumulative sums and products, differences


def running(x):
    return np.cumsum(x, axis=1)


group(
    "cumulative sum",
    running,
    normal((3, 6)),
    [
        ("turned twice", "", lambda dy: np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]),
        ("total less what came before", "", lambda dy: dy.sum(1, keepdims=True) - np.cumsum(dy, 1) + dy),
        ("triangular matrix", "", lambda dy: dy @ np.tril(np.ones((6, 6)))),
        ("not turned", "transposed|flipped kernel", lambda dy: np.cumsum(dy, axis=1)),
        ("turned once", "flipped kernel|wrong formula", lambda dy: np.cumsum(dy[:, ::-1], axis=1)),
        ("along the batch", "wrong axis", lambda dy: np.cumsum(dy[::-1], axis=0)[::-1]),
        ("own step left out", "missing term", lambda dy: dy.sum(1, keepdims=True) - np.cumsum(dy, 1)),
        ("passed", "missing term", lambda dy: dy.copy()),
        ("total everywhere", "extra term|wrong mask", lambda dy: np.zeros_like(dy) + dy.sum(1, keepdims=True)),
        ("differences", "wrong formula", lambda dy: np.diff(dy, axis=1, prepend=0)),
    ],
)


def products(x):
    return np.cumprod(x, axis=0), x


def products_back(dy, x, divide=True):
    y = np.cumprod(x, axis=0)
    tail = np.cumsum((dy * y)[::-1], axis=0)[::-1]
    return tail / x if divide else tail


group(
    "cumulative product",
    products,
    uniform(0.5, 2.0, (5, 2)),
    [
        ("divided", "", products_back),
        ("loops", "", lambda dy, x: np.array([sum(dy[j] * np.prod(x[:i], 0) * np.prod(x[i + 1 : j + 1], 0) for j in range(i, 5)) for i in range(5)])),
        ("not divided", "missing term", lambda dy, x: products_back(dy, x, divide=False)),
        ("own product alone", "missing term", lambda dy, x: dy * np.cumprod(x, axis=0) / x),
        ("sum not turned", "transposed|wrong formula", lambda dy, x: np.cumsum(dy * np.cumprod(x, axis=0), axis=0) / x),
    ],
)


def steps(x):
    return x[:, 1:] - x[:, :-1]


def steps_back(dy, x, second=-1.0, add=True):
    dx = np.zeros_like(x)
    dx[:, 1:] += dy
    if add:
        dx[:, :-1] += second * dy
    else:
        dx[:, :-1] = second * dy
    return dx


group(
    "differences of neighbours",
    steps,
    scaled(20.0, (2, 5, 2)),
    [
        ("both", "", lambda dy, x: steps_back(dy, x)),
        ("padded", "", lambda dy, x: -np.diff(np.pad(dy, ((0, 0), (1, 1), (0, 0))), axis=1)),
        ("left one forgotten", "missing term", lambda dy, x: steps_back(dy, x, second=0)),
        ("both positive", "constant factor", lambda dy, x: steps_back(dy, x, second=1)),
        ("second set", "assigned", lambda dy, x: steps_back(dy, x, add=False)),
        ("sign", "constant factor", lambda dy, x: -steps_back(dy, x)),
        ("of dy's length", "wrong shape", lambda dy, x: dy.copy()),
    ],
)


# 23: length one, cosine similarity, distances


def unit(x, eps=1e-12):
    n = np.linalg.norm(x, axis=1, keepdims=True)
    return x / (n + eps), (x, n)


def unit_jacobian(dy, cache):
    x, n = cache
    return np.stack([(np.eye(len(u)) - np.outer(u, u) / (u @ u)) @ d / m for u, d, m in zip(x, dy, n, strict=True)])


group(
    "columns of maps to length one",
    unit,
    scaled(7.0, (4, 3)),
    [
        ("Jacobians", "", unit_jacobian),
        ("projected", "", lambda dy, c: (dy - c[0] * (dy * c[0]).sum(1, keepdims=True) / c[1] ** 2) / c[1]),
        ("n once", "missing term|wrong formula", lambda dy, c: (dy - c[0] * (dy * c[0]).sum(1, keepdims=True) / c[1]) / c[1]),
        ("length a constant", "missing term", lambda dy, c: dy / c[1]),
        ("not divided", "missing term|constant factor", lambda dy, c: dy - c[0] * (dy * c[0]).sum(1, keepdims=True) / c[1] ** 2),
        ("mean for sum", "constant factor", lambda dy, c: (dy - c[0] * (dy * c[0]).mean(1, keepdims=True) / c[1] ** 2) / c[1]),
        ("over the batch", "wrong axis", lambda dy, c: (dy - c[0] * (dy * c[0]).sum(0) / c[1] ** 2) / c[1]),
        ("squares not summed", "missing term|wrong axis", lambda dy, c: (dy - dy * c[0] ** 2 / c[1] ** 2) / c[1]),
        ("n² for n", "extra term", lambda dy, c: (dy - c[0] * (dy * c[0]).sum(1, keepdims=True) / c[1] ** 2) / c[1] ** 2),
    ],
)


def cosine(a, b):
    na, nb = np.sqrt((a * a).sum(-1)), np.sqrt((b * b).sum(-1))
    c = (a * b).sum(-1) / (na * nb)
    return c, {"a": a, "b": b, "na": na, "nb": nb, "c": c}


def cosine_back(dy, cache, own=1.0):
    a, b, na, nb, c = (cache[k][..., None] if k in ("na", "nb", "c") else cache[k] for k in ("a", "b", "na", "nb", "c"))
    d = dy[..., None]
    return d * (b / (na * nb) - own * c * a / na**2), d * (a / (na * nb) - own * c * b / nb**2)


def cosine_with(i, value):
    def back(dy, cache):
        found = list(cosine_back(dy, cache))
        found[i] = value(dy[:, None], cache["a"], cache["b"], cache["na"][:, None], cache["nb"][:, None], cache["c"][:, None])
        return tuple(found)

    return back


group(
    "cosine of pairs",
    cosine,
    normal((5, 4), (5, 4)),
    [
        ("quotient rule", "", cosine_back),
        ("lengths constant", "missing term", lambda dy, c: cosine_back(dy, c, own=0)),
        ("plus", "constant factor", lambda dy, c: cosine_back(dy, c, own=-1)),
        ("a alone: own length forgotten", "missing term", cosine_with(0, lambda d, a, b, na, nb, c: d * b / (na * nb))),
        ("b's length for a's", "wrong tensor", cosine_with(0, lambda d, a, b, na, nb, c: d * (b / (na * nb) - c * a / nb**2))),
        ("c forgotten", "missing term", cosine_with(1, lambda d, a, b, na, nb, c: d * (a / (na * nb) - b / nb**2))),
        ("square of the length forgotten", "missing term", cosine_with(1, lambda d, a, b, na, nb, c: d * (a / (na * nb) - c * b / nb))),
        ("db as da", "wrong tensor", cosine_with(1, lambda d, a, b, na, nb, c: d * (b / (na * nb) - c * a / na**2))),
        ("db zero", "missing gradient", cosine_with(1, lambda d, a, b, na, nb, c: 0 * b)),
        ("da without dy", "upstream ignored", cosine_with(0, lambda d, a, b, na, nb, c: b / (na * nb) - c * a / na**2)),
    ],
)


def distances(a, b):
    """(N, M) Euclidean."""
    d = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    return d, (a, b, d)


def distances_back(dy, cache, root=True, factor=1.0, sign=-1.0, axis=0):
    a, b, d = cache
    diff = a[:, None] - b[None]
    g = factor * dy[..., None] * diff / (d[..., None] if root else 1)
    return g.sum(1), sign * g.sum(axis)


def distances_loop(dy, cache):
    a, b, d = cache
    da, db = np.zeros_like(a), np.zeros_like(b)
    for i in range(len(a)):
        for j in range(len(b)):
            u = (a[i] - b[j]) / d[i, j]
            da[i] += dy[i, j] * u
            db[j] -= dy[i, j] * u
    return da, db


def distances_set(dy, cache):
    a, b, d = cache
    da, db = distances_loop(dy, cache)
    for i in range(len(a)):
        for j in range(len(b)):
            db[j] = -dy[i, j] * (a[i] - b[j]) / d[i, j]
    return da, db


group(
    "distances of two sets",
    distances,
    normal((3, 2), (4, 2)),
    [
        ("broadcast", "", distances_back),
        ("loops", "", distances_loop),
        ("not divided by d", "missing term", lambda dy, c: distances_back(dy, c, root=False)),
        ("2", "constant factor", lambda dy, c: distances_back(dy, c, factor=2.0)),
        ("½", "constant factor", lambda dy, c: distances_back(dy, c, factor=0.5)),
        ("db with da's sign", "constant factor", lambda dy, c: distances_back(dy, c, sign=1.0)),
        ("db over the other axis", "wrong shape|wrong axis", lambda dy, c: distances_back(dy, c, axis=1)),
        ("db set in the loop", "assigned|missing term", distances_set),
        ("da of the sum of b", "wrong formula", other(0, lambda g, dy, c: (dy / c[2]).sum(1, keepdims=True) * (c[0] - c[1].sum(0)))(distances_back)),
        ("da averaged", "constant factor", other(0, lambda g, dy, c: g[0] / 4)(distances_back)),
    ],
)


def self_distances(x):
    """Squared distances of the rows of x, the diagonal among them."""
    s = (x * x).sum(1)
    return s[:, None] + s[None] - 2 * x @ x.T, x


def self_back(dy, x, rows=True, columns=True, turn=True, two=2.0):
    g = dy + dy.T if turn else dy
    d = -two * g @ x
    if rows:
        d += 2 * x * dy.sum(1, keepdims=True)
    if columns:
        d += 2 * x * dy.sum(0)[:, None]
    return d


group(
    "squared distances of one set",
    self_distances,
    normal((4, 3)),
    [
        ("matrices", "", self_back),
        ("differences", "", lambda dy, x: 2 * np.einsum("ij,ijk->ik", dy + dy.T, x[:, None] - x[None])),
        ("columns forgotten", "missing term", lambda dy, x: self_back(dy, x, columns=False)),
        ("second factor of x xᵀ forgotten", "missing term", lambda dy, x: self_back(dy, x, turn=False)),
        ("as if dy were symmetric", "wrong formula|missing term", lambda dy, x: 4 * np.einsum("ij,ijk->ik", dy, x[:, None] - x[None])),
        ("cross term twice", "constant factor", lambda dy, x: self_back(dy, x, two=4.0)),
        ("2 forgotten", "constant factor", lambda dy, x: self_back(dy, x) / 2),
        ("root's slope at zero", "not finite", lambda dy, x: _rooted(dy, x)),
    ],
)


def _rooted(dy, x):
    """Divided by the distance and multiplied by it again: 0/0 on the diagonal."""
    diff = x[:, None] - x[None]
    d = np.sqrt((diff**2).sum(-1, keepdims=True))
    return 2 * np.einsum("ij,ijk->ik", dy + dy.T, diff / d * d)


# 24: contrastive losses


def siamese(a, b, label, margin=2.0):
    """½ d² of like pairs, ½ max(m − d, 0)² of others, averaged."""
    diff = a - b
    d = np.sqrt((diff**2).sum(1))
    gap = np.maximum(margin - d, 0)
    return (0.5 * label * d**2 + 0.5 * (1 - label) * gap**2).mean(), (diff, d, gap, label)


def siamese_back(dy, cache, like=1.0, unlike=1.0, divide=True, mask=None, sign=-1.0):
    diff, d, gap, label = cache
    g = gap if mask is None else mask(d)
    pull = like * label[:, None] * diff
    push = unlike * (1 - label[:, None]) * g[:, None] * diff / (d[:, None] if divide else 1)
    da = dy * (pull - push) / len(d)
    return da, sign * da


group(
    "contrastive loss of pairs",
    siamese,
    lambda rng: (1.6 * rng.standard_normal((6, 2)), rng.standard_normal((6, 2)), np.array([1, 0, 0, 1, 0, 0])),
    [
        ("pull and push", "", siamese_back),
        ("unlike pairs forgotten", "missing term", lambda dy, c: siamese_back(dy, c, unlike=0)),
        ("push with the wrong sign", "constant factor", lambda dy, c: siamese_back(dy, c, unlike=-1)),
        ("direction not of length one", "missing term", lambda dy, c: siamese_back(dy, c, divide=False)),
        ("beyond the margin too", "wrong mask|missing term", lambda dy, c: siamese_back(dy, c, mask=lambda d: 2.0 - d)),
        ("both of the same sign", "constant factor", lambda dy, c: siamese_back(dy, c, sign=1.0)),
        ("like and unlike exchanged", "wrong mask|wrong formula", lambda dy, c: siamese_back(dy, (*c[:3], 1 - c[3]))),
        ("d² without ½", "constant factor", lambda dy, c: siamese_back(dy, c, like=2.0)),
        ("summed", "constant factor", lambda dy, c: tuple(6 * g for g in siamese_back(dy, c))),
    ],
)


def triplet(anchor, positive, negative):
    p = ((anchor - positive) ** 2).sum(1)
    n = ((anchor - negative) ** 2).sum(1)
    active = p - n + 0.5 > 0
    return (active * (p - n + 0.5)).sum(), (anchor, positive, negative, active)


def triplet_back(dy, cache, mask=True):
    a, p, n, active = cache
    m = dy * 2.0 * (active[:, None] if mask else 1.0)
    return m * (n - p), m * (p - a), m * (a - n)


def triplet_with(i, value):
    return other(i, lambda g, dy, c: 2.0 * dy * c[3][:, None] * value(*c[:3]))(triplet_back)


group(
    "triplet loss",
    triplet,
    lambda rng: tuple(0.7 * rng.standard_normal((12, 2)) for _ in range(3)),
    [
        ("three differences", "", triplet_back),
        ("mask forgotten", "wrong mask|missing term", lambda dy, c: triplet_back(dy, c, mask=False)),
        ("mask upside down", "wrong mask", lambda dy, c: triplet_back(dy, (*c[:3], ~c[3]))),
        ("margin left out of the mask", "wrong mask", lambda dy, c: triplet_back(dy, (*c[:3], ((c[0] - c[1]) ** 2).sum(1) > ((c[0] - c[2]) ** 2).sum(1)))),
        ("anchor by the positive alone", "missing term", triplet_with(0, lambda a, p, n: a - p)),
        ("anchor by both added", "constant factor", triplet_with(0, lambda a, p, n: 2 * a - p - n)),
        ("positive with the wrong sign", "constant factor", triplet_with(1, lambda a, p, n: a - p)),
        ("negative as positive", "wrong tensor", triplet_with(2, lambda a, p, n: p - a)),
        ("2 forgotten", "constant factor", lambda dy, c: tuple(g / 2 for g in triplet_back(dy, c))),
        ("anchor's none", "missing gradient", triplet_with(0, lambda a, p, n: 0 * a)),
    ],
)


def info_nce(u, v):
    """Row i of u belongs to row i of v; temperature ½."""
    p = probabilities(u @ v.T / 0.5)
    return -np.log(np.diag(p)).mean(), (u, v, p)


def info_back(dy, cache, t=0.5, one=1.0, turn=True):
    u, v, p = cache
    ds = dy * (p - one * np.eye(len(p))) / len(p) / t
    return ds @ v, (ds.T if turn else ds) @ u


group(
    "InfoNCE",
    info_nce,
    normal((4, 3), (4, 3)),
    [
        ("softmax less identity", "", info_back),
        ("temperature forgotten", "constant factor", lambda dy, c: info_back(dy, c, t=1.0)),
        ("multiplied by the temperature", "constant factor", lambda dy, c: info_back(dy, c, t=2.0)),
        ("positives forgotten", "missing term", lambda dy, c: info_back(dy, c, one=0.0)),
        ("not turned for v", "transposed", lambda dy, c: info_back(dy, c, turn=False)),
        ("dv as du", "wrong tensor", lambda dy, c: (info_back(dy, c)[0],) * 2),
        ("summed", "constant factor", lambda dy, c: tuple(4 * g for g in info_back(dy, c))),
        ("positives alone", "missing term", lambda dy, c: (dy * (np.diag(c[2]) - 1)[:, None] * c[1] / 2, dy * (np.diag(c[2]) - 1)[:, None] * c[0] / 2)),
        ("softmax along the other axis", "wrong axis", lambda dy, c: info_back(dy, (c[0], c[1], probabilities(c[0] @ c[1].T / 0.5, 0)))),
    ],
)


# 25: losses of GANs


def minimax(real, fake):
    """−mean log σ(real) − mean log(1 − σ(fake))."""
    return np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean(), (real, fake)


def minimax_back(dy, cache):
    real, fake = cache
    return dy * (logistic(real) - 1) / real.size, dy * logistic(fake) / fake.size


def gan_with(back, i, value):
    return other(i, lambda g, dy, c: dy * value(*c))(back)


group(
    "minimax loss of logits",
    minimax,
    scaled(2.0, (5, 1), (3, 1)),
    [
        ("of logits", "", minimax_back),
        ("stable", "", lambda dy, c: (-dy * np.exp(-np.logaddexp(0, c[0])) / 5, dy * np.exp(-np.logaddexp(0, -c[1])) / 3)),
        ("of the probabilities", "missing term", lambda dy, c: (-dy / logistic(c[0]) / 5, dy / (1 - logistic(c[1])) / 3)),
        ("real's sign", "constant factor", gan_with(minimax_back, 0, lambda r, f: (1 - logistic(r)) / 5)),
        ("real not less one", "missing term", gan_with(minimax_back, 0, lambda r, f: logistic(r) / 5)),
        ("fake less one", "extra term|wrong formula", gan_with(minimax_back, 1, lambda r, f: (logistic(f) - 1) / 3)),
        ("fake by real's count", "constant factor", gan_with(minimax_back, 1, lambda r, f: logistic(f) / 5)),
        ("both by all", "constant factor", lambda dy, c: ((logistic(c[0]) - 1) * dy / 8, logistic(c[1]) * dy / 8)),
        ("fake none", "missing gradient", lambda dy, c: (minimax_back(dy, c)[0], None)),
        ("sigmoid's slope once more", "extra term", gan_with(minimax_back, 1, lambda r, f: logistic(f) ** 2 * (1 - logistic(f)) / 3)),
    ],
)


def generator_loss(p):
    """log(1 − D) for probabilities D, to be made small, and its gradient."""
    return np.log(1 - p).mean(), -1 / (1 - p) / p.size


losses(
    "generator's loss of probabilities",
    uniform(0.05, 0.9, (6, 1)),
    [
        ("minimax", "", generator_loss),
        ("non-saturating gradient", "wrong formula", lambda p: (np.log(1 - p).mean(), -1 / p / p.size)),
        ("inner sign", "constant factor", lambda p: (np.log(1 - p).mean(), 1 / (1 - p) / p.size)),
        ("not averaged", "constant factor", lambda p: (np.log(1 - p).mean(), -1 / (1 - p))),
        ("1 − D", "wrong formula", lambda p: (np.log(1 - p).mean(), -(1 - p) / p.size)),
        ("of the logit", "extra term", lambda p: (np.log(1 - p).mean(), -p / p.size)),
    ],
)


def lsgan(real, fake):
    return 0.5 * ((real - 0.9) ** 2).mean() + 0.5 * (fake**2).mean(), (real, fake)


def lsgan_back(dy, cache):
    real, fake = cache
    return dy * (real - 0.9) / real.size, dy * fake / fake.size


group(
    "least squares with real at 0.9",
    lsgan,
    normal((4, 2, 2), (3, 2, 2)),
    [
        ("halves cancel", "", lsgan_back),
        ("2 kept", "constant factor", lambda dy, c: tuple(2 * g for g in lsgan_back(dy, c))),
        ("real at 1", "constant factor|wrong formula", gan_with(lsgan_back, 0, lambda r, f: (r - 1) / r.size)),
        ("target forgotten", "missing term", gan_with(lsgan_back, 0, lambda r, f: r / r.size)),
        ("fake at 0.9 too", "extra term", gan_with(lsgan_back, 1, lambda r, f: (f - 0.9) / f.size)),
        ("by the batch alone", "constant factor", lambda dy, c: (dy * (c[0] - 0.9) / 4, dy * c[1] / 3)),
        ("by D", "extra term", gan_with(lsgan_back, 1, lambda r, f: f * f / f.size)),
        ("signs of D", "wrong formula|missing term", gan_with(lsgan_back, 1, lambda r, f: np.sign(f) / f.size)),
    ],
)


class HingeD:
    """The critic's hinge; the scores of real ones first, of as many fakes behind them."""

    def forward(self, s):
        self.s = s
        self.n = len(s) // 2
        return np.array(np.maximum(1 - s[: self.n], 0).mean() + np.maximum(1 + s[self.n :], 0).mean())

    def real(self, r):
        return -1.0 * (r < 1) / self.n

    def fake(self, f):
        return (f > -1) / self.n

    def backward(self, dy=1.0):
        return dy * np.concatenate([self.real(self.s[: self.n]), self.fake(self.s[self.n :])])


class HingeDSwap(HingeD):
    def real(self, r):
        return -1.0 * (r > 1) / self.n


class HingeDZero(HingeD):
    def fake(self, f):
        return (f > 0) / self.n


class HingeDNoMask(HingeD):
    def real(self, r):
        return -np.ones_like(r) / self.n


class HingeDSign(HingeD):
    def fake(self, f):
        return -1.0 * (f > -1) / self.n


class HingeDAll(HingeD):
    def backward(self, dy=1.0):
        return super().backward(dy) / 2


class HingeDOnlyReal(HingeD):
    def fake(self, f):
        return np.zeros_like(f)


class HingeDWhole(HingeD):
    """Integer division of a mask."""

    def fake(self, f):
        return (f > -1).astype(int) // self.n


layer(
    "hinge loss of the critic",
    scaled(1.1, (26,)),
    [
        ("masks", "", HingeD),
        ("real's mask upside down", "wrong mask", HingeDSwap),
        ("fake's threshold at zero", "wrong mask", HingeDZero),
        ("real's mask forgotten", "wrong mask|missing term", HingeDNoMask),
        ("fake's sign", "constant factor", HingeDSign),
        ("by both halves", "constant factor", HingeDAll),
        ("fakes forgotten", "missing term", HingeDOnlyReal),
        ("fakes divided as integers", "integer arithmetic|missing term", HingeDWhole),
    ],
)


def critic_loss(real, fake):
    return fake.mean() - real.mean(), {"n": real.shape, "m": fake.shape}


group(
    "Wasserstein loss of patches",
    critic_loss,
    normal((3, 2, 2), (2, 2, 2)),
    [
        ("full", "", lambda dy, c: (np.full(c["n"], -dy / np.prod(c["n"])), np.full(c["m"], dy / np.prod(c["m"])))),
        ("signs exchanged", "constant factor", lambda dy, c: (np.full(c["n"], dy / 12), np.full(c["m"], -dy / 8))),
        ("real of fake's sign", "constant factor", lambda dy, c: (np.full(c["n"], dy / 12), np.full(c["m"], dy / 8))),
        ("by the batch", "constant factor", lambda dy, c: (np.full(c["n"], -dy / 3), np.full(c["m"], dy / 2))),
        ("real of fake's shape", "wrong shape", lambda dy, c: (np.full(c["m"], -dy / 8), np.full(c["m"], dy / 8))),
        ("a number each", "wrong shape", lambda dy, c: (np.array(-dy / 12), np.array(dy / 8))),
        ("real forgotten", "missing gradient", lambda dy, c: (np.zeros(c["n"]), np.full(c["m"], dy / 8))),
    ],
)


def relativistic(real, fake):
    """Relativistic average: real against the mean of the fakes."""
    d = real - fake.mean()
    return np.logaddexp(0, -d).mean(), (logistic(-d), fake.shape)


group(
    "relativistic loss",
    relativistic,
    normal((5,), (4,)),
    [
        ("both", "", lambda dy, c: (-dy * c[0] / 5, np.full(c[1], dy * c[0].mean() / 4))),
        ("fakes' mean a constant", "missing gradient", lambda dy, c: (-dy * c[0] / 5, np.zeros(c[1]))),
        ("fakes not averaged", "constant factor", lambda dy, c: (-dy * c[0] / 5, np.full(c[1], dy * c[0].mean()))),
        ("sign of the fakes", "constant factor", lambda dy, c: (-dy * c[0] / 5, np.full(c[1], -dy * c[0].mean() / 4))),
        ("1 − σ for σ", "wrong formula", lambda dy, c: (-dy * (1 - c[0]) / 5, np.full(c[1], dy * (1 - c[0]).mean() / 4))),
    ],
)


# 26: losses of regression


def huber(pred, target, delta=0.7):
    e = pred - target
    small = np.abs(e) <= delta
    return np.where(small, 0.5 * e**2, delta * (np.abs(e) - 0.5 * delta)).mean(), (e, small, delta)


group(
    "Huber loss of 0.7",
    huber,
    normal((6, 2), (6, 2)),
    [
        ("where", "", lambda dy, c: dy * np.where(c[1], c[0], c[2] * np.sign(c[0])) / c[0].size),
        ("clip", "", lambda dy, c: dy * np.clip(c[0], -c[2], c[2]) / c[0].size),
        ("both gradients", "", lambda dy, c: (dy * np.clip(c[0], -0.7, 0.7) / 12, -dy * np.clip(c[0], -0.7, 0.7) / 12)),
        ("δ forgotten", "constant factor|missing term", lambda dy, c: dy * np.where(c[1], c[0], np.sign(c[0])) / c[0].size),
        ("sign forgotten", "missing term|constant factor", lambda dy, c: dy * np.where(c[1], c[0], c[2]) / c[0].size),
        ("as squares", "wrong mask|missing term", lambda dy, c: dy * c[0] / c[0].size),
        ("branches exchanged", "wrong mask", lambda dy, c: dy * np.where(c[1], c[2] * np.sign(c[0]), c[0]) / c[0].size),
        ("mask without abs", "wrong mask", lambda dy, c: dy * np.where(c[0] <= c[2], c[0], c[2] * np.sign(c[0])) / c[0].size),
        ("by the batch", "constant factor", lambda dy, c: dy * np.clip(c[0], -c[2], c[2]) / len(c[0])),
        ("target less prediction", "constant factor", lambda dy, c: -dy * np.clip(c[0], -c[2], c[2]) / c[0].size),
    ],
)


def pinball(pred, y_true, tau=0.2):
    e = y_true - pred
    return np.maximum(tau * e, (tau - 1) * e).sum(), (e, tau)


group(
    "pinball loss of 0.2",
    pinball,
    scaled(5.0, (7,), (7,)),
    [
        ("where", "", lambda grad, cache: grad * np.where(cache[0] > 0, -cache[1], 1 - cache[1])),
        ("mask less τ", "", lambda grad, cache: grad * ((cache[0] < 0) - cache[1])),
        ("sign", "constant factor", lambda grad, cache: grad * np.where(cache[0] > 0, cache[1], cache[1] - 1)),
        ("branches exchanged", "wrong mask", lambda grad, cache: grad * np.where(cache[0] < 0, -cache[1], 1 - cache[1])),
        ("τ for 1 − τ", "constant factor|wrong formula", lambda grad, cache: grad * np.where(cache[0] > 0, -cache[1], cache[1])),
        ("1 − τ exchanged", "wrong formula", lambda grad, cache: grad * np.where(cache[0] > 0, cache[1] - 1, cache[1])),
        ("averaged", "constant factor", lambda grad, cache: grad * ((cache[0] < 0) - cache[1]) / 7),
        ("times the error", "extra term", lambda grad, cache: grad * ((cache[0] < 0) - cache[1]) * np.abs(cache[0])),
    ],
)

losses(
    "log cosh",
    scaled(3.0, (2, 6)),
    [
        ("tanh", "", lambda e: ((np.logaddexp(e, -e) - np.log(2)).sum(), np.tanh(e))),
        ("sinh over cosh", "", lambda e: ((np.logaddexp(e, -e) - np.log(2)).sum(), np.sinh(e) / np.cosh(e))),
        ("sech²", "wrong formula", lambda e: ((np.logaddexp(e, -e) - np.log(2)).sum(), 1 / np.cosh(e) ** 2)),
        ("sinh", "missing term", lambda e: ((np.logaddexp(e, -e) - np.log(2)).sum(), np.sinh(e))),
        ("averaged", "constant factor", lambda e: ((np.logaddexp(e, -e) - np.log(2)).sum(), np.tanh(e) / e.size)),
    ],
)


def gaussian_nll(mu, log_var, target):
    return 0.5 * (log_var + (target - mu) ** 2 * np.exp(-log_var)).sum(), (mu - target, np.exp(-log_var))


def gaussian_back(dy, cache):
    e, precision = cache
    return dy * e * precision, dy * 0.5 * (1 - e**2 * precision), -dy * e * precision


def gaussian_with(i, value):
    return other(i, lambda g, dy, c: dy * value(*c))(gaussian_back)


group(
    "Gaussian likelihood with its log variance",
    gaussian_nll,
    normal((4, 2), (4, 2), (4, 2)),
    [
        ("as derived", "", gaussian_back),
        ("two gradients", "", lambda dy, c: gaussian_back(dy, c)[:2]),
        ("precision forgotten", "missing term", gaussian_with(0, lambda e, p: e)),
        ("2 and no ½", "constant factor", gaussian_with(0, lambda e, p: 2 * e * p)),
        ("variance's square forgotten", "missing term", gaussian_with(1, lambda e, p: 0.5 * (1 - e * p))),
        ("variance: only the logarithm", "missing term", gaussian_with(1, lambda e, p: 0.5 + 0 * e)),
        ("variance: plus", "constant factor", gaussian_with(1, lambda e, p: 0.5 * (1 + e**2 * p))),
        ("variance: of σ² itself", "extra term", gaussian_with(1, lambda e, p: 0.5 * (1 - e**2 * p) * p)),
        ("variance for precision", "wrong tensor|wrong formula", gaussian_with(0, lambda e, p: e / p)),
    ],
)


def kl(mu, log_var):
    return -0.5 * (1 + log_var - mu**2 - np.exp(log_var)).sum() / len(mu), (mu, log_var)


group(
    "divergence from the standard normal",
    kl,
    normal((5, 3), (5, 3)),
    [
        ("as derived", "", lambda dy, c: (dy * c[0] / 5, dy * 0.5 * np.expm1(c[1]) / 5)),
        ("−1 forgotten", "missing term", lambda dy, c: (dy * c[0] / 5, dy * 0.5 * np.exp(c[1]) / 5)),
        ("½ forgotten", "constant factor", lambda dy, c: (dy * c[0] / 5, dy * np.expm1(c[1]) / 5)),
        ("μ halved", "constant factor", lambda dy, c: (dy * 0.5 * c[0] / 5, dy * 0.5 * np.expm1(c[1]) / 5)),
        ("exp forgotten", "wrong tensor|missing term", lambda dy, c: (dy * c[0] / 5, dy * 0.5 * (c[1] - 1) / 5)),
        ("sign", "constant factor", lambda dy, c: (-dy * c[0] / 5, -dy * 0.5 * np.expm1(c[1]) / 5)),
        ("not averaged", "constant factor", lambda dy, c: (dy * c[0], dy * 0.5 * np.expm1(c[1]))),
    ],
)


# 27: dropout with a fixed mask

KEPT = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 1, 1], [1, 1, 0, 1, 1]])


class Dropout:
    def forward(self, x):
        return x * KEPT / 0.7

    def backward(self, dy):
        return dy * KEPT / 0.7


class DropoutWhere(Dropout):
    def backward(self, dy):
        return np.where(KEPT, dy / 0.7, 0.0)


class DropoutNoScale(Dropout):
    def backward(self, dy):
        return dy * KEPT


class DropoutOtherScale(Dropout):
    def backward(self, dy):
        return dy * KEPT / 0.3


class DropoutTimes(Dropout):
    def backward(self, dy):
        return dy * KEPT * 0.7


class DropoutNoMask(Dropout):
    def backward(self, dy):
        return dy / 0.7


class DropoutDropped(Dropout):
    def backward(self, dy):
        return dy * (1 - KEPT) / 0.7


class DropoutNewMask(Dropout):
    def backward(self, dy):
        return dy * (np.random.default_rng(1).random(dy.shape) < 0.7) / 0.7


class DropoutFirstMask(Dropout):
    def backward(self, dy):
        return dy * KEPT[:1] / 0.7


class DropoutInPlace(Dropout):
    def forward(self, x):
        x *= KEPT
        x /= 0.7
        return x


class DropoutDy(Dropout):
    def backward(self, dy):
        dy[KEPT == 0] = 0
        return dy / 0.7


class DropoutOfOutput(Dropout):
    def forward(self, x):
        self.y = super().forward(x)
        return self.y

    def backward(self, dy):
        self.y[KEPT == 0] = 1.0
        return dy * KEPT / 0.7


class DropoutPlain(Dropout):
    def backward(self, dy):
        return dy


class DropoutInteger(Dropout):
    def backward(self, dy):
        dx = np.zeros_like(KEPT)
        dx[:] = dy * KEPT / 0.7
        return dx


layer(
    "dropout, one mask",
    normal((3, 5)),
    [
        ("mask and scale", "", Dropout),
        ("where", "", DropoutWhere),
        ("scale forgotten", "constant factor", DropoutNoScale),
        ("scaled by what is dropped", "constant factor", DropoutOtherScale),
        ("multiplied for divided", "constant factor", DropoutTimes),
        ("mask forgotten", "wrong mask|missing term", DropoutNoMask),
        ("the dropped ones", "wrong mask", DropoutDropped),
        ("a new mask", "wrong mask", DropoutNewMask),
        ("the first sample's mask", "wrong mask", DropoutFirstMask),
        ("x masked in place", "input overwritten", DropoutInPlace),
        ("dy masked in place", "upstream overwritten", DropoutDy),
        ("output changed", "output overwritten", DropoutOfOutput),
        ("passed as at inference", "wrong mask|missing term", DropoutPlain),
        ("in an array of integers", "integer arithmetic", DropoutInteger),
    ],
)


# 28: conditioning: FiLM, adaptive instance norm, noise


def film(x, scale, shift):
    """(N, C, T) by (1 + scale) and shift of shape (N, C)."""
    return x * (1 + scale[:, :, None]) + shift[:, :, None], (x, scale)


def film_back(dy, cache):
    x, scale = cache
    return dy * (1 + scale[:, :, None]), (dy * x).sum(2), dy.sum(2)


def film_with(i, value):
    return other(i, lambda g, dy, c: value(dy, *c))(film_back)


group(
    "FiLM with 1 + scale",
    film,
    normal((3, 2, 4), (3, 2), (3, 2)),
    [
        ("sums over time", "", film_back),
        ("einsum", "", lambda dy, c: (np.einsum("nct,nc->nct", dy, 1 + c[1]), np.einsum("nct,nct->nc", dy, c[0]), np.einsum("nct->nc", dy))),
        ("1 forgotten", "missing term", film_with(0, lambda dy, x, s: dy * s[:, :, None])),
        ("dx passed", "missing term", film_with(0, lambda dy, x, s: dy.copy())),
        ("dscale by the output", "wrong tensor|extra term", film_with(1, lambda dy, x, s: (dy * x * (1 + s[:, :, None])).sum(2))),
        ("dscale averaged over time", "constant factor|wrong axis", film_with(1, lambda dy, x, s: (dy * x).mean(2))),
        ("dscale of sums", "wrong axis|extra term", film_with(1, lambda dy, x, s: dy.sum(2) * x.sum(2))),
        ("dshift over the batch", "wrong shape|wrong axis", film_with(2, lambda dy, x, s: dy.sum((0, 2)))),
        ("dshift of all samples", "wrong axis", film_with(2, lambda dy, x, s: np.tile(dy.sum((0, 2)), (3, 1)))),
        ("dshift not summed", "wrong shape", film_with(2, lambda dy, x, s: dy.copy())),
        ("dshift with the scale", "extra term", film_with(2, lambda dy, x, s: (dy * (1 + s[:, :, None])).sum(2))),
    ],
)


def adain(content, style_mean, style_std):
    xhat, inv = normalised(content, (1, 2), 1e-6)
    return xhat * style_std[:, None, None] + style_mean[:, None, None], (xhat, inv, style_std)


def adain_back(dy, cache, mean=1.0, var=1.0, scale=True):
    xhat, inv, std = cache
    g = dy * std[:, None, None] if scale else dy
    dx = inv * (g - mean * g.mean((1, 2), keepdims=True) - var * xhat * (g * xhat).mean((1, 2), keepdims=True))
    return dx, dy.sum((1, 2)), (dy * xhat).sum((1, 2))


group(
    "adaptive instance norm, (N, H, W, C)",
    adain,
    lambda rng: (4 * rng.standard_normal((2, 3, 3, 2)), rng.standard_normal((2, 2)), rng.uniform(0.3, 2, (2, 2))),
    [
        ("as derived", "", adain_back),
        ("style's scale forgotten", "missing term", lambda dy, c: adain_back(dy, c, scale=False)),
        ("statistics constant", "missing term", lambda dy, c: adain_back(dy, c, mean=0, var=0)),
        ("variance constant", "missing term", lambda dy, c: adain_back(dy, c, var=0)),
        ("dstd and dmean exchanged", "wrong tensor", lambda dy, c: (lambda g: (g[0], g[2], g[1]))(adain_back(dy, c))),
        ("dstd by the centred content", "missing term|wrong tensor", other(2, lambda g, dy, c: (dy * c[0] / c[1]).sum((1, 2)))(adain_back)),
        ("dmean averaged", "constant factor|wrong axis", other(1, lambda g, dy, c: dy.mean((1, 2)))(adain_back)),
        ("dstd none", "missing gradient", other(2, lambda g, dy, c: None)(adain_back)),
    ],
)


class Noise(Layer):
    """x + w n with a fixed picture of noise and a weight a channel, (N, C, H, W)."""

    def __init__(self):
        rng = np.random.default_rng(4)
        self.noise = [[float(v) for v in row] for row in rng.standard_normal((3, 4))]
        self.w = Parameter(rng.standard_normal(2))

    def forward(self, x):
        n = np.array(self.noise)
        return x + self.w.data[:, None, None] * n, n

    def dw(self, dy, n):
        return (dy * n).sum((0, 2, 3))

    def backward(self, dy, n):
        self.w.add_grad(self.dw(dy, n))
        return dy


class NoiseMean(Noise):
    def dw(self, dy, n):
        return (dy * n).mean((0, 2, 3))


class NoiseNone(Noise):
    def dw(self, dy, n):
        return dy.sum((0, 2, 3))


class NoiseAll(Noise):
    def dw(self, dy, n):
        return np.full(2, (dy * n).sum())


class NoiseWeighted(Noise):
    def dw(self, dy, n):
        return (dy * n).sum((0, 2, 3)) * self.w.data


class NoiseOnes(Noise):
    def dw(self, dy, n):
        return np.full(2, len(dy) * n.sum())


class NoiseDx(Noise):
    def backward(self, dy, n):
        return super().backward(dy, n) * self.w.data[:, None, None]


class NoiseSet(Noise):
    def backward(self, dy, n):
        self.w.grad = self.dw(dy, n)
        return dy


class NoiseMinus(Noise):
    def backward(self, dy, n):
        self.w.grad -= self.dw(dy, n)
        return dy


layer(
    "noise with a weight a channel",
    normal((2, 2, 3, 4)),
    [
        ("sum", "", Noise),
        ("averaged", "constant factor|wrong axis", NoiseMean),
        ("noise forgotten", "missing term", NoiseNone),
        ("of all channels", "wrong axis", NoiseAll),
        ("times its weight", "extra term", NoiseWeighted),
        ("without dy", "upstream ignored", NoiseOnes),
        ("dx by the weight", "extra term", NoiseDx),
        ("set", "assigned", NoiseSet),
        ("subtracted", "constant factor", NoiseMinus),
    ],
)


# 29: minibatch standard deviation, penalties, weights with a norm


def minibatch_std(x):
    """One more feature: the standard deviation over the batch, averaged over features."""
    mu = x.mean(0)
    sd = np.sqrt(((x - mu) ** 2).mean(0) + 1e-8)
    return np.hstack([x, np.full((len(x), 1), sd.mean())]), (x - mu, sd)


def minibatch_back(dy, cache, total=True, count=None, features=True, by_sd=True, rest=True):
    centred, sd = cache
    n, d = centred.shape
    g = dy[:, -1].sum() if total else dy[:, -1:]
    extra = g * centred / (sd if by_sd else 1) / (count or n) / (d if features else 1)
    return (dy[:, :-1] if rest else 0) + extra


group(
    "minibatch standard deviation",
    minibatch_std,
    normal((4, 3)),
    [
        ("summed", "", minibatch_back),
        ("feature left out", "missing term", lambda dy, c: dy[:, :-1].copy()),
        ("x's own left out", "missing term", lambda dy, c: minibatch_back(dy, c, rest=False)),
        ("dy of each sample its own", "wrong axis|missing term", lambda dy, c: minibatch_back(dy, c, total=False)),
        ("averaged over samples", "constant factor", lambda dy, c: dy[:, :-1] + (minibatch_back(dy, c) - dy[:, :-1]) / 4),
        ("not averaged over features", "constant factor", lambda dy, c: minibatch_back(dy, c, features=False)),
        ("not divided by σ", "missing term", lambda dy, c: minibatch_back(dy, c, by_sd=False)),
        ("2 of the square kept", "constant factor", lambda dy, c: minibatch_back(dy, c, count=2)),
        ("the feature kept", "wrong shape", lambda dy, c: np.hstack([minibatch_back(dy, c), dy[:, -1:]])),
    ],
)


def penalty(w):
    """10 (‖w‖ − 1)², the penalty of a critic that is linear, and its gradient."""
    n = np.linalg.norm(w)
    return 10 * (n - 1) ** 2, 20 * (n - 1) * w / n


def penalty_with(value):
    return lambda w: (penalty(w)[0], value(w, np.linalg.norm(w)))


losses(
    "gradient penalty of a linear critic",
    normal((3, 4)),
    [
        ("as derived", "", penalty),
        ("squares", "", penalty_with(lambda w, n: 20 * w - 20 * w / np.sqrt((w**2).sum()))),
        ("λ forgotten", "constant factor", penalty_with(lambda w, n: 2 * (n - 1) * w / n)),
        ("2 forgotten", "constant factor", penalty_with(lambda w, n: 10 * (n - 1) * w / n)),
        ("not divided by the norm", "missing term|constant factor", penalty_with(lambda w, n: 20 * (n - 1) * w)),
        ("1 forgotten", "missing term|constant factor", penalty_with(lambda w, n: 20 * w)),
        ("norm's slope forgotten", "missing term|wrong formula", penalty_with(lambda w, n: np.full(w.shape, 20 * (n - 1)))),
        ("norm of each row", "wrong axis", penalty_with(lambda w, n: 20 * (np.linalg.norm(w, axis=1, keepdims=True) - 1) * w / np.linalg.norm(w, axis=1, keepdims=True))),
        ("spectral norm", "wrong formula|wrong tensor", penalty_with(lambda w, n: 20 * (np.linalg.norm(w, 2) - 1) * w / np.linalg.norm(w, 2))),
    ],
)


def r1(x, w, v):
    """½ ‖∇ₓ D‖² of D(x) = v · tanh(x w), summed over samples, shape ()."""
    h = np.tanh(x @ w)
    g = ((1 - h * h) * v) @ w.T
    return 0.5 * (g * g).sum(), (x, w, v, h, g)


def r1_back(dy, cache, second=True, direct=True):
    x, w, v, h, g = cache
    slope = 1 - h * h
    du = dy * g @ w
    da = du * v * -2 * h * slope if second else 0 * h
    dw = x.T @ da
    if direct:
        dw = dw + dy * g.T @ (slope * v)
    return da @ w.T, dw, (du * slope).sum(0)


group(
    "R1 penalty of a small critic",
    r1,
    normal((3, 2), (2, 4), (4,)),
    [
        ("twice backwards", "", r1_back),
        ("slope a constant", "missing term", lambda dy, c: r1_back(dy, c, second=False)),
        ("dw through the slope alone", "missing term", lambda dy, c: r1_back(dy, c, direct=False)),
        ("2 of ½ kept", "constant factor", lambda dy, c: tuple(2 * g for g in r1_back(dy, c))),
        ("dv without the slope", "missing term", other(2, lambda g, dy, c: (dy * c[4] @ c[1]).sum(0))(r1_back)),
        ("dv of the first sample", "missing term", other(2, lambda g, dy, c: ((dy * c[4] @ c[1]) * (1 - c[3] ** 2))[0])(r1_back)),
    ],
)


class WeightNorm:
    """x W with the columns of W of lengths g."""

    def __init__(self):
        rng = np.random.default_rng(6)
        self.params = {"V": rng.standard_normal((3, 2)), "g": rng.uniform(0.5, 2, 2)}
        self.grads = {"V": np.zeros((3, 2)), "g": np.zeros(2)}

    def forward(self, x):
        self.x = x
        self.n = np.linalg.norm(self.params["V"], axis=0)
        self.u = self.params["V"] / self.n
        return x @ (self.u * self.params["g"])

    def dV(self, dW):
        return self.params["g"] / self.n * (dW - self.u * (dW * self.u).sum(0))

    def dg(self, dW):
        return (dW * self.u).sum(0)

    def backward(self, dy):
        dW = self.x.T @ dy
        self.grads["V"], self.grads["g"] = self.dV(dW), self.dg(dW)
        return dy @ (self.u * self.params["g"]).T


class WeightNormConstant(WeightNorm):
    def dV(self, dW):
        return self.params["g"] / self.n * dW


class WeightNormPlain(WeightNorm):
    def dV(self, dW):
        return dW


class WeightNormNoG(WeightNorm):
    def dV(self, dW):
        return super().dV(dW) / self.params["g"]


class WeightNormByV(WeightNorm):
    def dg(self, dW):
        return (dW * self.params["V"]).sum(0)


class WeightNormRows(WeightNorm):
    def dV(self, dW):
        return self.params["g"] / self.n * (dW - self.u * (dW * self.u).sum(1, keepdims=True))


class WeightNormDx(WeightNorm):
    def backward(self, dy):
        super().backward(dy)
        return dy @ self.params["V"].T


class WeightNormNoDg(WeightNorm):
    def dg(self, dW):
        return np.zeros(2)


class WeightNormOneG(WeightNorm):
    def dg(self, dW):
        return np.full(2, (dW * self.u).sum())


layer(
    "weight normalisation",
    normal((4, 3)),
    [
        ("projected", "", WeightNorm),
        ("norm a constant", "missing term", WeightNormConstant),
        ("dW for dV", "missing term", WeightNormPlain),
        ("g forgotten in dV", "missing term|constant factor", WeightNormNoG),
        ("dg by V", "wrong tensor|missing term", WeightNormByV),
        ("sum over the columns", "wrong axis", WeightNormRows),
        ("dx by V", "wrong tensor|missing term", WeightNormDx),
        ("dg zero", "missing gradient", WeightNormNoDg),
        ("dg of all columns", "wrong axis", WeightNormOneG),
    ],
)


# 30: small things that are easily written and easily wrong


def clipped(x, low=-0.6, high=1.1):
    return np.clip(x, low, high), (x, low, high)


group(
    "clipping",
    clipped,
    scaled(2.0, (4, 5)),
    [
        ("both bounds", "", lambda dy, c: dy * ((c[0] > c[1]) & (c[0] < c[2]))),
        ("in place on a copy", "", lambda dy, c: np.where(c[0] < c[1], 0, np.where(c[0] > c[2], 0, dy))),
        ("upper bound forgotten", "wrong mask", lambda dy, c: dy * (c[0] > c[1])),
        ("or for and", "wrong mask", lambda dy, c: dy * ((c[0] > c[1]) | (c[0] < c[2]))),
        ("dy clipped", "wrong mask|wrong tensor", lambda dy, c: np.clip(dy, c[1], c[2])),
        ("outside", "wrong mask", lambda dy, c: dy * ((c[0] < c[1]) | (c[0] > c[2]))),
        ("divided by itself", "not finite", lambda dy, c: dy * np.where((c[0] > c[1]) & (c[0] < c[2]), c[0], 0) / np.where((c[0] > c[1]) & (c[0] < c[2]), c[0], 0)),
    ],
)


def safe_log(x):
    return np.where(x > 0, np.log(np.where(x > 0, x, 1)), 0.0), x


group(
    "logarithm where positive",
    safe_log,
    normal((3, 6)),
    [
        ("where twice", "", lambda dy, x: np.where(x > 0, dy / np.where(x > 0, x, 1), 0)),
        ("1/x everywhere", "wrong mask|missing term", lambda dy, x: dy / x),
        ("mask times 1/0", "not finite", lambda dy, x: (x > 0) * dy / np.maximum(x, 0)),
        ("x for 1/x", "wrong formula", lambda dy, x: dy * np.maximum(x, 0)),
    ],
)


def root(x):
    return np.sqrt(x)


group(
    "square root, output alone",
    root,
    uniform(0.01, 100.0, (3, 3)),
    [
        ("by y", "", lambda dy, y: 0.5 * dy / y),
        ("by x", "", lambda dy, x: dy * 0.5 * x**-0.5),
        ("½ forgotten", "constant factor", lambda dy, y: dy / y),
        ("by x, not its root", "wrong tensor|wrong formula", lambda dy, x: 0.5 * dy / x),
        ("times y", "wrong formula", lambda dy, y: 0.5 * dy * y),
    ],
)


def maxout(x):
    v = x.reshape(len(x), -1, 3)
    return v.max(2), v


group(
    "maxout of three",
    maxout,
    scaled(1e-3, (4, 6)),
    [
        ("one-hot of argmax", "", lambda dy, v: (np.eye(3)[v.argmax(2)] * dy[..., None]).reshape(4, 6)),
        ("first piece", "wrong mask", lambda dy, v: (np.eye(3)[0 * v.argmax(2)] * dy[..., None]).reshape(4, 6)),
        ("shared among pieces", "wrong mask|wrong formula", lambda dy, v: np.repeat(dy, 3, axis=1) / 3),
        ("pieces laid out apart", "transposed|wrong axis", lambda dy, v: (np.eye(3)[v.argmax(2)] * dy[..., None]).swapaxes(1, 2).reshape(4, 6)),
        ("times the value", "extra term", lambda dy, v: (np.eye(3)[v.argmax(2)] * dy[..., None] * v).reshape(4, 6)),
    ],
)


def outer_sum(a, b, c):
    return a[:, None] * b[None, :] + c, (a, b)


def outer_back(dy, cache):
    a, b = cache
    return dy @ b, a @ dy, dy.sum()


group(
    "outer product and a number",
    outer_sum,
    lambda rng: (rng.standard_normal(4), rng.standard_normal(4), np.array(0.3)),
    [
        ("matrix products", "", outer_back),
        ("dy turned for a", "transposed", other(0, lambda g, dy, c: dy.T @ c[1])(outer_back)),
        ("dy turned for b", "transposed", other(1, lambda g, dy, c: dy @ c[0])(outer_back)),
        ("a for b", "wrong tensor", other(0, lambda g, dy, c: dy @ c[0])(outer_back)),
        ("dc a mean", "constant factor", other(2, lambda g, dy, c: dy.mean())(outer_back)),
        ("dc a row", "wrong shape", other(2, lambda g, dy, c: dy.sum(0))(outer_back)),
        ("da by sums", "wrong axis|extra term", other(0, lambda g, dy, c: dy.sum(1) * c[1].sum())(outer_back)),
    ],
)


class Affine2d(Layer):
    """A scale and a shift a channel, (N, C, H, W), with its cache where it belongs."""

    def __init__(self):
        self.scale = Parameter(np.array([0.7, -1.3, 2.0]))
        self.shift = Parameter(np.array([0.0, 0.5, -0.5]))

    def forward(self, x):
        return x * self.scale.data.reshape(1, 3, 1, 1) + self.shift.data.reshape(1, 3, 1, 1), x

    def backward(self, dy, x):
        self.scale.add_grad((dy * x).sum((0, 2, 3)))
        self.shift.add_grad(dy.sum((0, 2, 3)))
        return dy * self.scale.data.reshape(1, 3, 1, 1)


class Affine2dFloat(Affine2d):
    def backward(self, dy, x):
        return super().backward(dy.astype(np.float32), x.astype(np.float32)).astype(np.float64)


class Affine2dWhole(Affine2d):
    def backward(self, dy, x):
        dx = super().backward(dy, x)
        self.scale.grad = self.scale.grad + (dy * x).sum((0, 2, 3))
        return dx


class Affine2dHidden(Affine2d):
    def forward(self, x):
        self.last = x
        return super().forward(x)[0], None

    def backward(self, dy, cache):
        return super().backward(dy, self.last)


class Affine2dSet(Affine2d):
    def backward(self, dy, x):
        self.scale.grad = (dy * x).sum((0, 2, 3))
        self.shift.grad = dy.sum((0, 2, 3))
        return dy * self.scale.data.reshape(1, 3, 1, 1)


class Affine2dNothing(Affine2d):
    def backward(self, dy, x):
        (dy * x).sum((0, 2, 3))
        self.shift.add_grad(dy.sum((0, 2, 3)))
        return dy * self.scale.data.reshape(1, 3, 1, 1)


class Affine2dNone(Affine2d):
    def backward(self, dy, x):
        self.scale.add_grad((dy * x).sum((0, 2, 3)))
        self.shift.add_grad(dy.sum((0, 2, 3)))


class Affine2dPixels(Affine2d):
    def backward(self, dy, x):
        self.scale.add_grad((dy * x).sum((1, 2, 3)))
        self.shift.add_grad(dy.sum((0, 2, 3)))
        return dy * self.scale.data.reshape(1, 3, 1, 1)


class Affine2dLast(Affine2d):
    """Scale along the width: as many columns as channels."""

    def backward(self, dy, x):
        super().backward(dy, x)
        return dy * self.scale.data


layer(
    "scale and shift of channels",
    normal((3, 3, 2, 3)),
    [
        ("sums", "", Affine2d),
        ("in single precision", "float32", Affine2dFloat),
        ("dscale counted twice", "constant factor|extra term", Affine2dWhole),
        ("cache on the layer", "shared cache", Affine2dHidden),
        ("set", "assigned", Affine2dSet),
        ("dscale computed, not kept", "missing gradient", Affine2dNothing),
        ("returns nothing", "missing gradient", Affine2dNone),
        ("dscale over the channels", "wrong axis", Affine2dPixels),
        ("dx scaled along the width", "wrong axis", Affine2dLast),
    ],
)


# right, in ways of their own


def two_outputs(x):
    return np.array([x.sum(), (x**2).sum()]), x


def stats(x, w):
    """A dictionary for the cache, a list of gradients."""
    m = x.mean(0)
    return (m * w).sum(keepdims=True), {"m": m, "w": w, "n": len(x)}


def chain(x, a, b):
    return np.exp(-((x - a) ** 2) / b**2), {"x": x, "a": a, "b": b}


def chain_back(dy, cache):
    x, a, b = cache["x"], cache["a"], cache["b"]
    y = np.exp(-((x - a) ** 2) / b**2)
    da = 2 * (x - a) / b**2 * y * dy
    return {"dx": -da, "da": da.sum(0), "db": (2 * (x - a) ** 2 / b**3 * y * dy).sum(0)}


for _name, _forward, _arguments, _backward in (
    ("two sums", two_outputs, normal((3, 3)), lambda dy, x: dy[0] + 2 * dy[1] * x),
    ("means with weights", stats, normal((5, 3), (3,)), lambda dy, cache: [np.tile(dy * cache["w"] / cache["n"], (cache["n"], 1)), dy * cache["m"]]),
    ("radial basis", chain, lambda rng: (rng.standard_normal((4, 3)), rng.standard_normal(3), rng.uniform(0.5, 2, 3)), chain_back),
    ("roll", lambda x: np.roll(x, 2, axis=1), normal((3, 5)), lambda dy: np.roll(dy, -2, axis=1)),
    ("trace of a product", lambda a, b: (np.trace(a @ b), (a, b)), normal((3, 4), (4, 3)), lambda dy, cache: (dy * cache[1].T, dy * cache[0].T)),
    ("log-determinant", lambda a: (np.linalg.slogdet(a @ a.T + np.eye(3))[1], a), normal((3, 3)), lambda dy, a: 2 * dy * np.linalg.inv(a @ a.T + np.eye(3)) @ a),
    ("harmonic mean", lambda x: (len(x) / (1 / x).sum(0), x), uniform(0.5, 3, (4, 2)), lambda dy, x: dy * len(x) / (1 / x).sum(0) ** 2 / x**2),
    ("gather and scatter", lambda x: x[:, [3, 0, 3, 1]], normal((2, 4)), lambda dy: np.stack([dy[:, 1], dy[:, 3], 0 * dy[:, 0], dy[:, 0] + dy[:, 2]], 1)),
    ("a view of dy", lambda x: x.transpose(2, 0, 1), normal((2, 3, 4)), lambda dy: dy.transpose(1, 2, 0)),
    ("moving average", lambda x: np.convolve(x, [0.25, 0.5, 0.25], "valid"), scaled(1e3, (9,)), lambda dy: np.convolve(dy, [0.25, 0.5, 0.25], "full")),
    ("hard sigmoid", lambda x: (np.clip(0.2 * x + 0.5, 0, 1), x), scaled(3.0, (4, 4)), lambda dy, x: 0.2 * dy * (np.abs(x) < 2.5)),
    ("median of five", lambda x: (np.median(x, axis=1), x), normal((4, 5)), lambda dy, x: (x == np.median(x, axis=1, keepdims=True)) * dy[:, None]),
    ("gradient by columns of the identity", lambda x, w: (np.sin(x) @ w, (x, w)), normal((2, 3), (3, 2)), lambda dy, c: (np.cos(c[0]) * (dy @ c[1].T), np.stack([np.sin(c[0]).T @ dy[:, j] for j in range(2)], 1))),
):
    group("in its own way: " + _name, _forward, _arguments, [("right", "", _backward)])

NINTH = ROWS[_before:]
del ROWS[_before:]
