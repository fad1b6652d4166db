"""The pytest plugin: any submission, isolated, scored."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tinygan.grading import process
from tinygan.grading.family import _has, _processes
from tinygan.grading.forbidden import find_forbidden
from tinygan.grading.implementation import find_file
from tinygan.loading import load

ROOT = Path(__file__).resolve().parents[2]

HEAD = """
import numpy as np
import pytest

IMPLEMENTATION = "NAME.py"
X = np.random.default_rng(0).standard_normal((2, 3))
"""

TESTS = (
    HEAD
    + '''
@pytest.mark.points(2)
def test_forward(impl):
    """relu keeps what is positive"""
    y, _ = impl.relu(X)
    assert (y == np.maximum(X, 0)).all(), "y is not max(x, 0)"

@pytest.mark.points(3, visibility="hidden")
def test_gradient(impl, gradcheck):
    """the gradient of relu"""
    gradcheck((impl.relu, impl.relu_backward), X)
'''
)

BROKEN_TESTS = (
    HEAD
    + """
@pytest.mark.points(1)
@pytest.mark.time_limit(1)
@pytest.mark.parametrize("kind", ["mask", "loop", "crash", "leave", "slip", "gone", "fine"])
def test_backward(impl, gradcheck, kind):
    gradcheck((impl.relu, getattr(impl, "backward_" + kind)), X)

test_backward.__doc__ = None
"""
)

RIGHT = """
import numpy as np

def relu(x):
    return np.maximum(x, 0), x

def relu_backward(dy, x):
    return dy * (x > 0)
"""

BROKEN = (
    RIGHT
    + """
def backward_mask(dy, x):
    return dy * (dy > 0)

def backward_loop(dy, x):
    while True:
        pass

def backward_crash(dy, x):
    import os, signal
    os.kill(os.getpid(), signal.SIGSEGV)

def backward_leave(dy, x):
    import os
    os._exit(3)

def backward_slip(dy, x):
    return undefined_name

