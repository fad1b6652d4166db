"""How far a translation is from the true one, where that is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinygan.machine.arrays import Array
from tinygan.metrics import _check
from tinygan.metrics.similarity import ssim

__all__ = ["TranslationError", "translation_error"]


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
