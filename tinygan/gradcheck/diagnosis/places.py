"""Right numbers in wrong places: dy, the gradient or another tensor transposed, flipped, shifted.

Each function here yields what is often done wrongly to an array; the same list serves the upstream
gradient before it is used and the gradient that comes out.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess, subsets
from tinygan.gradcheck.diagnosis.factors import spread
from tinygan.gradcheck.numeric import Numeric

ADD_UP = "a loop assigns (=) where it should add up (+=)"


def _long(shape):
    return [i for i, n in enumerate(shape) if n > 1]


def dy_changed(evidence: Evidence, name):
    """The gradient for a dy that was flipped, transposed, summed or partly left out."""
    if evidence.is_loss or not evidence.y.ndim:
        return
    for kind, text, rank, change in _parts(evidence.y.shape):
        yield Guess(kind, text, rank, lambda dy, f=change: evidence.pull(name, f(dy)))
    for kind, text, change in _rearranged(evidence.y.shape):
        yield Guess(kind, f"dy is {text}", 2, lambda dy, f=change: evidence.pull(name, f(dy)))


def _parts(shape):
    """Yield changes of dy that leave a part of it out, or mix its parts."""
    axes = _long(shape)
    for chosen in subsets(axes):
        if len(chosen) <= 2 or len(chosen) == min(3, len(axes)):
            text = f"only the last part of dy along axes {chosen} arrives: {ADD_UP}"
            yield "assigned", text, 1, lambda dy, c=chosen: _only(dy, c, -1)
    for a in axes:
        text = f"only the first part of dy along axis {a} is used"
        yield "missing term", text, 1, lambda dy, a=a: _only(dy, (a,), 0)
        for end, place in ((0, "first"), (-1, "last")):
            text = f"the {place} part of dy along axis {a} is left out: a loop begins too late or "
            text += "ends too early"
            yield "missing term", text, 1, lambda dy, a=a, e=end: dy - _only(dy, (a,), e)
    for chosen, (what, f) in product(subsets(axes), (("summed", np.sum), ("averaged", np.mean))):
        text = f"dy is {what} over axes {chosen} before it is used"
        yield "wrong axis", text, 2, lambda dy, c=chosen, f=f: f(dy, c, keepdims=True) + 0 * dy
    yield "upstream ignored", "the gradient is that of dy = 1", 0, np.ones_like
    yield "extra term", "the gradient is multiplied by dy twice", 2, np.square
    yield "wrong mask", "only the positive part of dy arrives", 2, lambda dy: dy * (dy > 0)
    yield "wrong mask", "the sign of dy is lost: |dy| arrives", 2, np.abs


def _rearranged(shape, only_axes=False, weight=False):
    """Yield ``(kind, sentence, change)`` of what puts an array's numbers elsewhere."""
    for order in list(permutations(range(len(shape))))[1:]:
        permuted, back = tuple(shape[i] for i in order), np.argsort(order)
        if permuted == shape:
            yield "transposed", f"transposed: axes {order}", lambda a, o=order: a.transpose(o)
        elif not only_axes:
            text = f"transposed before a reshape: axes {order}"
            yield "transposed", text, lambda a, o=order: a.transpose(o).reshape(shape)
            text = f"reshaped where it should be transposed: axes {order}"
            yield "transposed", text, lambda a, p=permuted, b=back: a.reshape(p).transpose(b)
    kernel = len(shape) == 4 or only_axes or weight
    for axes in subsets(_long(shape)):
        kind = "flipped kernel" if kernel else "transposed"
        yield kind, f"flipped along axes {axes}", lambda a, c=axes: np.flip(a, c)
    for axis, n in enumerate(shape):
        if n % 2 == 0 and n > 2 and not only_axes:
            text = f"read with its halves along axis {axis} exchanged"
            yield "transposed", text, lambda a, n=n, i=axis: np.roll(a, n // 2, i)


def _only(dy, axes, index):
    kept = np.zeros_like(dy)
    where = tuple(index if a in axes else slice(None) for a in range(dy.ndim))
    kept[where] = dy[where]
    return kept


def moved(evidence: Evidence, name):
    """What each output sends to the gradient lands some elements off: stride, padding or offset.

    Along an axis of the tensor and one of the output, A[i, o] = J[i + d·o + e, o], or
    A[i, o] = J[i, o + d·i + e].
    """
    found, right = evidence.analytic_jacobian(name), evidence.jacobian(name)
    if found is None or found.shape != right.shape:
        return
    shape, of_y = evidence.tensors[name].shape, evidence.y.shape
    right, found = (m.reshape(shape + of_y) for m in (right, found))
    near = evidence.tolerance * np.abs(right).max()
    if (np.abs(found * (found - right)) <= near * np.abs(right).max()).all():
        return  # what arrives is right

    def fits(right, found, pairs, d, e):
        other = right
        for a, b in pairs:
            other = _moved(other, a, b, d, e)
        there = np.isfinite(other)
        far = np.abs(np.where(there, found - other, 0)).max() > near
        same = np.abs(np.where(there, right - other, 0)).max() <= 100 * near
        return not far and not same and np.abs(found[there]).sum() > 0.25 * np.abs(found).sum()

    space = (IMAGE if name == evidence.input_name else KERNEL).get(len(shape), [])
    for ours, theirs in product(space, IMAGE.get(len(of_y), [])):
        if len(ours) != len(theirs):
            continue
        pairs = [(a, len(shape) + b) for a, b in zip(ours, theirs, strict=True)]
        few = tuple(slice(None if i in sum(pairs, ()) else 2) for i in range(right.ndim))
        for turned, (d, e) in product((pairs, [(b, a) for a, b in pairs]), MOVES):
            for chosen in (turned, turned[:1], turned[1:]):
                if all(fits(right[p], found[p], chosen, d, e) for p in (few, ...)):
                    step = f"{d}·o{e:+d}" if d else f"{e:+d}"
                    axes = tuple(min(pair) for pair in chosen)
                    text = f"what flows from output o to {name} is taken {step} off along axes "
                    text += f"{axes}: a stride, a padding or an index is off"
                    yield Guess("stride or padding", text, 3)
                    return


IMAGE: dict[int, list[tuple[int, ...]]] = {3: [(1,), (2,)], 4: [(1, 2), (2, 3)]}
KERNEL: dict[int, list[tuple[int, ...]]] = {3: [(0,), (1,), (2,)], 4: [(0, 1), (2, 3)]}
"""Which axes may be those of space, by the number of dimensions."""

MOVES = sorted(product((0, 1, -1), range(-2, 3)), key=lambda c: abs(c[0]) + abs(c[1]))[1:]


def _moved(array, a, b, d, e):
    """Return the array moved along axis `a` by d times the index of axis `b` and e, else NaN."""
    array = np.moveaxis(array, (a, b), (0, 1))
    place, output = np.indices(array.shape[:2])
    source = place + d * output + e
    there = (source >= 0) & (source < len(array))
    values = array[np.where(there, source, 0), output]
    values[~there] = np.nan
    return np.moveaxis(values, (0, 1), (a, b))


def gradient_reordered(evidence: Evidence, name):
    """The gradient transposed, reshaped, reversed, with its halves exchanged, or another's."""
    shape = evidence.tensors[name].shape
    for kind, text, change in _rearranged(shape, weight=name != evidence.input_name):
        text = f"the gradient of {name} is {text}"
        yield Guess(kind, text, 1, lambda dy, f=change: f(evidence.pull(name, dy)))
    for other, value in evidence.tensors.items():
        if other != name and value.shape == shape:
            both = evidence.explains(other, lambda dy: evidence.pull(name, dy))
            if both and not all(_is_right(evidence, n) for n in evidence.tensors
                                if n not in (name, other)):  # fmt: skip
                continue  # masks or weights may be exchanged as well
            text = f"this is the gradient of {other}{': are the two exchanged?' * both}"
            yield Guess("wrong tensor", text, 2 - both, lambda dy, o=other: evidence.pull(o, dy))


def _is_right(evidence, name):
    found = evidence.found(name)
    return all(g is not None for g in found) and evidence.close(found, evidence.right(name))


def wrong_shape(evidence: Evidence, name):
    """A gradient of another shape: transposed, or the right numbers reshaped."""
    found, right = evidence.found(name), evidence.right(name)
    shape, seen = right[0].shape, found[0].shape
    for order in permutations(range(len(seen))):
        turned = [g.transpose(order) for g in found]
        if turned[0].shape == shape and evidence.close(turned, right):
            text = f"the gradient of {name} is transposed: shape {seen} for {shape}"
            yield Guess("transposed", text, 0)
    text = f"the gradient of {name} has shape {seen}, expected {shape}"
    if found[0].size == right[0].size and evidence.close([g.reshape(shape) for g in found], right):
        yield Guess("wrong shape", f"right numbers, but of shape {seen}: reshape to {shape}", 1)
    yield Guess("wrong shape", text, 9)


def map_for_its_transpose(evidence: Evidence, name):
    """A square linear map applied itself where its transpose was due.

    Not so where it is a symmetric one times a factor, as of a normalisation: then the factor may
    as well stand on the wrong side of it.
    """
    jacobian, shape = evidence.jacobian(name), evidence.tensors[name].shape
    if jacobian.shape[0] != jacobian.shape[1]:
        return
    for value in (v for n, v in evidence.tensors.items() if n != name and np.all(v)):
        for factor in spread(value, shape):
            symmetric = jacobian / np.broadcast_to(factor, shape).ravel()
            if evidence.close([symmetric], [symmetric.T]):
                return
    text = "dy is multiplied by the forward map instead of by its transpose"
    yield Guess("transposed", text, 2, lambda dy: (jacobian.T @ dy.ravel()).reshape(shape))


def tensor_replaced(evidence: Evidence, name):
    """The right gradient of a forward pass one of whose tensors was another one."""
    passed_on = evidence.close(evidence.found(name), evidence.dys)
    v = [evidence.rng.standard_normal(evidence.tensors[name].shape) for _ in range(3)]
    found = [[float((g * d).sum()) for d in v] for g in evidence.found(name)]
    for other, value in evidence.tensors.items():
        if other == name and passed_on:
            continue  # dy itself: nothing stands in another's place
        for changed, kind, text, rank in _replacements(evidence, name, other, value):
            if _slopes_agree(evidence, {**evidence.tensors, other: changed}, name, v, found):
                yield Guess(kind, text, rank)
                break


def _replacements(evidence, name, other, value):
    """Yield ``(value, kind, sentence, rank)`` of what may have stood in the tensor's place."""
    rivals = {n: t for n, t in evidence.tensors.items() if n != other}
    for rival, values in (rivals | {"y": evidence.y}).items():
        if values.shape == value.shape:
            text = f"{rival} is used where {other} is due"
            yield values, "wrong tensor", text, 2
            if value.ndim > 1 and value.shape[-1] == value.shape[-2]:
                yield values.swapaxes(-1, -2), "wrong tensor", text, 2
    if other == name:
        return
    if evidence.forward_is_linear(other):
        yield np.ones_like(value), "missing term", f"{other} is left out, as if it were 1", 2
        yield np.zeros_like(value), "missing term", f"the term of {other} is left out", 2
    for kind, text, change in _rearranged(value.shape, only_axes=True):
        yield change(value), kind, f"backward uses {other} {text}", 2


def _slopes_agree(evidence, tensors, name, directions, found):
    """Whether ⟨g, v⟩ is the slope along every v of the forward pass at other `tensors`."""
    other = evidence.subject.with_tensors(tensors)
    try:
        numeric = Numeric(other, other.call().y)
    except ValueError:
        return False
    if numeric.y.shape != evidence.y.shape or not np.isfinite(numeric.y).all():
        return False
    size = max(np.linalg.norm(g) for g in evidence.found(name))
    differs = False
    for d, v in enumerate(directions):
        there = numeric.along(name, v).value
        here = evidence.numeric.along(name, v).value
        for k, dy in enumerate(evidence.dys):
            slope = float((there * dy).sum())
            if not abs(slope - found[k][d]) <= 10 * evidence.tolerance * size:
                return False
            differs |= bool(abs(slope - float((here * dy).sum())) > 1e-3 * size)
    return differs
