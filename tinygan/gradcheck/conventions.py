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

UPSTREAM = {"gy", "g", "upstream", "error", "err"}
NOT_UPSTREAM = ("data", "dim", "dict", "depth", "dropout", "dilation", "dtype", "dist",
                "decay", "device", "degree", "delay", "diff", "denom", "deviation",
                "dot", "diag", "div")  # fmt: skip
"""What names begin with that are no gradients, although they begin with d."""
CACHE = {"cache", "ctx", "saved", "memory", "state", "context"}
RATE = {"lr", "learningrate", "eta"}
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
    """

    text: str
    call: Callable
    is_loss: bool = False


def conventions(
    backward, argument_names, has_cache: int, y_is_number=False, on_self=False
) -> list[Convention]:
    """Return how `backward` may be meant to be called, the likeliest first.

    `has_cache` is how many things forward returned beside its output: what backward needs may be
    all of them or the last.  `on_self`: the object keeps what backward needs.
    """
    names, keywords = positional(backward, required=True), _keywords(backward)
    if any(p.kind == p.VAR_POSITIONAL for p in _parameters(backward)):
        return [_positional(["dy", "cache"] if has_cache else ["dy", *argument_names])]
    if on_self and not names and not keywords:
        first = positional(backward)[:1]
        return [_positional(["dy"] if first else [])]
    known = [_meaning(name, argument_names, has_cache) for name in [*names, *keywords]]
    if has_cache and len(known) == 2 and known.count("dy") == 1:
        known = [what or "cache" for what in known]
    if has_cache and len(known) == 2 and known.count("cache") == 1:
        known = [what or "dy" for what in known]
    if has_cache and "cache" in known:  # beside it, what forward was told
        both = zip(known, [*names, *keywords], strict=True)
        known = [what or (name if name in argument_names else "") for what, name in both]
    if on_self and not has_cache and len(known) == 1:
        known = ["dy"]
    if all(known) and ("dy" in known or len(known) > 1 or keywords):
        many = known.count("dy") > 1
        if has_cache and known == ["dy"]:  # a name that begins with d may be the cache's
            return [_positional(what, keywords) for what in (known, ["cache"])]
        plain = [w for w in known if w != "dy"]
        if len(set(plain)) == len(plain) and (plain or not many):
            last = [False, True] if "cache" in known and has_cache > 1 else [False]
            return [_positional(known, keywords, last=end) for end in last]
    count = len(names)
    if has_cache:
        if count == 1:
            return [_positional(["cache"])]
        loss = [_SPREAD] if y_is_number and count == has_cache else []
        if count == 2:
            return [*loss, _positional(["dy", "cache"]), _positional(["cache", "dy"])]
        return [*loss, *(_spread(first) for first in (True, False))]
    if count == 1 and y_is_number:
        return [_positional([argument_names[0]])]
    if count == 1:
        return [_derivative(argument_names[0]), _derivative("y"), _positional(["dy"])]
    arguments = argument_names[: count - 1]
    found = [["dy", *arguments], [*arguments, "dy"]]
    if count == 2:
        found += [["dy", "y"], ["y", "dy"]]
    elif count == 3 == len(argument_names) + 1:
        found += [["dy", *arguments[::-1]], [*arguments[::-1], "dy"]]
    return [_positional(order) for order in found if len(order) == count] or [
        _positional(["dy", *argument_names])
    ]


def outputs(backward, results) -> int:
    """Return how many of the results are outputs: as many as gradients are asked for.

    `results` is what forward returned, if that is a tuple.
    """
    names = [*positional(backward, required=True), *_keywords(backward)]
    count = [_meaning(name, (), True) for name in names].count("dy")
    arrays = sum(hasattr(result, "dtype") for result in results[:count])
    fits = len(results) == count + 1 or (len(results) == count and len(names) > count)
    return count if count > 1 and arrays == count and fits else 1


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


def _keywords(function) -> list[str]:
    return [
        p.name for p in _parameters(function) if p.kind == p.KEYWORD_ONLY and p.default is p.empty
    ]


def _meaning(name, argument_names, has_cache):
    plain = name.lower().strip("_")
    if plain.replace("_", "") in RATE:
        return "rate"
    derivative = plain.startswith("d") and not plain.startswith(NOT_UPSTREAM)
    if name not in argument_names and (
        plain in UPSTREAM or derivative or "grad" in plain or plain.endswith("_error")
    ):
        return "dy"
    if has_cache:
        return "cache" if plain in CACHE else ""
    if name in argument_names:
        return name
    return "y" if plain in OUTPUT else ""


def _positional(order, keywords=(), last=False):
    def call(backward, dy, cache, arguments, y):
        dys = iter(dy if isinstance(dy, tuple) and order.count("dy") > 1 else [dy])
        cache = cache[-1] if last else cache
        known = {"cache": cache, "y": y, "rate": 0.0} | arguments
        given = [next(dys) if what == "dy" else known[what] for what in order]
        count = len(given) - len(keywords)
        return backward(*given[:count], **dict(zip(keywords, given[count:], strict=True)))

    text = ", ".join("cache[-1]" if last and what == "cache" else what for what in order)
    return Convention(f"backward({text})", call, "dy" not in order)


def _spread(first):
    def call(backward, dy, cache, arguments, y):
        rest = cache if isinstance(cache, (tuple, list)) else (cache,)
        return backward(dy, *rest) if first else backward(*rest, dy)

    return Convention("backward(dy, *cache)" if first else "backward(*cache, dy)", call)


_SPREAD = Convention("backward(*cache)", lambda backward, dy, cache, *_: backward(*cache), True)


def _derivative(what):
    def call(backward, dy, cache, arguments, y):
        return dy * backward(y if what == "y" else arguments[what])

    return Convention(f"dy · backward({what})", call)
