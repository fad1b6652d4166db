"""Convolution: every algorithm against the loops, against PyTorch, and against its own adjoints."""

import numpy as np
import pytest

from tinygan import convolution, plain
from tinygan.convolution import (
    convolve,
    convolve_backward,
    convolve_grad_input,
    convolve_grad_weight,
    convolve_transposed_backward,
    output_size,
    tiles,
    using_algorithm,
    winograd,
)
from tinygan.convolution.toom_cook import transforms
from tinygan.machine import parallel

FAST = ("im2col", "winograd", "auto")

# (N, H, W, C, O, kernel, stride, padding)
SHAPES = {
    "3x3": (2, 8, 8, 3, 4, (3, 3), (1, 1), (1, 1)),
    "3x3 valid, odd": (1, 9, 7, 5, 2, (3, 3), (1, 1), (0, 0)),
    "3x3, tiles overhang": (3, 5, 11, 2, 3, (3, 3), (1, 1), (1, 1)),
    "3x3/2": (2, 9, 8, 3, 4, (3, 3), (2, 2), (1, 1)),
    "3x3/2, last row unseen": (1, 10, 8, 4, 2, (3, 3), (2, 2), (0, 0)),
    "4x4/2": (2, 8, 8, 3, 5, (4, 4), (2, 2), (1, 1)),
    "4x4/2, odd": (2, 11, 7, 3, 2, (4, 4), (2, 2), (1, 1)),
    "4x4/2, to one pixel": (5, 2, 2, 3, 4, (4, 4), (2, 2), (1, 1)),
    "4x4": (2, 7, 9, 3, 4, (4, 4), (1, 1), (1, 1)),
    "4x4 to 1x1": (6, 4, 4, 3, 1, (4, 4), (1, 1), (0, 0)),
    "5x5": (1, 16, 15, 16, 16, (5, 5), (1, 1), (2, 2)),
    "10x10/2": (1, 16, 16, 8, 8, (10, 10), (2, 2), (4, 4)),
    "5x5/2": (2, 8, 9, 2, 3, (5, 5), (2, 2), (2, 2)),
    "7x7": (1, 9, 10, 3, 4, (7, 7), (1, 1), (0, 0)),
    "7x7 padded": (1, 6, 7, 4, 3, (7, 7), (1, 1), (3, 3)),
    "1x1": (2, 4, 3, 5, 6, (1, 1), (1, 1), (0, 0)),
    "1x1/2": (2, 5, 4, 3, 2, (1, 1), (2, 2), (0, 0)),
    "uneven": (2, 9, 8, 3, 2, (3, 4), (2, 1), (0, 2)),
    "stride past the kernel": (1, 11, 10, 2, 3, (2, 3), (3, 4), (1, 0)),
    "padding past the kernel": (1, 3, 3, 2, 2, (2, 2), (1, 1), (3, 3)),
    "one channel each": (2, 6, 6, 1, 1, (3, 3), (1, 1), (1, 1)),
    # channels enough for products in blocks
    "3x3, blocks": (2, 9, 8, 64, 64, (3, 3), (1, 1), (1, 1)),
    "4x4/2, blocks": (3, 12, 8, 64, 128, (4, 4), (2, 2), (1, 1)),
    # large enough for several slices of rows, or of images
    "4x4/2, blocks, sliced": (4, 40, 40, 64, 64, (4, 4), (2, 2), (1, 1)),
    "4x4/2, sliced": (9, 32, 32, 16, 32, (4, 4), (2, 2), (1, 1)),
    "3x3, one sliced image": (1, 66, 35, 32, 24, (3, 3), (1, 1), (0, 0)),
    "4x4, one sliced image": (1, 31, 33, 16, 24, (4, 4), (1, 1), (1, 1)),
}


