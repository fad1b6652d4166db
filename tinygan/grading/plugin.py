"""The pytest plugin: fixtures for checking a submission, markers ``points`` and ``time_limit``.

It is found by pytest wherever tinygan is installed, and imports nothing of it until a fixture or an
option of grading asks.  A teacher's test reads::

    IMPLEMENTATION = "exercises/relu.py"

    @pytest.mark.points(2)
    def test_relu_gradient(impl, gradcheck):
        gradcheck((impl.relu, impl.relu_backward), x, output=np.maximum(x, 0))

and runs on any submission by ``pytest --tinygan-impl submission/relu.py``.  The test stays in
pytest's process; the functions of the submission run in another one and send back values.
"""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tinygan.grading import readable

VISIBILITIES = ("visible", "hidden", "after_due_date", "after_published")


def pytest_addoption(parser):
    group = parser.getgroup("tinygan", "grading of layers with hand-written gradients")
    add = group.addoption
    add("--tinygan-impl", metavar="PATH",
        help="the submission that the fixture impl opens: a file, or a folder that holds the file "
        "each test module names as IMPLEMENTATION")  # fmt: skip
    add("--gradescope-json", metavar="PATH",
        help="write scores in the format of Gradescope's autograder (results.json)")  # fmt: skip
    add("--tinygan-timeout", type=float, default=20.0, metavar="SECONDS",
        help="processor time of one test, unless it is marked time_limit (default 20)")  # fmt: skip
    add("--tinygan-total", type=float, default=540.0, metavar="SECONDS",
        help="time of all tests together (default 540; autograders give ten minutes)")  # fmt: skip
    add("--tinygan-memory", type=int, default=4096, metavar="MB",
        help="memory of a submission (default 4096)")  # fmt: skip
    add("--tinygan-isolate", choices=("auto", "yes", "no"), default="auto",
        help="run submissions in a process of their own, as another user where that is possible; "
        "auto: when a submission or a file of scores is given; yes: refuse where there is no "
        "other user")  # fmt: skip
    add("--tinygan-forbid", metavar="NAMES",
        help="what submissions may not import, separated by commas (default: frameworks that "
        "differentiate, tinygan's own layers)")  # fmt: skip
    add("--tinygan-cheats", choices=("withhold", "flag", "allow"), default="withhold",
        help="what a forbidden import or a numerical derivative does to points")  # fmt: skip
    add("--tinygan-with", action="append", default=[], metavar="FILE",
        help="a file of the teacher's to lie beside the submission")  # fmt: skip
    add("--tinygan-seed", type=int, default=0, metavar="N",
        help="of the fixture seed, for numbers that differ from student to student")  # fmt: skip


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "points(n, visibility='visible'): what a test is worth, and when students see its outcome: "
        + ", ".join(VISIBILITIES),
    )
    config.addinivalue_line("markers", "time_limit(seconds): how long a test may take")
    option, graded = config.getoption, None
    wanted = option("--tinygan-impl") or option("--gradescope-json")
    if not wanted and option("--tinygan-isolate") != "yes":
        return
    _without_xdist(config)
    from tinygan.grading.process import isolated, resource
    from tinygan.grading.session import Session

    if option("--tinygan-isolate") == "yes" and not isolated():
        raise pytest.UsageError(
            "--tinygan-isolate yes: another user can be had as root on Linux only (in a container)"
        )
    if resource is None or option("--pdb"):
        config.option.tinygan_isolate = "no"
    graded = Session(config)
    config.pluginmanager.register(graded, "tinygan-session")
    if option("--gradescope-json"):
        from tinygan.grading.gradescope import Scores

        path = Path(config.invocation_params.dir, option("--gradescope-json"))
        if not path.parent.is_dir():
            raise pytest.UsageError(f"--gradescope-json: there is no folder {path.parent}")
        config.pluginmanager.register(Scores(path, graded.note), "tinygan-scores")


def _without_xdist(config):
    """Grade in this process alone: scores come from one run, in order."""
    if getattr(config.option, "dist", "no") != "no" or getattr(config.option, "numprocesses", None):
        config.option.dist, config.option.tx, config.option.numprocesses = "no", [], None
        config.issue_config_time_warning(
            pytest.PytestWarning("grading runs in one process: pytest-xdist's -n is ignored"), 2
        )


def pytest_collection_modifyitems(items):
    for item in items:
        marker = item.get_closest_marker("points")
        if marker is None:
            continue
        points = marker.args[0] if marker.args else marker.kwargs.get("n")
        visibility = marker.kwargs.get("visibility", "visible")
        number = isinstance(points, (int, float)) and not isinstance(points, bool)
        if not number or not 0 <= points < float("inf"):
            raise pytest.UsageError(
                f"{item.nodeid}: points: expected a number of at least 0, got {points!r}"
            )
        if visibility not in VISIBILITIES:
            raise pytest.UsageError(
                f"{item.nodeid}: points: visibility: expected one of {', '.join(VISIBILITIES)}, "
                f"got {visibility!r}"
            )


