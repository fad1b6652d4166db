"""The eighth set: what students of many habits hand in, and people write for projects of their own.

Written without looking at the diagnosis, without measuring, and kept back; scored by the rule of
``third.py``.  Each right row was compared with central differences of its own, and each wrong one
seen to be wrong by them, or by what it does to its surroundings.
"""

# ruff: noqa: E501 (a row a line)
# fmt: off
from math import erf

import numpy as np

from specimens.sixth import put, sig, softmax, swap
from specimens.table import ROWS, group, layer, normal, uniform
from tinygan import Layer, Parameter

_before = len(ROWS)


# 1: linear layers as classes, with dictionaries of parameters and gradients


class Dense:
    def __init__(self):
        rng = np.random.default_rng(1)
        self.params = {"W": rng.standard_normal((4, 4)), "b": rng.standard_normal(4)}
        self.grads = {name: np.zeros_like(p) for name, p in self.params.items()}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dy):
        self.grads["W"] = self.x.T @ dy
        self.grads["b"] = dy.sum(axis=0)
        return dy @ self.params["W"].T


class DenseEinsum(Dense):
    def backward(self, dy):
        self.grads["W"] = np.einsum("ni,no->io", self.x, dy)
        self.grads["b"] = np.einsum("no->o", dy)
        return np.einsum("no,io->ni", dy, self.params["W"])


class DenseEinsumLetters(DenseEinsum):
    def backward(self, dy):
        super().backward(dy)
        return np.einsum("no,oi->ni", dy, self.params["W"])


class DenseBiasForgotten(Dense):
    def backward(self, dy):
        self.grads["W"] = self.x.T @ dy
        return dy @ self.params["W"].T


class DenseMeanOfBatch(Dense):
    def backward(self, dy):
        n = self.x.shape[0]
        self.grads["W"] = self.x.T @ dy / n
        self.grads["b"] = dy.sum(axis=0) / n
        return dy @ self.params["W"].T


class DenseMeanBias(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["b"] = dy.mean(axis=0)
        return dx


class DenseThroughGradient(Dense):
    def backward(self, dy):
        super().backward(dy)
        return dy @ self.grads["W"].T


class DenseDecay(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["W"] = self.grads["W"] + 0.1 * self.params["W"]
        return dx


class DenseTurned(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["W"] = dy.T @ self.x
        return dx


class DenseTotalBias(Dense):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["b"] = np.full(4, dy.sum())
        return dx


layer(
    "dense, params and grads",
    normal((5, 4)),
    [
        ("matrices", "", Dense),
        ("einsum", "", DenseEinsum),
        ("einsum, indices of W exchanged", "transposed", DenseEinsumLetters),
        ("bias stays zero", "missing gradient", DenseBiasForgotten),
        ("averaged over the batch", "constant factor", DenseMeanOfBatch),
        ("bias averaged", "constant factor", DenseMeanBias),
        ("dx through the gradient of W", "wrong tensor", DenseThroughGradient),
        ("weight decay that is not in the loss", "extra term", DenseDecay),
        ("dW turned", "transposed", DenseTurned),
        ("db over both axes", "wrong axis", DenseTotalBias),
    ],
)


# 2: affine and ReLU in one, pictures flattened


def affine_relu(x, w, b):
    a = x.reshape(x.shape[0], -1) @ w + b
    return np.maximum(a, 0), (x, w, b, a)


def through(da, x, w):
    flat = x.reshape(x.shape[0], -1)
    return (da @ w.T).reshape(x.shape), flat.T @ da, da.sum(axis=0)


def affine_relu_back(dout, cache):
    x, w, _, a = cache
    return through(dout * (a > 0), x, w)


def affine_relu_where(dout, cache):
    x, w, _, a = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1])
    for n in range(x.shape[0]):
        da = np.where(a[n] > 0, dout[n], 0)
        dx[n] = (w @ da).reshape(x.shape[1:])
        dw += np.outer(x[n], da)
        db += da
    return dx, dw, db


def affine_relu_in_place(dout, cache):
    x, w, _, a = cache
    dout[a <= 0] = 0
    return through(dout, x, w)


def affine_relu_wrong_side(dout, cache):
    x, w, _, a = cache
    da = dout.copy()
    da[a > 0] = 0
    return through(da, x, w)


def affine_relu_no_bias(dout, cache):
    x, w, _, _ = cache
    return through(dout * (x.reshape(len(x), -1) @ w > 0), x, w)


def affine_relu_after(dout, cache):
    x, w, _, _ = cache
    dx, dw, db = through(dout, x, w)
    return dx * (x > 0), dw, db


def affine_relu_only_dx(dout, cache):
    x, w, _, a = cache
    return put(through(dout, x, w), 0, through(dout * (a > 0), x, w)[0])


def affine_relu_by_a(dout, cache):
    x, w, _, a = cache
    return through(dout * np.maximum(a, 0), x, w)


group(
    "affine and ReLU",
    affine_relu,
    normal((4, 2, 3), (6, 6), (6,)),
    [
        ("mask", "", affine_relu_back),
        ("a sample at a time", "", affine_relu_where),
        ("dout masked in place", "upstream overwritten", affine_relu_in_place),
        ("zero where a is positive", "wrong mask", affine_relu_wrong_side),
        ("mask without the bias", "wrong mask", affine_relu_no_bias),
        ("mask of x, after the product", "wrong mask", affine_relu_after),
        ("mask only for dx", "wrong mask|missing term", affine_relu_only_dx),
        ("times the output, not its sign", "extra term|wrong mask|wrong tensor", affine_relu_by_a),
        ("w not transposed", "transposed", lambda dout, c: put(affine_relu_back(dout, c), 0, ((dout * (c[3] > 0)) @ c[1]).reshape(c[0].shape))),
        ("dw without the mask", "wrong mask|missing term", lambda dout, c: put(affine_relu_back(dout, c), 1, through(dout, c[0], c[1])[1])),
    ],
)


# 3: a neuron layer with tanh, all in loops


def neurons(x, w, b):
    a = np.zeros((len(x), len(b)))
    for n in range(len(x)):
        for j in range(len(b)):
            a[n, j] = np.tanh(sum(x[n, i] * w[i, j] for i in range(x.shape[1])) + b[j])
    return a, (x, w, a)


def neurons_loop(dy, cache):
    x, w, a = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1])
    for n in range(len(x)):
        for j in range(w.shape[1]):
            delta = dy[n, j] * (1 - a[n, j] ** 2)
            db[j] += delta
            for i in range(x.shape[1]):
                dx[n, i] += delta * w[i, j]
                dw[i, j] += delta * x[n, i]
    return dx, dw, db


def neurons_dx_set(dy, cache):
    x, w, a = cache
    dx = np.zeros_like(x)
    for n in range(len(x)):
        for j in range(w.shape[1]):
            for i in range(x.shape[1]):
                dx[n, i] = dy[n, j] * (1 - a[n, j] ** 2) * w[i, j]
    return put(neurons_loop(dy, cache), 0, dx)


def neurons_dw_set(dy, cache):
    x, w, a = cache
    dw, db = np.zeros_like(w), np.zeros(w.shape[1])
    for n in range(len(x)):
        for j in range(w.shape[1]):
            db[j] += dy[n, j] * (1 - a[n, j] ** 2)
            dw[:, j] = dy[n, j] * (1 - a[n, j] ** 2) * x[n]
    return put(neurons_loop(dy, cache), 1, dw)


def neurons_one_short(dy, cache):
    x, w, a = cache
    delta = dy * (1 - a**2)
    dw, db = np.zeros_like(w), np.zeros(w.shape[1])
    for n in range(len(x) - 1):
        dw += np.outer(x[n], delta[n])
        db += delta[n]
    return delta @ w.T, dw, db


def neurons_delta(slope):
    def back(dy, cache):
        x, w, a = cache
        delta = dy * slope(a)
        return delta @ w.T, x.T @ delta, delta.sum(0)

    return back


def neurons_at_z(dy, cache):
    x, w, a = cache
    delta = dy * (1 - np.tanh(a) ** 2)
    return delta @ w.T, x.T @ delta, delta.sum(0)


def neurons_integer(dy, cache):
    dx, dw, _ = neurons_loop(dy, cache)
    db = np.zeros(dw.shape[1], dtype=int)
    for d in dy * (1 - cache[2] ** 2):
        for j in range(len(db)):
            db[j] += d[j]
    return dx, dw, db


group(
    "neurons with tanh",
    neurons,
    normal((3, 4), (4, 3), (3,)),
    [
        ("loops", "", neurons_loop),
        ("matrices", "", neurons_delta(lambda a: 1 - a * a)),
        ("(1 − a)(1 + a)", "", neurons_delta(lambda a: (1 - a) * (1 + a))),
        ("dx set in the inner loop", "assigned|missing term", neurons_dx_set),
        ("dw set in the loop over samples", "assigned|missing term", neurons_dw_set),
        ("last sample left out", "missing term", neurons_one_short),
        ("slope 1", "missing term", neurons_delta(lambda a: np.ones_like(a))),
        ("a for a²", "missing term", neurons_delta(lambda a: 1 - a)),
        ("sigmoid's slope", "wrong formula", neurons_delta(lambda a: a * (1 - a))),
        ("1 + a²", "constant factor", neurons_delta(lambda a: 1 + a * a)),
        ("tanh of the output", "wrong tensor|extra term", neurons_at_z),
        ("db in whole numbers", "integer arithmetic", neurons_integer),
    ],
)


# 4: a logistic layer, einsum throughout


def logistic(x, w):
    s = sig(np.einsum("bi,io->bo", x, w))
    return s, (x, w, s)


def logistic_back(dy, cache, slope=lambda s: s * (1 - s), dx="bo,io->bi", dw="bi,bo->io"):
    x, w, s = cache
    dz = dy * slope(s)
    return np.einsum(dx, dz, w), np.einsum(dw, x, dz)


group(
    "logistic layer",
    logistic,
    normal((3, 4), (4, 4)),
    [
        ("einsum", "", logistic_back),
        ("W's indices exchanged", "transposed", lambda dy, c: logistic_back(dy, c, dx="bo,oi->bi")),
        ("dw's indices exchanged", "transposed", lambda dy, c: logistic_back(dy, c, dw="bi,bo->oi")),
        ("two letters for the batch", "wrong axis|extra term", lambda dy, c: logistic_back(dy, c, dw="bi,co->io")),
        ("only s", "missing term", lambda dy, c: logistic_back(dy, c, slope=lambda s: s)),
        ("only 1 − s", "missing term", lambda dy, c: logistic_back(dy, c, slope=lambda s: 1 - s)),
        ("sigmoid twice", "wrong tensor|extra term", lambda dy, c: logistic_back(dy, c, slope=lambda s: sig(s) * (1 - sig(s)))),
        ("slope with a plus", "constant factor", lambda dy, c: logistic_back(dy, c, slope=lambda s: s * (1 + s))),
        ("tanh's slope", "wrong formula", lambda dy, c: logistic_back(dy, c, slope=lambda s: 1 - s * s)),
        ("gradients exchanged", "wrong shape|wrong tensor", lambda dy, c: logistic_back(dy, c)[::-1]),
    ],
)


# 5: activations as classes that keep what they need


class Sigmoid:
    def forward(self, x):
        self.x = x
        self.out = sig(x)
        return self.out

    def backward(self, grad):
        return grad * self.out * (1 - self.out)


class SigmoidExp(Sigmoid):
    def backward(self, grad):
        e = np.exp(-self.x)
        return grad * e / (1 + e) ** 2


class SigmoidOfInput(Sigmoid):
    def backward(self, grad):
        return grad * self.x * (1 - self.x)


class SigmoidNoGrad(Sigmoid):
    def backward(self, grad):
        return self.out * (1 - self.out)


class SigmoidNoSquare(Sigmoid):
    def backward(self, grad):
        e = np.exp(-self.x)
        return grad * e / (1 + e)


class SigmoidSign(Sigmoid):
    def backward(self, grad):
        return grad * self.out * (self.out - 1)


class SigmoidOfGrad(Sigmoid):
    def backward(self, grad):
        return sig(grad) * (1 - sig(grad))


class SigmoidPrecedence(Sigmoid):
    def backward(self, grad):
        return grad * self.out * 1 - self.out


layer(
    "sigmoid class",
    normal((4, 3)),
    [
        ("of the output", "", Sigmoid),
        ("of the input", "", SigmoidExp),
        ("input for output", "wrong tensor", SigmoidOfInput),
        ("grad not used", "upstream ignored", SigmoidNoGrad),
        ("denominator not squared", "missing term", SigmoidNoSquare),
        ("s(s − 1)", "constant factor", SigmoidSign),
        ("sigmoid's slope of grad", "wrong tensor|upstream ignored", SigmoidOfGrad),
        ("parentheses forgotten", "wrong formula", SigmoidPrecedence),
    ],
)


class Tanh:
    def forward(self, x):
        self.x, self.y = x, np.tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y**2)


class TanhCosh(Tanh):
    def backward(self, dy):
        return dy / np.cosh(self.x) ** 2


class TanhOfInput(Tanh):
    def backward(self, dy):
        return dy * (1 - self.x**2)


class TanhCoshOnce(Tanh):
    def backward(self, dy):
        return dy / np.cosh(self.x)


class TanhDySquared(Tanh):
    def backward(self, dy):
        return 1 - (dy * self.y) ** 2


class TanhHalf(Tanh):
    def backward(self, dy):
        return 0.5 * dy * (1 - self.y**2)


class TanhInverse(Tanh):
    def backward(self, dy):
        return dy / (1 - self.y**2)


class TanhSquare(Tanh):
    def backward(self, dy):
        return dy * (1 - self.y) ** 2


