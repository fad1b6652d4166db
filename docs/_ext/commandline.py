"""The command line reference, from the very parsers that read the command line.

``.. commandline:: train dcgan`` documents what ``tinygan train dcgan`` accepts.  The parser is
caught at the moment in which the command's ``main`` uses it, so no command has to expose it.
"""

from __future__ import annotations

import argparse
import os
import re
from importlib import import_module
from unittest.mock import patch

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective


class _Caught(BaseException):
    pass


def parser_of(words: list[str]) -> argparse.ArgumentParser:
    """Return the parser of a command given by its words, such as ``["train", "dcgan"]``."""

    def catch(parser, *arguments, **options):
        raise _Caught(parser)

    name, *rest = words
    module = import_module(f"tinygan.{name}.__main__")
    with patch.object(argparse.ArgumentParser, "parse_args", catch):
        try:
            module.main(rest, prog=" ".join(["python -m tinygan." + name]))
        except _Caught as caught:
            parser = caught.args[0]
        else:
            raise LookupError(f"tinygan {name}: its main parsed no arguments")
    return parser


def _subparsers(parser):
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    return {}


class CommandLine(SphinxDirective):
    """Document one command: what it does, how it is called, every argument by group."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        os.environ["COLUMNS"] = "80"  # of the usage lines
        words = self.arguments[0].split()
        parser = parser_of(words)
        lines = []
        subparsers = _subparsers(parser)
        if subparsers:
            lines += [parser.description or "", ""]
        for one in subparsers.values() or [parser]:
            lines += _describe(one)
        self.env.note_dependency(__file__)
        node = nodes.container()
        self.state.nested_parse(StringList(lines, "commandline"), self.content_offset, node)
        return node.children


def _describe(parser):
    yield from [f".. program:: {parser.prog}", "", parser.description or "", ""]
    yield from [".. code-block:: text", ""]
    yield from ["   " + line for line in parser.format_usage().splitlines()]
    yield ""
    for group in parser._action_groups:
        actions = [a for a in group._group_actions if a.help is not argparse.SUPPRESS]
        if not actions:
            continue
        yield from [f".. rubric:: {group.title.capitalize()}", ""]
        for action in actions:
            names = ", ".join(_with_value(parser, action, name) for name in _names(action))
            yield from [f".. option:: {names}", ""]
            yield from [f"   {line}" for line in _help(parser, action)]
            yield ""


def _names(action):
    return action.option_strings or [action.metavar or action.dest]


def _with_value(parser, action, name):
    if not action.option_strings or action.nargs == 0:
        return name
    value = parser._get_formatter()._format_args(action, action.dest.upper())
    return f"{name} {value}".replace("\\", "\\\\")


def _help(parser, action):
    text = action.help or ""
    if "%" in text:
        text = parser._get_formatter()._expand_help(action)
    text = text.replace("*", r"\*").replace("|", r"\|").replace("`", r"\`")
    text = re.sub(r"(?<![\w`-])--?[a-z][\w-]*", r"``\g<0>``", text)  # or two dashes become one
    yield text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".?!" else "")
    if action.choices and action.metavar is not None:
        yield ""
        yield "One of " + ", ".join(f"``{choice}``" for choice in action.choices) + "."


def setup(app):
    app.add_directive("commandline", CommandLine)
    return {"parallel_read_safe": True}
