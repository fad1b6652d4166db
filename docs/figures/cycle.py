"""The cycle: there and back, the judge, and the picture that should be left alone."""

from diagram import BLUE, GREEN, GREY, LETTERS, ORANGE, arrow, box, canvas

axes = canvas(4.6)
box(axes, 7, 36, 11, 5.5, "x", GREEN)
box(axes, 27, 36, 13, 5.5, "G(x)", ORANGE)
box(axes, 43, 36, 12, 5.5, "F(G(x))", ORANGE)
arrow(axes, (12.5, 36), (20.5, 36), ORANGE, "G", at=(16.5, 38.5))
arrow(axes, (33.5, 36), (37, 36), ORANGE, "F", at=(35.2, 38.5))
box(axes, 27, 23, 13, 5.5, "$D_Y$", BLUE)
arrow(axes, (27, 33.2), (27, 25.8), GREY)
arrow(axes, (14, 23), (20.5, 23), GREY)
box(axes, 8.5, 23, 11, 5.5, "real y", GREEN)
axes.text(
    35, 23, "real backpack?\n→ $\\mathcal{L}_{GAN}$", color=BLUE, fontsize=LETTERS, va="center"
)
arrow(axes, (43, 39), (7, 39), GREEN, bend=0.2, dashed=True)
axes.text(
    25,
    43.6,
    "the same as x?  → $\\mathcal{L}_{cyc}$",
    color=GREEN,
    fontsize=LETTERS,
    ha="center",
    va="center",
)
box(axes, 8.5, 8, 11, 5.5, "y", GREEN)
box(axes, 30, 8, 13, 5.5, "G(y)", ORANGE)
arrow(axes, (14, 8), (23.5, 8), ORANGE, "G", at=(19, 10.5))
axes.text(
    22,
    2.2,
    "the same as y?  → $\\mathcal{L}_{identity}$",
    color=GREEN,
    fontsize=LETTERS,
    ha="center",
    va="center",
)
axes.text(
    22,
    15.8,
    "and the same from Y to X, with F, G and $D_X$",
    color=GREY,
    fontsize=LETTERS,
    ha="center",
    va="center",
)
