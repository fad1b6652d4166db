"""Group normalisation: the normalisation of `tinygan.layers.norm` over groups of channels."""

from __future__ import annotations

from typing import Any

from tinygan.checks import count
from tinygan.initialize import Seed
from tinygan.layers import _check
from tinygan.layers.norm import _Affine, moments, normalize, normalize_backward, normalize_sums
from tinygan.machine.arrays import Array

__all__ = ["GroupNorm"]


class GroupNorm(_Affine):
    r"""Group normalisation: groups of neighbouring channels of each image, normalized together.

    Parameters
    ----------
    groups : int
        How many, a divisor of `channels`.
    channels, eps, affine, weight_std, rng
        As for `BatchNorm2d`.

    Notes
    -----
    The equations of `BatchNorm2d` over the M = H·W·C/groups numbers of one group, but for γ and β,
    which are one for each channel: :math:`d\hat x = \gamma\,dy` passes on where there dy does.

    References
    ----------
    Wu, He, *Group Normalization*, 2018.

    Examples
    --------
    >>> import numpy as np
    >>> y, backward = GroupNorm(1, 2)(np.array([1, 3], np.float32).reshape(1, 1, 1, 2))
    >>> y.ravel().round(3)
    array([-1.,  1.], dtype=float32)
    """

    def __init__(self, groups: int, channels: int, *, eps: float = 1e-5, affine: bool = True,
                 weight_std: float = 0.0, rng: Seed = None):  # fmt: skip
        super().__init__(channels, eps, affine, weight_std, rng)
        self.groups = count(groups, "GroupNorm: groups")
        if channels % groups:
            raise ValueError(
                f"GroupNorm: groups: expected a divisor of the {channels} channels, got {groups}"
            )

    def forward(self, x: Array) -> tuple[Array, Any]:
        _check.images(self, x, self.channels, like=self._like())
        grouped = self._groups(x)
        if grouped.shape[1] < 2:
            raise ValueError(
                f"{self!r}: expected more than one value a group to normalize over, "
                f"got x of shape {tuple(x.shape)}"
            )
        mean, var = moments(grouped)
        xhat, cache = normalize(grouped, mean, var, None, None, self.eps)
        xhat = self._ungroup(xhat, x.shape)
        if self.weight is None:
            return xhat, (cache, None, None, False, False)
        gamma = self.weight.data
        wants = not self.weight.frozen, not self.bias.frozen
        return gamma * xhat + self.bias.data, (cache, gamma, xhat if wants[0] else None, *wants)

    def backward(self, dy: Array, cache: Any) -> Array:
        cache, gamma, xhat, wants_gamma, wants_beta = cache
        if wants_gamma:
            self.weight.grad += (dy * xhat).sum(axis=(0, 1, 2))
        if wants_beta:
            self.bias.grad += dy.sum(axis=(0, 1, 2))
        dxhat = self._groups(dy if gamma is None else gamma * dy)
        dx = normalize_backward(dxhat, cache, *normalize_sums(dxhat, cache))
        return self._ungroup(dx, dy.shape)

    def _groups(self, x: Array) -> Array:
        n, h, w, c = x.shape
        parts = x.reshape(n, h * w, self.groups, c // self.groups).transpose(0, 2, 1, 3)
        return parts.reshape(n * self.groups, h * w * (c // self.groups), 1)

    def _ungroup(self, grouped: Array, shape: tuple[int, ...]) -> Array:
        n, h, w, c = shape
        parts = grouped.reshape(n, self.groups, h * w, c // self.groups)
        return parts.transpose(0, 2, 1, 3).reshape(shape)

    def __repr__(self) -> str:
        affine = "" if self.weight is not None else ", affine=False"
        return f"GroupNorm({self.groups}, {self.channels}{affine})"
