"""The thirteenth set: homework and hobby code, by a hand that has not read the diagnosis.

Written without opening the diagnosis, without running the check on it, and held out; scored by the
rule of ``third.py``.  Each wrong version is written out in full as its author has it.  A script of
its own compared each row with central differences: the right ones agree, the wrong ones do not, or
do to their surroundings what their label says.
"""

# ruff: noqa: E501, RUF059 (a row a line; a cache is unpacked whole)
# fmt: off
from math import erf, pi, sqrt

import numpy as np

from specimens.table import ROWS, alone, classes, normal, pairs, uniform
from tinygan import Layer, Parameter

_before = len(ROWS)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


# a dense layer that keeps its weights as (out, in), and a ReLU behind it


def dense_forward(x, W, b):
    z = np.dot(x, W.T) + b
    a = np.maximum(z, 0)
    return a, (x, W, z)


dense = pairs("dense and ReLU", dense_forward, normal((5, 4), (4, 4), (4,)))


@dense("dz first")
def dense_backward_1(da, cache):
    x, W, z = cache
    dz = np.array(da, copy=True)
    dz[z <= 0] = 0
    return np.dot(dz, W), np.dot(dz.T, x), np.sum(dz, axis=0)


@dense("with einsum")
def dense_backward_2(da, cache):
    x, W, z = cache
    dz = da * (z > 0)
    dx = np.einsum("no,oi->ni", dz, W)
    dW = np.einsum("no,ni->oi", dz, x)
    db = np.einsum("no->o", dz)
    return dx, dW, db


@dense("ReLU masked by its input x", "wrong mask|wrong tensor")
def dense_backward_3(da, cache):
    x, W, z = cache
    dz = da * (x > 0)
    dx = dz @ W
    dW = dz.T @ x
    db = dz.sum(axis=0)
    return dx, dW, db


@dense("W transposed as in the forward pass", "transposed")
def dense_backward_4(da, cache):
    x, W, z = cache
    dz = da * (z > 0)
    dx = dz @ W.T
    dW = dz.T @ x
    db = dz.sum(axis=0)
    return dx, dW, db


@dense("dW as (in, out)", "transposed")
def dense_backward_5(da, cache):
    x, W, z = cache
    dz = da * (z > 0)
    dx = dz @ W
    dW = x.T @ dz
    db = dz.sum(axis=0)
    return dx, dW, db


@dense("db of da", "wrong mask|missing term|wrong tensor")
def dense_backward_6(da, cache):
    x, W, z = cache
    dz = da * (z > 0)
    dx = np.dot(dz, W)
    dW = np.dot(dz.T, x)
    db = np.sum(da, axis=0)
    return dx, dW, db


@dense("dx of da", "wrong mask|missing term|wrong tensor")
def dense_backward_7(da, cache):
    x, W, z = cache
    dx = np.dot(da, W)
    dz = da.copy()
    dz[z < 0] = 0
    dW = np.dot(dz.T, x)
    db = np.sum(dz, axis=0)
    return dx, dW, db


@dense("mask turned over", "wrong mask")
def dense_backward_8(da, cache):
    x, W, z = cache
    dz = da.copy()
    dz[z > 0] = 0
    dx = np.dot(dz, W)
    dW = np.dot(dz.T, x)
    db = np.sum(dz, axis=0)
    return dx, dW, db


@dense("1/m on dW and db as in the course", "constant factor")
def dense_backward_9(da, cache):
    x, W, z = cache
    m = x.shape[0]
    dz = da * (z > 0)
    dW = 1 / m * np.dot(dz.T, x)
    db = 1 / m * np.sum(dz, axis=0)
    dx = np.dot(dz, W)
    return dx, dW, db


@dense("da zeroed where z is negative", "upstream overwritten")
def dense_backward_10(da, cache):
    x, W, z = cache
    da[z <= 0] = 0
    return np.dot(da, W), np.dot(da.T, x), np.sum(da, axis=0)


@dense("bias kept as a row", "wrong shape")
def dense_backward_11(da, cache):
    x, W, z = cache
    dz = da * (z > 0)
    db = np.sum(dz, axis=0, keepdims=True)
    dW = dz.T @ x
    dx = dz @ W
    return dx, dW, db


@dense("z in place of the mask", "wrong tensor|wrong mask|wrong formula|extra term|missing term")
def dense_backward_12(da, cache):
    x, W, z = cache
    dz = da * np.maximum(z, 0)
    dW = dz.T @ x
    db = dz.sum(0)
    dx = dz @ W
    return dx, dW, db


@dense("db over the features", "wrong axis|wrong shape")
def dense_backward_13(da, cache):
    x, W, z = cache
    dz = da * (z > 0)
    db = dz.sum(axis=1)
    dW = dz.T @ x
    dx = dz @ W
    return dx, dW, db


# a perceptron of two layers in a class, on the library's Layer


class MLPBase(Layer):
    def __init__(self):
        r = np.random.default_rng(5)
        self.W1 = Parameter(r.standard_normal((4, 5)))
        self.b1 = Parameter(r.standard_normal(5))
        self.W2 = Parameter(r.standard_normal((5, 3)))
        self.b2 = Parameter(r.standard_normal(3))

    def forward(self, x):
        h = sigmoid(x @ self.W1.data + self.b1.data)
        return h @ self.W2.data + self.b2.data, (x, h)


mlp = classes("sigmoid network", normal((6, 4)))


@mlp("as in the book")
class MLP1(MLPBase):
    def backward(self, dy, cache):
        x, h = cache
        self.W2.grad += h.T @ dy
        self.b2.grad += dy.sum(axis=0)
        delta = (dy @ self.W2.data.T) * h * (1 - h)
        self.W1.grad += x.T @ delta
        self.b1.grad += delta.sum(axis=0)
        return delta @ self.W1.data.T


@mlp("gradients assigned", "assigned")
class MLP2(MLPBase):
    def backward(self, dy, cache):
        x, h = cache
        self.W2.grad = h.T @ dy
        self.b2.grad = dy.sum(axis=0)
        delta = (dy @ self.W2.data.T) * h * (1 - h)
        self.W1.grad = x.T @ delta
        self.b1.grad = delta.sum(axis=0)
        return delta @ self.W1.data.T


@mlp("b1 forgotten", "missing gradient")
class MLP3(MLPBase):
    def backward(self, dy, cache):
        x, h = cache
        self.W2.grad += h.T @ dy
        self.b2.grad += dy.sum(axis=0)
        delta = (dy @ self.W2.data.T) * h * (1 - h)
        self.W1.grad += x.T @ delta
        return delta @ self.W1.data.T


@mlp("sigmoid of the sigmoid", "wrong tensor|wrong formula|missing term")
class MLP4(MLPBase):
    def backward(self, dy, cache):
        x, h = cache
        self.W2.grad += h.T @ dy
        self.b2.grad += dy.sum(axis=0)
        s = sigmoid(h)
        delta = (dy @ self.W2.data.T) * s * (1 - s)
        self.W1.grad += x.T @ delta
        self.b1.grad += delta.sum(axis=0)
        return delta @ self.W1.data.T


@mlp("1 - h alone", "missing term")
class MLP5(MLPBase):
    def backward(self, dy, cache):
        x, h = cache
        self.W2.grad += h.T @ dy
        self.b2.grad += dy.sum(axis=0)
        delta = (dy @ self.W2.data.T) * (1 - h)
        self.W1.grad += x.T @ delta
        self.b1.grad += delta.sum(axis=0)
        return delta @ self.W1.data.T


@mlp("activation kept on self", "shared cache")
class MLP6(MLPBase):
    def forward(self, x):
        self.h = sigmoid(x @ self.W1.data + self.b1.data)
        return self.h @ self.W2.data + self.b2.data, x

    def backward(self, dy, x):
        h = self.h
        self.W2.grad += h.T @ dy
        self.b2.grad += dy.sum(axis=0)
        delta = (dy @ self.W2.data.T) * h * (1 - h)
        self.W1.grad += x.T @ delta
        self.b1.grad += delta.sum(axis=0)
        return delta @ self.W1.data.T


@mlp("delta returned", "missing term|wrong shape")
class MLP7(MLPBase):
    def backward(self, dy, cache):
        x, h = cache
        self.W2.grad += h.T @ dy
        self.b2.grad += dy.sum(axis=0)
        delta = (dy @ self.W2.data.T) * h * (1 - h)
        self.W1.grad += x.T @ delta
        self.b1.grad += delta.sum(axis=0)
        return delta


# softmax with a temperature


def softmax_t_forward(z, T=2.0):
    p = softmax(z / T)
    return p, (p, T)


st = pairs("softmax with temperature", lambda z: softmax_t_forward(z), normal((4, 5)))


@st("row by row with the Jacobian")
def softmax_t_backward_1(dout, cache):
    p, T = cache
    dz = np.empty_like(p)
    for i in range(p.shape[0]):
        J = np.diag(p[i]) - np.outer(p[i], p[i])
        dz[i] = J @ dout[i] / T
    return dz


@st("without the temperature", "constant factor|missing term")
def softmax_t_backward_2(dout, cache):
    p, T = cache
    inner = (dout * p).sum(axis=1, keepdims=True)
    return p * (dout - inner)


@st("times the temperature", "constant factor")
def softmax_t_backward_3(dout, cache):
    p, T = cache
    inner = (dout * p).sum(axis=1, keepdims=True)
    return T * p * (dout - inner)


@st("diagonal of the Jacobian", "missing term")
def softmax_t_backward_4(dout, cache):
    p, T = cache
    return dout * p * (1 - p) / T


@st("summed down the batch", "wrong axis")
def softmax_t_backward_5(dout, cache):
    p, T = cache
    inner = np.sum(dout * p, axis=0)
    return p * (dout - inner) / T


@st("mean for the sum", "constant factor|wrong formula")
def softmax_t_backward_6(dout, cache):
    p, T = cache
    inner = np.mean(dout * p, axis=1, keepdims=True)
    return p * (dout - inner) / T


@st("inner product without p", "missing term|wrong tensor")
def softmax_t_backward_7(dout, cache):
    p, T = cache
    inner = np.sum(dout, axis=1, keepdims=True)
    return p * (dout - inner) / T


@st("p multiplied in place", "output overwritten")
def softmax_t_backward_8(dout, cache):
    p, T = cache
    inner = (dout * p).sum(axis=1, keepdims=True)
    p *= dout - inner
    return p / T


# log-softmax


def logsoftmax_forward(x):
    m = x.max(axis=1, keepdims=True)
    lse = m + np.log(np.exp(x - m).sum(axis=1, keepdims=True))
    return x - lse, x


lsm = pairs("log-softmax", logsoftmax_forward, normal((3, 6)))


@lsm("with the softmax")
def logsoftmax_backward_1(dout, x):
    return dout - softmax(x) * dout.sum(axis=1, keepdims=True)


@lsm("dout not summed", "missing term|wrong axis")
def logsoftmax_backward_2(dout, x):
    p = softmax(x)
    return dout - p * dout


@lsm("sum of dout forgotten", "missing term|upstream ignored")
def logsoftmax_backward_4(dout, x):
    return dout - softmax(x)


@lsm("plus", "constant factor|extra term|wrong formula")
def logsoftmax_backward_5(dout, x):
    p = softmax(x)
    total = dout.sum(axis=1, keepdims=True)
    return dout + p * total


@lsm("x for its softmax", "wrong tensor")
def logsoftmax_backward_6(dout, x):
    total = dout.sum(axis=1, keepdims=True)
    return dout - x * total


big = pairs("log-softmax of large scores", logsoftmax_forward, uniform(711, 716, (3, 4)))


@big("exp not shifted", "not finite")
def logsoftmax_backward_7(dout, x):
    e = np.exp(x)
    p = e / e.sum(axis=1, keepdims=True)
    return dout - p * dout.sum(axis=1, keepdims=True)


# cross-entropy of a sequence with padded words


TOKENS = np.array([[1, 3, 0, 0], [2, 2, 4, 0], [3, 1, 2, 4]])
PADDED = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]) * 1.0

tce = alone("temporal cross-entropy", lambda rng: (rng.standard_normal((3, 4, 5)),))


@tce("from the captioning homework")
def temporal_softmax_1(x):
    N, T, V = x.shape
    flat, y, m = x.reshape(N * T, V), TOKENS.reshape(-1), PADDED.reshape(-1)
    p = softmax(flat)
    loss = -np.sum(m * np.log(p[np.arange(N * T), y])) / N
    d = p.copy()
    d[np.arange(N * T), y] -= 1
    d /= N
    d *= m[:, None]
    return loss, d.reshape(N, T, V)


@tce("mask forgotten", "wrong mask|missing term")
def temporal_softmax_2(x):
    N, T, V = x.shape
    flat, y, m = x.reshape(N * T, V), TOKENS.reshape(-1), PADDED.reshape(-1)
    p = softmax(flat)
    loss = -np.sum(m * np.log(p[np.arange(N * T), y])) / N
    d = p.copy()
    d[np.arange(N * T), y] -= 1
    d /= N
    return loss, d.reshape(N, T, V)


