"""Files and folders that are there whole or not at all.

Everything that tinygan writes in one piece goes through `replaced` (a file) or `new_folder`: it is
written under a fresh name beside its place, brought onto the disk, and moved there in one go.
Permissions are those that the umask gives any new file.  A link at the target is replaced, never
written through.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = [
    "BESIDE",
    "new_folder",
    "open_to_append",
    "read_json",
    "read_regular",
    "replaced",
    "sync_folder",
    "write_json",
    "write_text",
]

BESIDE = ".part"  # what unfinished files end in; a killed process may leave one behind
_MOST_JSON = 64 << 20  # bytes; no file of ours is nearly as large
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
_WINDOWS = os.name == "nt"


@contextmanager
def replaced(path: str | os.PathLike) -> Iterator[Path]:
    """Give an empty file beside `path` to write to; move it to `path` when all went well.

    The bytes are on the disk before the name is, so that not even a power cut leaves half a file.
    An error of the operating system names `path`.
    """
    path = Path(path)
    if path.exists() and not (path.is_file() or path.is_dir()):  # /dev/null is not to be lost
        raise OSError(errno.EINVAL, "expected a regular file, found a pipe or a device", str(path))
    beside = _fresh(path)
    try:
        with _naming(path, beside):
            mode = stat.S_IMODE(beside.stat().st_mode)
            yield beside
            os.chmod(beside, mode)  # safetensors puts a file of its own there, mode 0600
            with open(beside, "r+b") as file:  # Windows brings only writable files onto the disk
                os.fsync(file.fileno())
            _move(beside, path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


@contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Give a folder beside `path` to fill; move it to `path` when all went well.

    On an error, or Ctrl-C, it is removed with all that is in it.

    Raises
    ------
    FileExistsError
        If there is something at `path` other than an empty folder.
    """
    path = Path(os.path.abspath(path))
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise FileExistsError(
            errno.EEXIST, "expected a new or an empty folder, something is there already", str(path)
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(path)
    try:
        with _naming(path, beside):
            beside.mkdir()
            yield beside
            if path.exists():  # empty, as was checked; rmdir refuses if that has changed
                path.rmdir()
            _move(beside, path)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def open_to_append(path: str | os.PathLike) -> IO[str]:
    """Open a text file of ours to write at its end; never a link's target, a pipe or a device."""
    path = Path(path)
    if path.is_symlink() or (path.exists() and not path.is_file()):
        kind = "a link" if path.is_symlink() else "no regular file"
        raise OSError(errno.EINVAL, f"expected a file of this run, found {kind}", str(path))

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | _NO_LINKS, 0o666)

    return open(path, "a", encoding="utf-8", newline="\n", opener=opener)


def sync_folder(folder: Path) -> None:
    """Make sure that the names of the files in `folder` are on the disk."""
    with suppress(OSError):  # some systems cannot open folders; there the rename must do
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def write_text(path: str | os.PathLike, text: str) -> None:
    r"""Write `text` as UTF-8, in one go; bytes of a file's name that are none become ``\udcff``."""
    with replaced(path) as beside:
        beside.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Write `value` as indented JSON, in one go."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_regular(path: str | os.PathLike, most: int | None = None) -> bytes:
    """Return what a regular file of at most `most` bytes holds.

    A pipe or a device is an OSError: it is never waited for, and never read without an end.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "expected a regular file", str(path))
    if most is not None and status.st_size > most:
        raise ValueError(f"expected at most {most} bytes, got {status.st_size}")
    return Path(path).read_bytes()


def read_json(path: str | os.PathLike) -> Any:
    """Return what a JSON file holds; ValueError or OSError where it cannot be read."""
    try:
        return json.loads(read_regular(path, _MOST_JSON))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _fresh(path: Path) -> Path:
    """Make an empty file beside `path`, of a name that nothing had."""
    while True:
        beside = _beside(path)
        with suppress(FileExistsError), _naming(path, beside):
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | _NO_LINKS
            handle = os.open(beside, flags, 0o666)
            try:
                os.close(handle)
            except OSError:
                beside.unlink()
                raise
            return beside


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:40]}-{secrets.token_hex(4)}{BESIDE}")


@contextmanager
def _naming(path: Path, beside: Path) -> Iterator[None]:
    """Let the operating system's errors name `path`, not what stands beside it for a moment."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and isinstance(error.filename, str | Path | None):
            named = Path(error.filename or beside)
            if named.is_relative_to(beside):
                named = path / named.relative_to(beside)
                raise OSError(error.errno, error.strerror, str(named)) from error
        raise


def _move(beside: Path, path: Path) -> None:
    for pause in (0.02, 0.1, 0.5, None):
        try:
            os.replace(beside, path)
            return
        except PermissionError:  # on Windows also while somebody reads what is to be replaced
            if not _WINDOWS or pause is None:
                raise
            time.sleep(pause)
