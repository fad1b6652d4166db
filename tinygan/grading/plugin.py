"""The pytest plugin: fixtures for checking a submission, markers ``points`` and ``time_limit``.

It is found by pytest wherever tinygan is installed.  A teacher's test reads::

    IMPLEMENTATION = "exercises/relu.py"

    @pytest.mark.points(2)
    def test_relu_gradient(impl, gradcheck):
        gradcheck((impl.relu, impl.relu_backward), x)

and runs on any submission by ``pytest --tinygan-impl submission/relu.py``, each exercise in a
process of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tinygan.gradcheck import NotCheckable, check_gradients
from tinygan.gradcheck.output import check_output
from tinygan.grading.gradescope import Scores
from tinygan.grading.implementation import Implementation
from tinygan.grading.isolation import Isolation, Worker

VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")


def pytest_addoption(parser):
    group = parser.getgroup("tinygan", "grading of layers with hand-written gradients")
    group.addoption(
        "--tinygan-impl",
        metavar="PATH",
        help="the submission that the fixture impl loads: a file, or a folder that holds the file "
        "each test module names as IMPLEMENTATION",
    )
    group.addoption(
        "--gradescope-json",
        metavar="PATH",
        help="write scores in the format of Gradescope's autograder (results.json)",
    )
    group.addoption(
        "--tinygan-timeout",
        type=float,
        default=20.0,
        metavar="SECONDS",
        help="time limit of one test, unless it is marked time_limit (default 20)",
    )
    group.addoption(
        "--tinygan-isolate",
        choices=("auto", "yes", "no"),
        default="auto",
        help="run each exercise (test module) in a process of its own; auto: when a submission or "
        "a file of scores is given",
    )
    group.addoption("--tinygan-worker", help="(internal) where a worker process reports to")


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "points(n, visibility='visible'): what a test is worth, and when students see its outcome: "
        + ", ".join(VISIBILITIES),
    )
    config.addinivalue_line("markers", "time_limit(seconds): how long a test may take")
    option = config.getoption
    if option("--tinygan-worker"):
        config.pluginmanager.register(Worker(option("--tinygan-worker")), "tinygan-worker")
        return
    isolate = option("--tinygan-isolate")
    wanted = option("--tinygan-impl") or option("--gradescope-json")
    if isolate == "yes" or (isolate == "auto" and wanted and not option("--pdb")):
        config.pluginmanager.register(Isolation(config), "tinygan-isolation")
    if option("--gradescope-json"):
        path = Path(option("--gradescope-json"))
        if not path.parent.is_dir():
            raise pytest.UsageError(f"--gradescope-json: there is no folder {path.parent}")
        config.pluginmanager.register(Scores(path), "tinygan-scores")


def pytest_collection_modifyitems(items):
    for item in items:
        marker = item.get_closest_marker("points")
        if marker is None:
            continue
        points = marker.args[0] if marker.args else marker.kwargs.get("n")
        visibility = marker.kwargs.get("visibility", "visible")
        number = isinstance(points, (int, float)) and not isinstance(points, bool)
        if not number or points < 0:
            raise pytest.UsageError(
                f"{item.nodeid}: points: expected a number of at least 0, got {points!r}"
            )
        if visibility not in VISIBILITIES:
            raise pytest.UsageError(
                f"{item.nodeid}: points: visibility: expected one of {', '.join(VISIBILITIES)}, "
                f"got {visibility!r}"
            )


@pytest.fixture
def gradcheck():
    """`tinygan.check_gradients`: raises, with the likely cause, if a gradient is wrong."""
    return check_gradients


@pytest.fixture
def outputcheck():
    """``outputcheck(y, due)`` fails if the output is not the one that is due, and says where."""

    def check(y, due, rtol=1e-6):
        wrong = check_output(y, due, rtol)
        assert wrong is None, wrong.text

    return check


@pytest.fixture
def impl(request):
    """The submission under test: its functions and classes as attributes.

    Without ``--tinygan-impl`` it is the file that the test module names as ``IMPLEMENTATION``, as
    seen from the folder pytest was started for (its rootdir).
    """
    named = getattr(request.module, "IMPLEMENTATION", None)
    given = request.config.getoption("--tinygan-impl")
    root = Path(request.config.rootpath)
    if given is None:
        if named is None:
            pytest.fail(
                "impl: give --tinygan-impl PATH, or set IMPLEMENTATION in the test module",
                pytrace=False,
            )
        path = root / named
    else:
        path = Path(request.config.invocation_params.dir, given)
        if path.is_dir():
            if named is None:
                pytest.fail(
                    f"impl: {path} is a folder and the test module names no IMPLEMENTATION",
                    pytrace=False,
                )
            inside = path / named
            path = inside if inside.exists() else path / Path(named).name
    return Implementation(path)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the student what was found, without the lines of the test that found it."""
    outcome = yield
    report = outcome.get_result()
    if call.excinfo is not None and report.failed and "impl" in item.fixturenames:
        report.tinygan_message = report.longrepr = _message(call.excinfo)


def _message(excinfo) -> str:
    text = str(excinfo.value).strip()
    if excinfo.errisinstance(pytest.fail.Exception):
        return text
    if excinfo.errisinstance(NotCheckable):
        return text
    if excinfo.errisinstance(NotImplementedError):
        return f"not written yet: {text}"
    if excinfo.errisinstance(AssertionError):
        return text or "a test's condition does not hold"
    last = excinfo.traceback[-1]
    where = f"{last.path.name}, line {last.lineno + 1}: {str(last.statement).strip()}"
    return f"{excinfo.typename}: {text}\n  in {where}"
