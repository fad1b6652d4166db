"""`plain`, and neighbours that run as one: other ways to the same numbers."""

import copy
import threading
from contextlib import nullcontext

import numpy as np
import pytest

from tinygan import (
    Adam,
    BatchNorm2d,
    Conv2d,
    InstanceNorm2d,
    LeakyReLU,
    ReflectionPad2d,
    ReLU,
    Sequential,
    check_gradients,
    frozen,
    plain,
)
from tinygan.cases import LAYERS
from tinygan.fast import accelerated, apart, mode, override
from tinygan.models import cyclegan, dcgan

TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
BOTH_DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# --- one step of each system --------------------------------------------------------------------


def _dcgan(dtype):
    G = dcgan.generator(16, noise_size=8, width=4, rng=1).to(dtype=dtype)
    D = dcgan.discriminator(16, width=4, rng=2).to(dtype=dtype)
    adams = [Adam(network.parameters(), 2e-4, (0.5, 0.999)) for network in (G, D)]
    x, z = np.tanh(normal(6, 16, 16, 3, dtype=dtype)), normal(6, 8, seed=1, dtype=dtype)
    return (G, D), lambda: dcgan.train_step(G, D, *adams, x, z)


def _cyclegan(dtype):
    networks = [cyclegan.generator(width=3, residual_blocks=1, rng=seed) for seed in (1, 2)]
    networks += [cyclegan.patch_discriminator(width=4, layers=2, rng=seed) for seed in (3, 4)]
    G, F, D_X, D_Y = (network.to(dtype=dtype) for network in networks)
    parameters = (G.parameters() + F.parameters(), D_X.parameters(), D_Y.parameters())
    adams = [Adam(p, 2e-4, (0.5, 0.999)) for p in parameters]
    x, y = np.tanh(normal(2, 1, 16, 16, 3, dtype=dtype))
    return (G, F, D_X, D_Y), lambda: cyclegan.train_step(G, F, D_X, D_Y, *adams, x, y)


@BOTH_DTYPES
@pytest.mark.parametrize("system", [_dcgan, _cyclegan])
def test_a_step_within_plain_is_the_fast_one(system, dtype):
    networks, step = system(dtype)
    losses = step()
    plain_networks, plain_step = system(dtype)
    with plain():
        plain_losses = plain_step()
    for name, loss in losses.items():
        assert plain_losses[name].dtype == dtype
        assert plain_losses[name] == pytest.approx(loss, rel=TOLERANCE[dtype]), name
    for network, other in zip(networks, plain_networks, strict=True):
        largest = max(abs(p.grad).max() for p in network.parameters())
        for (name, p), q in zip(
            network.named_parameters().items(), other.parameters(), strict=True
        ):
            assert abs(p.grad - q.grad).max() <= TOLERANCE[dtype] * largest, name


def test_the_loops_of_the_definition_take_a_step_too():
    def system():
        G = dcgan.generator(16, noise_size=2, width=1, rng=1).to(dtype=np.float64)
        return G, normal(2, 2)

    G, z = system()
    with plain(convolution="naive"):
        slow = G.predict(z)
    np.testing.assert_allclose(slow, G.predict(z), rtol=0, atol=1e-14)


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.id)
def test_each_layer_within_plain_is_the_fast_one(case):
    layer, x = case.make().to(dtype=np.float64), case.x()
    other = copy.deepcopy(layer)
    y, backward = layer(x)
    dy = normal(*y.shape, seed=3)
    with plain():
        plain_y, plain_backward = other(x)
        plain_predicted = other.predict(x)
    found = [plain_y, plain_backward(dy), plain_predicted, *(p.grad for p in other.parameters())]
    expected = [y, backward(dy), layer.predict(x), *(p.grad for p in layer.parameters())]
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * max(1, abs(b).max()))


# --- the scope ------------------------------------------------------------------------------------


@pytest.fixture
def shout():
    """A function whose fast version says which of the two ran."""

    @accelerated
    def _shout(x):
        return "plain"

    override("_shout", "numpy")(lambda x: "fast")
    yield _shout
    from tinygan.fast import dispatch

    del dispatch._versions["_shout"], dispatch._plain["_shout"]


