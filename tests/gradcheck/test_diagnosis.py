"""A cause is named only where the evidence singles it out: on implementations by other hands."""

import os
import random
from collections import Counter

import numpy as np
import pytest
from mutants.specimen import Specimen
from specimens import RIGHT, WRONG
from specimens.fourth import FOURTH
from specimens.measure import judge
from specimens.third import THIRD
from specimens.thirteenth import THIRTEENTH

from tinygan import check_gradients
from tinygan.gradcheck import CAUSES, diagnosis
from tinygan.gradcheck.diagnosis.evidence import Guess

LONG = os.environ.get("TINYGAN_LONG") == "1"


def sample(specimens, count):
    """Return a seeded choice; all of them in the long run."""
    return specimens if LONG else random.Random(13).sample(specimens, count)


@pytest.mark.parametrize(
    "specimens",
    [WRONG + RIGHT, THIRD, FOURTH, THIRTEENTH],
    ids=["second set", "third set", "fourth set", "thirteenth set"],
)
def test_no_wrong_one_is_missed_no_right_one_accused_and_few_causes_are_wrong(specimens):
    chosen = sample(specimens, 30)
    verdicts = Counter(judge(specimen)[0] for specimen in chosen)
    assert not verdicts["missed"]
    assert not verdicts["accused"]
    wrong = sum(1 for specimen in chosen if specimen.cause)
    assert verdicts["right"] >= 0.8 * wrong
    assert verdicts["wrong"] <= 0.02 * len(specimens)


def double(x):
    return 2 * x, None


def alone(monkeypatch, hypotheses):
    """Let these hypotheses be all that the diagnosis tries."""
    for table, value in (("SIMPLE", hypotheses), ("EDITS", []), ("OTHERS", [])):
        monkeypatch.setattr(diagnosis, table, value)


def guesses(monkeypatch, *found):
    """Check a gradient with these hypotheses alone; each yields one guess."""
    table = [(guess.rank, lambda evidence, name, g=guess: iter([g])) for guess in found]
    alone(monkeypatch, table)
    x = np.random.default_rng(0).standard_normal((3, 4))
    return check_gradients((double, lambda dy, cache: 3 * dy), x, raises=False).causes


def test_the_simplest_guess_that_explains_is_named(monkeypatch):
    (cause,) = guesses(
        monkeypatch,
        Guess("missing term", "predicts the right gradient", 0, lambda dy: 2 * dy),
        Guess("wrong axis", "predicts another one", 0, lambda dy: 4 * dy),
        Guess("extra term", "explains", 1, lambda dy: 3 * dy),
        Guess("transposed", "explains too, but is less simple", 2, lambda dy: 3 * dy),
    )
    assert (cause.kind, cause.tensor, cause.text) == ("extra term", "x", "explains")


def test_two_kinds_that_explain_equally_well_are_not_named(monkeypatch):
    explains = [Guess(k, "explains", 1, lambda dy: 3 * dy) for k in ("extra term", "transposed")]
    assert guesses(monkeypatch, *explains) == []
    assert len(guesses(monkeypatch, explains[0], explains[0])) == 1


def test_a_cause_has_to_hold_at_a_second_input_too(monkeypatch):
    def named(kinds):
        seen = []

        def hypothesis(evidence, name):
            seen.append(evidence.tensors[name])
            yield Guess(kinds[len(seen) - 1], "explains", 1, lambda dy: 3 * dy)

        alone(monkeypatch, [(1, hypothesis)])
        x = np.random.default_rng(0).standard_normal((3, 4))
        found = check_gradients((double, lambda dy, cache: 3 * dy), x, raises=False).causes
        assert not np.array_equal(*seen)
        return [cause.kind for cause in found]

    assert named(["extra term", "extra term"]) == ["extra term"]
    assert named(["extra term", "transposed"]) == []


def test_a_hypothesis_that_fails_names_nothing_and_stops_nothing(monkeypatch):
    def fails(dy):
        raise ZeroDivisionError

    kinds = [
        c.kind
        for c in guesses(
            monkeypatch,
            Guess("transposed", "fails", 1, fails),
            Guess("extra term", "explains", 1, lambda dy: 3 * dy),
        )
    ]
    assert kinds == ["extra term"]


def test_every_cause_that_can_be_named_is_one_of_the_list():
    for specimen in sample([s for s in THIRD if s.cause], 15):
        assert {cause.kind for cause in specimen.check(1).causes} <= set(CAUSES)


