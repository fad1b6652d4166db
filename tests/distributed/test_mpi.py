"""MPI and NCCL: over stand-ins always; with ``mpiexec`` where it and mpi4py are there."""

from __future__ import annotations

import builtins
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest
from kill_training import assert_same, kill_and_resume, launcher
from meeting import install_nccl, over_mpi
from strict_cupy import nothing_leaves_the_device
from training import TINY, rows, timeless, train

from tinygan import Adam
from tinygan.distributed import joined, mpi, own_rows, sharing
from tinygan.distributed.nccl import use_own_gpu
from tinygan.distributed.shared import together
from tinygan.errors import UserError
from tinygan.models import dcgan

LONG = bool(os.environ.get("TINYGAN_LONG"))

# --- over stand-ins -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_operations_over_mpi(size, monkeypatch):
    def work(ranks):
        total = ranks.sum(np.arange(6.0)[::2] + ranks.rank)  # not contiguous
        told = ranks.exchange({"rank": ranks.rank, "long": "x" * 1000 * ranks.rank})
        return total, ranks.sum(np.float64(2)), told, ranks.local, ranks.places

    for rank, (total, two, told, local, places) in enumerate(over_mpi(monkeypatch, size, work)):
        np.testing.assert_array_equal(total, size * np.arange(0, 6, 2) + sum(range(size)))
        assert two == 2 * size
        assert [(t["rank"], len(t["long"])) for t in told] == [(r, 1000 * r) for r in range(size)]
        assert local == (rank, size)
        assert re.fullmatch(rf"rank {rank} of {size} \(process {os.getpid()} on .+\)", places[rank])


def test_a_rank_that_hangs_is_named_by_those_that_wait(monkeypatch, capsys):
    monkeypatch.setattr(mpi, "_QUIET", 0.05)

    def work(ranks):
        ranks.patience = 0.5
        ranks.sum(np.zeros(1))

    with pytest.raises(SystemExit):
        over_mpi(monkeypatch, 3, work, hangs={1: 3})  # the first two are of the beginning
    said = capsys.readouterr().err
    assert re.search(r"rank [02] of 3 \(.+\): has waited . s for rank 1 of 3 .*, which hangs", said)
    assert "for rank 0" not in said


def test_ranks_leave_together_and_with_all_their_mail_read(monkeypatch):
    monkeypatch.setattr(mpi, "_QUIET", 0.05)
    left = []

    def work(ranks):
        ranks.patience = 60
        if ranks.rank == 0:
            time.sleep(0.5)  # the others say that they wait
        ranks.sum(np.zeros(1))
        if ranks.rank == 0:
            time.sleep(0.5)
            left.append(0)
        ranks.leave()
        left.append(ranks.rank)

    over_mpi(monkeypatch, 3, work)
    assert left[0] == 0
    assert sorted(left) == [0, 0, 1, 2]


def test_without_mpi4py_it_says_what_to_install(monkeypatch, capsys):
    importing = builtins.__import__

    def fail(name, *rest):
        if name == "mpi4py":
            raise RuntimeError("cannot load MPI library\nlibmpi.so: no such file")
        return importing(name, *rest)

    monkeypatch.setattr(builtins, "__import__", fail)
    assert train("--distributed", "--steps", 1) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "needs mpi4py and an MPI library (cannot load MPI library): pip install" in line


def step_on(ranks, backend, x, z):
    """Take two steps of a small DCGAN with this rank's rows; return metrics and weights."""
    G = dcgan.generator(16, noise_size=4, width=2, rng=0).to(backend)
    D = dcgan.discriminator(16, width=2, rng=1).to(backend)
    adams = [Adam(net.parameters(), 1e-3, (0.5, 0.999)) for net in (G, D)]

    def step():
        return dcgan.train_step(G, D, *adams, *own_rows(x, z))

    with joined(ranks):
        for _ in range(2):
            metrics = together(step)
    weights = [p.data for p in G.parameters() + D.parameters()] + [*G.buffers().values()]
    return {name: float(value) for name, value in metrics.items()}, weights


