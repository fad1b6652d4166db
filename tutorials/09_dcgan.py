r"""
9. A DCGAN, watched as it learns
================================

**Two networks that only ever see each other's output: how do faces come out of that?**

:You need: tutorials :doc:`2 <02_one_layer>` to :doc:`8 <08_adam>`, or what they teach.
:Afterwards: you can build both networks of a DCGAN, write its training step, and read its curves.
:Time: 30 minutes; the page trains for about 20 seconds.

Everything is in place now: layers and their gradients, losses, Adam.  The generator :math:`G` turns
noise :math:`z` into a picture, the discriminator :math:`D` gives a picture the probability of being
real.  They play

.. math::
    \min_G \max_D V(D, G) =
    \mathbb{E}_{x \sim p_{data}(x)} \log D(x) + \mathbb{E}_{z \sim p_z(z)} \log(1 - D(G(z))) .

The faces are drawn, small, and there are few of them, so that you can watch the whole of it within
a minute on two cores.
"""

from functools import partial

import matplotlib.pyplot as plt
import numpy as np

from tinygan import (
    Adam,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    LeakyReLU,
    Minimax,
    Reshape,
    Sequential,
    Tanh,
    bce_with_logits,
    frozen,
    non_saturating,
    summary,
)
from tinygan.data import Prefetcher, faces
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


figure, axis = plt.subplots(figsize=(9, 2.2), layout="constrained")
show(axis, drawn[:20], 10)
axis.set_title("Drawn faces of 32 by 32 pixels")
plt.show()

# %%
# The two networks
# ----------------
# "Batch normalization layers are used after the transpose convolution layer instead of the last
# layer", says the first paper, then ReLU or leaky ReLU, and tanh at the end.  :math:`D` is the
# mirror image.  This is what that means for the papers' 64 pixels; each box is the shape behind one
# convolution, with its normalisation and its activation:
#
# .. plot:: figures/dcgan.py
#    :alt: The generator: 200 numbers become 4×4×512, 8×8×256, 16×16×128, 32×32×64 and a picture of
#       64×64×3.  The discriminator goes the opposite way, to one number.
#    :class: no-scaled-link
#
# And here it is as code, for 32 pixels and a quarter of the width.  Everything in it has had a
# tutorial of its own.


def generator(noise_size, width, rng):
    rng = np.random.default_rng(rng)
    up = partial(ConvTranspose2d, kernel_size=4, bias=False, rng=rng)
    norm = partial(BatchNorm2d, weight_std=0.02, rng=rng)
    return Sequential(
        Reshape(1, 1, noise_size),
        up(noise_size, 4 * width),
        norm(4 * width),
        LeakyReLU(0.2),  # 4 × 4 pixels
        up(4 * width, 2 * width, stride=2, padding=1),
        norm(2 * width),
        LeakyReLU(0.2),  # 8 × 8
        up(2 * width, width, stride=2, padding=1),
        norm(width),
        LeakyReLU(0.2),  # 16 × 16
        up(width, 3, stride=2, padding=1),
        Tanh(),  # 32 × 32, three colours in [-1, 1]
    )


def discriminator(width, rng):
    rng = np.random.default_rng(rng)
    down = partial(Conv2d, kernel_size=4, bias=False, rng=rng)
    norm = partial(BatchNorm2d, weight_std=0.02, rng=rng)
    return Sequential(
        down(3, width, stride=2, padding=1),
        LeakyReLU(0.2),  # 16 × 16
        down(width, 2 * width, stride=2, padding=1),
        norm(2 * width),
        LeakyReLU(0.2),  # 8 × 8
        down(2 * width, 4 * width, stride=2, padding=1),
        norm(4 * width),
        LeakyReLU(0.2),  # 4 × 4
        down(4 * width, 1),
        Reshape(),  # one score a picture
    )


noise_size = 64
G, D = generator(noise_size, width=16, rng=1), discriminator(width=16, rng=2)
report = summary(G, (noise_size,))

# %%
# The library's builder makes the very same networks, for any size of picture:

library_G = dcgan.generator(32, noise_size=noise_size, width=16, activation="leaky_relu", rng=1)
library_D = dcgan.discriminator(32, width=16, rng=2)
for mine, theirs in ((G, library_G), (D, library_D)):
    mine, theirs = mine.state_dict(), theirs.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)

print(len(G.state_dict()), "arrays in G and", len(D.state_dict()), "in D: equal to the library's")

# %%
# One round, by hand
# ------------------
# Each line of the mathematics is one line of code.  First :math:`D` learns: minimise minus its
# total cost, with the label of real pictures smoothed to 0.9.

rng = np.random.default_rng(3)
adam_G = Adam(G.parameters(), lr=5e-4, betas=(0.5, 0.999))
adam_D = Adam(D.parameters(), lr=5e-4, betas=(0.5, 0.999))
batches = Prefetcher(drawn, batch_size=32, seed=0, flip=True)

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

# %%
# ``dfake`` is all that :math:`G` is ever told: how each number of each of its pictures should
# change. At this moment neither network knows anything, so its picture would be noise beside noise;
# it is shown below, when there is something to see.
#
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

figure, axes = plt.subplots(len(watched), 1, figsize=(9, 7.4), layout="constrained")
for axis, step in zip(axes, watched, strict=True):
    show(axis, pictures[step][:10], 10)
    axis.set_title(f"after {step} steps", fontsize=9, loc="left")