backward_fine = relu_backward
"""
)

SUBMISSIONS = {
    "right": RIGHT,
    "broken": BROKEN,
    "syntax": "def relu(x:\n",
    "gone": "import os; os._exit(0)\n",
}


def run(folder, *options):
    command = [sys.executable, "-m", "pytest", "-p", "tinygan.grading.plugin", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    if "-n" not in options:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def write_tests(folder, **modules):
    (folder / "pytest.ini").write_text("[pytest]\n")
    for name, text in modules.items():
        (folder / f"test_{name}.py").write_text(text.replace("NAME", name))


def scores(folder, *options):
    finished = run(folder, "--gradescope-json", "results.json", *options)
    return finished, json.loads((folder / "results.json").read_text())


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """One run over five exercises, each broken in another way."""
    folder = tmp_path_factory.mktemp("graded")
    one = TESTS.partition("@pytest.mark.points(3")[0]
    write_tests(folder, right=TESTS, broken=BROKEN_TESTS, syntax=TESTS, gone=one, missing=one)
    handed_in = folder / "handed in"
    handed_in.mkdir()
    for name, text in SUBMISSIONS.items():
        (handed_in / f"{name}.py").write_text(text)
    finished, results = scores(folder, "--tinygan-impl", "handed in")
    found = {}
    for test in results["tests"]:
        name, _, title = test["name"].partition(": ")
        found.setdefault(name, {})[title] = test
    return finished, results, found


def test_a_right_submission_gets_every_point(graded):
    _, _, found = graded
    assert list(found["right"].values()) == [
        {
            "name": "right: relu keeps what is positive",
            "score": 2,
            "max_score": 2,
            "status": "passed",
            "output": "",
            "visibility": "visible",
        },
        {
            "name": "right: the gradient of relu",
            "score": 3,
            "max_score": 3,
            "status": "passed",
            "output": "",
            "visibility": "hidden",
        },
    ]


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (
            "mask",
            "likely cause: wrong mask [x]: line 11, `dy`: the mask is taken from dy: x is due",
        ),
        ("loop", "stopped after 1 seconds of processor time: is there an endless loop?"),
        ("crash", "the program crashed (SIGSEGV)"),
        ("leave", "the program ended before the test did (exit status 3)"),
        ("slip", "NameError: name 'undefined_name' is not defined (broken.py, line"),
        ("gone", "broken.py does not define backward_gone: was it renamed or deleted?"),
    ],
)
def test_what_one_test_breaks_costs_that_test_only(graded, kind, says):
    _, _, found = graded
    test = found["broken"][f"test_backward[{kind}]"]
    assert (test["score"], test["status"]) == (0, "failed")
    assert says in test["output"]
    assert "test_broken.py" not in test["output"]  # a message for a student, not a trace
    assert found["broken"]["test_backward[fine]"]["score"] == 1


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("syntax", "syntax.py cannot be imported: SyntaxError"),
        ("gone", "the program ended before the test did (exit status 0)"),
        ("missing", "missing.py does not exist: hand it in"),
    ],
)
def test_a_file_that_cannot_be_used_scores_nothing_and_says_why(graded, name, says):
    _, _, found = graded
    assert {test["score"] for test in found[name].values()} == {0}
    for test in found[name].values():
        assert says in test["output"]


def test_the_whole_score_is_the_sum(graded):
    finished, results, found = graded
    assert finished.returncode == 1
    assert results["score"] == 5 + 1
    assert results["execution_time"] > 0
    assert [len(tests) for tests in found.values()] == [7, 1, 1, 2, 2]


def test_a_student_runs_the_tests_as_plain_pytest(tmp_path):
    write_tests(tmp_path, right=TESTS)
    (tmp_path / "right.py").write_text(RIGHT)
    finished = run(tmp_path)
    assert finished.returncode == 0, finished.stdout
    assert "2 passed" in finished.stdout


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ("points(-1)", "points: expected a number of at least 0, got -1"),
        ("points(1, visibility='secret')", "visibility: expected one of visible, hidden"),
    ],
)
def test_a_wrong_marker_is_refused(tmp_path, mark, says):
    write_tests(tmp_path, right=TESTS.replace("points(2)", mark))
    finished = run(tmp_path)
    assert finished.returncode == 4
    assert says in finished.stdout + finished.stderr


NOISY = RIGHT.replace("    return np.max", "    print('x' * 100000)\n    return np.max").replace(
    "    return dy", "    print('y' * 100000, flush=True)\n    return dy"
)


def one(tmp_path, text, *options, tests=TESTS, name="right.py"):
    write_tests(tmp_path, right=tests)
    folder = tmp_path / "handed"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    finished, results = scores(tmp_path, "--tinygan-impl", "handed", *options)
    assert "INTERNALERROR" not in finished.stdout + finished.stderr
    return finished, results


def test_a_submission_that_prints_loses_nothing(tmp_path):
    for _ in range(2):
        _, results = one(tmp_path, NOISY)
        assert results["score"] == 5, results


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc")
@pytest.mark.parametrize("separate", [True, False])
def test_descendants_are_ended_to_the_last(tmp_path, separate):
    from tinygan.grading import starter
    from tinygan.grading.process import Student

    fork = "import os, time\nfor _ in range(9):\n    if os.fork() == 0:\n        os.setsid()\n"
    (tmp_path / "forks.py").write_text(f"{fork}        time.sleep(99)\n")
    student = Student(tmp_path / "forks.py", separate=separate)
    assert student.ready(30) is None

    def alive():
        found = [p for p in _processes() if _has(p, starter.token)]
        return [p for p in found if p != starter.warm().process.pid]

    assert len(alive()) == 10
    student.close()
    assert not alive()
    assert not student._folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is started for each")
def test_what_starts_submissions_is_started_again_and_out_of_their_reach(tmp_path):
    from tinygan.grading import starter
    from tinygan.grading.process import Student

    look = "import os\nNAMES = [os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/dev/fd')"
    look += " if os.path.exists(f'/proc/self/fd/{n}')]\ndef seen(): return NAMES\n"
    (tmp_path / "look.py").write_text(look)
    for _ in range(2):
        student = Student(tmp_path / "look.py")
        assert student.ready(30) is None
        _, (names, *_) = student.ask(("call", "seen", [], {}), 10)
        assert not [name for name in names if name.startswith("socket")]
        assert sum(name.startswith("pipe") for name in names) == 4
        assert os.getsid(student._process.pid) == student._process.pid
        student.close()
        process = starter.warm().process
        process.kill()
        process.wait()


def test_a_gradients_points_need_a_right_output(tmp_path):
    tests = TESTS.replace("relu_backward), X)", "relu_backward), X, output=np.maximum(X, 0))")
    nothing = "def relu(x):\n    return x, x\ndef relu_backward(dy, x):\n    return dy\n"
    _, results = one(tmp_path, nothing, tests=tests)
    assert results["score"] == 0
    assert "the gradient counts only of the right function" in results["tests"][1]["output"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Right.py", "rename Right.py to right.py"),
        ("right (1).py", "handed in: right (1).py"),
        ("other.txt", "handed in: other.txt"),
    ],
)
def test_what_was_handed_in_is_said(tmp_path, name, says):
    _, results = one(tmp_path, RIGHT, name=name)
    assert says in results["tests"][0]["output"]


def test_deeper_folders_and_notebooks_are_found(tmp_path):
    _, results = one(tmp_path, RIGHT, name="Ada/hw 1/right.py")
    assert results["score"] == 5
    (tmp_path / "handed" / "Ada" / "hw 1" / "right.py").unlink()
    cells = [{"cell_type": "code", "source": ["%pylab\n", *RIGHT.splitlines(keepends=True)]}]
    _, results = one(tmp_path, json.dumps({"cells": cells}), name="right.ipynb")
    assert results["score"] == 5


def test_a_submissions_own_modules_are_found_as_students_import_them(tmp_path):
    module, rest = "import numpy as np\n", RIGHT.replace("import numpy as np", "")
    for way in (".helpers", "exercises.helpers", "helpers"):
        line = f"from {way} import np"
        folder = tmp_path / line.split()[1] / "exercises"
        folder.mkdir(parents=True)
        (folder / "helpers.py").write_text(module)
        (folder / "right.py").write_text(f"{line}\n{rest}")
        assert load(folder / "right.py").relu(np.ones(2))[0].sum() == 2
        assert not find_forbidden(folder / "right.py")
        (folder / "helpers.py").write_text(f"{module}import torch\n")
        assert "helpers.py, line 2: torch" in find_forbidden(folder / "right.py")[0]
        sys.path[:] = [p for p in sys.path if str(tmp_path) not in p]
        for name in ("helpers", "exercises", "exercises.helpers"):
            sys.modules.pop(name, None)


def test_what_only_a_notebook_understands_does_nothing(tmp_path):
    cells = [
        "%matplotlib inline\n!pip install numpy\n?np.max\nnp.max??",
        "%%time\nimport numpy as np\n%time x = np.ones(3)\nif True:\n    %pylab\n    y = 2",
        "%%bash\nrm everything",
        "files = !ls\na, b = %magic\nget_ipython().run_line_magic('x', 'y')\ndisplay(x)",
        "%%writefile mine.py\ndef f(x):\n    return x  # right?",
    ]
    cells = [{"cell_type": "code", "source": text} for text in cells]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8-sig")
    module = load(tmp_path / "a.ipynb")
    assert (module.x.sum(), module.y, module.f(3), module.files) == (3, 2, 3, None)


def test_what_others_wrote_is_not_handed_in(tmp_path):
    for name in ("hw/relu.py", "hw/venv/lib/relu.py", "hw/.ipynb_checkpoints/relu.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert find_file(tmp_path, "exercises/relu.py") == tmp_path / "hw" / "relu.py"


def test_a_forgotten_breakpoint_costs_nothing_and_a_forgotten_return_is_named(tmp_path):
    _, results = one(tmp_path, "def relu(x):\n    pass\n\n\nrelu_backward = relu\n")
    assert "is a return missing?" in results["tests"][0]["output"]
    _, results = one(tmp_path, RIGHT.replace("    return", "    breakpoint()\n    return"))
    assert results["score"] == 5


@pytest.mark.parametrize(
    "text",
    [
        "import torch\n" + RIGHT,
        "from tinygan import Conv2d\n" + RIGHT,
        "import tinygan as t\nt.ReLU\n" + RIGHT,
    ],
)
def test_what_is_forbidden_is_reported(tmp_path, text):
    _, results = one(tmp_path, text)
    assert results["score"] == 0
    assert "points withheld: right.py, line" in results["tests"][0]["output"]


def test_partial_credit_is_kept_when_the_rest_fails(tmp_path):
    tests = (
        HEAD
        + """
