"""Single layers: what they compute, what they refuse."""

import numpy as np
import pytest

from tinygan import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    GaussianNoise,
    InstanceNorm2d,
    LeakyReLU,
    ReflectionPad2d,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    Tanh,
    Upsample,
)
from tinygan.fast.cpu.normalise import moments, normalise, normalise_backward


def normal(*shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


# --- values -----------------------------------------------------------------------------------


def test_conv_is_the_sum_it_claims_to_be():
    layer = Conv2d(2, 3, (2, 3), stride=(2, 1), padding=(1, 0), rng=0).to(dtype="float64")
    layer.bias.data[:] = [1, 2, 3]
    x = normal(2, 4, 5, 2)
    y, _ = layer(x)
    w = layer.weight.data
    for n, i, j, o in np.ndindex(y.shape):
        total = layer.bias.data[o]
        for a, b, c in np.ndindex(2, 3, 2):
            h, v = 2 * i + a - 1, j + b
            if 0 <= h < 4 and 0 <= v < 5:
                total += x[n, h, v, c] * w[a, b, c, o]
        assert y[n, i, j, o] == pytest.approx(total, abs=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "output_padding"),
    [(4, 2, 1, 0), (3, 2, 1, 1), ((3, 2), (1, 3), (0, 1), (0, 2)), (1, 1, 0, 0)],
)
def test_transposed_conv_is_the_adjoint_of_conv(kernel, stride, padding, output_padding):
    up = ConvTranspose2d(4, 3, kernel, stride, padding, output_padding, bias=False, rng=0)
    down = Conv2d(3, 4, kernel, stride, padding, bias=False, rng=1)
    down.weight.data[...] = up.weight.data
    up.to(dtype="float64"), down.to(dtype="float64")
    x = normal(2, 5, 4, 4)
    large = up.predict(x)
    v = normal(*large.shape, seed=1)
    assert down.predict(v).shape == x.shape
    assert (large * v).sum() == pytest.approx((x * down.predict(v)).sum(), rel=1e-12)


def test_batch_norm_statistics_move_as_documented():
    layer = BatchNorm2d(3, momentum=0.1).to(dtype="float64")
    x = normal(4, 5, 6, 3) * [1, 2, 3] + [4, 5, 6]
    layer(x)
    np.testing.assert_allclose(layer.running_mean, 0.1 * x.mean((0, 1, 2)))
    np.testing.assert_allclose(layer.running_var, 0.9 + 0.1 * x.var((0, 1, 2), ddof=1))
    expected = (x - layer.running_mean) / np.sqrt(layer.running_var + 1e-5)
    np.testing.assert_allclose(layer.predict(x), expected)


@pytest.mark.parametrize("make", [BatchNorm2d, InstanceNorm2d])
def test_norms_give_mean_zero_and_variance_one(make):
    x = normal(4, 5, 6, 3) * 7 + 3
    y, _ = make(3).to(dtype="float64")(x)
    axes = (0, 1, 2) if make is BatchNorm2d else (1, 2)
    np.testing.assert_allclose(y.mean(axes), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axes), 1, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 300_000, 4), (3, 5_000, 2), (70, 4, 8), (1, 2, 1)])
def test_the_variance_survives_a_mean_of_a_thousand_deviations(shape):
    x = (1000 + normal(*shape)).astype(np.float32)
    mean, var = moments(x)
    assert mean.dtype == var.dtype == np.float32
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(1), rtol=1e-6)
    # the textbook formula is wrong by tens of per cent here
    np.testing.assert_allclose(var, exact.var(1), rtol=2e-3 if shape[1] > 2 else 1e-2)


# few pixels, odd numbers of them, several blocks, rows of several pixels and of one
GROUPED = [(1, 2, 3), (3, 35, 5), (1, 961, 64), (2, 4096, 8), (20, 16, 40), (1, 70_001, 5)]


@pytest.mark.parametrize("shape", GROUPED, ids=str)
def test_the_variance_does_not_depend_on_which_pixel_comes_first(shape):
    x = normal(*shape).astype(np.float32)
    x[:, 0] += 30  # a corner unlike the rest, which its part is centred on
    mean, var = moments(x)
    exact = x.astype(np.float64)
    np.testing.assert_allclose(mean, exact.mean(1), rtol=0, atol=1e-4)
    np.testing.assert_allclose(var, exact.var(1), rtol=1e-4)


@pytest.mark.parametrize("negative_slope", [0, 0.2, 1, 1.5])
@pytest.mark.parametrize("shape", GROUPED, ids=str)
def test_normalisation_with_an_activation_is_the_one_after_the_other(shape, negative_slope):
    x, dy = normal(*shape) + 3, normal(*shape, seed=1)
    gamma, beta = normal(shape[2], seed=2), normal(shape[2], seed=3)
    mean, var = moments(x)
    u, plain = normalise(x, mean, var, gamma, beta, 1e-5)
    y, cache = normalise(x, mean, var, gamma, beta, 1e-5, negative_slope)
    np.testing.assert_allclose(y, np.where(u > 0, u, negative_slope * u), rtol=1e-14)
    du = np.where(u > 0, dy, negative_slope * dy)
    for dx in (True, False):
        found = normalise_backward(dy, cache, input_gradient=dx)
        for a, b in zip(found, normalise_backward(du, plain, input_gradient=dx), strict=True):
            assert (a is b is None) or abs(a - b).max() <= 1e-12 * max(1, abs(b).max())


