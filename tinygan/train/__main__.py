"""``python -m tinygan.train [SYSTEM] …``: train a GAN, of tinygan's or of your own."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from tinygan import commands
from tinygan.commands import Parser, complain, say
from tinygan.errors import DivergedError, UserError
from tinygan.machine.allocator import keep_freed_memory
from tinygan.options.flags import parse_flags
from tinygan.runs.checkpoint import load_system
from tinygan.runs.folder import RunFolder, read_config
from tinygan.runs.load import find_checkpoint, use_newest
from tinygan.runs.report.words import duration
from tinygan.systems import find, find_of_run, names
from tinygan.train.diagnose import find_first_bad
from tinygan.train.session import Session, begun, build, taken_up


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.train") -> int:
    """Train what the first word names, the first of the list without one; return the exit status.

    0: all steps are done.  1: it had to stop (a full disk, numbers that diverged).  2: what was
    asked for is not possible, nothing was changed.  128 + n: stopped by signal n.
    """
    if argv is None:
        keep_freed_memory()  # the process is this command's own
        argv = sys.argv[1:]
    words = list(argv)
    return commands.run(prog, lambda: _train(words, prog), "--batch-size, --width or --image-size")


def _train(argv: list[str], prog: str) -> int:
    name, argv = (argv[0], argv[1:]) if argv and not argv[0].startswith("-") else (None, argv)
    first = Parser(add_help=False, allow_abbrev=False)
    first.add_argument("--system")
    first.add_argument("--resume")
    known = first.parse_known_args(argv)[0]
    if name is None and argv and argv[0] in ("-h", "--help"):
        say(f"What can be trained: {', '.join(names())}, or FILE.py:CLASS, a system of your own;")
        say(f"{prog} NAME --help explains each.  Without a name it is {names()[0]}:\n")
    name = name or known.system
    if known.resume:
        path = Path(known.resume)
        cls = find_of_run(read_config(path), name, path, complain)
    else:
        cls = find(name or names()[0])
    given = parse_flags(cls.Options, cls.title, argv, f"{prog} {name or cls.name}")
    begin: Any = taken_up if "resume" in given else begun
    if given.get("distributed"):
        from tinygan.train.ranks import train_on_ranks

        return train_on_ranks(begin, cls, given, _run)
    with begin(cls, given, say, complain) as session:
        return 0 if session is None else _run(session)


def _run(session: Session) -> int:
    """Train, say how it ended, and return the exit status."""
    run, system, interrupt = session.run, session.system, session.interrupt
    say(f"writing to {run.path}")
    who = system.name if system.file is None else f"{system.file.path}:{system.file.cls}"
    go_on = f"python -m tinygan.train {who} --resume {run.path}"
    began = time.perf_counter()
    try:
        done = session.train()
    except DivergedError as error:
        complain(f"stopped, as the training diverged: {error}; {_last(run)}")
        complain(_diagnosis(session, error.step))
        return 1
    except OSError as error:
        broken = isinstance(error, BrokenPipeError)  # of the author's: our own is never raised
        if system.file is not None and error.filename is None and not broken:
            raise
        what = str(error) or type(error).__name__
        complain(f"stopped: {what}; {_last(run)}; mend that, then go on: {go_on}")
        return 1
    except MemoryError as error:
        complain(f"stopped: {error}; {_last(run)}")
        return 1
    except KeyboardInterrupt:
        complain(f"stopped at once; {_last(run)}; to go on: {go_on}")
        return 130
    if done < session.total:
        complain(f"stopped by {interrupt.name} after step {done}, all saved; to go on:")
        complain(f"    {go_on}")
        return interrupt.exit_status
    say(
        f"{done} steps are done, {done - session.start} of them in "
        f"{duration(time.perf_counter() - began)}; "
        f"look at {run.samples / f'step-{done:06d}.png'} and {run.path / 'losses.png'}"
    )
    return 0


def _diagnosis(session: Session, steps: int) -> str:
    """Return a sentence that names the first tensor that went bad within `steps` steps."""
    try:
        system = build(type(session.system), session.system.options)
        _, checkpoint, _ = use_newest(session.run.path, partial(load_system, system=system))
        start = checkpoint.step if checkpoint else 0
        say(f"taking the steps from {start} to {steps} again, to see what went bad first …")
        found = find_first_bad(system, start, steps)
    except KeyboardInterrupt:
        found = None
    advice = "try a lower --lr in a new run"
    return f"first of all, {found}; {advice}" if found else f"what went bad first is open; {advice}"


def _last(run: RunFolder) -> str:
    try:
        checkpoint = find_checkpoint(run.path)
    except UserError as error:
        return str(error)
    return f"the last checkpoint is {checkpoint}" if checkpoint else "there is no checkpoint yet"


if __name__ == "__main__":
    sys.exit(main())
