"""Fréchet, kernel and sliced Wasserstein distances against known answers and other ways to them."""

import math

import numpy as np
import pytest

from tinygan.metrics import (
    frechet_distance,
    gaussian_distance,
    kernel_distance,
    over_halves,
    sliced_wasserstein,
    sliced_wasserstein_points,
)
from tinygan.metrics._pyramid import enlarge, laplacian_pyramid


def random_covariance(rng, size, rank=None):
    a = rng.standard_normal((size, rank or size))
    return a @ a.T


def test_gaussian_distance_in_closed_form():
    # in one dimension it is (μx − μy)² + (σx − σy)²
    assert gaussian_distance([1.0], np.array([[4.0]]), [4.0], np.array([[25.0]])) == pytest.approx(
        9 + 9
    )
    # diagonal covariances: the sum of one-dimensional ones
    a, b = np.array([1.0, 4.0, 9.0]), np.array([16.0, 4.0, 0.0])
    expected = ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert gaussian_distance(np.zeros(3), np.diag(a), np.zeros(3), np.diag(b)) == pytest.approx(
        expected
    )


@pytest.mark.parametrize("rank", [None, 3])
def test_gaussian_distance_is_the_published_formula(rank):
    linalg = pytest.importorskip("scipy.linalg")
    rng = np.random.default_rng(1)
    one, two = random_covariance(rng, 8, rank), random_covariance(rng, 8)
    mean = rng.standard_normal(8)
    root = linalg.sqrtm(one @ two)
    expected = mean @ mean + np.trace(one + two - 2 * root.real)
    assert gaussian_distance(mean, one, np.zeros(8), two) == pytest.approx(expected, rel=1e-5)
    assert gaussian_distance(np.zeros(8), two, mean, one) == pytest.approx(expected, rel=1e-5)


def test_frechet_distance_of_samples_comes_near_that_of_their_gaussians():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((20_000, 4))
    y = rng.standard_normal((20_000, 4)) * 2 + [1, 0, 0, 0]
    assert frechet_distance(x, y) == pytest.approx(1 + 4 * (2 - 1) ** 2, rel=0.05)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_matches_moments_written_out():
    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((30, 5)), rng.standard_normal((40, 5)) + 0.3
    moments = []
    for a in (x, y):
        mean = sum(a) / len(a)
        covariance = sum(np.outer(row - mean, row - mean) for row in a) / (len(a) - 1)
        moments += [mean, covariance]
    assert frechet_distance(x, y) == pytest.approx(gaussian_distance(*moments))


def test_kernel_distance_is_the_published_sum():
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((7, 3)), rng.standard_normal((5, 3)) + 1

    def k(a, b):
        return (sum(p * q for p, q in zip(a, b, strict=True)) / 3 + 1) ** 3

    expected = (
        sum(k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j) / (7 * 6)
        + sum(k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j) / (5 * 4)
        - 2 * sum(k(a, b) for a in x for b in y) / (7 * 5)
    )
    assert kernel_distance(x, y) == pytest.approx(expected)


def test_kernel_distance_is_unbiased():
    """Between sets of one distribution it is zero on average, however small they are."""
    rng = np.random.default_rng(5)
    values = [
        kernel_distance(rng.standard_normal((20, 6)), rng.standard_normal((20, 6)))
        for _ in range(400)
    ]
    assert min(values) < 0 < max(values)
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(len(values))


def test_kernel_distance_in_parts_is_the_same(monkeypatch):
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((50, 4)), rng.standard_normal((41, 4)) + 0.5
    whole = kernel_distance(x, y)
    monkeypatch.setattr("tinygan.metrics.kernel._ROWS", 7)
    assert kernel_distance(x, y) == pytest.approx(whole)
    assert whole > 0


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance])
def test_features_that_do_not_fit_are_named(measure):
    with pytest.raises(ValueError, match=r"\(4, 3\) and \(4, 2\)"):
        measure(np.zeros((4, 3)), np.zeros((4, 2)))
    with pytest.raises(ValueError, match="at least two"):
        measure(np.zeros((1, 3)), np.zeros((4, 3)))


def test_sliced_distance_of_a_shifted_cloud_in_closed_form():
    """A shift by v is |⟨v, θ⟩| along θ; on average |v| Γ(d/2) / (√π Γ((d + 1)/2))."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal((100, 6))
    shift = np.array([3.0, 0, 0, 4.0, 0, 0])
    expected = 5 * math.gamma(3) / (math.sqrt(math.pi) * math.gamma(3.5))
    order = rng.permutation(100)
    found = sliced_wasserstein_points(x, (x + shift)[order], projections=4000)
    assert found == pytest.approx(expected, rel=0.05)
    assert sliced_wasserstein_points(x, x[order], projections=16) == pytest.approx(0, abs=1e-12)


def test_sliced_distance_on_a_line_is_the_wasserstein_distance():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(8)
    x, y = rng.standard_normal(200), rng.exponential(size=200)
    found = sliced_wasserstein_points(x[:, None], y[:, None], projections=3)
    assert found == pytest.approx(stats.wasserstein_distance(x, y))


def test_levels_of_a_pyramid_add_up_to_the_picture():
    x = np.random.default_rng(9).random((2, 64, 32, 3), np.float32)
    levels = laplacian_pyramid(x, 16)
    assert [level.shape[1:3] for level in levels] == [(64, 32), (32, 16)]
    assert np.allclose(enlarge(levels[1]) + levels[0], x, atol=1e-6)
    constant = np.ones((1, 32, 32, 1), np.float32)
    assert np.allclose(laplacian_pyramid(constant, 16)[0][:, 4:-4, 4:-4], 0, atol=1e-6)


def test_sliced_wasserstein_says_at_which_size_pictures_differ():
    rng = np.random.default_rng(10)
    smooth = np.repeat(np.repeat(rng.random((60, 8, 8, 3), np.float32), 8, 1), 8, 2)
    other = np.repeat(np.repeat(rng.random((60, 8, 8, 3), np.float32), 8, 1), 8, 2)
    noisy = other + 0.2 * rng.standard_normal(other.shape).astype(np.float32)
    floor, noise = sliced_wasserstein(smooth, other), sliced_wasserstein(smooth, noisy)
    assert list(floor) == [64, 32, 16]
    assert noise[64] > 4 * floor[64]
    assert noise[16] < 2 * floor[16]
    dark = sliced_wasserstein(smooth, other - 0.3)
    assert dark[16] > 3 * floor[16]
    assert dark[64] < 1.5 * floor[64]
    assert sliced_wasserstein(smooth, smooth) == {64: 0, 32: 0, 16: 0}


def test_the_error_from_halves_is_the_standard_error():
    """Against many independent draws: the spread of the statistic between them."""
    rng = np.random.default_rng(11)

    def statistic(x, y):
        return kernel_distance(x, y)

    def draw():
        return rng.standard_normal((100, 3)), rng.standard_normal((100, 3)) + 0.7

    truth = np.std([statistic(*draw()) for _ in range(300)])
    errors = [over_halves(statistic, *draw(), repeats=30, rng=i).error for i in range(20)]
    assert 0.75 < np.mean(errors) / truth < 1.33


def test_halves_are_reproducible_and_checked():
    x = np.arange(40.0)
    assert over_halves(np.mean, x, rng=3) == over_halves(np.mean, x, rng=3)
    assert over_halves(np.mean, x).value == x.mean()
    with pytest.raises(ValueError, match="at least 4"):
        over_halves(np.mean, x[:3])
