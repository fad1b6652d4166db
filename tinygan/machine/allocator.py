"""Keeping freed memory in the process: for commands, which own their process.

A training step frees its arrays and asks for the same ones again.  The C library hands large ones
back to the operating system each time, and the system clears every page before it lends it again:
a tenth to a fifth of all the processor's time in a step.
"""

from __future__ import annotations

import ctypes
import platform

__all__ = ["keep_freed_memory"]

# names and numbers of glibc's <malloc.h>
_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> bool:
    """Let this process keep the memory it frees for its next arrays; return whether that is done.

    It changes how the whole process allocates, whatever else runs in it, and cannot be undone.  So
    it is for a command that is alone in its process, or for your own training script; tinygan
    never does it on import.  It is known to GNU's C library only; elsewhere nothing is changed.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    libc = ctypes.CDLL(None)
    # large arrays out of the heap like small ones, and the heap's free end not given back
    return bool(libc.mallopt(_M_MMAP_MAX, 0) and libc.mallopt(_M_TRIM_THRESHOLD, _NEVER))
