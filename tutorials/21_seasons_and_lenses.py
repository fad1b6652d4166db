r"""
21. Seasons and lenses
======================

**The second paper ends with two wishes: to change the season of a photograph, and to give it a
shallower depth of field.  How would one know that the answer is right?**

:You need: :doc:`a CycleGAN <12_cyclegan>`.
:Afterwards: you can train on either task, drawn or downloaded, compute how much a lens blurs, and
   name the competitors that a translation has to beat.
:Time: 25 minutes; the page trains for about 15 seconds.

"One typical application is season transfer", says the paper's section 5, and "likewise, our method
can be implemented as a photo enhancement technique".  It tried neither.  Photographs of both are
published, and have presets:

.. code-block:: console

   $ python -m tinygan.data download summer2winter_yosemite --out yosemite
   $ python -m tinygan.train cyclegan --preset summer2winter_yosemite --data yosemite
   $ python -m tinygan.data download iphone2dslr_flower --out flowers
   $ python -m tinygan.train cyclegan --preset iphone2dslr_flower --data flowers

But nobody has photographed the same clouds in June and in January.  So whatever a network answers
there, it can only be looked at.  Here both tasks are drawn as well, and then the truth is known.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from tinygan import fit
from tinygan.data import DRAWN_SETS, lenses, seasons, to_float
from tinygan.metrics import translation_error

# %%
# The same places in two seasons
# ------------------------------
# Landscape number :math:`i` is the same valley in both sets: the same ridge, trees, house and hour.
# For training the domains get different numbers, so that there is no pair; others are kept for
# measuring.

summer, winter = seasons(8, 64), seasons(8, 64, domain="winter")


def show(rows, names, title):
    size = (9, 0.4 + 1.05 * len(rows))
    figure, axes = plt.subplots(len(rows), 1, figsize=size, layout="constrained")
    for axis, row, name in zip(axes, rows, names, strict=True):
        axis.imshow(np.concatenate(list(row[:8]), axis=1))
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
    figure.suptitle(title)
    plt.show()


show([summer.images, winter.images], ["summer", "winter"], "The same eight places")
for name in ("mountains", "trees", "house"):
    print(name, [summer.categories[name][k] for k in summer.attributes[name]])
    assert (summer.attributes[name] == winter.attributes[name]).all()

# %%
# A telephone and a large lens
# ----------------------------
# A lens of focal length :math:`f` and aperture :math:`A`, focused at the distance :math:`s`, makes
# a disc of a point at the distance :math:`d`.  The rays from the point fill the aperture and do not
# meet on the sensor, but before or behind it; similar triangles give the disc's diameter there:
#
# .. math::
#     c = A \, \frac{|d - s|}{d} \, \frac{f}{s - f} .
#
# A photographer writes :math:`A = f / N`.  With a flower at half a metre before a hedge at three:


def disc(f, N, sensor, s=500.0, d=3000.0):
    """Return the disc's share of the picture's width; all lengths in millimetres."""
    A = f / N
    return A * abs(d - s) / d * f / (s - f) / sensor


telephone, large = disc(f=5.7, N=1.8, sensor=7.0), disc(f=50, N=1.8, sensor=36)
print(f"a point of the hedge becomes {telephone:.1%} of the picture's width with a telephone,")
print(f"{large:.1%} with a 50 mm lens: {large / telephone:.0f} times as much")
assert large > 10 * telephone

# %%
# The telephone's disc is smaller than a pixel of a small picture: all is sharp.  The drawn
# photographs are made so.  What is farther is painted first, spread over a disc, and painted over
# by what is nearer.  The flower comes last and stays sharp.

phone, dslr = lenses(8, 64), lenses(8, 64, domain="dslr")
show([phone.images, dslr.images], ["telephone", "large lens"], "The same eight scenes")
detail = [np.abs(np.diff(x.images.astype(float), axis=2)).mean() for x in (phone, dslr)]
print(f"mean difference of neighbouring pixels: {detail[0]:.1f} and {detail[1]:.1f} of 255")

# %%
# Competitors without a network
# -----------------------------
# Doing nothing is one.  *One winter for all* is another: whatever the summer, answer with the mean
# of all winters.  The third is to *recolour*.  The mean :math:`\mu` and the covariance
# :math:`\Sigma` of all colours of a domain can be had without any pair, and
#
# .. math:: x \mapsto \mu_Y + \Sigma_Y^{1/2}\, \Sigma_X^{-1/2} (x - \mu_X)
#
# gives one domain those of the other (after Reinhard and others, below).  And for lenses: *blur*
# everything, flower and all.


def power(matrix, exponent):
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * values**exponent) @ vectors.T


def recolour(x, X, Y):
    X, Y = (to_float(domain).reshape(-1, 3) for domain in (X, Y))
    A = power(np.cov(Y.T), 0.5) @ power(np.cov(X.T), -0.5)
    return np.clip((to_float(x) - X.mean(axis=0)) @ A.T + Y.mean(axis=0), -1, 1)


def one_for_all(x, Y):
    return np.broadcast_to(to_float(Y).mean(axis=0), x.shape)


def blur(x):
    x = to_float(x)
    for axis in (1, 2):
        x = sum(np.roll(x, k, axis) for k in (-1, 0, 1)) / 3
    return x


def distance(made, truth):
    return float(translation_error(made, truth).absolute.mean())


def misplaced(made, truth):
    """Return 1 - SSIM: 0 where every shape is in its place."""
    return float(translation_error(made, truth).structural.mean())


train = {n: [draw(300, 32, start=300 * i).images for i, draw in enumerate(DRAWN_SETS[n])]
         for n in ("seasons", "lenses")}
test = {n: [draw(64, 32, start=2000).images for draw in DRAWN_SETS[n]] for n in train}
for name in train:
    x, y = test[name]
    print(f"{name:7}  nothing {distance(x, y):.3f}", end="   ")
    print(f"one for all {distance(one_for_all(x, train[name][1]), y):.3f}", end="   ")
    print(f"recoloured {distance(recolour(x, *train[name]), y):.3f}", end="   ")
    print(f"blurred {distance(blur(x), y):.3f}")

x, y = test["seasons"]
alike = distance(one_for_all(x, train["seasons"][1]), y)
assert alike < distance(recolour(x, *train["seasons"]), y) < distance(x, y)

# %%
# Winters are so alike that the mean of all is nearer to any of them than a recoloured summer.  A
# network that has understood the picture in front of it has to beat *that*.  Of the lenses doing
# nothing is hard to beat, as most of a picture is smooth before and after.
#
# Train
# -----
# A quarter of a minute, with small networks.  ``fit`` is the command ``python -m tinygan.train
# cyclegan --dataset seasons``, with its options by name:

run = fit(
    "cyclegan",
    dataset="seasons",
    dataset_size=300,
    image_size=32,
    load_size=32,
    width=8,
    residual_blocks=2,
    discriminator_width=8,
    norm="batch",
    batch_size=4,
    lr=2e-3,
    ema=0.98,
    steps=200,
    backend="numpy",
    quiet=True,
    out=Path(tempfile.mkdtemp()) / "seasons",
)
made = run.translate(x)
recoloured = recolour(x, *train["seasons"])


def as_bytes(pictures):
    return np.clip(np.asarray(pictures) * 127.5 + 127.5, 0, 255).astype(np.uint8)


rows = [x, as_bytes(recoloured), as_bytes(made), y]
show(rows, ["summer", "colours\nonly", "G(x)", "the truth"], "Places that were not trained on")
mean = one_for_all(x, train["seasons"][1]).astype(np.float32)
for name, pictures in (("G(x)", made), ("colours only", recoloured), ("one for all", mean)):
    print(f"{name:12}  distance {distance(pictures, y):.3f}", end="   ")
    print(f"1 - SSIM {misplaced(pictures, y):.3f}")

assert misplaced(made, y) < misplaced(mean, y)

# %%
# By the distance G has learnt little more than what all winters have in common, which the pictures
# alone would not have told.  A second number asks whether shapes are in their places:
# structural similarity, which one winter for all cannot have.  The default run takes minutes:
#
# .. recorded:: seasons
#
# Lakes are frozen where lakes were, trees stand in their places, and an evening keeps its pink.
# But firs and beeches have become alike, hardly a branch is bare, and the houses are gone.  By the
# distance that is no nearer to the truth than one winter for all; by structure it is far nearer.
# Each number alone would tell half of it.
#
# And the lens, by the same command with ``--dataset lenses``:
#
# .. recorded:: lenses
#
# The bricks are gone and the leaves are soft, as they should be.  But the flower is soft, too: a
# network that looks at 32 pixels has found it easier to blur everything.  It is nearer to the truth
# than doing nothing, and no nearer than the five lines of ``blur`` on the same pictures:

x, y = (draw(64, 32, start=5000).images for draw in DRAWN_SETS["lenses"])
blurred = distance(blur(x), y), misplaced(blur(x).astype(np.float32), y)
print(f"blurred: distance {blurred[0]:.3f}, 1 - SSIM {blurred[1]:.3f}")
assert blurred[0] < 0.054
assert blurred[1] < 0.258

# %%
# From the large lens to the small one the network invents bricks that were never there.
#
# Remember
# --------
# * A drawn stand-in tells what photographs cannot: how far from the truth a translation is.
# * Beat the competitors that need no network: doing nothing, one answer for all, recolouring.
# * A lens blurs by :math:`c = A\,|d - s|/d \cdot f/(s - f)`; at one f-number that grows with the
#   square of its focal length.
#
# Exercises
# ---------
# **1.**  To which :math:`N` must the 50 mm lens be stopped down to show the hedge as the telephone
# does?
#
# .. dropdown:: Hint
#
#    The disc is proportional to the aperture, :math:`A = f / N`.
#
# .. solution::
#
#    By as much as it was larger.  Real lenses end at about f/22.

N = 1.8 * large / telephone
print(f"f/{N:.0f}")
assert np.isclose(disc(f=50, N=N, sensor=36), telephone)

# %%
# **2.**  Is the other direction, winter to summer, as good for the recolouring?  What of lenses?
#
# .. dropdown:: Hint
#
#    Exchange the two domains everywhere.  Which colours does snow hide?
#
# .. solution::
#
#    Worse: where all is white, the recolouring cannot tell a meadow from a lake or a mountain.  Of
#    the lenses neither way has anything to recolour.

for name in train:
    x, y = test[name]
    X, Y = train[name]
    there, back = distance(recolour(x, X, Y), y), distance(recolour(y, Y, X), x)
    print(f"{name:8} there {there:.3f}, back {back:.3f}, nothing {distance(x, y):.3f}")
    assert name == "lenses" or back > there

# %%
# Read on
# -------
# * J.-Y. Zhu and others, *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
#   Networks*, ICCV 2017, `arXiv:1703.10593 <https://arxiv.org/abs/1703.10593>`__: both tasks on
#   photographs, and what fails.
# * E. Reinhard and others, *Color Transfer between Images*, IEEE Computer Graphics and Applications
#   21, 2001.
#
# **Next:** :doc:`videos <22_video>`.
