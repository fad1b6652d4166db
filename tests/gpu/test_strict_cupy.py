"""The stand-in for CuPy refuses what CuPy refuses, and counts what CuPy makes one pay for."""

import copy
import importlib.util

import numpy as np
import pytest
from strict_cupy import make_module, ndarray


def _array(cupy, dtype=np.float32):
    return cupy.asarray(np.arange(6, dtype=dtype).reshape(2, 3))


@pytest.mark.parametrize(
    "use",
    [
        lambda a, h: np.asarray(a),
        lambda a, h: np.array([a, a]),
        lambda a, h: np.zeros((2, 3)) + a,
        lambda a, h: a + h,
        lambda a, h: h * a,
        lambda a, h: a.__iadd__(h),
        lambda a, h: h.__iadd__(a),
        lambda a, h: h.__setitem__(0, a[0]),
        lambda a, h: a.__setitem__(0, h[0]),
        lambda a, h: a[np.array([0, 1])],
        lambda a, h: np.sqrt(a),
        lambda a, h: np.add(a, a),
        lambda a, h: np.concatenate([a, a]),
        lambda a, h: np.sum(a),
        lambda a, h: np.where(a > 0, a, a),
        lambda a, h: np.matmul(h.T, a),
        lambda a, h: h.T @ a,
        lambda a, h: np.maximum(h, 0, out=a),
        lambda a, h: float(a),
        lambda a, h: bool(a > 0),
        lambda a, h: int(a[0]),
    ],
)
def test_what_mixes_or_converts_implicitly_raises_a_type_error(strict_cupy, use):
    with pytest.raises(TypeError):
        use(_array(strict_cupy), np.ones((2, 3), np.float32))


def test_its_functions_refuse_host_arrays(strict_cupy):
    a, h = _array(strict_cupy), np.ones((2, 3), np.float32)
    for use in (
        lambda: strict_cupy.add(a, h),
        lambda: strict_cupy.maximum(a, 0, out=h),
        lambda: strict_cupy.concatenate([a, h]),
        lambda: strict_cupy.stack([h, h]),
        lambda: strict_cupy.sum(h),
        lambda: strict_cupy.where(a > 0, a, h),
        lambda: strict_cupy.matmul(a.T, h),
        lambda: strict_cupy.ascontiguousarray(h),
        lambda: strict_cupy.zeros_like(h),
    ):
        with pytest.raises(TypeError):
            use()


def test_it_has_only_names_it_was_given():
    cupy = make_module()
    for name in ("apply_along_axis", "nditer", "errstate", "setbufsize", "random"):
        assert not hasattr(cupy, name)
    for name in ("setflags", "ctypes", "__index__"):
        assert not hasattr(ndarray, name)
    with pytest.raises(AttributeError):
        cupy.add.at  # noqa: B018


def test_promotion_is_that_of_nep_50(strict_cupy):
    a = _array(strict_cupy)
    assert (a * 2.5).dtype == np.float32
    assert (3 - a).dtype == np.float32
    assert (a.sum() * a).dtype == np.float32
    assert (a.astype(np.float64).sum() * a).dtype == np.float64  # 0-d arrays count as arrays
    assert (a * np.float64(2.5)).dtype == np.float64
    a *= strict_cupy.asarray(2.0)
    assert a.dtype == np.float32
    whole = strict_cupy.arange(3)
    with pytest.raises(TypeError):
        whole += 0.5


def test_transfers_uploads_and_launches_are_counted(strict_cupy):
    a = _array(strict_cupy)
    ledger = strict_cupy.ledger
    assert (ledger.uploads, ledger.transfers, ledger.launches) == (1, [], 0)
    total = (a + 1).sum()
    assert (ledger.transfers, ledger.launches) == ([], 2)
    assert float(total) == 21
    assert int(total) == 21
    assert bool(total)
    assert total.item() == 21
    assert f"{total:.1f}" == "21.0"
    strict_cupy.asnumpy(a)
    a.get()
    a[a > 2]
    assert ledger.transfers == [
        *("float", "int", "bool", "item", "format", "asnumpy", "get"),
        "a mask's size",
    ]


def test_elements_and_parts_are_views_on_the_device(strict_cupy):
    a = _array(strict_cupy)
    corner = a[1, 2]
    assert isinstance(corner, ndarray)
    assert corner.shape == ()
    corner[...] = 50
    a[:, 0] += 7
    assert strict_cupy.asnumpy(a).tolist() == [[7, 1, 2], [10, 4, 50]]
    twin = copy.deepcopy(a)
    twin[...] = 0
    assert float(a[1, 2]) == 50


def test_fresh_memory_is_visibly_empty(strict_cupy):
    assert np.isnan(strict_cupy.asnumpy(strict_cupy.empty((2, 2), np.float32))).all()
    a = _array(strict_cupy)
    assert np.isnan(strict_cupy.asnumpy(strict_cupy.empty_like(a))).all()


def test_memory_is_counted_and_limited(strict_cupy):
    pool = strict_cupy.get_default_memory_pool()
    before = pool.used_bytes()
    a = strict_cupy.zeros(1000, np.float32)
    view = a[:10]
    del a
    assert pool.used_bytes() - before == 4000
    del view
    assert pool.used_bytes() == before
    pool.set_limit(size=before + 1000)
    with pytest.raises(strict_cupy.cuda.memory.OutOfMemoryError, match="allocating 4,000 bytes"):
        strict_cupy.zeros(1000, np.float32)


@pytest.mark.skipif(importlib.util.find_spec("cupy") is None, reason="CuPy is not installed")
def test_every_name_is_one_that_cupy_has():
    cupy = pytest.importorskip("cupy", exc_type=ImportError)
    module = make_module()
    own = {"ledger"}
    missing = [n for n in vars(module) if not (n.startswith("__") or n in own or hasattr(cupy, n))]
    cuda = [n for n in vars(module.cuda) if not (n.startswith("__") or hasattr(cupy.cuda, n))]
    runtime = [n for n in vars(module.cuda.runtime) if not hasattr(cupy.cuda.runtime, n)]
    methods = [
        n
        for n in vars(ndarray)
        if not (n in ("_memory", "_fetch", "_scalar", "__weakref__") or hasattr(cupy.ndarray, n))
    ]
    assert (missing, cuda, runtime, methods) == ([], [], [], [])