@tce("divided by N T", "constant factor")
def temporal_softmax_3(x):
    N, T, V = x.shape
    flat, y, m = x.reshape(N * T, V), TOKENS.reshape(-1), PADDED.reshape(-1)
    p = softmax(flat)
    loss = -np.sum(m * np.log(p[np.arange(N * T), y])) / N
    d = p.copy()
    d[np.arange(N * T), y] -= 1
    d *= m[:, None]
    return loss, d.reshape(N, T, V) / (N * T)


@tce("left flat", "wrong shape")
def temporal_softmax_4(x):
    N, T, V = x.shape
    flat, y, m = x.reshape(N * T, V), TOKENS.reshape(-1), PADDED.reshape(-1)
    p = softmax(flat)
    loss = -np.sum(m * np.log(p[np.arange(N * T), y])) / N
    p[np.arange(N * T), y] -= 1
    return loss, p * m[:, None] / N


@tce("one not subtracted", "missing term")
def temporal_softmax_5(x):
    N, T, V = x.shape
    p = softmax(x)
    loss = 0.0
    dx = np.zeros_like(x)
    for n in range(N):
        for t in range(T):
            if PADDED[n, t]:
                loss -= np.log(p[n, t, TOKENS[n, t]]) / N
                dx[n, t] = p[n, t] / N
    return loss, dx


@tce("mask before the one", "wrong mask|extra term|missing term")
def temporal_softmax_6(x):
    N, T, V = x.shape
    flat, y, m = x.reshape(N * T, V), TOKENS.reshape(-1), PADDED.reshape(-1)
    p = softmax(flat)
    loss = -np.sum(m * np.log(p[np.arange(N * T), y])) / N
    d = p * m[:, None]
    d[np.arange(N * T), y] -= 1
    return loss, d.reshape(N, T, V) / N


@tce("scores shifted in place", "input overwritten")
def temporal_softmax_7(x):
    N, T, V = x.shape
    x -= x.max(axis=2, keepdims=True)
    logp = x - np.log(np.exp(x).sum(axis=2, keepdims=True))
    onehot = np.eye(V)[TOKENS]
    loss = -(PADDED[..., None] * onehot * logp).sum() / N
    return loss, (np.exp(logp) - onehot) * PADDED[..., None] / N


# label smoothing, class weights


CLASSES = np.array([1, 0, 3, 2, 3])
BALANCE = np.array([0.5, 1.0, 2.0, 1.5])

smooth = alone("smoothed cross-entropy", normal((5, 4)))


@smooth("soft targets")
def smoothed_1(logits, eps=0.1):
    n, k = logits.shape
    target = np.full((n, k), eps / k)
    target[np.arange(n), CLASSES] += 1 - eps
    p = softmax(logits)
    loss = -(target * np.log(p)).sum() / n
    return loss, (p - target) / n


@smooth("hard targets in the gradient", "missing term|wrong tensor|wrong formula")
def smoothed_2(logits, eps=0.3):
    n, k = logits.shape
    onehot = np.eye(k)[CLASSES]
    target = onehot * (1 - eps) + eps / k
    p = softmax(logits)
    loss = -(target * np.log(p)).sum() / n
    return loss, (p - onehot) / n


@smooth("target minus p", "constant factor")
def smoothed_3(logits, eps=0.1):
    n, k = logits.shape
    target = np.eye(k)[CLASSES] * (1 - eps) + eps / k
    p = softmax(logits)
    loss = -(target * np.log(p)).sum() / n
    grad = (target - p) / n
    return loss, grad


@smooth("divided by the classes", "constant factor")
def smoothed_4(logits, eps=0.1):
    n, k = logits.shape
    target = np.eye(k)[CLASSES] * (1 - eps) + eps / k
    p = softmax(logits)
    loss = -(target * np.log(p)).sum() / n
    return loss, (p - target) / k


@smooth("gradient of the probabilities", "missing term|wrong formula")
def smoothed_5(logits, eps=0.1):
    n, k = logits.shape
    target = np.eye(k)[CLASSES] * (1 - eps) + eps / k
    p = softmax(logits)
    loss = -(target * np.log(p)).sum() / n
    return loss, -target / p / n


def weighted_ce_forward(logits):
    p = softmax(logits)
    w = BALANCE[CLASSES]
    return -(w * np.log(p[np.arange(5), CLASSES])).sum() / w.sum(), (p, w)


wce = pairs("weighted cross-entropy", weighted_ce_forward, normal((5, 4)))


@wce("a weight a row")
def weighted_ce_backward_1(dout, cache):
    p, w = cache
    dz = p.copy()
    dz[np.arange(len(p)), CLASSES] -= 1.0
    dz *= w[:, np.newaxis]
    return dout * dz / w.sum()


@wce("weights forgotten", "missing term")
def weighted_ce_backward_2(dout, cache):
    p, w = cache
    dz = p.copy()
    dz[np.arange(len(p)), CLASSES] -= 1.0
    return dout * dz / w.sum()


@wce("divided by the batch", "constant factor")
def weighted_ce_backward_3(dout, cache):
    p, w = cache
    dz = p.copy()
    dz[np.arange(len(p)), CLASSES] -= 1.0
    dz *= w[:, None]
    return dout * dz / len(p)


@wce("weights of the columns", "wrong axis|wrong tensor")
def weighted_ce_backward_4(dout, cache):
    p, w = cache
    dz = p.copy()
    dz[np.arange(len(p)), CLASSES] -= 1.0
    dz *= BALANCE
    return dout * dz / w.sum()


@wce("dout left out", "upstream ignored")
def weighted_ce_backward_5(dout, cache):
    p, w = cache
    dz = p.copy()
    dz[np.arange(len(p)), CLASSES] -= 1.0
    return dz * w[:, None] / w.sum()


# hinge losses


SIGNS = np.array([1.0, -1, -1, 1, 1, -1])
svm = alone("linear SVM", lambda rng: (2.5 * rng.standard_normal(3), rng.standard_normal((6, 3))))


def svm_margin(w, X):
    return 1 - SIGNS * (X @ w)


@svm("with its penalty")
def svm_1(w, X, C=2.0):
    m = svm_margin(w, X)
    loss = 0.5 * w @ w + C * np.maximum(0, m).sum()
    active = (m > 0) * SIGNS
    return loss, (w - C * X.T @ active, -C * np.outer(active, w))


@svm("penalty forgotten", "missing term")
def svm_2(w, X, C=2.0):
    m = svm_margin(w, X)
    loss = 0.5 * w @ w + C * np.maximum(0, m).sum()
    active = (m > 0) * SIGNS
    dw = -C * X.T @ active
    dX = -C * np.outer(active, w)
    return loss, (dw, dX)


@svm("half of the penalty kept", "constant factor|wrong formula|missing term")
def svm_3(w, X, C=2.0):
    m = svm_margin(w, X)
    loss = 0.5 * w @ w + C * np.maximum(0, m).sum()
    active = (m > 0) * SIGNS
    dw = 0.5 * w - C * X.T @ active
    dX = -C * np.outer(active, w)
    return loss, (dw, dX)


@svm("all samples active", "wrong mask|missing term")
def svm_4(w, X, C=2.0):
    m = svm_margin(w, X)
    loss = 0.5 * w @ w + C * np.maximum(0, m).sum()
    dw = w - C * X.T @ SIGNS
    dX = -C * np.outer(SIGNS, w)
    return loss, (dw, dX)


@svm("labels forgotten", "missing term|wrong mask")
def svm_5(w, X, C=2.0):
    m = svm_margin(w, X)
    loss = 0.5 * w @ w + C * np.maximum(0, m).sum()
    active = (m > 0) * 1.0
    dw = w - C * X.T @ active
    dX = -C * np.outer(active, w)
    return loss, (dw, dX)


@svm("C left out of dX", "constant factor|missing term")
def svm_6(w, X, C=2.0):
    m = svm_margin(w, X)
    loss = 0.5 * w @ w + C * np.maximum(0, m).sum()
    dw = w.copy()
    dX = np.zeros_like(X)
    for i in range(len(X)):
        if m[i] > 0:
            dw -= C * SIGNS[i] * X[i]
            dX[i] = -SIGNS[i] * w
    return loss, (dw, dX)


sqh = alone("squared hinge", normal((4, 5)))
RIGHT_CLASS = np.array([2, 0, 4, 1])


@sqh("two steps")
def squared_hinge_1(s):
    n = len(s)
    m = np.maximum(0, s - s[np.arange(n), RIGHT_CLASS][:, None] + 1)
    m[np.arange(n), RIGHT_CLASS] = 0
    loss = (m**2).sum() / n
    ds = 2 * m
    ds[np.arange(n), RIGHT_CLASS] = -ds.sum(axis=1)
    return loss, ds / n


@sqh("two forgotten", "constant factor")
def squared_hinge_2(s):
    n = len(s)
    m = np.maximum(0, s - s[np.arange(n), RIGHT_CLASS][:, None] + 1)
    m[np.arange(n), RIGHT_CLASS] = 0
    loss = (m**2).sum() / n
    ds = m.copy()
    ds[np.arange(n), RIGHT_CLASS] -= m.sum(axis=1)
    return loss, ds / n


@sqh("slope of the plain hinge", "missing term|wrong formula|wrong mask|wrong tensor")
def squared_hinge_3(s):
    n = len(s)
    m = np.maximum(0, s - s[np.arange(n), RIGHT_CLASS][:, None] + 1)
    m[np.arange(n), RIGHT_CLASS] = 0
    loss = (m**2).sum() / n
    ds = 2.0 * (m > 0)
    ds[np.arange(n), RIGHT_CLASS] -= ds.sum(axis=1)
    return loss, ds / n


@sqh("right class forgotten", "missing term")
def squared_hinge_4(s):
    n = len(s)
    m = np.maximum(0, s - s[np.arange(n), RIGHT_CLASS][:, None] + 1)
    m[np.arange(n), RIGHT_CLASS] = 0
    loss = (m**2).sum() / n
    return loss, 2 * m / n


@sqh("right class summed over the samples", "wrong axis|wrong formula")
def squared_hinge_5(s):
    n = len(s)
    m = np.maximum(0, s - s[np.arange(n), RIGHT_CLASS][:, None] + 1)
    m[np.arange(n), RIGHT_CLASS] = 0
    loss = (m**2).sum() / n
    ds = 2 * m
    ds[np.arange(n), RIGHT_CLASS] -= ds.sum(axis=0)[RIGHT_CLASS]
    return loss, ds / n


# pooling


def maxpool_forward(x, size=2, stride=2):
    N, C, H, W = x.shape
    Ho, Wo = (H - size) // stride + 1, (W - size) // stride + 1
    out = np.zeros((N, C, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            out[:, :, i, j] = x[:, :, i * stride:i * stride + size, j * stride:j * stride + size].max(axis=(2, 3))
    return out, (x, size, stride)


mp = pairs("max pooling", lambda x: maxpool_forward(x), normal((2, 2, 4, 6)))


@mp("four loops")
def maxpool_backward_1(dout, cache):
    x, size, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i * stride:i * stride + size, j * stride:j * stride + size]
                    a, b = np.unravel_index(window.argmax(), window.shape)
                    dx[n, c, i * stride + a, j * stride + b] += dout[n, c, i, j]
    return dx


@mp("all of the window", "wrong mask")
def maxpool_backward_2(dout, cache):
    x, size, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for i in range(Ho):
        for j in range(Wo):
            dx[:, :, i * stride:i * stride + size, j * stride:j * stride + size] += dout[:, :, i, j][:, :, None, None]
    return dx


@mp("window and not its mask", "wrong mask|wrong tensor|wrong formula")
def maxpool_backward_3(dout, cache):
    x, size, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for i in range(Ho):
        for j in range(Wo):
            window = x[:, :, i * stride:i * stride + size, j * stride:j * stride + size]
            top = window.max(axis=(2, 3), keepdims=True)
            dx[:, :, i * stride:i * stride + size, j * stride:j * stride + size] += top * dout[:, :, i:i + 1, j:j + 1]
    return dx


@mp("maximum over all channels", "wrong axis|wrong mask")
def maxpool_backward_4(dout, cache):
    x, size, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for i in range(Ho):
            for j in range(Wo):
                window = x[n, :, i * stride:i * stride + size, j * stride:j * stride + size]
                mask = window == window.max()
                dx[n, :, i * stride:i * stride + size, j * stride:j * stride + size] += mask * dout[n, :, i, j][:, None, None]
    return dx


@mp("the smallest", "wrong mask")
def maxpool_backward_5(dout, cache):
    x, size, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i * stride:i * stride + size, j * stride:j * stride + size]
                    a, b = np.unravel_index(np.argmin(window), window.shape)
                    dx[n, c, i * stride + a, j * stride + b] = dout[n, c, i, j]
    return dx


@mp("stride forgotten in the place", "stride or padding")
def maxpool_backward_6(dout, cache):
    x, size, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i * stride:i * stride + size, j * stride:j * stride + size]
                    a, b = np.unravel_index(window.argmax(), window.shape)
                    dx[n, c, i + a, j + b] += dout[n, c, i, j]
    return dx


