"""Whatever a submission does: every test has its line, nothing is gained, and messages are plain.

A seeded sample of the attacks in one graded run; with ``TINYGAN_LONG=1`` all of them.
"""

import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest
from population import HEAD, HOSTILE, LATER, MUCH, NOISE, PLANTED

from tinygan.grading.family import LINUX, isolated

ROOT = Path(__file__).resolve().parents[2]
LONG = os.environ.get("TINYGAN_LONG") == "1"

TESTS = '''
import numpy as np
import pytest

IMPLEMENTATION = "NAME.py"
X = np.random.default_rng(0).standard_normal((2, 3))

@pytest.mark.points(2)
def test_forward(impl, outputcheck):
    """forward"""
    outputcheck(impl.relu(X.copy())[0], np.maximum(X, 0))

@pytest.mark.points(3)
def test_gradient(impl, gradcheck):
    """gradient"""
    gradcheck((impl.relu, impl.relu_backward), X, output=lambda x: np.maximum(x, 0))
'''

RIGHT = HEAD + (
    "def relu(x):\n    return np.maximum(x, 0), x\n\n\n"
    "def relu_backward(dy, x):\n    return dy * (x > 0)\n"
)
NOTHING = HEAD + "def relu(x):\n    return x, x\n\n\ndef relu_backward(dy, x):\n    return dy\n"
ONCE = RIGHT.replace(
    "    return np.max", "    C.append(1)\n    x = x * (len(C) < 2)\n    return np.max"
)
ONCE = ONCE.replace("np\n", "np\nC = []\n", 1).replace("dy * (x > 0)", "dy * 0")

NOT_ROOT = "import tinygan.grading.family\ntinygan.grading.family.isolated = lambda: False\n"


def attacks(rng):
    """Yield ``(name, text, highest score, whether exactly that)``."""
    for i, attack in enumerate(HOSTILE):
        yield f"import{i}", RIGHT.replace("np\n", f"np\n{attack}\n", 1), 5, False
        yield f"zero{i}", NOTHING.replace("np\n", f"np\n{attack}\n", 1), 0, True
        inside = "\n".join(f"    {line}" for line in attack.splitlines())
        text = RIGHT.replace("    return", f"{inside}\n    return", 1)
        yield f"forward{i}", text, 5, False
        at = text.rindex("    return")
        yield (
            f"backward{i}",
            f"{RIGHT[: RIGHT.rindex('    return')]}{inside}\n{text[at:]}",
            5,
            False,
        )
    for i, attack in enumerate(LATER):
        yield (
            f"later{i}",
            NOTHING.replace("    return", f"    if 1:\n    {attack}    return", 1),
            0,
            True,
        )
    for i, noise in enumerate(NOISE):
        yield f"noise{i}", RIGHT.replace("np\n", f"np\n{noise}\n", 1), 5, True
    for i in range(20):
        garbage = bytes(rng.randrange(256) for _ in range(rng.choice([1, 30, 3000])))
        yield f"garbage{i}", garbage, 0, True
        cut = rng.randrange(len(RIGHT))
        yield f"cut{i}", RIGHT[:cut] + chr(rng.randrange(1, 0x2000)) + RIGHT[cut + 1 :], 5, False


