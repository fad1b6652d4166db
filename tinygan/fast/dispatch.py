"""The table of fast versions, and the choice between one of them and the plain function."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

__all__ = ["Override", "accelerated", "mode", "override", "overrides", "plain", "using_mode"]


Function = TypeVar("Function", bound=Callable[..., Any])


class Override(NamedTuple):
    """A fast version of the function called `name`, for arrays of one `library`."""

    name: str
    library: str
    function: Callable
    usable: Callable[..., bool]
    plain: Callable | None


_FAST = "auto"
_mode = _FAST  # or the algorithm of the plain convolution: "im2col" or "naive"
_versions: dict[str, dict[str, tuple[Callable, Callable]]] = {}
_plain: dict[str, Callable] = {}


def accelerated(function: Function) -> Function:
    """Let a fast version of `function`, found by its name, run in its place.

    The function itself is the attribute ``plain`` of the result.
    """
    name = function.__name__
    versions = _versions.setdefault(name, {})
    _plain[name] = function

    @functools.wraps(function)
    def dispatch(first: Any, *rest: Any, **named: Any) -> Any:
        if _mode is _FAST and versions:
            array = first[0] if type(first) is list else first
            version = versions.get("numpy" if isinstance(array, np.ndarray) else "cupy")
            if version is not None and version[1](first, *rest, **named):
                return version[0](first, *rest, **named)
        return function(first, *rest, **named)

    dispatch.plain = function  # type: ignore[attr-defined]
    return cast("Function", dispatch)


def override(
    name: str, library: str, usable: Callable[..., bool] = lambda *_, **__: True
) -> Callable[[Function], Function]:
    """Enter the decorated function as the version of `name` for arrays of `library`.

    Parameters
    ----------
    name : str
        Of the plain function.
    library : {"numpy", "cupy"}
    usable : callable
        From the call's arguments to whether this version can take them.
    """

    def enter(function: Function) -> Function:
        _versions.setdefault(name, {})[library] = function, usable
        return function

    return enter


def overrides() -> list[Override]:
    """Return all fast versions there are, each with the plain function that it replaces."""
    return [
        Override(name, library, *version, _plain.get(name))
        for name, versions in _versions.items()
        for library, version in versions.items()
    ]


def mode() -> str:
    """Return ``"auto"``, or the algorithm of the convolution within `plain`."""
    return _mode


@contextmanager
def using_mode(name: str) -> Iterator[None]:
    """Compute as `mode` said when it returned `name`: a backward pass follows its forward."""
    global _mode
    before, _mode = _mode, _FAST if name == _FAST else name
    try:
        yield
    finally:
        _mode = before


def plain(convolution: str = "im2col") -> AbstractContextManager[None]:
    """Within ``with plain():`` everything is computed by the plain functions.

    A call made inside keeps to them in its backward pass, too, wherever that is called.  The scope
    holds for the whole process.

    Parameters
    ----------
    convolution : {"im2col", "naive"}
        A matrix product, or the loops of the definition, for tiny cases.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygan import Conv2d
    >>> layer, x = Conv2d(2, 3, 3), np.ones((1, 5, 5, 2), np.float32)
    >>> with plain(convolution="naive"):
    ...     y, backward = layer(x)
    >>> bool(abs(y - layer(x)[0]).max() < 1e-6)
    True
    """
    if convolution not in ("im2col", "naive"):
        raise ValueError(f"plain: convolution: expected 'im2col' or 'naive', got {convolution!r}")
    return using_mode(convolution)
