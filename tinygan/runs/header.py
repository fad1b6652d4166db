"""A checkpoint's header: what it says, checked before any array is read.

Nothing in a checkpoint is code, and nothing that reads it runs any.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError, safe_open

import tinygan
from tinygan.errors import CheckpointError
from tinygan.runs import format_1

__all__ = ["FORMAT", "MOST_STEPS", "Best", "Checkpoint", "opened", "read_checkpoint"]

FORMAT = "tinygan checkpoint 2"
MOST_STEPS = 2**53

_SECTIONS = ("networks", "averages", "optimizers", "extra")
_MOST_HEADER = 16 << 20  # bytes; the largest network's header is a hundredth of it
_DEEPEST = 16  # levels of nesting in the header's JSON


@dataclass(frozen=True)
class Best:
    """The checkpoint of a run whose pictures were nearest to the data."""

    step: int
    score: float


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint's header says, checked.

    Attributes
    ----------
    path : Path
    format : {1, 2}
    system : str
        The name of what was trained.
    step : int
        How many steps were done.
    options, data : dict
        The run's, as ``config.json`` has them.
    score : float or None
        How far the pictures are from the data.
    best : Best or None
        Of the run's checkpoints so far.
    version : str or None
        The tinygan that wrote it.
    system_file : dict or None
        The user's own file that the system is from: its name, class and SHA-256.
    checksums : dict of str to int
        The CRC-32 of each array's bytes; older checkpoints have none.
    shapes : dict of str to (str, tuple of int)
        Type and shape of each array, by the name it has in the file.
    """

    path: Path
    format: int
    system: str
    step: int
    options: dict[str, Any]
    data: dict[str, Any]
    score: float | None
    best: Best | None
    version: str | None
    system_file: dict[str, Any] | None
    checksums: dict[str, int]
    shapes: dict[str, tuple[str, tuple[int, ...]]]


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check a checkpoint's header.

    Raises
    ------
    CheckpointError
        If the file is missing, cut short, or not a checkpoint that this tinygan can read.
    """
    with opened(path) as file:
        metadata = file.metadata() or {}
        formats = {format_1.FORMAT: 1, FORMAT: 2}
        found = metadata.get("format", "none")
        if found not in formats:
            raise CheckpointError(
                f"{path}: not a checkpoint of this tinygan ({tinygan.__version__}): expected the "
                f"format {FORMAT!r} or 1, got {found!r}{_written_by(metadata)}"
            )
        try:
            info = _checked(json.loads(metadata["tinygan"], parse_constant=_not_json))
        except RecursionError:
            raise CheckpointError(f"{path}: its header is damaged: nested too deeply") from None
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f"{path}: its header is damaged ({error!r})") from None
        shapes = {}
        for name in file.keys():  # noqa: SIM118 - it is no dictionary
            view = file.get_slice(name)
            shapes[name] = view.get_dtype(), tuple(view.get_shape())
        if formats[found] == 2:
            _check_sections(path, shapes, info["version"])
    return Checkpoint(Path(path), formats[found], shapes=shapes, **info)


def _check_sections(path: Path, shapes: Iterable[str], version: str | None) -> None:
    for name in shapes:
        section = name.partition("/")[0]
        if section not in _SECTIONS:
            raise CheckpointError(
                f"{path}: its section {section!r} is unknown to this tinygan "
                f"({tinygan.__version__}); it needs tinygan {version or 'of a later version'}"
            )


def _checked(info: Any) -> dict[str, Any]:
    """Return the fields of a `Checkpoint` from the header's JSON; ValueError if one is wrong."""
    if not isinstance(info, dict):
        raise ValueError("expected an object")
    _check_depth(info)
    system, step, options = info["system"], info["step"], info["options"]
    data, score, best = info.get("data"), info.get("score"), info.get("best")
    version, file = info.get("version"), info.get("system_file")
    checksums = info.get("checksums", {})
    if not isinstance(system, str):
        raise ValueError(f"system: expected a name, got {system!r}")
    if not isinstance(options, dict) or not isinstance(data, dict | None):
        raise ValueError("options, data: expected objects")
    if not isinstance(file, dict | None):
        raise ValueError(f"system_file: expected an object, got {file!r:.50}")
    if not isinstance(version, str | None):
        raise ValueError(f"version: expected a text, got {version!r}")
    if not isinstance(checksums, dict) or not all(type(n) is int for n in checksums.values()):
        raise ValueError("checksums: expected whole numbers by name")
    if best is not None:
        if not isinstance(best, dict):
            raise ValueError(f"best: expected an object, got {best!r}")
        best = Best(_count(best["step"]), _number(best["score"]))
    return {
        "system": system,
        "step": _count(step),
        "options": options,
        "data": data or {},
        "score": None if score is None else _number(score),
        "best": best,
        "version": version,
        "system_file": file,
        "checksums": checksums,
    }


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MOST_STEPS:
        raise ValueError(f"step: expected a whole number of at least 0, got {value!r:.50}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"score: expected a number, got {value!r:.50}")
    if not math.isfinite(value):
        raise ValueError(f"score: expected a finite number, got {value!r:.50}")
    return float(value)


def _check_depth(value: Any, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_depth(inner, depth + 1)


def _not_json(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _written_by(metadata: dict[str, str]) -> str:
    try:
        version = json.loads(metadata["tinygan"])["version"]
    except (KeyError, ValueError, TypeError, RecursionError):
        return ""
    return f"; tinygan {version} wrote it" if isinstance(version, str) else ""


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a checkpoint's file; a CheckpointError if it is none or cut short."""
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with open(path, "rb") as beginning:
            length = int.from_bytes(beginning.read(8), "little")
        if length > _MOST_HEADER:
            raise CheckpointError(
                f"{path}: cannot be read as a checkpoint; it is no safetensors file, or its "
                f"header of {length} bytes is damaged"
            )
        file = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint; it is cut short or no safetensors file "
            f"({error})"
        ) from None
    with file:
        yield file
