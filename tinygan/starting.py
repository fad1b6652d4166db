"""Ctrl-C while a command's modules are still being loaded: one line, as at any later moment.

Loading takes a second or so, and a KeyboardInterrupt in the middle of an import is a traceback, or
a library's complaint that it is broken.  Nothing was begun by then, so the process just ends.
"""

import os
import signal
import sys
import threading
from contextlib import suppress

__all__ = ["over", "watch"]


def watch() -> None:
    """Let Ctrl-C end the process until `over` is called, unless someone minds it already."""
    if threading.current_thread() is threading.main_thread() and _is_usual():
        signal.signal(signal.SIGINT, _stop)


def over() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again, as ever."""
    if signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def is_command() -> bool:
    """Tell whether this process is one of tinygan's commands, whose package is being loaded."""
    name = os.path.basename(sys.argv[0]) if sys.argv else ""
    if name != "-m":  # what it is while Python looks for the module of ``python -m``
        return name in ("tinygan", "tinygan.exe")
    words = sys.orig_argv
    module = next((w[2:] or words[i + 1] for i, w in enumerate(words) if w.startswith("-m")), "")
    return module.split(".")[0] == "tinygan" and not module.startswith("tinygan.grading")


def _is_usual() -> bool:
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler


def _stop(number: int, frame: object) -> None:
    with suppress(OSError):
        os.write(2, b"tinygan: interrupted\n")
    os._exit(130)


if is_command():
    watch()
