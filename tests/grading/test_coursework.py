"""The course: solutions score everything, empty exercises nothing, and every message helps."""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tinygan.coursework import create
from tinygan.coursework.__main__ import main
from tinygan.coursework.wheel import wheel
from tinygan.grading.process import isolated

ROOT = Path(__file__).resolve().parents[2]
SOLUTIONS = Path(__file__).parents[1] / "coursework_solutions"
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT),
    "PYTHONDONTWRITEBYTECODE": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return create(tmp_path_factory.mktemp("courses") / "gans")


def grade(course, submission, *options):
    command = [sys.executable, "-m", "pytest", "-p", "tinygan.grading.plugin", "-q"]
    command += ["-p", "no:cacheprovider", "student/tests", "teacher/tests"]
    command += ["--tinygan-impl", str(submission), *options]
    command += ["--gradescope-json", "results.json"]
    finished = subprocess.run(command, cwd=course, env=ENVIRONMENT, capture_output=True, text=True)
    return finished, json.loads((course / "results.json").read_text())


def solved(course, folder):
    shutil.copytree(course / "student" / "exercises", folder)
    for path in SOLUTIONS.glob("*.py"):
        shutil.copy(path, folder)
    return folder


def test_the_solutions_score_every_point(course, tmp_path):
    submission = solved(course, tmp_path / "exercises")
    finished, results = grade(course, submission, "--tinygan-isolate", "no")
    assert finished.returncode == 0, finished.stdout
    assert results["score"] == 100
    assert sum(test["max_score"] for test in results["tests"]) == 100
    visible = [test["max_score"] for test in results["tests"] if test["visibility"] == "visible"]
    assert sum(visible) == 71


def test_the_empty_exercises_score_nothing_and_say_what_to_write(course):
    _, results = grade(course, course / "student", "--tinygan-isolate", "no")
    assert results["score"] == 0
    for test in results["tests"]:
        assert "not written yet" in test["output"], test
        assert re.search(r"[a-z0-9_]+: \S+", test["output"]), test
        assert "Traceback" not in test["output"]


def test_a_wrong_exercise_costs_its_points_only(course, tmp_path):
    submission = solved(course, tmp_path / "exercises")
    path = submission / "conv.py"
    path.write_text(path.read_text().replace("flat.sum(axis=0)", "flat.mean(axis=0)"))
    shutil.copytree(course, tmp_path / "course")
    for kind in ("student", "teacher"):
        for test in (tmp_path / "course" / kind / "tests").glob("test_*.py"):
            if "_05_" not in test.name and "_01_" not in test.name:
                test.unlink()
    _, results = grade(tmp_path / "course", submission)
    lost = {test["name"]: test["output"] for test in results["tests"] if not test["score"]}
    assert list(lost) == [
        "05_conv: convolution: the gradients of x, w and b, with padding and without",
        "05_conv_hidden: convolution: the gradients with stride 2 and for one image",
    ]
    assert "likely cause: constant factor [b]" in next(iter(lost.values()))
    assert "a mean in place of a sum" in next(iter(lost.values()))


def test_the_autograder_runs_as_it_is_packed(course, tmp_path):
    subprocess.run([sys.executable, course / "teacher" / "make_autograder.py"], check=True)
    root = tmp_path / "autograder"
    shutil.unpack_archive(course / "teacher" / "autograder.zip", root / "source")
    names = {path.name for path in (root / "source").iterdir()}
    wheels = {name for name in names if name.endswith(".whl")}
    assert len(wheels) == 1
    assert names - wheels == {"setup.sh", "run_autograder", "pytest.ini", "my_layers.py", "tests"}
    assert len(list((root / "source" / "tests").glob("test_*.py"))) == 24
    for test in (root / "source" / "tests").glob("test_*.py"):
        if test.name != "test_01_relu.py":
            test.unlink()
    solved(course, root / "submission")
    environment = {
        **ENVIRONMENT,
        "AUTOGRADER_ROOT": str(root),
        "AUTOGRADER_PYTHON": sys.executable,
        "PYTEST_PLUGINS": "tinygan.grading.plugin",
    }
    script = ["bash", root / "source" / "run_autograder"]
    finished = subprocess.run(script, env=environment, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    results = json.loads((root / "results" / "results.json").read_text())
    assert results["score"] == 3, finished.stdout


def test_the_readmes_tables_are_those_of_the_tests(course):
    worth = {}
    for kind in ("student", "teacher"):
        for path in (course / kind / "tests").glob("test_*.py"):
            exercise = int(path.name.split("_")[1])
            points = sum(map(int, re.findall(r"points\((\d+)", path.read_text())))
            worth.setdefault(exercise, {})[kind] = points
    student = (course / "student" / "README.md").read_text()
    teacher = (course / "teacher" / "README.md").read_text()
    for exercise, points in worth.items():
        (row,) = re.findall(rf"^\| {exercise} \|.*\| (\d+) \|$", student, re.MULTILINE)
        assert int(row) == sum(points.values())
        (row,) = re.findall(rf"^\| {exercise} [^|]*\| (\d+) \| (\d+) \|", teacher, re.MULTILINE)
        assert tuple(map(int, row)) == (points["student"], points["teacher"])


def test_a_course_is_never_written_over_anything(tmp_path, capsys):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert main(["new", str(tmp_path / "mine")]) == 2
    assert "something is there already" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    assert main(["new", str(tmp_path / "a" / "new one")]) == 0
    assert "student" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"new one"}
    assert not list((tmp_path / "a").rglob("__pycache__"))


