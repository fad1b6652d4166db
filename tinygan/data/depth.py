"""Pictures of more than 8 bits a sample: which numbers are black and white, and bytes from them.

A *scale* is a dictionary that a run notes: ``{"integers": [0, 4095], "floats": [0, 1]}`` gives
black and white of the folder's whole and floating-point numbers, ``{"range": [low, high]}`` those
that the user gave, for all numbers.  What a file itself declares comes before the first two.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from PIL import Image

from tinygan.data.opening import open_image, open_regular
from tinygan.data.samples import (
    OVERSHOOT,
    Samples,
    Span,
    is_deep,
    png_chunks,
    read_samples,
    span_of,
    to_bytes,
)
from tinygan.errors import DataError

__all__ = ["check_scale", "find_scale", "measure", "read_deep"]

Scale = dict[str, list]


def measure(path: str | os.PathLike) -> Span | None:
    """Return the numbers that a picture holds, if they need a scale and it declares none.

    Pictures of 8 bits, the great majority, are told by their first bytes.
    """
    with open_regular(path) as file:
        start = file.read(32)
    png = start[:8] == b"\x89PNG\r\n\x1a\n" and start[24:25] == b"\x10"
    if not png and start[:4] not in (b"II*\0", b"MM\0*") and start[:2] not in (b"Pf", b"P5"):
        return None
    chunks = png_chunks(path)
    with open_image(path) as picture:
        if not is_deep(picture, chunks):
            return None
        samples = read_samples(path, picture, chunks)
    return None if samples.declared else span_of(samples)


def find_scale(spans: Iterable[Span | None]) -> Scale:
    """Return the one scale that holds all numbers of a folder, of each kind that is there.

    Whole numbers: from 0, or from −2ᵏ where some are negative, to 2ᵏ − 1, with the smallest k.
    Floats: 0 to 1, or −1 to 1; a picture with others has no part in it, as it cannot be used.
    """
    limits: dict[str, tuple[float, float]] = {}
    for span in spans:
        if span and span.fits:
            low, high = limits.get(span.kind, (span.low, span.high))
            limits[span.kind] = min(low, span.low), max(high, span.high)
    scale: Scale = {}
    if "integers" in limits:
        low, high = map(int, limits["integers"])
        bits = max(high.bit_length(), (-low - 1).bit_length() if low < 0 else 1)
        scale["integers"] = [-(2**bits) if low < 0 else 0, 2**bits - 1]
    if "floats" in limits:
        scale["floats"] = [-1 if limits["floats"][0] < -OVERSHOOT else 0, 1]
    return scale


def check_scale(scale: Scale | None) -> Scale:
    """Return a copy of a scale; a `DataError` if it is none."""
    scale = {} if scale is None else scale
    if not isinstance(scale, dict) or not scale.keys() <= {"integers", "floats", "range"}:
        raise DataError(
            f"scale: expected integers, floats or range with two numbers, got {scale!r}"
        )
    for name, limits in scale.items():
        good = isinstance(limits, list | tuple) and len(limits) == 2
        good = good and all(isinstance(v, int | float) and np.isfinite(v) for v in limits)
        if not good or not limits[0] < limits[1]:
            raise DataError(
                f"{name}: expected two numbers, of black and of white, the first the smaller, "
                f"got {limits!r}"
            )
    return {name: list(limits) for name, limits in scale.items()}


def read_deep(
    path: str | os.PathLike, picture: Image.Image, chunks: dict[bytes, bytes], scale: Scale
) -> Image.Image:
    """Return a picture for which `is_deep` holds as one of 8 bits: L, LA, RGB, RGBA or CMYK."""
    samples = read_samples(path, picture, chunks)
    low, high = _limits(samples, scale)
    pixels = to_bytes(samples.values, low, high)
    if samples.inverted:
        np.subtract(255, pixels, out=pixels)
    image = Image.fromarray(pixels[:, :, 0] if samples.mode == "L" else pixels, samples.mode)
    if samples.alpha is not None:
        image.putalpha(Image.fromarray(samples.alpha))
    image.info = samples.info
    return image


def _limits(samples: Samples, scale: Scale) -> tuple[float, float]:
    if "range" in scale:
        low, high = scale["range"]
        return low, high
    if samples.declared:
        return samples.declared
    span = span_of(samples)
    if not span.fits:
        raise DataError(
            f"its numbers go from {span.low:.6g} to {span.high:.6g}, expected 0 to 1 or -1 to 1; "
            "--range LOW HIGH says which are black and white"
        )
    low, high = scale.get(samples.kind) or find_scale([span])[samples.kind]
    return low, high
