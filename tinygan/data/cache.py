"""Decoded images on disk: one ``.npy`` of bytes for a folder and set of options."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np

from tinygan.data.depth import check_scale
from tinygan.data.fingerprint import checksum
from tinygan.errors import DataError
from tinygan.files import read_json, replaced, write_text

__all__ = ["DiskCache", "cache_directory", "cache_key", "check_whole"]

IN_MEMORY = 1 << 30  # bytes of decoded images that are read into memory; more are mapped


def cache_directory() -> Path:
    """Return the folder of cache files: ``TINYGAN_CACHE`` if set, else the user's own."""
    if chosen := os.environ.get("TINYGAN_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("tinygan", appauthor=False))


def cache_key(folder: Path, names: Iterable[str], options: dict, file: Path | None = None) -> str:
    """Return a name for `options` and what `folder` holds now: paths, sizes, times of change.

    Where all is in one file, an archive, it is that file whose size and time count.
    """
    if file is not None:
        options = {**options, "part": str(folder.relative_to(file))}
        folder, names = file.parent, [file.name]
    subject = json.dumps([os.path.realpath(folder), options], sort_keys=True)
    digest = hashlib.sha256(subject.encode())
    for name in names:
        try:
            status = os.stat(folder / name)
            stamp = (status.st_size, status.st_mtime_ns)
        except OSError:  # a broken link: reading it will say so
            stamp = None
        digest.update(f"{name}\0{stamp}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


class DiskCache:
    """One entry: ``KEY.npy`` holds the images; ``KEY.json``, which comes before it, the rest.

    The rest is what was skipped, the scale of deep pictures, and the images' number and checksum:
    an entry whose bytes are not those that were stored is as good as none.
    """

    def __init__(self, key: str):
        directory = cache_directory() / "images"
        self.array_path = directory / f"{key}.npy"
        self.notes_path = directory / f"{key}.json"

    def load(self, shape: tuple[int, int, int]) -> tuple[np.ndarray, dict] | None:
        """Return ``(images, notes)``, or None if they are not there or not what was stored.

        Up to `IN_MEMORY` bytes are read into memory, where no other process can change them; more
        are memory-mapped.
        """
        try:
            notes = read_json(self.notes_path)
            images = np.load(self.array_path, mmap_mode="r")  # never more than the file holds
            if images.shape != (notes["images"], *shape) or images.dtype != np.uint8:
                return None
            if images.nbytes <= IN_MEMORY:
                data = np.fromfile(self.array_path, np.uint8, offset=images.offset)
                images = data.reshape(images.shape)
            if checksum(images) != notes["checksum"]:
                return None
            check_scale(notes["scale"])
            if not all(isinstance(part, str) for pair in notes["skipped"] for part in pair):
                return None
            if not all(isinstance(name, str) for name in notes.get("names", [])):
                return None
        except Exception:  # no such notes, no such array: NumPy raises a dozen kinds for its header
            return None
        return images, notes

    def store(self, shape: tuple[int, int, int], chunks: Iterable, notes: dict) -> None:
        """Write `chunks`, each (list of images of `shape`, list of (name, reason)), in one go.

        Raises
        ------
        OSError
            If the files cannot be written; nothing is left of them then.
        """
        self.array_path.parent.mkdir(parents=True, exist_ok=True)
        for path in (self.array_path, self.notes_path):
            if path.exists() and not path.is_file():  # `replaced` leaves pipes and devices alone
                path.unlink()
        count, skipped = 0, []
        with replaced(self.array_path) as beside:
            with open(beside, "wb") as file:
                _write_header(file, (0, *shape))
                for decoded, failed in chunks:
                    count += len(decoded)
                    skipped += failed
                    for image in decoded:
                        file.write(np.ascontiguousarray(image).data)
                file.seek(0)
                # NumPy pads headers: any count takes the same room
                _write_header(file, (count, *shape))
            whole = np.load(beside, mmap_mode="r") if count else np.empty((0, *shape), np.uint8)
            notes = {**notes, "skipped": skipped, "images": count, "checksum": checksum(whole)}
            del whole  # Windows moves no file that is mapped
            write_text(self.notes_path, json.dumps(notes))


def check_whole(images: np.ndarray) -> None:
    """Raise a `DataError` if images are mapped from a file that has been cut short since.

    To look at what is gone would end the process, without a word.
    """
    path = getattr(images, "filename", None)
    if isinstance(images, np.memmap) and path is not None:
        try:
            size = os.stat(path).st_size
        except OSError:
            return  # deleted: what is mapped stays until it is let go of
        if size < images.offset + images.nbytes:
            raise DataError(f"{path}: this cache file was cut short while it was in use")


def _write_header(file: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
