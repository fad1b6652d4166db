"""Measures that look at pictures: features, similarity, neighbours, attributes, translation."""

import sys
import types

import numpy as np
import pytest
from PIL import Image

from tinygan.data import ImageFolder, bags, faces
from tinygan.data.images import save_pictures
from tinygan.metrics import (
    AttributeProbe,
    OnnxFeatures,
    RandomFeatures,
    diversity,
    frechet_distance,
    kernel_distance,
    memorised,
    ms_ssim,
    nearest_neighbours,
    psnr,
    ssim,
    translation_error,
)
from tinygan.metrics._check import as_float
from tinygan.metrics._pyramid import blur
from tinygan.models import dcgan


@pytest.fixture(scope="module")
def pictures():
    return as_float(faces(800, 32, seed=3).images)


@pytest.fixture(scope="module")
def features():
    return RandomFeatures(32)


@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_random_features_rank_as_the_eye_does(pictures, features, distance):
    rng = np.random.default_rng(0)
    a, b = pictures[:400], pictures[400:]
    untrained = dcgan.generator(32, noise_size=16, width=8, rng=0)
    sets = {
        "other pictures": b,
        "a little noise": b + 0.1 * rng.standard_normal(b.shape).astype(np.float32),
        "blurred": blur(b, np.array([1, 2, 1], np.float32) / 4),
        "the mean picture, noisy": a.mean(axis=0) + 0.3 * rng.standard_normal(b.shape),
        "untrained": untrained.predict(dcgan.draw_noise(400, 16, 0)),
    }
    found = {name: distance(features(a), features(x)) for name, x in sets.items()}
    assert sorted(found, key=found.get) == list(sets)
    assert found["a little noise"] > 2 * found["other pictures"]


def test_random_features_notice_lost_variety(pictures, features):
    a, b = pictures[:400], pictures[400:]
    few = np.concatenate([b[:40]] * 10)
    whole, lost = (frechet_distance(features(a), features(x)) for x in (b, few))
    assert lost > 2 * whole


def test_random_features_are_the_same_every_time(pictures, features):
    again = RandomFeatures(32)(pictures[:70])
    assert np.array_equal(features(pictures[:70]), again)
    assert again.shape == (70, features.size)
    assert again.dtype == np.float32
    alone = features(pictures[5:6])[0]
    assert np.allclose(again[5], alone, atol=1e-4)


def test_random_features_take_bytes_and_grey(features):
    grey = faces(5, 32, channels=1).images
    assert np.allclose(features(grey), features(as_float(grey)), atol=1e-4)
    assert np.allclose(features(grey), features(np.repeat(grey, 3, axis=3)), atol=1e-4)
    with pytest.raises(ValueError, match="32×32 pixels, got 16×16"):
        features(faces(2, 16).images)
    with pytest.raises(ValueError, match="16 pixels or more"):
        RandomFeatures(8)


def test_another_seed_gives_other_features(pictures, features):
    other = RandomFeatures(32, seed=1)
    assert other.name != features.name
    one, two = features(pictures[:200])[:, 48:], other(pictures[:200])[:, 48:]  # behind thumbnails
    assert one.shape == two.shape
    same = [abs(np.corrcoef(a, b)[0, 1]) for a, b in zip(one.T, two.T, strict=True)]
    assert np.mean(same) < 0.5


def test_psnr_of_known_differences():
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (3, 7, 9, 3))
    apart = np.array([0.2, 0.02, 2.0]).reshape(3, 1, 1, 1)  # of a range of 2
    assert np.allclose(psnr(x, x + apart), [20, 40, 0], atol=1e-3)
    grey = np.full((1, 4, 4, 1), 100, np.uint8)
    assert np.allclose(psnr(grey, grey + 1), 20 * np.log10(255))
    assert psnr(grey, grey).tolist() == [np.inf]
    with pytest.raises(ValueError, match="as many pictures on both sides, got 3 and 1"):
        psnr(x, x[:1])