def draw(shape, dtype=np.float64, seed=0):
    """Return x, w, dy, stride, padding of a case, the arrays read-only."""
    N, H, W, C, O, kernel, stride, padding = shape
    rng = np.random.default_rng(seed)
    OH, OW = (output_size(*a) for a in zip((H, W), kernel, stride, padding, strict=True))
    arrays = [
        rng.standard_normal(s).astype(dtype)
        for s in ((N, H, W, C), (*kernel, C, O), (N, OH, OW, O))
    ]
    for array in arrays:
        array.flags.writeable = False
    return *arrays, stride, padding


def faces(x, w, dy, stride, padding, **how):
    """Return all three faces of one convolution."""
    return (
        convolve(x, w, stride, padding, **how),
        convolve_grad_input(dy, w, stride, padding, x.shape[1:3], **how),
        convolve_grad_weight(x, dy, stride, padding, w.shape[:2], **how),
    )


def assert_close(actual, expected, tolerance):
    for name, a, e in zip(("y", "dx", "dw"), actual, expected, strict=True):
        assert a.shape == e.shape, name
        assert np.abs(a - e).max() <= tolerance * np.abs(e).max(), name


@pytest.mark.parametrize("algorithm", FAST)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_equals_the_definition(shape, algorithm):
    case = draw(shape)
    expected = faces(*case, algorithm="naive")
    assert_close(faces(*case, algorithm=algorithm), expected, 1e-11)


@pytest.mark.parametrize("algorithm", ["naive", *FAST])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_gradients_are_the_transposes(shape, algorithm):
    x, w, dy, stride, padding = draw(shape, seed=1)
    y, dx, dw = faces(x, w, dy, stride, padding, algorithm=algorithm)
    form = np.vdot(y, dy)
    scale = np.linalg.norm(y) * np.linalg.norm(dy)
    assert abs(np.vdot(x, dx) - form) < 1e-12 * scale
    assert abs(np.vdot(w, dw) - form) < 1e-12 * scale


@pytest.mark.parametrize("chunk", [1 << 25, 1 << 12], ids=["a chunk", "chunks of few rows"])
@pytest.mark.parametrize("algorithm", ["naive", *FAST])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_two_faces_at_once(shape, algorithm, chunk, monkeypatch):
    monkeypatch.setattr(tiles, "CHUNK_BYTES", chunk)
    x, w, dy, stride, padding = draw(shape, seed=3)
    y, dx, dw = faces(x, w, dy, stride, padding, algorithm="naive")
    how = {"stride": stride, "padding": padding, "algorithm": algorithm}
    together = convolve_backward(x, w, dy, **how)
    transposed = convolve_transposed_backward(dy, w, x, **how)
    assert_close((y, *together), (y, dx, dw), 1e-11)
    assert_close((transposed[0], dx, transposed[1]), (y, dx, dw), 1e-11)


@pytest.mark.parametrize("name", ["3x3", "4x4/2, sliced", "7x7", "4x4 to 1x1"])
def test_two_faces_at_once_in_any_memory_layout(name):
    x, w, dy, stride, padding = draw(SHAPES[name], seed=4)
    expected = convolve_backward(x, w, dy, stride, padding)
    transposed = convolve_transposed_backward(dy, w, x, stride, padding)
    for spread in (np.asfortranarray, lambda a: np.repeat(a, 2, axis=3)[..., ::2]):
        X, W, DY = spread(x), spread(w), spread(dy)
        found = convolve_backward(X, W, DY, stride, padding)
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())
        for a, b in zip(
            convolve_transposed_backward(DY, W, X, stride, padding), transposed, strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-12 * np.abs(b).max())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_equals_torch(shape):
    torch = pytest.importorskip("torch")
    x, w, dy, stride, padding = draw(shape, seed=2)
    tx = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    tw = torch.tensor(w.transpose(3, 2, 0, 1).copy(), requires_grad=True)
    ty = torch.nn.functional.conv2d(tx, tw, stride=stride, padding=padding)
    ty.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    expected = (
        ty.detach().numpy().transpose(0, 2, 3, 1),
        tx.grad.numpy().transpose(0, 2, 3, 1),
        tw.grad.numpy().transpose(2, 3, 1, 0),
    )
    assert_close(faces(x, w, dy, stride, padding), expected, 1e-11)


