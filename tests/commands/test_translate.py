"""Pictures through a trained CycleGAN, by command."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
from picture_files import png
from PIL import Image
from test_train_cyclegan import train

import tinygan
from tinygan.data import load_image
from tinygan.runs.checkpoint import load_network
from tinygan.runs.run import load
from tinygan.systems.cyclegan import CycleGAN
from tinygan.translate import pictures
from tinygan.translate.__main__ import main
from tinygan.translate.pictures import translate_picture


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("translate") / "run"
    assert train("--steps", 2, "--downsamplings", 2, "--norm", "instance", "--out", out) == 0
    return out


def translate(*words) -> int:
    return main([*map(str, words), "--backend", "numpy"])


def picture(path, size=(22, 30), mode="RGB", seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)
    return path


@pytest.mark.parametrize(("direction", "name"), [("AtoB", "G"), ("BtoA", "F")])
def test_each_direction_is_its_generator(run, tmp_path, direction, name):
    source = picture(tmp_path / "in.png", size=(24, 32))
    assert (
        translate(run, "--direction", direction, "--input", source, "--out", tmp_path / "out") == 0
    )
    opened = load(run)
    generator = CycleGAN(opened.options).networks[name]
    load_network(opened.checkpoint, generator, name)
    x = load_image(source)[None].astype(np.float32) / 127.5 - 1
    expected = np.rint((generator.predict(x)[0] + 1) * 127.5)
    got = load_image(tmp_path / "out" / "in.png").astype(float)
    assert got.shape == expected.shape
    assert abs(got - expected).max() <= 1


class Recorder:
    """A system that makes each pixel `factor` × `factor` and notes the shapes it was given."""

    def __init__(self, multiple, factor):
        self.multiple, self.factor, self.shapes = multiple, factor, []

    def translate(self, images, direction):
        self.shapes.append(images.shape)
        x = images.astype(np.float32) / 127.5 - 1
        return x.repeat(self.factor, axis=1).repeat(self.factor, axis=2)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 5), (7, 8), (8, 8), (9, 31), (64, 33)])
@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("factor", [1, 4])
def test_any_size_is_padded_to_the_stride_and_cut_back(size, stride, factor):
    system = Recorder(stride, factor)
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    expected = pixels.repeat(factor, axis=0).repeat(factor, axis=1)
    np.testing.assert_array_equal(translate_picture(system, pixels, "up"), expected)
    ((_, height, width, _),) = system.shapes
    for padded, own in ((height, size[0]), (width, size[1])):
        assert padded % stride == 0
        assert padded >= 2 * stride
        assert padded - own < stride or padded == 2 * stride


def test_a_folder_of_any_sizes_and_kinds_keeps_its_names(run, tmp_path, capsys):
    source = tmp_path / "in"
    picture(source / "a.png", (17, 23))
    picture(source / "deep" / "b.jpg", (40, 9))
    picture(source / "c.bmp", (8, 8), "L")
    picture(source / "d.gif", (20, 21), "P")  # cannot be written as well: becomes a PNG
    (source / "notes.txt").write_text("no picture")
    assert translate(run, "--input", source, "--out", tmp_path / "out") == 0
    found = {p.relative_to(tmp_path / "out").as_posix(): p for p in tmp_path.glob("out/**/*.*")}
    assert found.keys() == {"a.png", "deep/b.jpg", "c.bmp", "d.png"}
    sizes = {name: Image.open(path).size for name, path in found.items()}
    assert sizes == {"a.png": (23, 17), "deep/b.jpg": (9, 40), "c.bmp": (8, 8), "d.png": (21, 20)}
    assert "4 of 4 pictures" in capsys.readouterr().out


def test_an_archive_is_translated_as_its_folder_is(run, tmp_path, capsys):
    source = tmp_path / "in"
    for i, name in enumerate(["a.png", "deep/b.png"]):
        picture(source / name, seed=i)
    archive = shutil.make_archive(str(tmp_path / "all"), "zip", source)
    for given, out in ((source, "one"), (archive, "two")):
        assert translate(run, "--input", given, "--out", tmp_path / out) == 0
    for name in ("a.png", "deep/b.png"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert "2 of 2 pictures" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "bmp"])
def test_files_say_who_made_them(run, tmp_path, kind):
    from test_generate import text_in

    source = picture(tmp_path / f"a.{kind}")
    said = f"made with tinygan {tinygan.__version__} (cyclegan, step 2)"
    for out, more, expected in (("one", [], said), ("two", ["--no-metadata"], "")):
        assert translate(run, "--input", source, "--out", tmp_path / out, *more) == 0
        found = text_in(tmp_path / out / f"a.{kind}")
        assert set(found.split(said)) <= {"", " "}
        assert (said in found) == (expected != "" and kind != "bmp")
    one, two = (np.asarray(Image.open(tmp_path / out / f"a.{kind}")) for out in ("one", "two"))
    assert (one == two).all()


def test_size_scales_the_shorter_side(run, tmp_path):
    picture(tmp_path / "in" / "a.png", (40, 60))
    assert translate(run, "--input", tmp_path / "in", "--out", tmp_path / "out", "--size", 20) == 0
    assert Image.open(tmp_path / "out" / "a.png").size == (30, 20)


def test_pairs_show_each_picture_beside_its_translation(run, tmp_path):
    source = picture(tmp_path / "in.png", size=(24, 33))
    for name, words in (("alone", []), ("pairs", ["--pairs"])):
        assert translate(run, *words, "--input", source, "--out", tmp_path / name) == 0
    alone, pair = (load_image(tmp_path / name / "in.png") for name in ("alone", "pairs"))
    assert pair.shape == (24, 33 + 4 + 33, 3)
    np.testing.assert_array_equal(pair[:, :33], load_image(source))
    assert (pair[:, 33:37] == 255).all()
    np.testing.assert_array_equal(pair[:, 37:], alone)


def test_a_pair_of_a_system_that_enlarges_has_one_height():
    small, made = np.zeros((3, 5, 1), np.uint8), np.ones((6, 10, 1), np.uint8)
    pair = pictures.side_by_side(small, made)
    assert pair.shape == (6, 10 + 4 + 10, 1)
    assert (pair[:, :10] == 0).all()


def test_raw_translates_with_the_last_weights(run, tmp_path):
    source = picture(tmp_path / "in.png", size=(24, 32))
    for name, words in (("average", []), ("raw", ["--raw"])):
        assert translate(run, *words, "--input", source, "--out", tmp_path / name) == 0
    average, raw = (load_image(tmp_path / name / "in.png") for name in ("average", "raw"))
    assert (average != raw).any()


def test_nothing_is_overwritten_without_force(run, tmp_path, capsys):
    picture(tmp_path / "in" / "a.png")
    picture(tmp_path / "in" / "b.png")
    mine = tmp_path / "out" / "b.png"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    words = [run, "--input", tmp_path / "in", "--out", tmp_path / "out"]
    assert translate(*words) == 2
    assert (
        "b.png is there already; --skip-existing keeps it, --force replaces it"
        in capsys.readouterr().err
    )
    assert [p.name for p in mine.parent.iterdir()] == ["b.png"]  # nothing was begun
    assert mine.read_bytes() == b"mine"
    assert translate(*words, "--force") == 0
    assert Image.open(mine).size == (30, 22)


def test_the_input_itself_is_never_replaced(run, tmp_path, capsys):
    source = picture(tmp_path / "in" / "a.png")
    before = source.read_bytes()
    words = [run, "--input", source.parent, "--out", source.parent, "--force"]
    assert translate(*words) == 2
    assert "would be replaced by their translations" in capsys.readouterr().err
    assert source.read_bytes() == before


def outputs(path):
    return sorted(p.relative_to(path).as_posix() for p in path.rglob("*") if not p.is_dir())


def test_two_files_that_would_become_one_become_two(run, tmp_path):
    picture(tmp_path / "in" / "a.png")
    for name in ("a.gif", "a.tif", "b.tif"):
        picture(tmp_path / "in" / name, mode="L")
    words = [run, "--input", tmp_path / "in", "--out", tmp_path / "out"]
    assert translate(*words) == 0
    assert outputs(tmp_path / "out") == ["a.gif.png", "a.png", "a.tif.png", "b.png"]
    assert translate(*words, "--skip-existing") == 0


def test_a_folder_in_the_input_for_the_output_is_no_input(run, tmp_path, capsys):
    picture(tmp_path / "in" / "a.png")
    out = tmp_path / "in" / "made" / "here"
    words = [run, "--input", tmp_path / "in", "--out", out]
    assert translate(*words) == 0
    capsys.readouterr()
    for _ in range(2):
        assert translate(*words, "--force") == 0
        streams = capsys.readouterr()
        assert "1 of 1 pictures" in streams.out
        assert "1 pictures in" in streams.err
    assert outputs(tmp_path / "in") == ["a.png", "made/here/a.png"]
    (tmp_path / "in" / "link").symlink_to(out)
    assert translate(*words, "--force") == 0
    assert outputs(out) == ["a.png"]


def test_runs_in_the_input_are_named_and_left_out(run, tmp_path, capsys):
    picture(tmp_path / "in" / "a.png")
    shutil.copytree(run, tmp_path / "in" / "run")
    assert translate(run, "--input", tmp_path / "in", "--out", tmp_path / "out") == 1
    assert "in/run: a run of tinygan" in capsys.readouterr().err
    assert outputs(tmp_path / "out") == ["a.png"]
    assert translate(run, "--input", run, "--out", tmp_path / "out2") == 2
    assert "a run of tinygan" in capsys.readouterr().err


def test_what_is_there_is_skipped_on_request(run, tmp_path, capsys):
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / "in" / name)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b.png").write_bytes(b"mine")
    words = [run, "--input", tmp_path / "in", "--out", tmp_path / "out", "--skip-existing"]
    assert translate(*words) == 0
    assert "3 of 3 pictures" in (said := capsys.readouterr().out)
    assert "1 were there already" in said
    assert (tmp_path / "out" / "b.png").read_bytes() == b"mine"
    assert translate(*words) == 0
    assert "3 were there already" in capsys.readouterr().out


def test_a_picture_that_cannot_be_written_does_not_stop_the_others(run, tmp_path, capsys):
    source, out = tmp_path / "in", tmp_path / "out"
    for name in ("a.png", "b/x.png", "d.png", "é" * 125 + ".png", "z.png"):
        picture(source / name)
    picture(source / "long.jpg", (2, 5))
    picture(source / "thin.webp", (4, 3000))
    out.mkdir()
    (out / "b").write_text("in the way")
    (out / "d.png").mkdir()
    words = [run, "--input", source, "--out", out, "--force", "--size", 24]
    assert translate(*words) == 1
    streams = capsys.readouterr()
    assert "x.png: cannot be written" in streams.err
    assert "d.png: cannot be written" in streams.err
    assert "thin.webp: cannot be written: 18000 × 24 pixels: a WEBP file holds" in streams.err
    assert "4 of 7 pictures" in streams.out
    assert outputs(out) == sorted(["a.png", "b", "long.jpg", "z.png", "é" * 125 + ".png"])


def test_a_disk_error_costs_one_picture(run, tmp_path, capsys, monkeypatch):
    for name in ("a.png", "b.png", "c.png"):
        picture(tmp_path / "in" / name)
    real = pictures.replaced

    def full(path):
        if path.name == "b.png":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path)

    monkeypatch.setattr(pictures, "replaced", full)
    assert translate(run, "--input", tmp_path / "in", "--out", tmp_path / "out") == 1
    assert "b.png: cannot be written: No space left on device" in capsys.readouterr().err
    assert outputs(tmp_path / "out") == ["a.png", "c.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_odd_files_are_named_and_the_others_are_translated(run, tmp_path, capsys):
    source = tmp_path / "in"
    picture(source / "a.png")
    os.mkfifo(source / "pipe.png")
    (source / "loop.png").symlink_to("loop.png")
    (source / "loops").symlink_to("loops")
    (source / "gone.jpg").symlink_to("nowhere")
    (source / "zero.png").symlink_to("/dev/zero")
    (source / "e\x1b[31mvil\n.png").write_bytes(b"no")
    (source / os.fsdecode(b"\xff.png")).write_bytes((source / "a.png").read_bytes())
    assert translate(run, "--input", source, "--out", tmp_path / "out") == 1
    streams = capsys.readouterr()
    assert "2 of 7 pictures" in streams.out
    for line in (
        "pipe.png: cannot be read: a named pipe, expected a file",
        "loop.png: cannot be read: a link to itself",
        "gone.jpg: cannot be read: No such file",
        "zero.png: cannot be read: a device",
        r"e\x1b[31mvil\n.png: cannot be read",
    ):
        assert line in streams.err
    assert "\x1b" not in streams.err
    for path in (source / "pipe.png", source / "loop.png"):
        assert translate(run, "--input", path, "--out", tmp_path / "out2") == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_deep_pictures_are_translated_at_one_scale(run, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    for name, level in (("a.png", 3000), ("b.png", 1500)):
        (tmp_path / "in" / name).write_bytes(png(np.full((16, 16), level), 16, 0))
        Image.new("L", (16, 16), round(level * 255 / 4095)).save(tmp_path / f"8-{name}")
    words = ["--out", tmp_path / "out", "--input"]
    assert translate(run, *words, tmp_path / "in") == 0
    assert "white is 4095" in capsys.readouterr().err
    for name in ("a.png", "b.png"):
        assert translate(run, *words, tmp_path / f"8-{name}") == 0
        ours, theirs = (load_image(tmp_path / "out" / n) for n in (name, f"8-{name}"))
        np.testing.assert_array_equal(ours, theirs)
    other = shutil.copytree(run, tmp_path / "run")
    config = json.loads((other / "config.json").read_text())
    config["data"]["scale"] = {"A": {"integers": [0, 8191]}}
    (other / "config.json").write_text(json.dumps(config))
    words[1] = tmp_path / "out3"
    assert translate(other, *words, tmp_path / "in" / "a.png") == 0
    Image.new("L", (16, 16), round(3000 * 255 / 8191)).save(tmp_path / "8.png")
    assert translate(other, *words, tmp_path / "8.png") == 0
    ours, theirs = (load_image(tmp_path / "out3" / n) for n in ("a.png", "8.png"))
    np.testing.assert_array_equal(ours, theirs)


def test_a_damaged_picture_is_named_and_the_others_are_translated(run, tmp_path, capsys):
    picture(tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"not a picture")
    assert translate(run, "--input", tmp_path / "in", "--out", tmp_path / "out") == 1
    streams = capsys.readouterr()
    assert "b.png: cannot be read" in streams.err
    assert "1 of 2 pictures" in streams.out
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a.png"]


def test_what_does_not_fit_into_memory_is_named(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tinygan.translate.pictures.available_bytes", lambda backend: 1000)
    picture(tmp_path / "in" / "a.png")
    assert translate(run, "--input", tmp_path / "in", "--out", tmp_path / "out") == 1
    assert "give a smaller --size" in capsys.readouterr().err


def test_bad_input_is_one_clear_line(run, tmp_path, capsys):
    source = picture(tmp_path / "a.png")
    (tmp_path / "file").write_text("")
    for words, message in (
        ([run, "--input", tmp_path / "none", "--out", tmp_path], "no such file or folder"),
        ([run, "--input", source, "--out", tmp_path / "file"], "expected a folder"),
        ([tmp_path / "none", "--input", source, "--out", tmp_path / "o"], "no such run folder"),
    ):
        assert translate(*words) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_a_dcgan_is_no_translator(shared_run, tmp_path, capsys):
    source = picture(tmp_path / "a.png")
    assert translate(shared_run, "--input", source, "--out", tmp_path / "out") == 2
    assert "a dcgan does not translate images; it draws them" in capsys.readouterr().err


def test_a_direction_that_is_none(run, tmp_path, capsys):
    source = picture(tmp_path / "a.png")
    words = [run, "--input", source, "--out", tmp_path / "out", "--direction", "up"]
    assert translate(*words) == 2
    assert "--direction: expected one of AtoB, BtoA, got 'up'" in capsys.readouterr().err


def test_on_cupy(run, tmp_path, strict_cupy):
    source = picture(tmp_path / "a.png")
    assert translate(run, "--input", source, "--out", tmp_path / "host") == 0
    words = [run, "--input", source, "--out", tmp_path / "device", "--backend", "cupy"]
    assert main([*map(str, words)]) == 0
    host, device = (load_image(tmp_path / d / "a.png").astype(int) for d in ("host", "device"))
    assert abs(host - device).max() <= 1


@pytest.mark.parametrize("words", [["nan", "1"], ["1", "1"], ["2", "1"], ["0", "inf"]])
def test_a_range_that_is_none_is_refused_before_anything_is_written(words, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["run", "--input", "x", "--out", str(out), "--range", *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "--range: expected two numbers, of black and of white" in line
    assert not out.exists()
