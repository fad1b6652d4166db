"""Runs the CUDA kernels on the CPU, compiled by g++ through a thin header (``shim.h``).

`RawModule` has the interface of `cupy.RawModule`, so that with it in the stand-in for CuPy the very
launches of tinygan run: names, grids, the number and the types of the arguments are checked
against the source.  Each array lies between guard zones of NaN during a launch; a write outside of
it or to a ``const`` array fails, a read outside shows as NaN.  Each launch runs twice, its threads
and blocks in both orders, and must give the same bits.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from strict_cupy.array import ledger, ndarray

COMPILER = shutil.which("g++")
_GUARD = 64  # elements on either side
_BARRIER = re.compile(r"__syncthreads|_over_block")
_SIGNATURE = re.compile(r"(?:extern \"C\" __global__ void|KERNEL) (\w+)\s*\(([^)]*)\)", re.DOTALL)

ran: dict[str, int] = {}
"""How often each kernel ran, by ``"name dtype"``."""


@cache
def _folder() -> tempfile.TemporaryDirectory:
    return tempfile.TemporaryDirectory(prefix="tinygan-shim-")


@cache
def _build(code: str, options: tuple[str, ...]):
    """Return the shared library of all kernels in `code`, and each kernel's parameter types."""
    preprocessed = _run([COMPILER, "-E", "-P", "-x", "c++", *options, "-"], code)
    kernels = {
        name: [" ".join(parameter.split()[:-1]) + "*" * parameter.count("*") for parameter in
               re.sub(r"\*(\w)", r"* \1", re.sub(r"\s+", " ", parameters)).split(",")]
        for name, parameters in _SIGNATURE.findall(preprocessed)
    }  # fmt: skip
    bodies = preprocessed.split('extern "C" __global__ void ')[1:]
    barriers = {re.match(r"\w+", body)[0]: bool(_BARRIER.search(body)) for body in bodies}
    shim = (Path(__file__).parent / "shim.h").read_text()
    entries = "\n".join(f"ENTRY({name}, {len(types)})" for name, types in kernels.items())
    path = Path(_folder().name) / f"kernels{abs(hash((code, options)))}.so"
    _run(
        [COMPILER, "-x", "c++", "-O1", "-Wall", "-Werror", "-Wno-unused-function", "-shared",
         "-fPIC", "-ffp-contract=off", *options, "-", "-o", str(path)],
        f"{shim}\n{code}\n{entries}\n",
    )  # fmt: skip
    return ctypes.CDLL(str(path)), kernels, barriers


def _run(command, text) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


class RawModule:
    """As `cupy.RawModule`, on the CPU."""

    def __init__(self, *, code: str, options: tuple[str, ...] = ()):
        self.library, self.kernels, self.barriers = _build(code, options)

    def get_function(self, name: str):
        function = getattr(self.library, f"shim_{name}")
        return _Kernel(name, function, self.kernels[name], self.barriers[name])


class _Kernel:
    def __init__(self, name, function, types, barriers):
        self.name, self.function, self.types, self.barriers = name, function, types, barriers
        # through a table of addresses it writes to memory that is not copied here
        self.orders = (0,) if any("unsigned long long" in kind for kind in types) else (0, 1)

    def __call__(self, grid, block, arguments):
        ledger.launches += 1
        ran[self.name] = ran.get(self.name, 0) + 1
        sizes = [*grid, *[1] * (3 - len(grid)), *block, *[1] * (3 - len(block))]
        assert len(arguments) == len(self.types), f"{self.name}: {len(arguments)} arguments"
        assert all(type(size) is int and size >= 1 for size in sizes), f"{self.name}: {sizes}"
        assert sizes[1] <= 65535, f"{self.name}: grid {grid}"
        assert sizes[2] <= 65535, f"{self.name}: grid {grid}"
        assert np.prod(sizes[3:]) <= 1024, f"{self.name}: block {block}"
        results = [self._run(sizes, arguments, order) for order in self.orders]
        for argument, forwards, backwards in zip(arguments, results[0], results[-1], strict=True):
            if isinstance(argument, ndarray):
                same = forwards.tobytes() == backwards.tobytes()
                assert same, f"{self.name}: the order of the threads changes the result"
                argument._memory[...] = forwards

    def _run(self, sizes, arguments, order):
        """Run on copies between guards and return what became of each argument."""
        held, pointers, guarded = [], [], {}
        for argument, kind in zip(arguments, self.types, strict=True):
            if isinstance(argument, ndarray):
                value = self._address(argument, kind, guarded)
            else:
                value = self._number(argument, kind)
            held.append(value)
            pointers.append(value.ctypes.data)
        code = self.function(
            (ctypes.c_int * 6)(*sizes), (ctypes.c_void_p * len(pointers))(*pointers), order,
            self.barriers,
        )  # fmt: skip
        assert code != 1, f"{self.name}: not all threads of a block reach the same barrier"
        assert code == 0, f"{self.name}: a barrier that _BARRIER does not find"
        for buffer, before, constant in guarded.values():
            inside = slice(_GUARD, -_GUARD or None)
            for end in (slice(0, _GUARD), slice(-_GUARD, None)):
                same = buffer[end].tobytes() == before[end].tobytes()
                assert same, f"{self.name}: wrote outside an array"
            if constant:
                same = buffer[inside].tobytes() == before[inside].tobytes()
                assert same, f"{self.name}: wrote to a const array"
        return [
            guarded[_key(a)][0][_GUARD:-_GUARD].reshape(a.shape) if isinstance(a, ndarray) else a
            for a in arguments
        ]

    def _address(self, array, kind, guarded):
        wanted = {
            "int": "i",
            "float": "f",
            "double": "d",
            "long long": "q",
            "unsigned long long": "Q",
        }
        plain = kind.removeprefix("const ").rstrip("* ").strip()
        if plain == "Four":
            assert array._memory.ctypes.data % (4 * array.itemsize) == 0, f"{self.name}: alignment"
        else:
            char = np.dtype(wanted[plain]).char
            assert array.dtype == np.dtype(char), f"{self.name}: {array.dtype} as {kind}"
        assert "*" in kind, f"{self.name}: an array as {kind}"
        assert array.flags.c_contiguous, f"{self.name}: an array with gaps"
        key, constant = _key(array), kind.startswith("const")
        if key in guarded:
            buffer, before, was = guarded[key]
            guarded[key] = (buffer, before, was and constant)
        else:
            memory = array._memory.reshape(-1)
            fill = np.nan if memory.dtype.kind == "f" else -1
            edge = np.full(_GUARD, fill).astype(memory.dtype, casting="unsafe")
            before = np.concatenate([edge, memory, edge])
            buffer = _aligned(before)
            guarded[key] = (buffer, before, constant)
        return np.array(guarded[key][0].ctypes.data + _GUARD * array.itemsize, np.uintp)

    def _number(self, value, kind):
        wanted = {"int": np.int32, "float": np.float32, "double": np.float64}
        if "*" in kind:
            assert type(value) is np.uint64, f"{self.name}: {value!r} as {kind}"
            assert value == 0, f"{self.name}: {value!r} as {kind}"
        else:
            assert type(value) is wanted[kind], f"{self.name}: {value!r} as {kind}"
        return np.array(value)


def _key(array):
    return array._memory.ctypes.data, array.nbytes


def _aligned(values):
    """Return a copy of `values` at an address that is a multiple of 64."""
    block = np.empty(values.nbytes + 64, np.uint8)
    start = -block.ctypes.data % 64
    copy = block[start : start + values.nbytes].view(values.dtype)
    copy[:] = values
    return copy
