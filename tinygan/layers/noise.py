"""Instance noise: what is added to every image that a discriminator sees."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan.checks import number
from tinygan.distributed.shared import drawn
from tinygan.layer import Layer
from tinygan.layers import _check
from tinygan.machine.arrays import Array, asarray, backend_of

__all__ = ["GaussianNoise", "pack", "unpack"]


class GaussianNoise(Layer):
    r"""Add normal noise while training; at inference (`predict`) do nothing.

    Given to a training step as ``augment``, it is instance noise: real and generated images become
    harder to tell apart, and D's gradient says more.

    Parameters
    ----------
    std : float
        σ, at least 0.
    rng : int, sequence of int, numpy.random.Generator or None
        The seed of the layer's own random numbers; a generator draws one.

    Attributes
    ----------
    state : ndarray
        Where the layer's random numbers stand (a buffer), so that a saved state brings the same
        noise back.

    Notes
    -----
    :math:`y = x + \sigma n` with :math:`n \sim N(0, 1)` of the shape of x, so :math:`dx = dy`.

    References
    ----------
    "Adding noise to D's input": DeepFake Generation … DCGAN, section IV; Sønderby et al.,
    *Amortised MAP Inference for Image Super-resolution*, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = GaussianNoise(0.1, rng=0)(np.zeros(10000))
    >>> float(y.std().round(2)), bool((backward(y) == y).all())
    (0.1, True)
    """

    buffer_names = ("state",)

    def __init__(self, std: float = 0.1, rng: Any = None):
        self.std = number(std, "GaussianNoise: std", "[0, inf)")
        self.state = first_state(rng)

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.floats(self, x)
        random = np.random.Generator(unpack(self.state))
        noise = drawn(random.standard_normal, x.shape, np.float32)
        noise *= np.float32(self.std)
        self.state[...] = pack(random.bit_generator)
        return x + asarray(noise.astype(x.dtype, copy=False), backend_of(x)), None

    def backward(self, dy: Array, cache: Any) -> Array:
        return dy

    def predict(self, x: Array) -> Array:
        return x

    def __repr__(self) -> str:
        return f"GaussianNoise({self.std:g})"


def first_state(rng: Any) -> np.ndarray:
    """Return the packed state of a new generator, seeded by a number or drawn from another."""
    seed = rng.integers(2**63) if isinstance(rng, np.random.Generator) else rng
    return pack(np.random.PCG64(seed))


def pack(generator: np.random.BitGenerator) -> np.ndarray:
    """Return a generator's state, two numbers of 128 bits and half a drawn one, as an array."""
    state = generator.state
    halves = [divmod(state["state"][name], 1 << 64) for name in ("state", "inc")]
    return np.array([*halves[0], *halves[1], state["has_uint32"], state["uinteger"]], np.uint64)


def unpack(state: np.ndarray) -> np.random.PCG64:
    a, b, c, d, has_uint32, uinteger = (int(number) for number in state)
    generator = np.random.PCG64(0)
    generator.state = {
        "bit_generator": "PCG64",
        "state": {"state": a << 64 | b, "inc": c << 64 | d},
        "has_uint32": has_uint32,
        "uinteger": uinteger,
    }
    return generator
