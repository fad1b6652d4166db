"""One contestant in a process of its own, told by lines of JSON what to run.

A process of its own keeps contestants honest: neither's threads, memory allocator or imports touch
the other's, and the peak of the process's memory is the contestant's alone.

The first line that comes in is the configuration; each further one is an order: ``prepare`` a task
(warm-up included), ``run`` it, ``count`` its multiply–adds or its kernels' ``traffic`` (tinygan
only), tell the ``bytes`` that a single kernel moves, ``profile`` a task kernel by kernel (a GPU's
only), tell the ``peak`` of memory, or ``quit``.  Every order is answered by one line.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from pathlib import Path

from benchmarks.gpu import profile


def main() -> None:
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print must not get between the answers
    config = json.loads(sys.stdin.readline())
    if config["threads"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: config["threads"]])
    if config["keep_memory"]:
        # by its path, so that PyTorch's process does not import tinygan
        path = Path(__file__).resolve().parent.parent / "tinygan" / "machine" / "allocator.py"
        runpy.run_path(str(path))["keep_freed_memory"]()
    contestant, job = None, None
    for line in sys.stdin:
        order = json.loads(line)
        try:
            if order["do"] == "quit":
                return
            if order["do"] == "prepare":
                if contestant is None:
                    contestant = _contestant(config)
                job = None  # first let go of the last one's memory
                job = contestant.prepare(order["task"])
                answer = [_timed(job, config["backend"]) for _ in range(order["warm_up"])]
            elif order["do"] == "run":
                answer = _run(job, config["backend"], order["at_least"])
            elif order["do"] == "count":
                answer = contestant.count(job)
            elif order["do"] == "traffic":
                answer = contestant.traffic(job)
            elif order["do"] == "bytes":
                answer = job.bytes
            elif order["do"] == "profile":
                answer = profile(job)
            elif order["do"] == "peak":
                answer = _peak_bytes(config["backend"])
            else:
                raise ValueError(f"unknown order {order}")
        except Exception as error:
            print(json.dumps({"error": f"{type(error).__name__}: {error}"}), file=channel)
        else:
            print(json.dumps({"answer": answer}), file=channel)


def _contestant(config):
    if config["library"] == "tinygan":
        from benchmarks.work_tinygan import Tinygan

        return Tinygan(config["backend"], config["threads"], **config["options"])
    if config["library"] == "onnxruntime":
        from benchmarks.work_onnx import Onnx

        return Onnx(config["backend"], config["threads"])
    import torch

    torch.set_flush_denormal(True)  # before there are threads, which take it over
    from benchmarks.work_torch import Torch

    return Torch(config["backend"], config["threads"], **config["options"])


def _run(job, backend, at_least) -> dict[str, list[float]]:
    """Run the job once, then again until `at_least` seconds are full; the seconds of each.

    ``processor`` are those that this process's threads spent on the cores, all of them together:
    what other programs take from it does not count there.
    """
    turns = {"seconds": [], "processor": []}
    while not turns["seconds"] or sum(turns["seconds"]) < at_least:
        before = time.process_time()
        turns["seconds"].append(_timed(job, backend))
        turns["processor"].append(time.process_time() - before)
    return turns


def _timed(job, backend) -> float:
    """Run the job once; seconds by the wall clock or, on a GPU, between two of its events."""
    if backend == "numpy":
        start = time.perf_counter()
        job()
        return time.perf_counter() - start
    if "torch" in sys.modules:
        import torch

        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        first.record()
        job()
        last.record()
        last.synchronize()
        return first.elapsed_time(last) / 1e3
    import cupy

    first, last = cupy.cuda.Event(), cupy.cuda.Event()
    first.record()
    job()
    last.record()
    last.synchronize()
    return cupy.cuda.get_elapsed_time(first, last) / 1e3


def _peak_bytes(backend) -> int | None:
    """The most memory this process has held at once: of the GPU, or of the host with all imports.

    On a GPU it is what the library has taken from the driver, used or kept for later.
    """
    if backend == "cupy":
        if "torch" in sys.modules:
            import torch

            return torch.cuda.max_memory_reserved()
        import cupy

        return cupy.get_default_memory_pool().total_bytes()
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("VmHWM"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


if __name__ == "__main__":
    main()
