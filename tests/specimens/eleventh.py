"""The eleventh set: what students hand in, each mistake written out in the code where it was made.

Written without opening the diagnosis, without running the check on it, and kept back; scored by
the rule of ``third.py``.  A script of its own compared each row with central differences: the right
ones agree, the wrong ones do not, or do to their surroundings what their label says.
"""

# ruff: noqa: E501 (a row a line)
# fmt: off
import numpy as np
from mutants.specimen import Specimen

from specimens.table import ROWS, group, layer, normal, uniform
from tinygan import Layer, Parameter

_before = len(ROWS)


def alone(prefix, arguments, rows):
    """Add rows ``(name, cause, function)`` of functions that return their gradient or backward too."""
    for name, cause, function in rows:
        first, *also = cause.split("|")
        ROWS.append(Specimen(f"{prefix}: {name}", lambda f=function: f, arguments, first, tuple(also)))


def scaled(scale, *shapes):
    return lambda rng: tuple(scale * a for a in normal(*shapes)(rng))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


# affine layer of the course: pictures are flattened


def affine_forward(x, w, b):
    N = x.shape[0]
    out = x.reshape(N, -1).dot(w) + b
    cache = (x, w, b)
    return out, cache


def affine_backward(dout, cache):
    x, w, _b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def affine_backward_chunks(dout, cache):
    x, w, b = cache
    dx = np.empty_like(x)
    dw = np.zeros_like(w)
    db = np.zeros_like(b)
    for start in range(0, len(x), 4):
        part = slice(start, start + 4)
        rows = x[part].reshape(-1, w.shape[0])
        dx[part] = (dout[part] @ w.T).reshape(x[part].shape)
        dw += rows.T @ dout[part]
        db += dout[part].sum(0)
    return dx, dw, db


def affine_backward_flat(dout, cache):
    x, w, _b = cache
    N = x.shape[0]
    dx = dout.dot(w.T)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def affine_backward_dw_turned(dout, cache):
    x, w, _b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = dout.T.dot(x.reshape(N, -1))
    db = np.sum(dout, axis=0)
    return dx, dw, db


def affine_backward_w_unturned(dout, cache):
    x, w, _b = cache
    N = x.shape[0]
    dx = dout.dot(w).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def affine_backward_mean(dout, cache):
    x, w, _b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout) / N
    db = np.sum(dout, axis=0)
    return dx, dw, db


def affine_backward_db_axis(dout, cache):
    x, w, _b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=1)
    return dx, dw, db


def affine_backward_db_ones(dout, cache):
    x, w, b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = N * np.ones_like(b)
    return dx, dw, db


def affine_backward_order(dout, cache):
    x, w, _b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape, order="F")
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=0)
    return dx, dw, db


def affine_backward_raises(dout, cache):
    x, w, _b = cache
    N = x.shape[0]
    dx = dout.dot(w.T).reshape(x.shape)
    dw = x.reshape(N, -1).T.dot(dout)
    db = np.sum(dout, axis=(0, 2))
    return dx, dw, db


group("affine layer of the course", affine_forward, normal((6, 2, 3), (6, 6), (6,)), [
    ("as in the notes", "", affine_backward),
    ("in chunks", "", affine_backward_chunks),
    ("dx left flat", "wrong shape", affine_backward_flat),
    ("dw turned", "transposed", affine_backward_dw_turned),
    ("w not turned", "transposed", affine_backward_w_unturned),
    ("dw over N", "constant factor", affine_backward_mean),
    ("db over the features", "wrong axis", affine_backward_db_axis),
    ("db counts the examples", "upstream ignored", affine_backward_db_ones),
    ("reshaped in Fortran's order", "transposed|wrong formula", affine_backward_order),
    ("db over an axis that is not there", "exception|wrong axis", affine_backward_raises),
])


# linear over batch and time


def seq_linear_forward(x, W, b):
    y = np.matmul(x, W.T) + b
    return y, (x, W)


def seq_linear_backward(dy, cache):
    x, W = cache
    dx = np.einsum("bto,oi->bti", dy, W)
    dW = np.einsum("bto,bti->oi", dy, x)
    db = np.einsum("bto->o", dy)
    return dx, dW, db


def seq_linear_backward_loop(dy, cache):
    x, W = cache
    dx, dW, db = np.zeros_like(x), np.zeros_like(W), np.zeros(W.shape[0])
    for b in range(x.shape[0]):
        for t in range(x.shape[1]):
            dx[b, t] = W.T @ dy[b, t]
            dW += np.outer(dy[b, t], x[b, t])
            db += dy[b, t]
    return dx, dW, db


def seq_linear_backward_last(dy, cache):
    x, W = cache
    dx = dy @ W
    for b in range(x.shape[0]):
        dW = dy[b].T @ x[b]
    db = dy.sum(axis=(0, 1))
    return dx, dW, db


def seq_linear_backward_unsummed(dy, cache):
    x, W = cache
    dx = dy @ W
    dW = dy.transpose(0, 2, 1) @ x
    db = dy.sum(axis=(0, 1))
    return dx, dW, db


def seq_linear_backward_one_axis(dy, cache):
    x, W = cache
    dx = dy @ W
    dW = np.einsum("bto,bti->oi", dy, x)
    db = dy.sum(axis=0)
    return dx, dW, db


def seq_linear_backward_index(dy, cache):
    x, W = cache
    dx = np.einsum("bto,io->bti", dy, W)
    dW = np.einsum("bto,bti->oi", dy, x)
    db = dy.sum(axis=(0, 1))
    return dx, dW, db


def seq_linear_backward_batch_mean(dy, cache):
    x, W = cache
    dx = dy @ W
    dW = np.mean(dy.transpose(0, 2, 1) @ x, axis=0)
    db = np.mean(dy.sum(axis=1), axis=0)
    return dx, dW, db


def seq_linear_backward_sums_apart(dy, cache):
    x, W = cache
    dx = dy @ W
    dW = np.einsum("bto,bsi->oi", dy, x)
    db = dy.sum(axis=(0, 1))
    return dx, dW, db


group("linear over time", seq_linear_forward, normal((3, 4, 5), (5, 5), (5,)), [
    ("einsum", "", seq_linear_backward),
    ("loops", "", seq_linear_backward_loop),
    ("dW of the last sequence", "assigned|missing term", seq_linear_backward_last),
    ("dW of every sequence", "wrong shape", seq_linear_backward_unsummed),
    ("db over the batch alone", "wrong shape|wrong axis", seq_linear_backward_one_axis),
    ("W's letters exchanged", "transposed", seq_linear_backward_index),
    ("mean over the batch", "constant factor", seq_linear_backward_batch_mean),
    ("two letters for time", "extra term|wrong formula|wrong axis", seq_linear_backward_sums_apart),
])


# a linear layer that keeps its gradients on self


class Dense:
    def __init__(self):
        rng = np.random.default_rng(7121)
        self.W = rng.standard_normal((4, 4))
        self.b = rng.standard_normal(4)
        self.dW = None
        self.db = None

    def forward(self, x):
        self.x = x
        self.out = x @ self.W + self.b
        return self.out

    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class DenseOut(Dense):
    def backward(self, dout):
        self.dW = self.out.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class DenseUpdates(Dense):
    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        dx = dout @ self.W.T
        self.W -= 0.1 * self.dW
        self.b -= 0.1 * self.db
        return dx


class DenseNoBias(Dense):
    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = np.zeros_like(self.b)
        return dout @ self.W.T


class DenseGradForW(Dense):
    def backward(self, dout):
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.dW.T


class DenseClips(Dense):
    def backward(self, dout):
        self.dW = np.clip(self.x.T @ dout, -1, 1)
        self.db = dout.sum(axis=0)
        return dout @ self.W.T


class DenseLoop(Dense):
    def backward(self, dout):
        self.dW = np.zeros_like(self.W)
        self.db = np.zeros_like(self.b)
        for n in range(len(dout)):
            for i in range(4):
                for o in range(4):
                    self.dW[i, o] = self.x[n, i] * dout[n, o]
            self.db += dout[n]
        return dout @ self.W.T


class DenseNormalises(Dense):
    def backward(self, dout):
        dout /= len(dout)
        self.dW = self.x.T @ dout
        self.db = dout.sum(axis=0)
        return dout @ self.W.T * len(dout)


layer("dense layer", normal((5, 4)), [
    ("right", "", Dense),
    ("dW from the output", "wrong tensor", DenseOut),
    ("learns in backward", "input overwritten", DenseUpdates),
    ("db zeros", "missing gradient", DenseNoBias),
    ("dW for W", "wrong tensor", DenseGradForW),
    ("clipped", "wrong formula|wrong mask", DenseClips),
    ("loop assigns", "assigned|missing term", DenseLoop),
    ("dout divided in place", "upstream overwritten|constant factor", DenseNormalises),
])


# linear layers of the library's own kind


class Affine(Layer):
    def __init__(self):
        rng = np.random.default_rng(7104)
        self.weight = Parameter(rng.standard_normal((3, 3)))
        self.bias = Parameter(rng.standard_normal(3))

    def forward(self, x):
        return x @ self.weight.data + self.bias.data, x

    def backward(self, dy, x):
        self.weight.grad += x.T @ dy
        self.bias.grad += dy.sum(axis=0)
        return dy @ self.weight.data.T


class AffineSets(Affine):
    def backward(self, dy, x):
        self.weight.grad = x.T @ dy
        self.bias.grad = dy.sum(axis=0)
        return dy @ self.weight.data.T


class AffineOnSelf(Affine):
    def forward(self, x):
        self.saved = x
        return x @ self.weight.data + self.bias.data, None

    def backward(self, dy, cache):
        x = self.saved
        self.weight.grad += x.T @ dy
        self.bias.grad += dy.sum(axis=0)
        return dy @ self.weight.data.T


class AffineTwice(Affine):
    def backward(self, dy, x):
        for _ in range(2):
            self.weight.grad += x.T @ dy
        self.bias.grad += dy.sum(axis=0)
        return dy @ self.weight.data.T


class AffineForgetsBias(Affine):
    def backward(self, dy, x):
        self.weight.grad += x.T @ dy
        return dy @ self.weight.data.T


class AffineReturnsNothing(Affine):
    def backward(self, dy, x):
        self.weight.grad += x.T @ dy
        self.bias.grad += dy.sum(axis=0)


class AffineDecay(Affine):
    def backward(self, dy, x):
        self.weight.grad += x.T @ dy + 0.05 * self.weight.data
        self.bias.grad += dy.sum(axis=0)
        return dy @ self.weight.data.T


layer("affine layer of tinygan", normal((4, 3)), [
    ("right", "", Affine),
    ("gradients assigned", "assigned", AffineSets),
    ("x on self", "shared cache", AffineOnSelf),
    ("weight added twice", "constant factor", AffineTwice),
    ("bias forgotten", "missing gradient", AffineForgetsBias),
    ("nothing returned", "missing gradient", AffineReturnsNothing),
    ("weight decay", "extra term", AffineDecay),
])


# two layers with ReLU


def two_layer_forward(x, W1, b1, W2, b2):
    a = x @ W1 + b1
    h = np.maximum(a, 0)
    y = h @ W2 + b2
    return y, (x, W1, a, h, W2)


def two_layer_backward(dy, cache):
    x, W1, a, h, W2 = cache
    dW2 = h.T @ dy
    db2 = dy.sum(axis=0)
    dh = dy @ W2.T
    da = dh * (a > 0)
    dW1 = x.T @ da
    db1 = da.sum(axis=0)
    dx = da @ W1.T
    return dx, dW1, db1, dW2, db2


def two_layer_backward_in_place(dy, cache):
    x, W1, _a, h, W2 = cache
    dW2, db2 = h.T @ dy, dy.sum(0)
    d = dy @ W2.T
    d[h <= 0] = 0
    return d @ W1.T, x.T @ d, d.sum(0), dW2, db2


def two_layer_backward_no_mask(dy, cache):
    x, W1, _a, h, W2 = cache
    dW2 = h.T @ dy
    db2 = dy.sum(axis=0)
    dh = dy @ W2.T
    dW1 = x.T @ dh
    db1 = dh.sum(axis=0)
    dx = dh @ W1.T
    return dx, dW1, db1, dW2, db2


def two_layer_backward_mask_of_grad(dy, cache):
    x, W1, _a, h, W2 = cache
    dW2 = h.T @ dy
    db2 = dy.sum(axis=0)
    dh = dy @ W2.T
    da = dh * (dh > 0)
    dW1 = x.T @ da
    db1 = da.sum(axis=0)
    dx = da @ W1.T
    return dx, dW1, db1, dW2, db2


def two_layer_backward_relu_of_grad_w1(dy, cache):
    x, W1, a, h, W2 = cache
    dW2 = h.T @ dy
    db2 = dy.sum(axis=0)
    dh = dy @ W2.T
    da = dh * (a > 0)
    dW1 = x.T @ dh
    db1 = da.sum(axis=0)
    dx = da @ W1.T
    return dx, dW1, db1, dW2, db2


def two_layer_backward_a_for_h(dy, cache):
    x, W1, a, _h, W2 = cache
    dW2 = a.T @ dy
    db2 = dy.sum(axis=0)
    dh = dy @ W2.T
    da = dh * (a > 0)
    dW1 = x.T @ da
    db1 = da.sum(axis=0)
    dx = da @ W1.T
    return dx, dW1, db1, dW2, db2


def two_layer_backward_times_h(dy, cache):
    x, W1, _a, h, W2 = cache
    dW2 = h.T @ dy
    db2 = dy.sum(axis=0)
    dh = dy @ W2.T
    da = dh * h
    dW1 = x.T @ da
    db1 = da.sum(axis=0)
    dx = da @ W1.T
    return dx, dW1, db1, dW2, db2


def two_layer_backward_biases_exchanged(dy, cache):
    x, W1, a, h, W2 = cache
    dW2 = h.T @ dy
    db2 = dy.sum(axis=0)
    dh = dy @ W2.T
    da = dh * (a > 0)
    dW1 = x.T @ da
    db1 = da.sum(axis=0)
    dx = da @ W1.T
    return dx, dW1, db2, dW2, db1


def two_layer_backward_weights_for_weights(dy, cache):
    x, W1, a, h, _W2 = cache
    dW2 = h.T @ dy
    db2 = dy.sum(axis=0)
    dh = dy @ W1.T
    da = dh * (a > 0)
    dW1 = x.T @ da
    db1 = da.sum(axis=0)
    dx = da @ W1.T
    return dx, dW1, db1, dW2, db2


def two_layer_backward_clears_hidden(dy, cache):
    x, W1, a, h, W2 = cache
    dW2 = h.T @ dy
    db2 = dy.sum(axis=0)
    da = dy @ W2.T
    da[a < 0] = 0
    x *= a > 0
    dW1 = x.T @ da
    db1 = da.sum(axis=0)
    dx = da @ W1.T
    return dx, dW1, db1, dW2, db2


group("two layers with ReLU", two_layer_forward, normal((6, 4), (4, 4), (4,), (4, 4), (4,)), [
    ("right", "", two_layer_backward),
    ("masked in place", "", two_layer_backward_in_place),
    ("mask forgotten", "missing term|wrong mask", two_layer_backward_no_mask),
    ("mask of the gradient", "wrong mask", two_layer_backward_mask_of_grad),
    ("dW1 before the mask", "missing term|wrong mask|wrong tensor", two_layer_backward_relu_of_grad_w1),
    ("dW2 before the ReLU", "wrong tensor|wrong mask", two_layer_backward_a_for_h),
    ("hidden for its mask", "extra term|wrong mask|wrong tensor", two_layer_backward_times_h),
    ("db1 and db2 exchanged", "wrong tensor", two_layer_backward_biases_exchanged),
    ("W1 for W2", "wrong tensor", two_layer_backward_weights_for_weights),
    ("x masked in place", "input overwritten", two_layer_backward_clears_hidden),
])


# residual block


def residual_forward(x, W1, W2):
    h = np.tanh(x @ W1)
    y = x + h @ W2
    return y, (x, W1, h, W2)


def residual_backward(dy, cache):
    x, W1, h, W2 = cache
    dW2 = h.T @ dy
    da = dy @ W2.T * (1 - h**2)
    dW1 = x.T @ da
    dx = dy + da @ W1.T
    return dx, dW1, dW2


def residual_backward_no_skip(dy, cache):
    x, W1, h, W2 = cache
    dW2 = h.T @ dy
    da = dy @ W2.T * (1 - h**2)
    dW1 = x.T @ da
    dx = da @ W1.T
    return dx, dW1, dW2


def residual_backward_only_skip(dy, cache):
    x, _W1, h, W2 = cache
    dW2 = h.T @ dy
    da = dy @ W2.T * (1 - h**2)
    dW1 = x.T @ da
    dx = dy.copy()
    return dx, dW1, dW2


def residual_backward_adds_x(dy, cache):
    x, W1, h, W2 = cache
    dW2 = h.T @ dy
    da = dy @ W2.T * (1 - h**2)
    dW1 = x.T @ da
    dx = x + da @ W1.T
    return dx, dW1, dW2


def residual_backward_into_dy(dy, cache):
    x, W1, h, W2 = cache
    dW2 = h.T @ dy
    da = dy @ W2.T * (1 - h**2)
    dW1 = x.T @ da
    dy += da @ W1.T
    return dy, dW1, dW2


def residual_backward_linear(dy, cache):
    x, W1, h, W2 = cache
    dW2 = h.T @ dy
    da = dy @ W2.T
    dW1 = x.T @ da
    dx = dy + da @ W1.T
    return dx, dW1, dW2


def residual_backward_adds_da(dy, cache):
    x, W1, h, W2 = cache
    dW2 = h.T @ dy
    da = dy @ W2.T * (1 - h**2)
    dW1 = x.T @ da
    dx = da + da @ W1.T
    return dx, dW1, dW2


def residual_backward_half(dy, cache):
    x, W1, h, W2 = cache
    dW2 = h.T @ dy
    da = dy @ W2.T * (1 - h**2)
    dW1 = x.T @ da
    dx = 0.5 * (dy + da @ W1.T)
    return dx, dW1, dW2


group("residual block", residual_forward, normal((5, 3), (3, 3), (3, 3)), [
    ("right", "", residual_backward),
    ("skip forgotten", "missing term", residual_backward_no_skip),
    ("branch forgotten", "missing term", residual_backward_only_skip),
    ("x for dy on the skip", "wrong tensor|upstream ignored", residual_backward_adds_x),
    ("added into dy", "upstream overwritten", residual_backward_into_dy),
    ("tanh's slope forgotten", "missing term", residual_backward_linear),
    ("skip from the branch's gradient", "wrong tensor", residual_backward_adds_da),
    ("averaged", "constant factor", residual_backward_half),
])


# softmax


def softmax_forward(x):
    z = x - x.max(axis=1, keepdims=True)
    e = np.exp(z)
    s = e / e.sum(axis=1, keepdims=True)
    return s, (x, s)


def softmax_backward(ds, cache):
    _x, s = cache
    inner = np.sum(ds * s, axis=1, keepdims=True)
    return s * (ds - inner)


def softmax_backward_jacobian(ds, cache):
    _x, s = cache
    dx = np.empty_like(s)
    for n in range(len(s)):
        p = s[n].reshape(-1, 1)
        jac = np.diagflat(p) - p @ p.T
        dx[n] = jac @ ds[n]
    return dx


def softmax_backward_diagonal(ds, cache):
    _x, s = cache
    slope = s * (1 - s)
    return ds * slope


def softmax_backward_axis(ds, cache):
    _x, s = cache
    inner = np.sum(ds * s, axis=0, keepdims=True)
    return s * (ds - inner)


def softmax_backward_unweighted(ds, cache):
    _x, s = cache
    inner = np.sum(ds, axis=1, keepdims=True)
    return s * (ds - inner)


def softmax_backward_off_diagonal(ds, cache):
    _x, s = cache
    dx = np.zeros_like(s)
    for n in range(len(s)):
        for i in range(s.shape[1]):
            for j in range(s.shape[1]):
                if i != j:
                    dx[n, i] -= s[n, i] * s[n, j] * ds[n, j]
    return dx


def softmax_backward_last_j(ds, cache):
    _x, s = cache
    dx = np.zeros_like(s)
    for n in range(len(s)):
        for i in range(s.shape[1]):
            for j in range(s.shape[1]):
                dx[n, i] = s[n, i] * ((i == j) - s[n, j]) * ds[n, j]
    return dx


def softmax_backward_unscaled(ds, cache):
    _x, s = cache
    inner = np.sum(ds * s, axis=1, keepdims=True)
    return ds - inner


def softmax_backward_of_x(ds, cache):
    x, s = cache
    inner = np.sum(ds * x, axis=1, keepdims=True)
    return s * (ds - inner)


def softmax_backward_in_output(ds, cache):
    _x, s = cache
    inner = np.sum(ds * s, axis=1, keepdims=True)
    s *= ds - inner
    return s


group("softmax of rows", softmax_forward, normal((4, 4)), [
    ("inner product", "", softmax_backward),
    ("Jacobian", "", softmax_backward_jacobian),
    ("diagonal alone", "missing term", softmax_backward_diagonal),
    ("summed over rows", "wrong axis", softmax_backward_axis),
    ("sum without s", "missing term", softmax_backward_unweighted),
    ("diagonal forgotten", "missing term", softmax_backward_off_diagonal),
    ("loop assigns", "assigned|missing term", softmax_backward_last_j),
    ("not multiplied by s", "missing term", softmax_backward_unscaled),
    ("x for s in the sum", "wrong tensor", softmax_backward_of_x),
    ("into the output", "output overwritten", softmax_backward_in_output),
])


