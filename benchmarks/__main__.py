"""``python -m benchmarks``: measure, write JSON, redraw the plots and the tables of the README."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from benchmarks import plots, report, targets
from benchmarks.contest import ROOT
from benchmarks.machine import describe, kind
from benchmarks.sections import GPU_SECTIONS, SECTIONS, Options

HERE = ROOT / "benchmarks"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a minute in all, at small sizes; prints its tables and leaves the README alone",
    )
    parser.add_argument(
        "--only", metavar="A,B", help=f"only these sections, of {', '.join(SECTIONS)}"
    )
    parser.add_argument("--backend", choices=("numpy", "cupy"), default="numpy")
    parser.add_argument(
        "--tf32", action="store_true", help="with cupy: TF32 on, for PyTorch too; else off for both"
    )
    parser.add_argument("--rounds", type=int, help="turns of each contestant (5, quick: 3)")
    parser.add_argument(
        "--output",
        type=Path,
        help="folder of the JSON files (benchmarks/results/KIND, with --quick: none are written)",
    )
    parser.add_argument(
        "--redraw", action="store_true", help="measure nothing: tables and plots from the JSON"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="measure nothing: print what is under its target; fail if anything is",
    )
    chosen = parser.parse_args(arguments)
    if chosen.check:
        sys.exit(check(report.load(HERE / "results")))
    sections = SECTIONS | (GPU_SECTIONS if chosen.backend == "cupy" else {})
    wanted = chosen.only.split(",") if chosen.only else list(sections)
    for name in wanted:
        if name not in sections:
            parser.error(f"--only: expected sections of {', '.join(sections)}, got {name!r}")
    if chosen.tf32 and chosen.backend == "numpy":
        parser.error("--tf32 is a GPU's: it needs --backend cupy")
    if chosen.rounds is not None and chosen.rounds < 1:
        parser.error(f"--rounds: expected at least 1, got {chosen.rounds}")

    os.environ["CUPY_TF32"] = "1" if chosen.tf32 else "0"  # the workers inherit it
    suffix = f"{chosen.backend}-tf32" if chosen.tf32 else chosen.backend
    options = Options(chosen.backend, chosen.quick, chosen.rounds or (3 if chosen.quick else 5))
    folder = chosen.output or (None if chosen.quick else HERE / "results" / kind(chosen.backend))
    for name in [] if chosen.redraw else wanted:
        about, start, rows = describe(chosen.backend), time.perf_counter(), []
        result = {"section": name, "quick": chosen.quick, "rounds": options.rounds, "about": about}
        print(f"--- {name}", flush=True)
        for row in sections[name](options):
            rows.append(row)
            result |= {"seconds": time.perf_counter() - start, "rows": rows}
            if folder is not None:  # now, for it may be cut before the next row is there
                folder.mkdir(parents=True, exist_ok=True)
                path = folder / f"{name}-{suffix}.json"
                path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        print(report.table(result), flush=True)
    if not chosen.quick and chosen.output is None:
        records = report.load(HERE / "results")
        for name, results in records.items():
            plots.draw(results, HERE / "plots" / name)
        for readme in (HERE / "README.md", ROOT / "README.md"):
            report.refresh(readme, records)


def check(records: dict[str, dict[str, dict]]) -> int:
    """Print the rows under their targets, by kind of processor; return 1 if there are any."""
    missed = 0
    for name, results in records.items():
        rows = targets.rows(name, results)
        under = sum(not row.met for row in rows)
        print(f"{name}: {under} of {len(rows)} rows under their targets")
        if under:
            print(targets.table(name, results, missed_only=True))
        missed += under
    return 1 if missed else 0


if __name__ == "__main__":
    main()
