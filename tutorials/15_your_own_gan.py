r"""
15. Your own GAN
================

**There are hundreds of GANs in the literature.  What do you have to write to try another one?**

:You need: :doc:`losses <07_losses>`, :doc:`a DCGAN <09_dcgan>` and :doc:`mode collapse
   <11_mode_collapse>`.
:Afterwards: you can derive the gradients of a new objective, check them, and train with it.
:Time: 25 minutes.

Most variants of a GAN change one thing: the two losses.  This page takes one from the literature,
the *Wasserstein GAN* (Arjovsky and others, 2017), from its formula to a training that works.
"""

from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Adam, LeakyReLU, Linear, Sequential, check_gradients, frozen
from tinygan.metrics import sliced_wasserstein_points

# %%
# The formula
# -----------
# A discriminator that is sure of itself has a flat sigmoid and tells G nothing.  So leave the
# sigmoid out and let :math:`D`, now called the *critic*, give any number.  It maximises
#
# .. math:: \mathbb{E}_x D(x) - \mathbb{E}_z D(G(z)) ,
#
# and the generator maximises :math:`\mathbb{E}_z D(G(z))`.  The first expression could be made as
# large as one likes, by multiplying D by 10.  It is only meaningful for critics whose slope is
# limited: among those of slope at most 1 its largest value *is* the Wasserstein distance between
# the two distributions, the least work with which one heap of earth can be carried into the shape
# of the other.  The paper's crude limit: after each step, clip every weight of the critic to a
# small range.
#
# The losses, with their gradients
# --------------------------------
# A loss in tinygan is a function that returns itself and its gradient.


def critic_real(score):
    return -score.mean(), np.full_like(score, -1 / score.size)


def critic_fake(score):
    return score.mean(), np.full_like(score, 1 / score.size)


def generator_loss(score):
    return -score.mean(), np.full_like(score, -1 / score.size)


scores = np.random.default_rng(0).standard_normal(8)
for loss in (critic_real, critic_fake, generator_loss):
    assert check_gradients(loss, scores).ok

print("three gradients agree with differences")

# %%
# The game
# --------
# The rest is the training step that you know, with two changes: the critic learns five times for
# each step of G, so that it is near its best when G asks it, and its weights are clipped.


def network(sizes, rng):
    layers = []
    for ins, outs in pairwise(sizes):
        affine = Linear(ins, outs)
        affine.weight.data[...] = np.sqrt(2 / ins) * rng.standard_normal((ins, outs))
        layers += [affine, LeakyReLU(0.2)]
    return Sequential(*layers[:-1])  # no activation at the end


centres = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def draw_points(count, rng):
    points = centres[rng.integers(0, 8, count)] + 0.05 * rng.standard_normal((count, 2))
    return points.astype(np.float32)


def critic_step(D, opt_D, x, fake, clip):
    opt_D.zero_grad()
    total = 0.0
    for points, loss_of in ((x, critic_real), (fake, critic_fake)):
        score, backward = D(points)
        loss, dscore = loss_of(score)
        backward(dscore)
        total += float(loss)
    opt_D.step()
    for parameter in D.parameters():
        np.clip(parameter.data, -clip, clip, out=parameter.data)
    return -total


def train(seed, steps=600, clip=0.1):
    rng = np.random.default_rng(seed)
    G, D = network((2, 64, 64, 2), rng), network((2, 64, 64, 1), rng)
    opt_G, opt_D = (Adam(n.parameters(), lr=1e-3, betas=(0.0, 0.9)) for n in (G, D))
    history = []
    for step in range(steps):
        for _ in range(5):
            z = rng.standard_normal((64, 2), dtype=np.float32)
            distance = critic_step(D, opt_D, draw_points(64, rng), G.predict(z), clip)
        opt_G.zero_grad()
        fake, fake_backward = G(rng.standard_normal((64, 2), dtype=np.float32))
        with frozen(D):
            score, score_backward = D(fake)
        fake_backward(score_backward(generator_loss(score)[1]))
        opt_G.step()
        if step % 25 == 0:
            made = G.predict(rng.standard_normal((500, 2), dtype=np.float32))
            history.append((distance, sliced_wasserstein_points(made, draw_points(500, rng))))
    return G, np.array(history)


