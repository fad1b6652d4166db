"""One run on many machines: each rank computes its rows of a batch, and gradients are averaged.

A *rank* is one of several processes that train the same networks.  They begin with the same
weights, draw the same random numbers, those of the whole batch, and use their own rows of them;
what is a mean over the batch is averaged over the ranks.  So N ranks compute what one process
does, to rounding.

`communicator` says what ranks can tell each other: four operations.  `mpi` and `nccl` carry them
between machines, `threads` within one process, for tests and lessons.  `shared` holds the few
functions by which the rest of tinygan takes part; without a communicator they change nothing.
"""

from tinygan.distributed.communicator import Communicator, bounds
from tinygan.distributed.shared import joined, own_rows, sharing
from tinygan.distributed.threads import on_threads

__all__ = ["Communicator", "bounds", "joined", "on_threads", "own_rows", "sharing"]
