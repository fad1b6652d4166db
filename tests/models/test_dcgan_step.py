"""Whole DCGAN steps, both networks and Adam, against an independent implementation."""

from pathlib import Path

import numpy as np
import pytest

from tinygan import Adam
from tinygan.models import dcgan
from tinygan.objectives import OBJECTIVES

STORED = Path(__file__).parents[1] / "fixtures" / "dcgan_step.npz"
LR = 2e-3


def build(noise_size, width, activation="relu"):
    G = dcgan.generator(16, noise_size=noise_size, width=width, activation=activation)
    D = dcgan.discriminator(16, width=width)
    return [network.to(dtype=np.float64) for network in (G, D)]


def take_steps(networks, initial, batches, **options):
    """Return the losses of every step; the networks are left with gradients and weights."""
    for network, weights in zip(networks, initial, strict=True):
        for parameter, value in zip(network.parameters(), weights, strict=True):
            parameter.data[...] = value
    adams = [Adam(network.parameters(), lr=LR, betas=(0.5, 0.999)) for network in networks]
    return [
        dcgan.train_step(*networks, *adams, x.astype(np.float64), z.astype(np.float64), **options)
        for x, z in batches
    ]


def compare(networks, losses, expected_losses, *expected):
    assert len(losses) == len(expected_losses)
    for ours, theirs in zip(losses, expected_losses, strict=True):
        assert ours.keys() == theirs.keys()
        for name in theirs:
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-8), name
    for name, network, gradients, weights, buffers in zip("GD", networks, *expected, strict=True):
        kinds = zip(_state(network), (gradients, weights, buffers), strict=True)
        for (kind, got), wanted in kinds:
            assert len(got) == len(wanted)
            for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
                what = f"{name}: {kind} {i}"
                np.testing.assert_allclose(a, b, rtol=0, atol=1e-8, err_msg=what)


def _state(network):
    parameters = network.parameters()
    yield "gradient", [parameter.grad for parameter in parameters]
    yield "weight", [parameter.data for parameter in parameters]
    yield "buffer", list(network.buffers().values())


def test_two_steps_against_stored_values():
    with np.load(STORED) as file:
        stored = {name: file[name] for name in file.files}

    def lists(kind):
        return [
            [
                stored[f"{kind}.{name}.{i}"]
                for i in range(sum(key.startswith(f"{kind}.{name}.") for key in stored))
            ]
            for name in "GD"
        ]

    networks = build(noise_size=5, width=3)
    batches = [(stored[f"x.{i}"], stored[f"z.{i}"]) for i in range(2)]
    losses = take_steps(networks, lists("initial"), batches)
    expected = [
        {name: stored[f"loss.{i}.{name}"] for name in step} for i, step in enumerate(losses)
    ]
    compare(networks, losses, expected, lists("gradient"), lists("weight"), lists("buffer"))


@pytest.mark.parametrize("generator_loss", ["non_saturating", "minimax"])
@pytest.mark.parametrize("activation", ["relu", "leaky_relu"])
@pytest.mark.parametrize("label_smoothing", [0.9, 1.0])
def test_two_steps_against_pytorch(generator_loss, activation, label_smoothing):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from fixtures import make_dcgan_step as reference

    noise_size, width = 7, 4
    networks = build(noise_size, width, activation)
    shapes = [[p.shape for p in network.parameters()] for network in networks]
    initial, batches = reference.draw(shapes, 4, noise_size, seed=1)
    options = {"generator_loss": generator_loss, "label_smoothing": label_smoothing}
    objective = OBJECTIVES[generator_loss](label_smoothing)
    losses = take_steps(networks, initial, batches, objective=objective)
    options["activation"] = activation
    compare(networks, losses, *reference.steps(initial, batches, noise_size, width, options, LR))
