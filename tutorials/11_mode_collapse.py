r"""
11. Mode collapse
=================

**What does it look like when a generator makes one thing only, how do you measure it, and what
brings it about?**

:You need: :doc:`how good are the pictures? <10_how_good_are_the_pictures>`
:Afterwards: you can recognise a mode collapse, measure it, bring one about and cure it, and judge a
   claim about a cure.
:Time: 30 minutes; the page computes for about 40 seconds.

The first paper trained twice on the same faces.  With ReLU and a learning rate of 0.0001 the
generator repeated the same features again and again; with *leaky* ReLU and 0.0002 it made varied
faces.  Two things were changed at once, in one run each.  This page brings a collapse about on
purpose, measures it, cures it, and asks of every difference whether it is larger than luck.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Adam, LeakyReLU, Linear, Sequential
from tinygan.data import Prefetcher, faces
from tinygan.metrics import AttributeProbe, diversity
from tinygan.models import dcgan

# %%
# Where it can be counted
# -----------------------
# Faces have no list of kinds, so begin with data that have one: points around eight places on a
# circle.  A generator that has understood makes points at all eight; one that has collapsed, at a
# few.

centres = 2 * np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def draw_points(count, rng):
    points = centres[rng.integers(0, 8, count)] + 0.1 * rng.standard_normal((count, 2))
    return points.astype(np.float32)


def network(sizes, rng):
    layers = []
    for before, after in pairwise(sizes):
        layer = Linear(before, after)
        layer.weight.data[...] = np.sqrt(2 / before) * rng.standard_normal((before, after))
        layers += [layer, LeakyReLU(0.2)]
    return Sequential(*layers[:-1])  # no activation at the end


def count_places(points):
    """Return how many of the eight places are visited."""
    distance = np.linalg.norm(points[:, None] - centres, axis=-1)
    near = distance.min(axis=1) < 0.4
    visits = np.bincount(distance.argmin(axis=1)[near], minlength=8)
    return int((visits > len(points) / 80).sum())


z_watched = np.random.default_rng(9).standard_normal((1000, 2)).astype(np.float32)


def play(seed, lr_G, lr_D, steps=1000):
    rng = np.random.default_rng(seed)
    G, D = network((2, 48, 48, 2), rng), network((2, 48, 48, 1), rng)
    opt_G = Adam(G.parameters(), lr=lr_G, betas=(0.5, 0.999))
    opt_D = Adam(D.parameters(), lr=lr_D, betas=(0.5, 0.999))
    for _ in range(steps):
        z = rng.standard_normal((96, 2), dtype=np.float32)
        dcgan.train_step(G, D, opt_G, opt_D, draw_points(96, rng), z)
    return G.predict(z_watched)


# %%
# The illness and a cure, each from three seeds.  In the first row G learns with ten times the rate
# of D.  In the second both have the same.  Nothing else differs.

settings = {"G ten times as fast": (5e-3, 5e-4), "the same rate": (1e-3, 1e-3)}
figure, axes = plt.subplots(2, 3, figsize=(7, 5), layout="constrained", sharex=True, sharey=True)
places = {}
for row, (name, rates) in zip(axes, settings.items(), strict=True):
    row[0].set_ylabel(name, fontsize=12)
    places[name] = []
    for seed, axis in enumerate(row):
        points = play(seed, *rates)
        places[name].append(count_places(points))
        axis.plot(*centres.T, "o", color="none", markeredgecolor="tab:orange", markersize=14)
        axis.plot(*points.T, ".", markersize=2, alpha=0.5)
        axis.set(title=f"{places[name][-1]} of 8", xlim=(-3, 3), ylim=(-3, 3), aspect="equal")
    print(f"{name:20} places visited, from three seeds: {places[name]}")

figure.suptitle("1000 generated points; the eight places are circled")
plt.show()
ill, cured = places.values()
assert max(ill) < min(cured)

# %%
# The worst of the second row is better than the best of the first: with three seeds each, that is a
# difference to believe.  What a *seed* changes is the measure for what a setting must change.
#
# Why does it happen at all?  G's loss asks of each example alone whether it passes.  Nothing in it
# asks whether the *set* is varied.  The point that passes best passes best for every z.  What keeps
# a generator from making only that one is D, which learns to reject it; and a D that learns ten
# times more slowly is always behind.  The generator jumps from place to place, and D follows.
#
# The *same rate* is a cure here.  Others from the literature: let D see several examples at once
# (Salimans and others, 2016), or let it learn faster than G (Heusel and others, 2017).
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
# What does a collapse of faces look like?  Beside real ones, 14 of "two faces only":

figure, axes = plt.subplots(2, 1, figsize=(7, 1.8), layout="constrained")
for axis, name, pictures in zip(
    axes, ("real", "collapsed"), (held_out.images[:14], collapsed[93:107]), strict=True
):
    axis.imshow(np.concatenate(list(pictures), axis=1))
    axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12)
    axis.set(xticks=[], yticks=[])

plt.show()

# %%
# Faces: the paper's two combinations, and a generator that runs ahead
# --------------------------------------------------------------------
# The paper's activations and rates, these five times as large since the run is so short.  Three
# seeds each, so that a difference can be told from luck.  The third setting is the illness of
# the circle: G's rate is ten times that of D.


def train(activation, lr_G, lr_D, seed, steps=260):
    G = dcgan.generator(16, noise_size=64, width=12, activation=activation, rng=seed)
    D = dcgan.discriminator(16, width=12, rng=100 + seed)
    opt_G = Adam(G.parameters(), lr=lr_G, betas=(0.5, 0.999))
    opt_D = Adam(D.parameters(), lr=lr_D, betas=(0.5, 0.999))
    rng = np.random.default_rng(seed)
    with Prefetcher(drawn.images, batch_size=32, seed=seed, flip=True) as batches:
        for _ in range(steps):
            z = dcgan.draw_noise(32, 64, rng)
            dcgan.train_step(G, D, opt_G, opt_D, next(batches), z)
    return to_bytes(G.predict(dcgan.draw_noise(200, 64, 7)))


runs = {
    "ReLU, 0.0005": ("relu", 5e-4, 5e-4),
    "leaky ReLU, 0.001": ("leaky_relu", 1e-3, 1e-3),
    "G ten times as fast": ("leaky_relu", 5e-3, 5e-4),
}
figure, axes = plt.subplots(len(runs), 1, figsize=(7, 2.6), layout="constrained")
found = {}
print("mean of 3 seeds, and half their range   diversity          coverage")
for axis, (name, setting) in zip(axes, runs.items(), strict=True):
    made = [train(*setting, seed) for seed in range(3)]
    found[name] = np.array([measure(pictures) for pictures in made])
    axis.imshow(np.concatenate(list(made[0][:14]), axis=1))
    axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12)
    axis.set(xticks=[], yticks=[])
    mean, spread = found[name].mean(axis=0), np.ptp(found[name], axis=0) / 2
    print(f"{name:36}{mean[0]:8.2f} ± {spread[0]:.2f}{mean[1]:12.2f} ± {spread[1]:.2f}")

figure.suptitle("Three settings, the same noise, the first of three seeds")
plt.show()
healthy, ahead = (found[name][:, 1] for name in ("leaky ReLU, 0.001", "G ten times as fast"))
assert healthy.mean() - ahead.mean() > max(np.ptp(healthy), np.ptp(ahead)) / 2

# %%
# After so few steps none of these is a good face yet; what is compared is variety.  Compare the
# differences between rows with the ± before you believe them: leaky ReLU with equal rates covers
# more kinds than with G ten times as fast, and the difference is larger than the ± of either.  The
# paper changed activation *and* rate at once and had one run of each, so it could not compare in
# this way.
#
# What this page cannot show is the paper's own case, 100,000 photographs of 64 pixels over 30
# epochs. For that, ``--preset celebrity-relu`` and ``--preset celebrity-leaky`` train it, and
# ``--lr`` and ``--activation`` change one thing at a time.  Training compares the diversity of its
# samples with that of the data, and warns when it falls far below.
#
# Remember
# --------
# * Nothing in G's loss asks for variety; only a D that keeps up enforces it.
# * Measure diversity and coverage of the set; losses and single pictures do not show a collapse.
# * One run is no evidence: compare a difference with what another seed changes.
#
# Exercises
# ---------
# **1.**  Is it the *ratio* of the rates, or G's rate alone?
#
# .. dropdown:: Hint
#
#    ``play`` with both rates at 5e-3, and with both at 5e-4.
#
# .. solution::
#
#    Both matter.  Fast but equal visits more places than the unequal pair.

equal_fast = [count_places(play(seed, 5e-3, 5e-3, steps=500)) for seed in range(3)]
unequal = [count_places(play(seed, 5e-3, 5e-4, steps=500)) for seed in range(3)]
print("both 5e-3:", equal_fast, " G 5e-3, D 5e-4:", unequal)
assert np.mean(equal_fast) > np.mean(unequal)

# %%
# **2.**  Could a diversity of the *losses* have shown the collapse?  Which number of a training
# step would you watch?
#
# .. dropdown:: Hint
#
#    All points of a collapsed batch are nearly equal.  What does D say about equal points?
#
# .. solution::
#
#    Equal points get equal scores: the *spread* of D's scores within a generated batch falls to
#    almost nothing.  The mean, which the loss is made of, may be anything.

rng = np.random.default_rng(0)
judge = network((2, 48, 48, 1), rng)
varied, equal = draw_points(96, rng), np.repeat(draw_points(1, rng), 96, axis=0)
print("spread of the scores, varied:", judge.predict(varied).std())
print("equal:", judge.predict(equal).std())
assert judge.predict(equal).std() < 1e-6 < judge.predict(varied).std()

# %%
# **3.**  A generator has collapsed and D has noticed.  Why does G not simply spread out again, but
# jump to another single place?
#
# .. dropdown:: Hint
#
#    The gradient that reaches G comes from where its points *are*.  Which way does it point for two
#    equal points?
#
# .. solution::
#
#    For equal points the gradient is equal: they all move together, to where D is blind at the
#    moment. Nothing pulls them apart.

score, backward = judge(equal)
push = backward(-np.ones_like(score))
print("the pushes on all equal points differ by", np.ptp(push, axis=0).max())
assert np.ptp(push, axis=0).max() < 1e-5

# %%
# Read on
# -------
# * T. Salimans and others, *Improved Techniques for Training GANs*, NeurIPS 2016, `arXiv:1606.03498
#   <https://arxiv.org/abs/1606.03498>`__: minibatch discrimination.
# * L. Metz and others, *Unrolled Generative Adversarial Networks*, ICLR 2017, `arXiv:1611.02163
#   <https://arxiv.org/abs/1611.02163>`__: the eight places on a circle.
#
# **Next:** :doc:`a CycleGAN <12_cyclegan>`.
