"""Finding out how a backward pass is called: what pairs of functions and objects have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygan.gradcheck.conventions import ADAPTER, NOTHING, conventions, outputs
from tinygan.gradcheck.subject import BackwardError, Subject

__all__ = ["CalledSubject"]


class CalledSubject(Subject):
    """A subject whose backward pass is called by one of the `conventions`.

    Several outputs are seen as one, laid end to end.
    """

    _convention: Any = None
    _rest = 0
    """How many things forward returns beside its output."""

    def _backward_pass(self):
        """Return the backward pass, for its signature."""
        raise NotImplementedError

    def _names(self) -> list[str]:
        """Return the names of the arguments of the forward pass."""
        raise NotImplementedError

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
            self._backward_pass(), self._names(), self._rest, y.ndim == 0, self.keeps_cache
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


def _arrays(value):
    return (
        isinstance(value, (tuple, list))
        and len(value) > 1
        and all(hasattr(part, "dtype") and np.ndim(part) for part in value)
    )
