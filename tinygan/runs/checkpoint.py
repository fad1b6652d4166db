"""Checkpoints: everything a run needs to continue bit for bit, in one safetensors file.

Format 2.  The name of each array begins with its section:

=========================================  ======================================================
``networks/G.3.weight``                    parameters and buffers, by network and dotted name
``averages/G.3.weight``                    optional: running averages of the same
``optimizers/adam_G/G.3.weight/m``         what an optimizer keeps for each parameter: Adam's m, v
``optimizers/adam_G/steps``                its count of steps
``extra/pool_X.images``                    optional: what else the system remembers
=========================================  ======================================================

The header holds ``format`` and, as ``tinygan``, a JSON text: ``system``, ``step``, ``options``,
``data``, ``score``, ``best``, the ``version`` of tinygan that wrote it, and each optimizer's kind
and numbers (``lr``, ``betas``), which are there to be read: options decide when a run goes on;
and ``checksums``, the CRC-32 of each array's bytes, which are compared when it is read.
An optional section may be absent; one that is not listed here is an error.  Later versions add
sections, not formats.  Format 1 is read, see ``tinygan.runs.format_1``, and never rewritten.

Nothing in a checkpoint is code, and nothing that reads it runs any.  Names, shapes and types are
compared with what is expected before any array is read.

Random numbers and the order of the data need no state: they are functions of the seed and of the
number of the step.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

import tinygan
from tinygan.averages import Average
from tinygan.errors import CheckpointError, DivergedError
from tinygan.files import replaced
from tinygan.layer import Layer
from tinygan.options.resolving import stored
from tinygan.runs import format_1
from tinygan.runs.header import FORMAT, MOST_STEPS, Best, Checkpoint, opened, read_checkpoint
from tinygan.systems.contract import arrays_of
from tinygan.systems.system import System

__all__ = [
    "checkpoint_path",
    "checkpoint_paths",
    "expected_networks",
    "info",
    "is_number_like",
    "load_network",
    "load_system",
    "read_arrays",
    "save_checkpoint",
    "state_arrays",
]

_NAME = re.compile(r"step-(\d{6,})\.safetensors")
_FLOATS = {"F16": 2, "F32": 4, "F64": 8}
_KINDS = {"float32": "F32", "float64": "F64", "float16": "F16", "bool": "BOOL"}
_KINDS |= {f"int{8 * n}": f"I{8 * n}" for n in (1, 2, 4, 8)}
_KINDS |= {f"uint{8 * n}": f"U{8 * n}" for n in (1, 2, 4, 8)}


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


# --- writing ----------------------------------------------------------------------------------


def save_checkpoint(folder: Path, system: System, step: int, info: dict) -> Path:
    """Write the state of `system` after `step` steps.

    Parameters
    ----------
    folder : Path
    system : System
    step : int
    info : dict
        What else to note in the header: ``options``, ``data``, ``score``, ``best``.

    Raises
    ------
    DivergedError
        If a number is NaN or infinite.  Nothing is written.
    OSError
        If the file cannot be written.  What was there before is untouched.
    """
    arrays = state_arrays(system)
    for name, array in arrays.items():
        if not _finite(array):
            raise DivergedError(f"{name} holds NaN or infinite values after step {step}", step)
    optimizers = {name: _described(one) for name, one in system.optimizers.items()}
    header = {"version": tinygan.__version__, "system": system.name, "step": step}
    checksums = {name: _checksum(array) for name, array in arrays.items()}
    text = json.dumps({**header, **info, "optimizers": optimizers, "checksums": checksums})
    path = checkpoint_path(folder, step)
    with replaced(path) as beside:
        try:
            save_file(arrays, beside, {"format": FORMAT, "tinygan": text})
        except SafetensorError as error:  # it wraps the operating system's errors
            raise OSError(f"{path}: cannot be written: {error}") from error
    return path


def info(system: System, score: float | None = None, best: Best | None = None) -> dict[str, Any]:
    """Return what the header of a run's checkpoint notes, for `save_checkpoint`."""
    noted = {
        "options": stored(system.options),
        "data": system.data,
        "score": score,
        "best": best and asdict(best),
    }
    file = system.file
    return noted if file is None else {**noted, "system_file": file.described()}


