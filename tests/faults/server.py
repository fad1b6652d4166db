"""Runs one command for each line of JSON on standard input, in a fork; see the package.

The clock stands still in them, so that two undisturbed runs are the same in every byte.
"""

import ctypes
import functools
import gc
import importlib
import json
import os
import signal
import sys
import time
import traceback

import matplotlib.axes
import matplotlib.figure
from PIL import Image

import tinygan.__main__ as tinygan
from tinygan.evaluate import measure
from tinygan.runs.report import page
from tinygan.systems.cyclegan import domains

SECONDS = 120
NOON = time.struct_time((2026, 1, 31, 12, 0, 0, 5, 31, 0))


def load() -> None:
    """Load what the commands would load, so that no fork has to."""
    for name in ("train", "generate", "translate", "evaluate", "data", "coursework", "export"):
        importlib.import_module(f"tinygan.{name}.__main__")
    importlib.import_module("matplotlib.backends.backend_agg")
    matplotlib.figure.Figure.savefig = save_dot  # plots take most of a tiny training's time
    matplotlib.axes.Axes.legend = lambda axes, *rest, **options: None
    page._template = functools.cache(page._template)
    page._template()
    measure._PROBE, domains._PAIRS, domains._SAMPLES = 100, 2, 2  # the same calls write the same
    measure._estimate = lambda *sets, **options: {"value": 0.5, "error": 0.1}
    Image.init()
    gc.freeze()  # no fork touches, and so copies, what is loaded


def save_dot(figure, file, **options) -> None:
    """Write what a plot's file is written by: Pillow."""
    Image.new("L", (1, 1)).save(file, "PNG")


def stop_the_clock() -> None:
    strftime = time.strftime
    for name in ("perf_counter", "monotonic", "time"):
        setattr(time, name, lambda: 1_769_860_800.0)
    time.strftime = lambda form, moment=NOON: strftime(form, moment)


def run(words: list[str], folder: str) -> None:
    """Be the command; never returns."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666), number)
    signal.alarm(SECONDS)
    stop_the_clock()
    status = 99
    try:
        status = tinygan.main(words)
    except SystemExit as stop:
        status = stop.code or 0
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    shim = ctypes.CDLL(None)
    with open(f"{folder}/count", "w") as file:
        json.dump({"calls": shim.fault_calls(), "struck": shim.fault_struck()}, file)
    os._exit(status)


def main() -> None:
    load()
    for line in sys.stdin:
        asked = json.loads(line)
        counted = f"{asked['output']}/count"
        if os.path.exists(counted):
            os.unlink(counted)
        child = os.fork()
        if child == 0:
            os.environ.update(asked["environment"])
            run(asked["words"], asked["output"])
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        told = {"calls": 0, "struck": 0}
        if os.path.exists(counted):
            with open(counted) as file:
                told = json.load(file)
        print(json.dumps({"status": status, **told}), flush=True)


if __name__ == "__main__":
    main()
