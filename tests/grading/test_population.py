"""A class of submissions through the packaged autograder: nobody is wronged, nobody gains.

``TINYGAN_LONG=1`` tries 200 of them, right ones five times over; else a seeded sample of a few.
"""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from population import FULL, TESTS, submissions

from tinygan.coursework import create
from tinygan.grading.process import isolated

ROOT = Path(__file__).resolve().parents[2]
LONG = os.environ.get("TINYGAN_LONG") == "1"
pytestmark = pytest.mark.skipif(not isolated(), reason="another user can be had as root on Linux")


@pytest.fixture(scope="module")
def autograder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("autograder")
    course = create(folder / "course")
    subprocess.run([sys.executable, course / "teacher" / "make_autograder.py"], check=True)
    shutil.unpack_archive(course / "teacher" / "autograder.zip", folder / "source")
    for test in (folder / "source" / "tests").glob("test_*.py"):
        if test.stem.removesuffix("_hidden") not in TESTS:
            test.unlink()
    return folder


def grade(root, submission):
    shutil.rmtree(root / "submission", ignore_errors=True)
    (root / "submission").mkdir()
    for name, text in submission.files.items():
        path = root / "submission" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            text.replace("RESULTS", str(root / "results" / "results.json")).replace(
                "TESTS", str(root / "source" / "tests" / "test_01_relu.py")
            )
        )
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AUTOGRADER_ROOT": str(root),
        "AUTOGRADER_PYTHON": sys.executable,
        "PYTEST_PLUGINS": "tinygan.grading.plugin",
        "PYTEST_ADDOPTS": "--tinygan-timeout 5",
    }
    command = ["bash", root / "source" / "run_autograder"]
    finished = subprocess.run(command, env=environment, capture_output=True, text=True)
    results = json.loads((root / "results" / "results.json").read_text())
    return results, finished


def snapshot(*folders):
    return {p: (p.stat().st_size, p.stat().st_mtime_ns) for f in folders for p in f.rglob("*.py")}


def strangers():
    """Return the processes of users that only submissions run as."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if 200_000 <= entry.stat().st_uid < 2_000_000:
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                found += [entry.name] if state != "Z" else []
        except OSError:
            continue
    return found


def test_a_class_of_submissions(autograder, capsys):
    before = snapshot(ROOT / "tinygan", autograder / "source")
    table, unfair = Counter(), []
    for i, submission in enumerate(submissions(200 if LONG else 8, seed=0 if LONG else 1)):
        for _ in range(5 if LONG and submission.kind in ("right", "noisy") else 1):
            results, finished = grade(autograder, submission)
            score = results["score"]
            fair = score == submission.score if submission.exact else score <= submission.score
            table[submission.kind, "fair" if fair else "unfair"] += 1
            if not fair or len(results["tests"]) != 12 or "INTERNALERROR" in finished.stdout:
                unfair.append((i, submission.kind, score, submission.score, results))
            assert not strangers(), (i, submission)
    with capsys.disabled():
        print("\n", dict(table))
    assert not unfair, unfair[0]
    assert snapshot(ROOT / "tinygan", autograder / "source") == before
    assert FULL == 22
