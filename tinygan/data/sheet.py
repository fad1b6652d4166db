"""A sheet of translations, labelled: what went in, and what each network made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tinygan.data import to_uint8
from tinygan.data.images import save_png

__all__ = ["save_translation_sheet"]

_LEAST_CELL = 96  # pixels; smaller pictures are enlarged, so that the labels fit above them
_GUTTER, _BETWEEN, _LINE = 4, 24, 15
_FONT_SIZE = 12


def save_translation_sheet(
    path: Path, blocks: list[tuple[str, list[tuple[str, np.ndarray]]]]
) -> None:
    """Write blocks of pictures side by side into one PNG.

    Parameters
    ----------
    path : Path
        It is replaced in one go.
    blocks : list of (title, columns)
        Each column is a label, of one or two lines, and its pictures ``(N, H, W, C)`` in [−1, 1]
        or bytes, one below the other.
    """
    blocks = [(title, [(label, _cells(x)) for label, x in columns]) for title, columns in blocks]
    side = blocks[0][1][0][1].shape[2]  # all pictures are squares of one size
    rows = max(len(images) for _, columns in blocks for _, images in columns)
    step = side + _GUTTER
    top = _GUTTER + 3 * _LINE + _GUTTER
    width = sum(len(columns) * step for _, columns in blocks) + _BETWEEN * (len(blocks) - 1)
    page = Image.new("RGB", (width + _GUTTER, top + rows * step), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(_FONT_SIZE)
    left = _GUTTER
    for title, columns in blocks:
        draw.text((left, _GUTTER), title, "black", font)
        for label, images in columns:
            draw.multiline_text((left, _GUTTER + _LINE), label, "#444444", font, spacing=2)
            for i, image in enumerate(images):
                page.paste(Image.fromarray(image), (left, top + i * step))
            left += step
        left += _BETWEEN
    save_png(np.asarray(page), path)


def _cells(images: np.ndarray) -> np.ndarray:
    """Return pictures as RGB bytes, enlarged by a whole factor if they are small."""
    images = to_uint8(images)
    times = -(-_LEAST_CELL // images.shape[2])
    images = images.repeat(times, axis=1).repeat(times, axis=2)
    return np.broadcast_to(images, (*images.shape[:3], 3))
