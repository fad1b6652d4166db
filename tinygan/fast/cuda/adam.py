"""Adam over all parameters in one launch; the plain version is `tinygan.optim.Adam.update`."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinygan.fast.adam import is_adam, numbers_of
from tinygan.fast.cuda.module import launch, usable
from tinygan.fast.dispatch import override
from tinygan.machine.arrays import Array, get_xp

CHUNK = 4096
"""Elements of one block's work; as in ``adam.cu``."""


def _arrays(
    thetas: list[Array], gradients: list[Array], slots: list[tuple[Array, ...]], _: Any
) -> list[Array]:
    return [*thetas, *gradients, *(m for m, _ in slots), *(v for _, v in slots)]


@override("update_all", "cupy", lambda *a: is_adam(*a) and usable(*_arrays(*a)))
def update_all(
    thetas: list[Array], gradients: list[Array], slots: list[tuple[Array, ...]], adam: Any
) -> None:
    xp = get_xp(thetas[0])
    addresses = tuple(array.data.ptr for array in _arrays(thetas, gradients, slots, adam))
    sizes, chunks = _work(xp, tuple(theta.size for theta in thetas))
    launch("adam", thetas[0].dtype, (len(chunks),), _table(xp, addresses), sizes, chunks,
           len(thetas), *map(float, numbers_of(adam)),
           moved=7 * sum(theta.nbytes for theta in thetas))  # fmt: skip


@lru_cache(maxsize=32)
def _table(xp: Any, addresses: tuple[int, ...]) -> Array:
    """Return, in device memory, where arrays lie: (4, tensors)."""
    return xp.asarray(np.array(addresses, np.uint64).reshape(4, -1))


@lru_cache(maxsize=32)
def _work(xp: Any, sizes: tuple[int, ...]) -> tuple[Array, Array]:
    """Return, in device memory, how large arrays are, and each block's work."""
    chunks = [(i, at) for i, size in enumerate(sizes) for at in range(0, size, CHUNK)]
    return xp.asarray(np.array(sizes, np.int64)), xp.asarray(np.array(chunks, np.int64))
