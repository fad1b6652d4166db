r"""
18. Many machines, one gradient
===============================

**How can several machines take one step together, so that it is the step that one of them would
have taken?**

:You need: :doc:`batch norm <06_batch_norm>` and :doc:`a DCGAN <09_dcgan>`.  One machine is enough.
:Afterwards: you can say why averaging gradients is exact, why batch norm is not local, and how many
   machines pay off over a given network.
:Time: 30 minutes.

A step is a function of a batch, and most of it treats each picture alone.  So the batch can be
shared out: every process, a *rank*, holds all the networks, computes with its own rows, and the
ranks then agree on one gradient.  Here the ranks are threads of one process, which tell each other
what they would otherwise send over a network.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import SGD, BatchNorm2d, Conv2d, LeakyReLU, Linear, Sequential, mse
from tinygan.distributed import bounds, on_threads, own_rows, sharing

# %%
# Four operations
# ---------------
# A *communicator* is all that ranks need of each other.  It can ``sum`` an array over the ranks,
# ``gather`` what each has, ``exchange`` small things such as options, and ``abort``.  Every rank
# calls them in the same order, and each gets the same answer.

for answer in on_threads(3, lambda ranks: ranks.sum(np.array([1.0, 10.0**ranks.rank]))):
    print(answer)

assert answer.tolist() == [3.0, 111.0]
print("rows of a batch of 8:", [bounds(8, rank, 3) for rank in range(3)])

# %%
# Why averaging is exact
# ----------------------
# A loss is a mean over the batch.  If rank :math:`r` has the share :math:`w_r` of the rows and
# :math:`L_r` is the mean over these alone, then
#
# .. math::
#     L = \sum_r w_r L_r, \qquad \text{so} \qquad
#     \frac{\partial L}{\partial \theta} = \sum_r w_r \frac{\partial L_r}{\partial \theta}.
#
# The gradient of a sum is the sum of the gradients: nothing is approximated.  The weights matter
# where shares differ, as for eight rows on three ranks.

rng = np.random.default_rng(0)
x, target = rng.standard_normal((8, 5)), rng.standard_normal((8, 2))


def gradient(ranks, weighted=True):
    """Return the averaged gradient of a small layer's weights."""
    layer = Linear(5, 2, rng=0).to(dtype="float64")
    with sharing(ranks):
        own, own_target = own_rows(x, target)
        y, backward = layer(own)
        _, dy = mse(y, own_target)
        backward(dy)
        share = ranks.share if weighted else 1 / ranks.size
        return ranks.sum(share * layer.weight.grad)


[alone] = on_threads(1, gradient)
together = on_threads(3, gradient)[0]
careless = on_threads(3, lambda ranks: gradient(ranks, weighted=False))[0]
print(f"three ranks against one, weighted by rows: {abs(together - alone).max():.1e}")
print(f"three ranks against one, all the same:     {abs(careless - alone).max():.1e}")
assert abs(together - alone).max() < 1e-12 < abs(careless - alone).max()

# %%
# That is all an optimizer has to do.  ``step`` puts the gradients of all its parameters end to end
# and exchanges them once; then every rank makes the same update, and the weights stay equal without
# ever being sent.
#
# The noise of a GAN needs one more rule.  If each rank drew its own, a run would depend on how many
# ranks there are.  So every rank draws the numbers of the *whole* batch, from the same seed, and
# uses its own rows.
#
# Why batch norm is not local
# ---------------------------
# One layer does look at other pictures.  Batch norm subtracts the mean of the batch, and a rank
# knows only the mean of its rows.  With three pictures a rank that is a rough guess:

pictures = 2 + 3 * rng.standard_normal((12, 4, 4, 1))


def normalised(ranks, sync):
    ranks.sync_batch_norm = sync
    layer = BatchNorm2d(1).to(dtype="float64")
    with sharing(ranks):
        return layer(*own_rows(pictures))[0]


one = on_threads(1, lambda ranks: normalised(ranks, True))[0]
local = np.concatenate(on_threads(4, lambda ranks: normalised(ranks, False)))
synced = np.concatenate(on_threads(4, lambda ranks: normalised(ranks, True)))

figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained", sharey=True)
for axis, several, title in zip(axes, (local, synced), ("each its own", "merged"), strict=True):
    for rank in range(4):
        rows = slice(*bounds(12, rank, 4))
        axis.plot(one[rows].ravel(), several[rows].ravel(), ".", markersize=4, label=f"rank {rank}")
    axis.axline((0, 0), slope=1, color="grey", linewidth=0.8)
    axis.set(title=f"Statistics: {title}", xlabel="normalised by one process")

