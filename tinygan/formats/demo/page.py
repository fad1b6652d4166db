"""The page itself: a network, its weights, the interpreter and what is around them, in one file."""

from __future__ import annotations

import base64
import json
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, Template
from markupsafe import Markup

import tinygan
from tinygan.formats.demo.describe import describe
from tinygan.formats.demo.directions import attribute_directions
from tinygan.runs.run import Run
from tinygan.systems.draws import Draws

__all__ = ["page"]

_SIZES = (64, 128, 256, 512)


def page(run: Run, direction: str | None = None, half: bool = False) -> str:
    """Return the HTML of a page that draws or translates with a run's network.

    Parameters
    ----------
    run : Run
    direction : str, optional
        Of a run that translates, ``"AtoB"``.
    half : bool
        Keep the weights as 16-bit numbers; the file is half as long.

    Raises
    ------
    UserError
        If the run neither draws nor translates, or a layer is not one that the page can run.
    """
    system, size = run.system, run.options.image_size
    options: Any = run.options
    if isinstance(system, Draws):
        title, mode, name = "Pictures from noise", "draw", "G"
        facts: dict[str, Any] = {"noise": options.noise, "noise_size": options.noise_size}
        found = attribute_directions(system, system.data.get("dataset", ""))
        facts["directions"] = [[label, np.round(d, 4).tolist()] for label, d in found]
    else:
        title, mode = "Pictures translated", "translate"
        name = run.translating().directions[run.direction(direction)]
        facts = {"channels": options.channels, "stride": run.translating().multiple}
        facts["factor"] = run.translating().factor
    described, weights = describe(run.networks[name], half)
    count = sum(parameter.size for parameter in run.networks[name].parameters())
    about = {"network": described, "half": half, "layers": _count(described), "mode": mode} | facts
    return _template().render(
        title=title,
        what=f"A network of {count:,} weights, trained at {size}\u00a0×\u00a0{size}\u00a0pixels.",
        mode=mode,
        size=size,
        sizes=sorted({*_SIZES, size}),
        noise=facts.get("noise_size"),
        version=tinygan.__version__,
        interpreter=Markup(_text("interpreter.js")),
        script=Markup(_text("page.js")),
        network=_json(about),
        weights=base64.b64encode(weights).decode(),
    )


def _count(described: dict) -> int:
    """Return how many layers are done in one pass, for the bar that shows how far it is."""
    return sum(1 + _count(layer) for layer in described.get("layers", ()))


def _json(value: Any) -> Markup:
    text = json.dumps(value, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # nothing in it can end the script element


def _text(name: str) -> str:
    return files("tinygan.formats.demo").joinpath(name).read_text(encoding="utf-8")


def _template() -> Template:
    environment = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    return environment.from_string(_text("page.html.jinja"))