@mp("ones where the maximum is", "upstream ignored")
def maxpool_backward_7(dout, cache):
    x, size, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for i in range(Ho):
        for j in range(Wo):
            window = x[:, :, i * stride:i * stride + size, j * stride:j * stride + size]
            dx[:, :, i * stride:i * stride + size, j * stride:j * stride + size] = window == window.max(axis=(2, 3), keepdims=True)
    return dx


@mp("into an array of integers", "integer arithmetic")
def maxpool_backward_8(dout, cache):
    x, size, stride = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros(x.shape, dtype=int)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i * stride:i * stride + size, j * stride:j * stride + size]
                    a, b = np.unravel_index(window.argmax(), window.shape)
                    dx[n, c, i * stride + a, j * stride + b] = dout[n, c, i, j]
    return dx


def overlap_forward(x):
    """1-d: windows of three, stride one."""
    idx = np.arange(x.shape[1] - 2)[:, None] + np.arange(3)
    windows = x[:, idx]
    return windows.max(axis=2), (x.shape, idx[:, 0] + windows.argmax(axis=2))


ov = pairs("overlapping max pooling", overlap_forward, normal((3, 8)))


@ov("add.at")
def overlap_backward_1(dout, cache):
    shape, where = cache
    dx = np.zeros(shape)
    rows = np.repeat(np.arange(shape[0]), dout.shape[1])
    np.add.at(dx, (rows, where.ravel()), dout.ravel())
    return dx


@ov("written and not added", "assigned")
def overlap_backward_2(dout, cache):
    shape, where = cache
    dx = np.zeros(shape)
    for n in range(shape[0]):
        for j in range(dout.shape[1]):
            dx[n, where[n, j]] = dout[n, j]
    return dx


@ov("+= of an index array", "assigned")
def overlap_backward_3(dout, cache):
    shape, where = cache
    dx = np.zeros(shape)
    dx[np.arange(shape[0])[:, None], where] += dout
    return dx


ap = classes("average pooling", normal((2, 3, 4, 4)))


@ap("by reshaping")
class AvgPool:
    k = 2

    def forward(self, x):
        self.shape = N, C, H, W = x.shape
        return x.reshape(N, C, H // self.k, self.k, W // self.k, self.k).mean(axis=(3, 5))

    def backward(self, dout):
        return dout.repeat(self.k, axis=2).repeat(self.k, axis=3) / self.k**2


@ap("divided by k", "constant factor")
class AvgPoolK(AvgPool):
    def backward(self, dout):
        dx = np.repeat(np.repeat(dout, self.k, axis=2), self.k, axis=3)
        return dx / self.k


@ap("not divided", "constant factor|missing term")
class AvgPoolSum(AvgPool):
    def backward(self, dout):
        return np.kron(dout, np.ones((self.k, self.k)))


@ap("tiled", "wrong axis|stride or padding|wrong formula")
class AvgPoolTile(AvgPool):
    def backward(self, dout):
        return np.tile(dout, (1, 1, self.k, self.k)) / self.k**2


@ap("one corner only", "missing term|stride or padding|wrong mask")
class AvgPoolCorner(AvgPool):
    def backward(self, dout):
        dx = np.zeros(self.shape)
        dx[:, :, ::self.k, ::self.k] = dout / self.k**2
        return dx


@ap("integers divided", "integer arithmetic")
class AvgPoolInteger(AvgPool):
    def backward(self, dout):
        dx = dout.repeat(self.k, axis=2).repeat(self.k, axis=3)
        return dx // (self.k * self.k)


def global_avg(x):
    """Global average pooling over the pixels, (N, H, W, C)."""
    N, H, W, C = x.shape
    y = x.mean(axis=(1, 2))

    def backward(dy):
        return np.broadcast_to(dy[:, None, None, :], x.shape) / (H * W)

    return y, backward


def global_avg_h(x):
    N, H, W, C = x.shape
    y = x.mean(axis=(1, 2))

    def backward(dy):
        return np.ones_like(x) * dy[:, None, None, :] / x.size

    return y, backward


def global_avg_flat(x):
    N, H, W, C = x.shape
    y = x.mean(axis=(1, 2))

    def backward(dy):
        return dy[:, None, None, :] / (H * W)

    return y, backward


gap = alone("global average pooling", normal((2, 3, 4, 2)))
gap("broadcast")(global_avg)
gap("divided by the size of the batch too", "constant factor")(global_avg_h)
gap("one pixel", "wrong shape")(global_avg_flat)


# GELU


def gelu_forward(x):
    u = sqrt(2 / pi) * (x + 0.044715 * x**3)
    t = np.tanh(u)
    return 0.5 * x * (1 + t), (x, t)


gelu = pairs("tanh GELU", gelu_forward, normal((4, 4)))


@gelu("product rule")
def gelu_backward_1(dout, cache):
    x, t = cache
    du = sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2)
    return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)


@gelu("second term forgotten", "missing term")
def gelu_backward_2(dout, cache):
    x, t = cache
    return dout * 0.5 * (1 + t)


@gelu("three forgotten", "constant factor|wrong formula|missing term")
def gelu_backward_3(dout, cache):
    x, t = cache
    du = sqrt(2 / pi) * (1 + 0.044715 * x**2)
    dx = 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du
    return dout * dx


@gelu("x forgotten in the second term", "missing term")
def gelu_backward_4(dout, cache):
    x, t = cache
    du = sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2)
    left = 0.5 * (1 + t)
    right = 0.5 * (1 - t**2) * du
    return dout * (left + right)


@gelu("tanh not squared", "missing term|wrong formula|wrong tensor")
def gelu_backward_5(dout, cache):
    x, t = cache
    du = sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2)
    return dout * (0.5 * (1 + t) + 0.5 * x * (1 - t) * du)


@gelu("inner slope forgotten", "missing term")
def gelu_backward_6(dout, cache):
    x, t = cache
    sech2 = 1 - t * t
    return dout * (0.5 * (1 + t) + 0.5 * x * sech2)


@gelu("half forgotten on the right", "constant factor|missing term")
def gelu_backward_7(dout, cache):
    x, t = cache
    du = sqrt(2 / pi) * (1 + 3 * 0.044715 * x**2)
    dx = 0.5 * (1 + t) + x * (1 - t**2) * du
    return dout * dx


def gelu_exact(x):
    cdf = 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))

    def backward(dy):
        pdf = np.exp(-x**2 / 2) / sqrt(2 * pi)
        return dy * (cdf + x * pdf)

    return x * cdf, backward


def gelu_exact_pdf(x):
    cdf = 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))

    def backward(dy):
        pdf = np.exp(-x**2 / 2)
        return dy * (cdf + x * pdf)

    return x * cdf, backward


def gelu_exact_times(x):
    cdf = 0.5 * (1 + np.vectorize(erf)(x / sqrt(2)))

    def backward(dy):
        pdf = np.exp(-x**2) / sqrt(2 * pi)
        return dy * (cdf + x * pdf)

    return x * cdf, backward


eg = alone("GELU with erf", normal((3, 4)))
eg("as in the paper")(gelu_exact)
eg("density not normalised", "constant factor|wrong formula|missing term")(gelu_exact_pdf)
eg("density of another width", "wrong formula|constant factor")(gelu_exact_times)


# softplus with a beta, SiLU


sp = classes("softplus", normal((4, 3)))


class SoftplusBase:
    beta = 1.5

    def forward(self, x):
        self.x = x
        return np.logaddexp(0, self.beta * x) / self.beta


@sp("sigmoid of beta x")
class Softplus1(SoftplusBase):
    def backward(self, dout):
        return dout / (1 + np.exp(-self.beta * self.x))


@sp("sigmoid of x", "missing term|constant factor|wrong formula")
class Softplus2(SoftplusBase):
    def backward(self, dout):
        return dout / (1 + np.exp(-self.x))


@sp("beta once too often", "constant factor|extra term")
class Softplus3(SoftplusBase):
    def backward(self, dout):
        s = sigmoid(self.beta * self.x)
        return self.beta * s * dout


@sp("sign of the exponent", "constant factor|wrong formula")
class Softplus4(SoftplusBase):
    def backward(self, dout):
        return dout / (1 + np.exp(self.beta * self.x))


@sp("slope of the sigmoid", "wrong formula|extra term")
class Softplus5(SoftplusBase):
    def backward(self, dout):
        s = sigmoid(self.beta * self.x)
        return dout * s * (1 - s)


def silu_forward(x):
    s = sigmoid(x)
    return x * s, (x, s)


silu = pairs("SiLU", silu_forward, normal((3, 5)))


@silu("one line")
def silu_backward_1(dout, cache):
    x, s = cache
    return dout * s * (1 + x * (1 - s))


@silu("gate as a constant", "missing term")
def silu_backward_2(dout, cache):
    x, s = cache
    return dout * s


@silu("s forgotten in the slope", "missing term")
def silu_backward_3(dout, cache):
    x, s = cache
    ds = 1 - s
    return dout * (s + x * ds)


@silu("in halves", "float32")
def silu_backward_4(dout, cache):
    x, s = cache
    x, s = x.astype(np.float32), s.astype(np.float32)
    return (dout * (s + x * s * (1 - s))).astype(np.float32)


# ELU and SELU


def elu_forward(x, alpha=0.7):
    return np.where(x > 0, x, alpha * np.expm1(x)), (x, alpha)


elu = pairs("ELU of alpha 0.7", lambda x: elu_forward(x), normal((5, 4)))


@elu("where")
def elu_backward_1(dout, cache):
    x, alpha = cache
    return dout * np.where(x > 0, 1.0, alpha * np.exp(x))


@elu("alpha forgotten", "missing term|constant factor")
def elu_backward_2(dout, cache):
    x, alpha = cache
    return dout * np.where(x > 0, 1.0, np.exp(x))


@elu("output plus one", "wrong formula|constant factor|missing term|wrong tensor")
def elu_backward_3(dout, cache):
    x, alpha = cache
    dx = dout.copy()
    y = alpha * (np.exp(x) - 1)
    dx[x < 0] *= (y + 1)[x < 0]
    return dx


@elu("exp minus one", "extra term|wrong tensor|wrong formula")
def elu_backward_4(dout, cache):
    x, alpha = cache
    slope = np.ones_like(x)
    slope[x <= 0] = alpha * (np.exp(x[x <= 0]) - 1)
    return dout * slope


@elu("exp everywhere", "wrong mask|extra term")
def elu_backward_5(dout, cache):
    x, alpha = cache
    return dout * alpha * np.exp(x)


@elu("mask of dout", "wrong mask|wrong tensor")
def elu_backward_6(dout, cache):
    x, alpha = cache
    return np.where(dout > 0, dout, dout * alpha * np.exp(x))


LAMBDA, ALPHA = 1.0507, 1.67326


def selu_forward(x):
    out = LAMBDA * x
    neg = x < 0
    out[neg] = LAMBDA * ALPHA * (np.exp(x[neg]) - 1)
    return out, (out, neg)


selu = pairs("SELU", selu_forward, normal((4, 4)))


@selu("from the output")
def selu_backward_1(dout, cache):
    out, neg = cache
    dx = LAMBDA * dout
    dx[neg] = dout[neg] * (out[neg] + LAMBDA * ALPHA)
    return dx


@selu("lambda forgotten on the right side of zero", "constant factor|missing term")
def selu_backward_2(dout, cache):
    out, neg = cache
    dx = dout.copy()
    dx[neg] = dout[neg] * (out[neg] + LAMBDA * ALPHA)
    return dx


@selu("alpha without lambda", "wrong formula|constant factor|missing term")
def selu_backward_3(dout, cache):
    out, neg = cache
    dx = LAMBDA * dout
    dx[neg] = dout[neg] * (out[neg] + ALPHA)
    return dx


# PReLU with a slope per channel


def prelu_forward(x, a):
    return np.where(x > 0, x, a[:, None, None] * x), (x, a)


prelu = pairs("PReLU of channels", prelu_forward, normal((2, 3, 2, 4), (3,)))


@prelu("both")
def prelu_backward_1(dout, cache):
    x, a = cache
    neg = x <= 0
    dx = dout * np.where(neg, a.reshape(1, -1, 1, 1), 1)
    da = (dout * x * neg).sum(axis=(0, 2, 3))
    return dx, da


@prelu("one slope for all", "wrong axis|wrong shape")
def prelu_backward_2(dout, cache):
    x, a = cache
    neg = x <= 0
    dx = dout * np.where(neg, a.reshape(1, -1, 1, 1), 1)
    da = np.sum(dout * x * neg)
    return dx, da


@prelu("da of all inputs", "wrong mask|missing term")
def prelu_backward_3(dout, cache):
    x, a = cache
    dx = dout * np.where(x <= 0, a.reshape(1, -1, 1, 1), 1)
    da = (dout * x).sum(axis=(0, 2, 3))
    return dx, da


@prelu("x forgotten in da", "missing term")
def prelu_backward_4(dout, cache):
    x, a = cache
    neg = x <= 0
    dx = dout * np.where(neg, a.reshape(1, -1, 1, 1), 1)
    da = (dout * neg).sum(axis=(0, 2, 3))
    return dx, da


