"""What is measured: six sections, on a GPU two more; from `Options` to rows for a JSON file.

Each row is given as soon as it is measured, so that a section that is cut leaves what it has.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.contest import (
    ROOT,
    TINYGAN,
    TINYGAN_FRESH,
    TINYGAN_IM2COL,
    TINYGAN_NAIVE,
    TORCH,
    TORCH_BOTH,
    TORCH_CHANNELS_LAST,
    TORCH_CHANNELS_LAST_KEEPS,
    TORCH_COMPILE,
    TORCH_KEEPS,
    Contestant,
    Worker,
    alternate,
    contest,
    onnx_runtime,
    torch_modes,
)
from benchmarks.gpu import bandwidth, launches
from benchmarks.machine import cores, installed_bytes, tinygan_bytes
from benchmarks.shapes import cyclegan_shapes, dcgan_shapes


@dataclass(frozen=True)
class Options:
    """What the command was asked for."""

    backend: str = "numpy"
    quick: bool = False
    rounds: int = 5

    def systems(self) -> dict[str, dict]:
        """Return the whole steps by name: the papers' sizes, or small ones."""
        if self.quick:
            return {
                "DCGAN-64, batch 16": {"task": "dcgan_step", "image_size": 64, "batch": 16},
                "CycleGAN-64": {"task": "cyclegan_step", "image_size": 64},
            }
        return {
            "DCGAN-64, batch 128": {"task": "dcgan_step", "image_size": 64, "batch": 128},
            "CycleGAN-128": {"task": "cyclegan_step", "image_size": 128},
            "CycleGAN-256": {"task": "cyclegan_step", "image_size": 256},
        }


def layers(options: Options) -> Iterator[dict]:
    """The ladder: each convolution of both papers as loops, im2col, the fastest; and PyTorch.

    The loops run at full size, nothing extrapolated, but once and forward only.
    """
    if options.quick:
        shapes = [("DCGAN-64", s) for s in dcgan_shapes(16)[2:3]]
        shapes += [("CycleGAN-128", s) for s in cyclegan_shapes(128)[3:4]]
    else:
        shapes = [("DCGAN-64", s) for s in dcgan_shapes()]
        shapes += [("CycleGAN-128", s) for s in cyclegan_shapes(128)]
        wide = ("G residual", "D4")  # of 256 pixels, where most of the work is
        shapes += [("CycleGAN-256", s) for s in cyclegan_shapes(256) if s.name in wide]
    contestants = [TINYGAN, TINYGAN_IM2COL, *torch_modes(TORCH, TORCH_CHANNELS_LAST)]
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(c, options.backend)) for c in contestants]
        loops = None
        if options.backend == "numpy":  # a kernel for every product of three numbers: no GPU's work
            loops = stack.enter_context(Worker(TINYGAN_NAIVE))
        for system, shape in shapes:
            for backward in (False, True):
                task = shape.task() | {"backward": backward}
                del task["name"]
                results = alternate(
                    [(worker, task) for worker in workers],
                    rounds=options.rounds,
                    at_least=0.02 if options.quick else 0.05,
                )
                if loops and not backward:  # once, for it is slow
                    results += alternate([(loops, task)], rounds=1, warm_up=0)
                face = "forward and backward" if backward else "forward"
                yield (
                    {"system": system, "layer": shape.name, "shape": str(shape), "face": face}
                    | {"results": results}
                )


def steps(options: Options) -> Iterator[dict]:
    """Whole training steps, and the peak of memory of the processes that did nothing else."""
    for name, task in options.systems().items():
        contestants = _all_ways(options)
        if options.backend == "numpy" and not options.quick:
            contestants.insert(1, TINYGAN_FRESH)
        rounds = options.rounds
        if task.get("image_size") == 256:  # as long as all the others together
            rounds = min(3, rounds)
        results = contest(task, contestants, backend=options.backend, rounds=rounds)
        yield {"system": name, "results": results}


def inference(options: Options) -> Iterator[dict]:
    """Images a second of both generators."""
    sizes = [("DCGAN-64, batch 1", {"task": "dcgan_predict", "batch": 1})]
    sizes += [("DCGAN-64, batch 128", {"task": "dcgan_predict", "batch": 128})]
    sizes += [("CycleGAN-128, batch 1", {"task": "cyclegan_predict", "image_size": 128})]
    sizes += [("CycleGAN-256, batch 1", {"task": "cyclegan_predict", "image_size": 256})]
    others = onnx_runtime() if options.backend == "numpy" else []
    for name, task in sizes[:3] if options.quick else sizes:
        results = contest(
            task,
            _all_ways(options) + others,
            backend=options.backend,
            rounds=options.rounds,
            at_least=0.02 if options.quick else 0.2,
        )
        for result in results:
            if "median" in result:
                result["images_a_second"] = task.get("batch", 1) / result["median"]
        yield {"system": name, "results": results}