def test_a_backward_follows_its_own_forward(shout, monkeypatch):
    said = []
    layer = Conv2d(2, 2, 3, rng=0)
    original = type(layer).backward
    monkeypatch.setattr(
        Conv2d,
        "backward",
        lambda self, dy, cache, input_gradient=True: (
            said.append((shout(dy), mode())),
            original(self, dy, cache, input_gradient),
        )[1],
    )
    x = normal(1, 5, 5, 2, dtype=np.float32)
    with plain(convolution="naive"):
        y, inside = layer(x)
        with plain():
            pass
        assert mode() == "naive"
    _, outside = layer(x)
    inside(y)
    assert mode() == "auto"
    with plain():
        outside(y)
        assert mode() == "im2col"
    assert said == [("plain", "naive"), ("fast", "auto")]


def test_an_error_ends_the_scope_and_other_algorithms_are_refused():
    with pytest.raises(ValueError, match="expected 'im2col' or 'naive', got 'fft'"):
        plain(convolution="fft")
    with pytest.raises(KeyError), plain():
        raise KeyError
    assert mode() == "auto"


def test_the_scope_holds_for_all_threads(shout):

    said = []
    with plain():
        thread = threading.Thread(target=lambda: said.append(shout(np.ones(1))))
        thread.start()
        thread.join()
    assert said == ["plain"]


# --- neighbours as one ----------------------------------------------------------------------------

NORMS = [
    BatchNorm2d,
    InstanceNorm2d,
    lambda c: InstanceNorm2d(c, affine=True),
    lambda c: BatchNorm2d(c, affine=False),
]
ACTIVATIONS = [ReLU, LeakyReLU, lambda: LeakyReLU(0), lambda: LeakyReLU(1.5)]


def _runs(network):
    return [type(layer).__name__ for layer in network._running()]


def _pass(layers, x, dy, **options):
    backwards = []
    for layer in layers:
        x, backward = layer(x)
        backwards.append(backward)
    for backward in reversed(backwards):
        dy = backward(dy, **options)
    return x, dy


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("freeze", [None, "weight", "bias", "both"])
@pytest.mark.parametrize("input_gradient", [True, False])
def test_two_layers_that_run_as_one_give_what_each_alone_gives(norm, act, freeze, input_gradient):
    together = Sequential(norm(3), act()).to(dtype=np.float64)
    apart = copy.deepcopy(together)
    x, dy = 2 * normal(4, 5, 6, 3) + 1, normal(4, 5, 6, 3, seed=1)
    assert len(_runs(together)) == 1
    for network in (together, apart):
        for name, parameter in network.named_parameters().items():
            parameter.data[...] = normal(3, seed=5)
            parameter.frozen = freeze == "both" or name == f"0.{freeze}"
    y, backward = together(x)
    dx = backward(dy, input_gradient=input_gradient)
    expected, expected_dx = _pass(apart.layers, x, dy)
    np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-13)
    if input_gradient:
        np.testing.assert_allclose(dx, expected_dx, rtol=0, atol=1e-12)
    else:
        assert dx is None
    for (name, p), q in zip(together.named_parameters().items(), apart.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=0, atol=1e-11, err_msg=name)
        assert p.grad.any() != p.frozen
    for a, b in zip(together.buffers().values(), apart.buffers().values(), strict=True):
        np.testing.assert_array_equal(a, b)
    one, two = together.predict(x), apart[1].predict(apart[0].predict(x))
    np.testing.assert_allclose(one, two, rtol=1e-13, atol=1e-13)


