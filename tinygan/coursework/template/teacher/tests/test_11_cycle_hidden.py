"""Exercise 11, hidden: each part alone, and no gradient is lost."""

import types

import numpy as np
import pytest

from tinygan import l1

IMPLEMENTATION = "exercises/cycle.py"
ALLOWED = ["tinygan.l1"]  # of tinygan, besides what every exercise may use


def driver(impl, cycle_weight, identity_weight, channels=2, size=(2, 4, 4)):
    """Return the loss for fixed networks and images, and the gradients of all parameters."""
    from tinygan import Conv2d, Sequential, Tanh

    networks = []
    for seed in (0, 1):
        network = Sequential(Conv2d(channels, channels, 3, padding=1, rng=seed), Tanh())
        network.to(dtype="float64")
        for parameter in network.parameters():
            rng = np.random.default_rng(seed)
            parameter.data += 0.5 * rng.standard_normal(parameter.shape)
        networks.append(network)
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((*size, channels)), rng.standard_normal((*size, channels))
    loss = impl.cycle_and_identity(*networks, x, y, cycle_weight, identity_weight)
    return float(loss), [p.grad for network in networks for p in network.parameters()]


def reference(G, F, x, y, cycle_weight, identity_weight, swapped=False):
    total = 0.0
    for there, back, image in ((G, F, x), (F, G, y)):
        translated, there_backward = there(image)
        again, back_backward = back(translated)
        loss, gradient = l1(again, image)
        there_backward(back_backward(gradient * cycle_weight))
        same, same_backward = (there if swapped else back)(image)
        same_loss, gradient = l1(same, image)
        same_backward(gradient * identity_weight)
        total += cycle_weight * loss + identity_weight * same_loss
    return total


def due(*weights, swapped=False, **sizes):
    step = lambda *given: reference(*given, swapped=swapped)  # noqa: E731
    return driver(types.SimpleNamespace(cycle_and_identity=step), *weights, **sizes)


def compare(found, right):
    names = ["G's weight", "G's bias", "F's weight", "F's bias"]
    for name, mine, its in zip(names, found, right):  # noqa: B905
        off = float(np.abs(mine - its).max() / np.abs(its).max())
        assert off < 1e-5, f"the gradient of {name} is off by {off:.2g} of its size"


@pytest.mark.points(2, visibility="after_published")
def test_parts(impl):
    """cycle and identity: each part alone"""
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        loss, found = impl.run(driver, *weights, 1, [1, 4, 5])
        right, gradients = due(*weights, channels=1, size=(1, 4, 5))
        assert abs(loss - right) < 1e-5, f"with weights {weights} the loss is {loss:.9g}"
        compare(found, gradients)
