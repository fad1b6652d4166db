"""``python -m tinygan.train cyclegan``: the CycleGAN's own flags, their defaults, the presets."""

from __future__ import annotations

from pathlib import Path

from tinygan.errors import UserError
from tinygan.train.command import Command, natural, number, positive_int
from tinygan.train.cyclegan_memory import check_allocations
from tinygan.train.cyclegan_presets import PRESETS
from tinygan.train.cyclegan_system import CycleGAN

__all__ = ["COMMAND"]

DEFAULTS = {
    "data": None,
    "dataset": None,
    "dataset_size": 1000,
    "image_size": 128,
    "load_size": None,
    "fit": "stretch",
    "flip": True,
    "channels": 3,
    "cache": True,
    "width": 64,
    "downsamplings": 2,
    "residual_blocks": 6,
    "norm": "instance",
    "upsampling": "transposed",
    "dropout": 0.0,
    "discriminator_width": 64,
    "discriminator_layers": 2,
    "lambda_gan": 1.0,
    "lambda_identity": 5.0,
    "lambda_cycle": 10.0,
    "lambda_discriminator": 0.5,
    "pool_size": 50,
    "epochs": 200,
    "schedule_epochs": None,
    "decay_from": None,
    "schedule": "paper",
    "batch_size": 1,
    "lr": 2e-4,
    "beta1": 0.5,
}


def add_arguments(parser) -> None:
    """Add the flags that are the CycleGAN's own."""
    _add_data(parser.add_argument_group("data"))
    _add_networks(parser.add_argument_group("networks"))
    _add_objective(parser.add_argument_group("objective"))
    _add_learning(parser.add_argument_group("learning"))


def _add_data(group) -> None:
    source = group.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        metavar="DIR",
        help="a folder with trainA/ and trainB/ and, better, testA/ and testB/, of pictures of any "
        "kinds and sizes ('python -m tinygan.data split' makes one from two folders)",
    )
    source.add_argument(
        "--dataset",
        choices=["bags"],
        help="a drawn data set, no download needed (this is what is used without --data)",
    )
    group.add_argument(
        "--dataset-size",
        type=positive_int,
        metavar="N",
        help="how many pictures to draw of each domain for --dataset (default: %(default)s)",
    )
    group.add_argument(
        "--image-size",
        type=positive_int,
        metavar="N",
        help="side in pixels of the squares that are trained on (default: %(default)s)",
    )
    group.add_argument(
        "--load-size",
        type=positive_int,
        metavar="N",
        help="side that pictures are resized to first; the squares are cut out of them at random "
        "places (default: 286/256 of --image-size)",
    )
    group.add_argument(
        "--fit",
        choices=["stretch", "crop", "pad"],
        help="how pictures that are not square become so: stretched, cut, or laid on white "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--no-flip", dest="flip", action="store_false", help="do not mirror pictures at random"
    )
    group.add_argument(
        "--channels", type=int, choices=[1, 3], help="1 grey, 3 colour (default: %(default)s)"
    )
    group.add_argument(
        "--no-cache",
        dest="cache",
        action="store_false",
        help="decode the pictures into memory and keep no cache of them on disk",
    )


def _add_networks(group) -> None:
    group.add_argument(
        "--width",
        type=positive_int,
        metavar="N",
        help="channels of the generators' first layer (default: %(default)s)",
    )
    group.add_argument(
        "--downsamplings",
        type=positive_int,
        metavar="N",
        help="how often the generators halve the size (default: %(default)s)",
    )
    group.add_argument(
        "--residual-blocks",
        type=natural,
        metavar="N",
        help="usual are 6 for 128 pixels, 9 for 256 (default: %(default)s)",
    )
    group.add_argument(
        "--norm", choices=["instance", "batch"], help="of all networks (default: %(default)s)"
    )
    group.add_argument(
        "--upsampling",
        choices=["transposed", "resize"],
        help="transposed convolutions, or repeated pixels and a convolution, which leaves no "
        "checkerboard (default: %(default)s)",
    )
    group.add_argument(
        "--dropout",
        type=number(0, 1),
        metavar="P",
        help="in the residual blocks while training (default: %(default)s)",
    )
    group.add_argument(
        "--discriminator-width",
        type=positive_int,
        metavar="N",
        help="channels of the discriminators' first layer (default: %(default)s)",
    )
    group.add_argument(
        "--discriminator-layers",
        type=positive_int,
        metavar="N",
        help="their convolutions of stride 2: 2 in the paper, 3 in Zhu et al. "
        "(default: %(default)s)",
    )


def _add_objective(group) -> None:
    for name, what in (
        ("gan", "λ₁, of L_GAN"),
        ("identity", "λ₂, of L_identity; 0 saves its time"),
        ("cycle", "λ₃, of L_cyc"),
        ("discriminator", "what L_D is multiplied by"),
    ):
        group.add_argument(
            f"--lambda-{name}", type=number(0), metavar="L", help=f"{what} (default: %(default)s)"
        )
    group.add_argument(
        "--pool-size",
        type=natural,
        metavar="N",
        help="generated pictures that are remembered for each discriminator; 0: none "
        "(default: %(default)s)",
    )


def _add_learning(group) -> None:
    group.add_argument("--batch-size", type=positive_int, metavar="N", help="default: %(default)s")
    group.add_argument(
        "--lr", type=number(0), metavar="A", help="Adam's initial rate (default: %(default)s)"
    )
    group.add_argument(
        "--beta1", type=number(0, 1), metavar="B", help="Adam's first β (default: %(default)s)"
    )
    group.add_argument(
        "--schedule-epochs",
        type=positive_int,
        metavar="E",
        help="the rate reaches zero after this many epochs, also of a run that is stopped before "
        "and made longer with --resume (default: --epochs of a new run; 200 where --steps is "
        "given)",
    )
    group.add_argument(
        "--decay-from",
        type=natural,
        metavar="E0",
        help="epochs of constant rate, before it falls in a straight line to zero; "
        "as many as --schedule-epochs: it never falls (default: half of them)",
    )
    group.add_argument(
        "--schedule",
        choices=["paper", "literal", "published"],
        help="the readings of Algorithm 1's line 12: its formula for each epoch, assigned at an "
        "epoch's end (so one epoch late), or Zhu et al.'s code (default: %(default)s)",
    )


def check(options: dict) -> None:
    """Raise a UserError for options that do not go together."""
    if options["preset"] and not options["data"] and not options["dataset"]:
        raise UserError(
            f"--preset {options['preset']}: say what to train on, with --data DIR, "
            "or --dataset bags for the drawn bags"
        )
    for name in ("beta1", "dropout"):
        if options[name] >= 1:
            raise UserError(f"--{name}: expected a number below 1, got 1")
    size, stride = options["image_size"], 2 ** options["downsamplings"]
    least = max(2 * stride, 4 * 2 ** options["discriminator_layers"])
    if size % stride or size < least:
        raise UserError(
            f"--image-size {size}: expected a multiple of {stride}, as the generators halve the "
            f"size {options['downsamplings']} times, and at least {least}"
        )
    if options["load_size"] is not None and options["load_size"] < size:
        raise UserError(
            f"--load-size {options['load_size']}: expected at least --image-size {size}, "
            "the squares that are cut out"
        )
    check_allocations(options)


COMMAND = Command(
    name="cyclegan",
    title="a CycleGAN: pictures of one domain into those of another, from unpaired examples",
    defaults=DEFAULTS,
    presets=PRESETS,
    add_arguments=add_arguments,
    check=check,
    build=CycleGAN,
    data_name=lambda options: Path(options["data"]).name if options["data"] else "bags",
)
