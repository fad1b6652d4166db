"""A layer, a pair of functions, an object, or a function, each seen as a `Subject`."""

from __future__ import annotations

import contextlib
import copy
import inspect

import numpy as np

from tinygan.gradcheck.conventions import ADAPTER
from tinygan.gradcheck.objects import ObjectSubject, methods
from tinygan.gradcheck.pairs import PairSubject
from tinygan.gradcheck.returned import several
from tinygan.gradcheck.subject import NotCheckable, Subject, is_real, kind, uneven
from tinygan.layer import Layer
from tinygan.machine.arrays import asnumpy, get_xp

__all__ = ["make_subject"]


class LayerSubject(Subject):
    """A float64 copy of a layer."""

    def __init__(self, layer, x, xp):
        self.layer = copy.deepcopy(layer).to(dtype=np.float64)
        name = repr(layer) if "\n" not in repr(layer) else type(layer).__name__
        self._parameters = {n: p for n, p in self.layer.named_parameters().items() if not p.frozen}
        weights = {n: uneven(asnumpy(p.data)) for n, p in self._parameters.items()}
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
                if is_real(item) and np.ndim(item) and np.size(item) and id(item) not in known:
                    where = f"{name}[{i}]" if isinstance(value, (list, tuple)) else name
                    found.append(".".join(filter(None, (prefix, where))))
    return found


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


def _with_its_backward(function, arguments, options, xp):
    """Return the subject for a function that returns its backward pass or its gradient."""
    name, back, due = getattr(function, "__name__", repr(function)), None, 0
    try:
        result = function(*copy.deepcopy(arguments), **copy.deepcopy(options))
        several_gradients = isinstance(result, tuple) and len(result) > 2 and not np.ndim(result[0])
        if several_gradients or (isinstance(result, (tuple, list)) and len(result) == 2):
            y, back = result[0], result[1:] if several_gradients else result[1]
            due = int(several(back(np.ones(np.shape(y))) if callable(back) else back))
    except Exception:  # it is said where the function is checked
        result = None
    if result is not None and back is None:
        raise NotCheckable(
            f"{name}: expected (y, backward) or (loss, gradient), got {kind(result)}; to check a "
            "function with its backward pass, " + ADAPTER.partition(", ")[2]
        )
    is_loss = back is not None and not callable(back)
    backward = (lambda cache: cache) if is_loss else (lambda dy, cache: cache(dy))
    return PairSubject(function, backward, arguments, options, xp, due)


def make_subject(layer, x, arguments=(), options=None) -> Subject:
    """Return the subject for a layer, a pair of functions, an object or a function."""
    x = x if hasattr(x, "dtype") else np.asarray(x)
    xp, options = get_xp(x), options or {}
    if isinstance(layer, Layer):
        if arguments or options:
            raise TypeError(
                "check_gradients: a layer takes x alone; give its options when building it"
            )
        return LayerSubject(layer, x, xp)
    if isinstance(layer, (tuple, list)) and len(layer) == 2 and all(map(callable, layer)):
        forward, backward = layer
        things = {id(getattr(function, "__self__", None)) for function in layer}
        if len(things) == 1 and inspect.ismethod(forward) and not inspect.isclass(forward.__self__):
            names = forward.__name__, backward.__name__
            return ObjectSubject(forward.__self__, names, (x, *arguments), options, xp)
        return PairSubject(forward, backward, (x, *arguments), options, xp)
    if inspect.isclass(layer):
        try:
            layer = layer()
        except TypeError as error:
            raise TypeError(
                f"check_gradients: expected a layer, got the class {layer.__name__}; build one: "
                f"{layer.__name__}(…)"
            ) from error
        return make_subject(layer, x, arguments, options)
    if None not in methods(layer):
        return ObjectSubject(layer, methods(layer), (x, *arguments), options, xp)
    if callable(layer):
        return _with_its_backward(layer, (x, *arguments), options, xp)
    raise TypeError(
        "check_gradients: expected a Layer, a pair (forward, backward) of functions or a function, "
        f"got {kind(layer)}"
    )
