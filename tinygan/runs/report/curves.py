"""Curves as inline SVG: no picture, so they follow the page's colours, dark or light."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import ArrayLike

__all__ = ["Curve", "chart", "ticks"]

_BINS = 240  # points of a curve; more could not be told apart
_WIDTH, _HEIGHT = 720, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 14, 14, 44


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes
    ----------
    label : str
    steps, values : array of float
        Where it goes; long ones are averaged in bins, and a pale band shows their spread.
    """

    label: str
    steps: np.ndarray | list
    values: np.ndarray | list


def chart(
    curves: list[Curve],
    references: dict[str, float] | None = None,
    limits: tuple[float, float] | None = None,
    title: str = "",
) -> Markup:
    """Draw curves over the steps.

    Parameters
    ----------
    curves : list of Curve
        Colours come from the page's CSS classes ``c0``, ``c1``, ….
    references : dict of str to float, optional
        Dashed horizontal lines: label → value.
    limits : (float, float), optional
        Of the values; by default as the curves need.
    title : str
        What a screen reader says.

    Returns
    -------
    Markup
        An ``<svg>`` element; labels are escaped.
    """
    references = references or {}
    binned = [_binned(curve) for curve in curves if len(curve.steps)]
    if not binned:
        return Markup('<p class="note">Nothing to draw yet.</p>')
    first = min(x[0] for x, *_ in binned)
    last = max(x[-1] for x, *_ in binned)
    last = last if last > first else first + 1
    low, high = limits or _range([y for _, y, *_ in binned], references.values())

    def px(x: ArrayLike) -> np.ndarray:
        return _LEFT + (np.asarray(x, float) - first) / (last - first) * (_WIDTH - _LEFT - _RIGHT)

    def py(y: ArrayLike) -> np.ndarray:
        inside = np.clip(np.asarray(y, float), low, high)
        return _TOP + (high - inside) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for value in ticks(low, high):
        at = float(py(value))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" ')
        parts.append(
            f'y2="{at:.1f}"/><text class="y" x="{_LEFT - 8}" y="{at:.1f}">{value:g}</text>'
        )
    for value in ticks(first, last):
        if value == int(value):
            at = float(px(value))
            parts.append(f'<text class="x" x="{at:.1f}" y="{_HEIGHT - 12}">{_short(value)}</text>')
    for value in references.values():
        at = float(py(value))
        parts.append(f'<line class="reference" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" ')
        parts.append(f'y2="{at:.1f}"/>')
    for i, (x, _, least, most) in enumerate(binned):
        if (most > least).any():
            there = zip(px(x), py(most), strict=True)
            back = zip(px(x[::-1]), py(least[::-1]), strict=True)
            parts.append(f'<polygon class="band c{i}" points="{_points([*there, *back])}"/>')
    for i, (x, y, *_) in enumerate(binned):
        line = list(zip(px(x), py(y), strict=True))
        parts.append(f'<polyline class="line c{i}" points="{_points(line)}"/>')
        if len(line) <= 40:
            parts += [
                f'<circle class="dot c{i}" cx="{a:.1f}" cy="{b:.1f}" r="3.5"/>' for a, b in line
            ]
    for label, value in references.items():  # last, so that no curve runs over them
        at = float(py(value)) - 6
        parts.append(f'<text class="label" x="{_WIDTH - _RIGHT - 4}" y="{at:.1f}">')
        parts.append(f"{escape(label)}</text>")
    return Markup(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers between `low` and `high`.

    Examples
    --------
    >>> ticks(0, 1)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    >>> ticks(3, 1180)
    [200.0, 400.0, 600.0, 800.0, 1000.0]
    """
    rough = (high - low) / count
    unit = 10.0 ** np.floor(np.log10(rough))
    step = unit * min((1, 2, 5, 10), key=lambda m: abs(m * unit - rough))
    numbers = np.arange(np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9) + 1)
    return [float(f"{n * step:.10g}") + 0.0 for n in numbers]  # + 0 makes −0 a 0


def _binned(curve: Curve) -> tuple[np.ndarray, ...]:
    """Return steps, means, and the 5th and 95th percentiles of each bin."""
    x, y = np.asarray(curve.steps, float), np.asarray(curve.values, float)
    if len(x) <= _BINS:
        return x, y, y, y
    groups = np.array_split(np.arange(len(x)), _BINS)
    means = [(x[g].mean(), y[g].mean(), *np.percentile(y[g], (5, 95))) for g in groups]
    return tuple(np.array(means).T)


def _range(curves: list[np.ndarray], references: Iterable[float]) -> tuple[float, float]:
    """Return limits that leave out rare peaks, which would press the rest flat."""
    values = np.concatenate(curves)
    low, high = np.percentile(values, (0, 99.5))
    low = min(low, 0.0) if low < 0.5 * high else low
    for value in references:
        low, high = min(low, value), max(high, value)
    margin = 0.06 * (high - low) or 0.5
    return (low if low == 0 else low - margin), high + margin


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 10_000 else f"{value:g}"
