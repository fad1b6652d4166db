"""A grid of options, several seeds each, within a budget of time: what is best, and how surely?

    python -m benchmarks.sweep SYSTEM --vary NAME=A,B,… [--vary …] [--set NAME=VALUE …]
        [--pictures N] [--seeds 3] [--minutes 60] [--runs DIR] [--out FILE.json]

Trains each cell of the grid with each seed by `tinygan.fit`, and keeps the score that the system
gives itself at its last checkpoint (lower is better), the best one, and the speed.  With
``--pictures N`` every run sees as many pictures, whatever its batch size.  All cells get their
first seed before any gets its second.  When the minutes are over the run under way is saved; the
same command goes on there.  Numbers alone are kept in ``--out``; another grid may add its own.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.trained import Record, trained
from tinygan import commands
from tinygan.commands import Parser
from tinygan.errors import DivergedError, UserError
from tinygan.options.base import Options, fields_of
from tinygan.options.kinds import number, whole
from tinygan.runs.run import Run
from tinygan.runs.watched import read_watch
from tinygan.systems import find

__all__ = ["BudgetSpentError", "cells", "measured", "sweep", "table"]

HERE = Path(__file__).parent


class BudgetSpentError(Exception):
    """The minutes are over."""


def cells(vary: dict[str, list]) -> list[dict[str, Any]]:
    """Return every combination of the values.

    Examples
    --------
    >>> cells({"lr": [0.1, 0.2], "batch_size": [4]})
    [{'lr': 0.1, 'batch_size': 4}, {'lr': 0.2, 'batch_size': 4}]
    """
    return [dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values())]


def sweep(
    system: str,
    grid: list[dict[str, Any]],
    common: dict[str, Any],
    seeds: Iterable[int],
    record: Record,
    runs: Path,
    pictures: int | None = None,
    spent: Callable[[], bool] = lambda: False,
) -> None:
    """Train and measure every cell of `grid` with every seed that `record` has no row of.

    Parameters
    ----------
    system : str
    grid : list of dict
        Options by name, a dictionary for each cell.
    common : dict
        The options of all cells.
    seeds : iterable of int
    record : Record
    runs : Path
        Where runs are while they are trained.
    pictures : int, optional
        How many each run sees, in place of the option ``steps``.
    spent : callable
        Whether the time is over; asked before each run, and after each of its steps.

    Raises
    ------
    BudgetSpentError
        When it is; the run under way is saved.
    """

    def stop(*_: Any) -> None:
        if spent():
            raise BudgetSpentError

    for seed, cell in itertools.product(seeds, grid):
        options = {**common, **cell, "seed": seed}
        if pictures is not None:
            batch = options.get("batch_size") or find(system).Options().batch_size
            options["steps"] = max(1, pictures // batch)
        rare = {"sample_every": options["steps"], "checkpoint_every": max(1, options["steps"] // 4)}
        name = " ".join([system, *(f"{key}={value}" for key, value in options.items())])
        folder = runs / f"{system}-{zlib.crc32(name.encode()):08x}"

        def measure(
            options: dict = rare | options, cell: dict = cell, folder: Path = folder
        ) -> dict:
            stop()
            row = {"cell": cell, "seed": options["seed"], "steps": options["steps"]}
            try:
                row |= measured(trained(system, options, folder, [stop]))
            except DivergedError as error:
                row |= {"diverged": error.step}
            shutil.rmtree(folder, ignore_errors=True)
            return row

        record.row(name, measure)


def measured(run: Run) -> dict[str, Any]:
    """Return a run's last and best score, and how many pictures it learnt from in a second."""
    scores = [line for line in read_watch(Path(run.path or "") / "watch.jsonl") if "score" in line]
    if not scores:
        raise UserError(f"a {run.system.name} gives itself no score on these data: nothing to rank")
    seconds = float(np.median([row["seconds"] for row in run.history]))
    references = {k: v for k, v in scores[-1].items() if k not in ("step", "score")}
    return {
        "score": scores[-1]["score"],
        "best": min(line["score"] for line in scores),
        "pictures_a_second": round(run.options.batch_size / seconds, 2),
        **references,
    }


