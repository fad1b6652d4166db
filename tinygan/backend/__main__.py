"""``python -m tinygan.backend``: what was found, whether it can be used, and why not."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from threadpoolctl import threadpool_info

from tinygan.commands import Parser, answer, run, say_json
from tinygan.machine.arrays import CupyStatus, cupy_status
from tinygan.machine.parallel import get_num_threads

GIB = 1 << 30


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.backend") -> int:
    """Print the report and return 0: a machine without a GPU is no error."""
    parser = Parser(
        prog=prog,
        description="Print which array libraries were found, on what device, and whether tinygan "
        "can use them.",
    )

    parser.add_json()

    def report() -> None:
        as_json, status = parser.parse_args(argv).json, cupy_status()
        chosen = "cupy" if status.usable else "numpy"
        if as_json:
            machine = {"cores": _cores(), "threads": get_num_threads()}
            versions = {"python": platform.python_version(), "numpy": np.__version__}
            return say_json({**versions, **machine, "cupy": asdict(status), "auto": chosen})
        answer("\n".join([*_numpy_lines(), "", *_cupy_lines(status), ""]))
        return answer(f"--backend auto computes on {chosen}")

    return run(prog, report)


def _numpy_lines() -> list[str]:
    lines = [
        "numpy: usable",
        f"  Python {platform.python_version()}, NumPy {np.__version__}, {platform.machine()}",
        f"  cores this process may use: {_cores()}, threads: {get_num_threads()} "
        "(TINYGAN_NUM_THREADS changes it)",
    ]
    libraries = [info for info in threadpool_info() if info["user_api"] == "blas"]
    for info in libraries:
        kernels = f" for {info['architecture']}" if info.get("architecture") else ""
        lines.append(
            f"  BLAS: {info['internal_api']} {info['version']}{kernels}, "
            f"{info['num_threads']} thread(s) of its own, held at 1 while tinygan's threads work"
        )
    if not libraries:
        lines.append(
            "  BLAS: none that threadpoolctl knows; its own threads may get in each other's way"
        )
    return lines


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cupy_lines(status: CupyStatus) -> list[str]:
    if not status.usable:
        return [f"cupy: not usable ({status.kind})", f"  {status.message}"]
    cupy = sys.modules["cupy"]
    runtime = cupy.cuda.runtime
    cuda = _told(lambda: f"CUDA {_version(runtime.runtimeGetVersion())}")
    driver = _told(lambda: f"a driver for CUDA {_version(runtime.driverGetVersion())}")
    lines = ["cupy: usable", f"  CuPy {cupy.__version__}, {cuda}, {driver}"]
    for number in range(runtime.getDeviceCount()):
        lines.append(f"  device {number}: {_told(partial(_device, cupy, number))}")
    on = os.environ.get("CUPY_TF32", "0") == "1"
    lines.append(f"  TF32: {'on' if on else 'off'} (CUPY_TF32, read by CuPy when it starts)")
    return lines


def _device(cupy: Any, number: int) -> str:
    device = cupy.cuda.Device(number)
    name = cupy.cuda.runtime.getDeviceProperties(number)["name"].decode()
    major, minor = device.compute_capability[:-1], device.compute_capability[-1]
    free, total = device.mem_info
    return (
        f"{name}, compute capability {major}.{minor}, "
        f"{free / GIB:.1f} of {total / GIB:.1f} GiB free"
    )


def _version(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"


def _told(ask: Callable[[], str]) -> str:
    """Return the answer, or what went wrong: a report is for machines where things go wrong."""
    try:
        return ask()
    except Exception as error:
        return f"unknown ({type(error).__name__}: {error})"


if __name__ == "__main__":
    sys.exit(main())
