"""Damage picture files in every way and read them: ``python fuzz_pictures.py FIRST COUNT FOLDER``.

Each number is one damaged file, always the same.  Whatever it is, reading it gives a picture or an
error that names a reason, within seconds and within `MEMORY`; its number is in ``FOLDER/last``
while it is read, so that a crash can be repeated.
"""

import collections
import io
import json
import resource
import signal
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import PIL
from picture_files import png, tiff
from PIL import Image, ImageCms

from tinygan.data import load_image
from tinygan.data.depth import measure
from tinygan.data.opening import describe_error

MEMORY = 3 << 30  # bytes of address space beside what is there before: 179 million pixels, and room
SECONDS = 20


def saved(picture, format_, **options):
    buffer = io.BytesIO()
    picture.copy().save(buffer, format_, **options)
    return buffer.getvalue()


def specimens():
    """Return whole files of every format, of all the kinds that are read differently."""
    y, x = np.mgrid[0:40, 0:56]
    rgb = Image.fromarray(np.stack([x * 4, y * 6, (x * y) % 256], -1).astype(np.uint8))
    grey, rgba = rgb.convert("L"), rgb.convert("RGBA")
    rgba.putalpha(grey)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = (np.asarray(rgb).astype(np.uint16) * 257)[:20, :20]

    def frames():
        return {"save_all": True, "append_images": [rgb.rotate(90), rgb.rotate(180)]}

    made = {
        "jpeg": saved(rgb, "JPEG", exif=exif, icc_profile=profile),
        "jpeg progressive": saved(rgb, "JPEG", progressive=True, optimize=True),
        "jpeg grey": saved(grey, "JPEG"),
        "jpeg cmyk": saved(rgb.convert("CMYK"), "JPEG"),
        "mpo": saved(rgb, "MPO", **frames()),
        "png": saved(rgba, "PNG", icc_profile=profile, exif=exif),
        "png palette": saved(rgb.quantize(16), "PNG", transparency=3),
        "png 16": png(deep, 16, 2, sBIT=b"\x0c\x0c\x0c", tRNS=bytes(6)),
        "png 16 grey": png(deep[..., 0], 16, 0, sBIT=b"\x0c", gAMA=bytes([0, 1, 134, 160])),
        "png 16 alpha": png(deep[..., 0], 16, 4, alpha=deep[..., 1]),
        "png 2": png(deep[..., 0] >> 14, 2, 0, tRNS=b"\0\1"),
        "apng": saved(rgb, "PNG", **frames()),
        "gif": saved(rgb, "GIF", **frames()),
        "bmp": saved(rgb, "BMP"),
        "bmp palette": saved(rgb.quantize(16), "BMP"),
        "ppm": saved(rgb, "PPM"),
        "pgm 16": b"P5 20 20 4095\n" + (deep[..., 0] >> 4).astype(">u2").tobytes(),
        "ppm plain": b"P3 3 3 255\n" + b"12 34 255 " * 9,
        "pbm": saved(rgb.convert("1"), "PPM"),
        "pfm": b"Pf\n20 20\n-1.0\n" + (deep[..., 0] / 65535).astype("<f4").tobytes(),
        "tga": saved(rgba, "TGA", compression="tga_rle"),
        "tiff": saved(rgb, "TIFF", exif=exif),
        "tiff 16": tiff(deep[..., 0], t280=0, t281=65535, t274=6),
        "tiff 16 colours": tiff(deep, order=">", compressed=True),
        "tiff signed": tiff(deep[..., 0].view(np.int16), order=">"),
        "tiff float": tiff((deep[..., 0] / 65535).astype(np.float32)),
        "tiff 12": tiff(deep[..., 0] >> 4, bits=12),
        "tiff pages": saved(rgb, "TIFF", **frames()),
    }
    if tuple(map(int, PIL.__version__.split(".")[:2])) < (11, 3):
        del made["mpo"]  # earlier ones cannot read what they write themselves
    for kind in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "group4"):
        picture = rgb.convert("1") if kind == "group4" else rgb
        made[f"tiff {kind}"] = saved(picture, "TIFF", compression=kind)
    others = {
        "webp": ("WEBP", {"icc_profile": profile, "exif": exif}),
        "webp lossless": ("WEBP", {"lossless": True}),
        "webp frames": ("WEBP", frames()),
        "avif": ("AVIF", {}),
        "jpeg 2000": ("JPEG2000", {}),
        "heif": ("HEIF", {}),
    }
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass
    for name, (format_, options) in others.items():
        try:
            made[name] = saved(rgba if "webp" in name else rgb, format_, **options)
        except (KeyError, OSError):  # not in this Pillow
            continue
    return made