def state_arrays(system: System) -> dict[str, np.ndarray]:
    """Return copies of everything that changes while `system` is trained, by name."""
    arrays: dict[str, np.ndarray] = {}
    holders: dict[str, Layer] | dict[str, Average]
    for section, holders in (("networks", system.networks), ("averages", system.averages)):
        for name, holder in holders.items():
            state = holder.state_dict()
            arrays |= {f"{section}/{name}.{key}": value for key, value in state.items()}
    for name, own in _optimizer_names(system).items():
        state = system.optimizers[name].state_dict()
        arrays |= {own[key]: value for key, value in state.items()}
    arrays |= {
        f"extra/{key}": value for key, value in arrays_of(system, system.extra_arrays()).items()
    }
    return {name: np.asarray(array, order="C") for name, array in arrays.items()}


def _optimizer_names(system: System) -> dict[str, dict[str, str]]:
    """Return, for each optimizer, its own name for an array (``3.m``) → the checkpoint's."""
    names: dict[str, dict[str, str]] = {}
    for name, optimizer in system.optimizers.items():
        whose, own = system.updated(name), {}
        for key in optimizer.state_dict():
            number, _, slot = key.partition(".")
            place = f"{whose[int(number)]}/{slot}" if slot else key
            own[key] = f"optimizers/{name}/{place}"
        names[name] = own
    return names


def _described(optimizer: object) -> dict[str, Any]:
    """Return an optimizer's kind and its numbers: rate, decays."""
    numbers = {
        name: value
        for name, value in vars(optimizer).items()
        if not name.startswith("_")
        and (isinstance(value, int | float) or _is_tuple_of_numbers(value))
    }
    return {"kind": type(optimizer).__name__, **numbers}


def _is_tuple_of_numbers(value: object) -> bool:
    return isinstance(value, tuple) and all(isinstance(v, int | float) for v in value)


# --- reading ----------------------------------------------------------------------------------


def load_system(path: Path, system: System) -> Checkpoint:
    """Set the state of `system` from a checkpoint, and return what its header says.

    Raises
    ------
    CheckpointError
        If it is not a checkpoint of such a system.  Nothing is changed then.
    """
    checkpoint = read_checkpoint(path)
    if checkpoint.system != system.name:
        raise CheckpointError(
            f"{path}: expected a checkpoint of a {system.name}, got one of a {checkpoint.system}"
        )
    own = _optimizer_names(system)
    names = {name: name for name in expected_networks(system.networks)}
    names |= {new: new for names_ in own.values() for new in names_.values()}
    if checkpoint.format == 1:
        names = format_1.old_names(system.networks, own)
    expected = expected_networks(system.networks)
    for name, optimizer in system.optimizers.items():
        expected |= {own[name][key]: array for key, array in optimizer.state_dict().items()}
    _check_names(checkpoint, names)
    averaged = {name: average.network for name, average in system.averages.items()}
    if averaged:
        due = expected_networks(averaged, "averages")
        _check_names(checkpoint, {name: name for name in due}, "averages/")
        names |= {name: name for name in due}
        expected |= due
    for new, array in expected.items():
        _check_array(checkpoint, names[new], array.dtype, tuple(array.shape))
    extra = _check_extra(checkpoint, system.extra_shapes())
    arrays = read_arrays(checkpoint, names)
    for name in own:
        if not 0 <= int(arrays[own[name]["steps"]]) < MOST_STEPS:
            raise CheckpointError(f"{path}: {names[own[name]['steps']]}: no count of steps")
    try:
        system.load_extra_arrays(read_arrays(checkpoint, extra))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None
    for name, network in system.networks.items():
        network.load_state_dict(_part(arrays, f"networks/{name}."))
    for name, average in system.averages.items():
        average.load_state_dict(_part(arrays, f"averages/{name}."))
    for name, optimizer in system.optimizers.items():
        optimizer.load_state_dict({key: arrays[new] for key, new in own[name].items()})
    return checkpoint


