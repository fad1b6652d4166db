"""Drawing many pictures at once: shapes are signed distances on a grid, painted with soft edges.

A shape is a function of the coordinates that is negative inside and grows by about one a unit of
length, so its edge comes out antialiased by clipping it to a pixel's width.  All pictures of a
slice are painted together, shape after shape, by plain array arithmetic that stays in a core's
cache; slices run on all cores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygan.errors import DataError
from tinygan.machine import parallel
from tinygan.machine.memory import size_text, total_bytes

__all__ = [
    "Canvas",
    "DrawnImages",
    "box",
    "check_drawing",
    "draw_slices",
    "ellipse",
    "hex_colours",
    "pick",
    "planes",
    "smooth_step",
    "uniforms",
]

_NUMBERS = 40 * 8 + 40 * 4  # bytes of the numbers that a picture is drawn from
_CANVAS = 200  # bytes a pixel of what is being painted


@dataclass(frozen=True)
class DrawnImages:
    """Drawn pictures and what is in them.

    Attributes
    ----------
    images : numpy.ndarray
        uint8 ``(N, H, W, C)``.
    attributes : dict of str to numpy.ndarray
        One array of length N a property: integers for kinds, floats for measures.
    categories : dict of str to tuple of str
        The names of the kinds: picture i has ``categories[name][attributes[name][i]]``.
    """

    images: np.ndarray
    attributes: dict[str, np.ndarray]
    categories: dict[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.images)


class Canvas:
    """N square pictures being painted, in coordinates from −1 to 1, x to the right and y down.

    `x` and `y` have shapes that broadcast to (N, H, W); `pixels` is (3, N, H, W) in 0..1.
    """

    def __init__(self, count: int, size: int):
        axis = ((np.arange(size, dtype=np.float32) + 0.5) * (2 / size)) - 1
        self.x, self.y = axis[None, None, :], axis[None, :, None]
        self.pixels = np.zeros((3, count, size, size), np.float32)
        self.pixel: Any = 2 / size

    def window(self, left: float, right: float, top: float, bottom: float) -> Canvas:
        """Return the part between the given coordinates; painting it paints this canvas."""
        size = self.pixels.shape[-1]
        columns, rows = (
            slice(
                max(0, int(np.floor((low + 1) / 2 * size))),
                max(0, int(np.ceil((high + 1) / 2 * size))),
            )
            for low, high in ((left, right), (top, bottom))
        )
        part = object.__new__(Canvas)
        part.x = self.x[:, rows if self.x.shape[1] > 1 else slice(None), columns]
        part.y = self.y[:, rows, columns if self.y.shape[2] > 1 else slice(None)]
        part.pixels, part.pixel = self.pixels[:, :, rows, columns], self.pixel
        return part

    def moved(self, x: Any, y: Any, angle: Any, zoom: Any) -> Canvas:
        """Return this canvas with its coordinates about (x, y), turned and enlarged."""
        part = object.__new__(Canvas)
        cos, sin = (f(np.float32(angle)) / np.float32(zoom) for f in (np.cos, np.sin))
        dx, dy = self.x - x, self.y - y
        part.x, part.y = dx * cos + dy * sin, dy * cos - dx * sin
        part.pixels, part.pixel = self.pixels, self.pixel / np.float32(zoom)
        return part

    def inside(self, distance: np.ndarray, softness: float = 0.0) -> np.ndarray:
        """Return how much of each pixel is inside a shape, 0..1; `softness` widens the edge."""
        cover = distance * (-1 / (self.pixel + softness))
        cover += 0.5
        return np.clip(cover, 0, 1, out=cover)

    def paint(self, cover: np.ndarray, colour: Any) -> None:
        """Lay `colour`, three arrays that broadcast to (N, H, W), over the pictures by `cover`."""
        for plane, value in zip(self.pixels, colour, strict=True):
            change = value - plane
            change *= cover
            plane += change

    def shade(self, factor: np.ndarray) -> None:
        """Multiply the pictures by `factor`."""
        self.pixels *= factor

    def blur(self, radius: float) -> None:
        """Spread each point of what is painted over a disc, as a lens does out of its focus."""
        radius /= self.pixel
        reach, size = round(radius), self.pixels.shape[-1]
        wide = np.pad(self.pixels, ((0, 0), (0, 0), (reach, reach), (reach + 1, reach)), "edge")
        before = np.cumsum(wide, axis=3)  # the sum of a stretch is a difference of two of these
        total, count = np.zeros_like(self.pixels), 0
        for row in range(-reach, reach + 1):
            half = round(np.sqrt(max(radius**2 - row**2, 0)))
            sums = before[:, :, reach + row : reach + row + size]
            left, right = reach - half, reach + half + 1
            total += sums[..., right : right + size] - sums[..., left : left + size]
            count += 2 * half + 1
        self.pixels[...] = total / np.float32(count)

    def fill(self, distance: np.ndarray, colour: Any, softness: float = 0.0) -> None:
        """Paint the shape of the given signed distance."""
        self.paint(self.inside(distance, softness), colour)


def ellipse(x: Any, y: Any, a: Any, b: Any) -> np.ndarray:
    """Signed distance, to first order, of the ellipse about the origin with half-axes `a`, `b`."""
    x, y = x / a, y / b
    r2 = x * x + y * y
    x, y = x / a, y / b
    slope = np.sqrt(x * x + y * y)
    return (r2 - np.sqrt(r2)) / (slope + 1e-6)


def box(x: Any, y: Any, a: Any, b: Any, radius: Any) -> np.ndarray:
    """Signed distance of a rectangle of half-sides `a`, `b` with corners rounded by `radius`."""
    x, y = np.abs(x) - (a - radius), np.abs(y) - (b - radius)
    outside = np.sqrt(np.maximum(x, 0) ** 2 + np.maximum(y, 0) ** 2)
    return outside + np.minimum(np.maximum(x, y), 0) - radius


def smooth_step(x: Any, low: Any, high: Any) -> np.ndarray:
    """Rise smoothly from 0 at `low` to 1 at `high`."""
    t = np.clip((x - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def uniforms(seed: int, start: int, count: int, each: int) -> np.ndarray:
    """Return `each` random numbers in [0, 1) for the pictures start … start + count − 1.

    They are rows of one endless table a seed: a picture is the same however many are drawn.
    """
    generator = np.random.PCG64(seed)
    generator.advance(start * each)
    return np.random.Generator(generator).random((count, each))


def pick(u: np.ndarray, weights: Any) -> np.ndarray:
    """Turn uniform numbers into indices that come up in proportion to `weights`, (K,) or (N, K)."""
    edges = np.cumsum(np.asarray(weights, np.float64), axis=-1)
    edges = edges / edges[..., -1:]
    return (u[:, None] >= edges[..., :-1]).sum(axis=1)


def hex_colours(*codes: str) -> np.ndarray:
    """Return colours such as ``"#ff8000"`` as a float32 array (K, 3) in 0..1."""
    return (
        np.array([[int(code[i : i + 2], 16) for i in (1, 3, 5)] for code in codes], np.float32)
        / 255
    )


def planes(colours: np.ndarray) -> list[np.ndarray]:
    """Return colours (N, 3) as three arrays that broadcast to (N, H, W)."""
    return [plane[:, None, None] for plane in colours.astype(np.float32).T]


def check_drawing(count: int, size: int, channels: int = 3, start: int = 0, seed: int = 0) -> None:
    """Raise a `DataError` for numbers that no picture can be drawn with, or no memory holds."""
    for name, value, least in (
        ("count", count, 1),
        ("image_size", size, 8),
        ("start", start, 0),
        ("seed", seed, 0),
    ):
        if not isinstance(value, int | np.integer) or value < least:
            raise DataError(f"{name}: expected a whole number of {least} or more, got {value!r}")
    if channels not in (1, 3):
        raise DataError(f"channels: expected 3 (RGB) or 1 (grey), got {channels!r}")
    count, size = int(count), int(size)
    needed = count * (size * size * channels + _NUMBERS) + _CANVAS * size * size
    there = total_bytes()
    if needed > there:
        raise DataError(
            f"{count} drawn pictures of {size} × {size} pixels would take {size_text(needed)} of "
            f"memory, there are {size_text(there)}; draw fewer or smaller ones"
        )


def draw_slices(
    paint: Callable[[Canvas, slice], None], count: int, size: int, channels: int
) -> np.ndarray:
    """Paint `count` pictures in slices on all cores; return them as uint8 (N, size, size, C)."""
    images = np.empty((count, size, size, channels), np.uint8)

    def draw(start: int, stop: int) -> None:
        canvas = Canvas(stop - start, size)
        paint(canvas, slice(start, stop))
        pixels = canvas.pixels
        np.clip(pixels, 0, 1, out=pixels)
        if channels == 1:
            pixels = np.tensordot(np.array([0.299, 0.587, 0.114], np.float32), pixels, 1)[None]
        pixels *= 255
        np.rint(pixels, out=pixels)
        images[start:stop] = pixels.transpose(1, 2, 3, 0)

    parallel.for_slices(draw, count, max(1, 2**15 // size**2))
    return images
