"""Exercise 12, hidden: the networks are made of the student's own layers."""

import numpy as np
import pytest

IMPLEMENTATION = "exercises/train_dcgan.py"
ALLOWED = ["tinygan.bce_with_logits"]  # of tinygan, besides what every exercise may use


def describe(impl):
    rng = np.random.default_rng(0)
    networks = impl.generator(rng), impl.discriminator(rng)
    own = [
        type(layer).__name__
        for network in networks
        for _, layer in network.walk()
        if type(layer).__module__ == "my_layers"
    ]
    return own, list(networks[0].parameters()[0].shape)


@pytest.mark.points(2, visibility="after_published")
def test_own_layers(impl):
    """training: the networks are made of your own layers"""
    own, first = impl.run(describe)
    due = {"ConvTranspose2d", "BatchNorm2d", "ReLU", "Tanh", "Conv2d", "LeakyReLU"}
    missing = ", ".join(sorted(due - set(own)))
    assert not missing, f"not from my_layers.py: {missing}"
    assert first == [4, 4, 32, 32], f"G's first weight has shape {tuple(first)}"
