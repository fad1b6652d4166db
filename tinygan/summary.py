"""What a network is made of, what it costs to run and what it holds in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygan.convolution.tally import counting
from tinygan.layer import Backward, Layer
from tinygan.layers.sequential import Sequential
from tinygan.machine.arrays import Array, asarray, backend_of
from tinygan.machine.memory import size_text

__all__ = ["Summary", "held_bytes", "summarize", "summary"]


@dataclass(frozen=True)
class Row:
    """One layer: where it stands (its depth), its text, its output and its costs for one sample."""

    depth: int
    text: str
    shape: tuple[int, ...]
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Summary:
    """A network's layers and costs; ``print`` it.

    Attributes
    ----------
    rows : list of Row
    parameters : int
        How many numbers are learnt.
    multiply_adds : int
        Of the convolutions in one forward pass of one sample, by the definition.
    bytes_fixed, bytes_per_sample : int
        What a call holds until its backward: so much, and so much more for each sample.
    bytes_state : int
        Parameters, their gradients and Adam's two moments.
    """

    rows: list[Row]
    parameters: int
    multiply_adds: int
    bytes_fixed: int
    bytes_per_sample: int
    bytes_state: int

    def step_bytes(self, batch_size: int) -> int:
        """Return the bytes a training step of this network holds at `batch_size`."""
        return self.bytes_state + self.bytes_fixed + batch_size * self.bytes_per_sample

    def __str__(self) -> str:
        table: list[tuple[str, ...]] = [("layer", "output shape", "parameters", "multiply–adds")]
        for row in self.rows:
            shape = "(N, " + ", ".join(map(str, row.shape)) + ")" if row.shape else "(N,)"
            numbers = (f"{n:,}" if n else "" for n in (row.parameters, row.multiply_adds))
            table.append(("  " * row.depth + row.text, shape, *numbers))
        table.append(("total", "", f"{self.parameters:,}", f"{self.multiply_adds:,}"))
        widths = [max(len(line[i]) for line in table) for i in range(4)]
        lines = [
            f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}".rstrip()
            for a, b, c, d in table
        ]
        rule = "-" * max(map(len, lines))
        lines = [lines[0], rule, *lines[1:-1], rule, lines[-1]]
        lines += [
            f"a training step holds {size_text(self.bytes_state)} of state "
            "(parameters, gradients, Adam's moments)",
            f"and {size_text(self.bytes_per_sample)} a sample (what backward passes remember)",
        ]
        return "\n".join(lines)


def summary(network: Layer, input_shape: tuple[int, ...]) -> Summary:
    """Print a network's layers, output shapes, parameters, multiply–adds and memory; return them.

    Parameters
    ----------
    network : Layer
    input_shape : tuple of int
        The shape of one sample, without the batch's axis: ``(64, 64, 3)`` for a discriminator,
        ``(200,)`` for a generator.

    Returns
    -------
    Summary

    Notes
    -----
    Nothing is declared by the layers: shapes, multiply–adds and bytes are those of small batches
    that are run through the network.  What two calls of different batch sizes remember gives the
    bytes of any other.

    Examples
    --------
    >>> from tinygan import Conv2d, ReLU, Sequential
    >>> result = summary(Sequential(Conv2d(3, 8, 3, padding=1), ReLU()), (16, 16, 3))
    layer                                   output shape    parameters  multiply–adds
    ---------------------------------------------------------------------------------
    Conv2d(3, 8, kernel_size=3, padding=1)  (N, 16, 16, 8)         224         55,296
    ReLU()                                  (N, 16, 16, 8)
    ---------------------------------------------------------------------------------
    total                                                          224         55,296
    a training step holds 3.6 kB of state (parameters, gradients, Adam's moments)
    and 11 kB a sample (what backward passes remember)
    """
    result = summarize(network, input_shape)
    print(result)
    return result


def summarize(network: Layer, input_shape: tuple[int, ...]) -> Summary:
    """Return what `summary` prints."""
    parameters = network.parameters()
    array = parameters[0].data if parameters else np.zeros(1, np.float32)
    buffers = {name: value.copy() for name, value in network.buffers().items()}
    try:
        held = {}
        for batch in (2, 4):  # batch normalisation needs more than one value a channel
            x = np.random.default_rng(0).standard_normal((batch, *input_shape))
            x = asarray(x.astype(array.dtype), backend_of(array))
            rows: list[Row] = []
            backwards: list = []
            _visit(network, x, -1, rows, backwards)
            held[batch] = held_bytes(backwards)
    finally:
        for name, value in network.buffers().items():
            value[...] = buffers[name]
    per_sample = (held[4] - held[2]) // 2
    count = sum(parameter.size for parameter in parameters)
    return Summary(
        rows=rows,
        parameters=count,
        multiply_adds=sum(row.multiply_adds for row in rows),
        bytes_fixed=max(0, held[2] - 2 * per_sample),
        bytes_per_sample=per_sample,
        bytes_state=4 * count * array.dtype.itemsize,
    )


def _visit(layer: Layer, x: Array, depth: int, rows: list, backwards: list) -> Array:
    """Run `layer` on `x` and note what it is and costs; a Sequential is noted layer by layer.

    A Residual's addition is left out: it changes neither shapes nor costs.
    """
    if isinstance(layer, Sequential):
        if depth >= 0:
            rows.append(Row(depth, type(layer).__name__, tuple(x.shape[1:]), 0, 0))
        for inner in layer:
            x = _visit(inner, x, depth + 1, rows, backwards)
        return x
    with counting() as counts:
        y, backward = layer(x)
    backwards.append(backward)
    learnt = sum(parameter.size for parameter in layer.parameters())
    rows.append(Row(max(depth, 0), repr(layer), tuple(y.shape[1:]), learnt, sum(counts) // len(x)))
    return y


def held_bytes(remembered: Any) -> int:
    """Return the bytes of all arrays inside `remembered`: backward passes, caches, lists of them.

    Memory that several arrays share is counted once.
    """
    blocks: dict[int, int] = {}
    todo = [remembered]
    while todo:
        item = todo.pop()
        if isinstance(item, Backward):
            todo.append(item._cache)
        elif isinstance(item, dict):
            todo.extend(item.values())
        elif isinstance(item, (list, tuple)):
            todo.extend(item)
        elif hasattr(item, "nbytes"):
            while getattr(item, "base", None) is not None and hasattr(item.base, "nbytes"):
                item = item.base
            blocks[id(item)] = item.nbytes
    return sum(blocks.values())
