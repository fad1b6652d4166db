"""Every fast version gives what its plain function gives: one contract over the whole table."""

import os
import sys

import numpy as np
import pytest

import tinygan
from tinygan import Adam, Parameter, asarray, asnumpy
from tinygan.fast import overrides
from tinygan.layers.norm import moments, normalize, normalize_sums

TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}  # of the largest number, at least of 1
LAYOUTS = ("whole", "strided", "transposed", "backwards")
TABLE = sorted((f"{o.name}-{o.library}", o.name, o.library) for o in overrides())
every_override = pytest.mark.parametrize(
    ("name", "library"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)


# --- a case for each function: its arguments, drawn ---------------------------------------------


def _size(rng, axes=4):
    """Return N, H, W and C, or G, M and C: small and odd; C now and then a multiple of 4."""
    n, h, w = (int(v) for v in rng.integers(1, [4, 12, 12]))
    c = int(rng.choice([1, 3, 4, 5, 8, 33, 64]))
    return (n, h, w, c) if axes == 4 else (n, int(rng.integers(2, 900)), c)


def _elements(rng):
    return (rng.standard_normal(_size(rng)),)


def _elements_and_gradient(rng):
    y = rng.standard_normal(_size(rng))
    return rng.standard_normal(y.shape), y


def _leaky(rng):
    return *_elements(rng), _slope(rng)


def _leaky_backward(rng):
    dy, y = _elements_and_gradient(rng)
    return dy, (y, _slope(rng))


def _slope(rng):
    return [0.2, 0.0, 1.0, 1.5][rng.integers(4)]


def _dropout(rng):
    x = rng.standard_normal(_size(rng))
    return x, rng.random(x.shape) > 0.3, 1 / 0.7


def _dropout_backward(rng):
    x, *cache = _dropout(rng)
    return x, tuple(cache)


def _channels(rng):
    y = rng.standard_normal(_size(rng))
    return y, rng.standard_normal(y.shape[-1])


def _reflection(rng):
    n, h, w, c = _size(rng)
    padding = int(rng.integers(0, h)), int(rng.integers(0, w))
    if rng.random() < 0.3:
        padding = h - 1, w - 1  # every pixel but the corners is mirrored to both sides
    return rng.standard_normal((n, h, w, c)), padding


def _reflection_backward(rng):
    x, (ph, pw) = _reflection(rng)
    n, h, w, c = x.shape
    return rng.standard_normal((n, h + 2 * ph, w + 2 * pw, c)), (ph, pw)


def _upsample(rng):
    return *_elements(rng), tuple(int(v) for v in rng.integers(1, 4, 2))


def _upsample_backward(rng):
    x, (sh, sw) = _upsample(rng)
    n, h, w, c = x.shape
    return rng.standard_normal((n, h * sh, w * sw, c)), (sh, sw)


def _grouped(rng):
    return (3 + 2 * rng.standard_normal(_size(rng, axes=3)),)


def _normalize(rng):
    (x,) = _grouped(rng)
    affine = [rng.standard_normal(x.shape[2]) for _ in range(2)]
    slope = None if rng.random() < 0.4 else _slope(rng)
    return x, *moments(x), *(affine if rng.random() < 0.6 else (None, None)), 1e-5, slope


def _sums(rng):
    x, *how = _normalize(rng)
    return rng.standard_normal(x.shape), normalize(x, *how)[1]


def _normalize_backward(rng):
    dy, cache = _sums(rng)
    return dy, cache, *normalize_sums(dy, cache)[:2]


def _running(rng):
    channels = int(rng.integers(1, 400))
    return *rng.standard_normal((4, channels)), int(rng.integers(2, 99)), 0.1


def _score_and_target(rng):
    (score,) = _elements(rng)
    return score, [1, 0.9, rng.random(score.shape)][rng.integers(3)]


def _tensors(rng):
    sizes = [_size(rng), (5,), (1,), (64, 65), (3, 4097)]
    return [rng.standard_normal(size) for size in sizes]


def _adam(rng):
    gradients = _tensors(rng)
    thetas = [rng.standard_normal(g.shape) for g in gradients]
    slots = [(rng.standard_normal(g.shape), 0.1 + rng.random(g.shape)) for g in gradients]
    adam = Adam([Parameter(np.zeros(1))], lr=0.01, betas=(0.5, 0.99), eps=1e-3)
    adam.steps = int(rng.integers(1, 9))
    return thetas, gradients, slots, adam


def _averages(rng):
    thetas = _tensors(rng)
    return [rng.standard_normal(theta.shape) for theta in thetas], thetas, float(rng.random())


CASES = {
    "add_channels": _channels,
    "average_all": _averages,
    "bce_with_logits": _score_and_target,
    "dropout": _dropout,
    "dropout_backward": _dropout_backward,
    "l1": _score_and_target,
    "leaky_relu": _leaky,
    "leaky_relu_backward": _leaky_backward,
    "moments": _grouped,
    "move_running": _running,
    "mse": _score_and_target,
    "normalize": _normalize,
    "normalize_backward": _normalize_backward,
    "normalize_sums": _sums,
    "reflection_pad": _reflection,
    "reflection_pad_backward": _reflection_backward,
    "relu": _elements,
    "relu_backward": _elements_and_gradient,
    "sigmoid": _elements,
    "sigmoid_backward": _elements_and_gradient,
    "sum_channels": _elements,
    "tanh": _elements,
    "tanh_backward": _elements_and_gradient,
    "update_all": _adam,
    "upsample": _upsample,
    "upsample_backward": _upsample_backward,
}
WRITES = {"add_channels": (0,), "average_all": (0,), "move_running": (0, 1), "update_all": (0, 2)}
"""Which arguments a version may write to; all others are read-only in the tests."""


# --- the contract ---------------------------------------------------------------------------------


def test_every_override_has_a_case_and_a_plain_function():
    missing = [o.name for o in overrides() if o.name not in CASES or o.plain is None]
    assert not missing, f"add a case for each to CASES: {missing}"


def _version(name, library):
    return next(o for o in overrides() if (o.name, o.library) == (name, library))


def _each(value, change):
    """Return `value` with ``change(array)`` for every array in it, at any depth."""
    if isinstance(value, (tuple, list)):
        return type(value)(_each(item, change) for item in value)
    return change(value) if hasattr(value, "dtype") else value


def _laid_out(array, layout):
    """Return a read-only copy of `array` in another memory layout."""
    if layout == "strided":
        copy = np.repeat(array, 2, axis=-1)[..., ::2]
    elif layout == "transposed":
        copy = np.array(array.T, order="C").T
    elif layout == "backwards":
        copy = np.array(array[::-1], order="C")[::-1]
    else:
        copy = array.copy()
    copy.flags.writeable = False
    return copy


def _given(name, arguments, library, layout, dtype):
    """Return the case's arguments as a version gets them."""

    def give(array, writable=False):
        if array.dtype.kind == "f":
            array = array.astype(dtype)
        if library == "cupy":
            return asarray(array if writable else np.array(_laid_out(array, layout)), "cupy")
        return array.copy() if writable else _laid_out(array, layout)

    writes = WRITES.get(name, ())
    return [
        _each(argument, lambda array, i=i: give(array, i in writes))
        for i, argument in enumerate(arguments)
    ]


def _results(name, function, arguments):
    """Return what `function` returns and what it wrote, in one flat list on the host."""
    returned = function(*arguments)
    found = []
    if name == "normalize_sums":
        returned = returned[:2]  # a third is nobody's business but `normalize_backward`'s
    _each((returned, tuple(arguments[i] for i in WRITES.get(name, ())[name == "add_channels" :])),
          lambda array: found.append(asnumpy(array)))  # fmt: skip
    return found


def _assert_close(found, expected, dtype):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == (dtype if b.dtype.kind == "f" else b.dtype)
        assert a.shape == b.shape
        assert abs(a - 1.0 * b).max(initial=0) <= TOLERANCE[dtype] * max(1, abs(b).max(initial=0))


@every_override
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(12 if os.environ.get("TINYGAN_LONG") else 2))
def test_a_fast_version_gives_what_the_plain_function_gives(
    request, monkeypatch, name, library, dtype, seed
):
    if library == "cupy":
        request.getfixturevalue("cupy_with_kernels")
        monkeypatch.setattr("tinygan.fast.cuda.loss._BLOCKS", 7)  # so that blocks come round again
    elif seed % 2:  # several slices, of sizes that divide nothing
        for module in [m for n, m in sys.modules.items() if n.startswith("tinygan.fast.cpu.")]:
            if hasattr(module, "SLICE"):
                monkeypatch.setattr(module, "SLICE", 500)
    version = _version(name, library)
    drawn = CASES[name](np.random.default_rng(seed))
    rounded = _each(drawn, lambda a: a.astype(dtype) if a.dtype.kind == "f" else a)
    exact = _each(rounded, lambda a: a.astype(np.float64) if a.dtype.kind == "f" else a.copy())
    expected = _results(name, version.plain, list(exact))
    for layout in LAYOUTS if library == "numpy" else LAYOUTS[:1]:
        arguments = _given(name, rounded, library, layout, dtype)
        assert version.usable(*arguments)
        _assert_close(_results(name, version.function, arguments), expected, dtype)
        # the plain function itself, on the same arrays
        arguments = _given(name, rounded, library, layout, dtype)
        _assert_close(_results(name, version.plain, arguments), expected, dtype)


