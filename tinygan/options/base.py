"""Options: one dataclass a system gives its flags, help, defaults, presets and ``config.json``.

Each option is a field made by `option`.  It says what may stand there (its `Kind`), its default for
new runs, its value in runs that are older than the option, and whether it may change on
``--resume``.  ``tinygan.options.flags`` makes a command line of them, ``tinygan.options.resolving``
reads and checks what was given.
"""

from __future__ import annotations

import dataclasses
import os
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from tinygan.errors import UserError
from tinygan.options.kinds import Kind, choice, is_range, limits, number, switch, text, whole
from tinygan.options.presets import Preset

__all__ = ["REQUIRED", "Options", "fields_of", "flag_of", "inherit", "option"]

REQUIRED: Any = object()
"""As `before`: the option is as old as its system, a run without it is damaged."""

GROUPS = ("", "data", "networks", "objective", "learning", "length", "machine", "run folder")


def option(
    default: Any,
    kind: Kind,
    help: str,
    *,
    group: str = "",
    before: Any = REQUIRED,
    change: str = "fixed",
    was: str | None = None,
    either: str | None = None,
) -> Any:
    """Return a dataclass field that is an option.

    Parameters
    ----------
    default
        Of new runs.  An option whose annotation admits None may be absent.
    kind : Kind
    help : str
        Its default is added, unless the help speaks of it; ``%(default)s`` stands for it.
    group : str
        The heading it stands under in the help.
    before
        The value of runs that were made before the option existed: for one that changes the
        mathematics, what was computed then.  `REQUIRED` for those that always existed.
    change : {"fixed", "on resume", "from then on", "not stored"}
        Whether the run keeps it for good, whether ``--resume`` may change it since the numbers do
        not depend on it, or though those of the steps to come do (the run notes what it was and
        from which step on it is another), or whether it is about one call of the command alone.
    was : str, optional
        The name it had in older runs.
    either : str, optional
        Only one of the options with this mark may be given.
    """
    about = {"kind": kind, "help": help, "group": group, "before": before, "change": change}
    return dataclasses.field(default=default, metadata={**about, "was": was, "either": either})


def inherit(base: type[Options], name: str, default: Any = None, **changed: Any) -> Any:
    """Return the option `name` of `base` with another default, kind, help …: for a subclass."""
    [field] = [field for field in dataclasses.fields(base) if field.name == name]
    about = {**field.metadata, **changed}
    return option(field.default if default is None else default, **about)


_about_the_call = partial(option, change="not stored")
_data = partial(option, group="data")
_learning = partial(option, group="learning")
_length = partial(option, group="length", either="length", change="on resume")
_machine = partial(option, group="machine")
_run = partial(option, group="run folder", change="on resume")