layer(
    "tanh class",
    normal((3, 5)),
    [
        ("1 − y²", "", Tanh),
        ("1/cosh²", "", TanhCosh),
        ("1 − x²", "wrong tensor", TanhOfInput),
        ("1/cosh", "missing term", TanhCoshOnce),
        ("1 − (dy·y)²", "wrong formula", TanhDySquared),
        ("halved, as if a scaled sigmoid", "constant factor", TanhHalf),
        ("inverse function's slope", "wrong formula", TanhInverse),
        ("(1 − y)²", "wrong formula", TanhSquare),
    ],
)

SCALE, SLOPE = 1.7159, 2 / 3

group(
    "LeCun's tanh",
    lambda x: (SCALE * np.tanh(SLOPE * x), x),
    normal((4, 4)),
    [
        ("chain rule", "", lambda dy, x: dy * SCALE * SLOPE * (1 - np.tanh(SLOPE * x) ** 2)),
        ("inner slope forgotten", "constant factor|missing term", lambda dy, x: dy * SCALE * (1 - np.tanh(SLOPE * x) ** 2)),
        ("outer scale forgotten", "constant factor|missing term", lambda dy, x: dy * SLOPE * (1 - np.tanh(SLOPE * x) ** 2)),
        ("1 − y² with the scaled y", "wrong tensor|constant factor", lambda dy, x: dy * SCALE * SLOPE * (1 - (SCALE * np.tanh(SLOPE * x)) ** 2)),
        ("tanh of x alone", "missing term|constant factor", lambda dy, x: dy * SCALE * SLOPE * (1 - np.tanh(x) ** 2)),
    ],
)


# 6: softmax, alone


def soft(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    p = e / e.sum(axis=1, keepdims=True)
    return p, (p, e)


def soft_rows(dy, cache):
    p, _ = cache
    dx = np.empty_like(p)
    for n in range(len(p)):
        jacobian = np.diag(p[n]) - np.outer(p[n], p[n])
        dx[n] = jacobian @ dy[n]
    return dx


def soft_loops(dy, cache, same=lambda p: p * (1 - p), other=lambda p, q: -p * q, add=True):
    p, _ = cache
    dx = np.zeros_like(p)
    for n in range(len(p)):
        for i in range(p.shape[1]):
            for j in range(p.shape[1]):
                d = dy[n, j] * (same(p[n, i]) if i == j else other(p[n, i], p[n, j]))
                dx[n, i] = dx[n, i] + d if add else d
    return dx


def soft_einsum(dy, cache):
    p, _ = cache
    jacobian = np.einsum("ni,ij->nij", p, np.eye(p.shape[1])) - np.einsum("ni,nj->nij", p, p)
    return np.einsum("nij,nj->ni", jacobian, dy)


group(
    "softmax layer",
    soft,
    normal((4, 4)),
    [
        ("a Jacobian a row", "", soft_rows),
        ("loops", "", soft_loops),
        ("einsum", "", soft_einsum),
        ("i ≠ j forgotten", "missing term", lambda dy, c: soft_loops(dy, c, other=lambda p, q: 0)),
        ("i = j like the others", "missing term", lambda dy, c: soft_loops(dy, c, same=lambda p: -p * p)),
        ("sign for i ≠ j", "constant factor", lambda dy, c: soft_loops(dy, c, other=lambda p, q: p * q)),
        ("pᵢ(1 − pⱼ) everywhere", "extra term|wrong mask", lambda dy, c: soft_loops(dy, c, other=lambda p, q: p * (1 - q))),
        ("set in the inner loop", "assigned|missing term", lambda dy, c: soft_loops(dy, c, add=False)),
        ("Jacobian's sum over the samples", "wrong axis", lambda dy, c: c[0] * (dy - (dy * c[0]).sum(0))),
        ("keepdims forgotten", "wrong axis|transposed", lambda dy, c: c[0] * (dy - (dy * c[0]).sum(1))),
        ("exponentials not normalised", "missing term|wrong tensor", lambda dy, c: c[1] * (dy - (dy * c[0]).sum(1, keepdims=True))),
        ("as if behind cross entropy", "wrong formula", lambda dy, c: c[0] - dy),
        ("p's own gradient", "missing term", lambda dy, c: c[0] * dy),
    ],
)


# 7: losses as functions that return the loss and its gradient

LABELS = np.array([2, 0, 1, 1, 0])


def cross_entropy(write):
    """Return a loss function whose gradient is ``write(p, scores)``."""

    def loss(scores):
        p = softmax(scores)
        n = len(scores)
        return -np.log(p[np.arange(n), LABELS]).sum() / n, write(p, scores)

    return lambda: loss


def ce_minus_one(p, scores):
    d = p.copy()
    d[np.arange(len(p)), LABELS] -= 1
    return d / len(p)


def ce_one_hot(p, scores):
    return (p - np.eye(p.shape[1])[LABELS]) / len(p)


def ce_columns(p, scores):
    d = p.copy()
    d[:, LABELS] -= 1
    return d / len(p)


def ce_one_sample(p, scores):
    d = np.zeros_like(p)
    for n, label in enumerate(LABELS):
        d = p.copy()
        d[n, label] -= 1
    return d / len(p)


def ce_of_p(p, scores):
    d = np.zeros_like(p)
    rows = np.arange(len(p))
    d[rows, LABELS] = -1 / p[rows, LABELS]
    return d / len(p)


def ce_true_class(p, scores):
    d = np.zeros_like(p)
    rows = np.arange(len(p))
    d[rows, LABELS] = p[rows, LABELS] - 1
    return d / len(p)


def ce_set_to_minus_one(p, scores):
    d = p.copy()
    d[np.arange(len(p)), LABELS] = -1
    return d / len(p)


def ce_over_the_batch(p, scores):
    e = np.exp(scores)
    return (e / e.sum(axis=0) - np.eye(4)[LABELS]) / len(p)


def ce_normalised_total(p, scores):
    e = np.exp(scores)
    return (e / e.sum() - np.eye(4)[LABELS]) / len(p)


layer(
    "cross entropy of scores",
    normal((5, 4)),
    [
        ("minus one at the label", "", cross_entropy(ce_minus_one)),
        ("one-hot", "", cross_entropy(ce_one_hot)),
        ("columns of the labels", "wrong mask|extra term", cross_entropy(ce_columns)),
        ("d started anew for each sample", "assigned|missing term", cross_entropy(ce_one_sample)),
        ("softmax's Jacobian forgotten", "missing term", cross_entropy(ce_of_p)),
        ("true class alone", "wrong mask|missing term", cross_entropy(ce_true_class)),
        ("−1 set, not subtracted", "assigned|missing term", cross_entropy(ce_set_to_minus_one)),
        ("softmax over the batch", "wrong axis", cross_entropy(ce_over_the_batch)),
        ("softmax over everything", "wrong axis", cross_entropy(ce_normalised_total)),
        ("scores for p", "wrong tensor", cross_entropy(lambda p, s: (s - np.eye(4)[LABELS]) / len(p))),
        ("label's term forgotten", "missing term", cross_entropy(lambda p, s: p / len(p))),
        ("not averaged", "constant factor", cross_entropy(lambda p, s: ce_one_hot(p, s) * len(p))),
        ("averaged over classes too", "constant factor", cross_entropy(lambda p, s: ce_one_hot(p, s) / 4)),
        ("label minus p", "constant factor", cross_entropy(lambda p, s: -ce_one_hot(p, s))),
        ("times p(1 − p) again", "extra term", cross_entropy(lambda p, s: ce_one_hot(p, s) * p * (1 - p))),
        ("1 subtracted everywhere", "wrong mask|extra term", cross_entropy(lambda p, s: (p - 1) / len(p))),
    ],
)


def in_place_entropy(scores):
    scores -= scores.max(axis=1, keepdims=True)
    p = np.exp(scores)
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(p))
    loss = -np.log(p[rows, LABELS]).mean()
    p[rows, LABELS] -= 1
    return loss, p / len(p)


def smoothed_entropy(hard, ignore=False):
    def loss(scores):
        p = softmax(scores)
        q = np.full(p.shape, 0.1 / 4)
        q[np.arange(5), LABELS] += 0.9
        return -(q * np.log(p)).sum(1).mean(), (p - (np.eye(4)[LABELS] * (0.9 if ignore else 1) if hard else q)) / 5

    return lambda: loss


layer(
    "cross entropy, other ways",
    normal((5, 4)),
    [
        ("scores shifted in place", "input overwritten", lambda: in_place_entropy),
        ("smoothed labels", "", smoothed_entropy(False)),
        ("smoothed, gradient of hard labels", "wrong tensor", smoothed_entropy(True)),
        ("smoothed, ε/K forgotten in the gradient", "missing term", smoothed_entropy(True, ignore=True)),
    ],
)


# 8: a multiclass SVM as in a course on vision, loss and gradient of W

PICTURES = np.random.default_rng(11).standard_normal((8, 4))
KINDS = np.array([0, 2, 1, 1, 0, 2, 2, 1])
REG = 0.05


def svm(own=1.0, counted=None, once=False, averaged=True, reg=2.0, margin_in_mask=1.0, add=True):
    def loss(W):
        total, dW = 0.0, np.zeros_like(W)
        n = len(PICTURES)
        for i in range(n):
            scores = PICTURES[i] @ W
            for j in range(W.shape[1]):
                if j == KINDS[i]:
                    continue
                margin = scores[j] - scores[KINDS[i]] + 1
                if margin > 0:
                    total += margin
                if counted is not None or margin > 1 - margin_in_mask:
                    dW[:, j] = dW[:, j] + PICTURES[i] if add else PICTURES[i]
                    if not once:
                        dW[:, KINDS[i]] -= own * PICTURES[i]
            if once:
                dW[:, KINDS[i]] -= PICTURES[i]
        return total / n + REG * (W * W).sum(), (dW / n if averaged else dW) + reg * REG * W

    return lambda: loss


def svm_vectors(W):
    scores = PICTURES @ W
    rows = np.arange(len(PICTURES))
    margins = np.maximum(0, scores - scores[rows, KINDS][:, None] + 1)
    margins[rows, KINDS] = 0
    hit = (margins > 0).astype(float)
    hit[rows, KINDS] = -hit.sum(axis=1)
    return margins.sum() / len(rows) + REG * (W * W).sum(), PICTURES.T @ hit / len(rows) + 2 * REG * W


def svm_by_margins(W):
    scores = PICTURES @ W
    rows = np.arange(len(PICTURES))
    margins = np.maximum(0, scores - scores[rows, KINDS][:, None] + 1)
    margins[rows, KINDS] = 0
    d = margins.copy()
    d[rows, KINDS] = -d.sum(axis=1)
    return margins.sum() / len(rows) + REG * (W * W).sum(), PICTURES.T @ d / len(rows) + 2 * REG * W


layer(
    "multiclass SVM",
    lambda rng: (2 * rng.standard_normal((4, 3)),),
    [
        ("loops", "", svm()),
        ("vectors", "", lambda: svm_vectors),
        ("own class forgotten", "missing term", svm(own=0)),
        ("own class with a plus", "constant factor", svm(own=-1)),
        ("own class once a picture", "missing term", svm(once=True)),
        ("all margins counted", "wrong mask", svm(counted=True)),
        ("mask without the margin of 1", "wrong mask", svm(margin_in_mask=0)),
        ("gradient not averaged", "constant factor", svm(averaged=False)),
        ("2 of the regularisation forgotten", "constant factor", svm(reg=1)),
        ("regularisation forgotten", "missing term", svm(reg=0)),
        ("columns set, not added to", "assigned|missing term", svm(add=False)),
        ("margins for their signs", "extra term|wrong mask|wrong tensor", lambda: svm_by_margins),
    ],
)

SIGNS = np.array([1.0, -1, -1, 1, 1, -1, -1, 1, -1, 1])


class Hinge:
    def forward(self, s):
        self.s = s
        return np.mean(np.maximum(0, 1 - SIGNS * s))

    def backward(self):
        return np.where(SIGNS * self.s < 1, -SIGNS, 0) / len(self.s)


def hinge(write):
    """Return a hinge loss whose backward pass is ``write(s)``."""
    return type("Hinge", (Hinge,), {"backward": lambda self: write(self.s)})


layer(
    "hinge loss of two classes",
    lambda rng: (2 * rng.standard_normal(10),),
    [
        ("where", "", Hinge),
        ("mask times", "", hinge(lambda s: -SIGNS * (1 - SIGNS * s > 0) / 10)),
        ("minus forgotten", "constant factor", hinge(lambda s: SIGNS * (SIGNS * s < 1) / 10)),
        ("label forgotten", "missing term", hinge(lambda s: -1.0 * (SIGNS * s < 1) / 10)),
        ("perceptron's mask", "wrong mask", hinge(lambda s: -SIGNS * (SIGNS * s < 0) / 10)),
        ("mask of s without the label", "wrong mask", hinge(lambda s: -SIGNS * (s < 1) / 10)),
        ("mask inverted", "wrong mask", hinge(lambda s: -SIGNS * (SIGNS * s > 1) / 10)),
        ("mask forgotten", "wrong mask|missing term", hinge(lambda s: -SIGNS / 10)),
        ("sum", "constant factor", hinge(lambda s: -SIGNS * (SIGNS * s < 1))),
        ("s for its label", "wrong tensor", hinge(lambda s: -s * (SIGNS * s < 1) / 10)),
    ],
)


# 9: binary cross entropy, of probabilities and of logits

TRUE = np.array([[1.0, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 1]])


def bce(p, targets):
    return -np.mean(targets * np.log(p) + (1 - targets) * np.log(1 - p)), (p, targets)


def probabilities(rng):
    return rng.uniform(0.1, 0.9, (4, 3)), TRUE


