"""Every file that is read, damaged at random: what cannot be used is one error line, soon.

2,000 mutations of each with ``TINYGAN_LONG=1`` (or ``TINYGAN_MUTATIONS`` of each), else a few.
Checkpoints and pictures have tests of their own kind: `test_checkpoint`, `test_data_fuzz`.
"""

import json
import os
import random
import resource
import shutil
import signal
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fuzz_pictures import damaged
from PIL import Image
from training import train

from tinygan.__main__ import main
from tinygan.data import ImageFolder
from tinygan.evaluate.__main__ import redraw
from tinygan.formats.torch_file import write_weights

COUNT = int(os.environ.get("TINYGAN_MUTATIONS", "0")) or (
    2000 if os.environ.get("TINYGAN_LONG") else 12
)
SECONDS = 60
MOST_MB = 500  # that all of them together may take, beside what was taken before
STRANGE = [None, True, -1, 0, 10**12, 10**400, 1e300, float("nan"), float("inf"), "", "x", "\0"]
STRANGE += ["../../x", "x" * 10_000, [], {}, [[]], {"a": {"b": 1}}, [1, 2, 3], "<script>", "\ud800"]
pytestmark = pytest.mark.timeout(14400)


@pytest.fixture(scope="module")
def top(tmp_path_factory, shared_run):
    folder = tmp_path_factory.mktemp("damaged")
    shutil.copytree(shared_run, folder / "run")
    pictures = folder / "pictures"
    pictures.mkdir()
    for i in range(16):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(pictures / f"{i}.png")
    assert main(["evaluate", str(folder / "run"), "--count", "16", "--backend", "numpy"]) == 0
    return folder


def names(run: Path) -> dict:
    return {p.name: p.read_bytes() for p in run.iterdir() if p.is_file() and p.name != ".lock"}


def resumed(top, path, target):
    """A run is looked at and gone on with, whatever stands in one of its files."""
    run = top / "copy"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(top / "run", run)
    shutil.copyfile(path, run / target)
    status = main(["train", "--resume", str(run), "--steps", "8"])
    redraw(run, ())
    out = str(top / "x.png")
    words = ["--count", "1", "--out", out, "--force", "--backend", "numpy"]
    return status, main(["generate", str(run), *words])


def one(*words):
    def read(top, path, target):
        return (main([word.replace("FILE", str(path)) for word in map(str, words)]),)

    return read


def specimens(top: Path) -> dict:
    """Return, by kind, a whole file's bytes, its name, and what reads it."""
    run = top / "run"
    made = {n: (run / n).read_bytes() for n in ("config.json", "metrics.jsonl", "watch.jsonl")}
    made["measures.json"] = (run / "measures.json").read_bytes()
    found = {name: (content, name, resumed) for name, content in made.items()}
    with zipfile.ZipFile(top / "a.zip", "w") as file:
        for picture in sorted((top / "pictures").iterdir())[:3]:
            file.write(picture, f"trainA/{picture.name}")
    out = top / "unpacked"
    found["archive"] = (
        (top / "a.zip").read_bytes(), "x.zip",
        one("data", "download", "apple2orange", "--archive", "FILE", "--out", out),
    )  # fmt: skip
    weights = {f"model.{i}.weight": np.ones((4, 3, 4, 4), np.float32) for i in (0, 2)}
    for suffix in (".pth", ".safetensors"):
        write_weights(top / f"w{suffix}", weights)
        content = (top / f"w{suffix}").read_bytes()
        found[suffix] = (content, f"x{suffix}", one("convert", "FILE", out))
    newest = sorted((run / "checkpoints").iterdir())[-1]
    words = ["train", "--init-from", "FILE", "--dataset-size", 40, "--batch-size", 8, "--steps", 1]
    found["--init-from"] = (
        newest.read_bytes(), "x.safetensors", one(*words, "--out", out, "--backend", "numpy")
    )  # fmt: skip
    found["--config"] = (
        b"width = 4\nimage-size = 16\nnoise-size = 8\ndataset-size = 40\nbatch-size = 8\n",
        "x.toml",
        one("train", "--config", "FILE", "--steps", 1, "--out", out, "--backend", "numpy"),
    )  # fmt: skip
    answers = {"format": "tinygan study answers 1", "run": "x", "seed": 0, "answers": []}
    found["answers"] = (json.dumps(answers).encode(), "x.json", one("study", "--score", "FILE"))
    cell = {
        "cell_type": "code",
        "source": ["import numpy as np\n", "def f(x):\n", "    return x, x\n"],
    }
    cell["source"] += ["def f_backward(dy, cache):\n", "    return dy\n"]
    notebook = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    found["notebook"] = (notebook.encode(), "x.ipynb", one("gradcheck", "FILE:f", "--like", "relu"))
    return found