@pytest.mark.parametrize("make", [BatchNorm2d, InstanceNorm2d])
@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(0.2), LeakyReLU(1.5)], ids=repr)
def test_a_norm_with_an_activation_predicts_as_the_two_layers(make, activation):
    one = make(3, activation=activation)
    two = Sequential(make(3), activation)
    for seed in range(3):
        x = normal(4, 5, 6, 3, seed=seed, dtype=np.float32) * 2 + 1
        np.testing.assert_allclose(one(x)[0], two(x)[0], rtol=1e-6)
    np.testing.assert_allclose(one.predict(x), two.predict(x), rtol=1e-6)
    assert list(one.state_dict().values()) == [] or len(one.state_dict()) == 4
    assert repr(one) == f"{make.__name__}(3, activation={activation!r})"


@pytest.mark.parametrize("wrong", [Tanh(), ReLU, "relu", 0.2, Sequential(ReLU())])
@pytest.mark.parametrize("make", [BatchNorm2d, InstanceNorm2d])
def test_a_norm_refuses_other_activations(make, wrong):
    message = rf"{make.__name__}: activation: expected None, a ReLU\(\) or a LeakyReLU\(\), got "
    with pytest.raises(TypeError, match=message):
        make(3, activation=wrong)


def test_dropout_keeps_the_expected_value_and_draws_anew():
    layer, x = Dropout(0.25, rng=0), np.ones((100, 10, 10, 4), np.float32)
    first, _ = layer(x)
    second, _ = layer(x)
    assert first.mean() == pytest.approx(1, abs=0.01)
    assert np.unique(first).tolist() == pytest.approx([0, 4 / 3])
    assert (first != second).mean() == pytest.approx(2 * 0.25 * 0.75, abs=0.01)
    assert layer.predict(x) is x


