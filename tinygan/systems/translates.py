"""Systems that translate images into images."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tinygan.systems.system import Material, System

__all__ = ["Translates"]


class Translates(System):
    """Networks that make an image of an image.

    Attributes
    ----------
    directions : dict of str to str
        What a translation is called, ``"AtoB"`` → the network that does it; the usual one first.
    factor : int
        How many times as high and wide an image becomes.
    """

    directions: ClassVar[dict[str, str]] = {}
    factor: ClassVar[int] = 1

    @property
    def multiple(self) -> int:
        """What the networks need height and width to be multiples of."""
        return 1

    def translate(self, images: np.ndarray, direction: str) -> np.ndarray:
        """Return what becomes of images, one by one: bytes or [−1, 1] in, [−1, 1] out."""
        if images.dtype == np.uint8:
            images = images.astype(np.float32) / 127.5 - 1
        return self.predict(self.directions[direction], images, at_once=1)

    def translation_bytes(self, height: int, width: int) -> int:
        """Return roughly what translating one image takes."""
        return 4 * 4 * height * width * max(1, getattr(self.options, "width", 64))

    def material(
        self, count: int, data: str | None = None, dataset: str | None = None
    ) -> list[Material]:
        """Return what to measure each direction with, of `data`, `dataset` or the run's data."""
        raise NotImplementedError