# log-softmax


def log_softmax_forward(x):
    m = x.max(axis=-1, keepdims=True)
    y = x - m - np.log(np.exp(x - m).sum(axis=-1, keepdims=True))
    return y, y


def log_softmax_backward(dy, y):
    return dy - np.exp(y) * dy.sum(axis=-1, keepdims=True)


def log_softmax_backward_one_minus(dy, y):
    p = np.exp(y)
    return dy * (1 - p)


def log_softmax_backward_labels_habit(dy, y):
    p = np.exp(y)
    return dy - p


def log_softmax_backward_y(dy, y):
    total = dy.sum(axis=-1, keepdims=True)
    return dy - y * total


def log_softmax_backward_mean(dy, y):
    p = np.exp(y)
    return dy - p * dy.mean(axis=-1, keepdims=True)


group("log-softmax", log_softmax_forward, normal((3, 5)), [
    ("right", "", log_softmax_backward),
    ("diagonal", "missing term", log_softmax_backward_one_minus),
    ("p not multiplied by the sum", "missing term|upstream ignored", log_softmax_backward_labels_habit),
    ("log-probabilities for probabilities", "wrong tensor", log_softmax_backward_y),
    ("mean for sum", "constant factor|wrong formula|missing term", log_softmax_backward_mean),
])


# cross-entropy with labels, loss and gradient


def softmax_loss(x, y):
    shifted = x - np.max(x, axis=1, keepdims=True)
    Z = np.sum(np.exp(shifted), axis=1, keepdims=True)
    log_probs = shifted - np.log(Z)
    probs = np.exp(log_probs)
    N = x.shape[0]
    loss = -np.sum(log_probs[np.arange(N), y]) / N
    dx = probs.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


def softmax_loss_one_hot(x, y):
    N, C = x.shape
    target = np.eye(C)[y]
    p = softmax(x)
    loss = np.mean(-np.log(np.sum(p * target, axis=1)))
    dp = -(target / p) / N
    dx = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    return loss, dx


