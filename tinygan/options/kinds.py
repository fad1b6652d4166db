"""The kinds of an option: what may stand there, in a flag, a file or a call from Python."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

__all__ = [
    "Kind",
    "choice",
    "is_range",
    "limits",
    "number",
    "share",
    "some_of",
    "switch",
    "text",
    "whole",
]


@dataclass(frozen=True)
class Kind:
    """What may stand in an option.

    Attributes
    ----------
    expected : str
        For error messages: "a whole number of 1 or more".
    convert : callable
        From a word of the command line; a ValueError means that it is not of this kind.
    accepts : callable
        Whether a value, from wherever, is of this kind.
    metavar : str or None
        What stands for a value in the help.
    choices : tuple
        All that is allowed, where that is a short list.
    """

    expected: str
    convert: Callable[[str], Any]
    accepts: Callable[[Any], bool]
    metavar: str | tuple[str, str] | None = None
    choices: tuple = ()

    def __call__(self, word: str) -> Any:
        """Read a word of the command line."""
        try:
            value = self.convert(word)
        except (ValueError, ZeroDivisionError, OverflowError):
            value = None
        if value is None or not self.accepts(value):
            raise argparse.ArgumentTypeError(f"expected {self.expected}, got {word!r}")
        return value


def whole(least: int = 0, most: int = 10**15, metavar: str = "N") -> Kind:
    """Whole numbers from `least` to `most`."""
    limit = f" and at most {most}" if most < 10**15 else ""
    return Kind(
        f"a whole number of {least} or more{limit}",
        int,
        lambda value: type(value) is int and least <= value <= most,
        metavar,
    )


def number(low: float, high: float = math.inf, below: float = math.inf, metavar: str = "X") -> Kind:
    """Numbers of at least `low`, at most `high` and less than `below`."""
    limit = f" and at most {high:g}" if high < math.inf else ""
    limit += f" and below {below:g}" if below < math.inf else ""
    return Kind(
        f"a number of at least {low:g}{limit}",
        float,
        lambda value: type(value) in (int, float) and low <= value <= high and value < below,
        metavar,
    )


def share() -> Kind:
    """A share in (0, 1], as ``0.6`` or ``108/178``."""
    return Kind(
        "a share in (0, 1] such as 0.6 or 108/178",
        lambda word: float(Fraction(word)),
        lambda value: type(value) in (int, float) and 0 < value <= 1,
        "SHARE",
    )


def choice(*choices: str | int) -> Kind:
    """One of a few words, or of a few numbers."""
    return Kind(
        f"one of {', '.join(map(str, choices))}",
        type(choices[0]) if choices else str,
        lambda value: type(value) in (str, int) and value in choices,
        choices=choices,
    )


def some_of(*choices: str) -> Kind:
    """One or more of a few words, separated by commas."""

    def accepts(value: Any) -> bool:
        words = value.split(",") if isinstance(value, str) else []
        return bool(words) and len(set(words)) == len(words) and set(words) <= set(choices)

    expected = f"one or more of {', '.join(choices)}, separated by commas"
    return Kind(expected, str, accepts, ",".join(choices[:2]).upper() + ",…")


def text(metavar: str = "NAME") -> Kind:
    """Any text that is not empty."""
    return Kind(
        "a name that is not empty",
        str,
        lambda value: isinstance(value, str) and bool(value) and "\0" not in value,
        metavar,
    )


def switch() -> Kind:
    """True or false: ``--name``, or ``--no-name`` where it is on by default."""
    return Kind("true or false", bool, lambda value: isinstance(value, bool))


def limits() -> Kind:
    """Two numbers, of black and of white."""
    expected = "two numbers, of black and of white, the first the smaller"
    return Kind(expected, float, is_range, ("LOW", "HIGH"))


def is_range(value: Any) -> bool:
    good = isinstance(value, list) and len(value) == 2
    good = good and all(type(v) in (int, float) and math.isfinite(v) for v in value)
    return good and value[0] < value[1]
