"""The fifth set: exercises of a course, with the mistakes that students make in them.

Written before it was measured, by another hand than the diagnosis, and scored by the rule of
``third.py``.  In the first run, before anything was mended: 0 missed, 0 accused, of 456 wrong ones
336 right (73.7 %), 18 wrong (3.9 %), 102 silent (22.4 %).
"""

# ruff: noqa: E501 (a row a line)
# fmt: off
import math

import numpy as np

from specimens.table import ROWS, group, layer, normal, uniform
from tinygan import Layer, Parameter

_before = len(ROWS)


def sig(x):
    return 1 / (1 + np.exp(-x))


def softmax(s, axis=-1):
    e = np.exp(s - s.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def swap(i, value, backward):
    """Return the right backward pass with its i-th gradient computed by ``value(dout, cache)``."""

    def wrong(dout, cache):
        grads = list(backward(dout, cache))
        grads[i] = value(dout, cache)
        return tuple(grads)

    return wrong


# affine layers


def affine_forward(x, w, b):
    return x.reshape(len(x), -1) @ w + b, (x, w, b)


def affine_backward(dout, cache):
    x, w, _ = cache
    return (dout @ w.T).reshape(x.shape), x.reshape(len(x), -1).T @ dout, dout.sum(axis=0)


def affine_loop(dout, cache):
    x, w, b = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n in range(len(x)):
        dx[n] = (w @ dout[n]).reshape(x[n].shape)
        dw += np.outer(x[n].ravel(), dout[n])
        db += dout[n]
    return dx, dw, db


def affine_loop_early(dout, cache):
    x, w, b = cache
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros_like(b)
    for n in range(len(x) - 1):
        dx[n] = (w @ dout[n]).reshape(x[n].shape)
        dw += np.outer(x[n].ravel(), dout[n])
        db += dout[n]
    return dx, dw, db


def affine_loop_last(dout, cache):
    for n in range(len(dout)):
        dw = np.outer(cache[0][n].ravel(), dout[n])
    return dw


group(
    "affine layer of pictures",
    affine_forward,
    normal((4, 2, 3), (6, 5), (5,)),
    [
        ("as in the exercise", "", affine_backward),
        ("sample by sample", "", affine_loop),
        ("loop ends a sample early", "missing term", affine_loop_early),
        ("dw of the last sample of a loop", "assigned|missing term", swap(1, affine_loop_last, affine_backward)),
        ("dx left flat", "wrong shape", swap(0, lambda d, c: d @ c[1].T, affine_backward)),
        ("dw from pictures flattened by columns", "transposed|wrong formula", swap(1, lambda d, c: c[0].transpose(0, 2, 1).reshape(4, -1).T @ d, affine_backward)),
        ("db is one number for all", "wrong axis", swap(2, lambda d, c: np.full(5, d.sum()), affine_backward)),
        ("db of the first sample", "missing term", swap(2, lambda d, c: d[0].copy(), affine_backward)),
        ("dw from y for dout", "wrong tensor|upstream ignored", swap(1, lambda d, c: c[0].reshape(4, -1).T @ affine_forward(*c)[0], affine_backward)),
        ("w not transposed in dx", "exception|transposed", swap(0, lambda d, c: (d @ c[1]).reshape(c[0].shape), affine_backward)),
        ("dw divided by the number of weights' rows", "constant factor", swap(1, lambda d, c: c[0].reshape(4, -1).T @ d / 6, affine_backward)),
    ],
)


def affine_relu_forward(x, w, b):
    a = x @ w + b
    return np.maximum(a, 0), (x, w, a)


def affine_relu_backward(dout, cache):
    x, w, a = cache
    da = dout * (a > 0)
    return da @ w.T, x.T @ da, da.sum(0)


def affine_relu_in_place(dout, cache):
    x, w, a = cache
    dout[a <= 0] = 0
    return dout @ w.T, x.T @ dout, dout.sum(0)


group(
    "affine layer and ReLU",
    affine_relu_forward,
    normal((4, 5), (5, 5), (5,)),
    [
        ("as derived", "", affine_relu_backward),
        ("einsum", "", lambda dout, c: (np.einsum("nk,nk,dk->nd", dout, c[2] > 0.0, c[1]), np.einsum("nd,nk,nk->dk", c[0], dout, c[2] > 0.0), np.einsum("nk,nk->k", dout, c[2] > 0.0))),
        ("mask written into dout", "upstream overwritten", affine_relu_in_place),
        ("mask from the layer's input", "wrong mask|wrong tensor", lambda dout, c: affine_relu_backward(dout, (c[0], c[1], c[0]))),
        ("mask after the matrix product", "wrong mask|wrong formula", swap(0, lambda d, c: (d @ c[1].T) * (c[2] > 0), affine_relu_backward)),
        ("mask forgotten in db", "wrong mask|missing term", swap(2, lambda d, c: d.sum(0), affine_relu_backward)),
        ("mask of another threshold", "wrong mask", lambda dout, c: affine_relu_backward(dout, (c[0], c[1], c[2] - 1))),
        ("a for the mask", "wrong mask|extra term", lambda dout, c: (dout * np.maximum(c[2], 0) @ c[1].T, *affine_relu_backward(dout, c)[1:])),
    ],
)


class Linear:
    """The course's class: W, b, and their gradients beside them."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.W, self.b = rng.standard_normal((3, 4)), rng.standard_normal(4)

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dy):
        self.dW = self.x.T @ dy
        self.db = dy.sum(axis=0)
        return dy @ self.W.T


class LinearMean(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW /= len(dy)
        return dx


class LinearNoBias(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = np.zeros_like(self.b)
        return dx


class LinearDecayed(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW += 0.01 * self.W
        return dx


class LinearIgnoring(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.dW = self.x.T @ np.ones_like(dy)
        return dx


class LinearMinus(Linear):
    def backward(self, dy):
        dx = super().backward(dy)
        self.db = -self.db
        return dx


layer(
    "linear class with W and dW",
    normal((5, 3)),
    [
        ("as in the course", "", Linear),
        ("dW averaged", "constant factor", LinearMean),
        ("db zero", "missing gradient", LinearNoBias),
        ("weight decay in dW", "extra term", LinearDecayed),
        ("dW without dy", "upstream ignored", LinearIgnoring),
        ("db subtracted", "constant factor", LinearMinus),
    ],
)

# softmax alone, classes in rows


def column_softmax(x):
    p = softmax(x, 0)
    return p, p


def staged_softmax(dp, p):
    """By the quotient: numerator's and denominator's way, from e up to a factor."""
    de = dp - (dp * p).sum(0, keepdims=True)
    return de * p


def jacobian_softmax(dp, p, diagonal=1.0, outer=1.0, first=0, always=None):
    dx = np.zeros_like(p)
    for n in range(first, p.shape[1]):
        q = p[:, n if always is None else always]
        dx[:, n] = (diagonal * np.diag(q) - outer * np.outer(q, q)) @ dp[:, n]
    return dx


group(
    "softmax of columns",
    column_softmax,
    normal((4, 3)),
    [
        ("quotient rule", "", staged_softmax),
        ("Jacobians in a loop", "", jacobian_softmax),
        ("all Jacobians at once", "", lambda dp, p: np.einsum("in,ij,jn->in", p, np.eye(4), dp) - np.einsum("in,jn,jn->in", p, p, dp)),
        ("summed over the batch", "wrong axis", lambda dp, p: p * (dp - (dp * p).sum(1, keepdims=True))),
        ("summed over everything", "wrong axis", lambda dp, p: p * (dp - (dp * p).sum())),
        ("diagonal forgotten", "missing term", lambda dp, p: jacobian_softmax(dp, p, diagonal=0)),
        ("outer product added", "constant factor", lambda dp, p: jacobian_softmax(dp, p, outer=-1)),
        ("loop from 1", "missing term", lambda dp, p: jacobian_softmax(dp, p, first=1)),
        ("Jacobian of the first column for all", "wrong tensor|wrong formula", lambda dp, p: jacobian_softmax(dp, p, always=0)),
        ("sigmoid's slope", "missing term", lambda dp, p: dp * p * (1 - p)),
        ("p² in the sum", "wrong tensor|wrong formula", lambda dp, p: p * (dp - (p * p).sum(0, keepdims=True))),
    ],
)

_kept = {}


def kept_softmax(x):
    _kept["p"] = softmax(x)
    return _kept["p"].copy(), None


def kept_softmax_backward(dp, _):
    p = _kept["p"]
    return p * (dp - (dp * p).sum(-1, keepdims=True))


group("softmax with a global cache", kept_softmax, normal((3, 4)), [("kept in a module's dictionary", "shared cache", kept_softmax_backward)])


def big_softmax(x):
    return softmax(x), x


group(
    "softmax of large scores",
    big_softmax,
    uniform(780, 782, (3, 4)),
    [
        ("shifted again", "", lambda dp, x: staged_softmax(dp.T, softmax(x).T).T),
        ("shift forgotten in backward", "not finite", lambda dp, x: staged_softmax(dp.T, (np.exp(x) / np.exp(x).sum(-1, keepdims=True)).T).T),
    ],
)

# softmax cross-entropy, in the forms of the exercises

Y = np.array([2, 0, 3, 1, 2])
ROWS5 = np.arange(5)


def svm_style(gradient):
    """Return a function of the scores that returns the loss and its gradient."""

    def loss(s):
        p = softmax(s)
        return -np.log(p[ROWS5, Y]).sum() / 5, gradient(p)

    return lambda: loss


def _minus(p):
    p = p.copy()
    p[ROWS5, Y] -= 1
    return p


def _set(p):
    p = p.copy()
    p[ROWS5, Y] = -1
    return p


def _all_rows(p):
    p = p.copy()
    p[:, Y] -= 1
    return p


def _off_by_one(p):
    p = p.copy()
    p[ROWS5, Y - 1] -= 1
    return p


layer(
    "softmax loss that returns its gradient",
    normal((5, 4)),
    [
        ("p minus one at the label", "", svm_style(lambda p: _minus(p) / 5)),
        ("one hot", "", svm_style(lambda p: (p - np.eye(4)[Y]) / 5)),
        ("−1 at the label", "missing term|assigned", svm_style(lambda p: _set(p) / 5)),
        ("labels' columns of all rows", "extra term|wrong formula", svm_style(lambda p: _all_rows(p) / 5)),
        ("label off by one", "wrong formula|wrong tensor", svm_style(lambda p: _off_by_one(p) / 5)),
        ("divided by N²", "constant factor", svm_style(lambda p: _minus(p) / 25)),
        ("softmax's slope once more", "extra term", svm_style(lambda p: _minus(p) * p * (1 - p) / 5)),
        ("first sample only", "missing term", svm_style(lambda p: _minus(p) * (ROWS5 == 0)[:, None] / 5)),
        ("integers", "integer arithmetic", svm_style(lambda p: (_minus(p) * 5).astype(int) / 25)),
    ],
)

SMOOTH = 0.9 * np.eye(4)[Y] + 0.1 / 4


def smoothed(s):
    p = softmax(s)
    return -(SMOOTH * np.log(p)).sum(1).mean(), p


group(
    "label smoothing",
    smoothed,
    normal((5, 4)),
    [
        ("p − t", "", lambda dl, p: dl * (p - SMOOTH) / len(p)),
        ("smoothing forgotten", "wrong tensor|missing term", lambda dl, p: dl * (p - np.eye(4)[Y]) / len(p)),
        ("rest of the classes forgotten", "missing term", lambda dl, p: dl * (p - 0.9 * np.eye(4)[Y]) / len(p)),
        ("also divided by the classes", "constant factor", lambda dl, p: dl * (p - SMOOTH) / p.size),
    ],
)

WEIGHT = np.array([0.5, 2.0, 1.0, 3.0])
SEEN = np.array([1, 1, 0, 1, 0])


def class_weighted(s):
    p = softmax(s)
    w = WEIGHT[Y]
    return -(w * np.log(p[ROWS5, Y])).sum() / w.sum(), (p, w)


group(
    "cross-entropy with class weights",
    class_weighted,
    normal((5, 4)),
    [
        ("weights of the labels", "", lambda dl, c: dl * _minus(c[0]) * c[1][:, None] / c[1].sum()),
        ("weights forgotten", "missing term", lambda dl, c: dl * _minus(c[0]) / c[1].sum()),
        ("divided by N", "constant factor", lambda dl, c: dl * _minus(c[0]) * c[1][:, None] / 5),
        ("weights of the columns", "wrong tensor|wrong axis", lambda dl, c: dl * _minus(c[0]) * WEIGHT / c[1].sum()),
        ("weights twice", "extra term", lambda dl, c: dl * _minus(c[0]) * c[1][:, None] ** 2 / c[1].sum()),
    ],
)


def padded_loss(s):
    p = softmax(s)
    return -(SEEN * np.log(p[ROWS5, Y])).sum() / SEEN.sum(), p


group(
    "cross-entropy that ignores padding",
    padded_loss,
    normal((5, 4)),
    [
        ("masked rows", "", lambda dl, p: dl * _minus(p) * SEEN[:, None] / 3),
        ("padding gets a gradient", "wrong mask|missing term", lambda dl, p: dl * _minus(p) / 3),
        ("divided by all words", "constant factor", lambda dl, p: dl * _minus(p) * SEEN[:, None] / 5),
        ("gradient at the padding only", "wrong mask", lambda dl, p: dl * _minus(p) * (1 - SEEN[:, None]) / 3),
    ],
)

# hinge losses

SIGNS = np.array([1.0, -1.0, -1.0, 1.0, 1.0, -1.0])


def squared_hinge(s):
    gap = np.maximum(0, 1 - SIGNS * s)
    return np.mean(gap**2), gap


group(
    "squared hinge loss",
    squared_hinge,
    normal((6,)),
    [
        ("gap", "", lambda dl, gap: -2 * dl * SIGNS * gap / 6),
        ("gap forgotten", "missing term", lambda dl, gap: -2 * dl * SIGNS * (gap > 0) / 6),
        ("2 forgotten", "constant factor", lambda dl, gap: -dl * SIGNS * gap / 6),
        ("labels forgotten", "missing term", lambda dl, gap: -2 * dl * gap / 6),
        ("sign", "constant factor", lambda dl, gap: 2 * dl * SIGNS * gap / 6),
        ("positive class only", "missing term|wrong mask", lambda dl, gap: -2 * dl * SIGNS * gap * (SIGNS > 0) / 6),
    ],
)


def l2_svm(s):
    gap = np.maximum(0, s - s[ROWS5, Y][:, None] + 1)
    gap[ROWS5, Y] = 0
    return (gap**2).sum() / 5, gap


def l2_svm_back(dl, gap, own=lambda gap: -gap.sum(1)):
    ds = gap.copy()
    ds[ROWS5, Y] = own(gap)
    return 2 * dl * ds / 5


group(
    "multiclass squared hinge",
    l2_svm,
    normal((5, 4)),
    [
        ("summed gaps", "", l2_svm_back),
        ("label's column counts the gaps", "missing term|wrong formula", lambda dl, gap: l2_svm_back(dl, gap, lambda g: -(g > 0).sum(1))),
        ("label's column forgotten", "missing term", lambda dl, gap: l2_svm_back(dl, gap, lambda g: 0)),
        ("label's column of the other sign", "constant factor", lambda dl, gap: l2_svm_back(dl, gap, lambda g: g.sum(1))),
        ("gaps for their mask", "missing term", lambda dl, gap: l2_svm_back(dl, (gap > 0) * 1.0)),
        ("label's column of the largest gap", "missing term|wrong formula", lambda dl, gap: l2_svm_back(dl, gap, lambda g: -g.max(1))),
    ],
)


def crammer(s):
    wrong = s + 1.0 * (np.arange(4) != Y[:, None])
    best = wrong.argmax(1)
    return (wrong.max(1) - s[ROWS5, Y]).mean(), best


def crammer_back(dl, best, one=1.0, own=1.0):
    ds = np.zeros((5, 4))
    ds[ROWS5, best] += one
    ds[ROWS5, Y] -= own
    return dl * ds / 5


group(
    "hinge of the strongest rival",
    crammer,
    normal((5, 4)),
    [
        ("two entries a row", "", crammer_back),
        ("rival only", "missing term", lambda dl, best: crammer_back(dl, best, own=0)),
        ("label only", "missing term", lambda dl, best: crammer_back(dl, best, one=0)),
        ("label added", "constant factor", lambda dl, best: crammer_back(dl, best, own=-1)),
        ("class after the rival", "wrong formula|wrong mask", lambda dl, best: crammer_back(dl, (best + 1) % 4)),
    ],
)

# pooling: overlapping windows, images (N, C, H, W)


def maxpool_forward(x, k=3, s=2):
    n, c, h, w = x.shape
    oh, ow = (h - k) // s + 1, (w - k) // s + 1
    y = np.zeros((n, c, oh, ow))
    for i in range(oh):
        for j in range(ow):
            y[:, :, i, j] = x[:, :, i * s : i * s + k, j * s : j * s + k].max((2, 3))
    return y, (x, k, s)


def maxpool_backward(dy, cache, stride=None, add=True, rows=0, where=None):
    x, k, s = cache
    s, where = stride or s, where or (lambda v: v == v.max((2, 3), keepdims=True))
    dx = np.zeros_like(x)
    for i in range(dy.shape[2] - rows):
        for j in range(dy.shape[3]):
            at = np.s_[:, :, i * s : i * s + k, j * s : j * s + k]
            part = where(x[at]) * dy[:, :, i, j][:, :, None, None]
            dx[at] = dx[at] + part if add else part
    return dx


def maxpool_argmax(dy, cache, turned=False):
    x, k, s = cache
    dx = np.zeros_like(x)
    for n, c, i, j in np.ndindex(*dy.shape):
        a, b = np.unravel_index(x[n, c, i * s : i * s + k, j * s : j * s + k].argmax(), (k, k))
        a, b = (b, a) if turned else (a, b)
        dx[n, c, i * s + a, j * s + b] += dy[n, c, i, j]
    return dx


group(
    "max pooling of overlapping windows",
    maxpool_forward,
    normal((2, 2, 5, 5)),
    [
        ("masks of windows", "", maxpool_backward),
        ("argmax", "", maxpool_argmax),
        ("overlaps assigned", "assigned|missing term", lambda dy, c: maxpool_backward(dy, c, add=False)),
        ("stride 1 in backward", "stride or padding", lambda dy, c: maxpool_backward(dy, c, stride=1)),
        ("last row of windows forgotten", "missing term", lambda dy, c: maxpool_backward(dy, c, rows=1)),
        ("row and column of the maximum exchanged", "transposed|wrong formula|wrong mask", lambda dy, c: maxpool_argmax(dy, c, turned=True)),
        ("mask of the first channel for all", "wrong mask", lambda dy, c: maxpool_backward(dy, c, where=lambda v: (v == v.max((2, 3), keepdims=True))[:, :1])),
        ("maximum over the channels too", "wrong mask|wrong axis", lambda dy, c: maxpool_backward(dy, c, where=lambda v: v == v.max((1, 2, 3), keepdims=True))),
        ("centre of the window", "wrong mask", lambda dy, c: maxpool_backward(dy, c, where=lambda v: np.pad([[1.0]], 1))),
        ("largest |x|", "wrong mask", lambda dy, c: maxpool_backward(dy, c, where=lambda v: np.abs(v) == np.abs(v).max((2, 3), keepdims=True))),
        ("divided by 9", "constant factor", lambda dy, c: maxpool_backward(dy, c) / 9),
    ],
)


def global_max(x):
    return x.max((2, 3)), x


group(
    "global max pooling",
    global_max,
    normal((3, 2, 3, 4)),
    [
        ("mask", "", lambda dy, x: dy[:, :, None, None] * (x == x.max((2, 3), keepdims=True))),
        ("maximum of the batch", "wrong mask|wrong axis", lambda dy, x: dy[:, :, None, None] * (x == x.max((0, 2, 3), keepdims=True))),
        ("maximum of each row", "wrong mask|wrong axis", lambda dy, x: dy[:, :, None, None] * (x == x.max(3, keepdims=True))),
        ("wherever positive", "wrong mask", lambda dy, x: dy[:, :, None, None] * (x > 0)),
        ("x at the maximum once more", "extra term", lambda dy, x: dy[:, :, None, None] * x * (x == x.max((2, 3), keepdims=True))),
        ("not spread", "wrong shape", lambda dy, x: dy.copy()),
    ],
)


def avgpool_forward(x, k=3, s=2):
    return sum(x[:, a : a + x.shape[1] - k + 1 : s] for a in range(k)) / k, (x.shape, k, s)


def avgpool_backward(dy, cache, stride=None, divide=None, taps=0, add=True):
    shape, k, s = cache
    s = stride or s
    dx = np.zeros(shape)
    for a in range(k - taps):
        at = np.s_[:, a : a + s * (dy.shape[1] - 1) + 1 : s]
        dx[at] = dx[at] * add + dy / (divide or k)
    return dx


group(
    "average pooling of overlapping windows in time",
    avgpool_forward,
    normal((2, 7, 3)),
    [
        ("by taps", "", avgpool_backward),
        ("by windows", "", lambda dy, c: np.stack([sum(dy[:, i] for i in range(3) if 2 * i <= t < 2 * i + 3) / 3 for t in range(7)], 1)),
        ("divided by the stride", "constant factor", lambda dy, c: avgpool_backward(dy, c, divide=2)),
        ("divided by k²", "constant factor", lambda dy, c: avgpool_backward(dy, c, divide=9)),
        ("stride forgotten", "stride or padding", lambda dy, c: avgpool_backward(dy, c, stride=1)),
        ("overlaps assigned", "assigned|missing term", lambda dy, c: avgpool_backward(dy, c, add=False)),
        ("last tap forgotten", "missing term", lambda dy, c: avgpool_backward(dy, c, taps=1)),
    ],
)


def padded_average(x):
    p = np.pad(x, ((0, 0), (1, 1)))
    count = np.array([2] + [3] * (x.shape[1] - 2) + [2])
    return (p[:, :-2] + p[:, 1:-1] + p[:, 2:]) / count, count


def padded_average_back(dy, count, cut=np.s_[:, 1:-1]):
    d = dy / count
    dx = np.zeros((len(dy), dy.shape[1] + 2))
    for a in range(3):
        dx[:, a : a + dy.shape[1]] += d
    return dx[cut]


group(
    "average that does not count the padding",
    padded_average,
    normal((3, 6)),
    [
        ("counts", "", padded_average_back),
        ("always a third", "constant factor|wrong formula", lambda dy, count: padded_average_back(dy, 3)),
        ("padding cut at the end", "stride or padding", lambda dy, count: padded_average_back(dy, count, np.s_[:, :-2])),
        ("divided after the sum", "wrong formula", lambda dy, count: padded_average_back(dy, 1) / count),
        ("padding not cut", "wrong shape|stride or padding", lambda dy, count: padded_average_back(dy, count, np.s_[:, :])),
    ],
)

# activations

erf = np.vectorize(math.erf)


def gelu(x):
    return x * 0.5 * (1 + erf(x / np.sqrt(2))), x


def cdf(x):
    return 0.5 * (1 + erf(x / np.sqrt(2)))


def pdf(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


C = np.sqrt(2 / np.pi)


def tanh_slope(x, cubic=3.0, root=C):
    t = np.tanh(C * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * root * (1 + cubic * 0.044715 * x * x)


group(
    "exact GELU",
    gelu,
    normal((4, 5)),
    [
        ("Φ + xφ", "", lambda dy, x: dy * (cdf(x) + x * pdf(x))),
        ("Φ from y", "", lambda dy, x: dy * (gelu(x)[0] / x + x * pdf(x))),
        ("φ's term forgotten", "missing term", lambda dy, x: dy * cdf(x)),
        ("Φ's term forgotten", "missing term", lambda dy, x: dy * x * pdf(x)),
        ("√2π forgotten", "constant factor|missing term", lambda dy, x: dy * (cdf(x) + x * np.exp(-x * x / 2))),
        ("half forgotten in the exponent", "wrong formula", lambda dy, x: dy * (cdf(x) + x * np.exp(-x * x) / np.sqrt(2 * np.pi))),
        ("x forgotten at φ", "missing term", lambda dy, x: dy * (cdf(x) + pdf(x))),
        ("slope of the approximation", "wrong formula", lambda dy, x: dy * tanh_slope(x)),
        ("slope at y", "wrong tensor", lambda dy, x: dy * (cdf(gelu(x)[0]) + gelu(x)[0] * pdf(gelu(x)[0]))),
        ("slope at dy", "wrong tensor", lambda dy, x: dy * (cdf(dy) + dy * pdf(dy))),
    ],
)


def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(C * (x + 0.044715 * x**3))), x


group(
    "GELU by tanh",
    gelu_tanh,
    normal((3, 6)),
    [
        ("product rule", "", lambda dout, x: dout * tanh_slope(x)),
        ("3 forgotten", "constant factor|missing term", lambda dout, x: dout * tanh_slope(x, cubic=1)),
        ("√(2/π) forgotten", "constant factor|missing term", lambda dout, x: dout * tanh_slope(x, root=1)),
        ("slope of the exact one", "wrong formula", lambda dout, x: dout * (cdf(x) + x * pdf(x))),
        ("slope at the output", "wrong tensor", lambda dout, x: dout * tanh_slope(gelu_tanh(x)[0])),
        ("tanh of x in the slope", "wrong tensor|wrong formula", lambda dout, x: dout * (0.5 * (1 + np.tanh(C * (x + 0.044715 * x**3))) + 0.5 * x * (1 - np.tanh(x) ** 2) * C * (1 + 0.134145 * x * x))),
        ("half precision", "float32", lambda dout, x: (dout * tanh_slope(x)).astype(np.float16)),
    ],
)


def softplus(x):
    y = np.logaddexp(0, x)
    return y, y


group(
    "softplus by its output",
    softplus,
    normal((4, 4)),
    [
        ("1 − exp(−y)", "", lambda dy, y: dy * (1 - np.exp(-y))),
        ("expm1", "", lambda dy, y: -dy * np.expm1(-y)),
        ("sigmoid of the output", "wrong tensor", lambda dy, y: dy * sig(y)),
        ("1 forgotten", "missing term", lambda dy, y: -dy * np.exp(-y)),
        ("1 − forgotten", "wrong formula", lambda dy, y: dy * np.exp(-y)),
        ("written into the output", "output overwritten", lambda dy, y: np.multiply(dy, -np.expm1(-y), out=y)),
        ("y / (1 + y)", "wrong formula", lambda dy, y: dy * y / (1 + y)),
    ],
)
group(
    "softplus of large numbers",
    lambda x: (np.logaddexp(0, x), x),
    lambda rng: (np.array([[-3.0, 0.5, 2.0], [900.0, 1.5, -0.7]]),),
    [
        ("sigmoid", "", lambda dy, x: dy * 0.5 * (1 + np.tanh(x / 2))),
        ("exp over exp", "not finite", lambda dy, x: dy * np.exp(x) / (1 + np.exp(x))),
    ],
)

ALPHA, LAMBDA = 1.6732632, 1.0507009


def selu(x):
    y = LAMBDA * np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0)))
    return y, (x, y)


group(
    "SELU",
    selu,
    normal((5, 4)),
    [
        ("where", "", lambda dy, c: dy * LAMBDA * np.where(c[0] > 0, 1, ALPHA * np.exp(np.minimum(c[0], 0)))),
        ("from y", "", lambda dy, c: dy * np.where(c[1] > 0, LAMBDA, c[1] + LAMBDA * ALPHA)),
        ("λ forgotten", "constant factor", lambda dy, c: dy * np.where(c[0] > 0, 1, ALPHA * np.exp(np.minimum(c[0], 0)))),
        ("λ forgotten where positive", "constant factor", lambda dy, c: dy * np.where(c[0] > 0, 1, LAMBDA * ALPHA * np.exp(np.minimum(c[0], 0)))),
        ("y + α", "wrong formula|missing term", lambda dy, c: dy * np.where(c[0] > 0, LAMBDA, c[1] + ALPHA)),
        ("exp of the output", "wrong tensor", lambda dy, c: dy * LAMBDA * np.where(c[0] > 0, 1, ALPHA * np.exp(c[1]))),
        ("exponential on both sides", "wrong mask", lambda dy, c: dy * LAMBDA * ALPHA * np.exp(c[0])),
        ("negative side forgotten", "missing term|wrong mask", lambda dy, c: dy * LAMBDA * (c[0] > 0)),
        ("branch from dy", "wrong mask", lambda dy, c: dy * LAMBDA * np.where(dy > 0, 1, ALPHA * np.exp(np.minimum(c[0], 0)))),
    ],
)


def elu_loop(x):
    y = x.copy()
    for i in np.ndindex(*x.shape):
        if x[i] < 0:
            y[i] = math.exp(x[i]) - 1
    return y, x


def elu_loop_back(dy, x):
    dx = dy.copy()
    for i in np.ndindex(*x.shape):
        if x[i] < 0:
            dx[i] = dy[i] * math.exp(x[i])
    return dx


def elu_loop_forgets_dy(dy, x):
    dx = dy.copy()
    for i in np.ndindex(*x.shape):
        if x[i] < 0:
            dx[i] = math.exp(x[i])
    return dx


def elu_loop_first_row(dy, x):
    dx = dy.copy()
    for j in range(x.shape[1]):
        if x[0, j] < 0:
            dx[0, j] = dy[0, j] * math.exp(x[0, j])
    return dx


def elu_loop_in_x(dy, x):
    for i in np.ndindex(*x.shape):
        x[i] = dy[i] * (math.exp(x[i]) if x[i] < 0 else 1)
    return x


group(
    "ELU in loops",
    elu_loop,
    normal((3, 5)),
    [
        ("loop", "", elu_loop_back),
        ("dy forgotten in the loop", "upstream ignored", elu_loop_forgets_dy),
        ("first row only", "missing term|wrong formula", elu_loop_first_row),
        ("slope at the output", "wrong tensor", lambda dy, x: dy * np.where(x > 0, 1, np.exp(np.minimum(elu_loop(x)[0], 0)))),
        ("exp(−x)", "wrong formula", lambda dy, x: dy * np.where(x > 0, 1, np.exp(-x))),
        ("dx written into x", "input overwritten", elu_loop_in_x),
        ("minus 1 kept", "extra term|missing term", lambda dy, x: dy * np.where(x > 0, 1, np.expm1(np.minimum(x, 0)))),
    ],
)


def prelu(x, a):
    return np.where(x > 0, x, a[:, None, None] * x), (x, a)


def prelu_back(dy, c):
    x, a = c
    return np.where(x > 0, 1, a[:, None, None]) * dy, (dy * x * (x <= 0)).sum((0, 2, 3))


group(
    "PReLU of maps",
    prelu,
    lambda rng: (*normal((2, 3, 3, 3))(rng), rng.uniform(0.1, 0.5, 3)),
    [
        ("summed over batch and pixels", "", prelu_back),
        ("einsum", "", swap(1, lambda d, c: np.einsum("nchw,nchw->c", d, np.minimum(c[0], 0)), prelu_back)),
        ("da summed over the channels", "wrong axis", swap(1, lambda d, c: (d * np.minimum(c[0], 0)).sum((0, 1, 2)), prelu_back)),
        ("da from y", "wrong tensor|extra term", swap(1, lambda d, c: (d * np.minimum(prelu(*c)[0], 0)).sum((0, 2, 3)), prelu_back)),
        ("da of the first picture", "missing term", swap(1, lambda d, c: (d * np.minimum(c[0], 0))[0].sum((1, 2)), prelu_back)),
        ("da averaged over pixels", "constant factor", swap(1, lambda d, c: (d * np.minimum(c[0], 0)).mean((2, 3)).sum(0), prelu_back)),
        ("a along the wrong axis in dx", "wrong axis|transposed", swap(0, lambda d, c: np.where(c[0] > 0, 1, c[1]) * d, prelu_back)),
        ("slope a on both sides", "wrong mask", swap(0, lambda d, c: c[1][:, None, None] * d, prelu_back)),
        ("da of each picture", "wrong shape", swap(1, lambda d, c: (d * np.minimum(c[0], 0)).sum((2, 3)), prelu_back)),
    ],
)


def wavenet(x):
    a, b = np.split(x, 2, axis=1)
    t, s = np.tanh(a), sig(b)
    return t * s, (a, b, t, s)


def joined(*parts):
    return np.concatenate(parts, axis=1)


group(
    "gated tanh",
    wavenet,
    normal((2, 4, 3)),
    [
        ("both slopes", "", lambda dy, c: joined(dy * c[3] * (1 - c[2] ** 2), dy * c[2] * c[3] * (1 - c[3]))),
        ("from y", "", lambda dy, c: joined(dy * (c[3] - c[2] * c[2] * c[3]), dy * (c[2] * c[3]) * (1 - c[3]))),
        ("square forgotten", "wrong formula|missing term", lambda dy, c: joined(dy * c[3] * (1 - c[2]), dy * c[2] * c[3] * (1 - c[3]))),
        ("tanh's slope at the input", "wrong tensor|wrong formula", lambda dy, c: joined(dy * c[3] * (1 - c[0] ** 2), dy * c[2] * c[3] * (1 - c[3]))),
        ("each half without the other", "missing term", lambda dy, c: joined(dy * (1 - c[2] ** 2), dy * c[3] * (1 - c[3]))),
        ("tanh's slope for the gate", "wrong formula", lambda dy, c: joined(dy * c[3] * (1 - c[2] ** 2), dy * c[2] * (1 - c[3] ** 2))),
        ("gate's half is zero", "missing term", lambda dy, c: joined(dy * c[3] * (1 - c[2] ** 2), np.zeros_like(dy))),
        ("halves joined in the other order", "transposed|wrong tensor", lambda dy, c: joined(dy * c[2] * c[3] * (1 - c[3]), dy * c[3] * (1 - c[2] ** 2))),
        ("halves joined along the batch", "wrong shape", lambda dy, c: np.concatenate([dy * c[3] * (1 - c[2] ** 2), dy * c[2] * c[3] * (1 - c[3])], 0)),
        ("dy only in the first half", "upstream ignored", lambda dy, c: joined(dy * c[3] * (1 - c[2] ** 2), c[2] * c[3] * (1 - c[3]))),
    ],
)


def swiglu(x, w, v):
    a, b = x @ w, x @ v
    return a * sig(a) * b, {"x": x, "w": w, "v": v, "a": a, "b": b}


def swiglu_back(dy, c, value=True, both=True):
    a, b, s = c["a"], c["b"], sig(c["a"])
    da = dy * b * (s + a * s * (1 - s) * both)
    db = dy * a * s
    return da @ c["w"].T + value * (db @ c["v"].T), c["x"].T @ da, c["x"].T @ db


group(
    "SwiGLU",
    swiglu,
    normal((4, 3), (3, 3), (3, 3)),
    [
        ("product rules", "", swiglu_back),
        ("dictionary", "", lambda dy, c: dict(zip(("dx", "dw", "dv"), swiglu_back(dy, c), strict=True))),
        ("SiLU's slope is σ", "missing term", lambda dy, c: swiglu_back(dy, c, both=False)),
        ("dx through the gate only", "missing term", lambda dy, c: swiglu_back(dy, c, value=False)),
        ("dv from the value", "wrong tensor", swap(2, lambda d, c: c["x"].T @ (d * c["b"]), swiglu_back)),
        ("dv without a", "missing term", swap(2, lambda d, c: c["x"].T @ (d * sig(c["a"])), swiglu_back)),
        ("w and v exchanged in dx", "wrong tensor", lambda dy, c: (swiglu_back(dy, c | {"w": c["v"], "v": c["w"]})[0], *swiglu_back(dy, c)[1:])),
    ],
)

# recurrent cells


def lstm_step_forward(x, h, c, wx, wh, b):
    i, f, o, g = np.hsplit(x @ wx + h @ wh + b, 4)
    i, f, o, g = sig(i), sig(f), sig(o), np.tanh(g)
    new = f * c + i * g
    return np.hstack([o * np.tanh(new), new]), (x, h, c, wx, wh, i, f, o, g, new)


def lstm_step_backward(dout, cache, cell=1.0, out=None, old=None, carry=None, hidden=None, order=(0, 1, 2, 3), again=False, candidate=True):
    x, h, c, wx, wh, i, f, o, g, new = cache
    dh, dn = np.hsplit(dout, 2)
    t = np.tanh(new)
    dc = cell * dn + dh * o * (1 - t * t)

    def s(v):
        v = sig(v) if again else v
        return v * (1 - v)

    parts = [dc * g * s(i), dc * (c if old is None else new) * s(f), dh * (t if out is None else new) * s(o), dc * i * ((1 - g * g) if candidate else 1.0)]
    dz = np.hstack([parts[k] for k in order])
    return dz @ wx.T, dz @ (wh if hidden is None else wx).T, dc * (f if carry is None else i), x.T @ dz, h.T @ dz, dz.sum(0)


def _with(**options):
    return lambda d, c: lstm_step_backward(d, c, **options)


def _dz(dout, cache):
    """Return the gradient of the gates' inputs."""
    c, (i, f, o, g, new) = cache[2], cache[5:]
    dh, dn = np.hsplit(dout, 2)
    t = np.tanh(new)
    dc = dn + dh * o * (1 - t * t)
    return np.hstack([dc * g * i * (1 - i), dc * c * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g * g)])


