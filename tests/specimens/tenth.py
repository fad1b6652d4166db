"""The tenth set: homework, notebooks and hobby projects, by a hand that has not read the diagnosis.

Written without opening the diagnosis, without running the check on it, and kept back; scored by
the rule of ``third.py``.  A script of its own compared each row with central differences: the right
ones agree, the wrong ones do not, or do to their surroundings what their label says.
"""

# ruff: noqa: E501 (a row a line)
# fmt: off
from math import erf, pi, sqrt

import numpy as np
from mutants.specimen import Specimen

from specimens.table import ROWS, group, layer, normal
from tinygan import Layer, Parameter

_before = len(ROWS)


def single(prefix, arguments, rows):
    """Add rows ``(name, cause, function)`` of functions that return their gradient or backward too."""
    for name, cause, function in rows:
        first, *also = cause.split("|")
        ROWS.append(Specimen(f"{prefix}: {name}", lambda f=function: f, arguments, first, tuple(also)))


def swap(back, i, value):
    """The backward pass `back` with its i-th gradient replaced by ``value(dy, cache)``."""
    def backward(dy, cache):
        grads = list(back(dy, cache))
        grads[i] = value(dy, cache)
        return tuple(grads)

    return backward


def sized(scale, *shapes):
    return lambda rng: tuple(scale * a for a in normal(*shapes)(rng))


def squash(x):
    return 1 / (1 + np.exp(-x))


