"""New folders that appear whole or not at all, and never in the place of something else."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from tinygan import files
from tinygan.data.opening import shown
from tinygan.errors import DataError

__all__ = ["check_new", "new_folder"]


def check_new(path: str | os.PathLike) -> Path:
    """Return `path`, where a folder is to be made; an empty folder may be there already.

    Raises
    ------
    DataError
        If there is a file or a folder with something in it.
    """
    path = Path(path)
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise DataError(f"{shown(path)}: a file of this name exists; nothing was written")
    if path.exists() and any(path.iterdir()):
        raise DataError(f"{shown(path)}: this folder exists and is not empty; nothing was written")
    return path


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary folder to fill, which becomes `path` at the end if all goes well.

    On an error, or Ctrl-C, it is removed with all that is in it.
    """
    with files.new_folder(check_new(path)) as temporary:
        yield temporary
