"""What a system says to people, read from a ``.toml`` file beside its module."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygan.systems.system import Panel, System

__all__ = ["Words", "read_words"]


@dataclass(frozen=True)
class Words:
    """Charts and how to read them, and what to try; see `System`."""

    panels: tuple[Panel, ...]
    score_panel: Panel
    advice: dict[str, str]


def read_words(path: Path) -> Words:
    """Return what stands in a file: ``[[panels]]``, ``[advice]`` and maybe a ``[score_panel]``."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    score = table.get("score_panel")
    return Words(
        tuple(_panel(**panel) for panel in table["panels"]),
        System.score_panel if score is None else _panel(**score),
        table["advice"],
    )


def _panel(text: list[str], limits: list[float] | None = None, **rest: Any) -> Panel:
    return Panel(text=tuple(text), limits=(limits[0], limits[1]) if limits else None, **rest)
