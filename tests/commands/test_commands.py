"""Every command: one line for a mistake, an exit status for an error, nothing that a terminal, a
closed stream or a strange name could break."""

import io
import os
import signal
import subprocess
import sys
import warnings
from contextlib import nullcontext

import pytest

import tinygan
from tinygan.__main__ import COMMANDS, main
from tinygan.commands import Parser, check_file, complain, printable, run, say
from tinygan.errors import UserError
from tinygan.files import replaced

ROOT = os.path.dirname(os.path.dirname(tinygan.__file__))


def process(*words, **changes):
    environment = {**os.environ, "PYTHONPATH": ROOT, **changes}
    command = [sys.executable, "-m", "tinygan", *words]
    return subprocess.run(command, env=environment, capture_output=True, timeout=120)


def shell(text, **changes):
    environment = {**os.environ, "PYTHONPATH": ROOT, "T": f"{sys.executable} -m tinygan", **changes}
    return subprocess.run(["bash", "-c", text], env=environment, capture_output=True, timeout=120)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (UserError("too few"), 2, "prog: error: too few"),
        (OSError(28, "No space left on device", "a.png"), 1, "a.png: No space left on device"),
        (OSError(36, "File name too long", "x" * 5), 2, "xxxxx: File name too long"),
        (IsADirectoryError(21, "Is a directory", "a"), 2, "prog: error: a: Is a directory"),
        (OSError("all by itself"), 1, "error: all by itself"),
        (MemoryError(), 1, "does not fit into memory; lower --count"),
        (KeyboardInterrupt(), 130, "prog: interrupted"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_status(error, status, message, capsys):
    def command():
        raise error

    assert run("prog", command, "--count") == status
    told = capsys.readouterr()
    assert told.out == ""
    assert message in told.err
    assert told.err.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_leaves_nothing_half_written(number, tmp_path, capsys, request):
    ours = signal.signal(number, signal.SIG_DFL)  # nohup ignores some
    request.addfinalizer(lambda: signal.signal(number, ours))
    if number == signal.SIGINT:
        signal.signal(number, signal.default_int_handler)
    before = signal.getsignal(number)

    def command():
        with replaced(tmp_path / "a.png") as beside:
            beside.write_bytes(b"half")
            os.kill(os.getpid(), number)

    assert run("prog", command) == 128 + number
    assert capsys.readouterr().err == "prog: interrupted\n"
    assert os.listdir(tmp_path) == []
    assert signal.getsignal(number) is before


def test_a_status_is_passed_on_and_none_is_well():
    assert run("prog", lambda: 7) == 7
    assert run("prog", lambda: None) == 0


def test_a_mistake_in_the_program_is_not_hidden():
    with pytest.raises(ZeroDivisionError):
        run("prog", lambda: 1 // 0)


def test_warnings_are_lines_and_only_while_the_command_runs(capsys):
    before = warnings.showwarning
    run("prog", lambda: warnings.warn("look", stacklevel=1))
    assert warnings.showwarning is before
    assert capsys.readouterr().err == "warning: look\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_a_version(command, capsys):
    for words in ([command, "--help"], ["help", command]):
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert stop.value.code == 0
        assert f"tinygan {command}" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stop:
        main([command, "--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"tinygan {tinygan.__version__}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_an_unknown_flag_is_one_line(command, capsys):
    assert main([command, "--dance"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_tinygan_by_itself_lists_its_commands(capsys):
    for words in ([], ["help"], ["--help"]):
        assert main(words) == 0
        told = capsys.readouterr().out
        assert all(f"\n  {name} " in told for name in COMMANDS)
    for words in (["dance"], ["help", "dance"]):
        assert main(words) == 2
        assert "unknown command 'dance'; choose from train" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--out", ""], ["--out="], ["--out", "a", ""]])
def test_an_empty_text_is_no_value(words, capsys):
    parser = Parser("prog")
    parser.add_argument("--out")
    parser.add_argument("more", nargs="*")
    assert run("prog", lambda: parser.parse_args(words) and None) == 2
    told = capsys.readouterr().err
    assert "expected a value, got an empty text" in told
    assert ("--out" in told) == (len(words) < 3)


def test_a_value_may_end_in_the_sign_of_equality():
    parser = Parser("prog")
    parser.add_argument("--out")
    parser.add_argument("more", nargs="*")
    assert parser.parse_args(["--out", "a=", "b="]).more == ["b="]
    assert parser.parse_args(["--out=a=", "="]).out == "a="


def test_control_characters_do_not_reach_the_terminal(capsys):
    name = "a\x1b[31m\rb\u202egnp.\udcff"
    assert printable(name) == "a\\x1b[31m\\rb\\u202egnp.\\udcff"
    assert printable("é × 漢 👩‍🎨\tx\n") == "é × 漢 👩‍🎨\tx\n"
    say(name)
    complain(name + "\nmore")
    told = capsys.readouterr()
    for text in (told.out, told.err):
        assert "\x1b" not in text
        assert "\r" not in text
    assert told.err.endswith(" more\n")


def test_output_that_the_terminal_cannot_show_is_replaced():
    for words in (["train", "--help"], ["train", "--preset"], ["evaluate", "--help"], ["help"]):
        done = process(*words, PYTHONIOENCODING="ascii")
        assert done.returncode == 0, done.stderr
        assert done.stderr == b""
        assert done.stdout.decode("ascii")


def test_a_stream_that_cannot_show_it_is_left_as_it_was(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    run("prog", lambda: say("5 ₁ × é"))
    assert stream.buffer.getvalue().decode("cp1252") == f"5 ? × é{os.linesep}"
    assert stream.errors == "strict"


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell")
@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("$T train --preset | head -1; exit ${PIPESTATUS[0]}", 0),
        ("$T train --help | true; exit ${PIPESTATUS[0]}", 0),
        ("$T train --help >&-", 0),
        ("$T backend >&- 2>&-", 0),
        ("$T dance >&- 2>&-", 2),
        ("$T dance 2>&-", 2),
        ("$T backend <&- >&- 2>&-", 0),
    ],
)
def test_streams_that_nobody_reads(text, status):
    done = shell(text)
    assert done.returncode == status
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


def test_a_wrong_number_of_threads_is_one_line():
    done = process("backend", TINYGAN_NUM_THREADS="x")
    assert done.returncode == 2
    [line] = done.stderr.decode().splitlines()
    assert "TINYGAN_NUM_THREADS: expected a positive whole number, got 'x'" in line


def test_a_name_that_is_too_long_is_one_line(tmp_path, capsys):
    assert (
        main(["data", "draw", "faces", "--count", "1", "--out", str(tmp_path / ("x" * 300))]) == 2
    )
    [line] = capsys.readouterr().err.splitlines()
    assert "File name too long" in line


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs Linux")
@pytest.mark.parametrize(
    "words",
    [["--help"], ["--version"], ["train", "--help"], ["train", "--preset"], ["backend", "--json"]],
)
def test_an_answer_that_cannot_be_written_is_an_error(words, monkeypatch, capsys):
    with monkeypatch.context() as patch, open("/dev/full", "w") as full:
        patch.setattr(sys, "stdout", full)
        try:
            assert main(words) == 1
        finally:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, full.fileno())  # else closing it fails
            os.close(null)
    [line] = capsys.readouterr().err.splitlines()
    assert "standard output: No space left on device" in line


@pytest.mark.parametrize(
    ("name", "force", "message"),
    [
        ("new.png", False, None),
        ("new.gif", True, "expected the name of a .png or .webp file"),
        ("there.png", False, "is there already; --force replaces it"),
        ("there.png", True, None),
        ("link.png", False, "is there already; --force replaces it"),
        ("link.png", True, None),
        ("folder.png", True, "expected the name of a file, this is a folder"),
    ],
)
def test_every_command_asks_in_the_same_words_before_it_replaces(name, force, message, tmp_path):
    (tmp_path / "there.png").write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=message) if message else nullcontext():
        check_file(tmp_path / name, force, [".png", ".webp"])
