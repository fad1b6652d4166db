r"""
4. Convolution: from loops to a matrix product
==============================================

**A convolution is six loops.  How does it become one matrix product, and why is that worth it?**

:You need: :doc:`one layer <02_one_layer>`.
:Afterwards: you can write a convolution and its two gradients as matrix products, and say what they
   cost in memory.
:Time: 30 minutes.

A window slides over an image.  At each place, all the numbers in the window are multiplied by those
of a kernel, and summed.  With :math:`N` images of :math:`C` channels, :math:`O` kernels, stride
:math:`s` and padding :math:`p`, and :math:`x` taken as zero outside its borders,

.. math::
    y_{nijo} = \sum_{k,l,c} x_{n,\; si+k-p,\; sj+l-p,\; c}\; w_{klco} .
"""

import time

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Conv2d, check_gradients
from tinygan.convolution import convolve, convolve_grad_input, convolve_grad_weight
from tinygan.data import faces

# %%
# What a kernel sees
# ------------------
# Before it is made fast, look at what it does.  Three kernels of 3×3 on one drawn face: the mean of
# a neighbourhood, its change from left to right, and its change in all directions.

picture = faces(1, 64, seed=7).images.astype(np.float32) / 127.5 - 1
grey = picture.mean(axis=-1, keepdims=True)
kernels = {
    "mean": np.full((3, 3), 1 / 9),
    "left to right": np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4,
    "all directions": np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]]),
}
w = np.stack(list(kernels.values()), axis=-1).astype(np.float32)[:, :, None, :]  # (3, 3, 1, 3)
seen = convolve(grey, w, stride=1, padding=1)

figure, axes = plt.subplots(1, 4, figsize=(9, 2.8), layout="constrained")
axes[0].imshow(picture[0] / 2 + 0.5)
axes[0].set_title("the picture")
for axis, name, channel in zip(axes[1:], kernels, seen[0].transpose(2, 0, 1), strict=True):
    axis.imshow(channel, cmap="gray")
    axis.set_title(name)

for axis in axes:
    axis.set_axis_off()

figure.suptitle("One face through three kernels")
plt.show()

# %%
# Type a kernel of your own, and see what it sees:
#
# .. kernel-over-face::
#
# Which pixels does a window see?  Change the kernel, the stride and the padding, and move the
# window with a finger, the mouse or the arrow keys:
#
# .. raw:: html
#
#    <div class="tg-widget" data-widget="convolution">
#    <noscript>This figure needs JavaScript.</noscript></div>
#
# The definition, as loops
# ------------------------
# Everything that follows has to agree with this.


def loops(x, w, s, p):
    N, H, W, _ = x.shape
    KH, KW, _, O = w.shape
    OH, OW = (H + 2 * p - KH) // s + 1, (W + 2 * p - KW) // s + 1
    y = np.zeros((N, OH, OW, O), x.dtype)
    for i in range(OH):
        for j in range(OW):
            for k in range(KH):
                for l in range(KW):
                    h, v = s * i + k - p, s * j + l - p
                    if 0 <= h < H and 0 <= v < W:
                        y[:, i, j] += x[:, h, v] @ w[k, l]  # the sum over c
    return y


rng = np.random.default_rng(0)
x = rng.standard_normal((2, 9, 9, 3))
w = rng.standard_normal((4, 4, 3, 5))
y = loops(x, w, 2, 1)
print(y.shape)

# %%
# Put every window into a row
# ---------------------------
# The window that belongs to output pixel :math:`(n, i, j)` holds :math:`KH \cdot KW \cdot C`
# numbers.  Write them as one row, and the rows below one another: the matrix :math:`P` of
# *patches*.  Write the kernels as the columns of :math:`W`.  Then the whole sum is
#
# .. math:: Y = P\,W .


def patches(x, KH, KW, s, p):
    padded = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (KH, KW), axis=(1, 2))
    windows = windows[:, ::s, ::s].transpose(0, 1, 2, 4, 5, 3)  # (N, OH, OW, KH, KW, C)
    return windows.reshape(-1, KH * KW * x.shape[3])


