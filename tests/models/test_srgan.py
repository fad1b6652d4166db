"""The SRGAN: networks that enlarge, and an objective that is the equations, to the letter."""

import numpy as np
import pytest

from tinygan import Adam, GaussianNoise, check_objective
from tinygan.metrics import RandomFeatures
from tinygan.models import srgan
from tinygan.objectives import OBJECTIVES, LeastSquares


def networks(factor=2, channels=3, std=0.25):
    """G and D, small and in float64, with weights so large that every part matters."""
    G = srgan.generator(factor, channels, width=3, residual_blocks=1, rng=0)
    D = srgan.discriminator(channels, width=3, rng=1)
    rng = np.random.default_rng(2)
    for network in (G, D):
        network.to(dtype=np.float64)
        for parameter in network.parameters():
            parameter.data[...] = std * rng.standard_normal(parameter.shape)
    return G, D


def filters():
    return [stage.to(dtype=np.float64) for stage in RandomFeatures(16, channels=4, seed=1).stages]


def pictures(factor=2, channels=3, size=16, dtype=np.float64):
    y = np.random.default_rng(3).uniform(-1, 1, (2, size, size, channels)).astype(dtype)
    x = srgan.reduce_area(y, factor)
    x.flags.writeable = y.flags.writeable = False
    return x, y


@pytest.mark.parametrize("factor", srgan.FACTORS)
@pytest.mark.parametrize("size", [(1, 1), (4, 7), (9, 5)])
def test_any_size_becomes_as_many_times_as_large(factor, size):
    G = srgan.generator(factor, 1, width=2, residual_blocks=1, rng=0)
    x = np.random.default_rng(0).uniform(-1, 1, (2, *size, 1)).astype(np.float32)
    y, backward = G(x)
    assert y.shape == (2, factor * size[0], factor * size[1], 1)
    assert y.dtype == backward(y).dtype == np.float32
    np.testing.assert_array_equal(G.predict(x), y)


def test_g_begins_as_an_enlargement():
    G = srgan.generator(4, width=8, residual_blocks=2, rng=0)
    x, _ = pictures(4, size=32, dtype=np.float32)
    enlarged = x.repeat(4, axis=1).repeat(4, axis=2)
    assert abs(G.predict(x) - enlarged).max() < 0.05


def test_other_factors_are_refused():
    with pytest.raises(ValueError, match=r"factor: expected one of \(2, 4\), got 3"):
        srgan.generator(3)


def test_a_small_pixel_is_the_mean_of_its_area():
    y = np.random.default_rng(0).uniform(-1, 1, (2, 8, 12, 3))
    x = srgan.reduce_area(y, 4)
    for i, j in np.ndindex(2, 3):
        area = y[:, 4 * i : 4 * i + 4, 4 * j : 4 * j + 4]
        np.testing.assert_allclose(x[:, i, j], area.mean(axis=(1, 2)))
    with pytest.raises(ValueError, match="multiples of 4, got 8 × 10"):
        srgan.reduce_area(y[:, :, :10], 4)


@pytest.mark.parametrize("adversarial", OBJECTIVES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("factor", srgan.FACTORS)
def test_gradient_of_the_generators_objective(factor, channels, adversarial):
    G, D = networks(factor, channels)
    x, y = pictures(factor, channels)
    objective = srgan.SuperObjective(0.7, 0.5, 0.3, OBJECTIVES[adversarial]())
    stages = filters()

    def L_G():
        augment = GaussianNoise(0.1, (1, 2))  # the same noise each time
        losses, _ = srgan.generator_objective(
            G, D, x, y, objective=objective, stages=stages, augment=augment
        )
        return losses["L_G"]

    check_objective(L_G, [G], step=1e-7)
    L_G()
    assert not any(p.grad.any() for layer in (D, *stages) for p in layer.parameters())


def step(G, D, x, y, **options):
    adams = [Adam(network.parameters(), lr=1e-3) for network in (G, D)]
    return srgan.train_step(G, D, *adams, x, y, **options)


def test_every_loss_is_its_equation():
    G, D = networks()
    x, y = pictures()
    stages = filters()
    fake = G.predict(x)
    f, t, features = fake, y, []
    for stage in stages:
        f, t = stage.predict(f), stage.predict(t)
        features.append(((f - t) ** 2).mean())
    score_fake, score_real = (D(images)[0] for images in (fake, y))  # by the batch's statistics
    expected = {
        "L_pixel": ((fake - y) ** 2).mean(),
        "L_features": np.mean(features),
        "L_GAN": np.log1p(np.exp(-score_fake)).mean(),
        "L_D": np.log1p(np.exp(-score_real)).mean() + np.log1p(np.exp(score_fake)).mean(),
        "D_real": (1 / (1 + np.exp(-score_real))).mean(),
        "D_fake": (1 / (1 + np.exp(-score_fake))).mean(),
    }
    expected["L_G"] = 2 * expected["L_pixel"] + 3 * expected["L_features"] + 5 * expected["L_GAN"]
    found = step(G, D, x, y, objective=srgan.SuperObjective(2, 3, 5), stages=stages)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-9), name


