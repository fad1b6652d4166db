"""Unpacking zip and tar archives of pictures from strangers."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any

from tqdm import tqdm

from tinygan.data.folder import find_images
from tinygan.data.opening import shown
from tinygan.data.output import check_new, new_folder
from tinygan.data.tar import TAR_ERRORS, is_tar, members
from tinygan.errors import DataError
from tinygan.machine.memory import size_text

__all__ = ["BadArchive", "is_archive", "names_in", "unpack"]

_MOST = 100, 1 << 30  # times an archive's size, plus so many bytes: pictures are packed already
_WINDOWS = os.name == "nt"
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, IndexError, OverflowError, struct.error)
_NO_NAMES = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def is_archive(path: Path) -> bool:
    """Tell by its name whether a file is an archive that can be unpacked."""
    return path.suffix.lower() == ".zip" or is_tar(path)


class BadArchive(DataError):
    """The archive is damaged, not to be trusted, or not what it should be."""


def unpack(archive: str | os.PathLike, destination: str | os.PathLike) -> Path:
    """Unpack a zip or tar archive into a new folder, which appears when all of it is checked.

    Every name in the archive is looked at before anything is written: absolute paths, paths with
    ``..``, links and other special files mean that the archive is refused, as does more than a
    hundred times its size.  Every file's checksum, where there is one, is compared while it is
    written.  Outer folders that hold nothing but one folder are left out, so that
    ``monet2photo.zip`` with everything under ``monet2photo/`` gives ``DESTINATION/trainA``.

    Parameters
    ----------
    archive
        The file, ``.zip``, ``.tar``, ``.tar.gz``, ``.tar.xz`` or ``.tar.bz2``; it stays as it is.
    destination
        The folder to make; it must not exist, or be empty.

    Returns
    -------
    pathlib.Path
        `destination`.

    Raises
    ------
    BadArchive
        If the archive is none, is damaged, tries to write outside its folder or holds no picture.
    DataError
        If the archive is missing, or needs more room than there is, or the destination holds
        something.

    Nothing is written in any of these cases.
    """
    archive, destination = Path(archive), check_new(destination)
    name = shown(archive)
    if not archive.is_file():
        raise DataError(f"{name}: there is no such archive")
    with _explained(name), new_folder(destination) as folder:
        if is_tar(archive):
            _extract_tar(archive, folder)
        else:
            _extract_zip(archive, folder, destination)
        _lift(folder)
        try:
            find_images(folder)
        except DataError:
            raise BadArchive(f"{name}: there is no picture in this archive") from None
    return destination


def names_in(archive: Path) -> list[str]:
    """Return the paths of an archive's files; what `unpack` refuses is refused."""
    with _explained(shown(archive)):
        if is_tar(archive):
            most = _most(archive)
            with members(archive) as found:
                return [str(path) for path, _ in _checked(shown(archive), found, most)]
        with zipfile.ZipFile(archive) as file:
            paths = [_safe_path(shown(archive), entry) for entry in file.infolist()]
            return [str(path) for path in paths if path is not None]


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Turn what goes wrong in an archive's tables and streams into one clear line."""
    try:
        yield
    except DataError:
        raise
    except (*_DAMAGED, *TAR_ERRORS) as error:
        raise BadArchive(f"{name}: not a whole {_kind(name)} archive ({error})") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, unknown compression
        raise BadArchive(f"{name}: cannot be unpacked ({error})") from None


def _kind(name: str) -> str:
    return "tar" if is_tar(Path(name)) else "zip"


def _most(archive: Path) -> int:
    return _MOST[0] * archive.stat().st_size + _MOST[1]


def _extract_zip(archive: Path, folder: Path, destination: Path) -> None:
    name = shown(archive)
    with zipfile.ZipFile(archive) as file:
        entries = [(entry, _safe_path(name, entry)) for entry in file.infolist()]
        kept = [(entry, path) for entry, path in entries if path is not None]
        needed = sum(entry.file_size for entry, _ in kept)
        if needed > _most(archive):
            raise _bomb(archive, needed)
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise DataError(
                f"{name}: unpacked it takes {size_text(needed)}, but there are only "
                f"{size_text(free)} free in {destination.parent}"
            )
        for entry, path in tqdm(kept, f"unpacking {archive.name}", disable=None, leave=False):
            _extract(file, entry, folder / path)


