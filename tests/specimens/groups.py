"""Functions of whole groups: softmax, pooling, layer and group norm, RNN cells, losses."""

# ruff: noqa: E501 (a row a line)
import numpy as np

from specimens.table import group, normal, uniform


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    y = e / e.sum(axis=1, keepdims=True)
    return y, y


def keep(a, axis):
    return a.sum(axis=axis, keepdims=True)


def jacobians(dy, y):
    return np.stack([(np.diag(row) - np.outer(row, row)) @ d for row, d in zip(y, dy, strict=True)])


group(
    "softmax",
    softmax,
    normal((4, 5)),
    [
        ("projected", "", lambda dy, y: y * (dy - keep(dy * y, 1))),
        ("Jacobians", "", jacobians),
        ("diagonal only", "missing term", lambda dy, y: dy * y * (1 - y)),
        ("sum over the batch", "wrong axis", lambda dy, y: y * (dy - keep(dy * y, 0))),
        (
            "mean for sum",
            "constant factor",
            lambda dy, y: y * (dy - (dy * y).mean(1, keepdims=True)),
        ),
        ("dy alone in the sum", "missing term|wrong tensor", lambda dy, y: y * (dy - keep(dy, 1))),
        ("plus", "constant factor", lambda dy, y: y * (dy + keep(dy * y, 1))),
        ("sum forgotten", "missing term", lambda dy, y: y * dy),
        ("outer y forgotten", "missing term", lambda dy, y: dy - keep(dy * y, 1)),
    ],
)


def log_softmax(x):
    z = x - x.max(axis=1, keepdims=True)
    y = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    return y, np.exp(y)


group(
    "log-softmax",
    log_softmax,
    normal((3, 6)),
    [
        ("as derived", "", lambda dy, p: dy - p * keep(dy, 1)),
        ("p forgotten", "missing term|wrong formula", lambda dy, p: dy - keep(dy, 1)),
        ("sum forgotten", "missing term", lambda dy, p: dy - p * dy),
        ("sum over the batch", "wrong axis", lambda dy, p: dy - p * keep(dy, 0)),
        ("only dy", "missing term", lambda dy, p: dy * 1.0),
    ],
)

LABELS = np.array([0, 2, 1, 3, 2])


def cross_entropy(s):
    p = softmax(s)[0]
    return -np.log(p[np.arange(5), LABELS]).mean(), p


def minus_one(p):
    d = p.copy()
    d[np.arange(5), LABELS] -= 1
    return d


group(
    "softmax loss",
    cross_entropy,
    normal((5, 4)),
    [
        ("p − 1", "", lambda dy, p: dy * minus_one(p) / 5),
        ("without dy", "", lambda p: minus_one(p) / 5),
        ("not averaged", "constant factor", lambda p: minus_one(p)),
        ("p alone", "missing term", lambda p: p / 5),
        ("over the classes", "constant factor", lambda p: minus_one(p) / 4),
        ("one-hot minus p", "constant factor", lambda p: -minus_one(p) / 5),
    ],
)


def hinge(s):
    margins = np.maximum(0, s - s[np.arange(5), LABELS][:, None] + 1)
    margins[np.arange(5), LABELS] = 0
    return margins.sum() / 5, (margins > 0).astype(float)


def hinge_backward(mask):
    d = mask.copy()
    d[np.arange(5), LABELS] = -mask.sum(axis=1)
    return d / 5


group(
    "multiclass hinge",
    hinge,
    normal((5, 4)),
    [
        ("counted", "", hinge_backward),
        ("right class forgotten", "missing term", lambda m: m / 5),
        ("right class −1", "wrong formula|constant factor", lambda m: np.where(
            np.arange(4) == LABELS[:, None], -1.0, m) / 5),
        ("not averaged", "constant factor", lambda m: 5 * hinge_backward(m)),
        ("sign", "constant factor", lambda m: -hinge_backward(m)),
        ("counted over the batch", "wrong axis|wrong formula", lambda m: np.where(
            np.arange(4) == LABELS[:, None], -m.sum(0), m) / 5),
    ],
)  # fmt: skip


def huber(p, target):
    d = p - target
    return np.where(abs(d) < 1, 0.5 * d * d, abs(d) - 0.5).mean(), d


