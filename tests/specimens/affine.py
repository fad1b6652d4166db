"""Linear maps: dense layers, embeddings, transposed convolutions, FFT, sums, residual blocks."""

# ruff: noqa: E501 (a row a line)
import numpy as np

from specimens.table import group, layer, normal
from tinygan import Layer, Parameter


def linear(x, w, b):
    return x @ w.T + b, (x, w)


group(
    "linear, w of shape (out, in)",
    linear,
    normal((6, 4), (3, 4), (3,)),
    [
        ("matrix products", "", lambda dy, c: (dy @ c[1], dy.T @ c[0], dy.sum(0))),
        ("einsum", "", lambda dy, c: (np.einsum("no,oi->ni", dy, c[1]),
                                      np.einsum("no,ni->oi", dy, c[0]), dy.sum(axis=0))),
        ("by name", "", lambda dy, c: {"db": dy.sum(0), "dw": dy.T @ c[0], "dx": dy @ c[1]}),
        ("dw transposed", "transposed", lambda dy, c: (dy @ c[1], c[0].T @ dy, dy.sum(0))),
        ("db with keepdims", "wrong shape", lambda dy, c: (dy @ c[1], dy.T @ c[0], dy.sum(0, keepdims=True))),
        ("db not summed", "wrong shape", lambda dy, c: (dy @ c[1], dy.T @ c[0], dy)),
        ("dw over the batch size", "constant factor", lambda dy, c: (dy @ c[1], dy.T @ c[0] / len(dy), dy.sum(0))),
        ("dw and db averaged", "constant factor", lambda dy, c: (dy @ c[1], dy.T @ c[0] / 6, dy.mean(0))),
        ("first sample's dw", "missing term", lambda dy, c: (dy @ c[1], np.outer(dy[0], c[0][0]), dy.sum(0))),
        ("order of the gradients", "wrong tensor|wrong shape", lambda dy, c: (dy.T @ c[0], dy @ c[1], dy.sum(0))),
        ("dx forgotten", "missing gradient", lambda dy, c: (0 * c[0], dy.T @ c[0], dy.sum(0))),
        ("dw from dx", "wrong tensor|wrong formula", lambda dy, c: (dy @ c[1], dy.T @ (dy @ c[1]), dy.sum(0))),
        ("regularised in secret", "extra term|upstream ignored", lambda dy, c: (dy @ c[1], dy.T @ c[0] + 0.1 * c[1], dy.sum(0))),
        ("dw negative", "constant factor", lambda dy, c: (dy @ c[1], -dy.T @ c[0], dy.sum(0))),
    ],
)  # fmt: skip


def bilinear(x, z):
    return x @ z.T, (x, z)


group(
    "scores of two sets",
    bilinear,
    normal((4, 3), (4, 3)),
    [
        ("products", "", lambda dy, c: (dy @ c[1], dy.T @ c[0])),
        ("dz without the transpose", "transposed", lambda dy, c: (dy @ c[1], dy @ c[0])),
        ("dx with the transpose", "transposed", lambda dy, c: (dy.T @ c[1], dy.T @ c[0])),
        ("each the other's", "wrong tensor", lambda dy, c: (dy.T @ c[0], dy @ c[1])),
        ("own factor for the other's", "wrong tensor", lambda dy, c: (dy @ c[0], dy.T @ c[0])),
    ],
)


def residual(x, w):
    h = np.tanh(x @ w)
    return x + h, (x, w, h)


group(
    "residual block",
    residual,
    normal((5, 3), (3, 3)),
    [
        ("both branches", "", lambda dy, c: (dy + (dy * (1 - c[2] ** 2)) @ c[1].T,
                                             c[0].T @ (dy * (1 - c[2] ** 2)))),
        ("no skip", "missing term", lambda dy, c: ((dy * (1 - c[2] ** 2)) @ c[1].T,
                                                   c[0].T @ (dy * (1 - c[2] ** 2)))),
        ("skip only", "missing term", lambda dy, c: (dy * 1.0, c[0].T @ (dy * (1 - c[2] ** 2)))),
        ("skip twice", "extra term|constant factor", lambda dy, c: (2 * dy + (dy * (1 - c[2] ** 2)) @ c[1].T,
                                                    c[0].T @ (dy * (1 - c[2] ** 2)))),
        ("tanh's slope forgotten", "missing term", lambda dy, c: (dy + dy @ c[1].T, c[0].T @ dy)),
        ("w transposed", "transposed", lambda dy, c: (dy + (dy * (1 - c[2] ** 2)) @ c[1],
                                                      c[0].T @ (dy * (1 - c[2] ** 2)))),
        ("accumulates into dy", "upstream overwritten", lambda dy, c: (
            np.add(dy, (dy * (1 - c[2] ** 2)) @ c[1].T, out=dy), c[0].T @ (dy * (1 - c[2] ** 2)))),
    ],
)  # fmt: skip


