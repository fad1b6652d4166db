"""The figures that can be touched: their numbers against tinygan's, their controls in a browser."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from browser import answer_of, needs_chromium
from PIL import Image

from tinygan import (
    Adam,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    LeakyReLU,
    Reshape,
    Sequential,
    bce_with_logits,
    frozen,
    minimax,
    mse,
    non_saturating,
)
from tinygan.convolution import convolve
from tinygan.metrics import sliced_wasserstein_points

STATIC = Path(__file__).resolve().parents[2] / "docs" / "_static"
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="there is no node")


def node(script: str, name: str):
    """Run a script in which ``api`` is what the module exports; return what it prints as JSON."""
    source = f"const api = require({json.dumps(str(STATIC / name))});\n{script}"
    done = subprocess.run([NODE, "-e", source], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def page(name: str, *scripts: str) -> str:
    """Return a page with one widget and the scripts that it needs."""
    style = (STATIC / "tinygan.css").read_text(encoding="utf-8")
    code = "".join(f"<script>{(STATIC / s).read_text(encoding='utf-8')}</script>" for s in scripts)
    host = f'<div class="tg-widget" data-widget="{name}"></div>'
    return f'<!doctype html><html lang="en"><style>{style}</style><body>{host}{code}</body></html>'


def touch(content: str, script: str, folder: Path):
    """Run a script on a page once it is there; return what it answers, from JSON."""
    later = f'addEventListener("load", () => {{ {script} }});'
    return json.loads(answer_of(content, later, folder / "profile", width=500))


# --- the GAN in two dimensions ---


def hinge_real(score):
    return None, np.where(score < 1, -1.0, 0.0) / score.size


def hinge_fake(score):
    return None, np.where(score > -1, 1.0, 0.0) / score.size


def to(target):
    return lambda score: bce_with_logits(score, target)


def square(target):
    return lambda score: mse(score, target)


OBJECTIVES = {
    "non-saturating": (to(1.0), to(0.0), non_saturating),
    "minimax": (to(1.0), to(0.0), minimax),
    "least squares": (square(1.0), square(0.0), square(1.0)),
    "hinge": (hinge_real, hinge_fake, lambda s: (None, np.full_like(s, -1.0 / s.size))),
}

ROUNDS = """
const random = api.generatorOf(7), n = 16;
const game = api.newGame(random, 8);
const copy = (net) => net.map(({w, b}) => ({w: [...w], b: [...b]}));
const start = {G: copy(game.G), D: copy(game.D)}, batches = [];
const batch = () => {
  const one = {n, x: api.points(api.DATA.ring, n, random), z: api.noise(n, random)};
  batches.push({x: [...one.x], z: [...one.z]});
  return one;
};
const settings = {lrG: 0.02, lrD: 0.01, beta1: 0.5, stepsD: 2, objective: OBJECTIVE};
for (let k = 0; k < 3; k++) api.round(game, settings, batch);
console.log(JSON.stringify({start, batches, end: {G: copy(game.G), D: copy(game.D)}}));
"""


def network(layers):
    """Build the same network of tinygan's parts: a 1×1 convolution is the affine layer."""
    parts = [Reshape(1, 1, 2)]
    for layer in layers:
        outs, ins = len(layer["b"]), len(layer["w"]) // len(layer["b"])
        affine = Conv2d(ins, outs, 1).to(dtype="float64")
        affine.weight.data[...] = np.reshape(layer["w"], (1, 1, ins, outs))
        affine.bias.data[...] = layer["b"]
        parts += [affine, LeakyReLU(0.2)]
    return Sequential(*parts[:-1], Reshape(outs))


