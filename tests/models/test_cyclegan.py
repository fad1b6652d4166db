"""The CycleGAN: its networks, and an objective that is the paper's, to the letter."""

from functools import partial

import numpy as np
import pytest

from tinygan import (
    Adam,
    Conv2d,
    CycleObjective,
    GroupNorm,
    Hinge,
    Layer,
    Minimax,
    NonSaturating,
    PixelShuffle,
    Sequential,
    check_objective,
    l1,
    mse,
)
from tinygan.machine import parallel
from tinygan.models import cyclegan
from tinygan.objectives import OBJECTIVES

TINY = {"width": 4, "downsamplings": 1, "residual_blocks": 1}


def networks(seed=0, dtype=np.float64, std=0.25, d_layers=1, **options):
    """G, F, D_X, D_Y, small, with weights so large that every part of the objective matters."""
    options = TINY | options
    made = [cyclegan.generator(**options, rng=seed + i) for i in range(2)]
    made += [cyclegan.patch_discriminator(width=4, layers=d_layers, rng=seed + i) for i in (2, 3)]
    rng = np.random.default_rng(seed)
    for network in made:
        network.to(dtype=dtype)
        for parameter in network.parameters():
            parameter.data[...] = std * rng.standard_normal(parameter.shape)
    return made


def optimizers(G, F, D_X, D_Y):
    return (
        Adam(G.parameters() + F.parameters(), lr=2e-4, betas=(0.5, 0.999)),
        Adam(D_X.parameters(), lr=2e-4, betas=(0.5, 0.999)),
        Adam(D_Y.parameters(), lr=2e-4, betas=(0.5, 0.999)),
    )


def pictures(size=12, count=1, dtype=np.float64, seed=7):
    rng = np.random.default_rng(seed)
    x, y = (rng.uniform(-1, 1, (count, size, size, 3)).astype(dtype) for _ in range(2))
    x.flags.writeable = y.flags.writeable = False
    return x, y


def count(network):
    return sum(parameter.size for parameter in network.parameters())


# --- networks ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("blocks", "parameters"), [(6, 7_837_699), (9, 11_378_179)])
def test_generator_has_the_published_number_of_parameters(blocks, parameters):
    assert count(cyclegan.generator(residual_blocks=blocks)) == parameters


def test_discriminator_has_the_published_number_of_parameters():
    assert count(cyclegan.patch_discriminator()) == 2_764_737


def test_parameters_stand_where_the_published_files_have_them():
    def places(network):
        return list(dict.fromkeys(name.rsplit(".", 1)[0] for name in network.named_parameters()))

    # model.N and model.N.conv_block.M there
    blocks = [f"{i}.{j}" for i in range(10, 16) for j in (1, 5)]
    assert places(cyclegan.generator(width=1)) == ["1", "4", "7", *blocks, "16", "19", "23"]
    blocks = [f"{i}.{j}" for i in range(10, 19) for j in (1, 6)]
    nine = cyclegan.generator(width=1, residual_blocks=9, dropout=0.5)
    assert places(nine) == ["1", "4", "7", *blocks, "19", "22", "26"]
    assert places(cyclegan.patch_discriminator(width=1)) == ["0", "2", "5", "8", "11"]


def test_norms_and_upsamplings_may_be_ones_own():
    def sub_pixel(wide, half, bias, rng):
        return [Conv2d(wide, 4 * half, 3, padding=1, bias=bias, rng=rng), PixelShuffle(2)]

    norm = partial(GroupNorm, 2)
    G = cyclegan.generator(width=4, residual_blocks=1, norm=norm, upsampling=sub_pixel, rng=0)
    kinds = [type(layer) for layer in G]
    assert kinds.count(PixelShuffle) == 2
    assert kinds.count(GroupNorm) == 5
    assert G.predict(np.zeros((1, 16, 16, 3), np.float32)).shape == (1, 16, 16, 3)
    D = cyclegan.patch_discriminator(width=4, norm=norm, rng=0)
    assert [type(layer) for layer in D].count(GroupNorm) == 3


