"""Ranks as threads of one process: for tests, and to see what ranks do without a cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from tinygan.distributed.communicator import Communicator
from tinygan.machine.arrays import Array, get_xp

__all__ = ["Threads", "on_threads"]


class _Room:
    """Where the threads meet."""

    def __init__(self, size: int, timeout: float):
        self.barrier = threading.Barrier(size, timeout=timeout)
        self.places: list[Any] = [None] * size
        self.ended = ""


class Threads(Communicator):
    """A communicator between threads."""

    def __init__(self, rank: int, size: int, room: _Room):
        super().__init__(rank, size)
        self._room = room

    def sum(self, array: Array) -> Array:
        arrays = self.gather(array)
        total = arrays[0]
        for other in arrays[1:]:  # in the same order on every rank
            total = total + other
        return total

    def gather(self, array: Array) -> Array:
        self.shared_bytes += array.nbytes
        return get_xp(array).stack(self.exchange(array.copy()))

    def exchange(self, thing: Any) -> list:
        began = time.perf_counter()
        self._room.places[self.rank] = thing
        self._room.barrier.wait()
        things = list(self._room.places)
        self._room.barrier.wait()  # nobody puts the next thing there before all have read
        self.waited_seconds += time.perf_counter() - began
        return things

    def abort(self, reason: str) -> NoReturn:
        self._room.ended = self._room.ended or f"rank {self.rank}: {reason}"
        self._room.barrier.abort()
        raise RuntimeError(self._room.ended)


def on_threads(size: int, function: Callable[[Communicator], Any], timeout: float = 60) -> list:
    """Call ``function(communicator)`` on `size` ranks and return their results, in rank order.

    The first error is raised, that of a rank rather than the others' that waited for it.

    Examples
    --------
    >>> import numpy as np
    >>> on_threads(3, lambda ranks: int(ranks.sum(np.array(10 ** ranks.rank))))
    [111, 111, 111]
    """
    room, results = _Room(size, timeout), [None] * size
    errors: list[BaseException] = []  # as they come

    def work(rank: int) -> None:
        try:
            results[rank] = function(Threads(rank, size, room))
        except BaseException as error:
            errors.append(error)
            room.barrier.abort()

    threads = [threading.Thread(target=work, args=(rank,), daemon=True) for rank in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    if errors:
        raise errors[0]
    return results