group(
    "Huber loss",
    huber,
    lambda rng: (2 * rng.standard_normal((4, 3)), rng.standard_normal((4, 3))),
    [
        ("clipped", "", lambda dy, d: dy * np.clip(d, -1, 1) / d.size),
        ("quadratic everywhere", "wrong mask|wrong formula", lambda dy, d: dy * d / d.size),
        ("sign everywhere", "wrong mask|wrong formula", lambda dy, d: dy * np.sign(d) / d.size),
        ("summed", "constant factor", lambda dy, d: dy * np.clip(d, -1, 1)),
        ("batch mean", "constant factor", lambda dy, d: dy * np.clip(d, -1, 1) / len(d)),
        ("positive only", "missing term|wrong mask", lambda dy, d: dy * np.clip(d, 0, 1) / d.size),
    ],
)


def cosine(a, b):
    na, nb = np.sqrt(keep(a * a, 1)), np.sqrt(keep(b * b, 1))
    y = keep(a * b, 1) / (na * nb)
    return y[:, 0], (a, b, na, nb, y)


def cosine_half(dy, a, b, na, nb, y):
    return dy[:, None] * (b / (na * nb) - y * a / na**2)


group(
    "cosine similarity",
    cosine,
    normal((4, 3), (4, 3)),
    [
        ("both", "", lambda dy, c: (cosine_half(dy, *c), cosine_half(dy, c[1], c[0], c[3], c[2], c[4]))),
        ("norm held fixed", "missing term", lambda dy, c: (
            dy[:, None] * c[1] / (c[2] * c[3]), cosine_half(dy, c[1], c[0], c[3], c[2], c[4]))),
        ("exchanged", "wrong tensor", lambda dy, c: (
            cosine_half(dy, c[1], c[0], c[3], c[2], c[4]), cosine_half(dy, *c))),
    ],
)  # fmt: skip


def layer_norm(x, gamma, beta):
    mean = x.mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    xhat = (x - mean) * rstd
    return gamma * xhat + beta, (xhat, rstd, gamma)


def layer_norm_backward(dy, c, axis=1, mean=1.0, var=1.0, scale=True):
    xhat, rstd, gamma = c
    d = dy * gamma if scale else dy
    dx = d - mean * d.mean(axis, keepdims=True) - var * xhat * (d * xhat).mean(axis, keepdims=True)
    return dx * rstd, (dy * xhat).sum(0), dy.sum(0)


group(
    "layer norm",
    layer_norm,
    lambda rng: (rng.standard_normal((5, 6)), rng.uniform(0.5, 2, 6), rng.standard_normal(6)),
    [
        ("three terms", "", layer_norm_backward),
        ("mean's term forgotten", "missing term", lambda dy, c: layer_norm_backward(dy, c, mean=0)),
        ("variance's term forgotten", "missing term", lambda dy, c: layer_norm_backward(dy, c, var=0)),
        ("both forgotten", "missing term", lambda dy, c: layer_norm_backward(dy, c, mean=0, var=0)),
        ("over the batch", "wrong axis", lambda dy, c: layer_norm_backward(dy, c, axis=0)),
        ("γ forgotten", "missing term", lambda dy, c: layer_norm_backward(dy, c, scale=False)),
        ("sign of the variance's term", "constant factor", lambda dy, c: layer_norm_backward(dy, c, var=-1)),
        ("dγ without x̂", "missing term|wrong tensor", lambda dy, c: (layer_norm_backward(dy, c)[0], dy.sum(0), dy.sum(0))),
        ("dγ over the features", "wrong axis|wrong shape", lambda dy, c: (
            layer_norm_backward(dy, c)[0], (dy * c[0]).sum(1), dy.sum(0))),
        ("rstd forgotten", "missing term", lambda dy, c: (layer_norm_backward(dy, c)[0] / c[1], *layer_norm_backward(dy, c)[1:])),
    ],
)  # fmt: skip


def grouped(x):
    return x.reshape(len(x), *x.shape[1:3], 2, -1)


AXES = (1, 2, 4)


def group_norm(x):
    g = grouped(x)
    rstd = 1 / np.sqrt(g.var(axis=AXES, keepdims=True) + 1e-5)
    xhat = (g - g.mean(axis=AXES, keepdims=True)) * rstd
    return xhat.reshape(x.shape), (xhat, rstd)


def group_backward(dy, c, axes=AXES, mean=1.0, var=1.0):
    xhat, rstd = c
    d = grouped(dy)
    dx = d - mean * d.mean(axes, keepdims=True) - var * xhat * (d * xhat).mean(axes, keepdims=True)
    return (dx * rstd).reshape(dy.shape)


