"""The array type of the stand-in, and the counters of what its use would cost on a GPU."""

from __future__ import annotations

import weakref

import numpy as np


class OutOfMemoryError(MemoryError):
    """As `cupy.cuda.memory.OutOfMemoryError`, which is a MemoryError too."""


class Ledger:
    """What the code under test did that costs something on a GPU."""

    def __init__(self):
        self.reset()
        self.used = 0

    def reset(self):
        """Set all counters to zero; memory that is in use stays in use."""
        self.transfers: list[str] = []  # device to host, by what caused it
        self.waits: list[str] = []  # of the host, for the device
        self.uploads = 0  # host to device
        self.launches = 0
        self.limit = 0  # bytes, 0 for none
        self.peak = 0

    def allocate(self, array: np.ndarray):
        if self.limit and self.used + array.nbytes > self.limit:
            raise OutOfMemoryError(
                f"Out of memory allocating {array.nbytes:,} bytes "
                f"(allocated so far: {self.used:,} bytes, limit set to: {self.limit:,} bytes)."
            )
        self.used += array.nbytes
        self.peak = max(self.peak, self.used)
        weakref.finalize(array, self._release, array.nbytes)

    def _release(self, nbytes):
        self.used -= nbytes


ledger = Ledger()


def unwrap(value):
    """Return what NumPy computes with: the memory behind an array, or a scalar as it is."""
    if isinstance(value, ndarray):
        return value._memory
    if isinstance(value, (bool, int, float, np.generic)):  # np.generic: strongly typed, NEP 50
        return value
    raise TypeError(f"Unsupported type {type(value)}")


def wrap(value):
    """Return a result of NumPy's as an array of the stand-in; scalars become arrays of 0 axes."""
    if isinstance(value, tuple):
        return tuple(wrap(item) for item in value)
    array = ndarray.__new__(ndarray)
    array._memory = np.asarray(value)
    if array._memory.base is None:
        ledger.allocate(array._memory)
    return array


def launch(function, *args, **kwargs):
    """Run one kernel."""
    ledger.launches += 1
    with np.errstate(all="ignore"):  # a GPU warns of nothing
        return wrap(function(*args, **kwargs))


def elementwise(function, *args, out=None, dtype=None):
    """Run a NumPy ufunc on arrays of the stand-in and scalars."""
    operands = [unwrap(arg) for arg in args]
    if isinstance(out, tuple):
        (out,) = out
    if out is None:
        if not any(isinstance(arg, ndarray) for arg in args):
            raise TypeError(f"{function.__name__}: expected a CuPy array among {args}")
        return launch(function, *operands, dtype=dtype)
    if not isinstance(out, ndarray):
        raise TypeError(f"{function.__name__}: out: expected a CuPy array, got {type(out)}")
    ledger.launches += 1
    with np.errstate(all="ignore"):
        function(*operands, out=out._memory, dtype=dtype)
    return out


def _index(key):
    keys = key if isinstance(key, tuple) else (key,)
    found = []
    for item in keys:
        if isinstance(item, (np.ndarray, list)):
            raise TypeError(f"an index of {type(item)} would be uploaded; expected a CuPy array")
        found.append(item._memory if isinstance(item, ndarray) else item)
    if not any(item is Ellipsis for item in found):
        found.append(Ellipsis)  # so that an element comes back as a view, not as a scalar
    return tuple(found)


def _has_mask(key):
    keys = key if isinstance(key, tuple) else (key,)
    return any(isinstance(item, ndarray) and item.dtype == bool for item in keys)


