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
        (lambda x: (None, x), "expected an array, got None"),
        (lambda x: (np.log(-abs(x)), x), "not finite"),
    ],
    ids=["raises", "unwritten", "random", "None", "nan"],
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
    if not distance:
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

    with pytest.raises(GradientError, match=r"the factor self\.weight\.data is missing"):
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


EXP = (lambda x: (np.exp(x), np.exp(x)), lambda dy, y: dy * y)
LOG = (lambda x: (np.log(x), x), lambda dy, x: dy / x)
SQRT = (lambda x: (np.sqrt(x), x), lambda dy, x: dy / 2 / np.sqrt(x))
TANH = (lambda x: (np.tanh(x), np.tanh(x)), lambda dy, y: dy * (1 - y * y))
INVERSE = (lambda x: (1 / x, x), lambda dy, x: -dy / x**2)
CUBE = (lambda x: (x**3, x), lambda dy, x: 3 * dy * x * x)


@pytest.mark.parametrize(
    ("pair", "values"),
    [
        (EXP, [-1, -2, 0.5, 20]),
        (EXP, [-1, -2, 0.5, 200]),
        (LOG, [1e-6, 0.5]),
        (LOG, [1e-12, 0.5, 1e3]),
        (SQRT, [1e-6, 0.5, 2]),
        (SQRT, [1e-10, 0.5, 2]),
        (TANH, [20, 0.5, -18, 400, 7]),
        (INVERSE, [1e-9, 1, -2e-4]),
        (CUBE, [0, 1e-9, 1e-3, 1, 5]),
    ],
)
def test_every_element_is_judged_by_its_own_size(pair, values):
    x = np.array([values], float)
    forward, backward = pair
    report = check_gradients(pair, x, raises=False)
    assert report.ok, report
    for i in range(x.size):

        def wrong(dy, cache, i=i):
            dx = backward(dy, cache)
            dx.ravel()[i] *= 2
            return dx

        found = check_gradients((forward, wrong), x, raises=False)
        right = abs(backward(np.ones(x.shape), forward(x)[1]).ravel()[i])
        if right > 1e-12 * x.size:  # what is smaller than rounding cannot be told from zero
            assert not found.ok, (i, str(found))


def test_a_large_tensor_hides_no_small_wrong_elements():
    x = np.random.default_rng(0).standard_normal((4, 300))
    x[0, :3] = 20, 18, -30
    assert check_gradients(EXP, x).ok
    small = (EXP[0], lambda dy, y: dy * np.where(y < 1, 2 * y, y))
    assert not check_gradients(small, x, raises=False).ok


def test_what_no_difference_can_decide_is_counted_and_said():
    report = check_gradients(SQRT, np.array([0.0, 0.5, 1.0]), raises=False)
    assert report.ok
    assert report.checks[0].undecided == 1
    assert "1 undecided" in str(report)


def swapped_backward(cache, dout):
    x, w = cache
    return dout @ w.T, x.T @ dout


def linear(x, w):
    return x @ w, (x, w)


class Plain:
    """Keeps its cache on itself, its weights in dictionaries."""

    def __init__(self):
        self.params, self.grads = {"W": np.random.default_rng(1).standard_normal((4, 2))}, {}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"]

    def backward(self, dout):
        self.grads["W"] = self.x.T @ dout
        return dout @ self.params["W"].T


class Attributes:
    """Keeps its weights as attributes."""

    def __init__(self):
        self.W = np.random.default_rng(1).standard_normal((4, 2))

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, grad):
        self.dW = self.x.T @ grad
        return grad @ self.W.T


W = np.random.default_rng(3).standard_normal((4, 2))


@pytest.mark.parametrize(
    ("subject", "arguments", "names"),
    [
        ((linear, swapped_backward), (W,), ["x", "w"]),
        ((lambda x, w: [x @ w, (x, w)], lambda a, b: swapped_backward(a, b)), (W,), ["x", "w"]),
        ((lambda x, w: x @ w, lambda dy, x, w: swapped_backward((x, w), dy)), (W,), ["x", "w"]),
        ((lambda x, w: x @ w, lambda x, w, g: swapped_backward((x, w), g)), (W,), ["x", "w"]),
        ((lambda x: np.tanh(x), lambda dy, y: dy * (1 - y * y)), (), ["x"]),
        ((lambda x: np.tanh(x), lambda a, b: b * (1 - np.tanh(a) ** 2)), (), ["x"]),
        ((lambda x: np.tanh(x), lambda x: 1 - np.tanh(x) ** 2), (), ["x"]),
        (Plain(), (), ["x", "W"]),
        (Attributes(), (), ["x", "W"]),
    ],
)
def test_conventions_of_students_are_understood(subject, arguments, names):
    report = check_gradients(subject, X, *arguments, raises=False)
    assert report.ok, report
    assert [check.name for check in report.checks] == names