group(
    "BCE of probabilities",
    bce,
    probabilities,
    [
        ("two fractions", "", lambda cache: ((1 - cache[1]) / (1 - cache[0]) - cache[1] / cache[0]) / cache[0].size),
        ("one fraction", "", lambda cache: (cache[0] - cache[1]) / (cache[0] * (1 - cache[0])) / cache[0].size),
        ("denominator forgotten", "missing term", lambda cache: (cache[0] - cache[1]) / cache[0].size),
        ("parentheses of the denominator", "wrong formula", lambda cache: (cache[0] - cache[1]) / cache[0] * (1 - cache[0]) / cache[0].size),
        ("parentheses of the numerator", "wrong formula", lambda cache: (cache[0] - cache[1] / (cache[0] * (1 - cache[0]))) / cache[0].size),
        ("only t/p", "missing term", lambda cache: -cache[1] / cache[0] / cache[0].size),
        ("second fraction's inner minus forgotten", "constant factor", lambda cache: -(cache[1] / cache[0] + (1 - cache[1]) / (1 - cache[0])) / cache[0].size),
        ("divided by the rows alone", "constant factor", lambda cache: (cache[0] - cache[1]) / (cache[0] * (1 - cache[0])) / len(cache[0])),
        ("targets minus p", "constant factor", lambda cache: (cache[1] - cache[0]) / (cache[0] * (1 - cache[0])) / cache[0].size),
        ("p for 1 − p", "missing term|wrong tensor", lambda cache: ((1 - cache[1]) / cache[0] - cache[1] / cache[0]) / cache[0].size),
        ("denominators exchanged", "wrong tensor", lambda cache: ((1 - cache[1]) / cache[0] - cache[1] / (1 - cache[0])) / cache[0].size),
    ],
)


class LogitBCE:
    """Stable: max(z, 0) − z·t + log(1 + exp(−|z|))."""

    def forward(self, z):
        self.z = z
        return np.mean(np.maximum(z, 0) - z * TRUE + np.log1p(np.exp(-np.abs(z))))

    def backward(self):
        return (sig(self.z) - TRUE) / TRUE.size


def logit_bce(write):
    return type("LogitBCE", (LogitBCE,), {"backward": lambda self: write(self.z)})


def stable_terms(z):
    e = np.exp(-np.abs(z))
    return ((z > 0) - TRUE - np.sign(z) * e / (1 + e)) / TRUE.size


def stable_no_sign(z):
    e = np.exp(-np.abs(z))
    return ((z > 0) - TRUE - e / (1 + e)) / TRUE.size


def stable_no_log(z):
    return ((z > 0) - TRUE) / TRUE.size


layer(
    "BCE of logits",
    normal((4, 3)),
    [
        ("sigmoid minus target", "", LogitBCE),
        ("term by term", "", logit_bce(stable_terms)),
        ("sign of |z| forgotten", "missing term", logit_bce(stable_no_sign)),
        ("log's term forgotten", "missing term", logit_bce(stable_no_log)),
        ("logits minus targets", "wrong tensor", logit_bce(lambda z: (z - TRUE) / TRUE.size)),
        ("sigmoid's slope again", "extra term", logit_bce(lambda z: (sig(z) - TRUE) * sig(z) * (1 - sig(z)) / TRUE.size)),
        ("targets forgotten", "missing term", logit_bce(lambda z: sig(z) / TRUE.size)),
        ("summed", "constant factor", logit_bce(lambda z: sig(z) - TRUE)),
        ("targets inverted", "wrong tensor", logit_bce(lambda z: (sig(z) - (1 - TRUE)) / TRUE.size)),
        ("sigmoid of −z", "constant factor", logit_bce(lambda z: (sig(-z) - TRUE) / TRUE.size)),
        ("in single precision", "float32", logit_bce(lambda z: ((sig(z) - TRUE) / TRUE.size).astype(np.float32))),
    ],
)


# 10: losses of regression, as pairs

def l1(pred, wanted):
    return np.abs(pred - wanted).mean(), (pred - wanted)


def l1_back(diff):
    return np.sign(diff) / diff.size, -np.sign(diff) / diff.size


group(
    "L1, both arguments",
    l1,
    normal((3, 4), (3, 4)),
    [
        ("sign", "", l1_back),
        ("where", "", lambda diff: tuple(np.where(s * diff > 0, 1.0, -1.0) / diff.size for s in (1, -1))),
        ("second like the first", "constant factor", lambda diff: (np.sign(diff) / diff.size,) * 2),
        ("sign forgotten", "missing term", lambda diff: (np.full(diff.shape, 1 / diff.size), np.full(diff.shape, -1 / diff.size))),
        ("squared error's", "extra term|wrong tensor", lambda diff: (diff / diff.size, -diff / diff.size)),
        ("divided by the rows", "constant factor", lambda diff: (np.sign(diff) / len(diff), -np.sign(diff) / len(diff))),
        ("both negated", "constant factor", lambda diff: l1_back(-diff)),
        ("only where above", "wrong mask|missing term", lambda diff: ((diff > 0) / diff.size, -1.0 * (diff > 0) / diff.size)),
    ],
)


def huber(pred, actual, delta=0.8):
    d = pred - actual
    small = np.abs(d) <= delta
    return np.where(small, d**2 / 2, delta * (np.abs(d) - delta / 2)).sum() / len(d), (d, delta)


def huber_back(cache, quadratic=1.0, linear=None, inside=None):
    d, delta = cache
    small = np.abs(d) <= delta if inside is None else inside(d, delta)
    return np.where(small, quadratic * d, delta * np.sign(d) if linear is None else linear(d)) / len(d)


group(
    "Huber loss",
    huber,
    lambda rng: (2 * rng.standard_normal((8, 3)), np.zeros((8, 3))),
    [
        ("where", "", lambda cache: huber_back(cache)),
        ("clip", "", lambda cache: np.clip(cache[0], -cache[1], cache[1]) / len(cache[0])),
        ("δ forgotten in the linear part", "constant factor|missing term", lambda cache: huber_back(cache, linear=np.sign)),
        ("sign forgotten in the linear part", "missing term", lambda cache: huber_back(cache, linear=lambda d: cache[1])),
        ("linear part zero", "missing term|wrong mask", lambda cache: huber_back(cache, linear=np.zeros_like)),
        ("parts exchanged", "wrong mask", lambda cache: huber_back(cache, inside=lambda d, delta: np.abs(d) > delta)),
        ("|·| forgotten in the mask", "wrong mask", lambda cache: huber_back(cache, inside=lambda d, delta: d <= delta)),
        ("threshold 1", "wrong mask", lambda cache: huber_back(cache, inside=lambda d, delta: np.abs(d) <= 1)),
        ("2d in the quadratic part", "constant factor", lambda cache: huber_back(cache, quadratic=2)),
        ("quadratic part halved", "constant factor", lambda cache: huber_back(cache, quadratic=0.5)),
        ("quadratic everywhere", "wrong mask|missing term", lambda cache: cache[0] / len(cache[0])),
        ("divided by all elements", "constant factor", lambda cache: huber_back(cache) / 3),
    ],
)


def smooth_l1(beta=0.5, part=1.0):
    """PyTorch's: d²/(2β) below β, |d| − β/2 above."""

    def loss(x):
        a = np.abs(x)
        return np.where(a < beta, a * a / (2 * beta), a - beta / 2).sum(), np.where(a < beta, x / (beta * part), np.sign(x))

    return lambda: loss


layer(
    "smooth L1",
    normal((4, 4)),
    [
        ("β below", "", smooth_l1()),
        ("β forgotten", "constant factor|missing term", smooth_l1(part=2.0)),
        ("2 of the denominator kept", "constant factor", smooth_l1(part=2.0, beta=0.7)),
    ],
)


# 11: pooling: channels first, by reshaping; windows that overlap, by loops; over time


def max_pool(x):
    n, c, h, w = x.shape
    windows = x.reshape(n, c, h // 2, 2, w // 2, 2)
    y = windows.max(axis=(3, 5))
    return y, (x, windows, y)


def spread(a):
    return a.repeat(2, axis=2).repeat(2, axis=3)


def max_pool_back(dy, cache):
    x, windows, y = cache
    mask = windows == y[:, :, :, None, :, None]
    return (mask * dy[:, :, :, None, :, None]).reshape(x.shape)


def max_pool_argmax(dy, cache, corner=False, turned=False, add=True):
    x, _, _ = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dy.shape):
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        a, b = (0, 0) if corner else np.unravel_index(window.argmax(), (2, 2))
        if turned:
            a, b = b, a
        dx[n, c, 2 * i + a, 2 * j + b] += dy[n, c, i, j]
    return dx


def max_pool_of_dy(dy, cache):
    x, _, _ = cache
    return (x == spread(dy)) * spread(dy)


def max_pool_not_moved(dy, cache):
    x, _, _ = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dy.shape):
        window = x[n, c, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        a, b = np.unravel_index(window.argmax(), (2, 2))
        dx[n, c, i + a, j + b] += dy[n, c, i, j]
    return dx


group(
    "max pooling, 2 × 2",
    max_pool,
    normal((2, 2, 4, 6)),
    [
        ("mask of windows", "", max_pool_back),
        ("argmax", "", max_pool_argmax),
        ("repeated", "", lambda dy, c: (c[0] == spread(c[2])) * spread(dy)),
        ("to the whole window", "wrong mask|missing term", lambda dy, c: spread(dy)),
        ("to the corner", "wrong mask", lambda dy, c: max_pool_argmax(dy, c, corner=True)),
        ("row and column of the largest exchanged", "transposed", lambda dy, c: max_pool_argmax(dy, c, turned=True)),
        ("window's place forgotten", "stride or padding", max_pool_not_moved),
        ("mask compared with dy", "wrong mask|wrong tensor", max_pool_of_dy),
        ("divided by four", "constant factor", lambda dy, c: max_pool_back(dy, c) / 4),
        ("mask of what is not largest", "wrong mask", lambda dy, c: (c[0] != spread(c[2])) * spread(dy)),
        ("values for ones", "extra term|wrong mask", lambda dy, c: max_pool_back(dy, c) * c[0]),
    ],
)


def avg_pool(x):
    n, c, h, w = x.shape
    out = np.zeros((n, c, (h - 3) // 2 + 1, (w - 3) // 2 + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, 2 * i : 2 * i + 3, 2 * j : 2 * j + 3].mean(axis=(2, 3))
    return out, x.shape


def avg_pool_back(dy, shape, stride=2, area=9, add=True, size=3):
    dx = np.zeros(shape)
    for i in range(dy.shape[2]):
        for j in range(dy.shape[3]):
            s = np.s_[:, :, stride * i : stride * i + size, stride * j : stride * j + size]
            share = dy[:, :, i, j][:, :, None, None] / area
            dx[s] = dx[s] + share if add else share
    return dx


def avg_pool_windows(dy, shape):
    dx = np.zeros(shape)
    view = np.lib.stride_tricks.sliding_window_view(dx, (3, 3), axis=(2, 3), writeable=True)
    for a in range(3):
        for b in range(3):
            view[:, :, ::2, ::2, a, b] += dy / 9
    return dx


group(
    "average pooling, windows that overlap",
    avg_pool,
    normal((2, 2, 7, 5)),
    [
        ("loops", "", avg_pool_back),
        ("a view of windows", "", avg_pool_windows),
        ("area forgotten", "constant factor", lambda dy, shape: avg_pool_back(dy, shape, area=1)),
        ("divided by the side", "constant factor", lambda dy, shape: avg_pool_back(dy, shape, area=3)),
        ("overlaps set", "assigned|missing term", lambda dy, shape: avg_pool_back(dy, shape, add=False)),
        ("stride 1", "stride or padding", lambda dy, shape: avg_pool_back(dy, shape, stride=1)),
        ("windows too small", "missing term|wrong mask|stride or padding", lambda dy, shape: avg_pool_back(dy, shape, size=2)),
    ],
)


class GlobalAverage:
    def forward(self, x):
        self.shape = x.shape
        return x.mean(axis=(1, 2))

    def backward(self, dy):
        _, h, w, _ = self.shape
        return np.ones(self.shape) * dy[:, None, None, :] / (h * w)


class GlobalAverageTile(GlobalAverage):
    def backward(self, dy):
        _, h, w, _ = self.shape
        return np.tile(dy[:, None, None, :], (1, h, w, 1)) / h / w


class GlobalAverageRows(GlobalAverage):
    def backward(self, dy):
        return np.ones(self.shape) * dy[:, None, None, :] / self.shape[1]


class GlobalAverageSum(GlobalAverage):
    def backward(self, dy):
        return np.ones(self.shape) * dy[:, None, None, :]


class GlobalAverageAll(GlobalAverage):
    def backward(self, dy):
        return np.ones(self.shape) * dy[:, None, None, :] / np.prod(self.shape)


class GlobalAverageFirst(GlobalAverage):
    """Divides by the axes of channels-first pictures."""

    def backward(self, dy):
        return np.ones(self.shape) * dy[:, None, None, :] / (self.shape[2] * self.shape[3])


layer(
    "global average, channels last",
    normal((2, 3, 4, 2)),
    [
        ("ones", "", GlobalAverage),
        ("tile", "", GlobalAverageTile),
        ("divided by the rows alone", "constant factor", GlobalAverageRows),
        ("as if a sum", "constant factor", GlobalAverageSum),
        ("divided by all numbers", "constant factor", GlobalAverageAll),
        ("divided by other axes", "constant factor|wrong axis", GlobalAverageFirst),
    ],
)


def max_over_time(x):
    best = x.argmax(axis=1)
    return x.max(axis=1), (x, best)


def max_over_time_back(dy, cache):
    x, best = cache
    dx = np.zeros_like(x)
    n, c = np.indices(best.shape)
    dx[n, best, c] = dy
    return dx


group(
    "max over time",
    max_over_time,
    normal((3, 5, 4)),
    [
        ("indices", "", max_over_time_back),
        ("max compared", "", lambda dy, c: (c[0] == c[0].max(1, keepdims=True)) * dy[:, None]),
        ("largest over the channels", "wrong axis|wrong mask", lambda dy, c: (c[0] == c[0].max(2, keepdims=True)) * dy[:, None]),
        ("largest of all", "wrong axis|wrong mask", lambda dy, c: (c[0] == c[0].max()) * dy[:, None]),
        ("to all steps", "wrong mask", lambda dy, c: np.repeat(dy[:, None], 5, 1)),
        ("to positive ones", "wrong mask", lambda dy, c: (c[0] > 0) * dy[:, None]),
        ("the smallest", "wrong mask", lambda dy, c: (c[0] == c[0].min(1, keepdims=True)) * dy[:, None]),
        ("mask without dy", "upstream ignored", lambda dy, c: 1.0 * (c[0] == c[0].max(1, keepdims=True))),
    ],
)


# 12: activations of newer networks

ERF = np.vectorize(erf)
ROOT = np.sqrt(2 / np.pi)


class Gelu:
    def forward(self, x):
        self.x = x
        return 0.5 * x * (1 + np.tanh(ROOT * (x + 0.044715 * x**3)))

    def backward(self, dy):
        x = self.x
        t = np.tanh(ROOT * (x + 0.044715 * x**3))
        return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * ROOT * (1 + 3 * 0.044715 * x**2))


def gelu(half=0.5, slope=lambda t: 1 - t**2, root=ROOT, three=3, inner=1.0, x_of=None, first=1.0):
    def backward(self, dy):
        x = self.x
        t = np.tanh(ROOT * (x + 0.044715 * x**3))
        factor = x if x_of is None else x_of(x)
        return dy * (first * 0.5 * (1 + t) + half * factor * slope(t) * root * (1 + inner * three * 0.044715 * x**2))

    return type("Gelu", (Gelu,), {"backward": backward})


class GeluExactSlope(Gelu):
    def backward(self, dy):
        x = self.x
        return dy * (0.5 * (1 + ERF(x / np.sqrt(2))) + x * np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi))


layer(
    "GELU by tanh",
    normal((3, 5)),
    [
        ("product rule", "", Gelu),
        ("as parts", "", gelu()),
        ("gradient of the exact GELU", "wrong formula", GeluExactSlope),
        ("second ½ forgotten", "constant factor", gelu(half=1.0)),
        ("3 of the cube forgotten", "constant factor", gelu(three=1)),
        ("cube's slope forgotten", "missing term", gelu(inner=0)),
        ("√(2/π) forgotten", "constant factor|missing term", gelu(root=1.0)),
        ("t for t²", "missing term", gelu(slope=lambda t: 1 - t)),
        ("x of the second term forgotten", "missing term", gelu(x_of=np.ones_like)),
        ("second term forgotten", "missing term", gelu(half=0)),
        ("first term forgotten", "missing term", gelu(first=0)),
    ],
)


def exact_gelu(x):
    return x * (1 + ERF(x / np.sqrt(2))) / 2, x


def exact_gelu_back(dy, x, density=lambda x: np.exp(-x * x / 2) / np.sqrt(2 * np.pi), times=1):
    return dy * ((1 + ERF(x / np.sqrt(2))) / 2 + times * x * density(x))


group(
    "GELU by erf",
    exact_gelu,
    normal((4, 4)),
    [
        ("Φ + xφ", "", exact_gelu_back),
        ("Φ alone", "missing term", lambda dy, x: exact_gelu_back(dy, x, times=0)),
        ("minus xφ", "constant factor", lambda dy, x: exact_gelu_back(dy, x, times=-1)),
        ("density not normalised", "constant factor|missing term", lambda dy, x: exact_gelu_back(dy, x, lambda x: np.exp(-x * x / 2))),
        ("½ of the exponent forgotten", "constant factor|missing term", lambda dy, x: exact_gelu_back(dy, x, lambda x: np.exp(-x * x) / np.sqrt(2 * np.pi))),
        ("chain rule's 1/√2 forgotten", "constant factor", lambda dy, x: exact_gelu_back(dy, x, lambda x: np.exp(-x * x / 2) / np.sqrt(np.pi))),
        ("erf for Φ", "missing term", lambda dy, x: dy * (ERF(x / np.sqrt(2)) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi))),
    ],
)