@pytest.mark.parametrize("algorithm", ["naive", *FAST])
@pytest.mark.parametrize("name", ["3x3", "4x4/2", "4x4", "3x3/2", "7x7"])
def test_float32_stays_float32(name, algorithm):
    case = draw(SHAPES[name])
    expected = faces(*case, algorithm="naive")
    single = [a.astype(np.float32) for a in case[:3]]
    actual = faces(*single, *case[3:], algorithm=algorithm)
    assert [a.dtype for a in actual] == [np.float32] * 3
    assert_close(actual, expected, 1e-5)


@pytest.mark.parametrize("algorithm", FAST)
@pytest.mark.parametrize("name", ["3x3", "4x4/2, sliced", "4x4", "7x7", "4x4 to 1x1", "1x1"])
def test_any_memory_layout(name, algorithm):
    *arrays, stride, padding = draw(SHAPES[name])
    expected = faces(*arrays, stride, padding, algorithm=algorithm)
    planar = [np.asfortranarray(a) for a in arrays]
    assert_close(faces(*planar, stride, padding, algorithm=algorithm), expected, 1e-12)
    spread = [np.repeat(a, 2, axis=3)[..., ::2] for a in arrays]
    assert_close(faces(*spread, stride, padding, algorithm=algorithm), expected, 1e-12)
    backwards = [a[:, ::-1].copy()[:, ::-1] for a in arrays]
    assert_close(faces(*backwards, stride, padding, algorithm=algorithm), expected, 1e-12)


@pytest.mark.parametrize("algorithm", FAST)
@pytest.mark.parametrize("name", [name for name in SHAPES if "sliced" in name])
def test_same_bits_at_any_number_of_threads(name, algorithm):
    case = draw(SHAPES[name], np.float32)
    before = parallel.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            parallel.set_num_threads(threads)
            results.append(faces(*case, algorithm=algorithm))
    finally:
        parallel.set_num_threads(before)
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


# the layers of both papers at their own numbers of channels; few and small images
LAYERS = {
    "DCGAN 3 > 64": (2, 32, 32, 3, 64, (4, 4), (2, 2), (1, 1)),
    "DCGAN 64 > 128": (2, 32, 32, 64, 128, (4, 4), (2, 2), (1, 1)),
    "DCGAN 128 > 256": (2, 16, 16, 128, 256, (4, 4), (2, 2), (1, 1)),
    "DCGAN 256 > 512": (4, 8, 8, 256, 512, (4, 4), (2, 2), (1, 1)),
    "DCGAN 512 > 1": (4, 4, 4, 512, 1, (4, 4), (1, 1), (0, 0)),
    "DCGAN noise": (4, 4, 4, 512, 200, (4, 4), (1, 1), (0, 0)),
    "CycleGAN 7x7 in": (1, 38, 38, 3, 64, (7, 7), (1, 1), (0, 0)),
    "CycleGAN down": (1, 32, 32, 64, 128, (3, 3), (2, 2), (1, 1)),
    "CycleGAN residual": (1, 34, 34, 256, 256, (3, 3), (1, 1), (0, 0)),
    "CycleGAN 7x7 out": (1, 38, 38, 64, 3, (7, 7), (1, 1), (0, 0)),
    "PatchGAN 256 > 512": (1, 16, 16, 256, 512, (4, 4), (1, 1), (1, 1)),
    "PatchGAN 512 > 1": (1, 15, 15, 512, 1, (4, 4), (1, 1), (1, 1)),
}
INPUTS = {
    "zero mean": lambda a: a,
    "after ReLU": lambda a: np.maximum(a, 0),
    "mean 10": lambda a: a + 10,
}


