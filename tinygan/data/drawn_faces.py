"""Drawn faces: a data set that needs no download and whose every attribute is known."""

from __future__ import annotations

import numpy as np

from tinygan.data.drawing import Canvas, DrawnImages, check_drawing, draw_slices, pick, uniforms
from tinygan.data.face_painter import FacePainter

__all__ = ["FACE_CATEGORIES", "faces"]

FACE_CATEGORIES: dict[str, tuple[str, ...]] = {
    "skin": ("porcelain", "fair", "olive", "tan", "brown", "dark"),
    "hair_style": ("bald", "cropped", "parted", "fringe", "bob", "long", "curly", "bun"),
    "hair_colour": ("black", "brown", "auburn", "ginger", "blonde", "grey", "pink", "blue"),
    "eye_colour": ("brown", "hazel", "green", "blue", "grey"),
    "expression": ("neutral", "smile", "grin", "surprised", "frown"),
    "glasses": ("none", "round", "square", "dark"),
    "beard": ("none", "stubble", "moustache", "goatee", "full"),
    "background": ("sky", "mint", "peach", "lilac", "sand", "rose", "slate"),
}
"""What is drawn: the kinds of each property, in the order of their numbers."""

_WEIGHTS = {
    "skin": (3, 4, 3, 3, 3, 3),
    "hair_style": (1, 3, 3, 3, 3, 4, 3, 2),
    "hair_colour": (4, 5, 3, 2, 4, 2, 1, 1),
    "eye_colour": (5, 2, 2, 3, 1),
    "expression": (3, 4, 4, 1.5, 1),
    "glasses": (14, 2.5, 2.5, 1),
    "background": (1,) * 7,
}
_BEARDS = ((11, 2, 2, 2, 3), (60, 1, 0, 0, 1))  # with short hair, with long hair
_MEASURES = {  # name: (least, most)
    "shift_x": (-0.09, 0.09),
    "shift_y": (-0.05, 0.06),
    "zoom": (1.06, 1.22),
    "tilt": (-0.11, 0.11),
    "turn": (-1.0, 1.0),
    "face_width": (0.47, 0.55),
    "face_height": (0.58, 0.66),
    "jaw": (0.10, 0.32),
    "eye_size": (0.85, 1.2),
    "eye_distance": (0.205, 0.245),
    "gaze": (-1.0, 1.0),
    "brow_thickness": (0.016, 0.036),
    "brow_angle": (-0.12, 0.25),
    "nose_length": (0.13, 0.2),
    "nose_width": (0.06, 0.1),
    "mouth_width": (0.15, 0.22),
    "light": (-1.0, 1.0),
}
_EACH = (
    40  # random numbers a face; the unused ones leave room to draw more without moving the others
)


def faces(
    count: int, image_size: int = 64, seed: int = 0, channels: int = 3, start: int = 0
) -> DrawnImages:
    """Draw faces of varied skin, hair, eyes, expression, glasses, beards and poses.

    Parameters
    ----------
    count : int
    image_size : int
        Side in pixels, at least 8.
    seed : int
        Picture i of a seed is the same whatever `count` is.
    channels : {3, 1}
        RGB or grey.
    start : int
        Number of the first picture: ``faces(10, start=1000)`` are ten that ``faces(1000)`` has not.

    Returns
    -------
    DrawnImages
        ``.images`` uint8 ``(count, image_size, image_size, channels)``; ``.attributes`` with an
        index for each property in ``FACE_CATEGORIES`` and, as floats, the measures of the pose and
        of the parts: shifts in units of half the picture, `tilt` in radians, `turn`, `gaze` and
        `light` from −1 (left) to 1 (right).

    Examples
    --------
    >>> drawn = faces(3, image_size=32, seed=1)
    >>> drawn.images.shape
    (3, 32, 32, 3)
    >>> len(drawn.attributes["hair_style"]), drawn.categories["glasses"]
    (3, ('none', 'round', 'square', 'dark'))
    """
    check_drawing(count, image_size, channels, start, seed)
    u = iter(uniforms(seed, start, count, _EACH).T)
    kinds = {name: pick(next(u), weights) for name, weights in _WEIGHTS.items()}
    style = np.array(FACE_CATEGORIES["hair_style"])[kinds["hair_style"]]
    bearded = np.isin(style, ("bald", "cropped", "parted", "curly"))
    kinds["beard"] = pick(next(u), np.where(bearded[:, None], *_BEARDS))
    kinds = {name: kinds[name] for name in FACE_CATEGORIES}
    measures = {
        name: (low + (high - low) * next(u)).astype(np.float32)
        for name, (low, high) in _MEASURES.items()
    }
    hidden = np.stack([next(u) for _ in range(8)]).astype(np.float32)

    def paint(canvas: Canvas, part: slice) -> None:
        FacePainter(
            {name: kind[part] for name, kind in kinds.items()},
            FACE_CATEGORIES,
            {name: measure[part] for name, measure in measures.items()},
            hidden[:, part],
        ).paint(canvas)

    images = draw_slices(paint, count, image_size, channels)
    return DrawnImages(images, {**kinds, **measures}, FACE_CATEGORIES)
