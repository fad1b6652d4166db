"""What the tests of training share: runs of a second or less."""

from __future__ import annotations

import json
from pathlib import Path

from tinygan.train.__main__ import main

TINY = [
    *("--dataset-size", "40"),
    *("--image-size", "16"),
    *("--width", "4"),
    *("--noise-size", "8"),
    *("--batch-size", "8"),
    *("--backend", "numpy"),
]


def train(*words, tiny: bool = True) -> int:
    """Run ``python -m tinygan.train`` in this process, on a tiny network; return its status."""
    return main([*(TINY if tiny else ()), *map(str, words)])


def rows(run: Path) -> list[dict]:
    text = (run / "metrics.jsonl").read_text("utf-8-sig")
    return [json.loads(line) for line in text.splitlines()]


def timeless(run: Path) -> list[dict]:
    """The metrics of a run without what differs from one time to another."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows(run)]
