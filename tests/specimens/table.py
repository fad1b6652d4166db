"""The table that the second set of implementations is written in: a row a mistake.

A group is one forward pass with what it is called with; its rows are backward passes, right ones
(no cause) and wrong ones with the mistake that was made.
"""

from __future__ import annotations

import numpy as np
from mutants.specimen import Specimen

ROWS: list[Specimen] = []


def group(prefix, forward, arguments, rows):
    """Add rows ``(name, cause, backward)``; a cause ``"a|b"`` may be called either."""
    for name, cause, backward in rows:
        first, *also = cause.split("|")
        pair = (forward, backward)
        ROWS.append(Specimen(f"{prefix}: {name}", lambda p=pair: p, arguments, first, tuple(also)))


def layer(prefix, arguments, rows):
    """Add rows ``(name, cause, class)`` of layers that are built without arguments."""
    for name, cause, cls in rows:
        first, *also = cause.split("|")
        ROWS.append(Specimen(f"{prefix}: {name}", cls, arguments, first, tuple(also)))


def normal(*shapes):
    """Return a function that draws normal arrays of these shapes, off the kinks at zero."""

    def draw(rng):
        arrays = [rng.standard_normal(shape) for shape in shapes]
        return tuple(a + 0.05 * np.sign(a) for a in arrays)

    return draw


def uniform(low, high, *shapes):
    return lambda rng: tuple(rng.uniform(low, high, shape) for shape in shapes)
