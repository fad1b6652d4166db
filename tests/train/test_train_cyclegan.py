"""Training a CycleGAN by command: what it writes, takes up again, and refuses."""

import json
import os
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from training import rows, timeless

from tinygan.data import DRAWN_SETS, bags
from tinygan.data.download import PUBLISHED
from tinygan.errors import UserError
from tinygan.models.cyclegan import patch_discriminator
from tinygan.options.resolving import resolve, stored
from tinygan.runs.checkpoint import read_checkpoint
from tinygan.runs.watched import read_watch
from tinygan.systems.cyclegan import CycleGAN, CycleGANOptions
from tinygan.train.__main__ import main

PRESETS = CycleGANOptions.presets
ANSWERS = ["D_X_real", "D_X_fake", "D_Y_real", "D_Y_fake"]
LOSSES = ["L_G", "L_GAN", "L_identity", "L_cyc", "L_D", "L_D_X", "L_D_Y"]
SMALL = {
    "image_size": 16,
    "load_size": 18,
    "width": 2,
    "downsamplings": 1,
    "residual_blocks": 1,
    "discriminator_width": 2,
    "discriminator_layers": 1,
    "pool_size": 3,
    "batch_size": 1,
    "lr": 2e-4,
}
WORDS = [word for name, n in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(n))]
BAGS = ["--dataset", "bags", "--dataset-size", "12"]


def train(*words, data=BAGS) -> int:
    return main(["cyclegan", *data, *WORDS, "--backend", "numpy", *map(str, words)])


def build(**options) -> CycleGAN:
    options = {**SMALL, "dataset": "bags", "dataset_size": 12, **options}
    system = CycleGAN(resolve(CycleGANOptions, options))
    system.start()
    return system


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("cyclegan") / "run"
    assert train("--steps", 8, "--sample-every", 3, "--checkpoint-every", 4, "--out", out) == 0
    return out


