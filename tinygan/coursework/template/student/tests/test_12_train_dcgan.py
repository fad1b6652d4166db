"""Exercise 12: a DCGAN of your own layers."""

import numpy as np
import pytest

from tinygan import BatchNorm2d, ConvTranspose2d, ReLU, Reshape, Sequential, Tanh
from tinygan.data import faces

IMPLEMENTATION = "exercises/train_dcgan.py"
ALLOWED = ["tinygan.bce_with_logits"]  # of tinygan, besides what every exercise may use


def shapes(impl):
    rng = np.random.default_rng(0)
    G, D = impl.generator(rng), impl.discriminator(rng)
    images, _ = G(impl.noise(rng, 4))
    score, _ = D(images)
    return images, score


@pytest.mark.points(1)
def test_networks(impl):
    """training: the networks' shapes"""
    images, score = impl.run(shapes)
    assert images.shape == (4, 16, 16, 3), f"G makes images of shape {images.shape}"
    assert images.dtype == np.float32, f"G makes {images.dtype}, expected float32"
    assert score.shape == (4,), f"D makes scores of shape {score.shape}, expected (4,)"


def train(impl):
    """Return G's parameters before and after training."""
    before = [p.data.copy() for p in impl.generator(np.random.default_rng(0)).parameters()]
    G, _ = impl.train(steps=120, batch_size=16, report=lambda text: None)
    return before, [p.data for p in G.parameters()]


@pytest.mark.points(3)
@pytest.mark.time_limit(300)
def test_it_learns(impl):
    """training: the images come closer to faces"""
    before, after = (distance(parameters) for parameters in impl.run(train))
    assert after < 0.6 * before, (
        f"the distance between generated and real images (of their mean and spread, pixel by "
        f"pixel) went from {before:.3f} to {after:.3f}: G does not learn"
    )


def distance(parameters):
    G = Sequential(
        Reshape(1, 1, 32), ConvTranspose2d(32, 32, 4), BatchNorm2d(32), ReLU(),
        ConvTranspose2d(32, 16, 4, 2, 1), BatchNorm2d(16), ReLU(),
        ConvTranspose2d(16, 3, 4, 2, 1), Tanh(),
    )  # fmt: skip
    due = [p.shape for p in G.parameters()]
    assert [p.shape for p in parameters] == due, "G has other parameters than the exercise asks for"
    for parameter, value in zip(G.parameters(), parameters):  # noqa: B905
        assert np.isfinite(value).all(), "G's parameters are not finite"
        parameter.data[...] = value
    z = np.random.default_rng(5).uniform(-1, 1, (64, 32)).astype(np.float32)
    fake = G(z)[0]
    real = faces(1024, image_size=16).images / 127.5 - 1
    mean = np.abs(fake.mean(axis=0) - real.mean(axis=0)).mean()
    return float(mean + np.abs(fake.std(axis=0) - real.std(axis=0)).mean())
