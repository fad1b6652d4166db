"""``losses.png``: the curves of a run, as the papers' figures have them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tinygan.files import replaced
from tinygan.machine.figure import new_figure
from tinygan.runs.metrics import curve
from tinygan.systems.system import Panel

__all__ = ["plot_losses"]

_POINTS = 1500  # more could not be told apart at the size of the figure


def plot_losses(rows: Sequence[dict], panels: Sequence[Panel], path: Path) -> None:
    """Draw metrics over the steps, one panel above the other.

    Parameters
    ----------
    rows : sequence of dict
        The rows of ``metrics.jsonl``.
    panels : sequence of Panel
    path : Path
        The PNG; it is replaced in one go.

    Notes
    -----
    Each curve is drawn pale as it is, and strong as a running mean over about a fortieth of it.
    """
    figure = new_figure(figsize=(8, 1 + 3.2 * len(panels)), layout="constrained")
    for axes, panel in zip(
        figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True
    ):
        for i, (label, name) in enumerate(panel.lines.items()):
            x, y = _thinned(*curve(rows, name))
            if not len(x):  # all steps were taken before the metric existed
                continue
            axes.plot(x, y, color=f"C{i}", alpha=0.25, linewidth=0.8)
            axes.plot(x, _smoothed(y), color=f"C{i}", linewidth=1.6, label=label)
        axes.set(title=panel.title, xlabel="step", ylim=panel.limits)
        axes.grid(alpha=0.3)
        axes.legend(loc="upper right")
    with replaced(path) as beside:
        figure.savefig(beside, format="png", dpi=100)


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    group = -(-len(x) // _POINTS)
    if group <= 1:
        return x, y
    ends = np.arange(0, len(x), group)
    counts = np.diff(np.append(ends, len(x)))
    return np.add.reduceat(x, ends) / counts, np.add.reduceat(y, ends) / counts


def _smoothed(y: np.ndarray) -> np.ndarray:
    """Return the running mean; at both ends over as much as there is."""
    half = max(1, len(y) // 80)
    total = np.concatenate([[0.0], np.cumsum(y)])
    i = np.arange(len(y))
    low, high = np.maximum(i - half, 0), np.minimum(i + half + 1, len(y))
    return (total[high] - total[low]) / (high - low)