figure.suptitle("The same noise, as G learns")
plt.show()

# %%
# The first row is grey, because the weights are small and tanh of nearly 0 is nearly 0, which is
# the grey in the middle between black and white.  The fine grid of the next rows is what transposed
# convolutions paint before they have learnt better (:doc:`tutorial 5
# <05_transposed_convolution>`).
#
# Now look at the only thing that G is told.  For eight faces: the face, and minus the gradient of
# G's loss with respect to it, times a large number.  Where the lower picture is grey, D does not
# mind; where it is bright, D would like more light there.  It looks like noise: D asks for many
# small changes that nobody would name.  Added up over hundreds of steps and thousands of pictures
# they have made these faces out of grey.

with frozen(D):
    score, score_backward = D(pictures[steps][:8])

wish = -score_backward(non_saturating(score)[1])
wish /= np.abs(wish).max(axis=(1, 2, 3), keepdims=True)
figure, axis = plt.subplots(figsize=(9, 2.6), layout="constrained")
show(axis, np.concatenate([pictures[steps][:8], np.clip(2 * wish, -1, 1)]), 8)
axis.set_title("G(z), and how D wants it changed")
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
figure, axis = plt.subplots(figsize=(9, 2.2), layout="constrained")
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
figure, axis = plt.subplots(figsize=(9, 3.1), layout="constrained")
show(axis, G.predict(way), 10)
axis.set_title("Each row walks from one noise to another")
plt.show()

# %%
# This was a small network, trained for a moment.  ``python -m tinygan.train`` trains a larger one
# for minutes:
#
# .. recorded:: dcgan
#
# ``python -m tinygan.train dcgan --preset`` lists the paper's experiments, of 64 pixels and hours.
#
# Remember
# --------
# * A DCGAN is convolutions that halve and transposed convolutions that double, with batch norm
#   between.
# * One step: D learns from real and generated pictures, then G learns through the D that has
#   learnt.
# * Its losses are measured by an opponent; judge the pictures by other numbers.
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
# .. solution::
#
#    What is wasted are D's weight gradients: in each convolution as many products as the gradient
#    that flows on.  G's gradient is the same.

gradients = []
for freeze in (True, False):
    adam_D.zero_grad()
    adam_G.zero_grad()
    fake, fake_backward = G(z_watched[:8])
    if freeze:
        with frozen(D):
            score, score_backward = D(fake)
    else:
        score, score_backward = D(fake)
    fake_backward(score_backward(non_saturating(score)[1]))
    gradients.append(G.parameters()[0].grad.copy())
    in_D = max(float(np.abs(parameter.grad).max()) for parameter in D.parameters())
    print(f"frozen: {freeze!s:5}  largest gradient left in D: {in_D:.4f}")

assert np.allclose(*gradients, atol=1e-6)

# %%
# **2.**  Detach: what if ``fake`` were made a second time for :math:`G`'s half of the round?
#
# .. dropdown:: Hint
#
#    Count the forward passes through G.  Here :math:`D`'s half does not call ``fake_backward`` at
#    all, so the same pictures and the same backward pass serve both halves.
#
# .. solution::
#
#    The pictures would be the same, for the price of one more forward pass.  What has to be
#    computed anew is D's score, as D has changed.

again, _ = G(z_watched[:8])
assert np.allclose(again, fake, atol=1e-6)
print("the same noise, the same pictures")

# %%
# **3.**  Replace ``non_saturating`` by ``minimax`` with ``objective=Minimax()``.  Does it learn?
#
# .. dropdown:: Hint
#
#    Tutorial 7 says when it cannot.  Look at D(G(z)) over the first hundred steps: is D ever sure?
#
# .. solution::
#
#    It does, as long as D is never sure.  D's first steps decide; compare D(G(z)) with that of the
#    non-saturating run above.

rng = np.random.default_rng(3)
G2, D2 = generator(noise_size, width=16, rng=1), discriminator(width=16, rng=2)
adam_G2, adam_D2 = (Adam(n.parameters(), lr=5e-4, betas=(0.5, 0.999)) for n in (G2, D2))
sure = []
with Prefetcher(drawn, batch_size=32, seed=0, flip=True) as batches:
    for _ in range(100):
        z = dcgan.draw_noise(32, noise_size, rng)
        losses = dcgan.train_step(
            G2, D2, adam_G2, adam_D2, next(batches), z, objective=Minimax()
        )
        sure.append(float(losses["D_fake"]))

usual = np.mean([record["D_fake"] for record in history[:100]])
print(f"mean D(G(z)) over 100 steps: minimax {np.mean(sure):.2f}, non-saturating {usual:.2f}")
assert 0 < np.mean(sure) < 1

# %%
# Read on
# -------
# * A. Radford, L. Metz, S. Chintala, *Unsupervised Representation Learning with Deep Convolutional
#   Generative Adversarial Networks*, ICLR 2016, `arXiv:1511.06434
#   <https://arxiv.org/abs/1511.06434>`__.
# * S. Venkat, Richa, G. Rao, *DeepFake Generation in the world of Deep Convolutional Generative
#   Adversarial Networks*: the paper that this system follows, :doc:`line by line <../papers>`.
#
# **Next:** :doc:`how good are the pictures? <10_how_good_are_the_pictures>`
