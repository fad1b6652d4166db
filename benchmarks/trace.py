"""Which core works when: ``python -m benchmarks.trace dcgan|cyclegan``.

Every task that `tinygan.machine.parallel.run` gives a thread is written down with its begin and its
end.  What is left, the calling thread does alone: that, and where one thread waits for the others
at the end of a stage, is the time in which only one core works.  Of several
steps the one with the least of it is told.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

from benchmarks.work_tinygan import Tinygan, step_parser, step_task
from tinygan.machine import parallel
from tinygan.machine.allocator import keep_freed_memory


class Span(NamedTuple):
    """What a thread did from `start` to `stop`, in seconds."""

    thread: int
    stage: str
    start: float
    stop: float


@contextmanager
def traced() -> Iterator[list[Span]]:
    """Within the scope all tasks are entered in the list that is given."""
    spans: list[Span] = []
    run = parallel.run

    def traced_run(tasks, threads_each=1):
        stage, _ = _caller()
        if getattr(parallel._local, "share", None) == 1 or threads_each > 1:
            return run(tasks, threads_each)

        def timed(task):
            start = time.perf_counter()
            try:
                return task()
            finally:
                spans.append(Span(threading.get_ident(), stage, start, time.perf_counter()))

        return run([lambda task=task: timed(task) for task in tasks], threads_each)

    with replaced_run(traced_run):
        yield spans


def _caller() -> tuple[str, bool]:
    """Return the function that had `run` called, and whether it was for branches side by side."""
    frame, branches = sys._getframe(2), False
    while frame.f_code.co_name in ("for_slices", "for_pieces", "side_by_side", "elementwise"):
        branches = branches or frame.f_code.co_name == "side_by_side"
        frame = frame.f_back
    return frame.f_code.co_name, branches


@contextmanager
def replaced_run(function) -> Iterator[None]:
    """Within the scope `function` stands for `tinygan.machine.parallel.run` everywhere."""
    run = parallel.run
    with ExitStack() as stack:
        for module in [m for name, m in sys.modules.items() if name.startswith("tinygan")]:
            for name, value in list(vars(module).items()):
                if value is run:
                    stack.enter_context(patch.object(module, name, function))
        yield


class Run(NamedTuple):
    """What one call of `parallel.run` did: for each task, what `recorded` has of it."""

    stage: str
    branches: bool
    tasks: list[list]


@contextmanager
def recorded() -> Iterator[list]:
    """Within the scope one thread computes; gather what it does, in its processor seconds.

    The list has the seconds between calls of `parallel.run`, and a `Run` for each of these.
    """
    calls = [record := []]
    since = time.thread_time()

    def lap() -> None:
        nonlocal since
        now = time.thread_time()
        calls[-1].append(now - since)
        since = now

    def one_after_another(tasks, threads_each=1):
        lap()
        calls[-1].append(Run(*_caller(), []))
        results = []
        for task in tasks:
            calls[-1][-1].tasks.append(own := [])
            calls.append(own)
            results.append(task())
            lap()
            calls.pop()
        return results

    before = parallel.get_num_threads()
    parallel.set_num_threads(1)
    try:
        with replaced_run(one_after_another), parallel.one_blas_thread():
            yield record
        lap()
    finally:
        parallel.set_num_threads(before)


def seconds_of(record: list) -> float:
    """Return the processor seconds of all in `record`."""
    return sum(sum(map(seconds_of, x.tasks)) if isinstance(x, Run) else x for x in record)


def deal(record: list, threads: range, start: float = 0.0) -> tuple[list[Span], float]:
    """Return who would have done what when on these `threads`, and when all would have ended."""
    spans, now = [], start
    for item in record:
        if not isinstance(item, Run):
            now += item
            continue
        free = dict.fromkeys(threads, now)
        share = 1
        if item.branches or len(item.tasks) == 1:  # these have `run` called on several threads
            share = max(1, len(threads) // len(item.tasks))
        for i, task in enumerate(item.tasks):
            if share > 1 and any(isinstance(part, Run) for part in task):
                mine = threads[i * share : (i + 1) * share]
                inner, free[mine[0]] = deal(task, mine, now)
                spans += inner
            else:
                thread = min(free, key=free.__getitem__)
                stop = free[thread] + seconds_of(task)
                spans.append(Span(thread, item.stage, free[thread], stop))
                free[thread] = stop
        now = max(free.values())
    return spans, now


def alone(spans: list[Span], start: float, stop: float) -> tuple[float, dict[str, float]]:
    """Return the seconds in which fewer than two threads were in a task, and by which stage.

    A gap counts for the stage that begins at its end: what it waits for is made there.
    """
    ends = sorted([(s.start, 1, s.stage) for s in spans] + [(s.stop, -1, s.stage) for s in spans])
    by_stage: dict[str, float] = defaultdict(float)
    busy, since = 0, start
    for at, change, stage in [*ends, (stop, 0, "the rest")]:
        if busy < 2:
            by_stage[stage] += at - since
        busy, since = busy + change, at
    return sum(by_stage.values()), dict(by_stage)


def plot(spans: list[Span], start: float, stop: float, path: Path) -> None:
    """Draw a line a thread, a colour a stage."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    threads = list(dict.fromkeys(s.thread for s in spans))
    stages = [name for name, _ in Counter(s.stage for s in spans).most_common()]
    figure = Figure((12, 1 + 0.6 * len(threads) + 0.25 * len(stages) / 4), layout="constrained")
    axes = figure.add_subplot()
    for i, stage in enumerate(stages):
        for row, thread in enumerate(threads):
            mine = [s for s in spans if s.thread == thread and s.stage == stage]
            bars = [(1e3 * (s.start - start), 1e3 * (s.stop - s.start)) for s in mine]
            label = stage.strip("_") if row == 0 else None
            color = colormaps["tab20"](i % 20)
            axes.broken_barh(bars, (row - 0.4, 0.8), color=color, label=label)
    axes.set(xlabel="milliseconds of the step", xlim=(0, 1e3 * (stop - start)))
    axes.set_yticks(range(len(threads)), [f"thread {i + 1}" for i in range(len(threads))])
    axes.invert_yaxis()
    figure.legend(loc="outside lower center", ncols=5, fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)


