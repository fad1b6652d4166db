"""``tinygan COMMAND …`` and ``python -m tinygan COMMAND …``: all commands under one name.

Each is also a module of its own, ``python -m tinygan.COMMAND``; it is loaded when it is called.
"""

from __future__ import annotations

import runpy
import sys
from importlib.metadata import PackageNotFoundError, version

COMMANDS = {
    "train": "train a network on pictures",
    "generate": "make pictures with a trained DCGAN",
    "data": "download, split and look at data sets",
    "gradcheck": "check the gradients of all layers against differences",
    "backend": "show which array libraries and devices were found",
}


def main() -> None:
    """Run the command that the first word names."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: tinygan COMMAND ...\n\ncommands:")
        for name, what in COMMANDS.items():
            print(f"  {name:<12}{what}")
        print("\n'tinygan COMMAND --help' explains each.")
        raise SystemExit(0)
    if arguments[0] in ("-V", "--version"):
        try:
            print(f"tinygan {version('tinygan')}")
        except PackageNotFoundError:
            print("tinygan, not installed")
        raise SystemExit(0)
    if arguments[0] not in COMMANDS:
        print(
            f"tinygan: error: {arguments[0]!r} is no command; there are {', '.join(COMMANDS)}",
            file=sys.stderr,
        )
        raise SystemExit(2)
    sys.argv = [f"tinygan {arguments[0]}", *arguments[1:]]
    runpy.run_module(f"tinygan.{arguments[0]}", run_name="__main__")


if __name__ == "__main__":
    main()
