"""Objects with a forward and a backward method that keep their cache on themselves."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from tinygan.gradcheck.pairs import PairSubject, argument_names, given_only
from tinygan.gradcheck.returned import by_name, meant, several
from tinygan.gradcheck.subject import Subject, is_real, uneven
from tinygan.machine.arrays import asnumpy

__all__ = ["ObjectSubject", "methods"]

FORWARD = ("forward", "forward_propagation", "forward_pass", "forward_prop", "fprop", "__call__")
BACKWARD = ("backward", "backward_propagation", "backward_pass", "backprop", "bprop",
            "backward_prop", "back_propagation")  # fmt: skip


def methods(thing) -> tuple[str | None, str | None]:
    """Return the names of the object's forward and backward methods, None where it has none."""
    forward, backward = (
        next((n for n in names if callable(getattr(thing, n, None))), None)
        for names in (FORWARD, BACKWARD)
    )
    return forward, backward


class _Weight(NamedTuple):
    """One weight of an object: how it is read and set, and how its gradient is read."""

    value: Any
    put: Callable
    gradient: Callable


class ObjectSubject(PairSubject):
    """An object with ``forward(x) -> y`` and ``backward(dy) -> dx`` that caches on itself.

    Its weights are arrays: in ``params``, a dictionary or list, with gradients in ``grads``; or
    attributes ``W`` with gradients in ``dW``, ``grad_W`` or ``W_grad``; or objects with ``data``
    and ``grad``.
    """

    keeps_cache = True

    def __init__(self, thing, names, arguments, options, xp):
        self._thing, self._methods = copy.deepcopy(thing), names
        self._arguments, self._options = list(arguments), dict(options)
        self._backward = getattr(self._thing, names[1])
        rest = argument_names(getattr(thing, names[0]), len(arguments))[1:]
        self._argument_names = ["x", *(f"{n}_" if n == "x" else n for n in rest)]
        self._places = {"x": ("x", None)}
        changed = self._changed()
        weights = {
            f"self.{n}" if n == "x" else n: uneven(asnumpy(w.value))
            for n, w in weights_of(self._thing).items()
            if is_real(w.value) and np.size(w.value) and n not in changed
        }
        Subject.__init__(self, type(thing).__name__, {"x": arguments[0], **weights}, xp)
        empty = [k for k, v in vars(self._thing).items() if v is None]  # where one is to be put
        due = {meant(key, [_inside(n) for n in weights], False) for key in empty}
        self.optional = {n for n in weights if _inside(n) not in due}
        self.expected = set(self.optional)
        self.extras = {
            n: np.asarray(asnumpy(v))
            for n, v in zip(rest, arguments[1:], strict=True)
            if hasattr(v, "dtype")
        }
        self.notes = [
            f"not checked: {n}: the gradient of an argument beside x"
            for n, v in self.extras.items()
            if is_real(v) and not given_only(n)
        ]

    def _changed(self):
        """Return the names of arrays that a forward pass sets: caches and running statistics."""
        thing = copy.deepcopy(self._thing)
        before = {n: (w.value, copy.copy(w.value)) for n, w in weights_of(thing).items()}
        try:
            getattr(thing, self._methods[0])(*copy.deepcopy(self._arguments), **self._options)
        except Exception:  # it is said where the forward pass is checked
            return set()
        after = {n: w.value for n, w in weights_of(thing).items()}
        return {
            n
            for n, (value, was) in before.items()
            if after.get(n) is not value or not _equal(value, was)
        }

    def _functions(self, given):
        thing = copy.deepcopy(self._thing)
        weights = weights_of(thing)
        for name in list(self.tensors)[1:]:
            weights[_inside(name)].put(given[name])
            gathered = weights[_inside(name)].gradient()  # of an earlier call
            if is_real(gathered) and np.ndim(gathered):
                gathered[...] = 0

        def forward(*arguments, **options):
            y = getattr(thing, self._methods[0])(*arguments, **options)
            kept = (getattr(thing, n) for n in ("output", "out") if hasattr(thing, n))
            return next(kept, None) if y is None else y

        def gather(returned):
            if returned is None:
                returned = _gradient_of("x", ["x"], vars(thing))
            found = by_name(returned, self.tensors, ["x"]) if several(returned) else {"x": returned}
            for name in self.tensors:
                if found.get(name) is None:
                    found[name] = None if name == "x" else weights[_inside(name)].gradient()
            return found

        return forward, getattr(thing, self._methods[1]), gather


def _equal(a, b):
    return np.array_equal(asnumpy(a), asnumpy(b))


def _inside(name):
    """Return the name inside the object of the tensor `name`."""
    return name.removeprefix("self.")


def weights_of(thing, depth=3) -> dict[str, _Weight]:
    """Return the arrays that are, or may be, an object's weights, those of its parts too."""
    own = getattr(thing, "__dict__", {})
    params, grads = own.get("params"), own.get("grads")
    found: dict[str, _Weight] = {}
    places: dict[str, tuple[Any, Any, Any]]
    if isinstance(params, dict):
        places = {str(k): (params, k, v) for k, v in params.items()}
    elif isinstance(params, list) and isinstance(grads, list) and len(params) == len(grads):
        places = {f"params[{i}]": (params, i, v) for i, v in enumerate(params)}
    else:
        arrays = {n: v for n, v in own.items() if is_real(v) and np.ndim(v)}
        of_others = {n for n in arrays if meant(n, [m for m in arrays if m != n], False)}
        places = {n: (own, n, v) for n, v in arrays.items() if n not in of_others}
    for name, (holder, key, value) in places.items():
        found[name] = _Weight(
            value, _putter(own, holder, key, value), _getter(own, name, key, list(places))
        )
    for name, part in own.items() if depth else ():
        for i, inner in enumerate(part) if isinstance(part, (list, tuple)) else [(None, part)]:
            label = name if i is None else f"{name}[{i}]"
            if is_real(getattr(inner, "data", None)) and hasattr(inner, "grad"):
                found[label] = _Weight(
                    inner.data,
                    lambda new, inner=inner: setattr(inner, "data", new),
                    lambda inner=inner: inner.grad,
                )
            elif hasattr(inner, "__dict__") and not callable(inner) and inner is not thing:
                deeper = weights_of(inner, depth - 1)
                found |= {f"{label}.{n}": weight for n, weight in deeper.items()}
    return found


def _putter(own, holder, key, old):
    """Return what sets a weight, wherever else on the object the same array stands too."""

    def put(new):
        for name, value in list(own.items()):
            if value is old:
                own[name] = new
        holder[key] = new

    return put


def _getter(own, name, key, names):
    def gradient():
        now = own.get("grads")
        if isinstance(now, list) and isinstance(key, int):
            return now[key] if key < len(now) else None
        found = _gradient_of(name, names, now, same=True) if isinstance(now, dict) else None
        return _gradient_of(name, names, own) if found is None else found

    return gradient


def _gradient_of(name, names, values, same=False):
    """Return the array among `values` whose name says that it is the gradient of `name`.

    `same`: it may have the same name.
    """
    if same and name in values:
        return values[name]
    return next(
        (v for k, v in values.items() if is_real(v) and meant(k, names, same) == name),
        None,
    )
