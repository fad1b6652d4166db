"""Submissions that nobody thinks of, through ``coursework grade`` and through the autograder.

A seeded sample, or with ``TINYGAN_LONG=1`` all of them, both ways.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import odd_submissions
import pytest
from odd_submissions import ODD

from tinygan.coursework import create
from tinygan.coursework.grade import grade
from tinygan.coursework.pages import class_page
from tinygan.grading import judged
from tinygan.grading.family import _bury, _processes, isolated
from tinygan.grading.forbidden import find_forbidden
from tinygan.loading import load

ROOT = Path(__file__).resolve().parents[2]
LONG = os.environ.get("TINYGAN_LONG") == "1"
ROOT_ONLY = pytest.mark.skipif(not isolated(), reason="another user can be had as root on Linux")
ALWAYS = ["left-imports", "h-frames", "main-guard", "nb-percent-string"]
"""In every sample: kinds that once were wrong."""


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    course = create(tmp_path_factory.mktemp("odd") / "course")
    for test in course.glob("*/tests/test_*.py"):
        if "_01_" not in test.name:
            test.unlink()
    return course


def drawn(count):
    others = [name for name in ODD if name not in ALWAYS]
    return list(ODD) if LONG else ALWAYS + random.Random(2).sample(others, count)


def unfair(name, results):
    due, score = ODD[name][1], results["score"]
    low, high = due if isinstance(due, tuple) else (due, due)
    whole = len(results["tests"]) == 3 and all(t["score"] or t["output"] for t in results["tests"])
    return not whole or not low <= score <= high


@ROOT_ONLY
@pytest.mark.timeout(36000)
def test_a_class_of_odd_submissions(course, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--tinygan-timeout 5")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    names = drawn(2)
    for name in names:
        (tmp_path / "class" / name).mkdir(parents=True)
        odd_submissions.write(name, tmp_path / "class" / name)
    found = grade(tmp_path / "class", course, tmp_path / "pages", tmp_path / "grades.csv")
    wrong = {r["name"]: (r["score"], r["tests"]) for r in found if unfair(r["name"], r)}
    assert not wrong, wrong
    assert len(found) == len(names)


@ROOT_ONLY
@pytest.mark.timeout(36000)
def test_the_autograder_on_odd_submissions(course, tmp_path):
    subprocess.run([sys.executable, course / "teacher" / "make_autograder.py"], check=True)
    shutil.unpack_archive(course / "teacher" / "autograder.zip", tmp_path / "source")
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AUTOGRADER_ROOT": str(tmp_path),
        "AUTOGRADER_PYTHON": sys.executable,
        "PYTEST_PLUGINS": "tinygan.grading.plugin",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "PYTEST_ADDOPTS": "--tinygan-timeout 5",
    }
    for name in drawn(0):
        for folder in ("submission", "results"):
            shutil.rmtree(tmp_path / folder, ignore_errors=True)
            (tmp_path / folder).mkdir()
        odd_submissions.write(name, tmp_path / "submission")
        script = ["bash", tmp_path / "source" / "run_autograder"]
        done = subprocess.run(script, env=environment, capture_output=True, text=True)
        results = json.loads((tmp_path / "results" / "results.json").read_text())
        assert not unfair(name, results), (name, results, done.stdout[-2000:], done.stderr[-2000:])


def numbers(text):
    space = {"np": np}
    exec(text, space)
    return space["norm"], space["norm_backward"]


NORM = """
def norm(x, g, b, eps=1e-5):
    x, g, b = (a.astype(np.float32) for a in (x, g, b))
    r = 1 / np.sqrt(x.var(0) + np.float32(eps))
    h = (x - x.mean(0)) * r
    return (h * g + b)CAST, (h, r, g)

def norm_backward(dy, cache):
    h, r, g = cache
    d = dy * g
    return (r * (d - d.mean(0) - h * (d * h).mean(0)))CAST, (dy * h).sum(0)CAST, dy.sum(0)CAST