def load_network(path: Path, network: Layer, name: str, raw: bool = False) -> None:
    """Set one network from a checkpoint: the one called `name` there.

    Its averaged weights, if there are such and not the last ones, `raw`, are asked for.
    """
    checkpoint = read_checkpoint(path)
    averaged = any(array.startswith(f"averages/{name}.") for array in checkpoint.shapes)
    section = "averages" if averaged and not raw else "networks"
    expected = expected_networks({name: network}, section)
    names = {new: new for new in expected}
    if checkpoint.format == 1:
        names = format_1.old_names({name: network}, {})
    prefix = f"{name}." if checkpoint.format == 1 else f"{section}/{name}."
    _check_names(checkpoint, names, prefix)
    for new, array in expected.items():
        _check_array(checkpoint, names[new], array.dtype, tuple(array.shape))
    network.load_state_dict(_part(read_arrays(checkpoint, names), f"{section}/{name}."))


def expected_networks(networks: Mapping[str, Layer], section: str = "networks") -> dict[str, Any]:
    """Return an array like each one that is due, by its name."""
    expected = {}
    for name, network in networks.items():
        for key, parameter in network.named_parameters().items():
            expected[f"{section}/{name}.{key}"] = parameter.data
        for key, array in network.buffers().items():
            expected[f"{section}/{name}.{key}"] = array
    return expected


def _check_names(checkpoint: Checkpoint, names: dict[str, str], prefix: str = "") -> None:
    """Compare the names in the file with those due; without a prefix, optional sections aside."""
    due = set(names.values())
    optional = () if prefix else ("extra/", "averages/")
    there = {
        name
        for name in checkpoint.shapes
        if name.startswith(prefix) and not name.startswith(optional)
    }
    for name in sorted(due ^ there):
        state = "is missing" if name in due else "is unknown"
        raise CheckpointError(f"{checkpoint.path}: a checkpoint of another network: {name} {state}")


def _check_array(checkpoint: Checkpoint, name: str, dtype: Any, shape: tuple[int, ...]) -> None:
    kind, found = checkpoint.shapes[name]
    if found != shape:
        raise CheckpointError(
            f"{checkpoint.path}: a checkpoint of another network: "
            f"{name}: expected shape {shape}, got {found}"
        )
    if not is_number_like(kind, dtype):
        due = _KINDS.get(np.dtype(dtype).name)
        raise CheckpointError(f"{checkpoint.path}: {name}: expected numbers {due}, got {kind}")


def is_number_like(kind: str, dtype: Any) -> bool:
    """Tell whether numbers of a safetensors `kind`, ``"F32"``, can be taken for a NumPy dtype."""
    due = _KINDS.get(np.dtype(dtype).name)
    return kind == due or (kind in _FLOATS and due in _FLOATS)


def _check_extra(checkpoint: Checkpoint, due: dict[str, tuple[int, ...]]) -> dict[str, str]:
    """Return the names of the section ``extra``; each array is at most as long as is due."""
    names = {}
    for name, (kind, shape) in checkpoint.shapes.items():
        if not name.startswith("extra/"):
            continue
        key = name.removeprefix("extra/")
        if key not in due:
            raise CheckpointError(f"{checkpoint.path}: unknown array: {name}")
        longest = due[key]
        fits = len(shape) == len(longest) and shape[1:] == longest[1:]
        if not fits or shape[:1] > longest[:1] or kind not in _KINDS.values():
            raise CheckpointError(
                f"{checkpoint.path}: {name}: expected at most the shape {longest}, "
                f"got {shape} of {kind}"
            )
        names[key] = name
    return names


def read_arrays(checkpoint: Checkpoint, names: dict[str, str]) -> dict[str, np.ndarray]:
    """Return the arrays of a file that was checked: name → its name there."""
    with opened(checkpoint.path) as file:
        try:
            arrays = {new: file.get_tensor(name) for new, name in names.items()}
        except (SafetensorError, OSError) as error:  # another process has replaced it meanwhile
            raise CheckpointError(f"{checkpoint.path}: cannot be read: {error}") from None
    for new, array in arrays.items():
        if checkpoint.checksums.get(names[new], found := _checksum(array)) != found:
            raise CheckpointError(
                f"{checkpoint.path}: {names[new]} is damaged: its bytes are not those that were "
                "written"
            )
        if not _finite(array):
            raise CheckpointError(f"{checkpoint.path}: {names[new]} holds NaN or infinite values")
    return arrays


def _checksum(array: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(array).data)


def _finite(array: np.ndarray) -> bool:
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _part(arrays: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
