"""``python -m tinygan.gradcheck``: check the gradients of all of tinygan's layers and losses."""

from __future__ import annotations

import argparse
import sys

from tinygan.gradcheck.cases import LAYERS, LOSSES
from tinygan.gradcheck.check import check_gradients


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.gradcheck") -> int:
    """Run the command and return its exit status: 0 right, 1 wrong."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description="Check every hand-written gradient of tinygan against central differences.",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the directions (default 0)")
    parser.add_argument("--verbose", action="store_true", help="print every tensor's verdict")
    options = parser.parse_args(argv)
    checks, wrong = [], 0
    cases = [(case, case.make()) for case in LAYERS] + [(case, case.loss) for case in LOSSES]
    for case, subject in cases:
        report = check_gradients(subject, case.x(), seed=options.seed, raises=False)
        checks += report.checks
        wrong += not report.ok
        print(f"{'ok   ' if report.ok else 'WRONG'} {case.id}: worst {report.worst.error:.1e}")
        if options.verbose or not report.ok:
            print("\n".join(f"      {check}" for check in report.checks))
    worst = max(check.error for check in checks)
    numbers = sum(check.count for check in checks)
    print(
        f"{len(cases)} cases, {len(checks)} tensors, {numbers} differences: "
        f"{wrong} wrong, worst relative error {worst:.1e}"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