group(
    "LSTM step that returns h and c",
    lstm_step_forward,
    normal((3, 2), (3, 2), (3, 2), (2, 8), (2, 8), (8,)),
    [
        ("as in the exercise", "", lstm_step_backward),
        ("by gates", "", swap(5, lambda d, c: np.einsum("nk->k", _dz(d, c)), lstm_step_backward)),
        ("dc of the next step forgotten", "missing term", _with(cell=0)),
        ("dc of the next step subtracted", "constant factor", _with(cell=-1)),
        ("output gate without tanh", "missing term|wrong tensor", _with(out=1)),
        ("forget gate from the new c", "wrong tensor", _with(old=1)),
        ("dc carried by the input gate", "wrong tensor", _with(carry=1)),
        ("dh with the weights of x", "wrong tensor", _with(hidden=1)),
        ("gates o and g exchanged", "transposed|wrong formula|wrong tensor", _with(order=(0, 1, 3, 2))),
        ("sigmoid of the gates twice", "wrong tensor|wrong formula", _with(again=True)),
        ("candidate's slope forgotten", "missing term", _with(candidate=False)),
        ("dwh from x", "wrong tensor", swap(4, lambda d, c: c[0].T @ _dz(d, c), lstm_step_backward)),
        ("db not summed", "wrong shape", swap(5, _dz, lstm_step_backward)),
        ("db averaged", "constant factor", swap(5, lambda d, c: _dz(d, c).mean(0), lstm_step_backward)),
        ("no gradient of h", "missing gradient", swap(1, lambda d, c: None, lstm_step_backward)),
    ],
)


