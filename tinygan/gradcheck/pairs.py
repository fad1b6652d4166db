"""Pairs of functions, forward and backward, seen as a `Subject`."""

from __future__ import annotations

import copy

import numpy as np

from tinygan.gradcheck.called import CalledSubject
from tinygan.gradcheck.conventions import positional
from tinygan.gradcheck.returned import by_name
from tinygan.gradcheck.subject import is_real
from tinygan.machine.arrays import asnumpy

__all__ = ["PairSubject", "argument_names", "given_only"]

NOT_DIFFERENTIATED = ("target", "label", "mask", "running_", "y_true", "ytrue", "true", "truth",
                      "actual", "expected", "gt", "onehot", "one_hot")  # fmt: skip
"""Arguments whose names begin so need no gradient unless one is returned."""


class PairSubject(CalledSubject):
    """``foo(x, …) -> (y, cache)`` with ``foo_backward(dy, cache) -> gradients``.

    `due` is of how many arguments a gradient is due, of all arrays if it is None; if it is 0,
    the first alone has one.
    """

    def __init__(self, forward, backward, arguments, options, xp, due=None):
        self._function, self._function_backward = forward, backward
        self._options, self._arguments = dict(options), list(arguments)
        self._argument_names = argument_names(forward, len(arguments))
        found = dict(zip(self._argument_names, arguments, strict=True)) | self._options
        self._places = _places(found, self._argument_names[0])
        if due == 0:
            self._places = {self._argument_names[0]: (self._argument_names[0], None)}
        tensors = {n: found[a] if k is None else found[a][k] for n, (a, k) in self._places.items()}
        name = getattr(forward, "__name__", None) or repr(forward)
        super().__init__(getattr(getattr(forward, "func", None), "__name__", name), tensors, xp)
        self.extras = {
            n: np.asarray(asnumpy(v))
            for n, v in found.items()
            if hasattr(v, "dtype") and n not in tensors
        }
        given = {n for n in tensors if given_only(n)}
        given = given if len(given) < len(tensors) else given - {next(iter(tensors))}
        # numbers, options, what stands in dictionaries: it is said where they have no gradient
        unsure = {
            n
            for n, (a, k) in self._places.items()
            if k is not None or a in self._options or a == "y" or not np.ndim(tensors[n])
        }
        unsure -= {next(iter(tensors))} | given
        beyond = set(list(tensors)[due:] if due is not None else ())
        self.optional, self.expected = given | unsure | beyond, unsure - beyond

    def _backward_pass(self):
        return self._function_backward

    def _names(self):
        return [*self._argument_names, *self._options]

    def _forward(self, given):
        # a generator given as an argument starts afresh in every call
        arguments = copy.deepcopy(
            dict(zip(self._argument_names, self._arguments, strict=True)) | self._options
        )
        for name, (argument, key) in self._places.items():
            if key is None:
                arguments[argument] = given[name]
            else:
                arguments[argument][key] = given[name]
        options = {n: arguments[n] for n in self._options}
        called = [arguments[n] for n in self._argument_names]
        y, cache, divide = self._split(self._function(*called, **options), self._function_backward)

        def walk(dy, before=None):
            call = self._convention.call
            returned = call(self._function_backward, divide(dy), cache, arguments, y)
            required = [n for n in self.tensors if n not in self.optional]
            found = by_name(returned, self.tensors, required, self._argument_names)
            return dict.fromkeys(self.tensors) | found

        return y, walk


def given_only(name):
    """Whether an argument of this name is what a loss compares with, a mask or a statistic."""
    return name == "t" or name.rpartition(".")[2].startswith(NOT_DIFFERENTIATED)


def _places(arguments, first):
    """Return ``{tensor: (argument, key)}``: the key in a dictionary or list, or None."""
    found: dict = {}
    for name, value in arguments.items():
        if name == first or is_real(value):
            found[name] = name, None
        elif isinstance(value, dict):
            for key, inner in value.items():
                if is_real(inner) and np.size(inner):
                    label = f"{name}.{key}" if key in arguments or key in found else str(key)
                    found[label] = name, key
        elif isinstance(value, list):
            found |= {f"{name}[{i}]": (name, i) for i, v in enumerate(value) if is_real(v)}
    return found


def argument_names(function, count):
    names = positional(function)[:count]
    return names + [f"argument{i}" for i in range(len(names), count)]
