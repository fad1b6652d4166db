"""The figures under real keys and a real finger: a browser sends the events, not a script."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from browser import needs_chromium

from tinygan.runs.run import load

DOCS = Path(__file__).resolve().parents[2] / "docs"
STATIC = DOCS / "_static"
KEYS = {"ArrowDown": 40, "ArrowRight": 39, "ArrowLeft": 37, "Tab": 9, " ": 32, "Backspace": 8}

pytestmark = [
    needs_chromium,
    pytest.mark.skipif(shutil.which("chromedriver") is None, reason="there is no chromedriver"),
]


@pytest.fixture(scope="module")
def browser():
    sys.path.insert(0, str(DOCS))
    try:
        from chromium import Browser
    finally:
        sys.path.remove(str(DOCS))
    opened = Browser((390, 844))
    yield opened
    opened.close()


@pytest.fixture
def phone(browser, tmp_path):
    """Show a widget on a phone: phone(kind, scripts…) -> the browser."""

    def show(kind, *scripts, more=""):
        host = f'<div class="tg-widget" data-widget="{kind}"{more}><button>Load</button></div>'
        for name in scripts:
            shutil.copy(STATIC / f"{name}.js", tmp_path)
        code = "".join(f'<script src="{name}.js"></script>' for name in scripts)
        page = tmp_path / "page.html"
        page.write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width">'
            f'<link rel="stylesheet" href="{(STATIC / "tinygan.css").as_uri()}">'
            f'<body>{host}<p style="height: 2000px"></p>{code}',
            encoding="utf-8",
        )
        browser.resize((390, 844), mobile=True)
        browser.devtools("Emulation.setTouchEmulationEnabled", enabled=True)
        browser.open(page.as_uri())
        assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
        return browser

    return show


def press(browser, key, times=1, text=None):
    for _ in range(times):
        code = {"key": key, "windowsVirtualKeyCode": KEYS.get(key, ord(key[0].upper()))}
        more = {"text": text or key} if len(key) == 1 else {}
        browser.devtools("Input.dispatchKeyEvent", type="keyDown", **code, **more)
        browser.devtools("Input.dispatchKeyEvent", type="keyUp", **code)


def drag(browser, start, end):
    """Put a finger down at `start`, move it to `end`, lift it."""
    points = [[{"x": x, "y": y}] for x, y in (start, end)]
    for kind, at in (("touchStart", points[0]), ("touchMove", points[1]), ("touchEnd", [])):
        browser.devtools("Input.dispatchTouchEvent", type=kind, touchPoints=at)


def tab_to(browser, selector):
    """Press Tab until an element has the focus, as a reader does who has no mouse."""
    for _ in range(40):
        press(browser, "Tab")
        if browser.run("return document.activeElement.matches(arguments[0])", selector):
            return
    pytest.fail(f"Tab never leads to {selector}")


def said(browser, name):
    return browser.run("return document.querySelector('[data-widget]').dataset[arguments[0]]", name)


def middle(browser, selector):
    return browser.run(
        "const b = document.querySelector(arguments[0]).getBoundingClientRect();"
        "return [b.x + b.width / 2, b.y + b.height / 2];",
        selector,
    )


def test_the_window_of_a_convolution_follows_keys_and_a_finger(phone):
    browser = phone("convolution", "convolution")
    tab_to(browser, "svg")
    before = int(said(browser, "i"))
    press(browser, "ArrowDown")
    assert int(said(browser, "i")) == before + 1
    cells = [middle(browser, f'[data-i="{i}"][data-j="{j}"]') for i, j in ((0, 0), (0, 3))]
    drag(browser, *cells)
    assert (said(browser, "i"), said(browser, "j")) == ("0", "3")


def test_the_gan_learns_by_the_space_bar_and_its_rate_by_arrows(phone):
    browser = phone("gan2d", "gan2d", "gan2d_figure")
    tab_to(browser, "button:nth-of-type(2)")
    press(browser, " ", 3)
    assert said(browser, "step") == "3"
    tab_to(browser, "input[type=range]")
    rate = "return document.querySelector('[data-widget]').tinygan.state.settings.lrG"
    before = browser.run(rate)
    press(browser, "ArrowRight")
    assert browser.run(rate) > before


def test_a_number_is_typed_into_a_kernel(phone):
    picture = "".join(f"{value:02x}" for value in range(256))
    browser = phone("kernel", "kernel", more=f' data-picture="{picture}"')
    tab_to(browser, "input")
    before = said(browser, "high")
    press(browser, "Backspace", 3)
    press(browser, "9")
    assert browser.run("return document.activeElement.value") == "9"
    assert said(browser, "high") != before


def test_batch_norm_is_stepped_by_the_space_bar(phone):
    browser = phone("batchnorm", "batchnorm")
    tab_to(browser, "button:nth-of-type(2)")
    press(browser, " ", 4)
    assert said(browser, "at") == "4"


def test_a_finger_drags_through_the_latent_space_and_the_page_stays(phone, shared_run, tmp_path):
    pytest.importorskip("sphinx")
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        import touch
    finally:
        sys.path.remove(str(DOCS / "_ext"))
    run = load(shared_run, backend="numpy")
    model = touch.faces_model(run, [("a direction", np.ones(run.options.noise_size))])
    (tmp_path / "models").mkdir()
    shutil.copy(touch.INTERPRETER, tmp_path / "models" / "interpreter.js")
    (tmp_path / "models" / "m.js").write_text(touch.script_of("m", model), "utf-8")
    browser = phone("latent", "network", "latent", more=' data-model="m"')
    tab_to(browser, "button")
    press(browser, " ")
    browser.wait(
        "const done = arguments[0], look = () => document.querySelector('.tg-pad') ? done() : "
        "setTimeout(look, 20); look();"
    )
    tab_to(browser, ".tg-pad")
    press(browser, "ArrowRight", 2)
    assert said(browser, "u") == "0.70"
    box = "const b = document.querySelector('.tg-pad').getBoundingClientRect();"
    x, y, w, h = browser.run(box + "return [b.x, b.y, b.width, b.height]")
    drag(browser, (x + w / 2, y + h / 2), (x + w / 4, y + h * 3 / 4))
    assert (said(browser, "u"), said(browser, "v")) == ("0.25", "0.75")
    assert browser.run("return scrollY") == 0
