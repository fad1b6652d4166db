"""Contestants side by side: the same task, alternately, in processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PAUSE = 0.02  # seconds; threads that spin for a while after their work have stopped by then


@dataclass(frozen=True)
class Contestant:
    """A library and the way it is used."""

    name: str
    library: str
    options: dict = field(default_factory=dict)
    keep_memory: bool = False  # `tinygan.machine.allocator`, as the training commands do


TINYGAN = Contestant("tinygan", "tinygan", keep_memory=True)
TINYGAN_FRESH = Contestant("tinygan, memory given back", "tinygan")
TINYGAN_IM2COL = Contestant("tinygan, im2col", "tinygan", {"algorithm": "im2col"}, True)
TINYGAN_NAIVE = Contestant("tinygan, loops", "tinygan", {"algorithm": "naive"}, True)
TORCH = Contestant("PyTorch", "torch")
TORCH_KEEPS = Contestant("PyTorch, memory kept", "torch", keep_memory=True)
TORCH_CHANNELS_LAST = Contestant("PyTorch, channels_last", "torch", {"channels_last": True})
TORCH_CHANNELS_LAST_KEEPS = Contestant(
    "PyTorch, channels_last, memory kept", "torch", {"channels_last": True}, keep_memory=True
)
TORCH_COMPILE = Contestant("PyTorch, torch.compile", "torch", {"compile": True})
TORCH_BOTH = Contestant(
    "PyTorch, torch.compile and channels_last", "torch", {"compile": True, "channels_last": True}
)
ONNX = Contestant("ONNX Runtime", "onnxruntime", keep_memory=True)


def torch_modes(*wanted: Contestant) -> list[Contestant]:
    """Return the `wanted` ways of using PyTorch, none where it is missing."""
    return list(wanted) if find_spec("torch") is not None else []


def onnx_runtime() -> list[Contestant]:
    """Return ONNX Runtime, where it and the package that writes its models are installed."""
    return [ONNX] if find_spec("onnx") and find_spec("onnxruntime") else []


class Worker:
    """A contestant's process; a context manager that ends it."""

    def __init__(self, contestant: Contestant, backend: str = "numpy", threads: int = 0):
        self.contestant = contestant
        count = str(threads or len(os.sched_getaffinity(0)))
        environment = os.environ | {
            name: count for name in ("TINYGAN_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=environment,
        )
        self._send(
            {
                "library": contestant.library,
                "options": contestant.options,
                "backend": backend,
                "threads": threads,
                "keep_memory": contestant.keep_memory,
            }
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process.stdout.close()

    def _send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def ask(self, do: str, **order):
        """Give an order and return the answer; a RuntimeError says what went wrong over there."""
        try:
            self._send({"do": do, **order})
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"{self.contestant.name}: its process ended without an answer")
        message = json.loads(line)
        if "error" in message:
            raise RuntimeError(f"{self.contestant.name}: {message['error']}")
        return message["answer"]


def contest(
    task: dict,
    contestants: Sequence[Contestant],
    *,
    backend: str = "numpy",
    threads: int = 0,
    rounds: int = 7,
    warm_up: int = 2,
    at_least: float = 0.0,
) -> list[dict]:
    """Run one task for all contestants in turn, A, B, C, A, B, C, …, in fresh processes.

    Parameters
    ----------
    task : dict
        What to do, see `benchmarks.work_tinygan`.
    threads : int
        Cores that each contestant may use; 0 for all of this process's.
    rounds, warm_up : int
        Turns of each contestant, and runs before the first turn that do not count.
    at_least : float
        A turn repeats the task until so many seconds are full, and is its median.

    Returns
    -------
    list of dict
        In the contestants' order: ``name``, ``seconds`` (one a round), ``median``, ``least``,
        ``processor`` and ``processor_median`` likewise, and ``peak_bytes``; or ``name`` and
        ``error`` for one that could not do it.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(c, backend, threads)) for c in contestants]
        turns = [(worker, task) for worker in workers]
        return alternate(turns, rounds=rounds, warm_up=warm_up, at_least=at_least)


def alternate(turns, *, rounds=7, warm_up=2, at_least=0.0) -> list[dict]:
    """Do what `contest` does, for ``(worker, task)`` pairs whose workers are already there."""
    rows = [{"name": worker.contestant.name, "seconds": [], "processor": []} for worker, _ in turns]
    for (worker, task), row in zip(turns, rows, strict=True):
        try:
            row["warm_up_seconds"] = worker.ask("prepare", task=task, warm_up=warm_up)
        except RuntimeError as error:
            row["error"] = str(error)
    for _ in range(rounds):
        for (worker, _), row in zip(turns, rows, strict=True):
            if "error" in row:
                continue
            time.sleep(_PAUSE)
            try:
                turn = worker.ask("run", at_least=at_least)
                for clock in ("seconds", "processor"):
                    row[clock].append(statistics.median(turn[clock]))
            except RuntimeError as error:
                row["error"] = str(error)
    for (worker, _), row in zip(turns, rows, strict=True):
        if "error" not in row:
            row["median"] = statistics.median(row["seconds"])
            row["least"] = min(row["seconds"])
            row["processor_median"] = statistics.median(row["processor"])
            row["peak_bytes"] = worker.ask("peak")
    return rows
