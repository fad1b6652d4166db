"""``python -m tinygan.train dcgan``: the DCGAN's own flags, their defaults, and the presets."""

from __future__ import annotations

from pathlib import Path

from tinygan.errors import UserError
from tinygan.models import dcgan
from tinygan.train.command import Command, fraction, number, positive_int
from tinygan.train.dcgan_presets import PRESETS
from tinygan.train.dcgan_system import DCGAN
from tinygan.train.memory import available_bytes

__all__ = ["COMMAND"]

DEFAULTS = {
    "data": None,
    "dataset": None,
    "dataset_size": 10000,
    "image_size": 64,
    "channels": 3,
    "crop": None,
    "cache": True,
    "noise_size": 200,
    "noise": "uniform",
    "width": 64,
    "activation": "relu",
    "negative_slope": 0.2,
    "epochs": 30,
    "batch_size": 128,
    "lr": 2e-4,
    "beta1": 0.5,
    "label_smoothing": 0.9,
    "generator_loss": "non_saturating",
    "instance_noise": 0.0,
}


def add_arguments(parser) -> None:
    """Add the flags that are the DCGAN's own."""
    data = parser.add_argument_group("data")
    source = data.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        metavar="DIR",
        help="a folder of pictures, of any kinds and sizes, at any depth",
    )
    source.add_argument(
        "--dataset",
        choices=["faces"],
        help="a drawn data set, no download needed (this is what is used without --data)",
    )
    data.add_argument(
        "--dataset-size",
        type=positive_int,
        metavar="N",
        help="how many pictures to draw for --dataset (default: %(default)s)",
    )
    data.add_argument(
        "--image-size",
        type=int,
        choices=dcgan.IMAGE_SIZES,
        help="pixels, height and width (default: %(default)s)",
    )
    data.add_argument(
        "--channels", type=int, choices=[1, 3], help="1 grey, 3 colour (default: %(default)s)"
    )
    data.add_argument(
        "--crop",
        type=fraction,
        metavar="SHARE",
        help="cut a centred square out of each picture first, its side this share of the width: "
        "108/178 is the usual face crop of CelebA (default: the largest square)",
    )
    data.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="decode the pictures into memory and keep no cache of them on disk",
    )
    model = parser.add_argument_group("networks")
    model.add_argument(
        "--noise-size", type=positive_int, metavar="N", help="length of z (default: %(default)s)"
    )
    model.add_argument(
        "--noise",
        choices=["uniform", "normal"],
        help="what z is drawn from: uniform in [-1, 1], or standard normal (default: %(default)s)",
    )
    model.add_argument(
        "--width",
        type=positive_int,
        metavar="N",
        help="channels next to the picture, doubled at each halving of the size "
        "(default: %(default)s)",
    )
    model.add_argument(
        "--activation",
        choices=["relu", "leaky_relu"],
        help="of the generator's hidden layers (default: %(default)s)",
    )
    model.add_argument(
        "--negative-slope",
        type=number(0, 1),
        metavar="A",
        help="of the leaky ReLUs (default: %(default)s)",
    )
    training = parser.add_argument_group("learning")
    training.add_argument(
        "--batch-size", type=positive_int, metavar="N", help="default: %(default)s"
    )
    training.add_argument(
        "--lr", type=number(0), metavar="A", help="Adam's learning rate (default: %(default)s)"
    )
    training.add_argument(
        "--beta1", type=number(0, 1), metavar="B", help="Adam's first β (default: %(default)s)"
    )
    training.add_argument(
        "--label-smoothing",
        type=number(0, 1),
        metavar="T",
        help="the target for real pictures in D's loss; 1 is no smoothing (default: %(default)s)",
    )
    training.add_argument(
        "--generator-loss",
        choices=("non_saturating", "minimax"),
        help="-log D(G(z)), or log(1 - D(G(z))) (default: %(default)s)",
    )
    training.add_argument(
        "--instance-noise",
        type=number(0),
        metavar="SD",
        help="standard deviation of noise added to all pictures that D sees; "
        "it helps where D wins too easily (default: %(default)s)",
    )


def check(options: dict) -> None:
    """Raise a UserError for options that do not go together."""
    if options["preset"] and not options["data"] and not options["dataset"]:
        raise UserError(
            f"--preset {options['preset']}: say what to train on, with --data DIR, "
            "or --dataset faces for the drawn faces"
        )
    if options["beta1"] >= 1:
        raise UserError("--beta1: expected a number below 1, got 1")
    _check_allocations(options)


def _check_allocations(options: dict) -> None:
    """Refuse what cannot even begin to fit, before it is allocated."""
    free = available_bytes("numpy")
    if free is None:
        return
    size, wide = options["image_size"], options["width"] * options["image_size"] // 8
    # each 4×4 convolution has half the square of its wider side times 16 weights; both networks
    # have one for each doubling, and G one more from the noise
    weights = 16 * options["noise_size"] * wide
    while wide > options["width"]:
        weights += 2 * 16 * wide**2 // 2
        wide //= 2
    drawn = 0 if options["data"] else options["dataset_size"] * size**2 * options["channels"]
    for needed, what, advice in (
        (16 * weights, "the networks, their gradients and Adam's moments", "--width"),
        (drawn, "the drawn pictures", "--dataset-size or --image-size"),
    ):
        if needed > free:
            raise UserError(
                f"{what} alone would take about {needed / 1e9:.1f} GB, "
                f"{free / 1e9:.1f} GB are free: lower {advice}"
            )


COMMAND = Command(
    name="dcgan",
    title="a DCGAN: pictures from noise",
    defaults=DEFAULTS,
    presets=PRESETS,
    add_arguments=add_arguments,
    check=check,
    build=DCGAN,
    data_name=lambda options: Path(options["data"]).name if options["data"] else "faces",
)