def graded(folder, files, *options, harmless=False):
    """Grade many files in one run; return what was printed, and the tests by file."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "handed").mkdir()
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        data = data.replace(b"RESULTS", str(folder / "results.json").encode())
        (folder / "handed" / f"{name}.py").write_bytes(data)
        (folder / f"test_{name}.py").write_text(TESTS.replace("NAME", name))
    (folder / "not_root.py").write_text(NOT_ROOT if harmless else "")
    command = [sys.executable, "-m", "pytest", "-p", "not_root", "-p", "tinygan.grading.plugin"]
    command += ["--tinygan-impl", "handed", "--gradescope-json", "results.json"]
    command += ["--tinygan-timeout", "4", "--tinygan-total", "6000", *options]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    finished = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, errors="replace"
    )
    printed = finished.stdout + finished.stderr
    results = json.loads((folder / "results.json").read_text())
    found = {}
    for test in results["tests"]:
        found.setdefault(test["name"].partition(": ")[0], []).append(test)
    return printed, found, results


@pytest.mark.skipif(not LINUX, reason="Landlock and other users are Linux's")
@pytest.mark.parametrize("harmless", [False, True], ids=["own user", "not isolated"])
@pytest.mark.timeout(36000)
def test_every_attack(tmp_path, harmless):
    if not harmless and not isolated():
        pytest.skip("another user can be had as root")
    drawn = list(attacks(random.Random(0)))
    if harmless:  # with the rights of whoever runs these tests
        drawn = [a for a in drawn if b"kill" not in str(a[1]).encode()]
    if not LONG:
        drawn = random.Random(1).sample(drawn, 10)
    files = {"right": RIGHT, **{name: text for name, text, *_ in drawn}, "last": RIGHT}
    printed, found, results = graded(tmp_path, files, harmless=harmless)
    assert "INTERNALERROR" not in printed
    assert found.keys() == files.keys()
    for name, _, most, exact in [("right", 0, 5, True), *drawn, ("last", 0, 5, True)]:
        tests = found[name]
        score = sum(test["score"] for test in tests)
        assert len(tests) == 2, name
        assert score == most if exact else score <= most, (name, files[name], tests)
        for test in tests:
            text = test["output"]
            assert test["score"] or text, (name, "no message")
            shown = text.partition("printed:")[0]
            assert not re.search(r"Traceback|assert |site-packages|/tmp/|Cause\(", shown), text
            assert len(text) < 30_000
    assert results.get("output", "").startswith("not isolated") == harmless


def test_what_is_right_once_only_is_not_right(tmp_path):
    """Differences are taken of the reference, not of what the submission says is its output."""
    _, found, _ = graded(tmp_path, {"once": ONCE})
    assert [test["score"] for test in found["once"]] == [2, 0], found


NAMED = "type('R', (), dict(causes=[type('C', (), dict(kind={!r}, tensor='x', text={}))()]))()"
LIES = [
    "1 / 0",
    "None",
    "type('R', (), dict(causes=[7, None]))()",
    "type('R', (), dict(causes=[]))()",
    NAMED.format("praise", "'5 of 5'"),
    NAMED.format("wrong mask", "'5\\0' * 9**5"),
    "__import__('os')._exit(0)",
    "__import__('time').sleep(99)",
]


def test_what_a_submission_says_of_its_own_mistakes_is_only_shown(tmp_path):
    lie = "import sys\nsys.modules['__main__'].check_gradients = lambda *a, **k: {}\n"
    wrong = RIGHT.replace("dy * (x > 0)", "dy * (dy > 0)")
    files = {f"lie{i}": lie.format(text) + wrong for i, text in enumerate(LIES)}
    printed, found, _ = graded(tmp_path, {**files, "last": RIGHT})
    assert "INTERNALERROR" not in printed
    for name in files:
        output, gradient = found[name]
        assert (output["score"], gradient["score"]) == (2, 0), (name, found[name])
        shown = gradient["output"]
        assert "WRONG x" in shown
        assert "praise" not in shown
        assert "\0" not in shown
        assert len(shown) < 2000
    assert [test["score"] for test in found["last"]] == [2, 3]


@pytest.mark.skipif(not isolated(), reason="another user can be had as root on Linux")
def test_nothing_planted_is_run_with_the_graders_rights(tmp_path):
    files = {"right": RIGHT}
    (tmp_path / "handed").mkdir()
    for name, text in PLANTED.items():
        path = tmp_path / "handed" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("/tmp/planted", str(tmp_path / "planted")))
    (tmp_path / "handed").rename(tmp_path / "planted-files")
    _, found, _ = graded(tmp_path, files)  # a control, without them
    assert sum(test["score"] for test in found["right"]) == 5
    os.rename(tmp_path / "planted-files", tmp_path / "again")
    (tmp_path / "again" / "right.py").write_text("import os\n" + RIGHT)
    command = [sys.executable, "-m", "pytest", "-p", "tinygan.grading.plugin", "test_right.py"]
    command += ["--tinygan-impl", "again", "--gradescope-json", "results.json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
    assert len(json.loads((tmp_path / "results.json").read_text())["tests"]) == 2
    assert not (tmp_path / "planted").exists()


def test_a_gigabyte_of_prints_costs_nothing(tmp_path):
    text = RIGHT.replace("np\n", f"np\n{MUCH if LONG else MUCH.replace('1024', '200')}\n", 1)
    _, found, _ = graded(tmp_path, {"much": text})
    assert [test["score"] for test in found["much"]] == [2, 3], found
