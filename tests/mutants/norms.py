"""Batch and instance normalisation."""

import numpy as np

from mutants.specimen import Collection


def arguments(rng, channels=3):
    return (
        1 + 2 * rng.standard_normal((3, 4, 2, channels)),
        rng.uniform(0.5, 2, channels),
        rng.standard_normal(channels),
    )


SPECIMENS = Collection("norm", arguments)
wrong = right = SPECIMENS.backward
AXES, EPS = (0, 1, 2), 1e-5


def batch_norm(x, gamma, beta):
    mean, var = x.mean(axis=AXES), x.var(axis=AXES)
    rstd = 1 / np.sqrt(var + EPS)
    xhat = (x - mean) * rstd
    return gamma * xhat + beta, (x, xhat, rstd, gamma)


def sums(dy, xhat):
    return (dy * xhat).sum(axis=AXES), dy.sum(axis=AXES)


@right(batch_norm)
def _(dy, cache):
    """batch norm, one formula"""
    x, xhat, rstd, gamma = cache
    dgamma, dbeta = sums(dy, xhat)
    m = x.size / x.shape[-1]
    return gamma * rstd * (dy - dbeta / m - xhat * dgamma / m), dgamma, dbeta


@right(batch_norm)
def _(dy, cache):
    """batch norm, step by step"""
    x, xhat, rstd, gamma = cache
    dgamma, dbeta = sums(dy, xhat)
    m = x.size // x.shape[-1]
    centred = x - x.mean(axis=AXES)
    dxhat = dy * gamma
    dvar = (dxhat * centred).sum(axis=AXES) * -0.5 * rstd**3
    dmean = -(dxhat * rstd).sum(axis=AXES) + dvar * (-2 * centred).sum(axis=AXES) / m
    return dxhat * rstd + dvar * 2 * centred / m + dmean / m, dgamma, dbeta


@right(batch_norm)
def _(dy, cache):
    """batch norm, flattened and in place"""
    x, xhat, rstd, gamma = cache
    flat, hat = dy.reshape(-1, x.shape[-1]), xhat.reshape(-1, x.shape[-1])
    dgamma, dbeta = np.einsum("mc,mc->c", flat, hat), flat.sum(axis=0)
    dx = flat - dbeta / len(flat)
    dx -= hat * (dgamma / len(flat))
    dx *= gamma * rstd
    return dx.reshape(x.shape), dgamma, dbeta


def broken(name, cause, dx=None, dgamma=None, dbeta=None, also=(), sizes=None):
    """Add a batch normalisation some of whose gradients are computed otherwise."""

    def batch_norm_backward(dy, cache):
        x, xhat, rstd, gamma = cache
        m = x.size // x.shape[-1]
        right_dgamma, right_dbeta = sums(dy, xhat)
        terms = {
            "dy": dy, "x": x, "xhat": xhat, "rstd": rstd, "gamma": gamma, "m": m,
            "mean": right_dbeta / m, "slope": right_dgamma / m,
        }  # fmt: skip
        whole = gamma * rstd * (dy - right_dbeta / m - xhat * right_dgamma / m)
        return (
            whole if dx is None else dx(**terms),
            right_dgamma if dgamma is None else dgamma(**terms),
            right_dbeta if dbeta is None else dbeta(**terms),
        )

    SPECIMENS.pair(f"batch norm: {name}", batch_norm, batch_norm_backward, cause, sizes, also)


def of(function):
    """Let a function name only the terms it needs."""
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    return lambda **terms: function(*(terms[name] for name in names))


broken(
    "mean treated as constant", "missing term",
    of(lambda dy, xhat, rstd, gamma, slope: gamma * rstd * (dy - xhat * slope)),
)  # fmt: skip
broken(
    "variance treated as constant", "missing term",
    of(lambda dy, rstd, gamma, mean: gamma * rstd * (dy - mean)),
)  # fmt: skip
broken(
    "both treated as constants", "missing term",
    of(lambda dy, rstd, gamma: gamma * rstd * dy),
)  # fmt: skip
broken(
    "dy itself forgotten", "missing term",
    of(lambda xhat, rstd, gamma, mean, slope: gamma * rstd * (-mean - xhat * slope) + 0 * xhat),
)  # fmt: skip
broken(
    "γ forgotten", "missing term",
    of(lambda dy, xhat, rstd, mean, slope: rstd * (dy - mean - xhat * slope)),
)  # fmt: skip
broken(
    "standard deviation forgotten", "missing term",
    of(lambda dy, xhat, gamma, mean, slope: gamma * (dy - mean - xhat * slope)),
)  # fmt: skip
broken(
    "sums in place of means", "constant factor",
    of(lambda dy, xhat, rstd, gamma, m, mean, slope:
        gamma * rstd * (dy - m * mean - m * xhat * slope)),
)  # fmt: skip
broken(
    "sign of the variance's way", "constant factor",
    of(lambda dy, xhat, rstd, gamma, mean, slope: gamma * rstd * (dy - mean + xhat * slope)),
)  # fmt: skip
broken(
    "mean of dy over the batch only", "wrong axis",
    of(lambda dy, xhat, rstd, gamma, slope: gamma * rstd * (dy - dy.mean(axis=0) - xhat * slope)),
)  # fmt: skip
broken(
    "mean of dy over the channels too", "wrong axis",
    of(lambda dy, xhat, rstd, gamma, slope: gamma * rstd * (dy - dy.mean() - xhat * slope)),
)  # fmt: skip
broken(
    "x where x̂ is due in dx", "wrong tensor",
    of(lambda dy, x, rstd, gamma, mean: gamma * rstd * (
        dy - mean - x * (dy * x).mean(axis=AXES))),
)  # fmt: skip
broken("dγ without x̂", "missing term", dgamma=of(lambda dy: dy.sum(axis=AXES)),
       also=("wrong tensor",))  # fmt: skip