@pytest.mark.points(4)
def test_parts(impl, credit, outputcheck):
    outputcheck(impl.relu(X)[0], np.maximum(X, 0))
    credit(0.25)
    outputcheck(impl.relu(X)[0], X + 1)
"""
    )
    _, results = one(tmp_path, RIGHT, tests=tests)
    assert results["score"] == 1


def test_what_is_written_to_is_seen_through_the_other_process(tmp_path):
    text = RIGHT.replace("    return dy", "    dy *= 1\n    x += 1\n    return dy")
    _, results = one(tmp_path, text)
    assert "input overwritten" in results["tests"][1]["output"]


def test_xdist_is_ignored_in_words(tmp_path):
    pytest.importorskip("xdist")
    finished, results = one(tmp_path, RIGHT, "-n", "2")
    assert results["score"] == 5
    assert "pytest-xdist's -n is ignored" in finished.stdout


def test_the_plugin_imports_nothing_of_tinygan_until_it_is_asked():
    code = (
        "import sys, tinygan.grading.plugin; print([m for m in sys.modules if 'gradcheck.d' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_a_teachers_list_and_flags(tmp_path):
    text = "import scipy.special\n" + RIGHT
    _, results = one(tmp_path, text)
    assert results["score"] == 5
    _, results = one(tmp_path, text, "--tinygan-forbid", "scipy,tinygan")
    assert results["score"] == 0
    _, results = one(tmp_path, text, "--tinygan-forbid", "scipy", "--tinygan-cheats", "flag")
    assert results["score"] == 5
    assert "flagged: right.py, line 1: scipy.special may not" in results["tests"][0]["output"]
    _, results = one(tmp_path, text, "--tinygan-forbid", "scipy", "--tinygan-cheats", "allow")
    assert [test["output"] for test in results["tests"]] == ["", ""]


def test_numbers_of_each_students_own(tmp_path):
    tests = (
        HEAD + "@pytest.mark.points(1)\ndef test_seed(impl, seed):\n    assert 0, f'seed {seed}'\n"
    )
    outputs = [
        one(tmp_path, RIGHT, *options, tests=tests)[1]["tests"][0]["output"]
        for options in ((), ("--tinygan-seed", "7"))
    ]
    assert outputs == ["seed 0", "seed 7"]


def test_the_total_is_shared_out(tmp_path):
    """Endless loops in one exercise take nothing from another."""
    loop = RIGHT.replace("    return", "    while True: pass\n    return")
    write_tests(tmp_path, aloop=TESTS, right=TESTS)
    (tmp_path / "handed").mkdir()
    (tmp_path / "handed" / "aloop.py").write_text(loop)
    (tmp_path / "handed" / "right.py").write_text(RIGHT)
    _, results = scores(tmp_path, "--tinygan-impl", "handed", "--tinygan-total", "12")
    assert [test["score"] for test in results["tests"]] == [0, 0, 2, 3]
    assert "stopped after 3 seconds of processor time" in results["tests"][0]["output"]


def test_what_cannot_be_handed_over_says_how_to_write_it(tmp_path):
    """A teacher's own test that passes objects in gets the three lines that it needs."""
    tests = HEAD + "@pytest.mark.points(1)\ndef test_net(impl):\n    impl.relu(object())\n"
    _, results = one(tmp_path, RIGHT, tests=tests)
    assert "def driver(impl, x):" in results["tests"][0]["output"]


