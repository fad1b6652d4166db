"""Exercise 10: one step of a DCGAN."""

import numpy as np
import pytest

from tinygan import Adam, BatchNorm2d, Conv2d, ConvTranspose2d, LeakyReLU, Reshape, Sequential, Tanh
from tinygan.models import dcgan

IMPLEMENTATION = "exercises/dcgan_step.py"


def networks():
    G = Sequential(
        Reshape(1, 1, 3), ConvTranspose2d(3, 4, 4, rng=0), BatchNorm2d(4),
        LeakyReLU(), ConvTranspose2d(4, 1, 4, 2, 1, rng=1), Tanh(),
    )  # fmt: skip
    D = Sequential(Conv2d(1, 4, 4, 2, 1, rng=2), LeakyReLU(), Conv2d(4, 1, 4, rng=3), Reshape())
    return G, D


def run(step, steps=1):
    G, D = networks()
    adams = Adam(G.parameters(), 0.01), Adam(D.parameters(), 0.01)
    rng = np.random.default_rng(4)
    for _ in range(steps):
        x, z = rng.standard_normal((4, 8, 8, 1)), rng.standard_normal((4, 3))
        losses = step(G, D, *adams, x.astype(np.float32), z.astype(np.float32))
    return losses, G.state_dict(), D.state_dict()


def compare(mine, due, network):
    for name in due:
        if "running" in name:
            continue
        difference = float(np.abs(mine[name] - due[name]).max())
        assert difference < 1e-5, (
            f"{network}'s {name} is not what it should be after the step: off by {difference:.2g}"
        )


def reference(G, D, adam_G, adam_D, x, z):
    losses = dcgan.train_step(G, D, adam_G, adam_D, x, z)
    return losses["loss_D"], losses["loss_G"]


@pytest.mark.points(3)
def test_the_discriminator_learns(impl):
    """DCGAN step: D after the step"""
    (loss, _), _, D = run(impl.train_step)
    (due, _), _, D_due = run(reference)
    assert abs(float(loss) - float(due)) < 1e-5, f"loss_D is {loss:.6g}, expected {due:.6g}"
    compare(D, D_due, "D")


@pytest.mark.points(3)
def test_the_generator_learns(impl):
    """DCGAN step: G after the step"""
    (_, loss), G, _ = run(impl.train_step)
    (_, due), G_due, _ = run(reference)
    assert abs(float(loss) - float(due)) < 1e-5, f"loss_G is {loss:.6g}, expected {due:.6g}"
    compare(G, G_due, "G")
