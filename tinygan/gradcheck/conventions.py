"""How a backward pass is called: ``(dy, cache)``, ``(cache, dout)``, ``(dy, x, w)``.

Names say it where they can.  Where they do not, every possible call is tried, and the one whose
gradients agree with differences is the right one: a wrong call cannot agree by chance.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["ADAPTER", "NOTHING", "Convention", "conventions", "positional"]

NOTHING = object()
"""The cache of a forward pass that returns y alone."""

UPSTREAM = {"dy", "dout", "dz", "da", "dh", "dl", "dnext", "d", "gy", "g", "delta", "upstream"}
CACHE = {"cache", "ctx", "saved", "memory", "state", "context"}
OUTPUT = {"y", "out", "output", "a", "s", "z"}

ADAPTER = (
    "if it is to be called otherwise, write\n"
    "    def foo(x, w):                return y, (x, w)   # the output, what backward needs\n"
    "    def foo_backward(dy, cache):  return dx, dw      # in the order of foo's arguments\n"
    "    check_gradients((foo, foo_backward), x, w)"
)


@dataclass(frozen=True)
class Convention:
    """One way to call a backward pass.

    Attributes
    ----------
    text : str
        The call as the reader would write it.
    call : callable
        ``call(backward, dy, cache, arguments, y)`` returns what `backward` returns.
    is_loss : bool
        Whether dy is not passed on.
    named : bool
        Whether the parameters' names say so.
    """

    text: str
    call: Callable
    is_loss: bool = False
    named: bool = False


def conventions(backward, argument_names, has_cache, y_is_number=False) -> list[Convention]:
    """Return how `backward` may be meant to be called, the likeliest first."""
    names = positional(backward, required=True)
    if any(p.kind == p.VAR_POSITIONAL for p in _parameters(backward)):
        return [_positional(["dy", "cache"] if has_cache else ["dy", *argument_names])]
    known = [_meaning(name, argument_names, has_cache) for name in names]
    if has_cache and len(names) == 2 and known.count("dy") == 1:
        known = [what or "cache" for what in known]
    if all(known) and len(set(known)) == len(known) and ("dy" in known or len(known) > 1):
        return [_positional(known, named=True)]
    count = len(names)
    if has_cache:
        if count == 1:
            return [_positional(["cache"])]
        if count == 2:
            return [_positional(["dy", "cache"]), _positional(["cache", "dy"])]
        return [_spread(first) for first in (True, False)]
    if count == 1 and y_is_number:
        return [_positional([argument_names[0]])]
    if count == 1:
        return [_derivative(argument_names[0]), _derivative("y")]
    arguments = argument_names[: count - 1]
    found = [["dy", *arguments], [*arguments, "dy"]]
    if count == 2:
        found += [["dy", "y"], ["y", "dy"]]
    return [_positional(order) for order in found if len(order) == count] or [
        _positional(["dy", *argument_names])
    ]


def _parameters(function):
    try:
        return inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return [inspect.Parameter("arguments", inspect.Parameter.VAR_POSITIONAL)]


def positional(function, required=False) -> list[str]:
    """Return the names of what may be given by position; `required`: of what must be."""
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    return [
        p.name
        for p in _parameters(function)
        if p.kind in kinds and not (required and p.default is not p.empty)
    ]


def _meaning(name, argument_names, has_cache):
    plain = name.lower().strip("_")
    if plain in UPSTREAM or "grad" in plain or plain.startswith(("dl_d", "dout", "d_out", "dy")):
        return "dy"
    if has_cache:
        return "cache" if plain in CACHE else ""
    if name in argument_names:
        return name
    return "y" if plain in OUTPUT else ""


def _positional(order, named=False):
    def call(backward, dy, cache, arguments, y):
        known = {"dy": dy, "cache": cache, "y": y} | arguments
        return backward(*[known[what] for what in order])

    return Convention(f"backward({', '.join(order)})", call, "dy" not in order, named)


def _spread(first):
    def call(backward, dy, cache, arguments, y):
        rest = cache if isinstance(cache, (tuple, list)) else (cache,)
        return backward(dy, *rest) if first else backward(*rest, dy)

    return Convention("backward(dy, *cache)" if first else "backward(*cache, dy)", call)


def _derivative(what):
    def call(backward, dy, cache, arguments, y):
        return dy * backward(y if what == "y" else arguments[what])

    return Convention(f"dy · backward({what})", call)
