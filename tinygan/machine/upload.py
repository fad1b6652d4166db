"""Copying batches to the GPU while it computes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygan.machine.arrays import get_module

__all__ = ["Uploader"]


class Uploader:
    """Copies the host arrays of each step to a backend, on the GPU beside its computation.

    On NumPy the arrays are there already.  On CuPy the copy runs on a stream of its own, out of
    pinned memory, and the computation waits for it on the device: the processor goes on at once,
    and since it is ahead of the GPU, the copy for one step overlaps the computation of the step
    before.

    Parameters
    ----------
    backend : {"numpy", "cupy"}

    Notes
    -----
    There are two sets of buffers, used in turn.  What a call returns is overwritten by the call
    after the next: use it for one step, and copy what you want to keep.

    Examples
    --------
    >>> import numpy as np
    >>> x, z = Uploader("numpy")(np.ones(2), np.zeros(3))
    >>> x, z
    (array([1., 1.]), array([0., 0., 0.]))
    """

    def __init__(self, backend: str):
        self._xp = get_module(backend)
        self._slots: list = [None, None]
        self._stream = None if self._xp is np else self._xp.cuda.Stream(non_blocking=True)

    def __call__(self, *arrays: np.ndarray) -> tuple:
        """Return `arrays` on the backend, in the same order."""
        if self._xp is np:
            return arrays
        compute = self._xp.cuda.get_current_stream()
        other, mine = self._slots
        self._slots = [mine, other]  # in turn
        if other is not None:
            other.read = compute.record()  # all that reads it has been launched by now
        kinds = [(array.shape, array.dtype) for array in arrays]
        if mine is None or mine.kinds != kinds:
            mine = _Buffers(self._xp, kinds)
            mine.read = compute.record()  # the memory may have been another array's
            self._slots[0] = mine
        mine.fill(arrays, self._stream)
        compute.wait_event(mine.copied)
        return tuple(mine.device)


class _Buffers:
    """Pinned and device memory for arrays of these kinds, and when they were last used."""

    def __init__(self, xp: Any, kinds: Any):
        self.kinds = kinds
        self.device = [xp.empty(shape, dtype) for shape, dtype in kinds]
        self.pinned = [_pinned(xp, shape, dtype) for shape, dtype in kinds]
        self.read = self.copied = None

    def fill(self, arrays: Sequence[np.ndarray], stream: Any) -> None:
        if self.copied is not None:
            self.copied.synchronize()  # two steps ago: the pinned memory has long been read
        for array, pinned in zip(arrays, self.pinned, strict=True):
            pinned[...] = array
        stream.wait_event(self.read)
        for pinned, device in zip(self.pinned, self.device, strict=True):
            device.set(pinned, stream=stream)
        self.copied = stream.record()


def _pinned(xp: Any, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    size = int(np.prod(shape))
    memory = xp.cuda.alloc_pinned_memory(max(1, size * np.dtype(dtype).itemsize))
    return np.frombuffer(memory, dtype, size).reshape(shape)
