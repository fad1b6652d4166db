"""Initial weights, as both papers' networks start from them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from tinygan.layer import Layer
from tinygan.machine.arrays import get_xp

__all__ = ["Seed", "initialize", "normal"]

Seed: TypeAlias = int | np.random.Generator | None
"""Where random numbers come from: a seed, a generator, or fresh entropy."""


def normal(
    shape: tuple[int, ...], std: float = 0.02, mean: float = 0.0, rng: Seed = None
) -> np.ndarray:
    """Draw float32 values from the normal distribution N(mean, std²).

    Parameters
    ----------
    shape : tuple of int
    std, mean : float
    rng : int, numpy.random.Generator or None
        A seed or a generator; None draws from fresh entropy.
    """
    values = np.random.default_rng(rng).standard_normal(shape, dtype=np.float32)
    values *= np.float32(std)
    values += np.float32(mean)
    return values


def initialize(network: Layer, rng: Seed = None, std: float = 0.02) -> Layer:
    """Set the initial values of a whole network, and return it.

    Convolution weights are drawn from N(0, std²), normalisation weights from N(1, std²), biases
    are 0.  The values are drawn by NumPy in definition order and then moved, so they are the same
    on every backend.

    Parameters
    ----------
    network : Layer
    rng : int, numpy.random.Generator or None
        A seed or a generator; None draws from fresh entropy.
    std : float
        The papers' networks use 0.02.

    References
    ----------
    Radford, Metz, Chintala, *Unsupervised Representation Learning with Deep Convolutional
    Generative Adversarial Networks*, section 4.
    """
    rng = np.random.default_rng(rng)
    for name, parameter in network.named_parameters().items():
        if name.endswith("weight"):
            mean = 0.0 if parameter.data.ndim > 1 else 1.0
            values = normal(parameter.shape, std, mean, rng)
        else:
            values = np.zeros(parameter.shape, np.float32)
        xp, dtype = get_xp(parameter.data), parameter.data.dtype
        parameter.data[...] = xp.asarray(values.astype(dtype, copy=False))
    return network
