"""Which files under a folder are pictures to use."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from tinygan.data.opening import describe_error, shown
from tinygan.errors import DataError

__all__ = ["EXTENSIONS", "find_images", "is_run", "scan"]

_KINDS = (
    "apng avif bmp gif heic heif jfif jp2 jpe jpeg jpg pbm pfm pgm png pnm ppm tga tif tiff webp"
)
EXTENSIONS = frozenset("." + kind for kind in _KINDS.split())
"""Files with these endings, in any case, are taken for pictures; all others are left alone."""

_ABOVE = "a link to a folder that all of these are in"
_RUN = "a run of tinygan, not pictures to train on"


def find_images(folder: str | os.PathLike) -> list[str]:
    """Return the sorted paths, relative to `folder`, of all pictures in it at any depth.

    As `scan`, without what is left out.
    """
    return scan(folder)[0]


def scan(folder: str | os.PathLike) -> tuple[list[str], list[tuple[str, str]]]:
    """Return what may be pictures in a folder at any depth, and the folders that are left out.

    Links are followed; a folder that is reached twice, or from inside of itself, is searched once,
    and one that `folder` itself is in, not at all.
    Runs of tinygan, whose sample sheets are pictures too, are left out, and so are folders that
    cannot be read.

    Returns
    -------
    names : list of str
        Sorted paths, relative to `folder`.
    left_out : list of (str, str)
        Relative path of each folder that was not searched, and why.

    Raises
    ------
    DataError
        If `folder` is missing, is no folder, is a run, cannot be read or holds no picture.
    """
    folder = Path(folder)
    if not os.path.isdir(folder):
        if os.path.lexists(folder):
            kind = "a file" if os.path.isfile(folder) else "something that cannot be opened"
            raise DataError(
                f"{shown(folder)}: expected a folder of pictures, .zip, .tar, .npy or .npz, got "
                f"{kind}"
            )
        raise DataError(
            f"{shown(folder)}: expected a folder of pictures, but there is no such folder"
        )
    if _is_of_run(folder):
        raise DataError(f"{shown(folder)}: {_RUN}")
    names, left_out = _search(folder)
    if left_out and left_out[0][0] == ".":
        raise DataError(f"{shown(folder)}: this folder cannot be read: {left_out[0][1]}")
    if not names:
        without = "; ".join(f"{shown(name)} is left out: {why}" for name, why in left_out[:3])
        raise DataError(
            f"{shown(folder)}: no pictures in this folder (looked at any depth for files ending in "
            f"{' '.join(sorted(EXTENSIONS))}){f'; {without}' if without else ''}"
        )
    return sorted(names), sorted(left_out)


def _search(folder: Path) -> tuple[list[str], list[tuple[str, str]]]:
    names: list[str] = []
    left_out: list[tuple[str, str]] = []
    above: set[tuple[int, int]] = set()
    for place in Path(os.path.realpath(folder)).parents:
        with suppress(OSError):
            above.add(_identity(place))
    seen: set[tuple[int, int]] = set()
    linked: list[str] = []
    real = ["."]  # real folders first: what a link leads to has its own name then
    while real or linked:
        here = real.pop() if real else linked.pop(0)
        directory = os.path.join(folder, here)
        try:
            identity = _identity(directory)
            if identity in seen:
                continue
            seen.add(identity)
            if identity in above or (here != "." and _is_of_run(directory)):
                left_out.append((here, _ABOVE if identity in above else _RUN))
                continue
            with os.scandir(directory) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            left_out.append((here, describe_error(error)))
            continue
        for entry in entries:
            if entry.name.startswith("."):
                continue
            name = entry.name if here == "." else f"{here}/{entry.name}"
            try:
                is_folder = entry.is_dir()
            except OSError:  # a link to itself, say: reading it will say so
                is_folder = False
            if is_folder:
                (linked if entry.is_symlink() else real).append(name)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                names.append(name)
    return names, left_out


def _identity(folder: str | os.PathLike) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _is_of_run(folder: str | os.PathLike) -> bool:
    real = Path(os.path.realpath(folder))
    return is_run(folder) or (real.name == "samples" and is_run(real.parent))


def is_run(folder: str | os.PathLike) -> bool:
    """Tell whether a folder was written by ``tinygan train``."""
    config = os.path.join(folder, "config.json")
    if not os.path.isfile(config):
        return False
    try:
        with open(config, "rb") as file:
            return json.loads(file.read(1 << 20))["format"].startswith("tinygan run")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return os.path.isdir(os.path.join(folder, "checkpoints"))
