r"""
10. How good are the pictures?
==============================

**A GAN's losses do not say whether its pictures are good.  Which numbers do, and how far can each
of them be trusted?**

:You need: :doc:`a DCGAN <09_dcgan>`.
:Afterwards: you can compute a Fréchet distance by hand, say what it sees and what it is blind to,
   use diversity, coverage and nearest neighbours beside it, and compare two runs fairly.
:Time: 30 minutes.

"Good" is at least three things: every picture looks real (*quality*), together they are as varied
as the data (*coverage*), and they are new (*no copies*).  A number that sees only one of them can
be fooled.  So this page does what one should do with every instrument before use: measures things
whose answer is known.  No network is trained; every set of pictures is made on purpose.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan.data import faces
from tinygan.metrics import (
    AttributeProbe,
    RandomFeatures,
    diversity,
    frechet_distance,
    nearest_neighbours,
    sliced_wasserstein,
)

# %%
# Sets with known faults
# ----------------------
# Six sets of 300 pictures: new real faces; blurred ones; noisy ones; two faces repeated; only one
# kind of background; and copies of the training pictures.

rng = np.random.default_rng(0)
training = faces(1000, 32, seed=0).images
new = faces(300, 32, seed=0, start=5000).images
reference = faces(600, 32, seed=0, start=8000)


def blurred(pictures):
    x = pictures.astype(float)
    for axis in (1, 2):
        x = (np.roll(x, 1, axis) + 2 * x + np.roll(x, -1, axis)) / 4
    return x.astype(np.uint8)


def noisy(pictures, spread=25):
    return np.clip(pictures + spread * rng.standard_normal(pictures.shape), 0, 255).astype(np.uint8)


many = faces(3000, 32, seed=0, start=9000)
one_kind = many.images[many.attributes["background"] == 0][:300]
sets = {
    "real": new,
    "blurred": blurred(blurred(new)),
    "noisy": noisy(new),
    "two faces": np.repeat(new[:2], 150, axis=0),
    "one background": one_kind,
    "copies": training[:300],
}
figure, axes = plt.subplots(6, 1, figsize=(6, 5.2), layout="constrained")
for axis, (name, pictures) in zip(axes, sets.items(), strict=True):
    axis.imshow(np.concatenate(list(pictures[145:155]), axis=1))
    axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=12)
    axis.set(xticks=[], yticks=[])

figure.suptitle("Six sets, five of them with a fault")
plt.show()

# %%
# The Fréchet distance, by hand
# -----------------------------
# Turn each picture into a vector of features, and describe a set of vectors by its mean
# :math:`\mu` and its covariance :math:`\Sigma`, as if it were Gaussian.  The distance between two
# Gaussians is
#
# .. math::
#     d^2 = |\mu_1 - \mu_2|^2
#     + \operatorname{tr}\big(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2}\big) .
#
# With the features of one particular trained network (Inception) this is the *FID* of Heusel and
# others (2017).  tinygan brings no trained network along; its `~tinygan.metrics.RandomFeatures`
# are statistics of random filters, so its numbers compare runs with one another and *not* with
# published ones.

features_of = RandomFeatures(32)
real = features_of(reference.images)


def frechet(a, b):
    mean = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    s, t = np.cov(a.T), np.cov(b.T)
    values, vectors = np.linalg.eigh(s)
    root = vectors * np.sqrt(np.clip(values, 0, None)) @ vectors.T
    product = np.linalg.eigvalsh(root @ t @ root)  # has the eigenvalues of s t
    return mean + np.trace(s + t) - 2 * np.sqrt(np.clip(product, 0, None)).sum()


distances = {name: frechet(features_of(pictures), real) for name, pictures in sets.items()}
theirs = frechet_distance(features_of(new), real)
print(f"by hand {distances['real']:.3f}, tinygan's {theirs:.3f}")
assert np.isclose(distances["real"], theirs, rtol=1e-3)

# %%
# A zero that is not zero
# -----------------------
# *Real* pictures against *real* pictures should be 0 apart.  They are not, as mean and covariance
# are estimated from few pictures.  The distance is *biased upwards*, and more so for small sets:

everything = features_of(many.images)
counts = (100, 200, 400, 800, 1500)
by_count = [frechet(everything[:n], everything[1500 : 1500 + n]) for n in counts]
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
axis.loglog(counts, by_count, "o-")
axis.set(xlabel="pictures in each of two real sets", ylabel="Fréchet distance")
axis.set_title("Two sets of the same kind look different when they are small")
plt.show()
assert by_count[0] > 3 * by_count[-1]

# %%
# So compare only at equal numbers, and always print the distance of two real sets beside: the
# *floor*.  ``python -m tinygan.evaluate`` does both.
#
# Four instruments, six sets
# --------------------------
# *Sliced Wasserstein* compares patches of the pictures, *diversity* how unlike random pairs within
# a set are, and *coverage* counts which kinds of hair, glasses, … are made, which only drawn data
# allow.

probe = AttributeProbe(faces(1000, 32, seed=3), faces(200, 32, seed=4))


def measure(pictures):
    patches = np.mean(list(sliced_wasserstein(reference.images[:300], pictures).values()))
    coverage = probe.coverage(pictures)
    return patches, diversity(pictures, pairs=200), coverage.total, coverage.recognised


table = {name: (distances[name], *measure(pictures)) for name, pictures in sets.items()}
print("                 Fréchet  patches  diversity  coverage  recognised")
for name, row in table.items():
    print("{:16}{:8.2f}{:9.3f}{:11.2f}{:10.2f}{:12.2f}".format(name, *row))

assert all(table[name][0] > 2 * table["real"][0] for name in ("blurred", "noisy", "two faces"))
assert table["two faces"][2] < 0.7 * table["real"][2]
assert table["one background"][3] < table["real"][3]
assert table["copies"][0] < 2 * table["real"][0]

# %%
# Read it row by row.  All instruments are content with the copies, since they are real pictures.
# The Fréchet distance sees blur, noise and collapse, and cannot say which it was.  Diversity sees
# only the two faces.  No single column would have done.
#
# Copies
# ------
# For that, look for each picture's nearest neighbour among the training pictures.  "Near" needs a
# measure: how near do *new real* pictures come?

figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
medians = {}
for name in ("real", "copies", "noisy"):
    near = nearest_neighbours(sets[name], training).distances[:, 0]
    medians[name] = np.median(near)
    axis.hist(near, bins=np.linspace(0, 0.6, 61), alpha=0.6, label=name)

axis.set(xlabel="distance to the nearest training picture", ylabel="pictures")
axis.legend()
plt.show()
print({name: round(float(median), 3) for name, median in medians.items()})
assert medians["copies"] == 0 < medians["real"]

# %%
# What the measures say about a real run
# --------------------------------------
# .. recorded:: dcgan
#
# Remember
# --------
# * Measure quality, coverage and copying separately: one number can be fooled.
# * A distance between sets is biased for small sets: equal numbers of pictures, and the floor
#   beside.
# * Test an instrument on sets whose faults you know before you believe it about your run.
#
# Exercises
# ---------
# **1.**  Which of the six sets would a *human* call the best?  Which would a loss?
#
# .. dropdown:: Hint
#
#    People look at one picture after the other.  Which faults can be seen in a single picture?
#
# .. solution::
#
#    In a single picture: blur and noise.  "Two faces", "one background" and "copies" look perfect
#    one by one; only statistics over the set see them.

single = {name: table[name][4] for name in ("two faces", "one background", "copies")}
print("recognised as faces:", {name: round(float(value), 2) for name, value in single.items()})
assert min(single.values()) > 0.9

# %%
# **2.**  How much noise can you add before the Fréchet distance doubles?
#
# .. dropdown:: Hint
#
#    ``noisy(new, spread)`` for a few spreads.  Would you have seen that by eye?
#
# .. solution::
#
#    More than 8 grey levels out of 255 and fewer than 16.

for spread in (4, 8, 16):
    d = frechet(features_of(noisy(new, spread)), real)
    print(f"spread {spread:2}: {d / distances['real']:.1f} times the distance of real pictures")
    assert (d > 2 * distances["real"]) == (spread > 8)

# %%
# **3.**  The mean of the features is in the distance, and the covariance.  Make a set with the
# right mean and no variety at all.
#
# .. dropdown:: Hint
#
#    You may invent feature vectors; they need not belong to pictures.
#
# .. solution::
#
#    Repeat the mean: the first term is 0 and the trace of the real covariance remains, so the
#    distance punishes missing variety.

same = np.repeat(real.mean(axis=0, keepdims=True), 300, axis=0)
print(f"{frechet(same, real):.2f} = trace of the covariance {np.trace(np.cov(real.T)):.2f}")
assert np.isclose(frechet(same, real), np.trace(np.cov(real.T)), rtol=1e-6)

# %%
# Read on
# -------
# * M. Heusel and others, *GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
#   Equilibrium*, NeurIPS 2017, `arXiv:1706.08500 <https://arxiv.org/abs/1706.08500>`__: the FID.
# * A. Borji, *Pros and Cons of GAN Evaluation Measures*, 2018, `arXiv:1802.03446
#   <https://arxiv.org/abs/1802.03446>`__: two dozen measures, and what fools each.
#
# **Next:** :doc:`mode collapse <11_mode_collapse>`, where one of these faults arises by itself.