figure, axes = plt.subplots(2, 2, figsize=(6, 6), layout="constrained")
for seed, (left, right) in enumerate(axes.T):
    G, history = train(seed)
    points = G.predict(np.random.default_rng(9).standard_normal((1000, 2), dtype=np.float32))
    left.plot(*centres.T, "o", color="none", markeredgecolor="tab:orange", markersize=14)
    left.plot(*points.T, ".", markersize=2)
    left.set(title=f"seed {seed}", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
    right.plot(history[:, 0] / history[:, 0].max(), label="what D says")
    right.plot(history[:, 1] / history[:, 1].max(), label="true distance")
    right.set(xlabel="steps of G / 25", title="scaled to at most 1")
    agreement = np.corrcoef(history.T)[0, 1]
    distance = np.linalg.norm(points[:, None] - centres, axis=-1)
    near = distance.min(axis=1) < 0.25
    places = np.unique(distance.argmin(axis=1)[near])
    print(f"seed {seed}: {len(places)} of 8 places, {near.mean():.0%} of the points near one")
    print(f"        correlation of the two curves {agreement:.2f}")
    assert len(places) == 8
    assert near.mean() > 1 / 3
    assert history[-5:, 1].mean() < 0.5 * history[0, 1]
    assert agreement < 0.5

axes[1, 0].legend()
plt.show()

# %%
# The upper row is a success: every place is found, from both seeds, without a sigmoid, though many
# points still lie on the way from one to the next.  The lower row is not what the paper's plots
# promise.  There the critic's estimate falls together with the distance, so that, for once, a loss
# of a GAN says how far training has come.  Here the true distance has fallen before the clipped
# critic has learnt to use the slope that it is allowed, and the two hardly correlate.  Clipping is
# "a clearly terrible way" to limit a slope, says the paper itself; the second reference below
# replaces it.  Try a claim before you rely on it.
#
# From here to a command
# ----------------------
# A loop in a notebook has no run folder, no resume, no report.  This one file gets all of them, for
# pictures: it says what differs from other GANs, and nothing else.
#
# .. literalinclude:: ../../tutorials/my_gan.py
#    :language: python
#    :start-at: @dataclass
#
# :download:`Download it <../../tutorials/my_gan.py>`, and every command takes it:
#
# .. code-block:: console
#
#    $ python -m tinygan.train my_gan.py:WGAN
#    $ python -m tinygan.train my_gan.py:WGAN --data path/to/pictures --clip 0.02
#    $ python -m tinygan.generate RUN --system my_gan.py:WGAN --out grid.png
#
# The options of the dataclass have become flags, with help and checks; ``--resume``,
# ``report.html`` and ``evaluate`` work.  No command ever runs code because a run folder names it:
# that is why the file is named again.
#
# Remember
# --------
# * A variant of a GAN is, most often, another pair of losses; derive the gradient, and check it.
# * The Wasserstein loss is a distance only while the critic's slope is limited.
# * Whether its falling loss means progress is to be measured, not believed: here it did not.
#
# Exercises
# ---------
# **1.**  Train without clipping.  What becomes of the critic's loss?
#
# .. dropdown:: Hint
#
#    ``clip=np.inf``.  What stops D from multiplying all of its scores by 10?
#
# .. solution::
#
#    Nothing: it grows, and means nothing.

_, free = train(0, steps=200, clip=np.inf)
_, limited = train(0, steps=200)
print(f"largest |D's claim|: without a limit {np.abs(free[:, 0]).max():.1f}", end=", ")
print(f"with {np.abs(limited[:, 0]).max():.1f}")
assert np.abs(free[:, 0]).max() > 2 * np.abs(limited[:, 0]).max()

# %%
# **2.**  Write the *hinge* losses, :math:`\max(0, 1 - D(x))` and :math:`\max(0, 1 + D(G(z)))`, with
# their gradients.
#
# .. dropdown:: Hint
#
#    Where the maximum is 0 its slope is 0.  Where it is not, the slope is −1 or 1; divide by the
#    number of scores, as the loss is a mean.
#
# .. solution::
#
#    Away from the kink the check agrees.


def hinge_real(score):
    return np.maximum(0, 1 - score).mean(), -1.0 * (score < 1) / score.size


def hinge_fake(score):
    return np.maximum(0, 1 + score).mean(), 1.0 * (score > -1) / score.size


assert check_gradients(hinge_real, scores).ok
assert check_gradients(hinge_fake, scores).ok
print("both hinges agree")

# %%
# **3.**  The true distance in one dimension is the mean distance of the sorted points.  Why?
#
# .. dropdown:: Hint
#
#    Carry the leftmost heap to the leftmost place.  What would you gain by crossing two routes?
#
# .. solution::
#
#    Crossing never shortens the way.  For points shifted by 3 the distance is 3, however far apart
#    they are, while the probability of an overlap is 0, and that is all that a sigmoid can see.

a = np.random.default_rng(1).standard_normal(1000)
moved = np.abs(np.sort(a) - np.sort(a + 3)).mean()
print(f"{moved:.2f}")
assert np.isclose(moved, 3)

# %%
# Read on
# -------
# * M. Arjovsky, S. Chintala, L. Bottou, *Wasserstein GAN*, ICML 2017, `arXiv:1701.07875
#   <https://arxiv.org/abs/1701.07875>`__.
# * I. Gulrajani and others, *Improved Training of Wasserstein GANs*, NeurIPS 2017,
#   `arXiv:1704.00028 <https://arxiv.org/abs/1704.00028>`__: a better limit than clipping.
#
# **Next:** :doc:`how convolution is made fast <16_fast_convolution>`.
