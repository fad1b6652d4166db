"""Faces of 16 pixels made four times as large, once by content alone and once with a game."""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Adam
from tinygan.data import Prefetcher, faces, to_float
from tinygan.data.images import bicubic, enlarge
from tinygan.metrics import RandomFeatures, psnr
from tinygan.models import srgan

G = srgan.generator(factor=4, width=16, residual_blocks=2, rng=0)
D = srgan.discriminator(width=16, rng=1)
opt_G, opt_D = (Adam(network.parameters(), lr=2e-3) for network in (G, D))
filters = RandomFeatures(64, seed=1)  # to train with
judge = RandomFeatures(64, seed=0)  # to measure with

true = faces(64, 64, start=5000).images  # of which none is trained on
small = srgan.reduce_area(to_float(true), 4)
known = judge(true)
made = {"bicubic": bicubic(np.rint(127.5 * small + 127.5).astype(np.uint8), 4)}
for name, steps, objective in (
    ("pixels alone", 300, srgan.SuperObjective(1, 0, 0)),
    ("and filters, and D", 100, srgan.SuperObjective(1, 0.1, 3e-3)),
):
    with Prefetcher(faces(1500, 64).images, batch_size=8, seed=0) as batches:
        for _ in range(steps):
            y = next(batches)
            x = srgan.reduce_area(y, 4)
            srgan.train_step(
                G, D, opt_G, opt_D, x, y, objective=objective, stages=filters.stages
            )
    made[name] = G.predict(small)

figure, axes = plt.subplots(5, 6, figsize=(8, 7.2), layout="constrained")
rows = {"small": enlarge(small, 4), **made, "true": true}
for row, (name, images) in zip(axes, rows.items(), strict=True):
    text = name
    if name in made:
        apart = np.sqrt(((judge(images) - known) ** 2).mean())
        text += f"\n{psnr(images, true).mean():.1f} dB\nfeatures {apart:.2f}"
    row[0].text(-8, 32, text, ha="right", va="center")
    for axis, image in zip(row, to_float(images), strict=False):
        axis.imshow(image.squeeze() / 2 + 0.5, vmin=0, vmax=1)
        axis.set_axis_off()
