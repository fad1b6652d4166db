"""Faces of 16 pixels made four times as large: by pixels alone, and with filters and a game."""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Adam
from tinygan.data import Prefetcher, faces, to_float, to_uint8
from tinygan.data.images import bicubic, enlarge
from tinygan.metrics import RandomFeatures, psnr
from tinygan.models import srgan

filters, judge = (RandomFeatures(64, seed=seed) for seed in (1, 0))  # to train with, to measure
batches = Prefetcher(faces(1500, 64).images, batch_size=8, seed=0)


def train(G, steps, *lambdas):
    D = srgan.discriminator(width=16, rng=1)
    adams = [Adam(network.parameters(), lr=2e-3) for network in (G, D)]
    objective = srgan.SuperObjective(*lambdas)
    for _ in range(steps):
        y = next(batches)
        x = srgan.reduce_area(y, 4)
        srgan.train_step(G, D, *adams, x, y, objective=objective, stages=filters.stages)


G, other = (srgan.generator(factor=4, width=16, residual_blocks=2, rng=0) for _ in range(2))
train(G, 150, 1, 0, 0)  # pixels alone
other.load_state_dict(G.state_dict())  # from here on two ways
train(G, 80, 1, 0, 0)
train(other, 80, 1, 0.1, 0.05)
batches.close()

true = faces(64, 64, start=5000).images  # none of them is trained on
small = to_uint8(srgan.reduce_area(to_float(true), 4))
made = {
    "bicubic": bicubic(small, 4),
    "pixels alone": to_uint8(G.predict(to_float(small))),
    "+ filters, game": to_uint8(other.predict(to_float(small))),
}
figure, axes = plt.subplots(5, 6, figsize=(7.3, 4.9), gridspec_kw={"wspace": 0, "hspace": 0.04})
figure.subplots_adjust(left=0.22, right=1, bottom=0, top=1)
for row, (name, images) in zip(
    axes, {"small": enlarge(small, 4), **made, "true": true}.items(), strict=True
):
    text = name
    if name in made:
        apart = np.sqrt(np.square(judge(images) - judge(true)).mean())
        text += f"\nPSNR {psnr(images, true).mean():.1f} dB\nfeatures {apart:.2f} apart"
    row[0].text(-4, 32, text, ha="right", va="center")
    for axis, image in zip(row, images, strict=False):
        axis.imshow(image)
        axis.set_axis_off()
