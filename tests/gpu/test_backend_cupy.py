"""The backend on the stand-in for CuPy, and what a user is told when CuPy cannot be used."""

import importlib.util
import json
import subprocess
import sys

import numpy as np
import pytest

from tinygan.machine.arrays import (
    BackendError,
    asarray,
    asnumpy,
    backend_of,
    cupy_status,
    get_module,
    get_xp,
    resolve_backend,
)


def _only_cupy(monkeypatch, spec):
    """Let ``find_spec("cupy")`` return `spec`, whatever is installed."""
    real = importlib.util.find_spec
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *a: spec if name == "cupy" else real(name, *a)
    )


@pytest.fixture
def without_cupy(monkeypatch):
    _only_cupy(monkeypatch, None)


@pytest.fixture
def broken_cupy(monkeypatch, tmp_path):
    """A package ``cupy`` whose import fails as a wheel for another CUDA does."""
    package = tmp_path / "cupy"
    package.mkdir()
    (package / "__init__.py").write_text(
        "raise ImportError('libcudart.so.12: cannot open shared object file:\\n  No such file')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    yield
    sys.modules.pop("cupy", None)


@pytest.fixture
def cupy_without_device(strict_cupy, monkeypatch):
    def fail():
        raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")

    monkeypatch.setattr(strict_cupy.cuda.runtime, "getDeviceCount", fail)
    return strict_cupy


def test_get_xp_knows_both_libraries(strict_cupy):
    host, device = np.zeros(2), strict_cupy.zeros(2)
    assert get_xp(host, np.float32(1)) is np
    assert get_xp(device, x=device) is strict_cupy
    assert (backend_of(host), backend_of(device)) == ("numpy", "cupy")


def test_mixing_libraries_says_which_argument_is_which(strict_cupy):
    with pytest.raises(TypeError, match=r"x is a CuPy array, parameters is a NumPy array"):
        get_xp(x=strict_cupy.zeros(2), parameters=np.zeros(2))
    with pytest.raises(TypeError, match=r"argument 0 is a NumPy array, argument 1 is list"):
        get_xp(np.zeros(2), [1.0])


def test_moving_data(strict_cupy):
    host = np.arange(3, dtype=np.float32)
    device = asarray(host, "cupy")
    assert backend_of(device) == "cupy"
    assert device.dtype == np.float32
    back = asnumpy(device)
    assert type(back) is np.ndarray
    assert (back == host).all()
    assert asnumpy(host) is host
    assert asarray(device, "cupy") is device
    assert backend_of(asarray(device, "numpy")) == "numpy"
    assert asarray([1.0, 2.0], "cupy").shape == (2,)


def test_auto_takes_a_gpu_that_works(strict_cupy):
    assert resolve_backend("auto") == "cupy"
    assert resolve_backend("cupy") == "cupy"
    assert resolve_backend("numpy") == "numpy"
    assert get_module("cupy") is strict_cupy


def _refused(kind, *parts):
    status = cupy_status()
    assert status.kind == kind
    assert not status.usable
    assert resolve_backend("auto") == "numpy"
    with pytest.raises(BackendError) as error:
        resolve_backend("cupy")
    message = str(error.value)
    assert message == status.message
    assert "\n" not in message
    for part in ("--backend numpy", *parts):
        assert part in message


def test_cupy_not_installed(without_cupy):
    _refused("not installed", "CuPy is not installed", "tinygan[cuda12]", "tinygan[cuda13]")


def test_cupy_that_cannot_be_imported(broken_cupy):
    _refused("import failed", "ImportError: libcudart.so.12", "uninstall every cupy package")


def test_cupy_without_a_device(cupy_without_device):
    _refused("no device", "cudaErrorNoDevice", "nvidia-smi")


def test_cupy_that_counts_no_device(strict_cupy, monkeypatch):
    monkeypatch.setattr(strict_cupy.cuda.runtime, "getDeviceCount", lambda: 0)
    _refused("no device", "0 devices")


def test_cupy_that_cannot_compute(strict_cupy, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("NVRTC_ERROR_COMPILATION")

    monkeypatch.setattr(strict_cupy, "zeros", fail)
    _refused("no device", "NVRTC_ERROR_COMPILATION")


# --- python -m tinygan.backend ----------------------------------------------------------------


def _printed(capsys, *words):
    from tinygan.backend.__main__ import main

    assert main([*words]) == 0
    return capsys.readouterr().out


def test_the_report_on_a_working_gpu(strict_cupy, capsys):
    printed = _printed(capsys)
    assert "numpy" in printed
    assert np.__version__ in printed
    assert "cupy: usable" in printed
    for part in ("14.0.0", "stand-in", "compute capability 9.0", "60.0 of 80.0 GiB free", "13.0"):
        assert part in printed
    assert "TF32" in printed
    assert "--backend auto computes on cupy" in printed


def test_the_report_without_cupy(without_cupy, capsys):
    printed = _printed(capsys)
    assert "numpy: usable" in printed
    assert "cupy: not usable" in printed
    assert "CuPy is not installed" in printed
    assert "tinygan[cuda13]" in printed
    assert "--backend auto computes on numpy" in printed


def test_the_report_as_json(without_cupy, capsys):
    found = json.loads(_printed(capsys, "--json"))
    assert (found["numpy"], found["auto"]) == (np.__version__, "numpy")
    assert found["cupy"]["kind"] == "not installed"


def test_the_report_on_a_broken_cupy(broken_cupy, capsys):
    printed = _printed(capsys)
    assert "cupy: not usable" in printed
    assert "libcudart.so.12" in printed


def test_the_report_without_a_device(cupy_without_device, capsys):
    printed = _printed(capsys)
    assert "cupy: not usable" in printed
    assert "cudaErrorNoDevice" in printed


def test_the_report_survives_a_driver_that_tells_nothing(strict_cupy, monkeypatch, capsys):
    def fail(*args):
        raise RuntimeError("not supported")

    monkeypatch.setattr(strict_cupy.cuda.runtime, "getDeviceProperties", fail)
    assert "cupy: usable" in _printed(capsys)


def test_the_report_names_blas_and_threads(capsys):
    printed = _printed(capsys)
    assert f"threads: {backend_threads()}" in printed
    assert "BLAS" in printed


def backend_threads():
    from tinygan.machine.parallel import get_num_threads

    return get_num_threads()


def test_the_command_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "tinygan.backend"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "numpy: usable" in done.stdout
    assert "cupy: " in done.stdout


def test_the_core_does_not_import_cupy():
    code = "import sys, tinygan; assert 'cupy' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
