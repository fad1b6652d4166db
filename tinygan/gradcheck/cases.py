"""tinygan's own layers, losses and networks, as cases that every check can be run over.

One list serves the test suite's contract, the command ``python -m tinygan.gradcheck`` and the
comparison of backends.  A new layer is one more line here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinygan.layer import Layer, Residual, Sequential
from tinygan.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    GaussianNoise,
    GroupNorm,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    MaxPool2d,
    PixelShuffle,
    PReLU,
    RandomColor,
    RandomCutout,
    RandomTranslation,
    ReflectionPad2d,
    ReLU,
    Reshape,
    Sigmoid,
    Tanh,
    Upsample,
)
from tinygan.losses import (
    bce,
    bce_with_logits,
    hinge,
    hinge_generator,
    l1,
    minimax,
    mse,
    non_saturating,
)
from tinygan.models import dcgan

__all__ = ["LAYERS", "LOSSES", "LayerCase", "LossCase"]


@dataclass(frozen=True)
class LayerCase:
    """A layer to check: its name, how to make it, and the shape of its input."""

    id: str
    make: Callable[[], Layer]
    shape: tuple[int, ...]

    def x(self, dtype=np.float64, seed: int = 7) -> np.ndarray:
        """Return an input: normal numbers, none of them within 0.01 of the kinks at 0."""
        x = np.random.default_rng(seed).standard_normal(self.shape)
        return (x + 0.01 * np.sign(x)).astype(dtype)


@dataclass(frozen=True)
class LossCase:
    """A loss to check as a function of its first argument, drawn from a range."""

    id: str
    loss: Callable
    low: float = -3.0
    high: float = 3.0
    shape: tuple[int, ...] = (4, 6, 6, 1)

    def x(self, dtype=np.float64, seed: int = 7) -> np.ndarray:
        return np.random.default_rng(seed).uniform(self.low, self.high, self.shape).astype(dtype)


def _small_network() -> Sequential:
    return Sequential(
        ReflectionPad2d(1),
        Conv2d(3, 4, 3, rng=1),
        InstanceNorm2d(4),
        ReLU(),
        Residual(Conv2d(4, 4, 3, padding=1, rng=2), BatchNorm2d(4), LeakyReLU(0.2)),
        ConvTranspose2d(4, 2, 4, stride=2, padding=1, rng=3),
        Tanh(),
    )


LAYERS = [
    LayerCase("conv 3x3", lambda: Conv2d(3, 4, 3, rng=0), (2, 6, 7, 3)),
    LayerCase("conv 4x4 stride 2", lambda: Conv2d(3, 5, 4, 2, 1, rng=0), (2, 8, 8, 3)),
    LayerCase("conv 4x4 stride 1 padded", lambda: Conv2d(2, 3, 4, 1, 1, rng=0), (2, 6, 6, 2)),
    LayerCase("conv 3x3 stride 2 odd", lambda: Conv2d(2, 3, 3, 2, 1, rng=0), (2, 7, 5, 2)),
    LayerCase("conv 7x7", lambda: Conv2d(1, 2, 7, padding=3, rng=0), (1, 9, 9, 1)),
    LayerCase("conv 1x1", lambda: Conv2d(3, 2, 1, bias=False, rng=0), (2, 4, 4, 3)),
    LayerCase(
        "conv pairs",
        lambda: Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(0, 1), rng=0),
        (2, 7, 4, 2),
    ),
    LayerCase("conv to one pixel", lambda: Conv2d(5, 1, 4, bias=False, rng=0), (3, 4, 4, 5)),
    LayerCase("conv stride past its window", lambda: Conv2d(2, 2, 2, 3, rng=0), (2, 8, 7, 2)),
    LayerCase(
        "transposed 4x4 stride 2", lambda: ConvTranspose2d(3, 4, 4, 2, 1, rng=0), (2, 4, 4, 3)
    ),
    LayerCase(
        "transposed 3x3 output padding",
        lambda: ConvTranspose2d(3, 2, 3, 2, 1, output_padding=1, rng=0),
        (2, 5, 4, 3),
    ),
    LayerCase(
        "transposed from one pixel",
        lambda: ConvTranspose2d(6, 3, 4, bias=False, rng=0),
        (3, 1, 1, 6),
    ),
    LayerCase(
        "transposed pairs",
        lambda: ConvTranspose2d(2, 3, (3, 4), (1, 2), (1, 0), (0, 1), rng=0),
        (2, 4, 3, 2),
    ),
    LayerCase(
        "transposed to a size",
        lambda: ConvTranspose2d(2, 3, 3, 2, 1, output_size=(8, 7), rng=0),
        (2, 4, 4, 2),
    ),
    LayerCase("conv same", lambda: Conv2d(2, 3, (3, 5), padding="same", rng=0), (2, 6, 5, 2)),
    LayerCase("linear", lambda: Linear(5, 4, rng=0), (3, 5)),
    LayerCase("linear of pixels", lambda: Linear(5, 4, bias=False, rng=0), (3, 2, 2, 5)),
    LayerCase("batch norm", lambda: BatchNorm2d(3), (4, 5, 6, 3)),
    LayerCase("batch norm of vectors", lambda: BatchNorm2d(5), (8, 1, 1, 5)),
    LayerCase("instance norm", lambda: InstanceNorm2d(3), (3, 5, 6, 3)),
    LayerCase("instance norm affine", lambda: InstanceNorm2d(3, affine=True), (3, 5, 6, 3)),
    LayerCase("batch norm without weights", lambda: BatchNorm2d(3, affine=False), (4, 5, 6, 3)),
    LayerCase("batch norm relu", lambda: Sequential(BatchNorm2d(3), ReLU()), (4, 5, 6, 3)),
    LayerCase("batch norm leaky", lambda: Sequential(BatchNorm2d(3), LeakyReLU(0.2)), (4, 5, 6, 3)),
    LayerCase(
        "batch norm leaky steep", lambda: Sequential(BatchNorm2d(3), LeakyReLU(1.5)), (3, 4, 4, 3)
    ),
    LayerCase("instance norm relu", lambda: Sequential(InstanceNorm2d(3), ReLU()), (3, 5, 6, 3)),
    LayerCase(
        "instance norm affine leaky",
        lambda: Sequential(InstanceNorm2d(3, affine=True), LeakyReLU(0.2)),
        (3, 5, 6, 3),
    ),
    LayerCase("group norm", lambda: GroupNorm(2, 6), (3, 4, 5, 6)),
    LayerCase("group norm without weights", lambda: GroupNorm(3, 3, affine=False), (2, 4, 5, 3)),
    LayerCase("relu", ReLU, (2, 5, 5, 3)),
    LayerCase("leaky relu", lambda: LeakyReLU(0.2), (2, 5, 5, 3)),
    LayerCase("leaky relu steep", lambda: LeakyReLU(1.5), (2, 5, 5, 3)),
    LayerCase("prelu", PReLU, (2, 5, 5, 3)),
    LayerCase("prelu of channels", lambda: PReLU(3), (2, 5, 5, 3)),
    LayerCase("tanh", Tanh, (2, 5, 5, 3)),
    LayerCase("sigmoid", Sigmoid, (2, 5, 5, 3)),
    LayerCase("reflection pad", lambda: ReflectionPad2d(3), (2, 4, 5, 3)),
    LayerCase("reflection pad pairs", lambda: ReflectionPad2d((2, 1)), (2, 3, 2, 3)),
    LayerCase("upsample", lambda: Upsample(2), (2, 3, 4, 3)),
    LayerCase("upsample pairs", lambda: Upsample((1, 3)), (2, 3, 4, 3)),
    LayerCase("pixel shuffle", lambda: PixelShuffle(2), (2, 3, 4, 8)),
    LayerCase("max pool", lambda: MaxPool2d(2), (2, 5, 6, 3)),
    LayerCase("max pool overlapping", lambda: MaxPool2d(3, 2, 1), (2, 5, 6, 3)),
    LayerCase("avg pool", lambda: AvgPool2d((2, 3)), (2, 5, 6, 3)),
    LayerCase("avg pool overlapping", lambda: AvgPool2d(3, 2, 1), (2, 5, 6, 3)),
    LayerCase("reshape", lambda: Reshape(2, 2, 6), (3, 4, 3, 2)),
    LayerCase("reshape to numbers", Reshape, (3, 1, 1, 1)),
    LayerCase("flatten", Flatten, (3, 2, 2, 4)),
    LayerCase("gaussian noise", lambda: GaussianNoise(0.1, rng=5), (2, 5, 5, 3)),
    LayerCase("random color", lambda: RandomColor(rng=5), (3, 4, 5, 3)),
    LayerCase("random translation", lambda: RandomTranslation(0.3, rng=5), (3, 5, 6, 2)),
    LayerCase("random cutout", lambda: RandomCutout(0.5, rng=5), (3, 5, 6, 2)),
    LayerCase(
        "augmentations",
        lambda: Sequential(RandomColor(rng=1), RandomTranslation(rng=2), RandomCutout(rng=3)),
        (2, 8, 8, 3),
    ),
    LayerCase("dropout", lambda: Dropout(0.3, rng=5), (2, 5, 5, 3)),
    LayerCase(
        "residual",
        lambda: Residual(Conv2d(3, 3, 3, padding=1, rng=0), Tanh()),
        (2, 4, 4, 3),
    ),
    LayerCase("a small network", _small_network, (2, 6, 6, 3)),
    LayerCase(
        "dcgan generator",
        lambda: dcgan.generator(16, noise_size=6, width=3, rng=0),
        (4, 6),
    ),
    LayerCase(
        "dcgan generator leaky grey",
        lambda: dcgan.generator(16, 1, 6, 3, activation="leaky_relu", rng=0),
        (4, 6),
    ),
    LayerCase(
        "dcgan discriminator", lambda: dcgan.discriminator(16, width=3, rng=0), (4, 16, 16, 3)
    ),
]

LOSSES = [
    LossCase("bce", lambda p: bce(p, 0.9), 0.05, 0.95),
    LossCase("bce_with_logits", lambda s: bce_with_logits(s, 0.9)),
    LossCase("bce_with_logits of real labels", lambda s: bce_with_logits(s, 1.0)),
    LossCase("minimax", minimax),
    LossCase("non_saturating", non_saturating),
    LossCase("mse", lambda p: mse(p, 1.0)),
    LossCase("l1", lambda p: l1(p, 3.5)),
    LossCase("hinge of real", lambda s: hinge(s, 1.0)),
    LossCase("hinge of generated", lambda s: hinge(s, -1.0)),
    LossCase("hinge of the generator", hinge_generator),
]
