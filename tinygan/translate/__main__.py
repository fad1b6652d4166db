"""``python -m tinygan.translate RUN --direction AtoB --input PATH --out DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from tinygan.data import DataError, load_image
from tinygan.data.depth import check_scale
from tinygan.data.folder import folder_scale
from tinygan.data.opening import describe_error, quiet_pillow, shown
from tinygan.errors import UserError
from tinygan.layer import Layer
from tinygan.machine.arrays import BackendError, resolve_backend
from tinygan.runs.checkpoint import load_network
from tinygan.runs.folder import read_config
from tinygan.runs.load import open_run
from tinygan.train.command import Parser, positive_int
from tinygan.train.cyclegan_networks import build_generator
from tinygan.train.memory import available_bytes
from tinygan.translate.files import Plan, plan
from tinygan.translate.pictures import (
    save_picture,
    shrink,
    translate_picture,
)

__all__ = ["main"]

_DIRECTIONS = {"AtoB": "G", "BtoA": "F"}


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.translate") -> int:
    """Translate what `argv` asks for, and return the exit status.

    0: all pictures are translated.  1: some could not be.  2: what was asked for is not possible,
    nothing was written.
    """
    try:
        arguments = _parser(prog).parse_args(argv)
        todo = plan(
            Path(arguments.input), Path(arguments.out), arguments.force, arguments.skip_existing
        )
        run = open_run(Path(arguments.run), "cyclegan", arguments.best)
        options, checkpoint = run.options, run.checkpoint.path
        generator = build_generator(options)
        load_network(checkpoint, generator, _DIRECTIONS[arguments.direction])
        backend = resolve_backend(arguments.backend)
        generator.to(backend)
        scale = read_scale(run) if arguments.range is None else {"range": arguments.range}
        _make_folder(Path(arguments.out))
        failed = _translate_all(todo, generator, options, backend, arguments.size, scale)
    except (UserError, DataError, BackendError) as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    failed = todo.left_out + failed
    for line in todo.notes:
        print(line, file=sys.stderr)
    for line in failed:
        print(f"skipped {line}", file=sys.stderr)
    count = len(todo.files) + todo.there + len(todo.left_out)
    there = f" ({todo.there} were there already)" if todo.there else ""
    print(
        f"{count - len(failed)} of {count} pictures, {arguments.direction} by {shown(checkpoint)}, "
        f"are in {shown(arguments.out)}{there}"
    )
    return 1 if failed else 0


def read_scale(run) -> dict:
    """Return the scale that a run noted of pictures of more than 8 bits."""
    if run.folder is None:
        return {}
    noted = read_config(run.folder).get("data", {}).get("scale", {})
    try:
        return check_scale(noted)
    except DataError as error:
        raise UserError(f"{run.folder / 'config.json'}: data: {error}") from None


def _make_folder(out: Path) -> None:
    """Make the folder before the time that translating takes."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out {shown(out)}: cannot be made: {error.strerror}") from None


def _translate_all(todo: Plan, generator: Layer, options, backend, size, scale) -> list[str]:
    """Translate each file; return a line for each that could not be."""
    failed = []
    stride = 2 ** options["downsamplings"]
    with quiet_pillow():
        scale = folder_scale([path for path, _ in todo.files], scale, "the pictures")
    for path, target in tqdm(todo.files, unit="picture", disable=None):
        try:
            with quiet_pillow():
                picture = load_image(path, channels=options["channels"], scale=scale)
        except Exception as error:  # Pillow raises a dozen kinds for damaged files
            failed.append(f"{shown(path)}: cannot be read: {describe_error(error)}")
            continue
        if size is not None:
            picture = shrink(picture, size)
        needed, free = _bytes(picture, options), available_bytes(backend)
        if free is not None and needed > free:
            failed.append(
                f"{shown(path)}: {picture.shape[1]} × {picture.shape[0]} pixels need about "
                f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are available; give a smaller --size"
            )
            continue
        made = translate_picture(generator, picture, stride)
        try:
            save_picture(made, target)
        except (OSError, ValueError, MemoryError) as error:  # this one's: the others may do
            failed.append(f"{shown(target)}: cannot be written: {describe_error(error)}")
    return failed


def _bytes(picture, options) -> int:
    """Return roughly what a translation holds: a few copies of the first layer's output."""
    return 4 * 4 * picture.shape[0] * picture.shape[1] * options["width"]


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Translate pictures with a trained CycleGAN.")
    parser.add_argument("run", metavar="RUN", help="a run folder, or one of its checkpoints")
    parser.add_argument(
        "--best",
        action="store_true",
        help="use the checkpoint whose pictures were nearest to the data, not the newest one",
    )
    parser.add_argument(
        "--direction",
        choices=sorted(_DIRECTIONS),
        default="AtoB",
        help="AtoB: pictures like those of trainA/ into ones like trainB/ (default: AtoB)",
    )
    parser.add_argument(
        "--input",
        required=True,
        metavar="PATH",
        help="a picture, or a folder of pictures at any depth, of any kinds and sizes",
    )
    parser.add_argument(
        "--out", required=True, metavar="DIR", help="a folder; the files keep their names in it"
    )
    parser.add_argument(
        "--size",
        type=positive_int,
        metavar="N",
        help="scale pictures to N pixels on their shorter side first; networks do best near the "
        "size they were trained at (default: as they are)",
    )
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
