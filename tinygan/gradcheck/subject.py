"""What is checked: a layer, a pair of functions or a loss, all seen as one kind of thing.

A subject has named tensors and can be called with any values for them.  Each call remembers the
very arrays it handed to the code under test, so that a check can see whether they were written to,
and returns its own backward pass.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygan.gradcheck.blame import where
from tinygan.machine.arrays import asnumpy

__all__ = [
    "BackwardError", "Call", "NotCheckable", "Subject", "is_real", "kind", "numbers", "uneven",
]  # fmt: skip


class NotCheckable(ValueError):
    """There is nothing to compare: the forward pass raised, is random, or returned no numbers."""


class BackwardError(ValueError):
    """The backward pass raised, or returned what cannot be read as gradients."""


@dataclass
class Call:
    """One forward call of the code under test.

    Attributes
    ----------
    y : ndarray
        The output as it was when the call returned, a float64 copy on the host.
    output
        The very object that was returned.
    given : dict of str to array
        The very arrays that were handed over.
    walk : callable
        ``walk(dy, before=None) -> gradients``; `before` is what parameters' gradients hold first.
    """

    y: np.ndarray
    output: object
    given: dict
    walk: Callable


class Subject:
    """The code under test, with float64 values for its tensors (host arrays, by name)."""

    layer: Any = None
    """A copy of the layer under test, where it is one."""
    _parameters: dict[str, Any]  # of the layer
    _arguments: Sequence[Any] = ()
    """What a function takes besides its tensors."""
    is_loss = False
    """Whether the backward pass takes no upstream gradient."""
    readable = True
    """Whether the code may be read, and changed on trial, to find a mistake."""
    keeps_cache = False
    """Whether the code keeps its cache on the object, as its convention is."""

    def __init__(self, name, tensors, xp):
        self.name, self.xp = name, xp
        self.tensors = {n: np.array(asnumpy(v), np.float64) for n, v in tensors.items()}
        self._random = np.random.get_state()  # noqa: NPY002
        self.extras: dict[str, np.ndarray] = {}
        self.optional: set[str] = set()
        self.expected: set[str] = set()
        self.notes: list[str] = []
        self.hint = ""

    def call(self, tensors=None, restore=True) -> Call:
        """Run the forward pass on copies of `tensors`.

        `restore` puts back state that calls change (running statistics, random state) first.
        """
        values = self.tensors if tensors is None else tensors
        given = {name: self.xp.array(value, dtype=np.float64) for name, value in values.items()}
        if restore:
            self._restore()
        try:
            with np.errstate(all="ignore"):
                output, walk = self._forward(given)
        except NotCheckable:
            raise
        except NotImplementedError as error:
            raise NotCheckable(
                f"{self.name}: the forward pass is not written yet ({error})"
            ) from error
        except (Exception, SystemExit) as error:
            raise NotCheckable(
                f"{self.name}: the forward pass raised {type(error).__name__}: {error}"
                f"{where(error)}"
            ) from error
        return Call(numbers(output, f"{self.name}: the output"), output, given, walk)

    def walk(self, call: Call, dy, before=None) -> dict[str, np.ndarray | None]:
        """Run the backward pass of `call` and return the gradients on the host, as given."""
        try:
            with np.errstate(all="ignore"):
                found = call.walk(dy, before)
            return {n: None if value is None else _gradient(value) for n, value in found.items()}
        except (BackwardError, NotCheckable):
            raise
        except NotImplementedError as error:
            raise BackwardError(f"the backward pass is not written yet ({error})") from error
        except (Exception, SystemExit) as error:
            raise BackwardError(
                f"the backward pass raised {type(error).__name__}: {error}{where(error)}"
            ) from error

    def upstream(self, dy):
        """Return a copy of `dy` on the code's own backend, for it to do its worst with."""
        if self.is_loss:
            return self.xp.ones(np.shape(dy))
        return self.xp.array(dy, dtype=np.float64)

    def with_tensors(self, tensors):
        """Return this subject with other tensors, or the same of other shapes."""
        other = copy.copy(self)
        other.tensors = tensors
        return other

    def cropped(self, part):
        """Return this subject with a `part` of its input, and of what has the input's shape."""
        shape = next(iter(self.tensors.values())).shape
        other = self.with_tensors(
            {n: v[part].copy() if v.shape == shape else v for n, v in self.tensors.items()}
        )
        other._arguments = [
            a[part[: a.ndim]] if getattr(a, "ndim", 0) and a.shape == shape[: a.ndim] else a
            for a in self._arguments
        ]
        return other

    def settle(self, y, dy, rng):
        """Find out by which convention the backward pass is to be called."""

    def adopt(self, other):
        """Call the backward pass as `other`, a part of this subject, found out to."""

    def _restore(self):
        np.random.set_state(self._random)  # noqa: NPY002 (for code that draws from it)

    def _forward(self, given):
        raise NotImplementedError


def numbers(value, what):
    try:
        array = asnumpy(value) if hasattr(value, "get") else np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"dtype {array.dtype}")
    except Exception as error:
        raise NotCheckable(f"{what}: expected an array, got {kind(value)}") from error
    return np.array(array, np.float64)


def _gradient(value):
    try:
        array = np.array(asnumpy(value) if hasattr(value, "get") else value)
        if array.dtype.kind not in "fiub":
            raise TypeError
    except Exception as error:
        raise BackwardError(
            f"the backward pass: expected an array for each gradient, got {kind(value)}"
        ) from error
    return array


def kind(value):
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return "None (is a return missing?)" if value is None else type(value).__name__


def is_real(value) -> bool:
    """Whether this is an array, or number, of an array library's floating-point kind."""
    return hasattr(value, "dtype") and getattr(value.dtype, "kind", "") == "f"


def uneven(values):
    """Return other values for a parameter that holds one number only, as γ = 1 and b = 0 do.

    A factor γ that is forgotten would not show while γ is 1.
    """
    values = np.array(values, np.float64)
    if values.size and np.ptp(values) == 0:
        rng = np.random.default_rng([values.size, *b"uneven"])
        values += rng.uniform(-0.5, 0.5, values.shape)
    return values
