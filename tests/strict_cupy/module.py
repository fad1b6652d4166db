"""The module of the stand-in: the functions that tinygan may use, each a name that CuPy has."""

from __future__ import annotations

import sys
import types

import numpy as np

from strict_cupy import cuda
from strict_cupy.array import elementwise, launch, ledger, ndarray, unwrap, wrap


def _words(text: str) -> list[str]:
    return text.split()


UFUNCS = _words(
    "absolute add arctan2 ceil cos divide equal exp expm1 fabs floor floor_divide fmax fmin "
    "greater greater_equal hypot invert isfinite isinf isnan less less_equal log log1p log2 "
    "logaddexp logical_and logical_not logical_or maximum minimum multiply negative not_equal "
    "power reciprocal remainder rint sign signbit sin sqrt square subtract tan tanh true_divide "
    "matmul"
)

# NumPy's arguments that CuPy's function of the same name also has
REDUCTIONS = {
    name: ("axis", "dtype", "keepdims") for name in ("sum", "mean", "prod", "var", "std")
} | {name: ("axis", "keepdims") for name in ("max", "min", "amax", "amin", "argmax", "all", "any")}
VIEWS = _words(
    "reshape transpose moveaxis swapaxes squeeze expand_dims broadcast_to flip ravel "
    "atleast_1d diagonal"
)
COPIES = _words("repeat tile roll pad clip dot tensordot take cumsum where triu tril kron")
OF_LISTS = _words("stack concatenate vstack hstack")
SYNCHRONISING = _words("nonzero flatnonzero argwhere unique")
CONSTANTS = _words(
    "float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 uint64 bool_ generic "
    "floating integer newaxis inf nan pi e finfo iinfo dtype"
)


def _fresh(shape, dtype):
    """Return memory with nothing in it: whoever reads it before writing finds NaN."""
    dtype = np.dtype(dtype)
    memory = np.empty(shape, dtype)
    memory.fill(np.nan if dtype.kind == "f" else np.iinfo(dtype).max if dtype.kind in "iu" else 1)
    return wrap(memory)


def empty(shape, dtype=float):
    return _fresh(shape, dtype)


def empty_like(a, dtype=None):
    return _fresh(_array(a).shape, dtype or a.dtype)


def zeros(shape, dtype=float):
    return launch(np.zeros, shape, dtype)


def zeros_like(a, dtype=None):
    return zeros(_array(a).shape, dtype or a.dtype)


def ones(shape, dtype=float):
    return launch(np.ones, shape, dtype)


def ones_like(a, dtype=None):
    return ones(_array(a).shape, dtype or a.dtype)


def full(shape, fill_value, dtype=None):
    return launch(np.full, shape, unwrap(fill_value), dtype)


def full_like(a, fill_value, dtype=None):
    return full(_array(a).shape, fill_value, dtype or a.dtype)


def arange(*args, dtype=None):
    return launch(np.arange, *args, dtype=dtype)


def linspace(start, stop, num=50, dtype=None):
    return launch(np.linspace, start, stop, num, dtype=dtype)


def eye(n, m=None, k=0, dtype=float):
    return launch(np.eye, n, m, k, dtype)


def asarray(a, dtype=None):
    """Upload a host array or numbers; return a device array as it is."""
    if isinstance(a, ndarray):
        return a if dtype is None else a.astype(dtype, copy=False)
    return array(a, dtype)


def array(object, dtype=None, copy=True):
    if isinstance(object, ndarray):
        if not copy and (dtype is None or np.dtype(dtype) == object.dtype):
            return object
        return object.astype(dtype or object.dtype)
    memory = np.array(object, dtype=dtype)  # a list that holds device arrays raises here
    if memory.dtype.kind not in "fiub":
        raise ValueError(f"Unsupported dtype {memory.dtype}")
    ledger.uploads += 1
    return wrap(memory)


def asnumpy(a):
    return a._fetch("asnumpy") if isinstance(a, ndarray) else np.asarray(a)


def ascontiguousarray(a, dtype=None):
    _array(a)
    if a.flags.c_contiguous and (dtype is None or np.dtype(dtype) == a.dtype):
        return a
    return launch(np.array, a._memory, dtype=dtype, order="C", ndmin=1)


def copyto(dst, src):
    ledger.launches += 1
    np.copyto(_array(dst)._memory, unwrap(src))


