"""Pictures of any kinds and sizes as one array of bytes: decoded once, then kept."""

from __future__ import annotations

import errno
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.data.cache import DiskCache, cache_key
from tinygan.data.depth import check_scale, find_scale, measure
from tinygan.data.finding import EXTENSIONS, find_images
from tinygan.data.fingerprint import checksum
from tinygan.data.images import check_options
from tinygan.data.opening import describe_error, quiet_pillow, shown
from tinygan.data.room import disk_bytes
from tinygan.data.samples import Span
from tinygan.data.sources import Source, find_source
from tinygan.errors import DataError
from tinygan.machine.memory import size_text, total_bytes
from tinygan.machine.parallel import get_num_threads

__all__ = ["EXTENSIONS", "ImageFolder", "find_images"]

_CHUNK = 256  # pictures decoded at a time: what is in memory beside the result
_REVISION = 2  # part of the cache's key; raise it when load_image comes to return other bytes


class ImageFolder:
    """All pictures under a folder, at any depth, or in a file, as squares of one size.

    Pictures are decoded once, on all cores, into an array of bytes.  The array is kept in a cache
    file, so that the next run starts at once; its bytes are compared with their checksum.  Large
    sets are memory-mapped: pictures that are not looked at take no memory.  A changed, added or
    removed file is noticed by its path, size or time of change.  The cache is in the user's cache
    directory, or where ``TINYGAN_CACHE`` says; it may be deleted at any time.

    Hidden files and folders (``.name``) and files that are no pictures by their ending are left
    alone.  What cannot be used is skipped: damaged and truncated pictures, pipes and devices,
    folders that cannot be read, runs of tinygan.  Each is named once in a warning and kept in
    `skipped`.

    Parameters
    ----------
    path
        The folder; or an archive of one, ``.zip``, ``.tar``, ``.tar.gz`` (``FILE.zip/FOLDER`` for
        a part of it); or an array, ``.npy`` or ``.npz`` (``FILE.npz/NAME`` for one of several).
    image_size : int or (int, int)
        Side in pixels of the squares, or (height, width).
    channels : {3, 1}
        RGB or grey.
    crop : float, optional
        Side of a centred square to cut out first, as a fraction of each picture's width.
    fit : {"crop", "pad", "stretch"}
        How pictures that are not square become so; see `load_image`.
    cache : bool
        False decodes into memory and writes nothing.
    scale : dict, optional
        Black and white of pictures of more than 8 bits: the `scale` of another folder, as a run
        notes it, or ``{"range": [low, high]}``.  By default, what the files declare, else the
        smallest power of two that holds all their whole numbers, and 0 to 1 or −1 to 1 for floats;
        a warning says so, once.

    Attributes
    ----------
    images : numpy.ndarray
        uint8 ``(N, H, W, C)``, read-only, in the order of the sorted relative paths.
    files : list of str
        Path of each image, relative to the folder.
    skipped : list of (str, str)
        Path of each unusable file or folder, relative to the folder, and why.
    scale : dict
        Black and white of the pictures of more than 8 bits, empty if there are none.
    path : pathlib.Path
        The folder or file.
    from_cache : bool
        Whether the images were found in the cache.

    Raises
    ------
    DataError
        If the folder is missing, is a file, or holds no usable picture.

    Examples
    --------
    >>> data = ImageFolder("celeba", image_size=64, crop=108 / 178)  # doctest: +SKIP
    >>> data.images.shape                                            # doctest: +SKIP
    (202599, 64, 64, 3)
    """

    def __init__(
        self,
        path: str | os.PathLike,
        image_size: int | tuple[int, int] = 64,
        channels: int = 3,
        crop: float | None = None,
        fit: str = "crop",
        cache: bool = True,
        scale: dict | None = None,
    ):
        size = check_options(image_size, channels, crop, fit)
        if size is None:
            raise DataError("image_size: expected a positive number of pixels, got None")
        height, width = size
        self.path = Path(path)
        source = find_source(self.path)
        given = check_scale(scale)
        source.check(given)
        self._options: dict[str, Any] = {
            "image_size": (height, width),
            "channels": channels,
            "crop": crop,
            "fit": fit,
        }
        shape = (height, width, channels)
        self.from_cache = False
        found = None
        if cache:
            options = {"revision": _REVISION, "scale": given, **self._options}
            key = cache_key(self.path, source.names, options, source.file)
            found, self.from_cache = self._cached(DiskCache(key), shape, source, given)
        images, notes = found or self._in_memory(shape, source, given)
        self.scale: dict[str, list] = notes["scale"]
        names = source.names or notes["names"]
        skipped = {*source.left_out, *((name, why) for name, why in notes["skipped"])}
        self.skipped: list[tuple[str, str]] = sorted(skipped)
        unusable = {name for name, _ in self.skipped}
        self.files = [name for name in names if name not in unusable]
        for name, why in self.skipped:
            warnings.warn(f"skipped {shown(self.path / name)}: {why}", stacklevel=2)
        if not self.files:
            raise DataError(
                f"{shown(self.path)}: none of its {len(names)} picture files can be read "
                f"(the first: {shown(self.skipped[0][0])}: {self.skipped[0][1]})"
            )
        self._checksum: str | None = notes.get("checksum")
        self.images = images
        self.images.flags.writeable = False

    @property
    def checksum(self) -> str:
        """A fingerprint of all images, see `tinygan.data.checksum`."""
        if self._checksum is None:
            self._checksum = checksum(self.images)
        return self._checksum

    @property
    def description(self) -> dict:
        """What a run notes of its data: where and how many they are, the scale, the checksum."""
        return {
            "folder": str(self.path),
            "skipped": len(self.skipped),
            "images": len(self),
            "checksum": self.checksum,
            "scale": self.scale,
        }

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "×".join(str(n) for n in self.images.shape[1:])
        return f"ImageFolder({str(self.path)!r}: {len(self)} images of {shape})"

    def _cached(
        self, entry: DiskCache, shape: tuple[int, int, int], source: Source, given: dict
    ) -> tuple[tuple[np.ndarray, dict] | None, bool]:
        found = entry.load(shape)
        if found and (source.names or found[1].get("names")):
            return found, True
        try:
            with source.opened() as opened:
                if len(opened.names) * math.prod(shape) > disk_bytes(entry.array_path)[0]:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                scale = folder_scale(opened.names, given, self.path, opened.measure)
                notes = {"scale": scale, **({"names": opened.names} if source.file else {})}
                entry.store(shape, self._decode(opened, scale), notes)
        except OSError as error:
            warnings.warn(
                f"the images are kept in memory, as {shown(entry.array_path.parent)} cannot be "
                f"written: {error.strerror or error}",
                stacklevel=3,
            )
        return entry.load(shape), False

    def _in_memory(
        self, shape: tuple[int, int, int], source: Source, given: dict
    ) -> tuple[np.ndarray, dict]:
        with source.opened() as opened:
            count, there = len(opened.names), total_bytes()
            if count * math.prod(shape) > there:
                raise DataError(
                    f"{shown(self.path)}: {count} pictures of {shape[1]} × {shape[0]} pixels take "
                    f"{size_text(count * math.prod(shape))}, there are {size_text(there)} of "
                    "memory; make room for the cache, or use smaller pictures"
                )
            scale = folder_scale(opened.names, given, self.path, opened.measure)
            parts, skipped = [], []
            for decoded, failed in self._decode(opened, scale):
                if decoded:
                    parts.append(np.stack(decoded))
                skipped += failed
        images = np.concatenate(parts) if parts else np.empty((0, *shape), np.uint8)
        return images, {"scale": scale, "skipped": skipped}

    def _decode(
        self, source: Source, scale: dict
    ) -> Iterator[tuple[list[np.ndarray], list[tuple[str, str]]]]:
        """Yield, chunk after chunk, the decoded images and the files that could not be."""

        def decode(name: str) -> np.ndarray | tuple[str, str]:
            try:
                return source.load(name, **self._options, scale=scale)
            except Exception as error:  # Pillow raises a dozen kinds for damaged files
                return name, describe_error(error)

        if source.file:  # else they are looked for each time
            yield [], source.left_out
        for results in _threaded(decode, source.names):
            images = [r for r in results if isinstance(r, np.ndarray)]
            yield images, [r for r in results if not isinstance(r, np.ndarray)]


