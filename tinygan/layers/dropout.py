"""Dropout: random zeros while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan.checks import number
from tinygan.distributed.shared import drawn
from tinygan.fast import accelerated
from tinygan.initialize import Seed
from tinygan.layer import Layer
from tinygan.layers import _check
from tinygan.machine.arrays import Array, get_xp

__all__ = ["Dropout", "dropout", "dropout_backward"]


@accelerated
def dropout(x: Array, mask: Array, scale: float) -> tuple[Array, Any]:
    """Return ``y = scale · mask · x`` and what the gradient needs."""
    return x * mask * scale, (mask, scale)


@accelerated
def dropout_backward(dy: Array, cache: Any) -> Array:
    """Return ``dx = scale · mask · dy``."""
    mask, scale = cache
    return dy * mask * scale


class Dropout(Layer):
    r"""Set each element to zero with probability p, scale the others by :math:`1/(1-p)`.

    At inference (`predict`) it does nothing; the scale keeps the expected value the same.

    Parameters
    ----------
    p : float
        The probability of a zero, in [0, 1).
    rng : int, numpy.random.Generator or None
        Where the layer's own seed is drawn from.

    Attributes
    ----------
    state : ndarray
        The seed and the number of calls so far (a buffer).  They decide the next mask alone, so a
        saved state brings the same masks back.

    Notes
    -----
    With the mask :math:`m \in \{0, 1\}`: :math:`y = m x / (1 - p)`, so
    :math:`dx = m\,dy / (1 - p)`.

    References
    ----------
    Optional in the residual layers of the published CycleGAN generator.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = Dropout(0.5, rng=0)(np.ones(1000))
    >>> sorted(float(v) for v in set(y))
    [0.0, 2.0]
    >>> bool((backward(np.ones(1000)) == y).all())
    True
    """

    buffer_names = ("state",)

    def __init__(self, p: float = 0.5, *, rng: Seed = None):
        self.p = number(p, "Dropout: p", "[0, 1)")
        seed = np.random.default_rng(rng).integers(2**63)
        self.state = np.array([seed, 0], np.uint64)

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.floats(self, x)
        seed, calls = (int(v) for v in self.state)
        self.state[1] += 1
        random = np.random.Generator(np.random.Philox(key=[seed, calls]))
        mask = get_xp(x).asarray(drawn(random.random, x.shape, np.float32) >= self.p)
        return dropout(x, mask, 1 / (1 - self.p))

    def backward(self, dy: Array, cache: Any) -> Array:
        return dropout_backward(dy, cache)

    def predict(self, x: Array) -> Array:
        return x

    def __repr__(self) -> str:
        return f"Dropout({self.p:g})"
