"""Batch and instance normalisation: one computation over different groups of pixels.

The computation itself is in `tinygan.fast.cpu.normalise`.
"""

from __future__ import annotations

from tinygan.fast import cuda as kernels
from tinygan.fast.cpu.normalise import moments, normalise, normalise_backward
from tinygan.initialise import normal
from tinygan.layer import Layer, Parameter
from tinygan.layers import _check
from tinygan.layers.activation import LeakyReLU, ReLU

__all__ = ["BatchNorm2d", "InstanceNorm2d"]


class _Norm(Layer):
    """What both normalisations share: channels, eps, weight and bias, and an activation."""

    def __init__(self, channels, eps, affine, activation, rng):
        name = type(self).__name__
        self.channels = _check.count(channels, f"{name}: channels")
        if not eps > 0:
            raise ValueError(f"{name}: eps: expected a positive number, got {eps}")
        if activation is not None and type(activation) not in (ReLU, LeakyReLU):
            raise TypeError(
                f"{name}: activation: expected None, a ReLU() or a LeakyReLU(), got {activation!r}"
                "; any other is a layer of its own behind this one"
            )
        self.eps = float(eps)
        std = 0.0 if rng is None else 0.02
        self.weight = Parameter(normal((channels,), std, mean=1.0, rng=rng)) if affine else None
        self.bias = Parameter(normal((channels,), std=0.0)) if affine else None
        self.activation = activation

    def forward(self, x):
        _check.images(self, x, self.channels, like=self._like())
        grouped = self._groups(x)
        if grouped.shape[1] < 2:
            raise ValueError(
                f"{self!r}: expected more than one value a channel to normalise over, "
                f"got x of shape {x.shape}"
            )
        mean, var = moments(grouped)
        self._remember(mean, var, grouped.shape[1])
        y, cache = self._normalise(grouped, mean, var)
        wants = self.weight is not None and not (self.weight.frozen and self.bias.frozen)
        return y.reshape(x.shape), (cache, wants)

    def backward(self, dy, cache, input_gradient=True):
        cache, wants = cache
        if not (wants or input_gradient):
            return None
        dx, dgamma, dbeta = normalise_backward(
            dy.reshape(cache[0].shape), cache, input_gradient=input_gradient
        )
        if wants:
            self.weight.grad += dgamma
            self.bias.grad += dbeta
        return None if dx is None else dx.reshape(dy.shape)

    def predict(self, x):
        return self.forward(x)[0]

    def _normalise(self, grouped, mean, var):
        gamma, beta = (p if p is None else p.data for p in (self.weight, self.bias))
        slope = None if self.activation is None else getattr(self.activation, "negative_slope", 0.0)
        return normalise(grouped, mean, var, gamma, beta, self.eps, slope)

    def _groups(self, x):
        """See `x` as ``(G, M, C)``: G groups of M pixels that are normalised together."""
        raise NotImplementedError

    def _like(self):
        return None if self.weight is None else self.weight.data

    def _remember(self, mean, var, count):
        pass

    def _text(self, *options) -> str:
        if self.activation is not None:
            options = (*options, f"activation={self.activation!r}")
        return f"{type(self).__name__}({', '.join([str(self.channels), *options])})"


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
    activation : ReLU, LeakyReLU or None
        Applied to the result, ``y = a(…)``, in the same pass over memory: what a layer of its own
        behind this one would do, sooner.
    rng : int, numpy.random.Generator or None
        Where the initial γ, N(1, 0.02²), is drawn from; None: it is 1.

    Attributes
    ----------
    weight, bias : Parameter
        γ and β of shape ``(C,)``; β is 0 at first.
    running_mean, running_var : ndarray
        Buffers of shape ``(C,)``, moved by every call (not by `predict`).  The variance among them
        is the unbiased one, with M − 1 for M.

    Raises
    ------
    ValueError
        If `x` is not of shape ``(N, H, W, channels)``, or has one value a channel only.
    TypeError
        If `x` is not of the parameters' dtype and library, or `activation` is something else.

    Notes
    -----
    Over the M = N·H·W values :math:`x_i` of a channel,

    .. math::
        \mu = \tfrac1M \sum_i x_i, \quad \sigma^2 = \tfrac1M \sum_i (x_i - \mu)^2, \quad
        \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \quad
        u_i = \gamma \hat x_i + \beta, \quad y_i = a(u_i),

    where a is the activation, if there is one (else :math:`y = u`).  Its gradient comes first,
    :math:`du_i = dy_i\, a'(u_i)`.  As the slopes of a leaky ReLU are not negative,
    :math:`y_i > 0` exactly where :math:`u_i > 0`: the output, which the next layer remembers
    anyway, is all that it takes, and u is never stored.

    Then the normalisation's own: :math:`d\beta = \sum_i du_i` and
    :math:`d\gamma = \sum_i du_i \hat x_i`.  Each x moves the loss in three ways: through its own
    :math:`\hat x`, through μ and through σ.  With :math:`d\hat x_i = \gamma\, du_i`, the second
    gives :math:`-\tfrac1M \sum_j d\hat x_j` and the third, as
    :math:`\partial \sigma / \partial x_i = (x_i - \mu) / (M \sigma)`, gives
    :math:`-\hat x_i \tfrac1M \sum_j d\hat x_j \hat x_j`; together

    .. math::
        dx_i = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} \Big( du_i
        - \tfrac1M \sum_j du_j - \hat x_i\, \tfrac1M \sum_j du_j \hat x_j \Big).

    A constant du gives dx = 0, for the mean takes a constant out again: never check this gradient
    with a dy of ones.

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

    With its activation, one layer:

    >>> BatchNorm2d(64, activation=LeakyReLU(0.2))
    BatchNorm2d(64, activation=LeakyReLU(0.2))
    """

    buffer_names = ("running_mean", "running_var")

    def __init__(self, channels, eps=1e-5, momentum=0.1, activation=None, *, rng=None):
        super().__init__(channels, eps, True, activation, rng)
        if not 0 <= momentum <= 1:
            raise ValueError(f"BatchNorm2d: momentum: expected a share in [0, 1], got {momentum}")
        self.momentum = float(momentum)
        self.running_mean = normal((channels,), std=0.0)
        self.running_var = normal((channels,), std=0.0, mean=1.0)

    def _groups(self, x):
        return x.reshape(1, -1, self.channels)

    def _remember(self, mean, var, count):
        running = self.running_mean, self.running_var
        if kernels.usable(mean, var, *running):
            kernels.move_running(*running, mean, var, count, self.momentum)
            return
        for running, new in (
            (self.running_mean, mean[0]),
            (self.running_var, var[0] * (count / (count - 1))),
        ):
            running *= 1 - self.momentum
            running += self.momentum * new

    def predict(self, x):
        _check.images(self, x, self.channels, like=self.weight.data)
        grouped = self._groups(x)
        mean, var = self.running_mean[None], self.running_var[None]
        return self._normalise(grouped, mean, var)[0].reshape(x.shape)

    def __repr__(self) -> str:
        return self._text()


class InstanceNorm2d(_Norm):
    r"""Instance normalisation: each channel of each image to mean 0 and standard deviation 1.

    Parameters
    ----------
    channels : int
        C, the channels of the input.
    eps : float
        Added to the variance.
    affine : bool
        Whether a learnt γ and β follow, as in `BatchNorm2d`.
    activation : ReLU, LeakyReLU or None
        Applied to the result in the same pass over memory, as in `BatchNorm2d`.
    rng : int, numpy.random.Generator or None
        As for `BatchNorm2d`, if `affine`.

    Attributes
    ----------
    weight, bias : Parameter or None
        γ and β of shape ``(C,)``.

    Raises
    ------
    ValueError
        If `x` is not of shape ``(N, H, W, channels)``, or has one pixel an image only.
    TypeError
        If `activation` is something else.

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

    def __init__(self, channels, eps=1e-5, affine=False, activation=None, *, rng=None):
        super().__init__(channels, eps, affine, activation, rng)

    def _groups(self, x):
        return x.reshape(x.shape[0], -1, self.channels)

    def __repr__(self) -> str:
        return self._text(*(["affine=True"] if self.weight is not None else []))
