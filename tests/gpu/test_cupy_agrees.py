"""Everything that computes, on CuPy against NumPy.

On the strict stand-in no GPU is needed: what is shown is that the code asks CuPy only for what
CuPy has, never leaves the device within a computation, keeps float32, and gives NumPy's numbers; in
the plain version, and with the CUDA kernels, compiled for the CPU.  Where there is a GPU everything
runs on it too, again with and without kernels.
"""

import copy
from contextlib import nullcontext

import numpy as np
import pytest
from strict_cupy import nothing_leaves_the_device

from tinygan import Adam, Layer, Parameter, asarray, asnumpy, frozen, plain
from tinygan.cases import LAYERS, LOSSES
from tinygan.convolution import (
    convolve,
    convolve_backward,
    convolve_grad_input,
    convolve_grad_weight,
    convolve_transposed_backward,
    output_size,
)
from tinygan.machine.arrays import backend_of
from tinygan.models import cyclegan, dcgan
from tinygan.objectives import OBJECTIVES

TOLERANCE = {np.float32: 1e-4, np.float64: 1e-11}  # of a tensor's maximum
EVERY_LAYER = pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.id)
BOTH_DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def assert_agree(host, device, dtype, what, scale=None):
    assert backend_of(device) == "cupy", f"{what} is {type(device)}"
    assert device.dtype == host.dtype == dtype, f"{what}: {device.dtype} for {host.dtype}"
    assert device.shape == host.shape, what
    scale = scale or abs(host).max(initial=0) or 1
    error = abs(asnumpy(device) - host).max(initial=0) / scale
    assert error <= TOLERANCE[dtype], f"{what}: differs by {error:.1e} of its maximum"


def _on_both(make, dtype):
    host = make().to(dtype=dtype)
    return host, copy.deepcopy(host).to(backend="cupy")


@EVERY_LAYER
@BOTH_DTYPES
def test_layers_agree_with_numpy(cupy, case, dtype):
    host, device = _on_both(case.make, dtype)
    x = case.x(dtype)
    x_device = asarray(x, "cupy")
    y, backward = host(x)
    dy = np.random.default_rng(3).standard_normal(y.shape).astype(dtype)
    dy_device = asarray(dy, "cupy")
    with nothing_leaves_the_device(cupy):
        y_device, backward_device = device(x_device)
        dx_device = backward_device(dy_device)
    assert_agree(y, y_device, dtype, "y")
    assert_agree(backward(dy), dx_device, dtype, "dx")
    largest = max((abs(p.grad).max() for p in host.parameters()), default=1)
    for (name, p), q in zip(host.named_parameters().items(), device.parameters(), strict=True):
        # a bias in front of a normalisation has the gradient zero and rounding errors
        scale = largest if name.endswith("bias") else None
        assert_agree(p.grad, q.grad, dtype, f"the gradient of {name}", scale)
    for (name, b), c in zip(host.buffers().items(), device.buffers().values(), strict=True):
        if b.dtype.kind == "f":
            assert_agree(b, c, dtype, name)
        else:
            assert isinstance(c, np.ndarray), f"{name} belongs on the host"
            assert (b == c).all()
    assert_agree(host.predict(x), device.predict(x_device), dtype, "predict")
    assert (asnumpy(x_device) == x).all(), "x was written to"
    assert (asnumpy(dy_device) == dy).all(), "dy was written to"


@EVERY_LAYER
def test_frozen_layers_agree_with_numpy(cupy, case):
    host, device = _on_both(case.make, np.float64)
    x = case.x()
    with frozen(host), frozen(device):
        y, backward = host(x)
        _, backward_device = device(asarray(x, "cupy"))
    dy = np.random.default_rng(3).standard_normal(y.shape)
    assert_agree(backward(dy), backward_device(asarray(dy, "cupy")), np.float64, "dx")
    for name, parameter in device.named_parameters().items():
        assert not asnumpy(parameter.grad).any(), name


@EVERY_LAYER
def test_layers_take_strided_arrays(cupy, case):
    host, device = _on_both(case.make, np.float64)
    x = np.repeat(case.x(), 2, axis=-1)
    y, backward = host(x[..., ::2])
    dy = np.random.default_rng(3).standard_normal((2, *y.shape))
    y_device, backward_device = device(asarray(x, "cupy")[..., ::2])
    assert_agree(y, y_device, np.float64, "y")
    dx_device = backward_device(asarray(dy.T.copy(), "cupy").T[1])
    assert_agree(backward(dy.T.copy().T[1]), dx_device, np.float64, "dx")


@pytest.mark.parametrize("case", LOSSES, ids=lambda case: case.id)
@BOTH_DTYPES
def test_losses_agree_with_numpy(cupy, case, dtype):
    x = case.x(dtype)
    x_device = asarray(x, "cupy")
    with nothing_leaves_the_device(cupy):
        loss_device, gradient_device = case.loss(x_device)
    assert loss_device.shape == ()
    loss, gradient = case.loss(x)
    assert_agree(np.asarray(loss), loss_device, dtype, "loss")
    assert_agree(gradient, gradient_device, dtype, "gradient")