@pytest.mark.parametrize("values", INPUTS.values(), ids=INPUTS.keys())
@pytest.mark.parametrize("name", LAYERS)
def test_float32_is_accurate_for_the_papers_layers(monkeypatch, name, values):
    x, w, dy, stride, padding = draw(LAYERS[name], np.float32)
    x, dy = values(x), values(dy)
    double = [a.astype(np.float64) for a in (x, w, dy)]
    expected = faces(*double, stride, padding, algorithm="im2col")
    assert_close(faces(x, w, dy, stride, padding), expected, 2e-5)
    for choose in (min, max):
        use_tiles(monkeypatch, choose)
        results = faces(x, w, dy, stride, padding, algorithm="winograd")
        assert_close(results, expected, 2e-5)


def test_auto_multiplies_less_where_that_pays():
    x, w, *_, stride, padding = draw(LAYERS["DCGAN 64 > 128"], np.float32)
    x = np.repeat(x, 8, axis=0)
    y = convolve(x, w, stride, padding)
    np.testing.assert_array_equal(y, convolve(x, w, stride, padding, algorithm="winograd"))
    assert np.abs(y - convolve(x, w, stride, padding, algorithm="im2col")).max() > 0
    assert not winograd.pays((1, 8, 8, 256), (4, 4, 256, 512), (2, 2), (1, 1))  # one tile


@pytest.mark.parametrize(("m", "r"), [(4, 2), (2, 2), (4, 3), (2, 3), (3, 4), (2, 5), (1, 1)])
def test_toom_cook_is_an_identity(m, r):
    """y_i = Σ_p A_pi (Σ_a G_pa w_a) (Σ_j B_jp d_j) for all d and w: coefficient by coefficient."""
    A, G, B = transforms(m, r)
    actual = np.einsum("pi,pa,jp->iaj", A, G, B)
    i, a, j = np.ogrid[:m, :r, : m + r - 1]
    np.testing.assert_allclose(actual, i + a == j, atol=1e-14)


def test_results_are_the_callers_own():
    case = draw(SHAPES["4x4/2"])
    first = faces(*case)
    kept = [a.copy() for a in first]
    faces(*draw(SHAPES["4x4/2"], seed=3))
    for a, b in zip(first, kept, strict=True):
        np.testing.assert_array_equal(a, b)
        assert a.flags.writeable
        assert a.flags.c_contiguous


def test_integers_for_pairs():
    x, w, *_ = draw(SHAPES["4x4/2"])
    np.testing.assert_array_equal(convolve(x, w, 2, 1), convolve(x, w, (2, 2), (1, 1)))


def test_plain_sets_what_auto_means(monkeypatch):
    x, w = np.ones((1, 5, 5, 2)), np.ones((3, 3, 2, 4))
    ran = []
    for module in (convolution.naive, convolution.im2col):
        name = module.__name__.rpartition(".")[2]
        monkeypatch.setattr(module, "convolve", lambda *a, name=name: ran.append(name))
    with using_algorithm("winograd"):
        for name in ("im2col", "naive"):
            with plain(convolution=name):
                convolve(x, w)
    assert ran == ["im2col", "naive"]


def test_using_algorithm_sets_what_auto_means(monkeypatch):
    from tinygan.convolution import naive

    x, w, *_ = draw(SHAPES["3x3"])
    monkeypatch.setattr(naive, "convolve", lambda *a: "the loops")
    with using_algorithm("naive"):
        assert convolve(x, w) == "the loops"
        with using_algorithm("im2col"):
            assert convolve(x, w).shape == (2, 6, 6, 4)
        assert convolve(x, w, algorithm="im2col").shape == (2, 6, 6, 4)
    assert convolve(x, w).shape == (2, 6, 6, 4)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        ("stride: expected .* got 2.0", lambda x, w: convolve(x, w, stride=2.0)),
        ("padding: expected .* got True", lambda x, w: convolve(x, w, padding=True)),
        ("algorithm: expected one of", lambda x, w: convolve(x, w, algorithm="fft")),
        ("algorithm: expected one of", lambda x, w: using_algorithm("fft").__enter__()),
        ("stride: expected", lambda x, w: convolve(x, w, stride=0)),
        ("padding: expected", lambda x, w: convolve(x, w, padding=(1, 1, 1))),
        ("padding: expected", lambda x, w: convolve(x, w, padding=0.5)),
        (r"expected w of shape \(KH, KW, 3, O\)", lambda x, w: convolve(x, w[:, :, :2])),
        (r"x of shape \(N, H, W, C\)", lambda x, w: convolve(x[0], w)),
        ("no smaller than the 3×3 kernel", lambda x, w: convolve(x[:, :2], w)),
        (
            r"expected dy of shape \(2, 6, 6, 4\), got \(2, 8, 8, 4\)",
            lambda x, w: convolve_grad_input(np.zeros((2, 8, 8, 4)), w, 1, 0, (8, 8)),
        ),
        ("expected dy of shape", lambda x, w: convolve_grad_weight(x, x, 1, 0, 3)),
    ],
)
def test_clear_errors(message, call):
    x, w, *_ = draw(SHAPES["3x3"])
    with pytest.raises(ValueError, match=message):
        call(x, w)


