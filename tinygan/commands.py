"""The skeleton of every command: its parser, its words to the user, errors and exit statuses.

A command is a function that parses `argv` and does what it says; `run` calls it and turns what
goes wrong into one line and an exit status:

===========  ====================================================================================
0            done
1            it had to stop: a full disk, no memory; or the command's own (`gradcheck`: wrong)
2            what was asked for is not possible; nothing was changed
128 + n      stopped by signal n: 130 by Ctrl-C, 143 by ``kill``
===========  ====================================================================================
"""

from __future__ import annotations

import argparse
import errno
import json
import math
import os
import signal
import sys
import threading
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn

from tinygan import starting
from tinygan.errors import DivergedError, UserError

__all__ = [
    "Careful",
    "Parser",
    "answer",
    "check_file",
    "complain",
    "printable",
    "run",
    "run_options",
    "say",
    "say_json",
]

_TURNS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # which way text is read
_USERS = {errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL, errno.ELOOP, errno.EEXIST}
_USERS |= {errno.EISDIR, errno.ENOTDIR}


def run(prog: str, command: Callable[[], int | None], smaller: str = "") -> int:
    """Call `command`, report what goes wrong in one line, and return the exit status.

    Parameters
    ----------
    prog : str
        The command's name, for its messages.
    command : callable
        Returns its exit status, or None for 0.
    smaller : str
        What to lower when memory does not suffice: "--count or --size".
    """
    with _streams(), _own_warnings(), _stopped_by_signals():
        try:
            starting.over()
            return command() or 0
        except (UserError, DivergedError) as error:
            complain(f"{prog}: error: {error}")
            return 2
        except BrokenPipeError:  # nobody reads any more, as with ``| head``
            return 0
        except OSError as error:
            complain(f"{prog}: error: {_described(error)}")
            return 2 if error.errno in _USERS else 1
        except MemoryError:
            advice = f"; lower {smaller}" if smaller else ""
            complain(f"{prog}: error: this does not fit into memory{advice}")
            return 1
        except KeyboardInterrupt as stop:
            complain(f"{prog}: interrupted")
            return 128 + (stop.number if isinstance(stop, _Stopped) else signal.SIGINT)


def check_file(out: Path, force: bool, kinds: Sequence[str] = (), flag: str = "--out") -> None:
    """Raise a UserError, before there is work, if no file is to be written at `out`.

    Parameters
    ----------
    out : Path
    force : bool
        Replace a file that is there; never a folder, a pipe or a device.
    kinds : sequence of str
        How its name may end, any way if none is given.
    flag : str
        What the user wrote before it, if anything.
    """
    where = f"{flag} {printable(str(out))}".lstrip()
    if kinds and out.suffix.lower() not in kinds:
        raise UserError(f"{where}: expected the name of a {' or '.join(kinds)} file")
    if out.exists() and not out.is_file():
        kind = "a folder" if out.is_dir() else "no regular file"
        raise UserError(f"{where}: expected the name of a file, this is {kind}")
    if os.path.lexists(out) and not force:
        raise UserError(f"{where}: is there already; --force replaces it")


def say(text: str) -> None:
    """Print `text` on standard output."""
    print(printable(text), file=Careful(sys.stdout), flush=True)