def tell(what: str, spans: list[Span], start: float, stop: float) -> None:
    """Print how long a step took, the share of one core alone, and where that lies."""
    seconds, by_stage = alone(spans, start, stop)
    print(f"{what}: {stop - start:.3f} s a step, one core alone {seconds / (stop - start):.1%}")
    print(f"tasks a thread: {sorted(Counter(s.thread for s in spans).values(), reverse=True)}\n")
    print("| stage | tasks | one core alone |\n|---|---:|---:|")
    counts = Counter(s.stage for s in spans)
    for stage, seconds in sorted(by_stage.items(), key=lambda item: -item[1])[:20]:
        print(f"| {stage} | {counts[stage]} | {1e3 * seconds:.1f} ms |")


def main(arguments=None) -> None:
    parser = step_parser("trace", __doc__, 5)
    parser.add_argument("--plot", type=Path, help="PNG with a line a thread")
    parser.add_argument("--cores", type=int, nargs="+", help="tasks measured one by one, and dealt")
    chosen = parser.parse_args(arguments)
    task = step_task(chosen)
    keep_freed_memory()
    step = Tinygan("numpy", 0).prepare(task)
    step(), step()
    if chosen.cores:
        records = []
        for _ in range(chosen.steps):
            with recorded() as record:
                step()
            records.append(record)
        record = min(records, key=seconds_of)
        for cores in chosen.cores:
            spans, stop = deal(record, range(cores))
            tell(f"{chosen.system} on {cores}, {seconds_of(record):.3f} s of work", spans, 0, stop)
            if chosen.plot and cores == chosen.cores[0]:
                plot(spans, 0, stop, chosen.plot)
        return
    best = None
    for _ in range(chosen.steps):
        with traced() as spans:
            start = time.perf_counter()
            step()
            stop = time.perf_counter()
        share = alone(spans, start, stop)[0] / (stop - start)
        if best is None or share < best[0]:
            best = share, spans, start, stop
    _, spans, start, stop = best
    tell(chosen.system, spans, start, stop)
    if chosen.plot:
        plot(spans, start, stop, chosen.plot)


if __name__ == "__main__":
    main()
