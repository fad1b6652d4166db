"""Fixtures of all tests."""

import cuda_shim
import pytest
from strict_cupy import install


@pytest.fixture
def strict_cupy(monkeypatch):
    """The stand-in for CuPy (see `strict_cupy`): ``backend="cupy"`` computes on it in this test."""
    return install(monkeypatch)


@pytest.fixture
def cupy_with_kernels(strict_cupy):
    """The stand-in, on which tinygan's CUDA kernels run too, compiled for the CPU."""
    if cuda_shim.COMPILER is None:
        pytest.skip("there is no g++ to compile the kernels for the CPU")
    strict_cupy.RawModule = cuda_shim.RawModule
    return strict_cupy
