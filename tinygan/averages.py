"""A running average of a network's weights."""

from __future__ import annotations

from copy import deepcopy

import numpy as np

from tinygan.checks import number
from tinygan.fast import accelerated
from tinygan.layer import Layer
from tinygan.machine.arrays import Array

__all__ = ["Average"]


class Average:
    r"""An exponential moving average of a network: of what it was in the last steps.

    The steps of a game go around what they look for, and each leaves its own traces in the
    pictures.  They cancel in the mean of the weights.  The network itself never sees it.

    Parameters
    ----------
    network : Layer
        What is trained.
    decay : float
        β, in [0, 1): the mean is over about 1 / (1 − β) steps.

    Attributes
    ----------
    network : Layer
        A copy that holds the average: of the parameters and of the running statistics.  Its
        parameters have no gradients.

    Notes
    -----
    After step t (from 0), with each number θ of the network and its average :math:`\bar\theta`,

    .. math::
        \bar\theta \leftarrow \beta_t \bar\theta + (1 - \beta_t)\, \theta, \qquad
        \beta_t = \min\Bigl(\beta, \frac{t + 1}{t + 5}\Bigr).

    At first :math:`\beta_t` is small: the mean is over the last quarter of the steps, about, so
    that the initial weights are soon forgotten.

    References
    ----------
    Polyak, Juditsky, *Acceleration of Stochastic Approximation by Averaging*, 1992.  Yazıcı et al.,
    *The Unusual Effectiveness of Averaging in GAN Training*, 2019.

    Examples
    --------
    >>> from tinygan import Linear
    >>> layer = Linear(1, 1)
    >>> layer.weight.data[...] = 0
    >>> average = Average(layer, decay=0.5)
    >>> layer.weight.data[...] = 1
    >>> average.update(step=0)  # 0.2 · 0 + 0.8 · 1
    >>> round(float(average.network.weight.data[0, 0]), 3)
    0.8
    """

    def __init__(self, network: Layer, decay: float):
        self.decay = number(decay, "Average: decay", "[0, 1)")
        self.network = deepcopy(network)
        self.network.zero_grad()  # which takes no memory
        self._source = network

    def update(self, step: int) -> None:
        """Take the network as it is after `step` (from 0) into the average."""
        averages, values = _arrays(self.network), _arrays(self._source)
        for name, value in values.items():
            if value.dtype.kind != "f":  # a state of random numbers, which has no mean
                averages[name][...] = value
        floats = [name for name, value in values.items() if value.dtype.kind == "f"]
        decay = min(self.decay, (step + 1) / (step + 5))
        average_all([averages[name] for name in floats], [values[name] for name in floats], decay)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the averages, by the names of the network's own arrays."""
        return self.network.state_dict()

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Set the averages from `state`, see `Layer.load_state_dict`."""
        self.network.load_state_dict(state)


@accelerated
def average_all(averages: list[Array], thetas: list[Array], decay: float) -> None:
    """Move all `averages` in place: ``decay · average + (1 − decay) · θ``."""
    for average, theta in zip(averages, thetas, strict=True):
        average[...] = decay * average + (1 - decay) * theta


def _arrays(network: Layer) -> dict[str, np.ndarray]:
    return {n: p.data for n, p in network.named_parameters().items()} | network.buffers()
