"""A limit of time for code that may be slow, or may never return."""

from __future__ import annotations

import signal
import threading
import time
from contextlib import contextmanager

from tinygan.gradcheck.subject import NotCheckable

__all__ = ["OutOfTime", "limited"]


class OutOfTime(NotCheckable):
    """The code under test took longer than it may."""


@contextmanager
def limited(seconds: float | None):
    """Raise `OutOfTime` in what runs for longer than `seconds`, and again while that goes on.

    It needs signals: on Windows, and in other threads than the main one, nothing is limited.
    """
    main = threading.current_thread() is threading.main_thread()
    if seconds is None or not hasattr(signal, "setitimer") or not main:
        yield
        return

    def ring(*_):
        raise OutOfTime(
            f"not finished after {seconds:g} s: check a smaller input (a few samples, small "
            "images) or give more time; a forward pass that never returns has an endless loop"
        )

    handler, begun = signal.signal(signal.SIGALRM, ring), time.monotonic()
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if remaining:  # somebody else's alarm goes on
            left = max(remaining - (time.monotonic() - begun), 1e-3)
            signal.setitimer(signal.ITIMER_REAL, left, interval)
