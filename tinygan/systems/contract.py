"""What a system's methods have to return: a mistake in one's own file is a line that names it.

What is let through here can be written into a run and read again.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygan.errors import UserError
from tinygan.layer import Layer
from tinygan.optim import Optimizer
from tinygan.options.base import Options

if TYPE_CHECKING:
    from tinygan.systems.system import System

__all__ = [
    "arrays_of",
    "batches_of",
    "check_class",
    "data_of",
    "metrics_of",
    "networks_of",
    "optimizers_of",
    "score_of",
    "undefined",
]


def _wrong(system: object, what: str, expected: str, got: Any) -> UserError:
    cls = system if isinstance(system, type) else type(system)
    shown = " ".join(repr(got).split())
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
    return UserError(f"{cls.__name__}.{what}: expected {expected}, got {shown}")


def undefined(system: System, method: str) -> UserError:
    """Return the error that a method is missing which every system defines."""
    return UserError(f"{type(system).__name__} does not define {method}")


def check_class(cls: type[System]) -> None:
    """Raise a UserError if what the class says of itself makes no sense."""
    name, metrics = cls.name, cls.metric_names
    if not isinstance(name, str) or not name.isprintable() or not name or {*"/\\:"} & {*name}:
        raise _wrong(cls, "name", "a word, which names its runs' folders", name)
    if not (isinstance(cls.Options, type) and issubclass(cls.Options, Options)):
        raise _wrong(cls, "Options", "a subclass of tinygan.options.base.Options", cls.Options)
    if isinstance(metrics, str) or not all(isinstance(metric, str) for metric in metrics):
        raise _wrong(cls, "metric_names", "a tuple of names, with a comma behind one", metrics)
    if taken := {"step", "epoch", "seconds"} & {*metrics}:
        raise _wrong(cls, "metric_names", f"other names than {', '.join(taken)}", metrics)
    if not isinstance(cls.labels, dict) or not cls.labels.keys() <= {*metrics}:
        raise _wrong(cls, "labels", f"a dict, its keys among {', '.join(metrics)}", cls.labels)


def networks_of(system: System, got: Any) -> dict[str, Layer]:
    """Return what `build_networks` gave, if that is networks by name."""
    good = isinstance(got, dict) and bool(got)
    if not good or not all(isinstance(network, Layer) for network in got.values()):
        raise _wrong(system, "build_networks", 'a dict of Layers, {"G": G, "D": D}', got)
    if not all(isinstance(name, str) and name.isidentifier() for name in got):
        raise _wrong(system, "build_networks", "names of letters and digits", list(got))
    return got


def optimizers_of(system: System, got: Any) -> dict[str, Optimizer]:
    """Return what `build_optimizers` gave, if that is optimizers by name."""
    good = isinstance(got, dict) and all(isinstance(name, str) for name in got)
    if not good or not all(isinstance(optimizer, Optimizer) for optimizer in got.values()):
        raise _wrong(system, "build_optimizers", 'a dict of Optimizers, {"G": Adam(…)}', got)
    return got


def batches_of(system: System, got: Any) -> Any:
    """Return what `batches` gave, if it is such an iterator."""
    names = ("__next__", "close", "steps_per_epoch", "waited_seconds")
    if missing := [name for name in names if not hasattr(got, name)]:
        expected = f"an iterator as tinygan.data.Prefetcher is, with {', '.join(missing)}"
        raise _wrong(system, "batches", expected, got)
    return got


def data_of(system: System, got: Any) -> dict[str, Any]:
    """Return what `load_data` gave, if it can be noted and read again."""
    try:
        if isinstance(got, dict) and all(isinstance(name, str) for name in got):
            json.dumps(got, allow_nan=False)
            return got
    except (TypeError, ValueError, RecursionError):
        pass
    raise _wrong(system, "load_data", "a dict of texts and finite numbers, as JSON holds", got)


def metrics_of(system: System, got: Any) -> dict[str, Any]:
    """Return what `step` gave, if that is numbers by `metric_names`."""
    if not isinstance(got, dict) or not {*system.metric_names} <= got.keys():
        names = ", ".join(system.metric_names)
        raise _wrong(system, "step", f"a dict with {names} of metric_names", got)
    for name, value in got.items():
        if getattr(value, "ndim", None) != 0 or value.dtype.kind not in "fiub":
            raise _wrong(system, "step", f"a 0-dimensional array as {name!r}", value)
    return got


def score_of(system: System, got: Any) -> float | None:
    """Return what `score` gave as a number; what is not finite is no score."""
    if got is None:
        return None
    if np.ndim(got) != 0 or isinstance(got, str | bytes):
        raise _wrong(system, "score", "a number or None", got)
    try:
        return float(got) if math.isfinite(got) else None
    except TypeError:
        raise _wrong(system, "score", "a number or None", got) from None


def arrays_of(system: System, got: Any) -> dict[str, np.ndarray]:
    """Return what `extra_arrays` gave, if a checkpoint can hold it."""
    good = isinstance(got, dict) and all(isinstance(name, str) and name for name in got)
    if good and all(isinstance(a, np.ndarray) and a.dtype.kind in "fiub" for a in got.values()):
        return got
    raise _wrong(system, "extra_arrays", "a dict of NumPy arrays of numbers", got)