def test_no_solution_is_handed_out(course):
    for path in (course / "student" / "exercises").glob("*.py"):
        if path.name != "my_layers.py":
            assert "NotImplementedError" in path.read_text()


def test_a_class_is_graded_side_by_side(course, tmp_path):
    shutil.copytree(course, tmp_path / "course")
    for test in (tmp_path / "course").glob("*/tests/test_*.py"):
        if "_01_" not in test.name:
            test.unlink()
    for name, text in (
        ("ada", (SOLUTIONS / "relu.py").read_text()),
        ("bob", (SOLUTIONS / "relu.py").read_text().replace("dy * cache", "dy * (dy > 0)")),
        ("eve", "import torch\n" + (SOLUTIONS / "relu.py").read_text()),
        ("=cmd", None),
    ):
        (tmp_path / "class" / name / "exercises").mkdir(parents=True)
        if text is not None:
            (tmp_path / "class" / name / "exercises" / "relu.py").write_text(text)
    command = [sys.executable, "-m", "tinygan.coursework", "grade", "class", "--course", "course"]
    finished = subprocess.run(
        command, cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stderr
    rows = (tmp_path / "grades.csv").read_text().splitlines()
    assert [row.split(",")[:2] for row in rows] == [
        ["name", "score"], ["'=cmd", "0"], ["ada", "4"], ["bob", "1"], ["eve", "0"],
    ]  # fmt: skip
    page = (tmp_path / "pages" / "students" / "bob.html").read_text()
    assert "likely cause: wrong mask" in page
    assert "Points are missing in 01 relu (1 of 4)." in page
    index = (tmp_path / "pages" / "index.html").read_text()
    assert "wrong mask (1)" in index
    assert "forbidden (1)" in index
    assert "not handed in (1)" in index


def test_the_classroom_workflow_does_what_it_says(course, tmp_path):
    yaml = pytest.importorskip("yaml")
    work = shutil.copytree(course / "student", tmp_path / "student")
    file = yaml.safe_load((work / ".github" / "workflows" / "classroom.yml").read_text())
    (job,) = file["jobs"].values()
    assert file[True] == ["push", "workflow_dispatch"]  # YAML takes the key "on" for a truth
    steps = {step["name"]: step["run"] for step in job["steps"] if "run" in step}
    (wheel,) = work.glob("tinygan-*.whl")
    assert "./tinygan-*.whl" in steps["Install"]
    assert wheel.is_file()
    for test in (work / "tests").glob("test_*.py"):
        if "_01_" not in test.name:
            test.unlink()
    environment = {
        **ENVIRONMENT,
        "PYTEST_PLUGINS": "tinygan.grading.plugin",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    for solution, points in ((None, 0), ("relu.py", 3)):
        if solution is not None:
            shutil.copy(SOLUTIONS / solution, work / "exercises")
        for name in ("Tests", "Points"):
            command = steps[name].replace("python ", f"{sys.executable} ")
            done = subprocess.run(
                ["bash", "-e", "-c", command], cwd=work, env=environment, capture_output=True
            )
        assert done.returncode == (points < 3), done.stderr
        assert f"### {points} of 3 points" in (tmp_path / "summary.md").read_text()


def test_the_wheel_holds_everything_that_is_installed(course):
    (wheel,) = (course / "student").glob("tinygan-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("tinygan/")}
    there = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tinygan").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert packed == there
    assert "tinygan/coursework/template/student/.github/workflows/classroom.yml" in packed


@pytest.mark.parametrize("name", ["PKG-INFO", "METADATA"])
def test_the_wheel_says_its_version_in_a_checkout_too(tmp_path, monkeypatch, name):
    """Where setuptools has left an egg-info, that is what is found first."""
    kind = "egg-info" if name == "PKG-INFO" else "dist-info"
    (tmp_path / f"tinygan.{kind}").mkdir()
    (tmp_path / f"tinygan.{kind}" / name).write_text("Name: tinygan\nVersion: 9.8\n")
    monkeypatch.syspath_prepend(tmp_path)
    file, content = wheel()
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        about = archive.read("tinygan-9.8.dist-info/METADATA").decode()
    assert (file, "Version: 9.8" in about) == ("tinygan-9.8-py3-none-any.whl", True)


@pytest.mark.skipif(not isolated(), reason="another user can be had as root on Linux")
def test_what_needs_tinygan_runs_isolated_too(course, tmp_path):
    """Exercises 10 to 12 import parts of tinygan, in the process that may import little."""
    submission = solved(course, tmp_path / "exercises")
    _, results = grade(course, submission, "-k", "(10 or 11 or 12) and not learns")
    assert [test["output"] for test in results["tests"] if test["score"] < test["max_score"]] == []
    assert len(results["tests"]) == 6


def test_the_recorded_path_says_what_the_tests_say(course, tmp_path):
    """docs/recorded/student.txt is what docs/course_paths.py saw; the messages are still those."""
    recorded = (ROOT / "docs" / "recorded" / "student.txt").read_text(encoding="utf-8")
    text = (SOLUTIONS / "relu.py").read_text().replace("dy * cache", "dy * (dy > 0)")
    (tmp_path / "relu.py").write_text(text)
    _, results = grade(course, tmp_path, "--tinygan-isolate", "no", "-k", "01_relu and not hidden")
    (message,) = [test["output"] for test in results["tests"] if not test["score"]]
    cause = message.splitlines()[-1]  # with the line of another file
    assert "likely cause: wrong mask [x]: line" in cause
    assert cause.partition("`")[2] in recorded
    assert "not written yet: relu: compute y = max(x, 0)" in recorded
