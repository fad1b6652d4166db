"""Pictures that a generator made: by a run that draws, or found in a folder."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import numpy as np

from tinygan.data import ImageFolder, checksum, to_uint8
from tinygan.data.opening import shown
from tinygan.errors import UserError
from tinygan.options.base import Options, fields_of
from tinygan.runs.load import BUNDLED
from tinygan.runs.run import Run, load
from tinygan.systems.detects import Made, part_of
from tinygan.systems.draws import Draws
from tinygan.systems.one_kind import some
from tinygan.systems.system import refuse_above

__all__ = ["made_by", "options_of"]

_NOISE = {"training": 111, "validation": 112, "test": 113}  # what a random number is for
_SHARED = ("data", "dataset", "dataset_size", "range", "crop", "fit", "channels", "image_size")


def made_by(place: str, options: Any) -> Made:
    """Return what gives the pictures of a generator, of the size that `options` say.

    Parameters
    ----------
    place : str
        A run that draws, one of its checkpoints, or a folder, archive or array of pictures.
    options : Options
        Of the system that they are for.

    Raises
    ------
    UserError
        If it is none of these, or draws pictures of another size.
    """
    run = _run(place, options.backend)
    size, channels = options.image_size, options.channels
    if run is None:
        try:
            folder = ImageFolder(place, size, channels, options.crop, options.fit)
        except (UserError, OSError) as error:
            raise UserError(f"--generated {error}") from None
        images = folder.images
        name = os.path.basename(os.path.realpath(place)) or place
        mark = str(folder.description["checksum"])
        return Made(name, mark, lambda count, part: some(part_of(images, part), count))
    own: Any = run.options
    if (own.image_size, own.channels) != (size, channels):
        raise UserError(
            f"--generated {shown(place)}: expected pictures of {size} × {size} pixels and "
            f"{channels} channels, it draws {own.image_size} × {own.image_size} and "
            f"{own.channels}: give --image-size {own.image_size} --channels {own.channels}"
        )
    name = f"{run.system.name} {os.path.basename(run.path or place)}, step {run.step}"
    weights = [array for net in run.networks.values() for array in net.state_dict().values()]
    return Made(name, checksum(*weights), partial(_draw, run.drawing(), options.seed))


def _draw(system: Draws, seed: int, count: int, part: str) -> np.ndarray:
    """Return images that no other part has, as bytes: real ones are bytes, too."""
    o: Any = system.options
    refuse_above(5 * count * o.image_size**2 * o.channels, "the generated pictures", "their number")
    z = system.noise(count, (seed, _NOISE[part]))
    return np.concatenate([to_uint8(system.draw(z[i : i + 256])) for i in range(0, count, 256)])


def options_of(cls: type[Options], given: dict[str, Any]) -> dict[str, Any]:
    """Return the options that the real pictures of what ``--generated`` names had.

    Raises
    ------
    UserError
        If it is no run that would know, and no real pictures are given.
    """
    place = given.get("generated")
    if place is None:
        return {}
    run = _run(place, "numpy")
    if run is not None:
        known = {field.name for field in fields_of(cls)}
        return {name: getattr(run.options, name) for name in _SHARED if name in known}
    if not given.get("data") and not given.get("dataset"):
        there = "no run is" if os.path.exists(place) else "nothing is"
        raise UserError(
            f"--generated {shown(place)}: {there} there; name a run that draws, or a folder of "
            "generated pictures together with real ones: --data or --dataset"
        )
    return {}


def _run(place: str, backend: str) -> Run | None:
    """Return the run that draws at a place; None if there is none, but pictures, perhaps."""
    checkpoint = os.path.isfile(place) and place.endswith(".safetensors")
    bundled = place in BUNDLED and not os.path.exists(place)
    if not (checkpoint or bundled or os.path.isfile(os.path.join(place, "config.json"))):
        return None
    try:
        run = load(place, backend=backend)
        run.drawing()
    except UserError as error:
        hint = "; or name a folder of pictures that it made"
        raise UserError(f"--generated {error}{hint}") from None
    return run