def domains(root, sizes=(5, 7), tests=(2, 3), shape=(20, 26)):
    """Lay out two domains of noise as the published sets are."""
    random = np.random.default_rng(0)
    for split, counts in (("train", sizes), ("test", tests)):
        for domain, count in zip("AB", counts, strict=True):
            folder = root / f"{split}{domain}"
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 255, (*shape, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    return root


# --- what it writes ---------------------------------------------------------------------------


def test_the_run_folder_holds_what_it_should(run):
    inside = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    assert inside - {".lock"} == {
        "config.json",
        "metrics.jsonl",
        "losses.png",
        "report.html",
        "watch.jsonl",
        *(f"samples/step-00000{i}.png" for i in (3, 6, 8)),
        *(f"checkpoints/step-00000{i}.safetensors" for i in (4, 8)),
    }


def test_metrics_hold_every_loss(run):
    found = rows(run)
    assert [row["step"] for row in found] == list(range(1, 9))
    for row in found:
        assert list(row) == ["step", "epoch", *LOSSES, "lr", *ANSWERS, "seconds"]
        weighted = row["L_GAN"] + 5 * row["L_identity"] + 10 * row["L_cyc"]
        assert row["L_G"] == pytest.approx(weighted, rel=1e-5)
        assert row["L_D"] == pytest.approx(row["L_D_X"] + row["L_D_Y"], rel=1e-5)
        assert row["lr"] == pytest.approx(2e-4)


def test_the_first_five_plots_are_those_of_the_figures(run):
    assert [next(iter(panel.lines)) for panel in CycleGAN.panels[:5]] == [
        "L_G",
        "L_D",
        "L_GAN",
        "L_identity",
        "L_cyc",
    ]
    assert [panel.title[:3] for panel in CycleGAN.panels] == [f"({c})" for c in "abcdef"]
    assert Image.open(run / "losses.png").size[1] > 1500


def test_the_sheet_shows_both_directions(run):
    system = build()
    sheets = {}
    import tinygan.systems.cyclegan as module

    save = module.save_translation_sheet
    try:
        module.save_translation_sheet = lambda path, blocks: sheets.setdefault("blocks", blocks)
        system.save_samples(None)
    finally:
        module.save_translation_sheet = save
    (to_b, columns_b), (to_a, columns_a) = sheets["blocks"]
    assert to_b.startswith("A to B")
    assert to_a.startswith("B to A")
    G, F = system.networks["G"], system.networks["F"]
    x, y = (
        images.astype(np.float32) / 127.5 - 1
        for images in (system.domains.test_A, system.domains.test_B)
    )

    def see(columns, label):
        (images,) = (images for name, images in columns if name.split("\n")[1] == label)
        return images.astype(np.float32) / 127.5 - 1 if images.dtype == np.uint8 else images

    for label, expected in (
        ("x", x),
        ("G(x)", G.predict(x)),
        ("F(G(x))", F.predict(G.predict(x))),
        ("F(x)", F.predict(x)),
        ("translation", y),  # the pairs that are looked at are true translations of one another
    ):
        np.testing.assert_allclose(see(columns_b, label), expected, atol=1e-5, err_msg=label)
    for label, expected in (
        ("y", y),
        ("F(y)", F.predict(y)),
        ("G(F(y))", G.predict(F.predict(y))),
        ("G(y)", G.predict(y)),
        ("translation", x),
    ):
        np.testing.assert_allclose(see(columns_a, label), expected, atol=1e-5, err_msg=label)
    assert Image.open(run / "samples" / "step-000008.png").size == (2 * 5 * 100 + 28, 653)


def test_the_error_to_the_true_translation_is_measured():
    system = build()
    x, y = (bags(32, 16, domain=d, start=24).images for d in ("handbag", "backpack"))
    x, y = (images.astype(np.float32) / 127.5 - 1 for images in (x, y))
    G, F = system.networks["G"], system.networks["F"]
    (to_b, alone), (to_a, also_alone) = system.translation_errors()
    assert to_b == pytest.approx(abs(G.predict(x) - y).mean(), rel=1e-4)
    assert to_a == pytest.approx(abs(F.predict(y) - x).mean(), rel=1e-4)
    assert alone == also_alone == pytest.approx(abs(x - y).mean(), rel=1e-4)
    assert system.score() == pytest.approx((to_a + to_b) / 2)


@pytest.mark.parametrize("name", ["seasons", "lenses"])
def test_the_error_to_the_true_season_and_lens_is_measured(name):
    system = build(dataset=name)
    x, y = (draw(32, 16, seed=0, start=24).images for draw in DRAWN_SETS[name])
    np.testing.assert_array_equal(system.domains.pairs, (x, y))
    x, y = (images.astype(np.float32) / 127.5 - 1 for images in (x, y))
    (to_b, alone), _ = system.translation_errors()
    assert to_b == pytest.approx(abs(system.networks["G"].predict(x) - y).mean(), rel=1e-4)
    assert alone == pytest.approx(abs(x - y).mean(), rel=1e-4)
    assert system.data["dataset"] == name


def test_training_and_measuring_use_different_bags():
    system = build()
    seen = {image.tobytes() for image in bags(24, 18).images}
    assert {image.tobytes() for image in system.domains.A} <= seen
    measured = bags(32, 18, start=24).images
    assert not {image.tobytes() for image in measured} & seen


# --- the schedule -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "rates"),
    [
        ({"schedule_epochs": 4}, [1, 1, 1, 0.5]),
        ({"schedule_epochs": 4, "schedule": "literal"}, [1, 1, 1, 1]),
        ({"schedule_epochs": 4, "schedule": "published"}, [1, 2 / 3, 1 / 3]),
        ({"schedule_epochs": 4, "decay_from": 0}, [1, 0.75, 0.5, 0.25]),
        ({"schedule_epochs": 3, "decay_from": 3}, [1, 1, 1]),
        ({"schedule_epochs": 8, "steps": 48}, [1, 1, 1, 1, 1, 0.75, 0.5, 0.25]),
        ({"epochs": 4}, [1, 1, 1, 0.5]),  # Algorithm 1's E is the number of epochs
        ({"epochs": 4, "decay_from": 2}, [1, 1, 1, 0.5]),
        ({"epochs": None, "steps": 48}, [1, 1, 1, 1]),
    ],
)
def test_the_rate_of_every_epoch(given, rates):
    system = build(**{"epochs": 1, **given}, lr=0.5)
    assert system.steps_per_epoch == 12
    if given.get("schedule") == "published":
        rates = [1, *rates]
    for epoch, rate in enumerate(rates):
        for step in (12 * epoch, 12 * epoch + 11):
            assert system.learning_rate(step) == pytest.approx(0.5 * rate), (epoch, step)


