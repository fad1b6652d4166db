"""What stands in for MPI and NCCL where there is neither: ranks are threads of this process."""

from __future__ import annotations

import queue
import sys
import threading
import types

import numpy as np

from tinygan.distributed import mpi, on_threads

here = threading.local()  # .ranks: the communicator of the thread; .boxes: what is on its way


class Request:
    """An operation that is done when it is asked for, by all who meet in it."""

    def __init__(self, do=lambda: None, ready=lambda: True):
        self.do, self.ready = do, ready

    def Test(self):
        if not self.ready():
            return False
        self.do()
        return True

    def wait(self):
        pass


class World:
    """As much of ``MPI.COMM_WORLD`` as tinygan calls.

    One whose rank is in `hangs` never comes to its operations of that number and later.
    """

    def __init__(self, ranks, boxes, hangs=None):
        self.rank, self.size, self._ranks, self._boxes = ranks.rank, ranks.size, ranks, boxes
        self._hangs, self._count = hangs or {}, 0

    def _meet(self, do):
        self._count += 1
        first = min(self._hangs.values(), default=10**9)
        if self._count >= self._hangs.get(self.rank, 10**9):
            threading.Event().wait(3)  # a long sleep; then it is gone
            raise SystemExit
        return Request(do, ready=lambda: self._count < first)

    def Iallreduce(self, array, out):
        assert array.flags.c_contiguous
        assert (array.dtype, array.shape) == (out.dtype, out.shape)

        def do():
            out[...] = self._ranks.sum(array)

        return self._meet(do)

    def Iallgather(self, array, out):
        assert array.flags.c_contiguous
        assert out.shape == (self.size, *array.shape)

        def do():
            out[...] = self._ranks.gather(array)

        return self._meet(do)

    def isend(self, thing, dest, tag):
        self._boxes[dest].put((self.rank, thing))
        return Request()

    def iprobe(self, tag, status):
        try:
            status.source, self._next = self._boxes[self.rank].get_nowait()
        except queue.Empty:
            return False
        return True

    def recv(self, source, tag):
        return self._next

    def finalize(self):
        assert self._boxes[self.rank].empty(), "MPI refuses to end with unread messages"

    def Abort(self, code):
        raise SystemExit(code)


def over_mpi(monkeypatch, size, function, hangs=None):
    """Call ``function(MPI())`` on threads, as `on_threads` calls it with a stand-in."""
    boxes = [queue.Queue() for _ in range(size)]
    monkeypatch.setattr(
        mpi,
        "_mpi4py",
        lambda: types.SimpleNamespace(
            COMM_WORLD=here.world, Status=types.SimpleNamespace, Finalize=here.world.finalize
        ),
    )

    def work(ranks):
        here.ranks, here.world = ranks, World(ranks, boxes, hangs)
        return function(mpi.MPI())

    return on_threads(size, work)


class Group:
    """As much of ``cupyx.distributed.NCCLBackend`` as tinygan calls; as strict with arrays."""

    def __init__(self, size, rank, backend, use_mpi):
        assert (backend, use_mpi, rank, size) == ("nccl", True, here.ranks.rank, here.ranks.size)
        self.ranks = here.ranks

    def _check(self, *arrays):
        for array in arrays:
            if isinstance(array, np.ndarray) or not array.flags.c_contiguous:
                raise TypeError(f"expected contiguous arrays on the GPU, got {type(array)}")
        assert len({array.dtype for array in arrays}) == 1

    def all_reduce(self, in_array, out_array, op="sum"):
        self._check(in_array, out_array)
        assert op == "sum"
        assert in_array.size == out_array.size
        out_array[...] = self.ranks.sum(in_array)

    def all_gather(self, in_array, out_array, count):
        self._check(in_array, out_array)
        assert (count, out_array.size) == (in_array.size, count * self.ranks.size)
        out_array[...] = self.ranks.gather(in_array)


def install_nccl(monkeypatch):
    """Put the stand-in where ``import cupyx.distributed`` finds it."""
    module = types.ModuleType("cupyx.distributed")
    module.init_process_group = Group
    monkeypatch.setitem(sys.modules, "cupyx", types.ModuleType("cupyx"))
    monkeypatch.setitem(sys.modules, "cupyx.distributed", module)
