"""Which charts a run's report shows, and times in words."""

from __future__ import annotations

from collections.abc import Sequence

from tinygan.systems import SYSTEMS, find
from tinygan.systems.system import Panel, System

__all__ = ["duration", "panels", "score_panel"]


def panels(system: object, metrics: list[str], given: Sequence[Panel] | None) -> list[Panel]:
    """Return the panels `given`, else those of a system that tinygan has, else one with all."""
    if given is None and system in SYSTEMS:
        given = find(str(system)).panels
    found = [panel for panel in given or () if set(panel.lines.values()) <= set(metrics)]
    return found or [Panel("Metrics", {name: name for name in metrics})]


def score_panel(system: object) -> Panel:
    """Return the chart of distances of a system that tinygan has, else the usual one."""
    return find(str(system)).score_panel if system in SYSTEMS else System.score_panel


def duration(seconds: float) -> str:
    """Return seconds as ``m:ss`` or ``h:mm:ss``.

    Examples
    --------
    >>> duration(75), duration(3675)
    ('1:15', '1:01:15')
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