group(
    "group norm",
    group_norm,
    normal((2, 3, 3, 4)),
    [
        ("grouped", "", group_backward),
        ("mean's term forgotten", "missing term", lambda dy, c: group_backward(dy, c, mean=0)),
        ("variance's term forgotten", "missing term", lambda dy, c: group_backward(dy, c, var=0)),
        ("over each channel", "wrong axis", lambda dy, c: group_backward(dy, c, axes=(1, 2))),
        ("over all groups", "wrong axis", lambda dy, c: group_backward(dy, c, axes=(1, 2, 3, 4))),
        (
            "twice the variance's term",
            "constant factor",
            lambda dy, c: group_backward(dy, c, var=2),
        ),
    ],
)


def max_pool(x):
    n, h, v, c = x.shape
    windows = x.reshape(n, h // 2, 2, v // 2, 2, c)
    y = windows.max(axis=(2, 4))
    return y, (windows == y[:, :, None, :, None], x.shape)


def spread(dy):
    return dy[:, :, None, :, None]


group(
    "max pooling",
    max_pool,
    normal((2, 4, 6, 2)),
    [
        ("mask", "", lambda dy, c: (spread(dy) * c[0]).reshape(c[1])),
        ("everywhere", "wrong mask", lambda dy, c: (spread(dy) * np.ones(c[0].shape)).reshape(c[1])),
        ("to the others", "wrong mask", lambda dy, c: (spread(dy) * ~c[0]).reshape(c[1])),
        ("a quarter", "constant factor", lambda dy, c: (spread(dy) * c[0] / 4).reshape(c[1])),
        ("first corner", "wrong mask", lambda dy, c: (
            spread(dy) * (np.arange(4).reshape(1, 1, 2, 1, 2, 1) == 0) * np.ones(c[0].shape)).reshape(c[1])),
        ("dy as ones", "upstream ignored", lambda dy, c: (1.0 * c[0]).reshape(c[1])),
    ],
)  # fmt: skip


def average_pool(x):
    n, h, v, c = x.shape
    return x.reshape(n, h // 2, 2, v // 2, 2, c).mean(axis=(2, 4)), x.shape


group(
    "average pooling",
    average_pool,
    normal((2, 4, 4, 3)),
    [
        ("a quarter each", "", lambda dy, s: dy.repeat(2, 1).repeat(2, 2) / 4),
        ("not divided", "constant factor", lambda dy, s: dy.repeat(2, 1).repeat(2, 2)),
        (
            "tiled for repeated",
            "transposed|wrong formula",
            lambda dy, s: np.tile(dy, (1, 2, 2, 1)) / 4,
        ),
        ("first corner", "missing term", lambda dy, s: corner(dy, s) / 4),
        ("one axis only", "wrong shape", lambda dy, s: dy.repeat(2, 1) / 4),
    ],
)


def corner(dy, shape):
    dx = np.zeros(shape)
    dx[:, ::2, ::2] = dy
    return dx


def rnn(x, h, w, u):
    new = np.tanh(x @ w + h @ u)
    return new, (x, h, w, u, new)


def rnn_backward(dy, c):
    x, h, w, u, new = c
    d = dy * (1 - new * new)
    return d @ w.T, d @ u.T, x.T @ d, h.T @ d


def with_slope(dy, c):
    return dy * (1 - c[4] ** 2)


group(
    "RNN cell",
    rnn,
    normal((4, 3), (4, 3), (3, 3), (3, 3)),
    [
        ("as derived", "", rnn_backward),
        ("by name", "", lambda dy, c: dict(zip(("dx", "dh", "dw", "du"), rnn_backward(dy, c), strict=True))),
        ("du from x", "wrong tensor", lambda dy, c: (*rnn_backward(dy, c)[:3], c[0].T @ with_slope(dy, c))),
        ("dh with w", "wrong tensor", lambda dy, c: (
            rnn_backward(dy, c)[0], with_slope(dy, c) @ c[2].T, *rnn_backward(dy, c)[2:])),
        ("slope forgotten", "missing term", lambda dy, c: (dy @ c[2].T, dy @ c[3].T, c[0].T @ dy, c[1].T @ dy)),
        ("dx with w itself", "transposed", lambda dy, c: (with_slope(dy, c) @ c[2], *rnn_backward(dy, c)[1:])),
        ("no dh", "missing gradient", lambda dy, c: (rnn_backward(dy, c)[0], 0 * c[1], *rnn_backward(dy, c)[2:])),
        ("slope 1 + h²", "constant factor|wrong formula", lambda dy, c: (
            (dy * (1 + c[4] ** 2)) @ c[2].T, (dy * (1 + c[4] ** 2)) @ c[3].T,
            c[0].T @ (dy * (1 + c[4] ** 2)), c[1].T @ (dy * (1 + c[4] ** 2)))),
        ("w and u exchanged", "wrong tensor", lambda dy, c: (
            *rnn_backward(dy, c)[:2], c[1].T @ with_slope(dy, c), c[0].T @ with_slope(dy, c))),
    ],
)  # fmt: skip


def gate(x, h, z):
    s = 1 / (1 + np.exp(-z))
    return s * h + (1 - s) * x, (x, h, s)


group(
    "GRU's gate",
    gate,
    normal((3, 4), (3, 4), (3, 4)),
    [
        ("as derived", "", lambda dy, c: (dy * (1 - c[2]), dy * c[2], dy * (c[1] - c[0]) * c[2] * (1 - c[2]))),
        ("sign of dz", "constant factor", lambda dy, c: (
            dy * (1 - c[2]), dy * c[2], dy * (c[0] - c[1]) * c[2] * (1 - c[2]))),
        ("x forgotten in dz", "missing term", lambda dy, c: (
            dy * (1 - c[2]), dy * c[2], dy * c[1] * c[2] * (1 - c[2]))),
        ("dx and dh exchanged", "wrong tensor", lambda dy, c: (
            dy * c[2], dy * (1 - c[2]), dy * (c[1] - c[0]) * c[2] * (1 - c[2]))),
        ("sigmoid's slope forgotten in dz", "missing term", lambda dy, c: (
            dy * (1 - c[2]), dy * c[2], dy * (c[1] - c[0]))),
    ],
)  # fmt: skip


def kl(mu, logvar):
    return 0.5 * (np.exp(logvar) + mu * mu - 1 - logvar).sum(axis=1).mean(), (mu, logvar)


group(
    "KL divergence",
    kl,
    normal((4, 3), (4, 3)),
    [
        ("both", "", lambda dy, c: (dy * c[0] / 4, dy * 0.5 * (np.exp(c[1]) - 1) / 4)),
        ("1 forgotten", "missing term", lambda dy, c: (dy * c[0] / 4, dy * 0.5 * np.exp(c[1]) / 4)),
        ("half forgotten", "constant factor", lambda dy, c: (dy * c[0] / 4, dy * (np.exp(c[1]) - 1) / 4)),
        ("over all elements", "constant factor", lambda dy, c: (dy * c[0] / 12, dy * 0.5 * (np.exp(c[1]) - 1) / 12)),
        ("logvar's as mu's", "wrong formula|wrong tensor", lambda dy, c: (dy * c[0] / 4, dy * c[0] / 4)),
    ],
)  # fmt: skip


def bce(p, target):
    return -(target * np.log(p) + (1 - target) * np.log(1 - p)).mean(), (p, target)


group(
    "binary cross-entropy",
    bce,
    uniform(0.1, 0.9, (4, 3), (4, 3)),
    [
        ("one fraction", "", lambda dy, c: dy * (c[0] - c[1]) / (c[0] * (1 - c[0])) / c[0].size),
        ("two fractions", "", lambda dy, c: dy * ((1 - c[1]) / (1 - c[0]) - c[1] / c[0]) / c[0].size),
        ("the logits' gradient", "missing term", lambda dy, c: dy * (c[0] - c[1]) / c[0].size),
        ("second fraction forgotten", "missing term", lambda dy, c: -dy * c[1] / c[0] / c[0].size),
        ("plus between", "constant factor", lambda dy, c: dy * ((1 - c[1]) / (1 - c[0]) + c[1] / c[0]) / c[0].size),
    ],
)  # fmt: skip


def unit_rows(x):
    n = np.sqrt(keep(x * x, 1))
    return x / n, (x / n, n)


group(
    "rows of unit length",
    unit_rows,
    normal((4, 5)),
    [
        ("projected", "", lambda dy, c: (dy - c[0] * keep(dy * c[0], 1)) / c[1]),
        ("norm held fixed", "missing term", lambda dy, c: dy / c[1]),
        ("over the batch", "wrong axis", lambda dy, c: (dy - c[0] * keep(dy * c[0], 0)) / c[1]),
        ("norm not divided by", "missing term|wrong formula", lambda dy, c: dy - c[0] * keep(dy * c[0], 1)),
        ("mean for sum", "constant factor", lambda dy, c: (dy - c[0] * (dy * c[0]).mean(1, keepdims=True)) / c[1]),
    ],
)  # fmt: skip
