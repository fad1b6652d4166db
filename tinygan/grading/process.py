"""A student's process: started with few rights and small limits, ended to the last descendant."""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tinygan.grading.wire import LIMIT, WireError, pack, unpack

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = ["Limits", "Stopped", "Student", "isolated"]


class Stopped(Exception):
    """The student's process broke a limit or ended; the text is for the student."""


class Limits:
    """How much a submission may use.

    Parameters
    ----------
    memory : int
        Bytes.
    output : int
        Bytes that it may write into any file, and print.
    processes : int
        Where it runs as another user.
    """

    def __init__(self, memory=4 << 30, output=64 << 20, processes=64):
        self.memory, self.output, self.processes = memory, output, processes


def isolated() -> bool:
    """Whether submissions can run as another user than the grader: root on Linux can do that."""
    return sys.platform == "linux" and os.geteuid() == 0


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
    """

    def __init__(self, path: Path, limits: Limits | None = None, separate=True, extra=()):
        self.limits = limits or Limits()
        self.user = _free_user() if separate and isolated() else None
        self._folder = Path(tempfile.mkdtemp(prefix="tinygan-student-"))
        self._process: Any = None
        self._token = f"TINYGAN_STUDENT={self._folder.name}"
        self.used, self._extra = 0.0, extra
        try:
            self._start(Path(path))
        except BaseException:
            self.close()
            raise

    def _start(self, path):
        home = self._folder / "submission"
        shutil.copytree(path.parent, home, symlinks=True, ignore=_unsafe)
        for file in self._extra:
            shutil.copyfile(file, home / Path(file).name)
        if self.user is not None:
            for root, folders, files in os.walk(self._folder):
                for name in (".", *folders, *files):
                    os.chown(os.path.join(root, name), self.user, self.user, follow_symlinks=False)
        self._output = self._folder.with_name(self._folder.name + ".output")
        there, self._to = os.pipe()
        self._from, back = os.pipe()
        keep = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")
        environment = {k: os.environ[k] for k in keep if k in os.environ}
        environment |= {"HOME": str(home), "TMPDIR": str(home), "OPENBLAS_NUM_THREADS": "1",
                        "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                        "PYTHONIOENCODING": "utf-8:backslashreplace"}  # fmt: skip
        environment |= dict([self._token.split("=")])
        command = [sys.executable, "-m", "tinygan.grading.worker", there, back, home / path.name]
        command += [self.user or 0, self.limits.processes]
        with open(self._output, "wb") as file:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=home,
                env=environment,
                pass_fds=(there, back),
                start_new_session=True,
                preexec_fn=self._lower,
            )
        os.close(there)
        os.close(back)

    def _lower(self):
        """In the child: limits that cannot be raised again, and death with the grader."""
        limits = self.limits
        for kind, value in (
            (resource.RLIMIT_AS, limits.memory),
            (resource.RLIMIT_FSIZE, limits.output),
            (resource.RLIMIT_CORE, 0),
        ):
            resource.setrlimit(kind, (value, value))
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG

    def ready(self, seconds):
        """Wait until the submission is imported; return None, or what was raised."""
        what, value = self._receive(seconds, None)
        if what not in ("ready", "failed"):
            raise Stopped("the program sent what it should not")
        return value if what == "failed" else None

    def ask(self, request, seconds, outgoing=None, incoming=None):
        """Send a request and return ``("result", value)`` or ``("raised", description)``."""
        message, at = pack(request, outgoing), 0
        while at < len(message):
            try:
                if not select.select([], [self._to], [], seconds)[1]:
                    raise Stopped(
                        f"stopped after {max(1, round(seconds))} seconds: is there an endless loop?"
                    )
                at += os.write(self._to, message[at : at + 65536])
            except BrokenPipeError:
                raise Stopped(self._how_it_ended()) from None
        return self._receive(seconds, incoming)

    def _receive(self, seconds, incoming):
        size = int.from_bytes(self._read(8, seconds), "big")
        if not 12 <= size <= LIMIT:
            raise Stopped("the program sent what it should not")
        try:
            what, value = unpack(self._read(size, seconds), incoming)
        except (WireError, TypeError, ValueError):
            raise Stopped("the program sent what it should not") from None
        return what, value

    def _read(self, count, seconds):
        """Read so many bytes; `seconds` are of processor time, and waiting is limited too."""
        parts, began, start = [], self._cpu(), time.monotonic()
        while count:
            if select.select([self._from], [], [], 0.05)[0]:
                part = os.read(self._from, min(count, 1 << 20))
                if not part:
                    raise Stopped(self._how_it_ended())
                parts.append(part)
                count -= len(part)
                continue
            used, waited = self._cpu() - began, time.monotonic() - start
            if used > seconds:
                raise Stopped(
                    f"stopped after {max(1, round(seconds))} seconds of processor time: "
                    "is there an endless loop?"
                )
            if waited > 3 * seconds + 5 or (used < 0.1 * waited and waited > seconds + 1):
                raise Stopped(
                    f"stopped after {waited:.0f} seconds in which it did little: does it wait for "
                    "input, sleep, or hold a lock?"
                )
        self.used += self._cpu() - began
        return b"".join(parts)

    def _cpu(self):
        try:
            fields = (
                Path(f"/proc/{self._process.pid}/stat")
                .read_text("utf-8", "replace")
                .rpartition(")")[2]
                .split()
            )
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError, ValueError):
            return time.monotonic()

    def _how_it_ended(self):
        try:
            code = self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            return "the program closed its connection to the grader"
        output = self.printed().strip()[-1500:]
        if code == -signal.SIGXFSZ or "File too large" in output:
            return f"stopped: it wrote more than {self.limits.output >> 20} MB"
        if "MemoryError" in output or "Cannot allocate memory" in output:
            return f"stopped: it needs more than {self.limits.memory >> 20} MB of memory"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"the program crashed ({signal.Signals(-code).name})"
            return f"the program crashed (signal {-code})"
        return f"the program ended before the test did (exit status {code})\n{output}".strip()

    def printed(self, limit=20000) -> str:
        """Return what the submission has printed, cut with a note if it is long."""
        try:
            with open(self._output, "rb") as file:
                data = file.read(limit + 1)
            size = self._output.stat().st_size
        except OSError:
            return ""
        text = data[:limit].decode("utf-8", "replace")
        return text if size <= limit else f"{text}\n… ({size} bytes in all, cut here)"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def close(self):
        """End the process and everything that it started, and remove its files."""
        if self._process is not None:
            _kill(self._process, self.user, self._token)
            for fd in (self._to, self._from):
                with contextlib.suppress(OSError):
                    os.close(fd)
            self._process = None
            with contextlib.suppress(OSError):
                self._output.unlink()
        shutil.rmtree(self._folder, ignore_errors=True)


def _unsafe(folder, names):
    """Leave out what is no file: links, pipes, devices; and what is far too large."""
    skipped = []
    for name in names:
        path = Path(folder, name)
        plain = not path.is_symlink() and (path.is_dir() or path.is_file())
        if not plain or path.stat().st_size > 256 << 20:
            skipped.append(name)
    return {*skipped, "__pycache__", ".git"}


def _free_user():
    """Return a user id that nothing runs as."""
    taken = {status for status, _ in _processes().values()}
    while (user := random.randrange(200_000, 2_000_000)) in taken:
        pass
    return user


def _processes():
    """Return ``{pid: (user, parent)}`` of everything that runs (Linux)."""
    found = {}
    for entry in os.listdir("/proc") if sys.platform == "linux" else ():
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = (
                    Path(f"/proc/{entry}/stat")
                    .read_text("utf-8", "replace")
                    .rpartition(")")[2]
                    .split()
                )
                if fields[0] != "Z":
                    found[int(entry)] = os.stat(f"/proc/{entry}").st_uid, int(fields[1])
    return found


def _kill(process, user, token):
    """End a process and its descendants to the last: by parent, by user, by their environment."""
    family = {process.pid}
    for _ in range(50):
        table = _processes()
        size = 0
        while size != len(family):
            size = len(family)
            family |= {pid for pid, (_, parent) in table.items() if parent in family}
        alive = {p for p in family if p in table and p != os.getpid()}
        alive |= {p for p, (uid, _) in table.items() if user is not None and uid == user}
        alive |= {p for p in table if p != os.getpid() and _has(p, token)}
        family |= alive
        if user is not None and alive:
            _kill_user(user)
        for pid in sorted(alive):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.2)
        if not alive:
            break
    process.wait()


def _has(pid, token):
    try:
        return token.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _kill_user(user):
    """Kill, in one call, everything that runs as `user`: no fork can escape between two looks."""
    child = os.fork()
    if child == 0:
        try:
            os.setgid(user)
            os.setuid(user)
            os.kill(-1, signal.SIGKILL)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