def gru(x, h, w, u):
    (xz, xr, xn), (hz, hr, hn) = np.hsplit(x @ w, 3), np.hsplit(h @ u, 3)
    z, r = sig(xz + hz), sig(xr + hr)
    n = np.tanh(xn + r * hn)
    return (1 - z) * n + z * h, (x, h, w, u, z, r, n, hn)


def gru_back(dy, cache, skip=1.0, sign=1.0, reset=None, gate=True, square=True, zslope=True, rway=1.0):
    x, h, w, u, z, r, n, hn = cache
    dn = dy * (1 - z) * ((1 - n * n) if square else (1 - n))
    dz = sign * dy * (h - n) * (z * (1 - z) if zslope else 1.0)
    dr = rway * dn * (hn if reset is None else h) * r * (1 - r)
    dx_in, dh_in = np.hstack([dz, dr, dn]), np.hstack([dz, dr, dn * r if gate else dn])
    return dx_in @ w.T, skip * dy * z + dh_in @ u.T, x.T @ dx_in, h.T @ dh_in


def _gru(**options):
    return lambda d, c: gru_back(d, c, **options)


group(
    "GRU step",
    gru,
    normal((4, 3), (4, 3), (3, 9), (3, 9)),
    [
        ("as derived", "", gru_back),
        ("skip of h forgotten", "missing term", _gru(skip=0)),
        ("update gate's sign", "constant factor", _gru(sign=-1)),
        ("reset gate from h", "wrong tensor|missing term", _gru(reset=1)),
        ("reset gate forgotten on the way to h", "missing term", _gru(gate=False)),
        ("square of n forgotten", "wrong formula|missing term", _gru(square=False)),
        ("update gate's slope forgotten", "missing term", _gru(zslope=False)),
        ("reset gate detached", "missing term", _gru(rway=0)),
        ("dx and dh exchanged", "wrong tensor", lambda d, c: tuple(gru_back(d, c)[k] for k in (1, 0, 2, 3))),
    ],
)


def rnn_forward(x, h0, wx, wh, b):
    h, states = h0, [h0]
    for t in range(x.shape[1]):
        h = np.tanh(x[:, t] @ wx + h @ wh + b)
        states.append(h)
    return np.stack(states[1:], 1), (x, wx, wh, states)


def rnn_backward(dh, cache, carry=1.0, before=1, add=True, reverse=True, slope=0, clip=None, first=0):
    x, wx, wh, states = cache
    dwx, dwh, db, dx, dprev = 0 * wx, 0 * wh, np.zeros(wx.shape[1]), [], 0
    for t in reversed(range(first, x.shape[1])):
        da = (dh[:, t] + carry * dprev) * (1 - states[t + 1 - slope] ** 2)
        if clip:
            da = np.clip(da, -clip, clip)
        dx.append(da @ wx.T)
        dwx = dwx * add + x[:, t].T @ da
        dwh = dwh * add + states[t + 1 - before].T @ da
        db = db * add + da.sum(0)
        dprev = da @ wh.T
    dx += [0 * dx[0]] * first
    return np.stack(dx[::-1] if reverse else dx, 1), dprev, dwx, dwh, db


def _rnn(**options):
    return lambda d, c: rnn_backward(d, c, **options)


group(
    "RNN over a sequence",
    rnn_forward,
    normal((2, 4, 3), (2, 3), (3, 3), (3, 3), (3,)),
    [
        ("backwards through time", "", rnn_backward),
        ("later steps forgotten", "missing term", _rnn(carry=0)),
        ("later steps subtracted", "constant factor", _rnn(carry=-1)),
        ("weights of the first step only", "assigned|missing term", _rnn(add=False)),
        ("dx in the order of the loop", "transposed|wrong formula", _rnn(reverse=False)),
        ("dwh from the new state", "wrong tensor", _rnn(before=0)),
        ("slope at the old state", "wrong tensor", _rnn(slope=1)),
        ("first step forgotten", "missing term", _rnn(first=1)),
        ("clipped in the loop", "wrong formula", _rnn(clip=0.5)),
        ("h0 without gradient", "missing gradient", swap(1, lambda d, c: np.zeros((2, 3)), rnn_backward)),
        ("wh not transposed", "transposed", lambda d, c: rnn_backward(d, (c[0], c[1], c[2].T, c[3]))),
        ("db of the last step", "missing term", swap(4, lambda d, c: (d[:, -1] * (1 - c[3][-1] ** 2)).sum(0), rnn_backward)),
    ],
)

# normalisations, by stages as in the exercises


def layernorm_forward(x, gamma, beta):
    mu = x.mean(1, keepdims=True)
    xmu = x - mu
    var = (xmu**2).mean(1, keepdims=True)
    std = np.sqrt(var + 1e-5)
    return gamma * xmu / std + beta, (xmu, std, gamma)


