"""tinygan's own layers, losses and networks, as cases that every check can be run over.

One list serves the test suite's contract, the command ``python -m tinygan.gradcheck`` and the
comparison of backends.  A new layer is one more line here.
"""

# ruff: noqa: E501 (a case a line)
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygan import layers as nn
from tinygan import losses
from tinygan.layer import Layer
from tinygan.layers.sequential import Residual, Sequential
from tinygan.models import dcgan

__all__ = ["LAYERS", "LOSSES", "LayerCase", "LossCase"]


@dataclass(frozen=True)
class LayerCase:
    """A layer to check: its name, how to make it, and the shape of its input."""

    id: str
    make: Callable[[], Layer]
    shape: tuple[int, ...]

    def x(self, dtype: Any = np.float64, seed: int = 7) -> np.ndarray:
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

    def x(self, dtype: Any = np.float64, seed: int = 7) -> np.ndarray:
        return np.random.default_rng(seed).uniform(self.low, self.high, self.shape).astype(dtype)


def _small_network() -> Sequential:
    return Sequential(
        nn.ReflectionPad2d(1),
        nn.Conv2d(3, 4, 3, rng=1),
        nn.InstanceNorm2d(4),
        nn.ReLU(),
        Residual(nn.Conv2d(4, 4, 3, padding=1, rng=2), nn.BatchNorm2d(4), nn.LeakyReLU(0.2)),
        nn.ConvTranspose2d(4, 2, 4, stride=2, padding=1, rng=3),
        nn.Tanh(),
    )


