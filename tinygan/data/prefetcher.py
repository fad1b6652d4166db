"""Shuffled batches, prepared by a background thread while the last one is being learnt from."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from tinygan.data.cache import check_whole
from tinygan.data.conversion import to_float
from tinygan.data.prepared import Prepared
from tinygan.errors import DataError

__all__ = ["Prefetcher", "UnpairedPrefetcher"]

_ORDER, _FLIP, _CROP = range(3)  # what a random number is for: each has its own stream


class Prefetcher(Prepared):
    """Endless shuffled batches of images as float32 in [−1, 1], prepared in the background.

    Which images a batch holds, in which order and which of them are mirrored, is a function of
    `seed` and the step alone: training that is resumed with ``start_step`` sees what it would have
    seen.  Every epoch is a fresh permutation; what is left over at its end and fills no batch is
    dropped (it is another remainder each epoch).

    Parameters
    ----------
    images : numpy.ndarray
        uint8 ``(N, H, W, C)``, possibly memory-mapped.
    batch_size : int
    seed : int
    start_step : int
        Number of the first batch, counted from 0 over all epochs.
    flip : bool
        Mirror each image left to right with probability ½.

    Attributes
    ----------
    step : int
        Number of the next batch.
    waited_seconds : float
        Time spent in ``next`` waiting for a batch, the first one included.

    Raises
    ------
    DataError
        If the images are no bytes of that shape, or fewer than one batch.

    Examples
    --------
    >>> with Prefetcher(np.zeros((10, 8, 8, 3), np.uint8), batch_size=4, seed=0) as batches:
    ...     x = next(batches)
    >>> x.shape, x.dtype.name, batches.steps_per_epoch
    ((4, 8, 8, 3), 'float32', 2)
    """

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        seed: int = 0,
        start_step: int = 0,
        flip: bool = False,
    ):
        super().__init__(_Shuffled(images, batch_size, seed, flip), start_step)


class _Shuffled:
    def __init__(self, images: np.ndarray, batch_size: int, seed: int, flip: bool):
        self.images = _check_images(images, "images")
        self.batch_size, self.seed, self.flip = _check_batch_size(batch_size), seed, flip
        if batch_size > len(images):
            held = "is 1 image" if len(images) == 1 else f"are {len(images)} images"
            raise DataError(f"batch size {batch_size} is larger than the data: there {held}")
        self.steps_per_epoch = len(images) // batch_size
        self._order = _Order(len(images), (seed, _ORDER))

    def batch(self, step: int) -> np.ndarray:
        epoch, k = divmod(step, self.steps_per_epoch)
        check_whole(self.images)
        x = np.asarray(self.images)[
            self._order.of(epoch)[k * self.batch_size : (k + 1) * self.batch_size]
        ]
        if self.flip:
            mirrored = _random(self.seed, _FLIP, step).random(len(x)) < 0.5
            x[mirrored] = x[mirrored, :, ::-1]
        return to_float(x)


class UnpairedPrefetcher(Prepared):
    """Endless pairs of batches from two unpaired sets of images, as CycleGAN is trained on.

    Each image is resized to `load_size`, a square of `image_size` is cut out of it at a random
    place, and it is mirrored with probability ½; all of this independently in each domain.  An
    epoch is ``max(|A|, |B|) // batch_size`` steps; the smaller domain goes round more than once,
    newly shuffled each time.  As in `Prefetcher`, everything is a function of `seed` and the step.

    Parameters
    ----------
    A, B : numpy.ndarray
        uint8 ``(N, H, W, C)`` of the two domains, with the same C; N, H and W may differ.
        Images that already are of `load_size` are not resized again.
    batch_size : int
    load_size, image_size : int
        Pixels; ``load_size >= image_size``.
    flip : bool
    seed : int
    start_step : int
        Number of the first batch, counted from 0 over all epochs.

    Yields
    ------
    x, y : numpy.ndarray
        float32 ``(batch_size, image_size, image_size, C)`` in [−1, 1], of A and of B.
    """

    def __init__(
        self,
        A: np.ndarray,
        B: np.ndarray,
        batch_size: int = 1,
        load_size: int = 286,
        image_size: int = 256,
        flip: bool = True,
        seed: int = 0,
        start_step: int = 0,
    ):
        source = _Unpaired(A, B, batch_size, load_size, image_size, flip, seed)
        super().__init__(source, start_step)


class _Unpaired:
    def __init__(
        self,
        A: np.ndarray,
        B: np.ndarray,
        batch_size: int,
        load_size: int,
        image_size: int,
        flip: bool,
        seed: int,
    ):
        self.domains = (_check_images(A, "A"), _check_images(B, "B"))
        if A.shape[3] != B.shape[3]:
            raise DataError(f"A has {A.shape[3]} channels a pixel but B has {B.shape[3]}")
        if not 0 < image_size <= load_size:
            raise DataError(
                f"load_size {load_size} is too small to cut squares of {image_size} pixels from it"
            )
        self.batch_size, self.seed, self.flip = _check_batch_size(batch_size), seed, flip
        self.load_size, self.image_size = load_size, image_size
        if batch_size > max(len(A), len(B)):
            raise DataError(
                f"batch size {batch_size} is larger than the data: "
                f"there are {len(A)} and {len(B)} images"
            )
        self.steps_per_epoch = max(len(A), len(B)) // batch_size
        self._orders = [
            _Order(len(images), (seed, _ORDER, domain))
            for domain, images in enumerate(self.domains)
        ]

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        return self._domain_batch(0, step), self._domain_batch(1, step)

    def _domain_batch(self, domain: int, step: int) -> np.ndarray:
        check_whole(self.domains[domain])
        images, order, size = self.domains[domain], self._orders[domain], self.image_size
        images = np.asarray(images)  # a plain view of a memory-mapped array: batches are plain
        epoch, k = divmod(step, self.steps_per_epoch)
        rounds: Iterable[int]
        places: Iterable[int]
        # the larger domain starts each epoch anew; the smaller one's rounds run on through epochs
        if len(images) // self.batch_size == self.steps_per_epoch:
            rounds, places = (
                [epoch] * self.batch_size,
                range(k * self.batch_size, (k + 1) * self.batch_size),
            )
        else:
            first = step * self.batch_size
            rounds, places = np.divmod(np.arange(first, first + self.batch_size), len(images))
        random = _random(self.seed, _CROP, step, domain)
        offsets = random.integers(0, self.load_size - size + 1, (self.batch_size, 2))
        mirrored = random.random(self.batch_size) < 0.5
        x = np.empty((self.batch_size, size, size, images.shape[3]), np.uint8)
        for i, (number, place) in enumerate(zip(rounds, places, strict=True)):
            image = _resize(images[order.of(int(number))[place]], self.load_size)
            top, left = offsets[i]
            image = image[top : top + size, left : left + size]
            x[i] = image[:, ::-1] if self.flip and mirrored[i] else image
        return to_float(x)


class _Order:
    """The permutation of each round through the images; the last one asked for is kept."""

    def __init__(self, length: int, key: tuple[int, ...]):
        self.length, self.key = length, key
        self._kept: tuple[int, np.ndarray] = (-1, np.empty(0, int))

    def of(self, number: int) -> np.ndarray:
        kept, order = self._kept
        if kept != number:
            order = _random(*self.key, number).permutation(self.length)
            self._kept = (number, order)  # one assignment: safe between threads
        return order


def _random(*key: int) -> np.random.Generator:
    return np.random.default_rng(key)


def _resize(image: np.ndarray, size: int) -> np.ndarray:
    if image.shape[:2] == (size, size):
        return image
    grey = image.shape[2] == 1
    picture = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if grey else image))
    resized = np.asarray(picture.resize((size, size), Image.Resampling.BICUBIC))
    return resized[:, :, None] if grey else resized


def _check_batch_size(batch_size: int) -> int:
    if int(batch_size) != batch_size or batch_size < 1:
        raise DataError(f"batch size: expected a whole number of 1 or more, got {batch_size!r}")
    return int(batch_size)


def _check_images(images: np.ndarray, name: str) -> np.ndarray:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        what = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images)
        raise DataError(f"{name}: expected a uint8 array of shape (N, H, W, C), got {what}")
    if not len(images):
        raise DataError(f"{name}: expected at least one image, got none")
    return images
