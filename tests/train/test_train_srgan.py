"""The SRGAN as a system: trained by command, resumed, used, chained and measured like any other."""

import json

import numpy as np
import pytest
from PIL import Image
from training import rows, timeless
from training import train as train_dcgan

from tinygan import Conv2d, MaxPool2d, ReLU, Sequential, Tanh
from tinygan.data import faces, load_image
from tinygan.data.images import bicubic, save_pictures
from tinygan.evaluate.__main__ import main as evaluate
from tinygan.formats.onnx_file import to_onnx
from tinygan.generate.__main__ import main as generate
from tinygan.metrics import RandomFeatures, psnr
from tinygan.runs.run import load
from tinygan.systems.srgan import SRGAN, SRGANOptions
from tinygan.train.__main__ import main
from tinygan.translate.__main__ import main as translate

SMALL = "--image-size 16 --width 4 --residual-blocks 1 --discriminator-width 4 --batch-size 4"
SMALL = [*SMALL.split(), "--backend", "numpy"]
DRAWN = ["--dataset", "faces", "--dataset-size", "60"]


def train(*words) -> int:
    return main(["srgan", *SMALL, *map(str, words)])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of 4 steps, of both factors; who writes into them takes a copy."""
    folder = tmp_path_factory.mktemp("srgan")
    every = ["--sample-every", 2, "--checkpoint-every", 2]
    for factor in (2, 4):
        words = ["--factor", factor, "--steps", 4, *every, "--out", folder / f"x{factor}"]
        assert train(*DRAWN, *words) == 0
    return folder


def test_its_metrics_and_samples_are_there(runs):
    found = rows(runs / "x4")
    assert [row["step"] for row in found] == [1, 2, 3, 4]
    assert all(np.isfinite(row[name]) for row in found for name in SRGAN.metric_names)
    assert min(row["L_features"] for row in found) > 0
    sheet = Image.open(runs / "x4" / "samples" / "step-000004.png")
    assert sheet.width > 4 * 96
    watched = (runs / "x4" / "watch.jsonl").read_text().splitlines()
    scored = [json.loads(line) for line in watched if "score" in line]
    assert {"score", "bicubic"} <= set(scored[-1])
    assert "in features" in (runs / "x4" / "report.html").read_text("utf-8")


def test_a_resumed_run_is_the_same_to_the_bit(runs, tmp_path):
    every = ["--sample-every", 2, "--checkpoint-every", 2, "--out", tmp_path / "run"]
    assert train(*DRAWN, "--steps", 2, *every) == 0
    assert main(["srgan", "--resume", str(tmp_path / "run"), "--steps", "4"]) == 0
    assert timeless(tmp_path / "run") == timeless(runs / "x4")


@pytest.mark.parametrize("factor", [2, 4])
def test_translate_makes_pictures_of_any_size_as_many_times_as_large(runs, tmp_path, factor):
    sizes = {"a.png": (5, 9), "deep/b.png": (16, 16), "c.png": (1, 3)}
    for name, (height, width) in sizes.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        picture = faces(1, 16).images[0, :height, :width]
        Image.fromarray(picture).save(tmp_path / "in" / name)
    words = [runs / f"x{factor}", "--input", tmp_path / "in", "--out", tmp_path / "out"]
    assert translate([*map(str, words)]) == 0
    for name, (height, width) in sizes.items():
        made = Image.open(tmp_path / "out" / name)
        assert made.size == (factor * width, factor * height)
    words = [runs / f"x{factor}", "--input", tmp_path / "in", "--out", tmp_path / "p", "--pairs"]
    assert translate([*map(str, words)]) == 0
    assert Image.open(tmp_path / "p" / "a.png").size == (2 * factor * 9 + 4, factor * 5)


def test_generate_then_is_to_write_the_pictures_and_translate_the_files(
    runs, shared_run, tmp_path, capsys
):
    chain = [shared_run, "--then", runs / "x2", "--count", 3]
    assert generate([*map(str, chain), "--out", str(tmp_path / "chained")]) == 0
    assert generate([str(shared_run), "--count", "3", "--out", str(tmp_path / "small")]) == 0
    words = [runs / "x2", "--input", tmp_path / "small", "--out", tmp_path / "large"]
    assert translate([*map(str, words)]) == 0
    for i in range(3):
        one, two = (load_image(tmp_path / f / f"{i:06d}.png") for f in ("chained", "large"))
        assert one.shape == (32, 32, 3)
        np.testing.assert_array_equal(one, two)
    assert "dcgan, then srgan" in Image.open(tmp_path / "chained" / "000000.png").text["Software"]
    for out, size in (("a.png", (3 * 66 + 2, 66 + 2)), ("a.webp", (3 * 34 + 2, 34 + 2))):
        run = runs / ("x4" if out == "a.png" else "x2")
        words = [shared_run, "--then", run, "--count", 3, "--frames", 2, "--out", tmp_path / out]
        assert generate([*map(str, words)]) == 0
        assert Image.open(tmp_path / out).size == size


def test_what_cannot_be_chained_is_one_clear_line(runs, shared_run, tmp_path, capsys):
    out = tmp_path / "a.png"
    assert train_dcgan("--channels", 1, "--steps", 1, "--out", tmp_path / "grey") == 0
    capsys.readouterr()
    for words, message in (
        ([shared_run, "--then", shared_run], "--then"),
        ([shared_run, "--then", tmp_path / "gone"], "--then"),
        ([runs / "x4", "--then", runs / "x4"], "a srgan does not draw images"),
        ([tmp_path / "grey", "--then", runs / "x4"], "expected a run of pictures of 1 channels"),
        ([shared_run, "--then-system", "mine.py:A"], "--then-system: goes with --then"),
    ):
        assert generate([*map(str, words), "--out", str(out)]) == 2, words
        [line] = capsys.readouterr().err.splitlines()
        assert message in line
        assert not out.exists()


def test_evaluate_compares_it_with_bicubic_by_other_features(runs, tmp_path, capsys):
    words = [runs / "x4", "--count", 20, "--json", "--out", tmp_path]
    assert evaluate([*map(str, words)]) == 0
    [result] = json.loads(capsys.readouterr().out)["results"]
    assert list(result["sets"]) == ["data", "bicubic", "untrained", "trained"]
    system = load(runs / "x4").system
    [found] = system.material(20)
    enlarged = bicubic(found.inputs, 4)
    sets = result["sets"]
    assert sets["bicubic"]["psnr"]["value"] == pytest.approx(psnr(enlarged, found.truth).mean())
    features = RandomFeatures(16)  # of seed 0, and not --feature-seed 1
    apart = np.sqrt(((features(enlarged) - features(found.truth)) ** 2).mean(axis=1))
    assert sets["bicubic"]["feature_error"]["value"] == pytest.approx(apart.mean(), rel=1e-4)
    assert result["features"] == features.name
    truths = {image.tobytes() for image in found.truth}
    assert not truths & {image.tobytes() for image in found.real}


def test_it_judges_itself_by_filters_that_it_is_not_trained_with(runs):
    system = SRGAN(load(runs / "x4").options)
    system.start()
    judge = system._judged[0]
    weights = [stages[0][0].weight.data for stages in (system.stages, judge.stages)]
    assert weights[0].shape == weights[1].shape
    assert abs(np.corrcoef(weights[0].ravel(), weights[1].ravel())[0, 1]) < 0.2


def test_a_folder_of_any_pictures(tmp_path, capsys):
    for i, size in enumerate([(20, 31), (16, 16), (40, 25), (9, 9)] * 4):
        pixels = np.random.default_rng(i).integers(0, 255, (*size, 3), np.uint8)
        (tmp_path / "in" / "deep").mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "in" / ("deep" if i % 2 else "") / f"{i}.png")
    words = ["--data", tmp_path / "in", "--no-cache", "--out", tmp_path / "run", "--steps", 2]
    assert train(*words) == 0
    assert len(rows(tmp_path / "run")) == 2
    assert evaluate([str(tmp_path / "run")]) == 2  # 16 pictures are too few to measure with
    assert "too few pictures" in capsys.readouterr().err


def test_grey_pictures(tmp_path):
    words = ["--channels", 1, "--steps", 1, "--out", tmp_path / "run"]
    assert train(*DRAWN, *words) == 0
    assert rows(tmp_path / "run")[0]["L_features"] > 0


def test_a_run_without_a_game_is_where_one_with_it_begins(tmp_path):
    words = [*DRAWN, "--lambda-gan", 0, "--steps", 2, "--out", tmp_path / "content"]
    assert train(*words) == 0
    assert {row["L_D"] for row in rows(tmp_path / "content")} == {0}
    words = ["--init-from", tmp_path / "content", "--steps", 1, "--lr", 0]
    assert train(*DRAWN, *words, "--ema", 0, "--out", tmp_path / "gan") == 0
    small = faces(2, 4 * 8).images[:, ::4, ::4]
    before, after = (load(tmp_path / name).translate(small) for name in ("content", "gan"))
    np.testing.assert_array_equal(after, before)
    assert rows(tmp_path / "gan")[0]["L_D"] > 0


def test_an_onnx_network_can_take_the_place_of_the_random_filters(tmp_path, capsys, monkeypatch):
    onnx = pytest.importorskip("onnx")
    layers = [Sequential(Conv2d(3, 5, 3, rng=seed), ReLU(), MaxPool2d(2)) for seed in (0, 1)]
    for i, network in enumerate(layers):
        onnx.save(to_onnx(network, (None, None, 3)), tmp_path / f"{i}.onnx")
    monkeypatch.chdir(tmp_path)
    every = ["--sample-every", 1, "--checkpoint-every", 1, "--lambda-gan", 0, "--content"]
    for i in (0, 1):
        assert train(*DRAWN, "--steps", 2, *every, f"{i}.onnx", "--out", f"run{i}") == 0
    losses = [[row["L_features"] for row in rows(tmp_path / f"run{i}")] for i in (0, 1)]
    assert losses[0] != losses[1]
    assert train(*DRAWN, "--steps", 1, *every, "0.onnx", "--out", "half") == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["srgan", "--resume", "../half", "--steps", "2"]) == 0
    assert timeless(tmp_path / "half") == timeless(tmp_path / "run0")
    capsys.readouterr()
    assert main(["srgan", "--resume", "../half", "--steps", "3", "--content", "../1.onnx"]) == 2
    assert "is not the network of this run any more" in capsys.readouterr().err
    (tmp_path / "0.onnx").unlink()  # only training needs it
    assert load(tmp_path / "half").translate(faces(1, 16).images).shape == (1, 64, 64, 3)


def test_what_a_content_network_takes_is_told_by_its_colors(tmp_path):
    onnx = pytest.importorskip("onnx")
    identity = Conv2d(3, 3, 1)
    identity.weight.data = np.eye(3, dtype=np.float32)[None, None]
    onnx.save(to_onnx(identity, (None, None, 3)), tmp_path / "a.onnx")
    x = np.random.default_rng(0).uniform(-1, 1, (1, 4, 4, 3)).astype(np.float32)
    known = {"content": str(tmp_path / "a.onnx"), "image_size": 16, "width": 2}
    plain, imagenet = (
        SRGAN(SRGANOptions(**known, content_colors=name))._content().predict(x)
        for name in ("plain", "imagenet")
    )
    np.testing.assert_allclose(plain, x, atol=1e-6)
    expected = ((x + 1) / 2 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(imagenet, expected, rtol=1e-5, atol=1e-5)


def test_a_content_network_that_cannot_be_is_one_clear_line(tmp_path, capsys):
    onnx = pytest.importorskip("onnx")
    for name, network, shape in (
        ("deep", Sequential(Conv2d(3, 4, 3), *(MaxPool2d(4) for _ in range(3))), (None, None, 3)),
        ("grey", Conv2d(1, 4, 3), (None, None, 1)),
        ("tanh", Sequential(Conv2d(3, 4, 3), Tanh(), Conv2d(4, 4, 3)), (None, None, 3)),
    ):
        onnx.save(to_onnx(network, shape), tmp_path / f"{name}.onnx")
    (tmp_path / "text.onnx").write_text("no network")
    for words, message in (
        (["deep.onnx"], "deep.onnx: MaxPool2d(4): the window does not fit into x of shape"),
        (["grey.onnx"], "grey.onnx: Conv2d(1, 4, kernel_size=3): expected x of shape (N, H, W, 1)"),
        (["tanh.onnx"], "(Tanh): its kind is not supported; supported are, one after the other"),
        (["text.onnx"], "text.onnx: cannot be read as an ONNX network"),
        (["gone.onnx"], "gone.onnx: cannot be read as an ONNX network: No such file"),
        (["grey.onnx", "--content-until", "x9"], "has no node x9; expected one of"),
        (["grey.onnx", "--lambda-features", 0], "--content goes with --lambda-features above 0"),
        (["grey.onnx", "--content-colors", "cmyk"], "--content-colors: invalid choice: 'cmyk'"),
    ):
        words = ["--content", tmp_path / words[0], *words[1:], "--out", tmp_path / "run"]
        assert train(*DRAWN, "--steps", 1, *words) == 2
        [line] = capsys.readouterr().err.splitlines()
        assert message in line
        assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--content-until", "relu5_4"], "--content-until goes with --content FILE"),
        (["--image-size", 18], "--image-size 18: expected a multiple of --factor 4"),
        (["--image-size", 12], "--image-size: expected a whole number of 16"),
        (["--factor", 3], "--factor: invalid choice: 3"),
        (["--feature-seed", 0], "--feature-seed: expected a whole number of 1"),
        (["--lambda-pixel", -1], "--lambda-pixel: expected a number of at least 0"),
        (
            ["--lambda-pixel", 0, "--lambda-features", 0, "--lambda-gan", 0],
            "expected one of --lambda-pixel, --lambda-features, --lambda-gan above 0",
        ),
        (["--dataset", "bags"], "--dataset: invalid choice: 'bags'"),
    ],
)
def test_bad_input_is_one_clear_line(words, message, tmp_path, capsys):
    assert train(*words, "--out", tmp_path / "run") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "run").exists()


def test_on_cupy(tmp_path, strict_cupy):
    words = [*DRAWN, "--steps", 2, "--sample-every", 1, "--checkpoint-every", 1]
    assert train(*words, "--backend", "cupy", "--out", tmp_path / "gpu") == 0
    assert train(*words, "--out", tmp_path / "cpu") == 0
    for one, two in zip(rows(tmp_path / "gpu"), rows(tmp_path / "cpu"), strict=True):
        for name in SRGAN.metric_names:
            assert one[name] == pytest.approx(two[name], rel=1e-3), name


def test_it_learns_to_beat_bicubic_enlargement(tmp_path):
    """By PSNR and in features of other filters, on drawn faces that it was not trained on."""
    words = "--dataset faces --dataset-size 400 --factor 2 --width 8 --residual-blocks 1"
    words = [*words.split(), "--lr", "3e-3", "--batch-size", "8", "--lambda-gan", "0"]
    words += ["--sample-every", "500", "--checkpoint-every", "500", "--steps", "200"]
    assert train(*words, "--image-size", "32", "--out", tmp_path / "run") == 0
    run = load(tmp_path / "run")
    true = run.system.fresh(64)
    small = run.system.reduced(true)
    assert psnr(run.translate(small), true).mean() > psnr(bicubic(small, 2), true).mean() + 0.5
    run.system.load_data()
    assert run.system.score() < 0.9 * run.system.score_references()["bicubic"]


def test_small_pictures_are_bytes_reduced_by_area():
    system = SRGAN(SRGANOptions(image_size=16, width=2, dataset="faces"))
    true = faces(3, 16).images
    expected = true.reshape(3, 4, 4, 4, 4, 3).mean(axis=(2, 4))
    assert abs(system.reduced(true) - expected).max() <= 0.501


def test_pictures_of_a_folder_are_measured_with_another_one(runs, tmp_path, capsys):
    save_pictures(faces(60, 16, seed=9).images, tmp_path / "other")
    words = [runs / "x4", "--data", tmp_path / "other", "--count", 20, "--out", tmp_path / "m"]
    assert evaluate([*map(str, words)]) == 0
    assert "its PSNR, in decibels" in capsys.readouterr().out
