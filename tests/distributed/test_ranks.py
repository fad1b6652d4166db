"""The command's leader and followers, on threads: the whole of it but MPI."""

import json
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from training import TINY, rows, timeless, train

from tinygan.distributed import on_threads
from tinygan.errors import UserError
from tinygan.options.flags import parse_flags
from tinygan.systems import find
from tinygan.systems.dcgan import DCGAN
from tinygan.train import ranks as module
from tinygan.train.__main__ import _run
from tinygan.train.session import begun, taken_up

MY_GAN = f"{Path(__file__).parents[2] / 'tutorials' / 'my_gan.py'}:WGAN"


@pytest.fixture
def launch(monkeypatch):
    """``launch(size, *words)`` is what ``mpiexec -n size`` does; a dict of words is of one rank."""
    here = threading.local()
    monkeypatch.setattr(module, "MPI", lambda: here.ranks)

    def run(size, *words, system="dcgan", own=None, tiny=True):
        words = [*(TINY if tiny else ()), "--distributed", *map(str, words)]

        def work(ranks):
            here.ranks = ranks
            cls = find(system)
            given = parse_flags(cls.Options, "", words + (own or {}).get(ranks.rank, []), "train")
            begin = taken_up if "resume" in given else begun
            return module.train_on_ranks(begin, cls, given, _run)

        return on_threads(size, work)

    return run


def close(a: Path, b: Path):
    """Assert that two runs have the same numbers, but for rounding in float32."""
    one, other = timeless(a), timeless(b)
    assert len(one) == len(other)
    for row, row_b in zip(one, other, strict=True):
        assert row.keys() == row_b.keys()
        np.testing.assert_allclose(list(row.values()), list(row_b.values()), rtol=2e-3, atol=2e-4)


def test_a_run_of_three_ranks_is_that_of_one_and_rank_0_alone_writes(launch, tmp_path, capsys):
    words = ["--steps", 6, "--checkpoint-every", 3, "--sample-every", 3]
    assert launch(3, *words, "--out", tmp_path / "three") == [0, 0, 0]
    said = capsys.readouterr().out
    assert "rank 2 of 3" in said
    assert "of the time in exchanges between ranks" in said
    assert said.count("steps are done") == 1
    assert train(*words, "--out", tmp_path / "one") == 0
    close(tmp_path / "three", tmp_path / "one")
    a, b = (sorted(p.name for p in (tmp_path / n).rglob("*")) for n in ("one", "three"))
    assert a == b
    config = json.loads((tmp_path / "three" / "config.json").read_text())
    assert config["platform"]["ranks"] == 3
    assert "distributed" not in config["options"]


def test_what_stopped_on_four_ranks_goes_on_on_one_and_the_reverse(launch, tmp_path):
    whole, run = tmp_path / "whole", tmp_path / "run"
    assert train("--steps", 9, "--out", whole) == 0
    assert set(launch(4, "--steps", 3, "--out", run)) == {0}
    assert train("--resume", run, "--steps", 6, tiny=False) == 0
    assert set(launch(4, "--resume", run, "--steps", 9, tiny=False)) == {0}
    close(run, whole)
    assert set(launch(2, "--resume", run, "--steps", 9, tiny=False)) == {
        0
    }  # there is nothing to do


def test_a_run_begins_with_the_weights_of_another(launch, shared_run, tmp_path):
    words = ["--init-from", shared_run, "--steps", 2]
    assert launch(2, *words, "--out", tmp_path / "two") == [0, 0]
    assert train(*words, "--out", tmp_path / "one") == 0
    close(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize("system", ["cyclegan", MY_GAN])
def test_other_systems_run_on_ranks(system, launch, tmp_path):
    words = ["--image-size", 16, "--width", 4, "--batch-size", 3, "--dataset-size", 9, "--steps", 2]
    words += ["--backend", "numpy"]
    words += ["--residual-blocks", 1] if system == "cyclegan" else ["--critic-steps", 2]
    two = launch(2, *words, "--out", tmp_path / "two", system=system, tiny=False)
    assert two == [0, 0]
    assert train(system, *words, "--out", tmp_path / "one", tiny=False) == 0
    close(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({1: ["--lr", "0.1"]}, "--lr: expected the same on all ranks, got nothing on rank 0 of 2 "
                               "and 0.1 on rank 1 of 2"),
        ({0: ["--no-sync-batch-norm"]}, "--sync-batch-norm: expected the same"),
    ],
)  # fmt: skip
def test_other_options_are_refused(own, message, launch, tmp_path, capsys):
    with pytest.raises(UserError, match=message):
        launch(2, "--steps", 2, "--out", tmp_path / "run", own=own)
    assert not (tmp_path / "run").exists()


