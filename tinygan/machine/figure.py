"""A Matplotlib figure that is drawn into a file, whatever Matplotlib is set to elsewhere."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["new_figure"]


def new_figure(**words: Any) -> Figure:
    """Return a figure, made without pyplot, whose state belongs to whoever imported us.

    A notebook's ``MPLBACKEND`` names a backend that other processes may not have: it is not read.
    """
    chosen = os.environ.get("MPLBACKEND")
    ours = "matplotlib" not in sys.modules
    if ours and chosen is not None:
        os.environ["MPLBACKEND"] = "agg"
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    finally:
        if ours and chosen is not None:
            os.environ["MPLBACKEND"] = chosen
    figure = Figure(**words)
    FigureCanvasAgg(figure)
    return figure
