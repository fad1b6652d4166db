"""Two domains of pictures that are drawn from the same things, so that translations are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinygan.data.drawing import Canvas, DrawnImages, check_drawing, draw_slices, pick, uniforms
from tinygan.errors import DataError

__all__ = ["Recipe"]


@dataclass(frozen=True)
class Recipe:
    """Two domains of pictures that are drawn from the same things.

    Attributes
    ----------
    domains : (str, str)
    categories : dict of str to tuple of str
        The kinds of each property.
    weights : dict of str to tuple of float
        How often each kind comes up.
    measures : dict of str to (float, float)
        The least and the largest value of each number.
    hidden : int
        Numbers from 0 to 1 beside them, which are in no table.
    each : int
        Random numbers a picture; the unused ones leave room to draw more.
    """

    domains: tuple[str, str]
    categories: dict[str, tuple[str, ...]]
    weights: dict[str, tuple[float, ...]]
    measures: dict[str, tuple[float, float]]
    hidden: int = 0
    each: int = 24

    def draw(
        self, paint: Callable[..., None], domain: str, count: int, size: int, *rest: int
    ) -> DrawnImages:
        """Return pictures of a domain; `rest` are channels, start and seed.

        ``paint(canvas, kinds, measures, hidden, domain)`` is given arrays of a slice of pictures.
        """
        if domain not in self.domains:
            raise DataError(f"domain: expected one of {', '.join(self.domains)}, got {domain!r}")
        channels, start, seed = rest
        check_drawing(count, size, channels, start, seed)
        u = iter(uniforms(seed, start, count, self.each).T)
        kinds = {name: pick(next(u), weights) for name, weights in self.weights.items()}
        measures = {
            name: (low + (high - low) * next(u)).astype(np.float32)
            for name, (low, high) in self.measures.items()
        }
        hidden = np.array([next(u) for _ in range(self.hidden)], np.float32)

        def paint_slice(canvas: Canvas, part: slice) -> None:
            chosen = ({name: x[part] for name, x in table.items()} for table in (kinds, measures))
            paint(canvas, *chosen, hidden[:, part] if self.hidden else hidden, domain)

        images = draw_slices(paint_slice, count, size, channels)
        return DrawnImages(images, {**kinds, **measures}, self.categories)
