"""``python -m tinygan.generate RUN --out grid.png``: make pictures with a run that draws them."""

from __future__ import annotations

import sys
from pathlib import Path

from tinygan import commands
from tinygan.commands import Parser, say
from tinygan.data import save_grid
from tinygan.errors import UserError
from tinygan.runs.run import load
from tinygan.systems.options import whole
from tinygan.systems.system import refuse_above


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.generate") -> int:
    """Make the pictures that `argv` asks for, and return the exit status."""
    return commands.run(prog, lambda: _generate(_parser(prog).parse_args(argv)), "--count")


def _generate(arguments) -> None:
    out = Path(arguments.out)
    _check_out(out, arguments.force)
    run = load(
        arguments.run,
        system=arguments.system,
        best=arguments.best,
        raw=arguments.raw,
        backend=arguments.backend,
    )
    options, count = run.options, arguments.count
    values = count * options.image_size**2 * options.channels
    refuse_above(8 * values, "the pictures", "--count")  # as float32, as bytes, on the sheet
    columns = min(arguments.columns, count)
    images = run.generate(count, arguments.seed, arguments.interpolate, columns)
    save_grid(images, out, columns)
    say(f"{len(images)} pictures of {run.checkpoint} are in {out}")


def _check_out(out: Path, force: bool) -> None:
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: expected the name of a .png file")
    if out.exists() and (out.is_dir() or not force):
        raise UserError(f"--out {out}: is there already; --force replaces it")


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Make pictures with a run that draws them.")
    parser.add_argument("run", metavar="RUN", help="a run folder, or one of its checkpoints")
    parser.add_argument(
        "--system", metavar="FILE.py:CLASS", help="the file of your own system, whose code is run"
    )
    parser.add_argument(
        "--best",
        action="store_true",
        help="use the checkpoint whose pictures were nearest to the data, not the newest one",
    )
    parser.add_argument(
        "--raw",
        action="store_true",
        help="use the weights after the last step, not their average (see --ema of training)",
    )
    parser.add_argument("--out", default="generated.png", metavar="FILE", help="a .png file")
    parser.add_argument("--count", type=whole(1), default=64, metavar="N", help="default: 64")
    parser.add_argument(
        "--columns", type=whole(1), default=8, metavar="N", help="pictures in a row"
    )
    parser.add_argument(
        "--seed", type=whole(0), default=0, metavar="N", help="for other pictures; default: 0"
    )
    parser.add_argument(
        "--interpolate", action="store_true", help="each row walks from one picture to another"
    )
    parser.add_argument("--backend", choices=["numpy", "cupy", "auto"], default="auto")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
