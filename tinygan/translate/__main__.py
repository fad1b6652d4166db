"""``python -m tinygan.translate RUN --direction AtoB --input PATH --out DIR``."""

from __future__ import annotations

import sys
from pathlib import Path

from tqdm import tqdm

from tinygan.data import load_image
from tinygan.data.folder import find_images
from tinygan.errors import UserError
from tinygan.machine.memory import available_bytes
from tinygan.runs.run import load
from tinygan.systems.options import Parser, whole
from tinygan.systems.translates import Translates
from tinygan.translate.pictures import (
    save_picture,
    shrink,
    suffix_to_write,
    translate_picture,
)

__all__ = ["main"]


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.translate") -> int:
    """Translate what `argv` asks for, and return the exit status.

    0: all pictures are translated.  1: some could not be.  2: what was asked for is not possible,
    nothing was written.
    """
    try:
        arguments = _parser(prog).parse_args(argv)
        files = _files(Path(arguments.input), Path(arguments.out), arguments.force)
        run = load(
            arguments.run,
            system=arguments.system,
            best=arguments.best,
            backend=arguments.backend,
        )
        direction = run.direction(arguments.direction)
        failed = _translate_all(files, run.translating(), direction, arguments.size)
    except UserError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    done = len(files) - len(failed)
    for line in failed:
        print(f"skipped {line}", file=sys.stderr)
    print(
        f"{done} of {len(files)} pictures, {direction} by {run.checkpoint}, are in {arguments.out}"
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


def _translate_all(files, system: Translates, direction: str, size) -> list[str]:
    """Translate each file; return a line for each that could not be."""
    failed, options = [], system.options
    for path, target in tqdm(files, unit="picture", disable=None):
        try:
            picture = load_image(path, channels=options.channels)
        except Exception as error:  # Pillow raises a dozen kinds for damaged files
            failed.append(f"{path}: cannot be read: {error}")
            continue
        if size is not None:
            picture = shrink(picture, size)
        needed = system.translation_bytes(*picture.shape[:2])
        free = available_bytes(options.backend)
        if free is not None and needed > free:
            failed.append(
                f"{path}: {picture.shape[1]} × {picture.shape[0]} pixels need about "
                f"{needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are available; give a smaller --size"
            )
            continue
        try:
            save_picture(translate_picture(system, picture, direction), target)
        except OSError as error:
            raise UserError(f"{target}: cannot be written: {error.strerror or error}") from None
    return failed


def _parser(prog: str) -> Parser:
    parser = Parser(prog=prog, description="Translate pictures with a run that translates them.")
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
        "--direction",
        metavar="NAME",
        help="of a CycleGAN: AtoB, pictures like those of trainA/ into ones like trainB/, or BtoA "
        "(default: the system's first, AtoB)",
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
        type=whole(1),
        metavar="N",
        help="scale pictures to N pixels on their shorter side first; networks do best near the "
        "size they were trained at (default: as they are)",
    )
    parser.add_argument("--backend", choices=["numpy", "cupy", "auto"], default="auto")
    parser.add_argument("--force", action="store_true", help="replace existing files")
    return parser


if __name__ == "__main__":
    sys.exit(main())
