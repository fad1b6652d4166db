"""``python -m tinygan.evaluate RUN …``: measure runs' pictures against the data."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from tinygan import commands
from tinygan.commands import Parser, complain, run_options, say, say_json
from tinygan.data import DRAWN_SETS, save_grid
from tinygan.errors import UserError
from tinygan.evaluate.compare import compared, shortened
from tinygan.evaluate.detection import measure_detection
from tinygan.evaluate.measure import measure_subject, neighbour_sheet
from tinygan.evaluate.subjects import subjects_of
from tinygan.files import write_json
from tinygan.metrics import OnnxFeatures, RandomFeatures
from tinygan.metrics.table import table
from tinygan.options.kinds import number, whole
from tinygan.runs.made import made_by
from tinygan.runs.report import write_report
from tinygan.runs.run import Run, load
from tinygan.systems.detects import Detects
from tinygan.systems.system import Panel, refuse_above

FORMAT = "tinygan measures 1"


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.evaluate") -> int:
    """Measure the run that `argv` names, and return the exit status."""
    return commands.run(prog, lambda: _evaluate(_parser(prog).parse_args(argv)), "--count")


def _evaluate(settings: Any) -> None:
    """Measure, show the tables, write ``measures.json`` and the sheets of neighbours."""
    options = run_options(settings)
    runs = [load(path, **options) for path in settings.runs]  # all, before the first is measured
    names = shortened([path_of(run) for run in runs])
    many, found = len(runs) > 1, {}
    for run, name in zip(runs, names, strict=True):
        out = Path(settings.out) / (name if many else "") if settings.out else folder_of(run)
        found[name] = _measured(run, out, settings)
    if settings.json:
        say_json(found if many else found[names[0]])
    elif many:
        say("\n\n".join(table(result) for result in compared(found)))


def _measured(run: Run, folder: Path, settings: Any) -> dict[str, Any]:
    """Measure one run, and write what was found."""
    _check_folder(folder)
    values = settings.count * run.options.image_size**2 * run.options.channels
    refuse_above(20 * values, "the pictures", "--count")  # the data twice, and what is made
    results, sheets = _results(run, settings)
    value = {
        "format": FORMAT,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "checkpoint": run.checkpoint.name,
        "step": run.step,
        "data": settings.data or settings.dataset or "the run's own",
        "seed": settings.seed,
        "results": results,
    }
    tell = (lambda text: None) if settings.json else say
    tables = "\n\n".join(table(result) for result in results)
    tell(f"{run.checkpoint}, step {run.step}\n\n{tables}\n")  # first: a full disk costs no numbers
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "measures.json", value)
    for name, write in sheets.items():
        write(folder / name)
    if not settings.out:
        redraw(folder, run.system.panels)
    tell(f"written to {folder / 'measures.json'}")
    return value


def _results(
    run: Run, settings: Any
) -> tuple[list[dict[str, Any]], dict[str, Callable[[Path], None]]]:
    """Return what was measured, and by the names of pictures what writes them to a path."""
    system, o, among = run.system, run.options, (settings.data, settings.dataset)

    def tell(text: str) -> None:
        complain(f"{text} …")

    if isinstance(system, Detects):
        if settings.onnx is not None:
            raise UserError(f"--onnx: a {system.name} looks at pictures itself, without features")
        made = made_by(system.options.generated, o)
        others = [made_by(place, o) for place in settings.generated or ()]
        return measure_detection(system, made, others, settings.count, *among, tell)
    if settings.generated is not None:
        raise UserError(f"--generated: a {system.name} tells no generated pictures from real ones")
    subjects = subjects_of(run, settings.count, *among, settings.seed)
    features = _features(settings, o.image_size, o.backend)
    results: list[dict[str, Any]] = []
    sheets: dict[str, Callable[[Path], None]] = {}
    for i, subject in enumerate(subjects):
        result = measure_subject(subject, features, settings.seed, tell)
        sheet = f"neighbours-{i + 1}.png" if len(subjects) > 1 else "neighbours.png"
        images = neighbour_sheet(subject, result.pop("neighbours"))
        sheets[sheet] = partial(save_grid, images, columns=10)
        results.append({**result, "neighbours": sheet})
    return results, sheets


def path_of(run: Run) -> Path:
    """Return a run's folder, or its checkpoint if that stands alone."""
    return run.path or run.checkpoint


