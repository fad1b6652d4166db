"""Decoded images on disk: one memory-mapped ``.npy`` of bytes for a folder and set of options."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tinygan.files import replaced, write_text

__all__ = ["DiskCache", "cache_directory", "cache_key"]


def cache_directory() -> Path:
    """Return the folder of cache files: ``TINYGAN_CACHE`` if set, else the user's own."""
    if chosen := os.environ.get("TINYGAN_CACHE"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("tinygan", appauthor=False))


def cache_key(folder: Path, names: Iterable[str], options: dict) -> str:
    """Return a name for `options` and what `folder` holds now: paths, sizes, times of change."""
    digest = hashlib.sha256(json.dumps([str(folder.resolve()), options], sort_keys=True).encode())
    for name in names:
        try:
            status = os.stat(folder / name)
            stamp = (status.st_size, status.st_mtime_ns)
        except OSError:  # a broken link: reading it will say so
            stamp = None
        digest.update(f"{name}\0{stamp}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:32]


class DiskCache:
    """One entry: ``KEY.npy`` holds the images; ``KEY.json``, what was skipped, comes before it."""

    def __init__(self, key: str):
        directory = cache_directory() / "images"
        self.array_path = directory / f"{key}.npy"
        self.notes_path = directory / f"{key}.json"

    def load(self, shape: tuple[int, int, int]):
        """Return ``(images, skipped)``, the images memory-mapped, or None if they are not there."""
        try:
            skipped = json.loads(self.notes_path.read_text())
            images = np.load(self.array_path, mmap_mode="r")
        except (OSError, ValueError):
            return None
        whole = images.shape[1:] == shape and images.dtype == np.uint8
        return (images, skipped) if whole else None

    def store(self, shape: tuple[int, int, int], chunks: Iterable) -> None:
        """Write `chunks`, each (list of images of `shape`, list of (name, reason)), in one go.

        Raises
        ------
        OSError
            If the files cannot be written; nothing is left of them then.
        """
        self.array_path.parent.mkdir(parents=True, exist_ok=True)
        count, skipped = 0, []
        with replaced(self.array_path) as beside, open(beside, "r+b") as file:
            _write_header(file, (0, *shape))
            for decoded, failed in chunks:
                count += len(decoded)
                skipped += failed
                for image in decoded:
                    file.write(np.ascontiguousarray(image).data)
            file.seek(0)
            _write_header(
                file, (count, *shape)
            )  # NumPy pads headers: any count takes the same room
            file.flush()
            write_text(self.notes_path, json.dumps(skipped))


def _write_header(file, shape: tuple[int, ...]) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
