"""Checkpoint format 1: where its names are found in format 2.

=================================  ========================================
format 1                           format 2
=================================  ========================================
``G.2.weight``                     ``networks/G.2.weight``, see below
``adam_G/3.m``                     ``optimizers/adam_G/G.3.weight/m``
``adam_G/steps``                   ``optimizers/adam_G/steps``
``extra/pool_X.state``             ``extra/pool_X.state``
=================================  ========================================

In format 1 an activation behind a normalisation was inside that layer; now it is a layer of its
own, so that the numbers of the layers behind it have grown by one.  The moments of an optimizer
were counted in the order of its parameters.
"""

from __future__ import annotations

from itertools import pairwise

from tinygan.layer import Layer
from tinygan.layers import BatchNorm2d, InstanceNorm2d, LeakyReLU, ReLU
from tinygan.layers.sequential import Sequential

__all__ = ["FORMAT", "old_layer", "old_names"]

FORMAT = "tinygan checkpoint 1"


def old_names(networks: dict[str, Layer], optimizers: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return format 2's name → format 1's, of everything that a system's checkpoint holds.

    Parameters
    ----------
    networks : dict of str to Layer
    optimizers : dict of str to dict
        Of each optimizer, its own name for an array (``3.m``) → format 2's.
    """
    names = {}
    for name, network in networks.items():
        layers = {new: old_layer(network, new) for new, _ in network.walk()}
        for array in (*network.named_parameters(), *network.buffers()):
            layer, dot, short = array.rpartition(".")
            names[f"networks/{name}.{array}"] = f"{name}.{layers[layer]}{dot}{short}"
    for name, arrays in optimizers.items():
        names |= {new: f"{name}/{own}" for own, new in arrays.items()}
    return names


def old_layer(network: Layer, name: str) -> str:
    """Return what the layer called `name` was called in format 1.

    Examples
    --------
    >>> from tinygan.layers import Conv2d
    >>> network = Sequential(Conv2d(3, 8, 3), BatchNorm2d(8), ReLU(), Conv2d(8, 8, 3))
    >>> old_layer(network, "3")
    '2'
    """
    if not name:
        return ""
    first, _, rest = name.partition(".")
    inside = dict(network.children())
    if first not in inside:  # a child in a list: "blocks.0"
        second, _, rest = rest.partition(".")
        first = f"{first}.{second}"
    child, old = inside[first], first
    if isinstance(network, Sequential):
        old = str(int(first) - _merged(list(network)[: int(first)]))
    return f"{old}.{old_layer(child, rest)}" if rest else old


def _merged(layers: list[Layer]) -> int:
    """Return how many of these layers were inside the normalisation before them."""
    return sum(
        isinstance(norm, BatchNorm2d | InstanceNorm2d) and isinstance(layer, ReLU | LeakyReLU)
        for norm, layer in pairwise(layers)
    )