def _check_folder(folder: Path) -> None:
    """Refuse what can be no folder before the minutes that measuring takes."""
    with suppress(FileNotFoundError):
        os.lstat(folder)  # raises for names that are too long, too
        if not folder.is_dir():
            raise UserError(f"--out {folder}: expected a folder, this is none")


def redraw(folder: Path, panels: Sequence[Panel]) -> None:
    """Write a run's report anew; what is damaged in its folder is a warning."""
    try:
        write_report(folder, given_panels=panels)
    except OSError:  # a full disk, as ever
        raise
    except Exception as error:
        complain(f"warning: cannot write report: {error or type(error).__name__}")


def folder_of(run: Run) -> Path:
    """Return a run's folder; a UserError if its checkpoint stands alone."""
    if run.path is None:
        raise UserError(f"{run.checkpoint}: is in no run folder; name one")
    return run.path


def _features(settings: Any, image_size: int, backend: str) -> RandomFeatures | OnnxFeatures:
    if settings.onnx is None:
        return RandomFeatures(image_size, backend=backend)
    try:
        return OnnxFeatures(
            settings.onnx,
            tuple(settings.onnx_values),
            mean=settings.onnx_mean,
            std=settings.onnx_std,
            size=settings.onnx_size,
            resize=settings.onnx_resize,
            output=settings.onnx_output,
        )
    except (ValueError, ImportError) as error:
        raise UserError(f"--onnx {error}") from None


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Measure how good a run's pictures are: distances to the data, diversity, "
        "what was learnt by heart; for drawn data also which attributes are made and how true "
        "translations are. The data's other half is the floor, the untrained network the ceiling. "
        "Of a detector: how well it tells generated pictures from real ones.",
    )
    parser.add_argument(
        "runs",
        metavar="RUN",
        nargs="+",
        help="a run folder, or one of its checkpoints; several are compared in one table",
    )
    parser.add_run_options()
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        metavar="PATH",
        help="pictures to compare with, a folder, archive or array as in training, best ones that "
        "were not trained on (default: the run's; fresh ones if it was trained on drawn pictures)",
    )
    source.add_argument(
        "--dataset", choices=list(DRAWN_SETS), help="compare with drawn pictures instead"
    )
    parser.add_argument(
        "--generated",
        nargs="+",
        metavar="RUN",
        help="of a detector: generators that it never saw, runs or folders of their pictures",
    )
    parser.add_argument(
        "--count",
        type=whole(1),
        default=1000,
        metavar="N",
        help="pictures on each side, at most half of the data (default: %(default)s)",
    )
    parser.add_argument(
        "--onnx",
        metavar="FILE",
        help="take the features from this network (an Inception, say) instead of the built-in ones",
    )
    parser.add_argument(
        "--onnx-values",
        nargs=2,
        type=number(-1e6, 1e6),
        default=(-1.0, 1.0),
        metavar=("BLACK", "WHITE"),
        help="what it expects for black and white (default: -1 1)",
    )
    parser.add_argument(
        "--onnx-size", type=whole(1, 4096), metavar="N", help="scale to N × N pixels first"
    )
    parser.add_argument(
        "--onnx-resize",
        choices=("bilinear", "bicubic"),
        default="bilinear",
        help="how pictures are scaled (default: %(default)s)",
    )
    for name in ("mean", "std"):
        parser.add_argument(
            f"--onnx-{name}",
            nargs=3,
            type=number(-1e6, 1e6),
            metavar=("R", "G", "B"),
            help="of the colours, after --onnx-values: it expects (x - mean) / std",
        )
    parser.add_argument("--onnx-output", metavar="NAME", help="the output to use, not the first")
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="where to write measures.json and the sheets of neighbours; of several runs, into a "
        "folder each there (default: the run's)",
    )
    parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="default: 0")
    parser.add_argument("--backend", choices=["numpy", "cupy", "auto"], default="auto")
    parser.add_json()
    return parser


if __name__ == "__main__":
    sys.exit(main())
