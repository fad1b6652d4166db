"""A class of submissions through the packaged autograder: nobody is wronged, nobody gains.

``TINYGAN_LONG=1`` tries 208 of them, right ones five times over; else a seeded sample of a few.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from population import EXERCISES, HEAD, MUCH, Submission, plain, submissions

from tinygan.coursework import create
from tinygan.grading.process import isolated

ROOT = Path(__file__).resolve().parents[2]
LONG = os.environ.get("TINYGAN_LONG") == "1"
pytestmark = pytest.mark.skipif(not isolated(), reason="another user can be had as root on Linux")


@pytest.fixture(scope="module")
def autograder(tmp_path_factory):
    """Return the folder that the packed autograder was unpacked in, tests of all exercises."""
    folder = tmp_path_factory.mktemp("autograder")
    course = create(folder / "course")
    subprocess.run([sys.executable, course / "teacher" / "make_autograder.py"], check=True)
    shutil.unpack_archive(course / "teacher" / "autograder.zip", folder / "source")
    return folder


def grade(root, submission):
    """Grade in a folder of its own, with the tests of the submission's exercise."""
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(root.parent / "source", root / "source")
    for test in (root / "source" / "tests").glob("test_*.py"):
        if submission.exercise != test.stem[8:].removesuffix("_hidden"):
            test.unlink()
    (root / "submission").mkdir()
    for name, text in submission.files.items():
        path = root / "submission" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, str):
            text = text.replace("RESULTS", str(root / "results" / "results.json"))
            text = text.replace("TESTS", str(root / "source/tests/test_01_relu.py")).encode()
        path.write_bytes(text)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AUTOGRADER_ROOT": str(root),
        "AUTOGRADER_PYTHON": sys.executable,
        "PYTEST_PLUGINS": "tinygan.grading.plugin",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # what else this machine has, for speed
        "PYTEST_ADDOPTS": "--tinygan-timeout 5",
    }
    before = snapshot(root)
    command = ["bash", root / "source" / "run_autograder"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    results = json.loads((root / "results" / "results.json").read_text())
    changed = [
        str(p) for p in before.keys() | snapshot(root) if before.get(p) != snapshot(root).get(p)
    ]
    return results, finished, [p for p in changed if not p.endswith("results.json")]


def snapshot(*folders):
    """Return the size and the time of everything that a submission could have changed."""
    return {p: (p.stat().st_size, p.stat().st_mtime_ns)
            for f in folders for p in f.rglob("*") if p.is_file()}  # fmt: skip


def left_behind():
    """Return what submissions left in the folders that anyone may write to."""
    return {
        str(path)
        for folder in ("/tmp", "/var/tmp", "/dev/shm")
        for path in Path(folder).glob("*")
        if not path.name.startswith("tinygan-student-")  # of other gradings that run now
        and (path.lstat().st_uid >= 1_000_000 or path.name == "planted")
    }


def lasting_strangers(seconds=60):
    """Return the processes of submissions that are still there after some seconds.

    A submission that another test is grading at the moment is gone by then; one left behind stays.
    """
    lasting, end = set(strangers()), time.monotonic() + seconds
    while lasting and time.monotonic() < end:
        time.sleep(0.5)
        lasting &= set(strangers())
    return sorted(lasting)


def strangers():
    """Return the processes of users that only submissions run as."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if entry.stat().st_uid >= 1_000_000:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                found += [entry.name] if state != "Z" else []
        except OSError:
            continue
    return found


@pytest.mark.timeout(36000)
def test_a_class_of_submissions(autograder, capsys):
    before, left = snapshot(ROOT / "tinygan"), left_behind()
    table, unfair = Counter(), []
    drawn = submissions(208 if LONG else 8, seed=0 if LONG else 1)
    much = HEAD + MUCH + plain("relu").removeprefix("import numpy as np")
    drawn.append(Submission("noisy", "relu", {"relu.py": much}, EXERCISES["relu"], True))
    repeated = [
        (i, submission)
        for repetition in range(5 if LONG else 1)
        for i, submission in enumerate(drawn)
        if repetition == 0 or submission.kind in ("right", "noisy")
    ]

    def one(job):
        number, (i, submission) = job
        results, finished, changed = grade(autograder / f"run{number}", submission)
        score = results["score"]
        fair = score == submission.score if submission.exact else score <= submission.score
        whole = (
            len(results["tests"]) >= 3 and "INTERNALERROR" not in finished.stdout + finished.stderr
        )
        shutil.rmtree(autograder / f"run{number}")
        kind = submission.kind
        table[kind, "runs"] += 1
        table[kind, "fair" if fair and whole else "unfair"] += 1
        table[kind, "changed files"] += len(changed)
        ended = re.findall(r"processes of submissions ended: (\d+)", finished.stdout)
        table[kind, "descendants ended"] += int(ended[0]) if ended else 0
        if LONG:
            with capsys.disabled():
                print(
                    number,
                    i,
                    kind,
                    submission.exercise,
                    score,
                    "of",
                    submission.score,
                    "fair" if fair and whole else "UNFAIR",
                    len(changed),
                    flush=True,
                )
        if not fair or not whole or changed:
            unfair.append(
                (
                    i,
                    kind,
                    submission.exercise,
                    score,
                    submission.score,
                    changed,
                    results,
                    submission.files,
                )
            )
            if LONG:
                with capsys.disabled():
                    print(
                        "UNFAIR",
                        unfair[-1],
                        finished.stdout[-3000:],
                        finished.stderr[-2000:],
                        flush=True,
                    )

    with ThreadPoolExecutor(int(os.environ.get("TINYGAN_JOBS", 2))) as pool:
        list(pool.map(one, enumerate(repeated)))
    for submission in drawn:
        table[submission.kind, "tried"] += 1
    with capsys.disabled():
        kinds = dict.fromkeys(s.kind for s in drawn)
        for kind in kinds:
            print(
                "\n",
                kind,
                {what: n for (k, what), n in table.items() if k == kind},
                end="",
                flush=True,
            )
    assert not unfair, unfair[0]
    assert not lasting_strangers()
    assert left_behind() <= left
    assert snapshot(ROOT / "tinygan") == before