axes[0].set_ylabel("normalised by four ranks")
axes[0].legend()
plt.show()
print(f"each its own: off by up to {abs(local - one).max():.2f}", end="; ")
print(f"merged: {abs(synced - one).max():.0e}")
assert abs(synced - one).max() < 1e-12 < 0.05 < abs(local - one).max()

# %%
# Each rank's line has its own slope and height: the same picture comes out differently, depending
# on which rank it landed on.  Merged statistics put all on one line.  Of parts with means
# :math:`\mu_r` and variances :math:`\sigma_r^2`,
#
# .. math::
#     \mu = \sum_r w_r \mu_r, \qquad
#     \sigma^2 = \sum_r w_r \left( \sigma_r^2 + (\mu_r - \mu)^2 \right),
#
# so two numbers a channel are enough, however many pixels there are.  The backward pass has two
# sums over the batch, :math:`\sum dy` and :math:`\sum dy\, \hat x` (:doc:`tutorial 6
# <06_batch_norm>`), and they too are averaged over the ranks before the gradient is made of them.
#
# Both together: a network with batch norm, trained for twenty steps by one rank and by three.

inputs, wanted = rng.standard_normal((8, 6, 6, 1)), rng.standard_normal((8, 6, 6, 1))


def train(ranks, sync=True):
    ranks.sync_batch_norm = sync
    first, last = Conv2d(1, 4, 3, padding=1, rng=0), Conv2d(4, 1, 3, padding=1, rng=1)
    network = Sequential(first, BatchNorm2d(4), LeakyReLU(0.2), last).to(dtype="float64")
    sgd, losses = SGD(network.parameters(), lr=0.5), []
    for _ in range(20):
        with sharing(ranks):
            own, own_wanted = own_rows(inputs, wanted)
            sgd.zero_grad()
            y, backward = network(own)
            loss, dy = mse(y, own_wanted)
            backward(dy)
            sgd.step()
            losses.append(float(ranks.mean(loss)))
    return np.array(losses)


[reference] = on_threads(1, train)
three = on_threads(3, train)[0]
unsynced = on_threads(3, lambda ranks: train(ranks, sync=False))[0]
figure, axis = plt.subplots(figsize=(7, 3.4), layout="constrained")
steps = np.arange(1, 21)
axis.semilogy(steps, np.maximum(abs(three - reference), 1e-17), "o-", label="statistics merged")
axis.semilogy(steps, abs(unsynced - reference), "s-", label="each rank its own")
axis.set(xlabel="step", ylabel="difference of the loss", title="Three ranks against one")
axis.legend()
plt.show()
print(f"after 20 steps: {abs(three - reference).max():.0e} merged, ", end="")
print(f"{abs(unsynced - reference).max():.0e} each its own")
assert abs(three - reference).max() < 1e-10 < 1e-4 < abs(unsynced - reference).max()

# %%
# What the network costs
# ----------------------
# A step sends one number for each weight, and a little for each batch norm.  Say a step alone takes
# :math:`a + b\,n` for :math:`n` rows: :math:`a` does not shrink with the batch (Adam looks at every
# weight on every rank).  In a ring of :math:`N` ranks each passes on :math:`2 (N-1)/N` times the
# gradient's bytes :math:`g`, so with bandwidth :math:`B`, latency :math:`t` and :math:`k` exchanges
#
# .. math::
#     T(N) = a + b\, \tfrac{n}{N} + \tfrac{2 (N-1)}{N} \tfrac{g}{B} + 2 k \lceil \log_2 N \rceil t .
#
# The second term shrinks.  The third does not: with many ranks it is :math:`2g/B`, whatever they
# do.  With round numbers for the DCGAN of 64 pixels on two cores (its own:
# ``python -m benchmarks.ranks model``):


