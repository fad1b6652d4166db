"""Two batches through one network as one, wherever that is the same."""

import numpy as np
import pytest

from tinygan import BatchNorm2d, Conv2d, Dropout, Layer, Sequential
from tinygan.models import cyclegan
from tinygan.models.together import together


class Mean(Layer):
    """A layer of the user's own, in which pictures meet."""

    def forward(self, x):
        return x - x.mean(axis=0), None

    def backward(self, dy, cache):
        return dy - dy.mean(axis=0)


def make(*extra):
    network = Sequential(Conv2d(3, 4, 3, rng=0), *extra, Conv2d(4, 2, 3, rng=1))
    return network.to(dtype=np.float64)


def draw(*shapes):
    rng = np.random.default_rng(7)
    return [rng.standard_normal(shape) for shape in shapes]


def in_turn(network, x1, x2, dy1, dy2):
    (y1, back1), (y2, back2) = network(x1), network(x2)
    return y1, y2, back1(dy1), back2(dy2)


@pytest.mark.parametrize(
    "maker",
    [
        make,
        lambda: make(BatchNorm2d(4)),
        lambda: make(Mean()),
        lambda: make(Dropout(0.5, rng=0)),
        lambda: cyclegan.generator(3, 4, 2, 1, rng=0).to(dtype=np.float64),
        lambda: cyclegan.patch_discriminator(3, 4, 1, rng=0).to(dtype=np.float64),
    ],
    ids=["plain", "batch norm", "own layer", "dropout", "generator", "discriminator"],
)
@pytest.mark.parametrize("size", [12, 16], ids=["two shapes", "one shape"])
def test_is_as_two_calls(maker, size):
    x1, x2 = draw((2, 16, 16, 3), (3, size, size, 3))
    dy1, dy2 = draw(*(maker().predict(x).shape for x in (x1, x2)))
    expected_of, network = maker(), maker()
    expected = in_turn(expected_of, x1, x2, dy1, dy2)
    y1, y2, backward = together(network, x1, x2)
    for found, wanted in zip((y1, y2, *backward(dy1, dy2)), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
    for p, q in zip(network.parameters(), expected_of.parameters(), strict=True):
        np.testing.assert_allclose(p.grad, q.grad, rtol=1e-10, atol=1e-12)
    for name, buffer in network.buffers().items():
        np.testing.assert_array_equal(buffer, expected_of.buffers()[name])


def test_without_the_gradient_of_the_input():
    network, (x, y) = make(), draw((1, 8, 8, 3), (1, 8, 8, 3))
    out, _, backward = together(network, x, y)
    assert backward(out, out, input_gradient=False) == (None, None)


@pytest.mark.parametrize(("extra", "calls"), [((), 1), ((BatchNorm2d(4),), 2)])
def test_pictures_that_stay_apart_are_one_batch(extra, calls, monkeypatch):
    network, (x, y) = make(*extra), draw((1, 8, 8, 3), (1, 8, 8, 3))
    made, forward = [], Conv2d.forward
    counted = lambda self, x: (made.append(len(x)), forward(self, x))[1]  # noqa: E731
    monkeypatch.setattr(Conv2d, "forward", counted)
    together(network, x, y)
    assert len(made) == 2 * calls
