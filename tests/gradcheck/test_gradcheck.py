"""The checker is checked: it finds what is wrong, names it, and accuses nothing that is right."""

import signal
import time

import numpy as np
import pytest

from tinygan import (
    BatchNorm2d,
    Conv2d,
    Dropout,
    GradientError,
    InstanceNorm2d,
    ReLU,
    Sequential,
    Tanh,
    check_gradients,
    check_objective,
    frozen,
    mse,
)
from tinygan.cases import LAYERS, LOSSES
from tinygan.gradcheck import NotCheckable
from tinygan.gradcheck.__main__ import main


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


class WrongBias(Conv2d):
    def backward(self, dy, cache, input_gradient=True):
        dx = super().backward(dy, cache, input_gradient)
        self.bias.grad *= 2
        return dx


class OneWrongElement(Tanh):
    def backward(self, dy, cache):
        dx = super().backward(dy, cache).copy()
        dx[1, 2, 3, 0] *= -1
        return dx


class WithoutTheMean(BatchNorm2d):
    """Forgets that each x moves the mean: wrong, but invisible to an all-ones dy."""

    def backward(self, dy, cache, input_gradient=True):
        dx = super().backward(dy, cache, input_gradient)
        return dx + dy.mean(axis=(0, 1, 2)) * cache[0][3][0]


def test_a_wrong_parameter_gradient_is_named_with_both_numbers_and_their_ratio():
    with pytest.raises(GradientError) as caught:
        check_gradients(WrongBias(2, 3, 3), normal(2, 5, 5, 2))
    worst = caught.value.report.worst
    assert worst.name == "bias"
    assert worst.ratio == pytest.approx(2)
    message = str(caught.value)
    for text in ("WRONG bias (3,)", f"{worst.analytic:.9g}", f"{worst.numeric:.9g}", "ratio 2"):
        assert text in message
    assert "ok    weight" in message


@pytest.mark.parametrize("elements", [0, 10_000])
def test_one_wrong_element_of_many_is_found_and_located(elements):
    report = check_gradients(OneWrongElement(), normal(2, 8, 8, 6), elements=elements, raises=False)
    (check,) = report.checks
    assert not check.ok
    if elements:
        assert check.index == (1, 2, 3, 0)
        assert check.ratio == pytest.approx(-1)


def test_a_missing_term_of_batch_norm_is_found_though_ones_would_hide_it():
    layer, x = WithoutTheMean(3), normal(4, 3, 3, 3)
    assert not check_gradients(layer, x, raises=False).ok
    right = check_gradients(BatchNorm2d(3), x, dy=np.ones(x.shape), raises=False).checks[0]
    assert abs(right.analytic) < 1e-6  # the true dx of an all-ones dy is zero: it checks nothing


@pytest.mark.parametrize("shape", [(4, 1, 3, 2), (4, 3, 3, 3), (8, 8, 8, 3), (16, 16, 16, 4)])
@pytest.mark.parametrize("mean", [0, 3])
@pytest.mark.parametrize(
    "make", [BatchNorm2d, InstanceNorm2d, lambda c: Sequential(BatchNorm2d(c), ReLU())]
)
def test_a_gradient_that_cancels_to_nothing_is_no_lack_of_precision(make, mean, shape):
    x = mean + normal(*shape)
    assert check_gradients(make(shape[-1]), x, dy=np.ones(shape), raises=False).ok


def test_float32_is_found_though_the_gradient_cancels_to_nothing():
    class Single(BatchNorm2d):
        def backward(self, dy, cache, input_gradient=True):
            return super().backward((dy * 1.1).astype(np.float32) / 1.1, cache, input_gradient)

    report = check_gradients(Single(3), normal(4, 3, 3, 3), dy=np.ones((4, 3, 3, 3)), raises=False)
    assert "float32" in [cause.kind for cause in report.causes]


def test_the_upstream_gradient_is_never_the_tests_own_numbers():
    # x drawn with the same seed as the check must not make dy = x, where BatchNorm's dx is zero
    report = check_gradients(BatchNorm2d(3), normal(4, 3, 3, 3, seed=0), seed=0)
    assert abs(report.checks[0].numeric) > 1e-3


def test_nan_and_infinity_are_wrong():
    class Broken(Tanh):
        def backward(self, dy, cache):
            return super().backward(dy, cache) * np.nan

    assert not check_gradients(Broken(), normal(2, 2), raises=False).ok


