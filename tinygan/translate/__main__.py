"""``python -m tinygan.translate RUN --direction AtoB --input PATH --out DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from tinygan.data import DataError, load_image
from tinygan.data.folder import find_images
from tinygan.errors import UserError
from tinygan.layer import Layer
from tinygan.machine.arrays import BackendError, resolve_backend
from tinygan.runs.checkpoint import load_network
from tinygan.runs.load import open_run
from tinygan.train.command import Parser, positive_int
from tinygan.train.cyclegan_networks import build_generator
from tinygan.train.memory import available_bytes
from tinygan.translate.pictures import (
    save_picture,
    shrink,
    suffix_to_write,
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
        files = _files(Path(arguments.input), Path(arguments.out), arguments.force)
        run = open_run(Path(arguments.run), "cyclegan", arguments.best)
        options, checkpoint = run.options, run.checkpoint.path
        generator = build_generator(options)
        load_network(checkpoint, generator, _DIRECTIONS[arguments.direction])
        backend = resolve_backend(arguments.backend)
        generator.to(backend)
        failed = _translate_all(files, generator, options, backend, arguments.size)
    except (UserError, DataError, BackendError) as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    done = len(files) - len(failed)
    for line in failed:
        print(f"skipped {line}", file=sys.stderr)
    print(
        f"{done} of {len(files)} pictures, {arguments.direction} by {checkpoint}, are in "
        f"{arguments.out}"
    )
    return 1 if failed else 0


def _files(source: Path, out: Path, force: bool) -> list[tuple[Path, Path]]:
    """Return pairs of what to read and what to write; refuse to lose anybody's file."""
    if source.is_file():
        pairs = [(source, source.name)]
    elif source.is_dir():
        pairs = [(source / name, name) for name in find_images(source)]
    else:
        raise UserError(f"--input {source}: no such file or folder")
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: expected a folder, this is a file")
    files, taken = [], {}
    for path, name in pairs:
        target = out / name
        target = target.with_suffix(suffix_to_write(target.suffix))
        if target in taken:
            raise UserError(f"{taken[target]} and {path} would both be written to {target}")
        taken[target] = path
        if target.exists() and target.resolve() == path.resolve():
            raise UserError(f"--out {out}: {path} would be replaced by its translation")
        if target.exists() and not force:
            raise UserError(f"--out {out}: {target} is there already; --force replaces it")
        files.append((path, target))
    return files


def _translate_all(files, generator: Layer, options: dict, backend: str, size) -> list[str]:
    """Translate each file; return a line for each that could not be."""
    failed = []
    stride = 2 ** options["downsamplings"]
    for path, target in tqdm(files, unit="picture", disable=None):
        try:
            picture = load_image(path, channels=options["channels"])
        except Exception as error:  # Pillow raises a dozen kinds for damaged files
            failed.append(f"{path}: cannot be read: {error}")
            continue
        if size is not None:
            picture = shrink(picture, size)
        needed, free = _bytes(picture, options), available_bytes(backend)
        if free is not None and needed > free:
            failed.append(
                f"{path}: {picture.shape[1]} × {picture.shape[0]} pixels need about "
                f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are available; give a smaller --size"
            )
            continue
        try:
            save_picture(translate_picture(generator, picture, stride), target)
        except OSError as error:
            raise UserError(f"{target}: cannot be written: {error.strerror or error}") from None
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
    parser.add_argument("--force", action="store_true", help="replace existing files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
