"""A session of training: a run that is begun, or taken up again, and trained to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tinygan.errors import CheckpointError, UserError
from tinygan.files import replaced
from tinygan.layers import BatchNorm2d
from tinygan.machine import parallel
from tinygan.machine.arrays import BackendError, resolve_backend
from tinygan.machine.gpu import allow_tf32, describe_gpu, limit_memory
from tinygan.options.base import Options
from tinygan.options.resolving import (
    changed,
    check_unedited,
    load_options,
    read_toml,
    resolve,
    resumed,
    stored,
)
from tinygan.runs.checkpoint import info, load_system, save_checkpoint
from tinygan.runs.config import describe_run
from tinygan.runs.folder import RunFolder, check_free, default_path, read_config
from tinygan.runs.header import Best, read_checkpoint
from tinygan.runs.load import use_newest
from tinygan.runs.made import made_by, options_of
from tinygan.runs.transfer import network_options, take_weights
from tinygan.systems.detects import Detects
from tinygan.systems.system import System
from tinygan.train.forecast import ADVICE, check_memory
from tinygan.train.initial import initial
from tinygan.train.interrupt import Interrupt
from tinygan.train.loop import Plan, train
from tinygan.train.tensorboard import TensorBoard, check_log

__all__ = ["Callback", "Session", "begun", "build", "taken_up"]

Say = Callable[[str], None]
Callback = Callable[[System, dict[str, Any]], Any]
"""Called after each step with the system and the line of ``metrics.jsonl``, a dict."""


@dataclass
class Session:
    """A run folder that is open, and the system that is trained into it.

    Attributes
    ----------
    system : System
        As it was after `start` steps.
    run : RunFolder
    interrupt : Interrupt
    forecast : str
        How much memory it will take, in words.
    start : int
    best : Best or None
        The best checkpoint so far.
    """

    system: System
    run: RunFolder
    interrupt: Interrupt
    forecast: str
    start: int = 0
    best: Best | None = None
    shown: Callable[[Path], Any] = field(default=lambda path: None)
    warn: Say = field(default=lambda text: None)

    @property
    def total(self) -> int:
        return total_steps(self.system)

    def train(self, callbacks: Sequence[Callback] = (), quiet: bool = False) -> int:
        """Train to the end, or until a signal comes; return the steps done.

        Raises
        ------
        MemoryError
            Its message says what was forecast and which flag lowers it.
        DivergedError, OSError
        """
        o = self.system.options
        plan = Plan(self.total, o.sample_every, o.checkpoint_every, o.keep)
        shown = [self.shown]
        log = TensorBoard(self.run.path / "tensorboard", self.start, self.warn) if o.log else None
        if log is not None:
            callbacks, shown = [log, *callbacks], [log.picture, *shown]
        try:
            return train(
                self.system,
                self.run,
                plan,
                self.interrupt,
                self.start,
                self.best,
                callbacks=callbacks,
                shown=lambda path: [show(path) for show in shown],
                quiet=quiet,
            )
        except MemoryError as error:
            what = f"out of memory: {error}".removesuffix(": ")
            raise MemoryError(f"{what}; the forecast was that {self.forecast}: {ADVICE}") from error
        finally:
            if log is not None:
                log.close()


def total_steps(system: System) -> int:
    o = system.options
    return o.steps or o.epochs * system.steps_per_epoch


@contextmanager
def begun(cls: type[System], given: dict[str, Any], say: Say, warn: Say) -> Iterator[Session]:
    """Begin the run that was asked for; its folder is closed in the end.

    Nothing is left of a run in which no step was finished.
    """
    named = given.get("init_from")
    with initial(named, cls) if named else nullcontext((None, None)) as (source, origin):
        config = _config(cls, given.get("config"))
        if source is not None and not config and not given.get("preset"):
            config = network_options(source, cls)
        if issubclass(cls, Detects) and not config and not given.get("preset"):
            config = options_of(cls.Options, given)
        options = resolve(cls.Options, given, config, say)
        fresh = not given.get("out")
        path = default_path(cls.name, options.data_name) if fresh else Path(given["out"])
        if not fresh:
            check_free(path)
        system = build(cls, options)
        taken = None if source is None else take_weights(source, system, origin)
    forecast = _introduce(system, given.get("force", False), say, warn)
    described = describe_run(system, total_steps(system))
    if taken is not None:
        say(str(taken))
        described["init_from"] = taken.described()
    with Interrupt() as interrupt:
        run = RunFolder.create(path, described, fresh)
        copy = None
        try:
            copy = _keep_file(system, run)
            if taken is not None:  # a run that was killed is resumed without its source
                save_checkpoint(run.checkpoints, system, 0, info(system))
            run.open_metrics(0, system.metric_names)
            yield Session(system, run, interrupt, forecast, warn=warn)
        finally:
            run.close()
            if copy is not None and not (run.metrics and run.metrics.rows):
                copy.unlink(missing_ok=True)
            run.remove_if_unused()


@contextmanager
def taken_up(
    cls: type[System], given: dict[str, Any], say: Say, warn: Say
) -> Iterator[Session | None]:
    """Take up the run ``given["resume"]`` where it stopped; None if it has all its steps."""
    path = Path(given["resume"])
    if given.get("init_from"):
        raise UserError(
            f"--init-from is for a new run; --resume {path} goes on with that run's own weights"
        )
    run = RunFolder.reopen(path)
    try:
        config = read_config(path)  # nobody else changes it now
        options = load_options(cls.Options, config.get("options"), path / "config.json")
        trained = use_newest(path, partial(_trained, options, path / "config.json"))[1] or options
        noted = _noted(config)
        asked = resumed(options, given, path)
        others = changed(trained, asked)
        system = build(cls, asked, noted)
        if not _same(system, noted):
            raise UserError(
                f"--resume {path}: the data are not those of this run: "
                f"{_differ(noted.get('images', '?'), system.data.get('images', '?'))}"
            )
        forecast = _introduce(system, given.get("force", False), say, warn)
        _, checkpoint, errors = use_newest(path, partial(load_system, system=system))
        start, best = (checkpoint.step, checkpoint.best) if checkpoint else (0, None)
        if start >= total_steps(system):
            if checkpoint is not None:  # it may have been killed before it could
                run.prune(system.options.keep, best.step if best else None)
            say(f"{path}: {_enough(system, start)}; give a larger --steps or --epochs to go on")
            yield None
            return
        due = [name for name in system.metric_names if name not in system.later_metrics]
        run.open_metrics(start, due)
        for error in errors:
            warn(f"warning: {error}; it is set aside, an older checkpoint is used")
        run.set_aside(start)
        run.prune(system.options.keep, best.step if best else None)
        noted_change = {"after_step": start, **others} if others else None
        run.write_config(describe_run(system, total_steps(system), config, noted_change))
        _keep_file(system, run)
        say(f"continuing {path} after step {start}{_join(system, run, start) if others else ''}")
        with Interrupt() as interrupt:
            yield Session(system, run, interrupt, forecast, start, best, warn=warn)
    finally:
        run.close()


def build(cls: type[System], options: Options, noted: dict[str, Any] | None = None) -> System:
    """Return a system that is ready to be trained; what is wrong with it is a UserError.

    `noted` is what a run that is taken up noted of its data.
    """
    check_log(options.log)
    if options.threads is not None:
        parallel.set_num_threads(options.threads)
    if options.tf32:
        allow_tf32()  # before CuPy computes anything
    try:
        if resolve_backend(options.backend) == "cupy":
            limit_memory()
        elif options.tf32:
            raise UserError("--tf32 is for a GPU, and this would train on numpy")
        system = cls(options)
        system.data = noted or {}
        if isinstance(system, Detects):
            system.made = made_by(system.options.generated, system.options)
        system.start()
    except (BackendError, UserError):
        raise
    except (ValueError, OSError) as error:
        if cls.file is not None:
            raise  # with its traceback: the author's own code
        raise UserError(str(error)) from error
    except MemoryError:
        raise UserError(f"the networks or the data do not fit into memory; {ADVICE}") from None
    for name in system.optimizers:
        system.updated(name)  # raises for parameters that no checkpoint would hold
    return system


def _introduce(system: System, force: bool, say: Say, warn: Say) -> str:
    """Say what will be trained on what; say and return how much memory that takes."""
    sizes = ", ".join(
        f"{name} {sum(p.size for p in network.parameters()):,} parameters"
        for name, network in system.networks.items()
    )
    backend = system.options.backend
    where = backend if backend == "numpy" else f"{backend} ({describe_gpu()})"
    say(f"{system.name} on {where}: {sizes}; {system.data.get('images', '?')} images")
    if text := system.rate_text():
        say(text)
    if system.options.batch_size == 1 and _normalizes_batches(system):
        other = "--norm instance, or " if hasattr(system.options, "norm") else ""
        warn(
            "warning: batch normalization with --batch-size 1: in training each picture is "
            "normalized by its own statistics, afterwards by running ones, so that what it makes "
            f"then looks worse than what was trained; use {other}a larger --batch-size"
        )
    forecast = check_memory(system, force)
    say(forecast)
    return forecast


def _normalizes_batches(system: System) -> bool:
    layers = (layer for network in system.networks.values() for _, layer in network.walk())
    return any(isinstance(layer, BatchNorm2d) for layer in layers)


def _enough(system: System, start: int) -> str:
    """Say that a run has all the steps that were asked for, or more."""
    total, each, o = total_steps(system), system.steps_per_epoch, system.options
    if start == total:
        return f"it has its {start} steps"
    epochs = f"{o.epochs} epoch{'s' * (o.epochs != 1)} of {each} steps" if o.epochs else ""
    return f"it has {start} steps, more than {epochs or f'--steps {o.steps}'}"


def _join(system: System, run: RunFolder, start: int) -> str:
    """Say at what learning rate a run goes on whose schedule is another from now on."""
    rate, rows = system.learning_rate(start), run.metrics.rows if run.metrics else []
    if rate is None:
        return ""
    before = f", it was {rows[-1]['lr']:g}" if rows and "lr" in rows[-1] else ""
    return f": the learning rate goes on at {rate:g}{before}"


def _config(cls: type[System], path: str | None) -> dict[str, Any]:
    """Return the options that ``--config`` names: of a .toml file, or of another run."""
    if path is None:
        return {}
    if not Path(path).is_dir():
        return read_toml(cls.Options, Path(path))
    config = read_config(Path(path))
    if config.get("system") != cls.name:
        found = config.get("system")
        raise UserError(f"--config {path}: expected a run of {cls.name}, got one of {found}")
    options = load_options(cls.Options, config.get("options"), f"--config {path}")
    return {**stored(options), "preset": None}


def _keep_file(system: System, run: RunFolder) -> Path | None:
    """Put a copy of the user's own file into the run's folder, to be read, never to be run."""
    file = system.file
    if file is None:
        return None
    copy = run.path / file.path.name
    if copy.exists() and copy.read_bytes() != file.text:  # it has changed: both are kept
        copy = copy.with_name(f"{copy.stem}-{file.sha256[:8]}{copy.suffix}")
    with replaced(copy) as beside:
        beside.write_bytes(file.text)
    return copy


def _trained(options: Options, config: Path, checkpoint: Path) -> Options:
    """Return a checkpoint's options, if those that `config` says go with them."""
    try:
        trained = load_options(type(options), read_checkpoint(checkpoint).options, checkpoint)
        check_unedited(options, trained, config)
    except UserError as error:
        raise CheckpointError(str(error)) from None
    return trained


def _noted(config: dict[str, Any]) -> dict[str, Any]:
    data = config.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("scale", {}), dict):
        raise UserError("config.json is damaged: its data: expected a table")
    return data


def _differ(then: object, now: object) -> str:
    if then != now:
        return f"it had {then} images, now there are {now}"
    return f"as many ({now} images), but others, under other names, or read in another way"


def _same(system: System, noted: dict[str, Any]) -> bool:
    """Tell whether the data are those of a run; older ones noted another checksum."""
    then, now = ((data.get("images"), data.get("checksum")) for data in (noted, system.data))
    return now == then or (now[0], system.older_checksum()) == then
