"""Which library an array belongs to, and the errors where CuPy cannot be used."""

import builtins
import importlib.util
import sys
import types

import numpy as np
import pytest

from tinygan.machine import arrays as backend


def test_numpy_arrays_and_scalars_are_numpys():
    assert backend.get_xp(np.zeros(2), np.float32(1)) is np
    assert backend.backend_of(np.zeros(1)) == "numpy"


def test_what_is_no_array_is_named():
    with pytest.raises(TypeError, match=r"x is a NumPy array, w is list"):
        backend.get_xp(x=np.zeros(2), w=[1, 2])
    with pytest.raises(TypeError, match="got: nothing"):
        backend.get_xp()


def test_mixing_libraries_says_which_argument_is_which(monkeypatch):
    fake = types.ModuleType("cupy")
    fake.ndarray = type("ndarray", (), {})
    monkeypatch.setitem(sys.modules, "cupy", fake)
    with pytest.raises(TypeError, match="argument 0 is a NumPy array, w is a CuPy array"):
        backend.get_xp(np.zeros(1), w=fake.ndarray())


def test_asarray_takes_lists_and_arrays():
    x = np.arange(3)
    assert backend.asarray(x) is x
    assert backend.asarray([1, 2]).tolist() == [1, 2]
    with pytest.raises(ValueError, match="expected 'numpy' or 'cupy', got 'jax'"):
        backend.asarray(x, "jax")


def test_cupy_not_installed(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert backend.cupy_status().kind == "not installed"
    assert backend.resolve_backend("auto") == "numpy"
    with pytest.raises(backend.BackendError, match=r"not installed; .*tinygan\[cuda12\]"):
        backend.resolve_backend("cupy")


def test_cupy_installed_but_failing(monkeypatch):
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    real = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "cupy":
            raise OSError("libcublas.so.12:\n cannot open shared object file")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    monkeypatch.setattr(importlib, "import_module", broken)
    status = backend.cupy_status()
    assert status.kind == "import failed"
    assert "OSError: libcublas.so.12: cannot open shared object file" in status.message
    assert "uninstall every cupy package" in status.message


def test_cupy_without_a_device(monkeypatch):
    fake = types.ModuleType("cupy")
    fake.__version__ = "14.0.0"
    fake.cuda = types.SimpleNamespace(runtime=types.SimpleNamespace(getDeviceCount=lambda: 0))
    monkeypatch.setitem(sys.modules, "cupy", fake)
    status = backend.cupy_status()
    assert status.kind == "no device"
    assert "CuPy 14.0.0 imports but finds no CUDA device" in status.message
    with pytest.raises(backend.BackendError, match="nvidia-smi lists a GPU"):
        backend.get_module("cupy")
