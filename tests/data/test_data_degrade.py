"""What JPEG, blur and resizing leave of pictures."""

import numpy as np
import pytest

from tinygan.data import faces
from tinygan.data.degrade import DEGRADATIONS, LEVELS, degrade
from tinygan.errors import DataError


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", DEGRADATIONS)
def test_each_level_takes_more_away_than_the_one_before(kind, channels):
    images = faces(8, 32, channels=channels).images
    kept = images.copy()
    errors = []
    for level in LEVELS[kind]:
        found = degrade(images, kind, level)
        assert (found.shape, found.dtype) == (images.shape, np.uint8)
        errors.append(np.abs(found.astype(float) - images).mean())
    assert (images == kept).all()
    assert errors == sorted(errors)
    assert errors[0] > 0
    assert errors[-1] > 1.5 * errors[0]


def test_each_picture_is_degraded_by_itself_and_floats_are_taken():
    images = faces(4, 16).images
    alone = np.concatenate([degrade(images[i : i + 1], "jpeg", 50) for i in range(4)])
    assert (degrade(images / 127.5 - 1, "jpeg", 50) == alone).all()


def test_an_unknown_way_is_refused():
    with pytest.raises(DataError, match="expected one of jpeg, blur, resize, got 'rain'"):
        degrade(faces(1, 16).images, "rain", 1)
