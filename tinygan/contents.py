"""Finding what a layer holds: in attributes, and in lists, tuples and dicts there at any depth."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

__all__ = ["contents"]

_NEVER = (str, bytes, bool, int, float, complex, type(None), type, FunctionType, MethodType,
          ModuleType, np.generic, np.random.Generator)  # fmt: skip
_PLAIN = frozenset((str, bool, int, float, type(None)))  # most attributes, told fast
_MOST = 10_000  # objects that are looked into


def contents(owner: object, wanted: tuple[type, ...], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``(dotted name, value)`` of each value of the types `wanted` that `owner` holds.

    Raises
    ------
    TypeError
        If one is where no name leads: in a set, an array of objects or an object of another kind.
        It names the place, behind `path`.
    """
    for name, value in vars(owner).items():
        if type(value) not in _PLAIN:
            yield from _search(name, value, wanted, path, ())


def _search(
    name: str, value: Any, wanted: tuple[type, ...], path: str, around: tuple[int, ...]
) -> Iterator[tuple[str, Any]]:
    if isinstance(value, wanted):
        yield name, value
    elif type(value) in _PLAIN or isinstance(value, _NEVER) or id(value) in around:
        return
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            yield from _search(f"{name}.{i}", item, wanted, path, (*around, id(value)))
    elif isinstance(value, dict) and not any(isinstance(key, wanted) for key in value):
        for key, item in value.items():
            yield from _search(f"{name}.{key}", item, wanted, path, (*around, id(value)))
    elif _holds(value, wanted, set()):
        names = " or ".join(kind.__name__ for kind in wanted)
        raise TypeError(
            f"{path}{name}: a {type(value).__name__} holds a {names}, which is not found there: "
            "keep it in an attribute, a list, a tuple or the values of a dict, or make the object "
            "a Layer"
        )


def _holds(value: Any, wanted: tuple[type, ...], seen: set[int]) -> bool:
    if isinstance(value, wanted):
        return True
    if isinstance(value, _NEVER) or id(value) in seen or len(seen) > _MOST:
        return False
    seen.add(id(value))
    if isinstance(value, np.ndarray):
        inside = value.ravel().tolist() if value.dtype.hasobject else []
    elif isinstance(value, Mapping):
        inside = [*value.keys(), *value.values()]
    elif isinstance(value, Collection):
        inside = list(value)
    else:
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        inside = [getattr(value, name, None) for name in slots]
        inside += getattr(value, "__dict__", {}).values()
    return any(_holds(item, wanted, seen) for item in inside)
