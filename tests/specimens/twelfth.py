"""The twelfth set: what students hand in, by a hand that has not read the diagnosis.

Written without opening the diagnosis, without running the check on it, and kept back; scored by
the rule of ``third.py``.  A mistake stands in the code as its author has it.  A script of its own
compared each row with central differences: the right ones agree, the wrong ones do not, or do to
their surroundings what their label says.
"""

# ruff: noqa: E501, RUF059 (a row a line; a cache is unpacked whole)
# fmt: off
from math import erf, pi, sqrt

import numpy as np

from specimens.table import ROWS, alone, classes, group, normal, pairs, uniform
from tinygan import Layer, Parameter

_before = len(ROWS)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


# an affine layer, from a homework file


def affine_forward(x, w, b):
    N = x.shape[0]
    out = x.reshape(N, -1).dot(w) + b
    cache = (x, w, b)
    return out, cache


hw = pairs("affine homework", affine_forward, normal((4, 2, 3), (6, 6), (6,)))


@hw("as the notebook has it")
def affine_backward_1(dout, cache):
    x, w, b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


@hw("sample by sample")
def affine_backward_2(dout, cache):
    x, w, b = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for i in range(len(x)):
        dx[i] = (w @ dout[i]).reshape(x[i].shape)
        dw += np.outer(x[i].ravel(), dout[i])
        db += dout[i]
    return dx, dw, db


@hw("dx left flat", "wrong shape")
def affine_backward_3(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T)
    dw = x.reshape(len(x), -1).T.dot(dout)
    db = dout.sum(axis=0)
    return dx, dw, db


@hw("w not transposed", "transposed")
def affine_backward_4(dout, cache):
    x, w, b = cache
    dx = dout.dot(w).reshape(x.shape)
    dw = x.reshape(len(x), -1).T.dot(dout)
    db = dout.sum(axis=0)
    return dx, dw, db


@hw("dw the other way round", "transposed")
def affine_backward_5(dout, cache):
    x, w, b = cache
    X = x.reshape(len(x), -1)
    dx = dout.dot(w.T).reshape(x.shape)
    dw = dout.T.dot(X)
    db = dout.sum(axis=0)
    return dx, dw, db


@hw("db over axis 1", "wrong axis|wrong shape")
def affine_backward_6(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T.dot(dout)
    db = np.sum(dout, axis=1)
    return dx, dw, db


@hw("dw averaged over the batch", "constant factor")
def affine_backward_7(dout, cache):
    x, w, b = cache
    m = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(m, -1).T.dot(dout) / m
    db = np.sum(dout, axis=0)
    return dx, dw, db


@hw("everything averaged", "constant factor")
def affine_backward_8(dout, cache):
    x, w, b = cache
    m = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape) / m
    dw = x.reshape(m, -1).T.dot(dout) / m
    db = np.mean(dout, axis=0)
    return dx, dw, db


@hw("dw of the last sample", "assigned|missing term")
def affine_backward_9(dout, cache):
    x, w, b = cache
    dx = np.zeros_like(x)
    db = np.zeros_like(b)
    for i in range(len(x)):
        dx[i] = (w @ dout[i]).reshape(x[i].shape)
        dw = np.outer(x[i].ravel(), dout[i])
        db += dout[i]
    return dx, dw, db


@hw("db counts the batch", "upstream ignored")
def affine_backward_10(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T.dot(dout)
    db = np.ones(b.shape) * len(x)
    return dx, dw, db


@hw("dx with the bias", "extra term")
def affine_backward_11(dout, cache):
    x, w, b = cache
    dx = (dout.dot(w.T) + b).reshape(x.shape)
    dw = x.reshape(len(x), -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


@hw("returned in another order", "wrong shape|wrong tensor")
def affine_backward_12(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dw, db, dx


@hw("reshaped to x.shape[1]", "exception")
def affine_backward_13(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape[0], x.shape[1])
    dw = x.reshape(len(x), -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


# linear, ReLU, linear: gradients in a dictionary


net = classes("two-layer network", normal((6, 4)))


@net("tanh")
class TwoLayerNet:
    def __init__(self):
        rng = np.random.default_rng(3)
        self.params = {"W1": rng.standard_normal((4, 5)), "b1": rng.standard_normal(5), "W2": rng.standard_normal((5, 3)), "b2": rng.standard_normal(3)}
        self.grads = {}

    def forward(self, X):
        W1, b1, W2, b2 = self.params["W1"], self.params["b1"], self.params["W2"], self.params["b2"]
        self.X = X
        self.h = np.tanh(X @ W1 + b1)
        return self.h @ W2 + b2

    def backward(self, dscores):
        dh = dscores @ self.params["W2"].T
        da = dh * (1 - self.h * self.h)
        self.grads["W2"] = self.h.T @ dscores
        self.grads["b2"] = dscores.sum(axis=0)
        self.grads["W1"] = self.X.T @ da
        self.grads["b1"] = da.sum(axis=0)
        return da @ self.params["W1"].T


@net("W1 before the tanh's slope", "missing term|wrong tensor")
class TwoLayerNetDh(TwoLayerNet):
    def backward(self, dscores):
        dh = dscores @ self.params["W2"].T
        da = dh * (1 - self.h * self.h)
        self.grads["W2"] = self.h.T @ dscores
        self.grads["b2"] = dscores.sum(axis=0)
        self.grads["W1"] = self.X.T @ dh
        self.grads["b1"] = da.sum(axis=0)
        return da @ self.params["W1"].T


@net("b1 before the tanh's slope", "missing term|wrong tensor")
class TwoLayerNetB1(TwoLayerNet):
    def backward(self, dscores):
        dh = dscores @ self.params["W2"].T
        self.grads["W2"] = self.h.T @ dscores
        self.grads["b2"] = dscores.sum(axis=0)
        self.grads["b1"] = dh.sum(axis=0)
        dh = dh * (1 - self.h * self.h)
        self.grads["W1"] = self.X.T @ dh
        return dh @ self.params["W1"].T


@net("slope of tanh taken at h", "wrong tensor|wrong formula")
class TwoLayerNetTwice(TwoLayerNet):
    def backward(self, dscores):
        dh = dscores @ self.params["W2"].T
        da = dh * (1 - np.tanh(self.h) ** 2)
        self.grads["W2"] = self.h.T @ dscores
        self.grads["b2"] = dscores.sum(axis=0)
        self.grads["W1"] = self.X.T @ da
        self.grads["b1"] = da.sum(axis=0)
        return da @ self.params["W1"].T


@net("slope of the sigmoid", "wrong formula|wrong tensor")
class TwoLayerNetSigmoid(TwoLayerNet):
    def backward(self, dscores):
        dh = dscores @ self.params["W2"].T
        da = dh * self.h * (1 - self.h)
        self.grads["W2"] = self.h.T @ dscores
        self.grads["b2"] = dscores.sum(axis=0)
        self.grads["W1"] = self.X.T @ da
        self.grads["b1"] = da.sum(axis=0)
        return da @ self.params["W1"].T


@net("regularised in the gradient alone", "extra term")
class TwoLayerNetReg(TwoLayerNet):
    def backward(self, dscores):
        reg = 0.5
        dh = dscores @ self.params["W2"].T
        da = dh * (1 - self.h * self.h)
        self.grads["W2"] = self.h.T @ dscores + 2 * reg * self.params["W2"]
        self.grads["b2"] = dscores.sum(axis=0)
        self.grads["W1"] = self.X.T @ da + 2 * reg * self.params["W1"]
        self.grads["b1"] = da.sum(axis=0)
        return da @ self.params["W1"].T


@net("b1 from b2's sum", "wrong shape|wrong tensor")
class TwoLayerNetCopied(TwoLayerNet):
    def backward(self, dscores):
        dh = dscores @ self.params["W2"].T
        da = dh * (1 - self.h * self.h)
        self.grads["W2"] = self.h.T @ dscores
        self.grads["b2"] = dscores.sum(axis=0)
        self.grads["W1"] = self.X.T @ da
        self.grads["b1"] = dscores.sum(axis=0)
        return da @ self.params["W1"].T


# softmax alone


def softmax_forward(z):
    z = z - z.max(axis=1, keepdims=True)
    e = np.exp(z)
    s = e / e.sum(axis=1, keepdims=True)
    return s, s


sm = pairs("softmax by rows", softmax_forward, normal((4, 5)))


@sm("Jacobian of each row")
def softmax_backward_1(dout, s):
    dz = np.zeros_like(s)
    for i in range(s.shape[0]):
        p = s[i].reshape(-1, 1)
        J = np.diagflat(p) - p @ p.T
        dz[i] = J @ dout[i]
    return dz


@sm("inner product")
def softmax_backward_2(dout, s):
    inner = np.sum(dout * s, axis=1, keepdims=True)
    return s * (dout - inner)


@sm("the diagonal alone", "missing term")
def softmax_backward_3(dout, s):
    return dout * s * (1 - s)


@sm("inner product over the batch", "wrong axis")
def softmax_backward_4(dout, s):
    inner = np.sum(dout * s, axis=0, keepdims=True)
    return s * (dout - inner)


@sm("inner product over everything", "wrong axis")
def softmax_backward_5(dout, s):
    return s * (dout - np.sum(dout * s))


@sm("sum of dout without s", "missing term")
def softmax_backward_6(dout, s):
    inner = np.sum(dout, axis=1, keepdims=True)
    return s * (dout - inner)


@sm("mean for sum", "constant factor|wrong formula|missing term")
def softmax_backward_7(dout, s):
    inner = np.mean(dout * s, axis=1, keepdims=True)
    return s * (dout - inner)


@sm("outer factor s forgotten", "missing term")
def softmax_backward_8(dout, s):
    inner = np.sum(dout * s, axis=1, keepdims=True)
    return dout - inner


@sm("plus the outer product", "constant factor|wrong formula|missing term")
def softmax_backward_9(dout, s):
    dz = np.zeros_like(s)
    for i in range(s.shape[0]):
        p = s[i].reshape(-1, 1)
        J = np.diagflat(p) + p @ p.T
        dz[i] = J @ dout[i]
    return dz


@sm("one row's Jacobian for all", "wrong tensor|assigned")
def softmax_backward_10(dout, s):
    p = s[0].reshape(-1, 1)
    J = np.diagflat(p) - p @ p.T
    return dout @ J


@sm("no keepdims", "exception")
def softmax_backward_11(dout, s):
    inner = np.sum(dout * s, axis=1)
    return s * (dout - inner)


@sm("in place on dout", "upstream overwritten")
def softmax_backward_12(dout, s):
    dout *= s
    return dout - s * np.sum(dout, axis=1, keepdims=True)


# cross-entropy with integer labels


ce = alone("softmax loss", lambda rng: (1.5 * rng.standard_normal((6, 4)), np.array([2, 0, 3, 3, 1, 2])))


@ce("from the notebook")
def softmax_loss_1(x, y):
    N = x.shape[0]
    shifted = x - np.max(x, axis=1, keepdims=True)
    log_probs = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = np.exp(log_probs)
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


@ce("one-hot")
def softmax_loss_2(x, y):
    onehot = np.eye(x.shape[1])[y]
    p = softmax(x)
    loss = -np.mean(np.sum(onehot * np.log(p), axis=1))
    return loss, (p - onehot) / len(x)


@ce("not divided by N", "constant factor")
def softmax_loss_3(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(N), y]))
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    return loss, dx


@ce("divided by all the elements", "constant factor")
def softmax_loss_4(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(N), y]))
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    return loss, dx / x.size


