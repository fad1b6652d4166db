"""The perceptual study: the page, what it asks, the answers it saves, and their score."""

import base64
import io
import json
import re

import numpy as np
import pytest
from browser import answer_of, needs_chromium
from PIL import Image
from training import train

from tinygan.data import faces
from tinygan.evaluate.subjects import Subject
from tinygan.study.__main__ import main
from tinygan.study.pairs import checksum, make_pairs
from tinygan.study.score import ANSWERS, wilson


@pytest.fixture(scope="module")
def run(run_copy):
    return run_copy


def study(*words) -> int:
    return main([*map(str, words), "--backend", "numpy"])


def data_of(page) -> dict:
    text = page.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="study" type="application/json">(.*?)</script>', text)[1])


def pixels(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))))


# --- the interval -----------------------------------------------------------------------------


@pytest.mark.parametrize(("right", "count"), [(0, 10), (1, 7), (20, 40), (39, 40), (5, 5)])
def test_wilson_is_where_the_score_test_just_holds(right, count):
    """Its ends are the shares p at which |k/n − p| is 1.96 standard errors *of p*."""
    low, high = wilson(right, count)
    assert 0 <= low <= right / count <= high <= 1
    for end in (low, high):
        if 0 < end < 1:
            distance = abs(right / count - end) / np.sqrt(end * (1 - end) / count)
            assert distance == pytest.approx(1.959964, rel=1e-6)


def test_wilson_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    for share in (0.5, 0.8):
        ends = [wilson(int(k), 40) for k in rng.binomial(40, share, 2000)]
        assert 0.92 < np.mean([low <= share <= high for low, high in ends]) < 0.98


# --- the pairs --------------------------------------------------------------------------------


def subject(title, count=20):
    real = faces(count, 16, seed=1).images
    made = np.full((count, 16, 16, 3), 1.0, np.float32) * np.linspace(-1, 1, count)[
        :, None, None, None
    ].astype(np.float32)
    return Subject(title, real, real, {"left alone": real, "trained": made})


def test_pairs_hold_one_real_and_one_generated_picture():
    one, two = subject("A to B"), subject("B to A")
    pairs = make_pairs([one, two], 15, "domain", 0)
    assert sorted(pair.kind for pair in pairs) == ["A to B"] * 8 + ["B to A"] * 7
    real = {image.tobytes() for image in one.data}
    assert all(pixels(pair.real).tobytes() in real for pair in pairs)
    assert all(pixels(pair.generated).std() == 0 for pair in pairs)
    assert len({pair.real for pair in pairs if pair.kind == "A to B"}) == 8  # none twice


def test_an_input_stands_beside_its_own_translation():
    one = subject("A to B")
    for pair in make_pairs([one], 20, "input", 0):
        levels = np.rint((np.linspace(-1, 1, 20) + 1) * 127.5)
        i = int(np.argmin(abs(levels - pixels(pair.generated)[0, 0, 0])))
        assert np.array_equal(pixels(pair.real), one.sets["left alone"][i])


def test_the_same_seed_makes_the_same_study():
    pairs = [make_pairs([subject("A")], 10, "domain", seed) for seed in (0, 0, 1)]
    assert checksum(pairs[0]) == checksum(pairs[1]) != checksum(pairs[2])


# --- the command ------------------------------------------------------------------------------


def test_it_writes_one_page(run, tmp_path, capsys):
    out = tmp_path / "study.html"
    assert study(run, "--pairs", 12, "--practice", 3, "--seconds", 0.5, "--out", out) == 0
    found = data_of(out)
    assert (found["practice"], found["seconds"], len(found["pairs"])) == (3, 0.5, 15)
    assert str(out) in capsys.readouterr().out
    addresses = re.findall(r'(?:src|href)="([^"]*)"', out.read_text(encoding="utf-8"))
    assert all(address.startswith("data:") for address in addresses)
    assert study(run, "--out", out) == 2
    assert "--force" in capsys.readouterr().err
    assert study(run, "--pairs", 4, "--out", out, "--force") == 0