@every_override
def test_a_call_runs_the_fast_version_and_within_plain_the_plain_one(
    request, monkeypatch, name, library
):
    if library == "cupy":
        request.getfixturevalue("cupy_with_kernels")
    version, ran = _version(name, library), []
    replaced = (lambda *a, **k: ran.append(1)), version.usable
    monkeypatch.setitem(tinygan.fast.dispatch._versions[name], library, replaced)
    function = next(
        getattr(module, name)
        for module_name, module in list(sys.modules.items())
        if module_name.startswith("tinygan.")
        and getattr(getattr(module, name, None), "plain", None) is version.plain
    )
    for mode in (tinygan.plain(), tinygan.plain(convolution="naive")):
        with mode:
            function(*_given(name, CASES[name](np.random.default_rng(0)), library, "whole", float))
    assert not ran
    function(*_given(name, CASES[name](np.random.default_rng(0)), library, "whole", float))
    assert ran == [1]


@every_override
def test_what_a_version_cannot_take_runs_on_the_plain_function(request, name, library):
    """Gaps in device memory, whole numbers, arrays of two dtypes, and of none."""
    if library == "cupy":
        request.getfixturevalue("cupy_with_kernels")
    version = _version(name, library)
    drawn = CASES[name](np.random.default_rng(1))
    half = _given(name, drawn, library, "whole", np.float16)
    assert not version.usable(*half)


