"""Overlapping input tiles and the outputs each of them gives, for F(4, 3)."""

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

M, R = 4, 3
N = M + R - 1
COLOURS = ("tab:blue", "tab:orange", "tab:green", "tab:red")

figure, (image, result) = plt.subplots(1, 2, figsize=(8, 4.4), width_ratios=(10, 8))
size, out = 2 * M + R - 1, 2 * M
for axis, length in ((image, size), (result, out)):
    for i in range(length):
        for j in range(length):
            axis.add_patch(Rectangle((j, i), 1, 1, facecolor="white", edgecolor="0.8"))
    axis.set(xlim=(-0.3, length + 0.3), ylim=(length + 0.3, -0.3), aspect="equal")
    axis.set_axis_off()
for t, colour in enumerate(COLOURS):
    i, j = divmod(t, 2)
    image.add_patch(Rectangle((M * j, M * i), N, N, facecolor=colour, alpha=0.22))
    image.add_patch(
        Rectangle((M * j + 0.07 * t, M * i + 0.07 * t), N, N, fill=False, edgecolor=colour, lw=2.5)
    )
    result.add_patch(Rectangle((M * j, M * i), M, M, facecolor=colour, alpha=0.35))
    result.add_patch(Rectangle((M * j, M * i), M, M, fill=False, edgecolor=colour, lw=2.5))
image.set(title=f"tiles of {N}×{N} inputs overlap by {R - 1} …")
result.set(title=f"… so that their {M}×{M} outputs do not")
figure.tight_layout()
