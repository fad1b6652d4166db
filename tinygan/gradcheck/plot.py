"""A picture of where a gradient is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinygan.files import replaced
from tinygan.gradcheck.report import GradientReport
from tinygan.machine.figure import new_figure

__all__ = ["plot_report"]


def plot_report(report: GradientReport, path) -> Path:
    """Draw analytic and numeric gradients and their difference, a row for each tensor.

    Parameters
    ----------
    report : GradientReport
        Of which the tensors that were compared element by element are shown.
    path : path
        The picture (``.png``, ``.pdf``, …).  An existing file is replaced.

    Returns
    -------
    Path

    Raises
    ------
    ValueError
        If no tensor was compared element by element.
    """
    path = Path(path)
    shown = [check for check in report.checks if check.analytic_gradient is not None]
    if not shown:
        raise ValueError(f"{report.subject}: no tensor was compared element by element: no picture")
    figure = new_figure(figsize=(11, 1 + 2.6 * len(shown)), layout="constrained")
    rows = figure.subplots(len(shown), 3, squeeze=False)
    for check, axes in zip(shown, rows, strict=True):
        half = len(check.shape) // 2
        across = int(np.prod(check.shape[half:]))  # the first half of the axes goes downwards
        a, n = (
            np.asarray(g).reshape(-1, across)
            for g in (check.analytic_gradient, check.numeric_gradient)
        )
        size = np.nanmax(np.abs(np.concatenate([a, n]))) or 1.0
        for axis, values, title in zip(
            axes, (a, n, a - n), ("analytic", "numeric", "difference"), strict=True
        ):
            image = axis.imshow(
                values, cmap="RdBu", vmin=-size, vmax=size, aspect="auto", interpolation="nearest"
            )
            axis.set_title(title, fontsize=9)
            axis.set_xlabel(
                f"axes {', '.join(map(str, range(half, len(check.shape))))}", fontsize=8
            )
            axis.tick_params(labelsize=7)
        figure.colorbar(image, ax=list(axes), shrink=0.8)
        down, verdict = ", ".join(map(str, range(half))), "ok" if check.ok else "WRONG"
        axes[0].set_ylabel(f"{check.name} {check.shape}\n{verdict}\naxes {down}", fontsize=9)
    cause = f"\nlikely cause: {report.cause.kind} [{report.cause.tensor}]" if report.cause else ""
    verdict = "agree" if report.ok else "disagree"
    figure.suptitle(f"{report.subject}: gradients {verdict}{cause}", fontsize=10)
    with replaced(path) as beside:
        figure.savefig(beside, format=path.suffix.lstrip(".") or "png", dpi=110)
    return path
