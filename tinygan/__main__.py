"""``tinygan COMMAND …`` and ``python -m tinygan COMMAND …``: all commands under one name.

Each is also a module of its own, ``python -m tinygan.COMMAND``; it is loaded when it is called.
"""

from __future__ import annotations

import sys
from importlib import import_module

from tinygan.machine.allocator import keep_freed_memory

COMMANDS = {
    "train": "train a network on pictures",
    "generate": "make pictures with a trained DCGAN",
    "translate": "translate pictures with a trained CycleGAN",
    "evaluate": "measure how good a run's pictures are",
    "study": "ask people which pictures are real",
    "data": "download, split or draw data sets",
    "gradcheck": "check the gradients of all layers against differences",
    "coursework": "write a course in which a class builds a GAN by hand",
    "backend": "show which array libraries and devices were found",
}


def main(argv: list[str] | None = None) -> int:
    """Run the command that the first word of `argv` names, and return its exit status."""
    own = argv is None  # the process is this command's own
    argv = sys.argv[1:] if argv is None else argv
    name = argv[0] if argv else "--help"
    if name in ("-h", "--help"):
        print("usage: tinygan COMMAND ...\n\ncommands:")
        for command, what in COMMANDS.items():
            print(f"  {command:<12}{what}")
        print("\n'tinygan COMMAND --help' explains each.")
        return 0
    if name in ("-V", "--version"):
        print(f"tinygan {import_module('tinygan').__version__}")
        return 0
    if name not in COMMANDS:
        print(
            f"tinygan: error: {name!r} is no command; there are {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        return 2
    command = import_module(f"tinygan.{name}.__main__")
    if own and name == "train":
        keep_freed_memory()
    return command.main(argv[1:], prog=f"tinygan {name}")


if __name__ == "__main__":
    sys.exit(main())
