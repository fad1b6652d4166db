"""Tar archives of pictures from strangers, compressed or not: what is in them, safely read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any

from tinygan.data.opening import open_regular

__all__ = ["TAR_ERRORS", "is_tar", "members"]

_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
_MOST_HEADER = 1 << 20  # bytes: of a long name, say; tarfile reads them into memory
_PACKED: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
TAR_ERRORS = (
    tarfile.TarError,
    gzip.BadGzipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    IndexError,
)


def is_tar(path: Path) -> bool:
    """Tell by its name whether a file is a tar archive."""
    return path.name.lower().endswith(_ENDINGS)


@contextmanager
def members(path: Path) -> Iterator[Iterator[tuple[str, int, int, Any]]]:
    """Give (name, kind, bytes, what to read it from) of each member, in the archive's order.

    The kind is that of `stat`: a file, a folder, or what has no business here.  A member is to be
    read before the next one is asked for.
    """
    with open_regular(path) as raw:
        packed = _PACKED.get(raw.read(2))
        raw.seek(0)
        file: Any = _Bounded(packed(raw) if packed else raw)
        archive = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115

        def each() -> Iterator[tuple[str, int, int, Any]]:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # or every name is kept
                kind = stat.S_IFREG if member.isreg() else stat.S_IFLNK
                kind = stat.S_IFDIR if member.isdir() else kind
                yield member.name, kind, member.size, partial(archive.extractfile, member)

        yield each()


class _Bounded(io.RawIOBase):
    """A file whose reader cannot be talked into taking gigabytes at once by what a header says."""

    def __init__(self, file: IO[bytes] | Any):
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _MOST_HEADER or size < 0:
            raise tarfile.ReadError("a header of more than a megabyte")
        try:
            return self._file.read(size)
        except OSError as error:
            if error.errno is None:  # a decompressor's, not the system's
                raise tarfile.ReadError(str(error)) from None
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return True
