"""Open a run folder, or one of its checkpoints: the one way in for every command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import tinygan
from tinygan.commands import complain
from tinygan.errors import CheckpointError, UserError
from tinygan.runs.checkpoint import checkpoint_path, checkpoint_paths
from tinygan.runs.folder import read_config
from tinygan.runs.header import Checkpoint, read_checkpoint

__all__ = ["BUNDLED", "OpenedRun", "bundled", "find_checkpoint", "open_run", "use_newest"]

BUNDLED = ("demo-faces", "demo-bags")  # checkpoints that come with the package

T = TypeVar("T")


@dataclass(frozen=True)
class OpenedRun:
    """A run that is there to be used.

    Attributes
    ----------
    checkpoint : Checkpoint
    folder : Path or None
        The run's folder; None if a checkpoint was named that stands in no run's folder.
    """

    checkpoint: Checkpoint
    folder: Path | None

    @property
    def system(self) -> str:
        return self.checkpoint.system

    @property
    def options(self) -> dict[str, Any]:
        return self.checkpoint.options


def open_run(
    path: Path,
    system: str | None = None,
    best: bool = False,
    say: Callable[[str], None] = complain,
) -> OpenedRun:
    """Open a run folder, or one checkpoint file.

    Parameters
    ----------
    path : Path
        Or the name of one of `BUNDLED`, where no such path is.
    system : str, optional
        What it has to be a run of.
    best : bool
        Of a folder, use the checkpoint whose pictures were nearest to the data, not the newest.
        A file is used as it is.
    say : callable
        Told a line for each newer checkpoint that cannot be read.

    Raises
    ------
    UserError
        If there is none, or it is not one of `system`.
    """
    path = bundled(path)
    if path.is_file():
        folder = path.absolute().parent.parent
        whole = (folder / "config.json").is_file() and path.absolute().parent.name == "checkpoints"
        run = OpenedRun(read_checkpoint(path), path.parent.parent if whole else None)
    else:
        config = read_config(path)
        _check_system(path, config.get("system"), system)
        run = OpenedRun(_newest(path, say), path)
        if best:
            run = OpenedRun(_best(path, run.checkpoint), path)
    _check_system(run.checkpoint.path, run.system, system)
    return run


def bundled(path: Path) -> Path:
    """Return where a run of `BUNDLED` is, or the path as it is."""
    if str(path) not in BUNDLED or path.exists():
        return path
    return Path(tinygan.__file__).parent / "bundled" / f"{path}.safetensors"


def _check_system(path: Path, found: object, system: str | None) -> None:
    if system is not None and found != system:
        raise UserError(f"{path}: expected the run of a {system}, got one of a {found}")


def _newest(path: Path, say: Callable[[str], None]) -> Checkpoint:
    checkpoint = find_checkpoint(path, say)
    if checkpoint is None:
        raise UserError(f"{path}: this run has no checkpoint yet")
    return read_checkpoint(checkpoint)


def _best(path: Path, newest: Checkpoint) -> Checkpoint:
    if newest.best is None:
        return newest
    file = checkpoint_path(path / "checkpoints", newest.best.step)
    if not file.is_file():
        raise CheckpointError(
            f"{path}: the best checkpoint, that of step {newest.best.step}, is no longer there; "
            "leave out --best to use the newest"
        )
    return read_checkpoint(file)


def use_newest(
    path: Path, use: Callable[[Path], T]
) -> tuple[Path | None, T | None, list[CheckpointError]]:
    """Find and use the newest checkpoint of a run that can be used.

    Parameters
    ----------
    path : Path
        The run's folder.
    use : callable
        What to do with a checkpoint's path; it raises a CheckpointError if that cannot be done.

    Returns
    -------
    path : Path or None
        None if the run has no checkpoint yet.
    result
        What `use` returned.
    errors : list of CheckpointError
        Why newer ones could not be used.

    Raises
    ------
    CheckpointError
        If there are checkpoints but none can be used.
    """
    errors: list[CheckpointError] = []
    for _, file in checkpoint_paths(path / "checkpoints"):
        try:
            return file, use(file), errors
        except CheckpointError as error:
            errors.append(error)
    if errors:
        raise CheckpointError(
            f"none of the {len(errors)} checkpoints can be used; the newest: {errors[0]}"
        )
    return None, None, []


def find_checkpoint(path: Path, say: Callable[[str], None] = lambda text: None) -> Path | None:
    """Return the newest checkpoint of a run that can be read, or None if it has none yet.

    `say` is called with a line for each newer one that cannot be read.
    """
    checkpoint, _, errors = use_newest(path, read_checkpoint)
    for error in errors:
        say(f"warning: {error}; an older checkpoint is used")
    return checkpoint
