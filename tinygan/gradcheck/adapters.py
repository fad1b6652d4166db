"""A layer, a pair of functions, or a function, each seen as a `Subject`."""

from __future__ import annotations

import contextlib
import copy
from typing import Any

import numpy as np

from tinygan.gradcheck.conventions import ADAPTER, NOTHING, conventions, positional
from tinygan.gradcheck.subject import BackwardError, NotCheckable, Subject, kind
from tinygan.layer import Layer
from tinygan.machine.arrays import asnumpy, get_xp

__all__ = ["make_subject"]

NOT_DIFFERENTIATED = ("target", "label", "mask", "running_")
"""Arguments whose names begin so need no gradient unless one is returned."""


class LayerSubject(Subject):
    """A float64 copy of a layer."""

    def __init__(self, layer, x, xp):
        self.layer = copy.deepcopy(layer).to(dtype=np.float64)
        name = repr(layer) if "\n" not in repr(layer) else type(layer).__name__
        self._parameters = {n: p for n, p in self.layer.named_parameters().items() if not p.frozen}
        weights = {n: _uneven(asnumpy(p.data)) for n, p in self._parameters.items()}
        super().__init__(name, {"x": x, **weights}, xp)
        self._state = {n: a.copy() for n, a in self.layer.buffers().items()}
        self.notes = [
            f"not checked: {name}: an array that is no Parameter: no optimizer sees its gradient"
            for name in _plain_weights(self.layer)
        ]

    def _restore(self):
        super()._restore()
        buffers = self.layer.buffers()
        for name, value in self._state.items():
            buffers[name][...] = value

    def _forward(self, given):
        for name, parameter in self._parameters.items():
            parameter.data = given[name]
        result = self.layer.forward(given["x"])
        if not (isinstance(result, tuple) and len(result) == 2):
            raise NotCheckable(
                f"{self.name}: expected forward to return (y, cache), got {kind(result)}"
            )
        y, cache = result

        def walk(dy, before=None):
            starts = {n: self.tensors[n] * 0 for n in self._parameters} | (before or {})

            def back(start):
                for name, parameter in self._parameters.items():
                    parameter.grad = start(starts[name])
                return self.layer.backward(dy, cache)

            try:
                dx = back(self.xp.array)
            except ValueError:  # perhaps a gradient of a wrong shape, which += refused: name it
                dx = None
                with contextlib.suppress(Exception):
                    dx = back(_Catch)
                if dx is None:
                    raise
            grads = {n: getattr(p.grad, "total", p.grad) for n, p in self._parameters.items()}
            return {"x": dx} | grads

        return y, walk


def _plain_weights(layer):
    """Return the names of arrays of real numbers that are neither parameters nor buffers."""
    known = {id(a) for a in layer.buffers().values()}
    found = []
    for prefix, part in layer.walk():
        for name, value in vars(part).items():
            for i, item in enumerate(value if isinstance(value, (list, tuple)) else [value]):
                if _is_real(item) and np.ndim(item) and np.size(item) and id(item) not in known:
                    where = f"{name}[{i}]" if isinstance(value, (list, tuple)) else name
                    found.append(".".join(filter(None, (prefix, where))))
    return found


def _is_real(value):
    return hasattr(value, "dtype") and getattr(value.dtype, "kind", "") == "f"


def _uneven(values):
    """Return other values for a parameter that holds one number only, as γ = 1 and b = 0 do.

    A factor γ that is forgotten would not show while γ is 1.
    """
    values = np.array(values, np.float64)
    if values.size and np.ptp(values) == 0:
        rng = np.random.default_rng([values.size, *b"uneven"])
        values += rng.uniform(-0.5, 0.5, values.shape)
    return values


class _Catch:
    """Stands for a parameter's gradient and takes whatever is added to it."""

    def __init__(self, total):
        self.total, self.shape = total, total.shape

    def __iadd__(self, value):
        self.total = self + value
        return self

    def __isub__(self, value):
        self.total = self + -value
        return self

    def __add__(self, value):
        fits = np.broadcast_shapes(np.shape(value), self.shape) == self.shape
        return self.total + value if fits else value


