"""A full disk, a broken one, a quota, a short write and a kill at any system call that writes.

Whatever strikes, a command says one clear line, loses nothing, and gives the same files in the end.
With ``TINYGAN_LONG=1`` at every call of every command, or at ``TINYGAN_FAULTS`` of each; else at
some.
"""

import errno
import hashlib
import os
import pickle
import random
import re
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import faults
import numpy as np
import pytest
from kill_training import last_checkpoint
from PIL import Image
from safetensors import safe_open
from training import TINY

from tinygan.runs.folder import read_config

pytestmark = [
    pytest.mark.skipif(faults.COMPILER is None, reason="needs Linux and a C compiler"),
    pytest.mark.timeout(14400),
]

LONG = bool(os.environ.get("TINYGAN_LONG"))
EVERY = ["--sample-every", 2, "--checkpoint-every", 1, "--keep", 1]
DCGAN = ["train", "dcgan", *TINY, *EVERY]
CYCLEGAN = ["train", "cyclegan", "--dataset-size", 8, "--image-size", 16, "--width", 2, *EVERY]
CYCLEGAN += ["--discriminator-width", 2, "--residual-blocks", 1, "--pool-size", 3]
CYCLEGAN += ["--batch-size", 4, "--backend", "numpy"]
HERE = ["--backend", "numpy"]

ERRORS = {
    "full": (errno.ENOSPC, False),
    "stays full": (errno.ENOSPC, True),
    "quota": (errno.EDQUOT, False),
    "broken": (errno.EIO, False),
    "forbidden": (errno.EACCES, False),
    "read-only": (errno.EROFS, True),
    "short": (faults.SHORT, False),
    "kill": (faults.KILL, False),
}


@dataclass
class Series:
    """A command that writes below a folder, and how to go on with it after a fault.

    In `words` and `again`, OUT is that folder; calls are counted in the one around it.  `base` is
    copied there before, if it is given.
    """

    words: list
    again: list
    base: Path | None = None
    whole: dict = field(default_factory=dict)
    calls: int = 0
    ends: dict = field(default_factory=dict)  # what a fault left → what going on made of it


def tree(folder: Path) -> dict:
    """Return what every file below a folder holds, by name; None for folders."""
    found = {str(path.relative_to(folder)): held(path) for path in sorted(folder.rglob("*"))}
    return {n: content for n, content in found.items() if not n.endswith(".lock")}


def held(path: Path) -> object:
    """Return a file's bytes; of a checkpoint its arrays and its notes, whose order is any."""
    if path.is_dir():
        return None
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with safe_open(path, "numpy") as file:
        arrays = {name: file.get_tensor(name).tobytes() for name in sorted(file.keys())}
        return sorted(file.metadata().items()), arrays


def mark(found: dict) -> str:
    """Return a checksum of a `tree`; the names of unfinished files hold random letters."""
    named = [(re.sub("-[0-9a-f]{8}[.]part$", "", name), held) for name, held in found.items()]
    return hashlib.sha256(pickle.dumps(sorted(named, key=repr))).hexdigest()


