"""Functions of one number at a time: GELU, softplus, ELU, PReLU, Swish, GLU, powers, roots."""

# ruff: noqa: E501 (a row a line)
import numpy as np

from specimens.table import group, normal, uniform


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x)), x


group(
    "softplus",
    softplus,
    normal((4, 5)),
    [
        ("sigmoid", "", lambda dy, x: dy * sigmoid(x)),
        ("tanh form", "", lambda dy, x: dy * 0.5 * (1 + np.tanh(x / 2))),
        ("from the exponential", "", lambda dy, x: dy * np.exp(x) / (1 + np.exp(x))),
        ("slope without the sign", "", lambda dy, x: dy - dy * sigmoid(-x)),
        ("exp forgotten", "wrong formula", lambda dy, x: dy / (1 + np.exp(x))),
        ("sigmoid's own slope", "extra term", lambda dy, x: dy * sigmoid(x) * sigmoid(-x)),
        ("no dy", "upstream ignored", lambda dy, x: sigmoid(x)),
        ("negated", "constant factor", lambda dy, x: -dy * sigmoid(x)),
        ("mask of dy", "wrong mask", lambda dy, x: np.where(dy > 0, dy * sigmoid(x), 0)),
    ],
)

A = np.sqrt(2 / np.pi)


def gelu(x):
    t = np.tanh(A * (x + 0.044715 * x**3))
    return 0.5 * x * (1 + t), (x, t)


def gelu_slope(x, t):
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * A * (1 + 3 * 0.044715 * x * x)


group(
    "GELU",
    gelu,
    normal((3, 4, 2)),
    [
        ("as derived", "", lambda dy, c: dy * gelu_slope(*c)),
        ("in two terms", "", lambda dy, c: dy * (1 + c[1]) / 2 + dy * (gelu_slope(*c) - (1 + c[1]) / 2)),
        ("outer term only", "missing term", lambda dy, c: dy * 0.5 * (1 + c[1])),
        ("inner term only", "missing term", lambda dy, c: dy * (gelu_slope(*c) - 0.5 * (1 + c[1]))),
        ("twice", "constant factor", lambda dy, c: 2 * dy * gelu_slope(*c)),
        ("a factor x too many", "extra term", lambda dy, c: dy * gelu_slope(*c) * c[0]),
        ("cubic's slope forgotten", "wrong formula|missing term|missing gradient",
         lambda dy, c: dy * (0.5 * (1 + c[1]) + 0.5 * c[0] * (1 - c[1] ** 2) * A)),
        ("float32", "float32", lambda dy, c: (dy * gelu_slope(*c)).astype(np.float32)),
    ],
)  # fmt: skip


def elu(x):
    return np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1), x


group(
    "ELU",
    elu,
    normal((4, 6)),
    [
        ("where", "", lambda dy, x: dy * np.where(x > 0, 1, np.exp(np.minimum(x, 0)))),
        ("from y", "", lambda dy, x: dy * np.where(x > 0, 1, elu(x)[0] + 1)),
        ("y alone", "wrong formula", lambda dy, x: dy * np.where(x > 0, 1, elu(x)[0])),
        ("ReLU's", "missing term", lambda dy, x: dy * (x > 0)),
        ("slope 1 everywhere", "wrong mask|wrong formula", lambda dy, x: dy * 1.0),
        ("branches exchanged", "wrong mask",
         lambda dy, x: dy * np.where(x < 0, 1, np.exp(np.minimum(x, 0)))),
        ("negated where negative", "constant factor",
         lambda dy, x: dy * np.where(x > 0, 1, -np.exp(x))),
        ("exp of |x|", "wrong formula", lambda dy, x: dy * np.where(x > 0, 1, np.exp(-2 * x))),
        ("dy forgotten where positive", "upstream ignored|wrong formula",
         lambda dy, x: np.where(x > 0, 1, dy * np.exp(x))),
    ],
)  # fmt: skip


def prelu(x, a):
    return np.where(x > 0, x, a * x), (x, a)


group(
    "PReLU",
    prelu,
    lambda rng: (normal((5, 3))(rng)[0], rng.uniform(0.1, 0.5, 3)),
    [
        ("sums", "", lambda dy, c: (dy * np.where(c[0] > 0, 1, c[1]),
                                    (dy * c[0] * (c[0] <= 0)).sum(0))),
        ("minimum", "", lambda dy, c: (dy * np.where(c[0] > 0, 1, c[1]),
                                       (dy * np.minimum(c[0], 0)).sum(axis=0))),
        ("slope not summed", "wrong shape|missing term",
         lambda dy, c: (dy * np.where(c[0] > 0, 1, c[1]), dy * np.minimum(c[0], 0))),
        ("slope averaged", "constant factor",
         lambda dy, c: (dy * np.where(c[0] > 0, 1, c[1]), (dy * np.minimum(c[0], 0)).mean(0))),
        ("slope of the positive half", "wrong mask|wrong tensor",
         lambda dy, c: (dy * np.where(c[0] > 0, 1, c[1]), (dy * np.maximum(c[0], 0)).sum(0))),
        ("no slope gradient", "missing gradient", lambda dy, c: (dy * np.where(c[0] > 0, 1, c[1]),)),
        ("x unmasked in da", "wrong mask|missing term|extra term",
         lambda dy, c: (dy * np.where(c[0] > 0, 1, c[1]), (dy * c[0]).sum(0))),
        ("mask upside down", "wrong mask",
         lambda dy, c: (dy * np.where(c[0] < 0, 1, c[1]), (dy * np.minimum(c[0], 0)).sum(0))),
    ],
)  # fmt: skip


