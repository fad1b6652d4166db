"""Drawn bags: two unpaired sets of pictures whose true translation into one another is known."""

from __future__ import annotations

import numpy as np

from tinygan.data.drawing import (
    Canvas,
    DrawnImages,
    box,
    ellipse,
    hex_colours,
    planes,
    smooth_step,
)
from tinygan.data.recipe import Recipe, Scene

__all__ = ["BAG_CATEGORIES", "bags"]

_RECIPE = Recipe(
    ("handbag", "backpack"),
    {
        "colour": {"red": 3, "orange": 2, "mustard": 2, "green": 2, "teal": 2,
                   "blue": 3, "violet": 2, "pink": 2, "brown": 2, "black": 2},
        "pattern": {"plain": 4, "stripes": 2, "dots": 2, "check": 2},
        "material": {"leather": 3, "canvas": 3, "patent": 2},
        "trim": {"tan": 2, "dark": 2, "cream": 1, "own": 2},
        "metal": {"gold": 1, "silver": 1},
    },
    {
        "shift_x": (-0.05, 0.05),
        "shift_y": (-0.04, 0.04),
        "zoom": (1.04, 1.22),
        "width": (-1.0, 1.0),
        "height": (-1.0, 1.0),
        "pattern_size": (0.16, 0.25),
        "shade": (0.88, 1.1),
        "light": (-1.0, 1.0),
    },
    each=24,
)  # fmt: skip
BAG_CATEGORIES = _RECIPE.categories
"""What a bag is made of: the kinds of each property, in the order of their numbers."""

_COLOURS = {
    "colour": hex_colours(
        "#c0392b", "#e07b39", "#d9a92e", "#4f8a4b", "#2f8f8b",
        "#33609c", "#7a569e", "#df7f9d", "#7d5236", "#35343a",
    ),
    "trim": hex_colours("#a8713f", "#3a2c28", "#e9dfc9", "#000000"),
    "metal": hex_colours("#d8b250", "#c3c7cc"),
}  # fmt: skip


def bags(
    count: int,
    image_size: int = 64,
    seed: int = 0,
    domain: str = "handbag",
    channels: int = 3,
    start: int = 0,
) -> DrawnImages:
    """Draw handbags, or backpacks, of varied colours, patterns, materials and trimmings.

    Bag i of a seed is made of the same things in both domains, and is the same whatever `count`
    is.  So the true translation of handbag i is backpack i.  For *unpaired* training give the
    domains different bags, and keep others as the pairs that measure the translation::

        A = bags(1000, domain="handbag")
        B = bags(1000, domain="backpack", start=1000)
        test_A, test_B = (bags(100, domain=d, start=2000) for d in ("handbag", "backpack"))

    Parameters
    ----------
    count : int
    image_size : int
        Side in pixels, at least 8.
    seed : int
    domain : {"handbag", "backpack"}
    channels : {3, 1}
        RGB or grey.
    start : int
        Number of the first bag.

    Returns
    -------
    DrawnImages
        ``.images`` uint8 ``(count, image_size, image_size, channels)``; ``.attributes`` with an
        index for each property in ``BAG_CATEGORIES`` and, as floats, the shifts (in units of half
        the picture), the zoom, the relative width and height, the period of the pattern, the
        brightness and the side the light comes from.

    Examples
    --------
    >>> handbags, backpacks = bags(5, 32), bags(5, 32, domain="backpack")
    >>> all((handbags.attributes[n] == backpacks.attributes[n]).all() for n in handbags.attributes)
    True
    """
    return _RECIPE.draw(_paint, domain, count, image_size, channels, start, seed)


def _paint(canvas: Canvas, scene: Scene, domain: str) -> None:
    _BagPainter(scene).paint(canvas, domain)


