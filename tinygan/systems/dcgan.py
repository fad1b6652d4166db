"""The DCGAN of the first paper: images from noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinygan.layer import Layer, Sequential
from tinygan.layers import GaussianNoise
from tinygan.models import dcgan
from tinygan.objectives import OBJECTIVES, NonSaturating
from tinygan.optim import Adam, Optimizer
from tinygan.systems.augmenting import augment_option, augmentations, lr_d_option
from tinygan.systems.draws import Draws, DrawsOptions
from tinygan.systems.kinds import choice, number, whole
from tinygan.systems.options import inherit, option
from tinygan.systems.presets import Preset
from tinygan.systems.system import Panel

__all__ = ["DCGAN", "DCGANOptions"]

_NOISE, _INSTANCE_NOISE, _AUGMENT = (
    101,
    103,
    104,
)  # what a random number is for, see `System.random`

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


class DCGAN(Draws):
    """The generator, the discriminator, and images of one kind."""

    name = "dcgan"
    title = "a DCGAN: pictures from noise"
    Options = DCGANOptions
    metric_names = ("loss_D", "loss_D_real", "loss_D_fake", "loss_G", "D_real", "D_fake")
    labels = {"loss_D": "loss D", "loss_G": "loss G", "D_real": "D(x)", "D_fake": "D(G(z))"}
    panels = (
        Panel(
            "Losses of discriminator and generator",
            {"D": "loss_D", "G": "loss_G"},
            (
                "The two play against each other, so neither loss shows how good the pictures are: "
                "each is measured by an opponent that changes. A falling loss is no progress and a "
                "rising one no failure. That both stay in a band, none running off to zero or "
                "upwards, is what a healthy game looks like.",
                "If D could do no better than toss a coin, its loss would be log 4 = 1.39 and G's "
                "log 2 = 0.69: the dashed lines. In practice D stays below and G above. D near "
                "zero while G climbs: D is winning, and G learns little from a judge that is never "
                "in doubt. D at its line while the pictures are poor: D has lost.",
                "When to stop? Look at the samples, and measure: python -m tinygan.evaluate.",
            ),
            {"D, coin toss": 2 * math.log(2), "G, coin toss": math.log(2)},
        ),
        Panel(
            "D(x) and D(G(z)): what D thinks of real and of generated pictures",
            {"D(x)": "D_real", "D(G(z))": "D_fake"},
            (
                "The mean probability that D gives to being real: to the data, D(x), and to G's "
                "pictures, D(G(z)). The gap between the two is how well D tells them apart.",
                "Healthy: a gap that stays, neither closed nor complete. Gap near 1: D is winning. "
                "No gap: D has lost, or the pictures have become as good as the data, which your "
                "own eyes decide. With label smoothing D(x) is drawn to the smoothed label, not "
                "to 1.",
            ),
            {"in doubt": 0.5},
            (0.0, 1.0),
        ),
    )
    advice = {
        "D is winning": (
            "If it does not pass by itself within an epoch or two, try: noise on D's input "
            "(--instance-noise 0.1); label smoothing (--label-smoothing 0.9, not 1); a lower --lr; "
            "--objective non_saturating; leaky ReLU in G (--activation leaky_relu); more "
            "data, as D can learn a small set by heart."
        ),
        "D has lost": (
            "Try: a higher --lr, a larger --width, less --instance-noise; and look at whether the "
            "data are what you think they are."
        ),
        "mode collapse": (
            "Try: a lower --lr (the paper went from 0.001 to 0.0002); leaky ReLU in G "
            "(--activation leaky_relu), which is what helped in the paper; --beta1 0.5; noise on "
            "D's input (--instance-noise 0.1); a larger --batch-size; label smoothing "
            "(--label-smoothing 0.9)."
        ),
    }

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
            f"adam_{name}": Adam(network.parameters(), rates[name], (o.beta1, 0.999))
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
            self.optimizers["adam_G"],
            self.optimizers["adam_D"],
            x,
            z,
            objective=objective(*smoothed),
            augment=Sequential(*augment),
        )

    def scores(self, metrics: dict[str, float]) -> tuple[float, float]:
        return metrics["D_real"], metrics["D_fake"]
