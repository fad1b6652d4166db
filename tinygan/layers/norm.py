"""Batch and instance normalisation: one computation over different groups of pixels.

It is four functions of arrays ``(G, M, C)``, G groups of M pixels with C channels: the moments; the
normalisation; the two sums of the backward pass; the gradient from these sums.  Between them
ranks that share a batch merge what they have (`tinygan.distributed`).  Where an activation follows,
`Sequential` has the last three compute it in the same passes over memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan.checks import count, number
from tinygan.distributed.shared import add_sums, merge_moments
from tinygan.fast import accelerated, run_as_one
from tinygan.initialize import Seed, normal
from tinygan.layer import Layer, Parameter
from tinygan.layers import _check
from tinygan.layers.activation import LeakyReLU, ReLU, leaky_relu, leaky_relu_backward
from tinygan.machine.arrays import Array, get_xp

__all__ = [
    "BatchNorm2d",
    "InstanceNorm2d",
    "moments",
    "move_running",
    "normalize",
    "normalize_backward",
    "normalize_sums",
]


@accelerated
def moments(x: Array) -> tuple[Array, Array]:
    """Return mean and (biased) variance over each group's pixels: ``(G, M, C) -> 2 × (G, C)``."""
    # summed in float64: NumPy adds row to row, and thousands of rows cost float32 three digits
    exact = np.promote_types(x.dtype, np.float64)
    mean = x.mean(axis=1, dtype=exact).astype(x.dtype)
    return mean, ((x - mean[:, None]) ** 2).mean(axis=1, dtype=exact).astype(x.dtype)


@accelerated
def move_running(
    running_mean: Array, running_var: Array, mean: Array, var: Array, count: int, momentum: float
) -> None:
    """Move the running statistics, in place, towards those of a batch of `count` values."""
    running_mean[...] = (1 - momentum) * running_mean + momentum * mean
    running_var[...] = (1 - momentum) * running_var + momentum * (var * (count / (count - 1)))


@accelerated
def normalize(
    x: Array,
    mean: Array,
    var: Array,
    gamma: Array,
    beta: Array,
    eps: float,
    negative_slope: float | None = None,
) -> tuple[Array, Any]:
    """Return ``y = a(γ · (x − mean) / √(var + eps) + β)`` and what the gradient needs.

    `mean` and `var` are ``(G, C)``, `gamma` and `beta` ``(C,)`` or None.  The activation a is the
    leaky ReLU of `negative_slope` (0: a ReLU), or with None there is none.
    """
    rstd = 1 / get_xp(x).sqrt(var + eps)
    scale = rstd if gamma is None else rstd * gamma
    u = (x - mean[:, None]) * scale[:, None]
    if beta is not None:
        u = u + beta
    y = None if negative_slope is None else leaky_relu(u, negative_slope)[0]
    return u if y is None else y, (x, mean, rstd, scale, y, negative_slope)


@accelerated
def normalize_sums(dy: Array, cache: Any, keep: bool = True) -> tuple[Array, Array, Array | None]:
    """Return ``Σ du`` and ``Σ du x̂`` over each group's pixels, ``(G, C)``: dβ and dγ of a group.

    du is the gradient behind the activation; without one it is dy.  A fast version may return it
    as a third value, if `keep`, to save `normalize_backward` the work; here that is None.
    """
    x, mean, rstd, *_ = cache
    du = _behind_activation(dy, cache)
    xhat = (x - mean[:, None]) * rstd[:, None]
    return du.sum(axis=1), (du * xhat).sum(axis=1), None


@accelerated
def normalize_backward(
    dy: Array, cache: Any, sum_du: Array, sum_du_xhat: Array, du: Array = None
) -> Array:
    """Return ``dx = γ rstd (du − Σ du / M − x̂ Σ du x̂ / M)``.

    `du`, if `normalize_sums` gave one, may be written over.  Sums over several machines enter as
    their mean over the machines.
    """
    x, mean, rstd, scale, *_ = cache
    M = x.shape[1]
    du = _behind_activation(dy, cache) if du is None else du
    xhat = (x - mean[:, None]) * rstd[:, None]
    return scale[:, None] * (du - sum_du[:, None] / M - xhat * sum_du_xhat[:, None] / M)


def _behind_activation(dy: Array, cache: Any) -> Array:
    *_, y, negative_slope = cache
    return dy if y is None else leaky_relu_backward(dy, (y, negative_slope))


class _Affine(Layer):
    """What the normalisations share: channels, eps, γ and β."""

    def __init__(self, channels: int, eps: float, affine: bool, weight_std: float, rng: Seed):
        name = type(self).__name__
        self.channels = count(channels, f"{name}: channels")
        self.eps = number(eps, f"{name}: eps", "(0, inf)")
        self.weight: Any = None
        self.bias: Any = None
        if affine:  # else nothing is drawn from rng, which others draw from, too
            gamma = normal((channels,), weight_std, mean=1.0, rng=rng if weight_std else 0)
            self.weight, self.bias = Parameter(gamma), Parameter(normal((channels,), std=0.0))

    def _like(self) -> Array | None:
        return None if self.weight is None else self.weight.data