@prelu("dx of the ReLU", "missing term|wrong mask|wrong formula")
def prelu_backward_5(dout, cache):
    x, a = cache
    dx = dout * (x > 0)
    da = (dout * np.minimum(x, 0)).sum(axis=(0, 2, 3))
    return dx, da


@prelu("da averaged", "constant factor")
def prelu_backward_6(dout, cache):
    x, a = cache
    dx = dout.copy()
    da = np.zeros_like(a)
    for c in range(len(a)):
        neg = x[:, c] < 0
        dx[:, c][neg] *= a[c]
        da[c] = np.mean(dout[:, c] * x[:, c] * neg)
    return dx, da


@prelu("da left at zero", "missing gradient|wrong formula")
def prelu_backward_7(dout, cache):
    x, a = cache
    dx = dout * np.where(x > 0, 1, a.reshape(1, -1, 1, 1))
    da = np.zeros_like(a)
    return dx, da


# gated linear units


def glu_forward(x):
    a, b = np.split(x, 2, axis=1)
    g = sigmoid(b)
    return a * g, (a, g)


glu = pairs("GLU", glu_forward, normal((4, 6)))


@glu("halves put together")
def glu_backward_1(dout, cache):
    a, g = cache
    return np.hstack([dout * g, dout * a * g * (1 - g)])


@glu("halves the other way", "wrong tensor|wrong axis|wrong formula")
def glu_backward_2(dout, cache):
    a, g = cache
    da = dout * g
    db = dout * a * g * (1 - g)
    return np.concatenate([db, da], axis=1)


@glu("put below one another", "wrong shape|wrong axis")
def glu_backward_3(dout, cache):
    a, g = cache
    da = dout * g
    db = dout * a * g * (1 - g)
    return np.concatenate([da, db], axis=0)


@glu("a forgotten", "missing term")
def glu_backward_4(dout, cache):
    a, g = cache
    dx = np.zeros((dout.shape[0], 2 * dout.shape[1]))
    dx[:, :dout.shape[1]] = dout * g
    dx[:, dout.shape[1]:] = dout * g * (1 - g)
    return dx


@glu("output for a", "wrong tensor|extra term")
def glu_backward_5(dout, cache):
    a, g = cache
    out = a * g
    da = dout * g
    db = dout * out * g * (1 - g)
    return np.hstack((da, db))


def swiglu_forward(x, W, V):
    u, v = x @ W, x @ V
    s = sigmoid(u)
    return u * s * v, (x, W, V, u, v, s)


swiglu = pairs("SwiGLU", swiglu_forward, normal((4, 3), (3, 5), (3, 5)))


@swiglu("backwards step by step")
def swiglu_backward_1(dout, cache):
    x, W, V, u, v, s = cache
    dv = dout * u * s
    dh = dout * v
    du = dh * (s + u * s * (1 - s))
    return du @ W.T + dv @ V.T, x.T @ du, x.T @ dv


@swiglu("gate's path forgotten in dx", "missing term")
def swiglu_backward_2(dout, cache):
    x, W, V, u, v, s = cache
    dv = dout * u * s
    du = dout * v * (s + u * s * (1 - s))
    dx = dv @ V.T
    return dx, x.T @ du, x.T @ dv


@swiglu("second path overwrites the first", "assigned|missing term")
def swiglu_backward_3(dout, cache):
    x, W, V, u, v, s = cache
    dv = dout * u * s
    du = dout * v * (s + u * s * (1 - s))
    dx = np.dot(dv, V.T)
    dx = np.dot(du, W.T)
    dW = np.dot(x.T, du)
    dV = np.dot(x.T, dv)
    return dx, dW, dV


@swiglu("weights changed over", "wrong tensor|transposed")
def swiglu_backward_4(dout, cache):
    x, W, V, u, v, s = cache
    dv = dout * u * s
    du = dout * v * (s + u * s * (1 - s))
    dx = du @ V.T + dv @ W.T
    return dx, x.T @ du, x.T @ dv


@swiglu("u for its SiLU in dv", "missing term|wrong tensor")
def swiglu_backward_5(dout, cache):
    x, W, V, u, v, s = cache
    dv = dout * u
    du = dout * v * (s + u * s * (1 - s))
    dx = du @ W.T + dv @ V.T
    return dx, x.T @ du, x.T @ dv


# recurrent cells


def rnn_step_forward(x, h, Wx, Wh, b):
    nxt = np.tanh(x @ Wx + h @ Wh + b)
    return nxt, (x, h, Wx, Wh, nxt)


rnn = pairs("RNN step", rnn_step_forward, normal((3, 4), (3, 4), (4, 4), (4, 4), (4,)))


@rnn("from the captioning homework")
def rnn_step_backward_1(dnext, cache):
    x, h, Wx, Wh, nxt = cache
    da = dnext * (1 - nxt**2)
    return da @ Wx.T, da @ Wh.T, x.T @ da, h.T @ da, da.sum(axis=0)


@rnn("Wh of the next state", "wrong tensor")
def rnn_step_backward_2(dnext, cache):
    x, h, Wx, Wh, nxt = cache
    da = dnext * (1 - nxt**2)
    dx = da.dot(Wx.T)
    dh = da.dot(Wh.T)
    dWx = x.T.dot(da)
    dWh = nxt.T.dot(da)
    db = da.sum(axis=0)
    return dx, dh, dWx, dWh, db


@rnn("dh through Wx", "wrong tensor")
def rnn_step_backward_3(dnext, cache):
    x, h, Wx, Wh, nxt = cache
    da = dnext * (1 - nxt**2)
    dx = da.dot(Wx.T)
    dh = da.dot(Wx.T)
    dWx = x.T.dot(da)
    dWh = h.T.dot(da)
    db = da.sum(axis=0)
    return dx, dh, dWx, dWh, db


@rnn("weights not transposed", "transposed")
def rnn_step_backward_4(dnext, cache):
    x, h, Wx, Wh, nxt = cache
    da = dnext * (1 - nxt**2)
    dx = da.dot(Wx)
    dh = da.dot(Wh)
    dWx = x.T.dot(da)
    dWh = h.T.dot(da)
    db = da.sum(axis=0)
    return dx, dh, dWx, dWh, db


@rnn("db before the tanh", "missing term|wrong tensor")
def rnn_step_backward_5(dnext, cache):
    x, h, Wx, Wh, nxt = cache
    da = dnext * (1 - nxt**2)
    dx, dh = da @ Wx.T, da @ Wh.T
    dWx, dWh = x.T @ da, h.T @ da
    db = dnext.sum(axis=0)
    return dx, dh, dWx, dWh, db


def rnn_seq_forward(x, Wx, Wh):
    """x (T, N, D); returns all states."""
    T, N, D = x.shape
    hs = np.zeros((T + 1, N, Wh.shape[0]))
    for t in range(T):
        hs[t + 1] = np.tanh(x[t] @ Wx + hs[t] @ Wh)
    return hs[1:], (x, Wx, Wh, hs)


bptt = pairs("RNN over time", rnn_seq_forward, normal((4, 2, 3), (3, 3), (3, 3)))


@bptt("all the way back")
def rnn_seq_backward_1(dhs, cache):
    x, Wx, Wh, hs = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    carry = np.zeros_like(hs[0])
    for t in reversed(range(len(x))):
        da = (dhs[t] + carry) * (1 - hs[t + 1] ** 2)
        dx[t] = da @ Wx.T
        dWx += x[t].T @ da
        dWh += hs[t].T @ da
        carry = da @ Wh.T
    return dx, dWx, dWh


@bptt("no gradient through time", "missing term")
def rnn_seq_backward_2(dhs, cache):
    x, Wx, Wh, hs = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    for t in range(len(x)):
        da = dhs[t] * (1 - hs[t + 1] ** 2)
        dx[t] = da @ Wx.T
        dWx += x[t].T @ da
        dWh += hs[t].T @ da
    return dx, dWx, dWh


@bptt("weights of the first step only", "assigned|missing term")
def rnn_seq_backward_3(dhs, cache):
    x, Wx, Wh, hs = cache
    dx = np.zeros_like(x)
    carry = np.zeros_like(hs[0])
    for t in reversed(range(len(x))):
        da = (dhs[t] + carry) * (1 - hs[t + 1] ** 2)
        dx[t] = da @ Wx.T
        dWx = x[t].T @ da
        dWh = hs[t].T @ da
        carry = da @ Wh.T
    return dx, dWx, dWh


@bptt("forwards in time", "wrong formula|wrong axis|missing term|extra term")
def rnn_seq_backward_4(dhs, cache):
    x, Wx, Wh, hs = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    carry = np.zeros_like(hs[0])
    for t in range(len(x)):
        da = (dhs[t] + carry) * (1 - hs[t + 1] ** 2)
        dx[t] = da @ Wx.T
        dWx += x[t].T @ da
        dWh += hs[t].T @ da
        carry = da @ Wh.T
    return dx, dWx, dWh


@bptt("carry outside of the tanh", "missing term|wrong formula")
def rnn_seq_backward_5(dhs, cache):
    x, Wx, Wh, hs = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    carry = np.zeros_like(hs[0])
    for t in reversed(range(len(x))):
        da = dhs[t] * (1 - hs[t + 1] ** 2) + carry
        dx[t] = da @ Wx.T
        dWx += x[t].T @ da
        dWh += hs[t].T @ da
        carry = da @ Wh.T
    return dx, dWx, dWh


@bptt("state after the step for dWh", "wrong tensor")
def rnn_seq_backward_6(dhs, cache):
    x, Wx, Wh, hs = cache
    dx, dWx, dWh = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh)
    carry = 0
    for t in range(len(x) - 1, -1, -1):
        da = (dhs[t] + carry) * (1 - hs[t + 1] ** 2)
        dx[t] = da @ Wx.T
        dWx += x[t].T @ da
        dWh += hs[t + 1].T @ da
        carry = da @ Wh.T
    return dx, dWx, dWh


def gru_forward(x, h, Wz, Wr, Wn):
    """Each W is (D + H, H)."""
    xh = np.concatenate([x, h], axis=1)
    z, r = sigmoid(xh @ Wz), sigmoid(xh @ Wr)
    xrh = np.concatenate([x, r * h], axis=1)
    n = np.tanh(xrh @ Wn)
    return (1 - z) * n + z * h, (x, h, Wz, Wr, Wn, xh, xrh, z, r, n)


gru = pairs("GRU cell", gru_forward, normal((3, 2), (3, 3), (5, 3), (5, 3), (5, 3)))


@gru("path by path")
def gru_backward_1(dout, cache):
    x, h, Wz, Wr, Wn, xh, xrh, z, r, n = cache
    D = x.shape[1]
    dn = dout * (1 - z) * (1 - n**2)
    dz = dout * (h - n) * z * (1 - z)
    dxrh = dn @ Wn.T
    dr = dxrh[:, D:] * h * r * (1 - r)
    dxh = dz @ Wz.T + dr @ Wr.T
    dx = dxh[:, :D] + dxrh[:, :D]
    dh = dout * z + dxh[:, D:] + dxrh[:, D:] * r
    return dx, dh, xh.T @ dz, xh.T @ dr, xrh.T @ dn


@gru("direct path to h forgotten", "missing term")
def gru_backward_2(dout, cache):
    x, h, Wz, Wr, Wn, xh, xrh, z, r, n = cache
    D = x.shape[1]
    dn = dout * (1 - z) * (1 - n**2)
    dz = dout * (h - n) * z * (1 - z)
    dxrh = dn @ Wn.T
    dr = dxrh[:, D:] * h * r * (1 - r)
    dxh = dz @ Wz.T + dr @ Wr.T
    dx = dxh[:, :D] + dxrh[:, :D]
    dh = dxh[:, D:] + dxrh[:, D:] * r
    return dx, dh, xh.T @ dz, xh.T @ dr, xrh.T @ dn


@gru("reset gate forgotten in dh", "missing term")
def gru_backward_3(dout, cache):
    x, h, Wz, Wr, Wn, xh, xrh, z, r, n = cache
    D = x.shape[1]
    dn = dout * (1 - z) * (1 - n**2)
    dz = dout * (h - n) * z * (1 - z)
    dxrh = dn @ Wn.T
    dr = dxrh[:, D:] * h * r * (1 - r)
    dxh = dz @ Wz.T + dr @ Wr.T
    dx = dxh[:, :D] + dxrh[:, :D]
    dh = dout * z + dxh[:, D:] + dxrh[:, D:]
    return dx, dh, xh.T @ dz, xh.T @ dr, xrh.T @ dn


@gru("n minus h", "constant factor")
def gru_backward_4(dout, cache):
    x, h, Wz, Wr, Wn, xh, xrh, z, r, n = cache
    D = x.shape[1]
    dn = dout * (1 - z) * (1 - n**2)
    dz = dout * (n - h) * z * (1 - z)
    dxrh = dn @ Wn.T
    dr = dxrh[:, D:] * h * r * (1 - r)
    dxh = dz @ Wz.T + dr @ Wr.T
    dx = dxh[:, :D] + dxrh[:, :D]
    dh = dout * z + dxh[:, D:] + dxrh[:, D:] * r
    return dx, dh, xh.T @ dz, xh.T @ dr, xrh.T @ dn


