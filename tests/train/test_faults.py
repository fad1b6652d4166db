"""A full disk, a broken one and a kill at any system call that writes: nothing is lost.

With ``TINYGAN_LONG=1`` at every one, else at some.
"""

import errno
import os
import random
import shutil

import faults
import pytest
from kill_training import assert_same, last_checkpoint
from training import TINY

from tinygan.runs.folder import read_config

pytestmark = pytest.mark.skipif(faults.COMPILER is None, reason="needs Linux and a C compiler")

LONG = bool(os.environ.get("TINYGAN_LONG"))
TRAIN = ["-m", "tinygan.train"]
WORDS = [*TINY, "--steps", 4, "--sample-every", 2, "--checkpoint-every", 1, "--keep", 1]


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return faults.compiled(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def undisturbed(shim, tmp_path_factory):
    """A run of 4 steps, and how many of its system calls write."""
    run = tmp_path_factory.mktemp("faults") / "run"
    done, calls = faults.run(shim, run, [*TRAIN, *WORDS, "--out", run])
    assert done.returncode == 0, done.stderr
    assert calls > 50
    return run, calls


def some(calls: int, count: int, seed: int) -> list[int]:
    return list(range(1, calls + 1)) if LONG else random.Random(seed).sample(range(1, calls), count)


def assert_one_clear_line(done):
    assert done.returncode in (0, 1, 2), done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode:
        assert os.strerror(errno.ENOSPC) in done.stderr or "Input/output" in done.stderr, (
            done.stderr
        )


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_fails_at_any_call_loses_nothing(error, shim, undisturbed, tmp_path):
    whole, calls = undisturbed
    for call in some(calls, 3, error):
        run = tmp_path / f"run-{call}"
        done, _ = faults.run(shim, run, [*TRAIN, *WORDS, "--out", run], call, error)
        assert_one_clear_line(done)
        last_checkpoint(run)  # every checkpoint that is there is whole
        if not (run / "config.json").exists():
            assert done.returncode
            continue
        read_config(run)
        resumed, _ = faults.run(shim, run, [*TRAIN, "--resume", run])
        assert resumed.returncode == 0, resumed.stderr
        assert_same(whole, run)
        shutil.rmtree(run)


@pytest.mark.timeout(7200)
def test_a_disk_that_fails_when_a_run_is_resumed_loses_nothing(shim, undisturbed, tmp_path):
    whole, _ = undisturbed
    half = tmp_path / "half"
    words = [*WORDS[: WORDS.index("--steps")], "--steps", 2, *WORDS[WORDS.index("--steps") + 2 :]]
    assert faults.run(shim, half, [*TRAIN, *words, "--out", half])[0].returncode == 0
    go_on = ["--resume", "RUN", "--steps", 4]

    def resumed(run, call=0):
        words = [run if word == "RUN" else word for word in go_on]
        return faults.run(shim, run, [*TRAIN, *words], call)

    copy = shutil.copytree(half, tmp_path / "copy")
    done, calls = resumed(copy)
    assert done.returncode == 0, done.stderr
    for call in some(calls, 3, 3):
        run = shutil.copytree(half, tmp_path / f"run-{call}")
        done, _ = resumed(run, call)
        assert_one_clear_line(done)
        assert last_checkpoint(run) >= 2
        done, _ = resumed(run)
        assert done.returncode == 0, done.stderr
        assert_same(whole, run)
        shutil.rmtree(run)


@pytest.mark.timeout(7200)
def test_killed_at_any_call_a_resumed_run_is_as_an_undisturbed_one(shim, undisturbed, tmp_path):
    whole, calls = undisturbed
    for call in some(calls, 3, 5):
        run = tmp_path / f"run-{call}"
        faults.run(shim, run, [*TRAIN, *WORDS, "--out", run], call, faults.KILL)
        last_checkpoint(run)
        place = ["--resume", run] if (run / "config.json").exists() else [*WORDS, "--out", run]
        done, _ = faults.run(shim, run, [*TRAIN, *place])
        assert done.returncode == 0, done.stderr
        assert_same(whole, run)
        left = [p.name for p in run.rglob("*") if p.name.endswith(".part") or ".tmp" in p.name]
        assert left == []
        shutil.rmtree(run)