def test_a_killed_grader_leaves_what_it_had_and_nobody(tmp_path):
    """Killed in the second exercise: the first one's points stand, and all processes end."""
    fork = "import os, time\nfor _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n"
    write_tests(tmp_path, right=TESTS, slow=TESTS)
    (tmp_path / "handed").mkdir()
    (tmp_path / "handed" / "right.py").write_text(RIGHT)
    (tmp_path / "handed" / "slow.py").write_text(f"{fork}        time.sleep(99)\nwhile True: pass")
    command = [sys.executable, "-m", "pytest", "-p", "tinygan.grading.plugin"]
    command += ["--tinygan-impl", "handed", "--gradescope-json", "results.json"]
    (tmp_path / "temporary").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path / "temporary")}
    grader = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def family():
        """Return the grader's processes, and those that work in the submission's folder."""
        table = _processes()
        return {p for p, (_, parent, *_) in table.items() if parent == grader.pid or there(p)}

    def there(pid):
        try:
            return (Path(f"/proc/{pid}/cwd") / "slow.py").exists()
        except OSError:
            return False

    wait(lambda: sum(map(there, _processes())) >= 6)
    found = family()
    assert len(found) >= 8  # those that guard, and the one that starts others
    grader.kill()
    grader.wait()
    wait(lambda: not found & _processes().keys())
    wait(lambda: not list((tmp_path / "temporary").iterdir()))
    results = json.loads((tmp_path / "results.json").read_text())
    assert results["score"] == 5
    assert [test["output"] for test in results["tests"][2:]] == ["the test was not run"] * 2


