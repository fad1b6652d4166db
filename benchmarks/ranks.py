"""What more ranks bring: measured on this machine, and by a model on others.

    python -m benchmarks.ranks measure            # one process × all cores against ranks × 1 thread
    python -m benchmarks.ranks model              # where scaling ends, on three kinds of network

The measurement needs ``mpiexec`` and mpi4py.  The two ways take turns, so that other work on the
machine meets both.

The model has three terms for a step of N ranks with at most r rows each:

    seconds = a + b r  +  n · 2 ⌈log₂ N⌉ · latency  +  2 (N − 1) / N · bytes / bandwidth

a and b are measured here, on one core (a is what does not shrink with the batch: transforms of
weights, Adam); n, the exchanges of a step, and their bytes are counted, on two ranks in one
process.  It assumes equal machines of ``--cores`` such cores that lose nothing among themselves, an
all-reduce in a ring, a full-duplex network that nobody else uses, nothing that overlaps, and
pictures that are read as fast as they are needed.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.hosts import hosts
from benchmarks.machine import describe, in_words
from tinygan.distributed import joined, on_threads
from tinygan.machine import parallel
from tinygan.machine.allocator import keep_freed_memory
from tinygan.systems import find

COMMON = {"backend": "numpy", "epochs": None, "steps": 2, "dataset_size": 256}
PAPER = {"width": 64, "discriminator_width": 64, "discriminator_layers": 3}
NETWORKS = {
    "DCGAN-64": ("dcgan", {"dataset": "faces", "image_size": 64, "batch_size": 128, "width": 64}),
    "CycleGAN-128": (
        "cyclegan",
        {**PAPER, "image_size": 128, "residual_blocks": 6, "batch_size": 2},
    ),
    "CycleGAN-256": (
        "cyclegan",
        {**PAPER, "image_size": 256, "residual_blocks": 9, "batch_size": 16},
    ),
}
LINES = {  # seconds of latency, bytes a second
    "1 Gbit/s Ethernet": (50e-6, 0.117e9),
    "10 Gbit/s Ethernet": (20e-6, 1.17e9),
    "200 Gbit/s InfiniBand": (2e-6, 23e9),
}
RANKS = (2, 4, 8, 16, 32, 64, 128)


def flags(words: dict) -> list[str]:
    """Return options as a command line."""
    return [w for name, value in words.items() for w in (f"--{name.replace('_', '-')}", str(value))]


def measure(
    networks: list[str], ranks: int, steps: int, rounds: int, rate: str | None = None
) -> list[dict]:
    """Return, for each network, the seconds of a step of both ways, round by round.

    With a `rate` each rank has a host of its own, whose cable carries so much.
    """
    if rate is not None:
        with hosts(ranks, rate) as made:
            return _measured(networks, ranks, steps, rounds, made.launcher("mpiexec"))
    return _measured(networks, ranks, steps, rounds, ["mpiexec", "-n", str(ranks)])


def _measured(
    networks: list[str], ranks: int, steps: int, rounds: int, launcher: list[str]
) -> list[dict]:
    rows = []
    for name in networks:
        system, words = NETWORKS[name]
        words = {**words, "backend": "numpy", "dataset_size": 256, "steps": steps}
        words |= {"sample_every": 10**6, "checkpoint_every": 10**6, "threads": 1}
        several = [*launcher, sys.executable]
        found: dict[str, list] = {"one": [], "ranks": [], "share": [], "bytes": []}
        for _ in range(rounds):
            alone = _run([sys.executable], system, words | {"threads": ranks})
            *together, said = _run(several, system, words, "--distributed")
            found["one"].append(alone[:2])
            found["ranks"].append(together)
            [line] = [line for line in said.splitlines() if "in exchanges" in line]
            found["share"].append(float(line.split("%")[0]))
            found["bytes"].append(line.split(", ")[1].removesuffix(" a step from each"))
        rows.append({"network": name, "batch": words["batch_size"], "ranks": ranks, **found})
    return rows


def _run(first: list[str], system: str, words: dict, *more: str) -> tuple[float, float, str]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [*first, "-m", "tinygan.train", system, *flags(words), *more, "--out", str(out)]
        before = _spent()
        done = subprocess.run(command, capture_output=True, text=True)
        cpu = _spent() - before
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}: {done.stderr}")
        lines = (out / "metrics.jsonl").read_text().splitlines()
    return statistics.median([json.loads(line)["seconds"] for line in lines[1:]]), cpu, done.stdout


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def traffic(name: str) -> tuple[int, int]:
    """Return the exchanges of a step and the bytes that a rank puts into them.

    A CycleGAN's are counted on small pictures: only what its pools gather, far less than the
    gradients, depends on them.
    """
    system, words = NETWORKS[name]
    words = words | ({"image_size": 32} if system == "cyclegan" else {})
    cls = find(system)

    def count(ranks):
        one = cls(cls.Options(**{**COMMON, **words, "batch_size": 2, "dataset_size": 4}))
        one.start()
        calls, gather = [], ranks.gather

        def counted(array):  # between threads a sum is a gather, too
            calls.append(array.nbytes)
            return gather(array)

        ranks.gather = counted
        with joined(ranks), closing(one.batches(0)) as batches:
            one.train(next(batches), 0)
        return len(calls), sum(calls)

    return on_threads(2, count, timeout=600)[0]


def cost(name: str, cores: int) -> tuple[float, float]:
    """Return a and b: the seconds of a step of r rows are a + b r, from two batches.

    They are processor seconds of one thread, which other work on the machine disturbs least.
    """
    system, words = NETWORKS[name]
    cls, seconds = find(system), []
    few, many, steps = (8, 40, 4) if system == "dcgan" else (1, 2, 2)
    for batch in (few, many):
        one = cls(cls.Options(**{**COMMON, **words, "batch_size": batch, "dataset_size": many}))
        one.start()
        with closing(one.batches(0)) as batches:
            taken = []
            for step in range(steps):
                x = next(batches)
                began = time.process_time()
                one.train(x, step)
                taken.append(time.process_time() - began)
        seconds.append(statistics.median(taken[1:]) / cores)
    b = (seconds[1] - seconds[0]) / (many - few)
    return max(0.0, seconds[0] - b * few), b


def step_seconds(ranks: int, batch: int, a: float, b: float, n: int, size: float, line) -> float:
    """Return the model's seconds of a step."""
    latency, bandwidth = line
    seconds = a + b * math.ceil(batch / ranks)
    if ranks > 1:
        seconds += n * 2 * math.ceil(math.log2(ranks)) * latency
        seconds += 2 * (ranks - 1) / ranks * size / bandwidth
    return seconds