def result_type(*args):
    return np.result_type(*(unwrap(a) if not isinstance(a, (np.dtype, type)) else a for a in args))


def einsum(subscripts, *operands):
    return launch(np.einsum, subscripts, *(_array(a)._memory for a in operands))


def may_share_memory(a, b):
    return np.may_share_memory(_array(a)._memory, _array(b)._memory)


def shares_memory(a, b):
    return np.shares_memory(_array(a)._memory, _array(b)._memory)


def as_strided(x, shape=None, strides=None):
    return wrap(np.lib.stride_tricks.as_strided(_array(x)._memory, shape, strides))


def sliding_window_view(x, window_shape, axis=None):
    return wrap(np.lib.stride_tricks.sliding_window_view(_array(x)._memory, window_shape, axis))


def get_array_module(*args):
    return make_module.current if any(isinstance(a, ndarray) for a in args) else np


def _array(a):
    if not isinstance(a, ndarray):
        raise TypeError(f"expected a CuPy array, got {type(a)}")
    return a


def _ufunc(name):
    function = getattr(np, name)

    def call(*args, out=None, dtype=None):
        return elementwise(function, *args, out=out, dtype=dtype)

    call.__name__ = name
    return call


def _reduction(name, allowed):
    function = getattr(np, name)

    def call(a, axis=None, **kwargs):
        unknown = set(kwargs) - set(allowed)
        if unknown:
            raise TypeError(f"{name}: unexpected argument {unknown}")
        return launch(function, _array(a)._memory, axis=axis, **kwargs)

    return call


def _plain(name, computes):
    function = getattr(np, name)

    def call(a, *args, **kwargs):
        args = [arg._memory if isinstance(arg, ndarray) else _host(arg) for arg in args]
        kwargs = {k: v._memory if isinstance(v, ndarray) else _host(v) for k, v in kwargs.items()}
        run = launch if computes else lambda f, *rest, **kw: wrap(f(*rest, **kw))
        return run(function, _array(a)._memory, *args, **kwargs)

    return call


def _host(value):
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {type(value)}")
    return value


def _of_list(name):
    function = getattr(np, name)

    def call(arrays, axis=None):
        kwargs = {} if axis is None else {"axis": axis}
        return launch(function, [_array(a)._memory for a in arrays], **kwargs)

    return call


def _synchronising(name):
    call = _plain(name, computes=True)

    def synchronise(a, *args, **kwargs):
        ledger.transfers.append(name)
        return call(a, *args, **kwargs)

    return synchronise


def make_module() -> types.ModuleType:
    """Return a new module ``cupy`` with all counters at zero."""
    module = types.ModuleType("cupy", "The strict stand-in for CuPy.")
    module.__version__ = "14.0.0"
    for name in CONSTANTS:
        setattr(module, name, getattr(np, name))
    for function in (
        empty, empty_like, zeros, zeros_like, ones, ones_like, full, full_like, arange, linspace,
        eye, asarray, array, asnumpy, ascontiguousarray, copyto, result_type, einsum,
        may_share_memory, shares_memory, get_array_module,
    ):  # fmt: skip
        setattr(module, function.__name__, function)
    for name in UFUNCS:
        setattr(module, name, _ufunc(name))
    module.abs = module.absolute
    for name, allowed in REDUCTIONS.items():
        setattr(module, name, _reduction(name, allowed))
    for names, make in (
        (VIEWS, lambda name: _plain(name, computes=False)),
        (COPIES, lambda name: _plain(name, computes=True)),
        (OF_LISTS, _of_list),
        (SYNCHRONISING, _synchronising),
    ):
        for name in names:
            setattr(module, name, make(name))
    module.ndarray = ndarray
    module.lib = types.SimpleNamespace(
        stride_tricks=types.SimpleNamespace(
            as_strided=as_strided, sliding_window_view=sliding_window_view
        )
    )
    module.cuda = cuda.make_module()
    module.get_default_memory_pool = lambda: cuda.POOL
    module.get_default_pinned_memory_pool = lambda: cuda.PINNED_POOL
    module.ledger = ledger
    ledger.reset()
    make_module.current = module
    return module


def install(monkeypatch) -> types.ModuleType:
    """Put a new stand-in where ``import cupy`` finds it, until the test ends."""
    module = make_module()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module
