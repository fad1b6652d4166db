"""Numbers on their way from the GPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan.machine.arrays import get_xp

__all__ = ["Pending"]


class Pending:
    """A step's metrics, on their way to the host.

    On NumPy they are there.  On CuPy they are copied into pinned memory as soon as the GPU has
    come that far, and only `result` waits for it; so the loop starts the next step first.
    """

    def __init__(self, metrics: dict):
        self._names = tuple(metrics)
        xp = get_xp(*metrics.values())
        self._event = None
        if xp is np:
            self._values: Any = list(metrics.values())
            return
        self._stacked = xp.stack(list(metrics.values()))  # held until it has been copied
        pinned = xp.cuda.alloc_pinned_memory(self._stacked.nbytes)
        self._values = np.frombuffer(pinned, self._stacked.dtype, len(metrics))
        self._stacked.get(out=self._values, blocking=False)
        self._event = xp.cuda.Event()
        self._event.record()

    def result(self) -> dict[str, float]:
        """Return the metrics as Python numbers: the shortest that round to the computed ones."""
        if self._event is not None:
            self._event.synchronize()
        values = (np.asarray(value)[()] for value in self._values)
        return {n: float(str(value)) for n, value in zip(self._names, values, strict=True)}