def cold(options: Options) -> Iterator[dict]:
    """Seconds from ``python`` to the end of the first training step; what is on the disk."""
    task = {"task": "dcgan_step", "image_size": 64, "batch": 8}
    results = []
    for contestant in (TINYGAN, *torch_modes(TORCH, TORCH_CHANNELS_LAST)):
        results.append({"name": contestant.name, "seconds": []})
    for turn in range(1 + (2 if options.quick else options.rounds)):
        for contestant, result in zip(
            (TINYGAN, *torch_modes(TORCH, TORCH_CHANNELS_LAST)), results, strict=True
        ):
            start = time.perf_counter()
            with Worker(contestant, options.backend) as worker:
                worker.ask("prepare", task=task, warm_up=1)
                seconds = time.perf_counter() - start
                result["peak_bytes"] = worker.ask("peak")
            if turn:  # the first one reads the files into the system's cache
                result["seconds"].append(seconds)
    for result in results:
        _finish(result)
    sizes = {
        "tinygan and its requirements": tinygan_bytes(ROOT),
        "of these NumPy": installed_bytes("numpy"),
        "PyTorch and its requirements": installed_bytes("torch"),
    }
    yield {"system": "DCGAN-64, batch 8", "results": results, "installed_bytes": sizes}


def scaling(options: Options) -> Iterator[dict]:
    """How the time of a step grows: threads, the size of the batch, the size of the image."""
    contestants = [TINYGAN, *torch_modes(TORCH, TORCH_CHANNELS_LAST)]
    rounds = 2 if options.quick else min(3, options.rounds)
    if options.backend == "numpy":
        for name, task in list(options.systems().items())[:2]:
            for worker_threads in [n for n in (1, 2, 4, 8) if n <= max(2, cores())]:
                results = contest(
                    task, contestants, threads=worker_threads, rounds=rounds, warm_up=1
                )
                yield (
                    {"along": "threads", "system": name, "value": worker_threads}
                    | {"results": results}
                )
    batches = (1, 4, 16) if options.quick else (1, 4, 16, 64, 128, 256)
    sizes = (32, 64) if options.quick else (32, 64, 128, 256)
    sweeps = [
        ("batch", "DCGAN-64", [{"task": "dcgan_step", "batch": n} for n in batches]),
        ("image_size", "CycleGAN", [{"task": "cyclegan_step", "image_size": n} for n in sizes]),
    ]
    for along, name, tasks in sweeps:
        with ExitStack() as stack:
            workers = [stack.enter_context(Worker(c, options.backend)) for c in contestants]
            for task in tasks:
                turns = [(worker, task) for worker in workers]
                results = alternate(turns, rounds=rounds, warm_up=1, at_least=0.1)
                row = {"along": along, "system": name, "value": task[along], "results": results}
                yield row


def limit(options: Options) -> Iterator[dict]:
    """The direct-convolution roofline: its multiply–adds at the speed of a large matrix product.

    On a GPU the bytes that our kernels move, at the speed of a copy, come on top.
    """
    product = {"task": "product", "size": 1024 if options.quick else 4096}
    for name, task in options.systems().items():
        with ExitStack() as stack:
            step, peak = (stack.enter_context(Worker(TINYGAN, options.backend)) for _ in range(2))
            results = alternate([(step, task), (peak, product)], rounds=options.rounds)
            multiply_adds = step.ask("count")
            moved = None
            if options.backend == "cupy":
                moved = {"bytes": step.ask("traffic"), "bandwidth": _copy_speed(peak, options)}
        flops = 2 * product["size"] ** 3 / results[1]["median"]
        seconds = 2 * multiply_adds / flops
        if moved:
            seconds += moved["bytes"] / moved["bandwidth"]
        yield (
            {
                "system": name,
                "multiply_adds": multiply_adds,
                "product_flops": flops,
                "roofline_seconds": seconds,
                "results": results[:1],
            }
            | (moved or {})
        )


SECTIONS = {
    "layers": layers,
    "steps": steps,
    "inference": inference,
    "cold": cold,
    "scaling": scaling,
    "limit": limit,
}
GPU_SECTIONS = {"bandwidth": bandwidth, "launches": launches}


def _copy_speed(worker, options) -> float:
    """Return the bytes a second of copying 134 MB, read and written, on the GPU."""
    task = {"task": "kernel", "name": "copy", "batch": 512, "size": 32, "channels": 64}
    (result,) = alternate([(worker, task)], rounds=options.rounds, at_least=0.02)
    return worker.ask("bytes") / result["median"]


def exponent(values: list[float], seconds: list[float]) -> float:
    """Return the slope of log(seconds) over log(values) between the two largest values.

    1 means that twice the work takes twice the time.

    Examples
    --------
    >>> exponent([1, 2, 4], [5.0, 6.0, 12.0])
    1.0
    """
    (a, b) = list(pairwise(sorted(zip(values, seconds, strict=True))))[-1]
    return math.log(b[1] / a[1]) / math.log(b[0] / a[0])


def _all_ways(options: Options) -> list[Contestant]:
    """Return tinygan and PyTorch in all its modes; quick: in those that need no compiling."""
    modes = [TORCH, TORCH_CHANNELS_LAST]
    if not options.quick:
        if options.backend == "numpy":
            modes += [TORCH_KEEPS, TORCH_CHANNELS_LAST_KEEPS]
        modes += [TORCH_COMPILE, TORCH_BOTH]
    return [TINYGAN, *torch_modes(*modes)]


def _finish(result):
    ordered = sorted(result["seconds"])
    result["median"] = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    result["least"] = ordered[0]
