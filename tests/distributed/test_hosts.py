"""Ranks on several hosts, with a network between them: namespaces, where root can make them."""

import re
import subprocess
import sys
import time

import numpy as np
import pytest
from kill_training import launcher
from training import TINY, timeless, train

from benchmarks.hosts import hosts, missing

WORDS = [*map(str, TINY), "--distributed"]


@pytest.fixture
def three():
    mpiexec, env = launcher(1) or ([None], {})
    if why := missing(mpiexec[0]):
        pytest.skip(why)
    try:
        with hosts(3, "1gbit") as made:
            made.words, made.env = made.launcher(mpiexec[0]), env
            yield made
    except OSError as error:
        pytest.skip(f"network namespaces cannot be had: {error}")


def start(made, *words):
    command = [*made.words, sys.executable, "-m", "tinygan.train", *WORDS, *map(str, words)]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.Popen(command, env=made.env, text=True, **pipe)


def test_three_hosts_are_one_process_and_their_gradients_cross_the_network(three, tmp_path):
    steps, run, whole = 4, tmp_path / "run", tmp_path / "whole"
    process = start(three, "--steps", steps, "--out", run)
    out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out
    named = re.findall(r"rank (\d) of 3 \(process \d+ on (host\d)\)", out)
    assert sorted(named) == [("0", "host1"), ("1", "host2"), ("2", "host3")]
    assert train("--steps", steps, "--out", whole) == 0
    for row, other in zip(timeless(run), timeless(whole), strict=True):
        np.testing.assert_allclose(list(row.values()), list(other.values()), rtol=2e-3, atol=2e-4)
    each = float(re.search(r"([\d.]+) kB a step from each", out)[1]) * 1000
    for host in (1, 2, 3):
        assert three.sent(host) > steps * each / 2


def test_a_host_whose_cable_is_pulled_out_ends_the_job_and_the_run_goes_on(three, tmp_path, capsys):
    run = tmp_path / "run"
    words = ["--steps", 10**6, "--checkpoint-every", 5, "--rank-timeout", 4, "--out", run]
    process = start(three, *words)
    for line in process.stdout:
        if line.startswith("step"):
            break
    three.unplug(3)
    out, _ = process.communicate(timeout=240)
    assert process.returncode != 0
    assert re.search(r"rank \d of 3 \(process \d+ on host\d\): has waited \d s for rank", out), out
    assert "rank 2 of 3" in out
    words = ["--resume", run, "--steps", len(timeless(run)) + 1]
    for _ in range(60):  # a launcher may have ended before the ranks that it killed
        if train(*words, tiny=False) == 0:
            break
        assert "another process is training" in capsys.readouterr().err
        time.sleep(1)
    assert len(timeless(run)) == words[-1]
