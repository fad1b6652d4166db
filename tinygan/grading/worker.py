"""The student's process: it imports the submission and calls what the grader asks it to call.

Run as ``python -P -m tinygan.grading.worker FD``; for each request that it reads from the socket FD
it forks a process, which gives up its rights before it reads a line of the submission.  Nothing
there is trusted by the grader: whatever is answered is compared with values that it has never seen.
"""

from __future__ import annotations

import builtins
import contextlib
import fcntl
import gc
import json
import os
import signal
import socket
import sys
import traceback
import types
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy import array_equal, asarray, generic, ndarray  # whatever a submission makes of np

import tinygan.gradcheck.diagnosis  # noqa: F401 (imported before any right is given up)
from tinygan.gradcheck import check_gradients
from tinygan.grading import sandbox
from tinygan.grading.absent import Absent, load_without
from tinygan.grading.watch import Watch
from tinygan.grading.wire import WireError, pack, unpack

KEPT = 64
"""Calls whose arguments and results are remembered."""


class Worker:
    """Calls functions of a module; arrays keep their identity from one call to the next."""

    def __init__(self, module, watch=None):
        self.module, self.watch = module, watch
        self.objects: OrderedDict[int, Any] = OrderedDict()
        self.copies: dict[int, ndarray] = {}
        self.count = 0

    def remember(self, thing):
        self.count += 1
        self.objects[self.count] = thing
        if isinstance(thing, ndarray):
            self.copies[self.count] = thing.copy()
        while len(self.objects) > 4 * KEPT:
            old, _ = self.objects.popitem(last=False)
            self.copies.pop(old, None)
        return self.count

    def outgoing(self, value):
        if isinstance(value, Absent):
            raise value.missing()
        if isinstance(value, ndarray) and value.dtype.kind in "fiubc":
            return {"value": True, "id": self.remember(value)}
        if (like := _array(value)) is not None:
            return {"value": True, "id": self.remember(value), "like": like}
        if isinstance(value, (generic, bool, int, float, str, tuple, list, type(None))):
            return None
        if isinstance(value, dict) and all(type(k) in (str, int) for k in value):
            return None
        return {"id": self.remember(value), "type": type(value).__name__[:80]}

    def incoming(self, known, array):
        if "id" in known:
            return self.objects[known["id"]]
        self.objects[known["new"]] = array
        self.copies[known["new"]] = array.copy()
        if self.watch is not None:
            self.watch.differences.given(array)
        return array

    def changed(self):
        found = []
        for i in list(self.copies)[-KEPT:]:
            now = self.objects[i]
            if now.shape == self.copies[i].shape and not array_equal(
                now, self.copies[i], equal_nan=now.dtype.kind in "fc"
            ):
                self.copies[i] = now.copy()
                found.append((i, self.copies[i]))
        return found

    def answer(self, request):
        watched = contextlib.nullcontext()
        with (
            self.watch.request(request[0] in ("run", "causes"))
            if self.watch is not None
            else watched
        ):
            return self.value(*request)

    def found(self):
        return [] if self.watch is None else self.watch.found

    def value(self, what, name, arguments, options):
        if what == "names":
            return sorted(n for n in vars(self.module) if not n.startswith("_"))
        if what == "run":
            space: dict[str, Any] = {"np": np, "__name__": "grader"}
            exec(compile(name[1], "<grader>", "exec"), space)  # the grader's own driver
            return space[name[0]](self.module, *arguments, **options)
        if what == "causes":  # read by the student alone; nothing is graded by it
            subject = tuple(map(self.find, name))
            subject = subject if len(subject) > 1 else subject[0]
            report = check_gradients(subject, *arguments, **options, raises=False)
            return [[cause.kind, cause.tensor, cause.text] for cause in report.causes]
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