def layernorm_stages(dout, cache, half=0.5, power=3, mean=1.0, through_mean=True, d=None, axis=1, gain=True, last=1.0):
    xmu, std, gamma = cache
    d = d or xmu.shape[1]
    dxhat = dout * gamma if gain else dout
    dvar = (dxhat * xmu).sum(axis, keepdims=True) * -half * std**-power
    dmu = -(dxhat / std).sum(axis, keepdims=True) * mean
    if through_mean:
        dmu = dmu - 2 * dvar * xmu.mean(1, keepdims=True)
    dx = dxhat / std + last * dvar * 2 * xmu / d + dmu / d
    return dx, (dout * xmu / std).sum(0), dout.sum(0)


def _ln(**options):
    return lambda d, c: layernorm_stages(d, c, **options)


def layernorm_rows(dout, cache):
    xmu, std, gamma = cache
    d = xmu.shape[1]
    jacobians = (np.eye(d) - 1 / d - np.einsum("ni,nj->nij", xmu / std, xmu / std) / d) / std[:, :, None]
    return np.einsum("nij,nj->ni", jacobians, dout * gamma), np.einsum("nd,nd->d", dout, xmu / std), dout.sum(0)


group(
    "layer norm by stages",
    layernorm_forward,
    lambda rng: (rng.standard_normal((4, 6)), rng.uniform(0.5, 2, 6), rng.standard_normal(6)),
    [
        ("all stages", "", layernorm_stages),
        ("Jacobians", "", layernorm_rows),
        ("without the mean's term that is zero", "", _ln(through_mean=False)),
        ("half forgotten at the variance", "constant factor", _ln(half=1)),
        ("power −1 for −3 of σ", "missing term", _ln(power=1)),
        ("way through the mean forgotten", "missing term", _ln(mean=0, through_mean=False)),
        ("way through the variance forgotten", "missing term", _ln(last=0)),
        ("divided by the batch", "constant factor", _ln(d=4)),
        ("γ forgotten on the way to x", "missing term", _ln(gain=False)),
        ("dγ with γ in it", "extra term", swap(1, lambda d, c: (d * c[2] * c[0] / c[1]).sum(0), layernorm_stages)),
        ("dγ from x − μ", "missing term|wrong tensor", swap(1, lambda d, c: (d * c[0]).sum(0), layernorm_stages)),
        ("dβ is one number", "wrong axis", swap(2, lambda d, c: np.full(6, d.sum()), layernorm_stages)),
    ],
)


def groupnorm_forward(x, gamma, beta, groups):
    g = x.reshape(len(x), groups, -1)
    std = np.sqrt(g.var(2, keepdims=True) + 1e-5)
    xhat = ((g - g.mean(2, keepdims=True)) / std).reshape(x.shape)
    return gamma[:, None, None] * xhat + beta[:, None, None], (xhat, std, gamma, groups)


def groupnorm_backward(dy, cache, first=1.0, second=1.0, gain=True, shuffled=False, sums=False, batch=False):
    xhat, std, gamma, groups = cache
    n, c, h, w = dy.shape
    d = dy * gamma[:, None, None] if gain else dy
    order = np.arange(c).reshape(-1, groups).T.ravel() if shuffled else np.arange(c)
    d, z = d[:, order].reshape(n, groups, -1), xhat[:, order].reshape(n, groups, -1)
    axes = (0, 2) if batch else 2
    m = 1 / d.shape[2] if not sums else 1 / (c * h * w)
    m = m / n if batch else m
    dx = (d - first * m * d.sum(axes, keepdims=True) - second * m * z * (d * z).sum(axes, keepdims=True)) / std
    return dx.reshape(n, c, h, w)[:, np.argsort(order)], (dy * xhat).sum((0, 2, 3)), dy.sum((0, 2, 3))


def _gn(**options):
    return lambda d, c: groupnorm_backward(d, c, **options)


group(
    "group norm of maps with γ and β",
    groupnorm_forward,
    lambda rng: (rng.standard_normal((2, 4, 3, 3)), rng.uniform(0.5, 2, 4), rng.standard_normal(4), 2),
    [
        ("as derived", "", groupnorm_backward),
        ("mean's way forgotten", "missing term", _gn(first=0)),
        ("variance's way forgotten", "missing term", _gn(second=0)),
        ("statistics are constants", "missing term", _gn(first=0, second=0)),
        ("divided by all channels' pixels", "constant factor", _gn(sums=True)),
        ("channels of a group interleaved", "wrong axis|transposed|wrong formula", _gn(shuffled=True)),
        ("means over the batch too", "wrong axis", _gn(batch=True)),
        ("γ forgotten on the way to x", "missing term", _gn(gain=False)),
        ("dγ is dβ", "missing term|wrong tensor", swap(1, lambda d, c: d.sum((0, 2, 3)), groupnorm_backward)),
        ("dβ averaged over pixels", "constant factor", swap(2, lambda d, c: d.mean((2, 3)).sum(0), groupnorm_backward)),
        ("dγ of the groups", "wrong shape", swap(1, lambda d, c: (d * c[0]).reshape(2, 2, -1).sum((0, 2)), groupnorm_backward)),
        ("mean's way added", "constant factor", _gn(first=-1)),
    ],
)


class InstanceNorm(Layer):
    """With γ and β, pictures (N, H, W, C), one picture after another."""

    def __init__(self):
        self.gamma = Parameter(np.array([0.6, 1.7, -1.2]))
        self.beta = Parameter(np.zeros(3))

    def forward(self, x):
        std = np.sqrt(x.var((1, 2), keepdims=True) + 1e-5)
        xhat = (x - x.mean((1, 2), keepdims=True)) / std
        return xhat * self.gamma.data + self.beta.data, (xhat, std)

    def backward(self, dy, cache):
        xhat, std = cache
        dx = np.empty_like(dy)
        for n in range(len(dy)):
            self.gamma.grad += (dy[n] * xhat[n]).sum((0, 1))
            self.beta.grad += dy[n].sum((0, 1))
            dx[n] = self.one(dy[n], xhat[n], std[n])
        return dx

    def one(self, dy, xhat, std):
        d = dy * self.gamma.data
        return (d - d.mean((0, 1)) - xhat * (d * xhat).mean((0, 1))) / std


class InstanceConstants(InstanceNorm):
    def one(self, dy, xhat, std):
        return dy * self.gamma.data / std


class InstanceChannels(InstanceNorm):
    def one(self, dy, xhat, std):
        d = dy * self.gamma.data
        return (d - d.mean() - xhat * (d * xhat).mean()) / std


class InstanceLast(InstanceNorm):
    def backward(self, dy, cache):
        before = self.gamma.grad.copy()
        dx = super().backward(dy, cache)
        self.gamma.grad[...] = before + (dy[-1] * cache[0][-1]).sum((0, 1))
        return dx


class InstanceSet(InstanceNorm):
    def backward(self, dy, cache):
        self.gamma.grad[...] = 0
        self.beta.grad[...] = 0
        return super().backward(dy, cache)


class InstanceNoGain(InstanceNorm):
    def one(self, dy, xhat, std):
        return (dy - dy.mean((0, 1)) - xhat * (dy * xhat).mean((0, 1))) / std


class InstanceMultiplied(InstanceNorm):
    def one(self, dy, xhat, std):
        return super().one(dy, xhat, std) * std * std


class InstanceTwice(InstanceNorm):
    def backward(self, dy, cache):
        self.beta.grad += dy.sum((0, 1, 2))
        return super().backward(dy, cache)


class InstanceNoBeta(InstanceNorm):
    def backward(self, dy, cache):
        before = self.beta.grad.copy()
        dx = super().backward(dy, cache)
        self.beta.grad[...] = before
        return dx


class InstanceKept(InstanceNorm):
    saved: tuple = ()

    def forward(self, x):
        y, InstanceKept.saved = super().forward(x)
        return y, None

    def backward(self, dy, cache):
        return super().backward(dy, InstanceKept.saved)


layer(
    "instance norm, picture by picture",
    normal((3, 3, 3, 3)),
    [
        ("as derived", "", InstanceNorm),
        ("statistics are constants", "missing term", InstanceConstants),
        ("means over the channels too", "wrong axis", InstanceChannels),
        ("γ of the last picture", "missing term|assigned", InstanceLast),
        ("gradients zeroed first", "assigned", InstanceSet),
        ("γ forgotten on the way to x", "missing term", InstanceNoGain),
        ("times σ for divided by", "wrong formula|extra term", InstanceMultiplied),
        ("β gathered in the loop and before it", "constant factor", InstanceTwice),
        ("β without gradient", "missing gradient", InstanceNoBeta),
        ("cache on the class", "shared cache", InstanceKept),
    ],
)


def rmsnorm(x, g):
    rms = np.sqrt((x**2).mean(1) + 1e-6)
    return x / rms[:, None] * g, (x, rms[:, None], g)


def rmsnorm_back(dy, c, power=3, centred=0.0, outer=None, d=None, sign=1.0):
    x, rms, g = c
    d = d or x.shape[1]
    dz = dy * g
    dx = dz / rms - sign * (x if outer is None else 1.0) * (dz * x).sum(1, keepdims=True) / (d * rms**power)
    return dx - centred * dx.mean(1, keepdims=True), (dy * x / rms).sum(0)


group(
    "RMS norm of sequences' features",
    rmsnorm,
    normal((5, 4), (4,)),
    [
        ("quotient rule", "", rmsnorm_back),
        ("cube is a square", "missing term|wrong formula", lambda dy, c: rmsnorm_back(dy, c, power=2)),
        ("cube is a first power", "missing term|wrong formula", lambda dy, c: rmsnorm_back(dy, c, power=1)),
        ("centred as in layer norm", "extra term", lambda dy, c: rmsnorm_back(dy, c, centred=1)),
        ("x before the sum forgotten", "missing term", lambda dy, c: rmsnorm_back(dy, c, outer=1)),
        ("divided by the batch", "constant factor", lambda dy, c: rmsnorm_back(dy, c, d=5)),
        ("second term added", "constant factor", lambda dy, c: rmsnorm_back(dy, c, sign=-1)),
        ("dg from y", "extra term|wrong tensor", swap(1, lambda d, c: (d * rmsnorm(c[0], c[2])[0]).sum(0), rmsnorm_back)),
        ("dg of the last row", "missing term|assigned", swap(1, lambda d, c: (d * c[0] / c[1])[-1], rmsnorm_back)),
    ],
)


def weight_norm(x, v, g):
    n = np.sqrt((v**2).sum(0))
    return x @ (g * v / n), (x, v, g, n)


def weight_norm_back(dy, c, project=1.0, gain=True, axis=0, norm=True):
    x, v, g, n = c
    dw = x.T @ dy
    u = v / n
    dg = (dw * u).sum(0)
    scale = (g if gain else 1.0) / (n if norm else 1.0)
    return dy @ (g * u).T, scale * (dw - project * u * (dw * u).sum(axis, keepdims=True)), dg


group(
    "weight norm",
    weight_norm,
    normal((5, 3), (3, 4), (4,)),
    [
        ("projected", "", weight_norm_back),
        ("norm is a constant", "missing term", lambda dy, c: weight_norm_back(dy, c, project=0)),
        ("projection added", "constant factor", lambda dy, c: weight_norm_back(dy, c, project=-1)),
        ("g forgotten in dv", "missing term", lambda dy, c: weight_norm_back(dy, c, gain=False)),
        ("norm forgotten in dv", "missing term", lambda dy, c: weight_norm_back(dy, c, norm=False)),
        ("projected along the rows", "wrong axis", lambda dy, c: weight_norm_back(dy, c, axis=1)),
        ("dg from v", "missing term|wrong tensor", swap(2, lambda d, c: (c[0].T @ d * c[1]).sum(0), weight_norm_back)),
        ("dg is one number", "wrong axis", swap(2, lambda d, c: np.full(4, (c[0].T @ d * c[1] / c[3]).sum()), weight_norm_back)),
        ("dx by v", "missing term|wrong tensor", swap(0, lambda d, c: d @ c[1].T, weight_norm_back)),
        ("dx by v / ‖v‖", "missing term", swap(0, lambda d, c: d @ (c[1] / c[3]).T, weight_norm_back)),
    ],
)

# residual blocks


def preactivation(x, w):
    return x + np.maximum(x, 0) @ w, (x, w)


def _skip_in_place(dy, c):
    x, w = c
    dw = np.maximum(x, 0).T @ dy
    dy += (dy @ w.T) * (x > 0)
    return dy, dw


group(
    "residual block, ReLU first",
    preactivation,
    normal((4, 3), (3, 3)),
    [
        ("both ways", "", lambda dy, c: (dy + (dy @ c[1].T) * (c[0] > 0), np.maximum(c[0], 0).T @ dy)),
        ("skip masked too", "wrong mask", lambda dy, c: ((dy + dy @ c[1].T) * (c[0] > 0), np.maximum(c[0], 0).T @ dy)),
        ("mask before the product", "wrong mask|wrong formula", lambda dy, c: (dy + (dy * (c[0] > 0)) @ c[1].T, np.maximum(c[0], 0).T @ dy)),
        ("dw from x without ReLU", "missing term|wrong tensor|wrong mask", lambda dy, c: (dy + (dy @ c[1].T) * (c[0] > 0), c[0].T @ dy)),
        ("skip forgotten", "missing term", lambda dy, c: ((dy @ c[1].T) * (c[0] > 0), np.maximum(c[0], 0).T @ dy)),
        ("skip added into dy", "upstream overwritten", _skip_in_place),
    ],
)


def projected(x, w, v, p):
    h = np.maximum(x @ w, 0)
    s = h @ v + x @ p
    return np.maximum(s, 0), (x, w, v, p, h, s)


def projected_back(dy, c, skip=1.0, outer=True, ways=1.0):
    x, w, v, p, h, s = c
    ds = dy * (s > 0) if outer else dy
    dh = (ds @ v.T) * (h > 0)
    return ways * dh @ w.T + skip * ds @ p.T, x.T @ dh, h.T @ ds, x.T @ ds


