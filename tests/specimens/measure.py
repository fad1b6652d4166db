"""``python tests/specimens/measure.py [--held-out]``: missed, accused, causes right, wrong, silent.

Without the option the rows of the developed half and of ``tests/mutants`` are printed one by one;
of the held-out half only ever the sums.
"""

import sys
from collections import Counter
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parents[i]) for i in (1, 2)]

import mutants  # noqa: E402

from specimens import DEVELOPED, HELD_OUT, RIGHT  # noqa: E402


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
    show = "--held-out" not in sys.argv
    sets = {"mutants": mutants.WRONG + mutants.RIGHT, "developed": DEVELOPED, "right": RIGHT}
    sets["held out"] = HELD_OUT
    for name, specimens in sets.items():
        counts = Counter()
        for specimen in specimens:
            verdict, said = judge(specimen)
            counts[verdict] += 1
            if show and name != "held out" and verdict not in ("right", "fine"):
                print(f"  {verdict}: {specimen.id} [{specimen.cause}] {said[:300]}")
        wrong = sum(counts[k] for k in ("right", "wrong", "silent", "missed"))
        shares = {k: f"{counts[k] / wrong:.1%}" for k in ("right", "wrong", "silent") if wrong}
        print(f"{name}: {len(specimens)} specimens, {dict(counts)} {shares}")


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
