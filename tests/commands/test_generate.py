"""Pictures from a trained DCGAN."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file
from training import train

import tinygan
from tinygan.generate.__main__ import main
from tinygan.runs.checkpoint import load_system
from tinygan.runs.run import Run, load
from tinygan.systems.dcgan import DCGAN, DCGANOptions
from tinygan.systems.draws import truncate


@pytest.fixture
def run(shared_run):
    return shared_run


FIXTURES = Path(__file__).parents[1] / "fixtures"


def generate(*words) -> int:
    return main([*map(str, words), "--backend", "numpy"])


def cells(path, columns, size=16, gutter=2):
    """Cut a grid into its pictures."""
    grid = np.asarray(Image.open(path))
    rows, step = (grid.shape[0] - gutter) // (size + gutter), size + gutter
    assert grid.shape[1] == columns * step + gutter
    return [
        grid[r * step + gutter : (r + 1) * step, c * step + gutter : (c + 1) * step]
        for r in range(rows)
        for c in range(columns)
    ]


def test_it_makes_as_many_pictures_as_asked_for(run, tmp_path, capsys):
    assert generate(run, "--count", 10, "--columns", 4, "--out", tmp_path / "a.png") == 0
    found = cells(tmp_path / "a.png", 4)
    assert len(found) == 12
    assert all((cell == 255).all() == (i >= 10) for i, cell in enumerate(found))
    assert len({cell.tobytes() for cell in found[:10]}) == 10
    assert str(tmp_path / "a.png") in capsys.readouterr().out


def test_the_pictures_are_those_of_the_trained_generator(run, tmp_path):
    assert generate(run, "--count", 3, "--columns", 3, "--out", tmp_path / "a.png") == 0
    [checkpoint] = run.glob("checkpoints/step-000007.safetensors")
    system = DCGAN(load(run).options)
    system.start()
    load_system(checkpoint, system)
    images = system.networks["G"].predict(load(run).noise(3))
    expected = np.rint((images + 1) * 127.5)
    for cell, image in zip(cells(tmp_path / "a.png", 3), expected, strict=True):
        assert np.abs(cell - image).max() <= 1


def test_the_seed_decides(run, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = ["--count", 4, "--columns", 4, "--seed", seed]
        assert generate(run, *words, "--out", tmp_path / f"{name}.png") == 0
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a == b
    assert a != c


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_interpolation_walks_from_one_noise_to_another(distribution):
    small = DCGANOptions(noise_size=50, noise=distribution, image_size=16, width=1)
    run = Run(None, SimpleNamespace(path=None, step=0), DCGAN(small))
    z = run.noise(12, 3, True, 6).reshape(2, 6, 50)
    ends = run.noise(4, 3).reshape(2, 2, 50)
    np.testing.assert_allclose(z[:, [0, -1]], ends, atol=1e-5)
    steps = np.linalg.norm(np.diff(z, axis=1), axis=-1)
    np.testing.assert_allclose(steps, steps[:, :1].repeat(5, 1), rtol=0.25)
    if distribution == "normal":  # an arc keeps the length, a straight way would lose 30 %
        length = np.linalg.norm(z, axis=-1)
        assert length.min() > 0.95 * length[:, [0, -1]].min()


def test_one_checkpoint_alone_is_enough(run, tmp_path):
    checkpoint = run / "checkpoints" / "step-000007.safetensors"
    moved = tmp_path / "elsewhere.safetensors"
    moved.write_bytes(checkpoint.read_bytes())
    assert generate(moved, "--count", 4, "--out", tmp_path / "a.png") == 0
    assert generate(run, "--count", 4, "--out", tmp_path / "b.png") == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_best_checkpoint_may_be_used(tmp_path, monkeypatch, capsys):
    scores = iter([2.0, 1.0, 3.0])
    monkeypatch.setattr(DCGAN, "score", lambda self: next(scores))
    words = ["--checkpoint-every", 1, "--keep", 1, "--out", tmp_path / "run"]
    assert train("--steps", 3, *words) == 0
    for flags, step in (((), 3), (("--best",), 2)):
        out = tmp_path / f"{step}.png"
        assert generate(tmp_path / "run", "--count", 4, "--out", out, *flags) == 0
        assert f"step-00000{step}.safetensors" in capsys.readouterr().out
    assert (tmp_path / "2.png").read_bytes() != (tmp_path / "3.png").read_bytes()


def test_nothing_is_overwritten_without_force(run, tmp_path, capsys):
    out = tmp_path / "mine.png"
    out.write_text("mine")
    assert generate(run, "--count", 2, "--out", out) == 2
    assert "--force" in capsys.readouterr().err
    assert out.read_text() == "mine"
    assert generate(run, "--count", 2, "--out", out, "--force") == 0
    assert Image.open(out).format == "PNG"


def bad_runs(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "fresh").mkdir()
    config = {"format": "tinygan run 1", "system": "dcgan"}
    (tmp_path / "fresh" / "config.json").write_text(json.dumps(config))
    other = next((FIXTURES / "run_format_1").rglob("cyclegan/**/*.safetensors"))
    shutil.copy(other, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("no tensors in here")
    for name, options in (("without", {}), ("strange", {"image_size": "../..", "channels": []})):
        info = json.dumps({"step": 1, "system": "dcgan", "options": options})
        metadata = {"format": "tinygan checkpoint 1", "tinygan": info}
        save_file({"x": np.zeros(1)}, tmp_path / f"{name}.safetensors", metadata)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "no such run folder"),
        (["empty"], "not a run folder"),
        (["fresh"], "no checkpoint yet"),
        (["other.safetensors"], "a cyclegan does not draw images; it translates them"),
        (["text.safetensors"], "cannot be read as a checkpoint"),
        (["without.safetensors"], "its options are damaged"),
        (["strange.safetensors"], "its options are damaged"),
        (["fresh", "--count", "0"], "--count"),
        (["fresh", "--out", "grid.jpeg"], "expected the name of a .png file"),
        (["fresh", "--out", "empty.png"], "no checkpoint yet"),
        (["fresh", "--out", "fresh"], "expected a new or an empty folder"),
        (["fresh", "--scale", "0"], "--scale"),
        (["fresh", "--over-time"], "expected --out FILE.webp, .gif or .mp4"),
        (["fresh", "--over-time", "--out", "a.gif"], "there are no samples in it"),
        (["other.safetensors", "--over-time", "--out", "a.gif"], "expected a run folder"),
        (["other.safetensors", "--out", "a.webp"], "a cyclegan does not draw images"),
        ([], "required"),
    ],
)
def test_bad_input_is_one_clear_line(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    bad_runs(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert generate(*words) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert sorted(tmp_path.rglob("*")) == before


def test_on_cupy(run, tmp_path, strict_cupy):
    assert generate(run, "--count", 4, "--out", tmp_path / "cpu.png") == 0
    assert (
        main([str(run), "--count", "4", "--out", str(tmp_path / "gpu.png"), "--backend=cupy"]) == 0
    )
    a, b = (np.asarray(Image.open(tmp_path / f"{x}.png"), int) for x in ("cpu", "gpu"))
    assert np.abs(a - b).max() <= 1


# --- other forms than the sheet -------------------------------------------------------------------


def test_a_folder_gets_one_file_a_picture_of_exactly_its_size(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tinygan.generate.forms._AT_ONCE", 3)
    words = ["--count", 7, "--columns", 7]
    assert generate(run, *words, "--out", tmp_path / "single") == 0
    assert generate(run, *words, "--out", tmp_path / "sheet.png") == 0
    files = sorted((tmp_path / "single").iterdir())
    assert [file.name for file in files] == [f"{i:06d}.png" for i in range(7)]
    for file, cell in zip(files, cells(tmp_path / "sheet.png", 7), strict=True):
        with Image.open(file) as opened:  # as clean-fid, torch-fidelity and pytorch-fid read them
            assert (opened.format, opened.mode, opened.size) == ("PNG", "RGB", (16, 16))
            picture = np.asarray(opened)
        assert np.abs(picture.astype(int) - cell).max() <= 1  # another batch, another rounding


def test_a_folder_is_whole_or_not_there_and_nothing_in_it_is_replaced(run, tmp_path, capsys):
    out = tmp_path / "mine"
    out.mkdir()
    (out / "000000.png").write_text("mine")
    assert generate(run, "--count", 2, "--out", out, "--force") == 2
    assert "expected a new or an empty folder" in capsys.readouterr().err
    assert (out / "000000.png").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert generate(run, "--count", 2, "--out", tmp_path / "empty") == 0
    assert len(list((tmp_path / "empty").iterdir())) == 2


@pytest.mark.parametrize("form", ["sheet.png", "single"])
def test_scale_makes_squares_of_pixels(run, tmp_path, form):
    for scale in (1, 3):
        out = tmp_path / str(scale) / form
        assert generate(run, "--count", 2, "--columns", 2, "--scale", scale, "--out", out) == 0
    if form == "single":
        small, large = (np.asarray(Image.open(tmp_path / n / form / "000001.png")) for n in "13")
    else:
        small = cells(tmp_path / "1" / form, 2)[1]
        large = cells(tmp_path / "3" / form, 2, size=48)[1]
    np.testing.assert_array_equal(small.repeat(3, axis=0).repeat(3, axis=1), large)


@pytest.mark.parametrize("kind", ["webp", "gif"])
def test_an_animation_walks_in_a_circle(run, tmp_path, kind, monkeypatch):
    def draw(self, z):  # of one colour each, which shows where in z it is
        return np.broadcast_to(z[:, None, None, :3], (len(z), 16, 16, 3))

    monkeypatch.setattr(DCGAN, "draw", draw)
    out = tmp_path / f"walk.{kind}"
    words = ["--count", 3, "--columns", 3, "--frames", 8, "--scale", 2]
    assert generate(run, *words, "--out", out) == 0
    with Image.open(out) as animation:
        assert animation.n_frames == 8
        assert animation.size == (3 * 34 + 2, 34 + 2)
        assert animation.info["loop"] == 0
        frames = []
        for i in range(8):
            animation.seek(i)
            frames.append(np.asarray(animation.convert("RGB"), float))
    assert generate(run, *words[:4], "--scale", 2, "--out", tmp_path / "a.png") == 0
    first = np.asarray(Image.open(tmp_path / "a.png"), float)
    assert np.abs(frames[0] - first).mean() < 8  # the sheet of the same seed, compressed


def test_a_walk_steps_evenly_and_comes_back(run):
    opened = load(run)
    z = opened.walk(count=5, frames=40, seed=3)
    assert z.shape == (40, 5, 8)
    assert z.dtype == np.float32
    np.testing.assert_array_equal(z[0], opened.noise(5, 3))
    steps = np.linalg.norm(np.diff(np.concatenate([z, z[:1]]), axis=0), axis=-1)
    legs = steps.reshape(4, 10, 5)
    np.testing.assert_allclose(legs, legs[:, :1].repeat(10, axis=1), rtol=1e-4)


def test_the_samples_of_a_run_become_an_animation(tmp_path, capsys):
    (tmp_path / "samples").mkdir()
    for step, color in ((5, "red"), (10, "green"), (100, "blue")):
        Image.new("RGB", (12, 8), color).save(tmp_path / "samples" / f"step-{step:06d}.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "samples" / "step-000001.png")  # of another size
    (tmp_path / "samples" / "step-000050.png").write_text("damaged")
    assert generate(tmp_path, "--over-time", "--scale", 2, "--out", tmp_path / "a.webp") == 0
    assert "3 sheets" in capsys.readouterr().out
    with Image.open(tmp_path / "a.webp") as animation:
        assert (animation.n_frames, animation.size) == (3, (24, 16))
        for i, color in enumerate([(255, 0, 0), (0, 128, 0), (0, 0, 255)]):
            animation.seek(i)
            shown = np.asarray(animation.convert("RGB"), float)
            np.testing.assert_allclose(shown.mean(axis=(0, 1)), color, atol=12)


@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("limit", [0.2, 0.7, 2.5])
def test_truncated_noise_is_the_noise_given_that_it_is_within_the_limit(kind, limit):
    rng = np.random.default_rng(0)
    z = rng.uniform(-1, 1, (400, 100)) if kind == "uniform" else rng.standard_normal((400, 100))
    z = z.astype(np.float32)
    found = truncate(z, limit, kind, rng)
    assert found.dtype == np.float32
    assert abs(found).max() <= np.float32(limit)
    within = z[abs(z) <= limit]
    quantiles = np.linspace(0.05, 0.95, 10)
    np.testing.assert_allclose(
        np.quantile(found, quantiles), np.quantile(within, quantiles), atol=0.03 * limit
    )
    if kind == "normal":  # what was within is left alone
        np.testing.assert_array_equal(found[abs(z) <= limit], within)


def test_truncation_makes_pictures_more_alike(run, tmp_path):
    opened = load(run)
    plain, near = (opened.generate(32, truncation=limit) for limit in (None, 0.2))
    assert near.std(axis=0).mean() < plain.std(axis=0).mean() / 2
    np.testing.assert_array_equal(opened.generate(3, truncation=1.0), opened.generate(3))
    words = ["--count", 4, "--columns", 4]
    for name, more in (("a", ()), ("b", ("--truncation", 0.2)), ("c", ("--truncation", 0.2))):
        assert generate(run, *words, *more, "--out", tmp_path / f"{name}.png") == 0
    a, b, c = ((tmp_path / f"{name}.png").read_bytes() for name in "abc")
    assert a != b == c


def test_a_run_or_the_demo_is_named(run, tmp_path, capsys):
    out = ["--out", tmp_path / "a.png"]
    assert generate(*out) == 2
    assert "one of the arguments RUN --demo is required" in capsys.readouterr().err
    assert generate(run, "--demo", *out) == 2
    assert "--demo: not allowed with argument RUN" in capsys.readouterr().err
    assert not (tmp_path / "a.png").exists()


def text_in(path):
    """All that a picture's file says beside its pixels."""
    with Image.open(path) as picture:
        picture.load()
        held = [picture.info.get(key, "") for key in ("Software", "comment")]
        held.append(picture.getexif().get(0x0131, ""))
    return " ".join(x.decode() if isinstance(x, bytes) else x for x in held).strip()


@pytest.mark.parametrize("out", ["sheet.png", "single", "walk.webp", "walk.gif"])
def test_files_say_who_made_them_and_nothing_of_the_user(run, tmp_path, out):
    said = f"made with tinygan {tinygan.__version__} (dcgan, step 7, seed 3)"
    words = ["--count", 2, "--frames", 2, "--seed", 3]
    for more, expected in (([], said), (["--no-metadata"], "")):
        target = tmp_path / "secret" / f"{len(more)}{out}"
        assert generate(run, *words, *more, "--out", target) == 0
        files = sorted(target.iterdir()) if out == "single" else [target]
        for file in files:
            assert text_in(file) == expected
            content = file.read_bytes()
            assert b"secret" not in content
            assert run.name.encode() not in content.replace(said.encode(), b"")
    assert generate(run, "--over-time", "--out", tmp_path / "time.gif") == 0
    assert text_in(tmp_path / "time.gif") == f"made with tinygan {tinygan.__version__}"
