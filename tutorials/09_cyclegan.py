r"""
9. A CycleGAN, equation by equation
===================================

**How can two networks learn to translate between two kinds of pictures without one single pair, and
what does the most copied bug of the field do to them?**

:math:`G` turns pictures of domain :math:`X` into domain :math:`Y`, :math:`F` turns them back, and
two discriminators :math:`D_Y` and :math:`D_X` judge what comes out.  Here :math:`X` are drawn
handbags and :math:`Y` drawn backpacks.  No handbag of the training set has its backpack there.  But
as they are drawn, the *true* translation of any bag is known, and can be compared with.
"""

import matplotlib.pyplot as plt
import numpy as np

from tinygan import Adam, check_objective, frozen, l1, mse
from tinygan.data import UnpairedBatches, bags
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
# The generators halve the size twice, pass residual blocks, and double it again.  The
# discriminators score every *patch*, with no sigmoid.


def networks():
    G = cyclegan.generator(width=8, residual_blocks=2, rng=1)
    F = cyclegan.generator(width=8, residual_blocks=2, rng=2)
    D_X = cyclegan.patch_discriminator(width=8, layers=2, rng=3)
    D_Y = cyclegan.patch_discriminator(width=8, layers=2, rng=4)
    return G, F, D_X, D_Y


G, F, D_X, D_Y = networks()
batches = UnpairedBatches(X, Y, batch_size=4, load_size=32, image_size=32, seed=0)
x, y = next(batches)
print("G(x):", G.predict(x).shape, " D_Y(G(x)):", D_Y.predict(G.predict(x)).shape)

# %%
# The generators' loss
# --------------------
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


def generators_learn(G, F, D_X, D_Y, x, y):
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
        same, same_backward = there(b)
        loss_identity, dsame = l1(same, b)  # (4)
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
# and its twin (8), times 0.5.  Discriminators are shown some older pictures among the new ones,
# from a pool of 50, so that they do not forget what they have unmasked.


def train(steps):
    G, F, D_X, D_Y = networks()
    adam_G = Adam(G.parameters() + F.parameters(), lr=1e-3, betas=(0.5, 0.999))
    adam_D = Adam(D_X.parameters() + D_Y.parameters(), lr=1e-3, betas=(0.5, 0.999))
    pool_X, pool_Y = cyclegan.ImagePool(50, seed=0), cyclegan.ImagePool(50, seed=1)
    history = []
    with UnpairedBatches(X, Y, batch_size=4, load_size=32, image_size=32, seed=0) as batches:
        for _ in range(steps):
            x, y = next(batches)
            adam_G.zero_grad()
            losses, fake_x, fake_y = generators_learn(G, F, D_X, D_Y, x, y)
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

translated = to_bytes(G.predict(to_float(test_x)))
back = to_bytes(F.predict(to_float(translated)))
show(
    [test_x, translated, back, test_y],
    ["x", "G(x)", "F(G(x))", "the true\nbackpack"],
    "Handbags that were not trained on",
)

# %%
# That is a beginning: small networks and a moment of training, in which shapes are learnt before
# colours.  ``python -m tinygan.train cyclegan`` goes on from here with the same drawn bags.  A
# number besides the impression: the mean distance of a translation from the true one, and beside it
# that of not translating at all.


def distance(pictures, truth):
    return float(translation_error(pictures, truth).absolute.mean())


print(f"G(x) and the true backpack    {distance(translated, test_y):.3f}")
print(f"x itself and the true backpack {distance(test_x, test_y):.3f}")
print(f"F(G(x)) and x                  {distance(back, test_x):.3f}")
first, last = (np.mean([r["L_cyc"] for r in part]) for part in (history[:20], history[-20:]))
assert last < 0.7 * first

# %%
# The most copied bug
# -------------------
# In many copies of this system the identity loss reads :math:`\|G(x) - x\|_1`, with the picture of
# the *other* domain.  Everything runs, and the loss even falls.  But now :math:`G` is told to leave
# handbags alone, with five times the weight of being told to make backpacks.  Take the generator as
# it is now, and let it go on learning for a while from :math:`D_Y` and an identity loss, once the
# right one and once the bug:

trained, handbags = G.state_dict(), to_float(test_x)
results = {}
for name in ("G(y) - y", "G(x) - x"):
    G.load_state_dict(trained)
    adam = Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
    away = []
    with UnpairedBatches(X, Y, batch_size=4, load_size=32, image_size=32, seed=1) as batches:
        for step in range(80):
            x, y = next(batches)
            adam.zero_grad()
            fake, fake_backward = G(x)
            with frozen(D_Y):
                score, score_backward = D_Y(fake)
            fake_backward(score_backward(mse(score, 1.0)[1]), input_gradient=False)
            picture = y if name == "G(y) - y" else x
            same, same_backward = G(picture)
            same_backward(5.0 * l1(same, picture)[1], input_gradient=False)
            adam.step()
            if step % 10 == 0:
                away.append(np.abs(G.predict(handbags) - handbags).mean())
    results[name] = away, to_bytes(G.predict(handbags))

figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
for name, (away, _) in results.items():
    axis.plot(np.arange(len(away)) * 10, away, label=f"identity loss of {name}")

axis.set(xlabel="further steps", ylabel="mean |G(x) - x|", title="How far G(x) is from x")
axis.legend()
plt.show()
show(
    [test_x, results["G(y) - y"][1], results["G(x) - x"][1]],
    ["x", "G(x), the\nright loss", "G(x), the\nbug"],
    "Handbags, translated after 80 further steps",
)
moved, moved_bug = results["G(y) - y"][0][-1], results["G(x) - x"][0][-1]
print(f"G(x) is {moved:.3f} away from x, with the bug {moved_bug:.3f}")
assert moved_bug < moved

# %%
# Look at the last row: the handles come back.  So test an identity loss on what it should do, not
# on whether it falls: it must not depend on
# :math:`x` through :math:`G` at all.
#
# Exercises
# ---------
# **1.**  Set the 10 of the cycle loss to 0.  What does :math:`G` answer to different handbags?
#
# .. dropdown:: Hint
#
#    Nothing ties G(x) to x any more, except the identity loss.  Compare the mean difference between
#    two translations with that between two true backpacks.
#
# **2.**  Why does ``fake`` collect *two* gradients before its backward pass is called?
#
# .. dropdown:: Hint
#
#    Walk ``fake_backward`` twice instead, and read the error.  Two sums of products through the
#    same generator would give the same result at twice the cost.
#
# **3.**  Which losses could fall to zero, which cannot, and what would it mean if ``L_D`` did?
#
# .. dropdown:: Hint
#
#    With scores of ½ everywhere, what are ``L_GAN`` and ``L_D``?  See :doc:`how to read losses
#    <../losses>`.