def test_the_rate_reaches_all_optimisers_and_the_metrics(tmp_path):
    words = ["--epochs", 2, "--decay-from", 0, "--lr", 0.001, "--out", tmp_path / "run"]
    assert train(*words) == 0
    assert [row["lr"] for row in rows(tmp_path / "run")] == pytest.approx([1e-3] * 12 + [5e-4] * 12)


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["--norm", "batch"], True),
        (["--norm", "batch", "--batch-size", 2], False),
        (["--norm", "instance"], False),
    ],
)
def test_batch_normalization_of_one_picture_is_warned_of(words, warned, tmp_path, capsys):
    assert train("--steps", 1, *words, "--out", tmp_path / "run") == 0
    told = capsys.readouterr().err
    assert ("warning: batch normalization with --batch-size 1" in told) == warned
    assert ("--norm instance" in told) == warned


# --- taking up again --------------------------------------------------------------------------


def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(run, tmp_path):
    resumed = tmp_path / "run"
    shutil.copytree(run, resumed)
    (resumed / "checkpoints" / "step-000008.safetensors").unlink()
    assert main(["cyclegan", "--resume", str(resumed)]) == 0
    assert timeless(resumed) == timeless(run)
    a, b = (load_file(r / "checkpoints" / "step-000008.safetensors") for r in (run, resumed))
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].tobytes() == b[name].tobytes(), name


def test_totals_never_change_the_schedule(tmp_path):
    words = ["--schedule-epochs", 3, "--decay-from", 0]
    assert train("--steps", 36, *words, "--out", tmp_path / "whole") == 0
    assert train("--steps", 14, *words, "--out", tmp_path / "parts") == 0
    assert main(["cyclegan", "--resume", str(tmp_path / "parts"), "--epochs", "3"]) == 0
    assert timeless(tmp_path / "parts") == timeless(tmp_path / "whole")
    assert len({row["lr"] for row in rows(tmp_path / "whole")}) == 3


def go_on(run, *words) -> int:
    return main(["cyclegan", "--resume", str(run), *map(str, words)])


@pytest.fixture
def finished(tmp_path):
    """Two epochs of 12 steps; the rate falls in the second and would be zero in the third."""
    out = tmp_path / "run"
    assert train("--epochs", 2, "--decay-from", 0, "--lr", 0.001, "--out", out) == 0
    return out


def test_the_distance_to_the_truth_is_noted_at_each_checkpoint_and_the_best_kept(run, tmp_path):
    scored = read_watch(run / "watch.jsonl")
    assert [line["step"] for line in scored] == [4, 8]
    for line in scored:
        file = run / "checkpoints" / f"step-{line['step']:06d}.safetensors"
        assert line["score"] == read_checkpoint(file).score
        assert line["left_alone"] == build().translation_errors()[0][1]
    newest = read_checkpoint(run / "checkpoints" / "step-000008.safetensors")
    assert newest.best.score == min(line["score"] for line in scored)
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "Distance to the true translation" in page
    longer = tmp_path / "run"
    shutil.copytree(run, longer)
    (longer / "checkpoints" / "step-000008.safetensors").unlink()
    assert go_on(longer) == 0
    assert (longer / "watch.jsonl").read_bytes() == (run / "watch.jsonl").read_bytes()


