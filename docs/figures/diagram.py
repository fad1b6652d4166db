"""One look for all diagrams: narrow enough for a phone, letters large enough to be read there."""

from __future__ import annotations

from itertools import groupby

import matplotlib.pyplot as plt
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from tinygan.summary import summarize

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


def shapes(network, first):
    """Return (width, size, how many) behind each convolution and behind all residual blocks."""
    rows = [row for row in summarize(network, first).rows if row.depth == 0]
    found = []
    for kind, same in groupby(rows, key=lambda row: (row.text.split("(")[0], row.shape)):
        name, shape = kind
        shape = shape if len(shape) == 3 else (1, 1, 1)
        if "Conv" in name or name == "Residual":
            found.append((shape[1], "×".join(map(str, shape)), len(list(same))))
    return found


def column(axes, x, top, title, stack, colour, start, end):
    """Draw a network downwards: for each convolution a box, as wide as the picture behind it."""
    options = {"ha": "center", "va": "center", "fontsize": LETTERS}
    axes.text(x, top, title, color=colour, **{**options, "fontsize": 13, "fontweight": "bold"})
    y = top - 4
    axes.text(x, y, start, **options)
    largest = max(wide for wide, _, _ in stack)
    for wide, size, count in stack:
        arrow(axes, (x, y - 1.4), (x, y - 4.2), GREY)
        half = 5.6 + 4.8 * (wide / largest)
        y -= 7.6
        axes.add_patch(
            Rectangle(
                (x - half, y - 2.6), 2 * half, 5.2, facecolor="white", edgecolor=colour, lw=1.8
            )
        )
        behind = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(x, y, size, bbox=behind, **options)
        if count > 1:
            axes.text(x + half + 1, y, f"{count} blocks", color=colour, **{**options, "ha": "left"})
        y -= 1.4
    arrow(axes, (x, y - 1.4), (x, y - 4.2), GREY)
    axes.text(x, y - 6, end, **options)
