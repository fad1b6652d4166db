"""``watch.jsonl``: how varied a run's samples and how far they were, and what was warned of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["read_watch"]

_LONGEST = 1 << 16  # bytes; lines have a few hundred
_LOOK = ("diversity", "nearest", "data_diversity", "data_nearest")


def read_watch(path: Path) -> list[dict[str, Any]]:
    """Return the lines of the file, up to the first that is cut or damaged; none without a file.

    Each has its ``step``, and the numbers of a look at the samples, a ``score`` and what to compare
    it with, or the words of a warning.
    """
    lines: list[dict[str, Any]] = []
    if not path.is_file():
        return lines
    with open(path, "rb") as file:
        while (line := _line(file.readline(_LONGEST))) is not None:
            lines.append(line)
    return lines


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(line, dict) or not _is_number(line.get("step")):
        return None
    if all(_is_number(line.get(name)) for name in _LOOK):
        return line
    if "score" in line:
        return line if all(map(_is_number, line.values())) else None
    words = [line.get(name) for name in ("warning", "text")]
    return line if all(isinstance(word, str) for word in words) else None


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) < 1e15  # no NaN is