class PairSubject(Subject):
    """``foo(x, …) -> (y, cache)`` with ``foo_backward(dy, cache) -> gradients``."""

    def __init__(self, forward, backward, arguments, options, xp):
        self._function, self._function_backward = forward, backward
        self._options, self._arguments = dict(options), list(arguments)
        self._argument_names = _argument_names(forward, len(arguments))
        self._positions = {
            name: i
            for i, (name, value) in enumerate(zip(self._argument_names, arguments, strict=True))
            if i == 0 or _is_real(value)
        }
        tensors = {n: arguments[i] for n, i in self._positions.items()}
        keywords = {n: v for n, v in self._options.items() if _is_real(v) and np.ndim(v)}
        super().__init__(_name(forward), tensors | keywords, xp)
        given = {n for n in list(tensors)[1:] if n == "t" or n.startswith(NOT_DIFFERENTIATED)}
        self.optional, self.expected = given | set(keywords), set(keywords) - given
        self._convention: Any = None
        self._has_cache = None

    def _forward(self, given):
        # a generator given as an argument starts afresh in every call
        arguments = [copy.deepcopy(argument) for argument in self._arguments]
        for name, i in self._positions.items():
            arguments[i] = given[name]
        options = {n: given.get(n, v) for n, v in self._options.items()}
        result = self._function(*arguments, **options)
        self._has_cache = isinstance(result, (tuple, list)) and len(result) >= 2
        y, *cache = result if self._has_cache else (result,)
        cache = (cache[0] if len(cache) == 1 else tuple(cache)) if cache else NOTHING
        named = dict(zip(self._argument_names, arguments, strict=True))

        def walk(dy, before=None):
            call = self._convention.call
            return self._by_name(call(self._function_backward, dy, cache, named, y))

        return y, walk

    def adopt(self, other):
        self._convention, self.is_loss, self.hint = other._convention, other.is_loss, other.hint
        self.notes = other.notes

    def settle(self, y, dy, rng):
        """Choose the convention: by names, else the one that agrees with differences."""
        possible = conventions(
            self._function_backward, self._argument_names, self._has_cache, y.ndim == 0
        )
        fitting = []
        for convention in possible:
            self._convention, self.is_loss = convention, convention.is_loss
            if len(possible) == 1:
                return
            fits = self._agrees(dy, rng)
            if fits:
                if convention is not possible[0]:
                    self.notes.append(f"called as {convention.text}, which agrees")
                return
            fitting += [convention] if fits is not None else []
        self._convention = (fitting or possible)[0]
        self.is_loss = self._convention.is_loss
        self.hint = f"called as {self._convention.text}; {ADAPTER}"

    def _agrees(self, dy, rng):
        """Whether the gradients agree with differences; None if they cannot even be compared."""
        try:
            found = self.walk(self.call(), self.upstream(dy))
        except BackwardError:
            return None
        for name, gradient in found.items():
            if gradient is None:
                continue
            value = self.tensors[name]
            if gradient.shape != value.shape:
                return None
            v = rng.standard_normal(value.shape) * 1e-6
            ends = [self.call({**self.tensors, name: value + s * v}).y for s in (1, -1)]
            slope, mine = float(((ends[0] - ends[1]) * dy).sum()) / 2, float((gradient * v).sum())
            if not abs(slope - mine) <= 1e-4 * float(np.linalg.norm(gradient * v)) + 1e-12:
                return False
        return True

    def _by_name(self, returned):
        names = list(self.tensors)
        if isinstance(returned, dict):
            keys = [k if k in names else k.removeprefix("d").removeprefix("_") for k in returned]
            values = list(returned.values())
            strange = [k for k, plain in zip(returned, keys, strict=True) if plain not in names]
            if strange:
                raise BackwardError(
                    f"the backward pass returned a gradient named {strange[0]!r}; expected names "
                    f"among {', '.join('d' + n for n in names)}"
                )
        else:
            values = list(returned) if isinstance(returned, (tuple, list)) else [returned]
            if len(values) > len(names):
                raise BackwardError(
                    f"the backward pass returned {len(values)} gradients, expected at most "
                    f"{len(names)}: {', '.join('d' + n for n in names)}"
                )
            keys = self._ordered(names, values)
        return dict.fromkeys(names) | dict(zip(keys, values, strict=True))

    def _ordered(self, names, values):
        """Return the names of the values: in order, unless fewer came and only shapes can tell."""
        required = [n for n in names if n not in self.optional]
        if len(values) in (len(names), len(required)):
            return names if len(values) == len(names) else required
        chosen: list[str] = []
        for value in values:
            left = [n for n in names if n not in chosen]
            fits = [n for n in left if np.shape(value) == self.tensors[n].shape]
            chosen.append((fits or left)[0])
        return chosen


