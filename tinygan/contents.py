"""Finding what a layer holds: in attributes, and in lists, tuples and dicts there at any depth."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

__all__ = ["contents", "holds"]

_NEVER = (str, bytes, bool, int, float, complex, type(None), type, BuiltinFunctionType, ModuleType,
          np.generic, np.random.Generator)  # fmt: skip
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
            yield from _search(name, value, wanted, path, (id(owner),))


def _search(
    name: str, value: Any, wanted: tuple[type, ...], path: str, around: tuple[int, ...]
) -> Iterator[tuple[str, Any]]:
    if isinstance(value, wanted):
        yield name, value
    elif isinstance(value, _NEVER) or id(value) in around:
        return
    elif isinstance(value, (list, tuple)):
        for i, item in enumerate(value):
            if type(item) not in _PLAIN:
                yield from _search(f"{name}.{i}", item, wanted, path, (*around, id(value)))
    elif isinstance(value, dict) and not any(isinstance(key, wanted) for key in value):
        for key, item in value.items():
            yield from _search(f"{name}.{key}", item, wanted, path, (*around, id(value)))
    elif holds(value, wanted, set(around)):
        names = " or ".join(kind.__name__ for kind in wanted)
        raise TypeError(
            f"{path}{name}: a {type(value).__name__} holds a {names}, which is not found there: "
            "keep it in an attribute, a list, a tuple or the values of a dict, or make the object "
            "a Layer"
        )


def holds(value: Any, wanted: tuple[type, ...], seen: set[int]) -> bool:
    """Tell whether one of the types `wanted` can be reached from `value`, at any depth."""
    if id(value) in seen or isinstance(value, _NEVER) or len(seen) > _MOST:
        return False
    if isinstance(value, wanted):
        return True
    if isinstance(value, (FunctionType, MethodType)):  # of these alone, not what they lead to
        return any(isinstance(x, wanted) and id(x) not in seen for x in _bound(value))
    seen.add(id(value))
    return any(holds(item, wanted, seen) for item in _inside(value))


def _inside(value: Any) -> list:
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype.hasobject else []
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, Mapping):
        return [*value.keys(), *value.values()]
    if isinstance(value, Collection):
        return list(value)
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    inside = [getattr(value, name, None) for name in slots]
    return [*inside, *getattr(value, "__dict__", {}).values()]


def _bound(function: FunctionType | MethodType) -> Iterator[Any]:
    """Yield what a method is of, or what a function was given where it was defined."""
    if isinstance(function, MethodType):
        yield function.__self__
        return
    for cell in function.__closure__ or ():
        with suppress(ValueError):  # not yet given a value
            yield cell.cell_contents
