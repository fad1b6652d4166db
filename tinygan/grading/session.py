"""A graded run: where submissions are opened, how long they may take, what they may not use."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tinygan.grading.forbidden import DEFAULT, find_forbidden
from tinygan.grading.implementation import LocalModule, find_file
from tinygan.grading.process import Limits, isolated

__all__ = ["Session"]


class Session:
    """Opens submissions, one process for each test module, and shares out the time."""

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
        self._end = time.monotonic() + self.total
        self._left = 0

    @property
    def note(self) -> str:
        if self.own_user:
            return ""
        return (
            "not isolated: practice marks (the submission ran with the grader's rights; grade as "
            "root, in a container, for marks that count)"
        )

    def pytest_collection_finish(self, session):
        self._left = len(session.items)

    def seconds(self, request) -> float:
        """Return how long the test may take: its own limit, or what is left of the total."""
        marker = request.node.get_closest_marker("time_limit")
        own = float(marker.args[0]) if marker else self.timeout
        left = self._end - time.monotonic() - 0.1 * max(self._left, 0)
        if left <= 0:
            pytest.fail(
                f"the total time of {self.total:g} seconds is used up: an earlier exercise is slow",
                pytrace=False,
            )
        return min(own, left)

    def pytest_runtest_logfinish(self):
        self._left -= 1

    def open(self, given, named, request):
        path = find_file(given, named)
        seconds = self.seconds(request)
        cheats = find_forbidden(path, self.forbidden) if self.cheats != "allow" else []
        if cheats and self.cheats == "withhold":
            pytest.fail("points withheld: " + "; ".join(cheats), pytrace=False)
        if cheats:
            request.node.user_properties.append(("flagged", "; ".join(cheats)))
        if not self.separate:
            return LocalModule(path)
        key = request.node.path, path
        if key not in self._modules:
            from tinygan.grading.remote import RemoteModule

            for module in self._modules.values():
                module.close()
            self._modules.clear()
            self._modules[key] = RemoteModule(
                path, self.limits, self.timeout, self.separate, self.extra
            )
        module = self._modules[key]
        module.left = seconds
        return module

    def pytest_unconfigure(self):
        for module in self._modules.values():
            module.close()


def submission(config, request, named) -> Path:
    """Return what was given to grade, or the file that the test module names."""
    given = config.getoption("--tinygan-impl")
    if given is not None:
        return Path(config.invocation_params.dir, given)
    return Path(config.rootpath) / named
