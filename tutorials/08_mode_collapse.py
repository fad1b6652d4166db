r"""
8. Mode collapse
================

**What does it look like when a generator makes one thing only, how do you measure it, and what
brings it about?**

The first paper trained twice on the same faces.  With ReLU and a learning rate of 0.0001 the
generator repeated the same features again and again; with *leaky* ReLU and 0.0002 it made varied
faces.  Two things were changed at once, so which of them helped?  This page tries all four
combinations, on data small enough for a minute, and reports whatever happens.  Nothing below was
selected for its result.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Adam, Conv2d, GaussianNoise, LeakyReLU, ReLU, Reshape, Sequential
from tinygan.data import Batches, faces
from tinygan.metrics import AttributeProbe, diversity
from tinygan.models import dcgan

# %%
# Where it can be counted
# -----------------------
# Faces have no list of kinds, so begin with data that have one: points around eight places on a
# circle.  A generator that has understood makes points at all eight; one that has collapsed, at a
# few.  A 1×1 convolution on a 1×1 picture is the affine layer of tutorial 1, so the networks are
# built from parts that you know, and the training step is the DCGAN's.

centres = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def draw_points(count, rng):
    which = rng.integers(0, 8, count)
    return (centres[which] + 0.05 * rng.standard_normal((count, 2))).astype(np.float32)


def network(sizes, activation, rng):
    layers = [Reshape(1, 1, sizes[0])]
    for before, after in pairwise(sizes):
        layer = Conv2d(before, after, 1)
        spread = np.sqrt(2 / before)
        layer.weight.data[...] = spread * rng.standard_normal(layer.weight.shape)
        layers += [layer, activation()]
    layers[-1] = Reshape(sizes[-1]) if sizes[-1] > 1 else Reshape()  # no activation at the end
    return Sequential(*layers)


def count_places(points):
    """Return how many of the eight places are visited, and the share of points near any."""
    distance = np.linalg.norm(points[:, None] - centres, axis=-1)
    near = distance.min(axis=1) < 0.2
    visits = np.bincount(distance.argmin(axis=1)[near], minlength=8)
    return int((visits > len(points) / 80).sum()), near.mean()


def play(activation, noise, seed, steps=1200):
    rng = np.random.default_rng(seed)
    G, D = network((16, 64, 64, 2), activation, rng), network((2, 64, 64, 1), activation, rng)
    adam_G, adam_D = (Adam(n.parameters(), lr=2e-3, betas=(0.5, 0.999)) for n in (G, D))
    augment = GaussianNoise(noise, rng) if noise else None
    for _ in range(steps):
        z = dcgan.draw_noise(64, 16, rng)
        dcgan.train_step(G, D, adam_G, adam_D, draw_points(64, rng), z, augment=augment)
    return G.predict(dcgan.draw_noise(1000, 16, 99))


def leaky():
    return LeakyReLU(0.2)


# %%
# Three settings, each from two seeds.  The third adds noise to all that D sees, which is the
# paper's own suggestion, in section IV, against another failure.

settings = {"ReLU": (ReLU, 0.0), "leaky ReLU": (leaky, 0.0), "leaky ReLU, noise": (leaky, 0.3)}
figure, axes = plt.subplots(2, 3, figsize=(9, 6), layout="constrained", sharex=True, sharey=True)
for column, (name, setting) in zip(axes.T, settings.items(), strict=True):
    for seed, axis in enumerate(column):
        points = play(*setting, seed)
        places, near = count_places(points)
        axis.plot(*centres.T, "o", color="none", markeredgecolor="tab:orange", markersize=16)
        axis.plot(*points.T, ".", markersize=2, alpha=0.5)
        axis.set(title=f"{name}, seed {seed}", xlim=(-1.8, 1.8), ylim=(-1.8, 1.8), aspect="equal")
        print(f"{name:18} seed {seed}: {places} of 8 places, {100 * near:3.0f} % of points near")

figure.suptitle("Which of the eight places a generator visits")
plt.show()

# %%
# Compare the rows before you compare the columns: what a *seed* changes is the measure for what an
# activation must change before you believe it.  A generator whose points lie between the places has
# not collapsed, it is not done; collapse is few places *with* the points near them.
#
# Why would it happen at all?  G's loss asks of each picture alone whether it passes.  Nothing in it
# asks whether the *set* of pictures is varied.  The picture that passes best passes best for every
# z.  What keeps a generator from making only that one is D, which learns to reject it: a chase.
#
# Faces: how to measure
# ---------------------
# With faces, use two numbers.  *Diversity*: one minus the mean similarity of random pairs of
# pictures, near zero when all are alike.  *Coverage*: the attributes of the drawn faces are known,
# so a classifier can be trained to read them, and asked which kinds of hair, skin, expression, …
# a generator makes at least a quarter as often as it should.

drawn, held_out = faces(2000, 16, seed=0), faces(300, 16, seed=0, start=2000)
probe = AttributeProbe(faces(600, 16, seed=1), held_out)


def to_bytes(pictures):
    return np.clip(pictures * 127.5 + 127.5, 0, 255).astype(np.uint8)


def measure(pictures):
    coverage = probe.coverage(pictures)
    return diversity(pictures, pairs=300), coverage.total, coverage.recognised


collapsed = np.repeat(held_out.images[:2], 100, axis=0)  # what a total collapse would be
print("                          diversity  coverage  recognised")
for name, pictures in (("real faces", held_out.images[:200]), ("two faces only", collapsed)):
    print("{:26}{:9.2f}{:10.2f}{:12.2f}".format(name, *measure(pictures)))

assert measure(collapsed)[0] < 0.7 * measure(held_out.images[:200])[0]

# %%
# Faces: the paper's four combinations
# ------------------------------------
# The same data, the same first weights, the same noise; 16 pixels, width 16, 500 steps.


def train(activation, lr, steps=500):
    rng = np.random.default_rng(0)
    G = dcgan.generator(16, noise_size=64, width=16, activation=activation, rng=1)
    D = dcgan.discriminator(16, width=16, rng=2)
    adam_G, adam_D = (Adam(n.parameters(), lr=lr, betas=(0.5, 0.999)) for n in (G, D))
    with Batches(drawn.images, batch_size=32, seed=0) as batches:
        for _ in range(steps):
            z = dcgan.draw_noise(32, 64, rng)
            dcgan.train_step(G, D, adam_G, adam_D, next(batches), z)
    return to_bytes(G.predict(dcgan.draw_noise(200, 64, 7)))


figure, axes = plt.subplots(4, 1, figsize=(9, 4.6), layout="constrained")
runs = [("relu", 1e-4), ("relu", 2e-4), ("leaky_relu", 1e-4), ("leaky_relu", 2e-4)]
found = {}
print("                          diversity  coverage  recognised")
for axis, (activation, lr) in zip(axes, runs, strict=True):
    pictures = train(activation, lr)
    name = f"{activation}, {lr:.4f}"
    found[name] = measure(pictures)
    axis.imshow(np.concatenate(list(pictures[:14]), axis=1))
    axis.set_ylabel(name, rotation=0, ha="right", va="center")
    axis.set(xticks=[], yticks=[])
    print("{:26}{:9.2f}{:10.2f}{:12.2f}".format(name, *found[name]))

figure.suptitle("Four generators, one data set, the same noise")
plt.show()
assert all(0 <= number <= 1 for numbers in found.values() for number in numbers)

# %%
# Read the table, not the paper and not this sentence: the numbers above were computed when the page
# was built.  Two things can be read from it safely.  Compare the two *rates* within one activation,
# then the two *activations* within one rate: whichever difference is larger is the one that counted
# here.  And a low coverage with a high diversity is not collapse: those are pictures that are not
# faces yet, which ``recognised`` says.
#
# What it cannot show is the paper's own case, 100,000 photographs of 64 pixels over 30 epochs.  For
# that, ``--preset celebrity-relu`` and ``--preset celebrity-leaky`` train it, and ``--lr`` and
# ``--activation`` change one thing at a time.  Training compares the diversity of its samples with
# that of the data, and warns when it falls far below.
#
# Exercises
# ---------
# **1.**  Repeat the circle with five more seeds.  Which of the differences between the settings
# survive?
#
# .. dropdown:: Hint
#
#    Make a table of settings against seeds before you believe any of them.  ``play`` takes the seed
#    as its third argument.
#
# **2.**  Would batch statistics help?  Put ``BatchNorm2d`` between the layers of the circle's
# discriminator, and think about what it can see that it could not see before.
#
# .. dropdown:: Hint
#
#    Real and generated points go through D in separate batches.  In a batch of identical points,
#    what is every normalised value?
#
# **3.**  A generator of pictures has collapsed and D has noticed.  Why does G not simply spread out
# again, but jump to another single picture?
#
# .. dropdown:: Hint
#
#    The gradient that reaches G comes from where its pictures *are*.  Which way does it point for
#    two equal pictures?
