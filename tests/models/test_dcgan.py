"""The DCGAN: its networks' sizes, what a step does and to whom."""

from functools import partial

import numpy as np
import pytest

from tinygan import (
    Adam,
    BatchNorm2d,
    GaussianNoise,
    Layer,
    NonSaturating,
    Sequential,
    bce_with_logits,
    check_objective,
    frozen,
    initialize,
    non_saturating,
)
from tinygan.models import cyclegan, dcgan
from tinygan.objectives import OBJECTIVES


def count(network):
    return sum(parameter.size for parameter in network.parameters())


@pytest.fixture
def game():
    G = dcgan.generator(16, noise_size=8, width=4, rng=0)
    D = dcgan.discriminator(16, width=4, rng=1)
    x = np.random.default_rng(2).uniform(-1, 1, (6, 16, 16, 3)).astype(np.float32)
    return G, D, Adam(G.parameters()), Adam(D.parameters()), x, dcgan.draw_noise(6, 8, 3)


def test_published_parameter_counts():
    assert count(dcgan.generator(64, noise_size=100)) == 3_576_704
    assert count(dcgan.generator(64, noise_size=200)) == 4_395_904
    assert count(dcgan.discriminator(64)) == 2_765_568


@pytest.mark.parametrize("size", dcgan.IMAGE_SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_size_goes_through_both_networks(size, channels):
    G = dcgan.generator(size, channels, noise_size=5, width=1, rng=0)
    D = dcgan.discriminator(size, channels, width=1, rng=0)
    pictures, _ = G(dcgan.draw_noise(2, 5, 0))
    assert pictures.shape == (2, size, size, channels)
    assert np.abs(pictures).max() <= 1
    assert D(pictures)[0].shape == (2,)


def test_the_generators_activation_is_an_option():
    G = dcgan.generator(16, activation="relu", width=2)
    assert [repr(G[i]) for i in (3, 6)] == ["ReLU()"] * 2
    G = dcgan.generator(16, width=2, activation="leaky_relu", negative_slope=0.3)
    assert [repr(G[i]) for i in (3, 6)] == ["LeakyReLU(0.3)"] * 2


def norms(network):
    return [layer for layer in network if isinstance(layer, BatchNorm2d)]


def test_initial_values_are_the_papers_and_come_from_the_seed():
    G = dcgan.generator(64, rng=5)
    weights = [p.data for p in G.parameters() if p.data.ndim == 4]
    gammas = np.concatenate(
        [
            p.data
            for n, p in G.named_parameters().items()
            if p.data.ndim == 1 and n.endswith("weight")
        ]
    )
    assert all(abs(w.std() - 0.02) < 0.001 for w in weights)
    assert (abs(gammas.mean() - 1), abs(gammas.std() - 0.02)) < (0.003, 0.002)
    again, other = dcgan.generator(64, rng=5), dcgan.generator(64, rng=6)
    for a, b, c in zip(G.parameters(), again.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)
        assert a.data.ndim == 1 or (a.data != c.data).mean() > 0.9


@pytest.mark.parametrize(
    "make",
    [
        partial(dcgan.generator, 16, noise_size=8, width=4),
        partial(dcgan.discriminator, 16, width=4),
        partial(cyclegan.generator, width=4, residual_blocks=1, norm="batch"),
        partial(cyclegan.patch_discriminator, width=4, norm="batch"),
    ],
    ids=["G", "D", "translator", "patches"],
)
def test_networks_start_as_initialize_would_set_them(make):
    network = initialize(make(rng=1), rng=0)
    for name, array in make(rng=0).state_dict().items():
        np.testing.assert_array_equal(network.state_dict()[name], array, err_msg=name)


def test_noise_is_uniform_by_default():
    z = dcgan.draw_noise(1000, 200, 0)
    assert z.dtype == np.float32
    assert -1 <= z.min() < -0.999 < 0.999 < z.max() <= 1
    assert abs(z.var() - 1 / 3) < 0.01
    assert abs(dcgan.draw_noise(1000, 200, 0, "normal").var() - 1) < 0.02


def test_a_step_is_the_papers_two_updates(game):
    """The step against the same mathematics written out with separate calls."""
    G, D, adam_G, adam_D, x, z = game
    states = G.state_dict(), D.state_dict()
    losses = dcgan.train_step(G, D, adam_G, adam_D, x, z, objective=NonSaturating(0.9))
    after = G.state_dict(), D.state_dict()

    G.load_state_dict(states[0]), D.load_state_dict(states[1])
    adam_G, adam_D = Adam(G.parameters()), Adam(D.parameters())
    D.zero_grad()
    fake, _ = G(z)
    real_score, back = D(x)
    loss_real, dscore = bce_with_logits(real_score, 0.9)
    back(dscore)
    fake_score, back = D(fake)
    loss_fake, dscore = bce_with_logits(fake_score, 0.0)
    back(dscore)
    adam_D.step()
    G.load_state_dict(states[0])  # a second forward pass must not move its statistics twice
    G.zero_grad()
    fake, fake_back = G(z)
    score, back = D(fake)
    loss_G, dscore = non_saturating(score)
    fake_back(back(dscore))
    adam_G.step()
    for expected, network in zip(after, (G, D), strict=True):
        for name, array in network.state_dict().items():
            np.testing.assert_allclose(array, expected[name], rtol=1e-5, atol=1e-7, err_msg=name)
    assert float(losses["loss_D"]) == pytest.approx(float(loss_real + loss_fake))
    assert float(losses["loss_G"]) == pytest.approx(float(loss_G))
    assert float(losses["D_real"]) == pytest.approx(
        (1 / (1 + np.exp(-real_score))).mean(), rel=1e-5
    )


def test_the_generators_half_leaves_the_discriminators_gradients_alone(game):
    G, D, adam_G, adam_D, x, z = game
    dcgan.train_step(G, D, adam_G, adam_D, x, z)
    before = [p.grad.copy() for p in D.parameters()]
    fake, fake_backward = G(z)
    with frozen(D):
        score, score_backward = D(fake)
    fake_backward(score_backward(non_saturating(score)[1]))
    for gradient, parameter in zip(before, D.parameters(), strict=True):
        np.testing.assert_array_equal(gradient, parameter.grad)


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_both_objectives_gradients_over_all_parameters(kind):
    objective = OBJECTIVES[kind]()
    G = dcgan.generator(16, noise_size=6, width=3, rng=0).to(dtype="float64")
    D = dcgan.discriminator(16, width=3, rng=1).to(dtype="float64")
    for network in (G, D):  # away from the tiny initial weights, where scores hardly move
        for parameter in network.parameters():
            parameter.data *= 5 if parameter.data.ndim == 4 else 1
    x = np.random.default_rng(2).uniform(-1, 1, (4, 16, 16, 3))
    z = dcgan.draw_noise(4, 6, 3).astype(np.float64)

    def objective_G():
        fake, fake_backward = G(z)
        with frozen(D):
            score, score_backward = D(fake)
        loss, dscore = objective.generator(score)
        fake_backward(score_backward(dscore))
        return loss

    def objective_D():
        total = 0.0
        for images, real in ((x, True), (G.predict(z), False)):
            score, score_backward = D(images)
            loss, dscore = objective.discriminator(score, real)
            score_backward(dscore, input_gradient=False)
            total = total + loss
        return total

    check_objective(objective_G, [G])
    check_objective(objective_D, [D])


class Darker(Layer):
    """An augmentation that is no identity on the way back."""

    def __init__(self):
        self.calls, self.backward_calls = [], 0

    def forward(self, x):
        self.calls.append(x)
        return 0.5 * x, None

    def backward(self, dy, cache):
        self.backward_calls += 1
        return 0.5 * dy


def test_all_that_the_discriminator_sees_is_augmented(game):
    """It is as if the augmentation stood in front of D, and the fake passes through it once."""
    G, D, opt_G, opt_D, x, z = game
    G2, D2 = dcgan.generator(16, noise_size=8, width=4), dcgan.discriminator(16, width=4)
    G2.load_state_dict(G.state_dict()), D2.load_state_dict(D.state_dict())
    augment = Darker()
    found = dcgan.train_step(G, D, opt_G, opt_D, x, z, augment=augment)
    assert [images.shape for images in augment.calls] == [x.shape] * 2
    assert augment.calls[0] is x
    assert augment.backward_calls == 1
    wrapped = Sequential(Darker(), D2)
    expected = dcgan.train_step(G2, wrapped, Adam(G2.parameters()), Adam(D2.parameters()), x, z)
    assert found == expected
    for a, b in zip(
        G.parameters() + D.parameters(), G2.parameters() + D2.parameters(), strict=True
    ):
        np.testing.assert_array_equal(a.data, b.data)


def test_instance_noise_is_drawn_for_real_pictures_first(game):
    G, D, opt_G, opt_D, x, z = game
    D_state, G_state = D.state_dict(), G.state_dict()
    noise = np.random.default_rng(4).standard_normal((2, *x.shape), np.float32)
    noise *= np.float32(0.3)
    augment = GaussianNoise(0.3, rng=4)
    with_noise = dcgan.train_step(G, D, opt_G, opt_D, x, z, augment=augment)
    D.load_state_dict(D_state), G.load_state_dict(G_state)
    score_real, _ = D(x + noise[0])
    score_fake, _ = D(G(z)[0] + noise[1])
    for name, score in (("D_real", score_real), ("D_fake", score_fake)):
        assert with_noise[name] == NonSaturating().probability(score).mean()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_few_steps_with_each_objective(game, name):
    G, D, opt_G, opt_D, x, z = game
    for _ in range(3):
        losses = dcgan.train_step(G, D, opt_G, opt_D, x, z, objective=OBJECTIVES[name]())
    assert losses["loss_D"] == losses["loss_D_real"] + losses["loss_D_fake"]
    assert all(np.isfinite(loss) and loss.dtype == np.float32 for loss in losses.values())
    assert 0 <= losses["D_real"] <= 1
    assert 0 <= losses["D_fake"] <= 1


def test_a_discriminator_learns_to_tell_two_colours_apart(game):
    G, D, adam_G, adam_D, x, z = game
    adam_D.lr, adam_G.lr = 2e-3, 0.0
    for _ in range(60):
        losses = dcgan.train_step(G, D, adam_G, adam_D, np.full_like(x, 0.9), z)
    assert losses["D_real"] > 0.8
    assert losses["D_fake"] < 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dcgan.generator(48), r"image_size: expected one of \(16, .*256\), got 48"),
        (lambda: dcgan.discriminator(64, 2), r"channels: expected 1 \(grey\) or 3 .*got 2"),
        (lambda: dcgan.generator(activation="elu"), "activation: expected 'relu'.*got 'elu'"),
        (lambda: dcgan.draw_noise(1, 1, 0, "cauchy"), "distribution: expected 'uniform'"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
