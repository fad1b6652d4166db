"""Systems: anyone can add one, everything works for it, and no code runs because a run names it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training import rows, timeless

import tinygan
from tinygan import systems
from tinygan.errors import UserError
from tinygan.evaluate.__main__ import main as evaluate
from tinygan.generate.__main__ import main as generate
from tinygan.study.__main__ import main as study
from tinygan.systems.dcgan import DCGAN, DCGANOptions
from tinygan.train.__main__ import main as train
from tinygan.translate.__main__ import main as translate

ROOT = Path(__file__).resolve().parents[2]
MY_GAN = ROOT / "tutorials" / "my_gan.py"
SMALL = "--image-size 16 --width 4 --noise-size 8 --batch-size 4 --critic-steps 2 --dataset-size 40"
SMALL = [*SMALL.split(), "--backend", "numpy"]


def code(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").splitlines() if line.strip()]


# --- the third system ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def without_systems(tmp_path_factory):
    """A copy of the package from which both systems are deleted."""
    root = tmp_path_factory.mktemp("without")
    package = root / "tinygan"
    shutil.copytree(ROOT / "tinygan", package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "systems" / "dcgan.py").unlink()
    shutil.rmtree(package / "systems" / "cyclegan")
    listed = package / "systems" / "__init__.py"
    text, count = re.subn(r"SYSTEMS = \{.*?\n\}", "SYSTEMS = {}", listed.read_text(), flags=re.S)
    assert count == 1
    listed.write_text(text)
    shutil.copy(MY_GAN, root)
    return root


def run_there(root: Path, *words, status: int = 0) -> subprocess.CompletedProcess:
    done = subprocess.run(
        [sys.executable, "-m", *map(str, words)],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root), "TINYGAN_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_without_both_systems_a_third_one_does_everything(without_systems):
    root, again = without_systems, ["--system", "my_gan.py:WGAN"]
    every = ["--sample-every", 3, "--checkpoint-every", 2]
    run_there(
        root, "tinygan.train", "my_gan.py:WGAN", *SMALL, *every, "--steps", 6, "--out", "whole"
    )
    run_there(root, "tinygan.train", "my_gan.py:WGAN", *SMALL, *every, "--steps", 3, "--out", "run")
    told = run_there(root, "tinygan.train", "--resume", "run", *again, "--steps", 6).stdout
    assert "continuing run after step 3" in told
    assert timeless(root / "run") == timeless(root / "whole")
    a, b = (root / r / "samples" / "step-000006.png" for r in ("run", "whole"))
    assert a.read_bytes() == b.read_bytes()
    page = (root / "run" / "report.html").read_text("utf-8")
    assert "The critic&#39;s distance" in page
    assert "6 of 6" in page
    run_there(root, "tinygan.generate", "run", *again, "--count", 4, "--out", "a.png")
    assert Image.open(root / "a.png").size == (4 * 18 + 2, 18 + 2)
    run_there(root, "tinygan.generate", "run", *again, "--interpolate", "--out", "b.png")
    run_there(root, "tinygan.evaluate", "run", *again, "--count", 20)
    [result] = json.loads((root / "run" / "measures.json").read_text())["results"]
    assert list(result["sets"]) == ["data", "untrained", "trained"]
    run_there(root, "tinygan.study", "run", *again, "--pairs", 8)
    told = run_there(root, "tinygan.train", "dcgan", status=2).stderr
    assert "unknown system 'dcgan'; choose from none" in told


def test_the_third_system_is_one_short_file():
    assert len(MY_GAN.read_text("utf-8").splitlines()) <= 150


@pytest.fixture(scope="module")
def wgan_run(tmp_path_factory):
    """A run of the third system, and the file that it is from, both to be changed as one likes."""
    folder = tmp_path_factory.mktemp("wgan")
    file = Path(shutil.copy(MY_GAN, folder))
    assert train([f"{file}:WGAN", *SMALL, "--steps", "2", "--out", str(folder / "run")]) == 0
    return folder / "run", file


def test_its_weights_are_clipped_and_its_critic_takes_more_steps(wgan_run):
    run, file = wgan_run
    system = tinygan.load(run, system=f"{file}:WGAN").system
    weights = [abs(p.data).max() for p in system.networks["D"].parameters()]
    assert max(weights) == np.float32(0.01)  # some reached the edge, none passed it
    system.start()
    steps = {name: optimizer.steps for name, optimizer in system.optimizers.items()}
    with system.batches(0) as batches:
        system.step(next(batches), 0)
    after = {name: optimizer.steps for name, optimizer in system.optimizers.items()}
    assert (after["D"] - steps["D"], after["G"] - steps["G"]) == (2, 1)


def test_its_memory_forecast_comes_from_its_networks(wgan_run):
    run, file = wgan_run
    cls = type(tinygan.load(run, system=f"{file}:WGAN").system)
    forecasts = [cls(cls.Options(image_size=s, width=4)).step_bytes() for s in (16, 32, 64)]
    assert 3 * forecasts[0] < forecasts[1] < forecasts[2] / 3


# --- whose code runs ------------------------------------------------------------------------------


def test_the_run_records_the_file_and_a_copy_to_read(wgan_run):
    run, file = wgan_run
    config = json.loads((run / "config.json").read_text())
    noted = config["system_file"]
    assert (noted["name"], noted["class"]) == ("my_gan.py", "WGAN")
    assert re.fullmatch(r"[0-9a-f]{64}", noted["sha256"])
    assert (run / "my_gan.py").read_bytes() == file.read_bytes()
    assert config["system"] == "wgan"


@pytest.mark.parametrize("plant", ["copy", "place"])
def test_no_command_runs_code_because_a_run_names_it(
    plant, wgan_run, tmp_path, monkeypatch, capsys
):
    """Neither the copy in the run, nor a file of that name where the command is run."""
    run = Path(shutil.copytree(wgan_run[0], tmp_path / "run"))
    bomb = f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()\n"
    config = json.loads((run / "config.json").read_text())
    if plant == "copy":
        (run / "my_gan.py").write_text(bomb)
        (tmp_path / "my_gan.py").write_text(bomb)
    else:  # the system's own name is the file
        (tmp_path / "bomb.py").write_text(bomb)
        config["system"] = "bomb.py:WGAN"
        del config["system_file"]
        (run / "config.json").write_text(json.dumps(config))
    monkeypatch.chdir(tmp_path)
    checkpoint = next((run / "checkpoints").iterdir())
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.new("RGB", (16, 16)).save(pictures / "a.png")
    for main, words in (
        (train, ["--resume", run]),
        (generate, [run]),
        (generate, [checkpoint]),
        (translate, [run, "--input", pictures, "--out", "o"]),
        (evaluate, [run]),
        (study, [run]),
    ):
        assert main([*map(str, words)]) == 2, words
        [line] = capsys.readouterr().err.splitlines()
        asked = "--system my_gan.py:WGAN" in line
        assert asked or (plant == "place" and "unknown system 'bomb.py:WGAN'" in line), line
    for path in (run, checkpoint):
        with pytest.raises(UserError, match="system"):
            tinygan.load(path)
    assert not (tmp_path / "ran").exists()


def test_a_changed_file_is_a_warning_and_both_are_kept(wgan_run, tmp_path, capsys):
    run = Path(shutil.copytree(wgan_run[0], tmp_path / "run"))
    changed = tmp_path / "my_gan.py"
    changed.write_text(wgan_run[1].read_text("utf-8") + "\n# changed\n", "utf-8")
    words = [str(run), "--system", f"{changed}:WGAN", "--out", str(tmp_path / "a.png")]
    assert generate(words) == 0
    assert f"warning: {changed} has changed since this run began" in capsys.readouterr().err
    assert train([f"{changed}:WGAN", "--resume", str(run), "--steps", "3"]) == 0
    assert "has changed" in capsys.readouterr().err
    kept = {path.read_bytes() for path in run.glob("*.py")}
    assert kept == {wgan_run[1].read_bytes(), changed.read_bytes()}


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        (None, "gone.py:A", "expected FILE.py:CLASS"),
        ("x = 1\n1 / 0\n", "it.py:A", "it.py, line 2: its code failed: ZeroDivisionError"),
        ("def (\n", "it.py:A", "it.py, line 1: its code failed: SyntaxError"),
        ("x = 1\n", "it.py:A", "the systems in this file are: none"),
        ("from tinygan.systems.draws import Draws\nclass B(Draws): pass\n", "it.py:A", "are: B"),
    ],
)
def test_a_file_that_is_no_system_is_one_clear_line(text, name, message, tmp_path, capsys):
    if text is not None:
        (tmp_path / "it.py").write_text(text)
    assert train([str(tmp_path / name), "--steps", "1", "--out", str(tmp_path / "run")]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / "run").exists()


def test_the_wrong_system_for_a_run_is_said(wgan_run, shared_run, capsys):
    _, file = wgan_run
    assert generate([str(shared_run), "--system", f"{file}:WGAN"]) == 2
    assert "expected --system of a run of dcgan, got wgan" in capsys.readouterr().err
    assert train(["cyclegan", "--resume", str(shared_run)]) == 2
    assert "expected --system of a run of dcgan, got cyclegan" in capsys.readouterr().err


def test_nothing_is_left_of_a_run_that_never_took_a_step(wgan_run, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    cls = systems.find(f"{wgan_run[1]}:WGAN")
    monkeypatch.setattr(cls, "step", interrupted)
    words = [f"{wgan_run[1]}:WGAN", *SMALL, "--steps", "2", "--out", str(tmp_path / "run")]
    assert train(words) == 130
    assert list(tmp_path.iterdir()) == []


# --- the list and the base ------------------------------------------------------------------------


def test_an_entry_point_adds_a_system_for_good(monkeypatch):
    point = EntryPoint("mine", "tinygan.systems.dcgan:DCGAN", systems.GROUP)
    monkeypatch.setattr(systems, "entry_points", lambda group: [point])
    assert systems.names() == [*systems.SYSTEMS, "mine"]
    assert systems.find("mine") is DCGAN


def test_an_unknown_system_is_told_what_there_is():
    with pytest.raises(UserError, match="unknown system 'x'; choose from dcgan, cyclegan"):
        systems.find("x")


def test_the_optimizers_parameters_have_names():
    for name in systems.SYSTEMS:
        cls = systems.find(name)
        system = cls(cls.Options(image_size=16, width=2, dataset=cls.Options.drawn, dataset_size=4))
        system.optimizers = system.build_optimizers()
        found = [name for one in system.optimizers for name in system.updated(one)]
        every = [f"{n}.{key}" for n, x in system.networks.items() for key in x.named_parameters()]
        assert sorted(found) == sorted(every)
        first = next(iter(system.optimizers))
        del system.networks[next(iter(system.networks))]
        with pytest.raises(
            ValueError, match=rf"'{first}'.*its parameter 0 is in none of the networks"
        ):
            system.updated(first)


def test_a_subclass_never_takes_the_name_of_what_it_is_made_of():
    class Mine(DCGAN):
        pass

    assert Mine.name == "mine"
    assert DCGAN(DCGANOptions(image_size=16, width=1)).name == "dcgan"


@pytest.mark.parametrize("room", ["train", "runs", "generate", "translate", "evaluate", "study"])
def test_nothing_outside_the_systems_knows_one_by_name(room):
    """Names in docstrings, help and comments are for people; code asks the system."""
    for path in (ROOT / "tinygan" / room).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            words = []
            if isinstance(node, ast.Name | ast.Attribute):
                words = [node.id if isinstance(node, ast.Name) else node.attr]
            elif isinstance(node, ast.ImportFrom):
                words = [node.module or "", *(alias.name for alias in node.names)]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                words = [node.value] if len(node.value) < 40 else []
            for word in words:
                assert not re.search(r"dcgan|cyclegan", word, re.I), (path, word)


def test_generate_translate_evaluate_and_study_do_not_import_train():
    for room in ("generate", "translate", "evaluate", "study", "systems", "runs"):
        for path in (ROOT / "tinygan" / room).rglob("*.py"):
            assert "tinygan.train" not in re.sub(r"python -m tinygan\.train", "", path.read_text())


def test_the_run_folder_of_the_third_system_is_like_any_other(wgan_run):
    run, _ = wgan_run
    inside = {p.name for p in run.iterdir()} - {".lock", "my_gan.py"}
    assert inside == {
        "config.json", "metrics.jsonl", "losses.png", "report.html", "watch.jsonl", "samples",
        "checkpoints",
    }  # fmt: skip
    assert list(rows(run)[0]) == ["step", "epoch", "distance", "loss_G", "seconds"]
