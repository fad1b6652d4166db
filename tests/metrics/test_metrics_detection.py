"""Accuracy, ROC, the area under it and the C2ST against other ways to them, and against chance."""

import numpy as np
import pytest

from tinygan.metrics import accuracy, area_under_roc, roc, two_sample_test
from tinygan.metrics.table import cell


@pytest.mark.parametrize("ties", [False, True])
def test_the_area_is_mann_and_whitneys_statistic(ties):
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(31), rng.standard_normal(47) + 0.4
    if ties:
        a, b = a.round(), b.round()
    expected = stats.mannwhitneyu(b, a).statistic / (len(a) * len(b))
    found = area_under_roc(a, b)
    assert found.value == pytest.approx(expected)
    assert found.low < found.value < found.high
    other = area_under_roc(b, a)
    assert (other.value, other.low, other.high) == pytest.approx(
        (1 - found.value, 1 - found.high, 1 - found.low)
    )


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_the_areas_interval_holds_the_truth_about_95_times_in_100(shift):
    stats = pytest.importorskip("scipy.stats")
    truth = stats.norm.cdf(shift / np.sqrt(2))
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        found = area_under_roc(rng.standard_normal(40), rng.standard_normal(40) + shift)
        held += found.low <= truth <= found.high
    assert 0.91 <= held / 400 <= 0.985


def test_an_interval_has_a_width_where_no_mistake_was_made():
    perfect = area_under_roc(np.zeros(50), np.ones(50))
    assert perfect.value == perfect.high == 1
    assert 0.9 < perfect.low < 0.99
    assert area_under_roc(np.zeros(500), np.ones(500)).low > perfect.low
    worst = area_under_roc(np.ones(50), np.zeros(50))
    assert (worst.low, worst.high) == pytest.approx((0, 1 - perfect.low))
    assert 0.9 < accuracy(50, 50).low < 1


@pytest.mark.parametrize(("right", "count"), [(0, 7), (3, 7), (50, 50), (481, 512)])
def test_the_accuracys_interval_is_wilsons(right, count):
    stats = pytest.importorskip("scipy.stats")
    expected = stats.binomtest(right, count).proportion_ci(method="wilson")
    found = accuracy(right, count)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_the_area_under_the_curve_is_the_area():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal(300), rng.standard_normal(200) + 1
    alarms, found = roc(a, b, most=10**6)
    assert (alarms[0], found[0], alarms[-1], found[-1]) == (0, 0, 1, 1)
    assert (np.diff(alarms) >= 0).all()
    assert (np.diff(found) >= 0).all()
    assert np.trapezoid(found, alarms) == pytest.approx(area_under_roc(a, b).value)
    few = roc(a, b, most=50)
    assert len(few[0]) <= 53
    assert np.trapezoid(few[1], few[0]) == pytest.approx(area_under_roc(a, b).value, abs=0.01)


@pytest.mark.parametrize(
    "scores", [np.zeros((3, 1)), np.zeros(0), np.array([0.0, np.nan]), np.array([np.inf])]
)
def test_senseless_scores_are_refused(scores):
    for function in (area_under_roc, roc):
        with pytest.raises(ValueError, match="positive: expected finite scores of shape"):
            function(np.zeros(3), scores)


@pytest.mark.parametrize("features", [5, 120])  # fewer than pictures to learn from, and more
def test_the_two_sample_test_keeps_its_level_and_finds_a_difference(features):
    rng = np.random.default_rng(3)
    alarms = 0
    for i in range(200):
        x, y = rng.standard_normal((2, 80, features))
        alarms += two_sample_test(x, y, i).p < 0.05
    assert 1 <= alarms <= 22  # 10 are due; a binomial is beyond with a chance of 1e-4
    x, y = rng.standard_normal((2, 400, features))
    found = two_sample_test(x, y + 0.5)
    assert found.p < 1e-4
    assert found.auc.low > 0.5 < found.accuracy.low
    again = two_sample_test(x, y + 0.5)
    assert (again.auc, again.accuracy) == (found.auc, found.accuracy)


def test_the_two_sample_test_learns_on_one_half_and_is_measured_on_the_other():
    """Features of pure chance, more of them than pictures: what was learnt by heart counts not."""
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal((2, 60, 500))
    assert two_sample_test(x, y).accuracy.value < 0.7


def test_the_two_sample_test_knows_the_best_linear_classifier_of_two_gaussians():
    """Of N(0, I) and N(m, I) that has the accuracy Φ(|m|/2)."""
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((2, 4000, 8))
    y[:, 3] += 1.5
    assert two_sample_test(x, y).accuracy.value == pytest.approx(stats.norm.cdf(0.75), abs=0.02)


def test_too_few_pictures_are_refused():
    with pytest.raises(ValueError, match="at least four"):
        two_sample_test(np.zeros((3, 2)), np.zeros((9, 2)))


def test_an_interval_is_shown_in_a_table():
    assert cell({"auc": {"value": 0.5, "low": 0.4, "high": 0.6}}, "auc") == "0.500 (0.400 to 0.600)"
