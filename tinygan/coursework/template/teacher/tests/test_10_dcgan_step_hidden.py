"""Exercise 10, hidden: several steps, another label."""

import numpy as np
import pytest

from tinygan import (
    Adam,
    BatchNorm2d,
    Conv2d,
    ConvTranspose2d,
    NonSaturating,
    ReLU,
    Reshape,
    Sequential,
    Tanh,
)
from tinygan.models import dcgan

IMPLEMENTATION = "exercises/dcgan_step.py"


def run(step):
    G = Sequential(
        Reshape(1, 1, 2), ConvTranspose2d(2, 3, 4, rng=0), BatchNorm2d(3),
        ReLU(), ConvTranspose2d(3, 1, 4, 2, 1, rng=1), Tanh(),
    )  # fmt: skip
    D = Sequential(Conv2d(1, 3, 4, 2, 1, rng=2), BatchNorm2d(3), Conv2d(3, 1, 4, rng=3), Reshape())
    adams = Adam(G.parameters(), 0.01), Adam(D.parameters(), 0.01)
    rng = np.random.default_rng(1)
    for _ in range(4):
        x, z = rng.standard_normal((3, 8, 8, 1)), rng.standard_normal((3, 2))
        losses = step(G, D, *adams, x.astype(np.float32), z.astype(np.float32))
    return losses, [p.data for p in G.parameters() + D.parameters()]


@pytest.mark.points(2, visibility="after_published")
def test_several_steps(impl, outputcheck):
    """DCGAN step: four steps with the label 0.7"""
    losses, parameters = run(lambda *a: impl.train_step(*a, real_label=0.7))
    due_losses, due = run(
        lambda *a: dcgan.train_step(*a, objective=NonSaturating(label_smoothing=0.7))
    )
    outputcheck(losses, [due_losses["loss_D"], due_losses["loss_G"]], rtol=1e-3)
    for mine, its in zip(parameters, due):  # noqa: B905
        assert np.abs(mine - its).max() < 1e-3, "the networks drift apart from what is due"
