"""The training command: what it writes, what it says, what it refuses."""

import json
import os
import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from training import TINY, rows, timeless, train

from tinygan.data import faces
from tinygan.options.resolving import resolve, stored
from tinygan.systems.dcgan import DCGAN, DCGANOptions
from tinygan.train.progress import Progress

LOSSES = ["loss_D", "loss_D_real", "loss_D_fake", "loss_G", "D_real", "D_fake"]
KEYS = ["step", "epoch", *LOSSES, "seconds"]


@pytest.fixture
def run(shared_run):
    return shared_run


def pictures(folder, count=12, size=(20, 24), mode="RGB"):
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for i in range(count):
        pixels = random.integers(0, 255, (*size, 3), np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{i}.png")
    return folder


def test_the_run_folder_holds_what_it_should(run):
    inside = {p.relative_to(run).as_posix() for p in run.rglob("*") if p.is_file()}
    assert inside - {".lock"} == {
        "config.json",
        "metrics.jsonl",
        "losses.png",
        "report.html",
        "watch.jsonl",
        "samples/step-000003.png",
        "samples/step-000006.png",
        "samples/step-000007.png",
        "checkpoints/step-000002.safetensors",
        "checkpoints/step-000004.safetensors",
        "checkpoints/step-000006.safetensors",
        "checkpoints/step-000007.safetensors",
    }
    assert Image.open(run / "losses.png").size[0] >= 600
    assert Image.open(run / "samples" / "step-000007.png").size == (8 * 18 + 2, 8 * 18 + 2)


def test_metrics_have_one_line_a_step_with_exactly_the_named_keys(run):
    found = rows(run)
    assert [row["step"] for row in found] == list(range(1, 8))
    assert [row["epoch"] for row in found] == [1] * 5 + [2] * 2  # 40 images, batches of 8
    for row in found:
        assert list(row) == KEYS
        assert row["loss_D"] == pytest.approx(row["loss_D_real"] + row["loss_D_fake"], rel=1e-6)
        assert 0 < row["D_real"] < 1
        assert 0 < row["D_fake"] < 1
        assert row["seconds"] > 0


def test_the_config_is_resolved(run):
    config = json.loads((run / "config.json").read_text())
    options = config["options"]
    assert options.keys() == stored(DCGANOptions()).keys()
    assert options["image_size"] == 16
    assert options["steps"] == config["total_steps"] == 7
    assert options["epochs"] is None
    assert options["backend"] == "numpy"
    assert config["seed"] == 0
    assert config["data"]["images"] == 40
    assert config["versions"]["numpy"] == np.__version__


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert train("--steps", 3, "--seed", seed, "--out", tmp_path / name) == 0
    assert timeless(tmp_path / "a") == timeless(tmp_path / "b")
    assert timeless(tmp_path / "a") != timeless(tmp_path / "c")
    grids = [(tmp_path / n / "samples" / "step-000003.png").read_bytes() for n in "ab"]
    assert grids[0] == grids[1]


def test_samples_are_drawn_from_the_same_noise_each_time_and_change_nothing(tmp_path):
    system = built()
    before = {k: v.copy() for k, v in system.networks["G"].state_dict().items()}
    system.save_samples(tmp_path / "a.png")
    system.save_samples(tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    after = system.networks["G"].state_dict()
    assert all((before[name] == after[name]).all() for name in before)


def test_the_score_of_a_checkpoint_is_lower_for_pictures_nearer_to_the_data(monkeypatch):
    system = built(dataset_size=128)
    untrained = system.score()
    assert system.score() == untrained
    real = faces(128, 16, seed=9).images.astype(np.float32) / 127.5 - 1
    for G in (system.networks["G"], system.averages["G"].network):
        monkeypatch.setattr(G, "predict", lambda z: real[: len(z)])
    assert system.score() < untrained / 3


def built(**changed) -> DCGAN:
    given = {
        "dataset_size": 40,
        "image_size": 16,
        "width": 4,
        "noise_size": 8,
        "batch_size": 8,
        "backend": "numpy",
    }
    system = DCGAN(resolve(DCGANOptions, {**given, **changed}))
    system.start()
    return system


def test_epochs_count_whole_passes(tmp_path):
    assert train("--epochs", 2, "--out", tmp_path / "run") == 0
    assert len(rows(tmp_path / "run")) == 2 * (40 // 8)


def test_it_learns_from_a_folder_of_grey_pictures(tmp_path, capsys):
    folder = pictures(tmp_path / "data" / "deep")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n")
    words = ["--data", tmp_path / "data", "--channels", 1, "--crop", "9/10", "--no-cache"]
    words += ["--image-size", 16, "--width", 4, "--batch-size", 4, "--steps", 2]
    assert train(*words, "--out", tmp_path / "run", tiny=False) == 0
    assert "broken.png" in capsys.readouterr().err
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["data"]["images"] == 12
    assert config["data"]["skipped"] == 1
    assert config["options"]["crop"] == 0.9
    assert Image.open(tmp_path / "run" / "samples" / "step-000002.png").mode == "L"


@pytest.mark.parametrize(
    "changed",
    [
        {"noise": "normal"},
        {"objective": "minimax"},
        {"instance_noise": 0.5},
        {"activation": "relu"},
        {"negative_slope": 0.1},
        {"label_smoothing": 1.0},
        {"lr": 0.01},
        {"beta1": 0.0},
        {"seed": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_option_reaches_the_training(changed):
    assert two_steps() == two_steps()
    assert two_steps() != two_steps(**changed)


def two_steps(**changed) -> list[dict]:
    system = built(**changed)
    with system.batches(0) as batches:
        return [
            {name: float(value) for name, value in system.step(next(batches), step).items()}
            for step in range(2)
        ]


def test_without_arguments_it_is_the_quick_preset_on_drawn_faces():
    resolved = stored(resolve(DCGANOptions, {}))
    assert {**resolved, **DCGANOptions.presets["quick"].values} == resolved
    assert resolved["dataset"] == "faces"


def test_what_is_given_wins_over_the_preset_and_that_over_the_default():
    given = {"preset": "celeba", "data": "d", "lr": 3e-4, "steps": 5}
    resolved = resolve(DCGANOptions, given)
    assert (resolved.lr, resolved.steps, resolved.epochs) == (3e-4, 5, None)
    assert resolved.activation == "leaky_relu"  # the preset's
    assert resolved.width == 64  # the default
    assert resolved.dataset is None


def test_presets_are_listed_with_where_each_value_is_from(capsys):
    with pytest.raises(SystemExit) as stop:
        train("--preset", tiny=False)
    assert stop.value.code == 0
    told = capsys.readouterr().out
    for name, preset in DCGANOptions.presets.items():
        part = told.split(f"--preset {name}\n")[1].split("\n\n")[0]
        for option in preset.stated:
            assert f"--{option.replace('_', '-')} " in part
        assert part.count(" stated") == len(preset.stated)
        assert part.count(" assumed") == len(preset.assumed)


def test_presets_hold_what_the_paper_states():
    presets = DCGANOptions.presets
    for name in ("celebrity-relu", "celeba"):
        stated = presets[name].stated
        assert (stated["batch_size"], stated["beta1"], stated["label_smoothing"]) == (128, 0.5, 0.9)
        assert (stated["noise_size"], stated["image_size"], stated["lr"]) == (200, 64, 1e-4)
    assert presets["celebrity-relu"].stated["activation"] == "relu"
    assert presets["celebrity-relu"].stated["epochs"] == 30
    assert presets["celebrity-leaky"].stated["lr"] == 2e-4
    assert presets["celebrity-leaky"].stated["activation"] == "leaky_relu"
    assert presets["celeba"].stated["activation"] == "leaky_relu"
    assert presets["celeba"].stated["epochs"] == 10
    known = stored(DCGANOptions()).keys()
    for preset in presets.values():
        assert preset.values.keys() <= known
        assert not preset.stated.keys() & preset.assumed.keys()


def test_help_explains_every_flag(capsys):
    with pytest.raises(SystemExit) as stop:
        train("--help", tiny=False)
    assert stop.value.code == 0
    told = capsys.readouterr().out
    for name in stored(DCGANOptions()).keys() - {"cache"}:
        flag = name.replace("_", "-")
        assert f"--{flag}" in told or f"--no-{flag}" in told


def test_plain_lines_tell_how_it_goes(tmp_path, capsys):
    assert train("--steps", 2, "--out", tmp_path / "run") == 0
    told = capsys.readouterr().out
    line = next(x for x in told.splitlines() if x.startswith("step 2/2"))
    for word in ("loss D", "loss G", "D(x)", "D(G(z))", "images/s", "left", "waiting for data"):
        assert word in line


def test_a_terminal_gets_a_bar(capsys):
    progress = Progress({"loss_G": "loss G"}, total=4, start=1, batch_size=8, terminal=True)
    for step in (2, 3, 4):
        progress.update({"step": step, "epoch": 1, "loss_G": 0.5, "seconds": 0.1}, waited=0.0)
    progress.close()
    told = capsys.readouterr()
    assert "4/4" in told.err
    assert "loss G 0.5" in told.err
    assert told.out == ""


BAD = {
    "no such folder": (["--data", "nowhere"], "nowhere"),
    "file for a folder": (["--data", "file.txt"], "file.txt"),
    "empty folder": (["--data", "empty"], "empty"),
    "no usable picture": (["--data", "broken"], "none of its 1 picture"),
    "batch larger than the data": (["--data", "few", "--batch-size", "64"], "batch size 64"),
    "batch larger than the drawn data": (["--batch-size", "41"], "batch size 41"),
    "image size": (["--image-size", "48"], "--image-size: invalid choice: 48"),
    "channels": (["--channels", "2"], "--channels"),
    "crop": (["--crop", "7"], "--crop: expected a share"),
    "no steps": (["--steps", "0"], "--steps: expected a whole number of 1 or more, got '0'"),
    "words for a number": (["--steps", "many"], "got 'many'"),
    "steps and epochs": (["--steps", "2", "--epochs", "2"], "not allowed with"),
    "data and dataset": (["--data", "few", "--dataset", "faces"], "not allowed with"),
    "learning rate": (["--lr", "nan"], "--lr: expected a number of at least 0"),
    "beta1": (["--beta1", "1"], "--beta1"),
    "seed": (["--seed", "-1"], "--seed"),
    "unknown flag": (["--windth", "3"], "--windth"),
    "unknown preset": (["--preset", "mona-lisa"], "no such preset; there are celebrity-relu"),
    "preset without data": (["--preset", "celeba"], "--data DIR"),
    "unknown system": (["stylegan"], "unknown system 'stylegan'; choose from dcgan, cyclegan"),
    "out is not empty": (["--out", "few"], "not empty"),
    "out is a file": (["--out", "file.txt"], "expected a folder"),
    "out under a file": (["--out", "file.txt/run"], "cannot be written"),
    "too large for memory": (["--batch-size", "40"], "--force"),
    "networks too large for memory": (["--width", "100000"], "lower --width"),
    "data too large for memory": (["--dataset-size", "9" * 12], "lower --dataset-size"),
    "resume nothing": (["--resume", "nowhere"], "no such run folder"),
    "resume no run": (["--resume", "few"], "not a run folder"),
}


@pytest.mark.parametrize(("words", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_one_clear_line_and_changes_nothing(
    words, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    free = 1 << (20 if "--force" in message else 32)
    monkeypatch.setattr("tinygan.machine.memory.available_bytes", lambda backend: free)
    (tmp_path / "file.txt").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.png").write_bytes(b"nothing")
    pictures(tmp_path / "few", 3)
    before = sorted(tmp_path.rglob("*"))
    size = [
        "--image-size",
        "16",
        "--width",
        "4",
        "--dataset-size",
        "40",
        "--batch-size",
        "32",
        "--no-cache",
        "--steps",
        "1",
    ]
    argv = words if words == ["stylegan"] else [*size, *words]
    assert train(*argv, tiny=False) == 2
    lines = [x for x in capsys.readouterr().err.splitlines() if not x.startswith("warning: ")]
    assert len(lines) == 1, lines
    assert message in lines[0]
    assert "error: " in lines[0]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(sys.modules.get("cupy") is not None, reason="CuPy is installed here")
def test_cupy_that_is_not_there_is_one_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert train("--backend", "cupy", "--steps", 1, "--out", tmp_path / "run") == 2
    assert "CuPy is not installed" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_the_same_training_on_cupy(strict_cupy, tmp_path, monkeypatch):
    assert train("--steps", 3, "--out", tmp_path / "cpu", "--sample-every", 9) == 0
    counts = []
    from tinygan.train import loop

    class Noting(loop._Keeper):
        def add(self, *args):
            counts.append([*strict_cupy.ledger.transfers, *strict_cupy.ledger.waits])
            super().add(*args)

    monkeypatch.setattr(loop, "_Keeper", Noting)
    words = ["--backend", "cupy", "--steps", 3, "--out", tmp_path / "gpu", "--sample-every", 9]
    assert train(*words) == 0
    for a, b in zip(timeless(tmp_path / "cpu"), timeless(tmp_path / "gpu"), strict=True):
        assert a == pytest.approx(b, rel=2e-3, abs=2e-3)
    # nothing in a step waits for the GPU; a step's metrics are waited for when the next one runs,
    # as is the upload of two steps ago
    assert counts[1] == [*counts[0], "get without waiting"]
    assert counts[2] == [*counts[1], "get without waiting", *2 * ["Event.synchronize"]]


def test_an_interrupt_before_the_first_step_leaves_nothing(tmp_path, monkeypatch, capsys):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinygan.models.dcgan.train_step", interrupted)
    assert train("--steps", 3, "--out", tmp_path / "runs" / "run") == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_a_signal_finishes_the_step_and_saves(number, tmp_path, monkeypatch, capsys):
    from tinygan.models import dcgan

    step, count = dcgan.train_step, iter(range(100))

    def signalled(*args, **kwargs):
        if next(count) == 4:
            os.kill(os.getpid(), number)
        return step(*args, **kwargs)

    monkeypatch.setattr("tinygan.models.dcgan.train_step", signalled)
    before = signal.getsignal(number)
    run = tmp_path / "run"
    assert train("--steps", 50, "--out", run) == 128 + number
    assert signal.getsignal(number) is before
    assert [row["step"] for row in rows(run)] == [1, 2, 3, 4, 5]
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["step-000005.safetensors"]
    assert f"--resume {run}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["train", "generate", "data", "gradcheck", "backend"])
def test_every_command_of_tinygan_is_there(command, capsys):
    from tinygan.__main__ import COMMANDS, main

    assert command in COMMANDS
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    assert f"tinygan {command}" in capsys.readouterr().out


def test_tinygan_by_itself_lists_its_commands(capsys):
    from tinygan.__main__ import COMMANDS, main

    assert main([]) == 0
    assert all(name in capsys.readouterr().out for name in list(COMMANDS)[:1])
    assert main(["dance"]) == 2
    assert "unknown command 'dance'" in capsys.readouterr().err


def test_as_a_process_of_its_own(tmp_path):
    words = [sys.executable, "-m", "tinygan", "train", *TINY, "--steps", "2", "--out", "run"]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert len(rows(tmp_path / "run")) == 2


def environment() -> dict:
    import tinygan

    root = os.path.dirname(os.path.dirname(tinygan.__file__))
    return {**os.environ, "PYTHONPATH": root}


def test_a_real_data_set(tmp_path):
    data = os.environ.get("TINYGAN_TEST_DATA")
    if not data:
        pytest.skip("TINYGAN_TEST_DATA is not set")
    words = ["--data", f"{data}/mnist/3", "--channels", 1, "--no-cache", "--image-size", 16]
    words += ["--width", 8, "--steps", 12, "--batch-size", 32, "--out", tmp_path / "run"]
    assert train(*words, tiny=False) == 0
    losses = [row["loss_D"] for row in rows(tmp_path / "run")]
    assert losses[-1] < losses[0]


def test_drawn_faces_are_those_of_the_seed():
    system = built(seed=5)
    assert (system.images == faces(40, 16, seed=5).images).all()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.parametrize(
    "words", [["--batch-size", "512", "--width", "8"], ["--batch-size", "64", "--width", "48"]]
)
def test_the_memory_forecast_is_about_right(words, tmp_path):
    """Of a whole process, against the largest memory that it held."""
    words = ["--dataset-size", "512", "--image-size", "32", "--steps", "3", *words]
    code = (
        "import sys; from tinygan.train.__main__ import main; main(sys.argv[1:]); "
        "print(open('/proc/self/status').read())"
    )
    words = [sys.executable, "-c", code, *words, "--backend", "numpy", "--out", "run"]
    done = subprocess.run(words, cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    forecast = float(re.search(r"will take about (\d+) MB of memory", done.stdout)[1])
    peak = int(re.search(r"VmHWM:\s*(\d+) kB", done.stdout)[1]) * 1024 / 1e6
    assert forecast == pytest.approx(peak, rel=0.25)
