"""Where pictures come from: a folder, an archive, or an array in a file."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.data.archive import is_archive, names_in, unpack
from tinygan.data.depth import measure
from tinygan.data.finding import scan
from tinygan.data.images import load_image
from tinygan.data.opening import shown
from tinygan.data.samples import Span
from tinygan.errors import DataError

__all__ = ["Folder", "Source", "find_source", "has_part", "unpacked"]


class Source:
    """Pictures by their names.

    Attributes
    ----------
    file : pathlib.Path or None
        The one file that holds them all; None where each is a file of its own.
    names : list of str
        In their order; an archive's are known once it was `opened`.
    left_out : list of (str, str)
        What is not used, and why.
    """

    file: Path | None = None

    def __init__(self) -> None:
        self.names: list[str] = []
        self.left_out: list[tuple[str, str]] = []

    @contextmanager
    def opened(self) -> Iterator[Source]:
        """Hold the pictures ready to be read."""
        yield self

    def check(self, scale: dict) -> None:
        """Raise a `DataError` if no picture can be used with a scale, see `ImageFolder`."""

    def load(self, name: str, **options: Any) -> np.ndarray:
        """Return one picture, see `tinygan.data.load_image`."""
        raise NotImplementedError

    def measure(self, name: str) -> Span | None:
        """Return what numbers a picture holds, if they need a scale, see `depth.measure`."""
        raise NotImplementedError


class Folder(Source):
    """The pictures in a folder, at any depth."""

    def __init__(self, path: Path):
        self.path = path
        self.names, self.left_out = scan(path)

    def load(self, name: str, **options: Any) -> np.ndarray:
        return load_image(self.path / name, **options)

    def measure(self, name: str) -> Span | None:
        return measure(self.path / name)


class Archive(Source):
    """The pictures in an archive, or in a folder of it; unpacked while they are decoded."""

    def __init__(self, file: Path, inside: str):
        super().__init__()
        self.file = self._archive = file
        self._inside = inside

    @contextmanager
    def opened(self) -> Iterator[Source]:
        with unpacked(self._archive) as path:
            if not (path / self._inside).is_dir():
                raise DataError(f"{shown(self._archive)}: there is no folder {self._inside} in it")
            self._folder = Folder(path / self._inside)
            self.names, self.left_out = self._folder.names, self._folder.left_out
            yield self

    def load(self, name: str, **options: Any) -> np.ndarray:
        return self._folder.load(name, **options)

    def measure(self, name: str) -> Span | None:
        return self._folder.measure(name)


def find_source(path: Path) -> Source:
    """Return what reads the pictures at `path`.

    That is a folder, ``FILE.zip`` or ``FILE.tar``, packed by gzip, bzip2 or xz or not, an array
    ``FILE.npy`` or ``FILE.npz``; or ``FILE.zip/FOLDER``, ``FILE.npz/NAME``.

    Raises
    ------
    DataError
        If there is nothing, or nothing with pictures in it.
    """
    file, inside = _split(path)
    if file is None:
        return Folder(path)
    if is_archive(file):
        return Archive(file, inside)
    from tinygan.data.arrays import ARRAYS, ArrayFile

    if file.suffix.lower() in ARRAYS:
        return ArrayFile(file, inside)
    return Folder(path)  # it says what it expected


def has_part(path: Path, name: str) -> bool:
    """Tell whether there are pictures at ``path/name``: a folder, or a part of a file."""
    file, inside = _split(path)
    if file is None or inside:
        return (path / name).is_dir()
    if is_archive(file):
        return any(name in Path(member).parts[:-1] for member in names_in(file))
    from tinygan.data.arrays import ARRAYS, array_names

    return file.suffix.lower() in ARRAYS and name in array_names(file)


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """Give a folder with all that is in an archive; it is removed in the end."""
    with tempfile.TemporaryDirectory(prefix="tinygan-") as folder:
        yield unpack(archive, Path(folder) / archive.name)


def _split(path: Path) -> tuple[Path | None, str]:
    """Return the file at `path`, or above it, and what is meant inside of it."""
    for place in (path, *path.parents):
        if os.path.isfile(place):
            return place, path.relative_to(place).as_posix().removeprefix(".")
        if os.path.lexists(place):
            break
    return None, ""