@dataclass
class Options:
    """What every system has: data, learning, images, machine and run folder.

    A system's own options are a subclass that is a dataclass, too::

        @dataclass
        class MyOptions(Options):
            clip: float = option(0.01, number(0), "largest weight", group="objective")
            lr: float = inherit(Options, "lr", 5e-5)
    """

    presets: ClassVar[dict[str, Preset]] = {}
    drawn: ClassVar[str | None] = None
    """The drawn data set that is used where no data are named."""

    follows: ClassVar[dict[str, str]] = {}
    """An option by name, and the one that sets it anew if it is given alone."""

    shaping: ClassVar[tuple[str, ...]] = ("channels",)
    """The options, beside the group "networks", that networks' shapes depend on."""

    preset: str | None = option(
        None, text(), "a named set of options, which further flags override; without a name: list "
        "them all"
    )  # fmt: skip
    config: str | None = _about_the_call(
        None, text("FILE|RUN"), "take options from a .toml file, or those of another run; flags "
        "override them"
    )  # fmt: skip
    init_from: str | None = _about_the_call(
        None, text("RUN|FILE"), "begin with the weights of another run, of one of its checkpoints, "
        "or of published PyTorch files (FILE.pth, or G=FILE,F=FILE), where their shapes fit; how "
        "networks look is taken from it, too, without --preset and --config"
    )  # fmt: skip
    system: str | None = _about_the_call(
        None, text(), "the system, given again: FILE.py:CLASS of the file that a run was trained "
        "with"
    )  # fmt: skip
    data: str | None = _data(
        None, text("PATH"), "a folder of pictures, of any kinds and sizes, at any depth; or a .zip "
        "or .tar of one, or an array, .npy or .npz",
        either="source", change="on resume",
    )  # fmt: skip
    dataset: str | None = _data(
        None, text(), "a drawn data set, no download needed (this is what is used without --data)",
        either="source",
    )  # fmt: skip
    dataset_size: int = _data(10000, whole(1), "how many pictures to draw for --dataset")
    range: list | None = _data(  # noqa: RUF009
        None,
        limits(),
        "numbers that are black and white in pictures of more than 8 bits a sample (default: what "
        "the files declare, else the smallest power of two that holds all, 0 to 1 for floats)",
        before=None,
    )  # fmt: skip
    image_size: int = _data(64, whole(1, 2**14), "pixels, height and width")
    channels: int = _data(3, choice(1, 3), "1 grey, 3 colour")
    cache: bool = _data(
        True, switch(), "decode the pictures into memory and keep no cache of them on disk",
        change="on resume",
    )  # fmt: skip
    batch_size: int = _learning(128, whole(1), "default: %(default)s")
    lr: float = _learning(2e-4, number(0, metavar="A"), "Adam's learning rate")
    ema: float = _learning(
        0.999, number(0, below=1, metavar="DECAY"),
        "samples, measures and commands use an average of what the generators were in about the "
        "last 1/(1 - DECAY) steps, in a short run the last quarter of them; 0: none", before=0.0,
    )  # fmt: skip
    epochs: int | None = _length(30, whole(1), "times to go through the data")
    steps: int | None = _length(None, whole(1), "batches to train on")
    backend: str = _machine(
        "auto", choice("numpy", "cupy", "auto"),
        "numpy: the CPU; cupy: a GPU; auto: a GPU if there is one", change="on resume",
    )  # fmt: skip
    tf32: bool = _machine(
        False, switch(),
        "let a GPU multiply with 10 bits of mantissa instead of 23, several times as fast",
    )  # fmt: skip
    threads: int | None = _machine(
        None, whole(1, 4096),
        "CPU threads; the result is the same with any number (default: all cores)",
        change="on resume",
    )  # fmt: skip
    seed: int = _machine(0, whole(0, 2**63 - 1), "all random numbers follow from it")
    distributed: bool = _machine(
        False, switch(), "train on all ranks that mpiexec or srun has started; the batch is shared "
        "out among them", change="not stored",
    )  # fmt: skip
    sync_batch_norm: bool = _machine(
        True, switch(), "with --distributed, let batch normalization take the statistics of each "
        "rank's rows only: fewer exchanges, other numbers", before=True, change="from then on",
    )  # fmt: skip
    rank_timeout: int = _machine(
        600, whole(1), "seconds that a rank waits for another before it ends the job",
        change="not stored",
    )  # fmt: skip
    force: bool = _machine(
        False, switch(), "start even if memory looks too small", change="not stored"
    )
    out: str | None = _run(
        None, text("DIR"), "a new or empty folder for all results (default: "
        "runs/<system>-<data>-<time>)", either="place", change="not stored",
    )  # fmt: skip
    resume: str | None = _run(
        None, text("RUN"), "continue the run in this folder, bit for bit as if it had never "
        "stopped; --steps or --epochs make it longer", either="place", change="not stored",
    )  # fmt: skip
    sample_every: int = _run(100, whole(1), "steps between sample pictures")
    checkpoint_every: int = _run(250, whole(1), "steps between checkpoints")
    keep: int = _run(3, whole(1), "checkpoints to keep, besides the best")
    log: str | None = _run(
        None, choice("tensorboard"), "write metrics and sample pictures for TensorBoard, too, into "
        "RUN/tensorboard (pip install 'tinygan[tensorboard]')", before=None,
    )  # fmt: skip

    def check(self) -> None:
        """Raise a UserError for options that do not go together; call super().check() first."""
        if self.range is not None and not is_range(self.range):
            raise UserError(
                f"--range: expected two numbers, of black and of white, got {self.range}"
            )
        if not self.steps and not self.epochs:
            raise UserError("expected --steps or --epochs, got neither")
        if self.preset and not self.data and not self.dataset:
            raise UserError(
                f"--preset {self.preset}: say what to train on, with --data DIR, "
                f"or --dataset {self.drawn} for the drawn {self.drawn}"
            )

    @property
    def data_name(self) -> str:
        """A word for what is trained on, for the name of the run's folder."""
        if not self.data:
            return self.dataset or self.drawn or ""
        name = os.path.basename(os.path.realpath(self.data))
        return name.split(".")[0] if os.path.isfile(self.data) else name


def flag_of(field: dataclasses.Field) -> str:
    no = "no-" if field.default is True else ""
    return f"--{no}{field.name.replace('_', '-')}"


def fields_of(cls: type[Options]) -> tuple[dataclasses.Field, ...]:
    """Return the options of a class; a TypeError says what its author forgot."""
    fields = dataclasses.fields(cls)
    if missing := set(vars(cls).get("__annotations__", ())) - set(cls.__dataclass_fields__):
        raise TypeError(f"{cls.__name__}: {missing.pop()} is no field: put @dataclass above it")
    for field in fields:
        if "kind" not in field.metadata:
            raise TypeError(f"{cls.__name__}: {field.name}: expected {field.name} = option(…)")
    return fields
