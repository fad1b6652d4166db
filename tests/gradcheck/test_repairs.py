"""A wrong gradient that one change of the code makes right: the change is found, and said."""

import builtins
import cProfile
import functools
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinygan import Layer, check_gradients
from tinygan.gradcheck.diagnosis import hooks
from tinygan.gradcheck.diagnosis.hooks import HOOK, Hooked
from tinygan.gradcheck.diagnosis.trials import Edit, Trials
from tinygan.gradcheck.files import check_named
from tinygan.gradcheck.limit import OutOfTime

RNG = np.random.default_rng(0)
X, W, V = (RNG.standard_normal(shape) for shape in ((4, 3), (3, 3), (3, 3)))


# --- code with hooks computes what it computed ----------------------------------------------------


def plain(x):
    """Has a docstring, a loop, a comprehension, tuples, slices and += ."""
    total, parts = np.zeros_like(x), []
    for i, row in enumerate(x):
        total[i] += row[::-1] * i
        a, (b, c) = row[0], row[1:3]
        parts.append([a + k for k in (b, c)])
    total[:, 0] = [sum(p) for p in parts]
    x = -total
    return x if x.ndim > 1 else f"{x:.3f}"


def given(x, *more, scale=lambda v: 2 * v, **options):
    return scale(x) + sum(more) + options.get("b", 0)


def closed(factor):
    def outer(x):
        def inner(y):
            return y * factor + x

        return inner(x)

    return outer


def passing(function):
    @functools.wraps(function)
    def wrapper(*arguments):
        return function(*arguments)

    return wrapper


@passing
def decorated(x):
    return x + 1


class Base:
    def run(self, x):
        return 3 * x


class Derived(Base):
    offset: float = 0.5

    def run(self, x):
        y = super().run(x)
        self.seen: object = y
        y += self.offset
        return y


first, second = lambda x: x + 1, lambda x: x * 2


@pytest.mark.parametrize(
    "run",
    [
        lambda: plain(X),
        lambda: given(X, 1, 2, b=3),
        lambda: closed(5)(X),
        lambda: decorated(X),
        lambda: Derived().run(X.copy()),
        lambda: second(first(X)),
        lambda: [f(X) for f in (first, second)],
    ],
)
def test_hooks_change_nothing_and_are_gone_afterwards(run):
    due, seen = run(), []

    def hook(place, value, old=None):
        seen.append(place)
        return value

    with Hooked(run, hook) as hooked:
        assert np.array_equal(run(), due)
    assert {place for place in seen if place >= 0} <= set(range(len(hooked.nodes)))
    assert len(seen) > 2
    count = len(seen)
    assert np.array_equal(run(), due)
    assert len(seen) == count
    assert not hasattr(builtins, HOOK)


def test_each_of_two_lambdas_on_a_line_is_told_from_the_other():
    with Hooked(lambda: second(X), lambda place, value, old=None: value) as hooked:
        assert {node.function for node in hooked.nodes} == {"<lambda>"}
        products = [n for n in hooked.nodes if type(n).__name__ == "BinOp"]
    assert [type(p.op).__name__ for p in products] == ["Mult"]


def test_a_function_whose_source_is_gone_or_that_may_not_end_is_left_alone():
    space = {}
    exec("def f(x):\n    return x + 1", space)

    def waits(x):
        while x.sum() > 1e9:
            x = x - 1
        return x

    for function in (space["f"], waits):
        code = function.__code__
        with Hooked(lambda f=function: f(X), None) as hooked:
            assert hooked.nodes == [] or all(n.function != code.co_name for n in hooked.nodes)
            assert function.__code__ is code


def test_libraries_are_no_code_under_test():
    def run():
        return np.linalg.norm(np.pad(X, 1)), Layer().walk, plain(X)

    assert [code.co_name for code in hooks._called(run)][:2] == ["run", "plain"]


# --- what is found --------------------------------------------------------------------------------


def dense(x, w):
    z = x @ w
    h = np.tanh(z)
    return h, (x, w, z, h)


def right(dy, cache):
    x, w, _z, h = cache
    dz = dy * (1 - h * h)
    return dz @ w.T, x.T @ dz


def slope_of_z(dy, cache):
    x, w, z, _h = cache
    dz = dy * (1 - z * z)
    return dz @ w.T, x.T @ dz


def slope_forgotten_in_dx(dy, cache):
    x, w, _z, h = cache
    dz = dy * (1 - h * h)
    return dy @ w.T, x.T @ dz


def square_forgotten(dy, cache):
    x, w, _z, h = cache
    dz = dy * (1 - h)
    return dz @ w.T, x.T @ dz


def twice_inside(dy, cache):
    x, w, _z, h = cache
    dz = dy * (1 - 2 * h * h)
    return dz @ w.T, x.T @ dz


def not_turned(dy, cache):
    x, w, _z, h = cache
    dz = dy * (1 - h * h)
    return dz @ w, x.T @ dz


def rows_set(dy, cache):
    x, w, _z, h = cache
    dz, dw = dy * (1 - h * h), np.zeros_like(w)
    for n in range(len(x)):
        dw = np.outer(x[n], dz[n])
    return dz @ w.T, dw


def decays(dy, cache):
    x, w, _z, h = cache
    dz = dy * (1 - h * h)
    return dz @ w.T, x.T @ dz + 0.1 * w


def first_left_out(dy, cache):
    x, w, _z, h = cache
    dz, dw = dy * (1 - h * h), np.zeros_like(w)
    for n in range(1, len(x)):
        dw += np.outer(x[n], dz[n])
    return dz @ w.T, dw


