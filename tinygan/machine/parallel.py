"""One function over fixed slices of the work: all cores on NumPy, one slice on CuPy.

NumPy releases Python's global lock inside its loops, copies and matrix products, so plain Python
threads that work on separate slices of an array use all the cores.  Two rules keep the results
the same bits on every machine and at every thread count:

- the slices depend on the sizes of the arrays alone, never on the number of threads;
- what is summed over slices is summed in the order of the slices, after all of them are done.

While slices run, NumPy's own BLAS is held at one thread (two layers of threads would fight for
the cores); when they are done it is set back to what the user had.  No other library in the
process is touched.

The number of threads is the number of cores this process may use; ``TINYGAN_NUM_THREADS`` in the
environment, or `set_num_threads`, changes it.
"""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from tinygan.errors import UserError

__all__ = [
    "blas_architecture",
    "for_slices",
    "get_num_threads",
    "in_order",
    "one_blas_thread",
    "run",
    "set_num_threads",
    "side_by_side",
    "split",
    "workspace",
]

MOST_THREADS = 4096


def split(length: int, size: int) -> list[tuple[int, int]]:
    """Cut ``range(length)`` into ``(start, stop)`` ranges of `size`; the last may be shorter.

    Examples
    --------
    >>> split(10, 4)
    [(0, 4), (4, 8), (8, 10)]
    """
    return [(start, min(start + size, length)) for start in range(0, length, size)]


def for_slices(
    function: Callable[[int, int], object], length: int, size: int, xp: Any = np
) -> list:
    """Call ``function(start, stop)`` over ``range(length)`` and return its results in slice order.

    Parameters
    ----------
    function
        Called once a slice; on NumPy from several threads at once, so it must write only into
        its own part of any shared array.
    length, size : int
        The slices are ``split(length, size)`` on NumPy.  A GPU runs one kernel over everything, so
        on CuPy there is a single slice ``(0, length)``.
    xp : module
        The array module of the data: ``numpy`` or ``cupy``.
    """
    if xp is not np:
        return [function(0, length)]
    return run([partial(function, a, b) for a, b in split(length, max(1, size))])


