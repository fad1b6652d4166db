r"""
5. Transposed convolution is the other gradient
===============================================

**A discriminator shrinks images.  How does a generator enlarge them, and where does the
checkerboard in its pictures come from?**

:You need: :doc:`convolution <04_convolution>`.
:Afterwards: you can say what a transposed convolution is, what it is not, and count where its
   checkerboard comes from.
:Time: 25 minutes.

The first paper's generator makes its picture "using the inverse of convolution, called transposed
convolution".  It is not an inverse: a convolution that shrinks loses information, and nothing can
bring that back.  It is the *transpose*, and you have already met it, as a gradient.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Conv2d, ConvTranspose2d, Sequential, Upsample, check_gradients
from tinygan.convolution import convolve, convolve_grad_input

# %%
# A convolution is a matrix
# -------------------------
# With its kernel fixed, a convolution is linear in :math:`x`: there is a matrix :math:`C` with
# :math:`y = C\,x`.  Its columns are what the convolution makes of each single pixel.  Here is the
# one of a kernel of 4 with stride 2 and padding 1, along one axis from 10 pixels to 5.

kernel = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1, 1)
stride, padding = (1, 2), (0, 1)
pixels = np.eye(10).reshape(10, 1, 10, 1)
C = convolve(pixels, kernel, stride, padding)[:, 0, :, 0].T
assert C.shape == (5, 10)

figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained", width_ratios=(2, 1))
for axis, matrix, title in ((axes[0], C, "$C$ shrinks"), (axes[1], C.T, "$C^T$ enlarges")):
    axis.imshow(np.ma.masked_equal(matrix, 0), cmap="viridis", vmin=0)
    axis.set(title=title, xlabel="from pixel", ylabel="to pixel")

figure.suptitle("The same kernel, once as C and once as its transpose")
plt.show()

# %%
# The gradient of :math:`y = C\,x` with respect to :math:`x` is :math:`dx = C^T dy`: that is what
# ``Conv2d`` computes in its backward pass.  A transposed convolution computes it in its *forward*
# pass, :math:`y = C^T x`, and so needs :math:`C` itself in its backward pass.  What defines a
# transpose is
#
# .. math:: \langle C\,x,\; v \rangle = \langle x,\; C^T v \rangle
#     \qquad \text{for all } x \text{ and } v .

rng = np.random.default_rng(0)
x = rng.standard_normal((2, 8, 8, 3))
w = rng.standard_normal((4, 4, 3, 5))
v = rng.standard_normal((2, 4, 4, 5))
left = (convolve(x, w, 2, 1) * v).sum()
right = (x * convolve_grad_input(v, w, 2, 1, (8, 8))).sum()
print(f"<C x, v> = {left:.10f}   <x, C' v> = {right:.10f}")
assert np.isclose(left, right)

# %%
# So a layer that enlarges costs no new mathematics.  Give a ``ConvTranspose2d`` the weights of a
# ``Conv2d``, and its forward pass *is* the other's backward pass.

down = Conv2d(3, 5, 4, stride=2, padding=1, bias=False).to(dtype="float64")
up = ConvTranspose2d(5, 3, 4, stride=2, padding=1, bias=False).to(dtype="float64")
up.weight.data = down.weight.data

y, backward = down(x)
assert np.allclose(up.predict(v), backward(v))
assert check_gradients(up, v).ok
print("up", v.shape, "->", up.predict(v).shape)

# %%
# The checkerboard
# ----------------
# Every pixel of the small image paints a whole kernel onto the large one, ``stride`` pixels apart.
# Where the kernel's size is no multiple of the stride, some pixels are painted more often than
# others.  Paint with a kernel of ones and count:


def times_painted(kernel_size, stride, padding, output_padding=0, size=8):
    layer = ConvTranspose2d(1, 1, kernel_size, stride, padding, output_padding, bias=False)
    layer.weight.data[...] = 1
    return layer.predict(np.ones((1, size, size, 1), np.float32))[0, :, :, 0]


uneven = times_painted(3, 2, 1, output_padding=1)
even = times_painted(4, 2, 1)
print("kernel 3, stride 2:", uneven[5, 4:10])
print("kernel 4, stride 2:", even[5, 4:10])
assert set(np.unique(even[2:-2, 2:-2])) == {4}

# %%
# Try any kernel and stride:
#
# .. raw:: html
#
#    <div class="tg-widget" data-widget="convolution" data-mode="transposed convolution">
#    <noscript>This figure needs JavaScript.</noscript></div>
#
# A network starts with random weights of variance :math:`\sigma^2`.  A pixel that is the sum of
# :math:`k` independent products has :math:`k` times the variance of one, so the pattern of the
# counts is in the very first picture, before anything is learnt.  Three ways to double the size,
# each over many random kernels: the mean size of what comes out, pixel by pixel.


def strength(make, trials=200, channels=8):
    x = np.ones((1, 8, 8, channels), np.float32)
    total = 0
    for seed in range(trials):
        layer = make(channels, np.random.default_rng(seed))
        total = total + (layer.predict(x) ** 2).mean(axis=(0, 3))
    return np.sqrt(total / trials)


ways = {
    "transposed, kernel 3, stride 2": lambda c, rng: ConvTranspose2d(
        c, 8, 3, 2, 1, output_padding=1, bias=False, rng=rng
    ),
    "transposed, kernel 4, stride 2": lambda c, rng: ConvTranspose2d(
        c, 8, 4, 2, 1, bias=False, rng=rng
    ),
    "repeat pixels, then convolve": lambda c, rng: Sequential(
        Upsample(2), Conv2d(c, 8, 3, padding=1, bias=False, rng=rng)
    ),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3.6), layout="constrained")
ripple = {}
for axis, (name, make) in zip(axes, ways.items(), strict=True):
    size = strength(make)
    size /= size[4:12, 4:12].mean()
    axis.imshow(size, cmap="gray", vmin=0.5, vmax=1.5)
    axis.set_title(name, fontsize=10)
    axis.set_axis_off()
    middle = size[4:12, 4:12]
    ripple[name] = middle.max() / middle.min()
    print(f"{name:32} strongest pixel / weakest pixel = {ripple[name]:.2f}")

figure.suptitle("Where a constant image is painted strongly")
plt.show()

# %%
# (The faint pattern that is left in the second picture is chance: the more kernels, the fainter.)
# The counts predict the first number: pixels painted four times against pixels painted once, and
# the square root of it, as the strength is a standard deviation.

predicted = np.sqrt(uneven[4:12, 4:12].max() / uneven[4:12, 4:12].min())
print(f"predicted {predicted:.2f}")
assert predicted == 2  # four times and once
assert abs(ripple["transposed, kernel 3, stride 2"] / predicted - 1) < 0.15
assert ripple["transposed, kernel 4, stride 2"] < 1.3

# %%
# That is why the DCGAN's kernels are 4×4 with stride 2, and why ``tinygan.models.cyclegan`` offers
# ``upsampling="resize"`` beside the published 3×3.  A kernel that the stride divides removes the
# *uneven count*; a network can still learn kernels that paint unevenly, and repeated pixels make
# even that harder.
#
# Remember
# --------
# * A transposed convolution is a convolution's gradient, used as a forward pass.
# * It is the transpose, not the inverse: what a convolution has lost stays lost.
# * Where the stride does not divide the kernel, pixels are painted unevenly from the first step on.
#
# Exercises
# ---------
# **1.**  Count for a kernel of 5 with stride 2, which the original DCGAN uses, and for 5 with
# stride 3.
#
# .. dropdown:: Hint
#
#    ``times_painted(5, 2, 2, output_padding=1)``.  Along one axis, how many of the places
#    :math:`k = 0 \dots 4` have the same remainder modulo the stride?
#
# .. solution::
#
#    Uneven in both cases: 5 is a multiple of neither.

for kernel_size, stride in ((5, 2), (5, 3)):
    counts = times_painted(kernel_size, stride, 2, output_padding=1)
    print(f"kernel {kernel_size}, stride {stride}:", counts[8, 6:14])
    assert len(np.unique(counts[6:14, 6:14])) > 1

# %%
# **2.**  ``output_padding`` of a kernel of 3 with stride 2 is 1 or 0.  What sizes come out of 8
# pixels, and why does the layer have to be told?
#
# .. dropdown:: Hint
#
#    Apply a ``Conv2d`` of kernel 3, stride 2 and padding 1 to images of 15 and of 16 pixels.  A
#    transpose leads back to one of them; the arithmetic cannot know which.
#
# .. solution::
#
#    Both 15 and 16 pixels shrink to 8, so 8 pixels may come from either.

shrink = Conv2d(1, 1, 3, stride=2, padding=1)
for size in (15, 16):
    print(size, "->", shrink.predict(np.zeros((1, size, size, 1), np.float32)).shape[1])
    assert shrink.predict(np.zeros((1, size, size, 1), np.float32)).shape[1] == 8

for output_padding in (0, 1):
    back = ConvTranspose2d(1, 1, 3, 2, 1, output_padding)
    print("8 ->", back.predict(np.zeros((1, 8, 8, 1), np.float32)).shape[1])

# %%
# **3.**  Is :math:`C^T C` the identity?  What is left of ten pixels that go there and back?
#
# .. dropdown:: Hint
#
#    Start from ``C.T @ C`` above.  What would the kernel have to satisfy for it to be diagonal?
#
# .. solution::
#
#    No: there are 5 numbers in between for 10 pixels, so the product has rank 5, and half of what
#    the pixels said is gone.  The columns of C would have to be orthogonal for a diagonal.

print("rank", np.linalg.matrix_rank(C.T @ C), "of", len(C.T))
print((C.T @ C)[3:7, 3:7])
assert np.linalg.matrix_rank(C.T @ C) == 5

# %%
# Read on
# -------
# * A. Odena, V. Dumoulin, C. Olah, *Deconvolution and Checkerboard Artifacts*, Distill 2016,
#   `doi:10.23915/distill.00003 <https://distill.pub/2016/deconv-checkerboard/>`__.
# * V. Dumoulin, F. Visin, *A guide to convolution arithmetic for deep learning*, 2016,
#   `arXiv:1603.07285 <https://arxiv.org/abs/1603.07285>`__.
#
# **Next:** :doc:`batch norm, line by line <06_batch_norm>`.