def table(rows: Iterable[dict[str, Any]]) -> str:
    """Return the cells, the best first: mean ± deviation over the seeds, worst, speed."""
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault(tuple(row["cell"].items()), []).append(row)
    names = list(dict.fromkeys(name for cell in groups for name, _ in cell))
    lines = []
    for cell, found in groups.items():
        scores = [row["score"] for row in found if "score" in row]
        spread = f" ± {np.std(scores, ddof=1):.3f}" if len(scores) > 1 else ""
        speed = [row["pictures_a_second"] for row in found if "score" in row]
        texts = [str(dict(cell).get(name, "")) for name in names] + [str(len(found))]
        if scores:
            texts += [f"{np.mean(scores):.3f}{spread}", f"{max(scores):.3f}"]
            texts += [f"{np.median(speed):.0f}"]
        else:
            texts += ["–", "–", "–"]
        texts.append(f"{len(found) - len(scores)} of {len(found)}")
        lines.append((np.mean(scores) if scores else np.inf, f"| {' | '.join(texts)} |"))
    heads = [*names, "seeds", "score", "worst", "pictures/s", "diverged"]
    rule = "|" + "---|" * len(names) + "---:|" * 5
    return "\n".join([f"| {' | '.join(heads)} |", rule, *(line for _, line in sorted(lines))])


def read(cls: type[Options], words: list[str], many: bool) -> dict[str, Any]:
    """Return what ``NAME=VALUE`` or ``NAME=A,B`` stand for, each value of its option's kind."""
    kinds = {field.name: field.metadata["kind"] for field in fields_of(cls)}
    found: dict[str, Any] = {}
    for word in words:
        name, sign, text = word.partition("=")
        name = name.replace("-", "_")
        if not sign or name not in kinds:
            raise UserError(f"{word}: expected NAME=VALUE with an option of this system")
        try:
            values = [kinds[name](part) for part in (text.split(",") if many else [text])]
        except argparse.ArgumentTypeError as error:
            raise UserError(f"{word}: {error}") from None
        found[name] = values if many else values[0]
    return found


def main(argv: list[str] | None = None) -> int:
    return commands.run("python -m benchmarks.sweep", lambda: _main(argv), "batch_size or width")


def _main(argv: list[str] | None) -> None:
    parser = Parser(description=__doc__.splitlines()[0])
    parser.add_argument("system")
    parser.add_argument("--vary", nargs="+", required=True, metavar="NAME=A,B")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE")
    parser.add_argument("--pictures", type=whole(1), metavar="N", help="in place of steps=")
    parser.add_argument("--seeds", type=whole(1), default=3, metavar="N")
    parser.add_argument("--minutes", type=number(0), default=60.0, metavar="M")
    parser.add_argument("--runs", type=Path, default=Path("runs/sweep"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "sweep.json")
    chosen = parser.parse_args(argv)
    end = time.monotonic() + 60 * chosen.minutes
    cls = find(chosen.system).Options
    vary, common = read(cls, chosen.vary, many=True), read(cls, chosen.set, many=False)
    if chosen.pictures is None and not (common.get("steps") or vary.get("steps")):
        raise UserError("say how long each run is: --pictures N, or --set steps=N")
    record = Record(chosen.out)
    try:
        sweep(
            chosen.system,
            cells(vary),
            common,
            range(chosen.seeds),
            record,
            chosen.runs,
            chosen.pictures,
            lambda: time.monotonic() > end,
        )
    except BudgetSpentError:
        print(f"the {chosen.minutes:g} minutes are over; the same command goes on")
    print(table(record.rows.values()))


if __name__ == "__main__":
    raise SystemExit(main())