def run(tasks: Sequence[Callable[[], object]], threads_each: int = 1) -> list:
    """Run independent `tasks` on all cores (NumPy only) and return their results in order.

    An exception in one task is raised here after all of them have ended.  A task may call `run`
    itself, on the `threads_each` that it was given; with one, its tasks run one after another in
    its own thread.
    """
    share = getattr(_local, "share", None)
    if share == 1:
        return [task() for task in tasks]
    threads = min((share or get_num_threads()) // threads_each, len(tasks))
    with one_blas_thread():
        if threads <= 1:  # one task too: BLAS threads, once woken, spin for a while on our cores
            return [task() for task in tasks]
        results: list = [None] * len(tasks)
        queue = iter(range(len(tasks)))  # next() on it is atomic under the global lock

        def work() -> None:
            before, _local.share = getattr(_local, "share", None), threads_each
            try:
                for index in queue:
                    results[index] = tasks[index]()
            finally:
                _local.share = before

        orders = [_Order(partial(copy_context().run, work)) for _ in range(threads - 1)]
        _give(orders)
        try:
            work()  # the calling thread is a worker too
        finally:
            for order in orders:
                order.take_back_or_wait()
        for order in orders:
            if order.error is not None:
                raise order.error
        return results


def side_by_side(*branches: Callable[[], Any]) -> list:
    """Run a few long functions that never meet at the same time; return their results.

    Slices of a small array do not keep all cores busy; two networks do.  Each function has its
    share of the threads.  Within `in_order` they run one after another.
    """
    if _in_order.get():
        return [branch() for branch in branches]
    share = max(1, (getattr(_local, "share", None) or get_num_threads()) // len(branches))
    return run(branches, threads_each=share)


@contextmanager
def in_order() -> Iterator[None]:
    """Within the scope nothing runs `side_by_side`: what all ranks do comes in one order."""
    token = _in_order.set(True)
    try:
        yield
    finally:
        _in_order.reset(token)


_in_order: ContextVar[bool] = ContextVar("in order", default=False)


def get_num_threads() -> int:
    """Return the number of threads that slices are spread over."""
    global _num_threads
    if _num_threads is None:
        _num_threads = _default_num_threads()
    return _num_threads


def set_num_threads(count: int) -> None:
    """Spread slices over `count` threads from now on; results do not change by a bit."""
    global _num_threads
    if int(count) != count or not 1 <= count <= MOST_THREADS:
        raise ValueError(
            f"set_num_threads: expected a positive whole number of at most {MOST_THREADS}, "
            f"got {count!r}"
        )
    _num_threads = int(count)
    with _lock:
        for _ in range(_helpers):
            _orders.put(None)
        _forget_helpers()


def workspace(name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return this thread's scratch array called `name`, uninitialised, kept for the next call.

    A fresh large array costs as much as the arithmetic on it, because the operating system clears
    each of its pages; scratch arrays that stay in a core's cache cost nothing.  What it holds is
    lost at the next call with the same `name` in the same thread.
    """
    dtype = np.dtype(dtype)
    needed = math.prod(shape) * dtype.itemsize
    store = _local.__dict__.setdefault("workspaces", {})
    block = store.get(name)
    if block is None or block.nbytes < needed:
        block = store[name] = np.empty(needed, np.uint8)
    return block[:needed].view(dtype).reshape(shape)


_lock = threading.Lock()
_local = threading.local()
_orders: SimpleQueue = SimpleQueue()
_helpers = 0  # threads that wait for orders


def _default_num_threads() -> int:
    wanted = os.environ.get("TINYGAN_NUM_THREADS", "")
    if wanted:
        if not wanted.isdecimal() or not 1 <= int(wanted[:9]) <= MOST_THREADS:
            raise UserError(
                f"TINYGAN_NUM_THREADS: expected a positive whole number, got {wanted!r}"
                f" (at most {MOST_THREADS})"
            )
        return int(wanted)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_num_threads: int | None = None  # read from the environment when it is first asked for


class _Order:
    """Work for a helper.  Locks alone: a future of the standard library takes longer to make."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.work = work
        self.error: BaseException | None = None
        self.begun, self.ended = threading.Lock(), threading.Lock()
        self.ended.acquire()

    def carry_out(self) -> None:
        if self.begun.acquire(blocking=False):  # else it was taken back
            try:
                self.work()
            except BaseException as error:
                self.error = error
            finally:
                self.ended.release()

    def take_back_or_wait(self) -> None:
        if not self.begun.acquire(blocking=False):
            self.ended.acquire()


def _give(orders: list[_Order]) -> None:
    """Give `orders` to helpers; begin as many as there may be."""
    global _helpers
    with _lock:
        while _helpers < max(len(orders), get_num_threads() - 1):
            threading.Thread(target=_help, args=(_orders,), name="tinygan", daemon=True).start()
            _helpers += 1
        for order in orders:
            _orders.put(order)


def _help(orders: SimpleQueue) -> None:
    while (order := orders.get()) is not None:
        order.carry_out()
        del order  # and with it the arrays


def _forget_helpers() -> None:
    global _orders, _helpers
    _orders, _helpers = SimpleQueue(), 0


def _after_fork() -> None:  # a child has none of its parent's threads
    global _lock
    _lock = threading.Lock()
    _forget_helpers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class _NumpyBlas:
    """The BLAS that NumPy itself was linked with, and how many are holding it at one thread."""

    def __init__(self) -> None:
        home = Path(np.__file__).resolve().parent
        near = (home, home.parent / "numpy.libs")
        found = [
            library
            for library in ThreadpoolController().lib_controllers
            if library.user_api == "blas"
        ]
        own = [lib for lib in found if any(p in Path(lib.filepath).resolve().parents for p in near)]
        # a wheel brings its BLAS along; elsewhere (conda, distributions) a single one is shared
        self.libraries = own or (found if len(found) == 1 else [])
        self.holders = 0
        self.before: list[int] = []


_blas: _NumpyBlas | None = None


@cache
def blas_architecture() -> str:
    """Return the kind of processor that NumPy's BLAS has its loops for, as it names it."""
    with one_blas_thread():
        libraries = _blas.libraries if _blas else []
    return getattr(libraries[0], "architecture", "") if libraries else ""


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Hold NumPy's BLAS at one thread; the last of several holders gives back what the user had.

    `run` does so by itself.  A scope around many calls of it saves asking the library each time,
    which a small network feels.
    """
    global _blas
    with _lock:
        if _blas is None:
            _blas = _NumpyBlas()
        if _blas.holders == 0:
            _blas.before = [library.num_threads for library in _blas.libraries]
            for library in _blas.libraries:
                library.set_num_threads(1)
        _blas.holders += 1
    try:
        yield
    finally:
        with _lock:
            _blas.holders -= 1
            if _blas.holders == 0:
                for library, count in zip(_blas.libraries, _blas.before, strict=True):
                    library.set_num_threads(count)
