"""Instance noise: what is added to every image that a discriminator sees."""

from __future__ import annotations

import numpy as np

from tinygan.layer import Layer
from tinygan.machine.arrays import asarray, backend_of

__all__ = ["GaussianNoise"]


class GaussianNoise(Layer):
    r"""Add normal noise while training; at inference (`predict`) do nothing.

    Given to a training step as ``augment``, it is instance noise: real and generated images become
    harder to tell apart, and D's gradient says more.

    Parameters
    ----------
    std : float
        σ, at least 0.
    rng : int, numpy.random.Generator or None
        Each call draws its noise from here, on the host.

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

    def __init__(self, std: float = 0.1, rng=None):
        if not std >= 0:
            raise ValueError(f"GaussianNoise: std: expected a number of at least 0, got {std}")
        self.std = float(std)
        self.rng = np.random.default_rng(rng)

    def forward(self, x):
        noise = self.rng.standard_normal(x.shape, np.float32)
        noise *= np.float32(self.std)
        return x + asarray(noise.astype(x.dtype, copy=False), backend_of(x)), None

    def backward(self, dy, cache):
        return dy

    def predict(self, x):
        return x

    def __repr__(self) -> str:
        return f"GaussianNoise({self.std:g})"
