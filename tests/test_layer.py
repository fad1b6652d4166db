"""The protocol itself: finding what is inside, state, freezing, the backward pass."""

import gc
import weakref
from collections import UserDict, deque
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from tinygan import (
    Conv2d,
    Dropout,
    Layer,
    Linear,
    Parameter,
    ReLU,
    Residual,
    Sequential,
    Tanh,
    frozen,
)
from tinygan.layers import BatchNorm2d


class Scale(Layer):
    """The smallest layer an author can write: two methods, no ``input_gradient``."""

    def __init__(self, factor):
        self.factor = Parameter(np.array([factor]))

    def forward(self, x):
        return self.factor.data * x, x

    def backward(self, dy, cache):
        self.factor.grad += (dy * cache).sum()
        return self.factor.data * dy


class Pair(Layer):
    def __init__(self):
        self.first, self.others = Scale(2.0), [Scale(3.0), Scale(4.0)]

    def forward(self, x):
        return x, None

    def backward(self, dy, cache):
        return dy


def test_a_written_layer_works_in_a_network_and_its_input_gradient_can_be_dropped():
    network = Sequential(Scale(2.0), Scale(5.0))
    y, backward = network(np.array([1.0, 3.0]))
    assert y.tolist() == [10.0, 30.0]
    assert backward(np.array([1.0, 1.0]), input_gradient=False) is None
    assert network[0].factor.grad.tolist() == [20.0]
    assert network[1].factor.grad.tolist() == [8.0]


def test_parameters_come_in_definition_order_with_dotted_names():
    assert list(Pair().named_parameters()) == ["first.factor", "others.0.factor", "others.1.factor"]
    network = Sequential(Conv2d(1, 2, 3), Residual(BatchNorm2d(2), Tanh()))
    assert list(network.named_parameters()) == ["0.weight", "0.bias", "1.0.weight", "1.0.bias"]
    assert list(network.buffers()) == ["1.0.running_mean", "1.0.running_var"]
    assert list(network.state_dict()) == [*network.named_parameters(), *network.buffers()]


class Nested(Layer):
    """Parameters and layers where authors put them."""

    def __init__(self):
        one, two, three = (Parameter(np.full(2, float(i))) for i in (1, 2, 3))
        self.gains = [one, (two, {"deep": [three]})]
        self.branches = {"low": Scale(4.0), "high": [[Scale(5.0)], Sequential(Scale(6.0))]}

    def forward(self, x):
        return x, None

    def backward(self, dy, cache):
        return dy


def test_parameters_and_layers_are_found_in_lists_tuples_and_dicts_at_any_depth():
    layer = Nested()
    assert list(layer.named_parameters()) == [
        "gains.0",
        "gains.1.0",
        "gains.1.1.deep.0",
        "branches.low.factor",
        "branches.high.0.0.factor",
        "branches.high.1.0.factor",
    ]
    state = layer.state_dict()
    for parameter in layer.parameters():
        parameter.data += 1
    layer.load_state_dict(state)
    assert [float(p.data.flat[0]) for p in layer.parameters()] == [1, 2, 3, 4, 5, 6]
    layer.to(dtype="float32")
    assert {p.data.dtype for p in layer.parameters()} == {np.dtype(np.float32)}
    with frozen(layer):
        assert all(p.frozen for p in layer.parameters())
    with pytest.raises(NotImplementedError, match="must define predict"):
        Layer.predict(layer, np.ones(1))


class Holder:
    def __init__(self, value):
        self.value = value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize(
    ("hide", "path"),
    [
        (lambda p: {p}, "1.hidden: a set"),
        (lambda p: frozenset([p]), "1.hidden: a frozenset"),
        (lambda p: [1, {"a": {p}}], "1.hidden.1.a: a set"),
        (Holder, "1.hidden: a Holder"),
        (lambda p: [Holder([p])], "1.hidden.0: a Holder"),
        (lambda p: Holder(Holder({"a": p})), "1.hidden: a Holder"),
        (Slotted, "1.hidden: a Slotted"),
        (lambda p: np.array([p, None], dtype=object), "1.hidden: a ndarray"),
        (lambda p: {p: 0.1}, "1.hidden: a dict"),
        (lambda p: deque([p]), "1.hidden: a deque"),
        (lambda p: UserDict(a=p), "1.hidden: a UserDict"),
    ],
)
@pytest.mark.parametrize("make", [lambda: Parameter(np.ones(1)), lambda: Scale(1.0)])
def test_what_cannot_be_found_is_an_error_that_says_where_it_is(hide, path, make):
    inner = Scale(1.0)
    inner.hidden = hide(make())
    network = Sequential(Scale(2.0), inner)
    for ask in (network.parameters, network.state_dict, network.zero_grad):
        with pytest.raises(TypeError, match=f"^{path} holds a Parameter or Layer, which is not"):
            ask()


