"""``python -m tinygan.export RUN model.onnx``: a run's network as an ONNX model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tinygan.errors import UserError
from tinygan.formats.onnx_file import to_onnx, write_onnx
from tinygan.formats.run import BUILDERS, input_shape, open_network
from tinygan.train.command import Parser


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.export") -> int:
    """Export what `argv` names, and return the exit status."""
    try:
        arguments = _parser(prog).parse_args(argv)
        export(arguments)
    except UserError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    return 0


def export(arguments) -> None:
    out, name = Path(arguments.out), arguments.network
    if out.suffix.lower() != ".onnx":
        raise UserError(f"{out}: expected the name of an .onnx file")
    if out.exists() and (out.is_dir() or not arguments.force):
        raise UserError(f"{out}: is there already; --force replaces it")
    system, options, network = open_network(Path(arguments.run), name, arguments.best)
    notes = {"system": system, "network": name, "options": json.dumps(options, ensure_ascii=False)}
    shape = input_shape(system, name, options)
    write_onnx(out, to_onnx(network, shape, arguments.half, notes))
    print(f"{name} of {arguments.run} is in {out}, {out.stat().st_size / 1e6:.1f} MB")


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Write a run's network as an ONNX model.")
    parser.add_argument("run", metavar="RUN", help="a run folder, or one of its checkpoints")
    parser.add_argument("out", metavar="OUT", help="an .onnx file")
    parser.add_argument(
        "--network",
        choices=sorted({name for networks in BUILDERS.values() for name in networks}),
        default="G",
        help="which one (default: %(default)s)",
    )
    parser.add_argument(
        "--best",
        action="store_true",
        help="use the checkpoint whose pictures were nearest to the data, not the newest one",
    )
    parser.add_argument(
        "--half", action="store_true", help="keep the weights as 16-bit numbers, in half the space"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
