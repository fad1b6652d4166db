"""Networks out of a run's folder, and weights that came from elsewhere into one."""

from __future__ import annotations

from pathlib import Path

from tinygan.errors import UserError
from tinygan.layer import Layer
from tinygan.models import cyclegan_networks, dcgan
from tinygan.runs.checkpoint import load_network, save_checkpoint
from tinygan.runs.config import describe_run
from tinygan.runs.folder import RunFolder
from tinygan.runs.load import open_run
from tinygan.systems.system import System

__all__ = ["BUILDERS", "input_shape", "open_network", "write_run"]

_GENERATOR = ("image_size", "channels", "noise_size", "width", "activation", "negative_slope")
_TRANSLATOR = ("channels", "width", "downsamplings", "residual_blocks", "norm", "upsampling")


def _build_generator(options: dict) -> Layer:
    return dcgan.generator(**{name: options[name] for name in _GENERATOR})


def _build_discriminator(options: dict) -> Layer:
    names = ("image_size", "channels", "width", "negative_slope")
    return dcgan.discriminator(**{name: options[name] for name in names})


def _build_translator(options: dict) -> Layer:
    return cyclegan_networks.generator(**{n: options[n] for n in (*_TRANSLATOR, "dropout")})


def _build_patches(options: dict) -> Layer:
    return cyclegan_networks.patch_discriminator(
        options["channels"],
        options["discriminator_width"],
        options["discriminator_layers"],
        options["norm"],
    )


BUILDERS = {
    "dcgan": {"G": _build_generator, "D": _build_discriminator},
    "cyclegan": {
        "G": _build_translator,
        "F": _build_translator,
        "D_X": _build_patches,
        "D_Y": _build_patches,
    },
}
"""System → name of a network → how to build it from a run's options."""


def open_network(run: Path, name: str, best: bool = False) -> tuple[str, dict, Layer]:
    """Return the system's name, the options and one network of a run or of a checkpoint.

    Raises
    ------
    UserError
        If there is no such run, or no such network in it.
    """
    opened = open_run(run, best=best)
    system, options, checkpoint = opened.system, opened.options, opened.checkpoint.path
    if system not in BUILDERS:
        raise UserError(f"{run}: the run of a {system}; expected one of {', '.join(BUILDERS)}")
    if name not in BUILDERS[system]:
        raise UserError(f"--network {name}: a {system} has {', '.join(BUILDERS[system])}")
    try:
        network = BUILDERS[system][name](options)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{checkpoint}: its options are damaged ({error!r})") from None
    load_network(checkpoint, network, name)
    return system, options, network


def input_shape(system: str, name: str, options: dict) -> tuple[int | None, ...]:
    """Return the shape of one sample that a network takes; None where any size will do."""
    if system == "cyclegan":
        return None, None, options["channels"]
    if name == "G":
        return (options["noise_size"],)
    return options["image_size"], options["image_size"], options["channels"]


class _Imported(System):
    """Networks that were not trained here: a run with weights and without a history."""

    def __init__(self, name, options, networks, source):
        self.name, self.options, self.networks = name, options, networks
        self.optimisers, self.steps_per_epoch, self.data = {}, 1, {"converted": source}


def write_run(
    out: Path, system: str, options: dict, networks: dict[str, Layer], source: str
) -> Path:
    """Make a run's folder of networks that came from elsewhere; return its checkpoint.

    Parameters
    ----------
    out : Path
        A new or empty folder.
    system : str
    options : dict
        All options of a run of that system.
    networks : dict of str to Layer
        Those that there are; a run that is generated from needs no discriminator.
    source : str
        Where the weights came from; it is noted in ``config.json``.
    """
    imported = _Imported(system, options, networks, source)
    run = RunFolder.create(out, describe_run(imported, 0))
    try:
        return save_checkpoint(
            run.checkpoints, imported, 0, {"options": options, "data": imported.data}
        )
    except BaseException:
        run.close()
        run.remove_if_unused()
        raise
    finally:
        run.close()
