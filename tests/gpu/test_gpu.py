"""What only a real GPU can show: whole steps at the papers' sizes, waiting, memory, the same bits.

``pytest -m gpu`` runs these and everything else that has a GPU's variant.
"""

import os
import subprocess
import sys
from contextlib import nullcontext

import numpy as np
import pytest

from tinygan import Adam, asarray, asnumpy, plain
from tinygan.convolution.gpu import WORKSPACE_BYTES
from tinygan.losses import bce_with_logits
from tinygan.machine.gpu import tf32_is_on
from tinygan.models import cyclegan, dcgan
from tinygan.summary import summarize

pytestmark = pytest.mark.gpu
ALIKE = 1e-4  # float32: of a tensor's largest number


@pytest.fixture(autouse=True)
def full_precision():
    if tf32_is_on():
        pytest.skip("CUPY_TF32 is set: products are rounded")


class DCGAN:
    def __init__(self, backend, dtype, image_size=64, width=64, batch=16):
        self.G = dcgan.generator(image_size, noise_size=100, width=width, rng=1)
        self.D = dcgan.discriminator(image_size, width=width, rng=2)
        self.networks = [n.to(backend=backend, dtype=dtype) for n in (self.G, self.D)]
        self.adams = [Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in self.networks]
        self.backend, self.dtype = backend, dtype
        self.size, self.batch = image_size, batch

    def arrays(self, step):
        rng = np.random.default_rng(step)
        x = rng.uniform(-1, 1, (self.batch, self.size, self.size, 3))
        z = rng.uniform(-1, 1, (self.batch, 100))
        return tuple(asarray(array.astype(self.dtype), self.backend) for array in (x, z))

    def step(self, arrays):
        return dcgan.train_step(*self.networks, *self.adams, *arrays)


class CycleGAN:
    def __init__(self, backend, dtype, image_size=128, width=64, blocks=6):
        make = cyclegan.generator, cyclegan.patch_discriminator
        self.networks = [make[0](3, width, 2, blocks, rng=seed) for seed in (1, 2)]
        self.networks += [make[1](3, width, rng=seed) for seed in (3, 4)]
        for network in self.networks:
            network.to(backend=backend, dtype=dtype)
        G, F, D_X, D_Y = (network.parameters() for network in self.networks)
        self.adams = [Adam(p, 2e-4, (0.5, 0.999)) for p in (G + F, D_X, D_Y)]
        self.pools = cyclegan.ImagePool(5, 1), cyclegan.ImagePool(5, 2)
        self.backend, self.dtype, self.size = backend, dtype, image_size

    def arrays(self, step):
        drawn = np.random.default_rng(step).uniform(-1, 1, (2, 1, self.size, self.size, 3))
        return tuple(asarray(array.astype(self.dtype), self.backend) for array in drawn)

    def step(self, arrays):
        return cyclegan.train_step(*self.networks, *self.adams, *arrays, pools=self.pools)


SYSTEMS = pytest.mark.parametrize("system", [DCGAN, CycleGAN])


@pytest.mark.parametrize(
    ("system", "sizes"),
    [
        (DCGAN, {"image_size": 32, "width": 16, "batch": 8}),
        (CycleGAN, {"image_size": 64, "width": 8, "blocks": 2}),
    ],
)
def test_ten_steps_follow_the_trajectory_of_numpy(gpu, system, sizes):
    host, device = (system(backend, np.float64, **sizes) for backend in ("numpy", "cupy"))
    for step in range(10):
        expected = host.step(host.arrays(step))
        found = device.step(device.arrays(step))
        for name, value in expected.items():
            assert abs(float(found[name]) - float(value)) <= 1e-8, f"{name} of step {step}"


def _alike(host, device, what, floor=0.0):
    largest = max(abs(host).max(), floor)
    error = abs(asnumpy(device) - host).max()
    assert error <= ALIKE * largest, f"{what}: {error / largest:.1e} of its largest number"


@pytest.mark.parametrize("plainly", [False, True], ids=["kernels", "plain"])
def test_activations_and_gradients_of_a_dcgan_step(gpu, plainly):
    host, device = DCGAN("numpy", np.float32), DCGAN("cupy", np.float32)
    (x, z), (x_device, z_device) = host.arrays(0), device.arrays(0)
    with plain() if plainly else nullcontext():
        pairs = (host.G, device.G, z, z_device), (host.D, device.D, x, x_device)
        for network, other, a, b in pairs:
            ways, other_ways = [], []
            for i, (layer, twin) in enumerate(zip(network, other, strict=True)):
                (a, way), (b, other_way) = layer(a), twin(b)
                _alike(a, b, f"y of {i} {layer!r}")
                ways.append(way)
                other_ways.append(other_way)
            da, db = 2 * a, 2 * b
            for i in reversed(range(len(ways))):
                da, db = ways[i](da), other_ways[i](db)
                _alike(da, db, f"dx of {i} {network[i]!r}")
            _alike_gradients(network, other)