def test_another_version_is_refused(launch, tmp_path, monkeypatch):
    def asked(cls, given):
        return {"tinygan": threading.current_thread().name}

    monkeypatch.setattr(module, "_asked", asked)
    with pytest.raises(UserError, match="tinygan: expected the same on all ranks"):
        launch(2, "--steps", 2, "--out", tmp_path / "run")


def test_other_data_are_refused_and_nothing_is_left(launch, tmp_path, monkeypatch):
    state = module._state

    def elsewhere(system, start):
        if threading.current_thread().name.endswith("-2 (work)"):
            system.data = {**system.data, "checksum": 5}
        return state(system, start)

    names = []
    monkeypatch.setattr(threading.Thread, "start", _named(threading.Thread.start, names))
    monkeypatch.setattr(module, "_state", elsewhere)
    with pytest.raises(UserError, match=r"data: expected the same on all ranks, got \[40, "):
        launch(2, "--steps", 2, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def _named(start, names):
    def named(thread):
        if "work" in thread.name:
            names.append(thread)
            thread.name = f"Thread-{len(names)} (work)"
        start(thread)

    return named


def test_what_goes_wrong_on_one_rank_before_the_first_step_is_said_once(
    launch, tmp_path, monkeypatch
):
    build = module.build
    monkeypatch.setattr(module, "build", _missing)
    with pytest.raises(UserError, match=r"rank 1 of 2: /data: there is no such folder"):
        launch(2, "--steps", 2, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(module, "build", build)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="this folder is not empty"):
        launch(2, "--steps", 2, "--out", tmp_path / "run")
    with pytest.raises(UserError, match="at least 1 for each of the 9 ranks, got 8"):
        launch(9, "--steps", 2, "--out", tmp_path / "other")
    assert not (tmp_path / "other").exists()


def _missing(*_):
    raise UserError("/data: there is no such folder")


@pytest.mark.parametrize("rank", [0, 1])
def test_out_of_memory_on_one_rank_ends_the_job_by_its_name(rank, launch, tmp_path, monkeypatch):
    step = DCGAN.step

    def starved(self, batch, number):
        from tinygan.distributed import shared

        if number == 2 and shared._step.get().rank == rank:
            raise MemoryError("cannot allocate 1 TB")
        return step(self, batch, number)

    monkeypatch.setattr(DCGAN, "step", starved)
    what = "out of memory: cannot allocate 1 TB" if rank else "has stopped"
    with pytest.raises(RuntimeError, match=f"rank {rank}: {what}"):
        launch(2, "--steps", 9, "--out", tmp_path / "run", "--checkpoint-every", 1)
    monkeypatch.undo()
    assert len(rows(tmp_path / "run")) <= 2  # rank 0 may not have come to the second
    assert train("--resume", tmp_path / "run", tiny=False) == 0
    assert len(rows(tmp_path / "run")) == 9


def test_a_signal_to_one_rank_stops_all_after_the_same_step(launch, tmp_path, monkeypatch, capsys):
    class Signalled(module.Interrupt):
        """That of a follower, to which a cluster sends SIGTERM."""

        def asked(self):
            self.count = getattr(self, "count", 0) + 1
            if self.count == 4:
                self.signal = signal.SIGTERM
            return super().asked()

    monkeypatch.setattr(module, "Interrupt", Signalled)
    assert launch(2, "--steps", 9, "--out", tmp_path / "run") == [143, 143]
    assert "stopped by SIGTERM after step 4, all saved" in capsys.readouterr().err
    assert len(rows(tmp_path / "run")) == 4


def test_python_is_sent_to_the_command():
    from tinygan import fit

    with pytest.raises(UserError, match="distributed is the command's"):
        fit("dcgan", distributed=True)


def test_the_words_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        train("--help", tiny=False)
    text = capsys.readouterr().out
    for flag in ("--distributed", "--no-sync-batch-norm", "--rank-timeout"):
        assert flag in text