def test_other_attributes_are_no_hindrance():
    layer = Scale(1.0)
    layer.itself = [layer.factor]  # found twice, listed once
    layer.loop = []
    layer.loop.append(layer.loop)
    layer.others = [np.ones(3), {"a", 1}, Holder(Holder(None)), np.array([None]), sum, Holder]
    layer.generator = np.random.default_rng(0)
    assert list(layer.named_parameters()) == ["factor"]


def test_two_parameters_of_one_name_are_an_error():
    layer = Scale(1.0)
    layer.table = {"a": {"b": Parameter(np.ones(1))}, "a.b": Parameter(np.ones(1))}
    with pytest.raises(ValueError, match=r"two parameters are called 'table\.a\.b'"):
        layer.parameters()


def test_a_shared_layer_has_its_parameters_once():
    shared = Scale(2.0)
    network = Sequential(shared, shared)
    assert len(network.parameters()) == 1
    _, backward = network(np.array([3.0]))
    backward(np.array([1.0]))
    assert shared.factor.grad.tolist() == [12.0]  # d(f²·3)/df = 2·2·3


def test_gradients_accumulate_until_cleared():
    layer = Scale(2.0)
    for _ in range(2):
        _, backward = layer(np.array([3.0]))
        backward(np.array([1.0]))
    assert layer.factor.grad.tolist() == [6.0]
    layer.zero_grad()
    assert layer.factor.grad.tolist() == [0.0]


def test_a_layer_with_layers_inside_must_define_predict():
    with pytest.raises(NotImplementedError, match=r"Pair contains layers \(first, …\).*predict"):
        Pair().predict(np.ones(2))


def test_methods_that_were_not_written_are_named():
    with pytest.raises(NotImplementedError, match=r"Layer does not define forward\(x\)"):
        Layer()(np.ones(2))


def test_sequential_refuses_what_is_no_layer():
    with pytest.raises(TypeError, match="layer 1: expected a Layer, got 3"):
        Sequential(ReLU(), 3)


def test_residual_refuses_layers_that_change_the_shape():
    with pytest.raises(ValueError, match=r"keep the shape \(1, 5, 5, 1\)"):
        Residual(Conv2d(1, 1, 3))(np.zeros((1, 5, 5, 1), np.float32))


def test_frozen_nests_and_is_undone_by_an_error():
    layer = Scale(1.0)
    with frozen(layer):
        with frozen(layer):
            pass
        assert layer.factor.frozen
    with pytest.raises(KeyError), frozen(layer):
        raise KeyError
    assert not layer.factor.frozen


def test_what_a_call_remembers_dies_on_the_way_back():
    alive = []

    class Probe(Layer):
        def forward(self, x):
            cache = x.copy()
            alive.append(weakref.ref(cache))
            return x, cache

        def backward(self, dy, cache):
            gc.collect()
            counts.append(sum(ref() is not None for ref in alive))
            return dy

    counts = []
    _, backward = Sequential(Probe(), Probe(), Probe())(np.ones(3))
    backward(np.ones(3))
    assert counts == [3, 2, 1]
    gc.collect()
    assert all(ref() is None for ref in alive)


def test_load_state_dict_changes_nothing_when_the_state_does_not_fit():
    network = Sequential(Conv2d(1, 2, 3), BatchNorm2d(2))
    before = network.state_dict()
    wrong_shape = before | {"1.weight": np.zeros(3, np.float32)}
    missing = {name: array for name, array in before.items() if name != "0.bias"}
    for state, message in [
        (wrong_shape, r"1\.weight: expected shape \(2,\), got \(3,\)"),
        (missing, r"missing 0\.bias, unknown none"),
        (before | {"extra": np.zeros(1)}, "missing none, unknown extra"),
    ]:
        changed = {name: array + 1 for name, array in state.items()}
        with pytest.raises(ValueError, match=message):
            network.load_state_dict(changed)
        for name, array in network.state_dict().items():
            np.testing.assert_array_equal(array, before[name])


def test_state_dict_is_a_copy_and_loading_keeps_the_dtype():
    layer = Conv2d(1, 1, 1).to(dtype="float64")
    state = layer.state_dict()
    state["weight"] += 5
    assert layer.weight.data[0, 0, 0, 0] != state["weight"][0, 0, 0, 0]
    layer.load_state_dict({name: array.astype(np.float32) for name, array in state.items()})
    assert layer.weight.data.dtype == np.float64


def test_to_converts_gradients_and_statistics_but_not_random_state():
    network = Sequential(BatchNorm2d(2), Dropout(0.5, rng=0)).to(dtype=np.float64)
    assert network[0].weight.grad.dtype == np.float64
    assert network[0].running_var.dtype == np.float64
    assert network[1].state.dtype == np.uint64
    with pytest.raises(ValueError, match="expected float32 or float64, got 'int32'"):
        network.to(dtype="int32")


