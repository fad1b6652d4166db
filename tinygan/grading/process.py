"""A student's process: started with few rights and small limits, ended to the last descendant."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tinygan.grading import readable
from tinygan.grading.implementation import installed
from tinygan.grading.wire import LIMIT, WireError, pack, unpack

try:
    import resource

    from tinygan.grading import family, starter
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["Limits", "Stopped", "Student", "guard", "isolated"]

STRANGE = "the program sent what it should not"

KEPT = 10_000
"""Bytes of what was printed that are kept, of its beginning and of its end."""


class Stopped(Exception):
    """The student's process broke a limit or ended; the text is for the student."""


class Limits:
    """How much a submission may use.

    Parameters
    ----------
    memory : int
        Bytes, of each process, and of all together where they run as another user.
    output : int
        Bytes that it may write into a file.  What it prints is cut, not limited.
    processes : int
        Where it runs as another user.
    """

    def __init__(self, memory=4 << 30, output=64 << 20, processes=64):
        self.memory, self.output, self.processes = memory, output, processes


def isolated() -> bool:
    """Whether submissions can run as another user than the grader: root on Linux can do that."""
    return resource is not None and family.isolated()


def guard(folder):
    """Return what removes a folder of this process's, should it be killed."""
    return family.Guard(None, "", folder)


class Student:
    """A process that holds one submission's file.

    Parameters
    ----------
    path : Path
        The file; its folder is copied to where the student's user can read it.
    limits : Limits
    separate : bool
        Whether to run it as another user, where that is possible.
    extra : iterable of Path
        Files of the teacher's that are laid beside it.
    rules : tuple, optional
        What may not be used, what of it may, and whether it is refused: as of `Watch`.
    """

    descendants = 0
    """How many processes that submissions had started were ended, of all of this grader's."""

    def __init__(self, path: Path, limits: Limits | None = None, separate=True, extra=(), rules=()):
        self.limits = limits or Limits()
        self.user = family.free_user() if separate and isolated() else None
        self._folder = Path(tempfile.mkdtemp(prefix="tinygan-student-", dir=_reachable()))
        self._process: Any = None
        self._guard: Any = None
        self._pipes: list[int] = []
        self._first, self._last, self.size = b"", b"", 0  # of what it prints
        self.used, self._extra, self._rules = 0.0, extra, rules
        self.absent: list[str] = []  # what it imports and is not there
        try:
            self._start(Path(path))
        except BaseException:
            self.close()
            raise

    def _start(self, path):
        name = path.resolve().parent.name  # which it may import itself by
        home = self._folder / (name if name.isidentifier() else "submission")
        shutil.copytree(path.parent, home, symlinks=True, ignore=_unsafe)
        for file in self._extra:
            shutil.copyfile(file, home / Path(file).name)
        if self.user is not None:
            self._folder.chmod(0o711)  # the grader's; only what is inside is the student's
            for root, _, files in os.walk(home):
                for name in (".", *files):
                    os.chown(os.path.join(root, name), self.user, self.user, follow_symlinks=False)
        there, self._to = os.pipe()
        self._from, back = os.pipe()
        self._printing, printing = os.pipe()
        self._pipes = [self._to, self._from, self._printing]
        family.adopt()
        starter.warm()
        self._guard = family.Guard(self.user, starter.token, self._folder)
        self._spared = family.children()
        request = {
            "file": str(home / path.name),
            "user": self.user or 0,
            "rules": self._rules,
            "grader": os.getpid(),
            "limits": [self.limits.memory, self.limits.output, self.limits.processes],
        }
        try:
            self._process = starter.start(request, [there, back, printing])
        finally:
            for fd in (there, back, printing):
                os.close(fd)
        self._guard.watch(self._process.pid)

    def ready(self, seconds):
        """Wait until the submission is imported; return None, or what was raised."""
        what, value = self._receive(seconds, None)
        if what not in ("ready", "failed"):
            raise Stopped(STRANGE)
        if what == "ready" and isinstance(value, list):
            self.absent = [readable(str(name)[:80], "") for name in value[:20]]
        return value if what == "failed" else None

    def ask(self, request, seconds, outgoing=None, incoming=None):
        """Send a request and return ``("result", value)`` or ``("raised", description)``."""
        message, watch = memoryview(pack(request, outgoing)), _Watch(self, seconds)
        os.set_blocking(self._to, False)
        while message:
            try:
                if self._wait([self._to])[1]:
                    message = message[os.write(self._to, message) :]
            except BlockingIOError:
                pass
            except BrokenPipeError:
                raise Stopped(self._how_it_ended()) from None
            watch.look()
        return self._receive(seconds, incoming)

    def _receive(self, seconds, incoming):
        watch = _Watch(self, seconds)
        size = int.from_bytes(self._read(8, watch), "big")
        if not 12 <= size <= LIMIT:
            raise Stopped(STRANGE)
        try:
            what, value = unpack(self._read(size, watch), incoming)
        except (WireError, TypeError, ValueError):
            raise Stopped(STRANGE) from None
        self.used += self.cpu()[0] - watch.began
        return what, value

    def _read(self, count, watch):
        parts = []
        while count:
            if self._from in self._wait()[0]:
                part = os.read(self._from, min(count, 1 << 20))
                if not part:
                    raise Stopped(self._how_it_ended())
                parts.append(part)
                count -= len(part)
            watch.look()
        return b"".join(parts)

    def _wait(self, writing=()):
        """Wait a moment for the process, and take what it has printed, so that it never waits."""
        reading = [self._from] + [self._printing] * (self._printing in self._pipes)
        found = select.select(reading, writing, [], 0.05)
        if self._printing in found[0]:
            part = os.read(self._printing, 1 << 20)
            self._first += part[: KEPT - len(self._first)]
            self._last = (self._last + part)[-KEPT:]
            self.size += len(part)
            if not part:
                self._pipes.remove(self._printing)
                os.close(self._printing)
        return found

    def cpu(self):
        """Return the processor time used so far, and whether the process sleeps."""
        try:
            fields = family.stat(self._process.pid)
            return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK"), fields[0] in "STt"
        except (OSError, IndexError, ValueError):
            return time.monotonic(), False

    def others(self):
        """Return what its other processes have used, whether all sleep, and the memory of all."""
        return family.others(self._process.pid, self.user)

    def _how_it_ended(self):
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return "the program closed its connection to the grader"
        output = self.printed().strip()[-1500:]
        if code == -signal.SIGXFSZ or "File too large" in output:
            return f"stopped: it wrote a file of more than {self.limits.output >> 20} MB"
        if "MemoryError" in output or "Cannot allocate memory" in output:
            return f"stopped: it needs more than {self.limits.memory >> 20} MB of memory"
        if code == -signal.SIGKILL:
            return "the program was killed: by itself, or because the machine has no more memory"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"the program crashed ({signal.Signals(-code).name})"
            return f"the program crashed (signal {-code})"
        return f"the program ended before the test did (exit status {code})"

    def printed(self) -> str:
        """Return what the submission has printed, cut with a note if it is long."""
        for _ in range(64):
            if self._printing not in self._pipes or self._printing not in self._wait()[0]:
                break
        first, last = self._first, self._last[max(0, len(self._first) + KEPT - self.size) :]
        if self.size <= 2 * KEPT:
            return (first + last).decode("utf-8", "replace")
        cut = f"\n… ({self.size} bytes in all, cut here)\n"
        return first.decode("utf-8", "replace") + cut + last.decode("utf-8", "replace")

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def close(self):
        """End the process and everything that it started, and remove its files."""
        if self._process is not None:
            self._process.kill()
            ended = family.end(self._process.pid, self.user, starter.token, self._spared)
            Student.descendants += ended
            self._process.wait()
            self._process = None
        if self._guard is not None:
            self._guard.dismiss()
            self._guard = None
        for fd in self._pipes:
            os.close(fd)
        self._pipes = []
        shutil.rmtree(self._folder, ignore_errors=True)


