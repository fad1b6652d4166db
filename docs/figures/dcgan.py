"""Both networks of the DCGAN for 64 pixels: the shape after every layer."""

from diagram import BLUE, GREY, ORANGE, arrow, canvas
from matplotlib.patches import Rectangle

from tinygan.models import dcgan
from tinygan.summary import summarize

axes = canvas(6.4)


def shapes(network, first):
    """Return the sizes behind each convolution, from the network itself."""
    rows = summarize(network, first).rows
    found = []
    for row, layer in zip(rows, network, strict=True):
        if "Conv" in type(layer).__name__:
            found.append(tuple(row.shape))
    return found


def column(x, title, stack, colour, start, end):
    axes.text(x, 62, title, ha="center", va="center", fontsize=13, fontweight="bold", color=colour)
    y = 58
    axes.text(x, y, start, ha="center", va="center", fontsize=12)
    for shape in stack:
        arrow(axes, (x, y - 1.4), (x, y - 4.2), GREY)
        height, wide, channels = shape if len(shape) == 3 else (1, 1, 1)
        half = 5.6 + 4.8 * (wide / 64)
        y -= 7.6
        axes.add_patch(
            Rectangle(
                (x - half, y - 2.6), 2 * half, 5.2, facecolor="white", edgecolor=colour, lw=1.8
            )
        )
        axes.text(
            x,
            y,
            f"{height}×{wide}×{channels}",
            ha="center",
            va="center",
            fontsize=12,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )
        y -= 1.4
    arrow(axes, (x, y - 1.4), (x, y - 4.2), GREY)
    axes.text(x, y - 6, end, ha="center", va="center", fontsize=12)


G, D = dcgan.generator(64), dcgan.discriminator(64)
column(12.5, "generator G", shapes(G, (200,)), ORANGE, "z: 200 numbers", "tanh: picture")
column(37.5, "discriminator D", shapes(D, (64, 64, 3)), BLUE, "picture: 64×64×3", "σ: probability")