def damaged(data: bytes, other: bytes, rng) -> bytes:
    data = bytearray(data)
    for _ in range(int(rng.choice([1, 1, 1, 2, 4, 16]))):
        near = len(data) if rng.random() < 0.5 else min(len(data), 160)  # headers twice as often
        at = int(rng.integers(0, max(near, 1)))
        size = int(rng.choice([1, 1, 2, 4, 8, 64]))
        kind = rng.integers(0, 9)
        if kind == 0:
            del data[at:]
        elif kind == 1 and data:
            data[min(at, len(data) - 1)] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            data[at : at + size] = rng.bytes(size)
        elif kind == 3:
            data[at : at + size] = bytes([int(rng.choice([0, 255, 127, 128, 1]))]) * size
        elif kind == 4:
            del data[at : at + size]
        elif kind == 5:
            data[at:at] = rng.bytes(size)
        elif kind == 6:
            data[at:at] = data[at : at + size] * int(rng.choice([1, 2, 100]))
        elif kind == 7:
            start = int(rng.integers(0, len(other)))
            data[at : at + size] = other[start : start + size]
        else:
            number = int(rng.choice([0, 1, 2, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1]))
            order = "big" if rng.random() < 0.5 else "little"
            data[at : at + 4] = number.to_bytes(4, order)
    return bytes(data)


def too_long(signum, frame):
    raise SystemExit("it took too long")


def main(first: int, count: int, folder: Path) -> dict:
    made = specimens()
    names = sorted(made)
    path = folder / "x.png"
    for name in names:  # whole, they are read; and what reading needs is loaded now
        path.write_bytes(made[name])
        load_image(path, 16)
    here = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (here + MEMORY, here + MEMORY))
    signal.signal(signal.SIGALRM, too_long)
    warnings.simplefilter("ignore")
    read, reasons, slowest = 0, collections.Counter(), 0.0
    kinds = collections.Counter()
    for number in range(first, first + count):
        rng = np.random.default_rng((number, 2026))
        name, other = names[number % len(names)], names[int(rng.integers(len(names)))]
        path.write_bytes(damaged(made[name], made[other], rng))
        (folder / "last").write_text(f"{number} {name}")
        signal.alarm(SECONDS)
        began = time.perf_counter()
        kinds[name] += 1
        try:
            measure(path)
            size = None if number % 3 else 16
            image = load_image(path, size, 1 + 2 * (number % 2))
            assert image.dtype == np.uint8, number
            assert image.ndim == 3, number
            assert size is None or image.shape == (16, 16, 1 + 2 * (number % 2)), number
            read += 1
        except AssertionError:
            raise
        except Exception as error:  # what a folder of pictures does with it: name it, go on
            reason = describe_error(error)
            assert reason.isprintable(), number
            assert reason, number
            reasons[type(error).__name__] += 1
        signal.alarm(0)
        slowest = max(slowest, time.perf_counter() - began)
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {"count": count, "read": read, "refused": dict(reasons), "slowest": round(slowest, 2)}
    return told | {"peak_mb": peak >> 20, "kinds": len(kinds)}


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
