"""``python -m tinygan.export RUN model.onnx``: a run's network as an ONNX model."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tinygan import commands
from tinygan.commands import Parser, check_file, run_options, say
from tinygan.formats.onnx_file import to_onnx, write_onnx
from tinygan.formats.run import input_shape, network_of
from tinygan.machine.memory import size_text
from tinygan.options.resolving import stored
from tinygan.runs.run import load


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.export") -> int:
    """Export what `argv` names, and return the exit status."""
    return commands.run(prog, lambda: export(_parser(prog).parse_args(argv)))


def export(arguments: Any) -> None:
    out, name = Path(arguments.out), arguments.network
    check_file(out, arguments.force, [".onnx"], flag="")
    run = load(arguments.run, **run_options(arguments), backend="numpy")
    network = network_of(run, name)
    said = {key: value for key, value in stored(run.options).items() if key != "data"}  # a path
    options = json.dumps(said, ensure_ascii=False)
    notes = {"system": run.system.name, "network": name, "step": run.step, "options": options}
    write_onnx(out, to_onnx(network, input_shape(run, name), arguments.half, notes))
    say(f"{name} of {arguments.run} is in {out}, {size_text(out.stat().st_size)}")


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Write a run's network as an ONNX model.")
    parser.add_argument("run", metavar="RUN", help="a run folder, or one of its checkpoints")
    parser.add_argument("out", metavar="OUT", help="an .onnx file")
    parser.add_argument(
        "--network",
        metavar="NAME",
        default="G",
        help="which one (default: %(default)s)",
    )
    parser.add_run_options(raw=False)
    parser.add_argument(
        "--half", action="store_true", help="keep the weights as 16-bit numbers, in half the space"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