def test_both_directions_of_a_cyclegan_are_mixed(tmp_path):
    run = tmp_path / "run <b>"
    words = "cyclegan --dataset bags --dataset-size 8 --image-size 16 --width 4 --residual-blocks 1"
    words += " --discriminator-width 4 --steps 1 --backend numpy"
    assert train(*words.split(), "--out", run, tiny=False) == 0
    assert study(run, "--pairs", 10) == 0
    found = data_of(run / "study.html")
    kinds = {pair["kind"] for pair in found["pairs"]}
    assert kinds == {"translation A to B", "translation B to A"}
    assert "run &lt;b&gt;" in (run / "study.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{tmp}/none"], "no such run folder"),
        ([], "name a run folder"),
        (["{run}", "--match", "input", "--out", "{tmp}/a.html"], "no input"),
        (["{run}", "--score", "x.json"], "no run"),
        (["--score", "{tmp}/none.json"], "no such file"),
        (["{run}", "--json"], "goes with --score"),
    ],
)
def test_mistakes_are_told_in_one_line(run, tmp_path, capsys, words, message):
    assert study(*(word.format(run=run, tmp=tmp_path) for word in words)) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


# --- the score --------------------------------------------------------------------------------


def answers(path, person, rights, study="abc", kind="from noise"):
    found = [{"kind": kind, "right": right} for right in rights]
    value = {"format": ANSWERS, "study": study, "person": person, "answers": found}
    path.write_text(json.dumps(value))
    return path


def test_answers_of_several_people_are_pooled(tmp_path, capsys):
    one = answers(tmp_path / "one.json", "1", [True] * 15 + [False] * 5)
    two = answers(tmp_path / "two.json", "2", [True] * 5 + [False] * 15, kind="other")
    assert study("--score", one, two) == 0
    printed = capsys.readouterr().out
    low, high = wilson(20, 40)
    assert f"all, 2 people  20 of 40 = 50.0% ({low:.1%} to {high:.1%}); fooled 50.0%" in printed
    assert re.search(r"one.json +15 of 20 = 75.0%", printed)
    assert re.search(r"other +5 of 20 = 25.0%", printed)
    assert "the interval holds 50 %" in printed


def test_the_score_as_json(tmp_path, capsys):
    one = answers(tmp_path / "one.json", "1", [True] * 3 + [False])
    assert study("--score", one, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    low, high = wilson(3, 4)
    assert found["all"] == {"right": 3, "count": 4, "share": 0.75, "low": low, "high": high}
    assert found["files"] == {str(one): found["all"]}


def test_answers_that_do_not_belong_together_are_refused(tmp_path, capsys):
    one = answers(tmp_path / "one.json", "1", [True])
    assert study("--score", one, answers(tmp_path / "b.json", "2", [True], study="x")) == 2
    assert "another study" in capsys.readouterr().err
    assert study("--score", one, answers(tmp_path / "c.json", "1", [True])) == 2
    assert "the same person" in capsys.readouterr().err
    for content in ("{", "[]", "{}", json.dumps({"format": ANSWERS, "study": "a", "answers": [1]})):
        (tmp_path / "bad.json").write_text(content)
        assert study("--score", tmp_path / "bad.json") == 2
        assert "bad.json" in capsys.readouterr().err


# --- the page in a browser --------------------------------------------------------------------


@needs_chromium
def test_in_a_browser_a_person_can_go_through_it(run, tmp_path, capsys):
    """An impatient person takes each left picture for real as soon as the pair has gone."""
    out = tmp_path / "study.html"
    assert study(run, "--pairs", 6, "--practice", 2, "--seconds", 0.2, "--out", out) == 0
    capsys.readouterr()
    person = """
      let gone = 0;
      URL.createObjectURL = (blob) => {
        blob.text().then((text) => answer(JSON.stringify({
          gone, saved: JSON.parse(text), score: document.getElementById("score").textContent,
        })));
        return "#";
      };
      document.getElementById("begin").click();
      setInterval(() => {
        const button = document.getElementById("choose-left");
        if (!button.disabled && document.getElementById("left").classList.contains("away")) {
          gone += 1;
          button.click();
        }
      }, 20);"""
    page = out.read_text(encoding="utf-8")
    found = json.loads(answer_of(page, person, tmp_path / "profile", width=400))
    assert found["gone"] == 8  # each pair went away before it was answered
    saved = found["saved"]["answers"]
    assert sorted(answer["pair"] for answer in saved) == [2, 3, 4, 5, 6, 7]
    assert all(answer["right"] == (answer["real"] == "left") for answer in saved)
    assert all(answer["milliseconds"] >= 200 for answer in saved)
    right = sum(answer["right"] for answer in saved)
    low, high = wilson(right, 6)
    text = f"{right} of 6 = {right / 6:.1%} ({low:.1%} to {high:.1%})"
    assert text.replace("%", " %") in found["score"]
    (tmp_path / "answers.json").write_text(json.dumps(found["saved"]))
    assert study("--score", tmp_path / "answers.json") == 0
    assert text in capsys.readouterr().out
