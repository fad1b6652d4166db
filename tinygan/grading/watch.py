"""What a submission does while it runs and may not: forbidden imports, numerical derivatives.

This reads no code, so that it does not matter how something is asked for.  Python tells of every
import (an audit hook); tinygan's own names go through its ``__getattr__``; and every call of a
function is seen (a profile function).
"""

from __future__ import annotations

import contextlib
import sys
import threading
from pathlib import Path

from numpy import __file__ as numpy_file

import tinygan
from tinygan.grading.differences import Differences

__all__ = ["Watch", "permitted"]

STANDARD = (sys.prefix, sys.base_prefix, "<frozen ", "<grader>")
TRUSTED = (*STANDARD, str(Path(numpy_file).parents[1]), str(Path(__file__).parents[2]),
           "/proc/self/fd/")  # fmt: skip
"""Where code lies that no student wrote; the folder of the submission goes first."""
SWITCHES = ("sys.setprofile", "ctypes.dlsym", "ctypes.dlopen")
NUMERICAL = "is called at its input and beside it: a numerical derivative?"
MOST = 20


def within(name, names) -> bool:
    """Whether a dotted name is one of `names`, or in one of them."""
    return any(name == other or name.startswith(f"{other}.") for other in names)


def permitted(forbidden, allowed, *names) -> bool:
    """Whether one of the names of a thing is allowed, leads to what is, or none is forbidden."""
    leads = any(other.startswith(f"{name}.") for name in names for other in allowed)
    return (
        leads
        or any(within(n, allowed) for n in names)
        or not any(within(n, forbidden) for n in names)
    )


class Watch:
    """Looks on while a submission runs.

    Parameters
    ----------
    folder : str
        The submission's.
    forbidden, allowed : list of str
        As of `find_forbidden`.
    refuse : bool
        Whether what is forbidden raises an ImportError when it is imported; all else, and all
        where not, is noted in `found`.
    """

    def __init__(self, folder, forbidden, allowed, refuse):
        self.folder, self.forbidden, self.allowed = folder, forbidden, allowed
        self.refuse, self.differences = refuse, Differences()
        self.found: list[str] = []
        self._kinds: dict = {}

    def begin(self):
        """Look at imports from now on."""
        inner = tinygan.__getattr__

        def guarded(name):
            frame = sys._getframe(1)
            if self._own(frame):
                self._judge(f"tinygan.{name}", frame)
            return inner(name)

        tinygan.__getattr__ = guarded
        sys.addaudithook(self._hook)
        threading.setprofile(self._look)

    @contextlib.contextmanager
    def request(self, driven):
        """Look at the calls of one request of the grader's.

        Not at what is `driven` by the grader's own code in this process: networks that it made are
        called there, and seeing every call of a training takes as long as the training.
        """
        self.found.clear()
        self.differences.begin()
        if not driven:
            sys.setprofile(self._look)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _own(self, frame):
        """Whether code is the submission's, whatever file it says that it is from."""
        file, space = frame.f_code.co_filename, str(frame.f_globals.get("__file__", ""))
        if file.startswith(self.folder) or space.startswith(self.folder):
            return True
        made = file.startswith("<") and space.startswith(TRUSTED)  # as NumPy makes functions
        return not (made or file.startswith(TRUSTED)) or "__name__" not in frame.f_globals

    def _judge(self, name, frame):
        if not permitted(self.forbidden, self.allowed, name):
            if self.refuse:
                raise ImportError(f"{name} may not be used here")
            self._note(frame, f"{name} may not be used here")

    def _note(self, frame, text):
        while not self._own(frame) and frame.f_back is not None:
            frame = frame.f_back
        file = Path(frame.f_code.co_filename).name
        line = f"{file}, line {frame.f_lineno}: {text}"
        if line not in self.found and len(self.found) < MOST:
            self.found.append(line)

    # --- imports ------------------------------------------------------------------------------

    def _hook(self, event, arguments):
        if event == "import" and isinstance(arguments[0], str):
            self._imported(arguments[0], _outwards(sys._getframe(1)))
        elif event == "open" and str(arguments[0]).startswith(tuple(tinygan.__path__)):
            self._opened(str(arguments[0]), sys._getframe(1))
        elif event in SWITCHES and (frame := self._asks(sys._getframe(1))):
            self._note(frame, f"{event} may not be used here")

    def _imported(self, name, frames):
        asks = next(frames)
        package = name.partition(".")[0]
        if self._own(asks):
            self._judge(name, asks)
        elif package not in sys.stdlib_module_names and package != "tinygan":
            for frame in filter(self._own, frames):  # a framework, by way of what imports it
                self._judge(package, frame)

    def _opened(self, file, frame):
        """Refuse to hand out tinygan's source, and modules that are imported past the event."""
        if self._asks(frame):
            raise PermissionError("tinygan's files may not be read here")
        asks = next(_outwards(frame))
        if self._own(asks):
            folder = next(path for path in tinygan.__path__ if file.startswith(path))
            parts = [p.partition(".")[0] for p in Path(file).relative_to(folder).parts]
            self._judge(".".join(["tinygan", *(p for p in parts if not p.startswith("__"))]), asks)

    def _asks(self, frame):
        """Return the submission's frame that asks for something by Python's own library alone."""
        while frame is not None and frame.f_code.co_name != "_find_and_load":
            if self._own(frame):
                return frame
            frame = frame.f_back if frame.f_code.co_filename.startswith(STANDARD) else None
        return None

    # --- calls --------------------------------------------------------------------------------

    def _look(self, frame, event, argument):
        if event != "call":
            return
        kind = self._kinds.get(frame.f_code)
        if kind is None:
            kind = self._kinds[frame.f_code] = self._kind(frame)
        if kind == "own":
            code, values = frame.f_code, frame.f_locals
            names = code.co_varnames[: code.co_argcount]
            given = [values.get(name) for name in names]
            if code.co_flags & 0x04:  # *arguments
                given += values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())
            if self.differences.called(code, given):
                self._note(frame.f_back or frame, f"{code.co_name} {NUMERICAL}")
        elif kind:
            self._called(frame, kind)

    def _kind(self, frame):
        """Return ``own``, or the dotted name of tinygan's that a function has, or nothing."""
        name, module = frame.f_code.co_qualname, str(frame.f_globals.get("__name__"))
        if self._own(frame):
            return "own"
        inside = within(module, ["tinygan"]) and not within(module, ["tinygan.grading"])
        named = "<" not in name or name.endswith(".dispatch")  # `accelerated` functions
        return f"{module}.{name}" if inside and named else ""

    def _called(self, frame, name):
        """Note a function or class of tinygan's that the submission calls by another way."""
        calls, code = frame.f_back, frame.f_code
        if calls is None or not self._own(calls):
            return
        if name.endswith(".dispatch"):
            function = frame.f_locals["function"]
            name = f"{function.__module__}.{function.__name__}"
        elif code.co_varnames[:1] == ("self",):
            made = type(frame.f_locals["self"])
            name = f"{made.__module__}.{made.__qualname__}"
        short = f"tinygan.{name.rpartition('.')[2]}"
        if name.startswith("tinygan.") and not permitted(self.forbidden, self.allowed, name, short):
            self._note(calls, f"{short} may not be used here")


def _outwards(frame):
    """Yield frames outwards, but those of the import system."""
    while frame.f_back is not None and "importlib" in frame.f_code.co_filename:
        frame = frame.f_back
    while frame is not None:
        yield frame
        frame = frame.f_back
