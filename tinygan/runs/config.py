"""What ``config.json`` says of a run."""

from __future__ import annotations

import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version

import tinygan
from tinygan.distributed.shared import number_of_ranks
from tinygan.machine import parallel
from tinygan.options.resolving import stored
from tinygan.systems.system import System

__all__ = ["describe_run"]

_KEPT = ("created", "changed", "init_from")


def describe_run(
    system: System, total_steps: int, before: dict | None = None, changed: dict | None = None
) -> dict:
    """Return everything about a run: options, data, networks, and what it is computed with.

    Parameters
    ----------
    system : System
    total_steps : int
    before : dict, optional
        What was described when the run was begun; it keeps the time of its beginning, and what
        was ``"changed"`` since.
    changed : dict, optional
        The options that are others from now on, and ``"after_step"``.
    """
    kept = {name: before[name] for name in _KEPT if name in before} if before else {}
    if changed and changed not in (noted := _list(kept.get("changed"))):
        kept["changed"] = [*noted, changed]
    return {
        "system": system.name,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        **kept,
        **({"system_file": system.file.described()} if system.file is not None else {}),
        "seed": system.options.seed,
        "options": stored(system.options),
        "total_steps": total_steps,
        "steps_per_epoch": system.steps_per_epoch,
        "data": system.data,
        "parameters": {
            name: sum(p.size for p in network.parameters())
            for name, network in system.networks.items()
        },
        "versions": {
            "tinygan": tinygan.__version__,
            "python": platform.python_version(),
            **{name: _version(name) for name in ("numpy", "cupy", "pillow", "safetensors")},
        },
        "platform": {
            "system": platform.platform(),
            "machine": platform.machine(),
            "threads": parallel.get_num_threads(),
            "ranks": number_of_ranks(),
        },
    }


def _list(value: object) -> list:
    return value if isinstance(value, list) else []


def _version(package: str) -> str | None:
    if package == "cupy":
        module = sys.modules.get("cupy")
        return getattr(module, "__version__", None)
    try:
        return version(package)
    except PackageNotFoundError:
        return None
