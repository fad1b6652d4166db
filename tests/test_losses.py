"""The losses: their values by other formulas, their ends, what they refuse."""

import numpy as np
import pytest

from tinygan import bce, bce_with_logits, hinge, hinge_generator, l1, minimax, mse, non_saturating


@pytest.fixture
def scores():
    return np.random.default_rng(0).normal(size=(8, 3, 3, 1))


def probability(score):
    return 1 / (1 + np.exp(-score))


@pytest.mark.parametrize("target", [0.0, 0.9, 1.0])
def test_both_cross_entropies_are_the_textbook_sum(scores, target):
    p = probability(scores)
    expected = -np.mean(target * np.log(p) + (1 - target) * np.log(1 - p))
    assert bce(p, target)[0] == pytest.approx(expected)
    assert bce_with_logits(scores, target)[0] == pytest.approx(expected)


def test_the_cross_entropies_gradients_differ_by_the_sigmoids_slope(scores):
    p = probability(scores)
    _, dp = bce(p, 0.9)
    _, ds = bce_with_logits(scores, 0.9)
    np.testing.assert_allclose(ds, dp * p * (1 - p), rtol=1e-12)


def test_targets_may_be_arrays(scores):
    t = np.random.default_rng(1).random(scores.shape)
    p = probability(scores)
    expected = -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p))
    assert bce_with_logits(scores, t)[0] == pytest.approx(expected)
    assert bce(p, t)[0] == pytest.approx(expected)


def test_the_generators_losses_are_the_papers(scores):
    p = probability(scores)
    assert minimax(scores)[0] == pytest.approx(np.log(1 - p).mean())
    assert non_saturating(scores)[0] == pytest.approx(-np.log(p).mean())


def test_minimax_saturates_where_the_discriminator_wins_and_non_saturating_does_not():
    score = np.array([-20.0])
    assert abs(minimax(score)[1][0]) < 1e-8
    assert non_saturating(score)[1][0] == pytest.approx(-1)


def test_label_smoothing_moves_the_best_score_to_its_logit():
    best = np.array([np.log(0.9 / 0.1)])
    assert bce_with_logits(best, 0.9)[1] == pytest.approx(0, abs=1e-15)
    for other in (best - 0.1, best + 0.1):
        assert bce_with_logits(other, 0.9)[0] > bce_with_logits(best, 0.9)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_overflows_and_dtypes_stay(dtype):
    scores = np.array([-1e4, -100, 0, 100, 1e4], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for loss, gradient in [
            bce_with_logits(scores, 0.9),
            minimax(scores),
            non_saturating(scores),
            mse(scores, 1.0),
            hinge(scores, -1.0),
            hinge_generator(scores),
            l1(scores, scores[::-1]),
            bce(np.array([0, 0.5, 1], dtype), 0.9),
        ]:
            assert np.isfinite(loss)
            assert np.isfinite(gradient).all()
            assert loss.dtype == gradient.dtype == dtype
            assert loss.shape == ()


def test_mse_and_l1_by_hand():
    loss, gradient = mse(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0]]))
    assert (loss, gradient.tolist()) == (2.0, [[0.0, 2.0]])
    loss, gradient = l1(np.array([[1.0, 3.0, -2.0]]), 1.0)
    assert loss == pytest.approx(5 / 3)
    np.testing.assert_allclose(gradient, [[0, 1 / 3, -1 / 3]])


def test_agreement_with_pytorch(scores):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    target = np.random.default_rng(1).random(scores.shape)
    for ours, theirs in [
        (bce_with_logits, functional.binary_cross_entropy_with_logits),
        (mse, functional.mse_loss),
        (l1, functional.l1_loss),
    ]:
        score = torch.tensor(scores, requires_grad=True)
        expected = theirs(score, torch.tensor(target))
        expected.backward()
        loss, gradient = ours(scores, target)
        assert loss == pytest.approx(expected.item())
        np.testing.assert_allclose(gradient, score.grad.numpy(), atol=1e-15)


