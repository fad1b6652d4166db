"""Radford's own weights of 2015: a DCGAN of house numbers, trained before the method had a name.

``Newmu/dcgan_code`` (MIT licence) holds, under ``svhn``, the parameters of a generator and a
discriminator of 32×32 pixels as lists of arrays.  Saved one by one with `numpy.save`, as
``200_gen_params.jl_01.npy`` …, they run through tinygan's layers::

    G = generator(folder)
    pictures, _ = G(draw_noise(128, 100, 0))

What they need is in their code and not in the files:

- a layer from 100 numbers to 256·4·4 stands first, normalized unit by unit;
- normalization is by the batch's own statistics (so call the network, and do not `predict`), with
  ε = 1e-8;
- Theano convolves, with kernels turned by 180°; every other library correlates.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinygan.errors import UserError
from tinygan.layers import BatchNorm2d, Conv2d, ConvTranspose2d, LeakyReLU, ReLU, Reshape, Tanh
from tinygan.layers.sequential import Sequential

__all__ = ["discriminator", "generator"]

_UP: dict[str, Any] = {
    "kernel_size": 5,
    "stride": 2,
    "padding": 2,
    "output_padding": 1,
    "bias": False,
}
_DOWN: dict[str, Any] = {"kernel_size": 5, "stride": 2, "padding": 2, "bias": False}


def generator(folder: Path) -> Sequential:
    """Return Radford's generator, from ``(N, 100)`` to ``(N, 32, 32, 3)``.

    Parameters
    ----------
    folder : Path
        Where ``200_gen_params.jl_01.npy`` to ``_10.npy`` are.
    """
    w, *norms_and_kernels, last = _arrays(folder, "gen", 10)
    units = w.reshape(100, 256, 4, 4).transpose(0, 2, 3, 1).reshape(1, 1, 100, 4096)
    gamma, beta, *others = norms_and_kernels
    over_pixels = [a.reshape(256, 4, 4).transpose(1, 2, 0).ravel() for a in (gamma, beta)]
    layers = [Reshape(1, 1, 100), _weighted(Conv2d(100, 4096, 1, bias=False), units)]
    layers += [_normalized(*over_pixels), ReLU(), Reshape(4, 4, 256)]
    for kernel, gamma, beta in zip(others[::3], others[1::3], others[2::3], strict=True):
        layers += [_up(kernel), _normalized(gamma, beta), ReLU()]
    return Sequential(*layers, _up(last), Tanh())


def discriminator(folder: Path) -> Sequential:
    """Return Radford's discriminator, from ``(N, 32, 32, 3)`` to scores ``(N,)``.

    Parameters
    ----------
    folder : Path
        Where ``200_discrim_params.jl_01.npy`` to ``_08.npy`` are.
    """
    first, *others, dense = _arrays(folder, "discrim", 8)
    layers = [_down(first), LeakyReLU(0.2)]
    for kernel, gamma, beta in zip(others[::3], others[1::3], others[2::3], strict=True):
        layers += [_down(kernel), _normalized(gamma, beta), LeakyReLU(0.2)]
    whole = dense.reshape(256, 4, 4, 1).transpose(1, 2, 0, 3)
    return Sequential(*layers, _weighted(Conv2d(256, 1, 4, bias=False), whole), Reshape())


def _up(kernel: np.ndarray) -> ConvTranspose2d:
    # (C, O, KH, KW), turned by 180°, to (KH, KW, O, C)
    layer = ConvTranspose2d(*kernel.shape[:2], **_UP)
    return _weighted(layer, kernel[:, :, ::-1, ::-1].transpose(2, 3, 1, 0))


def _down(kernel: np.ndarray) -> Conv2d:
    # (O, C, KH, KW), turned by 180°, to (KH, KW, C, O)
    layer = Conv2d(*kernel.shape[1::-1], **_DOWN)
    return _weighted(layer, kernel[:, :, ::-1, ::-1].transpose(2, 3, 1, 0))


def _normalized(gamma: np.ndarray, beta: np.ndarray) -> BatchNorm2d:
    layer = BatchNorm2d(len(gamma), eps=1e-8)
    layer.weight.data[...], layer.bias.data[...] = gamma, beta
    return layer


def _weighted(layer: Any, weight: np.ndarray) -> Any:
    layer.weight.data[...] = weight
    return layer


def _arrays(folder: Path, name: str, count: int) -> list[np.ndarray]:
    paths = [Path(folder) / f"200_{name}_params.jl_{i + 1:02}.npy" for i in range(count)]
    try:
        return [np.load(path, allow_pickle=False) for path in paths]
    except (OSError, ValueError) as error:
        raise UserError(f"{folder}: expected {paths[0].name} to _{count:02}.npy: {error}") from None
