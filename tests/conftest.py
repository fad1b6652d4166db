"""Fixtures of all tests."""

import pytest
from strict_cupy import install


@pytest.fixture
def strict_cupy(monkeypatch):
    """The stand-in for CuPy (see `strict_cupy`): ``backend="cupy"`` computes on it in this test."""
    return install(monkeypatch)
