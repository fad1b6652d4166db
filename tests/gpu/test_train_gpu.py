"""Training on a GPU by command: its settings, its memory, and resuming; on the stand-in."""

import numpy as np
import pytest
from safetensors.numpy import load_file
from training import timeless, train

from tinygan.machine.gpu import allow_tf32, describe_gpu, free_bytes, limit_memory, tf32_is_on

GIB = 1 << 30


@pytest.fixture(autouse=True)
def without_tf32(monkeypatch):
    monkeypatch.setenv("CUPY_TF32", "0")


def test_tf32_is_set_and_reported(strict_cupy, tmp_path, capsys):
    out = tmp_path / "run"
    assert train("--backend", "cupy", "--steps", 1, "--out", out) == 0
    assert "TF32 off" in capsys.readouterr().out
    assert not tf32_is_on()
    assert train("--backend", "cupy", "--tf32", "--steps", 1, "--out", tmp_path / "fast") == 0
    assert "TF32 on" in capsys.readouterr().out
    assert tf32_is_on()


def test_tf32_is_refused_on_numpy(tmp_path, capsys):
    assert train("--tf32", "--steps", 1, "--out", tmp_path / "run") == 2
    assert "--tf32 is for a GPU" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_tf32_belongs_to_a_run(strict_cupy, tmp_path, capsys):
    out = tmp_path / "run"
    assert train("--backend", "cupy", "--steps", 1, "--out", out) == 0
    assert train("--resume", out, "--tf32", "--steps", 2, tiny=False) == 2
    assert "--tf32" in capsys.readouterr().err


def test_the_pool_is_limited_to_what_is_free(strict_cupy, monkeypatch):
    pool = strict_cupy.get_default_memory_pool()
    held = strict_cupy.zeros(1000)
    assert limit_memory() == pool.get_limit()
    assert 59 * GIB < pool.get_limit() < 60 * GIB + held.nbytes
    assert free_bytes() <= pool.get_limit() - held.nbytes
    assert "stand-in, TF32 off, at most 63.9 GB" in describe_gpu()
    pool.set_limit(size=2 * GIB)
    assert limit_memory() == 2 * GIB  # the user's own limit stays
    assert free_bytes() == 2 * GIB - pool.used_bytes()
    allow_tf32()
    assert "TF32 on" in describe_gpu()


def test_too_little_memory_is_told_before_the_start(strict_cupy, tmp_path, capsys):
    strict_cupy.get_default_memory_pool().set_limit(size=strict_cupy.ledger.used + 9_000_000)
    assert train("--backend", "cupy", "--steps", 1, "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "of the GPU's memory" in error
    assert "lower --batch-size" in error
    assert not (tmp_path / "run").exists()


def test_out_of_memory_is_advice_and_no_traceback(cupy_with_kernels, tmp_path, capsys):
    out = tmp_path / "run"
    pool = cupy_with_kernels.get_default_memory_pool()
    pool.set_limit(size=cupy_with_kernels.ledger.used + 400_000)
    words = ["--backend", "cupy", "--batch-size", 32, "--steps", 3, "--force", "--out", out]
    assert train(*words) == 1
    told = capsys.readouterr()
    assert "out of memory" in told.err
    assert "forecast was that training will take about" in told.err
    assert "lower --batch-size, --width or --image-size" in told.err
    assert "Traceback" not in told.err + told.out


def test_a_run_is_resumed_bit_for_bit(cupy, tmp_path):
    words = ("--backend", "cupy", "--checkpoint-every", 2, "--sample-every", 9)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(*words, "--steps", 4, "--out", whole) == 0
    assert train(*words, "--steps", 2, "--out", parts) == 0
    assert train("--resume", parts, "--steps", 4, tiny=False) == 0
    assert timeless(whole) == timeless(parts)
    name = "checkpoints/step-000004.safetensors"
    expected, found = load_file(whole / name), load_file(parts / name)
    assert list(expected) == list(found)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array, err_msg=key)


def test_a_run_moves_from_one_backend_to_the_other(cupy, tmp_path):
    words = ("--checkpoint-every", 2, "--sample-every", 9)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert train(*words, "--steps", 4, "--out", whole) == 0
    assert train(*words, "--backend", "cupy", "--steps", 2, "--out", parts) == 0
    assert train("--resume", parts, "--backend", "numpy", "--steps", 4, tiny=False) == 0
    for a, b in zip(timeless(whole), timeless(parts), strict=True):
        assert a == pytest.approx(b, rel=5e-3, abs=5e-3)
