"""Fast versions of the plain functions, found by name.

`layers`, `losses` and `optim` say what is computed, each function as the textbook has it::

    @accelerated
    def tanh_backward(dy, y):
        return (1 - y * y) * dy

A version tuned for NumPy (`fast.cpu`) or written in CUDA (`fast.cuda`) takes its place by name::

    @override("tanh_backward", "numpy")
    def tanh_backward(dy, y): ...

A call looks at its first argument, an array or a list of arrays, and runs the version for that
library, where there is one and it can take these arguments; elsewhere it runs the plain function.
Within ``with plain():`` it always does.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

__all__ = ["Override", "accelerated", "mode", "override", "overrides", "plain", "using_mode"]


class Override(NamedTuple):
    """A fast version of the plain function called `name`, for arrays of one `library`."""

    name: str
    library: str
    function: Callable
    usable: Callable[..., bool]


_FAST = "auto"
_mode = _FAST  # or the algorithm of the plain convolution: "im2col" or "naive"
_table: dict[str, dict[str, Override]] = {}


def accelerated(function: Callable) -> Callable:
    """Let a fast version of `function`, found by its name, run in its place."""
    versions = _table.setdefault(function.__name__, {})

    @functools.wraps(function)
    def dispatch(first, *rest, **named):
        if _mode is _FAST and versions:
            array = first[0] if type(first) is list else first
            version = versions.get("numpy" if type(array) is np.ndarray else "cupy")
            if version is not None and version.usable(first, *rest, **named):
                return version.function(first, *rest, **named)
        return function(first, *rest, **named)

    return dispatch


def override(name: str, library: str, usable: Callable[..., bool] = lambda *a, **k: True):
    """Enter the decorated function as the version of `name` for arrays of `library`.

    Parameters
    ----------
    name : str
        Of the plain function.
    library : {"numpy", "cupy"}
    usable : callable
        From the call's arguments to whether this version can take them.
    """

    def enter(function: Callable) -> Callable:
        _table.setdefault(name, {})[library] = Override(name, library, function, usable)
        return function

    return enter


def overrides() -> list[Override]:
    """Return all fast versions there are."""
    return [version for versions in _table.values() for version in versions.values()]


def mode() -> str:
    """Return ``"auto"``, or the algorithm of the convolution within `plain`."""
    return _mode


@contextmanager
def using_mode(name: str):
    """Compute as `mode` said when it returned `name`: a backward pass follows its forward."""
    global _mode
    before, _mode = _mode, _FAST if name == _FAST else name
    try:
        yield
    finally:
        _mode = before


def plain(convolution: str = "im2col"):
    """Within ``with plain():`` everything is computed by the plain functions.

    A call made inside keeps to them in its backward pass, too, wherever that is called.  The scope
    holds for the whole process.

    Parameters
    ----------
    convolution : {"im2col", "naive"}
        A matrix product, or the loops of the definition, for tiny cases.
    """
    if convolution not in ("im2col", "naive"):
        raise ValueError(f"plain: convolution: expected 'im2col' or 'naive', got {convolution!r}")
    return using_mode(convolution)


from tinygan.fast import cpu, cuda  # noqa: E402, F401  # they enter their versions in the table
