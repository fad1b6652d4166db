"""What is measured of a run: its pictures, those of the untrained network, and the data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from tinygan.data import DrawnImages
from tinygan.data.images import bicubic
from tinygan.errors import UserError
from tinygan.runs.run import Run
from tinygan.systems.draws import Draws
from tinygan.systems.system import System
from tinygan.systems.translates import Translates

S = TypeVar("S", bound=System)

__all__ = ["Subject", "at_most", "subjects_of"]


@dataclass(frozen=True)
class Subject:
    """One thing a run does, and all that its pictures are measured against.

    Attributes
    ----------
    title : str
    data : ndarray
        Pictures of what should be made, uint8 ``(N, H, W, C)``; they are halved, and the distance
        between the halves is the floor.
    training : ndarray
        Pictures that were trained on, in which nearest neighbours are searched.
    sets : dict of str to ndarray
        Pictures to measure, the trained network's last; equally many each.
    drawn : callable or None
        From ``(count, start)`` to drawn pictures with their attributes, for drawn data.
    truth : ndarray or None
        The true translation of each picture of the sets.
    """

    title: str
    data: np.ndarray
    training: np.ndarray
    sets: dict[str, np.ndarray]
    drawn: Callable[[int, int], DrawnImages] | None = None
    truth: np.ndarray | None = field(default=None)


def subjects_of(
    run: Run, count: int, data: str | None = None, dataset: str | None = None, seed: int = 0
) -> list[Subject]:
    """Return what is to be measured of a run: what it draws, or its translations.

    Parameters
    ----------
    run : Run
    count : int
        Images of each set, at most half of the data.
    data, dataset : str or None
        A folder, or the name of a drawn set, to compare with instead of the run's own data.
    seed : int
        Of the noise.
    """
    trained = run.system
    if isinstance(trained, Draws):
        untrained = _untrained(trained)
        [found] = trained.material(2 * count, data, dataset)
        z = trained.noise(at_most(count, len(found.real) // 2), np.random.default_rng(seed))
        sets = {"untrained": untrained.draw(z), "trained": trained.draw(z)}
        return [Subject(found.title, found.real, found.training, sets, found.drawn)]
    if not isinstance(trained, Translates):
        raise UserError(f"{run.checkpoint}: a {trained.name} neither draws nor translates images")
    subjects, before = [], _untrained(trained)
    for found in trained.material(count, data, dataset):
        if found.inputs is None:
            raise UserError(f"{run.checkpoint}: a {trained.name} names nothing to translate")
        number = at_most(min(count, len(found.inputs)), len(found.real) // 2)
        inputs = found.inputs[:number]
        truth = found.truth[:number] if found.truth is not None else None
        alone = bicubic(inputs, trained.factor)
        sets = {"left alone" if trained.factor == 1 else "bicubic": alone}
        sets["untrained"] = before.translate(inputs, found.direction)
        sets["trained"] = trained.translate(inputs, found.direction)
        subjects.append(Subject(found.title, found.real, found.training, sets, truth=truth))
    return subjects


def _untrained(system: S) -> S:
    """Return a system as it was before its first step."""
    untrained = type(system)(system.options)
    untrained.to(system.options.backend)
    return untrained


def at_most(wanted: int, there: int) -> int:
    """Return how many pictures to compare; a UserError if that would be too few."""
    count = min(wanted, there)
    if count < 16:
        raise UserError(
            f"too few pictures to measure with: expected 16 or more, and twice as many of the "
            f"data; got {count}"
        )
    return count
