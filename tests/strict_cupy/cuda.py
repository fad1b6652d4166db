"""Devices, streams and memory pools of the stand-in: the names, and nothing that waits."""

from __future__ import annotations

import types

from strict_cupy.array import OutOfMemoryError, ledger


class Device:
    def __init__(self, device=0):
        self.id = device

    compute_capability = "90"
    mem_info = (60 << 30, 80 << 30)

    @property
    def attributes(self):
        return {"MultiProcessorCount": 132}

    def synchronize(self):
        ledger.waits.append("Device.synchronize")

    def use(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass


class Event:
    """Done when what was on its stream at the moment of recording is done."""

    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.stream, self.count = None, 0

    def record(self, stream=None):
        self.stream = stream or NULL
        self.count = self.stream.added

    def _finish(self):
        assert self.stream is not None, "an event that was never recorded is never waited for"
        self.stream._run_until(self.count)

    def synchronize(self):
        ledger.waits.append("Event.synchronize")
        self._finish()


class Stream:
    """Copies that are put on it run as late as possible: when someone waits for them."""

    def __init__(self, null=False, non_blocking=False, ptds=False):
        self.null = null
        self.added, self.queue = 0, []

    def _put(self, copy):
        self.added += 1
        self.queue.append(copy)

    def _run_until(self, count):
        while self.added - len(self.queue) < count:
            self.queue.pop(0)()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def record(self, event=None):
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event):
        event._finish()

    def synchronize(self):
        ledger.waits.append("Stream.synchronize")
        self._run_until(self.added)


NULL = Stream(null=True)


class MemoryPool:
    def used_bytes(self):
        return ledger.used

    def total_bytes(self):
        return ledger.peak

    def free_all_blocks(self):
        ledger.peak = ledger.used

    def set_limit(self, size=None, fraction=None):
        ledger.limit = int(size if size is not None else fraction * Device.mem_info[1])

    def get_limit(self):
        return ledger.limit


POOL = MemoryPool()


class PinnedMemoryPool:
    def free_all_blocks(self):
        pass


PINNED_POOL = PinnedMemoryPool()


def make_module() -> types.ModuleType:
    module = types.ModuleType("cupy.cuda")
    module.Device, module.Event, module.Stream = Device, Event, Stream
    module.alloc_pinned_memory = bytearray
    module.get_current_stream = lambda: NULL
    module.memory = types.SimpleNamespace(OutOfMemoryError=OutOfMemoryError)
    module.runtime = types.SimpleNamespace(
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda device: {"name": b"stand-in", "totalGlobalMem": 80 << 30},
        runtimeGetVersion=lambda: 13000,
        driverGetVersion=lambda: 13000,
        CUDARuntimeError=RuntimeError,
    )
    return module
