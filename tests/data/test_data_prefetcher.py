"""Batches: a function of seed and step, prepared by a thread that never outlives its use."""

import gc
import threading
import time

import numpy as np
import pytest

from tinygan.data import DataError, Prefetcher, UnpairedPrefetcher
from tinygan.data.prepared import Prepared


def numbered(count, size=4, channels=3):
    """Images whose every pixel says which image it is, but for a mark on the left edge."""
    images = np.empty((count, size, size, channels), np.uint8)
    images[:] = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return images


def numbers(batch):
    return np.rint((batch[:, 1, 1, 0] + 1) * 127.5).astype(int)


def threads():
    return [t for t in threading.enumerate() if t.name == "tinygan-batches"]


@pytest.fixture(autouse=True)
def no_thread_is_left():
    yield
    gc.collect()
    deadline = time.monotonic() + 5
    while threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threads() == []


def test_values_and_types():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    with Prefetcher(images, 1) as batches:
        x = next(batches)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.ravel(), np.arange(256) / 127.5 - 1, atol=2e-7)
    assert (x.min(), x.max()) == (-1, 1)


def test_an_epoch_shows_every_image_once_but_the_remainder():
    with Prefetcher(numbered(11), 3, seed=5) as batches:
        assert batches.steps_per_epoch == 3
        epochs = [np.concatenate([numbers(next(batches)) for _ in range(3)]) for _ in range(40)]
        assert batches.epoch == 40
    for epoch in epochs:
        assert len(set(epoch.tolist())) == 9
    assert len({tuple(e) for e in epochs}) == 40  # another order each time
    assert set(np.concatenate(epochs).tolist()) == set(range(11))  # another remainder, too


@pytest.mark.parametrize("start", [0, 1, 7, 50])
def test_resuming_at_a_step_gives_the_same_batches(start):
    images = np.random.default_rng(0).integers(0, 256, (13, 6, 6, 3), dtype=np.uint8)
    whole = Prefetcher(images, 4, seed=3, flip=True)
    with Prefetcher(images, 4, seed=3, flip=True, start_step=start) as resumed:
        for step in range(start, start + 5):
            assert resumed.step == step
            np.testing.assert_array_equal(next(resumed), whole.batch(step))


def test_memory_mapped_images_give_plain_batches(tmp_path):
    np.save(tmp_path / "a.npy", numbered(6))
    images = np.load(tmp_path / "a.npy", mmap_mode="r")
    x, y = UnpairedPrefetcher(images, images, 2, load_size=4, image_size=4).batch(0)
    assert type(Prefetcher(images, 3).batch(0)) is type(x) is type(y) is np.ndarray


def test_seeds_differ():
    images = numbered(50)
    orders = {tuple(numbers(Prefetcher(images, 50, seed=s).batch(0))) for s in range(10)}
    assert len(orders) == 10


def test_flips_are_of_whole_images_and_about_half():
    images = numbered(200)
    images[:, :, 0] = 255
    x = Prefetcher(images, 200, seed=1, flip=True).batch(0)
    left, right = x[:, 0, 0, 0] == 1, x[:, 0, -1, 0] == 1
    assert (left ^ right).all()
    assert 60 < right.sum() < 140
    y = Prefetcher(images, 200, seed=1).batch(0)
    np.testing.assert_array_equal(np.where(right[:, None, None, None], x[:, :, ::-1], x), y)


def test_images_are_not_written_to():
    images = numbered(6)
    images.flags.writeable = False
    Prefetcher(images, 6, flip=True).batch(0)
    UnpairedPrefetcher(images, images, 2, load_size=4, image_size=3).batch(0)


def test_errors():
    with pytest.raises(DataError, match="batch size 7 is larger than the data: there are 6 images"):
        Prefetcher(numbered(6), 7)
    with pytest.raises(DataError, match="batch size"):
        Prefetcher(numbered(6), 0)
    with pytest.raises(DataError, match="expected a uint8 array"):
        Prefetcher(numbered(6).astype(np.float32), 2)
    with pytest.raises(DataError, match="start_step"):
        Prefetcher(numbered(6), 2, start_step=-1)
    with pytest.raises(DataError, match="load_size 4"):
        UnpairedPrefetcher(numbered(6), numbered(6), load_size=4, image_size=5)
    with pytest.raises(DataError, match="A has 3 channels a pixel but B has 1"):
        UnpairedPrefetcher(numbered(6), numbered(6, channels=1), load_size=4, image_size=4)
    with pytest.raises(DataError, match="B: expected at least one image"):
        UnpairedPrefetcher(numbered(6), numbered(0), load_size=4, image_size=4)