# fmt: off
LAYERS = [LayerCase(*row) for row in (
    ("conv 3x3", lambda: nn.Conv2d(3, 4, 3, rng=0), (2, 6, 7, 3)),
    ("conv 4x4 stride 2", lambda: nn.Conv2d(3, 5, 4, 2, 1, rng=0), (2, 8, 8, 3)),
    ("conv 4x4 stride 1 padded", lambda: nn.Conv2d(2, 3, 4, 1, 1, rng=0), (2, 6, 6, 2)),
    ("conv 3x3 stride 2 odd", lambda: nn.Conv2d(2, 3, 3, 2, 1, rng=0), (2, 7, 5, 2)),
    ("conv 7x7", lambda: nn.Conv2d(1, 2, 7, padding=3, rng=0), (1, 9, 9, 1)),
    ("conv 1x1", lambda: nn.Conv2d(3, 2, 1, bias=False, rng=0), (2, 4, 4, 3)),
    ("conv pairs", lambda: nn.Conv2d(2, 3, (3, 2), stride=(2, 1), padding=(0, 1), rng=0), (2, 7, 4, 2)),
    ("conv to one pixel", lambda: nn.Conv2d(5, 1, 4, bias=False, rng=0), (3, 4, 4, 5)),
    ("conv stride past its window", lambda: nn.Conv2d(2, 2, 2, 3, rng=0), (2, 8, 7, 2)),
    ("transposed 4x4 stride 2", lambda: nn.ConvTranspose2d(3, 4, 4, 2, 1, rng=0), (2, 4, 4, 3)),
    ("transposed 3x3 output padding", lambda: nn.ConvTranspose2d(3, 2, 3, 2, 1, output_padding=1, rng=0), (2, 5, 4, 3)),
    ("transposed from one pixel", lambda: nn.ConvTranspose2d(6, 3, 4, bias=False, rng=0), (3, 1, 1, 6)),
    ("transposed pairs", lambda: nn.ConvTranspose2d(2, 3, (3, 4), (1, 2), (1, 0), (0, 1), rng=0), (2, 4, 3, 2)),
    ("transposed to a size", lambda: nn.ConvTranspose2d(2, 3, 3, 2, 1, output_size=(8, 7), rng=0), (2, 4, 4, 2)),
    ("conv same", lambda: nn.Conv2d(2, 3, (3, 5), padding="same", rng=0), (2, 6, 5, 2)),
    ("linear", lambda: nn.Linear(5, 4, rng=0), (3, 5)),
    ("linear of pixels", lambda: nn.Linear(5, 4, bias=False, rng=0), (3, 2, 2, 5)),
    ("batch norm", lambda: nn.BatchNorm2d(3), (4, 5, 6, 3)),
    ("batch norm of vectors", lambda: nn.BatchNorm2d(5), (8, 1, 1, 5)),
    ("instance norm", lambda: nn.InstanceNorm2d(3), (3, 5, 6, 3)),
    ("instance norm affine", lambda: nn.InstanceNorm2d(3, affine=True), (3, 5, 6, 3)),
    ("batch norm without weights", lambda: nn.BatchNorm2d(3, affine=False), (4, 5, 6, 3)),
    ("batch norm relu", lambda: Sequential(nn.BatchNorm2d(3), nn.ReLU()), (4, 5, 6, 3)),
    ("batch norm leaky", lambda: Sequential(nn.BatchNorm2d(3), nn.LeakyReLU(0.2)), (4, 5, 6, 3)),
    ("batch norm leaky steep", lambda: Sequential(nn.BatchNorm2d(3), nn.LeakyReLU(1.5)), (3, 4, 4, 3)),
    ("instance norm relu", lambda: Sequential(nn.InstanceNorm2d(3), nn.ReLU()), (3, 5, 6, 3)),
    ("instance norm affine leaky", lambda: Sequential(nn.InstanceNorm2d(3, affine=True), nn.LeakyReLU(0.2)), (3, 5, 6, 3)),
    ("group norm", lambda: nn.GroupNorm(2, 6), (3, 4, 5, 6)),
    ("group norm without weights", lambda: nn.GroupNorm(3, 3, affine=False), (2, 4, 5, 3)),
    ("relu", nn.ReLU, (2, 5, 5, 3)),
    ("leaky relu", lambda: nn.LeakyReLU(0.2), (2, 5, 5, 3)),
    ("leaky relu steep", lambda: nn.LeakyReLU(1.5), (2, 5, 5, 3)),
    ("prelu", nn.PReLU, (2, 5, 5, 3)),
    ("prelu of channels", lambda: nn.PReLU(3), (2, 5, 5, 3)),
    ("tanh", nn.Tanh, (2, 5, 5, 3)),
    ("sigmoid", nn.Sigmoid, (2, 5, 5, 3)),
    ("reflection pad", lambda: nn.ReflectionPad2d(3), (2, 4, 5, 3)),
    ("reflection pad pairs", lambda: nn.ReflectionPad2d((2, 1)), (2, 3, 2, 3)),
    ("upsample", lambda: nn.Upsample(2), (2, 3, 4, 3)),
    ("upsample pairs", lambda: nn.Upsample((1, 3)), (2, 3, 4, 3)),
    ("pixel shuffle", lambda: nn.PixelShuffle(2), (2, 3, 4, 8)),
    ("max pool", lambda: nn.MaxPool2d(2), (2, 5, 6, 3)),
    ("max pool overlapping", lambda: nn.MaxPool2d(3, 2, 1), (2, 5, 6, 3)),
    ("avg pool", lambda: nn.AvgPool2d((2, 3)), (2, 5, 6, 3)),
    ("avg pool overlapping", lambda: nn.AvgPool2d(3, 2, 1), (2, 5, 6, 3)),
    ("reshape", lambda: nn.Reshape(2, 2, 6), (3, 4, 3, 2)),
    ("reshape to numbers", nn.Reshape, (3, 1, 1, 1)),
    ("flatten", nn.Flatten, (3, 2, 2, 4)),
    ("gaussian noise", lambda: nn.GaussianNoise(0.1, rng=5), (2, 5, 5, 3)),
    ("random color", lambda: nn.RandomColor(rng=5), (3, 4, 5, 3)),
    ("random translation", lambda: nn.RandomTranslation(0.3, rng=5), (3, 5, 6, 2)),
    ("random cutout", lambda: nn.RandomCutout(0.5, rng=5), (3, 5, 6, 2)),
    ("augmentations", lambda: Sequential(nn.RandomColor(rng=1), nn.RandomTranslation(rng=2), nn.RandomCutout(rng=3)), (2, 8, 8, 3)),
    ("dropout", lambda: nn.Dropout(0.3, rng=5), (2, 5, 5, 3)),
    ("residual", lambda: Residual(nn.Conv2d(3, 3, 3, padding=1, rng=0), nn.Tanh()), (2, 4, 4, 3)),
    ("a small network", _small_network, (2, 6, 6, 3)),
    ("dcgan generator", lambda: dcgan.generator(16, noise_size=6, width=3, rng=0), (4, 6)),
    ("dcgan generator leaky grey", lambda: dcgan.generator(16, 1, 6, 3, activation="leaky_relu", rng=0), (4, 6)),
    ("dcgan discriminator", lambda: dcgan.discriminator(16, width=3, rng=0), (4, 16, 16, 3)),
)]
# fmt: on

LOSSES = [
    LossCase("bce", lambda p: losses.bce(p, 0.9), 0.05, 0.95),
    LossCase("bce_with_logits", lambda s: losses.bce_with_logits(s, 0.9)),
    LossCase("bce_with_logits of real labels", lambda s: losses.bce_with_logits(s, 1.0)),
    LossCase("minimax", losses.minimax),
    LossCase("non_saturating", losses.non_saturating),
    LossCase("mse", lambda p: losses.mse(p, 1.0)),
    LossCase("l1", lambda p: losses.l1(p, 3.5)),
    LossCase("hinge of real", lambda s: losses.hinge(s, 1.0)),
    LossCase("hinge of generated", lambda s: losses.hinge(s, -1.0)),
    LossCase("hinge of the generator", losses.hinge_generator),
]
