r"""
6. Batch norm, line by line
===========================

**How does a gradient get through a layer that looks at the whole batch, and how can a wrong one
pass a test?**

:You need: :doc:`activations and initial weights <03_activations_and_initial_weights>`.
:Afterwards: you can derive batch norm's backward pass, read it as two corrections, and avoid the
   test that lets wrong ones pass.
:Time: 30 minutes.

The first paper puts batch normalisation behind every transposed convolution but the last.  Over the
:math:`M` values :math:`x_1 \dots x_M` of a channel (all its pixels in all images of the batch),

.. math::
    \mu = \tfrac1M \sum_i x_i, \quad
    \sigma^2 = \tfrac1M \sum_i (x_i - \mu)^2, \quad
    \hat x_i = \frac{x_i - \mu}{\sqrt{\sigma^2 + \epsilon}}, \quad
    y_i = \gamma\, \hat x_i + \beta .
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import BatchNorm2d, Conv2d, InstanceNorm2d, LeakyReLU, check_gradients
from tinygan.data import faces

# %%
# What it is for
# --------------
# Send faces through ten convolutions with the papers' initial weights, with and without
# normalisation in between, and watch how large the numbers are.

x = faces(32, 32, seed=1).images.astype(np.float32) / 127.5 - 1


def sizes(normalised):
    rng, y, found = np.random.default_rng(0), x, []
    for depth in range(10):
        y = Conv2d(3 if depth == 0 else 16, 16, 3, padding=1, rng=rng).predict(y)
        if normalised:
            y, _ = BatchNorm2d(16)(y)
        y = LeakyReLU(0.2).predict(y)
        found.append(y.std())
    return found


plain, normal = sizes(False), sizes(True)
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
axis.semilogy(range(1, 11), plain, "o-", label="without")
axis.semilogy(range(1, 11), normal, "o-", label="with batch norm")
axis.set(xlabel="layer", ylabel="standard deviation", title="The signal, layer after layer")
axis.legend()
plt.show()
print(f"after ten layers: {plain[-1]:.1e} without, {normal[-1]:.2f} with")
assert normal[-1] > 1e3 * plain[-1]

# %%
# Forward, one line at a time
# ---------------------------
# Give every intermediate value a name; the backward pass needs them.

rng = np.random.default_rng(0)
M, eps = 12, 1e-5
x = rng.normal(3, 2, M)
gamma, beta = 1.5, 0.5

mu = x.mean()
centred = x - mu
var = (centred**2).mean()
rstd = 1 / np.sqrt(var + eps)
xhat = centred * rstd
y = gamma * xhat + beta

# %%
# Backward, one line at a time
# ----------------------------
# Read the lines above from the last to the first.  Each gives back to everything it used.  The
# values that were used *twice* collect from both places: ``centred`` (by ``var`` and by ``xhat``)
# and ``x`` (by ``mu`` and by ``centred``).

dy = 1.0 + 0.8 * xhat + 0.4 * rng.standard_normal(M)  # with a mean and a slope, to see them go

dbeta = dy.sum()  # y = gamma * xhat + beta
dgamma = (dy * xhat).sum()
dxhat = gamma * dy
dcentred = dxhat * rstd  # xhat = centred * rstd
drstd = (dxhat * centred).sum()
dvar = drstd * -0.5 * (var + eps) ** -1.5  # rstd = (var + eps) ** -0.5
dcentred = dcentred + dvar * 2 * centred / M  # var = mean(centred ** 2)
dmu = -dcentred.sum()  # centred = x - mu
dx = dcentred + dmu / M  # mu = mean(x)

# %%
# The same lines, one at a time, on numbers that you may change:
#
# .. raw:: html
#
#    <div class="tg-widget" data-widget="batchnorm">
#    <noscript>This figure needs JavaScript.</noscript></div>
#
# Put the lines into one another and most of it cancels:
#
# .. math::
#     dx_i = \frac{\gamma}{\sqrt{\sigma^2 + \epsilon}} \Big( dy_i
#     - \underbrace{\tfrac1M \sum_j dy_j}_{\text{through } \mu}
#     - \underbrace{\hat x_i\, \tfrac1M \sum_j dy_j\, \hat x_j}_{\text{through } \sigma} \Big) .

short = gamma * rstd * (dy - dy.mean() - xhat * (dy * xhat).mean())
assert np.allclose(short, dx)

layer = BatchNorm2d(1).to(dtype="float64")
layer.weight.data[:], layer.bias.data[:] = gamma, beta
out, backward = layer(x.reshape(M, 1, 1, 1))
assert np.allclose(out.ravel(), y)
assert np.allclose(backward(dy.reshape(M, 1, 1, 1)).ravel(), dx)
print("line by line, in one line, and in tinygan: the same gradient")

# %%
# The picture shows the two corrections.  What arrives loses its mean (nothing can move all values
# up together: :math:`\mu` takes it out) and its slope along :math:`\hat x` (nothing can stretch
# them: :math:`\sigma` takes that out).

order = np.argsort(xhat)
figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
axis.axhline(0, color="grey", linewidth=0.8)
axis.plot(xhat[order], dy[order], "o-", label="dy, as it arrives")
axis.plot(xhat[order], (dy - dy.mean())[order], "s--", label="without its mean")
axis.plot(xhat[order], short[order] / (gamma * rstd), "D-", label="and without its slope")
axis.set(xlabel=r"$\hat x_i$", title="What is left of a gradient")
axis.legend()
plt.show()
slope = np.polyfit(xhat, short, 1)[0]
print(f"mean of dx {dx.mean():.1e}, slope of dx along xhat {slope:.1e}")
assert abs(dx.mean()) < 1e-12
assert abs(slope) < 1e-4

# %%
# The trap
# --------
# A popular way to test a gradient is to take the *sum* of the outputs for the loss, which means a
# :math:`dy` of ones.  Now look at the formula: with :math:`dy_i = 1` both corrections cancel it
# exactly, :math:`dx = 0`.  The sum of normalised values does not depend on :math:`x` at all.  So a
# backward pass that forgets the path through :math:`\sigma` altogether passes.


def normalize(x):  # over the rows of x: (M, C)
    rstd = 1 / np.sqrt(x.var(axis=0) + 1e-5)
    xhat = (x - x.mean(axis=0)) * rstd
    return xhat, (xhat, rstd)


def broken(dy, cache):
    _, rstd = cache
    return rstd * (dy - dy.mean(axis=0))  # and the slope?


x = rng.standard_normal((12, 2))
fooled = check_gradients((normalize, broken), x, dy=np.ones_like(x), raises=False)
honest = check_gradients((normalize, broken), x, raises=False)
print("with ones:      ", fooled.checks[0])
print("drawn at random:", honest.checks[0])
assert fooled.ok
assert not honest.ok

# %%
# One more trap
# -------------
# The textbook says :math:`\sigma^2 = E[x^2] - \mu^2`.  In float32, with a mean much larger than the
# spread, that subtracts two large, nearly equal numbers:

x = rng.normal(1000, 1, (1, 10000, 1)).astype(np.float32)
textbook = float((x**2).mean() - x.mean() ** 2)
exact = x.astype(np.float64).var()
layer = BatchNorm2d(1)
y, _ = layer(x.reshape(1, 100, 100, 1))
print(f"textbook {textbook:.3f}, in float64 {exact:.3f}, the layer's y.std() {y.std():.3f}")
assert abs(y.std() - 1) < 1e-3

# %%
# Remember
# --------
# * Normalisation makes the size of a layer's input irrelevant, and training deep networks possible.
# * Its gradient is what arrives, without its mean and without its slope along the normalised
#   values.
# * Never check a gradient with ones: a broken normalisation passes.
#
# Exercises
# ---------
# **1.**  Which other mistakes does a :math:`dy` of ones let pass?  Try one that forgets the path
# through :math:`\mu`.
#
# .. dropdown:: Hint
#
#    ``check_gradients(…, dy=np.ones_like(x), raises=False).checks[0]`` with ``dx = scale * dy``.
#    Does a gradient of zero still come out?
#
# .. solution::
#
#    Forgetting :math:`\mu` leaves a gradient that is not 0, so ones find that one.  They also let
#    pass a backward pass that returns zeros.

def without_mean(dy, cache):
    return cache[1] * dy


def nothing(dy, cache):
    return 0 * dy


for wrong in (without_mean, nothing):
    values, ones = rng.standard_normal((12, 2)), np.ones((12, 2))
    ones = check_gradients((normalize, wrong), values, dy=ones, raises=False)
    print(f"{wrong.__name__:13} passes with ones: {ones.ok}")
    assert ones.ok == (wrong is nothing)

# %%
# **2.**  ``predict`` normalises with running statistics.  What is its gradient, and why is
# it never needed?
#
# .. dropdown:: Hint
#
#    With :math:`\mu` and :math:`\sigma` constants, both corrections are gone.  Who asks for a
#    gradient at inference?
#
# .. solution::
#
#    With constants for :math:`\mu` and :math:`\sigma` the layer is affine: :math:`dx = \gamma\, dy
#    / \sigma`. Nobody learns at inference, so nobody asks.

layer = BatchNorm2d(1).to(dtype="float64")
layer.running_mean[...], layer.running_var[...] = 3.0, 4.0
values = rng.standard_normal((1, 2, 2, 1))
change = layer.predict(values + 1e-6) - layer.predict(values)
print("slope of predict:", (change / 1e-6).ravel()[0].round(4), " gamma / sigma:", 1 / 2)
assert np.allclose(change / 1e-6, layer.weight.data / 2, atol=1e-3)

# %%
# **3.**  Instance norm takes :math:`M` as the pixels of *one* image.  What changes in ``forward``,
# what in the derivation?
#
# .. dropdown:: Hint
#
#    Over which axes of ``(N, H, W, C)`` is the mean taken?
#
# .. solution::
#
#    The axes of the mean, and so M: height and width of one picture.  The derivation stays as it
#    is.

pictures = rng.standard_normal((2, 5, 5, 3))
mean = pictures.mean(axis=(1, 2), keepdims=True)
deviation = np.sqrt(pictures.var(axis=(1, 2), keepdims=True) + 1e-5)
layer = InstanceNorm2d(3).to(dtype="float64")
assert np.allclose(layer.predict(pictures), (pictures - mean) / deviation, atol=1e-6)
print("instance norm: the same formula over each picture's own pixels")

# %%
# Read on
# -------
# * S. Ioffe, C. Szegedy, *Batch Normalization*, ICML 2015, `arXiv:1502.03167
#   <https://arxiv.org/abs/1502.03167>`__.
# * D. Ulyanov, A. Vedaldi, V. Lempitsky, *Instance Normalization*, 2016, `arXiv:1607.08022
#   <https://arxiv.org/abs/1607.08022>`__: what the CycleGAN uses.
#
# **Next:** :doc:`losses <07_losses>`.
