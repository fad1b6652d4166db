"""Ranks as threads: what layers, optimizers and pools compute is what one process computes."""

import threading

import numpy as np
import pytest

from tinygan import (
    SGD,
    BatchNorm2d,
    Dropout,
    GaussianNoise,
    InstanceNorm2d,
    LeakyReLU,
    Linear,
    Sequential,
    frozen,
)
from tinygan.distributed import Communicator, bounds, joined, on_threads, own_rows, sharing
from tinygan.distributed.shared import drawn, own_count, together
from tinygan.errors import UserError
from tinygan.layers import RandomColor, RandomCutout, RandomTranslation
from tinygan.models.image_pool import ImagePool

SIZES = (2, 3, 4)


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def test_shares_cover_the_batch_once_and_differ_by_one_row_at_most():
    for rows in range(1, 40):
        for size in range(1, rows + 1):
            parts = [bounds(rows, rank, size) for rank in range(size)]
            assert [i for a, b in parts for i in range(a, b)] == list(range(rows))
            assert {b - a for a, b in parts} <= {rows // size, rows // size + 1}


@pytest.mark.parametrize("size", [1, *SIZES])
def test_the_four_operations(size):
    def work(ranks):
        total = ranks.sum(np.array([10.0**ranks.rank, 1.0]))
        rows = ranks.gather(np.array([ranks.rank, 7]))
        told = ranks.exchange({"rank": ranks.rank})
        by_json = Communicator.exchange(ranks, ["×" * ranks.rank, None, ranks.rank])
        return total.tolist(), rows.tolist(), told, by_json

    [result] = {str(r) for r in on_threads(size, work)}
    assert result == str(
        (
            [float("1" * size), float(size)],
            [[rank, 7] for rank in range(size)],
            [{"rank": rank} for rank in range(size)],
            [["×" * rank, None, rank] for rank in range(size)],
        )
    )


def test_the_error_of_one_rank_is_raised_and_frees_the_others():
    def work(ranks):
        if ranks.rank == 1:
            raise ZeroDivisionError("mine")
        ranks.sum(np.zeros(1))

    with pytest.raises(ZeroDivisionError, match="mine"):
        on_threads(3, work)
    with pytest.raises(RuntimeError, match="rank 2: no more"):
        on_threads(3, lambda r: r.abort("no more") if r.rank == 2 else r.exchange(1))
    with pytest.raises(threading.BrokenBarrierError):
        on_threads(2, lambda r: None if r.rank else r.exchange(1), timeout=0.05)


@pytest.mark.parametrize("size", SIZES)
def test_rows_of_all_ranks_come_together_again(size):
    x = draw(7, 2, 2, 1)

    def work(ranks):
        with sharing(ranks):
            own, other = own_rows(x, x[:4])
            assert len(other) == np.subtract(*bounds(4, ranks.rank, size)[::-1])
            np.testing.assert_array_equal(ranks.gather_rows(own), x)
        return own

    np.testing.assert_array_equal(np.concatenate(on_threads(size, work)), x)


LAYERS = {
    "dropout": lambda: Dropout(0.4, rng=3),
    "noise": lambda: GaussianNoise(0.3, rng=3),
    "color": lambda: RandomColor(rng=3),
    "translation": lambda: RandomTranslation(0.5, rng=3),
    "cutout": lambda: RandomCutout(0.5, rng=3),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("size", SIZES)
def test_random_layers_draw_for_the_whole_batch_and_use_their_rows(name, size):
    make, x, dy = LAYERS[name], draw(7, 4, 4, 3), draw(7, 4, 4, 3, seed=1)
    layer = make()
    for _ in range(2):  # the second call has other random numbers
        y, backward = layer(x)
        dx = backward(dy)

    def work(ranks):
        layer = make()
        with sharing(ranks):
            own, own_dy = own_rows(x, dy)
            for _ in range(2):
                y, backward = layer(own)
                result = y, backward(own_dy)
        return *result, layer.state.copy()

    parts = on_threads(size, work)
    np.testing.assert_array_equal(np.concatenate([part[0] for part in parts]), y)
    np.testing.assert_array_equal(np.concatenate([part[1] for part in parts]), dx)
    assert all((part[2] == layer.state).all() for part in parts)


def test_two_batches_joined_in_one_get_the_rows_of_both():
    whole = np.arange(10)

    def work(ranks):
        with sharing(ranks, rows=5):
            n = np.subtract(*bounds(5, ranks.rank, 2)[::-1])
            with pytest.raises(ValueError, match=r"expected its . rows of the batch of 5"):
                drawn(np.arange, (n + 1,))
            return drawn(lambda shape: whole[: shape[0]], (2 * n,)).tolist()

    assert on_threads(2, work) == [[0, 1, 2, 5, 6, 7], [3, 4, 8, 9]]


# --- batch normalisation ------------------------------------------------------------------------


def network(kind, seed=5):
    layers = {
        "batch": [BatchNorm2d(3, weight_std=0.3, rng=seed)],
        "batch, plain": [BatchNorm2d(3, affine=False)],
        "with activation": [BatchNorm2d(3, weight_std=0.3, rng=seed), LeakyReLU(0.2)],
        "instance": [InstanceNorm2d(3)],
    }
    return Sequential(*layers[kind]).to(dtype="float64")


def passes(kind, size, x, dy):
    """Return y, dx, the averaged gradients and the buffers, of `size` ranks."""

    def work(ranks):
        net = network(kind)
        with sharing(ranks):
            own, own_dy = own_rows(x, dy)
            y, backward = net(own)
            # a rank's loss is a mean over its own rows: its gradients are larger by so much
            dx = backward(own_dy / ranks.share) * ranks.share
            grads = [ranks.mean(p.grad) for p in net.parameters()]
        return y, dx, grads, list(net.buffers().values())

    parts = on_threads(size, work)
    for part in parts[1:]:  # the same bits on all
        for one, other in zip(part[2] + part[3], parts[0][2] + parts[0][3], strict=True):
            np.testing.assert_array_equal(one, other)
    y, dx = (np.concatenate([part[i] for part in parts]) for i in range(2))
    return y, dx, *parts[0][2:]


@pytest.mark.parametrize("kind", ["batch", "batch, plain", "with activation", "instance"])
@pytest.mark.parametrize("size", SIZES)
def test_normalisation_of_ranks_is_that_of_one(kind, size):
    x, dy = 100 + draw(7, 3, 3, 3), draw(7, 3, 3, 3, seed=1)
    one, several = passes(kind, 1, x, dy), passes(kind, size, x, dy)
    for a, b in zip(one, several, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", ["batch", "with activation"])
def test_the_gradient_of_shared_batch_normalisation_is_that_of_differences(kind):
    x, dy = draw(5, 2, 2, 3, seed=2), draw(5, 2, 2, 3, seed=3)
    direction, h = draw(*x.shape, seed=4), 1e-6

    def loss(x):
        return float((passes(kind, 3, x, dy)[0] * dy).sum())

    numeric = (loss(x + h * direction) - loss(x - h * direction)) / (2 * h)
    assert (passes(kind, 3, x, dy)[1] * direction).sum() == pytest.approx(numeric, rel=1e-7)


def test_without_the_exchange_each_rank_normalises_its_own_rows():
    x = draw(4, 3, 3, 3)

    def work(ranks):
        ranks.sync_batch_norm = False
        with sharing(ranks):
            return network("batch, plain")(*own_rows(x))[0]

    halves = [network("batch, plain")(part)[0] for part in (x[:2], x[2:])]
    np.testing.assert_array_equal(np.concatenate(on_threads(2, work)), np.concatenate(halves))


def test_one_value_on_a_rank_suffices_where_the_batch_has_more():
    x = draw(3, 1, 1, 3)

    def work(ranks):
        with sharing(ranks):
            return network("batch, plain")(*own_rows(x))[0]

    expected = network("batch, plain")(x)[0]
    np.testing.assert_allclose(np.concatenate(on_threads(3, work)), expected, atol=1e-12)


def test_a_frozen_normalisation_passes_the_gradient_on():
    x, dy = draw(5, 2, 2, 3), draw(5, 2, 2, 3, seed=1)

    def work(ranks):
        net = network("batch")
        with sharing(ranks), frozen(net):
            own, own_dy = own_rows(x, dy)
            dx = net(own)[1](own_dy / ranks.share) * ranks.share
            assert not any(p.grad.any() for p in net.parameters())
        return dx

    expected = passes("batch", 1, x, dy)[1]
    np.testing.assert_allclose(np.concatenate(on_threads(3, work)), expected, atol=1e-12)


# --- gradients, pools, metrics --------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
def test_gradients_are_averaged_by_rows_in_one_exchange_an_optimizer(size):
    x = draw(7, 4)

    def work(ranks, sums):
        net = Linear(4, 3, rng=0).to(dtype="float64")
        sgd = SGD(net.parameters(), lr=1.0)
        add = ranks.sum
        ranks.sum = lambda array: sums.append(array.size) or add(array)
        with sharing(ranks):
            (own,) = own_rows(x)
            y, backward = net(own)
            backward(y / len(own))
            sgd.step()
        return np.concatenate([p.data.ravel() for p in net.parameters()])

    [one] = on_threads(1, lambda ranks: work(ranks, []))
    sums = []
    for other in on_threads(size, lambda ranks: work(ranks, sums)):
        np.testing.assert_allclose(other, one, rtol=1e-13, atol=1e-15)
    assert sums == [15] * size


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("capacity", [0, 3, 50])
def test_an_image_pool_is_the_same_on_all_ranks_and_that_of_one(size, capacity):
    batches = [draw(5, 2, 2, 1, seed=seed) for seed in range(6)]
    one = ImagePool(capacity, seed=1)
    shown = [one(batch) for batch in batches]

    def work(ranks):
        pool, seen = ImagePool(capacity, seed=1), []
        for batch in batches:
            with sharing(ranks):
                seen.append(pool(*own_rows(batch)))
        return pool, seen

    parts = on_threads(size, work)
    for i, expected in enumerate(shown):
        got = np.concatenate([seen[i] for _, seen in parts])
        np.testing.assert_array_equal(got, expected)
    for pool, _ in parts:
        for name, array in one.state_dict().items():
            np.testing.assert_array_equal(pool.state_dict()[name], array)


def test_metrics_are_means_over_the_whole_batch_and_keep_their_dtype():
    x, lr = np.float32([1, 2, 3, 4, 10]), np.full((), 2e-4, np.float32)

    def work(ranks):
        def step(batch):
            (own,) = own_rows(batch)
            return {"mean": own.mean(), "lr": lr}

        with joined(ranks):
            return together(step, x)

    for metrics in on_threads(3, work):
        assert metrics["mean"] == np.float32(4)
        assert metrics["lr"] == lr
        assert metrics["lr"].dtype == np.float32


def test_what_cannot_be_shared_is_refused():
    def no_upload(ranks):
        with joined(ranks):
            return together(lambda: {"loss": np.float32(1)})

    with pytest.raises(UserError, match="does not call it"):
        on_threads(2, no_upload)

    def too_few(ranks):
        with joined(ranks):
            assert own_count(5) == 2
            return own_count(2)

    with pytest.raises(UserError, match="at least 1 for each of the 3 ranks, got 2"):
        on_threads(3, too_few)
    assert own_count(2) == 2


def test_outside_of_a_step_a_rank_computes_alone():
    def work(ranks):
        with joined(ranks):
            if ranks.rank == 0:  # samples and measures: the others are not there
                return BatchNorm2d(3)(draw(2, 2, 2, 3).astype(np.float32))[0].shape

    assert on_threads(2, work) == [(2, 2, 2, 3), None]
