"""Single layers: what they compute, what they refuse."""

import numpy as np
import pytest

from tinygan import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    GaussianNoise,
    GroupNorm,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    PixelShuffle,
    PReLU,
    ReflectionPad2d,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    Tanh,
    Upsample,
)
from tinygan.layers.norm import moments


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


def test_gamma_is_one_unless_the_network_asks():
    for make in (BatchNorm2d, lambda c, **o: InstanceNorm2d(c, affine=True, **o)):
        assert (make(4, rng=0).weight.data == 1).all()
        drawn = make(1000, weight_std=0.02, rng=0).weight.data
        assert drawn.std() == pytest.approx(0.02, rel=0.1)
        assert drawn.mean() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("which", ["weight", "bias"])
@pytest.mark.parametrize("make", [BatchNorm2d, lambda c: Sequential(BatchNorm2d(c), ReLU())])
def test_one_frozen_parameter_of_a_norm_gets_no_gradient(make, which):
    layer = make(3)
    norm = layer[0] if isinstance(layer, Sequential) else layer
    getattr(norm, which).frozen = True
    y, backward = layer(normal(2, 3, 4, 3, dtype=np.float32))
    backward(normal(*y.shape, seed=1, dtype=np.float32))
    other = "bias" if which == "weight" else "weight"
    assert not getattr(norm, which).grad.any()
    assert getattr(norm, other).grad.all()


@pytest.mark.parametrize("make", [BatchNorm2d, InstanceNorm2d, GroupNorm])
def test_options_behind_the_channels_are_given_by_name(make):
    with pytest.raises(TypeError, match="positional argument"):
        make(2, 4, 1e-3)


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
            lambda: Sequential(InstanceNorm2d(3), LeakyReLU(0.2)),
            lambda nn: nn.Sequential(nn.InstanceNorm2d(3), nn.LeakyReLU(0.2)),
        ),
        (lambda: BatchNorm2d(3, affine=False), lambda nn: nn.BatchNorm2d(3, affine=False)),
        (lambda: GroupNorm(2, 4), lambda nn: nn.GroupNorm(2, 4)),
        (
            lambda: Conv2d(3, 4, (3, 5), padding="same", rng=0),
            lambda nn: nn.Conv2d(3, 4, (3, 5), padding="same"),
        ),
        (lambda: PixelShuffle(2), lambda nn: nn.PixelShuffle(2)),
        (PReLU, lambda nn: nn.PReLU()),
        (lambda: PReLU(3), lambda nn: nn.PReLU(3)),
        (lambda: MaxPool2d(3, 2, 1), lambda nn: nn.MaxPool2d(3, 2, 1)),
        (lambda: AvgPool2d((2, 3), padding=1), lambda nn: nn.AvgPool2d((2, 3), padding=1)),
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
        "batch norm without weights",
        "group norm",
        "same",
        "pixel shuffle",
        "prelu",
        "prelu of channels",
        "max pool",
        "avg pool",
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
    x = normal(2, 6, 5, 4 if type(layer) in (GroupNorm, PixelShuffle) else 3)
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


def test_linear_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    layer, module = Linear(4, 3, rng=0).to(dtype="float64"), torch.nn.Linear(4, 3).double()
    layer.bias.data[...] = [1, 2, 3]
    module.weight.data[...] = torch.tensor(layer.weight.data.T.copy())
    module.bias.data[...] = torch.tensor(layer.bias.data)
    x, dy = normal(2, 5, 4), normal(2, 5, 3, seed=1)
    tx = torch.tensor(x, requires_grad=True)
    y, backward = layer(x)
    ty = module(tx)
    ty.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, ty.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(backward(dy), tx.grad.numpy(), atol=1e-12)
    np.testing.assert_allclose(layer.weight.grad, module.weight.grad.numpy().T, atol=1e-12)
    np.testing.assert_allclose(layer.bias.grad, module.bias.grad.numpy(), atol=1e-12)


