"""Fixtures of all tests."""

import shutil
import sys
from pathlib import Path

import cuda_shim
import pytest
from strict_cupy import install

from tinygan import plain
from tinygan.machine.arrays import cupy_status

collect_ignore_glob = ["fixtures/make_*.py"]  # scripts; they import PyTorch


@pytest.fixture(scope="session")
def shared_run(tmp_path_factory):
    """A tiny DCGAN's run of 7 steps that all tests share; who writes into it takes a copy."""
    from training import train

    out = tmp_path_factory.mktemp("shared") / "run"
    every = ["--sample-every", 3, "--checkpoint-every", 2, "--keep", 9]
    assert train("--steps", 7, *every, "--out", out) == 0
    return out


@pytest.fixture(scope="module")
def run_copy(shared_run, tmp_path_factory):
    """A copy of the shared run, for a whole module."""
    return Path(shutil.copytree(shared_run, tmp_path_factory.mktemp("copy") / "run"))


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """A cache of decoded pictures for this test alone."""
    monkeypatch.setenv("TINYGAN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    """An empty folder for pictures."""
    path = tmp_path / "pictures"
    path.mkdir()
    return path


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


@pytest.fixture
def gpu():
    """The real CuPy on a real device; without one the test is skipped."""
    status = cupy_status()
    if not status.usable:
        pytest.skip(status.message)
    return sys.modules["cupy"]


@pytest.fixture(
    params=[
        "plain",
        "kernels",
        pytest.param("gpu", marks=pytest.mark.gpu),
        pytest.param("gpu without kernels", marks=pytest.mark.gpu),
    ]
)
def cupy(request):
    """CuPy in every guise: the stand-in, the stand-in with kernels, and twice the real one."""
    if not request.param.startswith("gpu"):
        yield request.getfixturevalue(
            "strict_cupy" if request.param == "plain" else "cupy_with_kernels"
        )
        return
    module = request.getfixturevalue("gpu")
    if request.param == "gpu":
        yield module
        return
    with plain():
        yield module


def pytest_collection_modifyitems(config, items):
    """Leave out what needs a GPU where there is none, unless ``-m`` asks for it by name."""
    needs = [item for item in items if item.get_closest_marker("gpu")]
    if not needs or "gpu" in config.getoption("markexpr") or cupy_status().usable:
        return
    config.hook.pytest_deselected(items=needs)
    items[:] = [item for item in items if not item.get_closest_marker("gpu")]
    config.stash[_LEFT_OUT] = len(needs)


_LEFT_OUT = pytest.StashKey[int]()


def pytest_terminal_summary(terminalreporter, config):
    count = config.stash.get(_LEFT_OUT, 0)
    if count:
        kind = cupy_status().kind
        terminalreporter.write_line(f"no GPU ran: CuPy: {kind}; {count} tests for one left out")
