"""Drawn landscapes: the same places in summer and in winter."""

from __future__ import annotations

from typing import Any

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

__all__ = ["SEASON_CATEGORIES", "seasons"]

_TREES = 5
_RECIPE = Recipe(
    ("summer", "winter"),
    {
        "sky": {"morning": 2, "noon": 3, "evening": 2},
        "mountains": {"alps": 3, "domes": 2, "hills": 2},
        "ground": {"meadow": 2, "lake": 2},
        "trees": {"conifers": 3, "broadleaf": 3, "mixed": 2},
        "house": {"none": 3, "white": 1, "red": 2, "ochre": 1},
    },
    {
        "horizon": (-0.05, 0.2),
        "height": (0.35, 0.6),
        "ridge": (0.0, 6.28),
        "slope": (-0.12, 0.12),
        "clouds": (0.0, 1.0),
        "light": (-1.0, 1.0),
        "house_x": (-0.7, 0.7),
    },
    hidden=3 * _TREES + 2,
)
SEASON_CATEGORIES = _RECIPE.categories
"""What a landscape is made of: the kinds of each property, in the order of their numbers."""

_SNOW = (0.93, 0.95, 0.98)
_SKY = {  # at the top and at the horizon, in the morning, at noon, in the evening
    "summer": hex_colours("#8fb4dc", "#4a86cf", "#7d8fc4", "#f6e3c8", "#cfe6f5", "#f7bd8f"),
    "winter": hex_colours("#a9b4c6", "#93a9c3", "#9a97b4", "#efe6dc", "#e3ebf2", "#e8c9bd"),
}
_WALLS = hex_colours("#000000", "#ddd6c8", "#a8392c", "#c79a3d")
_ROOFS = hex_colours("#000000", "#7a3b2e", "#4b4a52", "#6b3f2c")


def seasons(
    count: int,
    image_size: int = 64,
    seed: int = 0,
    domain: str = "summer",
    channels: int = 3,
    start: int = 0,
) -> DrawnImages:
    """Draw landscapes in summer, or in winter: mountains, a meadow or a lake, trees, a house.

    Landscape i of a seed is the same place in both domains, under the same light, and is the same
    whatever `count` is.  So the true translation of summer i is winter i, see `tinygan.data.bags`.

    Parameters
    ----------
    count : int
    image_size : int
        Side in pixels, at least 8.
    seed : int
    domain : {"summer", "winter"}
    channels : {3, 1}
        RGB or grey.
    start : int
        Number of the first landscape.

    Returns
    -------
    DrawnImages
        ``.images`` uint8 ``(count, image_size, image_size, channels)``; ``.attributes`` with an
        index for each property in ``SEASON_CATEGORIES`` and, as floats, the horizon and the house's
        place (in units of half the picture), the mountains' height and the phase of their ridge,
        the slope of the ground, how cloudy it is and the side the light comes from.

    Examples
    --------
    >>> summer, winter = seasons(5, 32), seasons(5, 32, domain="winter")
    >>> bool((winter.images[:, 24:].mean() > summer.images[:, 24:].mean() + 40))
    True
    """
    return _RECIPE.draw(_paint, domain, count, image_size, channels, start, seed)


def _paint(canvas: Canvas, scene: Scene, season: str) -> None:
    is_, m, u, kinds = scene.is_, scene.m, scene.u, scene.kinds
    winter = season == "winter"
    x, y, horizon = canvas.x, canvas.y, m["horizon"]
    _sky(canvas, kinds["sky"], m, u[-2:], season)
    _mountains(canvas, is_, m, winter)
    # a wood at the foot of the mountains, whose tops are a saw
    tops = horizon - 0.07 - 0.03 * np.abs((x * 14 + m["ridge"]) % 2 - 1)
    canvas.fill(tops - y, (0.52, 0.58, 0.60) if winter else (0.20, 0.38, 0.24))
    # the ground, darker towards the viewer
    ground = horizon + m["slope"] * x
    near = np.clip(y - ground, 0, 1)
    tone = 1 - 0.10 * near
    meadow = [c * tone for c in _SNOW] if winter else [
        0.48 - 0.22 * near, 0.66 - 0.20 * near, 0.27 - 0.08 * near]  # fmt: skip
    canvas.fill(ground - y, meadow)
    # a lake, which mirrors the sky or is frozen
    shore = ellipse(x - 0.3 * m["light"], y - ground - 0.42, 0.85, 0.26)
    wave = 0.05 * np.sin(y * 60 + 4 * np.sin(x * 5 + m["ridge"]))
    ice = [0.70 + wave, 0.80 + wave, 0.87 + wave]
    water = [0.22 + wave, 0.46 + wave, 0.66 + wave]
    is_lake = is_["lake"]
    canvas.paint(is_lake * canvas.inside(shore - 0.03), _SNOW if winter else (0.62, 0.57, 0.40))
    canvas.paint(is_lake * canvas.inside(shore), ice if winter else water)
    _house(canvas, kinds["house"], m, ground, winter)
    for i in range(_TREES):
        _tree(canvas, is_, u[3 * i : 3 * i + 3], ground, i / _TREES, winter)


