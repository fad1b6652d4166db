"""Which outputs a pixel of the input went into: what its gradient gathers."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from tinygan.convolution import convolve_grad_input

SIZE, KERNEL, STRIDE, PADDING = 8, 4, 2, 1
OUT = 4
PIXELS = {(3, 3): "tab:blue", (6, 0): "tab:orange"}

# ask the code: which dy reach this pixel, and through which kernel entry?
w = np.arange(1.0, KERNEL**2 + 1).reshape(KERNEL, KERNEL, 1, 1)
reach = np.zeros((OUT, OUT, SIZE, SIZE))
for i in range(OUT):
    for j in range(OUT):
        dy = np.zeros((1, OUT, OUT, 1))
        dy[0, i, j] = 1
        dx = convolve_grad_input(dy, w, STRIDE, PADDING, (SIZE, SIZE))
        reach[i, j] = dx[0, :, :, 0]

figure, (image, result) = plt.subplots(1, 2, figsize=(8, 4.4), width_ratios=(8, 5))
for axis, size in ((image, SIZE), (result, OUT)):
    for i in range(size):
        for j in range(size):
            axis.add_patch(Rectangle((j, i), 1, 1, facecolor="white", edgecolor="0.7"))
    axis.set(xlim=(-0.2, size + 0.2), ylim=(size + 0.2, -0.2), aspect="equal")
    axis.set_axis_off()
for (h, v), colour in PIXELS.items():
    image.add_patch(Rectangle((v, h), 1, 1, facecolor=colour))
    for i, j in np.argwhere(reach[:, :, h, v]):
        k, l = divmod(int(reach[i, j, h, v]) - 1, KERNEL)
        result.add_patch(Rectangle((j, i), 1, 1, facecolor=colour, alpha=0.45))
        result.text(j + 0.5, i + 0.5, f"w({k},{l})", ha="center", va="center", fontsize=10)
image.set(title="a pixel of dx …")
result.set(title="… gathers these dy · w")
figure.tight_layout()