@EVERY_LAYER
def test_a_network_moves_there_and_back(cupy, case):
    layer = case.make()
    before = layer.state_dict()
    layer.to(backend="cupy")
    assert all(backend_of(p.data) == "cupy" for p in layer.parameters())
    state = layer.state_dict()
    assert all(type(array) is np.ndarray for array in state.values())
    other = case.make().to(backend="cupy")
    for parameter in other.parameters():
        parameter.data.fill(0)
    other.load_state_dict(state)
    other.to(backend="numpy")
    after = other.state_dict()
    assert list(after) == list(before)
    assert all((after[name] == before[name]).all() for name in before)


@BOTH_DTYPES
def test_adam_agrees_with_numpy(cupy, dtype):
    rng = np.random.default_rng(0)
    shapes = [(3, 3, 2, 5), (5,), (1,), (70, 1001)]
    values = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    host = [Parameter(value.copy()) for value in values]
    device = [Parameter(asarray(value, "cupy")) for value in values]
    adams = Adam(host, 0.01, (0.5, 0.999)), Adam(device, 0.01, (0.5, 0.999))
    for _ in range(4):
        for p, q in zip(host, device, strict=True):
            p.grad[...] = rng.standard_normal(p.shape)
            q.grad[...] = asarray(p.grad, "cupy")
        with nothing_leaves_the_device(cupy):
            for adam in adams:
                adam.step()
    for i, (p, q) in enumerate(zip(host, device, strict=True)):
        assert_agree(p.data, q.data, dtype, f"parameter {i}")
    moved = Adam(device)
    moved.load_state_dict(adams[0].state_dict())
    assert moved.steps == 4
    for (m, _), (n, _) in zip(adams[0].slots, moved.slots, strict=True):
        assert_agree(m, n, dtype, "m")


def _dcgan(backend, dtype):
    G = dcgan.generator(16, noise_size=8, width=4, rng=1).to(backend=backend, dtype=dtype)
    D = dcgan.discriminator(16, width=4, rng=2).to(backend=backend, dtype=dtype)
    return G, D, Adam(G.parameters(), 2e-4, (0.5, 0.999)), Adam(D.parameters(), 2e-4, (0.5, 0.999))


def _upload_addresses(optimizers):
    """Take a step that changes nothing: the kernels' tables of sizes are made in the first."""
    for optimizer in optimizers:
        optimizer.zero_grad()
        optimizer.step()
        optimizer.steps = 0


def _dcgan_batches(steps, dtype):
    rng = np.random.default_rng(5)
    for _ in range(steps):
        x = rng.uniform(-1, 1, (6, 16, 16, 3)).astype(dtype)
        yield x, dcgan.draw_noise(6, 8, rng).astype(dtype)


@BOTH_DTYPES
@pytest.mark.parametrize("objective", [make() for make in OBJECTIVES.values()], ids=OBJECTIVES)
def test_dcgan_steps_agree_with_numpy(cupy, dtype, objective):
    host, device = _dcgan("numpy", dtype), _dcgan("cupy", dtype)
    _upload_addresses(device[2:])
    steps = 5 if dtype is np.float64 else 1
    for x, z in _dcgan_batches(steps, dtype):
        losses = dcgan.train_step(*host, x, z, objective=objective)
        x, z = asarray(x, "cupy"), asarray(z, "cupy")
        with nothing_leaves_the_device(cupy, uploads=2):
            losses_device = dcgan.train_step(*device, x, z, objective=objective)
        for name, loss in losses.items():
            assert losses_device[name].dtype == dtype
            error = abs(float(losses_device[name]) - float(loss))
            assert error <= (1e-8 if dtype is np.float64 else 1e-5), name
    for network, network_device in zip(host[:2], device[:2], strict=True):
        for p, q in zip(network.parameters(), network_device.parameters(), strict=True):
            assert q.data.dtype == q.grad.dtype == dtype
            if dtype is np.float64:
                assert abs(asnumpy(q.data) - p.data).max() <= 1e-8


def test_sampling_agrees_with_numpy(cupy):
    host, device = _dcgan("numpy", np.float32)[0], _dcgan("cupy", np.float32)[0]
    z = dcgan.draw_noise(5, 8, 0)
    assert_agree(host.predict(z), device.predict(asarray(z, "cupy")), np.float32, "pictures")


def test_layers_name_the_library_when_both_are_mixed(cupy):
    layer: Layer = LAYERS[0].make()
    with pytest.raises(TypeError, match="x is a CuPy array, parameters is a NumPy array"):
        layer(asarray(LAYERS[0].x(np.float32), "cupy"))


def _cyclegan(backend, dtype):
    networks = [cyclegan.generator(width=3, residual_blocks=1, rng=seed) for seed in (1, 2)]
    networks += [cyclegan.patch_discriminator(width=4, layers=2, rng=seed) for seed in (3, 4)]
    G, F, D_X, D_Y = (network.to(backend=backend, dtype=dtype) for network in networks)
    parameters = (G.parameters() + F.parameters(), D_X.parameters(), D_Y.parameters())
    adams = [Adam(p, 2e-4, (0.5, 0.999)) for p in parameters]
    pools = cyclegan.ImagePool(2, seed=1), cyclegan.ImagePool(2, seed=2)
    return (G, F, D_X, D_Y), adams, pools


