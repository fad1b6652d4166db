"""The rules that need no derivative: what does the code under test do to its surroundings?

Each is an observation that a right implementation cannot produce: an array that changed, a way
back that depends on what was called after it, a gradient that forgot what it held before.
"""

from __future__ import annotations

import numpy as np

from tinygan.gradcheck.report import Cause
from tinygan.gradcheck.subject import BackwardError, NotCheckable, Subject, numbers
from tinygan.machine.arrays import asnumpy

NOISE = 1e-10
"""Relative noise above which numbers have been through less than double precision."""

SPACING = 3e-7
"""Between the points of a line, relative: a few roundings of float32, little enough for kinks."""

EPS = float(np.finfo(np.float64).eps)
LOW = (np.float32, np.float16)


RULES = {
    "input overwritten": "{when} writes into {tensor}, which belongs to the caller; work on a copy",
    "upstream overwritten": "backward writes into dy, which belongs to the caller (another branch "
    "may still need it); work on a copy",
    "output overwritten": "backward writes into the output that forward returned, which the caller "
    "still holds; keep a copy in the cache or work on a new array",
    "assigned": "backward sets {tensor}.grad instead of adding to it: what an earlier call "
    "gathered is lost; write grad += …",
    "shared cache": "a second forward call changes the {what} of the first: {why}",
    "float32": "{what} in float32 although everything before is float64: create arrays with the "
    "dtype of what they are computed from (zeros_like, dtype=x.dtype)",
}
"""What is said where a rule is broken."""


def _broken(kind, tensor, **words):
    return Cause(kind, tensor, RULES[kind].format(tensor=tensor, **words))


def overwriting(subject: Subject, dy) -> list[Cause]:
    """Whether the arguments, the upstream gradient or the returned output are written to."""
    causes: dict[str, Cause] = {}

    def look(when):
        for name, array in call.given.items():
            if not _as_it_was(asnumpy(array), subject.tensors[name]):
                causes.setdefault(name, _broken("input overwritten", name, when=when))

    call = subject.call()
    look("forward")
    upstream = subject.upstream(dy)
    before = asnumpy(upstream).copy()
    try:
        subject.walk(call, upstream)
    except BackwardError:
        return list(causes.values())
    look("backward")
    if not _as_it_was(asnumpy(upstream), before):
        causes["dy"] = _broken("upstream overwritten", "dy")
    elif not causes and not _same(numbers(call.output, "y"), call.y):
        causes["y"] = _broken("output overwritten", "y")
    return list(causes.values())


def accumulation(subject: Subject, dy, gradients, rng) -> list[Cause]:
    """Whether parameters' gradients are added to what was gathered before."""
    if subject.layer is None:
        return []
    before = {n: rng.standard_normal(t.shape) for n, t in subject.tensors.items() if n != "x"}
    after = subject.walk(subject.call(), subject.upstream(dy), before)
    causes = []
    for name, start in before.items():
        alone, got = gradients[name], after[name]
        if got is None or got.shape != start.shape or not np.any(alone):
            continue
        if _close(got, alone) and not _close(got, start + alone):
            causes.append(_broken("assigned", name))
    return causes


def shared_cache(subject: Subject, dy, gradients) -> list[Cause]:
    """Whether a second forward call changes the backward pass of the first."""
    if subject.keeps_cache:
        return []
    x = next(iter(subject.tensors))
    other = {**subject.tensors, x: _rearranged(subject.tensors[x])}
    for second_first in (False, True):
        try:
            first = subject.call()
            second = subject.call(other, restore=False)
        except NotCheckable:
            return []
        if subject.layer is not None:  # the second call's parameters are the first one's again
            for name, parameter in subject._parameters.items():
                parameter.data = first.given[name]
        if not _same(numbers(first.output, "y"), first.y):
            why = "both use one array; allocate the output anew in every call"
            return [_broken("shared cache", "y", what="output", why=why)]
        try:
            if second_first:
                subject.walk(second, subject.upstream(dy))
            got = subject.walk(first, subject.upstream(dy))
        except BackwardError:
            got = {name: None for name in gradients}
        for name, alone in gradients.items():
            if alone is not None and (got[name] is None or not _close(got[name], alone)):
                why = "what backward needs is kept on the layer or in a global instead of in the "
                why += "cache that forward returns"
                return [_broken("shared cache", name, what="gradients", why=why)]
    return []