class _Watch:
    """Stops a process that takes too long.

    `seconds` are of processor time, and of sleeping: a process that waits for a processor, or a
    grader that does, loses nothing, so that what else the machine does changes no mark.
    """

    def __init__(self, student, seconds):
        self.student, self.seconds, self.slept = student, seconds, 0.0
        self.began: float = student.cpu()[0]
        self.last: Any = None
        self.before: float | None = None  # used by its other processes
        self.more = 0.0  # and since
        self.looked = self.watched = time.monotonic()

    def look(self):
        now = time.monotonic()
        if now - self.looked < 0.05:
            return
        cpu, sleeps = self.student.cpu()
        memory = 0
        # it may wait for those that it has started, or work beside them
        if sleeps or now - self.watched > 1:
            more, asleep, memory = self.student.others()
            self.watched = now
            self.before = more if self.before is None else self.before
            self.more, sleeps = max(more - self.before, 0), sleeps and asleep
        cpu += self.more
        done = cpu, self.student.size  # a process that prints waits for the grader to read
        self.slept += min(now - self.looked, 0.2) * (sleeps and done == self.last)
        self.looked, self.last = now, done
        if cpu - self.began > self.seconds:
            raise Stopped(
                f"stopped after {max(1, round(self.seconds))} seconds of processor time: "
                "is there an endless loop?"
            )
        if self.slept > self.seconds + 1:
            raise Stopped(
                f"stopped after {self.slept:.0f} seconds in which it did nothing: does it wait for "
                "input, sleep, or hold a lock?"
            )
        limit = self.student.limits.memory
        if self.student.user is not None and memory > limit:
            raise Stopped(f"stopped: it needs more than {limit >> 20} MB of memory")


def _reachable():
    """Return a folder for temporary files that another user can reach; TMPDIR may be closed."""
    for folder in map(Path, (tempfile.gettempdir(), "/tmp", "/var/tmp")):
        if all(path.exists() and path.stat().st_mode & 1 for path in (folder, *folder.parents)):
            return folder
    return None


def _unsafe(folder, names):
    """Leave out what is no file: links, pipes, devices; and what is far too large."""
    skipped = []
    for name in names:
        path = Path(folder, name)
        plain = not path.is_symlink() and (path.is_dir() or path.is_file())
        if not plain or path.stat().st_size > 256 << 20:
            skipped.append(name)
    return {*skipped, *(n for n in names if installed([n, ""]))}
