"""What a training command is made of, and the flags that all of them share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from tinygan.errors import UserError
from tinygan.systems.system import System
from tinygan.train.presets import Preset, describe_presets

__all__ = ["CHANGEABLE", "Command", "fraction", "number", "parse", "positive_int"]

DEFAULTS = {
    "seed": 0,
    "backend": "auto",
    "threads": None,
    "steps": None,
    "tf32": False,
    "sample_every": 100,
    "checkpoint_every": 250,
    "keep": 3,
}

CHANGEABLE = {
    "backend",
    "cache",
    "checkpoint_every",
    "data",
    "epochs",
    "keep",
    "sample_every",
    "steps",
    "threads",
}
"""Options that may be given anew with ``--resume``: those that the result does not depend on."""


@dataclass(frozen=True)
class Command:
    """One thing that ``python -m tinygan.train`` can train, and how it is asked for.

    Attributes
    ----------
    name : str
    title : str
        What it is, for the help.
    defaults : dict
        Option → value.  `epochs` is among them; those that all commands share need not be.
    presets : dict of str to Preset
        ``quick`` among them, which holds where neither a preset nor the user's data is named.
    add_arguments : callable
        Adds the command's own flags to a parser, in groups.  ``%(default)s`` stands for the
        default in their help texts.
    check : callable
        From all options; raises a `UserError` for those that do not go together.
    build : callable
        From all options to the `System`.  A ValueError or OSError of it is the user's mistake.
    data_name : callable
        From all options to a word for the name of the run's folder.
    """

    name: str
    title: str
    defaults: dict
    presets: dict[str, Preset]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    check: Callable[[dict], None]
    build: Callable[[dict], System]
    data_name: Callable[[dict], str]


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a mistake in one line."""

    def error(self, message):
        raise UserError(message)


def parse(command: Command, argv: list[str], prog: str) -> dict:
    """Return the options that were given on the command line, and only these.

    Raises
    ------
    UserError
        For unknown flags and senseless values.
    SystemExit
        After ``--help`` or the list of presets was printed.
    """
    parser = _parser(command, prog)
    absent = object()
    names = [action.dest for action in parser._actions if action.dest != "help"]
    parsed = vars(parser.parse_args(argv, argparse.Namespace(**dict.fromkeys(names, absent))))
    given = {name: parsed[name] for name in names if parsed[name] is not absent}
    if given.get("preset") == "":
        print(describe_presets(command.presets))
        raise SystemExit(0)
    return given


def _parser(command: Command, prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        usage="%(prog)s [--data DIR] [--out DIR] [options]\n       %(prog)s --resume RUN",
        description=f"Train {command.title}.",
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=100),
    )
    parser.add_argument(
        "--preset",
        nargs="?",
        const="",
        metavar="NAME",
        help="a named set of options, which further flags override; without a name: list them all",
    )
    command.add_arguments(parser)
    length = parser.add_argument_group("length (both are totals, also with --resume)")
    either = length.add_mutually_exclusive_group()
    either.add_argument(
        "--epochs",
        type=positive_int,
        metavar="N",
        help="times to go through the data (default: %(default)s)",
    )
    either.add_argument("--steps", type=positive_int, metavar="N", help="batches to train on")
    machine = parser.add_argument_group("machine")
    machine.add_argument(
        "--backend",
        choices=["numpy", "cupy", "auto"],
        help="numpy: the CPU; cupy: a GPU; auto: a GPU if there is one (default: %(default)s)",
    )
    machine.add_argument(
        "--tf32",
        action="store_true",
        help="let a GPU multiply with 10 bits of mantissa instead of 23, several times as fast",
    )
    machine.add_argument(
        "--threads",
        type=positive_int,
        metavar="N",
        help="CPU threads; the result is the same with any number (default: all cores)",
    )
    machine.add_argument(
        "--seed",
        type=natural,
        metavar="N",
        help="all random numbers follow from it (default: %(default)s)",
    )
    machine.add_argument(
        "--force", action="store_true", help="start even if memory looks too small"
    )
    run = parser.add_argument_group("run folder")
    place = run.add_mutually_exclusive_group()
    place.add_argument(
        "--out",
        metavar="DIR",
        help="a new or empty folder for all results (default: runs/<system>-<data>-<time>)",
    )
    place.add_argument(
        "--resume",
        metavar="RUN",
        help="continue the run in this folder, bit for bit as if it had never stopped; "
        "--steps or --epochs make it longer",
    )
    run.add_argument(
        "--sample-every",
        type=positive_int,
        metavar="N",
        help="steps between sample pictures (default: %(default)s)",
    )
    run.add_argument(
        "--checkpoint-every",
        type=positive_int,
        metavar="N",
        help="steps between checkpoints (default: %(default)s)",
    )
    run.add_argument(
        "--keep",
        type=positive_int,
        metavar="K",
        help="checkpoints to keep, besides the best (default: %(default)s)",
    )
    parser.set_defaults(**{**DEFAULTS, **command.defaults})
    return parser


def positive_int(text: str) -> int:
    """A whole number of 1 or more."""
    return _whole(text, 1)


def natural(text: str) -> int:
    """A whole number of 0 or more."""
    return _whole(text, 0)


def _whole(text, least):
    try:
        value = int(text)
    except ValueError:
        value = least - 1
    if value < least:
        raise argparse.ArgumentTypeError(
            f"expected a whole number of {least} or more, got {text!r}"
        )
    return value


def number(low: float, high: float = float("inf")) -> Callable[[str], float]:
    """Return a reader of numbers in [low, high]."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high or value == float("inf"):
            most = f" and at most {high:g}" if high < float("inf") else ""
            raise argparse.ArgumentTypeError(
                f"expected a number of at least {low:g}{most}, got {text!r}"
            )
        return value

    return read


def fraction(text: str) -> float:
    """A share in (0, 1], as ``0.6`` or ``108/178``."""
    try:
        value = float(Fraction(text))
    except (ValueError, ZeroDivisionError):
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(
            f"expected a share in (0, 1] such as 0.6 or 108/178, got {text!r}"
        )
    return value