def softmax_loss_not_averaged(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    return loss, dx


def softmax_loss_label_forgotten(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = p / N
    return loss, dx


def softmax_loss_indices_exchanged(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = p.copy()
    dx[y, np.arange(N)] -= 1
    dx /= N
    return loss, dx


def softmax_loss_divides_first(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = p / N
    dx[np.arange(N), y] -= 1
    return loss, dx


def softmax_loss_through_softmax_again(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    dx = dx * p * (1 - p) / N
    return loss, dx


def softmax_loss_scores(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = x.copy()
    dx[np.arange(N), y] -= 1
    dx /= N
    return loss, dx


def softmax_loss_target_minus_p(x, y):
    N, C = x.shape
    p = softmax(x)
    t = np.eye(C)[y]
    loss = -np.sum(t * np.log(p)) / N
    return loss, (t - p) / N


def softmax_loss_true_class_only(x, y):
    N = x.shape[0]
    p = softmax(x)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = np.zeros_like(x)
    dx[np.arange(N), y] = p[np.arange(N), y] - 1
    dx /= N
    return loss, dx


def softmax_loss_shifts_scores(x, y):
    N = x.shape[0]
    x -= x.max(axis=1, keepdims=True)
    p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    return loss, dx / N


def softmax_loss_over_classes(x, y):
    N, _C = x.shape
    p = softmax(x)
    loss = -np.sum(np.log(p[np.arange(N), y])) / N
    dx = p.copy()
    dx[np.arange(N), y] -= 1
    dx /= x.size
    return loss, dx


def class_scores(rng):
    return rng.standard_normal((5, 5)), np.array([1, 4, 0, 3, 1])


alone("softmax loss of the course", class_scores, [
    ("as in the notes", "", softmax_loss),
    ("through both slopes", "", softmax_loss_one_hot),
    ("not divided by N", "constant factor", softmax_loss_not_averaged),
    ("one not subtracted", "missing term", softmax_loss_label_forgotten),
    ("indices exchanged", "wrong axis|transposed|wrong mask", softmax_loss_indices_exchanged),
    ("divided before the one", "missing term|wrong formula|constant factor", softmax_loss_divides_first),
    ("softmax's slope again", "extra term", softmax_loss_through_softmax_again),
    ("scores for probabilities", "wrong tensor", softmax_loss_scores),
    ("target minus p", "constant factor", softmax_loss_target_minus_p),
    ("label's column alone", "missing term|wrong mask", softmax_loss_true_class_only),
    ("scores shifted in place", "input overwritten", softmax_loss_shifts_scores),
    ("divided by all scores", "constant factor", softmax_loss_over_classes),
])


def softmax_loss_overflows(x, y):
    N = x.shape[0]
    m = x.max(axis=1)
    loss = np.mean(m + np.log(np.exp(x - m[:, None]).sum(axis=1)) - x[np.arange(N), y])
    with np.errstate(all="ignore"):
        e = np.exp(x)
        dx = e / e.sum(axis=1, keepdims=True)
    dx[np.arange(N), y] -= 1
    return loss, dx / N


alone("softmax loss of confident scores", lambda rng: (900 + 2 * rng.standard_normal((4, 3)), np.array([0, 2, 1, 1])), [
    ("shifted", "", softmax_loss),
    ("gradient not shifted", "not finite", softmax_loss_overflows),
])


# cross-entropy with smoothed labels: a pair

LABELS_LS = np.array([2, 0, 1, 3])


def smooth_forward(x):
    N, C = x.shape
    t = np.full((N, C), 0.1 / C)
    t[np.arange(N), LABELS_LS] += 0.9
    logp = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    loss = -(t * logp).sum() / N
    return loss, (logp, t)


def smooth_backward(dloss, cache):
    logp, t = cache
    return dloss * (np.exp(logp) - t) / len(t)


def smooth_backward_hard(dloss, cache):
    logp, t = cache
    hard = np.zeros_like(t)
    hard[np.arange(len(t)), LABELS_LS] = 1
    return dloss * (np.exp(logp) - hard) / len(t)


def smooth_backward_no_dloss(dloss, cache):
    logp, t = cache
    return (np.exp(logp) - t) / len(t)


def smooth_backward_logp(dloss, cache):
    logp, t = cache
    return dloss * (logp - t) / len(t)


group("smoothed cross-entropy", smooth_forward, normal((4, 4)), [
    ("right", "", smooth_backward),
    ("hard labels", "wrong tensor|wrong formula|wrong mask", smooth_backward_hard),
    ("dloss forgotten", "upstream ignored", smooth_backward_no_dloss),
    ("log-probabilities", "wrong tensor", smooth_backward_logp),
])


# multiclass hinge with weight decay, the course's loops

X_SVM = np.random.default_rng(7131).standard_normal((6, 4))
Y_SVM = np.array([0, 2, 1, 2, 0, 1])
REG = 0.3


def svm_loss(W):
    dW = np.zeros(W.shape)
    loss = 0.0
    N = len(X_SVM)
    for i in range(N):
        scores = X_SVM[i] @ W
        for j in range(W.shape[1]):
            if j == Y_SVM[i]:
                continue
            margin = scores[j] - scores[Y_SVM[i]] + 1
            if margin > 0:
                loss += margin
                dW[:, j] += X_SVM[i]
                dW[:, Y_SVM[i]] -= X_SVM[i]
    loss = loss / N + REG * np.sum(W * W)
    dW = dW / N + 2 * REG * W
    return loss, dW


def svm_loss_vectorised(W):
    N = len(X_SVM)
    S = X_SVM @ W
    margins = np.maximum(0, S - S[np.arange(N), Y_SVM][:, None] + 1)
    margins[np.arange(N), Y_SVM] = 0
    loss = margins.sum() / N + REG * np.sum(W * W)
    G = (margins > 0).astype(float)
    G[np.arange(N), Y_SVM] = -G.sum(axis=1)
    return loss, X_SVM.T @ G / N + 2 * REG * W


def svm_loss_no_true_class(W):
    dW = np.zeros(W.shape)
    loss = 0.0
    N = len(X_SVM)
    for i in range(N):
        scores = X_SVM[i] @ W
        for j in range(W.shape[1]):
            if j == Y_SVM[i]:
                continue
            margin = scores[j] - scores[Y_SVM[i]] + 1
            if margin > 0:
                loss += margin
                dW[:, j] += X_SVM[i]
    loss = loss / N + REG * np.sum(W * W)
    dW = dW / N + 2 * REG * W
    return loss, dW


def svm_loss_no_decay(W):
    dW = np.zeros(W.shape)
    loss = 0.0
    N = len(X_SVM)
    for i in range(N):
        scores = X_SVM[i] @ W
        for j in range(W.shape[1]):
            if j == Y_SVM[i]:
                continue
            margin = scores[j] - scores[Y_SVM[i]] + 1
            if margin > 0:
                loss += margin
                dW[:, j] += X_SVM[i]
                dW[:, Y_SVM[i]] -= X_SVM[i]
    loss = loss / N + REG * np.sum(W * W)
    return loss, dW / N


def svm_loss_decay_halved(W):
    N = len(X_SVM)
    S = X_SVM @ W
    margins = np.maximum(0, S - S[np.arange(N), Y_SVM][:, None] + 1)
    margins[np.arange(N), Y_SVM] = 0
    loss = margins.sum() / N + REG * np.sum(W * W)
    G = (margins > 0).astype(float)
    G[np.arange(N), Y_SVM] = -G.sum(axis=1)
    return loss, X_SVM.T @ G / N + REG * W


def svm_loss_not_divided(W):
    N = len(X_SVM)
    S = X_SVM @ W
    margins = np.maximum(0, S - S[np.arange(N), Y_SVM][:, None] + 1)
    margins[np.arange(N), Y_SVM] = 0
    loss = margins.sum() / N + REG * np.sum(W * W)
    G = (margins > 0).astype(float)
    G[np.arange(N), Y_SVM] = -G.sum(axis=1)
    return loss, X_SVM.T @ G + 2 * REG * W


def svm_loss_minus_one(W):
    N = len(X_SVM)
    S = X_SVM @ W
    margins = np.maximum(0, S - S[np.arange(N), Y_SVM][:, None] + 1)
    margins[np.arange(N), Y_SVM] = 0
    loss = margins.sum() / N + REG * np.sum(W * W)
    G = (margins > 0).astype(float)
    G[np.arange(N), Y_SVM] = -1
    return loss, X_SVM.T @ G / N + 2 * REG * W


def svm_loss_margins_for_mask(W):
    N = len(X_SVM)
    S = X_SVM @ W
    margins = np.maximum(0, S - S[np.arange(N), Y_SVM][:, None] + 1)
    margins[np.arange(N), Y_SVM] = 0
    loss = margins.sum() / N + REG * np.sum(W * W)
    G = margins.copy()
    G[np.arange(N), Y_SVM] = -G.sum(axis=1)
    return loss, X_SVM.T @ G / N + 2 * REG * W


alone("support vector machine", normal((4, 3)), [
    ("loops", "", svm_loss),
    ("vectorised", "", svm_loss_vectorised),
    ("true class forgotten", "missing term", svm_loss_no_true_class),
    ("decay forgotten", "missing term", svm_loss_no_decay),
    ("decay's two forgotten", "missing term|constant factor", svm_loss_decay_halved),
    ("data's part not divided", "constant factor|missing term|wrong formula", svm_loss_not_divided),
    ("true class counted once", "wrong formula|wrong mask|missing term", svm_loss_minus_one),
    ("margins for their mask", "extra term|wrong mask|wrong tensor", svm_loss_margins_for_mask),
])


# binary hinge, a pair

SIGNS = np.array([1.0, -1, -1, 1, 1, -1, 1, -1, 1, -1])


def hinge_forward(score):
    margin = 1 - SIGNS * score
    return np.mean(np.maximum(margin, 0)), margin


def hinge_backward(d, margin):
    grad = np.where(margin > 0, -SIGNS, 0.0)
    return d * grad / margin.size


def hinge_backward_sign(d, margin):
    grad = np.where(margin > 0, SIGNS, 0.0)
    return d * grad / margin.size


def hinge_backward_no_target(d, margin):
    grad = np.where(margin > 0, -1.0, 0.0)
    return d * grad / margin.size


def hinge_backward_other_side(d, margin):
    grad = np.where(margin < 0, -SIGNS, 0.0)
    return d * grad / margin.size


def hinge_backward_everywhere(d, margin):
    grad = -SIGNS
    return d * grad / margin.size


def hinge_backward_sum(d, margin):
    grad = np.where(margin > 0, -SIGNS, 0.0)
    return d * grad


group("hinge of ten scores", hinge_forward, scaled(2.5, (10,)), [
    ("right", "", hinge_backward),
    ("sign", "constant factor", hinge_backward_sign),
    ("target forgotten", "missing term", hinge_backward_no_target),
    ("other side", "wrong mask", hinge_backward_other_side),
    ("mask forgotten", "wrong mask|missing term", hinge_backward_everywhere),
    ("not averaged", "constant factor", hinge_backward_sum),
])


# Huber

HUBER_T = np.random.default_rng(7108).standard_normal((4, 5))


def huber_forward(pred, delta=0.8):
    r = pred - HUBER_T
    small = np.abs(r) <= delta
    loss = np.where(small, 0.5 * r**2, delta * (np.abs(r) - 0.5 * delta))
    return loss.mean(), (r, small, delta)


def huber_backward(dloss, cache):
    r, small, delta = cache
    return dloss * np.where(small, r, delta * np.sign(r)) / r.size


def huber_backward_clip(dloss, cache):
    r, _small, delta = cache
    g = r.copy()
    np.clip(g, -delta, delta, out=g)
    g *= dloss / g.size
    return g


def huber_backward_no_delta(dloss, cache):
    r, small, _delta = cache
    return dloss * np.where(small, r, np.sign(r)) / r.size


def huber_backward_no_sign(dloss, cache):
    r, small, delta = cache
    return dloss * np.where(small, r, delta) / r.size


def huber_backward_exchanged(dloss, cache):
    r, small, delta = cache
    return dloss * np.where(small, delta * np.sign(r), r) / r.size


def huber_backward_one_sided(dloss, cache):
    r, _small, delta = cache
    return dloss * np.where(r <= delta, r, delta * np.sign(r)) / r.size


def huber_backward_rows(dloss, cache):
    r, small, delta = cache
    return dloss * np.where(small, r, delta * np.sign(r)) / len(r)


def huber_backward_square(dloss, cache):
    r, _small, _delta = cache
    return dloss * r / r.size


group("Huber loss", huber_forward, scaled(1.3, (4, 5)), [
    ("where", "", huber_backward),
    ("clipped in place", "", huber_backward_clip),
    ("delta forgotten", "missing term", huber_backward_no_delta),
    ("sign forgotten", "missing term|wrong mask", huber_backward_no_sign),
    ("branches exchanged", "wrong mask", huber_backward_exchanged),
    ("absolute value forgotten in the mask", "wrong mask", huber_backward_one_sided),
    ("divided by the rows", "constant factor", huber_backward_rows),
    ("always quadratic", "wrong mask|missing term|wrong formula", huber_backward_square),
])


# max pooling, the course's loops


def max_pool_forward(x, HH=2, WW=2, stride=2):
    N, C, H, W = x.shape
    Ho, Wo = 1 + (H - HH) // stride, 1 + (W - WW) // stride
    out = np.zeros((N, C, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            window = x[:, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
            out[:, :, i, j] = window.max(axis=(2, 3))
    return out, (x, HH, WW, stride)


def max_pool_backward(dout, cache):
    x, HH, WW, s = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i * s : i * s + HH, j * s : j * s + WW]
                    k, l = np.unravel_index(np.argmax(window), window.shape)
                    dx[n, c, i * s + k, j * s + l] += dout[n, c, i, j]
    return dx


def max_pool_backward_reshaped(dout, cache):
    x, _HH, _WW, _s = cache
    N, C, H, W = x.shape
    blocks = x.reshape(N, C, H // 2, 2, W // 2, 2)
    mask = blocks == blocks.max(axis=(3, 5), keepdims=True)
    return (mask * dout[:, :, :, None, :, None]).reshape(x.shape)


def max_pool_backward_everyone(dout, cache):
    x, HH, WW, s = cache
    _N, _C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for i in range(Ho):
        for j in range(Wo):
            dx[:, :, i * s : i * s + HH, j * s : j * s + WW] += dout[:, :, i, j][:, :, None, None]
    return dx


def max_pool_backward_over_channels(dout, cache):
    x, HH, WW, s = cache
    N, _C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for i in range(Ho):
            for j in range(Wo):
                window = x[n, :, i * s : i * s + HH, j * s : j * s + WW]
                mask = window == window.max()
                dx[n, :, i * s : i * s + HH, j * s : j * s + WW] += mask * dout[n, :, i, j][:, None, None]
    return dx


def max_pool_backward_min(dout, cache):
    x, HH, WW, s = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i * s : i * s + HH, j * s : j * s + WW]
                    mask = window < window.max()
                    dx[n, c, i * s : i * s + HH, j * s : j * s + WW] += mask * dout[n, c, i, j]
    return dx


def max_pool_backward_stride_one(dout, cache):
    x, HH, WW, _s = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i : i + HH, j : j + WW]
                    dx[n, c, i : i + HH, j : j + WW] += (window == window.max()) * dout[n, c, i, j]
    return dx


def max_pool_backward_value(dout, cache):
    x, HH, WW, s = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i * s : i * s + HH, j * s : j * s + WW]
                    mask = np.where(window == np.max(window), window, 0)
                    dx[n, c, i * s : i * s + HH, j * s : j * s + WW] += mask * dout[n, c, i, j]
    return dx


def max_pool_backward_unravelled_wrongly(dout, cache):
    x, HH, WW, s = cache
    N, C, Ho, Wo = dout.shape
    dx = np.zeros_like(x)
    for n in range(N):
        for c in range(C):
            for i in range(Ho):
                for j in range(Wo):
                    window = x[n, c, i * s : i * s + HH, j * s : j * s + WW]
                    best = np.argmax(window)
                    k, l = best % WW, best // WW
                    dx[n, c, i * s + k, j * s + l] += dout[n, c, i, j]
    return dx


group("max pooling of the course", max_pool_forward, normal((2, 3, 4, 4)), [
    ("argmax", "", max_pool_backward),
    ("blocks", "", max_pool_backward_reshaped),
    ("to the whole window", "wrong mask|missing term", max_pool_backward_everyone),
    ("maximum of all channels", "wrong mask|wrong axis", max_pool_backward_over_channels),
    ("all but the maximum", "wrong mask", max_pool_backward_min),
    ("stride of one", "stride or padding", max_pool_backward_stride_one),
    ("values for their mask", "extra term|wrong mask", max_pool_backward_value),
    ("row and column exchanged", "wrong mask|transposed", max_pool_backward_unravelled_wrongly),
])


# max pooling with windows that overlap


def overlap_pool_forward(x):
    _N, L = x.shape
    n_out = (L - 3) // 2 + 1
    idx = np.stack([np.argmax(x[:, 2 * t : 2 * t + 3], axis=1) + 2 * t for t in range(n_out)], axis=1)
    return np.take_along_axis(x, idx, axis=1), (x.shape, idx)


def overlap_pool_backward(dy, cache):
    shape, idx = cache
    dx = np.zeros(shape)
    np.add.at(dx, (np.arange(shape[0])[:, None], idx), dy)
    return dx


def overlap_pool_backward_assigns(dy, cache):
    shape, idx = cache
    dx = np.zeros(shape)
    for n in range(shape[0]):
        for t in range(idx.shape[1]):
            dx[n, idx[n, t]] = dy[n, t]
    return dx


def overlap_pool_backward_fancy(dy, cache):
    shape, idx = cache
    dx = np.zeros(shape)
    dx[np.arange(shape[0])[:, None], idx] += dy
    return dx


def overlap_pool_backward_in_window(dy, cache):
    shape, idx = cache
    dx = np.zeros(shape)
    np.add.at(dx, (np.arange(shape[0])[:, None], idx % 3), dy)
    return dx


def overlap_pool_backward_int(dy, cache):
    shape, idx = cache
    dx = np.zeros(shape, dtype=idx.dtype)
    for n in range(shape[0]):
        for t in range(idx.shape[1]):
            dx[n, idx[n, t]] += int(dy[n, t])
    return dx


group("max pooling, windows of three", overlap_pool_forward, normal((6, 11)), [
    ("add.at", "", overlap_pool_backward),
    ("assigned", "assigned|missing term", overlap_pool_backward_assigns),
    ("fancy +=", "assigned|missing term", overlap_pool_backward_fancy),
    ("place in the window", "stride or padding|wrong formula", overlap_pool_backward_in_window),
    ("whole numbers", "integer arithmetic", overlap_pool_backward_int),
])


# average pooling


def avg_pool_forward(x):
    N, C, H, W = x.shape
    out = np.zeros((N, C, H // 2, W // 3))
    for i in range(H // 2):
        for j in range(W // 3):
            out[:, :, i, j] = x[:, :, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3].mean(axis=(2, 3))
    return out, x.shape


def avg_pool_backward(dout, shape):
    dx = np.zeros(shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dx[:, :, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3] += dout[:, :, i, j][:, :, None, None] / 6
    return dx


def avg_pool_backward_repeat(dout, shape):
    return dout.repeat(2, axis=2).repeat(3, axis=3) / 6


def avg_pool_backward_sum(dout, shape):
    dx = np.zeros(shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dx[:, :, 2 * i : 2 * i + 2, 3 * j : 3 * j + 3] += dout[:, :, i, j][:, :, None, None]
    return dx


def avg_pool_backward_one_side(dout, shape):
    return dout.repeat(2, axis=2).repeat(3, axis=3) / 2


def avg_pool_backward_first_pixel(dout, shape):
    dx = np.zeros(shape)
    dx[:, :, ::2, ::3] = dout / 6
    return dx


def avg_pool_backward_tiled(dout, shape):
    return np.tile(dout, (1, 1, 2, 3)) / 6


def avg_pool_backward_short(dout, shape):
    dx = np.zeros(shape)
    for i in range(dout.shape[2]):
        for j in range(dout.shape[3]):
            dx[:, :, 2 * i : 2 * i + 2, 3 * j : 3 * j + 2] += dout[:, :, i, j][:, :, None, None] / 6
    return dx


group("average pooling, 2 by 3", avg_pool_forward, normal((2, 2, 4, 6)), [
    ("loops", "", avg_pool_backward),
    ("repeated", "", avg_pool_backward_repeat),
    ("not divided", "constant factor", avg_pool_backward_sum),
    ("divided by the height", "constant factor", avg_pool_backward_one_side),
    ("first pixel only", "missing term|stride or padding|wrong mask", avg_pool_backward_first_pixel),
    ("tiled", "transposed|wrong axis|wrong formula", avg_pool_backward_tiled),
    ("window a column short", "stride or padding|missing term|wrong mask", avg_pool_backward_short),
])


# GELU, the approximation with tanh

C_GELU = np.sqrt(2 / np.pi)


def gelu_forward(x):
    t = np.tanh(C_GELU * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


def gelu_backward(dy, cache):
    x, t = cache
    du = C_GELU * (1 + 3 * 0.044715 * x**2)
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)


def gelu_backward_first_term(dy, cache):
    _x, t = cache
    return dy * 0.5 * (1 + t)


def gelu_backward_no_inner(dy, cache):
    x, t = cache
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2))


def gelu_backward_no_three(dy, cache):
    x, t = cache
    du = C_GELU * (1 + 0.044715 * x**2)
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)


def gelu_backward_cube(dy, cache):
    x, t = cache
    du = C_GELU * (1 + 3 * 0.044715 * x**3)
    return dy * (0.5 * (1 + t) + 0.5 * x * (1 - t**2) * du)


def gelu_backward_half_once(dy, cache):
    x, t = cache
    du = C_GELU * (1 + 3 * 0.044715 * x**2)
    return dy * (0.5 * (1 + t) + x * (1 - t**2) * du)


def gelu_backward_quick(dy, cache):
    x, _t = cache
    s = sigmoid(1.702 * x)
    return dy * (s + 1.702 * x * s * (1 - s))


group("GELU with tanh", gelu_forward, normal((4, 6)), [
    ("product rule", "", gelu_backward),
    ("second term forgotten", "missing term", gelu_backward_first_term),
    ("inner derivative forgotten", "missing term", gelu_backward_no_inner),
    ("three forgotten", "missing term|constant factor", gelu_backward_no_three),
    ("power not lowered", "extra term|wrong formula", gelu_backward_cube),
    ("half forgotten in one term", "constant factor|missing term", gelu_backward_half_once),
    ("slope of another approximation", "wrong formula", gelu_backward_quick),
])


# softplus


def softplus_forward(x, beta=2.0):
    y = np.logaddexp(0, beta * x) / beta
    return y, (x, beta)


def softplus_backward(dy, cache):
    x, beta = cache
    return dy / (1 + np.exp(-beta * x))


def softplus_backward_careful(dy, cache):
    x, beta = cache
    z = np.exp(-np.abs(beta * x))
    slope = np.where(x > 0, 1, z) / (1 + z)
    return slope * dy


def softplus_backward_beta(dy, cache):
    x, beta = cache
    return dy * beta / (1 + np.exp(-beta * x))


def softplus_backward_no_beta(dy, cache):
    x, _beta = cache
    return dy / (1 + np.exp(-x))


def softplus_backward_sign(dy, cache):
    x, beta = cache
    return dy / (1 + np.exp(beta * x))


def softplus_backward_relu(dy, cache):
    x, _beta = cache
    return dy * (x > 0)


group("softplus with beta", softplus_forward, normal((3, 7)), [
    ("sigmoid", "", softplus_backward),
    ("careful sigmoid", "", softplus_backward_careful),
    ("beta again", "constant factor", softplus_backward_beta),
    ("beta forgotten", "missing term|wrong formula", softplus_backward_no_beta),
    ("exponent's sign", "wrong formula|missing term", softplus_backward_sign),
    ("slope of ReLU", "wrong mask|wrong formula", softplus_backward_relu),
])


def softplus_backward_inf(dy, cache):
    x, beta = cache
    with np.errstate(all="ignore"):
        e = np.exp(beta * x)
        return dy * e / (1 + e)


group("softplus of large numbers", softplus_forward, scaled(900, (4, 6)), [
    ("careful sigmoid", "", softplus_backward_careful),
    ("e over one plus e", "not finite", softplus_backward_inf),
])


# ELU


def elu_forward(x, alpha=0.7):
    y = np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))
    return y, (x, y, alpha)


def elu_backward(dy, cache):
    x, y, alpha = cache
    return dy * np.where(x > 0, 1.0, y + alpha)


def elu_backward_exp_in_place(dy, cache):
    x, _y, alpha = cache
    dx = dy.copy()
    neg = x <= 0
    dx[neg] *= alpha * np.exp(x[neg])
    return dx


def elu_backward_no_alpha(dy, cache):
    x, _y, _alpha = cache
    return dy * np.where(x > 0, 1.0, np.exp(x))


def elu_backward_y(dy, cache):
    x, y, _alpha = cache
    return dy * np.where(x > 0, 1.0, y)


def elu_backward_times_x(dy, cache):
    x, _y, alpha = cache
    return dy * np.where(x > 0, x, alpha * np.exp(x))


def elu_backward_y_plus_one(dy, cache):
    x, y, _alpha = cache
    return dy * np.where(x > 0, 1.0, y + 1)


def elu_backward_negative_alone(dy, cache):
    x, _y, alpha = cache
    dx = np.zeros_like(x)
    dx[x < 0] = dy[x < 0] * alpha * np.exp(x[x < 0])
    return dx


group("ELU", elu_forward, normal((4, 5)), [
    ("from the output", "", elu_backward),
    ("only the negative ones multiplied", "", elu_backward_exp_in_place),
    ("alpha forgotten", "missing term", elu_backward_no_alpha),
    ("alpha not added", "missing term|wrong formula", elu_backward_y),
    ("x on the positive side", "extra term|wrong mask", elu_backward_times_x),
    ("one for alpha", "wrong formula|missing term", elu_backward_y_plus_one),
    ("positive side forgotten", "wrong mask|missing term", elu_backward_negative_alone),
])


# SELU

LAM, ALPHA = 1.0507009873554805, 1.6732632423543772


def selu_forward(x):
    return LAM * np.where(x > 0, x, ALPHA * (np.exp(x) - 1))


def selu_backward(dy, x):
    return dy * LAM * np.where(x > 0, 1, ALPHA * np.exp(x))


def selu_backward_no_lambda(dy, x):
    return dy * np.where(x > 0, 1, ALPHA * np.exp(x))


def selu_backward_lambda_one_side(dy, x):
    return dy * np.where(x > 0, LAM, ALPHA * np.exp(x))


def selu_backward_constant(dy, x):
    return dy * LAM * np.where(x > 0, 1, ALPHA)


def selu_backward_forward_again(dy, x):
    return dy * LAM * np.where(x > 0, 1, ALPHA * (np.exp(x) - 1))


group("SELU", selu_forward, normal((5, 4)), [
    ("right", "", selu_backward),
    ("lambda forgotten", "constant factor", selu_backward_no_lambda),
    ("lambda on the positive side alone", "missing term|constant factor", selu_backward_lambda_one_side),
    ("exponential forgotten", "missing term", selu_backward_constant),
    ("minus one kept", "extra term|wrong formula|missing term", selu_backward_forward_again),
])


# leaky ReLU as a layer that masks in place


class LeakyLayer:
    def forward(self, x):
        self.mask = x < 0
        out = x.copy()
        out[self.mask] *= 0.15
        return out

    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] *= 0.15
        return dx


class LeakyInPlace(LeakyLayer):
    def backward(self, dout):
        dout[self.mask] *= 0.15
        return dout


class LeakyZero(LeakyLayer):
    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0
        return dx


class LeakyOtherSlope(LeakyLayer):
    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] *= 0.01
        return dx


class LeakyAssigned(LeakyLayer):
    def backward(self, dout):
        dx = dout.copy()
        dx[self.mask] = 0.15
        return dx


class LeakyOtherHalf(LeakyLayer):
    def backward(self, dout):
        dx = dout.copy()
        dx[~self.mask] *= 0.15
        return dx


class LeakyMasksInput(LeakyLayer):
    def forward(self, x):
        self.mask = x < 0
        x[self.mask] *= 0.15
        return x


layer("leaky ReLU on self", normal((4, 5)), [
    ("right", "", LeakyLayer),
    ("dout masked in place", "upstream overwritten", LeakyInPlace),
    ("slope of ReLU", "wrong mask|missing term", LeakyZero),
    ("another slope", "constant factor|wrong formula", LeakyOtherSlope),
    ("slope without dout", "upstream ignored|missing term|wrong mask", LeakyAssigned),
    ("other half", "wrong mask", LeakyOtherHalf),
    ("input masked in place", "input overwritten", LeakyMasksInput),
])


# PReLU


def prelu_forward(x, a):
    y = np.where(x > 0, x, x * a[:, None, None])
    return y, (x, a)


def prelu_backward(dy, cache):
    x, a = cache
    dx = np.where(x > 0, dy, dy * a[:, None, None])
    da = np.sum(dy * np.minimum(x, 0), axis=(0, 2, 3))
    return dx, da


def prelu_backward_by_channel(dy, cache):
    x, a = cache
    dx, da = np.empty_like(x), np.empty_like(a)
    for c in range(len(a)):
        below = x[:, c] <= 0
        dx[:, c] = dy[:, c] * (1 - below + a[c] * below)
        da[c] = (dy[:, c][below] * x[:, c][below]).sum()
    return dx, da


def prelu_backward_positive_part(dy, cache):
    x, a = cache
    dx = np.where(x > 0, dy, dy * a[:, None, None])
    da = np.sum(dy * np.maximum(x, 0), axis=(0, 2, 3))
    return dx, da


def prelu_backward_mask_only(dy, cache):
    x, a = cache
    dx = np.where(x > 0, dy, dy * a[:, None, None])
    da = np.sum(dy * (x < 0), axis=(0, 2, 3))
    return dx, da


def prelu_backward_whole_x(dy, cache):
    x, a = cache
    dx = np.where(x > 0, dy, dy * a[:, None, None])
    da = np.sum(dy * x, axis=(0, 2, 3))
    return dx, da


def prelu_backward_one_a(dy, cache):
    x, a = cache
    dx = np.where(x > 0, dy, dy * a[:, None, None])
    da = np.full_like(a, np.sum(dy * np.minimum(x, 0)))
    return dx, da


def prelu_backward_a_last(dy, cache):
    x, a = cache
    dx = np.where(x > 0, dy, dy * a)
    da = np.sum(dy * np.minimum(x, 0), axis=(0, 2, 3))
    return dx, da


def prelu_backward_no_a(dy, cache):
    x, a = cache
    dx = np.where(x > 0, dy, dy * a[:, None, None])
    return dx, None


group("PReLU of pictures", prelu_forward, normal((2, 3, 3, 3), (3,)), [
    ("right", "", prelu_backward),
    ("a channel at a time", "", prelu_backward_by_channel),
    ("da from the positive part", "wrong mask", prelu_backward_positive_part),
    ("da without x", "missing term", prelu_backward_mask_only),
    ("da from all of x", "wrong mask|missing term|extra term", prelu_backward_whole_x),
    ("da over all channels", "wrong axis|extra term", prelu_backward_one_a),
    ("a along the last axis", "wrong axis", prelu_backward_a_last),
    ("da None", "missing gradient", prelu_backward_no_a),
])


# Swish with a learnt beta


def swish_forward(x, beta):
    s = sigmoid(beta * x)
    return x * s, (x, beta, s)


def swish_backward(dy, cache):
    x, beta, s = cache
    dx = dy * (s + beta * x * s * (1 - s))
    dbeta = np.sum(dy * x**2 * s * (1 - s), axis=0)
    return dx, dbeta


def swish_backward_sigmoid_only(dy, cache):
    x, _beta, s = cache
    dx = dy * s
    dbeta = np.sum(dy * x**2 * s * (1 - s), axis=0)
    return dx, dbeta


def swish_backward_no_x(dy, cache):
    x, beta, s = cache
    dx = dy * (s + beta * s * (1 - s))
    dbeta = np.sum(dy * x**2 * s * (1 - s), axis=0)
    return dx, dbeta


def swish_backward_x_once(dy, cache):
    x, beta, s = cache
    dx = dy * (s + beta * x * s * (1 - s))
    dbeta = np.sum(dy * x * s * (1 - s), axis=0)
    return dx, dbeta


def swish_backward_no_beta(dy, cache):
    x, _beta, s = cache
    dx = dy * (s + x * s * (1 - s))
    dbeta = np.sum(dy * x**2 * s * (1 - s), axis=0)
    return dx, dbeta


def swish_backward_not_summed(dy, cache):
    x, beta, s = cache
    dx = dy * (s + beta * x * s * (1 - s))
    dbeta = dy * x**2 * s * (1 - s)
    return dx, dbeta


group("Swish with beta", swish_forward, normal((6, 4), (4,)), [
    ("right", "", swish_backward),
    ("second term forgotten", "missing term", swish_backward_sigmoid_only),
    ("x forgotten in it", "missing term", swish_backward_no_x),
    ("dbeta with x once", "missing term", swish_backward_x_once),
    ("beta forgotten", "missing term", swish_backward_no_beta),
    ("dbeta not summed", "wrong shape", swish_backward_not_summed),
])


# GLU


def glu_forward(x):
    a, b = np.split(x, 2, axis=-1)
    s = sigmoid(b)
    return a * s, (a, s)


def glu_backward(dy, cache):
    a, s = cache
    da = dy * s
    db = dy * a * s * (1 - s)
    return np.concatenate([da, db], axis=-1)


def glu_backward_exchanged(dy, cache):
    a, s = cache
    da = dy * s
    db = dy * a * s * (1 - s)
    return np.concatenate([db, da], axis=-1)


def glu_backward_no_slope(dy, cache):
    a, s = cache
    da = dy * s
    db = dy * a
    return np.concatenate([da, db], axis=-1)


def glu_backward_gate_constant(dy, cache):
    a, s = cache
    dx = np.zeros((*a.shape[:-1], 2 * a.shape[-1]))
    dx[..., : a.shape[-1]] = dy * s
    return dx


def glu_backward_no_a(dy, cache):
    _a, s = cache
    da = dy * s
    db = dy * s * (1 - s)
    return np.concatenate([da, db], axis=-1)


def glu_backward_added(dy, cache):
    a, s = cache
    return dy * s + dy * a * s * (1 - s)


group("GLU", glu_forward, normal((3, 2, 8)), [
    ("right", "", glu_backward),
    ("halves exchanged", "wrong tensor|wrong axis|wrong formula", glu_backward_exchanged),
    ("sigmoid's slope forgotten", "missing term", glu_backward_no_slope),
    ("gate taken for a constant", "missing term|missing gradient", glu_backward_gate_constant),
    ("a forgotten", "missing term", glu_backward_no_a),
    ("halves added", "wrong shape", glu_backward_added),
])


# dropout with a given mask

KEEP = np.random.default_rng(7117).random((5, 6)) < 0.6


def dropout_forward(x, p=0.6):
    out = x * KEEP / p
    return out, (KEEP, p, x, out)


def dropout_backward(dout, cache):
    mask, p, _x, _out = cache
    return dout * mask / p


def dropout_backward_where(dout, cache):
    mask, p, _x, _out = cache
    dx = np.zeros_like(dout)
    np.divide(dout, p, out=dx, where=mask)
    return dx


def dropout_backward_no_scale(dout, cache):
    mask, _p, _x, _out = cache
    return dout * mask


def dropout_backward_no_mask(dout, cache):
    _mask, p, _x, _out = cache
    return dout / p


def dropout_backward_inverted(dout, cache):
    mask, p, _x, _out = cache
    return dout * (1 - mask) / p


def dropout_backward_one_minus_p(dout, cache):
    mask, p, _x, _out = cache
    return dout * mask / (1 - p)


def dropout_backward_new_mask(dout, cache):
    _mask, p, _x, _out = cache
    fresh = np.random.default_rng(7103).random(dout.shape) < p
    return dout * fresh / p


def dropout_backward_positive_out(dout, cache):
    _mask, p, _x, out = cache
    return dout * (out > 0) / p


def dropout_backward_in_place(dout, cache):
    mask, p, _x, _out = cache
    dout *= mask
    dout /= p
    return dout


def dropout_backward_times_p(dout, cache):
    mask, p, _x, _out = cache
    return dout * mask * p


group("dropout of the course", dropout_forward, normal((5, 6)), [
    ("right", "", dropout_backward),
    ("division where kept", "", dropout_backward_where),
    ("not scaled", "constant factor", dropout_backward_no_scale),
    ("mask forgotten", "wrong mask|missing term", dropout_backward_no_mask),
    ("mask inverted", "wrong mask", dropout_backward_inverted),
    ("divided by 1 - p", "constant factor", dropout_backward_one_minus_p),
    ("mask drawn again", "wrong mask", dropout_backward_new_mask),
    ("mask from the output's sign", "wrong mask", dropout_backward_positive_out),
    ("in dout", "upstream overwritten", dropout_backward_in_place),
    ("multiplied by p", "constant factor", dropout_backward_times_p),
])


# functions that return their backward pass; one keeps what it needs in a module's dictionary

_KEPT = {}


def tanh_scale(x):
    t = np.tanh(x)

    def backward(dy):
        return 2.0 * dy * (1 - t * t)

    return 2.0 * t, backward


def tanh_scale_global(x):
    _KEPT["t"] = np.tanh(x)

    def backward(dy):
        return 2.0 * dy * (1 - _KEPT["t"] ** 2)

    return 2.0 * _KEPT["t"], backward


def tanh_scale_of_output(x):
    y = 2.0 * np.tanh(x)

    def backward(dy):
        return 2.0 * dy * (1 - y * y)

    return y, backward


def tanh_scale_slope_alone(x):
    t = np.tanh(x)

    def backward(dy):
        return 2.0 * (1 - t * t)

    return 2.0 * t, backward


def tanh_scale_no_two(x):
    t = np.tanh(x)

    def backward(dy):
        return dy * (1 - t * t)

    return 2.0 * t, backward


def tanh_scale_abs(x):
    t = np.tanh(x)

    def backward(dy):
        return 2.0 * np.abs(dy) * (1 - t * t)

    return 2.0 * t, backward


alone("scaled tanh with its backward", normal((3, 5)), [
    ("closure", "", tanh_scale),
    ("kept in the module", "shared cache", tanh_scale_global),
    ("1 - y squared", "missing term|wrong tensor|wrong formula", tanh_scale_of_output),
    ("dy forgotten", "upstream ignored", tanh_scale_slope_alone),
    ("two forgotten", "constant factor", tanh_scale_no_two),
    ("absolute value of dy", "wrong formula|wrong mask", tanh_scale_abs),
])


# a cell of a plain RNN


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    next_h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return next_h, (x, prev_h, Wx, Wh, next_h)


def rnn_step_backward(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h**2)
    dx = da @ Wx.T
    dprev_h = da @ Wh.T
    dWx = x.T @ da
    dWh = prev_h.T @ da
    db = da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


def rnn_step_backward_next_h(dnext_h, cache):
    x, _prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h**2)
    dx = da @ Wx.T
    dprev_h = da @ Wh.T
    dWx = x.T @ da
    dWh = next_h.T @ da
    db = da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


def rnn_step_backward_no_slope(dnext_h, cache):
    x, prev_h, Wx, Wh, _next_h = cache
    dx = dnext_h @ Wx.T
    dprev_h = dnext_h @ Wh.T
    dWx = x.T @ dnext_h
    dWh = prev_h.T @ dnext_h
    db = dnext_h.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


def rnn_step_backward_weights_exchanged(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h**2)
    dx = da @ Wh.T
    dprev_h = da @ Wx.T
    dWx = x.T @ da
    dWh = prev_h.T @ da
    db = da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


def rnn_step_backward_slope_of_sigmoid(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * next_h * (1 - next_h)
    dx = da @ Wx.T
    dprev_h = da @ Wh.T
    dWx = x.T @ da
    dWh = prev_h.T @ da
    db = da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


def rnn_step_backward_db_of_dh(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h**2)
    dx = da @ Wx.T
    dprev_h = da @ Wh.T
    dWx = x.T @ da
    dWh = prev_h.T @ da
    db = dnext_h.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


def rnn_step_backward_wh_unturned(dnext_h, cache):
    x, prev_h, Wx, Wh, next_h = cache
    da = dnext_h * (1 - next_h**2)
    dx = da @ Wx.T
    dprev_h = da @ Wh
    dWx = x.T @ da
    dWh = prev_h.T @ da
    db = da.sum(axis=0)
    return dx, dprev_h, dWx, dWh, db


group("RNN cell of the course", rnn_step_forward, scaled(0.6, (4, 3), (4, 3), (3, 3), (3, 3), (3,)), [
    ("right", "", rnn_step_backward),
    ("dWh from the next state", "wrong tensor", rnn_step_backward_next_h),
    ("tanh's slope forgotten", "missing term", rnn_step_backward_no_slope),
    ("Wx and Wh exchanged", "wrong tensor", rnn_step_backward_weights_exchanged),
    ("sigmoid's slope", "wrong formula", rnn_step_backward_slope_of_sigmoid),
    ("db before the slope", "missing term|wrong tensor", rnn_step_backward_db_of_dh),
    ("Wh not turned", "transposed", rnn_step_backward_wh_unturned),
])


# the RNN over time


def rnn_forward(x, h0, Wx, Wh, b):
    N, T, _D = x.shape
    h = np.zeros((N, T, h0.shape[1]))
    prev = h0
    for t in range(T):
        prev = np.tanh(x[:, t] @ Wx + prev @ Wh + b)
        h[:, t] = prev
    return h, (x, h0, Wx, Wh, h)


def rnn_backward(dh, cache):
    x, h0, Wx, Wh, h = cache
    _N, T, _D = x.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[1])
    carry = np.zeros_like(h0)
    for t in reversed(range(T)):
        prev = h[:, t - 1] if t > 0 else h0
        da = (dh[:, t] + carry) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += prev.T @ da
        db += da.sum(axis=0)
        carry = da @ Wh.T
    return dx, carry, dWx, dWh, db


def rnn_backward_stacked(dh, cache):
    x, h0, Wx, Wh, h = cache
    T = x.shape[1]
    before = np.concatenate([h0[:, None], h[:, :-1]], axis=1)
    da = np.empty_like(h)
    carry = 0
    for t in range(T - 1, -1, -1):
        da[:, t] = (dh[:, t] + carry) * (1 - h[:, t] ** 2)
        carry = da[:, t] @ Wh.T
    return da @ Wx.T, carry, np.einsum("ntd,nth->dh", x, da), np.einsum("ntg,nth->gh", before, da), da.sum(axis=(0, 1))


def rnn_backward_no_carry(dh, cache):
    x, h0, Wx, Wh, h = cache
    _N, T, _D = x.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[1])
    for t in reversed(range(T)):
        prev = h[:, t - 1] if t > 0 else h0
        da = dh[:, t] * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += prev.T @ da
        db += da.sum(axis=0)
        carry = da @ Wh.T
    return dx, carry, dWx, dWh, db


def rnn_backward_weights_assigned(dh, cache):
    x, h0, Wx, Wh, h = cache
    _N, T, _D = x.shape
    dx = np.zeros_like(x)
    carry = np.zeros_like(h0)
    db = np.zeros(Wh.shape[1])
    for t in reversed(range(T)):
        prev = h[:, t - 1] if t > 0 else h0
        da = (dh[:, t] + carry) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx = x[:, t].T @ da
        dWh = prev.T @ da
        db += da.sum(axis=0)
        carry = da @ Wh.T
    return dx, carry, dWx, dWh, db


def rnn_backward_forwards(dh, cache):
    x, h0, Wx, Wh, h = cache
    _N, T, _D = x.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[1])
    carry = np.zeros_like(h0)
    for t in range(T):
        prev = h[:, t - 1] if t > 0 else h0
        da = (dh[:, t] + carry) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += prev.T @ da
        db += da.sum(axis=0)
        carry = da @ Wh.T
    return dx, carry, dWx, dWh, db


def rnn_backward_wraps(dh, cache):
    x, h0, Wx, Wh, h = cache
    _N, T, _D = x.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[1])
    carry = np.zeros_like(h0)
    for t in reversed(range(T)):
        da = (dh[:, t] + carry) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += h[:, t - 1].T @ da
        db += da.sum(axis=0)
        carry = da @ Wh.T
    return dx, carry, dWx, dWh, db


def rnn_backward_stops_at_one(dh, cache):
    x, h0, Wx, Wh, h = cache
    _N, T, _D = x.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[1])
    carry = np.zeros_like(h0)
    for t in range(T - 1, 0, -1):
        prev = h[:, t - 1]
        da = (dh[:, t] + carry) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += prev.T @ da
        db += da.sum(axis=0)
        carry = da @ Wh.T
    return dx, carry, dWx, dWh, db


