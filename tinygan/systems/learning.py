"""How weights are changed: the option ``--optimizer``, and what it stands for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygan.layer import Parameter
from tinygan.optim import SGD, Adam, Optimizer, RMSprop
from tinygan.options.base import option
from tinygan.options.kinds import choice

__all__ = ["OPTIMIZERS", "make_optimizer", "optimizer_option"]

OPTIMIZERS = ("adam", "rmsprop", "sgd")


def optimizer_option() -> Any:
    """Return the option ``--optimizer``."""
    return option(
        "adam",
        choice(*OPTIMIZERS),
        "of all networks; sgd has the momentum --beta1; each needs a --lr of its own",
        group="learning",
        before="adam",
    )


def make_optimizer(
    name: str, parameters: Iterable[Parameter], lr: float, beta1: float
) -> Optimizer:
    """Return the optimizer of a name of `OPTIMIZERS`; β₁ is Adam's, and the momentum of SGD."""
    if name == "adam":
        return Adam(parameters, lr, (beta1, 0.999))
    return RMSprop(parameters, lr) if name == "rmsprop" else SGD(parameters, lr, beta1)
