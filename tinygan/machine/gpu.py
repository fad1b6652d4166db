"""Settings of the GPU that a command makes before it computes, and what it says of them."""

from __future__ import annotations

import os

from tinygan.machine.arrays import get_module

__all__ = ["allow_tf32", "describe_gpu", "free_bytes", "limit_memory", "tf32_is_on"]

_RESERVE = 512 << 20
"""Bytes that CuPy's memory pool leaves to cuBLAS, the driver and other programs."""


def allow_tf32() -> None:
    """Let float32 matrix products round their factors to TF32, 10 bits of mantissa instead of 23.

    A GPU since Ampere multiplies several times as fast then.  CuPy reads the setting at its first
    product, so call this before anything is computed.
    """
    os.environ["CUPY_TF32"] = "1"


def tf32_is_on() -> bool:
    """Return whether matrix products may use TF32: ``CUPY_TF32=1`` is set."""
    return os.environ.get("CUPY_TF32", "0") == "1"


def limit_memory() -> int:
    """Keep CuPy's memory pool within what is free now, less a reserve; return its limit in bytes.

    Then a training that is too large runs into an error that says so, and not into the failure of
    a library that found no memory left.  A limit that was set before, by ``CUPY_GPU_MEMORY_LIMIT``
    say, stays.
    """
    cupy = get_module("cupy")
    pool = cupy.get_default_memory_pool()
    if not pool.get_limit():
        free, _ = cupy.cuda.Device().mem_info
        pool.set_limit(size=pool.total_bytes() + max(free - _RESERVE, free // 2))
    return pool.get_limit()


def free_bytes() -> int:
    """Return the bytes that arrays can still take: of the device and within the pool's limit."""
    cupy = get_module("cupy")
    pool = cupy.get_default_memory_pool()
    free, _ = cupy.cuda.Device().mem_info
    free += pool.total_bytes() - pool.used_bytes()
    limit = pool.get_limit()
    return min(free, limit - pool.used_bytes()) if limit else free


def describe_gpu() -> str:
    """Return the device's name and the settings that bear on speed and precision, for a report."""
    cupy = get_module("cupy")
    name = cupy.cuda.runtime.getDeviceProperties(cupy.cuda.Device().id)["name"].decode()
    limit = cupy.get_default_memory_pool().get_limit()
    memory = f", at most {limit / 1e9:.1f} GB of memory" if limit else ""
    return f"{name}, TF32 {'on' if tf32_is_on() else 'off'}{memory}"
