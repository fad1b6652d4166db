"""One picture: read any file into a square of bytes, and write many as one tiled PNG."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from tinygan.data.color import profile_transform, to_mode
from tinygan.data.conversion import to_uint8
from tinygan.data.depth import check_scale, read_deep
from tinygan.data.mark import metadata
from tinygan.data.opening import open_image, shown
from tinygan.data.samples import is_deep, png_chunks
from tinygan.errors import DataError
from tinygan.files import replaced

__all__ = ["bicubic", "enlarge", "load_image", "save_grid", "save_pictures", "tile"]

_MOST = 16384  # pixels a side of what pictures are scaled to
FITS = ("crop", "pad", "stretch")


def load_image(
    path: str | os.PathLike,
    image_size: int | tuple[int, int] | None = None,
    channels: int = 3,
    crop: float | None = None,
    fit: str = "crop",
    scale: dict | None = None,
) -> np.ndarray:
    """Read one picture file as bytes, the way the person who took it sees it.

    Its colour profile and the orientation noted in its EXIF data are applied, transparency is laid
    on white, and palette, grey and CMYK pictures become `channels` channels.  Numbers of more than
    8 bits are brought to bytes by what the file declares (PNG's sBIT, TIFF's bits a sample and
    least and greatest value), else by `scale`; 8-bit pictures are never stretched.  Of an
    animation or a document with several pages the first is read.

    Parameters
    ----------
    path
        JPEG, PNG, WebP, AVIF, BMP, GIF, TIFF, JPEG 2000, PPM, TGA; HEIC with pillow-heif.
    image_size : int or (int, int), optional
        Side of the square to return, or (height, width), in pixels; by default the picture keeps
        its size.
    channels : {3, 1}
        RGB or grey.
    crop : float, optional
        Side of a centred square to cut out first, as a fraction of the picture's *width*, in
        (0, 1].  The usual CelebA face crop, 108 of 178 pixels, is ``108 / 178`` at any resolution.
    fit : {"crop", "pad", "stretch"}
        How a picture of another shape comes to `image_size`: its largest centred part is used,
        it is laid on white whole, or it is stretched.
    scale : dict, optional
        Black and white of numbers of more than 8 bits, ``{"integers": [low, high], "floats": [low,
        high]}`` as an `ImageFolder` finds them, or ``{"range": [low, high]}`` for all of them.
        Without it they are found from this picture alone.

    Returns
    -------
    numpy.ndarray
        uint8 ``(H, W, channels)``.

    Raises
    ------
    DataError
        If an option makes no sense, or the file is no picture of these formats.
    OSError or another exception of Pillow's
        If the file is missing, damaged, cut short or no picture.
    """
    size = check_options(image_size, channels, crop, fit)
    mode = "RGB" if channels == 3 else "L"
    with open_image(path) as picture:
        chunks = png_chunks(path) if picture.format == "PNG" else {}
        _warn_if_huge(picture, path)
        if is_deep(picture, chunks):
            picture = read_deep(path, picture, chunks, check_scale(scale))
        elif size is not None and picture.format in ("JPEG", "MPO"):
            # libjpeg decodes at 1/2, 1/4 or 1/8 for less work; keep twice what is needed
            wanted = round(2 * max(size) / (crop or 1.0))
            picture.draft(None if profile_transform(picture) else mode, (wanted, wanted))
        picture.load()
        _scale_transparent_level(picture, chunks)
        return squared(ImageOps.exif_transpose(picture), size, channels, crop, fit)


def squared(
    picture: Image.Image, size: tuple[int, int] | None, channels: int, crop: float | None, fit: str
) -> np.ndarray:
    """Return an 8-bit picture as `load_image` does, in sRGB and cut or scaled to its size."""
    picture = to_mode(picture, "RGB" if channels == 3 else "L")
    if size is not None or crop is not None:
        picture = _fit(picture, size, crop, fit)
    pixels = np.asarray(picture)
    return pixels if channels == 3 else pixels[:, :, None]


def check_options(
    image_size: int | tuple[int, int] | None, channels: int, crop: float | None, fit: str
) -> tuple[int, int] | None:
    """Raise a `DataError` for senseless options of `load_image`; return (height, width)."""
    if channels not in (1, 3):
        raise DataError(f"channels: expected 3 (RGB) or 1 (grey), got {channels!r}")
    if crop is not None and not 0 < crop <= 1:
        raise DataError(f"crop: expected a fraction of the width in (0, 1], got {crop!r}")
    if fit not in FITS:
        raise DataError(f"fit: expected one of {', '.join(FITS)}, got {fit!r}")
    if image_size is None:
        return None
    size: Any = (image_size, image_size) if np.isscalar(image_size) else image_size
    good = len(size) == 2 and all(isinstance(s, int | np.integer) for s in size)
    if not good or not all(0 < s <= _MOST for s in size):
        raise DataError(f"image_size: expected 1 to {_MOST} pixels, got {image_size!r}")
    return int(size[0]), int(size[1])


def _warn_if_huge(picture: Image.Image, path: str | os.PathLike) -> None:
    width, height = picture.size
    if Image.MAX_IMAGE_PIXELS and width * height > Image.MAX_IMAGE_PIXELS:
        warnings.warn(f"{shown(path)}: unusually large, {width} × {height} pixels", stacklevel=3)


def _scale_transparent_level(picture: Image.Image, chunks: dict[bytes, bytes]) -> None:
    """Bring a PNG's transparent grey of 2 or 4 bits to the 8 bits that its pixels have."""
    bits = chunks[b"IHDR"][8] if b"IHDR" in chunks else 8
    level = picture.info.get("transparency")
    if picture.mode == "L" and bits in (2, 4) and isinstance(level, int):
        picture.info["transparency"] = min(level, 2**bits - 1) * 255 // (2**bits - 1)