@pytest.fixture(scope="module")
def room():
    """A folder in memory where there is such a place: nothing waits for a disk there."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tinygan-faults-", dir=memory) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def server(room):
    (room / "server").mkdir()
    server = faults.Server(room / "server")
    yield server
    server.close()


@pytest.fixture(scope="module")
def series(server, room):
    """All commands, each run once without a fault."""
    top = room / "whole"
    top.mkdir()

    def done(name: str, words: list, again: list, base: Path | None = None) -> Series:
        out = top / name / "run"
        out.parent.mkdir()
        if base is not None:
            shutil.copytree(base, out)
        one = Series(words, again, base)
        told = server.run(out.parent, filled(words, out))
        assert told.status == 0, told.err
        one.whole, one.calls = tree(out.parent), told.calls
        return one

    pictures = top / "pictures"
    pictures.mkdir()
    for i, name in enumerate(("a.png", "b.jpg", "c.bmp")):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / name)
    made = {}
    for name, words in (("dcgan", DCGAN), ("cyclegan", CYCLEGAN)):
        made[f"{name} train"] = done(name, [*words, "--steps", 3, "--out", "OUT"], [])
        half = top / f"{name}-half" / "run"
        half.parent.mkdir()
        assert server.run(half, filled([*words, "--steps", 2, "--out", half], half)).status == 0
        go_on = ["train", "--resume", "OUT", "--steps", 3]
        made[f"{name} resume"] = done(f"{name}-resume", go_on, go_on, half)
    runs = {name: top / name / "run" for name in ("dcgan", "cyclegan")}
    for name, run in runs.items():
        evaluate = ["evaluate", "OUT", "--count", 16, *HERE]
        made[f"{name} evaluate"] = done(f"{name}-evaluate", evaluate, evaluate, run)
    generate = ["generate", runs["dcgan"], "--count", 3, *HERE, "--out"]
    made["generate sheet"] = done("sheet", [*generate, "OUT/x.png"], ["--force"], pictures)
    made["generate folder"] = done("folder", [*generate, "OUT"], [])
    made["generate film"] = done(
        "film", [*generate, "OUT/x.webp", "--frames", 3], ["--force"], pictures
    )
    translate = ["translate", runs["cyclegan"], "--input", pictures, "--out", "OUT", *HERE]
    made["translate"] = done("translate", translate, ["--skip-existing"])
    draw = ["data", "draw", "bags", "--count", 2, "--test", 1, "--image-size", 16, "--out", "OUT"]
    made["data draw"] = done("draw", draw, [])
    split = ["data", "split", pictures, pictures, "--test", 1, 1, "--out", "OUT"]
    made["data split"] = done("split", split, [])
    made["coursework new"] = done("course", ["coursework", "new", "OUT"], [])
    if find_spec("onnx"):
        onnx = ["export", runs["dcgan"], "OUT/a.onnx"]
        made["export"] = done("export", onnx, ["--force"], pictures)
    demo = ["demo", runs["dcgan"], "--out", "OUT/a.html"]
    made["demo"] = done("demo", demo, ["--force"], pictures)
    study = ["study", runs["dcgan"], "--pairs", 2, "--practice", 0, "--out", "OUT/a.html"]
    made["study"] = done("study", [*study, *HERE], ["--force"], pictures)
    weights = ["convert", runs["cyclegan"], "OUT/g.pth"]
    made["convert to weights"] = done("weights", weights, ["--force"], pictures)
    made["convert to a run"] = done("converted", ["convert", top / "weights/run/g.pth", "OUT"], [])
    return made


def filled(words: list, out: Path) -> list:
    return [str(word).replace("OUT", str(out)) for word in words]


def some(calls: int, count: int, seed: int) -> list[int]:
    every = range(1, calls + 1)
    count = min(calls, int(os.environ.get("TINYGAN_FAULTS", calls if LONG else count)))
    return sorted(random.Random(seed).sample(every, count))


NAMES = [
    *(f"{system} {command}" for system in ("dcgan", "cyclegan") for command in ("train", "resume")),
    *("dcgan evaluate", "cyclegan evaluate", "generate sheet", "generate folder", "generate film"),
    *("translate", "data draw", "data split", "coursework new", "export", "demo"),
    *("study", "convert to weights", "convert to a run"),
]

EVERY_CASE = list(product(NAMES, ERRORS))
CASES = EVERY_CASE[:16:2] + [(name, list(ERRORS)[i % 8]) for i, name in enumerate(NAMES[1:])]


@pytest.mark.parametrize(("name", "fault"), EVERY_CASE if LONG else CASES)
def test_nothing_is_lost_and_the_files_are_the_same_in_the_end(name, fault, server, series, room):
    if name not in series:
        pytest.skip(f"{name}: onnx is not installed")
    one, (error, lasts) = series[name], ERRORS[fault]
    long = name.endswith(("train", "resume"))
    seen, out = Counter(), room / "tried" / "run"
    for call in some(one.calls, 1, f"{name} {fault}"):
        shutil.rmtree(out.parent, ignore_errors=True)  # of a test that failed
        out.parent.mkdir()
        if one.base is not None:
            shutil.copytree(one.base, out)
        done = server.run(out.parent, filled(one.words, out), call, error, lasts)
        where = f"{name}, {fault} at {call}: {done}"
        seen[done.status] += 1
        check_what_it_said(done, error, where)
        if error == faults.SHORT:
            assert done.status == 0, where
        if long:
            check_checkpoints(out, one)
        undrawn = {"run/report.html": "write report", "run/losses.png": "plot losses"}
        undrawn = [n for n, what in undrawn.items() if f"cannot {what}" in done.out + done.err]
        found = tree(out.parent)
        if done.status:
            left = mark(found)  # many faults leave the same, and the same goes on in the same way
            if left not in one.ends:
                again = server.run(out, filled(go_on(one, out), out))
                assert again.status == 0, (where, again)
                one.ends[left] = tree(out.parent)
            found = one.ends[left]
        if error == faults.KILL or lasts:  # nobody could remove what was not finished
            gone = not long  # the next session of training does
            found = {n: v for n, v in found.items() if not (gone and ".part" in n)}
        assert found.keys() == one.whole.keys(), (where, found.keys() ^ one.whole.keys())
        differ = [n for n, content in found.items() if content != one.whole[n] and n not in undrawn]
        assert differ == [], where
        shutil.rmtree(out.parent)
    tried, ends = sum(seen.values()), len(one.ends)
    print(f"{name}, {fault}: {one.calls} calls, tried {tried}, {dict(seen)}, {ends} states")


def check_what_it_said(done: faults.Done, error: int, where: str) -> None:
    assert "Traceback" not in done.err, where
    if error == faults.KILL:
        assert done.status == -9, where
        return
    assert done.status in (0, 1, 2), where
    if done.status:
        lines = [line for line in done.err.splitlines() if os.strerror(error) in line]
        assert lines, where


def check_checkpoints(run: Path, one: Series) -> None:
    """Every checkpoint that is there is whole, and none that was there before is lost."""
    last = last_checkpoint(run) if (run / "checkpoints").is_dir() else 0
    assert last >= (2 if one.base else 0)
    if (run / "config.json").exists():
        read_config(run)


def go_on(one: Series, out: Path) -> list:
    """Return what a user types after a fault."""
    if one.again and not str(one.again[0]).startswith("-"):
        return one.again
    if "train" in one.words and (out / "config.json").exists():
        return ["train", "--resume", "OUT"]
    return [*one.words, *one.again]