BETA = 2.0


def softplus(x):
    return np.log1p(np.exp(BETA * x)) / BETA, x


group(
    "softplus, β = 2",
    softplus,
    normal((4, 3)),
    [
        ("sigmoid", "", lambda dy, x: dy * sig(BETA * x)),
        ("quotient", "", lambda dy, x: dy * np.exp(BETA * x) / (1 + np.exp(BETA * x))),
        ("by the output", "", lambda dy, x: dy * (1 - np.exp(-BETA * softplus(x)[0]))),
        ("β forgotten inside", "missing term|constant factor", lambda dy, x: dy * sig(x)),
        ("β not cancelled", "constant factor|extra term", lambda dy, x: dy * BETA * sig(BETA * x)),
        ("1/β not cancelled", "constant factor", lambda dy, x: dy * sig(BETA * x) / BETA),
        ("exp forgotten above", "missing term", lambda dy, x: dy / (1 + np.exp(BETA * x))),
        ("sigmoid's slope", "extra term", lambda dy, x: dy * sig(BETA * x) * (1 - sig(BETA * x))),
        ("1 forgotten below", "missing term", lambda dy, x: dy * np.exp(BETA * x) / np.exp(BETA * x)),
    ],
)

ALPHA = 0.7


class Elu:
    def forward(self, x):
        self.x = x
        self.y = np.where(x > 0, x, ALPHA * (np.exp(x) - 1))
        return self.y

    def backward(self, dy):
        return dy * np.where(self.x > 0, 1, ALPHA * np.exp(self.x))


def elu(below, above=lambda x, y: np.ones_like(x), mask=lambda x: x > 0):
    def backward(self, dy):
        return dy * np.where(mask(self.x), above(self.x, self.y), below(self.x, self.y))

    return type("Elu", (Elu,), {"backward": backward})


class EluInPlace(Elu):
    def backward(self, dy):
        dx = dy
        dx[self.x <= 0] *= ALPHA * np.exp(self.x[self.x <= 0])
        return dx


class EluOutput(Elu):
    def backward(self, dy):
        d = self.y
        d[self.x > 0] = 1
        d[self.x <= 0] += ALPHA
        return dy * d


layer(
    "ELU, α = 0.7",
    normal((4, 4)),
    [
        ("exp", "", Elu),
        ("y + α", "", elu(lambda x, y: y + ALPHA)),
        ("y alone", "missing term", elu(lambda x, y: y)),
        ("y + 1", "wrong formula", elu(lambda x, y: y + 1)),
        ("α forgotten", "constant factor|missing term", elu(lambda x, y: np.exp(x))),
        ("exp forgotten", "missing term", elu(lambda x, y: ALPHA * np.ones_like(x))),
        ("like ReLU", "missing term|wrong mask", elu(lambda x, y: np.zeros_like(x))),
        ("x where positive", "extra term", elu(lambda x, y: ALPHA * np.exp(x), above=lambda x, y: x)),
        ("mask inverted", "wrong mask", elu(lambda x, y: ALPHA * np.exp(x), mask=lambda x: x < 0)),
        ("exp(−x)", "constant factor", elu(lambda x, y: ALPHA * np.exp(-x))),
        ("exp of y", "wrong tensor", elu(lambda x, y: ALPHA * np.exp(y))),
        ("dy scaled in place", "upstream overwritten", EluInPlace),
        ("derivative built in the output", "output overwritten", EluOutput),
    ],
)


class PRelu(Layer):
    """A slope for each channel."""

    def __init__(self):
        self.a = Parameter(np.array([0.25, 0.1, -0.3, 0.4]))

    def forward(self, x):
        return np.where(x > 0, x, self.a.data * x), x

    def backward(self, dy, x):
        self.a.grad += np.where(x > 0, 0, dy * x).sum(axis=0)
        return dy * np.where(x > 0, 1, self.a.data)


def prelu(da=None, dx=None, add=True):
    def backward(self, dy, x):
        d = np.where(x > 0, 0, dy * x).sum(axis=0) if da is None else da(dy, x)
        if add:
            self.a.grad += d
        else:
            self.a.grad = d
        return dy * np.where(x > 0, 1, self.a.data) if dx is None else dx(dy, x, self.a.data)

    return type("PRelu", (PRelu,), {"backward": backward})


class PReluKept(PRelu):
    def forward(self, x):
        self.x = x
        return np.where(x > 0, x, self.a.data * x), None

    def backward(self, dy, _):
        return super().backward(dy, self.x)


layer(
    "PReLU",
    normal((4, 4)),
    [
        ("where", "", PRelu),
        ("minimum", "", prelu(da=lambda dy, x: (dy * np.minimum(x, 0)).sum(0))),
        ("mask of the other side in da", "wrong mask", prelu(da=lambda dy, x: np.where(x > 0, dy * x, 0).sum(0))),
        ("mask forgotten in da", "wrong mask|missing term", prelu(da=lambda dy, x: (dy * x).sum(0))),
        ("x forgotten in da", "missing term", prelu(da=lambda dy, x: (dy * (x <= 0)).sum(0))),
        ("da over the channels", "wrong axis", prelu(da=lambda dy, x: np.where(x > 0, 0, dy * x).sum(1))),
        ("da over everything", "wrong axis", prelu(da=lambda dy, x: np.where(x > 0, 0, dy * x).sum())),
        ("da averaged", "constant factor", prelu(da=lambda dy, x: np.where(x > 0, 0, dy * x).mean(0))),
        ("a not used in dx", "missing term|wrong mask", prelu(dx=lambda dy, x, a: dy * (x > 0))),
        ("a everywhere in dx", "wrong mask", prelu(dx=lambda dy, x, a: dy * a)),
        ("a·x for a", "extra term", prelu(dx=lambda dy, x, a: dy * np.where(x > 0, 1, a * x))),
        ("grad set", "assigned", prelu(add=False)),
        ("x kept on the layer", "shared cache", PReluKept),
    ],
)


# 13: gated linear units


def glu(x):
    a, b = np.split(x, 2, axis=1)
    return a * sig(b), (a, sig(b))


def glu_back(dy, cache, to_a=lambda dy, a, s: dy * s, to_b=lambda dy, a, s: dy * a * s * (1 - s)):
    return np.concatenate([to_a(dy, *cache), to_b(dy, *cache)], axis=1)


group(
    "GLU",
    glu,
    normal((4, 6)),
    [
        ("halves", "", glu_back),
        ("slope forgotten", "missing term", lambda dy, c: glu_back(dy, c, to_b=lambda dy, a, s: dy * a)),
        ("a forgotten", "missing term", lambda dy, c: glu_back(dy, c, to_b=lambda dy, a, s: dy * s * (1 - s))),
        ("1 − s forgotten", "missing term", lambda dy, c: glu_back(dy, c, to_b=lambda dy, a, s: dy * a * s)),
        ("slope in the first half too", "extra term", lambda dy, c: glu_back(dy, c, to_a=lambda dy, a, s: dy * s * (1 - s))),
        ("halves exchanged", "wrong tensor", lambda dy, c: np.roll(glu_back(dy, c), 3, axis=1)),
        ("gate not differentiated", "missing term|missing gradient", lambda dy, c: glu_back(dy, c, to_b=lambda dy, a, s: 0 * dy)),
        ("first half not gated", "missing term", lambda dy, c: glu_back(dy, c, to_a=lambda dy, a, s: dy)),
        ("a for s in the slope", "wrong tensor", lambda dy, c: glu_back(dy, c, to_b=lambda dy, a, s: dy * a * a * (1 - a))),
        ("joined along the batch", "wrong shape", lambda dy, c: np.concatenate([dy * c[1], dy * c[0] * c[1] * (1 - c[1])])),
    ],
)


def swiglu(x, w, v):
    a, b = x @ w, x @ v
    s = sig(a)
    return a * s * b, {"x": x, "w": w, "v": v, "a": a, "b": b, "s": s}


def swiglu_back(dy, cache, gate=True, value=True, product=1.0, silu=True):
    x, w, v, a, b, s = (cache[k] for k in "xwvabs")
    da = dy * b * (s + product * a * s * (1 - s))
    db = dy * (a * s if silu else s)
    dx = np.zeros_like(x)
    if gate:
        dx += da @ w.T
    if value:
        dx += db @ v.T
    return {"dx": dx, "dw": x.T @ da, "dv": x.T @ db}


def swiglu_exchanged(dy, cache):
    g = swiglu_back(dy, cache)
    return {"dx": g["dx"], "dw": g["dv"], "dv": g["dw"]}


def swiglu_no_b(dy, cache):
    x, w, v, a, s = (cache[k] for k in "xwvas")
    da, db = dy * (s + a * s * (1 - s)), dy * a * s
    return {"dx": da @ w.T + db @ v.T, "dw": x.T @ da, "dv": x.T @ db}


group(
    "SwiGLU",
    swiglu,
    normal((3, 4), (4, 4), (4, 4)),
    [
        ("both branches", "", swiglu_back),
        ("dx of the gate alone", "missing term|assigned", lambda dy, cache: swiglu_back(dy, cache, value=False)),
        ("dx of the values alone", "missing term|assigned", lambda dy, cache: swiglu_back(dy, cache, gate=False)),
        ("product rule of SiLU", "missing term", lambda dy, cache: swiglu_back(dy, cache, product=0)),
        ("SiLU's second term subtracted", "constant factor", lambda dy, cache: swiglu_back(dy, cache, product=-1)),
        ("sigmoid for SiLU", "missing term|wrong tensor", lambda dy, cache: swiglu_back(dy, cache, silu=False)),
        ("dw and dv exchanged", "wrong tensor", swiglu_exchanged),
        ("values forgotten in the gate's gradient", "missing term", swiglu_no_b),
    ],
)