def _bomb(archive: Path, needed: int) -> BadArchive:
    size = size_text(archive.stat().st_size)
    return BadArchive(f"{shown(archive)}: refused, as its {size} would become {size_text(needed)}")


def _extract_tar(archive: Path, folder: Path) -> None:
    name, free = shown(archive), shutil.disk_usage(folder).free
    with members(archive) as found:
        bar = tqdm(found, f"unpacking {archive.name}", disable=None, leave=False)
        for path, read in _checked(name, bar, min(_most(archive), free)):
            _write(name, str(path), read, folder / path)


def _checked(
    name: str, found: Iterable[tuple[str, int, int, Any]], most: int
) -> Iterator[tuple[PurePosixPath, Any]]:
    """Yield path and reader of each file of a tar archive, as long as they are not too much."""
    total = 0
    for member, kind, size, read in found:
        total += size
        if total > most:
            raise BadArchive(
                f"{name}: refused, as unpacked it takes {size_text(total)} or more, expected at "
                f"most {size_text(most)}"
            )
        path = _safe(name, member, kind)
        if path is not None and kind != stat.S_IFDIR:
            yield path, read


def _safe_path(archive: str, entry: zipfile.ZipInfo) -> PurePosixPath | None:
    """Return where an entry goes, None for what need not be unpacked; raise if it is no good."""
    path = _safe(archive, entry.filename, stat.S_IFMT(entry.external_attr >> 16))
    if entry.compress_type not in _METHODS:
        raise BadArchive(
            f"{archive}: expected files that are stored or deflated: {entry.filename!r} is not"
        )
    return None if entry.is_dir() else path


def _safe(archive: str, name: str, kind: int) -> PurePosixPath | None:
    name = name.replace("\\", "/")
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or ":" in name.split("/")[0] or "\0" in name:
        raise BadArchive(f"{archive}: refused, as it tries to write outside its folder: {name!r}")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(f"{archive}: refused, as it holds a link or special file: {name!r}")
    if _WINDOWS and any(map(_is_no_name_on_windows, path.parts)):
        raise BadArchive(f"{archive}: refused, as Windows has no files of this name: {name!r}")
    junk = not path.parts or path.parts[0] == "__MACOSX" or path.name == ".DS_Store"
    return None if junk else path


def _is_no_name_on_windows(part: str) -> bool:
    """Tell whether Windows would open something else: ``CON.png``, ``a.png.``, ``a:b``."""
    stem = part.partition(".")[0].rstrip(" ").upper()
    device = stem in _DEVICES or (stem[:3] in ("COM", "LPT") and len(stem) == 4)
    return device or part[-1] in ". " or any(c in '<>:"|?*' or ord(c) < 32 for c in part)


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    _write(shown(file.filename), entry.filename, lambda: file.open(entry), target)


def _write(archive: str, name: str, read: Callable[[], IO[bytes]], target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with read() as source, open(target, "xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)  # at a zip's end the checksum is compared
    except (FileExistsError, NotADirectoryError):
        raise BadArchive(f"{archive}: refused, as it holds {name!r} twice") from None
    except OSError as error:
        if error.errno not in _NO_NAMES:
            raise
        short = f"{name[:40]!r}…" if len(name) > 40 else repr(name)
        why = os.strerror(error.errno)
        raise BadArchive(f"{archive}: {short} cannot be the name of a file here: {why}") from None


def _lift(folder: Path) -> None:
    """While all that `folder` holds is one folder, put what that holds in its place."""
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1 or not inside[0].is_dir():
            return
        if inside[0].name in ("trainA", "trainB", "testA", "testB"):
            return
        inner = inside[0].rename(folder / f"{inside[0].name}-")  # out of the way of a namesake
        for child in inner.iterdir():
            child.rename(folder / child.name)
        inner.rmdir()
