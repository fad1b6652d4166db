"""Is the training still a game?  Warnings when D wins, when D loses, when G makes one picture only.

The three failures are those of the first paper's *Challenges faced*.  The thresholds were chosen on
runs that were made to fail and on healthy ones, and counted on others: ``benchmarks/alarms.py``.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from tinygan.data import to_float
from tinygan.metrics import diversity, nearest_neighbours

__all__ = ["Alarms", "Variety", "Warned", "variety"]

WINDOW = 100
"""Steps over which scores are averaged; no alarm is raised before as many were taken."""

GRACE = 500
"""Steps within which samples may all look alike, as they do at first."""

_WON_GAP = 0.8
_LOST_GAP = 0.03
_COLLAPSED_DIVERSITY, _COLLAPSED_NEAREST = 0.55, 0.06
_SIDE = 32
_LOOKS, _OF = 3, 4  # so many of the last so many batches of samples must look collapsed


@dataclass(frozen=True)
class Warned:
    """One warning.

    Attributes
    ----------
    step : int
    kind : {"D is winning", "D has lost", "mode collapse"}
    text : str
        What was seen, what it means and what to try.
    """

    step: int
    kind: str
    text: str


@dataclass(frozen=True)
class Variety:
    """How much the pictures of one batch differ.

    Attributes
    ----------
    diversity : float
        1 − the mean multi-scale similarity of pairs: small if all are alike.
    nearest : float
        The median distance of a picture to the one most like it: small if there are few kinds.
    """

    diversity: float
    nearest: float


def variety(images: np.ndarray) -> Variety:
    """Measure a batch of pictures ``(N, H, W, C)``; compare batches of the same size only.

    Large pictures are looked at in thumbnails of 32 to 63 pixels: this is done while training.
    One picture alone has no variety, and nothing can have less.
    """
    if len(images) < 2:
        return Variety(0.0, 0.0)
    images = _thumbnails(images)
    nearest = nearest_neighbours(images, images, 2).distances[:, 1]  # [:, 0] is itself
    return Variety(diversity(images, pairs=128), float(np.median(nearest)))


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole > 0 else "–"


def _thumbnails(images: np.ndarray) -> np.ndarray:
    x = to_float(images)
    n, h, w, c = x.shape
    times = max(1, min(h, w) // _SIDE)
    x = x[:, : h // times * times, : w // times * times]
    return x.reshape(n, h // times, times, w // times, times, c).mean(axis=(2, 4))


class Alarms:
    """Watches a run's metrics, and now and then its pictures.

    A kind of warning is given once, and again only after things had been well for a while.

    Parameters
    ----------
    data : Variety
        Of as many pictures of the data as `look` will be given of the samples'.
    advice : dict of str to str
        What to try, by the kind of warning; see `System.advice`.
    sure : float
        The mean score of generated images under which D is winning; see `System.sure`.

    Examples
    --------
    >>> alarms = Alarms(Variety(0.9, 0.2))
    >>> warned = [alarms.observe(step, 0.99, 0.001) for step in range(1, 201)]
    >>> [(w.step, w.kind) for w in warned if w]
    [(100, 'D is winning')]
    """

    def __init__(self, data: Variety, advice: dict[str, str] | None = None, sure: float = 0.02):
        self.data = data
        self._sure = sure
        self._advice = advice or {}
        self._scores: deque = deque()
        self._sums = [0.0, 0.0]
        self._looks: deque = deque(maxlen=_OF)
        self._varied = False
        self._warned: set[str] = set()
        self._well: dict[str, int] = {}

    def observe(self, step: int, D_real: float, D_fake: float) -> Warned | None:
        """Note the mean scores of a step, probabilities; return a warning if one is due."""
        self._scores.append((D_real, D_fake))
        out = self._scores.popleft() if len(self._scores) > WINDOW else (0.0, 0.0)
        self._sums = [self._sums[0] + D_real - out[0], self._sums[1] + D_fake - out[1]]
        if len(self._scores) < WINDOW:
            return None
        real, fake = (s / WINDOW for s in self._sums)
        won = fake < self._sure and real - fake > _WON_GAP
        lost = real - fake < _LOST_GAP
        seen = ""
        if won or lost:  # seldom, and this is done 200,000 times when a long run is taken up again
            seen = (
                f"over the last {WINDOW} steps D gave real pictures {real:.3f} and G's {fake:.3f}"
            )
        return self._due("D is winning", won, step, seen) or self._due(
            "D has lost", lost, step, seen
        )

    def look(self, step: int, samples: Variety) -> Warned | None:
        """Note the variety of a batch of samples; return a warning if one is due."""
        alike = samples.diversity < _COLLAPSED_DIVERSITY * self.data.diversity
        few = samples.nearest < _COLLAPSED_NEAREST * self.data.nearest
        self._varied = self._varied or not (alike or few)
        if step < GRACE and not self._varied:
            return None
        self._looks.append(alike or few)
        collapsed = sum(self._looks) >= _LOOKS
        seen = (
            f"samples differ from one another {_share(samples.diversity, self.data.diversity)} as "
            f"much as the data, and from the one most like them "
            f"{_share(samples.nearest, self.data.nearest)} as much"
        )
        return self._due("mode collapse", collapsed, step, seen)

    def _due(self, kind: str, on: bool, step: int, seen: str) -> Warned | None:
        if not on:
            self._well[kind] = self._well.get(kind, 0) + 1
            return None
        rested = WINDOW if kind != "mode collapse" else _OF
        due = kind not in self._warned or self._well.get(kind, 0) >= rested
        self._well[kind] = 0
        if not due:
            return None
        self._warned.add(kind)
        text = f"{kind}: {seen}. {MEANING[kind]} {self._advice.get(kind, '')}"
        return Warned(step, kind, text.strip())


MEANING = {
    "D is winning": (
        "The discriminator is sure of every picture, so its answer hardly changes when a picture "
        "gets a little better, and the generator learns next to nothing (vanishing gradients)."
    ),
    "D has lost": (
        "The discriminator cannot tell the two apart. If the samples look like the data, that is "
        "the goal; if they do not, G is learning from a judge that knows nothing."
    ),
    "mode collapse": (
        "The generator makes the same few pictures whatever the noise. It seldom recovers by "
        "itself: go back to an earlier checkpoint, or start again."
    ),
}
"""What each kind of warning means, for people who meet it for the first time."""
