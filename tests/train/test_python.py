"""Training from Python and notebooks: `tinygan.fit` and `tinygan.load`."""

import shutil
import signal
import subprocess
import sys
import types
import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from training import timeless

import tinygan
from tinygan.errors import UserError
from tinygan.machine import parallel
from tinygan.options.base import inherit
from tinygan.runs.header import read_checkpoint
from tinygan.systems.dcgan import DCGAN, DCGANOptions

TINY = {
    "dataset": "faces",
    "dataset_size": 40,
    "image_size": 16,
    "width": 4,
    "noise_size": 8,
    "batch_size": 8,
    "backend": "numpy",
    "quiet": True,
}


def test_a_run_is_opened_with_all_that_it_has(shared_run):
    run = tinygan.load(shared_run)
    assert (run.step, run.path) == (7, shared_run)
    assert run.options.image_size == 16
    assert [row["step"] for row in run.history] == list(range(1, 8))
    assert list(run.networks) == ["G", "D"]
    images = run.generate(5, seed=3)
    assert images.shape == (5, 16, 16, 3)
    np.testing.assert_array_equal(images, run.networks["G"].predict(run.noise(5, seed=3)))
    assert "dcgan" in repr(run)


def test_a_checkpoint_alone_is_opened_too(shared_run, tmp_path):
    file = shutil.copy(shared_run / "checkpoints" / "step-000004.safetensors", tmp_path)
    run = tinygan.load(file)
    assert (run.step, run.path, run.history) == (4, None, [])
    assert run.generate(2).shape == (2, 16, 16, 3)


def test_images_show_themselves_as_a_grid_in_a_notebook(shared_run):
    images = tinygan.load(shared_run).generate(9)
    assert images._repr_png_().startswith(b"\x89PNG")
    assert images.mean(axis=0)._repr_png_() is None
    assert images[..., :1]._repr_png_().startswith(b"\x89PNG")


def test_what_a_run_cannot_do_is_said(shared_run):
    run = tinygan.load(shared_run)
    with pytest.raises(UserError, match="a dcgan does not translate images; it draws them"):
        run.translate(np.zeros((1, 16, 16, 3), np.uint8))


def test_fit_is_what_the_command_does(shared_run, tmp_path):
    seen = []
    run = tinygan.fit(
        "dcgan",
        **TINY,
        steps=7,
        sample_every=3,
        checkpoint_every=2,
        keep=9,
        out=tmp_path / "run",
        callbacks=[lambda system, row: seen.append((system.name, row["step"]))],
    )
    assert timeless(run.path) == timeless(shared_run)
    assert seen == [("dcgan", step) for step in range(1, 8)]
    again = tinygan.fit(resume=run.path, steps=9, quiet=True)
    assert (run.step, again.step) == (7, 9)


def test_fit_takes_a_class_of_a_notebook(tmp_path):
    @dataclass
    class MineOptions(DCGANOptions):
        negative_slope: float = inherit(DCGANOptions, "negative_slope", 0.3)

    class Mine(DCGAN):
        Options = MineOptions

    run = tinygan.fit(Mine, **TINY, steps=1, out=tmp_path / "run")
    assert run.options.negative_slope == 0.3
    assert tinygan.load(run.path, system=Mine).step == 1
    with pytest.raises(UserError, match="unknown system 'mine'"):
        tinygan.load(run.path)


def test_nothing_in_the_process_is_changed(tmp_path, capsys):
    def state():
        handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
        return warnings.showwarning, handlers, parallel.get_num_threads(), sys.stdout, sys.stderr

    before = state()
    tinygan.fit("dcgan", **TINY, steps=1, threads=3, out=tmp_path / "run")
    assert state() == before
    assert capsys.readouterr() == ("", "")