@pytest.mark.parametrize("loss", [bce, bce_with_logits, mse, l1])
def test_a_target_of_another_shape_is_refused_by_name(loss):
    with pytest.raises(ValueError, match=rf"{loss.__name__}: .*shape \(2, 1\).* got shape \(2,\)"):
        loss(np.full((2, 1), 0.5), np.zeros(2))


def test_the_hinge_stops_at_a_margin_of_one():
    loss, gradient = hinge(np.array([2.0, 1.0, 0.5, -3.0]), 1.0)
    assert loss == (0 + 0 + 0.5 + 4) / 4
    assert gradient.tolist() == [0, 0, -0.25, -0.25]
    loss, gradient = hinge(np.array([-2.0, -1.0, 0.5, 3.0]), -1.0)
    assert loss == (0 + 0 + 1.5 + 4) / 4
    assert gradient.tolist() == [0, 0, 0.25, 0.25]
    assert hinge_generator(np.array([-2.0, 1.0]))[0] == 0.5


def test_the_hinge_agrees_with_pytorch(scores):
    torch = pytest.importorskip("torch")
    for ours, theirs in [
        (lambda s: hinge(s, 1.0), lambda s: torch.relu(1 - s).mean()),
        (lambda s: hinge(s, -1.0), lambda s: torch.relu(1 + s).mean()),
        (hinge_generator, lambda s: -s.mean()),
    ]:
        score = torch.tensor(scores, requires_grad=True)
        expected = theirs(score)
        expected.backward()
        loss, gradient = ours(scores)
        assert loss == pytest.approx(expected.item())
        np.testing.assert_allclose(gradient, score.grad.numpy(), atol=1e-15)


WITH_TARGET = [bce, bce_with_logits, hinge, l1, mse]
ALL = [
    *((loss.__name__, lambda p, loss=loss: loss(p, 1.0)) for loss in WITH_TARGET),
    *((loss.__name__, loss) for loss in (hinge_generator, minimax, non_saturating)),
]


@pytest.mark.parametrize(("name", "loss"), ALL, ids=[name for name, _ in ALL])
@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.bool_, np.complex64])
def test_predictions_that_are_no_fractions_are_refused(name, loss, dtype):
    with pytest.raises(TypeError, match=f"floating-point dtype, got {np.dtype(dtype)}"):
        loss(np.ones(2, dtype))


@pytest.mark.parametrize(("name", "loss"), ALL, ids=[name for name, _ in ALL])
def test_an_empty_batch_is_refused(name, loss):
    with pytest.raises(ValueError, match=r"at least one prediction, got shape \(0, 4\)"):
        loss(np.ones((0, 4)))


@pytest.mark.parametrize("loss", WITH_TARGET)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_target_may_be_any_number_and_array_of_numbers(loss, dtype):
    p = np.array([0.25, 0.5, 0.75], dtype)
    expected = loss(p, 1.0)
    numbers = [1, True, np.float32(1), np.float64(1), np.int8(1), np.uint8(1), np.array(1.0)]
    arrays = [np.ones(3, kind) for kind in (np.uint8, np.int64, np.bool_, np.float32, np.float64)]
    for target in [*numbers, np.array(1), *arrays]:
        found = loss(p, target)
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == dtype, target
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("loss", WITH_TARGET)
def test_a_target_that_is_no_number_is_refused(loss):
    p = np.array([0.25, 0.5])
    with pytest.raises(TypeError, match=f"{loss.__name__}: .*complex128"):
        loss(p, np.array([1j, 0]))
    with pytest.raises(TypeError, match="target is list"):
        loss(p, [1.0, 0.0])


def test_bytes_are_compared_as_numbers_once_they_are_converted():
    a, b = np.uint8([1, 2]), np.uint8([3, 3])
    assert l1(a.astype(np.float32), b)[0] == 1.5
    assert mse(a.astype(np.float32), b)[0] == 2.5
