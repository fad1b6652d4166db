r"""
1. A GAN in 40 lines
====================

**Can a program learn to make new examples of something, when nobody can write down what makes an
example good?**

:You need: Python, NumPy, and what a gradient is.  No GPU, no data.
:Afterwards: you can say what a generator, a discriminator and a latent space are, write the loop
   that trains both, and see in which direction each point is pushed.
:Time: 15 minutes.

A *generative adversarial network* (GAN; Goodfellow and others, 2014) is a pair of neural networks
that play against each other.

* The **generator** :math:`G` takes random numbers :math:`z`, a point of the *latent space*, and
  turns them into an example :math:`G(z)`.  It never sees a real one.
* The **discriminator** :math:`D` is shown real examples :math:`x` and generated ones, without being
  told which is which, and gives each a score: how real does it look?

:math:`D` learns to tell them apart, and :math:`G` learns to be mistaken for real.  What makes an
example good is written nowhere: it is learnt by :math:`D`, and :math:`G` learns it from :math:`D`.

.. plot:: figures/game.py
   :alt: Noise z goes through the generator G and becomes a fake.  Fakes and real examples x go to
      the discriminator D, which gives a score.  The loss of D flows back into D; the loss of G
      flows back through D into G.
   :class: no-scaled-link

Later on, the examples are pictures.  Here they are points of the plane, so that all of the game can
be *seen*: every point, every score, and the direction in which each fake is pushed.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

from tinygan import Adam, Layer, LeakyReLU, Parameter, Sequential, bce_with_logits, frozen

# %%
# The whole program
# -----------------
# These are the 40 lines.  Read them once from top to bottom; what each part does is said below.

rng = np.random.default_rng(0)


class Linear(Layer):
    def __init__(self, inputs, outputs):
        w = rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)
        self.weight = Parameter(w.astype(np.float32))
        self.bias = Parameter(np.zeros(outputs, np.float32))
    def forward(self, x):
        return x @ self.weight.data + self.bias.data, x
    def backward(self, dy, x):
        self.weight.grad += x.T @ dy
        self.bias.grad += dy.sum(axis=0)
        return dy @ self.weight.data.T


def network(inputs, outputs, hidden=48):
    first, second, last = Linear(inputs, hidden), Linear(hidden, hidden), Linear(hidden, outputs)
    return Sequential(first, LeakyReLU(0.2), second, LeakyReLU(0.2), last)


def draw_real(count):
    angle = rng.uniform(0, 2 * np.pi, count)
    ring = np.stack([2 * np.cos(angle), 2 * np.sin(angle)], axis=1)
    return (ring + 0.1 * rng.standard_normal((count, 2))).astype(np.float32)


G, D = network(2, 2), network(2, 1)
opt_G = Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
opt_D = Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.999))


def train_step():
    x, z = draw_real(128), rng.standard_normal((128, 2), dtype=np.float32)
    fake, fake_backward = G(z)
    opt_D.zero_grad()
    for points, target in ((x, 1.0), (fake, 0.0)):  # D: real is 1, generated is 0
        score, score_backward = D(points)
        _, dscore = bce_with_logits(score, target)
        score_backward(dscore)
    opt_D.step()
    opt_G.zero_grad()
    with frozen(D):  # G: to pass for a 1
        score, score_backward = D(fake)
    _, dscore = bce_with_logits(score, 1.0)
    fake_backward(score_backward(dscore))
    opt_G.step()


# %%
# ``Linear`` is one layer, :math:`y = x w + b`, with its *backward pass*: given the gradient of the
# loss with respect to y, it computes those of w, of b and of x.  :doc:`Tutorial 2 <02_one_layer>`
# derives those three lines.  A network is layers in sequence, and its backward pass is the layers'
# from the last to the first: that is *backpropagation*.
#
# ``D(points)`` returns the scores *and* the backward pass that belongs to this call.
# ``bce_with_logits`` is the binary cross-entropy between :math:`\sigma(\text{score})`, the
# probability of being real, and the target; it returns the loss and its gradient.  ``Adam`` moves
# every weight a little against its gradient.
#
# In the second half of ``train_step`` the gradient goes *through* :math:`D` without changing it
# (``frozen``) and on into :math:`G`.  That is the one idea of a GAN: the discriminator is a loss
# function that has been learnt.
#
# Written as one formula, both networks pull at the same number:
#
# .. math::
#     \min_G \max_D \; \mathbb{E}_x \log D(x) + \mathbb{E}_z \log\big(1 - D(G(z))\big) .
#
# Watch it
# --------
# 1500 steps, with a picture taken on the way now and then.  Blue is where :math:`D` expects real
# points, red where it expects fakes.  The real points are the grey ring.  Each arrow shows where
# a fake is pushed: it is minus the gradient of G's loss with respect to that point.

z_watched = rng.standard_normal((200, 2), dtype=np.float32)
axis_points = np.linspace(-3.2, 3.2, 64, dtype=np.float32)
plane = np.stack(np.meshgrid(axis_points, axis_points), axis=-1).reshape(-1, 2)


def look():
    """Return D over the plane, 200 fakes, and an arrow for the push on each of them."""
    landscape = 1 / (1 + np.exp(-D.predict(plane)))
    fake = G.predict(z_watched)
    with frozen(D):
        score, backward = D(fake)
    push = -backward(bce_with_logits(score, 1.0)[1]) * len(fake)
    arrow = push / (0.2 + np.linalg.norm(push, axis=1, keepdims=True))  # shows small ones, too
    return landscape.reshape(64, 64), fake, arrow


steps = [0, 5, 10, 20, 30, 40, 60, 80, *range(100, 1501, 50)]
seen = []
for step in range(steps[-1] + 1):
    if step in steps:
        seen.append(look())
    train_step()

real = draw_real(300)
figure, axis = plt.subplots(figsize=(5, 5.2), layout="constrained")


def draw(frame):
    landscape, fake, arrow = seen[frame]
    axis.clear()
    axis.imshow(
        landscape, extent=(-3.2, 3.2) * 2, origin="lower", cmap="RdBu", vmin=0, vmax=1, alpha=0.7
    )
    axis.plot(*real.T, ".", color="0.35", markersize=3)
    axis.plot(*fake.T, ".", color="black", markersize=5)
    axis.quiver(*fake[:60].T, *arrow[:60].T, color="darkgreen", scale=8, width=0.006)
    axis.set(xlim=(-3.2, 3.2), ylim=(-3.2, 3.2), xticks=[], yticks=[])
    axis.set_title(f"step {steps[frame]}", fontsize=14)


film = FuncAnimation(figure, draw, frames=len(steps))
plt.show()

# %%
# Drag the slider, or press play.  At first the fakes lie in one heap, and :math:`D` finds out
# within a few steps where that is.  The arrows lead away from there, the heap follows, :math:`D`
# learns where it has moved to, and so on.  At the end the fakes lie on the ring, where :math:`D` is
# undecided; in the middle, where hardly any are left, it still says *fake*.
#
# Is it one?
# ----------
# A picture is not a proof.  Two numbers: how far the fakes are from the middle (the real ones 2,
# give or take 0.1), and which share of the ring's 36 pieces of ten degrees has been hit.


def measure(points):
    radius = np.linalg.norm(points, axis=1)
    angle = np.degrees(np.arctan2(points[:, 1], points[:, 0])) % 360
    near = np.abs(radius - 2) < 0.4
    pieces = np.bincount((angle[near] // 10).astype(int), minlength=36)
    return np.median(radius), near.mean(), (pieces > 0).mean()


fakes = G.predict(rng.standard_normal((2000, 2), dtype=np.float32))
for name, points in (("before", seen[0][1]), ("after", fakes), ("real", draw_real(2000))):
    radius, near, covered = measure(points)
    print(f"{name:7} median radius {radius:.2f}, {near:4.0%} near it, {covered:4.0%} of it hit")

radius, near, covered = measure(fakes)
assert abs(radius - 2) < 0.2
assert near > 0.7
assert covered > 0.9
assert np.abs(1 / (1 + np.exp(-D.predict(real))) - 0.5).mean() < 0.15
assert 1 / (1 + np.exp(-D.predict(np.zeros((1, 2), np.float32)))) < 0.2

# %%
# Play with it
# ------------
# The same game, computed in your browser as you watch: change a rate, β₁, the objective or the
# number of D's steps, and see what breaks.  (With the keyboard: Tab goes from control to control,
# the arrow keys move a slider, the space bar presses a button.)
#
# .. raw:: html
#
#    <div class="tg-widget" data-widget="gan2d">
#    <noscript>This figure needs JavaScript.</noscript></div>
#
# Things to try: a D rate ten times that of G; the same the other way round; β₁ of 0.9; ``minimax``
# from a fresh start; the eight places instead of the ring, which :doc:`tutorial 11
# <11_mode_collapse>` takes up; points of your own.  The *distance*, whose curve is drawn below the
# buttons, is how far the fakes would have to be moved to become the real points, on average over
# directions.
#
# Remember
# --------
# * A generator turns noise into examples, a discriminator scores them, and each is trained against
#   the other.
# * The generator never sees real data: all it gets is the gradient of the discriminator's score.
# * It is a game with two losses, not the minimisation of one; the losses say little about how good
#   the examples are.
#
# Exercises
# ---------
# **1.**  Leave ``opt_D.step()`` out.  What does :math:`G` learn?
#
# .. dropdown:: Hint
#
#    D is a fixed function then, with a highest place somewhere.
#
# .. solution::
#
#    All fakes run to where the untrained D happens to score highest, which is far outside: D does
#    not learn, so it never lowers that score.  The place has nothing to do with the ring.

G, D = network(2, 2), network(2, 1)
opt_G = Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
opt_D = Adam(D.parameters(), lr=0.0)
for _ in range(300):
    train_step()

alone = G.predict(z_watched)
print(f"median distance from the middle: {np.median(np.linalg.norm(alone, axis=1)):.1f}")
assert np.median(np.linalg.norm(alone, axis=1)) > 4

# %%
# **2.**  :math:`D` has 2 inputs and 48 hidden numbers, twice.  How many weights does it have, and
# how many has G?
#
# .. dropdown:: Hint
#
#    A layer from a to b has :math:`a\,b` weights and :math:`b` biases.
#
# .. solution::
#
#    2·48 + 48, then 48·48 + 48, then 48 + 1 for D and 2·48 + 2 for G.

count_D, count_G = (sum(p.data.size for p in n.parameters()) for n in (D, G))
print("D:", count_D, " G:", count_G)
assert count_D == 2 * 48 + 48 + 48 * 48 + 48 + 48 + 1
assert count_G == count_D + 48 + 1

# %%
# **3.**  With the best possible :math:`D` and a perfect :math:`G`, what are the scores, and what is
# D's loss?
#
# .. dropdown:: Hint
#
#    If real and generated points are equally frequent everywhere, what can D say about any point?
#
# .. solution::
#
#    A probability of one half everywhere: the score is 0, and each half of D's loss is log 2.

undecided = np.zeros((1, 1))
loss = bce_with_logits(undecided, 1.0)[0] + bce_with_logits(undecided, 0.0)[0]
print(f"D's loss {float(loss):.4f} = 2 log 2")
assert np.isclose(loss, 2 * np.log(2))

# %%
# Read on
# -------
# * I. Goodfellow and others, *Generative Adversarial Nets*, NeurIPS 2014,
#   `arXiv:1406.2661 <https://arxiv.org/abs/1406.2661>`__: the idea, and the proof that the best
#   answer of :math:`G` is the data's distribution.
# * I. Goodfellow, *NIPS 2016 Tutorial: Generative Adversarial Networks*,
#   `arXiv:1701.00160 <https://arxiv.org/abs/1701.00160>`__: the questions you have now, answered by
#   the author.
#
# **Next:** :doc:`what one layer must know in order to learn <02_one_layer>`.
