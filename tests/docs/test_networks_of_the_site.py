"""The networks that run in a page of the site: their pixels against tinygan's, in a browser."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import answer_of, needs_chromium

from tinygan.data import bags, to_uint8
from tinygan.runs.run import load
from tinygan.systems.draws import FRESH

ROOT = Path(__file__).resolve().parents[2]
STATIC = ROOT / "docs" / "_static"


@pytest.fixture(scope="module")
def touch():
    sys.path.insert(0, str(ROOT / "docs" / "_ext"))
    try:
        pytest.importorskip("sphinx")
        import touch
    finally:
        sys.path.pop(0)
    return touch


def bundled(touch, name):
    path = touch.checkpoint(name)
    if not path.is_file():
        pytest.skip(f"this copy has no {path.name}")
    return load(path, backend="numpy")


@pytest.fixture(scope="module")
def bag_run(tmp_path_factory):
    """A CycleGAN's run of one step."""
    from tinygan.train.__main__ import main as train

    out = tmp_path_factory.mktemp("bags") / "run"
    words = ["--steps=1", "--dataset-size=8", "--width=8", "--image-size=16", "--residual-blocks=1"]
    assert train(["cyclegan", *words, "--out", str(out)]) == 0
    return out


def play(kind, name, touch, model, script, folder):
    """Open a page with a figure and run a script in it; return what it answers, from JSON."""
    scripts = ("network", "latent", "translator")
    code = "".join(f"<script>{(STATIC / f'{s}.js').read_text('utf-8')}</script>" for s in scripts)
    style = (STATIC / "tinygan.css").read_text("utf-8")
    host = (
        f'<div class="tg-widget" data-widget="{kind}" data-model="{name}">'
        '<button type="button">Load</button></div>'
    )
    page = (
        f'<!doctype html><html lang="en"><style>{style}</style><body>{host}{code}'
        "<script>var asked = () => performance.getEntriesByType('resource')"
        ".filter((e) => e.name.includes('models')).length;"
        "var loaded = async (host) => { while (!host.dataset.ready)"
        " await new Promise((r) => setTimeout(r, 20)); };"
        "var pixels = (e) => { const c = new OffscreenCanvas(e.width, e.height).getContext('2d');"
        "c.drawImage(e, 0, 0);"
        "return [...c.getImageData(0, 0, e.width, e.height).data].filter((_, i) => i % 4 < 3); };"
        "</script></body></html>"
    )
    files = {
        "/models/interpreter.js": touch.INTERPRETER.read_bytes(),
        f"/models/{name}.js": touch.script_of(name, model).encode(),
    }
    later = f'addEventListener("load", async () => {{ {script} }});'
    return json.loads(answer_of(page, later, folder / "profile", 390, files))


LATENT = """
const host = document.querySelector("[data-widget]"), said = {before: asked()};
host.querySelector("button").click();
await loaded(host);
const pad = host.querySelector(".tg-pad"), faces = pad.querySelectorAll("canvas");
const big = host.querySelector(".tg-pair > canvas");
said.after = asked();
said.corners = [...faces].map(pixels);
said.middle = pixels(big);
const key = (name) => pad.dispatchEvent(new KeyboardEvent("keydown", {key: name}));
for (let k = 0; k < 7; k++) { key("ArrowLeft"); key("ArrowUp"); }
said.left = [host.dataset.u, host.dataset.v, ...pixels(big)];
pad.setPointerCapture = () => {};
const box = pad.getBoundingClientRect();
pad.dispatchEvent(new PointerEvent("pointerdown",
  {clientX: box.x + box.width / 4, clientY: box.y + box.height / 2, pointerId: 1}));
said.finger = [host.dataset.u, host.dataset.v];
const slider = host.querySelector("input");
slider.value = 3;
slider.dispatchEvent(new Event("input"));
said.moved = pixels(big);
const [another, middle] = host.querySelectorAll("button");
middle.click();
said.slider = slider.value;
another.click();
said.other = pixels(faces[0]);
said.fits = document.documentElement.scrollWidth <= innerWidth;
said.letters = Math.min(...[...host.querySelectorAll("span, p, button")]
  .map((e) => parseFloat(getComputedStyle(e).fontSize)));
answer(JSON.stringify(said));
"""