group(
    "residual block with a projection",
    projected,
    normal((12, 4), (4, 3), (3, 3), (4, 3)),
    [
        ("both ways", "", projected_back),
        ("projection's way to x forgotten", "missing term", lambda dy, c: projected_back(dy, c, skip=0)),
        ("branch's way to x forgotten", "missing term", lambda dy, c: projected_back(dy, c, ways=0)),
        ("last ReLU forgotten", "wrong mask|missing term", lambda dy, c: projected_back(dy, c, outer=False)),
        ("last mask from h", "wrong mask|wrong tensor", lambda dy, c: projected_back(dy, (*c[:5], c[4]))),
        ("last mask not on the skip", "wrong mask|missing term", swap(3, lambda d, c: c[0].T @ d, projected_back)),
        ("dp is dw", "wrong tensor", swap(3, lambda d, c: projected_back(d, c)[1], projected_back)),
        ("dp none", "missing gradient", swap(3, lambda d, c: None, projected_back)),
        ("dv from the mask of h", "missing term|wrong tensor", swap(2, lambda d, c: (c[4] > 0).T @ (d * (c[5] > 0)), projected_back)),
    ],
)


def scaled_residual(x, a):
    return x + a * np.tanh(x), (x, a)


group(
    "residual with a learnt scale",
    scaled_residual,
    normal((4, 5), (1,)),
    [
        ("both", "", lambda dy, c: (dy * (1 + c[1] * (1 - np.tanh(c[0]) ** 2)), np.array([(dy * np.tanh(c[0])).sum()]))),
        ("scale forgotten in dx", "missing term", lambda dy, c: (dy * (1 + (1 - np.tanh(c[0]) ** 2)), np.array([(dy * np.tanh(c[0])).sum()]))),
        ("da from x", "missing term|wrong tensor", lambda dy, c: (dy * (1 + c[1] * (1 - np.tanh(c[0]) ** 2)), np.array([(dy * c[0]).sum()]))),
        ("da averaged", "constant factor", lambda dy, c: (dy * (1 + c[1] * (1 - np.tanh(c[0]) ** 2)), np.array([(dy * np.tanh(c[0])).mean()]))),
        ("1 multiplied for added", "missing term", lambda dy, c: (dy * c[1] * (1 - np.tanh(c[0]) ** 2), np.array([(dy * np.tanh(c[0])).sum()]))),
        ("tanh's slope at the output", "wrong tensor|wrong formula", lambda dy, c: (dy * (1 + c[1] * (1 - scaled_residual(*c)[0] ** 2)), np.array([(dy * np.tanh(c[0])).sum()]))),
        ("da not summed", "wrong shape", lambda dy, c: (dy * (1 + c[1] * (1 - np.tanh(c[0]) ** 2)), dy * np.tanh(c[0]))),
    ],
)

# convolutions, images (N, C, H, W), filters (F, C, K, K)


def conv_forward_naive(x, w, b, param):
    s, p = param["stride"], param["pad"]
    k = w.shape[2]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
    oh, ow = (xp.shape[2] - k) // s + 1, (xp.shape[3] - k) // s + 1
    out = np.zeros((len(x), len(w), oh, ow))
    for i in range(oh):
        for j in range(ow):
            out[:, :, i, j] = np.tensordot(xp[:, :, i * s : i * s + k, j * s : j * s + k], w, ((1, 2, 3), (1, 2, 3))) + b
    return out, (x, w, b, param)


def conv_backward_naive(dout, cache, stride=None, cut=None, assign=False, rows=0, pad=None, turn=None, samples=None):
    x, w, _, param = cache
    s, p, k = stride or param["stride"], param["pad"], w.shape[2]
    xp = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p))) if pad is None else np.pad(x, ((0, 0), (0, 0), (0, 2 * p), (0, 2 * p)))
    dxp, dw = np.zeros_like(xp), np.zeros_like(w)
    used = w if turn is None else turn(w)
    n = slice(samples)
    for i in range(dout.shape[2] - rows):
        for j in range(dout.shape[3]):
            at = np.s_[:, :, i * s : i * s + k, j * s : j * s + k]
            d = dout[:, :, i, j]
            part = np.tensordot(d, used, 1)
            dxp[at] = part if assign else dxp[at] + part
            dw += np.tensordot(d[n].T, xp[at][n], 1)
    dx = dxp[:, :, p : p + x.shape[2], p : p + x.shape[3]] if cut is None else cut(dxp, p)
    return dx, dw, dout.sum((0, 2, 3))


def _conv(**options):
    return lambda d, c: conv_backward_naive(d, c, **options)


def _conv_dx(**options):
    return swap(0, lambda d, c: conv_backward_naive(d, c, **options)[0], conv_backward_naive)


def _conv_dw(**options):
    return swap(1, lambda d, c: conv_backward_naive(d, c, **options)[1], conv_backward_naive)


def conv_arguments(rng):
    return *normal((2, 2, 5, 5), (2, 2, 3, 3), (2,))(rng), {"stride": 2, "pad": 1}


group(
    "naive convolution of stride 2",
    conv_forward_naive,
    conv_arguments,
    [
        ("loops", "", conv_backward_naive),
        ("stride forgotten", "stride or padding", _conv(stride=1)),
        ("stride forgotten in dw", "stride or padding", _conv_dw(stride=1)),
        ("padding not cut off", "wrong shape|stride or padding", _conv(cut=lambda dx, p: dx)),
        ("cut at the far end", "stride or padding", _conv(cut=lambda dx, p: dx[:, :, : -2 * p, : -2 * p])),
        ("overlaps assigned", "assigned|missing term", _conv(assign=True)),
        ("last row of outputs forgotten", "missing term", _conv(rows=1)),
        ("dw from x padded at one side", "stride or padding", _conv_dw(pad=1)),
        ("filters and channels exchanged", "transposed", _conv_dx(turn=lambda w: w.swapaxes(0, 1))),
        ("kernel flipped in dx", "flipped kernel", _conv_dx(turn=lambda w: w[:, :, ::-1, ::-1])),
        ("kernel's rows and columns exchanged", "transposed", _conv_dx(turn=lambda w: w.swapaxes(2, 3))),
        ("dw of the first picture", "missing term", _conv_dw(samples=1)),
        ("db of pixels only", "wrong shape|wrong axis", swap(2, lambda d, c: d.sum((2, 3)), conv_backward_naive)),
        ("db averaged over pixels", "constant factor", swap(2, lambda d, c: d.mean((2, 3)).sum(0), conv_backward_naive)),
        ("dw flipped", "flipped kernel", swap(1, lambda d, c: conv_backward_naive(d, c)[1][:, :, ::-1, ::-1], conv_backward_naive)),
        ("dw of the first channel for all", "wrong tensor|wrong formula", swap(1, lambda d, c: np.repeat(conv_backward_naive(d, c)[1][:, :1], 2, 1), conv_backward_naive)),
    ],
)


def im2col(x, k):
    oh, ow = x.shape[2] - k + 1, x.shape[3] - k + 1
    cols = [x[:, :, a : a + oh, c : c + ow] for a in range(k) for c in range(k)]
    return np.stack(cols, 2).reshape(len(x), x.shape[1] * k * k, -1)


def conv_columns(x, w):
    cols = im2col(x, w.shape[2])
    oh, ow = x.shape[2] - w.shape[2] + 1, x.shape[3] - w.shape[3] + 1
    return (w.reshape(len(w), -1) @ cols).reshape(len(x), len(w), oh, ow), (x.shape, cols, w)


def col2im(dcols, shape, k, add=True):
    dx = np.zeros(shape)
    oh, ow = shape[2] - k + 1, shape[3] - k + 1
    parts = dcols.reshape(*shape[:2], k, k, oh, ow)
    for a in range(k):
        for c in range(k):
            old = dx[:, :, a : a + oh, c : c + ow]
            dx[:, :, a : a + oh, c : c + ow] = old + parts[:, :, a, c] if add else parts[:, :, a, c]
    return dx


def conv_columns_back(dout, cache, add=True, order=False):
    shape, cols, w = cache
    d = dout.reshape(*dout.shape[:2], -1)
    dw = np.einsum("nfp,nqp->fq", d, cols).reshape(w.shape)
    flat = w.swapaxes(2, 3) if order else w
    return col2im(flat.reshape(len(w), -1).T @ d, shape, w.shape[2], add), dw


group(
    "convolution by columns",
    conv_columns,
    normal((2, 2, 4, 4), (3, 2, 2, 2)),
    [
        ("col2im", "", conv_columns_back),
        ("col2im assigns", "assigned|missing term", lambda d, c: conv_columns_back(d, c, add=False)),
        ("dw not reshaped", "wrong shape", swap(1, lambda d, c: np.einsum("nfp,nqp->fq", d.reshape(2, 3, -1), c[1]), conv_columns_back)),
        ("dw reshaped in another order", "transposed|wrong formula", swap(1, lambda d, c: conv_columns_back(d, c)[1].reshape(3, 2, 2, 2).transpose(0, 2, 3, 1).reshape(3, 2, 2, 2), conv_columns_back)),
        ("kernel's rows and columns exchanged", "transposed", swap(0, lambda d, c: conv_columns_back(d, c, order=True)[0], conv_columns_back)),
        ("dw averaged over positions", "constant factor", swap(1, lambda d, c: conv_columns_back(d, c)[1] / 9, conv_columns_back)),
    ],
)


def causal(x, k):
    """Return y[t] = Σ k[i] x[t − i]."""
    y = np.zeros_like(x)
    for i in range(len(k)):
        y[:, i:] += k[i] * x[:, : x.shape[1] - i]
    return y, (x, k)


def causal_back(dy, c, ahead=True, dk_shift=0, taps=0):
    x, k = c
    n = x.shape[1]
    dx, dk = np.zeros_like(x), np.zeros_like(k)
    for i in range(len(k) - taps):
        if ahead:
            dx[:, : n - i] += k[i] * dy[:, i:]
        else:
            dx[:, i:] += k[i] * dy[:, : n - i]
        j = i + dk_shift
        dk[i] = (dy[:, j:] * x[:, : n - j]).sum()
    return dx, dk


group(
    "causal convolution",
    causal,
    normal((3, 7), (3,)),
    [
        ("looks ahead", "", causal_back),
        ("np.convolve", "", lambda dy, c: (np.stack([np.convolve(d, c[1][::-1])[2:] for d in dy]), causal_back(dy, c)[1])),
        ("looks back in dx", "transposed|flipped kernel", lambda dy, c: causal_back(dy, c, ahead=False)),
        ("dk a step late", "stride or padding|wrong formula", swap(1, lambda d, c: causal_back(d, c, dk_shift=1)[1], causal_back)),
        ("last tap forgotten", "missing term", lambda dy, c: causal_back(dy, c, taps=1)),
        ("dk reversed", "flipped kernel|transposed", swap(1, lambda d, c: causal_back(d, c)[1][::-1], causal_back)),
        ("dk averaged over the batch", "constant factor", swap(1, lambda d, c: causal_back(d, c)[1] / 3, causal_back)),
    ],
)


def deconv(x, w, b, stride, crop):
    n, _, h, v = x.shape
    k = w.shape[2]
    y = np.zeros((n, w.shape[1], (h - 1) * stride + k, (v - 1) * stride + k))
    for i in range(h):
        for j in range(v):
            y[:, :, i * stride : i * stride + k, j * stride : j * stride + k] += np.tensordot(x[:, :, i, j], w, 1)
    return y[:, :, crop : y.shape[2] - crop, crop : y.shape[3] - crop] + b[:, None, None], (x, w, stride, crop)


def deconv_back(dy, cache, stride=None, crop=None, turn=None, end=False):
    x, w, s, p = cache
    s, k = stride or s, w.shape[2]
    p = p if crop is None else crop
    frame = (0, 2 * p) if end else (p, p)
    d = np.pad(dy, ((0, 0), (0, 0), frame, frame))
    d = np.pad(d, ((0, 0), (0, 0), (0, 2), (0, 2)))
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    used = w if turn is None else turn(w)
    for i in range(x.shape[2]):
        for j in range(x.shape[3]):
            part = d[:, :, i * s : i * s + k, j * s : j * s + k]
            dx[:, :, i, j] = np.tensordot(part, used, ((1, 2, 3), (1, 2, 3)))
            dw += np.tensordot(x[:, :, i, j].T, part, 1)
    return dx, dw, dy.sum((0, 2, 3))


def _deconv(**options):
    return lambda d, c: deconv_back(d, c, **options)


def _deconv_dx(**options):
    return swap(0, lambda d, c: deconv_back(d, c, **options)[0], deconv_back)


group(
    "transposed convolution, cropped",
    deconv,
    lambda rng: (*normal((2, 2, 3, 3), (2, 2, 3, 3), (2,))(rng), 2, 1),
    [
        ("gathered", "", deconv_back),
        ("crop forgotten", "stride or padding", _deconv(crop=0)),
        ("crop at the end only", "stride or padding", _deconv(end=True)),
        ("stride forgotten", "stride or padding", _deconv(stride=1)),
        ("kernel flipped", "flipped kernel", _deconv_dx(turn=lambda w: w[:, :, ::-1, ::-1])),
        ("channels exchanged", "transposed", _deconv_dx(turn=lambda w: w.swapaxes(0, 1))),
        ("dw with channels exchanged", "transposed", swap(1, lambda d, c: deconv_back(d, c)[1].swapaxes(0, 1), deconv_back)),
        ("db of every picture", "wrong shape|wrong axis", swap(2, lambda d, c: d.sum((2, 3)), deconv_back)),
        ("dw halved", "constant factor", swap(1, lambda d, c: deconv_back(d, c)[1] / 2, deconv_back)),
    ],
)
group(
    "transposed convolution, not cropped",
    deconv,
    lambda rng: (*normal((2, 2, 2, 2), (2, 3, 2, 2), (3,))(rng), 2, 0),
    [
        ("gathered", "", deconv_back),
        ("cut by −crop", "empty slice|wrong shape", swap(0, lambda d, c: deconv_back(d, c)[0][:, :, c[3] : -c[3], c[3] : -c[3]], deconv_back)),
        ("dw by einsum", "", swap(1, lambda d, c: np.einsum("ncij,nfiajb->cfab", c[0], d.reshape(2, 3, 2, 2, 2, 2)), deconv_back)),
    ],
)

# Fourier transforms


def spectral(x, g):
    """Return x with the gains g on its frequencies."""
    return np.fft.irfft(np.fft.rfft(x) * g, x.shape[1]), (x, g)


def spectral_back(dy, c, double=True, conj=True, n=None):
    x, g = c
    both = np.fft.rfft(dy) * (np.conj(np.fft.rfft(x)) if conj else np.fft.rfft(x))
    weight = np.array([1.0, 2, 2, 2, 1]) if double else 1.0
    return spectral(dy, g)[0], (both.real * weight).sum(0) / (n or x.shape[1])


