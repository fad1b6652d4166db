"""The image pool: the published rule, image by image, and a state that can be taken up again."""

import numpy as np
import pytest

from tinygan.models.image_pool import ImagePool


def picture(value, count=1):
    return np.stack([np.full((2, 3, 1), value + i, np.float32) for i in range(count)])


def values(images):
    return [int(image[0, 0, 0]) for image in images]


def test_size_0_passes_through():
    x = picture(7)
    pool = ImagePool(0)
    assert pool(x) is x
    assert pool.images == []


def test_filling_stores_and_returns_the_current_picture():
    pool = ImagePool(5)
    assert [values(pool(picture(i)))[0] for i in range(5)] == [0, 1, 2, 3, 4]
    assert values(pool.images) == [0, 1, 2, 3, 4]


def test_full_swaps_half_of_the_time_with_a_random_place():
    size, queries = 10, 4000
    pool = ImagePool(size, seed=3)
    stored = list(range(size))
    pool(picture(0, count=size))
    swapped, places = 0, np.zeros(size)
    for value in range(size, queries):
        (shown,) = values(pool(picture(value)))
        if shown == value:  # shown, not stored
            assert values(pool.images) == stored
            continue
        place = stored.index(shown)  # an older one: it has left, and the new one has its place
        stored[place] = value
        assert values(pool.images) == stored
        swapped += 1
        places[place] += 1
    tries = queries - size
    assert abs(swapped / tries - 0.5) < 4 * 0.5 / tries**0.5
    expected = swapped / size
    assert (abs(places - expected) < 5 * expected**0.5).all()


def test_a_batch_is_treated_image_by_image():
    pool = ImagePool(3, seed=1)
    shown = pool(picture(0, count=8))
    assert shown.shape == (8, 2, 3, 1)
    assert values(shown)[:3] == [0, 1, 2]  # while it fills
    seen = set(values(shown)) | set(values(pool.images))
    assert seen == set(range(8))  # none is lost: each is shown, or stored


def test_stored_pictures_do_not_change_with_the_callers_array():
    x = picture(1)
    pool = ImagePool(2)
    pool(x)
    x[...] = 9
    assert values(pool.images) == [1]


def test_dtype_is_kept():
    assert ImagePool(2)(picture(0, count=4)).dtype == np.float32


def test_the_state_brings_the_same_future_back():
    pool = ImagePool(4, seed=11)
    for value in range(9):
        pool(picture(value))
    state = pool.state_dict()
    assert all(isinstance(array, np.ndarray) for array in state.values())
    other = ImagePool(4, seed=0)
    other.load_state_dict(state)
    for value in range(9, 40):
        np.testing.assert_array_equal(pool(picture(value)), other(picture(value)))


def test_an_unused_pools_state():
    other = ImagePool(4, seed=0)
    other.load_state_dict(ImagePool(4, seed=5).state_dict())
    assert (other.images, other.seed, other.calls) == ([], 5, 0)


def test_two_seeds_decide_differently():
    a, b = (ImagePool(2, seed=seed)(picture(0, count=40)) for seed in (0, 1))
    assert values(a) != values(b)


def test_errors_name_what_was_wrong():
    with pytest.raises(ValueError, match=r"ImagePool: size: expected an integer .*got -1"):
        ImagePool(-1)
    pool = ImagePool(2)
    pool(picture(0, count=2))
    with pytest.raises(ValueError, match=r"shape \(2, 3, 1\).*got \(4, 4, 1\)"):
        pool(np.zeros((1, 4, 4, 1), np.float32))
    small = ImagePool(1)
    with pytest.raises(ValueError, match="at most size = 1 pictures, got 2"):
        small.load_state_dict(pool.state_dict())
    assert small.images == []
