"""Right numbers in wrong places: dy, the gradient or another tensor transposed, flipped, shifted.

Each function here yields what is often done wrongly to an array; the same list serves the upstream
gradient before it is used and the gradient that comes out.
"""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import Evidence, Guess, subsets

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


def gradient_reordered(evidence: Evidence, name):
    """The gradient transposed, reshaped, reversed, with its halves exchanged, or another's."""
    shape = evidence.tensors[name].shape
    for kind, text, change in _rearranged(shape, weight=name != evidence.input_name):
        text = f"the gradient of {name} is {text}"
        yield Guess(kind, text, 1, lambda dy, f=change: f(evidence.pull(name, dy)))
    for other, value in evidence.tensors.items():
        if other != name and value.shape == shape:
            both = evidence.explains(other, lambda dy: evidence.pull(name, dy))
            if both and not all(evidence.is_right(n) for n in evidence.tensors
                                if n not in (name, other)):  # fmt: skip
                continue  # masks or weights may be exchanged as well
            text = f"this is the gradient of {other}{': are the two exchanged?' * both}"
            yield Guess("wrong tensor", text, 2 - both, lambda dy, o=other: evidence.pull(o, dy))


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
