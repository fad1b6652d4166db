"""``tinygan coursework``: write a course in which a class builds a GAN by hand, and grade it."""

from __future__ import annotations

import sys

from tinygan.commands import Parser, complain, run, say, say_json
from tinygan.coursework.create import create
from tinygan.errors import UserError


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.coursework") -> int:
    """Run the command and return its exit status."""
    parser = Parser(
        prog=prog, description="Write a course in which a class builds a GAN by hand, and grade it."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="write the exercises, tests and READMEs into a folder")
    new.add_argument("directory", metavar="DIR", help="a new folder")
    many = commands.add_parser("grade", help="grade a folder of submissions, side by side")
    many.add_argument("submissions", metavar="SUBMISSIONS_DIR", help="a folder for each student")
    many.add_argument("--course", default=".", metavar="DIR", help="the course (default: here)")
    many.add_argument("--csv", default="grades.csv", metavar="FILE", help="default grades.csv")
    many.add_argument("--out", default="pages", metavar="DIR", help="the pages (default: pages)")
    many.add_argument("--jobs", type=int, metavar="N", help="at a time (default: one a core)")
    many.add_json()

    def do() -> None:
        options = parser.parse_args(argv)
        return _new(options) if options.command == "new" else _grade(options)

    return run(prog, do)


def _new(options):
    directory = create(options.directory)
    say(f"{directory / 'student'}: exercises, tests and README to hand out")
    say(f"{directory / 'teacher'}: hidden tests, autograder and README to keep")
    say(f"begin with {directory / 'student' / 'README.md'}")


def _grade(options):
    from tinygan.coursework.grade import grade

    try:
        found = grade(
            options.submissions,
            options.course,
            options.out,
            options.csv,
            options.jobs,
            report=complain if options.json else say,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    if options.json:
        say_json(found)
        return
    say(f"{len(found)} students: {options.csv}, pages in {options.out}/index.html")


if __name__ == "__main__":
    sys.exit(main())
