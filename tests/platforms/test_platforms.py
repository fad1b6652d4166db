"""Windows' and macOS' rules, emulated: whole commands under them, and names."""

import ast
import multiprocessing
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training import TINY, timeless

import tinygan
from tinygan.data.archive import BadArchive, _is_no_name_on_windows, unpack

HERE = Path(__file__).parent
ROOT = Path(tinygan.__file__).parents[1]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="emulates Windows on Linux")
CYCLEGAN = ["--image-size", "16", "--width", "2", "--batch-size", "2"]
CYCLEGAN += ["--discriminator-width", "2", "--residual-blocks", "1", "--backend", "numpy"]


def as_windows(folder: Path, *words):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": "cp1252",
    }
    command = [sys.executable, str(HERE / "as_windows.py"), *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300)
    told = done.stderr.decode("cp1252")
    assert done.returncode == 0, told
    return done.stdout.decode("cp1252")


@LINUX
def test_a_run_begins_goes_on_and_is_used_as_on_windows(tmp_path):
    words = [*TINY, "--sample-every", "1", "--checkpoint-every", "1", "--keep", "1"]
    as_windows(tmp_path, "tinygan.train", *words, "--steps", 2, "--out", "run")
    as_windows(tmp_path, "tinygan.train", "--resume", "run", "--steps", 3)
    assert len(timeless(tmp_path / "run")) == 3
    assert (tmp_path / "run" / "losses.png").exists()
    assert [p for p in (tmp_path / "run").rglob("*") if p.name.endswith(".part")] == []
    as_windows(tmp_path, "tinygan.generate", "run", "--count", 2, "--out", "a.png")
    as_windows(tmp_path, "tinygan.generate", "run", "--count", 2, "--out", "a.png", "--force")
    as_windows(tmp_path, "tinygan.evaluate", "run", "--count", 16)
    assert (tmp_path / "run" / "measures.json").exists()


@LINUX
def test_pictures_are_split_trained_on_and_translated_as_on_windows(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{i}.png")
    as_windows(tmp_path, "tinygan.data", "split", "in", "in", "--test", 1, 1, "--out", "data")
    as_windows(tmp_path, "tinygan.train", "cyclegan", *CYCLEGAN, "--data", "data",
               "--steps", 1, "--out", "run")  # fmt: skip
    as_windows(tmp_path, "tinygan.translate", "run", "--input", "in", "--out", "out")
    assert len(list((tmp_path / "out").iterdir())) == 4
    as_windows(tmp_path, "tinygan.coursework", "new", "course")
    as_windows(tmp_path, "tinygan", "backend")


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        *((n, True) for n in ("CON", "con.png", "NUL.tar.gz", "COM1", "lpt9.jpg", "aux .png")),
        *((n, True) for n in ("a.", "a ", "a.png.", "a:b", "a?", "a\x01", 'a"b', "a|b")),
        *((n, False) for n in ("a.png", ".hidden", "console", "COM", "com10.png", "é 漢.png")),
    ],
)
def test_names_that_windows_has_not(name, bad, tmp_path, monkeypatch):
    assert _is_no_name_on_windows(name) == bad
    picture = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(picture)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(picture, "good.png")
        file.write(picture, f"x/{name}")
    if bad:
        monkeypatch.setattr("tinygan.data.archive._WINDOWS", True)
        with pytest.raises(BadArchive, match="Windows has no files"):
            unpack(archive, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_names_that_differ_in_case_are_two_files_only_where_there_are_two(tmp_path, monkeypatch):
    """As on a disk that ignores case: the archive is refused, no picture replaces another."""
    picture = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(picture)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.write(picture, "trainA/A.png")
        file.write(picture, "trainA/a.png")
    unpack(tmp_path / "a.zip", tmp_path / "out")
    assert len(list((tmp_path / "out").rglob("*.png"))) in (1, 2)
    shutil.rmtree(tmp_path / "out")
    import builtins

    opened = builtins.open

    def ignoring_case(path, mode="r", *rest, **words):
        if "x" in mode:
            path = Path(path)
            path = path.with_name(path.name.lower())
        return opened(path, mode, *rest, **words)

    monkeypatch.setattr("builtins.open", ignoring_case)
    with pytest.raises(BadArchive, match="twice"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_no_text_file_is_opened_without_its_encoding():
    """The default is another one on Windows."""
    found = []
    for path in (ROOT / "tinygan").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            given = {word.arg for word in node.keywords}
            modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
            modes += [getattr(w.value, "value", "") for w in node.keywords if w.arg == "mode"]
            binary = any(isinstance(mode, str) and "b" in mode for mode in modes)
            if isinstance(node.func, ast.Name) and name == "open":
                known = len(node.args) < 2 or isinstance(node.args[1], ast.Constant)
                bad = "encoding" not in given and not binary and known
            else:
                bad = name in ("read_text", "write_text") and "encoding" not in given
                bad = bad and not (node.args and name == "read_text")
                own = isinstance(node.func, ast.Name)  # tinygan.files.write_text
                bad = bad and not own and not (name == "write_text" and len(node.args) > 1)
            if bad:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def work(seed):
    """What a child of macOS' or Windows' kind does: it has loaded everything anew."""
    layer = tinygan.Conv2d(3, 4, 3, padding=1, rng=seed)
    y, backward = layer(np.ones((2, 8, 8, 3), np.float32))
    return float(np.abs(backward(np.ones_like(y))).sum())


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_layers_work_in_processes_however_they_are_started(method, monkeypatch):
    """spawn is what macOS and Windows do, forkserver what Linux does from Python 3.14 on."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(HERE), str(HERE.parent)]))
    expected = work(3)  # tinygan's threads run in this process, too, before it forks
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        assert pool.map_async(work, [3, 3]).get(timeout=120) == [expected, expected]
