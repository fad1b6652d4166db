r"""
20. Which optimizer, which batch size?
======================================

**Which optimizer and how large a batch should a GAN be trained with, and how surely can one say
so?**

:You need: :doc:`Adam <08_adam>`, :doc:`a DCGAN <09_dcgan>` and :doc:`a CycleGAN <12_cyclegan>`.
:Afterwards: you can set up a comparison of trainings that is fair, read its spread, and say what it
   does not decide.
:Time: 20 minutes.

The second paper leaves this open: "We are still finding the best optimizer functions and batch size
for the GPU to balance the robustness and efficiency of our GAN networks" (section 5).  It is a
question that anyone can answer for a GAN of their own, by training it many times.  What makes it
hard is to compare like with like.
"""

import tempfile
from itertools import product
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import tinygan
from tinygan.data import faces, to_float
from tinygan.losses import bce_with_logits
from tinygan.metrics import sliced_wasserstein
from tinygan.models import dcgan

# %%
# What is to be chosen
# --------------------
# Three rules turn a gradient g into a step of the weights:
#
# .. math::
#    \text{SGD:} \quad & v \leftarrow \mu v + g, & \theta &\leftarrow \theta - \alpha\, v \\
#    \text{RMSprop:} \quad & v \leftarrow \rho v + (1 - \rho)\, g^2, &
#    \theta &\leftarrow \theta - \alpha\, g / (\sqrt{v} + \epsilon) \\
#    \text{Adam:} \quad & m \leftarrow \beta_1 m + (1 - \beta_1)\, g, \;
#    v \leftarrow \beta_2 v + (1 - \beta_2)\, g^2, &
#    \theta &\leftarrow \theta - \alpha\, \hat m / (\sqrt{\hat v} + \epsilon)
#
# They do not mean the same by α: SGD's step is proportional to the gradient, those of the others
# hardly depend on its size.  Comparing them at one rate compares nothing.
#
# The gradient of a batch is a mean over B pictures.  So its noise, the difference from the
# gradient of all pictures, has a variance in proportion to 1/B:
#
# .. math:: \operatorname{E} \lVert g_B - g \rVert^2 = \frac{1}{B}
#           \operatorname{E} \lVert g_1 - g \rVert^2 .
#
# On the first discriminator that comes to hand, without batch norm, whose pictures would not be
# independent:

pictures = to_float(faces(1024, 16, seed=1).images)
D = tinygan.Sequential(
    *(layer for layer in dcgan.discriminator(16, width=8, rng=0)
      if not isinstance(layer, tinygan.BatchNorm2d))
)


def gradient(batch):
    D.zero_grad()
    score, backward = D(batch)
    backward(bce_with_logits(score, 1.0)[1], input_gradient=False)
    return np.concatenate([p.grad.ravel() for p in D.parameters()])


whole = gradient(pictures)
sizes, noise = [1, 4, 16, 64], []
for size in sizes:
    parts = [gradient(pictures[i * size : (i + 1) * size]) for i in range(16)]
    noise.append(np.mean([((part - whole) ** 2).sum() for part in parts]) / (whole**2).sum())

figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
axis.loglog(sizes, noise, "o-", label="measured")
axis.loglog(sizes, noise[0] / np.array(sizes), ":", label="1/B")
axis.set(xlabel="batch size B", ylabel="noise / gradient, squared", xticks=sizes, xticklabels=sizes)
axis.legend()
plt.show()
print("noise times B, relative to B = 1:", (np.array(noise) * sizes / noise[0]).round(2))
assert noise[0] > 4 * noise[2]

# %%
# So four times the batch halves the noise.  It also costs four times the arithmetic, and the same
# pictures give a quarter of the steps.  What is fair?  *As many pictures for each* is what the
# work is measured in; on a machine that computes larger batches faster, *as many seconds* favours
# these a little.  As many steps would hand the larger batch more of everything.
#
# A small grid
# ------------
# Each cell several times: trainings of a GAN differ by their seed alone, and one run a cell ranks
# the luck.  Drawn faces of 16 pixels, 1,280 pictures for each training:

runs, truth = Path(tempfile.mkdtemp()), faces(200, 16, seed=7).images
common = {"dataset": "faces", "dataset_size": 640, "image_size": 16, "width": 4, "noise_size": 32}
rates = {"adam": 2e-3, "rmsprop": 1e-3, "sgd": 0.1}


def trained(optimizer, batch_size, seed, lr=None, pictures=1280):
    steps = pictures // batch_size
    rare = {"sample_every": steps, "checkpoint_every": steps}
    options = {"optimizer": optimizer, "batch_size": batch_size, "seed": seed, "steps": steps}
    options |= {"lr": lr or rates[optimizer], "quiet": True}
    out = tempfile.mkdtemp(dir=runs)
    run = tinygan.fit("dcgan", out=Path(out) / "run", **options, **rare, **common)
    distances = sliced_wasserstein(truth, run.generate(200))
    return float(np.mean(list(distances.values())))


seeds = range(3)
grid = {
    (name, size): [trained(name, size, seed) for seed in seeds]
    for name, size in product(rates, (16, 64))
}
for (name, size), found in sorted(grid.items(), key=lambda cell: np.mean(cell[1])):
    print(f"{name:8} batch {size:3}: {np.mean(found):.3f} ± {np.std(found, ddof=1):.3f}")

figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
for place, ((_, size), found) in enumerate(grid.items()):
    axis.plot([place] * len(found), found, "o", color=f"C{size == 64:d}")

axis.set(xticks=range(len(grid)), ylabel="distance to the data")
axis.set_xticklabels([f"{name}\nbatch {size}" for name, size in grid], fontsize=9)
axis.set_title("1,280 pictures each, three seeds: lower is better")
plt.show()
small = np.mean([found for (_, size), found in grid.items() if size == 16])
large = np.mean([found for (_, size), found in grid.items() if size == 64])
assert small < large
