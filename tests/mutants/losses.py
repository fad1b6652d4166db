"""Losses: as pairs of functions, and as functions that return (loss, gradient)."""

import numpy as np

from mutants.specimen import Collection


def probabilities(rng):
    return rng.uniform(0.1, 0.9, (4, 3)), rng.uniform(0, 1, (4, 3))


def scores(rng):
    return rng.standard_normal((9, 7)), rng.uniform(0, 1, (9, 7))


SPECIMENS = Collection("loss", probabilities)
wrong = right = SPECIMENS.backward


def bce(p, t):
    return -np.mean(t * np.log(p) + (1 - t) * np.log(1 - p)), (p, t)


@right(bce)
def _(dy, cache):
    """bce"""
    p, t = cache
    return dy * (p - t) / (p * (1 - p)) / p.size


@right(bce)
def _(dy, cache):
    """bce, two terms, target's gradient too"""
    p, t = cache
    dp = (-t / p + (1 - t) / (1 - p)) / p.size
    return dy * dp, -dy * (np.log(p) - np.log(1 - p)) / p.size


@wrong(bce, "constant factor")
def _(dy, cache):
    """bce: not divided by the number of elements"""
    p, t = cache
    return dy * (p - t) / (p * (1 - p))


@wrong(bce, "constant factor")
def _(dy, cache):
    """bce: divided by the batch only"""
    p, t = cache
    return dy * (p - t) / (p * (1 - p)) / len(p)


@wrong(bce, "constant factor")
def _(dy, cache):
    """bce: minus"""
    p, t = cache
    return dy * (t - p) / (p * (1 - p)) / p.size


@wrong(bce, "missing term")
def _(dy, cache):
    """bce: second term forgotten"""
    p, t = cache
    return -dy * t / p / p.size


@wrong(bce, "missing term")
def _(dy, cache):
    """bce: slope of the logarithms forgotten"""
    p, t = cache
    return dy * (p - t) / p.size


@wrong(bce, "upstream ignored")
def _(dy, cache):
    """bce: dy ignored"""
    p, t = cache
    return (p - t) / (p * (1 - p)) / p.size


def bce_logits(s, t):
    return np.mean(np.maximum(s, 0) - s * t + np.log1p(np.exp(-np.abs(s)))), (s, t)


@right(bce_logits, arguments=scores)
def _(cache):
    """logits, without dy"""
    s, t = cache
    return (1 / (1 + np.exp(-s)) - t) / s.size


@wrong(bce_logits, "constant factor", scores)
def _(cache):
    """logits: sum"""
    s, t = cache
    return 1 / (1 + np.exp(-s)) - t


@wrong(bce_logits, "wrong tensor", scores, also=("missing term",))
def _(cache):
    """logits: score for probability"""
    s, t = cache
    return (s - t) / s.size


def function(name, loss, cause="", arguments=scores, also=()):
    SPECIMENS.add(name, lambda: loss, cause, arguments, also)


def least_squares(p, t):
    return np.mean((p - t) ** 2), 2 * (p - t) / p.size


def least_squares_without_two(p, t):
    return np.mean((p - t) ** 2), (p - t) / p.size


def least_squares_sum(p, t):
    return np.mean((p - t) ** 2), 2 * (p - t)


def least_squares_reversed(p, t):
    return np.mean((p - t) ** 2), 2 * (t - p) / p.size


def least_squares_without_target(p, t):
    return np.mean((p - t) ** 2), 2 * p / p.size


def least_squares_in_place(p, t):
    p -= t
    return np.mean(p**2), 2 * p / p.size


def least_squares_float32(p, t):
    d = (p - t).astype(np.float32)
    return np.mean(d * d), 2 * d / d.size


function("least squares", least_squares)
function("least squares: without the 2", least_squares_without_two, "constant factor")
function("least squares: sum", least_squares_sum, "constant factor")
function("least squares: reversed", least_squares_reversed, "constant factor")
function("least squares: target forgotten", least_squares_without_target, "missing term")
function("least squares: p overwritten", least_squares_in_place, "input overwritten")
function("least squares: float32", least_squares_float32, "float32")


def absolute(p, t):
    return np.abs(p - t).mean(), np.sign(p - t) / p.size


def absolute_value(p, t):
    d = p - t
    return np.abs(d).mean(), d / (np.abs(d) * d.size)


def absolute_without_sign(p, t):
    return np.abs(p - t).mean(), np.ones_like(p) / p.size


def absolute_wrong_sign(p, t):
    return np.abs(p - t).mean(), np.sign(p) / p.size


def absolute_squared(p, t):
    return np.abs(p - t).mean(), (p - t) / p.size


function("absolute", absolute)
function("absolute, by division", absolute_value)
function("absolute: without the sign", absolute_without_sign, "wrong mask")
function("absolute: sign of p", absolute_wrong_sign, "wrong mask", also=("wrong tensor",))