class _BagPainter:
    """Paints a slice of bags at once."""

    def __init__(self, scene: Scene):
        self.is_, self.m = scene.is_, scene.m
        kinds = scene.kinds
        body = _COLOURS["colour"][kinds["colour"]] * scene.m["shade"][:, :, 0]
        own = (kinds["trim"] == 3)[:, None]
        self.body = planes(body)
        self.trim = planes(np.where(own, body * 0.62, _COLOURS["trim"][kinds["trim"]]))
        self.metal = planes(_COLOURS["metal"][kinds["metal"]])

    def paint(self, page: Canvas, domain: str) -> None:
        x, y = page.x - self.m["light"] * 0.3, page.y + 0.3
        bright = 0.985 - 0.045 * (x * x + y * y)
        for plane, tint in zip(page.pixels, (1.0, 0.995, 0.985), strict=True):
            np.multiply(bright, tint, out=plane)
        c = page.moved(self.m["shift_x"], self.m["shift_y"], 0, self.m["zoom"])
        (self.handbag if domain == "handbag" else self.backpack)(c)

    def cloth(self, u: np.ndarray, v: np.ndarray, light: np.ndarray) -> list[np.ndarray]:
        """Return the colour of the material, with its pattern, at the points (u, v)."""
        k = 6.2832 / self.m["pattern_size"]
        across, down = np.sin(u * k), np.sin(v * k)
        pale = self.is_["stripes"] * _edge(across)
        pale += self.is_["dots"] * _edge(across * down - 0.4)
        pale += self.is_["check"] * (0.5 * _edge(across) + 0.5 * _edge(down))
        pale *= 0.62
        cream = (0.96, 0.93, 0.86)
        return [(c + (w - c) * pale) * light for c, w in zip(self.body, cream, strict=True)]

    def shading(
        self, u: np.ndarray, v: np.ndarray, half_width: np.ndarray, half_height: np.ndarray
    ) -> np.ndarray:
        """Return the brightness of a rounded body: light from a side, dark edges, a shine."""
        nx, ny = u / half_width, v / half_height
        light = 1.04 - 0.20 * nx * nx - 0.16 * ny * ny + 0.10 * nx * self.m["light"] - 0.08 * ny
        weave = np.sin(u * 75) * np.sin(v * 75)
        light += self.is_["canvas"] * 0.05 * weave
        across = (nx - 0.35 * self.m["light"]) * 1.6 + ny * 0.7
        shine = np.exp(-(across * across) * 9)
        light += (self.is_["patent"] * 0.5 + self.is_["leather"] * 0.14) * shine
        return light

    def shadow(self, c: Canvas, level: float, half_width: np.ndarray) -> None:
        ground = ellipse(c.x, c.y - level, half_width * 1.1, 0.07)
        c.shade(1 - 0.28 * smooth_step(ground, 0.09, -0.07))

    def handbag(self, c: Canvas) -> None:
        u, v = c.x, c.y
        wide = 0.62 + 0.08 * self.m["width"]
        high = 0.38 + 0.05 * self.m["height"]
        middle = 0.72 - high
        self.shadow(c, 0.72, wide)
        # two handles, the one behind darker
        arch = 0.34 * wide + 0.07
        rise = 0.46 - 0.05 * self.m["height"]
        top = middle - high + 0.04
        for lift, dim in ((0.05, 0.6), (0.0, 1.0)):
            handle = np.abs(ellipse(u, v - top, arch, rise + lift)) - 0.036
            handle = np.maximum(handle, v - top)
            bright = (1.05 - 0.25 * np.abs(u) / arch) * dim
            c.fill(handle, [t * bright for t in self.trim])
        # the body widens downwards
        y = v - middle
        width = wide * (0.9 + 0.1 * y / high)
        body = box(u, y, width, high, 0.12)
        light = self.shading(u, y, wide, high)
        c.fill(body, self.cloth(u, y, light))
        # a flap with its seam, a band at the bottom
        edge = top + 0.62 * high + 0.10 * np.sqrt(np.clip(1 - (u / wide) ** 2, 0, 1))
        c.paint(
            c.inside(body) * np.exp(-(((v - edge - 0.02) / 0.028) ** 2)) * 0.45, (0.1, 0.08, 0.08)
        )
        flap = np.maximum(body, v - edge)
        c.fill(flap, self.cloth(u, y, light * 1.07))
        band = np.maximum(body, (middle + high - 0.11) - v)
        c.fill(band, [t * light for t in self.trim])
        # rings where the handles are sewn on, and a clasp
        rings = np.abs(np.sqrt((np.abs(u) - arch) ** 2 + (v - top - 0.05) ** 2) - 0.036) - 0.014
        c.fill(rings, self.metal)
        clasp = box(u, v - edge, 0.085, 0.055, 0.025)
        shine = 1.05 - 3.0 * np.clip(v - edge, -0.06, 0.06)
        c.fill(clasp - 0.014, [m * 0.55 for m in self.metal])
        c.fill(clasp, [m * shine for m in self.metal])

    def backpack(self, c: Canvas) -> None:
        u, v = c.x, c.y
        wide = 0.47 + 0.06 * self.m["width"]
        high = 0.62 + 0.06 * self.m["height"]
        middle = 0.74 - high
        top = middle - high
        self.shadow(c, 0.74, wide)
        # the loop on top; shoulder straps that show at the sides
        loop = np.maximum(np.abs(ellipse(u, v - top - 0.02, 0.15, 0.14)) - 0.03, v - top - 0.04)
        c.fill(loop, [t * 0.9 for t in self.trim])
        straps = (
            np.abs(ellipse(np.abs(u) - wide + 0.06, v - middle - 0.08, 0.17, high * 0.68)) - 0.042
        )
        c.fill(straps, [t * 0.75 for t in self.trim])
        y = v - middle
        body = np.maximum(
            box(u, y, wide, high, 0.16), ellipse(u, y - 0.35, wide * 1.25, high + 0.35)
        )
        light = self.shading(u, y, wide, high)
        c.fill(body, self.cloth(u, y, light))
        # the zip that runs around the top
        zip_ = np.abs(np.maximum(ellipse(u, y - 0.30, wide * 0.98, high + 0.12), y - 0.02)) - 0.018
        c.paint(
            c.inside(np.maximum(zip_, body + 0.03)) * (y < 0) * 0.75, [t * 0.7 for t in self.trim]
        )
        # the front pocket with a band below, its flap and a buckle
        pocket_top = middle + 0.02
        half = (0.74 - 0.09 - pocket_top) / 2
        pocket = box(u, v - pocket_top - half, wide * 0.76, half, 0.1)
        c.fill(pocket - 0.022, [b * light * 0.62 for b in self.body])
        c.fill(pocket, self.cloth(u, y, light * 1.08))
        flap = np.maximum(pocket, v - pocket_top - 0.13)
        c.fill(flap, [t * light for t in self.trim])
        base = np.maximum(body, 0.74 - 0.075 - v)
        c.fill(base, [t * light * 0.95 for t in self.trim])
        at = pocket_top + 0.13
        buckle = box(u, v - at, 0.065, 0.055, 0.02)
        shine = 1.05 - 3.0 * np.clip(v - at, -0.06, 0.06)
        c.fill(buckle - 0.014, [m * 0.55 for m in self.metal])
        c.fill(buckle, [m * shine for m in self.metal])


def _edge(wave: np.ndarray) -> np.ndarray:
    """Turn a wave about zero into bands of 0 and 1 with soft edges."""
    return np.clip(wave * 2.5 + 0.5, 0, 1)
