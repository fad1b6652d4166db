"""What is measured of a CycleGAN: its translations in both directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinygan.data import ImageFolder, bags
from tinygan.errors import UserError
from tinygan.evaluate.subjects import FRESH, Subject, at_most
from tinygan.runs.checkpoint import load_network
from tinygan.train.cyclegan_networks import build_generator
from tinygan.train.cyclegan_system import translate

__all__ = ["cyclegan_subjects"]


def cyclegan_subjects(options, checkpoint: Path, data, dataset, settings) -> list[Subject]:
    """Return two subjects: A to B, and B to A.

    The sets are the pictures left alone, translated by the untrained and by the trained network.
    Pictures set aside as ``testA/``, ``testB/`` are translated where there are such.
    """
    if dataset not in (None, "bags"):
        raise UserError(f"--dataset {dataset}: a cyclegan is measured on bags")
    drawn = dataset == "bags" or (data is None and not options["data"])
    load = _bags if drawn else _folders
    inputs, domains = load(options, data or options["data"], settings.count)
    training = domains
    if drawn and not options["data"]:
        training = _drawn_training(options)
    subjects = []
    for i, name in enumerate("GF"):
        there = domains[1 - i]
        count = at_most(min(settings.count, len(inputs[i])), len(there) // 2)
        originals = inputs[i][:count]
        sets = {"left alone": originals}
        for which in ("untrained", "trained"):
            network = build_generator(options, np.random.default_rng((options["seed"], i)))
            if which == "trained":
                load_network(checkpoint, network, name)
            sets[which] = translate(network.to(settings.backend), originals)
        subjects.append(
            Subject(
                f"translation {'AB'[i]} to {'BA'[i]}",
                there,
                training[1 - i],
                sets,
                truth=inputs[1 - i][:count] if drawn else None,
            )
        )
    return subjects


def _folders(options, root, count):
    root = Path(root)
    size = options["image_size"]

    def read(*names):
        for name in names:
            if (root / name).is_dir():
                folder = ImageFolder(root / name, size, options["channels"], fit=options["fit"])
                return folder.images
        raise UserError(f"{root}: expected a folder with trainA/ and trainB/ in it")

    inputs = [read(f"test{domain}", f"train{domain}") for domain in "AB"]
    return inputs, [read(f"train{domain}", f"test{domain}") for domain in "AB"]


def _bags(options, root, count):
    common = (options["image_size"], options["seed"])
    channels = options["channels"]
    domains = ("handbag", "backpack")
    inputs = [bags(count, *common, domain, channels, start=FRESH).images for domain in domains]
    fresh = [
        bags(2 * count, *common, domain, channels, start=2 * FRESH).images for domain in domains
    ]
    return inputs, fresh


def _drawn_training(options):
    """Return the bags that a run was trained on, at the size of the pictures."""
    common = (options["dataset_size"], options["image_size"], options["seed"])
    A = bags(*common, "handbag", options["channels"]).images
    B = bags(*common, "backpack", options["channels"], start=options["dataset_size"]).images
    return A, B
