"""``tinygan coursework grade``: a folder of submissions, side by side, to one table."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tinygan.coursework.pages import class_page, student_page
from tinygan.files import replaced, write_text
from tinygan.grading import readable

__all__ = ["grade"]

FAILED = "the grading itself failed"
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
    if not Path(table).absolute().parent.is_dir():  # said before hours of grading
        raise ValueError(f"{table}: there is no such folder")

    running: set[subprocess.Popen] = set()
    stopped = threading.Event()

    def one(item):
        name, path = item
        results = {"name": readable(name, ""), "page": f"students/{_file(name)}.html"}
        results |= _graded(name, path, tests, course, out, options, running)
        if stopped.is_set():  # it was ended, which is not the student's fault
            raise InterruptedError
        write_text(out / results["page"], student_page(results))
        report(
            f"{results['name']}: {results['score']}" + ("" if results["tests"] else f": {FAILED}")
        )
        return results

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        try:
            found = list(pool.map(one, students.items()))
        except BaseException:  # Ctrl-C, kill: not after hours
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise
    _table(table, found)
    write_text(out / "index.html", class_page(found))
    return found


def _students(folder):
    """Return ``{name: path}``; two that differ by their ending alone keep it."""
    there = sorted(p for p in folder.iterdir() if not p.name.startswith((".", "__")))
    endings = (".py", ".ipynb", *ARCHIVES)
    there = [p for p in there if p.is_dir() or (p.is_file() and p.suffix.lower() in endings)]
    stems = [p.name if p.is_dir() else p.name.partition(".")[0] or p.name for p in there]
    return {
        stem if stems.count(stem) == 1 else path.name: path
        for stem, path in zip(stems, there, strict=True)
    }


def _file(name):
    """Return a name that every file system takes."""
    plain = "".join(c if c.isprintable() and c not in '/\\:*?"<>|%#' else "_" for c in name)
    return plain if plain == name and len(name.encode()) < 200 else f"{plain[:40]}-{_number(name)}"


def _number(name):
    return zlib.crc32(name.encode("utf-8", "surrogateescape"))


def _graded(*given):
    """Return a student's results; what goes wrong in grading one is not to stop the class."""
    try:
        return _run(*given)
    except Exception as error:
        return {"score": 0, "tests": [], "output": f"{FAILED}: {error!r}"}


def _run(name, given, tests, course, out, options, running):
    target = out / "students" / f"{_file(name)}.json"
    target.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="tinygan-class-") as alone:
        if not given.is_dir():  # so that nobody's process sees the files of others
            copied = Path(shutil.copy(given, alone))
            given = copied if copied.suffix in (".py", ".ipynb") else Path(alone)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "tinygan.grading.plugin", *map(str, tests), "--rootdir", str(course)]
        command += ["--tinygan-impl", str(given.resolve())]
        command += ["--gradescope-json", str(target.resolve())]
        command += ["--tinygan-seed", str(_number(name))]
        command += ["--tinygan-total", "7200"]  # no autograder waits here
        extra = course / "student" / "exercises" / "my_layers.py"
        command += ["--tinygan-with", str(extra.resolve())] if extra.is_file() else []
        environment = {
            **os.environ,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # marks do not depend on what else is installed
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        process = subprocess.Popen(
            [*command, *options],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        running.add(process)
        printed, _ = process.communicate()
        running.discard(process)
    try:
        return json.loads(target.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"score": 0, "tests": [], "output": f"{FAILED}:\n{printed[-2000:]}"}


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
