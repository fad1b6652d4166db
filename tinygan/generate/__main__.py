"""``python -m tinygan.generate RUN --out grid.png``: make pictures with a run that draws them."""

from __future__ import annotations

import sys
from pathlib import Path

from tinygan.data import save_grid
from tinygan.errors import UserError
from tinygan.runs.run import load
from tinygan.systems.options import Parser, whole


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.generate") -> int:
    """Make the pictures that `argv` asks for, and return the exit status."""
    try:
        arguments = _parser(prog).parse_args(argv)
        out = Path(arguments.out)
        _check_out(out, arguments.force)
        run = load(
            arguments.run,
            system=arguments.system,
            best=arguments.best,
            backend=arguments.backend,
        )
        images = run.generate(
            arguments.count, arguments.seed, arguments.interpolate, arguments.columns
        )
        try:
            save_grid(images, out, arguments.columns)
        except OSError as error:
            raise UserError(f"--out {out}: cannot be written: {error.strerror or error}") from None
    except UserError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    print(f"{len(images)} pictures of {run.checkpoint} are in {out}")
    return 0


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