@gru("dWn with the plain state", "wrong tensor|missing term")
def gru_backward_5(dout, cache):
    x, h, Wz, Wr, Wn, xh, xrh, z, r, n = cache
    D = x.shape[1]
    dn = dout * (1 - z) * (1 - n**2)
    dz = dout * (h - n) * z * (1 - z)
    dxrh = dn @ Wn.T
    dr = dxrh[:, D:] * h * r * (1 - r)
    dxh = dz @ Wz.T + dr @ Wr.T
    dx = dxh[:, :D] + dxrh[:, :D]
    dh = dout * z + dxh[:, D:] + dxrh[:, D:] * r
    dWz, dWr, dWn = xh.T @ dz, xh.T @ dr, xh.T @ dn
    return dx, dh, dWz, dWr, dWn


@gru("z for 1 - z", "wrong tensor|wrong formula|wrong mask")
def gru_backward_6(dout, cache):
    x, h, Wz, Wr, Wn, xh, xrh, z, r, n = cache
    D = x.shape[1]
    dn = dout * z * (1 - n**2)
    dz = dout * (h - n) * z * (1 - z)
    dxrh = dn @ Wn.T
    dr = dxrh[:, D:] * h * r * (1 - r)
    dxh = dz @ Wz.T + dr @ Wr.T
    dx = dxh[:, :D] + dxrh[:, :D]
    dh = dout * z + dxh[:, D:] + dxrh[:, D:] * r
    return dx, dh, xh.T @ dz, xh.T @ dr, xrh.T @ dn


@gru("gates' share in dx forgotten", "missing term")
def gru_backward_7(dout, cache):
    x, h, Wz, Wr, Wn, xh, xrh, z, r, n = cache
    D = x.shape[1]
    dn = dout * (1 - z) * (1 - n**2)
    dz = dout * (h - n) * z * (1 - z)
    dxrh = dn @ Wn.T
    dr = dxrh[:, D:] * h * r * (1 - r)
    dxh = dz @ Wz.T + dr @ Wr.T
    dx = dxrh[:, :D]
    dh = dout * z + dxh[:, D:] + dxrh[:, D:] * r
    return dx, dh, xh.T @ dz, xh.T @ dr, xrh.T @ dn


def lstm_forward(x, h, c, Wx, Wh, b):
    """Return the next hidden state; the gates stand as i, f, o, g."""
    H = h.shape[1]
    a = x @ Wx + h @ Wh + b
    i, f, o = sigmoid(a[:, :H]), sigmoid(a[:, H:2 * H]), sigmoid(a[:, 2 * H:3 * H])
    g = np.tanh(a[:, 3 * H:])
    c_next = f * c + i * g
    return o * np.tanh(c_next), (x, h, c, Wx, Wh, i, f, o, g, c_next)


lstm = pairs("LSTM cell", lstm_forward, normal((3, 2), (3, 2), (3, 2), (2, 8), (2, 8), (8,)))


@lstm("gates stacked")
def lstm_backward_1(dh_next, cache):
    x, h, c, Wx, Wh, i, f, o, g, c_next = cache
    tc = np.tanh(c_next)
    dc = dh_next * o * (1 - tc**2)
    da = np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dh_next * tc * o * (1 - o), dc * i * (1 - g**2)])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("f for i", "wrong tensor")
def lstm_backward_2(dh_next, cache):
    x, h, c, Wx, Wh, i, f, o, g, c_next = cache
    tc = np.tanh(c_next)
    dc = dh_next * o * (1 - tc**2)
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    do = dh_next * tc * o * (1 - o)
    dg = dc * i * (1 - g**2)
    da = np.hstack([di, df, do, dg])
    return da @ Wx.T, da @ Wh.T, dc * i, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("tanh of the cell forgotten", "missing term")
def lstm_backward_3(dh_next, cache):
    x, h, c, Wx, Wh, i, f, o, g, c_next = cache
    tc = np.tanh(c_next)
    dc = dh_next * o
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    do = dh_next * tc * o * (1 - o)
    dg = dc * i * (1 - g**2)
    da = np.hstack([di, df, do, dg])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("gates in another order", "wrong axis|wrong tensor|wrong formula")
def lstm_backward_4(dh_next, cache):
    x, h, c, Wx, Wh, i, f, o, g, c_next = cache
    tc = np.tanh(c_next)
    dc = dh_next * o * (1 - tc**2)
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    do = dh_next * tc * o * (1 - o)
    dg = dc * i * (1 - g**2)
    da = np.hstack([di, df, dg, do])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("forget gate with the new cell", "wrong tensor")
def lstm_backward_5(dh_next, cache):
    x, h, c, Wx, Wh, i, f, o, g, c_next = cache
    tc = np.tanh(c_next)
    dc = dh_next * o * (1 - tc**2)
    di = dc * g * i * (1 - i)
    df = dc * c_next * f * (1 - f)
    do = dh_next * tc * o * (1 - o)
    dg = dc * i * (1 - g**2)
    da = np.hstack([di, df, do, dg])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("sigmoid's slope for g", "wrong formula|wrong tensor|missing term|extra term")
def lstm_backward_6(dh_next, cache):
    x, h, c, Wx, Wh, i, f, o, g, c_next = cache
    tc = np.tanh(c_next)
    dc = dh_next * o * (1 - tc**2)
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    do = dh_next * tc * o * (1 - o)
    dg = dc * i * g * (1 - g)
    da = np.hstack([di, df, do, dg])
    return da @ Wx.T, da @ Wh.T, dc * f, x.T @ da, h.T @ da, da.sum(axis=0)


@lstm("no gradient for the cell", "missing gradient")
def lstm_backward_7(dh_next, cache):
    x, h, c, Wx, Wh, i, f, o, g, c_next = cache
    tc = np.tanh(c_next)
    dc = dh_next * o * (1 - tc**2)
    di = dc * g * i * (1 - i)
    df = dc * c * f * (1 - f)
    do = dh_next * tc * o * (1 - o)
    dg = dc * i * (1 - g**2)
    da = np.hstack([di, df, do, dg])
    return da @ Wx.T, da @ Wh.T, None, x.T @ da, h.T @ da, da.sum(axis=0)


# group norm, layer norm


def groupnorm_forward(x, gamma, beta, G=2, eps=1e-5):
    N, C, H, W = x.shape
    g = x.reshape(N, G, C // G, H, W)
    mean = g.mean(axis=(2, 3, 4), keepdims=True)
    var = g.var(axis=(2, 3, 4), keepdims=True)
    xhat = ((g - mean) / np.sqrt(var + eps)).reshape(x.shape)
    return gamma * xhat + beta, (xhat, gamma, var, G, eps)


gn = pairs("group norm", lambda x, gamma, beta: groupnorm_forward(x, gamma, beta), normal((2, 4, 2, 3), (1, 4, 1, 1), (1, 4, 1, 1)))


@gn("sums over a group")
def groupnorm_backward_1(dout, cache):
    xhat, gamma, var, G, eps = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    d = (dout * gamma).reshape(N, G, -1)
    xh = xhat.reshape(N, G, -1)
    M = d.shape[2]
    dx = (M * d - d.sum(axis=2, keepdims=True) - xh * (d * xh).sum(axis=2, keepdims=True)) / M
    dx /= np.sqrt(var.reshape(N, G, 1) + eps)
    return dx.reshape(N, C, H, W), dgamma, dbeta


@gn("gamma forgotten", "missing term")
def groupnorm_backward_2(dout, cache):
    xhat, gamma, var, G, eps = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    d = dout.reshape(N, G, -1)
    xh = xhat.reshape(N, G, -1)
    dx = d - d.mean(axis=2, keepdims=True) - xh * (d * xh).mean(axis=2, keepdims=True)
    dx /= np.sqrt(var.reshape(N, G, 1) + eps)
    return dx.reshape(N, C, H, W), dgamma, dbeta


@gn("means over a channel", "wrong axis")
def groupnorm_backward_3(dout, cache):
    xhat, gamma, var, G, eps = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    d = dout * gamma
    dx = d - d.mean(axis=(2, 3), keepdims=True) - xhat * (d * xhat).mean(axis=(2, 3), keepdims=True)
    std = np.sqrt(var + eps).reshape(N, G, 1)
    return (dx.reshape(N, G, -1) / std).reshape(N, C, H, W), dgamma, dbeta


@gn("variance for the deviation", "wrong tensor|missing term|wrong formula")
def groupnorm_backward_4(dout, cache):
    xhat, gamma, var, G, eps = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    d = (dout * gamma).reshape(N, G, -1)
    xh = xhat.reshape(N, G, -1)
    dx = d - d.mean(axis=2, keepdims=True) - xh * (d * xh).mean(axis=2, keepdims=True)
    dx /= var.reshape(N, G, 1) + eps
    return dx.reshape(N, C, H, W), dgamma, dbeta


@gn("a beta a sample", "wrong axis|wrong shape")
def groupnorm_backward_5(dout, cache):
    xhat, gamma, var, G, eps = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(2, 3), keepdims=True)
    d = (dout * gamma).reshape(N, G, -1)
    xh = xhat.reshape(N, G, -1)
    dx = d - d.mean(axis=2, keepdims=True) - xh * (d * xh).mean(axis=2, keepdims=True)
    dx /= np.sqrt(var.reshape(N, G, 1) + eps)
    return dx.reshape(N, C, H, W), dgamma, dbeta


@gn("statistics taken for constants", "missing term")
def groupnorm_backward_6(dout, cache):
    xhat, gamma, var, G, eps = cache
    N, C, H, W = dout.shape
    dgamma = np.sum(dout * xhat, axis=(0, 2, 3), keepdims=True)
    dbeta = np.sum(dout, axis=(0, 2, 3), keepdims=True)
    dx = (dout * gamma).reshape(N, G, -1) / np.sqrt(var + eps).reshape(N, G, 1)
    return dx.reshape(N, C, H, W), dgamma, dbeta


class LayerNormBase:
    def __init__(self, features=5, eps=1e-5):
        r = np.random.default_rng(8)
        self.params = {"gamma": 1 + 0.3 * r.standard_normal(features), "beta": r.standard_normal(features)}
        self.grads = {}
        self.eps = eps

    def forward(self, x):
        self.mu = x.mean(axis=1, keepdims=True)
        self.xc = x - self.mu
        self.std = np.sqrt((self.xc**2).mean(axis=1, keepdims=True) + self.eps)
        self.xn = self.xc / self.std
        return self.params["gamma"] * self.xn + self.params["beta"]


ln = classes("layer norm", normal((4, 5)))


@ln("by the graph")
class LayerNorm1(LayerNormBase):
    def backward(self, dout):
        D = dout.shape[1]
        self.grads["gamma"] = np.sum(dout * self.xn, axis=0)
        self.grads["beta"] = np.sum(dout, axis=0)
        dxn = dout * self.params["gamma"]
        dxc = dxn / self.std
        dstd = -np.sum(dxn * self.xc, axis=1, keepdims=True) / self.std**2
        dvar = 0.5 * dstd / self.std
        dxc += 2 / D * self.xc * dvar
        dmu = np.sum(dxc, axis=1, keepdims=True)
        return dxc - dmu / D


@ln("means down the batch", "wrong axis")
class LayerNorm2(LayerNormBase):
    def backward(self, dout):
        self.grads["gamma"] = np.sum(dout * self.xn, axis=0)
        self.grads["beta"] = np.sum(dout, axis=0)
        d = dout * self.params["gamma"]
        return (d - d.mean(axis=0) - self.xn * (d * self.xn).mean(axis=0)) / self.std


@ln("half forgotten in the variance", "constant factor|missing term|wrong formula")
class LayerNorm3(LayerNormBase):
    def backward(self, dout):
        D = dout.shape[1]
        self.grads["gamma"] = np.sum(dout * self.xn, axis=0)
        self.grads["beta"] = np.sum(dout, axis=0)
        dxn = dout * self.params["gamma"]
        dxc = dxn / self.std
        dstd = -np.sum(dxn * self.xc, axis=1, keepdims=True) / self.std**2
        dvar = dstd / self.std
        dxc += 2 / D * self.xc * dvar
        return dxc - np.mean(dxc, axis=1, keepdims=True)


@ln("mean's path forgotten", "missing term")
class LayerNorm4(LayerNormBase):
    def backward(self, dout):
        self.grads["gamma"] = np.sum(dout * self.xn, axis=0)
        self.grads["beta"] = np.sum(dout, axis=0)
        d = dout * self.params["gamma"]
        return (d - self.xn * np.mean(d * self.xn, axis=1, keepdims=True)) / self.std


@ln("gamma of the centred input", "wrong tensor|missing term")
class LayerNorm5(LayerNormBase):
    def backward(self, dout):
        self.grads["gamma"] = np.sum(dout * self.xc, axis=0)
        self.grads["beta"] = np.sum(dout, axis=0)
        d = dout * self.params["gamma"]
        return (d - d.mean(axis=1, keepdims=True) - self.xn * (d * self.xn).mean(axis=1, keepdims=True)) / self.std


