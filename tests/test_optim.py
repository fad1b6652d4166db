"""Adam and the learning rate's schedule."""

import numpy as np
import pytest

from tinygan import Adam, Parameter, linear_decay


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


def test_agreement_with_pytorch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    start = rng.normal(size=(3, 4))
    ours, theirs = Parameter(start.copy()), torch.nn.Parameter(torch.tensor(start.copy()))
    adam = Adam([ours], lr=2e-4, betas=(0.5, 0.999))
    reference = torch.optim.Adam([theirs], lr=2e-4, betas=(0.5, 0.999))
    for _ in range(10):
        g = rng.normal(size=(3, 4)) * 10.0 ** rng.integers(-9, 3, size=(3, 4))
        ours.zero_grad()
        ours.grad += g
        theirs.grad = torch.tensor(g)
        adam.step()
        reference.step()
    np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-13)


def test_large_parameters_are_updated_whole():
    parameter = Parameter(np.zeros((300, 331), np.float32))
    adam = Adam([parameter], lr=0.5)
    parameter.grad += 3
    adam.step()
    np.testing.assert_allclose(parameter.data, -0.5, rtol=1e-5)
    assert parameter.data.dtype == np.float32


def test_adam_goes_on_where_its_state_was():
    def run(adam, parameter, gradients):
        for g in gradients:
            parameter.grad[...] = g
            adam.step()

    gradients = np.random.default_rng(0).normal(size=(6, 4))
    whole = Parameter(np.ones(4))
    run(Adam([whole]), whole, gradients)
    half = Parameter(np.ones(4))
    first = Adam([half])
    run(first, half, gradients[:3])
    second = Adam([half])
    second.load_state_dict(first.state_dict())
    run(second, half, gradients[3:])
    np.testing.assert_array_equal(half.data, whole.data)


def test_a_foreign_state_changes_nothing():
    adam = Adam([Parameter(np.ones(4))])
    with pytest.raises(ValueError, match=r"0\.m: expected \(4,\), got \(3,\)"):
        adam.load_state_dict(Adam([Parameter(np.ones(3))]).state_dict() | {"steps": np.array(9)})
    assert adam.steps == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1.0}, "Adam: lr: expected a number of at least 0, got -1.0"),
        ({"lr": float("nan")}, "Adam: lr"),
        ({"betas": (0.5, 1.0)}, r"Adam: betas: expected two numbers in \[0, 1\)"),
        ({"eps": 0}, "Adam: eps: expected a positive number, got 0"),
    ],
)
def test_adam_says_what_was_wrong(options, message):
    with pytest.raises(ValueError, match=message):
        Adam([Parameter(np.ones(1))], **options)
    with pytest.raises(ValueError, match="at least one parameter"):
        Adam([])
    with pytest.raises(TypeError, match="expected Parameters, got ndarray"):
        Adam([np.ones(1)])


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