P, W = patches(x, 4, 4, 2, 1), w.reshape(-1, 5)
print("P", P.shape, " W", W.shape)
assert np.allclose((P @ W).reshape(y.shape), y)

# %%
# One row of x appears in many rows of P.  That is the price: P holds about
# :math:`KH \cdot KW / s^2` copies of the image.  For a 6×6 image and a window of 3×3 the pattern of
# these copies can be drawn.  Each column belongs to a pixel, each row to a window.

numbered = patches(np.arange(36.0).reshape(1, 6, 6, 1), 3, 3, 1, 0).astype(int)
place = np.zeros((len(numbered), 36))
np.put_along_axis(place, numbered, 1 + np.arange(9)[None], axis=1)

figure, axis = plt.subplots(figsize=(9, 4.2), layout="constrained")
axis.imshow(np.ma.masked_equal(place, 0), cmap="viridis")
axis.set(
    xlabel="pixel of the image, row after row",
    ylabel="window",
    title="Which pixels a window holds; the colour is the kernel's entry they meet",
)
figure.suptitle("A convolution is a matrix with few different numbers")
plt.show()

# %%
# The gradients come for free
# ---------------------------
# :math:`Y = P\,W` is a matrix product, so its gradients are those of tutorial 2:
#
# .. math:: dW = P^T\, dY, \qquad dP = dY\, W^T .
#
# And as :math:`P` only holds copies of :math:`x`, the gradient of a pixel is the sum of the
# gradients of its copies.

dy = rng.standard_normal(y.shape)
dY = dy.reshape(-1, 5)
dw = (P.T @ dY).reshape(w.shape)
dP = (dY @ W.T).reshape(2, 4, 4, 4, 4, 3)  # (N, OH, OW, KH, KW, C)
dx_padded = np.zeros((2, 11, 11, 3))
for k in range(4):
    for l in range(4):
        dx_padded[:, k : k + 8 : 2, l : l + 8 : 2] += dP[:, :, :, k, l]

dx = dx_padded[:, 1:10, 1:10]

assert np.allclose(dw, convolve_grad_weight(x, dy, 2, 1, (4, 4)))
assert np.allclose(dx, convolve_grad_input(dy, w, 2, 1, (9, 9)))
assert check_gradients(Conv2d(3, 5, 4, stride=2, padding=1), x).ok
print("all three operations of the convolution agree")

# %%
# Was it worth it?
# ----------------
# Processors multiply large matrices near their peak speed; loops in Python do not come close.  Here
# is how many products a second each way manages on this machine, measured while this page was
# built.  The first one has all six loops in Python and gets a tiny image; the others get a layer of
# a discriminator.


def six_loops(x, w):  # stride 1, no padding
    _, H, W, C = x.shape
    KH, KW, _, O = w.shape
    y = np.zeros((1, H - KH + 1, W - KW + 1, O))
    for i in range(y.shape[1]):
        for j in range(y.shape[2]):
            for k in range(KH):
                for l in range(KW):
                    for c in range(C):
                        for o in range(O):
                            y[0, i, j, o] += x[0, i + k, j + l, c] * w[k, l, c, o]
    return y


