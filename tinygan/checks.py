"""Checks of the numbers that layers and optimizers are made with."""

from __future__ import annotations

from numbers import Real
from typing import Any

__all__ = ["count", "number"]


def count(value: Any, name: str, least: int = 1) -> int:
    """Check a number of channels or the like: an integer of at least `least`."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or value < least:
        raise ValueError(f"{name}: expected an integer of at least {least}, got {value!r}")
    return int(value)


def number(value: Any, name: str, interval: str) -> float:
    """Check a real number in an interval, as ``"[0, 1)"``, and return it as a float.

    Examples
    --------
    >>> number(1, "Dropout: p", "[0, 1)")
    Traceback (most recent call last):
    ValueError: Dropout: p: expected a number in [0, 1), got 1
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    ends = [end for end, included in ((low, interval[0] == "["), (high, interval[-1] == "]"))
            if included]  # fmt: skip
    real = isinstance(value, Real) and not isinstance(value, bool)
    if not real or not (low < value < high or value in ends):
        raise ValueError(f"{name}: expected a number in {interval}, got {value!r}")
    return float(value)
