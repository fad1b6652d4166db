"""The grader's side of a submission: its functions as callables, its values as arrays."""

from __future__ import annotations

import inspect
import textwrap
import weakref
from typing import Any

import numpy as np
import pytest

from tinygan.grading.process import STRANGE, Limits, Stopped, Student
from tinygan.grading.wire import WireError

__all__ = ["RemoteModule", "StudentError"]

FRESH = 16
"""Calls for which an array is known to the student's process by its number."""


class StudentError(Exception):
    """What a submission raised: `where` is the file and line, `kind` the exception's type."""

    def __init__(self, text, where, kind):
        super().__init__(text)
        self.where, self.kind = where, kind


def student_error(description):
    """Return an exception of the same name; one that is not written yet keeps its type."""
    kind, text = str(description.get("type", "")), str(description.get("text", ""))
    if kind == "NotImplementedError":
        return NotImplementedError(text)
    name = kind if kind.isidentifier() else "Error"
    return type(name, (StudentError,), {})(text, str(description.get("where", "")), kind)


class RemoteArray(np.ndarray):
    """An array that came from the student's process, which may ask for it again by number."""

    known: Any = None


class RemoteObject:
    """What is no value: a cache, a layer, a function.  Only the student's process sees into it."""

    def __init__(self, module, number, kind):
        self._module, self._number, self._kind = module, number, kind

    def __call__(self, *arguments, **options):
        return self._module.ask("call", {"id": self._number}, arguments, options)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        try:
            return self._module.ask("get", {"id": self._number, "attribute": name})
        except StudentError as error:
            if error.kind == "AttributeError":  # for hasattr
                raise AttributeError(str(error)) from None
            raise

    def __getitem__(self, key):
        text = f"what was returned is a {self._kind}: expected an array, or a tuple"
        raise student_error({"type": "TypeError", "text": text})

    __iter__ = __getitem__

    def __deepcopy__(self, memo):
        return self

    def __repr__(self):
        return f"<{self._kind} of the submission>"


class RemoteFunction:
    """A function of the submission, called in the student's process."""

    def __init__(self, module, name):
        self._module, self.__name__ = module, name

    def __call__(self, *arguments, **options):
        return self._module.ask("call", self.__name__, arguments, options)

    def __deepcopy__(self, memo):
        return self

    @property
    def __signature__(self):
        kinds = {str(kind): kind for kind in inspect._ParameterKind}
        empty, found = inspect.Parameter.empty, self._module.ask("signature", self.__name__)
        try:
            return inspect.Signature(
                [
                    inspect.Parameter(name, kinds[kind], default=empty if required else None)
                    for name, kind, required in found
                ]
            )
        except (TypeError, ValueError, KeyError):
            pytest.fail(STRANGE, pytrace=False)