def test_a_gradient_of_another_shape_is_refused():
    class Summed(Tanh):
        def backward(self, dy, cache):
            return super().backward(dy, cache).sum(axis=0)

    with pytest.raises(GradientError, match=r"gradient has shape \(3,\), expected \(2, 3\)"):
        check_gradients(Summed(), normal(2, 3))


def test_the_layer_and_the_input_are_left_as_they_were():
    layer = Sequential(Conv2d(2, 2, 3), BatchNorm2d(2), Dropout(0.5, rng=0))
    state, x = layer.state_dict(), normal(3, 5, 5, 2).astype(np.float32)
    before = x.copy()
    check_gradients(layer, x)
    np.testing.assert_array_equal(x, before)
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
        assert array.dtype == state[name].dtype
    assert not any(parameter.grad.any() for parameter in layer.parameters())


def test_frozen_parameters_are_left_out():
    layer = Conv2d(2, 3, 3)
    with frozen(layer):
        report = check_gradients(layer, normal(1, 4, 4, 2))
    assert [check.name for check in report.checks] == ["x"]


def test_losses_and_plain_functions_are_checked_too():
    x, t = normal(3, 4), normal(3, 4, seed=1)
    assert check_gradients(lambda p: mse(p, t), x).ok
    wrong = check_gradients(lambda p: (((p - t) ** 2).mean(), p - t), x, raises=False)
    assert wrong.checks[0].ratio == pytest.approx(x.size / 2)


def objective_of(layer, x, factor=1.0):
    def objective():
        y, backward = layer(x)
        loss, dy = mse(y, 1.0)
        backward(dy * factor)
        return loss

    return objective


def test_a_whole_objective_along_directions_of_all_parameters():
    layer = Sequential(Conv2d(2, 3, 3), BatchNorm2d(3), ReLU(), Conv2d(3, 1, 2))
    layer.to(dtype="float64")
    state, x = layer.state_dict(), normal(2, 6, 6, 2)
    assert check_objective(objective_of(layer, x), [layer]).ok
    for name, array in layer.state_dict().items():
        if "running" not in name:
            np.testing.assert_array_equal(array, state[name])
    with pytest.raises(GradientError, match=r"all parameters .* ratio 1\.001"):
        check_objective(objective_of(layer, x, 1.001), [layer])


def test_an_objective_in_float32_is_refused():
    layer = Conv2d(2, 3, 3)
    with pytest.raises(TypeError, match="expected float64 parameters, got float32"):
        check_objective(objective_of(layer, normal(1, 4, 4, 2)), [layer])


def test_the_command_checks_every_case(capsys):
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(LAYERS) + len(LOSSES) + 1
    assert all(line.startswith("ok ") for line in lines[:-1])
    assert f"{len(LAYERS) + len(LOSSES)} cases" in lines[-1]
    assert "0 wrong" in lines[-1]


def test_what_takes_too_long_says_so_and_leaves_no_alarm():
    handler = signal.getsignal(signal.SIGALRM)
    with pytest.raises(NotCheckable, match=r"not finished after 0\.2 s: check a smaller input"):
        check_gradients(
            (lambda x: (time.sleep(9), None), lambda dy, cache: dy), normal(3, 4), time_limit=0.2
        )
    assert signal.getsignal(signal.SIGALRM) == handler
    assert not 0 < signal.getitimer(signal.ITIMER_REAL)[0] < 1


@pytest.mark.parametrize(
    "wrong", [{"time_limit": 0}, {"directions": 0}, {"elements": -1}, {"rtol": 2}]
)
def test_arguments_that_mean_nothing_are_refused_by_name(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"check_gradients: {name}: expected"):
        check_gradients(ReLU(), normal(3, 4), **wrong)


def test_code_that_knows_only_its_own_batch_is_checked_whole():
    x = np.random.default_rng(0).standard_normal((40, 30, 30, 1))
    weights = np.random.default_rng(1).standard_normal((40, 1, 1, 1))
    pair = (lambda x: (x * weights, None), lambda dy, cache: dy * weights)
    assert check_gradients(pair, x).ok
    wrong = weights * np.where(np.arange(40) == 7, 2, 1)[:, None, None, None]
    report = check_gradients((pair[0], lambda dy, cache: dy * wrong), x, raises=False)
    assert report.worst.index is not None
    assert report.worst.index[0] == 7