@ln("beta averaged", "constant factor")
class LayerNorm6(LayerNormBase):
    def backward(self, dout):
        self.grads["gamma"] = np.sum(dout * self.xn, axis=0)
        self.grads["beta"] = np.mean(dout, axis=0)
        d = dout * self.params["gamma"]
        return (d - d.mean(axis=1, keepdims=True) - self.xn * (d * self.xn).mean(axis=1, keepdims=True)) / self.std


# batch norm


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=0)
    var = x.var(axis=0)
    istd = 1 / np.sqrt(var + eps)
    xhat = (x - mu) * istd
    return gamma * xhat + beta, (x, mu, istd, xhat, gamma)


bn = pairs("batch norm", lambda x, gamma, beta: batchnorm_forward(x, gamma, beta), normal((6, 4), (4,), (4,)))


@bn("in steps")
def batchnorm_backward_1(dout, cache):
    x, mu, istd, xhat, gamma = cache
    N = len(x)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * (x - mu), axis=0) * -0.5 * istd**3
    dmu = -np.sum(dxhat * istd, axis=0) + dvar * np.mean(-2 * (x - mu), axis=0)
    dx = dxhat * istd + dvar * 2 * (x - mu) / N + dmu / N
    return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


@bn("short")
def batchnorm_backward_2(dout, cache):
    x, mu, istd, xhat, gamma = cache
    dgamma = np.einsum("nd,nd->d", dout, xhat)
    dbeta = dout.sum(0)
    dx = gamma * istd / len(x) * (len(x) * dout - dbeta - xhat * dgamma)
    return dx, dgamma, dbeta


@bn("power of the deviation", "wrong formula|missing term|constant factor")
def batchnorm_backward_3(dout, cache):
    x, mu, istd, xhat, gamma = cache
    N = len(x)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * (x - mu), axis=0) * -0.5 * istd**2
    dmu = -np.sum(dxhat * istd, axis=0)
    dx = dxhat * istd + dvar * 2 * (x - mu) / N + dmu / N
    return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


@bn("dmu not divided by N", "constant factor|extra term")
def batchnorm_backward_4(dout, cache):
    x, mu, istd, xhat, gamma = cache
    N = len(x)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * (x - mu), axis=0) * -0.5 * istd**3
    dmu = -np.sum(dxhat * istd, axis=0)
    dx = dxhat * istd + dvar * 2 * (x - mu) / N + dmu
    return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


@bn("variance's path forgotten", "missing term")
def batchnorm_backward_5(dout, cache):
    x, mu, istd, xhat, gamma = cache
    dxhat = dout * gamma
    dx = istd * (dxhat - dxhat.mean(axis=0))
    dgamma = (dout * xhat).sum(axis=0)
    dbeta = dout.sum(axis=0)
    return dx, dgamma, dbeta


@bn("dgamma with x", "wrong tensor")
def batchnorm_backward_6(dout, cache):
    x, mu, istd, xhat, gamma = cache
    dxhat = dout * gamma
    dgamma = (dout * x).sum(axis=0)
    dbeta = dout.sum(axis=0)
    dx = istd * (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0))
    return dx, dgamma, dbeta


@bn("sign of the variance's path", "constant factor|wrong formula|extra term")
def batchnorm_backward_7(dout, cache):
    x, mu, istd, xhat, gamma = cache
    N = len(x)
    dxhat = dout * gamma
    dvar = np.sum(dxhat * (x - mu), axis=0) * 0.5 * istd**3
    dmu = -np.sum(dxhat * istd, axis=0)
    dx = dxhat * istd + dvar * 2 * (x - mu) / N + dmu / N
    return dx, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


@bn("dgamma and dbeta exchanged", "wrong tensor|wrong formula")
def batchnorm_backward_8(dout, cache):
    x, mu, istd, xhat, gamma = cache
    dxhat = dout * gamma
    dgamma = (dout * xhat).sum(axis=0)
    dbeta = dout.sum(axis=0)
    dx = istd * (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0))
    return dx, dbeta, dgamma


@bn("dbeta over the wrong axis", "wrong axis|wrong shape")
def batchnorm_backward_9(dout, cache):
    x, mu, istd, xhat, gamma = cache
    dxhat = dout * gamma
    dgamma = (dout * xhat).sum(axis=0)
    dbeta = dout.sum(axis=1)
    dx = istd * (dxhat - dxhat.mean(axis=0) - xhat * (dxhat * xhat).mean(axis=0))
    return dx, dgamma, dbeta


# residual blocks


def resblock_forward(x, W1, W2):
    h = np.maximum(0, x @ W1)
    out = x + h @ W2
    return out, (x, W1, W2, h)


res = pairs("residual block", resblock_forward, normal((4, 4), (4, 4), (4, 4)))


@res("skip added at the end")
def resblock_backward_1(dout, cache):
    x, W1, W2, h = cache
    dW2 = h.T @ dout
    dh = dout @ W2.T
    dh[h == 0] = 0
    dW1 = x.T @ dh
    dx = dh @ W1.T
    dx += dout
    return dx, dW1, dW2


@res("skip forgotten", "missing term")
def resblock_backward_2(dout, cache):
    x, W1, W2, h = cache
    dW2 = h.T @ dout
    dh = dout @ W2.T
    dh[h <= 0] = 0
    dW1 = x.T @ dh
    dx = dh @ W1.T
    return dx, dW1, dW2


@res("only the skip", "missing term")
def resblock_backward_3(dout, cache):
    x, W1, W2, h = cache
    dW2 = h.T @ dout
    dh = (dout @ W2.T) * (h > 0)
    dW1 = x.T @ dh
    return dout.copy(), dW1, dW2


@res("one in place of dout", "upstream ignored|extra term|missing term|wrong formula")
def resblock_backward_4(dout, cache):
    x, W1, W2, h = cache
    dW2 = h.T @ dout
    dh = (dout @ W2.T) * (h > 0)
    dW1 = x.T @ dh
    dx = 1 + dh @ W1.T
    return dx, dW1, dW2


@res("skip added in place on dout", "upstream overwritten")
def resblock_backward_5(dout, cache):
    x, W1, W2, h = cache
    dW2 = h.T @ dout
    dh = (dout @ W2.T) * (h > 0)
    dW1 = x.T @ dh
    dx = dout
    dx += dh @ W1.T
    return dx, dW1, dW2


@res("dW2 of x", "wrong tensor")
def resblock_backward_6(dout, cache):
    x, W1, W2, h = cache
    dW2 = x.T @ dout
    dh = (dout @ W2.T) * (h > 0)
    dW1 = x.T @ dh
    dx = dout + dh @ W1.T
    return dx, dW1, dW2


# convolution, NCHW with stride and padding


def conv_forward(x, w, b, stride=2, pad=1):
    N, C, H, W = x.shape
    F, _, k, _ = w.shape
    Ho, Wo = (H + 2 * pad - k) // stride + 1, (W + 2 * pad - k) // stride + 1
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    out = np.zeros((N, F, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            patch = xp[:, :, i * stride:i * stride + k, j * stride:j * stride + k]
            out[:, :, i, j] = np.tensordot(patch, w, axes=([1, 2, 3], [1, 2, 3])) + b
    return out, (x, xp, w, stride, pad)


cv = pairs("strided convolution", lambda x, w, b: conv_forward(x, w, b), normal((2, 2, 5, 5), (3, 2, 3, 3), (3,)))


@cv("patch by patch")
def conv_backward_1(dout, cache):
    x, xp, w, stride, pad = cache
    k = w.shape[2]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, cols = slice(i * stride, i * stride + k), slice(j * stride, j * stride + k)
            dw += np.tensordot(dout[:, :, i, j], xp[:, :, rows, cols], axes=(0, 0))
            dxp[:, :, rows, cols] += np.tensordot(dout[:, :, i, j], w, axes=(1, 0))
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


@cv("all loops")
def conv_backward_2(dout, cache):
    x, xp, w, stride, pad = cache
    N, F, Ho, Wo = dout.shape
    k = w.shape[2]
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.zeros(F)
    for n in range(N):
        for f in range(F):
            for i in range(Ho):
                for j in range(Wo):
                    a, b = i * stride, j * stride
                    db[f] += dout[n, f, i, j]
                    dw[f] += xp[n, :, a:a + k, b:b + k] * dout[n, f, i, j]
                    dxp[n, :, a:a + k, b:b + k] += w[f] * dout[n, f, i, j]
    return dxp[:, :, 1:-1, 1:-1], dw, db


@cv("padding left on", "wrong shape|stride or padding")
def conv_backward_3(dout, cache):
    x, xp, w, stride, pad = cache
    k = w.shape[2]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, cols = slice(i * stride, i * stride + k), slice(j * stride, j * stride + k)
            dw += np.tensordot(dout[:, :, i, j], xp[:, :, rows, cols], axes=(0, 0))
            dxp[:, :, rows, cols] += np.tensordot(dout[:, :, i, j], w, axes=(1, 0))
    return dxp, dw, dout.sum(axis=(0, 2, 3))


@cv("stride of one in the loops", "stride or padding")
def conv_backward_4(dout, cache):
    x, xp, w, stride, pad = cache
    k = w.shape[2]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dw += np.tensordot(dout[:, :, i, j], xp[:, :, i:i + k, j:j + k], axes=(0, 0))
            dxp[:, :, i:i + k, j:j + k] += np.tensordot(dout[:, :, i, j], w, axes=(1, 0))
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


@cv("windows assigned", "assigned")
def conv_backward_5(dout, cache):
    x, xp, w, stride, pad = cache
    k = w.shape[2]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, cols = slice(i * stride, i * stride + k), slice(j * stride, j * stride + k)
            dw += np.tensordot(dout[:, :, i, j], xp[:, :, rows, cols], axes=(0, 0))
            dxp[:, :, rows, cols] = np.tensordot(dout[:, :, i, j], w, axes=(1, 0))
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


@cv("kernel turned round for dx", "flipped kernel")
def conv_backward_6(dout, cache):
    x, xp, w, stride, pad = cache
    k = w.shape[2]
    wr = w[:, :, ::-1, ::-1]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, cols = slice(i * stride, i * stride + k), slice(j * stride, j * stride + k)
            dw += np.tensordot(dout[:, :, i, j], xp[:, :, rows, cols], axes=(0, 0))
            dxp[:, :, rows, cols] += np.tensordot(dout[:, :, i, j], wr, axes=(1, 0))
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 2, 3))


@cv("db over the batch and a row", "wrong axis|wrong shape")
def conv_backward_7(dout, cache):
    x, xp, w, stride, pad = cache
    k = w.shape[2]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, cols = slice(i * stride, i * stride + k), slice(j * stride, j * stride + k)
            dw += np.tensordot(dout[:, :, i, j], xp[:, :, rows, cols], axes=(0, 0))
            dxp[:, :, rows, cols] += np.tensordot(dout[:, :, i, j], w, axes=(1, 0))
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum(axis=(0, 1, 2))


@cv("cropped at one end", "stride or padding")
def conv_backward_8(dout, cache):
    x, xp, w, stride, pad = cache
    k = w.shape[2]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            rows, cols = slice(i * stride, i * stride + k), slice(j * stride, j * stride + k)
            dw += np.tensordot(dout[:, :, i, j], xp[:, :, rows, cols], axes=(0, 0))
            dxp[:, :, rows, cols] += np.tensordot(dout[:, :, i, j], w, axes=(1, 0))
    return dxp[:, :, :x.shape[2], :x.shape[3]], dw, dout.sum(axis=(0, 2, 3))


def conv_valid_forward(x, w):
    """One channel, no padding: (N, H, W) and (k, k)."""
    k = len(w)
    windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(1, 2))
    return np.einsum("nijab,ab->nij", windows, w), (x, w, windows)


c2 = pairs("convolution of one channel", conv_valid_forward, normal((2, 5, 6), (3, 3)))


@c2("full convolution with the turned kernel")
def conv_valid_backward_1(dout, cache):
    x, w, windows = cache
    k = len(w)
    dp = np.pad(dout, ((0, 0), (k - 1, k - 1), (k - 1, k - 1)))
    back = np.lib.stride_tricks.sliding_window_view(dp, (k, k), axis=(1, 2))
    return np.einsum("nijab,ab->nij", back, w[::-1, ::-1]), np.einsum("nijab,nij->ab", windows, dout)


@c2("kernel not turned", "flipped kernel")
def conv_valid_backward_2(dout, cache):
    x, w, windows = cache
    k = len(w)
    dp = np.pad(dout, ((0, 0), (k - 1, k - 1), (k - 1, k - 1)))
    back = np.lib.stride_tricks.sliding_window_view(dp, (k, k), axis=(1, 2))
    dx = np.einsum("nijab,ab->nij", back, w)
    dw = np.einsum("nijab,nij->ab", windows, dout)
    return dx, dw


