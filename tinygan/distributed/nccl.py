"""Arrays on GPUs: NCCL through CuPy.  All else goes by MPI, which also brings the ranks together.

The operations are launched like kernels, and nothing waits for them here.
"""

from __future__ import annotations

from typing import Any

from tinygan.errors import UserError
from tinygan.machine.arrays import Array, get_module, get_xp

__all__ = ["NCCL", "use_own_gpu"]


class NCCL:
    """Sums and gathers arrays on GPUs, one for each rank."""

    def __init__(self, rank: int, size: int):
        from cupyx.distributed import init_process_group

        self.size = size
        self._group: Any = init_process_group(size, rank, backend="nccl", use_mpi=True)

    def sum(self, array: Array) -> Array:
        xp = get_xp(array)
        array = xp.ascontiguousarray(array)
        total = xp.empty_like(array)
        self._group.all_reduce(array, total, "sum")
        return total

    def gather(self, array: Array) -> Array:
        xp = get_xp(array)
        array = xp.ascontiguousarray(array)
        all_ = xp.empty((self.size, *array.shape), array.dtype)
        self._group.all_gather(array, all_, array.size)
        return all_


def use_own_gpu(number: int, ranks: int) -> None:
    """Let this rank, the one of this `number` among the `ranks` on its machine, use its own GPU."""
    cuda = get_module("cupy").cuda
    there = cuda.runtime.getDeviceCount()
    if there == 1:  # there is no other, or the cluster shows each rank its own alone
        return
    if ranks > there:
        raise UserError(
            f"expected a GPU for each rank, got {there} for the {ranks} on this machine"
        )
    cuda.Device(number).use()