@pytest.mark.parametrize(
    ("backward", "kind", "tensors", "says"),
    [
        (slope_of_z, "wrong tensor", "x, w", "`z`: h is due here"),
        (slope_forgotten_in_dx, "missing term", "x", "`dy`: dz is due"),
        (square_forgotten, "missing term", "x, w", "`h`: the factor h is missing"),
        (twice_inside, "constant factor", "x, w", "2 times too large"),
        (not_turned, "transposed", "x", "`dz @ w`"),
        (rows_set, "assigned", "w", "`np.outer(x[n], dz[n])`: a loop assigns (=)"),
        (decays, "extra term", "w", "this term is one too many"),
        (first_left_out, "missing term", "w", "`1`: +1 too much"),
    ],
)
def test_the_place_is_named_and_what_is_wrong_there(backward, kind, tensors, says):
    report = check_gradients((dense, backward), X, W, raises=False)
    (cause,) = report.causes
    assert (cause.kind, cause.tensor) == (kind, tensors)
    assert says in cause.text
    first, last = backward.__code__.co_firstlineno, max(line for *_, line in lines(backward))
    assert first < int(cause.text.removeprefix("line ").partition(",")[0]) <= last


def lines(function):
    return [p for p in function.__code__.co_lines() if p[2]]


def test_an_index_that_is_there_twice_needs_add_at():
    words = np.array([0, 2, 2, 1])

    def embed(table):
        return table[words], None

    def embed_backward(dy, cache):
        table = np.zeros((3, 3))
        table[words] += dy
        return table

    cause = check_gradients((embed, embed_backward), W, raises=False).cause
    assert cause.kind == "assigned"
    assert "np.add.at" in cause.text


def test_a_layer_keeps_its_methods():
    class Tanh:
        def forward(self, x):
            self.y = np.tanh(x)
            return self.y

        def backward(self, dy):
            return dy * (1 - self.y)

    before = Tanh.backward.__code__
    report = check_gradients(Tanh(), X, raises=False)
    assert report.cause.kind == "missing term"
    assert Tanh.backward.__code__ is before


def test_in_a_notebook_the_expression_is_quoted_and_no_line_is_counted(tmp_path):
    source = "import numpy as np\ndef tanh(x):\n    y = np.tanh(x)\n    return y, y\n"
    source += "def tanh_backward(dy, y):\n    return dy * (1 - y)\n"
    cells = [{"cell_type": "code", "source": source}]
    path = tmp_path / "homework.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    report, *_ = check_named(path, "tanh")
    assert report.cause.text == "`y`: the factor y is missing"


def test_somebodys_profiler_is_not_disturbed():
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        report = check_gradients((dense, not_turned), X, W, raises=False)
    finally:
        profiler.disable()
    assert not report.ok


def test_where_the_change_has_no_name_the_place_is_said_in_a_note():
    def softplus(x):
        return np.log1p(np.exp(x)), x

    def softplus_backward(dy, x):
        return dy * np.exp(2 * x) / (1 + np.exp(2 * x))  # 2 x for x, in a function of x

    report = check_gradients((softplus, softplus_backward), X, raises=False)
    assert not report.causes
    assert any("is right if in line" in note for note in report.notes)


def test_two_threads_look_for_causes_one_after_the_other():
    def look(backward):
        return check_gradients((dense, backward), X, W, raises=False).cause.kind

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(look, [square_forgotten, slope_of_z] * 2))
    assert found == ["missing term", "wrong tensor"] * 2


# --- what counts as found -------------------------------------------------------------------------


class Look:
    """Evidence of a subject that returns what the functions below say."""

    def __init__(self, backward):
        self.backward, self.dys, self.y = backward, [X, 2 * X + 1], X
        self.tensors, self.subject = {"a": X, "b": X}, self

    def call(self):
        return self

    def upstream(self, dy):
        return dy

    def walk(self, call, dy=None):
        return self.backward(call if dy is None else dy)

    def right(self, name):
        return [{"a": 2, "b": 3}[name] * dy for dy in self.dys]

    def close(self, a, b):
        return np.allclose(a, b)


def one_is_wrong(dy):
    share = 3 * dy
    return {"a": share, "b": share + 0}


def test_an_edit_that_spoils_a_right_gradient_is_no_repair():
    def halves(trials, node, value):
        if isinstance(value, np.ndarray):
            yield Edit("constant factor", "too large", lambda v, _: v * 2 / 3)

    found = Trials([Look(one_is_wrong)], ["a"], ["b"]).search([[halves]])
    assert {r.text.partition("`: ")[0].partition("`")[2] for r in found} == {"share"}
    assert all(r.names == {"a"} for r in found)


def test_an_edit_that_is_right_for_one_dy_only_is_no_repair():
    def constant(trials, node, value):
        if isinstance(value, np.ndarray):
            yield Edit("wrong tensor", "another", lambda v, _: 2 * X)

    assert Trials([Look(one_is_wrong)], ["a"], ["b"]).search([[constant]]) == []


def test_a_generator_of_edits_that_fails_stops_no_other():
    def fails(trials, node, value):
        raise IndexError
        yield

    def halves(trials, node, value):
        if isinstance(value, np.ndarray):
            yield Edit("constant factor", "too large", lambda v, _: v * 2 / 3)

    assert Trials([Look(one_is_wrong)], ["a"], ["b"]).search([[fails, halves]])


def test_the_time_limit_of_the_check_ends_the_search_and_leaves_the_code_as_it_was():
    def late(trials, node, value):
        if isinstance(value, np.ndarray):
            yield Edit("constant factor", "late", ring)

    def ring(value, old):
        raise OutOfTime("late")

    before = one_is_wrong.__code__
    with pytest.raises(OutOfTime):
        Trials([Look(one_is_wrong)], ["a"], ["b"]).search([[late]])
    assert one_is_wrong.__code__ is before
    assert not hasattr(builtins, HOOK)
