"""Which one change of the code makes a wrong gradient right?  Every change is tried.

A change replaces the value of one expression while the backward pass runs.  It explains the mistake
if with it gradients are right that were wrong, for every upstream gradient, at two inputs, and no
right one is spoilt.
"""

from __future__ import annotations

import ast
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from typing import NamedTuple

import numpy as np

from tinygan.gradcheck.diagnosis.hooks import ONE_AT_A_TIME, Hooked
from tinygan.gradcheck.limit import OutOfTime

PATIENCE = 4.0
"""Seconds of processor time for all trials."""


class Edit(NamedTuple):
    """One change of the value of one expression.

    `change` takes the value, and what the hook was given beside it; it returns another.  With
    `linear`, it takes the number c first: the gradients are linear in it, and c is solved for.
    `kind` and `text` may then depend on c.  A kind that is empty is a place without a name.
    """

    kind: str | Callable
    text: str | Callable
    change: Callable
    rank: int = 1
    linear: bool = False
    places: tuple[int, ...] = ()


class Repair(NamedTuple):
    """An edit that makes right, and the tensors whose gradients it does."""

    names: frozenset
    rank: int
    kind: str
    text: str


class Trials:
    """The code under test, run with changed values.

    Attributes
    ----------
    nodes : list of ast.expr
        All expressions, by number.
    values : dict
        What each had as its value, by number; and variables, by name.
    known : dict
        The different arrays among them, and what they are called.
    now : dict
        As `values`, in the run that goes on.
    counted : Counter
        How often each expression was evaluated.
    """

    def __init__(self, looks, wrong, good):
        self.looks, self.wrong, self.good = looks, wrong, good
        self.rights = [{n: look.right(n) for n in (*wrong, *good)} for look in looks]
        self.now: dict = {}
        self.counts: Counter = Counter()
        self._changed: tuple[int, ...] = ()
        self._change: Callable = lambda value, old: value

    def search(self, edits) -> list[Repair]:
        """Try the edits at every expression that matters, until the time is up."""
        with ONE_AT_A_TIME:
            return self._search(edits)

    def _search(self, edits):
        until, self._thread = time.thread_time() + PATIENCE, threading.get_ident()
        first, repairs = self.looks[0], list[Repair]()
        hooked = Hooked(lambda: first.walk(first.dys[0]), self._hook)
        self.nodes, self.constants = hooked.nodes, hooked.constants
        with hooked, np.errstate(all="ignore"):
            found = self._run(first, first.dys[0]) if self.nodes else None
            if found is None:
                return []
            self.found: dict = found
            self.values, self.counted = dict(self.now), Counter(self.counts)
            self.known = self._known()
            bools = [n for n, v in self.values.items() if isinstance(n, str) and is_bool(v)]
            self.masks = {n: self.values[n] for n in bools if is_array(self.values[n])}
            places = [i for i in self.values if isinstance(i, int)]
            places.sort(key=self.before.__contains__)  # those of the backward pass first
            spoils = {i: self._spoils(i) for i in places}
            most = [i for i in places if spoils[i] == len(self.wrong)]
            rest = [i for i in places if 0 < spoils[i] < len(self.wrong)]
            for some, (rank, simple) in product((most, rest), enumerate(edits, 1)):
                for edit_of, i in product(simple, some):
                    for edit in _as_many(edit_of, self, self.nodes[i], self.values[i]):
                        if time.thread_time() > until:
                            return repairs
                        attempt = self._solved if edit.linear else self._tried
                        repairs += attempt(edit.places or (i,), edit)
                whole = [r for r in repairs if len(r.names) == len(self.wrong)]
                if any(repair.rank <= rank for repair in whole):
                    break
        return repairs

    # --- running ------------------------------------------------------------------------------

    def _hook(self, place, value, old=None):
        if threading.get_ident() != self._thread:  # it runs the same function, unchanged
            return value
        if place < 0:
            for name, variable in value.items():
                self._note(name, variable)
            return None
        self.counts[place] += 1
        if place in self._changed:
            value = self._change(value, old)
        self.now[place] = value
        return value

    def _note(self, name, value, depth=2):
        """Keep a variable's arrays, and those inside it."""
        if is_array(value) or isinstance(value, float):
            self.now[name] = value
        elif depth and isinstance(value, (tuple, list)):
            for i, inner in enumerate(value[:12]):
                self._note(f"{name}[{i}]", inner, depth - 1)
        elif depth and isinstance(value, dict):
            for key, inner in value.items():
                self._note(f"{name}[{key!r}]", inner, depth - 1)
        elif depth and hasattr(value, "__dict__") and not callable(value):
            for key, inner in vars(value).items():
                self._note(f"{name}.{key}", inner, depth - 1)

    def _run(self, look, dy, places=(), change=None):
        """Return the gradients with `change` at `places`, or None where it fails or changes y."""
        self.now.clear()
        self.now.update(self.constants)
        self.counts.clear()
        self._changed, self._change, self.other_output = places, change, False
        try:
            call = look.subject.call()
            self.other_output = not np.array_equal(call.y, look.y)
            if self.other_output:
                return None
            self.before = set(self.now)
            return look.subject.walk(call, look.subject.upstream(dy))
        except OutOfTime:
            raise
        except Exception:  # such a change makes no sense here
            return None
        finally:
            self._changed = ()

    def _spoils(self, i) -> int:
        """Return how many wrong gradients depend on the value; 0 if y or what is right does."""
        value = self.values[i]
        if is_int(value) or isinstance(value, tuple):
            return len(self.wrong)
        if not (is_float(value) or is_bool(value) or is_array(value)):
            return 0
        first = self.looks[0]
        none = self._run(first, first.dys[0], (i,), lambda v, _: v & False if is_bool(v) else v * 0)
        if none is None:
            return 0 if self.other_output else len(self.wrong)
        moved = {n for n in self.rights[0] if not _close(none[n], self.found[n])}
        if moved.intersection(self.good):
            return 0
        return len(moved) if np.any(value) else len(self.wrong)

    def _known(self):
        """Return the keys of different arrays, but gradients that are due, and their names."""
        due = [self.rights[0][n][0] for n in self.wrong]
        seen, known = set(), {}
        for key, value in sorted(self.values.items(), key=lambda item: isinstance(item[0], int)):
            named = isinstance(key, str) or isinstance(
                self.nodes[key], (ast.Attribute, ast.Subscript)
            )
            if not named or not is_array(value) or value.dtype.kind != "f" or value.size < 2:
                continue
            mark = (value.shape, value.tobytes())
            if mark not in seen and not any(_close(value, gradient) for gradient in due):
                known[key] = key if isinstance(key, str) else ast.unparse(self.nodes[key])
            seen.add(mark)
        return known

    def named(self, c):
        """Return the name of the variable that holds this number, unless it is a usual one."""
        numbers = {n: v for n, v in self.values.items() if isinstance(v, float)}
        if c in (0, 1, -1, 2, 0.5) or not np.isfinite(c):
            return ""
        return next((n for n, v in numbers.items() if isinstance(n, str) and abs(v - c) < 1e-6), "")

    # --- judging ------------------------------------------------------------------------------

    def _right(self, number, k, gradients):
        """Return which wrong gradients are right now, none if a right one is spoilt."""
        look, rights = self.looks[number], self.rights[number]
        if gradients is None:
            return frozenset()
        right = {
            n
            for n in rights
            if gradients[n] is not None and look.close([gradients[n]], [rights[n][k]])
        }
        return frozenset(right.intersection(self.wrong) if right.issuperset(self.good) else ())

    def _tried(self, places, edit, change=None, c=None):
        """Return the repair that the edit is, if it is one at every look and for every dy."""
        names = frozenset(self.wrong)
        for number, look in enumerate(self.looks):
            for k, dy in enumerate(look.dys):
                names &= self._right(number, k, self._run(look, dy, places, change or edit.change))
                if not names:
                    return []
        kind, text = (f if isinstance(f, str) else f(c) for f in (edit.kind, edit.text))
        node = self.nodes[places[0]]
        return [Repair(names, edit.rank, kind, f"{node.line}`{shortened(node)}`: {text}")]

    def _solved(self, places, edit):
        """Find c by the gradients for c = 0 and c = 1.

        Where those for another c do not lie on their line, as inside of an even or odd function, c
        is right by chance: the place is, but what is wrong has no name.
        """
        first, rights = self.looks[0], {n: gradients[0] for n, gradients in self.rights[0].items()}

        def run(c):
            change = lambda v, old: edit.change(c, v, old)  # noqa: E731
            return self._run(first, first.dys[0], places, change)

        low, high = run(0.0), run(1.0)
        for found in (low, high):
            if found is None or any(found[n] is None for n in rights):
                return []
            if any(found[n].shape != g.shape or not np.isfinite(found[n]).all()
                   for n, g in rights.items()):  # fmt: skip
                return []
        moved = [n for n in rights if not _close(low[n], high[n])]
        if any(n in self.good for n in moved):
            return []
        for names in [moved] + [[n] for n in moved if len(moved) > 1] if moved else ():
            start, end, due = (
                np.concatenate([found[n].ravel() for n in names]) for found in (low, high, rights)
            )
            slope, size = end - start, np.abs(due).max()
            c = float(slope @ (due - start)) / float(slope @ slope)
            if np.abs(start + c * slope - due).max() > 1e-5 * size:
                continue
            c = 0.0 if abs(c) < 1e-9 else c
            repair = self._tried(places, edit, lambda v, old, c=c: edit.change(c, v, old), c)
            if repair:
                half = run(0.5)
                off = [np.abs(low[n] + high[n] - 2 * half[n]).max() for n in names] if half else []
                return repair if off and max(off) <= 1e-9 * size else [repair[0]._replace(kind="")]
        return []


def _as_many(edit_of, *place):
    """Yield edits, until what they are made of is a value that nobody thought of."""
    with suppress(ValueError, TypeError, IndexError, AttributeError):
        yield from edit_of(*place)


def _close(a, b):
    if a is None or b is None or a.shape != b.shape:
        return a is b
    off, size = np.abs(a - b).max(initial=0), np.abs(a).max(initial=0)
    return bool(np.isfinite(size) and off <= 1e-9 * size)


def shortened(node):
    text = ast.unparse(node)
    return text if len(text) <= 60 else f"{text[:57]}…"


def is_array(value):
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub" and value.size > 0


def is_float(value):
    return isinstance(value, (float, np.floating)) or (is_array(value) and value.dtype.kind == "f")


def is_int(value):
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_bool(value):
    return isinstance(value, np.bool_) or (is_array(value) and value.dtype.kind == "b")
