"""How students write forward and backward: understood when right, not let through when wrong."""

from collections import namedtuple
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from tinygan import check_gradients
from tinygan.gradcheck.files import check_named

RNG = np.random.default_rng(5)
X, W, B = RNG.standard_normal((4, 5)), RNG.standard_normal((5, 3)), RNG.standard_normal(3)
T = RNG.standard_normal((4, 5))
Kept = namedtuple("Kept", "x w")
Gradients = namedtuple("Gradients", "dw dx")


def linear(x, w):
    return x @ w, (x, w)


def linear_back(dy, cache, k=1.0):
    x, w = cache
    return dy @ w.T, k * x.T @ dy


def with_params(x, params):
    return x @ params["W"] + params["b"], (x, params)


def with_list(x, weights):
    return x @ weights[0] + weights[1], (x, weights)


def activated(x, w, kind):
    z = x @ w
    return (np.tanh(z) if kind == "tanh" else np.maximum(z, 0)), (x, w, z)


def activated_back(dA, cache, kind, k=1.0):
    x, w, z = cache
    dz = dA * (1 - np.tanh(z) ** 2 if kind == "tanh" else z > 0)
    return dz @ w.T, k * x.T @ dz


def two_outputs(x, w):
    z = x @ w
    return np.tanh(z), np.sin(z), (x, w, z)


def two_outputs_back(dtanh, dsin, cache, k=1.0):
    x, w, z = cache
    dz = dtanh * (1 - np.tanh(z) ** 2) + dsin * np.cos(z)
    return dz @ w.T, k * x.T @ dz


def generated(dy, cache, k=1.0):
    yield from linear_back(dy, cache, k)


def closing(x, w, k=1.0):
    return x @ w, lambda dy: (dy @ w.T, k * x.T @ dy)


def mse(y_true, y_pred):
    return ((y_true - y_pred) ** 2).mean()


def in_names(dy, cache, names, k=1.0):
    return dict(zip(names, linear_back(dy, cache, k), strict=True))


PAIRS = {
    "(dx, a dictionary)": (lambda k: (with_params, lambda dy, c: (
        dy @ c[1]["W"].T, {"dW": k * c[0].T @ dy, "db": dy.sum(0)})), ({"W": W, "b": B},)),
    "one dictionary": (lambda k: (with_params, lambda dy, c: {
        "x": dy @ c[1]["W"].T, "W": k * c[0].T @ dy, "b": dy.sum(0)}), ({"W": W, "b": B},)),
    "(dx, a list)": (lambda k: (with_list, lambda dy, c: (
        dy @ c[1][0].T, [k * c[0].T @ dy, dy.sum(0)])), ([W, B],)),
    "an option beside the cache": (
        lambda k: (activated, lambda dA, cache, kind: activated_back(dA, cache, kind, k)),
        (W, "tanh")),
    "partial": (lambda k: (partial(activated, kind="relu"),
                           partial(activated_back, kind="relu", k=k)), (W,)),
    "two outputs": (lambda k: (two_outputs, lambda da, db, cache: two_outputs_back(
        da, db, cache, k)), (W,)),
    "a tuple of outputs": (lambda k: (lambda x, w: (two_outputs(x, w)[:2], two_outputs(x, w)[2]),
                                      lambda dy, cache: two_outputs_back(*dy, cache, k)), (W,)),
    "more before the cache": (lambda k: (lambda x, w: (x @ w, x * 2, (x, w)),
                                         lambda dy, cache: linear_back(dy, cache, k)), (W,)),
    "generator": (lambda k: (linear, lambda dy, c: generated(dy, c, k)), (W,)),
    "namedtuples": (lambda k: (lambda x, w: (x @ w, Kept(x, w)), lambda dy, c: Gradients(
        *linear_back(dy, c, k)[::-1])), (W,)),
    "cache by keyword": (lambda k: (linear, lambda dy, *, cache: linear_back(dy, cache, k)), (W,)),
    "dy by keyword": (lambda k: (linear, lambda cache, *, dout: linear_back(dout, cache, k)), (W,)),
    "capitals": (lambda k: (linear, lambda dy, c: in_names(dy, c, ("dX", "dW"), k)), (W,)),
    "grad_": (lambda k: (linear, lambda dy, c: in_names(dy, c, ("grad_x", "w_grad"), k)), (W,)),
    "a key too many": (lambda k: (linear, lambda dy, c: {
        "dy": dy, **in_names(dy, c, ("dx", "dw"), k)}), (W,)),
    "None for labels": (lambda k: (lambda x, w, labels: linear(x, w), lambda dy, c: (
        *linear_back(dy, c, k), None)), (W, np.arange(4))),
    "weights first": (lambda k: (lambda x, w: x @ w, lambda weights, inputs, g: linear_back(
        g, (inputs, weights), k)), (W,)),
    "closure": (lambda k: partial(closing, k=k), (W,)),
    "truth first": (lambda k: (mse, lambda y_true, y_pred: 2 * k * (y_pred - y_true) / 20), (T,)),
}  # fmt: skip


