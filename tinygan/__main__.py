"""``tinygan COMMAND …`` and ``python -m tinygan COMMAND …``: all commands under one name.

Each is also a module of its own, ``python -m tinygan.COMMAND``; it is loaded when it is called.
"""

from __future__ import annotations

import sys
from importlib import import_module

import tinygan
from tinygan import starting
from tinygan.commands import answer, run
from tinygan.errors import UserError
from tinygan.machine.allocator import keep_freed_memory

COMMANDS = {
    "train": "train a network on pictures",
    "generate": "make pictures from noise with a trained run",
    "translate": "translate pictures with a trained run",
    "evaluate": "measure how good a run's pictures are",
    "study": "ask people which pictures are real",
    "convert": "turn published PyTorch weights into a run, and back",
    "demo": "write a page in which anyone can play with a run's network",
    "export": "write a run's network as an ONNX model",
    "data": "download, split or draw data sets",
    "gradcheck": "check the gradients of all layers against differences",
    "coursework": "write a course in which a class builds a GAN by hand",
    "backend": "show which array libraries and devices were found",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command that the first word of `argv` names, and return its exit status."""
    own = argv is None  # the process is this command's own
    argv = sys.argv[1:] if argv is None else argv
    return run("tinygan", lambda: _main(argv, own))


def _main(argv: list[str], own: bool) -> int:
    name, *words = argv or ["help"]
    if name in ("-h", "--help", "help"):
        if not words:
            lines = [f"  {command:<12}{what}" for command, what in COMMANDS.items()]
            usage = ["usage: tinygan COMMAND ...", "", "commands:", *lines, ""]
            answer("\n".join([*usage, "'tinygan COMMAND --help' explains each."]))
            return 0
        name, words = words[0], [*words[1:], "--help"]
    if name in ("-V", "--version"):
        answer(f"tinygan {tinygan.__version__}")
        return 0
    if name not in COMMANDS:
        raise UserError(f"unknown command {name!r}; choose from {', '.join(COMMANDS)}")
    if own:
        starting.watch()  # until the command itself has begun
    command = import_module(f"tinygan.{name}.__main__")
    if own and name == "train":
        keep_freed_memory()
    return command.main(words, prog=f"tinygan {name}")


if __name__ == "__main__":
    sys.exit(main())
