"""The changes of one expression that a mistake may be undone with: a table.

Each function takes the trials, an expression's node and its value, and yields edits.  A new one is
a generator and its name in `EDITS`.
"""

from __future__ import annotations

import ast
from itertools import permutations, product

import numpy as np

from tinygan.gradcheck.diagnosis.evidence import subsets
from tinygan.gradcheck.diagnosis.places import ADD_UP
from tinygan.gradcheck.diagnosis.trials import Edit, is_array, is_bool, is_float, is_int

PRODUCT = (ast.Mult, ast.Div)
NAMED = (ast.Name, ast.Attribute, ast.Subscript)
PICKS = ("where", "sign", "greater", "less", "heaviside", "argmax", "argmin")


# --- where an expression stands -------------------------------------------------------------------


def around(node):
    """Yield the nodes that an expression stands in, from the inside."""
    while node.up is not None:
        node = node.up
        yield node


def operator_of(node):
    """Return the kind of operation that the expression is an operand of, or None."""
    return type(node.up.op) if isinstance(node.up, ast.BinOp) else None


def called(node):
    """Return the name of the function or method that is called, or an empty text."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def in_mask(node):
    """Whether the value decides which elements are picked."""
    for outer in around(node):
        first = called(outer) != "where" or node is outer.args[0]
        if isinstance(outer, ast.Compare) or (called(outer) in PICKS and first):
            return True
        node = outer
    return False


def counts_for(node) -> str | None:
    """Return the kind of mistake that a wrong whole number is here, or None: it is a value."""
    sliced, start = False, node
    for outer in around(node):
        if isinstance(outer, ast.Slice):
            sliced = True
        elif isinstance(outer, ast.Subscript):
            if getattr(outer.value, "attr", "") == "shape":
                return None
            many = sliced or isinstance(outer.slice, ast.Tuple)
            return "stride or padding" if many else "wrong tensor"
        elif isinstance(outer, ast.Call):
            if called(outer) == "range":
                return "missing term"
            return "stride or padding" if called(outer) in ("pad", "roll") else None
        elif isinstance(outer, ast.Compare):
            return "wrong mask"
        elif isinstance(outer, ast.Assign):
            moves = operator_of(start) in (ast.Add, ast.Sub, ast.FloorDiv)
            return "stride or padding" if moves else None
        elif not isinstance(outer, (ast.BinOp, ast.UnaryOp, ast.Tuple, ast.List, ast.keyword)):
            return None
    return None


def everywhere(t, node):
    """Return all places of a variable in its function, if this is the first of several."""
    if not isinstance(node, NAMED):
        return ()
    nodes = [t.nodes[i] for i in t.values if isinstance(i, int)]
    same = [n for n in nodes if n.function == node.function and ast.dump(n) == ast.dump(node)]
    places = sorted(n.place for n in same)
    return tuple(places) if len(places) > 1 and places[0] == node.place else ()


def operands(t, node):
    """Return the places of both operands, or of what a call is about, that have values."""
    inner: list
    if isinstance(node, ast.BinOp):
        inner = [node.left, node.right]
    elif isinstance(node, ast.Call):
        inner = [getattr(node.func, "value", None), *node.args[:1]]
    else:
        inner = [getattr(node, "value", None)]
    return [n.place for n in inner if getattr(n, "place", None) in t.values]


def is_numeric(value):
    return is_array(value) or is_float(value) or is_int(value)


# --- numbers and operators ------------------------------------------------------------------------


def scaled(t, node, v):
    """A constant factor; 0 if this is a term too many."""
    inside = operator_of(node) in (*PRODUCT, ast.MatMult) and not isinstance(node, ast.Constant)
    number = is_int(v) and isinstance(node.up, (ast.BinOp, ast.Assign))
    if inside or not (is_float(v) or number):
        return
    if is_int(v) and counts_for(node) is not None:
        return
    mask, power = in_mask(node), operator_of(node) is ast.Pow and node.up.right is node

    def kind(c):
        if power:
            return "missing term" if c > 1 else "extra term"
        named = "missing term" if t.named(c) else "constant factor"
        return "wrong mask" if mask else named if c else "extra term"

    def text(c):
        if t.named(c):
            return f"the factor {t.named(c)} is missing"
        if abs(c + 1) < 1e-6:
            return "the sign is wrong"
        return f"{1 / c:.4g} times too large" if c else "this term is one too many"

    yield Edit(kind, text, lambda c, v, _: c * v, linear=True)
    for c in (-1, 2, 0.5):  # inside of a function that is not linear
        yield Edit("wrong mask" if mask else "", text(c), lambda v, _, c=c: c * v, 2)


def factor_dropped(t, node, v):
    if not isinstance(node, ast.BinOp) or not isinstance(node.op, (*PRODUCT, ast.Pow, ast.MatMult)):
        return
    places = operands(t, node)
    for keep, gone in (places, places[::-1]) if len(places) == 2 else ():
        away = t.values[gone]
        if not is_numeric(away) or not is_numeric(t.values[keep]):
            continue
        if isinstance(node.op, ast.Pow) and keep == places[1]:
            continue
        kind = "extra term"
        if not np.any(away):
            kind = "missing term"
        elif is_array(away) and away.size > 1:
            kind = "wrong mask" if is_bool(away) or _picks(away) else "extra term"
        elif not isinstance(node.op, ast.Pow):
            kind = "constant factor"
        text = f"the factor {ast.unparse(t.nodes[gone])} is too much"
        yield Edit(kind, text, lambda v, _, k=keep: t.now[k])
    first = node.left
    while isinstance(first, ast.BinOp) and isinstance(first.op, ast.Mult):
        first = first.left
    if first is not node.left and hasattr(first, "place"):
        text = f"all factors but {ast.unparse(first)} are too much"
        yield Edit("extra term", text, lambda v, _: t.now[first.place])


CALLS = {
    "sum": "wrong axis", "mean": "wrong axis", "transpose": "transposed", "swapaxes": "transposed",
    "flip": "flipped kernel", "rot90": "flipped kernel", "reshape": "transposed",
    "sign": "wrong mask", "where": "wrong mask", "maximum": "wrong mask", "clip": "wrong mask",
    "abs": "wrong mask", "astype": "float32", "roll": "stride or padding",
}  # fmt: skip


def call_dropped(t, node, v):
    name = called(node) or ("transpose" if getattr(node, "attr", "") == "T" else "")
    if isinstance(node, ast.Subscript):
        name = "flip" if v is not None and np.ndim(v) > 2 else "transpose"
    places = [k for k in operands(t, node) if is_array(t.values[k])]
    if not is_array(v) or name not in CALLS or not places:
        return
    if isinstance(node, ast.Subscript) and t.values[places[0]].shape != v.shape:
        return
    kind = "integer arithmetic" if name == "astype" and v.dtype.kind in "iu" else CALLS[name]
    text = f"{ast.unparse(t.nodes[places[0]])} itself is due here"
    yield Edit(kind, text, lambda v, _: t.now[places[0]])


OPERATORS = [
    (ast.Mult, "", lambda a, b: a / b),
    (ast.Mult, "", lambda a, b: b / a),
    (ast.Div, "", lambda a, b: a * b),
    (ast.FloorDiv, "integer arithmetic", lambda a, b: a / b),
    (ast.Add, "constant factor", lambda a, b: a - b),
    (ast.Sub, "constant factor", lambda a, b: a + b),
    (ast.MatMult, "transposed", lambda a, b: b @ a),
    (ast.MatMult, "transposed", lambda a, b: a.T @ b),
    (ast.MatMult, "transposed", lambda a, b: a @ b.T),
    (ast.MatMult, "transposed", lambda a, b: b.T @ a),
    (ast.MatMult, "transposed", lambda a, b: b @ a.T),
]


def operator(t, node, v):
    places = operands(t, node) if isinstance(node, ast.BinOp) else ()
    for op, kind, f in OPERATORS if len(places) == 2 else ():
        if isinstance(node.op, op):
            text = "a factor is transposed" if kind == "transposed" else "another operator is due"
            yield Edit(kind, text, lambda v, _, f=f: f(*(t.now[k] for k in places)))


def whole_number(t, node, v):
    """An index, the bound of a loop, an axis, a power."""
    if not is_int(v) and not (isinstance(v, tuple) and v and all(map(is_int, v))):
        return
    up = node.up
    reduces = called(up) in ("sum", "mean", "max", "flip", "concatenate", "cumsum", "stack")
    if (isinstance(up, ast.keyword) and up.arg == "axis") or reduces:
        for axis in (None, 0, 1, 2, 3, -1, *subsets(range(4))):
            yield Edit("wrong axis", f"axis {axis} is due", lambda v, _, a=axis: a)
    elif is_int(v) and operator_of(node) is ast.Pow and up.right is node:
        for power in (v + 1, v - 1, -v, v + 2, v - 2, v / 2):
            kind = "missing term" if abs(power) > abs(v) else "extra term"
            yield Edit(kind, f"the power {power:g} is due", lambda v, _, p=power: p)
    elif is_int(v) and (kind := counts_for(node) or ""):
        for d in (1, -1, 2, -2):
            yield Edit(kind, f"{-d:+d} too much", lambda v, _, d=d: v + d)
        for f, text in ((lambda v: -v, "with a minus"), (lambda v: 2 * v, "twice as much"),
                        (lambda v: v // 2, "half of it"), (lambda v: 0, "0")):  # fmt: skip
            yield Edit(kind, f"{text} is due", lambda v, _, f=f: f(v))
        same, text = everywhere(t, node), "this is off wherever it is used"
        if kind == "wrong mask" or not same:
            return
        kinds = [counts_for(t.nodes[i]) for i in same]
        if "stride or padding" in kinds:
            kind = "stride or padding"
        elif None in kinds:
            kind = ""
        for a, b in ((2, 0), (3, 0), (1, 1), (1, -1)):
            yield Edit(kind, text, lambda v, _, a=a, b=b: a * v + b, places=same)


def stride(t, node, v):
    """Windows begin a stride apart: the variables of loops, wherever they bound a slice."""
    nodes = [t.nodes[i] for i in t.values if isinstance(i, int)]
    places = [n.place for n in nodes if n.function == node.function and _loops(n)]
    if places and node.place == places[0]:
        for step in (2, 3):
            text = f"windows that are {step} apart are due"
            yield Edit("stride or padding", text, lambda v, _, s=step: s * v, places=tuple(places))


def _loops(node):
    """Whether this is the variable of a loop, in the bound of a slice."""
    if not isinstance(node, ast.Name) or not any(isinstance(o, ast.Slice) for o in around(node)):
        return False
    if operator_of(node) is ast.Mult:
        return False  # by its stride already
    loops = [o.target for o in around(node) if isinstance(o, ast.For)]
    return any(getattr(n, "id", "") == node.id for target in loops for n in ast.walk(target))


# --- other arrays, other places -------------------------------------------------------------------


def other_array(t, node, v):
    """Another of the arrays at hand stands here."""
    if not is_array(v) or v.size < 2:
        return
    named, kind = isinstance(node, NAMED), "wrong mask" if in_mask(node) else "wrong tensor"
    same, dy = everywhere(t, node), t.looks[0].dys[0]
    for key, label in t.known.items():
        w = t.values[key]
        if w.size == v.size and np.array_equal(np.sort(w, None), np.sort(v, None)):
            continue  # the same numbers
        if w.shape == v.shape:
            text, this = f"{label} is due here", kind
            if kind == "wrong tensor" and np.array_equal(v, dy):  # past what lies between
                text, this = f"{label} is due: a factor is left out", "missing term"
            elif kind == "wrong tensor" and _picks(v) and _picks(w):
                this = "wrong mask"
            elif kind == "wrong mask" and np.array_equal(v, dy):
                text = f"the mask is taken from {ast.unparse(node)}: {label} is due here"
            elif kind == "wrong tensor" and not np.any(v):
                this = "missing term"
            elif isinstance(node, ast.BinOp) and label in [ast.unparse(n) for n in ast.walk(node)]:
                text, this = f"{label} alone is due", "extra term"
            yield Edit(this, text, lambda v, _, k=key: t.now[k], 1 if named else 2)
            if same:
                this = this if all(in_mask(t.nodes[i]) for i in same) else "wrong tensor"
                yield Edit(this, text, lambda v, _, k=key: t.now[k], places=same)
        if named and w.ndim == 2 and w.T.shape == v.shape:
            yield Edit(kind, f"{label}.T is due here", lambda v, _, k=key: t.now[k].T)
    for function, text in (
        (np.exp, "exp"),
        (np.sqrt, "√"),
        (np.square, "the square"),
        (_sigmoid, "σ"),
    ):
        if named and is_float(v):
            text = f"{text} of it is due"
            yield Edit("wrong tensor", text, lambda v, _, f=function: f(v), 2)


def _sigmoid(v):
    return 1 / (1 + np.exp(-v))


def _picks(v):
    """Whether the numbers are those of a mask: 0, and one other."""
    return not np.all(v) and len(np.unique(v)) == 2


def exchanged(t, node, v):
    """Two arrays stand in each other's place, wherever they are used."""
    if not isinstance(node, ast.Name) or not is_array(v) or v.size < 2:
        return
    mine = everywhere(t, node) or (node.place,)
    for other in t.nodes:
        w = t.values.get(other.place)
        if not isinstance(other, ast.Name) or other.id <= node.id or not is_array(w):
            continue
        if other.function == node.function and w.shape == v.shape and node.place == mine[0]:
            its = everywhere(t, other) or (other.place,)

            def swap(value, _, a=node.id, b=other.id):
                return t.now[b] if value is t.now[a] else t.now[a]

            if other.place == its[0]:
                text = f"{node.id} and {other.id} are exchanged"
                yield Edit("wrong tensor", text, swap, 2, places=(*mine, *its))


