"""How far stages are from the machine's limits: ``python -m benchmarks.roofline dcgan|cyclegan``.

A stage can be no faster than its operations at the speed of a large matrix product, and no faster
than the bytes that it must move at the speed of a copy; both are measured first.  Bytes are those
of the arrays that go in and come out, moved once.  Operations of a convolution are the
definition's, two a multiply–add, so that one which multiplies less can pass its limit; elsewhere
one is counted for each number that is moved.  What only calls other stages is left out.

With ``--one-core`` a single thread computes, and all seconds are those it spent on its core: also
on a machine that others use.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.where import Clock, clocked
from benchmarks.work_tinygan import Tinygan, step_parser, step_task
from tinygan.convolution.tally import counting
from tinygan.machine.allocator import keep_freed_memory
from tinygan.machine.parallel import for_slices, one_blas_thread, set_num_threads
from tinygan.optim import Optimizer


class Meter(Clock):
    """A clock that also gathers ``[bytes, operations]`` by ``(what, face)``."""

    def __init__(self):
        super().__init__()
        self.work = defaultdict(lambda: np.zeros(2))
        self._calls = 0

    def wrap(self, function, name):
        timed = super().wrap(function, name)

        def metered(*arguments, **keywords):
            self._calls += 1
            calls = self._calls
            with counting() as counts:
                result = timed(*arguments, **keywords)
            label = name(*arguments)
            if calls == self._calls and label[1] != "zero_grad":  # none within this one
                moved = _bytes(arguments) + _bytes(result)
                operations = 2 * sum(counts) or moved / np.dtype(np.float32).itemsize
                self.work[label] += moved, operations
            return result

        return metered


def _bytes(value) -> int:
    if isinstance(value, Optimizer):  # Adam reads four arrays and writes three
        return 7 * sum(parameter.data.nbytes for parameter in value.parameters)
    if isinstance(value, (tuple, list)):
        return sum(map(_bytes, value))
    return value.nbytes if isinstance(value, np.ndarray) else 0


def ceilings(
    size: int = 4096, numbers: int = 1 << 25, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, float]:
    """Return the operations a second of a matrix product, the bytes a second of a copy."""
    a, b = np.ones((2, size, size), np.float32)
    x, y = np.ones((2, numbers), np.float32)

    def copy():
        for_slices(lambda start, stop: np.copyto(y[start:stop], x[start:stop]), numbers, 1 << 18)

    product = 2 * size**3 / _least(lambda: np.matmul(a, b), clock)
    return product, 2 * x.nbytes / _least(copy, clock)


def _least(job, clock) -> float:
    seconds = []
    for _ in range(5):
        start = clock()
        job()
        seconds.append(clock() - start)
    return min(seconds)


def measure(
    task: dict, steps: int, of_processor: bool = False
) -> dict[tuple[str, str], np.ndarray]:
    """Return ``[seconds, bytes, operations]`` a step of every stage, the longest first."""
    step = Tinygan("numpy", 0).prepare(task)
    step()
    with clocked(clock=Meter()) as meter:
        for _ in range(steps):
            step()
    column = int(of_processor)
    found = {
        k: np.array([meter.seconds[k][column], *work]) / steps for k, work in meter.work.items()
    }
    return dict(sorted(((k, v) for k, v in found.items() if v[1]), key=lambda item: -item[1][0]))


def plot(stages, peak: float, bandwidth: float, path: Path) -> None:
    """Draw operations a second over operations a byte; areas are seconds, the least left out."""
    from matplotlib.figure import Figure

    figure = Figure((9, 5), layout="constrained")
    axes, x = figure.add_subplot(), np.geomspace(0.1, 2000, 200)
    axes.loglog(x, np.minimum(peak, bandwidth * x) / 1e9, color="#9b2226")
    total = sum(seconds for seconds, *_ in stages.values())
    shown = [(k, v) for k, v in stages.items() if v[0] > 1e-3 * total]
    for i, ((what, face), (seconds, moved, operations)) in enumerate(shown):
        at = operations / moved, operations / seconds / 1e9
        style = {"color": f"C{i % 10}", "marker": "os^D"[i // 10 % 4]}
        size = 20 + 600 * seconds / total
        axes.scatter(*at, size, label=f"{what}, {face}", alpha=0.7, **style)
    axes.set(xlabel="operations a byte", ylabel="10⁹ operations a second")
    axes.set_title(
        f"the roof: {peak / 1e9:.0f} · 10⁹ operations or {bandwidth / 1e9:.1f} GB a second"
    )
    legend = figure.legend(loc="outside right upper", fontsize="small")
    for handle in legend.legend_handles:
        handle.set_sizes([30])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(arguments=None) -> None:
    parser = step_parser("roofline", __doc__)
    parser.add_argument("--plot", type=Path, help="PNG: the stages under the roof")
    parser.add_argument("--one-core", action="store_true", help="one thread, its processor time")
    chosen = parser.parse_args(arguments)
    task = step_task(chosen)
    keep_freed_memory()
    if chosen.one_core:
        set_num_threads(1)
        with one_blas_thread():
            peak, bandwidth = ceilings(clock=time.thread_time)
            stages = measure(task, chosen.steps, of_processor=True)
    else:
        peak, bandwidth = ceilings()
        stages = measure(task, chosen.steps)
    print(f"matrix product {peak / 1e9:.0f} GFLOP/s, copy {bandwidth / 1e9:.1f} GB/s\n")
    print("| stage | | time | moved | operations | limit / time |\n|---|---|---:|---:|---:|---:|")
    for (what, face), (seconds, moved, operations) in stages.items():
        limit = max(operations / peak, moved / bandwidth)
        print(f"| {what} | {face} | {1e3 * seconds:.1f} ms | {moved / 1e6:,.0f} MB "
              f"| {operations / 1e9:.2f} · 10⁹ | {limit / seconds:.2f} |")  # fmt: skip
    if chosen.plot:
        plot(stages, peak, bandwidth, chosen.plot)


if __name__ == "__main__":
    main()
