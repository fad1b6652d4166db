"""One layer: x forward to y, dy back to dx and dw; the cache joins the two passes."""

from diagram import BLUE, GREEN, GREY, ORANGE, arrow, box, canvas

axes = canvas(3.6)
box(axes, 25, 27, 18, 7, "forward", BLUE, fontweight="bold")
box(axes, 25, 9, 18, 7, "backward", ORANGE, fontweight="bold")
arrow(axes, (5, 27), (16, 27), GREY)
arrow(axes, (34, 27), (45, 27), GREY)
axes.text(3, 27, "x", ha="center", va="center", fontsize=15)
axes.text(47, 27, "y", ha="center", va="center", fontsize=15)
arrow(axes, (45, 9), (34, 9), ORANGE)
arrow(axes, (16, 9), (5.5, 9), ORANGE)
axes.text(47.3, 9, "dy", ha="center", va="center", fontsize=15, color=ORANGE)
axes.text(3, 9, "dx", ha="center", va="center", fontsize=15, color=ORANGE)
arrow(axes, (25, 23.5), (25, 12.5), GREEN, "cache", at=(29.5, 18), dashed=True)
arrow(axes, (14, 33.5), (18, 30.5), GREY)
axes.text(12.5, 34, "weights w", ha="center", va="center", fontsize=12)
arrow(axes, (18, 5.5), (14, 2.5), ORANGE)
axes.text(10.5, 1.7, "dw", ha="center", va="center", fontsize=15, color=ORANGE)