def folder_scale(
    pictures: Sequence[Any],
    given: dict | None = None,
    name: object = None,
    measure: Callable[[Any], Span | None] = measure,
) -> dict:
    """Return black and white of the pictures of more than 8 bits among some.

    Parameters
    ----------
    pictures : list of Path, or whatever `measure` takes
    given : dict, optional
        What is settled already: a scale as `ImageFolder` has it.
    name
        What the files are called in the warning that says what was found.
    measure : callable
        Returns the numbers that a picture holds, if they need a scale.
    """
    given = check_scale(given)
    if "range" in given or {"integers", "floats"} <= given.keys():
        return given

    def look(picture: Any) -> Span | None:
        try:
            return measure(picture)
        except Exception:  # reading it once more will say why
            return None

    spans = [span for chunk in _threaded(look, pictures) for span in chunk]
    found = find_scale(spans)
    for kind, (low, high) in found.items():
        if kind not in given:
            count = sum(s is not None and s.kind == kind and s.fits for s in spans)
            what = "whole numbers of more than 8 bits" if kind == "integers" else kind
            warnings.warn(
                f"{shown(name)}: {count} {'picture' if count == 1 else 'pictures'} of "
                f"{what}: black is {low}, white is {high} (--range LOW HIGH says otherwise)",
                stacklevel=4,
            )
    return {**found, **given}


def _threaded(function: Callable[..., Any], items: Sequence[Any]) -> Iterator[list]:
    """Yield lists of what a function of files gives, in order, computed by many threads."""
    # Pillow lets go of the interpreter while it decodes; reading a slow disk overlaps, too
    with ThreadPoolExecutor(2 * get_num_threads()) as pool:
        for start in range(0, len(items), _CHUNK):
            with quiet_pillow():
                results = list(pool.map(function, items[start : start + _CHUNK]))
            yield results
