"""``python -m tinygan.train [dcgan|…] …``: train a network."""

from __future__ import annotations

import sys
from importlib import import_module

from tinygan.machine.allocator import keep_freed_memory
from tinygan.train.session import run_command

SYSTEMS = {
    "dcgan": "tinygan.train.dcgan_command",
    "cyclegan": "tinygan.train.cyclegan_command",
}


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.train") -> int:
    """Train what the first word names, the DCGAN without one; return the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    name = "dcgan"
    if argv and not argv[0].startswith("-"):
        name, *argv = argv
        if name not in SYSTEMS:
            print(
                f"{prog}: error: {name!r} is nothing to train; there is {', '.join(SYSTEMS)}",
                file=sys.stderr,
            )
            return 2
    elif argv and argv[0] in ("-h", "--help"):
        print(f"What can be trained: {', '.join(SYSTEMS)}; {prog} NAME --help explains each.")
        print(f"Without a name it is {name}:\n")
    keep_freed_memory()
    return run_command(import_module(SYSTEMS[name]).COMMAND, argv, f"{prog} {name}")


if __name__ == "__main__":
    sys.exit(main())
