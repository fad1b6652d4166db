"""``tinygan coursework``: write a course in which a class builds a GAN by hand, and grade it."""

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
    many = commands.add_parser("grade", help="grade a folder of submissions, side by side")
    many.add_argument("submissions", metavar="SUBMISSIONS_DIR", help="a folder for each student")
    many.add_argument("--course", default=".", metavar="DIR", help="the course (default: here)")
    many.add_argument("--csv", default="grades.csv", metavar="FILE", help="default grades.csv")
    many.add_argument("--out", default="pages", metavar="DIR", help="the pages (default: pages)")
    many.add_argument("--jobs", type=int, metavar="N", help="at a time (default: one a core)")
    options, rest = parser.parse_known_args(argv)
    if rest and options.command == "new":
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return _new(options) if options.command == "new" else _grade(options, rest)
    except (OSError, ValueError) as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2


def _new(options):
    directory = create(options.directory)
    print(f"{directory / 'student'}: exercises, tests and README to hand out")
    print(f"{directory / 'teacher'}: hidden tests, autograder and README to keep")
    print(f"begin with {directory / 'student' / 'README.md'}")
    return 0


def _grade(options, rest):
    from tinygan.coursework.grade import grade

    found = grade(options.submissions, options.course, options.out, options.csv, options.jobs, rest)
    print(f"{len(found)} students: {options.csv}, pages in {options.out}/index.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
