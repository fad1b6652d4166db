"""Runs of checkpoint format 1 load, go on as they would have then, and make pictures."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training import rows, train

from tinygan.generate.__main__ import main as generate
from tinygan.translate.__main__ import main as translate

OLD = Path(__file__).parents[1] / "fixtures" / "run_format_1"
SYSTEMS = ["dcgan", "cyclegan"]


@pytest.fixture(params=SYSTEMS)
def system(request):
    return request.param


@pytest.fixture
def run(system, tmp_path):
    return Path(shutil.copytree(OLD / system, tmp_path / "run"))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_they_resume_with_the_metrics_they_had_then(system, run, capsys):
    before = contents(run / "checkpoints")
    words = [system, "--resume", run, "--steps", 6, "--threads", 1]
    assert train(*words, tiny=False) == 0
    text = (OLD / f"{system}-steps-5-and-6.jsonl").read_text()
    expected = [json.loads(line) for line in text.splitlines()]
    found = {row["step"]: row for row in rows(run)}
    assert list(found) == [1, 2, 3, 4, 5, 6]
    for row in expected:
        del row["seconds"]
        for name, value in row.items():
            assert found[row["step"]][name] == pytest.approx(value, rel=2e-5), name
    assert "cannot" not in capsys.readouterr().err  # plots and report of rows that lack new metrics
    after = contents(run / "checkpoints")
    assert before.items() < after.items(), "an old checkpoint is never rewritten"


def test_they_make_the_pictures_that_they_made_then(system, run, tmp_path):
    if system == "dcgan":
        words = [run, "--count", 4, "--columns", 4, "--out", tmp_path / "made.png"]
        assert generate([*map(str, words), "--backend", "numpy"]) == 0
        made, then = (
            np.asarray(Image.open(path), int)
            for path in (tmp_path / "made.png", OLD / "dcgan-generated.png")
        )
        assert abs(made - then).max() <= 1
    else:
        source = tmp_path / "in.png"
        Image.open(run / "samples" / "step-000004.png").crop((0, 60, 64, 124)).save(source)
        for direction in ("AtoB", "BtoA"):
            out = tmp_path / direction
            words = [run, "--direction", direction, "--input", source, "--out", out]
            assert translate([*map(str, words), "--backend", "numpy"]) == 0
            assert np.asarray(Image.open(out / "in.png")).std() > 0


def test_a_new_run_with_their_options_has_their_metrics(system, tmp_path):
    """The same seed draws the same weights, noise and batches as it always did."""
    words = {
        "dcgan": "--dataset faces --dataset-size 16 --noise-size 8 --batch-size 4",
        "cyclegan": "--dataset bags --dataset-size 8 --discriminator-width 2 --residual-blocks 1"
        " --pool-size 3 --norm instance --load-size 32",
    }[system].split()
    words += ["--image-size", 16, "--width", 2, "--steps", 4, "--sample-every", 4]
    words += ["--threads", 1, "--seed", 1]
    old = json.loads((OLD / system / "config.json").read_text())["options"]
    if system == "dcgan":  # as the preset had it that held then
        words += ["--instance-noise", old["instance_noise"], "--activation", old["activation"]]
    words += ["--lr", old["lr"]]
    assert train(system, *words, "--out", tmp_path / "run", tiny=False) == 0
    for then, now in zip(rows(OLD / system), rows(tmp_path / "run"), strict=True):
        for name in set(then) - {"seconds"}:
            assert now[name] == pytest.approx(then[name], rel=2e-5), (then["step"], name)
