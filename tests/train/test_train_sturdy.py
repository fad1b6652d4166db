"""Nothing beside the training stops it; what stops it says so in one line."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image
from training import TINY, rows, timeless, train

import tinygan
from tinygan.generate.__main__ import main as generate
from tinygan.runs.folder import RunFolder, check_free
from tinygan.runs.metrics import read_metrics
from tinygan.runs.report import write_report
from tinygan.runs.watched import read_watch

ROOT = str(Path(tinygan.__file__).parents[1])


@pytest.fixture
def run(run_copy, tmp_path):
    return Path(shutil.copytree(run_copy, tmp_path / "run"))


def resume(run, *words) -> int:
    return train("--resume", run, "--steps", 8, *words, tiny=False)


@pytest.mark.parametrize("broken", ["plot_losses", "write_report"])
def test_a_plot_or_a_report_that_fails_is_a_warning(broken, run, monkeypatch, capsys):
    def fails(*arguments, **words):
        raise ZeroDivisionError("drawn badly")

    fails.__name__ = broken
    monkeypatch.setattr(f"tinygan.train.loop.{broken}", fails)
    assert resume(run) == 0
    told = capsys.readouterr().err
    assert f"warning: cannot {broken.replace('_', ' ')}: drawn badly" in told
    assert len(rows(run)) == 8
    assert (run / "checkpoints" / "step-000008.safetensors").exists()


def test_a_notebooks_matplotlib_backend_stops_nothing(tmp_path):
    words = [sys.executable, "-m", "tinygan.train", *TINY, "--steps", "1", "--out", "run"]
    backend = {"MPLBACKEND": "module://nowhere.to_be_found", "PYTHONPATH": ROOT}
    environment = {**os.environ, **backend}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "run" / "losses.png").exists()


@pytest.mark.parametrize(
    "line",
    [
        '{"step": 3, "epoch": "x", "seconds": 1}',
        '{"step": 3}',
        "[" * 5000,
        '{"step": 3, "epoch": 1, "seconds": NaN}',
        "",
        "\0\0\0",
    ],
)
def test_a_damaged_line_of_metrics_is_one_clear_error(line, run, capsys):
    file = run / "metrics.jsonl"
    lines = file.read_text().splitlines()
    lines[2] = line
    file.write_text("\n".join(lines) + "\n")
    before = file.read_bytes()
    assert resume(run) == 2
    [told] = capsys.readouterr().err.splitlines()
    assert f"{file}: expected the lines of steps 1 to 7" in told
    assert "found 2 of them" in told
    assert file.read_bytes() == before
    assert len(read_metrics(file)) == 2 or '"step": 3}' in line


@pytest.mark.parametrize("place", ["metrics.jsonl", "config.json"])
def test_a_folder_in_a_files_place_is_one_clear_error(place, run, capsys):
    (run / place).unlink()
    (run / place).mkdir()
    assert resume(run) in (1, 2)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_damaged_lines_of_watch_are_left_out(run, tmp_path):
    file = run / "watch.jsonl"
    whole = read_watch(file)
    assert whole
    for damage in ('{"step": 9, "diversity": "x"}', "[1]", "[" * 5000, '{"step": "a"}'):
        file.write_text("".join(json.dumps(line) + "\n" for line in whole) + damage + "\n")
        assert read_watch(file) == whole
    assert resume(run) == 0
    os.mkfifo(tmp_path / "pipe")
    assert read_watch(tmp_path / "pipe") == []


def test_strange_files_among_the_samples_are_left_out_of_the_report(run):
    samples = run / "samples"
    os.mkfifo(samples / "step-000001.png")
    (samples / "step-².png").write_bytes(b"x")
    (samples / "step-000002.png").mkdir()
    (samples / "step-000004.png").write_bytes(b"no picture")
    Image.new("1", (20_000, 20_000)).save(samples / "step-000005.png")
    (run / "measures.json").write_text('{"results": [[]]}')
    path = write_report(run)
    assert path.stat().st_size < 5_000_000


def test_links_in_a_run_folder_are_never_written_through(run, tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name in ("report.html", "losses.png", "measures.json", ".report.html.part"):
        (run / name).unlink(missing_ok=True)
        (run / name).symlink_to(mine)
    assert resume(run) == 0
    assert mine.read_text() == "mine"
    (run / "metrics.jsonl").rename(tmp_path / "metrics")
    (run / "metrics.jsonl").symlink_to(tmp_path / "metrics")
    before = (tmp_path / "metrics").read_bytes()
    assert train("--resume", run, "--steps", 9, tiny=False) != 0
    assert "found a link" in capsys.readouterr().err
    assert (tmp_path / "metrics").read_bytes() == before


def test_runs_that_begin_in_one_second_get_folders_of_their_own(tmp_path):
    made, path = [], tmp_path / "runs" / "dcgan-faces-1"

    def begin():
        run = RunFolder.create(path, {"system": "dcgan"}, fresh=True)
        made.append(run.path)
        run.close()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 4
    assert all((folder / "config.json").exists() for folder in made)


def test_the_folder_of_a_run_without_a_checkpoint_says_what_to_do(run, capsys):
    shutil.rmtree(run / "checkpoints")
    assert train("--steps", 1, "--out", run) == 2
    assert "has no checkpoint: delete it, or name another" in capsys.readouterr().err
    with pytest.raises(ValueError, match="not empty"):
        check_free(run)


def test_a_checkpoint_too_many_of_a_killed_run_is_pruned(run):
    assert len(list((run / "checkpoints").iterdir())) > 2
    assert train("--resume", run, "--keep", 1, tiny=False) == 0  # it has its steps
    assert len(list((run / "checkpoints").iterdir())) <= 2  # the newest, and the best


@pytest.mark.parametrize(
    "words",
    [["--count", 10**12], ["--count", 10**8], ["--count", 10**25], ["--columns", 10**11]],
)
def test_absurd_numbers_are_refused_before_they_allocate(words, run, tmp_path, capsys):
    out = tmp_path / "a.png"
    status = generate([*map(str, [run, *words, "--out", out, "--backend", "numpy"])])
    told = capsys.readouterr().err
    if "--columns" in words:
        assert status == 0
        return
    assert status == 2
    assert len(told.splitlines()) == 1
    assert not out.exists()


def test_a_resumed_run_is_as_before_whatever_was_left_by_a_kill(run, tmp_path):
    for name in (".report.html-1234.part", "samples/.step-000009.png-1.part"):
        (run / name).write_bytes(b"half")
    (run / "checkpoints" / ".tmpAbC").write_bytes(b"half")
    assert resume(run) == 0
    assert [p for p in run.rglob("*") if ".part" in p.name or ".tmp" in p.name] == []
    assert [row["step"] for row in timeless(run)] == list(range(1, 9))


def test_what_a_process_left_that_was_killed_while_it_began_is_removed(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / ".config.json-2afaa601.part").write_text("{")
    assert train("--steps", 1, "--out", run) == 0
    assert [path.name for path in run.iterdir() if path.name.endswith(".part")] == []


def test_what_a_run_makes_is_not_put_among_its_own_data(tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    for i in range(8):
        Image.new("RGB", (16, 16), (i * 30, 0, 0)).save(data / f"{i}.png")
    words = [word for word in TINY if word not in ("--dataset-size", "40")]
    assert train(*words, "--steps", 1, "--data", data, "--out", tmp_path / "run", tiny=False) == 0
    out = data / "made.png"
    assert generate([str(tmp_path / "run"), "--backend", "numpy", "--out", str(out)]) == 2
    assert "the run's own data" in capsys.readouterr().err
    assert not out.exists()
