"""The student's process: it imports the submission and calls what the grader asks it to call.

Run as ``python -m tinygan.grading.worker FD_IN FD_OUT FILE USER PROCESSES``; it becomes that user
before it reads a line of the submission.  Nothing here is trusted by the
grader: whatever is answered is compared with values that this process has never seen.
"""

from __future__ import annotations

import builtins
import contextlib
import os
import sys
import traceback
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.grading.wire import WireError, pack, unpack

KEPT = 64
"""Calls whose arguments and results are remembered."""


class Worker:
    """Calls functions of a module; arrays keep their identity from one call to the next."""

    def __init__(self, module):
        self.module = module
        self.objects: OrderedDict[int, Any] = OrderedDict()
        self.copies: dict[int, np.ndarray] = {}
        self.count = 0

    def remember(self, thing):
        self.count += 1
        self.objects[self.count] = thing
        if isinstance(thing, np.ndarray):
            self.copies[self.count] = thing.copy()
        while len(self.objects) > 4 * KEPT:
            old, _ = self.objects.popitem(last=False)
            self.copies.pop(old, None)
        return self.count

    def outgoing(self, value):
        if isinstance(value, np.ndarray) and value.dtype.kind in "fiubc":
            return {"value": True, "id": self.remember(value)}
        if isinstance(value, (np.generic, bool, int, float, str, tuple, list, type(None))):
            return None
        if isinstance(value, dict) and all(type(k) in (str, int) for k in value):
            return None
        return {"id": self.remember(value), "type": type(value).__name__[:80]}

    def incoming(self, known, array):
        if "id" in known:
            return self.objects[known["id"]]
        self.objects[known["new"]] = array
        self.copies[known["new"]] = array.copy()
        return array

    def changed(self):
        found = []
        for i in list(self.copies)[-KEPT:]:
            now = self.objects[i]
            if now.shape == self.copies[i].shape and not np.array_equal(
                now, self.copies[i], equal_nan=now.dtype.kind in "fc"
            ):
                self.copies[i] = now.copy()
                found.append((i, self.copies[i]))
        return found

    def answer(self, request):
        what, name, arguments, options = request
        if what == "names":
            return sorted(n for n in vars(self.module) if not n.startswith("_"))
        if what == "run":
            space: dict[str, Any] = {"np": np}
            exec(compile(name[1], "<grader>", "exec"), space)  # the grader's own driver
            return space[name[0]](self.module, *arguments, **options)
        if what == "signature":
            import inspect

            function = self.find(name)
            return [
                [p.name, str(p.kind), p.default is p.empty]
                for p in inspect.signature(function).parameters.values()
            ]
        if what == "get":
            return self.find(name)
        return self.find(name)(*arguments, **options)

    def find(self, name):
        thing = self.module
        if isinstance(name, dict):
            thing = self.objects[name["id"]]
            return getattr(thing, name["attribute"]) if "attribute" in name else thing
        for part in name.split("."):
            thing = getattr(thing, part)
        return thing


def become(user, processes):
    """Give up the grader's rights for good."""
    import ctypes
    import signal

    import numpy.fft
    import numpy.linalg
    import numpy.random  # noqa: F401 (what another user may not be able to read)

    import tinygan.data  # noqa: F401

    if user:
        import resource

        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        libc = ctypes.CDLL(None)
        libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG, which setuid has cleared
        libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    sys.argv[:] = sys.argv[3:4]


def describe(error, folder):
    """Return what a student should read of an exception."""
    text = builtins.str(error)[:2000]
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename.startswith(folder)]
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else None
    where = f"{Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}" if own else ""
    if line is not None:
        where = f"{Path(error.filename or '').name}, line {line}"
    return {"type": type(error).__name__, "text": text, "where": where[:300]}


def main():
    source, target = os.fdopen(int(sys.argv[1]), "rb"), os.fdopen(int(sys.argv[2]), "wb")
    path = Path(sys.argv[3])
    folder = str(path.resolve().parent)

    def send(value, other=None):
        target.write(pack(value, other))
        target.flush()

    try:
        from tinygan.gradcheck.loading import load_file

        become(int(sys.argv[4]), int(sys.argv[5]))
        worker = Worker(load_file(path))
        send(("ready", None))
    except BaseException as error:
        send(("failed", describe(error, folder)))
        return
    while len(size := source.read(8)) == 8:
        body = source.read(int.from_bytes(size, "big"))
        with contextlib.suppress(Exception):
            sys.stdout.flush()
        try:
            result = worker.answer(unpack(body, worker.incoming))
            message = pack(("result", (result, 0)), worker.outgoing)
            changed = worker.changed()
            if changed:
                message = pack(("result", (result, changed)), _once(worker.outgoing, changed))
        except WireError as error:
            message = pack(("raised", {"type": "", "text": f"what was returned: {error}",
                                       "where": ""}))  # fmt: skip
        except BaseException as error:
            try:
                message = pack(("raised", describe(error, folder)))
            except BaseException:
                message = pack(("raised", {"type": type(error).__name__[:80], "text": "",
                                           "where": ""}))  # fmt: skip
        target.write(message)
        target.flush()


def _once(outgoing, changed):
    inside = {id(a) for _, a in changed}
    return lambda value: None if id(value) in inside else outgoing(value)


if __name__ == "__main__":
    main()
    os._exit(0)  # whatever threads the submission has left
