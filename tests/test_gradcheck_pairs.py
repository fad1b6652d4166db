"""Plain functions: how they are called, what is said when they cannot be, kinks, precision."""

import numpy as np
import pytest
from mutants.convolutions import conv, conv_padding_in_place

from tinygan import (
    BatchNorm2d,
    Conv2d,
    GradientError,
    InstanceNorm2d,
    Layer,
    LeakyReLU,
    Parameter,
    Sequential,
    Tanh,
    check_gradients,
)
from tinygan.gradcheck import CAUSES, NotCheckable

X = np.random.default_rng(0).standard_normal((3, 4))


def relu(x):
    return np.maximum(x, 0), x


def relu_backward(dy, x):
    return dy * (x > 0)


def scale(x, a):
    return a * x, (x, a)


def test_gradients_may_come_in_order_or_by_name():
    a = np.array(2.0)
    for backward in (
        lambda dy, c: (dy * c[1], (dy * c[0]).sum()),
        lambda dy, c: {"a": (dy * c[0]).sum(), "x": dy * c[1]},
        lambda dy, c: {"dx": dy * c[1], "da": (dy * c[0]).sum()},
    ):
        report = check_gradients((scale, backward), X, a)
        assert [check.name for check in report.checks] == ["x", "a"]


def test_only_floating_point_arguments_are_differentiated():
    def power(x, exponent, mask):
        return x**exponent * mask, (x, exponent, mask)

    def power_backward(dy, cache):
        x, exponent, mask = cache
        return dy * exponent * x ** (exponent - 1) * mask

    assert check_gradients((power, power_backward), X, 3, X > 0).ok


def test_a_target_needs_no_gradient():
    def loss(x, target):
        return ((x - target) ** 2).mean(), (x, target)

    def loss_backward(dy, cache):
        return dy * 2 * (cache[0] - cache[1]) / cache[0].size

    report = check_gradients((loss, loss_backward), X, X + 1)
    assert [check.name for check in report.checks] == ["x"]


def test_options_are_passed_on():
    def leaky(x, *, slope):
        return np.where(x > 0, x, slope * x), (x, slope)

    def leaky_backward(dy, cache):
        return dy * np.where(cache[0] > 0, 1, cache[1])

    assert check_gradients((leaky, leaky_backward), X, options={"slope": 0.3}).ok


def raising(x):
    raise ValueError("no")


def unwritten(x):
    raise NotImplementedError("write me")


def random(x):
    return x * np.random.default_rng().random(), None


@pytest.mark.parametrize(
    ("forward", "says"),
    [
        (raising, r"raising: the forward pass raised ValueError: no \(test_gradcheck_pairs.py, l"),
        (unwritten, "unwritten: the forward pass is not written yet"),
        (random, "the same input gives another output in every call"),
        (lambda x: x, r"expected the function to return \(y, cache\), got ndarray"),
        (lambda x: (None, x), "expected an array, got None"),
        (lambda x: (np.log(-abs(x)), x), "not finite"),
    ],
    ids=["raises", "unwritten", "random", "no cache", "None", "nan"],
)
def test_what_cannot_be_checked_says_so(forward, says):
    with np.errstate(all="ignore"), pytest.raises(NotCheckable, match=says):
        check_gradients((forward, relu_backward), X)


@pytest.mark.parametrize(
    ("backward", "says"),
    [
        (lambda dy, c: dy.nonsense, "the backward pass raised AttributeError"),
        (lambda dy, c: unwritten(dy), "the backward pass is not written yet"),
        (lambda dy, c: (dy, dy, dy), "returned 3 gradients, expected at most 1: dx"),
        (lambda dy, c: {"dz": dy}, "a gradient named 'dz'; expected names among dx"),
        (lambda dy, c: "dy", "expected an array for each gradient, got str"),
    ],
)
def test_a_backward_pass_that_fails_is_wrong(backward, says):
    report = check_gradients((relu, backward), X, raises=False)
    assert not report.ok
    assert says in str(report)


