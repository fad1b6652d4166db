"""What is measured of a run: its pictures, those of the untrained network, and the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tinygan.data import DrawnImages, ImageFolder, faces
from tinygan.errors import UserError
from tinygan.machine.arrays import asarray, asnumpy
from tinygan.runs.checkpoint import load_network
from tinygan.train.dcgan_system import build_generator, load_images, noise

__all__ = ["FRESH", "Subject", "at_most", "dcgan_subjects", "subjects_of"]

_AT_ONCE = 64
FRESH = 2**30  # number of the first drawn picture that no run is trained on


@dataclass(frozen=True)
class Subject:
    """One thing a run does, and all that its pictures are measured against.

    Attributes
    ----------
    title : str
    data : ndarray
        Pictures of what should be made, uint8 ``(N, H, W, C)``; they are halved, and the distance
        between the halves is the floor.
    training : ndarray
        Pictures that were trained on, in which nearest neighbours are searched.
    sets : dict of str to ndarray
        Pictures to measure, the trained network's last; equally many each.
    drawn : callable or None
        From ``(count, start)`` to drawn pictures with their attributes, for drawn data.
    truth : ndarray or None
        The true translation of each picture of the sets.
    """

    title: str
    data: np.ndarray
    training: np.ndarray
    sets: dict[str, np.ndarray]
    drawn: Callable[[int, int], DrawnImages] | None = None
    truth: np.ndarray | None = field(default=None)


def subjects_of(
    options: dict, system: str, checkpoint: Path, data: str | None, dataset: str | None, settings
) -> list[Subject]:
    """Return what is to be measured of a run.

    Parameters
    ----------
    options : dict
        Of the run.
    system : {"dcgan", "cyclegan"}
    checkpoint : Path
    data, dataset : str or None
        A folder, or the name of a drawn set, to compare with instead of the run's own data.
    settings
        With `count`, `seed` and `backend`.
    """
    if system == "dcgan":
        return dcgan_subjects(options, checkpoint, data, dataset, settings)
    if system == "cyclegan":
        from tinygan.evaluate.translations import cyclegan_subjects

        return cyclegan_subjects(options, checkpoint, data, dataset, settings)
    raise UserError(f"{checkpoint}: no measures are known for a {system}")


def dcgan_subjects(options, checkpoint, data, dataset, settings) -> list[Subject]:
    """Return the one subject of a DCGAN: pictures from noise."""
    size, channels = options["image_size"], options["channels"]
    if dataset not in (None, "faces"):
        raise UserError(f"--dataset {dataset}: a dcgan is measured on faces")
    training = load_images(options)[0]
    drawn = None
    if dataset == "faces" or (data is None and not options["data"]):

        def drawn(count, start):
            return faces(count, size, options["seed"], channels, start=FRESH + start)

        images = drawn(2 * settings.count, 0).images
    elif data is not None:
        images = ImageFolder(data, size, channels, crop=options["crop"]).images
    else:
        images = training
    count = settings.count = at_most(settings.count, len(images) // 2)
    z = noise(options, count, np.random.default_rng(settings.seed))
    sets = {}
    for name in ("untrained", "trained"):
        G = build_generator(options, options["seed"])
        if name == "trained":
            load_network(checkpoint, G, "G")
        G.to(settings.backend)
        parts = (z[i : i + _AT_ONCE] for i in range(0, count, _AT_ONCE))
        made = [asnumpy(G.predict(asarray(part, settings.backend))) for part in parts]
        sets[name] = np.concatenate(made)
    return [Subject("pictures from noise", images, training, sets, drawn)]


def at_most(wanted: int, there: int) -> int:
    """Return how many pictures to compare; a UserError if that would be too few."""
    count = min(wanted, there)
    if count < 16:
        raise UserError(
            f"too few pictures to measure with: expected 16 or more, and twice as many of the "
            f"data; got {count}"
        )
    return count
