"""Which array library an array belongs to, and moving data between NumPy and CuPy.

Nothing else in tinygan imports CuPy.  A function asks `get_xp` of its arguments which module they
live in and calls that module's functions by their common names; initial weights and noise are
drawn by `numpy.random.Generator` and then moved, so that both backends start from the same bits.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from tinygan.errors import BackendError

Array: TypeAlias = Any
"""An array of NumPy or of CuPy.

It is ``Any`` to a type checker: CuPy may not be installed, and the two libraries share their names
but no class.  Where nothing but NumPy is meant, it says ``np.ndarray``.
"""

Size: TypeAlias = tuple[int, int]
"""Two numbers, of the height and of the width."""

__all__ = [
    "Array",
    "BackendError",
    "CupyStatus",
    "asarray",
    "asnumpy",
    "backend_of",
    "cupy_status",
    "get_module",
    "get_xp",
    "resolve_backend",
]


def get_xp(*arrays: Array, **named: Array) -> Any:
    """Return the module, ``numpy`` or ``cupy``, that all the given arrays belong to.

    Parameters
    ----------
    *arrays, **named
        The arrays of one computation.  Given by keyword they are called by that name in an error.

    Raises
    ------
    TypeError
        If an argument is no array, or if NumPy and CuPy arrays are mixed: each argument is listed
        with the library it is in.

    Examples
    --------
    >>> import numpy as np
    >>> get_xp(np.zeros(3), np.ones(2)) is np
    True
    """
    values = (*arrays, *named.values())
    for value in values:
        if not isinstance(value, (np.ndarray, np.generic)):
            break
    else:
        if values:
            return np  # as it is nearly always, told without further ado
    cupy = sys.modules.get("cupy")
    found: list[Any] = []
    for value in values:
        if isinstance(value, (np.ndarray, np.generic)):
            found.append(np)
        elif cupy is not None and isinstance(value, cupy.ndarray):
            found.append(cupy)
        else:
            found.append(None)
    if found and found[0] is not None and all(module is found[0] for module in found):
        return found[0]
    names = [f"argument {i}" for i in range(len(arrays))] + list(named)
    told = ", ".join(
        f"{name} is {_module_name(module) or type(value).__name__}"
        for name, module, value in zip(names, found, values, strict=True)
    )
    raise TypeError(f"expected arrays of one library, NumPy or CuPy, got: {told or 'nothing'}")


def _module_name(module: Any) -> str | None:
    return {"numpy": "a NumPy array", "cupy": "a CuPy array"}.get(getattr(module, "__name__", ""))


def backend_of(array: Array) -> str:
    """Return ``"numpy"`` or ``"cupy"``, the library that `array` belongs to."""
    return "numpy" if get_xp(array) is np else "cupy"


def asnumpy(array: Array) -> np.ndarray:
    """Return `array` on the host: itself if it is a NumPy array, a copy if it is on the GPU."""
    xp = get_xp(array)
    return np.asarray(array) if xp is np else xp.asnumpy(array)


def asarray(array: Any, backend: str = "numpy") -> Array:
    """Return `array`, of either library or a list of numbers, as an array of `backend`."""
    if not isinstance(array, (list, tuple, int, float)):
        array = asnumpy(array) if backend == "numpy" else array
    return get_module(backend).asarray(array)


def get_module(backend: str) -> Any:
    """Return the array module of ``"numpy"`` or ``"cupy"``.

    Raises
    ------
    BackendError
        If CuPy was asked for and is not installed, fails to import or finds no device.
    ValueError
        If `backend` is neither name.
    """
    if backend == "numpy":
        return np
    if backend != "cupy":
        raise ValueError(f"backend: expected 'numpy' or 'cupy', got {backend!r}")
    status = cupy_status()
    if not status.usable:
        raise BackendError(status.message)
    return sys.modules["cupy"]


def resolve_backend(name: str) -> str:
    """Turn ``"auto"`` into ``"cupy"`` where a GPU works and ``"numpy"`` elsewhere; check others.

    Raises
    ------
    BackendError, ValueError
        As `get_module`.
    """
    if name == "auto":
        return "cupy" if cupy_status().usable else "numpy"
    get_module(name)
    return name


@dataclass(frozen=True)
class CupyStatus:
    """What was found of CuPy: one of four kinds, and a message that says what to do about it.

    Attributes
    ----------
    kind : {"usable", "not installed", "import failed", "no device"}
    message : str
    """

    kind: str
    message: str

    @property
    def usable(self) -> bool:
        return self.kind == "usable"


_HOW_TO_INSTALL = (
    "install the wheel for your driver's CUDA version, one of them only: "
    "pip install 'tinygan[cuda12]' or pip install 'tinygan[cuda13]' "
    "(nvidia-smi prints the CUDA version your driver supports)"
)


def cupy_status() -> CupyStatus:
    """Find out whether CuPy is installed, imports and has a device it can compute on."""
    if "cupy" not in sys.modules and importlib.util.find_spec("cupy") is None:
        return CupyStatus(
            "not installed",
            f"backend 'cupy': CuPy is not installed; {_HOW_TO_INSTALL}, or use --backend numpy",
        )
    try:
        cupy = importlib.import_module("cupy")
    except Exception as error:  # a broken wheel raises ImportError, OSError, RuntimeError, …
        return CupyStatus(
            "import failed",
            f"backend 'cupy': CuPy is installed but cannot be imported ({_one_line(error)}); "
            f"uninstall every cupy package, then {_HOW_TO_INSTALL}, or use --backend numpy",
        )
    try:
        count = cupy.cuda.runtime.getDeviceCount()
        if count < 1:
            raise RuntimeError("the driver reports 0 devices")
        cupy.zeros(1, dtype=cupy.float32) + 1  # compiles and launches a kernel
    except Exception as error:  # CUDARuntimeError, a missing driver library, a failing compiler, …
        return CupyStatus(
            "no device",
            f"backend 'cupy': CuPy {cupy.__version__} imports but finds no CUDA device it can use "
            f"({_one_line(error)}); check that nvidia-smi lists a GPU and that its driver is not "
            "older than the wheel's CUDA, or use --backend numpy",
        )
    return CupyStatus("usable", f"CuPy {cupy.__version__} with {count} device(s)")


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
