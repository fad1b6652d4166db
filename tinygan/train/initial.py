"""What ``--init-from`` names: a run, one of its checkpoints, or files of published weights."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinygan.errors import CheckpointError, UserError
from tinygan.formats.published import published_run
from tinygan.formats.torch_file import SUFFIXES
from tinygan.runs.header import Checkpoint, opened
from tinygan.runs.transfer import open_source
from tinygan.systems.system import System

__all__ = ["initial"]


@contextmanager
def initial(text: str, cls: type[System]) -> Iterator[tuple[Checkpoint, str | None]]:
    """Give the checkpoint that `cls` begins with, and the name of the files that it was made of.

    Parameters
    ----------
    text : str
        A run's folder, a checkpoint, ``FILE.pth``, or several files: ``G=FILE.pth,F=FILE.pth``.
    cls : type of System

    Raises
    ------
    UserError
    """
    files = [text] if Path(text).exists() else text.split(",")
    if not all(_is_published(Path(file.rpartition("=")[2])) for file in files):
        yield open_source(Path(text), cls), None
        return
    with tempfile.TemporaryDirectory(prefix="tinygan-") as folder:
        try:
            checkpoint, _ = published_run(files, Path(folder) / "run")
        except UserError as error:
            raise UserError(f"--init-from {error}") from None
        yield open_source(checkpoint, cls, text), text


def _is_published(path: Path) -> bool:
    if path.suffix.lower() != ".safetensors" or not path.is_file():
        return path.suffix.lower() in SUFFIXES
    try:
        with opened(path) as file:
            return not (file.metadata() or {}).get("format", "").startswith("tinygan")
    except CheckpointError:
        return False  # opening it as a run says why
