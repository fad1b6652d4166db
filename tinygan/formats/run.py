"""Networks out of a run, and weights that came from elsewhere into one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinygan.errors import UserError
from tinygan.files import new_folder, write_json
from tinygan.layer import Layer
from tinygan.options.resolving import checked, stored
from tinygan.runs.checkpoint import save_checkpoint
from tinygan.runs.config import describe_run
from tinygan.runs.folder import FORMAT, check_free
from tinygan.runs.run import Run
from tinygan.systems import find
from tinygan.systems.translates import Translates

__all__ = ["input_shape", "network_of", "write_run"]


def network_of(run: Run, name: str) -> Layer:
    """Return one network of a run; a UserError says which there are."""
    if name not in run.networks:
        known = ", ".join(run.networks)
        raise UserError(f"--network {name}: a {run.system.name} has {known}")
    return run.networks[name]


def input_shape(run: Run, name: str) -> tuple[int | None, ...]:
    """Return the shape of one sample that a network takes; None where any size will do."""
    if isinstance(run.system, Translates):
        return None, None, run.options.channels
    shapes = run.system.input_shapes()
    if name not in shapes:
        raise UserError(f"{run.system.name}.input_shapes() does not say what goes into {name}")
    return shapes[name]


def write_run(
    out: Path, system: str, options: dict[str, Any], networks: dict[str, Layer], source: str
) -> Path:
    """Make a run's folder of networks that came from elsewhere; return its checkpoint.

    Parameters
    ----------
    out : Path
        A new or empty folder.
    system : str
    options : dict
        What is known of a run's options; the others are the usual ones.
    networks : dict of str to Layer
        Those that there are.  The others are as before the first step of training.
    source : str
        Where the weights came from; it is noted in ``config.json``.
    """
    cls = find(system)
    made = cls(cls.Options(**checked(cls.Options, options, source)))
    for name, network in networks.items():
        made.networks[name].load_state_dict(network.state_dict())
    untrained = [name for name in made.networks if name not in networks]
    made.data = {"converted": source, "untrained": untrained}
    made.optimizers, made.steps_per_epoch = made.build_optimizers(), 1
    made.start_averages()
    check_free(out)
    with new_folder(out) as beside:
        write_json(beside / "config.json", {"format": FORMAT, **describe_run(made, 0)})
        (beside / "checkpoints").mkdir()
        info = {"options": stored(made.options), "data": made.data}
        path = save_checkpoint(beside / "checkpoints", made, 0, info)
    return out / path.relative_to(beside)
