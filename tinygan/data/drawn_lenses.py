"""Drawn flowers, photographed with all in focus, and with the flower alone in focus."""

from __future__ import annotations

import numpy as np

from tinygan.data.drawing import Canvas, DrawnImages, ellipse, hex_colours, planes, smooth_step
from tinygan.data.recipe import Recipe, Scene

__all__ = ["LENS_CATEGORIES", "lenses"]

_THINGS = 10  # behind the flower
_RECIPE = Recipe(
    ("phone", "dslr"),
    {
        "flower": {"daisy": 3, "tulip": 2, "rose": 2, "star": 2},
        "colour": {"white": 2, "yellow": 3, "orange": 2, "red": 3, "pink": 3, "violet": 2,
                   "blue": 2},
        "background": {"meadow": 3, "hedge": 3, "wall": 2, "lights": 2},
    },
    {
        "shift_x": (-0.28, 0.28),
        "shift_y": (-0.2, 0.1),
        "size": (0.36, 0.5),
        "turn": (-0.3, 0.3),
        "light": (-1.0, 1.0),
    },
    hidden=3 * _THINGS,
)  # fmt: skip
LENS_CATEGORIES = _RECIPE.categories
"""What a photograph shows: the kinds of each property, in the order of their numbers."""

_FAR, _MIDDLE = 0.13, 0.07  # radii of what a point behind the focus becomes, in half pictures
_PETALS = hex_colours(
    "#f4f1ea", "#f3c93a", "#ef8b32", "#cf3038", "#e889ae", "#8a5cb8", "#4f7fd0"
)  # fmt: skip


def lenses(
    count: int,
    image_size: int = 64,
    seed: int = 0,
    domain: str = "phone",
    channels: int = 3,
    start: int = 0,
) -> DrawnImages:
    """Draw a flower before a background, as a telephone or as a large lens takes it.

    A small lens shows all depths sharp.  A large one that is focused on the flower makes a disc of
    each point behind it, the larger the farther.  Photograph i of a seed is of the same scene in
    both domains, and is the same whatever `count` is, see `tinygan.data.bags`.

    Parameters
    ----------
    count : int
    image_size : int
        Side in pixels, at least 8.
    seed : int
    domain : {"phone", "dslr"}
    channels : {3, 1}
        RGB or grey.
    start : int
        Number of the first photograph.

    Returns
    -------
    DrawnImages
        ``.images`` uint8 ``(count, image_size, image_size, channels)``; ``.attributes`` with an
        index for each property in ``LENS_CATEGORIES`` and, as floats, the flower's shifts and size
        (in units of half the picture), its turn in radians and the side the light comes from.

    Examples
    --------
    >>> phone, dslr = lenses(5, 64), lenses(5, 64, domain="dslr")
    >>> detail = [np.abs(np.diff(d.images.astype(float), axis=2)).mean() for d in (phone, dslr)]
    >>> bool(detail[1] < 0.6 * detail[0])
    True
    """
    return _RECIPE.draw(_paint, domain, count, image_size, channels, start, seed)


def _paint(canvas: Canvas, scene: Scene, lens: str) -> None:
    is_, m = scene.is_, scene.m
    things = scene.u.reshape(_THINGS, 3, *scene.u.shape[1:])
    _background(canvas, is_, m, things)
    if lens == "dslr":
        canvas.blur(_FAR)
    _grass(canvas, things)
    if lens == "dslr":
        canvas.blur(_MIDDLE)
    _flower(canvas, is_, m, _PETALS[scene.kinds["colour"]])


