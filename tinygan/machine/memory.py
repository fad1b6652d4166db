"""How much memory there is, and how much this process holds."""

from __future__ import annotations

from pathlib import Path

import psutil

from tinygan.machine.gpu import free_bytes

__all__ = ["available_bytes", "size_text", "used_bytes"]


def available_bytes(backend: str) -> int | None:
    """Return the bytes that this process can still take, or None where it is not known."""
    if backend == "cupy":
        return free_bytes()
    most, container = psutil.virtual_memory().available, _of_container()
    return most if container is None else min(most, container)


def used_bytes() -> int:
    """Return the memory this process holds."""
    return psutil.Process().memory_info().rss


def size_text(count: float) -> str:
    """Return a number of bytes in words.

    Examples
    --------
    >>> size_text(3_400_000_000), size_text(56_000_000)
    ('3.4 GB', '56 MB')
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def _of_container() -> int | None:
    """Return what a container's limit leaves, of which psutil knows nothing.

    Memory that only caches files is not counted.
    """
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