class RemoteModule:
    """A submission's file in a process of its own, which is started again if it ends.

    Parameters
    ----------
    path : Path
    limits : Limits
    separate, extra, rules
        As of `Student`.
    """

    left = 20.0
    """Seconds of processor time that the test may still take."""

    def __init__(self, path, limits: Limits | None = None, separate=True, extra=(), rules=()):
        self.path = path
        self._given = limits, separate, extra, rules
        self._student: Any = None
        self._broken: str | None = None
        self._names: set[str] = set()
        self._absent: list[str] = []
        self._seen: list[str] = []  # what it did that it may not
        self._calls = self._new = 0
        self._arrays: dict[int, weakref.ref] = {}

    def start(self):
        """Import the submission, unless that is done; fail with a message for the student."""
        if self._broken is not None:
            pytest.fail(self._broken, pytrace=False)
        if self._student is not None and self._student.alive:
            return
        self.close()
        self._arrays.clear()
        try:
            self._student = Student(self.path, *self._given)
            failed = self._student.ready(max(self.left, 0.1))
            if failed is not None:
                kind, text = failed.get("type"), failed.get("text")
                if kind == "SystemExit":
                    raise Stopped(f"{self.path.name} ends the program when imported")
                where = failed.get("where") or ""
                raise Stopped(
                    f"{self.path.name} cannot be imported: {kind}: {text}"
                    + (f" ({where})" if where else "")
                )
            self._absent = self._student.absent
            names = self._ask("names")
            if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
                raise Stopped(STRANGE)
            self._names = set(names)
        except Stopped as error:
            self._broken = str(error)
            self.close()
            pytest.fail(self._broken, pytrace=False)

    def ask(self, what, name=None, arguments=(), options=None):
        """Have something done in the student's process and return its value."""
        self.start()
        try:
            return self._ask(what, name, arguments, options)
        except Stopped as error:
            self.close()
            pytest.fail(str(error), pytrace=False)

    def _ask(self, what, name=None, arguments=(), options=None):
        self._calls += 1
        before = self._student.used
        try:
            kind, value = self._student.ask(
                (what, name, list(arguments), options or {}), max(self.left, 0.1),
                self._outgoing, self._incoming,
            )  # fmt: skip
        except WireError as error:
            raise TypeError(
                f"the grader cannot hand this to a submission in another process: {error}; do it "
                "there instead:\n    def driver(impl, x):        # arrays and numbers in and out\n"
                "        return impl.step(network(), x)\n    values = impl.run(driver, x)"
            ) from None
        self.left -= self._student.used - before
        if kind == "raised" and isinstance(value, dict):
            self._found(value.get("found"))
            raise student_error(value)
        if kind != "result" or not isinstance(value, tuple) or len(value) != 3:
            raise Stopped(STRANGE)
        result, changed, found = value
        self._found(found)
        for number, now in changed or ():
            self._update(number, now)
        return result

    def _found(self, found):
        self._seen += (str(text)[:300] for text in found or () if text not in self._seen)
        rules = self._given[3]
        if self._seen and rules and rules[2]:
            pytest.fail("points withheld: " + "; ".join(self._seen), pytrace=False)

    def _outgoing(self, value):
        if isinstance(value, RemoteObject):
            return {"id": value._number}
        if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiubc":
            return None
        if isinstance(value, RemoteArray) and value.known is not None:
            number, copy, call = value.known
            same = np.array_equal(value, copy, equal_nan=value.dtype.kind in "fc")
            if same and number in self._arrays and self._calls - call < FRESH:
                return {"id": number}
        self._new += 1
        number = (1 << 40) + self._new
        self._keep(number, value)
        return {"value": True, "new": number}

    def _incoming(self, known, array):
        number = int(known["id"])
        if array is None:
            kind = str(known.get("type", "object"))[:80]
            named = type(kind if kind.isidentifier() else "object", (RemoteObject,), {})
            return named(self, number, kind)
        array = array.view(RemoteArray)
        # what is no array over there is never handed back as one
        array.known = number, np.array(array), self._calls + (1 << 40) * bool(known.get("like"))
        self._keep(number, array)
        return array

    def _keep(self, number, array):
        self._arrays[number] = weakref.ref(array)
        while len(self._arrays) > 512:
            del self._arrays[next(iter(self._arrays))]

    def _update(self, number, now):
        reference = self._arrays.get(number)
        array = None if reference is None else reference()
        if array is not None and isinstance(now, np.ndarray) and now.shape == array.shape:
            if array.flags.writeable:
                array[...] = now
            if isinstance(array, RemoteArray):
                array.known = number, np.array(now), self._calls

    def run(self, driver, *arguments):
        """Run ``driver(submission, *arguments)`` of the grader in the student's process."""
        source = textwrap.dedent(inspect.getsource(driver))
        return self.ask("run", [driver.__name__, source], arguments)

    def _printed(self):  # a name that no exercise has
        return "" if self._student is None else self._student.printed()

    def _note(self):
        if not self._absent:
            return ""
        return f"imported, but neither handed in nor installed here: {', '.join(self._absent)}"

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        self.start()
        if name not in self._names:
            pytest.fail(
                f"{self.path.name} does not define {name}: was it renamed or deleted?",
                pytrace=False,
            )
        return RemoteFunction(self, name)

    def close(self):
        if self._student is not None:
            self._student.close()
            self._student = None
