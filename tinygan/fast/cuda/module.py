"""Compiling the CUDA sources and launching their kernels."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["SOURCES", "counting_traffic", "launch", "source", "usable"]

THREADS = 256
"""Threads of a block; as in ``common.cu``."""

SOURCES = ("common", "activation", "convolution", "norm", "padding", "loss", "adam")

_TYPES = {"f": ("float", np.float32), "d": ("double", np.float64)}
_MOST_ELEMENTS = 1 << 30  # the kernels count elements in 32 bits
_traffic: ContextVar[list | None] = ContextVar("tinygan.fast.cuda traffic", default=None)


def usable(*arguments: Any, **named: Any) -> bool:
    """Return whether the kernels can take the arrays among these arguments, and in tuples there.

    They take CuPy arrays that lie in memory without gaps, all float32 or all float64.
    """
    first = arguments[0]
    cupy = sys.modules.get("cupy")
    if isinstance(first, np.ndarray) or not hasattr(cupy, "RawModule"):
        return False
    return first.dtype.char in _TYPES and _are_whole(cupy, first.dtype, arguments)


def _are_whole(cupy: Any, dtype: Any, arguments: Any) -> bool:
    for argument in arguments:
        if isinstance(argument, (tuple, list)):
            if not _are_whole(cupy, dtype, argument):
                return False
        elif isinstance(argument, cupy.ndarray):
            whole = argument.dtype == dtype and argument.flags.c_contiguous
            if not whole or not 0 < argument.size < _MOST_ELEMENTS:
                return False
        elif isinstance(argument, np.ndarray):
            return False
    return True


@contextmanager
def counting_traffic() -> Iterator[list[int]]:
    """Within the scope, gather the bytes of the arrays of each kernel that runs, in a list."""
    counts: list[int] = []
    token = _traffic.set(counts)
    try:
        yield counts
    finally:
        _traffic.reset(token)


def launch(
    name: str,
    dtype: Any,
    grid: tuple[int, ...],
    *arguments: Any,
    block: tuple[int, ...] = (THREADS,),
    moved: int | None = None,
) -> None:
    """Run the kernel `name`, compiled for `dtype`, on ``grid`` blocks.

    Integers are passed as ``int``, floats as numbers of `dtype`, None as a null pointer.  `moved`
    is the bytes that it reads and writes where that is not all of its arrays once.
    """
    char = np.dtype(dtype).char
    real = _TYPES[char][1]
    passed = []
    for argument in arguments:
        if argument is None:
            argument = np.uint64(0)
        elif isinstance(argument, int):
            argument = np.int32(argument)
        elif isinstance(argument, float):
            argument = real(argument)
        passed.append(argument)
    counts = _traffic.get()
    if counts is not None:
        every = sum(a.nbytes for a in arguments if hasattr(a, "nbytes"))
        counts.append(every if moved is None else moved)
    _kernel(sys.modules["cupy"], char, name)(grid, block, tuple(passed))


def blocks(elements: int) -> tuple[int]:
    """Return the grid with a thread for each element."""
    return (-(-elements // THREADS),)


def source() -> str:
    """Return the text of all kernels, one translation unit."""
    here = Path(__file__).parent
    return "\n".join((here / f"{name}.cu").read_text(encoding="utf-8") for name in SOURCES)


@cache
def _module(cupy: Any, char: str) -> Any:
    return cupy.RawModule(code=source(), options=("--std=c++17", f"-DREAL={_TYPES[char][0]}"))


@cache
def _kernel(cupy: Any, char: str, name: str) -> Any:
    return _module(cupy, char).get_function(name)