@needs_node
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_gan_of_the_page_learns_what_tinygan_learns(objective):
    told = node(ROUNDS.replace("OBJECTIVE", json.dumps(objective)), "gan2d.js")
    real_rule, fake_rule, G_rule = OBJECTIVES[objective]
    G, D = network(told["start"]["G"]), network(told["start"]["D"])
    opt_G = Adam(G.parameters(), lr=0.02, betas=(0.5, 0.999))
    opt_D = Adam(D.parameters(), lr=0.01, betas=(0.5, 0.999))
    assert len(told["batches"]) == 6
    for k, batch in enumerate(told["batches"]):
        x, z = np.reshape(batch["x"], (-1, 2)), np.reshape(batch["z"], (-1, 2))
        fake, fake_backward = G(z)
        opt_D.zero_grad()
        for points, rule in ((x, real_rule), (fake, fake_rule)):
            score, backward = D(points)
            backward(rule(score)[1])
        opt_D.step()
        if k % 2:  # two steps of D, then one of G
            opt_G.zero_grad()
            with frozen(D):
                score, backward = D(fake)
            fake_backward(backward(G_rule(score)[1]))
            opt_G.step()
    for mine, theirs in ((G, told["end"]["G"]), (D, told["end"]["D"])):
        flat = [p.data.ravel() for p in mine.parameters()]
        want = [np.array(layer[name]) for layer in theirs for name in ("w", "b")]
        for a, b in zip(flat, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@needs_node
def test_the_distance_of_the_page_is_tinygans():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((50, 2)), 2 * rng.standard_normal((50, 2)) + 1
    told = node(
        f"console.log(api.distance({a.ravel().tolist()}, {b.ravel().tolist()}));", "gan2d.js"
    )
    assert told == pytest.approx(sliced_wasserstein_points(a, b, projections=4096), rel=0.02)


@needs_chromium
def test_the_gan_of_the_page_trains_by_button_and_keyboard(tmp_path):
    script = """
    const host = document.querySelector("[data-widget]");
    const [train, one, restart] = host.querySelectorAll("button");
    const said = [];
    one.focus(); one.click(); one.click();
    said.push(host.dataset.step);
    const rate = host.querySelectorAll("input[type=range]")[0];
    rate.value = 0; rate.dispatchEvent(new Event("input"));
    said.push(host.tinygan.state.settings.lrG);
    const curve = host.querySelectorAll("canvas")[1];
    const agree = () => curve.getAttribute("aria-label").includes(`: ${host.dataset.far} now`);
    train.click();
    const waiting = setInterval(() => {
      if (host.tinygan.state.past.length < 4) return;
      clearInterval(waiting);
      train.click();
      said.push(Number(host.dataset.step) > 2, train.textContent, agree());
      for (let k = 0; k < 300 && !host.dataset.far.endsWith("0"); k++) {
        host.tinygan.advance(1);
        host.tinygan.draw();
      }
      said.push(host.dataset.far.endsWith("0") && agree());
      restart.click();
      const canvas = host.querySelector("canvas"), box = canvas.getBoundingClientRect();
      const words = canvas.getAttribute("aria-label");
      const data = host.querySelector("select");
      data.value = "your own points"; data.dispatchEvent(new Event("change"));
      const at = (x) => ({clientX: box.x + x * box.width, clientY: box.y + box.height / 2});
      canvas.dispatchEvent(new PointerEvent("pointerdown", at(0.25)));
      canvas.dispatchEvent(new PointerEvent("pointermove", {...at(0.75), buttons: 1}));
      canvas.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowUp"}));
      canvas.dispatchEvent(new KeyboardEvent("keydown", {key: " "}));
      said.push(host.tinygan.state.own.map((p) => p.map((v) => Number(v.toFixed(1)))));
      said.push(host.tinygan.state.real.every((v, i) => i % 2 || Math.abs(v) < 2.2));
      said.push(host.dataset.step, words.length > 20,
        document.documentElement.scrollWidth <= innerWidth);
      answer(JSON.stringify(said));
    }, 50);
    """
    said = touch(page("gan2d", "gan2d.js", "gan2d_figure.js"), script, tmp_path)
    points = [[-1.6, 0], [1.6, 0], [0, 0.2]]
    assert said == ["2", 0.0001, True, "Train", True, True, points, True, "0", True, True]


# --- kernel, stride and padding ---


@needs_node
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [(4, 2, 1), (3, 2, 1), (5, 3, 2), (3, 1, 0), (1, 2, 0)]
)
def test_the_overlap_of_the_page_is_what_a_transposed_convolution_paints(kernel, stride, padding):
    told = node(
        f"const large = api.transposedSize(6, {kernel}, {stride}, {padding}, 0);"
        f"const small = api.outputSize(large, {kernel}, {stride}, {padding});"
        "console.log(JSON.stringify({large, small,"
        f"counts: api.overlap(6, large, {kernel}, {stride}, {padding})}}));",
        "convolution.js",
    )
    layer = ConvTranspose2d(1, 1, kernel, stride, padding, bias=False)
    layer.weight.data[...] = 1
    painted = layer.predict(np.ones((1, 6, 6, 1), np.float32))[0, :, :, 0]
    assert told["large"] == painted.shape[0]
    assert told["small"] == 6
    np.testing.assert_allclose(np.outer(told["counts"], told["counts"]), painted)