# 14: recurrent networks: a cell, and three steps of one as a class


def rnn_step(x, h, wx, wh, b):
    after = np.tanh(x @ wx + h @ wh + b)
    return after, (x, h, wx, wh, after)


def rnn_step_back(dafter, cache):
    x, h, wx, wh, after = cache
    dz = (1 - after * after) * dafter
    return dz @ wx.T, dz @ wh.T, x.T @ dz, h.T @ dz, dz.sum(axis=0)


def rnn_step_slope(of):
    def back(dafter, cache):
        x, h, wx, wh, after = cache
        dz = of(h, after) * dafter
        return dz @ wx.T, dz @ wh.T, x.T @ dz, h.T @ dz, dz.sum(axis=0)

    return back


def rnn_step_some(dafter, cache):
    x, h, wx, wh, after = cache
    dz = (1 - after * after) * dafter
    return dz @ wx.T, dafter @ wh.T, x.T @ dz, h.T @ dz, dz.sum(axis=0)


group(
    "RNN cell",
    rnn_step,
    normal((3, 4), (3, 4), (4, 4), (4, 4), (4,)),
    [
        ("as taught", "", rnn_step_back),
        ("outer products", "", lambda dafter, c: put(rnn_step_back(dafter, c), 3, sum(np.outer(h, d) for h, d in zip(c[1], (1 - c[4] ** 2) * dafter, strict=True)))),
        ("slope at the state before", "wrong tensor", rnn_step_slope(lambda h, after: 1 - h * h)),
        ("slope forgotten", "missing term", rnn_step_slope(lambda h, after: 1)),
        ("slope not squared", "missing term", rnn_step_slope(lambda h, after: 1 - after)),
        ("slope forgotten in dh", "missing term", rnn_step_some),
        ("dwh of the state after", "wrong tensor", lambda dafter, c: put(rnn_step_back(dafter, c), 3, c[4].T @ ((1 - c[4] ** 2) * dafter))),
        ("dh through wx", "wrong tensor", lambda dafter, c: put(rnn_step_back(dafter, c), 1, rnn_step_back(dafter, c)[0])),
        ("wh not transposed", "transposed", lambda dafter, c: put(rnn_step_back(dafter, c), 1, ((1 - c[4] ** 2) * dafter) @ c[3])),
        ("dx and dh exchanged", "wrong tensor", lambda dafter, c: swap(rnn_step_back(dafter, c), 0, 1)),
        ("dwx and dwh exchanged", "wrong tensor", lambda dafter, c: swap(rnn_step_back(dafter, c), 2, 3)),
        ("db of the first sample", "missing term", lambda dafter, c: put(rnn_step_back(dafter, c), 4, ((1 - c[4] ** 2) * dafter)[0])),
        ("no gradient of h", "missing gradient", lambda dafter, c: put(rnn_step_back(dafter, c), 1, None)),
    ],
)


class ShortRNN:
    """Many to one: the last state is read out."""

    carry, add, every, first_is_zero, turn, slope = True, True, True, False, True, True

    def __init__(self):
        rng = np.random.default_rng(2)
        self.params = {"U": rng.standard_normal((2, 3)) / 2, "W": rng.standard_normal((3, 3)) / 2, "V": rng.standard_normal((3, 2))}
        self.grads = {}

    def forward(self, x):
        self.x, self.h = x, [np.zeros((len(x), 3))]
        for t in range(x.shape[1]):
            self.h.append(np.tanh(x[:, t] @ self.params["U"] + self.h[t] @ self.params["W"]))
        return self.h[-1] @ self.params["V"]

    def backward(self, dy):
        U, W, V = (self.params[k] for k in "UWV")
        dU, dW = np.zeros_like(U), np.zeros_like(W)
        dx = np.zeros_like(self.x)
        dh = dy @ V.T
        for t in range(self.x.shape[1] - 1, -1 if self.every else 0, -1):
            dz = dh * (1 - self.h[t + 1] ** 2) if self.slope else dh
            before = self.h[0] if self.first_is_zero else self.h[t]
            dU = dU + self.x[:, t].T @ dz if self.add else self.x[:, t].T @ dz
            dW = dW + before.T @ dz if self.add else before.T @ dz
            dx[:, t] = dz @ U.T
            if self.carry:
                dh = dz @ (W.T if self.turn else W)
        self.grads = {"U": dU, "W": dW, "V": self.h[-1].T @ dy}
        return dx


class ShortRNNOneStep(ShortRNN):
    """Truncated after the last step."""

    def backward(self, dy):
        dz = (dy @ self.params["V"].T) * (1 - self.h[-1] ** 2)
        self.grads = {"U": self.x[:, -1].T @ dz, "W": self.h[-2].T @ dz, "V": self.h[-1].T @ dy}
        dx = np.zeros_like(self.x)
        dx[:, -1] = dz @ self.params["U"].T
        return dx


class ShortRNNSummed(ShortRNN):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["V"] = sum(h.T @ dy for h in self.h)
        return dx


def short_rnn(**options):
    return type("ShortRNN", (ShortRNN,), options)


layer(
    "RNN, many to one",
    normal((3, 3, 2)),
    [
        ("through time", "", ShortRNN),
        ("dh not carried back", "missing term", short_rnn(carry=False)),
        ("gradients set in each step", "assigned|missing term", short_rnn(add=False)),
        ("first step left out", "missing term", short_rnn(every=False)),
        ("first state in each step", "missing gradient|wrong tensor", short_rnn(first_is_zero=True)),
        ("W not transposed", "transposed", short_rnn(turn=False)),
        ("slope forgotten", "missing term", short_rnn(slope=False)),
        ("the last step alone", "missing term", ShortRNNOneStep),
        ("dV of all states", "extra term", ShortRNNSummed),
    ],
)


# 15: normalisations


class LayerNorm:
    eps = 1e-5

    def __init__(self):
        rng = np.random.default_rng(3)
        self.params = {"gamma": rng.uniform(0.5, 1.5, 6), "beta": rng.standard_normal(6)}
        self.grads = {}

    def forward(self, x):
        self.centred = x - x.mean(-1, keepdims=True)
        self.std = np.sqrt((self.centred**2).mean(-1, keepdims=True) + self.eps)
        self.hat = self.centred / self.std
        return self.params["gamma"] * self.hat + self.params["beta"]

    def backward(self, dy):
        self.grads = {"gamma": (dy * self.hat).sum(0), "beta": dy.sum(0)}
        d = dy * self.params["gamma"]
        return (d - d.mean(-1, keepdims=True) - self.hat * (d * self.hat).mean(-1, keepdims=True)) / self.std


class LayerNormSteps(LayerNorm):
    """By the graph; the centred numbers' own mean is zero, so that the variance gives no dmean."""

    half, count, root, through_mean, scale, power, two = -0.5, 6, 1, True, True, 3, 2

    def backward(self, dy):
        self.grads = {"gamma": np.sum(dy * self.hat, axis=0), "beta": np.sum(dy, axis=0)}
        d = dy * self.params["gamma"] if self.scale else dy
        dvar = np.sum(d * self.centred, axis=-1, keepdims=True) * self.half * self.std**-self.power
        dx = d / self.std + dvar * self.two * self.centred / self.count
        if self.through_mean:
            dx += -np.sum(d / self.std, axis=-1, keepdims=True) / self.count
        return dx


def layer_norm(gamma=None, dx=None, **options):
    """Return the class with other options, or another dgamma(dy, self), or dx(d, self)."""

    def backward(self, dy):
        out = LayerNormSteps.backward(self, dy)
        if gamma is not None:
            self.grads["gamma"] = gamma(dy, self)
        return out if dx is None else dx(dy * self.params["gamma"], self)

    return type("LayerNorm", (LayerNormSteps,), {"backward": backward, **options})


def mean(a, axis=-1):
    return a.mean(axis, keepdims=True)


layer(
    "layer norm",
    normal((6, 6)),
    [
        ("compact", "", LayerNorm),
        ("by steps", "", LayerNormSteps),
        ("−½ forgotten", "constant factor", layer_norm(half=1)),
        ("minus forgotten", "constant factor", layer_norm(half=0.5)),
        ("2 of the square forgotten", "constant factor", layer_norm(two=1)),
        ("N − 1", "constant factor", layer_norm(count=5)),
        ("mean constant", "missing term", layer_norm(through_mean=False)),
        ("variance constant", "missing term", layer_norm(half=0)),
        ("γ forgotten in dx", "missing term", layer_norm(scale=False)),
        ("σ² for σ³", "missing term", layer_norm(power=2)),
        ("dγ of the centred numbers", "missing term|wrong tensor", layer_norm(gamma=lambda dy, s: (dy * s.centred).sum(0))),
        ("dγ over the features", "wrong axis", layer_norm(gamma=lambda dy, s: (dy * s.hat).sum(1))),
        ("dγ is dβ", "missing term|wrong tensor", layer_norm(gamma=lambda dy, s: dy.sum(0))),
        ("averages over the batch", "wrong axis", layer_norm(dx=lambda d, s: (d - mean(d, 0) - s.hat * mean(d * s.hat, 0)) / s.std)),
        ("sums for means", "constant factor", layer_norm(dx=lambda d, s: (d - 6 * mean(d) - s.hat * 6 * mean(d * s.hat)) / s.std)),
        ("σ forgotten", "missing term", layer_norm(dx=lambda d, s: d - mean(d) - s.hat * mean(d * s.hat))),
        ("x̂ before the mean forgotten", "missing term", layer_norm(dx=lambda d, s: (d - mean(d) - mean(d * s.hat)) / s.std)),
        ("x̂ in the mean forgotten", "missing term", layer_norm(dx=lambda d, s: (d - mean(d) - s.hat * mean(d)) / s.std)),
        ("times σ", "wrong formula", layer_norm(dx=lambda d, s: (d - mean(d) - s.hat * mean(d * s.hat)) * s.std)),
    ],
)


def rms_norm(x, g):
    r = np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
    return g * x / r, (x, g, r)


def rms_norm_back(dy, cache, count=None, power=3, x=1.0, scaled=True):
    x_, g, r = cache
    d = g * dy if scaled else dy
    n = x_.shape[-1] if count is None else count
    dx = d / r - x * x_ * (d * x_).sum(-1, keepdims=True) / (n * r**power)
    return dx, (dy * x_ / r).sum(0)


group(
    "RMS norm",
    rms_norm,
    lambda rng: (rng.standard_normal((4, 4)), rng.uniform(0.5, 1.5, 4)),
    [
        ("as derived", "", rms_norm_back),
        ("r constant", "missing term", lambda dy, c: rms_norm_back(dy, c, x=0)),
        ("1/N forgotten", "constant factor", lambda dy, c: rms_norm_back(dy, c, count=1)),
        ("plus", "constant factor", lambda dy, c: rms_norm_back(dy, c, x=-1)),
        ("r for r³", "missing term", lambda dy, c: rms_norm_back(dy, c, power=1)),
        ("g forgotten in dx", "missing term", lambda dy, c: rms_norm_back(dy, c, scaled=False)),
        ("dg not divided by r", "missing term", lambda dy, c: put(rms_norm_back(dy, c), 1, (dy * c[0]).sum(0))),
        ("centred, as in layer norm", "extra term", lambda dy, c: put(rms_norm_back(dy, c), 0, rms_norm_back(dy, c)[0] - mean(c[1] * dy / c[2]))),
    ],
)


def batch_norm(x, gamma, beta, running_mean, momentum=0.9):
    mu, var = x.mean(axis=0), x.var(axis=0)
    running_mean[:] = momentum * running_mean + (1 - momentum) * mu
    x_hat = (x - mu) / np.sqrt(var + 1e-5)
    return gamma * x_hat + beta, {"x": x, "gamma": gamma, "mu": mu, "var": var, "x_hat": x_hat}


def batch_norm_pure(x, gamma, beta):
    return batch_norm(x, gamma, beta, np.zeros(x.shape[1]))


def batch_norm_back(dout, cache, var=1.0, mu=1.0, other=1.0, n=None, eps=1e-5):
    x, gamma, m, v, hat = (cache[k] for k in ("x", "gamma", "mu", "var", "x_hat"))
    n = len(x) if n is None else n
    inverse = 1 / np.sqrt(v + eps)
    dhat = dout * gamma
    dvar = (dhat * (x - m) * -0.5 * inverse**3).sum(axis=0)
    dmu = -(dhat * inverse).sum(axis=0) + other * dvar * (-2 * (x - m)).mean(axis=0)
    dx = dhat * inverse + var * dvar * 2 * (x - m) / n + mu * dmu / n
    return dx, (dout * hat).sum(axis=0), dout.sum(axis=0)


