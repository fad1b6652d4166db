r"""How layers, optimizers and steps take part, each by a line; alone, they change nothing.

With the loss L a mean over a batch, :math:`L_r` its mean over the rows of rank r and
:math:`w_r` the share of the batch that these are, :math:`L = \sum_r w_r L_r`.  So gradients,
metrics and the sums of batch normalisation's backward pass are averaged with the weights
:math:`w_r`, and nothing is lost: the mean of a mean is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from tinygan.distributed.communicator import Communicator, bounds
from tinygan.errors import UserError
from tinygan.fast.merging import merge
from tinygan.machine.arrays import Array, get_xp
from tinygan.machine.parallel import in_order

__all__ = [
    "add_sums",
    "average_gradients",
    "drawn",
    "exchanged",
    "joined",
    "merge_moments",
    "number_of_ranks",
    "of_whole_batch",
    "own_count",
    "own_rows",
    "sharing",
    "together",
    "whole_size",
]

Result = TypeVar("Result")

_job: ContextVar[Communicator | None] = ContextVar("job", default=None)
_step: ContextVar[Communicator | None] = ContextVar("step", default=None)


@contextmanager
def joined(communicator: Communicator) -> Iterator[Communicator]:
    """Within the scope, systems take their steps `together` with the other ranks."""
    before = _job.set(communicator)
    try:
        yield communicator
    finally:
        _job.reset(before)


@contextmanager
def sharing(communicator: Communicator, rows: int | None = None) -> Iterator[Communicator]:
    """Within the scope, what is computed is this rank's part of a batch.

    Parameters
    ----------
    communicator : Communicator
    rows : int, optional
        Of the whole batch; `own_rows` sets it, too.
    """
    before, communicator.rows = _step.set(communicator), rows
    try:
        with in_order():
            yield communicator
    finally:
        _step.reset(before)


def together(step: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Take a step with all ranks and return its metrics, means over the whole batch.

    Outside of it (samples, measures, forecasts) a rank computes alone.
    """
    communicator = _job.get()
    if communicator is None or communicator.size == 1:
        return step(*arguments)
    with sharing(communicator):
        metrics = step(*arguments)
        if communicator.rows is None:
            raise UserError(
                "on several ranks a step gets its rows by self.upload(batch, …), whose arrays are "
                "of the whole batch; this system's step does not call it"
            )
        xp, values = get_xp(*metrics.values()), list(metrics.values())
        means = communicator.mean(xp.stack([value.astype("float64") for value in values]))
        return {
            name: mean.astype(value.dtype)
            for (name, value), mean in zip(metrics.items(), means, strict=True)
        }


def exchanged(thing: Any) -> list:
    """Return what each rank of the job has given, or alone just `thing`."""
    communicator = _job.get()
    return [thing] if communicator is None else communicator.exchange(thing)


def number_of_ranks() -> int:
    communicator = _job.get()
    return 1 if communicator is None else communicator.size


def own_count(rows: int) -> int:
    """Return how many rows of a batch a rank of the job has at most."""
    ranks = number_of_ranks()
    if rows < ranks:
        raise UserError(
            f"--batch-size: expected at least 1 for each of the {ranks} ranks, got {rows}"
        )
    return bounds(rows, 0, ranks)[1]


def own_rows(*arrays: Array) -> tuple[Array, ...]:
    """Return this rank's rows of arrays of the whole batch; the batch to come is of their rows."""
    communicator = _step.get()
    if communicator is None:
        return arrays
    if min(map(len, arrays)) < communicator.size:
        raise UserError(
            f"expected a row for each rank, got a batch of {min(map(len, arrays))} on "
            f"{communicator.size} ranks: raise --batch-size or use fewer ranks"
        )
    communicator.rows = len(arrays[0])
    return tuple(a[slice(*bounds(len(a), communicator.rank, communicator.size))] for a in arrays)


def drawn(draw: Callable[..., Any], shape: tuple[int, ...], *rest: Any) -> Any:
    """Return ``draw(shape, *rest)``; on several ranks its rows of what is drawn for all of them.

    `draw` returns one array or a tuple of them, each with as many rows as it was asked for.
    """
    communicator = _active()
    if communicator is None:
        return draw(shape, *rest)
    own, rows = communicator.own, communicator.rows or 0
    times, left = divmod(shape[0], own.stop - own.start)  # a step may join batches: real, generated
    if left:
        raise ValueError(
            f"on rank {communicator.rank}: expected its {own.stop - own.start} rows of the batch "
            f"of {rows}, or a multiple of them, got {shape[0]}"
        )
    arrays = draw((times * rows, *shape[1:]), *rest)

    def part(a: Any) -> Any:
        return a.reshape(times, rows, *a.shape[1:])[:, own].reshape(shape[0], *a.shape[1:])

    return tuple(map(part, arrays)) if isinstance(arrays, tuple) else part(arrays)


def of_whole_batch(function: Callable[[Array], Array], images: Array) -> Array:
    """Return ``function(images)``, an image for each; `function` sees those of all ranks."""
    communicator = _active()
    if communicator is None:
        return function(images)
    return function(communicator.gather_rows(images))[communicator.own]


def whole_size(images: Array) -> int:
    """Return how many numbers the whole batch has that these are this rank's rows of."""
    communicator = _active()
    return images.size if communicator is None else images[0].size * (communicator.rows or 0)


def merge_moments(mean: Array, var: Array, count: int) -> tuple[Array, Array, int]:
    """Merge each rank's mean and variance ``(1, C)`` of `count` values into those of all values."""
    communicator = _active(batch_norm=True)
    if communicator is None:
        return mean, var, count
    xp = get_xp(mean)
    parts = communicator.gather(xp.concatenate([mean, var]))  # (ranks, 2, C)
    shares = xp.asarray(communicator.shares(), mean.dtype)[:, None]
    own, rows = communicator.own, communicator.rows or 0
    whole = count // (own.stop - own.start) * rows
    return *merge(parts[None, :, 0], parts[None, :, 1], shares), whole


def add_sums(one: Array, other: Array) -> tuple[Array, Array]:
    """Average two sums of each rank, ``(1, C)``, over the ranks by their shares."""
    communicator = _active(batch_norm=True)
    if communicator is None:
        return one, other
    both = communicator.mean(get_xp(one, other).stack([one, other]))
    return both[0], both[1]


def average_gradients(gradients: Sequence[Array]) -> None:
    """Average gradients over the ranks, in place, in one exchange."""
    communicator = _active()
    if communicator is None:
        return
    flat = get_xp(*gradients).concatenate([g.ravel() for g in gradients])
    flat = communicator.mean(flat)
    end = 0
    for g in gradients:
        start, end = end, end + g.size
        g[...] = flat[start:end].reshape(g.shape)


def _active(batch_norm: bool = False) -> Communicator | None:
    """Return the communicator, if there are other ranks that compute parts of the same batch."""
    communicator = _step.get()
    if communicator is None or communicator.rows is None or communicator.size == 1:
        return None
    return communicator if communicator.sync_batch_norm or not batch_norm else None