def test_the_allocator_is_left_alone(tmp_path):
    code = (
        "import tinygan.machine.allocator as a, tinygan\n"
        "a.ctypes = None  # what sets it would fail\n"
        f"tinygan.fit('dcgan', **{TINY}, steps=1, out={str(tmp_path / 'run')!r})\n"
        "from tinygan.train.__main__ import main\n"
        "main(['--help'])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_a_callback_that_raises_ends_the_run_with_a_checkpoint_and_its_own_traceback(tmp_path):
    def stop_at_three(system, row):
        if row["step"] == 3:
            raise ZeroDivisionError("mine")

    run = tmp_path / "run"
    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        tinygan.fit("dcgan", **TINY, steps=9, callbacks=[stop_at_three], out=run)
    assert caught.traceback[-1].name == "stop_at_three"
    [checkpoint] = (run / "checkpoints").iterdir()
    assert read_checkpoint(checkpoint).step == 3
    assert "a callback raised ZeroDivisionError" in (run / "report.html").read_text("utf-8")
    tinygan.fit(resume=run, steps=4, quiet=True)
    whole = tinygan.fit("dcgan", **TINY, steps=4, out=tmp_path / "whole")
    assert timeless(run) == timeless(whole.path)


def test_out_of_memory_says_what_was_forecast_and_which_flag_lowers_it(tmp_path, monkeypatch):
    def step(*_):
        raise MemoryError("1 TB")

    monkeypatch.setattr(DCGAN, "step", step)
    words = r"out of memory: 1 TB; the forecast was that training will take about .*--batch-size"
    with pytest.raises(MemoryError, match=words):
        tinygan.fit("dcgan", **TINY, steps=1, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("system", "options", "message"),
    [
        ("x", {}, "unknown system 'x'; choose from dcgan, cyclegan"),
        (None, {}, "name a system: dcgan, cyclegan"),
        ("dcgan", {"learning_rate": 1}, "fit: unknown option 'learning_rate'"),
        (
            "dcgan",
            {"steps": "many"},
            "fit: steps: expected a whole number of 1 or more, got 'many'",
        ),
        ("dcgan", {"data": "nowhere"}, "there is no such folder"),
        ("dcgan", {"resume": "nowhere"}, "no such run folder"),
        ("dcgan", {"resume": 5}, "fit: resume: expected .*, got 5"),
        ("dcgan", {"data": np.zeros((9, 9))}, "fit: data: expected .*, got array"),
        ("dcgan", {"range": (1, 0)}, "fit: range: expected two numbers.*, got .1, 0."),
        ("dcgan", {"callbacks": None}, "callbacks: expected a list of functions.*, got None"),
        ("dcgan", {"callbacks": print}, "callbacks: expected a list of functions"),
        ("dcgan", {"callbacks": [print, 5]}, "callbacks: expected a list of functions"),
        (5, {}, "system: expected a name, .*, got 5"),
        (b"dcgan", {}, "system: expected a name"),
        (["dcgan"], {}, "system: expected a name"),
        (int, {}, "system: expected a name, .*, got <class 'int'>"),
    ],
)
def test_bad_input_is_a_user_error(system, options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message) as caught:
        tinygan.fit(system, quiet=True, **options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("generate", {"count": -1}, "count: expected an integer of at least 0, got -1"),
        ("generate", {"count": 1.5}, "count: expected an integer"),
        ("generate", {"count": "4"}, "count: expected an integer"),
        ("generate", {"count": True}, "count: expected an integer"),
        ("generate", {"columns": 0, "interpolate": True}, "columns: expected an integer"),
        ("generate", {"truncation": 0}, "truncation: expected a number"),
        ("generate", {"truncation": -1}, "truncation: expected a number"),
        ("generate", {"truncation": float("nan")}, "truncation: expected a number"),
        ("generate", {"truncation": "x"}, "truncation: expected a number"),
        ("noise", {"count": None}, "count: expected an integer"),
        ("walk", {"count": 0}, "count: expected an integer of at least 1, got 0"),
        ("walk", {"frames": 0}, "frames: expected an integer of at least 1, got 0"),
        ("walk", {"frames": 2.5}, "frames: expected an integer"),
    ],
)
def test_numbers_that_make_no_sense_are_named(shared_run, method, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(tinygan.load(shared_run), method)(**arguments)


def test_no_images_and_one_row_of_many_columns(shared_run):
    run = tinygan.load(shared_run)
    assert run.generate(0).shape == (0, 16, 16, 3)
    few = run.noise(3, interpolate=True, columns=10**15)
    np.testing.assert_array_equal(few, run.noise(3, interpolate=True, columns=3))


def test_floats_of_any_kind_are_taken(shared_run):
    system = tinygan.load(shared_run).system
    z = system.noise(2, 0).astype(np.float32)
    for kind in ("float64", "float16", ">f4"):
        np.testing.assert_allclose(system.draw(z.astype(kind)), system.draw(z), atol=1e-2)


def test_in_a_notebook_the_samples_are_shown_in_one_place(tmp_path, monkeypatch):
    shown = []

    class Handle:
        def update(self, image):
            shown.append(("update", image.filename))

    class Image:
        def __init__(self, filename):
            self.filename = filename

    def display(image, display_id):
        shown.append(("display", image.filename))
        return Handle()

    module = types.ModuleType("IPython.display")
    module.Image, module.display = Image, display
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    run = tmp_path / "run"
    tinygan.fit("dcgan", **{**TINY, "quiet": False}, steps=4, sample_every=2, out=run)
    samples = [str(run / "samples" / f"step-00000{step}.png") for step in (2, 4)]
    assert shown == [("display", samples[0]), ("update", samples[1])]


def test_importing_tinygan_imports_neither_training_nor_runs():
    code = (
        "import sys, tinygan\n"
        "rooms = ('train', 'runs', 'systems', 'data')\n"
        "print([m for m in sys.modules if m.split('.')[:1] == ['tinygan']\n"
        "       and m.split('.')[1:2] and m.split('.')[1] in rooms])\n"
        "tinygan.load, tinygan.fit"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
