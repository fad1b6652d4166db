"""Normalisation: batch and instance, which are one computation over different groups of pixels.

An activation is seen as ``(G, M, C)``: G groups of M pixels with C channels.  For batch
normalisation the whole batch is one group, for instance normalisation each image is.
"""

from __future__ import annotations

import numpy as np

from tinygan import kernels
from tinygan.backend import get_xp
from tinygan.initialise import normal
from tinygan.layer import Layer, Parameter
from tinygan.layers import _check
from tinygan.layers._elementwise import SLICE, sum_rows
from tinygan.parallel import run, split

__all__ = ["BatchNorm2d", "InstanceNorm2d", "moments", "normalise", "normalise_backward"]


def moments(x):
    r"""Return mean and (biased) variance over the pixels of each group.

    Parameters
    ----------
    x : ndarray
        ``(G, M, C)``.

    Returns
    -------
    mean, var : ndarray
        Both ``(G, C)``.

    Notes
    -----
    Each slice of pixels is centred on its own mean before it is squared, and slices A and B are
    merged in order by

    .. math::
        \delta = \mu_B - \mu_A, \qquad \mu = \mu_A + \delta\, n_B / n, \qquad
        S = S_A + S_B + \delta^2\, n_A n_B / n.

    The textbook's :math:`E[x^2] - \mu^2` would subtract two large numbers: at a mean of a
    thousand standard deviations nothing of the variance is left in float32.

    References
    ----------
    Chan, Golub, LeVeque, *Algorithms for Computing the Sample Variance*, 1983, equation 2.1.
    """
    if kernels.usable(x):
        return kernels.moments(x)
    xp = get_xp(x)

    def of_block(groups, pixels):
        part = x[groups, pixels]
        first = part[:, :1]  # sums of small numbers are exact to more digits
        centred = part - first
        mean = sum_rows(centred, xp) / part.shape[1]
        centred -= mean[:, None]
        centred *= centred
        return first[:, 0] + mean, sum_rows(centred, xp)

    means, squares = [], []
    for row in _blocks(of_block, x):
        (mean, square), *others = [value for _, value in row]
        count, *counts = [pixels.stop - pixels.start for (_, pixels), _ in row]
        for n, (next_mean, next_square) in zip(counts, others, strict=True):
            delta = next_mean - mean
            total = count + n
            mean = mean + delta * (n / total)
            square = square + next_square + delta * delta * (count * n / total)
            count = total
        means.append(mean)
        squares.append(square)
    return xp.concatenate(means), xp.concatenate(squares) / x.shape[1]


def normalise(x, mean, var, gamma, beta, eps):
    """Return ``y = gamma · (x − mean) / sqrt(var + eps) + beta`` and what the gradient needs.

    `x` is ``(G, M, C)``, `mean` and `var` ``(G, C)``; `gamma` and `beta` are ``(C,)`` or None.
    """
    if kernels.usable(x, mean, var):
        y, rstd, scale = kernels.normalise(x, mean, var, gamma, beta, eps)
        return y, (x, mean, rstd, scale)
    xp = get_xp(x)
    rstd = 1 / xp.sqrt(var + eps)
    scale = rstd if gamma is None else rstd * gamma
    y = xp.empty(x.shape, x.dtype)

    def fill(groups, pixels):
        out = y[groups, pixels]
        xp.subtract(x[groups, pixels], mean[groups, None], out=out)
        out *= scale[groups, None]
        if beta is not None:
            out += beta

    _blocks(fill, x)
    return y, (x, mean, rstd, scale)


def normalise_backward(dy, cache, input_gradient=True):
    """Return ``(dx, dgamma, dbeta)`` where mean and variance were those of x itself.

    See `BatchNorm2d` for the derivation.
    """
    x, mean, rstd, scale = cache
    if kernels.usable(dy, *cache):
        dx, sum_dy, sum_dy_xhat = kernels.normalise_backward(dy, *cache, input_gradient)
        return dx, _sum_groups(sum_dy_xhat), _sum_groups(sum_dy)
    xp = get_xp(dy, x)

    def sums(groups, pixels):
        upstream = dy[groups, pixels]
        centred = x[groups, pixels] - mean[groups, None]
        centred *= upstream
        return sum_rows(upstream, xp), sum_rows(centred, xp)

    rows = [[value for _, value in row] for row in _blocks(sums, x)]
    sum_dy = xp.concatenate([sum(a for a, _ in row) for row in rows])  # (G, C)
    sum_dy_xhat = rstd * xp.concatenate([sum(b for _, b in row) for row in rows])
    dgamma, dbeta = sum_dy_xhat.sum(axis=0), sum_dy.sum(axis=0)
    if not input_gradient:
        return None, dgamma, dbeta
    mean_dy = sum_dy / x.shape[1]
    slope = sum_dy_xhat * rstd / x.shape[1]
    dx = xp.empty(x.shape, x.dtype)

    def fill(groups, pixels):  # dx = scale · (dy − mean(dy) − x̂ · mean(dy x̂))
        out = dx[groups, pixels]
        xp.subtract(mean[groups, None], x[groups, pixels], out=out)
        out *= slope[groups, None]
        out += dy[groups, pixels]
        out -= mean_dy[groups, None]
        out *= scale[groups, None]

    _blocks(fill, x)
    return dx, dgamma, dbeta