def rnn_backward_adds_into_dh(dh, cache):
    x, h0, Wx, Wh, h = cache
    _N, T, _D = x.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[1])
    for t in reversed(range(T)):
        prev = h[:, t - 1] if t > 0 else h0
        da = dh[:, t] * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += prev.T @ da
        db += da.sum(axis=0)
        dprev = da @ Wh.T
        if t > 0:
            dh[:, t - 1] += dprev
    return dx, dprev, dWx, dWh, db


def rnn_backward_h0_forgotten(dh, cache):
    x, h0, Wx, Wh, h = cache
    _N, T, _D = x.shape
    dx, dWx, dWh, db = np.zeros_like(x), np.zeros_like(Wx), np.zeros_like(Wh), np.zeros(Wh.shape[1])
    dh0 = np.zeros_like(h0)
    carry = np.zeros_like(h0)
    for t in reversed(range(T)):
        prev = h[:, t - 1] if t > 0 else h0
        da = (dh[:, t] + carry) * (1 - h[:, t] ** 2)
        dx[:, t] = da @ Wx.T
        dWx += x[:, t].T @ da
        dWh += prev.T @ da
        db += da.sum(axis=0)
        carry = da @ Wh.T
    return dx, dh0, dWx, dWh, db


group("RNN over time of the course", rnn_forward, scaled(0.6, (3, 4, 2), (3, 3), (2, 3), (3, 3), (3,)), [
    ("right", "", rnn_backward),
    ("stacked", "", rnn_backward_stacked),
    ("next step's part forgotten", "missing term", rnn_backward_no_carry),
    ("weights of the first step", "assigned|missing term", rnn_backward_weights_assigned),
    ("forwards in time", "wrong formula|missing term|transposed", rnn_backward_forwards),
    ("last state for h0", "wrong tensor|missing term", rnn_backward_wraps),
    ("loop ends before zero", "missing term|wrong mask", rnn_backward_stops_at_one),
    ("summed in dh", "upstream overwritten", rnn_backward_adds_into_dh),
    ("dh0 left at zero", "missing gradient", rnn_backward_h0_forgotten),
])


# GRU cell


def gru_forward(x, h, W, U, b):
    H = h.shape[1]
    zx = x @ W + b
    zh = h @ U
    r = sigmoid(zx[:, :H] + zh[:, :H])
    z = sigmoid(zx[:, H : 2 * H] + zh[:, H : 2 * H])
    n = np.tanh(zx[:, 2 * H :] + r * zh[:, 2 * H :])
    new = (1 - z) * n + z * h
    return new, (x, h, W, U, r, z, n, zh[:, 2 * H :])


def gru_backward(dnew, cache):
    x, h, W, U, r, z, n, hn = cache
    dz = dnew * (h - n) * z * (1 - z)
    dn = dnew * (1 - z) * (1 - n**2)
    dr = dn * hn * r * (1 - r)
    dzx = np.hstack([dr, dz, dn])
    dzh = np.hstack([dr, dz, dn * r])
    dx = dzx @ W.T
    dh = dnew * z + dzh @ U.T
    return dx, dh, x.T @ dzx, h.T @ dzh, dzx.sum(axis=0)


def gru_backward_no_direct(dnew, cache):
    x, h, W, U, r, z, n, hn = cache
    dz = dnew * (h - n) * z * (1 - z)
    dn = dnew * (1 - z) * (1 - n**2)
    dr = dn * hn * r * (1 - r)
    dzx = np.hstack([dr, dz, dn])
    dzh = np.hstack([dr, dz, dn * r])
    dx = dzx @ W.T
    dh = dzh @ U.T
    return dx, dh, x.T @ dzx, h.T @ dzh, dzx.sum(axis=0)


def gru_backward_reset_forgotten(dnew, cache):
    x, h, W, U, r, z, n, hn = cache
    dz = dnew * (h - n) * z * (1 - z)
    dn = dnew * (1 - z) * (1 - n**2)
    dr = dn * hn * r * (1 - r)
    dzx = np.hstack([dr, dz, dn])
    dx = dzx @ W.T
    dh = dnew * z + dzx @ U.T
    return dx, dh, x.T @ dzx, h.T @ dzx, dzx.sum(axis=0)


def gru_backward_gate_exchanged(dnew, cache):
    x, h, W, U, r, z, n, hn = cache
    dz = dnew * (h - n) * z * (1 - z)
    dn = dnew * z * (1 - n**2)
    dr = dn * hn * r * (1 - r)
    dzx = np.hstack([dr, dz, dn])
    dzh = np.hstack([dr, dz, dn * r])
    dx = dzx @ W.T
    dh = dnew * (1 - z) + dzh @ U.T
    return dx, dh, x.T @ dzx, h.T @ dzh, dzx.sum(axis=0)


def gru_backward_z_half(dnew, cache):
    x, h, W, U, r, z, n, hn = cache
    dz = dnew * h * z * (1 - z)
    dn = dnew * (1 - z) * (1 - n**2)
    dr = dn * hn * r * (1 - r)
    dzx = np.hstack([dr, dz, dn])
    dzh = np.hstack([dr, dz, dn * r])
    dx = dzx @ W.T
    dh = dnew * z + dzh @ U.T
    return dx, dh, x.T @ dzx, h.T @ dzh, dzx.sum(axis=0)


def gru_backward_h_for_hn(dnew, cache):
    x, h, W, U, r, z, n, _hn = cache
    dz = dnew * (h - n) * z * (1 - z)
    dn = dnew * (1 - z) * (1 - n**2)
    dr = dn * h * r * (1 - r)
    dzx = np.hstack([dr, dz, dn])
    dzh = np.hstack([dr, dz, dn * r])
    dx = dzx @ W.T
    dh = dnew * z + dzh @ U.T
    return dx, dh, x.T @ dzx, h.T @ dzh, dzx.sum(axis=0)


def gru_backward_columns_exchanged(dnew, cache):
    x, h, W, U, r, z, n, hn = cache
    dz = dnew * (h - n) * z * (1 - z)
    dn = dnew * (1 - z) * (1 - n**2)
    dr = dn * hn * r * (1 - r)
    dzx = np.hstack([dz, dr, dn])
    dzh = np.hstack([dz, dr, dn * r])
    dx = dzx @ W.T
    dh = dnew * z + dzh @ U.T
    return dx, dh, x.T @ dzx, h.T @ dzh, dzx.sum(axis=0)


group("GRU cell of PyTorch", gru_forward, scaled(1.0, (5, 3), (5, 2), (3, 6), (2, 6), (6,)), [
    ("right", "", gru_backward),
    ("direct way to h forgotten", "missing term", gru_backward_no_direct),
    ("reset gate forgotten", "missing term|wrong tensor", gru_backward_reset_forgotten),
    ("z and 1 - z exchanged", "wrong tensor|wrong formula|missing term", gru_backward_gate_exchanged),
    ("n forgotten in dz", "missing term", gru_backward_z_half),
    ("h for its product", "wrong tensor", gru_backward_h_for_hn),
    ("gates' columns exchanged", "wrong tensor|wrong axis|wrong formula", gru_backward_columns_exchanged),
])


# LSTM cell, which returns the new h and c side by side


def lstm_forward(x, h, c, Wx, Wh, b):
    a = x @ Wx + h @ Wh + b
    ai, af, ao, ag = np.split(a, 4, axis=1)
    i, f, o, g = sigmoid(ai), sigmoid(af), sigmoid(ao), np.tanh(ag)
    c_new = f * c + i * g
    tc = np.tanh(c_new)
    h_new = o * tc
    return np.hstack([h_new, c_new]), (x, h, c, Wx, Wh, i, f, o, g, tc)


def lstm_backward(dout, cache):
    x, h, c, Wx, Wh, i, f, o, g, tc = cache
    dh_new, dc_new = np.split(dout, 2, axis=1)
    dc_total = dc_new + dh_new * o * (1 - tc**2)
    dai = dc_total * g * i * (1 - i)
    daf = dc_total * c * f * (1 - f)
    dao = dh_new * tc * o * (1 - o)
    dag = dc_total * i * (1 - g**2)
    da = np.hstack([dai, daf, dao, dag])
    return da @ Wx.T, da @ Wh.T, dc_total * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_backward_c_alone(dout, cache):
    x, h, c, Wx, Wh, i, f, o, g, tc = cache
    dh_new, _dc_new = np.split(dout, 2, axis=1)
    dc_total = dh_new * o * (1 - tc**2)
    dai = dc_total * g * i * (1 - i)
    daf = dc_total * c * f * (1 - f)
    dao = dh_new * tc * o * (1 - o)
    dag = dc_total * i * (1 - g**2)
    da = np.hstack([dai, daf, dao, dag])
    return da @ Wx.T, da @ Wh.T, dc_total * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_backward_dc_in_place(dout, cache):
    x, h, c, Wx, Wh, i, f, o, g, tc = cache
    dh_new, dc_total = np.split(dout, 2, axis=1)
    dc_total += dh_new * o * (1 - tc**2)
    dai = dc_total * g * i * (1 - i)
    daf = dc_total * c * f * (1 - f)
    dao = dh_new * tc * o * (1 - o)
    dag = dc_total * i * (1 - g**2)
    da = np.hstack([dai, daf, dao, dag])
    return da @ Wx.T, da @ Wh.T, dc_total * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_backward_g_sigmoid(dout, cache):
    x, h, c, Wx, Wh, i, f, o, g, tc = cache
    dh_new, dc_new = np.split(dout, 2, axis=1)
    dc_total = dc_new + dh_new * o * (1 - tc**2)
    dai = dc_total * g * i * (1 - i)
    daf = dc_total * c * f * (1 - f)
    dao = dh_new * tc * o * (1 - o)
    dag = dc_total * i * g * (1 - g)
    da = np.hstack([dai, daf, dao, dag])
    return da @ Wx.T, da @ Wh.T, dc_total * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_backward_order(dout, cache):
    x, h, c, Wx, Wh, i, f, o, g, tc = cache
    dh_new, dc_new = np.split(dout, 2, axis=1)
    dc_total = dc_new + dh_new * o * (1 - tc**2)
    dai = dc_total * g * i * (1 - i)
    daf = dc_total * c * f * (1 - f)
    dao = dh_new * tc * o * (1 - o)
    dag = dc_total * i * (1 - g**2)
    da = np.hstack([dai, daf, dag, dao])
    return da @ Wx.T, da @ Wh.T, dc_total * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_backward_forget_from_dh(dout, cache):
    x, h, _c, Wx, Wh, i, f, o, g, tc = cache
    dh_new, dc_new = np.split(dout, 2, axis=1)
    dc_total = dc_new + dh_new * o * (1 - tc**2)
    dai = dc_total * g * i * (1 - i)
    daf = dc_total * tc * f * (1 - f)
    dao = dh_new * tc * o * (1 - o)
    dag = dc_total * i * (1 - g**2)
    da = np.hstack([dai, daf, dao, dag])
    return da @ Wx.T, da @ Wh.T, dc_total * f, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_backward_no_forget(dout, cache):
    x, h, c, Wx, Wh, i, f, o, g, tc = cache
    dh_new, dc_new = np.split(dout, 2, axis=1)
    dc_total = dc_new + dh_new * o * (1 - tc**2)
    dai = dc_total * g * i * (1 - i)
    daf = dc_total * c * f * (1 - f)
    dao = dh_new * tc * o * (1 - o)
    dag = dc_total * i * (1 - g**2)
    da = np.hstack([dai, daf, dao, dag])
    return da @ Wx.T, da @ Wh.T, dc_total, x.T @ da, h.T @ da, da.sum(axis=0)


def lstm_backward_o_slope(dout, cache):
    x, h, c, Wx, Wh, i, f, o, g, tc = cache
    dh_new, dc_new = np.split(dout, 2, axis=1)
    dc_total = dc_new + dh_new * o * (1 - tc**2)
    dai = dc_total * g * i * (1 - i)
    daf = dc_total * c * f * (1 - f)
    dao = dh_new * tc
    dag = dc_total * i * (1 - g**2)
    da = np.hstack([dai, daf, dao, dag])
    return da @ Wx.T, da @ Wh.T, dc_total * f, x.T @ da, h.T @ da, da.sum(axis=0)


group("LSTM cell, h and c", lstm_forward, scaled(0.7, (3, 3), (3, 2), (3, 2), (3, 8), (2, 8), (8,)), [
    ("right", "", lstm_backward),
    ("gradient of c forgotten", "missing term", lstm_backward_c_alone),
    ("summed in dout", "upstream overwritten", lstm_backward_dc_in_place),
    ("sigmoid's slope for g", "wrong formula", lstm_backward_g_sigmoid),
    ("columns of o and g exchanged", "wrong tensor|wrong axis|wrong formula", lstm_backward_order),
    ("new c for the old", "wrong tensor", lstm_backward_forget_from_dh),
    ("forget gate not in dc", "missing term", lstm_backward_no_forget),
    ("slope of o forgotten", "missing term", lstm_backward_o_slope),
])


# attention


def attention_forward(Q, K, V):
    d = Q.shape[-1]
    S = Q @ K.transpose(0, 2, 1) / np.sqrt(d)
    A = softmax(S)
    return A @ V, (Q, K, V, A, d)


def attention_backward(dO, cache):
    Q, K, V, A, d = cache
    dV = A.transpose(0, 2, 1) @ dO
    dA = dO @ V.transpose(0, 2, 1)
    dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True))
    dS /= np.sqrt(d)
    dQ = dS @ K
    dK = dS.transpose(0, 2, 1) @ Q
    return dQ, dK, dV


def attention_backward_queries(dO, cache):
    Q, K, V, A, d = cache
    dQ, dK, dV = np.empty_like(Q), np.zeros_like(K), np.zeros_like(V)
    for b in range(Q.shape[0]):
        for t in range(Q.shape[1]):
            p = A[b, t]
            dV[b] += p[:, None] * dO[b, t]
            dp = V[b] @ dO[b, t]
            ds = (np.diag(p) - np.outer(p, p)) @ dp / d**0.5
            dQ[b, t] = ds @ K[b]
            dK[b] += ds[:, None] * Q[b, t]
    return dQ, dK, dV


def attention_backward_no_scale(dO, cache):
    Q, K, V, A, _d = cache
    dV = A.transpose(0, 2, 1) @ dO
    dA = dO @ V.transpose(0, 2, 1)
    dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True))
    dQ = dS @ K
    dK = dS.transpose(0, 2, 1) @ Q
    return dQ, dK, dV


def attention_backward_a_unturned(dO, cache):
    Q, K, V, A, d = cache
    dV = A @ dO
    dA = dO @ V.transpose(0, 2, 1)
    dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True)) / np.sqrt(d)
    dQ = dS @ K
    dK = dS.transpose(0, 2, 1) @ Q
    return dQ, dK, dV


def attention_backward_no_softmax(dO, cache):
    Q, K, V, A, d = cache
    dV = A.transpose(0, 2, 1) @ dO
    dA = dO @ V.transpose(0, 2, 1)
    dS = dA / np.sqrt(d)
    dQ = dS @ K
    dK = dS.transpose(0, 2, 1) @ Q
    return dQ, dK, dV


def attention_backward_sum_over_queries(dO, cache):
    Q, K, V, A, d = cache
    dV = A.transpose(0, 2, 1) @ dO
    dA = dO @ V.transpose(0, 2, 1)
    dS = A * (dA - (dA * A).sum(axis=1, keepdims=True)) / np.sqrt(d)
    dQ = dS @ K
    dK = dS.transpose(0, 2, 1) @ Q
    return dQ, dK, dV


def attention_backward_q_and_k(dO, cache):
    Q, K, V, A, d = cache
    dV = A.transpose(0, 2, 1) @ dO
    dA = dO @ V.transpose(0, 2, 1)
    dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True)) / np.sqrt(d)
    dQ = dS @ Q
    dK = dS.transpose(0, 2, 1) @ K
    return dQ, dK, dV


def attention_backward_sigmoid_slope(dO, cache):
    Q, K, V, A, d = cache
    dV = A.transpose(0, 2, 1) @ dO
    dA = dO @ V.transpose(0, 2, 1)
    dS = dA * A * (1 - A) / np.sqrt(d)
    dQ = dS @ K
    dK = dS.transpose(0, 2, 1) @ Q
    return dQ, dK, dV


def attention_backward_exchanged(dO, cache):
    Q, K, V, A, d = cache
    dV = A.transpose(0, 2, 1) @ dO
    dA = dO @ V.transpose(0, 2, 1)
    dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True)) / np.sqrt(d)
    dQ = dS @ K
    dK = dS.transpose(0, 2, 1) @ Q
    return dQ, dV, dK


