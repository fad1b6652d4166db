"""The CUDA kernels: they compile for every architecture, and take what they can take.  Those that
are no override (see `test_overrides`) are compared here, on the CPU, with the plain version."""

import ctypes
import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tinygan import Adam, Parameter, asarray, asnumpy, losses
from tinygan.convolution import output_size
from tinygan.fast import cuda as kernels
from tinygan.fast.cuda import module

NAMES = [*re.findall(r"^KERNEL (\w+)\(", module.source(), re.MULTILINE)]
NAMES += re.findall(r"^LOSS\((\w+),", module.source(), re.MULTILINE)
ARCHITECTURES = (70, 75, 80, 86, 87, 89, 90, 100)
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}
BOTH_DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def assert_close(device, host, dtype, scale=None):
    assert device.dtype == host.dtype == dtype
    assert device.shape == host.shape
    scale = scale or abs(host).max(initial=0) or 1
    assert abs(asnumpy(device) - host).max(initial=0) <= TOLERANCE[dtype] * scale


def _draw(rng, *size, dtype):
    return rng.standard_normal(size).astype(dtype)


def _sizes(rng):
    """Return N, H, W and C, small and odd; C now and then a multiple of 4."""
    n, h, w = (int(v) for v in rng.integers(1, [4, 12, 12]))
    return n, h, w, int(rng.choice([1, 3, 4, 5, 8, 33, 64]))


# --- compiling --------------------------------------------------------------------------------


def test_the_sources_are_plain_ascii():
    module.source().encode("ascii")


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc")
@pytest.mark.parametrize("real", ["float", "double"])
def test_nvcc_compiles_every_kernel_for_every_architecture(tmp_path, real):
    listed = subprocess.run(["nvcc", "--list-gpu-arch"], capture_output=True, text=True, check=True)
    known = {int(number) for number in re.findall(r"compute_(\d+)", listed.stdout)}
    architectures = [number for number in ARCHITECTURES if number in known]
    assert len(architectures) >= 2
    targets = ",".join(f"sm_{number}" for number in architectures)
    source, target = tmp_path / "kernels.cu", tmp_path / "kernels.fatbin"
    source.write_text(module.source())
    done = subprocess.run(
        ["nvcc", "--std=c++17", f"-DREAL={real}", "-fatbin", "-Werror", "all-warnings", "-o",
         target, source, f"-gencode=arch=compute_{architectures[0]},code=[{targets}]"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    binary = target.read_bytes()
    assert all(name.encode() in binary for name in NAMES)


def _nvrtc():
    """Return NVRTC, the compiler that CuPy uses, or None: from its wheel or a CUDA installation."""
    places = [Path("/usr/local/cuda/lib64")]
    spec = importlib.util.find_spec("nvidia")
    for root in spec.submodule_search_locations if spec else ():
        places += Path(root).glob("*/lib")
    for place in places:
        for path in sorted(place.glob("libnvrtc.so*")):
            if "builtins" not in path.name and "alt" not in path.name:
                return ctypes.CDLL(str(path))
    return None


@pytest.mark.skipif(_nvrtc() is None, reason="there is no NVRTC")
@pytest.mark.parametrize("real", ["float", "double"])
def test_nvrtc_compiles_every_kernel_for_every_architecture(real):
    nvrtc = _nvrtc()
    count = ctypes.c_int()
    assert nvrtc.nvrtcGetNumSupportedArchs(ctypes.byref(count)) == 0
    known = (ctypes.c_int * count.value)()
    assert nvrtc.nvrtcGetSupportedArchs(known) == 0
    architectures = [number for number in ARCHITECTURES if number in list(known)]
    assert len(architectures) >= 2
    for number in architectures:
        program = ctypes.c_void_p()
        text = module.source().encode()
        assert not nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), text, b"kernels.cu", 0, None, None
        )
        options = [
            b"--std=c++17",
            f"-DREAL={real}".encode(),
            f"--gpu-architecture=sm_{number}".encode(),
        ]
        code = nvrtc.nvrtcCompileProgram(program, 3, (ctypes.c_char_p * 3)(*options))
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        assert code == 0, log.value.decode()
        assert not log.value.strip(), log.value.decode()
        assert nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size)) == 0
        binary = ctypes.create_string_buffer(size.value)
        assert nvrtc.nvrtcGetCUBIN(program, binary) == 0
        assert all(name.encode() in binary.raw for name in NAMES)
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


# --- which arrays they take -------------------------------------------------------------------


def test_they_take_whole_cupy_arrays_of_one_floating_dtype(cupy_with_kernels):
    x = asarray(np.ones((4, 6), np.float32), "cupy")
    assert kernels.usable(x)
    assert kernels.usable(x, x[1:3])
    assert not kernels.usable(np.ones(3, np.float32))
    assert not kernels.usable(x[:, ::2])
    assert not kernels.usable(x.T)
    assert not kernels.usable(x, x.astype(np.float64))
    assert kernels.usable(x, 1.0)
    assert not kernels.usable(x[:0])
    assert not kernels.usable(x > 0)
    assert kernels.usable(x, (x, 0.2), None, [x])
    assert not kernels.usable(x, (x, np.ones(3, np.float32)))
    assert not kernels.usable(x, [x.T])


