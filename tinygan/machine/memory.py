"""How much memory there is, and how much this process holds."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tinygan.machine.gpu import free_bytes

__all__ = ["available_bytes", "used_bytes"]


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
