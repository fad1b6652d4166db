"""``tinygan coursework grade``: a folder of submissions, side by side, to one table."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tinygan.coursework.pages import class_page, student_page
from tinygan.files import replaced, write_text

__all__ = ["grade"]

ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz")


def grade(submissions, course, out, table, jobs=None, options=(), report=print) -> list[dict]:
    """Grade everything in `submissions` and write a table, and a page for each student.

    Parameters
    ----------
    submissions : path
        Holds one folder, archive, Python file or notebook for each student, named after the
        student.
    course : path
        What ``tinygan coursework new`` wrote: its ``student/tests`` and ``teacher/tests``.
    out : path
        Where the pages go, ``index.html`` for the class; made if it does not exist.
    table : path
        The CSV.
    jobs : int, optional
        How many at a time; one for each core by default.
    options : sequence of str
        More options for pytest.

    Returns
    -------
    list of dict
        ``name``, ``score`` and ``tests`` of every student, by name.
    """
    submissions, course, out = Path(submissions), Path(course), Path(out)
    if not submissions.is_dir():
        raise ValueError(f"{submissions}: expected a folder that holds one for each student")
    students = _students(submissions)
    tests = [course / kind / "tests" for kind in ("student", "teacher")]
    tests = [folder for folder in tests if folder.is_dir()]
    if not students:
        raise ValueError(f"{submissions}: expected a folder for each student, found none")
    if not tests:
        raise ValueError(f"{course}: expected student/tests or teacher/tests in it")
    (out / "students").mkdir(parents=True, exist_ok=True)

    def one(item):
        name, path = item
        results = {"name": name, **_run(name, path, tests, course, out, options)}
        write_text(out / "students" / f"{name}.html", student_page(results))
        report(f"{name}: {results['score']}")
        return results

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        found = list(pool.map(one, students.items()))
    _table(table, found)
    write_text(out / "index.html", class_page(found))
    return found


def _students(folder):
    """Return ``{name: path}``; two that differ by their ending alone keep it."""
    there = sorted(p for p in folder.iterdir() if not p.name.startswith((".", "__")))
    there = [p for p in there if p.is_dir() or p.suffix in (".py", ".ipynb", *ARCHIVES)]
    stems = [p.name if p.is_dir() else p.name.partition(".")[0] or p.name for p in there]
    return {
        stem if stems.count(stem) == 1 else path.name: path
        for stem, path in zip(stems, there, strict=True)
    }


def _run(name, given, tests, course, out, options):
    target = out / "students" / f"{name}.json"
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="tinygan-class-") as alone:
        if not given.is_dir():  # so that nobody's process sees the files of others
            copied = Path(shutil.copy(given, alone))
            given = copied if copied.suffix in (".py", ".ipynb") else Path(alone)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "tinygan.grading.plugin", *map(str, tests), "--rootdir", str(course)]
        command += ["--tinygan-impl", str(given.resolve())]
        command += ["--gradescope-json", str(target.resolve())]
        command += ["--tinygan-seed", str(zlib.crc32(name.encode("utf-8", "surrogateescape")))]
        command += ["--tinygan-total", "7200"]  # no autograder waits here
        extra = course / "student" / "exercises" / "my_layers.py"
        command += ["--tinygan-with", str(extra.resolve())] if extra.is_file() else []
        environment = {
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # marks do not depend on what else is installed
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        finished = subprocess.run(
            [*command, *options],
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
        )
    try:
        return json.loads(target.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        tail = (finished.stdout + finished.stderr)[-2000:]
        return {"score": 0, "tests": [], "output": f"the grading itself failed:\n{tail}"}


def _table(path, found):
    names = list(dict.fromkeys(t["name"] for student in found for t in student["tests"]))
    with replaced(path) as part, open(part, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "score", *names, "note"])
        for student in found:
            points = {t["name"]: t["score"] for t in student["tests"]}
            row = [_plain(student["name"]), student["score"], *(points.get(n, 0) for n in names)]
            writer.writerow([*row, student.get("output", "")])


def _plain(name):
    """Return a name that no spreadsheet takes for a formula."""
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t")) else name
