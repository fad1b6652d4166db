"""Makes a process on Linux like one on Windows, as far as a program sees it.

No fork, no signals but a few, no users and masks, no fcntl and resource; files that are open can be
neither replaced nor removed; only files that are open for writing can be synced; names of devices
and names that end in a dot or a space are no files'.

    python as_windows.py MODULE [WORD]...
"""

import errno
import importlib
import os
import runpy
import signal
import sys
from pathlib import Path

MISSING = {
    os: [
        *("fork", "forkpty", "getuid", "geteuid", "getgid", "mkfifo", "mknod", "register_at_fork"),
        *("chown", "lchown", "sched_getaffinity", "O_NOFOLLOW", "O_DIRECTORY"),
        *("killpg", "setsid", "uname", "sysconf", "posix_fallocate", "pread", "pwrite"),
    ],
    signal: [
        *("SIGALRM", "SIGKILL", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGCHLD", "alarm", "setitimer"),
    ],
}
MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "pty")
DEVICES = {"CON", "PRN", "AUX", "NUL"} | {f"{d}{n}" for d in ("COM", "LPT") for n in range(1, 10)}


def is_open(path) -> bool:
    """Tell whether this process has a file open."""
    try:
        wanted = os.stat(path)
    except OSError:
        return False
    for name in os.listdir("/proc/self/fd"):
        try:
            found = os.stat(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False


def install() -> None:
    import fcntl

    get_flags, access = fcntl.fcntl, fcntl.F_GETFL
    fsync, opens = os.fsync, os.open

    def synced(descriptor):
        if get_flags(descriptor, access) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        fsync(descriptor)

    def careful(function, number):
        def call(*paths, **words):
            for path in paths[:number]:
                if ".filelock" not in str(path) and is_open(path):  # that one has code for Windows
                    raise PermissionError(errno.EACCES, "being used by another process", str(path))
            return function(*paths, **words)

        return call

    def named(path, flags, *rest, **words):
        if flags & os.O_CREAT:
            name = Path(os.fsdecode(path)).name
            if name.partition(".")[0].upper() in DEVICES or name[-1:] in (".", " "):
                raise OSError(errno.EINVAL, "Invalid argument", os.fsdecode(path))
        if os.path.isdir(path):
            raise PermissionError(errno.EACCES, "Permission denied", os.fsdecode(path))
        return opens(path, flags, *rest, **words)

    os.fsync, os.open = synced, named
    for name, count in (("replace", 2), ("rename", 2), ("unlink", 1), ("remove", 1)):
        setattr(os, name, careful(getattr(os, name), count))
    for module, names in MISSING.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for name in MODULES:
        sys.modules[name] = None


if __name__ == "__main__":
    for name in (
        *("subprocess", "tempfile", "threading", "shutil", "multiprocessing"),  # Python's own
        *("numpy", "PIL.Image", "filelock", "psutil", "threadpoolctl", "tqdm", "jinja2"),
        *("matplotlib.figure", "matplotlib.backends.backend_agg", "safetensors.numpy"),
        *("platformdirs", "pooch"),
    ):
        importlib.import_module(name)  # they have code of their own for Windows
    install()
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
