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

PACKAGES = ("tinygan", "numpy", "cupy", "torch", "onnxruntime")


def kind(backend: str = "numpy", cpuinfo: str | None = None) -> str:
    """Return the kind of processor: its vendor and widest SIMD, as in ``amd-avx512``.

    Parameters
    ----------
    backend : {"numpy", "cupy"}
        With ``"cupy"`` the kind is ``"gpu"``: its own name is in the results.
    cpuinfo : str, optional
        The text of ``/proc/cpuinfo``; where there is none, the kind is the platform's name for
        the architecture, as in ``arm64``.
    """
    if backend == "cupy":
        return "gpu"
    if cpuinfo is None:
        try:
            cpuinfo = Path("/proc/cpuinfo").read_text()
        except OSError:
            cpuinfo = ""
    found = dict(re.findall(r"^(vendor_id|flags)\s*:\s*(.*)$", cpuinfo, re.MULTILINE))
    vendor, flags = found.get("vendor_id", "").lower(), found.get("flags", "").split()
    names = [name for name in ("amd", "intel") if name in vendor]
    width = [name for name in ("avx512f", "avx2", "avx") if name in flags]
    if not names or not width:
        return re.sub(r"[^a-z0-9]+", "-", platform.machine().lower()) or "unknown"
    return f"{names[0]}-{width[0].removesuffix('f')}"


def describe(backend: str) -> dict:
    """Return the machine, date, versions and command of this run."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "command": "python -m benchmarks " + " ".join(sys.argv[1:]),
        "backend": backend,
        "machine": _processor(),
        "kind": kind(backend),
        "gpu": _gpu(backend),
        "cores": cores(),
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


def cores() -> int:
    """Return how many cores this process may use."""
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
