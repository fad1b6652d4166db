r"""
8. Adam
=======

**Why do both systems learn with Adam, and why with** :math:`\beta_1 = 0.5` **?**

:You need: :doc:`one layer <02_one_layer>`.
:Afterwards: you can write Adam in twelve lines, say what each of its parts is for, and why a game
   needs a short memory.
:Time: 20 minutes.

A gradient says which way is down, but not how far.  Adam keeps two running averages for every
single number it learns, of the gradient :math:`g` and of its square:

.. math::
    m &\leftarrow \beta_1 m + (1 - \beta_1)\, g, & \hat m &= m / (1 - \beta_1^t), \\
    v &\leftarrow \beta_2 v + (1 - \beta_2)\, g^2, & \hat v &= v / (1 - \beta_2^t), \\
    \theta &\leftarrow \theta - \alpha\, \hat m / (\sqrt{\hat v} + \epsilon) . &&
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Adam, Parameter, linear_decay

# %%
# In twelve lines
# ---------------


class MyAdam:
    def __init__(self, parameter, lr, betas, eps=1e-8):
        self.p, self.lr, self.betas, self.eps = parameter, lr, betas, eps
        self.m = self.v = np.zeros_like(parameter.data)
        self.t = 0
    def step(self):
        self.t += 1
        b1, b2 = self.betas
        self.m = b1 * self.m + (1 - b1) * self.p.grad
        self.v = b2 * self.v + (1 - b2) * self.p.grad**2
        m_hat, v_hat = self.m / (1 - b1**self.t), self.v / (1 - b2**self.t)
        self.p.data = self.p.data - self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


rng = np.random.default_rng(0)
start = rng.standard_normal(5)
mine, theirs = Parameter(start.copy()), Parameter(start.copy())
my_adam = MyAdam(mine, 0.01, (0.5, 0.999))
adam = Adam([theirs], lr=0.01, betas=(0.5, 0.999))
for _ in range(50):
    mine.grad = theirs.grad = rng.standard_normal(5)
    my_adam.step()
    adam.step()

print("mine  ", mine.data)
print("theirs", theirs.data)
assert np.allclose(mine.data, theirs.data, rtol=1e-12)

# %%
# Why divide by the size
# ----------------------
# A long, narrow valley: :math:`L = \tfrac12 (a^2 + 100\, b^2)`.  Plain gradient descent must take
# steps small enough for the steep direction, and then hardly moves along the flat one.  Dividing
# each direction by its own size takes both at the same speed.

curvature = np.array([1.0, 100.0])


def walk(step, steps=60):
    parameter = Parameter(np.array([-4.0, 1.0]))
    update, path = step(parameter), [parameter.data.copy()]
    for _ in range(steps):
        parameter.grad = curvature * parameter.data
        update()
        path.append(parameter.data.copy())
    return np.array(path)


def descent(lr):
    def make(parameter):
        def update():
            parameter.data -= lr * parameter.grad
        return update
    return make


paths = {
    "gradient descent, 0.018": walk(descent(0.018)),
    "Adam, 0.2": walk(lambda p: Adam([p], lr=0.2, betas=(0.9, 0.999)).step),
}
a, b = np.meshgrid(np.linspace(-4.5, 1, 100), np.linspace(-1.2, 1.2, 100))
figure, axis = plt.subplots(figsize=(8, 3.6), layout="constrained")
axis.contour(a, b, 0.5 * (a**2 + 100 * b**2), levels=np.geomspace(0.1, 80, 10), cmap="Greys")
for name, path in paths.items():
    axis.plot(*path.T, ".-", label=name)
    print(f"{name:24} after 60 steps: L = {0.5 * (curvature * path[-1] ** 2).sum():.4f}")

axis.plot(0, 0, "k*", markersize=12)
axis.set(xlabel="a", ylabel="b", title="Two ways down a narrow valley")
axis.legend(loc="lower right")
plt.show()

# %%
# Why divide by :math:`1 - \beta^t`
# ---------------------------------
# Both averages start at zero, so they are too small at first, and the *squares* more so, as
# :math:`\beta_2` is nearer to 1.  After :math:`t` steps the weights given so far sum to
# :math:`1 - \beta^t`; dividing by that makes an average out of them.  Then the very first step has
# the length :math:`\alpha` for every number, however large its gradient is:

parameter = Parameter(np.zeros(4))
parameter.grad = np.array([1e-3, 0.1, 10.0, -1e3])
Adam([parameter], lr=0.01).step()
print("first step:", parameter.data)
assert np.allclose(np.abs(parameter.data), 0.01, rtol=1e-4)

# %%
# Why 0.5 in a game
# -----------------
# A loss stands still while you descend; an adversary moves.  The smallest game of two players is
# :math:`\min_a \max_b\, a\,b`: each gradient is the other player's position, and the place where
# both rest is 0.  An average over many past gradients tells where the other one *was*.


def play(beta1, steps=400, lr=0.02):
    a, b = Parameter(np.array([1.0])), Parameter(np.array([0.0]))
    adam_a, adam_b = (Adam([p], lr=lr, betas=(beta1, 0.999)) for p in (a, b))
    path = []
    for _ in range(steps):
        a.grad, b.grad = b.data.copy(), -a.data.copy()
        adam_a.step()
        adam_b.step()
        path.append((a.data[0], b.data[0]))
    return np.array(path)


figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained", sharex=True, sharey=True)
reach = {}
for axis, beta1 in zip(axes, (0.9, 0.5, 0.0), strict=True):
    path = play(beta1)
    reach[beta1] = np.linalg.norm(path, axis=1)[-100:].mean()
    axis.plot(*path.T, linewidth=0.8)
    axis.plot(*path[0], "o")
    axis.plot(0, 0, "k*", markersize=10)
    axis.set(title=rf"$\beta_1 = {beta1}$", xlabel="a", aspect="equal")
    print(f"beta1 = {beta1}: from a distance of 1 to {reach[beta1]:.2f} over the last 100 steps")

axes[0].set_ylabel("b")
figure.suptitle("The longer the memory, the farther from the point where both could rest")
plt.show()
assert reach[0.9] > 2 > 1.3 > reach[0.5] > 0.7 > reach[0.0]

# %%
# With 0.9 they spiral outwards; with 0.5 they stay about as far away as they began; without a
# memory they come nearer.  None of the three comes to rest.  Both systems of
# tinygan use 0.5, a short memory that still averages the noise of small batches a little: the first
# paper states it, and for the second it is what Zhu et al. published.
#
# The learning rate over the epochs
# ---------------------------------
# The second paper's Algorithm 1 lets the rate fall in a straight line after :math:`E_0` of
# :math:`E` epochs.  It can be read in three ways, which differ in how low the rate is in the last
# epoch.  That rarely matters, except to those who compare results with the paper's.

E, E_0 = 10, 5
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
for reading, marker in (("paper", "o"), ("literal", "s"), ("published", "^")):
    rates = [linear_decay(1.0, e, E, E_0, reading) for e in range(E)]
    axis.plot(rates, marker + "-", label=reading)
    print(f"{reading:10} last epoch at {rates[-1]:.3f} of the first rate")
    assert rates[-1] > 0  # an epoch at zero would learn nothing

axis.set(xlabel="epoch e", ylabel="rate", title="Three readings of Algorithm 1", ylim=(0, 1.1))
axis.legend()
plt.show()

# %%
# Remember
# --------
# * Adam divides each step by the usual size of that gradient, so all weights move at one pace.
# * Both averages start at zero; dividing them by :math:`1 - \beta^t` corrects the first steps.
# * In a game the opponent moves: with :math:`\beta_1 = 0.9` a player answers to where it *was*.
#
# Exercises
# ---------
# **1.**  Leave out the correction :math:`1 - \beta^t` in ``MyAdam``.  How long is the first step?
#
# .. dropdown:: Hint
#
#    :math:`(1 - \beta_1) / \sqrt{1 - \beta_2}` times :math:`\alpha`.  With 0.5 and 0.999, is that
#    too short or too long?
#
# .. solution::
#
#    Too long: about 16 times the rate, at the step that knows least about the gradient.

factor = (1 - 0.5) / np.sqrt(1 - 0.999)
print(f"{factor:.1f} times the rate")
assert 15 < factor < 17

# %%
# **2.**  Multiply the loss by 1000.  Which of gradient descent and Adam notices?
#
# .. dropdown:: Hint
#
#    m grows by 1000 and v by its square.  This is why the second paper's factor of 0.5 on
#    :math:`L_D` hardly slows Adam down, and λ₁ : λ₂ : λ₃ matter only as ratios.
#
# .. solution::
#
#    Gradient descent takes steps 1000 times as long; Adam does not notice.

def first_step(scale, make):
    parameter = Parameter(np.array([1.0, 1.0]))
    parameter.grad = scale * np.array([0.3, -2.0])
    make(parameter)()
    return parameter.data - 1.0


for name, make in (("descent", descent(0.01)), ("Adam", lambda p: Adam([p], lr=0.01).step)):
    print(f"{name:8}", first_step(1.0, make), first_step(1000.0, make))

adam_steps = [first_step(scale, lambda p: Adam([p], lr=0.01).step) for scale in (1.0, 1000.0)]
descent_steps = [first_step(scale, descent(0.01)) for scale in (1.0, 1000.0)]
assert np.allclose(*adam_steps, rtol=1e-4)
assert np.allclose(1000 * descent_steps[0], descent_steps[1])

# %%
# **3.**  Let the two players move one after the other instead of at once.  What changes?
#
# .. dropdown:: Hint
#
#    Compute ``b.grad`` after ``adam_a.step()``.  A DCGAN's step does it that way: D first, then G
#    against the D that has just learnt.
#
# .. solution::
#
#    The spiral becomes narrower, or closes: b answers to where a *is*.

def take_turns(beta1, steps=400, lr=0.02):
    a, b = Parameter(np.array([1.0])), Parameter(np.array([0.0]))
    adam_a, adam_b = (Adam([p], lr=lr, betas=(beta1, 0.999)) for p in (a, b))
    path = []
    for _ in range(steps):
        a.grad = b.data.copy()
        adam_a.step()
        b.grad = -a.data.copy()
        adam_b.step()
        path.append((a.data[0], b.data[0]))
    return np.linalg.norm(path, axis=1)[-100:].mean()


for beta1 in (0.9, 0.5, 0.0):
    print(f"beta1 = {beta1}: at once {reach[beta1]:.2f}, in turns {take_turns(beta1):.2f}")

assert take_turns(0.5) < reach[0.5]

# %%
# Read on
# -------
# * D. Kingma, J. Ba, *Adam: A Method for Stochastic Optimization*, ICLR 2015, `arXiv:1412.6980
#   <https://arxiv.org/abs/1412.6980>`__.
# * L. Mescheder, A. Geiger, S. Nowozin, *Which Training Methods for GANs do actually Converge?*,
#   ICML 2018, `arXiv:1801.04406 <https://arxiv.org/abs/1801.04406>`__.
#
# **Next:** :doc:`a DCGAN <09_dcgan>`.