def attention_backward_scaled_by_d(dO, cache):
    Q, K, V, A, d = cache
    dV = A.transpose(0, 2, 1) @ dO
    dA = dO @ V.transpose(0, 2, 1)
    dS = A * (dA - (dA * A).sum(axis=-1, keepdims=True)) / d
    dQ = dS @ K
    dK = dS.transpose(0, 2, 1) @ Q
    return dQ, dK, dV


group("attention of two heads", attention_forward, normal((2, 4, 3), (2, 4, 3), (2, 4, 3)), [
    ("right", "", attention_backward),
    ("a query at a time", "", attention_backward_queries),
    ("scale forgotten", "constant factor", attention_backward_no_scale),
    ("weights not turned", "transposed", attention_backward_a_unturned),
    ("softmax's slope forgotten", "missing term", attention_backward_no_softmax),
    ("summed over the queries", "wrong axis", attention_backward_sum_over_queries),
    ("Q and K exchanged", "wrong tensor", attention_backward_q_and_k),
    ("diagonal of softmax's slope", "missing term", attention_backward_sigmoid_slope),
    ("dK and dV exchanged", "wrong tensor", attention_backward_exchanged),
    ("divided by d", "constant factor", attention_backward_scaled_by_d),
])


# causal self-attention on one sequence


def causal_forward(x, Wq, Wk, Wv):
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    T, d = q.shape
    allowed = np.tril(np.ones((T, T), bool))
    S = np.where(allowed, q @ k.T / d**0.5, -1e9)
    A = softmax(S)
    return A @ v, (x, Wq, Wk, Wv, q, k, v, A, allowed)


def causal_backward(dy, cache):
    x, Wq, Wk, Wv, q, k, v, A, _allowed = cache
    dv = A.T @ dy
    dA = dy @ v.T
    dS = A * (dA - np.sum(A * dA, axis=1, keepdims=True)) / q.shape[1] ** 0.5
    dq, dk = dS @ k, dS.T @ q
    dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
    return dx, x.T @ dq, x.T @ dk, x.T @ dv


def causal_backward_x_from_v(dy, cache):
    x, Wq, Wk, Wv, q, k, v, A, _allowed = cache
    dv = A.T @ dy
    dA = dy @ v.T
    dS = A * (dA - np.sum(A * dA, axis=1, keepdims=True)) / q.shape[1] ** 0.5
    dq, dk = dS @ k, dS.T @ q
    dx = dq @ Wq.T
    dx = dk @ Wk.T
    dx = dv @ Wv.T
    return dx, x.T @ dq, x.T @ dk, x.T @ dv


def causal_backward_two_of_three(dy, cache):
    x, Wq, _Wk, Wv, q, k, v, A, _allowed = cache
    dv = A.T @ dy
    dA = dy @ v.T
    dS = A * (dA - np.sum(A * dA, axis=1, keepdims=True)) / q.shape[1] ** 0.5
    dq, dk = dS @ k, dS.T @ q
    dx = dq @ Wq.T + dv @ Wv.T
    return dx, x.T @ dq, x.T @ dk, x.T @ dv


def causal_backward_mask_after(dy, cache):
    x, Wq, Wk, Wv, q, k, v, A, allowed = cache
    dv = A.T @ dy
    dA = dy @ v.T
    dS = A * (dA - np.sum(A * dA, axis=1, keepdims=True)) / q.shape[1] ** 0.5
    dS = dS * allowed.T
    dq, dk = dS @ k, dS.T @ q
    dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
    return dx, x.T @ dq, x.T @ dk, x.T @ dv


def causal_backward_all_keys(dy, cache):
    x, Wq, Wk, Wv, q, k, v, _A, _allowed = cache
    P = softmax(q @ k.T / q.shape[1] ** 0.5)
    dv = P.T @ dy
    dA = dy @ v.T
    dS = P * (dA - np.sum(P * dA, axis=1, keepdims=True)) / q.shape[1] ** 0.5
    dq, dk = dS @ k, dS.T @ q
    dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
    return dx, x.T @ dq, x.T @ dk, x.T @ dv


def causal_backward_ds_unturned(dy, cache):
    x, Wq, Wk, Wv, q, k, v, A, _allowed = cache
    dv = A.T @ dy
    dA = dy @ v.T
    dS = A * (dA - np.sum(A * dA, axis=1, keepdims=True)) / q.shape[1] ** 0.5
    dq, dk = dS @ k, dS @ q
    dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
    return dx, x.T @ dq, x.T @ dk, x.T @ dv


group("causal self-attention", causal_forward, scaled(0.8, (5, 3), (3, 3), (3, 3), (3, 3)), [
    ("right", "", causal_backward),
    ("dx of the values alone", "assigned|missing term", causal_backward_x_from_v),
    ("keys' part of dx forgotten", "missing term", causal_backward_two_of_three),
    ("masked with the mask turned", "wrong mask|transposed", causal_backward_mask_after),
    ("mask forgotten", "wrong mask|missing term", causal_backward_all_keys),
    ("dS not turned for dk", "transposed", causal_backward_ds_unturned),
])


# batch norm of the course


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    mu = x.mean(axis=0)
    xc = x - mu
    var = np.mean(xc**2, axis=0)
    std = np.sqrt(var + eps)
    xhat = xc / std
    return gamma * xhat + beta, (xc, std, xhat, gamma)


def batchnorm_backward(dout, cache):
    _xc, std, xhat, gamma = cache
    N = len(dout)
    dgamma = np.sum(dout * xhat, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=0) - xhat * np.sum(dxhat * xhat, axis=0) / N) / std
    return dx, dgamma, dbeta


def batchnorm_backward_staged(dout, cache):
    xc, std, xhat, gamma = cache
    N = len(dout)
    dgamma = (dout * xhat).sum(0)
    dbeta = dout.sum(0)
    dxhat = dout * gamma
    dstd = -(dxhat * xc).sum(0) / std**2
    dvar = 0.5 * dstd / std
    dxc = dxhat / std + 2 * xc * dvar / N
    dmu = -dxc.sum(0)
    return dxc + dmu / N, dgamma, dbeta


def batchnorm_backward_std_constant(dout, cache):
    _xc, std, xhat, gamma = cache
    dgamma = np.sum(dout * xhat, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=0)) / std
    return dx, dgamma, dbeta


def batchnorm_backward_dmu_forgotten(dout, cache):
    xc, std, xhat, gamma = cache
    N = len(dout)
    dgamma = (dout * xhat).sum(0)
    dbeta = dout.sum(0)
    dxhat = dout * gamma
    dstd = -(dxhat * xc).sum(0) / std**2
    dvar = 0.5 * dstd / std
    dxc = dxhat / std + 2 * xc * dvar / N
    return dxc, dgamma, dbeta


def batchnorm_backward_dmu_not_divided(dout, cache):
    xc, std, xhat, gamma = cache
    N = len(dout)
    dgamma = (dout * xhat).sum(0)
    dbeta = dout.sum(0)
    dxhat = dout * gamma
    dstd = -(dxhat * xc).sum(0) / std**2
    dvar = 0.5 * dstd / std
    dxc = dxhat / std + 2 * xc * dvar / N
    dmu = -dxc.sum(0)
    return dxc + dmu, dgamma, dbeta


def batchnorm_backward_no_gamma(dout, cache):
    _xc, std, xhat, _gamma = cache
    N = len(dout)
    dgamma = np.sum(dout * xhat, axis=0)
    dbeta = np.sum(dout, axis=0)
    dx = (dout - dout.mean(axis=0) - xhat * np.sum(dout * xhat, axis=0) / N) / std
    return dx, dgamma, dbeta


