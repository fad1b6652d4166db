"""Options: one dataclass a system gives its flags, help, defaults, presets and ``config.json``.

Each option is a field made by `option`.  It says what may stand there (its `Kind`), its default for
new runs, its value in runs that are older than the option, and whether it may change on
``--resume``.  Whatever reads options (flags, a ``.toml`` file, ``config.json``, a checkpoint,
Python) goes through `checked`, so no other code meets an option of the wrong type.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from tinygan.commands import Parser, say
from tinygan.errors import UserError
from tinygan.systems.presets import Preset, describe_presets

__all__ = [
    "REQUIRED",
    "Kind",
    "Options",
    "changed",
    "checked",
    "choice",
    "inherit",
    "load_options",
    "number",
    "option",
    "parse_flags",
    "read_toml",
    "resolve",
    "resumed",
    "share",
    "some_of",
    "stored",
    "switch",
    "text",
    "whole",
]

REQUIRED: Any = object()
"""As `before`: the option is as old as its system, a run without it is damaged."""

GROUPS = ("", "data", "networks", "objective", "learning", "length", "machine", "run folder")


@dataclass(frozen=True)
class Kind:
    """What may stand in an option.

    Attributes
    ----------
    expected : str
        For error messages: "a whole number of 1 or more".
    convert : callable
        From a word of the command line; a ValueError means that it is not of this kind.
    accepts : callable
        Whether a value, from wherever, is of this kind.
    metavar : str or None
        What stands for a value in the help.
    choices : tuple
        All that is allowed, where that is a short list.
    """

    expected: str
    convert: Callable[[str], Any]
    accepts: Callable[[Any], bool]
    metavar: str | tuple[str, str] | None = None
    choices: tuple = ()

    def __call__(self, word: str) -> Any:
        """Read a word of the command line."""
        try:
            value = self.convert(word)
        except (ValueError, ZeroDivisionError, OverflowError):
            value = None
        if value is None or not self.accepts(value):
            raise argparse.ArgumentTypeError(f"expected {self.expected}, got {word!r}")
        return value


def whole(least: int = 0, most: int = 10**15, metavar: str = "N") -> Kind:
    """Whole numbers from `least` to `most`."""
    limit = f" and at most {most}" if most < 10**15 else ""
    return Kind(
        f"a whole number of {least} or more{limit}",
        int,
        lambda value: type(value) is int and least <= value <= most,
        metavar,
    )


def number(low: float, high: float = math.inf, below: float = math.inf, metavar: str = "X") -> Kind:
    """Numbers of at least `low`, at most `high` and less than `below`."""
    limit = f" and at most {high:g}" if high < math.inf else ""
    limit += f" and below {below:g}" if below < math.inf else ""
    return Kind(
        f"a number of at least {low:g}{limit}",
        float,
        lambda value: type(value) in (int, float) and low <= value <= high and value < below,
        metavar,
    )


def share() -> Kind:
    """A share in (0, 1], as ``0.6`` or ``108/178``."""
    return Kind(
        "a share in (0, 1] such as 0.6 or 108/178",
        lambda word: float(Fraction(word)),
        lambda value: type(value) in (int, float) and 0 < value <= 1,
        "SHARE",
    )


def choice(*choices: str | int) -> Kind:
    """One of a few words, or of a few numbers."""
    return Kind(
        f"one of {', '.join(map(str, choices))}",
        type(choices[0]) if choices else str,
        lambda value: type(value) in (str, int) and value in choices,
        choices=choices,
    )


def some_of(*choices: str) -> Kind:
    """One or more of a few words, separated by commas."""

    def accepts(value: Any) -> bool:
        words = value.split(",") if isinstance(value, str) else []
        return bool(words) and len(set(words)) == len(words) and set(words) <= set(choices)

    expected = f"one or more of {', '.join(choices)}, separated by commas"
    return Kind(expected, str, accepts, ",".join(choices[:2]).upper() + ",…")


def text(metavar: str = "NAME") -> Kind:
    """Any text that is not empty."""
    return Kind(
        "a name that is not empty",
        str,
        lambda value: isinstance(value, str) and bool(value) and "\0" not in value,
        metavar,
    )


def switch() -> Kind:
    """True or false: ``--name``, or ``--no-name`` where it is on by default."""
    return Kind("true or false", bool, lambda value: isinstance(value, bool))


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


def limits() -> Kind:
    """Two numbers, of black and of white."""
    expected = "two numbers, of black and of white, the first the smaller"
    return Kind(expected, float, _is_range, ("LOW", "HIGH"))


def _is_range(value: Any) -> bool:
    good = isinstance(value, list) and len(value) == 2
    good = good and all(type(v) in (int, float) and math.isfinite(v) for v in value)
    return good and value[0] < value[1]


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
        None, text("RUN|FILE"), "begin with the weights of another run, or of one of its "
        "checkpoints, where their shapes fit; how networks look is taken from it, too, without "
        "--preset and --config"
    )  # fmt: skip
    system: str | None = _about_the_call(
        None, text(), "the system, given again: FILE.py:CLASS of the file that a run was trained "
        "with"
    )  # fmt: skip
    data: str | None = _data(
        None, text("DIR"), "a folder of pictures, of any kinds and sizes, at any depth",
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
        "last 1/(1 - DECAY) steps, in a short run the last tenth of them; 0: none", before=0.0,
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

    def check(self) -> None:
        """Raise a UserError for options that do not go together; call super().check() first."""
        if self.range is not None and not _is_range(self.range):
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
        return Path(self.data).resolve().name if self.data else self.dataset or self.drawn or ""


def flag_of(field: dataclasses.Field) -> str:
    no = "no-" if field.default is True else ""
    return f"--{no}{field.name.replace('_', '-')}"


def parse_flags(cls: type[Options], title: str, argv: list[str], prog: str) -> dict[str, Any]:
    """Return the options that were given on the command line, and only these.

    Raises
    ------
    UserError
        For unknown flags and senseless values.
    SystemExit
        After ``--help`` or the list of presets was printed.
    """
    given = vars(_parser(cls, title, prog).parse_args(argv))
    if given.get("preset") is True:
        say(describe_presets(cls.presets))
        raise SystemExit(0)
    return given


def _parser(cls, title, prog) -> Parser:
    parser = Parser(
        prog=prog,
        usage="%(prog)s [--data DIR] [--out DIR] [options]\n       %(prog)s --resume RUN",
        description=f"Train {title}.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=32, width=100),
    )
    fields = fields_of(cls)
    for name in dict.fromkeys([*GROUPS, *(field.metadata["group"] for field in fields)]):
        heading = name + (" (both are totals, also with --resume)" if name == "length" else "")
        group: Any = parser.add_argument_group(heading) if name else parser
        either: dict[str, Any] = {}
        for field in fields:
            if field.metadata["group"] == name:
                mark = field.metadata["either"]
                if mark is not None and mark not in either:
                    either[mark] = group.add_mutually_exclusive_group()
                either.get(str(mark), group).add_argument(flag_of(field), **_words(field))
    return parser


def _words(field: dataclasses.Field) -> dict[str, Any]:
    """Return what argparse should know of an option."""
    kind, help = field.metadata["kind"], field.metadata["help"]
    if field.default is not None and not isinstance(field.default, bool) and "default" not in help:
        help += " (default: %(default)s)"
    # a default that argparse knew would stand in what was given
    words = {"dest": field.name, "help": help.replace("%(default)s", str(field.default))}
    if isinstance(field.default, bool):
        return words | {"action": "store_false" if field.default else "store_true"}
    if kind.choices:
        return words | {"choices": kind.choices, "type": kind.convert}
    if isinstance(kind.metavar, tuple):
        return words | {"type": kind.convert, "metavar": kind.metavar, "nargs": 2}
    words |= {"type": kind, "metavar": kind.metavar}
    return words | ({"nargs": "?", "const": True} if field.name == "preset" else {})


def fields_of(cls: type[Options]) -> tuple[dataclasses.Field, ...]:
    """Return the options of a class; a TypeError says what its author forgot."""
    fields = dataclasses.fields(cls)
    if missing := set(vars(cls).get("__annotations__", ())) - set(cls.__dataclass_fields__):
        raise TypeError(f"{cls.__name__}: {missing.pop()} is no field: put @dataclass above it")
    for field in fields:
        if "kind" not in field.metadata:
            raise TypeError(f"{cls.__name__}: {field.name}: expected {field.name} = option(…)")
    return fields


def checked(cls: type[Options], values: Any, where: str) -> dict[str, Any]:
    """Return `values`, by name, if each is an option of `cls` and of its kind.

    Raises
    ------
    UserError
        One line that begins with `where` and names the option, what was expected and what came.
    """
    if not isinstance(values, dict):
        raise UserError(f"{where}: expected options by name, got {_short(values)}")
    fields = {field.name: field for field in fields_of(cls)}
    renamed = {field.metadata["was"]: name for name, field in fields.items()}
    found = {}
    for name, value in values.items():
        field = fields.get(renamed.get(name, name))
        if field is None:
            raise UserError(f"{where}: unknown option {_short(name)}")
        if isinstance(value, np.generic):
            value = value.item()
        kind: Kind = field.metadata["kind"]
        admits_none = "None" in str(field.type) or "Optional" in str(field.type)
        if not (value is None and admits_none) and not kind.accepts(value):
            raise UserError(f"{where}: {field.name}: expected {kind.expected}, got {_short(value)}")
        found[field.name] = value
    return found


def _short(value: Any) -> str:
    if isinstance(value, (dict, list)):  # it may be nested deeply
        return f"a {type(value).__name__}"
    shown = repr(value)
    return shown if len(shown) <= 60 else f"{shown[:60]}…"


def load_options(cls: type[Options], values: Any, where: str | Path) -> Options:
    """Return the options of a run from its ``config.json`` or checkpoint.

    What an older run does not name becomes what it was before the option existed.

    Raises
    ------
    UserError
        If an option is missing, unknown or senseless: the run is damaged or foreign.
    """
    where = f"{where}: its options are damaged"
    found = checked(cls, values, where)
    for field in fields_of(cls):
        if field.name in found or field.metadata["change"] == "not stored":
            continue
        if field.metadata["before"] is REQUIRED:
            raise UserError(f"{where}: {field.name} is missing")
        found[field.name] = field.metadata["before"]
    options = cls(**found)
    try:
        options.check()
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return options


def stored(options: Options) -> dict[str, Any]:
    """Return the options as ``config.json`` and checkpoints hold them."""
    return {
        field.name: getattr(options, field.name)
        for field in fields_of(type(options))
        if field.metadata["change"] != "not stored"
    }


def resolve(
    cls: type[Options],
    given: dict[str, Any],
    config: dict[str, Any] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Options:
    """Return the options of a new run: what was given, else `config`, the preset, the default.

    Raises
    ------
    UserError
    """
    fields_of(cls)  # says what a class lacks
    config = config or {}
    name = given.get("preset", config.get("preset"))
    own = given.get("data") or config.get("data") or config.get("dataset")
    if name is None and not own and "quick" in cls.presets:
        say("no --data given: preset quick (see --preset)")
        preset = cls.presets["quick"].values
    elif name is not None and name not in cls.presets:
        known = ", ".join(cls.presets) or "none"
        raise UserError(f"--preset {name}: no such preset; there are {known}")
    else:
        preset = cls.presets[name].values if name is not None else {}
    values: dict[str, Any] = {}
    for layer in (preset, config, given):
        values = _over(values, layer)
    options = cls(**values)
    if options.data:
        options.data = str(Path(options.data).absolute())
    options.check()
    return options


def _over(values: dict, layer: dict) -> dict:
    """Return `values` with those of `layer` over them; one source and one length at a time."""
    for pair in (("data", "dataset"), ("steps", "epochs")):
        if any(layer.get(name) for name in pair):
            values = {**values, **dict.fromkeys(pair)}
    return {**values, **layer}


def read_toml(cls: type[Options], path: Path) -> dict[str, Any]:
    """Return the options that a ``.toml`` file names, with ``-`` or ``_`` in their names."""
    where = f"--config {path}"
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{where}: cannot be read: {error}") from None
    return checked(cls, {name.replace("-", "_"): value for name, value in values.items()}, where)


def resumed(options: Options, given: dict[str, Any], path: Path) -> Options:
    """Return a run's options with those set anew that may change.

    Raises
    ------
    UserError
        If another one was given.
    """
    changes: dict[str, Any] = {}
    for field in fields_of(type(options)):
        name, change = field.name, field.metadata["change"]
        if name not in given or change == "not stored":
            continue
        value, before = given[name], getattr(options, name)
        if name == "data":
            value = str(Path(value).absolute())
        if change == "fixed" and value != before:
            raise UserError(
                f"--resume {path}: {flag_of(field)} is {before} in this run "
                f"and cannot become {value}; start a new run for that"
            )
        changes[name] = value
    options = dataclasses.replace(options, **_over({}, changes))
    options.check()
    return options


def changed(before: Options, now: Options) -> dict[str, list]:
    """Return the options "from then on" that a resumed run changes: name → [before, now]."""
    pairs = {
        field.name: [getattr(before, field.name), getattr(now, field.name)]
        for field in fields_of(type(now))
        if field.metadata["change"] == "from then on"
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
