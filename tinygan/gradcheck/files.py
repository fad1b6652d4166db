"""Checking a layer or a pair of functions that stands in a file or a notebook."""

from __future__ import annotations

import copy
import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinygan.gradcheck.blame import where
from tinygan.gradcheck.check import check_gradients
from tinygan.gradcheck.conventions import ADAPTER, positional
from tinygan.gradcheck.likes import ALIASES, LIKES, Like, find_like
from tinygan.gradcheck.objects import methods
from tinygan.gradcheck.output import check_output
from tinygan.gradcheck.report import GradientReport
from tinygan.gradcheck.subject import NotCheckable
from tinygan.layer import Layer
from tinygan.loading import load

__all__ = ["check_named"]

BACKWARD = ("{}backward", "backward{}", "{}bwd", "bwd{}", "{}back", "{}backprop", "backprop{}",
            "{}grad", "grad{}", "{}gradient", "{}vjp", "{}prime", "d{}", "{}derivative",
            "{}deriv", "{}der")  # fmt: skip
"""What the backward pass of a function is called, without capitals and underscores."""


def check_named(
    path, name: str, like: str | None = None, seed: int = 0, time_limit: float | None = None
) -> list[GradientReport]:
    """Check what `name` is in the file `path`, once for each set of arguments.

    Parameters
    ----------
    path : path
        A Python file, which is imported, or a notebook, whose code is run.
    name : str
        A class with forward and backward, a function with its ``name_backward``, or a loss.
    like : str, optional
        One of `LIKES`: gives the arguments, and the output is compared too.  Without it the name
        says what it is like, or a function of x alone is called with a batch of images.
    seed : int
    time_limit : float, optional
        Seconds for each set of arguments.

    Raises
    ------
    NotCheckable
        If there is no such file or name, or it cannot be called.
    ValueError
        If `like` is unknown.
    """
    value, module = _load(path, name)
    known, rng = _like(name, like), np.random.default_rng([seed, *b"like"])
    cases = (known or Like([{"x": (2, 5, 4, 3)}])).cases(rng)
    options = {"seed": seed, "time_limit": time_limit, "raises": False}
    if inspect.isclass(value) and None not in methods(value):
        return [_check_layer(value, known, case, options) for case in cases]
    if inspect.isclass(value) or not callable(value):
        raise NotCheckable(
            f"{name} is neither a function nor a class with forward and backward: {ADAPTER}"
        )
    backward = _backward_of(module, name)
    subject = value if backward is None else (value, backward)
    return [_check_function(subject, value, known, case, options) for case in cases]


def _backward_of(module, name):
    """Return the backward pass of the function `name`, by the usual names for it."""
    stem = name.lower().replace("_", "")
    for what in ("forward", "fwd", "fprop"):
        stem = stem.removesuffix(what).removeprefix(what) or stem
    there = {n.lower().replace("_", ""): n for n in reversed(vars(module)) if n != name}
    known = next((n for way in BACKWARD for n in [way.format(stem)] if n in there), None)
    return None if known is None else getattr(module, there[known])


def _load(path, name):
    path = Path(path)
    if not path.is_file():
        raise NotCheckable(f"there is no file {path}")
    try:
        module = load(path)
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}{where(error)}"
        raise NotCheckable(f"{path} cannot be imported: {what}") from error
    if not hasattr(module, name):
        defined = [
            n
            for n, value in vars(module).items()
            if callable(value) and getattr(value, "__module__", None) == module.__name__
        ]
        raise NotCheckable(f"{path} defines no {name}; it has {', '.join(defined) or 'nothing'}")
    return getattr(module, name), module


def _like(name, like) -> Like | None:
    if like is not None:
        return find_like(like)
    try:
        return find_like(name.removesuffix("_forward").removesuffix("_fwd"))
    except ValueError:
        return None


def _check_layer(kind, known, case, options):
    built_with = _weights_for(kind, case)
    built_with = built_with or (known.built_with(case) if known and known.layer else ())
    try:
        layer = kind(*built_with)
    except (Exception, SystemExit) as error:
        hint = "" if known else "; say what it is like: --like Conv2d"
        given = ", ".join(map(repr, built_with))
        raise NotCheckable(
            f"{kind.__name__}({given}) cannot be built: {type(error).__name__}: {error}{hint}"
        ) from error
    report = check_gradients(layer, case["x"], **options)
    if (
        known is None
        or known.layer in (None, LIKES["Dropout"].layer)
        or not issubclass(kind, Layer)
    ):
        return report
    layer, reference = (a.to(dtype=np.float64) for a in (layer, known.layer(*built_with)))
    mine, due = layer.parameters(), reference.parameters()
    if [p.shape for p in mine] != [p.shape for p in due]:
        return report
    rng = np.random.default_rng(options["seed"])
    for a, b in zip(mine, due, strict=True):
        a.data[...] = b.data[...] = rng.standard_normal(b.shape)
    return _with_output(report, layer.forward(case["x"].copy())[0], reference.forward(case["x"])[0])


def _weights_for(kind, case):
    """Return the arrays that a class asks for by their names, (W, b), or nothing."""
    arrays = {n: v for n, v in case.items() if n != "x" and isinstance(v, np.ndarray)}
    names = [name.lower() for name in positional(kind, required=True)]
    fits = [[n for n in arrays if name == n or name in ALIASES[n].split()] for name in names]
    chosen = [fit[0] for fit in fits if fit]
    if issubclass(kind, Layer) or len(chosen) != len(names) or len(set(chosen)) != len(chosen):
        return ()
    return tuple(arrays[n] for n in chosen)


def _check_function(subject, forward, known, case, options):
    if known is None:
        needed = positional(forward, required=True)
        if len(needed) != 1:
            raise NotCheckable(
                f"{forward.__name__}({', '.join(needed)}): say what it is like, for the arguments "
                "to be known: --like Conv2d"
            )
        return check_gradients(subject, case["x"], **options)
    arguments = known.arguments(forward, case)
    # what the function does not take would have to be this
    neutral = {"b": 0.0, "stride": 1, "padding": 0, "gamma": 1.0, "beta": 0.0}
    given = {k: v if any(v is a for a in arguments) else neutral.get(k, v) for k, v in case.items()}
    report = check_gradients(subject, *copy.deepcopy(arguments), **options)
    result = forward(*copy.deepcopy(arguments))
    y = result[0] if isinstance(result, (tuple, list)) and len(result) > 1 else result
    return _with_output(report, y, known.output(given, y))


def _with_output(report, y, due):
    wrong = check_output(y, due)
    return report if wrong is None else replace(report, causes=[wrong, *report.causes])
