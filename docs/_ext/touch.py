"""Figures that run a whole network in the page, by the interpreter of ``tinygan demo``.

``.. touch:: faces`` and ``.. touch:: bags`` put a figure on a page.  The networks that come with
tinygan are written beside the site's scripts; ``network.js`` loads one when a reader asks for it.
"""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import numpy as np
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

import tinygan
from tinygan.data import bags
from tinygan.formats import demo
from tinygan.formats.demo.directions import attribute_directions
from tinygan.runs.run import load
from tinygan.systems.draws import FRESH

BUNDLED = Path(tinygan.__file__).parent / "bundled"
INTERPRETER = Path(demo.__file__).with_name("interpreter.js")
WORDS = {
    "faces": ("latent", "Load the face generator"),
    "bags": ("translator", "Load the bag translator"),
}


def checkpoint(name: str) -> Path:
    return BUNDLED / f"demo-{name}.safetensors"


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _network(network) -> dict:
    described, weights = demo.describe(network, half=True)
    return {"network": described, "weights": _text(weights)}


def faces_model(run, directions=None) -> dict:
    """Return a run's generator, and the directions of z along which an attribute changes."""
    if directions is None:
        directions = attribute_directions(run.system, run.options.dataset)
    z = run.system.noise(4, np.random.default_rng(2))
    return _network(run.networks["G"]) | {
        "noise": run.options.noise,
        "corners": np.round(z, 4).tolist(),
        "directions": [[label, np.round(d, 4).tolist()] for label, d in directions],
    }


def bags_model(run, count=8) -> dict:
    """Return a run's translator, handbags that it was not trained on, and the true backpacks."""
    size = run.options.image_size
    drawn = {
        name: bags(count, size, domain=domain, start=FRESH).images
        for name, domain in (("pictures", "handbag"), ("truth", "backpack"))
    }
    network = run.networks[run.translating().directions["AtoB"]]
    return _network(network) | {"size": size} | {k: _text(v.tobytes()) for k, v in drawn.items()}


def script_of(name: str, model: dict) -> str:
    """Return the script that hands a model to the page."""
    return f"(window.tinyganModels ??= {{}}).{name} = {json.dumps(model, separators=(',', ':'))};\n"


def write_models(app):
    """Write what is newer than what the site has."""
    folder = Path(app.outdir) / "_static" / "models"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(INTERPRETER, folder)
    for name, model in (("faces", faces_model), ("bags", bags_model)):
        source, target = checkpoint(name), folder / f"{name}.js"
        if not source.is_file():
            continue
        if not target.exists() or target.stat().st_mtime < source.stat().st_mtime:
            target.write_text(script_of(name, model(load(source, backend="numpy"))), "utf-8")


class Touch(SphinxDirective):
    required_arguments = 1

    def run(self):
        name = self.arguments[0]
        widget, words = WORDS[name]
        script = Path(self.env.app.outdir) / "_static" / "models" / f"{name}.js"
        if not script.is_file():
            text = "This copy of tinygan comes without the network that is shown here."
            return [nodes.paragraph("", text)]
        self.env.note_dependency(str(script))
        size = f"{script.stat().st_size / 1e6:.1f} MB"
        html = (
            f'<div class="tg-widget" data-widget="{widget}" data-model="{name}">'
            f'<button type="button" class="tg-load">{words} ({size})</button>'
            "<noscript>This figure needs JavaScript.</noscript></div>"
        )
        return [nodes.raw("", html, format="html")]


class RecordedReport(SphinxDirective):
    """``.. recorded-report::``: the page that a run leaves behind, in a frame that is opened."""

    def run(self):
        page = Path(self.env.srcdir) / "recorded" / "report.html"
        said = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
        for path in (page, page.with_suffix(".json")):
            self.env.note_dependency(str(path))
        html = (
            f"<p><em>Recorded</em> on {said['date']} by <code>{said['command']}</code> on "
            f"{said['machine']}; <code>docs/record.py</code> makes it again.  "
            '<a href="report.html">Open it as a page of its own</a>.</p>'
            '<details class="tg-solution" ontoggle="const f = this.querySelector(\'iframe\'); '
            'f.src ||= f.dataset.src"><summary>Show the report here '
            f"({page.stat().st_size / 1e6:.1f} MB)</summary>"
            '<iframe class="tg-report" data-src="report.html" '
            'title="The report of a finished run"></iframe></details>'
        )
        return [nodes.raw("", html, format="html")]


def setup(app):
    app.add_directive("recorded-report", RecordedReport)
    app.add_directive("touch", Touch)
    app.connect("builder-inited", write_models)
    return {"parallel_read_safe": True}