def test_on_gpus_the_same_path_goes_by_nccl_and_nothing_comes_to_the_host(strict_cupy, monkeypatch):
    install_nccl(monkeypatch)
    x = np.random.default_rng(0).uniform(-1, 1, (5, 16, 16, 3)).astype(np.float32)
    z = dcgan.draw_noise(5, 4, rng=1)
    one, weights = over_mpi(monkeypatch, 1, lambda r: step_on(r, "numpy", x, z))[0]
    there = strict_cupy.asarray(x), strict_cupy.asarray(z)
    for metrics, device in over_mpi(monkeypatch, 3, lambda r: step_on(r, "cupy", *there)):
        assert metrics == pytest.approx(one, rel=1e-4)
        for theta, expected in zip(device, weights, strict=True):
            assert isinstance(theta, strict_cupy.ndarray)
            np.testing.assert_allclose(strict_cupy.asnumpy(theta), expected, atol=1e-4)

    def gradient(ranks):
        net = dcgan.discriminator(16, width=2, rng=1).to("cupy")
        adam = Adam(net.parameters())
        with sharing(ranks, rows=6):
            adam.step()  # what is exchanged once is set up
            with nothing_leaves_the_device(strict_cupy):
                adam.step()

    over_mpi(monkeypatch, 1, gradient)


def test_each_rank_takes_a_gpu_of_its_own(strict_cupy, monkeypatch):
    used = []

    class Device:
        def __init__(self, number):
            self.number = number

        def use(self):
            used.append(self.number)

    monkeypatch.setattr(strict_cupy.cuda, "Device", Device)
    monkeypatch.setattr(strict_cupy.cuda.runtime, "getDeviceCount", lambda: 2)
    for number in range(2):
        use_own_gpu(number, 2)
    assert used == [0, 1]
    with pytest.raises(UserError, match="a GPU for each rank, got 2 for the 3 on this machine"):
        use_own_gpu(0, 3)
    monkeypatch.setattr(strict_cupy.cuda.runtime, "getDeviceCount", lambda: 1)
    use_own_gpu(1, 2)  # a cluster may show each rank one GPU, which has the number 0 there
    assert used == [0, 1]


# --- with mpiexec ---------------------------------------------------------------------------------

WORDS = [*TINY, "--distributed"]


