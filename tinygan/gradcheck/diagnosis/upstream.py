"""Which contributions of dy arrive: all of them, from the right places, through the right mask?"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Match


def upstream_rearranged(evidence: Evidence, name):
    """The gradient for a dy that was flipped, transposed, summed or partly left out."""
    if evidence.is_loss or not evidence.y.ndim:
        return []
    jacobian, shape = evidence.jacobian(name), evidence.subject.tensors[name].shape
    for kind, text, rank, change in _changes(evidence.y.shape):
        predicted = [(jacobian @ change(dy).ravel()).reshape(shape) for dy in evidence.dys]
        if evidence.explains(name, predicted):
            return [Match(kind, text, rank)]
    return []


def _changes(shape):
    axes = [i for i, n in enumerate(shape) if n > 1]
    for axis in axes:
        yield (
            "assigned",
            f"only the last part of dy along axis {axis} arrives: a loop assigns (=) where it "
            "should add up (+=)",
            1,
            lambda dy, a=axis: _only(dy, a, -1),
        )
        yield (
            "missing term",
            f"only the first part of dy along axis {axis} is used",
            1,
            lambda dy, a=axis: _only(dy, a, 0),
        )
    for first, second in combinations(axes, 2):
        yield (
            "assigned",
            f"only the last part of dy along axes {first} and {second} arrives: a loop assigns (=) "
            "where it should add up (+=)",
            1,
            lambda dy, a=first, b=second: _only(_only(dy, a, -1), b, -1),
        )
    if len(axes) >= 3:
        yield (
            "assigned",
            "only the last position of dy arrives: a loop assigns (=) where it should add up (+=)",
            1,
            lambda dy: _only(_only(_only(dy, axes[0], -1), axes[1], -1), axes[2], -1),
        )
    for axis in axes:
        for end, place in ((0, "first"), (-1, "last")):
            yield (
                "missing term",
                f"the {place} part of dy along axis {axis} is left out: a loop begins too late or "
                "ends too early",
                1,
                lambda dy, a=axis, e=end: dy - _only(dy, a, e),
            )
    for i, j in combinations(axes, 2):
        if shape[i] == shape[j]:
            yield (
                "transposed",
                f"dy is read with axes {i} and {j} exchanged",
                2,
                lambda dy, i=i, j=j: dy.swapaxes(i, j),
            )
    for count in range(1, len(axes) + 1):
        for chosen in combinations(axes, count):
            yield (
                "flipped kernel" if len(shape) == 4 and chosen == (1, 2) else "transposed",
                f"dy is read in reverse along axes {chosen}",
                2,
                lambda dy, c=chosen: np.flip(dy, c),
            )
            for what, function in (("summed", np.sum), ("averaged", np.mean)):
                yield (
                    "wrong axis",
                    f"dy is {what} over axes {chosen} before it is used",
                    2,
                    lambda dy, c=chosen, f=function: np.broadcast_to(
                        f(dy, axis=c, keepdims=True), dy.shape
                    ),
                )
    if len(shape) == 4:
        for i in range(-2, 3):
            for j in range(-2, 3):
                if (i, j) != (0, 0):
                    yield (
                        "stride or padding",
                        f"dy is read ({i}, {j}) pixels off",
                        2,
                        lambda dy, i=i, j=j: _shift(dy, i, j),
                    )
    yield "upstream ignored", "the gradient is that of dy = 1", 0, np.ones_like
    yield "wrong mask", "only the positive part of dy arrives", 2, lambda dy: dy * (dy > 0)
    yield "wrong mask", "the sign of dy is lost: |dy| arrives", 2, np.abs


def _only(dy, axis, index):
    kept = np.zeros_like(dy)
    where = [slice(None)] * dy.ndim
    where[axis] = index
    kept[tuple(where)] = dy[tuple(where)]
    return kept


def _shift(dy, i, j):
    out = np.zeros_like(dy)
    _, h, w, _ = dy.shape
    out[:, max(0, i) : h + min(0, i), max(0, j) : w + min(0, j)] = dy[
        :, max(0, -i) : h + min(0, -i), max(0, -j) : w + min(0, -j)
    ]
    return out


def contributions(evidence: Evidence, name):
    """Entries of the Jacobian that are switched off or on."""
    found = evidence.analytic_jacobian(name)
    if found is None:
        return []
    right = evidence.jacobian(name)
    size = np.abs(right).max()
    if found.shape != right.shape or not size:
        return []
    there, seen = np.abs(right) > 1e-6 * size, np.abs(found) > 1e-6 * size
    agree = np.abs(found - right) <= evidence.tolerance * size
    if agree.all():
        return []
    dropped, extra = there & ~seen, seen & ~there
    if (agree | dropped).all() and not extra.any():
        return [_dropped(evidence, name, there, dropped)]
    return _switched_outputs(right, found, size)


def _dropped(evidence, name, there, dropped):
    """Everything that arrives is right, but something is left out."""
    kept = there & ~dropped
    if _last_wins(evidence.y.shape, there, kept):
        text = (
            "where windows overlap only the last one's contribution is left: they overwrite (=) "
            "each other where they should add up (+=)"
        )
        return Match("assigned", text, 2)
    outputs = dropped.any(axis=0)
    whole = (~kept[:, outputs]).all()
    some = np.array_equal(outputs, there.any(axis=0))
    share = dropped.sum() / there.sum()
    masks = not evidence.forward_is_linear(name)
    if masks and whole and not some and _scattered(outputs.reshape(evidence.y.shape)):
        text = "some outputs pass no gradient although they should: the mask is a wrong one"
        return Match("wrong mask", text, 3)
    text = (
        f"{share:.0%} of what should flow into the gradient of {name} is left out, the rest is "
        "right: a term of the sum is missing"
    )
    return Match("missing term", text, 3)


def _last_wins(shape, there, kept):
    """Whether of all positions (without channels) that touch an element only the last is left."""
    several = False
    for possible, left in zip(there, kept, strict=True):
        positions, remaining = _positions(shape, possible), _positions(shape, left)
        if not positions:
            continue
        if remaining != {max(positions)}:
            return False
        several |= len(positions) > 1
    return several


def _positions(shape, row):
    index = np.unravel_index(np.flatnonzero(row), shape)
    places = index[:-1] if len(shape) == 4 else index
    return {tuple(map(int, place)) for place in zip(*places, strict=True)}


def _scattered(outputs):
    """Whether the outputs are no block: some but not all of every axis' slices that have any."""
    for axis in range(outputs.ndim):
        others = tuple(i for i in range(outputs.ndim) if i != axis)
        counts = outputs.sum(axis=others)
        full = outputs.size // outputs.shape[axis]
        if np.isin(counts, (0, full)).all():
            return False
    return True


