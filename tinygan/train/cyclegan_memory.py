"""How much memory training a CycleGAN takes, told before any of it is taken.

What a network remembers is proportional to its pictures' pixels, and the number of its parameters
to the square of its width, very nearly; so both are counted on small ones.
"""

from __future__ import annotations

from tinygan.errors import UserError
from tinygan.summary import summarize
from tinygan.train.cyclegan_networks import build_discriminator, build_generator
from tinygan.train.memory import available_bytes

__all__ = ["check_allocations", "step_bytes"]

_SIDE, _WIDTH = 64, 16


def step_bytes(options: dict, networks: dict) -> int:
    """Return what a step holds at most: two ways back through generators, or one and one of D."""
    side = min(options["image_size"], _SIDE)
    samples = (options["image_size"] / side) ** 2 * options["batch_size"]
    G, D = (summarize(networks[name], (side, side, options["channels"])) for name in ("G", "D_X"))
    held = max(2 * G.bytes_per_sample, G.bytes_per_sample + D.bytes_per_sample)
    picture = 4 * options["channels"] * options["image_size"] ** 2
    pools = 2 * options["pool_size"] * picture
    return 2 * G.bytes_state + 2 * D.bytes_state + round(samples * held) + pools


def check_allocations(options: dict) -> None:
    """Refuse what cannot even begin to fit, before it is allocated.

    Raises
    ------
    UserError
        If the networks' parameters, gradients and moments, or the drawn pictures, are larger than
        the memory that is available.
    """
    free = available_bytes("numpy")
    if free is None:
        return
    small = {**options, "width": _WIDTH, "discriminator_width": _WIDTH}
    parameters = 0.0
    for build, width in ((build_generator, "width"), (build_discriminator, "discriminator_width")):
        count = sum(parameter.size for parameter in build(small, 0).parameters())
        parameters += 2 * count * (options[width] / _WIDTH) ** 2
    drawn = 0
    if not options["data"]:
        side = options["load_size"] or options["image_size"]
        drawn = 2 * options["dataset_size"] * side**2 * options["channels"]
    for needed, what, advice in (
        (16 * parameters, "the networks and Adam's moments", "--width or --discriminator-width"),
        (drawn, "the drawn pictures", "--dataset-size or --image-size"),
    ):
        if needed > free:
            raise UserError(
                f"{what} alone would take about {needed / 1e9:.1f} GB, "
                f"{free / 1e9:.1f} GB are available: lower {advice}"
            )
