"""The networks of a CycleGAN's run, from its options."""

from __future__ import annotations

from tinygan.layer import Layer
from tinygan.models import cyclegan

__all__ = ["build_discriminator", "build_generator"]


def build_generator(options: dict, rng=None) -> Layer:
    """Return a generator of a run with these options, on the host."""
    names = ("channels", "width", "downsamplings", "residual_blocks", "norm", "upsampling")
    return cyclegan.generator(
        **{name: options[name] for name in names}, dropout=options["dropout"], rng=rng
    )


def build_discriminator(options: dict, rng=None) -> Layer:
    """Return a discriminator of a run with these options, on the host."""
    return cyclegan.patch_discriminator(
        options["channels"],
        options["discriminator_width"],
        options["discriminator_layers"],
        options["norm"],
        rng,
    )
