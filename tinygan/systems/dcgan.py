"""The DCGAN of the first paper: images from noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.layer import Layer
from tinygan.layers import GaussianNoise
from tinygan.layers.sequential import Sequential
from tinygan.models import dcgan
from tinygan.objectives import OBJECTIVES, NonSaturating
from tinygan.optim import Optimizer
from tinygan.options.base import inherit, option
from tinygan.options.kinds import choice, number, whole
from tinygan.options.presets import Preset
from tinygan.systems.augmenting import augment_option, augmentations, lr_d_option
from tinygan.systems.draws import Draws, DrawsOptions
from tinygan.systems.learning import make_optimizer, optimizer_option
from tinygan.systems.words import read_words

__all__ = ["DCGAN", "DCGANOptions"]

_NOISE, _INSTANCE_NOISE, _AUGMENT = 101, 103, 104  # what a random number is for, see System.random

_OPEN = {  # what the paper leaves open in all three experiments
    "width": 64,
    "negative_slope": 0.2,
    "objective": "non_saturating",
    "crop": None,
}
_NOTES = {
    "objective": "the paper gives both, section II.C",
    "negative_slope": "a leak α is named but no value",
}
_GENERAL = {"image_size": 64, "channels": 3, "noise_size": 200, "noise": "uniform"}  # section II.A
_FIRST = {"batch_size": 128, "beta1": 0.5, "label_smoothing": 0.9}

PRESETS = {
    "celebrity-relu": Preset(
        "experiment 1 (section III.A): Celebrity-100k with ReLU; the paper saw it collapse",
        stated={**_GENERAL, **_FIRST, "lr": 1e-4, "activation": "relu", "epochs": 30},
        assumed=_OPEN,
        notes=_NOTES,
    ),
    "celebrity-leaky": Preset(
        "experiment 2 (section III.A): Celebrity-100k with leaky ReLU; varied faces",
        stated={**_GENERAL, "lr": 2e-4, "activation": "leaky_relu"},
        assumed={**_OPEN, **_FIRST, "epochs": 30},
        notes=_NOTES
        | dict.fromkeys((*_FIRST, "epochs"), "as in experiment 1, which it varies")
        | {"lr": 'the text calls 0.001 "the initial value", experiment 1 used 0.0001'},
    ),
    "celeba": Preset(
        "experiment 3 (section III.B): CelebA with leaky ReLU",
        stated={**_GENERAL, **_FIRST, "lr": 1e-4, "activation": "leaky_relu", "epochs": 10},
        assumed={**_OPEN, "crop": 108 / 178},
        notes=_NOTES
        | {"crop": '"we crop all images to center them around the face", by how much is open'},
    ),
    "quick": Preset(
        "without --data: the drawn faces, small enough to be done within five minutes on two cores",
        assumed={
            "dataset": "faces",
            "image_size": 32,
            "width": 32,
            "batch_size": 64,
            "activation": "leaky_relu",
            "lr": 5e-4,
            "instance_noise": 0.1,
            "steps": 1800,
            "sample_every": 100,
        },
    ),
}


_networks = partial(option, group="networks")
_objective = partial(option, group="objective")


@dataclass
class DCGANOptions(DrawsOptions):
    """The DCGAN's options."""

    presets = PRESETS

    image_size: int = inherit(DrawsOptions, "image_size", kind=choice(*dcgan.IMAGE_SIZES))
    width: int = _networks(
        64, whole(1), "channels next to the picture, doubled at each halving of the size"
    )
    activation: str = _networks(
        "relu", choice("relu", "leaky_relu"), "of the generator's hidden layers"
    )
    negative_slope: float = _networks(0.2, number(0, 1, metavar="A"), "of the leaky ReLUs")
    optimizer: str = optimizer_option()
    beta1: float = option(0.5, number(0, below=1, metavar="B"), "Adam's first β", group="learning")
    lr_d: float | None = lr_d_option()
    label_smoothing: float = _objective(
        0.9,
        number(0, 1, metavar="T"),
        "the target for real pictures in D's cross-entropy; 1 is no smoothing",
    )
    objective: str = _objective(
        "non_saturating",
        choice(*OBJECTIVES),
        "what G and D play for: cross-entropy with G's loss -log D(G(z)), or log(1 - D(G(z))), "
        "least squares, or hinge losses",
        was="generator_loss",
    )
    instance_noise: float = _objective(
        0.0,
        number(0, metavar="SD"),
        "standard deviation of noise added to all pictures that D sees; "
        "it helps where D wins too easily",
    )
    augment: str | None = augment_option()


_WORDS = read_words(Path(__file__).with_name("dcgan.toml"))


class DCGAN(Draws):
    """The generator, the discriminator, and images of one kind."""

    name = "dcgan"
    title = "a DCGAN: pictures from noise"
    Options = DCGANOptions
    metric_names = ("loss_D", "loss_D_real", "loss_D_fake", "loss_G", "D_real", "D_fake")
    labels = {"loss_D": "loss D", "loss_G": "loss G", "D_real": "D(x)", "D_fake": "D(G(z))"}
    panels, advice = _WORDS.panels, _WORDS.advice

    def build_networks(self, rng: np.random.Generator) -> dict[str, Layer]:
        o = self.options
        G = dcgan.generator(
            o.image_size, o.channels, o.noise_size, o.width, o.activation, o.negative_slope, rng
        )
        D = dcgan.discriminator(o.image_size, o.channels, o.width, o.negative_slope, rng)
        return {"G": G, "D": D}

    def build_optimizers(self) -> dict[str, Optimizer]:
        o = self.options
        rates = {"G": o.lr, "D": o.lr if o.lr_d is None else o.lr_d}
        return {
            f"{o.optimizer}_{name}": make_optimizer(
                o.optimizer, network.parameters(), rates[name], o.beta1
            )
            for name, network in self.networks.items()
        }

    def step(self, batch: np.ndarray, step: int) -> dict[str, Any]:
        o = self.options
        objective = OBJECTIVES[o.objective]
        smoothed = (o.label_smoothing,) if issubclass(objective, NonSaturating) else ()
        augment = augmentations(o.augment, (o.seed, _AUGMENT, step))
        if o.instance_noise:
            augment.append(GaussianNoise(o.instance_noise, (o.seed, _INSTANCE_NOISE, step)))
        x, z = self.upload(batch, self.noise(len(batch), self.random(_NOISE, step)))
        return dcgan.train_step(
            self.networks["G"],
            self.networks["D"],
            self.optimizers[f"{o.optimizer}_G"],
            self.optimizers[f"{o.optimizer}_D"],
            x,
            z,
            objective=objective(*smoothed),
            augment=Sequential(*augment),
        )

    def scores(self, metrics: dict[str, float]) -> tuple[float, float]:
        return metrics["D_real"], metrics["D_fake"]
