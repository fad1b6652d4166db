"""Whose gradient is it?  What a backward pass returns, in any usual form, by the tensors' names."""

from __future__ import annotations

from collections.abc import Iterator

from tinygan.gradcheck.subject import BackwardError

__all__ = ["by_name", "meant", "several"]

PREFIXES = ("dld", "grad", "delta", "nabla", "d")
SUFFIXES = ("gradients", "gradient", "grads", "grad")
SHORT = {"weight": "w", "weights": "w", "kernel": "w", "bias": "b", "biases": "b", "inputs": "x",
         "input": "x"}  # fmt: skip


def meant(key: str, names, plainly=True) -> str | None:
    """Return which of `names` a gradient called `key` is of: dW, grad_w and w_grad are W's.

    `plainly`: so is W itself.
    """
    if key in names and plainly:
        return key
    plain = _plain(key)
    forms = [
        *([plain] if plainly else []),
        *(plain[len(p) :] for p in PREFIXES if plain.startswith(p)),
    ]
    forms += [plain[: -len(s)] for s in SUFFIXES if plain.endswith(s)]
    for same in (str, lambda text: SHORT.get(text, text)):
        for form in forms:
            fits = [name for name in names if form and same(_plain(name)) == same(form)]
            if len(fits) == 1:
                return fits[0]
    return None


def _plain(name):
    return name.lower().replace("_", "").replace(".", "")


def several(returned) -> bool:
    """Whether this is more than one gradient: a dictionary, a tuple, or a list of arrays."""
    if isinstance(returned, (dict, tuple, Iterator)):
        return True
    return isinstance(returned, list) and any(hasattr(value, "dtype") for value in returned)


def by_name(returned, tensors, required, arguments=()) -> dict:
    """Return the gradients by the names of `tensors`.

    `required` are the names of which a gradient is due; `arguments` are all of the function's: a
    gradient for each, None for those that have none, is understood too.
    """
    names = list(tensors)
    if isinstance(returned, Iterator):
        returned = tuple(returned)
    fields = getattr(returned, "_fields", ())
    if fields and all(meant(field, names) for field in fields):
        returned = returned._asdict()
    if isinstance(returned, dict):
        return _named(returned, names, required)
    if not several(returned):
        values = [returned]
    elif len(returned) == len(arguments) > len(names):
        return {n: v for n, v in zip(arguments, returned, strict=True) if n in names}
    else:
        values = list(returned)
    inside = [value for value in values if isinstance(value, dict) or _nested(value)]
    if inside:  # (dx, {"W": dW, "b": db}), (dx, [dW, db])
        found: dict = {}
        rest = [v for v in values if not any(v is other for other in inside)]
        for value in inside:
            if isinstance(value, dict):
                found |= _named(value, names, ())
            else:
                rest += value
        left = [n for n in names if n not in found]
        return found | _in_order(rest, {n: tensors[n] for n in left}, required)
    return _in_order(values, tensors, required)


def _nested(value):
    return isinstance(value, (list, tuple)) and any(hasattr(v, "dtype") for v in value)


def _named(returned, names, required):
    found, strange = {}, []
    for key, value in returned.items():
        name = meant(str(key), names)
        if name is None or name in found:
            strange.append(key)
        else:
            found[name] = value
    if strange and not all(name in found for name in required or names):
        raise BackwardError(
            f"the backward pass returned a gradient named {strange[0]!r}; expected names "
            f"among {', '.join('d' + n for n in names)}"
        )
    return found


def _in_order(values, tensors, required):
    """Name the values in order, unless fewer came and only shapes can tell."""
    names, due = list(tensors), [n for n in tensors if n in required]
    while len(values) > len(names) and values[-1] is None:
        values = values[:-1]
    if len(values) > len(names):
        raise BackwardError(
            f"the backward pass returned {len(values)} gradients, expected at most "
            f"{len(names)}: {', '.join('d' + n for n in names)}"
        )
    chosen = names if len(values) == len(names) else due if len(values) == len(due) else []
    for value in () if chosen else values:
        left = [n for n in names if n not in chosen]
        fits = [n for n in left if getattr(value, "shape", ()) == tensors[n].shape]
        chosen = [*chosen, (fits or left)[0]]
    return dict(zip(chosen, values, strict=True))