def test_batches_are_prepared_ahead_and_waiting_is_counted():
    class Slow:
        steps_per_epoch = 1

        def __init__(self):
            self.made = []

        def batch(self, step):
            self.made.append(step)
            time.sleep(0.05)
            return step

    slow = Slow()
    with Prepared(slow, 0) as batches:
        assert next(batches) == 0
        waited = batches.waited_seconds
        assert waited > 0.03  # nothing was ready yet
        deadline = time.monotonic() + 5
        while len(slow.made) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)  # as if training
        assert slow.made[:4] == [0, 1, 2, 3]
        assert [next(batches) for _ in range(2)] == [1, 2]


def test_the_threads_exception_arrives_once_and_ends_it():
    images = numbered(8)
    batches = Prefetcher(images, 4)

    def fail(step):
        raise OSError("disk gone") if step == 2 else None

    good = batches._source.batch
    batches._source.batch = lambda step: good(step) if step < 2 else fail(step)
    assert len(next(batches)) == 4
    assert len(next(batches)) == 4
    with pytest.raises(OSError, match="disk gone"):
        next(batches)
    with pytest.raises(StopIteration):
        next(batches)


def test_closing():
    batches = Prefetcher(numbered(8), 4)
    batches.close()  # before anything was asked for
    with pytest.raises(StopIteration):
        next(batches)
    with Prefetcher(numbered(8), 4) as batches:
        next(batches)
        assert len(threads()) == 1
    assert threads() == []
    batches.close()


def test_dropped_without_closing():
    next(Prefetcher(numbered(8), 4))  # no_thread_is_left looks after it


def unpaired(**options):
    a, b = numbered(7, 8), numbered(3, 8) + 100
    return UnpairedPrefetcher(a, b, **{"load_size": 8, "image_size": 8, "seed": 2, **options})


def test_unpaired_epochs():
    batches = unpaired()
    assert batches.steps_per_epoch == 7
    steps = [batches.batch(step) for step in range(42)]
    a = np.concatenate([numbers(x) for x, _ in steps]).reshape(6, 7)
    b = np.concatenate([numbers(y) for _, y in steps]).reshape(14, 3)
    for epoch in a:
        assert sorted(epoch) == list(range(7))
    for round_ in b:  # the smaller domain goes round evenly, through the ends of epochs
        assert sorted(round_) == [100, 101, 102]
    assert len({tuple(e) for e in a}) == 6
    assert len({tuple(r) for r in b}) > 3
    pairs = {(int(i), int(j)) for i, j in zip(a.ravel(), b.ravel(), strict=True)}
    assert len(pairs) > 15  # unpaired: any with any


def test_unpaired_batches_larger_than_one():
    batches = unpaired(batch_size=5)
    assert batches.steps_per_epoch == 1
    x, y = batches.batch(0)
    assert x.shape == y.shape == (5, 8, 8, 3)
    assert len(set(numbers(x).tolist())) == 5
    assert sorted(set(numbers(y).tolist())) == [100, 101, 102]


def test_unpaired_resumes():
    with unpaired(load_size=11, batch_size=2, start_step=9) as resumed:
        for step in range(9, 13):
            for ours, theirs in zip(
                next(resumed), unpaired(load_size=11, batch_size=2).batch(step), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)


def test_unpaired_crops_and_flips_independently():
    y, x = np.mgrid[0:8, 0:8]
    image = np.stack([x, y, 0 * x], -1).astype(np.uint8)[None]
    seen = [[], []]
    batches = UnpairedPrefetcher(image, image, load_size=8, image_size=5, seed=4)
    for step in range(300):
        for domain, batch in enumerate(batches.batch(step)):
            pixels = np.rint((batch[0] + 1) * 127.5).astype(int)
            flipped = pixels[0, 0, 0] > pixels[0, -1, 0]
            pixels = pixels[:, ::-1] if flipped else pixels
            np.testing.assert_array_equal(np.diff(pixels[:, :, 0], axis=1), 1)
            np.testing.assert_array_equal(np.diff(pixels[:, :, 1], axis=0), 1)
            seen[domain].append((pixels[0, 0, 0], pixels[0, 0, 1], flipped))
    for domain in seen:  # 4 × 4 places, mirrored or not
        assert len(set(domain)) == 32
    assert np.mean([a == b for a, b in zip(*seen, strict=True)]) < 0.15


def test_unpaired_resizes_other_sizes_and_grey():
    a, b = numbered(2, 10, 1), np.full((3, 6, 9, 1), 200, np.uint8)
    x, y = UnpairedPrefetcher(a, b, load_size=8, image_size=7, flip=False).batch(0)
    assert x.shape == y.shape == (1, 7, 7, 1)
    np.testing.assert_allclose(y, 200 / 127.5 - 1, atol=1e-6)
