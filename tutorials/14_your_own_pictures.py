r"""
14. Your own pictures
=====================

**A folder of pictures as they come, of all kinds and sizes: what does it take to train on them,
stop, go on, and use the result?**

:You need: :doc:`a DCGAN <09_dcgan>`; a folder of pictures, if you like.
:Afterwards: you can train on your own pictures, stop and go on, and use the result in a program.
:Time: 20 minutes, and the training.

Everything so far had its data drawn to measure.  Yours will not be: photographs of different
shapes, some sideways, some grey, one that was cut short while it was copied.  This tutorial makes
such a folder and walks the whole way with the same commands that you would type.
"""

import json
import tempfile
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from tinygan.data import ImageFolder, Prefetcher, faces, load_image
from tinygan.generate.__main__ import main as generate
from tinygan.train.__main__ import main as train

# %%
# A folder as folders are
# -----------------------
# Drawn faces again, so that this page needs no download, but scattered over subfolders, in four
# formats, at different shapes, and with one file damaged.  Put the path of your own folder here
# instead.

folder = Path(tempfile.mkdtemp()) / "pictures"
rng = np.random.default_rng(0)
for i, picture in enumerate(faces(300, 64, seed=11).images):
    image = Image.fromarray(picture)
    if i % 4 == 0:  # wider than high
        wide = Image.new("RGB", (96, 64), tuple(int(v) for v in picture[0, 0]))
        wide.paste(image, (16, 0))
        image = wide
    if i % 10 == 0:
        image = image.convert("L")
    ending = ("png", "jpg", "bmp", "webp")[i % 4]
    path = folder / f"album-{i % 3}" / f"{i:03}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)

damaged = folder / "album-0" / "003.webp"
damaged.write_bytes(damaged.read_bytes()[:100])
print(sorted(p.name for p in folder.iterdir()), len(list(folder.rglob("*.*"))), "files")

# %%
# What tinygan makes of it
# ------------------------
# ``ImageFolder`` decodes every picture once, on all cores, to squares of one size: EXIF orientation
# applied, transparency laid on white, the largest centred square cut out.  What cannot be read is
# named once and left out.

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    data = ImageFolder(folder, image_size=32, cache=False)

print(data.images.shape, data.images.dtype, "skipped:", [name for name, why in data.skipped])
print("warned:", len(caught) == 1)
assert len(data) == 299

# %%
# **Look at what the network will see**, before it has spent a night on it.  Are the faces in the
# middle?  Is anything cut off?  ``fit="pad"`` keeps the whole picture, ``crop=`` takes a smaller
# centred square; the same words are flags of the command line.

wide = next(path for path in data.files if load_image(folder / path).shape[1] == 96)
figure, axes = plt.subplots(1, 4, figsize=(9, 2.6), layout="constrained")
for axis, (title, options) in zip(
    axes,
    {
        "as it is": {},
        'fit="crop"': {"image_size": 64},
        'fit="pad"': {"image_size": 64, "fit": "pad"},
        "crop=0.4": {"image_size": 64, "crop": 0.4},
    }.items(),
    strict=True,
):
    axis.imshow(load_image(folder / wide, **options))
    axis.set_title(title)
    axis.set_axis_off()

figure.suptitle("One picture, four ways into a square")
plt.show()

with Prefetcher(data.images, batch_size=16, seed=0, flip=True) as batches:
    x = next(batches)

print("a batch:", x.shape, x.dtype, f"from {x.min():.2f} to {x.max():.2f}")
assert x.dtype == np.float32

# %%
# Train
# -----
# ``train([...])`` is what ``python -m tinygan.train ...`` calls, with the same words.  For your own
# folder leave out what only makes this page quick: the default is 64 pixels and the first paper's
# width, noise and rates.

run = folder.parent / "run"
status = train(
    f"dcgan --data {folder} --out {run} --image-size 32 --width 8 --noise-size 32 "
    "--batch-size 32 --lr 1e-3 --activation leaky_relu "
    "--steps 120 --sample-every 60 --checkpoint-every 60 --no-cache --backend numpy".split()
)
assert status == 0

# %%
# The run folder
# --------------
# Everything about a run is in its folder: what was asked for, which data, which versions, the
# losses of every step, pictures from the same noise each time, and checkpoints.

for path in sorted(run.rglob("*")):
    if path.is_file():
        print(f"{path.stat().st_size:9,} bytes  {path.relative_to(run)}")

config = json.loads((run / "config.json").read_text())
print("seed", config["seed"], " batch size", config["options"]["batch_size"])

# %%
# Go on
# -----
# Stopped by Ctrl+C, by a power cut, or because it was done: ``--resume`` continues the run as if
# nothing had been.  A larger total makes it longer.

status = train(f"dcgan --resume {run} --steps 480".split())
assert status == 0

figure, axes = plt.subplots(1, 2, figsize=(9, 4.6), layout="constrained")
for axis, step in zip(axes, (60, 480), strict=True):
    axis.imshow(plt.imread(run / "samples" / f"step-{step:06d}.png"))
    axis.set_title(f"step {step}")
    axis.set_axis_off()

