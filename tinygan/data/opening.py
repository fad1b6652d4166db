"""Opening picture files of strangers: regular files only, known formats only, no other program."""

from __future__ import annotations

import errno
import functools
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from PIL import Image, UnidentifiedImageError

from tinygan.errors import DataError

__all__ = [
    "BRANDS",
    "FORMATS",
    "describe_error",
    "open_image",
    "open_regular",
    "quiet_pillow",
    "shown",
]

FORMATS = tuple(
    ["PNG", "JPEG", "MPO", "WEBP", "GIF", "BMP", "TIFF", "PPM", "JPEG2000", "AVIF", "HEIF", "TGA"]
)
"""The formats that are opened, whatever a file's name ends in: all are decoded in this process."""

_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
BRANDS = (*_HEIC, b"avif", b"avis")
"""What follows ``ftyp`` in a picture's file; in a video's it is something else."""


def shown(name: object) -> str:
    """Return a file's name fit for a terminal: what cannot be shown is escaped.

    Examples
    --------
    >>> shown("a\\x1b[31mb.png")
    'a\\\\x1b[31mb.png'
    """
    text = os.fspath(name) if isinstance(name, os.PathLike) else str(name)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def open_regular(path: str | os.PathLike) -> IO[bytes]:
    """Open a regular file to read; a pipe, socket or device is refused, never waited for."""
    _check_regular(os.stat(path).st_mode)  # before it is opened: opening a device may do something
    flags = os.O_RDONLY
    for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    handle = os.open(path, flags)
    try:
        _check_regular(os.fstat(handle).st_mode)
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def _check_regular(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _SPECIAL.get(stat.S_IFMT(mode), "something special")
        raise DataError(f"{kind}, expected a file")


@contextmanager
def open_image(path: str | os.PathLike) -> Iterator[Image.Image]:
    """Open a picture in one of `FORMATS`; its pixels are not decoded yet.

    Raises
    ------
    DataError
        If it is no regular file, or in no such format.
    OSError or another exception of Pillow's
        If it is missing, damaged or cut short.
    """
    with open_regular(path) as file:
        try:  # an open file, not its name: Pillow would map it, and die if it is cut while mapped
            picture = Image.open(file, formats=_formats())
        except UnidentifiedImageError:
            file.seek(0)
            raise DataError(_why_unknown(file.read(16))) from None
        with picture:
            yield picture


@functools.cache
def _formats() -> tuple[str, ...]:
    Image.init()
    try:
        import pillow_heif

        pillow_heif.register_heif_opener()
    except ImportError:
        pass
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _why_unknown(start: bytes) -> str:
    if start[4:8] == b"ftyp" and start[8:12] in _HEIC:
        return "HEIC pictures need the package pillow-heif: pip install 'tinygan[heif]'"
    if start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis") and "AVIF" not in _formats():
        return "AVIF pictures need a newer Pillow: pip install --upgrade pillow"
    if start[:4] in (b"II*\0", b"MM\0*"):
        return "a TIFF file of a kind that cannot be read, or a damaged one"
    if not start:
        return "an empty file"
    return "not a picture that can be read"


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keep Pillow's own warnings back, which do not say which file they are about."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def describe_error(error: BaseException) -> str:
    """Return why a file could not be read or written, in one line."""
    if isinstance(error, OSError) and error.strerror:
        if error.errno == errno.ELOOP:
            return "a link to itself"
        return error.strerror
    if isinstance(error, MemoryError):
        return "too large for the memory"
    return shown((str(error).splitlines() or [type(error).__name__])[0])