@pytest.mark.parametrize(
    ("backward", "kind"),
    [
        (lambda dy, x: dy * np.where(x == 0, 2, x > 0), ""),  # only wrong on the kinks
        (lambda dy, x: dy * (x > 0.3), "wrong mask"),
        (lambda dy, x: dy // 1, "integer arithmetic"),
    ],
)
def test_on_a_kink_nothing_is_named(backward, kind):
    x = np.random.default_rng(0).standard_normal((4, 5))
    x[0, :2] = 0 if not kind else 1
    specimen = Specimen(
        "relu", lambda: (lambda x: (np.maximum(x, 0), x), backward), lambda rng: (x,)
    )
    report = specimen.check(0)
    assert not report.ok
    assert (report.cause.kind if report.cause else "") == kind


def cause_of(forward, backward, *arguments):
    report = check_gradients((forward, backward), *arguments, raises=False)
    return report.cause.kind if report.cause else ""


GAMMA = np.array([0.5, 1.5, 2.0, 3.0, 0.7])


def centred(x, gamma):
    return gamma * (x - x.mean(1, keepdims=True)), gamma


def residual(x, w):
    return x + np.tanh(x) @ w, (x, w)


def residual_backward(dy, cache, skip):
    x, w = cache
    return skip(dy, x) + (1 - np.tanh(x) ** 2) * (dy @ w.T), np.tanh(x).T @ dy


def windows(x, w):
    """Channels first: x (N, 4, 4), w (O, 2, 2), y (N, O, 3, 3)."""
    y = np.zeros((len(x), len(w), 3, 3))
    for o, i, j in np.ndindex(len(w), 3, 3):
        y[:, o, i, j] = (x[:, i : i + 2, j : j + 2] * w[o]).sum((1, 2))
    return y, (x, w)


def windows_backward(dy, cache, together):
    """Set each window of dx, from all channels `together` or channel by channel."""
    x, w = cache
    dx, dw = np.zeros_like(x), np.zeros_like(w)
    for i, j, o in np.ndindex(3, 3, len(w)):
        each = dy[:, o, i, j, None, None]
        dx[:, i : i + 2, j : j + 2] = (
            np.tensordot(dy[:, :, i, j], w, 1) if together else each * w[o]
        )
        dw[o] += (each * x[:, i : i + 2, j : j + 2]).sum(0)
    return dx, dw


X = np.random.default_rng(3).standard_normal((3, 5))
W = np.random.default_rng(4).standard_normal((5, 5))


def test_a_factor_on_the_wrong_side_of_a_symmetric_map_is_not_called_its_transpose():
    def backward(dy, gamma):
        each = (dy * (X - X.mean(1, keepdims=True))).sum(0)
        return gamma * (dy - dy.mean(1, keepdims=True)), each

    assert cause_of(centred, backward, X, GAMMA) != "transposed"


@pytest.mark.parametrize(
    ("skip", "kind"),
    [(lambda dy, x: 1 + 0 * dy, "upstream ignored"), (lambda dy, x: x, "wrong tensor")],
)
def test_dy_is_forgotten_only_where_what_stands_there_is_the_term_of_dy_one(skip, kind):
    found = cause_of(residual, lambda dy, cache: residual_backward(dy, cache, skip), X, W)
    assert found == kind


@pytest.mark.parametrize("together", [True, False])
def test_windows_that_overwrite_each_other_are_seen_whatever_the_loops_run_over(together):
    x, w = (np.random.default_rng(5).standard_normal(shape) for shape in ((2, 4, 4), (2, 2, 2)))
    found = cause_of(windows, lambda dy, cache: windows_backward(dy, cache, together), x, w)
    assert found == "assigned"


def test_a_wrong_gradient_where_there_should_be_none_is_no_mask_if_the_rest_is_wrong_too():
    weights = np.array([2.0, 0.0, 1.0, 0.5])[:, None]

    def loss(p):
        return float((weights * p**2).sum()), p

    assert cause_of(loss, lambda p: 2 * p, X[:, :4].T.copy()) != "wrong mask"


def shifted(x, b):
    return x + b, None


@pytest.mark.parametrize(
    ("axes", "kind"), [((0,), "wrong shape"), ((1, 2), "wrong axis"), ((0, 1, 2), "wrong axis")]
)
def test_a_sum_over_too_few_axes_leaves_a_wrong_shape_one_over_others_is_a_wrong_axis(axes, kind):
    x = np.random.default_rng(6).standard_normal((4, 3, 2))
    assert cause_of(shifted, lambda dy, cache: (dy, dy.sum(axes)), x, X[0, :2]) == kind


def test_a_constant_factor_is_the_same_at_every_input():
    def rms(x):
        size = np.sqrt((x**2).mean())
        return float(size), x / x.size  # what 1/size is, is no constant

    assert cause_of(rms, lambda cache: cache, X) != "constant factor"


def test_no_mask_is_taken_from_dy_where_the_function_has_none():
    def back(dy, cache):
        return np.maximum(np.abs(dy[:, 0::2]), np.abs(dy[:, 1::2])) * np.sign(dy[:, 0::2])

    assert cause_of(lambda x: (np.repeat(x, 2, 1), None), back, X) == ""


@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)])
def test_a_weight_turned_round_is_a_flipped_kernel_whatever_its_shape(shape):
    w = np.random.default_rng(7).standard_normal(shape)
    found = cause_of(
        lambda x, w: (x * w, (x, w)), lambda dy, c: (dy * c[1][..., ::-1], dy * c[0]), w + 1, w
    )
    assert found == "flipped kernel"


def convolution(x, w):
    """x (N, H, W, C), w (3, 3, C, O), padded by one."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.tensordot(windows, w, ((4, 5, 3), (0, 1, 2))), (windows, w)


def convolution_backward(dy, cache):
    windows, w = cache
    n, h, width, _ = dy.shape
    dx = np.zeros((n, h + 2, width + 2, w.shape[2]))
    for i, j in np.ndindex(3, 3):
        dx[:, i : i + h, j : j + width] = dy @ w[i, j].T  # should add
    dw = np.tensordot(windows, dy, ((0, 1, 2), (0, 1, 2))).transpose(1, 2, 0, 3)
    return dx[:, 1:-1, 1:-1], dw


@pytest.mark.parametrize("shape", [(2, 4, 4, 3), (9, 30, 30, 3)])
def test_a_loop_over_the_kernel_that_sets_is_seen_in_small_and_in_large_images(shape):
    x, w = (np.random.default_rng(8).standard_normal(s) for s in (shape, (3, 3, 3, 16)))
    assert cause_of(convolution, convolution_backward, x, w) == "assigned"


def test_a_recurrence_that_carries_nothing_back_is_not_called_a_loop_that_sets():
    def sums(x):
        return np.cumsum(x, axis=1), None

    assert cause_of(sums, lambda dy, cache: 1.0 * dy, X) != "assigned"
