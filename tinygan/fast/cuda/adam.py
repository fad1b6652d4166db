"""Adam over all parameters in one launch; the plain version is in `tinygan.optim`."""

from __future__ import annotations

import numpy as np

from tinygan.fast.cuda.module import launch
from tinygan.machine.arrays import get_xp

CHUNK = 4096
"""Elements of one block's work; as in ``adam.cu``."""


class AdamTable:
    """Where all tensors of one optimiser lie, in device memory.

    Parameters
    ----------
    tensors : list of tuple
        ``(data, grad, m, v)`` of each parameter, all of one dtype.
    """

    def __init__(self, tensors):
        self.key = self.key_of(tensors)
        self.tensors = tensors  # kept, so that nothing else can come to lie at these addresses
        self.dtype = tensors[0][0].dtype
        asarray = get_xp(tensors[0][0]).asarray
        self.nbytes = sum(data.nbytes for data, *_ in tensors)
        sizes = [data.size for data, *_ in tensors]
        chunks = [(i, at) for i, size in enumerate(sizes) for at in range(0, size, CHUNK)]
        addresses = np.array(self.key, np.uint64).reshape(-1, 4).T
        self.count, self.blocks = len(tensors), len(chunks)
        self.addresses = asarray(np.ascontiguousarray(addresses))
        self.sizes = asarray(np.array(sizes, np.int64))
        self.chunks = asarray(np.array(chunks, np.int64))

    @staticmethod
    def key_of(tensors):
        """Return all addresses: a table made for others must not be used."""
        return tuple(array.data.ptr for four in tensors for array in four)

    def _launch(self, name, passes, *numbers):
        launch(name, self.dtype, (self.blocks,), self.addresses, self.sizes, self.chunks,
               self.count, *numbers, moved=passes * self.nbytes)  # fmt: skip

    def step(self, rate, beta1, beta2, eps):
        self._launch("adam", 7, float(rate), float(beta1), float(beta2), float(eps))

    def clear_gradients(self):
        self._launch("clear_gradients", 1)