group(
    "batch norm of a paper",
    batch_norm_pure,
    lambda rng: (1 + 2 * rng.standard_normal((6, 3)), rng.uniform(0.5, 2, 3), rng.standard_normal(3)),
    [
        ("equations", "", batch_norm_back),
        ("without the term that is zero", "", lambda dout, c: batch_norm_back(dout, c, other=0)),
        ("one line", "", lambda dout, c: (c["gamma"] / np.sqrt(c["var"] + 1e-5) * (dout - dout.mean(0) - c["x_hat"] * (dout * c["x_hat"]).mean(0)), (dout * c["x_hat"]).sum(0), dout.sum(0))),
        ("variance's path forgotten", "missing term", lambda dout, c: batch_norm_back(dout, c, var=0)),
        ("mean's path forgotten", "missing term", lambda dout, c: batch_norm_back(dout, c, mu=0)),
        ("as in evaluation", "missing term", lambda dout, c: batch_norm_back(dout, c, var=0, mu=0)),
        ("mean's path with a plus", "constant factor", lambda dout, c: batch_norm_back(dout, c, mu=-1)),
        ("divided by the features", "constant factor", lambda dout, c: batch_norm_back(dout, c, n=3)),
        ("means over everything", "wrong axis", lambda dout, c: put(batch_norm_back(dout, c), 0, c["gamma"] / np.sqrt(c["var"] + 1e-5) * (dout - dout.mean() - c["x_hat"] * (dout * c["x_hat"]).mean()))),
        ("dγ and dβ exchanged", "wrong tensor", lambda dout, c: swap(batch_norm_back(dout, c), 1, 2)),
        ("dγ with x", "wrong tensor", lambda dout, c: put(batch_norm_back(dout, c), 1, (dout * c["x"]).sum(0))),
        ("dβ averaged", "constant factor", lambda dout, c: put(batch_norm_back(dout, c), 2, dout.mean(0))),
        ("γ forgotten in dx", "missing term", lambda dout, c: put(batch_norm_back(dout, c), 0, batch_norm_back(dout / c["gamma"], c)[0])),
        ("dβ is γ", "wrong tensor|upstream ignored", lambda dout, c: put(batch_norm_back(dout, c), 2, c["gamma"].copy())),
    ],
)


def instance_norm(x):
    mu = x.mean(axis=(2, 3), keepdims=True)
    sd = np.sqrt(x.var(axis=(2, 3), keepdims=True) + 1e-5)
    return (x - mu) / sd, (x, mu, sd)


def instance_norm_back(dy, cache, axes=(2, 3), first=1.0, second=1.0):
    x, mu, sd = cache
    hat = (x - mu) / sd
    return (dy - first * dy.mean(axes, keepdims=True) - second * hat * (dy * hat).mean(axes, keepdims=True)) / sd


def instance_norm_maps(dy, cache):
    x, mu, sd = cache
    dx = np.zeros_like(x)
    for n, c in np.ndindex(x.shape[:2]):
        hat = (x[n, c] - mu[n, c]) / sd[n, c]
        m = hat.size
        dx[n, c] = (m * dy[n, c] - dy[n, c].sum() - hat * (dy[n, c] * hat).sum()) / (m * sd[n, c])
    return dx


group(
    "instance norm",
    instance_norm,
    normal((2, 3, 3, 4)),
    [
        ("means", "", instance_norm_back),
        ("a map at a time", "", instance_norm_maps),
        ("axes of batch norm", "wrong axis", lambda dy, c: instance_norm_back(dy, c, axes=(0, 2, 3))),
        ("axes of layer norm", "wrong axis", lambda dy, c: instance_norm_back(dy, c, axes=(1, 2, 3))),
        ("axes of channels last", "wrong axis", lambda dy, c: instance_norm_back(dy, c, axes=(1, 2))),
        ("mean constant", "missing term", lambda dy, c: instance_norm_back(dy, c, first=0)),
        ("variance constant", "missing term", lambda dy, c: instance_norm_back(dy, c, second=0)),
        ("only divided by σ", "missing term", lambda dy, c: dy / c[2]),
        ("x for x̂", "wrong tensor", lambda dy, c: (dy - dy.mean((2, 3), keepdims=True) - c[0] * (dy * c[0]).mean((2, 3), keepdims=True)) / c[2]),
    ],
)


class GroupNorm(Layer):
    """Two groups of channels, channels last."""

    def __init__(self):
        self.gamma = Parameter(np.array([0.8, 1.3, -0.6, 1.1]))

    def split(self, a):
        return a.reshape(len(a), -1, 2, 2)

    def forward(self, x):
        z = self.split(x)
        inverse = 1 / np.sqrt(z.var(axis=(1, 3), keepdims=True) + 1e-5)
        hat = (z - z.mean(axis=(1, 3), keepdims=True)) * inverse
        return hat.reshape(x.shape) * self.gamma.data, (hat, inverse)

    axes, first, second, scaled = (1, 3), 1.0, 1.0, True

    def backward(self, dy, cache):
        hat, inverse = cache
        self.gamma.grad += (dy * hat.reshape(dy.shape)).sum(axis=(0, 1, 2))
        d = self.split(dy * self.gamma.data if self.scaled else dy)
        k = {"axis": self.axes, "keepdims": True}
        dx = (d - self.first * d.mean(**k) - self.second * hat * (d * hat).mean(**k)) * inverse
        return dx.reshape(dy.shape)


class GroupNormSet(GroupNorm):
    def backward(self, dy, cache):
        dx = super().backward(dy, cache)
        self.gamma.grad = (dy * cache[0].reshape(dy.shape)).sum(axis=(0, 1, 2))
        return dx


def group_norm(**options):
    return type("GroupNorm", (GroupNorm,), options)


layer(
    "group norm, channels last",
    normal((3, 2, 3, 4)),
    [
        ("two groups", "", GroupNorm),
        ("each channel alone", "wrong axis", group_norm(axes=(1,))),
        ("all groups together", "wrong axis", group_norm(axes=(1, 2, 3))),
        ("each pixel alone", "wrong axis", group_norm(axes=(3,))),
        ("mean constant", "missing term", group_norm(first=0.0)),
        ("variance constant", "missing term", group_norm(second=0.0)),
        ("γ forgotten in dx", "missing term", group_norm(scaled=False)),
        ("grad of γ set", "assigned", GroupNormSet),
    ],
)


# 16: residual blocks


class Residual:
    """y = x + relu(x·A)·B."""

    def __init__(self):
        rng = np.random.default_rng(4)
        self.A, self.B = rng.standard_normal((4, 4)), rng.standard_normal((4, 4))
        self.dA, self.dB = np.zeros((4, 4)), np.zeros((4, 4))

    def forward(self, x):
        self.x, self.z = x, x @ self.A
        self.h = np.maximum(self.z, 0)
        return x + self.h @ self.B

    def branch(self, dy):
        self.dB = self.h.T @ dy
        dz = (dy @ self.B.T) * (self.z > 0)
        self.dA = self.x.T @ dz
        return dz @ self.A.T

    def backward(self, dy):
        return dy + self.branch(dy)


def residual(**methods):
    return type("Residual", (Residual,), methods)


def residual_adds_to_dy(self, dy):
    dx = dy
    dx += self.branch(dy)
    return dx


def branch_no_mask(self, dy):
    self.dB = self.h.T @ dy
    dz = dy @ self.B.T
    self.dA = self.x.T @ dz
    return dz @ self.A.T


def branch_mask_before(self, dy):
    self.dB = self.h.T @ dy
    dz = (dy * (self.z > 0)) @ self.B.T
    self.dA = self.x.T @ dz
    return dz @ self.A.T


def branch_late_mask(self, dy):
    self.dB = self.h.T @ dy
    dz = dy @ self.B.T
    self.dA = self.x.T @ dz
    return (dz * (self.z > 0)) @ self.A.T


def branch_z_for_h(self, dy):
    dx = Residual.branch(self, dy)
    self.dB = self.z.T @ dy
    return dx


layer(
    "residual block",
    normal((3, 4)),
    [
        ("skip and branch", "", Residual),
        ("skip added first", "", residual(backward=lambda self, dy: np.add(self.branch(dy), dy))),
        ("skip forgotten", "missing term", residual(backward=lambda self, dy: self.branch(dy))),
        ("branch forgotten in dx", "missing term", residual(backward=lambda self, dy: (self.branch(dy), dy.copy())[1])),
        ("x for dy in the skip", "wrong tensor", residual(backward=lambda self, dy: self.branch(dy) + self.x)),
        ("skip twice", "extra term|constant factor", residual(backward=lambda self, dy: self.branch(dy) + 2 * dy)),
        ("branch passed through its own result", "extra term", residual(backward=lambda self, dy: self.branch(dy + self.branch(dy)) + dy)),
        ("added into dy", "upstream overwritten", residual(backward=residual_adds_to_dy)),
        ("mask forgotten", "wrong mask|missing term", residual(branch=branch_no_mask)),
        ("mask before the product with B", "wrong mask", residual(branch=branch_mask_before)),
        ("mask after dA", "wrong mask|missing term", residual(branch=branch_late_mask)),
        ("dB before the ReLU", "wrong tensor|wrong mask|missing term", residual(branch=branch_z_for_h)),
    ],
)


def post_residual(x, w):
    a = x + np.tanh(x @ w)
    return np.maximum(a, 0), (x, w, a)


def post_residual_back(dy, cache, skip=True, branch=True, slope=True):
    x, w, a = cache
    d = dy * (a > 0)
    t = np.tanh(x @ w)
    dz = (d if branch else dy) * ((1 - t * t) if slope else 1)
    return (d if skip else dy) + dz @ w.T, x.T @ dz


group(
    "residual block, ReLU after the sum",
    post_residual,
    normal((4, 3), (3, 3)),
    [
        ("mask of the sum", "", post_residual_back),
        ("skip not masked", "wrong mask|missing term", lambda dy, c: post_residual_back(dy, c, skip=False)),
        ("branch not masked", "wrong mask|missing term", lambda dy, c: post_residual_back(dy, c, branch=False)),
        ("tanh's slope forgotten", "missing term", lambda dy, c: post_residual_back(dy, c, slope=False)),
        ("mask of x", "wrong mask", lambda dy, c: post_residual_back(dy, (*c[:2], c[0]))),
    ],
)


# 17: convolutions


