"""Directions of z along which a drawn attribute changes: from one kind of hair to another, say."""

from __future__ import annotations

import numpy as np

from tinygan.data import DRAWN_SETS
from tinygan.metrics import AttributeProbe
from tinygan.systems.draws import FRESH, Draws

__all__ = ["attribute_directions"]

_DRAWN, _HELD_OUT, _MADE = 1500, 300, 3000  # drawings to learn from, to measure with; pictures
_LEAST = 60  # pictures of a kind: fewer say nothing about where they lie
_RIDGE = 30.0


def attribute_directions(system: Draws, name: str) -> list[tuple[str, np.ndarray]]:
    r"""Return what changes, "glasses: none to round", and a direction of z of length 1.

    Pictures are made of many z, and the attributes of each are read.  Of an attribute's two most
    frequent kinds, the direction is that of ridge regression: with the rows of Z centred and
    :math:`t = \pm 1` for the two kinds, :math:`(Z^T Z + \lambda I)^{-1} Z^T t`.

    Parameters
    ----------
    system : Draws
    name : str
        The drawn set that it was trained on.
    """
    if len(DRAWN_SETS.get(name, ())) != 1:
        return []
    options, (draw,) = system.options, DRAWN_SETS[name]
    shape = {"image_size": options.image_size, "channels": options.channels}
    drawn, held_out = (
        draw(count, **shape, seed=options.seed, start=FRESH + start)
        for count, start in ((_DRAWN, 0), (_HELD_OUT, _DRAWN))
    )
    probe = AttributeProbe(drawn, held_out)
    z = system.noise(_MADE, np.random.default_rng(options.seed))
    images = np.concatenate([system.draw(part) for part in np.array_split(z, _MADE // 200)])
    seen = probe.recognised(images)
    directions = []
    for attribute, found in probe.classify(images).items():
        kinds = probe.categories[attribute]
        counts = np.bincount(found[seen], minlength=len(kinds))
        b, a = np.argsort(counts, kind="stable")[-2:]
        if counts[b] < _LEAST:
            continue
        chosen = seen & ((found == a) | (found == b))
        Z = z[chosen].astype(np.float64) - z[chosen].mean(axis=0)
        t = np.where(found[chosen] == b, 1.0, -1.0)
        direction = np.linalg.solve(Z.T @ Z + _RIDGE * np.eye(Z.shape[1]), Z.T @ (t - t.mean()))
        label = f"{attribute.replace('_', ' ')}: {kinds[a]} to {kinds[b]}"
        directions.append((label, direction / np.linalg.norm(direction)))
    return directions