@ce("one minus p", "constant factor")
def softmax_loss_5(x, y):
    onehot = np.eye(x.shape[1])[y]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(len(x)), y]))
    return loss, (onehot - p) / len(x)


@ce("labels never subtracted", "missing term")
def softmax_loss_6(x, y):
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(len(x)), y]))
    return loss, p / len(x)


@ce("subtracted after the division", "constant factor|wrong formula|missing term|extra term")
def softmax_loss_7(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(N), y]))
    dx = p / N
    dx[np.arange(N), y] -= 1
    return loss, dx


@ce("only the right class", "missing term|wrong mask")
def softmax_loss_8(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(N), y]))
    dx = np.zeros_like(x)
    dx[np.arange(N), y] = p[np.arange(N), y] - 1
    return loss, dx / N


@ce("multiplied by the softmax's slope", "extra term")
def softmax_loss_9(x, y):
    onehot = np.eye(x.shape[1])[y]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(len(x)), y]))
    dx = (p - onehot) * p * (1 - p) / len(x)
    return loss, dx


@ce("scores for probabilities", "wrong tensor")
def softmax_loss_10(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(N), y]))
    dx = x.copy()
    dx[np.arange(N), y] -= 1
    return loss, dx / N


@ce("softmax over the batch in the gradient", "wrong axis")
def softmax_loss_11(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(N), y]))
    e = np.exp(x)
    dx = e / np.sum(e, axis=0)
    dx[np.arange(N), y] -= 1
    return loss, dx / N


@ce("subtracted from the scores", "input overwritten")
def softmax_loss_12(x, y):
    N = x.shape[0]
    x -= np.max(x, axis=1, keepdims=True)
    p = np.exp(x) / np.sum(np.exp(x), axis=1, keepdims=True)
    loss = -np.mean(np.log(p[np.arange(N), y]))
    p[np.arange(N), y] -= 1
    return loss, p / N


@ce("whole columns subtracted", "wrong mask|wrong formula|extra term|wrong axis")
def softmax_loss_13(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(N), y]))
    dx = p.copy()
    dx[:, y] -= 1
    return loss, dx / N


@ce("gradient in the scores' integers", "integer arithmetic")
def softmax_loss_14(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.mean(np.log(p[np.arange(N), y]))
    dx = np.zeros(x.shape, dtype=y.dtype)
    for i in range(N):
        for j in range(x.shape[1]):
            dx[i, j] = 10 * (p[i, j] - (y[i] == j))
    return loss, dx / (10 * N)


# binary cross-entropy of probabilities


def bce_forward(p, t):
    loss = -(t * np.log(p) + (1 - t) * np.log(1 - p)).mean()
    return loss, (p, t)


bce = pairs("binary cross-entropy", bce_forward, lambda rng: (rng.uniform(0.1, 0.9, (4, 3)), (rng.random((4, 3)) < 0.5) * 1.0))


@bce("one fraction")
def bce_backward_1(dout, cache):
    p, t = cache
    return dout * (p - t) / (p * (1 - p)) / p.size


@bce("two fractions")
def bce_backward_2(dout, cache):
    p, t = cache
    dp = -t / p + (1 - t) / (1 - p)
    return dout * dp / p.size


@bce("as if of logits", "missing term")
def bce_backward_3(dout, cache):
    p, t = cache
    return dout * (p - t) / p.size


@bce("second fraction's sign", "constant factor|wrong formula")
def bce_backward_4(dout, cache):
    p, t = cache
    return dout * (-t / p - (1 - t) / (1 - p)) / p.size


@bce("second fraction forgotten", "missing term")
def bce_backward_5(dout, cache):
    p, t = cache
    return dout * (-t / p) / p.size


@bce("divided by the batch alone", "constant factor")
def bce_backward_6(dout, cache):
    p, t = cache
    return dout * (p - t) / (p * (1 - p)) / len(p)


@bce("dout never used", "upstream ignored")
def bce_backward_7(dout, cache):
    p, t = cache
    return (p - t) / (p * (1 - p)) / p.size


@bce("p and t exchanged", "wrong tensor|wrong formula|not finite")
def bce_backward_8(dout, cache):
    t, p = cache
    return dout * (p - t) / (p * (1 - p)) / p.size


@bce("in float32", "float32")
def bce_backward_9(dout, cache):
    p, t = cache
    p = p.astype(np.float32)
    t = t.astype(np.float32)
    dp = (p - t) / (p * (1 - p)) / p.size
    return dp * np.float32(dout)


# multiclass hinge loss


svm = alone("SVM loss", lambda rng: (1.5 * rng.standard_normal((5, 4)), np.array([1, 3, 0, 2, 1])))


@svm("vectorised")
def svm_loss_1(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    dx[np.arange(N), y] -= np.sum(margins > 0, axis=1)
    return loss, dx / N


@svm("two loops")
def svm_loss_2(x, y):
    loss = 0.0
    dx = np.zeros(x.shape)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if j == y[i]:
                continue
            margin = x[i, j] - x[i, y[i]] + 1
            if margin > 0:
                loss += margin
                dx[i, j] += 1
                dx[i, y[i]] -= 1
    return loss / len(x), dx / len(x)


@svm("right class only once", "missing term|assigned|constant factor")
def svm_loss_3(x, y):
    loss = 0.0
    dx = np.zeros(x.shape)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if j == y[i]:
                continue
            margin = x[i, j] - x[i, y[i]] + 1
            if margin > 0:
                loss += margin
                dx[i, j] += 1
                dx[i, y[i]] = -1
    return loss / len(x), dx / len(x)


@svm("right class never", "missing term")
def svm_loss_4(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    dx = np.zeros_like(x)
    dx[margins > 0] = 1
    return loss, dx / N


@svm("mask of positive scores", "wrong mask|wrong tensor")
def svm_loss_5(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    dx = (x > 0) * 1.0
    dx[np.arange(N), y] = 0
    dx[np.arange(N), y] -= np.sum(x > 0, axis=1)
    return loss, dx / N


@svm("margins for their mask", "wrong tensor|wrong mask|extra term|wrong formula")
def svm_loss_6(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    dx = margins.copy()
    dx[np.arange(N), y] -= np.sum(margins, axis=1)
    return loss, dx / N


@svm("margin forgotten in the mask", "wrong mask|missing term")
def svm_loss_7(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    mask = (x - correct[:, None] > 0) * 1.0
    mask[np.arange(N), y] = -np.sum(mask, axis=1)
    return loss, mask / N


@svm("wrong classes counted over the batch", "exception|wrong axis")
def svm_loss_8(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    dx = (margins > 0) * 1.0
    dx[np.arange(N), y] -= np.sum(margins > 0, axis=0)
    return loss, dx / N


@svm("floor division by N", "integer arithmetic")
def svm_loss_9(x, y):
    N = x.shape[0]
    correct = x[np.arange(N), y]
    margins = np.maximum(0, x - correct[:, None] + 1.0)
    margins[np.arange(N), y] = 0
    loss = np.sum(margins) / N
    dx = (margins > 0).astype(int)
    dx[np.arange(N), y] -= np.sum(margins > 0, axis=1)
    return loss, dx // N


# pointwise functions


def gelu_forward(x):
    """The approximation by tanh."""
    c = np.sqrt(2 / np.pi)
    t = np.tanh(c * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


gelu = pairs("GELU", gelu_forward, normal((4, 6)))


@gelu("product rule")
def gelu_backward_1(dout, cache):
    x, t = cache
    c = np.sqrt(2 / np.pi)
    dt = (1 - t**2) * c * (1 + 3 * 0.044715 * x**2)
    return dout * (0.5 * (1 + t) + 0.5 * x * dt)


@gelu("inner slope forgotten", "missing term")
def gelu_backward_2(dout, cache):
    x, t = cache
    c = np.sqrt(2 / np.pi)
    dt = (1 - t**2) * c
    return dout * (0.5 * (1 + t) + 0.5 * x * dt)


@gelu("three of the cube forgotten", "constant factor|wrong formula|missing term")
def gelu_backward_3(dout, cache):
    x, t = cache
    c = np.sqrt(2 / np.pi)
    dt = (1 - t**2) * c * (1 + 0.044715 * x**2)
    return dout * (0.5 * (1 + t) + 0.5 * x * dt)


@gelu("second half of the product rule forgotten", "missing term")
def gelu_backward_4(dout, cache):
    x, t = cache
    return dout * 0.5 * (1 + t)


@gelu("slope of the sigmoid's approximation", "wrong formula")
def gelu_backward_5(dout, cache):
    x, t = cache
    s = sigmoid(1.702 * x)
    return dout * (s + 1.702 * x * s * (1 - s))


@gelu("x of the product rule forgotten", "missing term")
def gelu_backward_6(dout, cache):
    x, t = cache
    c = np.sqrt(2 / np.pi)
    dt = (1 - t**2) * c * (1 + 3 * 0.044715 * x**2)
    return dout * (0.5 * (1 + t) + 0.5 * dt)


exact = alone("exact GELU", normal((5, 3)))


@exact("density of the normal distribution")
def gelu_1(x):
    cdf = 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))

    def backward(dout):
        pdf = np.exp(-0.5 * x**2) / sqrt(2 * pi)
        return dout * (cdf + x * pdf)

    return x * cdf, backward


@exact("half in the density's exponent forgotten", "wrong formula|constant factor")
def gelu_2(x):
    cdf = 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))

    def backward(dout):
        pdf = np.exp(-x**2) / sqrt(2 * pi)
        return dout * (cdf + x * pdf)

    return x * cdf, backward


@exact("density not normalised", "constant factor|missing term|wrong formula")
def gelu_3(x):
    cdf = 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))

    def backward(dout):
        return dout * (cdf + x * np.exp(-0.5 * x**2))

    return x * cdf, backward


@exact("a function of the output", "wrong tensor")
def gelu_4(x):
    y = x * 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))

    def backward(dout):
        cdf = 0.5 * (1 + np.vectorize(erf)(y / sqrt(2)))
        return dout * (cdf + y * np.exp(-0.5 * y**2) / sqrt(2 * pi))

    return y, backward


