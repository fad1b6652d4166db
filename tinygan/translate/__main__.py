"""``python -m tinygan.translate RUN --direction AtoB --input PATH --out DIR``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tinygan import commands
from tinygan.commands import Parser, complain, run_options, say
from tinygan.data import load_image
from tinygan.data.animation import MOVING
from tinygan.data.archive import is_archive
from tinygan.data.folder import folder_scale
from tinygan.data.mark import made_with
from tinygan.data.opening import describe_error, quiet_pillow, shown
from tinygan.data.sources import unpacked
from tinygan.errors import UserError
from tinygan.options.kinds import is_range, limits, number, whole
from tinygan.runs.run import load
from tinygan.systems.translates import Translates
from tinygan.translate.demo import show_demo
from tinygan.translate.files import Plan, plan
from tinygan.translate.film import check_film, is_film, translate_film
from tinygan.translate.pictures import fitted, save_picture, side_by_side, translate_picture

__all__ = ["main"]


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.translate") -> int:
    """Translate what `argv` asks for, and return the exit status.

    0: all pictures are translated.  1: some could not be.  2: what was asked for is not possible,
    nothing was written.
    """
    return commands.run(prog, lambda: _command(_parser(prog).parse_args(argv)), "--size")


def _command(arguments: Any) -> int:
    if arguments.input is None and arguments.run == "demo-bags":
        return show_demo(arguments)
    for name in ("input", "out"):
        if getattr(arguments, name) is None:
            raise UserError(f"the following arguments are required: --{name}")
    source = Path(arguments.input)
    if is_archive(source) and source.is_file():
        with unpacked(source) as folder:
            return _translate(arguments, folder)
    return _translate(arguments, source)


def _translate(arguments: Any, source: Path) -> int:
    out = Path(arguments.out)
    if arguments.range is not None and not is_range(arguments.range):
        low, high = arguments.range
        raise UserError(f"--range: expected {limits().expected}, got {low:g} and {high:g}")
    if is_film(out):
        if arguments.skip_existing and out.exists():
            say(f"{shown(out)} is there already")
            return 0
        check_film(source, out, arguments.force)
    else:
        if arguments.smooth or arguments.fps:
            raise UserError(f"--smooth, --fps: of films; expected --out FILE{' '.join(MOVING)}")
        todo = plan(source, out, arguments.force, arguments.skip_existing)
    run = load(arguments.run, **run_options(arguments))
    run.check_out(out)
    direction = run.direction(arguments.direction)
    system = run.translating()
    note = None if arguments.no_metadata else made_with(run.system.name, run.step)
    if is_film(out):
        made, failed = translate_film(system, direction, source, out, note, arguments)
        for line in failed:
            complain(line)
        say(f"{made} frames, {direction} by {shown(run.checkpoint)}, are in {shown(out)}")
        return 1 if failed else 0
    scale = {"range": arguments.range} if arguments.range else system.input_scale(direction)
    _make_folder(out)
    failed = _translate_all(todo, system, direction, arguments.size, scale, arguments.pairs, note)
    failed = todo.left_out + failed
    for line in todo.notes:
        complain(line)
    for line in failed:
        complain(f"skipped {line}")
    count = len(todo.files) + todo.there + len(todo.left_out)
    there = f" ({todo.there} were there already)" if todo.there else ""
    done = f"{count - len(failed)} of {count} pictures, {direction} by {shown(run.checkpoint)}"
    say(f"{done}, are in {shown(out)}{there}")
    return 1 if failed else 0


def _make_folder(out: Path) -> None:
    """Make the folder before the time that translating takes."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {shown(out)}: cannot be made: {error.strerror}") from None


def _translate_all(
    todo: Plan,
    system: Translates,
    direction: str,
    size: Any,
    scale: Any,
    pairs: bool,
    note: str | None,
) -> list[str]:
    """Translate each file; return a line for each that could not be."""
    failed, options = [], system.options
    scale = folder_scale([path for path, _ in todo.files], scale, "the pictures")
    for path, target in tqdm(todo.files, unit="picture", disable=None):
        try:
            with quiet_pillow():
                picture = load_image(path, channels=options.channels, scale=scale)
        except Exception as error:  # Pillow raises a dozen kinds for damaged files
            failed.append(f"{shown(path)}: cannot be read: {describe_error(error)}")
            continue
        try:
            picture = fitted(system, picture, size)
        except UserError as error:
            failed.append(f"{shown(path)}: {error}")
            continue
        made = translate_picture(system, picture, direction)
        if pairs:
            made = side_by_side(picture, made)
        try:
            save_picture(made, target, note)
        except (OSError, ValueError, MemoryError) as error:  # this one's: the others may do
            failed.append(f"{shown(target)}: cannot be written: {describe_error(error)}")
    return failed


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Translate pictures with a run that translates them.")
    parser.add_run("demo-bags")
    parser.add_run_options()
    parser.add_argument(
        "--direction",
        metavar="NAME",
        help="of a CycleGAN: AtoB, pictures like those of trainA/ into ones like trainB/, or BtoA "
        "(default: the system's first, AtoB)",
    )
    parser.add_argument(
        "--input",
        metavar="PATH",
        help="a picture, or a folder or archive of pictures at any depth, of any kinds and sizes; "
        "for a film a video (MP4, MOV, MKV, WebM, AVI; pip install 'tinygan[video]'), an "
        "animation, or a folder of frames; with --demo it may be left out: bags are drawn, and "
        "--out is a sheet of them, their translations and the true ones (default: translated.png)",
    )
    parser.add_argument(
        "--out",
        metavar="OUT",
        help="a folder, in which the files keep their names; for a film a file ending in "
        f"{' '.join(MOVING)}",
    )
    parser.add_argument(
        "--size",
        type=whole(1),
        metavar="N",
        help="scale pictures to N pixels on their shorter side first; networks do best near the "
        "size they were trained at (default: as they are)",
    )
    parser.add_argument(
        "--pairs", action="store_true", help="write each picture with its translation beside it"
    )
    parser.add_argument(
        "--smooth",
        type=number(0, below=1),
        nargs="?",
        const=0.8,
        default=0.0,
        metavar="A",
        help="of a film: keep so much of the frame before, moved along, where the film has not "
        "changed, against flicker; 0.8 without a number (default: 0)",
    )
    parser.add_argument(
        "--fps",
        type=number(0.1, 240),
        metavar="N",
        help="of a film: frames a second (default: the film's own; 25 of a folder)",
    )
    parser.add_no_metadata()
    parser.add_argument("--backend", choices=["numpy", "cupy", "auto"], default="auto")
    parser.add_argument(
        "--range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="numbers that are black and white in pictures of more than 8 bits (default: as in the "
        "run's own data, else what the files say or hold)",
    )
    present = parser.add_mutually_exclusive_group()
    present.add_argument("--force", action="store_true", help="replace existing files")
    present.add_argument(
        "--skip-existing",
        action="store_true",
        help="leave out pictures whose translation is there: goes on after an interruption",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