def precision(subject: Subject, dy, rng) -> tuple[np.ndarray, list[Cause]]:
    """Return the noise of each output, and causes where float32 was used.

    Along a line of seven close points, fourth differences of a smooth function vanish;
    what is left of them is rounding (Moré, Wild, *Estimating Computational Noise*, 2011).
    """
    call = subject.call()
    dtype, y = getattr(call.output, "dtype", None), call.y
    x = next(iter(subject.tensors.values()))
    # what is far below this is zero but for rounding
    unit = 1e-5 * np.abs(dy).max(initial=1e-300) * (1 + np.abs(y).max(initial=0))
    unit /= 1 + np.abs(x).max(initial=0)

    def outputs(line):
        size = np.abs(y).max(initial=0) or 1.0
        return [subject.call(values).y / size for values in line]

    def gradients(line):
        found, sizes = [], None
        for scale, values in zip(1 + SPACING * np.arange(7), line, strict=True):
            got = subject.walk(subject.call(values), subject.upstream(dy * scale))
            parts = [np.ravel(g) for g in got.values() if g is not None]
            if sizes is None:  # small gradients tell as much as large ones, unless they are zero
                sizes = [np.abs(part).max(initial=0) for part in parts]
                least = max(1e-3 * max(sizes, default=0.0), unit)
                sizes = [max(a, 1e-3 * b, least) for a, b in zip(sizes, typical, strict=True)]
            found.append(np.concatenate([p / s for p, s in zip(parts, sizes, strict=True)]))
        return found

    low_output = dtype is not None and dtype in LOW
    noise, unusual, each = _noise(subject, outputs, rng)
    each = each.reshape(y.shape) * (np.abs(y).max(initial=0) or 1.0)
    if unusual > NOISE or low_output:
        each = np.maximum(each, max(noise, 1e-8) * np.abs(y).max(initial=0))
        return each, [_broken("float32", "y", what="the output is computed")]
    try:
        walked = subject.walk(subject.call(), subject.upstream(dy))
        low = [n for n, g in walked.items() if g is not None and g.dtype in LOW]
        # the terms of a gradient may cancel, as behind a normalisation with a dy of ones: what is
        # far below the gradient of any other dy of that size is rounding too
        other = np.abs(dy).max(initial=0) * rng.spawn(1)[0].standard_normal(dy.shape)
        walked = subject.walk(subject.call(), subject.upstream(other))
        typical = [np.abs(g).max(initial=0) for g in walked.values() if g is not None]
        if not low and _noise(subject, gradients, rng)[1] <= NOISE:
            return each, []
    except (BackwardError, ValueError):
        return each, []
    names = ", ".join(low) or "gradients"
    return each, [_broken("float32", names, what="the gradient is computed")]


def _noise(subject, compute, rng):
    """Return the noise of ``compute(line)``, numbers of size 1, how unusual it is, and each one's.

    The least of a few lines counts: rounding is on all of them, a kink is not.
    """
    level, unusual, each = np.inf, np.inf, np.inf
    for k, offset in enumerate((1e-5, -2.3e-5, 4.1e-5, -6.7e-5)):
        here, much, noise = _noise_along_line(subject, compute, rng, offset)
        (unusual, level), each = min((unusual, level), (much, here)), np.minimum(each, noise)
        if unusual <= NOISE and (k or not np.any(each > 1e3 * EPS)):
            break
    return level, unusual, each


def _noise_along_line(subject, compute, rng, offset):
    direction = {
        n: rng.standard_normal(v.shape) * (np.abs(v) + 0.1 * np.abs(v).mean())
        for n, v in subject.tensors.items()
    }
    line = [
        {n: v + (offset + SPACING * k) * direction[n] for n, v in subject.tensors.items()}
        for k in range(7)
    ]
    with np.errstate(all="ignore"):
        values = np.array([np.ravel(v) for v in compute(line)])
        fourth = np.diff(values, n=4, axis=0) / np.sqrt(70)
        noise = np.nan_to_num(np.sqrt((fourth**2).mean(axis=0)))
        # where a relative change of the input is amplified, so is the rounding of float64
        steps = np.nan_to_num(np.abs(np.diff(values, axis=0)).max(axis=0, initial=0) / SPACING)
    if not noise.size:
        return 0.0, 0.0, noise
    # one output in twenty must be noisy, and two at least: a kink makes one so
    k = max(min(2, noise.size), noise.size // 20)
    unusual = np.sort(noise / np.maximum(1.0, 0.02 * steps.max()))[-k]
    return float(np.sort(noise)[-k]), float(unusual), noise


def _rearranged(value):
    """Return other numbers of the same range."""
    flat = np.roll(value.ravel(), 1)[::-1].reshape(value.shape)
    return flat if not np.array_equal(flat, value) else value * 0.75


def _same(a, b):
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=True)


def _as_it_was(a, b):
    """Whether it is what it was, but for the rounding of a change that was undone."""
    return _same(a, b) or (
        a.shape == b.shape and np.allclose(a, b, rtol=8 * EPS, atol=16 * EPS, equal_nan=True)
    )


def _close(a, b):
    if a.shape != b.shape:
        return False
    size = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
    return bool(np.abs(a - b).max(initial=0) <= 1e-6 * size)
