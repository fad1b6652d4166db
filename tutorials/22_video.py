r"""
22. Video
=========

**A network that was trained on pictures translates a film, frame by frame.  Why does the result
flicker, how much, and what helps?**

:You need: :doc:`a CycleGAN <12_cyclegan>`; :doc:`transposed convolution
   <05_transposed_convolution>` for the reason.
:Afterwards: you can measure flicker, say where it comes from, and choose a way of smoothing by
   measurement.
:Time: 25 minutes.

Both papers name video at their end: the first "would also like to extend it generating deep-fake
videos", the second notes that GANs "have modeled patterns of motion in video".  Here is the least
that can be done, and how good it is.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

from tinygan import load
from tinygan.data import bags, to_float
from tinygan.generate.__main__ import main as generate
from tinygan.metrics import flicker
from tinygan.translate.smoothing import smoothed

# %%
# A film whose motion is known
# ----------------------------
# Draw one large picture and cut a window out of it that wanders.  Frame :math:`t` is
# :math:`x_t(p) = L(p + c_t)`, with known places :math:`c_t`.  The *true* translation of the film is
# the same way over the true translation of :math:`L`.  The bags are larger than those that this
# network was trained on, and cut off: do not expect beauty.

run = load("demo-bags")  # a CycleGAN that comes with tinygan
size, room, count = run.options.image_size, 12, 48
t = np.arange(count) / count * 2 * np.pi
places = np.rint(room / 2 * (1 + np.stack([np.sin(t), np.cos(2 * t)], axis=1))).astype(int)


def pan(large):
    return to_float(np.stack([large[i : i + size, j : j + size] for i, j in places]))


def films(number):
    return [pan(bags(1, size + room, domain=domain, start=number).images[0])
            for domain in ("handbag", "backpack")]


x, truth = films(5000)
y = np.asarray(run.translate(x))


def show(rows, names, title):
    size = (9, 0.4 + 1.05 * len(rows))
    figure, axes = plt.subplots(len(rows), 1, figsize=size, layout="constrained")
    for axis, row, name in zip(axes, rows, names, strict=True):
        axis.imshow(np.concatenate(list(np.clip(row / 2 + 0.5, 0, 1)), axis=1))
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
    figure.suptitle(title)
    plt.show()


show([x[8:16], y[8:16], truth[8:16]], ["x", "G(x)", "the truth"], "Eight frames in a row")

# %%
# Flicker
# -------
# Take the motion away and see what still changes.  With :math:`v_t = c_t - c_{t-1}`, and the mean
# over the pixels that both frames show,
#
# .. math:: E = \frac{1}{T-1} \sum_{t>0} \overline{\big|\, y_t(p) - y_{t-1}(p + v_t) \,\big|} .

for name, film in (("the film", x), ("the truth", truth), ("the translation", y)):
    print(f"flicker of {name}: {flicker(film, places):.4f}")

print(f"the motion itself: {flicker(x, np.zeros_like(places)):.4f}")
assert flicker(x, places) == flicker(truth, places) == 0
assert flicker(y, places) > 0.5 * flicker(x, np.zeros_like(places))

# %%
# The film has none.  What the translation changes by itself is most of what the motion changes.
#
# Where does it come from?
# ------------------------
# A convolution of stride 1 answers a picture that has moved with an answer that has moved.  One of
# stride 2 does so only if the picture moved by an even number of pixels: else it looks at other
# rows.  G halves the size twice, so only steps of 4 pixels pass.  Measure it, away from the edges:

large = bags(1, 160, start=5000).images


def at(i):
    return np.asarray(run.translate(large[:, i : i + 128, :128]))[0]


still = at(0)
steps = np.arange(9)
changed = [np.abs(at(i)[44:76, 44:84] - still[44 + i : 76 + i, 44:84]).mean() for i in steps]
figure, axis = plt.subplots(figsize=(6, 2.6), layout="constrained")
axis.bar(steps, changed)
axis.set(xlabel="pixels that the picture moved by", ylabel="change of G(x)", xticks=steps)
axis.set_title("What G makes anew when the picture moves")
plt.show()
print("moved by 1 to 4 pixels:", ", ".join(f"{c:.7f}" for c in changed[1:5]))
assert max(changed[4], changed[8]) < 1e-4 < 1e-2 < min(changed[1:4] + changed[5:8])

# %%
# Three ways to smooth
# --------------------
# Average over time, with a strength :math:`a`:
#
# .. math:: s_t = a\, s_{t-1} + (1 - a)\, y_t .
#
# Or take the median of three frames, which knows nothing of motion either.  Or move what was there
# along: estimate the shift :math:`v` of the whole *input*, and average only where the input, moved
# by it, is the same as before,
#
# .. math::
#     s_t(p) = w\, s_{t-1}(p - v) + (1 - w)\, y_t(p), \qquad
#     w = a\, e^{-(d / 0.1)^2}, \quad d = \overline{|x_t(p) - x_{t-1}(p - v)|} .
#
# The shift is found from the phases of two Fourier transforms.  ``smoothed`` does all of this,
# frame by frame.


def averaged(y, a=0.8):
    out = [y[0]]
    for frame in y[1:]:
        out.append(a * out[-1] + (1 - a) * frame)
    return np.stack(out)


def median(y):
    return np.median([y[[0, *range(count - 1)]], y, y[[*range(1, count), -1]]], axis=0)


def moved_along(x, y, a=0.8):
    return np.stack([s for _, s in smoothed(zip(x, y, strict=True), a)])


rows = {"as it is": [], "averaged": [], "median of 3": [], "moved along": []}
for number in range(5000, 5006):
    x, truth = films(number)
    y = np.asarray(run.translate(x))
    for name, s in zip(rows, (y, averaged(y), median(y), moved_along(x, y)), strict=True):
        rows[name].append((flicker(s, places), np.abs(s - truth).mean()))

print("               flicker   from the truth")
for name, values in rows.items():
    print("{:14}  {:.4f}   {:.4f}".format(name, *np.mean(values, axis=0)))

result = {name: np.mean(values, axis=0) for name, values in rows.items()}
for name in ("as it is", "averaged", "median of 3"):
    assert (result["moved along"] < result[name]).all()

assert result["moved along"][0] < 0.3 * result["as it is"][0]
assert result["averaged"][0] > 0.7 * result["as it is"][0]
assert result["averaged"][1] > result["as it is"][1]

# %%
# Averaging without regard to motion takes away only a fifth of the flicker, and the film, blurred
# along its motion, is farther from the truth than before.  The median of three frames does little.
# Moved along, about three quarters of the flicker are gone, *and* the film is nearer to the truth
# than it was: errors that are made anew in each frame average out.  So this one is ``--smooth``;
# the other two stay on this page.
#
# What moves by itself, in front of a camera that stands still, differs from what was there before:
# :math:`w` is nearly 0 there, and it leaves no ghost.  Drag the slider:

s = moved_along(x, y)
flat = averaged(y)
figure, axes = plt.subplots(2, 2, figsize=(4.6, 5), layout="constrained")
figure.set_label("A film, its translation, and two ways to smooth it; the title says which")
names = ["x", "G(x)", "averaged", "moved along"]
shown = [axis.imshow(np.zeros((size, size, 3))) for axis in axes.flat]
for axis, name in zip(axes.flat, names, strict=True):
    axis.set(xticks=[], yticks=[])
    axis.set_title(name, fontsize=14)


def draw(k):
    for picture, film in zip(shown, (x, y, flat, s), strict=True):
        picture.set_data(np.clip(film[k] / 2 + 0.5, 0, 1))


animation = FuncAnimation(figure, draw, frames=range(0, count, 2))
plt.show()

# %%
# The commands
# ------------
# A film is a video, an animated WebP or GIF, or a folder of frames; a video or an animation comes
# out.  Videos need ``pip install 'tinygan[video]'``, which brings ffmpeg; their sound is kept.
#
# .. code-block:: console
#
#    $ python -m tinygan.translate RUN --input film.mp4 --out translated.mp4 --smooth
#    $ python -m tinygan.translate RUN --input frames/ --out translated.webm --fps 24 --pairs
#
# A generator makes films, too: a walk through its latent space, which is smooth by itself.

out = Path(tempfile.mkdtemp()) / "walk.webp"
generate(["--demo", "--count", "8", "--frames", "24", "--out", str(out)])
print(f"{out.stat().st_size // 1000} kB; .mp4 in its place would make a video")

# %%
# Remember
# --------
# * Translating frame by frame flickers because a network with strides is only equivariant to shifts
#   by their product.
# * Flicker is what changes beside the motion; drawn films have a known one.
# * A smooth film can be a wrong one: look at the distance to the truth beside the flicker.
#
# Exercises
# ---------
# **1.**  Let the camera stand still, and add noise to each frame, as a sensor does.  Who flickers?
#
# .. dropdown:: Hint
#
#    ``np.repeat`` one frame, add normal noise of 0.03, translate; all places are the same.
#
# .. solution::
#
#    G passes part of the noise on; each way takes it away, as there is no motion to get wrong.

rng = np.random.default_rng(0)
x = np.repeat(films(5000)[0][:1], count, axis=0)
x = np.clip(x + 0.03 * rng.standard_normal(x.shape, dtype=np.float32), -1, 1)
y = np.asarray(run.translate(x))
still = np.zeros_like(places)
for name, film in (("x", x), ("G(x)", y), ("averaged", averaged(y)), ("moved", moved_along(x, y))):
    print(f"{name:10} {flicker(film, still):.4f}")

assert flicker(moved_along(x, y), still) < 0.5 * flicker(y, still)

# %%
# **2.**  How strong should the smoothing be?  Try :math:`a` of 0.5, 0.8, 0.95.
#
# .. dropdown:: Hint
#
#    Print both numbers for each.  Which one stops falling?
#
# .. solution::
#
#    Flicker keeps falling.  The distance to the truth has its least near 0.8, the command's choice.

x, truth = films(5001)
y = np.asarray(run.translate(x))
tried = {}
for a in (0, 0.5, 0.8, 0.95):
    s = moved_along(x, y, a)
    tried[a] = flicker(s, places), np.abs(s - truth).mean()
    print("a = {:4}  flicker {:.4f}  from the truth {:.4f}".format(a, *tried[a]))

assert sorted(tried, key=lambda a: -tried[a][0]) == list(tried)
assert min(tried, key=lambda a: tried[a][1]) == 0.8

# %%
# Read on
# -------
# * W.-S. Lai and others, *Learning Blind Video Temporal Consistency*, ECCV 2018, `arXiv:1808.00449
#   <https://arxiv.org/abs/1808.00449>`__: a network that smooths; flicker along estimated motion.
# * R. Zhang, *Making Convolutional Networks Shift-Invariant Again*, ICML 2019, `arXiv:1904.11486
#   <https://arxiv.org/abs/1904.11486>`__: the strides at fault, and a cure in the network.
#
# **Next:** :doc:`the tutorials' list <index>`.
