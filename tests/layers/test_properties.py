"""Every layer and loss against plain loops, on shapes, strides, types and layouts drawn at random.

200 examples in all; with ``TINYGAN_LONG=1`` more than 5,000.  Where PyTorch is installed the
convolutions are compared with it, too.
"""

import importlib.util
import math
import os

import loops
import numpy as np
import pytest

import tinygan
from tinygan import losses

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

EXAMPLES = 260 if os.environ.get("TINYGAN_LONG") else 10
settings.register_profile(
    "tinygan",
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("tinygan")
pytestmark = pytest.mark.timeout(7200)
TORCH = importlib.util.find_spec("torch") is not None

sizes = st.integers(1, 7)
channels = st.integers(1, 5)
batches = st.integers(0, 3)
pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
few = st.tuples(st.integers(0, 2), st.integers(0, 2))
dtypes = st.sampled_from([np.float32, np.float64])
scales = st.sampled_from([1.0, 1.0, 1.0, 1e-6, 1e6, 0.0])
layouts = st.sampled_from(["C", "F", "strided", "negative", "moved", "read-only", "sliced"])
seeds = st.integers(0, 2**32 - 1)


def laid_out(array, layout):
    """Return the same numbers in another memory layout."""
    if layout == "F":
        return np.asfortranarray(array)
    if layout == "strided":
        wide = np.full((*array.shape, 2), np.nan, array.dtype)
        wide[..., 0] = array
        return wide[..., 0]
    if layout == "negative":
        flip = (slice(None, None, -1),) * array.ndim
        return np.ascontiguousarray(array[flip])[flip]
    if layout == "moved":
        axes = tuple(reversed(range(array.ndim)))
        return np.ascontiguousarray(array.transpose(axes)).transpose(axes)
    if layout == "sliced":
        around = np.full([n + 2 for n in array.shape], np.nan, array.dtype)
        inside = (slice(1, -1),) * array.ndim
        around[inside] = array
        return around[inside]
    array = np.array(array)
    array.flags.writeable = layout != "read-only"
    return array


def numbers(seed, shape, dtype, scale=1.0):
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def near(got, wanted, dtype, what, size):
    """Compare with a tolerance that grows with the numbers that were added up."""
    assert got.dtype == dtype, what
    assert got.shape == wanted.shape, (what, got.shape, wanted.shape)
    eps = float(np.finfo(dtype).eps)
    limit = 200 * eps * max(size, float(np.abs(wanted).max(initial=0))) + np.finfo(dtype).tiny
    off = float(np.abs(got.astype(np.float64) - wanted).max(initial=0))
    assert off <= limit, (what, off, limit)


def compare(layer, x, layout, reference, seed, work=1.0):
    """Compare a layer's output and all its gradients with a reference on the same numbers."""
    dtype = x.dtype
    layer.to(dtype=dtype)
    exact = x.astype(np.float64)
    given_x = laid_out(x, layout)
    before = given_x.copy()
    y, backward = layer(given_x)
    wanted, wanted_backward = reference(exact, layer)
    size = work * float(np.abs(exact).max(initial=0))
    near(y, wanted, dtype, "y", size)
    dy = numbers(seed + 1, y.shape, dtype)
    dx = backward(laid_out(dy, layout))
    wanted_dx, gradients = wanted_backward(dy.astype(np.float64))
    near(dx, wanted_dx, dtype, "dx", work * float(np.abs(dy).max(initial=0)))
    reach = size * float(np.abs(dy).max(initial=0)) * max(1, y.size)
    for name, parameter in layer.named_parameters().items():
        near(parameter.grad, gradients[name], dtype, name, reach)
    np.testing.assert_array_equal(given_x, before)


def data(layer):
    """Return the parameters in float64, None where there is none."""
    found = (getattr(layer, name, None) for name in ("weight", "bias"))
    return [None if p is None else p.data.astype(np.float64) for p in found]


# --- layers with weights ----------------------------------------------------------------------


@given(batches, sizes, sizes, channels, channels, pairs, pairs, few, st.booleans(), dtypes, scales,
       layouts, seeds)  # fmt: skip
def test_convolution(n, h, w, inside, outside, kernel, stride, padding, bias, dtype, scale, layout,
                     seed):  # fmt: skip
    h, w = (max(s, k - 2 * p) for s, k, p in zip((h, w), kernel, padding, strict=True))
    layer = tinygan.Conv2d(inside, outside, kernel, stride, padding, bias, rng=seed)
    x = numbers(seed, (n, h, w, inside), dtype, scale)
    compare(layer, x, layout, lambda x, it: loops.conv(x, *data(it), stride, padding), seed)


@given(batches, sizes, sizes, channels, channels, pairs, pairs, few, few, st.booleans(), dtypes,
       scales, layouts, seeds)  # fmt: skip
def test_transposed_convolution(n, h, w, inside, outside, kernel, stride, padding, extra, bias,
                                dtype, scale, layout, seed):  # fmt: skip
    extra = tuple(min(e, s - 1) for e, s in zip(extra, stride, strict=True))
    padding = tuple(min(p, k - 1) for p, k in zip(padding, kernel, strict=True))
    sizes = zip((h, w), stride, padding, kernel, extra, strict=True)
    hypothesis.assume(all((s - 1) * st - 2 * p + k + e > 0 for s, st, p, k, e in sizes))
    layer = tinygan.ConvTranspose2d(inside, outside, kernel, stride, padding, extra, bias, rng=seed)
    x = numbers(seed, (n, h, w, inside), dtype, scale)

    def reference(x, it):
        return loops.conv_transpose(x, *data(it), stride, padding, extra)

    compare(layer, x, layout, reference, seed)


@given(batches, st.sampled_from([(3, 1), (4, 2), (4, 1)]), st.integers(4, 20), st.integers(4, 20),
       st.integers(1, 20), st.integers(1, 20), st.integers(0, 2), dtypes, layouts,
       seeds)  # fmt: skip
def test_fast_convolutions(n, form, h, w, inside, outside, padding, dtype, layout, seed):
    """The forms with fewer multiplications round more, so they are compared a little wider."""
    kernel, stride = form
    layer = tinygan.Conv2d(inside, outside, kernel, stride, padding, rng=seed)
    x = numbers(seed, (n, h, w, inside), dtype)

    def reference(x, it):
        return loops.conv(x, *data(it), (stride, stride), (padding, padding))

    with tinygan.convolution.using_algorithm("winograd"):
        compare(layer, x, layout, reference, seed, work=20)


@given(batches, st.lists(sizes, max_size=2), channels, channels, st.booleans(), dtypes, scales,
       layouts, seeds)  # fmt: skip
def test_linear(n, between, inside, outside, bias, dtype, scale, layout, seed):
    layer = tinygan.Linear(inside, outside, bias, rng=seed)
    x = numbers(seed, (n, *between, inside), dtype, scale)
    compare(layer, x, layout, lambda x, it: loops.linear(x, *data(it)), seed)


@given(st.sampled_from(["batch", "instance", "group"]), st.integers(1, 3), sizes, sizes,
       st.integers(1, 3), st.integers(1, 3), st.booleans(), dtypes, layouts, seeds,
       st.sampled_from([0.0, 3.0, 100.0]), st.sampled_from([1e-5, 1e-2, 1.0]))  # fmt: skip
def test_normalizations(kind, n, h, w, groups, each, affine, dtype, layout, seed, mean, eps):
    count = groups * each
    words = {"eps": eps, "affine": affine, "weight_std": 0.3, "rng": seed}
    alone = {"batch": n * h * w, "instance": h * w, "group": h * w * each}[kind] < 2
    if kind == "group":
        layer = tinygan.GroupNorm(groups, count, **words)
    else:
        cls = tinygan.BatchNorm2d if kind == "batch" else tinygan.InstanceNorm2d
        layer = cls(count, **words)
    x = numbers(seed, (n, h, w, count), dtype) + dtype(mean)

    def groups_of(shape):
        i, _, _, c = np.indices(shape)
        return {"batch": c, "instance": i * count + c, "group": i * groups + c // each}[kind]

    if alone:
        with pytest.raises(ValueError, match="more than one value"):
            layer.to(dtype=dtype)(x)
        return
    # close values are magnified by 1/√(variance + eps): what is lost in the mean counts so often
    near_one = math.sqrt(1 / eps) * (1 + mean) * 5
    compare(
        layer, x, layout, lambda x, it: loops.norm(x, *data(it), eps, groups_of), seed, near_one**2
    )


@given(batches, sizes, sizes, channels, st.booleans(), dtypes, scales, layouts, seeds)
def test_learnt_slopes(n, h, w, count, each, dtype, scale, layout, seed):
    layer = tinygan.PReLU(count if each else 1, 0.3)
    x = numbers(seed, (n, h, w, count), dtype, scale)

    def reference(x, it):
        a = np.broadcast_to(data(it)[0], x.shape[-1:])

        def backward(dy):
            da = np.zeros(x.shape[-1])
            for at in np.ndindex(x.shape):
                da[at[-1]] += 0 if x[at] > 0 else x[at] * dy[at]
            da = da if layer.channels > 1 else da.sum(keepdims=True)
            return np.where(x > 0, dy, a * dy), {"weight": da}

        return np.where(x > 0, x, a * x), backward

    compare(layer, x, layout, reference, seed)


# --- layers without -----------------------------------------------------------------------------


@given(st.booleans(), batches, sizes, sizes, channels, pairs, pairs, few, dtypes, layouts, seeds)
def test_pooling(largest, n, h, w, count, kernel, stride, padding, dtype, layout, seed):
    padding = tuple(min(p, k // 2) for p, k in zip(padding, kernel, strict=True))
    h, w = (max(s, k) for s, k in zip((h, w), kernel, strict=True))
    layer = (tinygan.MaxPool2d if largest else tinygan.AvgPool2d)(kernel, stride, padding)
    # few different numbers, so that several are the largest
    x = np.round(numbers(seed, (n, h, w, count), dtype))
    compare(layer, x, layout, lambda x, _: loops.pool(x, kernel, stride, padding, largest), seed)


@given(batches, sizes, sizes, channels, few, dtypes, layouts, seeds)
def test_reflection_padding(n, h, w, count, padding, dtype, layout, seed):
    h, w = max(h, padding[0] + 1), max(w, padding[1] + 1)

    def reference(x, _):
        def source(at):
            i, a, b, c = at
            return (
                i,
                loops.reflected(a - padding[0], h),
                loops.reflected(b - padding[1], w),
                c,
            )

        return loops.moved(x, (n, h + 2 * padding[0], w + 2 * padding[1], count), source)

    x = numbers(seed, (n, h, w, count), dtype)
    compare(tinygan.ReflectionPad2d(padding), x, layout, reference, seed)


@given(batches, sizes, sizes, channels, pairs, dtypes, layouts, seeds)
def test_upsampling(n, h, w, count, scale, dtype, layout, seed):
    def reference(x, _):
        shape, (sh, sw) = (n, h * scale[0], w * scale[1], count), scale
        return loops.moved(x, shape, lambda at: (at[0], at[1] // sh, at[2] // sw, at[3]))

    x = numbers(seed, (n, h, w, count), dtype)
    compare(tinygan.Upsample(scale), x, layout, reference, seed)


@given(batches, sizes, sizes, channels, st.integers(1, 3), dtypes, layouts, seeds)
def test_pixel_shuffle(n, h, w, count, r, dtype, layout, seed):
    def reference(x, _):
        def source(at):
            i, a, b, c = at
            return i, a // r, b // r, c * r * r + (a % r) * r + b % r

        return loops.moved(x, (n, h * r, w * r, count), source)

    x = numbers(seed, (n, h, w, count * r * r), dtype)
    compare(tinygan.PixelShuffle(r), x, layout, reference, seed)


@given(batches, sizes, sizes, channels, dtypes, layouts, seeds)
def test_reshaping(n, h, w, count, dtype, layout, seed):
    x = numbers(seed, (n, h, w, count), dtype)
    for layer in (tinygan.Flatten(), tinygan.Reshape(count, h, w), tinygan.Reshape(h * w * count)):
        y, backward = layer(laid_out(x, layout))
        np.testing.assert_array_equal(y.ravel(), x.ravel())
        dy = numbers(seed + 1, y.shape, dtype)
        dx = backward(laid_out(dy, layout))
        assert dx.shape == x.shape
        np.testing.assert_array_equal(dx.ravel(), dy.ravel())


ACTIVATIONS = {
    "relu": (tinygan.ReLU(), lambda v: max(v, 0.0), lambda v: float(v > 0)),
    "leaky": (
        tinygan.LeakyReLU(0.25),
        lambda v: v if v > 0 else 0.25 * v,
        lambda v: 1.0 if v > 0 else 0.25,
    ),
    "tanh": (tinygan.Tanh(), math.tanh, lambda v: 1 - math.tanh(v) ** 2),
    "sigmoid": (
        tinygan.Sigmoid(),
        loops.logistic,
        lambda v: loops.logistic(v) * loops.logistic(-v),
    ),
}
extremes = st.sampled_from([0.0, -0.0, 1e-38, -1e-38, 1e38, -1e38, 700.0, -700.0, 1e-8, 88.8])


@given(st.sampled_from(sorted(ACTIVATIONS)), batches, sizes, sizes, channels, dtypes, scales,
       layouts, seeds, st.lists(extremes, max_size=3))  # fmt: skip
def test_activations(name, n, h, w, count, dtype, scale, layout, seed, strange):
    layer, function, slope = ACTIVATIONS[name]
    x = numbers(seed, (n, h, w, count), dtype, scale)
    x.ravel()[: len(strange)] = strange[: x.size]
    exact = x.astype(np.float64)
    y, backward = layer(laid_out(x, layout))
    wanted, wanted_backward = loops.pointwise(exact, function, slope)
    eps = 8 * float(np.finfo(dtype).eps)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, wanted, rtol=eps, atol=eps)
    dy = numbers(seed + 1, y.shape, dtype)
    dx = backward(laid_out(dy, layout))
    assert dx.dtype == dtype
    np.testing.assert_allclose(
        dx, wanted_backward(dy.astype(np.float64))[0], rtol=eps, atol=8 * eps
    )


@given(st.sampled_from(["relu", "leaky", "tanh", "sigmoid"]), sizes, dtypes, seeds)
def test_nan_and_infinity_are_not_hidden(name, size, dtype, seed):
    layer = ACTIVATIONS[name][0]
    x = numbers(seed, (size + 3,), dtype)
    x[:3] = np.nan, np.inf, -np.inf
    y, _ = layer(x)
    assert np.isnan(y[0])
    limits = {"relu": (np.inf, 0), "leaky": (np.inf, -np.inf), "tanh": (1, -1), "sigmoid": (1, 0)}
    assert tuple(y[1:3]) == limits[name]


@given(batches, sizes, sizes, channels, st.floats(0, 0.99), dtypes, layouts, seeds)
def test_dropout(n, h, w, count, p, dtype, layout, seed):
    layer = tinygan.Dropout(p, rng=seed)
    x = numbers(seed, (n, h, w, count), dtype)
    y, backward = layer(laid_out(x, layout))
    kept = y != 0
    wanted = np.where(kept, x.astype(np.float64) / (1 - p), 0)
    near(y, wanted, dtype, "y", 1.0)
    dy = numbers(seed + 1, y.shape, dtype)
    dx = backward(laid_out(dy, layout))
    near(dx, np.where(kept, dy.astype(np.float64) / (1 - p), 0), dtype, "dx", 1.0)


@given(st.sampled_from(["color", "translation", "cutout", "noise"]), batches, sizes, sizes,
       st.sampled_from([1, 3]), dtypes, layouts, seeds)  # fmt: skip
def test_what_augments_is_the_adjoint_of_its_change(kind, n, h, w, count, dtype, layout, seed):
    """⟨f(x + v) − f(x), dy⟩ = ⟨v, dx⟩ for one state of the random numbers: all four are affine."""
    made = {
        "color": tinygan.RandomColor,
        "translation": tinygan.RandomTranslation,
        "cutout": tinygan.RandomCutout,
        "noise": tinygan.GaussianNoise,
    }[kind]
    x, v = (numbers(seed + i, (n, h, w, count), dtype) for i in (0, 2))
    y, backward = made(rng=seed)(laid_out(x, layout))
    z, _ = made(rng=seed)(laid_out(x + v, layout))
    assert y.dtype == dtype
    dy = numbers(seed + 1, y.shape, dtype)
    dx = backward(laid_out(dy, layout))
    assert dx.dtype == dtype
    left = float(((z.astype(np.float64) - y) * dy).sum())
    right = float((v.astype(np.float64) * dx).sum())
    assert abs(left - right) <= 300 * np.finfo(dtype).eps * (1 + x.size)


# --- losses -------------------------------------------------------------------------------------

TARGETS = {"bce", "bce_with_logits", "mse", "l1", "hinge"}


@given(st.sampled_from(sorted(loops.LOSSES)), st.lists(st.integers(1, 4), max_size=4), dtypes,
       layouts, seeds, st.sampled_from([0.0, 1.0, 0.9, 0.5]),
       st.sampled_from(["number", "array", "other dtype", "0-d", "numpy number"]),
       st.sampled_from([1e-3, 1.0, 30.0, 1e4]))  # fmt: skip
def test_losses(name, shape, dtype, layout, seed, t, kind, scale):
    function = getattr(losses, name)
    p = numbers(seed, tuple(shape), dtype, scale)
    if name == "bce":
        p = (np.random.default_rng(seed).random(tuple(shape)) * 0.98 + 0.01).astype(dtype)
    p = np.asarray(p, dtype)
    if name == "hinge":
        t = 2 * t - 1
        p = np.where(abs(1 - t * p.astype(np.float64)) < 1e-3, p + dtype(0.1), p).astype(dtype)
    array = np.random.default_rng(seed + 7).choice([t, 1.0], p.shape)
    target = {
        "number": t,
        "array": array.astype(dtype),
        "other dtype": array.astype(np.float16 if dtype == np.float64 else np.float64),
        "0-d": np.array(t),
        "numpy number": np.float64(t),
    }[kind]
    told = np.asarray(target, dtype).astype(np.float64)
    words = (laid_out(p, layout) if p.ndim else p, target) if name in TARGETS else (p,)
    loss, gradient = function(*words)
    wanted, slope = loops.mean_loss(p.astype(np.float64), told, loops.LOSSES[name])
    eps = float(np.finfo(dtype).eps)
    assert loss.dtype == gradient.dtype == dtype
    assert gradient.shape == p.shape
    biggest = float(np.abs(p).max(initial=1))
    reach = biggest**2 if name == "mse" else 200 if name == "bce" else biggest
    assert abs(float(loss) - wanted) <= 100 * eps * (1 + reach)
    reach = 2e4 if name == "bce" else 1 + biggest
    np.testing.assert_allclose(gradient, slope, rtol=100 * eps, atol=20 * eps * reach / p.size)


@given(st.sampled_from(sorted(loops.LOSSES)), st.sampled_from([(0,), (0, 3), (2, 0, 4)]), dtypes)
def test_losses_refuse_empty_batches(name, shape, dtype):
    words = (np.zeros(shape, dtype), 1.0)[: 2 if name in TARGETS else 1]
    with pytest.raises(ValueError, match="at least one prediction"):
        getattr(losses, name)(*words)


@given(st.sampled_from([1e4, -1e4, 1e30, -1e30, 3e38, -3e38]), st.sampled_from([0.0, 1.0, 0.9]))
def test_scores_of_any_size_have_a_finite_gradient(score, t):
    for name in ("bce_with_logits", "minimax", "non_saturating", "hinge"):
        words = (np.full((2, 3), score, np.float32), t)[: 2 if name in TARGETS else 1]
        loss, gradient = getattr(losses, name)(*words)
        assert np.isfinite(gradient).all(), name
        assert not np.isnan(loss), name


# --- what else an array can be ----------------------------------------------------------------


def every_layer(count, seed):
    return [
        tinygan.Conv2d(count, 2, 3, 1, 1, rng=seed),
        tinygan.ConvTranspose2d(count, 2, 4, 2, 1, rng=seed),
        tinygan.Linear(count, 3, rng=seed),
        tinygan.BatchNorm2d(count),
        tinygan.InstanceNorm2d(count),
        tinygan.GroupNorm(1, count),
        tinygan.PReLU(),
        *(tinygan.ReLU(), tinygan.LeakyReLU(), tinygan.Tanh(), tinygan.Sigmoid()),
        *(tinygan.MaxPool2d(2), tinygan.AvgPool2d(2), tinygan.Upsample(2)),
        *(tinygan.ReflectionPad2d(1), tinygan.PixelShuffle(1), tinygan.Flatten()),
        *(tinygan.Dropout(0.5, rng=seed), tinygan.GaussianNoise(0.1, rng=seed)),
        *(tinygan.RandomColor(rng=seed), tinygan.RandomCutout(rng=seed)),
        tinygan.RandomTranslation(rng=seed),
    ]


@given(st.sampled_from([">f4", ">f8", "f2", "longdouble", "i4", "u1", "c8", "O", "?"]),
       st.integers(1, 2), st.integers(2, 5), channels, seeds)  # fmt: skip
def test_other_types_are_right_or_refused_by_name(dtype, n, size, count, seed):
    """Bytes in the other order, half precision, integers: what is computed is right."""
    x = numbers(seed, (n, size, size, count), np.float32)
    strange = x.astype(dtype)
    exact = strange.astype(np.float64) if dtype != "c8" else x.astype(np.float64)
    for layer, double in zip(every_layer(count, seed), every_layer(count, seed), strict=True):
        try:
            y, backward = layer(strange)
            dx = backward(np.ones_like(y))
        except TypeError as error:
            assert "expected" in str(error), layer  # noqa: PT017
            continue
        z, double_backward = double.to(dtype=np.float64)(exact)
        wide = 0.05 if dtype == "f2" else 1e-5
        same = {"rtol": wide, "atol": wide, "err_msg": f"{layer}, {dtype}"}
        np.testing.assert_allclose(y.astype(np.float64), z, **same)
        np.testing.assert_allclose(dx.astype(np.float64), double_backward(np.ones_like(z)), **same)


@given(st.integers(2, 5), channels, dtypes, seeds)
def test_empty_batches(size, count, dtype, seed):
    """Nothing in, nothing out, and no gradient; what normalizes over the batch says it cannot."""
    for layer in every_layer(count, seed):
        layer.to(dtype=dtype)
        x = np.zeros((0, size, size, count), dtype)
        if isinstance(layer, tinygan.BatchNorm2d):
            with pytest.raises(ValueError, match="more than one value"):
                layer(x)
            continue
        y, backward = layer(x)
        assert len(y) == 0
        assert backward(np.zeros(y.shape, dtype)).shape == x.shape
        assert not any(p.grad.any() for p in layer.parameters()), layer
        assert len(layer.predict(x)) == 0


@pytest.mark.skipif(not TORCH, reason="PyTorch is not installed")
@given(st.booleans(), st.integers(1, 3), st.integers(3, 12), st.integers(3, 12), channels, channels,
       pairs, pairs, few, few, layouts, seeds)  # fmt: skip
def test_convolutions_as_in_pytorch(transposed, n, h, w, inside, outside, kernel, stride, padding,
                                    extra, layout, seed):  # fmt: skip
    import torch

    padding = tuple(min(p, k - 1) for p, k in zip(padding, kernel, strict=True))
    h, w = (max(s, k) for s, k in zip((h, w), kernel, strict=True))
    x = numbers(seed, (n, h, w, inside), np.float64)
    theirs = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    if transposed:
        extra = tuple(min(e, s - 1) for e, s in zip(extra, stride, strict=True))
        layer = tinygan.ConvTranspose2d(inside, outside, kernel, stride, padding, extra, rng=seed)
        function, more = torch.nn.functional.conv_transpose2d, {"output_padding": extra}
    else:
        layer = tinygan.Conv2d(inside, outside, kernel, stride, padding, rng=seed)
        function, more = torch.nn.functional.conv2d, {}
    layer.to(dtype=np.float64)
    weight, bias = data(layer)
    tw = torch.tensor(weight.transpose(3, 2, 0, 1).copy(), requires_grad=True)
    tb = torch.tensor(bias, requires_grad=True)
    y, backward = layer(laid_out(x, layout))
    z = function(theirs, tw, tb, stride, padding, **more)
    np.testing.assert_allclose(y, z.detach().numpy().transpose(0, 2, 3, 1), rtol=0, atol=1e-10)
    dy = numbers(seed + 1, y.shape, np.float64)
    dx = backward(laid_out(dy, layout))
    z.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    for ours, grad, axes in (
        (dx, theirs.grad, (0, 2, 3, 1)),
        (layer.weight.grad, tw.grad, (2, 3, 1, 0)),
        (layer.bias.grad, tb.grad, (0,)),
    ):
        np.testing.assert_allclose(ours, grad.numpy().transpose(axes), rtol=0, atol=1e-9)
