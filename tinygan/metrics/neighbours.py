"""The nearest training picture of each sample: is it new, or learnt by heart?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygan.machine.arrays import Array, asnumpy

__all__ = ["Neighbours", "memorised", "nearest_neighbours"]

_BYTES = 2**26  # of working memory, about


@dataclass(frozen=True)
class Neighbours:
    """The nearest neighbours of each of N queries, nearest first.

    Attributes
    ----------
    indices : ndarray
        ``(N, count)``, into what was searched.
    distances : ndarray
        ``(N, count)``: the root of the mean squared difference.
    """

    indices: np.ndarray
    distances: np.ndarray


def nearest_neighbours(queries: Array, data: Array, count: int = 1) -> Neighbours:
    r"""Find the `count` nearest of `data` to each of `queries`.

    Parameters
    ----------
    queries, data : ndarray
        Features ``(N, D)`` and ``(M, D)``, or pictures ``(N, H, W, C)`` and ``(M, H, W, C)``, both
        uint8 or both float; uint8 pictures are compared in units of [−1, 1].  `data` may be
        memory-mapped: it is read once, a part at a time.
    count : int

    Notes
    -----
    Distances are first computed as :math:`q^2 - 2 q \cdot d + d^2`, one matrix product, which
    loses digits where two are almost equal, just where it matters here.  So a few more candidates
    than asked for are kept and their distances are computed from the differences.
    """
    queries, data = _rows(queries, "queries"), _rows(data, "data")
    if queries.shape[1] != data.shape[1] or queries.dtype.kind != data.dtype.kind:
        raise ValueError(
            f"queries and data: expected the same kind of thing, got {queries.dtype} of "
            f"{queries.shape[1]} values and {data.dtype} of {data.shape[1]}"
        )
    if not 1 <= count <= len(data):
        raise ValueError(f"count: expected 1 to {len(data)}, got {count}")
    kept = min(count + 4, len(data))
    best = np.full((len(queries), 0), np.inf, np.float32)
    where = np.zeros((len(queries), 0), np.int64)
    q = _values(queries)
    step = max(kept, _BYTES // (4 * (data.shape[1] + 2 * len(queries))))
    for start in range(0, len(data), step):
        part = _values(data[start : start + step])
        squares = (part * part).sum(axis=1) - 2 * (q @ part.T)  # q² is the same for all
        best = np.concatenate([best, squares], axis=1)
        here = np.broadcast_to(np.arange(start, start + len(part)), squares.shape)
        where = np.concatenate([where, here], axis=1)
        if best.shape[1] > kept:
            order = np.argpartition(best, kept - 1, axis=1)[:, :kept]
            best = np.take_along_axis(best, order, axis=1)
            where = np.take_along_axis(where, order, axis=1)
    exact = np.stack(
        [
            np.sqrt(np.mean((_values(data[i]) - row) ** 2, axis=1, dtype=np.float64))
            for i, row in zip(where, q, strict=True)
        ]
    )
    order = np.argsort(exact, axis=1, kind="stable")[:, :count]
    return Neighbours(
        np.take_along_axis(where, order, axis=1), np.take_along_axis(exact, order, axis=1)
    )


def memorised(
    sample_distances: np.ndarray, held_out_distances: np.ndarray, quantile: float = 0.01
) -> float:
    """Return the share of samples that lie closer to the training data than new pictures do.

    Parameters
    ----------
    sample_distances, held_out_distances : ndarray
        Distances to the nearest training picture, of the samples and of pictures of the data that
        were not trained on.
    quantile : float
        A sample counts as memorised if it is closer than this share of the held-out pictures.

    Returns
    -------
    float
        About `quantile` for samples that are as new as held-out pictures; 1 for a copying machine.
    """
    limit = np.quantile(np.ravel(held_out_distances), quantile)
    return float(np.mean(np.ravel(sample_distances) < limit))


def _rows(x: Array, name: str) -> np.ndarray:
    x = asnumpy(x)
    if x.ndim < 2 or not len(x) or (x.dtype != np.uint8 and x.dtype.kind != "f"):
        raise ValueError(
            f"{name}: expected features (N, D) or pictures (N, H, W, C), float or uint8, got "
            f"{x.dtype} of shape {x.shape}"
        )
    return x.reshape(len(x), -1)


def _values(rows: np.ndarray) -> np.ndarray:
    if rows.dtype == np.uint8:
        return rows.astype(np.float32) / 127.5
    return rows.astype(np.float32, copy=False)
