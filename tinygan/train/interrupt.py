"""Ctrl-C and its relatives: finish the step, save, say how to go on."""

from __future__ import annotations

import signal
import threading

__all__ = ["Interrupt"]


class Interrupt:
    """While it is entered, the first signal to stop is only noted; a second Ctrl-C stops at once.

    The signals are SIGINT (Ctrl-C), SIGTERM (``kill``, a cluster's time limit) and SIGHUP (the
    terminal was closed); one that the process was started to ignore stays ignored.

    Attributes
    ----------
    signal : signal.Signals or None
        The signal that came.
    """

    def __init__(self):
        self.signal = None
        self._before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number, frame):
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)

    @property
    def exit_status(self) -> int:
        """The exit status that shells expect of a process stopped by this signal."""
        return 128 + self.signal
