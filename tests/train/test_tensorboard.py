"""``--log tensorboard``: what TensorBoard's own reader finds, and what does not stop a training."""

import importlib.util
import os

import pytest
from training import rows, timeless, train

from tinygan.train import tensorboard

WRITER = importlib.util.find_spec("tensorboardX") is not None
READER = importlib.util.find_spec("tensorboard") is not None
needs_writer = pytest.mark.skipif(not WRITER, reason="tensorboardX is not installed")
needs_both = pytest.mark.skipif(
    not (WRITER and READER),
    reason="tensorboardX and tensorboard, which reads it, are not installed",
)
LOG = ["--log", "tensorboard", "--sample-every", 2, "--checkpoint-every", 2]


def read(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(run / "tensorboard"), {"scalars": 0, "images": 0})
    return found.Reload()


@needs_both
def test_tensorboard_reads_every_metric_and_sheet(tmp_path):
    run = tmp_path / "run"
    assert train(*LOG, "--steps", 5, "--out", run) == 0
    found, lines = read(run), rows(run)
    names = {"epoch": "epoch", "seconds per step": "seconds"}
    names |= {name: name for name in lines[0] if name not in ("step", "epoch", "seconds")}
    assert set(found.Tags()["scalars"]) == set(names)
    for tag, name in names.items():
        scalars = found.Scalars(tag)
        assert [s.step for s in scalars] == [1, 2, 3, 4, 5]
        assert [s.value for s in scalars] == pytest.approx([line[name] for line in lines])
    sheets = found.Images("samples")
    assert [s.step for s in sheets] == [2, 4, 5]
    for sheet in sheets:
        file = run / "samples" / f"step-{sheet.step:06d}.png"
        assert sheet.encoded_image_string == file.read_bytes()
        assert (sheet.width, sheet.height) == (146, 146)  # 8 × 8 of 16 pixels, gutters of 2


@needs_both
def test_a_resumed_run_goes_on_and_takes_back_what_a_killed_one_wrote(tmp_path):
    run = tmp_path / "run"
    assert train(*LOG, "--steps", 3, "--out", run) == 0
    (run / "checkpoints" / "step-000003.safetensors").unlink()  # as if killed before it
    assert train("--resume", run, "--steps", 6, tiny=False) == 0
    name = list(rows(run)[0])[2]  # behind step and epoch
    scalars = read(run).Scalars(name)
    assert [s.step for s in scalars] == [1, 2, 3, 4, 5, 6]
    assert [s.value for s in scalars] == pytest.approx([line[name] for line in rows(run)])
    assert len(list((run / "tensorboard").iterdir())) == 2


@needs_writer
def test_training_is_the_same_with_it(tmp_path, shared_run):
    assert train(*LOG, "--steps", 7, "--out", tmp_path / "run") == 0
    assert timeless(tmp_path / "run") == timeless(shared_run)


class Broken:
    def __init__(self, path):
        raise OSError(28, os.strerror(28))


class BreaksLater:
    def __init__(self, path):
        self.left = 4

    def write(self, record):
        self.left -= 1
        if not self.left:
            raise RuntimeError("the writer is broken")

    def flush(self):
        pass

    def close(self):
        raise ValueError("closed twice")


@needs_writer
@pytest.mark.parametrize("writer", [Broken, BreaksLater])
def test_a_writer_that_fails_is_said_once_and_stops_nothing(tmp_path, capsys, monkeypatch, writer):
    monkeypatch.setattr("tensorboardX.record_writer.RecordWriter", writer)
    assert train(*LOG, "--steps", 5, "--out", tmp_path / "run") == 0
    assert capsys.readouterr().err.count("--log tensorboard is over") == 1
    assert len(rows(tmp_path / "run")) == 5


@needs_writer
def test_nothing_is_written_through_a_link(tmp_path, capsys):
    run = tmp_path / "run"
    assert train("--steps", 2, "--out", run) == 0
    (tmp_path / "theirs").mkdir()
    (run / "tensorboard").symlink_to(tmp_path / "theirs")
    assert train("--resume", run, "--steps", 4, *LOG, tiny=False) == 0
    assert "is a link" in capsys.readouterr().err
    assert list((tmp_path / "theirs").iterdir()) == []


def test_without_the_writer_it_is_one_line_and_no_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(tensorboard.importlib.util, "find_spec", lambda name: None)
    assert train(*LOG, "--steps", 1, "--out", tmp_path / "run") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "pip install 'tinygan[tensorboard]'" in line
    assert not (tmp_path / "run").exists()
