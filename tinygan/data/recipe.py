"""Two domains of pictures that are drawn from the same things, so that translations are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tinygan.data.drawing import Canvas, DrawnImages, check_drawing, draw_slices, pick, uniforms
from tinygan.errors import DataError

__all__ = ["Recipe", "Scene"]


@dataclass(frozen=True)
class Scene:
    """What N pictures are painted of.

    Attributes
    ----------
    kinds : dict of str to ndarray
        For each property an index (N,).
    is_ : dict of str to ndarray
        For each kind, whose names all differ, 1 where it comes up and 0 elsewhere, (N, 1, 1).
    m : dict of str to ndarray
        The measures, (N, 1, 1).
    u : ndarray
        Numbers from 0 to 1 that are in no table, (K, N, 1, 1).
    """

    kinds: dict[str, np.ndarray]
    is_: dict[str, np.ndarray]
    m: dict[str, np.ndarray]
    u: np.ndarray


@dataclass(frozen=True)
class Recipe:
    """What the pictures of two domains are made of.

    Attributes
    ----------
    domains : (str, str)
    kinds : dict of str to dict of str to float
        For each property the names of its kinds, and how often each comes up.
    measures : dict of str to (float, float)
        The least and the largest value of each number.
    hidden : int
        Numbers beside them, see `Scene`.
    each : int
        Random numbers a picture; the unused ones leave room to draw more.
    """

    domains: tuple[str, str]
    kinds: dict[str, dict[str, float]]
    measures: dict[str, tuple[float, float]]
    hidden: int = 0
    each: int = 48

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        return {name: tuple(weights) for name, weights in self.kinds.items()}

    def draw(
        self, paint: Callable[[Canvas, Scene, str], None], domain: str, count: int, *rest: int
    ) -> DrawnImages:
        """Return pictures of a domain; `rest` are image size, channels, start and seed."""
        size, channels, start, seed = rest
        if domain not in self.domains:
            raise DataError(f"domain: expected one of {', '.join(self.domains)}, got {domain!r}")
        check_drawing(count, size, channels, start, seed)
        u = uniforms(seed, start, count, self.each).T
        n = len(self.kinds)
        kinds = {k: pick(x, [*self.kinds[k].values()]) for k, x in zip(self.kinds, u, strict=False)}
        measures = {
            name: (low + (high - low) * x).astype(np.float32)
            for (name, (low, high)), x in zip(self.measures.items(), u[n:], strict=False)
        }
        n += len(measures)
        hidden = u[n : n + self.hidden].astype(np.float32)

        def paint_slice(canvas: Canvas, part: slice) -> None:
            some = {name: x[part] for name, x in kinds.items()}
            is_ = {
                kind: (some[name] == i).astype(np.float32)[:, None, None]
                for name, weights in self.kinds.items()
                for i, kind in enumerate(weights)
            }
            m = {name: x[part, None, None] for name, x in measures.items()}
            paint(canvas, Scene(some, is_, m, hidden[:, part, None, None]), domain)

        images = draw_slices(paint_slice, count, size, channels)
        return DrawnImages(images, {**kinds, **measures}, self.categories)
