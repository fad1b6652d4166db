"""Whole CycleGAN steps, four networks and Adam, against an independent implementation."""

from pathlib import Path

import numpy as np
import pytest

from tinygan import Adam, CycleObjective
from tinygan.models import cyclegan

STORED = Path(__file__).parents[1] / "fixtures" / "cyclegan_step.npz"
NAMES = ("G", "F", "D_X", "D_Y")
# A bias in front of an instance normalisation has a true gradient of zero.  Adam divides what
# rounding makes of it by eps = 1e-8, so its steps are noise, of a size that grows with the rate.
LR = 5e-4


def build(generator_options, discriminator_options):
    networks = [cyclegan.generator(**generator_options) for _ in range(2)]
    networks += [cyclegan.patch_discriminator(**discriminator_options) for _ in range(2)]
    return [network.to(dtype=np.float64) for network in networks]


def take_steps(networks, initial, batches, lambdas):
    """Return the losses of every step; the networks are left with gradients and weights."""
    for network, weights in zip(networks, initial, strict=True):
        for parameter, value in zip(network.parameters(), weights, strict=True):
            parameter.data[...] = value
    G, F, D_X, D_Y = networks
    adams = [
        Adam(parameters, lr=LR, betas=(0.5, 0.999))
        for parameters in (G.parameters() + F.parameters(), D_X.parameters(), D_Y.parameters())
    ]
    names = ("lambda_gan", "lambda_identity", "lambda_cycle")
    objective = CycleObjective(**dict(zip(names, lambdas, strict=True)))
    metrics = [
        cyclegan.train_step(
            *networks, *adams, x.astype(np.float64), y.astype(np.float64), objective=objective
        )
        for x, y in batches
    ]
    return [{name: value for name, value in m.items() if name[:2] == "L_"} for m in metrics]


def compare(networks, losses, expected_losses, expected_gradients, expected_weights):
    assert len(losses) == len(expected_losses)
    for ours, theirs in zip(losses, expected_losses, strict=True):
        assert ours.keys() == theirs.keys()
        for name in theirs:
            assert float(ours[name]) == pytest.approx(float(theirs[name]), rel=1e-8), name
    for name, network, gradients, weights in zip(
        NAMES, networks, expected_gradients, expected_weights, strict=True
    ):
        parameters = network.named_parameters().items()
        for (where, parameter), gradient, weight in zip(
            parameters, gradients, weights, strict=True
        ):
            what = f"{name}.{where}"
            np.testing.assert_allclose(parameter.grad, gradient, rtol=0, atol=1e-8, err_msg=what)
            np.testing.assert_allclose(parameter.data, weight, rtol=0, atol=1e-8, err_msg=what)


def test_two_steps_against_stored_values():
    with np.load(STORED) as file:
        stored = {name: file[name] for name in file.files}

    def lists(kind):
        return [
            [stored[f"{kind}.{name}.{i}"] for i in range(len(network.parameters()))]
            for name, network in zip(NAMES, networks, strict=True)
        ]

    networks = build(
        {"width": 2, "downsamplings": 2, "residual_blocks": 1}, {"width": 2, "layers": 2}
    )
    batches = [(stored[f"x.{i}"], stored[f"y.{i}"]) for i in range(2)]
    losses = take_steps(networks, lists("initial"), batches, (1.0, 5.0, 10.0))
    expected = [
        {name: stored[f"loss.{i}.{name}"] for name in step} for i, step in enumerate(losses)
    ]
    compare(networks, losses, expected, lists("gradient"), lists("weight"))


CASES = {
    "the paper's": (
        {"width": 3, "downsamplings": 2, "residual_blocks": 2},
        {"layers": 2},
        (1, 5, 10),
    ),
    "published D": (
        {"width": 2, "downsamplings": 1, "residual_blocks": 1},
        {"layers": 3},
        (1, 5, 10),
    ),
    "no identity": (
        {"width": 2, "downsamplings": 1, "residual_blocks": 1},
        {"layers": 2},
        (2, 0, 3),
    ),
    "resize": (
        {"width": 2, "downsamplings": 2, "residual_blocks": 1, "upsampling": "resize"},
        {"layers": 1},
        (1, 5, 10),
    ),
    "batch norm": (
        {"width": 2, "downsamplings": 1, "residual_blocks": 1, "norm": "batch"},
        {"layers": 2, "norm": "batch"},
        (1, 5, 10),
    ),
    "three stages": (
        {"width": 2, "downsamplings": 3, "residual_blocks": 1},
        {"layers": 2},
        (1, 5, 10),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_two_steps_against_pytorch(case):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from fixtures import make_cyclegan_step as reference

    generator_options, discriminator_options, lambdas = CASES[case]
    discriminator_options = {"width": 3} | discriminator_options
    networks = build(generator_options, discriminator_options)
    shapes = [[p.shape for p in network.parameters()] for network in networks]
    initial, batches = reference.draw(shapes, (2, 24, 32, 3), seed=1)
    losses = take_steps(networks, initial, batches, lambdas)
    expected = reference.steps(
        initial, batches, generator_options, discriminator_options, lambdas, LR
    )
    if not lambdas[1]:
        for step in expected[0]:
            step["L_identity"] = 0.0  # its passes are saved, so it is not known
    compare(networks, losses, *expected)