def rearranged(t, node, v):
    """Transposed, flipped, or with its halves exchanged."""
    outer = node.up.up if isinstance(node.up, ast.Attribute) else node.up
    if not is_array(v) or v.size < 2 or called(outer) in ("sum", "mean"):
        return
    for order in list(permutations(range(v.ndim)))[1:]:
        if tuple(v.shape[k] for k in order) == v.shape:
            text = f"transposed: axes {order}"
            yield Edit("transposed", text, lambda v, _, o=order: v.transpose(o))
    weights = list(t.looks[0].tensors.values())[1:]
    kernel = v.ndim > 2 or any(np.array_equal(v, w) for w in weights)
    for axes in subsets(a for a in range(v.ndim) if v.shape[a] > 1):
        kind, text = "flipped kernel" if kernel else "transposed", f"flipped along axes {axes}"
        yield Edit(kind, text, lambda v, _, a=axes: np.flip(v, a))
        if len(axes) == 1 and v.shape[axes[0]] % 2 == 0 and v.shape[axes[0]] > 2:
            text, a = f"its halves along axis {axes[0]} are exchanged", axes[0]
            yield Edit("transposed", text, lambda v, _, a=a: np.roll(v, v.shape[a] // 2, a))


def window(t, node, v):
    """Another part of the array, of the same size."""
    base = t.values.get(getattr(getattr(node, "value", None), "place", None))
    if not isinstance(node, ast.Subscript) or not is_array(base) or not is_array(v):
        return
    if base.ndim != v.ndim or base.shape == v.shape:
        return
    if any(isinstance(n, ast.Slice) and n.step for n in ast.walk(node.slice)):
        return
    for start in range(1 + max(m - n for m, n in zip(base.shape, v.shape, strict=True))):
        starts = [min(start, m - n) for m, n in zip(base.shape, v.shape, strict=True)]
        part = tuple(slice(s, s + n) for s, n in zip(starts, v.shape, strict=True))
        text = f"the part that begins at {start} is due"
        yield Edit("stride or padding", text, lambda v, _, p=part: t.now[node.value.place][p])


def reduced(t, node, v):
    """A sum or mean over other axes."""
    name, places = called(node), [k for k in operands(t, node) if is_array(t.values[k])]
    if name not in ("sum", "mean", "max", "var", "std") or not places:
        return
    f, k = getattr(np, name), places[0]
    for axes, keep in product((None, *subsets(range(t.values[k].ndim))), (False, True)):
        text = f"axes {axes} are due"
        yield Edit("wrong axis", text, lambda v, _, a=axes, d=keep: f(t.now[k], axis=a, keepdims=d))


def assigned(t, node, v):
    """A loop assigns where it should add up; += with an index that is there twice."""
    numbers = is_array(v) or is_float(v)
    if isinstance(node.up, ast.Assign) and t.counted[node.place] > 1 and numbers:

        def plus(v, old):
            try:
                return v + old()
            except (NameError, AttributeError, KeyError):  # the first time
                return v

        yield Edit("assigned", ADD_UP, plus, 0)
    if isinstance(node.up, ast.AugAssign) and isinstance(node.up.target, ast.Subscript):

        def every(v, old):
            array, index = old(np.s_)
            total = array.copy()
            np.add.at(total, index, v)
            return (total - array)[index]

        yield Edit("assigned", "+= adds once where an index is there twice: np.add.at", every, 0)
    if isinstance(node.up, ast.Assign) and isinstance(node.up.targets[0], ast.Subscript):
        if not np.any(v):
            yield Edit("wrong mask", "this is not to be set to 0", lambda v, old: old())
        elif numbers:
            text = "what is set here should multiply what is there"
            yield Edit("upstream ignored", text, lambda v, old: v * old(), 2)


# --- masks, factors, terms ------------------------------------------------------------------------

MASKS = {"{} > 0": lambda v: v > 0, "{} < 0": lambda v: v < 0, "sign({})": np.sign}


def mask(t, node, v):
    zeros = is_array(v) and v.size > 3 and np.isin(v, (0, 1)).all()
    picks = is_bool(v) or zeros
    if picks:
        inverted = (lambda v, _: ~v) if is_bool(v) else (lambda v, _: 1 - v)
        yield Edit("wrong mask", "the mask is inverted", inverted)
        yield Edit("wrong mask", "there is no mask", lambda v, _: np.ones_like(v))
    whole, decides = is_array(v) and v.size > 1, in_mask(node)
    for key, label in t.known.items() if whole else ():
        if t.values[key].shape == v.shape:
            for sign, side in ((1, "positive"), (-1, "negative")):
                one = lambda v, _, k=key, s=sign: np.where(s * t.now[k] > 0, 1, v)  # noqa: E731
                yield Edit("wrong mask", f"1 is due where {label} is {side}", one, 2)
    if not (is_array(v) or is_float(v)) or (not picks and operator_of(node) in PRODUCT):
        return
    for key, label in t.known.items():
        w = t.values[key]
        if not (whole and w.shape == v.shape) and not (isinstance(v, float) and not picks):
            continue
        if 0 < np.mean(w > 0) < 1 and len(np.unique(w)) > 2:
            for text, f in MASKS.items():
                change = lambda v, _, k=key, f=f: f(t.now[k]) if picks else v * f(t.now[k])  # noqa: E731
                sign = f is np.sign and not picks and not decides
                text = f"{text.format(label)} is due"
                yield Edit("missing term" if sign else "wrong mask", text, change, 2)
    for key, w in t.masks.items():
        if whole and w.shape == v.shape:
            other = lambda v, _, k=key: t.now[k] if picks else v * t.now[k]  # noqa: E731
            yield Edit("wrong mask", f"the mask {key} is due", other)


FACTORS = {
    "{}": lambda v: v, "{}²": lambda v: v * v, "(1 − {})": lambda v: 1 - v,
    "(1 + {})": lambda v: 1 + v, "(1 − {}²)": lambda v: 1 - v * v,
    "{0}(1 − {0})": lambda v: v * (1 - v), "1/{}": lambda v: 1 / v,
    "1/(1 + {})": lambda v: 1 / (1 + v), "1/{}²": lambda v: 1 / (v * v),
    "σ({})": _sigmoid, "exp({})": np.exp,
    "tanh'({})": lambda v: 1 - np.tanh(v) ** 2,
}  # fmt: skip


def factor(t, node, v):
    """A factor is missing: one of the arrays at hand, or a usual function of it."""
    if not is_float(v) or operator_of(node) in PRODUCT:
        return
    dy = t.looks[0].dys[0]
    for key, label in t.known.items():
        w = t.values[key]
        if not _broadcasts(w, v):
            continue
        up = w.size == dy.size and np.array_equal(w.ravel(), dy.ravel())
        for text, f in FACTORS.items():
            text = f"the factor {text.format(label)} is missing"
            kind = "upstream ignored" if up else "wrong mask" if in_mask(node) else "missing term"
            inside = label in [ast.unparse(n) for n in ast.walk(node)]
            if text.startswith("the factor 1/") and inside and not _divides(t, w):
                kind, text = "extra term", f"the factor {label} is too much"
            yield Edit(kind, text, lambda v, _, k=key, f=f: v * f(t.now[k]), 2)


def _divides(t, w):
    """Whether the forward pass divides by it, or takes its logarithm or root."""
    for node in t.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            inner = [node.right]
        else:
            inner = node.args[:1] if called(node) in ("log", "sqrt", "divide") else []
        values = (t.values.get(getattr(n, "place", None)) for n in inner)
        if any(is_array(value) and np.array_equal(value, w) for value in values):
            return True
    return False


def _broadcasts(w, v):
    try:
        np.broadcast_shapes(w.shape, np.shape(v))
    except ValueError:
        return False
    return not np.ndim(v) or w.ndim <= np.ndim(v)


def term(t, node, v):
    """A term is missing: a number, an array at hand, a mean of this one."""
    if not (is_array(v) and is_float(v) and v.size > 1) or operator_of(node) is ast.Add:
        return

    def plus(what, f):
        def text(c):
            return f"the term {c:.4g}{what} is missing"

        return Edit("missing term", text, lambda c, v, _: v + c * f(v), 3, linear=True)

    axes = list(subsets(a for a in range(v.ndim) if v.shape[a] > 1))
    for key, label in t.known.items():
        w = t.values[key]
        if w.shape == v.shape and (w >= 0).all() and np.allclose(w.sum(-1), 1):

            def slope(v, _, k=key):
                p = t.now[k]
                return p * (v - (v * p).sum(-1, keepdims=True))

            yield Edit("missing term", f"the slope of the softmax {label} is missing", slope, 3)
    yield plus("", lambda v: 1.0)
    for a in axes:
        yield plus(f" · the mean over axes {a}", lambda v, a=a: v.mean(a, keepdims=True))
    for key, label in t.known.items():
        if t.values[key].shape == v.shape:
            yield plus(f" · {label}", lambda v, k=key: t.now[k])
            yield plus(f" · {label}, times this,", lambda v, k=key: v * t.now[k])
            for a in axes:
                text = f" · {label} · mean({label} · this) over axes {a}"
                yield plus(
                    text, lambda v, k=key, a=a: t.now[k] * (v * t.now[k]).mean(a, keepdims=True)
                )


PRODUCTS = [
    ("{} * {}", lambda v, a, b: a * b),
    ("{} * {}, times this,", lambda v, a, b: v * a * b),
    ("{} * (1 − {}), times this,", lambda v, a, b: v * a * (1 - b)),
    ("{} @ {}", lambda v, a, b: a @ b),
    ("{} @ {}.T", lambda v, a, b: a @ b.T),
    ("{}.T @ {}", lambda v, a, b: a.T @ b),
]


def product_term(t, node, v):
    """A term is missing: a product of two arrays at hand."""
    if not (is_array(v) and is_float(v) and v.size > 1) or operator_of(node) in (ast.Add, ast.Mult):
        return
    for (ka, la), (kb, lb), (text, f) in product(t.known.items(), t.known.items(), PRODUCTS):
        a, b = t.values[ka], t.values[kb]
        if "@" in text:
            fits = a.ndim == b.ndim == v.ndim == 2 and _shape_of(f, v, a, b) == v.shape
        else:
            fits = a.shape == b.shape == v.shape and (str(ka) <= str(kb) or "−" in text)
        if fits:
            what = text.format(la, lb)
            says = lambda c, what=what: f"the term {c:.4g} · {what} is missing"  # noqa: E731
            change = lambda c, v, _, f=f, ka=ka, kb=kb: v + c * f(v, t.now[ka], t.now[kb])  # noqa: E731
            yield Edit("missing term", says, change, 4, linear=True)


def _shape_of(f, *arrays):
    try:
        return f(*arrays).shape
    except ValueError:
        return None


EDITS = [
    [assigned, scaled, factor_dropped, call_dropped, operator, reduced, other_array, rearranged,
     whole_number, stride, window],
    [mask, exchanged, factor],
    [term, product_term],
]  # fmt: skip
"""The simple ones first: where one of them explains all that is wrong, no others are tried."""
