"""Two batches through one network as one."""

from __future__ import annotations

from collections.abc import Callable

from tinygan import layers
from tinygan.layer import Layer
from tinygan.layers.sequential import Residual
from tinygan.machine.arrays import Array, get_xp

__all__ = ["together"]

_SEPARATE = {
    *(layers.Conv2d, layers.ConvTranspose2d, layers.InstanceNorm2d, layers.GroupNorm),
    *(layers.ReLU, layers.LeakyReLU, layers.Tanh, layers.ReflectionPad2d, layers.Upsample),
    *(layers.Sequential, Residual),
}


def together(
    network: Layer, first: Array, second: Array
) -> tuple[Array, Array, Callable[..., tuple[Array, Array]]]:
    """Return the outputs of two batches, and a backward pass that takes the gradients of both.

    Where each picture is known to pass through `network` by itself the two are one batch, and each
    weight is read once.
    """
    n = len(first)
    if first.shape[1:] != second.shape[1:] or not _apart(network):
        (y_first, first_backward), (y_second, second_backward) = network(first), network(second)
        return (
            y_first,
            y_second,
            lambda dfirst, dsecond, **how: (
                first_backward(dfirst, **how),
                second_backward(dsecond, **how),
            ),
        )
    xp = get_xp(first=first, second=second)
    y, backward = network(xp.concatenate([first, second]))

    def both(dfirst: Array, dsecond: Array, **how: bool) -> tuple[Array, Array]:
        dx = backward(xp.concatenate([dfirst, dsecond]), **how)
        return (None, None) if dx is None else (dx[:n], dx[n:])

    return y[:n], y[n:], both


def _apart(network: Layer) -> bool:
    """Say whether pictures do not meet in `network`.

    Batch normalisation lets pictures see one another, dropout draws for the whole batch, and of
    layers of other kinds nothing is known.
    """
    return all(type(layer) in _SEPARATE for _, layer in network.walk())
