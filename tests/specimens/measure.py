"""``python tests/specimens/measure.py [--third … --thirteenth]``: missed, accused, and causes.

The rows of ``tests/mutants`` and of the second set, which the diagnosis is developed with, are
printed one by one where the verdict is not the right one.  ``--third``, ``--fourth``, ``--fifth``,
``--sixth`` and so on to ``--thirteenth`` measure those sets, of which only the sums are printed.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[i]) for i in (1, 2)]

import mutants  # noqa: E402

from specimens import RIGHT, WRONG  # noqa: E402
from specimens.eighth import EIGHTH  # noqa: E402
from specimens.eleventh import ELEVENTH  # noqa: E402
from specimens.fifth import FIFTH  # noqa: E402
from specimens.fourth import FOURTH  # noqa: E402
from specimens.ninth import NINTH  # noqa: E402
from specimens.seventh import SEVENTH  # noqa: E402
from specimens.sixth import SIXTH  # noqa: E402
from specimens.tenth import TENTH  # noqa: E402
from specimens.third import THIRD  # noqa: E402
from specimens.thirteenth import THIRTEENTH  # noqa: E402
from specimens.twelfth import TWELFTH  # noqa: E402


def judge(specimen, seed=0):
    """Return what became of one specimen, and the cause that was named."""
    try:
        report = specimen.check(seed)
    except ValueError as error:
        return ("accused" if not specimen.cause else "missed"), f"not checkable: {error}"
    if not specimen.cause:
        return ("fine" if report.ok else "accused"), str(report)
    if report.ok:
        return "missed", ""
    kind = report.cause.kind if report.cause else ""
    true = (specimen.cause, *specimen.also)
    if kind in true:
        return "right", kind
    if not kind:
        return ("right" if "wrong formula" in true else "silent"), ""
    return "wrong", f"{kind}: {report.cause.text}"


def main():
    later = {"third": THIRD, "fourth": FOURTH, "fifth": FIFTH, "sixth": SIXTH}
    later |= {"seventh": SEVENTH, "eighth": EIGHTH, "ninth": NINTH, "tenth": TENTH}
    later |= {"eleventh": ELEVENTH, "twelfth": TWELFTH, "thirteenth": THIRTEENTH}
    kept = {n: s for n, s in later.items() if f"--{n}" in sys.argv}
    sets = {"mutants": mutants.WRONG + mutants.RIGHT, "second": WRONG + RIGHT}
    for name, specimens in (kept or sets).items():
        counts: Counter = Counter()
        for specimen in specimens:
            verdict, said = judge(specimen)
            counts[verdict] += 1
            if not kept and verdict not in ("right", "fine"):
                print(f"  {verdict}: {specimen.id} [{specimen.cause}] {said[:300]}")
        wrong = sum(counts[k] for k in ("right", "wrong", "silent", "missed"))
        shares = {k: f"{counts[k] / wrong:.1%}" for k in ("right", "wrong", "silent")}
        print(f"{name}: {len(specimens)} specimens, {dict(counts)} {shares}")


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
