"""``python -m tinygan.convert IN OUT``: published PyTorch weights to a run, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tinygan import commands
from tinygan.commands import Parser, say
from tinygan.errors import CheckpointError, DivergedError, UserError
from tinygan.formats import names, torch_file
from tinygan.formats.run import network_of, write_run
from tinygan.layer import Layer
from tinygan.runs.header import read_checkpoint
from tinygan.runs.run import load
from tinygan.systems.draws import Draws

_ROLES = {role for kind in names.KINDS for role in kind.roles}
# what the published DCGAN's files do not say: z is normal there
_UNSAID = {"dcgan": {"noise": "normal", "activation": "relu", "negative_slope": 0.2}}
# the names of a run's options, where a network's own are others
_OPTIONS = {"D_Y": {"width": "discriminator_width", "layers": "discriminator_layers"}}


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.convert") -> int:
    """Convert what `argv` names, and return the exit status."""
    return commands.run(prog, lambda: convert(_parser(prog).parse_args(argv)))


def convert(arguments: Any) -> None:
    """Convert weight files to a run, or one network of a run to a weight file."""
    inputs, out = arguments.inputs, Path(arguments.out)
    if out.suffix.lower() not in torch_file.SUFFIXES:
        _to_run(inputs, out)
        return
    if len(inputs) != 1:
        raise UserError(f"{out}: one weight file holds one network; got {len(inputs)} inputs")
    if out.exists() and (out.is_dir() or not arguments.force):
        raise UserError(f"{out}: is there already; --force replaces it")
    source = Path(inputs[0])
    if source.is_dir() or _is_checkpoint(source):
        run = load(source, system=arguments.system, best=arguments.best, backend="numpy")
        made = network_of(run, arguments.network)
        prefix = "main" if isinstance(run.system, Draws) else "model"
        if arguments.network == "G" and getattr(run.options, "activation", "relu") != "relu":
            say("note: its activations are leaky ReLUs; those of the published G are ReLUs")
    else:
        kind, _, made = _read(source)
        prefix = kind.prefix
    torch_file.write_weights(out, names.to_published(made, prefix))
    count = sum(p.size for p in made.parameters())
    say(f"{count:,} parameters of {source} are in {out}, under their published names")


def _to_run(inputs: list[str], out: Path) -> None:
    found: dict[str, Layer] = {}
    options: dict[str, Any] = {}
    system, titles = "", []
    for text in inputs:
        role, _, file = text.partition("=")
        if role not in _ROLES or not file:
            role, file = "", text
        kind, arguments, network = _read(Path(file))
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
    say("\n".join(titles))
    say(f"the run is in {out}: {checkpoint}")


def _read(path: Path) -> tuple[Any, Any, Any]:
    arrays = torch_file.read_weights(path)
    try:
        kind, arguments = names.recognize({name: a.shape for name, a in arrays.items()})
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    network = names.from_published(kind.build(**arguments), kind.prefix, arrays)
    return kind, arguments, network


def _is_checkpoint(path: Path) -> bool:
    try:
        read_checkpoint(path)
    except CheckpointError:
        return False
    return True


def _brief(options: dict) -> str:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in options.items())


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Convert published PyTorch weights to a run that generate and translate use, "
        "or a run's weights to a PyTorch file. PyTorch itself is not needed.",
    )
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="IN",
        help="a .pth, .pt or .safetensors file of published weights; several, as G=FILE F=FILE "
        "D_X=FILE D_Y=FILE, for one run; or a run folder, or one of its checkpoints",
    )
    parser.add_argument(
        "out",
        metavar="OUT",
        help="a new folder for a run; or, ending in .pth, .pt or .safetensors, a weight file",
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        default="G",
        help="which network of a run is written (default: %(default)s)",
    )
    parser.add_argument(
        "--best",
        action="store_true",
        help="use the checkpoint whose pictures were nearest to the data, not the newest one",
    )
    parser.add_argument(
        "--system", metavar="FILE.py:CLASS", help="the file of your own system, whose code is run"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