group(
    "gains of frequencies",
    spectral,
    normal((3, 8), (5,)),
    [
        ("real gains are their own adjoint", "", spectral_back),
        ("by a matrix", "", lambda dy, c: (dy @ spectral(np.eye(8), c[1])[0].T, spectral_back(dy, c)[1])),
        ("mirrored half forgotten", "missing term|constant factor", lambda dy, c: spectral_back(dy, c, double=False)),
        ("conjugate forgotten in dg", "wrong formula|transposed", lambda dy, c: spectral_back(dy, c, conj=False)),
        ("length forgotten in dg", "constant factor", lambda dy, c: spectral_back(dy, c, n=1)),
        ("gains forgotten in dx", "missing term", swap(0, lambda d, c: d.copy(), spectral_back)),
        ("divided by the gains in dx", "wrong formula", swap(0, lambda d, c: spectral(d, 1 / c[1])[0], spectral_back)),
        ("dg of each signal", "wrong shape", swap(1, lambda d, c: np.array([spectral_back(d[i : i + 1], (c[0][i : i + 1], c[1]))[1] for i in range(3)]), spectral_back)),
    ],
)


def sine_part(x):
    return np.fft.fft(x, axis=-1).imag, None


group(
    "imaginary part of the FFT",
    sine_part,
    normal((2, 3, 5)),
    [
        ("once more", "", lambda dy, _: np.fft.fft(dy, axis=-1).imag),
        ("sines", "", lambda dy, _: -dy @ np.sin(2 * np.pi * np.outer(np.arange(5), np.arange(5)) / 5)),
        ("inverse", "constant factor", lambda dy, _: np.fft.ifft(dy, axis=-1).imag),
        ("real part", "wrong formula|wrong tensor", lambda dy, _: np.fft.fft(dy, axis=-1).real),
        ("along another axis", "wrong axis", lambda dy, _: np.fft.fft(dy, axis=1).imag),
    ],
)


def blur2(x):
    f = np.fft.fft2(x)
    f[:, 2:-1] = 0
    f[:, :, 2:-1] = 0
    return np.fft.ifft2(f).real, None


def autocorrelation(x):
    f = np.fft.rfft(x)
    return np.fft.irfft(np.abs(f) ** 2, 6), f


group(
    "autocorrelation by FFT",
    autocorrelation,
    normal((3, 6)),
    [
        ("both factors", "", lambda dy, f: np.fft.irfft(2 * np.fft.rfft(dy).real * f, 6)),
        ("one factor held fixed", "missing term", lambda dy, f: np.fft.irfft(np.fft.rfft(dy) * f, 6)),
        ("2 forgotten", "constant factor", lambda dy, f: np.fft.irfft(np.fft.rfft(dy).real * f, 6)),
        ("dy alone twice", "missing term", lambda dy, f: np.fft.irfft(2 * np.fft.rfft(dy).real, 6)),
        ("dy of ones", "upstream ignored", lambda dy, f: np.fft.irfft(2 * np.fft.rfft(np.ones_like(dy)).real * f, 6)),
    ],
)
group(
    "low-pass of pictures by FFT",
    blur2,
    normal((2, 6, 6)),
    [
        ("itself", "", lambda dy, _: blur2(dy)[0]),
        ("identity", "missing term", lambda dy, _: dy.copy()),
        ("scaled by the pixels", "constant factor", lambda dy, _: 36 * blur2(dy)[0]),
        ("filtered along the rows only", "missing term|wrong axis", lambda dy, _: (lambda f: np.fft.ifft(np.where(np.isin(np.arange(6), (0, 1, 5)), f, 0)).real)(np.fft.fft(dy))),
        ("high-pass", "wrong mask|wrong formula", lambda dy, _: dy - blur2(dy)[0]),
    ],
)

# regression losses that return (loss, gradient), targets (4, 3)

TARGET = np.array([[0.3, -1.2, 0.8], [1.5, 0.1, -0.4], [-0.9, 2.0, 0.6], [0.2, -0.5, 1.1]])
SHARE = np.array([[0.5], [2.0], [1.0], [3.0]])
KNOWN = np.array([[1, 0, 1], [1, 1, 0], [0, 1, 1], [1, 1, 1]], bool)


def returning(value, gradient):
    """Return a function that returns the loss and its gradient, of d = p − target."""
    return lambda: lambda p: (value(p - TARGET), gradient(p - TARGET))


def _mse(gradient):
    return returning(lambda d: (d * d).sum(1).mean(), gradient)


layer(
    "squared error summed over features",
    normal((4, 3)),
    [
        ("2 d / N", "", _mse(lambda d: 2 * d / 4)),
        ("divided by all elements", "constant factor", _mse(lambda d: 2 * d / d.size)),
        ("2 forgotten", "constant factor", _mse(lambda d: d / 4)),
        ("target minus prediction", "constant factor", _mse(lambda d: -2 * d / 4)),
        ("target forgotten", "missing term", _mse(lambda d: 2 * (d + TARGET) / 4)),
        ("d squared", "wrong formula|extra term", _mse(lambda d: 2 * d * d / 4)),
        ("mean over the batch", "wrong axis|wrong shape", _mse(lambda d: 2 * d.mean(0))),
    ],
)


def _rmse(gradient):
    return returning(lambda d: np.sqrt((d * d).mean()), gradient)


layer(
    "root mean squared error",
    normal((4, 3)),
    [
        ("chain", "", _rmse(lambda d: d / d.size / np.sqrt((d * d).mean()))),
        ("root forgotten", "constant factor|missing term", _rmse(lambda d: 2 * d / d.size)),
        ("multiplied by the root", "constant factor|wrong formula", _rmse(lambda d: d / d.size * np.sqrt((d * d).mean()))),
        ("N forgotten", "constant factor", _rmse(lambda d: d / np.sqrt((d * d).mean()))),
        ("sign of d", "wrong formula", _rmse(lambda d: np.sign(d) / d.size)),
    ],
)


def _masked(gradient):
    return returning(lambda d: (KNOWN * d * d).sum() / KNOWN.sum(), gradient)


layer(
    "squared error of known entries",
    normal((4, 3)),
    [
        ("masked", "", _masked(lambda d: 2 * KNOWN * d / KNOWN.sum())),
        ("mask forgotten", "wrong mask|missing term", _masked(lambda d: 2 * d / KNOWN.sum())),
        ("divided by all entries", "constant factor", _masked(lambda d: 2 * KNOWN * d / 12)),
        ("unknown entries", "wrong mask", _masked(lambda d: 2 * ~KNOWN * d / KNOWN.sum())),
    ],
)


def weighted_error(p, t, w):
    return (w * (p - t) ** 2).mean(), (p, t, w)


def weighted_back(dl, c):
    p, t, w = c
    d = p - t
    return dl * 2 * w * d / d.size, -dl * 2 * w * d / d.size, (dl * d * d / d.size).sum(1, keepdims=True)


group(
    "weighted squared error",
    weighted_error,
    lambda rng: (*normal((4, 3), (4, 3))(rng), SHARE.copy()),
    [
        ("all three", "", weighted_back),
        ("weights forgotten", "missing term", swap(0, lambda dl, c: dl * 2 * (c[0] - c[1]) / 12, weighted_back)),
        ("target's sign", "constant factor", swap(1, lambda dl, c: weighted_back(dl, c)[0], weighted_back)),
        ("weights' gradient not summed", "wrong shape", swap(2, lambda dl, c: dl * (c[0] - c[1]) ** 2 / 12, weighted_back)),
        ("weights' gradient averaged", "constant factor", swap(2, lambda dl, c: weighted_back(dl, c)[2] / 3, weighted_back)),
        ("weights' gradient without the square", "missing term", swap(2, lambda dl, c: (dl * (c[0] - c[1]) / 12).sum(1, keepdims=True), weighted_back)),
        ("target without gradient", "missing gradient", swap(1, lambda dl, c: np.zeros_like(c[1]), weighted_back)),
        ("weights squared", "extra term", swap(0, lambda dl, c: dl * 2 * c[2] ** 2 * (c[0] - c[1]) / 12, weighted_back)),
    ],
)


def l1(p, t):
    return np.abs(p - t).mean(axis=1).sum(), (p, t)


group(
    "L1 loss",
    l1,
    normal((4, 3), (4, 3)),
    [
        ("signs", "", lambda dl, c: (dl * np.sign(c[0] - c[1]) / 3, dl * np.sign(c[1] - c[0]) / 3)),
        ("where", "", lambda dl, c: (np.where(c[0] > c[1], dl, -dl) / 3, np.where(c[0] > c[1], -dl, dl) / 3)),
        ("sign of p", "wrong tensor|wrong mask", lambda dl, c: (dl * np.sign(c[0]) / 3, dl * np.sign(c[1] - c[0]) / 3)),
        ("divided by all", "constant factor", lambda dl, c: (dl * np.sign(c[0] - c[1]) / 12, dl * np.sign(c[1] - c[0]) / 12)),
        ("difference for its sign", "wrong formula|extra term", lambda dl, c: (dl * (c[0] - c[1]) / 3, dl * (c[1] - c[0]) / 3)),
        ("1 where above, 0 below", "missing term|wrong mask", lambda dl, c: (dl * (c[0] > c[1]) / 3, -dl * (c[0] > c[1]) / 3)),
        ("both of the same sign", "constant factor", lambda dl, c: (dl * np.sign(c[0] - c[1]) / 3,) * 2),
        ("integers", "integer arithmetic", lambda dl, c: (np.sign(c[0] - c[1]).astype(int) * dl // 3, dl * np.sign(c[1] - c[0]) / 3)),
    ],
)


def _smooth(gradient, beta=0.5):
    return returning(lambda d: np.where(np.abs(d) < beta, d * d / (2 * beta), np.abs(d) - beta / 2).mean(), lambda d: gradient(d, np.abs(d) < beta, beta) / 12)


layer(
    "smooth L1 with β",
    normal((4, 3)),
    [
        ("where", "", _smooth(lambda d, near, beta: np.where(near, d / beta, np.sign(d)))),
        ("clip", "", _smooth(lambda d, near, beta: np.clip(d / beta, -1, 1))),
        ("β forgotten", "constant factor|missing term", _smooth(lambda d, near, beta: np.where(near, d, np.sign(d)))),
        ("branches exchanged", "wrong mask", _smooth(lambda d, near, beta: np.where(near, np.sign(d), d / beta))),
        ("other threshold", "wrong mask|wrong formula", _smooth(lambda d, near, beta: np.where(np.abs(d) < 1, d / beta, np.sign(d)))),
        ("1 for the sign", "constant factor|missing term", _smooth(lambda d, near, beta: np.where(near, d / beta, 1))),
    ],
)


def _logcosh(gradient):
    return returning(lambda d: np.log(np.cosh(d)).mean(), gradient)


layer(
    "log-cosh loss",
    normal((4, 3)),
    [
        ("tanh", "", _logcosh(lambda d: np.tanh(d) / 12)),
        ("sinh", "missing term", _logcosh(lambda d: np.sinh(d) / 12)),
        ("one over cosh", "missing term", _logcosh(lambda d: 1 / np.cosh(d) / 12)),
        ("slope of tanh", "wrong formula", _logcosh(lambda d: (1 - np.tanh(d) ** 2) / 12)),
        ("summed", "constant factor", _logcosh(lambda d: np.tanh(d))),
    ],
)

# losses of probabilities

BITS = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]])


def bce_logits(s, w):
    return (w * BITS * np.logaddexp(0, -s) + (1 - BITS) * np.logaddexp(0, s)).sum(1).mean(), (s, w)


def bce_logits_back(dl, c, weight=True, inner=True, flip=False):
    s, w = c
    p, k = sig(s), w if weight else 1.0
    ds = (1 - BITS) * p - k * BITS * (1 - p if inner else 1.0)
    return (-1 if flip else 1) * dl * ds / 4, dl * (BITS * np.logaddexp(0, -s)).sum(0) / 4


group(
    "cross-entropy of logits with weights of the positive class",
    bce_logits,
    lambda rng: (*normal((4, 3))(rng), rng.uniform(1.5, 3, 3)),
    [
        ("both labels", "", bce_logits_back),
        ("weight forgotten", "missing term", lambda dl, c: (bce_logits_back(dl, c, weight=False)[0], bce_logits_back(dl, c)[1])),
        ("weight on both labels", "extra term|wrong mask", swap(0, lambda dl, c: dl * c[1] * (sig(c[0]) - BITS) / 4, bce_logits_back)),
        ("1 − p forgotten", "missing term|wrong formula", lambda dl, c: bce_logits_back(dl, c, inner=False)),
        ("sign", "constant factor", lambda dl, c: bce_logits_back(dl, c, flip=True)),
        ("σ forgotten", "wrong tensor|missing term", swap(0, lambda dl, c: dl * ((1 - BITS) * c[0] - c[1] * BITS * (1 - c[0])) / 4, bce_logits_back)),
        ("labels exchanged", "wrong tensor|wrong mask", swap(0, lambda dl, c: dl * (BITS * sig(c[0]) - c[1] * (1 - BITS) * (1 - sig(c[0]))) / 4, bce_logits_back)),
        ("σ's slope once more", "extra term", swap(0, lambda dl, c: bce_logits_back(dl, c)[0] * sig(c[0]) * sig(-c[0]), bce_logits_back)),
        ("weights' gradient over all classes", "wrong axis", swap(1, lambda dl, c: np.full(3, dl * (BITS * np.logaddexp(0, -c[0])).sum() / 4), bce_logits_back)),
        ("weights' gradient without labels", "missing term|wrong mask", swap(1, lambda dl, c: dl * np.logaddexp(0, -c[0]).sum(0) / 4, bce_logits_back)),
    ],
)


def bce_eps(p):
    return -(BITS * np.log(p + 1e-3) + (1 - BITS) * np.log(1 - p + 1e-3)).mean(), p


group(
    "binary cross-entropy with ε",
    bce_eps,
    lambda rng: (np.where(np.arange(12).reshape(4, 3) == 2, 0.0, rng.uniform(0.1, 0.9, (4, 3))),),
    [
        ("ε in backward too", "", lambda dl, p: dl * ((1 - BITS) / (1 - p + 1e-3) - BITS / (p + 1e-3)) / 12),
        ("ε forgotten in backward", "not finite", lambda dl, p: dl * ((1 - BITS) / (1 - p) - BITS / p) / 12),
    ],
)
group(
    "binary cross-entropy inside (0, 1)",
    bce_eps,
    uniform(0.1, 0.9, (4, 3)),
    [
        ("p (1 − p) multiplied", "wrong formula|extra term", lambda dl, p: dl * (p - BITS) * p * (1 - p) / 12),
        ("labels 0 forgotten", "missing term", lambda dl, p: -dl * BITS / (p + 1e-3) / 12),
        ("labels 0 of the other sign", "constant factor", lambda dl, p: -dl * ((1 - BITS) / (1 - p + 1e-3) + BITS / (p + 1e-3)) / 12),
        ("1 − p for p", "wrong tensor|wrong formula", lambda dl, p: dl * ((1 - BITS) / (p + 1e-3) - BITS / (1 - p + 1e-3)) / 12),
        ("dl and N forgotten", "constant factor|upstream ignored", lambda dl, p: (1 - BITS) / (1 - p + 1e-3) - BITS / (p + 1e-3)),
    ],
)


