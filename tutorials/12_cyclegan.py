r"""
12. A CycleGAN, equation by equation
====================================

**How can two networks learn to translate between two kinds of pictures without one single pair, and
what does the most copied bug of the field do to them?**

:You need: :doc:`a DCGAN <09_dcgan>` and :doc:`losses <07_losses>`.
:Afterwards: you can write a CycleGAN's objective with all its gradients, count a receptive field,
   and test for the field's most copied bug.
:Time: 45 minutes; the page trains for about 40 seconds.

:math:`G` turns pictures of domain :math:`X` into domain :math:`Y`, :math:`F` turns them back, and
two discriminators :math:`D_Y` and :math:`D_X` judge what comes out.  Here :math:`X` are drawn
handbags and :math:`Y` drawn backpacks.  No handbag of the training set has its backpack there.  But
as they are drawn, the *true* translation of any bag is known, and can be compared with.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import (
    Adam,
    Conv2d,
    ReLU,
    Residual,
    Sequential,
    check_gradients,
    check_objective,
    frozen,
    l1,
    load,
    mse,
)
from tinygan.data import UnpairedPrefetcher, bags
from tinygan.metrics import translation_error
from tinygan.models import cyclegan

# %%
# Two domains
# -----------

X = bags(400, 32, seed=0, domain="handbag").images
Y = bags(400, 32, seed=0, domain="backpack", start=400).images  # other bags
test_x, test_y = (
    bags(64, 32, seed=0, domain=domain, start=2000).images for domain in ("handbag", "backpack")
)


def to_float(pictures):
    return pictures.astype(np.float32) / 127.5 - 1


def to_bytes(pictures):
    return np.clip(pictures * 127.5 + 127.5, 0, 255).astype(np.uint8)


def show(rows, names, title):
    size = (9, 0.4 + 0.85 * len(rows))
    figure, axes = plt.subplots(len(rows), 1, figsize=size, layout="constrained")
    for axis, row, name in zip(axes, rows, names, strict=True):
        axis.imshow(np.concatenate(list(row[:10]), axis=1))
        axis.set_ylabel(name, rotation=0, ha="right", va="center")
        axis.set(xticks=[], yticks=[])
    figure.suptitle(title)
    plt.show()


show([X, Y], ["X", "Y"], "Handbags and backpacks, not paired")

# %%
# The networks
# ------------
# A generator starts from a picture and not from noise.  It halves the size twice, passes *residual
# blocks*, and doubles the size again.  A residual block adds what two convolutions make of its
# input to that input, :math:`y = x + f(x)`: with small weights it passes the picture through
# unchanged, which is where a translation should begin, and its gradient, :math:`dx = dy + f'(x)^T
# dy`, has a direct way past the block.

block = Residual(Conv2d(4, 4, 3, padding=1, rng=0), ReLU(), Conv2d(4, 4, 3, padding=1, rng=1))
h = np.random.default_rng(0).standard_normal((1, 6, 6, 4)).astype(np.float32)
dh = np.random.default_rng(1).standard_normal(h.shape).astype(np.float32)
out, block_backward = block(h)
print(f"a new block changes its input by {np.abs(out - h).max():.4f} at most", end=", ")
print(f"the gradient by {np.abs(block_backward(dh) - dh).max():.4f}")
assert np.abs(out - h).max() < 0.1
assert check_gradients(block, h).ok

# %%
# The discriminators score every *patch*, with no sigmoid.  How large is a patch?  One output looks
# at a window of the last convolution, each of whose numbers looks at a window of the one before:
# going back through a layer of kernel :math:`k` and stride :math:`s`, a window of :math:`r` pixels
# becomes :math:`s\,(r - 1) + k`.  Count it, and then ask the gradient which pixels one score
# depends on:

layers = [(4, 2), (4, 2), (4, 1), (4, 1)]  # the second paper's four: kernel and stride
field = 1
for kernel, stride in reversed(layers):
    field = stride * (field - 1) + kernel

judge = Sequential(  # without normalisation, which looks at the whole picture
    *(Conv2d(3 if k == 0 else 4, 4, kernel, stride, 1) for k, (kernel, stride) in enumerate(layers))
)
score, judge_backward = judge(np.ones((1, 96, 96, 3), np.float32))
dscore = np.zeros_like(score)
dscore[0, 11, 11, 0] = 1  # one score in the middle
seen = np.abs(judge_backward(dscore)[0]).sum(axis=-1)
print("receptive field: counted", field, " by the gradient", int((seen.sum(axis=0) > 0).sum()))
assert (seen.sum(axis=0) > 0).sum() == field == 34

# %%
# So a score judges style, texture and parts, from 34 by 34 pixels, never the picture as a whole.


def networks():
    G = cyclegan.generator(width=8, residual_blocks=2, rng=1)
    F = cyclegan.generator(width=8, residual_blocks=2, rng=2)
    D_X = cyclegan.patch_discriminator(width=8, layers=2, rng=3)
    D_Y = cyclegan.patch_discriminator(width=8, layers=2, rng=4)
    return G, F, D_X, D_Y


G, F, D_X, D_Y = networks()
batches = UnpairedPrefetcher(X, Y, batch_size=4, load_size=32, image_size=32, seed=0)
x, y = next(batches)
print("G(x):", G.predict(x).shape, " D_Y(G(x)):", D_Y.predict(G.predict(x)).shape)

# %%
# These are an eighth as wide as the papers', for 32 pixels.  For 128, with the shape behind each
# convolution:
#
# .. plot:: figures/cyclegan.py
#    :alt: The generators: 128×128×3 becomes 128×128×64, 64×64×128 and 32×32×256, passes six
#       residual blocks of that size and becomes 64×64×128, 128×128×64 and 128×128×3 again.  The
#       discriminators: 64×64×64, 32×32×128, 31×31×256, then 30×30 scores.
#    :class: no-scaled-link
#
# The generators' loss
# --------------------
# .. plot:: figures/cycle.py
#    :alt: G turns x into G(x), which D_Y compares with real y; F turns it back, and the result
#       should be x.  G(y) should be y.
#    :class: no-scaled-link
#
# Three wishes.  What :math:`G` makes should pass for real, and so should what :math:`F` makes:
#
# .. math::
#     \mathcal{L}_{GAN} = \mathbb{E}_x \big(1 - D_Y(G(x))\big)^2
#     + \mathbb{E}_y \big(1 - D_X(F(y))\big)^2 . \tag{2}
#
# There and back again should lead to where one was, or :math:`G` could answer every handbag with
# the same fine backpack:
#
# .. math::
#     \mathcal{L}_{cyc} = \mathbb{E}_x \|F(G(x)) - x\|_1 + \mathbb{E}_y \|G(F(y)) - y\|_1 . \tag{5}
#
# And a picture that is in the target domain already should be left alone, which keeps colours as
# they are:
#
# .. math::
#     \mathcal{L}_{identity} = \mathbb{E}_y \|G(y) - y\|_1 + \mathbb{E}_x \|F(x) - x\|_1 . \tag{4}
#
# Look closely: it is :math:`G(y)`, the picture of the domain that :math:`G` translates *into*.  The
# sum has the second paper's weights, :math:`\lambda_1 = 1`, :math:`\lambda_2 = 5`,
# :math:`\lambda_3 = 10`:
#
# .. math::
#     \mathcal{L}_G = \lambda_1 \mathcal{L}_{GAN} + \lambda_2 \mathcal{L}_{identity}
#     + \lambda_3 \mathcal{L}_{cyc} . \tag{6}
#
# Now in code.  The two directions are the same with the letters exchanged.  Each generator is
# called three times, and each call owns its backward pass.  ``fake`` is used twice, by the
# discriminator and on the way home, so its gradient is the sum of both.


def generators_learn(G, F, D_X, D_Y, x, y, bug=False):
    """Gather the gradient of L_G in G and F; return the losses, F(y) and G(x)."""
    losses, fakes = {"L_GAN": 0.0, "L_identity": 0.0, "L_cyc": 0.0}, []
    for there, home, D, a, b in ((F, G, D_X, y, x), (G, F, D_Y, x, y)):
        fake, fake_backward = there(a)
        with frozen(D):  # its gradient flows, its weights stay
            score, score_backward = D(fake)
        loss_gan, dscore = mse(score, 1.0)  # (2)
        again, again_backward = home(fake)
        loss_cyc, dagain = l1(again, a)  # (5)
        dfake = score_backward(1.0 * dscore) + again_backward(10.0 * dagain)
        fake_backward(dfake, input_gradient=False)
        picture = a if bug else b  # the bug is for later
        same, same_backward = there(picture)
        loss_identity, dsame = l1(same, picture)  # (4)
        same_backward(5.0 * dsame, input_gradient=False)
        losses["L_GAN"] += float(loss_gan)
        losses["L_identity"] += float(loss_identity)
        losses["L_cyc"] += float(loss_cyc)
        fakes.append(fake)
    return losses, *fakes


# %%
# ``cyclegan.generator_objective`` is these lines, and gathers the same gradients:

losses, fake_x, fake_y = generators_learn(G, F, D_X, D_Y, x, y)
mine = [parameter.grad.copy() for parameter in G.parameters()]
G.zero_grad()
F.zero_grad()
theirs, _, _ = cyclegan.generator_objective(G, F, D_X, D_Y, x, y)
for gradient, parameter in zip(mine, G.parameters(), strict=True):
    assert np.allclose(gradient, parameter.grad, atol=1e-5)

print({name: round(value, 4) for name, value in losses.items()})
print({name: round(float(theirs[name]), 4) for name in losses})

# %%
# Is it right, with four paths through two generators?  Move *all* parameters of both along a random
# direction at once, and compare with the difference.  The step is tiny because :math:`|\cdot|` and
# ReLU have kinks, and among thousands of them a longer step crosses some:

small = [
    cyclegan.generator(width=4, residual_blocks=1, rng=1).to(dtype="float64"),
    cyclegan.generator(width=4, residual_blocks=1, rng=2).to(dtype="float64"),
    cyclegan.patch_discriminator(width=4, layers=2, rng=3).to(dtype="float64"),
    cyclegan.patch_discriminator(width=4, layers=2, rng=4).to(dtype="float64"),
]
pair = np.random.default_rng(0).uniform(-1, 1, (2, 1, 16, 16, 3))


def objective():
    losses, _, _ = generators_learn(*small, *pair)
    return losses["L_GAN"] + 5 * losses["L_identity"] + 10 * losses["L_cyc"]


report = check_objective(objective, small[:2], directions=2, step=1e-8)
print(report)
assert report.ok

# %%
# Training
# --------
# In each step of Algorithm 1 the generators learn from :math:`\mathcal{L}_G`, then each
# discriminator from
#
# .. math::
#     \mathcal{L}_{D_X} = \mathbb{E}_x (1 - D_X(x))^2 + \mathbb{E}_y D_X(F(y))^2 \tag{7}
#
# and its twin (8), times 0.5.  Discriminators are shown some older pictures among the new ones, so
# that they do not forget what they have unmasked: an *image pool* keeps 50 generated pictures; once
# it is full, each new one is swapped for a random old one, or passed on, with equal chances.

pool = cyclegan.ImagePool(50, seed=0)
ages = []
for k in range(400):
    shown = pool(np.full((1, 2, 2, 3), k, np.float32))
    ages.append(k - shown[0, 0, 0, 0])

newest = np.equal(ages[50:], 0).mean()
print(f"shown to D: {newest:.0%} new; mean age of all {np.mean(ages[50:]):.0f} steps")
assert 0.4 < newest < 0.6

# %%
# One step, and a loop around it:


def train(steps, bug=False):
    G, F, D_X, D_Y = networks()
    adam_G = Adam(G.parameters() + F.parameters(), lr=1e-3, betas=(0.5, 0.999))
    adam_D = Adam(D_X.parameters() + D_Y.parameters(), lr=1e-3, betas=(0.5, 0.999))
    pool_X, pool_Y = cyclegan.ImagePool(50, seed=0), cyclegan.ImagePool(50, seed=1)
    history = []
    with UnpairedPrefetcher(X, Y, batch_size=4, load_size=32, image_size=32, seed=0) as batches:
        for _ in range(steps):
            x, y = next(batches)
            adam_G.zero_grad()
            losses, fake_x, fake_y = generators_learn(G, F, D_X, D_Y, x, y, bug)
            adam_G.step()
            adam_D.zero_grad()
            L_D = cyclegan.discriminator_objective(D_X, x, pool_X(fake_x))
            L_D = L_D + cyclegan.discriminator_objective(D_Y, y, pool_Y(fake_y))
            adam_D.step()
            history.append(losses | {"L_D": float(L_D)})
    return G, F, D_Y, history


G, F, D_Y, history = train(240)

figure, axes = plt.subplots(1, 4, figsize=(9, 2.5), layout="constrained")
for axis, name in zip(axes, ("L_GAN", "L_D", "L_identity", "L_cyc"), strict=True):
    values = np.array([record[name] for record in history]).reshape(-1, 10).mean(axis=1)
    axis.plot(np.arange(len(values)) * 10 + 5, values)
    axis.set(title=name, xlabel="step")

figure.suptitle("Four losses while the translation is learnt")
plt.show()

# %%
# Two of them belong to a game and have no goal; the other two are distances, and fall.  Now look at
# handbags that were not trained on:

translated = to_bytes(G.predict(to_float(test_x)))
back = to_bytes(F.predict(to_float(translated)))
show(
    [test_x, translated, back, test_y],
    ["x", "G(x)", "F(G(x))", "the true\nbackpack"],
    "Handbags that were not trained on",
)

# %%
# Look hard before you are pleased.  The handles are going, shapes and colours are blurred, and
# several different bags have become nearly the same.  A number: the mean distance of a translation
# from the true one, and beside it that of *not translating at all*.


def distance(pictures, truth):
    return float(translation_error(pictures, truth).absolute.mean())


print(f"G(x) and the true backpack    {distance(translated, test_y):.3f}")
print(f"x itself and the true backpack {distance(test_x, test_y):.3f}")
print(f"F(G(x)) and x                  {distance(back, test_x):.3f}")
for name in ("L_identity", "L_cyc"):
    first, last = (np.mean([r[name] for r in part]) for part in (history[:20], history[-20:]))
    assert last < 0.7 * first

assert distance(translated, test_y) > 0.9 * distance(test_x, test_y)

# %%
# Doing nothing is about as near to the truth, or nearer!  After so short a training the networks
# have unlearnt the picture and not yet learnt the translation.  The losses fall all the same.  More
# steps are what is missing; what they bring is shown at the end of this page.
#
# The most copied bug
# -------------------
# In many copies of this system the identity loss reads :math:`\|G(x) - x\|_1`, with the picture of
# the *other* domain.  Everything runs, and the loss even falls.  But now :math:`G` is told to leave
# handbags alone, with five times the weight of being told to make backpacks.  Train once more from
# the same weights on the same batches, with this *one* thing changed:

G_bug, _, _, history_bug = train(240, bug=True)
handbags = to_float(test_x)
translated_bug = to_bytes(G_bug.predict(handbags))

figure, axis = plt.subplots(figsize=(6, 3), layout="constrained")
for name, records in (("G(y) - y", history), ("G(x) - x, the bug", history_bug)):
    values = np.array([record["L_identity"] for record in records]).reshape(-1, 10).mean(axis=1)
    axis.plot(np.arange(len(values)) * 10 + 5, values, label=name)

axis.set(xlabel="step", ylabel="L_identity", title="Both identity losses fall at first")
axis.legend()
plt.show()

# %%
# From such a curve nobody would suspect anything.  The translations, after 240 steps each:

show(
    [test_x, translated, translated_bug, test_y],
    ["x", "G(x), the\nright loss", "G(x), the\nbug", "the true\nbackpack"],
    "Handbags, translated after 240 steps",
)
moved = np.abs(to_float(translated) - handbags).mean()
moved_bug = np.abs(to_float(translated_bug) - handbags).mean()
print(f"G(x) is {moved:.3f} away from x, with the bug {moved_bug:.3f}")
print(f"from the truth: {distance(translated, test_y):.3f}, ", end="")
print(f"with the bug {distance(translated_bug, test_y):.3f}")
late = [np.mean([r["L_identity"] for r in records[-40:]]) for records in (history, history_bug)]
print(f"L_identity over the last 40 steps: {late[0]:.2f}, with the bug {late[1]:.2f}")
assert moved_bug < 0.95 * moved
assert distance(translated_bug, test_y) < 1.1 * distance(translated, test_y)
assert late[1] > 1.2 * late[0]

# %%
# With the bug :math:`G` is told at once to make a backpack of a handbag and to leave it alone: its
# identity loss falls and then stalls, higher than the right one.  Its translations stay nearer to
# the handbags, and so about *as near to the truth*, or nearer, since doing nothing is hard to beat
# early on.  That number does not give the bug away, and its pictures do not look worse.  So test an
# identity loss on what it should do, not on whether it falls: it must not depend on :math:`x`
# through :math:`G` at all.
#
# When it has learnt
# ------------------
# The default command, ``python -m tinygan.train cyclegan``, trains networks twice as wide for 1500
# steps.  A run of it comes with tinygan.  The same bags, none of which it was trained on:

trained = load("demo-bags", backend="numpy")
good = to_bytes(trained.translate(test_x))
show(
    [test_x, translated, good, test_y],
    ["x", "G(x), after\n240 steps", "after\n1500 steps", "the true\nbackpack"],
    "Handbags, translated by a network that was trained for longer",
)
nothing = distance(test_x, test_y)
print(f"from the truth: {distance(good, test_y):.3f}; not translating at all: {nothing:.3f}")
assert distance(good, test_y) < 0.6 * nothing
assert (trained.step, trained.options.width) == (1500, 2 * 8)

# %%
# Handles are gone, straps and pockets are there, stripes and dark bags stay what they were.
# Colours are kept only roughly: teal and purple have become blue.  How it came to that:
#
# .. recorded:: cyclegan
#
# Dye a bag, or paint one, and have this network translate it: :doc:`two networks to touch
# <../networks>`.
#
# Remember
# --------
# * Two generators and a cycle replace the pairs: what goes there must come back.
# * Each generator is called three times before any backward pass; each call owns its own.
# * Doing nothing is a competitor: always print its distance beside yours.
#
# Exercises
# ---------
# **1.**  Does :math:`G` answer different handbags with different backpacks?  Which of the three
# losses asks for that?
#
# .. dropdown:: Hint
#
#    Compare the mean difference between two translations with that between two true backpacks.
#
# .. solution::
#
#    After 240 steps the answers are more alike than true backpacks are.  The cycle loss asks for
#    different ones: from two equal backpacks F could not get two different handbags back.  The
#    other two losses would be content with one backpack for all.

def variety(pictures):
    x = pictures.astype(float)
    return np.abs(x[:-1] - x[1:]).mean()


print(f"two true backpacks differ by {variety(test_y):.1f} of 255", end=", ")
print(f"two translations by {variety(translated):.1f}", end=", ")
print(f"after 1500 steps by {variety(good):.1f}")
assert variety(translated) < variety(test_y)

# %%
# **2.**  Why does ``fake`` collect *two* gradients before its backward pass is called?
#
# .. dropdown:: Hint
#
#    Call ``fake_backward`` twice instead, and read the error.  Two sums of products through the
#    same generator would give the same result at twice the cost.
#
# .. solution::
#
#    A backward pass is linear in what it is given: one pass with the sum is two passes, added.  And
#    the second call of the same one is refused.

one = handbags[:1]
out, backward = G(one)
a, b = np.random.default_rng(2).standard_normal((2, *out.shape)).astype(np.float32)
together = backward(a + b)
apart = G(one)[1](a) + G(one)[1](b)
assert np.allclose(together, apart, atol=1e-4)
try:
    backward(a)
except RuntimeError as error:
    print(error)

# %%
# **3.**  Which losses could fall to zero, which cannot, and what would it mean if ``L_D`` did?
#
# .. dropdown:: Hint
#
#    With scores of ½ everywhere, what are ``L_GAN`` and ``L_D``?  See :doc:`how to read losses
#    <../losses>`.
#
# .. solution::
#
#    ``L_cyc`` and ``L_identity`` could, for a perfect pair of translations.  ``L_GAN`` and ``L_D``
#    cannot both: undecided scores of ½ give ½ and 1.  ``L_D`` = 0 would mean that nothing generated
#    passes.

half = np.full(1, 0.5)
undecided = 2 * float(mse(half, 1.0)[0]), 2 * float(mse(half, 1.0)[0] + mse(half, 0.0)[0])
print("L_GAN and L_D, undecided:", undecided)
assert undecided == (0.5, 1.0)

# %%
# Read on
# -------
# * J.-Y. Zhu and others, *Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
#   Networks*, ICCV 2017, `arXiv:1703.10593 <https://arxiv.org/abs/1703.10593>`__.
# * T. Shen and others, *"Deep Fakes" using Generative Adversarial Networks (GAN)*: the paper that
#   this system follows, :doc:`line by line <../papers>`.
#
# **Next:** :doc:`the latent space <13_latent_space>`.
