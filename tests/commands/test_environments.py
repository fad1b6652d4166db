"""Locale, terminal, folders, clock, limits, names: none makes a difference to what is computed.

A table of environments; in each a tiny run is trained in a process of its own, and its numbers are
compared.  With ``TINYGAN_LONG=1`` all of them, else some.
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import faults
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from training import TINY, timeless

import tinygan

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell"),
    pytest.mark.timeout(3600),
]
LONG = bool(os.environ.get("TINYGAN_LONG"))
ROOT = str(Path(tinygan.__file__).parents[1])
GONE = None  # this variable is not set

VARIABLES = {
    "locale C": {"LC_ALL": "C", "LANG": "C"},
    "locale C without UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "locale Turkish": {"LC_ALL": "tr_TR.UTF-8"},
    "locale German": {"LC_ALL": "de_DE.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"},
    "locale unknown": {"LANG": "xx", "LC_ALL": GONE},
    "locale unset": {"LANG": GONE, "LC_ALL": GONE, "LC_CTYPE": GONE},
    "output in ASCII": {"PYTHONIOENCODING": "ascii"},
    "output in cp1252": {"PYTHONIOENCODING": "cp1252"},
    "output in UTF-16": {"PYTHONIOENCODING": "utf-16"},
    "output in cp437, strict": {"PYTHONIOENCODING": "cp437:strict"},
    "terminal dumb": {"TERM": "dumb"},
    "terminal unset": {"TERM": GONE},
    "terminal of 10 columns": {"COLUMNS": "10", "LINES": "2"},
    "terminal of no columns": {"COLUMNS": "0"},
    "terminal of x columns": {"COLUMNS": "x"},
    "temporary folder missing": {"TMPDIR": "/nowhere/to/be/found"},
    "temporary folder read-only": {"TMPDIR": "/proc"},
    "temporary folder not ASCII": {"TMPDIR": "HERE/ä 漢"},
    "temporary folder is a file": {"TMPDIR": "/etc/passwd"},
    "home unset": {"HOME": GONE, "XDG_CACHE_HOME": GONE, "XDG_CONFIG_HOME": GONE},
    "home missing": {"HOME": "/nowhere/to/be/found"},
    "home read-only": {"HOME": "/proc", "XDG_CACHE_HOME": GONE, "MPLCONFIGDIR": GONE},
    "home empty": {"HOME": ""},
    "caches read-only": {"XDG_CACHE_HOME": "/proc/x", "MPLCONFIGDIR": "/proc/x"},
    "own cache read-only": {"TINYGAN_CACHE": "/proc/x"},
    "own cache is a file": {"TINYGAN_CACHE": "/etc/passwd"},
    "zone unknown": {"TZ": "Mars/Olympus"},
    "zone empty": {"TZ": ""},
    "zone far": {"TZ": "UTC+25:59"},
    "Matplotlib's backend unknown": {"MPLBACKEND": "nonsense"},
    "Matplotlib's backend a notebook's": {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline"
    },
    "Matplotlib's backend a window": {"MPLBACKEND": "TkAgg", "DISPLAY": ":99"},
    "one thread": {"TINYGAN_NUM_THREADS": "1"},
    "three threads": {"TINYGAN_NUM_THREADS": "3"},
    "BLAS threads": {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "x"},
    "no docstrings": {"PYTHONOPTIMIZE": "2"},
    "warnings are errors": {"PYTHONWARNINGS": "error"},
    "developer mode": {"PYTHONDEVMODE": "1"},
    "unbuffered": {"PYTHONUNBUFFERED": "1"},
    "other hashes": {"PYTHONHASHSEED": "12345"},
    "safe path": {"PYTHONSAFEPATH": "1"},
}

SHELL = {
    "umask 000": "umask 000",
    "umask 077": "umask 077",
    "umask 777 beside": "umask 0777; umask 022",
    "standard output closed": "exec >&-",
    "standard error closed": "exec 2>&-",
    "standard input closed": "exec <&-",
    "all three closed": "exec >&- 2>&- <&-",
    "nobody reads": "exec > >(true)",
    "the disk of the output is full": "exec > /dev/full 2>&1",
    "folder deleted": "mkdir gone; cd gone; rmdir ../gone",
    "folder read-only": "cd /proc",
    "folder not UTF-8": "mkdir $'\\xff\\xfe'; cd $'\\xff\\xfe'",
    "signals ignored": "trap '' INT PIPE HUP TERM",
    "few open files": "ulimit -n 40",
    "no core": "ulimit -c 0",
    "small stack": "ulimit -s 1024",
    "low priority": "renice -n 19 $$ > /dev/null",
}

CLOCKS = {
    "clock in 1970": {"FAKE_CLOCK": "5"},
    "clock before 1980": {"FAKE_CLOCK": "86400"},
    "clock after 2038": {"FAKE_CLOCK": str(2**31 + 7)},
    "clock after 2106": {"FAKE_CLOCK": str(2**32 + 7)},
    "clock in 2255": {"FAKE_CLOCK": "9000000000"},  # Python's own time ends in 2262
    "clock goes backwards": {"FAKE_CLOCK": "1700000000", "FAKE_BACK": "1"},
}

NAMES = {
    "spaces": "a b  c ",
    "quotes": "a'b\"c`d",
    "a new line": "a\nb",
    "per cent": "a%sb%d%",
    "braces": "a{x}b{0}",
    "the sign of equality": "a=b",
    "ends in the sign of equality": "a=",
    "not ASCII": "é漢👩\u200d🎨",
    "right to left": "\u202egnp",
    "a star": "a*?[b]",
    "a backslash": "a\\b$HOME~",
    "not UTF-8": os.fsdecode(b"a\xff\xfeb"),
    "a leading hyphen": "-a",
    "a control character": "a\x1b[31mb",
    "a tag": "<b>&amp;",
    "long": "x" * 200,
    "a name of Windows": "CON",
    "ends in a dot": "a.",
}

WRONG = {
    "threads x": ({"TINYGAN_NUM_THREADS": "x"}, "TINYGAN_NUM_THREADS: expected a positive"),
    "threads 0": ({"TINYGAN_NUM_THREADS": "0"}, "TINYGAN_NUM_THREADS: expected a positive"),
    "threads -1": ({"TINYGAN_NUM_THREADS": "-1"}, "TINYGAN_NUM_THREADS: expected a positive"),
    "threads 1e3": ({"TINYGAN_NUM_THREADS": "1e3"}, "TINYGAN_NUM_THREADS: expected a positive"),
    "threads 10**9": ({"TINYGAN_NUM_THREADS": "1000000000"}, "TINYGAN_NUM_THREADS: expected"),
}

EVERY = [*VARIABLES, *SHELL, *CLOCKS, *(f"name with {name}" for name in NAMES)]
SOME = [*random.Random(14).sample(EVERY, 8), "no docstrings"]


def start(folder: Path, words: list, changes: dict, before: str = "true"):
    given = {**os.environ, "PYTHONPATH": ROOT, **changes}
    here = str(folder)
    environment = {k: v.replace("HERE", here) for k, v in given.items() if v is not GONE}
    (folder / "ä 漢").mkdir(exist_ok=True)
    command = ["bash", "-c", f'{before}; exec "$0" "$@"', sys.executable, "-m", "tinygan", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=300)


@pytest.fixture(scope="module")
def top(tmp_path_factory):
    folder = tmp_path_factory.mktemp("environments")
    pictures = folder / "pictures"
    pictures.mkdir()
    for i in range(16):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{i}.png")
    return folder


def train(folder: Path, data: Path, out: Path, changes: dict, before: str = "true"):
    at = TINY.index("--dataset-size")
    words = [*TINY[:at], *TINY[at + 2 :], f"--data={data}", f"--out={out}"]
    return start(folder, ["train", *words, "--steps", "2"], changes, before)


@pytest.fixture(scope="module")
def usual(top):
    done = train(top, top / "pictures", top / "usual", {})
    assert done.returncode == 0, done.stderr
    return top / "usual"


@pytest.mark.parametrize("name", EVERY if LONG else SOME)
def test_the_numbers_are_the_same(name, top, usual, tmp_path):
    data, out = top / "pictures", tmp_path / "run"
    changes, before = {**VARIABLES, **CLOCKS}.get(name, {}), SHELL.get(name, "true")
    if name in CLOCKS:
        if faults.COMPILER is None:
            pytest.skip("needs Linux and a C compiler")
        words = [faults.COMPILER, "-shared", "-fPIC", "-o", tmp_path / "clock.so"]
        subprocess.run([*map(str, words), str(faults.HERE / "clock.c")], check=True)
        changes = {**changes, "LD_PRELOAD": str(tmp_path / "clock.so")}
    if name.startswith("name with "):
        part = NAMES[name.removeprefix("name with ")]
        data, out = tmp_path / part / "data", tmp_path / part / "run"
        shutil.copytree(top / "pictures", data)
        data = data.rename(tmp_path / part / part)
    done = train(tmp_path, data, out, changes, before)
    assert done.returncode == 0, done
    assert b"Traceback" not in done.stderr, done.stderr
    assert b"\x1b" not in done.stdout + done.stderr
    assert timeless(out) == timeless(usual)
    [checkpoint] = (out / "checkpoints").iterdir()
    [wanted] = (usual / "checkpoints").iterdir()
    ours, theirs = load_file(checkpoint), load_file(wanted)
    assert all(ours[key].tobytes() == theirs[key].tobytes() for key in theirs)
    assert (out / "samples" / "step-000002.png").read_bytes() == (
        usual / "samples" / "step-000002.png"
    ).read_bytes()
    assert (out / "report.html").exists()
    assert (out / "losses.png").exists()
    if name.startswith("umask"):
        mode = 0o666 & ~{"umask 000": 0, "umask 077": 0o077}.get(name, 0o022)
        files = [path for path in out.rglob("*") if path.is_file() and path.name != ".lock"]
        assert {path.stat().st_mode & 0o777 for path in files} == {mode}
    again = start(tmp_path, ["train", f"--resume={out}", "--steps", "3"], changes, before)
    assert again.returncode == 0, again
    assert len(timeless(out)) == 3


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_one_line(name, top, tmp_path):
    changes, message = WRONG[name]
    done = train(tmp_path, top / "pictures", tmp_path / "run", changes)
    assert done.returncode == 2, done
    [line] = done.stderr.decode().splitlines()
    assert message in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("before", ["mkdir gone; cd gone; rmdir ../gone", "cd /proc"])
def test_a_folder_that_takes_no_run_is_one_line(before, top, tmp_path):
    done = train(tmp_path, top / "pictures", Path("run"), {}, before)
    assert done.returncode == 2, done
    [line] = done.stderr.decode().splitlines()
    assert "run: cannot be written" in line or "No such file" in line
