"""``report.html``: what is in it, that names are escaped, and that it works in a browser."""

import html
import json
import re
import shutil

import numpy as np
import pytest
from browser import answer_of, needs_chromium
from training import train

from tinygan.data import save_grid
from tinygan.runs.report import write_report
from tinygan.runs.report.curves import Curve, chart, ticks
from tinygan.runs.report.page import FRAMES

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
NASTY = "<script>alert(1)</script>\"'&"


@pytest.fixture(scope="module")
def run(run_copy):
    return run_copy


def text_of(page: str) -> str:
    page = re.sub(r"<(style|script).*?</\1>", "", page, flags=re.S)
    return html.unescape(re.sub(r"<[^>]+>", " ", page))


def test_training_leaves_a_whole_page(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    text = text_of(page)
    for word in ("finished", "dcgan", "7 of 7", "coin toss", "images/s", "label_smoothing"):
        assert word in text, word
    steps = re.findall(r'<img data-step="(\d+)"', page)
    assert steps == ["3", "6", "7"]
    assert page.count("<svg") == 4  # losses, scores, distance, diversity


def test_it_needs_nothing_but_itself(run):
    page = (run / "report.html").read_text(encoding="utf-8")
    for address in re.findall(r'(?:src|href|url)\s*[=(]\s*"?([^"\s>)]+)', page):
        assert address.startswith("data:"), address
    assert "http" not in re.sub(r'http-equiv|base64,[^"]*', "", page)


def test_it_refreshes_only_while_training(run):
    write_report(run, state="training")
    page = (run / "report.html").read_text(encoding="utf-8")
    assert 'id="refresh"' in page
    assert 'http-equiv="refresh"' in page
    write_report(run)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert 'id="refresh"' not in page
    assert 'http-equiv="refresh"' not in page


def test_names_of_the_user_are_escaped(run, tmp_path):
    copy = tmp_path / "a&b<i>"
    shutil.copytree(run, copy)
    config = json.loads((copy / "config.json").read_text())
    config["options"]["data"] = NASTY
    config["data"] = {"folder": NASTY}
    (copy / "config.json").write_text(json.dumps(config))
    with open(copy / "watch.jsonl", "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": 1, "warning": NASTY, "text": NASTY}) + "\n")
    page = write_report(copy, error=NASTY).read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "<i>" not in page.split("</header>")[0]
    assert text_of(page).count(NASTY) == 4
    assert "a&amp;b&lt;i&gt;" in page


def test_pictures_are_bounded(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    images = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3)).astype(np.uint8)
    for step in range(100, 190):
        save_grid(images, copy / "samples" / f"step-{step:06d}.png")
    (copy / "samples" / "step-000150.png").write_bytes(b"cut short")
    page = write_report(copy).read_text(encoding="utf-8")
    steps = [int(step) for step in re.findall(r'<img data-step="(\d+)"', page)]
    assert FRAMES - 2 <= len(steps) <= FRAMES
    assert (steps[0], steps[-1]) == (3, 189)


def test_a_run_that_has_only_begun(tmp_path):
    config = {"format": "tinygan run 1", "system": "dcgan", "options": {}, "total_steps": 9}
    (tmp_path / "config.json").write_text(json.dumps(config))
    page = write_report(tmp_path, state="training").read_text(encoding="utf-8")
    assert "0 of 9" in text_of(page)


def test_a_diverged_run_says_so(tmp_path):
    run = tmp_path / "run"
    assert train("--steps", 40, "--lr", 1e30, "--out", run) == 1
    text = text_of((run / "report.html").read_text(encoding="utf-8"))
    assert "Stopped:" in text
    assert "nan" in text.lower() or "inf" in text.lower()


def test_measures_and_neighbours_stand_in_it(run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    save_grid(np.zeros((6, 8, 8, 3), np.uint8), copy / "neighbours.png")
    sets = {
        "data": {"frechet": {"value": 12.5, "error": 0.5}, "memorised": {"pixels": 0.01}},
        "trained": {"frechet": {"value": 99.5, "error": 1.5}, "memorised": {"pixels": 0.25}},
    }
    result = {"title": NASTY, "pictures": 7, "features": "f", "sets": sets}
    result["neighbours"] = "neighbours.png"
    measures = {"step": 5, "data": NASTY, "results": [result]}
    (copy / "measures.json").write_text(json.dumps(measures))
    page = write_report(copy).read_text(encoding="utf-8")
    text = text_of(page)
    for word in ("Fréchet distance", "12.50 ± 0.50", "99.5 ± 1.5", "25.0 %"):
        assert word in text, word
    assert "<script>alert" not in page
    assert "nearest training pictures" in page
    (copy / "measures.json").write_text("{}")
    assert "None were taken yet" in text_of(write_report(copy).read_text(encoding="utf-8"))


def test_both_systems(tmp_path):
    run = tmp_path / "run"
    words = "cyclegan --dataset bags --dataset-size 4 --image-size 16 --width 4 --residual-blocks 1"
    words += " --discriminator-width 4 --steps 2 --backend numpy"
    assert train(*words.split(), "--out", run, tiny=False) == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    for word in ("Identity loss", "Cycle-consistency loss", "2 of 2"):
        assert word in text_of(page), word
    assert page.count("<svg") == 7


def test_curves_are_where_their_values_are():
    svg = chart([Curve("a<b", [1, 2, 3], [0.0, 1.0, 0.5])], {"half & half": 0.5}, (0, 1))
    (points,) = re.findall(r'class="line c0" points="([^"]+)"', svg)
    places = [tuple(map(float, p.split(","))) for p in points.split()]
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    top, middle, bottom = places[1][1], places[2][1], places[0][1]
    assert top < middle < bottom
    assert middle == pytest.approx((top + bottom) / 2, abs=0.1)
    (reference,) = re.findall(r'class="reference"[^>]* y1="([\d.]+)"', svg)
    assert float(reference) == pytest.approx(middle, abs=0.1)
    assert "half &amp; half" in svg
    many = np.arange(20_000)
    assert len(chart([Curve("", many, many)])) < 20_000
    assert "Nothing" in chart([Curve("", [], [])])


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-3.2, 7), (1, 2), (0, 123456), (0.001, 0.0042)])
def test_ticks_are_few_and_inside(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 11
    assert low - 1e-9 <= found[0]
    assert found[-1] <= high + 1e-9


@needs_chromium
@pytest.mark.parametrize("width", [1280, 375])
def test_in_a_browser_the_slider_moves_the_picture(run, tmp_path, width):
    page = write_report(run).read_text(encoding="utf-8")
    hand = """
      const seen = () => [...document.querySelectorAll("#frames img")]
        .filter((i) => i.offsetHeight > 0).map((i) => i.dataset.step).join();
      const all = [seen()];
      for (const value of [0, 1]) {
        document.getElementById("when").value = value;
        document.getElementById("when").dispatchEvent(new Event("input"));
        all.push(seen() + "=" + document.getElementById("which").textContent);
      }
      all.push(document.documentElement.scrollWidth > innerWidth ? "too wide" : "fits");
      answer(all.join("; "));"""
    found = answer_of(page, hand, tmp_path / "profile", width)
    assert found == "7; 3=step 3; 6=step 6; fits"
