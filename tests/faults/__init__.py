"""System calls that fail when they are told to: a full disk at any moment, a kill at any moment.

`shim.c` is compiled and loaded before everything else.  It counts the calls that change something
below one folder (open to write, write, sync, rename, …) and lets the chosen one fail, be short, or
kills the process there.  A server that has loaded tinygan runs each command in a fork of itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tinygan

HERE = Path(__file__).parent
COMPILER = shutil.which("cc") or shutil.which("gcc") if sys.platform == "linux" else None
KILL, SHORT = -1, -2


@dataclass
class Done:
    """How a command ended: its status, what it said, how many calls it made, how many failed."""

    status: int
    out: str
    err: str
    calls: int
    struck: int


class Server:
    """Runs tinygan's commands below the shim; `close` it in the end."""

    def __init__(self, folder: Path):
        library = folder / "shim.so"
        words = [COMPILER, "-shared", "-fPIC", "-O1", "-o", library, HERE / "shim.c", "-ldl"]
        subprocess.run(list(map(str, words)), check=True)
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "server.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "LD_PRELOAD": str(library),
                "PYTHONPATH": str(Path(tinygan.__file__).parents[1]),
                "TINYGAN_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "MPLBACKEND": "agg",
                "TINYGAN_CACHE": str(folder / "cache"),
            },
        )

    def run(self, folder: Path, words: list, at: int = 0, error: int = 28, lasts=False) -> Done:
        """Run ``tinygan`` with `words`; let call number `at` below `folder` go wrong (0: none)."""
        asked = {
            "words": list(map(str, words)),
            "output": str(self._folder),
            "environment": {
                "FAULT_DIR": str(folder),
                "FAULT_AT": str(at),
                "FAULT_ERRNO": str(error),
                "FAULT_LASTS": str(int(lasts)),
            },
        }
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        out, err = ((self._folder / name).read_text("utf-8", "replace") for name in ("out", "err"))
        return Done(out=out, err=err, **told)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