def swish(x):
    s = sigmoid(x)
    return x * s, (x, s)


group(
    "Swish",
    swish,
    normal((3, 7)),
    [
        ("product rule", "", lambda dy, c: dy * (c[1] + c[0] * c[1] * (1 - c[1]))),
        ("from y", "", lambda dy, c: dy * (c[0] * c[1] + c[1] * (1 - c[0] * c[1]))),
        ("first term", "missing term", lambda dy, c: dy * c[1]),
        ("second term", "missing term", lambda dy, c: dy * c[0] * c[1] * (1 - c[1])),
        ("minus for plus", "constant factor", lambda dy, c: dy * (c[1] - c[0] * c[1] * (1 - c[1]))),
        ("dy only on the first term", "upstream ignored",
         lambda dy, c: dy * c[1] + c[0] * c[1] * (1 - c[1])),
        ("writes into dy", "upstream overwritten", lambda dy, c: np.multiply(
            dy, c[1] + c[0] * c[1] * (1 - c[1]), out=dy)),
    ],
)  # fmt: skip


def glu(x):
    a, b = np.split(x, 2, axis=1)
    return a * sigmoid(b), (a, sigmoid(b))


def joined(*parts):
    return np.concatenate(parts, axis=1)


group(
    "GLU",
    glu,
    normal((3, 8)),
    [
        ("two halves", "", lambda dy, c: joined(dy * c[1], dy * c[0] * c[1] * (1 - c[1]))),
        ("halves exchanged", "transposed|wrong tensor",
         lambda dy, c: joined(dy * c[0] * c[1] * (1 - c[1]), dy * c[1])),
        ("gate's half zero", "missing term", lambda dy, c: joined(dy * c[1], 0 * dy)),
        ("sigmoid's slope forgotten", "wrong formula|missing term",
         lambda dy, c: joined(dy * c[1], dy * c[0])),
        ("gate's half doubled", "constant factor",
         lambda dy, c: joined(dy * c[1], 2 * dy * c[0] * c[1] * (1 - c[1]))),
        ("value not in the gate's", "missing term",
         lambda dy, c: joined(dy * c[1], dy * c[1] * (1 - c[1]))),
        ("one half only", "wrong shape", lambda dy, c: dy * c[1]),
    ],
)  # fmt: skip

group(
    "square root",
    lambda x: (np.sqrt(x), x),
    uniform(0.2, 3, (4, 5)),
    [
        ("power", "", lambda dy, x: 0.5 * dy * x**-0.5),
        ("from y", "", lambda dy, x: dy / (2 * np.sqrt(x))),
        ("half forgotten", "constant factor", lambda dy, x: dy / np.sqrt(x)),
        ("root forgotten", "wrong formula|extra term|missing term", lambda dy, x: 0.5 * dy / x),
        ("times for divided by", "extra term|wrong formula", lambda dy, x: 0.5 * dy * np.sqrt(x)),
        ("nan", "not finite", lambda dy, x: dy / (2 * np.sqrt(x - 1))),
    ],
)

group(
    "logarithm",
    lambda x: (np.log(x), x),
    uniform(0.2, 3, (3, 4)),
    [
        ("reciprocal", "", lambda dy, x: dy / x),
        ("no reciprocal", "extra term|wrong formula", lambda dy, x: dy * x),
        ("dy passed on", "missing term", lambda dy, x: dy.copy()),
        ("infinite", "not finite", lambda dy, x: dy / (x - x)),
        ("integer division", "integer arithmetic", lambda dy, x: dy // x),
    ],
)

group(
    "sine",
    lambda x: (np.sin(x), x),
    normal((4, 4)),
    [
        ("cosine", "", lambda dy, x: dy * np.cos(x)),
        ("minus cosine", "constant factor", lambda dy, x: -dy * np.cos(x)),
        ("integers", "integer arithmetic", lambda dy, x: (dy * np.cos(x)).astype(int)),
        ("integer array", "integer arithmetic", lambda dy, x: fill(np.zeros(x.shape, int), dy * np.cos(x))),
        ("transposed", "transposed", lambda dy, x: (dy * np.cos(x)).T),
        ("dy read in another order", "transposed", lambda dy, x: dy.T * np.cos(x)),
        ("x taken in place", "input overwritten", lambda dy, x: dy * np.cos(x, out=x)),
    ],
)  # fmt: skip


def fill(array, values):
    array[...] = values
    return array


group(
    "clip",
    lambda x: (np.clip(x, -1, 1), x),
    normal((5, 5)),
    [
        ("inside", "", lambda dy, x: dy * (abs(x) < 1)),
        ("one side only", "wrong mask", lambda dy, x: dy * (x < 1)),
        ("no mask", "wrong mask", lambda dy, x: dy * 1.0),
        ("outside", "wrong mask", lambda dy, x: dy * (abs(x) > 1)),
        ("mask of dy", "wrong mask", lambda dy, x: dy * (abs(dy) < 1)),
    ],
)

group(
    "absolute value",
    lambda x: (np.abs(x), x),
    normal((4, 3)),
    [
        ("sign", "", lambda dy, x: dy * np.sign(x)),
        ("where", "", lambda dy, x: np.where(x > 0, dy, -dy)),
        ("sign of dy", "wrong mask|wrong tensor", lambda dy, x: dy * np.sign(dy)),
        ("x itself", "wrong formula|extra term|wrong tensor", lambda dy, x: dy * x),
        ("positive half only", "missing term|wrong mask", lambda dy, x: dy * (x > 0)),
    ],
)
