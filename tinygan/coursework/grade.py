"""``tinygan coursework grade``: a folder of submissions, side by side, to one table."""

from __future__ import annotations

import csv
import html
import json
import os
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tinygan.files import replaced, write_text

__all__ = ["grade"]

STYLE = (
    "body{font:15px/1.45 system-ui;max-width:60em;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #ddd;"
    "padding:.3em .6em;text-align:left;vertical-align:top}pre{white-space:pre-wrap;"
    "background:#f6f6f6;padding:.6em;margin:.3em 0}.no{color:#b00020}.yes{color:#1a7f37}"
)


def grade(submissions, course, out, table, jobs=None, options=(), report=print) -> list[dict]:
    """Grade every folder in `submissions` and write a table, and a page for each student.

    Parameters
    ----------
    submissions : path
        Holds one folder, or one file, for each student.
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
    students = sorted(
        p for p in submissions.iterdir() if p.is_dir() or p.suffix in (".py", ".ipynb")
    )
    students = [p for p in students if not p.name.startswith((".", "__"))]
    tests = [course / kind / "tests" for kind in ("student", "teacher")]
    tests = [folder for folder in tests if folder.is_dir()]
    if not students:
        raise ValueError(f"{submissions}: expected a folder for each student, found none")
    if not tests:
        raise ValueError(f"{course}: expected student/tests or teacher/tests in it")
    out.mkdir(parents=True, exist_ok=True)

    def one(student):
        results = _run(student, tests, course, out, options)
        write_text(out / f"{student.stem}.html", _page(student.stem, results))
        report(f"{student.stem}: {results['score']}")
        return {"name": student.stem, **results}

    with ThreadPoolExecutor(jobs or os.cpu_count() or 1) as pool:
        found = list(pool.map(one, students))
    _table(table, found)
    write_text(out / "index.html", _index(found))
    return found


def _run(student, tests, course, out, options):
    target = out / f"{student.stem}.json"
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    if "tinygan.grading.plugin" not in os.environ.get("PYTEST_PLUGINS", ""):
        command += ["-p", "tinygan.grading.plugin"]
    seed = zlib.crc32(student.stem.encode())
    command += [
        *map(str, tests),
        "--rootdir",
        str(course),
        "--tinygan-impl",
        str(student.resolve()),
    ]
    command += ["--gradescope-json", str(target.resolve()), "--tinygan-seed", str(seed), *options]
    extra = course / "student" / "exercises" / "my_layers.py"
    command += ["--tinygan-with", str(extra.resolve())] if extra.is_file() else []
    finished = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
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
    return f"'{name}" if name.startswith(("=", "+", "-", "@")) else name


def _page(name, results):
    rows = []
    for test in results["tests"]:
        kind = "yes" if test["score"] == test["max_score"] else "no"
        output = f"<pre>{html.escape(test['output'])}</pre>" if test["output"] else ""
        rows.append(
            f"<tr><td>{html.escape(test['name'])}{output}</td>"
            f"<td class={kind}>{test['score']} / {test['max_score']}</td></tr>"
        )
    total = sum(test["max_score"] for test in results["tests"])
    note = f"<p>{html.escape(results['output'])}</p>" if results.get("output") else ""
    body = f"<h1>{html.escape(name)}: {results['score']} of {total}</h1>{note}"
    return _document(name, f"{body}<table>{''.join(rows)}</table>")


def _index(found):
    names = list(dict.fromkeys(t["name"] for student in found for t in student["tests"]))
    rows = []
    for name in names:
        tests = [t for s in found for t in s["tests"] if t["name"] == name]
        lost = [t for t in tests if t["score"] < t["max_score"]]
        causes: dict[str, int] = {}
        for test in lost:
            causes[_cause(test["output"])] = causes.get(_cause(test["output"]), 0) + 1
        common = sorted(causes.items(), key=lambda item: -item[1])[:4]
        text = ", ".join(f"{html.escape(c)} ({n})" for c, n in common)
        rows.append(
            f"<tr><td>{html.escape(name)}</td><td>{len(tests) - len(lost)} of {len(tests)}</td>"
            f"<td>{text}</td></tr>"
        )
    students = "".join(
        f"<tr><td><a href='{html.escape(s['name'], quote=True)}.html'>{html.escape(s['name'])}</a>"
        f"</td><td>{s['score']}</td></tr>"
        for s in found
    )
    return _document(
        "The class",
        f"<h1>The class</h1><table><tr><th>Student</th><th>Score</th></tr>{students}</table>"
        "<h2>What went wrong</h2><table><tr><th>Test</th><th>Full points</th><th>Causes</th></tr>"
        f"{''.join(rows)}</table>",
    )


def _cause(output):
    """Return a few words for what a test's output says."""
    if "likely cause: " in output:
        return output.partition("likely cause: ")[2].partition(" [")[0]
    for words in ("wrong output", "not written yet", "does not exist", "cannot be imported",
                  "does not define", "stopped", "crashed", "withheld", "disagree"):  # fmt: skip
        if words in output:
            return words
    return output.partition("\n")[0][:40] or "no message"


def _document(title, body):
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>"
        f"<style>{STYLE}</style>{body}</html>\n"
    )