KINDS = ["config.json", "metrics.jsonl", "watch.jsonl", "measures.json", "archive", ".pth"]
KINDS += [".safetensors", "--init-from", "--config", "answers", "notebook"]


def strange(content: bytes, rng: random.Random) -> bytes:
    """Put something else into the place of one value of a JSON text, or of one of its lines."""
    lines = content.decode().splitlines() if content.count(b"\n{") else [content.decode()]
    at = rng.randrange(len(lines))
    value = json.loads(lines[at])
    place = value
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = rng.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.7:
            place = place[key]
            continue
        if rng.random() < 0.2:
            del place[key]
        else:
            place[key] = rng.choice(STRANGE)
        break
    text = json.dumps(value)
    if rng.random() < 0.02:
        text = "[" * 100_000
    lines[at] = text
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def mutated(content: bytes, name: str, number: int) -> bytes:
    rng = random.Random(number)
    if name.endswith(("json", "jsonl", "ipynb")) and rng.random() < 0.6:
        return strange(content, rng)
    return damaged(content, content[::-1] or b"x", np.random.default_rng((number, 7)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_one_error_or_is_read(kind, top, tmp_path, capfd, monkeypatch):
    content, name, read = specimens(top)[kind]
    monkeypatch.setattr("tinygan.train.session.Session.train", lambda self, *_: self.total)

    def slow(number, frame):
        raise SystemExit("it took too long")

    usual = signal.signal(signal.SIGALRM, slow)
    path = tmp_path / name
    path.write_bytes(content)
    assert 0 in read(top, path, name) or kind in ("answers", ".pth", ".safetensors", "notebook")
    before, faults, seen = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [], {}
    try:
        for number in range(COUNT):
            path.write_bytes(mutated(content, name, number))
            shutil.rmtree(top / "unpacked", ignore_errors=True)
            capfd.readouterr()
            signal.alarm(SECONDS)
            try:
                statuses = read(top, path, name)
            except BaseException as error:
                statuses = ()
                faults.append((number, f"{type(error).__name__}: {error}"[:200]))
            signal.alarm(0)
            told = capfd.readouterr().err
            seen[statuses] = seen.get(statuses, 0) + 1
            if not all(status in (0, 1, 2) for status in statuses) or "Traceback" in told:
                faults.append((number, statuses, told[-300:]))
            lines = [line for line in told.splitlines() if "error:" in line]
            if statuses and statuses[0] == 2 and not lines and "not checkable" not in told:
                faults.append((number, statuses, told[:300]))
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, usual)
        shutil.rmtree(top / "unpacked", ignore_errors=True)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
    with capfd.disabled():
        print(f"{kind}: {COUNT} mutations, statuses {seen}, memory +{grown} MB")
    assert faults == []
    assert grown < MOST_MB


def test_a_damaged_cache_is_noticed(top, tmp_path, monkeypatch):
    """The pictures that are trained on are those of the folder, whatever the cache holds."""
    monkeypatch.setenv("TINYGAN_CACHE", str(tmp_path / "cache"))
    right = ImageFolder(top / "pictures", 16).images.copy()
    files = sorted(p for p in (tmp_path / "cache").rglob("*") if p.is_file())
    whole = {p: p.read_bytes() for p in files}
    assert whole
    [array] = [path for path in files if path.suffix == ".npy"]
    cut = whole[array].index(b"'fortran_order")
    array.write_bytes(whole[array][:cut] + b"(".ljust(127 - cut) + b"\n" + whole[array][128:])
    assert np.array_equal(ImageFolder(top / "pictures", 16).images, right)  # tokenize.TokenError
    for number in range(COUNT):
        path = files[number % len(files)]
        if whole[path]:
            rng = np.random.default_rng((number, 11))
            path.write_bytes(damaged(whole[path], whole[path], rng))
        found = ImageFolder(top / "pictures", 16).images
        assert np.array_equal(found, right), number
        for other, content in whole.items():
            other.write_bytes(content)


def test_a_run_whose_files_are_damaged_is_not_touched(top, tmp_path):
    """What is refused is left as it was."""
    run = tmp_path / "run"
    shutil.copytree(top / "run", run)
    (run / "config.json").write_text('{"format": "tinygan run 1", "options": 3}')
    before = names(run)
    assert train("--resume", run, tiny=False) == 2
    assert names(run) == before
