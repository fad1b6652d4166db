"""Colours as a viewer shows them: colour profiles applied, transparency laid on white."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
from PIL import Image

from tinygan.errors import DataError

__all__ = ["profile_transform", "to_mode"]

_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}
_ALIKE = 2  # of 255: a profile that changes colours by no more is sRGB's own
_MOST_PROFILE = 16 << 20  # bytes


def to_mode(picture: Image.Image, mode: str) -> Image.Image:
    """Return an 8-bit picture in sRGB, or grey, on white where it is transparent.

    Its orientation and everything but the pixels are lost.
    """
    transform = profile_transform(picture)
    gamma = _gamma(picture)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        if transform or gamma:
            picture = _correct(picture.convert("RGB"), transform, gamma).convert("RGB")
            picture.putalpha(alpha)
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    elif transform or gamma or picture.mode == "LAB":
        picture = _correct(picture, transform, gamma)
    return picture if picture.mode == mode else picture.convert(mode)


def profile_transform(picture: Image.Image) -> Any:
    """Return what turns a picture's colours into sRGB, None where they are that already."""
    profile = picture.info.get("icc_profile")
    if picture.mode == "LAB":
        return _transform(b"", "LAB")
    if not isinstance(profile, bytes) or not 128 < len(profile) < _MOST_PROFILE:
        return None
    mode = picture.mode
    if mode in ("P", "PA", "RGBA", "RGBX", "RGBa", "YCbCr"):
        mode = "RGB"
    elif mode in ("1", "LA", "La"):
        mode = "L"
    if _SPACES.get(profile[16:20].decode("latin-1")) != mode:
        return None  # made for other colours, as profiles that were copied along often are
    return _transform(profile, mode)


@functools.lru_cache(maxsize=32)
def _transform(profile: bytes, mode: str) -> Any:
    from PIL import ImageCms

    try:
        target = ImageCms.createProfile("sRGB")
    except ImportError:
        raise DataError("its colour profile needs a Pillow with LittleCMS") from None
    try:
        source: Any
        if mode == "LAB":
            source = ImageCms.createProfile("LAB")
        else:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(source))
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION if intent == 1 else ImageCms.Flags.NONE
        transform = ImageCms.buildTransform(source, target, mode, "RGB", intent, flags)
        return None if _changes_nothing(transform, mode) else transform
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None  # damaged: viewers show the picture without it


def _changes_nothing(transform: Any, mode: str) -> bool:
    if mode in ("CMYK", "LAB"):
        return False
    levels = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(len(levels), -1, 3)
    pixels = Image.fromarray(levels[None] if mode == "L" else cube)
    before = np.asarray(pixels.convert("RGB"), int)
    after = np.asarray(_apply(transform, pixels), int)
    return abs(before - after).max() <= _ALIKE


def _apply(transform: Any, picture: Image.Image) -> Image.Image:
    made = transform.apply(picture)
    made.info = {}
    return made


def _gamma(picture: Image.Image) -> float | None:
    """Return the power that a PNG's levels are to be raised to, None for 1."""
    if picture.format not in ("PNG", None) or {"icc_profile", "srgb"} & picture.info.keys():
        return None
    gamma = picture.info.get("gamma")
    if not gamma or not 0.01 < gamma < 10:
        return None
    power = 1 / (gamma * 2.2)
    return None if abs(power - 1) < 0.05 else power


def _correct(picture: Image.Image, transform: Any, gamma: float | None) -> Image.Image:
    if transform:
        if picture.mode not in ("L", "CMYK", "LAB"):
            picture = picture.convert("RGB")
        if transform.input_mode == "L" and picture.mode != "L":
            picture = picture.convert("L")
        return _apply(transform, picture)
    picture = picture.convert("L" if picture.mode in ("1", "L", "LA") else "RGB")
    levels = np.rint(255 * (np.arange(256) / 255) ** (gamma or 1)).astype(int).tolist()
    return picture.point(levels * len(picture.getbands()))