def test_gradients_of_a_cyclegan_step(gpu):
    host, device = CycleGAN("numpy", np.float32), CycleGAN("cupy", np.float32)
    for system in (host, device):
        cyclegan.generator_objective(*system.networks, *system.arrays(0))
    for network, other in zip(host.networks[:2], device.networks[:2], strict=True):
        _alike_gradients(network, other)
    for system in (host, device):
        x, y = system.arrays(0)
        cyclegan.discriminator_objective(system.networks[2], x, y)
    _alike_gradients(host.networks[2], device.networks[2])


def _alike_gradients(network, other):
    """A bias in front of a normalisation has the gradient zero: its weight's size is the scale."""
    floor, twins = 0.0, other.named_parameters()
    for name, parameter in network.named_parameters().items():
        if name.endswith("weight"):
            floor = abs(parameter.grad).max()
        _alike(parameter.grad, twins[name].grad, f"gradient of {name}", floor)


SPIN = r"""
extern "C" __global__ void spin(long long cycles) {
    long long start = clock64();
    while (clock64() - start < cycles) {}
}
"""


@SYSTEMS
def test_a_step_waits_for_nothing(gpu, system):
    """The processor comes back from a step while a kernel from before it is still running."""
    spin = gpu.RawKernel(SPIN, "spin")
    trained = system("cupy", np.float32)
    arrays = trained.arrays(0)
    for _ in range(3):  # compiles the kernels, fills the memory pool
        trained.step(arrays)
    gpu.cuda.Device().synchronize()
    spin((1,), (1,), (np.int64(4_000_000_000),))  # two seconds or so
    before = gpu.cuda.get_current_stream().record()
    losses = trained.step(arrays)
    assert not before.done, "something in the step waited for the GPU"
    assert all(np.isfinite(float(loss)) for loss in losses.values())


@SYSTEMS
def test_memory_does_not_grow_and_keeps_to_the_forecast(gpu, system):
    pool = gpu.get_default_memory_pool()
    pool.free_all_blocks()
    before = pool.used_bytes()
    trained = system("cupy", np.float32)
    networks = trained.networks
    shapes = [asnumpy(array).shape[1:] for array in trained.arrays(0)]
    if system is DCGAN:
        forecast = sum(
            summarize(network, shape).step_bytes(trained.batch)
            for network, shape in zip(networks, reversed(shapes), strict=True)
        )
    else:
        found = [summarize(network, shapes[0]) for network in networks]
        forecast = sum(s.bytes_state for s in found) + 2 * found[0].bytes_per_sample
    for step in range(3):
        trained.step(trained.arrays(step))
    held = pool.total_bytes()
    for step in range(3, 8):
        trained.step(trained.arrays(step))
    assert pool.total_bytes() == held
    assert held - before <= 1.25 * forecast + WORKSPACE_BYTES


@SYSTEMS
def test_the_same_steps_give_the_same_bits(gpu, system):
    runs = []
    for _ in range(2):
        trained = system("cupy", np.float32)
        for step in range(3):
            losses = trained.step(trained.arrays(step))
        runs.append([asnumpy(p.data) for n in trained.networks for p in n.parameters()])
        runs[-1] += [asnumpy(loss) for loss in losses.values()]
    assert all((a == b).all() for a, b in zip(*runs, strict=True))


def test_tf32_is_near_float32(gpu):
    code = (
        "import numpy as np, cupy; rng = np.random.default_rng(0);"
        "a, b = (rng.standard_normal((512, 512)).astype(np.float32) for _ in range(2));"
        "c = cupy.asnumpy(cupy.asarray(a) @ cupy.asarray(b));"
        "e = a.astype(np.float64) @ b.astype(np.float64); print(abs(c - e).max() / abs(e).max())"
    )
    errors = []
    for setting in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "CUPY_TF32": setting},
            capture_output=True,
            text=True,
            check=True,
        )
        errors.append(float(done.stdout))
    assert errors[0] < 1e-5
    assert errors[1] < 1e-2


def test_losses_of_many_elements(gpu):
    score = np.random.default_rng(0).standard_normal(3_000_001).astype(np.float32)
    expected, gradient = bce_with_logits(score.astype(np.float64), 0.9)
    found, gradient_found = bce_with_logits(asarray(score, "cupy"), 0.9)
    assert abs(float(found) - float(expected)) < 1e-5
    assert abs(asnumpy(gradient_found) - gradient).max() < 1e-5 * abs(gradient).max()
