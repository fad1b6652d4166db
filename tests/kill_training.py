"""Kill a training at random moments, resume it each time, and compare with one left in peace.

    python tests/kill_training.py --kills 60

The test suite does a few kills; this does as many as you like.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.numpy import load_file
from training import TINY, timeless

import tinygan
from tinygan.runs.checkpoint import checkpoint_paths
from tinygan.runs.header import read_checkpoint

STEPS, CHECKPOINT_EVERY = 120, 3
EVERY = ["--checkpoint-every", str(CHECKPOINT_EVERY), "--sample-every", "20"]


def command(system: list[str], *words) -> list[str]:
    return [sys.executable, "-m", "tinygan.train", *system, *map(str, words)]


def start(words: list[str]) -> subprocess.Popen:
    root = str(Path(tinygan.__file__).parents[1])
    return subprocess.Popen(
        words,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": root, "TINYGAN_NUM_THREADS": "1"},
    )


def finish(words: list[str]) -> None:
    """Run to the end."""
    process = start(words)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


def kill_and_resume(system, words, run: Path, kills: int, seed: int = 0) -> dict:
    """Train into `run`, killed at least `kills` times on the way, then left to finish.

    One kill in four comes early, while the process is still starting or has just started; the
    others some steps on, at any moment within a step, a checkpoint or a picture.  Returns how many
    kills there were and how many steps had to be taken again.
    """
    draw, redone = random.Random(seed), 0
    ahead = STEPS // kills - CHECKPOINT_EVERY - 1
    for _ in range(kills):
        begun = (run / "config.json").exists()
        place = ["--resume", run] if begun else [*words, "--out", run]
        goal = lines(run) + draw.randint(1, ahead)
        process = start(command(system, *place))
        if draw.random() < 0.25:
            time.sleep(draw.uniform(0.0, 1.2))
        else:
            while lines(run) < goal and process.poll() is None:
                time.sleep(0.002)
            time.sleep(draw.uniform(0.0, 0.03))
        assert process.poll() in (None, 0), process.stderr.read()
        process.kill()
        process.wait()
        process.stderr.close()
        redone += max(0, lines(run) - last_checkpoint(run))
    finish(command(system, "--resume", run))
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
    parser.add_argument("words", nargs="*", default=TINY, help="flags of the training, after --")
    options = parser.parse_args()
    system, words = [options.system], [*options.words, *EVERY, "--steps", str(STEPS)]
    folder = Path(tempfile.mkdtemp(prefix="tinygan-kill-"))
    kills = redone = rounds = 0
    try:
        finish(command(system, *words, "--out", folder / "reference"))
        while kills < options.kills:
            run = folder / f"killed-{rounds}"
            count = min(10, options.kills - kills)
            result = kill_and_resume(system, words, run, count, 1000 * options.seed + rounds)
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