def _array(value):
    """Return the array that NumPy would make of what is none: a memoryview, a table, a tensor."""
    if isinstance(value, (ndarray, generic, type, types.ModuleType)):
        return None
    if isinstance(value, memoryview) or hasattr(value, "__array__"):
        array = asarray(value)
        return array if array.dtype.kind in "fiubc" else None
    return None


def describe(error, folder):
    """Return what a student should read of an exception, whatever it does to be read."""
    found = {"type": "Exception", "text": "", "where": ""}
    with contextlib.suppress(BaseException):
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        found["type"] = type.__dict__["__name__"].__get__(type(error))[:80]
    with contextlib.suppress(BaseException):
        text = builtins.str(error)
        found["text"] = "".join(text[:2000])
    with contextlib.suppress(BaseException):
        if isinstance(error, SyntaxError) and error.lineno is not None:
            found["text"] = str(error.msg)[:2000]
            found["where"] = f"{Path(error.filename or '').name}, line {int(error.lineno)}"
        else:
            frames = traceback.extract_tb(error.__traceback__)
            own = [f for f in frames if f.filename.startswith(folder)]
            if own:
                where = f"{Path(own[-1].filename).name}, line {own[-1].lineno}: {own[-1].line}"
                found["where"] = where[:300]
    return found


def serve(channel):
    """Fork a process for each request, and return its request and its descriptors there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()
    while True:
        message, numbers, *_ = socket.recv_fds(channel, 1 << 16, 3)
        if not message:
            os._exit(0)
        if sys.platform != "linux":  # where the grader cannot adopt it
            channel.send(b"%d" % os.getpid())
            return json.loads(message), numbers
        wait, go = os.pipe()
        between = os.fork()
        if between == 0:  # it ends at once, and the grader adopts its child
            if pid := os.fork():
                channel.send(b"%d" % pid)
                os._exit(0)
            os.close(go)
            os.read(wait, 1)
            return json.loads(message), numbers
        os.waitpid(between, 0)
        for number in (wait, go, *numbers):
            os.close(number)


def main():
    request, (read, write, printing) = serve(socket.socket(fileno=int(sys.argv[1])))
    if os.getsid(0) != os.getpid():
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    read, write = (fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200) for fd in (read, write))
    for number in (1, 2):
        os.dup2(printing, number)
    os.closerange(3, 200)
    source, target = os.fdopen(read, "rb"), os.fdopen(write, "wb")
    path, folder = Path(request["file"]), str(Path(request["file"]).resolve().parent)
    os.environ |= {"HOME": folder, "TMPDIR": folder}
    sys.argv[:] = [str(path)]

    def send(value):
        target.write(pack(value))
        target.flush()

    try:
        sandbox.enter(folder, request["user"], request["grader"], *request["limits"])
        watch = Watch(folder, *request["rules"]) if request["rules"] else None
        if watch is not None:
            watch.begin()
        builtins.display = print  # type: ignore[attr-defined]  # which notebooks have
        module, absent = load_without(path)
        worker = Worker(module, watch)
    except BaseException as error:
        send(("failed", describe(error, folder)))
        return
    send(("ready", absent))
    while len(size := source.read(8)) == 8:
        body = source.read(int.from_bytes(size, "big"))
        try:
            result = worker.answer(unpack(body, worker.incoming))
            found = worker.found()
            message = pack(("result", (result, 0, found)), worker.outgoing)
            changed = worker.changed()
            if changed:
                message = pack(
                    ("result", (result, changed, found)), _once(worker.outgoing, changed)
                )
        except WireError as error:
            message = pack(("raised", {"type": "", "text": f"what was returned: {error}",
                                       "where": ""}))  # fmt: skip
        except BaseException as error:
            message = pack(("raised", {**describe(error, folder), "found": worker.found()}))
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(BaseException):
                stream.flush()
        target.write(message)
        target.flush()


def _once(outgoing, changed):
    inside = {id(a) for _, a in changed}
    return lambda value: None if id(value) in inside else outgoing(value)


if __name__ == "__main__":
    main()
    os._exit(0)  # whatever threads the submission has left
