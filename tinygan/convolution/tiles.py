r"""Tiles: out of a picture into ``V``, and out of ``M`` into a picture; the same for the gradients.

What `winograd` multiplies is made here, and what it has multiplied is put back.

**Memory.**  The transforms are small matrices times long rows, in place of gathering: a tile's rows
along the height are whole rows of ``x``, so ``Bᵀ`` along the height reads them where they lie, and
along the width it writes ``V`` where the product wants it.  Results go straight to their rows of
``y`` and ``dx``.  Tiles are worked through in chunks, so that ``V`` stays small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from tinygan.convolution.geometry import for_pieces, output_size, padded, pieces, scratch
from tinygan.convolution.toom_cook import transforms
from tinygan.machine.arrays import Array, Size
from tinygan.machine.parallel import run, split

# taps r of one phase -> outputs m: F(4,2) for 4×4/2, F(4,3) for 3×3, F(3,4) for 4×4; n is 5 or 6.
# In dx a tile reaches into its next neighbour and no further: r − 1 ≤ m.
# Few pixels want small tiles: fewer positions, so fewer weights to transform and to read.
OUTPUTS = {2: (4, 2), 3: (4, 2), 4: (3,)}

Tasks: TypeAlias = Sequence[Callable[[], Any]]

CHUNK_BYTES = 32 << 20  # of V (or dV): long products, and memory stays bounded
BLOCK = 16384  # entries of a tap of w transformed at a time
PIECE_BYTES = 1 << 20  # of the rows between two transforms: less, and Python's share shows


def taps_of_phase(kernel_size: tuple[int, ...], stride: Size) -> int:
    """Return how many taps of the kernel one phase of the picture meets, along an axis."""
    return kernel_size[0] // stride[0]


class Tiling:
    """The sizes of one convolution, and its matrices."""

    def __init__(
        self,
        xp: Any,
        dtype: Any,
        outputs: int,
        x_shape: tuple[int, ...],
        w_shape: tuple[int, ...],
        stride: Size,
        padding: Size,
    ):
        self.xp, self.dtype, self.padding = xp, dtype, padding
        self.images, self.H, self.W, self.C = x_shape
        self.O, self.s, self.r = w_shape[3], stride[0], taps_of_phase(w_shape, stride)
        self.K = self.s**2 * self.C
        self.m = outputs
        self.n = self.m + self.r - 1
        self.A, self.G, self.B = (xp.asarray(a, dtype) for a in transforms(self.m, self.r))
        # what the tile before and the tile itself add to its own m entries of dx
        both = xp.zeros((self.m, 2 * self.n), dtype)
        both[: self.r - 1, : self.n] = self.B[self.m :]
        both[:, self.n :] = self.B[: self.m]
        self.both = both[:, self.n - 1 :] if self.r == 2 else both  # infinity alone reaches on
        sizes = zip(x_shape[1:3], w_shape[:2], stride, padding, strict=True)
        self.OH, self.OW = (output_size(*axis) for axis in sizes)
        self.TH, self.TW = -(-self.OH // self.m), -(-self.OW // self.m)
        # columns of the zero-padded input under all tiles, and those of them that are in x
        self.width = self.s * (self.TW * self.m + self.r - 1)
        inside = min(self.W, self.width - padding[1])
        self.inside = slice(padding[1] * self.C, (padding[1] + inside) * self.C)

    def chunks(self) -> list[tuple[int, int, int, int]]:
        """Return pieces of (images, rows of tiles)."""
        a_row = self.n**2 * self.TW * max(self.K, self.O) * np.dtype(self.dtype).itemsize
        return pieces(self.images, self.TH, max(1, CHUNK_BYTES // a_row), self.xp)

    def rows_a_piece(self, channels: int, least: int = 1) -> int:
        """Return how many rows of tiles make a piece of the work of one transform."""
        a_row = self.n * self.TW * self.m * channels * np.dtype(self.dtype).itemsize
        return max(least, PIECE_BYTES // a_row)

    def rows(self, x: Array, tiles: Iterable[int], count: int) -> list[list[Any]]:
        """Find the first `count` rows of every phase of `tiles` in `x`, in groups of tiles.

        Return for each phase a list of ``(tile, last tile + 1, a, b, view)``: rows ``a`` to ``b``
        of these tiles lie inside of ``x``, and are ``view[image, tile, row, ·]``.
        """
        s, m, (image, row, _, item) = self.s, self.m, x.strides
        result = []
        for phase in range(s):
            groups: list[list[Any]] = []
            for tile in tiles:
                top = s * m * tile + phase - self.padding[0]
                a = min(count, max(0, -(top // s)))
                b = max(a, min(count, -(-(self.H - top) // s)))
                if groups and groups[-1][2:4] == [a, b]:
                    groups[-1][1] += 1
                else:
                    groups.append([tile, tile + 1, a, b, top + s * a])
            size = self.inside.stop - self.inside.start
            for group in groups:
                start, stop, a, b, top = group
                shape = (len(x), stop - start, b - a, size)
                strides = (image, m * s * row, s * row, item)
                group[4] = _view(self.xp, x[:, top:], shape, strides) if a < b else None
            result.append(groups)
        return result


def transform_input(
    t: Tiling, x: Array, n0: int, n1: int, t0: int, t1: int, also: Tasks = ()
) -> Array:
    """Return ``V[i, k, (image, tile row, tile), (phase_h, phase_w, C)] = Bᵀ d B``."""
    V = scratch(t.xp, "V", (t.n, t.n, n1 - n0, t1 - t0, t.TW, t.s, t.s * t.C), t.dtype)
    BT = t.B.T.copy()
    m, n, s = t.m, t.n, t.s
    x_rows = t.rows(x, range(t0, t1), n)

    def piece(a0: int, a1: int, b0: int, b1: int) -> None:
        part = scratch(t.xp, "rows", (a1 - a0, b1 - b0, s, n, t.width * t.C), t.dtype)
        part[..., : t.inside.start] = 0
        part[..., t.inside.stop :] = 0
        for phase, groups in enumerate(x_rows):
            for start, stop, a, b, rows in groups:
                first, last = max(start, t0 + b0), min(stop, t0 + b1)
                to = part[:, max(0, first - t0 - b0) : max(0, last - t0 - b0), phase, :, t.inside]
                if rows is None:  # in the border
                    to[...] = 0
                elif first < last:
                    rows = rows[n0 + a0 : n0 + a1, first - start : last - start]
                    t.xp.matmul(BT[:, a:b], rows, out=to)
        shape = (a1 - a0, b1 - b0, s, n, t.TW, n, s * t.C)
        step = s * t.C * part.itemsize
        columns = _view(t.xp, part, shape, (*part.strides[:-1], m * step, step, part.itemsize))
        t.xp.matmul(BT, columns, out=V[:, :, a0:a1, b0:b1].transpose(2, 3, 5, 0, 4, 1, 6))

    for_pieces(piece, n1 - n0, t1 - t0, t.rows_a_piece(t.K), t.xp, also)
    return V.reshape(n, n, -1, t.K)


def transform_output(t: Tiling, M: Array, y: Array, n0: int, n1: int, t0: int, t1: int) -> None:
    """Write the rows of ``y`` under tiles `t0` to `t1`: ``Aᵀ M A``."""
    M = M.reshape(t.n, t.n, n1 - n0, t1 - t0, t.TW, t.O)
    AT = t.A.T.copy()
    m = t.m

    def piece(a0: int, a1: int, b0: int, b1: int) -> None:
        columns = M[:, :, a0:a1, b0:b1].transpose(2, 3, 0, 4, 1, 5)
        part = scratch(t.xp, "rows", (a1 - a0, b1 - b0, t.n, t.TW, m, t.O), t.dtype)
        t.xp.matmul(AT, columns, out=part)
        part = part.reshape(a1 - a0, b1 - b0, t.n, t.TW * m * t.O)
        h0, h1 = m * (t0 + b0), min(t.OH, m * (t0 + b1))
        to = y[n0 + a0 : n0 + a1, h0:h1]
        if h1 == m * (t0 + b1) and t.TW * m == t.OW:
            t.xp.matmul(AT, part, out=to.reshape(a1 - a0, b1 - b0, m, t.OW * t.O))
        else:  # tiles overhang
            whole = scratch(t.xp, "whole", (a1 - a0, (b1 - b0) * m, t.TW * m, t.O), t.dtype)
            t.xp.matmul(AT, part, out=whole.reshape(a1 - a0, b1 - b0, m, t.TW * m * t.O))
            to[...] = whole[:, : h1 - h0, : t.OW]

    for_pieces(piece, n1 - n0, t1 - t0, t.rows_a_piece(t.O), t.xp)


def transform_output_gradient(
    t: Tiling, dy: Array, n0: int, n1: int, t0: int, t1: int, also: Tasks = ()
) -> Array:
    """Return ``dM[i, k, (image, tile row, tile), O] = A dy Aᵀ``."""
    dM = scratch(t.xp, "M", (t.n, t.n, n1 - n0, t1 - t0, t.TW, t.O), t.dtype)
    m = t.m

    def piece(a0: int, a1: int, b0: int, b1: int) -> None:
        top, bottom = m * (t0 + b0), m * (t0 + b1)
        slab = padded(t.xp, dy, n0 + a0, n0 + a1, top, bottom, 0, m * t.TW)
        image, row, _, item = slab.strides
        shape = (a1 - a0, b1 - b0, m, t.TW * m * t.O)
        rows = _view(t.xp, slab, shape, (image, m * row, row, item))
        part = scratch(t.xp, "rows", (a1 - a0, b1 - b0, t.n, t.TW, m, t.O), t.dtype)
        t.xp.matmul(t.A, rows, out=part.reshape(a1 - a0, b1 - b0, t.n, t.TW * m * t.O))
        t.xp.matmul(t.A, part, out=dM[:, :, a0:a1, b0:b1].transpose(2, 3, 0, 4, 1, 5))

    for_pieces(piece, n1 - n0, t1 - t0, t.rows_a_piece(t.O), t.xp, also)
    return dM.reshape(t.n, t.n, -1, t.O)


def transform_input_gradient(
    t: Tiling, dV: Array, dx: Array, n0: int, n1: int, t0: int, t1: int, before: int
) -> None:
    """Write the rows of ``dx`` from tile row `t0` to `t1`: ``B dV Bᵀ``, overlaps added.

    ``dV[i, image, tile row, tile, k, phase_h, (phase_w, C)]`` begins at tile row `before`.
    """
    m, n, s = t.m, t.n, t.s
    dV = dV.reshape(n, n1 - n0, t1 - before, t.TW, n, s, s * t.C)
    first_tile = t.rows(dx, [0], m)
    other_tiles = t.rows(dx, range(1, t.TH), m)
    below = t.rows(dx, [t.TH], t.r - 1)  # the rows after the last tile's own

    def piece(a0: int, a1: int, b0: int, b1: int) -> None:
        first = max(0, t0 + b0 - 1)  # tile row
        images, count = a1 - a0, t0 + b1 - first
        columns = dV[:, a0:a1, first - before : t0 + b1 - before].transpose(1, 5, 2, 0, 3, 4, 6)
        part = scratch(t.xp, "rows", (images, s, count, n, t.width * t.C), t.dtype)
        _overlap_add(t, columns, part.reshape(images, s, count, n, t.width // s, s * t.C))
        part = part[..., t.inside]

        def write(
            matrix: Array, rows: Array, begin: int, dx_rows: list[list[Any]], end: int
        ) -> None:
            """Multiply `rows`, which begin with tile `begin`, into `dx_rows` up to tile `end`."""
            for phase, groups in enumerate(dx_rows):
                for start, stop, a, b, to in groups:
                    g0, g1 = max(start, t0 + b0), min(stop, end)
                    if g0 < g1 and to is not None:
                        to = to[n0 + a0 : n0 + a1, g0 - start : g1 - start]
                        tiles = rows[:, phase, g0 - begin : g1 - begin]
                        t.xp.matmul(matrix[a:b], tiles, out=to)

        write(t.B[:m], part, first, first_tile, t0 + b1)
        write(t.both, _pairs(t, part), first + 1, other_tiles, t0 + b1)
        write(t.B[m:], part, first + 1, below, t0 + b1 + 1)

    for_pieces(piece, n1 - n0, t1 - t0, t.rows_a_piece(t.K, least=4), t.xp)


def _overlap_add(t: Tiling, tiles: Array, out: Array) -> None:
    """Apply ``B`` to ``tiles[…, tile, n, ·]``; add the overlapping results into ``out[…, ·, ·]``.

    Tile ``j`` reaches ``n`` entries from ``m·j`` on, so the ``m`` entries of one tile are a matrix
    product with the rows of the tile before and its own, which lie next to one another.
    """
    m, count = t.m, tiles.shape[-3]
    t.xp.matmul(t.B[:m], tiles[..., 0, :, :], out=out[..., :m, :])
    if count > 1:
        body = out[..., m : m * count, :].reshape(*out.shape[:-2], count - 1, m, out.shape[-1])
        t.xp.matmul(t.both, _pairs(t, tiles), out=body)
    t.xp.matmul(t.B[m:], tiles[..., -1, :, :], out=out[..., m * count :, :])


def _pairs(t: Tiling, tiles: Array) -> Array:
    """Return a view of ``tiles[…, tile, n, ·]`` whose tiles begin in the one before."""
    reach = t.both.shape[1]
    shape = (*tiles.shape[:-3], tiles.shape[-3] - 1, reach, tiles.shape[-1])
    return _view(t.xp, tiles[..., 2 * t.n - reach :, :], shape, tiles.strides)


def _view(xp: Any, array: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    return xp.lib.stride_tricks.as_strided(array, shape, strides)


def transform_weight(t: Tiling, w: Array) -> tuple[Array, Tasks]:
    """Return ``U[i, k, (phase_h, phase_w, C), O] = G w Gᵀ``, and the tasks that make it."""
    U = scratch(t.xp, "U", (t.n, t.n, t.K, t.O), t.dtype)
    w = t.xp.ascontiguousarray(w)

    def block(taps: Array, at: Array) -> None:
        part = scratch(t.xp, "taps", (t.n, *taps.shape[1:]), t.dtype)
        t.xp.matmul(t.G, taps.transpose(1, 0, 2), out=part.transpose(1, 0, 2))
        t.xp.matmul(t.G, part, out=at)

    return U, _blocks(t, block, w, U)


def transform_weight_gradient(t: Tiling, dU: Array, w_shape: tuple[int, ...]) -> Array:
    """Return ``dw = Gᵀ dU G``."""
    dw = t.xp.empty(w_shape, t.dtype)
    GT = t.G.T.copy()

    def block(taps: Array, at: Array) -> None:
        part = scratch(t.xp, "taps", (t.n, *taps.shape[1:]), t.dtype)
        t.xp.matmul(GT, at, out=part)
        t.xp.matmul(GT, part.transpose(1, 0, 2), out=taps.transpose(1, 0, 2))

    run(_blocks(t, block, dw, dU))
    return dw


def _blocks(t: Tiling, function: Callable[..., Any], w: Array, U: Array) -> Tasks:
    """Return calls of ``function(taps, at)`` for blocks of `w`, ``(taps, taps, ·)``, and of `U`."""
    size = max(1, BLOCK // t.O) if t.xp is np else t.C
    U = U.reshape(t.n, t.n, t.s**2, t.C * t.O)
    tasks = []
    for phase in range(t.s**2):
        taps = w[phase // t.s :: t.s, phase % t.s :: t.s]
        taps = taps.reshape(*taps.shape[:2], t.C * t.O)
        for a, b in split(t.C * t.O, size * t.O):
            tasks.append(partial(function, taps[..., a:b], U[:, :, phase, a:b]))
    return tasks
