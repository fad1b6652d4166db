"""The third set: written before the diagnosis of today, and measured only when it was finished.

The rule of scoring, stated beforehand: a cause is *right* if the kind that is named first is the
row's, or one of the alternatives behind ``|`` that describe the same mistake in other words; *wrong*
if it is any other kind; *silent* if none is named.  A right row that is not passed is *accused*,
a wrong one that is passed *missed*.
"""

# ruff: noqa: E501 (a row a line)
import numpy as np

from specimens.table import ROWS, group, layer, normal, uniform
from tinygan import Layer, Parameter

_before = len(ROWS)


def sig(x):
    return 1 / (1 + np.exp(-x))


# linear: batches of sequences


def dense(x, w, b):
    return np.einsum("ntd,do->nto", x, w) + b, (x, w)


def dense_back(dy, c, axis=(0, 1)):
    x, w = c
    return dy @ w.T, np.tensordot(x, dy, ((0, 1), (0, 1))), dy.sum(axis)


group(
    "dense over time",
    dense,
    normal((3, 4, 5), (5, 2), (2,)),
    [
        ("tensordot", "", dense_back),
        ("flattened", "", lambda dy, c: (dy @ c[1].T, c[0].reshape(-1, 5).T @ dy.reshape(-1, 2), dy.reshape(-1, 2).sum(0))),
        ("loop over time", "", lambda dy, c: (np.stack([dy[:, t] @ c[1].T for t in range(4)], 1), sum(c[0][:, t].T @ dy[:, t] for t in range(4)), sum(dy[:, t].sum(0) for t in range(4)))),
        ("dw averaged over the batch", "constant factor", lambda dy, c: (dy @ c[1].T, np.tensordot(c[0], dy, ((0, 1), (0, 1))) / 3, dy.sum((0, 1)))),
        ("dw of the last step", "assigned|missing term", lambda dy, c: (dy @ c[1].T, c[0][:, -1].T @ dy[:, -1], dy.sum((0, 1)))),
        ("dw without the first step", "missing term", lambda dy, c: (dy @ c[1].T, sum(c[0][:, t].T @ dy[:, t] for t in range(1, 4)), dy.sum((0, 1)))),
        ("db over the batch only", "wrong shape|wrong axis", lambda dy, c: dense_back(dy, c, 0)),
        ("db averaged over time", "constant factor|wrong axis", lambda dy, c: (*dense_back(dy, c)[:2], dy.sum(0).mean(0))),
        ("dx of the summed dy", "wrong axis", lambda dy, c: (np.broadcast_to(dy.sum(1, keepdims=True), dy.shape) @ c[1].T, *dense_back(dy, c)[1:])),
        ("dw by outer sums", "missing term|wrong axis", lambda dy, c: (dy @ c[1].T, np.outer(c[0].sum((0, 1)), dy.sum((0, 1))), dy.sum((0, 1)))),
        ("db minus", "constant factor", lambda dy, c: (*dense_back(dy, c)[:2], -dy.sum((0, 1)))),
        ("dw ignores dy", "upstream ignored", lambda dy, c: (dy @ c[1].T, np.tensordot(c[0], np.ones_like(dy), ((0, 1), (0, 1))), dy.sum((0, 1)))),
    ],
)  # fmt: skip


def square_dense(x, w):
    return x @ w, (x, w)


group(
    "square dense",
    square_dense,
    normal((4, 4), (4, 4)),
    [
        ("w for its transpose", "transposed", lambda dy, c: (dy @ c[1], c[0].T @ dy)),
        ("x for its transpose", "transposed", lambda dy, c: (dy @ c[1].T, c[0] @ dy)),
        ("dw from dy.T", "transposed", lambda dy, c: (dy @ c[1].T, dy.T @ c[0])),
        ("dx by x", "wrong tensor", lambda dy, c: (dy @ c[0].T, c[0].T @ dy)),
        ("gradients in the wrong order", "wrong tensor", lambda dy, c: (c[0].T @ dy, dy @ c[1].T)),
        ("product on the other side", "transposed", lambda dy, c: (c[1].T @ dy, c[0].T @ dy)),
    ],
)


# activations


def gelu(x):
    return x * sig(1.702 * x), x


