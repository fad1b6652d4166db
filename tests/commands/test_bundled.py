"""The runs that come with tinygan."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinygan
from tinygan.data import bags
from tinygan.evaluate.__main__ import main as evaluate
from tinygan.generate.__main__ import main as generate
from tinygan.options.flags import parse_flags
from tinygan.options.resolving import resolve, stored
from tinygan.runs.header import read_checkpoint
from tinygan.runs.load import BUNDLED, bundled
from tinygan.systems import find
from tinygan.translate.__main__ import main as translate

FILES = {name: bundled(Path(name)) for name in BUNDLED}


def test_they_are_small_and_nothing_else_is_there():
    folder = Path(tinygan.__file__).parent / "bundled"
    files = {path.name for path in folder.iterdir()}
    assert files == {path.name for path in FILES.values()} | {f"{name}.json" for name in FILES}
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8e6


@pytest.mark.parametrize("name", BUNDLED)
def test_what_is_noted_beside_one_is_what_it_is(name):
    noted = json.loads(FILES[name].with_suffix(".json").read_text())
    run = tinygan.load(name, backend="numpy")
    assert run.step == noted["steps"] == read_checkpoint(FILES[name]).step
    assert FILES[name].stat().st_size == noted["bytes"]
    system, *words = noted["command"].split()[3:]
    cls = find(system)
    due = stored(resolve(cls.Options, parse_flags(cls.Options, cls.title, words, "train")))
    own = stored(run.options)
    settled = {"backend", "threads", "keep", "load_size", "schedule_epochs"}  # when it began
    settled |= {"sync_batch_norm"}  # later than the runs
    assert {key for key in own if own[key] != due[key]} <= settled
    run.system.load_data()
    assert run.system.score() == pytest.approx(noted["distance"], rel=0.02)


def test_the_faces_are_drawn(tmp_path, capsys):
    out = tmp_path / "a.png"
    assert generate(["--demo", "--count", "12", "--out", str(out), "--backend", "numpy"]) == 0
    assert "12 pictures of" in capsys.readouterr().out
    assert Image.open(out).size[0] > 8 * 32
    pictures = tinygan.load("demo-faces", backend="numpy").generate(64)
    assert pictures.std(axis=0).mean() > 0.1


@pytest.mark.parametrize("direction", ["AtoB", "BtoA"])
def test_bags_are_translated_nearer_to_the_truth_than_they_were(direction, tmp_path, capsys):
    run = tinygan.load("demo-bags", backend="numpy")
    pairs = [bags(24, run.options.image_size, 7, d).images for d in ("handbag", "backpack")]
    x, true = (tinygan.data.to_float(p) for p in (pairs if direction == "AtoB" else pairs[::-1]))
    assert abs(run.translate(x, direction) - true).mean() < 0.75 * abs(x - true).mean()
    out = tmp_path / "a.png"
    words = ["--demo", "--direction", direction, "--out", str(out)]
    assert translate([*words, "--backend", "numpy"]) == 0
    assert "the mean distance is" in capsys.readouterr().out
    cell = run.options.image_size + 2
    assert Image.open(out).size == (8 * cell + 2, 3 * cell + 2)
    assert translate(words) == 2
    assert "--force" in capsys.readouterr().err
    assert translate(["--demo", "--out", str(tmp_path / "folder")]) == 2
    assert "expected the name of a .png file" in capsys.readouterr().err


def test_pictures_of_ones_own_go_through_the_demo_too(tmp_path):
    picture = bags(1, 32).images[0]
    Image.fromarray(picture).save(tmp_path / "a.png")
    words = ["--input", str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert translate(["--demo", *words, "--backend", "numpy"]) == 0
    made = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    assert made.shape == picture.shape
    assert translate(["--demo", "--input", str(tmp_path / "a.png")]) == 2


def test_a_folder_of_ones_own_with_that_name_comes_first(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("demo-faces").mkdir()
    assert generate(["--demo"]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_other_commands_take_them_by_name(tmp_path):
    words = ["demo-faces", "--count", "64", "--out", str(tmp_path), "--dataset", "faces"]
    assert evaluate([*words, "--backend", "numpy"]) == 0
    assert (tmp_path / "measures.json").exists()
