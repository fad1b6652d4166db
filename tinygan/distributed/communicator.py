"""What ranks can tell each other."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

import numpy as np

from tinygan.machine.arrays import Array, get_xp

__all__ = ["Communicator", "bounds"]


def bounds(rows: int, rank: int, size: int) -> tuple[int, int]:
    """Return the first row of a rank and the one behind its last: shares as even as can be.

    Examples
    --------
    >>> [bounds(8, rank, 3) for rank in range(3)]
    [(0, 3), (3, 6), (6, 8)]
    """
    least, more = divmod(rows, size)
    start = rank * least + min(rank, more)
    return start, start + least + (rank < more)


class Communicator:
    """Four operations, each called by all ranks, in the same order, with arrays of one shape.

    Attributes
    ----------
    rank, size : int
        The number of this rank, from 0, and how many there are.
    sync_batch_norm : bool
        Whether batch normalisation takes the statistics of the whole batch.
    rows : int or None
        Of the whole batch that is being computed.
    places : list of str
        Which rank is which process on which machine.
    local : (int, int)
        This rank's number among those on its machine, and how many these are.
    patience : float
        Seconds that a rank waits for the others in one operation before it ends the job.
    waited_seconds : float
        Time in these operations: for other ranks, and for the network.
    shared_bytes : int
        Of the arrays that this rank has put into them.
    """

    rank: int
    size: int

    def __init__(self, rank: int, size: int):
        self.rank, self.size = rank, size
        self.sync_batch_norm = True
        self.rows: int | None = None
        self.places = [f"rank {number} of {size}" for number in range(size)]
        self.local, self.patience = (rank, size), math.inf
        self.waited_seconds, self.shared_bytes = 0.0, 0

    # --- the four operations --------------------------------------------------------------------

    def sum(self, array: Array) -> Array:
        """Return the sum of the ranks' arrays: the same bits on every rank."""
        raise NotImplementedError

    def gather(self, array: Array) -> Array:
        """Return the arrays of all ranks, ``(size, …)``."""
        raise NotImplementedError

    def exchange(self, thing: Any) -> list:
        """Return what each rank has given: anything that JSON can hold, however large."""
        data = np.frombuffer(json.dumps(thing).encode(), np.uint8)
        lengths = self.gather(np.array([data.size]))[:, 0]
        padded = np.zeros(max(lengths), np.uint8)
        padded[: data.size] = data
        rows = self.gather(padded)
        return [json.loads(row[:n].tobytes()) for row, n in zip(rows, lengths, strict=True)]

    def abort(self, reason: str) -> NoReturn:
        """Say why, and end all ranks."""
        raise NotImplementedError

    def leave(self) -> None:
        """Wait until all ranks have come to their end; this is called last."""

    # --- this rank's part of the batch ----------------------------------------------------------

    @property
    def own(self) -> slice:
        """This rank's rows of the whole batch."""
        return slice(*bounds(self.rows or 0, self.rank, self.size))

    def shares(self) -> list[float]:
        """Return how much of the whole batch each rank has."""
        assert self.rows is not None
        ends = (bounds(self.rows, rank, self.size) for rank in range(self.size))
        return [(stop - start) / self.rows for start, stop in ends]

    @property
    def share(self) -> float:
        """How much of the whole batch this rank has."""
        return self.shares()[self.rank]

    def mean(self, array: Array) -> Array:
        """Return the mean over the whole batch of what is a mean over each rank's rows."""
        return self.sum(array * self.share)

    def gather_rows(self, array: Array) -> Array:
        """Return the rows of all ranks, of which there may be one more on some than on others."""
        counts = [round(share * (self.rows or 0)) for share in self.shares()]
        xp = get_xp(array)
        padded = xp.zeros((max(counts), *array.shape[1:]), array.dtype)
        padded[: len(array)] = array
        parts = self.gather(padded)
        return xp.concatenate([part[:n] for part, n in zip(parts, counts, strict=True)])