def wait(until):
    end = time.monotonic() + 120
    while not until():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_archives_and_odd_files(tmp_path):
    """A zip in a zip with Windows' slashes, a byte order mark, other line ends."""
    inner, outer = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        entry = zipfile.ZipInfo("right.py")
        entry.filename = "..\\..\\Ada\\right.py"
        archive.writestr(entry, b"\xef\xbb\xbf" + RIGHT.replace("\n", "\r\n").encode())
        archive.writestr("__MACOSX/._right.py", b"\0")
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("hw/hw (1).zip", inner.getvalue())
    (tmp_path / "handed").mkdir()
    (tmp_path / "handed" / "all.zip").write_bytes(outer.getvalue())
    write_tests(tmp_path, right=TESTS)
    _, results = scores(tmp_path, "--tinygan-impl", "handed")
    assert results["score"] == 5, results
    assert [p.name for p in (tmp_path / "handed").iterdir()] == ["all.zip"]


def test_processes_that_spin_side_by_side_share_one_limit(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])

    class Bomb:
        """Sixty processes and their parent, all awake, that have two processors."""

        user, size, limits = None, 0, process.Limits()

        def cpu(self):
            return 2 * clock[0] / 61, False

        def others(self):
            return 2 * clock[0] * 60 / 61, False, 0

    watch = process._Watch(Bomb(), 20)

    def spin():
        while clock[0] < 60:
            clock[0] += 0.1
            watch.look()

    with pytest.raises(process.Stopped, match="20 seconds of processor time"):
        spin()
    assert clock[0] < 13