class Weights:
    """x @ W + b with everything on itself; `k` spoils the gradient of W."""

    def __init__(self, k=1.0):
        self.W, self.b, self.k = W.copy(), B.copy(), k
        self.dW = self.db = self.x = None

    def forward(self, x):
        self.x = x
        return x @ self.W + self.b

    def backward(self, dout):
        self.dW, self.db = self.k * self.x.T @ dout, dout.sum(0)
        return dout @ self.W.T


class Lists(Weights):
    def __init__(self, k=1.0):
        super().__init__(k)
        self.params, self.grads = [self.W, self.b], [np.ones_like(W), np.ones_like(B)]

    def backward(self, dout):
        dx = super().backward(dout)
        self.grads[0][...], self.grads[1][...] = self.dW, self.db
        return dx


class Gathering(Weights):
    def __init__(self, k=1.0):
        super().__init__(k)
        self.grads = {"W": np.ones_like(W), "b": np.ones_like(B)}
        self.params = {"W": W.copy(), "b": B.copy()}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        self.grads["W"] += self.k * self.x.T @ dout
        self.grads["b"] += dout.sum(0)
        return dout @ self.params["W"].T


class NewList(Lists):
    def backward(self, dout):
        dx = Weights.backward(self, dout)
        self.grads = [self.dW, self.db]
        return dx


class NothingReturned(Weights):
    def forward(self, inputs):
        self.output = super().forward(inputs)

    def backward(self, dvalues):
        self.dinputs = super().backward(dvalues)


class Returned(Weights):
    def backward(self, dout):
        return {"dx": super().backward(dout), "dW": self.dW, "db": self.db}


class CacheFirst(Weights):
    def forward(self, x):
        return super().forward(x), x

    def backward(self, cache, dout):
        self.x = cache
        return super().backward(dout)


class Called:
    def __init__(self, k=1.0):
        self.inner = Weights(k)

    def __call__(self, x):
        return self.inner.forward(x)

    def backprop(self, error):
        return self.inner.backward(error)


class Own:
    class Weight:
        def __init__(self, data):
            self.data, self.grad = data.copy(), np.zeros_like(data)

    def __init__(self, k=1.0):
        self.W, self.k = self.Weight(W), k

    def forward(self, x):
        self.x = x
        return x @ self.W.data

    def backward(self, dout):
        self.W.grad += self.k * self.x.T @ dout
        return dout @ self.W.data.T


@dataclass
class Data:
    k: float = 1.0
    weights: np.ndarray = None
    dweights: np.ndarray = None

    def __post_init__(self):
        self.weights = W.copy()

    def forward(self, x):
        self.x = x
        return x @ self.weights

    def backward(self, delta):
        self.dweights = self.k * self.x.T @ delta
        return delta @ self.weights.T


def used(k=1.0):
    layer = Weights(k)
    layer.backward(layer.forward(X[:2]))
    return layer


def bound(k=1.0):
    layer = Weights(k)
    return layer.forward, layer.backward


OBJECTS = [
    Weights,
    Lists,
    NewList,
    Gathering,
    NothingReturned,
    Returned,
    CacheFirst,
    Called,
    Own,
    Data,
]
OBJECTS += [used, bound]


@pytest.mark.parametrize("name", PAIRS)
def test_functions_are_called_as_they_are_meant(name):
    make, arguments = PAIRS[name]
    report = check_gradients(make(1.0), X, *arguments, raises=False)
    assert report.ok, report
    assert "not checked" not in str(report)
    wrong = check_gradients(make(2.5), X, *arguments, raises=False)
    assert wrong.cause is not None
    assert (wrong.cause.kind, "2.5" in wrong.cause.text) == ("constant factor", True), wrong


def far(pred, wanted):
    return np.abs(pred - wanted).mean(), pred - wanted


