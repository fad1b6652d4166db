"""Submissions in processes of their own: a crash or an endless loop costs one test, no more.

The tests of a module run in one worker process, which appends a line to a file when a test begins
and one for each of its reports.  If the worker dies or a test passes its time limit, that test has
failed, and another worker goes on with the next one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from _pytest.reports import TestReport

START_LIMIT = 60.0
"""Seconds that a worker may take before its first test: importing, collecting."""


class Worker:
    """In the worker: write down what happens, as it happens."""

    def __init__(self, path):
        self._path = path
        self._config = None

    def pytest_configure(self, config):
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid):
        self._write({"start": nodeid})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report):
        hook = self._config.hook if self._config else None
        if hook is not None:
            data = hook.pytest_report_to_serializable(config=self._config, report=report)
        else:
            data = report._to_json()
        self._write({"report": data})

    def pytest_runtest_logfinish(self, nodeid):
        self._write({"finish": nodeid})

    def _write(self, record):
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record, default=str) + "\n")


class Isolation:
    """In the parent: run each module's tests in workers and pass their reports on."""

    def __init__(self, config):
        self._config = config

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session):
        if session.testsfailed and not session.config.option.continue_on_collection_errors:
            raise session.Interrupted("errors while collecting")
        if session.config.option.collectonly:
            return True
        modules: dict[Path, list] = {}
        for item in session.items:
            modules.setdefault(item.path, []).append(item)
        for items in modules.values():
            waiting = items
            while waiting:
                waiting = self._work(waiting)
                if session.shouldfail or session.shouldstop:
                    return True
        return True

    def _work(self, items):
        """Run a worker on `items`, all of one module; return those that still have to be run."""
        with tempfile.TemporaryDirectory(prefix="tinygan-worker-") as folder:
            path, output = Path(folder, "reports"), Path(folder, "output")
            path.touch()
            with open(output, "wb") as file:
                process = subprocess.Popen(
                    self._command(items, path),
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    cwd=self._config.invocation_params.dir,
                    env={"OPENBLAS_NUM_THREADS": "1", **os.environ},  # the arrays are small
                    start_new_session=True,
                )
            try:
                return self._follow(process, path, output, items)
            finally:
                _kill(process)

    def _command(self, items, path):
        option, root = self._config.getoption, self._config.rootpath
        command = [sys.executable, "-m", "pytest", "-p", "tinygan.grading.plugin", "-q"]
        command += ["-p", "no:cacheprovider", "--rootdir", str(root), "--tinygan-worker", str(path)]
        command += ["--tinygan-isolate", "no"]
        if self._config.inipath is not None:
            command += ["-c", str(self._config.inipath)]
        if option("--tinygan-impl"):
            command += ["--tinygan-impl", option("--tinygan-impl")]
        return command + [f"{item.path}::{item.nodeid.split('::', 1)[1]}" for item in items]

    def _follow(self, process, path, output, items):
        by_id = {item.nodeid.split("::", 1)[1]: item for item in items}
        left, current, since, limit = dict(by_id), None, time.monotonic(), START_LIMIT
        with open(path, encoding="utf-8") as file:
            while True:
                ended = process.poll() is not None
                line = file.readline()
                while line:
                    if not line.endswith("\n"):  # the rest is still being written
                        line += file.readline()
                        if not line.endswith("\n"):
                            break
                    record = json.loads(line)
                    (what, value), since = next(iter(record.items())), time.monotonic()
                    if what == "start":
                        current = left.pop(value.split("::", 1)[1], None)
                        limit = self._limit(current)
                        self._start(current)
                    elif what == "finish":
                        self._finish(current)
                        current, limit = None, START_LIMIT
                    elif current is not None:
                        self._pass_on(value, current)
                    line = file.readline()
                if ended:
                    problem = _how_it_ended(process.returncode, output)
                    break
                if time.monotonic() - since > limit:
                    problem = f"stopped after {limit:g} seconds: is there an endless loop?"
                    break
                time.sleep(0.01)
        if current is None and left and (process.poll() != 0 or len(left) == len(by_id)):
            current = left.pop(next(iter(left)))  # it died before its next test could begin
            self._start(current)
        elif current is None:
            return list(left.values())
        self._fail(current, problem, time.monotonic() - since)
        self._finish(current)
        return list(left.values())

    def _limit(self, item):
        marker = item.get_closest_marker("time_limit") if item is not None else None
        return float(marker.args[0]) if marker else self._config.getoption("--tinygan-timeout")

    def _start(self, item):
        if item is not None:
            item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)

    def _finish(self, item):
        if item is not None:
            item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)

    def _pass_on(self, data, item):
        report = self._config.hook.pytest_report_from_serializable(config=self._config, data=data)
        report.nodeid = item.nodeid
        item.ihook.pytest_runtest_logreport(report=report)

    def _fail(self, item, problem, duration):
        report = TestReport(
            item.nodeid, item.location, {}, "failed", problem, "call", duration=duration
        )
        report.tinygan_message = problem
        item.ihook.pytest_runtest_logreport(report=report)


def _how_it_ended(code, output) -> str:
    if code < 0:
        try:
            how = signal.Signals(-code).name
        except ValueError:
            how = f"signal {-code}"
        return f"the program crashed ({how})"
    tail = Path(output).read_text(encoding="utf-8", errors="replace").strip()[-1500:]
    return f"the program ended before the test did (exit status {code})\n{tail}".strip()


def _kill(process):
    """End a worker and what it started."""
    if process.poll() is None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except (AttributeError, ProcessLookupError, PermissionError):
            process.kill()
    process.wait()
