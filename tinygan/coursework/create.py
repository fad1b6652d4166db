"""Writing the course into a folder."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

__all__ = ["create"]

TEMPLATE = Path(__file__).parent / "template"


def create(directory) -> Path:
    """Write the course into a new folder: ``student/`` to hand out, ``teacher/`` to keep.

    Parameters
    ----------
    directory : path
        Must not exist, or be empty.

    Returns
    -------
    Path

    Raises
    ------
    FileExistsError
        If there is something at `directory`.  Nothing is written then.
    """
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise FileExistsError(
            f"{directory}: expected a new or an empty folder, something is there already"
        )
    directory.parent.mkdir(parents=True, exist_ok=True)
    # written beside it and renamed, so that there is never half a course
    part = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        shutil.copytree(
            TEMPLATE,
            part,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
            copy_function=_copy,
        )
        part.chmod(0o755)
        if directory.exists():
            directory.rmdir()
        os.replace(part, directory)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return directory


def _copy(source, target):
    """Copy a file's bytes, to be written to; scripts to be run (wheels may lose that)."""
    shutil.copyfile(source, target)
    script = Path(source).parent.name == "autograder"
    Path(target).chmod(0o755 if script else 0o644)
    return target