def seconds(count, bandwidth, latency, a=0.08, b=0.01, rows=128, size=29e6, exchanges=32):
    own = -(-rows // count)
    hops = 2 * exchanges * np.ceil(np.log2(count))
    return a + b * own + 2 * (count - 1) / count * size / bandwidth + hops * latency


counts = np.array([1, 2, 4, 8, 16, 32, 64, 128])
networks = {
    "no cost": (np.inf, 0),
    "InfiniBand, 200 Gbit/s": (23e9, 2e-6),
    "Ethernet, 10 Gbit/s": (1.17e9, 20e-6),
    "Ethernet, 1 Gbit/s": (0.117e9, 50e-6),
}
figure, axis = plt.subplots(figsize=(7, 4), layout="constrained")
axis.loglog(counts, counts, ":", color="grey", base=2, label="as many times as ranks")
for name, line in networks.items():
    times = np.array([seconds(count, *line) for count in counts])
    axis.loglog(counts, times[0] / times, "o-", base=2, label=name)

axis.set(xlabel="ranks", ylabel="times as fast", title="A batch of 128 on many ranks, by a model")
axis.legend()
plt.show()
slow, free = (seconds(1, *networks[n]) / seconds(16, *networks[n])
              for n in ("Ethernet, 1 Gbit/s", "no cost"))
print(f"16 ranks: {slow:.1f} times as fast over 1 Gbit/s, {free:.1f} times over a free network")
assert slow < 3 < free

# %%
# Even a free network does not help without end, because of :math:`a`.  A larger batch would; but a
# larger batch is another training.
#
# On a cluster the same functions talk over MPI, or NCCL between GPUs:
#
# .. code-block:: console
#
#    $ mpiexec -n 4 python -m tinygan.train --data pictures --distributed
#
# :doc:`Several machines <../distributed>` has the launch lines, and what happens when one dies.
#
# Remember
# --------
# * The gradient of a mean is the mean of the gradients, weighted by rows: averaging is exact.
# * Batch norm looks at the whole batch, so its statistics have to be merged, forward and backward.
# * The work shrinks with the ranks; the bytes that each sends do not.
#
# Exercises
# ---------
# **1.**  The mean can be averaged over the ranks.  Show that the variance cannot: what does
# averaging leave out?
#
# .. dropdown:: Hint
#
#    Give two ranks constant rows, of different constants.
#
# .. solution::
#
#    The spread of the means.  Rows of 0 on one rank and of 2 on the other have no variance at all
#    on either, and 1 together.

values = np.repeat([0.0, 2.0], 4)
parts = values[:4], values[4:]
averaged = np.mean([part.var() for part in parts])
merged = averaged + np.mean([(part.mean() - values.mean()) ** 2 for part in parts])
print(f"averaged {averaged}, merged {merged}, of the whole {values.var()}")
assert averaged == 0
assert merged == values.var() == 1

# %%
# **2.**  Let each rank draw its own noise with ``default_rng((seed, rank))`` instead, which saves
# drawing what others use.  What is lost?
#
# .. dropdown:: Hint
#
#    Draw noise for a batch of 4 on one rank and on two.
#
# .. solution::
#
#    The noise of a batch depends on the number of ranks: a run that began on four cannot go on as
#    the same run on one, and no test can compare the two.


def own_noise(ranks):
    start, stop = bounds(4, ranks.rank, ranks.size)
    return np.random.default_rng((0, ranks.rank)).random(stop - start)


def whole_noise(ranks):
    return np.random.default_rng(0).random(4)[slice(*bounds(4, ranks.rank, ranks.size))]


for draw in (own_noise, whole_noise):
    noise = [np.concatenate(on_threads(size, draw)) for size in (1, 2)]
    print(f"{draw.__name__:11} the same on one rank and on two: {np.array_equal(*noise)}")
    assert np.array_equal(*noise) == (draw is whole_noise)

# %%
# **3.**  How many ranks can be used over 10 Gbit/s if at most half of each rank's time may be lost?
# And if the gradient were sent in 16 bits?
#
# .. dropdown:: Hint
#
#    A rank's time is half lost where the speed-up is :math:`N/2`.  ``size`` is an argument.
#
# .. solution::
#
#    Half as many bytes are sent, but the gain is small: at this bandwidth the part :math:`a` of a
#    step, which does not shrink, is what limits it.

for size in (29e6, 14.5e6):
    line = networks["Ethernet, 10 Gbit/s"]
    ups = [seconds(1, *line, size=size) / seconds(count, *line, size=size) for count in counts]
    worth = max(int(count) for count, up in zip(counts, ups, strict=True) if up >= count / 2)
    print(f"{size / 1e6:4.1f} MB: up to {worth} ranks, then {max(ups):.1f} times at best")

assert worth >= 8

# %%
# Read on
# -------
# * P. Goyal and others, *Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour*, 2017,
#   `arXiv:1706.02677 <https://arxiv.org/abs/1706.02677>`__.
# * R. Thakur, R. Rabenseifner, W. Gropp, *Optimization of Collective Communication Operations in
#   MPICH*, International Journal of High Performance Computing Applications 19, 2005.
#
# **Next:** :doc:`detecting deep fakes <19_detecting_deep_fakes>`; and :doc:`the launch lines
# <../distributed>`.