def _sum_groups(sums):
    return sums[0] if len(sums) == 1 else sums.sum(axis=0)


def _blocks(function, x) -> list:
    """Call ``function(groups, pixels)`` with slices that cut ``x`` (G, M, C) into fixed blocks.

    Returns rows of ``((groups, pixels), result)``: one row for each range of groups, its blocks in
    the order of the pixels.  On a GPU there is a single block.
    """
    g, m, c = x.shape
    xp = get_xp(x)
    size = max(1, SLICE // c)
    if xp is not np:
        size = g * m
    group_ranges = split(g, max(1, size // m))
    pixel_ranges = split(m, size)
    places = [(slice(*a), slice(*b)) for a in group_ranges for b in pixel_ranges]
    tasks = [lambda p=place: function(*p) for place in places]
    results = run(tasks) if xp is np else [task() for task in tasks]
    found = list(zip(places, results, strict=True))
    return [found[i : i + len(pixel_ranges)] for i in range(0, len(found), len(pixel_ranges))]


class _Norm(Layer):
    """What both normalisations share: which channels, eps, and optional weight and bias."""

    def __init__(self, channels, eps, affine):
        name = type(self).__name__
        self.channels = _check.count(channels, f"{name}: channels")
        if not eps > 0:
            raise ValueError(f"{name}: eps: expected a positive number, got {eps}")
        self.eps = float(eps)
        self.weight = Parameter(normal((channels,), std=0.0, mean=1.0)) if affine else None
        self.bias = Parameter(normal((channels,), std=0.0)) if affine else None

    def _data(self):
        return (self.weight.data, self.bias.data) if self.weight is not None else (None, None)

    def _groups(self, x):
        raise NotImplementedError

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
        y, cache = normalise(grouped, mean, var, *self._data(), self.eps)
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

    def _like(self):
        return None if self.weight is None else self.weight.data

    def _remember(self, mean, var, count):
        pass


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

    Attributes
    ----------
    weight, bias : Parameter
        γ and β of shape ``(C,)``, ones and zeros at first.
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
    Over the M = N·H·W values :math:`x_i` of a channel,

    .. math::
        \mu = \tfrac1M \sum_i x_i, \quad \sigma^2 = \tfrac1M \sum_i (x_i - \mu)^2, \quad
        \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \quad
        y_i = \gamma \hat x_i + \beta.

    So :math:`d\beta = \sum_i dy_i` and :math:`d\gamma = \sum_i dy_i \hat x_i`.  Each x moves the
    loss in three ways: through its own :math:`\hat x`, through μ and through σ.  With
    :math:`d\hat x_i = \gamma\, dy_i`, the second gives :math:`-\tfrac1M \sum_j d\hat x_j` and the
    third, as :math:`\partial \sigma / \partial x_i = (x_i - \mu) / (M \sigma)`, gives
    :math:`-\hat x_i \tfrac1M \sum_j d\hat x_j \hat x_j`; together

    .. math::
        dx_i = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} \Big( dy_i
        - \tfrac1M \sum_j dy_j - \hat x_i\, \tfrac1M \sum_j dy_j \hat x_j \Big).

    A constant dy gives dx = 0, for the mean takes a constant out again: never check this gradient
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
    """

    buffer_names = ("running_mean", "running_var")

    def __init__(self, channels, eps=1e-5, momentum=0.1):
        super().__init__(channels, eps, affine=True)
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
        return normalise(grouped, mean, var, *self._data(), self.eps)[0].reshape(x.shape)

    def __repr__(self) -> str:
        return f"BatchNorm2d({self.channels})"


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

    def __init__(self, channels, eps=1e-5, affine=False):
        super().__init__(channels, eps, affine)

    def _groups(self, x):
        return x.reshape(x.shape[0], -1, self.channels)

    def __repr__(self) -> str:
        return (
            f"InstanceNorm2d({self.channels}{', affine=True' if self.weight is not None else ''})"
        )