def batchnorm_backward_gamma_from_xc(dout, cache):
    xc, std, xhat, gamma = cache
    N = len(dout)
    dgamma = np.sum(dout * xc, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxhat = dout * gamma
    dx = (dxhat - dxhat.mean(axis=0) - xhat * np.sum(dxhat * xhat, axis=0) / N) / std
    return dx, dgamma, dbeta


def batchnorm_backward_sums(dout, cache):
    _xc, std, xhat, gamma = cache
    dgamma = np.sum(dout * xhat, axis=0)
    dbeta = np.sum(dout, axis=0)
    dxhat = dout * gamma
    dx = (dxhat - dxhat.sum(axis=0) - xhat * np.sum(dxhat * xhat, axis=0)) / std
    return dx, dgamma, dbeta


def batchnorm_backward_two_forgotten(dout, cache):
    xc, std, xhat, gamma = cache
    N = len(dout)
    dgamma = (dout * xhat).sum(0)
    dbeta = dout.sum(0)
    dxhat = dout * gamma
    dvar = -0.5 * (dxhat * xc).sum(0) / std**3
    dxc = dxhat / std + xc * dvar / N
    dmu = -dxc.sum(0)
    return dxc + dmu / N, dgamma, dbeta


def batchnorm_backward_inference(dout, cache):
    _xc, std, xhat, gamma = cache
    return dout * gamma / std, np.sum(dout * xhat, axis=0), np.sum(dout, axis=0)


group("batch norm of the course", batchnorm_forward, lambda rng: (1 + 2 * rng.standard_normal((6, 4)), rng.uniform(0.5, 2, 4), rng.standard_normal(4)), [
    ("short", "", batchnorm_backward),
    ("in stages", "", batchnorm_backward_staged),
    ("deviation constant", "missing term", batchnorm_backward_std_constant),
    ("dmu forgotten", "missing term", batchnorm_backward_dmu_forgotten),
    ("dmu not divided by N", "constant factor|missing term|wrong formula", batchnorm_backward_dmu_not_divided),
    ("gamma forgotten", "missing term", batchnorm_backward_no_gamma),
    ("dgamma from x - mu", "wrong tensor|missing term", batchnorm_backward_gamma_from_xc),
    ("sums for means", "constant factor|missing term|wrong formula", batchnorm_backward_sums),
    ("two of the square forgotten", "constant factor|missing term", batchnorm_backward_two_forgotten),
    ("statistics constant", "missing term", batchnorm_backward_inference),
])


# batch norm of pictures as layers


class SpatialNorm:
    def __init__(self):
        self.gamma = np.array([0.7, 1.6, 1.1])
        self.beta = np.array([0.2, -0.5, 0.0])
        self.dgamma = self.dbeta = None

    def forward(self, x):
        self.m = x.shape[0] * x.shape[2] * x.shape[3]
        mu = x.mean(axis=(0, 2, 3), keepdims=True)
        self.inv = 1 / np.sqrt(x.var(axis=(0, 2, 3), keepdims=True) + 1e-4)
        self.xhat = (x - mu) * self.inv
        return self.gamma[:, None, None] * self.xhat + self.beta[:, None, None]

    def backward(self, dy):
        self.dbeta = dy.sum(axis=(0, 2, 3))
        self.dgamma = (dy * self.xhat).sum(axis=(0, 2, 3))
        scale = self.gamma[:, None, None] * self.inv / self.m
        return scale * (self.m * dy - self.dbeta[:, None, None] - self.xhat * self.dgamma[:, None, None])


class SpatialNormBatchOnly(SpatialNorm):
    def backward(self, dy):
        self.dbeta = dy.sum(axis=(0, 2, 3))
        self.dgamma = (dy * self.xhat).sum(axis=(0, 2, 3))
        g = dy * self.gamma[:, None, None]
        return self.inv * (g - g.mean(axis=0) - self.xhat * (g * self.xhat).mean(axis=0))


class SpatialNormWrongCount(SpatialNorm):
    def backward(self, dy):
        N = dy.shape[0]
        self.dbeta = dy.sum(axis=(0, 2, 3))
        self.dgamma = (dy * self.xhat).sum(axis=(0, 2, 3))
        scale = self.gamma[:, None, None] * self.inv / N
        return scale * (N * dy - self.dbeta[:, None, None] - self.xhat * self.dgamma[:, None, None])


class SpatialNormMeans(SpatialNorm):
    def backward(self, dy):
        self.dbeta = dy.mean(axis=(0, 2, 3))
        self.dgamma = (dy * self.xhat).mean(axis=(0, 2, 3))
        scale = self.gamma[:, None, None] * self.inv
        return scale * (dy - self.dbeta[:, None, None] - self.xhat * self.dgamma[:, None, None])


class SpatialNormLastAxis(SpatialNorm):
    def backward(self, dy):
        self.dbeta = dy.sum(axis=(0, 1, 2))
        self.dgamma = (dy * self.xhat).sum(axis=(0, 1, 2))
        g = dy * self.gamma[:, None, None]
        return self.inv * (g - g.mean(axis=(0, 2, 3), keepdims=True) - self.xhat * (g * self.xhat).mean(axis=(0, 2, 3), keepdims=True))


class SpatialNormForgets(SpatialNorm):
    def backward(self, dy):
        dbeta = dy.sum(axis=(0, 2, 3))
        dgamma = (dy * self.xhat).sum(axis=(0, 2, 3))
        scale = self.gamma[:, None, None] * self.inv / self.m
        return scale * (self.m * dy - dbeta[:, None, None] - self.xhat * dgamma[:, None, None])


layer("batch norm of pictures", scaled(2, (3, 3, 2, 3)), [
    ("right", "", SpatialNorm),
    ("means over the batch alone", "wrong axis", SpatialNormBatchOnly),
    ("N for N H W", "constant factor|missing term|wrong formula", SpatialNormWrongCount),
    ("parameters' gradients averaged", "constant factor", SpatialNormMeans),
    ("parameters summed but the last axis", "wrong axis", SpatialNormLastAxis),
    ("parameters' gradients not kept", "missing gradient", SpatialNormForgets),
])


# layer norm


def layernorm_forward(x, gamma, beta):
    mu = x.mean(axis=-1, keepdims=True)
    inv = 1 / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
    xhat = (x - mu) * inv
    return xhat * gamma + beta, (xhat, inv, gamma)


def layernorm_backward(dy, cache):
    xhat, inv, gamma = cache
    D = xhat.shape[-1]
    g = dy * gamma
    dx = inv / D * (D * g - g.sum(-1, keepdims=True) - xhat * (g * xhat).sum(-1, keepdims=True))
    return dx, (dy * xhat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


def layernorm_backward_rowwise(dy, cache):
    xhat, inv, gamma = cache
    D = xhat.shape[-1]
    dx, dgamma, dbeta = np.empty_like(xhat), np.zeros(D), np.zeros(D)
    for n in np.ndindex(xhat.shape[:-1]):
        h = xhat[n]
        jac = (np.eye(D) - 1 / D - np.outer(h, h) / D) * inv[n]
        dx[n] = jac @ (gamma * dy[n])
        dgamma += dy[n] * h
        dbeta += dy[n]
    return dx, dgamma, dbeta


def layernorm_backward_batch_axis(dy, cache):
    xhat, inv, gamma = cache
    g = dy * gamma
    dx = inv * (g - g.mean(0, keepdims=True) - xhat * (g * xhat).mean(0, keepdims=True))
    return dx, (dy * xhat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


def layernorm_backward_gamma_after(dy, cache):
    xhat, inv, gamma = cache
    dx = inv * gamma * (dy - dy.mean(-1, keepdims=True) - xhat * (dy * xhat).mean(-1, keepdims=True))
    return dx, (dy * xhat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


def layernorm_backward_no_inv(dy, cache):
    xhat, _inv, gamma = cache
    g = dy * gamma
    dx = g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True)
    return dx, (dy * xhat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


def layernorm_backward_no_xhat(dy, cache):
    xhat, inv, gamma = cache
    g = dy * gamma
    dx = inv * (g - g.mean(-1, keepdims=True) - (g * xhat).mean(-1, keepdims=True))
    return dx, (dy * xhat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


def layernorm_backward_plus(dy, cache):
    xhat, inv, gamma = cache
    g = dy * gamma
    dx = inv * (g - g.mean(-1, keepdims=True) + xhat * (g * xhat).mean(-1, keepdims=True))
    return dx, (dy * xhat).sum(axis=(0, 1)), dy.sum(axis=(0, 1))


def layernorm_backward_exchanged(dy, cache):
    xhat, inv, gamma = cache
    g = dy * gamma
    dx = inv * (g - g.mean(-1, keepdims=True) - xhat * (g * xhat).mean(-1, keepdims=True))
    return dx, dy.sum(axis=(0, 1)), (dy * xhat).sum(axis=(0, 1))


group("layer norm", layernorm_forward, normal((2, 4, 5), (5,), (5,)), [
    ("right", "", layernorm_backward),
    ("a row at a time", "", layernorm_backward_rowwise),
    ("means over the batch", "wrong axis", layernorm_backward_batch_axis),
    ("gamma after the means", "wrong formula|wrong tensor|missing term", layernorm_backward_gamma_after),
    ("deviation forgotten", "missing term", layernorm_backward_no_inv),
    ("xhat forgotten in the last term", "missing term", layernorm_backward_no_xhat),
    ("last term added", "missing term|wrong formula|constant factor", layernorm_backward_plus),
    ("dgamma and dbeta exchanged", "wrong tensor", layernorm_backward_exchanged),
])


# group norm and instance norm, without parameters


def groupnorm_forward(x):
    N, _C, _H, _W = x.shape
    g = x.reshape(N, 2, -1)
    mu = g.mean(axis=2, keepdims=True)
    sd = np.sqrt(g.var(axis=2, keepdims=True) + 1e-5)
    xhat = (g - mu) / sd
    return xhat.reshape(x.shape), (xhat, sd, x.shape)


def groupnorm_backward(dy, cache):
    xhat, sd, shape = cache
    g = dy.reshape(xhat.shape)
    dx = (g - g.mean(axis=2, keepdims=True) - xhat * (g * xhat).mean(axis=2, keepdims=True)) / sd
    return dx.reshape(shape)


def groupnorm_backward_channels(dy, cache):
    xhat, sd, shape = cache
    g = dy.reshape(shape)
    h = xhat.reshape(shape)
    s = sd.repeat(shape[1] // 2, axis=1)[..., None]
    dx = (g - g.mean(axis=(2, 3), keepdims=True) - h * (g * h).mean(axis=(2, 3), keepdims=True)) / s
    return dx


def groupnorm_backward_interleaved(dy, cache):
    xhat, sd, shape = cache
    N, C, H, W = shape
    g = dy.reshape(N, C // 2, 2, H, W).transpose(0, 2, 1, 3, 4).reshape(xhat.shape)
    dx = (g - g.mean(axis=2, keepdims=True) - xhat * (g * xhat).mean(axis=2, keepdims=True)) / sd
    return dx.reshape(shape)


def groupnorm_backward_variance(dy, cache):
    xhat, sd, shape = cache
    g = dy.reshape(xhat.shape)
    dx = (g - g.mean(axis=2, keepdims=True) - xhat * (g * xhat).mean(axis=2, keepdims=True)) / sd**2
    return dx.reshape(shape)


def groupnorm_backward_grouped_shape(dy, cache):
    xhat, sd, _shape = cache
    g = dy.reshape(xhat.shape)
    return (g - g.mean(axis=2, keepdims=True) - xhat * (g * xhat).mean(axis=2, keepdims=True)) / sd


group("group norm of two groups", groupnorm_forward, scaled(1.7, (2, 6, 2, 2)), [
    ("right", "", groupnorm_backward),
    ("means of each channel", "wrong axis", groupnorm_backward_channels),
    ("groups interleaved", "transposed|wrong axis|wrong formula", groupnorm_backward_interleaved),
    ("variance for deviation", "wrong formula|wrong tensor|extra term", groupnorm_backward_variance),
    ("left in groups", "wrong shape", groupnorm_backward_grouped_shape),
])


def instancenorm_forward(x, gamma):
    mu = x.mean(axis=(1, 2), keepdims=True)
    var = x.var(axis=(1, 2), keepdims=True)
    xhat = (x - mu) / np.sqrt(var + 1e-5)
    return xhat * gamma, (x, mu, var, xhat, gamma)


def instancenorm_backward(dy, cache):
    x, mu, var, xhat, gamma = cache
    n = x.shape[1] * x.shape[2]
    inv = (var + 1e-5) ** -0.5
    dxhat = dy * gamma
    dvar = np.sum(dxhat * (x - mu) * -0.5 * inv**3, axis=(1, 2), keepdims=True)
    dmu = np.sum(-dxhat * inv, axis=(1, 2), keepdims=True)
    dx = dxhat * inv + dvar * 2 * (x - mu) / n + dmu / n
    return dx, np.einsum("nhwc,nhwc->c", dy, xhat)


def instancenorm_backward_no_dvar(dy, cache):
    x, _mu, var, xhat, gamma = cache
    n = x.shape[1] * x.shape[2]
    inv = (var + 1e-5) ** -0.5
    dxhat = dy * gamma
    dmu = np.sum(-dxhat * inv, axis=(1, 2), keepdims=True)
    dx = dxhat * inv + dmu / n
    return dx, np.einsum("nhwc,nhwc->c", dy, xhat)


def instancenorm_backward_batch_too(dy, cache):
    x, mu, var, xhat, gamma = cache
    n = x.shape[0] * x.shape[1] * x.shape[2]
    inv = (var + 1e-5) ** -0.5
    dxhat = dy * gamma
    dvar = np.sum(dxhat * (x - mu) * -0.5 * inv**3, axis=(0, 1, 2), keepdims=True)
    dmu = np.sum(-dxhat * inv, axis=(0, 1, 2), keepdims=True)
    dx = dxhat * inv + dvar * 2 * (x - mu) / n + dmu / n
    return dx, np.einsum("nhwc,nhwc->c", dy, xhat)


def instancenorm_backward_sign(dy, cache):
    x, mu, var, xhat, gamma = cache
    n = x.shape[1] * x.shape[2]
    inv = (var + 1e-5) ** -0.5
    dxhat = dy * gamma
    dvar = np.sum(dxhat * (x - mu) * 0.5 * inv**3, axis=(1, 2), keepdims=True)
    dmu = np.sum(-dxhat * inv, axis=(1, 2), keepdims=True)
    dx = dxhat * inv + dvar * 2 * (x - mu) / n + dmu / n
    return dx, np.einsum("nhwc,nhwc->c", dy, xhat)


def instancenorm_backward_dgamma_kept_batch(dy, cache):
    x, mu, var, xhat, gamma = cache
    n = x.shape[1] * x.shape[2]
    inv = (var + 1e-5) ** -0.5
    dxhat = dy * gamma
    dvar = np.sum(dxhat * (x - mu) * -0.5 * inv**3, axis=(1, 2), keepdims=True)
    dmu = np.sum(-dxhat * inv, axis=(1, 2), keepdims=True)
    dx = dxhat * inv + dvar * 2 * (x - mu) / n + dmu / n
    return dx, np.einsum("nhwc,nhwc->nc", dy, xhat)


group("instance norm, channels last", instancenorm_forward, lambda rng: (2 * rng.standard_normal((3, 2, 3, 2)), rng.uniform(0.5, 1.5, 2)), [
    ("in stages", "", instancenorm_backward),
    ("dvar forgotten", "missing term", instancenorm_backward_no_dvar),
    ("over the batch too", "wrong axis", instancenorm_backward_batch_too),
    ("dvar's minus forgotten", "missing term|wrong formula|constant factor", instancenorm_backward_sign),
    ("dgamma keeps the batch", "wrong shape|wrong axis", instancenorm_backward_dgamma_kept_batch),
])


# RMS norm


def rmsnorm_forward(x, g):
    r = np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-6)
    return g * x / r, (x, g, r)


def rmsnorm_backward(dy, cache):
    x, g, r = cache
    n = x.shape[-1]
    a = dy * g
    dx = a / r - x * np.sum(a * x, axis=-1, keepdims=True) / (n * r**3)
    dg = np.sum(dy * x / r, axis=0)
    return dx, dg


def rmsnorm_backward_root_constant(dy, cache):
    x, g, r = cache
    return dy * g / r, np.sum(dy * x / r, axis=0)


def rmsnorm_backward_n_forgotten(dy, cache):
    x, g, r = cache
    a = dy * g
    dx = a / r - x * np.sum(a * x, axis=-1, keepdims=True) / r**3
    dg = np.sum(dy * x / r, axis=0)
    return dx, dg


def rmsnorm_backward_layer_norm(dy, cache):
    x, g, r = cache
    n = x.shape[-1]
    a = dy * g
    dx = a / r - a.mean(axis=-1, keepdims=True) / r - x * np.sum(a * x, axis=-1, keepdims=True) / (n * r**3)
    dg = np.sum(dy * x / r, axis=0)
    return dx, dg


def rmsnorm_backward_dg_x(dy, cache):
    x, g, r = cache
    n = x.shape[-1]
    a = dy * g
    dx = a / r - x * np.sum(a * x, axis=-1, keepdims=True) / (n * r**3)
    dg = np.sum(dy * x, axis=0)
    return dx, dg


def rmsnorm_backward_square(dy, cache):
    x, g, r = cache
    n = x.shape[-1]
    a = dy * g
    dx = a / r - x * np.sum(a * x, axis=-1, keepdims=True) / (n * r**2)
    dg = np.sum(dy * x / r, axis=0)
    return dx, dg


group("RMS norm", rmsnorm_forward, scaled(1.8, (4, 6), (6,)), [
    ("right", "", rmsnorm_backward),
    ("root taken for a constant", "missing term", rmsnorm_backward_root_constant),
    ("n forgotten", "constant factor|missing term", rmsnorm_backward_n_forgotten),
    ("layer norm's mean", "extra term", rmsnorm_backward_layer_norm),
    ("dg not divided by r", "missing term", rmsnorm_backward_dg_x),
    ("square for cube", "missing term|wrong formula", rmsnorm_backward_square),
])


# weight norm


def weightnorm_forward(x, v, g):
    norm = np.sqrt((v**2).sum(axis=1, keepdims=True))
    w = g[:, None] * v / norm
    return x @ w.T, (x, v, g, norm, w)


def weightnorm_backward(dy, cache):
    x, v, g, norm, w = cache
    dw = dy.T @ x
    dg = np.sum(dw * v, axis=1) / norm[:, 0]
    dv = g[:, None] / norm * (dw - v * np.sum(dw * v, axis=1, keepdims=True) / norm**2)
    return dy @ w, dv, dg


def weightnorm_backward_no_projection(dy, cache):
    x, v, g, norm, w = cache
    dw = dy.T @ x
    dg = np.sum(dw * v, axis=1) / norm[:, 0]
    dv = g[:, None] / norm * dw
    return dy @ w, dv, dg


def weightnorm_backward_dv_is_dw(dy, cache):
    x, v, _g, norm, w = cache
    dw = dy.T @ x
    dg = np.sum(dw * v, axis=1) / norm[:, 0]
    return dy @ w, dw, dg


def weightnorm_backward_v_for_w(dy, cache):
    x, v, g, norm, _w = cache
    dw = dy.T @ x
    dg = np.sum(dw * v, axis=1) / norm[:, 0]
    dv = g[:, None] / norm * (dw - v * np.sum(dw * v, axis=1, keepdims=True) / norm**2)
    return dy @ v, dv, dg


def weightnorm_backward_dg_columns(dy, cache):
    x, v, g, norm, w = cache
    dw = dy.T @ x
    dg = np.sum(dw * v / norm, axis=0)
    dv = g[:, None] / norm * (dw - v * np.sum(dw * v, axis=1, keepdims=True) / norm**2)
    return dy @ w, dv, dg


group("weight norm of a linear layer", weightnorm_forward, normal((5, 4), (4, 4), (4,)), [
    ("right", "", weightnorm_backward),
    ("not projected", "missing term", weightnorm_backward_no_projection),
    ("dv is dw", "missing term", weightnorm_backward_dv_is_dw),
    ("v for w", "wrong tensor|missing term", weightnorm_backward_v_for_w),
    ("dg summed over the rows", "wrong axis", weightnorm_backward_dg_columns),
])


# convolution, the course's naive loops, with padding and stride


def conv_forward_naive(x, w, b, stride=2, pad=1):
    N, _C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    Ho, Wo = 1 + (H + 2 * pad - HH) // stride, 1 + (W + 2 * pad - WW) // stride
    out = np.zeros((N, F, Ho, Wo))
    for i in range(Ho):
        for j in range(Wo):
            patch = xp[:, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
            out[:, :, i, j] = np.tensordot(patch, w, axes=([1, 2, 3], [1, 2, 3])) + b
    return out, (x, w, b, stride, pad)


def conv_backward_naive(dout, cache):
    x, w, b, stride, pad = cache
    N, _C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    hs, ws = i * stride, j * stride
                    db[f] += dout[n, f, i, j]
                    dw[f] += xp[n, :, hs : hs + HH, ws : ws + WW] * dout[n, f, i, j]
                    dxp[n, :, hs : hs + HH, ws : ws + WW] += w[f] * dout[n, f, i, j]
    return dxp[:, :, pad : pad + H, pad : pad + W], dw, db


def conv_backward_offsets(dout, cache):
    x, w, _b, stride, pad = cache
    _N, _C, _H, _W = x.shape
    _, _, HH, WW = w.shape
    Ho, Wo = dout.shape[2:]
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw = np.zeros_like(xp), np.empty_like(w)
    for k in range(HH):
        for l in range(WW):
            at = (slice(None), slice(None), slice(k, k + stride * Ho, stride), slice(l, l + stride * Wo, stride))
            dw[:, :, k, l] = np.einsum("nfij,ncij->fc", dout, xp[at])
            dxp[at] += np.einsum("nfij,fc->ncij", dout, w[:, :, k, l])
    return dxp[:, :, pad:-pad, pad:-pad], dw, dout.sum((0, 2, 3))


def conv_backward_not_cropped(dout, cache):
    x, w, _b, stride, pad = cache
    N, _C, _H, _W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    hs, ws = i * stride, j * stride
                    dw[f] += xp[n, :, hs : hs + HH, ws : ws + WW] * dout[n, f, i, j]
                    dxp[n, :, hs : hs + HH, ws : ws + WW] += w[f] * dout[n, f, i, j]
    return dxp, dw, db


def conv_backward_cropped_at_the_end(dout, cache):
    x, w, _b, stride, pad = cache
    N, _C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    hs, ws = i * stride, j * stride
                    dw[f] += xp[n, :, hs : hs + HH, ws : ws + WW] * dout[n, f, i, j]
                    dxp[n, :, hs : hs + HH, ws : ws + WW] += w[f] * dout[n, f, i, j]
    return dxp[:, :, :H, :W], dw, db


def conv_backward_stride_of_one(dout, cache):
    x, w, _b, _stride, pad = cache
    N, _C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    dw[f] += xp[n, :, i : i + HH, j : j + WW] * dout[n, f, i, j]
                    dxp[n, :, i : i + HH, j : j + WW] += w[f] * dout[n, f, i, j]
    return dxp[:, :, pad : pad + H, pad : pad + W], dw, db


def conv_backward_flipped(dout, cache):
    x, w, _b, stride, pad = cache
    N, _C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            kernel = w[f, :, ::-1, ::-1]
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    hs, ws = i * stride, j * stride
                    dw[f] += xp[n, :, hs : hs + HH, ws : ws + WW] * dout[n, f, i, j]
                    dxp[n, :, hs : hs + HH, ws : ws + WW] += kernel * dout[n, f, i, j]
    return dxp[:, :, pad : pad + H, pad : pad + W], dw, db


def conv_backward_windows_assigned(dout, cache):
    x, w, _b, stride, pad = cache
    N, _C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
    for n in range(N):
        for i in range(dout.shape[2]):
            for j in range(dout.shape[3]):
                hs, ws = i * stride, j * stride
                for f in range(F):
                    dw[f] += xp[n, :, hs : hs + HH, ws : ws + WW] * dout[n, f, i, j]
                dxp[n, :, hs : hs + HH, ws : ws + WW] = np.tensordot(dout[n, :, i, j], w, axes=1)
    return dxp[:, :, pad : pad + H, pad : pad + W], dw, db


def conv_backward_db_one_channel(dout, cache):
    x, w, b, stride, pad = cache
    N, _C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), np.zeros_like(b)
    for n in range(N):
        for f in range(F):
            db[f] = dout[n, f].sum()
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    hs, ws = i * stride, j * stride
                    dw[f] += xp[n, :, hs : hs + HH, ws : ws + WW] * dout[n, f, i, j]
                    dxp[n, :, hs : hs + HH, ws : ws + WW] += w[f] * dout[n, f, i, j]
    return dxp[:, :, pad : pad + H, pad : pad + W], dw, db


def conv_backward_dw_unpadded(dout, cache):
    x, w, _b, stride, pad = cache
    N, _C, H, W = x.shape
    F, _, HH, WW = w.shape
    xp = np.pad(x, ((0, 0), (0, 0), (0, 2 * pad), (0, 2 * pad)))
    dxp, dw, db = np.zeros_like(xp), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
    for n in range(N):
        for f in range(F):
            for i in range(dout.shape[2]):
                for j in range(dout.shape[3]):
                    hs, ws = i * stride, j * stride
                    dw[f] += xp[n, :, hs : hs + HH, ws : ws + WW] * dout[n, f, i, j]
                    dxp[n, :, hs : hs + HH, ws : ws + WW] += w[f] * dout[n, f, i, j]
    return dxp[:, :, pad : pad + H, pad : pad + W], dw, db


group("naive convolution of the course", conv_forward_naive, normal((2, 2, 5, 5), (3, 2, 3, 3), (3,)), [
    ("loops", "", conv_backward_naive),
    ("an offset at a time", "", conv_backward_offsets),
    ("padding not cut off", "wrong shape|stride or padding", conv_backward_not_cropped),
    ("padding cut off at the end", "stride or padding", conv_backward_cropped_at_the_end),
    ("stride of one", "stride or padding", conv_backward_stride_of_one),
    ("kernel turned", "flipped kernel", conv_backward_flipped),
    ("windows assigned", "assigned|missing term", conv_backward_windows_assigned),
    ("db of the last picture", "assigned|missing term", conv_backward_db_one_channel),
    ("padded on one side for dw", "stride or padding", conv_backward_dw_unpadded),
])


# convolution by im2col


def im2col(x, k):
    N, C, H, W = x.shape
    Ho, Wo = H - k + 1, W - k + 1
    s = x.strides
    view = np.lib.stride_tricks.as_strided(x, (N, Ho, Wo, C, k, k), (s[0], s[2], s[3], s[1], s[2], s[3]))
    return view.reshape(N * Ho * Wo, C * k * k)


def col2im(cols, shape, k):
    N, C, H, W = shape
    Ho, Wo = H - k + 1, W - k + 1
    cols = cols.reshape(N, Ho, Wo, C, k, k)
    x = np.zeros(shape)
    for i in range(k):
        for j in range(k):
            x[:, :, i : i + Ho, j : j + Wo] += cols[:, :, :, :, i, j].transpose(0, 3, 1, 2)
    return x


def conv_im2col_forward(x, w):
    F, _C, k, _ = w.shape
    N, _, H, W = x.shape
    cols = im2col(np.ascontiguousarray(x), k)
    out = cols @ w.reshape(F, -1).T
    out = out.reshape(N, H - k + 1, W - k + 1, F).transpose(0, 3, 1, 2)
    return out, (x.shape, w, cols)


def conv_im2col_backward(dout, cache):
    shape, w, cols = cache
    F, _C, k, _ = w.shape
    d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape)
    dx = col2im(d @ w.reshape(F, -1), shape, k)
    return dx, dw


def conv_full_backward(dout, cache):
    shape, w, cols = cache
    _F, C, k, _ = w.shape
    p = k - 1
    padded = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
    win = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))
    dx = np.einsum("nfhwij,fcij->nchw", win, w[:, :, ::-1, ::-1])
    dw = np.einsum("nfp,npq->fq", dout.reshape(*dout.shape[:2], -1), cols.reshape(shape[0], -1, C * k * k)).reshape(w.shape)
    return dx, dw


def conv_im2col_backward_no_transpose(dout, cache):
    shape, w, cols = cache
    F, _C, k, _ = w.shape
    d = dout.reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape)
    dx = col2im(d @ w.reshape(F, -1), shape, k)
    return dx, dw


def conv_im2col_backward_col2im_assigns(dout, cache):
    shape, w, cols = cache
    F, C, k, _ = w.shape
    N, _, H, W = shape
    d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape)
    dcols = (d @ w.reshape(F, -1)).reshape(N, H - k + 1, W - k + 1, C, k, k)
    dx = np.zeros(shape)
    for i in range(k):
        for j in range(k):
            dx[:, :, i : i + H - k + 1, j : j + W - k + 1] = dcols[:, :, :, :, i, j].transpose(0, 3, 1, 2)
    return dx, dw


def conv_im2col_backward_offsets_exchanged(dout, cache):
    shape, w, cols = cache
    F, C, k, _ = w.shape
    N, _, H, W = shape
    d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape)
    dcols = (d @ w.reshape(F, -1)).reshape(N, H - k + 1, W - k + 1, C, k, k)
    dx = np.zeros(shape)
    for i in range(k):
        for j in range(k):
            dx[:, :, i : i + H - k + 1, j : j + W - k + 1] += dcols[:, :, :, :, j, i].transpose(0, 3, 1, 2)
    return dx, dw


def conv_full_backward_not_flipped(dout, cache):
    _shape, w, cols = cache
    F, _C, k, _ = w.shape
    p = k - 1
    padded = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
    win = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))
    dx = np.einsum("nfhwij,fcij->nchw", win, w)
    d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape)
    return dx, dw


def conv_full_backward_one_flip(dout, cache):
    _shape, w, cols = cache
    F, _C, k, _ = w.shape
    p = k - 1
    padded = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
    win = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))
    dx = np.einsum("nfhwij,fcij->nchw", win, w[:, :, ::-1, :])
    d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape)
    return dx, dw


def conv_full_backward_channels(dout, cache):
    _shape, w, cols = cache
    F, _C, k, _ = w.shape
    p = k - 1
    padded = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
    win = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))
    dx = np.einsum("nchwij,fcij->nfhw", win, w[:, :, ::-1, ::-1])
    d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape)
    return dx, dw


def conv_full_backward_padding(dout, cache):
    _shape, w, cols = cache
    F, _C, k, _ = w.shape
    padded = np.pad(dout, ((0, 0), (0, 0), (k, k - 2), (k, k - 2)))
    win = np.lib.stride_tricks.sliding_window_view(padded, (k, k), axis=(2, 3))
    dx = np.einsum("nfhwij,fcij->nchw", win, w[:, :, ::-1, ::-1])
    d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape)
    return dx, dw


def conv_im2col_backward_dw_mean(dout, cache):
    shape, w, cols = cache
    F, _C, k, _ = w.shape
    d = dout.transpose(0, 2, 3, 1).reshape(-1, F)
    dw = (d.T @ cols).reshape(w.shape) / len(cols)
    dx = col2im(d @ w.reshape(F, -1), shape, k)
    return dx, dw


group("convolution by im2col", conv_im2col_forward, normal((2, 3, 5, 4), (3, 3, 3, 3)), [
    ("col2im", "", conv_im2col_backward),
    ("full convolution", "", conv_full_backward),
    ("dout flattened as it lies", "transposed|wrong formula|wrong axis", conv_im2col_backward_no_transpose),
    ("col2im assigns", "assigned|missing term", conv_im2col_backward_col2im_assigns),
    ("i and j exchanged in col2im", "transposed|flipped kernel", conv_im2col_backward_offsets_exchanged),
    ("kernel not flipped", "flipped kernel", conv_full_backward_not_flipped),
    ("kernel flipped along one axis", "flipped kernel", conv_full_backward_one_flip),
    ("channels exchanged", "transposed", conv_full_backward_channels),
    ("padding a pixel off", "stride or padding", conv_full_backward_padding),
    ("dw averaged", "constant factor", conv_im2col_backward_dw_mean),
])


# transposed convolution in one dimension


def deconv_forward(x, w, stride=2):
    N, _C, L = x.shape
    _, F, K = w.shape
    out = np.zeros((N, F, (L - 1) * stride + K))
    for t in range(L):
        out[:, :, t * stride : t * stride + K] += np.einsum("nc,cfk->nfk", x[:, :, t], w)
    return out, (x, w, stride)


def deconv_backward(dout, cache):
    x, w, stride = cache
    K = w.shape[2]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for t in range(x.shape[2]):
        d = dout[:, :, t * stride : t * stride + K]
        dx[:, :, t] = np.einsum("nfk,cfk->nc", d, w)
        dw += np.einsum("nc,nfk->cfk", x[:, :, t], d)
    return dx, dw


def deconv_backward_adjacent(dout, cache):
    x, w, _stride = cache
    K = w.shape[2]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for t in range(x.shape[2]):
        d = dout[:, :, t : t + K]
        dx[:, :, t] = np.einsum("nfk,cfk->nc", d, w)
        dw += np.einsum("nc,nfk->cfk", x[:, :, t], d)
    return dx, dw


def deconv_backward_turned(dout, cache):
    x, w, stride = cache
    K = w.shape[2]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for t in range(x.shape[2]):
        d = dout[:, :, t * stride : t * stride + K]
        dx[:, :, t] = np.einsum("nfk,cfk->nc", d, w[:, :, ::-1])
        dw += np.einsum("nc,nfk->cfk", x[:, :, t], d)
    return dx, dw


def deconv_backward_dw_set(dout, cache):
    x, w, stride = cache
    K = w.shape[2]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for t in range(x.shape[2]):
        d = dout[:, :, t * stride : t * stride + K]
        dx[:, :, t] = np.einsum("nfk,cfk->nc", d, w)
        dw = np.einsum("nc,nfk->cfk", x[:, :, t], d)
    return dx, dw


def deconv_backward_channels(dout, cache):
    x, w, stride = cache
    K = w.shape[2]
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for t in range(x.shape[2]):
        d = dout[:, :, t * stride : t * stride + K]
        dx[:, :, t] = np.einsum("nck,cfk->nf", d, w)
        dw += np.einsum("nf,nck->cfk", x[:, :, t], d)
    return dx, dw


def deconv_backward_first_tap(dout, cache):
    x, w, stride = cache
    K, L = w.shape[2], x.shape[2]
    dw = np.zeros_like(w)
    for t in range(L):
        dw += np.einsum("nc,nfk->cfk", x[:, :, t], dout[:, :, t * stride : t * stride + K])
    dx = np.einsum("nft,cf->nct", dout[:, :, : L * stride : stride], w[:, :, 0])
    return dx, dw


