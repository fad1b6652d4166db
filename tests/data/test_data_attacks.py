"""Files made to do harm: what each tries does not happen, and the file is named."""

import os
import struct
import sys
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from picture_files import png, tiff
from PIL import Image

from tinygan.data import DataError, ImageFolder
from tinygan.data.opening import FORMATS, open_image, shown

EPS = b"""%!PS-Adobe-3.0 EPSF-3.0
%%BoundingBox: 0 0 10 10
%%EndComments
(touched) (w) file closefile
showpage
"""
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/Launch/F(touch touched)>>>>endobj\n"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"
WMF = b"\xd7\xcd\xc6\x9a\x00\x00" + bytes(200)
FITS = b"SIMPLE  =                    T" + b" " * 50 + b"END" + bytes(3000)
BUFR, GRIB, HDF5 = b"BUFR" + bytes(99), b"GRIB" + bytes(3) + b"\1" + bytes(99), b"\x89HDF\r\n\x1a\n"
PCD = bytes(2048) + b"PCD_" + bytes(5000)


def huge_png(width=2**31 - 1, height=2**31 - 1):
    return png(np.zeros((1, 1)), 8, 0).replace(
        struct.pack(">II", 1, 1), struct.pack(">II", width, height)
    )


def bomb_chunk(name, before=b""):
    return png(np.zeros((9, 9)), 8, 0, **{name: before + zlib.compress(bytes(1 << 28), 9)})


ATTACKS = {
    "EPS as .png, to start Ghostscript": ("x.png", EPS),
    "EPS with a preview": (
        "x.tif",
        b"\xc5\xd0\xd3\xc6" + struct.pack("<7I", 30, 99, 0, 0, 0, 0, 0) + EPS,
    ),
    "PDF as .jpg": ("x.jpg", PDF),
    "SVG that reads a file": ("x.png", SVG),
    "WMF as .bmp": ("x.bmp", WMF),
    "FITS as .tif": ("x.tif", FITS),
    "BUFR as .png": ("x.png", BUFR),
    "GRIB as .png": ("x.png", GRIB),
    "HDF5 as .png": ("x.png", HDF5),
    "PhotoCD as .png": ("x.png", PCD),
    "a pickle as .png": ("x.png", b"\x80\x04cos\nsystem\n(S'touch touched'\ntR."),
    "a shell script as .gif": ("x.gif", b"#!/bin/sh\ntouch touched\n"),
    "an XPM as .png": ("x.png", b'/* XPM */\nstatic char*x[]={"1 1 1 1","a c red","a"};'),
    "a PNG of 2^31 × 2^31 pixels": ("x.png", huge_png()),
    "a PNG of 60000 × 60000 pixels": ("x.png", huge_png(60_000, 60_000)),
    "a PNG whose text is 256 MB": ("x.png", bomb_chunk("zTXt", b"a\0\0")),
    "a GIF of 65535 × 65535 pixels": ("x.gif", b"GIF89a\xff\xff\xff\xff\x80\0\0" + bytes(6) + b";"),
    "a BMP of 2^31 pixels a row": (
        "x.bmp",
        b"BM" + struct.pack("<IHHIIiiHH", 99, 0, 0, 54, 40, 2**31 - 1, 9, 1, 24) + bytes(24),
    ),
    "a TIFF of 60000 × 60000 pixels": (
        "x.tif",
        tiff(np.zeros((1, 1), np.uint8), t256=60_000, t257=60_000),
    ),
    "a TIFF whose table leads to itself": ("x.tif", b"II*\0\x08\0\0\0" + b"\0\0" + b"\x08\0\0\0"),
    "a PGM of 10^9 × 10^9 pixels": ("x.pgm", b"P5 1000000000 1000000000 65535\n" + bytes(100)),
    "a PPM with a number without end": ("x.ppm", b"P6 " + b"9" * 100_000),
    "a TGA of 65535 × 65535 pixels": ("x.tga", b"\0\0\2" + bytes(9) + b"\xff\xff\xff\xff\x18\0"),
    "a WebP that claims 16384 × 16384": (
        "x.webp",
        b"RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\xff\xff\xff\x0f" + bytes(10),
    ),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder to work in, in which any program that is started leaves a trace."""
    trap = tmp_path / "bin"
    trap.mkdir()
    for name in (
        "gs",
        "gswin32c",
        "djpeg",
        "cjpeg",
        "ppmtogif",
        "xv",
        "display",
        "netpbm",
        "wmf2eps",
    ):
        (trap / name).write_text(f"#!/bin/sh\necho $0 >> {tmp_path}/started\n")
        (trap / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{trap}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("TINYGAN_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "pictures"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def no_programs():
    """Notice every program that this process starts, by Python's own audit of it."""
    started = []
    watching = True

    def hook(event, arguments):
        if watching and event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn"):
            started.append(arguments)

    sys.addaudithook(hook)
    yield started
    watching = False


def peak_bytes():
    import resource

    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize("kind", ATTACKS)
def test_attacks(place, no_programs, kind):
    name, data = ATTACKS[kind]
    Image.new("RGB", (16, 16), "red").save(place / "good.png")
    ImageFolder(place, 8, cache=False)
    before = peak_bytes()
    (place / name).write_bytes(data)
    with pytest.warns(UserWarning, match=r"skipped .*x\.\w+: "):
        folder = ImageFolder(place, 8, cache=False)
    assert folder.files == ["good.png"]
    assert no_programs == []
    assert not Path("started").exists()
    assert not list(place.parent.rglob("touched"))
    assert peak_bytes() - before < 200 << 20


def test_a_profile_that_unpacks_to_256_mb_is_not_unpacked(place):
    (place / "x.png").write_bytes(bomb_chunk("iCCP", b"a\0\0"))
    before = peak_bytes()
    with warnings.catch_warnings(action="ignore"), suppress(DataError):
        ImageFolder(place, 8, cache=False)
    assert peak_bytes() - before < 200 << 20


def test_only_the_formats_of_the_list_are_opened(place):
    Image.init()
    seen = set()
    for name in sorted(Image.SAVE):
        if name in ("PDF", "BUFR", "GRIB", "HDF5", "WMF", "PALM", "MPO"):
            continue
        try:
            Image.new("RGB", (16, 16), "red").save(place / "x.any", name)
        except Exception:  # a format that cannot be written here, or not from RGB
            continue
        try:
            with open_image(place / "x.any") as picture:
                seen.add(picture.format)
        except ValueError:
            assert name not in FORMATS
    assert {"PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "TGA"} <= seen <= set(FORMATS)


def test_names_are_shown_without_what_moves_the_terminal():
    evil = "a\x1b]0;x\x07\r\n\x9b31m\u202egnp.exe\ud800\u2028é 日本 😀.png"
    assert shown(evil).isprintable()
    assert shown("é 日本 😀.png") == "é 日本 😀.png"
    assert shown(Path("/tmp/a b")) == "/tmp/a b"
