"""Optimizers and the learning rate's schedule."""

import numpy as np
import pytest

from tinygan import SGD, Adam, Linear, Optimizer, Parameter, RMSprop, fast, linear_decay


def test_adam_follows_algorithm_1_number_by_number():
    rng = np.random.default_rng(0)
    start, gradients = rng.normal(size=7), rng.normal(size=(5, 7))
    parameter = Parameter(start.copy())
    adam = Adam([parameter], lr=0.01, betas=(0.5, 0.9), eps=1e-3)
    for g in gradients:
        adam.zero_grad()
        parameter.grad += g
        adam.step()
    theta, m, v = start.copy(), np.zeros(7), np.zeros(7)
    for t, g in enumerate(gradients, 1):
        m = 0.5 * m + 0.5 * g
        v = 0.9 * v + 0.1 * g * g
        theta -= 0.01 * (m / (1 - 0.5**t)) / (np.sqrt(v / (1 - 0.9**t)) + 1e-3)
    np.testing.assert_allclose(parameter.data, theta, rtol=1e-12)


SEVERAL = {
    "Adam": lambda p: Adam(p, lr=2e-4, betas=(0.5, 0.999)),
    "SGD": lambda p: SGD(p, lr=0.1),
    "SGD with momentum": lambda p: SGD(p, lr=0.1, momentum=0.9),
    "RMSprop": lambda p: RMSprop(p, lr=1e-3, decay=0.9, eps=1e-6),
}
EVERY = pytest.mark.parametrize("make", SEVERAL.values(), ids=SEVERAL)


@pytest.mark.parametrize("name", SEVERAL)
def test_agreement_with_pytorch(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 4))
    ours, theirs = Parameter(start.copy()), torch.nn.Parameter(torch.tensor(start.copy()))
    optimizer = SEVERAL[name]([ours])
    reference = {
        "Adam": lambda p: torch.optim.Adam(p, lr=2e-4, betas=(0.5, 0.999)),
        "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
        "SGD with momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-3, alpha=0.9, eps=1e-6),
    }[name]([theirs])
    for _ in range(10):
        g = rng.normal(size=(3, 4)) * 10.0 ** rng.integers(-9, 3, size=(3, 4))
        ours.zero_grad()
        ours.grad += g
        theirs.grad = torch.tensor(g)
        optimizer.step()
        reference.step()
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-12)


def take_steps(optimizer, parameters, count=3, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        for p in parameters:
            p.grad[...] = rng.normal(size=p.shape)
        optimizer.step()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@EVERY
def test_the_plain_update_is_the_fast_one(make, dtype):
    rng = np.random.default_rng(1)
    shapes = ((5,), (1,), (3, 4, 5), (600, 900))
    start = [rng.normal(size=shape).astype(dtype) for shape in shapes]
    start.append(start[2].T)  # one that does not lie row by row
    found = []
    for mode in ("fast", "plain"):
        parameters = [Parameter(array.copy(order="K")) for array in start]
        optimizer = make(parameters)
        if mode == "plain":
            with fast.plain():
                take_steps(optimizer, parameters)
        else:
            take_steps(optimizer, parameters)
        slots = [slot for own in optimizer.slots for slot in own]
        found.append([p.data for p in parameters] + slots)
    for a, b, first in zip(*found, start + [None] * len(found[0]), strict=False):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=1e-5 if dtype is np.float32 else 1e-12, atol=1e-7)
        assert first is None or (a != first).mean() > 0.9


def test_a_subclass_of_adam_keeps_its_own_update():
    class AdamW(Adam):
        def update(self, theta, g, m, v):
            theta -= 0.5 * theta
            super().update(theta, g, m, v)

    parameters = [Parameter(np.ones(3)), Parameter(np.ones(3))]
    AdamW(parameters[:1], lr=0.0).step()
    Adam(parameters[1:], lr=0.0).step()
    assert parameters[0].data.tolist() == [0.5] * 3
    assert parameters[1].data.tolist() == [1.0] * 3


def test_an_optimizer_is_its_slots_and_its_update():
    class SignDescent(Optimizer):
        slot_names = ("count",)

        def update(self, theta, g, count):
            count += 1
            theta -= self.lr * np.sign(g) / count

    parameter = Parameter(np.zeros(2))
    optimizer = SignDescent([parameter], lr=1.0)
    parameter.grad += [3.0, -4.0]
    optimizer.step(), optimizer.step()
    assert parameter.data.tolist() == [-1.5, 1.5]
    assert list(optimizer.state_dict()) == ["steps", "0.count"]
    optimizer.zero_grad()
    assert not parameter.grad.any()
    with pytest.raises(NotImplementedError, match=r"Optimizer does not define update"):
        Optimizer([parameter], 0.1).step()


def test_large_parameters_are_updated_whole():
    parameter = Parameter(np.zeros((300, 331), np.float32))
    adam = Adam([parameter], lr=0.5)
    parameter.grad += 3
    adam.step()
    np.testing.assert_allclose(parameter.data, -0.5, rtol=1e-5)
    assert parameter.data.dtype == np.float32


