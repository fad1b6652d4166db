"""The folder that holds everything about one training run.

::

    runs/dcgan-faces-20260131-142500/
        config.json                    what was asked for, resolved, and with what it is computed
        report.html                    all about it, to look at in a browser while it runs
        metrics.jsonl                  one line a step
        watch.jsonl                    how varied the samples are, how far from the data; warnings
        losses.png                     the curves of the metrics
        samples/step-000100.png        what the networks make, from the same noise each time
        checkpoints/step-000250.safetensors
        .lock                          held by the process that trains here
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from tinygan.errors import UserError
from tinygan.files import BESIDE, read_json, write_json
from tinygan.runs.checkpoint import checkpoint_path, checkpoint_paths
from tinygan.runs.metrics import MetricsFile

__all__ = ["RunFolder", "check_free", "default_path", "read_config"]

FORMAT = "tinygan run 1"


class RunFolder:
    """A run's folder while it is being trained in.

    Make one with `create` or `reopen`.  It is locked against a second process until `close`; the
    operating system lets go of the lock of a process that was killed.

    Attributes
    ----------
    path : Path
    metrics : MetricsFile
        There once `open_metrics` was called.
    """

    def __init__(self, path: Path):
        self.path = path
        self.metrics: MetricsFile | None = None
        self._made: list[Path] | None = None  # the folders that were made for this run
        self._lock = FileLock(path / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"{path}: another process is training in this run folder; stop it first"
            ) from None
        except OSError as error:
            raise _unwritable(path, error) from None

    @classmethod
    def create(cls, path: Path, config: dict, fresh: bool = False) -> RunFolder:
        """Make the folder and write its ``config.json``.

        With `fresh` a number is put behind its name where another process has just made it.

        Raises
        ------
        UserError
            If it is there and not empty, or cannot be written.
        """
        if not fresh:
            check_free(path)
        made = [p for p in (path, *path.parents) if not p.exists()]
        try:
            if fresh:
                path = _made_fresh(path)
                made = [path, *made[1:]]
            else:
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            run = cls(path)
        except BaseException:
            _remove_empty(made)
            raise
        run._made = made
        try:
            check_free(path)  # again, now that no other process can come between
            run._remove_unfinished()
            run.write_config(config)  # first: with it the run can be resumed whatever happens
            for folder in (run.samples, run.checkpoints):
                folder.mkdir(exist_ok=True)
        except BaseException as error:
            run.close()
            run.remove_if_unused()
            if isinstance(error, OSError):
                raise _unwritable(path, error) from None
            raise
        return run

    @classmethod
    def reopen(cls, path: Path) -> RunFolder:
        """Take up a folder again that `create` has made."""
        read_config(path)  # says so if it is no run folder
        run = cls(path)
        try:
            for folder in (run.samples, run.checkpoints):
                folder.mkdir(exist_ok=True)
            run._remove_unfinished()
        except OSError as error:
            run.close()
            raise _unwritable(path, error) from None
        return run

    def _remove_unfinished(self) -> None:
        """Delete what a process left that was killed while it wrote."""
        # .tmp…: safetensors too writes beside and renames
        for pattern in (f".*{BESIDE}", "samples/.step-*", "checkpoints/.step-*", "*/.tmp*"):
            for unfinished in self.path.glob(pattern):
                unfinished.unlink()

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def write_config(self, config: dict) -> None:
        write_json(self.path / "config.json", {"format": FORMAT, **config})

    def open_metrics(self, keep_steps: int, names: Sequence[str] = ()) -> MetricsFile:
        """Open ``metrics.jsonl`` with the lines of its first `keep_steps` steps."""
        self.metrics = MetricsFile(self.path / "metrics.jsonl", keep_steps, names)
        return self.metrics

    def set_aside(self, after_step: int) -> None:
        """Rename the checkpoints that are newer than `after_step`, so that none counts as one."""
        for step, path in checkpoint_paths(self.checkpoints):
            if step > after_step:
                path.rename(path.with_name(path.name + ".unusable"))

    def prune(self, keep: int, best_step: int | None) -> None:
        """Delete all checkpoints but the last `keep` and the best."""
        for step, path in checkpoint_paths(self.checkpoints)[keep:]:
            if step != best_step:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        if self.metrics is not None:
            self.metrics.close()
        self._lock.release()

    def remove_if_unused(self) -> None:
        """Delete the folder if it was made for this run and no step was ever finished in it."""
        metrics = self.path / "metrics.jsonl"
        if self._made is None or (metrics.exists() and metrics.stat().st_size):
            return
        inside = [self.path / "config.json", metrics, self.path / ".lock"]
        inside.append(checkpoint_path(self.checkpoints, 0))  # the weights that it began with
        with suppress(OSError):
            for file in inside:
                file.unlink(missing_ok=True)
        _remove_empty([self.samples, self.checkpoints, *self._made])


def check_free(path: Path) -> None:
    """Raise a UserError if `path` cannot become a new run's folder."""
    if path.exists() and not path.is_dir():
        raise UserError(f"--out {path}: expected a folder, this is a file")
    try:
        inside = sorted(p.name for p in path.iterdir()) if path.exists() else []
    except OSError as error:
        raise _unwritable(path, error) from None
    # what a process leaves that was killed before it wrote anything
    inside = [name for name in inside if name != ".lock" and not name.endswith(BESIDE)]
    if inside:
        advice = "name another"
        if (path / "config.json").exists():
            advice = f"continue it with --resume {path}, or name another"
            if not checkpoint_paths(path / "checkpoints"):
                advice = "the run in it has no checkpoint: delete it, or name another"
        raise UserError(f"--out {path}: this folder is not empty ({inside[0]}, …); {advice}")


def default_path(system: str, data: str) -> Path:
    """Return ``runs/dcgan-faces-<date-time>``."""
    return Path("runs") / f"{system}-{data[:80]}-{time.strftime('%Y%m%d-%H%M%S')}"


def _made_fresh(path: Path) -> Path:
    """Make a folder that nobody else has made, with a number behind its name where need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for count in range(1, 10_000):
        made = path if count == 1 else path.with_name(f"{path.name}-{count}")
        with suppress(FileExistsError):
            made.mkdir()
            return made
    raise FileExistsError(f"{path}: too many runs began in this second")


def read_config(path: Path) -> dict:
    """Return a run's ``config.json``; a UserError says what is wrong with it."""
    if not path.exists():
        raise UserError(f"{path}: no such run folder")
    file = path / "config.json"
    if not file.is_file():
        raise UserError(f"{path}: not a run folder: there is no config.json in it")
    try:
        config = read_json(file)
    except (OSError, ValueError) as error:
        raise UserError(f"{file}: cannot be read: {error}") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise UserError(f"{file}: not the configuration of a run of this tinygan")
    return config


def _remove_empty(folders: Iterable[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def _unwritable(path: Path, error: OSError) -> UserError:
    name = error.filename if isinstance(error.filename, str) else path
    return UserError(f"{name}: cannot be written: {error.strerror or error}")