group(
    "quick GELU",
    gelu,
    normal((5, 4)),
    [
        (
            "product rule",
            "",
            lambda dy, x: dy * (sig(1.702 * x) + 1.702 * x * sig(1.702 * x) * (1 - sig(1.702 * x))),
        ),
        ("by y", "", lambda dy, x: dy * (sig(1.702 * x) * (1 + 1.702 * (x - gelu(x)[0])))),
        ("second term forgotten", "missing term", lambda dy, x: dy * sig(1.702 * x)),
        (
            "first term forgotten",
            "missing term",
            lambda dy, x: dy * 1.702 * x * sig(1.702 * x) * (1 - sig(1.702 * x)),
        ),
        (
            "1.702 forgotten inside",
            "missing term|constant factor",
            lambda dy, x: dy * (sig(1.702 * x) + x * sig(1.702 * x) * (1 - sig(1.702 * x))),
        ),
        (
            "minus",
            "constant factor",
            lambda dy, x: dy * (sig(1.702 * x) - 1.702 * x * sig(1.702 * x) * (1 - sig(1.702 * x))),
        ),
        (
            "dy twice",
            "extra term",
            lambda dy, x: (
                dy * dy * (sig(1.702 * x) + 1.702 * x * sig(1.702 * x) * (1 - sig(1.702 * x)))
            ),
        ),
        (
            "halved",
            "constant factor",
            lambda dy, x: (
                dy * (sig(1.702 * x) + 1.702 * x * sig(1.702 * x) * (1 - sig(1.702 * x))) / 2
            ),
        ),
    ],
)


def softplus(x):
    return np.log1p(np.exp(2 * x)) / 2, x


group(
    "softplus of steepness 2",
    softplus,
    normal((3, 5)),
    [
        ("sigmoid of 2x", "", lambda dy, x: dy * sig(2 * x)),
        ("stable", "", lambda dy, x: dy * np.exp(-np.logaddexp(0, -2 * x))),
        ("twice", "constant factor", lambda dy, x: 2 * dy * sig(2 * x)),
        (
            "sigmoid's slope once more",
            "extra term",
            lambda dy, x: dy * sig(2 * x) * (1 - sig(2 * x)),
        ),
        ("sign of the exponent", "wrong tensor|constant factor", lambda dy, x: dy * sig(-2 * x)),
        ("dy only", "missing term", lambda dy, x: dy.copy()),
        ("ignores dy", "upstream ignored", lambda dy, x: sig(2 * x)),
        (
            "integer zeros",
            "integer arithmetic",
            lambda dy, x: np.rint(dy * sig(2 * x) * 4).astype(int),
        ),
    ],
)

ALPHA = 0.7


def elu(x):
    y = np.where(x > 0, x, ALPHA * np.expm1(np.minimum(x, 0)))
    return y, (x, y)


group(
    "ELU of 0.7",
    elu,
    normal((4, 4, 2)),
    [
        ("y + α", "", lambda dy, c: dy * np.where(c[0] > 0, 1, c[1] + ALPHA)),
        (
            "in place on a copy",
            "",
            lambda dy, c: np.multiply(
                dy, ALPHA * np.exp(np.minimum(c[0], 0)) * (c[0] <= 0) + (c[0] > 0)
            ),
        ),
        (
            "α forgotten",
            "constant factor|missing term",
            lambda dy, c: dy * np.where(c[0] > 0, 1, np.exp(np.minimum(c[0], 0))),
        ),
        ("zero where negative", "missing term", lambda dy, c: dy * (c[0] > 0)),
        (
            "zero where positive",
            "missing term",
            lambda dy, c: dy * np.where(c[0] > 0, 0, c[1] + ALPHA),
        ),
        (
            "mask of dy",
            "wrong mask",
            lambda dy, c: np.where(dy > 0, dy, dy * ALPHA * np.exp(np.minimum(c[0], 0))),
        ),
        (
            "slope α where negative",
            "missing term|wrong formula",
            lambda dy, c: dy * np.where(c[0] > 0, 1, ALPHA),
        ),
        (
            "sign where negative",
            "constant factor",
            lambda dy, c: dy * np.where(c[0] > 0, 1, -c[1] - ALPHA),
        ),
        (
            "writes into dy",
            "upstream overwritten",
            lambda dy, c: np.multiply(dy, np.where(c[0] > 0, 1, c[1] + ALPHA), out=dy),
        ),
    ],
)


def prelu(x, a):
    return np.where(x > 0, x, a * x), (x, a)


def prelu_back(dy, c):
    x, a = c
    return np.where(x > 0, dy, a * dy), (dy * np.minimum(x, 0)).sum((0, 1))


