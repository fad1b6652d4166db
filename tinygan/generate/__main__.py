"""``python -m tinygan.generate RUN --out OUT``: make pictures with a run that draws them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import tinygan
from tinygan import commands
from tinygan.commands import Parser, run_options, say
from tinygan.data.mark import made_with
from tinygan.errors import UserError
from tinygan.generate import forms
from tinygan.options.kinds import number, whole
from tinygan.runs.run import load
from tinygan.systems.system import refuse_above


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.generate") -> int:
    """Make the pictures that `argv` asks for, and return the exit status."""
    return commands.run(prog, lambda: _generate(_parser(prog).parse_args(argv)), "--count")


def _generate(arguments: Any) -> None:
    out, scale = Path(arguments.out), arguments.scale
    form = forms.check_out(out, arguments.force)
    if arguments.over_time:
        return _show_history(Path(arguments.run), out, form, scale, arguments.no_metadata)
    run = load(arguments.run, **run_options(arguments))
    run.check_out(out)
    options, count, truncation = run.options, arguments.count, arguments.truncation
    columns = min(arguments.columns, count)
    seed = arguments.seed
    note = None if arguments.no_metadata else made_with(run.system.name, run.step, seed)
    values = count * (options.image_size * scale) ** 2 * options.channels
    if form == "single":
        refuse_above(4 * count * run.drawing().noise(1, 0).size, "the noise", "--count")
        z = run.noise(count, arguments.seed, arguments.interpolate, columns, truncation)
        forms.write_single(run, z, out, scale, note)
    elif form == "animation":
        refuse_above(2 * arguments.frames * values, "the frames", "--count, --frames or --scale")
        z = run.walk(count, arguments.frames, arguments.seed, truncation)
        forms.write_walk(run, z, out, columns, scale, note)
    else:
        refuse_above(8 * values, "the pictures", "--count or --scale")  # float32, bytes, the sheet
        images = run.generate(count, arguments.seed, arguments.interpolate, columns, truncation)
        forms.write_sheet(images, out, columns, scale, note)
    say(f"{count} pictures of {run.checkpoint} are in {out}")


def _show_history(run: Path, out: Path, form: str, scale: int, unmarked: bool) -> None:
    if form != "animation":
        raise UserError(f"--over-time: expected --out FILE.webp, .gif or .mp4, got {out}")
    if not run.is_dir():
        raise UserError(f"--over-time: expected a run folder, got {run}")
    note = None if unmarked else f"made with tinygan {tinygan.__version__}"
    say(f"{forms.write_history(run, out, scale, note)} sheets of {run} are in {out}")


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Make pictures with a run that draws them.")
    parser.add_run("demo-faces")
    parser.add_run_options()
    parser.add_argument(
        "--out",
        default="generated.png",
        metavar="OUT",
        help="a .png file for a sheet of all pictures; a new folder for one file each, of exactly "
        "their size; a .webp or .gif file for an animation in which each picture walks through the "
        "space of pictures, or .mp4, .mov, .mkv or .webm for a video of it (pip install "
        "'tinygan[video]') (default: %(default)s)",
    )
    parser.add_argument("--count", type=whole(1), default=64, metavar="N", help="default: 64")
    parser.add_argument(
        "--columns", type=whole(1), default=8, metavar="N", help="pictures in a row"
    )
    parser.add_argument(
        "--seed", type=whole(0), default=0, metavar="N", help="for other pictures; default: 0"
    )
    parser.add_argument(
        "--truncation",
        type=number(1e-3, 100),
        metavar="T",
        help="keep all numbers of the noise within -T and T: fewer odd pictures, less variety; "
        "normal noise beyond is drawn again, uniform noise is multiplied by T",
    )
    parser.add_argument(
        "--interpolate",
        action="store_true",
        help="each row walks from one picture to another; in an animation they always do",
    )
    parser.add_argument(
        "--frames", type=whole(1), default=60, metavar="N", help="of an animation; default: 60"
    )
    parser.add_argument(
        "--scale",
        type=whole(1, 64),
        default=1,
        metavar="N",
        help="make each pixel a square of N × N; default: 1",
    )
    parser.add_argument(
        "--over-time",
        action="store_true",
        help="an animation of the sample sheets that the run wrote while training, of any system",
    )
    parser.add_no_metadata()
    parser.add_argument("--backend", choices=["numpy", "cupy", "auto"], default="auto")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    return parser


if __name__ == "__main__":
    sys.exit(main())
