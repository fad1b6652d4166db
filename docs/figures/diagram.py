"""One look for all diagrams: narrow enough for a phone, letters large enough to be read there."""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

WIDTH = 5.0  # inches; a phone shows 358 pixels, so that a letter of 12 points has 11.5 pixels there
LETTERS = 12
BLUE, ORANGE, GREEN, GREY = "#1f5f8b", "#b4540a", "#2b7a3d", "#555555"


def canvas(height, width=WIDTH):
    """Return axes in units of tenths of an inch, without a frame."""
    figure = plt.figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width * 10), ylim=(0, height * 10))
    axes.set_axis_off()
    return axes


def box(axes, x, y, width, height, text, colour=BLUE, fill=None, **options):
    """Draw a rounded box around its text; (x, y) is its centre."""
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.8",
            facecolor=fill or "white",
            edgecolor=colour,
            linewidth=1.8,
        )
    )
    options = {"ha": "center", "va": "center", "fontsize": LETTERS, "color": "black", **options}
    axes.text(x, y, text, **options)


def arrow(axes, start, end, colour=GREY, text=None, at=None, bend=0.0, dashed=False, **options):
    """Draw an arrow, and a word beside it."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=15,
            linewidth=1.8,
            color=colour,
            linestyle=(0, (3, 2)) if dashed else "-",
            connectionstyle=f"arc3,rad={bend}",
            shrinkA=0,
            shrinkB=0,
        )
    )
    if text:
        x, y = at or ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        options = {"ha": "center", "va": "center", "fontsize": LETTERS, "color": colour, **options}
        axes.text(x, y, text, **options)