def test_psnr_prefers_a_blur_to_details_a_pixel_away():
    stripes = np.zeros((1, 16, 16, 1), np.float32)
    stripes[:, :, ::2] = 1
    moved, blurred = np.roll(stripes, 1, axis=2), np.full_like(stripes, 0.5)
    assert psnr(blurred, stripes) > psnr(moved, stripes) + 5


def naive_ssim(x, y):
    """The published formula, a window at a time, in float64."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2
    values = []
    for i in range(x.shape[0] - 10):
        for j in range(x.shape[1] - 10):
            a, b = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
            mu, nu = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - mu) ** 2).sum(), (window * (b - nu) ** 2).sum()
            cov = (window * (a - mu) * (b - nu)).sum()
            values.append(
                (2 * mu * nu + c1) * (2 * cov + c2) / ((mu**2 + nu**2 + c1) * (va + vb + c2))
            )
    return np.mean(values)


def test_ssim_is_the_published_formula(pictures):
    x, y = pictures[:3, :20, :17], pictures[3:6, :20, :17]
    expected = [
        np.mean([naive_ssim(a[..., c].astype(float), b[..., c].astype(float)) for c in range(3)])
        for a, b in zip(x, y, strict=True)
    ]
    assert np.allclose(ssim(x, y), expected, atol=1e-4)
    assert np.allclose(ssim(x, x), 1, atol=1e-5)


def test_ms_ssim_of_known_pictures(pictures):
    x = pictures[:4]
    assert np.allclose(ms_ssim(x, x), 1, atol=1e-5)
    assert np.allclose(ms_ssim(x, -x), 0)  # opposite structure everywhere
    # two constant pictures differ in the luminance term alone, which only the last scale has:
    # the weights of the two scales of 32 pixels are 0.0448 and 0.2856
    a, b = (np.full((1, 32, 32, 1), value, np.float32) for value in (0.2, 0.4))
    c1 = 0.02**2
    luminance = (2 * 0.08 + c1) / (0.04 + 0.16 + c1)
    assert ms_ssim(a, b)[0] == pytest.approx(luminance ** (0.2856 / 0.3304), rel=1e-4)


def test_diversity_of_collapsed_and_varied_sets(pictures):
    same = np.repeat(pictures[:1], 50, axis=0)
    varied, few = pictures[:200], np.concatenate([pictures[:3]] * 20)
    assert diversity(same, 50) == pytest.approx(0, abs=1e-5)
    assert diversity(few, 200) < 0.8 * diversity(varied, 200)
    with pytest.raises(ValueError, match="at least two"):
        diversity(pictures[:1])


def test_neighbours_are_those_of_a_plain_search(monkeypatch):
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((13, 5)).astype(np.float32)
    data = rng.standard_normal((200, 5)).astype(np.float32)
    distances = np.sqrt(((queries[:, None] - data) ** 2).mean(axis=2))
    order = np.argsort(distances, axis=1)[:, :3]
    for limit in (2**26, 2000):
        monkeypatch.setattr("tinygan.metrics.neighbours._BYTES", limit)
        found = nearest_neighbours(queries, data, 3)
        assert np.array_equal(found.indices, order)
        assert np.allclose(found.distances, np.take_along_axis(distances, order, axis=1))


def test_neighbours_of_pictures_and_of_exact_copies(pictures):
    data = faces(300, 16, seed=4).images
    found = nearest_neighbours(data[[7, 299]], data)
    assert found.indices[:, 0].tolist() == [7, 299]
    assert np.all(found.distances == 0)
    changed = data[[7]].copy()
    changed[0, 0, 0, 0] ^= 1
    found = nearest_neighbours(changed, data)
    assert found.indices[0, 0] == 7
    assert found.distances[0, 0] == pytest.approx(np.sqrt((1 / 127.5) ** 2 / (16 * 16 * 3)))
    with pytest.raises(ValueError, match="the same kind"):
        nearest_neighbours(pictures[:2], data)


def test_a_copying_machine_is_found_out():
    train, new, held_out = (faces(400, 16, seed=s).images for s in (5, 6, 7))
    limit = nearest_neighbours(held_out, train).distances
    copies = np.clip(train[:50].astype(int) + 2, 0, 255).astype(np.uint8)
    assert memorised(nearest_neighbours(copies, train).distances, limit) == 1
    assert memorised(nearest_neighbours(new, train).distances, limit) < 0.05


@pytest.fixture(scope="module")
def probe():
    return AttributeProbe(faces(1200, 32, seed=8), faces(500, 32, seed=9))


def test_the_probe_reads_attributes_it_has_not_seen(probe):
    drawn = faces(300, 32, seed=10)
    found = probe.classify(drawn.images)
    for name in ("background", "hair_style", "hair_colour", "glasses"):
        right = (found[name] == drawn.attributes[name]).mean()
        assert right > 0.8, name
        assert abs(right - probe.accuracy[name]) < 0.08, name
    for name in drawn.categories:  # and better than by always naming the most frequent kind
        most_frequent = np.bincount(drawn.attributes[name]).max() / 300
        assert probe.accuracy[name] > most_frequent + 0.03, name


def test_coverage_of_whole_and_of_one_sided_sets(probe):
    drawn = faces(1000, 32, seed=11)
    whole = probe.coverage(drawn.images)
    assert whole.recognised > 0.95
    assert whole.total > 0.95
    assert all(whole.distance(name) < 0.1 for name in drawn.categories)
    two = np.isin(drawn.attributes["background"], (0, 4))
    part = probe.coverage(drawn.images[two])
    assert part.covered("background")[0] <= 3  # a few are misread as a neighbouring colour
    assert part.distance("background") > 0.6
    assert part.covered("hair_style")[0] >= 7
    noise = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
    mean = np.repeat(drawn.images.mean(axis=0, keepdims=True), 40, axis=0).astype(np.uint8)
    for nothing in (noise, np.full_like(noise, 128), mean, drawn.images[:40, ::-1]):
        assert probe.coverage(nothing).recognised < 0.35
    assert probe.coverage(noise).total == 0


def test_error_of_true_wrong_and_missing_translations():
    handbags = bags(40, 32, start=500).images
    backpacks = bags(40, 32, domain="backpack", start=500).images
    right = translation_error(backpacks, backpacks)
    assert np.all(right.absolute == 0)
    assert np.allclose(right.structural, 0, atol=1e-5)
    shifted = translation_error(as_float(backpacks) + 0.25, as_float(backpacks))
    assert np.allclose(shifted.absolute, 0.25)
    other = translation_error(np.roll(backpacks, 1, axis=0), backpacks).absolute.mean()
    none = translation_error(handbags, backpacks).absolute.mean()
    assert other > 0
    assert none > 0
    with pytest.raises(ValueError, match="as many of each"):
        translation_error(backpacks[:3], backpacks)


def test_onnx_features_without_onnxruntime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ImportError, match=r"pip install 'tinygan\[onnx\]'"):
        OnnxFeatures("network.onnx")


@pytest.mark.parametrize(
    ("shape", "channels_first"), [(["n", 3, 20, 24], True), ([4, None, None, 3], False)]
)
def test_onnx_features_prepare_pictures(monkeypatch, tmp_path, shape, channels_first):
    """On a stand-in for a session: layout, size, range of values, a fixed batch size."""
    seen = []

    class Session:
        def __init__(self, path, providers):
            pass

        def get_inputs(self):
            return [types.SimpleNamespace(name="x", shape=shape)]

        def get_outputs(self):
            return []

        def run(self, outputs, inputs):
            seen.append(inputs["x"])
            return [inputs["x"].mean(axis=(2, 3) if channels_first else (1, 2))[:, :, None]]

    module = types.SimpleNamespace(InferenceSession=Session, get_available_providers=lambda: [])
    monkeypatch.setitem(sys.modules, "onnxruntime", module)
    path = tmp_path / "network.onnx"
    path.write_bytes(b"")
    images = faces(6, 16).images
    found = OnnxFeatures(path, values=(0, 1))(images)
    assert found.shape == (6, 3)
    assert np.allclose(found, images.mean(axis=(1, 2)) / 255, atol=0.01)
    if channels_first:
        assert seen[0].shape == (6, 3, 20, 24)
    else:
        assert [x.shape for x in seen] == [(4, 16, 16, 3)] * 2


def test_onnx_features_of_a_real_network(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["y"]),
        ],
        "colours",
        [helper.make_tensor_value_info("x", kind, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", kind, ["n", 3])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "colours.onnx")
    images = as_float(faces(40, 16).images)
    found = OnnxFeatures(tmp_path / "colours.onnx")(images)
    assert np.allclose(found, images.mean(axis=(1, 2)), atol=1e-5)
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="cannot be read as an ONNX network"):
        OnnxFeatures(tmp_path / "broken.onnx")
    with pytest.raises(ValueError, match="no such file"):
        OnnxFeatures(tmp_path / "missing.onnx")


@pytest.fixture
def small_network(tmp_path):
    """A network with two outputs, written as ONNX: convolution, ReLU, mean over the picture."""
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    w = np.random.default_rng(0).normal(size=(6, 3, 3, 3)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["c"], strides=[2, 2]),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("GlobalAveragePool", ["r"], ["pool"]),
            helper.make_node("GlobalMaxPool", ["r"], ["most"]),
        ],
        "small",
        [helper.make_tensor_value_info("x", kind, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info(o, kind, ["n", 6, 1, 1]) for o in ("most", "pool")],
        [onnx.numpy_helper.from_array(w, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "small.onnx")
    return tmp_path / "small.onnx"


def test_the_recipe_for_published_distances_on_a_small_network(small_network, tmp_path):
    """As the field's tools: PNG files → scaled, in the network's values → features → FID."""
    linalg = pytest.importorskip("scipy.linalg")
    import onnxruntime

    mean, std = (0.48, 0.45, 0.4), (0.22, 0.23, 0.24)
    session = onnxruntime.InferenceSession(small_network)
    moments, found = [], []
    for seed, name in enumerate(("data", "made")):
        save_pictures(faces(60, 16, seed=seed).images, tmp_path / name)
        rows = []
        for path in sorted((tmp_path / name).glob("*.png")):  # by the book, a picture at a time
            picture = Image.open(path).convert("RGB")
            planes = [Image.fromarray(np.asarray(picture, np.float32)[..., c]) for c in range(3)]
            planes = [plane.resize((24, 24), Image.Resampling.BICUBIC) for plane in planes]
            x = np.stack(planes).astype(np.float32) / 255 - np.reshape(mean, (3, 1, 1))
            x = (x / np.reshape(std, (3, 1, 1))).astype(np.float32)
            rows.append(session.run(["pool"], {"x": x[None]})[0].ravel())
        moments.append((np.mean(rows, axis=0), np.cov(rows, rowvar=False)))
        images = ImageFolder(tmp_path / name, 16, cache=False).images
        how = {"mean": mean, "std": std, "size": 24, "resize": "bicubic", "output": "pool"}
        found.append(OnnxFeatures(small_network, (0, 1), **how)(images))
        assert np.allclose(found[-1], rows, atol=1e-5)
    (m, c), (n, d) = moments
    root = linalg.sqrtm(c.astype(np.float64) @ d).real
    fid = ((m - n) ** 2).sum() + np.trace(c + d - 2 * root)
    assert frechet_distance(*found) == pytest.approx(fid, rel=1e-4)


def test_pictures_are_enlarged_as_pytorch_does(small_network):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    images = as_float(faces(2, 16).images)
    features = OnnxFeatures(small_network, size=37)
    own = features._prepared(images)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    theirs = torch.nn.functional.interpolate(x, (37, 37), mode="bilinear", align_corners=False)
    assert np.abs(own - theirs.numpy()).max() < 1e-5


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"output": "logits"}, "its outputs are most, pool; got 'logits'"),
        ({"mean": (1, 2)}, "mean: expected three numbers"),
        ({"std": (1, 0, 1)}, "other than 0"),
        ({"resize": "nearest"}, "bilinear or bicubic"),
    ],
)
def test_onnx_features_refuse_what_makes_no_sense(small_network, how, message):
    with pytest.raises(ValueError, match=message):
        OnnxFeatures(small_network, **how)