def conv(x, w, b):
    """Channels first, padded by one, stride one."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
    return np.einsum("ncijab,fcab->nfij", windows, w) + b[:, None, None], (x, w, b, windows)


def conv_back(dout, cache):
    _, w, _, windows = cache
    dpadded = np.pad(dout, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dwindows = np.lib.stride_tricks.sliding_window_view(dpadded, (3, 3), axis=(2, 3))
    dx = np.einsum("nfijab,fcab->ncij", dwindows, w[:, :, ::-1, ::-1])
    return dx, np.einsum("nfij,ncijab->fcab", dout, windows), dout.sum(axis=(0, 2, 3))


def conv_dx(dout, w, pad=1):
    dpadded = np.pad(dout, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    return np.einsum("nfijab,fcab->ncij", np.lib.stride_tricks.sliding_window_view(dpadded, (3, 3), axis=(2, 3)), w)


def conv_loops(dout, cache, add=True, kernel=lambda w: w, cut=1, every=True):
    x, w, b, _ = cache
    n, _, h, width = x.shape
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dpadded, dw, db = np.zeros_like(padded), np.zeros_like(w), np.zeros_like(b)
    for f in range(len(w)):
        db[f] = dout[:, f].sum()
        for i in range(h):
            for j in range(width):
                for m in range(n):
                    window = padded[m, :, i : i + 3, j : j + 3]
                    dw[f] = dw[f] + window * dout[m, f, i, j] if add else window * dout[m, f, i, j]
                    s = np.s_[m, :, i : i + 3, j : j + 3]
                    d = kernel(w[f]) * dout[m, f, i, j]
                    dpadded[s] = dpadded[s] + d if every else d
    return dpadded[:, :, cut : cut + h, cut : cut + width], dw, db


group(
    "convolution, 3 × 3, padded",
    conv,
    normal((2, 3, 4, 4), (3, 3, 3, 3), (3,)),
    [
        ("windows of dout", "", conv_back),
        ("loops", "", conv_loops),
        ("kernel not flipped", "flipped kernel", lambda dout, c: put(conv_back(dout, c), 0, conv_dx(dout, c[1]))),
        ("flipped in one direction", "flipped kernel", lambda dout, c: put(conv_back(dout, c), 0, conv_dx(dout, c[1][:, :, ::-1]))),
        ("kernel turned by a quarter", "flipped kernel|transposed", lambda dout, c: put(conv_back(dout, c), 0, conv_dx(dout, np.rot90(c[1], 1, (2, 3))))),
        ("filters and channels exchanged", "transposed", lambda dout, c: put(conv_back(dout, c), 0, conv_dx(dout, c[1].swapaxes(0, 1)[:, :, ::-1, ::-1]))),
        ("kernel's axes exchanged", "transposed|flipped kernel", lambda dout, c: conv_loops(dout, c, kernel=lambda w: w.swapaxes(1, 2))),
        ("dout padded by two", "wrong shape|stride or padding", lambda dout, c: put(conv_back(dout, c), 0, conv_dx(dout, c[1][:, :, ::-1, ::-1], 2))),
        ("padding cut at the wrong end", "stride or padding", lambda dout, c: conv_loops(dout, c, cut=0)),
        ("windows of dw set", "assigned|missing term", lambda dout, c: conv_loops(dout, c, add=False)),
        ("windows of dx set", "assigned|missing term", lambda dout, c: conv_loops(dout, c, every=False)),
        ("dw flipped", "flipped kernel", lambda dout, c: put(conv_back(dout, c), 1, conv_back(dout, c)[1][:, :, ::-1, ::-1])),
        ("dw transposed", "transposed", lambda dout, c: put(conv_back(dout, c), 1, conv_back(dout, c)[1].swapaxes(0, 1))),
        ("db over batch and rows alone", "wrong shape|wrong axis", lambda dout, c: put(conv_back(dout, c), 2, dout.sum((0, 2)))),
        ("db per picture", "constant factor", lambda dout, c: put(conv_back(dout, c), 2, dout.mean(0).sum((1, 2)))),
        ("db averaged over positions", "constant factor", lambda dout, c: put(conv_back(dout, c), 2, dout.sum(0).mean((1, 2)))),
    ],
)


class Conv1d:
    """Columns of windows; stride 2, no padding; (batch, length, channels)."""

    size, step = 3, 2

    def __init__(self):
        rng = np.random.default_rng(5)
        self.params = {"W": rng.standard_normal((3 * 2, 4)), "b": rng.standard_normal(4)}
        self.grads = {}

    def index(self, length):
        starts = np.arange((length - self.size) // self.step + 1) * self.step
        return starts[:, None] + np.arange(self.size)

    def forward(self, x):
        self.shape = x.shape
        self.cols = x[:, self.index(x.shape[1])].reshape(len(x), -1, self.size * x.shape[2])
        return self.cols @ self.params["W"] + self.params["b"]

    def backward(self, dy):
        self.grads["W"] = np.einsum("npk,npf->kf", self.cols, dy)
        self.grads["b"] = dy.sum(axis=(0, 1))
        return self.gather((dy @ self.params["W"].T).reshape(*dy.shape[:2], self.size, -1))

    def gather(self, dcols):
        dx = np.zeros(self.shape)
        np.add.at(dx, (slice(None), self.index(self.shape[1])), dcols)
        return dx


class Conv1dLoop(Conv1d):
    def gather(self, dcols):
        dx = np.zeros(self.shape)
        for p in range(dcols.shape[1]):
            dx[:, 2 * p : 2 * p + 3] += dcols[:, p]
        return dx


class Conv1dPlus(Conv1d):
    """+= with an array of indices, which takes each index once."""

    def gather(self, dcols):
        dx = np.zeros(self.shape)
        dx[:, self.index(self.shape[1])] += dcols
        return dx


class Conv1dStride(Conv1d):
    def gather(self, dcols):
        dx = np.zeros(self.shape)
        for p in range(dcols.shape[1]):
            dx[:, p : p + 3] += dcols[:, p]
        return dx


class Conv1dStrideSize(Conv1d):
    def gather(self, dcols):
        dx = np.zeros(self.shape)
        for p in range(dcols.shape[1] - 1):
            dx[:, 3 * p : 3 * p + 3] += dcols[:, p]
        return dx


class Conv1dOrder(Conv1d):
    def backward(self, dy):
        super().backward(dy)
        d = (dy @ self.params["W"].T).reshape(*dy.shape[:2], -1, self.size)
        return self.gather(d.swapaxes(2, 3))


class Conv1dTurned(Conv1d):
    def gather(self, dcols):
        return super().gather(dcols[:, :, ::-1])


class Conv1dLastWindow(Conv1d):
    def gather(self, dcols):
        dx = np.zeros(self.shape)
        for p in range(dcols.shape[1] - 1):
            dx[:, 2 * p : 2 * p + 3] += dcols[:, p]
        return dx


class Conv1dMeans(Conv1d):
    def backward(self, dy):
        dx = super().backward(dy)
        self.grads["b"] = dy.sum(axis=1).mean(axis=0)
        return dx


class Conv1dPerSample(Conv1d):
    def backward(self, dy):
        dx = super().backward(dy)
        for n in range(len(dy)):
            self.grads["W"] = self.cols[n].T @ dy[n]
        return dx


layer(
    "1-D convolution by columns",
    normal((3, 9, 2)),
    [
        ("add.at", "", Conv1d),
        ("loop", "", Conv1dLoop),
        ("+= at repeated indices", "assigned|missing term", Conv1dPlus),
        ("stride forgotten", "stride or padding", Conv1dStride),
        ("stride of the kernel's size", "stride or padding", Conv1dStrideSize),
        ("columns in another order", "transposed", Conv1dOrder),
        ("columns reversed", "flipped kernel", Conv1dTurned),
        ("last window left out", "missing term|stride or padding", Conv1dLastWindow),
        ("bias averaged over the batch", "constant factor", Conv1dMeans),
        ("dW set for each sample", "assigned|missing term", Conv1dPerSample),
    ],
)


# 18: transposed convolutions, with stride and padding


def conv_transpose(x, w, stride=2, padding=1):
    """(channels, length) and (channels, filters, 4); one sequence."""
    length = (x.shape[1] - 1) * stride + w.shape[2]
    full = np.zeros((w.shape[1], length))
    for i in range(x.shape[1]):
        full[:, i * stride : i * stride + w.shape[2]] += np.tensordot(x[:, i], w, 1)
    return full[:, padding : length - padding], (x, w)


def conv_transpose_back(dy, cache, stride=2, padding=1, kernel=lambda w: w, add=True, dw_stride=2):
    x, w = cache
    size = w.shape[2]
    full = np.pad(dy, ((0, 0), (padding, 2 - padding)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[1]):
        dx[:, i] = np.einsum("cfk,fk->c", kernel(w), full[:, i * stride : i * stride + size])
        part = np.einsum("c,fk->cfk", x[:, i], full[:, i * dw_stride : i * dw_stride + size])
        dw = dw + part if add else part
    return dx, dw


def conv_transpose_windows(dy, cache):
    x, w = cache
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(dy, ((0, 0), (1, 1))), 4, axis=1)[:, ::2]
    return np.einsum("fik,cfk->ci", windows, w), np.einsum("ci,fik->cfk", x, windows)


group(
    "transposed convolution, stride 2, padding 1",
    conv_transpose,
    normal((3, 4), (3, 3, 4)),
    [
        ("a convolution with stride", "", conv_transpose_back),
        ("windows", "", conv_transpose_windows),
        ("stride forgotten in dx", "stride or padding", lambda dy, c: conv_transpose_back(dy, c, stride=1)),
        ("stride forgotten in dw", "stride or padding", lambda dy, c: conv_transpose_back(dy, c, dw_stride=1)),
        ("padding at one end", "stride or padding", lambda dy, c: conv_transpose_back(dy, c, padding=0)),
        ("padding at the other end", "stride or padding", lambda dy, c: conv_transpose_back(dy, c, padding=2)),
        ("kernel flipped", "flipped kernel", lambda dy, c: conv_transpose_back(dy, c, kernel=lambda w: w[:, :, ::-1])),
        ("channels and filters exchanged", "transposed", lambda dy, c: conv_transpose_back(dy, c, kernel=lambda w: w.swapaxes(0, 1))),
        ("dw set for each step", "assigned|missing term", lambda dy, c: conv_transpose_back(dy, c, add=False)),
        ("dw flipped", "flipped kernel", lambda dy, c: put(conv_transpose_back(dy, c), 1, conv_transpose_back(dy, c)[1][:, :, ::-1])),
        ("dw transposed", "transposed", lambda dy, c: put(conv_transpose_back(dy, c), 1, conv_transpose_back(dy, c)[1].swapaxes(0, 1))),
        ("dw averaged over the channels", "constant factor", lambda dy, c: put(conv_transpose_back(dy, c), 1, conv_transpose_back(dy, c)[1] / 3)),
    ],
)


def deconv2d(x, w, b):
    """Channels last, 3 × 3, stride 2, cut by one all round: the picture is doubled but for a pixel."""
    n, h, width, _ = x.shape
    full = np.zeros((n, 2 * h + 1, 2 * width + 1, w.shape[3]))
    for a in range(3):
        for c in range(3):
            full[:, a : a + 2 * h : 2, c : c + 2 * width : 2] += x @ w[a, c]
    return full[:, 1:-1, 1:-1] + b, (x, w)


def deconv2d_back(dy, cache, first=1, turn=True, swap_taps=False, dw_step=2):
    x, w = cache
    _, h, width, _ = x.shape
    full = np.pad(dy, ((0, 0), (first, 2 - first), (first, 2 - first), (0, 0)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for a in range(3):
        for c in range(3):
            d = full[:, a : a + 2 * h : 2, c : c + 2 * width : 2]
            tap = w[c, a] if swap_taps else w[a, c]
            dx += d @ (tap.T if turn else tap)
            d = full[:, a : a + dw_step * h : dw_step, c : c + dw_step * width : dw_step]
            dw[a, c] = np.tensordot(x, d, ((0, 1, 2), (0, 1, 2)))
    return dx, dw, dy.sum(axis=(0, 1, 2))


group(
    "transposed convolution of pictures",
    deconv2d,
    normal((2, 3, 3, 2), (3, 3, 2, 2), (2,)),
    [
        ("tap by tap", "", deconv2d_back),
        ("padding only before", "stride or padding", lambda dy, c: deconv2d_back(dy, c, first=2)),
        ("taps not transposed", "transposed", lambda dy, c: deconv2d_back(dy, c, turn=False)),
        ("taps' rows and columns exchanged", "transposed", lambda dy, c: deconv2d_back(dy, c, swap_taps=True)),
        ("stride 1 in dw", "stride or padding", lambda dy, c: deconv2d_back(dy, c, dw_step=1)),
        ("db over the channels", "wrong shape|wrong axis", lambda dy, c: put(deconv2d_back(dy, c), 2, dy.sum((0, 1, 3)))),
    ],
)


# 19: convolution by FFT, spectral layers


def fft_conv(x, k):
    return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(k), x.shape[-1]), (x, k)


def fft_conv_back(dy, cache, k_of=np.conj, x_of=np.conj):
    x, k = cache
    d, n = np.fft.rfft(dy), x.shape[-1]
    return (
        np.fft.irfft(d * k_of(np.fft.rfft(k)), n),
        np.fft.irfft(d * x_of(np.fft.rfft(x)), n).sum(axis=0),
    )


def fft_conv_rolls(dy, cache):
    x, k = cache
    n = x.shape[-1]
    dx = sum(k[s] * np.roll(dy, -s, axis=1) for s in range(n))
    return dx, np.array([(np.roll(x, s, axis=1) * dy).sum() for s in range(n)])


group(
    "circular convolution by FFT",
    fft_conv,
    normal((3, 8), (8,)),
    [
        ("conjugates", "", fft_conv_back),
        ("rolls", "", fft_conv_rolls),
        ("conjugate of k forgotten", "flipped kernel|transposed", lambda dy, c: fft_conv_back(dy, c, k_of=lambda f: f)),
        ("conjugate of x forgotten", "flipped kernel|transposed", lambda dy, c: fft_conv_back(dy, c, x_of=lambda f: f)),
        ("divided by n again", "constant factor", lambda dy, c: tuple(g / 8 for g in fft_conv_back(dy, c))),
        ("absolute values for conjugates", "wrong formula", lambda dy, c: fft_conv_back(dy, c, k_of=np.abs)),
        ("dk averaged over the batch", "constant factor", lambda dy, c: put(fft_conv_back(dy, c), 1, fft_conv_back(dy, c)[1] / 3)),
        ("dk for each sample", "wrong shape", lambda dy, c: put(fft_conv_back(dy, c), 1, np.fft.irfft(np.fft.rfft(dy) * np.conj(np.fft.rfft(c[0])), 8))),
        ("dk by dx's kernel", "wrong tensor", lambda dy, c: put(fft_conv_back(dy, c), 1, fft_conv_back(dy, c)[0].sum(0))),
        ("spectrum divided, as in a deconvolution", "wrong formula", lambda dy, c: fft_conv_back(dy, c, k_of=lambda f: 1 / f)),
    ],
)


class Spectral:
    """A real gain for each frequency."""

    def __init__(self):
        self.gain = np.random.default_rng(6).uniform(0.5, 1.5, 5)
        self.dgain = np.zeros(5)

    def forward(self, x):
        self.n = x.shape[1]
        self.spectrum = np.fft.rfft(x, axis=1)
        return np.fft.irfft(self.spectrum * self.gain, self.n, axis=1)

    def weights(self):
        """Each frequency counts twice but the first and the last."""
        w = np.full(5, 2.0)
        w[[0, -1]] = 1
        return w

    def dgain_of(self, D):
        return (self.weights() * (np.conj(self.spectrum) * D).real / self.n).sum(axis=0)

    def backward(self, dy):
        D = np.fft.rfft(dy, axis=1)
        self.dgain = self.dgain_of(D)
        return np.fft.irfft(D * self.gain, self.n, axis=1)


class SpectralBasis(Spectral):
    """dgain from what each frequency alone puts out."""

    def dgain_of(self, D):
        dy = np.fft.irfft(D, self.n, axis=1)
        parts = [np.fft.irfft(self.spectrum * e, self.n, axis=1) for e in np.eye(5)]
        return np.array([(part * dy).sum() for part in parts])


def spectral(dgain=None, **methods):
    if dgain is not None:
        methods["dgain_of"] = dgain
    return type("Spectral", (Spectral,), methods)


layer(
    "spectral gains",
    normal((3, 8)),
    [
        ("weights of frequencies", "", Spectral),
        ("by parts", "", SpectralBasis),
        ("middle frequencies counted once", "constant factor", spectral(weights=lambda self: np.ones(5))),
        ("all counted twice", "constant factor", spectral(weights=lambda self: np.full(5, 2.0))),
        ("1/n forgotten", "constant factor", spectral(lambda self, D: self.n * Spectral.dgain_of(self, D))),
        ("imaginary part", "wrong formula", spectral(lambda self, D: (self.weights() * (np.conj(self.spectrum) * D).imag / self.n).sum(0))),
        ("conjugate forgotten", "wrong formula", spectral(lambda self, D: (self.weights() * (self.spectrum * D).real / self.n).sum(0))),
        ("gain not used in dx", "missing term", spectral(backward=lambda self, dy: (Spectral.backward(self, dy), dy.copy())[1])),
        ("divided by the gain in dx", "wrong formula", spectral(backward=lambda self, dy: (Spectral.backward(self, dy), np.fft.irfft(np.fft.rfft(dy) / self.gain, 8))[1])),
        ("D forgotten in the gain's gradient", "upstream ignored", spectral(lambda self, D: (self.weights() * np.abs(self.spectrum) ** 2 / self.n).sum(0))),
    ],
)


# 20: upsampling


def nearest(x):
    return x.repeat(2, axis=1).repeat(2, axis=2), x.shape


def nearest_back(dy, shape):
    n, h, w, c = shape
    return dy.reshape(n, h, 2, w, 2, c).sum(axis=(2, 4))


group(
    "nearest neighbour, doubled",
    nearest,
    normal((2, 2, 4, 3)),
    [
        ("blocks", "", nearest_back),
        ("four slices", "", lambda dy, s: dy[:, ::2, ::2] + dy[:, 1::2, ::2] + dy[:, ::2, 1::2] + dy[:, 1::2, 1::2]),
        ("averaged", "constant factor", lambda dy, s: nearest_back(dy, s) / 4),
        ("every other pixel", "missing term", lambda dy, s: dy[:, ::2, ::2].copy()),
        ("one direction left out", "missing term", lambda dy, s: dy[:, ::2, ::2] + dy[:, 1::2, ::2]),
        ("one slice twice", "missing term|extra term|stride or padding", lambda dy, s: dy[:, ::2, ::2] + dy[:, 1::2, ::2] + dy[:, ::2, 1::2] + dy[:, ::2, 1::2]),
        ("as if tiled", "transposed|wrong axis", lambda dy, s: dy.reshape(2, 2, 2, 2, 4, 3).sum((1, 3))),
        ("repeated again", "wrong shape", lambda dy, s: nearest(dy)[0]),
    ],
)


def linear_up(x):
    """Between neighbours, weights ¾ and ¼; the borders are repeated."""
    before = np.concatenate([x[:, :1], x[:, :-1]], axis=1)
    after = np.concatenate([x[:, 1:], x[:, -1:]], axis=1)
    y = np.empty((len(x), 2 * x.shape[1]))
    y[:, ::2] = 0.75 * x + 0.25 * before
    y[:, 1::2] = 0.75 * x + 0.25 * after
    return y, x.shape


def linear_up_back(dy, shape, far=0.25, border=True, turned=False, near=0.75):
    even, odd = (dy[:, 1::2], dy[:, ::2]) if turned else (dy[:, ::2], dy[:, 1::2])
    dx = near * (even + odd)
    dx[:, :-1] += far * even[:, 1:]
    dx[:, 1:] += far * odd[:, :-1]
    if border:
        dx[:, 0] += far * even[:, 0]
        dx[:, -1] += far * odd[:, -1]
    return dx


def linear_up_forward(dy, shape):
    """Interpolates dy instead of turning the weights round."""
    even, odd = dy[:, ::2], dy[:, 1::2]
    before = np.concatenate([even[:, :1], even[:, :-1]], axis=1)
    after = np.concatenate([odd[:, 1:], odd[:, -1:]], axis=1)
    return 0.75 * (even + odd) + 0.25 * (before + after)


group(
    "linear interpolation, doubled",
    linear_up,
    normal((3, 5)),
    [
        ("weights turned round", "", linear_up_back),
        ("by its matrix", "", lambda dy, shape: dy @ linear_up(np.eye(5))[0].T),
        ("borders forgotten", "missing term", lambda dy, shape: linear_up_back(dy, shape, border=False)),
        ("neighbours forgotten", "missing term", lambda dy, shape: linear_up_back(dy, shape, far=0)),
        ("weights exchanged", "wrong formula", lambda dy, shape: linear_up_back(dy, shape, far=0.75, near=0.25)),
        ("even and odd exchanged", "stride or padding|wrong tensor", lambda dy, shape: linear_up_back(dy, shape, turned=True)),
        ("interpolated forwards", "transposed", linear_up_forward),
        ("halved", "constant factor", lambda dy, shape: linear_up_back(dy, shape) / 2),
    ],
)


def shuffle(x):
    """Pixel shuffle: (n, h, w, 4c) to (n, 2h, 2w, c)."""
    n, h, w, c = x.shape
    return x.reshape(n, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2 * h, 2 * w, c // 4), x.shape


group(
    "pixel shuffle",
    shuffle,
    normal((2, 2, 2, 8)),
    [
        ("turned round", "", lambda dy, s: dy.reshape(2, 2, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4, 5).reshape(s)),
        ("only reshaped", "transposed", lambda dy, s: dy.reshape(s)),
        ("channels first of the four", "transposed", lambda dy, s: dy.reshape(2, 2, 2, 2, 2, 2).transpose(0, 1, 3, 5, 2, 4).reshape(s)),
        ("rows and columns exchanged", "transposed", lambda dy, s: dy.reshape(2, 2, 2, 2, 2, 2).transpose(0, 1, 3, 4, 2, 5).reshape(s)),
    ],
)


# 21: weighted losses

ROW_WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0])
CLASS_WEIGHTS = np.array([0.4, 1.0, 2.5, 0.8])


def weighted_mse(write):
    def loss(pred, actual):
        d = pred - actual
        w = ROW_WEIGHTS[:, None]
        return (w * d**2).sum() / ROW_WEIGHTS.sum(), write(d, w)

    return lambda: loss


layer(
    "weighted squares",
    normal((4, 3), (4, 3)),
    [
        ("over the weights' sum", "", weighted_mse(lambda d, w: 2 * w * d / w.sum())),
        ("weights forgotten", "missing term", weighted_mse(lambda d, w: 2 * d / w.sum())),
        ("divided by the rows", "constant factor", weighted_mse(lambda d, w: 2 * w * d / len(d))),
        ("not divided", "constant factor", weighted_mse(lambda d, w: 2 * w * d)),
        ("2 forgotten", "constant factor", weighted_mse(lambda d, w: w * d / w.sum())),
        ("weights squared", "extra term", weighted_mse(lambda d, w: 2 * w**2 * d / w.sum())),
        ("actual minus predicted", "constant factor", weighted_mse(lambda d, w: -2 * w * d / w.sum())),
    ],
)


def weighted_entropy(write):
    def loss(scores):
        p = softmax(scores)
        w = CLASS_WEIGHTS[LABELS]
        picked = -np.log(p[np.arange(5), LABELS])
        return (w * picked).sum() / w.sum(), write(p, np.eye(4)[LABELS], w[:, None])

    return lambda: loss


layer(
    "cross entropy with class weights",
    normal((5, 4)),
    [
        ("the label's weight", "", weighted_entropy(lambda p, t, w: w * (p - t) / w.sum())),
        ("weight of each column", "wrong tensor|wrong axis", weighted_entropy(lambda p, t, w: CLASS_WEIGHTS * (p - t) / w.sum())),
        ("weight only at the label", "missing term", weighted_entropy(lambda p, t, w: (p - w * t) / w.sum())),
        ("weights forgotten", "missing term", weighted_entropy(lambda p, t, w: (p - t) / w.sum())),
        ("divided by the batch", "constant factor", weighted_entropy(lambda p, t, w: w * (p - t) / len(p))),
        ("divided by all classes' weights", "constant factor", weighted_entropy(lambda p, t, w: w * (p - t) / CLASS_WEIGHTS.sum())),
        ("weight only at p", "missing term", weighted_entropy(lambda p, t, w: (w * p - t) / w.sum())),
    ],
)


def focal(p):
    return -((1 - p) ** 2 * np.log(p)).sum(), p


group(
    "focal loss, γ = 2",
    focal,
    uniform(0.1, 0.9, (3, 4)),
    [
        ("product rule", "", lambda p: 2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p),
        ("factor constant", "missing term", lambda p: -((1 - p) ** 2) / p),
        ("log constant", "missing term", lambda p: 2 * (1 - p) * np.log(p)),
        ("inner minus forgotten", "constant factor", lambda p: -2 * (1 - p) * np.log(p) - (1 - p) ** 2 / p),
        ("γ forgotten", "constant factor", lambda p: (1 - p) * np.log(p) - (1 - p) ** 2 / p),
        ("exponent not lowered", "extra term", lambda p: 2 * (1 - p) ** 2 * np.log(p) - (1 - p) ** 2 / p),
        ("cross entropy's", "missing term", lambda p: -1 / p),
        ("log forgotten", "missing term", lambda p: 2 * (1 - p) - (1 - p) ** 2 / p),
    ],
)


def uncertain(errors, s):
    """Losses weighted by learned log variances: Σ exp(−s)·e² + s."""
    return (np.exp(-s) * (errors**2).sum(0) + s).sum(), (errors, s)


group(
    "weights that are learned",
    uncertain,
    normal((4, 3), (3,)),
    [
        ("as derived", "", lambda cache: (2 * cache[0] * np.exp(-cache[1]), 1 - np.exp(-cache[1]) * (cache[0] ** 2).sum(0))),
        ("1 forgotten", "missing term", lambda cache: (2 * cache[0] * np.exp(-cache[1]), -np.exp(-cache[1]) * (cache[0] ** 2).sum(0))),
        ("only 1", "missing term", lambda cache: (2 * cache[0] * np.exp(-cache[1]), np.ones(3))),
        ("inner minus forgotten", "constant factor", lambda cache: (2 * cache[0] * np.exp(-cache[1]), 1 + np.exp(-cache[1]) * (cache[0] ** 2).sum(0))),
        ("weights forgotten", "missing term", lambda cache: (2 * cache[0], 1 - np.exp(-cache[1]) * (cache[0] ** 2).sum(0))),
        ("squares averaged", "constant factor", lambda cache: (2 * cache[0] * np.exp(-cache[1]), 1 - np.exp(-cache[1]) * (cache[0] ** 2).mean(0))),
        ("no gradient of s", "missing gradient", lambda cache: (2 * cache[0] * np.exp(-cache[1]), np.zeros(3))),
    ],
)


# 22: cosine similarity, normalisation to length one


def cosine(a, b):
    na, nb = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
    s = (a * b).sum(1, keepdims=True) / (na * nb)
    return s[:, 0], (a, b, na, nb, s)


def cosine_back(dy, cache, second=1.0, power=2, other=1.0):
    a, b, na, nb, s = cache
    d = dy[:, None]
    return d * (other * b / (na * nb) - second * s * a / na**power), d * (a / (na * nb) - second * s * b / nb**power)


def cosine_units(dy, cache):
    a, b, na, nb, s = cache
    u, v = a / na, b / nb
    return dy[:, None] * (v - s * u) / na, dy[:, None] * (u - s * v) / nb


def cosine_unprojected(dy, cache):
    a, b, na, nb, _ = cache
    return dy[:, None] * (b / nb - a / na) / na, dy[:, None] * (a / na - b / nb) / nb


def cosine_norms_exchanged(dy, cache):
    a, b, na, nb, s = cache
    d = dy[:, None]
    return d * (b / (na * nb) - s * a / nb**2), d * (a / (na * nb) - s * b / na**2)


group(
    "cosine similarity",
    cosine,
    normal((4, 4), (4, 4)),
    [
        ("quotient rule", "", cosine_back),
        ("unit vectors", "", cosine_units),
        ("lengths constant", "missing term", lambda dy, c: cosine_back(dy, c, second=0)),
        ("plus", "constant factor", lambda dy, c: cosine_back(dy, c, second=-1)),
        ("length not squared", "missing term", lambda dy, c: cosine_back(dy, c, power=1)),
        ("similarity forgotten", "missing term", cosine_unprojected),
        ("lengths exchanged", "wrong tensor", cosine_norms_exchanged),
        ("da and db exchanged", "wrong tensor", lambda dy, c: swap(cosine_back(dy, c), 0, 1)),
        ("a's own first term", "wrong tensor", lambda dy, c: put(cosine_back(dy, c), 0, dy[:, None] * (c[0] / (c[2] * c[3]) - c[4] * c[0] / c[2] ** 2))),
        ("dy along the rows", "wrong axis|transposed", lambda dy, c: tuple(g / dy[:, None] * dy for g in cosine_back(dy, c))),
        ("lengths forgotten", "missing term", lambda dy, c: (dy[:, None] * c[1], dy[:, None] * c[0])),
        ("db forgotten", "missing gradient", lambda dy, c: (cosine_back(dy, c)[0], np.zeros_like(c[1]))),
    ],
)


def unit(x):
    r = np.sqrt((x * x).sum(axis=1, keepdims=True) + 1e-12)
    return x / r, (x, r)


def unit_back(dy, cache, times=1.0, axis=1, power=3):
    x, r = cache
    return dy / r - times * x * (x * dy).sum(axis=axis, keepdims=True) / r**power


class Unit:
    def forward(self, x):
        self.length = np.linalg.norm(x, axis=1)
        self.y = x / self.length[:, None]
        return self.y

    def backward(self, dy):
        along = np.einsum("nd,nd->n", dy, self.y)
        return (dy - along[:, None] * self.y) / self.length[:, None]


class UnitNoLength(Unit):
    def backward(self, dy):
        along = np.einsum("nd,nd->n", dy, self.y)
        return dy - along[:, None] * self.y


class UnitOnce(Unit):
    def backward(self, dy):
        return (dy - np.einsum("nd,nd->n", dy, self.y)[:, None]) / self.length[:, None]


group(
    "length one",
    unit,
    normal((4, 4)),
    [
        ("projected", "", unit_back),
        ("length constant", "missing term", lambda dy, c: unit_back(dy, c, times=0)),
        ("plus", "constant factor", lambda dy, c: unit_back(dy, c, times=-1)),
        ("2 of the square kept", "constant factor", lambda dy, c: unit_back(dy, c, times=2)),
        ("r for r³", "missing term", lambda dy, c: unit_back(dy, c, power=1)),
        ("r² for r³", "missing term", lambda dy, c: unit_back(dy, c, power=2)),
        ("sum over the batch", "wrong axis", lambda dy, c: unit_back(dy, c, axis=0)),
        ("sum over everything", "wrong axis", lambda dy, c: unit_back(dy, c, axis=(0, 1))),
        ("divided by r²", "extra term", lambda dy, c: unit_back(dy, c) / c[1]),
        ("times r", "wrong formula", lambda dy, c: unit_back(dy, c) * c[1] ** 2),
    ],
)

layer(
    "length one, class",
    normal((3, 5)),
    [
        ("einsum", "", Unit),
        ("length forgotten", "missing term", UnitNoLength),
        ("y outside the sum forgotten", "missing term", UnitOnce),
    ],
)

EIGHTH = ROWS[_before:]
del ROWS[_before:]
