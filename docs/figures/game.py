"""The game of a GAN: what goes forward, and which gradient comes back to whom."""

from diagram import BLUE, GREEN, GREY, LETTERS, ORANGE, arrow, box, canvas

axes = canvas(4.4)
box(axes, 8, 39, 13, 5, "noise z", GREY)
box(axes, 8, 27, 13, 6, "generator G", ORANGE, fontweight="bold")
box(axes, 8, 15, 13, 5, "a fake, G(z)", ORANGE)
box(axes, 32, 39, 15, 5, "real example x", GREEN)
box(axes, 32, 15, 17, 6, "discriminator D", BLUE, fontweight="bold")
box(axes, 32, 4, 17, 5, "score: real?", BLUE)
arrow(axes, (8, 36.5), (8, 30))
arrow(axes, (8, 24), (8, 17.5))
arrow(axes, (14.5, 15), (23.5, 15))
arrow(axes, (32, 36.5), (32, 18))
arrow(axes, (32, 12), (32, 6.5))
arrow(axes, (41, 4), (41, 14), BLUE, bend=0.5, dashed=True)
words = {"fontsize": LETTERS, "va": "bottom"}
axes.text(44.5, 18.8, "D's loss:\ntell them\napart", color=BLUE, ha="center", **words)
arrow(axes, (23.4, 5.5), (6, 12.3), ORANGE, dashed=True)
axes.text(1, 0.8, "G's loss, through D into G:\npass for real", color=ORANGE, **words)
arrow(axes, (2.6, 17.5), (2.6, 24), ORANGE, dashed=True)
