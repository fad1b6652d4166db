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
        analytic, numeric = _flat(check.analytic_gradient), _flat(check.numeric_gradient)
        difference = analytic - numeric
        size = np.nanmax(np.abs(np.concatenate([analytic, numeric]))) or 1.0
        for axis, values, title in (
            (axes[0], analytic, "analytic"),
            (axes[1], numeric, "numeric"),
            (axes[2], difference, "difference"),
        ):
            image = axis.imshow(
                values, cmap="RdBu", vmin=-size, vmax=size, aspect="auto", interpolation="nearest"
            )
            axis.set_title(title, fontsize=9)
            axis.tick_params(labelsize=7)
        figure.colorbar(image, ax=list(axes), shrink=0.8)
        verdict = "ok" if check.ok else "WRONG"
        rows_are, columns_are = _labels(check.shape)
        axes[0].set_ylabel(f"{check.name} {check.shape}\n{verdict}\n{rows_are}", fontsize=9)
        for axis in axes:
            axis.set_xlabel(columns_are, fontsize=8)
    figure.suptitle(_title(report), fontsize=10)
    with replaced(path) as beside:
        figure.savefig(beside, format=path.suffix.lstrip(".") or "png", dpi=110)
    return path


def _flat(gradient):
    """Lay a tensor out as a picture: the first half of its axes downwards, the rest across."""
    g = np.asarray(gradient)
    down = int(np.prod(g.shape[: g.ndim // 2]))
    return g.reshape(down, -1)


def _labels(shape):
    names = [f"axis {i}" for i in range(len(shape))]
    half = len(shape) // 2
    return " · ".join(names[:half]), " · ".join(names[half:])


def _title(report):
    verdict = "gradients agree" if report.ok else "gradients disagree"
    cause = f"\nlikely cause: {report.cause.kind} [{report.cause.tensor}]" if report.cause else ""
    return f"{report.subject}: {verdict}{cause}"