@pytest.mark.parametrize("slope", [0.0, 0.2, 1.5])
def test_the_kept_gradient_saves_work_and_changes_nothing(slope):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 3, 400, 5))
    _, cache = normalize(x, *moments(x), rng.standard_normal(5), None, 1e-5, slope)
    *sums, du = normalize_sums(dy, cache)
    *again, nothing = normalize_sums(dy, cache, keep=False)
    assert nothing is None
    assert all((a == b).all() for a, b in zip(sums, again, strict=True))
    backward = tinygan.layers.norm.normalize_backward
    without = backward(dy, cache, *sums)
    assert du is not None
    np.testing.assert_array_equal(without, backward(dy, cache, *sums, du))


@pytest.mark.parametrize("library", ["numpy", "cupy"])
def test_what_is_not_a_number_stays(request, library):
    if library == "cupy":
        request.getfixturevalue("cupy_with_kernels")
    x = asarray(np.array([np.nan, -np.inf, np.inf, -1e30], np.float32), library)
    layers = tinygan.layers.activation
    assert np.isnan(asnumpy(layers.relu(x)[0])[0])
    assert asnumpy(layers.relu(x)[0])[1:].tolist() == [0, np.inf, 0]
    assert np.isnan(asnumpy(layers.leaky_relu(x, 0.2)[0])[0])
    assert asnumpy(layers.sigmoid(x)[0])[1:].tolist() == [0, 1, 0]
    grouped = x.reshape(1, 4, 1)
    mean, var = (asarray(np.full((1, 1), v, np.float32), library) for v in (0, 1))
    for slope in (0, 0.5):
        y = asnumpy(normalize(grouped, mean, var, None, None, 0.0, slope)[0]).ravel()
        assert np.isnan(y[0])
        assert y[1:3].tolist() == [-np.inf if slope else 0, np.inf]
