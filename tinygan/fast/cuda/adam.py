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
    return [thetas, gradients, *(list(slot) for slot in zip(*slots, strict=True))]


def _all_usable(lists: Any) -> bool:
    return usable(*(array for arrays in lists for array in arrays))


@override("update_all", "cupy", lambda *a: is_adam(*a) and _all_usable(_arrays(*a)))
def update_all(
    thetas: list[Array], gradients: list[Array], slots: list[tuple[Array, ...]], adam: Any
) -> None:
    _launch("adam", 7, _arrays(thetas, gradients, slots, adam), *map(float, numbers_of(adam)))


@override("zero_all", "cupy", lambda gradients: _all_usable([gradients]))
def zero_all(gradients: list[Array]) -> None:
    _launch("clear_gradients", 1, [gradients])


def _launch(name: str, passes: Any, lists: Any, *numbers: float) -> None:
    """Launch a kernel over `lists` of arrays, which are as many and as large in each."""
    first = lists[0]
    addresses = tuple(array.data.ptr for arrays in lists for array in arrays)
    table = _table(get_xp(first[0]), addresses, tuple(array.size for array in first))
    launch(name, first[0].dtype, (len(table[2]),), *table, len(first), *numbers,
           moved=passes * sum(array.nbytes for array in first))  # fmt: skip


@lru_cache(maxsize=32)
def _table(xp: Any, addresses: Any, sizes: Any) -> Array:
    """Return, in device memory, where arrays lie, how large they are, and each block's work."""
    chunks = [(i, at) for i, size in enumerate(sizes) for at in range(0, size, CHUNK)]
    return (
        xp.asarray(np.array(addresses, np.uint64).reshape(-1, len(sizes))),
        xp.asarray(np.array(sizes, np.int64)),
        xp.asarray(np.array(chunks, np.int64)),
    )
