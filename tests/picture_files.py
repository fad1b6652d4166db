"""Picture files of odd kinds, written byte by byte: what Pillow does not write itself."""

import struct
import zlib

import numpy as np


def png(values, bits, color_type, alpha=None, **chunks):
    """Return a PNG of unscaled samples (H, W) or (H, W, C); more chunks by name."""
    values = np.asarray(values)
    values = values[:, :, None] if values.ndim == 2 else values
    if alpha is not None:
        values = np.concatenate([values, np.asarray(alpha)[:, :, None]], -1)
    height, width, _ = values.shape
    if bits == 16:
        rows = [row.astype(">u2").tobytes() for row in values]
    else:
        each = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
        rows = [np.packbits(row.reshape(-1)).tobytes() for row in each]
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))

    def chunk(name, data):
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, 0)
    parts = [chunk(b"IHDR", head)]
    parts += [chunk(name.encode(), data) for name, data in chunks.items()]
    parts += [chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(values, bits=None, order="<", photometric=None, compressed=False, planar=1, **tags):
    """Return a TIFF of samples (H, W) or (H, W, C) of any NumPy type; more tags as ``t280=5``."""
    values = np.asarray(values)
    values = values[:, :, None] if values.ndim == 2 else values
    height, width, channels = values.shape
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    bits = bits or 8 * values.dtype.itemsize
    if bits == 12:
        each = np.unpackbits(values.astype(">u2").view(np.uint8), axis=-1).reshape(height, -1, 16)
        pixels = b"".join(np.packbits(row[:, 4:].reshape(-1)).tobytes() for row in each)
    else:
        data = values.transpose(2, 0, 1) if planar == 2 else values
        pixels = data.astype(values.dtype.newbyteorder(order)).tobytes()
    if compressed:
        pixels = zlib.compress(pixels)
    if photometric is None:
        photometric = {1: 1, 3: 2, 4: 2}[channels]
    entries = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * channels),
        259: (3, [8 if compressed else 1]),
        262: (3, [photometric]),
        277: (3, [channels]),
        278: (4, [height]),
        284: (3, [planar]),
        339: (3, [kind] * channels),
    }
    for name, value in tags.items():
        values_ = list(value) if isinstance(value, tuple | list) else [value]
        entries[int(name[1:])] = (12 if any(isinstance(v, float) for v in values_) else 3, values_)
    strips = channels if planar == 2 else 1
    each = len(pixels) // strips
    entries[273] = (4, [8 + i * each for i in range(strips)])
    entries[279] = (4, [each] * strips)
    pixels += b"\0" * (len(pixels) % 2)
    table, beyond = b"", b""
    start = 8 + len(pixels)
    after = start + 2 + 12 * len(entries) + 4
    for tag in sorted(entries):
        kind, numbers = entries[tag]
        data = struct.pack(order + {3: "H", 4: "I", 12: "d"}[kind] * len(numbers), *numbers)
        table += struct.pack(order + "HHI", tag, kind, len(numbers))
        if len(data) <= 4:
            table += data.ljust(4, b"\0")
        else:
            table += struct.pack(order + "I", after + len(beyond))
            beyond += data
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HI", 42, start)
    count = struct.pack(order + "H", len(entries))
    return head + pixels + count + table + bytes(4) + beyond
