"""The drawn data sets: reproducible, varied, and true to their attributes."""

import numpy as np
import pytest

from tinygan.data import BAG_CATEGORIES, FACE_CATEGORIES, DataError, bags, faces
from tinygan.machine import parallel

DRAWN = [faces, lambda *a, **k: bags(*a, domain="backpack", **k), bags]
CATEGORIES = [FACE_CATEGORIES, BAG_CATEGORIES, BAG_CATEGORIES]


@pytest.mark.parametrize("draw", DRAWN)
def test_a_picture_depends_on_seed_and_number_alone(draw):
    many, few = draw(70, 32, seed=3), draw(5, 32, seed=3)
    late = draw(10, 32, seed=3, start=60)
    np.testing.assert_array_equal(many.images[:5], few.images)
    np.testing.assert_array_equal(many.images[60:], late.images)
    for name, values in many.attributes.items():
        np.testing.assert_array_equal(values[:5], few.attributes[name])
        np.testing.assert_array_equal(values[60:], late.attributes[name])
    assert (draw(5, 32, seed=4).images != few.images).any(axis=(1, 2, 3)).all()


def test_the_same_bits_at_every_thread_count():
    threads = parallel.get_num_threads()
    try:
        parallel.set_num_threads(1)
        one = faces(100, 32)
        parallel.set_num_threads(3)
        np.testing.assert_array_equal(one.images, faces(100, 32).images)
    finally:
        parallel.set_num_threads(threads)


@pytest.mark.parametrize("draw", DRAWN)
@pytest.mark.parametrize("size", [8, 31, 64])
def test_shapes_and_grey(draw, size):
    drawn, grey = draw(3, size), draw(3, size, channels=1)
    assert drawn.images.shape == (3, size, size, 3)
    assert grey.images.shape == (3, size, size, 1)
    assert drawn.images.dtype == grey.images.dtype == np.uint8
    assert len(drawn) == 3
    luminance = drawn.images @ np.array([0.299, 0.587, 0.114])
    assert np.abs(grey.images[..., 0] - luminance).max() < 1.5


@pytest.mark.parametrize(("draw", "categories"), list(zip(DRAWN, CATEGORIES, strict=True)))
def test_all_kinds_come_up_and_pictures_differ(draw, categories):
    drawn = draw(600, 16)
    assert drawn.categories is categories
    for name, kinds in categories.items():
        assert set(drawn.attributes[name].tolist()) == set(range(len(kinds))), name
    assert len({image.tobytes() for image in drawn.images}) == 600
    assert all(len(values) == 600 for values in drawn.attributes.values())
    assert drawn.images.std(axis=0).max() > 40


def test_sizes_show_the_same_picture():
    large, small = faces(20, 64).images.astype(float), faces(20, 32).images.astype(float)
    reduced = large.reshape(20, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    assert np.abs(reduced - small).mean() < 4
    others = np.abs(np.roll(reduced, 1, axis=0) - small).mean()
    assert others > 30


def mean_colour(drawn, name, kind, rows, columns):
    of_kind = drawn.attributes[name] == drawn.categories[name].index(kind)
    return drawn.images[of_kind, rows, columns].mean(axis=(0, 1, 2))


def test_face_attributes_are_what_is_seen():
    drawn = faces(1500, 32)
    corner = (slice(0, 3), slice(0, 3))
    red, _, blue = mean_colour(drawn, "background", "peach", *corner)
    assert red > blue + 30
    red, _, blue = mean_colour(drawn, "background", "sky", *corner)
    assert blue > red + 30
    cheeks = (slice(18, 21), slice(12, 20))
    light = [mean_colour(drawn, "skin", k, *cheeks).mean() for k in FACE_CATEGORIES["skin"]]
    assert (np.diff(light) < 0).all()
    top = (slice(6, 8), slice(12, 20))
    red, _, blue = mean_colour(drawn, "hair_colour", "blue", *top)
    assert blue > red
    eyes = (slice(14, 18), slice(8, 24))
    dark = mean_colour(drawn, "glasses", "dark", *eyes).mean()
    assert dark < mean_colour(drawn, "glasses", "none", *eyes).mean() - 25


def test_faces_are_brightest_where_the_light_is():
    drawn = faces(800, 16)
    left_minus_right = drawn.images[:, :, 0].mean((1, 2)) - drawn.images[:, :, -1].mean((1, 2))
    assert np.corrcoef(left_minus_right, drawn.attributes["light"])[0, 1] < -0.5


def test_bags_are_pairs_made_of_the_same_things():
    handbags, backpacks = bags(300, 32), bags(300, 32, domain="backpack")
    for name, values in handbags.attributes.items():
        np.testing.assert_array_equal(values, backpacks.attributes[name])
    a, b = (d.images[:, 20:27, 12:20].mean(axis=(1, 2)) for d in (handbags, backpacks))
    assert np.corrcoef(a.ravel(), b.ravel())[0, 1] > 0.75  # the same colours in the middle
    shuffled = np.roll(b, 1, axis=0)
    assert np.abs(a - b).mean() < 0.5 * np.abs(a - shuffled).mean()
    assert np.abs(handbags.images.astype(int) - backpacks.images).mean() > 10  # other shapes


def test_errors():
    with pytest.raises(DataError, match="domain: expected one of handbag, backpack, got 'shoe'"):
        bags(3, domain="shoe")
    for draw in DRAWN:
        for wrong, name in (
            ({"count": 0}, "count"),
            ({"image_size": 4}, "image_size"),
            ({"channels": 4}, "channels"),
            ({"start": -1}, "start"),
            ({"seed": -1}, "seed"),
        ):
            with pytest.raises(DataError, match=name):
                draw(**{"count": 2, "image_size": 16, **wrong})
