"""One session of training, from the command's words to its exit status."""

from __future__ import annotations

import sys
import time
import warnings
from functools import partial
from pathlib import Path

from tinygan.errors import DivergedError, UserError
from tinygan.machine import parallel
from tinygan.machine.arrays import BackendError, resolve_backend
from tinygan.machine.gpu import allow_tf32, describe_gpu, limit_memory
from tinygan.runs.checkpoint import load_system
from tinygan.runs.config import describe_run
from tinygan.runs.folder import RunFolder, check_free, default_path, read_config
from tinygan.runs.load import find_checkpoint, use_newest
from tinygan.systems.system import System
from tinygan.train import command as commands
from tinygan.train.command import CHANGEABLE, Command
from tinygan.train.diagnose import find_first_bad
from tinygan.train.interrupt import Interrupt
from tinygan.train.loop import Plan, train
from tinygan.train.memory import check_memory
from tinygan.train.progress import Careful, duration

__all__ = ["run_command"]


def run_command(command: Command, argv: list[str], prog: str) -> int:
    """Train as `argv` asks, and return the exit status.

    0: all steps are done.  1: it had to stop (a full disk, numbers that diverged).  2: what was
    asked for is not possible, nothing was changed.  128 + n: stopped by signal n.
    """
    warnings.showwarning = _show_warning
    try:
        given = commands.parse(command, argv, prog)
        if "resume" in given:
            return _resume(command, given)
        return _start(command, given)
    except (UserError, BackendError) as error:
        complain(f"{prog}: error: {error}")
        return 2
    except KeyboardInterrupt:
        complain(f"{prog}: interrupted")
        return 130


def _start(command: Command, given: dict) -> int:
    options = _resolve(command, given)
    command.check(options)
    path = Path(given.get("out") or default_path(command.name, command.data_name(options)))
    check_free(path)
    system = _build(command, options)
    forecast = _introduce(system, options, given.get("force", False))
    with Interrupt() as interrupt:
        run = RunFolder.create(path, describe_run(system, _total_steps(system)))
        try:
            run.open_metrics(0)
            return _train(command, system, run, interrupt, forecast, 0, None)
        finally:
            run.close()
            run.remove_if_unused()


def _resume(command: Command, given: dict) -> int:
    path = Path(given["resume"])
    config = read_config(path)
    if config.get("system") != command.name:
        raise UserError(
            f"--resume {path}: this is a run of {config.get('system')}, not of {command.name}: "
            f"use python -m tinygan.train {config.get('system')}"
        )
    run = RunFolder.reopen(path)
    try:
        config = read_config(path)  # nobody else changes it now
        options = _merge(command, config, given, path)
        command.check(options)
        system = _build(command, options)
        if _content(system.data) != _content(config.get("data", {})):
            raise UserError(
                f"--resume {path}: the data are not those of this run: "
                f"then {config.get('data')}, now {system.data}"
            )
        forecast = _introduce(system, options, given.get("force", False))
        _, checkpoint, errors = use_newest(path, partial(load_system, system=system))
        start, best = (checkpoint.step, checkpoint.best) if checkpoint else (0, None)
        total = _total_steps(system)
        if start >= total:
            say(f"{path} has its {total} steps; give a larger --steps or --epochs to go on")
            return 0
        run.open_metrics(start)
        for error in errors:
            complain(f"warning: {error}; it is set aside, an older checkpoint is used")
        run.set_aside(start)
        run.write_config(describe_run(system, _total_steps(system), config))
        say(f"continuing {path} after step {start}")
        with Interrupt() as interrupt:
            return _train(command, system, run, interrupt, forecast, start, best)
    finally:
        run.close()


def _resolve(command: Command, given: dict) -> dict:
    """Return all options: what was given, else the preset's, else the default."""
    name = given.get("preset", None if given.get("data") else "quick")
    if name is not None and name not in command.presets:
        raise UserError(f"--preset {name}: no such preset; there are {', '.join(command.presets)}")
    preset = command.presets[name].values if name is not None else {}
    named = given.get("preset")
    options = {**commands.DEFAULTS, **command.defaults, "preset": named}
    for layer in (preset, given):
        if layer.get("data") or layer.get("dataset"):
            options |= {key: None for key in ("data", "dataset") if key in options}
        if layer.get("steps") or layer.get("epochs"):
            options |= {"steps": None, "epochs": None}
        options |= {key: value for key, value in layer.items() if key not in _NOT_KEPT}
    if options.get("data"):
        options["data"] = str(Path(options["data"]).absolute())
    if name is not None and named is None:
        say(f"no --data given: preset {name} (see --preset)")
    return options


_NOT_KEPT = ("out", "resume", "force")