def moving_sum(x):
    y = x.copy()
    y[:, 1:] += x[:, :-1]
    return y, None


def moving_backward(dy, _):
    dx = dy.copy()
    dx[:, :-1] += dy[:, 1:]
    return dx


def moving_wrong_way(dy, _):
    dx = dy.copy()
    dx[:, 1:] += dy[:, :-1]
    return dx


def moving_assigned(dy, _):
    dx = dy.copy()
    dx[:, :-1] = dy[:, 1:]
    return dx


group(
    "sum of neighbours",
    moving_sum,
    normal((3, 6)),
    [
        ("other way round", "", moving_backward),
        ("same way round", "transposed", moving_wrong_way),
        ("assigned", "assigned|missing term", moving_assigned),
        ("neighbour forgotten", "missing term", lambda dy, _: dy.copy()),
    ],
)


def cumulative(x):
    return np.cumsum(x, axis=1), None


group(
    "cumulative sum",
    cumulative,
    normal((3, 5)),
    [
        ("from the end", "", lambda dy, _: np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]),
        ("from the start", "transposed", lambda dy, _: np.cumsum(dy, axis=1)),
        ("not turned back", "transposed|flipped kernel", lambda dy, _: np.cumsum(dy[:, ::-1], axis=1)),
        ("over the batch", "wrong axis|transposed|wrong formula", lambda dy, _: np.cumsum(dy[::-1], axis=0)[::-1]),
    ],
)  # fmt: skip


def power_spectrum(x):
    f = np.fft.rfft(x, axis=1)
    return f.real**2 + f.imag**2, (f, x.shape[1])


def power_backward(dy, cache):
    f, n = cache
    full = np.zeros((len(f), n), complex)
    full[:, : f.shape[1]] = 2 * dy * f
    return np.fft.ifft(full, axis=1).real * n


def real_fft(x):
    return np.fft.fft(x, axis=1).real, x.shape[1]


group(
    "real part of the FFT",
    real_fft,
    normal((3, 6)),
    [
        ("FFT again", "", lambda dy, n: np.fft.fft(dy, axis=1).real),
        ("inverse, scaled", "", lambda dy, n: np.fft.ifft(dy, axis=1).real * n),
        ("inverse", "constant factor", lambda dy, n: np.fft.ifft(dy, axis=1).real),
        ("imaginary part", "wrong formula|wrong tensor", lambda dy, n: np.fft.fft(dy, axis=1).imag),
        ("over the wrong axis", "wrong axis", lambda dy, n: np.fft.fft(dy, axis=0).real),
    ],
)
group(
    "power spectrum",
    power_spectrum,
    normal((2, 8)),
    [
        ("inverse", "", power_backward),
        ("2 forgotten", "constant factor", lambda dy, c: power_backward(dy, c) / 2),
        ("length forgotten", "constant factor", lambda dy, c: power_backward(dy, c) / c[1]),
    ],
)


def stamp(x, w, stride=2):
    n, h, v, _ = x.shape
    k = len(w)
    y = np.zeros((n, (h - 1) * stride + k, (v - 1) * stride + k, w.shape[3]))
    for i in range(h):
        for j in range(v):
            y[:, i * stride : i * stride + k, j * stride : j * stride + k] += np.einsum(
                "nc,abco->nabo", x[:, i, j], w
            )
    return y, (x, w, stride)


def stamp_backward(dy, cache, turn=lambda w: w, offset=0, step=1, assign=False):
    x, w, stride = cache
    dx, dw, k = np.zeros_like(x), np.zeros_like(w), len(w)
    for i in range(0, x.shape[1], step):
        for j in range(x.shape[2]):
            a, b = i * stride + offset, j * stride + offset
            part = dy[:, a : a + k, b : b + k]
            if part.shape[1:3] != (k, k):
                continue
            dx[:, i, j] = np.einsum("nabo,abco->nc", part, turn(w))
            here = np.einsum("nc,nabo->abco", x[:, i, j], part)
            dw[...] = here if assign else dw + here
    return dx, dw


