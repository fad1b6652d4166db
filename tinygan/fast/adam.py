"""What the fast versions of Adam share."""

from __future__ import annotations

import math
from typing import Any

from tinygan.machine.arrays import Array


def is_adam(
    thetas: list[Array], gradients: list[Array], slots: list[tuple[Array, ...]], optimizer: Any
) -> bool:
    """Return whether `optimizer` is tinygan's own Adam, and no subclass with another update."""
    kind = type(optimizer)
    return kind.__name__ == "Adam" and kind.__module__ == "tinygan.optim"


def numbers_of(adam: Any) -> tuple[float, float, float, float]:
    """Return rate, β₁, β₂ and ε' of ``rate · m / (√v + ε') = α m̂ / (√v̂ + ε)``."""
    beta1, beta2 = adam.betas
    correction = math.sqrt(1 - beta2**adam.steps)
    rate = adam.lr * correction / (1 - beta1**adam.steps)
    return rate, beta1, beta2, adam.eps * correction