def test_past_the_end_of_its_schedule_a_run_asks_how_the_rate_goes_on(finished, capsys):
    before = {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()}
    capsys.readouterr()
    assert go_on(finished, "--epochs", 3) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "reaches zero after --schedule-epochs 2" in line
    assert "--schedule-epochs 3" in line
    assert "--decay-from" in line
    assert {p: p.read_bytes() for p in finished.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        (["--schedule-epochs", 4], 5e-4),  # from 0 of 4 on: 1, 3/4, 1/2
        (["--schedule-epochs", 3, "--decay-from", 3], 1e-3),  # never falls
    ],
)
def test_a_finished_run_is_made_longer_with_a_schedule_that_is_stated(
    words, rate, finished, capsys
):
    assert go_on(finished, "--epochs", 3, *words) == 0
    told = capsys.readouterr().out
    assert f"the learning rate goes on at {rate:g}, it was 0.0005" in told
    rates = [row["lr"] for row in rows(finished)]
    assert rates == pytest.approx([1e-3] * 12 + [5e-4] * 12 + [rate] * 12)
    config = json.loads((finished / "config.json").read_text())
    [changed] = config["changed"]
    assert changed["after_step"] == 24
    assert changed["schedule_epochs"] == [2, words[1]]
    assert config["options"]["schedule_epochs"] == words[1]
    assert go_on(finished, "--epochs", 3) == 0  # a further resume keeps it
    assert json.loads((finished / "config.json").read_text()) == config


def test_a_schedule_edited_in_the_config_is_a_change_that_is_said_and_noted(finished, capsys):
    file = finished / "config.json"
    config = json.loads(file.read_text())
    config["options"]["schedule_epochs"] = 4
    file.write_text(json.dumps(config))
    assert go_on(finished, "--epochs", 3) == 0
    assert "the learning rate goes on at 0.0005" in capsys.readouterr().out
    [changed] = json.loads(file.read_text())["changed"]
    assert changed["schedule_epochs"] == [2, 4]


def test_a_changed_schedule_is_kept_across_a_kill(finished, tmp_path):
    words = ["--epochs", 3, "--schedule-epochs", 4, "--checkpoint-every", 6]
    killed = tmp_path / "killed"
    assert go_on(finished, *words) == 0
    shutil.copytree(finished, killed)
    (killed / "checkpoints" / "step-000036.safetensors").unlink()
    assert go_on(killed) == 0
    assert timeless(killed) == timeless(finished)
    a, b = (load_file(r / "checkpoints" / "step-000036.safetensors") for r in (finished, killed))
    assert all(a[name].tobytes() == b[name].tobytes() for name in a)


def test_a_schedule_shorter_than_the_run_is_refused_on_resume(finished, capsys):
    assert go_on(finished, "--epochs", 3, "--schedule-epochs", 1) == 2
    assert "reaches zero after --schedule-epochs 1" in capsys.readouterr().err


def test_a_longer_run_says_how_long_it_is(finished, capsys):
    capsys.readouterr()
    assert go_on(finished, "--epochs", 1) == 0
    assert "it has 24 steps, more than 1 epoch of 12 steps" in capsys.readouterr().out
    assert go_on(finished, "--steps", 20) == 0
    assert "it has 24 steps, more than --steps 20" in capsys.readouterr().out


def test_the_pools_are_in_the_checkpoint(run):
    arrays = load_file(run / "checkpoints" / "step-000004.safetensors")
    for name in ("pool_X", "pool_Y"):
        assert arrays[f"extra/{name}.images"].shape == (3, 16, 16, 3)
        assert arrays[f"extra/{name}.state"][1] == 4
    assert (arrays["extra/pool_X.state"] != arrays["extra/pool_Y.state"])[0]


def test_pools_that_cannot_be_are_refused():
    system = build()
    good = system.extra_arrays()
    with pytest.raises(ValueError, match=r"pool_Y\.state is missing"):
        system.load_extra_arrays({"pool_X.state": good["pool_X.state"]})
    with pytest.raises(ValueError, match=r"unknown array: pool_Z\.state"):
        system.load_extra_arrays({**good, "pool_Z.state": good["pool_X.state"]})


# --- data, presets, refusals ------------------------------------------------------------------


