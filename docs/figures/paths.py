"""The three ways in which one x moves the loss through a normalisation."""

import matplotlib.pyplot as plt

figure, axis = plt.subplots(figsize=(8, 3.2))
places = {
    r"$x_i$": (0, 1),
    r"$\mu$": (2, 2),
    r"$\sigma^2$": (3.2, 0),
    r"$\hat x_j$, all $j$": (5.2, 2),
    r"$\hat x_i$": (5.2, 1),
    "L": (8, 1),
}
names = list(places)
arrows = {
    (0, 4): ("tab:blue", "its own"),
    (0, 1): ("tab:orange", ""),
    (1, 3): ("tab:orange", "through the mean"),
    (0, 2): ("tab:green", ""),
    (2, 3): ("tab:green", "through the deviation"),
    (3, 5): ("0.5", ""),
    (4, 5): ("0.5", ""),
}
for (a, b), (colour, text) in arrows.items():
    start, end = places[names[a]], places[names[b]]
    axis.annotate(
        "",
        end,
        start,
        arrowprops={"arrowstyle": "-|>", "color": colour, "shrinkA": 26, "shrinkB": 30, "lw": 1.8},
    )
    if text:
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        offset = -0.75 if "deviation" in text else 0.13
        axis.text(
            middle[0] + (0.5 if offset < 0 else 0),
            middle[1] + offset,
            text,
            color=colour,
            ha="center",
        )
for name, (x, y) in places.items():
    axis.text(
        x,
        y,
        name,
        ha="center",
        va="center",
        fontsize=14,
        bbox={"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": "0.6"},
    )
axis.set(xlim=(-0.7, 8.6), ylim=(-0.6, 2.6))
axis.set_axis_off()
figure.tight_layout()