def _fit(
    picture: Image.Image, size: tuple[int, int] | None, crop: float | None, fit: str
) -> Image.Image:
    width, height = picture.size
    left, top, right, bottom = 0.0, 0.0, float(width), float(height)
    if crop is not None:
        side = min(crop * width, height)
        left, top = (width - side) / 2, (height - side) / 2
        right, bottom = left + side, top + side
    if size is None:
        return picture.crop((round(left), round(top), round(right), round(bottom)))
    aspect = size[1] / size[0]
    if fit == "crop":
        w = min(right - left, (bottom - top) * aspect)
        h = w / aspect
        left, top = (left + right - w) / 2, (top + bottom - h) / 2
        right, bottom = left + w, top + h
    target = (size[1], size[0])
    if fit == "pad":
        scale = min(size[1] / (right - left), size[0] / (bottom - top))
        target = (
            max(1, round((right - left) * scale)),
            max(1, round((bottom - top) * scale)),
        )
    box = (left, top, right, bottom)
    if picture.size != target or box != (0, 0, *target):
        picture = picture.resize(target, Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    if fit == "pad" and target != (size[1], size[0]):
        page = Image.new(picture.mode, (size[1], size[0]), "white")
        page.paste(picture, ((size[1] - target[0]) // 2, (size[0] - target[1]) // 2))
        picture = page
    return picture


def save_grid(
    images: np.ndarray,
    path: str | os.PathLike,
    columns: int | None = None,
    gutter: int = 2,
    note: str | None = None,
) -> None:
    """Write images as one PNG, row after row, with white gutters between and around them.

    Parameters
    ----------
    images : array (N, H, W, C)
        Floats in [−1, 1] or uint8; C is 3 or 1.
    path
        The file; it is replaced in one go, so that a reader never sees half a picture.
    columns : int, optional
        By default as many columns as make the picture about square.
    gutter : int
        Width of the gutters in pixels.
    note : str, optional
        Who made them, see ``tinygan/data/mark.py``.
    """
    save_png(tile(images, columns, gutter), path, note)


def tile(images: np.ndarray, columns: int | None = None, gutter: int = 2) -> np.ndarray:
    """Return the sheet that `save_grid` writes, bytes ``(H, W, C)``."""
    images = to_uint8(images)
    if images.ndim != 4 or images.shape[3] not in (1, 3) or not images.shape[0]:
        raise DataError(
            f"save_grid: expected images of shape (N, H, W, 3 or 1), got {images.shape}"
        )
    count, height, width, channels = images.shape
    if columns is None:
        columns = int(np.ceil(np.sqrt(count * height / width)))
    if columns < 1:
        raise DataError(f"save_grid: expected columns of at least 1, got {columns}")
    columns = min(columns, count)
    rows = -(-count // columns)
    cells = np.full((rows * columns, height + gutter, width + gutter, channels), 255, np.uint8)
    cells[:count, gutter:, gutter:] = images
    cells = cells.reshape(rows, columns, height + gutter, width + gutter, channels)
    page = np.full(
        (rows * (height + gutter) + gutter, columns * (width + gutter) + gutter, channels),
        255,
        np.uint8,
    )
    page[: rows * (height + gutter), : columns * (width + gutter)] = cells.swapaxes(1, 2).reshape(
        rows * (height + gutter), columns * (width + gutter), channels
    )
    return page


def enlarge(images: np.ndarray, times: int) -> np.ndarray:
    """Return images ``(N, H, W, C)`` with each pixel as a square of `times` × `times`.

    Examples
    --------
    >>> enlarge(np.array([[[[1], [2]]]]), 2)[0, :, :, 0]
    array([[1, 1, 2, 2],
           [1, 1, 2, 2]])
    """
    return images.repeat(times, axis=1).repeat(times, axis=2)


def bicubic(images: np.ndarray, times: int) -> np.ndarray:
    """Return images, bytes ``(N, H, W, C)``, enlarged by bicubic interpolation."""
    if times == 1:
        return images
    count, height, width, channels = images.shape
    made = np.empty((count, height * times, width * times, channels), np.uint8)
    for small, large in zip(images, made, strict=True):
        for c in range(channels):
            plane = Image.fromarray(np.ascontiguousarray(small[:, :, c]))
            large[:, :, c] = plane.resize(large.shape[1::-1], Image.Resampling.BICUBIC)
    return made


def save_pictures(
    images: np.ndarray, folder: Path, first: int = 0, note: str | None = None
) -> None:
    """Write each image as a PNG of its size, ``000000.png``, counted from `first`."""
    for i, image in enumerate(to_uint8(images), first):
        save_png(image, folder / f"{i:06d}.png", note)


def save_png(pixels: np.ndarray, path: str | os.PathLike, note: str | None = None) -> None:
    """Write one picture, uint8 ``(H, W, 3 or 1)``, as a PNG in one go."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    with replaced(path) as beside:
        picture.save(beside, "PNG", **metadata("PNG", note))