class SoftplusBase:
    beta = 2.0

    def forward(self, x):
        self.x = x
        self.y = np.logaddexp(0, self.beta * x) / self.beta
        return self.y


sp = classes("softplus", normal((3, 5)))


@sp("sigmoid of beta x")
class Softplus1(SoftplusBase):
    def backward(self, grad):
        return grad / (1 + np.exp(-self.beta * self.x))


@sp("beta forgotten", "wrong formula|missing term|constant factor")
class Softplus2(SoftplusBase):
    def backward(self, grad):
        return grad / (1 + np.exp(-self.x))


@sp("multiplied by beta", "constant factor|extra term")
class Softplus3(SoftplusBase):
    def backward(self, grad):
        return grad * self.beta / (1 + np.exp(-self.beta * self.x))


@sp("sigmoid of the output", "wrong tensor")
class Softplus4(SoftplusBase):
    def backward(self, grad):
        return grad / (1 + np.exp(-self.beta * self.y))


@sp("sign of the exponent", "wrong formula|constant factor|wrong tensor")
class Softplus5(SoftplusBase):
    def backward(self, grad):
        return grad / (1 + np.exp(self.beta * self.x))


@sp("slope of the sigmoid", "extra term|wrong formula")
class Softplus6(SoftplusBase):
    def backward(self, grad):
        s = 1 / (1 + np.exp(-self.beta * self.x))
        return grad * s * (1 - s)


naive = pairs("softplus of large numbers", lambda x: (np.logaddexp(0, x), x), uniform(750, 900, (3, 4)))


@naive("exp over 1 + exp", "not finite")
def softplus_backward_naive(dout, x):
    e = np.exp(x)
    return dout * e / (1 + e)


def elu_forward(x, alpha=1.5):
    out = np.where(x > 0, x, alpha * (np.exp(x) - 1))
    return out, (x, out, alpha)


elu = pairs("ELU", lambda x: elu_forward(x), normal((4, 5)))


@elu("out plus alpha")
def elu_backward_1(dout, cache):
    x, out, alpha = cache
    dx = dout.copy()
    neg = x < 0
    dx[neg] *= out[neg] + alpha
    return dx


@elu("alpha forgotten", "constant factor|missing term")
def elu_backward_2(dout, cache):
    x, out, alpha = cache
    return np.where(x > 0, dout, dout * np.exp(x))


@elu("plus one for plus alpha", "wrong formula|constant factor|missing term|extra term")
def elu_backward_3(dout, cache):
    x, out, alpha = cache
    return np.where(x > 0, dout, dout * (out + 1))


@elu("out without alpha", "missing term")
def elu_backward_4(dout, cache):
    x, out, alpha = cache
    return np.where(x > 0, dout, dout * out)


@elu("negative side does not pass", "missing term|wrong mask")
def elu_backward_5(dout, cache):
    x, out, alpha = cache
    return dout * (x > 0)


@elu("alpha exp on both sides", "wrong mask|missing term")
def elu_backward_6(dout, cache):
    x, out, alpha = cache
    return dout * alpha * np.exp(x)


@elu("positive side passes one", "upstream ignored|missing term")
def elu_backward_7(dout, cache):
    x, out, alpha = cache
    return np.where(x > 0, 1.0, dout * (out + alpha))


@elu("exp on the positive side", "wrong mask")
def elu_backward_8(dout, cache):
    x, out, alpha = cache
    dx = dout.copy()
    dx[x > 0] *= alpha * np.exp(x[x > 0])
    return dx


def prelu_forward(x, a):
    """A slope for each of the last axis's channels."""
    return np.maximum(x, 0) + a * np.minimum(x, 0), (x, a)


prelu = pairs("PReLU", prelu_forward, lambda rng: (normal((3, 4, 5))(rng)[0], rng.uniform(0.1, 0.9, 5)))


@prelu("masks")
def prelu_backward_1(dout, cache):
    x, a = cache
    dx = dout * ((x > 0) + a * (x <= 0))
    da = np.sum(dout * np.minimum(x, 0), axis=(0, 1))
    return dx, da


@prelu("da of one axis", "wrong shape|wrong axis")
def prelu_backward_2(dout, cache):
    x, a = cache
    dx = dout * ((x > 0) + a * (x <= 0))
    da = np.sum(dout * np.minimum(x, 0), axis=0)
    return dx, da


@prelu("da of the positive side", "wrong mask|wrong tensor")
def prelu_backward_3(dout, cache):
    x, a = cache
    dx = dout * ((x > 0) + a * (x <= 0))
    da = np.sum(dout * np.maximum(x, 0), axis=(0, 1))
    return dx, da


@prelu("da unmasked", "wrong mask|extra term|missing term|wrong tensor")
def prelu_backward_4(dout, cache):
    x, a = cache
    dx = dout * ((x > 0) + a * (x <= 0))
    da = np.sum(dout * x, axis=(0, 1))
    return dx, da


@prelu("da from dx", "extra term|wrong tensor")
def prelu_backward_5(dout, cache):
    x, a = cache
    dx = dout * np.where(x > 0, 1, a)
    da = np.sum(dx * np.minimum(x, 0), axis=(0, 1))
    return dx, da


@prelu("a treated as a constant", "missing gradient")
def prelu_backward_6(dout, cache):
    x, a = cache
    dx = dout * np.where(x > 0, 1, a)
    return dx, np.zeros_like(a)


@prelu("as a plain ReLU", "missing term|wrong mask")
def prelu_backward_7(dout, cache):
    x, a = cache
    dx = dout * (x > 0)
    da = np.sum(dout * np.minimum(x, 0), axis=(0, 1))
    return dx, da


def glu_forward(x):
    a, b = np.split(x, 2, axis=-1)
    s = sigmoid(b)
    return a * s, (a, s)


glu = pairs("GLU", glu_forward, normal((4, 8)))


@glu("two halves")
def glu_backward_1(dout, cache):
    a, s = cache
    da = dout * s
    db = dout * a * s * (1 - s)
    return np.concatenate([da, db], axis=-1)


@glu("slope of the gate forgotten", "missing term")
def glu_backward_2(dout, cache):
    a, s = cache
    return np.concatenate([dout * s, dout * a], axis=-1)


@glu("a forgotten", "missing term")
def glu_backward_3(dout, cache):
    a, s = cache
    return np.concatenate([dout * s, dout * s * (1 - s)], axis=-1)


@glu("halves exchanged", "wrong tensor|wrong formula")
def glu_backward_4(dout, cache):
    a, s = cache
    da = dout * s
    db = dout * a * s * (1 - s)
    return np.concatenate([db, da], axis=-1)


@glu("joined along the batch", "wrong shape|wrong axis")
def glu_backward_5(dout, cache):
    a, s = cache
    return np.concatenate([dout * s, dout * a * s * (1 - s)])


@glu("sigmoid of the gate again", "wrong tensor|wrong formula")
def glu_backward_6(dout, cache):
    a, s = cache
    g = sigmoid(s)
    return np.concatenate([dout * s, dout * a * g * (1 - g)], axis=-1)


@glu("the gate alone", "wrong shape|missing gradient")
def glu_backward_7(dout, cache):
    a, s = cache
    return dout * s


@glu("tanh's slope for the sigmoid's", "wrong formula|wrong tensor|missing term")
def glu_backward_8(dout, cache):
    a, s = cache
    return np.concatenate([dout * s, dout * a * (1 - s**2)], axis=-1)


# pooling: (N, C, H, W)


