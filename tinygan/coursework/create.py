"""Writing the course into a folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tinygan.coursework.wheel import wheel
from tinygan.files import new_folder

__all__ = ["create"]

TEMPLATE = Path(__file__).parent / "template"


def create(directory: Path) -> Path:
    """Write the course into a new folder: ``student/`` to hand out, ``teacher/`` to keep.

    tinygan itself lies in ``student/`` as a wheel: what students install is what grades.

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
    with new_folder(directory) as part:  # so that there is never half a course
        mode = part.stat().st_mode
        shutil.copytree(
            TEMPLATE,
            part,
            dirs_exist_ok=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.pyc"),
            copy_function=_copy,
        )
        part.chmod(mode)  # copytree has copied the template's
        name, content = wheel()
        (part / "student" / name).write_bytes(content)
    return directory


def _copy(source: Any, target: Any) -> Any:
    """Copy a file's bytes, to be written to; scripts to be run (wheels may lose that)."""
    shutil.copyfile(source, target)
    if Path(source).parent.name == "autograder":  # whoever may read it may run it
        mode = Path(target).stat().st_mode
        Path(target).chmod(mode | (mode & 0o444) >> 2)
    return target
