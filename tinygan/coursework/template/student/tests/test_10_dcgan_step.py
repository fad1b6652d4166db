"""Exercise 10: one step of a DCGAN."""

import types

import numpy as np
import pytest

from tinygan import bce_with_logits

IMPLEMENTATION = "exercises/dcgan_step.py"
ALLOWED = ["tinygan.bce_with_logits"]  # of tinygan, besides what every exercise may use


def driver(impl):
    """Take one step from fixed networks; return the losses and every parameter after it."""
    from tinygan import (
        Adam,
        BatchNorm2d,
        Conv2d,
        ConvTranspose2d,
        LeakyReLU,
        Reshape,
        Sequential,
        Tanh,
    )

    G = Sequential(
        Reshape(1, 1, 3), ConvTranspose2d(3, 4, 4, rng=0), BatchNorm2d(4),
        LeakyReLU(), ConvTranspose2d(4, 1, 4, 2, 1, rng=1), Tanh(),
    )  # fmt: skip
    D = Sequential(Conv2d(1, 4, 4, 2, 1, rng=2), LeakyReLU(), Conv2d(4, 1, 4, rng=3), Reshape())
    adams = Adam(G.parameters(), 0.01), Adam(D.parameters(), 0.01)
    rng = np.random.default_rng(4)
    x, z = rng.standard_normal((4, 8, 8, 1)), rng.standard_normal((4, 3))
    losses = impl.train_step(G, D, *adams, x.astype(np.float32), z.astype(np.float32))
    state = [{n: p.data for n, p in net.named_parameters().items()} for net in (D, G)]
    return [float(loss) for loss in losses], *state


def reference(G, D, adam_G, adam_D, x, z):
    fake, fake_backward = G(z)
    adam_D.zero_grad()
    loss_D = 0.0
    for images, target in ((x, 0.9), (fake, 0.0)):
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


def compare(impl, which, network):
    mine = impl.run(driver)
    due = driver(types.SimpleNamespace(train_step=reference))
    loss, right = mine[0][which], due[0][which]
    assert abs(loss - right) < 1e-5, f"loss_{network} is {loss:.6g}, expected {right:.6g}"
    for name, value in due[1 + which].items():
        difference = float(np.abs(mine[1 + which][name] - value).max())
        assert difference < 1e-5, (
            f"{network}'s {name} is not what it should be after the step: off by {difference:.2g}"
        )


@pytest.mark.points(3)
def test_the_discriminator_learns(impl):
    """DCGAN step: D after the step"""
    compare(impl, 0, "D")


@pytest.mark.points(3)
def test_the_generator_learns(impl):
    """DCGAN step: G after the step"""
    compare(impl, 1, "G")
