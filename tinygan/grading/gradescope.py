"""Scores in the format that Gradescope's autograder, and others after it, read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tinygan.files import write_json

__all__ = ["Scores"]


class Scores:
    """Collects every test that is worth points and writes them to a file at the end.

    The file holds ``score``, ``execution_time`` and ``tests``, each of these with ``name``,
    ``score``, ``max_score``, ``status``, ``output`` and ``visibility``.
    """

    def __init__(self, path):
        self._path, self._began = Path(path), time.monotonic()
        self._worth: dict[str, dict] = {}
        self._problems: dict[str, str] = {}
        self._passed: set[str] = set()

    def pytest_collection_finish(self, session):
        for item in session.items:
            marker = item.get_closest_marker("points")
            if marker is None:
                continue
            title = (getattr(item.obj, "__doc__", None) or item.name).strip().splitlines()[0]
            self._worth[item.nodeid] = {
                "points": marker.args[0] if marker.args else marker.kwargs["n"],
                "visibility": marker.kwargs.get("visibility", "visible"),
                "title": f"{item.path.stem.removeprefix('test_')}: {title}",
            }

    def pytest_runtest_logreport(self, report):
        if report.failed:
            message = getattr(report, "tinygan_message", None) or report.longreprtext
            self._problems.setdefault(report.nodeid, message)
        elif report.when == "call" and report.passed:
            self._passed.add(report.nodeid)
        elif report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else "skipped"
            self._problems.setdefault(report.nodeid, str(reason))

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self):
        tests = [self._entry(nodeid, worth) for nodeid, worth in self._worth.items()]
        results = {
            "score": _plain(sum(test["score"] for test in tests)),
            "execution_time": round(time.monotonic() - self._began, 3),
            "stdout_visibility": "hidden",
            "tests": tests,
        }
        write_json(self._path, results)

    def _entry(self, nodeid, worth):
        passed = nodeid in self._passed and nodeid not in self._problems
        output = "" if passed else self._problems.get(nodeid, "the test was not run")
        return {
            "name": worth["title"],
            "score": _plain(worth["points"] if passed else 0),
            "max_score": _plain(worth["points"]),
            "status": "passed" if passed else "failed",
            "output": output,
            "visibility": worth["visibility"],
        }


def _plain(number):
    return int(number) if float(number).is_integer() else round(float(number), 6)