class _Norm(_Affine):
    """The steps of a pass over groups of whole pixels."""

    def forward(self, x: Array, negative_slope: float | None = None) -> tuple[Array, Any]:
        _check.images(self, x, self.channels, like=self._like())
        grouped = self._groups(x)
        mean, var, count = self._moments(grouped)
        if count < 2:
            raise ValueError(
                f"{self!r}: expected more than one value a channel to normalize over, "
                f"got x of shape {tuple(x.shape)}"
            )
        self._remember(mean, var, count)
        y, cache = self._normalize(grouped, mean, var, negative_slope)
        wants = [p is not None and not p.frozen for p in (self.weight, self.bias)]
        return y.reshape(x.shape), (cache, *wants)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> Array | None:
        cache, wants_gamma, wants_beta = cache
        if not (wants_gamma or wants_beta or input_gradient):
            return None
        grouped = dy.reshape(cache[0].shape)
        sum_du, sum_du_xhat, du = normalize_sums(grouped, cache, keep=input_gradient)
        if wants_gamma:
            self.weight.add_grad(_over_groups(sum_du_xhat))
        if wants_beta:
            self.bias.add_grad(_over_groups(sum_du))
        if not input_gradient:
            return None
        sum_du, sum_du_xhat = self._add(sum_du, sum_du_xhat)
        return normalize_backward(grouped, cache, sum_du, sum_du_xhat, du).reshape(dy.shape)

    def predict(self, x: Array, negative_slope: float | None = None) -> Array:
        return self.forward(x, negative_slope)[0]

    def _normalize(
        self, grouped: Array, mean: Array, var: Array, negative_slope: float | None
    ) -> tuple[Array, Any]:
        gamma, beta = (p if p is None else p.data for p in (self.weight, self.bias))
        return normalize(grouped, mean, var, gamma, beta, self.eps, negative_slope)

    def _groups(self, x: Array) -> Array:
        """See `x` as ``(G, M, C)``: G groups of M pixels that are normalized together."""
        raise NotImplementedError

    def _moments(self, grouped: Array) -> tuple[Array, Array, int]:
        return *moments(grouped), grouped.shape[1]

    def _remember(self, mean: Array, var: Array, count: int) -> None:
        pass

    def _add(self, sum_du: Array, sum_du_xhat: Array) -> tuple[Array, Array]:
        return sum_du, sum_du_xhat


def _over_groups(sums: Array) -> Array:
    return sums[0] if len(sums) == 1 else sums.sum(axis=0)


class BatchNorm2d(_Norm):
    r"""Batch normalisation: each channel to mean β and standard deviation γ over the batch.

    Parameters
    ----------
    channels : int
        C, the channels of the input.
    eps : float
        Added to the variance, so that a constant channel does not divide by zero.
    momentum : float
        The share of the newest batch in the running statistics that `predict` uses.
    affine : bool
        Whether a learnt γ and β follow.
    weight_std : float
        The initial γ is drawn from N(1, weight_std²); with 0 it is 1.
    rng : int, numpy.random.Generator or None
        Where it is drawn from.

    Attributes
    ----------
    weight, bias : Parameter or None
        γ and β of shape ``(C,)``; β is 0 at first.
    running_mean, running_var : ndarray
        Buffers of shape ``(C,)``, moved by every call (not by `predict`).  The variance among them
        is the unbiased one, with M − 1 for M.

    Raises
    ------
    ValueError
        If `x` is not of shape ``(N, H, W, channels)``, or has one value a channel only.
    TypeError
        If `x` is not of the parameters' dtype and library.

    Notes
    -----
    Over the M = N·H·W values :math:`x_i` of a channel, with the biased variance,

    .. math::
        \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \qquad
        y_i = \gamma \hat x_i + \beta, \qquad
        d\beta = \sum_i dy_i, \qquad d\gamma = \sum_i dy_i \hat x_i,

    .. math::
        dx_i = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} \Big( dy_i
        - \tfrac1M \sum_j dy_j - \hat x_i\, \tfrac1M \sum_j dy_j \hat x_j \Big),

    which :doc:`/derivations/normalisation` derives.  A constant dy gives dx = 0: never check this
    gradient with a dy of ones.

    References
    ----------
    Ioffe, Szegedy, *Batch Normalization*, 2015, Algorithm 1.  Where it stands: DeepFake Generation
    … DCGAN, section II.A.

    Examples
    --------
    >>> import numpy as np
    >>> layer = BatchNorm2d(1)
    >>> y, backward = layer(np.array([1.0, 3.0], np.float32).reshape(2, 1, 1, 1))
    >>> y.ravel().round(3)
    array([-1.,  1.], dtype=float32)
    >>> float(abs(backward(np.ones_like(y))).max())
    0.0
    """

    buffer_names = ("running_mean", "running_var")

    def __init__(self, channels: int, *, eps: float = 1e-5, momentum: float = 0.1,
                 affine: bool = True, weight_std: float = 0.0, rng: Seed = None):  # fmt: skip
        super().__init__(channels, eps, affine, weight_std, rng)
        self.momentum = number(momentum, "BatchNorm2d: momentum", "[0, 1]")
        self.running_mean = normal((channels,), std=0.0)
        self.running_var = normal((channels,), std=0.0, mean=1.0)

    def _groups(self, x: Array) -> Array:
        return x.reshape(1, -1, self.channels)

    def _like(self) -> Array:
        return self.running_mean

    def _moments(self, grouped: Array) -> tuple[Array, Array, int]:
        return merge_moments(*super()._moments(grouped))

    def _add(self, sum_du: Array, sum_du_xhat: Array) -> tuple[Array, Array]:
        return add_sums(sum_du, sum_du_xhat)

    def _remember(self, mean: Array, var: Array, count: int) -> None:
        running = self.running_mean, self.running_var
        move_running(*running, mean[0], var[0], count, self.momentum)

    def predict(self, x: Array, negative_slope: float | None = None) -> Array:
        _check.images(self, x, self.channels, like=self._like())
        mean, var = self.running_mean[None], self.running_var[None]
        return self._normalize(self._groups(x), mean, var, negative_slope)[0].reshape(x.shape)

    def __repr__(self) -> str:
        affine = "" if self.weight is not None else ", affine=False"
        return f"BatchNorm2d({self.channels}{affine})"


