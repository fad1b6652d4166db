"""``python -m tinygan.evaluate RUN``: measure a run's pictures against the data."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tinygan.data import DataError, save_grid
from tinygan.errors import UserError
from tinygan.evaluate.measure import measure_subject, neighbour_sheet
from tinygan.evaluate.subjects import subjects_of
from tinygan.files import write_json
from tinygan.machine.arrays import BackendError, resolve_backend
from tinygan.metrics import OnnxFeatures, RandomFeatures
from tinygan.metrics.table import table
from tinygan.runs.load import open_run
from tinygan.runs.report import write_report
from tinygan.train.command import Parser, natural, positive_int

FORMAT = "tinygan measures 1"


def main(argv: list[str] | None = None, prog: str = "python -m tinygan.evaluate") -> int:
    """Measure the run that `argv` names, and return the exit status."""
    try:
        settings = _parser(prog).parse_args(argv)
        settings.backend = resolve_backend(settings.backend)
        print(evaluate(settings, say=lambda text: print(f"{text} …", file=sys.stderr)))
    except (UserError, BackendError, DataError, ImportError) as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        return 130
    return 0


def evaluate(settings, say) -> str:
    """Measure, write ``measures.json`` and the sheets of neighbours; return the tables."""
    opened = open_run(Path(settings.run), best=settings.best)
    checkpoint, run, options = opened.checkpoint.path, opened.folder, opened.options
    if run is None:
        raise UserError(f"{checkpoint}: is in no run folder; name one")
    subjects = subjects_of(
        options, opened.system, checkpoint, settings.data, settings.dataset, settings
    )
    features = _features(settings, options["image_size"])
    results = []
    for i, subject in enumerate(subjects):
        result = measure_subject(subject, features, settings.seed, say)
        sheet = f"neighbours-{i + 1}.png" if len(subjects) > 1 else "neighbours.png"
        save_grid(neighbour_sheet(subject, result.pop("neighbours")), run / sheet, columns=10)
        results.append({**result, "neighbours": sheet})
    value = {
        "format": FORMAT,
        "created": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "checkpoint": checkpoint.name,
        "step": opened.checkpoint.step,
        "data": settings.data or settings.dataset or "the run's own",
        "seed": settings.seed,
        "results": results,
    }
    try:
        write_json(run / "measures.json", value)
    except OSError as error:
        raise UserError(f"{run}: cannot be written: {error.strerror or error}") from None
    write_report(run)
    tables = "\n\n".join(table(result) for result in results)
    head = f"{checkpoint}, step {opened.checkpoint.step}"
    return f"{head}\n\n{tables}\n\nwritten to {run / 'measures.json'}"


def _features(settings, image_size: int):
    if settings.onnx is None:
        return RandomFeatures(image_size, backend=settings.backend)
    try:
        return OnnxFeatures(settings.onnx, tuple(settings.onnx_values))
    except ValueError as error:
        raise UserError(f"--onnx {error}") from None


def _parser(prog: str) -> Parser:
    parser = Parser(
        prog=prog,
        description="Measure how good a run's pictures are: distances to the data, diversity, "
        "what was learnt by heart; for drawn data also which attributes are made and how true "
        "translations are. The data's other half is the floor, the untrained network the ceiling.",
    )
    parser.add_argument("run", metavar="RUN", help="a run folder, or one of its checkpoints")
    parser.add_argument(
        "--best",
        action="store_true",
        help="use the checkpoint whose pictures were nearest to the data, not the newest one",
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument(
        "--data",
        metavar="DIR",
        help="pictures to compare with, best ones that were not trained on (default: the run's; "
        "fresh ones if it was trained on drawn pictures)",
    )
    source.add_argument(
        "--dataset", choices=["faces", "bags"], help="compare with drawn pictures instead"
    )
    parser.add_argument(
        "--count",
        type=positive_int,
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
        type=float,
        default=(-1.0, 1.0),
        metavar=("BLACK", "WHITE"),
        help="what it expects for black and white (default: -1 1)",
    )
    parser.add_argument("--seed", type=natural, default=0, metavar="N", help="default: 0")
    parser.add_argument("--backend", choices=["numpy", "cupy", "auto"], default="auto")
    return parser


if __name__ == "__main__":
    sys.exit(main())
