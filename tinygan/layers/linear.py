"""The linear layer: every output a weighted sum of all inputs."""

from __future__ import annotations

from typing import Any

from tinygan.checks import count
from tinygan.initialize import Seed, normal
from tinygan.layer import Layer, Parameter
from tinygan.layers import _check
from tinygan.machine.arrays import Array, get_xp

__all__ = ["Linear", "linear", "linear_backward"]


def linear(x: Array, w: Array, b: Array = None) -> tuple[Array, Any]:
    """Return ``y = x w + b`` over the last axis, and what the gradients need."""
    y = get_xp(x, w).matmul(x, w)
    return y if b is None else y + b, (x, w)


def linear_backward(dy: Array, cache: Any) -> tuple[Array, Array, Array | None]:
    """Return ``dx = dy wᵀ``, ``dw = xᵀ dy`` and ``db``, the sum of dy over all samples."""
    x, w = cache
    rows_x, rows_dy = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    xp = get_xp(dy, w)
    return xp.matmul(dy, w.T), xp.matmul(rows_x.T, rows_dy), rows_dy.sum(axis=0)


class Linear(Layer):
    r"""A linear (fully connected) layer, :math:`y = x w + b`.

    Parameters
    ----------
    in_features, out_features : int
        The lengths of the last axis of the input and of the output.
    bias : bool
        Whether b is added.
    rng : int, numpy.random.Generator or None
        Where the initial weights, N(0, 0.02²), are drawn from.

    Attributes
    ----------
    weight : Parameter
        w, of shape ``(in_features, out_features)``.
    bias : Parameter or None
        b, of shape ``(out_features,)``, zeros at first.

    Notes
    -----
    :math:`dx = dy\,w^T`, :math:`dw = x^T dy`, :math:`db = \sum_n dy_n`.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = Linear(3, 5)(np.zeros((4, 3), np.float32))
    >>> y.shape, backward(y).shape
    ((4, 5), (4, 3))
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, *, rng: Seed = None):
        self.in_features = count(in_features, "Linear: in_features")
        self.out_features = count(out_features, "Linear: out_features")
        self.weight = Parameter(normal((self.in_features, self.out_features), rng=rng))
        self.bias = Parameter(normal((self.out_features,), std=0.0)) if bias else None

    def forward(self, x: Array) -> tuple[Array, Any]:
        w, b = self.weight.data, self.bias
        _check.features(self, x, self.in_features, like=w)
        y, cache = linear(x, w, None if b is None else b.data)
        return y, (cache, self.weight.frozen, b is not None and b.frozen)

    def backward(self, dy: Array, cache: Any) -> Array:
        cache, weight_frozen, bias_frozen = cache
        dx, dw, db = linear_backward(dy, cache)
        if not weight_frozen:
            self.weight.grad += dw
        if self.bias is not None and not bias_frozen:
            self.bias.grad += db
        return dx

    def __repr__(self) -> str:
        bias = "" if self.bias is not None else ", bias=False"
        return f"Linear({self.in_features}, {self.out_features}{bias})"
