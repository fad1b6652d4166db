"""The CycleGAN's options, and the second paper's three tasks as presets."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from tinygan.data import DRAWN_SETS
from tinygan.errors import UserError
from tinygan.options.base import Options, inherit, option
from tinygan.options.kinds import choice, number, switch, whole
from tinygan.options.presets import Preset
from tinygan.systems.augmenting import augment_option, lr_d_option
from tinygan.systems.learning import optimizer_option

__all__ = ["CycleGANOptions"]

_STATED = {  # sections 2.2, 3.2 and 4, of all tasks: "we use the same settings"
    "lambda_gan": 1.0,
    "lambda_identity": 5.0,
    "lambda_cycle": 10.0,
    "lambda_discriminator": 0.5,
    "downsamplings": 2,
    "residual_blocks": 6,
    "discriminator_layers": 2,
    "epochs": 200,
    "schedule_epochs": 200,
}
_ASSUMED = {
    "decay_from": 100,
    "schedule": "paper",
    "lr": 2e-4,
    "beta1": 0.5,
    "batch_size": 1,
    "pool_size": 50,
    "image_size": 128,
    "load_size": 143,
    "width": 64,
    "discriminator_width": 64,
    "norm": "instance",
    "upsampling": "transposed",
    "dropout": 0.0,
}
_NOTES = {
    "downsamplings": '"three down sampling layers", the first 7×7 convolution counted among them',
    "discriminator_layers": '"four convolutional layers": two of stride 2, two of stride 1',
    "decay_from": "E₀ of Algorithm 1 is named but has no value; half of the epochs in Zhu et al.",
    "schedule": "Algorithm 1's formula, applied to each epoch itself",
    "lr": "the paper names an initial rate but gives no value; this is Zhu et al.'s",
    "beta1": "of Adam; the paper names no optimiser, Zhu et al. use Adam",
    "image_size": "Zhu et al. use six residual blocks for pictures of 128 pixels",
}


def _task(title: str) -> Preset:
    return Preset(title, stated=_STATED, assumed=_ASSUMED, notes=_NOTES)


def _future(title: str) -> Preset:
    """Return a task that the paper names and did not try, with the settings of its others."""
    return Preset(f"section 5, future work: {title}", assumed=_STATED | _ASSUMED, notes=_NOTES)


PRESETS = {
    "handbag2backpack": _task(
        "section 3.2: handbags and backpacks, 660 and 801 pictures to train on, 100 and 149 to "
        "test; the paper's pictures are not published"
    ),
    "vangogh2photo": _task(
        "section 3.3: Van Gogh's paintings and photographs "
        "(python -m tinygan.data download vangogh2photo)"
    ),
    "ukiyoe2photo": _task(
        "section 3.3: Ukiyo-e prints and photographs (python -m tinygan.data download ukiyoe2photo)"
    ),
    "summer2winter_yosemite": _future(
        "photographs of one valley in summer and in winter (python -m tinygan.data download "
        "summer2winter_yosemite); without a download: --dataset seasons"
    ),
    "iphone2dslr_flower": _future(
        "flowers by telephones and by cameras of shallower depth of field (python -m tinygan.data "
        "download iphone2dslr_flower); without a download: --dataset lenses"
    ),
    "quick": Preset(
        "without --data: drawn pictures, bags or another --dataset, small enough to be done within "
        "a few minutes on two cores",
        assumed={
            "dataset": "bags",
            "dataset_size": 500,
            "image_size": 32,
            "load_size": 32,
            "width": 16,
            "downsamplings": 2,
            "residual_blocks": 3,
            "discriminator_width": 16,
            "discriminator_layers": 2,
            "norm": "batch",
            "batch_size": 4,
            "lr": 1e-3,
            "epochs": 12,
            "sample_every": 125,
            "checkpoint_every": 125,
        },
        notes={"norm": "instance norm takes a picture's mean color away, batch norm does not"},
    ),
}


_data = partial(option, group="data")
_networks = partial(option, group="networks")
_lambda = partial(option, kind=number(0, metavar="L"), group="objective")
_learning = partial(option, group="learning")


@dataclass
class CycleGANOptions(Options):
    """The CycleGAN's options."""

    presets = PRESETS
    drawn = "bags"
    follows = {"load_size": "image_size"}

    data: str | None = inherit(
        Options,
        "data",
        help="a folder with trainA/ and trainB/ and, better, testA/ and testB/, of pictures of any "
        "kinds and sizes ('python -m tinygan.data split' makes one from two folders); or a .zip or "
        ".tar of one, or an .npz with arrays of these names",
    )
    dataset: str | None = inherit(
        Options,
        "dataset",
        kind=choice(*(name for name, makers in DRAWN_SETS.items() if len(makers) == 2)),
    )
    dataset_size: int = inherit(
        Options, "dataset_size", 1000, help="how many pictures to draw of each domain for --dataset"
    )
    image_size: int = inherit(
        Options, "image_size", 128, help="side in pixels of the squares that are trained on"
    )
    load_size: int | None = _data(
        None,
        whole(1, 2**14),
        "side that pictures are resized to first; the squares are cut out of them at random "
        "places (default: 286/256 of --image-size)",
    )
    fit: str = _data(
        "stretch",
        choice("stretch", "crop", "pad"),
        "how pictures that are not square become so: stretched, cut, or laid on white",
    )
    flip: bool = _data(True, switch(), "do not mirror pictures at random")
    width: int = _networks(64, whole(1), "channels of the generators' first layer")
    downsamplings: int = _networks(2, whole(1, 12), "how often the generators halve the size")
    residual_blocks: int = _networks(6, whole(0, 1000), "usual are 6 for 128 pixels, 9 for 256")
    norm: str = _networks("instance", choice("instance", "batch"), "of all networks")
    upsampling: str = _networks(
        "transposed",
        choice("transposed", "resize"),
        "transposed convolutions, or repeated pixels and a convolution, which leaves no "
        "checkerboard",
    )
    dropout: float = _networks(
        0.0, number(0, below=1, metavar="P"), "in the residual blocks while training"
    )
    discriminator_width: int = _networks(
        64, whole(1), "channels of the discriminators' first layer"
    )
    discriminator_layers: int = _networks(
        2, whole(1, 12), "their convolutions of stride 2: 2 in the paper, 3 in Zhu et al."
    )
    lambda_gan: float = _lambda(1.0, help="λ₁, of L_GAN")
    lambda_identity: float = _lambda(5.0, help="λ₂, of L_identity; 0 saves its time")
    lambda_cycle: float = _lambda(10.0, help="λ₃, of L_cyc")
    lambda_discriminator: float = _lambda(0.5, help="what L_D is multiplied by")
    pool_size: int = option(
        50,
        whole(0, 10**6),
        "generated pictures that are remembered for each discriminator; 0: none",
        group="objective",
    )
    augment: str | None = augment_option()
    batch_size: int = inherit(Options, "batch_size", 1)
    lr: float = inherit(Options, "lr", help="Adam's initial rate")
    lr_d: float | None = lr_d_option()
    optimizer: str = optimizer_option()
    beta1: float = _learning(0.5, number(0, below=1, metavar="B"), "Adam's first β")
    epochs: int | None = inherit(Options, "epochs", 200)
    schedule_epochs: int | None = _learning(
        None,
        whole(1, metavar="E"),
        "the rate reaches zero after this many epochs, also of a run that is stopped before and "
        "made longer; --resume may change it for the epochs to come (default: --epochs of a new "
        "run; 200 where --steps is given)",
        change="from then on",
    )
    decay_from: int | None = _learning(
        None,
        whole(0, metavar="E0"),
        "epochs of constant rate, before it falls in a straight line to zero; as many as "
        "--schedule-epochs: it never falls; --resume may change it for the epochs to come "
        "(default: half of them)",
        change="from then on",
    )
    schedule: str = _learning(
        "paper",
        choice("paper", "literal", "published"),
        "the readings of Algorithm 1's line 12: its formula for each epoch, assigned at an "
        "epoch's end (so one epoch late), or Zhu et al.'s code",
    )

    def check(self) -> None:
        super().check()
        size, stride = self.image_size, 2**self.downsamplings
        least = max(2 * stride, 4 * 2**self.discriminator_layers)
        if size % stride or size < least:
            raise UserError(
                f"--image-size {size}: expected a multiple of {stride}, as the generators halve "
                f"the size {self.downsamplings} times, and at least {least}"
            )
        if self.load_size is not None and self.load_size < size:
            raise UserError(
                f"--load-size {self.load_size}: expected at least --image-size {size}, "
                "the squares that are cut out"
            )