def test_output_size_agrees_with_pytorch():
    torch = pytest.importorskip("torch")
    module = torch.nn.ConvTranspose2d(3, 2, 3, 2, 1, bias=False).double()
    x = normal(1, 4, 4, 3)
    for size in ((7, 8), (8, 7)):
        layer = ConvTranspose2d(3, 2, 3, 2, 1, bias=False, output_size=size, rng=0)
        layer.to(dtype="float64")
        module.weight = torch_weight(torch, layer.weight)
        expected = module(torch.tensor(x.transpose(0, 3, 1, 2).copy()), output_size=size)
        expected = expected.detach().numpy().transpose(0, 2, 3, 1)
        np.testing.assert_allclose(layer.predict(x), expected, atol=1e-12)


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Conv2d(0, 1, 3), "Conv2d: in_channels: expected an integer of at least 1, got 0"),
        (
            lambda: Conv2d(1, 2.5, 3),
            "out_channels: expected an integer of at least 1, got 2.5",
        ),
        (lambda: Conv2d(1, 1, (3, 3, 3)), r"Conv2d: kernel_size: .*pair of them, got \(3, 3, 3\)"),
        (lambda: Conv2d(1, 1, 3, stride=0), "Conv2d: stride: .*at least 1.*got 0"),
        (lambda: Conv2d(1, 1, 3, padding=-1), "Conv2d: padding: .*at least 0.*got -1"),
        (
            lambda: ConvTranspose2d(1, 1, 3, 2, output_padding=2),
            "output_padding: expected less than the stride 2, got 2",
        ),
        (lambda: Conv2d(1, 1, 4, padding="same"), "padding='same': expected an odd kernel_size"),
        (lambda: Conv2d(1, 1, 3, 2, "same"), "expected an odd kernel_size and stride 1.*stride 2"),
        (lambda: Conv2d(1, 1, 3, padding="full"), "Conv2d: padding: .*got 'full'"),
        (lambda: Conv2d(1, 1, 3, dilation=2), "dilation: tinygan has only windows without gaps"),
        (lambda: ConvTranspose2d(2, 2, 3, groups=2), "groups: tinygan has only every output"),
        (
            lambda: ConvTranspose2d(1, 1, 3, 2, output_padding=1, output_size=8),
            "output_size or output_padding, not both",
        ),
        (lambda: GroupNorm(2, 3), "groups: expected a divisor of the 3 channels, got 2"),
        (lambda: MaxPool2d(2, padding=2), "MaxPool2d: padding: expected at most half"),
        (lambda: Linear(0, 1), "Linear: in_features: expected an integer of at least 1, got 0"),
        (
            lambda: BatchNorm2d(3, eps=0),
            r"eps: expected a number in \(0, inf\), got 0",
        ),
        (lambda: BatchNorm2d(3, momentum=2), r"momentum: expected a number in \[0, 1\], got 2"),
        (lambda: LeakyReLU(-0.1), r"negative_slope: expected a number in \[0, inf\), got -0.1"),
        (lambda: Dropout(1.0), r"Dropout: p: expected a number in \[0, 1\), got 1.0"),
        (lambda: Upsample(0), "Upsample: scale: .*at least 1.*got 0"),
        (lambda: LeakyReLU("a"), "negative_slope: expected a number in .*got 'a'"),
        (lambda: BatchNorm2d(3, momentum=None), "momentum: expected a number in .*got None"),
        (lambda: BatchNorm2d(3, eps=True), "eps: expected a number in .*got True"),
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
        (
            ConvTranspose2d(1, 1, 3, 2, 1, output_size=9),
            (1, 4, 4, 1),
            r"gives outputs from \(7, 7\) to \(8, 8\)",
        ),
        (MaxPool2d(3), (1, 2, 9, 1), "window does not fit"),
        (PixelShuffle(2), (1, 2, 2, 6), "expected channels in multiples of 4"),
        (PReLU(3), (2, 4), r"expected x of shape \(N, …, 3\), got \(2, 4\)"),
        (Linear(3, 2), (4, 2), r"expected x of shape \(N, …, 3\), got \(4, 2\)"),
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
    with pytest.raises(ValueError, match="GaussianNoise: std: expected a number in"):
        GaussianNoise(-1.0)
