"""The four networks of the CycleGAN: residual generators and discriminators of patches.

References
----------
"Deep Fakes" using GANs, section 2.2.  What the paper leaves open (kernel sizes, widths,
normalisation) follows the code published with Zhu, Park, Isola, Efros, *Unpaired Image-to-Image
Translation using Cycle-Consistent Adversarial Networks*, 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tinygan.initialize import Seed
from tinygan.layer import Layer
from tinygan.layers import (
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    InstanceNorm2d,
    LeakyReLU,
    ReflectionPad2d,
    ReLU,
    Tanh,
    Upsample,
)
from tinygan.layers.sequential import Residual, Sequential

__all__ = ["generator", "patch_discriminator"]

NORMS: dict[str, Callable[..., Layer]] = {"instance": InstanceNorm2d, "batch": BatchNorm2d}


def _transposed(wide: int, half: int, bias: bool, rng: Seed) -> list[Layer]:
    how = {"stride": 2, "padding": 1, "output_padding": 1}
    return [ConvTranspose2d(wide, half, 3, **how, bias=bias, rng=rng)]


def _resize(wide: int, half: int, bias: bool, rng: Seed) -> list[Layer]:
    return [Upsample(2), ReflectionPad2d(1), Conv2d(wide, half, 3, bias=bias, rng=rng)]


UPSAMPLINGS: dict[str, Callable[..., list[Layer]]] = {"transposed": _transposed, "resize": _resize}


def generator(
    channels: int = 3,
    width: int = 64,
    downsamplings: int = 2,
    residual_blocks: int = 6,
    norm: str | Callable[[int], Layer] = "instance",
    upsampling: str | Callable[..., list[Layer]] = "transposed",
    dropout: float = 0.0,
    rng: Seed = None,
) -> Sequential:
    """Build G (or F), which turns a picture of one domain into one of the other.

    A 7×7 convolution, `downsamplings` stages that halve the size and double the channels,
    `residual_blocks`, as many stages back up, and a 7×7 convolution through tanh.

    Parameters
    ----------
    channels : int
        3 for colour.
    width : int
        Channels of the first layer.
    downsamplings : int
        How many convolutions of stride 2.  The paper's "three down sampling layers, six residual
        layers and three up sampling layers" are these defaults, the two 7×7 convolutions counted
        among them; ``downsamplings=3`` builds the literal reading.
    residual_blocks : int
        6 for pictures of 128 pixels, 9 for 256, in Zhu et al.
    norm : {"instance", "batch"} or callable
        A callable makes the layer from its number of channels: ``partial(GroupNorm, 8)``.
    upsampling : {"transposed", "resize"} or callable
        Transposed convolutions, or the repetition of pixels followed by a convolution, which
        leaves no checkerboard; or ``(in_channels, out_channels, bias, rng) -> list of layers``
        that double height and width.
    dropout : float
        The probability of a zero between the two convolutions of a residual block.
    rng : int, numpy.random.Generator or None
        Where the initial weights are drawn from.

    Returns
    -------
    Sequential
        From ``(N, H, W, channels)`` to the same shape in [−1, 1], for every H and W that
        ``2**downsamplings`` divides.

    References
    ----------
    "Deep Fakes" using GANs, section 2.2 and Figure 3.

    Examples
    --------
    >>> G = generator(residual_blocks=6)
    >>> sum(parameter.size for parameter in G.parameters())
    7837699
    """
    enlarge = _choose("upsampling", upsampling, UPSAMPLINGS)
    rng = np.random.default_rng(rng)
    make_norm, bias = _norm(norm, rng)
    conv = partial(Conv2d, rng=rng)
    wide = width
    layers = [ReflectionPad2d(3), conv(channels, wide, 7, bias=bias), make_norm(wide), ReLU()]
    for _ in range(downsamplings):
        layers += [conv(wide, 2 * wide, 3, stride=2, padding=1, bias=bias)]
        layers += [make_norm(2 * wide), ReLU()]
        wide *= 2
    for _ in range(residual_blocks):
        block = [ReflectionPad2d(1), conv(wide, wide, 3, bias=bias), make_norm(wide), ReLU()]
        block += [Dropout(dropout, rng=rng)] if dropout else []
        block += [ReflectionPad2d(1), conv(wide, wide, 3, bias=bias), make_norm(wide)]
        layers += [Residual(*block)]
    for _ in range(downsamplings):
        half = wide // 2
        layers += [*enlarge(wide, half, bias, rng), make_norm(half), ReLU()]
        wide = half
    return Sequential(*layers, ReflectionPad2d(3), conv(width, channels, 7), Tanh())


def patch_discriminator(
    channels: int = 3,
    width: int = 64,
    layers: int = 3,
    norm: str | Callable[[int], Layer] = "instance",
    rng: Seed = None,
) -> Sequential:
    """Build D_X (or D_Y), which scores every patch of a picture for how real it looks.

    4×4 convolutions: `layers` of stride 2, one of stride 1, and one of stride 1 that gives the
    score.  Each score sees a patch only (70×70 pixels with three layers, 34×34 with two), so the
    network judges texture and style, at any size of picture.

    Parameters
    ----------
    channels : int
        3 for colour.
    width : int
        Channels of the first layer; they double up to ``8 * width``.
    layers : int
        How many convolutions of stride 2.  The paper's discriminator of four convolutional layers
        has two, the published one three.
    norm : {"instance", "batch"} or callable
        As for `generator`.
    rng : int, numpy.random.Generator or None
        Where the initial weights are drawn from.

    Returns
    -------
    Sequential
        From ``(N, H, W, channels)`` to scores ``(N, H', W', 1)``, with no sigmoid: 14×14 of them
        for a picture of 128×128 pixels and three layers.

    References
    ----------
    "Deep Fakes" using GANs, section 2.2 and Figure 4.

    Examples
    --------
    >>> D = patch_discriminator()
    >>> sum(parameter.size for parameter in D.parameters())
    2764737
    """
    if layers < 1:
        raise ValueError(f"patch_discriminator: layers: expected at least 1, got {layers!r}")
    rng = np.random.default_rng(rng)
    make_norm, bias = _norm(norm, rng)
    conv = partial(Conv2d, kernel_size=4, padding=1, rng=rng)
    network = [conv(channels, width, stride=2), LeakyReLU(0.2)]
    wide = width
    for stride in [2] * (layers - 1) + [1]:
        before, wide = wide, min(2 * wide, 8 * width)
        network += [conv(before, wide, stride=stride, bias=bias)]
        network += [make_norm(wide), LeakyReLU(0.2)]
    return Sequential(*network, conv(wide, 1))


def _norm(norm: str | Callable[[int], Layer], rng: Seed) -> tuple[Callable[[int], Layer], bool]:
    """Return what makes a norm, and whether convolutions before it have a bias."""
    make = _choose("norm", norm, NORMS)
    if callable(norm):
        return norm, True
    return partial(make, weight_std=0.02, rng=rng), norm == "instance"  # "batch" brings its own


def _choose(option: str, value: Any, choices: dict[str, Any]) -> Any:
    if callable(value):
        return value
    if value not in choices:
        raise ValueError(f"{option}: expected one of {tuple(choices)}, got {value!r}")
    return choices[value]
