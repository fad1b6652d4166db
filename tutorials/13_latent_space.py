r"""
13. The latent space
====================

**A generator makes a face of any 200 numbers.  What do the numbers mean, and can one calculate with
them?**

:You need: :doc:`a DCGAN <09_dcgan>` and :doc:`the measures <10_how_good_are_the_pictures>`.
:Afterwards: you can walk through a latent space, trade variety against quality by truncation, do
   Radford's arithmetic and *measure* whether it worked, and use D as a feature extractor.
:Time: 30 minutes.

The vector :math:`z` that goes into a generator is called *latent*, which means hidden: what is
observed are pictures, never the numbers behind them.  Nobody tells :math:`G` what its 200 numbers
are for.  With drawn faces, every picture's hair, glasses and beard are known, and a probe can read
them from a picture.  So here the famous claims about latent spaces can be tested by counting.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import load
from tinygan.data import faces
from tinygan.metrics import AttributeProbe, diversity
from tinygan.models import dcgan

# %%
# A generator to explore
# ----------------------
# Of the two runs that come with tinygan, the one of faces: the default command, 1800 steps, 32 by
# 32 pixels.  (It is the one of :doc:`two networks to touch <../networks>`, where you can drag
# through its space.)

run = load("demo-faces", backend="numpy")
G, D = run.networks["G"], run.networks["D"]
size = run.options.noise_size
assert (size, run.step, run.options.image_size) == (200, 1800, 32)
probe = AttributeProbe(faces(1500, 32, seed=1), faces(300, 32, seed=0, start=20000))


def faces_of(z):
    return np.clip(G.predict(z.astype(np.float32)) * 127.5 + 127.5, 0, 255).astype(np.uint8)


def show(rows, names, title):
    figure, axes = plt.subplots(
        len(rows), 1, figsize=(7, 0.5 + 0.8 * len(rows)), layout="constrained", squeeze=False
    )
    for axis, row, name in zip(axes[:, 0], rows, names, strict=True):
        axis.imshow(np.concatenate(list(row), axis=1))
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12)
        axis.set(xticks=[], yticks=[])
    figure.suptitle(title)
    plt.show()


# %%
# Walks
# -----
# Between two noises lie other noises.  If G had learnt a list of pictures, the way from one to the
# next would cross pictures of nothing.  How far is each frame from the one before it?

z = dcgan.draw_noise(4, size, 11)
t = np.linspace(0, 1, 9)[:, None]
walks = [(1 - t) * z[k] + t * z[k + 1] for k in range(3)]
show([faces_of(walk) for walk in walks], ["", "", ""], "Three walks from one noise to another")

steps = np.concatenate(
    [np.abs(np.diff(faces_of(walk).astype(float), axis=0)).mean(axis=(1, 2, 3)) for walk in walks]
)
jump = np.abs(faces_of(z[:1]).astype(float) - faces_of(z[1:2])).mean()
print(f"the largest of {len(steps)} steps changes a picture by {steps.max():.1f} of 255")
print(f"from the first face to the second at once: {jump:.1f}")
assert steps.max() < jump

# %%
# No step is a jump, and what lies between two faces is a face.
#
# The middle of a straight walk has smaller numbers than its ends: for independent entries the
# length of :math:`(z_a + z_b)/2` is about :math:`1/\sqrt 2` of theirs.  Many people therefore walk
# along the *sphere* (spherical interpolation), so as to stay where :math:`G` was trained.
#
# Truncation
# ----------
# Shorter noise is said to give more typical pictures, at the price of variety: that is
# *truncation*. Multiply all of :math:`z` by a factor below 1, and let the probe judge.

z = dcgan.draw_noise(400, size, 12)
factors = (0.3, 0.5, 0.7, 1.0)
pictures = {factor: faces_of(factor * z) for factor in factors}
show(
    [pictures[f][:9] for f in factors], [f"{f} z" for f in factors], "The same noises, made shorter"
)
print("factor  recognised as a face  diversity")
found = {}
for factor in factors:
    found[factor] = probe.recognised(pictures[factor]).mean(), diversity(pictures[factor])
    print(f"{factor:6.1f}{found[factor][0]:22.0%}{found[factor][1]:11.3f}")

length = np.linalg.norm(z, axis=1)
print(f"length of z: {length.mean():.1f}, give or take {length.std():.1f}")
assert found[0.7][0] > found[0.3][0]
assert found[0.3][1] < found[1.0][1]
assert length.min() > 0.6 * length.mean()
middle_length = np.linalg.norm((z[:200] + z[200:]) / 2, axis=1).mean() / length.mean()
assert abs(middle_length - np.sqrt(0.5)) < 0.02

# %%
# A little shorter does no harm; much shorter is a place where :math:`G` has never been.  In 200
# dimensions noise is not a cloud around the middle but a *shell*: all of the 400 vectors have
# nearly the same length, none is near 0.  Remember that published pictures of GANs are often
# truncated, and that a measure of quality without one of variety would reward it.
#
# Arithmetic
# ----------
# Radford and others (2015) made this famous: the mean :math:`z` of *men with glasses*, minus that
# of *men without*, plus that of *women without*, gives *women with glasses*.  They showed nine
# pictures.  The drawn faces have no sex, but beards: is *beard and glasses* − *beard* +
# *neither* = *glasses without a beard*?  The probe sorts 6000 generated faces:

z = dcgan.draw_noise(6000, size, 13)
kinds = probe.classify(faces_of(z))
glasses = kinds["glasses"] != 0
beard = kinds["beard"] >= 3  # goatee or full
groups = {
    "beard and glasses": beard & glasses,
    "beard only": beard & ~glasses,
    "neither": ~beard & ~glasses,
}
mean = {name: z[group].mean(axis=0) for name, group in groups.items()}
print({name: int(group.sum()) for name, group in groups.items()})

answer = mean["beard and glasses"] - mean["beard only"] + mean["neither"]
usual_length = np.sqrt(size / 3)  # of numbers between -1 and 1
jitter = dcgan.draw_noise(200, size, 14) * 0.4


def share(z):
    """Return the share of faces with glasses, and without a beard."""
    kinds = probe.classify(faces_of(z))
    return (kinds["glasses"] != 0).mean(), (kinds["beard"] < 3).mean()


rows, names, around = [], [], {}
for name, vector in (*mean.items(), ("the answer", answer)):
    vector = vector * 0.6 * usual_length / np.linalg.norm(vector)
    around[name] = vector + jitter
    rows.append(faces_of(around[name])[:8])
    names.append(name)
    with_glasses, without_beard = share(around[name])
    print(f"{name:18} with glasses {with_glasses:4.0%}  without a beard {without_beard:4.0%}")

show(rows, names, "Mean noises, and their sum")
usual = share(z)
print(f"among all faces    with glasses {usual[0]:4.0%}  without a beard {usual[1]:4.0%}")
assert with_glasses > 2 * usual[0]
assert without_beard > 0.7 > 0.3 > share(around["beard only"])[1]

# %%
# Sunglasses, and the beard is gone: it works, and not only for nine pictures.  Still, one result
# can be luck.  So use the direction on faces that it was *not* made of: add *glasses* − *no
# glasses* to up to 500 new noises that gave faces without, and count again; as a control add random
# directions of the same length.

direction = z[glasses].mean(axis=0) - z[~glasses].mean(axis=0)
direction *= 0.2 * usual_length / np.linalg.norm(direction)
new = dcgan.draw_noise(1000, size, 15)
new = new[probe.classify(faces_of(new))["glasses"] == 0][:500]
random = np.random.default_rng(3).standard_normal((10, size))
random *= np.linalg.norm(direction) / np.linalg.norm(random, axis=1, keepdims=True)
put_on = share(new + direction)[0]
by_chance = np.mean([share(new + r)[0] for r in random])
print(f"glasses put on by the direction: {put_on:.0%}; by random directions: {by_chance:.0%}")
assert put_on > 0.8 > 0.2 > by_chance
show([faces_of(new[:9]), faces_of(new[:9] + direction)], ["before", "after"], "Put on glasses")

# %%
# By the count a great success: a step of a fifth of a noise's length puts glasses on more than four
# of five faces.  Now look at the rows, and ask two other measures what *else* has changed:

before, after = faces_of(new), faces_of(new + direction)
print(f"mean brightness before {before.mean():.0f}, after {after.mean():.0f} of 255")
passing = [probe.recognised(pictures).mean() for pictures in (before, after)]
print(f"recognised as faces: before {passing[0]:.0%}, after {passing[1]:.0%}")
assert after.mean() < before.mean() - 5
assert passing[1] < passing[0] - 0.1

# %%
# Hair and skin have become darker, and fewer of the results pass as faces.  :math:`G` has
# *entangled* glasses with darkness; in the drawings that it learnt from the two are independent.
# So look at what else a direction changes: at the pictures, by a second measure, beside a control.
#
# What has D learnt?
# ------------------
# :math:`D` was never told what glasses are, only which faces are real.  Radford's second claim: its
# inner activations are good *features* for a classifier with few labels.  A linear classifier on
# 400 labelled faces, on three kinds of features:


def features(network, pictures):
    h = pictures.astype(np.float32) / 127.5 - 1
    for layer in list(network)[:-2]:  # up to the last convolution
        h = layer.predict(h)
    return h.reshape(len(h), -1).astype(np.float64)


def right(features_of, attribute, few, test):
    """Return the share of the test faces that a linear classifier on few faces reads rightly."""
    a, b = features_of(few.images), features_of(test.images)
    mean, spread = a.mean(axis=0), a.std(axis=0) + 1e-6
    a, b = (a - mean) / spread, (b - mean) / spread
    kinds = len(few.categories[attribute])
    goal = np.eye(kinds)[few.attributes[attribute]] - 1 / kinds
    kernel = a @ a.T + a.shape[1] * np.eye(len(a))  # ridge regression, in its dual form
    scores = (b @ a.T) @ np.linalg.solve(kernel, goal)
    return (scores.argmax(axis=1) == test.attributes[attribute]).mean()


def pixels(pictures):
    return pictures.reshape(len(pictures), -1) / 127.5 - 1


untrained = dcgan.discriminator(32, width=run.options.width, rng=2)
few, test = faces(400, 32, seed=6), faces(1000, 32, seed=5)
table = {}
print("              pixels  D before training  D after")
for attribute in ("glasses", "hair_style", "hair_colour", "expression", "background"):
    table[attribute] = [
        right(pixels, attribute, few, test),
        right(lambda pictures: features(untrained, pictures), attribute, few, test),
        right(lambda pictures: features(D, pictures), attribute, few, test),
    ]
    print("{:12}{:8.0%}{:19.0%}{:9.0%}".format(attribute, *table[attribute]))

pixel, before, after = np.mean(list(table.values()), axis=0)
print("{:12}{:8.0%}{:19.0%}{:9.0%}".format("mean", pixel, before, after))
assert after > before + 0.03
assert after > pixel + 0.03
beaten = [row[2] > row[1] for row in table.values()]
assert sum(beaten) == 4
assert not beaten[list(table).index("hair_colour")]

# %%
# The middle column is the control that a claim like this needs: a network with *random* weights.
# It is not bad at all, and for the colour of hair the best.  The trained D beats it in the other
# four attributes: what it learnt in order to unmask :math:`G` helps to tell hair and glasses apart.
# Radford's comparison lacked the middle column.
#
# Remember
# --------
# * Between two noises lie faces: a generator has learnt more than a list of pictures.
# * Directions in the latent space can be found by averaging; measure them on other noises, and look
#   at what *else* they change.
# * A claim about what a network has learnt needs a control: random directions, an untrained
#   network.
#
# Exercises
# ---------
# **1.**  Find the direction that takes beards off, and measure it on faces that have one.
#
# .. dropdown:: Hint
#
#    Copy the lines about glasses.  Which faces do you keep, and what do you count?
#
# .. solution::
#
#    The mean of the faces without a beard, minus that of the faces with one:

direction = z[~beard].mean(axis=0) - z[beard].mean(axis=0)
direction *= 0.2 * usual_length / np.linalg.norm(direction)
fresh = dcgan.draw_noise(2000, size, 16)
bearded = fresh[probe.classify(faces_of(fresh))["beard"] >= 3]
shaved = share(bearded + direction)[1]
print(f"{len(bearded)} bearded faces; without a beard afterwards: {shaved:.0%}")
assert shaved > 0.8

# %%
# **2.**  Walk along the sphere instead of the straight line.  Is more of it recognised?
#
# .. dropdown:: Hint
#
#    Divide each point of the walk by its length and multiply by that of the ends.
#
# .. solution::
#
#    The middle of the straight walk is shorter, and here that costs nothing, as with the factor of
#    0.7 above: both middles are faces about as often.

a, b = dcgan.draw_noise(300, size, 17), dcgan.draw_noise(300, size, 18)
middle = (a + b) / 2
sphere = middle * np.linalg.norm(a, axis=1, keepdims=True)
sphere /= np.linalg.norm(middle, axis=1, keepdims=True)
straight_share = probe.recognised(faces_of(middle)).mean()
sphere_share = probe.recognised(faces_of(sphere)).mean()
print(f"recognised: straight {straight_share:.0%}, on the sphere {sphere_share:.0%}")
assert abs(straight_share - sphere_share) < 0.2

# %%
# **3.**  Why does the mean of the *noises* work, when the mean of the *pictures* is a grey blur?
#
# .. dropdown:: Hint
#
#    Average the pictures of one group, and ask the probe.
#
# .. solution::
#
#    Pictures do not form a space in which averages are pictures; G was trained so that all of its
#    latent space gives faces.  That is why one calculates there.

blur = faces_of(z[glasses]).mean(axis=0, keepdims=True).astype(np.uint8)
one = faces_of(around["beard and glasses"][:1])
print("the blur is recognised as a face:", bool(probe.recognised(blur)[0]))
show([np.concatenate([blur, one])], [""], "The mean picture; the picture of the mean")
assert not probe.recognised(blur)[0]

# %%
# Read on
# -------
# * A. Radford, L. Metz, S. Chintala, *Unsupervised Representation Learning with Deep Convolutional
#   Generative Adversarial Networks*, ICLR 2016, `arXiv:1511.06434
#   <https://arxiv.org/abs/1511.06434>`__: sections 5 and 6 are the claims tested here.
# * T. White, *Sampling Generative Networks*, 2016, `arXiv:1609.04468
#   <https://arxiv.org/abs/1609.04468>`__: spherical walks and attribute vectors.
#
# **Next:** :doc:`your own pictures <14_your_own_pictures>`.