def kl(p, q):
    return (p * (np.log(p) - np.log(q))).sum(1).mean(), (p, q)


def kl_back(dl, c):
    p, q = c
    return dl * (np.log(p / q) + 1) / len(p), -dl * p / q / len(p)


group(
    "KL divergence of two tables",
    kl,
    uniform(0.1, 0.9, (3, 4), (3, 4)),
    [
        ("both", "", kl_back),
        ("1 forgotten", "missing term", swap(0, lambda dl, c: dl * np.log(c[0] / c[1]) / 3, kl_back)),
        ("q's sign", "constant factor", swap(1, lambda dl, c: dl * c[0] / c[1] / 3, kl_back)),
        ("q over p", "wrong formula|wrong tensor", swap(1, lambda dl, c: -dl * c[1] / c[0] / 3, kl_back)),
        ("p forgotten in dq", "missing term", swap(1, lambda dl, c: -dl / c[1] / 3, kl_back)),
        ("gradient of the other argument", "wrong tensor", lambda dl, c: kl_back(dl, c)[::-1]),
        ("q is a constant", "missing gradient", swap(1, lambda dl, c: np.zeros_like(c[1]), kl_back)),
        ("mean over all", "constant factor", lambda dl, c: tuple(g / 4 for g in kl_back(dl, c))),
    ],
)

TEACHER = softmax(np.arange(12).reshape(3, 4) % 5 * 0.7)


def distillation(s):
    p = softmax(s / 2)
    return 4 * (TEACHER * (np.log(TEACHER) - np.log(p))).sum(1).mean(), p


group(
    "distillation at temperature 2",
    distillation,
    normal((3, 4)),
    [
        ("2 (p − t)", "", lambda dl, p: dl * 2 * (p - TEACHER) / 3),
        ("temperature's square forgotten", "constant factor", lambda dl, p: dl * (p - TEACHER) / 2 / 3),
        ("teacher forgotten", "missing term", lambda dl, p: dl * 2 * p / 3),
        ("−t / p", "missing term|wrong formula", lambda dl, p: -dl * 4 * TEACHER / p / 3),
        ("−t / p through half a softmax", "missing term", lambda dl, p: -dl * 2 * TEACHER * (1 - p) / 3),
    ],
)


def vae_kl(mu, sigma):
    return (0.5 * (mu**2 + sigma**2) - np.log(sigma) - 0.5).sum() / len(mu), (mu, sigma)


group(
    "KL divergence of a Gaussian by σ",
    vae_kl,
    lambda rng: (*normal((4, 2))(rng), rng.uniform(0.4, 2, (4, 2))),
    [
        ("both", "", lambda dl, c: (dl * c[0] / 4, dl * (c[1] - 1 / c[1]) / 4)),
        ("log forgotten", "missing term", lambda dl, c: (dl * c[0] / 4, dl * c[1] / 4)),
        ("1 for 1/σ", "missing term|wrong formula", lambda dl, c: (dl * c[0] / 4, dl * (c[1] - 1) / 4)),
        ("σ's square forgotten", "missing term", lambda dl, c: (dl * c[0] / 4, -dl / c[1] / 4)),
        ("2 μ", "constant factor", lambda dl, c: (2 * dl * c[0] / 4, dl * (c[1] - 1 / c[1]) / 4)),
        ("as if by log σ", "extra term", lambda dl, c: (dl * c[0] / 4, dl * (c[1] ** 2 - 1) / 4)),
    ],
)

# dropout with a given mask, embedding, concatenation

KEPT = np.array([[1, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 1], [1, 0, 0, 1]])


def dropout(x):
    return x * KEPT / 0.6, None


group(
    "dropout with a given mask",
    dropout,
    normal((4, 4)),
    [
        ("mask and scale", "", lambda dy, _: dy * KEPT / 0.6),
        ("where", "", lambda dy, _: np.where(KEPT, dy / 0.6, 0)),
        ("scale forgotten", "constant factor", lambda dy, _: dy * KEPT),
        ("scale twice", "constant factor", lambda dy, _: dy * KEPT / 0.36),
        ("mask forgotten", "wrong mask|missing term", lambda dy, _: dy / 0.6),
        ("scale only where dropped", "wrong mask", lambda dy, _: dy * (1 - KEPT) / 0.6),
        ("mask transposed", "wrong mask|transposed", lambda dy, _: dy * KEPT.T / 0.6),
        ("first row's mask for all", "wrong mask", lambda dy, _: dy * KEPT[0] / 0.6),
        ("as at test time", "wrong mask|missing term", lambda dy, _: dy.copy()),
        ("mask multiplied into dy", "upstream overwritten", lambda dy, _: np.multiply(dy, KEPT / 0.6, out=dy)),
        ("integer buffer", "integer arithmetic", lambda dy, _: _filled(np.zeros_like(KEPT), dy * KEPT / 0.6)),
    ],
)


def _filled(buffer, values):
    buffer[...] = values
    return buffer


def dropout_relu(x):
    y = np.maximum(x, 0) * KEPT
    return y, (x, y)


group(
    "ReLU and dropout",
    dropout_relu,
    normal((4, 4)),
    [
        ("both masks", "", lambda dy, c: dy * KEPT * (c[0] > 0)),
        ("y's own mask", "", lambda dy, c: dy * (c[1] > 0)),
        ("ReLU's mask only", "wrong mask|missing term", lambda dy, c: dy * (c[0] > 0)),
        ("dropout's mask only", "wrong mask|missing term", lambda dy, c: dy * KEPT),
        ("either mask", "wrong mask", lambda dy, c: dy * np.maximum(KEPT, c[0] > 0)),
        ("y != 0 upside down", "wrong mask", lambda dy, c: dy * (c[1] == 0)),
    ],
)

TOKENS = np.array([[1, 4, 1, 0], [2, 1, 4, 4]])


def positions(table, place):
    return table[TOKENS] * 2.0 + place, (table, place)


def positions_back(dy, c, ids=TOKENS):
    dtable = np.zeros_like(c[0])
    np.add.at(dtable, ids, 2.0 * dy)
    return dtable, dy.sum(0)


def _embed_loop(dy, c, add=True, pad=None, start=0):
    dtable = np.zeros_like(c[0])
    for n in range(2):
        for t in range(start, 4):
            if TOKENS[n, t] != pad:
                i = TOKENS[n, t]
                dtable[i] = dtable[i] * add + 2 * dy[n, t]
    return dtable


group(
    "embedding with positions",
    positions,
    normal((5, 3), (4, 3)),
    [
        ("add.at", "", positions_back),
        ("loops", "", swap(0, _embed_loop, positions_back)),
        ("one hot", "", swap(0, lambda d, c: 2 * np.tensordot(np.eye(5)[TOKENS], d, ((0, 1), (0, 1))), positions_back)),
        ("last occurrence", "assigned|missing term", swap(0, lambda d, c: _embed_loop(d, c, add=False), positions_back)),
        ("word 0 taken for padding", "missing term|wrong mask", swap(0, lambda d, c: _embed_loop(d, c, pad=0), positions_back)),
        ("loop from the second word", "missing term", swap(0, lambda d, c: _embed_loop(d, c, start=1), positions_back)),
        ("scale forgotten", "constant factor", swap(0, lambda d, c: positions_back(d, c)[0] / 2, positions_back)),
        ("words off by one", "wrong formula|transposed", swap(0, lambda d, c: positions_back(d, c, (TOKENS + 1) % 5)[0], positions_back)),
        ("positions not summed", "wrong shape", swap(1, lambda d, c: d.copy(), positions_back)),
        ("positions averaged", "constant factor", swap(1, lambda d, c: d.mean(0), positions_back)),
        ("positions of the first sentence", "missing term", swap(1, lambda d, c: d[0], positions_back)),
        ("positions summed over time", "wrong axis", swap(1, lambda d, c: np.tile(d.sum((0, 1)), (4, 1)), positions_back)),
        ("integer table", "integer arithmetic", swap(0, lambda d, c: positions_back(d, c)[0].astype(TOKENS.dtype), positions_back)),
    ],
)


def concatenate(a, b, c):
    return np.concatenate([a, 2 * b, c], axis=1), [a.shape[1], b.shape[1]]


def concatenate_back(dy, sizes):
    i, j = sizes[0], sizes[0] + sizes[1]
    return dy[:, :i], 2 * dy[:, i:j], dy[:, j:]


group(
    "concatenation of three",
    concatenate,
    normal((3, 2), (3, 2), (3, 2)),
    [
        ("slices", "", concatenate_back),
        ("split", "", lambda dy, s: [part * k for part, k in zip(np.split(dy, np.cumsum(s), 1), (1, 2, 1), strict=True)]),
        ("two parts exchanged", "wrong tensor", lambda dy, s: tuple(concatenate_back(dy, s)[k] for k in (0, 2, 1))),
        ("first part for all", "wrong tensor", lambda dy, s: (dy[:, :2], 2 * dy[:, :2], dy[:, :2])),
        ("2 forgotten", "constant factor", lambda dy, s: tuple(np.split(dy, 3, 1))),
        ("off by one at the border", "stride or padding|wrong tensor|wrong formula", swap(1, lambda d, s: 2 * d[:, s[0] + 1 : s[0] + s[1] + 1], concatenate_back)),
        ("second boundary without the first", "wrong shape", swap(2, lambda d, s: d[:, s[1] :], concatenate_back)),
        ("third forgotten", "missing gradient", lambda dy, s: (*concatenate_back(dy, s)[:2], np.zeros((3, 2)))),
        ("every third column", "transposed|wrong tensor", lambda dy, s: (dy[:, ::3], 2 * dy[:, 1::3], dy[:, 2::3])),
    ],
)


def dense_block(x, w):
    return np.hstack([x, np.tanh(x @ w)]), (x, w)


def dense_block_back(dy, c, skip=1.0, branch=1.0):
    x, w = c
    k = x.shape[1]
    d = dy[:, k:] * (1 - np.tanh(x @ w) ** 2)
    return skip * dy[:, :k] + branch * d @ w.T, x.T @ d


group(
    "dense block",
    dense_block,
    normal((4, 3), (3, 3)),
    [
        ("copy and branch", "", dense_block_back),
        ("copy's way forgotten", "missing term", lambda dy, c: dense_block_back(dy, c, skip=0)),
        ("branch's way forgotten", "missing term", lambda dy, c: dense_block_back(dy, c, branch=0)),
        ("halves of dy exchanged", "wrong tensor|transposed", lambda dy, c: dense_block_back(np.roll(dy, 3, 1), c)),
        ("tanh's slope forgotten in dw", "missing term", swap(1, lambda d, c: c[0].T @ d[:, 3:], dense_block_back)),
        ("dw from the copy's half", "wrong tensor", swap(1, lambda d, c: c[0].T @ (d[:, :3] * (1 - np.tanh(c[0] @ c[1]) ** 2)), dense_block_back)),
    ],
)

# larger pictures (N, C, H, W)


def nearest3(x):
    return x.repeat(3, axis=2).repeat(3, axis=3), x.shape


def nearest3_loop(dy, shape, add=True, rows=3):
    dx = np.zeros(shape)
    for a in range(rows):
        for b in range(3):
            dx = dx * add + dy[:, :, a::3, b::3]
    return dx


group(
    "nearest upsampling by 3",
    nearest3,
    normal((2, 2, 2, 3)),
    [
        ("nine slices", "", nearest3_loop),
        ("reduceat", "", lambda dy, s: np.add.reduceat(np.add.reduceat(dy, range(0, 6, 3), 2), range(0, 9, 3), 3)),
        ("average", "constant factor", lambda dy, s: dy.reshape(2, 2, 2, 3, 3, 3).mean((3, 5))),
        ("last slice", "assigned|missing term", lambda dy, s: nearest3_loop(dy, s, add=False)),
        ("two rows of three", "missing term", lambda dy, s: nearest3_loop(dy, s, rows=2)),
        ("summed as if tiled", "transposed|wrong formula|wrong axis", lambda dy, s: dy.reshape(2, 2, 3, 2, 3, 3).sum((2, 4))),
        ("centre of each block", "missing term", lambda dy, s: dy[:, :, 1::3, 1::3]),
        ("shifted by one", "stride or padding", lambda dy, s: nearest3_loop(np.roll(dy, -1, (2, 3)), s)),
    ],
)


def tiled(x):
    return np.tile(x, (1, 2, 2)), x.shape


group(
    "tiling",
    tiled,
    normal((2, 3, 4)),
    [
        ("sum of quarters", "", lambda dy, s: dy[:, :3, :4] + dy[:, 3:, :4] + dy[:, :3, 4:] + dy[:, 3:, 4:]),
        ("summed as if repeated", "transposed|wrong formula|wrong axis", lambda dy, s: dy.reshape(2, 3, 2, 4, 2).sum((2, 4))),
        ("first quarter", "missing term", lambda dy, s: dy[:, :3, :4]),
        ("mean of quarters", "constant factor", lambda dy, s: (dy[:, :3] + dy[:, 3:]).reshape(2, 3, 2, 4).sum(2) / 4),
    ],
)


def spread_out(x):
    y = np.zeros((len(x), 2 * x.shape[1], 2 * x.shape[2]))
    y[:, ::2, ::2] = x
    return y, None


group(
    "upsampling with zeros",
    spread_out,
    normal((2, 3, 3)),
    [
        ("every second", "", lambda dy, _: dy[:, ::2, ::2]),
        ("every second from 1", "stride or padding|wrong formula", lambda dy, _: dy[:, 1::2, 1::2]),
        ("stride forgotten", "stride or padding", lambda dy, _: dy[:, :3, :3]),
        ("sum of the block", "extra term", lambda dy, _: dy.reshape(2, 3, 2, 3, 2).sum((2, 4))),
    ],
)