def model(names: list[str], cores: int) -> str:
    """Return the tables of the model."""
    text = []
    for name in names:
        batch = NETWORKS[name][1]["batch_size"]
        (a, b), (n, size) = cost(name, cores), traffic(name)
        text.append(
            f"\n{name}, batch {batch}: a = {a:.3f} s, b = {b:.4f} s a row ({cores} cores a "
            f"rank), {n} exchanges and {size / 1e6:.1f} MB a step\n"
        )
        counts = [count for count in RANKS if count <= batch]
        text.append(
            "| speed-up with | " + " | ".join(f"{c} ranks" for c in counts) + " | ends at |"
        )
        text.append("|---|" + "---:|" * (len(counts) + 1))
        one = step_seconds(1, batch, a, b, n, size, (0, 1))
        for line, numbers in {"a network without cost": (0.0, math.inf), **LINES}.items():
            ups = [one / step_seconds(c, batch, a, b, n, size, numbers) for c in counts]
            ends = [c for c, up in zip(counts, ups, strict=True) if up < c / 2]
            cells = " | ".join(f"{up:.1f}" for up in ups)
            text.append(f"| {line} | {cells} | {ends[0] if ends else 'not yet'} |")
    text.append("\n*Ends at*: the first number of ranks of which more than half is lost.")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["measure", "model"])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=None)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument(
        "--rate", help="give each rank a host of its own, with a cable of this speed: 1gbit (root)"
    )
    parser.add_argument("--cores", type=int, default=16, help="of each rank, in the model")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    about, began = describe("numpy"), time.perf_counter()
    about["command"] = "python -m benchmarks.ranks " + " ".join(sys.argv[1:])
    if options.what == "model":
        parallel.set_num_threads(1)
        keep_freed_memory()
        print(model(options.networks or ["DCGAN-64", "CycleGAN-256"], options.cores))
    else:
        names = options.networks or ["DCGAN-64", "CycleGAN-128"]
        n = options.ranks
        print(
            f"| network | one process, {n} threads | {n} ranks, 1 thread | ratio | "
            "processors, in all | exchanges | a step |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|")
        for row in measure(names, n, options.steps, options.rounds, options.rate):
            (one, cpu), (several, cpus) = (
                [statistics.median(values) for values in zip(*row[way], strict=True)]
                for way in ("one", "ranks")
            )
            share = statistics.median(row["share"])
            print(
                f"| {row['network']}, batch {row['batch']} | {one:.2f} s | {several:.2f} s | "
                f"{one / several:.2f} | {cpu:.0f} s, {cpus:.0f} s | {share:.0f} % | "
                f"{row['bytes'][0]} |"
            )
    print(f"\n{in_words(about)} {time.perf_counter() - began:.0f} s in all.")


if __name__ == "__main__":
    main()