@BOTH_DTYPES
@pytest.mark.parametrize("freeze", [None, "weight", "bias", "both"])
@pytest.mark.parametrize("input_gradient", [True, False])
@pytest.mark.parametrize(
    ("padding", "options"), [(1, {}), ((3, 0), {"stride": 2}), (1, {"bias": False, "padding": 1})]
)
def test_a_padded_convolution_is_the_two_layers_to_the_bit(
    padding, options, input_gradient, freeze, dtype
):
    together = Sequential(ReflectionPad2d(padding), Conv2d(3, 4, 3, rng=0, **options))
    together.to(dtype=dtype)
    apart = copy.deepcopy(together)
    assert len(_runs(together)) == 1
    x = normal(2, 7, 6, 3, dtype=dtype)
    dy = normal(*together.predict(x).shape, seed=1, dtype=dtype)
    for network in (together, apart):
        for name, parameter in network.named_parameters().items():
            parameter.frozen = freeze == "both" or name == f"1.{freeze}"
    for _ in range(2):  # gradients add up
        y, backward = together(x)
        dx = backward(dy, input_gradient=input_gradient)
        (pad, conv), (padded, pad_back) = apart.layers, apart[0](x)
        expected, conv_back = conv(padded)
        dpadded = conv_back(dy, input_gradient=input_gradient)
        np.testing.assert_array_equal(y, expected)
        if input_gradient:
            np.testing.assert_array_equal(dx, pad_back(dpadded))
        else:
            assert dx is None
    for p, q in zip(together.parameters(), apart.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad, q.grad)
        assert p.grad.any() != p.frozen
    np.testing.assert_array_equal(together.predict(x), conv.predict(pad.predict(x)))


def test_a_padded_convolution_remembers_the_image_and_not_its_larger_copy():
    network, x = Sequential(ReflectionPad2d(2), Conv2d(3, 4, 3, rng=0)), normal(1, 6, 6, 3)
    (both,) = network.to(dtype=np.float64)._running()
    _, cache = both.forward(x)
    assert cache[0] is x
    assert not any(isinstance(part, np.ndarray) for part in (*cache[1:], *cache[2]))
    with frozen(network):
        _, cache = both.forward(x)
    assert cache[0] is None


def test_only_exact_types_with_slopes_that_are_not_negative_run_as_one():
    class Mine(BatchNorm2d):
        def forward(self, x):
            y, cache = super().forward(x)
            return 2 * y, cache

    class Clipped(ReLU):
        def forward(self, x):
            y, cache = super().forward(x)
            return np.minimum(y, 1), cache

    falling = LeakyReLU()
    falling.negative_slope = -0.1
    for norm, act in ((Mine(3), ReLU()), (BatchNorm2d(3), Clipped()), (BatchNorm2d(3), falling)):
        network = Sequential(norm, act)
        assert len(_runs(network)) == 2
        x = normal(2, 4, 4, 3, dtype=np.float32)
        np.testing.assert_array_equal(network(x)[0], act(norm(x)[0])[0])
    fused = Sequential(Conv2d(3, 3, 1), BatchNorm2d(3), ReLU(), ReLU(), InstanceNorm2d(3))
    assert _runs(fused) == ["Conv2d", "_WithActivation", "ReLU", "InstanceNorm2d"]
    with plain():
        assert len(_runs(fused)) == 5


def test_apart_each_layer_is_called_and_the_bits_are_the_same():
    results = []
    for scope in (nullcontext, apart):
        network = Sequential(Conv2d(3, 4, 3, rng=0), BatchNorm2d(4), LeakyReLU(0.2))
        with scope():
            count = len(_runs(network))
            y, backward = network(normal(5, 9, 9, 3, dtype=np.float32))
            dx = backward(normal(*y.shape, seed=1, dtype=np.float32))
        results.append((count, [y, dx, *(p.grad for p in network.parameters())]))
    assert [count for count, _ in results] == [2, 3]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_shows_nowhere():
    network = Sequential(Conv2d(3, 4, 3), BatchNorm2d(4), ReLU())
    assert list(network.named_parameters()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert list(network.buffers()) == ["1.running_mean", "1.running_var"]
    assert [repr(layer) for layer in network][1:] == ["BatchNorm2d(4)", "ReLU()"]
    with frozen(network[1]):
        _, backward = network(normal(2, 5, 5, 3, dtype=np.float32))
    backward(normal(2, 3, 3, 4, dtype=np.float32))
    assert network[0].weight.grad.any()
    assert not network[1].weight.grad.any()


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_of_each_alone_and_of_both_as_one(norm):
    for layer in (norm(3), ReLU(), Sequential(norm(3), ReLU())):
        with plain():
            check_gradients(layer, normal(3, 4, 5, 3))
        check_gradients(layer, normal(3, 4, 5, 3))
