"""What the benchmarks measure on a GPU only, as far as it runs without one.  No times."""

import pytest

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.contest import TINYGAN, Worker
from benchmarks.gpu import KERNELS
from benchmarks.sections import GPU_SECTIONS, SECTIONS, Options
from benchmarks.work_kernels import prepare_kernel
from benchmarks.work_tinygan import Tinygan
from tinygan.machine.arrays import cupy_status

ABOUT = {
    "backend": "cupy", "gpu": "a GPU, TF32 off", "system": "Linux", "python": "3", "versions": {},
    "date": "today", "command": "python -m benchmarks --backend cupy", "load_at_start": None,
}  # fmt: skip


def _table(section, rows):
    return report.table({"section": section, "rounds": 1, "about": ABOUT, "rows": rows})


@pytest.mark.parametrize("name", KERNELS)
def test_each_kernel_is_prepared_and_runs(cupy_with_kernels, monkeypatch, name):
    monkeypatch.setattr("benchmarks.work_kernels.WEIGHTS", (4, 4, 2, 3))
    job, moved = prepare_kernel("cupy", name, 2, 4, 8)
    cupy_with_kernels.ledger.reset()
    job()
    assert 1 <= cupy_with_kernels.ledger.launches <= 3
    assert moved >= 2 * 2 * 4 * 4 * 8 * 4 or name == "moments"


def test_a_step_runs_and_its_traffic_is_counted(cupy_with_kernels):
    contestant = Tinygan("cupy", 0)
    small = contestant.prepare({"task": "dcgan_step", "image_size": 16, "batch": 2, "width": 4})
    large = contestant.prepare({"task": "dcgan_step", "image_size": 16, "batch": 4, "width": 4})
    few, many = contestant.traffic(small), contestant.traffic(large)
    assert 0 < few < many < 2 * few


def test_tables():
    kernel = {"name": "tinygan", "median": 1e-5, "seconds": [1e-5]}
    rows = [
        {"kernel": "copy", "bytes": 20_000_000, "results": [kernel]},
        {"kernel": "relu", "bytes": 10_000_000, "results": [kernel]},
        {"kernel": "adam", "results": [{"name": "tinygan", "error": "no memory"}]},
    ]
    table = _table("bandwidth", rows)
    assert "| relu | 10.0 µs | 0.010 | 1,000 | 50 % |" in table
    assert "| adam | no memory |" in table
    profiled = [
        {"name": "gemm", "count": 3, "seconds": 3e-3},
        {"name": "relu", "count": 7, "seconds": 1e-3},
    ]
    results = [
        {"name": "tinygan", "seconds": [4e-3, 5e-3, 6e-3], "kernels": profiled},
        {"name": "PyTorch", "error": "no profiler"},
    ]
    table = _table("launches", [{"system": "DCGAN-64", "results": results}])
    assert "| DCGAN-64 | tinygan | 5 ms | 10 | 4 ms | 80 % |" in table
    assert "| `gemm` | 3 | 3 ms | 75 % |" in table
    assert "| DCGAN-64 | PyTorch | no profiler |" in table


def test_the_roofline_counts_what_moves():
    row = {
        "system": "DCGAN-64", "multiply_adds": 10**9, "product_flops": 1e12, "bytes": 10**9,
        "bandwidth": 1e12, "roofline_seconds": 3e-3,
        "results": [{"name": "tinygan", "median": 6e-3}],
    }  # fmt: skip
    table = _table("limit", [row])
    assert "1.000 GB at 1,000 GB/s" in table
    assert "**2.00**" in table


def test_gpu_sections_are_a_gpus(capsys):
    assert not set(GPU_SECTIONS) & set(SECTIONS)
    for words in (["--only", "bandwidth"], ["--tf32"]):
        with pytest.raises(SystemExit):
            main(words)
    assert "needs --backend cupy" in capsys.readouterr().err


@pytest.mark.skipif(cupy_status().usable, reason="there is a GPU")
def test_without_a_gpu_a_worker_says_why():
    with Worker(TINYGAN, "cupy") as worker, pytest.raises(RuntimeError, match="backend 'cupy'"):
        worker.ask("prepare", task={"task": "product", "size": 8}, warm_up=1)


@pytest.mark.gpu
@pytest.mark.parametrize("name", sorted(GPU_SECTIONS))
def test_gpu_sections_measure(gpu, name):
    rows = list(GPU_SECTIONS[name](Options("cupy", quick=True, rounds=2)))
    assert rows
    print(_table(name, rows))
