"""System calls that fail when they are told to: a full disk at any moment, a kill at any moment.

`shim.c` is compiled and loaded before everything else.  It counts the calls that change something
below one folder (open to write, write, sync, rename, …) and lets the chosen one fail, or kills the
process there.
"""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import tinygan

HERE = Path(__file__).parent
COMPILER = shutil.which("cc") or shutil.which("gcc") if sys.platform == "linux" else None
KILL = -1


def compiled(folder: Path) -> Path:
    """Compile the shim into `folder`; return the library."""
    library = folder / "shim.so"
    words = [COMPILER, "-shared", "-fPIC", "-O1", "-o", library, HERE / "shim.c", "-ldl"]
    subprocess.run(list(map(str, words)), check=True)
    return library


def run(library: Path, folder: Path, words: list, fail: int = 0, error: int = errno.ENOSPC):
    """Run Python with `words`; let call number `fail` below `folder` fail (0: none).

    Returns the finished process and how many calls there were.
    """
    counted = folder.with_name(folder.name + ".calls")
    root = str(Path(tinygan.__file__).parents[1])
    environment = {
        **os.environ,
        "LD_PRELOAD": str(library),
        "FAULT_DIR": str(folder),
        "FAULT_AT": str(fail),
        "FAULT_ERRNO": str(error),
        "FAULT_COUNT": str(counted),
        "PYTHONPATH": root,
        "TINYGAN_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }
    counted.unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    calls = int(counted.read_text()) if counted.exists() else 0
    return done, calls