def test_it_learns_from_two_folders_of_unequal_size(tmp_path):
    data = domains(tmp_path / "data")
    out = tmp_path / "run"
    words = ["--no-cache", "--epochs", 1, "--out", out]
    assert train(*words, data=["--data", str(data)]) == 0
    assert len(rows(out)) == 7
    config = json.loads((out / "config.json").read_text())
    assert (config["data"]["images_A"], config["data"]["images_B"]) == (5, 7)
    assert config["options"]["data"] == str(data)
    sheet = Image.open(out / "samples" / "step-000007.png")
    assert sheet.size == (2 * 4 * 100 + 28, 53 + 3 * 100)  # 2 and 3 test pictures, no truth


def test_an_archive_or_arrays_of_two_domains_are_such_a_folder(tmp_path):
    data = domains(tmp_path / "data")
    archive = shutil.make_archive(str(tmp_path / "both"), "gztar", tmp_path, "data")
    expected, got = (
        build(data=str(path), dataset=None, cache=False).domains for path in (data, archive)
    )
    assert got.data["checksum"] == expected.data["checksum"]
    np.testing.assert_array_equal(got.test_A, expected.test_A)
    np.savez(tmp_path / "both.npz", trainA=expected.A, trainB=expected.B, testB=expected.test_B)
    arrays = build(data=str(tmp_path / "both.npz"), dataset=None, cache=False).domains
    assert arrays.data["checksum"] == expected.data["checksum"]
    assert len(arrays.test_A) == 5  # there is no testA: those that are learnt from


def test_without_test_folders_the_sheet_shows_training_pictures(tmp_path):
    data = domains(tmp_path / "data")
    shutil.rmtree(data / "testA"), shutil.rmtree(data / "testB")
    system = build(data=str(data), dataset=None, cache=False)
    assert (len(system.domains.test_A), len(system.domains.test_B)) == (5, 6)
    assert system.score() is None


def test_the_load_size_is_by_default_in_the_published_proportion():
    assert build(image_size=32, load_size=None).options.load_size == 36
    assert build(image_size=32, load_size=None).domains.A.shape[1:3] == (36, 36)


def test_without_arguments_it_is_the_quick_preset_on_drawn_bags():
    options = resolve(CycleGANOptions, {})
    assert options.dataset == "bags"
    assert options.image_size == PRESETS["quick"].values["image_size"]
    assert options.data is None


def test_presets_hold_what_the_paper_states():
    for name in ("handbag2backpack", "vangogh2photo", "ukiyoe2photo"):
        stated, assumed = PRESETS[name].stated, PRESETS[name].assumed
        for option, value in {
            "lambda_gan": 1,
            "lambda_identity": 5,
            "lambda_cycle": 10,
            "lambda_discriminator": 0.5,
            "residual_blocks": 6,
            "discriminator_layers": 2,
            "epochs": 200,
        }.items():
            assert stated[option] == value
        assert {"decay_from", "lr", "beta1", "image_size"} <= assumed.keys()
    for name in ("summer2winter_yosemite", "iphone2dslr_flower"):  # named by the paper, not tried
        assert PRESETS[name].stated == {}
        assert PRESETS[name].values == PRESETS["vangogh2photo"].values
        assert f"data download {name}" in PRESETS[name].title
        assert name in PUBLISHED
        resolve(CycleGANOptions, {"preset": name, "data": "somewhere"}).check()


