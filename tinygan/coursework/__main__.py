"""``tinygan coursework new DIR``: write a course in which a class builds a GAN by hand."""

from __future__ import annotations

import argparse
import sys

from tinygan.coursework.create import create


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.coursework") -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__.partition(": ")[2])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="write the exercises, tests and READMEs into a folder")
    new.add_argument("directory", metavar="DIR", help="a new folder")
    options = parser.parse_args(argv)
    try:
        directory = create(options.directory)
    except OSError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    print(f"{directory / 'student'}: exercises, tests and README to hand out")
    print(f"{directory / 'teacher'}: hidden tests, autograder and README to keep")
    print(f"begin with {directory / 'student' / 'README.md'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
