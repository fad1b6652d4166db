"""The command ``python -m tinygan.data``: download, split or draw a data set."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinygan.commands import Parser, complain, run, say, say_json
from tinygan.data import DRAWN_SETS
from tinygan.data.download import BY_HAND, PICTURES, PUBLISHED, SERVER, download
from tinygan.data.drawing import DrawnImages, check_drawing
from tinygan.data.folder import find_images
from tinygan.data.images import save_png
from tinygan.data.opening import shown
from tinygan.data.output import check_new, new_folder
from tinygan.data.room import disk_bytes
from tinygan.data.split import LINKS, split
from tinygan.errors import DataError
from tinygan.machine.memory import size_text

__all__ = ["main", "make_parser"]

_AT_ONCE = 1000  # pictures drawn before they are written
_BLOCK = 4096  # bytes that the smallest file takes


def main(argv: Sequence[str] | None = None, prog: str = "python -m tinygan.data") -> int:
    """Run the command; return its exit status, 2 for a mistake of the user's."""

    def command() -> None:
        options = make_parser(prog).parse_args(argv)
        options.run(options)

    return run(prog, command, "--count or --image-size")


def make_parser(prog: str) -> Parser:
    parser = Parser(prog, description="Get or make a data set to train on.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    about = "fetch a published data set, or unpack one that you fetched"
    new = commands.add_parser("download", help=about, description=about.capitalize() + ".")
    new.add_argument(
        "name",
        metavar="NAME",
        help=f"downloaded: {', '.join(PUBLISHED)}; to be fetched by hand: {', '.join(BY_HAND)}",
    )
    new.add_argument("--out", metavar="DIR", help="the new folder (default: datasets/NAME)")
    new.add_argument(
        "--url",
        default=SERVER,
        help="another server's folder of archives, or the address of a .zip (default: %(default)s)",
    )
    new.add_argument("--sha256", metavar="HEX", help="checksum that the archive must have")
    new.add_argument("--archive", metavar="FILE", help="unpack this zip file; download nothing")
    new.add_json()
    new.set_defaults(run=_download)

    about = "make trainA, trainB, testA and testB from two folders of pictures"
    new = commands.add_parser("split", help=about, description=about.capitalize() + ".")
    new.add_argument("a", metavar="A_DIR", help="pictures of domain A, at any depth")
    new.add_argument("b", metavar="B_DIR", help="pictures of domain B, at any depth")
    new.add_argument("--out", metavar="DIR", required=True, help="the new folder")
    new.add_argument(
        "--test",
        nargs=2,
        type=int,
        metavar=("N_A", "N_B"),
        required=True,
        help="how many pictures of each become test pictures; the second paper: 100 149",
    )
    new.add_argument("--seed", type=int, default=0, help="which ones they are (default: 0)")
    new.add_argument(
        "--link",
        choices=list(LINKS),
        nargs="?",
        const="symbolic",
        default="copy",
        help="copy the files (default), or link to them (without a word: symbolic)",
    )
    new.add_argument(
        "--copy", dest="link", action="store_const", const="copy", help="the same as --link copy"
    )
    new.add_json()
    new.set_defaults(run=_split)

    about = "write a drawn data set as PNG files, with attributes.csv"
    new = commands.add_parser("draw", help=about, description=about.capitalize() + ".")
    new.add_argument("name", choices=tuple(DRAWN_SETS))
    new.add_argument(
        "--count",
        type=int,
        default=1000,
        help="pictures; in each domain where there are two (default: 1000)",
    )
    new.add_argument("--out", metavar="DIR", required=True, help="the new folder")
    new.add_argument("--image-size", type=int, default=64, help="pixels (default: 64)")
    new.add_argument("--channels", type=int, choices=(1, 3), default=3, help="(default: 3)")
    new.add_argument("--seed", type=int, default=0, help="(default: 0)")
    new.add_argument(
        "--test",
        type=int,
        default=100,
        metavar="N",
        help="where there are two domains: pairs of test pictures (default: 100)",
    )
    new.add_json()
    new.set_defaults(run=_draw)
    return parser


def _download(options: Any) -> None:
    path = download(options.name, options.out, options.url, options.sha256, options.archive)
    parts = [p for p in sorted(path.iterdir()) if p.is_dir()]
    held = {p.name: len(find_images(p)) for p in parts if _has_images(p)}
    detail = ", ".join(f"{name} {count}" for name, count in held.items())
    if options.json:
        say_json({"path": str(path), "pictures": len(find_images(path)), "parts": held})
        return
    found, published = len(find_images(path)), PICTURES.get(options.name)
    say(f"{path}: {found} pictures{f' ({detail})' if detail else ''}")
    if published and found != published:
        complain(f"note: the published {options.name} has {published} pictures")


def _has_images(path: Path) -> bool:
    try:
        return bool(find_images(path))
    except DataError:
        return False


def _split(options: Any) -> None:
    counts = split(
        options.a, options.b, options.out, tuple(options.test), options.seed, options.link
    )
    if options.json:
        say_json({"path": options.out, "pictures": sum(counts.values()), "parts": counts})
        return
    say(f"{options.out}: " + ", ".join(f"{name} {count}" for name, count in counts.items()))


def _draw(options: Any) -> None:
    check_new(options.out)  # before the time it takes to draw
    n, test, size, seed = options.count, options.test, options.image_size, options.seed
    channels = options.channels
    makers = DRAWN_SETS[options.name]
    if len(makers) == 1:
        parts = {"": (makers[0], n, 0)}
    else:
        if test < 0:
            raise DataError(f"--test: expected 0 or more, got {test}")
        parts = {
            "trainA": (makers[0], n, 0),
            "trainB": (makers[1], n, n),
            "testA": (makers[0], test, 2 * n),
            "testB": (makers[1], test, 2 * n),
        }
        parts = {name: part for name, part in parts.items() if part[1]}
    check_drawing(min(n, _AT_ONCE), size, channels, 0, seed)
    total = sum(count for _, count, _ in parts.values())
    _check_room(options.out, total)
    with new_folder(options.out) as folder:
        for name, (draw, count, first) in parts.items():
            (folder / name).mkdir(exist_ok=True)
            for i in range(first, first + count, _AT_ONCE):
                some = min(_AT_ONCE, first + count - i)
                drawn = draw(some, size, seed=seed, channels=channels, start=i)
                _write(drawn, i, folder / name, head=i == first)
    if options.json:
        held = {name: count for name, (_, count, _) in parts.items() if name}
        say_json({"path": options.out, "pictures": total, "parts": held})
        return
    say(f"{shown(options.out)}: {total} pictures")


def _check_room(out: str, count: int) -> None:
    """Refuse what no disk holds before the hours that it would take to find out."""
    free, place = disk_bytes(out)
    if count * _BLOCK > free:
        raise DataError(
            f"{count} pictures take {size_text(count * _BLOCK)} or more, there are "
            f"{size_text(free)} free in {shown(place)}"
        )


def _write(drawn: DrawnImages, first: int, folder: Path, head: bool) -> None:
    """Write pictures, named by their numbers, and lines of the table of what is in them."""
    names = [f"{first + i:06}.png" for i in range(len(drawn))]
    for name, image in zip(names, drawn.images, strict=True):
        save_png(image, folder / name)
    columns = {"file": names}
    for attribute, values in drawn.attributes.items():
        if kinds := drawn.categories.get(attribute):
            columns[attribute] = [kinds[value] for value in values]
        else:
            columns[attribute] = [f"{value:.4f}" for value in values]
    with open(folder / "attributes.csv", "a", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        if head:
            table.writerow(columns)
        table.writerows(zip(*columns.values(), strict=True))


if __name__ == "__main__":
    sys.exit(main())
