r"""
7. A DCGAN, watched as it learns
================================

**Two networks that only ever see each other's output: how do faces come out of that?**

Everything is in place now: layers and their gradients, losses, Adam.  The generator :math:`G` turns
noise :math:`z` into a picture, the discriminator :math:`D` gives a picture the probability of being
real.  They play

.. math::
    \min_G \max_D V(D, G) =
    \mathbb{E}_{x \sim p_{data}(x)} \log D(x) + \mathbb{E}_{z \sim p_z(z)} \log(1 - D(G(z))) .

The faces are drawn, small, and there are few of them, so that you can watch the whole of it within
a minute on two cores.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Adam, bce_with_logits, frozen, non_saturating, summary
from tinygan.data import Batches, faces
from tinygan.metrics import nearest_neighbours, sliced_wasserstein
from tinygan.models import dcgan

# %%
# What they look at
# -----------------

drawn = faces(2000, image_size=32, seed=0).images
held_out = faces(256, image_size=32, seed=0, start=2000).images


def show(axis, pictures, columns):
    """Lay pictures (N, H, W, 3), bytes or in [-1, 1], out in rows."""
    if pictures.dtype != np.uint8:
        pictures = np.clip(pictures * 127.5 + 127.5, 0, 255).astype(np.uint8)
    n, h, w, c = pictures.shape
    sheet = pictures.reshape(n // columns, columns, h, w, c).swapaxes(1, 2)
    axis.imshow(sheet.reshape(n // columns * h, columns * w, c))
    axis.set_axis_off()


figure, axis = plt.subplots(figsize=(9, 1.7), layout="constrained")
show(axis, drawn[:20], 10)
axis.set_title("Drawn faces of 32 by 32 pixels")
plt.show()

# %%
# The two networks
# ----------------
# "Batch normalization layers are used after the transpose convolution layer instead of the last
# layer", says the first paper, then ReLU or leaky ReLU, and tanh at the end.  A normalisation and
# the activation behind it are one layer here: it passes over memory once.  ``D`` is the mirror
# image.  The sizes here are small; the papers' are ``image_size=64, noise_size=200, width=64``.

noise_size = 64
G = dcgan.generator(32, noise_size=noise_size, width=16, activation="leaky_relu", rng=1)
D = dcgan.discriminator(32, width=16, rng=2)
report = summary(G, (noise_size,))

# %%
# One round, by hand
# ------------------
# Each line of the mathematics is one line of code.  First :math:`D` learns: minimise minus its
# total cost, with the label of real pictures smoothed to 0.9.

rng = np.random.default_rng(3)
adam_G = Adam(G.parameters(), lr=5e-4, betas=(0.5, 0.999))
adam_D = Adam(D.parameters(), lr=5e-4, betas=(0.5, 0.999))
batches = Batches(drawn, batch_size=32, seed=0, flip=True)

x = next(batches)
z = dcgan.draw_noise(32, noise_size, rng)
fake, fake_backward = G(z)  # its backward pass is called later

adam_D.zero_grad()
score, score_backward = D(x)
loss_real, dscore = bce_with_logits(score, 0.9)
score_backward(dscore, input_gradient=False)
score, score_backward = D(fake)
loss_fake, dscore = bce_with_logits(score, 0.0)
score_backward(dscore, input_gradient=False)
adam_D.step()

# %%
# Then :math:`G` learns from the :math:`D` that has just learnt.  The gradient has to flow *through*
# :math:`D` without changing it: ``frozen(D)`` does not even compute what only :math:`D`'s weights
# would need.

adam_G.zero_grad()
with frozen(D):
    score, score_backward = D(fake)

loss_G, dscore = non_saturating(score)
dfake = score_backward(dscore)  # what D would like to see changed, pixel by pixel
fake_backward(dfake, input_gradient=False)
adam_G.step()
print(f"loss of D {float(loss_real + loss_fake):.3f}, loss of G {float(loss_G):.3f}")

figure, axes = plt.subplots(1, 2, figsize=(5, 2.6), layout="constrained")
axes[0].imshow(fake[0] * 0.5 + 0.5)
axes[0].set_title("G(z)")
wish = -dfake[0] / np.abs(dfake[0]).max()
axes[1].imshow(wish * 0.5 + 0.5)
axes[1].set_title("how D wants it changed")
for axis in axes:
    axis.set_axis_off()

figure.suptitle("The only thing that G is ever told")
plt.show()

# %%
# ``dcgan.train_step`` is these same lines.  Now repeat them, and look at the same noise again and
# again.

steps, watched = 700, (0, 50, 100, 200, 400, 700)
z_watched = dcgan.draw_noise(64, noise_size, 7)
history, pictures = [], {0: G.predict(z_watched)}
for step in range(1, steps + 1):
    z = dcgan.draw_noise(32, noise_size, rng)
    losses = dcgan.train_step(G, D, adam_G, adam_D, next(batches), z)
    history.append({name: float(value) for name, value in losses.items()})
    if step in watched:
        pictures[step] = G.predict(z_watched)

batches.close()

figure, axes = plt.subplots(len(watched), 1, figsize=(9, 6.2), layout="constrained")
for axis, step in zip(axes, watched, strict=True):
    show(axis, pictures[step][:10], 10)
    axis.set_title(f"after {step} steps", fontsize=9, loc="left")

figure.suptitle("The same noise, as G learns")
plt.show()

# %%
# What the numbers say
# --------------------
# The losses do not fall as in other kinds of learning: each is measured by an opponent who learns
# too.  Means of 20 steps:


def smooth(name):
    values = np.array([record[name] for record in history])
    return values[: len(values) // 20 * 20].reshape(-1, 20).mean(axis=1)


figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
at = np.arange(len(smooth("loss_D"))) * 20 + 10
left.plot(at, smooth("loss_D"), label="D")
left.plot(at, smooth("loss_G"), label="G")
left.set(title="losses", xlabel="step")
right.plot(at, smooth("D_real"), label="D(x)")
right.plot(at, smooth("D_fake"), label="D(G(z))")
right.axhline(0.5, color="grey", linewidth=0.8)
right.set(title="probabilities", xlabel="step", ylim=(0, 1))
left.legend()
right.legend()
figure.suptitle("A game, not a descent")
plt.show()

# %%
# So measure the pictures themselves.  The sliced Wasserstein distance compares patches of the
# generated pictures with patches of real ones; the last line is what two sets of *real* pictures
# have between them, the best that could be hoped for.


def distance(generated):
    generated = np.clip(generated * 127.5 + 127.5, 0, 255).astype(np.uint8)
    return np.mean(list(sliced_wasserstein(held_out[:64], generated).values()))


for step in watched:
    print(f"after {step:4d} steps: {distance(pictures[step]):.3f}")

floor = np.mean(list(sliced_wasserstein(held_out[:64], held_out[64:128]).values()))
print(f"real and real:    {floor:.3f}")
assert distance(pictures[steps]) < 0.5 * distance(pictures[0])

# %%
# Has it learnt by heart?
# -----------------------
# For each generated face, the nearest of the 2000 it was trained on.  If it had copied, both rows
# would be alike.  The distance of new *real* faces to the same 2000 is the measure for "near".

made = np.clip(pictures[steps] * 127.5 + 127.5, 0, 255).astype(np.uint8)
near = nearest_neighbours(made, drawn)
usual = nearest_neighbours(held_out, drawn)
figure, axis = plt.subplots(figsize=(9, 1.9), layout="constrained")
show(axis, np.concatenate([made[:10], drawn[near.indices[:10, 0]]]), 10)
axis.set_title("generated, and below each the nearest training picture")
plt.show()
print(f"median distance: generated {np.median(near.distances):.3f}", end=", ")
print(f"new real faces {np.median(usual.distances):.3f}")

# %%
# From one face to another
# ------------------------
# The noise between two noises is noise as well.  If :math:`G` has learnt faces and not a list of
# pictures, what lies between two faces is a face.

t = np.linspace(0, 1, 10, dtype=np.float32)[:, None]
way = np.concatenate([(1 - t) * z_watched[a] + t * z_watched[a + 1] for a in (0, 2, 4)])
figure, axis = plt.subplots(figsize=(9, 2.8), layout="constrained")
show(axis, G.predict(way), 10)
axis.set_title("Each row walks from one noise to another")
plt.show()

# %%
# This was a small network, trained for a moment.  ``python -m tinygan.train`` trains a larger one
# for minutes, and ``python -m tinygan.train dcgan --preset`` lists the paper's experiments.
#
# Exercises
# ---------
# **1.**  Leave ``frozen(D)`` out.  Nothing breaks.  What is wasted, and why is nothing else wrong?
#
# .. dropdown:: Hint
#
#    :math:`D`'s gradients are added to, and then ``adam_D.zero_grad()`` clears them at the start of
#    the next round.  Time both.
#
# **2.**  Detach: what if ``fake`` were made a second time for :math:`G`'s half of the round?
#
# .. dropdown:: Hint
#
#    Count the forward passes through G.  Here :math:`D`'s half does not walk ``fake_backward`` at
#    all, so the same pictures and the same backward pass serve both halves.
#
# **3.**  Replace ``non_saturating`` by ``minimax`` with ``objective=Minimax()``.  Does it learn?
#
# .. dropdown:: Hint
#
#    Tutorial 5 says when it cannot.  Look at D(G(z)) over the first hundred steps: is D ever sure?
