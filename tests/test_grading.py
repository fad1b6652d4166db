"""The pytest plugin: any submission, isolated, scored."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

TESTS = '''
"""Tests of relu."""
import numpy as np
import pytest

IMPLEMENTATION = "relu.py"
X = np.random.default_rng(0).standard_normal((2, 3))

@pytest.mark.points(2)
def test_forward(impl):
    """relu keeps what is positive"""
    y, _ = impl.relu(X)
    assert (y == np.maximum(X, 0)).all(), "y is not max(x, 0)"

@pytest.mark.points(3, visibility="hidden")
@pytest.mark.time_limit(2)
def test_gradient(impl, gradcheck):
    """the gradient of relu"""
    gradcheck((impl.relu, impl.relu_backward), X)

@pytest.mark.points(0.5)
def test_again(impl):
    """relu of a number"""
    assert impl.relu(np.array([3.0]))[0] == 3
'''

RIGHT = """
import numpy as np

def relu(x):
    return np.maximum(x, 0), x

def relu_backward(dy, x):
    return dy * (x > 0)
"""


def run(folder, *options, tests=TESTS, submission=RIGHT):
    (folder / "test_relu.py").write_text(tests)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "relu.py").write_text(submission)
    command = [sys.executable, "-m", "pytest", "-p", "tinygan.grading.plugin", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def scores(folder, *options, **files):
    finished = run(folder, "--gradescope-json", "results.json", *options, **files)
    results = json.loads((folder / "results.json").read_text())
    return finished, results, {test["name"]: test for test in results["tests"]}


def test_a_right_submission_gets_every_point(tmp_path):
    finished, results, tests = scores(tmp_path)
    assert finished.returncode == 0, finished.stdout
    assert results["score"] == 5.5
    assert results["execution_time"] > 0
    assert tests["relu: the gradient of relu"] == {
        "name": "relu: the gradient of relu",
        "score": 3,
        "max_score": 3,
        "status": "passed",
        "output": "",
        "visibility": "hidden",
    }
    assert {test["visibility"] for test in results["tests"]} == {"visible", "hidden"}


def test_a_wrong_gradient_costs_its_points_and_says_why(tmp_path):
    wrong = RIGHT.replace("x > 0", "dy > 0")
    finished, results, tests = scores(tmp_path, submission=wrong)
    assert finished.returncode == 1
    assert results["score"] == 2.5
    output = tests["relu: the gradient of relu"]["output"]
    assert "likely cause: wrong mask [x]: the mask is taken from dy" in output
    assert "test_relu.py" not in output  # the message is for a student, no trace of the tests


@pytest.mark.parametrize(
    ("backward", "says"),
    [
        ("while True: pass", "stopped after 2 seconds: is there an endless loop?"),
        ("import ctypes; ctypes.string_at(0)", "the program crashed (SIGSEGV)"),
        ("import os; os._exit(3)", "the program ended before the test did (exit status 3)"),
        ("return dy.nonsense", "AttributeError"),
        ("return undefined_name", "relu.py, line 8: return undefined_name"),
    ],
    ids=["endless loop", "crash", "exit", "attribute", "name"],
)
def test_what_one_test_breaks_costs_that_test_only(tmp_path, backward, says):
    broken = RIGHT.replace("return dy * (x > 0)", backward)
    _, results, tests = scores(tmp_path, submission=broken)
    assert results["score"] == 2.5
    assert says in tests["relu: the gradient of relu"]["output"]
    assert tests["relu: relu of a number"]["status"] == "passed"


@pytest.mark.parametrize(
    ("submission", "says"),
    [
        ("def relu(x:\n", "cannot be imported: SyntaxError"),
        ("import numpy as np\n", "relu.py does not define relu: was it renamed or deleted?"),
        ("raise SystemExit\n", "ends the program when imported"),
        ("import os; os._exit(0)\n", "the program ended before the test did (exit status 0)"),
    ],
)
def test_a_file_that_cannot_be_used_scores_nothing_and_says_why(tmp_path, submission, says):
    _, results, tests = scores(tmp_path, submission=submission)
    assert results["score"] == 0
    assert len(tests) == 3
    for test in tests.values():
        assert says in test["output"]


def test_the_same_tests_run_on_another_submission(tmp_path):
    other = tmp_path / "handed in" / "relu.py"
    other.parent.mkdir()
    other.write_text(RIGHT.replace("np.maximum(x, 0)", "np.abs(x)"))
    for given in (other, other.parent):
        _, results, tests = scores(tmp_path, "--tinygan-impl", str(given))
        assert tests["relu: relu keeps what is positive"]["output"].startswith("y is not max(x, 0)")
        assert results["score"] == 0.5
    _, results, tests = scores(tmp_path, "--tinygan-impl", "nowhere.py")
    assert results["score"] == 0
    assert "nowhere.py does not exist: hand it in" in next(iter(tests.values()))["output"]


def test_without_scores_it_is_plain_pytest(tmp_path):
    finished = run(tmp_path)
    assert finished.returncode == 0, finished.stdout
    assert "3 passed" in finished.stdout


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ("points(-1)", "points: expected a number of at least 0, got -1"),
        ("points(1, visibility='secret')", "visibility: expected one of visible, hidden"),
    ],
)
def test_a_wrong_marker_is_refused(tmp_path, mark, says):
    finished = run(tmp_path, tests=TESTS.replace("points(2)", mark))
    assert finished.returncode == 4
    assert says in finished.stdout + finished.stderr
