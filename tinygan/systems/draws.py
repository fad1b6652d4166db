"""Systems that draw images out of noise, from images of one kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygan import checks
from tinygan.data import DRAWN_SETS, ImageFolder, Prefetcher, checksum, save_grid, to_float
from tinygan.data.drawing import DrawnImages
from tinygan.data.fingerprint import sampled_checksum
from tinygan.errors import UserError
from tinygan.models.dcgan import draw_noise
from tinygan.options.base import Options, inherit, option
from tinygan.options.kinds import choice, share, switch, whole
from tinygan.systems.system import Material, System, refuse_above

__all__ = ["FRESH", "Draws", "DrawsOptions", "some", "truncate"]

FRESH = 2**30  # number of the first drawn image that no run is trained on
_SAMPLES = 102  # what a random number is for, see `System.random`
_SAMPLE_COUNT = 64
_SCORED = 128  # images that a checkpoint is judged by


@dataclass
class DrawsOptions(Options):
    """Options of all systems that draw images."""

    drawn = "faces"
    shaping = ("channels", "image_size")

    dataset: str | None = inherit(
        Options,
        "dataset",
        kind=choice(*(name for name, makers in DRAWN_SETS.items() if len(makers) == 1)),
    )
    crop: float | None = option(
        None,
        share(),
        "cut a centred square out of each picture first, its side this share of the width: "
        "108/178 is the usual face crop of CelebA (default: the largest square)",
        group="data",
    )
    fit: str = option(
        "crop",
        choice("crop", "pad", "stretch"),
        "how pictures that are not square become so: cut, laid on white, or stretched",
        group="data",
        before="crop",
    )
    flip: bool = option(
        False, switch(), "mirror pictures left to right at random", group="data", before=False
    )
    noise_size: int = option(200, whole(1, 2**20), "length of z", group="networks")
    noise: str = option(
        "uniform",
        choice("uniform", "normal"),
        "what z is drawn from: uniform in [-1, 1], or standard normal",
        group="networks",
    )


class Draws(System):
    """Networks ``G``, which draws images out of noise z, and others; images of one kind.

    Data, batches, samples and measures are here: a subclass writes its networks, its optimizers
    and its step.
    """

    Options = DrawsOptions
    images: np.ndarray

    @property
    def averaged(self) -> tuple[str, ...]:
        return ("G",)

    def noise(self, count: int, rng: Any, truncation: float | None = None) -> np.ndarray:
        """Draw z, ``(count, noise_size)``, as this run does; see `truncate` for `truncation`."""
        if truncation is not None:
            checks.number(truncation, "truncation", "(0, inf)")
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

    # --- data -----------------------------------------------------------------------------------

    def load_data(self) -> dict[str, Any]:
        options = self.options
        if options.data:
            folder = self._folder(options.data, options.cache)
            self.images = folder.images
            return {**folder.description, "folder": options.data}
        name = options.dataset or options.drawn
        refuse_above(
            options.dataset_size * options.image_size**2 * options.channels,
            "the drawn pictures",
            "--dataset-size or --image-size",
        )
        self.images = self._drawn(name)(options.dataset_size).images
        return {"dataset": name, "images": len(self.images), "checksum": checksum(self.images)}

    def older_checksum(self) -> int:
        return sampled_checksum(self.images, at_most=256)

    def _folder(self, path: str, cache: bool = True) -> ImageFolder:
        options = self.options
        scale = {"range": options.range} if options.range else self.data.get("scale")
        return ImageFolder(
            path,
            options.image_size,
            options.channels,
            options.crop,
            options.fit,
            cache=cache,
            scale=scale,
        )

    def _drawn(self, name: str) -> Callable[..., DrawnImages]:
        options = self.options
        makers = DRAWN_SETS.get(name, ())
        if len(makers) != 1:
            raise UserError(f"--dataset {name}: a {self.name} is measured on {options.drawn}")
        shape = {"image_size": options.image_size, "channels": options.channels}
        return partial(makers[0], seed=options.seed, **shape)

    def batches(self, start_step: int) -> Prefetcher:
        options = self.options
        return Prefetcher(
            self.images, options.batch_size, options.seed, start_step, flip=options.flip
        )

    def real_images(self, count: int) -> np.ndarray:
        return some(self.images, count)

    def material(
        self, count: int, data: str | None = None, dataset: str | None = None
    ) -> list[Material]:
        """Return what to measure with: `count` images and more, of `data`, `dataset` or the run's.

        Drawn ones are fresh.
        """
        self.load_data()
        drawn = None
        if data is not None:
            real = self._folder(data).images
        elif dataset is None and self.options.data:
            real = self.images
        else:
            maker = self._drawn(dataset or self.options.dataset or self.options.drawn)

            def drawn(count: int, start: int) -> DrawnImages:
                return maker(count, start=FRESH + start)

            real = drawn(count, 0).images
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


def some(images: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` images, evenly from all."""
    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]
