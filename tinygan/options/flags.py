"""Flags: the command line of a system, made of its options."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

from tinygan.commands import Parser, answer
from tinygan.options.base import GROUPS, Options, fields_of, flag_of
from tinygan.options.presets import describe_presets

__all__ = ["parse_flags"]


def parse_flags(cls: type[Options], title: str, argv: list[str], prog: str) -> dict[str, Any]:
    """Return the options that were given on the command line, and only these.

    Raises
    ------
    UserError
        For unknown flags and senseless values.
    SystemExit
        After ``--help`` or the list of presets was printed.
    """
    given = vars(_parser(cls, title, prog).parse_args(argv))
    if given.get("preset") is True:
        answer(describe_presets(cls.presets))
        raise SystemExit(0)
    return given


def _parser(cls: type[Options], title: str, prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        usage="%(prog)s [--data DIR] [--out DIR] [options]\n       %(prog)s --resume RUN",
        description=f"Train {title}.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=100),
    )
    fields = fields_of(cls)
    for name in dict.fromkeys([*GROUPS, *(field.metadata["group"] for field in fields)]):
        heading = name + (" (both are totals, also with --resume)" if name == "length" else "")
        group: Any = parser.add_argument_group(heading) if name else parser
        either: dict[str, Any] = {}
        for field in fields:
            if field.metadata["group"] == name:
                mark = field.metadata["either"]
                if mark is not None and mark not in either:
                    either[mark] = group.add_mutually_exclusive_group()
                either.get(str(mark), group).add_argument(flag_of(field), **_words(field))
    return parser


def _words(field: dataclasses.Field) -> dict[str, Any]:
    """Return what argparse should know of an option."""
    kind, help = field.metadata["kind"], field.metadata["help"]
    if field.default is not None and not isinstance(field.default, bool) and "default" not in help:
        help += " (default: %(default)s)"
    # a default that argparse knew would stand in what was given
    words = {"dest": field.name, "help": help.replace("%(default)s", str(field.default))}
    if isinstance(field.default, bool):
        return words | {"action": "store_false" if field.default else "store_true"}
    if kind.choices:
        return words | {"choices": kind.choices, "type": kind.convert}
    if isinstance(kind.metavar, tuple):
        return words | {"type": kind.convert, "metavar": kind.metavar, "nargs": 2}
    words |= {"type": kind, "metavar": kind.metavar}
    return words | ({"nargs": "?", "const": True} if field.name == "preset" else {})
