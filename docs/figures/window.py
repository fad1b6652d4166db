"""A 3×3 window with stride 2 and padding 1 on a 6×6 image, at three places."""

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

from tinygan.convolution import output_size

SIZE, KERNEL, STRIDE, PADDING = 6, 3, 2, 1
OUT = output_size(SIZE, KERNEL, STRIDE, PADDING)
COLOURS = {(0, 0): "tab:blue", (0, 1): "tab:orange", (2, 2): "tab:green"}

figure, (image, result) = plt.subplots(1, 2, figsize=(8, 4.2), width_ratios=(8, 4))
for i in range(-PADDING, SIZE + PADDING):
    for j in range(-PADDING, SIZE + PADDING):
        inside = 0 <= i < SIZE and 0 <= j < SIZE
        image.add_patch(
            Rectangle((j, i), 1, 1, facecolor="white" if inside else "0.88", edgecolor="0.7")
        )
        if not inside:
            image.text(j + 0.5, i + 0.5, "0", ha="center", va="center", color="0.5")
for i in range(OUT):
    for j in range(OUT):
        result.add_patch(
            Rectangle((j, i), 1, 1, facecolor=COLOURS.get((i, j), "white"), edgecolor="0.7")
        )
        result.text(j + 0.5, i + 0.5, f"y({i},{j})", ha="center", va="center", fontsize=9)
for n, ((i, j), colour) in enumerate(COLOURS.items()):
    corner = (STRIDE * j - PADDING + 0.06 * n, STRIDE * i - PADDING + 0.06 * n)
    image.add_patch(Rectangle(corner, KERNEL, KERNEL, fill=False, edgecolor=colour, linewidth=3))
image.set(title="the image, with a border of zeros")
result.set(title="the result")
for axis, low, high in ((image, -PADDING, SIZE + PADDING), (result, 0, OUT)):
    axis.set(xlim=(low - 0.2, high + 0.2), ylim=(high + 0.2, low - 0.2), aspect="equal")
    axis.set_axis_off()
figure.tight_layout()