@needs_chromium
def test_the_window_moves_by_keyboard_and_finger_and_fits_a_phone(tmp_path):
    script = """
    const host = document.querySelector("[data-widget]"), figure = host.querySelector("svg");
    const said = [host.dataset.small, host.dataset.i];
    figure.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowDown", bubbles: true}));
    said.push(host.dataset.i);
    const cell = figure.querySelector('[data-i="0"][data-j="3"]').getBoundingClientRect();
    const at = {clientX: cell.x + 5, clientY: cell.y + 5, pointerId: 1, bubbles: true};
    figure.setPointerCapture = () => {};
    figure.dispatchEvent(new PointerEvent("pointerdown", at));
    said.push(host.dataset.i + host.dataset.j);
    const kernel = host.querySelector('input[name="kernel"]');
    kernel.value = 3; kernel.dispatchEvent(new Event("input"));
    said.push(host.dataset.even, document.documentElement.scrollWidth <= innerWidth);
    const letters = figure.querySelector("text").getBoundingClientRect().height;
    said.push(letters >= 11);
    answer(JSON.stringify(said));
    """
    said = touch(page("convolution", "convolution.js"), script, tmp_path)
    assert said == ["4", "1", "2", "03", "false", True, True]


# --- a film with a slider ---


@needs_chromium
def test_a_film_is_loaded_when_asked_for_and_shows_the_frame_of_its_slider(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    frames = [Image.new("RGB", (40, 20), colour) for colour in colours]
    strip, last = io.BytesIO(), io.BytesIO()
    Image.fromarray(np.concatenate(frames)).save(strip, "webp", lossless=True)
    frames[-1].save(last, "png")
    picture = f"data:image/png;base64,{base64.b64encode(last.getvalue()).decode()}"
    classes = "tg-film frames-3 film-of-a-film kilobytes-1"
    content = page("none", "film.js").replace(
        '<div class="tg-widget" data-widget="none"></div>',
        f'<img class="{classes}" alt="three colours" src="{picture}">',
    )
    script = """addEventListener("load", async () => {
    const asked = () => performance.getEntriesByType("resource")
      .filter((e) => e.name.endsWith("films/a-film.webp")).length;
    const image = document.querySelector("img"), box = image.closest(".tg-film-box");
    const [play, slider] = [box.querySelector("button"), box.querySelector("input")];
    const outer = box.querySelector(".tg-film-view");
    const height = () => Math.round(outer.getBoundingClientRect().height);
    const said = [asked(), slider.value, slider.getAttribute("aria-label"), height()];
    const there = new Promise((go) => image.addEventListener("load", go, { once: true }));
    slider.value = 1; slider.dispatchEvent(new Event("input"));
    await there.then(() => new Promise((go) => setTimeout(go)));
    const view = outer.getBoundingClientRect();
    const above = view.top - image.getBoundingClientRect().top;
    said.push(asked(), height(), Math.round(above / view.height), box.dataset.frame);
    slider.value = 2; slider.dispatchEvent(new Event("input"));
    play.click();
    said.push(play.textContent);
    while (play.textContent !== "Play" || box.dataset.frame !== "2")
      await new Promise((go) => setTimeout(go, 50));
    said.push(box.dataset.frame, document.documentElement.scrollWidth <= innerWidth);
    answer(JSON.stringify(said));
    });"""
    files = {"/films/a-film.webp": strip.getvalue()}
    said = json.loads(answer_of(content, script, tmp_path / "profile", 390, files))
    assert said == [0, "2", "three colours", 20, 1, 20, 1, "1", "Pause", "2", True]


# --- a kernel over a face, and batch norm line by line ---


@needs_node
def test_the_kernel_of_the_page_sees_what_a_convolution_sees():
    rng = np.random.default_rng(0)
    picture, kernel = rng.uniform(-1, 1, (7, 5)), rng.standard_normal(9)
    told = node(
        f"console.log(JSON.stringify(api.convolve3({picture.tolist()}, {kernel.tolist()})));",
        "kernel.js",
    )
    y = convolve(picture[None, :, :, None], kernel.reshape(3, 3, 1, 1), 1, 1)
    np.testing.assert_allclose(told, y[0, :, :, 0], atol=1e-12)


@needs_node
def test_every_line_of_batch_norm_on_the_page_is_tinygans():
    rng = np.random.default_rng(1)
    x, dy = rng.normal(3, 2, 6), rng.standard_normal(6)
    told = node(
        f"console.log(JSON.stringify(api.steps({x.tolist()}, {dy.tolist()}, 1.5, 0.5)));",
        "batchnorm.js",
    )
    values = {name: np.array(value) for name, _, value in told}
    layer = BatchNorm2d(1).to(dtype="float64")
    layer.weight.data[:], layer.bias.data[:] = 1.5, 0.5
    y, backward = layer(x.reshape(6, 1, 1, 1))
    dx = backward(dy.reshape(6, 1, 1, 1))
    np.testing.assert_allclose(values["y"], y.ravel(), rtol=1e-9)
    np.testing.assert_allclose(values["dx"], dx.ravel(), atol=1e-12)
    np.testing.assert_allclose(values["dγ"], layer.weight.grad[0], rtol=1e-9)
    np.testing.assert_allclose(values["dβ"], layer.bias.grad[0], rtol=1e-9)


@needs_chromium
def test_batch_norm_is_stepped_through_and_a_kernel_typed(tmp_path):
    script = """
    const host = document.querySelector("[data-widget]");
    const [back, next, all] = host.querySelectorAll("button");
    next.click(); next.click(); back.click();
    const said = [host.dataset.at, host.querySelectorAll("tr").length];
    all.click();
    const dx = JSON.parse(host.dataset.dx);
    said.push(Math.abs(dx.reduce((a, b) => a + b)) < 1e-9);
    const field = host.querySelector("input");
    field.value = 3; field.dispatchEvent(new Event("input"));
    said.push(host.dataset.dx !== JSON.stringify(dx));
    answer(JSON.stringify(said));
    """
    assert touch(page("batchnorm", "batchnorm.js"), script, tmp_path) == ["1", 2, True, True]
    picture = "".join(f"{value:02x}" for value in range(256))
    content = page("kernel", "kernel.js").replace("<div ", f'<div data-picture="{picture}" ', 1)
    script = """
    const host = document.querySelector("[data-widget]");
    host.querySelector("button").click();
    const said = [Number(host.dataset.low), Number(host.dataset.high)];
    const middle = host.querySelectorAll("input")[4];
    middle.value = 2; middle.dispatchEvent(new Event("input"));
    said.push(Number(host.dataset.high));
    middle.value = "1e308"; middle.dispatchEvent(new Event("input"));
    said.push(Number(host.dataset.high));
    answer(JSON.stringify(said));
    """
    (tmp_path / "second").mkdir()
    assert touch(content, script, tmp_path / "second") == [-1, 1, 2, 999]
