"""The detector: what it learns, on what it is judged, where it looks, and what it refuses."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from training import rows, timeless, train

import tinygan
from tinygan import check_gradients
from tinygan.data import faces, save_grid
from tinygan.evaluate.__main__ import main as evaluate_main
from tinygan.evaluate.detection import heat
from tinygan.generate.__main__ import main as generate
from tinygan.metrics import area_under_roc
from tinygan.runs.made import made_by
from tinygan.study.__main__ import main as study
from tinygan.systems.detector import Detector, DetectorOptions, classifier
from tinygan.systems.detects import Made, part_of
from tinygan.translate.__main__ import main as translate

SMALL = ["--width", 4, "--batch-size", 8, "--backend", "numpy"]
TINY = [*SMALL, "--dataset-size", 60]


def learn(*words) -> int:
    return train("detector", *SMALL, *words, tiny=False)


def evaluate(*words) -> int:
    return evaluate_main([*map(str, words), "--backend", "numpy"])


def planted(count: int, start: int = 0, corner: int = 5) -> np.ndarray:
    """Drawn faces with a trace: a faint checkerboard in their lower right corner."""
    images = faces(count, 16, seed=9, start=start).images.astype(int)
    y, x = np.mgrid[:corner, :corner]
    images[:, -corner:, -corner:] += np.where((x + y) % 2, 30, -30)[None, :, :, None]
    return np.clip(images, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    """A detector that was trained against faces with a planted trace."""
    folder = tmp_path_factory.mktemp("trace")
    np.save(folder / "planted.npy", planted(900))
    words = ["--generated", folder / "planted.npy", "--dataset", "faces", "--image-size", 16]
    words += ["--dataset-size", 600, "--lr", 2e-3, "--steps", 200, "--checkpoint-every", 100]
    assert learn(*words, "--out", folder / "run") == 0
    return folder / "run"


# --- the network, its gradient, its maps ------------------------------------------------------


def test_the_gradients_of_the_network_agree_with_differences():
    x = np.random.default_rng(0).standard_normal((3, 16, 16, 3))
    assert check_gradients(classifier(16, 3, 2, rng=1), x).ok


def test_a_score_and_its_gradient_depend_on_one_picture_alone(trace):
    system = tinygan.load(trace, backend="numpy").system
    images = faces(6, 16, seed=3).images
    np.testing.assert_allclose(system.detect(images)[2:3], system.detect(images[2:3]), rtol=1e-4)
    alone, among = system.gradient(images[2:3]), system.gradient(images)[2:3]
    np.testing.assert_allclose(alone, among, atol=1e-5 * abs(alone).max())
    assert abs(system.networks["D"].parameters()[0].grad).max() == 0  # nothing was learnt by it


def test_the_gradient_map_is_the_slope_of_the_score(trace):
    system = tinygan.load(trace, backend="numpy").system
    system.networks["D"].to(dtype="float64")
    x = np.random.default_rng(0).uniform(-1, 1, (2, 16, 16, 3))
    direction = np.random.default_rng(1).standard_normal(x.shape)
    step = 1e-6 * direction
    slope = (system.detect(x + step) - system.detect(x - step)) / 2e-6
    found = (system.gradient(x) * direction).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, slope, rtol=1e-5)


def test_both_maps_find_a_trace_that_was_planted(trace):
    system = tinygan.load(trace, backend="numpy").system
    images = planted(40, start=2000)
    covering = system.occlusion(images, side=4)
    assert covering.shape == (40, 16, 16)
    corner, elsewhere = covering[:, -4:, -4:].mean(), covering[:, :8, :8].mean()
    assert corner > 0  # it speaks for "generated"
    assert corner > 3 * abs(elsewhere)
    slope = abs(system.gradient(images)).max(axis=3)
    assert slope[:, -5:, -5:].mean() > 1.5 * slope[:, :8, :8].mean()


def test_what_covering_changes_is_the_score_before_less_that_after(trace):
    system = tinygan.load(trace, backend="numpy").system
    images = planted(2, start=3000)
    whole = system.occlusion(images, side=16)  # one square over everything
    grey = np.broadcast_to(
        (images / 127.5 - 1).mean(axis=(1, 2), keepdims=True), images.shape
    ).astype(np.float32)
    change = system.detect(images) - system.detect(grey)
    np.testing.assert_allclose(whole[:, 0, 0], change, atol=1e-4)
    assert (whole == whole[:, :1, :1]).all()


def test_heat_is_red_for_generated_blue_for_real_and_white_for_nothing():
    red, blue, white, zero = heat(np.array([[[1.0, -1.0, 0.0]], [[0.0, 0.0, 0.0]]])).reshape(
        2, 3, 3
    )[[0, 0, 0, 1], [0, 1, 2, 0]]
    assert red[0] > red[2]
    assert blue[2] > blue[0]
    assert (white == 255).all()
    assert (zero == 255).all()


# --- what it learns -----------------------------------------------------------------------------


def test_it_finds_the_trace_in_pictures_that_it_never_saw(trace):
    assert rows(trace)[-1]["accuracy"] > 0.9
    system = tinygan.load(trace, backend="numpy").system
    real, fake = faces(200, 16, seed=5).images, planted(200, start=5000)
    assert area_under_roc(system.detect(real), system.detect(fake)).low > 0.9


def test_pictures_of_the_same_kind_cannot_be_told_apart(tmp_path):
    np.save(tmp_path / "others.npy", faces(600, 16, seed=77).images)
    words = ["--generated", tmp_path / "others.npy", "--dataset", "faces", "--image-size", 16]
    run = tmp_path / "run"
    assert learn(*words, "--dataset-size", 400, "--steps", 60, "--out", run) == 0
    assert evaluate(run, "--count", 120) == 0
    [result, *_] = json.loads((run / "measures.json").read_text())["results"]
    auc = result["sets"]["others.npy"]["auc"]
    assert auc["low"] < 0.5 < auc["high"]


def test_of_a_run_the_real_pictures_are_those_of_that_run(shared_run, tmp_path):
    run = tmp_path / "run"
    assert learn("--generated", shared_run, "--steps", 3, "--out", run) == 0
    config = json.loads((run / "config.json").read_text())
    noted = json.loads((shared_run / "config.json").read_text())
    for name in ("dataset", "dataset_size", "image_size", "channels", "crop", "fit"):
        assert config["options"][name] == noted["options"][name], name
    assert config["data"]["generated"] == "dcgan run, step 7"
    assert config["data"]["generated_images"] == config["data"]["images"] == 40
    system = tinygan.load(run, backend="numpy").system
    system.made = made_by(str(shared_run), system.options)
    system.start()
    assert (system.fake != system.made.draw(40, "test")).any()
    assert system.fake.dtype == np.uint8  # as real pictures are: nothing to be told by
    fresh = system.held_out(30, None, None)
    assert not {x.tobytes() for x in fresh} & {x.tobytes() for x in system.images}


def test_pictures_of_a_folder_are_learnt_from_or_judged_by_never_both(folder, tmp_path, own_cache):
    images = faces(50, 16, seed=1).images
    for i, image in enumerate(images):
        save_grid(image[None], folder / f"{i:02}.png", gutter=0)
    words = ["--generated", "demo-faces", "--data", folder, "--image-size", 32]
    assert learn(*words, "--steps", 1, "--out", tmp_path / "run") == 0
    system = tinygan.load(tmp_path / "run", backend="numpy").system
    system.made = made_by("demo-faces", system.options)
    system.start()
    parts = [system.real, system.checked[0], system.held_out(100, None, None)]
    assert [len(part) for part in parts] == [35, 5, 10]
    assert len({x.tobytes() for part in parts for x in part}) == len({x.tobytes() for x in images})
    assert len(system.held_out(100, str(folder), None)) == 10  # named again, it is the same
    numbers = [part_of(np.arange(30), part) for part in ("training", "validation", "test")]
    assert sorted(np.concatenate(numbers)) == list(range(30))


@pytest.mark.parametrize("more", [[], ["--augment", "color,cutout", "--degrade", "jpeg,blur"]])
def test_a_run_goes_on_to_the_bit_wherever_its_generator_is_now(more, shared_run, tmp_path):
    generator = shutil.copytree(shared_run, tmp_path / "generator")
    every = ["--sample-every", 3, "--checkpoint-every", 2, *more]
    words = ["--generated", generator, *every]
    assert learn(*words, "--steps", 6, "--out", tmp_path / "whole") == 0
    assert learn(*words, "--steps", 3, "--out", tmp_path / "run") == 0
    moved = generator.rename(tmp_path / "moved")
    assert train("--resume", tmp_path / "run", "--steps", 6, tiny=False) == 2  # where is it?
    assert train("--resume", tmp_path / "run", "--steps", 6, "--generated", moved, tiny=False) == 0
    assert timeless(tmp_path / "run") == timeless(tmp_path / "whole")
    a, b = (tmp_path / r / "samples" / "step-000006.png" for r in ("run", "whole"))
    assert a.read_bytes() == b.read_bytes()


def test_another_generator_is_not_taken_for_the_runs(shared_run, tmp_path, capsys):
    assert learn("--generated", shared_run, "--steps", 1, "--out", tmp_path / "run") == 0
    assert train("--seed", 5, "--steps", 1, "--out", tmp_path / "other") == 0
    capsys.readouterr()
    words = ["--resume", tmp_path / "run", "--steps", 2, "--generated", tmp_path / "other"]
    assert train(*words, tiny=False) == 2
    assert "the data are not those of this run" in capsys.readouterr().err


def test_degrading_touches_about_half_of_the_pictures_and_the_same_ones_again():
    system = Detector(DetectorOptions(image_size=16, width=2, degrade="jpeg", dataset="faces"))
    batch = (faces(200, 16).images / 127.5 - 1).astype(np.float32)
    found = system._degraded(batch, 3, 0)
    changed = (abs(found - batch) > 1e-3).any(axis=(1, 2, 3))
    assert 60 < changed.sum() < 140
    assert (system._degraded(batch, 3, 0) == found).all()
    assert (system._degraded(batch, 4, 0) != found).any()


def test_without_any_flags_it_learns_the_generator_that_comes_with_tinygan(tmp_path, capsys):
    words = ["--steps", 2, "--dataset-size", 40, "--out", tmp_path / "run"]
    assert train("detector", *words, "--backend", "numpy", tiny=False) == 0
    assert "preset quick" in capsys.readouterr().out
    options = tinygan.load(tmp_path / "run", backend="numpy").options
    assert (options.generated, options.dataset, options.image_size) == ("demo-faces", "faces", 32)


# --- evaluate -----------------------------------------------------------------------------------


def test_evaluate_measures_generators_degradations_and_draws_maps(trace, tmp_path, capsys):
    np.save(tmp_path / "clean.npy", faces(100, 16, seed=4).images)  # 20 of them to test with
    capsys.readouterr()
    assert evaluate(trace, "--count", 60, "--generated", tmp_path / "clean.npy") == 0
    printed = capsys.readouterr().out
    assert "area under the ROC" in printed
    assert "features:" not in printed
    found = json.loads((trace / "measures.json").read_text())["results"]
    titles = [result["title"] for result in found]
    assert titles[0] == "generated against real"
    assert [title.split()[1] for title in titles[1:]] == ["JPEG,", "blur,", "made"]
    other, own = found[0]["sets"].values()
    assert list(found[0]["sets"]) == ["never seen: clean.npy", "planted.npy"]
    assert own["auc"]["low"] > 0.9 > other["auc"]["low"]
    for each in (own, other):
        assert each["accuracy"]["value"] == pytest.approx(
            (each["real_right"]["value"] + each["generated_right"]["value"]) / 2
        )
    curve = own["roc"]
    area = np.trapezoid(curve["found"], curve["false_alarms"])
    assert area == pytest.approx(own["auc"]["value"], abs=1e-3)
    blurred = found[2]["sets"]
    assert blurred["2"]["accuracy"]["value"] < blurred["0.5"]["accuracy"]["value"] + 0.05
    for name in ("maps.png", "roc.png"):
        with Image.open(trace / name) as picture:
            assert min(picture.size) > 200
    page = (trace / "report.html").read_text("utf-8")
    assert "What it looks at" in page
    assert "the ROC: generated pictures found" in page
    assert "learnt by heart?" not in page
    assert evaluate(trace, trace, "--count", 30, "--out", tmp_path / "both") == 0
    assert "after blur" in capsys.readouterr().out.split("measures.json\n")[-1]


@pytest.mark.parametrize("kind", ["data", "dataset"])
def test_evaluate_takes_real_pictures_from_elsewhere(kind, trace, tmp_path):
    np.save(tmp_path / "real.npy", faces(40, 16, seed=8).images)
    source = ["--data", tmp_path / "real.npy"] if kind == "data" else ["--dataset", "faces"]
    assert evaluate(trace, *source, "--count", 30, "--out", tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "measures.json").read_text())
    assert found["results"][0]["pictures"] == 30


# --- what is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--data", "{tmp}"], "--generated: name a run that draws, or a folder"),
        (["--generated", "{tmp}/gone"], "gone: nothing is there; name a run that draws"),
        (["--generated", "{tmp}"], "no run is there; name a run that draws, or a folder of"),
        (["--generated", "{tmp}/gone", "--dataset", "faces"], "--generated {tmp}/gone: "),
        (["--generated", "{run}", "--image-size", "32"], "it draws 16 × 16 and 3: give --image"),
        (["--generated", "{run}", "--channels", "1"], "and 1 channels, it draws 16 × 16 and 3"),
        (["--generated", "demo-bags"], "a cyclegan does not draw images"),
        (["--generated", "{run}", "--degrade", "rain"], "expected one or more of jpeg, blur"),
        (["--generated", "{tmp}/few.npy", "--dataset", "faces", "--image-size", "16"], "too few"),
        (["--generated", "{run}", "--batch-size", "4000"], "batch size 4000 is larger than"),
    ],
)
def test_what_cannot_be_is_one_clear_line(words, message, shared_run, tmp_path, capsys):
    np.save(tmp_path / "few.npy", faces(5, 16).images)
    words = [word.format(run=shared_run, tmp=tmp_path) for word in words]
    assert learn(*words, "--steps", 1, "--out", tmp_path / "run") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message.format(tmp=tmp_path) in line
    assert not (tmp_path / "run").exists()


def test_no_code_runs_because_a_generator_names_it(tmp_path, capsys):
    from test_systems import MY_GAN
    from test_systems import SMALL as FLAGS

    run = tmp_path / "wgan"
    assert train(f"{MY_GAN}:WGAN", *FLAGS, "--steps", 1, "--out", run, tiny=False) == 0
    capsys.readouterr()
    assert learn("--generated", run, "--steps", 1, "--out", tmp_path / "run") == 2
    assert "name a folder of pictures that it made" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "words", "message"),
    [
        (generate, ["--out", "{tmp}/a.png"], "a detector does not draw images; it tells generated"),
        (
            translate,
            ["--input", "{tmp}", "--out", "{tmp}/o"],
            "does not translate images; it tells",
        ),
        (study, [], "neither draws nor translates"),
        (evaluate_main, ["--count", "8"], "too few pictures"),
        (evaluate_main, ["--onnx", "x.onnx"], "looks at pictures itself"),
        (evaluate_main, ["--generated", "demo-faces"], "expected pictures of 16 × 16 pixels"),
        (evaluate_main, ["--generated", "{own}"], "is what this detector was trained against"),
    ],
)
def test_other_commands_say_what_a_detector_does(command, words, message, trace, tmp_path, capsys):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg")
    words = [word.format(tmp=tmp_path, own=trace.parent / "planted.npy") for word in words]
    assert command([str(trace), *words]) == 2
    assert message in capsys.readouterr().err.splitlines()[-1]


def test_other_systems_are_not_asked_for_what_a_detector_does(shared_run, capsys):
    assert evaluate(shared_run, "--generated", shared_run) == 2
    assert "a dcgan tells no generated pictures from real ones" in capsys.readouterr().err


def test_it_is_started_by_what_opens_its_generator():
    system = Detector(DetectorOptions(image_size=16, width=2, dataset="faces", dataset_size=8))
    with pytest.raises(tinygan.errors.UserError, match="was not opened"):
        system.start()
    system.made = Made("none", "0", lambda count, part: faces(count, 16, seed=6).images)
    system.options.batch_size = 4
    system.start()
    assert system.data["generated"] == "none"


def test_it_learns_and_looks_on_another_backend(strict_cupy):
    found = []
    for backend in ("numpy", "cupy"):
        words = {"image_size": 16, "width": 2, "dataset": "faces", "dataset_size": 8}
        options = DetectorOptions(**words, batch_size=4, degrade="jpeg", backend=backend)
        system = Detector(options)
        system.made = Made("none", "0", lambda count, part: faces(count, 16, seed=6).images)
        system.start()
        with system.batches(0) as batches:
            metrics = system.train(next(batches), 0)
        assert system.networks["D"].parameters()[0].data.dtype == np.float32
        found.append((float(metrics["loss"]), system.gradient(system.checked[0][:2])))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-4)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-4 * abs(found[0][1]).max())