group("transposed convolution, one dimension", deconv_forward, normal((2, 3, 4), (3, 3, 3)), [
    ("right", "", deconv_backward),
    ("stride of one", "stride or padding", deconv_backward_adjacent),
    ("kernel turned", "flipped kernel", deconv_backward_turned),
    ("dw of the last place", "assigned|missing term", deconv_backward_dw_set),
    ("channels exchanged", "transposed", deconv_backward_channels),
    ("first tap alone", "missing term|wrong mask", deconv_backward_first_tap),
])


# depthwise convolution


def depthwise_forward(x, w):
    _N, _C, H, W = x.shape
    k = w.shape[1]
    p = k // 2
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    out = np.zeros_like(x)
    for i in range(k):
        for j in range(k):
            out += xp[:, :, i : i + H, j : j + W] * w[:, i, j][:, None, None]
    return out, (xp, w)


def depthwise_backward(dout, cache):
    xp, w = cache
    H, W = dout.shape[2:]
    k = w.shape[1]
    p = k // 2
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(k):
        for j in range(k):
            dw[:, i, j] = np.sum(dout * xp[:, :, i : i + H, j : j + W], axis=(0, 2, 3))
            dxp[:, :, i : i + H, j : j + W] += dout * w[:, i, j][:, None, None]
    return dxp[:, :, p:-p, p:-p], dw


def depthwise_backward_all_channels(dout, cache):
    xp, w = cache
    H, W = dout.shape[2:]
    k = w.shape[1]
    p = k // 2
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(k):
        for j in range(k):
            dw[:, i, j] = np.sum(dout * xp[:, :, i : i + H, j : j + W])
            dxp[:, :, i : i + H, j : j + W] += dout * w[:, i, j][:, None, None]
    return dxp[:, :, p:-p, p:-p], dw


def depthwise_backward_same_again(dout, cache):
    xp, w = cache
    H, W = dout.shape[2:]
    k = w.shape[1]
    p = k // 2
    dp = np.pad(dout, ((0, 0), (0, 0), (p, p), (p, p)))
    dx, dw = np.zeros_like(dout), np.zeros_like(w)
    for i in range(k):
        for j in range(k):
            dw[:, i, j] = np.sum(dout * xp[:, :, i : i + H, j : j + W], axis=(0, 2, 3))
            dx += dp[:, :, i : i + H, j : j + W] * w[:, i, j][:, None, None]
    return dx, dw


def depthwise_backward_one_kernel(dout, cache):
    xp, w = cache
    H, W = dout.shape[2:]
    k = w.shape[1]
    p = k // 2
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for i in range(k):
        for j in range(k):
            dw[:, i, j] = np.sum(dout * xp[:, :, i : i + H, j : j + W], axis=(0, 2, 3))
            dxp[:, :, i : i + H, j : j + W] += dout * w[0, i, j]
    return dxp[:, :, p:-p, p:-p], dw


def depthwise_backward_integer_buffer(dout, cache):
    xp, w = cache
    H, W = dout.shape[2:]
    k = w.shape[1]
    p = k // 2
    dxp, dw = np.zeros_like(xp), np.zeros(w.shape, dtype=int)
    for i in range(k):
        for j in range(k):
            dw[:, i, j] = np.sum(dout * xp[:, :, i : i + H, j : j + W], axis=(0, 2, 3))
            dxp[:, :, i : i + H, j : j + W] += dout * w[:, i, j][:, None, None]
    return dxp[:, :, p:-p, p:-p], dw


group("depthwise convolution", depthwise_forward, normal((2, 3, 3, 4), (3, 3, 3)), [
    ("right", "", depthwise_backward),
    ("dw over all channels", "wrong axis|extra term", depthwise_backward_all_channels),
    ("convolved as forward", "flipped kernel", depthwise_backward_same_again),
    ("first channel's kernel", "wrong tensor|wrong axis", depthwise_backward_one_kernel),
    ("dw in integers", "integer arithmetic", depthwise_backward_integer_buffer),
])


# dilated causal convolution in one dimension

_SCRATCH = np.zeros((3, 12))


def causal_conv_forward(x, w, dilation=2):
    _N, L = x.shape
    K = len(w)
    reach = dilation * (K - 1)
    xp = np.pad(x, ((0, 0), (reach, 0)))
    y = sum(w[k] * xp[:, reach - k * dilation : reach - k * dilation + L] for k in range(K))
    return y, (xp, w, dilation, reach)


def causal_conv_backward(dy, cache):
    xp, w, dilation, reach = cache
    L = dy.shape[1]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for k in range(len(w)):
        lo = reach - k * dilation
        dw[k] = np.vdot(dy, xp[:, lo : lo + L])
        dxp[:, lo : lo + L] += w[k] * dy
    return dxp[:, reach:], dw


def causal_conv_backward_shifts(dy, cache):
    xp, w, dilation, reach = cache
    L = dy.shape[1]
    x = xp[:, reach:]
    dx = w[0] * dy
    dw = np.array([np.sum(dy[:, k * dilation :] * x[:, : L - k * dilation]) for k in range(len(w))])
    for k in range(1, len(w)):
        dx[:, : L - k * dilation] += w[k] * dy[:, k * dilation :]
    return dx, dw


def causal_conv_backward_dilation_forgotten(dy, cache):
    xp, w, _dilation, reach = cache
    L = dy.shape[1]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for k in range(len(w)):
        lo = reach - k
        dw[k] = np.vdot(dy, xp[:, lo : lo + L])
        dxp[:, lo : lo + L] += w[k] * dy
    return dxp[:, reach:], dw


def causal_conv_backward_from_the_past(dy, cache):
    xp, w, dilation, reach = cache
    L = dy.shape[1]
    dyp = np.pad(dy, ((0, 0), (reach, 0)))
    dx, dw = np.zeros_like(dy), np.zeros_like(w)
    for k in range(len(w)):
        lo = reach - k * dilation
        dw[k] = np.vdot(dy, xp[:, lo : lo + L])
        dx += w[k] * dyp[:, lo : lo + L]
    return dx, dw


def causal_conv_backward_rolled(dy, cache):
    xp, w, dilation, reach = cache
    L = dy.shape[1]
    dx, dw = np.zeros_like(dy), np.zeros_like(w)
    for k in range(len(w)):
        lo = reach - k * dilation
        dw[k] = np.vdot(dy, xp[:, lo : lo + L])
        dx += w[k] * np.roll(dy, -k * dilation, axis=1)
    return dx, dw


def causal_conv_backward_cut_left(dy, cache):
    xp, w, dilation, reach = cache
    L = dy.shape[1]
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    for k in range(len(w)):
        lo = reach - k * dilation
        dw[k] = np.vdot(dy, xp[:, lo : lo + L])
        dxp[:, lo : lo + L] += w[k] * dy
    return dxp[:, :-reach], dw


def causal_conv_forward_scratch(x, w, dilation=2):
    _N, L = x.shape
    K = len(w)
    reach = dilation * (K - 1)
    _SCRATCH[:, :reach] = 0
    _SCRATCH[:, reach:] = x
    y = sum(w[k] * _SCRATCH[:, reach - k * dilation : reach - k * dilation + L] for k in range(K))
    return y, (_SCRATCH, w, dilation, reach)


group("dilated causal convolution", causal_conv_forward, normal((3, 8), (3,)), [
    ("padded", "", causal_conv_backward),
    ("shifts", "", causal_conv_backward_shifts),
    ("dilation forgotten", "stride or padding", causal_conv_backward_dilation_forgotten),
    ("from the past again", "flipped kernel|transposed|stride or padding", causal_conv_backward_from_the_past),
    ("rolled", "stride or padding|extra term", causal_conv_backward_rolled),
    ("cut off on the right", "stride or padding", causal_conv_backward_cut_left),
])
group("dilated causal convolution in a scratch array", causal_conv_forward_scratch, normal((3, 8), (3,)), [
    ("of the module", "shared cache", causal_conv_backward),
])


# nearest-neighbour upsampling


def upsample_forward(x, s=2):
    return np.repeat(np.repeat(x, s, axis=1), s, axis=2), s


