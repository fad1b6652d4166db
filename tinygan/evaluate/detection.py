"""How well a detector tells: on pictures it never saw, of other generators, after a way through the
world; and what it looks at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.data import to_uint8
from tinygan.data.degrade import LEVELS, degrade
from tinygan.data.sheet import save_translation_sheet
from tinygan.errors import UserError
from tinygan.evaluate.subjects import at_most
from tinygan.files import replaced
from tinygan.machine.figure import new_figure
from tinygan.metrics.detection import accuracy, area_under_roc, roc
from tinygan.systems.detects import Detects, Made

__all__ = ["heat", "measure_detection"]

_SHOWN = 6
_WORDS = {"jpeg": "JPEG, quality", "blur": "blur, pixels", "resize": "made smaller, factor"}


def measure_detection(
    system: Detects,
    made: Made,
    others: list[Made],
    count: int,
    data: str | None,
    dataset: str | None,
    say: Callable[[str], object] = lambda text: None,
) -> tuple[list[dict[str, Any]], dict[str, Callable[[Path], None]]]:
    """Measure a detector on real and generated pictures that it was not trained on.

    Parameters
    ----------
    system : Detects
    made : Made
        The generator that it was trained against.
    others : list of Made
        Generators that it never saw.
    count : int
        Pictures of each kind, at most.
    data, dataset : str or None
        Where real pictures are to be taken from, see `Detects.held_out`.
    say : callable
        Told what is being done.

    Returns
    -------
    results : list of dict
        As `measure_subject` returns; the sets are generators, or levels of a degradation.
    sheets : dict of str to callable
        A picture's name → what writes it to a path.
    """
    real = system.held_out(count, data, dataset)
    names = [f"never seen: {other.name}" for other in others]
    for i, other in enumerate(others):
        if other.mark == made.mark:
            raise UserError(f"--generated: {other.name} is what this detector was trained against")
        if names.count(names[i]) > 1:
            names[i] += f" ({i + 1})"
    fakes = dict(zip([*names, made.name], [*others, made], strict=True))
    pictures = {name: each.draw(len(real), "test") for name, each in fakes.items()}
    for images in (real, *pictures.values()):
        at_most(len(images), len(images))
    fake = pictures[made.name]
    say("scores")
    real_scores = system.detect(real)
    scores = {name: system.detect(images) for name, images in pictures.items()}
    about = {"pictures": min(len(real), len(fake)), "features": ""}
    sets = {name: _numbers(real_scores, each) for name, each in scores.items()}
    drawn = {"maps": "maps.png", "curves": "roc.png"}
    results: list[dict[str, Any]]
    results = [{"title": "generated against real", **about, "sets": sets, **drawn}]
    for kind, levels in LEVELS.items():
        say(f"after {kind}")
        after = {
            f"{level:g}": _numbers(*(system.detect(degrade(x, kind, level)) for x in (real, fake)))
            for level in levels
        }
        results.append({"title": f"after {_WORDS[kind]}", **about, "sets": after})
    curves = {name: roc(real_scores, each) for name, each in scores.items()}
    for name, curve in curves.items():
        points = (values.round(4).tolist() for values in curve)
        sets[name]["roc"] = dict(zip(("false_alarms", "found"), points, strict=True))
    sheets: dict[str, Callable[[Path], None]] = {
        "maps.png": partial(_save_maps, system, real, fake),
        "roc.png": partial(_save_roc, curves),
    }
    return results, sheets


def _numbers(real: np.ndarray, fake: np.ndarray) -> dict[str, Any]:
    """Return the measures of as many scores of each kind: more of one would make up for it."""
    count = min(len(real), len(fake))
    real, fake = real[:count], fake[:count]
    right = int((real <= 0).sum() + (fake > 0).sum())
    return {
        "auc": asdict(area_under_roc(real, fake)),
        "accuracy": asdict(accuracy(right, len(real) + len(fake))),
        "real_right": asdict(accuracy(int((real <= 0).sum()), len(real))),
        "generated_right": asdict(accuracy(int((fake > 0).sum()), len(fake))),
    }


def heat(maps: np.ndarray) -> np.ndarray:
    """Return maps ``(N, H, W)`` as pictures: above 0 red, below blue, each by its own largest."""
    most = abs(maps).max(axis=(1, 2), keepdims=True)
    t = (maps / np.where(most > 0, most, 1))[..., None]
    red, blue = np.array([1.0, -0.9, -0.9]), np.array([-0.9, -0.6, 1.0])
    return to_uint8(1 + np.maximum(t, 0) * (red - 1) + np.maximum(-t, 0) * (blue - 1))


def _save_maps(system: Detects, real: np.ndarray, fake: np.ndarray, path: Path) -> None:
    """Show pictures, the size of the gradient at each pixel, and what covering squares changes."""
    blocks = []
    for title, images in (("real", real[:_SHOWN]), ("generated", fake[:_SHOWN])):
        chance = 1 / (1 + np.exp(-system.detect(images).astype(np.float64)))
        gradient = abs(system.gradient(images)).max(axis=3)
        columns = [
            ("picture", images),
            ("|gradient|\nof the score", heat(gradient)),
            ("occlusion: red\nsays generated", heat(system.occlusion(images))),
        ]
        blocks.append(
            (f"{title}: taken for generated with {chance.mean():.2f} on average", columns)
        )
    save_translation_sheet(path, blocks)


def _save_roc(curves: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    figure = new_figure(figsize=(6, 5.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], ":", color="grey", label="coin toss")
    for name, (alarms, found) in curves.items():
        axes.step(alarms, found, where="post", label=name)
    axes.set(xlabel="real pictures taken for generated", ylabel="generated pictures found")
    axes.set(title="ROC on pictures that were not trained on", xlim=(-0.01, 1), ylim=(0, 1.01))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    with replaced(path) as beside:
        figure.savefig(beside, format="png", dpi=100)
