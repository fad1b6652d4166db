"""Exercise 12: a DCGAN of your own layers."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/train_dcgan.py"


@pytest.mark.points(1)
def test_networks(impl):
    """training: the networks' shapes"""
    rng = np.random.default_rng(0)
    G, D = impl.generator(rng), impl.discriminator(rng)
    pictures, _ = G(impl.noise(rng, 4))
    assert pictures.shape == (4, 16, 16, 3), f"G makes pictures of shape {pictures.shape}"
    assert pictures.dtype == np.float32, f"G makes {pictures.dtype}, expected float32"
    score, _ = D(pictures)
    assert score.shape == (4,), f"D makes scores of shape {score.shape}, expected (4,)"


@pytest.mark.points(3)
@pytest.mark.time_limit(300)
def test_it_learns(impl):
    """training: the pictures come closer to faces"""
    rng = np.random.default_rng(5)
    z = impl.noise(rng, 64)
    G, pictures = impl.train(steps=120, batch_size=16, report=lambda text: None)
    before = distance(impl.generator(np.random.default_rng(0))(z)[0], pictures)
    after = distance(G(z)[0], pictures)
    assert after < 0.6 * before, (
        f"the distance between generated and real pictures (of their mean and spread, pixel by "
        f"pixel) went from {before:.3f} to {after:.3f}: G does not learn"
    )


def distance(fake, real):
    assert np.isfinite(fake).all(), "the generated pictures are not finite"
    mean = np.abs(fake.mean(axis=0) - real.mean(axis=0)).mean()
    return float(mean + np.abs(fake.std(axis=0) - real.std(axis=0)).mean())
