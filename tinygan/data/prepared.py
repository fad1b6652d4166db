"""Work done ahead: a background thread prepares what will be asked for next."""

from __future__ import annotations

import queue
import threading
import time
import weakref
from typing import Any, Self

from tinygan.errors import DataError

__all__ = ["Prepared"]

_AHEAD = 3  # batches kept ready


class Prepared:
    """An endless iterator over ``source.batch(step)`` that a background thread runs ahead of.

    The thread knows the source but not the iterator, so an iterator that is dropped without
    `close` ends its thread all the same.
    """

    def __init__(self, source: Any, start_step: int):
        if start_step < 0:
            raise DataError(f"start_step: expected 0 or more, got {start_step}")
        self._source = source
        self.step = start_step
        self.waited_seconds = 0.0
        self._ready: queue.Queue = queue.Queue(_AHEAD)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._finalizer = weakref.finalize(self, _end, self._stop, self._ready)

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in one pass over the data."""
        return self._source.steps_per_epoch

    @property
    def epoch(self) -> int:
        """The epoch, from 0, that the next batch belongs to."""
        return self.step // self.steps_per_epoch

    def batch(self, step: int) -> Any:
        """Return the batch of any step, computed here and now; the iteration is not moved."""
        return self._source.batch(step)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        if self._stop.is_set():
            raise StopIteration
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work,
                args=(self._source, self.step, self._ready, self._stop),
                name="tinygan-batches",
                daemon=True,
            )
            self._thread.start()
        started = time.perf_counter()
        item, error = self._ready.get()
        self.waited_seconds += time.perf_counter() - started
        if error is not None:
            self.close()
            raise error
        self.step += 1
        return item

    def close(self) -> None:
        """End the background thread.  Closing twice is harmless; ``with`` closes by itself."""
        self._finalizer()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _work(source: Any, step: int, ready: queue.Queue, stop: threading.Event) -> None:
    while not stop.is_set():
        item: tuple[Any, BaseException | None]
        try:
            item = source.batch(step), None
        except BaseException as error:  # handed to whoever asks for this batch
            item = None, error
        ready.put(item)
        if item[1] is not None:
            return
        step += 1


def _end(stop: threading.Event, ready: queue.Queue) -> None:
    stop.set()
    while True:  # room for the thread that may be waiting to put a batch down
        try:
            ready.get_nowait()
        except queue.Empty:
            return