broken("dγ with x", "wrong tensor", dgamma=of(lambda dy, x: (dy * x).sum(axis=AXES)))
broken("dβ averaged", "constant factor", dbeta=of(lambda dy: dy.mean(axis=AXES)))
broken("dγ over the batch only", "wrong shape",
       dgamma=of(lambda dy, xhat: (dy * xhat).sum(axis=0)))  # fmt: skip
broken("dβ over other axes, by chance of equal shape", "wrong axis",
       dbeta=of(lambda dy: dy.sum(axis=(1, 2, 3))))  # fmt: skip
broken("dβ zero", "missing gradient", dbeta=of(lambda dy, gamma: 0 * gamma))
broken(
    "dx negative", "constant factor",
    of(lambda dy, xhat, rstd, gamma, mean, slope: -gamma * rstd * (dy - mean - xhat * slope)),
)  # fmt: skip


@wrong(batch_norm, "wrong tensor", also=("missing term",))
def _(dy, cache):
    """batch norm: dγ and dβ exchanged"""
    x, xhat, rstd, gamma = cache
    dgamma, dbeta = sums(dy, xhat)
    m = x.size // x.shape[-1]
    return gamma * rstd * (dy - dbeta / m - xhat * dgamma / m), dbeta, dgamma


def batch_norm_in_place(x, gamma, beta):
    x -= x.mean(axis=AXES)
    rstd = 1 / np.sqrt((x * x).mean(axis=AXES) + EPS)
    x *= rstd
    return gamma * x + beta, (x, x, rstd, gamma)


@wrong(batch_norm_in_place, "input overwritten")
def _(dy, cache):
    """batch norm: normalises x itself"""
    x, xhat, rstd, gamma = cache
    dgamma, dbeta = sums(dy, xhat)
    m = x.size // x.shape[-1]
    return gamma * rstd * (dy - dbeta / m - xhat * dgamma / m), dgamma, dbeta


# --- instance normalisation ---------------------------------------------------------------------


def instance_norm(x):
    centred = x - x.mean(axis=(1, 2), keepdims=True)
    rstd = 1 / np.sqrt((centred**2).mean(axis=(1, 2), keepdims=True) + EPS)
    return centred * rstd, (centred * rstd, rstd)


def images(rng):
    return (rng.standard_normal((3, 4, 2, 3)) * 2 + 1,)


@right(instance_norm, arguments=images)
def _(dy, cache):
    """instance norm"""
    xhat, rstd = cache
    mean = dy.mean(axis=(1, 2), keepdims=True)
    return rstd * (dy - mean - xhat * (dy * xhat).mean(axis=(1, 2), keepdims=True))


@right(instance_norm, arguments=images)
def _(dy, cache):
    """instance norm, image by image"""
    xhat, rstd = cache
    dx = np.empty_like(dy)
    for n in range(len(dy)):
        for c in range(dy.shape[3]):
            d, h = dy[n, :, :, c], xhat[n, :, :, c]
            dx[n, :, :, c] = rstd[n, 0, 0, c] * (d - d.mean() - h * np.vdot(d, h) / d.size)
    return dx


@wrong(instance_norm, "missing term", images)
def _(dy, cache):
    """instance norm: mean forgotten"""
    xhat, rstd = cache
    return rstd * (dy - xhat * (dy * xhat).mean(axis=(1, 2), keepdims=True))


@wrong(instance_norm, "missing term", images)
def _(dy, cache):
    """instance norm: variance forgotten"""
    _, rstd = cache
    return rstd * (dy - dy.mean(axis=(1, 2), keepdims=True))


@wrong(instance_norm, "wrong axis", images)
def _(dy, cache):
    """instance norm: means over the batch too"""
    xhat, rstd = cache
    return rstd * (dy - dy.mean(axis=AXES) - xhat * (dy * xhat).mean(axis=AXES))


def layer_norm(x, gamma):
    mean = x.mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(x.var(axis=1, keepdims=True) + EPS)
    xhat = (x - mean) * rstd
    return gamma * xhat, (xhat, rstd, gamma)


def rows(rng):
    return rng.standard_normal((4, 7)), rng.uniform(0.5, 2, 7)


@right(layer_norm, arguments=rows)
def _(dy, cache):
    """layer norm"""
    xhat, rstd, gamma = cache
    d = dy * gamma
    mean, slope = d.mean(axis=1, keepdims=True), (d * xhat).mean(axis=1, keepdims=True)
    return rstd * (d - mean - xhat * slope), (dy * xhat).sum(axis=0)


@wrong(layer_norm, "missing term", rows)
def _(dy, cache):
    """layer norm: mean forgotten"""
    xhat, rstd, gamma = cache
    d = dy * gamma
    return rstd * (d - xhat * (d * xhat).mean(axis=1, keepdims=True)), (dy * xhat).sum(axis=0)
