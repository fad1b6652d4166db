"""Batches on their way to the GPU."""

import numpy as np
import pytest

from tinygan import asarray, asnumpy
from tinygan.machine.arrays import BackendError, CupyStatus, backend_of
from tinygan.machine.upload import Uploader


def _batches(count, shape=(4, 5)):
    rng = np.random.default_rng(0)
    for _ in range(count):
        yield rng.standard_normal(shape).astype(np.float32), rng.integers(9, size=3)


def test_on_numpy_nothing_is_copied():
    x, z = np.ones(2), np.zeros(3)
    uploaded = Uploader("numpy")(x, z)
    assert uploaded[0] is x
    assert uploaded[1] is z


def test_every_batch_arrives(cupy):
    upload = Uploader("cupy")
    for x, labels in _batches(6):
        expected = x.copy(), labels.copy()
        found = upload(x, labels)
        x[...] = np.nan  # the caller's arrays are free at once
        labels[...] = -1
        for host, device in zip(expected, found, strict=True):
            assert backend_of(device) == "cupy"
            assert device.dtype == host.dtype
            assert (asnumpy(device) == host).all()


def test_a_batch_lasts_until_the_call_after_the_next(cupy):
    upload = Uploader("cupy")
    (a, _), (b, _), (c, _) = _batches(3)
    (first,) = upload(a)
    (second,) = upload(b)
    assert (asnumpy(first) == a).all()
    (third,) = upload(c)
    assert (asnumpy(second) == b).all()
    assert third.data.ptr == first.data.ptr


def test_batches_may_change_their_shape(cupy):
    upload = Uploader("cupy")
    for shape in ((4, 5), (4, 5), (2, 5), (7, 1), (7, 1), (4, 5)):
        (x, _), *_ = _batches(1, shape)
        assert (asnumpy(upload(x)[0]) == x).all()


def test_arrays_with_gaps_are_uploaded_too(cupy):
    upload = Uploader("cupy")
    x = np.arange(24.0).reshape(4, 6)
    assert (asnumpy(upload(x[:, ::2])[0]) == x[:, ::2]).all()


@pytest.mark.gpu
def test_the_copy_does_not_wait_for_what_is_computed(gpu):
    upload = Uploader("cupy")
    batches = [x for x, _ in _batches(8, (256, 1024))]
    large = gpu.ones((4096, 4096), gpu.float32)
    for x in batches[:3]:
        gpu.matmul(large, large)
        upload(x)
    gpu.cuda.Device().synchronize()
    for _ in range(100):
        gpu.matmul(large, large)
    computed = gpu.cuda.get_current_stream().record()
    (device,) = upload(batches[3])
    copied = upload._slots[0].copied
    copied.synchronize()
    assert not computed.done
    assert (asnumpy(device) == batches[3]).all()


def test_an_accumulation_over_many_batches_is_that_of_the_host(cupy):
    upload = Uploader("cupy")
    total, expected = asarray(np.zeros((64, 64), np.float64), "cupy"), np.zeros((64, 64))
    for x, _ in _batches(20, (64, 64)):
        (device,) = upload(x)
        total += device @ device
        expected += x @ x
    assert abs(asnumpy(total) - expected).max() < 1e-3


def test_without_cupy_it_says_so(monkeypatch):
    status = CupyStatus("not installed", "no CuPy here")
    monkeypatch.setattr("tinygan.machine.arrays.cupy_status", lambda: status)
    with pytest.raises(BackendError, match="no CuPy here"):
        Uploader("cupy")


def test_memory_is_reused_only_when_it_was_read(strict_cupy, monkeypatch):
    """The copy waits for the steps that read the buffer, the host for the older copy."""
    order = []

    class Logged(strict_cupy.cuda.Stream):
        def record(self, event=None):
            order.append((self.null, "record"))
            return super().record(event)

        def wait_event(self, event):
            order.append((self.null, "wait for", event.stream.null))
            super().wait_event(event)

        def _put(self, copy):
            order.append((self.null, "copy"))
            super()._put(copy)

    compute = Logged(null=True)
    monkeypatch.setattr(strict_cupy.cuda, "Stream", Logged)
    monkeypatch.setattr(strict_cupy.cuda, "get_current_stream", lambda: compute)
    upload = Uploader("cupy")
    for x, _ in _batches(3):
        order.clear()
        strict_cupy.ledger.reset()
        upload(x)
    assert strict_cupy.ledger.waits == ["Event.synchronize"]
    assert order == [
        (True, "record"),  # the step before has been launched
        (False, "wait for", True),  # for the step before that, which read this buffer
        (False, "copy"),
        (False, "record"),
        (True, "wait for", False),
    ]
