r"""
7. Losses: what the two networks tell each other
================================================

**Both forms of the generator's loss have the same goal.  Why does one of them learn and the other
one stall?**

:You need: :doc:`one layer <02_one_layer>` and :doc:`the game <01_a_gan_in_40_lines>`.
:Afterwards: you can derive the gradients of all losses of both papers, say when each of them
   vanishes, and what a smoothed label does.
:Time: 25 minutes.

The discriminator :math:`D` gives each picture the probability of being real; the generator
:math:`G` turns noise :math:`z` into pictures.  The first paper writes :math:`D`'s total cost over
:math:`m` pictures, to be *maximised*, and two losses of :math:`G`, to be *minimised*:

.. math::
    \frac1m \sum_{i=1}^m \log D(x^i) + \log\big(1 - D(G(z^i))\big), \qquad
    \log\big(1 - D(G(z))\big) \quad\text{or}\quad -\log D(G(z)) .
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import (
    bce,
    bce_with_logits,
    check_gradients,
    minimax,
    mse,
    non_saturating,
)


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


# %%
# Scores, not probabilities
# -------------------------
# A network's last layer gives a *score* :math:`s`, any number, and
# :math:`D(x) = \sigma(s) = 1 / (1 + e^{-s})`.  It is tempting to apply the sigmoid first and the
# logarithm afterwards.  In float32 that ends in a division by zero as soon as the discriminator is
# sure of itself.  Taken together the two are harmless:
#
# .. math:: -\log \sigma(s) = \max(-s, 0) + \log\big(1 + e^{-|s|}\big), \qquad
#           \frac{d}{ds} = \sigma(s) - 1 .

score = np.array([-200.0], np.float32)
with np.errstate(all="ignore"):
    print("probability first:", -np.log(sigmoid(score)))

print("from the score:   ", bce_with_logits(score, 1.0))
assert float(bce_with_logits(score, 1.0)[0]) == 200.0

# %%
# Every loss in tinygan returns itself *and* its gradient, ready for the backward pass:

rng = np.random.default_rng(0)
scores = rng.standard_normal((8,))
for loss in (
    minimax,
    non_saturating,
    lambda s: bce_with_logits(s, 0.9),
    lambda s: mse(s, 1.0),
):
    assert check_gradients(loss, scores).ok

assert check_gradients(lambda p: bce(p, 0.9), sigmoid(scores)).ok
value, gradient = bce(sigmoid(scores), 0.9)  # the long way round, where it is safe
assert np.allclose(
    gradient * sigmoid(scores) * (1 - sigmoid(scores)), bce_with_logits(scores, 0.9)[1]
)
print("five hand-written gradients agree with differences")

# %%
# Why gradients vanish
# --------------------
# At the beginning the generator makes noise, the discriminator sees that at once, and the score of
# a generated picture is far below zero.  That is where the two losses differ:
#
# .. math::
#     \frac{d}{ds} \log(1 - \sigma(s)) = -\sigma(s) \to 0, \qquad
#     \frac{d}{ds} (-\log \sigma(s)) = -(1 - \sigma(s)) \to -1
#     \qquad (s \to -\infty) .

s = np.linspace(-8, 8, 401)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for name, loss in {r"$\log(1 - D)$": minimax, r"$-\log D$": non_saturating}.items():
    left.plot(s, [loss(np.array([v]))[0] for v in s], label=name)
    right.plot(s, [-loss(np.array([v]))[1][0] for v in s], label=name)

left.set(title="the loss", xlabel="score of a generated picture")
right.set(title="the pull on the score", xlabel="score of a generated picture")
right.axvspan(-8, -3, color="grey", alpha=0.15)
right.text(-5.5, 0.5, "D is sure", ha="center")
left.legend()
figure.suptitle("The two losses of the generator")
plt.show()

weak, strong = minimax(np.array([-8.0]))[1][0], non_saturating(np.array([-8.0]))[1][0]
print(f"at a score of -8: minimax pulls with {-weak:.5f}, non-saturating with {-strong:.5f}")
assert strong / weak > 1000

# %%
# See it happen
# -------------
# Let real numbers come from :math:`N(0, 1)` and generated ones from :math:`N(\theta, 1)`; the
# generator has the one parameter :math:`\theta` and wants it to be 0.  For this game the best
# discriminator is known, :math:`D^*(x) = p_{data} / (p_{data} + p_G)`, whose score is
# :math:`\log p_{data} - \log p_G`.  Against it, both generators go downhill from
# :math:`\theta = 8`, with the same steps.


def descend(loss, theta=8.0, steps=300, lr=0.05):
    z = np.random.default_rng(1).standard_normal(256)
    path = []
    for _ in range(steps):
        x = z + theta
        score = (theta**2 - 2 * theta * x) / 2  # log N(x; 0, 1) - log N(x; theta, 1)
        _, dscore = loss(score)
        theta -= lr * (dscore * -theta).sum()  # D stays as it is: d score / d x = -theta
        path.append(theta)
    return path


slow, fast = descend(minimax), descend(non_saturating)
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
axis.plot(slow, label=r"minimax, $\log(1 - D)$")
axis.plot(fast, label=r"non-saturating, $-\log D$")
axis.set(xlabel="step", ylabel=r"$\theta$", title="Two generators against the best discriminator")
axis.legend()
plt.show()
print(f"after {len(slow)} steps: minimax {slow[-1]:.3f}, non-saturating {fast[-1]:.3f}")
assert abs(fast[-1]) < 0.2 < slow[-1]

# %%
# Label smoothing
# ---------------
# The first paper trains :math:`D` with 0.9 instead of 1 for real pictures.  What does that change?
# With the target :math:`t` the loss of a real picture is least where :math:`\sigma(s) = t`.  For
# :math:`t = 1` there is no such place: a higher score is always better, without end.

figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
for target in (1.0, 0.9):
    losses = np.array([bce_with_logits(np.array([v]), target)[0] for v in s])
    axis.plot(s, losses, label=f"target {target}")
    best = s[losses.argmin()]
    print(f"target {target}: least at a score of {best:.2f}, D(x) = {sigmoid(best):.3f}")

axis.plot(np.log(9), bce_with_logits(np.array([np.log(9)]), 0.9)[0], "ko")
axis.set(xlabel="score of a real picture", ylabel="loss", title="A discriminator can be too sure")
axis.legend()
plt.show()
assert abs(best - np.log(9)) < 0.05

# %%
# :math:`\sigma(s) = 0.9` at :math:`s = \log 9`.  A score beyond it now *costs*, so the scores stay
# where the generator still feels a pull.  It also means that :math:`D`'s loss cannot reach zero:
# read it with that in mind.
#
# Least squares
# -------------
# The second paper leaves out the sigmoid altogether and asks scores to *be* 1 and 0:
# :math:`(1 - D)^2` for what should be real, :math:`D^2` for what should not.  The pull is
# proportional to the distance from the goal and never saturates, on either side:

figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
for name, loss in {
    "minimax": minimax,
    "non-saturating": non_saturating,
    "least squares": lambda p: mse(p, 1.0),
}.items():
    axis.plot(s, [-loss(np.array([v]))[1][0] for v in s], label=name)

axis.set(xlabel="score", ylabel="pull", ylim=(-3, 6), title="How hard a generator is pulled")
axis.axhline(0, color="grey", linewidth=0.8)
axis.legend()
plt.show()

# %%
# Remember
# --------
# * Give losses scores, not probabilities: it is the same mathematics, and cannot overflow.
# * Minimax and non-saturating have the same goal; only the second one pulls while D is sure.
# * A smoothed label makes an over-confident D pay, and moves its best score to log 9.
#
# Exercises
# ---------
# **1.**  Which value does :math:`D`'s loss take when it cannot tell at all, with the target 1 and
# with 0.9?
#
# .. dropdown:: Hint
#
#    A discriminator that says 0.5 for everything: add ``bce_with_logits(0, t)`` and
#    ``bce_with_logits(0, 0)``.  The answer is one of the numbers to know by heart in
#    :doc:`how to read losses <../losses>`.
#
# .. solution::
#
#    2 log 2 = 1.386 with both: for a score of 0 the target does not matter.

undecided = np.zeros(1)
for target in (1.0, 0.9):
    total = bce_with_logits(undecided, target)[0] + bce_with_logits(undecided, 0.0)[0]
    print(f"target {target}: {float(total):.3f}")
    assert np.isclose(total, 2 * np.log(2))

# %%
# **2.**  Smooth the label of generated pictures too, to 0.1.  Where is the best score now, and what
# does the best discriminator become?
#
# .. dropdown:: Hint
#
#    The best discriminator is :math:`(t_1 p_{data} + t_0 p_G) / (p_{data} + p_G)`.  With
#    :math:`t_0 > 0` there is a place where more :math:`p_G` raises the score: what does that tell
#    the generator?
#
# .. solution::
#
#    For a generated picture the best score is now :math:`-\log 9` instead of minus infinity.  The
#    best discriminator is no longer a function of the ratio alone: where there are hardly any real
#    pictures it says 0.1, so that G is *rewarded* there for what it makes already.

losses = [bce_with_logits(np.array([v]), 0.1)[0] for v in s]
lowest = s[np.argmin(losses)]
print(f"least at a score of {lowest:.2f}; -log 9 = {-np.log(9):.2f}")
assert abs(lowest + np.log(9)) < 0.05

# %%
# **3.**  Repeat ``descend`` with ``mse``.  Why does it overshoot at first?
#
# .. dropdown:: Hint
#
#    What is the score at :math:`\theta = 8`, and how hard does the square pull there?  Lower
#    ``lr``.
#
# .. solution::
#
#    The score is −32 there, and the square pulls in proportion: with the same rate it leaps over 0
#    and far away.  A rate a thousand times smaller goes down quietly.

at_8 = np.mean([(8.0**2 - 2 * 8.0 * (z + 8)) / 2 for z in rng.standard_normal(10_000)])
assert abs(at_8 + 32) < 0.5
wild = descend(lambda score: mse(score, 1.0), steps=1)
quiet = descend(lambda score: mse(score, 1.0), lr=5e-5)
print(f"one step with the old rate: {wild[0]:.1f}; 300 small ones: {quiet[-1]:.2f}")
assert wild[0] < -8
assert 0 < quiet[-1] < 8

# %%
# Read on
# -------
# * I. Goodfellow and others, *Generative Adversarial Nets*, 2014, `arXiv:1406.2661
#   <https://arxiv.org/abs/1406.2661>`__: both forms of the generator's loss.
# * X. Mao and others, *Least Squares Generative Adversarial Networks*, 2017, `arXiv:1611.04076
#   <https://arxiv.org/abs/1611.04076>`__.
#
# **Next:** :doc:`Adam <08_adam>`.
