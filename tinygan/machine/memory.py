"""How much memory there is, and how much this process holds."""

from __future__ import annotations

from pathlib import Path

from tinygan.machine.gpu import free_bytes

__all__ = ["available_bytes", "size_text", "total_bytes", "used_bytes"]


def available_bytes(backend: str) -> int | None:
    """Return the bytes that this process can still take, or None where it is not known."""
    if backend == "cupy":
        return free_bytes()
    import psutil

    most, container = psutil.virtual_memory().available, _of_container()
    return most if container is None else min(most, container)


def total_bytes() -> int:
    """Return the machine's memory."""
    import psutil

    return psutil.virtual_memory().total


def used_bytes() -> int:
    """Return the memory this process holds."""
    import psutil

    return psutil.Process().memory_info().rss


def size_text(count: float) -> str:
    """Return a number of bytes in words.

    Examples
    --------
    >>> size_text(3_400_000_000), size_text(56_000_000), size_text(1_234)
    ('3.4 GB', '56 MB', '1.2 kB')
    """
    unit, name = next((u for u in ((1e9, "GB"), (1e6, "MB")) if count >= u[0]), (1e3, "kB"))
    return f"{count / unit:,.{1 if count < 10 * unit else 0}f} {name}"


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
            most, now = int(Path(limit).read_text("ascii")), int(Path(usage).read_text("ascii"))
            stat = (Path(usage).parent / "memory.stat").read_text("ascii")
        except (OSError, ValueError):  # no such file, or "max": no limit
            continue
        inactive = [int(x.split()[1]) for x in stat.splitlines() if "inactive_file" in x]
        return max(0, most - now + max(inactive, default=0))
    return None