@BOTH_DTYPES
def test_cyclegan_steps_agree_with_numpy(cupy, dtype):
    host, device = _cyclegan("numpy", dtype), _cyclegan("cupy", dtype)
    _upload_addresses(device[1])
    rng = np.random.default_rng(5)
    for _ in range(3 if dtype is np.float64 else 1):
        x, y = rng.uniform(-1, 1, (2, 1, 16, 16, 3)).astype(dtype)
        losses = cyclegan.train_step(*host[0], *host[1], x, y, pools=host[2])
        x, y = asarray(x, "cupy"), asarray(y, "cupy")
        with nothing_leaves_the_device(cupy, uploads=3):
            losses_device = cyclegan.train_step(*device[0], *device[1], x, y, pools=device[2])
        for name, loss in losses.items():
            assert losses_device[name].dtype == dtype
            error = abs(float(losses_device[name]) - float(loss))
            assert error <= (1e-8 if dtype is np.float64 else 1e-4) * max(1, abs(float(loss))), name
    for network in device[0]:
        assert all(p.data.dtype == p.grad.dtype == dtype for p in network.parameters())
    x = asnumpy(x)
    found, expected = device[0][0].predict(asarray(x, "cupy")), host[0][0].predict(x)
    assert abs(asnumpy(found) - expected).max() < (1e-8 if dtype is np.float64 else 1e-2)


SHAPES = [  # x, kernel, out channels, stride, padding: wide enough for every algorithm
    ((2, 8, 8, 16), (4, 4), 17, (2, 2), (1, 1)),
    ((2, 7, 9, 16), (3, 3), 16, (1, 1), (1, 1)),
    ((1, 7, 6, 20), (4, 4), 16, (1, 1), (1, 1)),
    ((2, 9, 8, 6), (7, 7), 2, (1, 1), (3, 3)),
    ((1, 16, 15, 16), (7, 7), 3, (1, 1), (0, 0)),  # few channels on one side
    ((2, 14, 12, 3), (4, 4), 16, (2, 2), (1, 1)),
    ((2, 6, 5, 5), (3, 2), 2, (1, 1), (0, 1)),
    ((2, 6, 5, 5), (3, 2), 2, (1, 2), (3, 0)),
    ((2, 6, 5, 5), (2, 2), 2, (1, 1), (2, 0)),
    ((3, 4, 4, 8), (4, 4), 1, (1, 1), (0, 0)),
    ((3, 4, 5, 8), (1, 1), 3, (1, 1), (0, 0)),
    ((3, 4, 5, 8), (1, 1), 3, (2, 2), (0, 0)),
]


@pytest.mark.parametrize("algorithm", ["auto", "im2col", "winograd"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_convolutions_agree_with_the_definition(cupy, monkeypatch, shape, algorithm):
    monkeypatch.setattr("tinygan.convolution.gpu._PATCHES", 1500)  # more than one chunk of images
    x_shape, kernel, out_channels, *window = shape
    sizes = zip(x_shape[1:3], kernel, *window, strict=True)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(x_shape), rng.standard_normal((*kernel, x_shape[3], out_channels))
    dy = rng.standard_normal((x_shape[0], *(output_size(*axis) for axis in sizes), out_channels))
    device = [asarray(array, "cupy") for array in (x, w, dy)]
    for function, a, b, *more in (
        (convolve, 0, 1),
        (convolve_grad_input, 2, 1, x_shape[1:3]),
        (convolve_grad_weight, 0, 2, kernel),
    ):
        arrays = (x, w, dy)
        expected = function(arrays[a], arrays[b], *window, *more, algorithm="naive")
        found = function(device[a], device[b], *window, *more, algorithm=algorithm)
        assert_agree(expected, found, np.float64, function.__name__)
    for function, order in (
        (convolve_backward, (0, 1, 2)),
        (convolve_transposed_backward, (2, 1, 0)),
    ):
        expected = function(*((x, w, dy)[i] for i in order), *window, algorithm="naive")
        found = function(*(device[i] for i in order), *window, algorithm=algorithm)
        for name, a, b in zip(("dx", "dw"), expected, found, strict=True):
            assert_agree(a, b, np.float64, f"{function.__name__}: {name}")


def test_a_step_launches_few_kernels(cupy_with_kernels):
    """Each launch costs the processor a few microseconds; the plain version needs far more."""
    x, z = (asarray(array, "cupy") for array in next(_dcgan_batches(1, np.float32)))
    counts = {}
    for name in ("kernels", "plain"):
        system = _dcgan("cupy", np.float32)
        with plain() if name == "plain" else nullcontext():
            dcgan.train_step(*system, x, z)
            cupy_with_kernels.ledger.reset()
            dcgan.train_step(*system, x, z)
        counts[name] = cupy_with_kernels.ledger.launches
    assert counts["kernels"] < counts["plain"] / 3
