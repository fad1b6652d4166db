"""The loop: steps, and what is written down after them."""

from __future__ import annotations

import math
import time
from collections import deque
from contextlib import closing
from dataclasses import asdict, dataclass

from tinygan.errors import DivergedError
from tinygan.runs.checkpoint import Best, save_checkpoint
from tinygan.runs.folder import RunFolder
from tinygan.runs.report import write_report
from tinygan.systems.system import System
from tinygan.train.interrupt import Interrupt
from tinygan.train.pending import Pending
from tinygan.train.plots import plot_losses
from tinygan.train.progress import Progress
from tinygan.train.watch import Watch

__all__ = ["Plan", "train"]

_SECONDS_BETWEEN_PLOTS = 20.0


@dataclass(frozen=True)
class Plan:
    """How long to train, and what to keep of it.

    Attributes
    ----------
    steps : int
        In all, those of earlier sessions included.
    sample_every, checkpoint_every : int
        Steps between two sample pictures, two checkpoints.
    keep : int
        How many checkpoints are kept, besides the best.
    """

    steps: int
    sample_every: int
    checkpoint_every: int
    keep: int


def train(
    system: System,
    run: RunFolder,
    plan: Plan,
    interrupt: Interrupt,
    start: int = 0,
    best: Best | None = None,
) -> int:
    """Train `system` up to ``plan.steps`` steps, writing into `run`; return the steps done.

    Parameters
    ----------
    system : System
        As it was after `start` steps.
    run : RunFolder
        Its metrics are open and hold the lines of these steps.
    plan : Plan
    interrupt : Interrupt
        When it has noted a signal, the step is finished and a checkpoint is written.
    start : int
    best : Best, optional
        The best checkpoint so far.

    Raises
    ------
    DivergedError
        If a metric, or a number that should go into a checkpoint, is NaN or infinite.
    OSError
        If something cannot be written.
    """
    keeper = _Keeper(system, run, plan, start, best)
    with closing(system.batches(start)) as batches:
        try:
            for step in range(start, plan.steps):
                keeper.add(system.step(next(batches), step), step, batches.waited_seconds)
                done = step + 1
                last = done == plan.steps or interrupt.signal is not None
                if done % plan.sample_every == 0 or last:
                    keeper.draw(done, last)
                if done % plan.checkpoint_every == 0 or last:
                    keeper.save(done)
                if last:
                    return done
        except DivergedError as error:
            keeper.report("stopped", str(error))
            raise
        finally:
            keeper.progress.close()
    return start


class _Keeper:
    """Writes down what the steps give.

    On a GPU a step's metrics are fetched after the next step was started, so that it never idles.
    """

    def __init__(self, system, run, plan, start, best):
        self.system, self.run, self.plan, self.best = system, run, plan, best
        self.progress = Progress(system.labels, plan.steps, start, system.options["batch_size"])
        self.lag = 0 if system.options["backend"] == "numpy" else 1
        self.pending: deque = deque()
        self.watch = Watch(system, run.path / "watch.jsonl", run.metrics.rows)
        self.plotted = -math.inf
        self.clock = time.perf_counter()

    def add(self, metrics: dict, step: int, waited: float) -> None:
        self.pending.append((step, Pending(metrics), waited))
        while len(self.pending) > self.lag:
            self._record()

    def flush(self) -> None:
        """Wait for all metrics that are under way."""
        while self.pending:
            self._record()

    def _record(self) -> None:
        step, pending, waited = self.pending.popleft()
        values = pending.result()
        for name in self.system.metric_names:
            if not math.isfinite(values[name]):
                raise DivergedError(f"{name} is {values[name]} at step {step + 1}", step + 1)
        now = time.perf_counter()
        row = {
            "step": step + 1,
            "epoch": step // self.system.steps_per_epoch + 1,
            **{name: values[name] for name in self.system.metric_names},
            "seconds": round(now - self.clock, 6),
        }
        self.clock = now
        self.run.metrics.append(row)
        self.progress.update(row, waited)
        self._warn(self.watch.step(row))

    def _warn(self, warned) -> None:
        if warned is not None:
            self.progress.say(f"warning at step {warned.step}: {warned.text}")

    def draw(self, done: int, last: bool) -> None:
        """Draw samples and, if it was not done just now, the curves and the report."""
        self.flush()
        pictures = self.system.save_samples(self.run.samples / f"step-{done:06d}.png")
        self._warn(self.watch.samples(done, pictures))
        if last or time.perf_counter() - self.plotted > _SECONDS_BETWEEN_PLOTS:
            plot_losses(self.run.metrics.rows, self.system.curves, self.run.path / "losses.png")
            ended = "finished" if done == self.plan.steps else "stopped"
            self.report(ended if last else "training")
            self.plotted = time.perf_counter()
        self.clock = time.perf_counter()

    def report(self, state: str, error: str = "") -> None:
        """Write ``report.html`` anew."""
        write_report(self.run.path, self.run.metrics.rows, state, error)

    def save(self, done: int) -> None:
        """Write a checkpoint; the metrics' lines are on the disk before it is."""
        self.flush()
        score = self.system.score()
        if score is not None and (self.best is None or score < self.best.score):
            self.best = Best(done, score)
        self.run.metrics.sync()
        info = {
            "options": self.system.options,
            "data": self.system.data,
            "score": score,
            "best": self.best and asdict(self.best),
        }
        save_checkpoint(self.run.checkpoints, self.system, done, info)
        self.run.prune(self.plan.keep, self.best and self.best.step)
        self.clock = time.perf_counter()
