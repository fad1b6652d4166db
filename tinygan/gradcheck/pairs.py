"""Pairs of functions, forward and backward, seen as a `Subject`."""

from __future__ import annotations

import copy
from types import FunctionType
from typing import Any

import numpy as np

from tinygan.gradcheck.conventions import ADAPTER, NOTHING, conventions, outputs, positional
from tinygan.gradcheck.returned import by_name
from tinygan.gradcheck.subject import BackwardError, Subject, is_real
from tinygan.machine.arrays import asnumpy

__all__ = ["PairSubject", "argument_names", "given_only"]

NOT_DIFFERENTIATED = ("target", "label", "mask", "running_", "y_true", "ytrue", "true", "truth",
                      "actual", "expected", "gt", "onehot", "one_hot")  # fmt: skip
"""Arguments whose names begin so need no gradient unless one is returned."""


class PairSubject(Subject):
    """``foo(x, …) -> (y, cache)`` with ``foo_backward(dy, cache) -> gradients``.

    `due` is of how many arguments a gradient is due, of all arrays if it is None; if it is 0,
    the first alone has one.  Several outputs are seen as one, laid end to end.
    """

    _convention: Any = None
    _rest = 0
    """How many things forward returns beside its output."""

    def __init__(self, forward, backward, arguments, options, xp, due=None):
        self._function, self._backward = forward, backward
        self.readable = isinstance(getattr(forward, "func", forward), FunctionType)
        self.readable &= not str(getattr(forward, "__module__", "")).startswith("tinygan.grading")
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
        forward, backward, gather = self._functions(given)
        y, cache, divide = self._split(forward(*called, **options), backward)

        def walk(dy, before=None):
            return gather(self._convention.call(backward, divide(dy), cache, arguments, y))

        return y, walk

    def _functions(self, given):
        """Return forward, backward, and what names the gradients that backward returns."""
        required = [n for n in self.tensors if n not in self.optional]

        def gather(returned):
            found = by_name(returned, self.tensors, required, self._argument_names)
            return dict.fromkeys(self.tensors) | found

        return self._function, self._backward, gather

    def _split(self, result, backward):
        """Return y, the cache, and what turns the gradient of y into those of all outputs."""
        several = isinstance(result, (tuple, list)) and len(result) >= 2
        y, *rest = result if several else (result,)
        count = outputs(backward, result) if several else 1
        parts, alone = [y], not _arrays(y)
        if not alone:
            parts = list(y)
        elif count > 1:
            parts, rest = list(result[:count]), list(result[count:])
        self._rest = len(rest)
        cache = (rest[0] if len(rest) == 1 else tuple(rest)) if rest else NOTHING
        if len(parts) == 1 and alone:
            return y, cache, lambda dy: dy
        shapes = [np.shape(part) for part in parts]
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]

        def divide(dy):
            pieces = [p.reshape(s) for p, s in zip(np.split(dy, ends), shapes, strict=True)]
            return tuple(pieces) if alone else type(y)(pieces)

        return np.concatenate([np.ravel(part) for part in parts]), cache, divide

    def adopt(self, other):
        self._convention, self.is_loss, self.hint = other._convention, other.is_loss, other.hint
        self.notes = other.notes

    def settle(self, y, dy, rng):
        """Choose the convention: by names, else the one that agrees with differences."""
        possible = conventions(
            self._backward,
            [*self._argument_names, *self._options],
            self._rest,
            y.ndim == 0,
            self.keeps_cache,
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


def _arrays(value):
    return (
        isinstance(value, (tuple, list))
        and len(value) > 1
        and all(hasattr(part, "dtype") and np.ndim(part) for part in value)
    )
