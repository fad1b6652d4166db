r"""A translated film without flicker: each frame is averaged with the one before, moved along.

A network that translates every frame by itself makes a little of everything anew: its convolutions
of stride 2 see a picture that has moved by one pixel otherwise, and norms look at all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

__all__ = ["estimate_shift", "smoothed"]

_SAME = 0.1  # a difference in [−1, 1] at which a place is hardly taken for the same any more


def estimate_shift(before: np.ndarray, now: np.ndarray) -> tuple[int, int]:
    r"""Return by how many pixels, down and to the right, a picture has moved as a whole.

    Parameters
    ----------
    before, now : ndarray
        ``(H, W, C)``.

    Notes
    -----
    By phase correlation: moving a picture by :math:`v` multiplies its Fourier transform at the
    frequency :math:`k` by :math:`e^{-i k v}`, so the inverse transform of

    .. math:: \frac{N(k)\, \overline{B(k)}}{|N(k)\, B(k)|}

    is a peak at :math:`v`.  Of this and of no shift, the one that explains the picture better is
    returned.

    References
    ----------
    C. D. Kuglin and D. C. Hines, *The phase correlation image alignment method*, 1975.
    """
    B, N = (np.fft.rfft2(picture.mean(axis=2) - picture.mean()) for picture in (before, now))
    product = N * B.conj()
    peak = np.fft.irfft2(product / (np.abs(product) + 1e-9), s=now.shape[:2])
    found = np.unravel_index(peak.argmax(), peak.shape)
    shift = [int(v) if v <= n // 2 else int(v) - n for v, n in zip(found, peak.shape, strict=True)]
    candidates = [(0, 0), (shift[0], shift[1])]
    return min(candidates, key=lambda v: float(np.abs(now - np.roll(before, v, (0, 1))).mean()))


def smoothed(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], strength: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    r"""Give the translated frames of a film, averaged over time.

    Parameters
    ----------
    pairs : iterable of (ndarray, ndarray)
        Each frame :math:`x_t` and its translation :math:`y_t`, both ``(H, W, C)`` in [−1, 1].
    strength : float
        :math:`a`, from 0, which leaves the film as it is, to below 1.

    Yields
    ------
    (ndarray, ndarray)
        :math:`x_t` and :math:`s_t`.

    Notes
    -----
    With the shift :math:`v` of the whole picture, at every pixel :math:`p`:

    .. math::
        s_t(p) &= w\, s_{t-1}(p - v) + (1 - w)\, y_t(p) \\
        w &= a\, \exp\big(-(d / 0.1)^2\big), \qquad
        d = \overline{|x_t(p) - x_{t-1}(p - v)|}

    where the bar is the mean over channels and 3 × 3 pixels.  What moves by itself differs from
    what was there before, and is taken from its own frame: it leaves no ghost.
    """
    last: tuple[np.ndarray, np.ndarray] | None = None
    for x, y in pairs:
        if last is not None and strength:
            before, out = last
            shift = estimate_shift(before, x)
            change = np.abs(x - np.roll(before, shift, (0, 1))).mean(axis=2, keepdims=True)
            change = np.pad(change, ((1, 1), (1, 1), (0, 0)), "edge")
            height, width = x.shape[:2]
            near = sum(change[i : i + height, j : j + width] for i in range(3) for j in range(3))
            weight = np.float32(strength) * np.exp(-((near / np.float32(9 * _SAME)) ** 2))
            y = weight * np.roll(out, shift, (0, 1)) + (1 - weight) * y
        last = x, y
        yield last
