"""A layer, a pair of functions, or a function, each seen as a `Subject`."""

from __future__ import annotations

import copy
import inspect

import numpy as np

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
        tensors = {"x": np.array(asnumpy(x), np.float64)}
        tensors |= {n: _uneven(asnumpy(p.data)) for n, p in self._parameters.items()}
        super().__init__(name, tensors, xp)
        self._state = {n: a.copy() for n, a in self.layer.buffers().items()}

    def _restore(self):
        np.random.seed(0)  # noqa: NPY002 (for layers that draw from NumPy's global generator)
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
            for name, parameter in self._parameters.items():
                start = self.tensors[name] * 0 if before is None else before[name]
                parameter.grad = self.xp.array(start, dtype=self.dtype)
            try:
                dx = self.layer.backward(dy, cache)
            except ValueError:
                caught = self._catch(dy, cache, before)
                if caught is None:
                    raise
                return caught
            return {"x": dx} | {n: p.grad for n, p in self._parameters.items()}

        return y, walk

    def _catch(self, dy, cache, before):
        """Return gradients of wrong shapes, which ``grad += …`` refused, so that they be named."""
        for name, parameter in self._parameters.items():
            parameter.grad = _Catch(self.tensors[name] * 0 if before is None else before[name])
        try:
            dx = self.layer.backward(dy, cache)
        except Exception:
            return None
        grads = {
            n: p.grad.total if isinstance(p.grad, _Catch) else p.grad
            for n, p in self._parameters.items()
        }
        return {"x": dx} | grads


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
        self._options = options
        names = _argument_names(forward, len(arguments))
        self._positions = {}
        tensors, self._arguments = {}, list(arguments)
        for i, (name, value) in enumerate(zip(names, arguments, strict=True)):
            if i == 0 or (hasattr(value, "dtype") and value.dtype.kind == "f"):
                tensors[name] = np.array(asnumpy(value), np.float64)
                self._positions[name] = i
        super().__init__(_name(forward), tensors, xp)
        self.optional = {
            name for name in list(tensors)[1:] if name == "t" or name.startswith(NOT_DIFFERENTIATED)
        }
        self._takes_dy = _count_arguments(backward) != 1

    def _restore(self):
        np.random.seed(0)  # noqa: NPY002

    def _forward(self, given):
        # a generator given as an argument starts afresh in every call
        arguments = [copy.deepcopy(argument) for argument in self._arguments]
        for name, i in self._positions.items():
            arguments[i] = given[name]
        result = self._function(*arguments, **self._options)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise NotCheckable(
                f"{self.name}: expected the function to return (y, cache), got {kind(result)}"
            )
        y, cache = result

        def walk(dy, before=None):
            if self._takes_dy:
                returned = self._function_backward(dy, cache)
            else:
                returned = self._function_backward(cache)
            return self._by_name(returned)

        return y, walk

    def upstream(self, dy, y=None):
        return super().upstream(dy) if self._takes_dy else self.xp.ones(np.shape(dy))

    @property
    def is_loss(self) -> bool:
        """Whether the way back takes no upstream gradient."""
        return not self._takes_dy

    def _by_name(self, returned):
        names = list(self._positions)
        if isinstance(returned, dict):
            found = {}
            for key, value in returned.items():
                name = key if key in names else key.removeprefix("d").removeprefix("_")
                if name not in names:
                    raise BackwardError(
                        f"the backward pass returned a gradient named {key!r}; expected names "
                        f"among {', '.join('d' + n for n in names)}"
                    )
                found[name] = value
        else:
            values = list(returned) if isinstance(returned, (tuple, list)) else [returned]
            if len(values) > len(names):
                raise BackwardError(
                    f"the backward pass returned {len(values)} gradients, expected at most "
                    f"{len(names)}: {', '.join('d' + n for n in names)}"
                )
            found = dict(zip(self._ordered(names, values), values, strict=True))
        for name in names:
            found.setdefault(name, None)
        return found

    def _ordered(self, names, values):
        """Return the names of the values: in order, unless fewer came and only shapes can tell."""
        required = [n for n in names if n not in self.optional]
        if len(values) == len(required) and len(values) < len(names):
            return required
        if len(values) == len(names):
            return names
        left, chosen = list(names), []
        for value in values:
            fits = [n for n in left if np.shape(value) == self.tensors[n].shape]
            chosen.append(fits[0] if fits else left[0])
            left.remove(chosen[-1])
        return chosen


class FunctionSubject(Subject):
    """A function of x that returns ``(y, backward)`` or, like a loss, ``(loss, gradient)``."""

    def __init__(self, function, arguments, options, xp):
        self._function, self._arguments, self._options = function, arguments[1:], options
        super().__init__(_name(function), {"x": np.array(asnumpy(arguments[0]), np.float64)}, xp)
        names = _argument_names(function, len(arguments))[1:]
        self.extras = {
            name: np.asarray(asnumpy(value))
            for name, value in zip(names, self._arguments, strict=True)
            if hasattr(value, "dtype")
        }
        self._loss = False

    def _restore(self):
        np.random.seed(0)  # noqa: NPY002

    def _forward(self, given):
        result = self._function(given["x"], *copy.deepcopy(self._arguments), **self._options)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise NotCheckable(
                f"{self.name}: expected (y, backward) or (loss, gradient), got {kind(result)}"
            )
        y, back = result
        self._loss = not callable(back)

        def walk(dy, before=None):
            return {"x": back(dy) if callable(back) else back}

        return y, walk

    @property
    def is_loss(self) -> bool:
        return self._loss

    def upstream(self, dy, y=None):
        return self.xp.ones(np.shape(dy)) if self._loss else super().upstream(dy)


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
        return PairSubject(*layer, (x, *arguments), options, xp)
    if callable(layer):
        return FunctionSubject(layer, (x, *arguments), options, xp)
    raise TypeError(
        "check_gradients: expected a Layer, a pair (forward, backward) of functions or a function, "
        f"got {kind(layer)}"
    )


def _name(function):
    return getattr(function, "__name__", None) or repr(function)


def _argument_names(function, count):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        parameters = ()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    names = names[:count]
    return names + [f"argument{i}" for i in range(len(names), count)]


def _count_arguments(function):
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(p.kind == p.VAR_POSITIONAL for p in parameters):
        return None
    return sum(p.default is p.empty and p.kind != p.KEYWORD_ONLY for p in parameters)
