"""Files of published weights, made into a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinygan.errors import DivergedError, UserError
from tinygan.formats import names, torch_file
from tinygan.formats.run import write_run
from tinygan.layer import Layer

__all__ = ["published_run", "read_published"]

_ROLES = {role for kind in names.KINDS for role in kind.roles}
# what the published DCGAN's files do not say: z is normal there
_UNSAID = {"dcgan": {"noise": "normal", "activation": "relu", "negative_slope": 0.2}}
# the names of a run's options, where a network's own are others
_OPTIONS = {"D_Y": {"width": "discriminator_width", "layers": "discriminator_layers"}}


def published_run(inputs: list[str], out: Path) -> tuple[Path, list[str]]:
    """Make a run's folder of published weights.

    Parameters
    ----------
    inputs : list of str
        ``FILE``, or ``G=FILE`` where it is not clear which network a file is.
    out : Path
        A new or empty folder.

    Returns
    -------
    checkpoint : Path
    titles : list of str
        A line for each file: which network it is of, and of what size.

    Raises
    ------
    UserError
        If a file cannot be read, is of no published network, or does not go with the others.
    """
    found: dict[str, Layer] = {}
    options: dict[str, Any] = {}
    system, titles = "", []
    for text in inputs:
        role, _, file = text.partition("=")
        if role not in _ROLES or not file:
            role, file = "", text
        kind, arguments, network = read_published(Path(file))
        role = role or kind.roles[0]
        if system not in ("", kind.system):
            raise UserError(f"{file}: {kind.title}, but {inputs[0]} is part of a {system}")
        if role not in kind.roles:
            raise UserError(f"{text}: {kind.title} cannot be {role}")
        if role in found:
            raise UserError(
                f"{file}: {role} is there already; say which network each file is: "
                f"{', '.join(f'{known}=FILE' for known in kind.roles)}"
            )
        system, found[role] = kind.system, network
        own = {_OPTIONS.get(kind.roles[0], {}).get(key, key): v for key, v in arguments.items()}
        for key, value in own.items():
            if options.setdefault(key, value) != value:
                raise UserError(f"{file}: {key} is {value}, but {options[key]} before")
        titles.append(f"{role}: {kind.title} ({_brief(own)})")
    options = _UNSAID.get(system, {}) | options
    if options.get("residual_blocks") == 9:
        options["image_size"] = 256
    try:
        checkpoint = write_run(out, system, options, found, ", ".join(inputs))
    except DivergedError as error:
        raise UserError(f"{', '.join(inputs)}: {error}") from None
    return checkpoint, titles


def read_published(path: Path) -> tuple[names.Kind, dict[str, Any], Layer]:
    """Return what kind of network a weight file holds, its options, and the network."""
    arrays = torch_file.read_weights(path)
    try:
        kind, arguments = names.recognize({name: a.shape for name, a in arrays.items()})
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    network = names.from_published(kind.build(**arguments), kind.prefix, arrays)
    return kind, arguments, network


def _brief(options: dict) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in options.items())