def far_apart(pred, wanted):
    return np.abs(pred - wanted).mean(), pred - wanted, pred.size


def far_back(difference, count=None, k=1.0):
    return k * np.sign(difference) / (count or difference.size), -np.sign(difference) / X.size


LOSSES = {
    "diff": (far, lambda diff, k=1.0: far_back(diff, k=k)),
    "d": (far, lambda d, k=1.0: far_back(d, k=k)),
    "distances": (far, lambda distances, k=1.0: far_back(distances, k=k)),
    "two, one by one": (far_apart, lambda diff, count, k=1.0: far_back(diff, count, k)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_a_loss_kept_may_begin_with_d(name):
    forward, backward = LOSSES[name]
    arguments = X, X - 1.5 + RNG.random(X.shape)
    assert check_gradients((forward, backward), *arguments, raises=False).ok
    wrong = check_gradients((forward, partial(backward, k=2.5)), *arguments, raises=False)
    assert not wrong.ok


@pytest.mark.parametrize("make", OBJECTS, ids=lambda make: make.__name__)
def test_objects_are_called_as_they_are_meant(make):
    report = check_gradients(make(), X, raises=False)
    assert report.ok, report
    assert "not checked" not in str(report)
    wrong = check_gradients(make(2.5), X, raises=False)
    assert [check.ok for check in wrong.checks][:2] == [True, False], wrong
    assert wrong.cause.kind == "constant factor"


def test_an_object_is_given_what_stands_beside_x():
    class Loss:
        def forward(self, x, t):
            self.d = x - t
            return (self.d**2).mean()

        def backward(self, dout=1):
            return 2 * dout * self.d / self.d.size

    assert check_gradients(Loss(), X, T).ok
    Loss.backward = lambda self: self.d
    assert check_gradients(Loss(), X, T, raises=False).cause.kind == "constant factor"


def test_a_learning_rate_moves_nothing_and_weights_without_gradient_are_named():
    class Moving(Weights):
        def __init__(self):
            super().__init__()
            del self.dW, self.db  # no place for a gradient is left empty

        def backward(self, output_gradient, learning_rate):
            dx = super().backward(output_gradient)
            self.W = self.W - learning_rate * self.dW
            del self.dW, self.db
            return dx

    report = check_gradients(Moving(), X)
    assert "not checked: W: backward returned no gradient" in str(report)


def test_a_place_for_a_gradient_that_stays_empty_is_a_missing_gradient():
    class Forgets(Weights):
        def backward(self, dout):
            return dout @ self.W.T

    causes = check_gradients(Forgets(), X, raises=False).causes
    assert {(cause.kind, cause.tensor) for cause in causes} == {
        ("missing gradient", "W"), ("missing gradient", "b"),
    }  # fmt: skip


def test_a_loss_may_return_a_gradient_for_each_argument():
    def loss(k):
        return lambda a, b: (float(((a - b) ** 2).sum()), k * (a - b), -2 * (a - b))

    assert check_gradients(loss(2), X, X + 1.5).ok
    report = check_gradients(loss(3), X, X + 1.5, raises=False)
    assert [check.ok for check in report.checks] == [False, True]


def test_what_is_put_back_but_for_rounding_was_not_overwritten():
    def shifted(x):
        x += 1
        x -= 1
        return np.sin(x), x

    assert check_gradients((shifted, lambda dy, x: dy * np.cos(x)), X).ok


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("def reluForward(x): return np.maximum(x, 0), x\n"
         "def reluBackward(dout, cache): return dout * (cache > 0)", "reluForward"),
        ("def sigmoid(x): return 1 / (1 + np.exp(-x))\n"
         "def dsigmoid(x): return sigmoid(x) * (1 - sigmoid(x))", "sigmoid"),
        ("def tanh(x): return np.tanh(x)\ndef tanh_deriv(y): return 1 - y * y", "tanh"),
        ("class Linear:\n    def __init__(self, W, b): self.W, self.b = W, b\n"
         "    def __call__(self, x):\n        self.x = x\n        return x @ self.W + self.b\n"
         "    def backward(self, dout):\n        self.dW, self.db = self.x.T @ dout, dout.sum(0)\n"
         "        return dout @ self.W.T", "Linear"),
    ],
)  # fmt: skip
def test_a_files_names_are_understood(tmp_path, text, name):
    (tmp_path / "mine.py").write_text(f"import numpy as np\n{text}\n")
    assert all(report.ok for report in check_named(tmp_path / "mine.py", name))
