"""Ctrl-C and its relatives: finish the step, save, say how to go on."""

from __future__ import annotations

import signal
import threading
from typing import Any, Self

from tinygan.distributed.shared import exchanged

__all__ = ["Interrupt"]


class Interrupt:
    """While it is entered, the first signal to stop is only noted; a second Ctrl-C stops at once.

    The signals are SIGINT (Ctrl-C), SIGTERM (``kill``, a cluster's time limit) and SIGHUP (the
    terminal was closed); one that the process was started to ignore stays ignored.

    Attributes
    ----------
    signal : signal.Signals or None
        The signal that came.
    agreed : bool
        Whether all ranks know of it.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self.agreed = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: object) -> None:
        if self.signal is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = signal.Signals(number)

    def asked(self) -> bool:
        """Tell whether a signal has come: on any rank, where there are several."""
        if came := [number for number in exchanged(self.signal) if number]:
            self.signal = signal.Signals(came[0])
        self.agreed = bool(came)
        return self.agreed

    @property
    def name(self) -> str:
        """The signal's name."""
        return self.signal.name if self.signal else ""

    @property
    def exit_status(self) -> int:
        """The exit status that shells expect of a process stopped by this signal."""
        return 128 + (self.signal or 0)
