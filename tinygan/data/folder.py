"""A folder of pictures, of any kinds and sizes, as one array of bytes: decoded once, then kept."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from tinygan.data.cache import DiskCache, cache_key
from tinygan.data.images import check_options, load_image
from tinygan.errors import DataError
from tinygan.machine.parallel import get_num_threads

__all__ = ["EXTENSIONS", "ImageFolder", "find_images"]

_KINDS = "avif bmp gif jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm tga tif tiff webp"
EXTENSIONS = frozenset("." + kind for kind in _KINDS.split())
"""Files with these endings, in any case, are taken for pictures; all others are left alone."""

_CHUNK = 256  # pictures decoded at a time: what is in memory beside the result
_REVISION = 1  # part of the cache's key; raise it when load_image comes to return other bytes


class ImageFolder:
    """All pictures under a folder, at any depth, as squares of one size.

    Pictures are decoded once, on all cores, into an array of bytes.  The array is kept in a cache
    file and opened memory-mapped, so that the next run starts at once and pictures that are not
    looked at take no memory.  A changed, added or removed file is noticed by its path, size or
    time of change.  The cache is in the user's cache directory, or where ``TINYGAN_CACHE`` says;
    it may be deleted at any time.

    Hidden files and folders (``.name``) and files that are no pictures by their ending are left
    alone.  Damaged and truncated pictures are skipped: each is named once in a warning and kept
    in `skipped`.

    Parameters
    ----------
    path
        The folder.
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

    Attributes
    ----------
    images : numpy.ndarray
        uint8 ``(N, H, W, C)``, read-only, in the order of the sorted relative paths.
    files : list of str
        Path of each image, relative to the folder.
    skipped : list of (str, str)
        Path of each unusable file, relative to the folder, and why.
    path : pathlib.Path
        The folder.
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
    ):
        if image_size is None:
            raise DataError("image_size: expected a positive number of pixels, got None")
        height, width = check_options(image_size, channels, crop, fit)
        self.path = Path(path)
        names = find_images(self.path)
        self._options = {
            "image_size": (height, width),
            "channels": channels,
            "crop": crop,
            "fit": fit,
        }
        shape = (height, width, channels)
        self.from_cache = False
        found = None
        if cache:
            key = cache_key(self.path, names, {"revision": _REVISION, **self._options})
            found, self.from_cache = self._cached(DiskCache(key), shape, names)
        images, skipped = found or _in_memory(shape, self._decode(names))
        self.skipped: list[tuple[str, str]] = [(name, why) for name, why in skipped]
        unusable = {name for name, _ in self.skipped}
        self.files = [name for name in names if name not in unusable]
        for name, why in self.skipped:
            warnings.warn(f"skipped {self.path / name}: {why}", stacklevel=2)
        if not self.files:
            raise DataError(
                f"{self.path}: none of its {len(names)} picture files can be read "
                f"(the first: {self.skipped[0][0]}: {self.skipped[0][1]})"
            )
        self.images = images
        self.images.flags.writeable = False

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "×".join(str(n) for n in self.images.shape[1:])
        return f"ImageFolder({str(self.path)!r}: {len(self)} images of {shape})"

    def _cached(self, entry: DiskCache, shape, names):
        if found := entry.load(shape):
            return found, True
        try:
            entry.store(shape, self._decode(names))
        except OSError as error:
            warnings.warn(
                f"the images are kept in memory, as {entry.array_path.parent} cannot be written: "
                f"{error.strerror or error}",
                stacklevel=3,
            )
        return entry.load(shape), False

    def _decode(self, names):
        """Yield, chunk after chunk, the decoded images and the files that could not be."""

        def decode(name):
            try:
                return load_image(self.path / name, **self._options)
            except Exception as error:  # Pillow raises a dozen kinds for damaged files
                return name, _reason(error)

        # Pillow lets go of the interpreter while it decodes; reading a slow disk overlaps, too
        with ThreadPoolExecutor(2 * get_num_threads()) as pool:
            for start in range(0, len(names), _CHUNK):
                results = list(pool.map(decode, names[start : start + _CHUNK]))
                images = [r for r in results if isinstance(r, np.ndarray)]
                yield images, [r for r in results if not isinstance(r, np.ndarray)]


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "not a picture that can be read" if "cannot identify" in text else text


def _in_memory(shape, chunks):
    images, skipped = [], []
    for decoded, failed in chunks:
        if decoded:
            images.append(np.stack(decoded))
        skipped += failed
    return (np.concatenate(images) if images else np.empty((0, *shape), np.uint8)), skipped


def find_images(folder: str | os.PathLike) -> list[str]:
    """Return the sorted paths, relative to `folder`, of all pictures in it at any depth.

    Links are followed; a loop of links is walked once.

    Raises
    ------
    DataError
        If `folder` is missing, is no folder, or holds no picture.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"{folder}: expected a folder of pictures, but there is no such folder")
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of pictures, got a file")
    found: list[str] = []

    def walk(directory: Path, above: frozenset) -> None:
        status = directory.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:  # a link back to a folder that we are in
            return
        for entry in os.scandir(directory):
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                walk(Path(entry.path), above | {here})
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS:
                found.append(Path(entry.path).relative_to(folder).as_posix())

    try:
        walk(folder, frozenset())
    except PermissionError as error:
        raise DataError(f"{error.filename}: permission to read this folder was denied") from None
    if not found:
        raise DataError(
            f"{folder}: no pictures in this folder (looked at any depth for files ending in "
            f"{' '.join(sorted(EXTENSIONS))})"
        )
    return sorted(found)
