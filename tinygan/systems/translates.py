"""Systems that translate images into images."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from tinygan.data import to_float
from tinygan.errors import DataError
from tinygan.systems.system import Material, System

__all__ = ["Translates", "translated"]


class Translates(System):
    """Networks that make an image of an image.

    Attributes
    ----------
    directions : dict of str to str
        What a translation is called, ``"AtoB"`` → the network that does it; the usual one first.
    """

    directions: ClassVar[dict[str, str]] = {}

    @property
    def factor(self) -> int:
        """How many times as high and wide an image becomes."""
        return 1

    @property
    def averaged(self) -> tuple[str, ...]:
        return tuple(self.directions.values())

    @property
    def multiple(self) -> int:
        """What the networks need height and width to be multiples of."""
        return 1

    def translate(self, images: np.ndarray, direction: str) -> np.ndarray:
        """Return what becomes of images, one by one: bytes or [−1, 1] in, [−1, 1] out."""
        return self.predict(self.directions[direction], to_float(images), at_once=1)

    def input_scale(self, direction: str) -> dict[str, Any]:
        """Return what the run's data noted as black and white of pictures of more than 8 bits."""
        options = self.options
        return {"range": options.range} if options.range else self.data.get("scale", {})

    def translation_bytes(self, height: int, width: int) -> int:
        """Return roughly what translating one image takes."""
        wide = max(1, getattr(self.options, "width", 64))
        return 4 * 4 * height * width * self.factor**2 * wide

    def material(
        self, count: int, data: str | None = None, dataset: str | None = None
    ) -> list[Material]:
        """Return what to measure each direction with, of `data`, `dataset` or the run's data."""
        raise NotImplementedError


def translated(system: Translates, images: np.ndarray, direction: str) -> np.ndarray:
    """Return what a system makes of images ``(N, H, W, C)`` of any size, `factor` times as large.

    Where the networks need height and width to be multiples of a number, each image is continued
    by its mirror image up to there, on all sides, and cut out of the result again.
    """
    if np.ndim(images) != 4 or not all(np.shape(images)[1:]):
        raise DataError(f"translate: expected images (N, H, W, C), got {np.shape(images)}")
    _, height, width, _ = np.shape(images)
    pads = [(0, 0), _padding(height, system.multiple), _padding(width, system.multiple), (0, 0)]
    made = system.translate(np.pad(images, pads, mode="reflect"), direction)
    top, left, height, width = (system.factor * n for n in (pads[1][0], pads[2][0], height, width))
    return made[:, top : top + height, left : left + width]


def _padding(size: int, stride: int) -> tuple[int, int]:
    whole = max(-(-size // stride), 2) * stride  # 2: the residual blocks mirror one pixel
    before = (whole - size) // 2
    return before, whole - size - before
