"""Systems that draw images out of noise, from images of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.data import save_grid, to_float
from tinygan.models.dcgan import draw_noise
from tinygan.options.base import option
from tinygan.options.kinds import choice, whole
from tinygan.systems.one_kind import FRESH, OneKind, OneKindOptions, some
from tinygan.systems.system import Material

__all__ = ["FRESH", "Draws", "DrawsOptions", "some", "truncate"]

_SAMPLES = 102  # what a random number is for, see `System.random`
_SAMPLE_COUNT = 64
_SCORED = 128  # images that a checkpoint is judged by


@dataclass
class DrawsOptions(OneKindOptions):
    """Options of all systems that draw images."""

    noise_size: int = option(200, whole(1, 2**20), "length of z", group="networks")
    noise: str = option(
        "uniform",
        choice("uniform", "normal"),
        "what z is drawn from: uniform in [-1, 1], or standard normal",
        group="networks",
    )


class Draws(OneKind):
    """Networks ``G``, which draws images out of noise z, and others; images of one kind.

    Samples and measures are here, data in `OneKind`: a subclass writes its networks, its optimizers
    and its step.
    """

    Options = DrawsOptions

    @property
    def averaged(self) -> tuple[str, ...]:
        return ("G",)

    def noise(self, count: int, rng: Any, truncation: float | None = None) -> np.ndarray:
        """Draw z, ``(count, noise_size)``, as this run does; see `truncate` for `truncation`."""
        rng = np.random.default_rng(rng)
        z = draw_noise(count, self.options.noise_size, rng, self.options.noise)
        return z if truncation is None else truncate(z, truncation, self.options.noise, rng)

    def draw(self, z: np.ndarray) -> np.ndarray:
        """Return the images ``(N, H, W, C)`` in [−1, 1] that are made of z, on the host."""
        return self.predict("G", z)

    def between(self, a: np.ndarray, b: np.ndarray, t: Any) -> np.ndarray:
        """Return z on the way from `a` to `b`, each ``(…, noise_size)``, at `t` from 0 to 1.

        Notes
        -----
        The way is straight where z is uniform: all of it lies in the cube that z is drawn from.
        Normal z of many dimensions lie near a sphere, which a straight way would leave; there it
        is an arc.
        """
        if self.options.noise == "uniform":
            return (1 - t) * a + t * b
        cosine = (a * b).sum(-1, keepdims=True) / (
            np.linalg.norm(a, axis=-1, keepdims=True) * np.linalg.norm(b, axis=-1, keepdims=True)
        )
        angle = np.arccos(np.clip(cosine, -1 + 1e-6, 1 - 1e-6))
        return (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)

    def real_images(self, count: int) -> np.ndarray:
        return some(self.images, count)

    def material(
        self, count: int, data: str | None = None, dataset: str | None = None
    ) -> list[Material]:
        """Return what to measure with: `count` images and more, of `data`, `dataset` or the run's.

        Drawn ones are fresh.
        """
        real, drawn = self.measured_with(count, data, dataset)
        return [Material("pictures from noise", real, self.images, drawn)]

    # --- samples and measures -------------------------------------------------------------------

    def save_samples(self, path: Path) -> np.ndarray | None:
        images = self.draw(self.noise(_SAMPLE_COUNT, self.random(_SAMPLES)))
        save_grid(images, path, columns=8)
        return images

    def score(self) -> float | None:
        """Return the sliced Wasserstein distance to the data, meaned over sizes of detail."""
        from tinygan.metrics import sliced_wasserstein  # only needed every few hundred steps

        real = to_float(some(self.images, _SCORED))
        fake = self.predict("G", self.noise(len(real), self.random(_SAMPLES)), at_once=_SCORED)
        return float(np.mean(list(sliced_wasserstein(real, fake).values())))

    def input_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return z's shape for G and an image's for every other network."""
        options = self.options
        image = (options.image_size, options.image_size, options.channels)
        return {name: (options.noise_size,) if name == "G" else image for name in self.networks}


def truncate(z: np.ndarray, limit: float, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Return noise whose numbers are all within ±`limit`: fewer rare images, less variety.

    Parameters
    ----------
    z : ndarray
        Noise of `kind`, "uniform" in [−1, 1] or "normal".
    limit : float
        Above 0.
    rng : numpy.random.Generator

    Notes
    -----
    Numbers beyond the limit are drawn again until they are within.  Uniform noise is multiplied by
    the limit instead, which gives the same distribution, and each image stays recognizable.

    References
    ----------
    Brock, Donahue, Simonyan, *Large Scale GAN Training*, 2019, section 3.1, "truncation trick".
    """
    if kind == "uniform":
        return min(limit, 1.0) * z
    z = z.copy()
    while (beyond := abs(z) > limit).any():
        other = rng.uniform(-limit, limit, z.shape)  # kept with probability exp(−z²/2)
        kept = beyond & (rng.random(z.shape) < np.exp(-(other**2) / 2))
        z[kept] = other[kept]
    return z
