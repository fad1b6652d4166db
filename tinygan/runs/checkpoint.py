"""Checkpoints: everything a run needs to continue bit for bit, in one safetensors file.

The file holds the networks' parameters and buffers (``G.0.weight``), the optimisers' moments and
counts of steps (``adam_G/0.m``), what else the system remembers (``extra/…``), and in its header
a JSON text with the number of the step and the configuration.  Nothing in it is code, and nothing
that reads it runs any.

Random numbers and the order of the data need no state: they are functions of the seed and of the
number of the step.

A checkpoint is written beside its place, flushed to the disk and only then moved there, which the
file system does in one go: whoever looks sees the whole file or none.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tinygan.errors import CheckpointError, DivergedError
from tinygan.files import replaced
from tinygan.systems.system import System

__all__ = [
    "checkpoint_path",
    "checkpoint_paths",
    "load_network",
    "load_system",
    "read_info",
    "save_checkpoint",
]

FORMAT = "tinygan checkpoint 1"
_NAME = re.compile(r"step-(\d{6,})\.safetensors")


def checkpoint_paths(folder: Path) -> list[tuple[int, Path]]:
    """Return ``(step, path)`` of all checkpoints in a folder, the newest first."""
    found = []
    for path in folder.glob("step-*.safetensors"):
        if match := _NAME.fullmatch(path.name):
            found.append((int(match[1]), path))
    return sorted(found, reverse=True)


def checkpoint_path(folder: Path, step: int) -> Path:
    """Return the path of the checkpoint of a step."""
    return folder / f"step-{step:06d}.safetensors"


def save_checkpoint(folder: Path, system: System, step: int, info: dict) -> Path:
    """Write the state of `system` after `step` steps.

    Parameters
    ----------
    folder : Path
    system : System
    step : int
    info : dict
        What else to note in the header, as JSON can hold it.

    Raises
    ------
    DivergedError
        If a number is NaN or infinite.  Nothing is written.
    OSError
        If the file cannot be written.  What was there before is untouched.
    """
    arrays = state_arrays(system)
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DivergedError(f"{name} holds NaN or infinite values after step {step}", step)
    text = json.dumps({"system": system.name, "step": step, **info})
    path = checkpoint_path(folder, step)
    with replaced(path) as beside:
        try:
            save_file(arrays, beside, {"format": FORMAT, "tinygan": text})
        except SafetensorError as error:  # it wraps the operating system's errors
            raise OSError(f"{path}: cannot be written: {error}") from error
    return path


def state_arrays(system: System) -> dict[str, np.ndarray]:
    """Return copies of everything that changes while `system` is trained, by name."""
    arrays = {}
    for name, network in system.networks.items():
        arrays |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
    for name, optimizer in system.optimizers.items():
        arrays |= {f"{name}/{key}": value for key, value in optimizer.state_dict().items()}
    arrays |= {f"extra/{key}": value for key, value in system.extra_arrays().items()}
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def read_info(path: Path) -> dict:
    """Return what is noted in a checkpoint's header.

    Raises
    ------
    CheckpointError
        If the file is missing, cut short, or not a checkpoint of tinygan.
    """
    with _opened(path) as file:
        metadata = file.metadata() or {}
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path}: not a checkpoint of this tinygan: expected the format {FORMAT!r}, "
            f"got {metadata.get('format', 'none')!r}"
        )
    try:
        info = json.loads(metadata["tinygan"])
        kinds = {"step": int, "system": str, "options": dict}
        wrong = [name for name, kind in kinds.items() if not isinstance(info[name], kind)]
        if wrong:
            raise TypeError(wrong[0])
    except (KeyError, ValueError, TypeError) as error:
        raise CheckpointError(f"{path}: its header is damaged ({error!r})") from None
    return info


def load_system(path: Path, system: System) -> dict:
    """Set the state of `system` from a checkpoint, and return what is noted in its header.

    Raises
    ------
    CheckpointError
        If it is not a checkpoint of such a system.  Nothing is changed then.
    """
    info = read_info(path)
    if info["system"] != system.name:
        raise CheckpointError(
            f"{path}: expected a checkpoint of a {system.name}, got one of a {info['system']}"
        )
    with _opened(path) as file:
        names = set(file.keys())
        expected = {name: array.shape for name, array in state_arrays(system).items()}
        fixed = {name for name in expected if not name.startswith("extra/")}
        for name in sorted(fixed ^ {n for n in names if not n.startswith("extra/")}):
            state = "is missing" if name in fixed else "is unknown"
            raise CheckpointError(f"{path}: a checkpoint of another network: {name} {state}")
        for name in sorted(fixed):
            shape = tuple(file.get_slice(name).get_shape())
            if shape != expected[name]:
                raise CheckpointError(
                    f"{path}: a checkpoint of another network: "
                    f"{name}: expected shape {expected[name]}, got {shape}"
                )
        try:
            system.load_extra_arrays(_part(file, names, "extra/"))
        except ValueError as error:
            raise CheckpointError(f"{path}: {error}") from None
        for name, network in system.networks.items():
            network.load_state_dict(_part(file, names, f"{name}."))
        for name, optimizer in system.optimizers.items():
            optimizer.load_state_dict(_part(file, names, f"{name}/"))
    return info


def load_network(path: Path, network, name: str) -> None:
    """Set one network from a checkpoint: the one called `name` there."""
    with _opened(path) as file:
        try:
            network.load_state_dict(_part(file, set(file.keys()), f"{name}."))
        except ValueError as error:
            raise CheckpointError(f"{path}: a checkpoint of another network: {error}") from None


def _part(file, names, prefix):
    return {n.removeprefix(prefix): file.get_tensor(n) for n in names if n.startswith(prefix)}


@contextmanager
def _opened(path):
    if not os.path.isfile(path):
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        file = safe_open(path, framework="numpy")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: cannot be read as a checkpoint; it is cut short or no safetensors file "
            f"({error})"
        ) from None
    with file:
        yield file
