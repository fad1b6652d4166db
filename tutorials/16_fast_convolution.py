r"""
16. Making convolution fast
===========================

**How can a convolution be computed with fewer multiplications than its definition has, exactly?**

:You need: :doc:`convolution <04_convolution>`.
:Afterwards: you can derive Winograd's algorithm, count what it saves, and say what it costs in
   digits.
:Time: 35 minutes.

:doc:`Tutorial 4 <04_convolution>` ended with one large matrix product, at which processors are as
fast as they can be.  What is left is to multiply *less*.  Along one axis, :math:`m` neighbouring
outputs of a kernel with :math:`r` taps are

.. math:: y_i = \sum_{k=0}^{r-1} d_{i+k}\, w_k , \qquad i = 0 \dots m - 1 ,

which is :math:`m \cdot r` products.  It can be done with :math:`n = m + r - 1`.
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from tinygan.convolution import convolve, convolve_grad_input, convolve_grad_weight
from tinygan.convolution.toom_cook import transforms

# %%
# A trick with polynomials
# ------------------------
# Multiply :math:`a(t) = a_0 + a_1 t` by :math:`b(t) = b_0 + b_1 t + b_2 t^2`.  By the school's
# rule that takes :math:`2 \cdot 3` products.  But the result has 4 coefficients, so it is known
# once its value is known at 4 points, and at each point the value is *one* product,
# :math:`a(p)\, b(p)`.  Evaluate, multiply, interpolate:
#
# .. math:: c = W^{-1} \big[ (V_2\, a) \odot (V_3\, b) \big] ,
#
# where the rows of :math:`V` and :math:`W` hold the powers of the points.

points = np.array([0.0, 0.75, -0.75, 1.5])
V2, V3, W4 = (np.vander(points, k, increasing=True) for k in (2, 3, 4))
a, b = np.array([2.0, -1.0]), np.array([3.0, 5.0, 7.0])
c = np.linalg.solve(W4, (V2 @ a) * (V3 @ b))
print("four products:", c.round(10), "  by the rule:", np.convolve(a, b))
assert np.allclose(c, np.convolve(a, b))

# %%
# From products to convolutions
# -----------------------------
# The coefficients of a product are :math:`c_{i+k} = \sum a_i b_k`.  Hold :math:`b` fixed, and
# :math:`a \mapsto c` is a linear map.  Its *transpose* takes 4 numbers :math:`d` to
# :math:`y_i = \sum_k d_{i+k}\, b_k`: that is the convolution.  Transpose the formula, factor by
# factor and in reverse order, and you have Winograd's algorithm:
#
# .. math:: y = A^T \big[ (G\, w) \odot (B^T d) \big] , \qquad
#           A = V_m, \quad G = V_r, \quad B^T = W^{-T} .

A, G, BT = V2, V3, np.linalg.inv(W4).T
rng = np.random.default_rng(0)
d, w = rng.standard_normal(4), rng.standard_normal(3)
y = A.T @ ((G @ w) * (BT @ d))
print("four products:", y, "  by the definition:", np.correlate(d, w))
assert np.allclose(y, np.correlate(d, w))

# %%
# tinygan takes one point at infinity, which stands for the leading coefficient, and moves factors
# from one matrix to another so that many entries become simple.  :math:`F(4, 3)`: four outputs of
# three taps.

A, G, B = transforms(4, 3)
d = rng.standard_normal(6)
assert np.allclose(A.T @ ((G @ w) * (B.T @ d)), np.correlate(d, w))
with np.printoptions(precision=4, suppress=True):
    print(B.T)

# %%
# Two dimensions, and channels
# ----------------------------
# Along the height first, inside it along the width: a tile of :math:`6 × 6` inputs gives
# :math:`4 × 4` outputs.  With channels, each product becomes a matrix product over all tiles.

x = rng.standard_normal((1, 6, 6, 8))
w = rng.standard_normal((3, 3, 8, 5))
V = np.einsum("ai,bk,nabc->iknc", B, B, x)  # the tile, transformed
U = np.einsum("ia,kb,abco->ikco", G, G, w)  # the kernel, transformed
M = V @ U  # 36 small matrix products
y = np.einsum("ia,kb,ikno->nabo", A, A, M)
assert np.allclose(y, convolve(x, w))
print(f"{36 * 8 * 5} products in place of {4 * 4 * 9 * 8 * 5}")

# %%
# What does it cost?
# ------------------
# Additions, and digits.  The transforms add and subtract, and large powers of the points make large
# sums that cancel, so the choice of points matters.  Here is the error in float32 of :math:`F(4,
# 3)` with integer points, as in the books, and with tinygan's.


def matrices(points, m, r):
    n = m + r - 1
    W = np.zeros((n, n))
    W[:-1] = np.vander(points, n, increasing=True)
    W[-1, -1] = 1  # the point at infinity
    A, G = W[:, :m].copy(), W[:, :r].copy()
    A[-1], G[-1] = np.eye(m)[-1], np.eye(r)[-1]
    return A, G, np.linalg.inv(W)


def error(A, G, B, trials=2000):
    (n, m), r = A.shape, G.shape[1]
    d = rng.standard_normal((trials, n, n))
    w = rng.standard_normal((trials, r, r))
    exact = sum(
        d[:, k : k + m, l : l + m] * w[:, k, l, None, None] for k in range(r) for l in range(r)
    )
    A, G, B, d, w = (array.astype(np.float32) for array in (A, G, B, d, w))
    V = np.einsum("ai,bk,nab->nik", B, B, d)
    U = np.einsum("ia,kb,nab->nik", G, G, w)
    y = np.einsum("ia,kb,nik->nab", A, A, U * V)
    return np.abs(y - exact).max() / np.abs(exact).max()


errors = {
    "0, ±1, ±2": error(*matrices([0, 1, -1, 2, -2], 4, 3)),
    "0, ±3/4, ±3/2": error(*transforms(4, 3)),
}
for name, value in errors.items():
    print(f"points {name:14} largest error {value:.1e} of the largest output")

assert errors["0, ±3/4, ±3/2"] < errors["0, ±1, ±2"]

# %%
# The ladder
# ----------
# One layer of the DCGAN's discriminator, 4×4 with stride 2.  The stride is divided into its phases
# first: even and odd rows of the image meet even and odd rows of the kernel, so it becomes 2×2 with
# stride 1 over four times the channels, and 25 products do for 64.  All three operations of the
# convolution, each by each algorithm, measured while this page was built:

x = rng.standard_normal((16, 32, 32, 64), dtype=np.float32)
w = rng.standard_normal((4, 4, 64, 128), dtype=np.float32)
dy = rng.standard_normal((16, 16, 16, 128), dtype=np.float32)
operations = {
    "y": lambda how: convolve(x, w, 2, 1, algorithm=how),
    "dx": lambda how: convolve_grad_input(dy, w, 2, 1, (32, 32), algorithm=how),
    "dw": lambda how: convolve_grad_weight(x, dy, 2, 1, (4, 4), algorithm=how),
}
algorithms = {"naive": "loops", "im2col": "matrix product", "winograd": "fewer products"}
times = {(name, how): [] for name in operations for how in algorithms}
for _ in range(5):  # in turns, so that a busy moment of the machine hits all of them
    for name, how in times:
        start = time.perf_counter()
        operations[name](how)
        times[name, how].append(time.perf_counter() - start)

assert ((4 + 2 - 1) ** 2, 4 * 4 * 2 * 2) == (25, 64)
milliseconds = {key: 1e3 * np.median(value) for key, value in times.items()}

figure, axis = plt.subplots(figsize=(8, 3.4), layout="constrained")
for k, (how, label) in enumerate(algorithms.items()):
    bars = axis.bar(
        np.arange(3) + 0.28 * (k - 1),
        [milliseconds[name, how] for name in operations],
        0.26,
        label=label,
    )
    axis.bar_label(bars, fmt="%.0f", fontsize=9)

axis.set(xticks=range(3), ylabel="milliseconds", title="One layer, three algorithms")
axis.set_xticklabels(["forward: y", "backward: dx", "backward: dw"])
axis.legend()
plt.show()
for name, run in operations.items():
    wrong = np.abs(run("winograd") - run("im2col")).max() / np.abs(run("im2col")).max()
    gain = milliseconds[name, "im2col"] / milliseconds[name, "winograd"]
    print(f"{name:3} {gain:.2f} times as fast as the matrix product, differs by {wrong:.0e}")
    assert wrong < 1e-4

# %%
# Fewer products are not a gain in equal measure: the transforms have to be paid for, and with few
# channels they cost more than they save.  ``algorithm="auto"``, which every layer uses, takes the
# third way only where both sides have enough channels.  All three are run against one another in
# the tests; ``python -m benchmarks`` measures them on your machine.
#
# Remember
# --------
# * Products of polynomials need one multiplication a point; convolution is the transpose of that.
# * The saving is paid for in additions and in digits, so the points matter.
# * Fewer multiplications are faster only where both sides have many channels.
#
# Exercises
# ---------
# **1.** How many products does :math:`F(m, 3)` save for :math:`m = 2, 4, 6` in two dimensions?  Why
# not take :math:`m = 20`?
#
# .. dropdown:: Hint
#
#    :math:`9 m^2 / (m + 2)^2`.  Call ``matrices`` with more points and look at ``error``: every
#    further point is either larger or nearer to another one.
#
# .. solution::
#
#    2.25, 4 and 5.06; for m = 20 it would be 7.4, and not one correct digit is left.

for m in (2, 4, 6, 20):
    points = [3 * k / m for k in range(-m // 2, m // 2 + 1)]  # and infinity
    wrong = error(*matrices(points, m, 3), trials=20)
    print(f"F({m:2}, 3): {9 * m**2 / (m + 2) ** 2:.2f} times fewer products, error {wrong:.0e}")

assert [round(9 * m**2 / (m + 2) ** 2, 2) for m in (2, 4, 6, 20)] == [2.25, 4.0, 5.06, 7.44]
assert wrong > 1

# %%
# **2.**  Write the gradient ``dd`` of a tile, given ``dy`` of shape ``(4, 4)``.
#
# .. dropdown:: Hint
#
#    Three linear steps, transposed, in reverse order: ``dM = A @ dy @ A.T``, ``dV = dM * U``,
#    ``dd = B @ dV @ B.T``.  ``check_gradients`` takes a pair of functions.
#
# .. solution::
#
#    The transposes, from the last to the first.

A, G, B = transforms(4, 3)
U = G @ rng.standard_normal((3, 3)) @ G.T
tile = rng.standard_normal((6, 6))


def forward(d):
    return A.T @ ((B.T @ d @ B) * U) @ A, None


def backward(dy, _):
    return B @ ((A @ dy @ A.T) * U) @ B.T


from tinygan import check_gradients  # noqa: E402

report = check_gradients((forward, backward), tile)
print(report)
assert report.ok

# %%
# **3.**  With ``x`` of 3 channels, time ``winograd`` against ``im2col``.  Who wins, and why?
#
# .. dropdown:: Hint
#
#    The transforms cost the same for every channel of x and every kernel of w.  Over how many
#    products is that cost divided?
#
# .. solution::
#
#    The matrix product: each transformed number of x is used for all kernels, but each transformed
#    number of w only for 3 channels.  Count the products that stand against one transformed number.

for channels in (3, 64):
    products, transformed = 25 * channels * 128, 25 * (channels + 128)
    print(f"{channels:2} channels: {products / transformed:.0f} products a transformed number")

assert 25 * 64 * 128 / (25 * (64 + 128)) > 10 > 25 * 3 * 128 / (25 * (3 + 128))

# %%
# Read on
# -------
# * A. Lavin, S. Gray, *Fast Algorithms for Convolutional Neural Networks*, CVPR 2016,
#   `arXiv:1509.09308 <https://arxiv.org/abs/1509.09308>`__.
# * S. Winograd, *Arithmetic Complexity of Computations*, SIAM 1980.
#
# **Next:** :doc:`on a GPU <17_on_the_gpu>`.