def max_pool_forward(x, pool=2, stride=2):
    N, C, H, W = x.shape
    out = np.zeros((N, C, (H - pool) // stride + 1, (W - pool) // stride + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = x[:, :, i * stride:i * stride + pool, j * stride:j * stride + pool].max(axis=(2, 3))
    return out, (x, pool, stride)


mp = pairs("max pooling that overlaps", lambda x: max_pool_forward(x, 3, 2), normal((2, 2, 7, 7)))


@mp("loops and a mask")
def max_pool_backward_1(dout, cache):
    x, p, s = cache
    dx = np.zeros_like(x)
    N, C, Ho, Wo = dout.shape
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    win = x[n, c, i * s:i * s + p, j * s:j * s + p]
                    dx[n, c, i * s:i * s + p, j * s:j * s + p] += (win == win.max()) * dout[n, c, i, j]
    return dx


@mp("argmax")
def max_pool_backward_2(dout, cache):
    x, p, s = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        win = x[n, c, i * s:i * s + p, j * s:j * s + p]
        a, b = np.unravel_index(win.argmax(), win.shape)
        dx[n, c, i * s + a, j * s + b] += dout[n, c, i, j]
    return dx


@mp("assigned where windows overlap", "assigned|missing term")
def max_pool_backward_3(dout, cache):
    x, p, s = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        win = x[n, c, i * s:i * s + p, j * s:j * s + p]
        dx[n, c, i * s:i * s + p, j * s:j * s + p] = (win == win.max()) * dout[n, c, i, j]
    return dx


@mp("stride forgotten", "stride or padding")
def max_pool_backward_4(dout, cache):
    x, p, s = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        win = x[n, c, i:i + p, j:j + p]
        dx[n, c, i:i + p, j:j + p] += (win == win.max()) * dout[n, c, i, j]
    return dx


@mp("no mask", "wrong mask|missing term")
def max_pool_backward_5(dout, cache):
    x, p, s = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        dx[n, c, i * s:i * s + p, j * s:j * s + p] += dout[n, c, i, j]
    return dx


@mp("maximum of the batch's windows", "wrong axis|wrong mask")
def max_pool_backward_6(dout, cache):
    x, p, s = cache
    dx = np.zeros_like(x)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            win = x[:, :, i * s:i * s + p, j * s:j * s + p]
            mask = win == win.max()
            dx[:, :, i * s:i * s + p, j * s:j * s + p] += mask * dout[:, :, i, j][:, :, None, None]
    return dx


@mp("the maximum itself", "extra term|wrong mask|wrong tensor")
def max_pool_backward_7(dout, cache):
    x, p, s = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(dout.shape):
        win = x[n, c, i * s:i * s + p, j * s:j * s + p]
        dx[n, c, i * s:i * s + p, j * s:j * s + p] += win * (win == win.max()) * dout[n, c, i, j]
    return dx


@mp("last window left out", "stride or padding|missing term")
def max_pool_backward_8(dout, cache):
    x, p, s = cache
    N, C, H, W = x.shape
    dx = np.zeros_like(x)
    for i in range((H - p) // s):
        for j in range((W - p) // s):
            win = x[:, :, i * s:i * s + p, j * s:j * s + p]
            mask = win == win.max(axis=(2, 3), keepdims=True)
            dx[:, :, i * s:i * s + p, j * s:j * s + p] += mask * dout[:, :, i:i + 1, j:j + 1]
    return dx


class AvgPoolBase:
    def forward(self, x):
        self.shape = x.shape
        N, C, H, W = x.shape
        return x.reshape(N, C, H // 2, 2, W // 3, 3).mean(axis=(3, 5))


ap = classes("average pooling 2 by 3", normal((2, 2, 4, 6)))


@ap("np.repeat")
class AvgPool1(AvgPoolBase):
    def backward(self, dout):
        return np.repeat(np.repeat(dout, 2, axis=2), 3, axis=3) / 6


@ap("loops")
class AvgPool2(AvgPoolBase):
    def backward(self, dout):
        dx = np.zeros(self.shape)
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                dx[:, :, 2 * i:2 * i + 2, 3 * j:3 * j + 3] = dout[:, :, i, j, None, None] / 6
        return dx


@ap("not divided", "constant factor")
class AvgPool3(AvgPoolBase):
    def backward(self, dout):
        return dout.repeat(2, axis=2).repeat(3, axis=3)


@ap("divided by the sum of the sides", "constant factor")
class AvgPool4(AvgPoolBase):
    def backward(self, dout):
        return dout.repeat(2, axis=2).repeat(3, axis=3) / (2 + 3)


@ap("the sides exchanged", "wrong shape")
class AvgPool5(AvgPoolBase):
    def backward(self, dout):
        return dout.repeat(3, axis=2).repeat(2, axis=3) / 6


@ap("the corner of each window", "missing term|wrong mask|stride or padding")
class AvgPool6(AvgPoolBase):
    def backward(self, dout):
        dx = np.zeros(self.shape)
        dx[:, :, ::2, ::3] = dout / 6
        return dx


@ap("np.tile", "wrong formula|stride or padding|wrong tensor|wrong axis")
class AvgPool7(AvgPoolBase):
    def backward(self, dout):
        return np.tile(dout, (1, 1, 2, 3)) / 6


@ap("one over six in integers", "integer arithmetic|missing gradient|constant factor")
class AvgPool8(AvgPoolBase):
    def backward(self, dout):
        share = 1 // 6
        return np.repeat(np.repeat(dout, 2, axis=2), 3, axis=3) * share


# convolution


def conv_forward(x, w, b, stride=2, pad=1):
    N, C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, F, 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            win = xp[:, :, i * stride:i * stride + HH, j * stride:j * stride + WW]
            out[:, :, i, j] = np.tensordot(win, w, axes=((1, 2, 3), (1, 2, 3))) + b
    return out, (x, w, b, stride, pad)


cv = pairs("convolution by loops", lambda x, w, b: conv_forward(x, w, b), normal((2, 2, 5, 5), (3, 2, 3, 3), (3,)))


@cv("naive")
def conv_backward_1(dout, cache):
    x, w, b, s, pad = cache
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        dw[f] += dout[n, f, i, j] * xp[n, :, i * s:i * s + 3, j * s:j * s + 3]
        dxp[n, :, i * s:i * s + 3, j * s:j * s + 3] += dout[n, f, i, j] * w[f]
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


@cv("tensordot")
def conv_backward_2(dout, cache):
    x, w, b, s, pad = cache
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            d = dout[:, :, i, j]
            dw += np.tensordot(d.T, xp[:, :, i * s:i * s + 3, j * s:j * s + 3], axes=1)
            dxp[:, :, i * s:i * s + 3, j * s:j * s + 3] += np.tensordot(d, w, axes=1)
    db = dout.sum(axis=(0, 2, 3))
    return dxp[:, :, 1:-1, 1:-1], dw, db


@cv("padding left on", "wrong shape|stride or padding")
def conv_backward_3(dout, cache):
    x, w, b, s, pad = cache
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        dw[f] += dout[n, f, i, j] * xp[n, :, i * s:i * s + 3, j * s:j * s + 3]
        dxp[n, :, i * s:i * s + 3, j * s:j * s + 3] += dout[n, f, i, j] * w[f]
    return dxp, dw, dout.sum(axis=(0, 2, 3))


@cv("cropped on one side", "stride or padding")
def conv_backward_4(dout, cache):
    x, w, b, s, pad = cache
    N, C, H, W = x.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        dw[f] += dout[n, f, i, j] * xp[n, :, i * s:i * s + 3, j * s:j * s + 3]
        dxp[n, :, i * s:i * s + 3, j * s:j * s + 3] += dout[n, f, i, j] * w[f]
    return dxp[:, :, :H, :W], dw, dout.sum(axis=(0, 2, 3))


@cv("kernel flipped for dx", "flipped kernel")
def conv_backward_5(dout, cache):
    x, w, b, s, pad = cache
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        dw[f] += dout[n, f, i, j] * xp[n, :, i * s:i * s + 3, j * s:j * s + 3]
        dxp[n, :, i * s:i * s + 3, j * s:j * s + 3] += dout[n, f, i, j] * w[f, :, ::-1, ::-1]
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


@cv("dx assigned", "assigned|missing term")
def conv_backward_6(dout, cache):
    x, w, b, s, pad = cache
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        dw[f] += dout[n, f, i, j] * xp[n, :, i * s:i * s + 3, j * s:j * s + 3]
        dxp[n, :, i * s:i * s + 3, j * s:j * s + 3] = dout[n, f, i, j] * w[f]
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


@cv("dw assigned", "assigned|missing term")
def conv_backward_7(dout, cache):
    x, w, b, s, pad = cache
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        dw[f] = dout[n, f, i, j] * xp[n, :, i * s:i * s + 3, j * s:j * s + 3]
        dxp[n, :, i * s:i * s + 3, j * s:j * s + 3] += dout[n, f, i, j] * w[f]
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


@cv("stride forgotten in dw", "stride or padding")
def conv_backward_8(dout, cache):
    x, w, b, s, pad = cache
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        dw[f] += dout[n, f, i, j] * xp[n, :, i:i + 3, j:j + 3]
        dxp[n, :, i * s:i * s + 3, j * s:j * s + 3] += dout[n, f, i, j] * w[f]
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


@cv("db over the batch alone", "wrong shape|wrong axis")
def conv_backward_9(dout, cache):
    x, w, b, s, pad = cache
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        dw[f] += dout[n, f, i, j] * xp[n, :, i * s:i * s + 3, j * s:j * s + 3]
        dxp[n, :, i * s:i * s + 3, j * s:j * s + 3] += dout[n, f, i, j] * w[f]
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=0)


@cv("i and j exchanged in dx", "transposed")
def conv_backward_10(dout, cache):
    x, w, b, s, pad = cache
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for n, f, i, j in np.ndindex(dout.shape):
        dw[f] += dout[n, f, i, j] * xp[n, :, i * s:i * s + 3, j * s:j * s + 3]
        dxp[n, :, j * s:j * s + 3, i * s:i * s + 3] += dout[n, f, i, j] * w[f]
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


def conv1d_forward(x, w):
    """'valid', a channel, as in signal processing."""
    return np.stack([np.convolve(row, w, mode="valid") for row in x]), (x, w)


c1 = pairs("np.convolve", conv1d_forward, normal((3, 8), (3,)))


@c1("full with the kernel flipped")
def conv1d_backward_1(dout, cache):
    x, w = cache
    dx = np.stack([np.convolve(d, w[::-1], mode="full") for d in dout])
    dw = sum(np.convolve(x[i][::-1], dout[i], mode="valid") for i in range(len(x)))
    return dx, dw


@c1("full with the kernel as it is", "flipped kernel")
def conv1d_backward_2(dout, cache):
    x, w = cache
    dx = np.stack([np.convolve(d, w, mode="full") for d in dout])
    dw = sum(np.convolve(x[i][::-1], dout[i], mode="valid") for i in range(len(x)))
    return dx, dw


@c1("dw of the signal as it is", "flipped kernel")
def conv1d_backward_3(dout, cache):
    x, w = cache
    dx = np.stack([np.correlate(d, w, mode="full") for d in dout])
    dw = sum(np.correlate(x[i], dout[i], mode="valid") for i in range(len(x)))
    return dx, dw


@c1("mode same", "wrong shape|stride or padding")
def conv1d_backward_4(dout, cache):
    x, w = cache
    dx = np.stack([np.convolve(d, w[::-1], mode="same") for d in dout])
    dw = sum(np.convolve(x[i][::-1], dout[i], mode="valid") for i in range(len(x)))
    return dx, dw


@c1("cropped by a padding of zero", "empty slice|wrong shape")
def conv1d_backward_5(dout, cache):
    x, w = cache
    pad = 0
    dx = np.stack([np.convolve(d, w[::-1], mode="full") for d in dout])[:, pad:-pad]
    dw = sum(np.convolve(x[i][::-1], dout[i], mode="valid") for i in range(len(x)))
    return dx, dw


# transposed convolution


def convt_forward(x, w, stride=2):
    """x (N, C, H, W), w (C, F, 3, 3)."""
    N, C, H, W = x.shape
    out = np.zeros((N, w.shape[1], (H - 1) * stride + 3, (W - 1) * stride + 3))
    for i in range(H):
        for j in range(W):
            out[:, :, i * stride:i * stride + 3, j * stride:j * stride + 3] += np.einsum("nc,cfab->nfab", x[:, :, i, j], w)
    return out, (x, w)


ct = pairs("transposed convolution by loops", lambda x, w: convt_forward(x, w), normal((2, 2, 3, 3), (2, 2, 3, 3)))


@ct("windows of dout")
def convt_backward_1(dout, cache):
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            d = dout[:, :, 2 * i:2 * i + 3, 2 * j:2 * j + 3]
            dx[:, :, i, j] = np.einsum("nfab,cfab->nc", d, w)
            dw += np.einsum("nc,nfab->cfab", x[:, :, i, j], d)
    return dx, dw


@ct("stride forgotten", "stride or padding")
def convt_backward_2(dout, cache):
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            d = dout[:, :, i:i + 3, j:j + 3]
            dx[:, :, i, j] = np.einsum("nfab,cfab->nc", d, w)
            dw += np.einsum("nc,nfab->cfab", x[:, :, i, j], d)
    return dx, dw


@ct("kernel flipped as for a convolution", "flipped kernel")
def convt_backward_3(dout, cache):
    x, w = cache
    wf = w[:, :, ::-1, ::-1]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            d = dout[:, :, 2 * i:2 * i + 3, 2 * j:2 * j + 3]
            dx[:, :, i, j] = np.einsum("nfab,cfab->nc", d, wf)
            dw += np.einsum("nc,nfab->cfab", x[:, :, i, j], d)
    return dx, dw


@ct("channels of the kernel exchanged", "transposed")
def convt_backward_4(dout, cache):
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            d = dout[:, :, 2 * i:2 * i + 3, 2 * j:2 * j + 3]
            dx[:, :, i, j] = np.einsum("nfab,fcab->nc", d, w)
            dw += np.einsum("nc,nfab->cfab", x[:, :, i, j], d)
    return dx, dw


@ct("dw of the last pixel", "assigned|missing term")
def convt_backward_5(dout, cache):
    x, w = cache
    dx = np.zeros_like(x)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            d = dout[:, :, 2 * i:2 * i + 3, 2 * j:2 * j + 3]
            dx[:, :, i, j] = np.einsum("nfab,cfab->nc", d, w)
            dw = np.einsum("nc,nfab->cfab", x[:, :, i, j], d)
    return dx, dw


@ct("one pixel further", "stride or padding")
def convt_backward_6(dout, cache):
    x, w = cache
    d = np.pad(dout, ((0, 0), (0, 0), (1, 1), (1, 1)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            win = d[:, :, 2 * i:2 * i + 3, 2 * j:2 * j + 3]
            dx[:, :, i, j] = np.einsum("nfab,cfab->nc", win, w)
            dw += np.einsum("nc,nfab->cfab", x[:, :, i, j], win)
    return dx, dw


# normalisation


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=0)
    xmu = x - mu
    var = np.mean(xmu**2, axis=0)
    ivar = 1 / np.sqrt(var + eps)
    xhat = xmu * ivar
    return gamma * xhat + beta, (xhat, gamma, xmu, ivar)


bn = pairs("batch norm step by step", lambda x, g, b: batchnorm_forward(x, g, b), lambda rng: (0.5 + 1.7 * rng.standard_normal((6, 4)), rng.uniform(0.5, 2, 4), rng.standard_normal(4)))


@bn("graph of nine steps")
def batchnorm_backward_1(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N, D = dout.shape
    dbeta = np.sum(dout, axis=0)
    dgamma = np.sum(dout * xhat, axis=0)
    dxhat = dout * gamma
    divar = np.sum(dxhat * xmu, axis=0)
    dvar = -0.5 * ivar**3 * divar
    dxmu = dxhat * ivar + 2 / N * xmu * dvar
    dmu = -np.sum(dxmu, axis=0)
    return dxmu + dmu / N, dgamma, dbeta


@bn("one line")
def batchnorm_backward_2(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N = len(dout)
    dbeta = dout.sum(0)
    dgamma = (dout * xhat).sum(0)
    dx = gamma * ivar / N * (N * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


@bn("mean's path forgotten", "missing term")
def batchnorm_backward_3(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N, D = dout.shape
    dxhat = dout * gamma
    dvar = -0.5 * ivar**3 * np.sum(dxhat * xmu, axis=0)
    dx = dxhat * ivar + 2 / N * xmu * dvar
    return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


@bn("variance's path forgotten", "missing term")
def batchnorm_backward_4(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N, D = dout.shape
    dxhat = dout * gamma
    dmu = -np.sum(dxhat * ivar, axis=0)
    dx = dxhat * ivar + dmu / N
    return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


@bn("N of the mean forgotten", "constant factor|wrong formula|missing term|extra term")
def batchnorm_backward_5(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N, D = dout.shape
    dxhat = dout * gamma
    dvar = -0.5 * ivar**3 * np.sum(dxhat * xmu, axis=0)
    dxmu = dxhat * ivar + 2 / N * xmu * dvar
    dmu = -np.sum(dxmu, axis=0)
    return dxmu + dmu, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


@bn("gamma forgotten in dx", "missing term")
def batchnorm_backward_6(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N = len(dout)
    dbeta = dout.sum(0)
    dgamma = (dout * xhat).sum(0)
    dx = ivar / N * (N * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


@bn("dgamma of the unscaled x", "wrong tensor|missing term")
def batchnorm_backward_7(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N = len(dout)
    dbeta = dout.sum(0)
    dgamma = (dout * xmu).sum(0)
    dx = gamma * ivar / N * (N * dout - dbeta - xhat * (dout * xhat).sum(0))
    return dx, dgamma, dbeta


@bn("dgamma and dbeta not summed", "wrong shape")
def batchnorm_backward_8(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N = len(dout)
    dbeta = dout
    dgamma = dout * xhat
    dx = gamma * ivar / N * (N * dout - dbeta.sum(0) - xhat * dgamma.sum(0))
    return dx, dgamma, dbeta


@bn("power of the variance", "wrong formula|missing term|wrong tensor")
def batchnorm_backward_9(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N, D = dout.shape
    dxhat = dout * gamma
    dvar = -0.5 * ivar**2 * np.sum(dxhat * xmu, axis=0)
    dxmu = dxhat * ivar + 2 / N * xmu * dvar
    dmu = -np.sum(dxmu, axis=0)
    return dxmu + dmu / N, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


@bn("N of the features", "constant factor|wrong formula|missing term|wrong axis|extra term")
def batchnorm_backward_10(dout, cache):
    xhat, gamma, xmu, ivar = cache
    N = dout.shape[1]
    dbeta = dout.sum(0)
    dgamma = (dout * xhat).sum(0)
    dx = gamma * ivar / N * (N * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


class LayerNormBase(Layer):
    def __init__(self):
        self.gamma = Parameter(np.array([0.5, 1.5, -1.0, 2.0, 0.8]))
        self.beta = Parameter(np.array([0.3, -0.2, 0.0, 0.1, 1.0]))

    def forward(self, x):
        mu = x.mean(axis=-1, keepdims=True)
        std = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        xhat = (x - mu) / std
        return self.gamma.data * xhat + self.beta.data, (xhat, std)


ln = classes("layer norm", normal((2, 3, 5)))


@ln("means of the last axis")
class LayerNorm1(LayerNormBase):
    def backward(self, dy, cache):
        xhat, std = cache
        self.gamma.grad += (dy * xhat).sum(axis=(0, 1))
        self.beta.grad += dy.sum(axis=(0, 1))
        d = dy * self.gamma.data
        return (d - d.mean(-1, keepdims=True) - xhat * (d * xhat).mean(-1, keepdims=True)) / std


@ln("copied from batch norm", "wrong axis")
class LayerNorm2(LayerNormBase):
    def backward(self, dy, cache):
        xhat, std = cache
        self.gamma.grad += (dy * xhat).sum(axis=(0, 1))
        self.beta.grad += dy.sum(axis=(0, 1))
        d = dy * self.gamma.data
        return (d - d.mean((0, 1), keepdims=True) - xhat * (d * xhat).mean((0, 1), keepdims=True)) / std


@ln("gamma after the means", "wrong formula|wrong tensor|missing term")
class LayerNorm3(LayerNormBase):
    def backward(self, dy, cache):
        xhat, std = cache
        self.gamma.grad += (dy * xhat).sum(axis=(0, 1))
        self.beta.grad += dy.sum(axis=(0, 1))
        return self.gamma.data * (dy - dy.mean(-1, keepdims=True) - xhat * (dy * xhat).mean(-1, keepdims=True)) / std


@ln("sums for means", "constant factor|wrong formula|missing term|extra term")
class LayerNorm4(LayerNormBase):
    def backward(self, dy, cache):
        xhat, std = cache
        self.gamma.grad += (dy * xhat).sum(axis=(0, 1))
        self.beta.grad += dy.sum(axis=(0, 1))
        d = dy * self.gamma.data
        return (d - d.sum(-1, keepdims=True) - xhat * (d * xhat).sum(-1, keepdims=True)) / std


@ln("both assigned", "assigned")
class LayerNorm5(LayerNormBase):
    def backward(self, dy, cache):
        xhat, std = cache
        self.gamma.grad = (dy * xhat).sum(axis=(0, 1))
        self.beta.grad = dy.sum(axis=(0, 1))
        d = dy * self.gamma.data
        return (d - d.mean(-1, keepdims=True) - xhat * (d * xhat).mean(-1, keepdims=True)) / std


@ln("std kept on self", "shared cache")
class LayerNorm6(LayerNormBase):
    def forward(self, x):
        y, (xhat, self.std) = super().forward(x)
        return y, xhat

    def backward(self, dy, xhat):
        self.gamma.grad += (dy * xhat).sum(axis=(0, 1))
        self.beta.grad += dy.sum(axis=(0, 1))
        d = dy * self.gamma.data
        return (d - d.mean(-1, keepdims=True) - xhat * (d * xhat).mean(-1, keepdims=True)) / self.std


@ln("xhat forgotten in the last term", "missing term")
class LayerNorm7(LayerNormBase):
    def backward(self, dy, cache):
        xhat, std = cache
        self.gamma.grad += (dy * xhat).sum(axis=(0, 1))
        self.beta.grad += dy.sum(axis=(0, 1))
        d = dy * self.gamma.data
        return (d - d.mean(-1, keepdims=True) - (d * xhat).mean(-1, keepdims=True)) / std


def groupnorm_forward(x, gamma, beta, G=2):
    N, C, H, W = x.shape
    xg = x.reshape(N, G, C // G, H, W)
    std = np.sqrt(xg.var(axis=(2, 3, 4), keepdims=True) + 1e-5)
    xhat = ((xg - xg.mean(axis=(2, 3, 4), keepdims=True)) / std).reshape(x.shape)
    return gamma[:, None, None] * xhat + beta[:, None, None], (xhat, std, gamma, G)


gn = pairs("group norm", lambda x, g, b: groupnorm_forward(x, g, b), lambda rng: (1 + 2 * rng.standard_normal((2, 4, 2, 3)), rng.uniform(0.5, 2, 4), rng.standard_normal(4)))


@gn("by groups")
def groupnorm_backward_1(dout, cache):
    xhat, std, gamma, G = cache
    N, C, H, W = dout.shape
    d = (dout * gamma[:, None, None]).reshape(N, G, C // G, H, W)
    xg = xhat.reshape(d.shape)
    m = (C // G) * H * W
    s1 = d.sum(axis=(2, 3, 4), keepdims=True)
    s2 = (d * xg).sum(axis=(2, 3, 4), keepdims=True)
    dx = (m * d - s1 - xg * s2) / (m * std)
    return dx.reshape(dout.shape), (dout * xhat).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@gn("every channel for itself", "wrong axis")
def groupnorm_backward_2(dout, cache):
    xhat, std, gamma, G = cache
    N, C, H, W = dout.shape
    d = (dout * gamma[:, None, None]).reshape(N, G, C // G, H, W)
    xg = xhat.reshape(d.shape)
    dx = (d - d.mean(axis=(3, 4), keepdims=True) - xg * (d * xg).mean(axis=(3, 4), keepdims=True)) / std
    return dx.reshape(dout.shape), (dout * xhat).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@gn("m without the channels", "constant factor|wrong formula|missing term")
def groupnorm_backward_3(dout, cache):
    xhat, std, gamma, G = cache
    N, C, H, W = dout.shape
    d = (dout * gamma[:, None, None]).reshape(N, G, C // G, H, W)
    xg = xhat.reshape(d.shape)
    m = H * W
    s1 = d.sum(axis=(2, 3, 4), keepdims=True)
    s2 = (d * xg).sum(axis=(2, 3, 4), keepdims=True)
    dx = (m * d - s1 - xg * s2) / (m * std)
    return dx.reshape(dout.shape), (dout * xhat).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@gn("not divided by the deviation", "missing term")
def groupnorm_backward_4(dout, cache):
    xhat, std, gamma, G = cache
    N, C, H, W = dout.shape
    d = (dout * gamma[:, None, None]).reshape(N, G, C // G, H, W)
    xg = xhat.reshape(d.shape)
    dx = d - d.mean(axis=(2, 3, 4), keepdims=True) - xg * (d * xg).mean(axis=(2, 3, 4), keepdims=True)
    return dx.reshape(dout.shape), (dout * xhat).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


@gn("dx left in groups", "wrong shape")
def groupnorm_backward_5(dout, cache):
    xhat, std, gamma, G = cache
    N, C, H, W = dout.shape
    d = (dout * gamma[:, None, None]).reshape(N, G, C // G, H, W)
    xg = xhat.reshape(d.shape)
    dx = (d - d.mean(axis=(2, 3, 4), keepdims=True) - xg * (d * xg).mean(axis=(2, 3, 4), keepdims=True)) / std
    return dx, (dout * xhat).sum(axis=(0, 2, 3)), dout.sum(axis=(0, 2, 3))


# residual block


def residual_forward(x, W1, W2):
    h = np.tanh(x @ W1)
    return x + h @ W2, (x, h, W1, W2)


res = pairs("residual block", residual_forward, normal((4, 3), (3, 5), (5, 3)))


@res("two paths")
def residual_backward_1(dout, cache):
    x, h, W1, W2 = cache
    dh = dout @ W2.T
    dz = dh * (1 - h**2)
    dx = dout + dz @ W1.T
    return dx, x.T @ dz, h.T @ dout


@res("skip forgotten", "missing term")
def residual_backward_2(dout, cache):
    x, h, W1, W2 = cache
    dz = (dout @ W2.T) * (1 - h**2)
    return dz @ W1.T, x.T @ dz, h.T @ dout


@res("skip taken twice", "extra term|constant factor")
def residual_backward_3(dout, cache):
    x, h, W1, W2 = cache
    dz = (dout @ W2.T) * (1 - h**2)
    dx = dout.copy()
    dx += dout + dz @ W1.T
    return dx, x.T @ dz, h.T @ dout


@res("dx = dout, then +=", "upstream overwritten")
def residual_backward_4(dout, cache):
    x, h, W1, W2 = cache
    dW2 = h.T @ dout
    dz = (dout @ W2.T) * (1 - h**2)
    dx = dout
    dx += dz @ W1.T
    return dx, x.T @ dz, dW2


@res("branch alone for W2", "wrong shape|wrong tensor")
def residual_backward_5(dout, cache):
    x, h, W1, W2 = cache
    dz = (dout @ W2.T) * (1 - h**2)
    return dout + dz @ W1.T, x.T @ dz, x.T @ dout


@res("skip multiplied", "wrong formula|extra term|missing term")
def residual_backward_6(dout, cache):
    x, h, W1, W2 = cache
    dz = (dout @ W2.T) * (1 - h**2)
    return dout * (dz @ W1.T), x.T @ dz, h.T @ dout


# recurrent networks


def rnn_forward(x, h0, Wx, Wh, b):
    h, prev = np.zeros((x.shape[0], x.shape[1], len(b))), h0
    for t in range(x.shape[1]):
        prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
        h[:, t] = prev
    return h, (x, h0, Wx, Wh, h)


rnn = pairs("RNN through time", rnn_forward, lambda rng: tuple(0.6 * a for a in normal((2, 4, 3), (2, 3), (3, 3), (3, 3), (3,))(rng)))


@rnn("backwards")
def rnn_backward_1(dh, cache):
    x, h0, Wx, Wh, h = cache
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
    dprev = np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        hprev = h[:, t - 1] if t > 0 else h0
        dz = (dh[:, t] + dprev) * (1 - h[:, t] ** 2)
        dx[:, t] = dz @ Wx.T
        dprev = dz @ Wh.T
        dWx += x[:, t].T @ dz
        dWh += hprev.T @ dz
        db += dz.sum(axis=0)
    return dx, dprev, dWx, dWh, db


@rnn("future forgotten", "missing term")
def rnn_backward_2(dh, cache):
    x, h0, Wx, Wh, h = cache
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
    for t in reversed(range(x.shape[1])):
        hprev = h[:, t - 1] if t > 0 else h0
        dz = dh[:, t] * (1 - h[:, t] ** 2)
        dx[:, t] = dz @ Wx.T
        dprev = dz @ Wh.T
        dWx += x[:, t].T @ dz
        dWh += hprev.T @ dz
        db += dz.sum(axis=0)
    return dx, dprev, dWx, dWh, db


@rnn("weights of the first step", "assigned|missing term")
def rnn_backward_3(dh, cache):
    x, h0, Wx, Wh, h = cache
    dx = np.zeros_like(x)
    dprev = np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        hprev = h[:, t - 1] if t > 0 else h0
        dz = (dh[:, t] + dprev) * (1 - h[:, t] ** 2)
        dx[:, t] = dz @ Wx.T
        dprev = dz @ Wh.T
        dWx = x[:, t].T @ dz
        dWh = hprev.T @ dz
        db = dz.sum(axis=0)
    return dx, dprev, dWx, dWh, db


@rnn("dWh of the new state", "wrong tensor")
def rnn_backward_4(dh, cache):
    x, h0, Wx, Wh, h = cache
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
    dprev = np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        dz = (dh[:, t] + dprev) * (1 - h[:, t] ** 2)
        dx[:, t] = dz @ Wx.T
        dprev = dz @ Wh.T
        dWx += x[:, t].T @ dz
        dWh += h[:, t].T @ dz
        db += dz.sum(axis=0)
    return dx, dprev, dWx, dWh, db


@rnn("h[-1] for h0", "wrong tensor")
def rnn_backward_5(dh, cache):
    x, h0, Wx, Wh, h = cache
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
    dprev = np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        dz = (dh[:, t] + dprev) * (1 - h[:, t] ** 2)
        dx[:, t] = dz @ Wx.T
        dprev = dz @ Wh.T
        dWx += x[:, t].T @ dz
        dWh += h[:, t - 1].T @ dz
        db += dz.sum(axis=0)
    return dx, dprev, dWx, dWh, db


@rnn("Wh not transposed", "transposed")
def rnn_backward_6(dh, cache):
    x, h0, Wx, Wh, h = cache
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
    dprev = np.zeros_like(h0)
    for t in reversed(range(x.shape[1])):
        hprev = h[:, t - 1] if t > 0 else h0
        dz = (dh[:, t] + dprev) * (1 - h[:, t] ** 2)
        dx[:, t] = dz @ Wx.T
        dprev = dz @ Wh
        dWx += x[:, t].T @ dz
        dWh += hprev.T @ dz
        db += dz.sum(axis=0)
    return dx, dprev, dWx, dWh, db


@rnn("added into dh", "upstream overwritten")
def rnn_backward_7(dh, cache):
    x, h0, Wx, Wh, h = cache
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[0])
    for t in reversed(range(x.shape[1])):
        hprev = h[:, t - 1] if t > 0 else h0
        dz = dh[:, t] * (1 - h[:, t] ** 2)
        dx[:, t] = dz @ Wx.T
        dprev = dz @ Wh.T
        if t > 0:
            dh[:, t - 1] += dprev
        dWx += x[:, t].T @ dz
        dWh += hprev.T @ dz
        db += dz.sum(axis=0)
    return dx, dprev, dWx, dWh, db


def gru_forward(x, h, W, U):
    """W (3, D, H), U (3, H, H): update, reset, candidate."""
    z = sigmoid(x @ W[0] + h @ U[0])
    r = sigmoid(x @ W[1] + h @ U[1])
    n = np.tanh(x @ W[2] + (r * h) @ U[2])
    return (1 - z) * n + z * h, (x, h, W, U, z, r, n)


gru = pairs("GRU cell", gru_forward, normal((3, 2), (3, 4), (3, 2, 4), (3, 4, 4)))


@gru("every path")
def gru_backward_1(dout, cache):
    x, h, W, U, z, r, n = cache
    da_z = dout * (h - n) * z * (1 - z)
    da_n = dout * (1 - z) * (1 - n**2)
    drh = da_n @ U[2].T
    da_r = drh * h * r * (1 - r)
    dx = da_z @ W[0].T + da_r @ W[1].T + da_n @ W[2].T
    dh = dout * z + drh * r + da_z @ U[0].T + da_r @ U[1].T
    dW = np.stack([x.T @ da_z, x.T @ da_r, x.T @ da_n])
    dU = np.stack([h.T @ da_z, h.T @ da_r, (r * h).T @ da_n])
    return dx, dh, dW, dU


@gru("straight path of h forgotten", "missing term")
def gru_backward_2(dout, cache):
    x, h, W, U, z, r, n = cache
    da_z = dout * (h - n) * z * (1 - z)
    da_n = dout * (1 - z) * (1 - n**2)
    drh = da_n @ U[2].T
    da_r = drh * h * r * (1 - r)
    dx = da_z @ W[0].T + da_r @ W[1].T + da_n @ W[2].T
    dh = drh * r + da_z @ U[0].T + da_r @ U[1].T
    dW = np.stack([x.T @ da_z, x.T @ da_r, x.T @ da_n])
    dU = np.stack([h.T @ da_z, h.T @ da_r, (r * h).T @ da_n])
    return dx, dh, dW, dU


@gru("dU of the candidate without r", "missing term|wrong tensor")
def gru_backward_3(dout, cache):
    x, h, W, U, z, r, n = cache
    da_z = dout * (h - n) * z * (1 - z)
    da_n = dout * (1 - z) * (1 - n**2)
    drh = da_n @ U[2].T
    da_r = drh * h * r * (1 - r)
    dx = da_z @ W[0].T + da_r @ W[1].T + da_n @ W[2].T
    dh = dout * z + drh * r + da_z @ U[0].T + da_r @ U[1].T
    dW = np.stack([x.T @ da_z, x.T @ da_r, x.T @ da_n])
    dU = np.stack([h.T @ da_z, h.T @ da_r, h.T @ da_n])
    return dx, dh, dW, dU


@gru("update gate: n forgotten", "missing term")
def gru_backward_4(dout, cache):
    x, h, W, U, z, r, n = cache
    da_z = dout * h * z * (1 - z)
    da_n = dout * (1 - z) * (1 - n**2)
    drh = da_n @ U[2].T
    da_r = drh * h * r * (1 - r)
    dx = da_z @ W[0].T + da_r @ W[1].T + da_n @ W[2].T
    dh = dout * z + drh * r + da_z @ U[0].T + da_r @ U[1].T
    dW = np.stack([x.T @ da_z, x.T @ da_r, x.T @ da_n])
    dU = np.stack([h.T @ da_z, h.T @ da_r, (r * h).T @ da_n])
    return dx, dh, dW, dU


@gru("z and 1 - z exchanged", "wrong formula|wrong tensor|constant factor")
def gru_backward_5(dout, cache):
    x, h, W, U, z, r, n = cache
    da_z = dout * (n - h) * z * (1 - z)
    da_n = dout * z * (1 - n**2)
    drh = da_n @ U[2].T
    da_r = drh * h * r * (1 - r)
    dx = da_z @ W[0].T + da_r @ W[1].T + da_n @ W[2].T
    dh = dout * (1 - z) + drh * r + da_z @ U[0].T + da_r @ U[1].T
    dW = np.stack([x.T @ da_z, x.T @ da_r, x.T @ da_n])
    dU = np.stack([h.T @ da_z, h.T @ da_r, (r * h).T @ da_n])
    return dx, dh, dW, dU


def lstm_step_forward(x, h, c, Wx, Wh, b):
    i, f, o, g = np.split(x @ Wx + h @ Wh + b, 4, axis=1)
    i, f, o, g = sigmoid(i), sigmoid(f), sigmoid(o), np.tanh(g)
    cn = f * c + i * g
    return o * np.tanh(cn), (x, h, c, Wx, Wh, i, f, o, g, cn)


lstm = pairs("LSTM step", lstm_step_forward, normal((3, 4), (3, 2), (3, 2), (4, 8), (2, 8), (8,)))


@lstm("four gates")
def lstm_step_backward_1(dnext, cache):
    x, h, c, Wx, Wh, i, f, o, g, cn = cache
    tc = np.tanh(cn)
    dc = dnext * o * (1 - tc**2)
    da = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dnext * tc * o * (1 - o), dc * i * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("tanh of the cell forgotten", "missing term")
def lstm_step_backward_2(dnext, cache):
    x, h, c, Wx, Wh, i, f, o, g, cn = cache
    dc = dnext * o
    da = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dnext * np.tanh(cn) * o * (1 - o), dc * i * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("g's slope as a sigmoid's", "wrong formula|wrong tensor|missing term")
def lstm_step_backward_3(dnext, cache):
    x, h, c, Wx, Wh, i, f, o, g, cn = cache
    tc = np.tanh(cn)
    dc = dnext * o * (1 - tc**2)
    da = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dnext * tc * o * (1 - o), dc * i * g * (1 - g)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("forget gate with the new cell", "wrong tensor")
def lstm_step_backward_4(dnext, cache):
    x, h, c, Wx, Wh, i, f, o, g, cn = cache
    tc = np.tanh(cn)
    dc = dnext * o * (1 - tc**2)
    da = np.hstack([dc * g * i * (1 - i), dc * cn * f * (1 - f), dnext * tc * o * (1 - o), dc * i * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("gates in another order", "wrong formula|wrong tensor")
def lstm_step_backward_5(dnext, cache):
    x, h, c, Wx, Wh, i, f, o, g, cn = cache
    tc = np.tanh(cn)
    dc = dnext * o * (1 - tc**2)
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    do = dnext * tc * o * (1 - o)
    dg = dc * i * (1 - g**2)
    da = np.concatenate((df, di, do, dg), axis=1)
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("dc not handed back", "missing gradient")
def lstm_step_backward_6(dnext, cache):
    x, h, c, Wx, Wh, i, f, o, g, cn = cache
    tc = np.tanh(cn)
    dc = dnext * o * (1 - tc**2)
    da = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dnext * tc * o * (1 - o), dc * i * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, np.zeros_like(c), x.T @ da, h.T @ da, da.sum(axis=0)


# attention


def attention_forward(q, k, v):
    """A head with a causal mask: (T, d)."""
    T, d = q.shape
    scores = q @ k.T / np.sqrt(d)
    scores = np.where(np.tril(np.ones((T, T))) > 0, scores, -1e9)
    a = softmax(scores)
    return a @ v, (q, k, v, a)


att = pairs("causal attention", attention_forward, normal((4, 4), (4, 4), (4, 4)))


@att("softmax's inner product")
def attention_backward_1(dout, cache):
    q, k, v, a = cache
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, dv


@att("root of d forgotten", "constant factor")
def attention_backward_2(dout, cache):
    q, k, v, a = cache
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis=-1, keepdims=True))
    return ds @ k, ds.T @ q, dv


@att("ds not transposed", "transposed")
def attention_backward_3(dout, cache):
    q, k, v, a = cache
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds @ q, dv


@att("a not transposed", "transposed")
def attention_backward_4(dout, cache):
    q, k, v, a = cache
    dv = a @ dout
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, dv


@att("softmax's slope forgotten", "missing term|wrong mask|wrong tensor")
def attention_backward_5(dout, cache):
    q, k, v, a = cache
    dv = a.T @ dout
    ds = dout @ v.T / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, dv


@att("dq of q", "wrong tensor")
def attention_backward_6(dout, cache):
    q, k, v, a = cache
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis=-1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ q, ds.T @ k, dv


@att("softmax over the queries", "wrong axis")
def attention_backward_7(dout, cache):
    q, k, v, a = cache
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis=0, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, dv


# dropout and embeddings


def dropout_forward(x, mask, keep=0.75):
    return x * mask / keep, (mask, keep)


drop = pairs("dropout with a given mask", lambda x, mask: dropout_forward(x, mask), lambda rng: (rng.standard_normal((4, 5)), (np.arange(20).reshape(4, 5) % 3 > 0) * 1.0))


@drop("mask over keep")
def dropout_backward_1(dout, cache):
    mask, keep = cache
    return dout * mask / keep


@drop("keep forgotten", "constant factor")
def dropout_backward_2(dout, cache):
    mask, keep = cache
    return dout * mask


@drop("mask forgotten", "wrong mask|missing term")
def dropout_backward_3(dout, cache):
    mask, keep = cache
    return dout / keep


@drop("mask turned", "wrong mask|wrong formula")
def dropout_backward_4(dout, cache):
    mask, keep = cache
    return dout * (1 - mask) / keep


@drop("a new mask", "wrong mask")
def dropout_backward_5(dout, cache):
    mask, keep = cache
    new = np.random.default_rng(0).random(mask.shape) < keep
    return dout * new / keep


@drop("multiplied by keep", "constant factor")
def dropout_backward_6(dout, cache):
    mask, keep = cache
    return dout * mask * keep


WORDS = np.array([[1, 3, 1], [0, 3, 4]])

emb = pairs("word embedding", lambda W: (W[WORDS], W.shape), normal((5, 3)))


@emb("np.add.at")
def embedding_backward_1(dout, shape):
    dW = np.zeros(shape)
    np.add.at(dW, WORDS, dout)
    return dW


@emb("one-hot matrices")
def embedding_backward_2(dout, shape):
    onehot = np.eye(shape[0])[WORDS.ravel()]
    return onehot.T @ dout.reshape(-1, shape[1])


@emb("+= on repeated words", "assigned|missing term")
def embedding_backward_3(dout, shape):
    dW = np.zeros(shape)
    dW[WORDS] += dout
    return dW


@emb("counts for gradients", "upstream ignored|wrong tensor")
def embedding_backward_4(dout, shape):
    dW = np.zeros(shape)
    np.add.at(dW, WORDS, 1.0)
    return dW


@emb("divided by the count", "constant factor|extra term|wrong formula")
def embedding_backward_5(dout, shape):
    dW = np.zeros(shape)
    np.add.at(dW, WORDS, dout)
    count = np.bincount(WORDS.ravel(), minlength=shape[0])
    return dW / np.maximum(count, 1)[:, None]


@emb("rows of the words only", "wrong shape")
def embedding_backward_6(dout, shape):
    return dout.reshape(-1, shape[1])


# Fourier


def power_forward(x):
    X = np.fft.fft(x)
    return np.abs(X) ** 2, X


fft = pairs("power spectrum", power_forward, normal((2, 8)))


@fft("inverse transform times n")
def power_backward_1(dout, X):
    n = X.shape[-1]
    return 2 * n * np.fft.ifft(dout * X).real


@fft("n forgotten", "constant factor")
def power_backward_2(dout, X):
    return 2 * np.fft.ifft(dout * X).real


@fft("forward transform", "wrong formula|flipped kernel|transposed")
def power_backward_3(dout, X):
    return 2 * np.fft.fft(dout * X).real


@fft("spectrum forgotten", "missing term")
def power_backward_4(dout, X):
    n = X.shape[-1]
    return 2 * n * np.fft.ifft(dout).real


def circular_forward(x, k):
    X, K = np.fft.fft(x), np.fft.fft(k)
    return np.fft.ifft(X * K).real, (X, K)


circ = pairs("circular convolution by FFT", circular_forward, normal((2, 7), (7,)))


@circ("conjugates")
def circular_backward_1(dout, cache):
    X, K = cache
    D = np.fft.fft(dout)
    return np.fft.ifft(D * K.conj()).real, np.fft.ifft(D * X.conj()).real.sum(axis=0)


@circ("conjugate forgotten", "flipped kernel|transposed|missing term")
def circular_backward_2(dout, cache):
    X, K = cache
    D = np.fft.fft(dout)
    return np.fft.ifft(D * K).real, np.fft.ifft(D * X.conj()).real.sum(axis=0)


@circ("dk of every row", "wrong shape")
def circular_backward_3(dout, cache):
    X, K = cache
    D = np.fft.fft(dout)
    return np.fft.ifft(D * K.conj()).real, np.fft.ifft(D * X.conj()).real


# regression losses


mse = alone("squared error", lambda rng: (rng.standard_normal((4, 3)), rng.standard_normal((4, 3))))


@mse("two over n")
def mse_loss_1(pred, target):
    diff = pred - target
    return np.mean(diff**2), 2 * diff / diff.size


@mse("two forgotten", "constant factor")
def mse_loss_2(pred, target):
    diff = pred - target
    return np.mean(diff**2), diff / diff.size


@mse("over the batch alone", "constant factor")
def mse_loss_3(pred, target):
    diff = pred - target
    return np.mean(diff**2), 2 * diff / len(diff)


@mse("target minus prediction", "constant factor")
def mse_loss_4(pred, target):
    diff = target - pred
    return np.mean(diff**2), 2 * diff / diff.size


@mse("prediction for difference", "wrong tensor|missing term")
def mse_loss_5(pred, target):
    return np.mean((pred - target) ** 2), 2 * pred / pred.size


def huber_forward(pred, target, delta=0.8):
    r = pred - target
    small = np.abs(r) < delta
    loss = np.where(small, 0.5 * r**2, delta * (np.abs(r) - 0.5 * delta))
    return loss.sum(), (r, small, delta)


huber = pairs("Huber loss", lambda p, t: huber_forward(p, t), lambda rng: (2 * rng.standard_normal((5, 2)), rng.standard_normal((5, 2))))


@huber("both gradients")
def huber_backward_1(dloss, cache):
    r, small, delta = cache
    dp = dloss * np.where(small, r, delta * np.sign(r))
    return dp, -dp


@huber("delta forgotten", "constant factor|missing term")
def huber_backward_2(dloss, cache):
    r, small, delta = cache
    dp = dloss * np.where(small, r, np.sign(r))
    return dp, -dp


@huber("sign forgotten", "missing term|constant factor|wrong formula")
def huber_backward_3(dloss, cache):
    r, small, delta = cache
    dp = dloss * np.where(small, r, delta)
    return dp, -dp


@huber("branches exchanged", "wrong mask")
def huber_backward_4(dloss, cache):
    r, small, delta = cache
    dp = dloss * np.where(small, delta * np.sign(r), r)
    return dp, -dp


@huber("same sign for the target", "constant factor")
def huber_backward_5(dloss, cache):
    r, small, delta = cache
    dp = dloss * np.where(small, r, delta * np.sign(r))
    return dp, dp


# losses of a GAN


def d_loss_forward(real, fake):
    """Probabilities of the discriminator."""
    return -np.mean(np.log(real)) - np.mean(np.log(1 - fake)), (real, fake)


dis = pairs("discriminator's loss of probabilities", d_loss_forward, uniform(0.15, 0.85, (6, 1), (6, 1)))


@dis("two fractions")
def d_loss_backward_1(dout, cache):
    real, fake = cache
    return -dout / real / len(real), dout / (1 - fake) / len(fake)


@dis("fake's sign", "constant factor")
def d_loss_backward_2(dout, cache):
    real, fake = cache
    return -dout / real / len(real), -dout / (1 - fake) / len(fake)


@dis("fake as if real", "wrong formula|wrong tensor|constant factor")
def d_loss_backward_3(dout, cache):
    real, fake = cache
    return -dout / real / len(real), -dout / fake / len(fake)


@dis("half the loss", "constant factor")
def d_loss_backward_4(dout, cache):
    real, fake = cache
    return -0.5 * dout / real / len(real), 0.5 * dout / (1 - fake) / len(fake)


gen = alone("generator's loss", lambda rng: (1.5 * rng.standard_normal((5, 1)),))


@gen("non-saturating")
def g_loss_1(logits):
    loss = np.mean(np.logaddexp(0, -logits))
    return loss, (sigmoid(logits) - 1) / len(logits)


@gen("gradient of the saturating loss", "wrong formula|wrong tensor|missing term|constant factor")
def g_loss_2(logits):
    loss = np.mean(np.logaddexp(0, -logits))
    return loss, -sigmoid(logits) / len(logits)


@gen("gradient of the discriminator's label", "missing term|wrong formula|wrong tensor")
def g_loss_3(logits):
    loss = np.mean(np.logaddexp(0, -logits))
    return loss, (sigmoid(logits) - 0) / len(logits)


@gen("logits for probabilities", "wrong tensor|missing term")
def g_loss_4(logits):
    loss = np.mean(np.logaddexp(0, -logits))
    return loss, (logits - 1) / len(logits)


def lsgan(real, fake):
    """Least squares, with its backward pass."""
    loss = 0.5 * np.mean((real - 1) ** 2) + 0.5 * np.mean(fake**2)

    def backward(dloss=1.0):
        return dloss * (real - 1) / real.size, dloss * fake / fake.size

    return loss, backward


def lsgan_without_label(real, fake):
    loss = 0.5 * np.mean((real - 1) ** 2) + 0.5 * np.mean(fake**2)

    def backward(dloss=1.0):
        return dloss * real / real.size, dloss * fake / fake.size

    return loss, backward


def lsgan_twice(real, fake):
    loss = 0.5 * np.mean((real - 1) ** 2) + 0.5 * np.mean(fake**2)

    def backward(dloss=1.0):
        return 2 * dloss * (real - 1) / real.size, 2 * dloss * fake / fake.size

    return loss, backward


ls = alone("least-squares GAN", normal((3, 2, 2), (3, 2, 2)))
ls("both")(lsgan)
ls("label of the real ones forgotten", "missing term")(lsgan_without_label)
ls("half forgotten", "constant factor")(lsgan_twice)

group("Wasserstein critic", lambda real, fake: (fake.mean() - real.mean(), (real, fake)), normal((4, 1), (4, 1)), [
    ("ones over n", "", lambda d, c: (-d * np.ones_like(c[0]) / 4, d * np.ones_like(c[1]) / 4)),
    ("signs exchanged", "constant factor", lambda d, c: (d * np.ones_like(c[0]) / 4, -d * np.ones_like(c[1]) / 4)),
    ("the scores themselves", "wrong tensor|extra term", lambda d, c: (-d * c[0] / 4, d * c[1] / 4)),
])


# what a backward pass does to its surroundings


class TanhBase:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out


th = classes("tanh on self", normal((3, 4)))


@th("one minus the square")
class Tanh1(TanhBase):
    def backward(self, dout):
        return dout * (1 - self.out**2)


@th("squared in place", "output overwritten")
class Tanh2(TanhBase):
    def backward(self, dout):
        self.out **= 2
        return dout * (1 - self.out)


@th("dout multiplied in place", "upstream overwritten")
class Tanh3(TanhBase):
    def backward(self, dout):
        dout *= 1 - self.out**2
        return dout


@th("square forgotten", "missing term|wrong formula")
class Tanh4(TanhBase):
    def backward(self, dout):
        return dout * (1 - self.out)


@th("in single precision", "float32")
class Tanh5(TanhBase):
    def backward(self, dout):
        grad = np.zeros(dout.shape, dtype=np.float32)
        grad[...] = dout * (1 - self.out**2)
        return grad


relu = pairs("leaky ReLU", lambda x: (np.where(x > 0, x, 0.1 * x), x), normal((4, 4)))


@relu("slopes")
def leaky_backward_1(dout, x):
    dx = np.ones_like(x)
    dx[x < 0] = 0.1
    return dx * dout


@relu("slopes written into x", "input overwritten")
def leaky_backward_2(dout, x):
    x[x > 0] = 1
    x[x < 0] = 0.1
    return dout * x


@relu("mask of dout", "wrong mask|wrong tensor")
def leaky_backward_3(dout, x):
    dx = dout.copy()
    dx[dout < 0] *= 0.1
    return dx


MEMORY = {}


def norm_forward(x):
    """Rows of length one."""
    MEMORY["length"] = np.linalg.norm(x, axis=1, keepdims=True)
    return x / MEMORY["length"], x


unit = pairs("rows of length one, with a global", norm_forward, normal((4, 3)))


@unit("length from the global", "shared cache")
def norm_backward_1(dout, x):
    n = MEMORY["length"]
    y = x / n
    return (dout - y * np.sum(dout * y, axis=1, keepdims=True)) / n


@unit("length computed again")
def norm_backward_2(dout, x):
    n = np.linalg.norm(x, axis=1, keepdims=True)
    y = x / n
    return (dout - y * np.sum(dout * y, axis=1, keepdims=True)) / n


big = pairs("log-softmax of large scores", lambda x: (x - x.max(1, keepdims=True) - np.log(np.exp(x - x.max(1, keepdims=True)).sum(1, keepdims=True)), x), uniform(800, 804, (3, 4)))


@big("shifted")
def log_softmax_backward_1(dout, x):
    return dout - softmax(x) * dout.sum(axis=1, keepdims=True)


@big("not shifted", "not finite")
def log_softmax_backward_2(dout, x):
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    return dout - p * dout.sum(axis=1, keepdims=True)


@hw("None for db", "missing gradient")
def affine_backward_14(dout, cache):
    x, w, b = cache
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(len(x), -1).T.dot(dout)
    return dx, dw, None


TWELFTH = ROWS[_before:]
del ROWS[_before:]
