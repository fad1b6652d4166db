"""The processes of a submission: users that nothing else runs as, and their end, to the last."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import pwd
import random
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

__all__ = ["Guard", "adopt", "children", "end", "free_user", "isolated", "others", "stat"]

LINUX = sys.platform == "linux"


@functools.cache
def isolated() -> bool:
    """Whether submissions can run as another user than the grader: root on Linux can do that."""
    if not LINUX or os.geteuid() != 0:
        return False
    try:
        user = free_user()
    except OSError:
        return False

    def become():
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)

    return _forked(become) == 0


def free_user() -> int:
    """Return a user id that nothing runs as and no account has, of those that can be used here."""
    most = 0
    for line in Path("/proc/self/uid_map").read_text("utf-8").splitlines():
        first, _, count = map(int, line.split())
        most = max(most, first + count) if count > 2000 else most
    most = min(most, 2_000_000)
    if most < 2000:
        raise OSError("no other user ids")
    taken = {user for user, *_ in _processes().values()} | {
        entry.pw_uid for entry in pwd.getpwall()
    }
    while (user := random.randrange(most // 2, most)) in taken:
        pass
    return user


def adopt():
    """Have orphaned descendants become this process's children, whatever they did to hide."""
    if LINUX:
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


def children() -> set[int]:
    """Return the children that this process has."""
    me = os.getpid()
    return {pid for pid, (_, parent, *_) in _processes().items() if parent == me}


def others(leader, user) -> tuple[float, bool, int]:
    """Look at what a submission has started.

    Returns
    -------
    float
        Processor time of its processes but the `leader`.
    bool
        Whether all of these sleep.
    int
        Bytes of memory that all of them hold together, the leader too.
    """
    found = {
        pid: (used, sleeps, size)
        for pid, (uid, _, session, size, used, sleeps) in _processes().items()
        if session == leader or (user is not None and uid == user)
    }
    size = sum(size for _, _, size in found.values())
    found.pop(leader, None)
    used, sleeps = sum(f[0] for f in found.values()), all(f[1] for f in found.values())
    return used, sleeps, size


class Guard:
    """A process that ends a submission's processes when the grader is gone, however it went, and
    removes its folder."""

    def __init__(self, user, token, folder):
        self.child = 0
        if not LINUX:
            return
        read, self._write = os.pipe()
        self.child = _fork()
        if self.child == 0:
            try:
                os.setsid()
                os.dup2(read, 3)
                os.closerange(4, 4096)
                leader = os.read(3, 8)
                if not os.read(3, 1):
                    if leader:
                        end(int(leader), user, token)
                    shutil.rmtree(folder, ignore_errors=True)
            finally:
                os._exit(0)
        os.close(read)

    def watch(self, pid):
        """Say which process leads the submission's."""
        if self.child:
            os.write(self._write, f"{pid:8d}".encode())

    def dismiss(self):
        if self.child:
            with contextlib.suppress(OSError):
                os.write(self._write, b"x" * 9)
            os.close(self._write)
            os.waitpid(self.child, 0)
            self.child = 0


def end(leader, user, token, spared=()) -> int:
    """End a process and its descendants: by parent, user, session, and their environment.

    Parameters
    ----------
    leader : int
        The process; it leads a session of its own.
    user : int or None
        Whose every process is ended.
    token : str
        What stands in the environment of all of them, as ``NAME=value``.
    spared : collection of int
        Children of this process that are no orphans of the submission's.

    Returns
    -------
    int
        How many descendants there were.
    """
    family, me, mine = {leader}, os.getpid(), os.getsid(0)
    for _ in range(50):
        table = _processes()
        family |= {
            pid
            for pid, (_, parent, session, *_) in table.items()
            if session == leader or (parent == me and session != mine and pid not in spared)
        }
        size = 0
        while size != len(family):
            size = len(family)
            family |= {pid for pid, (_, parent, *_) in table.items() if parent in family}
        family |= {p for p, (uid, *_) in table.items() if user is not None and uid == user}
        family |= {p for p in table if p not in family and _has(p, token)}
        alive = {p for p in family if p in table} - {me, *spared}
        if user is not None and alive:
            _end_user(user)
        for pid in alive:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.killpg(leader, signal.SIGKILL)
        if not alive - {leader}:
            break
    family |= _bury({leader, *spared})
    return len(family - {leader, *spared})


def _bury(spared, seconds=2.0):
    """Wait for orphans that have ended and are this process's children now; return which."""
    buried, until = set(), time.monotonic() + seconds
    while True:
        orphans = {
            pid
            for pid, (_, parent, session, *_) in _processes(ended=True).items()
            if parent == os.getpid() and session != os.getsid(0) and pid not in spared
        }
        for pid in orphans:
            with contextlib.suppress(OSError):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    buried.add(pid)
        if orphans <= buried or time.monotonic() > until:
            return buried
        time.sleep(0.005)


def stat(pid) -> list[str]:
    """Return the fields of /proc/PID/stat behind the name, the state first."""
    text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    return text.rpartition(")")[2].split()


def _processes(ended=False):
    """Return ``{pid: (user, parent, session, bytes, processor time, whether it sleeps)}``.

    Of what runs, or has `ended` and was not waited for.
    """
    found = {}
    for entry in os.listdir("/proc") if LINUX else ():
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                fields = stat(entry)
                if (fields[0] == "Z") == ended:
                    size = int(fields[21]) * os.sysconf("SC_PAGE_SIZE")
                    user = os.stat(f"/proc/{entry}").st_uid
                    used = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
                    parent, session, sleeps = int(fields[1]), int(fields[3]), fields[0] in "STt"
                    found[int(entry)] = user, parent, session, size, used, sleeps
    return found


def _has(pid, token):
    try:
        return token.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _end_user(user):
    """End, in one call, everything that runs as `user`: no fork can escape between two looks."""

    def become():
        os.setgid(user)
        os.setuid(user)
        os.kill(-1, signal.SIGKILL)

    _forked(become)


def _forked(do):
    child = _fork()
    if child == 0:
        status = 1
        try:
            do()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def _fork():
    with warnings.catch_warnings():  # of threads: the child calls nothing that could wait for one
        warnings.simplefilter("ignore")
        return os.fork()