figure.suptitle("The same noise, early and late")
plt.show()

# %%
# Use it
# ------

out = folder.parent / "faces.png"
status = generate(f"{run} --out {out} --count 40 --columns 10 --seed 3 --backend numpy".split())
assert status == 0

figure, axis = plt.subplots(figsize=(9, 3.8), layout="constrained")
axis.imshow(plt.imread(out))
axis.set_title("Generated from a small folder, after a moment of training")
axis.set_axis_off()
plt.show()

# %%
# In your own code, a checkpoint is four lines away:

from tinygan.models import dcgan  # noqa: E402
from tinygan.runs.checkpoint import load_network  # noqa: E402
from tinygan.runs.load import open_run  # noqa: E402

opened = open_run(run, "dcgan")
options, checkpoint = opened.options, opened.checkpoint.path
G = dcgan.generator(32, noise_size=32, width=8, activation="leaky_relu")
load_network(checkpoint, G, "G")
pictures = G.predict(dcgan.draw_noise(4, 32, rng))
print(checkpoint.name, pictures.shape)
assert np.isfinite(pictures).all()

# %%
# How many pictures, how long?
# ----------------------------
# A few hundred pictures are few: the discriminator can learn them by heart, and then the generator
# is pulled towards copies.  Mirror them (``--flip`` is on for the CycleGAN; in Python,
# ``Prefetcher(flip=True)``), watch the nearest neighbours as in :doc:`tutorial 9 <09_dcgan>`, and
# see :doc:`how to read losses <../losses>` for when to stop.
#
# Remember
# --------
# * Look at what the network will see before it has spent a night on it.
# * A run folder holds all that is needed to continue, to repeat and to use a run.
# * A few hundred pictures are few: watch the nearest neighbours.
#
# Exercises
# ---------
# **1.**  Move the folder away and resume.  What does the run say, and how do you tell it where the
# pictures are now?
#
# .. dropdown:: Hint
#
#    ``--data`` may be given anew with ``--resume``; the run compares the pictures' checksum with
#    the one that it noted.
#
# .. solution::
#
#    The run says that the data are gone; with ``--data`` it compares the checksum and goes on.

elsewhere = folder.rename(folder.parent / "moved")
status = train(f"dcgan --resume {run} --data {elsewhere} --steps 490".split())
assert status == 0

# %%
# **2.**  Run the same command twice with the same ``--seed`` into two folders, and compare the
# samples byte by byte.  Now with ``--threads 1``.
#
# .. dropdown:: Hint
#
#    Slices of the work and the order of their sums depend on sizes only, never on the number of
#    threads.
#
# .. solution::
#
#    The same bytes, with any number of threads.

words = (
    f"dcgan --data {elsewhere} --image-size 16 --width 4 --noise-size 8 --batch-size 8 --steps 6 "
    "--sample-every 6 --no-cache --backend numpy --seed 5 --out"
).split()
sheets = []
for name, more in (("twice-1", []), ("twice-2", ["--threads", "1"])):
    assert train([*words, str(folder.parent / name), *more]) == 0
    sheets.append((folder.parent / name / "samples" / "step-000006.png").read_bytes())

assert sheets[0] == sheets[1]
print("the same samples, byte for byte")

# %%
# **3.**  Make two folders and translate between them.
#
# .. dropdown:: Hint
#
#    ``python -m tinygan.data split A B --out both --test 20 20``, then ``python -m tinygan.train
#    cyclegan --data both``, then ``python -m tinygan.translate``.
#
# .. solution::
#
#    Three commands.  Here with two of the albums, for two steps.

from tinygan.data.__main__ import main as data_command  # noqa: E402

both, made = folder.parent / "both", folder.parent / "translated"
albums = f"{elsewhere / 'album-1'} {elsewhere / 'album-2'}"
assert data_command(f"split {albums} --out {both} --test 5 5".split()) == 0
words = f"cyclegan --data {both} --out {folder.parent / 'cycle'} --image-size 16 --width 4"
words += " --residual-blocks 1 --discriminator-width 4 --steps 2 --no-cache --backend numpy"
assert train(words.split()) == 0
print(sorted(path.name for path in both.iterdir()))

# %%
# Read on
# -------
# * T. Karras and others, *Training Generative Adversarial Networks with Limited Data*, NeurIPS
#   2020, `arXiv:2006.06676 <https://arxiv.org/abs/2006.06676>`__: what to do with few pictures.
# * S. Zhao and others, *Differentiable Augmentation for Data-Efficient GAN Training*, NeurIPS 2020,
#   `arXiv:2006.10738 <https://arxiv.org/abs/2006.10738>`__.
#
# **Next:** :doc:`your own GAN <15_your_own_gan>`.  Before you show pictures of people to anybody,
# read about :doc:`consent, likeness and licences <../responsibly>`.