def answer(text: str) -> None:
    """Print what was asked for; where it cannot be written, that is an OSError."""
    try:
        print(printable(text), flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from None


def say_json(value: Any) -> None:
    """Print `value` as JSON on standard output, for a program to read; NaN and infinity as null."""
    answer(json.dumps(_finite(value), indent=2))  # ASCII: any encoding shows it


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _finite(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def complain(text: str) -> None:
    """Print `text` on standard error, as one line."""
    print(printable(" ".join(text.split("\n"))), file=Careful(sys.stderr), flush=True)


def printable(text: str) -> str:
    r"""Return `text` with its control characters spelled out: a file's name may hold any.

    Examples
    --------
    >>> printable("a\x1b[31m.png")
    'a\\x1b[31m.png'
    """
    return "".join(repr(c)[1:-1] if _controls(c) else c for c in text)


def _controls(c: str) -> bool:
    return c not in "\n\t" and (unicodedata.category(c) in ("Cc", "Cs") or c in _TURNS)


class Careful:
    """A stream whose other end may go away (a closed terminal, ``| head``): the command goes on."""

    def __init__(self, stream: IO[str]):
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Parser(argparse.ArgumentParser):
    """An argument parser that reports a mistake in one line and knows ``--version``."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.color = False  # of Python 3.14
        self.add_argument(
            "--version", action=_Version, nargs=0, help="show tinygan's version and exit"
        )

    def error(self, message: str) -> NoReturn:
        raise UserError(message)

    def print_help(self, file: Any = None) -> None:
        answer(self.format_help().rstrip("\n"))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        for before, word in zip(["", *words], words, strict=False):
            flag, sign, value = word.partition("=") if word.startswith("--") else ("", "", word)
            name = flag if sign else before
            if sign and value == "--":  # argparse would take it for none
                self.error(f"{flag}: expected a value, got '--'")
            if not (value if sign else word):
                where = f"{name}: " if name.startswith("-") else ""
                self.error(f"{where}expected a value, got an empty text")
        return super().parse_known_args(words, namespace)

    def add_run(self, demo: str) -> None:
        """Add RUN, and --demo in place of it: a run that comes with tinygan."""
        group = self.add_mutually_exclusive_group(required=True)
        group.add_argument(
            "run",
            metavar="RUN",
            nargs="?",
            default=argparse.SUPPRESS,  # else it would undo --demo
            help="a run folder, or one of its checkpoints",
        )
        group.add_argument(
            "--demo",
            dest="run",
            action="store_const",
            const=demo,
            help=f"in place of RUN: the one that comes with tinygan, {demo}",
        )

    def add_json(self) -> None:
        """Add the flag --json."""
        self.add_argument(
            "--json", action="store_true", help="print JSON on standard output, and nothing else"
        )

    def add_no_metadata(self) -> None:
        """Add the flag --no-metadata."""
        self.add_argument(
            "--no-metadata",
            action="store_true",
            help='leave "made with tinygan", its version, system, step and seed out of the files',
        )

    def add_run_options(self, raw: bool = True) -> None:
        """Add the flags that say which weights of a run are used: --system, --best and --raw."""
        self.add_argument(
            "--system",
            metavar="FILE.py:CLASS",
            help="the file of your own system, whose code is run",
        )
        self.add_argument(
            "--best",
            action="store_true",
            help="use the checkpoint whose pictures were nearest to the data, not the newest one",
        )
        if raw:
            self.add_argument(
                "--raw",
                action="store_true",
                help="use the weights after the last step, not their average "
                "(see --ema of training)",
            )


def run_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what `Parser.add_run_options` and --backend were given, as `tinygan.load` takes it."""
    names = ("system", "best", "raw", "backend")
    return {name: getattr(arguments, name) for name in names if name in arguments}


class _Version(argparse.Action):
    def __init__(self, option_strings: list[str], dest: str, **kwargs: Any):
        kwargs["default"] = argparse.SUPPRESS
        super().__init__(option_strings, argparse.SUPPRESS, **kwargs)

    def __call__(self, parser: Any, *rest: Any, **named: Any) -> None:
        import tinygan

        answer(f"tinygan {tinygan.__version__}")
        parser.exit()


def _described(error: OSError) -> str:
    """Return ``FILE: what happened``."""
    if error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}" if error.filename else error.strerror


@contextmanager
def _streams() -> Iterator[None]:
    """Let anything be printed: to closed streams, in any encoding, to a pipe that nobody reads."""
    _open_closed()
    streams = [s for s in (sys.stdout, sys.stderr) if hasattr(s, "reconfigure")]
    before = [stream.errors for stream in streams]
    for stream in streams:
        stream.reconfigure(errors="replace")  # a terminal of code page 1252 has no × or ₁
    try:
        yield
    finally:
        for stream, errors in zip(streams, before, strict=True):
            try:
                stream.flush()
                stream.reconfigure(errors=errors)
            except OSError:  # what is left in the buffer must not fail once more at the exit
                _discard(stream)


class _Stopped(KeyboardInterrupt):
    """A signal other than Ctrl-C's that ends the command in the same way."""

    def __init__(self, number: int):
        super().__init__()
        self.number = number


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let ``kill`` and a closed terminal undo what is half-written before the process ends."""
    own, before = os.getpid(), []

    def stop(number: int, frame: object) -> None:
        if os.getpid() != own:  # a fork that was told to end: it undoes nothing
            os._exit(128 + number)
        raise _Stopped(number)

    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
        before = [n for n in numbers if n and signal.getsignal(n) is signal.SIG_DFL]
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in before:
            signal.signal(number, signal.SIG_DFL)


def _open_closed() -> None:
    """Put the null device in the place of standard streams that are closed (``>&-``).

    Else the next file that is opened takes their number, and what is printed goes into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _discard(stream: IO[str]) -> None:
    with suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


@contextmanager
def _own_warnings() -> Iterator[None]:
    """Show warnings as one line each, while the command runs."""
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        yield


def _show_warning(message: Warning | str, *where: Any, **named: Any) -> None:
    complain(f"warning: {message}")
