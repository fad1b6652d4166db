"""Checking a layer or a pair of functions that stands in a file."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinygan.gradcheck.check import check_gradients
from tinygan.gradcheck.conventions import ADAPTER
from tinygan.gradcheck.likes import Like, find_like
from tinygan.gradcheck.loading import load_file, load_notebook
from tinygan.gradcheck.output import check_output
from tinygan.gradcheck.report import GradientReport
from tinygan.gradcheck.subject import NotCheckable
from tinygan.layer import Layer

__all__ = ["check_named"]


def check_named(path, name: str, like: str | None = None, seed: int = 0) -> list[GradientReport]:
    """Check what `name` is in the file `path`, once for each set of arguments.

    Parameters
    ----------
    path : path
        A Python file, which is imported.
    name : str
        A `Layer` class, a function with its ``name_backward``, or a loss.
    like : str, optional
        One of `LIKES`: gives the arguments, and the output is compared too.  Without it the name
        says what it is like, or a function of x alone is called with a batch of images.
    seed : int

    Raises
    ------
    NotCheckable
        If there is no such file or name, or it cannot be called.
    ValueError
        If `like` is unknown.
    """
    value, module = _load(path, name)
    known = _like(name, like)
    if inspect.isclass(value) and issubclass(value, Layer):
        return [_check_layer(value, known, case, seed) for case in _cases(known, seed)]
    if inspect.isclass(value) and hasattr(value, "forward") and hasattr(value, "backward"):
        return [_check_layer(value, known, case, seed) for case in _cases(known, seed)]
    if inspect.isclass(value) or not callable(value):
        raise NotCheckable(
            f"{name} is neither a function nor a class with forward and backward: {ADAPTER}"
        )
    backward = _backward_of(module, name)
    subject = value if backward is None else (value, backward)
    return [_check_function(subject, value, known, case, seed) for case in _cases(known, seed)]


def _backward_of(module, name):
    """Return the backward pass of the function `name`, by the usual names for it."""
    stem = name.removesuffix("_forward").removesuffix("_fwd").removeprefix("forward_")
    names = [f"{name}_backward", f"{stem}_backward", f"{stem}_bwd", f"backward_{stem}"]
    names += [name.replace("forward", "backward")] if "forward" in name else []
    names += [f"{stem}_grad", f"{stem}_prime", f"d_{stem}", f"{stem}_derivative"]
    return next((getattr(module, n) for n in names if n != name and hasattr(module, n)), None)


def _load(path, name):
    path = Path(path)
    if not path.is_file():
        raise NotCheckable(f"there is no file {path}")
    try:
        module = load_file(path) if path.suffix != ".ipynb" else load_notebook(path)
    except Exception as error:
        raise NotCheckable(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
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


def _cases(known, seed):
    rng = np.random.default_rng([seed, *b"like"])
    if known is not None:
        return known.cases(rng)
    x = rng.standard_normal((2, 5, 4, 3))
    return [{"x": x + 0.05 * np.sign(x)}]


def _check_layer(kind, known, case, seed):
    built_with = known.built_with(case) if known and known.layer else ()
    try:
        layer = kind(*built_with)
    except Exception as error:
        hint = "" if known else "; say what it is like: --like Conv2d"
        given = ", ".join(map(repr, built_with))
        raise NotCheckable(
            f"{kind.__name__}({given}) cannot be built: {type(error).__name__}: {error}{hint}"
        ) from error
    report = check_gradients(layer, case["x"], seed=seed, raises=False)
    if known is None or known.layer is None or not issubclass(kind, Layer):
        return report
    reference = known.layer(*built_with).to(dtype=np.float64)
    layer = layer.to(dtype=np.float64)
    mine, due = layer.parameters(), reference.parameters()
    if [p.shape for p in mine] != [p.shape for p in due]:
        return report
    rng = np.random.default_rng(seed)
    for a, b in zip(mine, due, strict=True):
        b.data[...] = rng.standard_normal(b.shape)
        a.data[...] = b.data
    wrong = check_output(layer.forward(case["x"].copy())[0], reference.forward(case["x"])[0])
    return report if wrong is None else replace(report, causes=[wrong, *report.causes])


def _check_function(subject, forward, known, case, seed):
    if known is not None:
        arguments = known.arguments(forward, case)
    else:
        needed = [
            p.name
            for p in inspect.signature(forward).parameters.values()
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        if len(needed) != 1:
            raise NotCheckable(
                f"{forward.__name__}({', '.join(needed)}): say what it is like, for the arguments "
                "to be known: --like Conv2d"
            )
        arguments = [case["x"]]
    report = check_gradients(subject, *arguments, seed=seed, raises=False)
    if known is None:
        return report
    copies = [a.copy() if hasattr(a, "copy") else a for a in arguments]
    given = {k: v for k, v in case.items() if any(v is a for a in arguments)}
    due = known.output({**_neutral(case), **given})
    result = forward(*copies)
    y = result[0] if isinstance(result, (tuple, list)) and len(result) > 1 else result
    wrong = check_output(y, due)
    return report if wrong is None else replace(report, causes=[wrong, *report.causes])


def _neutral(case):
    """Return what an argument that the function does not take would have to be."""
    neutral = {"b": 0.0, "stride": 1, "padding": 0, "gamma": 1.0, "beta": 0.0}
    return {k: neutral.get(k, v) for k, v in case.items()}
