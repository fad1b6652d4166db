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


def pairs(prefix, forward, arguments):
    """Decorate the backward passes of `forward`: ``@row(name, cause)``."""

    def row(name, cause=""):
        def keep(backward):
            group(prefix, forward, arguments, [(name, cause, backward)])
            return backward

        return keep

    return row


def classes(prefix, arguments):
    """Decorate classes with forward and backward."""

    def row(name, cause=""):
        def keep(cls):
            layer(prefix, arguments, [(name, cause, cls)])
            return cls

        return keep

    return row


def alone(prefix, arguments):
    """Decorate functions that return their gradient or backward pass too."""

    def row(name, cause=""):
        def keep(function):
            first, *also = cause.split("|")
            label = f"{prefix}: {name}"
            ROWS.append(Specimen(label, lambda: function, arguments, first, tuple(also)))
            return function

        return keep

    return row


def normal(*shapes):
    """Return a function that draws normal arrays of these shapes, off the kinks at zero."""

    def draw(rng):
        arrays = [rng.standard_normal(shape) for shape in shapes]
        return tuple(a + 0.05 * np.sign(a) for a in arrays)

    return draw


def uniform(low, high, *shapes):
    return lambda rng: tuple(rng.uniform(low, high, shape) for shape in shapes)
