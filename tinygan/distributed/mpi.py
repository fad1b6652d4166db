"""Ranks as processes, on one machine or many: MPI through mpi4py; arrays on GPUs go by NCCL.

Every operation is begun and then asked for until it is done, so that a rank that waits can tell
for how long.  Who waits for more than a second says so to all others.  When the patience of one is
at its end, whoever has not said so is missing: it hangs.
"""

from __future__ import annotations

import math
import os
import socket
import sys
import time
from typing import Any, NoReturn

import numpy as np

from tinygan.distributed.communicator import Communicator
from tinygan.distributed.nccl import NCCL
from tinygan.errors import UserError
from tinygan.machine.arrays import Array

__all__ = ["MPI"]

_WAITING = 719  # the tag of "I am waiting in my n-th operation"
_QUIET = 1.0  # seconds of waiting until a rank says so


class MPI(Communicator):
    """The processes that ``mpiexec`` or ``srun`` has started."""

    def __init__(self) -> None:
        self._mpi = _mpi4py()
        self._world = self._mpi.COMM_WORLD
        super().__init__(self._world.rank, self._world.size)
        self._count = 0  # operations so far
        self._heard: dict[int, int] = {}  # rank → the operation that it waits in
        self._said: list[Any] = []
        self._announced = self._received = 0
        self._nccl: NCCL | None = None
        host = socket.gethostname()
        known = self.exchange([host, f"process {os.getpid()} on {host}"])
        self.places = [f"{a} ({b})" for a, (_, b) in zip(self.places, known, strict=True)]
        hosts = [one for one, _ in known]
        self.local = hosts[: self.rank].count(host), hosts.count(host)

    def sum(self, array: Array) -> Array:
        if not isinstance(array, np.ndarray | np.generic):
            return self._on_gpus().sum(array)
        array = np.ascontiguousarray(array)
        total = np.empty_like(array)
        self._wait(self._world.Iallreduce(array, total), array.nbytes)
        return total

    def gather(self, array: Array) -> Array:
        if not isinstance(array, np.ndarray):
            return self._on_gpus().gather(array)
        array = np.ascontiguousarray(array)
        all_ = np.empty((self.size, *array.shape), array.dtype)
        self._wait(self._world.Iallgather(array, all_), array.nbytes)
        return all_

    def abort(self, reason: str) -> NoReturn:
        print(f"{self.places[self.rank]}: {reason}; the job ends", file=sys.stderr, flush=True)
        self._world.Abort(1)
        os._exit(1)  # Abort does not return

    def leave(self) -> None:
        self.patience = math.inf
        # a launcher ends the others when one has ended, and MPI refuses to end with mail unread
        announced = self.gather(np.array([self._announced]))
        while self._received < announced.sum() - self._announced:
            self._listen()
        for message in self._said:
            message.wait()
        self._mpi.Finalize()

    def _on_gpus(self) -> NCCL:
        if self._nccl is None:
            self._nccl = NCCL(self.rank, self.size)
        return self._nccl

    def _wait(self, request: Any, nbytes: int) -> None:
        self._count += 1
        self.shared_bytes += nbytes
        began = time.monotonic()
        pause = 0.0  # gives the core away, and is back at once
        while not request.Test():
            waited = time.monotonic() - began
            if waited > _QUIET and not pause:
                pause = 0.001
                if self.patience < math.inf:
                    self._say_waiting()
            if waited > self.patience:
                self.abort(f"has waited {waited:.0f} s for {self._missing()}")
            time.sleep(pause)
        self.waited_seconds += time.monotonic() - began

    def _say_waiting(self) -> None:
        self._listen()
        self._said = [message for message in self._said if not message.Test()]
        self._announced += 1
        for rank in set(range(self.size)) - {self.rank}:
            self._said.append(self._world.isend(self._count, dest=rank, tag=_WAITING))

    def _listen(self) -> None:
        status = self._mpi.Status()
        while self._world.iprobe(tag=_WAITING, status=status):
            self._heard[status.source] = self._world.recv(source=status.source, tag=_WAITING)
            self._received += 1

    def _missing(self) -> str:
        self._listen()
        others = set(range(self.size)) - {self.rank}
        missing = [self.places[r] for r in sorted(others) if self._heard.get(r) != self._count]
        return ", ".join(missing) + ", which hangs" if missing else "the network: all ranks wait"


def _mpi4py() -> Any:
    try:
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--distributed needs mpi4py and an MPI library ({why}): pip install 'tinygan[mpi]', "
            "and where the machine has no MPI of its own, pip install mpich, too"
        ) from None
    return MPI
