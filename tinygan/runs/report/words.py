"""Which charts a run's report shows."""

from __future__ import annotations

from collections.abc import Sequence

from tinygan.systems import SYSTEMS, find
from tinygan.systems.system import Panel

__all__ = ["panels"]


def panels(system: object, metrics: list[str], given: Sequence[Panel] | None) -> list[Panel]:
    """Return the panels `given`, else those of a system that tinygan has, else one with all."""
    if given is None and system in SYSTEMS:
        given = find(str(system)).panels
    found = [panel for panel in given or () if set(panel.lines.values()) <= set(metrics)]
    return found or [Panel("Metrics", {name: name for name in metrics})]