group(
    "transposed convolution",
    stamp,
    normal((2, 3, 3, 2), (3, 3, 2, 2)),
    [
        ("loops", "", stamp_backward),
        ("kernel turned", "flipped kernel", lambda dy, c: stamp_backward(dy, c, lambda w: w[::-1, ::-1])),
        ("channels exchanged", "transposed", lambda dy, c: stamp_backward(dy, c, lambda w: w.swapaxes(2, 3))),
        ("one pixel off", "stride or padding", lambda dy, c: stamp_backward(dy, c, offset=1)),
        ("every second row", "missing term|stride or padding", lambda dy, c: stamp_backward(dy, c, step=2)),
        ("last position's dw", "assigned|missing term", lambda dy, c: stamp_backward(dy, c, assign=True)),
        ("dw halved", "constant factor", lambda dy, c: (stamp_backward(dy, c)[0], stamp_backward(dy, c)[1] / 2)),
        ("stride 1 behind", "stride or padding", lambda dy, c: stamp_backward(dy, (c[0], c[1], 1))),
    ],
)  # fmt: skip


def cross(x, w, b, p):
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    k = len(w)
    h, v = padded.shape[1] - k + 1, padded.shape[2] - k + 1
    y = sum(padded[:, a : a + h, c : c + v] @ w[a, c] for a in range(k) for c in range(k))
    return y + b, (padded, w, p)


def cross_backward(dy, cache, cut=lambda dx, p: dx[:, p : dx.shape[1] - p, p : dx.shape[2] - p]):
    padded, w, p = cache
    h, v, k = *dy.shape[1:3], len(w)
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    for a in range(k):
        for c in range(k):
            dx[:, a : a + h, c : c + v] += dy @ w[a, c].T
            dw[a, c] = np.einsum("nijc,nijo->co", padded[:, a : a + h, c : c + v], dy)
    return cut(dx, p), dw, dy.sum((0, 1, 2))


def cross_arguments(p):
    return lambda rng: (*normal((2, 5, 4, 2), (3, 3, 2, 3), (3,))(rng), p)


group(
    "convolution without padding",
    cross,
    cross_arguments(0),
    [
        ("cut by length", "", cross_backward),
        (
            "cut by −p",
            "empty slice",
            lambda dy, c: cross_backward(dy, c, lambda dx, p: dx[:, p:-p, p:-p]),
        ),
        ("not cut", "", lambda dy, c: cross_backward(dy, c, lambda dx, p: dx)),
    ],
)
group(
    "convolution with padding",
    cross,
    cross_arguments(1),
    [
        ("cut by −p", "", lambda dy, c: cross_backward(dy, c, lambda dx, p: dx[:, p:-p, p:-p])),
        ("not cut", "wrong shape|stride or padding", lambda dy, c: cross_backward(dy, c, lambda dx, p: dx)),
        ("cut at one end", "stride or padding",
         lambda dy, c: cross_backward(dy, c, lambda dx, p: dx[:, : -2 * p, : -2 * p])),
        ("db over the batch", "wrong axis|wrong shape", lambda dy, c: (*cross_backward(dy, c)[:2], dy.sum(0))),
    ],
)  # fmt: skip


class Scale(Layer):
    def __init__(self):
        self.gain = Parameter(np.ones(4))

    def forward(self, x):
        return x * self.gain.data, x

    def backward(self, dy, x):
        self.gain.grad += (dy * x).sum(axis=0)
        return dy * self.gain.data


class Assigned(Scale):
    def backward(self, dy, x):
        self.gain.grad = (dy * x).sum(axis=0)
        return dy * self.gain.data


class Kept(Scale):
    def forward(self, x):
        self.x = x
        return x * self.gain.data, None

    def backward(self, dy, _):
        self.gain.grad += (dy * self.x).sum(axis=0)
        return dy * self.gain.data


class NoGain(Scale):
    def backward(self, dy, x):
        return dy * self.gain.data


class NoFactor(Scale):
    def backward(self, dy, x):
        self.gain.grad += (dy * x).sum(axis=0)
        return dy


class Twice(Scale):
    def backward(self, dy, x):
        for _ in range(2):
            self.gain.grad += (dy * x).sum(axis=0)
        return dy * self.gain.data


class InPlace(Scale):
    def forward(self, x):
        before = x.copy()
        x *= self.gain.data
        return x, before


layer(
    "layer with a gain",
    normal((3, 4)),
    [
        ("right", "", Scale),
        ("assigned", "assigned", Assigned),
        ("cache on self", "shared cache", Kept),
        ("no gain's gradient", "missing gradient", NoGain),
        ("gain forgotten", "missing term", NoFactor),
        ("twice", "constant factor", Twice),
        ("in place", "input overwritten", InPlace),
    ],
)
