"""Exercise 11, hidden: each part alone, and no gradient is lost."""

import numpy as np
import pytest

from tinygan import Conv2d, check_objective, l1

IMPLEMENTATION = "exercises/cycle.py"


@pytest.mark.points(2, visibility="after_published")
def test_parts(impl):
    """cycle and identity: each part alone"""
    G, F = (Conv2d(1, 1, 3, padding=1, rng=seed).to(dtype="float64") for seed in (0, 1))
    for network in (G, F):
        network.weight.data += np.random.default_rng(5).standard_normal(network.weight.shape)
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((1, 4, 5, 1)), rng.standard_normal((1, 4, 5, 1))
    identity = l1(G.predict(y), y)[0] + l1(F.predict(x), x)[0]
    loss = float(impl.cycle_and_identity(G, F, x, y, 0.0, 1.0))
    assert abs(loss - float(identity)) < 1e-9, f"identity alone is {loss:.9g}, not {identity:.9g}"
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        check_objective(lambda w=weights: impl.cycle_and_identity(G, F, x, y, *w), [G, F])
