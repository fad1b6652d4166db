"""Counting the multiply–adds of the convolutions that run, for `tinygan.summary`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_counters: ContextVar[list | None] = ContextVar("tinygan.convolution tally", default=None)


@contextmanager
def counting() -> Iterator[list[int]]:
    """Within the scope, gather the multiply–adds of each convolution that runs, in a list.

    The numbers are those of the definition, whichever algorithm runs: each of the three operations
    multiplies every kernel entry once for every output pixel.
    """
    counts: list[int] = []
    token = _counters.set(counts)
    try:
        yield counts
    finally:
        _counters.reset(token)


def count(pixels: int, weights: int) -> None:
    """Note ``pixels · weights`` multiply–adds, if anyone is counting."""
    counts = _counters.get()
    if counts is not None:
        counts.append(pixels * weights)