def _sky(canvas: Canvas, kind: np.ndarray, m: dict, u: np.ndarray, season: str) -> None:
    top, low = (planes(_SKY[season][kind + i]) for i in (0, 3))
    t = smooth_step(canvas.y, -1, 0.2)
    canvas.paint(np.ones_like(t), [a + (b - a) * t for a, b in zip(top, low, strict=True)])
    x, y = canvas.x - m["light"], canvas.y + 0.75
    for shift, size in ((u[0] - 0.5, 0.36), (0.7 - u[1], 0.28)):
        at_x, at_y = x - 1.6 * shift, y - 0.2 * shift
        cloud = ellipse(at_x, at_y, size, 0.09)
        cloud = np.minimum(cloud, ellipse(at_x - 0.1, at_y + 0.06, 0.18, 0.09))
        cover = canvas.inside(cloud, 0.08) * m["clouds"]
        canvas.paint(cover * 0.9, (0.97, 0.97, 0.98) if season == "summer" else (0.80, 0.82, 0.86))


def _mountains(canvas: Canvas, is_: dict, m: dict, winter: bool) -> None:
    x, y = canvas.x, canvas.y
    a, b = (_zigzag(x * f + m["ridge"] * p) for f, p in ((1.3, 1.0), (3.1, 1.7)))
    alps = 0.72 * a + 0.28 * b
    domes = np.sqrt(np.clip(1 - (np.abs(x * 1.1 + m["ridge"]) % 2 - 1) ** 2, 0, 1))
    hills = 0.35 + 0.25 * np.sin(2.2 * x + m["ridge"])
    rise = is_["alps"] * alps + is_["domes"] * domes + is_["hills"] * hills
    top = m["horizon"] - m["height"] * rise
    # facets in light and shade; a far mountain is pale and blue
    facet = np.sin(7 * x + 3 * (y - top) + 2 * np.sin(5 * y + m["ridge"])) * m["light"]
    depth = (y - top) / m["height"]
    rock = [c + 0.06 * facet for c in (0.45, 0.50, 0.58)]
    snow = [c + 0.08 * facet for c in (0.89, 0.91, 0.95)]
    line = 1.3 if winter else 0.22 * is_["alps"] - 0.1 * (1 - is_["alps"])
    white = smooth_step(line - depth - 0.1 * facet, -0.06, 0.06)
    white = white * (0.8 - 0.25 * np.abs(facet) if winter else 1.0)  # rock shows through
    canvas.fill(top - y, [r + (s - r) * white for r, s in zip(rock, snow, strict=True)])


def _house(canvas: Canvas, kind: np.ndarray, m: dict, ground: Any, winter: bool) -> None:
    there = (kind > 0).astype(np.float32)[:, None, None]
    u, v = canvas.x - m["house_x"], canvas.y - ground - 0.02
    bright = 1 - 0.16 * m["light"] * np.sign(u)
    wall = box(u, v, 0.14, 0.10, 0.01)
    canvas.paint(there * canvas.inside(wall), [c * bright for c in planes(_WALLS[kind])])
    roof = np.maximum(np.abs(u) * 0.75 - v - 0.24, v + 0.09) * 0.8
    canvas.paint(there * canvas.inside(roof), planes(_ROOFS[kind]))
    if winter:  # the eaves keep their colour
        canvas.paint(there * canvas.inside(np.maximum(roof, v + 0.13)), _SNOW)
    window = np.maximum(np.abs(np.abs(u) - 0.06) - 0.025, np.abs(v) - 0.035)
    lit = (0.98, 0.86, 0.45) if winter else (0.25, 0.30, 0.38)
    canvas.paint(there * canvas.inside(window), lit)


def _tree(
    canvas: Canvas, is_: dict, u: np.ndarray, ground: Any, depth: float, winter: bool
) -> None:
    near = depth + 0.15 * u[1]
    size = 0.22 + 0.30 * near
    x = (canvas.x - (2 * u[0] - 1) * 0.95) / size
    y = (canvas.y - ground - 0.02 - 0.55 * near) / size  # 0 at the foot, −1 at the top
    conifer = is_["conifers"] + is_["mixed"] * (u[2] > 0.5)
    trunk = box(x, y + 0.25, 0.06, 0.26, 0.01) * size
    canvas.fill(trunk, (0.30, 0.21, 0.16))
    # a conifer: three tiers, with snow on each
    tier = (y + 1.15) % 0.36
    body = np.maximum(np.abs(x) - 0.10 - 0.22 * (y + 1.15) - 0.55 * tier, y + 0.14)
    body = np.maximum(body, -y - 1.12) * (size * 0.75)
    green = 1 - 0.35 * x * is_["morning"] + 0.35 * x * is_["evening"]
    dark = (0.17, 0.30, 0.25) if winter else (0.11, 0.31, 0.17)
    cover = conifer * canvas.inside(body)
    canvas.paint(cover, [c * green for c in dark])
    if winter:
        canvas.paint(cover * smooth_step(tier, 0.10, 0.26) * 0.85, _SNOW)
    # a broadleaf tree: a crown of leaves, or bare branches
    crown = ellipse(x, y + 0.72, 0.42 + 0.05 * np.sin(9 * y), 0.46) * size
    cover = (1 - conifer) * canvas.inside(crown)
    if not winter:
        leaves = 1.0 + 0.18 * np.sin(11 * x + 3) * np.sin(13 * y) - 0.25 * (y + 0.72)
        canvas.paint(cover, [c * leaves for c in (0.33, 0.53, 0.20)])
        return
    angle = np.arctan2(x, -y - 0.28)
    branches = smooth_step(np.sin(angle * 11 + 5 * np.hypot(x, y)), 0.15, 0.6)
    canvas.paint(cover * branches * 0.75, (0.33, 0.26, 0.24))


def _zigzag(t: np.ndarray) -> np.ndarray:
    """Return a wave of straight lines between 0 and 1, of period 2."""
    return np.abs(t % 2 - 1)
