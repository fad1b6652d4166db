"""Neighbouring layers that run as one, found by their types."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from tinygan.fast.dispatch import mode

__all__ = ["apart", "as_one", "run_as_one"]

Make = TypeVar("Make", bound=Callable[..., Any])

_pairs: dict[tuple[type, type], Callable[..., Any]] = {}
_apart = 0  # scopes of `apart` that are open


def run_as_one(first: type, second: type) -> Callable[[Make], Make]:
    """Enter the decorated function for neighbours of exactly these two types.

    From the two layers it makes the one that runs in their place, or None where it cannot.
    """

    def enter(make: Make) -> Make:
        _pairs[first, second] = make
        return make

    return enter


def as_one(first: Any, second: Any) -> Any:
    """Return the layer that runs in place of these two, or None; within `plain` there is none."""
    make = _pairs.get((type(first), type(second)))
    return None if make is None or _apart or mode() != "auto" else make(first, second)


@contextmanager
def apart() -> Iterator[None]:
    """Within the scope each layer is called by itself, no two as one.

    For whoever looks at what each layer computes.
    """
    global _apart
    _apart += 1
    try:
        yield
    finally:
        _apart -= 1
