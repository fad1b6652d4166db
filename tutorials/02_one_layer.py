r"""
2. One layer, by hand
=====================

**What does a layer have to know in order to learn?**

:You need: :doc:`a GAN in 40 lines <01_a_gan_in_40_lines>`; matrix products and partial
   derivatives.
:Afterwards: you can derive, write and check the backward pass of a layer, and train with it.
:Time: 20 minutes.

A layer is a function :math:`y = f(x; w)`.  Somewhere behind it stands a loss :math:`L`, one number.
To make :math:`L` smaller we need :math:`dw = \partial L / \partial w`, and so that the layers
*before* this one can learn too, :math:`dx = \partial L / \partial x`.  The layer behind it hands
back :math:`dy = \partial L / \partial y`.  A layer that turns :math:`dy` into :math:`dw` and
:math:`dx` needs to know nothing about the rest of the network.

.. plot:: figures/layer.py
   :alt: x goes into a layer with its weights w, and y comes out.  Below, dy comes in from behind,
      and the layer gives dx to the layer before it and dw to the optimizer; the cache joins the
      two.
   :class: no-scaled-link

In this tutorial you write such a layer, check it, break it, and train with it.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Layer, Parameter, Sequential, Tanh, bce_with_logits, check_gradients, normal

# %%
# The mathematics of one layer
# ----------------------------
# The plainest layer with weights is the affine map.  With a batch of :math:`N` rows,
#
# .. math:: y_{no} = \sum_i x_{ni}\, w_{io} + b_o .
#
# Move one entry :math:`x_{ni}` a little, and every :math:`y_{no}` of that row moves by
# :math:`w_{io}` times as much; :math:`L` moves by the sum of these, each times :math:`dy_{no}`.
# The same thought for :math:`w_{io}` and :math:`b_o` gives all three gradients:
#
# .. math::
#     dx_{ni} = \sum_o dy_{no}\, w_{io}, \qquad
#     dw_{io} = \sum_n x_{ni}\, dy_{no}, \qquad
#     db_o = \sum_n dy_{no} .
#
# As matrix products: :math:`dx = dy\,w^T`, :math:`dw = x^T dy`.  In tinygan's protocol ``forward``
# returns the result and a *cache*, exactly what ``backward`` will need; ``backward`` *adds* into
# each parameter's gradient and returns that of the input.


class Linear(Layer):
    def __init__(self, inputs, outputs, rng):
        self.weight = Parameter(normal((inputs, outputs), std=inputs**-0.5, rng=rng))
        self.bias = Parameter(normal((outputs,), std=0.0))
    def forward(self, x):
        return x @ self.weight.data + self.bias.data, x
    def backward(self, dy, x):
        self.weight.grad += x.T @ dy
        self.bias.grad += dy.sum(axis=0)
        return dy @ self.weight.data.T


# %%
# Whoever *uses* the layer calls it, and gets the output together with its backward pass.

rng = np.random.default_rng(0)
layer = Linear(3, 2, rng)
x = rng.standard_normal((4, 3)).astype(np.float32)
y, backward = layer(x)
dy = rng.standard_normal(y.shape).astype(np.float32)
dx = backward(dy)
print("y", y.shape, " dx", dx.shape, " dw", layer.weight.grad.shape)

# %%
# Is it right?  Ask the definition
# --------------------------------
# A derivative is a limit of differences, so one entry of :math:`dx` can be checked with two more
# forward passes, a little to either side.  The upstream gradient :math:`dy` stands for all that
# lies behind the layer: with it fixed, :math:`L = \sum dy \cdot y`.

h = 1e-3
plus, minus = x.copy(), x.copy()
plus[1, 2] += h
minus[1, 2] -= h
difference = (dy * layer.predict(plus)).sum() - (dy * layer.predict(minus)).sum()
print(f"by hand {dx[1, 2]:.6f}   by differences {difference / (2 * h):.6f}")
assert abs(dx[1, 2] - difference / (2 * h)) < 1e-2

# %%
# ``check_gradients`` does this for every entry of every tensor, in float64, where the difference of
# two nearly equal numbers still has digits left.

report = check_gradients(layer, x)
print(report)
assert report.ok

# %%
# Break it
# --------
# The commonest mistakes are a forgotten sum and a forgotten transpose, and both may run without any
# complaint.  Here the bias takes the gradient of the first row only, instead of the sum of all.


class Forgetful(Linear):
    def backward(self, dy, x):
        self.weight.grad += x.T @ dy
        self.bias.grad += dy[0]
        return dy @ self.weight.data.T


report = check_gradients(Forgetful(3, 2, rng), x, raises=False)
print(report)
assert not report.ok

# %%
# Train with it
# -------------
# Two layers and a curve between them can already play the part of a *discriminator*: say how likely
# it is that a point :math:`x` is real.  Here the real points lie on a ring and the others in its
# middle.  A network is its layers in sequence; its backward pass is the chain rule, from the last
# layer to the first.

angle = rng.uniform(0, 2 * np.pi, 200)
radius = np.repeat([2.0, 0.6], 100) + 0.2 * rng.standard_normal(200)
points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).astype(np.float32)
real = np.repeat([1.0, 0.0], 100).astype(np.float32)[:, None]

D = Sequential(Linear(2, 16, rng), Tanh(), Linear(16, 1, rng))
losses = []
for _ in range(400):
    D.zero_grad()
    score, D_backward = D(points)
    loss, dscore = bce_with_logits(score, real)
    D_backward(dscore)
    for parameter in D.parameters():
        parameter.data -= 1.0 * parameter.grad  # a step downhill
    losses.append(float(loss))

# %%
# Every number that the network learnt with came out of the two methods above.

grid = np.stack(np.meshgrid(*[np.linspace(-3, 3, 120, dtype=np.float32)] * 2), axis=-1)
probability = 1 / (1 + np.exp(-D.predict(grid.reshape(-1, 2)))).reshape(120, 120)

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
left.plot(losses)
left.set(xlabel="step", ylabel="loss", title="The loss falls")
picture = right.imshow(
    probability, extent=(-3, 3, -3, 3), origin="lower", cmap="RdBu", vmin=0, vmax=1
)
right.scatter(*points.T, c=real, cmap="RdBu", edgecolors="white", linewidths=0.5, s=18)
right.set(title="The probability of being real", aspect="equal")
figure.colorbar(picture, ax=right)
figure.suptitle("A hand-written network learns a ring")
plt.show()

right_side = ((D.predict(points) > 0) == (real > 0.5)).mean()
print(f"{100 * right_side:.0f} % of the points are on the right side, loss {losses[-1]:.3f}")
assert right_side > 0.95

# %%
# Remember
# --------
# * A layer turns dy into dx and dw, and needs to know nothing about the rest of the network.
# * Gradients *add up* where a value is used twice; forgetting that is the commonest mistake.
# * Compare every hand-written gradient with differences before you use it.
#
# Exercises
# ---------
# **1.**  Write a layer ``Scale`` with one learnt number :math:`a` and :math:`y = a\,x`, and let
# ``check_gradients`` judge it.
#
# .. dropdown:: Hint
#
#    Every entry of y contains a, so :math:`da = \sum x \cdot dy` over *all* entries.  ``a`` may be
#    an array of shape ``(1,)``; its gradient must have that shape too.
#
# .. solution::
#
#    The gradient of a sums over everything that a touched.

class Scale(Layer):
    def __init__(self):
        self.a = Parameter(np.array([1.5], np.float32))
    def forward(self, x):
        return self.a.data * x, x
    def backward(self, dy, x):
        self.a.grad += (x * dy).sum()
        return self.a.data * dy


report = check_gradients(Scale(), x)
print(report)
assert report.ok

# %%
# **2.**  Why does ``backward`` add to ``.grad`` instead of setting it?
#
# .. dropdown:: Hint
#
#    Call ``layer`` twice, on two inputs, and add up the two results.  Which gradient of w belongs
#    to the sum?  A discriminator sees real and generated pictures in this very way.
#
# .. solution::
#
#    Two calls, one sum: the gradient of the sum is the sum of the gradients.

a, b = rng.standard_normal((2, 4, 3)).astype(np.float32)
layer.zero_grad()
(_, a_backward), (_, b_backward) = layer(a), layer(b)
a_backward(dy)
b_backward(dy)
assert np.allclose(layer.weight.grad, a.T @ dy + b.T @ dy, atol=1e-4)
print("the gradient of both calls is in .grad")

# %%
# **3.**  Call the same ``backward`` twice.  What happens, and why is that better than a number?
#
# .. dropdown:: Hint
#
#    What a call remembers is freed during its backward pass, so that memory falls on the way
#    through a deep network.  A second call finds nothing left; read what the error says.
#
# .. solution::
#
#    An error: the values that the pass needs were freed by the first one.  A second result would be
#    added to the gradients, silently twice as large.

y, backward = layer(x)
backward(dy)
try:
    backward(dy)
except RuntimeError as error:
    print(type(error).__name__, "-", error)

# %%
# Read on
# -------
# * M. Nielsen, *Neural Networks and Deep Learning*, `chapter 2
#   <http://neuralnetworksanddeeplearning.com/chap2.html>`__: backpropagation, slowly.
# * D. Rumelhart, G. Hinton, R. Williams, *Learning representations by back-propagating errors*,
#   Nature 323, 1986.
#
# **Next:** :doc:`activations and initial weights <03_activations_and_initial_weights>`.
