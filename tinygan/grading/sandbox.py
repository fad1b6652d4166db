"""What a student's process gives up for good before it reads a line of the submission.

Another user where the grader is root; and, where the kernel has Landlock (Linux 5.13), everything
on disk but Python, its packages and the submission's own folder, the network, and signals to
processes that it did not start, and running other programs.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import site
import struct
import sys
from pathlib import Path

import numpy as np

__all__ = ["enter"]

READABLE = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/opt", "/nix", "/etc", "/dev/urandom",
            "/dev/random", "/dev/zero", "/dev/null", "/sys/devices/system", "/sys/fs/cgroup",
            "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat")  # fmt: skip

# linux/landlock.h and linux/prctl.h
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, REFER = 1, 2, 4, 8, 1 << 14, 1 << 13
NO_NEW_PRIVILEGES, PARENT_DEATH_SIGNAL, DUMPABLE, KILL = 38, 1, 4, 9


def enter(home, user: int, grader: int, memory: int, output: int, processes: int):
    """Give up the grader's rights, and die with it.

    Parameters
    ----------
    home : path
        The submission's folder, all that it may write to.
    user : int
        Whom to become, or 0 to stay who one is.
    grader : int
        The grader's process.
    memory, output : int
        Bytes of the process, and of a file that it writes.
    processes : int
        How many that user may have.
    """
    libc = ctypes.CDLL(None)
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, output),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # let the machine end the submission, not its grader
            Path("/proc/self/oom_score_adj").write_text("1000", "utf-8")
        libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        _landlock(libc, home)
    if user:
        _keep_packages_in_reach()
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        libc.prctl(DUMPABLE, 1, 0, 0, 0)  # its own /proc/self again
    if sys.platform == "linux":
        libc.prctl(PARENT_DEATH_SIGNAL, KILL, 0, 0, 0)  # setuid would clear it
        if os.getppid() != grader:
            os._exit(1)
    os.chdir(home)


def _landlock(libc, home):
    """Close the disk, the network and other processes; do nothing where the kernel cannot."""
    call = libc.syscall
    version = call(444, None, 0, 1)
    if version < 1:
        return
    files = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    net, scope = (3 if version >= 4 else 0), (3 if version >= 6 else 0)
    rules = struct.pack("QQQ", files, net, scope)
    ruleset = call(444, rules, {1: 8, 2: 8, 3: 8}.get(version, 16 if version < 6 else 24), 0)
    if ruleset < 0:
        return
    packages = [sys.prefix, sys.base_prefix, *site.getsitepackages()]
    packages += [str(Path(np.__file__).parents[1]), str(Path(__file__).parents[1])]
    look = READ_FILE | READ_DIR  # and run nothing: what another program does, nobody sees
    for path, rights in [*((p, look) for p in (*READABLE, *packages)), (home, files & ~EXECUTE),
                         ("/dev/null", READ_FILE | WRITE_FILE)]:  # fmt: skip
        with contextlib.suppress(OSError):
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
            if not os.path.isdir(path):
                rights &= READ_FILE | WRITE_FILE | TRUNCATE
            call(445, ruleset, 1, struct.pack("=Qi", rights & files, fd), 0)
            os.close(fd)
    call(446, ruleset, 0)
    os.close(ruleset)


def _keep_packages_in_reach():
    """Let the other user import what lies below a folder that is closed to it, as in /root."""

    def closed(path):
        return any(not parent.stat().st_mode & 1 for parent in Path(path).resolve().parents)

    def elsewhere(path):
        for old in sorted(there, key=len, reverse=True):
            if path == old or path.startswith(old + "/"):
                return there[old] + path[len(old) :]
        return path

    there: dict[str, str] = {}
    for path in (*sys.path, str(Path(__file__).parents[1])):
        with contextlib.suppress(OSError):  # of what is closed to submissions altogether
            if os.path.isdir(path) and closed(path):
                fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
                there[path] = f"/proc/self/fd/{fcntl.fcntl(fd, fcntl.F_DUPFD, 100)}"
                os.close(fd)
    sys.path[:] = map(elsewhere, sys.path)
    for module in list(sys.modules.values()):
        if isinstance(getattr(module, "__path__", None), list):
            module.__path__[:] = map(elsewhere, module.__path__)
    sys.path_importer_cache.clear()
