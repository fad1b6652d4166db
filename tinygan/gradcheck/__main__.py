"""``python -m tinygan.gradcheck``: check hand-written gradients, tinygan's own or a file's."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from pathlib import Path

from tinygan.cases import LAYERS, LOSSES
from tinygan.commands import Parser, complain, run, say, say_json
from tinygan.gradcheck.check import check_gradients
from tinygan.gradcheck.files import check_named
from tinygan.gradcheck.likes import LIKES
from tinygan.gradcheck.plot import plot_report
from tinygan.gradcheck.subject import NotCheckable
from tinygan.options.kinds import whole

RIGHT, WRONG, NOT_CHECKABLE = 0, 1, 2


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.gradcheck") -> int:
    """Run the command and return its exit status: 0 right, 1 wrong, 2 not checkable."""
    return run(prog, lambda: _main(argv, prog))


def _main(argv, prog) -> int:
    parser = Parser(
        prog=prog,
        description="Check hand-written gradients against central differences: those of a layer or "
        "of a pair of functions (foo and foo_backward) in a file or, without one, all of "
        "tinygan's own.  Exit status: 0 right, 1 wrong, 2 not checkable.",
    )
    parser.add_argument(
        "target", nargs="?", metavar="FILE.py:NAME", help="what to check; or NOTEBOOK.ipynb:NAME"
    )
    parser.add_argument(
        "--like",
        metavar="LAYER",
        help="call it as this layer or loss of tinygan is called, and compare the output too: "
        + ", ".join(LIKES),
    )
    parser.add_argument("--plot", metavar="PNG", help="draw where the gradient is wrong")
    parser.add_argument(
        "--seed", type=whole(0), default=0, help="of the random numbers (default 0)"
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=60,
        metavar="SECONDS",
        help="for each set of arguments (default 60)",
    )
    parser.add_argument("--verbose", action="store_true", help="print every tensor's verdict")
    parser.add_json()
    options = parser.parse_args(argv)
    if options.target is None:
        if options.like or options.plot:
            parser.error("--like and --plot need FILE.py:NAME")
        return _check_tinygan(options)
    if ":" not in options.target:
        parser.error(f"expected FILE.py:NAME, got {options.target!r}")
    if options.plot and not Path(options.plot).absolute().parent.is_dir():
        parser.error(f"--plot: there is no folder {Path(options.plot).parent}")
    return _check_file(options)


def _check_file(options) -> int:
    path, _, name = options.target.rpartition(":")
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            reports = check_named(path, name, options.like, options.seed, options.time_limit)
    except ValueError as error:  # NotCheckable, or an unknown --like
        complain(f"not checkable: {error}")
        return NOT_CHECKABLE
    wrong = [report for report in reports if not report.ok]
    tell = (lambda text: None) if options.json else say
    if options.json:
        say_json([report.as_dict() for report in reports])
    tell(str(wrong[0] if wrong else reports[0]))
    if printed.getvalue():
        tell(f"(what {Path(path).name} prints is not shown)")
    if len(reports) > 1:
        tell(f"{len(reports)} sets of arguments: {len(wrong)} wrong")
    if options.plot:
        try:
            plot_report(wrong[0] if wrong else reports[0], options.plot)
            tell(f"picture: {options.plot}")
        except ValueError as error:
            complain(f"--plot: {error}")
    return WRONG if wrong else RIGHT


def _check_tinygan(options) -> int:
    checks, wrong, reports = [], 0, {}
    tell = (lambda text: None) if options.json else say
    cases = [(case, case.make()) for case in LAYERS] + [(case, case.loss) for case in LOSSES]
    for case, subject in cases:
        try:
            report = check_gradients(subject, case.x(), seed=options.seed, raises=False)
        except NotCheckable as error:
            complain(f"{case.id}: not checkable: {error}")
            return NOT_CHECKABLE
        checks += report.checks
        wrong += not report.ok
        reports[case.id] = report
        tell(f"{'ok   ' if report.ok else 'WRONG'} {case.id}: worst {report.worst.error:.1e}")
        if options.verbose or not report.ok:
            tell("\n".join(f"      {line}" for line in (*report.checks, *report.causes)))
    worst = max(check.error for check in checks)
    numbers = sum(check.count for check in checks)
    if options.json:
        say_json([{**report.as_dict(), "case": name} for name, report in reports.items()])
    tell(
        f"{len(cases)} cases, {len(checks)} tensors, {numbers} differences: "
        f"{wrong} wrong, worst relative error {worst:.1e}"
    )
    return WRONG if wrong else RIGHT


if __name__ == "__main__":
    sys.exit(main())
