"""Systems that tell generated images from real ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinygan.data import to_float
from tinygan.errors import UserError
from tinygan.layer import frozen
from tinygan.machine.arrays import asarray, asnumpy, backend_of, get_xp
from tinygan.options.base import option
from tinygan.options.kinds import text
from tinygan.systems.one_kind import FRESH, OneKind, OneKindOptions, some

__all__ = ["Detects", "DetectsOptions", "Made", "part_of"]

_PARTS = {"training": (0, 1, 2, 3, 5, 6, 8), "validation": (7,), "test": (4, 9)}


def part_of(images: np.ndarray, part: str) -> np.ndarray:
    """Return the "training", "validation" or "test" images of a set: 7, 1 and 2 of each ten."""
    return images[np.isin(np.arange(len(images)) % 10, _PARTS[part])]


@dataclass(frozen=True)
class Made:
    """Images that a generator made.

    Attributes
    ----------
    name : str
        What the generator is called in tables.
    mark : str
        A fingerprint of it.
    draw : callable
        From ``(count, part)`` to at most `count` images as bytes, see `part_of`; those of different
        parts are different.
    """

    name: str
    mark: str
    draw: Callable[[int, str], np.ndarray]


@dataclass
class DetectsOptions(OneKindOptions):
    """Options of all systems that tell generated images from real ones."""

    generated: str | None = option(
        None,
        text("RUN|PATH"),
        "whose pictures to tell from real ones: a run that draws, one of its checkpoints, or a "
        "folder or archive of generated pictures; without --data and --dataset the real ones are "
        "those of that run",
        group="data",
        change="on resume",
    )

    def check(self) -> None:
        super().check()
        if not self.generated:
            raise UserError(
                "--generated: name a run that draws, or a folder of generated pictures, "
                "to tell them from real ones"
            )


class Detects(OneKind):
    """A network ``D`` that scores each image by itself: above 0 it takes it for a generated one.

    Who starts the system, or measures it, opens what ``--generated`` names: `made`.
    """

    Options = DetectsOptions
    made: Made | None = None

    @property
    def averaged(self) -> tuple[str, ...]:
        return ("D",)

    def detect(self, images: np.ndarray) -> np.ndarray:
        """Return the scores s of images, bytes or [−1, 1]; σ(s) is the odds of a generated one."""
        return self.predict("D", to_float(images))

    def gradient(self, images: np.ndarray, at_once: int = 64) -> np.ndarray:
        """Return ∂s/∂x of each image, ``(N, H, W, C)``: where a small change counts most.

        References
        ----------
        Simonyan, Vedaldi, Zisserman, *Deep Inside Convolutional Networks*, 2013, section 3.
        """
        D, found = self.at_inference("D"), []
        backend = backend_of(D.parameters()[0].data)
        for i in range(0, len(images), at_once):
            with frozen(D):
                score, backward = D(asarray(to_float(images[i : i + at_once]), backend))
            found.append(asnumpy(backward(get_xp(score).ones_like(score))))  # no image sees another
        return np.concatenate(found)

    def occlusion(self, images: np.ndarray, side: int | None = None) -> np.ndarray:
        """Return s(x) − s(x with a square covered), ``(N, H, W)``: what speaks for "generated".

        The square is of `side` pixels, a quarter of the height by default, moved by half of that,
        and filled with the image's mean color; each pixel gets the mean over the squares on it.

        References
        ----------
        Zeiler, Fergus, *Visualizing and Understanding Convolutional Networks*, 2014, section 4.2.
        """
        x = to_float(images)
        _, h, w, _ = x.shape
        side = min(side or max(2, h // 4), h)
        stride = max(1, side // 2)
        before, mean = self.detect(x), x.mean(axis=(1, 2), keepdims=True)
        total, times = np.zeros(x.shape[:3]), np.zeros((h, w))
        for top in range(0, h - side + stride, stride):
            for left in range(0, w - side + stride, stride):
                place = slice(top, top + side), slice(left, left + side)
                covered = x.copy()
                covered[:, *place] = mean
                total[:, *place] += (before - self.detect(covered))[:, None, None]
                times[place] += 1
        return total / times

    def held_out(self, count: int, data: str | None, dataset: str | None) -> np.ndarray:
        """Return at most `count` real images that were not trained on; drawn ones are fresh."""
        own = self.options.data
        if data is None and (dataset is not None or own is None):
            name = dataset or self.options.dataset or self.options.drawn
            return self._drawn(name)(count, start=FRESH).images
        images = self._folder(data or own).images
        same = own is not None and os.path.realpath(data or own) == os.path.realpath(own)
        return some(part_of(images, "test") if same else images, count)
