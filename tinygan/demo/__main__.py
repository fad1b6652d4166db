"""``python -m tinygan.demo RUN``: a page in which anyone can play with a trained network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tinygan import commands
from tinygan.commands import Parser, check_file, run_options, say
from tinygan.files import write_text
from tinygan.formats.demo import page
from tinygan.machine.memory import size_text
from tinygan.runs.run import load


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.demo") -> int:
    """Write the page that `argv` asks for, and return the exit status."""
    return commands.run(prog, lambda: write(_parser(prog).parse_args(argv)))


def write(arguments: Any) -> None:
    out = Path(arguments.out)
    check_file(out, arguments.force, [".html", ".htm"])
    run = load(arguments.run, **run_options(arguments), backend="numpy")
    html = page(run, arguments.direction, arguments.half)
    write_text(out, html)
    say(f"the page of {arguments.run} is in {out}, {size_text(len(html))}; open it in a browser")


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Write one page of HTML in which anyone can play with a trained generator. It "
        "needs no network and no server.",
    )
    parser.add_argument("run", metavar="RUN", help="a run folder, or one of its checkpoints")
    parser.add_argument("--out", default="demo.html", metavar="FILE", help="default: %(default)s")
    parser.add_argument(
        "--direction", metavar="NAME", help="of a run that translates: AtoB (the default) or BtoA"
    )
    parser.add_run_options(raw=False)
    parser.add_argument(
        "--half", action="store_true", help="keep the weights as 16-bit numbers: half the size"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
