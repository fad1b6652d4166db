"""How the C library hands out memory, for as long as this process lives."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

__all__ = ["keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # malloc.h
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let glibc keep the memory of freed arrays for the next ones; elsewhere do nothing.

    By default it gives large blocks back to the operating system at once, which clears every page
    anew for the next array: about a tenth of a training step's time.  It is a setting of the whole
    process, so only commands make it, never an import.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):  # another C library
        mallopt = ctypes.CDLL("libc.so.6").mallopt
        mallopt(_M_MMAP_MAX, 0)
        mallopt(_M_TRIM_THRESHOLD, _NEVER)