def test_biases_stand_where_no_norm_brings_its_own():
    batch = set(cyclegan.generator(width=1, norm="batch").named_parameters())
    assert {n for n in batch if n in ("1.weight", "1.bias", "2.weight", "2.bias", "23.bias")} == {
        "1.weight",
        "2.weight",
        "2.bias",
        "23.bias",
    }
    assert "11.bias" in cyclegan.patch_discriminator(width=1, norm="batch").named_parameters()


def test_initial_weights():
    G = cyclegan.generator(rng=0)
    weights = np.concatenate([p.data.ravel() for p in G.parameters() if p.data.ndim > 1])
    assert abs(weights.mean()) < 1e-4
    assert weights.std() == pytest.approx(0.02, rel=1e-2)
    assert all(not p.data.any() for p in G.parameters() if p.data.ndim == 1)
    again = cyclegan.generator(rng=0)
    for a, b in zip(G.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize("upsampling", ["transposed", "resize"])
@pytest.mark.parametrize(("downsamplings", "size"), [(1, (6, 10)), (2, (8, 20)), (3, (16, 24))])
def test_every_size_that_the_stride_divides(upsampling, downsamplings, size):
    G = cyclegan.generator(
        width=2, downsamplings=downsamplings, residual_blocks=1, upsampling=upsampling
    )
    x = np.zeros((2, *size, 3), np.float32)
    y, backward = G(x)
    assert y.shape == x.shape == backward(y).shape
    assert y.dtype == np.float32
    np.testing.assert_array_equal(G.predict(x), y)


@pytest.mark.parametrize(("layers", "scores"), [(2, {128: 30, 64: 14}), (3, {128: 14, 64: 6})])
def test_discriminator_scores_patches(layers, scores):
    D = cyclegan.patch_discriminator(width=2, layers=layers)
    for size, expected in scores.items():
        assert D.predict(np.zeros((1, size, size, 3), np.float32)).shape == (
            1,
            expected,
            expected,
            1,
        )


def test_dropout_is_on_in_training_only():
    G = cyclegan.generator(**TINY, dropout=0.5, rng=0)
    x = np.random.default_rng(0).uniform(-1, 1, (1, 16, 16, 3)).astype(np.float32)
    assert (G(x)[0] != G(x)[0]).any()
    np.testing.assert_array_equal(G.predict(x), G.predict(x))


def test_unknown_options_are_named():
    with pytest.raises(ValueError, match=r"norm: expected one of .*got 'layer'"):
        cyclegan.generator(norm="layer")
    with pytest.raises(ValueError, match=r"upsampling: expected one of .*got 'bilinear'"):
        cyclegan.generator(upsampling="bilinear")
    with pytest.raises(ValueError, match="layers: expected at least 1, got 0"):
        cyclegan.patch_discriminator(layers=0)


# --- the objective ----------------------------------------------------------------------------


def test_identity_loss_compares_G_of_y_with_y_and_F_of_x_with_x():
    G, F, D_X, D_Y = networks()
    x, y = pictures()
    losses, _, _ = cyclegan.generator_objective(G, F, D_X, D_Y, x, y)
    right = abs(G.predict(y) - y).mean() + abs(F.predict(x) - x).mean()
    wrong = abs(G.predict(x) - x).mean() + abs(F.predict(y) - y).mean()
    assert losses["L_identity"] == pytest.approx(right, rel=1e-12)
    assert abs(right - wrong) > 1e-3  # else this test would not see the difference


def test_every_loss_is_the_papers_equation():
    G, F, D_X, D_Y = networks()
    x, y = pictures()
    fake_y, fake_x = G.predict(x), F.predict(y)
    again_x, again_y = F.predict(fake_y), G.predict(fake_x)
    adams = optimizers(G, F, D_X, D_Y)
    expected = {
        "L_GAN": ((1 - D_Y.predict(fake_y)) ** 2).mean()  # (2)
        + ((1 - D_X.predict(fake_x)) ** 2).mean(),
        "L_cyc": abs(again_x - x).mean() + abs(again_y - y).mean(),  # (5)
        "L_identity": abs(G.predict(y) - y).mean() + abs(F.predict(x) - x).mean(),  # (4)
        "L_D_X": ((1 - D_X.predict(x)) ** 2).mean() + (D_X.predict(fake_x) ** 2).mean(),  # (7)
        "L_D_Y": ((1 - D_Y.predict(y)) ** 2).mean() + (D_Y.predict(fake_y) ** 2).mean(),  # (8)
    }
    expected["L_D"] = expected["L_D_X"] + expected["L_D_Y"]  # (3)
    for name, D, images in (
        *(("D_X_real", D_X, x), ("D_X_fake", D_X, fake_x)),
        *(("D_Y_real", D_Y, y), ("D_Y_fake", D_Y, fake_y)),
    ):
        expected[name] = np.clip(D.predict(images), 0, 1).mean()
    expected["L_G"] = (  # (6)
        2.0 * expected["L_GAN"] + 3.0 * expected["L_identity"] + 7.0 * expected["L_cyc"]
    )
    losses = cyclegan.train_step(
        *(G, F, D_X, D_Y, *adams, x, y), objective=CycleObjective(2.0, 3.0, 7.0)
    )
    assert losses.keys() == expected.keys()
    for name, value in losses.items():
        assert value == pytest.approx(expected[name], rel=1e-12), name


@pytest.mark.parametrize(
    "weights",
    [
        {},
        {"lambda_gan": 1.0, "lambda_identity": 0.0, "lambda_cycle": 0.0},
        {"lambda_gan": 0.0, "lambda_identity": 1.0, "lambda_cycle": 0.0},
        {"lambda_gan": 0.0, "lambda_identity": 0.0, "lambda_cycle": 1.0},
        {"adversarial": NonSaturating()},
        {"adversarial": Minimax()},
        {"adversarial": Hinge()},
    ],
    ids=["the paper's", "L_GAN", "L_identity", "L_cyc", "cross-entropy", "minimax", "hinge"],
)
@pytest.mark.parametrize(
    "options",
    [{}, {"upsampling": "resize", "norm": "batch"}, {"downsamplings": 2, "residual_blocks": 2}],
    ids=["instance", "batch, resize", "deeper"],
)
def test_gradient_of_the_generator_objective(options, weights):
    G, F, D_X, D_Y = networks(**options)
    x, y = pictures(count=2)
    objective = CycleObjective(**weights)

    def L_G():
        return cyclegan.generator_objective(G, F, D_X, D_Y, x, y, objective=objective)[0]["L_G"]

    check_objective(L_G, [G, F], step=1e-7)


@pytest.mark.parametrize("adversarial", OBJECTIVES)
@pytest.mark.parametrize("layers", [1, 2])
def test_gradient_of_the_discriminator_objective(layers, adversarial):
    _, _, D_X, _ = networks(d_layers=layers)
    objective = CycleObjective(lambda_discriminator=1.0, adversarial=OBJECTIVES[adversarial]())
    x, fake = pictures(count=2, size=16)

    def L_D_X():
        return cyclegan.discriminator_objective(D_X, x, fake, objective=objective)

    check_objective(L_D_X, [D_X], step=1e-7)


def test_the_discriminators_gradient_is_multiplied_and_the_loss_is_not():
    _, _, D_X, _ = networks()
    x, fake = pictures()
    found = {}
    for weight in (1.0, 0.5):
        D_X.zero_grad()
        objective = CycleObjective(lambda_discriminator=weight)
        loss = cyclegan.discriminator_objective(D_X, x, fake, objective=objective)
        found[weight] = loss, [p.grad.copy() for p in D_X.parameters()]
    assert found[1.0][0] == found[0.5][0]
    for whole, half in zip(found[1.0][1], found[0.5][1], strict=True):
        np.testing.assert_allclose(half, 0.5 * whole, rtol=1e-12)


# --- the step ---------------------------------------------------------------------------------


class Witness(Layer):
    """A network that tells a diary when it is called and when its way back has been walked."""

    def __init__(self, name, network, diary):
        self.name, self.network, self.diary = name, network, diary

    def forward(self, x):
        self.diary.append((self.name, x))
        y, backward = self.network(x)
        return y, backward

    def backward(self, dy, cache, input_gradient=True):
        self.diary.append((f"{self.name} back", None))
        return cache(dy, input_gradient=input_gradient)


def witnessed_step(x, y, **options):
    diary = []
    made = networks()
    adams = optimizers(*made)
    witnesses = [Witness(n, m, diary) for n, m in zip(("G", "F", "D_X", "D_Y"), made, strict=True)]
    for name, adam in zip(("G steps", "D_X steps", "D_Y steps"), adams, strict=True):
        adam.step = lambda name=name, step=adam.step: (diary.append((name, None)), step())
    cyclegan.train_step(*witnesses, *adams, x, y, **options)
    return diary


@pytest.fixture(params=[6, 4, 2], ids=["tiny", "small", "large"])
def most(request, monkeypatch):
    """The ways to run a step, by the images' size: how many passes are remembered at most."""
    monkeypatch.setattr(cyclegan, "_tiny", lambda x: request.param == 6)
    monkeypatch.setattr(cyclegan, "_small", lambda x: request.param >= 4)
    return request.param


def test_the_order_is_algorithm_1s(most):
    names = [name for name, _ in witnessed_step(*pictures())]
    first = names.index("G steps")
    assert not any(name.endswith("steps") for name in names[:first])
    for D in ("D_X", "D_Y"):
        learning = [name for name in names[first:] if name.startswith(D)]
        assert learning == [D, D, f"{D} back", f"{D} back", f"{D} steps"]
    assert not any(name.startswith(("G ", "F ")) for name in names[first + 1 :])


def test_a_step_remembers_few_passes_through_generators(most):
    remembered, found = 0, []
    for name, _ in witnessed_step(*pictures()):
        remembered += {"G": 1, "F": 1, "G back": -1, "F back": -1}.get(name, 0)
        found.append(remembered)
    assert remembered == 0
    assert max(found) <= most


def stepped(threads=2, **options):
    """The losses and all parameters after three steps with pools."""
    before = parallel.get_num_threads()
    parallel.set_num_threads(threads)
    try:
        made = networks(**options)
        adams, pools = optimizers(*made), (cyclegan.ImagePool(2), cyclegan.ImagePool(2, seed=1))
        for i in range(3):
            losses = cyclegan.train_step(*made, *adams, *pictures(seed=i), pools=pools)
    finally:
        parallel.set_num_threads(before)
    return losses, [p.data for network in made for p in network.parameters()]


def assert_same_to_rounding(losses, parameters, expected, those):
    assert losses == pytest.approx(expected, rel=1e-12)
    for a, b in zip(parameters, those, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-10)  # Adam divides by small numbers


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_images_of_every_size_take_the_same_step_to_rounding(norm, monkeypatch):
    tiny = stepped(norm=norm)
    monkeypatch.setattr(cyclegan, "_tiny", lambda x: False)
    small = stepped(norm=norm)
    monkeypatch.setattr(cyclegan, "_small", lambda x: False)
    large = stepped(norm=norm)
    assert_same_to_rounding(*tiny, *large)
    assert_same_to_rounding(*small, *large)


@pytest.mark.parametrize("threads", [1, 4])
def test_a_step_is_the_same_to_the_bit_at_every_number_of_threads(most, threads):
    losses, parameters = stepped(2)
    expected, those = stepped(threads)
    assert losses == expected
    for a, b in zip(parameters, those, strict=True):
        np.testing.assert_array_equal(a, b)


def test_without_the_identity_loss_its_passes_are_saved():
    x, y = pictures()

    def passes(**options):
        return sum(name in ("G", "F") for name, _ in witnessed_step(x, y, **options))

    assert passes() == 6
    assert passes(objective=CycleObjective(lambda_identity=0.0)) == 4


def test_generators_step_leaves_the_discriminators_gradients_alone():
    G, F, D_X, D_Y = networks()
    cyclegan.generator_objective(G, F, D_X, D_Y, *pictures())
    for D in (D_X, D_Y):
        assert not any(p.grad.any() for p in D.parameters())
        assert not any(p.frozen for p in D.parameters())


def test_discriminators_see_what_the_pools_show():
    x, y = pictures()
    old = {"X": np.full_like(x, 0.25), "Y": np.full_like(y, -0.25)}
    given = {}

    def pool(domain):
        return lambda fake: (given.setdefault(domain, fake), old[domain])[1]

    diary = witnessed_step(x, y, pools=(pool("X"), pool("Y")))
    for domain, real in (("X", x), ("Y", y)):
        seen = [value for name, value in diary if name == f"D_{domain}"]
        assert seen[-2] is real
        assert seen[-1] is old[domain]
        assert given[domain] is seen[0]  # what G's step showed D is what the pool is given


class Darker(Layer):
    """An augmentation that is no identity on the way back."""

    def __init__(self):
        self.calls, self.backward_calls = 0, 0

    def forward(self, x):
        self.calls += 1
        return 0.5 * x, None

    def backward(self, dy, cache):
        self.backward_calls += 1
        return 0.5 * dy


def test_all_that_the_discriminators_see_is_augmented(most):
    """It is as if the augmentation stood in front of them; each fake passes through it once."""
    x, y = pictures()
    made, others = networks(), networks()
    augment = Darker()
    found = cyclegan.train_step(*made, *optimizers(*made), x, y, augment=augment)
    assert (augment.calls, augment.backward_calls) == (4, 2)
    G, F, D_X, D_Y = others
    wrapped = G, F, Sequential(Darker(), D_X), Sequential(Darker(), D_Y)
    expected = cyclegan.train_step(*wrapped, *optimizers(*others), x, y)
    parameters = [[p.data for network in n for p in network.parameters()] for n in (made, others)]
    assert_same_to_rounding(found, parameters[0], expected, parameters[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_keep_the_dtype(dtype):
    G, F, D_X, D_Y = networks(dtype=dtype)
    x, y = pictures(dtype=dtype)
    for weight in (5.0, 0.0):
        losses = cyclegan.train_step(
            *(G, F, D_X, D_Y, *optimizers(G, F, D_X, D_Y), x, y),
            objective=CycleObjective(lambda_identity=weight),
        )
        assert {value.dtype for value in losses.values()} == {np.dtype(dtype)}
        assert all(p.data.dtype == dtype for p in G.parameters())


def test_a_few_steps_learn_to_reconstruct():
    G, F, D_X, D_Y = networks(dtype=np.float32, std=0.1)
    adams = optimizers(G, F, D_X, D_Y)
    for adam in adams:
        adam.lr = 1e-2
    x, y = pictures(dtype=np.float32)
    L_cyc = [float(cyclegan.train_step(G, F, D_X, D_Y, *adams, x, y)["L_cyc"]) for _ in range(15)]
    assert L_cyc[-1] < 0.8 * L_cyc[0]


def test_losses_are_those_of_the_losses_module():
    """The two norms of the equations are the library's own, means over pixels and patches."""
    G, F, D_X, D_Y = networks()
    x, y = pictures()
    losses, fake_x, fake_y = cyclegan.generator_objective(G, F, D_X, D_Y, x, y)
    parts = [mse(D.predict(fake), 1.0)[0] for D, fake in ((D_X, fake_x), (D_Y, fake_y))]
    assert losses["L_GAN"] == pytest.approx(sum(parts), rel=1e-12)
    parts = [l1(F.predict(fake_y), x)[0], l1(G.predict(fake_x), y)[0]]
    assert losses["L_cyc"] == pytest.approx(sum(parts), rel=1e-12)