def test_a_wrong_plain_class_is_wrong_in_its_weights():
    class Wrong(Plain):
        def backward(self, dout):
            dx = super().backward(dout)
            self.grads["W"] *= 2
            return dx

    report = check_gradients(Wrong(), X, raises=False)
    assert [check.ok for check in report.checks] == [True, False]
    assert report.cause.kind == "constant factor"


def test_where_it_is_unclear_the_message_shows_how_to_write_it():
    report = check_gradients((lambda x, w: (x @ w, (x, w)), lambda a, b: a[0] @ b[1].T), X, W,
                             raises=False)  # fmt: skip
    assert not report.ok
    assert "def foo_backward(dy, cache):" in str(report)


def test_what_is_not_checked_is_said():
    class Layered(Layer):
        def __init__(self):
            self.weight, self.list = np.ones(4), [Parameter(np.ones(4)), np.ones(4)]

        def forward(self, x):
            return x * self.weight, None

        def backward(self, dy, cache):
            return dy * self.weight

    report = check_gradients(Layered(), X)
    assert "not checked: weight: an array that is no Parameter" in str(report)
    assert "not checked: list[1]" in str(report)

    def scaled(x, *, w):
        return x * w, (x, w)

    pair = (scaled, lambda dy, c: dy * c[1])
    assert "not checked: w: backward returned no gradient" in str(
        check_gradients(pair, X, options={"w": np.ones(4)})
    )
    wrong = (scaled, lambda dy, c: {"dx": dy * c[1], "dw": dy.sum(0)})
    assert not check_gradients(wrong, X, options={"w": np.ones(4)}, raises=False).ok
    with pytest.raises(NotCheckable, match=r"x is empty \(shape \(0, 4\)\)"):
        check_gradients((relu, relu_backward), X[:0])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"dy": np.ones(3)}, r"dy: expected the output's shape \(3, 4\), got \(3,\)"),
        ({"dy": "no"}, "dy: expected an array"),
        ({"directions": 0}, "directions: expected a whole number from 1"),
        ({"rtol": 0}, "rtol: expected a number between 0 and 1"),
    ],
)
def test_wrong_options_are_refused_in_words(options, says):
    with pytest.raises(ValueError, match=says):
        check_gradients((relu, relu_backward), X, **options)


def test_numpys_global_generator_is_left_alone():
    np.random.seed(3)  # noqa: NPY002
    due = np.random.random()  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    drawn = lambda x: (x * np.random.random(x.shape), x)  # noqa: E731, NPY002
    check_gradients((drawn, lambda dy, x: dy), X, raises=False)
    assert np.random.random() == due  # noqa: NPY002


@pytest.mark.parametrize(
    ("backward", "kind"),
    [
        (lambda dy, x: dy / (x - x), "not finite"),
        (lambda dy, x: (dy * (x > 0)).astype(int), "integer arithmetic"),
        (lambda dy, x: (dy * (x > 0))[:, 0:-0], "empty slice"),
    ],
)
def test_mistakes_that_the_numbers_alone_show(backward, kind):
    with np.errstate(all="ignore"):
        report = check_gradients((relu, backward), X, raises=False)
    assert [cause.kind for cause in report.causes] == [kind]


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    return p, p


def softmax_backward(dy, p):
    return p * (dy - (dy * p).sum(1, keepdims=True))


@pytest.mark.parametrize("shape", [(1, 5), (4, 5), (200, 100)])
@pytest.mark.parametrize("size", [20, 60])
def test_a_saturated_softmax_is_not_accused(shape, size):
    # its largest output does not notice scores far below, until they are raised above all others
    x = size * np.random.default_rng(size).standard_normal(shape)
    assert check_gradients((softmax, softmax_backward), x).ok


def test_a_wrong_element_far_below_the_others_of_a_large_tensor_is_found():
    x = 6 * np.random.default_rng(0).standard_normal((200, 100))

    def backward(dy, x):
        dx = dy * np.exp(x)
        dx[np.unravel_index(x.argmin(), x.shape)] *= 3
        return dx

    assert check_gradients((lambda x: (np.exp(x), x), lambda dy, x: dy * np.exp(x)), x).ok
    report = check_gradients((lambda x: (np.exp(x), x), backward), x, raises=False)
    assert not report.ok
    assert report.checks[0].index == np.unravel_index(x.argmin(), x.shape)


def test_a_wrong_gradient_of_plain_numbers_is_no_error():
    def product(x, y):
        return 3 * x * y, (x, y)

    def product_backward(dy, cache):
        return dy * 2 * cache[1], dy * 3 * cache[0]

    report = check_gradients(
        (product, product_backward), np.float64(1.3), np.float64(0.7), raises=False
    )
    assert [check.name for check in report.checks if not check.ok] == ["x"]


def test_an_objects_later_argument_may_be_called_x():
    class Product:
        def forward(self, a, x):
            self.cache = a, x.copy()
            return a * x

        def backward(self, dy):
            return dy * self.cache[1]

    assert check_gradients(Product(), X, X + 1).ok
