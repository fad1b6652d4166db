"""The drawn data sets: reproducible, varied, and true to their attributes."""

import numpy as np
import pytest

from tinygan.data import (
    BAG_CATEGORIES,
    DRAWN_SETS,
    FACE_CATEGORIES,
    LENS_CATEGORIES,
    SEASON_CATEGORIES,
    DataError,
    bags,
    faces,
    lenses,
    seasons,
)
from tinygan.data.drawing import Canvas
from tinygan.machine import parallel

DRAWN = [makers[i] for makers in DRAWN_SETS.values() for i in range(len(makers))]
CATEGORIES = [FACE_CATEGORIES, BAG_CATEGORIES, BAG_CATEGORIES]
CATEGORIES += [SEASON_CATEGORIES] * 2 + [LENS_CATEGORIES] * 2
PAIRS = [name for name, makers in DRAWN_SETS.items() if len(makers) == 2]


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
    assert drawn.categories == categories
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


@pytest.mark.parametrize("name", PAIRS)
def test_both_domains_show_the_same_things_and_others_do_not(name):
    a, b = (draw(200, 32, seed=5) for draw in DRAWN_SETS[name])
    for attribute, values in a.attributes.items():
        np.testing.assert_array_equal(values, b.attributes[attribute])
    a, b = (x.images - x.images.mean(axis=0) for x in (a, b))  # without what the domain makes

    def alike(x, y):
        return (x * y).mean() / np.sqrt((x * x).mean() * (y * y).mean())

    assert alike(a, b) > 0.25
    assert abs(alike(a, np.roll(b, 1, axis=0))) < 0.1


def test_seasons_are_seen():
    summer, winter = seasons(300, 32), seasons(300, 32, domain="winter")
    low = (slice(None), slice(28, 32))
    red, green, blue = summer.images[low].mean(axis=(0, 1, 2))
    assert green > red + 20
    assert green > blue + 20
    assert winter.images[low].mean() > 200
    pale = winter.images[low].mean(axis=(0, 1, 2))
    assert np.ptp(pale) < 20
    on_lake = summer.attributes["ground"] == SEASON_CATEGORIES["ground"].index("lake")
    middle = summer.images[:, 22:26, 14:18].mean(axis=(1, 2))
    assert middle[on_lake, 2].mean() > middle[~on_lake, 2].mean() + 30


def test_a_large_lens_blurs_what_is_behind_the_flower_and_not_the_flower():
    phone, dslr = lenses(200, 64), lenses(200, 64, domain="dslr")

    def detail(drawn, rows, columns):
        return np.abs(np.diff(drawn.images[:, rows, columns].astype(float), axis=2)).mean()

    corner, middle = (slice(0, 12), slice(0, 64)), (slice(26, 34), slice(26, 38))
    assert detail(dslr, *corner) < 0.45 * detail(phone, *corner)
    assert detail(dslr, *middle) > 0.8 * detail(phone, *middle)


def test_a_blur_makes_a_disc_of_a_point_and_loses_no_light():
    canvas = Canvas(2, 41)
    canvas.pixels[:, 1, 20, 20] = 1
    radius = 6.25
    canvas.blur(radius * canvas.pixel)
    assert (canvas.pixels[:, 0] == 0).all()
    disc = canvas.pixels[0, 1]
    np.testing.assert_allclose(disc.sum(), 1, atol=1e-5)
    away = np.hypot(*np.mgrid[-20:21, -20:21])
    assert (disc[away > radius + 1.5] < 1e-6).all()
    np.testing.assert_allclose(disc[away < radius - 1.5], disc.max(), rtol=1e-4)
    even = Canvas(1, 16)
    even.pixels[...] = 0.7
    even.blur(0.5)
    np.testing.assert_allclose(even.pixels, 0.7, rtol=1e-5)


@pytest.mark.parametrize("size", [8, 32, 64])
def test_a_blur_of_any_size_stays_in_the_picture(size):
    canvas = Canvas(1, size)
    canvas.pixels[...] = np.random.default_rng(0).random(canvas.pixels.shape)
    canvas.blur(0.13)
    assert canvas.pixels.shape == (3, 1, size, size)
    assert 0 <= canvas.pixels.min() <= canvas.pixels.max() <= 1


def test_errors():
    with pytest.raises(DataError, match="domain: expected one of handbag, backpack, got 'shoe'"):
        bags(3, domain="shoe")
    with pytest.raises(DataError, match="domain: expected one of summer, winter, got 'autumn'"):
        seasons(3, domain="autumn")
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