def test_without_a_compiler_of_kernels_the_plain_version_runs(strict_cupy):
    assert not kernels.usable(asarray(np.ones(3, np.float32), "cupy"))


# --- what they compute ------------------------------------------------------------------------


def _window(rng):
    n, h, w, c = _sizes(rng)
    kernel, stride = rng.integers(1, 6, 2), rng.integers(1, 4, 2)
    padding = rng.integers(0, 4, 2)
    padding = np.maximum(padding, -(-(kernel - (h, w)) // 2))
    kernel, stride, padding = (tuple(int(v) for v in pair) for pair in (kernel, stride, padding))
    rows, columns = (
        output_size(*axis) for axis in zip((h, w), kernel, stride, padding, strict=True)
    )
    return (n, h, w, c), kernel, stride, padding, rows, columns


def _plain_patches(x, kernel, stride, padding, rows, columns):
    (ph, pw), (sh, sw), (kh, kw) = padding, stride, kernel
    padded = np.pad(x, ((0, 0), (ph, ph), (pw, pw), (0, 0)))
    windows = [
        padded[:, i * sh : i * sh + kh, j * sw : j * sw + kw]
        for i in range(rows)
        for j in range(columns)
    ]
    return np.stack(windows, axis=1).reshape(len(x) * rows * columns, -1)


@BOTH_DTYPES
@pytest.mark.parametrize("seed", range(20))
def test_patches_and_their_transpose(cupy_with_kernels, seed, dtype):
    rng = np.random.default_rng(seed)
    size, *window = _window(rng)
    x = _draw(rng, *size, dtype=dtype)
    expected = _plain_patches(x, *window)
    found = kernels.patches(asarray(x, "cupy"), *window)
    assert (asnumpy(found) == expected).all()
    # each entry of x is copied to some places: their sum, computed from the places themselves
    places = _plain_patches(np.arange(1, x.size + 1).reshape(size), *window)
    copies = _draw(rng, *expected.shape, dtype=dtype)
    summed = np.bincount(places.ravel(), copies.ravel().astype(np.float64), x.size + 1)[1:]
    found = cupy_with_kernels.empty(size, dtype)
    kernels.sum_patches(asarray(copies, "cupy"), found, *window)
    assert_close(found, summed.reshape(size).astype(dtype), dtype)


def test_patches_of_memory_that_is_not_aligned(cupy_with_kernels):
    whole = asarray(np.arange(1 + 2 * 3 * 3 * 4, dtype=np.float32), "cupy")
    x = whole[1:].reshape(2, 3, 3, 4)
    found = kernels.patches(x, (2, 2), (1, 1), (0, 0), 2, 2)
    assert (asnumpy(found) == _plain_patches(asnumpy(x), (2, 2), (1, 1), (0, 0), 2, 2)).all()


def test_variance_far_from_zero(cupy_with_kernels):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal((1, 5000, 8)) + 1000).astype(np.float32)
    _, var = kernels.moments(asarray(x, "cupy"))
    exact = x.astype(np.float64).var(axis=1)
    assert abs(asnumpy(var) / exact - 1).max() < 1e-3


@BOTH_DTYPES
@pytest.mark.parametrize("size", [(1,), (255,), (257, 3), (2, 40, 41, 3)])
@pytest.mark.parametrize("name", ["bce_with_logits", "mse", "l1"])
def test_losses(cupy_with_kernels, monkeypatch, name, size, dtype):
    monkeypatch.setattr("tinygan.fast.cuda.loss._BLOCKS", 7)  # so that blocks come round again
    rng = np.random.default_rng(0)
    x, t = 3 * _draw(rng, *size, dtype=dtype), rng.random(size).astype(dtype)
    for target in (0.9, 1, t):
        loss, gradient = getattr(losses, name)(x, target)
        device = asarray(t, "cupy") if target is t else target
        loss_device, gradient_device = getattr(kernels, name)(asarray(x, "cupy"), device)
        assert_close(loss_device, np.asarray(loss), dtype)
        assert_close(gradient_device, gradient, dtype)


@BOTH_DTYPES
def test_adam_over_all_parameters(cupy_with_kernels, dtype):
    rng = np.random.default_rng(0)
    values = [_draw(rng, *size, dtype=dtype) for size in ((5,), (1,), (64, 65), (4096,), (3, 4097))]
    host = [Parameter(value.copy()) for value in values]
    device = [Parameter(asarray(value, "cupy")) for value in values]
    adams = [Adam(parameters, lr=0.01, betas=(0.5, 0.99)) for parameters in (host, device)]
    for _ in range(3):
        for p, q in zip(host, device, strict=True):
            p.grad[...] = rng.standard_normal(p.shape)
            q.grad[...] = asarray(p.grad, "cupy")
        adams[0].step()
        cupy_with_kernels.ledger.reset()
        adams[1].step()
        assert cupy_with_kernels.ledger.launches == 1
    for p, q, slots, slots_device in zip(host, device, *(a.slots for a in adams), strict=True):
        expected, found = (p.data, p.grad, *slots), (q.data, q.grad, *slots_device)
        for a, b in zip(expected, found, strict=True):
            assert_close(b, a, dtype)
    cupy_with_kernels.ledger.reset()
    adams[1].zero_grad()  # which lets go of the arrays
    assert cupy_with_kernels.ledger.launches == 0
    assert not any(asnumpy(q.grad).any() for q in device)
