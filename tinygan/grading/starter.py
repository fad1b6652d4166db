"""Starting students' processes: each is forked from one that holds NumPy, and nothing of a grader.

Python and NumPy take longer to load than most exercises take to run, so they are loaded once.  The
process that is forked has never seen a test, a reference or a submission: what a submission's
process inherits of it is what it would have loaded itself.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from typing import Any

__all__ = ["Child", "start", "token", "warm"]

token = f"TINYGAN_STUDENT={secrets.token_hex(8)}"
"""Stands in the environment of all processes of all submissions that this one grades."""

KEEP = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH")

_running: Any = None


class Child:
    """A child of this process that is no `subprocess.Popen`'s: it was forked by another child."""

    def __init__(self, pid):
        self.pid, self.code = pid, None

    def poll(self) -> int | None:
        """Return its exit status, −n if signal n ended it; None while it runs."""
        if self.code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                pid, status = self.pid, signal.SIGKILL
            self.code = os.waitstatus_to_exitcode(status) if pid else None
        return self.code

    def wait(self, timeout=60.0) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a submission", timeout)
            time.sleep(0.002)
        return code

    def kill(self):
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


class Starter:
    """The process that students' processes are forked from."""

    def __init__(self):
        mine, its = socket.socketpair()
        environment = {k: os.environ[k] for k in KEEP if k in os.environ}
        # breakpoint() does nothing: nobody is there to type
        environment |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1",
                        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONBREAKPOINT": "0",
                        "PYTHONIOENCODING": "utf-8:backslashreplace"}  # fmt: skip
        environment |= dict([token.split("=")])
        with its:  # -P: nothing in the folder where it starts is imported
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "tinygan.grading.worker", str(its.fileno())],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
            )
        self.channel = mine

    def ask(self, request, numbers) -> int:
        socket.send_fds(self.channel, [request], numbers)
        return int(self.channel.recv(32))

    def close(self):
        self.channel.close()
        self.process.kill()
        self.process.wait()


def start(request: dict, numbers) -> Child:
    """Start a submission's process and return it.

    Parameters
    ----------
    request : dict
        Of what JSON can hold; what it says stands at ``worker.become``.
    numbers : sequence of int
        Three descriptors: what the process reads, what it answers, where it prints.
    """
    global _running
    starter, message = warm(), json.dumps(request).encode()
    if sys.platform != "linux":  # where orphans cannot be adopted, it becomes the submission's
        _running = None
    try:
        pid = starter.ask(message, numbers)
    except (OSError, ValueError):  # something has ended it
        starter.close()
        starter = warm()
        pid = starter.ask(message, numbers)
    return Child(pid)


def warm() -> Starter:
    """Return what others are forked from; start it if it does not run."""
    global _running
    if _running is None or _running.process.poll() is not None:
        _running = Starter()
    return _running