@pytest.fixture
def gradcheck(outputcheck, request):
    """`tinygan.check_gradients`, which raises, with the likely cause, if a gradient is wrong.

    ``output=function`` gives the right forward pass: the submission's output is compared with it,
    and the gradients with differences of *it*.  ``output=array`` only compares the output.
    What is as right as float32 can be passes, with a note.
    """
    from tinygan.gradcheck import GradientError
    from tinygan.grading.judged import causes, graded, judged

    def check(subject, *arguments, output=None, rtol=1e-6, **options):
        checked = subject

        def compare(y, due):
            outputcheck(y, due, rtol, "the gradient counts only of the right function: ")

        if output is not None:
            right = output if callable(output) else lambda *given, **more: output
            right_subject = judged(subject, right, arguments, compare)
            if callable(output):
                checked = right_subject
            else:
                forward = right_subject[0] if isinstance(right_subject, tuple) else right_subject
                forward(*copy.deepcopy(arguments), **options.get("options", {}))
        raises = options.pop("raises", True)
        report, note = graded(checked, *arguments, **options)
        if not report.ok:
            report = dataclasses.replace(report, causes=causes(subject, arguments, options, report))
        if raises and not report.ok:
            raise GradientError(report)
        if note:
            request.node.user_properties.append(("note", note))
        return report

    return check


@pytest.fixture
def outputcheck():
    """``outputcheck(y, due)`` fails if the output is not the one that is due, and says where."""

    def check(y, due, rtol=1e-6, before=""):
        from tinygan.gradcheck.output import check_output
        from tinygan.grading.judged import SINGLE, in_float32, real

        y = real(y[0] if isinstance(y, tuple) and len(y) == 1 else y)
        wrong = check_output(y, due, max(rtol, SINGLE) if in_float32(y) else rtol)
        if wrong is not None:
            half = getattr(y, "dtype", None) == "float16"
            hint = "; it is float16: create arrays with dtype=x.dtype" if half else ""
            pytest.fail(f"{before}wrong output: {wrong.text}{hint}", pytrace=False)

    return check


@pytest.fixture
def seed(request):
    """A number of the student's own: ``--tinygan-seed``."""
    return request.config.getoption("--tinygan-seed")


@pytest.fixture
def credit(request):
    """``credit(0.4)``: from here on 40 % of the points more are earned, whatever follows."""
    earned = []

    def add(share):
        earned.append(share)
        request.node.user_properties[:] = [
            *(p for p in request.node.user_properties if p[0] != "credit"),
            ("credit", round(sum(earned), 9)),
        ]

    return add


@pytest.fixture
def impl(request):
    """The submission under test: its functions as attributes; ``impl.run(driver, …)`` for more.

    Without ``--tinygan-impl`` it is the file that the test module names as ``IMPLEMENTATION``, as
    seen from the folder pytest was started for (its rootdir).
    """
    named = getattr(request.module, "IMPLEMENTATION", None)
    config = request.config
    given = config.getoption("--tinygan-impl")
    if named is None and (given is None or Path(config.invocation_params.dir, given).is_dir()):
        pytest.fail(
            "impl: give --tinygan-impl FILE, or set IMPLEMENTATION in the test module",
            pytrace=False,
        )
    from tinygan.grading.session import submission

    path = submission(config, named)
    session = config.pluginmanager.get_plugin("tinygan-session")
    if session is None:
        from tinygan.grading.implementation import LocalModule, find_file

        return LocalModule(find_file(path, named))
    opened = session.open(path, named or path.name, request)
    request.node.stash[_OPENED] = opened
    return opened


_OPENED: Any = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the student what was found, without the lines of the test that found it."""
    outcome = yield
    report = outcome.get_result()
    opened = item.stash.get(_OPENED, None)
    note = opened._note() if call.when == "call" and hasattr(opened, "_note") else ""
    if note and report.passed:
        report.user_properties.append(("note", note))
    if call.when == "call" and report.passed and getattr(opened, "_seen", ()):
        report.user_properties.append(("flagged", readable("; ".join(opened._seen))))
    if call.excinfo is not None and report.failed and "impl" in getattr(item, "fixturenames", ()):
        text = readable(_message(call.excinfo))
        text += f"\nnote: {note}" if note else ""
        printed = getattr(opened, "_printed", None)
        tail = readable(printed()[-2000:]).strip() if printed is not None else ""
        report.tinygan_message = report.longrepr = f"{text}\nprinted: {tail}" if tail else text


def _message(excinfo) -> str:
    text = str(excinfo.value).strip()
    name = excinfo.typename
    if excinfo.errisinstance(pytest.fail.Exception) or name in ("NotCheckable", "GradientError"):
        return text
    if excinfo.errisinstance(NotImplementedError):
        return f"not written yet: {text}"
    if excinfo.errisinstance(AssertionError):
        return text.partition("\nassert ")[0] or "a test's condition does not hold"
    if name == "MemoryError":
        text = text or "more memory than a submission may use"
    if name == "TypeError" and "NoneType" in text:
        text += ": a function returned None; is a return missing?"
    where = getattr(excinfo.value, "where", None)
    if where is None:
        last: Any = excinfo.traceback[-1] if len(excinfo.traceback) else None
        try:
            where = f"{last.path.name}, line {last.lineno + 1}: {str(last.statement).strip()}"
        except Exception:
            where = ""
    return f"{name}: {text}" + (f"\n  in {where}" if where else "")