def upsample_backward(dy, s):
    N, H, W, C = dy.shape
    return dy.reshape(N, H // s, s, W // s, s, C).sum(axis=(2, 4))


def upsample_backward_loops(dy, s):
    N, H, W, C = dy.shape
    dx = np.zeros((N, H // s, W // s, C))
    for i in range(H):
        for j in range(W):
            dx[:, i // s, j // s] += dy[:, i, j]
    return dx


def upsample_backward_mean(dy, s):
    N, H, W, C = dy.shape
    return dy.reshape(N, H // s, s, W // s, s, C).mean(axis=(2, 4))


def upsample_backward_pick(dy, s):
    return dy[:, ::s, ::s].copy()


def upsample_backward_set(dy, s):
    N, H, W, C = dy.shape
    dx = np.zeros((N, H // s, W // s, C))
    for i in range(H):
        for j in range(W):
            dx[:, i // s, j // s] = dy[:, i, j]
    return dx


def upsample_backward_tiled(dy, s):
    N, H, W, C = dy.shape
    return dy.reshape(N, s, H // s, s, W // s, C).sum(axis=(1, 3))


group("nearest-neighbour upsampling, channels last", upsample_forward, normal((2, 3, 4, 2)), [
    ("reshaped", "", upsample_backward),
    ("loops", "", upsample_backward_loops),
    ("averaged", "constant factor", upsample_backward_mean),
    ("every second pixel", "missing term", upsample_backward_pick),
    ("assigned", "assigned|missing term", upsample_backward_set),
    ("block and place exchanged", "transposed|wrong axis|wrong formula", upsample_backward_tiled),
])


# linear interpolation to twice the length


def interp_forward(x):
    N, L = x.shape
    y = np.empty((N, 2 * L - 1))
    y[:, ::2] = x
    y[:, 1::2] = 0.5 * (x[:, :-1] + x[:, 1:])
    return y


def interp_backward(dy, x):
    dx = dy[:, ::2].copy()
    dx[:, :-1] += 0.5 * dy[:, 1::2]
    dx[:, 1:] += 0.5 * dy[:, 1::2]
    return dx


def interp_backward_one_neighbour(dy, x):
    dx = dy[:, ::2].copy()
    dx[:, :-1] += 0.5 * dy[:, 1::2]
    return dx


def interp_backward_no_half(dy, x):
    dx = dy[:, ::2].copy()
    dx[:, :-1] += dy[:, 1::2]
    dx[:, 1:] += dy[:, 1::2]
    return dx


def interp_backward_view(dy, x):
    dx = dy[:, ::2]
    dx[:, :-1] += 0.5 * dy[:, 1::2]
    dx[:, 1:] += 0.5 * dy[:, 1::2]
    return dx


group("linear interpolation", interp_forward, normal((3, 6)), [
    ("right", "", interp_backward),
    ("right neighbour forgotten", "missing term", interp_backward_one_neighbour),
    ("half forgotten", "constant factor|missing term", interp_backward_no_half),
    ("in a view of dy", "upstream overwritten", interp_backward_view),
])


# pixel shuffle


def shuffle_forward(x, r=2):
    N, C, H, W = x.shape
    c = C // r**2
    y = x.reshape(N, c, r, r, H, W).transpose(0, 1, 4, 2, 5, 3)
    return y.reshape(N, c, H * r, W * r), r


def shuffle_backward(dy, r):
    N, c, H, W = dy.shape
    d = dy.reshape(N, c, H // r, r, W // r, r).transpose(0, 1, 3, 5, 2, 4)
    return d.reshape(N, c * r * r, H // r, W // r)


def shuffle_backward_slices(dy, r):
    N, c, H, W = dy.shape
    dx = np.empty((N, c * r * r, H // r, W // r))
    for i in range(r):
        for j in range(r):
            dx[:, i * r + j :: r * r] = dy[:, :, i::r, j::r]
    return dx


def shuffle_backward_ij(dy, r):
    N, c, H, W = dy.shape
    d = dy.reshape(N, c, H // r, r, W // r, r).transpose(0, 1, 5, 3, 2, 4)
    return d.reshape(N, c * r * r, H // r, W // r)


def shuffle_backward_forward_order(dy, r):
    N, c, H, W = dy.shape
    d = dy.reshape(N, c, H // r, r, W // r, r).transpose(0, 1, 4, 2, 5, 3)
    return d.reshape(N, c * r * r, H // r, W // r)


def shuffle_backward_channels_last(dy, r):
    N, c, H, W = dy.shape
    d = dy.reshape(N, c, H // r, r, W // r, r).transpose(0, 3, 5, 1, 2, 4)
    return d.reshape(N, c * r * r, H // r, W // r)


group("pixel shuffle", shuffle_forward, normal((2, 8, 3, 3)), [
    ("right", "", shuffle_backward),
    ("slices", "", shuffle_backward_slices),
    ("row and column exchanged", "transposed", shuffle_backward_ij),
    ("axes in another order", "transposed|wrong axis|wrong formula", shuffle_backward_forward_order),
    ("channels after the blocks", "transposed|wrong axis|wrong formula", shuffle_backward_channels_last),
])


# zero padding: a different width on each side


def zeropad_forward(x, left=2, right=1):
    return np.pad(x, ((0, 0), (left, right))), (x.shape, left, right)


def zeropad_backward(dy, cache):
    shape, left, _right = cache
    return dy[:, left : left + shape[1]].copy()


def zeropad_backward_exchanged(dy, cache):
    shape, _left, right = cache
    return dy[:, right : right + shape[1]].copy()


def zeropad_backward_nothing_cut(dy, cache):
    return dy.copy()


def zeropad_backward_from_zero(dy, cache):
    shape, _left, _right = cache
    return dy[:, : shape[1]]


def zeropad_backward_raises(dy, cache):
    shape, left, _right = cache
    dx = np.zeros(shape)
    dx += dy[:, left:]
    return dx


group("zero padding", zeropad_forward, normal((3, 5)), [
    ("right", "", zeropad_backward),
    ("left and right exchanged", "stride or padding", zeropad_backward_exchanged),
    ("not cut", "wrong shape|stride or padding", zeropad_backward_nothing_cut),
    ("cut on the right alone", "stride or padding", zeropad_backward_from_zero),
    ("right side not cut", "exception|wrong shape|stride or padding", zeropad_backward_raises),
])


def pad_top_forward(x, top=1, bottom=0):
    return np.pad(x, ((0, 0), (top, bottom), (0, 0))), (top, bottom)


def pad_top_backward(dy, cache):
    top, bottom = cache
    return dy[:, top : dy.shape[1] - bottom]


def pad_top_backward_minus_zero(dy, cache):
    top, bottom = cache
    return dy[:, top:-bottom]


group("padding above", pad_top_forward, normal((2, 3, 3)), [
    ("right", "", pad_top_backward),
    ("up to minus zero", "empty slice|wrong shape", pad_top_backward_minus_zero),
])


# reflection


def reflect_forward(x, p=2):
    return np.pad(x, ((0, 0), (p, p)), mode="reflect"), p


def reflect_backward(dy, p):
    dx = dy[:, p:-p].copy()
    dx[:, 1 : p + 1] += dy[:, p - 1 :: -1]
    dx[:, -p - 1 : -1] += dy[:, : -p - 1 : -1]
    return dx


def reflect_backward_index(dy, p):
    L = dy.shape[1] - 2 * p
    where = np.pad(np.arange(L), p, mode="reflect")
    dx = np.zeros((dy.shape[0], L))
    for n in range(dy.shape[0]):
        dx[n] = np.bincount(where, weights=dy[n], minlength=L)
    return dx


def reflect_backward_cut(dy, p):
    dx = dy[:, p:-p].copy()
    return dx


def reflect_backward_edge_too(dy, p):
    dx = dy[:, p:-p].copy()
    dx[:, :p] += dy[:, p - 1 :: -1]
    dx[:, -p:] += dy[:, : -p - 1 : -1]
    return dx


def reflect_backward_not_reversed(dy, p):
    dx = dy[:, p:-p].copy()
    dx[:, 1 : p + 1] += dy[:, :p]
    dx[:, -p - 1 : -1] += dy[:, -p:]
    return dx


def reflect_backward_one_side(dy, p):
    dx = dy[:, p:-p].copy()
    dx[:, 1 : p + 1] += dy[:, p - 1 :: -1]
    return dx


def reflect_backward_fancy(dy, p):
    L = dy.shape[1] - 2 * p
    where = np.pad(np.arange(L), p, mode="reflect")
    dx = np.zeros((dy.shape[0], L))
    dx[:, where] += dy
    return dx


group("reflection padding", reflect_forward, normal((3, 6)), [
    ("slices", "", reflect_backward),
    ("counted", "", reflect_backward_index),
    ("borders dropped", "missing term", reflect_backward_cut),
    ("edge reflected too", "stride or padding", reflect_backward_edge_too),
    ("borders not reversed", "flipped kernel|transposed|stride or padding", reflect_backward_not_reversed),
    ("right border dropped", "missing term", reflect_backward_one_side),
    ("fancy +=", "assigned|missing term", reflect_backward_fancy),
])


# circular convolution by FFT


def fftconv_forward(x, h):
    X, Hf = np.fft.rfft(x), np.fft.rfft(h)
    return np.fft.irfft(X * Hf, n=x.shape[-1]), (X, Hf, x.shape[-1])


def fftconv_backward(dy, cache):
    X, Hf, n = cache
    D = np.fft.rfft(dy)
    dx = np.fft.irfft(D * np.conj(Hf), n=n)
    dh = np.fft.irfft((D * np.conj(X)).sum(axis=0), n=n)
    return dx, dh


def fftconv_backward_direct(dy, cache):
    X, Hf, n = cache
    x, h = np.fft.irfft(X, n=n), np.fft.irfft(Hf, n=n)
    dx, dh = np.zeros_like(x), np.zeros_like(h)
    for k in range(n):
        dx += h[k] * np.roll(dy, -k, axis=1)
        dh[k] = np.sum(dy * np.roll(x, k, axis=1))
    return dx, dh


def fftconv_backward_no_conj(dy, cache):
    X, Hf, n = cache
    D = np.fft.rfft(dy)
    dx = np.fft.irfft(D * Hf, n=n)
    dh = np.fft.irfft((D * X).sum(axis=0), n=n)
    return dx, dh


def fftconv_backward_division(dy, cache):
    X, Hf, n = cache
    D = np.fft.rfft(dy)
    dx = np.fft.irfft(D / Hf, n=n)
    dh = np.fft.irfft((D * np.conj(X)).sum(axis=0), n=n)
    return dx, dh


def fftconv_backward_over_n(dy, cache):
    X, Hf, n = cache
    D = np.fft.rfft(dy)
    dx = np.fft.irfft(D * np.conj(Hf), n=n) / n
    dh = np.fft.irfft((D * np.conj(X)).sum(axis=0), n=n) / n
    return dx, dh


def fftconv_backward_dh_rows(dy, cache):
    X, Hf, n = cache
    D = np.fft.rfft(dy)
    dx = np.fft.irfft(D * np.conj(Hf), n=n)
    dh = np.fft.irfft(D * np.conj(X), n=n)
    return dx, dh


group("circular convolution by FFT", fftconv_forward, normal((3, 8), (8,)), [
    ("conjugates", "", fftconv_backward),
    ("rolled", "", fftconv_backward_direct),
    ("conjugates forgotten", "flipped kernel", fftconv_backward_no_conj),
    ("divided by the filter", "wrong formula|transposed", fftconv_backward_division),
    ("divided by n", "constant factor", fftconv_backward_over_n),
    ("dh of every row", "wrong shape", fftconv_backward_dh_rows),
])


# embedding: the tokens are the module's

TOKENS = np.array([[3, 0, 3], [1, 3, 0]])


def embed_forward(table):
    return table[TOKENS], table.shape


def embed_backward(dy, shape):
    dtable = np.zeros(shape)
    np.add.at(dtable, TOKENS, dy)
    return dtable


def embed_backward_one_hot(dy, shape):
    hot = (TOKENS[..., None] == np.arange(shape[0])).astype(float)
    return np.einsum("ntv,ntd->vd", hot, dy)


def embed_backward_assigns(dy, shape):
    dtable = np.zeros(shape)
    for n in range(TOKENS.shape[0]):
        for t in range(TOKENS.shape[1]):
            dtable[TOKENS[n, t]] = dy[n, t]
    return dtable


def embed_backward_fancy(dy, shape):
    dtable = np.zeros(shape)
    dtable[TOKENS] += dy
    return dtable


def embed_backward_mean(dy, shape):
    dtable, count = np.zeros(shape), np.zeros((shape[0], 1))
    np.add.at(dtable, TOKENS, dy)
    np.add.at(count, TOKENS, 1)
    return dtable / np.maximum(count, 1)


def embed_backward_shift(dy, shape):
    dtable = np.zeros(shape)
    np.add.at(dtable, TOKENS - 1, dy)
    return dtable


def embed_backward_padding_token(dy, shape):
    dtable = np.zeros(shape)
    np.add.at(dtable, TOKENS, dy)
    dtable[0] = 0
    return dtable


group("embedding", embed_forward, normal((5, 4)), [
    ("add.at", "", embed_backward),
    ("one-hot", "", embed_backward_one_hot),
    ("assigned", "assigned|missing term", embed_backward_assigns),
    ("fancy +=", "assigned|missing term", embed_backward_fancy),
    ("averaged over the occurrences", "constant factor|missing term", embed_backward_mean),
    ("tokens counted from one", "wrong formula|transposed|stride or padding", embed_backward_shift),
    ("padding token's row cleared", "wrong mask|missing term", embed_backward_padding_token),
])


# concatenation, with a weight in front of one part


def join_forward(a, b):
    return np.concatenate([2 * a, b], axis=1), a.shape[1]


def join_backward(dy, k):
    return 2 * dy[:, :k], dy[:, k:].copy()


def join_backward_wrong_end(dy, k):
    return 2 * dy[:, -k:], dy[:, :-k].copy()


def join_backward_weight_forgotten(dy, k):
    return dy[:, :k].copy(), dy[:, k:].copy()


def join_backward_first_twice(dy, k):
    return 2 * dy[:, :k], dy[:, :k].copy()


def join_backward_wrong_axis(dy, k):
    da, db = np.split(dy.T, [k], axis=1)
    return 2 * da, db


group("concatenation", join_forward, normal((3, 3), (3, 3)), [
    ("right", "", join_backward),
    ("parts exchanged", "wrong tensor|transposed|stride or padding", join_backward_wrong_end),
    ("two forgotten", "constant factor", join_backward_weight_forgotten),
    ("first part for both", "wrong tensor|stride or padding", join_backward_first_twice),
    ("turned", "wrong shape|wrong axis", join_backward_wrong_axis),
])


# split in three and multiplied


def split_product_forward(x):
    a, b, c = np.split(x, 3, axis=1)
    return a * b + c, (a, b)


def split_product_backward(dy, cache):
    a, b = cache
    dx = np.empty((dy.shape[0], 3 * dy.shape[1]))
    da, db, dc = np.split(dx, 3, axis=1)
    np.multiply(dy, b, out=da)
    np.multiply(dy, a, out=db)
    dc[...] = dy
    return dx


def split_product_backward_a_for_b(dy, cache):
    a, b = cache
    return np.hstack([dy * a, dy * b, dy])


def split_product_backward_c_zero(dy, cache):
    a, b = cache
    return np.hstack([dy * b, dy * a, np.zeros_like(dy)])


def split_product_backward_ones(dy, cache):
    a, b = cache
    return np.hstack([dy * b, dy * a, np.ones_like(dy)])


def split_product_backward_stacked(dy, cache):
    a, b = cache
    return np.vstack([dy * b, dy * a, dy])


group("split in three", split_product_forward, normal((4, 6)), [
    ("into views", "", split_product_backward),
    ("factors exchanged", "wrong tensor", split_product_backward_a_for_b),
    ("third part forgotten", "missing term|wrong mask", split_product_backward_c_zero),
    ("ones for dy", "upstream ignored", split_product_backward_ones),
    ("stacked in rows", "wrong shape|wrong axis", split_product_backward_stacked),
])


# quadratic form


def quadratic_forward(x, A):
    return np.einsum("ni,ij,nj->n", x, A, x), (x, A)


def quadratic_backward(dy, cache):
    x, A = cache
    dx = dy[:, None] * (x @ A.T + x @ A)
    dA = (dy[:, None] * x).T @ x
    return dx, dA


def quadratic_backward_symmetric(dy, cache):
    x, A = cache
    dx = dy[:, None] * (2 * x @ A)
    dA = (dy[:, None] * x).T @ x
    return dx, dA


def quadratic_backward_one_side(dy, cache):
    x, A = cache
    dx = dy[:, None] * (x @ A.T)
    dA = (dy[:, None] * x).T @ x
    return dx, dA


def quadratic_backward_unweighted(dy, cache):
    x, A = cache
    dx = dy[:, None] * (x @ A.T + x @ A)
    dA = x.T @ x
    return dx, dA


def quadratic_backward_total(dy, cache):
    x, A = cache
    dx = dy.sum() * (x @ A.T + x @ A)
    dA = (dy[:, None] * x).T @ x
    return dx, dA


group("quadratic form", quadratic_forward, normal((5, 3), (3, 3)), [
    ("right", "", quadratic_backward),
    ("A taken for symmetric", "transposed|wrong formula|missing term", quadratic_backward_symmetric),
    ("x on the left forgotten", "missing term", quadratic_backward_one_side),
    ("dA without dy", "upstream ignored", quadratic_backward_unweighted),
    ("dy summed", "wrong axis|extra term", quadratic_backward_total),
])


# cosine similarity


def cosine_forward(a, b):
    na = np.linalg.norm(a, axis=1, keepdims=True)
    nb = np.linalg.norm(b, axis=1, keepdims=True)
    ua, ub = a / na, b / nb
    cos = np.sum(ua * ub, axis=1, keepdims=True)
    return cos, (ua, ub, na, nb, cos)


def cosine_backward(dcos, cache):
    ua, ub, na, nb, cos = cache
    da = dcos * (ub - cos * ua) / na
    db = dcos * (ua - cos * ub) / nb
    return da, db


def cosine_backward_dot(dcos, cache):
    ua, ub, na, nb, _cos = cache
    da = dcos * ub / na
    db = dcos * ua / nb
    return da, db


def cosine_backward_norms_exchanged(dcos, cache):
    ua, ub, na, nb, cos = cache
    da = dcos * (ub - cos * ua) / nb
    db = dcos * (ua - cos * ub) / na
    return da, db


def cosine_backward_no_norm(dcos, cache):
    ua, ub, _na, _nb, cos = cache
    da = dcos * (ub - cos * ua)
    db = dcos * (ua - cos * ub)
    return da, db


def cosine_backward_exchanged(dcos, cache):
    ua, ub, na, nb, cos = cache
    da = dcos * (ub - cos * ua) / na
    db = dcos * (ua - cos * ub) / nb
    return db, da


def cosine_backward_symmetry(dcos, cache):
    ua, ub, na, _nb, cos = cache
    da = dcos * (ub - cos * ua) / na
    return da, da


def cosine_backward_projects_other(dcos, cache):
    ua, ub, na, nb, cos = cache
    da = dcos * (ub - cos * ub) / na
    db = dcos * (ua - cos * ua) / nb
    return da, db


group("cosine similarity of rows", cosine_forward, normal((5, 4), (5, 4)), [
    ("right", "", cosine_backward),
    ("norms taken for constants", "missing term", cosine_backward_dot),
    ("norms exchanged", "wrong tensor", cosine_backward_norms_exchanged),
    ("not divided by the norm", "missing term", cosine_backward_no_norm),
    ("gradients exchanged", "wrong tensor", cosine_backward_exchanged),
    ("same gradient for both", "wrong tensor", cosine_backward_symmetry),
    ("projected on the other one", "wrong tensor", cosine_backward_projects_other),
])


# triplet loss


def triplet_forward(a, p, n, margin=1.0):
    dp, dn = a - p, a - n
    v = (dp**2).sum(axis=1) - (dn**2).sum(axis=1) + margin
    return np.maximum(v, 0).mean(), (dp, dn, v)


def triplet_backward(g, cache):
    dp, dn, v = cache
    on = (v > 0)[:, None] * g / len(v)
    return 2 * on * (dp - dn), -2 * on * dp, 2 * on * dn


def triplet_backward_no_mask(g, cache):
    dp, dn, v = cache
    on = g / len(v)
    return 2 * on * (dp - dn), -2 * on * dp, 2 * on * dn


def triplet_backward_anchor_half(g, cache):
    dp, dn, v = cache
    on = (v > 0)[:, None] * g / len(v)
    return 2 * on * dp, -2 * on * dp, 2 * on * dn


def triplet_backward_signs(g, cache):
    dp, dn, v = cache
    on = (v > 0)[:, None] * g / len(v)
    return 2 * on * (dp - dn), 2 * on * dp, -2 * on * dn


def triplet_backward_exchanged(g, cache):
    dp, dn, v = cache
    on = (v > 0)[:, None] * g / len(v)
    return 2 * on * (dp - dn), 2 * on * dn, -2 * on * dp


def triplet_backward_no_mean(g, cache):
    dp, dn, v = cache
    on = (v > 0)[:, None] * g
    return 2 * on * (dp - dn), -2 * on * dp, 2 * on * dn


def triplet_backward_negative_none(g, cache):
    dp, dn, v = cache
    on = (v > 0)[:, None] * g / len(v)
    return 2 * on * (dp - dn), -2 * on * dp, None


group("triplet loss", triplet_forward, normal((12, 3), (12, 3), (12, 3)), [
    ("right", "", triplet_backward),
    ("mask forgotten", "wrong mask|missing term", triplet_backward_no_mask),
    ("negative's part of the anchor forgotten", "missing term", triplet_backward_anchor_half),
    ("signs of both", "constant factor", triplet_backward_signs),
    ("positive and negative exchanged", "wrong tensor", triplet_backward_exchanged),
    ("not averaged", "constant factor", triplet_backward_no_mean),
    ("negative's None", "missing gradient", triplet_backward_negative_none),
])


# contrastive loss: pairs that are alike, or not; the loss and its gradients are returned together

ALIKE = np.array([1.0, 0, 1, 0, 0, 1, 0])


def contrastive(a, b, margin=4.5):
    diff = a - b
    dist = np.sqrt((diff**2).sum(axis=1))
    gap = np.maximum(margin - dist, 0)
    loss = 0.5 * np.sum(ALIKE * dist**2 + (1 - ALIKE) * gap**2)
    coef = ALIKE - (1 - ALIKE) * gap / dist
    da = coef[:, None] * diff
    return loss, da, -da


def contrastive_same_sign(a, b, margin=4.5):
    diff = a - b
    dist = np.sqrt((diff**2).sum(axis=1))
    gap = np.maximum(margin - dist, 0)
    loss = 0.5 * np.sum(ALIKE * dist**2 + (1 - ALIKE) * gap**2)
    coef = ALIKE - (1 - ALIKE) * gap / dist
    da = coef[:, None] * diff
    return loss, da, da.copy()


def contrastive_alike_only(a, b, margin=4.5):
    diff = a - b
    dist = np.sqrt((diff**2).sum(axis=1))
    gap = np.maximum(margin - dist, 0)
    loss = 0.5 * np.sum(ALIKE * dist**2 + (1 - ALIKE) * gap**2)
    da = ALIKE[:, None] * diff
    return loss, da, -da


def contrastive_not_divided(a, b, margin=4.5):
    diff = a - b
    dist = np.sqrt((diff**2).sum(axis=1))
    gap = np.maximum(margin - dist, 0)
    loss = 0.5 * np.sum(ALIKE * dist**2 + (1 - ALIKE) * gap**2)
    coef = ALIKE - (1 - ALIKE) * gap
    da = coef[:, None] * diff
    return loss, da, -da


def contrastive_labels_exchanged(a, b, margin=4.5):
    diff = a - b
    dist = np.sqrt((diff**2).sum(axis=1))
    gap = np.maximum(margin - dist, 0)
    loss = 0.5 * np.sum(ALIKE * dist**2 + (1 - ALIKE) * gap**2)
    coef = (1 - ALIKE) - ALIKE * gap / dist
    da = coef[:, None] * diff
    return loss, da, -da


alone("contrastive loss", normal((7, 3), (7, 3)), [
    ("right", "", contrastive),
    ("db's minus forgotten", "constant factor", contrastive_same_sign),
    ("unlike pairs forgotten", "missing term|wrong mask", contrastive_alike_only),
    ("distance forgotten", "missing term", contrastive_not_divided),
    ("labels exchanged", "wrong mask", contrastive_labels_exchanged),
])


def same_points(rng):
    a = rng.standard_normal((4, 3))
    b = rng.standard_normal((4, 3))
    b[2] = a[2]
    return a, b


def softened_distance(a, b):
    diff = a - b
    dist = np.sqrt((diff**2).sum(axis=1) + 0.01)
    return dist, lambda dy: (dy[:, None] * diff / dist[:, None], -dy[:, None] * diff / dist[:, None])


def softened_distance_nan(a, b):
    diff = a - b
    dist = np.sqrt((diff**2).sum(axis=1) + 0.01)

    def backward(dy):
        with np.errstate(all="ignore"):
            unit = diff / np.linalg.norm(diff, axis=1, keepdims=True)
        return dy[:, None] * unit, -dy[:, None] * unit

    return dist, backward


alone("softened distance, with two points the same", same_points, [
    ("right", "", softened_distance),
    ("not softened in the gradient", "not finite", softened_distance_nan),
])


# KL divergence of two distributions given by their logits


def kl_forward(a, b):
    p, q = softmax(a), softmax(b)
    logs = np.log(p) - np.log(q)
    kl = np.sum(p * logs, axis=1)
    return kl, (p, q, logs, kl)


def kl_backward(dy, cache):
    p, q, logs, kl = cache
    d = dy[:, None]
    return d * p * (logs - kl[:, None]), d * (q - p)


def kl_backward_no_centre(dy, cache):
    p, q, logs, _kl = cache
    d = dy[:, None]
    return d * p * logs, d * (q - p)


def kl_backward_sign(dy, cache):
    p, q, logs, kl = cache
    d = dy[:, None]
    return d * p * (logs - kl[:, None]), d * (p - q)


def kl_backward_ratio(dy, cache):
    p, q, logs, kl = cache
    d = dy[:, None]
    return d * p * (logs - kl[:, None]), -d * p / q


def kl_backward_p_detached(dy, cache):
    p, q, _logs, _kl = cache
    d = dy[:, None]
    return np.zeros_like(p), d * (q - p)


group("KL divergence of logits", kl_forward, normal((4, 5), (4, 5)), [
    ("right", "", kl_backward),
    ("divergence not subtracted", "missing term", kl_backward_no_centre),
    ("p minus q", "constant factor", kl_backward_sign),
    ("gradient of the probabilities", "missing term|wrong formula", kl_backward_ratio),
    ("target taken for a constant", "missing gradient", kl_backward_p_detached),
])


# KL divergence of a VAE and a Gaussian likelihood: losses that return their gradients


def vae_kl(mu, logvar):
    N = len(mu)
    loss = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N
    dmu = mu / N
    dlogvar = 0.5 * (np.exp(logvar) - 1) / N
    return loss, dmu, dlogvar


def vae_kl_one_forgotten(mu, logvar):
    N = len(mu)
    loss = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N
    dmu = mu / N
    dlogvar = 0.5 * np.exp(logvar) / N
    return loss, dmu, dlogvar


def vae_kl_signs(mu, logvar):
    N = len(mu)
    loss = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N
    dmu = mu / N
    dlogvar = 0.5 * (1 - np.exp(logvar)) / N
    return loss, dmu, dlogvar


def vae_kl_sigma(mu, logvar):
    N = len(mu)
    sigma = np.exp(0.5 * logvar)
    loss = -0.5 * np.sum(1 + logvar - mu**2 - sigma**2) / N
    dmu = mu / N
    dlogvar = 0.5 * (sigma - 1) / N
    return loss, dmu, dlogvar


def vae_kl_two_mu(mu, logvar):
    N = len(mu)
    loss = -0.5 * np.sum(1 + logvar - mu**2 - np.exp(logvar)) / N
    dmu = 2 * mu / N
    dlogvar = 0.5 * (np.exp(logvar) - 1) / N
    return loss, dmu, dlogvar


alone("KL divergence of a VAE", normal((4, 3), (4, 3)), [
    ("right", "", vae_kl),
    ("minus one forgotten", "missing term", vae_kl_one_forgotten),
    ("sign of dlogvar", "constant factor", vae_kl_signs),
    ("deviation for variance", "wrong formula|wrong tensor|missing term", vae_kl_sigma),
    ("half of dmu forgotten", "constant factor", vae_kl_two_mu),
])

OBSERVED = np.random.default_rng(7152).standard_normal((5, 2))


def gaussian_forward(mu, sigma):
    z = (OBSERVED - mu) / sigma
    return np.mean(np.sum(0.5 * z**2 + np.log(sigma), axis=1)), (z, sigma)


def gaussian_backward(d, cache):
    z, sigma = cache
    n = len(z)
    return -d * z / sigma / n, d * (1 - z**2) / sigma / n


def gaussian_backward_sign(d, cache):
    z, sigma = cache
    n = len(z)
    return d * z / sigma / n, d * (1 - z**2) / sigma / n


def gaussian_backward_no_log(d, cache):
    z, sigma = cache
    n = len(z)
    return -d * z / sigma / n, -d * z**2 / sigma / n


def gaussian_backward_inner(d, cache):
    z, sigma = cache
    n = len(z)
    return -d * z / n, d * (1 - z**2) / sigma / n


def gaussian_backward_all(d, cache):
    z, sigma = cache
    return -d * z / sigma / z.size, d * (1 - z**2) / sigma / z.size


group("Gaussian likelihood with sigma", gaussian_forward, uniform(0.6, 1.8, (5, 2), (5, 2)), [
    ("right", "", gaussian_backward),
    ("dmu's minus forgotten", "constant factor", gaussian_backward_sign),
    ("logarithm forgotten", "missing term", gaussian_backward_no_log),
    ("dmu not divided by sigma", "missing term", gaussian_backward_inner),
    ("averaged over the features too", "constant factor", gaussian_backward_all),
])


# losses of a GAN: the scores of real and generated pictures


def gan_d_loss(real, fake):
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    dreal = -sigmoid(-real) / real.size
    dfake = sigmoid(fake) / fake.size
    return loss, dreal, dfake


def gan_d_loss_real_sign(real, fake):
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    dreal = sigmoid(-real) / real.size
    dfake = sigmoid(fake) / fake.size
    return loss, dreal, dfake


def gan_d_loss_real_sigmoid(real, fake):
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    dreal = -sigmoid(real) / real.size
    dfake = sigmoid(fake) / fake.size
    return loss, dreal, dfake


def gan_d_loss_halved(real, fake):
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    n = real.size + fake.size
    dreal = -sigmoid(-real) / n
    dfake = sigmoid(fake) / n
    return loss, dreal, dfake


def gan_d_loss_slope_twice(real, fake):
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    r, f = sigmoid(real), sigmoid(fake)
    dreal = -(1 - r) * r * (1 - r) / real.size
    dfake = f * f * (1 - f) / fake.size
    return loss, dreal, dfake


def gan_d_loss_fake_from_real(real, fake):
    loss = np.mean(np.logaddexp(0, -real)) + np.mean(np.logaddexp(0, fake))
    dreal = -sigmoid(-real) / real.size
    dfake = sigmoid(real) / real.size
    return loss, dreal, dfake


alone("discriminator's logistic loss", scaled(1.5, (6, 1), (6, 1)), [
    ("right", "", gan_d_loss),
    ("real's minus forgotten", "constant factor", gan_d_loss_real_sign),
    ("sigmoid of the real scores", "wrong formula|missing term", gan_d_loss_real_sigmoid),
    ("divided by all scores", "constant factor", gan_d_loss_halved),
    ("sigmoid's slope too", "extra term", gan_d_loss_slope_twice),
    ("fake's gradient of the real", "wrong tensor", gan_d_loss_fake_from_real),
])


def hinge_d_forward(real, fake):
    return np.mean(np.maximum(0, 1 - real)) + np.mean(np.maximum(0, 1 + fake)), (real, fake)


def hinge_d_backward(d, cache):
    real, fake = cache
    return -d * (real < 1) / real.size, d * (fake > -1) / fake.size


def hinge_d_backward_zero(d, cache):
    real, fake = cache
    return -d * (real < 0) / real.size, d * (fake > 0) / fake.size


def hinge_d_backward_masks(d, cache):
    real, fake = cache
    return -d * (real > 1) / real.size, d * (fake < -1) / fake.size


def hinge_d_backward_critic(d, cache):
    real, fake = cache
    return np.full_like(real, -d / real.size), np.full_like(fake, d / fake.size)


def hinge_d_backward_integers(d, cache):
    real, fake = cache
    n = real.size
    return -d * ((real < 1) * 1 // n), d * ((fake > -1) * 1 // n)


group("discriminator's hinge", hinge_d_forward, scaled(1.8, (9,), (9,)), [
    ("right", "", hinge_d_backward),
    ("masks at zero", "wrong mask", hinge_d_backward_zero),
    ("masks inverted", "wrong mask", hinge_d_backward_masks),
    ("Wasserstein's gradient", "wrong mask|missing term", hinge_d_backward_critic),
    ("mask divided as integers", "integer arithmetic|missing gradient", hinge_d_backward_integers),
])


# generator's losses as lambdas

group("generator's non-saturating loss", lambda s: (np.mean(np.logaddexp(0, -s)), s), scaled(1.5, (7, 1)), [
    ("right", "", lambda d, s: d * (sigmoid(s) - 1) / len(s)),
    ("saturating", "wrong formula", lambda d, s: -d * sigmoid(s) / len(s)),
    ("sign", "constant factor", lambda d, s: d * (1 - sigmoid(s)) / len(s)),
    ("d forgotten", "upstream ignored", lambda d, s: (sigmoid(s) - 1) / len(s)),
    ("not averaged", "constant factor", lambda d, s: d * (sigmoid(s) - 1)),
])
group("least squares of a GAN", lambda s: (0.5 * np.mean((s - 1) ** 2), s), normal((8,)), [
    ("right", "", lambda d, s: d * (s - 1) / s.size),
    ("target forgotten", "missing term|wrong formula", lambda d, s: d * s / s.size),
    ("half forgotten", "constant factor", lambda d, s: 2 * d * (s - 1) / s.size),
    ("zeros", "missing gradient", lambda d, s: np.zeros_like(s)),
])

ELEVENTH = ROWS[_before:]
del ROWS[_before:]