def smax(s, axis=-1):
    e = np.exp(s - s.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


# a linear layer whose examples stand in columns


def linear_forward(A, W, b):
    return W @ A + b, (A, W, b)


def linear_backward(dZ, cache):
    A, W, _ = cache
    return W.T @ dZ, dZ @ A.T, np.sum(dZ, axis=1, keepdims=True)


def linear_loops(dZ, cache):
    A, W, b = cache
    dA, dW, db = np.zeros(A.shape), np.zeros(W.shape), np.zeros(b.shape)
    for m in range(A.shape[1]):
        for i in range(4):
            db[i, 0] += dZ[i, m]
            for j in range(4):
                dW[i, j] += dZ[i, m] * A[j, m]
                dA[j, m] += dZ[i, m] * W[i, j]
    return dA, dW, db


group("columns of examples", linear_forward, normal((4, 3), (4, 4), (4, 1)), [
    ("matrices", "", linear_backward),
    ("loops", "", linear_loops),
    ("db without keepdims", "wrong shape", swap(linear_backward, 2, lambda dZ, c: dZ.sum(1))),
    ("db over the features", "wrong axis|wrong shape", swap(linear_backward, 2, lambda dZ, c: dZ.sum(0, keepdims=True))),
    ("db left at zero", "missing gradient", swap(linear_backward, 2, lambda dZ, c: np.zeros((4, 1)))),
    ("db multiplied by b", "extra term", swap(linear_backward, 2, lambda dZ, c: c[2] * dZ.sum(1, keepdims=True))),
])


# a perceptron of two layers: weights in a dictionary


class Net:
    def __init__(self):
        rng = np.random.default_rng(10)
        self.params = {"W1": rng.standard_normal((3, 3)), "b1": rng.standard_normal(3), "W2": rng.standard_normal((3, 2)), "b2": rng.standard_normal(2)}
        self.grads = {}

    def forward(self, x):
        p = self.params
        self.x = x
        self.z = x @ p["W1"] + p["b1"]
        self.h = np.tanh(self.z)
        return self.h @ p["W2"] + p["b2"]

    def slope(self):
        return 1 - self.h**2

    def backward(self, dout):
        self.grads["W2"] = self.h.T @ dout
        self.grads["b2"] = dout.sum(axis=0)
        dz = dout @ self.params["W2"].T * self.slope()
        self.grads["W1"] = self.x.T @ dz
        self.grads["b1"] = dz.sum(axis=0)
        return dz @ self.params["W1"].T


class NetNoSquare(Net):
    def slope(self):
        return 1 - self.h


class NetNoSlope(Net):
    def slope(self):
        return 1


class NetStep(Net):
    """Takes the step of gradient descent inside backward."""

    def backward(self, dout):
        dx = super().backward(dout)
        for k in self.params:
            self.params[k] -= 0.01 * self.grads[k]
        return dx


class NetInputForHidden(Net):
    def backward(self, dout):
        dx = super().backward(dout)
        self.grads["W2"] = self.x.T @ dout
        return dx


class NetDecay(Net):
    """Adds weight decay to the gradient, of which the forward pass knows nothing."""

    def backward(self, dout):
        dx = super().backward(dout)
        self.grads["W1"] = self.grads["W1"] + 0.1 * self.params["W1"]
        return dx


class NetStops(Net):
    def backward(self, dout):
        super().backward(dout)
        return dout @ self.params["W2"].T @ self.params["W1"]


class NetReLUHabit(Net):
    def slope(self):
        return self.z > 0


class NetDrawsDz(Net):
    """Multiplies the upstream gradient in place."""

    def backward(self, dout):
        self.grads["W2"] = self.h.T @ dout
        self.grads["b2"] = dout.sum(axis=0)
        dh = dout @ self.params["W2"].T
        dh *= self.slope()
        self.grads["W1"] = self.x.T @ dh
        self.grads["b1"] = dh.sum(axis=0)
        dout *= 0
        return dh @ self.params["W1"].T


for _name, _cause, _cls in (
    ("right", "", Net),
    ("1 - h", "wrong formula|missing term", NetNoSquare),
    ("no slope", "missing term", NetNoSlope),
    ("step inside", "input overwritten", NetStep),
    ("dW2 from x", "wrong tensor", NetInputForHidden),
    ("weight decay", "extra term", NetDecay),
    ("dx without slope, W1 unturned", "transposed|missing term|wrong formula", NetStops),
    ("slope of ReLU", "wrong mask|wrong formula", NetReLUHabit),
    ("dout cleared", "upstream overwritten", NetDrawsDz),
):
    layer("two layers, dictionary", normal((5, 3)), [(_name, _cause, _cls)])


# bilinear layer


def bilinear(u, v, W):
    return np.einsum("ni,kij,nj->nk", u, W, v), (u, v, W)


def bilinear_back(dy, c):
    u, v, W = c
    return np.einsum("nk,kij,nj->ni", dy, W, v), np.einsum("nk,kij,ni->nj", dy, W, u), np.einsum("nk,ni,nj->kij", dy, u, v)


group("bilinear", bilinear, normal((4, 3), (4, 3), (2, 3, 3)), [
    ("einsum", "", bilinear_back),
    ("matmul and loops", "", lambda dy, c: (sum(dy[:, [k]] * (c[1] @ c[2][k].T) for k in range(2)), sum(dy[:, [k]] * (c[0] @ c[2][k]) for k in range(2)), np.stack([(dy[:, [k]] * c[0]).T @ c[1] for k in range(2)]))),
    ("dW with i and j exchanged", "transposed", swap(bilinear_back, 2, lambda dy, c: np.einsum("nk,ni,nj->kji", dy, c[0], c[1]))),
    ("du from u", "wrong tensor", swap(bilinear_back, 0, lambda dy, c: np.einsum("nk,kij,nj->ni", dy, c[2], c[0]))),
    ("dW over the batch's mean", "constant factor", swap(bilinear_back, 2, lambda dy, c: np.einsum("nk,ni,nj->kij", dy, c[0], c[1]) / len(dy))),
    ("dv None", "missing gradient", swap(bilinear_back, 1, lambda dy, c: None)),
])


# polynomial layers


def poly(x, W1, W2, b):
    return x @ W1 + x**2 @ W2 + b


def poly_back(dy, x, W1, W2, b):
    return dy @ W1.T + 2 * x * (dy @ W2.T), x.T @ dy, (x * x).T @ dy, dy.sum(0)


def poly_swap(i, value):
    def backward(dy, x, W1, W2, b):
        grads = list(poly_back(dy, x, W1, W2, b))
        grads[i] = value(dy, x, W1, W2)
        return grads

    return backward


group("quadratic layer", poly, normal((5, 4), (4, 3), (4, 3), (3,)), [
    ("power rule", "", poly_back),
    ("2 of the power rule forgotten", "missing term|constant factor", poly_swap(0, lambda dy, x, V, W: dy @ V.T + x * (dy @ W.T))),
    ("x of the power rule forgotten", "missing term", poly_swap(0, lambda dy, x, V, W: dy @ V.T + 2 * (dy @ W.T))),
    ("linear part forgotten", "missing term", poly_swap(0, lambda dy, x, V, W: 2 * x * (dy @ W.T))),
    ("dW2 from x", "wrong tensor|missing term", poly_swap(2, lambda dy, x, V, W: x.T @ dy)),
    ("dW2 from 2x", "wrong formula|wrong tensor|missing term", poly_swap(2, lambda dy, x, V, W: (2 * x).T @ dy)),
    ("db mean", "constant factor|wrong axis", poly_swap(3, lambda dy, x, V, W: dy.mean(0))),
])


# radial basis functions


def rbf(x, centers, gamma):
    diff = x[:, None] - centers
    k = np.exp(-gamma * (diff**2).sum(-1))
    return k, {"diff": diff, "k": k, "gamma": gamma}


def rbf_back(dk, cache):
    diff, g = cache["diff"], dk * cache["k"]
    t = -2 * (g * cache["gamma"])[..., None] * diff
    return {"x": t.sum(1), "centers": -t.sum(0), "gamma": -(g * (diff**2).sum(-1)).sum(0)}


def rbf_with(**values):
    return lambda dk, cache: rbf_back(dk, cache) | {name: f(dk, cache) for name, f in values.items()}


group("RBF kernel", rbf, lambda rng: (rng.standard_normal((4, 2)), rng.standard_normal((3, 2)), rng.uniform(0.2, 0.9, 3)), [
    ("dictionary", "", rbf_back),
    ("dx without the minus", "constant factor", rbf_with(x=lambda dk, c: -rbf_back(dk, c)["x"])),
    ("dx without the 2", "constant factor", rbf_with(x=lambda dk, c: rbf_back(dk, c)["x"] / 2)),
    ("dx without gamma", "missing term", rbf_with(x=lambda dk, c: -2 * ((dk * c["k"])[..., None] * c["diff"]).sum(1))),
    ("dx without k", "missing term", rbf_with(x=lambda dk, c: -2 * ((dk * c["gamma"])[..., None] * c["diff"]).sum(1))),
    ("dgamma over everything", "wrong axis", rbf_with(gamma=lambda dk, c: np.full(3, rbf_back(dk, c)["gamma"].sum()))),
    ("dgamma not summed", "wrong shape", rbf_with(gamma=lambda dk, c: -dk * c["k"] * (c["diff"]**2).sum(-1))),
])


# activations


ROOT = sqrt(2 / pi)


def gelu_tanh(x):
    u = ROOT * (x + 0.044715 * x**3)
    return 0.5 * x * (1 + np.tanh(u)), (x, np.tanh(u))


def gelu_tanh_back(dy, cache, cube=3 * 0.044715, root=ROOT, half=0.5):
    x, t = cache
    return dy * (0.5 * (1 + t) + half * x * (1 - t * t) * root * (1 + cube * x * x))


group("GELU by tanh", gelu_tanh, normal((4, 6)), [
    ("product rule", "", gelu_tanh_back),
    ("3 of the cube forgotten", "missing term|constant factor|wrong formula", lambda dy, c: gelu_tanh_back(dy, c, cube=0.044715)),
    ("inner slope forgotten", "missing term|constant factor", lambda dy, c: gelu_tanh_back(dy, c, cube=0, root=1)),
    ("2 for the half", "constant factor", lambda dy, c: 4 * gelu_tanh_back(dy, c)),
    ("0.5 of the second forgotten", "constant factor|missing term", lambda dy, c: gelu_tanh_back(dy, c, half=1)),
])

ERF = np.vectorize(erf)


def gelu_exact(x):
    return x * 0.5 * (1 + ERF(x / sqrt(2)))


group("GELU by erf", gelu_exact, sized(1.3, (3, 7)), [
    ("cdf and pdf", "", lambda dy, x: dy * (0.5 * (1 + ERF(x / sqrt(2))) + x * np.exp(-x * x / 2) / sqrt(2 * pi))),
    ("pdf of the wrong width", "wrong formula|missing term", lambda dy, x: dy * (0.5 * (1 + ERF(x / sqrt(2))) + x * np.exp(-x * x) / sqrt(2 * pi))),
    ("pdf not normalised", "constant factor|missing term", lambda dy, x: dy * (0.5 * (1 + ERF(x / sqrt(2))) + x * np.exp(-x * x / 2))),
])


def softplus(x, beta=1.7):
    return np.logaddexp(0, beta * x) / beta


group("softplus of beta", softplus, sized(4, (5, 5)), [
    ("sigmoid", "", lambda g, x: g * squash(1.7 * x)),
    ("from y", "", lambda g, x: g * (1 - np.exp(-1.7 * softplus(x)))),
    ("beta once more", "constant factor", lambda g, x: 1.7 * g * squash(1.7 * x)),
    ("beta forgotten inside", "missing term|constant factor|wrong formula", lambda g, x: g * squash(x)),
    ("no upstream", "upstream ignored", lambda g, x: squash(1.7 * x) + 0 * g),
    ("float32 zeros", "float32", lambda g, x: (g * squash(1.7 * x)).astype("f4")),
    ("one minus", "wrong formula|constant factor|wrong mask", lambda g, x: g * (1 - squash(1.7 * x))),
])

group("softplus of large numbers", lambda x: np.logaddexp(0, x), sized(900, (2, 4)), [
    ("stable", "", lambda dy, x: dy * np.where(x > 0, 1 / (1 + np.exp(-np.abs(x))), np.exp(-np.abs(x)) / (1 + np.exp(-np.abs(x))))),
    ("quotient of exponentials", "not finite", lambda dy, x: dy * np.exp(x) / (1 + np.exp(x))),
])


class ELU:
    def __init__(self):
        self.alpha = 1.3

    def forward(self, x):
        self.x = x
        self.out = np.where(x > 0, x, self.alpha * (np.exp(np.minimum(x, 0)) - 1))
        return self.out

    def backward(self, grad_out):
        return grad_out * np.where(self.x > 0, 1, self.out + self.alpha)


class ELULoop(ELU):
    def backward(self, grad_out):
        dx = np.zeros_like(grad_out)
        for i in np.ndindex(grad_out.shape):
            dx[i] = grad_out[i] if self.x[i] > 0 else grad_out[i] * self.alpha * np.exp(self.x[i])
        return dx


class ELUGradMask(ELU):
    def backward(self, grad_out):
        return grad_out * np.where(grad_out > 0, 1, self.out + self.alpha)


class ELUInPlace(ELU):
    def backward(self, grad_out):
        low = self.x <= 0
        grad_out[low] *= self.out[low] + self.alpha
        return grad_out


class ELUBranches(ELU):
    def backward(self, grad_out):
        return grad_out * np.where(self.x < 0, 1, self.alpha * np.exp(self.x))


class ELUAdds(ELU):
    def backward(self, grad_out):
        self.out += self.alpha
        self.out[self.x > 0] = 1
        return grad_out * self.out


layer("ELU on self", normal((3, 4, 2)), [
    ("out plus alpha", "", ELU),
    ("loop", "", ELULoop),
    ("mask from the gradient", "wrong mask", ELUGradMask),
    ("in place on the gradient", "upstream overwritten", ELUInPlace),
    ("branches exchanged", "wrong mask", ELUBranches),
    ("in place on the output", "output overwritten", ELUAdds),
])


class PReLU(Layer):
    """Channels first: a slope for each of three maps."""

    def __init__(self):
        self.alpha = Parameter(np.array([0.25, -0.1, 0.6]))

    def slope(self):
        return self.alpha.data[:, None, None]

    def forward(self, x):
        return np.where(x > 0, x, x * self.slope()), x

    def dalpha(self, dy, x):
        return (dy * x * (x < 0)).sum(axis=(0, 2, 3))

    def backward(self, dy, x):
        self.alpha.grad += self.dalpha(dy, x)
        return np.where(x > 0, dy, dy * self.slope())


class PReLUAssigned(PReLU):
    def backward(self, dy, x):
        dx = super().backward(dy, x)
        self.alpha.grad = self.dalpha(dy, x)
        return dx


class PReLUWithoutX(PReLU):
    def dalpha(self, dy, x):
        return (dy * (x < 0)).sum(axis=(0, 2, 3))


class PReLUOverChannels(PReLU):
    def dalpha(self, dy, x):
        return np.full(3, (dy * x * (x < 0)).sum())


class PReLUNothing(PReLU):
    def backward(self, dy, x):
        return np.where(x > 0, dy, dy * self.slope())


class PReLUOnSelf(PReLU):
    def forward(self, x):
        self.x = x
        return super().forward(x)[0], None

    def backward(self, dy, _):
        return super().backward(dy, self.x)


layer("PReLU, channels first", normal((2, 3, 3, 2)), [
    ("right", "", PReLU),
    ("assigned", "assigned", PReLUAssigned),
    ("dalpha without x", "missing term", PReLUWithoutX),
    ("dalpha of all channels", "wrong axis", PReLUOverChannels),
    ("dalpha never", "missing gradient", PReLUNothing),
    ("cache on self", "shared cache", PReLUOnSelf),
])


def swish(x, beta):
    s = squash(beta * x)
    return x * s, (x, s, beta)


def swish_back(dy, cache):
    x, s, beta = cache
    return dy * (s + beta * x * s * (1 - s)), np.sum(dy * x * x * s * (1 - s), axis=0)


group("swish of learnt beta", swish, lambda rng: (2 * rng.standard_normal((6, 3)), rng.uniform(0.5, 2, 3)), [
    ("product rule", "", swish_back),
    ("from y", "", lambda dy, c: (dy * (c[1] + c[2] * c[0] * c[1] - c[2] * c[0] * c[1] ** 2), np.einsum("nc,nc,nc->c", dy, c[0] ** 2, c[1] - c[1] ** 2))),
    ("dbeta for each example", "wrong shape|wrong axis", swap(swish_back, 1, lambda dy, c: dy * c[0] ** 2 * c[1] * (1 - c[1]))),
    ("dbeta of the last example", "assigned|missing term", swap(swish_back, 1, lambda dy, c: (dy * c[0] ** 2 * c[1] * (1 - c[1]))[-1])),
    ("one sign", "constant factor|wrong formula|missing term", swap(swish_back, 0, lambda dy, c: dy * (c[1] - c[2] * c[0] * c[1] * (1 - c[1])))),
])


def mish(x):
    return x * np.tanh(np.log1p(np.exp(x)))


def mish_back(dy, x):
    t = np.tanh(np.log1p(np.exp(x)))
    return dy * (t + x * (1 - t * t) * squash(x))


group("mish, y alone", mish, normal((5, 4)), [
    ("chain", "", mish_back),
    ("by omega", "", lambda dy, x: dy * np.exp(x) * (4 * (x + 1) + 4 * np.exp(2 * x) + np.exp(3 * x) + np.exp(x) * (4 * x + 6)) / (2 * np.exp(x) + np.exp(2 * x) + 2) ** 2),
    ("softplus's slope forgotten", "missing term", lambda dy, x: dy * (np.tanh(np.log1p(np.exp(x))) + x * (1 - np.tanh(np.log1p(np.exp(x))) ** 2))),
    ("tanh's slope forgotten", "missing term", lambda dy, x: dy * (np.tanh(np.log1p(np.exp(x))) + x * squash(x))),
    ("tanh of x", "wrong tensor", lambda dy, x: dy * (np.tanh(x) + x * (1 - np.tanh(x) ** 2) * squash(x))),
    ("omega's square forgotten", "missing term|wrong formula|extra term", lambda dy, x: dy * np.exp(x) * (4 * (x + 1) + 4 * np.exp(2 * x) + np.exp(3 * x) + np.exp(x) * (4 * x + 6)) / (2 * np.exp(x) + np.exp(2 * x) + 2)),
])


def clipped(x, low=-0.8, high=1.1):
    return np.clip(x, low, high), x


group("hard clipping", clipped, sized(1.2, (4, 5)), [
    ("both sides", "", lambda dout, x: dout * ((x > -0.8) & (x < 1.1))),
    ("or for and", "wrong mask", lambda dout, x: dout * ((x > -0.8) | (x < 1.1))),
    ("inside for outside", "wrong mask", lambda dout, x: dout * ((x < -0.8) | (x > 1.1))),
    ("gradient clipped", "wrong formula|wrong mask", lambda dout, x: np.clip(dout, -0.8, 1.1)),
    ("zeroed in place", "upstream overwritten", lambda dout, x: np.multiply(dout, (x > -0.8) & (x < 1.1), out=dout)),
])


# gated linear units


def swiglu(x):
    a, b = np.split(x, 2, axis=-1)
    s = squash(a)
    return a * s * b, (a, b, s)


def swiglu_back(dy, cache):
    a, b, s = cache
    return np.concatenate([dy * b * (s + a * s * (1 - s)), dy * a * s], axis=-1)


def glu_halves(left, right):
    def backward(dy, cache):
        a, b, s = cache
        found = swiglu_back(dy, cache)
        n = a.shape[-1]
        return np.concatenate([found[..., :n] if left is None else left(dy, a, b, s), found[..., n:] if right is None else right(dy, a, b, s)], axis=-1)

    return backward


group("SwiGLU by halves", swiglu, normal((2, 3, 6)), [
    ("concatenated", "", swiglu_back),
    ("halves exchanged", "transposed|wrong tensor", lambda dy, c: np.roll(swiglu_back(dy, c), 3, axis=-1)),
    ("gate without b", "missing term", glu_halves(lambda dy, a, b, s: dy * (s + a * s * (1 - s)), None)),
    ("value without its gate", "missing term", glu_halves(None, lambda dy, a, b, s: dy)),
    ("value gated by s", "missing term", glu_halves(None, lambda dy, a, b, s: dy * s)),
    ("value's gradient zero", "missing gradient|missing term", glu_halves(None, lambda dy, a, b, s: 0 * dy)),
    ("only one half", "wrong shape", lambda dy, c: dy * c[0] * c[2]),
    ("concatenated on axis 1", "wrong shape|wrong axis", lambda dy, c: np.concatenate(np.split(swiglu_back(dy, c), 2, axis=-1), axis=1)),
])


# softmax and its relatives


def softmax_maps(x):
    return smax(x, 1), smax(x, 1)


def softmax_maps_back(dy, p, axis=1, weight=1.0):
    return p * (dy - weight * np.sum(dy * p, axis=axis, keepdims=True))


def softmax_jacobian(dy, p):
    dx = np.zeros_like(p)
    for n in range(p.shape[0]):
        for i, j in np.ndindex(p.shape[2:]):
            v = p[n, :, i, j]
            dx[n, :, i, j] = (np.diag(v) - np.outer(v, v)) @ dy[n, :, i, j]
    return dx


group("softmax over channels first", softmax_maps, normal((2, 4, 3, 2)), [
    ("projection", "", softmax_maps_back),
    ("Jacobians", "", softmax_jacobian),
    ("sum over the batch", "wrong axis", lambda dy, p: softmax_maps_back(dy, p, 0)),
    ("sum of dy", "missing term", lambda dy, p: p * (dy - dy.sum(1, keepdims=True))),
    ("mean for sum", "constant factor|missing term", lambda dy, p: softmax_maps_back(dy, p, weight=0.25)),
    ("p once more", "extra term", lambda dy, p: p * softmax_maps_back(dy, p)),
])


def log_softmax(z):
    m = z.max(1, keepdims=True)
    return z - m - np.log(np.exp(z - m).sum(1, keepdims=True))


group("log-softmax, y alone", log_softmax, sized(3, (5, 3)), [
    ("from z", "", lambda grad, z: grad - smax(z) * grad.sum(1, keepdims=True)),
    ("sum of rows missing", "missing term", lambda grad, z: grad - smax(z)),
    ("sum weighted by p", "extra term|wrong formula", lambda grad, z: grad - smax(z) * (grad * smax(z)).sum(1, keepdims=True)),
    ("columns", "wrong axis", lambda grad, z: grad - smax(z) * grad.sum(0, keepdims=True)),
    ("z for softmax", "wrong tensor", lambda grad, z: grad - log_softmax(z) * grad.sum(1, keepdims=True)),
    ("plus", "constant factor", lambda grad, z: grad + smax(z) * grad.sum(1, keepdims=True)),
])


def lse(x, tau=0.5):
    m = x.max(axis=(1, 2), keepdims=True)
    y = tau * np.log(np.exp((x - m) / tau).sum(axis=(1, 2))) + m[:, 0, 0]
    return y, (x, y)


group("log-sum-exp of maps", lse, normal((3, 2, 4)), [
    ("from y", "", lambda dy, c: dy[:, None, None] * np.exp((c[0] - c[1][:, None, None]) / 0.5)),
    ("temperature forgotten", "missing term|constant factor|wrong formula", lambda dy, c: dy[:, None, None] * np.exp(c[0] - c[1][:, None, None])),
    ("normalised over rows", "wrong axis", lambda dy, c: dy[:, None, None] * smax(c[0] / 0.5, -1)),
    ("not normalised", "missing term", lambda dy, c: dy[:, None, None] * np.exp(c[0] / 0.5)),
    ("dy forgotten", "upstream ignored", lambda dy, c: np.exp((c[0] - c[1][:, None, None]) / 0.5)),
])


# losses that return their gradient


def xent(sign=1, label=1.0, every=False):
    def cross_entropy(scores, labels):
        n = np.arange(len(scores))
        p = smax(scores)
        grad = p.copy()
        if every:
            grad[:, labels] -= 1
        else:
            grad[n, labels] -= label
        return -np.log(p[n, labels]).mean(), sign * grad / 4

    return cross_entropy


def xent_no_max(scores, labels):
    e = np.exp(scores)
    p = e / e.sum(1, keepdims=True)
    loss = xent()(scores, labels)[0]
    p[np.arange(4), labels] -= 1
    return loss, p / 4


def xent_shifts_in_place(scores, labels):
    scores -= scores.max(1, keepdims=True)
    return xent()(scores, labels)


def xent_of_argmax(scores, labels):
    p = smax(scores)
    p[np.arange(4), p.argmax(1)] -= 1
    return xent()(scores, labels)[0], p / 4


def xent_of_p(scores, labels):
    p = smax(scores)
    return xent()(scores, labels)[0], -np.eye(5)[labels] / p / 4


def labelled(rng):
    return 2 * rng.standard_normal((4, 5)), np.array([1, 4, 0, 1])


single("softmax cross-entropy with labels", labelled, [
    ("p - 1", "", xent()),
    ("label added", "constant factor|wrong formula|missing term", xent(label=-1.0)),
    ("all columns of labels", "wrong formula|extra term|wrong axis", xent(every=True)),
    ("minus", "constant factor", xent(sign=-1)),
    ("guess for label", "wrong tensor|wrong mask", xent_of_argmax),
    ("gradient of the probabilities", "missing term", xent_of_p),
    ("shifted in place", "input overwritten", xent_shifts_in_place),
])
single("softmax cross-entropy of large scores", lambda rng: (800 * rng.standard_normal((4, 5)), np.array([1, 4, 0, 1])), [
    ("maximum not subtracted", "not finite", lambda s, labels: (np.sum(np.logaddexp.reduce(s, 1) - s[np.arange(4), labels]) / 4, xent_no_max(s, labels)[1])),
])


def masked_xent(form="right"):
    def loss(scores, target, mask):
        p = smax(scores)
        count = mask.sum()
        t = np.eye(3)[target]
        value = -(mask[..., None] * t * np.log(p)).sum() / count
        grad = (p - t) * mask[..., None] / count
        if form == "unmasked":
            grad = (p - t) / count
        elif form == "inverted":
            grad = (p - t) * (1 - mask[..., None]) / count
        return value, grad

    return loss


single("cross-entropy of padded sequences", lambda rng: (rng.standard_normal((2, 4, 3)), np.array([[0, 2, 1, 1], [2, 2, 0, 1]]), np.array([[1.0, 1, 1, 0], [1, 1, 0, 0]])), [
    ("masked", "", masked_xent()),
    ("padding counted", "wrong mask|missing term", masked_xent("unmasked")),
    ("mask upside down", "wrong mask", masked_xent("inverted")),
])


def bce_pair(s, target):
    return np.logaddexp(0, s).sum() - (target * s).sum(), (s, target)


group("binary cross-entropy with logits", bce_pair, lambda rng: (2 * rng.standard_normal((3, 5)), rng.integers(0, 2, (3, 5)).astype(float)), [
    ("sigmoid minus target", "", lambda dloss, c: dloss * (squash(c[0]) - c[1])),
    ("sigmoid's slope too", "extra term", lambda dloss, c: dloss * (squash(c[0]) - c[1]) * squash(c[0]) * (1 - squash(c[0]))),
    ("target minus sigmoid", "constant factor", lambda dloss, c: dloss * (c[1] - squash(c[0]))),
    ("mean", "constant factor", lambda dloss, c: dloss * (squash(c[0]) - c[1]) / 15),
    ("positive class only", "missing term|wrong mask", lambda dloss, c: dloss * (squash(c[0]) - 1) * c[1]),
    ("hard decision", "wrong formula|wrong mask", lambda dloss, c: dloss * ((c[0] > 0) - c[1])),
])


def bce_of_p(p, y_true):
    return -(y_true * np.log(p) + (1 - y_true) * np.log(1 - p)).mean(), (p, y_true)


group("binary cross-entropy of probabilities", bce_of_p, lambda rng: (rng.uniform(0.1, 0.9, (6, 1)), np.array([[0], [1], [1], [0], [1], [0]])), [
    ("quotient", "", lambda d, c: d * (c[0] - c[1]) / (c[0] * (1 - c[0])) / 6),
    ("denominator forgotten", "missing term", lambda d, c: d * (c[0] - c[1]) / 6),
    ("negative half forgotten", "missing term|wrong mask", lambda d, c: -d * c[1] / c[0] / 6),
    ("minus forgotten", "constant factor", lambda d, c: -d * (c[0] - c[1]) / (c[0] * (1 - c[0])) / 6),
    ("integers", "integer arithmetic", lambda d, c: (d * (c[0] - c[1]) / (c[0] * (1 - c[0])) / 6 * 10).astype(np.int64) / 10),
    ("denominator's second factor", "missing term", lambda d, c: d * (c[0] - c[1]) / c[0] / 6),
])


def svm(form=""):
    def svm_loss(scores, labels):
        n = np.arange(len(labels))
        margins = scores - scores[n, labels][:, None] + 1
        margins[n, labels] = 0
        loss = np.maximum(margins, 0).sum() / len(labels)
        d = (margins > 0).astype(float)
        if form == "plus":
            d[n, labels] = d.sum(1)
        elif form == "scores":
            d = (scores > 0).astype(float)
            d[n, labels] = 0
            d[n, labels] -= d.sum(1)
        elif form == "squared":
            d = np.maximum(margins, 0)
            d[n, labels] -= d.sum(1)
        else:
            d[n, labels] -= d.sum(1)
        return loss, d / len(labels)

    return svm_loss


single("multiclass hinge", lambda rng: (1.5 * rng.standard_normal((5, 4)), np.array([0, 3, 1, 1, 2])), [
    ("counts", "", svm()),
    ("label's score with a plus", "constant factor|wrong formula|missing term", svm(form="plus")),
    ("mask of the scores", "wrong mask", svm(form="scores")),
    ("of the squared hinge", "extra term|wrong tensor|wrong formula", svm(form="squared")),
])


def huber(delta):
    def loss(pred, target):
        r = pred - target
        quad = np.abs(r) <= delta
        return np.where(quad, r * r / 2, delta * (np.abs(r) - delta / 2)).sum(), (r, quad)

    return loss


group("Huber of 0.7", huber(0.7), normal((4, 4), (4, 4)), [
    ("clip", "", lambda g, c: g * np.clip(c[0], -0.7, 0.7)),
    ("where", "", lambda g, c: g * np.where(c[1], c[0], 0.7 * np.sign(c[0]))),
    ("delta forgotten", "missing term|constant factor", lambda g, c: g * np.where(c[1], c[0], np.sign(c[0]))),
    ("sign forgotten", "missing term|wrong formula|constant factor|wrong mask", lambda g, c: g * np.where(c[1], c[0], 0.7)),
    ("branches exchanged", "wrong mask", lambda g, c: g * np.where(c[1], 0.7 * np.sign(c[0]), c[0])),
    ("twice the residual", "constant factor", lambda g, c: g * np.where(c[1], 2 * c[0], 0.7 * np.sign(c[0]))),
    ("mask without the modulus", "wrong mask", lambda g, c: g * np.where(c[0] <= 0.7, c[0], 0.7)),
])


def pinball(change=lambda e, q, g: g):
    def quantile(pred, target):
        q = np.array([0.1, 0.5, 0.8])
        e = target - pred
        return np.maximum(q * e, (q - 1) * e).mean(), change(e, q, np.where(e > 0, -q, 1 - q) / e.size)

    return quantile


single("quantile loss", normal((5, 3), (5, 3)), [
    ("where", "", pinball()),
    ("sides exchanged", "wrong mask|wrong formula", pinball(lambda e, q, g: np.where(e > 0, 1 - q, -q) / e.size)),
    ("sign", "constant factor", pinball(lambda e, q, g: -g)),
    ("median only", "wrong formula|missing term", pinball(lambda e, q, g: -0.5 * np.sign(e) / e.size)),
    ("lower side forgotten", "missing term|wrong mask", pinball(lambda e, q, g: g * (e > 0))),
    ("q for 1 - q", "wrong formula|missing term", pinball(lambda e, q, g: np.where(e > 0, -q, q) / e.size)),
])


def mse_closure(scale=2.0, drop=False, axis=False):
    def mse(pred):
        target = np.linspace(-1, 1, 12).reshape(4, 3)
        r = pred - target

        def backward(dloss):
            if drop:
                return scale * r / r.size
            if axis:
                return dloss * scale * r.mean(0, keepdims=True) / r.size + 0 * r
            return dloss * scale * r / r.size

        return np.mean(r * r), backward

    return mse


single("squared error with its backward", normal((4, 3)), [
    ("2 r / n", "", mse_closure()),
    ("minus", "constant factor", mse_closure(-2.0)),
    ("upstream forgotten", "upstream ignored", mse_closure(drop=True)),
    ("residual averaged over the batch", "wrong axis|extra term|wrong formula", mse_closure(axis=True)),
])


# pooling


def pool(x, k=2, s=2):
    n, h, w, c = x.shape
    ho, wo = (h - k) // s + 1, (w - k) // s + 1
    y = np.empty((n, ho, wo, c))
    for i in range(ho):
        for j in range(wo):
            y[:, i, j] = x[:, i * s : i * s + k, j * s : j * s + k].max((1, 2))
    return y, (x, k, s)


def pool_back(dy, cache, step=None, share=False):
    x, k, s = cache
    dx = np.zeros_like(x)
    t = s if step is None else step
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            at = np.s_[:, i * t : i * t + k, j * t : j * t + k]
            window = x[at]
            mask = window == window.max((1, 2), keepdims=True)
            dx[at] += (np.ones_like(window) / k**2 if share else mask) * dy[:, i : i + 1, j : j + 1]
    return dx


group("max pooling, windows overlap", lambda x: pool(x, 3, 2), normal((2, 5, 7, 2)), [
    ("added", "", pool_back),
    ("windows of step 1", "stride or padding", lambda dy, c: pool_back(dy, c, step=1)),
    ("shared like an average", "wrong mask|wrong formula", lambda dy, c: pool_back(dy, c, share=True)),
    ("doubled mask", "constant factor", lambda dy, c: pool_back(2 * dy, c)),
])


def avg_pool(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 3, 3).mean((3, 5))


group("average pooling 2 by 3, channels first", avg_pool, normal((2, 3, 4, 6)), [
    ("kron", "", lambda dy, x: np.kron(dy, np.ones((2, 3))) / 6),
    ("repeat", "", lambda dy, x: dy.repeat(2, axis=2).repeat(3, axis=3) / 6),
    ("divided by 4", "constant factor", lambda dy, x: dy.repeat(2, axis=2).repeat(3, axis=3) / 4),
    ("3 by 2", "wrong shape|stride or padding|wrong axis", lambda dy, x: dy.repeat(3, axis=2).repeat(2, axis=3) / 6),
    ("tiled", "stride or padding|transposed|wrong formula", lambda dy, x: np.tile(dy, (1, 1, 2, 3)) / 6),
    ("top left only", "missing term|wrong mask", lambda dy, x: np.kron(dy, np.array([[1, 0, 0], [0, 0, 0]])) / 6),
    ("no upsampling", "wrong shape", lambda dy, x: dy / 6),
    ("integer weight", "integer arithmetic", lambda dy, x: (np.kron(dy, np.ones((2, 3))) * 6 // 36)),
])


class GlobalMax(Layer):
    def forward(self, x):
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        return flat.max(1), (flat.argmax(1), x.shape)

    def where(self, arg):
        return arg

    def backward(self, dy, cache):
        arg, shape = cache
        dx = np.zeros((shape[0], shape[1] * shape[2], shape[3]), dtype=dy.dtype)
        np.put_along_axis(dx, self.where(arg)[:, None], dy[:, None], axis=1)
        return dx.reshape(shape)


class GlobalMaxFirst(GlobalMax):
    def where(self, arg):
        return arg[:, :1] + 0 * arg


class GlobalMaxFlat(GlobalMax):
    def backward(self, dy, cache):
        arg, (n, h, w, c) = cache
        dx = np.zeros((n, h * w, c))
        np.put_along_axis(dx, arg[:, None], dy[:, None], axis=1)
        return dx


layer("global max pooling", normal((2, 3, 4, 3)), [
    ("right", "", GlobalMax),
    ("first channel's place", "wrong mask", GlobalMaxFirst),
    ("flat", "wrong shape", GlobalMaxFlat),
])


# recurrent cells


class Elman:
    """A whole sequence, weights as attributes; x is (time, batch, features)."""

    def __init__(self):
        rng = np.random.default_rng(4)
        self.Wx, self.Wh, self.b = 0.7 * rng.standard_normal((2, 3)), 0.7 * rng.standard_normal((3, 3)), 0.1 * rng.standard_normal(3)

    def forward(self, x):
        self.x, self.h = x, [np.zeros((x.shape[1], 3))]
        for step in x:
            self.h.append(np.tanh(step @ self.Wx + self.h[-1] @ self.Wh + self.b))
        return np.stack(self.h[1:])

    def carry(self, dz):
        return dz @ self.Wh.T

    def before(self, t):
        return self.h[t]

    def backward(self, dh_all):
        self.dWx, self.dWh, self.db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros_like(self.b)
        dx, dnext = np.zeros_like(self.x), 0
        for t in range(len(self.x) - 1, -1, -1):
            dz = (dh_all[t] + dnext) * (1 - self.h[t + 1] ** 2)
            self.dWx += self.x[t].T @ dz
            self.dWh += self.before(t).T @ dz
            self.db += dz.sum(0)
            dx[t] = dz @ self.Wx.T
            dnext = self.carry(dz)
        return dx


class ElmanNoCarry(Elman):
    def carry(self, dz):
        return 0


class ElmanPresent(Elman):
    def before(self, t):
        return self.h[t + 1]


class ElmanLastOnly(Elman):
    def backward(self, dh_all):
        only = np.zeros_like(dh_all)
        only[-1] = dh_all[-1]
        return super().backward(only)


class ElmanClipped(Elman):
    def backward(self, dh_all):
        dx = super().backward(dh_all)
        self.dWh = np.clip(self.dWh, -0.5, 0.5)
        return dx


class ElmanAveraged(Elman):
    def backward(self, dh_all):
        dx = super().backward(dh_all)
        self.dWx, self.dWh, self.db = self.dWx / len(dx), self.dWh / len(dx), self.db / len(dx)
        return dx


class ElmanForward(Elman):
    """Walks from the first step to the last."""

    def backward(self, dh_all):
        self.dWx, self.dWh, self.db = np.zeros_like(self.Wx), np.zeros_like(self.Wh), np.zeros_like(self.b)
        dx, dnext = np.zeros_like(self.x), 0
        for t in range(len(self.x)):
            dz = (dh_all[t] + dnext) * (1 - self.h[t + 1] ** 2)
            self.dWx += self.x[t].T @ dz
            self.dWh += self.h[t].T @ dz
            self.db += dz.sum(0)
            dx[t] = dz @ self.Wx.T
            dnext = dz @ self.Wh.T
        return dx


layer("Elman network on self", normal((4, 2, 2)), [
    ("through time", "", Elman),
    ("nothing carried", "missing term", ElmanNoCarry),
    ("dWh from the present state", "wrong tensor", ElmanPresent),
    ("last step's gradient only", "missing term", ElmanLastOnly),
    ("dWh clipped", "wrong formula", ElmanClipped),
    ("averaged over time", "constant factor", ElmanAveraged),
    ("walks forwards", "wrong formula|missing term|transposed", ElmanForward),
])


def gru_step(x, h, Wz, Wr, Wc):
    """Weights act on [x, h]: widths 2 and 3."""
    xh = np.concatenate([x, h], 1)
    z, r = squash(xh @ Wz), squash(xh @ Wr)
    xrh = np.concatenate([x, r * h], 1)
    c = np.tanh(xrh @ Wc)
    return (1 - z) * h + z * c, dict(xh=xh, xrh=xrh, z=z, r=r, c=c, h=h, Wz=Wz, Wr=Wr, Wc=Wc)


def gru_back(dh_new, s, direct=True, sign=1, reset=True, zslope=True, cslope=True, rh=True):
    z, r, c, h = s["z"], s["r"], s["c"], s["h"]
    dc = dh_new * z * (1 - c * c if cslope else 1)
    dz = dh_new * (c - sign * h) * (z * (1 - z) if zslope else 1)
    dxrh = dc @ s["Wc"].T
    dr = dxrh[:, 2:] * (h if rh else 1) * r * (1 - r)
    dxh = dz @ s["Wz"].T + dr @ s["Wr"].T
    dh = dxh[:, 2:] + (dxrh[:, 2:] * r if reset else 0) + (dh_new * (1 - z) if direct else 0)
    return dxh[:, :2] + dxrh[:, :2], dh, s["xh"].T @ dz, s["xh"].T @ dr, s["xrh"].T @ dc


group("gated recurrent unit, stacked inputs", gru_step, normal((3, 2), (3, 3), (5, 3), (5, 3), (5, 3)), [
    ("as derived", "", gru_back),
    ("direct path to h forgotten", "missing term", lambda d, s: gru_back(d, s, direct=False)),
    ("h left out of the update gate", "missing term", lambda d, s: gru_back(d, s, sign=0)),
    ("reset path to h forgotten", "missing term", lambda d, s: gru_back(d, s, reset=False)),
    ("update gate without its slope", "missing term", lambda d, s: gru_back(d, s, zslope=False)),
    ("candidate without its slope", "missing term", lambda d, s: gru_back(d, s, cslope=False)),
    ("reset gate without h", "missing term", lambda d, s: gru_back(d, s, rh=False)),
    ("dWc from xh", "wrong tensor", lambda d, s: (*gru_back(d, s)[:4], s["xh"].T @ (d * s["z"] * (1 - s["c"] ** 2)))),
    ("dWz and dWr exchanged", "wrong tensor", lambda d, s: tuple(gru_back(d, s)[i] for i in (0, 1, 3, 2, 4))),
])


def lstm_cell(x, c_prev, W, b):
    a = x @ W + b
    i, f, o = (squash(a[:, k : k + 2]) for k in (0, 2, 4))
    g = np.tanh(a[:, 6:])
    c = f * c_prev + i * g
    return o * np.tanh(c), (x, c_prev, W, i, f, o, g, np.tanh(c))


def lstm_back(dh, cache, tc=True, fprev=True):
    x, c_prev, W, i, f, o, g, t = cache
    dc = dh * o * (1 - t * t if tc else 1)
    gates = [dc * g * i * (1 - i), dc * (c_prev if fprev else 1) * f * (1 - f), dh * t * o * (1 - o), dc * i * (1 - g * g)]
    da = np.concatenate(gates, axis=1)
    return da @ W.T, dc * f, x.T @ da, da.sum(0)


group("LSTM cell", lstm_cell, normal((4, 3), (4, 2), (3, 8), (8,)), [
    ("four gates", "", lstm_back),
    ("slope of tanh(c) forgotten", "missing term", lambda dh, c: lstm_back(dh, c, tc=False)),
    ("previous cell forgotten", "missing term", lambda dh, c: lstm_back(dh, c, fprev=False)),
    ("dc from the input gate", "wrong tensor", swap(lstm_back, 1, lambda dh, c: dh * c[5] * (1 - c[7] ** 2) * c[3])),
    ("dc without the forget gate", "missing term", swap(lstm_back, 1, lambda dh, c: dh * c[5] * (1 - c[7] ** 2))),
])


# normalisations


def norm_dx(g, xhat, istd, axes, mean=1.0, var=1.0):
    m = np.mean(g, axis=axes, keepdims=True)
    v = np.mean(g * xhat, axis=axes, keepdims=True)
    return istd * (g - mean * m - var * xhat * v)


def normed(x, axes, eps=1e-5):
    mu = x.mean(axes, keepdims=True)
    istd = (x.var(axes, keepdims=True) + eps) ** -0.5
    return (x - mu) * istd, istd


class BatchNorm2d(Layer):
    """Channels first."""

    def __init__(self):
        self.gamma = Parameter(np.array([0.7, -1.2, 1.6]))
        self.beta = Parameter(np.array([0.1, 0.0, -0.4]))

    def wide(self, p):
        return p.data.reshape(1, 3, 1, 1)

    def forward(self, x):
        xhat, istd = normed(x, (0, 2, 3))
        return xhat * self.wide(self.gamma) + self.wide(self.beta), (xhat, istd)

    def weights(self, dy, xhat):
        self.gamma.grad += (dy * xhat).sum((0, 2, 3))
        self.beta.grad += dy.sum((0, 2, 3))

    def backward(self, dy, cache):
        self.weights(dy, cache[0])
        return norm_dx(dy * self.wide(self.gamma), *cache, (0, 2, 3))


class BNSums(BatchNorm2d):
    def backward(self, dy, cache):
        self.weights(dy, cache[0])
        xhat, istd = cache
        m = dy.size // 3
        s0, s1 = dy.sum((0, 2, 3), keepdims=True), (dy * xhat).sum((0, 2, 3), keepdims=True)
        return self.wide(self.gamma) * istd / m * (m * dy - s0 - xhat * s1)


class BNBatchOnly(BatchNorm2d):
    def backward(self, dy, cache):
        self.weights(dy, cache[0])
        return norm_dx(dy * self.wide(self.gamma), *cache, (0,))


class BNLikeInference(BatchNorm2d):
    def backward(self, dy, cache):
        self.weights(dy, cache[0])
        return dy * self.wide(self.gamma) * cache[1]


class BNNoVariance(BatchNorm2d):
    def backward(self, dy, cache):
        self.weights(dy, cache[0])
        return norm_dx(dy * self.wide(self.gamma), *cache, (0, 2, 3), var=0)


class BNBothSet(BatchNorm2d):
    def weights(self, dy, xhat):
        self.gamma.grad[...] = np.einsum("nchw,nchw->c", dy, xhat)
        self.beta.grad[...] = np.einsum("nchw->c", dy)


class BNGammaOfOutput(BatchNorm2d):
    def weights(self, dy, xhat):
        y = xhat * self.wide(self.gamma) + self.wide(self.beta)
        self.gamma.grad += (dy * y).sum((0, 2, 3))
        self.beta.grad += dy.sum((0, 2, 3))


class BNKeepsDims(BatchNorm2d):
    def weights(self, dy, xhat):
        self.gamma.grad = self.gamma.grad + (dy * xhat).sum((0, 2, 3), keepdims=True)
        self.beta.grad += dy.sum((0, 2, 3))


class BNSelf(BatchNorm2d):
    def forward(self, x):
        y, (self.xhat, self.istd) = super().forward(x)
        return y, x

    def backward(self, dy, x):
        return super().backward(dy, (self.xhat, self.istd))


class BNStdTwice(BatchNorm2d):
    def backward(self, dy, cache):
        return super().backward(dy, cache) * cache[1]


layer("batch norm, channels first", lambda rng: (1 + 2.5 * rng.standard_normal((3, 3, 2, 3)),), [
    ("means", "", BatchNorm2d),
    ("sums", "", BNSums),
    ("means over the batch alone", "wrong axis", BNBatchOnly),
    ("statistics taken for constants", "missing term", BNLikeInference),
    ("variance taken for constant", "missing term", BNNoVariance),
    ("both assigned in place", "assigned", BNBothSet),
    ("dgamma of the output", "wrong tensor", BNGammaOfOutput),
    ("dgamma keeps its axes", "wrong shape", BNKeepsDims),
    ("statistics on self", "shared cache", BNSelf),
    ("standard deviation twice", "extra term", BNStdTwice),
])


def layer_norm(x, g, b):
    xhat, istd = normed(x, -1)
    return g * xhat + b, (xhat, istd, g)


def layer_norm_back(dout, cache, axis=-1, **how):
    xhat, istd, g = cache
    lead = tuple(range(dout.ndim - 1))
    return norm_dx(dout * g, xhat, istd, axis, **how), (dout * xhat).sum(lead), dout.sum(lead)


group("layer norm of tokens", layer_norm, sized(0.6, (2, 3, 5), (5,), (5,)), [
    ("means", "", layer_norm_back),
    ("loop over tokens", "", lambda dout, c: (np.stack([[norm_dx(dout[n, t] * c[2], c[0][n, t], c[1][n, t], 0) for t in range(3)] for n in range(2)]), np.einsum("ntd,ntd->d", dout, c[0]), np.einsum("ntd->d", dout))),
    ("mean's term doubled", "constant factor|extra term", lambda dout, c: layer_norm_back(dout, c, mean=2.0)),
    ("variance's term with a plus", "constant factor|wrong formula|missing term", lambda dout, c: layer_norm_back(dout, c, var=-1.0)),
    ("mean's term forgotten", "missing term", lambda dout, c: layer_norm_back(dout, c, mean=0.0)),
    ("dg over the batch only", "wrong shape|wrong axis", swap(layer_norm_back, 1, lambda dout, c: (dout * c[0]).sum(0))),
    ("dg without x hat", "missing term", swap(layer_norm_back, 1, lambda dout, c: dout.sum((0, 1)))),
    ("db multiplied by g", "extra term", swap(layer_norm_back, 2, lambda dout, c: (dout * c[2]).sum((0, 1)))),
])


def instance_pair(x):
    xhat, istd = normed(x, (2, 3))
    return xhat, (xhat, istd)


group("instance norm, channels first", instance_pair, sized(40, (2, 3, 3, 4)), [
    ("means", "", lambda dy, c: norm_dx(dy, *c, (2, 3))),
    ("over channels too", "wrong axis", lambda dy, c: norm_dx(dy, *c, (1, 2, 3))),
    ("over rows alone", "wrong axis", lambda dy, c: norm_dx(dy, *c, (3,))),
    ("standard deviation for its inverse", "wrong tensor|wrong formula|constant factor", lambda dy, c: norm_dx(dy, c[0], 1 / c[1], (2, 3))),
])


def group_norm(x, gamma):
    n, c, length = x.shape
    xhat, istd = normed(x.reshape(n, 2, c // 2, length), (2, 3))
    return xhat.reshape(x.shape) * gamma[:, None], (xhat, istd, gamma)


def group_norm_back(dy, cache, axes=(2, 3), weighted=True, **how):
    xhat, istd, gamma = cache
    g = (dy * gamma[:, None] if weighted else dy).reshape(xhat.shape)
    return norm_dx(g, xhat, istd, axes, **how).reshape(dy.shape), np.sum(dy * xhat.reshape(dy.shape), axis=(0, 2))


group("group norm of sequences", group_norm, normal((3, 4, 3), (4,)), [
    ("means", "", group_norm_back),
    ("over the groups too", "wrong axis", lambda dy, c: group_norm_back(dy, c, (1, 2, 3))),
    ("mean forgotten", "missing term", lambda dy, c: group_norm_back(dy, c, mean=0)),
    ("both forgotten", "missing term", lambda dy, c: group_norm_back(dy, c, mean=0, var=0)),
    ("gamma forgotten", "missing term", lambda dy, c: group_norm_back(dy, c, weighted=False)),
    ("dgamma of groups", "wrong shape|wrong axis", swap(group_norm_back, 1, lambda dy, c: (dy.reshape(c[0].shape) * c[0]).sum((0, 2, 3)))),
    ("channels dealt to groups by turns", "wrong axis|transposed|wrong formula|stride or padding", swap(group_norm_back, 0, lambda dy, c: norm_dx((dy * c[2][:, None]).reshape(3, 2, 2, 3).swapaxes(1, 2), c[0], c[1], (2, 3)).swapaxes(1, 2).reshape(3, 4, 3))),
])


def rms_norm(x, w, eps=1e-6):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * w


def rms_back(dy, x, w):
    r = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    g = dy * w
    return g / r - x * (g * x).mean(-1, keepdims=True) / r**3, (dy * x / r).sum(0)


def rms_changed(dx=None, dw=None):
    def backward(dy, x, w):
        r = np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
        a, b = rms_back(dy, x, w)
        return (a if dx is None else dx(dy * w, x, r)), (b if dw is None else dw(dy, x, r))

    return backward


group("RMS norm, y alone", rms_norm, sized(0.05, (4, 6), (6,)), [
    ("two terms", "", rms_back),
    ("square for cube", "missing term", rms_changed(lambda g, x, r: g / r - x * (g * x).mean(-1, keepdims=True) / r**2)),
    ("second term forgotten", "missing term", rms_changed(lambda g, x, r: g / r)),
    ("mean over the batch", "wrong axis", rms_changed(lambda g, x, r: g / r - x * (g * x).mean(0, keepdims=True) / r**3)),
    ("centred like layer norm", "extra term", rms_changed(lambda g, x, r: g / r - g.mean(-1, keepdims=True) / r - x * (g * x).mean(-1, keepdims=True) / r**3)),
    ("dw of x", "missing term", rms_changed(None, lambda dy, x, r: (dy * x).sum(0))),
    ("dw ignores dy", "upstream ignored", rms_changed(None, lambda dy, x, r: (x / r).sum(0))),
])


# residual blocks, highways, experts


def residual(x, W1, W2):
    h = np.maximum(x @ W1, 0)
    return np.maximum(x + h @ W2, 0), (x, W1, W2, h, x + h @ W2)


def residual_back(dy, c, skip=1, outer=True, inner=True):
    x, W1, W2, h, s = c
    ds = dy * (s > 0) if outer else dy
    dh = ds @ W2.T * ((h > 0) if inner else 1)
    return skip * ds + dh @ W1.T, x.T @ dh, h.T @ ds


group("residual block with two ReLUs", residual, normal((4, 3), (3, 5), (5, 3)), [
    ("both ways", "", residual_back),
    ("in-place sum of its own", "", swap(residual_back, 0, lambda dy, c: np.add(dy * (c[4] > 0), (dy * (c[4] > 0)) @ c[2].T * (c[3] > 0) @ c[1].T))),
    ("skip forgotten", "missing term", lambda dy, c: residual_back(dy, c, skip=0)),
    ("outer ReLU forgotten", "wrong mask|missing term", lambda dy, c: residual_back(dy, c, outer=False)),
    ("inner ReLU forgotten", "wrong mask|missing term", lambda dy, c: residual_back(dy, c, inner=False)),
    ("skip past the ReLU", "wrong mask|missing term", swap(residual_back, 0, lambda dy, c: dy + (dy * (c[4] > 0)) @ c[2].T * (c[3] > 0) @ c[1].T)),
    ("skip twice", "constant factor|extra term", lambda dy, c: residual_back(dy, c, skip=2)),
])


def highway(x, Wt, Wh, b):
    t, h = squash(x @ Wt + b), np.tanh(x @ Wh)
    return t * h + (1 - t) * x, {"x": x, "Wt": Wt, "Wh": Wh, "t": t, "h": h}


def highway_back(dy, s, minus=True):
    x, t, h = s["x"], s["t"], s["h"]
    dt = dy * (h - x if minus else h) * t * (1 - t)
    dh = dy * t * (1 - h * h)
    return dt @ s["Wt"].T + dh @ s["Wh"].T + dy * (1 - t), x.T @ dt, x.T @ dh, dt.sum(0)


group("highway", highway, normal((3, 4), (4, 4), (4, 4), (4,)), [
    ("as derived", "", highway_back),
    ("gate sees h alone", "missing term", lambda dy, s: highway_back(dy, s, minus=False)),
])


def experts(x, G, E):
    p, f = smax(x @ G), np.einsum("nd,kdo->nko", x, E)
    return np.einsum("nk,nko->no", p, f), (x, G, E, p, f)


def experts_back(dy, c, gate=True):
    x, G, E, p, f = c
    dp = np.einsum("no,nko->nk", dy, f)
    ds = p * (dp - (dp * p).sum(1, keepdims=True))
    df = p[..., None] * dy[:, None]
    return np.einsum("nko,kdo->nd", df, E) + (ds @ G.T if gate else 0), x.T @ ds, np.einsum("nd,nko->kdo", x, df)


group("mixture of three experts", experts, normal((4, 3), (3, 3), (3, 3, 2)), [
    ("einsum", "", experts_back),
    ("gate's path to x forgotten", "missing term", lambda dy, c: experts_back(dy, c, gate=False)),
    ("experts ungated", "missing term", swap(experts_back, 2, lambda dy, c: np.stack([c[0].T @ dy] * 3))),
    ("dE averaged", "constant factor", swap(experts_back, 2, lambda dy, c: experts_back(dy, c)[2] / 4)),
    ("gate stopped", "missing gradient", swap(experts_back, 1, lambda dy, c: 0 * c[1])),
])


# convolutions


def conv1d(x, w, s=2, d=1, p=1):
    """Channels last; w is (taps, in, out)."""
    xp = np.pad(x, ((0, 0), (p, p), (0, 0)))
    n = (xp.shape[1] - d * (len(w) - 1) - 1) // s + 1
    return sum(xp[:, k * d : k * d + s * (n - 1) + 1 : s] @ w[k] for k in range(len(w))), (x, w, s, d, p)


def conv1d_back(dy, c, flip=False, add=True, d=None, crop=None, wflip=False, wd=None):
    x, w, s, d0, p = c
    d = d0 if d is None else d
    wd = d0 if wd is None else wd
    xp = np.pad(x, ((0, 0), (p, p + 6), (0, 0)))
    dxp, dw, n = np.zeros_like(xp), np.zeros_like(w), dy.shape[1]
    for k in range(len(w)):
        at = np.s_[:, k * d : k * d + s * (n - 1) + 1 : s]
        part = dy @ w[-1 - k if flip else k].T
        dxp[at] = dxp[at] + part if add else part
        dw[k] = np.tensordot(xp[:, k * wd : k * wd + s * (n - 1) + 1 : s], dy, ((0, 1), (0, 1)))
    q = p if crop is None else crop
    return dxp[:, q : q + x.shape[1]], dw[::-1].copy() if wflip else dw


for _name, _size, _how in (("strided", 7, {}), ("dilated", 8, {"s": 1, "d": 2, "p": 2})):
    group(f"{_name} convolution of sequences", lambda x, w, how=_how: conv1d(x, w, **how), normal((2, _size, 2), (3, 2, 3)), [
        ("scattered", "", conv1d_back),
        ("kernel flipped", "flipped kernel", lambda dy, c: conv1d_back(dy, c, flip=True)),
        ("padding not cropped", "stride or padding", lambda dy, c: conv1d_back(dy, c, crop=0)),
        ("dw flipped", "flipped kernel", lambda dy, c: conv1d_back(dy, c, wflip=True)),
        ("taps assigned", "assigned", lambda dy, c: conv1d_back(dy, c, add=False)),
    ])
group("dilated convolution, causal", lambda x, w: conv1d(x, w, 1, 3, 3), normal((1, 9, 2), (3, 2, 2)), [
    ("scattered", "", conv1d_back),
    ("dilation forgotten in dx", "stride or padding", lambda dy, c: conv1d_back(dy, c, d=1)),
    ("dilation forgotten in dw", "stride or padding", lambda dy, c: conv1d_back(dy, c, wd=1)),
    ("channels turned", "transposed", lambda dy, c: conv1d_back(dy, (c[0], c[1].swapaxes(1, 2), *c[2:]))),
])
group("convolution without padding", lambda x, w: conv1d(x, w, 1, 1, 0), normal((2, 6, 1), (3, 1, 2)), [
    ("scattered", "", conv1d_back),
    ("cropped from 0 to -0", "empty slice|wrong shape", swap(conv1d_back, 0, lambda dy, c: conv1d_back(dy, c)[0][:, 0:-0])),
    ("of the padded size", "wrong shape|stride or padding", swap(conv1d_back, 0, lambda dy, c: np.pad(conv1d_back(dy, c)[0], ((0, 0), (1, 1), (0, 0))))),
])


def depthwise(x, w, b):
    """Channels first, 3 by 3, same size."""
    xp = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    h, v = x.shape[2:]
    return sum(w[:, i, j, None, None] * xp[:, :, i : i + h, j : j + v] for i in range(3) for j in range(3)) + b[:, None, None], (xp, w)


def depthwise_back(dy, c, flip=True, turn=False):
    xp, w = c
    h, v = dy.shape[2:]
    dyp = np.pad(dy, ((0, 0), (0, 0), (1, 1), (1, 1)))
    k = w[:, ::-1, ::-1] if flip else w
    k = k.swapaxes(1, 2) if turn else k
    dx = sum(k[:, i, j, None, None] * dyp[:, :, i : i + h, j : j + v] for i in range(3) for j in range(3))
    dw = np.stack([np.stack([(xp[:, :, i : i + h, j : j + v] * dy).sum((0, 2, 3)) for j in range(3)], 1) for i in range(3)], 1)
    return dx, dw, dy.sum((0, 2, 3))


group("depthwise convolution, channels first", depthwise, normal((2, 2, 4, 5), (2, 3, 3), (2,)), [
    ("correlated with the turned kernel", "", depthwise_back),
    ("kernel as in forward", "flipped kernel", lambda dy, c: depthwise_back(dy, c, flip=False)),
    ("kernel's axes exchanged", "transposed", lambda dy, c: depthwise_back(dy, c, turn=True)),
    ("dw of the first image", "missing term", swap(depthwise_back, 1, lambda dy, c: depthwise_back(dy[:1], (c[0][:1], c[1]))[1])),
    ("dw turned round", "flipped kernel", swap(depthwise_back, 1, lambda dy, c: depthwise_back(dy, c)[1][:, ::-1, ::-1])),
])


class Up(Layer):
    """Transposed convolution 2 by 2 of stride 2, channels last."""

    def __init__(self):
        self.w = Parameter(np.random.default_rng(8).standard_normal((2, 2, 2, 3)))

    def forward(self, x):
        n, h, v, _ = x.shape
        return np.einsum("nhvc,ijco->nhivjo", x, self.w.data).reshape(n, 2 * h, 2 * v, 3), x

    def windows(self, dy, x):
        n, h, v, _ = x.shape
        return dy.reshape(n, h, 2, v, 2, 3)

    def backward(self, dy, x):
        g = self.windows(dy, x)
        self.w.grad += np.einsum("nhvc,nhivjo->ijco", x, g)
        return np.einsum("nhivjo,ijco->nhvc", g, self.w.data)


class UpFlipped(Up):
    def backward(self, dy, x):
        super().backward(dy, x)
        return np.einsum("nhivjo,ijco->nhvc", self.windows(dy, x), self.w.data[::-1, ::-1])


class UpAxes(Up):
    def backward(self, dy, x):
        super().backward(dy, x)
        return np.einsum("nhivjo,jico->nhvc", self.windows(dy, x), self.w.data)


class UpBlocks(Up):
    """Cuts the gradient into halves for windows."""

    def windows(self, dy, x):
        n, h, v, _ = x.shape
        return dy.reshape(n, 2, h, 2, v, 3).transpose(0, 2, 1, 4, 3, 5)


class UpSingle(Up):
    def backward(self, dy, x):
        return super().backward(dy.astype(np.float32), x)


layer("transposed convolution", normal((2, 2, 3, 2)), [
    ("right", "", Up),
    ("kernel flipped", "flipped kernel", UpFlipped),
    ("kernel's axes exchanged", "transposed", UpAxes),
    ("windows cut wrongly", "stride or padding", UpBlocks),
    ("single precision", "float32", UpSingle),
])


# Fourier transforms


def spectral(x, w):
    return np.fft.ifft(np.fft.fft(x) * w).real, (x, w)


group("multiplier in Fourier space", spectral, normal((2, 7), (7,)), [
    ("conjugates", "", lambda dy, c: (np.fft.ifft(np.fft.fft(dy) * c[1]).real, (np.fft.fft(c[0]) * np.fft.fft(dy).conj()).real.sum(0) / 7)),
    ("dw without 1/n", "constant factor", lambda dy, c: (np.fft.ifft(np.fft.fft(dy) * c[1]).real, (np.fft.fft(c[0]) * np.fft.fft(dy).conj()).real.sum(0))),
    ("dw unconjugated", "transposed|flipped kernel|wrong formula", lambda dy, c: (np.fft.ifft(np.fft.fft(dy) * c[1]).real, (np.fft.fft(c[0]) * np.fft.fft(dy)).real.sum(0) / 7)),
    ("dx by fft alone", "constant factor|wrong formula|flipped kernel", lambda dy, c: (np.fft.fft(np.fft.fft(dy) * c[1]).real, (np.fft.fft(c[0]) * np.fft.fft(dy).conj()).real.sum(0) / 7)),
])


# attention and embeddings


def attention(q, k, v):
    t = q.shape[1]
    a = smax(np.where(np.tril(np.ones((t, t))), np.einsum("bid,bjd->bij", q, k) / 2, -1e30))
    return a @ v, (q, k, v, a)


def attention_back(dy, c, centre=1, axis=-1):
    q, k, v, a = c
    da = dy @ v.swapaxes(1, 2)
    ds = a * (da - centre * (da * a).sum(axis, keepdims=True)) / 2
    return ds @ k, ds.swapaxes(1, 2) @ q, a.swapaxes(1, 2) @ dy


group("causal attention", attention, normal((2, 3, 4), (2, 3, 4), (2, 3, 4)), [
    ("matrices", "", attention_back),
    ("softmax uncentred", "missing term", lambda dy, c: attention_back(dy, c, centre=0)),
    ("softmax over the queries", "wrong axis", lambda dy, c: attention_back(dy, c, axis=1)),
    ("dk with ds unturned", "transposed", swap(attention_back, 1, lambda dy, c: np.einsum("bij,bjd->bid", attention_back(dy, (c[0], np.broadcast_to(np.eye(3), (2, 3, 3)), c[2], c[3]))[0], c[0]))),
    ("dq from q", "wrong tensor", swap(attention_back, 0, lambda dy, c: attention_back(dy, (c[0], c[0], c[2], c[3]))[0])),
    ("dv from v", "wrong tensor", swap(attention_back, 2, lambda dy, c: c[3].swapaxes(1, 2) @ c[2])),
])

TOKENS = np.array([[0, 2, 2], [4, 0, 1]])


def embedding(table, pos):
    return table[TOKENS] * sqrt(3) + pos, table


def embedding_back(dy, table, how="add"):
    d = np.zeros_like(table)
    if how == "add":
        np.add.at(d, TOKENS, dy)
    else:
        d[TOKENS] += dy
    return d * sqrt(3), dy.sum(0)


group("scaled embedding with positions", embedding, normal((5, 3), (3, 3)), [
    ("add.at", "", embedding_back),
    ("one hot", "", lambda dy, t: (np.einsum("btv,btd->vd", np.eye(5)[TOKENS], dy) * sqrt(3), dy.sum(0))),
    ("+= with repeated tokens", "assigned|missing term", lambda dy, t: embedding_back(dy, t, "fancy")),
    ("token 0 for padding", "missing term|wrong mask", swap(embedding_back, 0, lambda dy, t: embedding_back(dy, t)[0] * np.array([[0], [1], [1], [1], [1]]))),
    ("positions over time", "wrong axis|transposed|wrong shape", swap(embedding_back, 1, lambda dy, t: dy.sum(1))),
])


# shapes: upsampling, shuffling, padding, sums


def nearest(x):
    return x.repeat(2, axis=1).repeat(2, axis=2)


group("nearest upsampling", nearest, normal((2, 2, 3, 2)), [
    ("sum of blocks", "", lambda dy, x: dy.reshape(2, 2, 2, 3, 2, 2).sum((2, 4))),
    ("four strides", "", lambda dy, x: dy[:, ::2, ::2] + dy[:, 1::2, ::2] + dy[:, ::2, 1::2] + dy[:, 1::2, 1::2]),
    ("one of four", "missing term|stride or padding", lambda dy, x: dy[:, ::2, ::2].copy()),
    ("blocks cut wrongly", "wrong axis|stride or padding", lambda dy, x: dy.reshape(2, 2, 2, 2, 3, 2).sum((1, 3))),
])


def shuffle(x):
    n, c, h, w = x.shape
    return x.reshape(n, c // 4, 2, 2, h, w).transpose(0, 1, 4, 2, 5, 3).reshape(n, c // 4, 2 * h, 2 * w)


def unshuffle(dy, order=(0, 1, 3, 5, 2, 4)):
    n, c, h, w = dy.shape
    return dy.reshape(n, c, h // 2, 2, w // 2, 2).transpose(order).reshape(n, 4 * c, h // 2, w // 2)


group("pixel shuffle", shuffle, normal((2, 8, 2, 3)), [
    ("turned back", "", lambda dy, x: unshuffle(dy)),
    ("channels inside", "transposed", lambda dy, x: unshuffle(dy, (0, 3, 5, 1, 2, 4))),
    ("reshape alone", "transposed", lambda dy, x: dy.reshape(x.shape)),
    ("left large", "wrong shape", lambda dy, x: dy.copy()),
])


def edge(x):
    return np.pad(x, ((0, 0), (2, 1)), mode="edge")


def edge_back(dy, left=True, right=True, at=2):
    dx = dy[:, at : at + dy.shape[1] - 3].copy()
    dx[:, 0] += dy[:, :2].sum(1) * left
    dx[:, -1] += dy[:, -1] * right
    return dx


group("edge padding", edge, normal((3, 5)), [
    ("added to the edges", "", lambda dy, x: edge_back(dy)),
    ("cropped only", "missing term|stride or padding", lambda dy, x: edge_back(dy, False, False)),
    ("right edge forgotten", "missing term", lambda dy, x: edge_back(dy, right=False)),
    ("cropped one off", "stride or padding", lambda dy, x: edge_back(dy, at=1)),
])


class CumSum:
    def forward(self, x):
        return np.cumsum(x, axis=1)

    def backward(self, dy):
        return np.cumsum(dy[:, ::-1], axis=1)[:, ::-1]


class CumSumForward(CumSum):
    def backward(self, dy):
        return np.cumsum(dy, axis=1)


class CumSumAxis(CumSum):
    def backward(self, dy):
        return np.cumsum(dy[::-1], axis=0)[::-1]


class CumSumNoFlipBack(CumSum):
    def backward(self, dy):
        return np.cumsum(dy[:, ::-1], axis=1)


class CumSumInPlace(CumSum):
    def backward(self, dy):
        for t in range(dy.shape[1] - 2, -1, -1):
            dy[:, t] += dy[:, t + 1]
        return dy


layer("cumulative sum", normal((4, 5)), [
    ("reversed", "", CumSum),
    ("not reversed", "transposed|wrong formula|flipped kernel", CumSumForward),
    ("over the batch", "wrong axis", CumSumAxis),
    ("not reversed back", "transposed|wrong formula|flipped kernel", CumSumNoFlipBack),
    ("in place", "upstream overwritten", CumSumInPlace),
])


# distances, and losses of two arrays


def unit(x):
    n = np.linalg.norm(x, axis=1, keepdims=True)
    return x / n, (x / n, n)


group("unit length", unit, sized(20, (4, 3)), [
    ("projection", "", lambda dy, c: (dy - c[0] * (dy * c[0]).sum(1, keepdims=True)) / c[1]),
    ("Jacobians", "", lambda dy, c: np.stack([(np.eye(3) - np.outer(u, u)) @ d / n for u, n, d in zip(*c, dy, strict=True)])),
    ("length constant", "missing term", lambda dy, c: dy / c[1]),
    ("not divided", "missing term", lambda dy, c: dy - c[0] * (dy * c[0]).sum(1, keepdims=True)),
])


def cosine(a, b):
    na, nb = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    return (a * b).sum(1) / (na * nb), (a, b, na[:, None], nb[:, None])


def cosine_back(dy, c, second=1.0):
    a, b, na, nb = c
    y = (a * b).sum(1, keepdims=True) / (na * nb)
    d = dy[:, None]
    return d * (b / (na * nb) - second * y * a / na**2), d * (a / (na * nb) - second * y * b / nb**2)


group("cosine similarity", cosine, normal((5, 3), (5, 3)), [
    ("two terms", "", cosine_back),
    ("lengths constant", "missing term", lambda dy, c: cosine_back(dy, c, 0)),
    ("db is da", "wrong tensor", lambda dy, c: (cosine_back(dy, c)[0],) * 2),
])


def contrastive(a, b, t):
    d = np.linalg.norm(a - b, axis=1)
    return (t * d**2 + (1 - t) * np.maximum(2 - d, 0) ** 2).mean(), (a - b, d, t)


def contrastive_back(dy, c, far=1.0):
    e, d, t = c
    da = dy * 2 * (t * d - far * (1 - t) * np.maximum(2 - d, 0))[:, None] * e / d[:, None] / len(d)
    return da, -da


group("contrastive loss", contrastive, lambda rng: (rng.standard_normal((6, 2)), rng.standard_normal((6, 2)), np.array([1.0, 0, 0, 1, 0, 0])), [
    ("two cases", "", contrastive_back),
    ("far pairs forgotten", "missing term", lambda dy, c: contrastive_back(dy, c, far=0)),
    ("db of the same sign", "constant factor", lambda dy, c: (contrastive_back(dy, c)[0],) * 2),
])


def info_nce(a, b):
    p = smax(a @ b.T / 0.5)
    return -np.log(np.diag(p)).mean(), (a, b, (p - np.eye(len(a))) / len(a))


group("InfoNCE", info_nce, normal((4, 3), (4, 3)), [
    ("scores", "", lambda dy, c: (dy * c[2] @ c[1] / 0.5, dy * c[2].T @ c[0] / 0.5)),
    ("db unturned", "transposed", lambda dy, c: (dy * c[2] @ c[1] / 0.5, dy * c[2] @ c[0] / 0.5)),
])


def gan(grad):
    return lambda real, fake: (np.logaddexp(0, -real).mean() + np.logaddexp(0, fake).mean(), grad(real, fake))


single("discriminator's loss", sized(2, (5, 1), (5, 1)), [
    ("sigmoids", "", gan(lambda r, f: (-squash(-r) / 5, squash(f) / 5))),
    ("fake's sign", "constant factor", gan(lambda r, f: (-squash(-r) / 5, -squash(f) / 5))),
    ("real with its own sigmoid", "wrong formula|wrong tensor|constant factor", gan(lambda r, f: (-squash(r) / 5, squash(f) / 5))),
    ("both over ten", "constant factor", gan(lambda r, f: (-squash(-r) / 10, squash(f) / 10))),
    ("fake's score for real's", "wrong tensor", gan(lambda r, f: (-squash(-f) / 5, squash(f) / 5))),
])


def critic_hinge(s):
    return np.maximum(0, 1 - s).mean(), s


group("hinge of real scores", critic_hinge, sized(1.5, (3, 1, 3, 3)), [
    ("mask", "", lambda dy, s: -dy * (s < 1) / s.size),
    ("no mask", "wrong mask|missing term", lambda dy, s: -dy * np.ones_like(s) / s.size),
    ("fake's mask", "wrong mask", lambda dy, s: -dy * (s > -1) / s.size),
])


# dropout, modulation, variational terms


KEEP = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [1, 1, 0, 1, 1]]) / 0.6


class Dropout:
    def __init__(self):
        self.mask = None

    def forward(self, x):
        self.mask = KEEP
        return x * self.mask

    def backward(self, grad):
        return grad * self.mask


class DropoutUnscaled(Dropout):
    def backward(self, grad):
        return grad * (self.mask > 0)


class DropoutNoMask(Dropout):
    def backward(self, grad):
        return grad / 0.6


class DropoutWritesInput(Dropout):
    def forward(self, x):
        x *= KEEP
        return x

    def backward(self, grad):
        return grad * KEEP


layer("dropout with a fixed mask", normal((3, 5)), [
    ("right", "", Dropout),
    ("not scaled", "constant factor", DropoutUnscaled),
    ("not masked", "wrong mask|missing term", DropoutNoMask),
    ("input written", "input overwritten", DropoutWritesInput),
])


def adain(x, gamma, beta):
    """Instance norm, then a scale and shift for each image; channels last."""
    xhat, istd = normed(x, (1, 2))
    return xhat * (1 + gamma[:, None, None]) + beta[:, None, None], (xhat, istd, gamma)


def adain_back(dy, c, one=1, axes=(1, 2), **how):
    xhat, istd, gamma = c
    return norm_dx(dy * (one + gamma[:, None, None]), xhat, istd, axes, **how), (dy * xhat).sum((1, 2)), dy.sum((1, 2))


group("AdaIN", adain, normal((2, 3, 4, 3), (2, 3), (2, 3)), [
    ("as derived", "", adain_back),
    ("the 1 forgotten", "missing term", lambda dy, c: adain_back(dy, c, one=0)),
    ("statistics constant", "missing term", lambda dy, c: adain_back(dy, c, mean=0, var=0)),
    ("means over the batch", "wrong axis", lambda dy, c: adain_back(dy, c, axes=(0, 1, 2))),
    ("dgamma over the batch too", "wrong axis|wrong shape", swap(adain_back, 1, lambda dy, c: (dy * c[0]).sum((0, 1, 2)))),
    ("dbeta averaged", "constant factor|wrong axis", swap(adain_back, 2, lambda dy, c: dy.mean((1, 2)))),
])


def spectral_norm(x, W):
    u, v = np.array([0.6, -0.8, 0.3]), np.array([0.5, 0.2, -0.7, 0.4])
    sigma = u @ W @ v
    return x @ W / sigma, (x, W, u, v, sigma)


def spectral_back(dy, c, second=1.0):
    x, W, u, v, s = c
    g = x.T @ dy / s
    return dy @ W.T / s, g - second * (g * W).sum() / s * np.outer(u, v)


group("spectral norm, fixed vectors", spectral_norm, lambda rng: (rng.standard_normal((4, 3)), rng.standard_normal((3, 4)) + 3 * np.outer([0.6, -0.8, 0.3], [0.5, 0.2, -0.7, 0.4])), [
    ("quotient rule", "", spectral_back),
    ("plus", "constant factor|missing term|wrong formula", lambda dy, c: spectral_back(dy, c, -1)),
    ("sigma forgotten in dx", "constant factor|missing term", swap(spectral_back, 0, lambda dy, c: dy @ c[1].T)),
])


def chain(s, A):
    """Log partition function of a linear chain: scores (time, states), transitions."""
    alphas = [s[0]]
    for t in range(1, len(s)):
        alphas.append(s[t] + np.logaddexp.reduce(alphas[-1][:, None] + A, axis=0))
    return np.logaddexp.reduce(alphas[-1]), (s, A, alphas)


def chain_back(dy, c, keep=True):
    s, A, alphas = c
    d, ds, dA = dy * smax(alphas[-1]), np.zeros_like(s), np.zeros_like(A)
    for t in range(len(s) - 1, -1, -1):
        ds[t] = d
        if t:
            edge_p = smax(alphas[t - 1][:, None] + A, 0) * d
            dA = dA + edge_p if keep else edge_p
            d = edge_p.sum(1)
    return ds, dA


group("log partition of a chain", chain, normal((4, 3), (3, 3)), [
    ("marginals", "", chain_back),
    ("dA of the first edge", "assigned|missing term", lambda dy, c: chain_back(dy, c, keep=False)),
    ("dA turned", "transposed", lambda dy, c: (chain_back(dy, c)[0], chain_back(dy, c)[1].T)),
])


def gauss_nll(mu, logvar):
    t = np.linspace(-1, 1, 12).reshape(3, 4)
    e = mu - t
    return 0.5 * (logvar + e**2 * np.exp(-logvar)).sum(), (e, logvar)


def gauss_back(dy, c):
    e, lv = c
    return dy * e * np.exp(-lv), dy * 0.5 * (1 - e**2 * np.exp(-lv))


group("Gaussian log-likelihood", gauss_nll, normal((3, 4), (3, 4)), [
    ("as derived", "", gauss_back),
    ("variance's sign", "wrong formula|wrong tensor|missing term", swap(gauss_back, 0, lambda dy, c: dy * c[0] * np.exp(c[1]))),
    ("dmu unweighted", "missing term", swap(gauss_back, 0, lambda dy, c: dy * c[0])),
    ("log term forgotten", "missing term", swap(gauss_back, 1, lambda dy, c: -dy * 0.5 * c[0] ** 2 * np.exp(-c[1]))),
    ("half forgotten", "constant factor", swap(gauss_back, 1, lambda dy, c: dy * (1 - c[0] ** 2 * np.exp(-c[1])))),
])

NOISE = np.random.default_rng(77).standard_normal((4, 3))


def vae(mu, logvar):
    """A sample and its KL divergence, summed."""
    z = mu + np.exp(0.5 * logvar) * NOISE
    kl = -0.5 * (1 + logvar - mu**2 - np.exp(logvar))
    return z + kl, (mu, logvar)


def vae_back(dy, c, half=0.5, kl=1.0, noise=NOISE):
    mu, lv = c
    return dy * (1 + kl * mu), dy * (half * np.exp(0.5 * lv) * noise + kl * 0.5 * (np.exp(lv) - 1))


group("sample and KL of a VAE", vae, normal((4, 3), (4, 3)), [
    ("both", "", vae_back),
    ("half of the deviation forgotten", "constant factor|missing term", lambda dy, c: vae_back(dy, c, half=1)),
    ("noise forgotten", "missing term", lambda dy, c: vae_back(dy, c, noise=1)),
    ("KL forgotten", "missing term", lambda dy, c: vae_back(dy, c, kl=0)),
    ("KL subtracted", "constant factor|missing term|wrong formula", lambda dy, c: vae_back(dy, c, kl=-1)),
])

TENTH = ROWS[_before:]
del ROWS[_before:]
