"""Command lines that make no sense: every flag of every command with every kind of wrong value.

Whatever stands there, the command ends soon; unless it could do what was asked, it says so in one
line and has written nothing.  With ``TINYGAN_LONG=1`` all of them, or ``TINYGAN_LINES``, else a
sample.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import socket
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image
from training import TINY, train

from tinygan import commands
from tinygan.__main__ import COMMANDS, main

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="pipes, devices and signals of POSIX"),
    pytest.mark.timeout(7200),
]
LONG = bool(os.environ.get("TINYGAN_LONG"))
SAMPLE = int(os.environ.get("TINYGAN_LINES", 1 << 20 if LONG else 80))
SECONDS = 60
MEMORY = 4 << 30  # bytes of address space beside what is there before

NUMBERS = ["x", "nan", "inf", "-inf", "-1", "0", "0.5", "1e400", "1000000000000", "9" * 40]
NUMBERS += ["٣", "²", "1_0", "0x10", " 1", "True", "1" * 5000, "1e-400", "--", "=", "-"]
TEXTS = [
    "x" * 300,
    "x" * 5000,
    "a\nb",
    "\x1b[31m",
    os.fsdecode(b"\xff\xfe"),
    "%s%d",
    "{}",
    ".",
    "..",
]
PLACES = [
    "missing",
    "missing/deeper/still",
    "folder",
    "file",
    "pipe",
    "socket",
    "loop",
    "garbage.png",
]
PLACES += [
    "empty.safetensors",
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/proc/self/mem",
    "/proc/1",
]


class Captured(Exception):
    """Carries a parser out of a command."""


class Slow(BaseException):
    """A command takes too long."""


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    """A folder with two runs, pictures, and one of everything that is no good file."""
    folder = tmp_path_factory.mktemp("lines")
    assert train("--steps", 2, "--out", folder / "dcgan") == 0
    cyclegan = ["--dataset-size", 40, "--image-size", 16, "--width", 2, "--discriminator-width", 2]
    cyclegan += ["--residual-blocks", 1, "--backend", "numpy", "--out", folder / "cyclegan"]
    assert train("cyclegan", *cyclegan, "--steps", 1, tiny=False) == 0
    (folder / "pictures").mkdir()
    for i in range(8):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "pictures" / f"{i}.png")
    (folder / "folder").mkdir()
    (folder / "file").write_text("text")
    (folder / "garbage.png").write_bytes(bytes(range(256)))
    (folder / "empty.safetensors").touch()
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    server = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(folder)  # a socket's address is short
    server.bind("socket")
    os.chdir(here)
    yield folder
    server.close()


USUAL = {
    "train": [*TINY, "--steps", "1", "--out", "OUT"],
    "train cyclegan": ["--dataset-size", "8", "--image-size", "16", "--width", "2", "--out", "OUT",
                       "--steps", "1", "--backend", "numpy"],
    "generate": ["dcgan", "--count", "2", "--out", "OUT.png", "--backend", "numpy"],
    "translate": ["cyclegan", "--input", "pictures/0.png", "--out", "OUT", "--backend", "numpy"],
    "evaluate": ["dcgan", "--count", "16", "--out", "OUT", "--backend", "numpy"],
    "study": ["dcgan", "--pairs", "2", "--out", "OUT.html", "--backend", "numpy"],
    "convert": ["dcgan", "OUT.pth"],
    "demo": ["dcgan", "--out", "OUT.html"],
    "export": ["dcgan", "OUT.onnx"],
    "data download": ["apple2orange", "--out", "OUT", "--archive", "missing.zip"],
    "data split": ["pictures", "pictures", "--test", "1", "1", "--out", "OUT"],
    "data draw": ["faces", "--count", "2", "--image-size", "16", "--out", "OUT"],
    "gradcheck": ["missing.py:x"],
    "coursework new": ["OUT"],
    "coursework grade": ["folder", "--course", "folder", "--csv", "OUT.csv", "--out", "OUT"],
    "backend": [],
}  # fmt: skip


def parsers() -> dict:
    """Return the parser of each command, and of each of its own commands."""
    found = {}

    def capture(self, args=None, namespace=None):
        raise Captured(self)

    # by `patch`, which leaves no attribute behind that the class did not have itself
    with patch.object(commands.Parser, "parse_args", capture):
        for name in ("train cyclegan", *COMMANDS):
            try:
                main(name.split())
            except Captured as captured:
                parser = captured.args[0]
            else:
                continue
            inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
            if inner:
                found |= {f"{name} {sub}": p for sub, p in inner[0].choices.items()}
            else:
                found[name] = parser
    return found


def lines() -> list[tuple[str, list[str]]]:
    """Return all command lines: the usual one of a command with one thing wrong."""
    made = []
    for name, parser in parsers().items():
        usual = USUAL[name]
        for action in parser._actions:
            if isinstance(action, argparse._HelpAction) or "--version" in action.option_strings:
                continue
            text = getattr(action.type, "convert", action.type) in (None, str, "str")
            wrong = [*PLACES, *TEXTS] if text and not action.choices else NUMBERS
            if not action.option_strings:
                at = [a for a in parser._actions if not a.option_strings].index(action)
                for value in [*wrong, ""]:
                    made.append((name, [*usual[:at], value, *usual[at + 1 :]]))
                continue
            flag = action.option_strings[-1]
            if action.nargs == 0:
                made += [(name, [*usual, f"{flag}=x"]), (name, [*usual, flag, "extra", "more"])]
                continue
            made += [
                (name, [*usual, flag]),
                (name, [*usual, flag, ""]),
                (name, [*usual, f"{flag}="]),
            ]
            for value in wrong:
                values = [value] * 2 if action.nargs == 2 else [value]
                made.append((name, [*usual, flag, *values]))
                if action.nargs != 2:
                    made.append((name, [*usual, f"{flag}={value}"]))
        made += [(name, [*usual, "--dance"]), (name, [*usual, "--dance=1"]), (name, [*usual, "-1"])]
        made.append((name, usual[1:]))
    return made


@contextmanager
def limit(seconds):
    def slow(number, frame):
        raise Slow

    before = signal.signal(signal.SIGALRM, slow)
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if sys.platform == "linux" else 0
    most = resource.getrlimit(resource.RLIMIT_AS)
    if pages:  # a device can be read without an end, and not be interrupted
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY, most[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, most)


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_command_lines_that_make_no_sense(top, tmp_path, monkeypatch, capfd):
    every = lines()
    assert len(every) > 2000
    chosen = random.Random(14).sample(every, min(SAMPLE, len(every)))
    # what is valid after all is not trained, and nothing is fetched
    monkeypatch.setattr("tinygan.train.session.Session.train", lambda self, *_: self.total)
    monkeypatch.setattr("tinygan.evaluate.__main__.measure_subject", offline)
    monkeypatch.setattr("tinygan.data.download.download", offline)
    monkeypatch.setattr("tinygan.data.__main__.download", offline)
    monkeypatch.chdir(top)
    before, seen, faults, slowest = written(top), Counter(), [], []
    for number, (name, words) in enumerate(chosen):
        out = tmp_path / str(number)
        words = [word.replace("OUT", str(out)) for word in words]
        status, began = "?", time.perf_counter()
        try:
            with limit(SECONDS):
                status = main([*name.split(), *words])
        except SystemExit as stop:
            status = stop.code
        except Slow:
            faults.append((name, words[-2:], "hangs"))
        except BaseException as error:
            faults.append((name, short(words), f"{type(error).__name__}: {error}"[:300]))
        slowest.append((round(time.perf_counter() - began, 1), name, short(words)))
        told = capfd.readouterr().err
        seen[status] += 1
        if status in (1, 2):
            said = [line for line in told.splitlines() if line and "warning:" not in line]
            said = [line for line in said if not line.endswith("…")]  # what is being done
            skips = name == "translate" and status == 1  # a line for each picture it skipped
            if (len(said) != 1 and not skips) or len(said[0]) > 6000:
                faults.append((name, short(words), f"{status}: {len(said)} lines: {told[:300]}"))
            left = [path for path in tmp_path.iterdir()]
            if left and status == 2:
                faults.append((name, short(words), f"left {left[0]}"))
        elif status != 0:
            faults.append((name, short(words), f"status {status}: {told[:200]}"))
        now = written(top)
        if now != before:
            if status:
                faults.append((name, short(words), f"wrote {set(now) ^ set(before)}"))
            for path in sorted(set(now) - set(before), reverse=True):
                remove(top / path)
            assert written(top) == before
        for path in tmp_path.iterdir():
            remove(path)
    print(f"{len(chosen)} command lines, statuses {dict(seen)}")
    print("slowest", *sorted(slowest, key=lambda one: one[0])[-5:])
    assert faults == [], "\n".join(map(str, faults))
    assert seen[2] > len(chosen) / 3


def short(words: list[str]) -> list[str]:
    return [word if len(word) < 40 else f"{word[:30]}… ({len(word)})" for word in words[-4:]]


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def offline(subject, *rest, **words):
    from tinygan.errors import DataError

    raise DataError(f"{type(subject).__name__}: neither fetched nor measured in a test")