class ObjectSubject(Subject):
    """An object with ``forward(x) -> y`` and ``backward(dy) -> dx`` that caches on itself.

    Its weights are arrays: in a dictionary ``params``, with gradients of the same names in
    ``grads``; or attributes ``W`` with gradients in ``dW``, ``grad_W`` or ``W_grad``.
    """

    keeps_cache = True

    def __init__(self, thing, x, xp):
        self._thing = copy.deepcopy(thing)
        self._inside = isinstance(getattr(thing, "params", None), dict)
        weights = self._weights(self._thing)
        weights = {n: _uneven(asnumpy(v)) for n, v in weights.items() if _is_real(v)}
        super().__init__(type(thing).__name__, {"x": x, **weights}, xp)
        self.optional = self.expected = set(weights)

    def _weights(self, thing):
        if self._inside:
            return {n: v for n, v in thing.params.items() if np.size(v)}
        own = {n: v for n, v in vars(thing).items() if _is_real(v) and np.ndim(v) and np.size(v)}
        gradients = {g for n in own for g in _gradient_names(n)}
        return {n: v for n, v in own.items() if n not in gradients}

    def _forward(self, given):
        thing = copy.deepcopy(self._thing)
        for name in self.tensors:
            if name != "x" and self._inside:
                thing.params[name] = given[name]
            elif name != "x":
                setattr(thing, name, given[name])
        result = thing.forward(given["x"])
        y, *cache = result if isinstance(result, (tuple, list)) else (result,)

        def walk(dy, before=None):
            found = thing.backward(dy, *cache)
            found = dict(zip(self.tensors, found, strict=False)) if type(found) is tuple else {
                "x": found}  # fmt: skip
            for name in self.tensors:
                if name not in found:
                    found[name] = self._gradient(thing, name)
            return found

        return y, walk

    def _gradient(self, thing, name):
        grads: Any = getattr(thing, "grads", None)
        grads = grads if isinstance(grads, dict) else {}
        names = _gradient_names(name)
        found = [grads.get(n) for n in (name, *names)] + [getattr(thing, n, None) for n in names]
        return next((g for g in found if g is not None), None)


def _gradient_names(name):
    return [f"d{name}", f"grad_{name}", f"{name}_grad", f"d_{name}", f"d{name.lower()}"]


class FunctionSubject(Subject):
    """A function of x that returns ``(y, backward)`` or, like a loss, ``(loss, gradient)``."""

    def __init__(self, function, arguments, options, xp):
        self._function, self._arguments, self._options = function, arguments[1:], options
        super().__init__(_name(function), {"x": arguments[0]}, xp)
        names = _argument_names(function, len(arguments))[1:]
        self.extras = {
            name: np.asarray(asnumpy(value))
            for name, value in zip(names, self._arguments, strict=True)
            if hasattr(value, "dtype")
        }

    def _forward(self, given):
        result = self._function(given["x"], *copy.deepcopy(self._arguments), **self._options)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise NotCheckable(
                f"{self.name}: expected (y, backward) or (loss, gradient), got {kind(result)}; to "
                "check a function with its backward pass, " + ADAPTER.partition(", ")[2]
            )
        y, back = result
        self.is_loss = not callable(back)

        def walk(dy, before=None):
            return {"x": back(dy) if callable(back) else back}

        return y, walk


def make_subject(layer, x, arguments=(), options=None) -> Subject:
    """Return the subject for a layer, a pair of functions, or a function."""
    xp = get_xp(x) if hasattr(x, "dtype") else np
    options = options or {}
    if isinstance(layer, Layer):
        if arguments or options:
            raise TypeError(
                "check_gradients: a layer takes x alone; give its options when building it"
            )
        return LayerSubject(layer, x, xp)
    if isinstance(layer, (tuple, list)) and len(layer) == 2 and all(map(callable, layer)):
        forward, backward = layer
        return PairSubject(forward, backward, (x, *arguments), options, xp)
    if callable(layer) and not hasattr(layer, "backward"):
        return FunctionSubject(layer, (x, *arguments), options, xp)
    if callable(getattr(layer, "forward", None)) and callable(getattr(layer, "backward", None)):
        return ObjectSubject(layer, x, xp)
    raise TypeError(
        "check_gradients: expected a Layer, a pair (forward, backward) of functions or a function, "
        f"got {kind(layer)}"
    )


def _name(function):
    return getattr(function, "__name__", None) or repr(function)


def _argument_names(function, count):
    names = positional(function)[:count]
    return names + [f"argument{i}" for i in range(len(names), count)]
