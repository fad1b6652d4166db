"""Exercise 10, hidden: several steps, another label."""

import types

import numpy as np
import pytest

from tinygan import bce_with_logits

IMPLEMENTATION = "exercises/dcgan_step.py"
ALLOWED = ["tinygan.bce_with_logits"]  # of tinygan, besides what every exercise may use


def driver(impl, label):
    """Take four steps from fixed networks; return the last losses and every parameter."""
    from tinygan import Adam, BatchNorm2d, Conv2d, ConvTranspose2d, ReLU, Reshape, Sequential, Tanh

    G = Sequential(
        Reshape(1, 1, 2), ConvTranspose2d(2, 3, 4, rng=0), BatchNorm2d(3),
        ReLU(), ConvTranspose2d(3, 1, 4, 2, 1, rng=1), Tanh(),
    )  # fmt: skip
    D = Sequential(Conv2d(1, 3, 4, 2, 1, rng=2), BatchNorm2d(3), Conv2d(3, 1, 4, rng=3), Reshape())
    adams = Adam(G.parameters(), 0.01), Adam(D.parameters(), 0.01)
    rng = np.random.default_rng(1)
    for _ in range(4):
        x = rng.standard_normal((3, 8, 8, 1)).astype(np.float32)
        z = rng.standard_normal((3, 2)).astype(np.float32)
        losses = impl.train_step(G, D, *adams, x, z, real_label=label)
    return [float(loss) for loss in losses], [p.data for p in G.parameters() + D.parameters()]


def reference(G, D, adam_G, adam_D, x, z, real_label):
    fake, fake_backward = G(z)
    adam_D.zero_grad()
    loss_D = 0.0
    for images, target in ((x, real_label), (fake, 0.0)):
        score, backward = D(images)
        loss, dscore = bce_with_logits(score, target)
        backward(dscore)
        loss_D += loss
    adam_D.step()
    adam_G.zero_grad()
    score, backward = D(fake)
    loss_G, dscore = bce_with_logits(score, 1.0)
    fake_backward(backward(dscore))
    adam_G.step()
    return loss_D, loss_G


@pytest.mark.points(2, visibility="after_published")
def test_several_steps(impl, outputcheck):
    """DCGAN step: four steps with the label 0.7"""
    losses, parameters = impl.run(driver, 0.7)
    due_losses, due = driver(types.SimpleNamespace(train_step=reference), 0.7)
    outputcheck(losses, due_losses, rtol=1e-3)
    for mine, its in zip(parameters, due):  # noqa: B905
        assert np.abs(mine - its).max() < 1e-3, "the networks differ from those of the right step"