@c2("kernel transposed", "transposed|flipped kernel")
def conv_valid_backward_3(dout, cache):
    x, w, windows = cache
    k = len(w)
    dx = np.zeros_like(x)
    dw = np.zeros_like(w)
    for a in range(k):
        for b in range(k):
            dx[:, a:a + dout.shape[1], b:b + dout.shape[2]] += w.T[a, b] * dout
            dw[a, b] = (windows[..., a, b] * dout).sum()
    return dx, dw


@c2("dw turned", "flipped kernel")
def conv_valid_backward_4(dout, cache):
    x, w, windows = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(dout.shape[1]):
        for j in range(dout.shape[2]):
            dx[:, i:i + 3, j:j + 3] += dout[:, i, j, None, None] * w
            dw += np.sum(dout[:, i, j, None, None] * x[:, i:i + 3, j:j + 3], axis=0)
    return dx, np.rot90(dw, 2)


@c2("cropped by a padding of nought", "empty slice|wrong shape")
def conv_valid_backward_5(dout, cache, pad=0):
    x, w, windows = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(dout.shape[1]):
        for j in range(dout.shape[2]):
            dx[:, i:i + 3, j:j + 3] += dout[:, i, j, None, None] * w
            dw += np.sum(dout[:, i, j, None, None] * x[:, i:i + 3, j:j + 3], axis=0)
    return dx[:, pad:-pad, pad:-pad], dw


@c2("height and width mixed up", "exception")
def conv_valid_backward_6(dout, cache):
    x, w, windows = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    N, Wo, Ho = dout.shape
    for i in range(Ho):
        for j in range(Wo):
            dx[:, i:i + 3, j:j + 3] += dout[:, i, j, None, None] * w
            dw += np.sum(dout[:, i, j, None, None] * x[:, i:i + 3, j:j + 3], axis=0)
    return dx, dw


# transposed convolution


def deconv_forward(x, w, b, stride=2):
    """x (N, H, W, C), w (k, k, C, F), b (F,)."""
    N, H, W, C = x.shape
    k, F = w.shape[0], w.shape[3]
    out = np.zeros((N, (H - 1) * stride + k, (W - 1) * stride + k, F)) + b
    for a in range(k):
        for c in range(k):
            out[:, a:a + H * stride:stride, c:c + W * stride:stride][:, :H, :W] += x @ w[a, c]
    return out, (x, w, stride)


ct = pairs("transposed convolution, NHWC", lambda x, w, b: deconv_forward(x, w, b), normal((2, 3, 3, 2), (3, 3, 2, 2), (2,)))


@ct("pixel by pixel")
def deconv_backward_1(dout, cache):
    x, w, s = cache
    N, H, W, C = x.shape
    k = len(w)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(H):
        for j in range(W):
            patch = dout[:, i * s:i * s + k, j * s:j * s + k]
            dx[:, i, j] = np.einsum("nabf,abcf->nc", patch, w)
            dw += np.einsum("nabf,nc->abcf", patch, x[:, i, j])
    return dx, dw, dout.sum(axis=(0, 1, 2))


@ct("stride forgotten", "stride or padding")
def deconv_backward_2(dout, cache):
    x, w, s = cache
    N, H, W, C = x.shape
    k = len(w)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(H):
        for j in range(W):
            patch = dout[:, i:i + k, j:j + k]
            dx[:, i, j] = np.einsum("nabf,abcf->nc", patch, w)
            dw += np.einsum("nabf,nc->abcf", patch, x[:, i, j])
    return dx, dw, dout.sum(axis=(0, 1, 2))


@ct("kernel turned round", "flipped kernel")
def deconv_backward_3(dout, cache):
    x, w, s = cache
    N, H, W, C = x.shape
    k = len(w)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(H):
        for j in range(W):
            patch = dout[:, i * s:i * s + k, j * s:j * s + k]
            dx[:, i, j] = np.einsum("nabf,abcf->nc", patch, np.flip(w, (0, 1)))
            dw += np.einsum("nabf,nc->abcf", patch, x[:, i, j])
    return dx, dw, dout.sum(axis=(0, 1, 2))


@ct("channels transposed in dw", "transposed")
def deconv_backward_4(dout, cache):
    x, w, s = cache
    N, H, W, C = x.shape
    k = len(w)
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i in range(H):
        for j in range(W):
            patch = dout[:, i * s:i * s + k, j * s:j * s + k]
            dx[:, i, j] = np.einsum("nabf,abcf->nc", patch, w)
            dw += np.einsum("nabf,nc->abfc", patch, x[:, i, j])
    return dx, dw, dout.sum(axis=(0, 1, 2))


@ct("dw of the last pixel", "assigned|missing term")
def deconv_backward_5(dout, cache):
    x, w, s = cache
    N, H, W, C = x.shape
    k = len(w)
    dx = np.zeros_like(x)
    for i in range(H):
        for j in range(W):
            patch = dout[:, i * s:i * s + k, j * s:j * s + k]
            dx[:, i, j] = np.einsum("nabf,abcf->nc", patch, w)
            dw = np.einsum("nabf,nc->abcf", patch, x[:, i, j])
    return dx, dw, dout.sum(axis=(0, 1, 2))


# FFT


def circular_forward(x, k):
    X, K = np.fft.fft(x, axis=1), np.fft.fft(k)
    return np.fft.ifft(X * K, axis=1).real, (X, K)


fc = pairs("circular convolution by FFT", circular_forward, normal((3, 8), (8,)))


@fc("with conjugates")
def circular_backward_1(dout, cache):
    X, K = cache
    D = np.fft.fft(dout, axis=1)
    dx = np.fft.ifft(D * K.conj(), axis=1).real
    dk = np.fft.ifft((D * np.conj(X)).sum(axis=0)).real
    return dx, dk


@fc("K not conjugated", "flipped kernel|missing term|wrong formula")
def circular_backward_2(dout, cache):
    X, K = cache
    D = np.fft.fft(dout, axis=1)
    dx = np.fft.ifft(D * K, axis=1).real
    dk = np.fft.ifft((D * np.conj(X)).sum(axis=0)).real
    return dx, dk


@fc("FFT for its inverse", "wrong formula|constant factor|flipped kernel")
def circular_backward_3(dout, cache):
    X, K = cache
    D = np.fft.ifft(dout, axis=1)
    dx = np.fft.ifft(D * K, axis=1).real
    dk = np.fft.ifft((D * X).sum(axis=0)).real
    return dx, dk


@fc("dk a sample", "wrong shape|missing term")
def circular_backward_4(dout, cache):
    X, K = cache
    D = np.fft.fft(dout, axis=1)
    dx = np.fft.ifft(D * K.conj(), axis=1).real
    dk = np.fft.ifft(D * X.conj(), axis=1).real
    return dx, dk


def power_spectrum(x):
    X = np.fft.fft(x)
    return np.abs(X) ** 2, X


ps = pairs("power spectrum", power_spectrum, normal((2, 6)))


@ps("N times the inverse")
def power_backward_1(dout, X):
    return 2 * X.shape[-1] * np.fft.ifft(dout * X).real


@ps("N forgotten", "constant factor")
def power_backward_2(dout, X):
    dX = 2 * dout * X
    return np.fft.ifft(dX).real


@ps("modulus for the spectrum", "wrong tensor|missing term|wrong formula")
def power_backward_3(dout, X):
    dX = 2 * dout * np.abs(X)
    return np.fft.ifft(dX).real * X.shape[-1]


# attention


def attention_forward(q, k, v):
    s = q @ k.T / np.sqrt(q.shape[1])
    a = softmax(s)
    return a @ v, (q, k, v, a)


att = pairs("attention", attention_forward, normal((4, 4), (4, 4), (4, 4)))


@att("softmax in the middle")
def attention_backward_1(dout, cache):
    q, k, v, a = cache
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, a.T @ dout


@att("scale forgotten", "constant factor|missing term")
def attention_backward_2(dout, cache):
    q, k, v, a = cache
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis=1, keepdims=True))
    return ds @ k, ds.T @ q, a.T @ dout


@att("ds not transposed for dk", "transposed")
def attention_backward_3(dout, cache):
    q, k, v, a = cache
    da = dout @ v.T
    ds = a * (da - (da * a).sum(axis=1, keepdims=True)) / np.sqrt(q.shape[1])
    dq, dk, dv = ds @ k, ds @ q, a.T @ dout
    return dq, dk, dv


