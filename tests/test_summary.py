"""What a network is said to cost is what it costs."""

import numpy as np

from tinygan import BatchNorm2d, Conv2d, LeakyReLU, Residual, Sequential, summary
from tinygan.models import dcgan
from tinygan.summary import held_bytes, summarise


def test_counts_of_a_known_network(capsys):
    network = Sequential(
        Conv2d(3, 8, 4, 2, 1), BatchNorm2d(8), Residual(Conv2d(8, 8, 3, padding=1))
    )
    result = summary(network, (16, 16, 3))
    assert result.parameters == (4 * 4 * 3 * 8 + 8) + 16 + (3 * 3 * 8 * 8 + 8)
    assert result.multiply_adds == 8 * 8 * 8 * (4 * 4 * 3) + 8 * 8 * 8 * (3 * 3 * 8)
    assert [(row.depth, row.shape) for row in result.rows] == [
        (0, (8, 8, 8)),
        (0, (8, 8, 8)),
        (0, (8, 8, 8)),
        (1, (8, 8, 8)),
    ]
    out = capsys.readouterr().out
    assert "Conv2d(3, 8, kernel_size=4, stride=2, padding=1)  (N, 8, 8, 8)" in out
    assert f"{result.multiply_adds:,}" in out


def test_the_bytes_of_any_batch_are_those_a_call_really_holds():
    D = dcgan.discriminator(32, width=8, rng=0)
    forecast = summarise(D, (32, 32, 3))
    for batch in (3, 16):
        _, backward = D(np.zeros((batch, 32, 32, 3), np.float32))
        held = forecast.bytes_fixed + batch * forecast.bytes_per_sample
        assert abs(held_bytes(backward) - held) <= 0.01 * held
    assert forecast.bytes_state == 16 * forecast.parameters


def test_a_norm_with_its_activation_remembers_what_the_two_did():
    """The input and the output, which the next layer remembers too; nothing in between."""
    act = LeakyReLU(0.2)
    two = Sequential(Conv2d(3, 8, 3), BatchNorm2d(8), act, Conv2d(8, 1, 3))
    one = Sequential(Conv2d(3, 8, 3), BatchNorm2d(8, activation=act), Conv2d(8, 1, 3))
    a, b = (summarise(network, (12, 12, 3)) for network in (two, one))
    assert (a.bytes_fixed, a.bytes_per_sample) == (b.bytes_fixed, b.bytes_per_sample)


def test_shared_memory_is_counted_once():
    # the activation remembers its output, which the next convolution remembers as its input
    network = Sequential(LeakyReLU(0.2), Conv2d(4, 4, 1))
    x = np.zeros((1, 8, 8, 4), np.float32)
    assert held_bytes(network(x)[1]) == x.nbytes


def test_the_network_is_left_as_it_was():
    G = dcgan.generator(16, width=4, rng=0)
    before = G.state_dict()
    summarise(G, (200,))
    for name, array in G.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
