"""Training from Python: ``run = tinygan.fit("dcgan", data=…, steps=…)``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from tinygan.errors import UserError
from tinygan.machine import parallel
from tinygan.options.resolving import checked
from tinygan.runs.folder import read_config
from tinygan.runs.run import Run, load
from tinygan.systems import find, find_of_run, names
from tinygan.systems.system import System
from tinygan.train.session import Callback, Session, begun, taken_up

__all__ = ["fit"]


def fit(
    system: str | type[System] | None = None,
    *,
    callbacks: Sequence[Callback] = (),
    quiet: bool = False,
    **options: Any,
) -> Run:
    """Train, as ``python -m tinygan.train`` does, and return the run.

    Nothing but the run's folder is changed: no signal handlers, warnings or allocator settings
    are left behind.  In a notebook the samples are shown as they come.

    Parameters
    ----------
    system : str or type
        ``"dcgan"``, ``"cyclegan"``, ``"my_gan.py:MyGAN"``, or a `System` class.  With
        ``resume=RUN`` it may be left out for tinygan's own.
    callbacks : sequence of callable
        Called as ``callback(system, metrics)`` after each step.  One that raises ends the run: a
        checkpoint is written and the exception goes on, with its own traceback.
    quiet : bool
        Print and show nothing.
    **options
        The command's flags by name: ``data=``, ``steps=``, ``batch_size=``, ``out=``, ``resume=`` …

    Raises
    ------
    UserError
        If that is not possible; nothing was changed.
    DivergedError
        If numbers became NaN or infinite.
    MemoryError
        Its message says what was forecast and which option lowers it.

    Examples
    --------
    >>> run = fit("dcgan", data="pictures", image_size=32, steps=2000)   # doctest: +SKIP
    >>> run.generate(64)                                                 # doctest: +SKIP
    """
    options = {name: str(x) if isinstance(x, Path) else x for name, x in options.items()}
    say: Callable[[str], Any] = _nothing if quiet else print
    functions = list(callbacks) if isinstance(callbacks, Iterable) else [None]
    if not all(map(callable, functions)):
        raise UserError(
            "fit: callbacks: expected a list of functions, each called as f(system, metrics), got "
            f"{callbacks!r:.60}"
        )
    resume = options.get("resume")
    if resume and isinstance(resume, str):
        path = Path(resume)
        cls = find_of_run(read_config(path), system, path, _warn)
    elif system is None:
        raise UserError(f"fit: name a system: {', '.join(names())}, or FILE.py:CLASS")
    else:
        cls = find(system)
    given = checked(cls.Options, options, "fit")
    if given.get("distributed"):
        raise UserError("fit: distributed is the command's, python -m tinygan.train --distributed")
    with _threads_as_before(), _session(cls, given, say) as session:
        folder = Path(given["resume"]) if session is None else session.run.path
        if session is not None:
            session.shown = _shown(quiet)
            done = session.train(functions, quiet)
            if done < session.total:
                say(f"stopped after step {done}, all saved; resume={str(folder)!r} goes on")
    return load(folder, system=system, backend=given.get("backend", "auto"))


def _session(
    cls: type[System], given: dict[str, Any], say: Callable[[str], Any]
) -> AbstractContextManager[Session | None]:
    return (taken_up if given.get("resume") else begun)(cls, given, say, _warn)


def _nothing(*_: Any) -> None:
    pass


def _warn(text: str) -> None:
    print(text, file=sys.stderr)


@contextmanager
def _threads_as_before() -> Iterator[None]:
    before = parallel.get_num_threads()
    try:
        yield
    finally:
        parallel.set_num_threads(before)


def _shown(quiet: bool) -> Callable[[Path], None]:
    """Return what shows a sheet of samples: in place of the one before, in a notebook alone."""
    if quiet or "ipykernel" not in sys.modules:
        return _nothing
    from IPython.display import Image, display

    handles: list = []

    def show(path: Path) -> None:
        if not path.exists():
            return
        image = Image(filename=str(path))
        if handles:
            handles[0].update(image)
        else:
            handles.append(display(image, display_id=True))

    return show