def _switched_outputs(right, found, size):
    """Each output's slope is right, zero, or a fixed multiple: a mask decides wrongly."""
    ratios = []
    for j in range(right.shape[1]):
        r, f = right[:, j], found[:, j]
        square = r @ r
        if square < (1e-6 * size) ** 2:
            if np.abs(f).max() > 1e-6 * size:
                ratios.append(np.inf)
            continue
        c = float(f @ r) / square
        if np.abs(f - c * r).max() > 1e-4 * size:
            return []
        ratios.append(round(c, 4))
    values = set(ratios)
    if len(values) == 2 and 1.0 in values and not values & {0.0, np.inf}:
        (factor,) = values - {1.0}
        text = f"some outputs' gradients are right, those of the others {factor:.4g} times as large"
        return [Match("constant factor", text, 3)]
    if 2 <= len(values) <= 4 and (1.0 in values or np.inf in values):
        text = (
            "each output's gradient is right, or switched on or off wrongly: the mask is taken "
            "from a wrong tensor"
        )
        return [Match("wrong mask", text, 3)]
    return []


def not_linear(evidence: Evidence, name):
    """Every right backward pass is linear in dy; this one is not: how?"""
    if evidence.linear or evidence.is_loss:
        return []
    dy, other = evidence.dys[:2]

    def walk(upstream):
        return evidence.walk(upstream)[name]

    nothing, here, there = walk(0 * dy), walk(dy), walk(other)
    if np.any(nothing):
        parts = (here - nothing) - 2 * (there - nothing)
        if evidence.close([walk(dy - 2 * other) - nothing], [parts]):
            text = "a part of the gradient does not depend on dy: dy is forgotten in a term"
            return [Match("upstream ignored", text, 2)]
        return []
    if evidence.close([walk(3 * dy)], [3 * here]) and not evidence.close([walk(-dy)], [-here]):
        text = (
            "the gradient is not linear in dy: a mask that should depend on x is computed from dy"
        )
        return [Match("wrong mask", text, 3)]
    return []
