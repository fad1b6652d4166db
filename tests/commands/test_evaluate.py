"""``python -m tinygan.evaluate``: the measures of runs of both systems."""

import json

import numpy as np
import pytest
from PIL import Image
from training import train

from tinygan.data import faces, save_grid
from tinygan.evaluate.__main__ import main
from tinygan.evaluate.compare import compared
from tinygan.evaluate.measure import measure_subject, neighbour_sheet
from tinygan.evaluate.subjects import Subject
from tinygan.metrics import RandomFeatures
from tinygan.metrics.table import cell, table


@pytest.fixture(scope="module")
def run(run_copy):
    return run_copy


def evaluate(*words) -> int:
    return main([*map(str, words), "--backend", "numpy"])


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr("tinygan.evaluate.measure._PROBE", 300)


def test_a_run_on_drawn_faces(run, quick, capsys):
    assert evaluate(run, "--count", 60) == 0
    written = json.loads((run / "measures.json").read_text())
    assert (written["step"], written["checkpoint"]) == (7, "step-000007.safetensors")
    (result,) = written["results"]
    assert list(result["sets"]) == ["data", "untrained", "trained"]
    assert result["pictures"] == 60
    data, untrained, trained = result["sets"].values()
    for name in ("frechet", "kernel", "sliced_wasserstein"):
        assert data[name]["value"] < trained[name]["value"] - 2 * trained[name]["error"], name
        assert data[name]["value"] < untrained[name]["value"], name
        assert untrained[name]["error"] >= 0
    assert untrained["diversity"]["value"] < 0.1 < data["diversity"]["value"]
    assert untrained["coverage"] < 0.5 < data["coverage"]
    assert set(result["accuracy"]) == set(data["attributes"])
    assert data["memorised"]["pixels"] < 0.1
    with Image.open(run / result["neighbours"]) as sheet:
        assert sheet.size == (10 * 18 + 2, 3 * 18 + 2)
    printed = capsys.readouterr().out
    assert "Fréchet distance" in printed
    assert str(run / "measures.json") in printed


def test_a_folder_of_pictures_to_compare_with(run, quick, tmp_path):
    for i, image in enumerate(faces(64, 16, seed=77).images):
        save_grid(image[None], tmp_path / f"{i}.png", gutter=0)
    assert evaluate(run, "--data", tmp_path, "--count", 500) == 0
    (result,) = json.loads((run / "measures.json").read_text())["results"]
    assert result["pictures"] == 32  # half of them: the other half is the floor
    assert "coverage" not in result["sets"]["trained"]


def test_training_pictures_themselves_are_found_to_be_learnt_by_heart():
    images = faces(200, 16, seed=1).images
    fresh = faces(300, 16, seed=2).images
    features = RandomFeatures(16)
    copied = Subject("copies", fresh, images, {"trained": images[:100]})
    result = measure_subject(copied, features, 0)
    assert result["sets"]["trained"]["memorised"] == {"pixels": 1, "features": 1}
    sheet = neighbour_sheet(copied, result["neighbours"], 5)
    assert np.array_equal(sheet[:5], sheet[5:10])
    new = measure_subject(Subject("new", fresh, images, {"trained": fresh[:100]}), features, 0)
    assert new["sets"]["trained"]["memorised"]["pixels"] < 0.1
    assert "memorised, by pixels" in table(new)


def test_several_runs_give_one_table(run, quick, tmp_path, capsys):
    other = tmp_path / "other"
    assert train("--steps", 2, "--out", other) == 0
    assert evaluate(run, "--count", 20, "--out", tmp_path / "alone") == 0
    capsys.readouterr()
    assert evaluate(run, other, "--count", 20, "--out", tmp_path / "both") == 0
    last = capsys.readouterr().out.split("measures.json\n")[-1]
    [names] = [line.split() for line in last.splitlines() if line.endswith("good is")]
    assert names == ["data", run.name, "other", "good", "is"]
    written = {
        name: json.loads((tmp_path / "both" / name / "measures.json").read_text())
        for name in (run.name, "other")
    }
    for name, value in written.items():
        assert cell(value["results"][0]["sets"]["trained"], "frechet") in last, name
    alone = json.loads((tmp_path / "alone" / "measures.json").read_text())
    assert written[run.name]["results"] == alone["results"]


def test_json_and_nothing_else_on_standard_output(run, quick, tmp_path, capsys):
    words = ["--count", 20, "--out", tmp_path / "out", "--json"]
    assert evaluate(run, *words) == 0
    assert json.loads(capsys.readouterr().out)["results"][0]["pictures"] == 20
    assert evaluate(run, run / "checkpoints" / "step-000006.safetensors", *words) == 0
    found = json.loads(capsys.readouterr().out)
    assert [value["step"] for value in found.values()] == [7, 6]


def test_runs_of_other_data_and_other_tasks_are_told_apart():
    def of(title, floor, value):
        sets = {
            "data": {"frechet": floor},
            "untrained": {"frechet": 9},
            "trained": {"frechet": value},
        }
        return {"title": title, "pictures": 20, "features": "random", "sets": sets}

    a = {"results": [of("pictures", 1, 5)]}
    b = {"results": [of("pictures", 2, 6)]}
    c = {"results": [of("there", 3, 7), of("back", 4, 8)]}
    first, there, back = compared({"a": a, "b": b, "c": c})
    assert first["title"] == "pictures (compared with different data)"
    assert first["sets"] == {"a": {"frechet": 5}, "b": {"frechet": 6}}
    assert there["sets"] == {"data": {"frechet": 3}, "c": {"frechet": 7}}
    assert back["title"] == "back"


def test_both_directions_of_a_cyclegan(tmp_path, capsys):
    run = tmp_path / "run"
    words = "cyclegan --dataset bags --dataset-size 8 --image-size 16 --width 4 --residual-blocks 1"
    words += " --discriminator-width 4 --steps 2 --backend numpy"
    assert train(*words.split(), "--out", run, tiny=False) == 0
    assert evaluate(run, "--count", 20) == 0
    results = json.loads((run / "measures.json").read_text())["results"]
    assert [r["title"] for r in results] == ["translation A to B", "translation B to A"]
    for result in results:
        assert list(result["sets"]) == ["data", "left alone", "untrained", "trained"]
        assert result["sets"]["trained"]["error"]["value"] > 0.01
        assert (run / result["neighbours"]).exists()
    left_alone = [r["sets"]["left alone"]["error"]["value"] for r in results]
    assert left_alone[0] == pytest.approx(left_alone[1])
    assert "error to the true translation" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{tmp}/nothing"], "no such run folder"),
        (["{tmp}"], "not a run folder"),
        (["{run}", "--data", "{tmp}/nothing"], "there is no such folder"),
        (["{run}", "--dataset", "bags"], "measured on faces"),
        (["{run}", "--onnx", "{tmp}/nothing.onnx"], "onnx"),
        (["{run}", "--count", "8"], "too few pictures"),
        (["{run}", "--colour"], "unrecognized"),
    ],
)
def test_mistakes_are_told_in_one_line(run, tmp_path, capsys, quick, words, message):
    words = [word.format(run=run, tmp=tmp_path) for word in words]
    assert evaluate(*words) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]