def seconds(function, repeats=3):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return sorted(times)[repeats // 2]


tiny, tiny_w = rng.standard_normal((1, 8, 8, 3)), rng.standard_normal((3, 3, 3, 4))
assert np.allclose(six_loops(tiny, tiny_w), convolve(tiny, tiny_w))
x = rng.standard_normal((8, 32, 32, 32), dtype=np.float32)
w = rng.standard_normal((4, 4, 32, 64), dtype=np.float32)
products = 8 * 16 * 16 * 64 * 4 * 4 * 32

rate = {
    "six loops in Python": 6 * 6 * 9 * 3 * 4 / seconds(lambda: six_loops(tiny, tiny_w)),
    "four loops, NumPy inside": products / seconds(lambda: convolve(x, w, 2, 1, algorithm="naive")),
    "one matrix product": products / seconds(lambda: convolve(x, w, 2, 1, algorithm="im2col")),
}
for name, value in rate.items():
    print(f"{name:26} {value / 1e6:10,.1f} million products a second")

assert rate["one matrix product"] > 100 * rate["six loops in Python"]

# %%
# There is still a faster way, which computes the same result with fewer products: see
# :doc:`how tiles overlap <../derivations/tiles>`.
#
# Remember
# --------
# * A convolution is a matrix product of patches and kernels.
# * Its gradients are the gradients of that product; copies of a pixel add up.
# * Patches cost memory: about :math:`KH\,KW / s^2` times the picture.
#
# Exercises
# ---------
# **1.**  Make ``loops`` take ``dy`` and ``w`` and return ``dx``.  You need to change one line.
#
# .. dropdown:: Hint
#
#    Each product :math:`x \cdot w` that was added to y sends :math:`dy \cdot w` back to that x:
#    ``dx[:, h, v] += dy[:, i, j] @ w[k, l].T``.
#
# .. solution::
#
#    One line of the inner loop changes, and the arguments.

def loops_backward(dy, w, s, p, H, W):
    dx = np.zeros((len(dy), H, W, w.shape[2]))
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            for k in range(w.shape[0]):
                for l in range(w.shape[1]):
                    h, v = s * i + k - p, s * j + l - p
                    if 0 <= h < H and 0 <= v < W:
                        dx[:, h, v] += dy[:, i, j] @ w[k, l].T
    return dx


small_w = rng.standard_normal((4, 4, 3, 5))
assert np.allclose(
    loops_backward(dy, small_w, 2, 1, 9, 9), convolve_grad_input(dy, small_w, 2, 1, (9, 9))
)
print("the loops' dx agrees")

# %%
# **2.**  How large is P for the discriminator's first layer, 128 pictures of 64×64×3, a window of
# 4×4, stride 2, padding 1?  Compare it with the pictures themselves.
#
# .. dropdown:: Hint
#
#    32×32 windows a picture, 48 numbers a window.  tinygan never holds all of P: it works through
#    it in pieces that fit a core's cache.
#
# .. solution::
#
#    Four times the pictures: each pixel is in :math:`4 \cdot 4 / 2^2` windows.

pictures, P_bytes = 128 * 64 * 64 * 3 * 4, 128 * 32 * 32 * 48 * 4
print(f"pictures {pictures / 1e6:.1f} MB, P {P_bytes / 1e6:.1f} MB")
assert P_bytes == 4 * pictures

# %%
# **3.**  Mathematicians flip the kernel.  Which of the assertions above would notice if you did?
#
# .. dropdown:: Hint
#
#    ``w[::-1, ::-1]``.  A learnt kernel does not care which way round it is stored, as long as all
#    three operations agree on it; stored weights from elsewhere do care.
#
# .. solution::
#
#    The first one does not: it compares our P and W with our own loops, which both read w the same
#    way.  All those that compare with tinygan would.

small = rng.standard_normal((2, 9, 9, 3))
flipped = small_w[::-1, ::-1]
assert np.allclose(loops(small, flipped, 2, 1), convolve(small, flipped, 2, 1))
assert not np.allclose(loops(small, flipped, 2, 1), convolve(small, small_w, 2, 1))
print("a flipped kernel gives another picture")

# %%
# Read on
# -------
# * V. Dumoulin, F. Visin, *A guide to convolution arithmetic for deep learning*, 2016,
#   `arXiv:1603.07285 <https://arxiv.org/abs/1603.07285>`__.
# * K. Chellapilla, S. Puri, P. Simard, *High Performance Convolutional Neural Networks for Document
#   Processing*, 2006: the matrix product.
#
# **Next:** :doc:`transposed convolution <05_transposed_convolution>`.
