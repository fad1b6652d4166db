"""``tinygan coursework new DIR``: write a course in which a class builds a GAN by hand."""

from __future__ import annotations

import sys

from tinygan.commands import Parser, run, say
from tinygan.coursework.create import create


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.coursework") -> int:
    """Run the command and return its exit status."""
    parser = Parser(prog=prog, description=__doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="write the exercises, tests and READMEs into a folder")
    new.add_argument("directory", metavar="DIR", help="a new folder")

    def write() -> None:
        directory = create(parser.parse_args(argv).directory)
        say(f"{directory / 'student'}: exercises, tests and README to hand out")
        say(f"{directory / 'teacher'}: hidden tests, autograder and README to keep")
        say(f"begin with {directory / 'student' / 'README.md'}")

    return run(prog, write)


if __name__ == "__main__":
    sys.exit(main())
