"""Which machine, when, with which versions, by which command: what every number carries."""

from __future__ import annotations

import os
import platform
import re
import sys
import tomllib
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PACKAGES = ("tinygan", "numpy", "cupy", "torch")


def describe(backend: str) -> dict:
    """Return the machine, date, versions and command of this run."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": "python -m benchmarks " + " ".join(sys.argv[1:]),
        "backend": backend,
        "machine": _processor(),
        "gpu": _gpu(backend),
        "cores": _cores(),
        "memory_gb": _memory_gb(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_at_start": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "versions": _versions(),
    }


def in_words(about: dict) -> str:
    """Return the description as one line under a table."""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    place = about["gpu"] or f"{about['machine']}, {about['cores']} cores, {about['memory_gb']} GB"
    load = about["load_at_start"]
    busy = f"; other work on the machine at the start: load {load:.1f}" if load else ""
    return (
        f"{place}, {about['system']}; Python {about['python']}, {versions}; {about['date']}; "
        f"`{about['command'].strip()}`{busy}."
    )


def installed_bytes(*packages: str) -> int | None:
    """Return the bytes of installed packages and all that they require; None if one is missing."""
    seen: set[str] = set()
    todo, total = list(packages), 0
    while todo:
        name = re.sub(r"[-_.]+", "-", todo.pop()).lower()
        if name in seen:
            continue
        seen.add(name)
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in packages:
                return None
            continue  # required on other systems only
        for file in found.files or ():
            path = Path(found.locate_file(file))
            if path.is_file():
                total += path.stat().st_size
        for requirement in found.requires or ():
            if "extra ==" not in requirement:
                todo.append(re.match(r"[\w.-]+", requirement)[0])
    return total


def tinygan_bytes(root: Path) -> int | None:
    """Return the bytes of tinygan's own files and of all that it requires."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    needs = installed_bytes(*(re.match(r"[\w.-]+", text)[0] for text in project["dependencies"]))
    own = sum(path.stat().st_size for path in (root / "tinygan").rglob("*.py"))
    return None if needs is None else own + needs


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def _versions() -> dict:
    found = {}
    for name in PACKAGES:
        names = [d for d in metadata.packages_distributions().get(name, ())]
        for distribution in names[:1]:
            found[name] = metadata.version(distribution)
    if "tinygan" not in found:
        import tinygan

        found = {"tinygan": tinygan.__version__} | found
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _memory_gb() -> int | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9)
    except (ValueError, OSError, AttributeError):
        return None


def _gpu(backend) -> str | None:
    if backend != "cupy":
        return None
    import cupy

    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    return f"{name}, TF32 {'on' if os.environ.get('CUPY_TF32') == '1' else 'off'}"