def use_tiles(monkeypatch, choose):
    """Choose among the sizes of tiles by `choose`, for every shape."""
    monkeypatch.setattr(
        winograd,
        "outputs",
        lambda x, w, stride, padding: choose(tiles.OUTPUTS[tiles.taps_of_phase(w, stride)]),
    )


def test_few_pixels_want_small_tiles():
    for w, stride, small, large in [((3, 3, 256, 256), (1, 1), 18, 34),
                                    ((4, 4, 128, 256), (2, 2), 8, 64)]:  # fmt: skip
        sizes = [winograd.outputs((1, n, n, w[2]), w, stride, (0, 0)) for n in (small, large)]
        assert sizes == [2, 4]


@pytest.mark.parametrize("choose", [min, max])
@pytest.mark.parametrize("name", ["4x4/2, sliced", "3x3, one sliced image", "4x4/2, odd", "4x4"])
def test_winograd_in_many_chunks_and_pieces(monkeypatch, name, choose):
    use_tiles(monkeypatch, choose)
    monkeypatch.setattr(tiles, "CHUNK_BYTES", 1 << 14)
    monkeypatch.setattr(tiles, "PIECE_BYTES", 1 << 10)
    monkeypatch.setattr(tiles, "BLOCK", 8)
    case = draw(SHAPES[name], seed=4)
    assert_close(faces(*case, algorithm="winograd"), faces(*case, algorithm="im2col"), 1e-11)


@pytest.mark.parametrize("dtype", [int, np.uint8, bool])
def test_whole_numbers_are_refused(dtype):
    x, w = np.ones((1, 4, 4, 2), dtype), np.ones((3, 3, 2, 2), dtype)
    for call in (
        lambda: convolve(x, w),
        lambda: convolve(x.astype(float), w),
        lambda: convolve_grad_input(x, w, 1, 1, (4, 4)),
        lambda: convolve_grad_weight(x, x, 1, 1, (3, 3)),
    ):
        with pytest.raises(TypeError, match="expected arrays of a floating-point dtype, got"):
            call()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_stamps_and_patches_give_the_same_gradient(shape, monkeypatch):
    x, w, dy, stride, padding = draw(shape)
    expected = convolution.naive.convolve_grad_input(dy, w, stride, padding, x.shape[1:3])
    for few_rows in (0, 1 << 30):
        monkeypatch.setattr(convolution.im2col, "_FEW_ROWS", few_rows)
        dx = convolution.im2col.convolve_grad_input(dy, w, stride, padding, x.shape[1:3])
        assert dx.flags.c_contiguous
        np.testing.assert_allclose(dx, expected, rtol=0, atol=1e-10)


def test_small_integers_through_few_channels_are_summed_exactly():
    """What a reader tries first: ones through kernels of ones."""
    for size in range(2, 40):
        x, w = np.ones((2, size, size, 1), np.float32), np.ones((4, 4, 1, 1), np.float32)
        y = convolve_grad_input(x, w, 2, 1, (2 * size, 2 * size))
        assert set(np.unique(y)) <= {1, 2, 4}
        assert set(np.unique(convolve(x, w[:3, :3], 1, 1))) <= {4, 6, 9}
