"""Ctrl-C at any moment of a command's start is one line, never a traceback."""

import os
import signal
import subprocess
import sys

import pytest

from tinygan import starting

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")

TRAIN = ["--dataset", "faces", "--image-size", "16", "--width", "2", "--dataset-size", "64"]


def interrupted(words, imports: float, folder) -> tuple[int, list[str], int]:
    """Press Ctrl-C once so many modules are loaded after tinygan's first.

    Return the exit status, what was printed, and how many modules were loaded.

    Modules are counted, not seconds: a slow machine is interrupted at the same places.
    """
    command = [sys.executable, "-X", "importtime", "-m", *words]
    process = subprocess.Popen(
        command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    begun, count, told = False, 0, []
    for line in process.stderr:
        if not line.startswith("import time:"):
            told.append(line)
            continue
        begun = begun or line.split()[-1] == "tinygan.starting"
        count += begun
        if begun and count == imports + 1:
            process.send_signal(signal.SIGINT)
    return process.wait(), told, count


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> int:
    """How many modules such a run loads that nobody interrupts."""
    words = ["tinygan.train", *TRAIN, "--steps", "1"]
    return interrupted(words, 10**9, tmp_path_factory.mktemp("whole"))[2]


@pytest.mark.parametrize("module", ["tinygan.train", "tinygan"])
@pytest.mark.parametrize("share", [0, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
def test_ctrl_c_while_modules_are_loaded_is_one_line(module, share, modules, tmp_path):
    words = [module, *(["train"] if module == "tinygan" else []), *TRAIN, "--steps", "1"]
    status, told, _ = interrupted(words, int(share * modules), tmp_path)
    assert status == 130, told
    assert len(told) == 1, told
    assert told[0].rstrip().endswith("interrupted"), told
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_only_a_command_minds_ctrl_c():
    code = "import signal, tinygan; print(signal.getsignal(signal.SIGINT).__name__)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert told.stdout.strip() == "default_int_handler"


@pytest.mark.parametrize(
    ("argv", "words", "expected"),
    [
        ("-m", ["python", "-m", "tinygan.train", "dcgan"], True),
        ("-m", ["python", "-X", "utf8", "-mtinygan"], True),
        ("-m", ["python", "-m", "pytest", "tinygan"], False),
        ("-m", ["python", "-m", "tinygan_tools"], False),
        ("-m", ["python", "-m", "tinygan.grading.worker"], False),
        ("/usr/bin/tinygan", ["python", "/usr/bin/tinygan", "train"], True),
        ("script.py", ["python", "script.py"], False),
        ("-c", ["python", "-c", "import tinygan"], False),
    ],
)
def test_what_is_a_command(argv, words, expected, monkeypatch):
    monkeypatch.setattr(sys, "argv", [argv])
    monkeypatch.setattr(sys, "orig_argv", words)
    assert starting.is_command() is expected


def test_who_minds_signals_already_goes_on_doing_so(monkeypatch):
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        starting.watch()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        starting.over()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
