"""A stand-in for CuPy that is stricter than CuPy, for tests on machines without a GPU.

Its arrays live in host memory, behind a type that is no `numpy.ndarray`.  What real CuPy refuses
it refuses: implicit conversion to NumPy, arithmetic that mixes the two libraries, names that CuPy
does not have.  What CuPy allows at a price it counts: every copy from device to host (also the
hidden ones, such as ``float(array)``), every upload, every launch of a kernel.  What CuPy leaves
undefined it makes visible: fresh memory holds NaN.  It is stricter than CuPy where code that
relies on the difference is likely a mistake: NumPy's functions do not dispatch to it, and an index
or an assigned value is never a host array.

`install` puts it in the place of the module ``cupy``; the fixture ``strict_cupy`` does that for
one test and gives the test the module, with the counters as ``strict_cupy.ledger``.
"""

from contextlib import contextmanager

from strict_cupy.array import Ledger, ledger, ndarray
from strict_cupy.module import install, make_module

__all__ = ["Ledger", "install", "ledger", "make_module", "ndarray", "nothing_leaves_the_device"]


@contextmanager
def nothing_leaves_the_device(cupy, uploads: int | None = None):
    """Fail if an array is copied to the host within the scope, or more than `uploads` to it.

    Real CuPy does not tell; on it this checks nothing.
    """
    if not hasattr(cupy, "ledger"):
        yield
        return
    cupy.ledger.reset()
    yield
    assert (cupy.ledger.transfers, cupy.ledger.waits) == ([], [])
    assert uploads is None or cupy.ledger.uploads <= uploads
