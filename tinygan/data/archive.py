"""Unpacking zip archives of pictures from strangers."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from tinygan.data.folder import find_images
from tinygan.data.opening import shown
from tinygan.data.output import check_new, new_folder
from tinygan.errors import DataError
from tinygan.machine.memory import size_text

__all__ = ["BadArchive", "unpack"]

_MOST = 100, 1 << 30  # times an archive's size, plus so many bytes: pictures are packed already
_WINDOWS = os.name == "nt"
_DEVICES = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class BadArchive(DataError):
    """The archive is damaged, not to be trusted, or not what it should be."""


def unpack(archive: str | os.PathLike, destination: str | os.PathLike) -> Path:
    """Unpack a zip archive into a new folder, which appears when everything in it is checked.

    Every name in the archive is looked at before anything is written: absolute paths, paths with
    ``..``, links and other special files mean that the archive is refused.  Every file's checksum
    is compared while it is written.  Outer folders that hold nothing but one folder are left out,
    so that ``monet2photo.zip`` with everything under ``monet2photo/`` gives ``DESTINATION/trainA``.

    Parameters
    ----------
    archive
        The zip file; it is left where it is.
    destination
        The folder to make; it must not exist, or be empty.

    Returns
    -------
    pathlib.Path
        `destination`.

    Raises
    ------
    BadArchive
        If the archive is no zip, is damaged, tries to write outside its folder or holds no picture.
    DataError
        If the archive is missing, or needs more room than there is, or the destination holds
        something.

    Nothing is written in any of these cases.
    """
    archive, destination = Path(archive), check_new(destination)
    name = shown(archive)
    if not archive.is_file():
        raise DataError(f"{name}: there is no such archive")
    try:
        with zipfile.ZipFile(archive) as file, new_folder(destination) as folder:
            entries = [(entry, _safe_path(name, entry)) for entry in file.infolist()]
            entries = [(entry, path) for entry, path in entries if path is not None]
            size = archive.stat().st_size
            needed = sum(entry.file_size for entry, _ in entries)
            if needed > _MOST[0] * size + _MOST[1]:
                raise BadArchive(
                    f"{name}: refused, as its {size_text(size)} would become {size_text(needed)}"
                )
            free = shutil.disk_usage(folder).free
            if needed > free:
                raise DataError(
                    f"{name}: unpacked it takes {size_text(needed)}, but there are only "
                    f"{size_text(free)} free in {destination.parent}"
                )
            for entry, path in tqdm(
                entries, f"unpacking {archive.name}", disable=None, leave=False
            ):
                _extract(file, entry, folder / path)
            _lift(folder)
            try:
                find_images(folder)
            except DataError:
                raise BadArchive(f"{name}: there is no picture in this archive") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise BadArchive(f"{name}: not a whole zip archive ({error})") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, unknown compression
        raise BadArchive(f"{name}: cannot be unpacked ({error})") from None
    except DataError:
        raise
    except (ValueError, IndexError, OverflowError, struct.error) as error:  # nonsense in its tables
        raise BadArchive(f"{name}: not a whole zip archive ({error})") from None
    return destination


def _safe_path(archive: str, entry: zipfile.ZipInfo) -> PurePosixPath | None:
    """Return where an entry goes, None for what need not be unpacked; raise if it is no good."""
    name = entry.filename.replace("\\", "/")
    path = PurePosixPath(name)
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if path.is_absolute() or ".." in path.parts or ":" in name.split("/")[0] or "\0" in name:
        raise BadArchive(f"{archive}: refused, as it tries to write outside its folder: {name!r}")
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadArchive(f"{archive}: refused, as it holds a link or special file: {name!r}")
    if entry.compress_type not in _METHODS:
        raise BadArchive(f"{archive}: expected files that are stored or deflated: {name!r} is not")
    if _WINDOWS and any(map(_is_no_name_on_windows, path.parts)):
        raise BadArchive(f"{archive}: refused, as Windows has no files of this name: {name!r}")
    junk = not path.parts or path.parts[0] == "__MACOSX" or path.name == ".DS_Store"
    return None if junk or entry.is_dir() else path


def _is_no_name_on_windows(part: str) -> bool:
    """Tell whether Windows would open something else: ``CON.png``, ``a.png.``, ``a:b``."""
    stem = part.partition(".")[0].rstrip(" ").upper()
    device = stem in _DEVICES or (stem[:3] in ("COM", "LPT") and len(stem) == 4)
    return device or part[-1] in ". " or any(c in '<>:"|?*' or ord(c) < 32 for c in part)


def _extract(file: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open(entry) as source, open(target, "xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)  # at the end the checksum is compared
    except (FileExistsError, NotADirectoryError):
        raise BadArchive(
            f"{shown(file.filename)}: refused, as it holds {entry.filename!r} twice"
        ) from None


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
