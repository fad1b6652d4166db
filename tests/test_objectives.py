"""A GAN's losses as one object: gradients, meaning, what a user's own must define."""

import numpy as np
import pytest

from tinygan import (
    CycleObjective,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Objective,
    check_gradients,
)
from tinygan.objectives import OBJECTIVES

EVERY = pytest.mark.parametrize(
    "objective", [make() for make in OBJECTIVES.values()], ids=OBJECTIVES
)


@pytest.fixture
def score():
    return np.random.default_rng(0).uniform(-3, 3, (4, 5))


@EVERY
def test_gradients(objective, score):
    for loss in (
        lambda s: objective.discriminator(s, real=True),
        lambda s: objective.discriminator(s, real=False),
        objective.generator,
    ):
        assert check_gradients(loss, score).ok


@EVERY
def test_d_wants_high_scores_of_real_images_and_low_ones_of_generated_and_g_high_ones(objective):
    undecided = np.full(3, 0.5 if isinstance(objective, LeastSquares) else 0.0)
    assert (objective.discriminator(undecided, real=True)[1] < 0).all()
    assert (objective.discriminator(undecided, real=False)[1] > 0).all()
    assert (objective.generator(undecided)[1] < 0).all()
    np.testing.assert_array_equal(objective.probability(undecided), 0.5)


@EVERY
def test_probabilities_lie_between_0_and_1_and_grow(objective):
    score = np.linspace(-5, 5, 21, dtype=np.float32)
    p = objective.probability(score)
    assert p.dtype == np.float32
    assert p.min() >= 0
    assert p.max() <= 1
    assert (np.diff(p) >= 0).all()


def test_the_label_is_smoothed_for_real_images_only():
    best = np.array([np.log(0.7 / 0.3)])
    for objective in (NonSaturating(label_smoothing=0.7), Minimax(label_smoothing=0.7)):
        assert objective.discriminator(best, real=True)[1] == pytest.approx(0, abs=1e-15)
        loss, _ = objective.discriminator(np.zeros(1), real=False)
        assert loss == pytest.approx(np.log(2))


def test_the_generators_losses_are_the_papers(score):
    p = 1 / (1 + np.exp(-score))
    assert NonSaturating().generator(score)[0] == pytest.approx(-np.log(p).mean())
    assert Minimax().generator(score)[0] == pytest.approx(np.log(1 - p).mean())
    assert LeastSquares().generator(score)[0] == pytest.approx(((1 - score) ** 2).mean())
    assert Hinge().generator(score)[0] == pytest.approx(-score.mean())


def test_the_papers_weights_are_the_defaults():
    assert CycleObjective() == CycleObjective(1.0, 5.0, 10.0, 0.5, LeastSquares())


def test_an_objective_must_define_both():
    with pytest.raises(NotImplementedError, match=r"Objective does not define discriminator"):
        Objective().discriminator(np.ones(1), real=True)
    with pytest.raises(NotImplementedError, match=r"Objective does not define generator"):
        Objective().generator(np.ones(1))
