"""Kill a training at random moments, resume it each time, and compare with one left in peace.

    python tests/kill_training.py --kills 60

The test suite does a few kills; this does as many as you like.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil
from safetensors.numpy import load_file
from training import TINY, timeless

import tinygan
from tinygan.runs.checkpoint import checkpoint_paths
from tinygan.runs.header import read_checkpoint

STEPS, CHECKPOINT_EVERY = 120, 3
EVERY = ["--checkpoint-every", str(CHECKPOINT_EVERY), "--sample-every", "20"]


def command(system: list[str], *words) -> list[str]:
    return [sys.executable, "-m", "tinygan.train", *system, *map(str, words)]


def start(words: list[str], ranks: int = 1) -> subprocess.Popen:
    first, env = launcher(ranks) if ranks > 1 else ([], environment())
    return subprocess.Popen(
        [*first, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=env
    )


def environment() -> dict[str, str]:
    root = str(Path(tinygan.__file__).parents[1])
    return {**os.environ, "PYTHONPATH": root, "TINYGAN_NUM_THREADS": "1"}


def launcher(ranks: int) -> tuple[list[str], dict[str, str]] | None:
    """Return the words before a command that start it on `ranks` ranks, and its environment.

    None where there is no mpiexec or no mpi4py.  ``MPIEXEC`` names one that is not on the path.
    """
    beside = [str(Path(place) / "bin" / "mpiexec") for place in (sys.prefix, sys.base_prefix)]
    beside += [str(Path(place).parents[2] / "bin" / "mpiexec") for place in site_folders()]
    named = [os.environ.get("MPIEXEC"), shutil.which("mpiexec"), *beside]
    found = next((name for name in named if name and shutil.which(name)), None)
    if found is None or importlib.util.find_spec("mpi4py") is None:
        return None
    env = environment()
    libraries = str(Path(found).resolve().parents[1] / "lib")  # of a wheel: nobody else knows it
    env["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, (libraries, env.get("LD_LIBRARY_PATH"))))
    many = (
        ["--oversubscribe"] if "open" in version_of(found).lower() else []
    )  # Open MPI counts cores
    return [found, *many, "-n", str(ranks)], env


def site_folders() -> list[str]:
    return [place for place in sys.path if place.endswith("site-packages")]


@cache
def version_of(mpiexec: str) -> str:
    done = subprocess.run([mpiexec, "--version"], capture_output=True, text=True)
    return done.stdout.splitlines()[0] if done.stdout else ""


def kill(process: subprocess.Popen, ranks: int, draw: random.Random) -> None:
    """Kill the process; of several ranks one, and wait until its launcher has ended the others."""
    if ranks > 1:
        children = psutil.Process(process.pid).children(recursive=True)
        pythons = [child for child in children if "tinygan.train" in " ".join(child.cmdline())]
        if pythons:
            draw.choice(pythons).kill()
            process.wait(timeout=60)
            return
    process.kill()
    process.wait()


def finish(words: list[str], ranks: int = 1) -> None:
    """Run to the end."""
    process = start(words, ranks)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def kill_and_resume(system, words, run: Path, kills: int, seed: int = 0, ranks: int = 1) -> dict:
    """Train into `run`, killed at least `kills` times on the way, then left to finish.

    One kill in four comes early, while the process is still starting or has just started; the
    others some steps on, at any moment within a step, a checkpoint or a picture.  Returns how many
    kills there were and how many steps had to be taken again.
    """
    draw, redone = random.Random(seed), 0
    ahead = STEPS // kills - CHECKPOINT_EVERY - 1
    again = ["--distributed"] if ranks > 1 else []
    for _ in range(kills):
        begun = (run / "config.json").exists()
        place = ["--resume", run, *again] if begun else [*words, "--out", run]
        goal = lines(run) + draw.randint(1, ahead)
        process = start(command(system, *place), ranks)
        if draw.random() < 0.25:
            time.sleep(draw.uniform(0.0, 1.2))
        else:
            while lines(run) < goal and process.poll() is None:
                time.sleep(0.002)
            time.sleep(draw.uniform(0.0, 0.03))
        assert process.poll() in (None, 0), process.stderr.read()
        with suppress(psutil.NoSuchProcess):
            kill(process, ranks, draw)
        process.stderr.close()
        redone += max(0, lines(run) - last_checkpoint(run))
    finish(command(system, "--resume", run, *again), ranks)
    return {"kills": kills, "steps taken again": redone}


def lines(run: Path) -> int:
    metrics = run / "metrics.jsonl"
    return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def last_checkpoint(run: Path) -> int:
    """Return the step of the newest checkpoint; every checkpoint there must be whole."""
    found = checkpoint_paths(run / "checkpoints")
    for step, path in found:
        assert read_checkpoint(path).step == step
        load_file(path)
    return found[0][0] if found else 0


def assert_same(a: Path, b: Path) -> None:
    """Assert that two runs are the same bit for bit, but for the times in their metrics."""
    assert timeless(a) == timeless(b)
    for folder in ("samples", "checkpoints"):
        names = sorted(p.name for p in (a / folder).iterdir())
        others = sorted(p.name for p in (b / folder).iterdir())
        assert names == others, (names, others)
        for name in names:
            if folder == "samples":
                assert (a / folder / name).read_bytes() == (b / folder / name).read_bytes()
                continue
            one, other = load_file(a / folder / name), load_file(b / folder / name)
            assert one.keys() == other.keys()
            for key in one:
                assert one[key].tobytes() == other[key].tobytes(), f"{name}: {key}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--system", default="dcgan")
    parser.add_argument("--ranks", type=int, default=1, help="kill one of so many, under mpiexec")
    parser.add_argument("words", nargs="*", default=TINY, help="flags of the training, after --")
    options = parser.parse_args()
    system, words = [options.system], [*options.words, *EVERY, "--steps", str(STEPS)]
    words += ["--distributed"] if options.ranks > 1 else []
    folder = Path(tempfile.mkdtemp(prefix="tinygan-kill-"))
    kills = redone = rounds = 0
    try:
        finish(command(system, *words, "--out", folder / "reference"), options.ranks)
        while kills < options.kills:
            run = folder / f"killed-{rounds}"
            count = min(10, options.kills - kills)
            seed = 1000 * options.seed + rounds
            result = kill_and_resume(system, words, run, count, seed, options.ranks)
            assert_same(folder / "reference", run)
            kills += result["kills"]
            redone += result["steps taken again"]
            rounds += 1
            print(f"round {rounds}: {result}; the run is as if it was never killed", flush=True)
        print(f"{kills} kills in {rounds} runs of {STEPS} steps, all survived; {redone} steps lost")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