@EVERY
def test_an_optimizer_goes_on_where_its_state_was(make):
    whole = [Parameter(np.ones(4)), Parameter(np.ones((2, 3)))]
    optimizer = make(whole)
    take_steps(optimizer, whole, seed=1), take_steps(optimizer, whole, seed=2)
    half = [Parameter(np.ones(4)), Parameter(np.ones((2, 3)))]
    first = make(half)
    take_steps(first, half, seed=1)
    second = make(half)
    second.load_state_dict(first.state_dict())
    assert second.steps == 3
    take_steps(second, half, seed=2)
    for a, b in zip(half, whole, strict=True):
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"0.m": np.ones(3)}, r"0\.m: expected real numbers \(4,\), got real numbers \(3,\)"),
        ({"0.v": np.ones(4, int)}, r"0\.v: expected real numbers \(4,\), got int64 \(4,\)"),
        ({"0.v": None}, r"0\.v: expected real numbers \(4,\), got nothing"),
        ({"1.m": np.ones(4)}, r"1\.m: expected nothing, got real numbers \(4,\)"),
        ({"steps": np.array(-1)}, "steps: expected a count, got -1"),
        ({"steps": np.array(2.5)}, r"steps: expected a count, got float64 \(\)"),
        ({"steps": np.array([2])}, r"steps: expected a count, got int64 \(1,\)"),
    ],
)
def test_a_foreign_state_changes_nothing(change, message):
    parameter = Parameter(np.ones(4))
    state = Adam([parameter]).state_dict() | {"steps": np.array(9)} | change
    adam = Adam([parameter])
    with pytest.raises(ValueError, match=f"Adam.load_state_dict: .*{message}"):
        adam.load_state_dict({name: array for name, array in state.items() if array is not None})
    assert adam.steps == 0
    assert not any(slot.any() for slot in adam.slots[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Adam: lr: expected a number in .*, got -1.0"),
        ({"lr": float("nan")}, "Adam: lr"),
        ({"betas": (0.5, 1.0)}, r"Adam: betas: expected a number in \[0, 1\), got 1.0"),
        ({"eps": 0}, "Adam: eps: expected a number in .*, got 0"),
    ],
)
def test_adam_says_what_was_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        Adam([Parameter(np.ones(1))], **options)
    with pytest.raises(ValueError, match="at least one parameter"):
        Adam([])
    with pytest.raises(TypeError, match="expected Parameters, got ndarray"):
        Adam([np.ones(1)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: SGD(p, momentum=1.0), r"SGD: momentum: expected a number in \[0, 1\), got 1.0"),
        (lambda p: SGD(p, lr=-1), "SGD: lr: expected a number in .*, got -1"),
        (lambda p: RMSprop(p, decay=-0.1), r"RMSprop: decay: expected a number in \[0, 1\)"),
        (lambda p: RMSprop(p, eps=0), "RMSprop: eps: expected a number in .*, got 0"),
    ],
)
def test_the_others_say_it_too(make, message):
    with pytest.raises(ValueError, match=message):
        make([Parameter(np.ones(1))])


def test_the_three_readings_of_algorithm_1():
    rates = {
        reading: [linear_decay(1.0, e, 6, 2, reading) for e in range(6)]
        for reading in ("paper", "literal", "published")
    }
    assert rates["paper"] == pytest.approx([1, 1, 1, 3 / 4, 2 / 4, 1 / 4])
    assert rates["literal"] == pytest.approx([1, 1, 1, 1, 3 / 4, 2 / 4])  # ends at 2/(E−E₀)
    # 1 − max(0, e + 1 − 2) / (6 − 2 + 1)
    assert rates["published"] == pytest.approx([1, 1, 4 / 5, 3 / 5, 2 / 5, 1 / 5])


def test_a_rate_that_never_decays():
    for reading in ("paper", "literal", "published"):
        assert linear_decay(0.1, 9, 10, 10, reading) == 0.1


def test_schedule_errors():
    with pytest.raises(ValueError, match=r"decay_from: expected a number in \[0, epochs = 4\]"):
        linear_decay(1.0, 0, 4, 5)
    with pytest.raises(ValueError, match="reading: expected 'paper'"):
        linear_decay(1.0, 0, 4, 2, "mine")


def test_a_parameter_that_is_given_twice_is_refused():
    layer = Linear(2, 2)
    with pytest.raises(ValueError, match="Adam: expected each parameter once"):
        Adam([*layer.parameters(), layer.weight])


@pytest.mark.parametrize("lr", ["a", None, True, float("nan"), float("inf"), -1])
def test_a_rate_that_is_no_number_is_refused(lr):
    with pytest.raises(ValueError, match=r"SGD: lr: expected a number in \[0, inf\), got"):
        SGD(Linear(2, 2).parameters(), lr)


def test_a_parameter_holds_real_numbers():
    with pytest.raises(TypeError, match="Parameter: expected a floating-point array, got int64"):
        Parameter(np.array([1, 2]))
