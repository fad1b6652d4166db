"""Systems that learn from images of one kind: a folder of them, or a drawn set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinygan.data import DRAWN_SETS, ImageFolder, Prefetcher, checksum
from tinygan.data.drawing import DrawnImages
from tinygan.data.fingerprint import sampled_checksum
from tinygan.errors import UserError
from tinygan.options.base import Options, inherit, option
from tinygan.options.kinds import choice, share, switch
from tinygan.systems.system import System, refuse_above

__all__ = ["FRESH", "OneKind", "OneKindOptions", "some"]

FRESH = 2**30  # number of the first drawn image that no run is trained on


@dataclass
class OneKindOptions(Options):
    """Options of all systems that learn from images of one kind."""

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


class OneKind(System):
    """Images of one kind and batches of them; what is made of them a subclass says."""

    Options = OneKindOptions
    images: np.ndarray

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

    def measured_with(
        self, count: int, data: str | None, dataset: str | None
    ) -> tuple[np.ndarray, Callable[[int, int], DrawnImages] | None]:
        """Return images to measure with: those of `data`, `dataset` or the run's; load the run's.

        Of drawn ones, `count` that are fresh, and from ``(count, start)`` to others.
        """
        self.load_data()
        if data is not None:
            return self._folder(data).images, None
        if dataset is None and self.options.data:
            return self.images, None
        maker = self._drawn(dataset or self.options.dataset or self.options.drawn)

        def drawn(count: int, start: int) -> DrawnImages:
            return maker(count, start=FRESH + start)

        return drawn(count, 0).images, drawn

    def fresh(self, count: int) -> np.ndarray:
        """Return drawn images that the run is not trained on."""
        maker = self._drawn(self.options.dataset or self.options.drawn)
        return maker(count, start=FRESH).images


def some(images: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` images, evenly from all."""
    return images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)]