def _merge(command: Command, config: dict, given: dict, path: Path) -> dict:
    """Return a run's options with those that may change set anew."""
    options = {**commands.DEFAULTS, **command.defaults, **config.get("options", {})}
    for name, value in given.items():
        if name in _NOT_KEPT:
            continue
        if name == "data":
            value = str(Path(value).absolute())
        if name not in CHANGEABLE and value != options.get(name):
            raise UserError(
                f"--resume {path}: --{name.replace('_', '-')} is {options.get(name)} in this run "
                f"and cannot become {value}; start a new run for that"
            )
        if name in ("steps", "epochs"):
            options |= {"steps": None, "epochs": None}
        options[name] = value
    return options


def _build(command: Command, options: dict) -> System:
    if options["threads"] is not None:
        parallel.set_num_threads(options["threads"])
    if options.get("tf32"):
        allow_tf32()  # before CuPy computes anything
    try:
        if resolve_backend(options["backend"]) == "cupy":
            limit_memory()
        elif options.get("tf32"):
            raise UserError("--tf32 is for a GPU, and this would train on numpy")
        return command.build(options)
    except BackendError:
        raise
    except (ValueError, OSError) as error:
        raise UserError(str(error)) from error
    except MemoryError:
        raise UserError(
            "the networks or the data do not fit into memory; "
            "lower --width, --image-size or --batch-size"
        ) from None


def _introduce(system: System, options: dict, force: bool) -> str:
    """Say what will be trained on what; say and return how much memory that takes."""
    sizes = ", ".join(
        f"{name} {sum(p.size for p in network.parameters()):,} parameters"
        for name, network in system.networks.items()
    )
    backend = system.options["backend"]
    where = backend if backend == "numpy" else f"{backend} ({describe_gpu()})"
    say(f"{system.name} on {where}: {sizes}; {system.data['images']} images")
    forecast = check_memory(system, force)
    say(forecast)
    return forecast


def _total_steps(system: System) -> int:
    options = system.options
    return options["steps"] or options["epochs"] * system.steps_per_epoch


def _train(
    command: Command, system: System, run: RunFolder, interrupt, forecast: str, start: int, best
) -> int:
    options = system.options
    plan = Plan(
        _total_steps(system), options["sample_every"], options["checkpoint_every"], options["keep"]
    )
    say(f"writing to {run.path}")
    go_on = f"python -m tinygan.train {system.name} --resume {run.path}"
    begun = time.perf_counter()
    try:
        done = train(system, run, plan, interrupt, start, best)
    except DivergedError as error:
        complain(f"stopped, as the training diverged: {error}; {_last(run)}")
        complain(_diagnosis(command, options, run, error.step))
        return 1
    except OSError as error:
        complain(f"stopped: {error}; {_last(run)}; when that is mended: {go_on}")
        return 1
    except MemoryError as error:
        complain(
            f"stopped: out of memory: {error}; the forecast was that {forecast}: lower "
            f"--batch-size, --width or --image-size; {_last(run)}"
        )
        return 1
    except KeyboardInterrupt:
        complain(f"stopped at once; {_last(run)}; to go on: {go_on}")
        return 130
    if done < plan.steps:
        complain(f"stopped by {interrupt.signal.name} after step {done}, all saved; to go on:")
        complain(f"    {go_on}")
        return interrupt.exit_status
    say(
        f"{done} steps are done, {done - start} of them in "
        f"{duration(time.perf_counter() - begun)}; "
        f"look at {run.samples / f'step-{done:06d}.png'} and {run.path / 'losses.png'}"
    )
    return 0


def _diagnosis(command: Command, options: dict, run: RunFolder, steps: int) -> str:
    """Return a sentence that names the first tensor that went bad within `steps` steps."""
    try:
        system = _build(command, options)
        _, checkpoint, _ = use_newest(run.path, partial(load_system, system=system))
        start = checkpoint.step if checkpoint else 0
        say(f"taking the steps from {start} to {steps} again, to see what went bad first …")
        found = find_first_bad(system, start, steps)
    except KeyboardInterrupt:
        found = None
    advice = "try a lower --lr in a new run"
    return f"first of all, {found}; {advice}" if found else f"what went bad first is open; {advice}"


def _last(run: RunFolder) -> str:
    try:
        checkpoint = find_checkpoint(run.path)
    except UserError as error:
        return str(error)
    return f"the last checkpoint is {checkpoint}" if checkpoint else "there is no checkpoint yet"


def _content(data: dict) -> tuple:
    return data.get("images"), data.get("checksum")


def say(text: str) -> None:
    print(text, file=Careful(sys.stdout), flush=True)


def complain(text: str) -> None:
    print(" ".join(text.splitlines()), file=Careful(sys.stderr), flush=True)


def _show_warning(message, category, filename, lineno, file=None, line=None):
    complain(f"warning: {message}")