@needs_chromium
@pytest.mark.parametrize("which", ["bundled", "fresh"])
def test_the_latent_explorer_draws_what_the_generator_draws(which, touch, shared_run, tmp_path):
    run = bundled(touch, "faces") if which == "bundled" else load(shared_run, backend="numpy")
    size = run.options.noise_size
    direction = np.full(size, 1 / np.sqrt(size))
    model = touch.faces_model(run, [("a direction", direction)])
    said = play("latent", "faces", touch, model, LATENT, tmp_path)
    G, z = run.networks["G"], np.array(model["corners"], np.float32)
    moved = z[0] * 0.375 + z[1] * 0.125 + z[2] * 0.375 + z[3] * 0.125
    moved = np.clip(moved + 3 * 0.08 * np.sqrt(size) * np.round(direction, 4), -1, 1)
    wanted = to_uint8(G.predict(np.stack([*z, z.mean(axis=0), moved]).astype(np.float32)))
    shown = [*said["corners"], said["middle"], said["moved"]]
    assert (said["before"], said["after"]) == (0, 2)  # nothing is loaded before the click
    for pixels, picture in zip(shown, wanted, strict=True):
        np.testing.assert_allclose(
            pixels, picture.repeat(3 // picture.shape[-1], -1).ravel(), atol=1
        )
    assert said["left"] == ["0.00", "0.00", *said["corners"][0]]
    assert said["finger"] == ["0.25", "0.50"]
    assert said["slider"] == "0"
    assert said["other"] != said["corners"][0]
    assert said["fits"]
    assert said["letters"] >= 11


TRANSLATOR = """
const host = document.querySelector("[data-widget]"), said = {before: asked()};
host.querySelector("button").click();
tinyganPage.load("bags");  // at the same time
await loaded(host);
said.after = asked();
const [before, after, truth] = host.querySelectorAll("figure canvas");
const bags = host.querySelectorAll(".tg-strip button");
said.translated = [];
for (const bag of bags) { bag.click(); said.translated.push(pixels(after)); }
said.words = host.querySelector("p").textContent;
said.truth = pixels(truth);
const [dye, clean] = host.querySelectorAll(".tg-bar button");
dye.click();
said.dyed = [host.dataset.painted, pixels(before), pixels(after)];
clean.click();
before.setPointerCapture = () => {};
const box = before.getBoundingClientRect();
before.dispatchEvent(new PointerEvent("pointerdown",
  {clientX: box.x + box.width / 2, clientY: box.y + box.height / 2, pointerId: 1}));
said.painted = [host.dataset.painted, pixels(before)];
said.fits = document.documentElement.scrollWidth <= innerWidth;
answer(JSON.stringify(said));
"""


@needs_chromium
@pytest.mark.parametrize("which", ["bundled", "fresh"])
def test_a_bag_is_translated_as_the_network_translates_it(which, touch, bag_run, tmp_path):
    run = bundled(touch, "bags") if which == "bundled" else load(bag_run, backend="numpy")
    model = touch.bags_model(run, count=3)
    said = play("translator", "bags", touch, model, TRANSLATOR, tmp_path)
    size, network = run.options.image_size, run.networks[run.translating().directions["AtoB"]]
    x, y = (
        bags(3, size, domain=name, start=FRESH).images.astype(np.float32)
        for name in ("handbag", "backpack")
    )
    assert (said["before"], said["after"]) == (0, 2)
    wanted = to_uint8(network.predict(x / 127.5 - 1))
    np.testing.assert_allclose(said["translated"], wanted.reshape(3, -1), atol=2)
    np.testing.assert_allclose(said["truth"], y[2].ravel(), atol=1)
    made = network.predict(x[2:] / 127.5 - 1)
    for value in (abs(made - (y[2:] / 127.5 - 1)).mean(), abs(x[2] - y[2]).mean() / 127.5):
        assert f"{value:.2f}" in said["words"] or f"{value:.3f}" in said["words"]
    painted, dyed, after = said["dyed"]
    assert painted == "true"
    dyed = np.reshape(dyed, (1, size, size, 3)).astype(np.float32)
    assert (dyed[0] != x[2]).any(axis=-1).mean() > 0.05
    again = to_uint8(network.predict(dyed / 127.5 - 1))
    np.testing.assert_allclose(after, again.ravel(), atol=3)
    painted, picture = said["painted"]
    assert painted == "true"
    blue = (np.reshape(picture, (-1, 3)) == [0x20, 0x60, 0xC0]).all(axis=-1).sum()
    assert 4 <= blue <= 16  # a brush, not the whole
    assert said["fits"]


def test_a_copy_without_the_networks_says_so(touch, tmp_path, monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setattr(touch, "BUNDLED", tmp_path)
    app = SimpleNamespace(outdir=tmp_path)
    touch.write_models(app)
    assert [p.name for p in (tmp_path / "_static" / "models").iterdir()] == ["interpreter.js"]
    directive = SimpleNamespace(
        arguments=["faces"], env=SimpleNamespace(app=app, note_dependency=lambda path: None)
    )
    (node,) = touch.Touch.run(directive)
    assert "comes without the network" in node.astext()
