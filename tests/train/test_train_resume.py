"""Nothing is lost: checkpoints, resuming, kills, and what goes wrong with files."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys

import kill_training
import numpy as np
import pytest
from kill_training import command, start
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from training import TINY, rows, timeless, train

from tinygan.errors import CheckpointError, DivergedError
from tinygan.models import dcgan
from tinygan.options.resolving import load_options, resolve, stored
from tinygan.runs.checkpoint import load_system, save_checkpoint, state_arrays
from tinygan.runs.header import Best, read_checkpoint
from tinygan.runs.metrics import MetricsFile, read_metrics
from tinygan.systems.dcgan import DCGAN, DCGANOptions

EVERY = ["--sample-every", 4, "--checkpoint-every", 3, "--keep", 99]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """8 steps; the data are 5 steps long, so the sixth begins another epoch."""
    out = tmp_path_factory.mktemp("resume") / "run"
    assert train("--steps", 8, *EVERY, "--out", out) == 0
    return out


@pytest.fixture
def half(undisturbed, tmp_path):
    """A copy of the same run, as it was killed in step 8: its last checkpoint is of step 6."""
    run = tmp_path / "half"
    shutil.copytree(undisturbed, run)
    (run / "checkpoints" / "step-000008.safetensors").unlink()
    (run / "samples" / "step-000008.png").unlink()
    return run


def final(run):
    [newest] = sorted((run / "checkpoints").glob("*.safetensors"))[-1:]
    return newest.name, {k: v.tobytes() for k, v in load_file(newest).items()}


def resume(run, *words) -> int:
    return train("--resume", run, *words, tiny=False)


@pytest.mark.parametrize("first", [1, 3, 5, 6, 7])
def test_n_and_m_steps_are_n_plus_m_steps_bit_for_bit(first, undisturbed, tmp_path):
    run = tmp_path / "run"
    assert train("--steps", first, *EVERY, "--out", run) == 0
    assert resume(run, "--steps", 8) == 0
    assert timeless(run) == timeless(undisturbed)
    assert final(run) == final(undisturbed)
    for name in ("step-000004.png", "step-000008.png"):
        a, b = (x / "samples" / name for x in (run, undisturbed))
        assert a.read_bytes() == b.read_bytes()
    assert json.loads((run / "config.json").read_text())["options"]["steps"] == 8


def test_resuming_on_another_number_of_threads_changes_nothing(half, undisturbed):
    from tinygan.machine import parallel

    before = parallel.get_num_threads()
    try:
        assert resume(half, "--threads", 3) == 0
    finally:
        parallel.set_num_threads(before)
    assert final(half) == final(undisturbed)


def test_a_finished_run_is_left_as_it_is(undisturbed, capsys):
    before = {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*") if p.name != ".lock"}
    assert resume(undisturbed) == 0
    assert "it has its 8 steps" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in undisturbed.rglob("*") if p.name != ".lock"} == before


@pytest.mark.parametrize("tail", [b"", b'{"step": 9, "epo', b"\0\0\0\0", b"[1, 2]\n"])
def test_lines_after_the_checkpoint_are_written_again_not_twice(tail, half, undisturbed):
    with open(half / "metrics.jsonl", "ab") as file:
        file.write(tail)
    assert resume(half) == 0
    assert timeless(half) == timeless(undisturbed)


def test_missing_lines_are_an_error_and_change_nothing(half, capsys):
    metrics = half / "metrics.jsonl"
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:4]))
    before = metrics.read_bytes()
    assert resume(half) == 2
    assert "expected the lines of steps 1 to 6" in capsys.readouterr().err
    assert metrics.read_bytes() == before


def test_before_the_first_checkpoint_it_begins_again(half, undisturbed):
    shutil.rmtree(half / "checkpoints")
    assert resume(half) == 0
    assert timeless(half) == timeless(undisturbed)
    assert final(half) == final(undisturbed)


def test_unfinished_files_of_a_killed_process_are_cleared_away(half):
    part = half / "checkpoints" / ".step-000009.safetensors.part"
    part.write_bytes(b"half")
    assert resume(half) == 0
    assert not part.exists()


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def damage_empty(path):
    path.write_bytes(b"")


def damage_text(path):
    path.write_text("these are not tensors, but they go on for more than eight bytes")


def damage_foreign(path):
    save_file({"weight": np.zeros(3, np.float32)}, path)


def damage_header(path):
    save_file(load_file(path), path, {"format": "tinygan checkpoint 2", "tinygan": "{}"})


def damage_pickle(path):
    import pickle

    path.write_bytes(pickle.dumps(Explosive(), 2) + b" " * 100)


class Explosive:
    def __reduce__(self):
        return os._exit, (66,)


def small() -> DCGAN:
    given = {"dataset_size": 8, "image_size": 16, "width": 2, "batch_size": 4, "backend": "numpy"}
    system = DCGAN(resolve(DCGANOptions, given))
    system.start()
    return system


def damage_other_network(path):
    system = small()
    made = save_checkpoint(path.parent, system, 777777, {"options": stored(system.options)})
    made.replace(path)


def damage_missing_tensor(path):
    arrays = load_file(path)
    del arrays["networks/G.1.weight"]
    save_file(arrays, path, {"format": "tinygan checkpoint 2", "tinygan": read_text(path)})


def read_text(path):
    with safe_open(path, framework="numpy") as file:
        return file.metadata()["tinygan"]


DAMAGES = [
    (damage_cut, "cut short"),
    (damage_empty, "cut short"),
    (damage_text, "no safetensors file"),
    (damage_pickle, "no safetensors file"),
    (damage_foreign, "not a checkpoint of this tinygan"),
    (damage_header, "header is damaged"),
    (damage_other_network, "another network: networks/G.1.weight: expected shape (4, 4, 8, 8)"),
    (damage_missing_tensor, "another network: networks/G.1.weight is missing"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES, ids=lambda x: getattr(x, "__name__", ""))
def test_an_unusable_checkpoint_is_named_and_the_older_one_used(
    damage, message, half, undisturbed, capsys
):
    newest = half / "checkpoints" / "step-000006.safetensors"
    damage(newest)
    bytes_of_it = newest.read_bytes()
    assert resume(half) == 0
    told = capsys.readouterr()
    assert f"{newest}: " in told.err
    assert message in told.err
    assert "after step 3" in told.out
    assert newest.with_name(newest.name + ".unusable").read_bytes() == bytes_of_it
    assert timeless(half) == timeless(undisturbed)
    assert final(half) == final(undisturbed)


def test_if_no_checkpoint_is_usable_nothing_is_changed(half, capsys):
    for path in (half / "checkpoints").iterdir():
        damage_cut(path)
    before = {p: p.read_bytes() for p in half.rglob("*") if p.is_file()}
    assert resume(half) == 2
    assert "none of the 2 checkpoints can be used" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in half.rglob("*") if p.is_file()} == before


def test_a_network_is_only_changed_by_a_checkpoint_that_fits_whole(half):
    values = json.loads((half / "config.json").read_text())["options"]
    system = DCGAN(load_options(DCGANOptions, values, half))
    system.start()
    before = {name: array.tobytes() for name, array in state_arrays(system).items()}
    path = half / "checkpoints" / "step-000006.safetensors"
    damage_missing_tensor(path)
    with pytest.raises(CheckpointError):
        load_system(path, system)
    assert {name: array.tobytes() for name, array in state_arrays(system).items()} == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--width", 8], "--width is 4 in this run and cannot become 8"),
        (["--seed", 1], "--seed is 0 in this run"),
        (["--preset", "celeba"], "--preset is None"),
        (["--out", "elsewhere"], "not allowed with"),
        (["--dataset-size", 41], "--dataset-size is 40"),
    ],
)
def test_what_the_result_depends_on_cannot_change(words, message, half, capsys):
    assert resume(half, *words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda config: "{ half", "cannot be read"),
        (lambda config: "[1, 2]", "not the configuration of a run"),
        (lambda config: json.dumps({"format": "tinygan run 9"}), "not the configuration of a run"),
        (
            lambda config: json.dumps({**config, "system": "cyclegan"}),
            "its options are damaged",
        ),
        (lambda config: json.dumps({**config, "data": {}}), "the data are not those of this run"),
    ],
)
def test_a_damaged_config_is_one_clear_line_and_changes_nothing(change, message, half, capsys):
    config = half / "config.json"
    config.write_text(change(json.loads(config.read_text())))
    before = {p: p.read_bytes() for p in half.rglob("*") if p.is_file()}
    assert resume(half) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert {p: p.read_bytes() for p in half.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("option", "value"), [("lr", 0.01), ("width", 8), ("seed", 1), ("batch_size", 4)]
)
def test_options_edited_in_the_config_are_refused(option, value, half, capsys):
    config = half / "config.json"
    edited = json.loads(config.read_text())
    then = edited["options"][option]
    edited["options"][option] = value
    config.write_text(json.dumps(edited))
    before = {p: p.read_bytes() for p in half.rglob("*") if p.is_file()}
    assert resume(half, "--steps", 8) == 2
    error = capsys.readouterr().err
    assert f"config.json: --{option.replace('_', '-')} is {value} there" in error
    assert f"trained with {then}" in error
    assert {p: p.read_bytes() for p in half.rglob("*") if p.is_file()} == before


def test_metrics_that_went_through_windows_are_read(half, undisturbed):
    metrics = half / "metrics.jsonl"
    metrics.write_bytes(b"\xef\xbb\xbf" + metrics.read_bytes().replace(b"\n", b"\r\n"))
    assert resume(half, "--steps", 8) == 0
    assert timeless(half) == timeless(undisturbed)


def test_other_data_are_refused(tmp_path, capsys):
    from test_train import pictures

    data = pictures(tmp_path / "data")
    words = ["--data", data, "--no-cache", "--image-size", 16, "--width", 4, "--batch-size", 4]
    assert train(*words, "--steps", 2, "--out", tmp_path / "run", tiny=False) == 0
    (data / "0.png").unlink()
    assert resume(tmp_path / "run", "--steps", 3) == 2
    assert "the data are not those of this run" in capsys.readouterr().err


def test_what_differs_in_the_data_is_said(tmp_path, capsys):
    from test_train import pictures

    pictures(tmp_path / "data", 9)
    run = tmp_path / "run"
    words = [*TINY[2:], "--data", tmp_path / "data", "--out", run]
    assert train(*words, "--steps", 1, tiny=False) == 0
    picture = tmp_path / "data" / "0.png"
    picture.rename(tmp_path / "data" / "z.png")
    assert resume(run, "--steps", 2) == 2
    assert "as many (9 images), but others, under other names" in capsys.readouterr().err
    (tmp_path / "data" / "z.png").unlink()
    assert resume(run, "--steps", 2) == 2
    assert "it had 9 images, now there are 8" in capsys.readouterr().err


def test_moved_data_may_be_named_anew(tmp_path):
    from test_train import pictures

    data = pictures(tmp_path / "data")
    words = ["--data", data, "--no-cache", "--image-size", 16, "--width", 4, "--batch-size", 4]
    assert train(*words, "--steps", 2, "--out", tmp_path / "run", tiny=False) == 0
    data.rename(tmp_path / "moved")
    assert resume(tmp_path / "run", "--steps", 3) == 2
    assert resume(tmp_path / "run", "--steps", 3, "--data", tmp_path / "moved") == 0
    assert len(rows(tmp_path / "run")) == 3


def test_two_processes_on_one_folder_the_second_is_refused(tmp_path, capsys):
    run = tmp_path / "run"
    first = start([*command([], *TINY, "--steps", 100000, "--out", run)])
    try:
        while not (run / "metrics.jsonl").exists():
            assert first.poll() is None
        assert resume(run) == 2
        assert "another process is training in this run folder" in capsys.readouterr().err
        assert train("--steps", 1, "--out", run) == 2
    finally:
        first.kill()  # the lock must not outlive it
        first.wait()
        first.stderr.close()
    done = len(read_metrics(run / "metrics.jsonl"))
    assert resume(run, "--steps", 2) == 0 or done >= 2


@pytest.mark.skipif(os.name != "posix", reason="limits and signals as POSIX has them")
def test_a_disk_that_is_full_stops_with_the_last_checkpoint_whole(half, undisturbed):
    largest = max(p.stat().st_size for p in (half / "checkpoints").iterdir())
    code = (
        "import resource, sys; from tinygan.train.__main__ import main; import matplotlib.figure; "
        "from tinygan.runs import checkpoint; save = checkpoint.save_file\n"
        "def limited(*a):\n"
        f"    resource.setrlimit(resource.RLIMIT_FSIZE, ({largest // 2}, {largest}))\n"
        "    return save(*a)\n"
        "checkpoint.save_file = limited; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", code, "--resume", str(half)]
    done = subprocess.run(words, capture_output=True, text=True, preexec_fn=ignore_too_large)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert "step-000006.safetensors" in done.stderr
    assert f"--resume {half}" in done.stderr
    assert not list((half / "checkpoints").glob(".*.part"))
    assert resume(half) == 0
    assert final(half) == final(undisturbed)


def ignore_too_large():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_clear_line(half, tmp_path, capsys):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    half.chmod(0o500)
    try:
        assert train("--steps", 1, "--out", closed / "run") == 2
        assert "cannot be written: Permission denied" in capsys.readouterr().err
        assert resume(half) == 2
        assert "cannot be written: Permission denied" in capsys.readouterr().err
    finally:
        half.chmod(0o700)


def test_the_last_few_checkpoints_and_the_best_are_kept(tmp_path, monkeypatch):
    scores = iter([5.0, 1.0, 4.0, 3.0, 2.0, 6.0])
    monkeypatch.setattr(DCGAN, "score", lambda self: next(scores))
    run = tmp_path / "run"
    words = ["--checkpoint-every", 1, "--keep", 2]
    assert train("--steps", 4, *words, "--out", run) == 0
    names = [p.name for p in sorted((run / "checkpoints").iterdir())]
    assert names == [f"step-00000{i}.safetensors" for i in (2, 3, 4)]
    assert resume(run, "--steps", 6) == 0  # it still knows the best one
    names = [p.name for p in sorted((run / "checkpoints").iterdir())]
    assert names == [f"step-00000{i}.safetensors" for i in (2, 5, 6)]
    assert read_checkpoint(run / "checkpoints" / names[-1]).best == Best(2, 1.0)


def test_a_second_ctrl_c_stops_at_once_and_the_checkpoint_is_whole(half, monkeypatch, capsys):
    step = dcgan.train_step

    def signalled(*args, **kwargs):
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        return step(*args, **kwargs)

    monkeypatch.setattr("tinygan.models.dcgan.train_step", signalled)
    before = sorted((half / "checkpoints").iterdir())
    assert resume(half) == 130
    assert "stopped at once; the last checkpoint is" in capsys.readouterr().err
    assert sorted((half / "checkpoints").iterdir()) == before
    assert [row["step"] for row in rows(half)] == [1, 2, 3, 4, 5, 6]


def test_nan_stops_with_the_last_good_checkpoint_and_the_first_bad_tensor(half, capsys):
    """A weight that is so large that the product with it overflows."""
    path = half / "checkpoints" / "step-000006.safetensors"
    arrays, header = load_file(path), json.loads(read_text(path))
    arrays["networks/D.5.weight"][:] = 3e38
    del header["checksums"]  # else it would be known for damaged
    text = json.dumps(header)
    save_file(arrays, path, {"format": "tinygan checkpoint 2", "tinygan": text})
    assert resume(half) == 1
    told = capsys.readouterr().err
    assert "diverged" in told
    assert "step-000006.safetensors" in told
    assert "first of all, the output of D.5 (Conv2d(8, 1, kernel_size=4, bias=False))" in told
    assert [row["step"] for row in rows(half)] == [1, 2, 3, 4, 5, 6]


def test_numbers_that_are_not_finite_never_get_into_a_checkpoint(tmp_path):
    system = small()
    system.optimizers["adam_D"].slots[0][1][:] = np.inf
    with pytest.raises(DivergedError, match=r"optimizers/adam_D/D\.0\.weight/v"):
        save_checkpoint(tmp_path, system, 5, {})
    assert list(tmp_path.iterdir()) == []


def test_metrics_are_cut_at_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.jsonl"
    file = MetricsFile(path)
    for step in (1, 2, 3):
        file.append({"step": step})
    file.close()
    file = MetricsFile(path, keep_steps=2)
    file.append({"step": 3, "again": 1})
    file.close()
    assert list(read_metrics(path)) == [{"step": 1}, {"step": 2}, {"step": 3, "again": 1}]


def test_killed_at_random_moments_it_ends_as_if_undisturbed(tmp_path, monkeypatch):
    monkeypatch.setattr(kill_training, "STEPS", 36)
    words = [*TINY, *kill_training.EVERY, "--steps", "36"]
    kill_training.finish(command(["dcgan"], *words, "--out", tmp_path / "reference"))
    kill_training.kill_and_resume(["dcgan"], words, tmp_path / "killed", 3)
    kill_training.assert_same(tmp_path / "reference", tmp_path / "killed")
