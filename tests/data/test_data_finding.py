"""What stands in a folder of pictures beside pictures: named, skipped and counted."""

import json
import os
import socket
import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from training import rows, train

from tinygan.data import DataError, ImageFolder
from tinygan.data.finding import find_images, is_run, scan
from tinygan.data.split import split

ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pictures"
    path.mkdir()
    for i in range(3):
        save(path / f"{i}.png", i)
    return path


def save(path, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (16, 16), (level, 0, 0)).save(path)


def make_run(path):
    save(path / "samples" / "step-000001.png")
    (path / "config.json").write_text(json.dumps({"format": "tinygan run 1"}))


def skipped(folder):
    with warnings.catch_warnings(action="ignore"):
        data = ImageFolder(folder, 8)
    assert data.images[:, 0, 0, 0].tolist() == [0, 1, 2]
    assert data.files == ["0.png", "1.png", "2.png"]
    return dict(data.skipped)


def fifo(path):
    os.mkfifo(path)


def unix_socket(path):
    there = os.getcwd()
    os.chdir(path.parent)  # the address is short that way
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(there)


def link_to(target):
    return lambda path: path.symlink_to(target)


def write(data):
    return lambda path: path.write_bytes(data)


ODD = {
    "a named pipe": ("x.png", fifo, "a named pipe"),
    "a socket": ("x.png", unix_socket, "a socket"),
    "a device": ("x.png", link_to("/dev/zero"), "a device"),
    "a terminal": ("x.png", link_to("/dev/tty"), ""),
    "a link to itself": ("x.png", link_to("x.png"), "a link to itself"),
    "a link to itself, as a folder's": ("x.jpg", link_to("./x.jpg/"), "a link to itself"),
    "a link to nothing": ("x.png", link_to("nowhere"), "No such file"),
    "a link to a text": ("x.png", link_to("/etc/passwd"), "not a picture"),
    "an empty file": ("x.png", write(b""), "an empty file"),
    "a text": ("x.png", write(b"hello"), "not a picture"),
    "a page": ("x.jpg", write(b"<html>404</html>"), "not a picture"),
    "a name of 255 bytes": ("é" * 125 + "x.png", write(b"no"), "not a picture"),
    "a name of control characters": ("\x1b[2J\r\n\x07.png", write(b"no"), "not a picture"),
    "a name that is not UTF-8": (os.fsdecode(b"\xff\xfe.png"), write(b"no"), "not a picture"),
    "a run": ("runs/one", make_run, "a run of tinygan"),
    "a damaged run": (
        "one",
        lambda path: (
            make_run(path),
            (path / "checkpoints").mkdir(),
            write(b"{")(path / "config.json"),
        ),
        "a run of tinygan",
    ),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
@pytest.mark.parametrize("kind", ODD)
def test_odd_files_are_skipped_by_name(folder, kind):
    name, make, why = ODD[kind]
    (folder / name).parent.mkdir(exist_ok=True)
    make(folder / name)
    left_out = skipped(folder)
    assert list(left_out) == [name]
    assert left_out[name].startswith(why)
    with pytest.warns(UserWarning, match="skipped") as told:
        ImageFolder(folder, 8)
    (message,) = (str(w.message) for w in told)
    assert message.isprintable()


@contextmanager
def as_somebody_else():
    """Root may read everything: be nobody for a while."""
    if ROOT:
        os.seteuid(65534)
    try:
        yield
    finally:
        if ROOT:
            os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX only")
def test_what_may_not_be_read_is_named():
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        for name in ("0.png", "mine.png", "secret/x.png"):
            save(folder / name)
        ImageFolder(folder, 8, cache=False)  # what it needs is imported while that is allowed
        (folder / "mine.png").chmod(0)
        (folder / "secret").chmod(0)
        try:
            with as_somebody_else(), warnings.catch_warnings(action="ignore"):
                data = ImageFolder(folder, 8, cache=False)
                with pytest.raises(DataError, match="cannot be read: Permission denied"):
                    ImageFolder(folder / "secret", 8)
            assert data.files == ["0.png"]
            assert data.skipped == [
                ("mine.png", "Permission denied"),
                ("secret", "Permission denied"),
            ]
        finally:
            (folder / "secret").chmod(0o700)


def test_folders_that_lead_back_are_searched_once(folder):
    (folder / "a").symlink_to(folder, target_is_directory=True)
    (folder / "loop").symlink_to("loop")
    for i in range(12):  # each leads to all others: 12! ways
        (folder / f"d{i}").mkdir()
    for i in range(12):
        for j in range(12):
            (folder / f"d{i}" / f"to{j}").symlink_to(folder / f"d{j}", target_is_directory=True)
    assert find_images(folder) == ["0.png", "1.png", "2.png"]


def test_deep_folders(folder):
    deep = folder
    for _ in range(40):
        deep /= "d" * 20
    save(deep / "x.png")
    there = os.getcwd()
    os.chdir(deep)
    try:  # deeper than a path can be long
        for _ in range(200):
            os.mkdir("d" * 30)
            os.chdir("d" * 30)
    finally:
        os.chdir(there)
    names, left_out = scan(folder)
    assert len(names) == 4
    assert [why for _, why in left_out] == ["File name too long"]


def test_a_run_is_not_data_itself(tmp_path):
    make_run(tmp_path / "run")
    assert is_run(tmp_path / "run")
    with pytest.raises(DataError, match="a run of tinygan"):
        ImageFolder(tmp_path / "run", 8)
    save(tmp_path / "coco" / "x.png")
    (tmp_path / "coco" / "config.json").write_text('{"format": "another thing"}')
    assert find_images(tmp_path / "coco") == ["x.png"]
    (tmp_path / "coco" / "config.json").write_text("[" * 100_000)
    assert find_images(tmp_path / "coco") == ["x.png"]


def test_training_in_the_folder_of_its_data(tmp_path, monkeypatch, capsys):
    pictures = tmp_path / "pics"
    for i in range(6):
        save(pictures / f"{i}.png", 40 * i)
    monkeypatch.chdir(pictures)
    words = ["--data", ".", "--batch-size", 2, "--out"]
    assert train(*words, "mine", "--steps", 2, "--sample-every", 1) == 0
    assert train("--resume", "mine", "--steps", 4, tiny=False) == 0
    assert len(rows(pictures / "mine")) == 4
    assert train(*words, "second", "--steps", 2) == 0
    said = capsys.readouterr()
    assert "mine: a run of tinygan" in said.err
    for name in ("mine", "second"):
        assert json.loads((pictures / name / "config.json").read_text())["data"]["images"] == 6


def test_split_leaves_runs_out(folder, tmp_path):
    make_run(folder / "runs" / "one")
    counts = split(folder, folder, tmp_path / "out", (1, 1))
    assert sum(counts.values()) == 6
    assert not list((tmp_path / "out").rglob("step-*"))
    with pytest.raises(DataError, match="cannot be inside of"):
        split(folder, folder, folder / "out", (1, 1))
    with pytest.raises(DataError, match="a run of tinygan"):
        split(folder, folder / "runs" / "one", tmp_path / "out2", (1, 1))


def test_pictures_half_copied_come_in_when_they_are_whole(folder):
    whole = (folder / "2.png").read_bytes()
    (folder / "2.png").write_bytes(whole[: len(whole) // 2])
    with pytest.warns(UserWarning, match=r"2\.png"):
        assert len(ImageFolder(folder, 8)) == 2
    (folder / "2.png").write_bytes(whole)
    assert len(ImageFolder(folder, 8)) == 3


def test_unusually_large_pictures_are_named(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 16 * 16)
    save(folder / "2.png", 2)
    Image.new("RGB", (20, 20), (2, 0, 0)).save(folder / "2.png")
    with pytest.warns(UserWarning, match="unusually large") as told:
        ImageFolder(folder, 8)
    assert [str(w.message) for w in told] == [
        f"{folder / '2.png'}: unusually large, 20 × 20 pixels"
    ]
    Image.new("RGB", (30, 30), (2, 0, 0)).save(folder / "2.png")
    with pytest.warns(
        UserWarning, match=r"skipped .*2\.png: Image size \(900 pixels\) exceeds limit"
    ):
        assert len(ImageFolder(folder, 8)) == 2


def test_one_size_for_all_is_not_a_file(folder):
    with pytest.raises(DataError, match="got a file"):
        find_images(folder / "0.png")
    (folder / "loop").symlink_to("loop")
    with pytest.raises(DataError, match="cannot be opened"):
        find_images(folder / "loop")
    assert np.asarray(find_images(folder)).tolist() == ["0.png", "1.png", "2.png"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX only")
@pytest.mark.parametrize("link", ["copy", "hard", "symbolic"])
def test_split_leaves_out_what_is_no_file(folder, tmp_path, link):
    os.mkfifo(folder / "pipe.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "gone.png").symlink_to("nowhere")
    with pytest.warns(UserWarning, match="skipped") as told:
        counts = split(folder, folder, tmp_path / "out", (1, 1), link=link)
    assert counts == {"trainA": 2, "trainB": 2, "testA": 1, "testB": 1}
    assert len(told) == 8


def test_the_samples_of_a_run_are_not_data(shared_run, tmp_path):
    with pytest.raises(DataError, match="a run of tinygan, not pictures to train on"):
        scan(shared_run / "samples")
    (tmp_path / "link").symlink_to(shared_run / "samples")
    with pytest.raises(DataError, match="a run of tinygan, not pictures to train on"):
        scan(tmp_path / "link")


def test_a_link_to_the_samples_of_a_run_is_left_out(folder):
    make_run(folder.parent / "run")
    save(folder.parent / "run" / "samples" / "step-000001.png")
    (folder / "seen").symlink_to(folder.parent / "run" / "samples", target_is_directory=True)
    assert scan(folder)[1] == [("seen", "a run of tinygan, not pictures to train on")]
    assert find_images(folder) == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize("up", ["..", "../..", "/"])
def test_a_link_to_a_folder_above_is_left_out(folder, up):
    save(folder.parent / "beside" / "x.png")
    (folder / "up").symlink_to(up, target_is_directory=True)
    assert scan(folder) == (
        ["0.png", "1.png", "2.png"],
        [("up", "a link to a folder that all of these are in")],
    )