"""


def right_norm(x, g, b):
    return g * (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) + b


@pytest.mark.parametrize("cast", ["", ".astype(np.float32)", ".astype(np.float64)"])
@pytest.mark.parametrize("seed", range(3))
def test_float32_is_no_mistake_and_hides_none(cast, seed):
    rng = np.random.default_rng(seed)
    given = rng.standard_normal((5, 3)), rng.uniform(0.5, 2, 3), rng.standard_normal(3)

    def compare(y, due):
        np.testing.assert_allclose(y, due, rtol=0, atol=1e-5)

    def checked(text):
        pair = judged.judged(numbers(text.replace("CAST", cast)), right_norm, given, compare)
        return judged.graded(pair, *given)

    report, note = checked(NORM)
    assert report.ok, report
    assert "nothing is deducted" in note
    for right, wrong in (
        ("d.mean(0) -", "0.999 * d.mean(0) -"),
        ("(r * (d", "(1.0002 * r * (d"),
        ("dy.sum(0)", "dy.mean(0)"),
        ("(dy * h).sum(0)", "(dy * h).sum(0)[::-1]"),
    ):
        assert right in NORM
        report, _ = checked(NORM.replace(right, wrong))
        assert not report.ok, wrong


FORWARD = "def relu(x):\n    return np.maximum(x, 0), x\n"


@pytest.mark.parametrize(
    ("text", "fair"),
    [
        (FORWARD + "def relu_backward(dy, x):\n    return dy * (x > 0)\n", True),
        ("def relu(x):\n    relu.x = x\n    return np.maximum(x, 0)\n"
         "def relu_backward(dy):\n    return dy * (relu.x > 0)\n", True),
        (FORWARD + "from tinygan import check_gradients\n"
         "def relu_backward(dy, x):\n    return dy * (x > 0)\n"
         "def test():\n    check_gradients((relu, relu_backward), np.ones(3))\n", True),
        (FORWARD + "def relu_backward(dy, x):\n    return dy * (x > 0)\n"
         "if __name__ == '__main__':\n    import torch\n", True),
        ("__name__ = '__main__'\nif __name__ == '__main__':\n    from tinygan import l1\n", False),
        ("globals().update(__name__='__main__')\n"
         "if __name__ == '__main__':\n    from tinygan import l1\n", False),
        ("if __name__ == '__main__':\n    pass\nelse:\n    from tinygan import ReLU\n", False),
    ],
)  # fmt: skip
def test_a_students_own_check_is_no_cheat(tmp_path, text, fair):
    (tmp_path / "relu.py").write_text("import numpy as np\nh = 1e-6\n" + text)
    found = find_forbidden(tmp_path / "relu.py")
    assert (found == []) == fair, found


def test_lines_that_only_look_like_magics_stay(tmp_path):
    cells = ['s = """\n%d of\n!all\n"""\na = (7\n% 4)', "%pylab\nb = 2"]
    cells = [{"cell_type": "code", "source": text} for text in cells]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    module = load(tmp_path / "a.ipynb")
    assert (module.s, module.a, module.b) == ("\n%d of\n!all\n", 3, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="orphans are adopted on Linux")
def test_orphans_that_ended_are_waited_for(tmp_path):
    from tinygan.grading.process import Student

    fork = "import os\nfor _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n"
    fork += "        if os.fork() == 0:\n            os._exit(0)\n        os._exit(0)\n"
    (tmp_path / "forks.py").write_text(fork)
    before = set(_processes(ended=True))
    student = Student(tmp_path / "forks.py", separate=False)
    assert student.ready(60) is None
    student.close()
    mine = {p for p, (_, parent, *_) in _processes(ended=True).items() if parent == os.getpid()}
    assert mine <= before
    assert _bury(()) <= before


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc")
def test_waiting_for_a_process_that_works_is_no_sleep(tmp_path):
    """A child that computes counts as processor time, however its parent waits for it."""
    from tinygan.grading.process import Stopped, Student

    text = "import os\np = os.fork()\nwhile p == 0: pass\nos.waitpid(p, 0)\n"
    (tmp_path / "waits.py").write_text(text)
    student = Student(tmp_path / "waits.py", separate=False)
    with pytest.raises(Stopped, match="of processor time"):
        student.ready(1)
    student.close()


@ROOT_ONLY
def test_whatever_students_and_their_files_are_called(course, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    names = ["<b>Ada & Bob</b>", "ä/.."[:1] * 120, "a\nb%20#?", os.fsdecode(b"\xff\xfe")]
    for name in names:
        (tmp_path / "class" / name).mkdir(parents=True)
        (tmp_path / "class" / name / "relu.py").write_text(odd_submissions.R)
    os.mkfifo(tmp_path / "class" / "pipe.py")
    with pytest.raises(ValueError, match="no such folder"):
        grade(tmp_path / "class", course, tmp_path / "pages", tmp_path / "no" / "grades.csv")
    found = grade(tmp_path / "class", course, tmp_path / "pages", tmp_path / "grades.csv")
    assert [student["score"] for student in found] == [4] * 4
    index = (tmp_path / "pages" / "index.html").read_text()
    assert "<b>Ada" not in index
    failed = {"name": "x", "page": "x.html", "score": 0, "tests": [], "output": "failed"}
    assert "<td class=z>0</td>" in class_page([*found, failed])  # and no full points
    assert "In 3 of 3 tests nobody lost a point." in index
    assert "ReLU: the output" not in index
    assert len(list((tmp_path / "pages" / "students").glob("*.html"))) == 4
    assert len((tmp_path / "grades.csv").read_text().splitlines()) >= 5


def test_an_environment_handed_in_with_it_is_left_out(tmp_path):
    """Thousands of installed files, in a folder and in a zip, before the file that counts."""
    from tinygan.grading.implementation import find_file, unpack

    files = {f".venv/lib/site-packages/m{i}.py": "x" for i in range(5100)}
    files |= {"hw/exercises/relu.py": odd_submissions.R, "hw/old/relu.py": "x", "a.ipynb": "{}"}
    (tmp_path / "zipped").mkdir()
    (tmp_path / "zipped" / "hw.zip").write_bytes(odd_submissions.z(files))
    for name, text in files.items():
        (tmp_path / "plain" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plain" / name).write_text(text)
    for given in ("zipped", "plain"):
        (tmp_path / f"{given} copy").mkdir()
        folder = unpack(tmp_path / given, tmp_path / f"{given} copy")
        assert find_file(folder, "exercises/relu.py").read_text() == odd_submissions.R


def test_a_link_to_a_folder_is_not_followed(tmp_path):
    from tinygan.grading.implementation import find_file

    (tmp_path / "teacher" / "exercises").mkdir(parents=True)
    (tmp_path / "teacher" / "exercises" / "relu.py").write_text("secret = 1")
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "exercises").symlink_to(tmp_path / "teacher" / "exercises")
    with pytest.raises(pytest.fail.Exception, match="is a link"):
        find_file(tmp_path / "given", "exercises/relu.py")


def test_a_notebooks_first_words_and_own_tests_are_read_as_in_a_file(tmp_path):
    from tinygan.grading.implementation import find_file, unpack

    cells = ['"""My layers."""\nfrom __future__ import annotations', odd_submissions.R]
    cells += ["if __name__ == '__main__':\n    import torch"]
    cells = [{"cell_type": "code", "source": text} for text in cells]
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "relu.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "copy").mkdir()
    path = find_file(unpack(tmp_path / "given", tmp_path / "copy"), "relu.py")
    assert load(path).relu is not None
    assert find_forbidden(path) == []


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_grading_of_a_class_that_is_stopped_ends_at_once(tmp_path):
    (tmp_path / "course" / "teacher" / "tests").mkdir(parents=True)
    test = "def test_it(): import time; open('begun', 'w').close(); time.sleep(600)\n"
    (tmp_path / "course" / "teacher" / "tests" / "test_it.py").write_text(test)
    (tmp_path / "class" / "ada").mkdir(parents=True)
    (tmp_path / "class" / "bob").mkdir()
    command = [sys.executable, "-m", "tinygan.coursework", "grade", "class", "--course", "course"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [*command, "--jobs", "1"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    ) as grading:
        end = time.monotonic() + 120
        while not (tmp_path / "begun").exists() and time.monotonic() < end:
            time.sleep(0.05)
        grading.terminate()
        assert grading.wait(120) == 128 + signal.SIGTERM
    assert not list((tmp_path / "pages").rglob("*.html"))
    assert not (tmp_path / "grades.csv").exists()


BROKEN = {
    "an open bracket": "def relu_backward(dy, cache):\n    return (dy * (cache > 0)",
    "words": "def relu_backward(dy, cache):\n    multiply with the mask",
    "an indent": "def relu_backward(dy, cache):\nreturn dy * (cache > 0)",
    "outside": "def relu_backward(dy, cache):\n    pass\nreturn 3",
    "an old print": "relu_backward = lambda dy, c: dy * (c > 0)\nprint 'done'",
    "a zero byte": "def relu_backward(dy, cache):\n    return '\0'",
    "nested": "def relu_backward(dy, cache):\n    return " + "(" * 300 + ")" * 300,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_cell_that_is_no_python_costs_what_it_defines(tmp_path, name):
    forward, _, backward = odd_submissions.R.rpartition("\n\n\n")
    cells = ["import numpy as np", forward, BROKEN[name], "z = relu(np.ones(1))"]
    (tmp_path / "a.ipynb").write_text(
        json.dumps({"cells": [{"cell_type": "code", "source": text} for text in cells]})
    )
    module = load(tmp_path / "a.ipynb")
    assert module.z[0] == 1
    with pytest.raises(SyntaxError, match="code cell 3, "):
        module.relu_backward(np.ones(1), np.ones(1))
    for place in (2, 4):  # defined rightly in an earlier cell, or a later one
        more = [*cells[:place], "from __future__ import annotations\n" + backward, *cells[place:]]
        (tmp_path / "a.ipynb").write_text(
            json.dumps({"cells": [{"cell_type": "code", "source": text} for text in more]})
        )
        assert load(tmp_path / "a.ipynb").relu_backward(2.0, 1.0) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="submissions run in a process of their own")
def test_the_message_names_the_cell(course, tmp_path):
    forward, _, backward = odd_submissions.R.rpartition("\n\n\n")
    (tmp_path / "class" / "ada").mkdir(parents=True)
    (tmp_path / "class" / "ada" / "relu.ipynb").write_text(
        odd_submissions.nb(forward, "%pylab", "plot(", "import math\n" + backward[:-2])
    )
    (found,) = grade(tmp_path / "class", course, tmp_path / "pages", tmp_path / "grades.csv")
    assert [test["score"] for test in found["tests"]] == [1, 0, 0]
    assert "code cell 4, line 3: '(' was never closed" in found["tests"][1]["output"]