def test_repr_reads_like_the_code():
    network = Sequential(Conv2d(1, 2, (3, 4), stride=2, bias=False), Residual(ReLU()))
    assert repr(network) == (
        "Sequential(\n"
        "    Conv2d(1, 2, kernel_size=(3, 4), stride=2, bias=False),\n"
        "    Residual(\n        ReLU(),\n    ),\n)"
    )


class Keeper(Layer):
    def __init__(self, make):
        self.held = make(Parameter(np.ones(2)), Linear(1, 1), self)


@pytest.mark.parametrize(
    "make",
    [
        lambda parameter, layer, _: layer.forward,
        lambda parameter, layer, _: partial(print, parameter),
        lambda parameter, layer, _: lambda x: layer(x),
        lambda parameter, layer, _: deque([parameter]),
        lambda parameter, layer, _: [{"a": {parameter}}],
        lambda parameter, layer, _: SimpleNamespace(inner=[layer]),
        lambda parameter, layer, _: np.array([layer], object),
    ],
)
def test_what_is_held_where_no_name_leads_is_an_error(make):
    with pytest.raises(TypeError, match=r"held.*: a .* holds a Parameter or Layer"):
        Keeper(make).parameters()


@pytest.mark.parametrize(
    "make",
    [
        lambda parameter, layer, holder: holder.forward,
        lambda parameter, layer, holder: lambda x: holder.forward(x),
        lambda parameter, layer, holder: partial(Linear, 3),
        lambda parameter, layer, holder: {"size": 3, "names": ["a", np.ones(3)]},
    ],
)
def test_a_layer_may_hold_itself_and_what_has_no_parameters(make):
    assert Keeper(make).parameters() == []


def test_parameters_of_the_class_are_an_error():
    with pytest.raises(TypeError, match=r"Wrong\.weight: a Parameter or Layer of the class"):
        type("Wrong", (Layer,), {"weight": Parameter(np.ones(1))})
    with pytest.raises(TypeError, match=r"Wrong\.inner: a Parameter or Layer of the class"):
        type("Wrong", (Layer,), {"inner": [Linear(1, 1)]})
    with pytest.raises(TypeError, match="Wrong: what stands in __slots__ is not found"):
        type("Wrong", (Layer,), {"__slots__": ("weight",)})


def test_the_first_gradient_is_kept_itself_and_later_ones_are_added():
    parameter, first = Parameter(np.zeros((2, 3))), np.ones((2, 3))
    parameter.add_grad(first)
    assert parameter.grad is first
    second = np.full((2, 3), 2.0)
    parameter.add_grad(second)
    assert parameter.grad.tolist() == [[3.0] * 3] * 2
    assert second.tolist() == [[2.0] * 3] * 2


@pytest.mark.parametrize(
    "g",
    [
        np.ones((2, 3), np.float32),  # of another dtype
        np.ones((3, 2)).T,  # not contiguous
        np.ones(3),  # of another shape: it is spread, as by +=
        np.broadcast_to(1.0, (2, 3)),
    ],
    ids=["dtype", "order", "shape", "view"],
)
def test_a_gradient_of_another_kind_is_copied(g):
    parameter = Parameter(np.zeros((2, 3)))
    parameter.add_grad(g)
    assert parameter.grad is not g
    assert not np.shares_memory(parameter.grad, g)
    assert parameter.grad.dtype == np.float64
    assert parameter.grad.flags.c_contiguous
    assert parameter.grad.tolist() == [[1.0] * 3] * 2


def test_zero_grad_gives_the_gradients_memory_back():
    parameter, g = Parameter(np.zeros(4)), np.ones(4)
    alive = weakref.ref(g)
    parameter.add_grad(g)
    del g
    parameter.zero_grad()
    assert alive() is None
    assert parameter.grad.tolist() == [0.0] * 4
    parameter.zero_grad()
    parameter.grad += 1.0  # as in layers of one's own
    parameter.grad += np.ones(4)
    assert parameter.grad.tolist() == [2.0] * 4


def test_a_frozen_parameters_gradient_stays_as_it_was():
    layer, x = Conv2d(1, 1, 2, rng=0), np.ones((1, 3, 3, 1), np.float32)
    with frozen(layer):
        y, backward = layer(x)
    backward(np.ones_like(y))
    assert not layer.weight.grad.any()
    y, backward = layer(x)
    backward(np.ones_like(y))
    before = layer.weight.grad.copy()
    with frozen(layer):
        y, backward = layer(x)
    backward(np.ones_like(y))
    np.testing.assert_array_equal(layer.weight.grad, before)
