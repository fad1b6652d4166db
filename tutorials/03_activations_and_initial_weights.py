r"""
3. Activations and initial weights
==================================

**What makes a network more than one affine map, and how large must its first weights be?**

:You need: :doc:`one layer <02_one_layer>`.
:Afterwards: you can write the backward pass of ReLU, leaky ReLU, tanh and sigmoid, and choose the
   spread of initial weights for a deep network.
:Time: 20 minutes.

Two affine layers in sequence are one affine layer: :math:`(x w_1) w_2 = x (w_1 w_2)`.  What makes a
network more than that stands between them: an *activation*, a function applied to each number
alone, :math:`y_i = a(x_i)`.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Conv2d, LeakyReLU, ReLU, Sequential, Sigmoid, Tanh, check_gradients
from tinygan.models import dcgan

# %%
# Four activations, forward and backward
# --------------------------------------
# Each number goes its own way, so the chain rule is one product: :math:`dx_i = dy_i\, a'(x_i)`.
# Some derivatives are shortest in terms of the *output*, so that is what is cached.

forward = {
    "ReLU": lambda x: np.maximum(x, 0),
    "leaky ReLU": lambda x: np.where(x > 0, x, 0.2 * x),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}
slope = {  # a'(x), given x and y
    "ReLU": lambda x, y: (x > 0) * 1.0,
    "leaky ReLU": lambda x, y: np.where(x > 0, 1.0, 0.2),
    "tanh": lambda x, y: 1 - y**2,
    "sigmoid": lambda x, y: y * (1 - y),
}
layers = {"ReLU": ReLU(), "leaky ReLU": LeakyReLU(0.2), "tanh": Tanh(), "sigmoid": Sigmoid()}

rng = np.random.default_rng(0)
x, dy = rng.standard_normal((2, 100))
for name, layer in layers.items():
    y, backward = layer(x)
    mine = forward[name](x)
    assert np.allclose(mine, y)
    assert np.allclose(dy * slope[name](x, mine), backward(dy))
    assert check_gradients(layer, x).ok

print("four activations: the same values and gradients as tinygan's")

s = np.linspace(-4, 4, 201)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained", sharex=True)
for name in forward:
    y = forward[name](s)
    left.plot(s, y, label=name)
    right.plot(s, slope[name](s, y))

left.set(title="$a(x)$", ylim=(-1.2, 2.5))
right.set(title="$a'(x)$: what is left of the gradient")
left.legend()
plt.show()

# %%
# Look at the right-hand side.  Tanh and sigmoid pass no gradient where they are flat: they
# *saturate*.  ReLU passes all or nothing; a number that is negative for every input learns nothing
# ever again ("dead").  Leaky ReLU always passes something, which matters in a discriminator, since
# all that G learns comes through it.  That is why a DCGAN has leaky ReLU in D, and tanh only at the
# very end of G, where numbers have to become pixels in [−1, 1].
#
# ReLU has no derivative at 0.  Any value between 0 and 1 is as good, and tinygan takes 0; a
# gradient check must keep away from that kink.
#
# How large should weights be?
# ----------------------------
# One output of a layer is a sum of :math:`n` products.  If inputs and weights are independent, with
# mean 0, variances add:
#
# .. math:: \operatorname{Var}(y) = n \operatorname{Var}(w)\, E[x^2] .
#
# To keep the size of the signal the same from layer to layer one needs :math:`\operatorname{Var}(w)
# = 1/n`.  A ReLU sets half of the numbers to 0, so that :math:`E[x^2]` halves, and :math:`2/n`
# makes up for it (He and others, 2015); a leaky ReLU of slope :math:`\alpha` needs
# :math:`2 / ((1 + \alpha^2)\, n)`.  Twenty layers of 100 numbers each:


def through(spread, layers=20, n=100, activation=forward["ReLU"]):
    rng = np.random.default_rng(1)
    h, sizes = rng.standard_normal((500, n)), []
    for _ in range(layers):
        h = activation(h @ (spread * rng.standard_normal((n, n))))
        sizes.append(np.sqrt((h**2).mean()))
    return sizes


spreads = {"1/n": np.sqrt(1 / 100), "2/n": np.sqrt(2 / 100), "4/n": np.sqrt(4 / 100)}
figure, axis = plt.subplots(figsize=(6, 3.4), layout="constrained")
last = {}
for name, spread in spreads.items():
    sizes = through(spread)
    last[name] = sizes[-1]
    axis.semilogy(range(1, 21), sizes, "o-", label=f"variance ${name}$")
    print(f"variance {name}: size after 20 layers of ReLU: {sizes[-1]:.2e}")

axis.set(xlabel="layer", ylabel="size of the signal", title="Too small dies out, too large grows")
axis.set_xticks([1, 5, 10, 15, 20])
axis.legend()
plt.show()
assert 0.3 < last["2/n"] < 3
assert last["1/n"] < 2e-3
assert last["4/n"] > 3e2
assert round(np.sqrt(2) ** 20) == 1024

# %%
# Each wrong factor of :math:`\sqrt 2` is taken once a layer, so twenty layers make 1024 of it.  The
# gradient, in the backward pass, goes through the same weights, and dies or explodes likewise.
#
# What the papers do
# ------------------
# Both papers' networks start from :math:`N(0, 0.02)`, whatever the layer's size.  Is that large
# enough?  For 4×4 kernels over 64 channels and leaky ReLU, :math:`n = 1024`, He's rule asks for
# 0.043.

assert round(np.sqrt(2 / (1.04 * 4 * 4 * 64)), 3) == 0.043

for channels in (64, 256, 512):
    n = 4 * 4 * channels
    he = np.sqrt(2 / (1.04 * n))
    print(f"{channels:4} channels: He's spread {he:.3f}, the papers' 0.02 is {0.02 / he:.2f} of it")

x = rng.standard_normal((8, 32, 32, 64)).astype(np.float32)
stack = Sequential(*(Conv2d(64, 64, 3, padding=1, bias=False, rng=k) for k in range(6)))
for layer in stack:
    x = LeakyReLU(0.2).predict(layer.predict(x))

print(f"after six plain layers with 0.02: {x.std():.4f}")
first = dcgan.discriminator(64, width=64, rng=0)[0].weight.data
print(f"tinygan's D: first weights have a spread of {first.std():.3f}")
assert abs(first.std() - 0.02) < 0.002
assert x.std() < 0.1

# %%
# Too small, in narrow layers.  It does no harm there because a *normalisation* stands behind nearly
# every convolution and makes the size of its input irrelevant: :doc:`tutorial 6 <06_batch_norm>`.
# Without one, choose the spread by :math:`n`.
#
# Remember
# --------
# * An activation's backward pass multiplies the gradient by its slope, number by number.
# * Where the slope is 0 nothing learns; leaky ReLU keeps D's gradient alive for G.
# * Initial weights of variance :math:`2/n` keep the signal's size through layers of ReLU; batch
#   norm makes the choice uncritical.
#
# Exercises
# ---------
# **1.**  Write the backward pass of *softplus*, :math:`a(x) = \log(1 + e^x)`, and check it.
#
# .. dropdown:: Hint
#
#    Its derivative is a function you have met above.
#
# .. solution::
#
#    The derivative of softplus is the sigmoid.


def softplus(x):
    return np.logaddexp(0, x), x


def softplus_backward(dy, x):
    return dy / (1 + np.exp(-x))


report = check_gradients((softplus, softplus_backward), rng.standard_normal((4, 5)))
print(report)
assert report.ok

# %%
# **2.**  How much of the gradient arrives at the first of twenty layers with sigmoid activations?
#
# .. dropdown:: Hint
#
#    The slope of the sigmoid is at most 1/4.
#
# .. solution::
#
#    At best a factor of :math:`4^{-20}` from the activations alone.  This is one reason why deep
#    networks of sigmoids were so hard to train.

print(f"4 to the power of -20 is {0.25**20:.0e}")
assert 0.25**20 < 1e-12

# %%
# **3.**  Start a network of tanh with all weights 0.  What is the gradient of each layer's weights?
#
# .. dropdown:: Hint
#
#    :math:`dw = x^T dy`.  Which of the two factors is 0, in the last layer and in the one before?
#
# .. solution::
#
#    All 0 but for the last bias: inner layers see x = 0 or dy = 0.  With equal weights that are not
#    0 all hidden numbers stay equal for ever.  Random weights break that symmetry.

w1, w2 = np.zeros((3, 4)), np.zeros((4, 1))
data, dscore = rng.standard_normal((10, 3)), rng.standard_normal((10, 1))
h = np.tanh(data @ w1)
dw2 = h.T @ dscore
dw1 = data.T @ ((dscore @ w2.T) * (1 - h**2))
print("largest gradients:", np.abs(dw1).max(), np.abs(dw2).max())
assert np.abs(dw1).max() == np.abs(dw2).max() == 0

# %%
# Read on
# -------
# * X. Glorot, Y. Bengio, *Understanding the Difficulty of Training Deep Feedforward Neural
#   Networks*, AISTATS 2010: the argument with the variances.
# * K. He and others, *Delving Deep into Rectifiers*, ICCV 2015, `arXiv:1502.01852
#   <https://arxiv.org/abs/1502.01852>`__: the factor of 2 for ReLU.
#
# **Next:** :doc:`convolution, from loops to a matrix product <04_convolution>`.
