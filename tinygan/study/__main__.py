"""``python -m tinygan.study RUN``: a page that asks people which picture is real."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tinygan import commands
from tinygan.commands import Parser, answer, check_file, run_options, say, say_json
from tinygan.data import DRAWN_SETS
from tinygan.errors import UserError
from tinygan.evaluate.__main__ import folder_of
from tinygan.evaluate.subjects import subjects_of
from tinygan.files import write_text
from tinygan.options.kinds import number, whole
from tinygan.runs.run import load
from tinygan.study.pairs import checksum, make_pairs
from tinygan.study.score import ANSWERS, score, score_text
from tinygan.systems.system import refuse_above

_LEAST = 32  # pictures to draw the pairs from


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.study") -> int:
    """Write the page, or score answers, as `argv` asks for; return the exit status."""
    return commands.run(prog, lambda: _study(_parser(prog).parse_args(argv)), "--pairs")


def _study(settings: Any) -> None:
    if settings.score:
        if settings.run:
            raise UserError("--score: takes files of answers alone, no run")
        result = score([Path(path) for path in settings.score])
        say_json(result) if settings.json else answer(score_text(result))
        return
    if settings.json:
        raise UserError("--json: goes with --score")
    if not settings.run:
        raise UserError("name a run folder, or --score with files of answers")
    say(write_study(settings))


def write_study(settings: Any) -> str:
    """Write the page and return what to do with it."""
    run = load(settings.run, **run_options(settings))
    folder = folder_of(run)
    out = Path(settings.out) if settings.out else folder / "study.html"
    check_file(out, settings.force, [".html", ".htm"])
    total = settings.pairs + settings.practice
    count = max(_LEAST, total)
    values = count * run.options.image_size**2 * run.options.channels
    refuse_above(20 * values, "the pictures", "--pairs or --practice")
    subjects = subjects_of(run, count, settings.data, settings.dataset, settings.seed)
    have_inputs = all("left alone" in subject.sets for subject in subjects)
    matching = settings.match or ("input" if have_inputs else "domain")
    if matching == "input" and not have_inputs:
        raise UserError(
            "--match input: the pictures have no input, or none of their size; use --match domain"
        )
    pairs = make_pairs(subjects, total, matching, settings.seed)
    content = {
        "name": os.path.basename(os.path.realpath(folder)),
        "practice": settings.practice,
        "data": {
            "format": ANSWERS,
            "study": checksum(pairs),
            "checkpoint": run.checkpoint.name,
            "practice": settings.practice,
            "seconds": settings.seconds,
            "pairs": [
                {"kind": pair.kind, "pictures": [pair.real, pair.generated]} for pair in pairs
            ],
        },
    }
    environment = Environment(
        loader=PackageLoader("tinygan.study", "."), autoescape=True, undefined=StrictUndefined
    )
    text = environment.get_template("page.html.jinja").render(content)
    write_text(out, text)
    return (
        f"{out}: open it in a browser, or send it to others; it needs no network.\n"
        "Each person saves a file of answers at the end; "
        "python -m tinygan.study --score FILES... puts them together."
    )


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        usage="%(prog)s RUN [options]\n       %(prog)s --score FILE [FILE ...]",
        description="Can people tell? Write one HTML page that shows pairs of a real and a "
        "generated picture for a moment and asks which is real. Without --data the real pictures "
        "are those trained on, or fresh ones of drawn data.",
    )
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="a run folder, or one of its checkpoints"
    )
    parser.add_run_options()
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--data", metavar="PATH", help="where to take the real pictures from")
    source.add_argument("--dataset", choices=list(DRAWN_SETS), help="take drawn ones")
    parser.add_argument(
        "--pairs", type=whole(1), default=40, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--practice",
        type=whole(0),
        default=5,
        metavar="N",
        help="pairs before these that are answered but do not count (default: %(default)s)",
    )
    parser.add_argument(
        "--seconds",
        type=number(0),
        default=1.0,
        metavar="T",
        help="how long a pair is shown; 0: until it is answered (default: %(default)s)",
    )
    parser.add_argument(
        "--match",
        choices=["input", "domain"],
        help="what stands beside a translation: its own original, as in the paper (default), or "
        "any real picture of the same domain",
    )
    parser.add_argument("--out", metavar="FILE", help="default: study.html in the run folder")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    parser.add_argument("--score", nargs="+", metavar="FILE", help="pool files of answers")
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="default: 0")
    parser.add_argument("--backend", choices=["numpy", "cupy", "auto"], default="auto")
    parser.add_argument("--json", action="store_true", help="with --score: print JSON alone")
    return parser


if __name__ == "__main__":
    sys.exit(main())
