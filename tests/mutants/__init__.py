"""Implementations of layers and losses, right and wrong, in many styles.

They are what the gradient checks are measured with: every wrong one must be caught, no right one
accused, and the cause named.
"""

from mutants import (
    activations,
    convolutions,
    layers,
    linear,
    losses,
    norms,
    shapes,
)

MODULES = (activations, linear, convolutions, norms, losses, shapes, layers)
SPECIMENS = [specimen for module in MODULES for specimen in module.SPECIMENS]
WRONG = [specimen for specimen in SPECIMENS if specimen.cause]
RIGHT = [specimen for specimen in SPECIMENS if not specimen.cause]

__all__ = ["RIGHT", "SPECIMENS", "WRONG"]