group(
    "PReLU of channels",
    prelu,
    normal((3, 4, 5), (5,)),
    [
        ("masks", "", prelu_back),
        (
            "einsum",
            "",
            lambda dy, c: (
                dy * ((c[0] > 0) + c[1] * (c[0] <= 0)),
                np.einsum("ijk,ijk->k", dy, np.minimum(c[0], 0)),
            ),
        ),
        (
            "da over all",
            "wrong axis",
            lambda dy, c: (prelu_back(dy, c)[0], np.full(5, (dy * np.minimum(c[0], 0)).sum())),
        ),
        (
            "da without x",
            "missing term",
            lambda dy, c: (prelu_back(dy, c)[0], (dy * (c[0] <= 0)).sum((0, 1))),
        ),
        (
            "da of the positive part",
            "wrong mask",
            lambda dy, c: (prelu_back(dy, c)[0], (dy * np.maximum(c[0], 0)).sum((0, 1))),
        ),
        (
            "da mean",
            "constant factor|wrong axis",
            lambda dy, c: (prelu_back(dy, c)[0], (dy * np.minimum(c[0], 0)).mean((0, 1))),
        ),
        ("dx with slope 0", "missing term", lambda dy, c: (dy * (c[0] > 0), prelu_back(dy, c)[1])),
        (
            "dx branches exchanged",
            "wrong mask",
            lambda dy, c: (np.where(c[0] < 0, dy, c[1] * dy), prelu_back(dy, c)[1]),
        ),
        (
            "da from |x|",
            "constant factor",
            lambda dy, c: (prelu_back(dy, c)[0], (dy * np.abs(np.minimum(c[0], 0))).sum((0, 1))),
        ),
    ],
)


def glu(x, w, v):
    a, g = x @ w, sig(x @ v)
    return a * g, (x, w, v, a, g)


def glu_back(dy, c):
    x, w, v, a, g = c
    da, ds = dy * g, dy * a * g * (1 - g)
    return da @ w.T + ds @ v.T, x.T @ da, x.T @ ds


group(
    "gated linear unit",
    glu,
    normal((5, 3), (3, 4), (3, 4)),
    [
        ("as derived", "", glu_back),
        (
            "dx without the gate's",
            "missing term",
            lambda dy, c: ((dy * c[4]) @ c[1].T, *glu_back(dy, c)[1:]),
        ),
        (
            "dw without the gate",
            "missing term",
            lambda dy, c: (glu_back(dy, c)[0], c[0].T @ dy, glu_back(dy, c)[2]),
        ),
        (
            "dv without the slope",
            "missing term",
            lambda dy, c: (*glu_back(dy, c)[:2], c[0].T @ (dy * c[3])),
        ),
        (
            "dv without a",
            "missing term",
            lambda dy, c: (*glu_back(dy, c)[:2], c[0].T @ (dy * c[4] * (1 - c[4]))),
        ),
        (
            "dw and dv exchanged",
            "wrong tensor",
            lambda dy, c: (glu_back(dy, c)[0], glu_back(dy, c)[2], glu_back(dy, c)[1]),
        ),
        ("dv zero", "missing gradient", lambda dy, c: (*glu_back(dy, c)[:2], np.zeros((3, 4)))),
        (
            "v where w is due in dx",
            "wrong tensor",
            lambda dy, c: (
                (dy * c[4]) @ c[2].T + (dy * c[3] * c[4] * (1 - c[4])) @ c[2].T,
                *glu_back(dy, c)[1:],
            ),
        ),
    ],
)


# softmax and losses


def temperature(x):
    e = np.exp((x - x.max(-1, keepdims=True)) / 2)
    p = e / e.sum(-1, keepdims=True)
    return p, p


def softmax_back(dy, p, axis=-1):
    return p * (dy - (dy * p).sum(axis, keepdims=True)) / 2


group(
    "softmax of temperature 2",
    temperature,
    normal((3, 4, 5)),
    [
        ("projected", "", softmax_back),
        (
            "einsum",
            "",
            lambda dy, p: (p * dy - p * np.einsum("ijk,ijk->ij", p, dy)[..., None]) * 0.5,
        ),
        ("temperature forgotten", "constant factor", lambda dy, p: 2 * softmax_back(dy, p)),
        ("sum over axis 1", "wrong axis", lambda dy, p: softmax_back(dy, p, 1)),
        ("sum over all", "wrong axis", lambda dy, p: p * (dy - (dy * p).sum()) / 2),
        ("only the diagonal", "missing term", lambda dy, p: dy * p * (1 - p) / 2),
        ("second term forgotten", "missing term", lambda dy, p: dy * p / 2),
        ("added", "constant factor", lambda dy, p: p * (dy + (dy * p).sum(-1, keepdims=True)) / 2),
    ],
)