def pixel_shuffle(x, r=2):
    n, c, h, w = x.shape
    return x.reshape(n, c // r**2, r, r, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // r**2, h * r, w * r), r


def pixel_unshuffle(dy, r, order=(0, 1, 3, 5, 2, 4)):
    n, c, h, w = dy.shape
    return dy.reshape(n, c, h // r, r, w // r, r).transpose(order).reshape(n, c * r * r, h // r, w // r)


group(
    "pixel shuffle, channels first",
    pixel_shuffle,
    normal((2, 8, 2, 2)),
    [
        ("unshuffled", "", pixel_unshuffle),
        ("slices", "", lambda dy, r: np.stack([dy[:, :, a::2, b::2] for a in range(2) for b in range(2)], 2).reshape(2, 8, 2, 2)),
        ("block's rows and columns exchanged", "transposed", lambda dy, r: pixel_unshuffle(dy, r, (0, 1, 5, 3, 2, 4))),
        ("channels last in the block", "transposed|wrong formula", lambda dy, r: pixel_unshuffle(dy, r, (0, 3, 5, 1, 2, 4))),
        ("forward's order", "transposed|wrong formula", lambda dy, r: pixel_unshuffle(dy, r, (0, 1, 4, 2, 5, 3))),
        ("only reshaped", "transposed|wrong formula", lambda dy, r: dy.reshape(2, 8, 2, 2)),
        ("averaged", "constant factor", lambda dy, r: pixel_unshuffle(dy, r) / 4),
        ("first of each block", "missing term", lambda dy, r: np.repeat(dy[:, :, ::2, ::2], 4, 1) * (np.arange(8) % 4 == 0)[:, None, None]),
    ],
)

AT = np.clip((np.arange(8) + 0.5) / 2 - 0.5, 0, 3)
LOW = np.minimum(AT.astype(int), 2)
FRAC = AT - LOW


def bilinear(x):
    return (1 - FRAC) * x[:, LOW] + FRAC * x[:, LOW + 1], x.shape


def bilinear_back(dy, shape, low=LOW, frac=FRAC, upper=1.0, add=True):
    dx = np.zeros(shape)
    for j in range(8):
        for i, f in ((low[j], 1 - frac[j]), (min(low[j] + 1, 3), upper * frac[j])):
            dx[:, i] = dx[:, i] * add + f * dy[:, j]
    return dx


group(
    "linear interpolation to twice the length",
    bilinear,
    normal((3, 4)),
    [
        ("two weights", "", bilinear_back),
        ("by a matrix", "", lambda dy, s: dy @ bilinear(np.eye(4))[0].T),
        ("weights exchanged", "wrong formula|wrong tensor|transposed", lambda dy, s: bilinear_back(dy, s, frac=1 - FRAC)),
        ("upper neighbour forgotten", "missing term", lambda dy, s: bilinear_back(dy, s, upper=0)),
        ("upper neighbour subtracted", "constant factor", lambda dy, s: bilinear_back(dy, s, upper=-1)),
        ("neighbours off by one", "stride or padding|wrong formula", lambda dy, s: bilinear_back(dy, s, low=np.minimum(LOW + 1, 3))),
        ("assigned", "assigned|missing term", lambda dy, s: bilinear_back(dy, s, add=False)),
        ("as if nearest", "wrong formula", lambda dy, s: dy[:, ::2] + dy[:, 1::2]),
    ],
)


def sample_at(x, t):
    """Return x read at the places t between its entries."""
    i = np.floor(t).astype(int)
    f = t - i
    return (1 - f) * x[i] + f * x[i + 1], (x, i, f)


def sample_at_back(dy, c):
    x, i, f = c
    dx = np.zeros_like(x)
    np.add.at(dx, i, (1 - f) * dy)
    np.add.at(dx, i + 1, f * dy)
    return dx, dy * (x[i + 1] - x[i])


def _buffered(dy, c):
    x, i, f = c
    dx = np.zeros_like(x)
    dx[i] += (1 - f) * dy
    dx[i + 1] += f * dy
    return dx


group(
    "reading between the entries",
    sample_at,
    lambda rng: (*normal((5,))(rng), np.array([0.3, 2.6, 2.2, 3.7, 0.8, 1.5])),
    [
        ("add.at", "", sample_at_back),
        ("places' sign", "constant factor", swap(1, lambda d, c: d * (c[0][c[1]] - c[0][c[1] + 1]), sample_at_back)),
        ("places without the lower entry", "missing term", swap(1, lambda d, c: d * c[0][c[1] + 1], sample_at_back)),
        ("places have no gradient", "missing gradient", swap(1, lambda d, c: np.zeros_like(d), sample_at_back)),
        ("+= with repeated indices", "assigned|missing term", swap(0, _buffered, sample_at_back)),
        ("places without dy", "upstream ignored", swap(1, lambda d, c: c[0][c[1] + 1] - c[0][c[1]], sample_at_back)),
    ],
)

# log-sum-exp, cosine, attention


def mellowmax(x):
    m = x.max(0)
    e = np.exp(3 * (x - m))
    return m + np.log(e.mean(0)) / 3, e


group(
    "log-mean-exp of columns, sharpness 3",
    mellowmax,
    normal((5, 3)),
    [
        ("softmax", "", lambda dy, e: dy * e / e.sum(0)),
        ("sharpness once more", "constant factor", lambda dy, e: 3 * dy * e / e.sum(0)),
        ("divided by the rows", "constant factor", lambda dy, e: dy * e / e.mean(0) / 25),
        ("normalised over the rows", "wrong axis", lambda dy, e: dy * e / e.sum(1, keepdims=True)),
        ("largest only", "wrong mask|wrong formula", lambda dy, e: dy * (e == e.max(0))),
        ("denominator forgotten", "missing term", lambda dy, e: dy * e),
        ("p squared", "extra term", lambda dy, e: dy * (e / e.sum(0)) ** 2),
        ("dy in the order of the rows", "exception|wrong axis", lambda dy, e: dy[:, None] * e / e.sum(0)),
    ],
)
group(
    "log-sum-exp of large numbers",
    lambda x: (x.max(1) + np.log(np.exp(x - x.max(1, keepdims=True)).sum(1)), x),
    uniform(800, 803, (3, 4)),
    [
        ("shifted", "", lambda dy, x: dy[:, None] * softmax(x)),
        ("not shifted", "not finite", lambda dy, x: dy[:, None] * np.exp(x) / np.exp(x).sum(1, keepdims=True)),
    ],
)
group(
    "logarithm of a sum of two exponentials",
    lambda a, b: (np.logaddexp(a, b), (a, b)),
    normal((3, 4), (3, 4)),
    [
        ("sigmoids of the difference", "", lambda dy, c: (dy * sig(c[0] - c[1]), dy * sig(c[1] - c[0]))),
        ("the rest", "", lambda dy, c: (dy * sig(c[0] - c[1]), dy - dy * sig(c[0] - c[1]))),
        ("same for both", "wrong tensor|wrong formula", lambda dy, c: (dy * sig(c[0] - c[1]),) * 2),
        ("exchanged", "wrong tensor", lambda dy, c: (dy * sig(c[1] - c[0]), dy * sig(c[0] - c[1]))),
        ("sigmoid of each alone", "missing term|wrong tensor", lambda dy, c: (dy * sig(c[0]), dy * sig(c[1]))),
        ("one minus forgotten", "missing term", lambda dy, c: (dy * sig(c[0] - c[1]), -dy * sig(c[0] - c[1]))),
        ("larger gets all", "wrong mask|wrong formula", lambda dy, c: (dy * (c[0] > c[1]), dy * (c[0] <= c[1]))),
    ],
)


def similarities(a, b):
    na, nb = np.linalg.norm(a, axis=1, keepdims=True), np.linalg.norm(b, axis=1, keepdims=True)
    return (a / na) @ (b / nb).T, (a, b, na, nb)


def similarities_back(ds, c, project=1.0, norm=True, axis=1):
    a, b, na, nb = c
    ua, ub = a / na, b / nb
    da, db = ds @ ub, ds.T @ ua
    da = da - project * ua * (da * ua).sum(axis, keepdims=True)
    return da / na if norm else da, (db - ub * (db * ub).sum(1, keepdims=True)) / nb


group(
    "table of cosine similarities",
    similarities,
    normal((4, 3), (4, 3)),
    [
        ("projections", "", similarities_back),
        ("norm of a is a constant", "missing term", lambda ds, c: similarities_back(ds, c, project=0)),
        ("projection added", "constant factor", lambda ds, c: similarities_back(ds, c, project=-1)),
        ("projection over the batch", "wrong axis", lambda ds, c: similarities_back(ds, c, axis=0)),
        ("not divided by the norm", "missing term", lambda ds, c: similarities_back(ds, c, norm=False)),
        ("ds not transposed in db", "transposed", swap(1, lambda d, c: similarities_back(d.T, c)[1], similarities_back)),
        ("da and db exchanged", "wrong tensor", lambda ds, c: similarities_back(ds, c)[::-1]),
        ("db from a not normalised", "missing term|wrong tensor", swap(1, lambda d, c: (d.T @ c[0] - c[1] / c[3] * (d.T @ c[0] * c[1] / c[3]).sum(1, keepdims=True)) / c[3], similarities_back)),
    ],
)


def query(x, k):
    """Return the cosines of the rows of x with one vector k."""
    return x @ k / (np.linalg.norm(x, axis=1) * np.linalg.norm(k)), (x, k)


def query_back(dy, c, second=1.0, power=2):
    x, k = c
    nx, nk, y = np.linalg.norm(x, axis=1), np.linalg.norm(k), query(*c)[0]
    dx = dy[:, None] * (k / (nx[:, None] * nk) - second * (y / nx**power)[:, None] * x)
    return dx, (dy / nx) @ x / nk - (dy * y).sum() * k / nk**2


group(
    "cosine with one vector",
    query,
    normal((5, 3), (3,)),
    [
        ("quotient rule", "", query_back),
        ("second term forgotten", "missing term", lambda dy, c: query_back(dy, c, second=0)),
        ("norm for its square", "missing term|wrong formula", lambda dy, c: query_back(dy, c, power=1)),
        ("dk of each row", "wrong shape", swap(1, lambda d, c: d[:, None] * c[0], query_back)),
        ("dk averaged over the rows", "constant factor", swap(1, lambda d, c: query_back(d, c)[1] / 5, query_back)),
        ("dk of the last row", "missing term|assigned", swap(1, lambda d, c: query_back(d[-1:], (c[0][-1:], c[1]))[1], query_back)),
    ],
)


def self_attention(x, wq, wk, wv):
    q, k, v = x @ wq, x @ wk, x @ wv
    s = q @ k.swapaxes(1, 2) / np.sqrt(q.shape[2]) + np.triu(np.full((x.shape[1],) * 2, -1e9), 1)
    p = softmax(s)
    return p @ v, (x, wq, wk, wv, q, k, v, p)


def self_attention_back(dout, cache, ways=(1, 1, 1), axis=-1, scale=1.0, turn=True, mask=None, wk_by=None, first=False):
    x, wq, wk, wv, q, k, v, p = cache
    dv = p.swapaxes(1, 2) @ dout
    dp = dout @ v.swapaxes(1, 2)
    ds = p * (dp - (dp * p).sum(axis, keepdims=True))
    if mask is not None:
        ds = np.where(np.tril(np.ones(ds.shape[1:])) > 0, ds, mask)
    ds = ds * scale / np.sqrt(q.shape[2])
    dq, dk = ds @ k, (ds.swapaxes(1, 2) if turn else ds) @ q
    dx = ways[0] * dq @ wq.T + ways[1] * dk @ wk.T + ways[2] * dv @ wv.T
    n = slice(1 if first else None)
    return dx, *(np.einsum("ntd,nte->de", x[n], d[n]) for d in (dq, dk, dv))


def _att(**options):
    return lambda d, c: self_attention_back(d, c, **options)


group(
    "causal self-attention",
    self_attention,
    normal((2, 4, 3), (3, 3), (3, 3), (3, 3)),
    [
        ("as derived", "", self_attention_back),
        ("masked in backward too", "", _att(mask=0.0)),
        ("dx through the values only", "missing term", _att(ways=(0, 0, 1))),
        ("dx without the keys' way", "missing term", _att(ways=(1, 0, 1))),
        ("softmax summed over the queries", "wrong axis", _att(axis=1)),
        ("scale twice", "constant factor", _att(scale=1 / np.sqrt(3))),
        ("scores not transposed for the keys", "transposed", _att(turn=False)),
        ("weights of the first sentence", "missing term", _att(first=True)),
        ("dwq and dwk exchanged", "wrong tensor", lambda d, c: tuple(self_attention_back(d, c)[i] for i in (0, 2, 1, 3))),
        ("dwv without the probabilities", "missing term", swap(3, lambda d, c: np.einsum("ntd,nte->de", c[0], d), self_attention_back)),
        ("dwv averaged over the sentences", "constant factor", swap(3, lambda d, c: self_attention_back(d, c)[3] / 2, self_attention_back)),
        ("wq in the keys' way", "wrong tensor", lambda d, c: (self_attention_back(d, (*c[:2], c[1], *c[3:]))[0], *self_attention_back(d, c)[1:])),
    ],
)


def additive(q, k, w, v):
    """Return the means of the values v with weights softmax(w · tanh(q + k))."""
    t = np.tanh(q[:, None] + k)
    p = softmax(t @ w)
    return np.einsum("nt,ntd->nd", p, v), (w, v, t, p)


def additive_back(dout, cache, slope=True, centre=1.0, spread=True):
    w, v, t, p = cache
    dp = np.einsum("nd,ntd->nt", dout, v)
    ds = p * (dp - centre * (dp * p).sum(1, keepdims=True))
    da = ds[:, :, None] * w * ((1 - t * t) if slope else 1.0)
    return da.sum(1) if spread else da.mean(1), da, np.einsum("nt,ntd->d", ds, t), p[:, :, None] * dout[:, None]


group(
    "additive attention",
    additive,
    normal((3, 2), (3, 4, 2), (2,), (3, 4, 2)),
    [
        ("as derived", "", additive_back),
        ("tanh's slope forgotten", "missing term", lambda d, c: additive_back(d, c, slope=False)),
        ("softmax without its sum", "missing term", lambda d, c: additive_back(d, c, centre=0)),
        ("dq averaged over the keys", "constant factor", lambda d, c: additive_back(d, c, spread=False)),
        ("dq of the last key", "missing term|assigned", swap(0, lambda d, c: additive_back(d, c)[1][:, -1], additive_back)),
        ("dv not weighted", "missing term", swap(3, lambda d, c: np.repeat(d[:, None], 4, 1), additive_back)),
        ("dv and dk exchanged", "wrong tensor", lambda d, c: tuple(additive_back(d, c)[i] for i in (0, 3, 2, 1))),
        ("dw from the scores' own weights", "wrong tensor|upstream ignored", swap(2, lambda d, c: np.einsum("nt,ntd->d", c[3], c[2]), additive_back)),
    ],
)

FIFTH = ROWS[_before:]
del ROWS[_before:]
