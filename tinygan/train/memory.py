"""Whether a training fits into memory, told before it starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tinygan.convolution.gpu import WORKSPACE_BYTES
from tinygan.errors import UserError
from tinygan.machine.gpu import free_bytes
from tinygan.systems.system import System

_BESIDE = 40 << 20  # the threads' workspaces, and Matplotlib for the curves

__all__ = ["available_bytes", "check_memory", "used_bytes"]


def check_memory(system: System, force: bool = False) -> str:
    """Return a line that says how much memory training will take.

    Raises
    ------
    UserError
        If that is more than there is, unless `force`.
    """
    backend = system.options["backend"]
    needed, free = system.step_bytes(), available_bytes(backend)
    if backend == "cupy":
        needed += WORKSPACE_BYTES
        line = f"training will take about {_size(needed)} more of the GPU's memory"
    else:
        needed += _BESIDE
        line = f"training will take about {_size(used_bytes() + needed)} of memory"
    if free is None:
        return line
    line += f", {_size(free)} are free"
    if needed > free and not force:
        raise UserError(
            f"{line}: lower --batch-size, --width or --image-size, or try it all the same with "
            "--force"
        )
    return line


def available_bytes(backend: str) -> int | None:
    """Return the bytes that this process can still take, or None where it is not known."""
    if backend == "cupy":
        return free_bytes()
    limits = [limit for limit in (_of_machine(), _of_container()) if limit is not None]
    return min(limits, default=None)


def used_bytes() -> int:
    """Return the memory this process holds; 0 where that is not known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        pass
    try:
        import resource
    except ImportError:  # Windows
        return 0
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


def _of_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _of_container() -> int | None:
    """Return what a container's limit leaves; memory that only caches files is not counted."""
    for limit, usage in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        try:
            most, now = int(Path(limit).read_text()), int(Path(usage).read_text())
            stat = (Path(usage).parent / "memory.stat").read_text()
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
        inactive = [int(x.split()[1]) for x in stat.splitlines() if "inactive_file" in x]
        return max(0, most - now + max(inactive, default=0))
    return None


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
