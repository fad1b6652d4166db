"""Files and folders are there whole or not at all, whatever the platform says."""

import errno
import fcntl
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import tinygan
from tinygan import files
from tinygan.files import new_folder, open_to_append, read_json, replaced, write_json, write_text


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0, 0o666)])
def test_permissions_are_by_umask(mask, mode, umask, tmp_path):
    umask(mask)
    write_text(tmp_path / "a", "a")
    with new_folder(tmp_path / "b") as folder:
        write_json(folder / "c", 1)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
    assert (tmp_path / "b" / "c").stat().st_mode & 0o777 == mode
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o777 & ~mask


def test_a_writer_that_brings_a_private_file_of_its_own_changes_no_permissions(umask, tmp_path):
    with replaced(tmp_path / "a") as beside:
        (tmp_path / "own").write_text("mine")
        (tmp_path / "own").chmod(0o600)
        os.replace(tmp_path / "own", beside)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644


def test_only_descriptors_that_are_open_for_writing_are_synced(monkeypatch, tmp_path):
    """As Windows wants it: there os.fsync fails on all others."""
    synced, fsync = [], os.fsync

    def strict(descriptor):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        synced.append(descriptor)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", strict)
    write_text(tmp_path / "a", "text")
    assert synced
    assert (tmp_path / "a").read_text() == "text"


def test_a_whole_run_starts_where_only_writable_files_can_be_synced(monkeypatch, tmp_path):
    from training import train

    fsync = os.fsync

    def strict(descriptor):
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(errno.EBADF, "Bad file descriptor")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", strict)
    assert train("--steps", 1, "--out", tmp_path / "run") == 0
    assert train("--resume", tmp_path / "run", "--steps", 2, tiny=False) == 0


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_on_an_error_nothing_is_changed_and_nothing_left(failure, tmp_path):
    write_text(tmp_path / "a", "before")

    def half_a_file():
        with replaced(tmp_path / "a") as beside:
            beside.write_text("half")
            raise failure

    def half_a_folder():
        with new_folder(tmp_path / "b") as folder:
            (folder / "c").write_text("half")
            raise failure

    for write in (half_a_file, half_a_folder):
        with pytest.raises(failure):
            write()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "before"


def test_an_error_names_the_file_and_not_what_stands_beside_it(monkeypatch, tmp_path):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/a\.txt'"):
        write_text(tmp_path / "a.txt", "text")
    with pytest.raises(OSError, match=r"No such file or directory: '.*/no/a\.txt'"):
        write_text(tmp_path / "no" / "a.txt", "text")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.txt").mkdir()
    monkeypatch.undo()
    with pytest.raises(OSError, match=r"a\.txt'$"):
        write_text(tmp_path / "a.txt", "text")


def test_a_link_at_the_target_is_replaced_and_its_target_left_alone(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "out").symlink_to(mine)
    write_text(tmp_path / "out", "new")
    assert mine.read_text() == "mine"
    assert not (tmp_path / "out").is_symlink()
    assert (tmp_path / "out").read_text() == "new"


def test_links_at_guessable_names_beside_it_are_not_followed(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    for name in (".out.part", "out.part", ".out.tmp"):
        (tmp_path / name).symlink_to(mine)
    write_text(tmp_path / "out", "new")
    assert mine.read_text() == "mine"


def test_nothing_is_appended_through_a_link_or_to_a_pipe(tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "link").symlink_to(mine)
    os.mkfifo(tmp_path / "pipe")
    for name, kind in (("link", "a link"), ("pipe", "no regular file")):
        with pytest.raises(OSError, match=f"found {kind}"):
            open_to_append(tmp_path / name)
    assert mine.read_text() == "mine"


def test_long_names_are_no_longer_while_they_are_written(tmp_path):
    name = "ü" * 125 + ".png"
    write_text(tmp_path / name, "text")
    assert (tmp_path / name).read_text() == "text"


def test_what_somebody_reads_at_the_moment_is_replaced_a_moment_later(monkeypatch, tmp_path):
    """As on Windows, where a file that is open cannot be replaced."""
    replace, refused = os.replace, []

    def busy(a, b):
        if len(refused) < 2:
            refused.append(b)
            raise PermissionError(errno.EACCES, "Access is denied", str(b))
        replace(a, b)

    monkeypatch.setattr(os, "replace", busy)
    with pytest.raises(PermissionError):
        write_text(tmp_path / "a", "text")
    monkeypatch.setattr(files, "_WINDOWS", True)
    write_text(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"


def test_a_new_folder_takes_no_other_ones_place(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a").write_text("a")
    with pytest.raises(FileExistsError, match="something is there"), new_folder(tmp_path / "mine"):
        pass
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="something is there"), new_folder(tmp_path / "link"):
        pass
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / "empty" / "a").read_text() == "a"


@pytest.mark.parametrize("text", [b"{", b"[" * 100_000, b"\xff\xfe\xfa", b""])
def test_json_that_cannot_be_read_is_a_value_error(text, tmp_path):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(ValueError):
        read_json(tmp_path / "a.json")


def test_a_pipe_or_a_terabyte_is_not_read_as_json(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="regular file"):
        read_json(tmp_path / "pipe")
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match="expected at most"):
        read_json(tmp_path / "huge")


PLACES = ["/dev/zero", "/dev/stdin", "pipe"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("place", PLACES)
def test_pipes_and_devices_are_never_read(place, tmp_path):
    """They would be waited for, or read until no memory is left."""
    os.mkfifo(tmp_path / "pipe")
    os.symlink(place, tmp_path / "a.py")
    for words in (["convert", place, "a.pth"], ["train", "--config", place], ["train", "a.py:A"]):
        done = subprocess.run(
            [sys.executable, "-m", "tinygan", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(tinygan.__file__).parents[1])},
            stdin=subprocess.PIPE,
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30)),
        )
        assert done.returncode == 2
        [line] = done.stderr.splitlines()
        assert "expected a regular file" in line


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_or_a_device_is_never_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="expected a regular file"), replaced(pipe) as beside:
        beside.write_bytes(b"x")
    assert pipe.is_fifo()
    assert os.listdir(tmp_path) == ["pipe"]


def test_an_error_inside_a_new_folder_names_the_place_that_was_asked_for(tmp_path):
    with pytest.raises(FileNotFoundError) as error, new_folder(tmp_path / "new") as beside:
        (beside / "none" / "x").write_bytes(b"x")
    assert error.value.filename == str(tmp_path / "new" / "none" / "x")
    assert os.listdir(tmp_path) == []


def test_a_new_folder_may_be_the_current_one(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with new_folder(".") as folder:
        (folder / "a").write_text("a")
    assert (tmp_path / "here" / "a").read_text() == "a"
