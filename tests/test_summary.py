"""What a network is said to cost is what it costs."""

from contextlib import nullcontext

import numpy as np

from tinygan import BatchNorm2d, Conv2d, LeakyReLU, Residual, Sequential, plain, summary
from tinygan.models import dcgan
from tinygan.summary import held_bytes, summarize


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
    forecast = summarize(D, (32, 32, 3))
    for batch in (3, 16):
        _, backward = D(np.zeros((batch, 32, 32, 3), np.float32))
        held = forecast.bytes_fixed + batch * forecast.bytes_per_sample
        assert abs(held_bytes(backward) - held) <= 0.01 * held
    assert forecast.bytes_state == 16 * forecast.parameters


def test_layers_that_run_as_one_have_a_row_each_and_hold_what_is_forecast():
    """The norm's input and the activation's output, which the next layer remembers too."""
    network = Sequential(Conv2d(3, 8, 3), BatchNorm2d(8), LeakyReLU(0.2), Conv2d(8, 1, 3))
    forecast = summarize(network, (12, 12, 3))
    assert [row.text.split("(")[0] for row in forecast.rows] == [
        "Conv2d", "BatchNorm2d", "LeakyReLU", "Conv2d"]  # fmt: skip
    assert [row.parameters for row in forecast.rows] == [224, 16, 0, 73]
    for mode in (nullcontext(), plain()):
        with mode:
            _, backward = network(np.zeros((5, 12, 12, 3), np.float32))
        held = held_bytes(backward)
        assert abs(held - forecast.bytes_fixed - 5 * forecast.bytes_per_sample) <= 0.01 * held


def test_shared_memory_is_counted_once():
    # the activation remembers its output, which the next convolution remembers as its input
    network = Sequential(LeakyReLU(0.2), Conv2d(4, 4, 1))
    x = np.zeros((1, 8, 8, 4), np.float32)
    assert held_bytes(network(x)[1]) == x.nbytes


def test_the_network_is_left_as_it_was():
    G = dcgan.generator(16, width=4, rng=0)
    before = G.state_dict()
    summarize(G, (200,))
    for name, array in G.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