@att("a not transposed for dv", "transposed")
def attention_backward_4(dout, cache):
    q, k, v, a = cache
    dv = a @ dout
    da = dout @ v.T
    ds = a * (da - np.sum(da * a, axis=1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, dv


@att("softmax over the queries", "wrong axis")
def attention_backward_5(dout, cache):
    q, k, v, a = cache
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - np.sum(da * a, axis=0, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, dv


@att("q and k exchanged", "wrong tensor|transposed")
def attention_backward_6(dout, cache):
    q, k, v, a = cache
    dv = a.T @ dout
    da = dout @ v.T
    ds = a * (da - np.sum(da * a, axis=1, keepdims=True)) / np.sqrt(q.shape[1])
    return ds @ q, ds.T @ k, dv


@att("softmax taken for the identity", "missing term")
def attention_backward_7(dout, cache):
    q, k, v, a = cache
    dv = a.T @ dout
    ds = dout @ v.T / np.sqrt(q.shape[1])
    return ds @ k, ds.T @ q, dv


class SelfAttentionBase(Layer):
    def __init__(self):
        r = np.random.default_rng(2)
        self.wq = Parameter(0.6 * r.standard_normal((3, 3)))
        self.wk = Parameter(0.6 * r.standard_normal((3, 3)))
        self.wv = Parameter(0.6 * r.standard_normal((3, 3)))

    def forward(self, x):
        q, k, v = x @ self.wq.data, x @ self.wk.data, x @ self.wv.data
        a = softmax(q @ k.transpose(0, 2, 1))
        return a @ v, (x, q, k, v, a)


sa = classes("self-attention", normal((2, 4, 3)))


@sa("three paths")
class SelfAttention1(SelfAttentionBase):
    def backward(self, dy, cache):
        x, q, k, v, a = cache
        dv = a.transpose(0, 2, 1) @ dy
        da = dy @ v.transpose(0, 2, 1)
        ds = a * (da - (a * da).sum(-1, keepdims=True))
        dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
        dx = 0
        for w, d in ((self.wq, dq), (self.wk, dk), (self.wv, dv)):
            w.grad += np.einsum("nti,ntj->ij", x, d)
            dx = dx + d @ w.data.T
        return dx


@sa("value's path forgotten", "missing term")
class SelfAttention2(SelfAttentionBase):
    def backward(self, dy, cache):
        x, q, k, v, a = cache
        dv = a.transpose(0, 2, 1) @ dy
        da = dy @ v.transpose(0, 2, 1)
        ds = a * (da - (a * da).sum(-1, keepdims=True))
        dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
        self.wq.grad += np.einsum("nti,ntj->ij", x, dq)
        self.wk.grad += np.einsum("nti,ntj->ij", x, dk)
        self.wv.grad += np.einsum("nti,ntj->ij", x, dv)
        return dq @ self.wq.data.T + dk @ self.wk.data.T


@sa("wk gets the gradient of wq", "wrong tensor")
class SelfAttention3(SelfAttentionBase):
    def backward(self, dy, cache):
        x, q, k, v, a = cache
        dv = a.transpose(0, 2, 1) @ dy
        da = dy @ v.transpose(0, 2, 1)
        ds = a * (da - (a * da).sum(-1, keepdims=True))
        dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
        self.wq.grad += np.einsum("nti,ntj->ij", x, dq)
        self.wk.grad += np.einsum("nti,ntj->ij", x, dq)
        self.wv.grad += np.einsum("nti,ntj->ij", x, dv)
        return dq @ self.wq.data.T + dk @ self.wk.data.T + dv @ self.wv.data.T


# dropout with a given mask


KEEP = 0.6
KEPT = np.random.default_rng(40).random((4, 5)) < KEEP


def dropout_forward(x):
    out = x * KEPT / KEEP
    return out, x


drop = pairs("dropout", dropout_forward, normal((4, 5)))


@drop("scaled mask")
def dropout_backward_1(dout, x):
    return dout * (KEPT / KEEP)


@drop("scale forgotten", "constant factor|missing term")
def dropout_backward_2(dout, x):
    dx = dout.copy()
    dx[~KEPT] = 0
    return dx


@drop("mask forgotten", "wrong mask|missing term")
def dropout_backward_3(dout, x):
    return dout / KEEP


@drop("a new mask", "wrong mask")
def dropout_backward_4(dout, x):
    mask = np.random.default_rng(41).random(x.shape) < KEEP
    return dout * mask / KEEP


# embeddings


WORDS = np.array([[2, 0, 5, 2], [1, 2, 0, 3]])


def embedding_forward(W):
    return W[WORDS], (WORDS, W.shape)


emb = pairs("embedding", embedding_forward, normal((6, 3)))


@emb("add.at")
def embedding_backward_1(dout, cache):
    ids, shape = cache
    dW = np.zeros(shape)
    np.add.at(dW, ids, dout)
    return dW


@emb("one-hot product")
def embedding_backward_2(dout, cache):
    ids, (V, D) = cache
    return np.eye(V)[ids.ravel()].T @ dout.reshape(-1, D)


@emb("+= with repeated words", "assigned")
def embedding_backward_3(dout, cache):
    ids, shape = cache
    dW = np.zeros(shape)
    dW[ids] += dout
    return dW


@emb("rows of the places", "wrong tensor|wrong axis|wrong formula")
def embedding_backward_4(dout, cache):
    ids, shape = cache
    dW = np.zeros(shape)
    for n in range(ids.shape[0]):
        for t in range(ids.shape[1]):
            dW[t] += dout[n, t]
    return dW


@emb("mean of a word's gradients", "constant factor|extra term|wrong formula")
def embedding_backward_5(dout, cache):
    ids, shape = cache
    dW = np.zeros(shape)
    for word in range(shape[0]):
        here = ids == word
        if here.any():
            dW[word] = dout[here].mean(axis=0)
    return dW


# regression


reg = alone("linear regression", normal((3,), (6, 3), (6,)))


@reg("ridge")
def ridge_1(w, X, y, lam=0.3):
    r = X @ w - y
    loss = (r @ r) / len(y) + lam * (w @ w)
    dr = 2 * r / len(y)
    return loss, (X.T @ dr + 2 * lam * w, np.outer(dr, w), -dr)


@reg("penalty's two forgotten", "constant factor|missing term|wrong formula")
def ridge_2(w, X, y, lam=0.8):
    r = X @ w - y
    loss = (r @ r) / len(y) + lam * (w @ w)
    dr = 2 * r / len(y)
    return loss, (X.T @ dr + lam * w, np.outer(dr, w), -dr)


@reg("sign of dy", "constant factor")
def ridge_3(w, X, y, lam=0.3):
    r = X @ w - y
    loss = (r @ r) / len(y) + lam * (w @ w)
    dr = 2 * r / len(y)
    dw = X.T @ dr + 2 * lam * w
    dX = dr[:, None] * w[None, :]
    return loss, (dw, dX, dr)


def huber(pred, target, delta=0.8):
    e = pred - target
    small = np.abs(e) <= delta
    loss = np.where(small, 0.5 * e**2, delta * (np.abs(e) - 0.5 * delta)).mean()
    return loss, (e, small, delta)


hub = pairs("Huber", lambda p, t: huber(p, t), normal((4, 3), (4, 3)))


@hub("clipped")
def huber_backward_1(dout, cache):
    e, small, delta = cache
    g = dout * np.clip(e, -delta, delta) / e.size
    return g, -g


@hub("delta forgotten", "missing term|constant factor")
def huber_backward_2(dout, cache):
    e, small, delta = cache
    g = dout * np.where(small, e, np.sign(e)) / e.size
    return g, -g


@hub("sign forgotten", "missing term|wrong formula")
def huber_backward_3(dout, cache):
    e, small, delta = cache
    g = np.full(e.shape, delta)
    g[small] = e[small]
    g = dout * g / e.size
    return g, -g


@hub("branches exchanged", "wrong mask")
def huber_backward_4(dout, cache):
    e, small, delta = cache
    g = dout * np.where(small, delta * np.sign(e), e) / e.size
    return g, -g


@hub("target left out", "missing gradient")
def huber_backward_5(dout, cache):
    e, small, delta = cache
    g = dout * np.where(small, e, delta * np.sign(e)) / e.size
    return g, np.zeros_like(e)


@hub("divided by the rows", "constant factor")
def huber_backward_6(dout, cache):
    e, small, delta = cache
    g = dout * np.where(small, e, delta * np.sign(e)) / len(e)
    return g, -g


far = alone("log-cosh of large errors", uniform(715, 760, (3, 2)))


@far("cosh and sinh", "not finite")
def logcosh_1(e):
    loss = np.mean(np.abs(e) + np.log1p(np.exp(-2 * np.abs(e))) - np.log(2))
    return loss, np.sinh(e) / np.cosh(e) / e.size


@far("tanh")
def logcosh_2(e):
    loss = np.mean(np.abs(e) + np.log1p(np.exp(-2 * np.abs(e))) - np.log(2))
    return loss, np.tanh(e) / e.size


# GAN losses


disc = alone("discriminator's loss", normal((5, 1), (5, 1)))


@disc("with logits")
def disc_1(real, fake):
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    return loss, ((sigmoid(real) - 1) / len(real), sigmoid(fake) / len(fake))


@disc("label of the fake ones", "extra term|wrong tensor|wrong formula|constant factor")
def disc_2(real, fake):
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    dreal = (sigmoid(real) - 1) / len(real)
    dfake = (sigmoid(fake) - 1) / len(fake)
    return loss, (dreal, dfake)


@disc("halved", "constant factor")
def disc_3(real, fake):
    n = len(real) + len(fake)
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    dreal = -sigmoid(-real) / n
    dfake = sigmoid(fake) / n
    return loss, (dreal, dfake)


@disc("gradient of the probability", "missing term|wrong formula")
def disc_4(real, fake):
    pr, pf = sigmoid(real), sigmoid(fake)
    loss = -np.mean(np.log(pr)) - np.mean(np.log(1 - pf))
    dreal = -1 / pr / len(real)
    dfake = 1 / (1 - pf) / len(fake)
    return loss, (dreal, dfake)


def wgan(real, fake):
    """Critic's loss."""
    y = np.mean(fake) - np.mean(real)

    def backward(dy):
        return -dy * np.ones_like(real) / real.size, dy * np.ones_like(fake) / fake.size

    return y, backward


def wgan_sign(real, fake):
    y = np.mean(fake) - np.mean(real)

    def backward(dy):
        return dy * np.ones_like(real) / real.size, -dy * np.ones_like(fake) / fake.size

    return y, backward


def wgan_ignored(real, fake):
    y = np.mean(fake) - np.mean(real)

    def backward(dy):
        return np.full(real.shape, -1 / real.size), np.full(fake.shape, 1 / fake.size)

    return y, backward


wg = alone("Wasserstein critic", normal((4, 1), (6, 1)))
wg("means")(wgan)
wg("signs exchanged", "constant factor")(wgan_sign)
wg("dy ignored", "upstream ignored")(wgan_ignored)


hinge = alone("hinge GAN", normal((5, 2), (5, 2)))


@hinge("two masks")
def hinge_gan_1(real, fake):
    loss = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    return loss, (-1.0 * (real < 1) / real.size, (fake > -1) / fake.size)


@hinge("mask at zero", "wrong mask")
def hinge_gan_2(real, fake):
    loss = np.maximum(0, 1 - real).mean() + np.maximum(0, 1 + fake).mean()
    dreal = np.where(real < 0, -1.0, 0.0) / real.size
    dfake = np.where(fake > 0, 1.0, 0.0) / fake.size
    return loss, (dreal, dfake)


@hinge("margins for their masks", "wrong tensor|wrong mask|wrong formula")
def hinge_gan_3(real, fake):
    mr, mf = np.maximum(0, 1 - real), np.maximum(0, 1 + fake)
    loss = mr.mean() + mf.mean()
    return loss, (-mr / real.size, mf / fake.size)


# what goes wrong around the formulas


def leaky_forward(x, a=0.2):
    return np.where(x > 0, x, a * x), x


leaky = pairs("leaky ReLU", lambda x: leaky_forward(x), normal((3, 5)))


@leaky("slope made of the input")
def leaky_backward_1(dout, x):
    slope = np.full_like(x, 0.2)
    slope[x > 0] = 1
    return slope * dout


@leaky("slope written into the input", "input overwritten")
def leaky_backward_2(dout, x):
    x[x > 0] = 1.0
    x[x < 0] = 0.2
    return dout * x


@leaky("slope as 0 and 1", "missing term|wrong mask|wrong formula")
def leaky_backward_3(dout, x):
    dx = dout.copy()
    dx[x <= 0] = 0
    return dx


@leaky("slopes in an array of integers", "integer arithmetic|wrong mask|missing term")
def leaky_backward_4(dout, x):
    slope = np.ones(x.shape, dtype=int)
    slope[x < 0] = 0.2
    return dout * slope


_mean_and_std = {}


def instancenorm_forward(x):
    """Normalise each channel of each image (N, C, L)."""
    mean, std = x.mean(axis=2, keepdims=True), x.std(axis=2, keepdims=True)
    _mean_and_std["mean"], _mean_and_std["std"] = mean, std
    return (x - mean) / std, (x, mean, std)


inorm = pairs("instance norm", instancenorm_forward, normal((2, 3, 6)))


@inorm("own cache")
def instancenorm_backward_1(dout, cache):
    x, mean, std = cache
    n = (x - mean) / std
    dx = dout - dout.mean(axis=2, keepdims=True)
    dx -= n * (dout * n).mean(axis=2, keepdims=True)
    return dx / std


@inorm("statistics in a global", "shared cache")
def instancenorm_backward_2(dout, cache):
    x = cache[0]
    mean, std = _mean_and_std["mean"], _mean_and_std["std"]
    n = (x - mean) / std
    return (dout - dout.mean(axis=2, keepdims=True) - n * (dout * n).mean(axis=2, keepdims=True)) / std


@inorm("keepdims forgotten", "exception")
def instancenorm_backward_3(dout, cache):
    x, mean, std = cache
    n = (x - mean) / std
    return (dout - dout.mean(axis=2) - n * (dout * n).mean(axis=2)) / std


@inorm("gradient gathered in single precision", "float32")
def instancenorm_backward_4(dout, cache):
    x, mean, std = cache
    n = (x - mean) / std
    dx = np.zeros(x.shape, dtype="float32")
    for i in range(x.shape[0]):
        for c in range(x.shape[1]):
            d = dout[i, c]
            dx[i, c] = (d - d.mean() - n[i, c] * (d * n[i, c]).mean()) / std[i, c]
    return dx


class BufferedBase(Layer):
    def __init__(self):
        self.w = Parameter(np.random.default_rng(6).standard_normal((4, 3)))
        self.b = Parameter(np.zeros(3))

    def forward(self, x):
        out = np.tanh(x @ self.w.data + self.b.data)
        return out, (x, out)


buf = classes("dense tanh", normal((5, 4)))


@buf("nothing kept")
class Buffered1(BufferedBase):
    def backward(self, dy, cache):
        x, out = cache
        dz = dy * (1 - out**2)
        self.w.grad += x.T @ dz
        self.b.grad += dz.sum(axis=0)
        return dz @ self.w.data.T


@buf("last input kept on self", "shared cache")
class Buffered2(BufferedBase):
    def forward(self, x):
        self.x = x
        out = np.tanh(x @ self.w.data + self.b.data)
        return out, out

    def backward(self, dy, out):
        dz = dy * (1 - out**2)
        self.w.grad += self.x.T @ dz
        self.b.grad += dz.sum(axis=0)
        return dz @ self.w.data.T


@buf("name misspelt", "exception")
class Buffered3(BufferedBase):
    def backward(self, dy, cache):
        x, out = cache
        dz = dy * (1 - out**2)
        self.w.grad += x.T @ dz
        self.b.grad += dz.sum(axis=0)
        return dz @ self.W.data.T


@buf("bias set anew", "assigned")
class Buffered4(BufferedBase):
    def backward(self, dy, cache):
        x, out = cache
        dz = dy * (1 - out**2)
        self.w.grad += x.T @ dz
        self.b.grad[...] = dz.sum(axis=0)
        return dz @ self.w.data.T


@buf("slope of the output in its own place", "output overwritten")
class Buffered5(BufferedBase):
    def backward(self, dy, cache):
        x, out = cache
        np.square(out, out=out)
        dz = dy * (1 - out)
        self.w.grad += x.T @ dz
        self.b.grad += dz.sum(axis=0)
        return dz @ self.w.data.T


def window_sum_forward(x, k=3):
    out = np.stack([x[:, i:x.shape[1] - k + 1 + i] for i in range(k)]).sum(axis=0)
    return out, (x.shape, k)


ws = pairs("moving sum", lambda x: window_sum_forward(x), normal((3, 7)))


@ws("shifted and added")
def window_sum_backward_1(dout, cache):
    shape, k = cache
    dx = np.zeros(shape)
    for i in range(k):
        dx[:, i:i + dout.shape[1]] += dout
    return dx


@ws("last shift ends at minus zero", "exception|empty slice")
def window_sum_backward_2(dout, cache):
    shape, k = cache
    dx = np.zeros(shape)
    for i in range(k):
        dx[:, i:-(k - 1 - i)] += dout
    return dx


@ws("padded and cut by nothing", "empty slice|wrong shape")
def window_sum_backward_3(dout, cache):
    shape, k = cache
    extra = shape[1] - (dout.shape[1] + k - 1)
    dx = np.zeros((shape[0], shape[1] + extra))
    for i in range(k):
        dx[:, i:i + dout.shape[1]] += dout
    return dx[:, :-extra]


@ws("one shift too few", "missing term|stride or padding")
def window_sum_backward_4(dout, cache):
    shape, k = cache
    dx = np.zeros(shape)
    for i in range(k - 1):
        dx[:, i:i + dout.shape[1]] += dout
    return dx


THIRTEENTH = ROWS[_before:]
del ROWS[_before:]
