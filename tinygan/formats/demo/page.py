"""The page itself: a network, its weights, the interpreter and what is around them, in one file."""

from __future__ import annotations

import base64
import json
from importlib.resources import files

from jinja2 import Environment
from markupsafe import Markup

import tinygan
from tinygan.errors import UserError
from tinygan.formats.demo.describe import describe
from tinygan.layer import Layer

__all__ = ["page"]

_SIZES = (64, 128, 256, 512)


def page(system: str, name: str, options: dict, network: Layer, half: bool = False) -> str:
    """Return the HTML of a page that runs a generator.

    Parameters
    ----------
    system : {"dcgan", "cyclegan"}
    name : str
        The network's, ``"G"`` or ``"F"``.
    options : dict
        Of the run.
    network : Layer
    half : bool
        Keep the weights as 16-bit numbers; the file is half as long.
    """
    if name not in ("G", "F"):
        raise UserError(f"--network {name}: a page needs a generator, G or F")
    described, weights = describe(network, half)
    parameters = sum(parameter.size for parameter in network.parameters())
    size = options["image_size"]
    about = {"network": described, "half": half, "layers": _count(described)}
    if system == "dcgan":
        title, mode = "Pictures from noise", "draw"
        about |= {"noise": options["noise"], "noise_size": options["noise_size"]}
        what = f"A DCGAN of {parameters:,} weights draws {size} × {size} pixels."
    else:
        title, mode = "Pictures translated", "translate"
        about |= {"channels": options["channels"], "stride": 2 ** options["downsamplings"]}
        what = f"A CycleGAN's generator of {parameters:,} weights, trained at {size} pixels."
    return _template().render(
        title=title,
        what=what,
        mode=mode,
        size=size,
        sizes=sorted({*_SIZES, size}),
        noise=options.get("noise_size"),
        version=tinygan.__version__,
        interpreter=Markup(_text("interpreter.js")),
        script=Markup(_text("page.js")),
        network=_json(about | {"mode": mode}),
        weights=base64.b64encode(weights).decode(),
    )


def _count(described: dict) -> int:
    """Return how many layers are done in one pass, for the bar that shows how far it is."""
    return sum(1 + _count(layer) for layer in described.get("layers", ()))


def _json(value) -> Markup:
    text = json.dumps(value, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # nothing in it can end the script element


def _text(name: str) -> str:
    return files("tinygan.formats.demo").joinpath(name).read_text(encoding="utf-8")


def _template():
    environment = Environment(autoescape=True, trim_blocks=True, keep_trailing_newline=True)
    return environment.from_string(_text("page.html.jinja"))
