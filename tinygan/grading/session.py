"""A graded run: where submissions are opened, how long they may take, what they may not use."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from tinygan.grading.forbidden import ALLOWED, DEFAULT, find_forbidden
from tinygan.grading.implementation import LocalModule, find_file, unpack
from tinygan.grading.process import Limits, Student, guard, isolated

__all__ = ["Session"]


class Session:
    """Opens submissions, a process for each file, and shares out the time."""

    def __init__(self, config):
        option = config.getoption
        self.timeout, self.total = option("--tinygan-timeout"), option("--tinygan-total")
        self.separate = option("--tinygan-isolate") != "no"
        self.own_user = self.separate and isolated()
        self.limits = Limits(memory=option("--tinygan-memory") << 20)
        self.cheats = option("--tinygan-cheats")
        self.forbidden = (option("--tinygan-forbid") or " ".join(DEFAULT)).replace(",", " ").split()
        self.extra = [Path(config.invocation_params.dir, f) for f in option("--tinygan-with")]
        self._modules: dict = {}
        self._folder = Path(tempfile.mkdtemp(prefix="tinygan-grading-"))  # the grader's alone
        self._guard = guard(self._folder) if self.separate else None
        self._unpacked: dict[Path, Path] = {}
        self._read: dict[tuple, list[str]] = {}  # what is forbidden in a file
        self._end = time.monotonic() + self.total
        self._shares: dict[str, float] = {}

    @property
    def note(self) -> str:
        if self.own_user:
            return ""
        return (
            "not isolated: practice marks (the submission ran with the grader's rights; grade as "
            "root on Linux, in a container, for marks that count)"
        )

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        """Have the tests of one file follow each other: it is opened once."""
        names = [getattr(item.module, "IMPLEMENTATION", "") for item in items]
        first = {name: names.index(name) for name in names}
        items.sort(key=lambda item: first[getattr(item.module, "IMPLEMENTATION", "")])

    def pytest_collection_finish(self, session):
        self._end = time.monotonic() + self.total
        limits = {item.nodeid: self._limit(item) for item in session.items}
        scale = min(1.0, 0.95 * self.total / (sum(limits.values()) or 1))
        self._shares = {name: scale * limit for name, limit in limits.items()}

    def _limit(self, item):
        marker = item.get_closest_marker("time_limit")
        return float(marker.args[0]) if marker else self.timeout

    def seconds(self, item) -> float:
        """Return how long the test may take.

        Each test has its share of the total, which no other can use up, and what is left over.
        """
        left = self._end - time.monotonic() - sum(self._shares.values())
        left += self._shares.get(item.nodeid, 0)
        return max(min(self._limit(item), left), min(1.0, self._limit(item)))

    def pytest_runtest_logfinish(self, nodeid):
        self._shares.pop(nodeid, None)

    def open(self, given, named, request):
        if given not in self._unpacked:
            folder = self._folder / str(len(self._unpacked))
            folder.mkdir()
            self._unpacked[given] = unpack(given, folder)
        path = find_file(self._unpacked[given], named)
        allowed = [*ALLOWED, *getattr(request.module, "ALLOWED", ())]
        if self.cheats != "allow":
            self._look(path, request, allowed)
        if not self.separate:
            return LocalModule(path)
        key = path, *allowed
        if key not in self._modules:
            from tinygan.grading.remote import RemoteModule

            watched = self.forbidden, allowed, self.cheats == "withhold"
            rules = watched if self.cheats != "allow" else ()
            self._modules[key] = RemoteModule(path, self.limits, self.separate, self.extra, rules)
        module = self._modules[key]
        for other in self._modules.values():
            if other is not module:
                other.close()
        module.left, module._seen = self.seconds(request.node), []
        return module

    def _look(self, path, request, allowed):
        """Withhold the test's points, or flag them, where something forbidden is used."""
        key = path, *allowed
        if key not in self._read:
            self._read[key] = find_forbidden(path, self.forbidden, allowed)
        beside = {file.name for file in self.extra}
        cheats = [t for t in self._read[key] if t.partition(",")[0] not in beside]
        if cheats and self.cheats == "withhold":
            pytest.fail("points withheld: " + "; ".join(cheats), pytrace=False)
        if cheats:
            request.node.user_properties.append(("flagged", "; ".join(cheats)))

    def pytest_terminal_summary(self, terminalreporter):
        for module in self._modules.values():
            module.close()
        if Student.descendants:
            terminalreporter.write_line(f"processes of submissions ended: {Student.descendants}")

    def pytest_unconfigure(self):
        for module in self._modules.values():
            module.close()
        if self._guard is not None:
            self._guard.dismiss()
        shutil.rmtree(self._folder, ignore_errors=True)


def submission(config, named) -> Path:
    """Return what was given to grade, or the file that the test module names."""
    given = config.getoption("--tinygan-impl")
    if given is not None:
        return Path(os.path.abspath(Path(config.invocation_params.dir, given)))
    return Path(config.rootpath) / named