class InstanceNorm2d(_Norm):
    r"""Instance normalisation: each channel of each image to mean 0 and standard deviation 1.

    Parameters
    ----------
    channels, eps, weight_std, rng
        As for `BatchNorm2d`.
    affine : bool
        Whether a learnt γ and β follow.

    Attributes
    ----------
    weight, bias : Parameter or None
        γ and β of shape ``(C,)``.

    Raises
    ------
    ValueError
        If `x` is not of shape ``(N, H, W, channels)``, or has one pixel an image only.

    Notes
    -----
    The equations of `BatchNorm2d` over the M = H·W pixels of one image.  It keeps no running
    statistics: at inference it does what it does in training, whatever the batch.

    References
    ----------
    Ulyanov, Vedaldi, Lempitsky, *Instance Normalization*, 2016.  Where it stands: the translation
    generator of the published CycleGAN.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = InstanceNorm2d(1)(np.array([1.0, 3.0, 5.0, 9.0]).reshape(2, 1, 2, 1))
    >>> y.ravel().round(3)
    array([-1.,  1., -1.,  1.])
    """

    def __init__(self, channels: int, *, eps: float = 1e-5, affine: bool = False,
                 weight_std: float = 0.0, rng: Seed = None):  # fmt: skip
        super().__init__(channels, eps, affine, weight_std, rng)

    def _groups(self, x: Array) -> Array:
        return x.reshape(x.shape[0], x.shape[1] * x.shape[2], self.channels)

    def __repr__(self) -> str:
        affine = ", affine=True" if self.weight is not None else ""
        return f"InstanceNorm2d({self.channels}{affine})"


class _WithActivation(Layer):
    """A normalisation and the activation behind it, as `Sequential` runs the two."""

    def __init__(self, norm: _Norm, activation: Layer, negative_slope: float):
        self.norm, self.activation, self.negative_slope = norm, activation, negative_slope

    def forward(self, x: Array) -> tuple[Array, Any]:
        return self.norm.forward(x, self.negative_slope)

    def backward(self, dy: Array, cache: Any, input_gradient: bool = True) -> Array | None:
        return self.norm.backward(dy, cache, input_gradient)

    def predict(self, x: Array) -> Array:
        return self.norm.predict(x, self.negative_slope)

    def __repr__(self) -> str:
        return f"{self.norm!r}, {self.activation!r}"


@run_as_one(BatchNorm2d, ReLU)
@run_as_one(BatchNorm2d, LeakyReLU)
@run_as_one(InstanceNorm2d, ReLU)
@run_as_one(InstanceNorm2d, LeakyReLU)
def _with_activation(norm: _Norm, activation: Layer) -> Layer | None:
    slope = getattr(activation, "negative_slope", 0.0)
    # y > 0 tells on which side of the kink u was only where the slope is not negative
    return _WithActivation(norm, activation, slope) if slope >= 0 else None
