"""Training on several ranks: rank 0 leads and alone writes the run folder, the others follow it.

A follower learns from rank 0 what is trained, loads the newest checkpoint as a resumed run does,
and takes the same steps.  What must be the same on all ranks is compared before the first one.
"""

from __future__ import annotations

import hashlib
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import tinygan
from tinygan.commands import complain, say
from tinygan.distributed.communicator import Communicator
from tinygan.distributed.mpi import MPI
from tinygan.distributed.nccl import use_own_gpu
from tinygan.distributed.shared import joined
from tinygan.errors import UserError
from tinygan.machine.arrays import resolve_backend
from tinygan.machine.memory import size_text
from tinygan.options.base import Options
from tinygan.options.resolving import load_options, stored
from tinygan.runs.checkpoint import checkpoint_paths, load_system, state_arrays
from tinygan.runs.load import use_newest
from tinygan.systems.system import System
from tinygan.train.interrupt import Interrupt
from tinygan.train.session import Session, build, total_steps

__all__ = ["compare", "train_on_ranks"]

Begin = Callable[..., AbstractContextManager[Session | None]]
_OWN = ("threads", "out", "distributed", "resume")  # options that ranks may differ in


def train_on_ranks(
    begin: Begin, cls: type[System], given: dict[str, Any], run: Callable[[Session], int]
) -> int:
    """Train with all ranks; return the exit status.

    Parameters
    ----------
    begin : callable
        `begun` or `taken_up`, called by rank 0.
    cls : type
        The system.
    given : dict
        The options that were given.
    run : callable
        Trains rank 0's session and says how it ended.
    """
    ranks: Communicator = MPI()
    with joined(ranks):
        try:
            compare(ranks, _asked(cls, given))
            compare(ranks, _own_gpu(ranks, given))
            if ranks.rank:
                return _follow(ranks, cls, given)
            return _lead(ranks, begin, cls, given, run)
        except UserError:  # all ranks know of it, and one says so
            if ranks.rank == 0:
                raise
            return 2
        finally:
            ranks.leave()


def compare(ranks: Communicator, facts: dict[str, Any]) -> None:
    """Raise a UserError on all ranks if `facts` of one are others than those of rank 0.

    With ``{"error": text}`` a rank says that it cannot go on.
    """
    first, *others = told = ranks.exchange(facts)
    for rank, facts in enumerate(told):
        if "error" in facts:
            raise UserError(f"{ranks.places[rank]}: {facts['error']}")
    for rank, facts in enumerate(others, 1):
        for name in {**first, **facts}:
            one, other = (known.get(name, "nothing") for known in (first, facts))
            if one != other:
                raise UserError(
                    f"{name}: expected the same on all ranks, got {one} on {ranks.places[0]} "
                    f"and {other} on {ranks.places[rank]}"
                )


def _asked(cls: type[System], given: dict[str, Any]) -> dict[str, Any]:
    options = {f"--{n.replace('_', '-')}": v for n, v in given.items() if n not in _OWN}
    versions = {"tinygan": tinygan.__version__, "numpy": np.__version__, "system": cls.name}
    return options | versions | ({"file": cls.file.sha256} if cls.file is not None else {})


def _own_gpu(ranks: Communicator, given: dict[str, Any]) -> dict[str, Any]:
    try:
        if given.get("backend") != "numpy" and resolve_backend("auto") == "cupy":
            use_own_gpu(*ranks.local)
    except UserError as error:
        return {"error": str(error)}
    return {}


def _state(system: System, start: int) -> dict[str, Any]:
    """Return what the first step depends on: the data, the state and where it begins."""
    digest = hashlib.sha256()
    for name, array in state_arrays(system).items():
        digest.update(name.encode() + array.tobytes())
    data = [system.data.get("images"), system.data.get("checksum")]
    return {"data": data, "first step": start + 1, "state": digest.hexdigest()[:16]} | {
        "--backend": system.options.backend
    }


def _lead(
    ranks: Communicator, begin: Begin, cls: type[System], given: dict, run: Callable[[Session], int]
) -> int:
    with ExitStack() as stack:
        try:
            session = stack.enter_context(begin(cls, given, say, complain))
        except BaseException as error:
            ranks.exchange({"error": str(error)})
            raise
        if session is None:
            ranks.exchange({})
            return 0
        system, folder = session.system, session.run
        saved = str(folder.path.absolute()) if checkpoint_paths(folder.checkpoints) else None
        ranks.exchange({"options": stored(system.options), "data": system.data, "run": saved})
        compare(ranks, _state(system, session.start))
        for place in ranks.places:
            say(place)
        began, waited, shared = time.perf_counter(), ranks.waited_seconds, ranks.shared_bytes
        with _ending_all(ranks, system.options, given):
            status = run(session)
        if status and not session.interrupt.agreed:
            ranks.abort("has stopped")
        steps = session.run.metrics.rows[session.start :] if session.run.metrics else []
        share = (ranks.waited_seconds - waited) / (time.perf_counter() - began)
        each = (ranks.shared_bytes - shared) / max(1, len(steps))
        text = f"{share:.1%} of the time in exchanges between ranks"
        say(f"{text}, {size_text(each)} a step from each")
        return status


def _follow(ranks: Communicator, cls: type[System], given: dict) -> int:
    told = ranks.exchange({})[0]
    if "options" not in told:
        return 2 if "error" in told else 0
    try:
        system = build(cls, load_options(cls.Options, told["options"], "rank 0"), told["data"])
        start = 0
        if told["run"] is not None:
            checkpoint = use_newest(Path(told["run"]), partial(load_system, system=system))[1]
            start = checkpoint.step if checkpoint else 0
        state = _state(system, start)
    except BaseException as error:
        state = {"error": str(error) or type(error).__name__}
    compare(ranks, state)
    total = total_steps(system)
    with (
        _ending_all(ranks, system.options, given),
        Interrupt() as interrupt,
        closing(system.batches(start)) as batches,
    ):
        for step in range(start, total):
            system.train(next(batches), step)
            if interrupt.asked() and step + 1 < total:
                return interrupt.exit_status
    return 0


@contextmanager
def _ending_all(ranks: Communicator, options: Options, given: dict[str, Any]) -> Iterator[None]:
    """Wait for others no longer than was asked for; what goes wrong on one rank ends all."""
    ranks.sync_batch_norm = options.sync_batch_norm
    ranks.patience = given.get("rank_timeout", options.rank_timeout)
    try:
        yield
    except BaseException as error:
        if not isinstance(error, MemoryError | UserError | KeyboardInterrupt):
            traceback.print_exception(error)
        what = "out of memory: " if isinstance(error, MemoryError) else ""
        ranks.abort(f"{what}{error or type(error).__name__}")
