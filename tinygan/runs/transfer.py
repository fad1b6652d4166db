"""``--init-from``: a new run that begins with the weights of another one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygan.errors import UserError
from tinygan.options.base import fields_of
from tinygan.options.resolving import load_options
from tinygan.runs import format_1
from tinygan.runs.checkpoint import expected_networks, is_number_like, read_arrays
from tinygan.runs.header import Checkpoint
from tinygan.runs.load import open_run
from tinygan.systems.system import System

__all__ = ["Taken", "network_options", "open_source", "take_weights"]


@dataclass
class Taken:
    """What became of the tensors of a new run's networks.

    Attributes
    ----------
    source : Checkpoint
    origin : str or None
        What it was made of, where that is another file.
    taken, drawn : list of str
        Their names, ``G.1.weight``: taken from the source, or drawn anew.
    averaged : list of str
        The networks whose average was taken.
    """

    source: Checkpoint
    origin: str | None
    taken: list[str] = field(default_factory=list)
    drawn: list[str] = field(default_factory=list)
    averaged: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = f"{len(self.taken)} of {len(self.taken) + len(self.drawn)} tensors"
        average = f", the average of {' and '.join(self.averaged)}" if self.averaged else ""
        drawn = f"; {len(self.drawn)} drawn anew: {_first(self.drawn)}" if self.drawn else ""
        source = f"{self.origin or self.source.path} (step {self.source.step}{average})"
        return f"{counts} are those of {source}: {_first(self.taken)}{drawn}"

    def described(self) -> dict[str, Any]:
        """Return what the new run notes in its ``config.json``."""
        return {
            "checkpoint": self.origin or str(self.source.path.absolute()),
            "step": self.source.step,
            "taken": len(self.taken),
            "drawn": self.drawn,
        }


def open_source(path: Path, cls: type[System], origin: str | None = None) -> Checkpoint:
    """Return the checkpoint of a run's folder, or the file itself, that `cls` may begin with.

    `origin` is what it was made of, for messages.

    Raises
    ------
    UserError
    """
    try:
        source = open_run(path).checkpoint
    except UserError as error:
        raise UserError(f"--init-from {error}") from None
    own = cls.file is not None or source.system_file is not None
    if source.system != cls.name and not own:
        raise UserError(
            f"--init-from {origin or path}: expected a run of {cls.name}, got {source.system}"
        )
    return source


def network_options(source: Checkpoint, cls: type[System]) -> dict[str, Any]:
    """Return the options of a run that say how its networks look; none of another system's."""
    if source.system != cls.name:
        return {}
    options = load_options(cls.Options, source.options, f"--init-from {source.path}")
    return {
        option.name: getattr(options, option.name)
        for option in fields_of(cls.Options)
        if option.metadata["group"] == "networks" or option.name in cls.Options.shaping
    }


def take_weights(source: Checkpoint, system: System, origin: str | None = None) -> Taken:
    """Set the networks of `system`, layer by layer, where all tensors of a layer fit.

    Averages are taken where the source has them.  The averages of `system` begin anew, its
    optimizers stay as they are: fresh.

    Parameters
    ----------
    source : Checkpoint
    system : System
    origin : str, optional
        What the source was made of.

    Raises
    ------
    UserError
        If nothing fits.
    """
    report = Taken(source, origin)
    names: dict[str, str] = {}
    due = expected_networks(system.networks)
    places = _places(source, system, report)
    layers: dict[str, list[str]] = {}
    for name, array in due.items():
        if array.dtype.kind == "f":  # not the state of random numbers
            layers.setdefault(name.rpartition(".")[0], []).append(name)
    for inside in layers.values():
        fits = all(_fits(source, places.get(name), due[name]) for name in inside)
        (report.taken if fits else report.drawn).extend(n.partition("/")[2] for n in inside)
        names |= {name: places[name] for name in inside} if fits else {}
    if not names:
        raise UserError(
            _misfit(source, origin, places, {n: due[n] for row in layers.values() for n in row})
        )
    arrays = read_arrays(source, names)
    for network, layer in system.networks.items():
        prefix = f"networks/{network}."
        own = {
            name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)
        }
        layer.load_state_dict({**layer.state_dict(), **own})
    system.start_averages()
    return report


def _places(source: Checkpoint, system: System, report: Taken) -> dict[str, str]:
    """Return the name that each tensor would have in the source."""
    untrained = source.data.get("untrained")  # weights that were converted, without a D
    skipped = untrained if isinstance(untrained, list) else []
    networks = {name: net for name, net in system.networks.items() if name not in skipped}
    if source.format == 1:
        return format_1.old_names(networks, {})
    places = {}
    for network in networks:
        averaged = any(name.startswith(f"averages/{network}.") for name in source.shapes)
        report.averaged += [network] * averaged
        section = "averages" if averaged else "networks"
        for name in expected_networks({network: networks[network]}):
            places[name] = name.replace("networks", section, 1)
    return places


def _fits(source: Checkpoint, place: str | None, array: np.ndarray) -> bool:
    kind, shape = source.shapes.get(place or "", ("", ()))
    return shape == tuple(array.shape) and is_number_like(kind, array.dtype)


def _misfit(
    source: Checkpoint, origin: str | None, places: dict[str, str], due: dict[str, np.ndarray]
) -> str:
    """Say of the first tensor why it does not fit."""
    name = next(iter(due))
    found = source.shapes.get(places.get(name, ""), ("", None))[1]
    return (
        f"--init-from {origin or source.path}: none of its tensors fits; "
        f"{name.partition('/')[2]}: expected the shape {tuple(due[name].shape)}, got "
        f"{'none of that name' if found is None else found}"
    )


def _first(names: list[str], count: int = 3) -> str:
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")
