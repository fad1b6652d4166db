"""Exercise 11: cycle consistency and identity."""

import numpy as np
import pytest

from tinygan import Conv2d, Sequential, Tanh, check_objective, l1

IMPLEMENTATION = "exercises/cycle.py"


def networks():
    def make(seed):
        network = Sequential(Conv2d(2, 2, 3, padding=1, rng=seed), Tanh()).to(dtype="float64")
        for parameter in network.parameters():
            rng = np.random.default_rng(seed)
            parameter.data += 0.5 * rng.standard_normal(parameter.shape)
        return network

    rng = np.random.default_rng(2)
    return make(0), make(1), rng.standard_normal((2, 4, 4, 2)), rng.standard_normal((2, 4, 4, 2))


@pytest.mark.points(2)
def test_loss(impl):
    """cycle and identity: the loss"""
    G, F, x, y = networks()
    g, f = G.predict, F.predict
    cycle = l1(f(g(x)), x)[0] + l1(g(f(y)), y)[0]
    identity = l1(g(y), y)[0] + l1(f(x), x)[0]
    wrong_identity = l1(g(x), x)[0] + l1(f(y), y)[0]
    loss = float(impl.cycle_and_identity(G, F, x, y, 3.0, 2.0))
    hint = ""
    if abs(loss - float(3 * cycle + 2 * wrong_identity)) < 1e-9:
        hint = ": the identity loss is ‖G(y) − y‖ + ‖F(x) − x‖, not of G(x) and F(y)"
    due = float(3 * cycle + 2 * identity)
    assert abs(loss - due) < 1e-9, f"the loss is {loss:.9g}, expected {due:.9g}{hint}"


@pytest.mark.points(3)
def test_gradient(impl):
    """cycle and identity: the gradients of G and F"""
    G, F, x, y = networks()
    check_objective(lambda: impl.cycle_and_identity(G, F, x, y, 3.0, 2.0), [G, F])