def test_every_option_of_a_preset_is_a_flag():
    for preset in PRESETS.values():
        assert preset.values.keys() <= stored(CycleGANOptions()).keys()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--image-size", "18", "--downsamplings", "2"], "--image-size 18: expected a multiple of"),
        (["--image-size", "4"], "--image-size 4: expected a multiple of 2"),
        (["--load-size", "12"], "--load-size 12: expected at least --image-size 16"),
        (
            ["--epochs", "3", "--decay-from", "4"],
            "--decay-from: 4 epochs of 12 steps, but the rate reaches zero",
        ),
        (["--epochs", "3", "--schedule-epochs", "2"], "reaches zero after --schedule-epochs 2"),
        (["--beta1", "1"], "--beta1: expected a number of at least 0 and below 1"),
        (["--dropout", "1"], "--dropout: expected a number of at least 0 and below 1"),
        (["--lambda-cycle", "-1"], "--lambda-cycle"),
    ],
)
def test_bad_input_is_one_clear_line_and_changes_nothing(words, message, tmp_path, capsys):
    assert train(*words, "--out", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_folder_that_is_not_laid_out_so(tmp_path, capsys):
    (tmp_path / "trainA").mkdir()
    assert train("--out", tmp_path / "run", data=["--data", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "there is no trainB" in error
    assert "tinygan.data split" in error


def test_what_cannot_fit_into_memory_is_refused(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tinygan.machine.memory.available_bytes", lambda backend: 1 << 20)
    assert train("--steps", 1, "--out", tmp_path / "run") == 2
    assert "lower --batch-size, --width or --image-size" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--width", "20000"], "lower --width or --discriminator-width"),
        (["--dataset-size", "999999999"], "lower --dataset-size or --image-size"),
    ],
)
def test_what_cannot_even_begin_to_fit_is_refused_before_it_is_made(
    words, message, tmp_path, capsys
):
    assert train(*words, "--out", tmp_path / "run") == 2
    assert message in capsys.readouterr().err


def test_networks_that_cannot_fit_are_counted_before_they_are_drawn(monkeypatch):
    options = resolve(CycleGANOptions, {"data": "somewhere"})
    parameters = 2 * (7_837_699 + sum(p.size for p in patch_discriminator(layers=2).parameters()))
    for share, fits in ((0.99, False), (1.05, True)):
        free = round(16 * parameters * share)
        monkeypatch.setattr("tinygan.machine.memory.available_bytes", lambda _, free=free: free)
        if fits:
            CycleGAN(options)
            continue
        with pytest.raises(UserError, match="the networks and Adam's moments alone"):
            CycleGAN(options)


def test_the_memory_forecast_grows_with_picture_and_batch():
    base = build(image_size=32, load_size=32).step_bytes()
    assert build(image_size=128, load_size=128).step_bytes() > 8 * base
    assert build(image_size=32, load_size=32, batch_size=4).step_bytes() > 2 * base


def test_the_memory_forecast_is_near_what_training_holds():
    options = {"image_size": 64, "load_size": 64, "width": 24, "downsamplings": 2}
    options |= {"residual_blocks": 3, "discriminator_width": 24, "dataset_size": 2}
    tracemalloc.start()
    try:
        system = build(**options)
        domains = system.domains
        pictures = (domains.A, domains.B, domains.test_A, domains.test_B, *domains.pairs)
        with system.batches(0) as batches:
            batch = next(batches)
            tracemalloc.reset_peak()
            system.step(batch, 0)
        held = tracemalloc.get_traced_memory()[1] - sum(array.nbytes for array in pictures)
    finally:
        tracemalloc.stop()
    assert 0.7 < system.step_bytes() / held < 1.2


@pytest.mark.skipif("TINYGAN_TEST_DATA" not in os.environ, reason="TINYGAN_TEST_DATA is not set")
def test_a_real_data_set(tmp_path):
    data = Path(os.environ["TINYGAN_TEST_DATA"]) / "handbag2backpack"
    words = ["--steps", 2, "--fit", "pad", "--no-cache", "--out", tmp_path / "run"]
    assert train(*words, data=["--data", str(data)]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["steps_per_epoch"] == max(config["data"][f"images_{d}"] for d in "AB")


def test_the_same_training_on_cupy(strict_cupy, tmp_path, monkeypatch, run):
    out = tmp_path / "run"
    words = ["--steps", 8, "--sample-every", 3, "--checkpoint-every", 4, "--out", out]
    assert main(["cyclegan", *BAGS, *WORDS, "--backend", "cupy", *map(str, words)]) == 0
    for ours, theirs in zip(rows(out), rows(run), strict=True):
        for name in LOSSES:
            assert ours[name] == pytest.approx(theirs[name], rel=2e-3)