def _background(canvas: Canvas, is_: dict, m: dict, u: np.ndarray) -> None:
    x, y = canvas.x, canvas.y
    t = smooth_step(y, -1, 1)
    skies = {  # at the top and at the bottom
        "meadow": ((0.62, 0.78, 0.90), (0.42, 0.60, 0.24)),
        "hedge": ((0.16, 0.30, 0.15), (0.22, 0.36, 0.16)),
        "wall": ((0.66, 0.58, 0.50), (0.52, 0.45, 0.40)),
        "lights": ((0.10, 0.10, 0.20), (0.20, 0.17, 0.24)),
    }
    for name, (top, low) in skies.items():
        canvas.paint(is_[name], [a + (b - a) * t for a, b in zip(top, low, strict=True)])
    # the joints of a wall, row by row
    row = np.floor(y * 5)
    joint = np.minimum(np.abs((y * 5) % 1 - 0.5), 2 * np.abs((x * 2.5 + 0.5 * (row % 2)) % 1 - 0.5))
    canvas.paint(is_["wall"] * smooth_step(joint, 0.14, 0.04), (0.84, 0.80, 0.74))
    leaf, lamp = is_["meadow"] + is_["hedge"], is_["lights"]
    for a, b, c in u:
        at_x, at_y = x - (2 * a - 1) * 1.05, y - (2 * b - 1) * 0.9
        along, across = at_x + (c - 0.5) * at_y, at_y - (c - 0.5) * at_x
        bright = 0.75 + 0.7 * c + 0.25 * m["light"] * at_x
        leaves = ellipse(along, across, 0.26, 0.11)
        canvas.paint(leaf * canvas.inside(leaves), [g * bright for g in (0.36, 0.55, 0.22)])
        vein = np.maximum(leaves + 0.02, np.abs(across) - 0.014)
        canvas.paint(leaf * canvas.inside(vein), [g * bright for g in (0.58, 0.74, 0.40)])
        blossom = ellipse(at_x - 0.2, at_y - 0.15, 0.07, 0.07)
        canvas.paint(leaf * (c > 0.6) * canvas.inside(blossom), (0.97, 0.93 - 0.4 * c, 0.75))
        glow = (2.6, 1.7 - 0.7 * c, 0.6 + 0.6 * a)  # brighter than white: its disc is bright, too
        canvas.paint(lamp * canvas.inside(ellipse(at_x, at_y, 0.055, 0.055)), glow)


def _grass(canvas: Canvas, u: np.ndarray) -> None:
    """Paint blades at a middle distance."""
    for a, b, c in u:
        bend = (b - 0.5) * (1 - canvas.y) ** 2 * 0.35
        blade = np.abs(canvas.x - (2 * c - 1) - bend) - 0.012 * (canvas.y + 1)
        blade = np.maximum(blade, 0.15 + 0.5 * a - canvas.y)
        canvas.fill(blade, (0.24 + 0.2 * b, 0.46 + 0.15 * a, 0.16))


def _flower(canvas: Canvas, is_: dict, m: dict, colour: np.ndarray) -> None:
    petals = planes(colour)
    x, y = canvas.x - m["shift_x"], canvas.y - m["shift_y"]
    bend = 0.12 * m["turn"] * y * y
    stem = np.maximum(np.abs(x - bend) - 0.03, -y)
    canvas.fill(stem, [c * (1 - 3 * (x - bend) * m["light"]) for c in (0.30, 0.50, 0.20)])
    for side in (-1, 1):
        along, across = side * x - 0.17, y - 0.62 + 0.5 * side * x
        leaf = ellipse(along, across, 0.18, 0.07)
        canvas.fill(leaf, [c * (1 + 0.6 * across) for c in (0.27, 0.48, 0.20)])
    head = canvas.moved(m["shift_x"], m["shift_y"], m["turn"], m["size"])
    u, v = head.x, head.y
    r, angle = np.hypot(u, v) + 1e-6, np.arctan2(v, u)
    shade = 1.02 - 0.14 * (u * m["light"] + v)
    # daisy: 12 thin petals; star: five pointed ones; rose: rings of petals; tulip: a cup
    daisy = r - 0.72 - 0.25 * np.sin(6 * angle) ** 2
    star = r - 0.58 - 0.36 * (1 - np.abs((angle * 5 / np.pi + 0.5) % 2 - 1))
    rose = r - 0.74 - 0.06 * np.sin(5 * angle)
    tulip = np.maximum(ellipse(u, v - 0.05, 0.58, 0.82), -v - 0.45 - 0.30 * np.abs(np.sin(u * 5.5)))
    lines = {
        "daisy": np.cos(12 * angle) * smooth_step(r, 0.2, 0.6),
        "star": np.cos(10 * angle),
        "rose": np.sin(17 * r - 2 * angle),
        "tulip": np.cos(9 * u) * smooth_step(v, 0.5, -0.4),
    }
    for name, shape in (("daisy", daisy), ("star", star), ("rose", rose), ("tulip", tulip)):
        light = shade * (0.94 + 0.10 * lines[name])
        canvas.paint(is_[name] * head.inside(shape * 0.8), [p * light for p in petals])
    eye = is_["daisy"] + is_["star"]
    dots = 1 + 0.15 * np.sin(u * 45) * np.sin(v * 45)
    canvas.paint(eye * head.inside(r - 0.27), [c * dots * shade for c in (0.90, 0.66, 0.16)])
