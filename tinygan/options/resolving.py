"""From what was given to a run's options, and from a run's files back to them.

Whatever reads options (flags, a ``.toml`` file, ``config.json``, a checkpoint, Python) goes through
`checked`, so no other code meets an option of the wrong type.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.errors import UserError
from tinygan.files import read_regular
from tinygan.options.base import REQUIRED, Options, fields_of, flag_of
from tinygan.options.kinds import Kind

__all__ = ["changed", "checked", "load_options", "read_toml", "resolve", "resumed", "stored"]

_PLACES = ("data", "generated", "content")  # files, or a run that comes with tinygan


def checked(cls: type[Options], values: Any, where: str) -> dict[str, Any]:
    """Return `values`, by name, if each is an option of `cls` and of its kind.

    Raises
    ------
    UserError
        One line that begins with `where` and names the option, what was expected and what came.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected options by name, got {_short(values)}")
    fields = {field.name: field for field in fields_of(cls)}
    renamed = {field.metadata["was"]: name for name, field in fields.items()}
    found = {}
    for name, value in values.items():
        field = fields.get(renamed.get(name) or name)
        if field is None:
            raise UserError(f"{where}: unknown option {_short(name)}")
        if isinstance(value, np.generic):
            value = value.item()
        value = list(value) if isinstance(value, tuple) else value
        kind: Kind = field.metadata["kind"]
        admits_none = "None" in str(field.type) or "Optional" in str(field.type)
        if not (value is None and admits_none) and not kind.accepts(value):
            raise UserError(f"{where}: {field.name}: expected {kind.expected}, got {_short(value)}")
        found[field.name] = value
    return found


def _short(value: Any) -> str:
    few = isinstance(value, list) and len(value) < 9
    if isinstance(value, dict | list) and not (  # it may be nested deeply
        few and all(isinstance(v, str | int | float) for v in value)
    ):
        return f"a {type(value).__name__}"
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def load_options(cls: type[Options], values: Any, where: str | Path) -> Options:
    """Return the options of a run from its ``config.json`` or checkpoint.

    What an older run does not name becomes what it was before the option existed.

    Raises
    ------
    UserError
        If an option is missing, unknown or senseless: the run is damaged or foreign.
    """
    where = f"{where}: its options are damaged"
    found = checked(cls, values, where)
    for field in fields_of(cls):
        if field.name in found or field.metadata["change"] == "not stored":
            continue
        if field.metadata["before"] is REQUIRED:
            raise UserError(f"{where}: {field.name} is missing")
        found[field.name] = field.metadata["before"]
    options = cls(**found)
    try:
        options.check()
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return options


def stored(options: Options) -> dict[str, Any]:
    """Return the options as ``config.json`` and checkpoints hold them."""
    return {
        field.name: getattr(options, field.name)
        for field in fields_of(type(options))
        if field.metadata["change"] != "not stored"
    }


def resolve(
    cls: type[Options],
    given: dict[str, Any],
    config: dict[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Options:
    """Return the options of a new run: what was given, else `config`, the preset, the default.

    Raises
    ------
    UserError
    """
    fields_of(cls)  # says what a class lacks
    config = config or {}
    name = given.get("preset", config.get("preset"))
    own = given.get("data") or config.get("data") or config.get("dataset")
    if name is None and not own and "quick" in cls.presets:
        say("no --data given: preset quick (see --preset)")
        preset = cls.presets["quick"].values
    elif name is not None and name not in cls.presets:
        known = ", ".join(cls.presets) or "none"
        raise UserError(f"--preset {name}: no such preset; there are {known}")
    else:
        preset = cls.presets[name].values if name is not None else {}
    preset = checked(cls, preset, f"--preset {name or 'quick'}")
    values: dict[str, Any] = {}
    for layer in (preset, config, given):
        values |= {name: None for name, leads in cls.follows.items() if leads in layer}
        values = _over(values, layer)
    options = cls(**values)
    for name in _PLACES:
        if getattr(options, name, None):
            setattr(options, name, _absolute(name, getattr(options, name)))
    options.check()
    return options


def _absolute(name: str, place: str) -> str:
    return str(Path(place).absolute()) if name == "data" or os.path.exists(place) else place


def _over(values: dict, layer: dict) -> dict:
    """Return `values` with those of `layer` over them; one source and one length at a time."""
    for pair in (("data", "dataset"), ("steps", "epochs")):
        if any(layer.get(name) for name in pair):
            values = {**values, **dict.fromkeys(pair)}
    return {**values, **layer}


def read_toml(cls: type[Options], path: Path) -> dict[str, Any]:
    """Return the options that a ``.toml`` file names, with ``-`` or ``_`` in their names."""
    where = f"--config {path}"
    try:
        values = tomllib.loads(read_regular(path).decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: cannot be read: {error}") from None
    return checked(cls, {name.replace("-", "_"): value for name, value in values.items()}, where)


def resumed(options: Options, given: dict[str, Any], path: Path) -> Options:
    """Return a run's options with those set anew that may change.

    Raises
    ------
    UserError
        If another one was given.
    """
    changes: dict[str, Any] = {}
    for field in fields_of(type(options)):
        name, change = field.name, field.metadata["change"]
        if name not in given or change == "not stored":
            continue
        value, before = given[name], getattr(options, name)
        if name in _PLACES:
            value = _absolute(name, value)
        if change == "fixed" and value != before:
            raise UserError(
                f"--resume {path}: {flag_of(field)} is {before} in this run "
                f"and cannot become {value}; start a new run for that"
            )
        changes[name] = value
    options = dataclasses.replace(options, **_over({}, changes))
    options.check()
    return options


def changed(before: Options, now: Options) -> dict[str, list]:
    """Return the options "from then on" that a resumed run changes: name → [before, now]."""
    pairs = {
        field.name: [getattr(before, field.name), getattr(now, field.name)]
        for field in fields_of(type(now))
        if field.metadata["change"] == "from then on"
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
