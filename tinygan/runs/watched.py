"""``watch.jsonl``: how varied a run's samples were, and the warnings that were given."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["read_watch"]


def read_watch(path: Path) -> list[dict]:
    """Return the lines of the file; none if there is no such file, all whole ones if it was cut."""
    lines = []
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            lines.append(json.loads(text))
        except ValueError:
            break
    return lines
