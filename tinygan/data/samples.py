"""Pictures of more than 8 bits a sample, as PNG, TIFF, PGM and others hold them.

Pillow brings most of them to 8 bits in its own way; here they keep their numbers, and what the file
says of black and white.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinygan.data.opening import open_image, open_regular
from tinygan.errors import DataError

__all__ = ["Samples", "Span", "is_deep", "png_chunks", "read_samples", "span_of", "to_bytes"]

# TIFF tags
_BITS, _PHOTOMETRIC, _MIN, _MAX, _PLANAR, _FORMAT = 258, 262, 280, 281, 284, 339
_SMIN, _SMAX = 340, 341
_SIGNED = 2
OVERSHOOT = 0.005  # of a float picture's numbers over 1, as interpolation makes them: clipped
_ROWS = 1 << 20  # numbers converted at a time


class Span(NamedTuple):
    """The least and the largest number of one picture, or of a folder's, of one kind."""

    kind: str  # "integers" or "floats"
    low: float
    high: float

    @property
    def fits(self) -> bool:
        """Whether a scale can be found for it: floats have to be of 0 to 1 or −1 to 1."""
        most = 1 + OVERSHOOT
        return self.kind == "integers" or (-most <= self.low and self.high <= most)


@dataclass
class Samples:
    """A picture's numbers, and what its file says of them."""

    values: np.ndarray  # (H, W, C)
    mode: str  # of the 8-bit picture: L, RGB or CMYK
    kind: str = "integers"
    declared: tuple[float, float] | None = None  # black and white as the file says
    inverted: bool = False  # white is the least number
    alpha: np.ndarray | None = None  # bytes (H, W)
    info: dict = field(default_factory=dict)


def is_deep(picture: Any, chunks: dict[bytes, bytes]) -> bool:
    """Tell whether Pillow's own conversion to 8 bits would lose or clip something."""
    if picture.mode.startswith(("I", "F")):
        return True
    if picture.format == "PNG":
        return chunks.get(b"IHDR", bytes(9))[8] == 16
    if picture.format == "TIFF":
        tags = picture.tag_v2
        return max(tags.get(_BITS, (1,))) > 8 or tags.get(_FORMAT, (1,))[0] == _SIGNED
    return False


def png_chunks(path: str | os.PathLike) -> dict[bytes, bytes]:
    """Return the short chunks of a PNG file that come before its pixels; none of another file."""
    chunks: dict[bytes, bytes] = {}
    with open_regular(path) as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return chunks
        for _ in range(1000):
            head = file.read(8)
            length, name = int.from_bytes(head[:4], "big"), head[4:]
            if len(head) < 8 or name == b"IDAT":
                break
            if length <= 1024:
                chunks.setdefault(name, file.read(length))
                file.seek(4, os.SEEK_CUR)
            else:
                file.seek(length + 4, os.SEEK_CUR)
    return chunks


def span_of(samples: Samples) -> Span:
    values = samples.values
    if samples.kind == "floats":
        values = values[np.isfinite(values)]
        if not values.size:
            raise DataError("none of its numbers is finite")
        return Span("floats", float(values.min()), float(values.max()))
    return Span("integers", int(values.min()), int(values.max()))