def test_what_is_no_layer_is_refused():
    with pytest.raises(TypeError, match="expected a Layer, a pair"):
        check_gradients(3, X)


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-9, 1e-7, 3e-6, -1e-9])
def test_a_kink_that_is_near_is_no_mistake_and_hides_none(distance):
    x = X.copy()
    x[1, 2] = distance
    report = check_gradients((relu, relu_backward), x)
    if abs(distance) < 1e-8:
        assert report.checks[0].kinks == 1
        assert "1 on a kink" in str(report)
    assert not check_gradients((relu, lambda dy, c: 1.1 * relu_backward(dy, c)), x, raises=False).ok
    wrong = check_gradients((relu, lambda dy, c: dy * (c > -1e-3) * (c != X[0, 0])), x,
                            raises=False)  # fmt: skip
    assert wrong.ok == (X[0, 0] < 0)


def test_nothing_but_kinks_cannot_be_checked():
    with pytest.raises(NotCheckable, match="every element of the input lies on a kink"):
        check_gradients((relu, relu_backward), np.zeros((2, 3)))


def test_large_tensors_are_checked_along_directions_and_still_diagnosed():
    x = np.random.default_rng(1).standard_normal((2, 8, 8, 5))
    report = check_gradients((relu, lambda dy, c: -relu_backward(dy, c)), x, raises=False)
    assert report.cause.kind == "constant factor"
    assert "−1" in report.cause.text


def test_a_factor_that_is_the_batch_size_is_told_from_a_plain_two():
    def total(x):
        return np.tanh(x), x

    def mean_backward(dy, x):
        return dy * (1 - np.tanh(x) ** 2) * len(x)

    def double_backward(dy, x):
        return dy * (1 - np.tanh(x) ** 2) * 2

    x = np.random.default_rng(1).standard_normal((2, 5))
    by_batch = check_gradients((total, mean_backward), x, raises=False).cause.text
    by_two = check_gradients((total, double_backward), x, raises=False).cause.text
    assert "off by a factor of N" in by_batch
    assert by_two.endswith("off by a factor of 2")


def test_two_mistakes_are_both_named():
    x, w = np.random.default_rng(0).standard_normal((2, 5, 5, 2)), np.ones((3, 3, 2, 2))
    w = w + np.random.default_rng(1).standard_normal(w.shape)
    broken = lambda dy, c: (dy[:, :1] * 0, None, 2 * dy.sum((0, 1, 2)))  # noqa: E731
    report = check_gradients((conv_padding_in_place, broken), x, w, np.ones(2), 1, 1, raises=False)
    kinds = [cause.kind for cause in report.causes]
    assert kinds[0] == "input overwritten"
    assert {"missing gradient", "constant factor"} <= set(kinds)
    assert set(kinds) <= set(CAUSES)


def test_nothing_is_named_where_nothing_is_known():
    def noise(dy, cache):
        x = cache[0]
        rng = np.random.default_rng(3)
        return rng.standard_normal(x.shape) * dy.sum(), None, dy.sum((0, 1, 2))

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 5, 5, 2)), rng.standard_normal((3, 3, 2, 2))
    report = check_gradients((conv, noise), x, w, np.ones(2), 1, 1, raises=False)
    assert [(cause.kind, cause.tensor) for cause in report.causes] == [("missing gradient", "w")]


def test_a_parameter_that_is_one_everywhere_hides_no_missing_factor():
    class Scale(Layer):
        def __init__(self):
            self.weight = Parameter(np.ones(4))

        def forward(self, x):
            return x * self.weight.data, x

        def backward(self, dy, x):
            self.weight.grad += (dy * x).sum(axis=0)
            return dy

    with pytest.raises(GradientError, match="the factor weight is missing"):
        check_gradients(Scale(), X)


@pytest.mark.parametrize("change", [1e3, 1e-3, "offset"])
def test_the_scale_of_the_input_accuses_no_right_layer(change):
    rng = np.random.default_rng(7)
    for layer in (
        BatchNorm2d(3),
        Tanh(),
        Sequential(Conv2d(3, 4, 3, rng=1), InstanceNorm2d(4), LeakyReLU(), Conv2d(4, 2, 2, rng=2)),
    ):
        x = rng.standard_normal((3, 5, 5, 3))
        x = x + 1000 if change == "offset" else x * change
        assert check_gradients(layer, x).ok


@pytest.mark.parametrize("layer", [BatchNorm2d(3), InstanceNorm2d(3)], ids=repr)
def test_a_gradient_that_is_zero_but_for_rounding_accuses_no_right_layer(layer):
    x = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
    assert check_gradients(layer, x, dy=np.ones(x.shape)).ok
