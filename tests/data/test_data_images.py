"""Pictures made larger."""

import numpy as np
import pytest

from tinygan.data.images import bicubic


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("times", [2, 4])
def test_bicubic_keeps_a_ramp_and_each_colour_by_itself(times, channels):
    ramp = np.arange(0, 240, 12, dtype=np.uint8)
    x = np.stack([np.tile(ramp, (8, 1)) // (c + 1) for c in range(channels)], axis=-1)[None]
    y = bicubic(x, times)
    assert y.shape == (1, 8 * times, 20 * times, channels)
    assert y.dtype == np.uint8
    places = (np.arange(20 * times) + 0.5) / times - 0.5  # of the large pixels among the small
    inside = slice(2 * times, -2 * times)
    for c in range(channels):
        expected = 12 / (c + 1) * places
        assert abs(y[0, 3 * times, :, c] - expected)[inside].max() <= 1
    assert (y == y[:, :1]).all()


def test_once_as_large_is_the_same():
    x = np.random.default_rng(0).integers(0, 255, (2, 5, 4, 3), np.uint8)
    assert bicubic(x, 1) is x