def to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return bytes, 0 for `low` and less, 255 for `high` and more; NaN is black."""

    def convert(part: np.ndarray) -> np.ndarray:
        part = (part.astype(np.float64) - low) * 255 / (high - low)
        part = np.nan_to_num(part, nan=0, posinf=255, neginf=0)
        return np.clip(np.rint(part), 0, 255).astype(np.uint8)

    if values.dtype == np.uint16:
        return convert(np.arange(65536))[values]
    flat = np.ascontiguousarray(values).reshape(-1)
    parts = (convert(flat[i : i + _ROWS]) for i in range(0, flat.size, _ROWS))
    return np.concatenate(list(parts)).reshape(values.shape)


def read_samples(path: str | os.PathLike, picture: Any, chunks: dict[bytes, bytes]) -> Samples:
    if picture.format == "PNG":
        return _png(path, picture, chunks)
    if picture.format == "TIFF":
        return _tiff(path, picture)
    values = np.asarray(picture)[:, :, None]
    if picture.mode == "F":
        return Samples(values, "L", "floats", info=picture.info)
    # PGM and JPEG 2000 say how many levels there are; Pillow has brought them to 16 bits
    return Samples(values, "L", declared=(0, 65535), info=picture.info)


def _png(path: str | os.PathLike, picture: Any, chunks: dict[bytes, bytes]) -> Samples:
    color_type = chunks[b"IHDR"][9]
    info = {**picture.info}
    info.pop("transparency", None)
    alpha = None
    if color_type == 0:  # grey
        values = np.asarray(picture).astype(np.uint16)[:, :, None]
    elif color_type == 4:  # grey and alpha: Pillow has no such mode, the four bytes are these
        four = _decode(picture, "RGBA")
        values = four.view(">u2").astype(np.uint16)
        values, alpha = values[:, :, :1], values[:, :, 1]
    else:
        values = _two_bytes(path, picture)
        if color_type == 6:
            values, alpha = values[:, :, :3], values[:, :, 3]
    if (chunk := chunks.get(b"tRNS")) and color_type in (0, 2):
        key = np.frombuffer(chunk[: 2 * values.shape[2]], ">u2")
        if len(key) == values.shape[2]:
            alpha = np.where((values == key).all(axis=2), 0, 65535).astype(np.uint16)
    samples = Samples(values, "L" if values.shape[2] == 1 else "RGB", info=info)
    samples.declared = _declared_by_png(values, chunks.get(b"sBIT"))
    if alpha is not None:
        samples.alpha = to_bytes(alpha, 0, 65535)
    return samples


def _declared_by_png(values: np.ndarray, sbit: bytes | None) -> tuple[float, float] | None:
    """Return black and white by the sBIT chunk: so many bits mean something.

    The format wants them to be the upper ones; many writers leave them where they were.
    """
    bits = max(sbit[: values.shape[2]], default=0) if sbit else 0
    if not 0 < bits < 16:
        return None
    moved = (values >> (16 - bits)) << (16 - bits)
    repeated = moved | (moved >> bits)
    upper = np.array_equal(values, moved) or np.array_equal(values, repeated)
    if upper and values.any():
        return 0, 65535
    return (0, 2**bits - 1) if values.max(initial=0) < 2**bits else None


def _two_bytes(path: str | os.PathLike, picture: Any, rawmode: str | None = None) -> np.ndarray:
    """Return 16-bit samples: Pillow decodes them to either byte, so it is asked for both."""
    rawmode = rawmode or _rawmode(picture)
    stem, order = rawmode[:-1], rawmode[-1]
    low_order = {"N": "B" if np.little_endian else "L", "L": "B", "B": "L"}[order]
    mode = picture.mode
    upper = _decode(picture, rawmode)
    with open_image(path) as again:
        lower = _decode(again, stem + low_order)
    if mode == "RGB":
        upper, lower = upper[:, :, :3], lower[:, :, :3]
    return (upper.astype(np.uint16) << 8) | lower


def _rawmode(picture: Any) -> str:
    args = picture.tile[0][3]
    return args if isinstance(args, str) else args[0]


def _decode(picture: Any, rawmode: str) -> np.ndarray:
    """Return what Pillow makes of a picture when its samples are taken for `rawmode`."""
    tiles = []
    for tile in picture.tile:
        args = tile[3]
        args = rawmode if isinstance(args, str) else (rawmode, *args[1:])
        tiles.append(tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args))
    picture.tile = tiles
    return np.asarray(picture)


def _tiff(path: str | os.PathLike, picture: Any) -> Samples:
    tags = dict(picture.tag_v2)  # reading the pixels takes the orientation out
    bits = max(tags.get(_BITS, (1,)))
    signed = tags.get(_FORMAT, (1,))[0] == _SIGNED
    rawmode = _rawmode(picture) if picture.tile else ""
    if tags.get(_PLANAR, 1) == 2 and len(tags.get(_BITS, (1,))) > 1:
        raise DataError(f"a TIFF file of {bits} bits with its colours in separate planes")
    alpha, inverted = None, tags.get(_PHOTOMETRIC) == 0
    if picture.mode in ("RGB", "RGBA", "CMYK"):
        premultiplied = rawmode.startswith("RGBa")
        values = _two_bytes(path, picture, rawmode.replace("RGBa", "RGBA"))
        if picture.mode == "RGBA":
            values, alpha = values[:, :, :3], values[:, :, 3]
            if premultiplied:
                whole = np.maximum(alpha, 1)[:, :, None]
                values = np.minimum(values * 65535.0 / whole, 65535).astype(np.uint16)
        mode = "CMYK" if picture.mode == "CMYK" else "RGB"
        samples = Samples(values, mode)
    else:
        if picture.tile and picture.tile[0][0] == "libtiff" and rawmode[-2:] in ("BS", "BF"):
            values = _decode(picture, rawmode.replace("B", "N"))  # libtiff has turned the bytes
        else:
            values = np.asarray(picture)
        if bits == 8:  # signed: Pillow takes the bytes as they are
            values = values.view(np.int8)
        elif bits == 32 and not signed and picture.mode == "I":
            values = values.view(np.uint32)
        elif bits <= 16 and not signed and picture.mode.startswith("I"):
            values = values.astype(np.uint16)
        kind = "floats" if picture.mode == "F" else "integers"
        samples = Samples(values[:, :, None], "L", kind, inverted=inverted)
    samples.declared = _declared_by_tiff(tags, samples, bits, signed)
    if alpha is not None:
        samples.alpha = to_bytes(alpha, 0, 65535)
    samples.info = {k: v for k, v in picture.info.items() if k == "icc_profile"}
    return samples


def _declared_by_tiff(
    tags: Mapping[int, Any], samples: Samples, bits: int, signed: bool
) -> tuple[float, float] | None:
    if samples.kind == "integers" and bits not in (16, 32):  # not just what a machine word holds
        return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    low, high = (tags.get(signed_tag, tags.get(tag)) for signed_tag, tag in
                 ((_SMIN, _MIN), (_SMAX, _MAX)))  # fmt: skip
    if high is None:
        return None
    low = min(low) if isinstance(low, tuple) else low or 0
    high = max(high) if isinstance(high, tuple) else high
    span = span_of(samples)
    return (low, high) if low <= span.low and span.high <= high and low < high else None
