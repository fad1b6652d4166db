"""What discriminators see instead of the images themselves: the options and their layers."""

from __future__ import annotations

from typing import Any

from tinygan.layer import Layer
from tinygan.layers import RandomColor, RandomCutout, RandomTranslation
from tinygan.options.base import option
from tinygan.options.kinds import number, some_of

__all__ = ["augment_option", "augmentations", "lr_d_option"]

AUGMENTATIONS = {
    "color": RandomColor,
    "translation": RandomTranslation,
    "cutout": RandomCutout,
}


def augment_option() -> Any:
    """Return the option ``--augment``."""
    return option(
        None,
        some_of(*AUGMENTATIONS),
        f"change all pictures that D sees at random, in one or more ways, separated by commas: "
        f"{', '.join(AUGMENTATIONS)}; it helps where pictures are few",
        group="objective",
        before=None,
    )


def lr_d_option() -> Any:
    """Return the option ``--lr-d``."""
    return option(
        None,
        number(0, metavar="A"),
        "learning rate of what judges pictures, D (default: --lr)",
        group="learning",
        before=None,
    )


def augmentations(names: str | None, key: tuple[int, ...]) -> list[Layer]:
    """Return the layers of ``"color,cutout"``, with random numbers drawn from `key`."""
    wanted = names.split(",") if names else []
    return [
        make(rng=(*key, i))
        for i, (name, make) in enumerate(AUGMENTATIONS.items())
        if name in wanted
    ]
