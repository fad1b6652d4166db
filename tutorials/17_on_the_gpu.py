r"""
17. On a GPU
============

**What changes when the same code runs on a GPU, and what does it cost?**

:You need: :doc:`a DCGAN <09_dcgan>`.  No GPU is needed to read it.
:Afterwards: you can say which layers gain from a GPU, what a launch costs, and how to write a loop
   that does not wait.
:Time: 15 minutes.

Nothing changes in the code: a function asks each array which library it belongs to, and calls that
library.  What changes is the price of things.  This tutorial runs on whatever machine builds the
page; where there is no GPU it computes on the CPU and says so, and what it says about *costs* it
derives by counting.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Conv2d, LeakyReLU, asarray, asnumpy, get_xp
from tinygan.machine.arrays import cupy_status, resolve_backend
from tinygan.models import dcgan
from tinygan.summary import summarize

# %%
# What is there
# -------------

backend = resolve_backend("auto")
status = cupy_status()
print("computing on", backend)
print("CuPy is usable" if status.usable else "no CuPy with a GPU here")

# %%
# Nothing changes
# ---------------
# ``get_xp(x)`` is ``numpy`` for a NumPy array and ``cupy`` for a CuPy array.  This leaky ReLU works
# on both, and so does every layer of tinygan.


def leaky_relu(x, negative_slope=0.2):
    xp = get_xp(x)
    return xp.where(x > 0, x, x * negative_slope)


x = np.random.default_rng(0).standard_normal((2, 4, 4, 3)).astype(np.float32)
moved = asarray(x, backend)
y = leaky_relu(moved)
print(type(moved).__module__, y.dtype, asnumpy(y).shape)
assert np.allclose(asnumpy(y), LeakyReLU(0.2).predict(x))

# %%
# A network is moved once, with everything it holds.  Weights and noise are drawn by NumPy and then
# moved, so that both backends start from the same bits.

G = dcgan.generator(32, noise_size=64, width=8, rng=0)
z = dcgan.draw_noise(4, 64, rng=1)
on_host = G.predict(z)
on_device = asnumpy(G.to(backend).predict(asarray(z, backend)))
if backend == "numpy":
    print("no GPU here: NumPy was not compared with itself")
else:
    print(f"largest difference {np.abs(on_host - on_device).max():.1e}")

assert np.allclose(on_host, on_device, atol=1e-4)

# %%
# What it costs, 1: arithmetic against memory
# -------------------------------------------
# A processor computes only as fast as memory feeds it.  For each layer count its multiply–adds and
# the bytes that must at least be moved: the input, the weights and the output, once each.  Their
# ratio is the *arithmetic intensity*.  A device with a peak of :math:`F` operations and :math:`B`
# bytes a second can be busy only above :math:`F / B`; below, it waits for memory.

batch = 128
network = dcgan.discriminator(64, width=64, rng=0)
shape, names, intensities = (64, 64, 3), [], []
for row, layer in zip(summarize(network, shape).rows, network, strict=True):
    moved = 4 * (batch * np.prod(shape) + row.parameters + batch * np.prod(row.shape))
    operations = batch * (2 * row.multiply_adds if row.multiply_adds else np.prod(row.shape))
    names.append(type(layer).__name__)
    intensities.append(operations / moved)
    shape = row.shape

figure, axis = plt.subplots(figsize=(9, 4.2), layout="constrained")
colours = ["tab:blue" if isinstance(layer, Conv2d) else "tab:orange" for layer in network]
axis.barh(range(len(names)), intensities, color=colours)
axis.set_yticks(range(len(names)), names)
axis.invert_yaxis()
axis.set(xscale="log", xlabel="operations for each byte")
axis.set_title("The discriminator of 64 pixels, layer by layer: most of its layers only move bytes")
plt.show()
busy = [isinstance(layer, Conv2d) for layer in network]
convolutions = [i for i, is_busy in zip(intensities, busy, strict=True) if is_busy]
others = [i for i, is_busy in zip(intensities, busy, strict=True) if not is_busy]
print(f"convolutions: {min(convolutions):.1f} to {max(convolutions):.0f} operations a byte")
print(f"the others:   at most {max(others):.2f}")
assert max(others) < 1 < max(convolutions)

# %%
# The wide convolutions are worth a GPU's arithmetic.  The others are as fast as memory, and so what
# pays there is to read and write *fewer times*: one kernel that normalises and applies the
# activation in a single pass instead of several.  That is why :mod:`tinygan.fast.cuda` has kernels
# for normalisation, activation, losses and Adam, each beside the plain lines it is tested against.
#
# What it costs, 2: launches
# --------------------------
# Each operation on arrays is at least one *launch*, which takes the processor some microseconds
# however small the array is.  A training step is a fixed number of operations, whatever the batch.
# If a launch takes :math:`t` and the work of one picture takes :math:`w`, a step of batch
# :math:`n` takes at least :math:`\max(L\,t,\; n\,w)`: below the batch of :math:`L\,t / w` the GPU
# waits for the processor.  What :math:`t` and :math:`w` are depends on the machine; nobody has yet
# measured them for this page, so there is no number here.  ``python -m benchmarks`` measures them
# on yours, and exercise 3 finds the knee.
#
# What it costs, 3: waiting
# -------------------------
# The processor runs ahead of the GPU, until it asks for a number.  ``float(loss)`` waits for
# everything before it.  So tinygan's losses are arrays of one number, and a loop that looks at them
# only now and then never waits in between:
#
# .. code-block:: python
#
#     for step in range(1000):
#         losses = dcgan.train_step(G, D, adam_G, adam_D, next(batches), z)
#         if step % 100 == 0:
#             print({name: float(value) for name, value in losses.items()})
#
# Each picture also has to travel.  As bytes it is a quarter of what it is as float32:

picture = np.zeros((64, 64, 3), np.uint8)
print(f"a batch of {batch}: {batch * picture.nbytes / 1e6:.1f} MB as bytes", end=", ")
print(f"{batch * picture.astype(np.float32).nbytes / 1e6:.1f} MB as float32")

# %%
# Mixing the two kinds of arrays is a mistake that CuPy would report in a long message; tinygan says
# which argument is which.  Here a list stands in for the wrong kind:

try:
    get_xp(x=x, w=[1.0, 2.0])
except TypeError as error:
    print(error)

# %%
# :doc:`On a GPU <../gpu>` has the installation, and how all of this is tested without a GPU.
#
# Remember
# --------
# * The same code runs on both; what changes is the price of things.
# * Convolutions are limited by arithmetic, everything else by memory: there, fewer passes pay.
# * Ask for a number only when you need it: asking waits.
#
# Exercises
# ---------
# **1.**  The last convolution has an intensity far below the others.  Does a larger batch help?
#
# .. dropdown:: Hint
#
#    Vary ``batch`` and look.  How often is each number of its input used, with a single output
#    channel?
#
# .. solution::
#
#    No: each number of its input is used once, whatever the batch.

weights, per_picture = 4 * 4 * 512, 4 * 4 * 512
for n in (1, 128, 100_000):
    print(f"batch {n:7}: {2 * n * per_picture / (4 * (n * per_picture + weights + n)):.2f} a byte")

assert 2 * n * per_picture / (4 * (n * per_picture + weights + n)) < 0.5

# %%
# **2.**  ``float32_array * np.float64(0.2)`` is float64.  Why is that worse on a GPU than on a CPU?
#
# .. dropdown:: Hint
#
#    Most GPUs compute float64 many times more slowly, and everything behind it stays float64.  Use
#    Python's numbers: ``x * 0.2`` keeps the dtype.
#
# .. solution::
#
#    Twice the bytes for everything behind it, and on most GPUs 32 to 64 times the arithmetic.

a = np.ones(3, np.float32)
print((a * np.float64(0.2)).dtype, (a * 0.2).dtype)
assert (a * np.float64(0.2)).dtype == np.float64
assert (a * 0.2).dtype == np.float32

# %%
# **3.**  If you have a GPU: time ``G.predict`` for batches of 1 to 512, and find the knee.
#
# .. dropdown:: Hint
#
#    ``cupyx.profiler.benchmark`` measures between events of the GPU.  A plain clock measures how
#    fast the processor launches.
#
# .. solution::
#
#    With a GPU this prints a time for each batch; where it begins to grow with the batch is the
#    knee.

if backend == "cupy":
    from cupyx.profiler import benchmark
    for n in (1, 8, 64, 512):
        z = asarray(dcgan.draw_noise(n, 64, rng=1), backend)
        print(n, benchmark(G.predict, (z,), n_repeat=20))
else:
    print("no GPU here")

# %%
# Read on
# -------
# * S. Williams, A. Waterman, D. Patterson, *Roofline*, Communications of the ACM 52, 2009.
# * R. Okuta and others, *CuPy: A NumPy-Compatible Library for NVIDIA GPU Calculations*, 2017.
#
# **Next:** :doc:`many machines, one gradient <18_many_machines>`; and :doc:`how it is installed and
# tested <../gpu>`.