def test_upsample_and_reflection_agree_with_numpy():
    x = normal(2, 3, 4, 2)
    np.testing.assert_array_equal(Upsample((2, 3)).predict(x), x.repeat(2, 1).repeat(3, 2))
    padded = np.pad(x, ((0, 0), (2, 2), (3, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(ReflectionPad2d((2, 3)).predict(x), padded)


def test_activations_at_the_ends_of_the_number_line():
    x = np.array([-1e30, -1e3, 0, 1e3, 1e30], np.float32)
    with np.errstate(all="raise"):
        assert Sigmoid().predict(x).tolist() == [0, 0, 0.5, 1, 1]
        assert Tanh().predict(x).tolist() == [-1, -1, 0, 1, 1]
        assert ReLU().predict(x).tolist() == pytest.approx([0, 0, 0, 1e3, 1e30])
        assert LeakyReLU(0.5).predict(x).tolist() == pytest.approx([-5e29, -500, 0, 1e3, 1e30])


# --- against PyTorch, where it is installed ---------------------------------------------------


def torch_weight(torch, weight):
    return torch.nn.Parameter(torch.tensor(weight.data.transpose(3, 2, 0, 1).copy()))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (lambda: Conv2d(3, 4, 4, 2, 1, rng=0), lambda nn: nn.Conv2d(3, 4, 4, 2, 1)),
        (
            lambda: ConvTranspose2d(3, 4, 3, 2, 1, 1, rng=0),
            lambda nn: nn.ConvTranspose2d(3, 4, 3, 2, 1, 1),
        ),
        (lambda: BatchNorm2d(3), lambda nn: nn.BatchNorm2d(3)),
        (lambda: InstanceNorm2d(3), lambda nn: nn.InstanceNorm2d(3)),
        (
            lambda: InstanceNorm2d(3, activation=LeakyReLU(0.2)),
            lambda nn: nn.Sequential(nn.InstanceNorm2d(3), nn.LeakyReLU(0.2)),
        ),
        (lambda: LeakyReLU(0.2), lambda nn: nn.LeakyReLU(0.2)),
        (lambda: ReflectionPad2d(2), lambda nn: nn.ReflectionPad2d(2)),
        (lambda: Upsample(2), lambda nn: nn.Upsample(scale_factor=2)),
    ],
    ids=[
        "conv",
        "transposed",
        "batch norm",
        "instance norm",
        "norm leaky",
        "leaky",
        "reflect",
        "upsample",
    ],
)
def test_agreement_with_pytorch(ours, theirs):
    torch = pytest.importorskip("torch")
    layer, module = ours().to(dtype="float64"), theirs(torch.nn).double()
    for name, parameter in layer.named_parameters().items():
        if parameter.data.ndim == 4:
            setattr(module, name, torch_weight(torch, parameter))
        else:
            parameter.data[...] = normal(*parameter.shape, seed=4)
            setattr(module, name, torch.nn.Parameter(torch.tensor(parameter.data.copy())))
    x = normal(2, 6, 5, 3)
    tx = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    y, backward = layer(x)
    ty = module(tx)
    np.testing.assert_allclose(y, ty.detach().numpy().transpose(0, 2, 3, 1), atol=1e-12)
    dy = normal(*y.shape, seed=5)
    dx = backward(dy)
    ty.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    np.testing.assert_allclose(dx, tx.grad.numpy().transpose(0, 2, 3, 1), atol=1e-12)
    for name, parameter in layer.named_parameters().items():
        grad = getattr(module, name).grad.numpy()
        grad = grad.transpose(2, 3, 1, 0) if grad.ndim == 4 else grad
        np.testing.assert_allclose(parameter.grad, grad, atol=1e-11)
    for name, array in layer.buffers().items():
        np.testing.assert_allclose(array, getattr(module, name).numpy(), atol=1e-12)


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(0, 1, 3), "Conv2d: in_channels: expected a positive integer, got 0"),
        (lambda: Conv2d(1, 2.5, 3), "Conv2d: out_channels: expected a positive integer, got 2.5"),
        (lambda: Conv2d(1, 1, (3, 3, 3)), r"Conv2d: kernel_size: .*pair of them, got \(3, 3, 3\)"),
        (lambda: Conv2d(1, 1, 3, stride=0), "Conv2d: stride: .*at least 1.*got 0"),
        (lambda: Conv2d(1, 1, 3, padding=-1), "Conv2d: padding: .*at least 0.*got -1"),
        (
            lambda: ConvTranspose2d(1, 1, 3, 2, output_padding=2),
            "output_padding: expected less than the stride 2, got 2",
        ),
        (lambda: BatchNorm2d(3, eps=0), "BatchNorm2d: eps: expected a positive number, got 0"),
        (lambda: BatchNorm2d(3, momentum=2), r"momentum: expected a share in \[0, 1\], got 2"),
        (lambda: LeakyReLU(-0.1), "negative_slope: expected a number of at least 0, got -0.1"),
        (lambda: Dropout(1.0), r"Dropout: p: expected a probability in \[0, 1\), got 1.0"),
        (lambda: Upsample(0), "Upsample: scale: .*at least 1.*got 0"),
    ],
)
def test_constructors_say_what_was_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (
            Conv2d(3, 64, kernel_size=4),
            (16, 64, 64, 1),
            r"Conv2d\(3, 64, kernel_size=4\): expected x of shape \(N, H, W, 3\), "
            r"got \(16, 64, 64, 1\)",
        ),
        (Conv2d(3, 64, 4), (64, 64, 3), r"expected x of shape \(N, H, W, 3\), got \(64, 64, 3\)"),
        (Conv2d(3, 4, 5, padding=1), (1, 2, 9, 3), "does not fit: expected a height of at least 3"),
        (ConvTranspose2d(1, 1, 1, padding=1), (1, 2, 2, 1), "nothing is left of the output"),
        (BatchNorm2d(3), (1, 1, 1, 3), "expected more than one value a channel"),
        (InstanceNorm2d(3), (4, 1, 1, 3), "expected more than one value a channel"),
        (ReflectionPad2d(3), (1, 3, 9, 1), r"images larger than the padding \(3, 3\)"),
        (Reshape(2, 3), (4, 7), r"Reshape\(2, 3\): expected samples of 6 elements, got .*\(4, 7\)"),
    ],
)
def test_calls_say_what_was_expected_and_what_came(layer, shape, message):
    with pytest.raises(ValueError, match=message):
        layer(np.zeros(shape, np.float32))


def test_dtypes_are_not_mixed_in_silence():
    layer = Conv2d(1, 1, 1)
    with pytest.raises(TypeError, match=r"expected x of the layer's dtype float32, got float64"):
        layer(np.zeros((1, 2, 2, 1)))
    with pytest.raises(TypeError, match="floating-point dtype, got uint8"):
        layer(np.zeros((1, 2, 2, 1), np.uint8))
    with pytest.raises(TypeError, match="x is list"):
        layer([[1.0]])


def test_instance_noise_is_one_stream_of_normal_numbers():
    noise = np.random.default_rng((3, 103, 7)).standard_normal((2, 4, 5, 5, 3), np.float32)
    layer = GaussianNoise(0.1, (3, 103, 7))
    x = np.random.default_rng(0).uniform(-1, 1, (4, 5, 5, 3)).astype(np.float32)
    for drawn in noise:
        y, backward = layer(x)
        np.testing.assert_array_equal(y, x + drawn * np.float32(0.1))
        np.testing.assert_array_equal(backward(x), x)
    assert layer.predict(x) is x
    shared = np.random.default_rng(5)
    a, b = GaussianNoise(1.0, shared), GaussianNoise(1.0, shared)
    assert (a(x)[0] != b(x)[0]).any()
    with pytest.raises(ValueError, match="GaussianNoise: std: expected a number of at least 0"):
        GaussianNoise(-1.0)
