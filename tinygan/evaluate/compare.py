"""Measures of several runs, side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinygan.evaluate.measure import FLOOR

__all__ = ["compared", "shortened"]


def shortened(paths: Sequence[Path]) -> list[str]:
    """Return a name for each path, no longer than it takes to tell them apart.

    Examples
    --------
    >>> shortened([Path("runs/a"), Path("runs/b")]), shortened([Path("a/run"), Path("b/run")])
    (['a', 'b'], ['a/run', 'b/run'])
    """
    full = [os.path.abspath(path).replace(os.sep, "/") for path in paths]
    words = [name.split("/") for name in full]
    for count in range(1, max(map(len, words)) + 1):
        names = ["/".join(parts[-count:]) for parts in words]
        if len(set(names)) == len(names):
            return names
    return [f"{name} ({i + 1})" for i, name in enumerate(full)]  # the same one twice


def compared(found: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a result for each thing that runs do, of which the sets are the runs.

    Parameters
    ----------
    found : dict
        Name of a run → what its ``measures.json`` holds.

    Returns
    -------
    list of dict
        As `measure_subject` returns; the floor is there if all runs have the same.
    """
    titles: dict[str, dict[str, dict[str, Any]]] = {}
    for name, value in found.items():
        for result in value["results"]:
            titles.setdefault(result["title"], {})[name] = result
    made = []
    for title, results in titles.items():
        floors = [result["sets"].get(FLOOR) for result in results.values()]
        same = all(floor == floors[0] for floor in floors)
        sets = {FLOOR: floors[0]} if same and floors[0] else {}
        sets |= {name: list(result["sets"].values())[-1] for name, result in results.items()}
        about = {
            key: " / ".join(dict.fromkeys(str(result[key]) for result in results.values()))
            for key in ("pictures", "features")
        }
        note = "" if same else " (compared with different data)"
        made.append({"title": title + note, **about, "sets": sets})
    return made
