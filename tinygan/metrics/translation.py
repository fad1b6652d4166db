"""How far a translation is from the true one, where that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygan.machine.arrays import Array
from tinygan.metrics import _check
from tinygan.metrics.similarity import ssim

__all__ = ["TranslationError", "flicker", "translation_error"]


@dataclass(frozen=True)
class TranslationError:
    """Errors of a set of translations.

    Attributes
    ----------
    absolute : ndarray
        ``(N,)``, the mean absolute difference of each picture, in units of [−1, 1].
    structural : ndarray
        ``(N,)``, 1 − the structural similarity of each.
    """

    absolute: np.ndarray
    structural: np.ndarray


def translation_error(translated: Array, truth: Array) -> TranslationError:
    """Compare translations with the true ones, picture by picture.

    Parameters
    ----------
    translated, truth : ndarray
        ``(N, H, W, C)``.  For drawn bags, with ``bags`` of `tinygan.data`::

            handbags, backpacks = (bags(100, 64, domain=d, start=10_000).images
                                   for d in ("handbag", "backpack"))
            translation_error(G.predict(…), backpacks)

    Returns
    -------
    TranslationError

    Notes
    -----
    Two numbers tell how much that is: the error of not translating at all, and that of answering
    every bag with *another* true backpack, which is right in style and wrong in content.
    """
    translated, truth = _check.image_pair(translated, truth, ("translated", "truth"))
    if len(translated) != len(truth):
        raise ValueError(
            f"translated and truth: expected as many of each, got {len(translated)} and "
            f"{len(truth)}"
        )
    difference = np.abs(_check.as_float(translated) - _check.as_float(truth))
    return TranslationError(
        difference.mean(axis=(1, 2, 3), dtype=np.float64), 1 - ssim(translated, truth)
    )


def flicker(frames: Array, places: Array) -> float:
    r"""Return how much a film changes beside its motion, in units of [−1, 1].

    Parameters
    ----------
    frames : ndarray
        ``(T, H, W, C)``, at least 2.
    places : ndarray
        Whole numbers ``(T, 2)``: the row and the column at which each frame lies in one large
        picture.  Of drawn pictures that is known; all zeros are a camera that stands still.

    Notes
    -----
    With :math:`v_t` the difference of two places, over the pixels :math:`p` that both frames show:

    .. math:: \frac{1}{T - 1} \sum_{t > 0} \overline{|s_t(p) - s_{t-1}(p + v_t)|}

    It is 0 for frames cut out of one picture.  So is a film of one colour: look at the distance to
    the truth as well.

    Examples
    --------
    >>> import numpy as np
    >>> large = np.random.default_rng(0).uniform(-1, 1, (20, 20, 3))
    >>> places = [(0, 0), (1, 2), (4, 1)]
    >>> flicker(np.stack([large[i : i + 9, j : j + 9] for i, j in places]), np.array(places))
    0.0
    """
    frames, places = _check.as_float(frames), np.asarray(places)
    if frames.ndim != 4 or len(frames) < 2 or places.shape != (len(frames), 2):
        raise ValueError(
            "flicker: expected frames (T, H, W, C), at least 2, and places (T, 2), got "
            f"{frames.shape} and {places.shape}"
        )
    size = frames.shape[1:3]
    changes = []
    for before, now, v in zip(frames[:-1], frames[1:], np.diff(places, axis=0), strict=True):
        if (np.abs(v) >= size).any():
            raise ValueError(f"flicker: frames of {size} that are moved by {v} share no pixel")
        here = tuple(slice(max(0, -d), n - max(0, d)) for d, n in zip(v, size, strict=True))
        there = tuple(slice(max(0, d), n - max(0, -d)) for d, n in zip(v, size, strict=True))
        changes.append(np.abs(now[here] - before[there]).mean(dtype=np.float64))
    return float(np.mean(changes))