@pytest.fixture(scope="module")
def mpiexec():
    start = launcher(1)
    if start is None:
        pytest.skip("there is no mpiexec, or no mpi4py")
    code = "from mpi4py import MPI; print(MPI.COMM_WORLD.size)"
    done = subprocess.run(
        [*launcher(2)[0], sys.executable, "-c", code],
        env=start[1], capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if "".join(done.stdout.split()) != "22":  # lines may mix
        pytest.skip(f"mpiexec and mpi4py do not go together: {done.stdout} {done.stderr[-300:]}")


def start(size, *words, system=()):
    first, env = launcher(size)
    command = [*first, sys.executable, "-m", "tinygan.train", *system, *map(str, words)]
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def finish(process):
    out, _ = process.communicate(timeout=240)
    return process.returncode, out


def close(a, b):
    for row, other in zip(timeless(a), timeless(b), strict=True):
        np.testing.assert_allclose(list(row.values()), list(other.values()), rtol=2e-3, atol=2e-4)


def test_two_processes_are_one_and_hand_over_to_one_and_to_three(mpiexec, tmp_path):
    run, whole = tmp_path / "run", tmp_path / "whole"
    status, out = finish(start(2, *WORDS, "--steps", 4, "--out", run))
    assert status == 0, out
    assert train("--resume", run, "--steps", 6, tiny=False) == 0
    status, out = finish(start(3, "--resume", run, "--distributed", "--steps", 9))
    assert status == 0, out
    assert train("--steps", 9, "--out", whole) == 0
    close(run, whole)


def test_processes_with_other_options_are_refused(mpiexec, tmp_path):
    first, env = launcher(1)
    one = [sys.executable, "-m", "tinygan.train", *WORDS, "--steps", "2", "--out", tmp_path / "run"]
    command = [*first, *one, ":", *first[1:], *one, "--lr", "0.1"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "--lr: expected the same on all ranks" in done.stderr
    assert not (tmp_path / "run").exists()


def processes(process, size):
    """Wait for the first step; return the ranks' processes, as they are said, and what is said."""
    lines, found = [], {}
    for line in process.stdout:
        lines.append(line)
        if match := re.match(r"rank (\d+) of \d+ \(process (\d+) on ", line):
            found[int(match[1])] = int(match[2])
        if line.startswith("step"):
            break
    assert len(found) == size, "".join(lines)
    return found


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_hangs_ends_the_job_in_time_by_its_name(rank, mpiexec, tmp_path):
    words = [*WORDS, "--steps", 10**6, "--checkpoint-every", 5, "--rank-timeout", 4]
    process = start(2, *words, "--out", tmp_path / "run")
    pid = processes(process, 2)[rank]
    os.kill(pid, signal.SIGSTOP)
    try:
        status, out = finish(process)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert status != 0
    assert re.search(
        rf"has waited \d s for rank {rank} of 2 \(process {pid} on .*\), which hangs", out
    )


def test_signals_stop_all_and_are_saved(mpiexec, tmp_path):
    run = tmp_path / "run"
    process = start(2, *WORDS, "--steps", 10**6, "--out", run)
    os.kill(processes(process, 2)[1], signal.SIGTERM)
    status, out = finish(process)
    assert status == 143, out
    assert "stopped by SIGTERM after step" in out
    steps = len(rows(run))
    assert train("--resume", run, "--steps", steps + 1, tiny=False) == 0


STARVED = """
from tinygan.systems.dcgan import DCGAN

class Starved(DCGAN):
    def step(self, batch, step):
        import numpy as np
        from tinygan.distributed.shared import _step
        if step == 3 and _step.get().rank == 1:
            np.empty(1 << 60, np.uint8)
        return super().step(batch, step)
"""


def test_a_rank_without_memory_ends_the_job_by_its_name(mpiexec, tmp_path):
    file = tmp_path / "starved.py"
    file.write_text(STARVED)
    process = start(2, *WORDS, "--steps", 9, "--out", tmp_path / "run", system=[f"{file}:Starved"])
    status, out = finish(process)
    assert status == 1, out
    assert re.search(r"rank 1 of 2 \(process \d+ on .*\): out of memory: Unable to allocate", out)


SLOW = """
import time
from tinygan.systems.dcgan import DCGAN

class Slow(DCGAN):
    def save_samples(self, path):
        time.sleep(2.5)
        return super().save_samples(path)
"""


def test_the_others_wait_for_rank_0_also_at_the_end(mpiexec, tmp_path):
    file, run = tmp_path / "slow.py", tmp_path / "run"
    file.write_text(SLOW)
    words = [*WORDS, "--steps", 3, "--sample-every", 2, "--out", run]
    status, out = finish(start(2, *words, system=[f"{file}:Slow"]))
    assert status == 0, out
    assert "of the time in exchanges between ranks" in out
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["step-000003.safetensors"]
    assert (run / "report.html").exists()


def test_runs_whose_ranks_are_killed_go_on_to_the_same_end(mpiexec, tmp_path):
    kills = 24 if LONG else 2
    words = [*WORDS, "--steps", "120", "--checkpoint-every", "3", "--sample-every", "60"]
    whole = tmp_path / "whole"
    status, out = finish(start(2, *words, "--out", whole))
    assert status == 0, out
    for seed, count in enumerate([6] * (kills // 6) or [kills]):
        run = tmp_path / f"run-{seed}"
        found = kill_and_resume(["dcgan"], words, run, count, seed, ranks=2)
        assert found["kills"] == count
        assert_same(whole, run)
