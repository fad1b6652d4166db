"""All measures of one subject."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np

from tinygan.data import to_uint8
from tinygan.evaluate.subjects import Subject
from tinygan.metrics import (
    AttributeProbe,
    diversity,
    frechet_distance,
    kernel_distance,
    memorised,
    nearest_neighbours,
    over_halves,
    sliced_wasserstein,
    translation_error,
    two_sample_test,
)

__all__ = ["FLOOR", "measure_subject", "neighbour_sheet"]

FLOOR = "data"
_PROBE = 4000  # drawings that the attributes' probe learns from
_SEARCHED = 20_000  # training pictures whose features are computed


def measure_subject(
    subject: Subject,
    features: Callable[[np.ndarray], np.ndarray],
    seed: int,
    say: Callable[[str], object] = lambda text: None,
) -> dict:
    """Measure all sets of pictures of a subject, and the data itself as the floor.

    Parameters
    ----------
    subject : Subject
    features : callable
        From pictures to features ``(N, D)``.
    seed : int
    say : callable
        Told what is being done.

    Returns
    -------
    dict
        ``sets``: name of a set → measure → number, or ``{"value", "error"}`` of an `Estimate`,
        or ``{"value", "low", "high"}`` of an `Interval`;
        the data's own other half is the set ``"data"``.
    """
    rng = np.random.default_rng(seed)
    trained = list(subject.sets)[-1]
    count = len(subject.sets[trained])
    order = rng.permutation(len(subject.data))
    reference, floor = (subject.data[np.sort(order[i * count : (i + 1) * count])] for i in range(2))
    sets = {FLOOR: floor, **subject.sets}
    say("features of the data")
    reference_features = features(reference)
    probe = _probe(subject, say)
    results, found = {}, {}
    for name, images in sets.items():
        say(f"measuring: {name}")
        found[name] = features(images)
        results[name] = {
            "frechet": _estimate(frechet_distance, reference_features, found[name], seed=seed),
            "kernel": _estimate(kernel_distance, reference_features, found[name], seed=seed),
            "c2st": asdict(two_sample_test(reference_features, found[name], seed).auc),
            **_wasserstein(reference, images, seed),
            "diversity": _estimate(diversity, images, seed=seed, repeats=6),
        }
        if probe is not None:
            results[name] |= _attributes(probe, images)
        if subject.truth is not None and name != FLOOR:
            error = translation_error(images, subject.truth)
            results[name] |= {
                "error": _mean(error.absolute),
                "structural_error": _mean(error.structural),
            }
    say("searching the training pictures")
    results[trained]["memorised"], results[FLOOR]["memorised"] = {}, {}
    neighbours = {}
    for space, (own, data) in _spaces(subject, found[trained], trained, features, rng).items():
        neighbours[space] = nearest_neighbours(own, data)
        some = np.sort(rng.permutation(len(data))[: len(own)])
        others = nearest_neighbours(data[some], data, 2).distances[:, 1]  # [:, 0] is itself
        share = memorised(neighbours[space].distances, others)
        results[trained]["memorised"][space] = share
        results[FLOOR]["memorised"][space] = memorised(others, others)
    return {
        "title": subject.title,
        "pictures": count,
        "features": getattr(features, "name", repr(features)),
        "searched": len(subject.training),
        "sets": results,
        **({"accuracy": probe.accuracy} if probe is not None else {}),
        "neighbours": neighbours,
    }


def neighbour_sheet(subject: Subject, neighbours: dict, count: int = 10) -> np.ndarray:
    """Return a sheet of pictures, three rows of `count`, as uint8 ``(3·count, H, W, C)``.

    The samples that are most like a training picture; below each the training picture that is
    nearest to it in its pixels, and the one that is nearest in its features.
    """
    images = list(subject.sets.values())[-1]
    first = np.argsort(neighbours["pixels"].distances[:, 0])[:count]
    training = subject.training
    rows = [to_uint8(images[first])]
    rows += [training[neighbours[space].indices[first, 0]] for space in ("pixels", "features")]
    return np.concatenate(rows)


def _probe(subject: Subject, say: Callable[[str], object]) -> AttributeProbe | None:
    if subject.drawn is None:
        return None
    say("learning to read the attributes of drawn pictures")
    return AttributeProbe(subject.drawn(_PROBE, 2**20), subject.drawn(1000, 2**21))


def _attributes(probe: AttributeProbe, images: np.ndarray) -> dict:
    coverage = probe.coverage(images)
    return {
        "recognised": coverage.recognised,
        "coverage": coverage.total,
        "attributes": {
            name: {"covered": coverage.covered(name), "distance": coverage.distance(name)}
            for name in probe.categories
        },
    }


def _wasserstein(reference: np.ndarray, images: np.ndarray, seed: int) -> dict:
    def mean(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.mean(list(sliced_wasserstein(x, y, rng=seed).values())))

    levels = sliced_wasserstein(reference, images, rng=seed)
    return {
        "sliced_wasserstein": _estimate(mean, reference, images, seed=seed, repeats=6),
        "sliced_wasserstein_levels": {str(side): value for side, value in levels.items()},
    }


def _spaces(
    subject: Subject,
    found: np.ndarray,
    trained: str,
    features: Callable[[np.ndarray], np.ndarray],
    rng: np.random.Generator,
) -> dict:
    """Return what is compared with what, in pixels and in features."""
    training = subject.training
    if len(training) > _SEARCHED:
        training = training[np.sort(rng.permutation(len(training))[:_SEARCHED])]
    return {
        "pixels": (to_uint8(subject.sets[trained]), training),
        "features": (found, features(training)),
    }


def _estimate(
    measure: Callable[..., float], *sets: np.ndarray, seed: int, repeats: int = 20
) -> dict:
    return asdict(over_halves(measure, *sets, repeats=repeats, rng=seed))


def _mean(values: np.ndarray) -> dict:
    return {"value": float(values.mean()), "error": float(values.std() / np.sqrt(len(values)))}