class ndarray:
    """As `cupy.ndarray`; made by the functions of the module only."""

    __slots__ = ("__weakref__", "_memory")
    __array_ufunc__ = None  # NumPy's ufuncs raise a TypeError, its operators give way to ours
    __array_priority__ = 100

    def __init__(self, *args, **kwargs):
        raise TypeError("make arrays by cupy.empty, cupy.asarray, …")

    # --- what it refuses ----------------------------------------------------------------------

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to construct "
            "a NumPy array explicitly."
        )

    def __array_function__(self, function, types, args, kwargs):
        raise TypeError(f"numpy.{function.__name__} was called with a CuPy array")

    # --- device to host: allowed, and counted -------------------------------------------------

    def get(self, stream=None, order="C", out=None, blocking=True):
        array = self._fetch("get" if blocking else "get without waiting")
        if out is None:
            return array
        out[...] = array
        return out

    def set(self, arr, stream=None):
        if not isinstance(arr, np.ndarray):
            raise TypeError("Only numpy.ndarray can be set to cupy.ndarray")
        if (arr.dtype, arr.shape) != (self.dtype, self.shape):
            raise ValueError(f"set: {arr.dtype} {arr.shape} into {self.dtype} {self.shape}")
        ledger.uploads += 1

        def copy():
            self._memory[...] = arr

        if stream is None:
            copy()
        else:
            stream._put(copy)

    def _fetch(self, cause):
        ledger.transfers.append(cause)
        return self._memory.copy()

    def item(self, *args):
        return self._fetch("item").item(*args)

    def tolist(self):
        return self._fetch("tolist").tolist()

    def _scalar(self, cause):
        if self.ndim:
            raise TypeError(f"{cause} of a CuPy array of shape {self.shape}")
        return self._fetch(cause)

    def __float__(self):
        return float(self._scalar("float"))

    def __int__(self):
        return int(self._scalar("int"))

    def __bool__(self):
        return bool(self._scalar("bool"))

    def __repr__(self):
        return repr(self._fetch("repr"))

    def __str__(self):
        return str(self._fetch("str"))

    def __format__(self, spec):
        return format(self._fetch("format")[()], spec)

    # --- what it is ---------------------------------------------------------------------------

    dtype = property(lambda self: self._memory.dtype)
    shape = property(lambda self: self._memory.shape)
    strides = property(lambda self: self._memory.strides)
    ndim = property(lambda self: self._memory.ndim)
    size = property(lambda self: self._memory.size)
    itemsize = property(lambda self: self._memory.itemsize)
    nbytes = property(lambda self: self._memory.nbytes)
    T = property(lambda self: wrap(self._memory.T))

    @property
    def data(self):
        return _Pointer(self._memory.ctypes.data)

    @property
    def flags(self):
        return _Flags(self._memory.flags)

    __hash__ = None

    def __len__(self):
        return len(self._memory)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __getitem__(self, key):
        if _has_mask(key):
            ledger.transfers.append("a mask's size")
        return wrap(self._memory[_index(key)])

    def __setitem__(self, key, value):
        ledger.launches += 1
        self._memory[_index(key)] = unwrap(value)

    # --- methods ------------------------------------------------------------------------------

    def reshape(self, *shape):
        return wrap(self._memory.reshape(*shape))

    def transpose(self, *axes):
        return wrap(self._memory.transpose(*axes))

    def swapaxes(self, a, b):
        return wrap(self._memory.swapaxes(a, b))

    def squeeze(self, axis=None):
        return wrap(self._memory.squeeze(axis))

    def ravel(self):
        return wrap(self._memory.ravel())

    def view(self, dtype=None):
        return wrap(self._memory.view() if dtype is None else self._memory.view(dtype))

    def copy(self):
        return launch(self._memory.copy)

    def __copy__(self):
        return self.copy()

    def __deepcopy__(self, memo):
        return self.copy()

    def astype(self, dtype, copy=True):
        if not copy and self.dtype == np.dtype(dtype):
            return self
        return launch(self._memory.astype, dtype)

    def fill(self, value):
        ledger.launches += 1
        self._memory.fill(unwrap(value))


class _Flags:
    """CuPy's flags: there is no ``writeable`` among them."""

    def __init__(self, flags):
        self.c_contiguous = flags.c_contiguous
        self.f_contiguous = flags.f_contiguous
        self.owndata = flags.owndata


class _Pointer:
    """As `cupy.cuda.MemoryPointer`, of which only the address is used."""

    def __init__(self, address):
        self.ptr = address


def _operators():
    names = {
        "add": np.add, "sub": np.subtract, "mul": np.multiply, "truediv": np.true_divide,
        "floordiv": np.floor_divide, "mod": np.remainder, "pow": np.power, "and": np.bitwise_and,
        "or": np.bitwise_or, "xor": np.bitwise_xor,
    }  # fmt: skip
    for name, ufunc in names.items():
        setattr(ndarray, f"__{name}__", lambda a, b, f=ufunc: elementwise(f, a, b))
        setattr(ndarray, f"__r{name}__", lambda a, b, f=ufunc: elementwise(f, b, a))
        setattr(ndarray, f"__i{name}__", lambda a, b, f=ufunc: elementwise(f, a, b, out=a))
    comparisons = {
        "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
        "eq": np.equal, "ne": np.not_equal,
    }  # fmt: skip
    for name, ufunc in comparisons.items():
        setattr(ndarray, f"__{name}__", lambda a, b, f=ufunc: elementwise(f, a, b))
    for name, ufunc in {"neg": np.negative, "abs": np.absolute, "invert": np.invert}.items():
        setattr(ndarray, f"__{name}__", lambda a, f=ufunc: elementwise(f, a))
    ndarray.__matmul__ = lambda a, b: elementwise(np.matmul, a, b)

    def reduction(name):
        def method(self, axis=None, dtype=None, keepdims=False):
            kwargs = {} if dtype is None else {"dtype": dtype}
            return launch(getattr(np, name), self._memory, axis=axis, keepdims=keepdims, **kwargs)

        return method

    def selection(name):
        def method(self, axis=None, keepdims=False):
            return launch(getattr(np, name), self._memory, axis=axis, keepdims=keepdims)

        return method

    for name in ("sum", "mean", "prod", "var", "std"):
        setattr(ndarray, name, reduction(name))
    for name in ("max", "min", "argmax", "argmin", "all", "any"):
        setattr(ndarray, name, selection(name))


_operators()