def test_both_networks_learn_and_without_a_game_only_g():
    for weight, learning in ((0.1, {"G", "D"}), (0.0, {"G"})):
        G, D = networks()
        before = G.state_dict(), D.state_dict()
        found = step(G, D, *pictures(), objective=srgan.SuperObjective(1, 0, weight))
        changed = {
            name
            for name, network, old in zip("GD", (G, D), before, strict=True)
            for key, array in network.state_dict().items()
            if (array != old[key]).any()
        }
        assert changed == learning
        assert (found["L_D"] == 0) == (weight == 0)


def test_float32_stays_float32():
    G, D = srgan.generator(2, width=3, residual_blocks=1, rng=0), srgan.discriminator(width=3)
    x, y = pictures(dtype=np.float32)
    stages = RandomFeatures(16, channels=4, seed=1).stages
    objective = srgan.SuperObjective(adversarial=LeastSquares())
    found = step(G, D, x, y, objective=objective, stages=stages)
    assert {value.dtype for value in found.values()} == {np.dtype(np.float32)}
    assert {p.grad.dtype for n in (G, D) for p in n.parameters()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("factor", srgan.FACTORS)
def test_the_gradient_against_pytorch(factor):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    f = torch.nn.functional
    G, _ = networks(factor)
    x, y = pictures(factor)
    stages = filters()
    theirs = {
        name: torch.tensor(np.array(p.data), requires_grad=True)
        for name, p in G.named_parameters().items()
    }

    def conv(h, name, stride=1, padding=1):
        w = theirs[f"1.{name}.weight"].permute(3, 2, 0, 1)
        return f.conv2d(h, w, theirs[f"1.{name}.bias"], stride, padding)

    def prelu(h, name):
        return f.prelu(h, theirs[f"1.{name}.weight"])

    u = f.interpolate(torch.tensor(np.array(x)).permute(0, 3, 1, 2), scale_factor=factor)
    first = prelu(conv(u, "0", factor, 0), "1")
    block = first + conv(prelu(conv(first, "2.0.0"), "2.0.1"), "2.0.2")
    h, at = first + conv(block, "2.1"), 3
    for _ in range(factor // 2):
        h = prelu(f.pixel_shuffle(conv(h, str(at)), 2), str(at + 2))
        at += 3
    fake = u + conv(h, str(at))
    true = torch.tensor(np.array(y)).permute(0, 3, 1, 2)
    loss = f.mse_loss(fake, true)
    for stage in stages:
        w, b = (torch.tensor(np.array(p.data)) for p in stage.parameters())
        fake, true = (
            f.leaky_relu(f.conv2d(h, w.permute(3, 2, 0, 1), b, stride=2, padding=1), 0.2)
            for h in (fake, true)
        )
        loss = loss + 0.3 * f.mse_loss(fake, true) / len(stages)
    loss.backward()
    objective = srgan.SuperObjective(1, 0.3, 0)
    found, _ = srgan.generator_objective(G, None, x, y, objective=objective, stages=stages)
    assert float(found["L_G"]) == pytest.approx(float(loss.detach()), rel=1e-10)
    for name, p in G.named_parameters().items():
        np.testing.assert_allclose(p.grad, theirs[name].grad, rtol=0, atol=1e-9, err_msg=name)