T = np.eye(4)[[1, 0, 3, 3, 2, 1]]


def nll(s):
    p = np.exp(s - s.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    return -(T * np.log(p)).sum() / len(s), (p - T) / len(s)


group(
    "cross-entropy of scores",
    nll,
    normal((6, 4)),
    [
        ("p − t", "", lambda dy, g: dy * g),
        ("sum for mean", "constant factor", lambda dy, g: dy * g * 6),
        ("divided by all", "constant factor", lambda dy, g: dy * g / 4),
        ("sign", "constant factor", lambda dy, g: -dy * g),
        ("label forgotten", "missing term", lambda dy, g: dy * (g + T / 6)),
        ("only the label's", "missing term", lambda dy, g: dy * g * T),
        ("label twice", "constant factor|extra term", lambda dy, g: dy * (g - T / 6)),
    ],
)


def hinge(s, t):
    m = 1 - s * t
    return np.maximum(m, 0).mean(), (m > 0, t, s)


group(
    "binary hinge",
    hinge,
    lambda rng: (1.5 * rng.standard_normal((5, 4)), np.where(rng.random((5, 4)) < 0.5, -1, 1)),
    [
        ("mask", "", lambda dy, c: -dy * c[0] * c[1] / c[2].size),
        ("where", "", lambda dy, c: dy * np.where(c[0], -c[1], 0) / 20),
        ("minus forgotten", "constant factor", lambda dy, c: dy * c[0] * c[1] / 20),
        ("mask forgotten", "wrong mask|missing term", lambda dy, c: -dy * c[1] / 20),
        ("mask upside down", "wrong mask", lambda dy, c: -dy * (~c[0]) * c[1] / 20),
        ("label forgotten", "missing term|wrong mask", lambda dy, c: -dy * c[0] / 20.0),
        ("mask of s > 0", "wrong mask", lambda dy, c: -dy * (c[2] > 0) * c[1] / 20),
        ("not divided", "constant factor", lambda dy, c: -dy * c[0] * c[1]),
    ],
)


def smooth_l1(p, target):
    d = p - target
    return np.sqrt(1 + d * d).sum() - d.size, d


group(
    "pseudo-Huber",
    smooth_l1,
    normal((4, 3), (4, 3)),
    [
        ("root", "", lambda dy, d: dy * d / np.sqrt(1 + d * d)),
        ("both", "", lambda dy, d: (dy * d / np.sqrt(1 + d * d), -dy * d / np.sqrt(1 + d * d))),
        ("averaged", "constant factor", lambda dy, d: dy * d / np.sqrt(1 + d * d) / 12),
        ("2 d", "constant factor", lambda dy, d: 2 * dy * d / np.sqrt(1 + d * d)),
        (
            "dtarget of the same sign",
            "constant factor",
            lambda dy, d: (dy * d / np.sqrt(1 + d * d), dy * d / np.sqrt(1 + d * d)),
        ),
        ("ignores dy", "upstream ignored|wrong formula", lambda dy, d: d / np.sqrt(1 + d * d)),
    ],
)


# pooling


def max_rows(x):
    v = x.reshape(x.shape[0], x.shape[1] // 3, 3, x.shape[2])
    return v.max(2), v


def routed(dy, v):
    return ((v == v.max(2, keepdims=True)) * dy[:, :, None]).reshape(v.shape[0], -1, v.shape[3])


group(
    "max pooling over time",
    max_rows,
    normal((2, 6, 3)),
    [
        ("mask", "", routed),
        ("put along axis", "", lambda dy, v: _put(dy, v)),
        ("averaged instead", "wrong mask|wrong formula", lambda dy, v: np.repeat(dy, 3, 1) / 3),
        (
            "min for max",
            "wrong mask",
            lambda dy, v: ((v == v.min(2, keepdims=True)) * dy[:, :, None]).reshape(2, 6, 3),
        ),
        ("divided by the window", "constant factor", lambda dy, v: routed(dy, v) / 3),
        ("dy ignored", "upstream ignored", lambda dy, v: routed(np.ones_like(dy), v)),
        (
            "not reshaped",
            "wrong shape",
            lambda dy, v: (v == v.max(2, keepdims=True)) * dy[:, :, None],
        ),
    ],
)


def _put(dy, v):
    d = np.zeros_like(v)
    np.put_along_axis(d, v.argmax(2)[:, :, None], dy[:, :, None], 2)
    return d.reshape(2, 6, 3)


def mean_all(x):
    return x.mean((1, 2)), x.shape


group(
    "global average pooling",
    mean_all,
    normal((3, 4, 5, 2)),
    [
        ("broadcast", "", lambda dy, s: np.broadcast_to(dy[:, None, None] / 20, s)),
        (
            "repeat",
            "",
            lambda dy, s: np.repeat(np.repeat(dy[:, None, None], 4, 1), 5, 2) / (s[1] * s[2]),
        ),
        (
            "not divided",
            "constant factor",
            lambda dy, s: np.broadcast_to(dy[:, None, None], s).copy(),
        ),
        (
            "divided by one side",
            "constant factor",
            lambda dy, s: np.broadcast_to(dy[:, None, None], s) / s[1],
        ),
        (
            "divided by all",
            "constant factor",
            lambda dy, s: np.broadcast_to(dy[:, None, None], s) / np.prod(s),
        ),
        ("keeps its shape", "wrong shape", lambda dy, s: dy / 20),
        ("one pixel only", "missing term", lambda dy, s: _corner(dy, s)),
    ],
)


def _corner(dy, s):
    d = np.zeros(s)
    d[:, 0, 0] = dy / 20
    return d


# recurrent cells


def cell(x, h, w, u, b):
    z = x @ w + h @ u + b
    return np.tanh(z), (x, h, w, u, np.tanh(z))


def cell_back(dy, c, d=None):
    x, h, w, u, y = c
    d = dy * (1 - y * y) if d is None else d
    return d @ w.T, d @ u.T, x.T @ d, h.T @ d, d.sum(0)


def replaced(i, value):
    def backward(dy, c):
        found = list(cell_back(dy, c))
        found[i] = value(dy * (1 - c[4] ** 2), c, dy)
        return tuple(found)

    return backward


group(
    "recurrent cell with a bias",
    cell,
    normal((4, 3), (4, 3), (3, 3), (3, 3), (3,)),
    [
        ("as derived", "", cell_back),
        ("slope forgotten everywhere", "missing term", lambda dy, c: cell_back(dy, c, dy)),
        (
            "slope of y for tanh's",
            "wrong formula|missing term",
            lambda dy, c: cell_back(dy, c, dy * (1 - c[4])),
        ),
        (
            "slope of z twice",
            "extra term",
            lambda dy, c: cell_back(dy, c, dy * (1 - c[4] ** 2) ** 2),
        ),
        ("dx with w", "transposed", replaced(0, lambda d, c, dy: d @ c[2])),
        ("dx with u", "wrong tensor", replaced(0, lambda d, c, dy: d @ c[3].T)),
        ("dh is dx", "wrong tensor", replaced(1, lambda d, c, dy: d @ c[2].T)),
        ("du from x", "wrong tensor", replaced(3, lambda d, c, dy: c[0].T @ d)),
        ("dw without the slope", "missing term", replaced(2, lambda d, c, dy: c[0].T @ dy)),
        ("db without the slope", "missing term", replaced(4, lambda d, c, dy: dy.sum(0))),
        ("db over the features", "wrong axis|wrong shape", replaced(4, lambda d, c, dy: d.sum(1))),
        ("dw averaged", "constant factor", replaced(2, lambda d, c, dy: c[0].T @ d / 4)),
        ("dh none", "missing gradient", replaced(1, lambda d, c, dy: None)),
        ("dw transposed", "transposed", replaced(2, lambda d, c, dy: d.T @ c[0])),
    ],
)


def unrolled(x, w):
    """Return the last state of h ← tanh(x_t + h w), and all of them."""
    states = [np.zeros_like(x[0])]
    for step in x:
        states.append(np.tanh(step + states[-1] @ w))
    return states[-1], (w, states)


def through_time(dy, c, keep=True, first=0, slope=True):
    w, states = c
    dh, dw, dx = dy, np.zeros_like(w), []
    for t in range(len(states) - 1, first, -1):
        d = dh * (1 - states[t] ** 2) if slope else dh
        term = states[t - 1].T @ d
        dw = dw + term if keep else term
        dx.insert(0, d)
        dh = d @ w.T
    return np.stack([np.zeros_like(dy)] * first + dx), dw


group(
    "recurrence through time",
    unrolled,
    normal((4, 2, 3), (3, 3)),
    [
        ("through time", "", through_time),
        ("dw of one step", "assigned|missing term", lambda dy, c: through_time(dy, c, keep=False)),
        ("truncated", "missing term", lambda dy, c: through_time(dy, c, first=2)),
        (
            "negative dw",
            "constant factor",
            lambda dy, c: (through_time(dy, c)[0], -through_time(dy, c)[1]),
        ),
    ],
)


# normalisations


def standardised(x, axes, eps=1e-5):
    mean = x.mean(axes, keepdims=True)
    rstd = 1 / np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)
    return (x - mean) * rstd, rstd


def norm_back(g, xhat, rstd, axes, first=1.0, second=1.0):
    return rstd * (g - first * g.mean(axes, keepdims=True)
                   - second * xhat * (g * xhat).mean(axes, keepdims=True))  # fmt: skip


def layer_norm(x, gamma, beta):
    xhat, rstd = standardised(x, (1, 2))
    return gamma * xhat + beta, (gamma, xhat, rstd)


def layer_norm_back(dy, c, **options):
    gamma, xhat, rstd = c
    return norm_back(dy * gamma, xhat, rstd, (1, 2), **options), (dy * xhat).sum(0), dy.sum(0)


group(
    "layer norm of maps",
    layer_norm,
    normal((4, 3, 5), (3, 5), (3, 5)),
    [
        ("as derived", "", layer_norm_back),
        ("mean detached", "missing term", lambda dy, c: layer_norm_back(dy, c, first=0)),
        ("variance detached", "missing term", lambda dy, c: layer_norm_back(dy, c, second=0)),
        ("both detached", "missing term", lambda dy, c: layer_norm_back(dy, c, first=0, second=0)),
        (
            "variance's term doubled",
            "constant factor",
            lambda dy, c: layer_norm_back(dy, c, second=2),
        ),
        ("sum for mean", "constant factor", lambda dy, c: layer_norm_back(dy, c, first=15)),
        (
            "over the last axis",
            "wrong axis",
            lambda dy, c: (norm_back(dy * c[0], c[1], c[2], (2,)), *layer_norm_back(dy, c)[1:]),
        ),
        (
            "γ forgotten",
            "missing term",
            lambda dy, c: (norm_back(dy, c[1], c[2], (1, 2)), *layer_norm_back(dy, c)[1:]),
        ),
        (
            "1/σ forgotten",
            "missing term|constant factor",
            lambda dy, c: (norm_back(dy * c[0], c[1], 1, (1, 2)), *layer_norm_back(dy, c)[1:]),
        ),
        (
            "dγ without x̂",
            "missing term",
            lambda dy, c: (layer_norm_back(dy, c)[0], dy.sum(0), dy.sum(0)),
        ),
        (
            "dβ averaged",
            "constant factor|wrong axis",
            lambda dy, c: (*layer_norm_back(dy, c)[:2], dy.mean(0)),
        ),
        (
            "dγ not summed",
            "wrong shape",
            lambda dy, c: (layer_norm_back(dy, c)[0], dy * c[1], dy.sum(0)),
        ),
    ],
)


def group_norm(x):
    n, h, w, c = x.shape
    xhat, rstd = standardised(x.reshape(n, h, w, 2, c // 2), (1, 2, 4))
    return xhat.reshape(x.shape), (xhat, rstd)


def group_norm_back(dy, c, axes=(1, 2, 4), **options):
    xhat, rstd = c
    return norm_back(dy.reshape(xhat.shape), xhat, rstd, axes, **options).reshape(dy.shape)


group(
    "group norm of two groups",
    group_norm,
    normal((2, 3, 3, 4)),
    [
        ("as derived", "", group_norm_back),
        ("mean detached", "missing term", lambda dy, c: group_norm_back(dy, c, first=0)),
        ("variance detached", "missing term", lambda dy, c: group_norm_back(dy, c, second=0)),
        ("over the pixels", "wrong axis", lambda dy, c: group_norm_back(dy, c, (1, 2))),
        ("over the batch too", "wrong axis", lambda dy, c: group_norm_back(dy, c, (0, 1, 2, 4))),
        (
            "1/σ twice",
            "extra term|missing term",
            lambda dy, c: group_norm_back(dy, (c[0], c[1] ** 2)),
        ),
    ],
)


class RMSNorm(Layer):
    scale_slope, keep, detached = True, False, False

    def __init__(self):
        self.gamma = Parameter(np.linspace(0.5, 1.5, 4))

    def forward(self, x):
        r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6)
        return x * r * self.gamma.data, (x, r)

    def backward(self, dy, cache):
        x, r = cache
        g = dy * self.gamma.data
        dgamma = (dy * x * r).reshape(-1, 4).sum(0)
        self.gamma.grad = dgamma if self.keep else self.gamma.grad + dgamma
        inner = 0 if self.detached else x * r * r * (g * x).mean(-1, keepdims=True)
        return r * (g - inner)


class AssignedRMS(RMSNorm):
    keep = True


class DetachedRMS(RMSNorm):
    detached = True


class NoGradientRMS(RMSNorm):
    def backward(self, dy, cache):
        before = self.gamma.grad.copy()
        dx = super().backward(dy, cache)
        self.gamma.grad = before
        return dx


class CachedRMS(RMSNorm):
    def forward(self, x):
        y, self.cache = super().forward(x)
        return y, None

    def backward(self, dy, cache):
        return super().backward(dy, self.cache)


layer(
    "RMS norm",
    normal((3, 5, 4)),
    [
        ("as derived", "", RMSNorm),
        ("γ's gradient assigned", "assigned", AssignedRMS),
        ("root mean square detached", "missing term", DetachedRMS),
        ("γ without gradient", "missing gradient", NoGradientRMS),
        ("cache on the layer", "shared cache", CachedRMS),
    ],
)


# residual blocks, transposed convolutions, Fourier transforms


def block(x, w, v):
    h = np.maximum(x @ w, 0)
    return x + h @ v, (x, w, v, h)


def block_back(dy, c, skip=1.0, mask=None):
    x, w, v, h = c
    dh = dy @ v.T * ((h > 0) if mask is None else mask)
    return skip * dy + dh @ w.T, x.T @ dh, h.T @ dy


group(
    "residual block of two layers",
    block,
    normal((4, 5), (5, 5), (5, 5)),
    [
        ("as derived", "", block_back),
        ("skip forgotten", "missing term", lambda dy, c: block_back(dy, c, 0.0)),
        ("skip subtracted", "constant factor", lambda dy, c: block_back(dy, c, -1.0)),
        ("mask forgotten", "wrong mask|missing term", lambda dy, c: block_back(dy, c, mask=1.0)),
        ("mask of the wrong sign", "wrong mask", lambda dy, c: block_back(dy, c, mask=c[3] <= 0)),
        ("skip only", "missing term", lambda dy, c: (dy.copy(), *block_back(dy, c)[1:])),
        ("dv from x", "wrong tensor", lambda dy, c: (*block_back(dy, c)[:2], c[0].T @ dy)),
    ],
)


def up(x, w):
    """Return the transposed convolution of stride 2 without padding, images (N, L, C)."""
    n, length, _ = x.shape
    y = np.zeros((n, 2 * length + 1, w.shape[2]))
    for k in range(3):
        y[:, k : k + 2 * length : 2] += x @ w[k]
    return y, (x, w)


def up_back(dy, c, order=(0, 1, 2), shift=0, stride=2):
    x, w = c
    n = x.shape[1]
    views = [np.roll(dy, -shift, 1)[:, k : k + stride * n : stride] for k in range(3)]
    dx = sum(views[k] @ w[j].T for k, j in enumerate(order))
    return dx, np.stack([np.tensordot(x, v, ((0, 1), (0, 1))) for v in views])


group(
    "transposed convolution in one dimension",
    up,
    normal((2, 4, 2), (3, 2, 3)),
    [
        ("gathered", "", up_back),
        (
            "kernel flipped",
            "flipped kernel|transposed",
            lambda dy, c: (up_back(dy, c, (2, 1, 0))[0], up_back(dy, c)[1]),
        ),
        (
            "one off",
            "stride or padding",
            lambda dy, c: (up_back(dy, c, shift=1)[0], up_back(dy, c)[1]),
        ),
        (
            "dw flipped",
            "flipped kernel|transposed",
            lambda dy, c: (up_back(dy, c)[0], up_back(dy, c)[1][::-1]),
        ),
        (
            "last tap forgotten",
            "missing term",
            lambda dy, c: (
                sum(dy[:, k : k + 8 : 2] @ c[1][k].T for k in range(2)),
                up_back(dy, c)[1],
            ),
        ),
        (
            "last tap only",
            "assigned|missing term",
            lambda dy, c: (dy[:, 2:10:2] @ c[1][2].T, up_back(dy, c)[1]),
        ),
        (
            "dw averaged",
            "constant factor",
            lambda dy, c: (up_back(dy, c)[0], up_back(dy, c)[1] / 2),
        ),
    ],
)


def low_pass(x):
    f = np.fft.fft(x, axis=1)
    f[:, 2:-1] = 0
    return np.fft.ifft(f, axis=1).real, None


def filtered(dy, scale=1.0):
    f = np.fft.fft(dy, axis=1)
    f[:, 2:-1] = 0
    return scale * np.fft.ifft(f, axis=1).real


group(
    "low-pass filter by FFT",
    low_pass,
    normal((6, 8)),
    [
        ("itself", "", lambda dy, _: filtered(dy)),
        ("by a matrix", "", lambda dy, _: dy @ low_pass(np.eye(8))[0].T),
        ("scaled by its length", "constant factor", lambda dy, _: filtered(dy, 8)),
        ("not filtered", "missing term", lambda dy, _: dy.copy()),
        ("along the batch", "wrong axis", lambda dy, _: filtered(dy.T).T),
    ],
)


def delayed(x, k):
    """Return the circular convolution of rows with k by FFT."""
    return np.fft.irfft(np.fft.rfft(x) * np.fft.rfft(k), 6), (x, k)


def correlated(a, b):
    return np.fft.irfft(np.fft.rfft(a) * np.conj(np.fft.rfft(b)), 6)


group(
    "circular convolution by FFT",
    delayed,
    normal((3, 6), (6,)),
    [
        ("conjugates", "", lambda dy, c: (correlated(dy, c[1]), correlated(dy, c[0]).sum(0))),
        (
            "conjugate forgotten in dx",
            "flipped kernel|transposed",
            lambda dy, c: (delayed(dy, c[1])[0], correlated(dy, c[0]).sum(0)),
        ),
        (
            "conjugate forgotten in dk",
            "transposed|flipped kernel",
            lambda dy, c: (correlated(dy, c[1]), delayed(dy, c[0])[0].sum(0)),
        ),
        (
            "dk averaged",
            "constant factor|wrong axis",
            lambda dy, c: (correlated(dy, c[1]), correlated(dy, c[0]).mean(0)),
        ),
        (
            "dk of the first row",
            "missing term",
            lambda dy, c: (correlated(dy, c[1]), correlated(dy, c[0])[0]),
        ),
        (
            "dk not summed",
            "wrong shape",
            lambda dy, c: (correlated(dy, c[1]), correlated(dy, c[0])),
        ),
    ],
)


# in unusual but legal styles


def log_mean_exp(x):
    m = x.max()
    return m + np.log(np.exp(x - m).mean()), x


def listed(x, w):
    return [x @ w, [x, w]]


def keyword(x, *, gain=np.array([0.5, -1.5, 2.0])):  # noqa: B008
    return x * gain, (x, gain)


for _name, _forward, _arguments, _backward in (
    ("log-mean-exp", log_mean_exp, normal((4, 3)), lambda dy, x: dy * np.exp(x - x.max()) / np.exp(x - x.max()).sum()),
    ("lists", listed, normal((4, 3), (3, 2)), lambda dy, c: [dy @ c[1].T, c[0].T @ dy]),
    ("a keyword with a default", keyword, normal((4, 3)), lambda dy, c: dy * c[1]),
    ("geometric mean", lambda x: (np.exp(np.log(x).mean(1)), x), uniform(0.2, 3, (4, 5)), lambda dy, x: (dy * np.exp(np.log(x).mean(1)))[:, None] / x / 5),
    ("sorting", lambda x: (np.sort(x, 1), np.argsort(x, 1)), normal((3, 6)), lambda dy, i: np.take_along_axis(dy, np.argsort(i, 1), 1)),
    ("matrix inverse", lambda x: (np.linalg.inv(x + 3 * np.eye(4)),) * 2, normal((4, 4)), lambda dy, y: -y.T @ dy @ y.T),
    ("arc sine near its edge", lambda x: (np.arcsin(x), x), uniform(-0.99999, 0.99999, (4, 4)), lambda dy, x: dy / np.sqrt(1 - x * x)),
    ("saturated sigmoid", lambda x: (sig(x), sig(x)), uniform(-38, 38, (5, 4)), lambda dy, y: dy * y * (1 - y)),
    ("ties of a maximum", lambda x: (np.maximum(x, 0), x > 0), lambda rng: (np.rint(rng.standard_normal((4, 4)) * 1.2),), lambda dy, m: dy * m),
):  # fmt: skip
    group("unusual: " + _name, _forward, _arguments, [("right", "", _backward)])

THIRD = ROWS[_before:]
del ROWS[_before:]
