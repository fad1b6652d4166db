"""``python -m tinygan.convert IN OUT``: published PyTorch weights to a run, and back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tinygan import commands
from tinygan.commands import Parser, check_file, run_options, say
from tinygan.errors import CheckpointError, UserError
from tinygan.formats import names, torch_file
from tinygan.formats.published import published_run, read_published
from tinygan.formats.run import network_of
from tinygan.runs.header import read_checkpoint
from tinygan.runs.run import load
from tinygan.systems.draws import Draws


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
    check_file(out, arguments.force, flag="")
    source = Path(inputs[0])
    if source.is_dir() or _is_checkpoint(source):
        run = load(source, **run_options(arguments), backend="numpy")
        made = network_of(run, arguments.network)
        prefix = "main" if isinstance(run.system, Draws) else "model"
        if arguments.network == "G" and getattr(run.options, "activation", "relu") != "relu":
            say("note: its activations are leaky ReLUs; those of the published G are ReLUs")
    else:
        kind, _, made = read_published(source)
        prefix = kind.prefix
    torch_file.write_weights(out, names.to_published(made, prefix))
    count = sum(p.size for p in made.parameters())
    say(f"{count:,} parameters of {source} are in {out}, under their published names")


def _to_run(inputs: list[str], out: Path) -> None:
    checkpoint, titles = published_run(inputs, out)
    say("\n".join(titles))
    say(f"the run is in {out}: {checkpoint}")


def _is_checkpoint(path: Path) -> bool:
    try:
        read_checkpoint(path)
    except CheckpointError:
        return False
    return True


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
